//! Mastra's model messages as PostHog shows them: a role and a list of parts
//! (<https://posthog.com/docs/ai-observability/generations>, read 2026-11). Parts that are neither text nor tool calls stay
//! as they are.

use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::raw::{Kind, elements, inside_quotes, kind};
use mastra_llm::chat::{as_text, object_member};

/// `$ai_input`: always a list.
pub(super) fn input(text: &mut JsonText, json: &str) {
    let messages = object_member(json, "messages").unwrap_or(json);
    if kind(messages) == Kind::Array {
        text.array(elements(messages), message);
    } else {
        said(text, "\"user\"", messages);
    }
}

/// `$ai_output_choices`: always a list.
pub(super) fn output(text: &mut JsonText, json: &str) {
    let calls = object_member(json, "toolCalls").unwrap_or("[]");
    let mut calls = elements(calls).peekable();
    let words = object_member(json, "text");
    if words.is_none() && calls.peek().is_none() {
        said(text, "\"assistant\"", json);
        return;
    }
    text.raw("[{\"role\":\"assistant\",\"content\":[");
    let words = words.filter(|words| *words != "\"\"" || calls.peek().is_none());
    if let Some(words) = words {
        text_part(text, words);
    }
    for (place, call) in calls.enumerate() {
        if place > 0 || words.is_some() {
            text.raw(",");
        }
        tool_call(text, call);
    }
    text.raw("]}]");
}

/// One message of one text.
fn said(text: &mut JsonText, role: &str, json: &str) {
    text.raw("[{\"role\":").raw(role).raw(",\"content\":[");
    text_part(text, json);
    text.raw("]}]");
}

fn message(text: &mut JsonText, json: &str) {
    let (Some(role), Some(content)) = (object_member(json, "role"), object_member(json, "content"))
    else {
        text.raw(json);
        return;
    };
    text.raw("{\"role\":").raw(role).raw(",\"content\":");
    if kind(content) == Kind::Array {
        text.array(elements(content), part);
    } else {
        text.raw("[");
        text_part(text, content);
        text.raw("]");
    }
    text.raw("}");
}

fn part(text: &mut JsonText, json: &str) {
    match object_member(json, "type").and_then(inside_quotes) {
        Some("text") => text_part(text, object_member(json, "text").unwrap_or("\"\"")),
        Some("tool-call") => tool_call(text, json),
        _ => {
            text.raw(json);
        }
    }
}

fn text_part(text: &mut JsonText, json: &str) {
    text.raw("{\"type\":\"text\",\"text\":");
    as_text(text, json);
    text.raw("}");
}

fn tool_call(text: &mut JsonText, json: &str) {
    let arguments = object_member(json, "input").or_else(|| object_member(json, "args"));
    text.raw("{\"type\":\"function\",\"id\":")
        .raw(object_member(json, "toolCallId").unwrap_or("\"\""))
        .raw(",\"function\":{\"name\":")
        .raw(object_member(json, "toolName").unwrap_or("\"\""))
        .raw(",\"arguments\":")
        .raw(arguments.unwrap_or("{}"))
        .raw("}}");
}
