//! Log records.

use super::Draft;
use super::context::{correlation, resource, tags};
use super::otel::otel_log;
use super::scan::Fields;
use crate::event::EventKind;
use crate::event::fields::{Extra, FieldError, name_id, object, span_id, text, time, trace_id};
use crate::event::records::{Correlation, Json, Log, OtelLog, Resource, Text};

#[derive(Default)]
pub(super) struct LogFields<'a> {
    log_id: Option<Text<'a>>,
    time: Option<u64>,
    trace_id: Option<Text<'a>>,
    span_id: Option<Text<'a>>,
    level: Option<Text<'a>>,
    message: Option<Text<'a>>,
    data: Option<Json<'a>>,
    tags: Option<Vec<Text<'a>>>,
    correlation: Option<Correlation<'a>>,
    metadata: Option<Json<'a>>,
    resource: Option<Resource<'a>>,
    otel: Option<Box<OtelLog<'a>>>,
    extra: Extra,
}

impl<'a> Fields<'a> for LogFields<'a> {
    fn field(&mut self, key: Text<'a>, raw: &'a str) -> Result<(), FieldError> {
        match &*key {
            "logId" => self.log_id = name_id(&key, raw)?,
            "timestamp" => self.time = time(&key, raw)?,
            "traceId" => self.trace_id = trace_id(&key, raw)?,
            "spanId" => self.span_id = span_id(&key, raw)?,
            "level" => self.level = text(&key, raw)?,
            "message" => self.message = text(&key, raw)?,
            "data" => self.data = Some(object(&key, raw)?),
            "tags" => self.tags = tags(&key, raw)?,
            "correlationContext" => self.correlation = correlation(&key, raw)?,
            "metadata" => self.metadata = Some(object(&key, raw)?),
            "resource" => self.resource = resource(&key, raw)?,
            "otel" => self.otel = otel_log(&key, raw)?,
            _ => self.extra.push(&key, raw),
        }
        Ok(())
    }
}

impl<'a> Draft<'a> for LogFields<'a> {
    type Record = Log<'a>;

    fn finish(self, _kind: EventKind) -> Result<Log<'a>, FieldError> {
        let missing = FieldError::missing;
        Ok(Log {
            log_id: self.log_id.ok_or_else(|| missing("logId"))?,
            time: self.time.ok_or_else(|| missing("timestamp"))?,
            trace_id: self.trace_id,
            span_id: self.span_id,
            level: self.level.ok_or_else(|| missing("level"))?,
            message: self.message.ok_or_else(|| missing("message"))?,
            data: self.data,
            tags: self.tags,
            correlation: self.correlation,
            metadata: self.metadata,
            resource: self.resource,
            otel: self.otel,
            extra: self.extra.finish(),
        })
    }
}
