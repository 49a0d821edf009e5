//! Undoes the escapes in which a text may stand in a response: JSON's, those of URLs and forms, HTML's.
//!
//! What is no escape stands for itself, so that a text that holds some JSON, or JSON with errors, is read as well. Pure;
//! one pass and one buffer a reading, whatever the text holds.

use std::ops::Range;

use memchr::{memchr, memchr2};

/// A way to escape characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// `\n`, `\/`, `\u0026`, and `\x26` of its relatives.
    Json,
    /// `%26`.
    Percent,
    /// The same with `+` for a space.
    Form,
    /// `&amp;`, `&#38;`, `&#x26;`.
    Html,
}

/// What an escape stands for, and its length.
struct Escape {
    bytes: [u8; 4],
    len: usize,
    written: usize,
}

impl Escape {
    fn of_char(c: char, written: usize) -> Self {
        let mut bytes = [0; 4];
        let len = c.encode_utf8(&mut bytes).len();
        Self {
            bytes,
            len,
            written,
        }
    }

    const fn of_byte(byte: u8, written: usize) -> Self {
        Self {
            bytes: [byte, 0, 0, 0],
            len: 1,
            written,
        }
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// Part of a text: as it stands, or an escape.
enum Part<'t> {
    Literal(&'t [u8]),
    Escape(Escape),
}

impl Spelling {
    pub(super) const ALL: [Self; 4] = [Self::Json, Self::Percent, Self::Form, Self::Html];

    /// The text with its escapes undone; `None` if there are none.
    pub(super) fn read(self, text: &[u8]) -> Option<Vec<u8>> {
        self.next_start(text)?;
        let mut read = Vec::with_capacity(text.len());
        for part in self.parts(text) {
            match part {
                Part::Literal(bytes) => read.extend_from_slice(bytes),
                Part::Escape(escape) => read.extend_from_slice(escape.bytes()),
            }
        }
        (read != text).then_some(read)
    }

    /// Where in the text lies what `read` holds at these places, which are in order and apart.
    pub(super) fn places(self, text: &[u8], in_read: &[Range<usize>]) -> Vec<Range<usize>> {
        let mut places = Vec::with_capacity(in_read.len());
        let mut wanted = in_read.iter();
        let mut next = wanted.next();
        let mut start = None;
        let (mut at, mut read_at) = (0, 0);
        for part in self.parts(text) {
            let (written, len, is_escape) = match &part {
                Part::Literal(bytes) => (bytes.len(), bytes.len(), false),
                Part::Escape(escape) => (escape.written, escape.len, true),
            };
            // A place may begin or end within an escape, which then belongs to it.
            while let Some(range) = next {
                if start.is_none() && range.start < read_at + len {
                    start = Some(at + if is_escape { 0 } else { range.start - read_at });
                }
                if range.end > read_at + len {
                    break;
                }
                let end = at
                    + if is_escape {
                        written
                    } else {
                        range.end - read_at
                    };
                places.extend(start.take().map(|start| start..end));
                next = wanted.next();
            }
            at += written;
            read_at += len;
        }
        places
    }

    fn parts(self, text: &[u8]) -> impl Iterator<Item = Part<'_>> {
        let mut rest = text;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            if let Some(escape) = self.escape(rest) {
                rest = rest.get(escape.written..).unwrap_or_default();
                return Some(Part::Escape(escape));
            }
            // What begins like an escape and is none stands for itself.
            let behind = rest.get(1..).unwrap_or_default();
            let len = self.next_start(behind).map_or(rest.len(), |next| next + 1);
            let (literal, after) = rest.split_at_checked(len)?;
            rest = after;
            Some(Part::Literal(literal))
        })
    }

    fn next_start(self, text: &[u8]) -> Option<usize> {
        match self {
            Self::Json => memchr(b'\\', text),
            Self::Percent => memchr(b'%', text),
            Self::Form => memchr2(b'%', b'+', text),
            Self::Html => memchr(b'&', text),
        }
    }

    /// The escape that the text begins with.
    fn escape(self, text: &[u8]) -> Option<Escape> {
        match (self, text) {
            (Self::Json, [b'\\', rest @ ..]) => json_escape(rest),
            (Self::Form, [b'+', ..]) => Some(Escape::of_byte(b' ', 1)),
            (Self::Percent | Self::Form, [b'%', high, low, ..]) => {
                let byte = number(&[*high, *low], 16)?;
                Some(Escape::of_byte(u8::try_from(byte).ok()?, 3))
            }
            (Self::Html, [b'&', rest @ ..]) => html_escape(rest),
            _ => None,
        }
    }
}

/// Behind the backslash.
fn json_escape(rest: &[u8]) -> Option<Escape> {
    let simple = |byte| Some(Escape::of_byte(byte, 2));
    match rest {
        [b'n', ..] => simple(b'\n'),
        [b'r', ..] => simple(b'\r'),
        [b't', ..] => simple(b'\t'),
        [b'b', ..] => simple(8),
        [b'f', ..] => simple(12),
        [byte @ (b'"' | b'\'' | b'\\' | b'/'), ..] => simple(*byte),
        [b'x', digits @ ..] => {
            let c = char::from_u32(number(digits.get(..2)?, 16)?)?;
            Some(Escape::of_char(c, 4))
        }
        [b'u', digits @ ..] => {
            let unit = number(digits.get(..4)?, 16)?;
            if let Some(c) = char::from_u32(unit) {
                return Some(Escape::of_char(c, 6));
            }
            let [b'\\', b'u', low @ ..] = digits.get(4..)? else {
                return None;
            };
            let units = [unit, number(low.get(..4)?, 16)?].map(u16::try_from);
            let [Ok(high), Ok(low)] = units else {
                return None;
            };
            let c = char::decode_utf16([high, low]).next()?.ok()?;
            Some(Escape::of_char(c, 12))
        }
        _ => None,
    }
}

/// Longer than any that stands for one character, leading zeros included.
const MAX_ENTITY_BYTES: usize = 12;

/// Behind the ampersand.
fn html_escape(rest: &[u8]) -> Option<Escape> {
    let end = memchr(b';', rest.get(..MAX_ENTITY_BYTES).unwrap_or(rest))?;
    let c = match rest.get(..end)? {
        [b'#', b'x' | b'X', digits @ ..] => char::from_u32(number(digits, 16)?)?,
        [b'#', digits @ ..] => char::from_u32(number(digits, 10)?)?,
        name => named(std::str::from_utf8(name).ok()?)?,
    };
    Some(Escape::of_char(c, end + 2))
}

/// The names of ASCII's marks.
fn named(name: &str) -> Option<char> {
    Some(match name {
        "amp" | "AMP" => '&',
        "lt" | "LT" => '<',
        "gt" | "GT" => '>',
        "quot" | "QUOT" => '"',
        "apos" => '\'',
        "Tab" => '\t',
        "NewLine" => '\n',
        "nbsp" => '\u{a0}',
        "excl" => '!',
        "num" => '#',
        "dollar" => '$',
        "percnt" => '%',
        "lpar" => '(',
        "rpar" => ')',
        "ast" | "midast" => '*',
        "plus" => '+',
        "comma" => ',',
        "period" => '.',
        "sol" => '/',
        "colon" => ':',
        "semi" => ';',
        "equals" => '=',
        "quest" => '?',
        "commat" => '@',
        "lsqb" | "lbrack" => '[',
        "bsol" => '\\',
        "rsqb" | "rbrack" => ']',
        "Hat" => '^',
        "lowbar" => '_',
        "grave" => '`',
        "lcub" | "lbrace" => '{',
        "verbar" | "vert" => '|',
        "rcub" | "rbrace" => '}',
        _ => return None,
    })
}

fn number(digits: &[u8], base: u32) -> Option<u32> {
    let is_digit = |digit: &u8| char::from(*digit).is_digit(base);
    if digits.is_empty() || !digits.iter().all(is_digit) {
        return None;
    }
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, base).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(spelling: Spelling, text: &str) -> Option<String> {
        let read = spelling.read(text.as_bytes())?;
        Some(String::from_utf8(read).unwrap())
    }

    #[test]
    fn escapes_are_undone_and_the_rest_stays() {
        for (spelling, text, wanted) in [
            (
                Spelling::Json,
                r#"a\"\\\/\u0026\u003C\ud83d\ude00\x41"#,
                "a\"\\/&<😀A",
            ),
            (
                Spelling::Json,
                r"\q\u12\ud800\u0041\n",
                "\\q\\u12\\ud800A\n",
            ),
            (Spelling::Percent, "%41+%4g%4", "A+%4g%4"),
            (Spelling::Form, "%41+b", "A b"),
            (
                Spelling::Html,
                "&amp;&#38;&#x26;&no;&#;&#x110000;&",
                "&&&&no;&#;&#x110000;&",
            ),
        ] {
            // Text without a single escape reads as nothing new.
            assert_eq!(read(spelling, text).as_deref().unwrap_or(text), wanted);
        }
        assert_eq!(read(Spelling::Json, "plain"), None);
        assert_eq!(read(Spelling::Percent, "100 %"), None);
    }

    proptest! {
        #[test]
        fn places_cover_what_was_read(text in r#"([a-c]|\\u006[1-3]|%6[1-3]|&#9[789];|\\|%|&|é){0,30}"#, from in 0_usize..40, len in 1_usize..9) {
            for spelling in Spelling::ALL {
                let Some(read) = spelling.read(text.as_bytes()) else { continue };
                if from + len > read.len() { continue }
                let wanted = from..from + len;
                let places = spelling.places(text.as_bytes(), std::slice::from_ref(&wanted));
                prop_assert_eq!(places.len(), 1);
                let place = text.as_bytes().get(places[0].clone()).unwrap();
                let again = spelling.read(place).unwrap_or_else(|| place.to_vec());
                prop_assert!(again.windows(len).any(|part| part == &read[wanted.clone()]), "{:?}", String::from_utf8_lossy(place));
            }
        }
    }
}
