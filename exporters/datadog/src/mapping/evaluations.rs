//! Scores and feedback as evaluations of LLM Observability. An evaluation is joined to a span by its ids, or to the root
//! span of a trace by a tag; feedback names a span, a trace or a session.

use std::borrow::Cow;

use mastra_exporter_sdk::feedback::{is_label, metadata, thumb};
use mastra_exporter_sdk::raw::{Kind as JsonKind, kind};
use mastra_exporter_sdk::records::{EventResource, FeedbackItem, FeedbackValue, Score};

use super::{Origins, decimal, padded, some_text};
use crate::config::Config;
use crate::wire::{Evaluation, EvaluationValue, Subject};

/// The submitter of feedback that does not name one; the API requires it.
const UNKNOWN_SUBMITTER: &str = "unknown";

const NANOS_A_MILLISECOND: u64 = 1_000_000;

/// A score, or why there is no place for it.
///
/// # Errors
/// The reason.
pub fn score<'a>(
    score: &'a Score,
    resources: &[EventResource],
    config: &'a Config,
) -> Result<Evaluation<'a>, &'static str> {
    let trace_id = score.trace_id.as_ref().ok_or("a score without a trace")?;
    let trace_id = padded(trace_id);
    let mut tags = tags(score.resource_index, resources, config);
    for (key, value) in [
        ("score_source", &score.score_source),
        ("scorer_version", &score.scorer_version),
        ("experiment_id", &score.experiment_id),
    ] {
        tags.extend(some_text(value.as_ref()).map(|value| format!("{key}:{value}")));
    }
    let name = some_text(score.scorer_name.as_ref()).unwrap_or(&score.scorer_id);
    Ok(Evaluation {
        subject: match &score.span_id {
            Some(span_id) => Subject::Span {
                trace_id,
                span_id: decimal(span_id),
            },
            None => Subject::Trace { trace_id },
        },
        label: label(name, "score"),
        ml_app: &config.ml_app,
        timestamp_ms: score.time / NANOS_A_MILLISECOND,
        value: EvaluationValue::Score(score.value),
        reasoning: some_text(score.reason.as_ref()),
        metadata: score
            .metadata
            .as_deref()
            .filter(|json| kind(json) == JsonKind::Object)
            .map(Cow::Borrowed),
        tags,
    })
}

/// Feedback, or why there is no place for it.
///
/// # Errors
/// The reason.
pub fn feedback<'a>(
    item: &'a FeedbackItem,
    resources: &[EventResource],
    config: &'a Config,
) -> Result<Evaluation<'a>, &'static str> {
    let context = item.correlation.as_ref();
    let session_id = || some_text(context?.session_id.as_ref());
    let (id_name, id) = match (&item.span_id, &item.trace_id) {
        (Some(span_id), _) => ("span_id", decimal(span_id)),
        (None, Some(trace_id)) => ("trace_id", padded(trace_id)),
        (None, None) => (
            "session_id",
            session_id()
                .ok_or("feedback without a span, trace or session")?
                .to_owned(),
        ),
    };
    let user_id = || some_text(context?.user_id.as_ref());
    let value = match (thumb(item), &item.value) {
        (Some(is_up), _) => EvaluationValue::Boolean(is_up),
        (None, FeedbackValue::Number(number)) => EvaluationValue::Score(*number),
        (None, FeedbackValue::Text(text)) if is_label(text) => EvaluationValue::Categorical(text),
        (None, FeedbackValue::Text(text)) => EvaluationValue::Text(text),
    };
    Ok(Evaluation {
        subject: Subject::Feedback {
            id_name,
            id,
            submitter_id: some_text(item.feedback_user_id.as_ref())
                .or_else(user_id)
                .unwrap_or(UNKNOWN_SUBMITTER),
            submitter_type: some_text(item.feedback_source.as_ref()),
        },
        label: label(&item.feedback_type, "feedback"),
        ml_app: &config.ml_app,
        timestamp_ms: item.time / NANOS_A_MILLISECOND,
        value,
        reasoning: some_text(item.comment.as_ref()),
        metadata: metadata(item).map(Cow::Owned),
        tags: tags(item.resource_index, resources, config),
    })
}

fn tags(index: Option<u32>, resources: &[EventResource], config: &Config) -> Vec<String> {
    let origins = Origins { config, resources };
    let mut tags = origins.tags(index);
    tags.push(format!("ml_app:{}", config.ml_app));
    tags
}

/// A label has no dots.
fn label<'a>(name: &'a str, otherwise: &'a str) -> Cow<'a, str> {
    match name {
        "" => Cow::Borrowed(otherwise),
        name if name.contains('.') => Cow::Owned(name.replace('.', "_")),
        name => Cow::Borrowed(name),
    }
}
