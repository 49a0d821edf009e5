//! Writes JSON text straight into one buffer: no tree, no intermediate strings. Free-form JSON of a record is spliced as
//! it came. What is written is well-formed as long as keys are plain ASCII names and spliced text is JSON; the writer
//! does not check it. Its counterpart is [`crate::raw`].
//!
//! ```
//! use mastra_exporter_sdk::json::JsonText;
//!
//! let mut text = JsonText::default();
//! let mut object = text.object();
//! object.string("name", "say \"hi\"").unsigned("tokens", 7).raw("input", r#"{"n":1.0}"#);
//! object.end();
//! assert_eq!(text.as_str(), r#"{"name":"say \"hi\"","tokens":7,"input":{"n":1.0}}"#);
//! ```

use std::io::Write as _;

use crate::blocks::{BLOCK, LONG, long_plain_end, plain_prefix};
use crate::time;

/// JSON text under construction.
#[derive(Clone, Debug, Default)]
pub struct JsonText {
    bytes: Vec<u8>,
}

impl JsonText {
    /// An empty text with room for this many bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
        }
    }

    /// Bytes written so far.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing has been written.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Forgets what was written and keeps the room.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// What was written.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What was written. Everything that goes in is UTF-8.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap_or_default()
    }

    /// What was written.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// What was written.
    #[must_use]
    pub fn into_string(self) -> String {
        String::from_utf8(self.bytes).unwrap_or_default()
    }

    /// Splices text as it is: JSON, or a piece of it.
    #[inline]
    pub fn raw(&mut self, text: &str) -> &mut Self {
        self.bytes.extend_from_slice(text.as_bytes());
        self
    }

    /// A string, quoted and escaped.
    #[inline]
    pub fn string(&mut self, text: &str) -> &mut Self {
        self.bytes.push(b'"');
        append_escaped(&mut self.bytes, text.as_bytes());
        self.bytes.push(b'"');
        self
    }

    /// The inside of a string, escaped, without quotes.
    #[inline]
    pub fn escaped(&mut self, text: &str) -> &mut Self {
        append_escaped(&mut self.bytes, text.as_bytes());
        self
    }

    /// A whole number.
    #[inline]
    pub fn unsigned(&mut self, number: u64) -> &mut Self {
        append_unsigned(&mut self.bytes, number);
        self
    }

    /// A whole number.
    pub fn signed(&mut self, number: i64) -> &mut Self {
        if number < 0 {
            self.bytes.push(b'-');
        }
        self.unsigned(number.unsigned_abs())
    }

    /// A number as `JSON.stringify` writes it: no fraction on whole numbers, `null` for what JSON cannot say.
    pub fn float(&mut self, number: f64) -> &mut Self {
        append_float(&mut self.bytes, number);
        self
    }

    /// A quoted ISO 8601 time, see [`time::iso`].
    pub fn time(&mut self, unix_nanos: u64) -> &mut Self {
        self.bytes.push(b'"');
        self.bytes
            .extend_from_slice(time::iso(unix_nanos).as_str().as_bytes());
        self.bytes.push(b'"');
        self
    }

    /// An array; `write` writes one element.
    pub fn array<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        self.bytes.push(b'[');
        let mut is_first = true;
        for item in items {
            if !is_first {
                self.bytes.push(b',');
            }
            is_first = false;
            write(self, item);
        }
        self.bytes.push(b']');
        self
    }

    /// Opens an object; [`Object::end`] closes it.
    pub fn object(&mut self) -> Object<'_> {
        self.bytes.push(b'{');
        Object {
            text: self,
            is_empty: true,
        }
    }
}

/// An object under construction. Keys are plain ASCII names, written as they are.
#[derive(Debug)]
#[must_use = "an object is open until `end`"]
pub struct Object<'a> {
    text: &'a mut JsonText,
    is_empty: bool,
}

impl Object<'_> {
    /// Writes a key; the caller writes the value.
    #[inline]
    pub fn key(&mut self, name: &str) -> &mut JsonText {
        self.text
            .raw(if self.is_empty { "\"" } else { ",\"" })
            .raw(name)
            .raw("\":");
        self.is_empty = false;
        self.text
    }

    /// Closes the object.
    #[inline]
    pub fn end(self) {
        self.text.bytes.push(b'}');
    }

    /// A string.
    #[inline]
    pub fn string(&mut self, name: &str, value: &str) -> &mut Self {
        self.key(name).string(value);
        self
    }

    /// A string, if there is one.
    #[inline]
    pub fn string_if(&mut self, name: &str, value: Option<&String>) -> &mut Self {
        if let Some(value) = value {
            self.string(name, value);
        }
        self
    }

    /// Strings.
    pub fn strings<T: AsRef<str>>(&mut self, name: &str, values: &[T]) -> &mut Self {
        self.key(name).array(values, |text, value| {
            text.string(value.as_ref());
        });
        self
    }

    /// JSON text as it came.
    #[inline]
    pub fn raw(&mut self, name: &str, json: &str) -> &mut Self {
        self.key(name).raw(json);
        self
    }

    /// JSON text as it came, if there is any.
    #[inline]
    pub fn raw_if(&mut self, name: &str, json: Option<&String>) -> &mut Self {
        if let Some(json) = json {
            self.raw(name, json);
        }
        self
    }

    /// Members of an object as they came, without its braces.
    pub fn members(&mut self, object: &str) -> &mut Self {
        for (key, value) in crate::raw::members(object) {
            self.raw(key, value);
        }
        self
    }

    /// A whole number.
    pub fn unsigned(&mut self, name: &str, value: u64) -> &mut Self {
        self.key(name).unsigned(value);
        self
    }

    /// A whole number.
    pub fn signed(&mut self, name: &str, value: i64) -> &mut Self {
        self.key(name).signed(value);
        self
    }

    /// A number.
    pub fn float(&mut self, name: &str, value: f64) -> &mut Self {
        self.key(name).float(value);
        self
    }

    /// True or false.
    pub fn boolean(&mut self, name: &str, value: bool) -> &mut Self {
        self.key(name).raw(if value { "true" } else { "false" });
        self
    }

    /// A quoted ISO 8601 time.
    pub fn time(&mut self, name: &str, unix_nanos: u64) -> &mut Self {
        self.key(name).time(unix_nanos);
        self
    }
}

/// Appends text as the inside of a JSON string. Only what JSON demands is escaped, as `JSON.stringify` does: U+2028 and
/// everything above ASCII stay as they are.
///
/// Whole blocks are copied, and what is not plain is cut off again: JSON inside JSON has a quote every few bytes, and a
/// copy of unknown length is a call.
fn append_escaped(out: &mut Vec<u8>, text: &[u8]) {
    out.reserve(text.len() + BLOCK);
    let mut rest = text;
    let mut plain = 0;
    while let Some(block) = rest.first_chunk() {
        let mut taken = append_block(out, block, BLOCK);
        plain = if taken == BLOCK { plain + BLOCK } else { 0 };
        if plain == LONG {
            taken = long_plain_end(rest, BLOCK);
            out.extend_from_slice(rest.get(BLOCK..taken).unwrap_or_default());
        }
        rest = rest.get(taken..).unwrap_or_default();
    }
    while !rest.is_empty() {
        let mut block = [0; BLOCK];
        for (to, from) in block.iter_mut().zip(rest) {
            *to = *from;
        }
        let taken = append_block(out, &block, rest.len());
        rest = rest.get(taken..).unwrap_or_default();
    }
}

/// Appends the block's first `length` bytes up to and with the first that needs an escape; returns how many.
#[inline]
fn append_block(out: &mut Vec<u8>, block: &[u8; BLOCK], length: usize) -> usize {
    let plain = plain_prefix(block).min(length);
    out.extend_from_slice(block);
    out.truncate(out.len() - (BLOCK - plain));
    if plain == length {
        return length;
    }
    match block.get(plain).copied().unwrap_or_default() {
        short @ (b'"' | b'\\') => out.extend_from_slice(&[b'\\', short]),
        control => append_control(out, control),
    }
    plain + 1
}

/// A control character, as `JSON.stringify` writes it.
#[cold]
fn append_control(out: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        0x08 => b'b',
        0x09 => b't',
        0x0a => b'n',
        0x0c => b'f',
        0x0d => b'r',
        _ => {
            // Writing into a vector cannot fail.
            let _ = write!(out, "\\u{byte:04x}");
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

fn append_unsigned(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Whole numbers up to here are exact in a double and are written without an exponent.
const MAX_SAFE_INTEGER: f64 = 9_007_199_254_740_991.0;

fn append_float(out: &mut Vec<u8>, number: f64) {
    if !number.is_finite() {
        out.extend_from_slice(b"null");
    } else if number.fract() == 0.0 && number.abs() <= MAX_SAFE_INTEGER {
        if number < 0.0 {
            out.push(b'-');
        }
        append_unsigned(out, number.abs() as u64);
    } else if number.abs() >= 1e21 || number.abs() < 1e-6 {
        // Writing into a vector cannot fail.
        let _ = write!(out, "{number:e}");
    } else {
        let _ = write!(out, "{number}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        let mut json = JsonText::default();
        json.string(text);
        json.into_string()
    }

    #[test]
    fn strings_are_escaped_as_javascript_does() {
        for text in [
            "",
            "plain",
            "\"",
            "\\",
            "a\"b\\c",
            "\u{0}\u{1}\u{1f}\u{8}\t\n\u{c}\r",
            "\u{7f}",
            "ünï 🌍 \u{2028}\u{2029}",
            "12345678\"",
            "1234567\"",
            "\"12345678",
            "é\"é\"é\"é\"é\"",
            "\u{1}\u{ff}\u{1}",
            "!!!!!!!!\"#!!!!!!!\u{1f} ",
        ] {
            assert_eq!(
                written(text),
                serde_json::to_string(text).unwrap(),
                "{text:?}"
            );
        }
    }

    #[test]
    fn every_byte_at_every_place_of_a_word_is_found() {
        for place in 0..17 {
            for code in 0_u8..128 {
                let mut text = "x".repeat(17);
                text.replace_range(place..=place, &char::from(code).to_string());
                assert_eq!(
                    written(&text),
                    serde_json::to_string(&text).unwrap(),
                    "{code} at {place}"
                );
            }
        }
    }

    #[test]
    fn numbers_are_written_as_javascript_does() {
        let float = |number| {
            let mut json = JsonText::default();
            json.float(number);
            json.into_string()
        };
        for (number, expected) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-3.0, "-3"),
            (0.92, "0.92"),
            (42.5, "42.5"),
            (1_234_567_890_123.0, "1234567890123"),
            (9_007_199_254_740_991.0, "9007199254740991"),
            (2.67e-5, "0.0000267"),
            (1e-7, "1e-7"),
            (f64::NAN, "null"),
            (f64::INFINITY, "null"),
            (1e20, "100000000000000000000"),
            (1e21, "1e21"),
        ] {
            assert_eq!(float(number), expected);
            if number.is_finite() {
                assert_eq!(float(number).parse::<f64>().unwrap(), number);
            }
        }
        let mut json = JsonText::default();
        json.signed(i64::MIN).raw(" ").unsigned(u64::MAX);
        assert_eq!(json.as_str(), "-9223372036854775808 18446744073709551615");
    }

    #[test]
    fn objects_take_spliced_members() {
        let mut json = JsonText::default();
        let mut object = json.object();
        object
            .string("a", "x")
            .string_if("b", None)
            .raw("c", "{\"d\": 1.0}")
            .members("{\"e\":[1,2] , \"f\":null}");
        object.end();
        assert_eq!(
            json.as_str(),
            r#"{"a":"x","c":{"d": 1.0},"e":[1,2],"f":null}"#
        );
    }
}
