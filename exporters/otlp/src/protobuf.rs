//! The protobuf encoding (<https://protobuf.dev/programming-guides/encoding/>), in one pass into one buffer. Lengths of
//! messages are filled in when they end; texts are copied once.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mastra_exporter_sdk::ids::push_padded;
use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::raw::{
    Kind, elements, inside_quotes, kind, members, text as json_text, unescape,
};

use crate::attributes::{Attributes, Key};
use crate::encode::{Encoder, Field, field};

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const LENGTH: u32 = 2;
const FIXED32: u32 = 5;

/// Below it a tag is one byte.
const SMALL_FIELD: u32 = 16;
/// Below it a length is one byte.
const SMALL_LENGTH: usize = 0x80;

/// Fields of `KeyValue`.
const KEY: u32 = 1;
const VALUE: Field = field!(2, "value");
/// Fields of `AnyValue`.
const STRING: u32 = 1;
const BOOL: u32 = 2;
const INT: u32 = 3;
const DOUBLE: u32 = 4;
const ARRAY: Field = field!(5, "arrayValue");
const LIST: Field = field!(6, "kvlistValue");
const BYTES: u32 = 7;
/// The only field of `ArrayValue` and `KeyValueList`.
const VALUES: Field = field!(1, "values");

/// Deeper values are written as their JSON text.
const MAX_DEPTH: usize = 64;

/// Writes protobuf.
#[derive(Debug, Default)]
pub struct ProtobufEncoder {
    out: Vec<u8>,
    scratch: JsonText,
    /// The field of the attributes that are being written.
    attributes: u32,
}

impl ProtobufEncoder {
    /// With room for this many bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            out: Vec::with_capacity(bytes),
            ..Self::default()
        }
    }

    /// What was written.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.out
    }

    /// Bytes as they are: the inside of a text.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// A 64-bit number of variable width; zero is left out.
    pub fn wide_unsigned(&mut self, field: Field, number: u64) {
        if number != 0 {
            self.tag(field.number, VARINT);
            self.varint(number);
        }
    }

    #[inline]
    fn varint(&mut self, number: u64) {
        if number < 0x80 {
            self.out.push(number as u8);
        } else {
            self.long_varint(number);
        }
    }

    /// Out of line, so that short ones are in line.
    #[inline(never)]
    fn long_varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.out.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.out.push(number as u8);
    }

    #[inline]
    fn tag(&mut self, number: u32, wire_type: u32) {
        self.varint(u64::from(number << 3 | wire_type));
    }

    /// Tag and length; most are a byte each.
    #[inline]
    fn length_tag(&mut self, number: u32, length: usize) {
        if number < SMALL_FIELD && length < SMALL_LENGTH {
            self.out
                .extend_from_slice(&[(number << 3 | LENGTH) as u8, length as u8]);
        } else {
            self.tag(number, LENGTH);
            self.varint(length as u64);
        }
    }

    #[inline]
    fn bytes(&mut self, number: u32, bytes: &[u8]) {
        self.length_tag(number, bytes.len());
        self.out.extend_from_slice(bytes);
    }

    /// Tag and eight bytes.
    #[inline]
    fn eight_bytes(&mut self, number: u32, bytes: [u8; 8]) {
        self.tag(number, FIXED64);
        self.out.extend_from_slice(&bytes);
    }

    /// Begins a message; returns where it starts.
    fn open(&mut self, field: Field) -> usize {
        self.tag(field.number, LENGTH);
        let start = self.out.len() + field.length_width;
        self.out.resize(start, 0);
        start
    }

    /// Ends it: fills its length in, and moves it where the length's width was guessed wrong.
    fn close(&mut self, field: Field, start: usize) {
        let length = self.out.len() - start;
        let width = varint_width(length as u64);
        let place = start - field.length_width;
        let moved = place + width;
        if moved > start {
            self.out.resize(moved + length, 0);
        }
        if moved != start {
            self.out.copy_within(start..start + length, moved);
            self.out.truncate(moved + length);
        }
        let mut rest = length;
        for (index, byte) in self.out.iter_mut().skip(place).take(width).enumerate() {
            let more = if index + 1 < width { 0x80 } else { 0 };
            *byte = (rest & 0x7f) as u8 | more;
            rest >>= 7;
        }
    }

    /// Begins a `KeyValue` whose value's message has this many bytes; the caller writes them.
    #[inline]
    fn key_value(&mut self, key: Key<'_>, value_length: usize) {
        // Most keys have no name.
        let name = match key.name {
            "" => Cow::Borrowed(""),
            name => unescape(name),
        };
        let key_length = key.prefix.len() + name.len();
        // If each length takes a byte.
        let length = 4 + key_length + value_length;
        if length < SMALL_LENGTH && self.attributes < SMALL_FIELD {
            let tag = (self.attributes << 3 | LENGTH) as u8;
            let key_tag = (KEY << 3 | LENGTH) as u8;
            self.out
                .extend_from_slice(&[tag, length as u8, key_tag, key_length as u8]);
        } else {
            self.length_tag(self.attributes, 2 + sized(key_length) + sized(value_length));
            self.length_tag(KEY, key_length);
        }
        self.out.extend_from_slice(key.prefix.as_bytes());
        if !name.is_empty() {
            self.out.extend_from_slice(name.as_bytes());
        }
        self.length_tag(VALUE.number, value_length);
    }

    #[inline]
    fn text_attribute(&mut self, key: Key<'_>, text: &[u8]) {
        self.key_value(key, 1 + sized(text.len()));
        self.bytes(STRING, text);
    }

    fn whole_attribute(&mut self, key: Key<'_>, number: i64) {
        self.key_value(key, 1 + varint_width(number as u64));
        self.write_whole(number);
    }

    /// The fields of an `AnyValue`.
    fn write_any_value(&mut self, json: &str, depth: usize) {
        match kind(json) {
            Kind::Null => {}
            Kind::Boolean => {
                self.tag(BOOL, VARINT);
                self.out.push(u8::from(json.trim_ascii() == "true"));
            }
            Kind::Text => {
                let text = json_text(json).unwrap_or_default();
                self.bytes(STRING, text.as_bytes());
            }
            Kind::Number => self.write_number(json.trim_ascii()),
            Kind::Array | Kind::Object if depth >= MAX_DEPTH => self.bytes(STRING, json.as_bytes()),
            Kind::Array => self.message(ARRAY, |this| {
                this.messages(VALUES, elements(json), |this, element| {
                    this.write_any_value(element, depth + 1);
                });
            }),
            Kind::Object => self.write_object(json, depth),
        }
    }

    fn write_number(&mut self, json: &str) {
        match json.parse() {
            Ok(number) => self.write_whole(number),
            Err(_) => self.write_double(DOUBLE, json.parse().unwrap_or(f64::NAN)),
        }
    }

    fn write_whole(&mut self, number: i64) {
        self.tag(INT, VARINT);
        self.varint(number as u64);
    }

    fn write_double(&mut self, number: u32, value: f64) {
        self.eight_bytes(number, value.to_le_bytes());
    }

    /// A list of keys and values; the contract's spellings of bytes and of doubles that JSON lacks.
    fn write_object(&mut self, json: &str, depth: usize) {
        let mut all = members(json);
        if let (Some((key, value)), None) = (all.next(), all.next())
            && let Some(text) = inside_quotes(value)
        {
            match key {
                "$bytes" => {
                    let bytes = STANDARD.decode(text).unwrap_or_default();
                    return self.bytes(BYTES, &bytes);
                }
                "$double" => return self.write_double(DOUBLE, special_double(text)),
                _ => {}
            }
        }
        self.message(LIST, |this| {
            this.messages(VALUES, members(json), |this, (key, value)| {
                this.bytes(KEY, unescape(key).as_bytes());
                this.message(VALUE, |this| this.write_any_value(value, depth + 1));
            });
        });
    }

    fn packed(&mut self, field: Field, length: usize, write: impl FnOnce(&mut Self)) {
        if length > 0 {
            self.tag(field.number, LENGTH);
            self.varint(length as u64);
            write(self);
        }
    }
}

/// `NaN`, `Infinity` or `-Infinity`.
fn special_double(text: &str) -> f64 {
    match text {
        "Infinity" => f64::INFINITY,
        "-Infinity" => f64::NEG_INFINITY,
        _ => f64::NAN,
    }
}

/// Bytes of a varint.
#[inline]
const fn varint_width(number: u64) -> usize {
    let bits = 64 - (number | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// Bytes of a length and what follows it.
#[inline]
const fn sized(length: usize) -> usize {
    varint_width(length as u64) + length
}

impl Encoder for ProtobufEncoder {
    fn message(&mut self, field: Field, write: impl FnOnce(&mut Self)) {
        let start = self.open(field);
        write(self);
        self.close(field, start);
    }

    fn messages<T>(
        &mut self,
        field: Field,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) {
        for item in items {
            self.message(field, |this| write(this, item));
        }
    }

    fn text_of(&mut self, field: Field, pieces: &[&str]) {
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        if length == 0 {
            return;
        }
        self.tag(field.number, LENGTH);
        self.varint(length as u64);
        for piece in pieces {
            self.out.extend_from_slice(piece.as_bytes());
        }
    }

    fn id(&mut self, field: Field, hex: &str, digits: usize) {
        let mut padded = Vec::new();
        let hex = if hex.len() < digits {
            push_padded(&mut padded, hex, digits);
            &padded
        } else {
            hex.as_bytes()
        };
        let (eights, _) = hex.as_chunks();
        self.length_tag(field.number, digits / 2);
        for eight in eights.iter().take(digits / 8) {
            self.out.extend_from_slice(&four_bytes(*eight));
        }
    }

    fn fixed64(&mut self, field: Field, number: u64) {
        if number != 0 {
            self.eight_bytes(field.number, number.to_le_bytes());
        }
    }

    fn fixed32(&mut self, field: Field, number: u32) {
        if number != 0 {
            self.tag(field.number, FIXED32);
            self.out.extend_from_slice(&number.to_le_bytes());
        }
    }

    fn unsigned(&mut self, field: Field, number: u32) {
        if number != 0 {
            self.tag(field.number, VARINT);
            self.varint(u64::from(number));
        }
    }

    fn signed(&mut self, field: Field, number: i32) {
        if number != 0 {
            let zigzag = (number << 1) ^ (number >> 31);
            self.tag(field.number, VARINT);
            self.varint(u64::from(zigzag as u32));
        }
    }

    fn flag(&mut self, field: Field, value: bool) {
        self.unsigned(field, u32::from(value));
    }

    fn double(&mut self, field: Field, number: f64) {
        self.write_double(field.number, number);
    }

    fn long(&mut self, field: Field, number: i64) {
        self.eight_bytes(field.number, number.to_le_bytes());
    }

    fn counts(&mut self, field: Field, numbers: &[u64]) {
        self.packed(field, numbers.len() * 8, |this| {
            for number in numbers {
                this.out.extend_from_slice(&number.to_le_bytes());
            }
        });
    }

    fn varying_counts(&mut self, field: Field, numbers: &[u64]) {
        let length = numbers.iter().map(|number| varint_width(*number)).sum();
        self.packed(field, length, |this| {
            for number in numbers {
                this.varint(*number);
            }
        });
    }

    fn doubles(&mut self, field: Field, numbers: &[f64]) {
        self.packed(field, numbers.len() * 8, |this| {
            for number in numbers {
                this.out.extend_from_slice(&number.to_le_bytes());
            }
        });
    }

    fn any_value(&mut self, field: Field, json: &str) {
        self.message(field, |this| this.write_any_value(json, 0));
    }

    fn text_value(&mut self, field: Field, text: &str) {
        self.tag(field.number, LENGTH);
        self.varint(1 + sized(text.len()) as u64);
        self.bytes(STRING, text.as_bytes());
    }

    fn attributes(&mut self, field: Field, write: impl FnOnce(&mut Self)) {
        self.attributes = field.number;
        write(self);
    }
}

/// The bytes of eight hex digits, all at once.
const fn four_bytes(digits: [u8; 8]) -> [u8; 4] {
    let text = u64::from_le_bytes(digits);
    // Letters have bit 6, and a lower half from 1.
    let letters = text >> 6 & 0x0101_0101_0101_0101;
    let halves = (text & 0x0f0f_0f0f_0f0f_0f0f) + letters * 9;
    let [first, _, second, _, third, _, fourth, _] = (halves << 4 | halves >> 8).to_le_bytes();
    [first, second, third, fourth]
}

impl Attributes for ProtobufEncoder {
    fn text(&mut self, key: Key<'_>, text: &str) {
        self.text_attribute(key, text.as_bytes());
    }

    fn json_as_text(&mut self, key: Key<'_>, json: &str) {
        let text = inside_quotes(json).map_or(Cow::Borrowed(json), unescape);
        self.text_attribute(key, text.as_bytes());
    }

    fn scalar(&mut self, key: Key<'_>, json: &str) {
        match kind(json) {
            Kind::Null => {}
            Kind::Text | Kind::Array | Kind::Object => self.json_as_text(key, json),
            Kind::Boolean | Kind::Number => self.value(key, json),
        }
    }

    fn value(&mut self, key: Key<'_>, json: &str) {
        match kind(json) {
            Kind::Text => return self.json_as_text(key, json),
            Kind::Boolean => return self.boolean(key, json.trim_ascii() == "true"),
            Kind::Number => {
                return match json.trim_ascii().parse() {
                    Ok(number) => self.whole_attribute(key, number),
                    Err(_) => self.float(key, json.trim_ascii().parse().unwrap_or(f64::NAN)),
                };
            }
            Kind::Null | Kind::Array | Kind::Object => {}
        }
        let pair = Field {
            number: self.attributes,
            ..VALUES
        };
        let name = unescape(key.name);
        self.message(pair, |this| {
            let length = key.prefix.len() + name.len();
            this.tag(KEY, LENGTH);
            this.varint(length as u64);
            this.out.extend_from_slice(key.prefix.as_bytes());
            this.out.extend_from_slice(name.as_bytes());
            this.any_value(VALUE, json);
        });
    }

    fn integer(&mut self, key: Key<'_>, number: u64) {
        match i64::try_from(number) {
            Ok(number) => self.whole_attribute(key, number),
            Err(_) => self.float(key, number as f64),
        }
    }

    fn float(&mut self, key: Key<'_>, number: f64) {
        self.key_value(key, 9);
        self.write_double(DOUBLE, number);
    }

    fn boolean(&mut self, key: Key<'_>, value: bool) {
        self.key_value(key, 2);
        self.tag(BOOL, VARINT);
        self.out.push(u8::from(value));
    }

    fn built(&mut self, key: Key<'_>, write: impl FnOnce(&mut JsonText)) {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        write(&mut scratch);
        self.text_attribute(key, scratch.as_bytes());
        self.scratch = scratch;
    }
}
