//! Cuts long texts of a record, and says how much was cut.

use super::edit::{Edit, apply};
use super::is_identity;
use crate::event::json;

/// The record's text with no string value of more than `max_bytes` of UTF-8, a mark not counted; `None` if there is none.
/// Keys, and ids of spans and traces, stay whole. Nothing is cut within a character.
pub(super) fn truncate(text: &str, max_bytes: usize) -> Option<String> {
    if text.len() <= max_bytes {
        return None;
    }
    let mut edits = Vec::new();
    json::object(text, json::MAX_VALUE_DEPTH, |key, raw| {
        if raw.len() <= max_bytes || is_identity(&key) {
            return;
        }
        let Some(start) = super::edit::range_in(text, raw).map(|range| range.start) else {
            return;
        };
        for string in json::strings(raw) {
            // What is written in fewer bytes has no more.
            if string.len() <= max_bytes || is_key(raw, string.end) {
                continue;
            }
            let inner = raw
                .get(string.start + 1..string.end - 1)
                .unwrap_or_default();
            let Some((at, cut)) = place(inner, max_bytes) else {
                continue;
            };
            let inner_start = start + string.start + 1;
            edits.push(Edit {
                range: inner_start + at..inner_start + inner.len(),
                text: format!("[truncated {cut} bytes]").into(),
            });
        }
    })
    .ok()?;
    apply(text, edits)
}

fn is_key(text: &str, end: usize) -> bool {
    let rest = text.get(end..).unwrap_or_default();
    rest.trim_ascii_start().starts_with(':')
}

/// Where to cut the inside of a JSON string, and how many bytes of UTF-8 are cut then; `None` if it is short enough.
fn place(inner: &str, max_bytes: usize) -> Option<(usize, usize)> {
    let (mut kept, mut total, mut cut_at) = (0, 0, None);
    let mut at = 0;
    while let Some((written, bytes)) = unit(inner, at) {
        if total + bytes > max_bytes && cut_at.is_none() {
            cut_at = Some(at);
            kept = total;
        }
        total += bytes;
        at += written;
    }
    cut_at.map(|at| (at, total - kept))
}

/// The character at `at`: how many bytes it is written in, and how many it has in UTF-8.
fn unit(inner: &str, at: usize) -> Option<(usize, usize)> {
    let rest = inner.get(at..)?;
    let first = rest.chars().next()?;
    if first != '\\' {
        return Some((first.len_utf8(), first.len_utf8()));
    }
    let Some(unit) = code_unit(rest) else {
        return Some((2, 1));
    };
    let pair = matches!(unit, 0xd800..=0xdbff)
        .then(|| code_unit(rest.get(6..)?))
        .flatten();
    match pair {
        Some(0xdc00..=0xdfff) => Some((12, 4)),
        // Half a pair is read as U+FFFD, which has as many bytes.
        _ => Some((6, char::from_u32(unit).map_or(3, char::len_utf8))),
    }
}

/// Of `\uXXXX` at the front.
fn code_unit(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    u32::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn cut(record: &Value, max_bytes: usize) -> Option<Value> {
        let text = truncate(&record.to_string(), max_bytes)?;
        Some(serde_json::from_str(&text).expect("it is JSON"))
    }

    #[test]
    fn long_values_are_cut_and_say_by_how_much() {
        let record = json!({"id": "1234567890abcdef", "input": {"a very long key of it": ["12345678901", "short"]}});
        let wanted = json!({"id": "1234567890abcdef", "input": {"a very long key of it": ["1234567890[truncated 1 bytes]", "short"]}});
        assert_eq!(cut(&record, 10), Some(wanted));
        assert_eq!(cut(&record, 16), None);
    }

    #[test]
    fn escapes_count_for_what_they_mean_and_are_not_cut() {
        let text = r#"{"input":"\ud83d\ude00\ud83d\ude00\n\u00e9x"}"#;
        let inner = [
            (4, r"\ud83d\ude00[truncated 8 bytes]"),
            (7, r"\ud83d\ude00[truncated 8 bytes]"),
            (8, r"\ud83d\ude00\ud83d\ude00[truncated 4 bytes]"),
            (10, r"\ud83d\ude00\ud83d\ude00\n[truncated 3 bytes]"),
            (11, r"\ud83d\ude00\ud83d\ude00\n\u00e9[truncated 1 bytes]"),
        ];
        for (max_bytes, inner) in inner {
            let wanted = format!(r#"{{"input":"{inner}"}}"#);
            assert_eq!(truncate(text, max_bytes), Some(wanted), "{max_bytes}");
        }
        assert_eq!(truncate(text, 12), None);
    }

    proptest! {
        #[test]
        fn what_is_kept_is_the_longest_front_that_fits(value in any::<String>(), max_bytes in 0_usize..40) {
            let record = json!({"input": [value], "output": 1});
            let cut = cut(&record, max_bytes);
            if value.len() <= max_bytes {
                prop_assert_eq!(cut, None);
            } else {
                let mut kept = max_bytes;
                while !value.is_char_boundary(kept) {
                    kept -= 1;
                }
                let wanted = format!("{}[truncated {} bytes]", &value[..kept], value.len() - kept);
                prop_assert_eq!(cut, Some(json!({"input": [wanted], "output": 1})));
            }
        }
    }
}
