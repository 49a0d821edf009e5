//! Puts secrets in the place of their placeholders: after the policy check, in header values, query values and JSON
//! bodies. What was the path of a secret URL is filled in in a path. Everywhere else a placeholder is an error that names
//! the place.
//!
//! Pure. Text that looks like a placeholder but is none of this exporter's stays as it is. What was filled in is not
//! looked at again, so that a secret that contains a placeholder's text is just text.

use std::borrow::Cow;

use aho_corasick::{AhoCorasick, BuildError, MatchKind};
use bytes::Bytes;

use super::message::HttpError;
use super::secrets::{Entry, Place, Secrets};

/// Finds and fills the placeholders of one exporter.
#[derive(Debug)]
pub(super) struct Filler {
    entries: Vec<Entry>,
    finder: Option<AhoCorasick>,
}

impl Filler {
    pub(super) fn new(secrets: &Secrets) -> Result<Self, BuildError> {
        let entries = secrets.entries().to_vec();
        let placeholders: Vec<_> = entries
            .iter()
            .map(|entry| entry.placeholder.as_str())
            .collect();
        let finder = if placeholders.is_empty() {
            None
        } else {
            Some(
                AhoCorasick::builder()
                    .match_kind(MatchKind::LeftmostLongest)
                    .build(placeholders)?,
            )
        };
        Ok(Self { entries, finder })
    }

    /// The first secret whose placeholder is in there.
    fn first_in(&self, bytes: &[u8]) -> Option<&Entry> {
        let found = self.finder.as_ref()?.find(bytes)?;
        self.entries.get(found.pattern().as_usize())
    }

    /// Refuses a text that holds a placeholder.
    pub(super) fn refuse_in(&self, place: &str, text: &[u8]) -> Result<(), HttpError> {
        match self.first_in(text) {
            None => Ok(()),
            Some(entry) => Err(HttpError::Invalid(format!(
                "the placeholder of setting `{}` is in the {place}, where secrets are not filled in",
                entry.setting
            ))),
        }
    }

    /// Refuses a piece of a URL that holds a placeholder of something else than a piece of a URL. Returns how many it
    /// holds.
    pub(super) fn pieces_of_url(&self, place: &str, text: &str) -> Result<usize, HttpError> {
        let Some(finder) = &self.finder else {
            return Ok(0);
        };
        let mut pieces = 0;
        for found in finder.find_iter(text) {
            match self.entries.get(found.pattern().as_usize()) {
                Some(entry) if entry.place == Place::Url => pieces += 1,
                _ => self.refuse_in(
                    place,
                    text.get(found.range()).unwrap_or_default().as_bytes(),
                )?,
            }
        }
        Ok(pieces)
    }

    /// Fills a path in, which holds nothing but pieces of URLs.
    pub(super) fn fill_path<'t>(&self, path: &'t str) -> Cow<'t, str> {
        self.fill_plain(path)
    }

    /// Fills a text in, each secret as `encode` writes it.
    pub(super) fn fill<'t>(
        &self,
        text: &'t str,
        encode: impl Fn(&Entry) -> String,
    ) -> Cow<'t, str> {
        let Some(finder) = &self.finder else {
            return Cow::Borrowed(text);
        };
        let mut filled = String::new();
        let mut done = 0;
        for found in finder.find_iter(text) {
            let Some(entry) = self.entries.get(found.pattern().as_usize()) else {
                continue;
            };
            filled.push_str(text.get(done..found.start()).unwrap_or_default());
            filled.push_str(&encode(entry));
            done = found.end();
        }
        if done == 0 {
            return Cow::Borrowed(text);
        }
        filled.push_str(text.get(done..).unwrap_or_default());
        Cow::Owned(filled)
    }

    /// Fills a text in as it is.
    pub(super) fn fill_plain<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.fill(text, |entry| entry.value.expose().to_owned())
    }

    /// Fills the values of a query in, percent-encoded.
    pub(super) fn fill_query<'t>(&self, query: &'t str) -> Result<Cow<'t, str>, HttpError> {
        if self.first_in(query.as_bytes()).is_none() {
            return Ok(Cow::Borrowed(query));
        }
        for pair in query.split('&') {
            let (name, _) = pair.split_once('=').unwrap_or((pair, ""));
            self.pieces_of_url("name of a query parameter", name)?;
        }
        Ok(self.fill(query, |entry| match entry.place {
            Place::Value => percent_encoded(entry.value.expose()),
            Place::Url => entry.value.expose().to_owned(),
        }))
    }

    /// Fills a JSON body in, JSON-escaped. Only secrets of settings marked `x-in-body`; any other placeholder is refused.
    /// Valid JSON can hold a placeholder only inside a string.
    pub(super) fn fill_json(&self, body: &Bytes) -> Result<Bytes, HttpError> {
        let Some(finder) = &self.finder else {
            return Ok(body.clone());
        };
        let mut filled = Vec::new();
        let mut done = 0;
        for found in finder.find_iter(body.as_ref()) {
            let Some(entry) = self.entries.get(found.pattern().as_usize()) else {
                continue;
            };
            if !entry.is_in_body {
                return Err(HttpError::Invalid(format!(
                    "the placeholder of setting `{}` is in the body; mark the setting `x-in-body` to have it filled in there",
                    entry.setting
                )));
            }
            if done == 0 {
                filled.reserve(body.len());
            }
            filled.extend_from_slice(body.get(done..found.start()).unwrap_or_default());
            filled.extend_from_slice(json_escaped(entry.value.expose()).as_bytes());
            done = found.end();
        }
        if done == 0 {
            return Ok(body.clone());
        }
        filled.extend_from_slice(body.get(done..).unwrap_or_default());
        Ok(filled.into())
    }
}

/// Everything but RFC 3986's unreserved characters is encoded.
pub(super) fn percent_encoded(text: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            for nibble in [byte >> 4, byte & 15] {
                encoded.push(
                    DIGITS
                        .get(usize::from(nibble))
                        .map_or('0', |digit| char::from(*digit)),
                );
            }
        }
    }
    encoded
}

/// The inside of a JSON string.
pub(super) fn json_escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted
        .get(1..quoted.len().saturating_sub(1))
        .unwrap_or_default()
        .to_owned()
}

/// Whether a body of this content type is JSON text (one value or one a line).
pub(super) fn is_json(content_type: &str) -> bool {
    let essence = content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    matches!(
        essence.as_str(),
        "application/json"
            | "text/json"
            | "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/x-jsonlines"
    ) || (essence.starts_with("application/") && essence.ends_with("+json"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn vault(secrets: &[(&str, &str, bool)]) -> (Filler, Vec<String>) {
        let mut vault = Secrets::default();
        let placeholders = secrets
            .iter()
            .map(|(name, value, in_body)| vault.hide(name, value, *in_body).unwrap());
        let placeholders = placeholders.collect();
        (Filler::new(&vault).unwrap(), placeholders)
    }

    #[test]
    fn text_is_filled_in_every_place_once() {
        let (filler, p) = vault(&[("a", "one", false), ("b", "two", false)]);
        let text = format!("x{}y{}{}z", p[0], p[1], p[0]);
        assert_eq!(filler.fill_plain(&text), "xoneytwoonez");
    }

    #[test]
    fn what_only_looks_like_a_placeholder_stays() {
        let (filler, p) = vault(&[("a", "one", true)]);
        for text in [
            "mastra-secret.a.0123",
            &p[0][..p[0].len() - 1],
            "MASTRA-SECRET.",
            "",
        ] {
            assert_eq!(filler.fill_plain(text), text);
            assert_eq!(
                filler
                    .fill_json(&Bytes::copy_from_slice(text.as_bytes()))
                    .unwrap(),
                text
            );
            assert!(filler.refuse_in("path", text.as_bytes()).is_ok());
        }
    }

    #[test]
    fn a_secret_that_holds_a_placeholder_is_not_filled_again() {
        let mut vault = Secrets::default();
        let inner = vault.hide("inner", "hidden", false).unwrap();
        let outer = vault.hide("outer", &inner, false).unwrap();
        assert_eq!(Filler::new(&vault).unwrap().fill_plain(&outer), inner);
    }

    #[test]
    fn query_values_are_encoded_and_names_refused() {
        let (filler, p) = vault(&[("key", "a&b=c d/é", false)]);
        assert_eq!(
            filler.fill_query(&format!("x=1&k={}&y", p[0])).unwrap(),
            "x=1&k=a%26b%3Dc%20d%2F%C3%A9&y"
        );
        let error = filler.fill_query(&format!("{}=1", p[0])).unwrap_err();
        assert!(error.to_string().contains("query parameter"), "{error}");
    }

    #[test]
    fn json_bodies_take_only_secrets_marked_for_them() {
        let (filler, p) = vault(&[("yes", "q\"\\\n", true), ("no", "hunter2", false)]);
        let body = Bytes::from(format!(r#"{{"k":"{}"}}"#, p[0]));
        assert_eq!(filler.fill_json(&body).unwrap(), r#"{"k":"q\"\\\n"}"#);
        let error = filler
            .fill_json(&Bytes::from(p[1].clone()))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("`no`") && !error.contains("hunter2"),
            "{error}"
        );
    }

    #[test]
    fn a_refusal_names_the_place_and_the_setting() {
        let (filler, p) = vault(&[("key", "hunter2", false)]);
        let error = filler.refuse_in("path", p[0].as_bytes()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid request: the placeholder of setting `key` is in the path, where secrets are not filled in"
        );
    }

    #[test]
    fn json_is_known_by_its_content_type() {
        for yes in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/x-ndjson",
            "application/vnd.x+json",
        ] {
            assert!(is_json(yes), "{yes}");
        }
        for no in [
            "",
            "application/x-protobuf",
            "text/plain",
            "application/jsonp",
            "image/svg+json-not",
        ] {
            assert!(!is_json(no), "{no}");
        }
    }

    proptest! {
        #[test]
        fn a_filled_json_body_reads_as_the_secret(secret in ".{1,40}", before in ".{0,20}", after in ".{0,20}") {
            let (filler, p) = vault(&[("k", &secret, true)]);
            let body = serde_json::json!({ "v": format!("{before}{}{after}", p[0]), "w": [before] }).to_string();
            let filled = filler.fill_json(&Bytes::from(body)).unwrap();
            let value: serde_json::Value = serde_json::from_slice(&filled).unwrap();
            prop_assert_eq!(value["v"].as_str().unwrap(), format!("{before}{secret}{after}"));
        }

        #[test]
        fn a_filled_query_reads_as_the_secret(secret in ".{1,40}") {
            let (filler, p) = vault(&[("k", &secret, false)]);
            let query = format!("a=1&k={}&b=2", p[0]);
            let filled = filler.fill_query(&query).unwrap();
            let url = url::Url::parse(&format!("http://x/?{filled}")).unwrap();
            let pairs: Vec<_> = url.query_pairs().map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
            prop_assert_eq!(&pairs[1], &("k".to_owned(), secret));
            prop_assert_eq!(pairs.len(), 3);
        }

        #[test]
        fn text_without_placeholders_is_untouched(text in "\\PC{0,200}") {
            let (filler, _) = vault(&[("k", "hunter2", true)]);
            prop_assert_eq!(filler.fill_plain(&text), text.as_str());
        }
    }
}
