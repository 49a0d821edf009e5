//! Scores and feedback as metadata of their trace. Laminar has no endpoint for scores of live traces any more
//! (`/v1/evaluators/score` was removed in 2026-02), and metadata is what it can filter by.

use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::records::{FeedbackItem, FeedbackValue, Score};
use mastra_llm::judgement::first_name;

use crate::wire::trace_uuid;

/// The body of `POST /v1/traces/metadata`, or why there is no place.
pub type Mapped = Result<JsonText, &'static str>;

/// `score.<name>`, and below it the reason. That of a span has the span's id behind the name.
///
/// # Errors
/// Why there is no place for it.
pub fn score(score: &Score) -> Mapped {
    let name = first_name(&[score.scorer_name.as_deref()], &score.scorer_id);
    let key = key("score", name, score.span_id.as_ref());
    body(
        score.trace_id.as_ref(),
        &key,
        |value| {
            value.float(score.value);
        },
        &[("reason", score.reason.as_ref())],
    )
}

/// `feedback.<type>`, and below it the comment and who gave it.
///
/// # Errors
/// Why there is no place for it.
pub fn feedback(item: &FeedbackItem) -> Mapped {
    let key = key("feedback", &item.feedback_type, item.span_id.as_ref());
    let more = [
        ("comment", item.comment.as_ref()),
        ("user_id", item.feedback_user_id.as_ref()),
        ("source", item.feedback_source.as_ref()),
    ];
    body(
        item.trace_id.as_ref(),
        &key,
        |value| {
            match &item.value {
                FeedbackValue::Number(number) => value.float(*number),
                FeedbackValue::Text(text) => value.string(text),
            };
        },
        &more,
    )
}

fn key(kind: &str, name: &str, span_id: Option<&String>) -> String {
    match span_id {
        Some(span_id) => format!("{kind}.{name}.{span_id}"),
        None => format!("{kind}.{name}"),
    }
}

fn body(
    trace_id: Option<&String>,
    key: &str,
    write: impl FnOnce(&mut JsonText),
    more: &[(&str, Option<&String>)],
) -> Mapped {
    let trace_id = trace_id.ok_or("Laminar's metadata belongs to a trace")?;
    let mut text = JsonText::default();
    text.raw("{\"traceId\":").string(&trace_uuid(trace_id));
    text.raw(",\"metadata\":{").string(key).raw(":");
    write(&mut text);
    for (name, value) in more {
        if let Some(value) = value {
            text.raw(",")
                .string(&format!("{key}.{name}"))
                .raw(":")
                .string(value);
        }
    }
    text.raw("}}");
    Ok(text)
}
