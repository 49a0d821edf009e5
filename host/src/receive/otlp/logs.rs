//! `ExportLogsServiceRequest`: each record becomes a `log` event; a record of the event `gen_ai.evaluation.result` with a
//! name and a number becomes a `score` (GenAI conventions v1.41.1, "Event: gen_ai.evaluation.result").

use super::messages::{AnyKind, AnyValue, ExportLogsServiceRequest, KeyValue, LogRecord};
use super::write::{self, Object, text_of};
use super::{Identity, Items, optional_span_id, optional_trace_id, shared};
use crate::event::EventKind;
use crate::event::fields::FieldError;

/// The event that carries an evaluation.
const EVALUATION: &[u8] = b"gen_ai.evaluation.result";

/// Hands every record of the request to `items`.
pub(super) fn read(request: &ExportLogsServiceRequest, items: &mut Items<'_>) {
    for group in &request.resource_logs {
        let resource = write::resource(group.resource.as_ref(), &group.schema_url);
        for scoped in &group.scope_logs {
            let scope = write::scope(scoped.scope.as_ref(), &scoped.schema_url);
            for record in &scoped.log_records {
                let identity = items.identity();
                match Evaluation::of(record) {
                    Some(evaluation) => items.add(EventKind::Score, record, |object| {
                        evaluation.event(object, record, identity, shared(&resource)?)
                    }),
                    None => items.add(EventKind::Log, record, |object| {
                        event(
                            object,
                            record,
                            identity,
                            shared(&resource)?,
                            shared(&scope)?,
                        )
                    }),
                }
            }
        }
    }
}

/// When it happened, else when it was seen; 0 when neither is known.
const fn time(record: &LogRecord) -> u64 {
    match record.time_unix_nano {
        0 => record.observed_time_unix_nano,
        time => time,
    }
}

fn event(
    event: &mut Object<'_>,
    record: &LogRecord,
    identity: Identity,
    resource: Option<&str>,
    scope: Option<&str>,
) -> Result<(), FieldError> {
    let body = record.body.as_ref();
    let message = match body.and_then(|body| body.value.as_ref()) {
        // An empty text is told from no body: it stands in `otel.body`.
        Some(AnyKind::Text(text)) if !text.is_empty() => Some(write::utf8("body", text)?),
        _ => None,
    };
    event.text("level", level(record));
    event.text("message", message.unwrap_or_default());
    ids(event, record)?;
    event.object("otel", |otel| {
        otel.count("severityNumber", severity(record));
        otel.utf8_if("severityText", &record.severity_text)?;
        if let (None, Some(body)) = (message, body) {
            let written = write::value(otel.key("body"), body, 0);
            written.map_err(|error| error.within("body"))?;
        }
        otel.utf8_if("eventName", &record.event_name)?;
        if record.observed_time_unix_nano != 0 {
            otel.time("observedTime", record.observed_time_unix_nano);
        }
        otel.count("flags", record.flags);
        otel.attributes("attributes", &record.attributes)?;
        otel.count("droppedAttributesCount", record.dropped_attributes_count);
        otel.raw_if("scope", scope);
        Ok(())
    })?;
    event.raw_if("resource", resource);
    identity.complete(event, "logId", time(record));
    Ok(())
}

fn ids(event: &mut Object<'_>, record: &LogRecord) -> Result<(), FieldError> {
    if let Some(id) = optional_trace_id("traceId", &record.trace_id)? {
        event.text("traceId", &id);
    }
    if let Some(id) = optional_span_id("spanId", &record.span_id)? {
        event.text("spanId", &id);
    }
    Ok(())
}

/// 1 to 24; what is none of these is unspecified.
fn severity(record: &LogRecord) -> u32 {
    u32::try_from(record.severity_number)
        .ok()
        .filter(|number| *number <= 24)
        .unwrap_or(0)
}

/// The five levels of Mastra, from the number (log data model, "Field: SeverityNumber"), else from the text.
fn level(record: &LogRecord) -> &'static str {
    match record.severity_number {
        1..=8 => return "debug",
        9..=12 => return "info",
        13..=16 => return "warn",
        17..=20 => return "error",
        21..=24 => return "fatal",
        _ => {}
    }
    let text = record.severity_text.to_ascii_lowercase();
    match &*text {
        b"trace" | b"debug" => "debug",
        b"warn" | b"warning" => "warn",
        b"error" => "error",
        b"fatal" | b"critical" => "fatal",
        _ => "info",
    }
}

/// What makes a log record a score.
struct Evaluation<'m> {
    name: &'m [u8],
    value: f64,
}

impl<'m> Evaluation<'m> {
    fn of(record: &'m LogRecord) -> Option<Self> {
        let attributes = &record.attributes;
        let is_evaluation = *record.event_name == *EVALUATION
            || text_of(attributes, "event.name") == Some(EVALUATION);
        // Feedback that one of our own exporters sent has no home here but a log record.
        if !is_evaluation || text_of(attributes, "mastra.feedback.id").is_some() {
            return None;
        }
        let name = text_of(attributes, "gen_ai.evaluation.name")?;
        let value = number_of(attributes, "gen_ai.evaluation.score.value")?;
        value.is_finite().then_some(Self { name, value })
    }

    fn event(
        &self,
        event: &mut Object<'_>,
        record: &LogRecord,
        identity: Identity,
        resource: Option<&str>,
    ) -> Result<(), FieldError> {
        let attributes = &record.attributes;
        let text = |key| text_of(attributes, key);
        ids(event, record)?;
        event.utf8("scorerId", text("mastra.scorer.id").unwrap_or(self.name))?;
        event.utf8("scorerName", self.name)?;
        event.double("score", self.value);
        for (name, key) in [
            ("reason", "gen_ai.evaluation.explanation"),
            ("scorerVersion", "mastra.scorer.version"),
            ("scoreSource", "mastra.score.source"),
            ("scoreTraceId", "mastra.score.trace_id"),
            ("experimentId", "mastra.experiment.id"),
            ("targetEntityType", "mastra.target.entity_type"),
        ] {
            if let Some(text) = text(key) {
                event.utf8(name, text)?;
            }
        }
        let others: Vec<KeyValue> = attributes
            .iter()
            .filter(|attribute| !is_named(&attribute.key))
            .cloned()
            .collect();
        event.attributes("metadata", &others)?;
        event.raw_if("resource", resource);
        match text("mastra.score.id").filter(|own| !own.is_empty()) {
            Some(own) => {
                event.utf8("scoreId", own)?;
                identity.set_time(event, time(record));
            }
            None => identity.complete(event, "scoreId", time(record)),
        }
        Ok(())
    }
}

/// Whether a score has a field of its own for the attribute.
fn is_named(key: &[u8]) -> bool {
    const NAMED: [&[u8]; 9] = [
        b"gen_ai.evaluation.name",
        b"gen_ai.evaluation.score.value",
        b"gen_ai.evaluation.explanation",
        b"mastra.score.id",
        b"mastra.scorer.id",
        b"mastra.scorer.version",
        b"mastra.score.source",
        b"mastra.score.trace_id",
        b"mastra.experiment.id",
    ];
    NAMED.contains(&key) || key == b"mastra.target.entity_type" || key == b"event.name"
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a score is a double in every contract"
)]
fn number_of(attributes: &[KeyValue], key: &str) -> Option<f64> {
    let found = attributes
        .iter()
        .rfind(|attribute| *attribute.key == *key.as_bytes())?;
    match &found.value {
        Some(AnyValue {
            value: Some(AnyKind::Double(number)),
        }) => Some(*number),
        Some(AnyValue {
            value: Some(AnyKind::Integer(number)),
        }) => Some(*number as f64),
        _ => None,
    }
}
