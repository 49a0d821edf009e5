//! `LogRecord` (<https://github.com/open-telemetry/opentelemetry-proto/blob/v1.11.0/opentelemetry/proto/logs/v1/logs.proto>).

use mastra_exporter_sdk::records::Log;

use crate::encode::{Encoder, Field, field};
use crate::span::{SPAN_ID_DIGITS, TRACE_ID_DIGITS};

const TIME: Field = field!(1, "timeUnixNano");
const SEVERITY_NUMBER: Field = field!(2, "severityNumber");
const SEVERITY_TEXT: Field = field!(3, "severityText");
const BODY: Field = field!(5, "body").wide(2);
const ATTRIBUTES: Field = field!(6, "attributes");
const DROPPED_ATTRIBUTES: Field = field!(7, "droppedAttributesCount");
const FLAGS: Field = field!(8, "flags");
const TRACE_ID: Field = field!(9, "traceId");
const SPAN_ID: Field = field!(10, "spanId");
const OBSERVED: Field = field!(11, "observedTimeUnixNano");
const EVENT_NAME: Field = field!(12, "eventName");

/// W3C "sampled".
const SAMPLED: u32 = 1;

/// A record that is no log of Mastra's, such as an evaluation.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Nanoseconds since 1970.
    pub time: u64,
    /// Hex.
    pub trace_id: Option<&'a String>,
    /// Hex.
    pub span_id: Option<&'a String>,
    /// What happened, by the conventions.
    pub event_name: &'a str,
    /// For people.
    pub body: &'a str,
}

/// Writes a log's fields; `attributes` hands its attributes to the encoder.
pub fn log<E: Encoder>(encoder: &mut E, log: &Log, attributes: impl FnOnce(&mut E)) {
    let otel = log.otel.as_ref();
    encoder.fixed64(TIME, log.time);
    let observed = otel.and_then(|otel| otel.observed_time);
    encoder.fixed64(OBSERVED, observed.unwrap_or(log.time));
    let severity = otel.map_or(0, |otel| otel.severity_number);
    let severity = if severity == 0 && otel.is_none() {
        severity_of(&log.level)
    } else {
        severity
    };
    encoder.unsigned(SEVERITY_NUMBER, u32::from(severity));
    match otel {
        Some(otel) => encoder.text_if(SEVERITY_TEXT, otel.severity_text.as_ref()),
        None => encoder.text_of(SEVERITY_TEXT, &[&log.level.to_uppercase()]),
    }
    match otel.and_then(|otel| otel.body.as_ref()) {
        Some(body) => encoder.any_value(BODY, body),
        // An OTLP sender's record without a body; an empty one stands in `otel.body`.
        None if otel.is_some() && log.message.is_empty() => {}
        None => encoder.text_value(BODY, &log.message),
    }
    encoder.attributes(ATTRIBUTES, attributes);
    encoder.unsigned(
        DROPPED_ATTRIBUTES,
        otel.map_or(0, |otel| otel.dropped_attributes_count),
    );
    let flags = match otel {
        Some(otel) => otel.flags,
        None if log.trace_id.is_some() => SAMPLED,
        None => 0,
    };
    correlation(encoder, log.trace_id.as_ref(), log.span_id.as_ref(), flags);
    encoder.text_if(EVENT_NAME, otel.and_then(|otel| otel.event_name.as_ref()));
}

/// Writes a record's fields.
pub fn record<E: Encoder>(encoder: &mut E, record: Record<'_>, attributes: impl FnOnce(&mut E)) {
    encoder.fixed64(TIME, record.time);
    encoder.fixed64(OBSERVED, record.time);
    encoder.unsigned(SEVERITY_NUMBER, u32::from(severity_of("info")));
    encoder.text_of(SEVERITY_TEXT, &["INFO"]);
    encoder.text_value(BODY, record.body);
    encoder.attributes(ATTRIBUTES, attributes);
    let flags = record.trace_id.map_or(0, |_| SAMPLED);
    correlation(encoder, record.trace_id, record.span_id, flags);
    encoder.text_of(EVENT_NAME, &[record.event_name]);
}

fn correlation<E: Encoder>(
    encoder: &mut E,
    trace_id: Option<&String>,
    span_id: Option<&String>,
    flags: u32,
) {
    if flags != 0 {
        encoder.fixed32(FLAGS, flags);
    }
    if let Some(id) = trace_id {
        encoder.id(TRACE_ID, id, TRACE_ID_DIGITS);
        if let Some(id) = span_id {
            encoder.id(SPAN_ID, id, SPAN_ID_DIGITS);
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
