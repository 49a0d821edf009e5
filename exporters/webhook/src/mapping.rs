//! Bodies: events in an array or in lines; and the templates of headers. Pure.

use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::records::{Span, SpanPhase};

use crate::config::{Format, SpanEvents};

/// Why a span event is not sent.
#[must_use]
pub fn skipped(span: &Span, wanted: SpanEvents) -> Option<String> {
    (wanted == SpanEvents::Ended && span.phase != SpanPhase::Ended)
        .then(|| "only ended spans are wanted".to_owned())
}

/// Events, each written by `write`.
pub fn body<T>(
    format: Format,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut JsonText, T),
) -> JsonText {
    let mut text = JsonText::default();
    match format {
        Format::Json => {
            text.array(items, write);
        }
        Format::Ndjson => {
            for item in items {
                write(&mut text, item);
                text.raw("\n");
            }
        }
    }
    text
}

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// As it stands.
    Text(String),
    /// The name between `{{` and `}}`.
    Variable(String),
}

/// Cuts a template: `batch of {{count}} {{signal}}`. Braces that do not close are text.
#[must_use]
pub fn pieces(template: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, tail)) = after.split_once("}}") else {
            break;
        };
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        pieces.push(Piece::Variable(name.trim().to_owned()));
        rest = tail;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    pieces
}

/// Fills a template in; `value_of` knows the variables.
pub fn filled(pieces: &[Piece], value_of: impl Fn(&str) -> String) -> String {
    pieces
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Variable(name) => value_of(name),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_cut_and_filled() {
        let cases = [
            ("", ""),
            ("plain", "plain"),
            ("{{signal}}", "<signal>"),
            ("a {{ count }}/{{signal}} b", "a <count>/<signal> b"),
            ("{single} {{open", "{single} {{open"),
            ("{{secret:1}}}}", "<secret:1>}}"),
        ];
        for (template, expected) in cases {
            let filled = filled(&pieces(template), |name| format!("<{name}>"));
            assert_eq!(filled, expected);
        }
    }

    #[test]
    fn lines_end_in_a_line_feed_and_arrays_are_arrays() {
        let write = |text: &mut JsonText, item: u64| {
            text.unsigned(item);
        };
        assert_eq!(body(Format::Ndjson, [1, 2], write).as_str(), "1\n2\n");
        assert_eq!(body(Format::Json, [1, 2], write).as_str(), "[1,2]");
    }
}
