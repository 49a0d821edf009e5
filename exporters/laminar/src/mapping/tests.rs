#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use std::collections::BTreeMap;

use kit::backend::otlp::wire::{Signal, from_protobuf};
use mastra_exporter_sdk::records::SpanBatch;
use mastra_exporter_sdk::test_support::batches;
use serde_json::{Value, json};

use super::*;
use crate::config::Settings;

fn batch(spans: &[Value]) -> SpanBatch {
    let lines: Vec<String> = spans
        .iter()
        .map(|span| {
            let mut whole = json!({"id": "b7ad6b7169203331", "traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "name": "n", "type": "generic",
                "startTime": "2026-03-04T05:06:07.000Z", "endTime": "2026-03-04T05:06:08.000Z"});
            for (key, value) in span.as_object().unwrap() {
                whole[key] = value.clone();
            }
            json!({"type": "span_ended", "exportedSpan": whole}).to_string()
        })
        .collect();
    batches(&lines.join("\n")).spans
}

/// The spans of the request, and their attributes.
fn mapped(spans: &[Value]) -> Vec<(Value, BTreeMap<String, Value>)> {
    let settings: Settings = serde_json::from_str(r#"{"api_key":"k"}"#).unwrap();
    let body = traces(&batch(spans), &settings.check().unwrap());
    let request = from_protobuf(Signal::Traces, &body).unwrap();
    let spans = request["resourceSpans"][0]["scopeSpans"][0]["spans"]
        .as_array()
        .unwrap()
        .iter();
    spans
        .map(|span| {
            let attributes = span["attributes"].as_array().unwrap().iter();
            let attributes = attributes.map(|pair| {
                (
                    pair["key"].as_str().unwrap().to_owned(),
                    pair["value"].clone(),
                )
            });
            (span.clone(), attributes.collect())
        })
        .collect()
}

#[test]
fn metadata_keeps_what_laminar_can_hold() {
    let (_, found) = mapped(&[json!({"metadata": {
        "sessionId": 5, "userId": "u", "tags": ["a", "b"], "mixed": ["a", 1], "empty": [], "deep": {"x": 1}, "n": 1.5, "no": null,
    }})])
    .remove(0);
    let of = |key: &str| found.get(&format!("{}{key}", wire::METADATA));
    assert_eq!(
        of("tags"),
        Some(&json!({"arrayValue": {"values": [{"stringValue": "a"}, {"stringValue": "b"}]}}))
    );
    assert_eq!(of("mixed"), Some(&json!({"stringValue": r#"["a",1]"#})));
    assert_eq!(of("empty"), Some(&json!({"stringValue": "[]"})));
    assert_eq!(of("deep"), Some(&json!({"stringValue": r#"{"x":1}"#})));
    assert_eq!(of("n"), Some(&json!({"doubleValue": 1.5})));
    assert_eq!(of("no"), None);
    assert_eq!(
        of("sessionId"),
        Some(&json!({"intValue": "5"})),
        "no session is a number"
    );
    assert_eq!(
        found["lmnr.association.properties.user_id"],
        json!({"stringValue": "u"})
    );
    assert_eq!(found.get("lmnr.association.properties.session_id"), None);
}

#[test]
fn a_thread_is_a_session_where_there_is_no_other() {
    let (_, found) = mapped(&[json!({"metadata": {"threadId": "t"}})]).remove(0);
    assert_eq!(
        found["lmnr.association.properties.session_id"],
        json!({"stringValue": "t"})
    );
}

#[test]
fn a_call_has_what_costs_are_reckoned_from() {
    let (span, found) = mapped(&[json!({
        "type": "model_generation", "name": "llm: 'm'", "input": {"messages": [{"role": "user", "content": "hi"}]},
        "attributes": {"model": "m", "provider": "OpenAI.chat", "usage": {"inputTokens": 1_234_567_890_123_u64}},
    })])
    .remove(0);
    assert_eq!(
        (&span["name"], &span["kind"]),
        (&json!("llm: 'm'"), &json!(3))
    );
    assert_eq!(found["gen_ai.system"], json!({"stringValue": "openai"}));
    assert_eq!(
        found["gen_ai.usage.input_tokens"],
        json!({"intValue": "1234567890123"})
    );
    assert_eq!(
        found["lmnr.span.input"],
        json!({"stringValue": r#"[{"role":"user","content":"hi"}]"#})
    );
    assert_eq!(found["lmnr.span.type"], json!({"stringValue": "LLM"}));
    assert_eq!(found.get("mastra.attributes"), None);
}

#[test]
fn parents_in_a_circle_have_no_path() {
    let found = mapped(&[
        json!({"id": "b7ad6b7169203331", "parentSpanId": "00f067aa0ba902b7"}),
        json!({"id": "00f067aa0ba902b7", "parentSpanId": "b7ad6b7169203331"}),
    ]);
    for (_, attributes) in found {
        assert_eq!(attributes.get("lmnr.span.path"), None);
        assert_eq!(attributes.get("lmnr.span.ids_path"), None);
    }
}
