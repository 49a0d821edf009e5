//! Golden files: what a component sent for each fixture, kept by its author, so that a change of the mapping shows. One
//! file a fixture, `<signal>/<fixture>.json`; what is another at each run stands as `<varies>`.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::scorecard::{Group, Judgement, Scorecard};
use super::sight;
use crate::event::Signal;

/// A directory of golden files.
#[derive(Clone, Debug)]
pub struct Golden {
    directory: PathBuf,
    /// Written instead of compared.
    update: bool,
    touched: BTreeSet<PathBuf>,
    signals: BTreeSet<Signal>,
}

/// A golden file cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot use golden file {}", path.display())]
pub struct GoldenError {
    path: PathBuf,
    source: io::Error,
}

impl Golden {
    /// Files of this directory; `update` writes them.
    #[must_use]
    pub fn new(directory: PathBuf, update: bool) -> Self {
        Self {
            directory,
            update,
            touched: BTreeSet::new(),
            signals: BTreeSet::new(),
        }
    }

    /// Compares or writes what a fixture led to: for each batch what left the component, and what it answered.
    pub(super) fn compare(
        &mut self,
        signal: Signal,
        fixture: &str,
        batches: &[(Value, String)],
    ) -> Result<Judgement, GoldenError> {
        let path = self
            .directory
            .join(signal.name())
            .join(format!("{fixture}.json"));
        self.touched.insert(path.clone());
        self.signals.insert(signal);
        let batches = batches.iter();
        let batches =
            batches.map(|(sent, answered)| json!({ "sent": compact(sent), "answered": answered }));
        let found: Value = batches.collect();
        if self.update {
            return write(&path, &found);
        }
        let kept = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Judgement::fail(
                    format!("there is no {}", path.display()),
                    UPDATE,
                ));
            }
            Err(source) => return Err(GoldenError { path, source }),
        };
        let kept: Value = match serde_json::from_str(&kept) {
            Ok(kept) => kept,
            Err(error) => {
                let found = format!("{} is not JSON: {error}", path.display());
                return Ok(Judgement::fail(found, UPDATE));
            }
        };
        let paths = sight::differences(&kept, &found);
        Ok(if paths.is_empty() {
            Judgement::pass("as kept")
        } else {
            Judgement::fail(format!("differs at {}", paths.join(", ")), UPDATE)
        })
    }

    /// Files of the tested signals that no fixture led to.
    pub(super) fn check_left_over(&self, card: &mut Scorecard) -> Result<(), GoldenError> {
        for signal in &self.signals {
            let directory = self.directory.join(signal.name());
            let entries = match std::fs::read_dir(&directory) {
                Ok(entries) => entries,
                // Every file is missing, which is said already.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(source) => {
                    return Err(GoldenError {
                        path: directory,
                        source,
                    });
                }
            };
            for entry in entries.flatten().map(|entry| entry.path()) {
                let is_golden = entry.extension().is_some_and(|end| end == "json");
                if is_golden && !self.touched.contains(&entry) {
                    let name = entry.file_stem().unwrap_or_default().to_string_lossy();
                    let found = format!("no fixture leads to {}", entry.display());
                    let judgement = Judgement::warn(found, "remove the file");
                    card.add(Group::Golden, Some(*signal), name, judgement);
                }
            }
        }
        Ok(())
    }
}

/// What is too long to be read by people stands as its length and hash.
fn compact(sent: &Value) -> Value {
    let text = sent.to_string();
    if text.len() <= MOST_BYTES {
        return sent.clone();
    }
    let hash = xxhash_rust::xxh3::xxh3_64(text.as_bytes());
    json!({ "bytes": text.len(), "xxh3": format!("{hash:016x}") })
}

/// A file of a hundred spans.
const MOST_BYTES: usize = 128 << 10;

const UPDATE: &str = "if the change is wanted, run again with --update and look at the difference";

fn write(path: &Path, found: &Value) -> Result<Judgement, GoldenError> {
    let failed = |source| GoldenError {
        path: path.to_owned(),
        source,
    };
    let text = format!("{found:#}\n");
    if std::fs::read_to_string(path).is_ok_and(|kept| kept == text) {
        return Ok(Judgement::pass("as kept"));
    }
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(failed)?;
    }
    std::fs::write(path, text).map_err(failed)?;
    Ok(Judgement::pass("written"))
}

#[cfg(test)]
mod tests {
    use super::super::scorecard::Verdict;
    use super::*;

    fn sent(id: u32) -> Vec<(Value, String)> {
        vec![(json!({"requests": [{"id": id}]}), "`delivered`".to_owned())]
    }

    #[test]
    fn what_was_written_is_compared() {
        let directory = tempfile::tempdir().unwrap();
        let open = |update| Golden::new(directory.path().to_owned(), update);
        let judge = |update, id| {
            open(update)
                .compare(Signal::Logs, "plain", &sent(id))
                .unwrap()
        };
        assert_eq!(judge(false, 1).verdict, Verdict::Failed, "no file yet");
        assert_eq!(judge(true, 1).verdict, Verdict::Passed);
        assert_eq!(judge(false, 1).verdict, Verdict::Passed);
        let other = judge(false, 2);
        assert_eq!(other.verdict, Verdict::Failed);
        assert!(other.found.contains("[0].sent.requests[0].id"), "{other:?}");
    }

    #[test]
    fn a_file_without_a_fixture_is_named() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("logs")).unwrap();
        std::fs::write(directory.path().join("logs/old.json"), "[]").unwrap();
        let mut golden = Golden::new(directory.path().to_owned(), true);
        golden.compare(Signal::Logs, "plain", &sent(1)).unwrap();
        let mut card = Scorecard::default();
        golden.check_left_over(&mut card).unwrap();
        assert_eq!(
            (card.checks.len(), card.checks[0].name.as_str()),
            (1, "old")
        );
    }
}
