//! Reads the keys of one mapping with their types, collects what is wrong, and refuses keys that nobody asked for.
//! Called by `validate` only; knows no key of its own.

use std::str::FromStr;
use std::time::Duration;

use super::nearest::suggestion;
use super::problem::{Position, Problems};
use super::tree::{Entry, Kind, Node, Scalar};
use super::units::{DURATION_FIX, SIZE_FIX, parse_duration, parse_size};

/// One mapping of the config while it is read. A key that is missing or wrong yields `None`; when it is wrong, a problem
/// says so. [`Section::finish`] refuses the keys that were never asked for.
pub(super) struct Section<'a> {
    path: String,
    at: Position,
    entries: &'a [Entry],
    asked: Vec<&'static str>,
    problems: &'a Problems,
}

/// A value read from the file and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Found<T> {
    pub(super) value: T,
    pub(super) at: Position,
}

impl<'a> Section<'a> {
    /// Opens the mapping `node`. Nothing written counts as an empty mapping.
    pub(super) fn open(node: &'a Node, path: &str, problems: &'a Problems) -> Self {
        let entries: &[Entry] = match &node.kind {
            Kind::Map(entries) => entries,
            Kind::Scalar(scalar) if scalar.is_null() => &[],
            Kind::Scalar(_) | Kind::List(_) => {
                problems.add_with_fix(
                    node.at,
                    path,
                    format!("{} where a mapping is wanted", node.describe()),
                    "write `key: value` lines",
                );
                &[]
            }
        };
        Self {
            path: path.to_owned(),
            at: node.at,
            entries,
            asked: Vec::new(),
            problems,
        }
    }

    /// Where the mapping stands.
    pub(super) fn at(&self) -> Position {
        self.at
    }

    /// Where the value of `key` stands, or the mapping when the key is not written.
    pub(super) fn place(&self, key: &str) -> Position {
        self.entries
            .iter()
            .find(|entry| entry.key == key)
            .map_or(self.at, |entry| entry.value.at)
    }

    /// Path of a key, for messages.
    pub(super) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// The entry of `key`, which becomes a known key.
    pub(super) fn entry(&mut self, key: &'static str) -> Option<&'a Entry> {
        self.asked.push(key);
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// The mapping under `key`; empty when there is none.
    pub(super) fn child(&mut self, key: &'static str) -> Section<'a> {
        let path = self.path_of(key);
        match self.entry(key) {
            Some(entry) => Section::open(&entry.value, &path, self.problems),
            None => Section {
                path,
                at: self.at,
                entries: &[],
                asked: Vec::new(),
                problems: self.problems,
            },
        }
    }

    /// All entries, for mappings whose keys are the user's own. No key is unknown then.
    pub(super) fn own_entries(&self) -> &'a [Entry] {
        self.entries
    }

    /// Text. A number or boolean must be in quotes, because YAML may have changed it.
    pub(super) fn text(&mut self, key: &'static str) -> Option<Found<String>> {
        let path = self.path_of(key);
        let node = &self.entry(key)?.value;
        text_of(node, &path, self.problems)
    }

    /// Text that must parse as `T`; `wanted` names the type, `fix` says what to write.
    pub(super) fn parsed<T: FromStr>(
        &mut self,
        key: &'static str,
        wanted: &str,
        fix: &str,
    ) -> Option<Found<T>> {
        self.scalar(key, wanted, fix, |text| text.parse().ok())
    }

    /// A duration.
    pub(super) fn duration(&mut self, key: &'static str, default: Duration) -> Duration {
        self.scalar(key, "a duration", DURATION_FIX, parse_duration)
            .map_or(default, |found| found.value)
    }

    /// A duration that must not be zero.
    pub(super) fn positive_duration(&mut self, key: &'static str, default: Duration) -> Duration {
        self.scalar(key, "a duration above zero", DURATION_FIX, |text| {
            parse_duration(text).filter(|d| !d.is_zero())
        })
        .map_or(default, |found| found.value)
    }

    /// A size in bytes above zero.
    pub(super) fn size(&mut self, key: &'static str, default: u64) -> u64 {
        self.optional_size(key).unwrap_or(default)
    }

    /// A size in bytes above zero, if it is written.
    pub(super) fn optional_size(&mut self, key: &'static str) -> Option<u64> {
        self.scalar(key, "a size above zero", SIZE_FIX, |text| {
            parse_size(text).filter(|bytes| *bytes > 0)
        })
        .map(|found| found.value)
    }

    /// A whole number in `1..=max`.
    pub(super) fn count(&mut self, key: &'static str, default: u32, max: u32) -> u32 {
        let fix = format!("write a whole number from 1 to {max}");
        self.scalar(key, "such a number", &fix, |text| {
            text.parse()
                .ok()
                .filter(|number| (1..=max).contains(number))
        })
        .map_or(default, |found| found.value)
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        default: T,
        choices: &[(&str, T)],
    ) -> T {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let fix = format!("write one of {}", names.join(", "));
        self.scalar(key, "a choice", &fix, |text| {
            choices
                .iter()
                .find(|(name, _)| *name == text)
                .map(|(_, value)| *value)
        })
        .map_or(default, |found| found.value)
    }

    /// The items of a list; empty when there is none.
    pub(super) fn list(&mut self, key: &'static str) -> Option<&'a [Node]> {
        let path = self.path_of(key);
        let node = &self.entry(key)?.value;
        match &node.kind {
            Kind::List(items) => Some(items),
            Kind::Scalar(scalar) if scalar.is_null() => None,
            Kind::Scalar(_) | Kind::Map(_) => {
                let message = format!("{} where a list is wanted", node.describe());
                self.problems.add_with_fix(
                    node.at,
                    &path,
                    message,
                    "write `[a, b]` or one `- item` a line",
                );
                None
            }
        }
    }

    /// Refuses every key that was not asked for.
    pub(super) fn finish(self) {
        for entry in self
            .entries
            .iter()
            .filter(|entry| !self.asked.contains(&entry.key.as_str()))
        {
            let path = self.path_of(&entry.key);
            self.problems.add_with_fix(
                entry.key_at,
                &path,
                "unknown key",
                suggestion(&entry.key, &self.asked),
            );
        }
    }

    fn scalar<T>(
        &mut self,
        key: &'static str,
        wanted: &str,
        fix: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<Found<T>> {
        let path = self.path_of(key);
        let node = &self.entry(key)?.value;
        let parsed = match &node.kind {
            Kind::Scalar(Scalar { text, .. }) => parse(text),
            Kind::List(_) | Kind::Map(_) => None,
        };
        if parsed.is_none() {
            self.problems.add_with_fix(
                node.at,
                &path,
                format!("{} is not {wanted}", node.describe()),
                fix,
            );
        }
        parsed.map(|value| Found { value, at: node.at })
    }
}

/// The node's text, or a problem.
pub(super) fn text_of(node: &Node, path: &str, problems: &Problems) -> Option<Found<String>> {
    match &node.kind {
        Kind::Scalar(scalar) if scalar.is_text() && !scalar.text.is_empty() => Some(Found {
            value: scalar.text.clone(),
            at: node.at,
        }),
        Kind::Scalar(scalar) if scalar.is_null() || scalar.text.is_empty() => {
            problems.add_with_fix(node.at, path, "empty", "write a text, or remove the key");
            None
        }
        Kind::Scalar(scalar) => {
            let message = format!("{} is not text", node.describe());
            problems.add_with_fix(
                node.at,
                path,
                message,
                format!("put it in quotes: \"{}\"", scalar.source),
            );
            None
        }
        Kind::List(_) | Kind::Map(_) => {
            problems.add(
                node.at,
                path,
                format!("{} where text is wanted", node.describe()),
            );
            None
        }
    }
}
