//! Feedback as Sentry's user feedback: a message. A rating has no field, so that it opens the message.

use mastra_exporter_sdk::ids;
use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::records::{EventResource, FeedbackItem, FeedbackValue};
use mastra_otlp::json::hex_id;

use super::{environment, resource};
use crate::config::Config;
use crate::wire::{MAX_MESSAGE_CHARS, event as envelope, seconds};

/// Keeps ids made of a feedback's id apart from others.
const NAMESPACE: &str = "sentry-feedback";

/// The envelope of one piece of feedback. Its event id is derived from its own.
#[must_use]
pub fn feedback(item: &FeedbackItem, resources: &[EventResource], config: &Config) -> Vec<u8> {
    let event_id = ids::trace_id(NAMESPACE, &item.feedback_id);
    let from = resource(resources, item.resource_index);
    let mut text = JsonText::default();
    let mut object = text.object();
    object.string("event_id", &event_id);
    seconds(&mut object, "timestamp", item.time);
    object
        .string("platform", "node")
        .string("level", "info")
        .string("environment", config.environment(environment(from)))
        .string_if("release", config.release.as_ref());
    let mut contexts = object.key("contexts").object();
    let mut of = contexts.key("feedback").object();
    of.string("message", &message(item))
        .string_if("name", item.feedback_user_id.as_ref())
        .string_if("source", item.feedback_source.as_ref());
    of.end();
    if let Some(trace_id) = &item.trace_id {
        let mut trace = contexts.key("trace").object();
        hex_id(trace.key("trace_id"), trace_id, 32);
        match &item.span_id {
            Some(span_id) => hex_id(trace.key("span_id"), span_id, 16),
            // Sentry requires one; feedback about the whole trace has none of its own.
            None => {
                let span_id = ids::span_id(NAMESPACE, trace_id);
                trace.string("span_id", &span_id);
            }
        }
        trace.end();
    }
    contexts.end();
    let mut tags = object.key("tags").object();
    tags.string("feedback.type", &item.feedback_type)
        .string("feedback.id", &item.feedback_id)
        .string("feedback.value", &short(&value(item), MAX_TAG_CHARS));
    tags.string_if("feedback.source_id", item.source_id.as_ref());
    tags.end();
    object.end();
    envelope("feedback", &event_id, &text)
}

/// Longest value of a tag.
const MAX_TAG_CHARS: usize = 200;

fn value(item: &FeedbackItem) -> String {
    match &item.value {
        FeedbackValue::Number(number) => number.to_string(),
        FeedbackValue::Text(text) => text.clone(),
    }
}

/// `thumbs: up`, then the comment.
fn message(item: &FeedbackItem) -> String {
    let comment = item.comment.as_deref().filter(|text| !text.is_empty());
    let mut message = format!("{}: {}", item.feedback_type, value(item));
    if let Some(comment) = comment {
        message.push_str("\n\n");
        message.push_str(comment);
    }
    short(&message, MAX_MESSAGE_CHARS)
}

fn short(text: &str, max_chars: usize) -> String {
    text.chars().take(max_chars).collect()
}
