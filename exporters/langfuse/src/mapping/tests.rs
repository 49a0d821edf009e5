use kit::backend::otlp::wire::{Signal, from_protobuf};
use mastra_exporter_sdk::records::{OtelSpan, SpanKind, SpanLink, SpanStatus, StatusCode};
use mastra_exporter_sdk::test_support::batches;
use serde_json::{Value, json};

use super::*;
use crate::config::Settings;

fn config(extra: &Value) -> Config {
    let mut settings = json!({"public_key": "pk-lf-test", "secret_key": "sk-lf-test"});
    for (key, value) in extra.as_object().unwrap() {
        settings[key] = value.clone();
    }
    serde_json::from_value::<Settings>(settings)
        .unwrap()
        .check()
        .unwrap()
}

fn event(span: &Value) -> SpanBatch {
    let mut whole = json!({
        "id": "00f067aa0ba902b7", "traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "name": "n", "type": "generic",
        "startTime": "2026-03-04T05:06:07.000Z", "endTime": "2026-03-04T05:06:08.000Z", "isEvent": false, "isRootSpan": false,
    });
    for (key, value) in span.as_object().unwrap() {
        whole[key] = value.clone();
    }
    batches(&json!({"type": "span_ended", "exportedSpan": whole}).to_string()).spans
}

fn request(batch: &SpanBatch, extra: &Value) -> Value {
    from_protobuf(Signal::Traces, &trace_request(batch, &config(extra))).unwrap()
}

fn first_span(batch: &SpanBatch, extra: &Value) -> Value {
    request(batch, extra)["resourceSpans"][0]["scopeSpans"][0]["spans"][0].clone()
}

fn mapped(span: &Value) -> Value {
    first_span(&event(span), &json!({}))
}

/// The value of the only attribute of this key.
fn attribute(span: &Value, key: &str) -> Value {
    let all = span["attributes"].as_array().unwrap();
    let mut found = all.iter().filter(|attribute| attribute["key"] == key);
    let value = found
        .next()
        .map_or(Value::Null, |attribute| attribute["value"].clone());
    assert!(found.next().is_none(), "{key} comes twice");
    value
}

fn text(span: &Value, key: &str) -> Value {
    attribute(span, key)["stringValue"].clone()
}

#[test]
fn event_spans_are_points_in_time_of_type_event() {
    let span = event(&json!({"isEvent": true, "output": {"stage": "done"}}));
    let mut span = span;
    span.spans[0].end_time = None;
    let span = first_span(&span, &json!({}));
    assert_eq!(span["startTimeUnixNano"], span["endTimeUnixNano"]);
    assert_eq!(span["status"], json!({"code": 0}));
    assert_eq!(text(&span, "langfuse.observation.type"), "event");
    assert_eq!(
        text(&span, "langfuse.observation.output"),
        r#"{"stage":"done"}"#
    );
}

#[test]
fn errors_set_status_level_and_exception() {
    let span = mapped(
        &json!({"errorInfo": {"message": "no", "name": "TypeError", "stack": "at x", "domain": "TOOL"}}),
    );
    assert_eq!(span["status"], json!({"code": 2, "message": "no"}));
    assert_eq!(text(&span, "langfuse.observation.level"), "ERROR");
    assert_eq!(text(&span, "langfuse.observation.status_message"), "no");
    assert_eq!(text(&span, "error.type"), "TypeError");
    assert_eq!(text(&span, "error.domain"), "TOOL");
    let event = &span["events"][0];
    assert_eq!(event["timeUnixNano"], span["endTimeUnixNano"]);
    assert_eq!(event["attributes"][2]["value"]["stringValue"], "at x");
}

#[test]
fn orphans_and_foreign_parents_keep_their_parent_id() {
    assert_eq!(
        mapped(&json!({"parentSpanId": "b7ad6b7169203331"}))["parentSpanId"],
        "b7ad6b7169203331"
    );
    assert_eq!(
        mapped(&json!({"externalParentSpanId": "a1"}))["parentSpanId"],
        "00000000000000a1"
    );
    assert_eq!(mapped(&json!({}))["parentSpanId"], Value::Null);
}

#[test]
fn children_map_the_same_before_and_after_their_parent() {
    let child = json!({"id": "0000000000000001", "parentSpanId": "0000000000000002"});
    let parent = json!({"id": "0000000000000002"});
    let (mut early, late) = (event(&child), event(&parent));
    early.spans.extend(late.spans);
    let forward = request(&early, &json!({}))["resourceSpans"][0]["scopeSpans"][0]["spans"].clone();
    early.spans.reverse();
    let backward =
        request(&early, &json!({}))["resourceSpans"][0]["scopeSpans"][0]["spans"].clone();
    assert_eq!(forward[0], backward[1]);
    assert_eq!(forward[1], backward[0]);
}

#[test]
fn short_ids_are_padded() {
    let span = mapped(&json!({"id": "ab", "traceId": "c"}));
    assert_eq!(span["spanId"], "00000000000000ab");
    assert_eq!(span["traceId"], "0000000000000000000000000000000c");
}

#[test]
fn big_token_counts_are_exact() {
    let span = mapped(&json!({
        "type": "model_inference",
        "attributes": {"model": "m", "usage": {"inputTokens": 1_234_567_890_123_u64, "outputTokens": 18_446_744_073_709_551_615_u64}},
    }));
    assert_eq!(
        attribute(&span, "gen_ai.usage.input_tokens"),
        json!({"intValue": "1234567890123"})
    );
    assert_eq!(
        attribute(&span, "gen_ai.usage.output_tokens"),
        json!({"doubleValue": 18_446_744_073_709_551_615_u64 as f64}),
        "an integer of OTLP has 63 bits and a sign"
    );
    let details = text(&span, "langfuse.observation.usage_details");
    assert_eq!(
        details,
        r#"{"input":1234567890123,"output":18446744073709551615}"#
    );
}

#[test]
fn integers_that_some_servers_misread_in_protobuf_are_doubles() {
    for (number, expected) in [
        (json!(2_147_483_647), json!({"intValue": "2147483647"})),
        (
            json!(2_147_483_648_u64),
            json!({"doubleValue": 2_147_483_648.0}),
        ),
        (
            json!(1_772_600_767_127_u64),
            json!({"doubleValue": 1_772_600_767_127.0}),
        ),
        (json!(0), json!({"intValue": "0"})),
        (json!(-1), json!({"doubleValue": -1.0})),
    ] {
        let span = mapped(&json!({"metadata": {"n": number}, "attributes": {"n": number}}));
        assert_eq!(attribute(&span, "mastra.metadata.n"), expected);
        assert_eq!(
            attribute(&span, "langfuse.observation.metadata.n"),
            expected
        );
    }
}

#[test]
fn unicode_separators_and_escapes_survive() {
    let mut batch = event(&json!({}));
    let odd = "\"x\u{2028}\\ud83d\\ude00 \\ud800 \\\"q\\\" \\u0000\"";
    batch.spans[0].input = Some(format!("{{\"k\":{odd}}}"));
    batch.spans[0].output = Some(odd.to_owned());
    batch.spans[0].name = "ünï \u{1}\"\u{2028}".to_owned();
    let span = first_span(&batch, &json!({}));
    let input = text(&span, "langfuse.observation.input");
    assert_eq!(
        input,
        format!("{{\"k\":{odd}}}"),
        "the JSON text stays as it came"
    );
    // Half a surrogate pair is no character.
    assert_eq!(
        text(&span, "langfuse.observation.output"),
        "x\u{2028}\u{1f600} \u{fffd} \"q\" \0"
    );
    assert_eq!(span["name"], "ünï ");
}

#[test]
fn empty_and_null_values_are_kept_or_left_out_as_they_should() {
    let span = mapped(&json!({
        "name": "", "type": "new_kind", "input": null, "output": "", "attributes": {"a": null, "b": [1], "c": 1.5},
        "metadata": {"x": null, "userId": null, "sessionId": null, "threadId": "t", "traceName": null, "y": false},
    }));
    assert_eq!(span["name"], "new_kind");
    assert_eq!(text(&span, "langfuse.observation.input"), "null");
    assert_eq!(text(&span, "langfuse.observation.output"), "");
    assert_eq!(attribute(&span, "mastra.metadata.x"), Value::Null);
    assert_eq!(
        attribute(&span, "mastra.metadata.y"),
        json!({"boolValue": false})
    );
    assert_eq!(attribute(&span, "user.id"), Value::Null);
    assert_eq!(text(&span, "session.id"), "t");
    assert_eq!(attribute(&span, "langfuse.trace.name"), Value::Null);
    assert_eq!(
        attribute(&span, "langfuse.observation.metadata.a"),
        Value::Null
    );
    assert_eq!(text(&span, "langfuse.observation.metadata.b"), "[1]");
    assert_eq!(
        attribute(&span, "langfuse.observation.metadata.c"),
        json!({"doubleValue": 1.5})
    );
}

#[test]
fn span_types_and_keys_with_escapes_stay_what_they_are() {
    let span = mapped(&json!({"type": "q\"\\", "entityId": "e\n", "metadata": {"k\"\\": "v\""}}));
    assert_eq!(text(&span, "mastra.span.type"), "q\"\\");
    assert_eq!(text(&span, "mastra.metadata.k\"\\"), "v\"");
    assert_eq!(span["name"], "q\"\\ e\n");
}

#[test]
fn metadata_that_is_no_object_is_ignored() {
    let mut batch = event(&json!({}));
    batch.spans[0].metadata = Some("null".to_owned());
    batch.spans[0].attributes = Some("null".to_owned());
    assert_eq!(
        text(&first_span(&batch, &json!({})), "mastra.span.type"),
        "generic"
    );
}

#[test]
fn root_generations_carry_model_and_usage_and_inner_ones_do_not() {
    let attributes = json!({"model": "m", "responseModel": "m-1", "usage": {"inputTokens": 3}, "parameters": {"topP": 1}});
    let usage = |is_root: bool, setting: &str| {
        let mut span =
            json!({"type": "model_generation", "isRootSpan": is_root, "attributes": attributes});
        if !is_root {
            span["parentSpanId"] = json!("a1");
        }
        let span = first_span(&event(&span), &json!({"generation_usage": setting}));
        (
            text(&span, "langfuse.observation.usage_details"),
            text(&span, "langfuse.observation.model.name"),
        )
    };
    let given = (json!(r#"{"input":3}"#), json!("m-1"));
    let nothing = (Value::Null, Value::Null);
    assert_eq!(usage(true, "roots"), given);
    assert_eq!(usage(false, "roots"), nothing);
    assert_eq!(usage(false, "all"), given);
    assert_eq!(usage(true, "none"), nothing);
}

#[test]
fn environment_and_release_are_on_every_span() {
    let span = first_span(
        &event(&json!({})),
        &json!({"environment": "staging", "release": "v1"}),
    );
    assert_eq!(text(&span, "langfuse.environment"), "staging");
    assert_eq!(text(&span, "langfuse.release"), "v1");
}

#[test]
fn prompts_versions_and_trace_metadata_come_from_the_metadata() {
    let span = mapped(&json!({"metadata": {
        "version": "1.4", "langfuse": {"prompt": {"name": "p", "version": 3, "id": "x"}, "release": "blue", "n": {"a": 1}},
    }}));
    assert_eq!(text(&span, "langfuse.version"), "1.4");
    assert_eq!(text(&span, "langfuse.observation.prompt.name"), "p");
    assert_eq!(
        attribute(&span, "langfuse.observation.prompt.version"),
        json!({"intValue": "3"})
    );
    assert_eq!(text(&span, "langfuse.trace.metadata.release"), "blue");
    assert_eq!(text(&span, "langfuse.trace.metadata.n"), r#"{"a":1}"#);
    assert_eq!(attribute(&span, "mastra.metadata.langfuse"), Value::Null);
}

#[test]
fn spans_are_grouped_by_resource_with_the_configured_name_as_default() {
    let mut batch = event(&json!({"metadata": {"serviceName": "a"}}));
    batch.spans.extend(event(&json!({})).spans);
    batch.spans.push(batch.spans[0].clone());
    let request = request(&batch, &json!({"service_name": "fallback"}));
    let groups = request["resourceSpans"].as_array().unwrap();
    let names: Vec<_> = groups
        .iter()
        .map(|group| &group["resource"]["attributes"][0]["value"]["stringValue"])
        .collect();
    assert_eq!(names, ["a", "fallback"]);
    assert_eq!(
        groups[0]["scopeSpans"][0]["spans"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[test]
fn spans_of_otlp_senders_pass_through() {
    let mut batch = event(&json!({"name": "GET /: x", "attributes": {
        "s": "t", "i": 9_007_199_254_740_993_u64, "d": 2.0, "b": {"$bytes": "AAE="}, "l": [1, {"k": null}],
    }}));
    batch.spans[0].otel = Some(OtelSpan {
        kind: SpanKind::Producer,
        status: SpanStatus {
            code: StatusCode::Error,
            message: "bad".to_owned(),
        },
        trace_state: Some("a=b".to_owned()),
        flags: 1,
        links: vec![SpanLink {
            trace_id: "1".to_owned(),
            span_id: "2".to_owned(),
            trace_state: None,
            attributes: Some(r#"{"k":true}"#.to_owned()),
            dropped_attributes_count: 3,
            flags: 0,
        }],
        events: Vec::new(),
        dropped_attributes_count: 4,
        dropped_events_count: 5,
        dropped_links_count: 6,
        scope_index: Some(0),
    });
    batch.scopes.push(EventScope {
        name: "lib".to_owned(),
        version: None,
        attributes: None,
        schema_url: None,
        dropped_attributes_count: 0,
        extra: None,
    });
    let whole = request(&batch, &json!({}));
    let group = &whole["resourceSpans"][0]["scopeSpans"][0];
    let span = &group["spans"][0];
    assert_eq!(group["scope"]["name"], "lib");
    assert_eq!(
        (&span["name"], &span["kind"], &span["flags"]),
        (&json!("GET /: x"), &json!(4), &json!(1))
    );
    assert_eq!(span["status"], json!({"code": 2, "message": "bad"}));
    assert_eq!(span["links"][0]["spanId"], "0000000000000002");
    assert_eq!(
        attribute(span, "i"),
        json!({"intValue": "9007199254740993"})
    );
    assert_eq!(attribute(span, "d"), json!({"doubleValue": 2.0}));
    assert_eq!(attribute(span, "b"), json!({"bytesValue": "AAE="}));
    let list = json!({"arrayValue": {"values": [
        {"intValue": "1"}, {"kvlistValue": {"values": [{"key": "k", "value": {}}]}},
    ]}});
    assert_eq!(attribute(span, "l"), list);
    assert_eq!(attribute(span, "mastra.span.type"), Value::Null);
}

#[test]
fn logs_become_events_with_ids_of_their_own() {
    let line = json!({"type": "log", "log": {
        "logId": "755e59a7-69ba-42c1-876d-077a0a20a740", "timestamp": "2026-03-04T05:06:07.003Z", "level": "warn",
        "message": "slow\nbackend", "data": {"latencyMs": 900, "nothing": null}, "traceId": "1", "spanId": "2",
        "correlationContext": {"userId": "u", "threadId": "t", "tags": ["a"]},
    }});
    let batch = batches(&line.to_string()).logs;
    let (body, skipped) = logs::request(&batch, &config(&json!({})));
    let body = from_protobuf(Signal::Traces, &body).unwrap();
    let span = &body["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!(skipped, [None]);
    assert_eq!(span["parentSpanId"], "0000000000000002");
    assert_eq!(span["name"], "slow");
    assert_eq!(text(span, "langfuse.observation.type"), "event");
    assert_eq!(text(span, "langfuse.observation.level"), "WARNING");
    assert_eq!(
        text(span, "langfuse.observation.status_message"),
        "slow\nbackend"
    );
    assert_eq!(text(span, "langfuse.observation.output"), "slow\nbackend");
    assert_eq!(
        attribute(span, "langfuse.observation.metadata.latencyMs"),
        json!({"intValue": "900"})
    );
    assert_eq!(text(span, "user.id"), "u");
    assert_eq!(text(span, "session.id"), "t");
    assert_eq!(text(span, "langfuse.trace.tags"), r#"["a"]"#);
    let again = logs::request(&batch, &config(&json!({}))).0;
    assert_eq!(from_protobuf(Signal::Traces, &again).unwrap(), body);
}

#[test]
fn logs_without_a_trace_are_skipped_unless_wanted() {
    let line = json!({"type": "log", "log": {
        "logId": "l", "timestamp": "2026-03-04T05:06:07.003Z", "level": "info", "message": "", "spanId": "2",
    }});
    let batch = batches(&line.to_string()).logs;
    let (_, skipped) = logs::request(&batch, &config(&json!({})));
    assert!(skipped[0].is_some());
    let (body, skipped) =
        logs::request(&batch, &config(&json!({"logs_without_trace": "own-trace"})));
    assert_eq!(skipped, [None]);
    let body = from_protobuf(Signal::Traces, &body).unwrap();
    let span = &body["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!(span["traceId"].as_str().unwrap().len(), 32);
    assert_eq!(span["parentSpanId"], Value::Null);
    assert_eq!(span["name"], "log");
}
