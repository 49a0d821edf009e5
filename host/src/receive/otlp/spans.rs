//! `ExportTraceServiceRequest`: each span becomes a `span_ended` event whose attributes are the sender's, untouched.
//! What they mean in the conventions of generative AI is the typed record's business (`event::decode`).

use super::messages::{ExportTraceServiceRequest, Span, SpanEvent, SpanLink, SpanStatus};
use super::write::{self, Object};
use super::{Items, shared, span_id, trace_id};
use crate::event::Source;
use crate::event::fields::FieldError;
use crate::event::keys::{self, Keys};

/// Hands every span of the request to `items`.
pub(super) fn read(request: &ExportTraceServiceRequest, items: &mut Items<'_>) {
    for group in &request.resource_spans {
        let resource = write::resource(group.resource.as_ref(), &group.schema_url);
        for scoped in &group.scope_spans {
            let scope = write::scope(scoped.scope.as_ref(), &scoped.schema_url);
            for span in &scoped.spans {
                let source = items.source;
                items.add_span(span, |object| {
                    event(object, span, shared(&resource)?, shared(&scope)?, source)
                });
            }
        }
    }
}

/// Whatever is written here can be decoded: the values are of the right kinds, whatever the sender sent.
fn event(
    event: &mut Object<'_>,
    span: &Span,
    resource: Option<&str>,
    scope: Option<&str>,
    source: &Source,
) -> Result<Keys, FieldError> {
    let own_id = span_id("spanId", &span.span_id)?;
    let trace_id = trace_id("traceId", &span.trace_id)?;
    event.text("id", &own_id);
    event.text("traceId", &trace_id);
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
    Ok(keys::of_ended_span(&trace_id, &own_id, source))
}

fn otel(otel: &mut Object<'_>, span: &Span, scope: Option<&str>) -> Result<(), FieldError> {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;
    use crate::event::{Event, EventKind, decode};
    use crate::receive::otlp::messages::{
        AnyKind, AnyValue, ArrayValue, KeyValue, KeyValueList, ResourceSpans, ScopeSpans,
    };
    use crate::receive::otlp::{Encoding, Origin, Request, read};

    fn text() -> impl Strategy<Value = Bytes> {
        let words = prop::sample::select(vec!["", "type", "gen_ai.prompt", "[", "{\"a\":"]);
        prop_oneof![
            any::<String>().prop_map(Bytes::from),
            words.prop_map(Bytes::from)
        ]
    }

    fn value() -> impl Strategy<Value = AnyValue> {
        let leaf = prop_oneof![
            text().prop_map(AnyKind::Text),
            any::<bool>().prop_map(AnyKind::Boolean),
            any::<i64>().prop_map(AnyKind::Integer),
            any::<f64>().prop_map(AnyKind::Double),
            vec(any::<u8>(), 0..9).prop_map(|bytes| AnyKind::Bytes(bytes.into())),
        ];
        let leaf = prop::option::of(leaf).prop_map(|value| AnyValue { value });
        leaf.prop_recursive(4, 16, 4, |inner| {
            let entry = (text(), prop::option::of(inner.clone()));
            let entry = entry.prop_map(|(key, value)| KeyValue { key, value });
            let kind = prop_oneof![
                vec(inner, 0..4).prop_map(|values| AnyKind::Array(ArrayValue { values })),
                vec(entry, 0..4).prop_map(|values| AnyKind::Map(KeyValueList { values })),
            ];
            kind.prop_map(|kind| AnyValue { value: Some(kind) })
        })
    }

    fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
        let entry = (text(), prop::option::of(value()));
        vec(entry.prop_map(|(key, value)| KeyValue { key, value }), 0..5)
    }

    fn span() -> impl Strategy<Value = Span> {
        let ids = (vec(0_u8..3, 16), vec(0_u8..3, 8), vec(0_u8..3, 0..9));
        let numbers = (any::<u64>(), any::<u64>(), any::<u32>(), -1..9_i32);
        (ids, numbers, text(), text(), attributes(), attributes()).prop_map(
            |(ids, (start, end, count, kind), name, state, attributes, of_event)| Span {
                trace_id: ids.0.into(),
                span_id: ids.1.into(),
                parent_span_id: ids.2.into(),
                trace_state: state.clone(),
                flags: count,
                name: name.clone(),
                kind,
                start_time_unix_nano: start,
                end_time_unix_nano: end,
                attributes,
                dropped_attributes_count: count,
                events: vec![SpanEvent {
                    time_unix_nano: end,
                    name,
                    attributes: of_event,
                    dropped_attributes_count: count,
                }],
                status: Some(SpanStatus {
                    message: state,
                    code: kind,
                }),
                ..Span::default()
            },
        )
    }

    proptest! {
        #[test]
        fn every_span_that_is_taken_can_be_decoded_and_has_the_keys_of_its_text(spans in vec(span(), 1..4)) {
            let scoped = ScopeSpans { spans, ..ScopeSpans::default() };
            let group = ResourceSpans { scope_spans: vec![scoped], ..ResourceSpans::default() };
            let request = ExportTraceServiceRequest { resource_spans: vec![group] };
            let source = Arc::new(Source { project_id: Some("p".to_owned()), ..Source::default() });
            let body = request.encode_to_vec().into();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let origin = Origin { received_at: 7, source: &source, is_forwarded: false };
            let batch = runtime.block_on(read(&body, Request::Traces, Encoding::Protobuf, origin)).unwrap();
            for event in &batch.events {
                decode::record(event).unwrap();
                let again = Event::from_json(EventKind::SpanEnded, event.payload.clone(), 7, Arc::clone(&source)).unwrap();
                prop_assert_eq!((event.repeat_key, event.lane), (again.repeat_key, again.lane));
            }
        }
    }
}
