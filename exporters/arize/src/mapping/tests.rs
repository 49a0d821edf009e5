#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use std::collections::BTreeMap;

use kit::backend::otlp::wire::{Signal, from_protobuf};
use mastra_exporter_sdk::records::{OtelSpan, SpanBatch, SpanKind, SpanStatus, StatusCode};
use mastra_exporter_sdk::test_support::batches;
use serde_json::{Value, json};

use super::*;
use crate::config::Settings;

fn batch(span: &Value) -> SpanBatch {
    let mut whole = json!({"id": "b7ad6b7169203331", "traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "name": "n", "type": "generic",
        "startTime": "2026-03-04T05:06:07.000Z", "endTime": "2026-03-04T05:06:08.000Z"});
    for (key, value) in span.as_object().unwrap() {
        whole[key] = value.clone();
    }
    batches(&json!({"type": "span_ended", "exportedSpan": whole}).to_string()).spans
}

fn mapped(batch: &SpanBatch) -> BTreeMap<String, Value> {
    let settings = r#"{"endpoint":"http://phoenix.test"}"#;
    let settings: Settings = serde_json::from_str(settings).unwrap();
    let body = traces(batch, &settings.check().unwrap());
    let request = from_protobuf(Signal::Traces, &body).unwrap();
    let span = &request["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    let attributes = span["attributes"].as_array().unwrap().iter();
    attributes
        .map(|pair| {
            let value = pair["value"].as_object().unwrap().values().next();
            (
                pair["key"].as_str().unwrap().to_owned(),
                value.unwrap().clone(),
            )
        })
        .collect()
}

fn of(span: &Value) -> BTreeMap<String, Value> {
    mapped(&batch(span))
}

#[test]
fn messages_are_flattened_with_calls_and_results() {
    let found = of(&json!({
        "type": "model_generation",
        "input": {"messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": [
                {"type": "text", "text": "a"},
                {"type": "tool-call", "toolCallId": "c1", "toolName": "f", "input": {"x": 1}},
                {"type": "tool-call", "toolCallId": "c2", "toolName": "g", "args": "raw"},
            ]},
            {"role": "tool", "content": [{"type": "tool-result", "toolCallId": "c1", "output": {"y": 2}}]},
            {"role": "user", "content": [{"type": "image", "image": "data:"}]},
        ]},
        "output": {"text": "", "toolCalls": [{"toolCallId": "c3", "toolName": "h", "args": {"z": 3}}]},
    }));
    for (key, value) in [
        ("llm.input_messages.0.message.role", "user"),
        (
            "llm.input_messages.0.message.contents.0.message_content.text",
            "hi",
        ),
        (
            "llm.input_messages.1.message.contents.0.message_content.text",
            "a",
        ),
        (
            "llm.input_messages.1.message.tool_calls.0.tool_call.id",
            "c1",
        ),
        (
            "llm.input_messages.1.message.tool_calls.0.tool_call.function.name",
            "f",
        ),
        (
            "llm.input_messages.1.message.tool_calls.0.tool_call.function.arguments",
            r#"{"x":1}"#,
        ),
        (
            "llm.input_messages.1.message.tool_calls.1.tool_call.function.arguments",
            "raw",
        ),
        ("llm.input_messages.2.message.tool_call_id", "c1"),
        (
            "llm.input_messages.2.message.contents.0.message_content.text",
            r#"{"y":2}"#,
        ),
        (
            "llm.input_messages.3.message.contents.0.message_content.text",
            r#"{"type":"image","image":"data:"}"#,
        ),
        ("llm.output_messages.0.message.role", "assistant"),
        (
            "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments",
            r#"{"z":3}"#,
        ),
    ] {
        assert_eq!(found.get(key), Some(&json!(value)), "{key}");
    }
    let empty = "llm.output_messages.0.message.contents.0.message_content.text";
    assert_eq!(found.get(empty), None, "an empty answer is no content");
}

#[test]
fn every_type_has_a_kind_of_openinference() {
    for (span_type, attributes, kind) in [
        ("model_generation", json!({}), "LLM"),
        ("agent_run", json!({}), "AGENT"),
        ("provider_tool_call", json!({}), "TOOL"),
        ("rag_embedding", json!({}), "EMBEDDING"),
        (
            "rag_vector_operation",
            json!({"operation": "query"}),
            "RETRIEVER",
        ),
        (
            "rag_vector_operation",
            json!({"operation": "upsert"}),
            "CHAIN",
        ),
        ("scorer_run", json!({}), "EVALUATOR"),
        ("something_new", json!({}), "CHAIN"),
    ] {
        let found = of(&json!({"type": span_type, "attributes": attributes}));
        assert_eq!(found["openinference.span.kind"], kind, "{span_type}");
    }
}

#[test]
fn session_user_and_the_rest_of_the_metadata() {
    let found = of(
        &json!({"metadata": {"threadId": "t", "sessionId": "s", "userId": "u", "n": {"a": [1]}, "z": null}}),
    );
    assert_eq!(
        (&found["session.id"], &found["user.id"]),
        (&json!("t"), &json!("u"))
    );
    assert_eq!(found["metadata"], r#"{"sessionId":"s","n":{"a":[1]}}"#);
    let found = of(&json!({"metadata": {"threadId": "", "sessionId": "s"}}));
    assert_eq!(found["session.id"], "s");
    assert_eq!(found.get("user.id"), None);
}

#[test]
fn big_counts_and_text_that_is_no_json() {
    let found = of(&json!({
        "type": "model_generation", "input": "plain", "output": "plain",
        "attributes": {"model": "m", "usage": {"inputTokens": 1_234_567_890_123_u64, "outputTokens": 1}},
    }));
    assert_eq!(found["llm.token_count.total"], "1234567890124");
    assert_eq!(
        (&found["input.value"], &found["input.mime_type"]),
        (&json!("plain"), &json!("text/plain"))
    );
    assert!(
        !found
            .keys()
            .any(|key| key.starts_with("llm.output_messages"))
    );
}

#[test]
fn what_an_otlp_sender_sent_stays_as_it_is() {
    let mut batch = batch(
        &json!({"attributes": {"gen_ai.operation.name": "chat", "list": [1]}, "metadata": {"userId": "u"}}),
    );
    batch.spans[0].otel = Some(OtelSpan {
        kind: SpanKind::Server,
        status: SpanStatus {
            code: StatusCode::Unset,
            message: String::new(),
        },
        trace_state: None,
        flags: 1,
        links: Vec::new(),
        events: Vec::new(),
        dropped_attributes_count: 0,
        dropped_events_count: 0,
        dropped_links_count: 0,
        scope_index: None,
    });
    let found = mapped(&batch);
    let keys: Vec<_> = found.keys().map(String::as_str).collect();
    assert_eq!(keys, ["gen_ai.operation.name", "list"]);
}
