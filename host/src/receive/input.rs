//! Events from a file or from standard input, one envelope a line. Memory is bounded by one stretch of lines; a line
//! over the cap is refused without being kept. Called by the command `run --input`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::batch::{Batch, MAX_PAYLOAD_BYTES};
use super::events::read_line;
use super::split::without_mark;
use crate::event::Source;
use crate::event::fields::FieldError;

/// Longest line: a record with many strings of Mastra's own cap, 128 Ki characters each.
pub const MAX_LINE_BYTES: usize = 64 << 20;

/// How much is asked of the file at a time.
const READ_BYTES: usize = 1 << 20;

/// A file of events being read.
pub struct Input {
    reader: Box<dyn AsyncRead + Send + Unpin>,
    buffer: BytesMut,
    /// Bytes at the front of the buffer in which there is no line end.
    searched: usize,
    total_bytes: Option<u64>,
    read_bytes: u64,
    line: u64,
    max_line_bytes: usize,
    state: State,
    source: Arc<Source>,
    clock: fn() -> u64,
}

enum State {
    Reading,
    /// In a line that is too long: its length so far, and its beginning.
    Skipping(usize, Bytes),
    AtEnd,
}

/// The input could not be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The file cannot be opened.
    #[error("cannot open input {}", .path.display())]
    Open {
        /// As given.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Reading failed on the way.
    #[error("cannot read input after line {line}")]
    Read {
        /// The last complete line.
        line: u64,
        /// Why.
        source: io::Error,
    },
}

enum Line {
    Whole(Bytes),
    TooLong(usize, Bytes),
}

impl Input {
    /// Opens a file; `-` is standard input.
    ///
    /// # Errors
    /// [`InputError::Open`]
    pub async fn open(path: &Path, clock: fn() -> u64) -> Result<Self, InputError> {
        if path == Path::new("-") {
            return Ok(Self::new(Box::new(tokio::io::stdin()), None, clock));
        }
        let failed = |source| InputError::Open {
            path: path.to_owned(),
            source,
        };
        let file = tokio::fs::File::open(path).await.map_err(failed)?;
        let metadata = file.metadata().await.map_err(failed)?;
        let total_bytes = metadata.is_file().then_some(metadata.len());
        Ok(Self::new(Box::new(file), total_bytes, clock))
    }

    /// Reads from anything. `total_bytes` is only passed on.
    #[must_use]
    pub fn new(
        reader: Box<dyn AsyncRead + Send + Unpin>,
        total_bytes: Option<u64>,
        clock: fn() -> u64,
    ) -> Self {
        Self {
            reader,
            buffer: BytesMut::new(),
            searched: 0,
            total_bytes,
            read_bytes: 0,
            line: 0,
            max_line_bytes: MAX_LINE_BYTES,
            state: State::Reading,
            source: Arc::new(Source {
                receiver: "input".to_owned(),
                ..Source::default()
            }),
            clock,
        }
    }

    /// With another cap on the length of a line.
    #[must_use]
    pub const fn with_max_line_bytes(mut self, bytes: usize) -> Self {
        self.max_line_bytes = bytes;
        self
    }

    /// Bytes of the lines handed out so far, for a progress bar.
    #[must_use]
    pub const fn bytes_read(&self) -> u64 {
        self.read_bytes
    }

    /// Length of the input, where it is known.
    #[must_use]
    pub const fn bytes_total(&self) -> Option<u64> {
        self.total_bytes
    }

    /// The source of all events of this input, for dead letters.
    #[must_use]
    pub const fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// The next lines, until there are so many events or so many bytes of them; at least one line. `None` at the end.
    /// Indexes of refused items are line numbers, from 1. When dropped half-way no line is lost.
    ///
    /// # Errors
    /// [`InputError::Read`]
    pub async fn next_batch(
        &mut self,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<Option<Batch>, InputError> {
        let mut batch = Batch::default();
        let mut bytes = 0;
        let mut lines = 0_usize;
        // A cancelled call must not lose what it has read: lines are taken only while none has to be waited for.
        while lines < max_events.max(1) && bytes < max_bytes.max(1) {
            if lines > 0 && !self.has_line() {
                break;
            }
            let Some(line) = self.next_line().await? else {
                break;
            };
            lines += 1;
            match line {
                Line::TooLong(length, head) => {
                    let reason = format!(
                        "must be a line of at most {} bytes, has {length}",
                        self.max_line_bytes
                    );
                    let head_text = String::from_utf8_lossy(head.get(..400).unwrap_or(&head));
                    batch.refuse(
                        self.line,
                        None,
                        FieldError::new("", &head_text, reason),
                        &head,
                    );
                }
                Line::Whole(line) => {
                    bytes += line.len();
                    self.read(line, &mut batch);
                }
            }
        }
        Ok((lines > 0).then_some(batch))
    }

    fn read(&self, line: Bytes, batch: &mut Batch) {
        let text = if self.line == 1 {
            without_mark(&line)
        } else {
            &line
        }
        .trim_ascii();
        if text.is_empty() {
            return;
        }
        match read_line(&line.slice_ref(text), (self.clock)(), &self.source) {
            Ok(envelope) => batch.add(envelope),
            Err(error) => batch.refuse(self.line, None, error, text),
        }
    }

    fn has_line(&mut self) -> bool {
        self.line_end().is_some()
    }

    /// Position of the next line end in the buffer.
    fn line_end(&mut self) -> Option<usize> {
        let unsearched = self.buffer.get(self.searched..)?;
        let found = unsearched.iter().position(|byte| *byte == b'\n');
        match found {
            Some(offset) => Some(self.searched + offset),
            None => {
                self.searched = self.buffer.len();
                None
            }
        }
    }

    /// Cancellation safe: what was read stays in the buffer.
    async fn next_line(&mut self) -> Result<Option<Line>, InputError> {
        loop {
            if let Some(end) = self.line_end() {
                return Ok(Some(self.take(end, 1)));
            }
            if let State::AtEnd = self.state {
                let left = self.buffer.len();
                return Ok((left > 0).then(|| self.take(left, 0)));
            }
            if self.buffer.len() > self.max_line_bytes {
                self.skip();
            }
            self.buffer.reserve(READ_BYTES);
            let read = self.reader.read_buf(&mut self.buffer).await;
            let line = self.line;
            if read.map_err(|source| InputError::Read { line, source })? == 0 {
                let left = self.buffer.len();
                if let State::Skipping(..) = self.state {
                    let line = self.take(left, 0);
                    self.state = State::AtEnd;
                    return Ok(Some(line));
                }
                self.state = State::AtEnd;
            }
        }
    }

    /// Forgets what is in the buffer but for the beginning of the line.
    fn skip(&mut self) {
        let length = self.buffer.len();
        self.state = match std::mem::replace(&mut self.state, State::Reading) {
            State::Skipping(before, head) => State::Skipping(before + length, head),
            State::Reading | State::AtEnd => State::Skipping(length, head_of(&self.buffer)),
        };
        self.buffer.clear();
        self.searched = 0;
    }

    /// Takes the line of which `length` bytes are at the front of the buffer, and its end.
    fn take(&mut self, length: usize, end_bytes: usize) -> Line {
        let (before, skipped_head) = match &mut self.state {
            State::Skipping(before, head) => (*before, Some(std::mem::take(head))),
            State::Reading | State::AtEnd => (0, None),
        };
        let whole = before + length;
        let line = self.buffer.split_to(length).freeze();
        self.advance(whole, end_bytes);
        if let State::Skipping(..) = self.state {
            self.state = State::Reading;
        }
        match skipped_head {
            Some(head) => Line::TooLong(whole, head),
            None if whole > self.max_line_bytes => Line::TooLong(whole, head_of(&line)),
            None => Line::Whole(line),
        }
    }

    fn advance(&mut self, length: usize, end_bytes: usize) {
        self.buffer.advance(end_bytes);
        self.searched = 0;
        self.line += 1;
        self.read_bytes += (length + end_bytes) as u64;
    }
}

/// What is kept of a line that is too long.
fn head_of(line: &[u8]) -> Bytes {
    Bytes::copy_from_slice(line.get(..MAX_PAYLOAD_BYTES).unwrap_or(line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::decode::record;

    const CORPUS: &str = include_str!("../../../tests/corpus/events.ndjson");

    fn input(bytes: impl Into<Vec<u8>>) -> Input {
        Input::new(Box::new(std::io::Cursor::new(bytes.into())), None, || 7)
    }

    async fn all(mut input: Input, max_events: usize) -> (Batch, u64) {
        let mut all = Batch::default();
        while let Some(batch) = input.next_batch(max_events, usize::MAX).await.unwrap() {
            assert!(batch.events.len() <= max_events);
            all.events.extend(batch.events);
            all.refused.extend(batch.refused);
            all.refused_total += batch.refused_total;
            all.drop_reports.extend(batch.drop_reports);
        }
        (all, input.bytes_read())
    }

    #[tokio::test]
    async fn a_file_is_read_to_its_end_with_its_length_known() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/events.ndjson");
        let input = Input::open(&path, || 7).await.unwrap();
        assert_eq!(input.bytes_total(), Some(CORPUS.len() as u64));
        let (batch, bytes) = all(input, 10).await;
        assert_eq!(
            (batch.events.len(), batch.refused_total, bytes),
            (94, 0, CORPUS.len() as u64)
        );
        assert!(
            batch
                .events
                .iter()
                .all(|event| record(event).is_ok() && event.source.receiver == "input")
        );
        let missing = Input::open(Path::new("/no/such/file"), || 7)
            .await
            .err()
            .unwrap();
        assert_eq!(missing.to_string(), "cannot open input /no/such/file");
    }

    #[tokio::test]
    async fn bad_lines_are_named_by_their_number() {
        let good = CORPUS.lines().next().unwrap();
        let text = format!("\u{feff}{good}\r\n\nnonsense\n{{\"type\":\"log\"}}\n   \n{good}");
        let length = text.len() as u64;
        let (batch, bytes) = all(input(text), 100).await;
        assert_eq!(batch.events.len(), 2);
        let refused: Vec<_> = batch
            .refused
            .iter()
            .map(|item| (item.index, item.field.as_str()))
            .collect();
        assert_eq!(refused, [(3, ""), (4, "log")]);
        assert_eq!(bytes, length);
    }

    #[tokio::test]
    async fn a_line_over_the_cap_is_refused_and_the_next_ones_are_read() {
        let good = CORPUS.lines().next().unwrap();
        for length in [5_000_usize, 3_000_000] {
            let text = format!(
                "{good}\n{}\n{good}\n{}",
                "x".repeat(length),
                "y".repeat(length)
            );
            let expected = text.len() as u64;
            let (batch, bytes) = all(input(text).with_max_line_bytes(4_000), 100).await;
            assert_eq!(batch.events.len(), 2, "{length}");
            let refused: Vec<_> = batch.refused.iter().map(|item| item.index).collect();
            assert_eq!(refused, [2, 4], "{length}");
            assert!(
                batch.refused[0].reason.contains("at most 4000 bytes"),
                "{}",
                batch.refused[0].reason
            );
            assert!(
                batch.refused[1].reason.ends_with(&format!("has {length}")),
                "{}",
                batch.refused[1].reason
            );
            assert_eq!(bytes, expected);
        }
    }

    #[tokio::test]
    async fn a_huge_line_under_the_cap_is_an_event() {
        let huge = format!(
            r#"{{"type":"log","log":{{"logId":"l","timestamp":"2026-03-04T05:06:07Z","level":"info","message":"{}"}}}}"#,
            "x".repeat(9_000_000)
        );
        let (batch, _) = all(input(format!("{huge}\n{huge}")), 1).await;
        assert_eq!(batch.events.len(), 2);
    }

    #[tokio::test]
    async fn lines_are_handed_out_as_they_come_and_none_is_lost_when_the_caller_stops_waiting() {
        let (mut writer, reader) = tokio::io::duplex(1 << 20);
        let mut input = Input::new(Box::new(reader), None, || 7);
        let line = CORPUS.lines().next().unwrap();
        let half = line.len() / 2;
        let write = |text: &str| text.as_bytes().to_vec();
        use tokio::io::AsyncWriteExt as _;
        writer
            .write_all(&write(&format!("{line}\n{}", &line[..half])))
            .await
            .unwrap();
        assert_eq!(
            input
                .next_batch(10, usize::MAX)
                .await
                .unwrap()
                .unwrap()
                .events
                .len(),
            1
        );
        tokio::select! {
            biased;
            _ = input.next_batch(10, usize::MAX) => panic!("there is no whole line"),
            () = tokio::task::yield_now() => {}
        }
        writer
            .write_all(&write(&format!("{}\n", &line[half..])))
            .await
            .unwrap();
        assert_eq!(
            input
                .next_batch(10, usize::MAX)
                .await
                .unwrap()
                .unwrap()
                .events
                .len(),
            1
        );
        drop(writer);
        assert!(input.next_batch(10, usize::MAX).await.unwrap().is_none());
        assert!(input.next_batch(10, usize::MAX).await.unwrap().is_none());
    }
}
