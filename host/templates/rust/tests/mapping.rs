//! The mapping of events as an application sends them.

use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::test_support::batches;
use serde_json::{Value, json};
use {{snake}}_exporter::mapping;

fn written<R>(map: fn(&mut JsonText, &R), record: &R) -> Value {
    let mut text = JsonText::default();
    map(&mut text, record);
    serde_json::from_str(text.as_str()).unwrap()
}
{{#traces}}

#[test]
fn a_span_keeps_its_json_as_it_came() {
    let event = r#"{"type":"span_ended","exportedSpan":{"id":"s","traceId":"t","name":"say \"hi\"","type":"tool_call",
        "startTime":"2023-11-14T22:13:20.000Z","input":{"n":1.0}}}"#.replace('\n', "");
    let wanted = json!({"id": "s", "trace_id": "t", "name": "say \"hi\"", "type": "tool_call",
        "start_ms": 1_700_000_000_000_u64, "input": {"n": 1.0}});
    assert_eq!(written(mapping::span, &batches(&event).spans.spans[0]), wanted);
}
{{/traces}}
{{#logs}}

#[test]
fn a_log_record() {
    let event = r#"{"type":"log","log":{"logId":"l","timestamp":"2023-11-14T22:13:20.000Z","level":"info","message":"line\nfeed","data":{"a":1}}}"#;
    let wanted = json!({"id": "l", "time_ms": 1_700_000_000_000_u64, "level": "info", "message": "line\nfeed", "data": {"a": 1}});
    assert_eq!(written(mapping::log, &batches(event).logs.logs[0]), wanted);
}
{{/logs}}
{{#metrics}}

#[test]
fn a_metric_has_its_value_and_labels() {
    let event = r#"{"type":"metric","metric":{"metricId":"m","timestamp":"2023-11-14T22:13:20.000Z","name":"latency","value":1.5,"labels":{"model":"x"}}}"#;
    let wanted = json!({"id": "m", "name": "latency", "time_ms": 1_700_000_000_000_u64, "value": 1.5, "labels": {"model": "x"}});
    assert_eq!(written(mapping::metric, &batches(event).metrics.metrics[0]), wanted);
}
{{/metrics}}
{{#scores}}

#[test]
fn a_score() {
    let event = r#"{"type":"score","score":{"scoreId":"s","timestamp":"2023-11-14T22:13:20.000Z","traceId":"t","scorerId":"tone","score":-0.5,"reason":"rude"}}"#;
    let wanted = json!({"id": "s", "trace_id": "t", "scorer": "tone", "value": -0.5, "reason": "rude"});
    assert_eq!(written(mapping::score, &batches(event).scores.scores[0]), wanted);
}
{{/scores}}
{{#feedback}}

#[test]
fn feedback_is_a_number_or_a_text() {
    for value in [json!(1), json!("good")] {
        let event = json!({"type": "feedback", "feedback": {"feedbackId": "f", "timestamp": "2023-11-14T22:13:20.000Z",
            "feedbackType": "thumbs", "value": value}});
        let wanted = json!({"id": "f", "type": "thumbs", "value": value});
        assert_eq!(written(mapping::feedback, &batches(&event.to_string()).feedback.feedback[0]), wanted);
    }
}
{{/feedback}}
