//! The records of the five signals and the answers, field for field those of `wit/types.wit`, whose doc comments give
//! units and meaning. They are the generated types themselves: a batch is not copied on its way to the author's code.
//!
//! ```
//! use mastra_exporter_sdk::records::{Span, Usage};
//! # use mastra_exporter_sdk::test_support::batches;
//!
//! /// Tokens of a model call; nothing for other spans, and for calls whose provider counts none.
//! fn tokens(span: &Span) -> Option<u64> {
//!     let usage: &Usage = span.model.as_ref()?.usage.as_ref()?;
//!     Some(usage.input_tokens? + usage.output_tokens?)
//! }
//!
//! # let event = r#"{"type":"span_ended","exportedSpan":{"id":"2ef715a36f006237","traceId":"0af7651916cd43dd8448eb211c80319c","name":"gpt","type":"model_generation","startTime":"2023-11-14T22:13:20.000Z","endTime":"2023-11-14T22:13:21.000Z","attributes":{"model":"gpt","usage":{"inputTokens":20,"outputTokens":3}}}}"#;
//! # let span = batches(event).spans.spans.remove(0);
//! assert_eq!(tokens(&span), Some(23));
//! ```

pub use crate::bindings::base::mastra::observability::types::{
    Correlation, Cost, DelayScope, Entity, ErrorInfo, EventResource, EventScope, Exemplar,
    ExponentialBuckets, ExponentialHistogramPoint, FeedbackBatch, FeedbackItem, FeedbackValue,
    HistogramPoint, Instrument, ItemResult, Log, LogBatch, Metric, MetricBatch, MetricNumber,
    MetricValue, ModelCall, NotBefore, Observation, OtelLog, OtelMetric, OtelSpan, PartialSuccess,
    QuantileValue, Score, ScoreBatch, SendOutcome, SendResult, Signal, Span, SpanAncestor,
    SpanBatch, SpanEvent, SpanKind, SpanLink, SpanPhase, SpanStatus, StatusCode, SumPoint,
    SummaryPoint, Temporality, Usage,
};
