//! Scores as `$ai_metric` and feedback as `$ai_feedback`. Both belong to a trace; a span is named beside it.

use mastra_exporter_sdk::ids;
use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::records::{Correlation, FeedbackItem, FeedbackValue, Score};
use mastra_llm::judgement::first_name;
use mastra_llm::merged::Merged;

use super::{distinct_id, person, user};
use crate::config::Config;
use crate::wire::{self, Event};

/// A score, or why PostHog has no place for it.
///
/// # Errors
/// The reason.
pub fn score<'a>(score: &'a Score, config: &'a Config) -> Result<Event<'a>, &'static str> {
    let trace_id = score.trace_id.as_deref().ok_or("a score without a trace")?;
    let names = [score.scorer_name.as_deref(), Some(score.scorer_id.as_str())];
    let mut number = JsonText::default();
    let mut properties = Merged::default();
    person(&mut properties, score.metadata.as_ref());
    session(&mut properties, score.correlation.as_ref());
    properties
        .text("$ai_trace_id", trace_id)
        .text("$ai_metric_name", first_name(&names, "score"))
        .text("$ai_metric_value", number.float(score.value).as_str())
        .text("score_id", &score.score_id)
        .text("scorer_id", &score.scorer_id)
        .text_if("$ai_span_id", score.span_id.as_ref())
        .text_if("$ai_parent_id", score.span_id.as_ref())
        .text_if("score_source", score.score_source.as_ref())
        .text_if("scorer_version", score.scorer_version.as_ref())
        .text_if("score_trace_id", score.score_trace_id.as_ref())
        .text_if(
            "reason",
            score.reason.as_ref().filter(|reason| !reason.is_empty()),
        );
    let people = [
        of_context(score.correlation.as_ref()),
        user(score.metadata.as_ref()),
    ];
    Ok(Event {
        name: wire::METRIC,
        uuid: ids::uuid(wire::METRIC, &score.score_id),
        distinct_id: distinct_id(&mut properties, &people, trace_id, config),
        timestamp: score.time,
        properties,
    })
}

/// Feedback, or why PostHog has no place for it.
///
/// # Errors
/// The reason.
pub fn feedback<'a>(item: &'a FeedbackItem, config: &'a Config) -> Result<Event<'a>, &'static str> {
    let trace_id = item.trace_id.as_deref().ok_or("feedback without a trace")?;
    let mut value = JsonText::default();
    match &item.value {
        FeedbackValue::Number(number) => value.float(*number),
        FeedbackValue::Text(text) => value.string(text),
    };
    let value = value.into_string();
    let words = match (&item.comment, &item.value) {
        (Some(comment), _) if !comment.is_empty() => comment.as_str(),
        (_, FeedbackValue::Text(text)) => text,
        _ => &value,
    };
    if words.is_empty() {
        return Err("feedback without a value");
    }
    let mut properties = Merged::default();
    person(&mut properties, item.metadata.as_ref());
    session(&mut properties, item.correlation.as_ref());
    properties
        .text("$ai_trace_id", trace_id)
        .text("$ai_feedback_text", words)
        .text("feedback_id", &item.feedback_id)
        .text("feedback_type", &item.feedback_type)
        .raw("feedback_value", value.clone())
        .text_if("feedback_source", item.feedback_source.as_ref())
        .text_if("span_id", item.span_id.as_ref())
        .text_if("$ai_span_id", item.span_id.as_ref())
        .text_if("source_id", item.source_id.as_ref());
    let people = [
        item.feedback_user_id.as_deref(),
        user(item.metadata.as_ref()),
        of_context(item.correlation.as_ref()),
    ];
    Ok(Event {
        name: wire::FEEDBACK,
        uuid: ids::uuid(wire::FEEDBACK, &item.feedback_id),
        distinct_id: distinct_id(&mut properties, &people, trace_id, config),
        timestamp: item.time,
        properties,
    })
}

fn of_context(correlation: Option<&Correlation>) -> Option<&str> {
    correlation?.user_id.as_deref()
}

/// The session of the context, when the metadata names none.
fn session(properties: &mut Merged<'_>, correlation: Option<&Correlation>) {
    let id = correlation.and_then(|context| context.session_id.as_deref());
    if let Some(id) = id.filter(|id| wire::is_id(id))
        && properties.get("$ai_session_id").is_none()
    {
        properties.text("$ai_session_id", id);
    }
}
