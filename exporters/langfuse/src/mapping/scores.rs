//! Scores and feedback as Langfuse scores. Langfuse keeps a score with a trace, an observation of it, or a session; what
//! belongs to none of them has no place.

use std::borrow::Cow;

use mastra_exporter_sdk::feedback::{is_label, metadata, thumb};
use mastra_exporter_sdk::raw::{Kind, kind};
use mastra_exporter_sdk::records::{Correlation, FeedbackItem, FeedbackValue, Score};

use crate::config::Config;
use crate::wire::{self, ScoreValue, Subject};

/// Longest `TEXT` value, in UTF-16 units.
const MAX_TEXT_UNITS: usize = 500;

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
    let value = match (thumb(item), &item.value) {
        (Some(is_up), _) => ScoreValue::Boolean(is_up),
        (None, FeedbackValue::Number(number)) => ScoreValue::Numeric(*number),
        (None, FeedbackValue::Text(text)) if text.is_empty() => {
            let comment = comment.take().ok_or("feedback without a value")?;
            let (text, _) = short_text(&comment);
            ScoreValue::Text(Cow::Owned(text.to_owned()))
        }
        (None, FeedbackValue::Text(text)) => {
            let (value, rest) = text_value(text);
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
        metadata: metadata(item).map(Cow::Owned),
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

fn first_name<'a>(names: &[Option<&'a str>], otherwise: &'a str) -> &'a str {
    names
        .iter()
        .copied()
        .flatten()
        .find(|name| !name.is_empty())
        .unwrap_or(otherwise)
}

/// The value, and the whole text when the value could not hold it.
fn text_value(text: &str) -> (ScoreValue<'_>, Option<&str>) {
    if is_label(text) {
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

#[cfg(test)]
#[path = "scores_tests.rs"]
mod tests;
