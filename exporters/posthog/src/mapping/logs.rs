//! Logs as OTLP log records for PostHog's own logs
//! (<https://posthog.com/docs/logs>, <https://opentelemetry.io/docs/specs/otel/logs/data-model/>; read 2026-11).

use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::raw::members;
use mastra_exporter_sdk::records::{EventResource, EventScope, Log, LogBatch};
use mastra_otlp::attributes::{Attributes, Key};
use mastra_otlp::json::{JsonAttributes, LOGS, Parts, Place, attribute_array, hex_id};

/// What Mastra itself calls a service without a name.
const DEFAULT_SERVICE_NAME: &str = "mastra-service";

/// The body of `POST /i/v1/logs`.
#[must_use]
pub fn request(batch: &LogBatch) -> JsonText {
    let mut text = JsonText::with_capacity(batch.logs.len() * 1_024);
    let mut parts = Records {
        resources: &batch.resources,
        scopes: &batch.scopes,
        scratch: JsonText::default(),
    };
    LOGS.write(&mut text, &batch.logs, &mut parts);
    text
}

struct Records<'a> {
    resources: &'a [EventResource],
    scopes: &'a [EventScope],
    scratch: JsonText,
}

impl Parts<Log> for Records<'_> {
    fn place(log: &Log) -> Place {
        Place {
            resource: log.resource_index,
            scope: log.otel.as_ref().and_then(|otel| otel.scope_index),
        }
    }

    fn resource(&mut self, text: &mut JsonText, index: Option<u32>) {
        let from = index.and_then(|index| self.resources.get(usize::try_from(index).ok()?));
        text.raw("{\"attributes\":");
        if let Some(attributes) = from.and_then(|from| from.attributes.as_ref()) {
            attribute_array(text, Some(attributes));
        } else {
            let mut sink = JsonAttributes::begin(text, &mut self.scratch);
            let service = from.and_then(|from| from.service_name.as_deref());
            sink.text(
                Key::of("service.name"),
                service.unwrap_or(DEFAULT_SERVICE_NAME),
            );
            if let Some(from) = from {
                for (key, value) in [
                    ("service.version", &from.service_version),
                    ("deployment.environment.name", &from.environment),
                ] {
                    if let Some(value) = value {
                        sink.text(Key::of(key), value);
                    }
                }
            }
            sink.end();
        }
        text.raw("}");
    }

    fn scope(&mut self, text: &mut JsonText, index: Option<u32>) {
        match index.and_then(|index| self.scopes.get(usize::try_from(index).ok()?)) {
            Some(scope) => mastra_otlp::json::scope(text, scope),
            None => {
                text.raw("{\"name\":\"mastra\"}");
            }
        }
    }

    fn item(&mut self, text: &mut JsonText, log: &Log) {
        let otel = log.otel.as_ref();
        let severity = otel.map_or(0, |otel| otel.severity_number);
        let severity = if severity == 0 {
            severity_of(&log.level)
        } else {
            severity
        };
        text.raw("{\"timeUnixNano\":\"").unsigned(log.time);
        text.raw("\",\"observedTimeUnixNano\":\"");
        text.unsigned(otel.and_then(|otel| otel.observed_time).unwrap_or(log.time));
        text.raw("\",\"severityNumber\":")
            .unsigned(u64::from(severity));
        let words = otel.and_then(|otel| otel.severity_text.as_deref());
        text.raw(",\"severityText\":")
            .string(words.unwrap_or(&log.level));
        text.raw(",\"body\":");
        match otel.and_then(|otel| otel.body.as_ref()) {
            Some(body) => mastra_otlp::json::any_value(text, body, 0),
            None => {
                text.raw("{\"stringValue\":").string(&log.message).raw("}");
            }
        }
        text.raw(",\"attributes\":");
        let mut sink = JsonAttributes::begin(text, &mut self.scratch);
        attributes(log, &mut sink);
        sink.end();
        if let Some(id) = &log.trace_id {
            hex_id(text.raw(",\"traceId\":"), id, 32);
            if let Some(id) = &log.span_id {
                hex_id(text.raw(",\"spanId\":"), id, 16);
            }
        }
        text.raw("}");
    }
}

/// Of the log's data, OTLP attributes, metadata and context; what comes first wins.
fn attributes(log: &Log, sink: &mut impl Attributes) {
    let mut known: Vec<&str> = vec!["mastra.log.id", "user.id", "session.id"];
    sink.text(Key::of("mastra.log.id"), &log.log_id);
    if let Some(context) = &log.correlation {
        for (key, value) in [
            ("user.id", &context.user_id),
            ("session.id", &context.session_id),
        ] {
            if let Some(value) = value {
                sink.text(Key::of(key), value);
            }
        }
    }
    let otel = log.otel.as_ref().and_then(|otel| otel.attributes.as_ref());
    for (prefix, object) in [
        ("", otel),
        ("", log.data.as_ref()),
        ("mastra.metadata.", log.metadata.as_ref()),
    ] {
        for (key, value) in members(object.map_or("", String::as_str)) {
            if prefix.is_empty() {
                if known.contains(&key) {
                    continue;
                }
                known.push(key);
            }
            sink.scalar(Key::under(prefix, key), value);
        }
    }
}

/// OpenTelemetry's numbers for Mastra's levels.
fn severity_of(level: &str) -> u8 {
    match level.to_ascii_lowercase().as_str() {
        "trace" => 1,
        "debug" => 5,
        "info" => 9,
        "warn" | "warning" => 13,
        "error" => 17,
        "fatal" => 21,
        _ => 0,
    }
}
