//! Tests of the mappings.

use mastra_exporter_sdk::records::{
    Instrument, MetricNumber, MetricValue, Observation, SumPoint, Temporality,
};
use mastra_exporter_sdk::test_support::batches;
use serde_json::{Value, json};

use super::*;
use crate::config::Settings;

fn config() -> Config {
    let settings = json!({"dsn": "https://abc@h/1"});
    serde_json::from_value::<Settings>(settings)
        .unwrap()
        .check()
        .unwrap()
}

fn payload(envelope: &[u8]) -> Value {
    let text = std::str::from_utf8(envelope).unwrap();
    serde_json::from_str(text.lines().nth(2).unwrap()).unwrap()
}

fn with(mut base: Value, extra: &Value) -> Value {
    for (key, value) in extra.as_object().unwrap() {
        base[key] = value.clone();
    }
    base
}

fn span_of(extra: &Value) -> Value {
    let base = json!({
        "id": "10", "traceId": "abc", "name": "n", "type": "generic",
        "startTime": "2026-03-04T05:06:07.250Z", "endTime": "2026-03-04T05:06:08.000Z",
    });
    let line = json!({"type": "span_ended", "exportedSpan": with(base, extra)}).to_string();
    let batch = batches(&line).spans;
    let spans: Vec<_> = batch.spans.iter().collect();
    payload(&super::spans(&spans, &batch, &config()))["items"][0].clone()
}

#[test]
fn ids_have_their_width_and_times_are_seconds() {
    let span = span_of(&json!({}));
    assert_eq!(span["span_id"], "0000000000000010");
    assert_eq!(span["trace_id"], "00000000000000000000000000000abc");
    assert_eq!(span["start_timestamp"], json!(1_772_600_767.25));
    assert_eq!(span["end_timestamp"], json!(1_772_600_768));
    assert_eq!(
        (&span["is_segment"], span.get("parent_span_id")),
        (&json!(true), None)
    );
    let child = span_of(&json!({"parentSpanId": "ff", "isEvent": true, "endTime": null}));
    assert_eq!(child["parent_span_id"], "00000000000000ff");
    assert_eq!(child["is_segment"], false);
    assert_eq!(
        child["start_timestamp"], child["end_timestamp"],
        "a point in time"
    );
}

#[test]
fn attributes_are_typed_and_structures_are_their_text() {
    let metadata = json!({"i": 7, "d": 0.5, "big": 18_446_744_073_709_551_615_u64, "b": true, "s": "ü 🌍", "o": {"a": null}, "n": null});
    let span = span_of(&json!({"metadata": metadata, "input": {"q": 1}}));
    let attributes = &span["attributes"];
    for (key, value_type, value) in [
        ("metadata.i", "integer", json!(7)),
        ("metadata.d", "double", json!(0.5)),
        (
            "metadata.big",
            "double",
            json!(18_446_744_073_709_551_615_u64),
        ),
        ("metadata.b", "boolean", json!(true)),
        ("metadata.s", "string", json!("ü 🌍")),
        ("metadata.o", "string", json!("{\"a\":null}")),
        ("input", "string", json!("{\"q\":1}")),
        ("sentry.environment", "string", json!("production")),
    ] {
        assert_eq!(
            attributes[key],
            json!({"type": value_type, "value": value}),
            "{key}"
        );
    }
    assert!(attributes.get("metadata.n").is_none());
}

#[test]
fn operations_are_sentrys() {
    for (span_type, op) in [
        ("agent_run", "gen_ai.invoke_agent"),
        ("model_generation", "gen_ai.chat"),
        ("mcp_tool_call", "gen_ai.execute_tool"),
        ("rag_embedding", "gen_ai.embeddings"),
        ("workflow_step", "workflow.step"),
        ("something_new", "ai.span"),
    ] {
        let span = span_of(&json!({"type": span_type}));
        assert_eq!(span["attributes"]["sentry.op"]["value"], op);
    }
}

#[test]
fn tokens_stand_on_the_generation_alone() {
    let attributes =
        json!({"model": "m", "usage": {"inputTokens": 1_234_567_890_123_u64, "outputTokens": 1}});
    let tokens = |span_type: &str| {
        let span = span_of(&json!({"type": span_type, "attributes": attributes}));
        span["attributes"]["gen_ai.usage.total_tokens"]["value"].clone()
    };
    assert_eq!(tokens("model_generation"), json!(1_234_567_890_124_u64));
    assert_eq!(tokens("model_inference"), Value::Null);
}

#[test]
fn an_error_is_a_status() {
    let failed = span_of(&json!({"errorInfo": {"message": "no", "name": "TypeError"}}));
    assert_eq!(failed["status"], "error");
    assert_eq!(failed["attributes"]["error.type"]["value"], "TypeError");
}

#[test]
fn a_log_without_a_trace_has_one_of_its_own() {
    let line = |extra: &Value| {
        let base = json!({"logId": "l", "timestamp": "2026-03-04T05:06:07.003Z", "level": "warning", "message": ""});
        let line = json!({"type": "log", "log": with(base, extra)}).to_string();
        payload(&logs::logs(&batches(&line).logs, &config()))["items"][0].clone()
    };
    let alone = line(&json!({}));
    assert_eq!(alone["trace_id"].as_str().unwrap().len(), 32);
    assert_eq!(
        (&alone["level"], &alone["severity_number"]),
        (&json!("warn"), &json!(13))
    );
    let inside =
        line(&json!({"traceId": "1", "spanId": "2", "level": "fatal", "data": {"k": [1]}}));
    assert_eq!(inside["trace_id"], "00000000000000000000000000000001");
    assert_eq!(inside["attributes"]["data.k"]["value"], "[1]");
    assert_eq!(inside["level"], "fatal");
}

fn metric_of(value: MetricValue) -> Result<Value, String> {
    let line = r#"{"type":"metric","metric":{"metricId":"m","timestamp":"2026-03-04T05:06:07.003Z","name":"n","value":1,"labels":{"a\"b":"","k":"v"}}}"#;
    let mut batch = batches(line).metrics;
    batch.metrics[0].value = value;
    batch.metrics[0].unit = Some("ms".to_owned());
    match metrics::skipped(&batch.metrics[0]) {
        Some(reason) => Err(reason),
        None => Ok(payload(&metrics::metrics(&batch, &config()))["items"][0].clone()),
    }
}

#[test]
fn measurements_are_counters_gauges_and_distributions() {
    for (instrument, metric_type) in [
        (Instrument::Counter, "counter"),
        (Instrument::Gauge, "gauge"),
        (Instrument::Histogram, "distribution"),
    ] {
        let metric = metric_of(MetricValue::Single(Observation {
            value: 2.5,
            instrument,
        }))
        .unwrap();
        assert_eq!(
            (&metric["type"], &metric["value"]),
            (&json!(metric_type), &json!(2.5))
        );
        assert_eq!(metric["unit"], "millisecond");
        assert_eq!(metric["attributes"]["a\"b"]["value"], "");
    }
    let sum = |temporality, is_monotonic| {
        metric_of(MetricValue::Sum(SumPoint {
            value: MetricNumber::Integer(3),
            temporality,
            is_monotonic,
        }))
    };
    assert_eq!(sum(Temporality::Delta, true).unwrap()["type"], "counter");
    assert_eq!(
        sum(Temporality::Cumulative, false).unwrap()["type"],
        "gauge"
    );
    assert!(sum(Temporality::Cumulative, true).is_err());
    let nothing = Observation {
        value: f64::NAN,
        instrument: Instrument::Gauge,
    };
    assert!(metric_of(MetricValue::Single(nothing)).is_err());
}

#[test]
fn feedback_is_a_message_that_opens_with_the_rating() {
    let written = |extra: &Value| {
        let base = json!({"feedbackId": "f", "timestamp": "2026-03-04T05:06:10.146Z", "feedbackType": "rating", "value": 4});
        let line = json!({"type": "feedback", "feedback": with(base, extra)}).to_string();
        let batch = batches(&line).feedback;
        payload(&feedback::feedback(
            &batch.feedback[0],
            &batch.resources,
            &config(),
        ))
    };
    let rated = written(&json!({"comment": "Nice", "traceId": "1", "feedbackUserId": "u"}));
    assert_eq!(
        rated["contexts"]["feedback"]["message"],
        "rating: 4\n\nNice"
    );
    assert_eq!(
        rated["contexts"]["trace"]["trace_id"],
        "00000000000000000000000000000001"
    );
    let long = written(&json!({"value": "ü".repeat(5_000)}));
    let message = long["contexts"]["feedback"]["message"].as_str().unwrap();
    assert_eq!(message.chars().count(), 4_096);
    assert!(long["contexts"].get("trace").is_none());
}
