//! Tokens and money as LangSmith's `usage_metadata`
//! (<https://docs.langchain.com/langsmith/log-llm-trace#provide-token-and-cost-information>, read 2026-11). Totals include
//! their parts, as Mastra's do.

use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::records::ModelCall;
use mastra_llm::cost;

/// Writes `usage_metadata`; an empty object when nothing is known.
pub(super) fn metadata(call: &ModelCall, text: &mut JsonText) {
    let mut object = text.object();
    if let Some(usage) = &call.usage {
        let total = match (usage.input_tokens, usage.output_tokens) {
            (None, None) => None,
            (input, output) => Some(input.unwrap_or(0).saturating_add(output.unwrap_or(0))),
        };
        for (name, count) in [
            ("input_tokens", usage.input_tokens),
            ("output_tokens", usage.output_tokens),
            ("total_tokens", total),
        ] {
            if let Some(count) = count {
                object.unsigned(name, count);
            }
        }
        let input = [
            ("cache_read", usage.input_cache_read),
            ("cache_write", usage.input_cache_write),
            ("cache_creation_5m", usage.input_cache_write_short),
            ("cache_creation_1h", usage.input_cache_write_long),
            ("audio", usage.input_audio),
        ];
        let output = [
            ("reasoning_tokens", usage.output_reasoning),
            ("audio", usage.output_audio),
        ];
        for (name, parts) in [
            ("input_token_details", &input[..]),
            ("output_token_details", &output[..]),
        ] {
            if parts.iter().any(|(_, count)| count.is_some()) {
                let mut details = object.key(name).object();
                for (part, count) in parts
                    .iter()
                    .filter_map(|(part, count)| Some((part, (*count)?)))
                {
                    details.unsigned(part, count);
                }
                details.end();
            }
        }
    }
    if let Some(amount) = call.cost.as_ref().and_then(cost::reported) {
        object.float("total_cost", amount);
    }
    object.end();
}
