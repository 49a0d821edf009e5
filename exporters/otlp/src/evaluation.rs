//! Scores and feedback as log records: the event `gen_ai.evaluation.result` of the GenAI conventions (v1.41.1,
//! <https://github.com/open-telemetry/semantic-conventions/blob/v1.41.1/docs/gen-ai/gen-ai-events.md>). What the
//! conventions do not name is under `mastra.`; feedback has `mastra.feedback.id`, scores `mastra.score.id`.

use mastra_exporter_sdk::raw::members;
use mastra_exporter_sdk::records::{Correlation, FeedbackItem, FeedbackValue, Score};

use crate::attributes::{Attributes, Key, texts};
use crate::encode::Encoder;
use crate::log::{Record, record};

/// The event's name.
pub const EVENT_NAME: &str = "gen_ai.evaluation.result";

/// Writes a score as a log record.
pub fn score<E: Encoder>(encoder: &mut E, score: &Score) {
    let name = score
        .scorer_name
        .as_ref()
        .filter(|name| !name.is_empty())
        .unwrap_or(&score.scorer_id);
    let head = Record {
        time: score.time,
        trace_id: score.trace_id.as_ref(),
        span_id: score.span_id.as_ref(),
        event_name: EVENT_NAME,
        body: &format!("{name}: {}", score.value),
    };
    record(encoder, head, |sink| {
        sink.text(Key::of("gen_ai.evaluation.name"), name);
        sink.float(Key::of("gen_ai.evaluation.score.value"), score.value);
        let texts = [
            ("gen_ai.evaluation.explanation", score.reason.as_ref()),
            ("mastra.score.id", Some(&score.score_id)),
            ("mastra.scorer.id", Some(&score.scorer_id)),
            ("mastra.scorer.version", score.scorer_version.as_ref()),
            ("mastra.score.source", score.score_source.as_ref()),
            ("mastra.score.trace_id", score.score_trace_id.as_ref()),
            ("mastra.experiment.id", score.experiment_id.as_ref()),
            (
                "mastra.target.entity_type",
                score.target_entity_type.as_ref(),
            ),
        ];
        text_pairs(sink, texts);
        context(sink, score.correlation.as_ref(), score.metadata.as_ref());
    });
}

/// Writes feedback as a log record.
pub fn feedback<E: Encoder>(encoder: &mut E, item: &FeedbackItem) {
    let value = match &item.value {
        FeedbackValue::Number(number) => number.to_string(),
        FeedbackValue::Text(text) => text.clone(),
    };
    let head = Record {
        time: item.time,
        trace_id: item.trace_id.as_ref(),
        span_id: item.span_id.as_ref(),
        event_name: EVENT_NAME,
        body: &format!("{}: {value}", item.feedback_type),
    };
    record(encoder, head, |sink| {
        sink.text(Key::of("gen_ai.evaluation.name"), &item.feedback_type);
        match &item.value {
            FeedbackValue::Number(number) => {
                sink.float(Key::of("gen_ai.evaluation.score.value"), *number);
            }
            FeedbackValue::Text(text) => {
                sink.text(Key::of("gen_ai.evaluation.score.label"), text);
            }
        }
        let texts = [
            ("gen_ai.evaluation.explanation", item.comment.as_ref()),
            ("mastra.feedback.id", Some(&item.feedback_id)),
            ("mastra.feedback.source", item.feedback_source.as_ref()),
            ("mastra.feedback.source_id", item.source_id.as_ref()),
            ("mastra.feedback.user_id", item.feedback_user_id.as_ref()),
            ("mastra.experiment.id", item.experiment_id.as_ref()),
        ];
        text_pairs(sink, texts);
        context(sink, item.correlation.as_ref(), item.metadata.as_ref());
    });
}

fn text_pairs<'a, S: Attributes>(
    sink: &mut S,
    pairs: impl IntoIterator<Item = (&'static str, Option<&'a String>)>,
) {
    for (key, text) in pairs {
        if let Some(text) = text {
            sink.text(Key::of(key), text);
        }
    }
}

/// Who and where, by the names of the conventions where they have one.
fn context<S: Attributes>(
    sink: &mut S,
    correlation: Option<&Correlation>,
    metadata: Option<&String>,
) {
    if let Some(context) = correlation {
        let pairs = [
            ("user.id", context.user_id.as_ref()),
            ("session.id", context.session_id.as_ref()),
            ("gen_ai.conversation.id", context.thread_id.as_ref()),
            ("mastra.run.id", context.run_id.as_ref()),
            ("mastra.entity.type", context.entity.entity_type.as_ref()),
            ("mastra.entity.id", context.entity.entity_id.as_ref()),
            ("mastra.entity.name", context.entity.entity_name.as_ref()),
        ];
        text_pairs(sink, pairs);
        if let Some(tags) = context.tags.as_ref().filter(|tags| !tags.is_empty()) {
            texts(sink, Key::of("mastra.tags"), tags);
        }
    }
    for (key, value) in members(metadata.map_or("", String::as_str)) {
        sink.scalar(Key::under("mastra.metadata.", key), value);
    }
}
