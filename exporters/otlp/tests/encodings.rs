//! Both encodings of a request, read by the reference messages of OTLP: they say the same, and nothing that an OTLP sender
//! said is lost.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use mastra_exporter_sdk::records::{
    EventResource, EventScope, Exemplar, ExponentialBuckets, ExponentialHistogramPoint,
    HistogramPoint, LogBatch, Metric, MetricBatch, MetricNumber, MetricValue, OtelLog, OtelMetric,
    OtelSpan, QuantileValue, SpanBatch, SpanEvent, SpanKind, SpanLink, SpanStatus, StatusCode,
    SumPoint, SummaryPoint, Temporality,
};
use mastra_exporter_sdk::test_support::{Batches, batches};
use mastra_otlp::encode::Encoding;
use mastra_otlp::envelope::Sender;
use mastra_otlp::requests::Writer;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use proptest::prelude::*;
use prost::Message;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn both<M: Message + Default + DeserializeOwned>(write: impl Fn(Writer<'_>) -> Vec<u8>) -> [M; 2] {
    [Encoding::Protobuf, Encoding::Json].map(|encoding| {
        let body = write(Writer {
            sender: Sender {
                service_name: "bot",
                attributes: &[],
                names_environment: true,
                sdk: Some(("sdk", "1")),
                scope: ("scope", "2"),
            },
            encoding,
        });
        match encoding {
            Encoding::Protobuf => {
                let message = M::decode(&body[..]).unwrap();
                assert_eq!(
                    message.encode_to_vec().len(),
                    body.len(),
                    "no byte too many"
                );
                message
            }
            Encoding::Json => serde_json::from_slice(&body).unwrap(),
        }
    })
}

/// The encoding's message, after both were found to be the same.
fn same<M: Message + Default + DeserializeOwned + PartialEq + std::fmt::Debug>(
    write: impl Fn(Writer<'_>) -> Vec<u8>,
) -> M {
    let [protobuf, json] = both::<M>(write);
    assert_eq!(protobuf, json);
    protobuf
}

fn recorded() -> Batches {
    let events = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/corpus/events.ndjson"
    );
    batches(&std::fs::read_to_string(events).unwrap())
}

fn resource() -> EventResource {
    EventResource {
        service_name: Some("ignored".to_owned()),
        service_version: None,
        environment: None,
        project_id: None,
        attributes: Some(r#"{"service.name":"theirs","n":1,"d":1.0}"#.to_owned()),
        schema_url: Some("https://schema/resource".to_owned()),
        dropped_attributes_count: 2,
        extra: None,
    }
}

fn scope() -> EventScope {
    EventScope {
        name: "lib".to_owned(),
        version: Some("3".to_owned()),
        attributes: Some(r#"{"a":true}"#.to_owned()),
        schema_url: Some("https://schema/scope".to_owned()),
        dropped_attributes_count: 4,
        extra: None,
    }
}

#[test]
fn recorded_events_are_the_same_in_both() {
    let events = recorded();
    let traces: ExportTraceServiceRequest = same(|writer| writer.traces(&events.spans));
    let spans = traces
        .resource_spans
        .iter()
        .flat_map(|resource| &resource.scope_spans)
        .map(|scope| scope.spans.len());
    assert_eq!(spans.sum::<usize>(), 56);
    same::<ExportLogsServiceRequest>(|writer| writer.logs(&events.logs));
    same::<ExportLogsServiceRequest>(|writer| writer.scores(&events.scores));
    same::<ExportLogsServiceRequest>(|writer| writer.feedback(&events.feedback));
    same::<ExportMetricsServiceRequest>(|writer| writer.metrics(&events.metrics));
}

/// A span as an OTLP sender sent it, with these attributes everywhere.
fn sent_span(attributes: &str) -> SpanBatch {
    let mut batch = recorded().spans;
    batch.spans.truncate(1);
    batch.resources = vec![resource()];
    batch.scopes = vec![scope()];
    let attributes = Some(attributes.to_owned());
    let span = &mut batch.spans[0];
    span.name = "GET /a?b".to_owned();
    span.resource_index = Some(0);
    span.attributes.clone_from(&attributes);
    span.otel = Some(OtelSpan {
        kind: SpanKind::Producer,
        status: SpanStatus {
            code: StatusCode::Error,
            message: "no".to_owned(),
        },
        trace_state: Some("a=b".to_owned()),
        flags: 0x301,
        links: vec![SpanLink {
            trace_id: "ab".to_owned(),
            span_id: "1234567890abcdef".to_owned(),
            trace_state: Some("c=d".to_owned()),
            attributes: attributes.clone(),
            dropped_attributes_count: 5,
            flags: 0x101,
        }],
        events: vec![SpanEvent {
            time: 77,
            name: "exception".to_owned(),
            attributes,
            dropped_attributes_count: 6,
        }],
        dropped_attributes_count: 7,
        dropped_events_count: 8,
        dropped_links_count: 9,
        scope_index: Some(0),
    });
    batch
}

fn texts(pairs: &[KeyValue]) -> Vec<(String, Option<Any>)> {
    pairs
        .iter()
        .map(|pair| {
            let value = pair.value.clone().and_then(|value| value.value);
            (pair.key.clone(), value)
        })
        .collect()
}

fn expected_attributes() -> Vec<(String, Option<Any>)> {
    let list = |values: Vec<Option<Any>>| {
        let values = values.into_iter().map(|value| AnyValue { value });
        Any::ArrayValue(opentelemetry_proto::tonic::common::v1::ArrayValue {
            values: values.collect(),
        })
    };
    let map = |pairs: &[(&str, &str)]| {
        let pairs = pairs.iter().map(|(key, text)| KeyValue {
            key: (*key).to_owned(),
            value: Some(AnyValue {
                value: Some(Any::StringValue((*text).to_owned())),
            }),
            ..KeyValue::default()
        });
        Any::KvlistValue(opentelemetry_proto::tonic::common::v1::KeyValueList {
            values: pairs.collect(),
        })
    };
    let expected = [
        ("a\"bé", Some(Any::StringValue("x\n😀".to_owned()))),
        ("i", Some(Any::IntValue(i64::MIN))),
        ("d", Some(Any::DoubleValue(1e300))),
        ("w", Some(Any::DoubleValue(2.0))),
        ("z", None),
        ("t", Some(Any::BoolValue(true))),
        ("bytes", Some(Any::BytesValue(vec![0, 1, 2, 3]))),
        (
            "l",
            Some(list(vec![
                Some(Any::IntValue(1)),
                Some(list(Vec::new())),
                Some(map(&[("k", "v")])),
            ])),
        ),
        ("m", Some(map(&[]))),
    ];
    expected
        .map(|(key, value)| (key.to_owned(), value))
        .to_vec()
}

#[test]
fn what_an_otlp_sender_said_of_a_span_leaves_as_it_came() {
    let attributes = r#"{"a\"b\u00e9":"x\n\ud83d\ude00","i":-9223372036854775808,"d":1e300,"w":2.0,"z":null,"t":true,
        "bytes":{"$bytes":"AAECAw=="},"l":[1,[],{"k":"v"}],"m":{}}"#;
    let batch = sent_span(attributes);
    let request: ExportTraceServiceRequest = same(|writer| writer.traces(&batch));
    let of_resource = &request.resource_spans[0];
    assert_eq!(of_resource.schema_url, "https://schema/resource");
    let resource = of_resource.resource.as_ref().unwrap();
    assert_eq!(
        texts(&resource.attributes),
        [
            (
                "service.name".to_owned(),
                Some(Any::StringValue("theirs".to_owned()))
            ),
            ("n".to_owned(), Some(Any::IntValue(1))),
            ("d".to_owned(), Some(Any::DoubleValue(1.0))),
        ]
    );
    assert_eq!(resource.dropped_attributes_count, 2);
    let of_scope = &of_resource.scope_spans[0];
    assert_eq!(of_scope.schema_url, "https://schema/scope");
    let scope = of_scope.scope.as_ref().unwrap();
    assert_eq!((scope.name.as_str(), scope.version.as_str()), ("lib", "3"));
    assert_eq!(scope.dropped_attributes_count, 4);
    let span = &of_scope.spans[0];
    assert_eq!(
        (span.name.as_str(), span.kind, span.flags),
        ("GET /a?b", 4, 0x301)
    );
    assert_eq!(span.trace_state, "a=b");
    let status = span.status.as_ref().unwrap();
    assert_eq!((status.code, status.message.as_str()), (2, "no"));
    assert_eq!(
        [
            span.dropped_attributes_count,
            span.dropped_events_count,
            span.dropped_links_count
        ],
        [7, 8, 9]
    );
    let (link, event) = (&span.links[0], &span.events[0]);
    assert_eq!(link.trace_id, [&[0; 15][..], &[0xab]].concat());
    assert_eq!((link.trace_state.as_str(), link.flags), ("c=d", 0x101));
    assert_eq!(
        (
            link.dropped_attributes_count,
            event.dropped_attributes_count
        ),
        (5, 6)
    );
    assert_eq!(
        (event.name.as_str(), event.time_unix_nano, span.events.len()),
        ("exception", 77, 1)
    );
    let expected = expected_attributes();
    for attributes in [&span.attributes, &link.attributes, &event.attributes] {
        assert_eq!(format!("{:?}", texts(attributes)), format!("{expected:?}"));
    }
}

#[test]
fn doubles_that_json_lacks_have_their_names() {
    let batch = sent_span(r#"{"a":{"$double":"NaN"},"b":{"$double":"-Infinity"}}"#);
    let writer = |encoding| Writer {
        sender: Sender {
            service_name: "bot",
            attributes: &[],
            names_environment: true,
            sdk: None,
            scope: ("scope", ""),
        },
        encoding,
    };
    let json: Value = serde_json::from_slice(&writer(Encoding::Json).traces(&batch)).unwrap();
    let attributes = &json["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"];
    assert_eq!(attributes[0]["value"], json!({"doubleValue": "NaN"}));
    assert_eq!(attributes[1]["value"], json!({"doubleValue": "-Infinity"}));
    let body = writer(Encoding::Protobuf).traces(&batch);
    let request = ExportTraceServiceRequest::decode(&body[..]).unwrap();
    let span = &request.resource_spans[0].scope_spans[0].spans[0];
    let numbers = texts(&span.attributes);
    assert!(matches!(numbers[0].1, Some(Any::DoubleValue(number)) if number.is_nan()));
    assert_eq!(numbers[1].1, Some(Any::DoubleValue(f64::NEG_INFINITY)));
}

#[test]
fn what_an_otlp_sender_said_of_a_log_leaves_as_it_came() {
    let mut batch: LogBatch = recorded().logs;
    batch.logs.truncate(1);
    batch.scopes = vec![scope()];
    batch.logs[0].otel = Some(OtelLog {
        severity_number: 11,
        severity_text: Some("Notice".to_owned()),
        body: Some(r#"{"k":[1,2.5]}"#.to_owned()),
        event_name: Some("thing.happened".to_owned()),
        observed_time: Some(99),
        flags: 1,
        attributes: Some(r#"{"a":[true,null]}"#.to_owned()),
        dropped_attributes_count: 3,
        scope_index: Some(0),
    });
    let request: ExportLogsServiceRequest = same(|writer| writer.logs(&batch));
    let record = &request.resource_logs[0].scope_logs[0].log_records[0];
    assert_eq!(
        (record.severity_number, record.severity_text.as_str()),
        (11, "Notice")
    );
    assert_eq!(
        (record.event_name.as_str(), record.observed_time_unix_nano),
        ("thing.happened", 99)
    );
    assert_eq!(
        (
            record.flags,
            record.dropped_attributes_count,
            record.attributes.len()
        ),
        (1, 3, 1)
    );
    let body = record.body.as_ref().unwrap();
    assert!(matches!(body.value, Some(Any::KvlistValue(_))));
}

fn sent_metric(value: MetricValue, time: u64) -> Metric {
    let mut metric = recorded().metrics.metrics[0].clone();
    metric.name = "theirs".to_owned();
    metric.time = time;
    metric.unit = Some("s".to_owned());
    metric.value = value;
    metric.resource_index = Some(0);
    metric.otel = Some(OtelMetric {
        description: Some("what".to_owned()),
        start_time: Some(5),
        exemplars: vec![Exemplar {
            time: 6,
            value: MetricNumber::Integer(-7),
            trace_id: Some("ab".to_owned()),
            span_id: Some("cd".to_owned()),
            filtered_attributes: Some(r#"{"f":1}"#.to_owned()),
        }],
        metadata: Some(r#"{"meta":"data"}"#.to_owned()),
        attributes: Some(r#"{"n":8}"#.to_owned()),
        flags: 1,
        scope_index: Some(0),
    });
    metric
}

fn values_of_all_kinds() -> Vec<MetricValue> {
    let sum = |number| {
        MetricValue::Sum(SumPoint {
            value: number,
            temporality: Temporality::Cumulative,
            is_monotonic: false,
        })
    };
    let histogram = MetricValue::Histogram(HistogramPoint {
        count: 3,
        sum: Some(-1.5),
        min: Some(0.0),
        max: None,
        bucket_counts: vec![1, 2],
        bounds: vec![0.5],
        temporality: Temporality::Delta,
    });
    let exponential = MetricValue::ExponentialHistogram(ExponentialHistogramPoint {
        count: 300,
        sum: None,
        min: None,
        max: Some(2.0),
        scale: -3,
        zero_count: 4,
        zero_threshold: 0.25,
        positive: ExponentialBuckets {
            offset: -2,
            counts: vec![0, 200, u64::MAX],
        },
        negative: ExponentialBuckets {
            offset: 1,
            counts: Vec::new(),
        },
        temporality: Temporality::Delta,
    });
    let summary = MetricValue::Summary(SummaryPoint {
        count: 2,
        sum: 3.0,
        quantiles: vec![QuantileValue {
            quantile: 0.5,
            value: 1.0,
        }],
    });
    vec![
        sum(MetricNumber::Integer(i64::MIN)),
        MetricValue::Gauge(MetricNumber::Floating(0.0)),
        sum(MetricNumber::Floating(1.5)),
        histogram,
        exponential,
        summary,
    ]
}

#[test]
fn all_kinds_of_points_leave_as_they_came_and_those_of_one_metric_together() {
    let metrics: Vec<Metric> = values_of_all_kinds()
        .into_iter()
        .zip(10..)
        .map(|(value, time)| sent_metric(value, time))
        .collect();
    let batch = MetricBatch {
        tokens: Vec::new(),
        metrics,
        resources: vec![resource()],
        scopes: vec![scope()],
    };
    let request: ExportMetricsServiceRequest = same(|writer| writer.metrics(&batch));
    let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
    assert_eq!(metrics.len(), 5, "the two sums are one metric");
    let text = serde_json::to_value(&metrics[0]).unwrap();
    assert_eq!(text["description"], "what");
    assert_eq!(text["metadata"][0]["key"], "meta");
    let points: &Value = &text["sum"]["dataPoints"];
    assert_eq!(points.as_array().unwrap().len(), 2);
    assert_eq!(
        (&points[0]["asInt"], &points[1]["asDouble"]),
        (&json!("-9223372036854775808"), &json!(1.5))
    );
    assert_eq!(
        (&points[0]["startTimeUnixNano"], &points[0]["flags"]),
        (&json!("5"), &json!(1))
    );
    let keys: Vec<_> = points[0]["attributes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| pair["key"].clone())
        .collect();
    assert_eq!(keys.last(), Some(&json!("n")));
    assert_eq!(points[0]["exemplars"][0]["asInt"], "-7");
    let exponential = serde_json::to_value(&metrics[3]).unwrap();
    let point = &exponential["exponentialHistogram"]["dataPoints"][0];
    assert_eq!(
        (&point["scale"], &point["positive"]["offset"]),
        (&json!(-3), &json!(-2))
    );
    assert_eq!(
        point["positive"]["bucketCounts"][2],
        json!(u64::MAX.to_string())
    );
    assert_eq!(
        (&point["max"], &point["min"], &point["sum"]),
        (&json!(2.0), &Value::Null, &Value::Null)
    );
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // The reference reads others not quite exactly from JSON.
        any::<i32>().prop_map(|number| Value::from(f64::from(number) / 8.0)),
        "\\PC{0,40}".prop_map(Value::from),
        "[a-z\"\\\\\n]{100,300}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map("\\PC{1,8}", inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Whatever the attributes: both encodings say the same, and the reference reads them.
    #[test]
    fn attributes_of_any_form_are_the_same_in_both(all in prop::collection::hash_map("\\PC{1,20}", any_json(), 0..8)) {
        let object = Value::Object(all.into_iter().collect()).to_string();
        let batch = sent_span(&object);
        same::<ExportTraceServiceRequest>(|writer| writer.traces(&batch));
    }
}
