//! Takes secrets out of what comes back: response headers, response bodies, error texts.
//!
//! Pure. Looked for are the secret itself and its Base64 at each of the three byte offsets, so that a Basic credential is
//! found whatever stands before it (then a character at each end of the secret's part may stay, which holds bits of the
//! neighbours); in the text as it is, and in the text with its escapes undone (`spelling`): those of JSON, of URLs and
//! of HTML, also one inside another. A server that is granted and bent on it can always spell a secret in another way;
//! that is what grants are for.

use std::borrow::Cow;
use std::ops::Range;

use aho_corasick::{AhoCorasick, BuildError, MatchKind};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use bytes::Bytes;

use super::spelling::Spelling;

/// What stands in a secret's place.
const MASK: &str = "***";

/// Shorter secrets are not looked for: they occur in ordinary text by chance, so that scrubbing them would spoil
/// answers, and where the mask appears would tell the secret.
const MIN_SECRET_CHARS: usize = 4;

/// A shorter piece of Base64 occurs in other Base64 by chance. Six characters are 36 bits.
const MIN_BASE64_CHARS: usize = 6;

/// How many spellings may lie one inside another: JSON in JSON, a URL in HTML.
const MAX_NESTED_SPELLINGS: u8 = 2;

/// Finds the secrets of one exporter.
#[derive(Debug)]
pub(super) struct Scrubber {
    finder: Option<AhoCorasick>,
    /// Whether a plus sign may stand for a character of a secret.
    has_space: bool,
}

impl Scrubber {
    pub(super) fn new<'s>(secrets: impl Iterator<Item = &'s str>) -> Result<Self, BuildError> {
        let secrets: Vec<&str> = secrets
            .filter(|secret| secret.chars().count() >= MIN_SECRET_CHARS)
            .collect();
        let mut needles: Vec<String> = secrets.iter().flat_map(|secret| forms(secret)).collect();
        needles.sort();
        needles.dedup();
        let finder = if needles.is_empty() {
            None
        } else {
            Some(
                AhoCorasick::builder()
                    .match_kind(MatchKind::LeftmostLongest)
                    .build(needles)?,
            )
        };
        let has_space = secrets.iter().any(|secret| secret.contains(' '));
        Ok(Self { finder, has_space })
    }

    /// The bytes without secrets; the same buffer if there are none in it.
    pub(super) fn scrub(&self, bytes: Bytes) -> Bytes {
        let found = self.find(&bytes);
        if found.is_empty() {
            return bytes;
        }
        masked(&bytes, &found).into()
    }

    /// The text without secrets.
    pub(super) fn scrub_text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let found = self.find(text.as_bytes());
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        let clean = masked(text.as_bytes(), &found);
        Cow::Owned(String::from_utf8_lossy(&clean).into_owned())
    }

    /// Where secrets are, in order and apart.
    fn find(&self, text: &[u8]) -> Vec<Range<usize>> {
        match &self.finder {
            Some(finder) => self.find_nested(finder, text, MAX_NESTED_SPELLINGS),
            None => Vec::new(),
        }
    }

    fn find_nested(&self, finder: &AhoCorasick, text: &[u8], nested: u8) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> =
            finder.find_iter(text).map(|found| found.range()).collect();
        let spellings = Spelling::ALL
            .into_iter()
            .filter(|spelling| *spelling != Spelling::Form || self.has_space);
        for spelling in spellings.filter(|_| nested > 0) {
            let Some(read) = spelling.read(text) else {
                continue;
            };
            let inside = self.find_nested(finder, &read, nested - 1);
            if !inside.is_empty() {
                found.extend(spelling.places(text, &inside));
            }
        }
        joined(found)
    }
}

/// The ranges in order; those that overlap become one.
fn joined(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| (range.start, range.end));
    let mut joined: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

fn masked(text: &[u8], secrets: &[Range<usize>]) -> Vec<u8> {
    let mut clean = Vec::with_capacity(text.len());
    let mut done = 0;
    for secret in secrets {
        clean.extend_from_slice(text.get(done..secret.start).unwrap_or_default());
        clean.extend_from_slice(MASK.as_bytes());
        done = secret.end;
    }
    clean.extend_from_slice(text.get(done..).unwrap_or_default());
    clean
}

/// The secret, and what it is in Base64.
fn forms(secret: &str) -> Vec<String> {
    let mut all = vec![
        secret.to_owned(),
        STANDARD.encode(secret),
        URL_SAFE.encode(secret),
    ];
    for offset in 0..3 {
        for engine in [&STANDARD, &URL_SAFE] {
            all.extend(base64_inside(secret.as_bytes(), offset, engine));
        }
    }
    all
}

/// The characters of Base64 text that the secret alone determines when it starts at this offset (modulo three).
fn base64_inside(secret: &[u8], offset: usize, engine: &impl Engine) -> Option<String> {
    let mut bytes = vec![0; offset];
    bytes.extend_from_slice(secret);
    let encoded = engine.encode(&bytes);
    let inside = encoded.get((offset * 8).div_ceil(6)..bytes.len() * 8 / 6)?;
    (inside.len() >= MIN_BASE64_CHARS).then(|| inside.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scrub(secret: &str, text: &str) -> String {
        Scrubber::new([secret].into_iter())
            .unwrap()
            .scrub_text(text)
            .into_owned()
    }

    #[test]
    fn every_spelling_is_found() {
        let secret = "s3cr/t \"k&y\"é";
        assert_eq!(scrub(secret, &format!("a {secret} b")), "a *** b");
        assert_eq!(
            scrub(secret, &serde_json::json!({ "k": secret }).to_string()),
            r#"{"k":"***"}"#
        );
        assert_eq!(scrub(secret, r#""s3cr\/t \"k&y\"é""#), "\"***\"");
        assert_eq!(scrub(secret, r#""s3cr/t \"k&y\"\u00e9""#), "\"***\"");
        assert_eq!(scrub(secret, "?q=s3cr%2Ft%20%22k%26y%22%C3%A9&"), "?q=***&");
        assert_eq!(scrub(secret, "?q=s3cr%2ft%20%22k%26y%22%c3%a9&"), "?q=***&");
        assert_eq!(scrub(secret, "q=s3cr%2Ft+%22k%26y%22%C3%A9"), "q=***");
    }

    /// As encoders spell it that escape every character, or only those that are no letters and digits.
    fn escaped(secret: &str, all: bool, escape: impl Fn(char) -> String) -> String {
        let each = secret.chars().map(|c| match c {
            c if c.is_ascii_alphanumeric() && !all => c.to_string(),
            c => escape(c),
        });
        each.collect()
    }

    fn escapes() -> Vec<fn(char) -> String> {
        vec![
            |c| {
                c.encode_utf16(&mut [0; 2])
                    .iter()
                    .map(|unit| format!("\\u{unit:04x}"))
                    .collect()
            },
            |c| {
                c.encode_utf16(&mut [0; 2])
                    .iter()
                    .map(|unit| format!("\\u{unit:04X}"))
                    .collect()
            },
            |c| {
                c.to_string()
                    .bytes()
                    .map(|byte| format!("%{byte:02x}"))
                    .collect()
            },
            |c| {
                c.to_string()
                    .bytes()
                    .map(|byte| format!("%{byte:02X}"))
                    .collect()
            },
            |c| format!("&#{};", u32::from(c)),
            |c| format!("&#x{:x};", u32::from(c)),
            |c| format!("&#X{:04X};", u32::from(c)),
        ]
    }

    #[test]
    fn a_secret_is_found_in_the_json_of_go_and_of_php() {
        let secret = "a&b<c>d\u{2028}e/f'g\"h";
        let go = r#"{"k":"a\u0026b\u003cc\u003ed\u2028e/f'g\"h"}"#;
        let php = r#"{"k":"a\u0026b\u003Cc\u003Ed\u2028e\/f\u0027g\u0022h"}"#;
        for text in [go, php] {
            assert_eq!(scrub(secret, text), r#"{"k":"***"}"#);
        }
    }

    #[test]
    fn a_secret_is_found_in_html() {
        let secret = "a&b<c>\"d\"'e'+/=";
        let named = "<p>a&amp;b&lt;c&gt;&quot;d&quot;&apos;e&#39;&plus;&#x2F;&equals;</p>";
        assert_eq!(scrub(secret, named), "<p>***</p>");
        assert_eq!(scrub("sk-1234", "&#115;&#x6b;&#X2D;1&#50;34;"), "***;");
    }

    #[test]
    fn a_secret_is_found_in_a_spelling_inside_another() {
        let secret = "k&y/\"1\"";
        let json = serde_json::json!(secret).to_string();
        let twice = serde_json::json!({ "error": json }).to_string();
        assert_eq!(scrub(secret, &twice), r#"{"error":"\"***\""}"#);
        let html_in_json = r#"{"page":"<b>k\u0026amp;y\/\u0026quot;1\u0026#34;</b>"}"#;
        assert_eq!(scrub(secret, html_in_json), r#"{"page":"<b>***</b>"}"#);
        assert_eq!(
            scrub(secret, "?q=k%26amp%3By%2F%26quot;1%26%2334;&"),
            "?q=***&"
        );
    }

    #[test]
    fn a_plus_sign_of_a_secret_is_no_space() {
        assert_eq!(scrub("a+b c", "?q=a%2Bb+c&d+e"), "?q=***&d+e");
        assert_eq!(scrub("a+b/c", "?q=a+b%2fc"), "?q=***");
    }

    #[test]
    fn a_basic_credential_is_found_whatever_the_user() {
        for user in ["", "a", "ab", "abc"] {
            let token = STANDARD.encode(format!("{user}:sk-lf-0123456789"));
            let clean = scrub("sk-lf-0123456789", &format!("Basic {token}"));
            assert!(clean.contains("***"), "{clean}");
            let left = clean.trim_start_matches("Basic ").replace("***", "");
            assert!(
                left.trim_end_matches('=').len() <= user.len() * 4 / 3 + 4,
                "{clean}"
            );
        }
    }

    #[test]
    fn short_secrets_are_not_looked_for() {
        assert_eq!(scrub("abc", "abc"), "abc");
        assert_eq!(scrub("abcd", "abcd"), "***");
    }

    #[test]
    fn bytes_that_are_no_text_are_scrubbed_too() {
        let scrubber = Scrubber::new(["hunter2"].into_iter()).unwrap();
        assert_eq!(
            scrubber.scrub(Bytes::from_static(b"\xff\x00hunter2\xfe")),
            &b"\xff\x00***\xfe"[..]
        );
    }

    #[test]
    fn what_holds_no_secret_is_not_copied() {
        let scrubber = Scrubber::new(["hunter2"].into_iter()).unwrap();
        let bytes = Bytes::from(vec![b'x'; 100]);
        assert_eq!(scrubber.scrub(bytes.clone()).as_ptr(), bytes.as_ptr());
    }

    #[test]
    fn of_two_secrets_the_longer_is_taken_out_whole() {
        let scrubber = Scrubber::new(["key-1", "key-1-and-more"].into_iter()).unwrap();
        assert_eq!(scrubber.scrub_text("key-1-and-more key-1"), "*** ***");
    }

    proptest! {
        #[test]
        fn no_spelling_survives(secret in "[ -~]{6,40}", before in "[a-z ]{0,9}", after in "[a-z ]{0,9}") {
            let scrubber = Scrubber::new([secret.as_str()].into_iter()).unwrap();
            let mut texts = forms(&secret);
            let json = serde_json::json!(secret).to_string();
            texts.push(json[1..json.len() - 1].replace('/', "\\/"));
            for (escape, all) in escapes().into_iter().flat_map(|escape| [(escape, true), (escape, false)]) {
                texts.push(escaped(&secret, all, escape));
                texts.push(serde_json::json!(escaped(&secret, all, escape)).to_string());
            }
            texts.push(STANDARD.encode(format!("{before}{secret}{after}")));
            for text in texts {
                let clean = scrubber.scrub_text(&text).into_owned();
                prop_assert!(clean.contains(MASK));
                prop_assert!(!clean.contains(&secret));
            }
            let clean = scrubber.scrub_text(&format!("{before}{secret}{after}")).into_owned();
            prop_assert!(!clean.contains(&secret));
        }
    }
}
