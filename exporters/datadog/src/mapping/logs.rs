//! Logs as Datadog's log intake wants them, correlated with the spans of LLM Observability by their ids.

use mastra_exporter_sdk::json::{JsonText, Object};
use mastra_exporter_sdk::records::{Correlation, Log, LogBatch};

use super::{Origins, decimal, padded, some_text, tag};
use crate::config::Config;

/// `ddsource`: which integration parses the log.
const SOURCE: &str = "mastra";

/// The body of the logs request: an array.
#[must_use]
pub fn logs(batch: &LogBatch, config: &Config) -> JsonText {
    let origins = Origins {
        config,
        resources: &batch.resources,
    };
    let mut text = JsonText::with_capacity(batch.logs.len() * 1_024);
    text.array(&batch.logs, |text, log| write_log(text, log, &origins));
    text
}

fn write_log(text: &mut JsonText, log: &Log, origins: &Origins<'_>) {
    let mut object = text.object();
    object
        .string("message", &log.message)
        .string("ddsource", SOURCE)
        .string("ddtags", &tags(log, origins))
        .string("service", origins.service(log.resource_index))
        .string("status", status(&log.level))
        .time("timestamp", log.time)
        .string("log_id", &log.log_id)
        .string("level", &log.level);
    if let Some(trace_id) = &log.trace_id {
        object.string("dd.trace_id", &padded(trace_id));
    }
    if let Some(span_id) = &log.span_id {
        object.string("dd.span_id", &decimal(span_id));
    }
    if let Some(context) = &log.correlation {
        correlation(&mut object, context);
    }
    object
        .raw_if("data", log.data.as_ref())
        .raw_if("metadata", log.metadata.as_ref());
    if let Some(otel) = &log.otel {
        object
            .raw_if("attributes", otel.attributes.as_ref())
            .raw_if("body", otel.body.as_ref())
            .string_if("event_name", otel.event_name.as_ref());
    }
    object.end();
}

/// Datadog's status (docs: log status remapper, read 2026-11): a fatal error is critical, others keep their word.
fn status(level: &str) -> &'static str {
    match level.to_ascii_lowercase().as_str() {
        "trace" | "debug" => "debug",
        "warn" | "warning" => "warn",
        "error" => "error",
        "fatal" | "critical" => "critical",
        _ => "info",
    }
}

/// One string, separated by commas; a comma inside a value would begin another tag.
fn tags(log: &Log, origins: &Origins<'_>) -> String {
    let own = log
        .tags
        .as_ref()
        .or_else(|| log.correlation.as_ref()?.tags.as_ref());
    let mut tags = origins.tags(log.resource_index);
    tags.extend(own.into_iter().flatten().filter_map(|text| tag(text)));
    for tag in &mut tags {
        *tag = tag.replace(',', "_");
    }
    tags.join(",")
}

/// Standard attributes of Datadog where there are some, else Mastra's words.
fn correlation(object: &mut Object<'_>, context: &Correlation) {
    if let Some(user_id) = some_text(context.user_id.as_ref()) {
        let mut user = object.key("usr").object();
        user.string("id", user_id);
        user.end();
    }
    let mut mastra = object.key("mastra").object();
    for (name, value) in [
        ("entity_type", &context.entity.entity_type),
        ("entity_id", &context.entity.entity_id),
        ("entity_name", &context.entity.entity_name),
        ("root_entity_name", &context.root_entity.entity_name),
        ("organization_id", &context.organization_id),
        ("resource_id", &context.resource_id),
        ("run_id", &context.run_id),
        ("session_id", &context.session_id),
        ("thread_id", &context.thread_id),
        ("request_id", &context.request_id),
        ("source", &context.source),
        ("experiment_id", &context.experiment_id),
    ] {
        mastra.string_if(name, value.as_ref());
    }
    mastra.end();
}
