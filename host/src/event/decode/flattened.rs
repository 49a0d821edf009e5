//! Lists of messages that a sender spread over attributes, since attributes could not nest once:
//! `llm.input_messages.0.message.content` (OpenInference), `gen_ai.prompt.0.content` (OpenLLMetry). Called by
//! `conventions`, for spans that say in no other way what went in or came out.

use std::collections::BTreeMap;

use crate::event::records::Json;

/// Deeper keys are passed over; the conventions nest to seven (`0.message.tool_calls.0.tool_call.function.arguments`).
const MAX_DEPTH: usize = 12;

/// One list, as far as it has been seen.
#[derive(Default)]
pub(super) struct Flattened<'a> {
    list: BTreeMap<Segment, Node<'a>>,
}

/// Between two dots of a key. In a list the elements stand in the order of their numbers.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Index(u64),
    Name(String),
}

enum Node<'a> {
    Value(&'a str),
    Members(BTreeMap<Segment, Node<'a>>),
}

impl<'a> Flattened<'a> {
    /// Takes an attribute by the rest of its key, `0.message.content`, with its JSON text. What has no place is left out.
    pub(super) fn take(&mut self, path: &str, raw: &'a str) {
        let segments: Vec<Segment> = path.split('.').map(Segment::of).collect();
        let (Some((last, inner)), Some(Segment::Index(_))) =
            (segments.split_last(), segments.first())
        else {
            return;
        };
        if inner.is_empty() || segments.len() > MAX_DEPTH {
            return;
        }
        let mut members = &mut self.list;
        for segment in inner {
            let node = members
                .entry(segment.clone())
                .or_insert_with(|| Node::Members(BTreeMap::new()));
            let Node::Members(deeper) = node else {
                return;
            };
            members = deeper;
        }
        members.entry(last.clone()).or_insert(Node::Value(raw));
    }

    /// The list as JSON; `None` when there was no such attribute.
    pub(super) fn into_json(self) -> Option<Json<'a>> {
        if self.list.is_empty() {
            return None;
        }
        let mut out = String::new();
        write(&mut out, &self.list);
        Some(Json::Owned(out))
    }
}

impl Segment {
    fn of(text: &str) -> Self {
        match text.parse() {
            Ok(index) => Self::Index(index),
            Err(_) => Self::Name(text.to_owned()),
        }
    }
}

/// Numbers alone are a list, else the members of an object.
fn write(out: &mut String, members: &BTreeMap<Segment, Node<'_>>) {
    let is_list = members.keys().all(|key| matches!(key, Segment::Index(_)));
    out.push(if is_list { '[' } else { '{' });
    for (position, (key, node)) in members.iter().enumerate() {
        if position > 0 {
            out.push(',');
        }
        if !is_list {
            let name = match key {
                Segment::Index(index) => index.to_string(),
                Segment::Name(name) => name.clone(),
            };
            out.push_str(&serde_json::Value::String(name).to_string());
            out.push(':');
        }
        match node {
            Node::Value(raw) => out.push_str(raw),
            Node::Members(inner) => write(out, without_wrapper(inner)),
        }
    }
    out.push(if is_list { ']' } else { '}' });
}

/// OpenInference puts every message into a member of its own, `message`.
fn without_wrapper<'t, 'a>(
    members: &'t BTreeMap<Segment, Node<'a>>,
) -> &'t BTreeMap<Segment, Node<'a>> {
    match members.first_key_value() {
        Some((Segment::Name(name), Node::Members(message)))
            if name == "message" && members.len() == 1 =>
        {
            message
        }
        _ => members,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(attributes: &[(&str, &'static str)]) -> Option<String> {
        let mut flattened = Flattened::default();
        for (path, raw) in attributes {
            flattened.take(path, raw);
        }
        flattened.into_json().map(Json::into_owned)
    }

    #[test]
    fn messages_are_put_together_in_the_order_of_their_numbers() {
        let found = json(&[
            ("10.message.content", r#""last""#),
            ("0.message.role", r#""user""#),
            ("0.message.contents.1.message_content.text", r#""b""#),
            ("0.message.contents.0.message_content.text", r#""a""#),
            (
                "2.message.tool_calls.0.tool_call.function.arguments",
                r#""{}""#,
            ),
        ]);
        let expected = concat!(
            r#"[{"contents":[{"message_content":{"text":"a"}},{"message_content":{"text":"b"}}],"role":"user"},"#,
            r#"{"tool_calls":[{"tool_call":{"function":{"arguments":"{}"}}}]},{"content":"last"}]"#
        );
        assert_eq!(found.as_deref(), Some(expected));
        let found = json(&[("0.role", r#""user""#), ("0.content", "[1]")]);
        assert_eq!(found.as_deref(), Some(r#"[{"content":[1],"role":"user"}]"#));
    }

    #[test]
    fn what_is_no_message_is_left_out() {
        assert_eq!(json(&[("", "1"), ("0", "1"), ("x.content", "1")]), None);
        let deep = format!("0{}", ".a".repeat(12));
        assert_eq!(json(&[(&deep, "1")]), None);
        let both = json(&[("0.a", "1"), ("0.a.b", "2")]);
        assert_eq!(both.as_deref(), Some(r#"[{"a":1}]"#));
    }
}
