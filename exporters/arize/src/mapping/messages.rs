//! Messages of a model's call, flattened as OpenInference wants them: `llm.input_messages.0.message.role`, ...

use mastra_exporter_sdk::raw::{Kind, elements, inside_quotes, kind, member, members};
use mastra_otlp::attributes::{Attributes, Key};

use crate::wire::{INPUT_MESSAGES, OUTPUT_MESSAGES};

/// One list of messages.
struct Messages<'a, S> {
    sink: &'a mut S,
    prefix: &'static str,
}

/// `llm.input_messages`: those of an object with `messages`, or of a list.
pub(super) fn input<S: Attributes>(sink: &mut S, json: &str) {
    let list = match kind(json) {
        Kind::Object => member(json, "messages"),
        Kind::Array => Some(json),
        _ => None,
    };
    let mut messages = Messages {
        sink,
        prefix: INPUT_MESSAGES,
    };
    for (index, message) in elements(list.unwrap_or("[]")).enumerate() {
        messages.message(index, message);
    }
}

/// `llm.output_messages`: text and tool calls of one assistant's message.
pub(super) fn output<S: Attributes>(sink: &mut S, json: &str) {
    let text = member(json, "text").filter(|text| kind(text) == Kind::Text);
    let calls = member(json, "toolCalls").unwrap_or("[]");
    if text.is_none() && elements(calls).next().is_none() {
        return;
    }
    let mut messages = Messages {
        sink,
        prefix: OUTPUT_MESSAGES,
    };
    messages.text(0, "role", "assistant");
    if let Some(text) = text.filter(|text| *text != "\"\"") {
        messages.content(0, 0, text);
    }
    for (place, call) in elements(calls).enumerate() {
        messages.tool_call(0, place, call);
    }
}

impl<S: Attributes> Messages<'_, S> {
    fn text(&mut self, index: usize, name: &str, text: &str) {
        let name = format!("{index}.message.{name}");
        self.sink.text(Key::under(self.prefix, &name), text);
    }

    fn json(&mut self, index: usize, name: &str, json: &str) {
        let name = format!("{index}.message.{name}");
        self.sink.json_as_text(Key::under(self.prefix, &name), json);
    }

    fn message(&mut self, index: usize, message: &str) {
        if let Some(role) = member(message, "role") {
            self.json(index, "role", role);
        }
        let Some(content) = member(message, "content") else {
            return;
        };
        if kind(content) != Kind::Array {
            return self.content(index, 0, content);
        }
        let (mut contents, mut calls) = (0, 0);
        for part in elements(content) {
            match member(part, "type").and_then(inside_quotes) {
                Some("text") => {
                    self.content(index, contents, member(part, "text").unwrap_or("\"\""));
                    contents += 1;
                }
                Some("tool-call") => {
                    self.tool_call(index, calls, part);
                    calls += 1;
                }
                Some("tool-result") => {
                    if let Some(id) = member(part, "toolCallId") {
                        self.json(index, "tool_call_id", id);
                    }
                    let result = member(part, "output").or_else(|| member(part, "result"));
                    self.content(index, contents, result.unwrap_or("null"));
                    contents += 1;
                }
                _ => {
                    self.content(index, contents, part);
                    contents += 1;
                }
            }
        }
    }

    fn content(&mut self, index: usize, place: usize, json: &str) {
        let name = |last: &str| format!("contents.{place}.message_content.{last}");
        self.text(index, &name("type"), "text");
        self.json(index, &name("text"), json);
    }

    fn tool_call(&mut self, index: usize, place: usize, call: &str) {
        for (key, value) in members(call) {
            let last = match key {
                "toolCallId" => "id",
                "toolName" => "function.name",
                "args" | "input" => "function.arguments",
                _ => continue,
            };
            let name = format!("tool_calls.{place}.tool_call.{last}");
            self.json(index, &name, value);
        }
    }
}
