//! The queue on disk: what an append has answered survives the process and the power.
//!
//! A directory of segment files that are only ever appended to ([`format`]): events, and between them the changes of
//! cursors and accounts, each segment with a snapshot of the latter at its front. One thread writes ([`writer`]), syncs
//! once for all groups that wait, and answers then. The index of what is owed is in memory ([`state`]); payloads are read
//! from the disk unless they are in the fresh tail. [`recover`] puts the index together again; [`space`] gives room back.
//!
//! Segments are our own files because every embedded store that was measured missed the figures: see ARCHITECTURE.md.

mod cursor;
pub mod files;
mod format;
mod frame;
mod keys;
mod letters;
mod places;
mod recover;
mod saved;
mod space;
mod state;
mod tail;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::sync::{Notify, oneshot};

use super::accounts::{DropReason, ExporterAccounts};
use super::repeats::REPEAT_ENTRIES;
use super::{Appended, CursorOptions, Queue, QueueError, QueueReport};
use crate::deliver::dead_letter::{DeadLetter, DeadLetterError, LetterBounds, Origin};
use crate::deliver::source::{Cursor, CursorError, Settlement, TakeLimits, Tokens, Waiting};
use crate::event::per_signal::PerSignal;
use crate::event::{Event, Signal};
use crate::plugin::guest::BatchItem;

pub use cursor::DurableCursor;
pub use letters::{LetterFilter, LetterInfo};

use files::{Disk, Files};
use saved::{Change, SavedCursor};
use state::{Inner, Located, Place, Segment};
use writer::{Command, Writer};

/// How much of a segment is read at once for a take.
const READ_BYTES: u64 = 1 << 20;

/// Bounds of a [`DurableQueue`].
#[derive(Clone, Copy, Debug)]
pub struct DurableQueueSettings {
    /// Of all files but the keys of the repeat window (24 bytes a key). At least 1 MiB.
    pub max_disk_bytes: u64,
    /// Of waiting events, overhead included; the disk bound allows about 3/4 of it whatever is said here.
    pub max_queued_bytes: u64,
    /// Memory of the index of what waits: 8 to 25 bytes an event.
    pub max_index_bytes: u64,
    /// Bytes of the newest events that stay in memory beside the disk, so that the normal path does not read it.
    pub cache_bytes: u64,
    /// How long an event is remembered at least, so that its repeats are dropped.
    pub repeat_window: Duration,
    /// How many events are remembered at most, and at least half of them; each costs about 20 bytes of memory.
    pub repeat_entries: usize,
    /// What a refused sender is told to wait.
    pub retry_after: Duration,
    /// How long the cursor of an exporter that is no longer there is kept.
    pub retire_after: Duration,
    /// Of the events that exporters gave up.
    pub exporter_letters: LetterBounds,
    /// Of what receivers refused.
    pub receiver_letters: LetterBounds,
}

impl Default for DurableQueueSettings {
    fn default() -> Self {
        Self {
            max_disk_bytes: 2 << 30,
            max_queued_bytes: u64::MAX,
            max_index_bytes: 160 << 20,
            cache_bytes: 16 << 20,
            repeat_window: Duration::from_secs(3600),
            repeat_entries: REPEAT_ENTRIES,
            retry_after: Duration::from_secs(5),
            retire_after: Duration::from_secs(24 * 3600),
            exporter_letters: LetterBounds {
                max_bytes: 256 << 20,
                max_age: Duration::from_secs(7 * 24 * 3600),
            },
            receiver_letters: LetterBounds {
                max_bytes: 64 << 20,
                max_age: Duration::from_secs(7 * 24 * 3600),
            },
        }
    }
}

impl DurableQueueSettings {
    /// What a segment holds before the next one is begun.
    fn segment_bytes(&self) -> u64 {
        (self.max_disk_bytes / 32).clamp(4 << 10, 32 << 20)
    }

    /// How many segments later one leaves the system's page cache: when who is that far behind can as well wait for the
    /// disk. Pages that are given up take the next writes. Without them every write of a backlog goes to fresh memory,
    /// which costs several times the CPU where a hypervisor has to find it first, and pushes out what others have cached.
    fn cached_segments(&self) -> u32 {
        let bytes = (self.max_disk_bytes / 8).min(256 << 20);
        u32::try_from(bytes / self.segment_bytes()).unwrap_or(1)
    }

    const fn letter_bounds(&self) -> letters::Bounds {
        letters::Bounds {
            exporters: self.exporter_letters,
            receivers: self.receiver_letters,
        }
    }

    /// What live events and dead letters may take together: below the disk bound by the reserve that moving aside and
    /// settlements need.
    fn live_bytes(&self) -> u64 {
        self.max_disk_bytes.saturating_sub(3 * self.segment_bytes()) / 8 * 7
    }

    /// What live events may take where there are no dead letters.
    fn capacity_bytes(&self) -> u64 {
        self.live_bytes().min(self.max_queued_bytes)
    }

    /// What of the capacity is taken by so many bytes of dead letters.
    fn taken_by(&self, letters: u64) -> u64 {
        letters.saturating_sub(self.live_bytes().saturating_sub(self.max_queued_bytes))
    }
}

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error(
        "queue directory {} is in use by another process; stop it, or give this one another data directory", .directory.display()
    )]
    InUse {
        /// The directory.
        directory: PathBuf,
    },
    /// Written by a newer host.
    #[error(
        "queue directory {} has format {format}, this host reads up to {}: use the newer host, or another data directory", .directory.display(), format::FORMAT
    )]
    Newer {
        /// The directory.
        directory: PathBuf,
        /// Its format.
        format: u32,
    },
    /// Not a queue's.
    #[error("{} is not a queue directory: its file `format` holds no number", .directory.display())]
    Unknown {
        /// The directory.
        directory: PathBuf,
    },
    /// The disk said no.
    #[error("queue directory {} cannot be used: {source}", .directory.display())]
    Io {
        /// The directory.
        directory: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// A cursor as the operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CursorInfo {
    /// Exporter id.
    pub exporter: String,
    /// Since when no exporter of this id runs, unix nanoseconds; `None`: one does.
    pub absent_since: Option<u64>,
    /// What waits and what became of the rest.
    pub report: super::CursorReport,
}

/// See the module. Cheap to clone. The directory is free again when [`DurableQueue::shut_down`] has returned, or the
/// last clone and cursor are gone and the writer has ended.
#[derive(Clone)]
pub struct DurableQueue {
    inner: Arc<Inner>,
    commands: Sender<Command>,
}

fn unix_nanos_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|age| u64::try_from(age.as_nanos()).ok())
        .unwrap_or(0)
}

fn stopped() -> String {
    "the queue was shut down".to_owned()
}

impl DurableQueue {
    /// Opens a directory, which is made if it is not there. Blocks while it reads.
    ///
    /// # Errors
    /// [`OpenError`]
    pub fn open(directory: &Path, settings: DurableQueueSettings) -> Result<Self, OpenError> {
        Self::open_on(Arc::new(Disk), directory, settings)
    }

    /// The same on another file layer.
    ///
    /// # Errors
    /// [`OpenError`]
    pub fn open_on(
        files: Arc<dyn Files>,
        directory: &Path,
        settings: DurableQueueSettings,
    ) -> Result<Self, OpenError> {
        let (inner, commands) = recover::open(directory, settings, files)?;
        Ok(Self { inner, commands })
    }

    /// Writes and syncs what is left and gives the directory up. Everything later fails.
    pub async fn shut_down(&self) {
        self.inner.lock().core.is_closed = true;
        let (released, wait) = oneshot::channel();
        let stop = move |writer: &mut Writer| {
            writer.is_stopped = true;
            writer.on_end.push(released);
        };
        if self.commands.send(Command::Do(Box::new(stop))).is_ok() {
            let _ended = wait.await;
        }
    }

    /// No exporter of this id runs any more: its place is kept for as long as it is said to be, from now on.
    ///
    /// # Errors
    /// [`QueueError::Store`]
    pub async fn leave(&self, exporter_id: &str) -> Result<(), QueueError> {
        self.set_absent(exporter_id, true).await
    }

    /// An exporter of this id is wanted, though none runs: its place does not grow old.
    ///
    /// # Errors
    /// [`QueueError::Store`]
    pub async fn stay(&self, exporter_id: &str) -> Result<(), QueueError> {
        self.set_absent(exporter_id, false).await
    }

    async fn set_absent(&self, exporter_id: &str, is_absent: bool) -> Result<(), QueueError> {
        let id: Arc<str> = exporter_id.into();
        let left = self.do_there(move |writer| {
            let cursor = {
                let mut state = writer.inner.lock();
                if is_absent && state.core.cursors.contains_key(&id) {
                    state.absent.insert(Arc::clone(&id), unix_nanos_now());
                } else if !is_absent && state.absent.remove(&id).is_none() {
                    return Ok(());
                }
                state.saved_cursor(&id)
            };
            let Some(cursor) = cursor else { return Ok(()) };
            writer.write_change(&Change::Cursor {
                exporter: id.to_string(),
                cursor: Box::<SavedCursor>::new(cursor),
            })
        });
        left.await.map_err(|cause| QueueError::Store { cause })
    }

    /// All cursors, those of removed exporters included.
    #[must_use]
    pub fn cursors(&self) -> Vec<CursorInfo> {
        let report = self.report();
        let state = self.inner.lock();
        let info = |(exporter, report): (String, super::CursorReport)| CursorInfo {
            absent_since: state.absent.get(exporter.as_str()).copied(),
            exporter,
            report,
        };
        report.cursors.into_iter().map(info).collect()
    }

    /// Why nothing more is written, if so: the host must be started again.
    #[must_use]
    pub fn broken(&self) -> Option<String> {
        self.inner.lock().broken.clone()
    }

    /// The dead letters that are meant, oldest first.
    #[must_use]
    pub fn dead_letters(&self, filter: &LetterFilter) -> Vec<LetterInfo> {
        let state = self.inner.lock();
        let letters = state.letters.iter().map(|letter| &letter.info);
        letters
            .filter(|info| filter.matches(info))
            .cloned()
            .collect()
    }

    /// One dead letter with its payload; `None` if there is none of this id.
    ///
    /// # Errors
    /// It could not be read.
    pub async fn dead_letter(&self, id: u64) -> Result<Option<DeadLetter>, DeadLetterError> {
        self.do_there(move |writer| {
            let letter = writer.inner.lock().letters.get(id).cloned();
            let Some(letter) = letter else {
                return Ok(None);
            };
            writer.letter_at(&letter).map(|(_, letter)| Some(letter))
        })
        .await
        .map_err(|cause| DeadLetterError { cause })
    }

    /// Removes dead letters; they are counted as dropped (purged). Returns how many there were.
    ///
    /// # Errors
    /// It could not be written.
    pub async fn purge_dead_letters(&self, ids: Vec<u64>) -> Result<u64, DeadLetterError> {
        self.do_there(move |writer| {
            let (gone, change) = writer.letters_gone(&ids, Some(DropReason::Purged));
            writer.write_change(&change)?;
            Ok(gone.len() as u64)
        })
        .await
        .map_err(|cause| DeadLetterError { cause })
    }

    /// Makes dead letters wait again for the exporter that gave them up. Those of receivers and of forgotten exporters
    /// stay. Returns how many wait again.
    ///
    /// # Errors
    /// They could not be read or written.
    pub async fn replay_dead_letters(&self, ids: Vec<u64>) -> Result<u64, DeadLetterError> {
        self.do_there(move |writer| {
            let mut replayed = 0;
            for id in ids {
                replayed += u64::from(writer.replay(id)?);
            }
            Ok(replayed)
        })
        .await
        .map_err(|cause| DeadLetterError { cause })
    }

    /// Has the writer do something between two writes.
    async fn do_there<T: Send + 'static>(
        &self,
        task: impl FnOnce(&mut Writer) -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        let (reply, answer) = oneshot::channel();
        let task = move |writer: &mut Writer| {
            let _gone = reply.send(task(writer));
        };
        self.commands
            .send(Command::Do(Box::new(task)))
            .map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

impl DurableQueue {
    /// Keeps letters of receivers and returns when they are synced.
    ///
    /// # Errors
    /// The disk failed, or the queue has stopped; none was kept.
    pub async fn keep(&self, letters: Vec<DeadLetter>) -> Result<(), DeadLetterError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.commands.send(Command::Keep { letters, reply });
        let kept = match sent {
            Ok(()) => answer.await.unwrap_or_else(|_| Err(stopped())),
            Err(_) => Err(stopped()),
        };
        kept.map_err(|cause| DeadLetterError { cause })
    }
}

impl Writer {
    /// Makes a dead letter wait again; false if it cannot.
    fn replay(&mut self, id: u64) -> Result<bool, String> {
        let letter = self.inner.lock().letters.get(id).cloned();
        let Some(letter) = letter else {
            return Ok(false);
        };
        let (Origin::Exporter(exporter), Some(kind)) = (&letter.info.origin, letter.info.kind)
        else {
            return Ok(false);
        };
        let (signal, exporter) = (kind.signal(), Arc::clone(exporter));
        let (description, dead) = self.letter_at(&letter)?;
        let (high, low) = description.repeat_key;
        let event = Arc::new(Event {
            kind,
            payload: dead.payload,
            received_at: dead.received_at,
            source: dead.source,
            repeat_key: u128::from(high) << 64 | u128::from(low),
            lane: description.lane,
        });
        let sequence = {
            let state = self.inner.lock();
            let wants = |entry: &super::core::Entry| entry.state.wants(kind);
            if !state.core.cursors.get(&exporter).is_some_and(wants) {
                return Ok(false);
            }
            state.core.log.next(signal)
        };
        let salt = self.active.salt;
        let (offset, length) = format::push_event(&mut self.frame.changes, salt, sequence, &event);
        let only = Change::Only {
            exporter: exporter.to_string(),
            signal: signal.name().to_owned(),
            sequence,
        };
        let start = self.active.length;
        let place = Place {
            received_at: event.received_at,
            lane: event.lane,
            segment: self.active.number,
            offset: u32::try_from(start).unwrap_or(u32::MAX) + u32::try_from(offset).unwrap_or(0),
            length: u32::try_from(length).unwrap_or(u32::MAX),
            size: u32::try_from(event.size_bytes()).unwrap_or(u32::MAX),
            kind,
        };
        self.frame.change(salt, &only);
        let (_, gone) = self.letters_gone(&[id], None);
        self.write_change(&gone)?;
        self.revive(&exporter, signal, sequence, place);
        Ok(true)
    }

    fn revive(&mut self, exporter: &Arc<str>, signal: Signal, sequence: u64, place: Place) {
        let mut state = self.inner.lock();
        let core = &mut state.core;
        let mut pins = super::log::Pins::default();
        for (id, entry) in &mut core.cursors {
            if id == exporter {
                pins.add(entry.state.on_full);
                entry.state.revive(signal, u64::from(place.size));
                entry.grown.notify_one();
            } else {
                entry.state.skip(signal, sequence);
            }
        }
        core.log.push(place, pins);
    }
}

impl Queue for DurableQueue {
    type Cursor = DurableCursor;

    async fn append(&self, events: Vec<Event>) -> Result<Appended, QueueError> {
        let (reply, answer) = oneshot::channel();
        let events = events.into_iter().map(Arc::new).collect();
        let stopped = |_| QueueError::Store { cause: stopped() };
        if self
            .commands
            .send(Command::Append { events, reply })
            .is_err()
        {
            return Err(QueueError::Closed);
        }
        answer.await.map_err(stopped)?
    }

    async fn open(
        &self,
        exporter_id: &str,
        options: CursorOptions,
    ) -> Result<DurableCursor, QueueError> {
        let exporter_id: Arc<str> = exporter_id.into();
        let id = Arc::clone(&exporter_id);
        let opened = self.do_there(move |writer| {
            let (opened, cursor) = {
                let mut state = writer.inner.lock();
                let (generation, grown, freed) = state.core.open(&id, options);
                state.absent.remove(&id);
                state.uncached(&freed);
                let cursor = state.saved_cursor(&id).unwrap_or_default();
                ((generation, grown), cursor)
            };
            writer.write_change(&Change::Cursor {
                exporter: id.to_string(),
                cursor: Box::<SavedCursor>::new(cursor),
            })?;
            Ok(opened)
        });
        let (generation, grown) = opened.await.map_err(|cause| QueueError::Store { cause })?;
        Ok(DurableCursor {
            exporter_id,
            generation,
            grown,
            inner: Arc::clone(&self.inner),
            commands: self.commands.clone(),
        })
    }

    async fn forget(&self, exporter_id: &str) -> Result<ExporterAccounts, QueueError> {
        let exporter = exporter_id.to_owned();
        self.do_there(move |writer| Ok(writer.forget(&exporter)))
            .await
            .unwrap_or_else(|cause| Err(QueueError::Store { cause }))
    }

    fn close(&self) {
        self.inner.lock().core.is_closed = true;
    }

    fn report(&self) -> QueueReport {
        let settings = &self.inner.settings;
        let state = self.inner.lock();
        let capacity_bytes = settings.capacity_bytes();
        QueueReport {
            max_index_bytes: settings.max_index_bytes,
            dead_letters: state.letters.report(&settings.letter_bounds()),
            ..state
                .core
                .report(capacity_bytes.saturating_sub(settings.taken_by(state.letters.bytes())))
        }
    }
}

#[cfg(test)]
mod tests;
