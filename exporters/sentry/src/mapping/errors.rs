//! The error of a span as an error event, so that it becomes an issue. Its id is derived from the span's, so that a second
//! delivery is the same event.

use mastra_exporter_sdk::ids;
use mastra_exporter_sdk::json::{JsonText, Object};
use mastra_exporter_sdk::records::{Span, SpanBatch};
use mastra_otlp::json::hex_id;

use super::{environment, name, operation, resource};
use crate::config::Config;
use crate::wire::{event as envelope, seconds};

/// Keeps ids made of a span's id apart from others.
const NAMESPACE: &str = "sentry-error";

/// The class of an error without a name.
const ERROR: &str = "Error";

/// The envelope of a span's error event. A span without an error gives an event without an exception.
#[must_use]
pub fn event(span: &Span, batch: &SpanBatch, config: &Config) -> Vec<u8> {
    let event_id = ids::trace_id(NAMESPACE, &format!("{}/{}", span.trace_id, span.span_id));
    let from = resource(&batch.resources, span.resource_index);
    let mut text = JsonText::default();
    let mut object = text.object();
    object.string("event_id", &event_id);
    seconds(
        &mut object,
        "timestamp",
        span.end_time.unwrap_or(span.start_time),
    );
    object
        .string("level", "error")
        .string("platform", "node")
        .string("environment", config.environment(environment(from)))
        .string_if("release", config.release.as_ref())
        .string("transaction", &name(span));
    exception(&mut object, span);
    contexts(&mut object, span);
    let user_id =
        mastra_exporter_sdk::raw::member(span.metadata.as_deref().unwrap_or("{}"), "userId");
    if let Some(user_id) = user_id.and_then(mastra_exporter_sdk::raw::text) {
        let mut user = object.key("user").object();
        user.string("id", &user_id);
        user.end();
    }
    object.end();
    envelope("event", &event_id, &text)
}

fn exception(object: &mut Object<'_>, span: &Span) {
    let Some(error) = &span.error else { return };
    let mut exception = object.key("exception").object();
    exception.key("values").array([error], |text, error| {
        let class = error.error_name.as_deref().filter(|name| !name.is_empty());
        let mut value = text.object();
        value
            .string("type", class.unwrap_or(ERROR))
            .string("value", &error.message);
        let mut mechanism = value.key("mechanism").object();
        mechanism.string("type", "generic").boolean("handled", true);
        mechanism.end();
        let frames: Vec<_> = error.stack.iter().flat_map(|stack| frames(stack)).collect();
        if !frames.is_empty() {
            let mut stack = value.key("stacktrace").object();
            // Sentry wants the innermost call last.
            stack
                .key("frames")
                .array(frames.iter().rev(), |text, frame| frame.write(text));
            stack.end();
        }
        value.end();
    });
    exception.end();
}

fn contexts(object: &mut Object<'_>, span: &Span) {
    let mut contexts = object.key("contexts").object();
    let mut trace = contexts.key("trace").object();
    hex_id(trace.key("trace_id"), &span.trace_id, 32);
    hex_id(trace.key("span_id"), &span.span_id, 16);
    trace.string("op", operation(span));
    trace.end();
    let mut info = contexts.key("span_info").object();
    info.string("name", &span.name)
        .string("type", &span.span_type);
    if let Some(error) = &span.error {
        info.string_if("error_id", error.error_id.as_ref())
            .string_if("error_category", error.category.as_ref())
            .string_if("error_domain", error.domain.as_ref());
    }
    info.end();
    contexts.end();
}

/// A line of a JavaScript stack: `at run (/app/src/a.ts:42:11)` or `at /app/src/a.ts:42:11`.
struct Frame<'a> {
    function: &'a str,
    file: &'a str,
    line: u64,
    column: u64,
}

impl Frame<'_> {
    fn write(&self, text: &mut JsonText) {
        let is_ours = !self.file.contains("node_modules") && !self.file.starts_with("node:");
        let mut object = text.object();
        object
            .string("function", self.function)
            .string("filename", self.file)
            .unsigned("lineno", self.line)
            .unsigned("colno", self.column)
            .boolean("in_app", is_ours);
        object.end();
    }
}

fn frames(stack: &str) -> impl Iterator<Item = Frame<'_>> {
    stack.lines().filter_map(frame)
}

fn frame(line: &str) -> Option<Frame<'_>> {
    let call = line.trim().strip_prefix("at ")?;
    let (function, place) = match call
        .strip_suffix(')')
        .and_then(|call| call.split_once(" ("))
    {
        Some((function, place)) => (function, place),
        None => ("?", call),
    };
    let (rest, column) = place.rsplit_once(':')?;
    let (file, line) = rest.rsplit_once(':')?;
    Some(Frame {
        function,
        file,
        line: line.parse().ok()?,
        column: column.parse().ok()?,
    })
}
