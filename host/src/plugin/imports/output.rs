//! The import `output`: appends whole lines to the one target that the operator granted. Success means written; for
//! files, synced. A failed write leaves no torn line behind where the file system lets it be cut off again.
//!
//! Files are opened for each append, so that a rotated or removed file is made anew, and created with mode 0600, since
//! prompts lie in them.

use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use super::{HostState, signal_from};
use crate::event::Signal;
use crate::plugin::bindings::{imported::output as wit, types};

/// Where the lines go, as the operator writes it: `file:PATH`, `dir:PATH` or `stdout`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputTarget {
    /// One file for all signals.
    File(PathBuf),
    /// A directory with one `<signal>.ndjson` a signal.
    Directory(PathBuf),
    /// The host's standard output.
    Stdout,
}

/// A target that is none of the three.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("output target `{0}` is not understood: write `file:PATH`, `dir:PATH` or `stdout`")]
pub struct UnknownTarget(String);

impl FromStr for OutputTarget {
    type Err = UnknownTarget;

    fn from_str(text: &str) -> Result<Self, UnknownTarget> {
        match text.split_once(':') {
            _ if text == "stdout" => Ok(Self::Stdout),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("dir", path)) if !path.is_empty() => Ok(Self::Directory(path.into())),
            _ => Err(UnknownTarget(text.to_owned())),
        }
    }
}

impl fmt::Display for OutputTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Directory(path) => write!(f, "dir:{}", path.display()),
            Self::Stdout => f.write_str("stdout"),
        }
    }
}

/// One exporter's granted output. Its instances share it, so that their lines do not mix.
#[derive(Debug)]
pub struct Output {
    target: OutputTarget,
    one_at_a_time: Mutex<()>,
}

impl Output {
    /// Opens nothing yet: the first append does.
    #[must_use]
    pub fn new(target: OutputTarget) -> Self {
        Self {
            target,
            one_at_a_time: Mutex::new(()),
        }
    }

    /// Appends whole lines. Blocks: call it where blocking is fine.
    ///
    /// # Errors
    /// The text is not whole lines of UTF-8, or the operating system refuses.
    pub fn append(&self, signal: Signal, lines: &[u8]) -> io::Result<()> {
        let Some(last) = lines.last() else {
            return Ok(());
        };
        if *last != b'\n' {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the last line has no line feed",
            ));
        }
        if std::str::from_utf8(lines).is_err() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the lines are not UTF-8",
            ));
        }
        let _guard = self
            .one_at_a_time
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match &self.target {
            OutputTarget::File(path) => append_to_file(path, lines),
            OutputTarget::Directory(directory) => {
                DirBuilder::new()
                    .recursive(true)
                    .mode(0o700)
                    .create(directory)?;
                append_to_file(&directory.join(format!("{signal}.ndjson")), lines)
            }
            OutputTarget::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(lines)?;
                stdout.flush()
            }
        }
    }
}

fn append_to_file(path: &Path, lines: &[u8]) -> io::Result<()> {
    let is_new = !path.exists();
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    let before = file.metadata()?;
    if !before.is_file() {
        // A pipe or a device: there is nothing to sync.
        return file.write_all(lines);
    }
    if let Err(error) = file.write_all(lines).and_then(|()| file.sync_data()) {
        // Best effort: the caller learns of the first failure, which says more than this one would.
        let _ = file.set_len(before.len());
        return Err(error);
    }
    if is_new
        && let Some(directory) = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
    {
        // Without this the new file's name may be lost with the power.
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}

impl wit::Host for HostState {
    async fn append(
        &mut self,
        of_signal: types::Signal,
        lines: Vec<u8>,
    ) -> wasmtime::Result<Result<(), String>> {
        let Some(output) = &self.grants("output.append")?.output else {
            return Ok(Err(
                "no output is granted to this exporter: set its output target".to_owned(),
            ));
        };
        let output = Arc::clone(output);
        let signal = signal_from(of_signal);
        let written = tokio::task::spawn_blocking(move || {
            output
                .append(signal, &lines)
                .map_err(|error| format!("cannot append to {}: {error}", output.target))
        });
        Ok(written
            .await
            .unwrap_or_else(|error| Err(format!("the append was abandoned: {error}"))))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn targets_are_read_as_they_are_written() {
        for text in ["file:/a/b.ndjson", "dir:out", "stdout"] {
            assert_eq!(text.parse::<OutputTarget>().unwrap().to_string(), text);
        }
        for text in ["", "file:", "stderr", "/a/b", "s3:bucket"] {
            assert!(text.parse::<OutputTarget>().is_err(), "{text}");
        }
    }

    #[test]
    fn lines_are_appended_to_a_private_file_for_each_signal() {
        let directory = tempfile::tempdir().unwrap();
        let output = Output::new(OutputTarget::Directory(directory.path().join("deep/out")));
        output.append(Signal::Traces, b"{\"a\":1}\n").unwrap();
        output
            .append(Signal::Traces, b"{\"a\":2}\n{\"a\":3}\n")
            .unwrap();
        output.append(Signal::Logs, b"{}\n").unwrap();
        let traces = directory.path().join("deep/out/traces.ndjson");
        assert_eq!(
            std::fs::read_to_string(&traces).unwrap(),
            "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n"
        );
        assert_eq!(
            traces.metadata().unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert!(directory.path().join("deep/out/logs.ndjson").exists());
    }

    #[test]
    fn torn_or_foreign_text_is_refused_and_not_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out.ndjson");
        let output = Output::new(OutputTarget::File(path.clone()));
        assert!(output.append(Signal::Traces, b"{\"a\":1}").is_err());
        assert!(output.append(Signal::Traces, b"\xff\n").is_err());
        output.append(Signal::Traces, b"").unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_removed_file_is_made_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out.ndjson");
        let output = Output::new(OutputTarget::File(path.clone()));
        output.append(Signal::Traces, b"1\n").unwrap();
        std::fs::remove_file(&path).unwrap();
        output.append(Signal::Traces, b"2\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "2\n");
    }
}
