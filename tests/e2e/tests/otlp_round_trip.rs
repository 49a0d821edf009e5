//! What an OpenTelemetry sender posts leaves at an OTLP exporter as it came: generated requests go through the host and the
//! component `otel`, and the reference library decodes both ends.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use std::collections::BTreeMap;

use e2e::{Config, accounts, run};
use kit::backend::Backend;
use kit::backend::collector::Collector;
use kit::client::Outgoing;
use kit::components;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
    HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary,
    SummaryDataPoint, exemplar, exponential_histogram_data_point, number_data_point,
    summary_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use prost::Message;

/// Requests of each signal.
const REQUESTS: usize = 48;

/// Two thousand to two thousand two hundred, in nanoseconds.
const TIMES: std::ops::Range<u64> = 946_684_800_000_000_000..7_258_118_400_000_000_000;

fn value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        "\\PC{0,12}".prop_map(Value::StringValue),
        any::<bool>().prop_map(Value::BoolValue),
        any::<i64>().prop_map(Value::IntValue),
        prop::num::f64::NORMAL.prop_map(Value::DoubleValue),
        Just(Value::DoubleValue(f64::INFINITY)),
        vec(any::<u8>(), 0..6).prop_map(Value::BytesValue),
    ];
    let leaf = leaf.prop_map(|value| AnyValue { value: Some(value) });
    leaf.prop_recursive(2, 8, 3, |inner| {
        let list =
            vec(inner.clone(), 0..3).prop_map(|values| Value::ArrayValue(ArrayValue { values }));
        let map = btree_map("[a-z]{1,4}", inner, 0..3).prop_map(|members| {
            let values = members.into_iter().map(key_value).collect();
            Value::KvlistValue(KeyValueList { values })
        });
        prop_oneof![list, map].prop_map(|value| AnyValue { value: Some(value) })
    })
}

fn key_value((key, value): (String, AnyValue)) -> KeyValue {
    KeyValue {
        key,
        value: Some(value),
        ..KeyValue::default()
    }
}

/// Each key once, known names among them.
fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let key = prop_oneof![
        3 => "[a-zü.]{1,10}",
        1 => prop::sample::select(vec![
            "gen_ai.operation.name", "gen_ai.request.model", "gen_ai.usage.input_tokens", "gen_ai.input.messages",
            "gen_ai.prompt.0.content", "llm.output_messages.0.message.role", "openinference.span.kind", "user.id",
            "input.value", "mastra.span.type", "exception.message",
        ]).prop_map(str::to_owned),
    ];
    btree_map(key, value(), 0..5).prop_map(|all| all.into_iter().map(key_value).collect())
}

fn resource() -> impl Strategy<Value = Resource> {
    (attributes(), 0..3_u32).prop_map(|(mut attributes, dropped_attributes_count)| {
        // The exporter would add one to a resource that has none.
        let named = AnyValue {
            value: Some(Value::StringValue("shop".to_owned())),
        };
        attributes.retain(|attribute| attribute.key != "service.name");
        attributes.push(key_value(("service.name".to_owned(), named)));
        Resource {
            attributes,
            dropped_attributes_count,
            ..Resource::default()
        }
    })
}

fn scope() -> impl Strategy<Value = InstrumentationScope> {
    ("[a-z]{1,5}", "[0-9.]{0,4}", attributes(), 0..3_u32).prop_map(
        |(name, version, attributes, dropped_attributes_count)| InstrumentationScope {
            name,
            version,
            attributes,
            dropped_attributes_count,
        },
    )
}

fn id(length: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(1..=255_u8, length)
}

fn event() -> impl Strategy<Value = Event> {
    (TIMES, "\\PC{1,8}", attributes(), 0..3_u32).prop_map(
        |(time_unix_nano, name, attributes, dropped_attributes_count)| Event {
            time_unix_nano,
            name,
            attributes,
            dropped_attributes_count,
        },
    )
}

fn link() -> impl Strategy<Value = Link> {
    (
        id(16),
        id(8),
        "[a-z=]{0,5}",
        attributes(),
        0..3_u32,
        0..=0x3ff_u32,
    )
        .prop_map(
            |(trace_id, span_id, trace_state, attributes, dropped_attributes_count, flags)| Link {
                trace_id,
                span_id,
                trace_state,
                attributes,
                dropped_attributes_count,
                flags,
            },
        )
}

fn status() -> impl Strategy<Value = Status> {
    ("\\PC{0,8}", 0..3_i32).prop_map(|(message, code)| Status { message, code })
}

fn span() -> impl Strategy<Value = Span> {
    let ids = (id(16), id(8), prop_oneof![Just(Vec::new()), id(8)]);
    let texts = ("[a-z=]{0,5}", "\\PC{1,12}", status());
    let numbers = (0..=0x3ff_u32, 0..6_i32, TIMES, 0..1_000_000_000_u64);
    let lists = (attributes(), vec(event(), 0..3), vec(link(), 0..3));
    let dropped = (0..3_u32, 0..3_u32, 0..3_u32);
    (ids, texts, numbers, lists, dropped).prop_map(|(ids, texts, numbers, lists, dropped)| Span {
        trace_id: ids.0,
        span_id: ids.1,
        parent_span_id: ids.2,
        trace_state: texts.0,
        name: texts.1,
        status: Some(texts.2),
        flags: numbers.0,
        kind: numbers.1,
        start_time_unix_nano: numbers.2,
        end_time_unix_nano: numbers.2 + numbers.3,
        attributes: lists.0,
        events: lists.1,
        links: lists.2,
        dropped_attributes_count: dropped.0,
        dropped_events_count: dropped.1,
        dropped_links_count: dropped.2,
    })
}

fn log_record() -> impl Strategy<Value = LogRecord> {
    let ids = (id(16), id(8), 0..=0xff_u32);
    let body = prop_oneof![value().prop_map(Some), Just(None)];
    let texts = ("[A-Z0-9]{0,6}", "[a-z.]{0,6}", 0..=24_i32);
    (ids, TIMES, TIMES, texts, body, attributes(), 0..3_u32).prop_map(
        |(ids, time, observed, texts, body, attributes, dropped_attributes_count)| LogRecord {
            trace_id: ids.0,
            span_id: ids.1,
            flags: ids.2,
            time_unix_nano: time,
            observed_time_unix_nano: observed,
            severity_text: texts.0,
            event_name: texts.1,
            severity_number: texts.2,
            body,
            attributes,
            dropped_attributes_count,
        },
    )
}

fn traces() -> impl Strategy<Value = ExportTraceServiceRequest> {
    let schema_url = || "[a-z:/]{0,8}";
    let scoped =
        (scope(), schema_url(), vec(span(), 1..4)).prop_map(|(scope, schema_url, spans)| {
            ScopeSpans {
                scope: Some(scope),
                schema_url,
                spans,
            }
        });
    (resource(), schema_url(), vec(scoped, 1..3)).prop_map(|(resource, schema_url, scope_spans)| {
        ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(resource),
                schema_url,
                scope_spans,
            }],
        }
    })
}

fn logs() -> impl Strategy<Value = ExportLogsServiceRequest> {
    let schema_url = || "[a-z:/]{0,8}";
    let records = vec(log_record(), 1..4);
    let scoped =
        (scope(), schema_url(), records).prop_map(|(scope, schema_url, log_records)| ScopeLogs {
            scope: Some(scope),
            schema_url,
            log_records,
        });
    (resource(), schema_url(), vec(scoped, 1..3)).prop_map(|(resource, schema_url, scope_logs)| {
        ExportLogsServiceRequest {
            resource_logs: vec![ResourceLogs {
                resource: Some(resource),
                schema_url,
                scope_logs,
            }],
        }
    })
}

fn exemplar() -> impl Strategy<Value = Exemplar> {
    let value = prop_oneof![
        any::<i64>().prop_map(exemplar::Value::AsInt),
        prop::num::f64::NORMAL.prop_map(exemplar::Value::AsDouble),
    ];
    (TIMES, attributes(), value, id(16), id(8)).prop_map(
        |(time_unix_nano, filtered_attributes, value, trace_id, span_id)| Exemplar {
            filtered_attributes,
            time_unix_nano,
            span_id,
            trace_id,
            value: Some(value),
        },
    )
}

/// Attributes, start, time, exemplars and flags but for the one that says that there is no value.
type Head = (Vec<KeyValue>, u64, u64, Vec<Exemplar>, u32);

fn head() -> impl Strategy<Value = Head> {
    let flags = (0..4_u32).prop_map(|flags| flags << 1);
    (attributes(), TIMES, TIMES, vec(exemplar(), 0..2), flags)
}

fn number_point() -> impl Strategy<Value = NumberDataPoint> {
    let value = prop_oneof![
        any::<i64>().prop_map(number_data_point::Value::AsInt),
        prop::num::f64::NORMAL.prop_map(number_data_point::Value::AsDouble),
    ];
    (head(), value).prop_map(|((attributes, start, time, exemplars, flags), value)| {
        NumberDataPoint {
            attributes,
            start_time_unix_nano: start,
            time_unix_nano: time,
            exemplars,
            flags,
            value: Some(value),
        }
    })
}

/// Sum, least and greatest of what was observed.
fn extent() -> impl Strategy<Value = [Option<f64>; 3]> {
    let number = || prop::option::of(prop::num::f64::NORMAL);
    [number(), number(), number()]
}

fn histogram_point() -> impl Strategy<Value = HistogramDataPoint> {
    let buckets = vec((any::<u64>(), prop::num::f64::NORMAL), 0..4);
    (head(), any::<u64>(), extent(), buckets).prop_map(
        |((attributes, start, time, exemplars, flags), count, [sum, min, max], buckets)| {
            let (mut bucket_counts, mut explicit_bounds): (Vec<u64>, Vec<f64>) =
                buckets.into_iter().unzip();
            explicit_bounds.sort_by(f64::total_cmp);
            bucket_counts.extend((!explicit_bounds.is_empty()).then_some(count));
            HistogramDataPoint {
                attributes,
                start_time_unix_nano: start,
                time_unix_nano: time,
                exemplars,
                flags,
                count,
                sum,
                min,
                max,
                bucket_counts,
                explicit_bounds,
            }
        },
    )
}

fn exponential_point() -> impl Strategy<Value = ExponentialHistogramDataPoint> {
    let buckets = || {
        let buckets = (any::<i32>(), vec(any::<u64>(), 1..4));
        buckets.prop_map(
            |(offset, bucket_counts)| exponential_histogram_data_point::Buckets {
                offset,
                bucket_counts,
            },
        )
    };
    let numbers = (-10..20_i32, any::<u64>(), prop::num::f64::NORMAL);
    let counts = (any::<u64>(), extent(), buckets(), buckets());
    (head(), numbers, counts).prop_map(|(head, numbers, (count, extent, positive, negative))| {
        ExponentialHistogramDataPoint {
            attributes: head.0,
            start_time_unix_nano: head.1,
            time_unix_nano: head.2,
            exemplars: head.3,
            flags: head.4,
            scale: numbers.0,
            zero_count: numbers.1,
            zero_threshold: numbers.2,
            count,
            sum: extent[0],
            min: extent[1],
            max: extent[2],
            positive: Some(positive),
            negative: Some(negative),
        }
    })
}

fn summary_point() -> impl Strategy<Value = SummaryDataPoint> {
    let quantile = (0.0..=1.0, prop::num::f64::NORMAL);
    let quantile = quantile
        .prop_map(|(quantile, value)| summary_data_point::ValueAtQuantile { quantile, value });
    let numbers = (any::<u64>(), prop::num::f64::NORMAL, vec(quantile, 0..3));
    (head(), numbers).prop_map(
        |((attributes, start, time, _, flags), (count, sum, quantile_values))| SummaryDataPoint {
            attributes,
            start_time_unix_nano: start,
            time_unix_nano: time,
            flags,
            count,
            sum,
            quantile_values,
        },
    )
}

fn metric() -> impl Strategy<Value = Metric> {
    let temporality = || 1..3_i32;
    let points = || vec(number_point(), 1..3);
    let sum = (points(), temporality(), any::<bool>());
    let histogram = (vec(histogram_point(), 1..3), temporality());
    let exponential = (vec(exponential_point(), 1..3), temporality());
    let data = prop_oneof![
        points().prop_map(|data_points| Data::Gauge(Gauge { data_points })),
        sum.prop_map(|(data_points, aggregation_temporality, is_monotonic)| {
            Data::Sum(Sum {
                data_points,
                aggregation_temporality,
                is_monotonic,
            })
        }),
        histogram.prop_map(|(data_points, aggregation_temporality)| {
            Data::Histogram(Histogram {
                data_points,
                aggregation_temporality,
            })
        }),
        exponential.prop_map(|(data_points, aggregation_temporality)| {
            Data::ExponentialHistogram(ExponentialHistogram {
                data_points,
                aggregation_temporality,
            })
        }),
        vec(summary_point(), 1..3).prop_map(|data_points| Data::Summary(Summary { data_points })),
    ];
    let texts = ("[a-z_.]{1,8}", "\\PC{0,8}", "[a-z{}/]{0,5}");
    (texts, attributes(), data).prop_map(|((name, description, unit), metadata, data)| Metric {
        name,
        description,
        unit,
        metadata,
        data: Some(data),
    })
}

fn metrics() -> impl Strategy<Value = ExportMetricsServiceRequest> {
    let schema_url = || "[a-z:/]{0,8}";
    let scoped = (scope(), schema_url(), vec(metric(), 1..4));
    let scoped = scoped.prop_map(|(scope, schema_url, metrics)| ScopeMetrics {
        scope: Some(scope),
        schema_url,
        metrics,
    });
    (resource(), schema_url(), vec(scoped, 1..3)).prop_map(
        |(resource, schema_url, scope_metrics)| ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: Some(resource),
                schema_url,
                scope_metrics,
            }],
        },
    )
}

/// Each point as a metric of its own, with its time. The order of a point's attributes means nothing.
fn points_of(metric: Metric) -> Vec<(u64, Metric)> {
    macro_rules! each {
        ($kind:ident, $data:expr $(, $shared:ident)*) => {{
            let data = $data;
            let mut points = Vec::new();
            for mut point in data.data_points.clone() {
                let by_key = |one: &KeyValue, other: &KeyValue| one.key.cmp(&other.key);
                point.attributes.sort_by(by_key);
                let time = point.time_unix_nano;
                let data = Data::$kind($kind {
                    data_points: vec![point],
                    $($shared: data.$shared,)*
                });
                let data = Some(data);
                points.push((
                    time,
                    Metric {
                        data,
                        ..metric.clone()
                    },
                ));
            }
            points
        }};
    }
    match metric.data.clone().unwrap() {
        Data::Gauge(data) => each!(Gauge, data),
        Data::Sum(data) => each!(Sum, data, aggregation_temporality, is_monotonic),
        Data::Histogram(data) => each!(Histogram, data, aggregation_temporality),
        Data::ExponentialHistogram(data) => {
            each!(ExponentialHistogram, data, aggregation_temporality)
        }
        Data::Summary(data) => each!(Summary, data),
    }
}

/// An item with all that it stands below, by its span id; a point by its time.
type Items<T> = BTreeMap<
    Vec<u8>,
    (
        Option<Resource>,
        String,
        Option<InstrumentationScope>,
        String,
        T,
    ),
>;

fn spans_of(requests: impl IntoIterator<Item = ExportTraceServiceRequest>) -> Items<Span> {
    let mut items = Items::new();
    for group in requests
        .into_iter()
        .flat_map(|request| request.resource_spans)
    {
        for scoped in group.scope_spans {
            for span in scoped.spans {
                let (resource, scope) = (group.resource.clone(), scoped.scope.clone());
                let urls = (group.schema_url.clone(), scoped.schema_url.clone());
                items.insert(
                    span.span_id.clone(),
                    (resource, urls.0, scope, urls.1, span),
                );
            }
        }
    }
    items
}

fn logs_of(requests: impl IntoIterator<Item = ExportLogsServiceRequest>) -> Items<LogRecord> {
    let mut items = Items::new();
    for group in requests
        .into_iter()
        .flat_map(|request| request.resource_logs)
    {
        for scoped in group.scope_logs {
            for record in scoped.log_records {
                let (resource, scope) = (group.resource.clone(), scoped.scope.clone());
                let urls = (group.schema_url.clone(), scoped.schema_url.clone());
                items.insert(
                    record.span_id.clone(),
                    (resource, urls.0, scope, urls.1, record),
                );
            }
        }
    }
    items
}

fn metrics_of(requests: impl IntoIterator<Item = ExportMetricsServiceRequest>) -> Items<Metric> {
    let mut items = Items::new();
    for group in requests
        .into_iter()
        .flat_map(|request| request.resource_metrics)
    {
        for scoped in group.scope_metrics {
            for (time, metric) in scoped.metrics.into_iter().flat_map(points_of) {
                let (resource, scope) = (group.resource.clone(), scoped.scope.clone());
                let urls = (group.schema_url.clone(), scoped.schema_url.clone());
                let key = time.to_be_bytes().to_vec();
                items.insert(key, (resource, urls.0, scope, urls.1, metric));
            }
        }
    }
    items
}

fn generate<T: std::fmt::Debug>(strategy: impl Strategy<Value = T>) -> Vec<T> {
    let mut runner = TestRunner::deterministic();
    (0..REQUESTS)
        .map(|_| strategy.new_tree(&mut runner).unwrap().current())
        .collect()
}

fn decoded<M: Message + Default>(backend: &Backend, path: &str) -> Vec<M> {
    let requests = backend.requests_to(path);
    let bodies = requests.into_iter().map(|recorded| recorded.request.body);
    bodies.map(|body| M::decode(body).unwrap()).collect()
}

fn assert_same<T: PartialEq + std::fmt::Debug>(sent: &Items<T>, arrived: &Items<T>) {
    for (id, item) in sent {
        assert_eq!(arrived.get(id), Some(item));
    }
    assert_eq!(sent.len(), arrived.len());
}

#[tokio::test]
async fn spans_log_records_and_points_leave_as_they_came() -> anyhow::Result<()> {
    let backend = Backend::start(Collector::default()).await?;
    let settings = format!(
        "endpoint: \"{}\", api_key: otel-key, api_key_header: x-api-key",
        backend.url()
    );
    let config = Config::new().exporter("otel", &components::exporter("otel")?, &settings);
    let host = run(&config)?.start().await?;
    let (traces, logs, metrics) = (generate(traces()), generate(logs()), generate(metrics()));
    let bodies = traces
        .iter()
        .map(|request| ("/v1/traces", request.encode_to_vec()));
    let bodies = bodies.chain(
        logs.iter()
            .map(|request| ("/v1/logs", request.encode_to_vec())),
    );
    let bodies = bodies.chain(
        metrics
            .iter()
            .map(|request| ("/v1/metrics", request.encode_to_vec())),
    );
    for (path, body) in bodies {
        let reply = host
            .send(Outgoing::post(path, "application/x-protobuf", body))
            .await?;
        assert_eq!(
            (reply.status, reply.body.len()),
            (200, 0),
            "{}",
            reply.text()
        );
    }
    let finished = host.terminate().await?;
    finished.expect_code(0)?;
    accounts(&finished)?;
    assert_same(
        &spans_of(traces),
        &spans_of(decoded(&backend, "/v1/traces")),
    );
    assert_same(&logs_of(logs), &logs_of(decoded(&backend, "/v1/logs")));
    assert_same(
        &metrics_of(metrics),
        &metrics_of(decoded(&backend, "/v1/metrics")),
    );
    Ok(())
}
