//! Our records as the backend wants them. Free-form values are JSON that the host has checked; they go in as they are.

use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::records::*;

/// Of times.
pub const NANOS_PER_MS: u64 = 1_000_000;
{{#traces}}

pub fn span(out: &mut JsonText, span: &Span) {
    let mut object = out.object();
    object.string("id", &span.span_id).string("trace_id", &span.trace_id).string("name", &span.name);
    object.string("type", &span.span_type).string_if("parent_id", span.parent_span_id.as_ref());
    object.unsigned("start_ms", span.start_time / NANOS_PER_MS);
    if let Some(end) = span.end_time {
        object.unsigned("end_ms", end / NANOS_PER_MS);
    }
    object.raw_if("input", span.input.as_ref()).raw_if("output", span.output.as_ref());
    object.end();
}
{{/traces}}
{{#logs}}

pub fn log(out: &mut JsonText, log: &Log) {
    let mut object = out.object();
    object.string("id", &log.log_id).string_if("trace_id", log.trace_id.as_ref());
    object.unsigned("time_ms", log.time / NANOS_PER_MS);
    object.string("level", &log.level).string("message", &log.message).raw_if("data", log.data.as_ref());
    object.end();
}
{{/logs}}
{{#metrics}}

/// Points that a sender has added up (histograms and the like) come without a value.
pub fn metric(out: &mut JsonText, metric: &Metric) {
    let mut object = out.object();
    object.string("id", &metric.metric_id).string("name", &metric.name);
    object.unsigned("time_ms", metric.time / NANOS_PER_MS);
    if let MetricValue::Single(observation) = &metric.value {
        object.float("value", observation.value);
    }
    let mut labels = object.key("labels").object();
    for (name, value) in &metric.labels {
        labels.string(name, value);
    }
    labels.end();
    object.end();
}
{{/metrics}}
{{#scores}}

pub fn score(out: &mut JsonText, score: &Score) {
    let mut object = out.object();
    object.string("id", &score.score_id).string_if("trace_id", score.trace_id.as_ref());
    object.string_if("span_id", score.span_id.as_ref()).string("scorer", &score.scorer_id);
    object.float("value", score.value).string_if("reason", score.reason.as_ref());
    object.end();
}
{{/scores}}
{{#feedback}}

pub fn feedback(out: &mut JsonText, item: &FeedbackItem) {
    let mut object = out.object();
    object.string("id", &item.feedback_id).string_if("trace_id", item.trace_id.as_ref());
    object.string_if("span_id", item.span_id.as_ref()).string("type", &item.feedback_type);
    match &item.value {
        FeedbackValue::Number(number) => object.float("value", *number),
        FeedbackValue::Text(text) => object.string("value", text),
    };
    object.string_if("comment", item.comment.as_ref());
    object.end();
}
{{/feedback}}
