//! Tests of the mappings.

use mastra_exporter_sdk::test_support::batches;
use serde_json::{Value, json};

use super::*;
use crate::config::Settings;

pub(super) fn config(extra: &Value) -> Config {
    let mut settings = json!({"api_key": "{secret:1}", "ml_app": "app"});
    for (key, value) in extra.as_object().unwrap() {
        settings[key] = value.clone();
    }
    serde_json::from_value::<Settings>(settings)
        .unwrap()
        .check()
        .unwrap()
}

fn with(mut base: Value, extra: &Value) -> Value {
    for (key, value) in extra.as_object().unwrap() {
        base[key] = value.clone();
    }
    base
}

fn span_as(extra: &Value, settings: &Value) -> Value {
    let base = json!({
        "id": "0000000000000010", "traceId": "abc", "name": "n", "type": "generic",
        "startTime": "2026-03-04T05:06:07.000Z", "endTime": "2026-03-04T05:06:08.000Z",
    });
    let line = json!({"type": "span_ended", "exportedSpan": with(base, extra)}).to_string();
    let text = spans(&batches(&line).spans, &config(settings)).into_string();
    let body: Value = serde_json::from_str(&text).unwrap();
    body["data"]["attributes"]["spans"][0].clone()
}

fn span_of(extra: &Value) -> Value {
    span_as(extra, &json!({}))
}

#[test]
fn ids_are_decimal_and_a_root_says_undefined() {
    let root = span_of(&json!({}));
    assert_eq!(
        (&root["span_id"], &root["parent_id"], &root["trace_id"]),
        (
            &json!("16"),
            &json!("undefined"),
            &json!("00000000000000000000000000000abc")
        )
    );
    let trace_tag = json!("mastra_trace_id:00000000000000000000000000000abc");
    assert!(root["tags"].as_array().unwrap().contains(&trace_tag));
    let child = span_of(&json!({"parentSpanId": "ff"}));
    assert_eq!(child["parent_id"], "255");
    assert!(!child["tags"].as_array().unwrap().contains(&trace_tag));
}

#[test]
fn an_event_span_is_kept_and_takes_no_time() {
    let event = span_of(&json!({"isEvent": true, "endTime": null, "name": ""}));
    assert_eq!(
        (&event["duration"], &event["name"]),
        (&json!(0), &json!("task"))
    );
    assert_eq!(event["start_ns"], json!(1_772_600_767_000_000_000_u64));
}

#[test]
fn kinds_follow_types_and_a_generation_without_calls_is_a_call() {
    for (span_type, kind) in [
        ("agent_run", "agent"),
        ("workflow_run", "workflow"),
        ("model_generation", "llm"),
        ("model_inference", "llm"),
        ("mcp_tool_call", "tool"),
        ("rag_embedding", "embedding"),
        ("something_new", "task"),
    ] {
        assert_eq!(span_of(&json!({"type": span_type}))["meta"]["kind"], kind);
    }
    let inside = json!({"type": "model_generation", "parentSpanId": "ff", "attributes": {"usage": {"inputTokens": 1}}});
    let inside = span_of(&inside);
    assert_eq!(inside["meta"]["kind"], "workflow");
    assert_eq!(inside["metrics"], json!({}), "its calls carry the tokens");
    let query = json!({"type": "rag_vector_operation", "attributes": {"operation": "query"}});
    assert_eq!(span_of(&query)["meta"]["kind"], "retrieval");
}

#[test]
fn a_call_carries_model_tokens_time_and_money() {
    let call = span_of(&json!({"type": "model_inference", "attributes": {
        "model": "gpt-4o", "provider": "OpenAI", "completionStartTime": "2026-03-04T05:06:07.250Z",
        "parameters": {"temperature": 0.5, "maxOutputTokens": 9},
        "usage": {"inputTokens": 1_234_567_890_123_u64, "outputTokens": 7, "inputDetails": {"cacheRead": 3}},
        "costContext": {"estimatedCost": 0.25, "costUnit": "USD"},
    }}));
    assert_eq!(call["meta"]["model_provider"], "openai");
    assert_eq!(
        call["metrics"],
        json!({
            "input_tokens": 1_234_567_890_123_u64, "output_tokens": 7, "total_tokens": 1_234_567_890_130_u64,
            "cache_read_input_tokens": 3, "time_to_first_token": 0.25, "total_cost": 0.25,
        })
    );
    let metadata = &call["meta"]["metadata"];
    assert_eq!(
        (&metadata["temperature"], &metadata["max_tokens"]),
        (&json!(0.5), &json!(9))
    );
}

fn call_io(input: &Value, output: &Value) -> (Value, Value) {
    let span = span_of(&json!({"type": "model_inference", "input": input, "output": output}));
    (
        span["meta"]["input"].clone(),
        span["meta"]["output"].clone(),
    )
}

#[test]
fn messages_keep_words_calls_and_results() {
    let parts = json!([
        {"type": "text", "text": "Hallo "}, {"type": "text", "text": "Welt 🌍"},
        {"type": "tool-call", "toolCallId": "c", "toolName": "t", "args": "raw"},
        {"type": "tool-result", "toolCallId": "c", "toolName": "t", "result": {"ok": true}},
    ]);
    let (input, output) = call_io(
        &json!({"messages": [{"role": "user", "content": parts}]}),
        &json!({"text": "", "toolCalls": [{"toolCallId": "c", "toolName": "t", "args": {"a": 1}}]}),
    );
    assert_eq!(
        input["messages"],
        json!([{
            "role": "user", "content": "Hallo Welt 🌍",
            "tool_calls": [{"name": "t", "arguments": {"value": "raw"}, "tool_id": "c", "type": "function"}],
            "tool_results": [{"result": "{\"ok\":true}", "name": "t", "tool_id": "c", "type": "function"}],
        }])
    );
    assert_eq!(
        output["messages"],
        json!([{"role": "assistant", "content": "", "tool_calls": [
            {"name": "t", "arguments": {"a": 1}, "tool_id": "c", "type": "function"}]}])
    );
}

#[test]
fn input_and_output_of_any_shape_are_kept() {
    let (input, output) = call_io(&json!("hi"), &json!("ho"));
    assert_eq!(
        input["messages"],
        json!([{"role": "user", "content": "hi"}])
    );
    assert_eq!(
        output["messages"],
        json!([{"role": "assistant", "content": "ho"}])
    );
    let (input, output) = call_io(
        &json!({"contents": [{"role": "user", "parts": [{"text": "gemini"}]}]}),
        &json!({"odd": [1]}),
    );
    assert_eq!(input["messages"][0]["content"], "gemini");
    assert_eq!(output, json!({"value": "{\"odd\":[1]}"}));
    for nothing in [Value::Null, json!("")] {
        let span = span_of(&json!({"input": nothing}));
        assert_eq!(span["meta"]["input"], json!({}));
    }
    assert_eq!(
        span_of(&json!({"input": false}))["meta"]["input"],
        json!({"value": "false"})
    );
    let part = json!([{"role": "user", "content": [{"type": "image", "image": "data:"}]}]);
    let (input, _) = call_io(&part, &Value::Null);
    assert_eq!(
        input["messages"][0]["content"],
        "[{\"type\":\"image\",\"image\":\"data:\"}]"
    );
}

#[test]
fn documents_are_shown_as_documents() {
    let embedding = span_of(&json!({"type": "rag_embedding", "input": ["a", "b"]}));
    assert_eq!(
        embedding["meta"]["input"]["documents"],
        json!([{"text": "a"}, {"text": "b"}])
    );
    let found = json!([{"id": "1", "score": 0.5, "metadata": {"text": "x"}}]);
    let attributes = json!({"operation": "query"});
    let retrieval = span_of(
        &json!({"type": "rag_vector_operation", "attributes": attributes, "output": found}),
    );
    assert_eq!(
        retrieval["meta"]["output"]["documents"],
        json!([{"text": "x", "id": "1", "score": 0.5}])
    );
}

#[test]
fn an_error_has_its_class_message_and_stack() {
    let failed =
        span_of(&json!({"errorInfo": {"message": "no", "category": "USER", "stack": "at"}}));
    assert_eq!(failed["status"], "error");
    assert_eq!(
        failed["meta"]["error"],
        json!({"message": "no", "type": "USER", "stack": "at"})
    );
    let tags = failed["tags"].as_array().unwrap();
    for tag in ["error:true", "error_type:USER", "error.category:USER"] {
        assert!(tags.contains(&json!(tag)), "{tag}");
    }
}

#[test]
fn the_operator_wins_over_the_event_and_empty_labels_are_no_tags() {
    let settings = json!({"service": "s", "env": "e", "version": "1", "tags": "team:ai"});
    let extra = json!({"metadata": {"environment": "staging"}, "tags": ["", ":x", "k:v", "word"]});
    let tags = span_as(&extra, &settings)["tags"].clone();
    let tags: Vec<_> = tags
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| tag.as_str().unwrap())
        .collect();
    for tag in [
        "service:s",
        "env:e",
        "version:1",
        "team:ai",
        "k:v",
        "word:true",
    ] {
        assert!(tags.contains(&tag), "{tag}");
    }
    assert!(
        tags.iter()
            .all(|tag| !tag.starts_with(':') && !tag.is_empty())
    );
    let tags = span_of(&extra)["tags"].to_string();
    assert!(tags.contains("env:staging") && tags.contains("service:app"));
}

#[test]
fn a_span_over_the_limit_loses_its_input_and_output_only() {
    let big = "x".repeat(MAX_SPAN_BYTES);
    let span = span_of(&json!({"input": big, "metadata": {"a": 1}}));
    assert_eq!(span["meta"]["input"]["value"], DROPPED);
    assert_eq!(span["meta"]["metadata"]["a"], 1);
}

fn log_of(extra: &Value) -> Value {
    let base = json!({"logId": "l", "timestamp": "2026-03-04T05:06:07.003Z", "level": "info", "message": "m"});
    let line = json!({"type": "log", "log": with(base, extra)}).to_string();
    let text = logs::logs(&batches(&line).logs, &config(&json!({"env": "a,b"}))).into_string();
    serde_json::from_str::<Value>(&text).unwrap()[0].clone()
}

#[test]
fn logs_are_correlated_and_their_tags_are_one_string() {
    let log =
        log_of(&json!({"traceId": "1", "spanId": "ff", "tags": ["x:y"], "data": {"k": null}}));
    assert_eq!(log["dd.span_id"], "255");
    assert_eq!(log["dd.trace_id"], "00000000000000000000000000000001");
    assert_eq!(log["ddtags"], "env:a_b,service:app,x:y");
    assert_eq!(log["data"], json!({"k": null}));
    for (level, status) in [
        ("debug", "debug"),
        ("warn", "warn"),
        ("error", "error"),
        ("fatal", "critical"),
        ("odd", "info"),
    ] {
        assert_eq!(log_of(&json!({"level": level}))["status"], status);
    }
}

fn feedback_of(extra: &Value) -> Value {
    let base = json!({
        "feedbackId": "f", "timestamp": "2026-03-04T05:06:10.146Z", "traceId": "1", "feedbackType": "thumbs", "value": 1,
    });
    let line = json!({"type": "feedback", "feedback": with(base, extra)}).to_string();
    let batch = batches(&line).feedback;
    let config = config(&json!({}));
    let record = evaluations::feedback(&batch.feedback[0], &batch.resources, &config).unwrap();
    let mut text = JsonText::default();
    record.write(&mut text);
    serde_json::from_str(text.as_str()).unwrap()
}

#[test]
fn feedback_has_the_type_of_its_value_and_one_id() {
    for (extra, metric_type, value) in [
        (json!({"value": -1}), "boolean", json!(false)),
        (json!({"value": "👍"}), "boolean", json!(true)),
        (
            json!({"feedbackType": "rating", "value": 4.5}),
            "score",
            json!(4.5),
        ),
        (
            json!({"feedbackType": "tone", "value": "calm"}),
            "categorical",
            json!("calm"),
        ),
        (
            json!({"feedbackType": "note", "value": "two words"}),
            "text",
            json!("two words"),
        ),
        (
            json!({"feedbackType": "note", "value": ""}),
            "text",
            json!(""),
        ),
    ] {
        let record = feedback_of(&extra);
        assert_eq!(record["metric_type"], metric_type);
        assert_eq!(record[format!("{metric_type}_value")], value);
        assert_eq!(record["submitter"]["id"], "unknown");
    }
    let of_span =
        feedback_of(&json!({"spanId": "ff", "feedbackUserId": "u", "feedbackSource": "qa"}));
    assert_eq!(
        (&of_span["span_id"], of_span.get("trace_id")),
        (&json!("255"), None)
    );
    assert_eq!(of_span["submitter"], json!({"id": "u", "type": "qa"}));
    let of_session = json!({"traceId": null, "correlationContext": {"sessionId": "s"}});
    assert_eq!(feedback_of(&of_session)["session_id"], "s");
}

#[test]
fn a_score_is_joined_to_its_span_or_to_the_root_of_its_trace() {
    let base = json!({
        "scoreId": "s", "timestamp": "2026-03-04T05:06:10.146Z", "traceId": "1", "scorerId": "a.b", "scorerName": "", "score": -2.5,
    });
    let written = |extra: &Value| -> Value {
        let line = json!({"type": "score", "score": with(base.clone(), extra)}).to_string();
        let batch = batches(&line).scores;
        let config = config(&json!({}));
        let record = evaluations::score(&batch.scores[0], &batch.resources, &config).unwrap();
        let mut text = JsonText::default();
        record.write(&mut text);
        serde_json::from_str(text.as_str()).unwrap()
    };
    let of_trace = written(&json!({}));
    assert_eq!(
        of_trace["join_on"],
        json!({"tag": {"key": "mastra_trace_id", "value": "00000000000000000000000000000001"}})
    );
    assert_eq!(
        (
            &of_trace["label"],
            &of_trace["score_value"],
            &of_trace["eval_scope"]
        ),
        (&json!("a_b"), &json!(-2.5), &json!("trace"))
    );
    let of_span = written(&json!({"spanId": "ff", "reason": "ok"}));
    assert_eq!(of_span["join_on"]["span"]["span_id"], "255");
    assert_eq!(of_span["reasoning"], "ok");
    assert_eq!(of_span["timestamp_ms"], json!(1_772_600_770_146_u64));
}
