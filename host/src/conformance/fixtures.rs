//! The events that a component is tried with: the canonical ones of `fixtures/`, each file named after what is odd about
//! it, and those of an author. A file holds envelopes as `run --input` reads them, one a line.
//!
//! In place of a value, `{"$repeat": [value, n]}` stands for a text n times over, or for a list of n such values: so that
//! a large event is a small file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use crate::event::{Event, Signal};
use crate::receive::read_event;

/// Larger repetitions are a slip of the pen.
const MAX_REPEATS: u64 = 1_000_000;

/// What [`expanded`] looks for.
const REPEAT: &str = "$repeat";

/// Some events of one signal, and what is odd about them.
#[derive(Clone, Debug)]
pub struct Fixture {
    /// The file's name without its end.
    pub name: String,
    /// Of all its events.
    pub signal: Signal,
    /// In the order of the file.
    pub events: Vec<Arc<Event>>,
}

/// A file of fixtures cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FixtureError {
    /// It, or the directory, cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line is no event.
    #[error("{file} line {line}: {reason}")]
    Line {
        /// Which.
        file: String,
        /// From 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing is in there.
    #[error("{} has no `.ndjson` or `.json` file with events", .0.display())]
    Empty(PathBuf),
}

macro_rules! embedded {
    ($($signal:ident in $folder:literal: $($name:literal),+;)+) => {
        [$($((
            Signal::$signal,
            $name,
            include_str!(concat!("fixtures/", $folder, "/", $name, ".ndjson")),
        ),)+)+]
    };
}

/// Signal, name and text of every canonical fixture; of each signal the first is the ordinary case.
const CANONICAL: &[(Signal, &str, &str)] = &embedded! {
    Traces in "traces": "plain", "started", "started-then-ended", "update-before-start", "end-before-start", "orphan", "late-parent", "same-span-twice", "event-without-end", "zero-duration", "end-before-its-start", "year-1970", "year-2099", "nanoseconds", "model-call", "cached-tokens", "audio-and-image-tokens", "thirteen-digit-token-counts", "zero-tokens", "model-call-without-usage", "model-call-without-model", "chat-with-tool-calls", "unknown-span-type", "every-workflow-step", "rag-and-scorer", "empty-name", "unicode", "nothing-optional", "null-input-and-output", "scalar-input-and-output", "text-input-and-output", "empty-objects", "largest-numbers", "deep-json", "many-keys", "odd-keys", "unknown-fields", "many-tags", "error-in-full", "error-message-only", "internal-span", "short-ids", "foreign-parent", "request-context", "opentelemetry-span", "large-text", "large-list";
    Logs in "logs": "plain", "every-level", "unknown-level", "no-trace", "empty-message", "unicode", "nothing-optional", "odd-data", "large-message";
    Metrics in "metrics": "plain", "empty-labels", "no-trace", "zero", "negative", "huge-and-tiny", "cost", "unicode", "many-labels", "nothing-optional", "aggregated-points";
    Scores in "scores": "plain", "of-a-whole-trace", "no-trace", "negative", "above-one", "zero", "long-reason", "experiment", "empty-names", "nothing-optional";
    Feedback in "feedback": "plain", "number", "zero", "empty-text", "comment-only", "no-trace", "unicode", "nothing-optional";
};

/// The canonical fixtures of a signal, the ordinary case first.
///
/// # Errors
/// A line of ours is no event; a test keeps that from happening.
pub fn canonical(signal: Signal) -> Result<Vec<Fixture>, FixtureError> {
    let mut fixtures = Vec::new();
    for (_, name, text) in CANONICAL.iter().filter(|(of, _, _)| *of == signal) {
        fixtures.extend(parse(name, text)?);
    }
    Ok(fixtures)
}

/// The fixtures of an author: every `.ndjson` and `.json` file of the directory, by name. A file with events of several
/// signals is one fixture for each.
///
/// # Errors
/// See [`FixtureError`].
pub fn read_directory(directory: &Path) -> Result<Vec<Fixture>, FixtureError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        |source| FixtureError::Read { path, source }
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed(directory))? {
        let path = entry.map_err(failed(directory))?.path();
        let end = path.extension().and_then(|end| end.to_str());
        if matches!(end, Some("ndjson" | "json")) {
            files.push(path);
        }
    }
    files.sort();
    let mut fixtures = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(&path).map_err(failed(&path))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        fixtures.extend(parse(&name, &text)?);
    }
    if fixtures.is_empty() {
        return Err(FixtureError::Empty(directory.to_owned()));
    }
    Ok(fixtures)
}

/// One fixture a signal, in the order in which the signals appear.
fn parse(name: &str, text: &str) -> Result<Vec<Fixture>, FixtureError> {
    let mut fixtures: Vec<Fixture> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let wrong = |reason: String| FixtureError::Line {
            file: name.to_owned(),
            line: index + 1,
            reason,
        };
        let line = expanded(line).map_err(wrong)?;
        let event = read_event(&line).map_err(|error| wrong(error.to_string()))?;
        let signal = event.signal();
        let event = Arc::new(event);
        match fixtures.iter_mut().find(|known| known.signal == signal) {
            Some(fixture) => fixture.events.push(event),
            None => fixtures.push(Fixture {
                name: name.to_owned(),
                signal,
                events: vec![event],
            }),
        }
    }
    Ok(fixtures)
}

/// The line with its repetitions written out. One without any stays byte by byte as it is.
fn expanded(line: &str) -> Result<Bytes, String> {
    if !line.contains(REPEAT) {
        return Ok(Bytes::copy_from_slice(line.as_bytes()));
    }
    let mut value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    expand(&mut value)?;
    Ok(Bytes::from(value.to_string()))
}

fn expand(value: &mut Value) -> Result<(), String> {
    if let Some(repeat) = value.get(REPEAT) {
        let wrong = || format!("`{REPEAT}` must be [value, times], times at most {MAX_REPEATS}");
        let [of, times] = repeat.as_array().map_or(&[][..], Vec::as_slice) else {
            return Err(wrong());
        };
        let times = times.as_u64().filter(|times| *times <= MAX_REPEATS);
        let times = times
            .and_then(|times| usize::try_from(times).ok())
            .ok_or_else(wrong)?;
        *value = match of {
            Value::String(text) => Value::String(text.repeat(times)),
            other => Value::Array(vec![other.clone(); times]),
        };
        return Ok(());
    }
    match value {
        Value::Array(items) => items.iter_mut().try_for_each(expand),
        Value::Object(fields) => fields.values_mut().try_for_each(expand),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_canonical_fixture_is_read_and_there_are_enough() {
        let mut count = 0;
        for signal in Signal::ALL {
            let fixtures = canonical(signal).unwrap();
            assert_eq!(fixtures[0].name, "plain", "{signal}");
            assert!(fixtures.iter().all(|fixture| fixture.signal == signal));
            count += fixtures.len();
        }
        assert!(count >= 50, "{count}");
    }

    #[test]
    fn every_file_of_the_folder_is_embedded() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/conformance/fixtures");
        let mut on_disk = BTreeSet::new();
        for signal in Signal::ALL {
            for entry in std::fs::read_dir(folder.join(signal.name())).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_stem().unwrap().to_string_lossy().into_owned();
                on_disk.insert((signal, name));
            }
        }
        let embedded = CANONICAL
            .iter()
            .map(|(signal, name, _)| (*signal, (*name).to_owned()));
        assert_eq!(embedded.collect::<BTreeSet<_>>(), on_disk);
    }

    #[test]
    fn repetitions_are_written_out() {
        let line = br#"{"a":{"$repeat":["xy",3]},"b":[{"$repeat":[{"c":1},2]}]}"#;
        let line = std::str::from_utf8(line).unwrap();
        assert_eq!(
            expanded(line).unwrap(),
            r#"{"a":"xyxyxy","b":[[{"c":1},{"c":1}]]}"#
        );
        assert!(expanded(r#"{"$repeat":["x",1e9]}"#).is_err());
        assert!(expanded(r#"{"$repeat":"x"}"#).is_err());
    }

    #[test]
    fn an_authors_files_are_read_by_name_and_signal() {
        let directory = tempfile::tempdir().unwrap();
        let error = read_directory(directory.path()).unwrap_err();
        assert!(matches!(error, FixtureError::Empty(_)), "{error}");
        let lines = [CANONICAL[0].2, CANONICAL[CANONICAL.len() - 1].2].concat();
        std::fs::write(directory.path().join("mine.ndjson"), lines).unwrap();
        std::fs::write(directory.path().join("notes.txt"), "not an event").unwrap();
        let fixtures = read_directory(directory.path()).unwrap();
        let found: Vec<_> = fixtures
            .iter()
            .map(|f| (f.name.as_str(), f.signal))
            .collect();
        assert_eq!(
            found,
            [("mine", Signal::Traces), ("mine", Signal::Feedback)]
        );
        std::fs::write(directory.path().join("bad.json"), "\n{}").unwrap();
        let error = read_directory(directory.path()).unwrap_err().to_string();
        assert!(error.starts_with("bad line 2: type"), "{error}");
    }
}
