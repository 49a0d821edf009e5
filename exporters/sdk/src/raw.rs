//! Reads JSON text that the host has already checked, without building anything: members of an object and elements of an
//! array as slices of the text. On text that is not JSON the functions end early; they never panic and never recurse.
//! Its counterpart is [`crate::json`].
//!
//! ```
//! use mastra_exporter_sdk::raw::{elements, member, text};
//!
//! let input = r#"[{"role":"user","content":"line\nfeed"}]"#;
//! let message = elements(input).next().unwrap();
//! assert_eq!(member(message, "content").and_then(text).as_deref(), Some("line\nfeed"));
//! ```

use std::borrow::Cow;

use crate::blocks::plain_end;

/// What a JSON value is, by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the six kinds of JSON values, by name")]
pub enum Kind {
    Null,
    Boolean,
    Number,
    Text,
    Array,
    Object,
}

/// The kind of a value. Text that is no JSON counts as a number.
#[must_use]
pub fn kind(json: &str) -> Kind {
    match json.trim_ascii_start().as_bytes().first() {
        Some(b'"') => Kind::Text,
        Some(b'{') => Kind::Object,
        Some(b'[') => Kind::Array,
        Some(b't' | b'f') => Kind::Boolean,
        Some(b'n') => Kind::Null,
        _ => Kind::Number,
    }
}

/// Members of an object: the key as it stands between its quotes (escapes not resolved), and the value's text. Nothing
/// when the value is not an object.
#[must_use]
pub fn members(object: &str) -> Members<'_> {
    Members {
        cursor: Cursor::inside(object, b'{'),
    }
}

/// Elements of an array. Nothing when the value is not an array.
#[must_use]
pub fn elements(array: &str) -> Elements<'_> {
    Elements {
        cursor: Cursor::inside(array, b'['),
    }
}

/// The value of the last member with this key (plain ASCII).
#[must_use]
pub fn member<'a>(object: &'a str, key: &str) -> Option<&'a str> {
    members(object)
        .filter(|(name, _)| *name == key)
        .last()
        .map(|(_, value)| value)
}

/// What stands between the quotes of a string, escapes not resolved. `None` for other values.
#[must_use]
pub fn inside_quotes(json: &str) -> Option<&str> {
    json.strip_prefix('"')?.strip_suffix('"')
}

/// The text of a string. `None` for other values. Lone surrogates become U+FFFD.
#[must_use]
pub fn text(json: &str) -> Option<Cow<'_, str>> {
    inside_quotes(json).map(unescape)
}

/// Resolves the escapes of what stands between a string's quotes. Lone surrogates become U+FFFD.
#[must_use]
pub fn unescape(inside: &str) -> Cow<'_, str> {
    let mut rest = inside;
    if split_at_escape(rest).is_none() {
        return Cow::Borrowed(inside);
    }
    let mut plain = String::with_capacity(inside.len());
    while let Some((before, after)) = split_at_escape(rest) {
        plain.push_str(before);
        let mut characters = after.chars();
        match characters.next() {
            Some('n') => plain.push('\n'),
            Some('t') => plain.push('\t'),
            Some('r') => plain.push('\r'),
            Some('b') => plain.push('\u{8}'),
            Some('f') => plain.push('\u{c}'),
            Some('u') => {
                let (character, remaining) = code_point(characters.as_str());
                plain.push(character);
                rest = remaining;
                continue;
            }
            Some(other) => plain.push(other),
            None => {}
        }
        rest = characters.as_str();
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

/// What stands before the first backslash, and after it.
fn split_at_escape(text: &str) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    let mut at = plain_end(bytes, 0);
    // What else is marked does not stand in a string of checked text.
    while *bytes.get(at)? != b'\\' {
        at = plain_end(bytes, at + 1);
    }
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// The character of `XXXX` or `XXXX\uXXXX`, and what follows.
fn code_point(after_u: &str) -> (char, &str) {
    let Some((first, rest)) = hex_unit(after_u) else {
        return (char::REPLACEMENT_CHARACTER, after_u);
    };
    if let Some(character) = char::from_u32(first) {
        return (character, rest);
    }
    let second = rest.strip_prefix("\\u").and_then(hex_unit);
    match second {
        Some((low, rest)) if first < 0xdc00 && (0xdc00..0xe000).contains(&low) => {
            let combined = 0x1_0000 + ((first - 0xd800) << 10) + (low - 0xdc00);
            (
                char::from_u32(combined).unwrap_or(char::REPLACEMENT_CHARACTER),
                rest,
            )
        }
        _ => (char::REPLACEMENT_CHARACTER, rest),
    }
}

fn hex_unit(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    Some((u32::from_str_radix(digits, 16).ok()?, rest))
}

/// Iterator of [`members`].
#[derive(Clone, Debug)]
pub struct Members<'a> {
    cursor: Cursor<'a>,
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a str, &'a str);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let key = inside_quotes(self.cursor.value()?)?;
        self.cursor.skip_colon()?;
        Some((key, self.cursor.value()?))
    }
}

/// Iterator of [`elements`].
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    cursor: Cursor<'a>,
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.cursor.value()
    }
}

#[derive(Clone, Debug)]
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    /// After the opening bracket; at the end when there is another value.
    fn inside(text: &'a str, open: u8) -> Self {
        let mut cursor = Self { text, at: 0 };
        cursor.skip_space();
        if cursor.peek() == Some(open) {
            cursor.at += 1;
        } else {
            cursor.at = text.len();
        }
        cursor
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn skip_colon(&mut self) -> Option<()> {
        self.skip_space();
        (self.peek() == Some(b':')).then(|| self.at += 1)
    }

    /// The next value, after an optional comma. `None` at a closing bracket or the end.
    #[inline]
    fn value(&mut self) -> Option<&'a str> {
        self.skip_space();
        if self.peek() == Some(b',') {
            self.at += 1;
            self.skip_space();
        }
        let start = self.at;
        match self.peek()? {
            b'"' => self.skip_string(),
            b'{' | b'[' => self.skip_nested(),
            b'}' | b']' | b':' => return None,
            _ => self.skip_scalar(),
        }
        self.text.get(start..self.at)
    }

    /// From the opening quote to after the closing one.
    #[inline]
    fn skip_string(&mut self) {
        self.at += 1;
        let bytes = self.text.as_bytes();
        loop {
            self.at = plain_end(bytes, self.at);
            match bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return;
                }
                Some(b'\\') => self.at += 2,
                Some(_) => self.at += 1,
                None => {
                    self.at = bytes.len();
                    return;
                }
            }
        }
    }

    /// From the opening bracket to after the one that closes it.
    fn skip_nested(&mut self) {
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => {
                    self.skip_string();
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => {
                    depth -= 1;
                    if depth == 0 {
                        self.at += 1;
                        return;
                    }
                }
                _ => {}
            }
            self.at += 1;
        }
    }

    fn skip_scalar(&mut self) {
        while let Some(byte) = self.peek() {
            if matches!(
                byte,
                b',' | b'}' | b']' | b':' | b' ' | b'\n' | b'\r' | b'\t'
            ) {
                return;
            }
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_cut_without_being_parsed() {
        let text = r#" { "a" : 1.0 ,"b\"c":"x\\\"y}","d":{"e":[1,{"f":"]"}]},"g":[],"h":null,"i":true,"🌍":"é"} "#;
        let found: Vec<_> = members(text).collect();
        let expected = [
            ("a", "1.0"),
            ("b\\\"c", r#""x\\\"y}""#),
            ("d", r#"{"e":[1,{"f":"]"}]}"#),
            ("g", "[]"),
            ("h", "null"),
            ("i", "true"),
            ("🌍", "\"é\""),
        ];
        assert_eq!(found, expected);
        assert_eq!(member(text, "h"), Some("null"));
        assert_eq!(member(text, "z"), None);
        assert_eq!(member(r#"{"a":1,"a":2}"#, "a"), Some("2"));
    }

    #[test]
    fn elements_are_cut_without_being_parsed() {
        let found: Vec<_> = elements(r#"[1, "a,b" ,[2,3],{"c":4}]"#).collect();
        assert_eq!(found, ["1", "\"a,b\"", "[2,3]", r#"{"c":4}"#]);
        assert_eq!(
            elements("{}").count()
                + elements("[]").count()
                + members("[1]").count()
                + members("null").count(),
            0
        );
    }

    #[test]
    fn strings_end_where_they_end_wherever_their_escapes_are() {
        for place in 0..40 {
            for special in ["\"", "\\", "\n", "\u{1}", "é"] {
                let mut text = "x".repeat(40);
                text.insert_str(place, special);
                let json = serde_json::to_string(&[text.as_str(), "next"]).unwrap();
                let found: Vec<_> = elements(&json)
                    .map(|value| self::text(value).unwrap())
                    .collect();
                assert_eq!(found, [text.as_str(), "next"]);
            }
        }
    }

    #[test]
    fn text_that_is_not_json_ends_early() {
        for broken in [
            "",
            "{",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":\"",
            "{\"a\":\"\\",
            "{\"a\":[",
            "[",
            "[1",
            "[\"",
            "{]",
            "{:}",
            "}",
        ] {
            assert!(members(broken).count() <= 1, "{broken}");
            assert!(elements(broken).count() <= 1, "{broken}");
        }
    }

    #[test]
    fn escapes_are_resolved() {
        for literal in [
            r#""""#,
            r#""a\"b\\\/\b\f\n\r\té""#,
            r#""😀x""#,
            r#""é\u2028""#,
        ] {
            assert_eq!(
                text(literal).unwrap(),
                serde_json::from_str::<String>(literal).unwrap()
            );
        }
        assert_eq!(text(r#""a\ud800b""#).unwrap(), "a\u{fffd}b");
        assert_eq!(text(r#""\ud800\u0041""#).unwrap(), "\u{fffd}A");
        assert_eq!(text(r#""\udc00\udc00""#).unwrap(), "\u{fffd}\u{fffd}");
        assert_eq!(text(r#""\u12""#).unwrap(), "\u{fffd}12");
        assert_eq!(text("1"), None);
    }
}
