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

const CORPUS: &str = include_str!("../../../tests/corpus/events.ndjson");

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

fn event_from(kind: EventKind, text: &str) -> Result<Event, super::fields::FieldError> {
    Event::from_json(kind, Bytes::from(text.to_owned()), 1, Arc::default())
}

fn put(map: &mut Map<String, Value>, key: &str, value: Option<Value>) {
    if let Some(value) = value {
        map.insert(key.to_owned(), value);
    }
}

fn text(value: Option<&Text<'_>>) -> Option<Value> {
    value.map(|text| Value::from(text.to_string()))
}

fn raw(value: Option<&Json<'_>>) -> Option<Value> {
    value.map(|json| serde_json::from_str(json).unwrap())
}

fn tags(value: Option<&Vec<Text<'_>>>) -> Option<Value> {
    value.map(|tags| tags.iter().map(ToString::to_string).collect())
}

fn instant(nanos: u64) -> Value {
    format!(
        "{:.3}",
        jiff::Timestamp::from_nanosecond(nanos.into()).unwrap()
    )
    .into()
}

fn number(value: f64) -> Value {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the corpus has small numbers"
    )]
    if value.fract() == 0.0 {
        Value::from(value as i64)
    } else {
        Value::from(value)
    }
}

fn spread(map: &mut Map<String, Value>, extra: Option<&Json<'_>>) {
    if let Some(Value::Object(members)) = raw(extra) {
        map.extend(members);
    }
}

fn entity(map: &mut Map<String, Value>, prefix: &str, entity: &Entity<'_>) {
    for (name, value) in [
        ("Type", &entity.entity_type),
        ("Id", &entity.entity_id),
        ("Name", &entity.entity_name),
        ("VersionId", &entity.entity_version_id),
    ] {
        put(map, &format!("{prefix}{name}"), text(value.as_ref()));
    }
}

fn correlation(found: &Correlation<'_>) -> Value {
    let mut map = Map::new();
    put(&mut map, "traceId", text(found.trace_id.as_ref()));
    put(&mut map, "spanId", text(found.span_id.as_ref()));
    put(&mut map, "tags", tags(found.tags.as_ref()));
    entity(&mut map, "entity", &found.entity);
    entity(&mut map, "parentEntity", &found.parent_entity);
    entity(&mut map, "rootEntity", &found.root_entity);
    for (key, value) in [
        ("userId", &found.user_id),
        ("organizationId", &found.organization_id),
        ("resourceId", &found.resource_id),
        ("runId", &found.run_id),
        ("sessionId", &found.session_id),
        ("threadId", &found.thread_id),
        ("requestId", &found.request_id),
        ("environment", &found.environment),
        ("source", &found.source),
        ("serviceName", &found.service_name),
        ("experimentId", &found.experiment_id),
    ] {
        put(&mut map, key, text(value.as_ref()));
    }
    spread(&mut map, found.extra.as_ref());
    Value::Object(map)
}

fn cost(found: &Cost<'_>) -> Value {
    let mut map = Map::new();
    put(&mut map, "provider", text(found.provider.as_ref()));
    put(&mut map, "model", text(found.model.as_ref()));
    put(&mut map, "estimatedCost", found.estimated_cost.map(number));
    put(&mut map, "costUnit", text(found.cost_unit.as_ref()));
    put(&mut map, "costMetadata", raw(found.metadata.as_ref()));
    Value::Object(map)
}

/// Writes a decoded record back as Mastra would.
fn rebuild(record: &Record<'_>) -> Value {
    let mut map = Map::new();
    match record {
        Record::Span(span) => put_span(&mut map, span),
        Record::Log(log) => put_log(&mut map, log),
        Record::Metric(metric) => put_metric(&mut map, metric),
        Record::Score(score) => put_score(&mut map, score),
        Record::Feedback(item) => put_feedback(&mut map, item),
    }
    Value::Object(map)
}

fn put_span(map: &mut Map<String, Value>, span: &Span<'_>) {
    for (key, value) in [
        ("id", Some(&span.span_id)),
        ("traceId", Some(&span.trace_id)),
        ("parentSpanId", span.parent_span_id.as_ref()),
        (
            "externalParentSpanId",
            span.external_parent_span_id.as_ref(),
        ),
        ("name", Some(&span.name)),
        ("type", Some(&span.span_type)),
    ] {
        put(map, key, text(value));
    }
    entity(map, "entity", &span.entity);
    put(map, "startTime", Some(instant(span.start_time)));
    put(map, "endTime", span.end_time.map(instant));
    put(map, "isEvent", Some(span.is_event.into()));
    put(map, "isRootSpan", Some(span.is_root.into()));
    put(map, "isInternal", span.is_internal.then_some(true.into()));
    for (key, value) in [
        ("attributes", &span.attributes),
        ("metadata", &span.metadata),
        ("input", &span.input),
        ("output", &span.output),
        ("requestContext", &span.request_context),
    ] {
        put(map, key, raw(value.as_ref()));
    }
    put(map, "tags", tags(span.tags.as_ref()));
    if let Some(error) = &span.error {
        let mut info = Map::new();
        for (key, value) in [
            ("message", Some(&error.message)),
            ("id", error.error_id.as_ref()),
            ("name", error.error_name.as_ref()),
            ("stack", error.stack.as_ref()),
            ("domain", error.domain.as_ref()),
            ("category", error.category.as_ref()),
        ] {
            put(&mut info, key, text(value));
        }
        put(&mut info, "details", raw(error.details.as_ref()));
        spread(&mut info, error.extra.as_ref());
        map.insert("errorInfo".into(), info.into());
    }
    spread(map, span.extra.as_ref());
}

fn put_log(map: &mut Map<String, Value>, log: &Log<'_>) {
    for (key, value) in [
        ("logId", Some(&log.log_id)),
        ("traceId", log.trace_id.as_ref()),
        ("spanId", log.span_id.as_ref()),
        ("level", Some(&log.level)),
        ("message", Some(&log.message)),
    ] {
        put(map, key, text(value));
    }
    put(map, "timestamp", Some(instant(log.time)));
    put(map, "data", raw(log.data.as_ref()));
    put(map, "tags", tags(log.tags.as_ref()));
    put(
        map,
        "correlationContext",
        log.correlation.as_ref().map(correlation),
    );
    put(map, "metadata", raw(log.metadata.as_ref()));
    spread(map, log.extra.as_ref());
}

fn put_metric(map: &mut Map<String, Value>, metric: &Metric<'_>) {
    for (key, value) in [
        ("metricId", Some(&metric.metric_id)),
        ("traceId", metric.trace_id.as_ref()),
        ("spanId", metric.span_id.as_ref()),
        ("name", Some(&metric.name)),
    ] {
        put(map, key, text(value));
    }
    put(map, "timestamp", Some(instant(metric.time)));
    let MetricValue::Single { value, .. } = metric.value else {
        panic!("not a single observation")
    };
    put(map, "value", Some(number(value)));
    let labels = metric
        .labels
        .iter()
        .map(|(key, value)| (key.to_string(), Value::from(value.to_string())));
    put(map, "labels", Some(Value::Object(labels.collect())));
    put(
        map,
        "correlationContext",
        metric.correlation.as_ref().map(correlation),
    );
    put(map, "costContext", metric.cost.as_ref().map(cost));
    put(map, "metadata", raw(metric.metadata.as_ref()));
    spread(map, metric.extra.as_ref());
}

fn put_score(map: &mut Map<String, Value>, score: &Score<'_>) {
    for (key, value) in [
        ("scoreId", Some(&score.score_id)),
        ("traceId", score.trace_id.as_ref()),
        ("spanId", score.span_id.as_ref()),
        ("scorerId", Some(&score.scorer_id)),
        ("scorerName", score.scorer_name.as_ref()),
        ("scorerVersion", score.scorer_version.as_ref()),
        ("scoreSource", score.score_source.as_ref()),
        ("reason", score.reason.as_ref()),
        ("experimentId", score.experiment_id.as_ref()),
        ("scoreTraceId", score.score_trace_id.as_ref()),
        ("targetEntityType", score.target_entity_type.as_ref()),
    ] {
        put(map, key, text(value));
    }
    put(map, "timestamp", Some(instant(score.time)));
    put(map, "score", Some(number(score.value)));
    put(
        map,
        "correlationContext",
        score.correlation.as_ref().map(correlation),
    );
    put(map, "metadata", raw(score.metadata.as_ref()));
    spread(map, score.extra.as_ref());
}

fn put_feedback(map: &mut Map<String, Value>, item: &FeedbackItem<'_>) {
    for (key, value) in [
        ("feedbackId", Some(&item.feedback_id)),
        ("traceId", item.trace_id.as_ref()),
        ("spanId", item.span_id.as_ref()),
        ("feedbackSource", item.feedback_source.as_ref()),
        ("feedbackType", Some(&item.feedback_type)),
        ("feedbackUserId", item.feedback_user_id.as_ref()),
        ("comment", item.comment.as_ref()),
        ("sourceId", item.source_id.as_ref()),
        ("experimentId", item.experiment_id.as_ref()),
    ] {
        put(map, key, text(value));
    }
    put(map, "timestamp", Some(instant(item.time)));
    let value = match &item.value {
        FeedbackValue::Number(value) => number(*value),
        FeedbackValue::Text(value) => Value::from(value.to_string()),
    };
    put(map, "value", Some(value));
    put(
        map,
        "correlationContext",
        item.correlation.as_ref().map(correlation),
    );
    put(map, "metadata", raw(item.metadata.as_ref()));
    spread(map, item.extra.as_ref());
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

fn metric_value(value: &str) -> Result<MetricValue, super::fields::FieldError> {
    let text = format!(
        r#"{{"metricId":"m","timestamp":"2026-03-04T05:06:07Z","name":"n","labels":{{}},"value":{value}}}"#
    );
    decode::metric(&text, &Instruments::default()).map(|metric| metric.value)
}

#[test]
fn aggregated_metric_points_are_read() {
    assert_eq!(
        metric_value(r#"{"type":"sum","value":9007199254740993,"temporality":"cumulative","isMonotonic":true}"#).unwrap(),
        MetricValue::Sum {
            value: MetricNumber::Integer(9_007_199_254_740_993),
            temporality: Temporality::Cumulative,
            is_monotonic: true
        }
    );
    assert_eq!(
        metric_value(r#"{"type":"gauge","value":5.0}"#).unwrap(),
        MetricValue::Gauge(MetricNumber::Floating(5.0))
    );
    assert_eq!(
        metric_value(r#"{"type":"gauge","value":"-Infinity"}"#).unwrap(),
        MetricValue::Gauge(MetricNumber::Floating(f64::NEG_INFINITY))
    );
    let MetricValue::Histogram(point) = metric_value(
        r#"{"type":"histogram","count":3,"sum":6.5,"bucketCounts":[1,2],"bounds":[10],"temporality":"delta"}"#,
    )
    .unwrap() else {
        panic!("not a histogram")
    };
    assert_eq!(
        (point.count, point.sum, point.bucket_counts, point.bounds),
        (3, Some(6.5), vec![1, 2], vec![10.0])
    );
    let MetricValue::ExponentialHistogram(point) = metric_value(
        r#"{"type":"exponentialHistogram","count":3,"scale":-2,"zeroCount":1,"positive":{"offset":-3,"counts":[2]}}"#,
    )
    .unwrap() else {
        panic!("not an exponential histogram")
    };
    assert_eq!(
        (point.scale, point.positive.offset, point.positive.counts),
        (-2, -3, vec![2])
    );
    let MetricValue::Summary(point) = metric_value(
        r#"{"type":"summary","count":1,"sum":2,"quantiles":[{"quantile":0.5,"value":2}]}"#,
    )
    .unwrap() else {
        panic!("not a summary")
    };
    assert_eq!(point.quantiles, vec![(0.5, 2.0)]);
}

#[expect(clippy::too_many_lines, reason = "a table")]
#[test]
fn refused_fields_are_named_with_their_fix() {
    let span =
        r#""id":"1","traceId":"2","name":"n","type":"x","startTime":"2026-03-04T05:06:07.000Z""#;
    let metric =
        r#""metricId":"m","timestamp":"2026-03-04T05:06:07Z","name":"n","value":1,"labels":{}"#;
    let cases: &[(EventKind, String, &str, &str)] = &[
        (
            EventKind::SpanEnded,
            format!("{{{span},\"id\":\"0000\"}}"),
            "id",
            "not all zero",
        ),
        (
            EventKind::SpanEnded,
            format!("{{{span},\"traceId\":\"xyz\"}}"),
            "traceId",
            "hex",
        ),
        (
            EventKind::SpanEnded,
            format!("{{{span},\"traceId\":null}}"),
            "traceId",
            "is required",
        ),
        (
            EventKind::SpanEnded,
            format!("{{{span},\"name\":5}}"),
            "name",
            "must be a string",
        ),
        (
            EventKind::SpanEnded,
            format!("{{{span},\"startTime\":1772600767}}"),
            "startTime",
            "ISO-8601",
        ),
        (
            EventKind::SpanEnded,
            format!("{{{span},\"endTime\":\"1812-01-01T00:00:00Z\"}}"),
            "endTime",
            "from 1970 to 2554",
        ),
        (
            EventKind::SpanEnded,
            format!("{{{span},\"isEvent\":\"no\"}}"),
            "isEvent",
            "true or false",
        ),
        (
            EventKind::SpanEnded,
            format!("{{{span},\"attributes\":[]}}"),
            "attributes",
            "JSON object",
        ),
        (
            EventKind::SpanEnded,
            format!("{{{span},\"metadata\":\"x\"}}"),
            "metadata",
            "JSON object",
        ),
        (
            EventKind::SpanEnded,
            format!("{{{span},\"tags\":[\"a\",1]}}"),
            "tags[1]",
            "must be a string",
        ),
        (
            EventKind::SpanEnded,
            format!("{{{span},\"tags\":\"a\"}}"),
            "tags",
            "JSON array",
        ),
        (
            EventKind::SpanEnded,
            format!("{{{span},\"errorInfo\":{{}}}}"),
            "errorInfo.message",
            "is required",
        ),
        (
            EventKind::SpanEnded,
            format!("{{{span},\"errorInfo\":\"x\"}}"),
            "errorInfo",
            "JSON object",
        ),
        (
            EventKind::SpanEnded,
            format!("{{{span},\"otel\":{{\"kind\":\"x\"}}}}"),
            "otel.kind",
            "one of unspecified",
        ),
        (
            EventKind::SpanEnded,
            format!("{{{span},\"otel\":{{\"links\":[{{\"traceId\":\"1\"}}]}}}}"),
            "otel.links[0].spanId",
            "is required",
        ),
        (
            EventKind::SpanEnded,
            format!("{{{span},\"otel\":{{\"knid\":\"x\"}}}}"),
            "otel.knid",
            "no known field",
        ),
        (
            EventKind::Metric,
            format!("{{{metric},\"labels\":{{\"region\":5}}}}"),
            "labels.region",
            "must be a string",
        ),
        (
            EventKind::Metric,
            format!("{{{metric},\"labels\":null}}"),
            "labels",
            "is required",
        ),
        (
            EventKind::Metric,
            format!("{{{metric},\"value\":\"1\"}}"),
            "value",
            "finite number",
        ),
        (
            EventKind::Metric,
            format!("{{{metric},\"value\":1e999}}"),
            "value",
            "finite number",
        ),
        (
            EventKind::Metric,
            format!("{{{metric},\"metricId\":\"\"}}"),
            "metricId",
            "empty",
        ),
        (
            EventKind::Metric,
            format!("{{{metric},\"costContext\":{{\"estimatedCost\":-1}}}}"),
            "costContext.estimatedCost",
            "negative",
        ),
        (
            EventKind::Metric,
            format!("{{{metric},\"correlationContext\":{{\"userId\":1}}}}"),
            "correlationContext.userId",
            "must be a string",
        ),
        (
            EventKind::Metric,
            format!("{{{metric},\"value\":{{\"type\":\"sum\"}}}}"),
            "value.value",
            "is required",
        ),
        (
            EventKind::Log,
            r#"{"timestamp":"2026-03-04T05:06:07Z"}"#.into(),
            "logId",
            "is required",
        ),
        (
            EventKind::Feedback,
            r#"{"value":{}}"#.into(),
            "value",
            "finite number or a string",
        ),
        (
            EventKind::Score,
            r#"{"score":"high"}"#.into(),
            "score",
            "finite number",
        ),
        (EventKind::Score, "[1]".into(), "", "JSON object"),
        (EventKind::Score, "{\"a\":tru}".into(), "", "JSON object"),
        (EventKind::Score, String::new(), "", "must be a JSON object"),
        (EventKind::Score, "{} {}".into(), "", "nothing after it"),
    ];
    for (kind, text, field, reason) in cases {
        let error = event_from(*kind, text).unwrap_err();
        assert_eq!(error.field, *field, "{text}: {error}");
        assert!(error.reason.contains(reason), "{text}: {error}");
        assert!(error.value.chars().count() <= super::fields::EXCERPT_CHARS);
    }
}

#[test]
fn deep_nesting_is_refused_at_the_limit_and_not_before() {
    let nested = |levels: usize| {
        let span = r#"{"id":"1","traceId":"2","name":"n","type":"x","startTime":"2026-03-04T05:06:07.000Z","input":"#;
        format!("{span}{}{}}}", "[".repeat(levels), "]".repeat(levels))
    };
    assert!(event_from(EventKind::SpanEnded, &nested(127)).is_ok());
    let error = event_from(EventKind::SpanEnded, &nested(128)).unwrap_err();
    assert_eq!(error.field, "input");
    assert!(error.reason.contains("128"));
    assert!(event_from(EventKind::SpanEnded, &nested(1_000_000)).is_err());
}

#[test]
fn repeats_have_the_same_key_and_others_do_not() {
    let mut keys = BTreeMap::new();
    for (kind, value) in corpus() {
        let first = event(kind, &value);
        // Spaces and volatile fields do not make another event of it.
        let again = event_from(kind, &format!("  {value} ")).unwrap();
        assert_eq!(first.repeat_key, again.repeat_key);
        assert_eq!(first.lane, again.lane);
        assert_eq!(keys.insert(first.repeat_key, value), None);
    }
    assert_eq!(keys.len(), 94);
    let span = json!({"id": "1", "traceId": "2", "name": "n", "type": "x", "startTime": "2026-03-04T05:06:07Z"});
    let mut changed = span.clone();
    changed["name"] = json!("m");
    let key = |kind, value: &Value| event(kind, value).repeat_key;
    assert_ne!(
        key(EventKind::SpanUpdated, &span),
        key(EventKind::SpanUpdated, &changed)
    );
    assert_eq!(
        key(EventKind::SpanEnded, &span),
        key(EventKind::SpanEnded, &changed)
    );
    assert_ne!(
        key(EventKind::SpanEnded, &span),
        key(EventKind::SpanStarted, &span)
    );
    let of_project = |project: &str| {
        let source = Arc::new(Source {
            project_id: Some(project.into()),
            ..Source::default()
        });
        Event::from_json(
            EventKind::SpanEnded,
            Bytes::from(span.to_string()),
            1,
            source,
        )
        .unwrap()
        .repeat_key
    };
    assert_ne!(of_project("a"), of_project("b"));
}

#[test]
fn a_trace_is_one_lane_and_a_series_is_one_lane() {
    let mut lanes: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for (kind, value) in corpus() {
        if kind != EventKind::Metric
            && let Some(trace) = value["traceId"].as_str()
        {
            lanes
                .entry(trace.to_owned())
                .or_default()
                .insert(event(kind, &value).lane);
        }
    }
    assert_eq!(lanes.len(), 5);
    assert!(lanes.values().all(|of_trace| of_trace.len() == 1));
    let metric = |id: &str, labels: Value| {
        let value = json!({"metricId": id, "timestamp": "2026-03-04T05:06:07Z", "name": "n", "value": 1, "labels": labels});
        event(EventKind::Metric, &value).lane
    };
    assert_eq!(
        metric("1", json!({"a": "1", "b": "2"})),
        metric("2", json!({"b": "2", "a": "1"}))
    );
    assert_ne!(
        metric("1", json!({"a": "1", "b": "2"})),
        metric("1", json!({"a": "2", "b": "1"}))
    );
}

#[test]
fn upper_case_ids_and_lower_case_ids_are_one() {
    let lower = event_from(
        EventKind::SpanEnded,
        r#"{"id":"ab","traceId":"cd","name":"","type":"","startTime":"2026-03-04T05:06:07Z"}"#,
    );
    let upper = event_from(
        EventKind::SpanEnded,
        r#"{"id":"AB","traceId":"CD","name":"","type":"","startTime":"2026-03-04T05:06:07Z"}"#,
    );
    assert_eq!(lower.unwrap().repeat_key, upper.unwrap().repeat_key);
}

#[test]
fn labels_are_distinct_and_the_last_value_counts() {
    let text = r#"{"metricId":"m","timestamp":"2026-03-04T05:06:07Z","name":"a_tokens","labels":{"b":"1","a":"2","b":"3"},"value":1}"#;
    let metric = decode::metric(text, &Instruments::default()).unwrap();
    assert_eq!(
        metric.labels,
        vec![("b".into(), "3".into()), ("a".into(), "2".into())]
    );
    assert_eq!(metric.unit.as_deref(), Some("{token}"));
    assert_eq!(
        metric.value,
        MetricValue::Single {
            value: 1.0,
            instrument: Instrument::Counter
        }
    );
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(json!("2026-03-04T05:06:07.000Z")),
        Just(json!("ab12")),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(any_key(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn any_key() -> impl Strategy<Value = String> {
    let known = [
        "id",
        "traceId",
        "spanId",
        "name",
        "type",
        "startTime",
        "endTime",
        "attributes",
        "metadata",
        "tags",
        "errorInfo",
        "message",
        "value",
        "labels",
        "otel",
        "resource",
        "links",
        "events",
        "scope",
        "status",
        "count",
        "bounds",
        "usage",
        "costContext",
        "correlationContext",
        "timestamp",
        "logId",
        "metricId",
        "scoreId",
        "score",
        "scorerId",
        "feedbackId",
        "level",
        "model",
    ];
    prop_oneof![4 => prop::sample::select(known.to_vec()).prop_map(str::to_owned), 1 => ".{0,8}"]
}

proptest! {
    #[test]
    fn arbitrary_json_never_panics_and_decodes_once_accepted(
        base in prop::sample::select(corpus()),
        changes in prop::collection::btree_map(any_key(), any_json(), 0..4),
    ) {
        let (kind, mut value) = base;
        for (key, change) in changes {
            value[key] = change;
        }
        if let Ok(event) = event_from(kind, &value.to_string()) {
            prop_assert!(record(&event).is_ok());
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for kind in EventKind::ALL {
            let _ = Event::from_json(kind, Bytes::from(bytes.clone()), 1, Arc::default());
        }
    }
}
