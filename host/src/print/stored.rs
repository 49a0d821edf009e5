//! Logs, metrics, scores and feedback of the local store. A table each, `None` when there is nothing to show.

use super::letters::time;
use super::{Look, Tone, cell, finish, table, visible};
use crate::event::Event;
use crate::event::records::{
    FeedbackItem, FeedbackValue, Log, Metric, MetricNumber, MetricValue, Score,
};

/// Events as lines of JSON, in the form that `POST /v1/events` and `run --input` read.
#[must_use]
pub fn lines<'e>(events: impl IntoIterator<Item = &'e Event>) -> String {
    let mut text = String::new();
    for event in events {
        let payload = std::str::from_utf8(&event.payload).unwrap_or("null");
        // Between its tokens JSON may be broken into lines; here an event is one.
        let payload = payload.replace(['\n', '\r', '\t'], " ");
        let (name, key) = (event.kind.type_name(), event.kind.payload_key());
        text.push_str(&visible(&format!(
            r#"{{"type":"{name}","{key}":{payload}}}"#
        )));
        text.push('\n');
    }
    text
}

/// Log records.
#[must_use]
pub fn logs(logs: &[Log<'_>], look: Look) -> Option<String> {
    rows(look, &["time", "level", "message", "trace"], logs, |log| {
        let tone = match &*log.level {
            "error" | "fatal" => Tone::Bad,
            "warn" => Tone::Warning,
            "debug" => Tone::Dim,
            _ => Tone::Plain,
        };
        vec![
            (Tone::Dim, time(log.time)),
            (tone, log.level.to_string()),
            (Tone::Plain, log.message.to_string()),
            (Tone::Dim, text(log.trace_id.as_deref())),
        ]
    })
}

/// Measurements.
#[must_use]
pub fn metrics(metrics: &[Metric<'_>], look: Look) -> Option<String> {
    let header = ["time", "metric", "value", "unit", "labels"];
    rows(look, &header, metrics, |metric| {
        let labels: Vec<String> = metric
            .labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        vec![
            (Tone::Dim, time(metric.time)),
            (Tone::Strong, metric.name.to_string()),
            (Tone::Plain, value(&metric.value)),
            (Tone::Plain, text(metric.unit.as_deref())),
            (Tone::Dim, labels.join(" ")),
        ]
    })
}

/// Evaluation scores.
#[must_use]
pub fn scores(scores: &[Score<'_>], look: Look) -> Option<String> {
    let header = ["time", "scorer", "score", "reason", "trace", "span"];
    rows(look, &header, scores, |score| {
        let scorer = score.scorer_name.as_ref().unwrap_or(&score.scorer_id);
        vec![
            (Tone::Dim, time(score.time)),
            (Tone::Strong, scorer.to_string()),
            (Tone::Plain, score.value.to_string()),
            (Tone::Plain, text(score.reason.as_deref())),
            (Tone::Dim, text(score.trace_id.as_deref())),
            (Tone::Dim, text(score.span_id.as_deref())),
        ]
    })
}

/// What users said.
#[must_use]
pub fn feedback(items: &[FeedbackItem<'_>], look: Look) -> Option<String> {
    let header = ["time", "feedback", "value", "comment", "user", "trace"];
    rows(look, &header, items, |item| {
        let value = match &item.value {
            FeedbackValue::Number(number) => number.to_string(),
            FeedbackValue::Text(text) => text.to_string(),
        };
        vec![
            (Tone::Dim, time(item.time)),
            (Tone::Strong, item.feedback_type.to_string()),
            (Tone::Plain, value),
            (Tone::Plain, text(item.comment.as_deref())),
            (Tone::Dim, text(item.feedback_user_id.as_deref())),
            (Tone::Dim, text(item.trace_id.as_deref())),
        ]
    })
}

fn rows<T>(
    look: Look,
    header: &[&str],
    items: &[T],
    cells: impl Fn(&T) -> Vec<(Tone, String)>,
) -> Option<String> {
    if items.is_empty() {
        return None;
    }
    let mut table = table(look, header);
    for item in items {
        let cells = cells(item);
        table.add_row(cells.iter().map(|(tone, text)| cell(look, *tone, text)));
    }
    Some(finish(&table))
}

fn text(text: Option<&str>) -> String {
    text.unwrap_or("–").to_owned()
}

fn number(number: MetricNumber) -> String {
    match number {
        MetricNumber::Integer(number) => number.to_string(),
        MetricNumber::Floating(number) => number.to_string(),
    }
}

fn value(value: &MetricValue) -> String {
    let of = |count: u64, sum: Option<f64>| match sum {
        Some(sum) => format!("{count} values, sum {sum}"),
        None => format!("{count} values"),
    };
    match value {
        MetricValue::Single { value, .. } => value.to_string(),
        MetricValue::Sum { value, .. } | MetricValue::Gauge(value) => number(*value),
        MetricValue::Histogram(point) => of(point.count, point.sum),
        MetricValue::ExponentialHistogram(point) => of(point.count, point.sum),
        MetricValue::Summary(point) => of(point.count, Some(point.sum)),
    }
}
