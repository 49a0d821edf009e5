//! Logs as event observations: points in time below the span that wrote them. Langfuse has no endpoint for logs, so they
//! travel as spans. Their span id is derived from the log's id.

use std::borrow::Cow;

use mastra_exporter_sdk::ids;
use mastra_exporter_sdk::raw::{members, text as json_text};
use mastra_exporter_sdk::records::{Log, LogBatch};
use mastra_otlp::attributes::{Attributes, Key};
use mastra_otlp::encode::{Encoder, Encoding};
use mastra_otlp::envelope::{Origin, Parts, SPANS};
use mastra_otlp::span::{Point, point};

use super::{Common, Metadata, scalar, trace_tags};
use crate::config::{Config, LogsWithoutTrace};
use crate::wire;

/// Longest name of an observation made of a log's message, in characters.
const MAX_NAME_CHARS: usize = 100;

/// Bytes that a log takes, about.
const BYTES_A_LOG: usize = 1_024;

/// Keeps ids made of a log's id apart from others.
const NAMESPACE: &str = "log";

/// The body of `POST /api/public/otel/v1/traces`, protobuf, and for each log of the batch why it is not in it.
#[must_use]
pub fn request(batch: &LogBatch, config: &Config) -> (Vec<u8>, Vec<Option<String>>) {
    let is_sent = |log: &&Log| {
        log.trace_id.is_some() || config.settings.logs_without_trace == LogsWithoutTrace::OwnTrace
    };
    let logs: Vec<&Log> = batch.logs.iter().filter(is_sent).collect();
    let skipped = batch
        .logs
        .iter()
        .map(|log| (!is_sent(&log)).then(|| "a log without a trace".to_owned()))
        .collect();
    let mut parts = Logs {
        common: Common {
            config,
            resources: &batch.resources,
            scopes: &batch.scopes,
        },
    };
    let capacity = logs.len() * BYTES_A_LOG;
    let body = SPANS.encode(Encoding::Protobuf, capacity, &logs, &mut parts);
    (body, skipped)
}

struct Logs<'a> {
    common: Common<'a>,
}

impl Parts<&Log> for Logs<'_> {
    fn origin(&self) -> Origin<'_> {
        self.common.origin()
    }

    fn item<E: Encoder>(&mut self, encoder: &mut E, log: &&Log) {
        let own_trace = ids::trace_id(NAMESPACE, &log.log_id);
        let trace_id = log.trace_id.as_deref();
        let observed = Point {
            trace_id: trace_id.unwrap_or(&own_trace),
            span_id: &ids::span_id(NAMESPACE, &log.log_id),
            parent_span_id: trace_id.and(log.span_id.as_ref()),
            name: &name(log),
            time: log.time,
        };
        point(encoder, observed, |sink| {
            self.common.everywhere(sink);
            observation(log, sink);
            context(log, sink);
        });
    }
}

/// The event's name or the first line of the message, cut.
fn name(log: &Log) -> Cow<'_, str> {
    let event_name = log
        .otel
        .as_ref()
        .and_then(|otel| otel.event_name.as_deref());
    let line = event_name
        .unwrap_or(&log.message)
        .lines()
        .next()
        .unwrap_or_default()
        .trim();
    if line.is_empty() {
        return Cow::Borrowed("log");
    }
    match line.char_indices().nth(MAX_NAME_CHARS) {
        Some((end, _)) => Cow::Owned(format!("{}…", line.get(..end).unwrap_or(line))),
        None => Cow::Borrowed(line),
    }
}

fn level(log: &Log) -> &'static str {
    match log.level.to_ascii_lowercase().as_str() {
        "trace" | "debug" => "DEBUG",
        "warn" | "warning" => "WARNING",
        "error" | "fatal" => "ERROR",
        _ => "DEFAULT",
    }
}

fn observation(log: &Log, sink: &mut impl Attributes) {
    sink.text(wire::OBSERVATION_TYPE, "event");
    let level = level(log);
    sink.text(wire::LEVEL, level);
    if matches!(level, "WARNING" | "ERROR") {
        sink.text(wire::STATUS_MESSAGE, &log.message);
    }
    match log.otel.as_ref().and_then(|otel| otel.body.as_ref()) {
        Some(body) => sink.json_as_text(wire::OUTPUT, body),
        None => sink.text(wire::OUTPUT, &log.message),
    }
    sink.text(Key::under(wire::OBSERVATION_METADATA, "logId"), &log.log_id);
    sink.text(
        Key::under(wire::OBSERVATION_METADATA, "logLevel"),
        &log.level,
    );
    let attributes = log
        .otel
        .as_ref()
        .and_then(|otel| otel.attributes.as_deref());
    for (key, value) in
        members(log.data.as_deref().unwrap_or("{}")).chain(members(attributes.unwrap_or("{}")))
    {
        scalar(sink, Key::under(wire::OBSERVATION_METADATA, key), value);
    }
}

/// User, session, tags and metadata: those of the span, unless the log's context says otherwise.
fn context(log: &Log, sink: &mut impl Attributes) {
    let mut metadata = Metadata::read(log.metadata.as_deref().unwrap_or("{}"), sink);
    if let Some(context) = &log.correlation {
        let session = context.session_id.as_ref().or(context.thread_id.as_ref());
        for (key, value, known) in [
            (
                wire::USER_ID,
                context.user_id.as_ref(),
                metadata.user_id.and_then(json_text),
            ),
            (
                wire::SESSION_ID,
                session,
                metadata.session().and_then(json_text),
            ),
        ] {
            if let (Some(value), None) = (value, known) {
                sink.text(key, value);
            }
        }
    }
    // The prompt belongs to the span.
    metadata.langfuse = None;
    metadata.write(sink);
    let tags = log
        .tags
        .as_ref()
        .or_else(|| log.correlation.as_ref()?.tags.as_ref());
    if let Some(tags) = tags.filter(|tags| !tags.is_empty()) {
        trace_tags(tags, sink);
    }
}
