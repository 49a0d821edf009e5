//! Tokens. Mastra's totals include their parts; Langfuse adds up the kinds it is given, so they must not
//! overlap. Names are those that Langfuse has prices for.

use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::records::Usage;

/// `langfuse.observation.usage_details`
pub(super) fn details(usage: &Usage, text: &mut JsonText) {
    let count = |part: Option<u64>| part.unwrap_or(0);
    let (short, long) = (
        count(usage.input_cache_write_short),
        count(usage.input_cache_write_long),
    );
    let written = count(usage.input_cache_write).max(short + long);
    let input_parts = [
        ("input_cache_read", count(usage.input_cache_read)),
        ("input_cache_creation", written - short - long),
        ("input_cache_creation_5m", short),
        ("input_cache_creation_1h", long),
        ("input_audio_tokens", count(usage.input_audio)),
    ];
    let output_parts = [
        ("output_reasoning_tokens", count(usage.output_reasoning)),
        ("output_audio_tokens", count(usage.output_audio)),
    ];
    let mut object = text.object();
    for (name, total, parts) in [
        ("input", usage.input_tokens, &input_parts[..]),
        ("output", usage.output_tokens, &output_parts[..]),
    ] {
        if let Some(total) = total {
            object.unsigned(
                name,
                parts
                    .iter()
                    .fold(total, |rest, (_, part)| rest.saturating_sub(*part)),
            );
        }
        for (part_name, part) in parts.iter().filter(|(_, part)| *part > 0) {
            object.unsigned(part_name, *part);
        }
    }
    object.end();
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Usage = Usage {
        input_tokens: None,
        output_tokens: None,
        input_text: None,
        input_cache_read: None,
        input_cache_write: None,
        input_cache_write_short: None,
        input_cache_write_long: None,
        input_audio: None,
        input_image: None,
        output_text: None,
        output_reasoning: None,
        output_audio: None,
        output_image: None,
    };

    fn written(usage: &Usage) -> String {
        let mut text = JsonText::default();
        details(usage, &mut text);
        text.into_string()
    }

    #[test]
    fn kinds_of_tokens_do_not_overlap() {
        let usage = Usage {
            input_tokens: Some(1000),
            output_tokens: Some(200),
            input_cache_read: Some(300),
            input_cache_write: Some(100),
            input_cache_write_short: Some(60),
            input_cache_write_long: Some(40),
            output_reasoning: Some(50),
            ..NONE
        };
        let expected = concat!(
            r#"{"input":600,"input_cache_read":300,"input_cache_creation_5m":60,"input_cache_creation_1h":40,"#,
            r#""output":150,"output_reasoning_tokens":50}"#
        );
        assert_eq!(written(&usage), expected);
    }

    #[test]
    fn big_counts_are_exact_and_parts_above_the_total_give_zero() {
        assert_eq!(
            written(&Usage {
                input_tokens: Some(1_234_567_890_123),
                ..NONE
            }),
            r#"{"input":1234567890123}"#
        );
        let odd = Usage {
            input_tokens: Some(1),
            input_cache_read: Some(5),
            ..NONE
        };
        assert_eq!(written(&odd), r#"{"input":0,"input_cache_read":5}"#);
        assert_eq!(written(&NONE), "{}");
    }
}
