//! Reads the syntax of JSON text (RFC 8259) once, strictly, without building anything: members and elements come out as
//! slices of the text. Written for this because every event passes here twice: it takes a fraction of the time of the
//! general parser's raw values, and it counts the nesting on the way. Iterative, so that no text can exhaust the stack.
//! Checked against `serde_json` by the tests below. Called by `decode::scan`.

use std::borrow::Cow;
use std::ops::Range;

use super::fields::{FieldError, as_text, excerpt};
use super::marks::Marks;
use super::records::Text;

/// Text that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    /// Where, in bytes.
    pub(super) at: usize,
    /// What should be there.
    pub(super) wanted: &'static str,
    /// The member that nests too deep, when that is the fault.
    pub(super) too_deep_in: Option<String>,
}

impl Malformed {
    #[cold]
    fn new(at: usize, wanted: &'static str) -> Box<Self> {
        Box::new(Self {
            at,
            wanted,
            too_deep_in: None,
        })
    }

    /// The same as an error of the whole text.
    pub(super) fn of(self, text: &str) -> FieldError {
        let mut from = self.at.saturating_sub(20);
        while !text.is_char_boundary(from) {
            from -= 1;
        }
        let near = text.get(from..).unwrap_or_default();
        let reason = match self.too_deep_in {
            Some(_) => self.wanted.to_owned(),
            None if self.at == 0 => "must be a JSON object".to_owned(),
            None => format!(
                "must be a JSON object: {} is missing at byte {}",
                self.wanted, self.at
            ),
        };
        FieldError {
            field: self.too_deep_in.unwrap_or_default(),
            value: if near.is_empty() {
                "nothing".to_owned()
            } else {
                excerpt(near)
            },
            reason,
        }
    }
}

type Step = Result<usize, Box<Malformed>>;

/// How deep a value may nest for [`object`] and [`array`]: what fits the stack of bits below.
pub(crate) const MAX_VALUE_DEPTH: u32 = u128::BITS;

/// Hands out the members of the object at the front of `text`, white space before it included, and returns its length.
/// `max_depth` is how deep a member may nest.
pub(crate) fn object<'a>(
    text: &'a str,
    max_depth: u32,
    mut take: impl FnMut(Text<'a>, &'a str),
) -> Step {
    let mut marks = Marks::new(text);
    let bytes = text.as_bytes();
    let mut at = space(bytes, 0);
    if byte(bytes, at) != Some(b'{') {
        return Err(Malformed::new(0, "`{`"));
    }
    at = space(bytes, at + 1);
    if byte(bytes, at) == Some(b'}') {
        return Ok(at + 1);
    }
    loop {
        let (key, key_end) = member_key(text, &mut marks, at)?;
        at = space(bytes, key_end);
        if byte(bytes, at) != Some(b':') {
            return Err(Malformed::new(at, "`:`"));
        }
        let start = space(bytes, at + 1);
        let end = value(&mut marks, start, max_depth).map_err(|mut error| {
            if error.too_deep_in.is_some() {
                error.too_deep_in = Some(key.clone().into_owned());
            }
            error
        })?;
        take(key, text.get(start..end).unwrap_or_default());
        at = space(bytes, end);
        match byte(bytes, at) {
            Some(b',') => at = space(bytes, at + 1),
            Some(b'}') => return Ok(at + 1),
            _ => return Err(Malformed::new(at, "`,` or `}`")),
        }
    }
}

/// Whether the text is one JSON value, with white space around it at most.
pub(super) fn is_value(text: &str) -> bool {
    let bytes = text.as_bytes();
    let end = value(&mut Marks::new(text), space(bytes, 0), MAX_VALUE_DEPTH);
    end.is_ok_and(|end| space(bytes, end) == bytes.len())
}

/// The end of the value that starts at `at` in text that has been checked.
pub(crate) fn value_end(text: &str, at: usize) -> Option<usize> {
    value(&mut Marks::new(text), at, MAX_VALUE_DEPTH).ok()
}

/// The strings of a text that has been checked, keys too, in its order: where they start and end, quotes included.
pub(crate) fn strings(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let (mut marks, mut at) = (Marks::new(text), 0);
    std::iter::from_fn(move || {
        let rest = text.get(at..)?;
        let start = at + rest.find('"')?;
        let end = string(&mut marks, start).ok()?;
        at = end;
        Some(start..end)
    })
}

/// The key that starts here, escapes resolved, and where it ends.
#[inline]
fn member_key<'a>(
    text: &'a str,
    marks: &mut Marks<'a>,
    at: usize,
) -> Result<(Text<'a>, usize), Box<Malformed>> {
    let bytes = text.as_bytes();
    if byte(bytes, at) == Some(b'"') {
        let end = marks.plain_end(at + 1);
        if byte(bytes, end) == Some(b'"') {
            let inside = text.get(at + 1..end).unwrap_or_default();
            return Ok((Cow::Borrowed(inside), end + 1));
        }
    }
    let end = string(marks, at)?;
    let key = text.get(at..end).and_then(as_text).unwrap_or_default();
    Ok((key, end))
}

/// Hands out the elements of the array at the front of `text` and returns its length.
pub(super) fn array<'a>(text: &'a str, max_depth: u32, mut take: impl FnMut(&'a str)) -> Step {
    let mut marks = Marks::new(text);
    let bytes = text.as_bytes();
    let mut at = space(bytes, 0);
    if byte(bytes, at) != Some(b'[') {
        return Err(Malformed::new(0, "`[`"));
    }
    at = space(bytes, at + 1);
    if byte(bytes, at) == Some(b']') {
        return Ok(at + 1);
    }
    loop {
        let end = value(&mut marks, at, max_depth)?;
        take(text.get(at..end).unwrap_or_default());
        at = space(bytes, end);
        match byte(bytes, at) {
            Some(b',') => at = space(bytes, at + 1),
            Some(b']') => return Ok(at + 1),
            _ => return Err(Malformed::new(at, "`,` or `]`")),
        }
    }
}

#[inline]
fn byte(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}

/// The end of the white space that starts here.
#[inline]
fn space(bytes: &[u8], at: usize) -> usize {
    // Most texts have none.
    match byte(bytes, at) {
        Some(b'!'..) => at,
        _ => all_space(bytes, at),
    }
}

#[cold]
fn all_space(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = byte(bytes, at) {
        at += 1;
    }
    at
}

/// The end of the value that starts here.
#[inline]
fn value(marks: &mut Marks<'_>, at: usize, max_depth: u32) -> Step {
    match byte(marks.bytes(), at) {
        Some(b'"') => string(marks, at),
        Some(b'{' | b'[') => container(marks, at, max_depth),
        _ => scalar(marks.bytes(), at),
    }
}

/// A number, `true`, `false` or `null`.
fn scalar(bytes: &[u8], at: usize) -> Step {
    let word: &[u8] = match byte(bytes, at) {
        Some(b'-' | b'0'..=b'9') => return number(bytes, at),
        Some(b't') => b"true",
        Some(b'f') => b"false",
        Some(b'n') => b"null",
        _ => return Err(Malformed::new(at, "a value")),
    };
    let end = at + word.len();
    if bytes.get(at..end) == Some(word) {
        Ok(end)
    } else {
        Err(Malformed::new(at, "a value"))
    }
}

fn number(bytes: &[u8], mut at: usize) -> Step {
    if byte(bytes, at) == Some(b'-') {
        at += 1;
    }
    at = match byte(bytes, at) {
        Some(b'0') => at + 1,
        _ => digits(bytes, at)?,
    };
    if byte(bytes, at) == Some(b'.') {
        at = digits(bytes, at + 1)?;
    }
    if let Some(b'e' | b'E') = byte(bytes, at) {
        at += 1;
        if let Some(b'+' | b'-') = byte(bytes, at) {
            at += 1;
        }
        at = digits(bytes, at)?;
    }
    Ok(at)
}

/// At least one digit.
fn digits(bytes: &[u8], mut at: usize) -> Step {
    let start = at;
    while byte(bytes, at).is_some_and(|digit| digit.is_ascii_digit()) {
        at += 1;
    }
    if at > start {
        Ok(at)
    } else {
        Err(Malformed::new(at, "a digit"))
    }
}

/// An array or an object. What encloses the current place is a stack of bits: 1 for an object.
fn container(marks: &mut Marks<'_>, mut at: usize, max_depth: u32) -> Step {
    let bytes = marks.bytes();
    let (mut stack, mut depth) = (0_u128, 0_u32);
    loop {
        // At the start of a value.
        match byte(bytes, at) {
            Some(open @ (b'{' | b'[')) => {
                if depth >= max_depth.min(MAX_VALUE_DEPTH) {
                    let wanted = "must nest so that the record has at most 128 levels";
                    let mut error = Malformed::new(at, wanted);
                    error.too_deep_in = Some(String::new());
                    return Err(error);
                }
                depth += 1;
                stack = stack << 1 | u128::from(open == b'{');
                at = space(bytes, at + 1);
                if byte(bytes, at) != Some(open + 2) {
                    at = if open == b'{' { key(marks, at)? } else { at };
                    continue;
                }
                at += 1;
                depth -= 1;
                stack >>= 1;
            }
            Some(b'"') => at = string(marks, at)?,
            _ => at = scalar(bytes, at)?,
        }
        // After a value: close what ends here, then go on to the next value.
        loop {
            if depth == 0 {
                return Ok(at);
            }
            at = space(bytes, at);
            let in_object = stack & 1 == 1;
            match byte(bytes, at) {
                Some(b',') => {
                    at = space(bytes, at + 1);
                    if in_object {
                        at = key(marks, at)?;
                    }
                    break;
                }
                Some(b'}') if in_object => {}
                Some(b']') if !in_object => {}
                _ => {
                    return Err(Malformed::new(
                        at,
                        if in_object {
                            "`,` or `}`"
                        } else {
                            "`,` or `]`"
                        },
                    ));
                }
            }
            at += 1;
            depth -= 1;
            stack >>= 1;
        }
    }
}

/// A key and its colon; returns where the value starts.
#[inline]
fn key(marks: &mut Marks<'_>, at: usize) -> Step {
    let bytes = marks.bytes();
    let end = string(marks, at)?;
    let colon = space(bytes, end);
    if byte(bytes, colon) == Some(b':') {
        Ok(space(bytes, colon + 1))
    } else {
        Err(Malformed::new(colon, "`:`"))
    }
}

/// The end of the string that starts here.
#[inline]
fn string(marks: &mut Marks<'_>, at: usize) -> Step {
    let bytes = marks.bytes();
    if byte(bytes, at) != Some(b'"') {
        return Err(Malformed::new(at, "`\"`"));
    }
    let mut at = marks.plain_end(at + 1);
    loop {
        at = match byte(bytes, at) {
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => marks.plain_end(escape(bytes, at)?),
            Some(_) => return Err(Malformed::new(at, "an escape of the control character")),
            None => return Err(Malformed::new(at, "`\"`")),
        };
    }
}

/// Whether what stands between the quotes of a checked string means itself: it has no escapes.
#[inline]
pub(super) fn is_plain(inside: &str) -> bool {
    memchr::memchr(b'\\', inside.as_bytes()).is_none()
}

fn escape(bytes: &[u8], at: usize) -> Step {
    match byte(bytes, at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => match bytes.get(at + 2..at + 6) {
            Some(code) if code.iter().all(u8::is_ascii_hexdigit) => Ok(at + 6),
            _ => Err(Malformed::new(at, "an escape of four hex digits")),
        },
        _ => Err(Malformed::new(at, "a known escape")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    fn is_object(text: &str) -> bool {
        let is_object = object(text, MAX_VALUE_DEPTH, |_, _| {})
            .is_ok_and(|length| space(text.as_bytes(), length) == text.len());
        assert!(!is_object || is_value(text), "{text}");
        is_object
    }

    fn is_object_for_the_general_parser(text: &str) -> bool {
        text.trim_ascii_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok()
    }

    #[test]
    fn members_come_out_as_they_stand() {
        let mut found = Vec::new();
        let text = " {\"a\" : 1.50 ,\"b\\u0041\":{ \"x\":[ ] } , \"\":\"\\\"}\"} rest";
        let length = object(text, 9, |key, raw| found.push((key.into_owned(), raw))).unwrap();
        assert_eq!(&text[length..], " rest");
        assert_eq!(
            found,
            [
                ("a".into(), "1.50"),
                ("bA".into(), "{ \"x\":[ ] }"),
                (String::new(), "\"\\\"}\"")
            ]
        );
        let mut found = Vec::new();
        assert_eq!(array("[1, [2,3] ,\"]\"]", 9, |raw| found.push(raw)), Ok(15));
        assert_eq!(found, ["1", "[2,3]", "\"]\""]);
    }

    #[test]
    fn depth_is_limited_exactly_and_without_recursion() {
        let nested =
            |levels: usize| format!("{{\"k\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(object(&nested(5), 5, |_, _| {}).is_ok());
        assert_eq!(
            object(&nested(6), 5, |_, _| {})
                .unwrap_err()
                .too_deep_in
                .as_deref(),
            Some("k")
        );
        assert!(object(&nested(128), u32::MAX, |_, _| {}).is_ok());
        assert!(object(&nested(129), u32::MAX, |_, _| {}).is_err());
        assert!(object(&nested(1_000_000), u32::MAX, |_, _| {}).is_err());
    }

    #[test]
    fn errors_say_where_and_what() {
        for (text, at, wanted) in [
            ("{\"a\":tru}", 5, "a value"),
            ("{\"a\":01}", 6, "`,` or `}`"),
            ("{\"a\":1.}", 7, "a digit"),
            ("{\"a\" 1}", 5, "`:`"),
            ("{\"a\":1,}", 7, "`\"`"),
            ("{\"a\":[1}", 7, "`,` or `]`"),
            ("{\"a\":\"\u{1}\"}", 6, "an escape of the control character"),
            ("{\"a\":\"\\x\"}", 6, "a known escape"),
            ("{\"a\":\"\\u12\"}", 6, "an escape of four hex digits"),
            ("{\"a\":\"", 6, "`\"`"),
            ("[]", 0, "`{`"),
        ] {
            assert_eq!(
                object(text, 9, |_, _| {}),
                Err(Malformed::new(at, wanted)),
                "{text}"
            );
            assert!(
                Malformed::new(at, wanted)
                    .of(text)
                    .reason
                    .starts_with("must be a JSON object")
            );
        }
    }

    /// Nearly JSON: what goes wrong is more telling than random bytes.
    fn almost_json() -> impl Strategy<Value = String> {
        let token = prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"a\"",
            "\"\"",
            "\"\\n\\u00e9\"",
            "\"\\ud83d\"",
            "\"\\u12g4\"",
            "\"\\x\"",
            "\"é😀 long enough for words\"",
            "\"unfinished",
            "\"tab\t\"",
            "0",
            "-0",
            "01",
            "-",
            "1.5",
            "1.",
            ".5",
            "1e5",
            "1E+5",
            "1e",
            "true",
            "tru",
            "false",
            "null",
            "nul",
            " ",
            "\n",
            "\u{0}",
            "\u{a0}",
            "x",
            "\\",
            "\"12345678\"",
            "\"1234567\\\\\"",
            "{\"k\":1}",
            "[1,2]",
            "{\"k\":{\"l\":[{}]}}",
        ]);
        prop::collection::vec(token, 0..12)
            .prop_map(|tokens| format!("{{\"k\":{}}}", tokens.concat()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn agrees_with_the_general_parser_on_almost_json(text in almost_json()) {
            prop_assert_eq!(is_object(&text), is_object_for_the_general_parser(&text), "{}", text);
        }

        #[test]
        fn agrees_with_the_general_parser_on_any_text(text in "\\{\"\\PC{0,3}\":\\PC{0,30}\\}") {
            prop_assert_eq!(is_object(&text), is_object_for_the_general_parser(&text), "{}", text);
        }

        #[test]
        fn strings_end_where_they_end(text in any::<String>(), padding in 0_usize..9) {
            let quoted = serde_json::to_string(&text).unwrap();
            let body = format!("{}{quoted}tail", " ".repeat(padding));
            prop_assert_eq!(string(&mut Marks::new(&body), padding).unwrap(), padding + quoted.len());
        }

        #[test]
        fn any_bytes_in_a_string_are_judged_alike(inner in prop::collection::vec(0_u8..128, 0..40)) {
            let text = format!("{{\"k\":\"{}\"}}", String::from_utf8(inner).unwrap());
            prop_assert_eq!(is_object(&text), is_object_for_the_general_parser(&text), "{}", text);
        }
    }
}
