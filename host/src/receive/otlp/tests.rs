//! What becomes of OTLP requests, in both encodings.

use axum::http::StatusCode;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use super::messages::*;
use super::*;
use crate::event::decode;
use crate::event::records::{MetricValue, Record};
use crate::receive::answer::RequestError;

const NOW: u64 = 1_780_000_000_000_000_000;

async fn read_as(
    body: impl Into<Bytes>,
    request: Request,
    encoding: Encoding,
) -> Result<Batch, FieldError> {
    read_from(&body.into(), request, encoding, false).await
}

async fn read_from(
    body: &Bytes,
    request: Request,
    encoding: Encoding,
    is_forwarded: bool,
) -> Result<Batch, FieldError> {
    let origin = Origin {
        received_at: NOW,
        source: &Arc::default(),
        is_forwarded,
    };
    read(body, request, encoding, origin).await
}

async fn from_json(request: Request, body: &Value) -> Batch {
    read_as(body.to_string(), request, Encoding::Json)
        .await
        .unwrap()
}

fn payloads(batch: &Batch) -> Vec<Value> {
    let payload = |event: &Event| serde_json::from_slice(&event.payload).unwrap();
    batch.events.iter().map(payload).collect()
}

fn any(value: AnyKind) -> Option<AnyValue> {
    Some(AnyValue { value: Some(value) })
}

fn attribute(key: &str, value: AnyKind) -> KeyValue {
    KeyValue {
        key: Bytes::copy_from_slice(key.as_bytes()),
        value: any(value),
    }
}

fn text(text: &'static str) -> AnyKind {
    AnyKind::Text(Bytes::from_static(text.as_bytes()))
}

/// One span that uses every field, and the same as OTLP/JSON.
fn full_span() -> (ExportTraceServiceRequest, Value) {
    let attributes = vec![
        attribute("s", text("a\"b\u{1f30d}")),
        attribute("b", AnyKind::Boolean(true)),
        attribute("i", AnyKind::Integer(i64::MIN)),
        attribute("d", AnyKind::Double(1.0)),
        attribute("nan", AnyKind::Double(f64::NAN)),
        attribute("raw", AnyKind::Bytes(Bytes::from_static(&[0, 255]))),
        attribute(
            "list",
            AnyKind::Array(ArrayValue {
                values: vec![any(text("x")).unwrap(), AnyValue { value: None }],
            }),
        ),
        attribute(
            "map",
            AnyKind::Map(KeyValueList {
                values: vec![attribute("k", AnyKind::Integer(1))],
            }),
        ),
        KeyValue {
            key: Bytes::from_static(b"none"),
            value: None,
        },
    ];
    let span = Span {
        trace_id: Bytes::from_static(&[0xab; 16]),
        span_id: Bytes::from_static(&[1; 8]),
        parent_span_id: Bytes::from_static(&[2; 8]),
        trace_state: Bytes::from_static(b"k=v"),
        flags: 0x101,
        name: Bytes::from_static(b"run"),
        kind: 3,
        start_time_unix_nano: NOW,
        end_time_unix_nano: NOW + 1,
        attributes,
        dropped_attributes_count: 1,
        events: vec![SpanEvent {
            time_unix_nano: NOW,
            name: Bytes::from_static(b"e"),
            attributes: vec![],
            dropped_attributes_count: 2,
        }],
        dropped_events_count: 3,
        links: vec![SpanLink {
            trace_id: Bytes::from_static(&[3; 16]),
            span_id: Bytes::from_static(&[4; 8]),
            flags: 1,
            ..SpanLink::default()
        }],
        dropped_links_count: 4,
        status: Some(SpanStatus {
            message: Bytes::from_static(b"bad"),
            code: 2,
        }),
    };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: vec![attribute("service.name", text("shop"))],
                dropped_attributes_count: 5,
            }),
            scope_spans: vec![ScopeSpans {
                scope: Some(InstrumentationScope {
                    name: Bytes::from_static(b"lib"),
                    version: Bytes::from_static(b"1"),
                    ..InstrumentationScope::default()
                }),
                spans: vec![span],
                schema_url: Bytes::from_static(b"https://s/1"),
            }],
            schema_url: Bytes::from_static(b"https://r/1"),
        }],
    };
    (request, full_span_as_json())
}

fn full_span_as_json() -> Value {
    json!({"resourceSpans": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}], "droppedAttributesCount": 5},
        "schemaUrl": "https://r/1",
        "scopeSpans": [{
            "scope": {"name": "lib", "version": "1"}, "schemaUrl": "https://s/1",
            "spans": [{
                "traceId": "AB".repeat(16), "spanId": "01".repeat(8), "parentSpanId": "02".repeat(8),
                "traceState": "k=v", "flags": 257, "name": "run", "kind": 3, "futureField": {"x": 1},
                "startTimeUnixNano": NOW.to_string(), "endTimeUnixNano": NOW + 1,
                "attributes": [
                    {"key": "s", "value": {"stringValue": "a\"b\u{1f30d}"}},
                    {"key": "b", "value": {"boolValue": true}},
                    {"key": "i", "value": {"intValue": i64::MIN.to_string()}},
                    {"key": "d", "value": {"doubleValue": 1}},
                    {"key": "nan", "value": {"doubleValue": "NaN"}},
                    {"key": "raw", "value": {"bytesValue": "AP8="}},
                    {"key": "list", "value": {"arrayValue": {"values": [{"stringValue": "x"}, {}]}}},
                    {"key": "map", "value": {"kvlistValue": {"values": [{"key": "k", "value": {"intValue": 1}}]}}},
                    {"key": "none"},
                ],
                "droppedAttributesCount": 1,
                "events": [{"timeUnixNano": NOW.to_string(), "name": "e", "droppedAttributesCount": 2}],
                "droppedEventsCount": 3,
                "links": [{"traceId": "03".repeat(16), "spanId": "04".repeat(8), "flags": 1}],
                "droppedLinksCount": 4,
                "status": {"message": "bad", "code": 2},
            }],
        }],
    }]})
}

#[tokio::test]
async fn a_span_keeps_every_field_in_both_encodings() {
    let (request, same) = full_span();
    let binary = read_as(request.encode_to_vec(), Request::Traces, Encoding::Protobuf).await;
    let binary = payloads(&binary.unwrap());
    assert_eq!(binary, payloads(&from_json(Request::Traces, &same).await));
    let expected = json!({
        "id": "01".repeat(8), "traceId": "ab".repeat(16), "parentSpanId": "02".repeat(8), "name": "run", "type": "generic",
        "startTime": "2026-05-28T20:26:40Z", "endTime": "2026-05-28T20:26:40.000000001Z",
        "isEvent": false, "isRootSpan": false,
        "attributes": {
            "s": "a\"b\u{1f30d}", "b": true, "i": i64::MIN, "d": 1.0, "nan": {"$double": "NaN"}, "raw": {"$bytes": "AP8="},
            "list": ["x", null], "map": {"k": 1}, "none": null,
        },
        "otel": {
            "kind": "client", "status": {"code": "error", "message": "bad"}, "traceState": "k=v", "flags": 257,
            "links": [{"traceId": "03".repeat(16), "spanId": "04".repeat(8), "flags": 1}],
            "events": [{"time": "2026-05-28T20:26:40Z", "name": "e", "droppedAttributesCount": 2}],
            "droppedAttributesCount": 1, "droppedEventsCount": 3, "droppedLinksCount": 4,
            "scope": {"name": "lib", "version": "1", "schemaUrl": "https://s/1"},
        },
        "resource": {
            "serviceName": "shop", "attributes": {"service.name": "shop"}, "droppedAttributesCount": 5,
            "schemaUrl": "https://r/1",
        },
    });
    assert_eq!(binary, [expected]);
}

#[tokio::test]
async fn bad_spans_are_refused_one_by_one() {
    let (mut request, _) = full_span();
    let spans = &mut request.resource_spans[0].scope_spans[0].spans;
    let good = spans[0].clone();
    let with = |change: fn(&mut Span)| {
        let mut span = good.clone();
        change(&mut span);
        span
    };
    spans.extend([
        with(|span| span.trace_id = Bytes::from_static(&[1; 15])),
        with(|span| span.trace_id = Bytes::from_static(&[0; 16])),
        with(|span| span.span_id = Bytes::new()),
        with(|span| span.parent_span_id = Bytes::from_static(&[1; 9])),
        with(|span| span.name = Bytes::from_static(b"\xff")),
        with(|span| span.attributes[0].value = any(AnyKind::Text(Bytes::from_static(b"\xfe")))),
        good.clone(),
    ]);
    let batch = read_as(request.encode_to_vec(), Request::Traces, Encoding::Protobuf).await;
    let batch = batch.unwrap();
    assert_eq!(batch.events.len(), 2);
    let told: Vec<(u64, &str)> = batch
        .refused
        .iter()
        .map(|item| (item.index, item.field.as_str()))
        .collect();
    let expected = [
        (1, "traceId"),
        (2, "traceId"),
        (3, "spanId"),
        (4, "parentSpanId"),
        (5, "name"),
        (6, "attributes.s"),
    ];
    assert_eq!(told, expected);
    // What was refused is kept as it came.
    let kept = Span::decode(batch.refused[0].payload.clone()).unwrap();
    assert_eq!(kept.trace_id, [1; 15].as_slice());
}

#[tokio::test]
async fn what_is_no_request_is_refused_as_a_whole() {
    for (encoding, body) in [
        (Encoding::Protobuf, &b"\xff\xff\xff"[..]),
        (Encoding::Protobuf, b"{}"),
        (Encoding::Json, b"nonsense"),
        (Encoding::Json, b"[]"),
        (
            Encoding::Json,
            br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"xyz"}]}]}]}"#,
        ),
        (Encoding::Json, br#"{"resourceSpans":{}}"#),
        // serde would read the fields of a message from an array, too.
        (Encoding::Json, br#"[[]]"#),
        (Encoding::Json, br#"{"resourceSpans":[[]]}"#),
        (
            Encoding::Json,
            br#"{"resourceSpans":[{"resource":[[],0]}]}"#,
        ),
        (
            Encoding::Json,
            br#"{"resourceSpans":[{"resource":{"attributes":[{"key":"k","value":["v"]}]}}]}"#,
        ),
    ] {
        let error = read_as(body, Request::Traces, encoding).await.unwrap_err();
        assert!(
            error.reason.starts_with("must be an OTLP request"),
            "{error:?}"
        );
    }
    for encoding in [Encoding::Json, Encoding::Protobuf] {
        let empty = if encoding == Encoding::Json { "{}" } else { "" };
        let batch = read_as(empty, Request::Logs, encoding).await.unwrap();
        assert_eq!((batch.events.len(), batch.refused_total), (0, 0));
    }
}

fn logs(records: Value) -> Value {
    json!({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]})
}

#[tokio::test]
async fn log_records_keep_their_body_severity_and_context() {
    let records = json!([
        {"timeUnixNano": NOW.to_string(), "severityNumber": 14, "body": {"stringValue": "slow"}, "traceId": "0a".repeat(16),
         "spanId": "0b".repeat(8), "attributes": [{"key": "n", "value": {"intValue": "7"}}], "eventName": "e"},
        {"observedTimeUnixNano": NOW.to_string(), "severityText": "FATAL",
         "body": {"kvlistValue": {"values": [{"key": "k", "value": {"boolValue": false}}]}}, "traceId": "00".repeat(16)},
        {},
    ]);
    let request = logs(records);
    let batch = from_json(Request::Logs, &request).await;
    let found = payloads(&batch);
    assert_eq!(
        (
            &found[0]["level"],
            &found[0]["message"],
            &found[0]["otel"]["attributes"]
        ),
        (&json!("warn"), &json!("slow"), &json!({"n": 7}))
    );
    assert_eq!(found[0]["traceId"], "0a".repeat(16));
    assert_eq!(
        (
            &found[1]["level"],
            &found[1]["message"],
            &found[1]["otel"]["body"]
        ),
        (&json!("fatal"), &json!(""), &json!({"k": false}))
    );
    assert!(found[1].get("traceId").is_none());
    for log in &found {
        assert_eq!(log["timestamp"], "2026-05-28T20:26:40Z");
    }
    // The same request again is the same events; other places are other events.
    let again = payloads(&from_json(Request::Logs, &request).await);
    assert_eq!(again, found);
    assert_ne!(found[1]["logId"], found[2]["logId"]);
}

#[tokio::test]
async fn like_items_of_two_resources_are_two_events() {
    let of = |host: &str| {
        let resource =
            json!({"attributes": [{"key": "host.name", "value": {"stringValue": host}}]});
        let point = json!({"timeUnixNano": NOW.to_string(), "asInt": "0"});
        let metrics = json!([{"name": "load", "gauge": {"dataPoints": [point]}}]);
        json!({"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": metrics}]}]})
    };
    let key = |batch: Batch| batch.events[0].repeat_key;
    let one = key(from_json(Request::Metrics, &of("one")).await);
    assert_ne!(one, key(from_json(Request::Metrics, &of("two")).await));
    assert_eq!(one, key(from_json(Request::Metrics, &of("one")).await));
}

#[tokio::test]
async fn an_evaluation_is_a_score() {
    let attributes = json!([
        {"key": "gen_ai.evaluation.name", "value": {"stringValue": "relevance"}},
        {"key": "gen_ai.evaluation.score.value", "value": {"doubleValue": 0.5}},
        {"key": "gen_ai.evaluation.score.label", "value": {"stringValue": "half"}},
        {"key": "gen_ai.evaluation.explanation", "value": {"stringValue": "on topic"}},
    ]);
    let mut record = json!({
        "timeUnixNano": NOW.to_string(), "eventName": "gen_ai.evaluation.result", "traceId": "0a".repeat(16),
        "attributes": attributes,
    });
    let batch = from_json(Request::Logs, &logs(json!([record]))).await;
    assert_eq!(batch.events[0].kind, EventKind::Score);
    let Record::Score(score) = decode::record(&batch.events[0]).unwrap() else {
        panic!("no score");
    };
    assert_eq!((&*score.scorer_id, score.value), ("relevance", 0.5));
    assert_eq!(score.reason.as_deref(), Some("on topic"));
    assert_eq!(
        score.metadata.as_deref(),
        Some(r#"{"gen_ai.evaluation.score.label":"half"}"#)
    );
    // Without a number it stays a log record.
    record["attributes"].as_array_mut().unwrap().remove(1);
    let batch = from_json(Request::Logs, &logs(json!([record]))).await;
    assert_eq!(batch.events[0].kind, EventKind::Log);
}

#[tokio::test]
async fn every_kind_of_point_keeps_its_meaning() {
    let point = |more: Value| {
        let mut point = json!({
            "timeUnixNano": NOW.to_string(), "startTimeUnixNano": (NOW - 1).to_string(),
            "attributes": [
                {"key": "route", "value": {"stringValue": "/a"}}, {"key": "code", "value": {"intValue": "200"}},
            ],
        });
        for (key, value) in more.as_object().unwrap() {
            point[key] = value.clone();
        }
        json!([point])
    };
    let request = json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [
        {"name": "g", "gauge": {"dataPoints": point(json!({"asInt": "-3"}))}},
        {"name": "s", "unit": "By", "sum": {"aggregationTemporality": 2, "isMonotonic": true, "dataPoints": point(json!({
            "asDouble": 2.5, "exemplars": [{"timeUnixNano": NOW.to_string(), "asDouble": 1, "traceId": "0a".repeat(16)}],
        }))}},
        {"name": "h", "histogram": {"aggregationTemporality": 1, "dataPoints": point(json!({
            "count": "3", "sum": 4.5, "bucketCounts": ["1", "2"], "explicitBounds": [1],
        }))}},
        {"name": "e", "exponentialHistogram": {"aggregationTemporality": 1, "dataPoints": point(json!({
            "count": 2, "scale": -1, "zeroCount": "1", "positive": {"offset": -2, "bucketCounts": ["1"]},
        }))}},
        {"name": "q", "summary": {"dataPoints": point(json!({
            "count": "2", "sum": 3, "quantileValues": [{"quantile": 0.5, "value": "NaN"}],
        }))}},
        {"name": "nothing", "gauge": {"dataPoints": point(json!({}))}},
        {"name": "stale", "gauge": {"dataPoints": point(json!({"flags": 1}))}},
    ]}]}]});
    let batch = from_json(Request::Metrics, &request).await;
    let told: Vec<_> = batch
        .refused
        .iter()
        .map(|item| (item.index, item.field.as_str()))
        .collect();
    assert_eq!(told, [(5, "value.value")]);
    let mut kinds = Vec::new();
    for event in &batch.events {
        let Record::Metric(metric) = decode::record(event).unwrap() else {
            panic!("no metric");
        };
        assert_eq!(metric.labels, [("route".into(), "/a".into())]);
        let otel = metric.otel.as_deref().unwrap();
        assert_eq!(otel.attributes.as_deref(), Some(r#"{"code":200}"#));
        assert_eq!(otel.start_time, Some(NOW - 1));
        kinds.push(match metric.value {
            MetricValue::Gauge(_) => "gauge",
            MetricValue::Sum {
                is_monotonic: true, ..
            } => "sum",
            MetricValue::Histogram(point) if point.bucket_counts == [1, 2] => "histogram",
            MetricValue::ExponentialHistogram(point) if point.positive.offset == -2 => {
                "exponential"
            }
            MetricValue::Summary(point) if point.quantiles.len() == 1 => "summary",
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(
        kinds,
        [
            "gauge",
            "sum",
            "histogram",
            "exponential",
            "summary",
            "gauge"
        ]
    );
}

async fn body_of(response: axum::http::Response<axum::body::Body>) -> (StatusCode, String, Bytes) {
    let (parts, body) = response.into_parts();
    let content_type = parts.headers[CONTENT_TYPE].to_str().unwrap().to_owned();
    (
        parts.status,
        content_type,
        body.collect().await.unwrap().to_bytes(),
    )
}

#[tokio::test]
async fn answers_have_the_encoding_of_the_request() {
    let (mut request, _) = full_span();
    request.resource_spans[0].scope_spans[0].spans[0].span_id = Bytes::new();
    let batch = read_as(request.encode_to_vec(), Request::Traces, Encoding::Protobuf).await;
    let refused_items = batch.unwrap().refused;

    let answer = taken(Request::Traces, Encoding::Protobuf, &refused_items, 1);
    let (status, content_type, body) = body_of(answer).await;
    assert_eq!(
        (status, content_type.as_str()),
        (StatusCode::OK, "application/x-protobuf")
    );
    let partial = ExportResponse::decode(body)
        .unwrap()
        .partial_success
        .unwrap();
    assert_eq!(partial.rejected, 1);
    assert_eq!(
        partial.error_message,
        "item 0, field spanId: must have 8 bytes, has 0"
    );

    let answer = taken(Request::Logs, Encoding::Json, &refused_items, 3);
    let (_, content_type, body) = body_of(answer).await;
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(content_type, "application/json");
    assert_eq!(body["partialSuccess"]["rejectedLogRecords"], "3");
    let all_good = taken(Request::Traces, Encoding::Protobuf, &[], 0);
    assert!(body_of(all_good).await.2.is_empty());

    let (status, content_type, body) =
        body_of(refused(Encoding::Protobuf, &RequestError::Busy)).await;
    assert_eq!(
        (status, content_type.as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "application/x-protobuf")
    );
    assert!(
        RpcStatus::decode(body)
            .unwrap()
            .message
            .contains("send again later")
    );
}

#[tokio::test]
async fn an_item_that_hosts_send_around_is_a_repeat_wherever_it_stands_in_a_request() {
    let record =
        |text: &str| json!({"timeUnixNano": "1780000000000000000", "body": {"stringValue": text}});
    let keys = async |records: &[Value], is_forwarded| -> Vec<u128> {
        let body = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]});
        let body = Bytes::from(body.to_string());
        let batch = read_from(&body, Request::Logs, Encoding::Json, is_forwarded);
        let events = batch.await.unwrap().events;
        events.iter().map(|event| event.repeat_key).collect()
    };
    let (a, b) = (record("a"), record("b"));
    let first = keys(&[a.clone(), b.clone(), a.clone()], true).await;
    let second = keys(&[b.clone(), a.clone(), a.clone()], true).await;
    assert_eq!([first[1], first[0], first[2]], second[..]);
    assert_ne!(first[0], first[2], "two equal items are two");
    let direct = keys(&[a.clone(), b.clone()], false).await;
    assert_ne!(direct, {
        let mut swapped = keys(&[b, a], false).await;
        swapped.reverse();
        swapped
    });
}
