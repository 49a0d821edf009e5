//! Scores and feedback as Langfuse scores. Langfuse keeps a score with a trace, an observation of it, or a session; what
//! belongs to none of them has no place.

use std::borrow::Cow;

use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::raw::{Kind, kind};
use mastra_exporter_sdk::records::{Correlation, FeedbackItem, FeedbackValue, Score};
use mastra_llm::judgement::{first_name, is_thumb, thumb};

use crate::config::Config;
use crate::wire::{self, ScoreValue, Subject};

/// Longest `TEXT` value, in UTF-16 units.
const MAX_TEXT_UNITS: usize = 500;

/// Longer texts, and those of several words, are remarks rather than labels.
const MAX_LABEL_CHARS: usize = 64;

/// A score, or why Langfuse has no place for it.
///
/// # Errors
/// The reason.
pub fn score<'a>(score: &'a Score, config: &'a Config) -> Result<wire::Score<'a>, &'static str> {
    let subject = subject(
        score.trace_id.as_ref(),
        score.span_id.as_ref(),
        score.correlation.as_ref(),
    )
    .ok_or("a score without a trace or session")?;
    let names = [score.scorer_name.as_deref(), Some(score.scorer_id.as_str())];
    Ok(wire::Score {
        id: &score.score_id,
        subject,
        name: first_name(&names, "score"),
        value: ScoreValue::Numeric(score.value),
        comment: some_text(score.reason.as_ref()).map(Cow::Borrowed),
        metadata: score
            .metadata
            .as_deref()
            .filter(|json| kind(json) != Kind::Null)
            .map(Cow::Borrowed),
        environment: config.settings.environment.as_deref(),
        timestamp: score.time,
    })
}

/// Feedback, or why Langfuse has no place for it.
///
/// # Errors
/// The reason.
pub fn feedback<'a>(
    item: &'a FeedbackItem,
    config: &'a Config,
) -> Result<wire::Score<'a>, &'static str> {
    let subject = subject(
        item.trace_id.as_ref(),
        item.span_id.as_ref(),
        item.correlation.as_ref(),
    )
    .ok_or("feedback without a trace or session")?;
    let mut comment = some_text(item.comment.as_ref()).map(Cow::Borrowed);
    let value = match &item.value {
        FeedbackValue::Number(number) => number_value(&item.feedback_type, *number),
        FeedbackValue::Text(text) if text.is_empty() => {
            let comment = comment.take().ok_or("feedback without a value")?;
            let (text, _) = short_text(&comment);
            ScoreValue::Text(Cow::Owned(text.to_owned()))
        }
        FeedbackValue::Text(text) => {
            let (value, rest) = text_value(&item.feedback_type, text);
            if let Some(whole) = rest {
                comment = Some(match comment {
                    Some(comment) => Cow::Owned(format!("{comment}\n\n{whole}")),
                    None => Cow::Borrowed(whole),
                });
            }
            value
        }
    };
    Ok(wire::Score {
        id: &item.feedback_id,
        subject,
        name: first_name(&[Some(item.feedback_type.as_str())], "feedback"),
        value,
        comment,
        metadata: feedback_metadata(item).map(Cow::Owned),
        environment: config.settings.environment.as_deref(),
        timestamp: item.time,
    })
}

fn subject<'a>(
    trace_id: Option<&'a String>,
    span_id: Option<&'a String>,
    correlation: Option<&'a Correlation>,
) -> Option<Subject<'a>> {
    if let Some(trace_id) = trace_id {
        return Some(Subject::Trace {
            trace_id,
            observation_id: span_id.map(String::as_str),
        });
    }
    let context = correlation?;
    some_text(context.session_id.as_ref())
        .or_else(|| some_text(context.thread_id.as_ref()))
        .map(Subject::Session)
}

fn some_text(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

fn number_value(feedback_type: &str, number: f64) -> ScoreValue<'static> {
    if is_thumb(feedback_type) && (number == 1.0 || number == 0.0 || number == -1.0) {
        ScoreValue::Boolean(number == 1.0)
    } else {
        ScoreValue::Numeric(number)
    }
}

/// The value, and the whole text when the value could not hold it.
fn text_value<'a>(feedback_type: &str, text: &'a str) -> (ScoreValue<'a>, Option<&'a str>) {
    if let Some(is_up) = thumb(text).filter(|_| is_thumb(feedback_type)) {
        return (ScoreValue::Boolean(is_up), None);
    }
    let is_label =
        !text.contains(char::is_whitespace) && text.chars().nth(MAX_LABEL_CHARS).is_none();
    if is_label {
        return (ScoreValue::Categorical(Cow::Borrowed(text)), None);
    }
    let (short, is_cut) = short_text(text);
    (
        ScoreValue::Text(Cow::Borrowed(short)),
        is_cut.then_some(text),
    )
}

/// At most [`MAX_TEXT_UNITS`] from the start, and whether something was cut.
fn short_text(text: &str) -> (&str, bool) {
    let mut units = 0;
    for (at, character) in text.char_indices() {
        units += character.len_utf16();
        if units > MAX_TEXT_UNITS {
            return (text.get(..at).unwrap_or(text), true);
        }
    }
    (text, false)
}

/// The feedback's metadata and what a score has no field for.
fn feedback_metadata(item: &FeedbackItem) -> Option<String> {
    let own = [
        ("feedbackSource", &item.feedback_source),
        ("feedbackUserId", &item.feedback_user_id),
        ("sourceId", &item.source_id),
        ("experimentId", &item.experiment_id),
    ];
    let mut text = JsonText::default();
    let mut object = text.object();
    if let Some(metadata) = &item.metadata {
        object.members(metadata);
    }
    for (name, value) in own {
        object.string_if(name, value.as_ref());
    }
    object.end();
    Some(text.into_string()).filter(|text| text != "{}")
}

#[cfg(test)]
#[path = "scores_tests.rs"]
mod tests;
