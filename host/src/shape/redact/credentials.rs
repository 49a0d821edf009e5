//! Finds credentials by their form: a fixed beginning that rarely means anything else, and what must follow it.

use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};
use regex::Regex;

use super::{By, Edit, Found, REDACTED};

/// What must hold beyond the expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Also {
    Nothing,
    /// A letter or digit before it means another word: `task-...`.
    OwnWord,
    /// The same, and it has a digit: `sk-of-words-only` is none.
    OwnWordWithDigit,
}

/// Beginnings, the expression from there on, and what else must hold. Sources: the vendors' pages on their keys, and
/// <https://docs.github.com/code-security/secret-scanning/introduction/supported-secret-scanning-patterns>.
const FORMS: [(&[&str], &str, Also); 9] = [
    // OpenAI, Anthropic, Langfuse, OpenRouter, DeepSeek, LiteLLM
    (&["sk-"], "^sk-[A-Za-z0-9_-]{16,}", Also::OwnWordWithDigit),
    // Stripe
    (
        &["sk_live_", "sk_test_", "rk_live_"],
        "^[rs]k_(?:live|test)_[A-Za-z0-9]{16,}",
        Also::OwnWord,
    ),
    // AWS access key ids
    (&["AKIA", "ASIA"], "^A[KS]IA[A-Z0-9]{16}\\b", Also::OwnWord),
    // JSON web tokens: both parts are JSON objects
    (
        &["eyJ"],
        "^eyJ[A-Za-z0-9_-]{8,}\\.eyJ[A-Za-z0-9_-]{4,}\\.[A-Za-z0-9_-]*",
        Also::OwnWord,
    ),
    // GitHub, GitLab
    (
        &[
            "ghp_",
            "gho_",
            "ghu_",
            "ghs_",
            "ghr_",
            "github_pat_",
            "glpat-",
        ],
        "^(?:gh[pousr]_|github_pat_|glpat-)[A-Za-z0-9_-]{20,}",
        Also::OwnWord,
    ),
    // Slack
    (
        &["xoxb-", "xoxp-", "xoxa-", "xoxr-", "xoxs-"],
        "^xox[bpars]-[A-Za-z0-9-]{10,}",
        Also::OwnWord,
    ),
    // Google
    (&["AIza"], "^AIza[A-Za-z0-9_-]{35}", Also::OwnWord),
    // Headers: RFC 6750 and 7617. Line feeds of PEM are escaped.
    (
        &["Bearer ", "bearer ", "BEARER ", "Basic "],
        "^(?i:bearer|basic) +[A-Za-z0-9+/._~-]{8,}=*",
        Also::OwnWordWithDigit,
    ),
    (
        &["-----BEGIN "],
        "^-----BEGIN [A-Z ]*PRIVATE KEY-----(?:[A-Za-z0-9+/=:,. -]|\\\\+[nr])*",
        Also::Nothing,
    ),
];

/// See the module.
#[derive(Debug)]
pub(super) struct Credentials {
    /// One pattern for each beginning.
    beginnings: Option<AhoCorasick>,
    /// By pattern: the place in `forms`.
    form_of: Vec<usize>,
    forms: Vec<(Regex, Also)>,
}

impl Credentials {
    pub(super) fn new() -> Self {
        let mut form_of = Vec::new();
        let mut beginnings = Vec::new();
        let mut forms = Vec::new();
        for (all, expression, also) in FORMS {
            // A test compiles them all.
            let Ok(expression) = Regex::new(expression) else {
                continue;
            };
            for beginning in all {
                form_of.push(forms.len());
                beginnings.push(*beginning);
            }
            forms.push((expression, also));
        }
        let finder = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(beginnings);
        Self {
            beginnings: finder.ok(),
            form_of,
            forms,
        }
    }

    /// Adds what has the form of a credential.
    pub(super) fn find(&self, text: &str, found: &mut Vec<Found>) {
        let Some(beginnings) = &self.beginnings else {
            return;
        };
        for hit in beginnings.find_iter(text) {
            let form = self.form_of.get(hit.pattern().as_usize());
            let Some((expression, also)) = form.and_then(|form| self.forms.get(*form)) else {
                continue;
            };
            let rest = text.get(hit.start()..).unwrap_or_default();
            if let Some(whole) = expression.find(rest)
                && also.holds(text, hit.start(), whole.as_str())
            {
                found.push(Found {
                    edit: Edit {
                        range: secret(hit.start(), whole.as_str()),
                        text: REDACTED.into(),
                    },
                    by: By::Form,
                });
            }
        }
    }

    #[cfg(test)]
    pub(super) fn compiled(&self) -> (usize, usize) {
        (self.forms.len(), FORMS.len())
    }
}

/// The scheme of a header stays: it tells the reader what was there.
fn secret(start: usize, whole: &str) -> Range<usize> {
    let is_header = |scheme: &str| {
        scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("basic")
    };
    let scheme = match whole.split_once(' ') {
        Some((scheme, _)) if is_header(scheme) => scheme.len() + 1,
        _ => 0,
    };
    start + scheme..start + whole.len()
}

impl Also {
    fn holds(self, text: &str, start: usize, whole: &str) -> bool {
        match self {
            Self::Nothing => true,
            Self::OwnWord => begins_a_word(text, start),
            Self::OwnWordWithDigit => {
                begins_a_word(text, start) && whole.bytes().any(|byte| byte.is_ascii_digit())
            }
        }
    }
}

/// The letter of an escape (`\n`) is of no word.
fn begins_a_word(text: &str, start: usize) -> bool {
    let mut bytes = text.get(..start).unwrap_or_default().bytes().rev();
    match bytes.next() {
        Some(byte) if byte.is_ascii_alphanumeric() => {
            let is_escape = bytes.take_while(|byte| *byte == b'\\').count() > 0;
            is_escape && matches!(byte, b'n' | b't' | b'r' | b'b' | b'f')
        }
        Some(byte) => byte != b'_',
        None => true,
    }
}
