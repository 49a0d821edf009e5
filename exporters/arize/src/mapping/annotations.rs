//! Scores and feedback as annotations. A number is a score, a word a label, a reason or remark the explanation.

use mastra_exporter_sdk::feedback::{metadata, thumb};
use mastra_exporter_sdk::ids::push_padded;
use mastra_exporter_sdk::records::{Correlation, FeedbackItem, FeedbackValue, Score};
use mastra_llm::judgement::first_name;

use crate::config::{Backend, Config};
use crate::wire::{Annotation, Target};

/// Phoenix keeps this name for its notes.
const RESERVED: &str = "note";

/// An annotation, or why there is no place for it.
pub type Mapped = Result<Annotation, &'static str>;

/// A score as an annotation of code.
///
/// # Errors
/// Why there is no place for it.
pub fn score(score: &Score, config: &Config) -> Mapped {
    let name = first_name(&[score.scorer_name.as_deref()], &score.scorer_id);
    let names = [name, &score.scorer_id];
    Ok(Annotation {
        target: target(
            score.span_id.as_ref(),
            score.trace_id.as_ref(),
            score.correlation.as_ref(),
            config,
        )?,
        name: named(&names, config)?,
        annotator: "CODE",
        score: Some(score.value),
        label: None,
        explanation: score.reason.clone(),
        metadata: score.metadata.clone(),
        identifier: score.score_id.clone(),
    })
}

/// Feedback as an annotation of a person. Thumbs are 1 and 0.
///
/// # Errors
/// Why there is no place for it.
pub fn feedback(item: &FeedbackItem, config: &Config) -> Mapped {
    let (score, label) = match &item.value {
        FeedbackValue::Number(number) => (Some(*number), None),
        FeedbackValue::Text(text) => (
            thumb(item).map(|is_up| f64::from(u8::from(is_up))),
            Some(text.clone()).filter(|text| !text.is_empty()),
        ),
    };
    if score.is_none() && label.is_none() && item.comment.is_none() {
        return Err("feedback that says nothing");
    }
    Ok(Annotation {
        target: target(
            item.span_id.as_ref(),
            item.trace_id.as_ref(),
            item.correlation.as_ref(),
            config,
        )?,
        name: named(&[&item.feedback_type], config)?,
        annotator: "HUMAN",
        score,
        label,
        explanation: item.comment.clone(),
        metadata: metadata(item),
        identifier: item.feedback_id.clone(),
    })
}

fn target(
    span_id: Option<&String>,
    trace_id: Option<&String>,
    correlation: Option<&Correlation>,
    config: &Config,
) -> Result<Target, &'static str> {
    if let Some(id) = span_id {
        return Ok(Target::Span(padded(id, 16)));
    }
    if let Some(id) = trace_id {
        return match config.backend {
            Backend::Phoenix { .. } => Ok(Target::Trace(padded(id, 32))),
            Backend::Ax { .. } => Err("Arize AX knows a trace by its root span only"),
        };
    }
    let session =
        correlation.and_then(|context| context.thread_id.as_ref().or(context.session_id.as_ref()));
    session
        .map(|id| Target::Session(id.clone()))
        .ok_or("it is about no span, trace or session")
}

fn padded(id: &str, digits: usize) -> String {
    let mut padded = Vec::with_capacity(digits);
    push_padded(&mut padded, id, digits);
    String::from_utf8(padded).unwrap_or_default()
}

/// Phoenix takes any name; Arize AX those that exist, which the operator lists.
fn named(names: &[&str], config: &Config) -> Result<String, &'static str> {
    let listed = names.iter().find_map(|name| config.annotations.get(*name));
    match (&config.backend, listed) {
        (_, Some(name)) => Ok(name.clone()),
        (
            Backend::Ax {
                project_id: None, ..
            },
            _,
        ) => Err("Arize AX needs the setting project_id"),
        (Backend::Ax { .. }, None) => Err("the setting annotations does not list it"),
        (Backend::Phoenix { .. }, None) => {
            let name = first_name(
                &names.iter().copied().map(Some).collect::<Vec<_>>(),
                "score",
            );
            Ok(if name == RESERVED {
                format!("{RESERVED}_")
            } else {
                name.to_owned()
            })
        }
    }
}
