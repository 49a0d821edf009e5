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
    let mut event = Object::default();
    event.text("id", &span_id("spanId", &span.span_id)?);
    event.text("traceId", &trace_id("traceId", &span.trace_id)?);
    if !span.parent_span_id.is_empty() {
        event.text(
            "parentSpanId",
            &span_id("parentSpanId", &span.parent_span_id)?,
        );
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
    event.raw(
        "otel",
        &otel(span, scope).map_err(|error| error.within("otel"))?,
    );
    event.raw_if("resource", resource);
    Ok(event.finish())
}

fn otel(span: &Span, scope: Option<&[u8]>) -> Result<Vec<u8>, FieldError> {
    let mut otel = Object::default();
    otel.text("kind", kind(span.kind));
    if let Some(status) = &span.status {
        otel.raw("status", &self::status(status)?);
    }
    otel.utf8_if("traceState", &span.trace_state)?;
    otel.count("flags", span.flags);
    otel.list("links", &span.links, link)?;
    otel.list("events", &span.events, span_event)?;
    otel.count("droppedAttributesCount", span.dropped_attributes_count);
    otel.count("droppedEventsCount", span.dropped_events_count);
    otel.count("droppedLinksCount", span.dropped_links_count);
    otel.raw_if("scope", scope);
    Ok(otel.finish())
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

fn status(status: &SpanStatus) -> Result<Vec<u8>, FieldError> {
    let mut object = Object::default();
    let code = match status.code {
        1 => "ok",
        2 => "error",
        _ => "unset",
    };
    object.text("code", code);
    object.utf8_if("message", &status.message)?;
    Ok(object.finish())
}

fn link(out: &mut Vec<u8>, link: &SpanLink) -> Result<(), FieldError> {
    let mut object = Object::default();
    object.text("traceId", &trace_id("traceId", &link.trace_id)?);
    object.text("spanId", &span_id("spanId", &link.span_id)?);
    object.utf8_if("traceState", &link.trace_state)?;
    object.attributes("attributes", &link.attributes)?;
    object.count("droppedAttributesCount", link.dropped_attributes_count);
    object.count("flags", link.flags);
    out.extend_from_slice(&object.finish());
    Ok(())
}

fn span_event(out: &mut Vec<u8>, event: &SpanEvent) -> Result<(), FieldError> {
    let mut object = Object::default();
    object.time("time", event.time_unix_nano);
    object.utf8("name", &event.name)?;
    object.attributes("attributes", &event.attributes)?;
    object.count("droppedAttributesCount", event.dropped_attributes_count);
    out.extend_from_slice(&object.finish());
    Ok(())
}
