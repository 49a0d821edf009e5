//! Promises of the room as a whole, over the recorded events of `tests/corpus/`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::decode::{self, record};
use super::instrument::Instruments;
use super::records::*;
use super::{Event, EventKind, Source};

const CORPUS: &str = include_str!("../../../../tests/corpus/events.ndjson");

mod generated;
mod identity;
mod rebuild;
mod refusals;

use rebuild::rebuild;

fn kind_of(name: &str) -> EventKind {
    EventKind::ALL
        .into_iter()
        .find(|kind| kind.type_name() == name)
        .unwrap()
}

fn corpus() -> Vec<(EventKind, Value)> {
    CORPUS
        .lines()
        .map(|line| {
            let mut envelope: Value = serde_json::from_str(line).unwrap();
            let kind = kind_of(envelope["type"].as_str().unwrap());
            (kind, envelope[kind.payload_key()].take())
        })
        .collect()
}

fn event(kind: EventKind, value: &Value) -> Event {
    event_from(kind, &value.to_string()).unwrap()
}

fn event_from(kind: EventKind, text: &str) -> Result<Event, crate::event::fields::FieldError> {
    Event::from_json(kind, Bytes::from(text.to_owned()), 1, Arc::default())
}

/// Key order does not matter for equality of `serde_json` objects.
fn assert_nothing_lost(kind: EventKind, value: &Value) {
    let event = event(kind, value);
    let decoded = record(&event).unwrap();
    assert_eq!(rebuild(&decoded), *value);
}

#[test]
fn every_leaf_of_every_recorded_event_is_in_its_record() {
    let events = corpus();
    assert_eq!(events.len(), 94);
    for (kind, value) in &events {
        assert_nothing_lost(*kind, value);
    }
}

#[test]
fn unknown_keys_end_in_extra_in_their_order() {
    for (kind, mut value) in corpus() {
        value["zz_unknown"] = json!({"b": [1, null], "a": "x"});
        value["aa_unknown"] = json!("é\"\n");
        assert_nothing_lost(kind, &value);
    }
    let text = r#"{"id":"1","traceId":"2","name":"","type":"x","startTime":"2026-03-04T05:06:07.000Z","z":1.50,"a":{ "k":[] }}"#;
    let span = decode::span(EventKind::SpanEnded, text).unwrap();
    assert_eq!(span.extra.as_deref(), Some(r#"{"z":1.50,"a":{ "k":[] }}"#));
}

#[test]
fn unknown_members_of_contexts_are_kept() {
    let value = json!({
        "metricId": "m", "timestamp": "2026-03-04T05:06:07.000Z", "name": "n", "value": 1.5, "labels": {},
        "correlationContext": {"userId": "u", "newKey": [1]},
        "costContext": {"model": "m", "newCost": {"a": 1}},
    });
    let event = event(EventKind::Metric, &value);
    let Record::Metric(metric) = record(&event).unwrap() else {
        panic!("not a metric")
    };
    assert_eq!(
        metric.correlation.unwrap().extra.as_deref(),
        Some(r#"{"newKey":[1]}"#)
    );
    assert_eq!(
        metric.extra.as_deref(),
        Some(r#"{"costContext":{"newCost":{"a":1}}}"#)
    );
}

#[test]
fn a_recorded_generation_has_its_typed_view() {
    let (kind, value) = corpus()
        .into_iter()
        .find(|(kind, value)| {
            *kind == EventKind::SpanEnded
                && value["attributes"]["costContext"].is_object()
                && value["attributes"]["usage"]["inputDetails"].is_object()
        })
        .or_else(|| {
            corpus().into_iter().find(|(kind, value)| {
                *kind == EventKind::SpanEnded
                    && value["attributes"]["usage"]["inputDetails"].is_object()
            })
        })
        .unwrap();
    let event = event(kind, &value);
    let Record::Span(span) = record(&event).unwrap() else {
        panic!("not a span")
    };
    let model = span.model.unwrap();
    let attributes = &value["attributes"];
    assert_eq!(model.model.as_deref(), attributes["model"].as_str());
    assert_eq!(model.provider.as_deref(), attributes["provider"].as_str());
    assert_eq!(
        model.finish_reason.as_deref(),
        attributes["finishReason"].as_str()
    );
    assert_eq!(model.streaming, attributes["streaming"].as_bool());
    let usage = model.usage.unwrap();
    assert_eq!(
        usage.input_tokens,
        attributes["usage"]["inputTokens"].as_u64()
    );
    assert_eq!(
        usage.input_cache_read,
        attributes["usage"]["inputDetails"]["cacheRead"].as_u64()
    );
    assert_eq!(
        usage.output_reasoning,
        attributes["usage"]["outputDetails"]["reasoning"].as_u64()
    );
}

#[test]
fn the_first_recorded_span_is_read_as_a_person_reads_it() {
    let (kind, value) = corpus().into_iter().next().unwrap();
    let event = event(kind, &value);
    let Record::Span(span) = record(&event).unwrap() else {
        panic!("not a span")
    };
    assert_eq!(span.phase, SpanPhase::Started);
    assert_eq!(span.span_id, "2ef715a36f006237");
    assert_eq!(span.trace_id, "4cdc4db2c6dcc0694acd43abc49c8214");
    assert_eq!(span.name, "agent run: 'weather-agent'");
    assert_eq!(span.span_type, "agent_run");
    assert_eq!(span.entity.entity_name.as_deref(), Some("Weather Agent"));
    assert_eq!(span.start_time, 1_772_600_767_000_000_000);
    assert_eq!(span.end_time, None);
    assert!(span.is_root && !span.is_event && !span.is_internal);
    assert_eq!(span.tags, Some(vec!["prod".into(), "tier:gold".into()]));
    assert_eq!(
        span.resource.unwrap().environment.as_deref(),
        Some("staging")
    );
    assert_eq!(span.model, None);
    assert_eq!(span.output, None);
}

#[test]
fn null_is_absent_for_typed_fields_and_stays_for_free_form_json() {
    let text = r#"{"id":"1","traceId":"2","name":"n","type":"x","startTime":"2026-03-04T05:06:07.000Z","endTime":null,
        "parentSpanId":null,"tags":null,"errorInfo":null,"isEvent":null,"input":null,"metadata":null,"attributes":null}"#;
    let span = decode::span(EventKind::SpanEnded, text).unwrap();
    assert_eq!((span.end_time, span.tags, span.error), (None, None, None));
    assert!(span.is_root);
    assert_eq!(span.input.as_deref(), Some("null"));
    assert_eq!(span.metadata.as_deref(), Some("null"));
    assert_eq!(span.attributes.as_deref(), Some("null"));
    assert_eq!(span.output, None);
}

#[test]
fn platform_copies_stand_in_for_missing_originals_only() {
    let text = r#"{"spanId":"a","spanType":"tool_call","traceId":"2","name":"n","startedAt":"2026-03-04T05:06:07.000Z",
        "endedAt":null,"error":{"message":"m"},"createdAt":"2026-03-04T05:06:07.000Z","updatedAt":null}"#;
    let span = decode::span(EventKind::SpanEnded, text).unwrap();
    assert_eq!((&*span.span_id, &*span.span_type), ("a", "tool_call"));
    assert_eq!(span.error.unwrap().message, "m");
    assert_eq!((span.end_time, span.extra), (None, None));
    let text = r#"{"id":"b","spanId":"a","type":"x","spanType":7,"traceId":"2","name":"n","error":5,"errorInfo":{"message":"o"},
        "startTime":"2026-03-04T05:06:07.000Z","startedAt":"nonsense","endTime":"2026-03-04T05:06:08.000Z","endedAt":null}"#;
    let span = decode::span(EventKind::SpanEnded, text).unwrap();
    assert_eq!((&*span.span_id, &*span.span_type), ("b", "x"));
    assert_eq!(span.error.unwrap().message, "o");
    assert_eq!(span.extra, None);
    assert!(span.end_time.is_some());
}

#[test]
fn deprecated_names_stand_in_and_are_kept_where_both_came() {
    let base = json!({"feedbackId": "f", "timestamp": "2026-03-04T05:06:07Z", "feedbackType": "thumbs", "value": 1});
    let mut value = base.clone();
    value["source"] = json!("api");
    value["userId"] = json!("u");
    let item_event = event(EventKind::Feedback, &value);
    let Record::Feedback(item) = record(&item_event).unwrap() else {
        panic!("not feedback")
    };
    assert_eq!(
        (
            item.feedback_source.as_deref(),
            item.feedback_user_id.as_deref()
        ),
        (Some("api"), Some("u"))
    );
    assert_eq!(item.extra, None);
    value["feedbackUserId"] = json!("v");
    let item_event = event(EventKind::Feedback, &value);
    let Record::Feedback(item) = record(&item_event).unwrap() else {
        panic!("not feedback")
    };
    assert_eq!(item.feedback_user_id.as_deref(), Some("v"));
    assert_eq!(item.extra.as_deref(), Some(r#"{"userId":"u"}"#));
}

#[test]
fn what_does_not_fit_the_view_is_left_out_of_it() {
    let text = r#"{"id":"1","traceId":"2","name":"n","type":"x","startTime":"2026-03-04T05:06:07.000Z","attributes":
        {"model":5,"provider":"p","streaming":"yes","completionStartTime":"soon","parameters":[],"serverPort":70000,
        "usage":{"inputTokens":1234567890123,"outputTokens":1.5,"inputDetails":[],"outputDetails":{"text":2.0}},
        "costContext":{"estimatedCost":-1,"model":"m","zz":1}}}"#;
    let span = decode::span(EventKind::SpanEnded, text).unwrap();
    let model = span.model.unwrap();
    assert_eq!(model.provider.as_deref(), Some("p"));
    assert_eq!(
        (model.model, model.streaming, model.completion_start_time),
        (None, None, None)
    );
    assert_eq!((model.parameters, model.server_port), (None, None));
    let usage = model.usage.unwrap();
    assert_eq!(
        (usage.input_tokens, usage.output_tokens, usage.output_text),
        (Some(1_234_567_890_123), None, Some(2))
    );
    let cost = model.cost.unwrap();
    assert_eq!(
        (cost.estimated_cost, cost.model.as_deref()),
        (None, Some("m"))
    );
    assert!(span.attributes.unwrap().contains("\"model\":5"));
}

#[test]
fn the_resource_is_completed_from_contexts_and_the_request() {
    let value = json!({"logId": "l", "timestamp": "2026-03-04T05:06:07Z", "level": "info", "message": "",
        "metadata": {"serviceName": "from-metadata", "environment": "dev"},
        "correlationContext": {"serviceName": "from-context"}});
    let mut log_event = event(EventKind::Log, &value);
    log_event.source = Arc::new(Source {
        project_id: Some("p1".into()),
        ..Source::default()
    });
    let Record::Log(log) = record(&log_event).unwrap() else {
        panic!("not a log")
    };
    let resource = log.resource.unwrap();
    assert_eq!(resource.service_name.as_deref(), Some("from-context"));
    assert_eq!(resource.environment.as_deref(), Some("dev"));
    assert_eq!(resource.project_id.as_deref(), Some("p1"));
    let bare =
        json!({"logId": "l", "timestamp": "2026-03-04T05:06:07Z", "level": "info", "message": ""});
    let bare_event = event(EventKind::Log, &bare);
    let Record::Log(log) = record(&bare_event).unwrap() else {
        panic!("not a log")
    };
    assert_eq!(log.resource, None);
}

#[test]
fn fields_that_otlp_has_are_read() {
    let value = json!({"id": "1", "traceId": "2", "name": "n", "type": "generic", "startTime": "2026-03-04T05:06:07.123456789Z",
        "resource": {"serviceName": "s", "attributes": {"a": 1}, "droppedAttributesCount": 2, "host": "h"},
        "otel": {"kind": "server", "status": {"code": "error", "message": "no"}, "traceState": "a=b", "flags": 257,
            "links": [{"traceId": "3", "spanId": "4", "flags": 1}],
            "events": [{"time": "2026-03-04T05:06:07.5Z", "name": "e", "attributes": {"x": true}}],
            "droppedLinksCount": 3, "scope": {"name": "lib", "version": "1", "custom": 0}}});
    let span_event = event(EventKind::SpanEnded, &value);
    let Record::Span(span) = record(&span_event).unwrap() else {
        panic!("not a span")
    };
    assert_eq!(span.start_time % 1_000_000_000, 123_456_789);
    let resource = span.resource.unwrap();
    assert_eq!(
        (resource.dropped_attributes_count, resource.extra.as_deref()),
        (2, Some(r#"{"host":"h"}"#))
    );
    let otel = span.otel.unwrap();
    assert_eq!(
        (otel.kind, otel.status_code, &*otel.status_message),
        (SpanKind::Server, StatusCode::Error, "no")
    );
    assert_eq!(
        (otel.flags, otel.dropped_links_count, otel.links.len()),
        (257, 3, 1)
    );
    assert_eq!(otel.events[0].attributes.as_deref(), Some(r#"{"x":true}"#));
    assert_eq!(
        otel.scope.unwrap().extra.as_deref(),
        Some(r#"{"custom":0}"#)
    );

    let value = json!({"logId": "l", "timestamp": "2026-03-04T05:06:07Z", "level": "info", "message": "",
        "otel": {"severityNumber": 9, "body": {"k": 1}, "eventName": "e", "observedTime": "2026-03-04T05:06:08Z"}});
    let log_event = event(EventKind::Log, &value);
    let Record::Log(log) = record(&log_event).unwrap() else {
        panic!("not a log")
    };
    let otel = log.otel.unwrap();
    assert_eq!(
        (otel.severity_number, otel.body.as_deref()),
        (9, Some(r#"{"k":1}"#))
    );
}
