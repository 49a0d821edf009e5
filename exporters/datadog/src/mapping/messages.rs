//! Input and output of a span: messages of a model call, documents of embeddings and retrieval, text for the rest. What
//! has another shape than expected stays as text, whole.

use std::borrow::Cow;

use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::raw::{self, Kind as JsonKind, elements, inside_quotes, kind, member};

use crate::wire::Kind;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Into the span.
    Input,
    /// Out of it.
    Output,
}

impl Side {
    /// Who speaks when nobody is named.
    const fn role(self) -> &'static str {
        match self {
            Self::Input => "user",
            Self::Output => "assistant",
        }
    }
}

/// Writes `{}`, `{"value"}`, `{"messages"}` or `{"documents"}`.
pub(super) fn write<'a>(
    text: &'a mut JsonText,
    span_kind: Kind,
    span_type: &str,
    side: Side,
    json: &str,
) -> &'a mut JsonText {
    let is_model = span_kind == Kind::Llm || matches!(span_type, "model_generation" | "model_step");
    if is_model && let Some(messages) = messages(json, side) {
        if span_kind == Kind::Llm {
            return text.raw("{\"messages\":").raw(messages.as_str()).raw("}");
        }
        return text.raw("{\"value\":").string(messages.as_str()).raw("}");
    }
    let documents = match (span_kind, side) {
        (Kind::Embedding, Side::Input) => embedded(json),
        (Kind::Retrieval, Side::Output) => retrieved(json),
        _ => None,
    };
    match documents {
        Some(documents) => text.raw("{\"documents\":").raw(documents.as_str()).raw("}"),
        None => value(text, json),
    }
}

/// Text as it is, anything else as JSON text; what says nothing is left out.
fn value<'a>(text: &'a mut JsonText, json: &str) -> &'a mut JsonText {
    match raw::text(json) {
        Some(words) if words.is_empty() => text.raw("{}"),
        Some(words) => text.raw("{\"value\":").string(&words).raw("}"),
        None if kind(json) == JsonKind::Null => text.raw("{}"),
        None => text.raw("{\"value\":").string(json).raw("}"),
    }
}

fn object_member<'a>(json: &'a str, key: &str) -> Option<&'a str> {
    if kind(json) == JsonKind::Object {
        member(json, key)
    } else {
        None
    }
}

/// An array of messages, if the value can be read as one.
fn messages(json: &str, side: Side) -> Option<JsonText> {
    let mut text = JsonText::default();
    match kind(json) {
        JsonKind::Text => {
            text.array([json], |text, words| said(text, side.role(), words));
            Some(text)
        }
        JsonKind::Array => list(text, json),
        JsonKind::Object => {
            if let Some(nested) = member(json, "messages").or_else(|| member(json, "contents")) {
                return list(text, nested);
            }
            let words = member(json, "text").filter(|words| kind(words) == JsonKind::Text);
            let calls = member(json, "toolCalls").filter(|calls| kind(calls) == JsonKind::Array);
            if side == Side::Input || words.is_none() && calls.is_none() {
                return None;
            }
            text.raw("[");
            message(
                &mut text,
                &format!("\"{}\"", side.role()),
                words.unwrap_or("\"\""),
                calls,
            );
            text.raw("]");
            Some(text)
        }
        _ => None,
    }
}

fn said(text: &mut JsonText, role: &str, words: &str) {
    let mut object = text.object();
    object.string("role", role).raw("content", words);
    object.end();
}

/// Messages with a role, in the spelling of Mastra (`content`) or Gemini (`parts`).
fn list(mut text: JsonText, json: &str) -> Option<JsonText> {
    let is_message = |message: &str| object_member(message, "role").is_some();
    if kind(json) != JsonKind::Array
        || !elements(json).all(is_message)
        || elements(json).next().is_none()
    {
        return None;
    }
    text.array(elements(json), |text, json| {
        let content = member(json, "content").or_else(|| member(json, "parts"));
        let calls = member(json, "toolCalls").filter(|calls| kind(calls) == JsonKind::Array);
        message(
            text,
            member(json, "role").unwrap_or("\"user\""),
            content.unwrap_or("\"\""),
            calls,
        );
    });
    Some(text)
}

/// `role` is JSON text; `content` too: a string, or parts; `calls` an array of tool calls beside them.
fn message(text: &mut JsonText, role: &str, content: &str, calls: Option<&str>) {
    let parts = || Some(content).filter(|json| kind(json) == JsonKind::Array);
    let of_parts = |wanted: &'static str| {
        parts()
            .into_iter()
            .flat_map(elements)
            .filter(move |part| part_type(part) == Some(wanted))
    };
    let mut object = text.object();
    object.raw("role", role);
    match words_of(content) {
        Some(words) => object.string("content", &words),
        None => object.string("content", content),
    };
    let calls: Vec<_> = calls
        .into_iter()
        .flat_map(elements)
        .chain(of_parts("tool-call"))
        .collect();
    if !calls.is_empty() {
        object.key("tool_calls").array(calls, tool_call);
    }
    let results: Vec<_> = of_parts("tool-result").collect();
    if !results.is_empty() {
        object.key("tool_results").array(results, tool_result);
    }
    object.end();
}

fn part_type(json: &str) -> Option<&str> {
    object_member(json, "type").and_then(inside_quotes)
}

/// The words of a content, if all its parts are understood: tool calls and results have a place of their own.
fn words_of(content: &str) -> Option<Cow<'_, str>> {
    match kind(content) {
        JsonKind::Text => raw::text(content),
        JsonKind::Null => Some(Cow::Borrowed("")),
        JsonKind::Array => {
            let mut words = String::new();
            for part in elements(content) {
                match (part_type(part), object_member(part, "text")) {
                    (Some("text") | None, Some(text)) => words.push_str(&raw::text(text)?),
                    (Some("tool-call" | "tool-result"), _) => {}
                    _ => return None,
                }
            }
            Some(Cow::Owned(words))
        }
        _ => None,
    }
}

fn tool_call(text: &mut JsonText, json: &str) {
    let mut object = text.object();
    if let Some(name) = object_member(json, "toolName") {
        object.raw("name", name);
    }
    let arguments = object_member(json, "args").or_else(|| object_member(json, "input"));
    match arguments {
        Some(arguments) if kind(arguments) == JsonKind::Object => {
            object.raw("arguments", arguments);
        }
        Some(other) => {
            let mut wrapped = object.key("arguments").object();
            wrapped.raw("value", other);
            wrapped.end();
        }
        None => {}
    }
    if let Some(id) = object_member(json, "toolCallId") {
        object.raw("tool_id", id);
    }
    object.string("type", "function");
    object.end();
}

fn tool_result(text: &mut JsonText, json: &str) {
    let mut object = text.object();
    let result = object_member(json, "output").or_else(|| object_member(json, "result"));
    let result = result.unwrap_or("null");
    object.string("result", raw::text(result).as_deref().unwrap_or(result));
    if let Some(name) = object_member(json, "toolName") {
        object.raw("name", name);
    }
    if let Some(id) = object_member(json, "toolCallId") {
        object.raw("tool_id", id);
    }
    object.string("type", "function");
    object.end();
}

/// Texts that were embedded.
fn embedded(json: &str) -> Option<JsonText> {
    let texts: Vec<_> = match kind(json) {
        JsonKind::Text => vec![json],
        JsonKind::Array => elements(json).collect(),
        _ => return None,
    };
    if texts.is_empty() || texts.iter().any(|text| kind(text) != JsonKind::Text) {
        return None;
    }
    let mut documents = JsonText::default();
    documents.array(texts, |text, words| {
        let mut object = text.object();
        object.raw("text", words);
        object.end();
    });
    Some(documents)
}

/// Documents that were found: each has a text of its own or in its metadata.
fn retrieved(json: &str) -> Option<JsonText> {
    fn words(json: &str) -> Option<&str> {
        object_member(json, "text")
            .or_else(|| object_member(object_member(json, "metadata")?, "text"))
            .filter(|words| kind(words) == JsonKind::Text)
    }
    if kind(json) != JsonKind::Array || elements(json).any(|found| words(found).is_none()) {
        return None;
    }
    let mut documents = JsonText::default();
    documents.array(elements(json), |text, found| {
        let mut object = text.object();
        object.raw("text", words(found).unwrap_or("\"\""));
        for (key, wanted) in [
            ("id", JsonKind::Text),
            ("name", JsonKind::Text),
            ("score", JsonKind::Number),
        ] {
            if let Some(value) = object_member(found, key).filter(|value| kind(value) == wanted) {
                object.raw(key, value);
            }
        }
        object.end();
    });
    Some(documents)
}
