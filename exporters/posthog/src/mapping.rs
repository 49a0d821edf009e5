//! Ended spans as PostHog's events. Pure: records in, events out. What the official exporter writes is written the same
//! way; where this one does more or differs, `differences.json` says why.

pub mod judgements;
pub mod logs;
mod messages;
mod model;

use std::borrow::Cow;

use mastra_exporter_sdk::ids;
use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::raw::{Kind, inside_quotes, kind, member};
use mastra_exporter_sdk::records::{ErrorInfo, Span};
use mastra_llm::chat::object_member;
use mastra_llm::merged::Merged;
use mastra_llm::seconds;

use crate::config::Config;
use crate::wire::{self, Event};

/// The events of a span: one, or two for a root that is a model call itself.
#[must_use]
pub fn events<'a>(span: &'a Span, config: &'a Config) -> Vec<Event<'a>> {
    let is_root = span.parent_span_id.is_none();
    let is_generation = span.span_type == "model_generation";
    let mut events = Vec::new();
    if is_root {
        events.push(event(wire::TRACE, span, config));
    }
    if is_generation {
        events.push(event(wire::GENERATION, span, config));
    }
    if events.is_empty() {
        events.push(event(wire::SPAN, span, config));
    }
    events
}

fn event<'a>(name: &'static str, span: &'a Span, config: &'a Config) -> Event<'a> {
    let metadata = span.metadata.as_ref();
    let mut properties = Merged::default();
    if name == wire::SPAN {
        properties.layer(span.attributes.as_ref());
    }
    person(&mut properties, metadata);
    about(&mut properties, name, span);
    match name {
        wire::GENERATION => model::properties(&mut properties, span),
        wire::TRACE => {
            // The id of a root that is a model call is its generation's.
            if span.span_type != "model_generation" {
                properties.text("$ai_span_id", &span.span_id);
            }
            properties.text("$ai_span_name", &span.name);
            states(&mut properties, span);
            for tag in span.tags.iter().flatten() {
                let mut key = JsonText::default();
                key.escaped(tag);
                if properties.get(key.as_str()).is_none() {
                    properties.raw(key.into_string(), "true");
                }
            }
        }
        _ => {
            properties.text("$ai_span_id", &span.span_id);
            properties.text("$ai_span_name", &span.name);
            states(&mut properties, span);
            chunk(&mut properties, span);
        }
    }
    let end = span.end_time.unwrap_or(span.start_time);
    Event {
        name,
        uuid: ids::uuid(name, &format!("{}/{}", span.trace_id, span.span_id)),
        distinct_id: distinct_id(&mut properties, &[user(metadata)], &span.trace_id, config),
        timestamp: end,
        properties,
    }
}

/// What all events of spans have.
fn about<'a>(properties: &mut Merged<'a>, name: &str, span: &'a Span) {
    properties.text("$ai_trace_id", &span.trace_id);
    let parent = match (name, &span.parent_span_id) {
        (wire::TRACE, _) => None,
        (_, Some(parent)) => Some(parent),
        // A root that is a model call: below its own trace.
        (_, None) => Some(&span.trace_id),
    };
    properties.text_if("$ai_parent_id", parent);
    let end = span.end_time.unwrap_or(span.start_time);
    let mut latency = JsonText::default();
    seconds::write(&mut latency, end.saturating_sub(span.start_time));
    properties.raw("$ai_latency", latency.into_string());
    properties.raw(
        "$ai_is_error",
        if span.error.is_some() {
            "true"
        } else {
            "false"
        },
    );
    if let Some(info) = &span.error {
        properties.raw("$ai_error", error(info));
        if name != wire::TRACE {
            properties.text("error_message", &info.message);
            properties.text_if("error_id", info.error_id.as_ref());
            properties.text_if("error_category", info.category.as_ref());
        }
    }
}

fn error(info: &ErrorInfo) -> String {
    let mut text = JsonText::default();
    let mut object = text.object();
    object
        .string("message", &info.message)
        .string_if("id", info.error_id.as_ref())
        .string_if("category", info.category.as_ref());
    object.end();
    text.into_string()
}

fn states<'a>(properties: &mut Merged<'a>, span: &'a Span) {
    for (key, value) in [
        ("$ai_input_state", &span.input),
        ("$ai_output_state", &span.output),
    ] {
        if let Some(json) = value.as_deref().filter(|json| kind(json) != Kind::Null) {
            properties.raw(key, json);
        }
    }
}

/// A chunk's attributes under the names that the official exporter has for them too.
fn chunk<'a>(properties: &mut Merged<'a>, span: &'a Span) {
    let attributes = span
        .attributes
        .as_deref()
        .filter(|_| span.span_type == "model_chunk");
    for (key, name) in [
        ("chunk_type", "chunkType"),
        ("chunk_sequence_number", "sequenceNumber"),
    ] {
        if let Some(value) = attributes.and_then(|attributes| member(attributes, name)) {
            properties.raw(key, value);
        }
    }
}

/// Metadata without what says whose it is and of which session, the session, and who sends.
fn person<'a>(properties: &mut Merged<'a>, metadata: Option<&'a String>) {
    properties.layer(metadata);
    properties.remove("userId");
    let session = properties.remove("sessionId");
    if let Some(session) = session {
        let is_good = inside_quotes(&session).is_some_and(wire::is_id);
        properties.raw(
            if is_good {
                "$ai_session_id"
            } else {
                "sessionId"
            },
            session,
        );
    }
    properties
        .text("$lib", "mastra-host")
        .text("$lib_version", env!("CARGO_PKG_VERSION"))
        .raw("$is_server", "true")
        .raw("$geoip_disable", "true");
}

fn user(metadata: Option<&String>) -> Option<&str> {
    let id = object_member(metadata?, "userId").and_then(inside_quotes)?;
    Some(id).filter(|id| !id.is_empty() && !id.contains('\\'))
}

/// The first person who is known, else the settings'. A stranger is the trace, and gets no profile.
fn distinct_id<'a>(
    properties: &mut Merged<'a>,
    known: &[Option<&'a str>],
    trace_id: &'a str,
    config: &'a Config,
) -> &'a str {
    let default = config.settings.default_distinct_id.as_deref();
    let mut people = known.iter().copied().chain([default]).flatten();
    people.find(|id| !id.is_empty()).unwrap_or_else(|| {
        properties.raw("$process_person_profile", Cow::Borrowed("false"));
        trace_id
    })
}

#[cfg(test)]
mod tests;
