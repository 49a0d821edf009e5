//! The writer: one thread that makes every change of the queue that is kept, in order. It takes what has come while it
//! wrote, writes that at once, syncs once for all of its groups, and only then changes the state that others see and
//! answers.
//!
//! - A settlement is answered when it is written (a killed process loses nothing) and synced with the next group, or
//!   within [`SYNC_DELAY`]; a power failure before costs a redelivery.
//! - A write that fails is cut off again; its groups and settlements are refused, and the queue goes on. After a sync that
//!   fails nothing is known of what is on the disk: the queue writes nothing more until it is opened again, which writes
//!   the last segment anew.

mod apply;
mod upkeep;

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{error, info};

use super::files::{Files, LogFile};
use super::format::{self, RecordType};
use super::frame::{Admitted, AppendReply, Frame, SettleReply, Settled, push_json};
use super::keys::{KEYS, Key};
use super::letters::{Description, Letter};
use super::recover::{DirectoryLock, LOG, numbered};
use super::saved::{Change, End};
use super::state::{Inner, Place, Segment, State};
use super::unix_nanos_now;
use crate::deliver::dead_letter::DeadLetter;
use crate::deliver::source::{CursorError, Fate, Settlement};
use crate::event::{Event, Signal};
use crate::queue::accounts::DropReason;
use crate::queue::core::Bounds;
use crate::queue::cursor::Freed;
use crate::queue::log::token;
use crate::queue::{Appended, QueueError};
use apply::{add_now, lost_event, settle_now, taken_ranges};
pub(super) use upkeep::make_reserve;

/// How long a settlement that is written waits for its sync.
const SYNC_DELAY: Duration = Duration::from_millis(100);

/// How often it is looked for what has grown too old.
const TICK: Duration = Duration::from_secs(5);

/// A write takes no further commands beyond this.
pub(super) const FRAME_BYTES: u64 = 4 << 20;

/// What a full file system has left for settlements, so that room can be made.
pub(super) const RESERVE_BYTES: usize = 256 * 1024;
pub(super) const RESERVE: &str = "reserve";

/// Something to be done between two writes.
pub(super) type Task = Box<dyn FnOnce(&mut Writer) + Send>;

/// What the writer is asked for.
pub(super) enum Command {
    Append {
        events: Vec<Arc<Event>>,
        reply: AppendReply,
    },
    Settle {
        exporter: Arc<str>,
        generation: u64,
        settlement: Settlement,
        reply: SettleReply,
    },
    Keep {
        letters: Vec<DeadLetter>,
        reply: tokio::sync::oneshot::Sender<Result<(), String>>,
    },
    Do(Task),
}

/// See the module.
pub(super) struct Writer {
    pub(super) inner: Arc<Inner>,
    pub(super) files: Arc<dyn Files>,
    pub(super) directory: PathBuf,
    pub(super) active: Active,
    pub(super) frame: Frame,
    /// Made in memory and not yet written.
    pub(super) carry: Vec<Change>,
    pub(super) unsynced: bool,
    /// The directory's entry of the active segment may not be on the disk.
    pub(super) is_unlisted: bool,
    pub(super) has_reserve: bool,
    pub(super) is_stopped: bool,
    /// Times of receipt and repeat keys of the active segment.
    pub(super) keys: Vec<Key>,
    /// Files of keys: number, keys, latest time of receipt.
    pub(super) key_files: std::collections::VecDeque<(u32, usize, u64)>,
    /// Who is told when the directory is free again.
    pub(super) on_end: Vec<tokio::sync::oneshot::Sender<()>>,
    /// Held as long as the directory is ours.
    pub(super) lock: DirectoryLock,
}

/// The segment that is written to.
pub(super) struct Active {
    pub(super) number: u32,
    pub(super) file: Arc<dyn LogFile>,
    pub(super) salt: u64,
    pub(super) length: u64,
}

impl Writer {
    /// Serves until it is stopped or nobody is left to ask.
    pub(super) fn run(mut self, commands: &Receiver<Command>) {
        let mut ticked = std::time::Instant::now();
        while !self.is_stopped {
            let patience = if self.unsynced || !self.carry.is_empty() {
                SYNC_DELAY
            } else {
                TICK
            };
            match commands.recv_timeout(patience) {
                Ok(command) => {
                    self.begin();
                    self.accept(command);
                    while self.frame.bytes() < FRAME_BYTES
                        && !self.is_stopped
                        && let Ok(command) = commands.try_recv()
                    {
                        self.accept(command);
                    }
                    let _answered = self.commit();
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.begin();
                    let _answered = self.commit();
                    self.sync_rest();
                    // Its buffers are large after a burst.
                    self.frame = Frame::default();
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if ticked.elapsed() >= TICK {
                ticked = std::time::Instant::now();
                self.expire(unix_nanos_now());
            }
            self.reclaim();
        }
        self.begin();
        let _answered = self.commit();
        self.sync_rest();
        drop(self.lock);
        for waiting in self.on_end {
            let _gone = waiting.send(());
        }
    }

    /// Starts a frame: in a new segment if the last one is full, with what was left over.
    pub(super) fn begin(&mut self) {
        if self.active.length >= self.inner.settings.segment_bytes()
            && let Err(cause) = self.rotate()
        {
            error!(%cause, "The queue could not begin a new segment; the last one grows on.");
        }
        let salt = self.active.salt;
        for change in std::mem::take(&mut self.carry) {
            self.frame.change(salt, &change);
        }
    }

    fn accept(&mut self, command: Command) {
        match command {
            Command::Append { events, reply } => self.append(events, reply),
            Command::Settle {
                exporter,
                generation,
                settlement,
                reply,
            } => self.settle(Settled {
                exporter,
                generation,
                settlement,
                reply,
            }),
            Command::Keep { letters, reply } => {
                for letter in letters {
                    self.bury(&letter, 0, 0);
                }
                self.frame.kept.push(reply);
            }
            Command::Do(task) => {
                let _answered = self.commit();
                self.begin();
                task(self);
                let _answered = self.commit();
                self.begin();
            }
        }
    }

    fn append(&mut self, events: Vec<Arc<Event>>, reply: AppendReply) {
        let inner = Arc::clone(&self.inner);
        let mut guard = inner.lock();
        let state = &mut *guard;
        if let Some(cause) = &state.broken {
            let cause = cause.clone();
            return drop(reply.send(Err(QueueError::Store { cause })));
        }
        if state.core.is_closed {
            return drop(reply.send(Err(QueueError::Closed)));
        }
        let settings = &inner.settings;
        let bounds = Bounds {
            capacity_bytes: settings.capacity_bytes(),
            other_bytes: settings.taken_by(state.letters.bytes()),
            max_index_bytes: settings.max_index_bytes,
            retry_after: settings.retry_after,
        };
        state.core.repeats.expire(Instant::now());
        let mark = state.core.repeats.mark();
        let group = state.core.sift(events);
        let admitted = state.core.admit(&group, &self.frame.pending, &bounds);
        for note in std::mem::take(&mut state.core.drops) {
            self.frame.change(self.active.salt, &Change::from(&note));
        }
        if let Err(error) = admitted {
            state.core.repeats.undo_to(mark);
            return drop(reply.send(Err(error)));
        }
        if self.frame.admitted.is_empty() {
            self.frame.totals.next = Signal::ALL.map(|signal| state.core.log.next(signal));
        }
        drop(guard);
        self.frame.pending.count(&group);
        self.frame.totals.count(&group);
        let places = self.write_events(&group.events, |kind| group.is_owed(kind));
        self.frame.admitted.push(Admitted {
            group,
            reply,
            places,
        });
    }

    fn write_events(
        &mut self,
        events: &[Arc<Event>],
        is_owed: impl Fn(crate::event::EventKind) -> bool,
    ) -> Vec<Place> {
        let frame = &mut self.frame;
        let mut places = Vec::with_capacity(events.len());
        for event in events.iter().filter(|event| is_owed(event.kind)) {
            let Some(next) = frame.totals.next.get_mut(event.signal().index()) else {
                continue;
            };
            let (offset, length) =
                format::push_event(&mut frame.events, self.active.salt, *next, event);
            *next += 1;
            places.push(Place {
                received_at: event.received_at,
                lane: event.lane,
                segment: self.active.number,
                offset: u32::try_from(offset).unwrap_or(u32::MAX),
                length: u32::try_from(length).unwrap_or(u32::MAX),
                size: u32::try_from(event.size_bytes()).unwrap_or(u32::MAX),
                kind: event.kind,
            });
        }
        places
    }

    fn settle(&mut self, settled: Settled) {
        let inner = Arc::clone(&self.inner);
        let mut state = inner.lock();
        let signal = settled.settlement.signal;
        let ranges = match taken_ranges(&mut state, &settled) {
            Ok(ranges) => ranges,
            Err(error) => return drop(settled.reply.send(Err(error))),
        };
        if !self.frame.claim(&settled.exporter, signal, &ranges) {
            let error = CursorError::NotTaken {
                exporter: settled.exporter.to_string(),
                token: settled
                    .settlement
                    .parts
                    .first()
                    .map_or(0, |(run, _)| run.first),
            };
            return drop(settled.reply.send(Err(error)));
        }
        let mut dead = Vec::new();
        let mut parts = Vec::with_capacity(ranges.len());
        for ((_, fate), (start, end)) in settled.settlement.parts.iter().zip(ranges) {
            let how = match fate {
                Fate::Delivered => End::Delivered,
                Fate::Filtered => End::Filtered,
                Fate::DeadLettered { reason, attempts } => {
                    for (sequence, place) in state.core.log.live(signal, start, end) {
                        let located = state.located(token(signal, sequence), place);
                        dead.push((located, Arc::clone(reason), *attempts));
                    }
                    End::DeadLettered
                }
            };
            parts.push((start, end, how));
        }
        drop(state);
        for (located, reason, attempts) in dead {
            let (event, reason) = match self.event_at(&located) {
                Ok(event) => (event, reason),
                Err(cause) => {
                    let reason = format!("{reason} (its record could not be read: {cause})").into();
                    (Arc::new(lost_event(&located.place)), reason)
                }
            };
            let letter = DeadLetter::of_event(&settled.exporter, &event, &reason, attempts);
            self.bury(&letter, event.lane, event.repeat_key);
        }
        let change = Change::Settle {
            exporter: settled.exporter.to_string(),
            signal: signal.name().to_owned(),
            parts,
        };
        self.frame.change(self.active.salt, &change);
        self.frame.settled.push(settled);
    }

    /// Adds a dead letter to the frame.
    fn bury(&mut self, letter: &DeadLetter, lane: u64, repeat_key: u128) {
        let first = self.inner.lock().letters.next;
        let id = first + self.frame.letters.len() as u64;
        let description = Description::of(letter, lane, repeat_key);
        let text = serde_json::to_vec(&description).unwrap_or_default();
        let (offset, length) = format::push_letter(
            &mut self.frame.changes,
            self.active.salt,
            id,
            &text,
            &letter.payload,
        );
        self.frame.letters.push(Letter {
            info: description.info(id),
            segment: self.active.number,
            offset: u32::try_from(offset).unwrap_or(u32::MAX),
            length: u32::try_from(length).unwrap_or(u32::MAX),
        });
        let change = Change::LettersKept {
            first: id,
            end: id + 1,
        };
        self.frame.change(self.active.salt, &change);
    }

    /// Writes the frame, syncs it if a group waits for that, makes its changes and answers; or refuses all of it.
    pub(super) fn commit(&mut self) -> Result<(), String> {
        let broken = self.inner.lock().broken.clone();
        if let Some(cause) = broken {
            self.fail_all(&cause);
            return Err(cause);
        }
        if !self.frame.admitted.is_empty() {
            self.make_disk_room();
        }
        if !self.frame.admitted.is_empty() {
            let change = Change::Append {
                next: self.frame.totals.next,
                items: self.frame.totals.items,
                repeated: self.frame.totals.repeated,
                refused_groups: self.inner.lock().core.refused_groups,
            };
            let salt = self.active.salt;
            push_json(&mut self.frame.events, salt, RecordType::Change, &change);
        }
        if self.frame.bytes() == 0 {
            self.apply(self.active.length);
            return Ok(());
        }
        if let Err(cause) = self.write_frame() {
            let cause = format!("{cause} ({})", self.directory.display());
            error!(cause, "The queue could not write.");
            self.refuse_groups(&QueueError::Store {
                cause: cause.clone(),
            });
            let is_broken = self.inner.lock().broken.is_some();
            if is_broken || self.write_rest().is_err() {
                self.fail_all(&cause);
                return Err(cause);
            }
        }
        let start = self.active.length;
        self.active.length += self.frame.bytes();
        self.unsynced = true;
        if !self.frame.admitted.is_empty()
            && let Err(cause) = self.sync()
        {
            self.fail_all(&cause);
            return Err(cause);
        }
        self.apply(start);
        Ok(())
    }

    fn write_frame(&mut self) -> io::Result<()> {
        let (file, at) = (Arc::clone(&self.active.file), self.active.length);
        let written = file
            .write_at(&self.frame.changes, at)
            .and_then(|()| file.write_at(&self.frame.events, at + self.frame.changes.len() as u64));
        if written.is_err()
            && let Err(cause) = file.cut(at)
        {
            // What is behind the end could be taken for records later.
            self.break_down(&format!("a failed write could not be undone: {cause}"));
        }
        written
    }

    /// Writes the changes again, without the groups; a full disk has a reserve for that.
    fn write_rest(&mut self) -> io::Result<()> {
        if self.frame.changes.is_empty() {
            return Ok(());
        }
        match self.write_frame() {
            Err(error) if error.kind() == ErrorKind::StorageFull && self.has_reserve => {
                self.has_reserve = false;
                self.files.remove(&self.directory.join(RESERVE))?;
                self.write_frame()
            }
            written => written,
        }
    }

    /// Syncs what was written.
    pub(super) fn sync(&mut self) -> Result<(), String> {
        let mut synced = self.active.file.sync();
        if self.is_unlisted {
            synced = synced.and_then(|()| self.files.sync_directory(&self.directory));
        }
        match synced {
            Ok(()) => {
                (self.unsynced, self.is_unlisted) = (false, false);
                let mut state = self.inner.lock();
                let (number, length) = (self.active.number, self.active.length);
                if let Some(segment) = state.segments.get_mut(&number) {
                    segment.length = length;
                }
                Ok(())
            }
            Err(error) => {
                let cause = format!("sync failed: {error} ({})", self.directory.display());
                self.break_down(&cause);
                Err(cause)
            }
        }
    }

    fn sync_rest(&mut self) {
        if self.unsynced && self.inner.lock().broken.is_none() && self.sync().is_err() {
            info!(
                "Settlements of the last moments may come again after the host has started again."
            );
        }
    }

    fn break_down(&mut self, cause: &str) {
        error!(
            cause,
            "The queue takes no more events until the host has started again: what is on the disk is unknown."
        );
        self.unsynced = false;
        self.inner.lock().broken = Some(cause.to_owned());
    }

    /// Makes the frame's changes in memory and answers. `start` is where the frame begins in the segment.
    fn apply(&mut self, start: u64) {
        let inner = Arc::clone(&self.inner);
        let mut guard = inner.lock();
        let state = &mut *guard;
        let base = u32::try_from(start).unwrap_or(u32::MAX);
        if let Some(segment) = state.segments.get_mut(&self.active.number) {
            segment.length = self.active.length;
        }
        for mut letter in std::mem::take(&mut self.frame.letters) {
            letter.offset += base;
            state.letters.insert(letter);
        }
        let mut garbage = Vec::new();
        let mut settlements = Vec::new();
        for settled in std::mem::take(&mut self.frame.settled) {
            settlements.push((settle_now(state, &settled, &mut garbage), settled.reply));
        }
        state.uncached(&garbage);
        let base = base + u32::try_from(self.frame.changes.len()).unwrap_or(u32::MAX);
        let mut appends = Vec::new();
        for admitted in std::mem::take(&mut self.frame.admitted) {
            let keys = admitted.group.events.iter();
            self.keys
                .extend(keys.map(|event| Key::new(event.received_at, event.repeat_key)));
            appends.push((
                add_now(
                    state,
                    admitted.group,
                    admitted.places,
                    base,
                    inner.settings.cache_bytes,
                ),
                admitted.reply,
            ));
        }
        if !appends.is_empty() {
            state.core.repeats.commit(Instant::now());
        }
        for note in std::mem::take(&mut state.core.drops) {
            self.carry.push(Change::from(&note));
        }
        drop(guard);
        drop(garbage);
        for (appended, reply) in appends {
            let _gone = reply.send(Ok(appended));
        }
        for (outcome, reply) in settlements {
            let _gone = reply.send(outcome);
        }
        for reply in std::mem::take(&mut self.frame.kept) {
            let _gone = reply.send(Ok(()));
        }
        self.frame.clear(FRAME_BYTES as usize);
    }

    /// Refuses the groups of the frame.
    pub(super) fn refuse_groups(&mut self, error: &QueueError) {
        let admitted = self.frame.take_groups();
        self.inner.lock().core.repeats.undo();
        for admitted in admitted {
            let _gone = admitted.reply.send(Err(error.clone()));
        }
    }

    fn fail_all(&mut self, cause: &str) {
        self.refuse_groups(&QueueError::Store {
            cause: cause.to_owned(),
        });
        for settled in std::mem::take(&mut self.frame.settled) {
            let _gone = settled.reply.send(Err(CursorError::Store {
                exporter: settled.exporter.to_string(),
                cause: cause.to_owned(),
            }));
        }
        for reply in std::mem::take(&mut self.frame.kept) {
            let _gone = reply.send(Err(cause.to_owned()));
        }
        self.frame.clear(FRAME_BYTES as usize);
    }

    /// Writes one change that is made already and returns when it is on the disk.
    pub(super) fn write_change(&mut self, change: &Change) -> Result<(), String> {
        self.frame.change(self.active.salt, change);
        if let Err(cause) = self.commit() {
            self.carry.push(change.clone());
            return Err(cause);
        }
        self.sync()
    }
}

/// Makes a segment with a snapshot at its front, not synced.
pub(super) fn new_segment(
    files: &dyn Files,
    directory: &std::path::Path,
    number: u32,
    state: &State,
) -> io::Result<(Active, Segment)> {
    let salt = fastrand::u64(..);
    let mut front = format::segment_header(salt);
    push_json(&mut front, salt, RecordType::Snapshot, &state.saved());
    let path = numbered(directory, number, LOG);
    let file = files.create(&path)?;
    if let Err(error) = file.write_at(&front, 0) {
        let _tried_again_under_the_same_name = files.remove(&path);
        return Err(error);
    }
    let length = front.len() as u64;
    let segment = Segment {
        file: Arc::clone(&file),
        salt,
        length,
    };
    let active = Active {
        number,
        file,
        salt,
        length,
    };
    Ok((active, segment))
}
