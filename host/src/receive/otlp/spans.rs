//! `ExportTraceServiceRequest`: each span becomes a `span_ended` event whose attributes are the sender's, untouched.
//! What they mean in the conventions of generative AI is the typed record's business (`event::decode`).

use super::messages::{ExportTraceServiceRequest, Span, SpanEvent, SpanLink, SpanStatus};
use super::write::{self, Object};
use super::{Items, shared, span_id, trace_id};
use crate::event::EventKind;
use crate::event::fields::FieldError;

/// Hands every span of the request to `items`.
pub(super) fn read(request: &ExportTraceServiceRequest, items: &mut Items<'_>) {
    for group in &request.resource_spans {
        let resource = write::resource(group.resource.as_ref(), &group.schema_url);
        for scoped in &group.scope_spans {
            let scope = write::scope(scoped.scope.as_ref(), &scoped.schema_url);
            for span in &scoped.spans {
                items.add(EventKind::SpanEnded, span, || {
                    event(span, shared(&resource)?, shared(&scope)?)
                });
            }
        }
    }
}

fn event(
    span: &Span,
    resource: Option<&[u8]>,
    scope: Option<&[u8]>,
) -> Result<Vec<u8>, FieldError> {
    write::object(|event| {
        event.text("id", &span_id("spanId", &span.span_id)?);
        event.text("traceId", &trace_id("traceId", &span.trace_id)?);
        if !span.parent_span_id.is_empty() {
            let parent = span_id("parentSpanId", &span.parent_span_id)?;
            event.text("parentSpanId", &parent);
        }
        event.utf8("name", &span.name)?;
        // The decoder knows better once it has looked at the attributes.
        event.text("type", "generic");
        event.time("startTime", span.start_time_unix_nano);
        if span.end_time_unix_nano != 0 {
            event.time("endTime", span.end_time_unix_nano);
        }
        event.boolean("isEvent", false);
        event.boolean("isRootSpan", span.parent_span_id.is_empty());
        event.attributes("attributes", &span.attributes)?;
        event.object("otel", |otel| self::otel(otel, span, scope))?;
        event.raw_if("resource", resource);
        Ok(())
    })
}

fn otel(otel: &mut Object<'_>, span: &Span, scope: Option<&[u8]>) -> Result<(), FieldError> {
    otel.text("kind", kind(span.kind));
    if let Some(status) = &span.status {
        otel.object("status", |object| self::status(object, status))?;
    }
    otel.utf8_if("traceState", &span.trace_state)?;
    otel.count("flags", span.flags);
    otel.list("links", &span.links, |out, item| {
        write::put(out, |object| link(object, item))
    })?;
    otel.list("events", &span.events, |out, item| {
        write::put(out, |object| span_event(object, item))
    })?;
    otel.count("droppedAttributesCount", span.dropped_attributes_count);
    otel.count("droppedEventsCount", span.dropped_events_count);
    otel.count("droppedLinksCount", span.dropped_links_count);
    otel.raw_if("scope", scope);
    Ok(())
}

/// A kind of a later OTLP counts as unspecified.
const fn kind(kind: i32) -> &'static str {
    match kind {
        1 => "internal",
        2 => "server",
        3 => "client",
        4 => "producer",
        5 => "consumer",
        _ => "unspecified",
    }
}

fn status(object: &mut Object<'_>, status: &SpanStatus) -> Result<(), FieldError> {
    let code = match status.code {
        1 => "ok",
        2 => "error",
        _ => "unset",
    };
    object.text("code", code);
    object.utf8_if("message", &status.message)
}

fn link(object: &mut Object<'_>, link: &SpanLink) -> Result<(), FieldError> {
    object.text("traceId", &trace_id("traceId", &link.trace_id)?);
    object.text("spanId", &span_id("spanId", &link.span_id)?);
    object.utf8_if("traceState", &link.trace_state)?;
    object.attributes("attributes", &link.attributes)?;
    object.count("droppedAttributesCount", link.dropped_attributes_count);
    object.count("flags", link.flags);
    Ok(())
}

fn span_event(object: &mut Object<'_>, event: &SpanEvent) -> Result<(), FieldError> {
    object.time("time", event.time_unix_nano);
    object.utf8("name", &event.name)?;
    object.attributes("attributes", &event.attributes)?;
    object.count("droppedAttributesCount", event.dropped_attributes_count);
    Ok(())
}
