//! OTLP's messages (`opentelemetry/proto/{trace,logs,metrics,collector}/v1`, release 1.11): one description for protobuf
//! and for JSON.
//!
//! Texts are bytes here, which the wire does not tell apart: so they are slices of the request's body instead of copies.
//! That they are UTF-8 is checked where they are written. Unknown fields are passed over, as the specification wants.

use bytes::Bytes;
use prost::{Message, Oneof};
use serde::{Deserialize, Deserializer};

use super::json;

macro_rules! message {
    ($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Message, Deserialize)]
        #[serde(rename_all = "camelCase", default, remote = "Self")]
        pub(super) struct $name { $($(#[$field_meta])* pub(super) $field: $type),* }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                // What serde derives, under the name that `remote` gives it.
                Self::deserialize(json::ObjectOnly(from))
            }
        }
    };
}

// ------------------------------------------------------------------ common

message! { KeyValue {
    #[prost(bytes = "bytes", tag = "1")] #[serde(deserialize_with = "json::text")] key: Bytes,
    #[prost(message, optional, tag = "2")] value: Option<AnyValue>,
}}

/// `AnyValue`; nothing set is null.
#[derive(Clone, PartialEq, Message)]
pub(super) struct AnyValue {
    #[prost(oneof = "AnyKind", tags = "1, 2, 3, 4, 5, 6, 7")]
    pub(super) value: Option<AnyKind>,
}

/// The kinds of an `AnyValue`.
#[derive(Clone, PartialEq, Oneof)]
pub(super) enum AnyKind {
    #[prost(bytes = "bytes", tag = "1")]
    Text(Bytes),
    #[prost(bool, tag = "2")]
    Boolean(bool),
    #[prost(int64, tag = "3")]
    Integer(i64),
    #[prost(double, tag = "4")]
    Double(f64),
    #[prost(message, tag = "5")]
    Array(ArrayValue),
    #[prost(message, tag = "6")]
    Map(KeyValueList),
    #[prost(bytes = "bytes", tag = "7")]
    Bytes(Bytes),
}

message! { ArrayValue { #[prost(message, repeated, tag = "1")] values: Vec<AnyValue> }}
message! { KeyValueList { #[prost(message, repeated, tag = "1")] values: Vec<KeyValue> }}

message! { Resource {
    #[prost(message, repeated, tag = "1")] attributes: Vec<KeyValue>,
    #[prost(uint32, tag = "2")] dropped_attributes_count: u32,
}}

message! { InstrumentationScope {
    #[prost(bytes = "bytes", tag = "1")] #[serde(deserialize_with = "json::text")] name: Bytes,
    #[prost(bytes = "bytes", tag = "2")] #[serde(deserialize_with = "json::text")] version: Bytes,
    #[prost(message, repeated, tag = "3")] attributes: Vec<KeyValue>,
    #[prost(uint32, tag = "4")] dropped_attributes_count: u32,
}}

// ------------------------------------------------------------------ traces

message! { ExportTraceServiceRequest { #[prost(message, repeated, tag = "1")] resource_spans: Vec<ResourceSpans> }}

message! { ResourceSpans {
    #[prost(message, optional, tag = "1")] resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")] scope_spans: Vec<ScopeSpans>,
    #[prost(bytes = "bytes", tag = "3")] #[serde(deserialize_with = "json::text")] schema_url: Bytes,
}}

message! { ScopeSpans {
    #[prost(message, optional, tag = "1")] scope: Option<InstrumentationScope>,
    #[prost(message, repeated, tag = "2")] spans: Vec<Span>,
    #[prost(bytes = "bytes", tag = "3")] #[serde(deserialize_with = "json::text")] schema_url: Bytes,
}}

message! { Span {
    #[prost(bytes = "bytes", tag = "1")] #[serde(deserialize_with = "json::hex")] trace_id: Bytes,
    #[prost(bytes = "bytes", tag = "2")] #[serde(deserialize_with = "json::hex")] span_id: Bytes,
    #[prost(bytes = "bytes", tag = "3")] #[serde(deserialize_with = "json::text")] trace_state: Bytes,
    #[prost(bytes = "bytes", tag = "4")] #[serde(deserialize_with = "json::hex")] parent_span_id: Bytes,
    #[prost(fixed32, tag = "16")] flags: u32,
    #[prost(bytes = "bytes", tag = "5")] #[serde(deserialize_with = "json::text")] name: Bytes,
    #[prost(int32, tag = "6")] kind: i32,
    #[prost(fixed64, tag = "7")] #[serde(deserialize_with = "json::unsigned")] start_time_unix_nano: u64,
    #[prost(fixed64, tag = "8")] #[serde(deserialize_with = "json::unsigned")] end_time_unix_nano: u64,
    #[prost(message, repeated, tag = "9")] attributes: Vec<KeyValue>,
    #[prost(uint32, tag = "10")] dropped_attributes_count: u32,
    #[prost(message, repeated, tag = "11")] events: Vec<SpanEvent>,
    #[prost(uint32, tag = "12")] dropped_events_count: u32,
    #[prost(message, repeated, tag = "13")] links: Vec<SpanLink>,
    #[prost(uint32, tag = "14")] dropped_links_count: u32,
    #[prost(message, optional, tag = "15")] status: Option<SpanStatus>,
}}

message! { SpanEvent {
    #[prost(fixed64, tag = "1")] #[serde(deserialize_with = "json::unsigned")] time_unix_nano: u64,
    #[prost(bytes = "bytes", tag = "2")] #[serde(deserialize_with = "json::text")] name: Bytes,
    #[prost(message, repeated, tag = "3")] attributes: Vec<KeyValue>,
    #[prost(uint32, tag = "4")] dropped_attributes_count: u32,
}}

message! { SpanLink {
    #[prost(bytes = "bytes", tag = "1")] #[serde(deserialize_with = "json::hex")] trace_id: Bytes,
    #[prost(bytes = "bytes", tag = "2")] #[serde(deserialize_with = "json::hex")] span_id: Bytes,
    #[prost(bytes = "bytes", tag = "3")] #[serde(deserialize_with = "json::text")] trace_state: Bytes,
    #[prost(message, repeated, tag = "4")] attributes: Vec<KeyValue>,
    #[prost(uint32, tag = "5")] dropped_attributes_count: u32,
    #[prost(fixed32, tag = "6")] flags: u32,
}}

message! { SpanStatus {
    #[prost(bytes = "bytes", tag = "2")] #[serde(deserialize_with = "json::text")] message: Bytes,
    #[prost(int32, tag = "3")] code: i32,
}}

// ------------------------------------------------------------------ logs

message! { ExportLogsServiceRequest { #[prost(message, repeated, tag = "1")] resource_logs: Vec<ResourceLogs> }}

message! { ResourceLogs {
    #[prost(message, optional, tag = "1")] resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")] scope_logs: Vec<ScopeLogs>,
    #[prost(bytes = "bytes", tag = "3")] #[serde(deserialize_with = "json::text")] schema_url: Bytes,
}}

message! { ScopeLogs {
    #[prost(message, optional, tag = "1")] scope: Option<InstrumentationScope>,
    #[prost(message, repeated, tag = "2")] log_records: Vec<LogRecord>,
    #[prost(bytes = "bytes", tag = "3")] #[serde(deserialize_with = "json::text")] schema_url: Bytes,
}}

message! { LogRecord {
    #[prost(fixed64, tag = "1")] #[serde(deserialize_with = "json::unsigned")] time_unix_nano: u64,
    #[prost(fixed64, tag = "11")] #[serde(deserialize_with = "json::unsigned")] observed_time_unix_nano: u64,
    #[prost(int32, tag = "2")] severity_number: i32,
    #[prost(bytes = "bytes", tag = "3")] #[serde(deserialize_with = "json::text")] severity_text: Bytes,
    #[prost(message, optional, tag = "5")] body: Option<AnyValue>,
    #[prost(message, repeated, tag = "6")] attributes: Vec<KeyValue>,
    #[prost(uint32, tag = "7")] dropped_attributes_count: u32,
    #[prost(fixed32, tag = "8")] flags: u32,
    #[prost(bytes = "bytes", tag = "9")] #[serde(deserialize_with = "json::hex")] trace_id: Bytes,
    #[prost(bytes = "bytes", tag = "10")] #[serde(deserialize_with = "json::hex")] span_id: Bytes,
    #[prost(bytes = "bytes", tag = "12")] #[serde(deserialize_with = "json::text")] event_name: Bytes,
}}

// ------------------------------------------------------------------ metrics

message! { ExportMetricsServiceRequest { #[prost(message, repeated, tag = "1")] resource_metrics: Vec<ResourceMetrics> }}

message! { ResourceMetrics {
    #[prost(message, optional, tag = "1")] resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")] scope_metrics: Vec<ScopeMetrics>,
    #[prost(bytes = "bytes", tag = "3")] #[serde(deserialize_with = "json::text")] schema_url: Bytes,
}}

message! { ScopeMetrics {
    #[prost(message, optional, tag = "1")] scope: Option<InstrumentationScope>,
    #[prost(message, repeated, tag = "2")] metrics: Vec<Metric>,
    #[prost(bytes = "bytes", tag = "3")] #[serde(deserialize_with = "json::text")] schema_url: Bytes,
}}

message! { Metric {
    #[prost(bytes = "bytes", tag = "1")] #[serde(deserialize_with = "json::text")] name: Bytes,
    #[prost(bytes = "bytes", tag = "2")] #[serde(deserialize_with = "json::text")] description: Bytes,
    #[prost(bytes = "bytes", tag = "3")] #[serde(deserialize_with = "json::text")] unit: Bytes,
    #[prost(message, optional, tag = "5")] gauge: Option<Gauge>,
    #[prost(message, optional, tag = "7")] sum: Option<Sum>,
    #[prost(message, optional, tag = "9")] histogram: Option<Histogram>,
    #[prost(message, optional, tag = "10")] exponential_histogram: Option<ExponentialHistogram>,
    #[prost(message, optional, tag = "11")] summary: Option<Summary>,
    #[prost(message, repeated, tag = "12")] metadata: Vec<KeyValue>,
}}

message! { Gauge { #[prost(message, repeated, tag = "1")] data_points: Vec<NumberDataPoint> }}

message! { Sum {
    #[prost(message, repeated, tag = "1")] data_points: Vec<NumberDataPoint>,
    #[prost(int32, tag = "2")] aggregation_temporality: i32,
    #[prost(bool, tag = "3")] is_monotonic: bool,
}}

message! { Histogram {
    #[prost(message, repeated, tag = "1")] data_points: Vec<HistogramDataPoint>,
    #[prost(int32, tag = "2")] aggregation_temporality: i32,
}}

message! { ExponentialHistogram {
    #[prost(message, repeated, tag = "1")] data_points: Vec<ExponentialHistogramDataPoint>,
    #[prost(int32, tag = "2")] aggregation_temporality: i32,
}}

message! { Summary { #[prost(message, repeated, tag = "1")] data_points: Vec<SummaryDataPoint> }}

message! { NumberDataPoint {
    #[prost(message, repeated, tag = "7")] attributes: Vec<KeyValue>,
    #[prost(fixed64, tag = "2")] #[serde(deserialize_with = "json::unsigned")] start_time_unix_nano: u64,
    #[prost(fixed64, tag = "3")] #[serde(deserialize_with = "json::unsigned")] time_unix_nano: u64,
    #[prost(double, optional, tag = "4")] #[serde(deserialize_with = "json::optional_double")] as_double: Option<f64>,
    #[prost(sfixed64, optional, tag = "6")] #[serde(deserialize_with = "json::optional_signed")] as_int: Option<i64>,
    #[prost(message, repeated, tag = "5")] exemplars: Vec<Exemplar>,
    #[prost(uint32, tag = "8")] flags: u32,
}}

message! { HistogramDataPoint {
    #[prost(message, repeated, tag = "9")] attributes: Vec<KeyValue>,
    #[prost(fixed64, tag = "2")] #[serde(deserialize_with = "json::unsigned")] start_time_unix_nano: u64,
    #[prost(fixed64, tag = "3")] #[serde(deserialize_with = "json::unsigned")] time_unix_nano: u64,
    #[prost(fixed64, tag = "4")] #[serde(deserialize_with = "json::unsigned")] count: u64,
    #[prost(double, optional, tag = "5")] #[serde(deserialize_with = "json::optional_double")] sum: Option<f64>,
    #[prost(fixed64, repeated, tag = "6")] #[serde(deserialize_with = "json::unsigned_list")] bucket_counts: Vec<u64>,
    #[prost(double, repeated, tag = "7")] #[serde(deserialize_with = "json::double_list")] explicit_bounds: Vec<f64>,
    #[prost(message, repeated, tag = "8")] exemplars: Vec<Exemplar>,
    #[prost(uint32, tag = "10")] flags: u32,
    #[prost(double, optional, tag = "11")] #[serde(deserialize_with = "json::optional_double")] min: Option<f64>,
    #[prost(double, optional, tag = "12")] #[serde(deserialize_with = "json::optional_double")] max: Option<f64>,
}}

message! { ExponentialHistogramDataPoint {
    #[prost(message, repeated, tag = "1")] attributes: Vec<KeyValue>,
    #[prost(fixed64, tag = "2")] #[serde(deserialize_with = "json::unsigned")] start_time_unix_nano: u64,
    #[prost(fixed64, tag = "3")] #[serde(deserialize_with = "json::unsigned")] time_unix_nano: u64,
    #[prost(fixed64, tag = "4")] #[serde(deserialize_with = "json::unsigned")] count: u64,
    #[prost(double, optional, tag = "5")] #[serde(deserialize_with = "json::optional_double")] sum: Option<f64>,
    #[prost(sint32, tag = "6")] scale: i32,
    #[prost(fixed64, tag = "7")] #[serde(deserialize_with = "json::unsigned")] zero_count: u64,
    #[prost(message, optional, tag = "8")] positive: Option<Buckets>,
    #[prost(message, optional, tag = "9")] negative: Option<Buckets>,
    #[prost(uint32, tag = "10")] flags: u32,
    #[prost(message, repeated, tag = "11")] exemplars: Vec<Exemplar>,
    #[prost(double, optional, tag = "12")] #[serde(deserialize_with = "json::optional_double")] min: Option<f64>,
    #[prost(double, optional, tag = "13")] #[serde(deserialize_with = "json::optional_double")] max: Option<f64>,
    #[prost(double, tag = "14")] #[serde(deserialize_with = "json::double")] zero_threshold: f64,
}}

message! { Buckets {
    #[prost(sint32, tag = "1")] offset: i32,
    #[prost(uint64, repeated, tag = "2")] #[serde(deserialize_with = "json::unsigned_list")] bucket_counts: Vec<u64>,
}}

message! { SummaryDataPoint {
    #[prost(message, repeated, tag = "7")] attributes: Vec<KeyValue>,
    #[prost(fixed64, tag = "2")] #[serde(deserialize_with = "json::unsigned")] start_time_unix_nano: u64,
    #[prost(fixed64, tag = "3")] #[serde(deserialize_with = "json::unsigned")] time_unix_nano: u64,
    #[prost(fixed64, tag = "4")] #[serde(deserialize_with = "json::unsigned")] count: u64,
    #[prost(double, tag = "5")] #[serde(deserialize_with = "json::double")] sum: f64,
    #[prost(message, repeated, tag = "6")] quantile_values: Vec<ValueAtQuantile>,
    #[prost(uint32, tag = "8")] flags: u32,
}}

message! { ValueAtQuantile {
    #[prost(double, tag = "1")] #[serde(deserialize_with = "json::double")] quantile: f64,
    #[prost(double, tag = "2")] #[serde(deserialize_with = "json::double")] value: f64,
}}

message! { Exemplar {
    #[prost(message, repeated, tag = "7")] filtered_attributes: Vec<KeyValue>,
    #[prost(fixed64, tag = "2")] #[serde(deserialize_with = "json::unsigned")] time_unix_nano: u64,
    #[prost(double, optional, tag = "3")] #[serde(deserialize_with = "json::optional_double")] as_double: Option<f64>,
    #[prost(sfixed64, optional, tag = "6")] #[serde(deserialize_with = "json::optional_signed")] as_int: Option<i64>,
    #[prost(bytes = "bytes", tag = "4")] #[serde(deserialize_with = "json::hex")] span_id: Bytes,
    #[prost(bytes = "bytes", tag = "5")] #[serde(deserialize_with = "json::hex")] trace_id: Bytes,
}}

// ------------------------------------------------------------------ answers

/// `Export*ServiceResponse`: the three have the same fields.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ExportResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) partial_success: Option<PartialSuccess>,
}

/// `Export*PartialSuccess`: what was rejected is spans, log records or data points.
#[derive(Clone, PartialEq, Message)]
pub(super) struct PartialSuccess {
    #[prost(int64, tag = "1")]
    pub(super) rejected: i64,
    #[prost(string, tag = "2")]
    pub(super) error_message: String,
}

/// `google.rpc.Status`
#[derive(Clone, PartialEq, Message)]
pub(in crate::receive) struct RpcStatus {
    #[prost(int32, tag = "1")]
    pub(in crate::receive) code: i32,
    #[prost(string, tag = "2")]
    pub(in crate::receive) message: String,
    #[prost(message, repeated, tag = "3")]
    pub(in crate::receive) details: Vec<ProtoAny>,
}

/// `google.protobuf.Any`
#[derive(Clone, PartialEq, Message)]
pub(in crate::receive) struct ProtoAny {
    #[prost(string, tag = "1")]
    pub(in crate::receive) type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(in crate::receive) value: Vec<u8>,
}

/// `google.rpc.RetryInfo`
#[derive(Clone, PartialEq, Message)]
pub(in crate::receive) struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    pub(in crate::receive) retry_delay: Option<ProtoDuration>,
}

/// `google.protobuf.Duration`, whole seconds.
#[derive(Clone, PartialEq, Message)]
pub(in crate::receive) struct ProtoDuration {
    #[prost(int64, tag = "1")]
    pub(in crate::receive) seconds: i64,
}
