//! The OTLP/JSON encoding (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>, read 2026-11): lowerCamelCase
//! keys, ids in hex, enums as numbers, nanoseconds as strings. Integers are numbers as long as a double holds them
//! exactly, as the JavaScript SDK writes them, and strings beyond.

use mastra_exporter_sdk::ids::push_padded;
use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::raw::{Kind, elements, kind, members};
use mastra_exporter_sdk::records::{EventScope, Span, SpanEvent, SpanKind, SpanLink, StatusCode};

use crate::attributes::{Attributes, Key};
use crate::genai::{self, Conventions};

/// Names of the three levels of a request.
#[derive(Clone, Copy, Debug)]
pub struct Envelope {
    resources: &'static str,
    scopes: &'static str,
    items: &'static str,
}

/// `ExportTraceServiceRequest`
pub const SPANS: Envelope = Envelope {
    resources: "resourceSpans",
    scopes: "scopeSpans",
    items: "spans",
};
/// `ExportLogsServiceRequest`
pub const LOGS: Envelope = Envelope {
    resources: "resourceLogs",
    scopes: "scopeLogs",
    items: "logRecords",
};

/// Where an item belongs: indices into the batch's resources and scopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Index into `resources`.
    pub resource: Option<u32>,
    /// Index into `scopes`.
    pub scope: Option<u32>,
}

/// Writes the parts of a request.
pub trait Parts<T> {
    /// Where an item belongs.
    fn place(item: &T) -> Place;
    /// The resource object.
    fn resource(&mut self, text: &mut JsonText, index: Option<u32>);
    /// The scope object.
    fn scope(&mut self, text: &mut JsonText, index: Option<u32>);
    /// An item object.
    fn item(&mut self, text: &mut JsonText, item: &T);
}

impl Envelope {
    /// Writes a whole request: items grouped by resource and scope, each group in the batch's order.
    pub fn write<T, P: Parts<T>>(self, text: &mut JsonText, items: &[T], parts: &mut P) {
        let mut places: Vec<Place> = Vec::new();
        let mut resources: Vec<Option<u32>> = Vec::new();
        for item in items {
            let place = P::place(item);
            if places.last() == Some(&place) || places.contains(&place) {
                continue;
            }
            places.push(place);
            if !resources.contains(&place.resource) {
                resources.push(place.resource);
            }
        }
        text.raw("{\"").raw(self.resources).raw("\":");
        text.array(resources, |text, resource| {
            text.raw("{\"resource\":");
            parts.resource(text, resource);
            text.raw(",\"").raw(self.scopes).raw("\":");
            text.array(
                places.iter().filter(|place| place.resource == resource),
                |text, place| {
                    text.raw("{\"scope\":");
                    parts.scope(text, place.scope);
                    text.raw(",\"").raw(self.items).raw("\":");
                    text.array(
                        items.iter().filter(|item| P::place(item) == *place),
                        |text, item| parts.item(text, item),
                    );
                    text.raw("}");
                },
            );
            text.raw("}");
        });
        text.raw("}");
    }
}

/// The attributes of one object, as the elements of a JSON array.
#[derive(Debug)]
pub struct JsonAttributes<'a> {
    text: &'a mut JsonText,
    scratch: &'a mut JsonText,
    is_empty: bool,
}

impl<'a> JsonAttributes<'a> {
    /// Opens the array; [`JsonAttributes::end`] closes it. `scratch` is for values that are built before they are
    /// escaped; its content is lost.
    pub fn begin(text: &'a mut JsonText, scratch: &'a mut JsonText) -> Self {
        text.raw("[");
        Self {
            text,
            scratch,
            is_empty: true,
        }
    }

    /// Closes the array.
    pub fn end(self) {
        self.text.raw("]");
    }

    #[inline]
    fn key(&mut self, key: Key<'_>, value: &str) -> &mut JsonText {
        self.text.raw(if self.is_empty {
            "{\"key\":\""
        } else {
            ",{\"key\":\""
        });
        self.is_empty = false;
        self.text.raw(key.prefix).raw(key.name).raw(value)
    }
}

impl Attributes for JsonAttributes<'_> {
    #[inline]
    fn text(&mut self, key: Key<'_>, text: &str) {
        self.key(key, "\",\"value\":{\"stringValue\":")
            .string(text)
            .raw("}}");
    }

    #[inline]
    fn json_as_text(&mut self, key: Key<'_>, json: &str) {
        let text = self.key(key, "\",\"value\":{\"stringValue\":");
        if json.starts_with('"') {
            text.raw(json);
        } else {
            text.string(json);
        }
        text.raw("}}");
    }

    #[inline]
    fn scalar(&mut self, key: Key<'_>, json: &str) {
        match kind(json) {
            Kind::Null => {}
            Kind::Text | Kind::Array | Kind::Object => self.json_as_text(key, json),
            Kind::Boolean | Kind::Number => self.value(key, json),
        }
    }

    fn value(&mut self, key: Key<'_>, json: &str) {
        let text = self.key(key, "\",\"value\":");
        any_value(text, json, 0);
        text.raw("}");
    }

    fn integer(&mut self, key: Key<'_>, number: u64) {
        let text = self.key(key, "\",\"value\":{\"intValue\":");
        if number <= MAX_SAFE_INTEGER {
            text.unsigned(number).raw("}}");
        } else {
            text.raw("\"").unsigned(number).raw("\"}}");
        }
    }

    fn boolean(&mut self, key: Key<'_>, value: bool) {
        self.key(key, "\",\"value\":{\"boolValue\":")
            .raw(if value { "true}}" } else { "false}}" });
    }

    fn built(&mut self, key: Key<'_>, write: impl FnOnce(&mut JsonText)) {
        self.scratch.clear();
        write(self.scratch);
        self.key(key, "\",\"value\":{\"stringValue\":");
        self.text.string(self.scratch.as_str()).raw("}}");
    }
}

/// Integers up to here are exact in a double.
const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// Deeper values are written as their JSON text.
const MAX_DEPTH: usize = 64;

/// An `AnyValue` of a JSON value.
pub fn any_value(text: &mut JsonText, json: &str, depth: usize) {
    match kind(json) {
        Kind::Null => text.raw("{}"),
        Kind::Boolean => text.raw("{\"boolValue\":").raw(json).raw("}"),
        Kind::Text => text.raw("{\"stringValue\":").raw(json).raw("}"),
        Kind::Number => number_value(text, json),
        Kind::Array | Kind::Object if depth >= MAX_DEPTH => {
            text.raw("{\"stringValue\":").string(json).raw("}")
        }
        Kind::Array => {
            text.raw("{\"arrayValue\":{\"values\":");
            text.array(elements(json), |text, element| {
                any_value(text, element, depth + 1)
            })
            .raw("}}")
        }
        Kind::Object => object_value(text, json, depth),
    };
}

fn number_value<'t>(text: &'t mut JsonText, json: &str) -> &'t mut JsonText {
    if json.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
        return text.raw("{\"doubleValue\":").raw(json).raw("}");
    }
    match json.parse::<i64>() {
        Ok(number) if number.unsigned_abs() <= MAX_SAFE_INTEGER => {
            text.raw("{\"intValue\":").raw(json).raw("}")
        }
        Ok(_) => text.raw("{\"intValue\":\"").raw(json).raw("\"}"),
        Err(_) => text.raw("{\"doubleValue\":").raw(json).raw("}"),
    }
}

/// A list of keys and values; the contract's spellings of bytes and of doubles that JSON lacks.
fn object_value<'t>(text: &'t mut JsonText, json: &str, depth: usize) -> &'t mut JsonText {
    let mut all = members(json);
    if let (Some((key @ ("$bytes" | "$double"), value)), None) = (all.next(), all.next())
        && kind(value) == Kind::Text
    {
        let name = if key == "$bytes" {
            "{\"bytesValue\":"
        } else {
            "{\"doubleValue\":"
        };
        return text.raw(name).raw(value).raw("}");
    }
    text.raw("{\"kvlistValue\":{\"values\":");
    text.array(members(json), |text, (key, value)| {
        text.raw("{\"key\":\"").raw(key).raw("\",\"value\":");
        any_value(text, value, depth + 1);
        text.raw("}");
    });
    text.raw("}}")
}

/// The elements of an attribute array from a JSON object, values with their structure.
pub fn attribute_array(text: &mut JsonText, object: Option<&String>) {
    text.array(
        members(object.map_or("{}", String::as_str)),
        |text, (key, value)| {
            text.raw("{\"key\":\"").raw(key).raw("\",\"value\":");
            any_value(text, value, 0);
            text.raw("}");
        },
    );
}

/// An id of so many hex digits, quoted; shorter ones of the record are padded.
pub fn hex_id(text: &mut JsonText, id: &str, digits: usize) {
    if id.len() >= digits {
        text.raw("\"").raw(id).raw("\"");
    } else {
        let mut padded = Vec::with_capacity(digits);
        push_padded(&mut padded, id, digits);
        text.string(std::str::from_utf8(&padded).unwrap_or(id));
    }
}

/// Writes a span's fields before the attributes, up to and with `"attributes":`. The caller closes the object.
pub fn span_head(text: &mut JsonText, span: &Span, conventions: Conventions) {
    text.raw("{\"traceId\":");
    hex_id(text, &span.trace_id, 32);
    text.raw(",\"spanId\":");
    hex_id(text, &span.span_id, 16);
    if let Some(parent) = span
        .parent_span_id
        .as_ref()
        .or(span.external_parent_span_id.as_ref())
    {
        text.raw(",\"parentSpanId\":");
        hex_id(text, parent, 16);
    }
    if let Some(state) = span
        .otel
        .as_ref()
        .and_then(|otel| otel.trace_state.as_ref())
    {
        text.raw(",\"traceState\":").string(state);
    }
    let name = conventions.name(span);
    text.raw(",\"name\":\"");
    if let Some(operation) = name.operation {
        text.escaped(operation).raw(" ");
    }
    text.escaped(&name.text)
        .raw("\",\"kind\":")
        .unsigned(u64::from(kind_number(conventions.span_kind(span))));
    text.raw(",\"startTimeUnixNano\":\"")
        .unsigned(span.start_time);
    text.raw("\",\"endTimeUnixNano\":\"")
        .unsigned(span.end_time.unwrap_or(span.start_time));
    text.raw("\",\"attributes\":");
}

const fn kind_number(kind: SpanKind) -> u8 {
    match kind {
        SpanKind::Unspecified => 0,
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
        SpanKind::Producer => 4,
        SpanKind::Consumer => 5,
    }
}

/// W3C "sampled", and OTLP's "it is known whether the parent is remote".
const SAMPLED_LOCAL_PARENT: u32 = 0x101;

/// Writes a span's fields after the attributes and closes the object.
pub fn span_tail(text: &mut JsonText, span: &Span) {
    let otel = span.otel.as_ref();
    let counts = otel.map_or((0, 0, 0), |otel| {
        (
            otel.dropped_attributes_count,
            otel.dropped_events_count,
            otel.dropped_links_count,
        )
    });
    text.raw(",\"droppedAttributesCount\":")
        .unsigned(u64::from(counts.0));
    text.raw(",\"events\":[");
    let mut is_first = true;
    if let Some(error) = &span.error {
        exception_event(text, span, error);
        is_first = false;
    }
    for event in otel.map_or(&[][..], |otel| otel.events.as_slice()) {
        if !is_first {
            text.raw(",");
        }
        is_first = false;
        span_event(text, event);
    }
    text.raw("],\"droppedEventsCount\":")
        .unsigned(u64::from(counts.1));
    status(text, span);
    text.raw(",\"links\":").array(
        otel.map_or(&[][..], |otel| otel.links.as_slice()),
        span_link,
    );
    text.raw(",\"droppedLinksCount\":")
        .unsigned(u64::from(counts.2));
    let flags = otel.map_or(SAMPLED_LOCAL_PARENT, |otel| otel.flags);
    text.raw(",\"flags\":").unsigned(u64::from(flags)).raw("}");
}

fn exception_event(
    text: &mut JsonText,
    span: &Span,
    error: &mastra_exporter_sdk::records::ErrorInfo,
) {
    let time = span.end_time.unwrap_or(span.start_time);
    text.raw("{\"timeUnixNano\":\"").unsigned(time);
    text.raw("\",\"name\":\"exception\",\"attributes\":[{\"key\":\"exception.message\",\"value\":{\"stringValue\":");
    text.string(&error.message);
    text.raw("}},{\"key\":\"exception.type\",\"value\":{\"stringValue\":");
    text.string(error.error_name.as_deref().unwrap_or("Error"))
        .raw("}}");
    if let Some(stack) = &error.stack {
        text.raw(",{\"key\":\"exception.stacktrace\",\"value\":{\"stringValue\":")
            .string(stack)
            .raw("}}");
    }
    text.raw("],\"droppedAttributesCount\":0}");
}

fn span_event(text: &mut JsonText, event: &SpanEvent) {
    text.raw("{\"timeUnixNano\":\"")
        .unsigned(event.time)
        .raw("\",\"name\":")
        .string(&event.name);
    text.raw(",\"attributes\":");
    attribute_array(text, event.attributes.as_ref());
    text.raw(",\"droppedAttributesCount\":")
        .unsigned(u64::from(event.dropped_attributes_count))
        .raw("}");
}

fn span_link(text: &mut JsonText, link: &SpanLink) {
    text.raw("{\"traceId\":");
    hex_id(text, &link.trace_id, 32);
    text.raw(",\"spanId\":");
    hex_id(text, &link.span_id, 16);
    if let Some(state) = &link.trace_state {
        text.raw(",\"traceState\":").string(state);
    }
    text.raw(",\"attributes\":");
    attribute_array(text, link.attributes.as_ref());
    text.raw(",\"droppedAttributesCount\":")
        .unsigned(u64::from(link.dropped_attributes_count));
    text.raw(",\"flags\":")
        .unsigned(u64::from(link.flags))
        .raw("}");
}

fn status(text: &mut JsonText, span: &Span) {
    let (code, message) = genai::status(span);
    text.raw(match code {
        StatusCode::Unset => ",\"status\":{\"code\":0",
        StatusCode::Ok => ",\"status\":{\"code\":1",
        StatusCode::Error => ",\"status\":{\"code\":2",
    });
    if !message.is_empty() {
        text.raw(",\"message\":").string(message);
    }
    text.raw("}");
}

/// A scope object.
pub fn scope(text: &mut JsonText, scope: &EventScope) {
    text.raw("{\"name\":").string(&scope.name);
    if let Some(version) = &scope.version {
        text.raw(",\"version\":").string(version);
    }
    text.raw(",\"attributes\":");
    attribute_array(text, scope.attributes.as_ref());
    text.raw(",\"droppedAttributesCount\":")
        .unsigned(u64::from(scope.dropped_attributes_count))
        .raw("}");
}
