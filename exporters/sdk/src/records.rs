//! The records of the five signals and the answers, field for field those of `wit/types.wit`, whose doc comments give
//! units and meaning. They are the generated types themselves: a batch is not copied on its way to the author's code.

pub use crate::bindings::base::mastra::observability::types::{
    Correlation, Cost, DelayScope, Entity, ErrorInfo, EventResource, EventScope, Exemplar,
    ExponentialBuckets, ExponentialHistogramPoint, FeedbackBatch, FeedbackItem, FeedbackValue,
    HistogramPoint, Instrument, ItemResult, Log, LogBatch, Metric, MetricBatch, MetricNumber,
    MetricValue, ModelCall, NotBefore, Observation, OtelLog, OtelMetric, OtelSpan, PartialSuccess,
    QuantileValue, Score, ScoreBatch, SendOutcome, SendResult, Signal, Span, SpanAncestor,
    SpanBatch, SpanEvent, SpanKind, SpanLink, SpanPhase, SpanStatus, StatusCode, SumPoint,
    SummaryPoint, Temporality, Usage,
};
