//! Finds values by the words that their keys end with.

use std::ops::Range;

use memchr::memchr_iter;

use super::Found;
use crate::event::json;

/// Keys of credentials, in lower case without separators.
const BUILT_IN: [&str; 19] = [
    "authorization",
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "accesstoken",
    "refreshtoken",
    "authtoken",
    "bearertoken",
    "sessiontoken",
    "securitytoken",
    "apitoken",
    "idtoken",
    "credentials",
    "cookie",
];

/// Whose word it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Matched {
    BuiltIn,
    Own,
}

/// The words by their last letter, backwards.
#[derive(Debug)]
pub(super) struct Keys {
    /// By letter.
    by_last: Vec<Vec<(Vec<u8>, Matched)>>,
    /// By the last two bytes of a key, whether a word may end so: nearly every key is known to be none by that.
    endings: Vec<bool>,
}

impl Keys {
    pub(super) fn new(with_built_in: bool, own: &[String]) -> Self {
        let mut by_last = vec![Vec::new(); 256];
        let built_in = BUILT_IN.iter().filter(|_| with_built_in);
        let words = built_in.map(|word| ((*word).to_owned(), Matched::BuiltIn));
        let own = own.iter().map(|word| (normal(word), Matched::Own));
        for (word, matched) in words.chain(own) {
            let word: Vec<u8> = word.bytes().rev().collect();
            let Some(last) = word.first() else { continue };
            if let Some(words) = by_last.get_mut(usize::from(*last)) {
                words.push((word, matched));
            }
        }
        let endings = (0..=u16::MAX).map(u16::to_be_bytes);
        let endings = endings
            .map(|[before, last]| may_end(&by_last, before, last))
            .collect();
        Self { by_last, endings }
    }

    /// Adds the values under matching keys.
    pub(super) fn find(&self, text: &str, found: &mut Vec<Found>) {
        let bytes = text.as_bytes();
        for colon in memchr_iter(b':', bytes) {
            let Some(quote) = before_space(bytes, colon) else {
                continue;
            };
            if bytes.get(quote) != Some(&b'"') {
                continue;
            }
            let Some(matched) = self.matched(bytes, quote) else {
                continue;
            };
            let value = after_space(bytes, colon + 1);
            // A quote with one backslash is of JSON within a string.
            let backslashes = bytes.get(..quote).map_or(0, trailing_backslashes);
            let value = match backslashes {
                0 => quoted_value(text, value).map(|range| (range, true)),
                1 => inner_text(bytes, value).map(|range| (range, false)),
                _ => None,
            };
            found.extend(value.map(|(range, is_quoted)| Found::value(range, is_quoted, matched)));
        }
    }

    /// The word that the key before the quote ends with.
    fn matched(&self, bytes: &[u8], quote: usize) -> Option<Matched> {
        let key = bytes.get(..quote)?;
        let key = key.strip_suffix(b"\\").unwrap_or(key);
        if let [.., before, last] = key
            && let ending = u16::from_be_bytes([*before, *last])
            && self.endings.get(usize::from(ending)) == Some(&false)
        {
            return None;
        }
        let words = self
            .by_last
            .get(usize::from(key.last()?.to_ascii_lowercase()))?;
        let ends_with = |word: &[u8]| {
            let mut letters = key.iter().rev().filter(|byte| !is_separator(**byte));
            word.iter().all(|wanted| {
                letters
                    .next()
                    .is_some_and(|letter| letter.to_ascii_lowercase() == *wanted)
            })
        };
        let found = words.iter().find(|(word, _)| ends_with(word));
        found.map(|(_, matched)| *matched)
    }
}

/// Whether a word may end with these two bytes of a key, in any spelling.
fn may_end(by_last: &[Vec<(Vec<u8>, Matched)>], before: u8, last: u8) -> bool {
    let words = by_last.get(usize::from(last.to_ascii_lowercase()));
    let mut words = words.into_iter().flatten();
    words.any(|(word, _)| {
        let second = word.get(1).copied();
        is_separator(before) || second.is_none_or(|second| second == before.to_ascii_lowercase())
    })
}

/// As words are compared.
fn normal(word: &str) -> String {
    let letters = word.bytes().filter(|byte| !is_separator(*byte));
    letters
        .map(|byte| char::from(byte.to_ascii_lowercase()))
        .collect()
}

const fn is_separator(byte: u8) -> bool {
    matches!(byte, b'_' | b'-' | b'.')
}

/// The last byte before `at` that is no white space.
fn before_space(bytes: &[u8], at: usize) -> Option<usize> {
    bytes
        .get(..at)?
        .iter()
        .rposition(|byte| !byte.is_ascii_whitespace())
}

fn after_space(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

fn trailing_backslashes(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .rev()
        .take_while(|byte| **byte == b'\\')
        .count()
}

/// A text, object or list that is not empty.
fn quoted_value(text: &str, at: usize) -> Option<Range<usize>> {
    if !matches!(text.as_bytes().get(at), Some(b'"' | b'{' | b'[')) {
        return None;
    }
    let end = json::value_end(text, at)?;
    (end > at + 2).then_some(at..end)
}

/// What stands between `\"` and `\"`.
fn inner_text(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    if bytes.get(at..at + 2) != Some(b"\\\"") {
        return None;
    }
    let start = at + 2;
    let mut at = start;
    loop {
        at += match (bytes.get(at)?, bytes.get(at + 1), bytes.get(at + 2)) {
            // The string around it ends: its JSON is cut off.
            (b'"', ..) | (b'\\', Some(b'"'), _) => break,
            // An escape within the inner text; what it escapes may be escaped itself.
            (b'\\', Some(b'\\'), Some(b'\\')) => 4,
            (b'\\', Some(b'\\'), _) => 3,
            (b'\\', ..) => 2,
            _ => 1,
        };
    }
    (at > start).then_some(start..at)
}
