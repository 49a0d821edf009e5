//! Scores and feedback as LangSmith's feedback on runs. What is about a whole trace is about its root run.

use mastra_exporter_sdk::feedback::thumb;
use mastra_exporter_sdk::ids;
use mastra_exporter_sdk::records::{Correlation, Entity, FeedbackItem, FeedbackValue, Score};
use mastra_llm::judgement::first_name;
use mastra_llm::merged::Merged;

use super::ancestry::{root_run_id, run_id};
use crate::wire::{Feedback, Verdict};

/// A score, or why LangSmith has no place for it.
///
/// # Errors
/// The reason.
pub fn score(score: &Score) -> Result<Feedback<'_>, &'static str> {
    let trace_id = score.trace_id.as_deref().ok_or("a score without a trace")?;
    let names = [score.scorer_name.as_deref(), Some(score.scorer_id.as_str())];
    let mut metadata = Merged::default();
    metadata
        .layer(score.metadata.as_ref())
        .text("scorerId", &score.scorer_id)
        .text_if("scoreSource", score.score_source.as_ref())
        .text_if("scorerVersion", score.scorer_version.as_ref())
        .text_if("scoreTraceId", score.score_trace_id.as_ref());
    Ok(Feedback {
        id: uuid(&score.score_id),
        run_id: target(
            trace_id,
            score.span_id.as_deref(),
            score.correlation.as_ref(),
        ),
        trace_id: root_run_id(trace_id),
        key: first_name(&names, "score"),
        verdict: Verdict::Number(score.value),
        comment: score.reason.as_deref().filter(|reason| !reason.is_empty()),
        source: "api",
        metadata,
        created_at: score.time,
    })
}

/// Feedback, or why LangSmith has no place for it.
///
/// # Errors
/// The reason.
pub fn feedback(item: &FeedbackItem) -> Result<Feedback<'_>, &'static str> {
    let trace_id = item.trace_id.as_deref().ok_or("feedback without a trace")?;
    let mut metadata = Merged::default();
    metadata
        .layer(item.metadata.as_ref())
        .text_if("feedbackSource", item.feedback_source.as_ref())
        .text_if("feedbackUserId", item.feedback_user_id.as_ref())
        .text_if("sourceId", item.source_id.as_ref());
    let verdict = match (thumb(item), &item.value) {
        (_, FeedbackValue::Number(number)) => Verdict::Number(*number),
        (Some(is_up), FeedbackValue::Text(text)) => Verdict::Thumb(text, is_up),
        (None, FeedbackValue::Text(text)) => Verdict::Words(text),
    };
    Ok(Feedback {
        id: uuid(&item.feedback_id),
        run_id: target(trace_id, item.span_id.as_deref(), item.correlation.as_ref()),
        trace_id: root_run_id(trace_id),
        key: first_name(&[Some(item.feedback_type.as_str())], "feedback"),
        verdict,
        comment: item
            .comment
            .as_deref()
            .filter(|comment| !comment.is_empty()),
        source: "app",
        metadata,
        created_at: item.time,
    })
}

/// The run of a span. A span of an entity that has a root entity and no parent entity is the root of its trace.
fn target(trace_id: &str, span_id: Option<&str>, correlation: Option<&Correlation>) -> String {
    let is_known = |entity: &Entity| entity.entity_type.is_some() || entity.entity_id.is_some();
    let is_root = correlation
        .is_some_and(|context| is_known(&context.root_entity) && !is_known(&context.parent_entity));
    match span_id {
        Some(span_id) if !is_root => run_id(trace_id, span_id),
        _ => root_run_id(trace_id),
    }
}

/// The id itself when it is a UUID, else one derived from it.
fn uuid(id: &str) -> String {
    let is_uuid = id.len() == 36
        && id.bytes().enumerate().all(|(place, byte)| match place {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    if is_uuid {
        id.to_ascii_lowercase()
    } else {
        ids::uuid("langsmith-feedback", id)
    }
}
