//! `exporters.<id>.shape`: which of its events an exporter gets, and how. Read by `validate`.

use std::collections::BTreeSet;
use std::time::Duration;

use regex::Regex;

use super::defaults;
use super::nearest::suggestion;
use super::problem::Problems;
use super::read::{Section, text_of};
use super::units::show_size;

/// `exporters.<id>.shape`
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// `span_types`; none: all types.
    pub span_types: Option<NameFilter>,
    /// `span_types.max_wait`: how long spans wait for the rest of their trace, so that children of dropped spans find
    /// their new parent. Zero: they do not wait.
    pub max_wait: Duration,
    /// `log_levels`; none: all levels.
    pub log_levels: Option<NameFilter>,
    /// `sampling_percentage` of the traces, with their logs, scores and feedback: 0 to 100.
    pub sampling_percentage: f64,
    /// `redaction`
    pub redaction: Redaction,
    /// `max_string_bytes`: longer texts are cut; none: as long as they are.
    pub max_string_bytes: Option<u64>,
}

/// Names that stay or go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameFilter {
    /// `keep`: only these.
    Keep(BTreeSet<String>),
    /// `drop`: all but these.
    Drop(BTreeSet<String>),
}

/// `redaction`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redaction {
    /// `credentials`: keys and forms of credentials that are known everywhere.
    pub credentials: bool,
    /// `keys`: further words that keys of values to redact end with.
    pub keys: Vec<String>,
    /// `patterns`: further texts to redact. Each compiles.
    pub patterns: Vec<String>,
}

/// The levels of Mastra's logs.
const LOG_LEVELS: [&str; 5] = ["debug", "info", "warn", "error", "fatal"];

/// Reads the section.
pub(super) fn read(mut section: Section<'_>, problems: &Problems) -> Shape {
    let mut span_types = section.child("span_types");
    let types = names(&mut span_types, None, problems);
    let max_wait = span_types.duration("max_wait", defaults::SPAN_TYPES_MAX_WAIT);
    span_types.finish();
    let mut log_levels = section.child("log_levels");
    let levels = names(&mut log_levels, Some(&LOG_LEVELS), problems);
    log_levels.finish();
    let sampling_percentage = section
        .parsed::<f64>(
            "sampling_percentage",
            "a number",
            "write a number from 0 to 100",
        )
        .map_or(defaults::SAMPLING_PERCENTAGE, |found| {
            if !(0.0..=100.0).contains(&found.value) {
                problems.add_with_fix(
                    found.at,
                    &section.path_of("sampling_percentage"),
                    format!("{} is out of range", found.value),
                    "write a number from 0 to 100",
                );
            }
            found.value
        });
    let redaction = redaction(section.child("redaction"), problems);
    let max_string_bytes = section.optional_size("max_string_bytes");
    if max_string_bytes.is_some_and(|bytes| bytes < defaults::LEAST_STRING_BYTES) {
        let least = show_size(defaults::LEAST_STRING_BYTES);
        problems.add_with_fix(
            section.place("max_string_bytes"),
            &section.path_of("max_string_bytes"),
            "too short",
            format!("write a size from {least}, such as 32KiB"),
        );
    }
    section.finish();
    Shape {
        span_types: types,
        max_wait,
        log_levels: levels,
        sampling_percentage,
        redaction,
        max_string_bytes,
    }
}

fn redaction(mut section: Section<'_>, problems: &Problems) -> Redaction {
    let choices = [("true", true), ("false", false)];
    let credentials = section.choice("credentials", true, &choices);
    let keys = texts(&mut section, "keys", problems, |key| {
        let has_letter = key.bytes().any(|byte| byte.is_ascii_alphanumeric());
        has_letter
            .then_some(())
            .ok_or_else(|| ("has no letter".to_owned(), "write a key such as `ssn`"))
    });
    let patterns = texts(&mut section, "patterns", problems, |pattern| {
        let fix = "write a regular expression, in quotes, such as '\\d{3}-\\d{2}-\\d{4}'";
        match Regex::new(pattern) {
            Ok(regex) if regex.is_match("") => Err(("matches everything".to_owned(), fix)),
            Ok(_) => Ok(()),
            Err(error) => {
                let reason = error.to_string();
                let reason = reason.lines().last().unwrap_or_default();
                let reason = reason.trim_start_matches("error: ");
                Err((format!("not a regular expression: {reason}"), fix))
            }
        }
    });
    section.finish();
    Redaction {
        credentials,
        keys,
        patterns,
    }
}

/// `keep` or `drop`, each a list. `known`: there are no others.
fn names(
    section: &mut Section<'_>,
    known: Option<&[&str]>,
    problems: &Problems,
) -> Option<NameFilter> {
    let check = |name: &str| match known {
        Some(known) if !known.contains(&name) => {
            Err((format!("`{name}` is not known"), suggestion(name, known)))
        }
        _ => Ok(()),
    };
    let keep = texts(section, "keep", problems, check);
    let drop = texts(section, "drop", problems, check);
    if !keep.is_empty() && !drop.is_empty() {
        problems.add_with_fix(
            section.place("drop"),
            &section.path_of("drop"),
            "both keep and drop are written",
            "write one of them",
        );
    }
    if !keep.is_empty() {
        return Some(NameFilter::Keep(keep.into_iter().collect()));
    }
    (!drop.is_empty()).then(|| NameFilter::Drop(drop.into_iter().collect()))
}

/// A list of texts, each of which `check` takes or says what is wrong and what to write.
fn texts<F: Into<String>>(
    section: &mut Section<'_>,
    key: &'static str,
    problems: &Problems,
    check: impl Fn(&str) -> Result<(), (String, F)>,
) -> Vec<String> {
    let path = section.path_of(key);
    let items = section.list(key).unwrap_or_default();
    let mut texts = Vec::new();
    for (index, node) in items.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let Some(found) = text_of(node, &path, problems) else {
            continue;
        };
        match check(&found.value) {
            Ok(()) => texts.push(found.value),
            Err((reason, fix)) => problems.add_with_fix(found.at, &path, reason, fix),
        }
    }
    texts
}
