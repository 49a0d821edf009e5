//! An event as a row of the store: its id, its time, its trace, and the event as Mastra writes it. Pure.

use mastra_envelope::Batch;
use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::records::{FeedbackItem, Log, Metric, Score, Span, SpanPhase};
use mastra_exporter_sdk::store::Row;

/// A span's row holds its latest snapshot: updates replace the start, the end replaces both, and nothing replaces the end
/// but the end again.
#[must_use]
pub fn span(span: &Span, batch: &Batch<'_>) -> Row {
    Row {
        id: format!("{}/{}", span.trace_id, span.span_id),
        time: span.start_time,
        trace_id: Some(span.trace_id.clone()),
        rank: match span.phase {
            SpanPhase::Started => 0,
            SpanPhase::Updated => 1,
            SpanPhase::Ended => 2,
        },
        content: written(|text| mastra_envelope::span(text, span, batch)),
    }
}

/// A log record.
#[must_use]
pub fn log(log: &Log, batch: &Batch<'_>) -> Row {
    Row {
        id: log.log_id.clone(),
        time: log.time,
        trace_id: log.trace_id.clone(),
        rank: 0,
        content: written(|text| mastra_envelope::log(text, log, batch)),
    }
}

/// A measurement.
#[must_use]
pub fn metric(metric: &Metric, batch: &Batch<'_>) -> Row {
    Row {
        id: metric.metric_id.clone(),
        time: metric.time,
        trace_id: metric.trace_id.clone(),
        rank: 0,
        content: written(|text| mastra_envelope::metric(text, metric, batch)),
    }
}

/// An evaluation score.
#[must_use]
pub fn score(score: &Score, batch: &Batch<'_>) -> Row {
    Row {
        id: score.score_id.clone(),
        time: score.time,
        trace_id: score.trace_id.clone(),
        rank: 0,
        content: written(|text| mastra_envelope::score(text, score, batch)),
    }
}

/// User feedback.
#[must_use]
pub fn feedback(item: &FeedbackItem, batch: &Batch<'_>) -> Row {
    Row {
        id: item.feedback_id.clone(),
        time: item.time,
        trace_id: item.trace_id.clone(),
        rank: 0,
        content: written(|text| mastra_envelope::feedback(text, item, batch)),
    }
}

fn written(write: impl FnOnce(&mut JsonText)) -> String {
    let mut text = JsonText::default();
    write(&mut text);
    text.into_string()
}
