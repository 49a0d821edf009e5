//! `Span` (<https://github.com/open-telemetry/opentelemetry-proto/blob/v1.11.0/opentelemetry/proto/trace/v1/trace.proto>).

use mastra_exporter_sdk::records::{ErrorInfo, Span, SpanEvent, SpanKind, SpanLink, StatusCode};

use crate::attributes::Key;
use crate::encode::{Encoder, Field, field};
use crate::genai::{Conventions, SpanName, status};

const TRACE_ID: Field = field!(1, "traceId");
const SPAN_ID: Field = field!(2, "spanId");
const TRACE_STATE: Field = field!(3, "traceState");
const PARENT_SPAN_ID: Field = field!(4, "parentSpanId");
const NAME: Field = field!(5, "name");
const KIND: Field = field!(6, "kind");
const START: Field = field!(7, "startTimeUnixNano");
const END: Field = field!(8, "endTimeUnixNano");
const ATTRIBUTES: Field = field!(9, "attributes");
const DROPPED_ATTRIBUTES: Field = field!(10, "droppedAttributesCount");
const EVENTS: Field = field!(11, "events").wide(2);
const DROPPED_EVENTS: Field = field!(12, "droppedEventsCount");
const LINKS: Field = field!(13, "links");
const DROPPED_LINKS: Field = field!(14, "droppedLinksCount");
const STATUS: Field = field!(15, "status");
const FLAGS: Field = field!(16, "flags");

/// Fields of `Event`.
const EVENT_TIME: Field = field!(1, "timeUnixNano");
const EVENT_NAME: Field = field!(2, "name");
const EVENT_ATTRIBUTES: Field = field!(3, "attributes");
const EVENT_DROPPED: Field = field!(4, "droppedAttributesCount");

/// Fields of `Link`.
const LINK_ATTRIBUTES: Field = field!(4, "attributes");
const LINK_DROPPED: Field = field!(5, "droppedAttributesCount");
const LINK_FLAGS: Field = field!(6, "flags");

/// Fields of `Status`.
const MESSAGE: Field = field!(2, "message");
const CODE: Field = field!(3, "code");

/// W3C "sampled", and OTLP's "it is known whether the parent is remote".
pub const SAMPLED_LOCAL_PARENT: u32 = 0x101;

/// Hex digits of ids.
pub(crate) const TRACE_ID_DIGITS: usize = 32;
pub(crate) const SPAN_ID_DIGITS: usize = 16;

/// What a backend's conventions say of a span beside its attributes.
#[derive(Clone, Debug)]
pub struct Head<'a> {
    /// The span's name.
    pub name: SpanName<'a>,
    /// The span's kind.
    pub kind: SpanKind,
    /// Its status and what it says.
    pub status: (StatusCode, &'a str),
}

impl Conventions {
    /// Name, kind and status by the conventions.
    #[must_use]
    pub fn head(self, span: &Span) -> Head<'_> {
        Head {
            name: self.name(span),
            kind: self.span_kind(span),
            status: status(span),
        }
    }
}

/// Bytes of the texts that a span's attributes are made of: room for what is written of it, give or take what the
/// encoding adds.
#[must_use]
pub fn text_bytes(span: &Span) -> usize {
    let attributes = span.attributes.as_ref();
    // What an OTLP sender said stands in its attributes; the other fields are read from them.
    let own = [&span.input, &span.output, &span.metadata];
    let own = own.into_iter().flatten().filter(|_| span.otel.is_none());
    attributes.into_iter().chain(own).map(String::len).sum()
}

/// Writes a span's fields; `attributes` hands its attributes to the encoder.
pub fn span<E: Encoder>(
    encoder: &mut E,
    span: &Span,
    head: &Head<'_>,
    attributes: impl FnOnce(&mut E),
) {
    let otel = span.otel.as_ref();
    encoder.id(TRACE_ID, &span.trace_id, TRACE_ID_DIGITS);
    encoder.id(SPAN_ID, &span.span_id, SPAN_ID_DIGITS);
    let parent = span.parent_span_id.as_ref();
    if let Some(parent) = parent.or(span.external_parent_span_id.as_ref()) {
        encoder.id(PARENT_SPAN_ID, parent, SPAN_ID_DIGITS);
    }
    encoder.text_if(TRACE_STATE, otel.and_then(|otel| otel.trace_state.as_ref()));
    match head.name.operation {
        Some(operation) => encoder.text_of(NAME, &[operation, " ", &head.name.text]),
        None => encoder.text_of(NAME, &[&head.name.text]),
    }
    encoder.unsigned(KIND, kind_number(head.kind));
    encoder.fixed64(START, span.start_time);
    encoder.fixed64(END, span.end_time.unwrap_or(span.start_time));
    encoder.attributes(ATTRIBUTES, attributes);
    encoder.unsigned(
        DROPPED_ATTRIBUTES,
        otel.map_or(0, |otel| otel.dropped_attributes_count),
    );
    events(encoder, span);
    encoder.unsigned(
        DROPPED_EVENTS,
        otel.map_or(0, |otel| otel.dropped_events_count),
    );
    let links = otel.map_or(&[][..], |otel| otel.links.as_slice());
    encoder.messages(LINKS, links, link);
    encoder.unsigned(
        DROPPED_LINKS,
        otel.map_or(0, |otel| otel.dropped_links_count),
    );
    encoder.message(STATUS, |encoder| {
        let (code, message) = head.status;
        if !message.is_empty() {
            encoder.text_of(MESSAGE, &[message]);
        }
        encoder.unsigned(CODE, status_number(code));
    });
    encoder.fixed32(FLAGS, otel.map_or(SAMPLED_LOCAL_PARENT, |otel| otel.flags));
}

/// A point in time, which is no span of Mastra's, as a span: where a backend has no logs.
#[derive(Clone, Copy, Debug)]
pub struct Point<'a> {
    /// Hex.
    pub trace_id: &'a str,
    /// Hex.
    pub span_id: &'a str,
    /// Hex.
    pub parent_span_id: Option<&'a String>,
    /// The span's name.
    pub name: &'a str,
    /// When, in nanoseconds since 1970.
    pub time: u64,
}

/// Writes a point's fields.
pub fn point<E: Encoder>(encoder: &mut E, point: Point<'_>, attributes: impl FnOnce(&mut E)) {
    encoder.id(TRACE_ID, point.trace_id, TRACE_ID_DIGITS);
    encoder.id(SPAN_ID, point.span_id, SPAN_ID_DIGITS);
    if let Some(parent) = point.parent_span_id {
        encoder.id(PARENT_SPAN_ID, parent, SPAN_ID_DIGITS);
    }
    encoder.text_of(NAME, &[point.name]);
    encoder.unsigned(KIND, kind_number(SpanKind::Internal));
    encoder.fixed64(START, point.time);
    encoder.fixed64(END, point.time);
    encoder.attributes(ATTRIBUTES, attributes);
    encoder.unsigned(DROPPED_ATTRIBUTES, 0);
    encoder.messages(EVENTS, [(); 0], |_, ()| {});
    encoder.unsigned(DROPPED_EVENTS, 0);
    encoder.messages(LINKS, [(); 0], |_, ()| {});
    encoder.unsigned(DROPPED_LINKS, 0);
    encoder.message(STATUS, |encoder| encoder.unsigned(CODE, 0));
    encoder.fixed32(FLAGS, SAMPLED_LOCAL_PARENT);
}

const fn kind_number(kind: SpanKind) -> u32 {
    match kind {
        SpanKind::Unspecified => 0,
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
        SpanKind::Producer => 4,
        SpanKind::Consumer => 5,
    }
}

const fn status_number(code: StatusCode) -> u32 {
    match code {
        StatusCode::Unset => 0,
        StatusCode::Ok => 1,
        StatusCode::Error => 2,
    }
}

/// One of the sender's events, or the one that we make of an error.
enum Event<'a> {
    Sent(&'a SpanEvent),
    Exception(&'a ErrorInfo),
}

fn events<E: Encoder>(encoder: &mut E, span: &Span) {
    let time = span.end_time.unwrap_or(span.start_time);
    let sent = span.otel.as_ref().map(|otel| otel.events.as_slice());
    let own = sent.is_none().then_some(span.error.as_ref()).flatten();
    let all = own
        .map(Event::Exception)
        .into_iter()
        .chain(sent.unwrap_or_default().iter().map(Event::Sent));
    encoder.messages(EVENTS, all, |encoder, event| match event {
        Event::Sent(event) => {
            encoder.fixed64(EVENT_TIME, event.time);
            encoder.text_of(EVENT_NAME, &[&event.name]);
            encoder.attribute_object(EVENT_ATTRIBUTES, event.attributes.as_ref());
            encoder.unsigned(EVENT_DROPPED, event.dropped_attributes_count);
        }
        Event::Exception(error) => {
            encoder.fixed64(EVENT_TIME, time);
            encoder.text_of(EVENT_NAME, &["exception"]);
            encoder.attributes(EVENT_ATTRIBUTES, |sink| {
                sink.text(Key::of("exception.message"), &error.message);
                sink.text(
                    Key::of("exception.type"),
                    error.error_name.as_deref().unwrap_or("Error"),
                );
                if let Some(stack) = &error.stack {
                    sink.text(Key::of("exception.stacktrace"), stack);
                }
            });
            encoder.unsigned(EVENT_DROPPED, 0);
        }
    });
}

fn link<E: Encoder>(encoder: &mut E, link: &SpanLink) {
    encoder.id(TRACE_ID, &link.trace_id, TRACE_ID_DIGITS);
    encoder.id(SPAN_ID, &link.span_id, SPAN_ID_DIGITS);
    encoder.text_if(TRACE_STATE, link.trace_state.as_ref());
    encoder.attribute_object(LINK_ATTRIBUTES, link.attributes.as_ref());
    encoder.unsigned(LINK_DROPPED, link.dropped_attributes_count);
    encoder.fixed32(LINK_FLAGS, link.flags);
}
