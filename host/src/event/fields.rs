//! What a single field may hold: text, ids, times, numbers, free-form JSON, each read from the field's JSON text. What
//! is wrong is said in a [`FieldError`], once, with the field's path, its value and what it should be. Called by
//! `decode`, whose module page says what counts as absent.
//!
//! All functions take JSON text that a parser has already passed: one value, no white space around it.

use std::borrow::Cow;

use super::escape::push_string;
use super::records::{Json, Text};
use super::{json, time};

/// How deep a record may nest, its own braces included. Deeper ones are refused: components parse free-form JSON with
/// recursive parsers, and 128 is the limit of the strictest common one.
pub const MAX_DEPTH: usize = 128;

/// Length of [`FieldError::value`], in characters.
pub const EXCERPT_CHARS: usize = 80;

/// A record cannot be taken because of this field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}, got {value}")]
pub struct FieldError {
    /// Path in the record: `startTime`, `labels.region`, `otel.links[2].spanId`; empty when it is the record itself.
    pub field: String,
    /// The JSON text found there, at most [`EXCERPT_CHARS`] characters; `nothing` when the field is missing.
    pub value: String,
    /// What it should be, so what to mend.
    pub reason: String,
}

impl FieldError {
    /// The field holds something else than it should.
    #[must_use]
    pub fn new(field: &str, raw: &str, reason: impl Into<String>) -> Self {
        Self {
            field: field.to_owned(),
            value: excerpt(raw),
            reason: reason.into(),
        }
    }

    /// A required field is absent or null.
    #[must_use]
    pub fn missing(field: &str) -> Self {
        Self {
            field: field.to_owned(),
            value: "nothing".to_owned(),
            reason: "is required".to_owned(),
        }
    }

    /// The same error seen from the object that holds `parent`.
    #[must_use]
    pub fn within(mut self, parent: &str) -> Self {
        if parent.is_empty() {
            return self;
        }
        if self.field.is_empty() {
            parent.clone_into(&mut self.field);
        } else if self.field.starts_with('[') {
            self.field.insert_str(0, parent);
        } else {
            self.field = format!("{parent}.{}", self.field);
        }
        self
    }
}

/// The first characters of a text, with an ellipsis when there are more; never more than [`EXCERPT_CHARS`].
#[must_use]
pub fn excerpt(text: &str) -> String {
    if text.chars().nth(EXCERPT_CHARS).is_none() {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(EXCERPT_CHARS - 1).collect();
    short.push('…');
    short
}

/// `null` counts as absent for every typed field.
pub(crate) fn present(raw: &str) -> Option<&str> {
    (raw != "null").then_some(raw)
}

/// The text of a JSON string; `None` when the value is not a string. Lone surrogates become U+FFFD.
pub(crate) fn as_text(raw: &str) -> Option<Text<'_>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if json::is_plain(inner) {
        return Some(Cow::Borrowed(inner));
    }
    if let Ok(text) = serde_json::from_str::<String>(raw) {
        return Some(Cow::Owned(text));
    }
    Some(Cow::Owned(unescape_lossy(inner)))
}

/// JavaScript strings may hold half a surrogate pair, which `JSON.stringify` writes as an escape that is no character.
fn unescape_lossy(inner: &str) -> String {
    let mut units: Vec<u16> = Vec::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(next) = rest.next() {
        if next != '\\' {
            units.extend(next.encode_utf16(&mut [0; 2]).iter());
            continue;
        }
        let unit = match rest.next() {
            Some('b') => 0x08,
            Some('f') => 0x0c,
            Some('n') => u16::from(b'\n'),
            Some('r') => u16::from(b'\r'),
            Some('t') => u16::from(b'\t'),
            Some('u') => {
                let digits = rest.as_str().get(..4).unwrap_or_default();
                rest = rest.as_str().get(4..).unwrap_or_default().chars();
                u16::from_str_radix(digits, 16).unwrap_or(0xFFFD)
            }
            Some(other) => u16::try_from(u32::from(other)).unwrap_or(0xFFFD),
            None => break,
        };
        units.push(unit);
    }
    String::from_utf16_lossy(&units)
}

/// A string, may be empty.
pub(crate) fn text<'a>(field: &str, raw: &'a str) -> Result<Option<Text<'a>>, FieldError> {
    match present(raw) {
        None => Ok(None),
        Some(raw) => as_text(raw)
            .map(Some)
            .ok_or_else(|| FieldError::new(field, raw, "must be a string")),
    }
}

/// The id of a log, metric, score or feedback, or a scorer's: any text but the empty one.
pub(super) fn name_id<'a>(field: &str, raw: &'a str) -> Result<Option<Text<'a>>, FieldError> {
    match text(field, raw)? {
        Some(id) if id.is_empty() => Err(FieldError::new(field, raw, "must not be empty")),
        id => Ok(id),
    }
}

/// A trace id, in lower case.
pub(super) fn trace_id<'a>(field: &str, raw: &'a str) -> Result<Option<Text<'a>>, FieldError> {
    hex_id(field, raw, 32)
}

/// A span id, in lower case.
pub(super) fn span_id<'a>(field: &str, raw: &'a str) -> Result<Option<Text<'a>>, FieldError> {
    hex_id(field, raw, 16)
}

fn hex_id<'a>(
    field: &str,
    raw: &'a str,
    max_digits: usize,
) -> Result<Option<Text<'a>>, FieldError> {
    let Some(raw) = present(raw) else {
        return Ok(None);
    };
    let refuse = || {
        FieldError::new(
            field,
            raw,
            format!("must be a string of 1 to {max_digits} hex digits, not all zero"),
        )
    };
    let id = as_text(raw).ok_or_else(refuse)?;
    // Without branches, so that the compiler looks at many digits at once.
    let (mut is_hex, mut has_upper, mut is_zero) = (true, false, true);
    for byte in id.bytes() {
        let is_upper = byte.wrapping_sub(b'A') < 6;
        is_hex &= byte.wrapping_sub(b'0') < 10 || byte.wrapping_sub(b'a') < 6 || is_upper;
        has_upper |= is_upper;
        is_zero &= byte == b'0';
    }
    if is_zero || !is_hex || id.len() > max_digits {
        return Err(refuse());
    }
    Ok(Some(if has_upper {
        Cow::Owned(id.to_ascii_lowercase())
    } else {
        id
    }))
}

/// An ISO-8601 time, as unix nanoseconds.
pub(super) fn time(field: &str, raw: &str) -> Result<Option<u64>, FieldError> {
    let Some(raw) = present(raw) else {
        return Ok(None);
    };
    as_text(raw).and_then(|text| time::parse(&text)).map(Some).ok_or_else(|| {
        FieldError::new(
            field,
            raw,
            "must be an ISO-8601 time with a zone, from 1970 to 2554, such as \"2026-03-04T05:06:07.000Z\"",
        )
    })
}

/// `true` or `false`.
pub(super) fn boolean(field: &str, raw: &str) -> Result<Option<bool>, FieldError> {
    match raw {
        "null" => Ok(None),
        "true" => Ok(Some(true)),
        "false" => Ok(Some(false)),
        _ => Err(FieldError::new(field, raw, "must be true or false")),
    }
}

/// A finite number. The nearest double, not the approximation of a fast parser.
pub(super) fn as_number(raw: &str) -> Option<f64> {
    let first = *raw.as_bytes().first()?;
    if first != b'-' && !first.is_ascii_digit() {
        return None;
    }
    raw.parse::<f64>().ok().filter(|number| number.is_finite())
}

/// A finite number.
pub(super) fn number(field: &str, raw: &str) -> Result<Option<f64>, FieldError> {
    match present(raw) {
        None => Ok(None),
        Some(raw) => as_number(raw)
            .map(Some)
            .ok_or_else(|| FieldError::new(field, raw, "must be a finite number")),
    }
}

/// A whole number that is not negative, however it is written (`12`, `12.0`, `1.2e1`).
pub(crate) fn as_count(raw: &str) -> Option<u64> {
    if let Ok(count) = raw.parse::<u64>() {
        return (!raw.starts_with('+')).then_some(count);
    }
    let number = as_number(raw)?;
    // 2^64: every whole double below it is a u64.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole, not negative and below 2^64"
    )]
    (number >= 0.0 && number.fract() == 0.0 && number < 18_446_744_073_709_551_616.0)
        .then_some(number as u64)
}

/// Free-form JSON that must be an object; `null` stays.
pub(super) fn object<'a>(field: &str, raw: &'a str) -> Result<Json<'a>, FieldError> {
    if raw.starts_with('{') || raw == "null" {
        Ok(Cow::Borrowed(raw))
    } else {
        Err(FieldError::new(field, raw, "must be a JSON object"))
    }
}

/// Collects what has no typed field, as the text of a JSON object, in the order of arrival.
#[derive(Debug, Default)]
pub(super) struct Extra {
    text: String,
}

impl Extra {
    /// Adds a member. `raw` is JSON text.
    pub(super) fn push(&mut self, key: &str, raw: &str) {
        self.text.push(if self.text.is_empty() { '{' } else { ',' });
        push_string(&mut self.text, key);
        self.text.push(':');
        self.text.push_str(raw);
    }

    /// The object; `None` when nothing was added.
    pub(super) fn finish<'a>(mut self) -> Option<Json<'a>> {
        if self.text.is_empty() {
            return None;
        }
        self.text.push('}');
        Some(Cow::Owned(self.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_with_escapes_is_unescaped_and_plain_text_is_borrowed() {
        assert!(matches!(
            as_text(r#""plain é""#),
            Some(Cow::Borrowed("plain é"))
        ));
        assert_eq!(as_text(r#""a\n\"b\"é😀\/""#).unwrap(), "a\n\"b\"é😀/");
        assert_eq!(as_text("5"), None);
        assert_eq!(as_text("\""), None);
    }

    #[test]
    fn lone_surrogates_become_replacement_characters() {
        assert_eq!(as_text(r#""x\ud83d""#).unwrap(), "x\u{FFFD}");
        assert_eq!(
            as_text(r#""\udc00 é\t\"\\\/\b\f\n\r😀""#).unwrap(),
            "\u{FFFD} é\t\"\\/\u{8}\u{c}\n\r😀"
        );
    }

    #[test]
    fn ids_are_hex_folded_and_never_zero() {
        assert_eq!(span_id("f", "\"00AbCd\"").unwrap().unwrap(), "00abcd");
        assert_eq!(span_id("f", "null").unwrap(), None);
        for bad in [
            "\"\"",
            "\"0\"",
            "\"0000000000000000\"",
            "\"12345678123456789\"",
            "\"xyz\"",
            "\"-1\"",
            "7",
            "{}",
        ] {
            assert!(span_id("f", bad).is_err(), "{bad}");
        }
        assert!(trace_id("f", "\"12345678123456789\"").is_ok());
        assert!(trace_id("f", &format!("\"{}\"", "1".repeat(33))).is_err());
    }

    #[test]
    fn numbers_are_exact_and_finite() {
        assert_eq!(number("f", "0.1").unwrap(), Some(0.1));
        assert_eq!(number("f", "-2.5e-3").unwrap(), Some(-0.0025));
        // A parser that is off by one unit in the last place gets this one wrong.
        assert_eq!(
            number("f", "122.416294033786585").unwrap(),
            "122.416294033786585".parse().ok()
        );
        for bad in ["1e999", "\"1\"", "true", "{}"] {
            assert!(number("f", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn counts_may_exceed_what_a_double_holds() {
        assert_eq!(as_count("1234567890123"), Some(1_234_567_890_123));
        assert_eq!(as_count("18446744073709551615"), Some(u64::MAX));
        assert_eq!(as_count("12.0"), Some(12));
        assert_eq!(as_count("1.2e1"), Some(12));
        for bad in ["-1", "1.5", "1e30", "\"5\"", "null"] {
            assert_eq!(as_count(bad), None, "{bad}");
        }
    }

    #[test]
    fn excerpts_are_short_and_cut_between_characters() {
        let long = "é".repeat(1000);
        assert_eq!(excerpt(&long).chars().count(), EXCERPT_CHARS);
        assert!(excerpt(&long).ends_with('…'));
        assert_eq!(excerpt("short"), "short");
    }

    #[test]
    fn extra_escapes_keys_and_keeps_order() {
        let mut extra = Extra::default();
        extra.push("b\"\n", "1");
        extra.push("a", "[null]");
        assert_eq!(extra.finish().unwrap(), r#"{"b\"\n":1,"a":[null]}"#);
        assert_eq!(Extra::default().finish(), None);
    }

    #[test]
    fn paths_are_joined() {
        let error = FieldError::missing("spanId")
            .within("[2]")
            .within("links")
            .within("otel");
        assert_eq!(error.field, "otel.links[2].spanId");
        assert_eq!(
            error.to_string(),
            "otel.links[2].spanId: is required, got nothing"
        );
    }
}
