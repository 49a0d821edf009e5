//! Mastra's model input and output as GenAI messages
//! (<https://github.com/open-telemetry/semantic-conventions/blob/v1.41.1/docs/gen-ai/gen-ai-input-messages.json>): roles with
//! parts. What has another shape passes through as it is: a string verbatim, anything else as its JSON text.

use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::raw::{Kind, elements, inside_quotes, kind, member, members};

use crate::attributes::{Attributes, Key};

/// `gen_ai.input.messages`
pub fn input<S: Attributes>(sink: &mut S, json: &str) {
    input_as(sink, Key::of("gen_ai.input.messages"), json);
}

/// As [`input`], under another key.
pub fn input_as<S: Attributes>(sink: &mut S, key: Key<'_>, json: &str) {
    match object_member(json, "messages") {
        Some(messages) if kind(messages) == Kind::Array => sink.built(key, |text| {
            text.array(elements(messages), message);
        }),
        _ => sink.json_as_text(key, json),
    }
}

/// `gen_ai.output.messages`. Text, reasoning and tool calls become parts of one assistant message.
pub fn output<S: Attributes>(sink: &mut S, json: &str) {
    output_as(sink, Key::of("gen_ai.output.messages"), json);
}

/// As [`output`], under another key.
pub fn output_as<S: Attributes>(sink: &mut S, key: Key<'_>, json: &str) {
    if object_member(json, "text").is_none_or(|text| kind(text) != Kind::Text) {
        return sink.json_as_text(key, json);
    }
    sink.built(key, |text| {
        text.raw("[{\"role\":\"assistant\",\"parts\":[");
        let mut is_first = true;
        let mut begin = |text: &mut JsonText| {
            if !is_first {
                text.raw(",");
            }
            is_first = false;
        };
        for (name, value) in members(json) {
            match name {
                "text" if kind(value) == Kind::Text => {
                    begin(text);
                    text.raw("{\"type\":\"text\",\"content\":")
                        .raw(value)
                        .raw("}");
                }
                "reasoningText" if kind(value) == Kind::Text && value != "\"\"" => {
                    begin(text);
                    text.raw("{\"type\":\"reasoning\",\"content\":")
                        .raw(value)
                        .raw("}");
                }
                "toolCalls" => {
                    for call in elements(value) {
                        begin(text);
                        tool_call(text, call);
                    }
                }
                _ => {}
            }
        }
        text.raw("]}]");
    });
}

fn object_member<'a>(json: &'a str, key: &str) -> Option<&'a str> {
    if kind(json) == Kind::Object {
        member(json, key)
    } else {
        None
    }
}

/// A message whose content is understood whole becomes parts; another stays as it is.
fn message(text: &mut JsonText, json: &str) {
    let (Some(role), Some(content)) = (object_member(json, "role"), object_member(json, "content"))
    else {
        text.raw(json);
        return;
    };
    match kind(content) {
        Kind::Text => {
            text.raw("{\"role\":")
                .raw(role)
                .raw(",\"parts\":[{\"type\":\"text\",\"content\":")
                .raw(content)
                .raw("}]}");
        }
        Kind::Array if elements(content).all(is_known_part) => {
            text.raw("{\"role\":").raw(role).raw(",\"parts\":");
            text.array(elements(content), part).raw("}");
        }
        _ => {
            text.raw(json);
        }
    }
}

fn part_type(json: &str) -> Option<&str> {
    object_member(json, "type").and_then(inside_quotes)
}

fn is_known_part(json: &str) -> bool {
    match part_type(json) {
        Some("text") => object_member(json, "text").is_some(),
        Some("tool-call") => call_arguments(json).is_some(),
        Some("tool-result") => object_member(json, "output")
            .or_else(|| object_member(json, "result"))
            .is_some(),
        _ => false,
    }
}

fn part(text: &mut JsonText, json: &str) {
    match part_type(json) {
        Some("text") => {
            text.raw("{\"type\":\"text\",\"content\":")
                .raw(object_member(json, "text").unwrap_or("\"\""))
                .raw("}");
        }
        Some("tool-call") => tool_call(text, json),
        _ => {
            text.raw("{\"type\":\"tool_call_response\"");
            text_member(text, "id", object_member(json, "toolCallId"));
            text_member(text, "name", object_member(json, "toolName"));
            let result = object_member(json, "output").or_else(|| object_member(json, "result"));
            as_text(text.raw(",\"response\":"), result.unwrap_or("null"));
            text.raw("}");
        }
    }
}

fn tool_call(text: &mut JsonText, json: &str) {
    text.raw("{\"type\":\"tool_call\"");
    text_member(text, "id", object_member(json, "toolCallId"));
    text_member(text, "name", object_member(json, "toolName"));
    as_text(
        text.raw(",\"arguments\":"),
        call_arguments(json).unwrap_or("null"),
    );
    text.raw("}");
}

fn call_arguments(json: &str) -> Option<&str> {
    object_member(json, "input").or_else(|| object_member(json, "args"))
}

fn text_member(text: &mut JsonText, name: &str, json: Option<&str>) {
    if let Some(json) = json {
        text.raw(",\"").raw(name).raw("\":").raw(json);
    }
}

/// A string as it is, anything else as a string of its JSON text.
fn as_text(text: &mut JsonText, json: &str) {
    if kind(json) == Kind::Text {
        text.raw(json);
    } else {
        text.string(json);
    }
}
