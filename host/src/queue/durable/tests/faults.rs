//! A disk that fails on demand.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::super::files::LogFile;
use super::ends::recent;
use super::*;

/// The real disk without waiting for it, for tests that no power failure can spoil.
#[derive(Default)]
pub(super) struct Unsynced {
    faults: Arc<Faults>,
}

/// What goes wrong.
#[derive(Default)]
pub(super) struct Faults {
    /// Bytes that may still be written; the write that exceeds them is torn and fails.
    room: Limit,
    error: AtomicU64,
    failing_sync: AtomicBool,
    panicking_sync: AtomicBool,
    failing_reads: AtomicBool,
    failing_cut: AtomicBool,
    /// No segment can be begun.
    failing_create: AtomicBool,
    /// Files that may leave the page cache.
    uncached: AtomicU64,
}

struct Limit(AtomicU64);

impl Default for Limit {
    fn default() -> Self {
        Self(AtomicU64::new(u64::MAX))
    }
}

struct Faulty {
    file: Arc<dyn LogFile>,
    faults: Arc<Faults>,
}

const ENOSPC: u64 = 28;
const EIO: u64 = 5;

fn system_error(number: u64) -> io::Error {
    io::Error::from_raw_os_error(i32::try_from(number).expect("small"))
}

impl LogFile for Faulty {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        if self.faults.failing_reads.load(Ordering::Relaxed) {
            return Err(system_error(EIO));
        }
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let room = self.faults.room.0.load(Ordering::Relaxed);
        let length = bytes.len() as u64;
        if length <= room {
            if room != u64::MAX {
                self.faults.room.0.store(room - length, Ordering::Relaxed);
            }
            return self.file.write_at(bytes, offset);
        }
        let torn = usize::try_from(room).expect("small");
        self.file.write_at(&bytes[..torn], offset)?;
        Err(system_error(self.faults.error.load(Ordering::Relaxed)))
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        if self.faults.failing_cut.load(Ordering::Relaxed) {
            return Err(system_error(EIO));
        }
        self.file.cut(length)
    }

    fn sync(&self) -> io::Result<()> {
        assert!(
            !self.faults.panicking_sync.load(Ordering::Relaxed),
            "a bug in the writer"
        );
        if self.faults.failing_sync.load(Ordering::Relaxed) {
            return Err(system_error(EIO));
        }
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn uncache(&self) {
        self.faults.uncached.fetch_add(1, Ordering::Relaxed);
        self.file.uncache();
    }
}

impl Unsynced {
    fn wrap(&self, file: Arc<dyn LogFile>) -> Arc<dyn LogFile> {
        Arc::new(Faulty {
            file,
            faults: Arc::clone(&self.faults),
        })
    }
}

impl Files for Unsynced {
    fn make_directory(&self, directory: &Path) -> io::Result<()> {
        Disk.make_directory(directory)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        Disk.list(directory)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        let is_segment = path.extension().is_some_and(|end| end == recover::LOG);
        if is_segment && self.faults.failing_create.load(Ordering::Relaxed) {
            return Err(system_error(ENOSPC));
        }
        Disk.create(path).map(|file| self.wrap(file))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        Disk.open(path).map(|file| self.wrap(file))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        if path.ends_with(writer::RESERVE) && self.faults.room.0.load(Ordering::Relaxed) != u64::MAX
        {
            self.faults
                .room
                .0
                .fetch_add(writer::RESERVE_BYTES as u64, Ordering::Relaxed);
        }
        Disk.remove(path)
    }

    fn sync_directory(&self, _directory: &Path) -> io::Result<()> {
        Ok(())
    }
}

/// A queue on a disk that works until it is told to fail.
async fn faulty(directory: &TempDir) -> (DurableQueue, DurableCursor, Arc<Faults>) {
    let files = Arc::new(Unsynced::default());
    let faults = Arc::clone(&files.faults);
    let large = DurableQueueSettings {
        max_disk_bytes: 64 << 20,
        ..settings()
    };
    let queue = DurableQueue::open_on(files, directory.path(), large).expect("opens");
    let cursor = queue.open("a", options()).await.expect("opens");
    (queue, cursor, faults)
}

/// Opens on a disk that works, as after a restart: what waits, in order.
async fn after_restart(directory: &TempDir) -> (DurableQueue, Vec<u64>) {
    let queue = open(directory);
    let cursor = queue.open("a", options()).await.expect("opens");
    let ids = take_ids(&cursor, Signal::Traces, ALL).await;
    let account = account(&queue, "a", Signal::Traces);
    assert_eq!(account.queued, ids.len() as u64);
    (queue, ids)
}

#[tokio::test]
async fn full_disk_refuses_groups_truthfully_and_lets_settlements_make_room() {
    let directory = TempDir::new().expect("made");
    let (queue, cursor, faults) = faulty(&directory).await;
    queue.append(spans(0..3)).await.expect("fits");
    faults.error.store(ENOSPC, Ordering::Relaxed);
    faults.room.0.store(100, Ordering::Relaxed);
    let refused = queue.append(spans(3..6)).await.expect_err("no room");
    assert!(
        matches!(&refused, QueueError::Store { cause } if cause.contains("space")),
        "{refused}"
    );
    let items = cursor.take(Signal::Traces, ALL).await.expect("current");
    settle_all(&cursor, &items[..2], Fate::Delivered)
        .await
        .expect("there is a reserve for that");
    faults.room.0.store(u64::MAX, Ordering::Relaxed);
    let appended = queue.append(spans(3..6)).await;
    assert_eq!(
        appended.map(|appended| appended.accepted),
        Ok(3),
        "not taken for repeats"
    );
    queue.shut_down().await;
    let (queue, ids) = after_restart(&directory).await;
    assert_eq!(ids, [2, 3, 4, 5]);
    assert_eq!(account(&queue, "a", Signal::Traces).dropped.total(), 0);
}

#[tokio::test]
async fn writer_that_has_died_is_no_secret() {
    let directory = TempDir::new().expect("made");
    let (queue, _cursor, faults) = faulty(&directory).await;
    assert_eq!(queue.broken(), None);
    faults.panicking_sync.store(true, Ordering::Relaxed);
    assert!(matches!(
        queue.append(spans(0..3)).await,
        Err(QueueError::Store { .. })
    ));
    // The answer may be lost a moment before the thread has said why.
    while queue.broken().is_none() {
        tokio::task::yield_now().await;
    }
    let cause = queue.broken().unwrap_or_default();
    assert!(cause.contains("ended unexpectedly"), "{cause}");
}

#[tokio::test]
async fn failed_sync_is_never_tried_again_and_nothing_acknowledged_is_lost() {
    let directory = TempDir::new().expect("made");
    let (queue, cursor, faults) = faulty(&directory).await;
    queue.append(spans(0..3)).await.expect("fits");
    faults.failing_sync.store(true, Ordering::Relaxed);
    assert!(matches!(
        queue.append(spans(3..6)).await,
        Err(QueueError::Store { .. })
    ));
    faults.failing_sync.store(false, Ordering::Relaxed);
    assert!(
        matches!(
            queue.append(spans(6..9)).await,
            Err(QueueError::Store { .. })
        ),
        "broken until it is opened again"
    );
    assert!(
        queue
            .broken()
            .is_some_and(|cause| cause.contains("sync failed"))
    );
    let items = cursor
        .take(Signal::Traces, ALL)
        .await
        .expect("what is in memory can still be sent");
    assert!(matches!(
        settle_all(&cursor, &items, Fate::Delivered).await,
        Err(CursorError::Store { .. })
    ));
    queue.shut_down().await;
    let (queue, ids) = after_restart(&directory).await;
    assert!(ids.starts_with(&[0, 1, 2]), "{ids:?}");
    assert!(queue.append(spans(20..21)).await.is_ok());
}

#[tokio::test]
async fn repeats_are_known_after_a_restart_also_when_a_segment_had_to_grow_on() {
    let directory = TempDir::new().expect("made");
    let files = Arc::new(Unsynced::default());
    let faults = Arc::clone(&files.faults);
    let queue = DurableQueue::open_on(files, directory.path(), settings()).expect("opens");
    let cursor = queue.open("a", options()).await.expect("opens");
    let now = unix_nanos_now();
    for round in 0..60 {
        // Far longer than a segment should be; then some more segments, so that this one goes.
        faults.failing_create.store(round < 30, Ordering::Relaxed);
        let events = recent(now, round * 5..round * 5 + 5);
        queue.append(events).await.expect("fits");
        let items = cursor.take(Signal::Traces, ALL).await.expect("current");
        settle_all(&cursor, &items, Fate::Delivered)
            .await
            .expect("taken");
    }
    queue.shut_down().await;
    let queue = open(&directory);
    let appended = queue.append(recent(now, 0..300)).await;
    assert_eq!(
        appended,
        Ok(Appended {
            accepted: 0,
            repeated: 300
        })
    );
}

#[tokio::test]
async fn write_that_fails_is_undone_and_the_queue_goes_on() {
    let directory = TempDir::new().expect("made");
    let (queue, _cursor, faults) = faulty(&directory).await;
    queue.append(spans(0..3)).await.expect("fits");
    faults.error.store(EIO, Ordering::Relaxed);
    faults.room.0.store(300, Ordering::Relaxed);
    assert!(matches!(
        queue.append(spans(3..6)).await,
        Err(QueueError::Store { .. })
    ));
    faults.room.0.store(u64::MAX, Ordering::Relaxed);
    queue.append(spans(6..7)).await.expect("works again");
    queue.shut_down().await;
    assert_eq!(after_restart(&directory).await.1, [0, 1, 2, 6]);
}

#[tokio::test]
async fn write_that_cannot_be_undone_ends_all_writing() {
    let directory = TempDir::new().expect("made");
    let (queue, _cursor, faults) = faulty(&directory).await;
    queue.append(spans(0..3)).await.expect("fits");
    faults.error.store(EIO, Ordering::Relaxed);
    faults.room.0.store(300, Ordering::Relaxed);
    faults.failing_cut.store(true, Ordering::Relaxed);
    assert!(queue.append(spans(3..6)).await.is_err());
    faults.room.0.store(u64::MAX, Ordering::Relaxed);
    assert!(matches!(
        queue.append(spans(6..7)).await,
        Err(QueueError::Store { .. })
    ));
    queue.shut_down().await;
    assert_eq!(after_restart(&directory).await.1, [0, 1, 2]);
}

#[tokio::test]
async fn disk_that_cannot_be_read_gives_no_event_and_loses_none() {
    let directory = TempDir::new().expect("made");
    let files = Arc::new(Unsynced::default());
    let faults = Arc::clone(&files.faults);
    let uncached = DurableQueueSettings {
        cache_bytes: 0,
        ..settings()
    };
    let queue = DurableQueue::open_on(files, directory.path(), uncached).expect("opens");
    let cursor = queue.open("a", options()).await.expect("opens");
    queue.append(spans(0..3)).await.expect("fits");
    faults.failing_reads.store(true, Ordering::Relaxed);
    assert!(matches!(
        cursor.take(Signal::Traces, ALL).await,
        Err(CursorError::Store { .. })
    ));
    faults.failing_reads.store(false, Ordering::Relaxed);
    assert_eq!(take_ids(&cursor, Signal::Traces, ALL).await, [0, 1, 2]);
}

#[tokio::test]
async fn a_backlog_leaves_the_page_cache_but_for_its_newest_segments() {
    let directory = TempDir::new().expect("made");
    let files = Arc::new(Unsynced::default());
    let faults = Arc::clone(&files.faults);
    let queue = DurableQueue::open_on(files, directory.path(), settings()).expect("opens");
    queue.open("a", options()).await.expect("opens");
    for round in 0..50 {
        queue
            .append(spans(round * 10..round * 10 + 10))
            .await
            .expect("fits");
    }
    let segments = queue.inner.lock().segments.len() as u64;
    let cached = u64::from(settings().cached_segments());
    assert!(segments > cached + 2, "{segments}");
    let uncached = faults.uncached.load(Ordering::Relaxed);
    assert_eq!(uncached, segments - cached);
}

/// The last segment file.
fn newest(directory: &TempDir) -> PathBuf {
    let files = fs::read_dir(directory.path()).expect("lists");
    let paths = files.map(|file| file.expect("is there").path());
    let logs = paths.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
    logs.max().expect("one is there")
}

#[tokio::test]
async fn torn_last_write_is_cut_off_and_what_was_acknowledged_stays() {
    let directory = TempDir::new().expect("made");
    let queue = open(&directory);
    queue.open("a", options()).await.expect("opens");
    queue.append(spans(0..3)).await.expect("fits");
    let acknowledged = fs::metadata(newest(&directory)).expect("is there").len();
    queue.append(spans(3..6)).await.expect("fits");
    queue.shut_down().await;
    let path = newest(&directory);
    let whole = fs::read(&path).expect("reads");
    let end = u64::try_from(whole.len()).expect("small");
    // Up to eight bytes of padding may be missing from a write that is whole.
    for length in (acknowledged..end - 8).step_by(37) {
        let copy = TempDir::new().expect("made");
        for name in [
            "format",
            path.file_name()
                .and_then(|name| name.to_str())
                .expect("a name"),
        ] {
            fs::copy(directory.path().join(name), copy.path().join(name)).expect("copies");
        }
        let torn = &whole[..usize::try_from(length).expect("small")];
        fs::write(newest(&copy), torn).expect("written");
        let (queue, ids) = after_restart(&copy).await;
        assert_eq!(ids, [0, 1, 2], "cut at {length} of {end}");
        assert_eq!(account(&queue, "a", Signal::Traces).dropped.total(), 0);
    }
}

#[tokio::test]
async fn segment_that_was_only_just_begun_is_removed_and_nothing_is_missing() {
    let directory = TempDir::new().expect("made");
    let queue = open(&directory);
    queue.open("a", options()).await.expect("opens");
    queue.append(spans(0..3)).await.expect("fits");
    queue.shut_down().await;
    for (name, bytes) in [
        ("0000000777.log", vec![]),
        ("0000000778.log", b"MHQUEUE".to_vec()),
        ("0000000779.log", vec![0; 4096]),
    ] {
        fs::write(directory.path().join(name), bytes).expect("written");
    }
    let (queue, ids) = after_restart(&directory).await;
    assert_eq!(ids, [0, 1, 2]);
    queue.shut_down().await;
    assert!(!newest(&directory).ends_with("0000000779.log"));
}

#[tokio::test]
async fn flipped_bit_costs_one_event_that_is_reported_and_counted() {
    let directory = TempDir::new().expect("made");
    let queue = open(&directory);
    queue.open("a", options()).await.expect("opens");
    for id in 0..4 {
        let marked = Bytes::from(format!("{{\"mark\":\"number {id}\"}}"));
        queue
            .append(vec![Event {
                payload: marked,
                ..event(EventKind::SpanEnded, id, 1)
            }])
            .await
            .expect("fits");
    }
    queue.shut_down().await;
    let path = newest(&directory);
    let mut bytes = fs::read(&path).expect("reads");
    let mark = bytes
        .windows(8)
        .position(|window| window == b"number 1")
        .expect("is there");
    bytes[mark] ^= 4;
    fs::write(&path, bytes).expect("written");
    let (queue, ids) = after_restart(&directory).await;
    assert_eq!(ids, [0, 2, 3]);
    assert_eq!(
        account(&queue, "a", Signal::Traces)
            .dropped
            .by(DropReason::Corrupt),
        1
    );
}

#[tokio::test]
async fn bit_that_flips_while_the_queue_is_open_is_found_when_the_event_is_read() {
    let directory = TempDir::new().expect("made");
    let uncached = DurableQueueSettings {
        cache_bytes: 0,
        ..settings()
    };
    let queue = DurableQueue::open(directory.path(), uncached).expect("opens");
    let cursor = queue.open("a", options()).await.expect("opens");
    for id in 0..4 {
        let marked = Bytes::from(format!("{{\"mark\":\"number {id}\"}}"));
        queue
            .append(vec![Event {
                payload: marked,
                ..event(EventKind::SpanEnded, id, 1)
            }])
            .await
            .expect("fits");
    }
    let path = newest(&directory);
    let mut bytes = fs::read(&path).expect("reads");
    let mark = bytes
        .windows(8)
        .position(|window| window == b"number 2")
        .expect("is there");
    bytes[mark] ^= 4;
    fs::write(&path, bytes).expect("written");
    assert_eq!(take_ids(&cursor, Signal::Traces, ALL).await, [0, 1, 3]);
    let account = account(&queue, "a", Signal::Traces);
    assert_eq!(
        (account.queued, account.dropped.by(DropReason::Corrupt)),
        (3, 1)
    );
}
