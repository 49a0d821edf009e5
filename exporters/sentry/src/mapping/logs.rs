//! Logs as Sentry's log items. A log without a trace gets a trace of its own, made of its id: Sentry requires one.

use mastra_exporter_sdk::ids;
use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::raw::members;
use mastra_exporter_sdk::records::{Log, LogBatch};
use mastra_otlp::attributes::{Attributes, Key};
use mastra_otlp::json::hex_id;

use super::{origin, resource};
use crate::config::Config;
use crate::wire::{Container, TypedAttributes, container, seconds};

/// Keeps ids made of a log's id apart from others.
const NAMESPACE: &str = "sentry-log";

/// The envelope of a batch. Logs of several traces share it, so that it names none.
#[must_use]
pub fn logs(batch: &LogBatch, config: &Config) -> Vec<u8> {
    let mut items = JsonText::default();
    items.array(&batch.logs, |text, log| write_log(text, log, batch, config));
    container(Container::Logs, &items, batch.logs.len(), None)
}

fn write_log(text: &mut JsonText, log: &Log, batch: &LogBatch, config: &Config) {
    let mut object = text.object();
    seconds(&mut object, "timestamp", log.time);
    match &log.trace_id {
        Some(id) => hex_id(object.key("trace_id"), id, 32),
        None => {
            object.string("trace_id", &ids::trace_id(NAMESPACE, &log.log_id));
        }
    }
    if let Some(span_id) = &log.span_id {
        hex_id(object.key("span_id"), span_id, 16);
    }
    let (level, severity) = level(&log.level);
    object
        .string("level", level)
        .string("body", &log.message)
        .unsigned("severity_number", severity);
    let mut sink = TypedAttributes::begin(object.key("attributes"));
    sink.text(Key::of("sentry.origin"), "auto.log.mastra");
    sink.text(Key::of("mastra.log_id"), &log.log_id);
    origin(
        &mut sink,
        resource(&batch.resources, log.resource_index),
        config,
    );
    if let Some(context) = &log.correlation {
        sink.text_if("user.id", context.user_id.as_ref());
        sink.text_if("mastra.entity_type", context.entity.entity_type.as_ref());
        sink.text_if("mastra.entity_name", context.entity.entity_name.as_ref());
        sink.text_if("mastra.run_id", context.run_id.as_ref());
        sink.text_if("mastra.session_id", context.session_id.as_ref());
        sink.text_if("mastra.thread_id", context.thread_id.as_ref());
    }
    for (prefix, json) in [("data.", &log.data), ("metadata.", &log.metadata)] {
        for (key, value) in members(json.as_deref().unwrap_or("{}")) {
            sink.scalar(Key::under(prefix, key), value);
        }
    }
    let of_otel = log
        .otel
        .as_ref()
        .and_then(|otel| otel.attributes.as_deref());
    for (key, value) in members(of_otel.unwrap_or("{}")) {
        sink.scalar(Key::under("otel.", key), value);
    }
    sink.end();
    object.end();
}

/// Sentry's level and OpenTelemetry's severity number.
fn level(level: &str) -> (&'static str, u64) {
    match level.to_ascii_lowercase().as_str() {
        "trace" => ("trace", 1),
        "debug" => ("debug", 5),
        "warn" | "warning" => ("warn", 13),
        "error" => ("error", 17),
        "fatal" => ("fatal", 21),
        _ => ("info", 9),
    }
}
