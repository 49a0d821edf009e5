//! The import `output`: appends whole lines to the one target that the operator granted. Success means written; for
//! files, synced. A failed write leaves no torn line behind where the file system lets it be cut off again.
//!
//! An output that is full refuses: rotation is the operator's, whose tools know what may go, and until then the events
//! wait in the queue. Files are opened for each append, so that a rotated or removed file is made anew, and created with mode 0600, since
//! prompts lie in them.

use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, IsTerminal as _, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::{HostState, signal_from};
use crate::event::Signal;
use crate::plugin::bindings::{imported::output as wit, types};
use crate::telemetry::visible::Screen;

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

/// How much an exporter may append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputBounds {
    /// Bytes of the file, or of all files of the directory, whoever wrote them.
    pub max_bytes: u64,
}

/// What `/metrics` shows of an output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputFigures {
    /// Bytes of its files after the last append; 0 of what is not a file.
    pub bytes: u64,
    /// The bound of `bytes`.
    pub max_bytes: u64,
    /// Appends refused because the bound was reached or the file system was nearly full.
    pub refused: u64,
}

/// One exporter's granted output. Its instances share it, so that their lines do not mix.
#[derive(Debug)]
pub struct Output {
    target: OutputTarget,
    bounds: OutputBounds,
    /// Taken before a thread is: an append that does not end holds up one thread and no more.
    one_at_a_time: Arc<tokio::sync::Mutex<()>>,
    figures: Mutex<OutputFigures>,
    is_full: AtomicBool,
}

/// What a file system keeps free, so that an output fills no disk: the smaller of both.
const FREE_BYTES: u64 = 64 << 20;
const FREE_SHARE: u64 = 20;

impl Output {
    /// Opens nothing yet: the first append does.
    #[must_use]
    pub fn new(target: OutputTarget, bounds: OutputBounds) -> Self {
        Self {
            target,
            bounds,
            one_at_a_time: Arc::default(),
            figures: Mutex::new(OutputFigures {
                max_bytes: bounds.max_bytes,
                ..OutputFigures::default()
            }),
            is_full: AtomicBool::new(false),
        }
    }

    /// What `/metrics` shows.
    #[must_use]
    pub fn figures(&self) -> OutputFigures {
        *self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends whole lines.
    ///
    /// # Errors
    /// The text is not whole lines of UTF-8, the output is full, or the operating system refuses.
    pub async fn append(self: &Arc<Self>, signal: Signal, lines: Vec<u8>) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let turn = Arc::clone(&self.one_at_a_time).lock_owned().await;
        let output = Arc::clone(self);
        let written = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            output.write(signal, &lines)
        });
        let written = written
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)));
        self.note(&written);
        written.map(|_| ())
    }

    /// Says once that the output is full, and once that it no longer is.
    fn note(&self, written: &io::Result<u64>) {
        let is_full = matches!(written, Err(error) if is_full(error));
        {
            let mut figures = self.figures.lock().unwrap_or_else(PoisonError::into_inner);
            figures.refused += u64::from(is_full);
            if let Ok(bytes) = written {
                figures.bytes = *bytes;
            }
        }
        let was_full = self.is_full.swap(is_full, Ordering::Relaxed);
        match written {
            Err(error) if is_full && !was_full => {
                tracing::warn!(output = %self.target, %error, "An output is full; its exporter is refused until there is room.");
            }
            Ok(_) if was_full => {
                tracing::info!(output = %self.target, "An output has room again.");
            }
            _ => {}
        }
    }

    /// Returns the bytes of the output's files.
    fn write(&self, signal: Signal, lines: &[u8]) -> io::Result<u64> {
        let invalid = |what| io::Error::new(io::ErrorKind::InvalidInput, what);
        if lines.last() != Some(&b'\n') {
            return Err(invalid("the last line has no line feed"));
        }
        if std::str::from_utf8(lines).is_err() {
            return Err(invalid("the lines are not UTF-8"));
        }
        let max_bytes = self.bounds.max_bytes;
        match &self.target {
            OutputTarget::File(path) => append_to_file(path, lines, 0, max_bytes),
            OutputTarget::Directory(directory) => {
                DirBuilder::new()
                    .recursive(true)
                    .mode(0o700)
                    .create(directory)?;
                let path = |signal: Signal| directory.join(format!("{signal}.ndjson"));
                let others = Signal::ALL.into_iter().filter(|other| *other != signal);
                let others =
                    others.map(|other| path(other).metadata().map_or(0, |file| file.len()));
                append_to_file(&path(signal), lines, others.sum(), max_bytes)
            }
            OutputTarget::Stdout => {
                let mut stdout = io::stdout().lock();
                // Somebody may have sent it into a file.
                let bytes = check_room(&stdout, lines, 0, max_bytes)?;
                if stdout.is_terminal() {
                    // A file or a pipe gets what was written; a person sees no more than text.
                    Screen::new(&mut stdout, false).write_all(lines)?;
                } else {
                    stdout.write_all(lines)?;
                }
                stdout.flush()?;
                Ok(bytes)
            }
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::QuotaExceeded | io::ErrorKind::StorageFull
    )
}

/// The bytes of the output's files once `lines` are appended to this one; 0 if it is no regular file.
///
/// # Errors
/// They would be beyond the bound, or the file system would be nearly full.
fn check_room(file: &impl AsFd, lines: &[u8], others: u64, max_bytes: u64) -> io::Result<u64> {
    let stat = rustix::fs::fstat(file)?;
    if !rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file() {
        return Ok(0);
    }
    let used = u64::try_from(stat.st_size).unwrap_or(0) + others;
    let bytes = used + lines.len() as u64;
    if bytes > max_bytes {
        let what = format!(
            "the output is full: it holds {used} of {max_bytes} bytes; move its file away, or raise limits.output_size"
        );
        return Err(io::Error::new(io::ErrorKind::QuotaExceeded, what));
    }
    let disk = rustix::fs::fstatvfs(file)?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let kept = FREE_BYTES.min(disk.f_blocks.saturating_mul(disk.f_frsize) / FREE_SHARE);
    if free < kept + lines.len() as u64 {
        let what = format!(
            "the output's file system has {free} bytes left, and {kept} stay free; make room on it"
        );
        return Err(io::Error::new(io::ErrorKind::StorageFull, what));
    }
    Ok(bytes)
}

fn append_to_file(path: &Path, lines: &[u8], others: u64, max_bytes: u64) -> io::Result<u64> {
    let is_new = !path.exists();
    // Opening a pipe that nobody reads would wait for a reader.
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(nonblocking)
        .open(path)?;
    let before = file.metadata()?;
    let bytes = check_room(&file, lines, others, max_bytes)?;
    if !before.is_file() {
        let flags = rustix::fs::fcntl_getfl(&file)?;
        rustix::fs::fcntl_setfl(&file, flags - rustix::fs::OFlags::NONBLOCK)?;
        // A pipe or a device: there is nothing to sync.
        file.write_all(lines)?;
        return Ok(bytes);
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
    Ok(bytes)
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
        if let Err(reason) = self.writes.take(lines.len()) {
            return Ok(Err(reason));
        }
        let appended = output.append(signal_from(of_signal), lines).await;
        Ok(appended.map_err(|error| format!("cannot append to {}: {error}", output.target)))
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

    const ROOMY: OutputBounds = OutputBounds { max_bytes: 1 << 30 };

    fn output(target: OutputTarget, max_bytes: u64) -> Arc<Output> {
        Arc::new(Output::new(target, OutputBounds { max_bytes }))
    }

    #[tokio::test]
    async fn lines_are_appended_to_a_private_file_for_each_signal() {
        let directory = tempfile::tempdir().unwrap();
        let target = OutputTarget::Directory(directory.path().join("deep/out"));
        let output = Arc::new(Output::new(target, ROOMY));
        for (signal, lines) in [
            (Signal::Traces, "{\"a\":1}\n"),
            (Signal::Traces, "{\"a\":2}\n{\"a\":3}\n"),
            (Signal::Logs, "{}\n"),
        ] {
            output.append(signal, lines.into()).await.unwrap();
        }
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
        assert_eq!(output.figures().bytes, 27, "of all files");
    }

    #[tokio::test]
    async fn torn_or_foreign_text_is_refused_and_not_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out.ndjson");
        let output = Arc::new(Output::new(OutputTarget::File(path.clone()), ROOMY));
        assert!(
            output
                .append(Signal::Traces, b"{\"a\":1}".to_vec())
                .await
                .is_err()
        );
        assert!(
            output
                .append(Signal::Traces, b"\xff\n".to_vec())
                .await
                .is_err()
        );
        output.append(Signal::Traces, Vec::new()).await.unwrap();
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_removed_file_is_made_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out.ndjson");
        let output = Arc::new(Output::new(OutputTarget::File(path.clone()), ROOMY));
        output
            .append(Signal::Traces, b"1\n".to_vec())
            .await
            .unwrap();
        std::fs::remove_file(&path).unwrap();
        output
            .append(Signal::Traces, b"2\n".to_vec())
            .await
            .unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "2\n");
    }

    #[tokio::test]
    async fn full_output_refuses_whole_lines_until_its_file_is_moved_away() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out.ndjson");
        let output = output(OutputTarget::File(path.clone()), 8);
        output
            .append(Signal::Traces, b"12345\n".to_vec())
            .await
            .unwrap();
        let error = output
            .append(Signal::Traces, b"67\n".to_vec())
            .await
            .unwrap_err();
        assert!(is_full(&error), "{error}");
        assert!(error.to_string().contains("holds 6 of 8 bytes"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "12345\n");
        output
            .append(Signal::Traces, b"6\n".to_vec())
            .await
            .unwrap();
        std::fs::rename(&path, directory.path().join("old")).unwrap();
        output
            .append(Signal::Traces, b"67\n".to_vec())
            .await
            .unwrap();
        let (bytes, refused) = (output.figures().bytes, output.figures().refused);
        assert_eq!((bytes, refused), (3, 1));
    }

    #[tokio::test]
    async fn the_files_of_a_directory_share_one_bound() {
        let directory = tempfile::tempdir().unwrap();
        let output = output(OutputTarget::Directory(directory.path().into()), 8);
        output
            .append(Signal::Traces, b"12345\n".to_vec())
            .await
            .unwrap();
        let error = output
            .append(Signal::Logs, b"12\n".to_vec())
            .await
            .unwrap_err();
        assert!(is_full(&error), "{error}");
        output.append(Signal::Logs, b"1\n".to_vec()).await.unwrap();
    }

    #[tokio::test]
    async fn a_pipe_that_nobody_reads_is_an_error_and_no_wait() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        let made = std::process::Command::new("mkfifo")
            .arg(&path)
            .status()
            .unwrap();
        assert!(made.success());
        let output = output(OutputTarget::File(path), 8);
        assert!(
            output
                .append(Signal::Traces, b"1\n".to_vec())
                .await
                .is_err()
        );
    }
}
