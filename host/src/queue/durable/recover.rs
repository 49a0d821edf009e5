//! Opens a directory: takes its lock, reads every segment once, and puts together what the records say.
//!
//! Records are applied in the order of the files. A snapshot replaces what was read before it; an event whose group was
//! not written to its end is not there. What does not hold is skipped to the next record that does: at the end of the
//! last segment that is a torn write, which nobody was told of; elsewhere it is reported, and what is missing is counted.
//! The last segment is then written anew, because what a failed sync left in memory may not be on the disk.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};

use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::files::Files;
use super::format::{self, FORMAT, RecordType};
use super::frame::Frame;
use super::keys::{KEYS, Key, key_file, keys_of_bytes, write_keys};
use super::letters::{Description, Letter};
use super::saved::{Change, Saved, per_signal, ranges};
use super::state::{Inner, Place, Segment, State};
use super::writer::{Command, Writer, make_reserve, new_segment};
use super::{DurableQueueSettings, OpenError, unix_nanos_now};
use crate::event::Signal;
use crate::queue::core::{Core, Entry};
use crate::queue::log::{Log, Pins, SEQUENCE_END};
use crate::queue::repeats::RepeatWindow;

pub(super) const LOG: &str = "log";

/// Events whose owners are looked up at once.
const PINNED_AT_ONCE: usize = 4096;

/// The path of a segment or its keys.
pub(super) fn numbered(directory: &Path, number: u32, extension: &str) -> PathBuf {
    directory.join(format!("{number:010}.{extension}"))
}

fn number_of(path: &Path, extension: &str) -> Option<u32> {
    let name = path.file_name()?.to_str()?;
    name.strip_suffix(extension)?
        .strip_suffix('.')?
        .parse()
        .ok()
}

/// What was read.
#[derive(Default)]
struct Found {
    saved: Saved,
    segments: BTreeMap<u32, Segment>,
    /// All events that are in, whoever is owed them.
    log: Log<Place>,
    /// Keys of events that came before are of no use.
    keys_since: u64,
    /// As many keys are of use.
    most_keys: usize,
    /// Events that no record behind them has said to be in, yet.
    unsure: Vec<(Signal, u64, Place, Key)>,
    letters: Vec<Letter>,
    keys: Vec<Key>,
    /// Of the segments that have no file of them.
    unsealed_keys: BTreeMap<u32, Vec<Key>>,
    key_files: VecDeque<(u32, usize, u64)>,
    last: u32,
}

/// Opens the directory and starts its writer.
pub(super) fn open(
    directory: &Path,
    settings: DurableQueueSettings,
    files: Arc<dyn Files>,
) -> Result<(Arc<Inner>, Sender<Command>), OpenError> {
    let failed = |source: io::Error| OpenError::Io {
        directory: directory.to_owned(),
        source,
    };
    files.make_directory(directory).map_err(failed)?;
    let lock = lock(directory)?;
    check_format(directory)?;
    let window = u64::try_from(settings.repeat_window.as_nanos()).unwrap_or(u64::MAX);
    let mut found = Found {
        keys_since: unix_nanos_now().saturating_sub(window),
        most_keys: settings.repeat_entries,
        ..Found::default()
    };
    read_all(directory, &*files, &mut found)?;
    let number = found.last + 1;
    seal_keys(directory, &*files, &mut found);
    let (keys, key_files) = (
        std::mem::take(&mut found.keys),
        std::mem::take(&mut found.key_files),
    );
    let last = found.last;
    let mut state = rebuild(found, &settings);
    remember(&mut state.core.repeats, keys, &settings);
    let (active, segment) = new_segment(&*files, directory, number, &state).map_err(failed)?;
    active
        .file
        .sync()
        .and_then(|()| files.sync_directory(directory))
        .map_err(failed)?;
    state.segments.insert(number, segment);
    let inner = Arc::new(Inner::new(settings, state));
    let has_reserve = make_reserve(&*files, directory);
    let mut writer = Writer {
        inner: Arc::clone(&inner),
        files,
        directory: directory.to_owned(),
        active,
        frame: Frame::default(),
        carry: Vec::new(),
        unsynced: false,
        is_unlisted: false,
        has_reserve,
        is_stopped: false,
        keys: Vec::new(),
        key_files,
        on_end: Vec::new(),
        lock,
    };
    if let Err(cause) = writer.move_aside(last) {
        warn!(
            cause,
            "The last segment of the queue could not be written anew."
        );
    }
    writer.expire(unix_nanos_now());
    writer.reclaim();
    let (commands, receiver) = mpsc::channel();
    std::thread::Builder::new()
        .name("queue-writer".to_owned())
        .spawn({
            let death = Death(Arc::clone(&inner));
            move || {
                writer.run(&receiver);
                drop(death);
            }
        })
        .map_err(failed)?;
    Ok((inner, commands))
}

/// Writes the keys of the segments that were written to when a process ended. Before anything else is: whatever ends
/// this process, they are there when the segments are gone.
fn seal_keys(directory: &Path, files: &dyn Files, found: &mut Found) {
    for (number, keys) in std::mem::take(&mut found.unsealed_keys) {
        match write_keys(directory, files, number, &keys) {
            Ok(()) => found.key_files.push_back(key_file(number, &keys)),
            Err(cause) => {
                warn!(%cause, "Repeats of some events will not be known after the next start.");
            }
        }
    }
    found.key_files.make_contiguous().sort_unstable();
}

/// Says so when the writer ends in a panic, since nothing is written after it.
struct Death(Arc<Inner>);

impl Drop for Death {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let cause = "the queue's writer ended unexpectedly; start the host again";
            tracing::error!("{cause}");
            self.0.lock().broken = Some(cause.to_owned());
        }
    }
}

fn own_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

/// Held by whoever uses the directory, and given up when it goes or with the process.
pub(super) struct DirectoryLock(pub(super) File);

impl Drop for DirectoryLock {
    /// Said, not left to the close: a process that is just being started has a copy of the handle until it runs.
    fn drop(&mut self) {
        if let Err(cause) = self.0.unlock() {
            error!(%cause, "The queue's directory stays locked until this process ends.");
        }
    }
}

/// Takes the directory, unless another process has it.
pub(super) fn lock(directory: &Path) -> Result<DirectoryLock, OpenError> {
    let failed = |source| OpenError::Io {
        directory: directory.to_owned(),
        source,
    };
    let file = own_file(&directory.join("lock")).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(DirectoryLock(file)),
        Err(std::fs::TryLockError::WouldBlock) => Err(OpenError::InUse {
            directory: directory.to_owned(),
        }),
        Err(std::fs::TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// The directory's format in a file of its own, so that it is read before anything else.
fn check_format(directory: &Path) -> Result<(), OpenError> {
    let failed = |source| OpenError::Io {
        directory: directory.to_owned(),
        source,
    };
    let mut file = own_file(&directory.join("format")).map_err(failed)?;
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(failed)?;
    if text.is_empty() {
        return file
            .write_all(format!("{FORMAT}\n").as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(failed);
    }
    match text.trim().parse::<u32>() {
        Ok(format) if format <= FORMAT => Ok(()),
        Ok(format) => Err(OpenError::Newer {
            directory: directory.to_owned(),
            format,
        }),
        Err(_) => Err(OpenError::Unknown {
            directory: directory.to_owned(),
        }),
    }
}

fn read_all(directory: &Path, files: &dyn Files, found: &mut Found) -> Result<(), OpenError> {
    let failed = |source| OpenError::Io {
        directory: directory.to_owned(),
        source,
    };
    let mut numbers = Vec::new();
    let mut key_numbers = Vec::new();
    for path in files.list(directory).map_err(failed)? {
        numbers.extend(number_of(&path, LOG));
        key_numbers.extend(number_of(&path, KEYS));
    }
    numbers.sort_unstable();
    key_numbers.sort_unstable();
    while let Some(&number) = numbers.last()
        && is_unfinished(&numbered(directory, number, LOG), files).map_err(failed)?
    {
        files
            .remove(&numbered(directory, number, LOG))
            .map_err(failed)?;
        numbers.pop();
    }
    found.last = numbers.last().copied().unwrap_or(0);
    for number in key_numbers {
        read_keys(directory, files, number, found);
    }
    let mut bytes = Vec::new();
    for number in numbers {
        let file = files
            .open(&numbered(directory, number, LOG))
            .map_err(failed)?;
        let length = file.length().map_err(failed)?;
        bytes.resize(usize::try_from(length).unwrap_or(0), 0);
        file.read_at(&mut bytes, 0).map_err(failed)?;
        let Some((format, salt)) = format::read_segment_header(&bytes) else {
            let path = numbered(directory, number, LOG);
            warn!(path = %path.display(), bytes = length, "A file of the queue has no head and was left as it is.");
            continue;
        };
        if format > FORMAT {
            let directory = directory.to_owned();
            return Err(OpenError::Newer { directory, format });
        }
        let segment = Segment { file, salt, length };
        found.segments.insert(number, segment);
        read_segment(&bytes, number, salt, found);
    }
    Ok(())
}

/// Whether a segment was only just begun when the process or the power went: nobody was told of anything in it.
fn is_unfinished(path: &Path, files: &dyn Files) -> io::Result<bool> {
    let file = files.open(path)?;
    let mut head = [0; format::SEGMENT_HEADER_BYTES];
    let length = usize::try_from(file.length()?).unwrap_or(usize::MAX);
    if length < head.len() {
        return Ok(true);
    }
    file.read_at(&mut head, 0)?;
    Ok(head.iter().all(|byte| *byte == 0))
}

fn read_segment(bytes: &[u8], number: u32, salt: u64, found: &mut Found) {
    let mut at = format::SEGMENT_HEADER_BYTES;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let Some((record, length)) = format::read_record(rest, salt) else {
            let next = format::next_record(bytes, at, salt);
            let skipped = next.unwrap_or(bytes.len()) - at;
            if next.is_some() || number != found.last {
                error!(
                    segment = number,
                    offset = at,
                    bytes = skipped,
                    "A part of the queue cannot be read; what was in it is counted as dropped (corrupt)."
                );
            } else {
                info!(
                    segment = number,
                    offset = at,
                    bytes = skipped,
                    "Cut off a write that was not finished."
                );
            }
            at += skipped;
            continue;
        };
        let (offset, length_u32) = (
            u32::try_from(at).unwrap_or(u32::MAX),
            u32::try_from(length).unwrap_or(u32::MAX),
        );
        if take_record(&record, number, offset, length_u32, found).is_none() {
            error!(
                segment = number,
                offset = at,
                "A record of the queue is not understood and was skipped."
            );
        }
        at += length;
    }
}

fn take_record(
    record: &format::Record<'_>,
    segment: u32,
    offset: u32,
    length: u32,
    found: &mut Found,
) -> Option<()> {
    match record.kind {
        RecordType::Snapshot => {
            found.saved = serde_json::from_slice(record.body).ok()?;
            found.admit();
            // What is left are groups that were not written to their end.
            found.unsure.clear();
        }
        RecordType::Change => {
            let change: Change = serde_json::from_slice(record.body).ok()?;
            found.saved.apply(change);
            found.admit();
        }
        RecordType::Event => {
            let front = format::event_front(record)?;
            let place = Place {
                received_at: front.received_at,
                lane: front.lane,
                segment,
                offset,
                length,
                size: front.payload_bytes,
                kind: front.kind,
            };
            let key = Key::new(front.received_at, front.repeat_key);
            let signal = front.kind.signal();
            found.unsure.push((signal, record.number, place, key));
            if found.is_in(signal, record.number) {
                found.admit();
            }
        }
        RecordType::Letter => {
            let (text, _) = format::letter_parts(record)?;
            let description: Description = serde_json::from_slice(text).ok()?;
            found.letters.push(Letter {
                info: description.info(record.number),
                segment,
                offset,
                length,
            });
        }
    }
    Some(())
}

impl Found {
    fn is_in(&self, signal: Signal, sequence: u64) -> bool {
        let next = self.saved.next.get(signal.index());
        next.is_some_and(|next| sequence < *next)
    }

    /// Takes the events that are known to be in. An event of a group that was not written to its end is neither owed to
    /// anybody nor a reason to take what its sender sends again for a repeat.
    fn admit(&mut self) {
        for (signal, sequence, place, key) in std::mem::take(&mut self.unsure) {
            if !self.is_in(signal, sequence) {
                self.unsure.push((signal, sequence, place, key));
                continue;
            }
            // A later record of an event is the one that was moved aside last.
            if self.log.get(signal, sequence).is_some() {
                self.log.relocate(signal, sequence, place);
            } else {
                let pins = Pins {
                    refusing: 1,
                    dropping: 0,
                };
                self.log.restore(signal, sequence, place, pins);
            }
            if key.received_at >= self.keys_since {
                self.remember(place.segment, key);
            }
        }
    }

    fn remember(&mut self, segment: u32, key: Key) {
        self.keys.push(key);
        if self.keys.len() > 2 * self.most_keys {
            self.keys = youngest(std::mem::take(&mut self.keys), self.most_keys);
        }
        let mut key_files = self.key_files.iter();
        if key_files.any(|(number, ..)| *number == segment) {
            return;
        }
        self.unsealed_keys.entry(segment).or_default().push(key);
        // Those of the oldest segments are forgotten first, as they are while the host runs.
        while self.unsealed_keys.len() > 1
            && let Some((oldest, keys)) = self.unsealed_keys.first_key_value()
            && self.unsealed_keys.values().map(Vec::len).sum::<usize>() - keys.len()
                >= self.most_keys
        {
            let oldest = *oldest;
            self.unsealed_keys.remove(&oldest);
        }
    }
}

/// The keys of the youngest events, at most so many.
fn youngest(mut keys: Vec<Key>, most: usize) -> Vec<Key> {
    keys.sort_unstable();
    keys.dedup();
    let surplus = keys.len().saturating_sub(most);
    keys.drain(..surplus);
    keys.shrink_to_fit();
    keys
}

/// Puts the index together.
fn rebuild(mut found: Found, settings: &DurableQueueSettings) -> State {
    let saved = std::mem::take(&mut found.saved);
    let window = RepeatWindow::new(settings.repeat_window, settings.repeat_entries);
    let mut core: Core<Place> = Core::new(window);
    core.accepted = per_signal(&saved.accepted);
    core.repeated = per_signal(&saved.repeated);
    core.refused_groups = saved.refused_groups;
    let mut absent = BTreeMap::new();
    for (exporter, cursor) in &saved.cursors {
        let exporter: Arc<str> = exporter.as_str().into();
        absent.insert(
            Arc::clone(&exporter),
            cursor.absent_since.unwrap_or_else(unix_nanos_now),
        );
        let state = cursor.restore();
        let grown: Arc<Notify> = Arc::default();
        core.cursors.insert(exporter, Entry { state, grown });
    }
    core.log = found.log;
    for (signal, next) in Signal::ALL.into_iter().zip(saved.next) {
        core.log.advance(signal, next);
        pin(&mut core, signal);
    }
    for (exporter, entry) in &mut core.cursors {
        let lost = entry.state.recount(&core.log);
        if lost > 0 {
            error!(
                exporter = &**exporter,
                events = lost,
                "Events of the queue were lost on the disk; they are counted as dropped (corrupt)."
            );
        }
    }
    let kept = ranges(&saved.letters);
    let mut state = State::new(core);
    state.letters.next = saved.next_letter;
    let letters = found.letters.into_iter();
    for letter in letters.filter(|letter| kept.contains(letter.info.id)) {
        state.letters.insert(letter);
    }
    state.segments = found.segments;
    state.absent = absent;
    state
}

/// Has the log keep what somebody is owed of a signal, and nothing else.
fn pin(core: &mut Core<Place>, signal: Signal) {
    let mut from = 0;
    loop {
        let some = core.log.live(signal, from, SEQUENCE_END);
        let some: Vec<_> = some.take(PINNED_AT_ONCE).collect();
        let Some((last, _)) = some.last() else {
            return;
        };
        from = last + 1;
        for (sequence, place) in some {
            let mut pins = Pins::default();
            for entry in core.cursors.values() {
                if entry.state.is_owed(place.kind, sequence) {
                    pins.add(entry.state.on_full);
                }
            }
            core.log.repin(signal, sequence, pins);
        }
    }
}

/// Fills the repeat window with what was accepted within it, oldest first.
fn remember(window: &mut RepeatWindow, keys: Vec<Key>, settings: &DurableQueueSettings) {
    let now = Instant::now();
    for key in youngest(keys, settings.repeat_entries) {
        window.insert(key.repeat_key());
        window.commit(now);
    }
}

/// Repeats are a courtesy: a key file that does not hold is left out.
fn read_keys(directory: &Path, files: &dyn Files, number: u32, found: &mut Found) {
    let path = numbered(directory, number, KEYS);
    let read = || -> io::Result<Vec<Key>> {
        let file = files.open(&path)?;
        let mut bytes = vec![0; usize::try_from(file.length()?).unwrap_or(0)];
        file.read_at(&mut bytes, 0)?;
        keys_of_bytes(&bytes).ok_or_else(|| ErrorKind::InvalidData.into())
    };
    match read() {
        Ok(keys) => {
            found.key_files.push_back(key_file(number, &keys));
            let since = found.keys_since;
            let keys = keys.into_iter().filter(|key| key.received_at >= since);
            found.keys.extend(keys);
            if found.keys.len() > 2 * found.most_keys {
                found.keys = youngest(std::mem::take(&mut found.keys), found.most_keys);
            }
        }
        Err(cause) => {
            warn!(%cause, path = %path.display(), "Repeats of some events will not be known.")
        }
    }
}
