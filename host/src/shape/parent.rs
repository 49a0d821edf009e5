//! Gives a span another parent in its text.

use super::edit::{Edit, apply, range_in};
use crate::event::json;

/// The text with another parent; with none the span is a root. `None` where the text names no parent.
pub(super) fn replace(text: &str, parent: Option<&str>) -> Option<String> {
    let mut edits = Vec::new();
    json::object(text, json::MAX_VALUE_DEPTH, |key, raw| {
        let Some(range) = range_in(text, raw) else {
            return;
        };
        let text = match (&*key, parent) {
            ("parentSpanId", Some(id)) => serde_json::Value::from(id).to_string().into(),
            ("parentSpanId", None) => "null".into(),
            ("isRootSpan", None) => "true".into(),
            _ => return,
        };
        edits.push(Edit { range, text });
    })
    .ok()?;
    apply(text, edits)
}

#[cfg(test)]
mod tests {
    use super::replace;

    #[test]
    fn only_the_parent_changes_and_an_orphan_is_a_root() {
        let text =
            r#"{"id":"c", "parentSpanId" : "b","isRootSpan":false,"input":{"parentSpanId":"b"}}"#;
        let adopted =
            r#"{"id":"c", "parentSpanId" : "a","isRootSpan":false,"input":{"parentSpanId":"b"}}"#;
        let root =
            r#"{"id":"c", "parentSpanId" : null,"isRootSpan":true,"input":{"parentSpanId":"b"}}"#;
        assert_eq!(replace(text, Some("a")).as_deref(), Some(adopted));
        assert_eq!(replace(text, None).as_deref(), Some(root));
        assert_eq!(replace(r#"{"id":"c"}"#, None), None);
    }
}
