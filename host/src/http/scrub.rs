//! Takes secrets out of what comes back: response headers, response bodies, error texts.
//!
//! Pure. Looked for are the secret itself, its percent-encoded, form-encoded and JSON-escaped spellings, and its Base64
//! at each of the three byte offsets, so that a Basic credential is found whatever stands before it (then a character
//! at each end of the secret's part may stay, which holds bits of the neighbours). A server that is granted and bent on
//! it can always spell a secret in another way; that is what grants are for.

use std::borrow::Cow;

use aho_corasick::{AhoCorasick, BuildError, MatchKind};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use bytes::Bytes;

use super::fill::{json_escaped, percent_encoded, percent_encoded_with};

/// What stands in a secret's place.
const MASK: &str = "***";

/// Shorter secrets are not looked for: they occur in ordinary text by chance, so that scrubbing them would spoil
/// answers, and where the mask appears would tell the secret.
const MIN_SECRET_CHARS: usize = 4;

/// A shorter piece of Base64 occurs in other Base64 by chance. Six characters are 36 bits.
const MIN_BASE64_CHARS: usize = 6;

/// Finds the secrets of one exporter in one pass.
#[derive(Debug)]
pub(super) struct Scrubber {
    finder: Option<AhoCorasick>,
}

impl Scrubber {
    pub(super) fn new<'s>(secrets: impl Iterator<Item = &'s str>) -> Result<Self, BuildError> {
        let mut needles: Vec<String> = secrets
            .filter(|secret| secret.chars().count() >= MIN_SECRET_CHARS)
            .flat_map(spellings)
            .collect();
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
        Ok(Self { finder })
    }

    /// The bytes without secrets; the same buffer if there are none in it.
    pub(super) fn scrub(&self, bytes: Bytes) -> Bytes {
        let Some(finder) = &self.finder else {
            return bytes;
        };
        let mut clean = Vec::new();
        let mut done = 0;
        for found in finder.find_iter(bytes.as_ref()) {
            clean.extend_from_slice(bytes.get(done..found.start()).unwrap_or_default());
            clean.extend_from_slice(MASK.as_bytes());
            done = found.end();
        }
        if done == 0 {
            return bytes;
        }
        clean.extend_from_slice(bytes.get(done..).unwrap_or_default());
        clean.into()
    }

    /// The text without secrets.
    pub(super) fn scrub_text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let Some(finder) = &self.finder else {
            return Cow::Borrowed(text);
        };
        let mut clean = String::new();
        let mut done = 0;
        for found in finder.find_iter(text) {
            clean.push_str(text.get(done..found.start()).unwrap_or_default());
            clean.push_str(MASK);
            done = found.end();
        }
        if done == 0 {
            return Cow::Borrowed(text);
        }
        clean.push_str(text.get(done..).unwrap_or_default());
        Cow::Owned(clean)
    }
}

/// Every spelling that is looked for.
fn spellings(secret: &str) -> Vec<String> {
    let json = json_escaped(secret);
    let percent = percent_encoded(secret);
    let mut all = vec![
        secret.to_owned(),
        json.replace('/', "\\/"),
        ascii_json(&json),
        percent.replace("%20", "+"),
        percent_encoded_with(secret, b"0123456789abcdef"),
        url::form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
        STANDARD.encode(secret),
        URL_SAFE.encode(secret),
        percent,
        json,
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

/// As encoders write it that keep JSON to ASCII.
fn ascii_json(escaped: &str) -> String {
    let mut ascii = String::with_capacity(escaped.len());
    for c in escaped.chars() {
        if c.is_ascii() {
            ascii.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                ascii.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    ascii
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
            let mut texts = spellings(&secret);
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
