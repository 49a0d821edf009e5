//! Takes credentials, and what else the operator names, out of a record's texts.
//!
//! Finds by key (`"api_key": ...`) and by form (`sk-...`, a JWT). One pass looks at each key's last letters and for the
//! fixed part of each form, at some bytes a nanosecond; only where one of them stands is the text looked at closer, and
//! only a text in which something was found is copied. JSON within a string, one level deep, is understood, since
//! attributes often hold it.
//!
//! - A key matches when it ends with one of the words, whatever its case and its `_`, `-` and `.`: `api_key` finds
//!   `apiKey` and `OPENAI_API_KEY`. The word `token` is not among the words by default: log probabilities have it.
//! - Texts, objects and lists under such a key are replaced; numbers, booleans and null are not: `inputTokens` is a count,
//!   `hasPassword` a fact.
//! - Ids of spans and traces stay as they are. A record's own members go by the built-in words only, `input` and `output`
//!   also by the operator's: a record needs its typed members.

mod credentials;
mod keys;
#[cfg(test)]
mod tests;

use std::ops::Range;

use regex::Regex;

use self::credentials::Credentials;
use self::keys::{Keys, Matched};
use super::edit::{Edit, apply, range_in};
use super::is_identity;
use crate::config::shape::Redaction;
use crate::event::json;

/// What stands instead.
pub(super) const REDACTED: &str = "[REDACTED]";
const QUOTED: &str = "\"[REDACTED]\"";

/// Finds and replaces. Made once for an exporter.
#[derive(Debug)]
pub struct Redactor {
    keys: Keys,
    credentials: Option<Credentials>,
    patterns: Vec<Regex>,
}

impl Redactor {
    /// As configured. Patterns that do not compile were refused with the config.
    #[must_use]
    pub fn new(redaction: &Redaction) -> Self {
        let patterns = redaction.patterns.iter();
        Self {
            keys: Keys::new(redaction.credentials, &redaction.keys),
            credentials: redaction.credentials.then(Credentials::new),
            patterns: patterns.filter_map(|it| Regex::new(it).ok()).collect(),
        }
    }

    /// The record's text without what is to be redacted; `None` if there is nothing.
    #[must_use]
    pub fn redact(&self, text: &str) -> Option<String> {
        let mut found = Vec::new();
        self.keys.find(text, &mut found);
        if let Some(credentials) = &self.credentials {
            credentials.find(text, &mut found);
        }
        for pattern in &self.patterns {
            find_pattern(pattern, text, &mut found);
        }
        if found.is_empty() {
            return None;
        }
        let members = members(text);
        found.retain(|found| may_change(found, &members));
        apply(text, found.into_iter().map(|found| found.edit).collect())
    }
}

/// Something to redact.
#[derive(Debug)]
struct Found {
    edit: Edit,
    by: By,
}

/// Why.
#[derive(Debug)]
enum By {
    /// A word that is built in.
    Word,
    /// A word of the operator's.
    OwnWord,
    /// Its form.
    Form,
}

/// A member of the record itself.
struct Member<'a> {
    key: std::borrow::Cow<'a, str>,
    value: Range<usize>,
}

fn members(text: &str) -> Vec<Member<'_>> {
    let mut members = Vec::new();
    // Text that is no record is none of the redactor's business: nothing of it is found to belong to a member.
    let _ = json::object(text, json::MAX_VALUE_DEPTH, |key, raw| {
        if let Some(value) = range_in(text, raw) {
            members.push(Member { key, value });
        }
    });
    members
}

/// Whether the record allows it.
fn may_change(found: &Found, members: &[Member<'_>]) -> bool {
    let range = &found.edit.range;
    let holds =
        |member: &&Member<'_>| member.value.start <= range.start && range.end <= member.value.end;
    // What is in no member is in a key.
    let Some(member) = members.iter().find(holds) else {
        return true;
    };
    let is_whole = member.value == *range;
    match found.by {
        _ if is_identity(&member.key) => false,
        By::OwnWord if is_whole => matches!(&*member.key, "input" | "output"),
        By::Word | By::OwnWord | By::Form => true,
    }
}

/// The operator's patterns mean texts, not their JSON: what has escapes is read first.
fn find_pattern(pattern: &Regex, text: &str, found: &mut Vec<Found>) {
    for range in json::strings(text) {
        let Some(raw) = text.get(range.start + 1..range.end - 1) else {
            continue;
        };
        if !raw.contains('\\') {
            found.extend(pattern.find_iter(raw).map(|hit| Found {
                edit: Edit {
                    range: range.start + 1 + hit.start()..range.start + 1 + hit.end(),
                    text: REDACTED.into(),
                },
                by: By::Form,
            }));
        } else if let Ok(read) =
            serde_json::from_str::<String>(text.get(range.clone()).unwrap_or_default())
            && pattern.is_match(&read)
        {
            let without = pattern.replace_all(&read, REDACTED);
            found.push(Found {
                edit: Edit {
                    range,
                    text: serde_json::Value::from(without.into_owned())
                        .to_string()
                        .into(),
                },
                by: By::Form,
            });
        }
    }
}

impl Found {
    /// By a key.
    fn value(range: Range<usize>, is_quoted: bool, matched: Matched) -> Self {
        Self {
            edit: Edit {
                range,
                text: if is_quoted { QUOTED } else { REDACTED }.into(),
            },
            by: match matched {
                Matched::BuiltIn => By::Word,
                Matched::Own => By::OwnWord,
            },
        }
    }
}
