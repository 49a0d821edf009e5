use mastra_exporter_sdk::test_support::batches;
use serde_json::{Value, json};

use super::*;
use crate::config::Settings;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn config(extra: &Value) -> Config {
    let mut settings = json!({"api_key": "phc_1"});
    for (key, value) in extra.as_object().unwrap() {
        settings[key] = value.clone();
    }
    serde_json::from_value::<Settings>(settings)
        .unwrap()
        .check()
        .unwrap()
}

fn written(event: &Event<'_>) -> Value {
    let mut text = JsonText::default();
    event.write(&mut text);
    serde_json::from_str(text.as_str()).unwrap_or_else(|error| panic!("{error}: {}", text.as_str()))
}

fn mapped_with(extra: &Value, config: &Config) -> Vec<Value> {
    let mut whole = json!({
        "id": "00f067aa0ba902b7", "traceId": TRACE, "name": "n", "type": "generic", "parentSpanId": "b7ad6b7169203331",
        "startTime": "2026-03-04T05:06:07.003Z", "endTime": "2026-03-04T05:06:08.000Z", "isEvent": false, "isRootSpan": false,
    });
    for (key, value) in extra.as_object().unwrap() {
        whole[key] = value.clone();
    }
    if whole["isRootSpan"] == true || whole["isEvent"] == true {
        let gone = if whole["isRootSpan"] == true {
            "parentSpanId"
        } else {
            "endTime"
        };
        whole.as_object_mut().unwrap().remove(gone);
    }
    let batch = batches(&json!({"type": "span_ended", "exportedSpan": whole}).to_string()).spans;
    events(&batch.spans[0], config)
        .iter()
        .map(written)
        .collect()
}

fn mapped(extra: &Value) -> Value {
    let mut events = mapped_with(extra, &config(&json!({})));
    assert_eq!(events.len(), 1);
    events.remove(0)
}

#[test]
fn a_span_ends_at_its_time_and_took_seconds() {
    let event = mapped(
        &json!({"attributes": {"status": "ok", "$ai_trace_id": "forged"}, "metadata": {"userId": "u", "k": 1}}),
    );
    assert_eq!(
        (&event["event"], &event["distinct_id"]),
        (&json!("$ai_span"), &json!("u"))
    );
    assert_eq!(event["timestamp"], "2026-03-04T05:06:08.000Z");
    let properties = &event["properties"];
    assert_eq!(
        (&properties["$ai_latency"], &properties["$ai_is_error"]),
        (&json!(0.997), &json!(false))
    );
    assert_eq!(
        (&properties["$ai_span_id"], &properties["$ai_parent_id"]),
        (&json!("00f067aa0ba902b7"), &json!("b7ad6b7169203331"))
    );
    assert_eq!(
        (
            &properties["$ai_trace_id"],
            &properties["status"],
            &properties["k"]
        ),
        (&json!(TRACE), &json!("ok"), &json!(1))
    );
    assert!(
        properties.get("userId").is_none() && properties.get("$process_person_profile").is_none()
    );
}

#[test]
fn an_event_keeps_its_id_name_person_and_time_when_it_comes_again() {
    let span = json!({"metadata": {"userId": "u"}});
    let (first, second) = (mapped(&span), mapped(&span));
    for key in ["event", "uuid", "distinct_id", "timestamp"] {
        assert_eq!(first[key], second[key]);
    }
    assert_ne!(
        mapped(&json!({"id": "00f067aa0ba902b8"}))["uuid"],
        first["uuid"]
    );
}

#[test]
fn a_root_is_a_trace_with_its_tags() {
    let event = mapped(
        &json!({"isRootSpan": true, "tags": ["prod", "tier:\"gold\"", "$ai_trace_id"], "input": [1], "output": null}),
    );
    assert_eq!(event["event"], "$ai_trace");
    let properties = &event["properties"];
    assert_eq!(
        (&properties["prod"], &properties["tier:\"gold\""]),
        (&json!(true), &json!(true))
    );
    assert_eq!(
        (&properties["$ai_trace_id"], &properties["$ai_span_id"]),
        (&json!(TRACE), &json!("00f067aa0ba902b7"))
    );
    assert_eq!(
        (
            &properties["$ai_input_state"],
            properties.get("$ai_output_state")
        ),
        (&json!([1]), None)
    );
    assert!(properties.get("$ai_parent_id").is_none());
}

fn generation() -> Value {
    json!({"type": "model_generation",
        "input": {"messages": [{"role": "user", "content": "Olá ☀️"}, {"role": "assistant", "content": [
            {"type": "tool-call", "toolCallId": "c", "toolName": "f", "args": {"a": 1}}, {"type": "image", "image": "x"}]}]},
        "output": {"text": "", "toolCalls": [{"toolCallId": "d", "toolName": "g", "args": {}}]},
        "attributes": {"model": "gpt", "provider": "openai", "streaming": true, "finishReason": "stop",
            "parameters": {"temperature": 0.5, "maxOutputTokens": 9},
            "tools": [{"type": "function", "name": "f", "description": "d"}],
            "usage": {"inputTokens": 1_234_567_890_123_u64, "outputTokens": 5, "inputDetails": {"cacheRead": 3, "cacheWrite": 2,
                "cacheWrite5m": 1, "cacheWrite1h": 1}, "outputDetails": {"reasoning": 1}},
            "costContext": {"estimatedCost": 0.5, "costUnit": "USD", "costMetadata": {"source": "provider_reported"}},
            "completionStartTime": "2026-03-04T05:06:07.128Z"}})
}

#[test]
fn a_model_call_has_messages_tokens_and_cost() {
    let event = mapped(&generation());
    assert_eq!(event["event"], "$ai_generation");
    let properties = &event["properties"];
    assert_eq!(
        properties["$ai_input"],
        json!([
        {"role": "user", "content": [{"type": "text", "text": "Olá ☀️"}]},
        {"role": "assistant", "content": [{"type": "function", "id": "c", "function": {"name": "f", "arguments": {"a": 1}}},
            {"type": "image", "image": "x"}]}])
    );
    assert_eq!(
        properties["$ai_output_choices"],
        json!([{"role": "assistant", "content": [
        {"type": "function", "id": "d", "function": {"name": "g", "arguments": {}}}]}])
    );
    assert_eq!(
        properties["$ai_tools"],
        json!([{"type": "function", "function": {"name": "f", "description": "d"}}])
    );
    for (key, value) in [
        ("$ai_model", json!("gpt")),
        ("$ai_provider", json!("openai")),
        ("$ai_input_tokens", json!(1_234_567_890_123_u64)),
        ("$ai_output_tokens", json!(5)),
        ("$ai_cache_read_input_tokens", json!(3)),
        ("$ai_cache_creation_input_tokens", json!(2)),
        ("$ai_reasoning_tokens", json!(1)),
        ("$ai_cache_reporting_exclusive", json!(false)),
        ("$ai_temperature", json!(0.5)),
        ("$ai_max_tokens", json!(9)),
        ("$ai_stream", json!(true)),
        ("$ai_stop_reason", json!("stop")),
        ("$ai_time_to_first_token", json!(0.125)),
        ("$ai_total_cost_usd", json!(0.5)),
        ("$ai_generation_id", json!("00f067aa0ba902b7")),
    ] {
        assert_eq!(properties[key], value, "{key}");
    }
}

#[test]
fn a_root_that_is_a_model_call_is_a_trace_and_keeps_its_model() {
    let mut span = generation();
    span["isRootSpan"] = true.into();
    let events = mapped_with(&span, &config(&json!({})));
    assert_eq!(
        (&events[0]["event"], &events[1]["event"]),
        (&json!("$ai_trace"), &json!("$ai_generation"))
    );
    assert_ne!(events[0]["uuid"], events[1]["uuid"]);
    assert_eq!(events[1]["properties"]["$ai_parent_id"], TRACE);
    assert_eq!(events[1]["properties"]["$ai_model"], "gpt");
    assert!(
        events[0]["properties"].get("$ai_span_id").is_none(),
        "it is the generation's"
    );
}

#[test]
fn a_model_call_without_anything_still_has_a_model() {
    let properties =
        mapped(&json!({"type": "model_generation", "input": "hi", "output": {"object": {"a": 1}}}))
            ["properties"]
            .clone();
    assert_eq!(
        (&properties["$ai_model"], &properties["$ai_provider"]),
        (&json!("unknown-model"), &json!("unknown-provider"))
    );
    assert_eq!(
        properties["$ai_input"],
        json!([{"role": "user", "content": [{"type": "text", "text": "hi"}]}])
    );
    let whole = json!([{"role": "assistant", "content": [{"type": "text", "text": "{\"object\":{\"a\":1}}"}]}]);
    assert_eq!(properties["$ai_output_choices"], whole);
}

#[test]
fn strangers_are_their_trace_or_whom_the_settings_name() {
    let stranger = mapped(&json!({}));
    assert_eq!(
        (
            &stranger["distinct_id"],
            &stranger["properties"]["$process_person_profile"]
        ),
        (&json!(TRACE), &json!(false))
    );
    let named = mapped_with(&json!({}), &config(&json!({"default_distinct_id": "app"}))).remove(0);
    assert_eq!(
        (
            &named["distinct_id"],
            named["properties"].get("$process_person_profile")
        ),
        (&json!("app"), None)
    );
    let long = mapped(&json!({"metadata": {"userId": "é".repeat(300)}}));
    assert_eq!(long["distinct_id"].as_str().unwrap().chars().count(), 200);
}

#[test]
fn a_session_is_one_when_posthog_takes_its_id() {
    let good = mapped(&json!({"metadata": {"sessionId": "s-1"}}))["properties"].clone();
    assert_eq!(
        (&good["$ai_session_id"], good.get("sessionId")),
        (&json!("s-1"), None)
    );
    let bad = mapped(&json!({"metadata": {"sessionId": "s/1"}}))["properties"].clone();
    assert_eq!(
        (bad.get("$ai_session_id"), &bad["sessionId"]),
        (None, &json!("s/1"))
    );
}

#[test]
fn errors_and_event_spans_and_chunks_have_their_places() {
    let event = mapped(
        &json!({"isEvent": true, "type": "model_chunk", "attributes": {"chunkType": "text", "sequenceNumber": 0},
        "errorInfo": {"message": "no", "id": "E", "category": "USER"}}),
    );
    let properties = &event["properties"];
    assert_eq!(
        (&event["timestamp"], &properties["$ai_latency"]),
        (&json!("2026-03-04T05:06:07.003Z"), &json!(0))
    );
    assert_eq!(
        properties["$ai_error"],
        json!({"message": "no", "id": "E", "category": "USER"})
    );
    assert_eq!(
        (&properties["error_message"], &properties["$ai_is_error"]),
        (&json!("no"), &json!(true))
    );
    assert_eq!(
        (
            &properties["chunk_type"],
            &properties["chunk_sequence_number"]
        ),
        (&json!("text"), &json!(0))
    );
}

fn judged(event: &Value) -> Result<Value, &'static str> {
    let (all, config) = (batches(&event.to_string()), config(&json!({})));
    let scores = all
        .scores
        .scores
        .iter()
        .map(|score| judgements::score(score, &config));
    let items = all
        .feedback
        .feedback
        .iter()
        .map(|item| judgements::feedback(item, &config));
    scores
        .chain(items)
        .next()
        .unwrap()
        .map(|event| written(&event))
}

#[test]
fn a_score_is_a_metric_with_its_value_as_text() {
    let mut event = json!({"type": "score", "score": {"scoreId": "s", "timestamp": "2026-03-04T05:06:10.146Z",
        "scorerId": "relevance", "scorerName": "", "score": -42.5, "reason": "why", "traceId": TRACE, "spanId": "b",
        "correlationContext": {"userId": "u", "sessionId": "x"}}});
    let metric = judged(&event).unwrap();
    assert_eq!(
        (&metric["event"], &metric["distinct_id"]),
        (&json!("$ai_metric"), &json!("u"))
    );
    let properties = &metric["properties"];
    assert_eq!(
        (
            &properties["$ai_metric_name"],
            &properties["$ai_metric_value"]
        ),
        (&json!("relevance"), &json!("-42.5"))
    );
    assert_eq!(
        (&properties["$ai_span_id"], &properties["$ai_parent_id"]),
        (&json!("b"), &json!("b"))
    );
    assert_eq!(
        (&properties["$ai_session_id"], &properties["reason"]),
        (&json!("x"), &json!("why"))
    );
    event["score"].as_object_mut().unwrap().remove("spanId");
    assert!(
        judged(&event).unwrap()["properties"]
            .get("$ai_span_id")
            .is_none(),
        "about the whole trace"
    );
    event["score"].as_object_mut().unwrap().remove("traceId");
    assert_eq!(judged(&event), Err("a score without a trace"));
}

#[test]
fn feedback_has_words_and_its_value_as_it_came() {
    let item = |value: Value, comment: Value| {
        judged(
            &json!({"type": "feedback", "feedback": {"feedbackId": "f", "timestamp": "2026-03-04T05:06:10.146Z",
            "feedbackType": "rating", "value": value, "comment": comment, "traceId": TRACE, "feedbackUserId": "u"}}),
        )
    };
    for (value, comment, words) in [
        (json!(4), json!(null), "4"),
        (json!("up"), json!("Nice!"), "Nice!"),
        (json!("Retry"), json!(""), "Retry"),
    ] {
        let event = item(value.clone(), comment).unwrap();
        assert_eq!(
            (
                &event["properties"]["$ai_feedback_text"],
                &event["properties"]["feedback_value"]
            ),
            (&json!(words), &value)
        );
        assert_eq!(event["distinct_id"], "u");
    }
    assert_eq!(item(json!(""), json!("")), Err("feedback without a value"));
}

#[test]
fn logs_are_records_with_or_without_a_trace() {
    let record = |extra: Value| {
        let mut log = json!({"logId": "l", "timestamp": "2026-03-04T05:06:07.003Z", "level": "warn", "message": "é",
            "data": {"n": 1, "user.id": "x", "z": null}, "metadata": {"k": {"a": 1}}, "correlationContext": {"userId": "u", "serviceName": "bot"}});
        for (key, value) in extra.as_object().unwrap() {
            log[key] = value.clone();
        }
        let batch = batches(&json!({"type": "log", "log": log}).to_string()).logs;
        let body: Value = serde_json::from_str(logs::request(&batch).as_str()).unwrap();
        body["resourceLogs"][0].clone()
    };
    let of_resource = record(json!({"traceId": TRACE, "spanId": "ab"}));
    assert_eq!(
        of_resource["resource"]["attributes"],
        json!([{"key": "service.name", "value": {"stringValue": "bot"}}])
    );
    let log = &of_resource["scopeLogs"][0]["logRecords"][0];
    assert_eq!(
        (&log["severityNumber"], &log["body"]),
        (&json!(13), &json!({"stringValue": "é"}))
    );
    assert_eq!(
        (&log["traceId"], &log["spanId"]),
        (&json!(TRACE), &json!("00000000000000ab"))
    );
    let keys: Vec<_> = log["attributes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|attribute| attribute["key"].as_str().unwrap())
        .collect();
    assert_eq!(keys, ["mastra.log.id", "user.id", "n", "mastra.metadata.k"]);
    assert!(
        record(json!({}))["scopeLogs"][0]["logRecords"][0]
            .get("traceId")
            .is_none()
    );
}
