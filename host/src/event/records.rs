//! The typed records, field for field those of `wit/types.wit` (its doc comments give units and meaning). They borrow
//! from the event's JSON text; only text with escapes, and what `shape` rewrites, is owned.

#![expect(
    missing_docs,
    reason = "every field is documented in wit/types.wit, which these records repeat name for name"
)]

use std::borrow::Cow;

/// Text of a field.
pub type Text<'a> = Cow<'a, str>;
/// JSON text of a free-form field, exactly as received.
pub type Json<'a> = Cow<'a, str>;

/// `types.event-resource`, before a batch numbers the distinct ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Resource<'a> {
    pub service_name: Option<Text<'a>>,
    pub service_version: Option<Text<'a>>,
    pub environment: Option<Text<'a>>,
    pub project_id: Option<Text<'a>>,
    pub attributes: Option<Json<'a>>,
    pub schema_url: Option<Text<'a>>,
    pub dropped_attributes_count: u32,
    pub extra: Option<Json<'a>>,
}

/// `types.event-scope`, before a batch numbers the distinct ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scope<'a> {
    pub name: Text<'a>,
    pub version: Option<Text<'a>>,
    pub attributes: Option<Json<'a>>,
    pub schema_url: Option<Text<'a>>,
    pub dropped_attributes_count: u32,
    pub extra: Option<Json<'a>>,
}

/// `types.entity`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entity<'a> {
    pub entity_type: Option<Text<'a>>,
    pub entity_id: Option<Text<'a>>,
    pub entity_name: Option<Text<'a>>,
    pub entity_version_id: Option<Text<'a>>,
}

/// `types.correlation`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Correlation<'a> {
    pub trace_id: Option<Text<'a>>,
    pub span_id: Option<Text<'a>>,
    pub tags: Option<Vec<Text<'a>>>,
    pub entity: Entity<'a>,
    pub parent_entity: Entity<'a>,
    pub root_entity: Entity<'a>,
    pub user_id: Option<Text<'a>>,
    pub organization_id: Option<Text<'a>>,
    pub resource_id: Option<Text<'a>>,
    pub run_id: Option<Text<'a>>,
    pub session_id: Option<Text<'a>>,
    pub thread_id: Option<Text<'a>>,
    pub request_id: Option<Text<'a>>,
    pub environment: Option<Text<'a>>,
    pub source: Option<Text<'a>>,
    pub service_name: Option<Text<'a>>,
    pub experiment_id: Option<Text<'a>>,
    pub extra: Option<Json<'a>>,
}

/// `types.cost`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cost<'a> {
    pub provider: Option<Text<'a>>,
    pub model: Option<Text<'a>>,
    pub estimated_cost: Option<f64>,
    pub cost_unit: Option<Text<'a>>,
    pub metadata: Option<Json<'a>>,
}

/// `types.usage`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub input_tokens: Option<u64>,
    pub output_tokens: Option<u64>,
    pub input_text: Option<u64>,
    pub input_cache_read: Option<u64>,
    pub input_cache_write: Option<u64>,
    pub input_cache_write_short: Option<u64>,
    pub input_cache_write_long: Option<u64>,
    pub input_audio: Option<u64>,
    pub input_image: Option<u64>,
    pub output_text: Option<u64>,
    pub output_reasoning: Option<u64>,
    pub output_audio: Option<u64>,
    pub output_image: Option<u64>,
}

/// `types.span-phase`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanPhase {
    Started,
    Updated,
    Ended,
}

/// `types.span-kind`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SpanKind {
    #[default]
    Unspecified,
    Internal,
    Server,
    Client,
    Producer,
    Consumer,
}

/// `types.status-code`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StatusCode {
    #[default]
    Unset,
    Ok,
    Error,
}

/// `types.error-info`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ErrorInfo<'a> {
    pub message: Text<'a>,
    pub error_id: Option<Text<'a>>,
    pub error_name: Option<Text<'a>>,
    pub stack: Option<Text<'a>>,
    pub domain: Option<Text<'a>>,
    pub category: Option<Text<'a>>,
    pub details: Option<Json<'a>>,
    pub extra: Option<Json<'a>>,
}

/// `types.model-call`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelCall<'a> {
    pub model: Option<Text<'a>>,
    pub provider: Option<Text<'a>>,
    pub response_model: Option<Text<'a>>,
    pub response_id: Option<Text<'a>>,
    pub finish_reason: Option<Text<'a>>,
    pub streaming: Option<bool>,
    pub completion_start_time: Option<u64>,
    pub parameters: Option<Json<'a>>,
    pub usage: Option<Usage>,
    pub cost: Option<Cost<'a>>,
    pub server_address: Option<Text<'a>>,
    pub server_port: Option<u16>,
}

/// `types.span-link`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpanLink<'a> {
    pub trace_id: Text<'a>,
    pub span_id: Text<'a>,
    pub trace_state: Option<Text<'a>>,
    pub attributes: Option<Json<'a>>,
    pub dropped_attributes_count: u32,
    pub flags: u32,
}

/// `types.span-event`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpanEvent<'a> {
    pub time: u64,
    pub name: Text<'a>,
    pub attributes: Option<Json<'a>>,
    pub dropped_attributes_count: u32,
}

/// `types.otel-span`, with the scope itself instead of its index.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OtelSpan<'a> {
    pub kind: SpanKind,
    pub status_code: StatusCode,
    pub status_message: Text<'a>,
    pub trace_state: Option<Text<'a>>,
    pub flags: u32,
    pub links: Vec<SpanLink<'a>>,
    pub events: Vec<SpanEvent<'a>>,
    pub dropped_attributes_count: u32,
    pub dropped_events_count: u32,
    pub dropped_links_count: u32,
    pub scope: Option<Scope<'a>>,
}

/// `types.span`, with the resource itself instead of its index.
#[derive(Clone, Debug, PartialEq)]
pub struct Span<'a> {
    pub phase: SpanPhase,
    pub trace_id: Text<'a>,
    pub span_id: Text<'a>,
    pub parent_span_id: Option<Text<'a>>,
    pub external_parent_span_id: Option<Text<'a>>,
    pub name: Text<'a>,
    pub span_type: Text<'a>,
    pub entity: Entity<'a>,
    pub start_time: u64,
    pub end_time: Option<u64>,
    pub is_event: bool,
    pub is_root: bool,
    pub is_internal: bool,
    pub resource: Option<Resource<'a>>,
    pub attributes: Option<Json<'a>>,
    pub metadata: Option<Json<'a>>,
    pub tags: Option<Vec<Text<'a>>>,
    pub input: Option<Json<'a>>,
    pub output: Option<Json<'a>>,
    pub request_context: Option<Json<'a>>,
    pub error: Option<ErrorInfo<'a>>,
    pub model: Option<ModelCall<'a>>,
    pub otel: Option<Box<OtelSpan<'a>>>,
    pub extra: Option<Json<'a>>,
}

/// `types.otel-log`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OtelLog<'a> {
    pub severity_number: u8,
    pub severity_text: Option<Text<'a>>,
    pub body: Option<Json<'a>>,
    pub event_name: Option<Text<'a>>,
    pub observed_time: Option<u64>,
    pub flags: u32,
    pub attributes: Option<Json<'a>>,
    pub dropped_attributes_count: u32,
    pub scope: Option<Scope<'a>>,
}

/// `types.log`
#[derive(Clone, Debug, PartialEq)]
pub struct Log<'a> {
    pub log_id: Text<'a>,
    pub time: u64,
    pub trace_id: Option<Text<'a>>,
    pub span_id: Option<Text<'a>>,
    pub level: Text<'a>,
    pub message: Text<'a>,
    pub data: Option<Json<'a>>,
    pub tags: Option<Vec<Text<'a>>>,
    pub correlation: Option<Correlation<'a>>,
    pub metadata: Option<Json<'a>>,
    pub resource: Option<Resource<'a>>,
    pub otel: Option<Box<OtelLog<'a>>>,
    pub extra: Option<Json<'a>>,
}

/// `types.instrument`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instrument {
    Counter,
    Histogram,
    Gauge,
}

/// `types.temporality`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Temporality {
    #[default]
    Unspecified,
    Delta,
    Cumulative,
}

/// `types.metric-number`
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MetricNumber {
    Integer(i64),
    Floating(f64),
}

/// `types.exemplar`
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar<'a> {
    pub time: u64,
    pub value: MetricNumber,
    pub trace_id: Option<Text<'a>>,
    pub span_id: Option<Text<'a>>,
    pub filtered_attributes: Option<Json<'a>>,
}

/// `types.histogram-point`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistogramPoint {
    pub count: u64,
    pub sum: Option<f64>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub bucket_counts: Vec<u64>,
    pub bounds: Vec<f64>,
    pub temporality: Temporality,
}

/// `types.exponential-buckets`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExponentialBuckets {
    pub offset: i32,
    pub counts: Vec<u64>,
}

/// `types.exponential-histogram-point`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExponentialHistogramPoint {
    pub count: u64,
    pub sum: Option<f64>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub scale: i32,
    pub zero_count: u64,
    pub zero_threshold: f64,
    pub positive: ExponentialBuckets,
    pub negative: ExponentialBuckets,
    pub temporality: Temporality,
}

/// `types.summary-point`; quantiles are (quantile, value).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SummaryPoint {
    pub count: u64,
    pub sum: f64,
    pub quantiles: Vec<(f64, f64)>,
}

/// `types.metric-value`
#[derive(Clone, Debug, PartialEq)]
pub enum MetricValue {
    Single {
        value: f64,
        instrument: Instrument,
    },
    Sum {
        value: MetricNumber,
        temporality: Temporality,
        is_monotonic: bool,
    },
    Gauge(MetricNumber),
    Histogram(HistogramPoint),
    ExponentialHistogram(ExponentialHistogramPoint),
    Summary(SummaryPoint),
}

/// `types.otel-metric`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OtelMetric<'a> {
    pub description: Option<Text<'a>>,
    pub start_time: Option<u64>,
    pub exemplars: Vec<Exemplar<'a>>,
    pub metadata: Option<Json<'a>>,
    pub attributes: Option<Json<'a>>,
    pub flags: u32,
    pub scope: Option<Scope<'a>>,
}

/// `types.metric`
#[derive(Clone, Debug, PartialEq)]
pub struct Metric<'a> {
    pub metric_id: Text<'a>,
    pub time: u64,
    pub trace_id: Option<Text<'a>>,
    pub span_id: Option<Text<'a>>,
    pub name: Text<'a>,
    pub value: MetricValue,
    pub unit: Option<Text<'a>>,
    pub labels: Vec<(Text<'a>, Text<'a>)>,
    pub correlation: Option<Correlation<'a>>,
    pub cost: Option<Cost<'a>>,
    pub metadata: Option<Json<'a>>,
    pub resource: Option<Resource<'a>>,
    pub otel: Option<Box<OtelMetric<'a>>>,
    pub extra: Option<Json<'a>>,
}

/// `types.score`
#[derive(Clone, Debug, PartialEq)]
pub struct Score<'a> {
    pub score_id: Text<'a>,
    pub time: u64,
    pub trace_id: Option<Text<'a>>,
    pub span_id: Option<Text<'a>>,
    pub scorer_id: Text<'a>,
    pub scorer_name: Option<Text<'a>>,
    pub scorer_version: Option<Text<'a>>,
    pub score_source: Option<Text<'a>>,
    pub value: f64,
    pub reason: Option<Text<'a>>,
    pub experiment_id: Option<Text<'a>>,
    pub score_trace_id: Option<Text<'a>>,
    pub target_entity_type: Option<Text<'a>>,
    pub correlation: Option<Correlation<'a>>,
    pub metadata: Option<Json<'a>>,
    pub resource: Option<Resource<'a>>,
    pub extra: Option<Json<'a>>,
}

/// `types.feedback-value`
#[derive(Clone, Debug, PartialEq)]
pub enum FeedbackValue<'a> {
    Number(f64),
    Text(Text<'a>),
}

/// `types.feedback-item`
#[derive(Clone, Debug, PartialEq)]
pub struct FeedbackItem<'a> {
    pub feedback_id: Text<'a>,
    pub time: u64,
    pub trace_id: Option<Text<'a>>,
    pub span_id: Option<Text<'a>>,
    pub feedback_source: Option<Text<'a>>,
    pub feedback_type: Text<'a>,
    pub value: FeedbackValue<'a>,
    pub feedback_user_id: Option<Text<'a>>,
    pub comment: Option<Text<'a>>,
    pub source_id: Option<Text<'a>>,
    pub experiment_id: Option<Text<'a>>,
    pub correlation: Option<Correlation<'a>>,
    pub metadata: Option<Json<'a>>,
    pub resource: Option<Resource<'a>>,
    pub extra: Option<Json<'a>>,
}

/// A decoded record of any signal.
#[derive(Clone, Debug, PartialEq)]
pub enum Record<'a> {
    Span(Box<Span<'a>>),
    Log(Box<Log<'a>>),
    Metric(Box<Metric<'a>>),
    Score(Box<Score<'a>>),
    Feedback(Box<FeedbackItem<'a>>),
}
