//! Mastra's model messages as chat messages of the OpenAI form
//! (<https://platform.openai.com/docs/api-reference/chat/create>, read 2026-11), which trackers show as a conversation.
//! What has another shape passes through as it is.

use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::raw::{Kind, elements, inside_quotes, kind, member, members, unescape};

/// How many characters of a model's reasoning stand for it.
const REASONING_CHARS: usize = 100;

/// `{"messages": [...]}` or a list of messages as a list of chat messages.
pub fn input(text: &mut JsonText, json: &str) {
    let messages = object_member(json, "messages").unwrap_or(json);
    if kind(messages) != Kind::Array {
        text.raw(json);
        return;
    }
    let mut list = List::begin(text);
    for message in elements(messages) {
        chat_message(&mut list, message);
    }
    list.end();
}

/// `{"text": ..., rest}` as the assistant's message, with the rest beside it.
pub fn output(text: &mut JsonText, json: &str) {
    let Some(content) = object_member(json, "text") else {
        text.raw(json);
        return;
    };
    let mut object = text.object();
    object.string("role", "assistant").raw("content", content);
    for (key, value) in members(json) {
        if !matches!(key, "text" | "role" | "content") && kind(value) != Kind::Null {
            object.raw(key, value);
        }
    }
    object.end();
}

/// A tool's arguments as the assistant's message that calls it, in a list of its own.
pub fn tool_input(text: &mut JsonText, id: &str, name: &str, arguments: &str) {
    text.raw("[{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":")
        .string(id)
        .raw(",\"type\":\"function\",\"function\":{\"name\":")
        .string(name)
        .raw(",\"arguments\":");
    as_text(text, arguments);
    text.raw("}}]}]");
}

/// A tool's result as the message that answers its call.
pub fn tool_output(text: &mut JsonText, id: &str, result: &str) {
    text.raw("{\"role\":\"tool\",\"content\":");
    as_text(text, result);
    text.raw(",\"tool_call_id\":").string(id).raw("}");
}

/// The value of a member, when the value is an object.
#[must_use]
pub fn object_member<'a>(json: &'a str, key: &str) -> Option<&'a str> {
    (kind(json) == Kind::Object)
        .then(|| member(json, key))
        .flatten()
}

/// A string as it is, anything else as a string of its JSON text.
pub fn as_text(text: &mut JsonText, json: &str) {
    if kind(json) == Kind::Text {
        text.raw(json);
    } else {
        text.string(json);
    }
}

/// A list whose elements are written one after the other.
struct List<'a> {
    text: &'a mut JsonText,
    is_empty: bool,
}

impl<'a> List<'a> {
    fn begin(text: &'a mut JsonText) -> Self {
        text.raw("[");
        Self {
            text,
            is_empty: true,
        }
    }

    fn element(&mut self) -> &mut JsonText {
        if !std::mem::take(&mut self.is_empty) {
            self.text.raw(",");
        }
        self.text
    }

    fn end(self) {
        self.text.raw("]");
    }
}

fn chat_message(list: &mut List<'_>, json: &str) {
    let (Some(role), Some(content)) = (object_member(json, "role"), object_member(json, "content"))
    else {
        list.element().raw(json);
        return;
    };
    if kind(content) != Kind::Array {
        list.element().raw(json);
        return;
    }
    let results = elements(content).filter(|part| part_type(part) == Some("tool-result"));
    if inside_quotes(role) == Some("tool") && results.clone().next().is_some() {
        for result in results {
            tool_result(list.element(), result);
        }
        return;
    }
    let text = list.element();
    text.raw("{\"role\":").raw(role).raw(",\"content\":\"");
    let mut is_first = true;
    for part in elements(content).filter(|part| part_type(part) != Some("tool-call")) {
        if !std::mem::take(&mut is_first) {
            text.raw("\\n");
        }
        plain(text, part);
    }
    text.raw("\"");
    let calls = elements(content).filter(|part| part_type(part) == Some("tool-call"));
    if calls.clone().next().is_some() {
        text.raw(",\"tool_calls\":").array(calls, tool_call);
    }
    text.raw("}");
}

fn part_type(json: &str) -> Option<&str> {
    object_member(json, "type").and_then(inside_quotes)
}

/// A part as the inside of a string.
fn plain(text: &mut JsonText, part: &str) {
    let inside = |key| object_member(part, key).and_then(inside_quotes);
    match part_type(part) {
        Some("text") => {
            text.raw(inside("text").unwrap_or_default());
        }
        Some("image") => {
            text.raw("[image]");
        }
        Some("file") => {
            let name = inside("filename").unwrap_or("unknown");
            text.raw("[file: ").raw(name).raw("]");
        }
        Some("reasoning") => {
            let whole = unescape(inside("text").unwrap_or_default());
            let short: String = whole.chars().take(REASONING_CHARS).collect();
            text.raw("[reasoning: ").escaped(&short);
            text.raw(if short.len() < whole.len() {
                "...]"
            } else {
                "]"
            });
        }
        _ => {
            let words = inside_quotes(part);
            match words {
                Some(words) => text.raw(words),
                None => text.escaped(part),
            };
        }
    }
}

fn tool_call(text: &mut JsonText, part: &str) {
    let arguments = object_member(part, "input").or_else(|| object_member(part, "args"));
    text.raw("{\"id\":")
        .raw(object_member(part, "toolCallId").unwrap_or("\"\""))
        .raw(",\"type\":\"function\",\"function\":{\"name\":")
        .raw(object_member(part, "toolName").unwrap_or("\"\""))
        .raw(",\"arguments\":");
    as_text(text, arguments.unwrap_or("{}"));
    text.raw("}}");
}

fn tool_result(text: &mut JsonText, part: &str) {
    let result = object_member(part, "output").or_else(|| object_member(part, "result"));
    let result = result.unwrap_or("null");
    let typed = object_member(result, "type").and(object_member(result, "value"));
    text.raw("{\"role\":\"tool\",\"content\":");
    as_text(text, typed.unwrap_or(result));
    text.raw(",\"tool_call_id\":")
        .raw(object_member(part, "toolCallId").unwrap_or("\"\""))
        .raw("}");
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn converted(write: impl FnOnce(&mut JsonText)) -> Value {
        let mut text = JsonText::default();
        write(&mut text);
        serde_json::from_str(text.as_str())
            .unwrap_or_else(|error| panic!("{error}: {}", text.as_str()))
    }

    fn of_input(value: &Value) -> Value {
        converted(|text| input(text, &value.to_string()))
    }

    #[test]
    fn parts_become_text_and_tool_calls() {
        let messages = json!({"messages": [
            {"role": "system", "content": "Be \"kind\""},
            {"role": "user", "content": [{"type": "text", "text": "é\n"}, {"type": "image", "image": "..."},
                {"type": "file", "filename": "a.pdf"}, {"type": "reasoning", "text": "h".repeat(101)}]},
            {"role": "assistant", "content": [{"type": "text", "text": "ok"},
                {"type": "tool-call", "toolCallId": "c1", "toolName": "f", "args": {"a": 1}}]},
            {"role": "tool", "content": [
                {"type": "tool-result", "toolCallId": "c1", "toolName": "f", "output": {"type": "json", "value": {"b": 2}}},
                {"type": "tool-result", "toolCallId": "c2", "toolName": "g", "result": "done"}]},
        ]});
        let expected = json!([
            {"role": "system", "content": "Be \"kind\""},
            {"role": "user", "content": format!("é\n\n[image]\n[file: a.pdf]\n[reasoning: {}...]", "h".repeat(100))},
            {"role": "assistant", "content": "ok",
                "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}}]},
            {"role": "tool", "content": "{\"b\":2}", "tool_call_id": "c1"},
            {"role": "tool", "content": "done", "tool_call_id": "c2"},
        ]);
        assert_eq!(of_input(&messages), expected);
    }

    #[test]
    fn other_shapes_pass_through() {
        for value in [
            json!("Summarise"),
            json!(null),
            json!({"prompt": "x"}),
            json!([1, "two"]),
            json!({"messages": "none"}),
        ] {
            assert_eq!(of_input(&value), value);
        }
    }

    #[test]
    fn an_answer_is_the_assistants_message() {
        let answer = json!({"text": "Sunny", "object": {"a": 1}, "files": null});
        let expected = json!({"role": "assistant", "content": "Sunny", "object": {"a": 1}});
        assert_eq!(
            converted(|text| output(text, &answer.to_string())),
            expected
        );
        assert_eq!(converted(|text| output(text, "[1]")), json!([1]));
    }

    #[test]
    fn tools_are_calls_and_answers() {
        let call = converted(|text| tool_input(text, "c", "f", r#"{"a":"\"x\""}"#));
        assert_eq!(
            call[0]["tool_calls"][0]["function"]["arguments"],
            r#"{"a":"\"x\""}"#
        );
        let answer = converted(|text| tool_output(text, "c", "\"plain\""));
        assert_eq!(
            answer,
            json!({"role": "tool", "content": "plain", "tool_call_id": "c"})
        );
    }
}
