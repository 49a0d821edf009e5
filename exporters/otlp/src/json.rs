//! The OTLP/JSON encoding (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>, read 2026-11): lowerCamelCase
//! keys, ids in hex, enums as numbers, nanoseconds as strings. Integers are numbers as long as a double holds them
//! exactly, as the JavaScript SDK writes them, and strings beyond.

use mastra_exporter_sdk::ids::push_padded;
use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::raw::{Kind, elements, kind, members};

use crate::attributes::{Attributes, Key};
use crate::encode::{Encoder, Field};

/// Writes JSON.
#[derive(Debug, Default)]
pub struct JsonEncoder {
    text: JsonText,
    /// For values that are built before they are escaped.
    scratch: JsonText,
    /// Whether the next member or element is the first.
    is_first: bool,
}

impl JsonEncoder {
    /// With room for this many bytes. The object of the request is open.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        let mut text = JsonText::with_capacity(bytes);
        text.raw("{");
        Self {
            text,
            is_first: true,
            scratch: JsonText::default(),
        }
    }

    /// What was written.
    #[must_use]
    pub fn finish(mut self) -> JsonText {
        self.text.raw("}");
        self.text
    }

    /// Writes a member's key.
    #[inline]
    fn member(&mut self, field: Field) -> &mut JsonText {
        let key = if self.is_first {
            field.json.get(1..).unwrap_or_default()
        } else {
            field.json
        };
        self.is_first = false;
        self.text.raw(key)
    }

    fn object(&mut self, write: impl FnOnce(&mut Self)) {
        self.text.raw("{");
        self.is_first = true;
        write(self);
        self.text.raw("}");
        self.is_first = false;
    }

    /// Writes an attribute's key and the beginning of its value.
    #[inline]
    fn attribute(&mut self, key: Key<'_>, value: &str) -> &mut JsonText {
        self.text.raw(if self.is_first {
            "{\"key\":\""
        } else {
            ",{\"key\":\""
        });
        self.is_first = false;
        self.text.raw(key.prefix).raw(key.name).raw(value)
    }
}

impl Encoder for JsonEncoder {
    fn message(&mut self, field: Field, write: impl FnOnce(&mut Self)) {
        self.member(field);
        self.object(write);
    }

    fn messages<T>(
        &mut self,
        field: Field,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) {
        self.member(field).raw("[");
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                self.text.raw(",");
            }
            self.object(|this| write(this, item));
        }
        self.text.raw("]");
        self.is_first = false;
    }

    fn text_of(&mut self, field: Field, pieces: &[&str]) {
        self.member(field).raw("\"");
        for piece in pieces {
            self.text.escaped(piece);
        }
        self.text.raw("\"");
    }

    fn id(&mut self, field: Field, hex: &str, digits: usize) {
        hex_id(self.member(field), hex, digits);
    }

    fn fixed64(&mut self, field: Field, number: u64) {
        self.member(field).raw("\"").unsigned(number).raw("\"");
    }

    fn fixed32(&mut self, field: Field, number: u32) {
        self.member(field).unsigned(u64::from(number));
    }

    fn unsigned(&mut self, field: Field, number: u32) {
        self.member(field).unsigned(u64::from(number));
    }

    fn signed(&mut self, field: Field, number: i32) {
        self.member(field).signed(i64::from(number));
    }

    fn flag(&mut self, field: Field, value: bool) {
        self.member(field).raw(if value { "true" } else { "false" });
    }

    fn double(&mut self, field: Field, number: f64) {
        double(self.member(field), number);
    }

    fn long(&mut self, field: Field, number: i64) {
        self.member(field).raw("\"").signed(number).raw("\"");
    }

    fn counts(&mut self, field: Field, numbers: &[u64]) {
        self.member(field).array(numbers, |text, number| {
            text.raw("\"").unsigned(*number).raw("\"");
        });
    }

    fn varying_counts(&mut self, field: Field, numbers: &[u64]) {
        self.counts(field, numbers);
    }

    fn doubles(&mut self, field: Field, numbers: &[f64]) {
        self.member(field).array(numbers, |text, number| {
            double(text, *number);
        });
    }

    fn any_value(&mut self, field: Field, json: &str) {
        any_value(self.member(field), json, 0);
    }

    fn text_value(&mut self, field: Field, text: &str) {
        self.member(field)
            .raw("{\"stringValue\":")
            .string(text)
            .raw("}");
    }

    fn attributes(&mut self, field: Field, write: impl FnOnce(&mut Self)) {
        self.member(field).raw("[");
        self.is_first = true;
        write(self);
        self.text.raw("]");
        self.is_first = false;
    }
}

impl Attributes for JsonEncoder {
    #[inline]
    fn text(&mut self, key: Key<'_>, text: &str) {
        self.attribute(key, "\",\"value\":{\"stringValue\":")
            .string(text)
            .raw("}}");
    }

    #[inline]
    fn json_as_text(&mut self, key: Key<'_>, json: &str) {
        let text = self.attribute(key, "\",\"value\":{\"stringValue\":");
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
        let text = self.attribute(key, "\",\"value\":");
        any_value(text, json, 0);
        text.raw("}");
    }

    fn integer(&mut self, key: Key<'_>, number: u64) {
        if i64::try_from(number).is_err() {
            return self.float(key, number as f64);
        }
        let text = self.attribute(key, "\",\"value\":{\"intValue\":");
        if number <= MAX_SAFE_INTEGER {
            text.unsigned(number).raw("}}");
        } else {
            text.raw("\"").unsigned(number).raw("\"}}");
        }
    }

    fn float(&mut self, key: Key<'_>, number: f64) {
        let text = self.attribute(key, "\",\"value\":{\"doubleValue\":");
        double(text, number).raw("}}");
    }

    fn boolean(&mut self, key: Key<'_>, value: bool) {
        self.attribute(key, "\",\"value\":{\"boolValue\":")
            .raw(if value { "true}}" } else { "false}}" });
    }

    fn built(&mut self, key: Key<'_>, write: impl FnOnce(&mut JsonText)) {
        self.scratch.clear();
        write(&mut self.scratch);
        self.attribute(key, "\",\"value\":{\"stringValue\":");
        self.text.string(self.scratch.as_str()).raw("}}");
    }
}

/// A double; what JSON lacks as the strings of the specification.
fn double(text: &mut JsonText, number: f64) -> &mut JsonText {
    if number.is_finite() {
        text.float(number)
    } else if number.is_nan() {
        text.raw("\"NaN\"")
    } else if number > 0.0 {
        text.raw("\"Infinity\"")
    } else {
        text.raw("\"-Infinity\"")
    }
}

/// Integers up to here are exact in a double.
const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// Deeper values are written as their JSON text.
const MAX_DEPTH: usize = 64;

/// An `AnyValue` of a JSON value.
fn any_value(text: &mut JsonText, json: &str, depth: usize) {
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
