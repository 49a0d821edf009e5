//! Spans.

use super::context::{error_info, resource, tags};
use super::otel::otel_span;
use super::scan::Fields;
use super::{Draft, phase};
use crate::event::EventKind;
use crate::event::fields::{
    Extra, FieldError, boolean, object, present, span_id, text, time, trace_id,
};
use crate::event::records::{Entity, ErrorInfo, Json, OtelSpan, Resource, Span, Text};

#[derive(Default)]
pub(super) struct SpanFields<'a> {
    trace_id: Option<Text<'a>>,
    span_id: Option<Text<'a>>,
    parent_span_id: Option<Text<'a>>,
    external_parent_span_id: Option<Text<'a>>,
    name: Option<Text<'a>>,
    span_type: Option<Text<'a>>,
    entity: Entity<'a>,
    start_time: Option<u64>,
    end_time: Option<u64>,
    is_event: Option<bool>,
    is_root: Option<bool>,
    is_internal: Option<bool>,
    resource: Option<Resource<'a>>,
    attributes: Option<Json<'a>>,
    metadata: Option<Json<'a>>,
    tags: Option<Vec<Text<'a>>>,
    input: Option<Json<'a>>,
    output: Option<Json<'a>>,
    request_context: Option<Json<'a>>,
    error: Option<ErrorInfo<'a>>,
    otel: Option<Box<OtelSpan<'a>>>,
    aliases: Aliases<'a>,
    extra: Extra,
}

/// The platform's copies, read only when the original is missing.
#[derive(Default)]
struct Aliases<'a> {
    span_id: Option<&'a str>,
    span_type: Option<&'a str>,
    started_at: Option<&'a str>,
    ended_at: Option<&'a str>,
    error: Option<&'a str>,
}

impl<'a> Fields<'a> for SpanFields<'a> {
    fn field(&mut self, key: Text<'a>, raw: &'a str) -> Result<(), FieldError> {
        match &*key {
            "id" => self.span_id = span_id(&key, raw)?,
            "traceId" => self.trace_id = trace_id(&key, raw)?,
            "parentSpanId" => self.parent_span_id = span_id(&key, raw)?,
            "externalParentSpanId" => self.external_parent_span_id = span_id(&key, raw)?,
            "name" => self.name = text(&key, raw)?,
            "type" => self.span_type = text(&key, raw)?,
            "entityType" => self.entity.entity_type = text(&key, raw)?,
            "entityId" => self.entity.entity_id = text(&key, raw)?,
            "entityName" => self.entity.entity_name = text(&key, raw)?,
            "entityVersionId" => self.entity.entity_version_id = text(&key, raw)?,
            "startTime" => self.start_time = time(&key, raw)?,
            "endTime" => self.end_time = time(&key, raw)?,
            "isEvent" => self.is_event = boolean(&key, raw)?,
            "isRootSpan" => self.is_root = boolean(&key, raw)?,
            "isInternal" => self.is_internal = boolean(&key, raw)?,
            "attributes" => self.attributes = Some(object(&key, raw)?),
            "metadata" => self.metadata = Some(object(&key, raw)?),
            "requestContext" => self.request_context = Some(object(&key, raw)?),
            "input" => self.input = Some(Json::Borrowed(raw)),
            "output" => self.output = Some(Json::Borrowed(raw)),
            "tags" => self.tags = tags(&key, raw)?,
            "errorInfo" => self.error = error_info(&key, raw)?,
            "resource" => self.resource = resource(&key, raw)?,
            "otel" => self.otel = otel_span(&key, raw)?,
            "spanId" => self.aliases.span_id = present(raw),
            "spanType" => self.aliases.span_type = present(raw),
            "startedAt" => self.aliases.started_at = present(raw),
            "endedAt" => self.aliases.ended_at = present(raw),
            "error" => self.aliases.error = present(raw),
            "createdAt" | "updatedAt" => {}
            _ => self.extra.push(&key, raw),
        }
        Ok(())
    }
}

/// The original, else what the alias holds.
fn or_alias<'a, T>(
    original: Option<T>,
    alias: Option<&'a str>,
    name: &str,
    read: impl FnOnce(&str, &'a str) -> Result<Option<T>, FieldError>,
) -> Result<Option<T>, FieldError> {
    match (original, alias) {
        (None, Some(raw)) => read(name, raw),
        (original, _) => Ok(original),
    }
}

impl<'a> Draft<'a> for SpanFields<'a> {
    type Record = Span<'a>;

    fn finish(self, kind: EventKind) -> Result<Span<'a>, FieldError> {
        let missing = FieldError::missing;
        let aliases = self.aliases;
        let own_id = or_alias(self.span_id, aliases.span_id, "spanId", span_id)?;
        let span_type = or_alias(self.span_type, aliases.span_type, "spanType", text)?;
        let start_time = or_alias(self.start_time, aliases.started_at, "startedAt", time)?;
        let is_root = self.is_root.unwrap_or(self.parent_span_id.is_none());
        Ok(Span {
            phase: phase(kind),
            trace_id: self.trace_id.ok_or_else(|| missing("traceId"))?,
            span_id: own_id.ok_or_else(|| missing("id"))?,
            parent_span_id: self.parent_span_id,
            external_parent_span_id: self.external_parent_span_id,
            name: self.name.ok_or_else(|| missing("name"))?,
            span_type: span_type.ok_or_else(|| missing("type"))?,
            entity: self.entity,
            start_time: start_time.ok_or_else(|| missing("startTime"))?,
            end_time: or_alias(self.end_time, aliases.ended_at, "endedAt", time)?,
            is_event: self.is_event.unwrap_or(false),
            is_root,
            is_internal: self.is_internal.unwrap_or(false),
            resource: self.resource,
            attributes: self.attributes,
            metadata: self.metadata,
            tags: self.tags,
            input: self.input,
            output: self.output,
            request_context: self.request_context,
            error: or_alias(self.error, aliases.error, "error", error_info)?,
            model: None,
            otel: self.otel,
            extra: self.extra.finish(),
        })
    }
}
