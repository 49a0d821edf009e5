//! What the queue on disk promises beside the [shared promises](crate::queue::tests): what an append has answered is
//! there after every end, and what the disk does is said truthfully.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;

use super::*;
use crate::deliver::source::Fate;
use crate::event::EventKind;
use crate::queue::tests::{
    ALL, Lab, account, dropping, event, options, promises, settle_all, spans, take_ids,
};

mod ends;
mod faults;
mod killed;

/// Small segments, so that few events make many of them.
fn settings() -> DurableQueueSettings {
    DurableQueueSettings {
        max_disk_bytes: 256 << 10,
        ..DurableQueueSettings::default()
    }
}

fn open(directory: &TempDir) -> DurableQueue {
    DurableQueue::open(directory.path(), settings()).expect("opens")
}

struct DurableLab {
    directory: TempDir,
    settings: DurableQueueSettings,
    queue: DurableQueue,
}

impl Lab for DurableLab {
    type Queue = DurableQueue;

    fn of(capacity_bytes: u64) -> Self {
        let directory = TempDir::new().expect("made");
        let settings = DurableQueueSettings {
            max_disk_bytes: 512 << 10,
            max_queued_bytes: capacity_bytes,
            ..DurableQueueSettings::default()
        };
        let files = Arc::new(faults::Unsynced::default());
        let queue = DurableQueue::open_on(files, &directory.path().join("queue"), settings);
        let queue = queue.expect("opens");
        Self {
            directory,
            settings,
            queue,
        }
    }

    fn queue(&self) -> &DurableQueue {
        &self.queue
    }

    async fn reopen(&mut self) -> bool {
        self.queue.shut_down().await;
        let files = Arc::new(faults::Unsynced::default());
        let path = self.directory.path().join("queue");
        self.queue = DurableQueue::open_on(files, &path, self.settings).expect("opens again");
        true
    }
}

promises!(DurableLab);

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let directory = TempDir::new().expect("made");
    let queue = open(&directory);
    let cursor = queue.open("a", options()).await.expect("opens");
    queue.append(spans(0..5)).await.expect("fits");
    let items = cursor.take(Signal::Traces, ALL).await.expect("current");
    settle_all(&cursor, &items[1..3], Fate::Delivered)
        .await
        .expect("taken");
    let dead = Fate::DeadLettered {
        reason: "bad".into(),
        attempts: 3,
    };
    settle_all(&cursor, &items[4..], dead).await.expect("taken");
    let before = queue.report();
    queue.shut_down().await;

    let queue = open(&directory);
    let after = QueueReport {
        // Emptied slots are not there any more.
        index_bytes: before.index_bytes,
        ..queue.report()
    };
    assert_eq!(after, before);
    assert!(queue.cursors()[0].absent_since.is_some());
    let cursor = queue.open("a", options()).await.expect("opens");
    assert_eq!(queue.cursors()[0].absent_since, None);
    assert_eq!(take_ids(&cursor, Signal::Traces, ALL).await, [0, 3]);
    let letters = queue.dead_letters(&LetterFilter::default());
    assert_eq!(letters.len(), 1);
    assert_eq!(
        (
            &*letters[0].reason,
            letters[0].attempts,
            letters[0].received_at
        ),
        ("bad", 3, 4)
    );
    let letter = queue
        .dead_letter(letters[0].id)
        .await
        .expect("reads")
        .expect("is there");
    assert_eq!(letter.payload, spans(4..5)[0].payload);
}

#[tokio::test]
async fn dead_letters_are_replayed_to_their_exporter_alone_or_purged_and_counted() {
    let directory = TempDir::new().expect("made");
    let queue = open(&directory);
    let a = queue.open("a", options()).await.expect("opens");
    let b = queue.open("b", options()).await.expect("opens");
    queue.append(spans(0..3)).await.expect("fits");
    let of_b = b.take(Signal::Traces, ALL).await.expect("current");
    settle_all(&b, &of_b, Fate::Delivered).await.expect("taken");
    let of_a = a.take(Signal::Traces, ALL).await.expect("current");
    let dead = Fate::DeadLettered {
        reason: "bad".into(),
        attempts: 1,
    };
    settle_all(&a, &of_a, dead).await.expect("taken");
    let ids: Vec<u64> = queue
        .dead_letters(&LetterFilter::default())
        .iter()
        .map(|letter| letter.id)
        .collect();
    assert_eq!(queue.replay_dead_letters(vec![ids[1]]).await, Ok(1));
    assert_eq!(
        queue.replay_dead_letters(vec![ids[1]]).await,
        Ok(0),
        "it is no longer there"
    );
    assert_eq!(queue.purge_dead_letters(vec![ids[0]]).await, Ok(1));
    let check = |queue: &DurableQueue| {
        let a = account(queue, "a", Signal::Traces);
        assert_eq!(
            (
                a.received,
                a.queued,
                a.dead_lettered,
                a.dropped.by(DropReason::Purged)
            ),
            (3, 1, 1, 1)
        );
        assert_eq!(account(queue, "b", Signal::Traces).queued, 0);
    };
    check(&queue);
    queue.shut_down().await;
    let queue = open(&directory);
    check(&queue);
    let a = queue.open("a", options()).await.expect("opens");
    let b = queue.open("b", options()).await.expect("opens");
    assert_eq!(take_ids(&a, Signal::Traces, ALL).await, [1]);
    assert_eq!(take_ids(&b, Signal::Traces, ALL).await, [0_u64; 0]);
}

#[tokio::test]
async fn two_settlements_of_the_same_events_in_one_write_count_once() {
    let directory = TempDir::new().expect("made");
    let queue = open(&directory);
    let cursor = queue.open("a", options()).await.expect("opens");
    queue.append(spans(0..1)).await.expect("fits");
    for id in 1..30 {
        let items = cursor.take(Signal::Traces, ALL).await.expect("current");
        // The settlements wait together while the group is written.
        let (appended, first, second) = tokio::join!(
            queue.append(spans(id..id + 1)),
            settle_all(&cursor, &items, Fate::Delivered),
            settle_all(&cursor, &items, Fate::Delivered),
        );
        appended.expect("fits");
        assert!(
            matches!((first, second), (Ok(()), Err(CursorError::NotTaken { .. }))),
            "the second of {id}"
        );
    }
    queue.shut_down().await;
    let queue = open(&directory);
    let account = account(&queue, "a", Signal::Traces);
    assert_eq!((account.delivered, account.queued), (29, 1));
}

#[tokio::test]
async fn second_process_is_refused_until_the_first_has_gone() {
    let directory = TempDir::new().expect("made");
    let queue = open(&directory);
    let refused = DurableQueue::open(directory.path(), settings());
    assert!(matches!(refused, Err(OpenError::InUse { .. })));
    queue.shut_down().await;
    open(&directory);
}

#[test]
fn directory_is_free_as_soon_as_its_lock_goes_whoever_has_a_copy_of_the_handle() {
    let directory = TempDir::new().expect("made");
    let lock = recover::lock(directory.path()).expect("is free");
    // As a process has that is just being started.
    let copy = lock.0.try_clone().expect("copied");
    let refused = recover::lock(directory.path());
    assert!(matches!(refused, Err(OpenError::InUse { .. })));
    drop(lock);
    let again = recover::lock(directory.path());
    assert!(again.is_ok(), "{:?}", again.err());
    drop(copy);
}

#[tokio::test]
async fn newer_directory_is_refused_and_left_alone() {
    let directory = TempDir::new().expect("made");
    open(&directory).shut_down().await;
    fs::write(directory.path().join("format"), "99\n").expect("written");
    let refused = DurableQueue::open(directory.path(), settings())
        .err()
        .expect("refused");
    assert!(matches!(refused, OpenError::Newer { format: 99, .. }));
    assert!(refused.to_string().contains("format 99"), "{refused}");
}

#[tokio::test]
async fn only_the_owner_may_look() {
    let directory = TempDir::new().expect("made");
    let path = directory.path().join("queue");
    let queue = DurableQueue::open(&path, settings()).expect("opens");
    queue.open("a", options()).await.expect("opens");
    for id in 0..100 {
        queue.append(spans(id..id + 1)).await.expect("fits");
    }
    let mode = |path: &Path| fs::metadata(path).expect("is there").permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    let files: Vec<_> = fs::read_dir(&path)
        .expect("lists")
        .map(|file| file.expect("is there").path())
        .collect();
    assert!(
        files.len() > 5,
        "segments, keys, lock, format, reserve: {files:?}"
    );
    assert!(files.iter().all(|file| mode(file) == 0o600), "{files:?}");
}

#[tokio::test]
async fn disk_is_given_back_and_one_straggler_pins_no_segment() {
    let directory = TempDir::new().expect("made");
    let queue = open(&directory);
    let cursor = queue.open("a", options()).await.expect("opens");
    queue.append(spans(0..1)).await.expect("fits");
    let straggler = cursor.take(Signal::Traces, ALL).await.expect("current");
    for round in 1..200 {
        queue
            .append(spans(round * 10..round * 10 + 10))
            .await
            .expect("never full");
        let items = cursor.take(Signal::Traces, ALL).await.expect("current");
        settle_all(&cursor, &items, Fate::Delivered)
            .await
            .expect("taken");
    }
    let disk_bytes = queue.inner.lock().disk_bytes();
    assert!(
        disk_bytes < 6 * settings().segment_bytes(),
        "{disk_bytes} bytes"
    );
    queue.shut_down().await;
    let queue = open(&directory);
    let cursor = queue.open("a", options()).await.expect("opens");
    let items = cursor.take(Signal::Traces, ALL).await.expect("current");
    assert_eq!(items.len(), 1);
    assert_eq!(
        (items[0].token, &items[0].event.payload),
        (straggler[0].token, &straggler[0].event.payload)
    );
}

#[tokio::test]
async fn reclaim_works_while_the_disk_bound_is_reached() {
    let directory = TempDir::new().expect("made");
    let queue = open(&directory);
    let cursor = queue.open("a", options()).await.expect("opens");
    let mut id = 0;
    for _ in 0..5 {
        while queue.append(spans(id..id + 7)).await.is_ok() {
            id += 7;
        }
        assert!(queue.inner.lock().disk_bytes() <= settings().max_disk_bytes);
        let items = cursor.take(Signal::Traces, ALL).await.expect("current");
        // Every second one stays for the next round, so that all segments keep something.
        let done: Vec<_> = items.iter().step_by(2).cloned().collect();
        let rest = items.iter().skip(1).step_by(2).map(|item| item.token);
        settle_all(&cursor, &done, Fate::Delivered)
            .await
            .expect("taken");
        cursor
            .release(Signal::Traces, Tokens::runs(rest))
            .await
            .expect("taken");
    }
    queue.shut_down().await;
    let queue = open(&directory);
    let account = account(&queue, "a", Signal::Traces);
    assert_eq!(
        (account.received, account.delivered + account.queued),
        (id, id)
    );
}

#[tokio::test]
async fn backlog_beyond_the_tail_is_read_from_the_disk() {
    let directory = TempDir::new().expect("made");
    let small = DurableQueueSettings {
        cache_bytes: 500,
        ..settings()
    };
    let queue = DurableQueue::open(directory.path(), small).expect("opens");
    let cursor = queue.open("a", options()).await.expect("opens");
    for id in 0..50 {
        queue
            .append(vec![event(EventKind::Log, id, 10 + id as usize)])
            .await
            .expect("fits");
    }
    let items = cursor.take(Signal::Logs, ALL).await.expect("current");
    let sizes: Vec<_> = items
        .iter()
        .map(|item| (item.event.received_at, item.event.payload.len() as u64))
        .collect();
    assert_eq!(sizes, (0..50).map(|id| (id, 10 + id)).collect::<Vec<_>>());
}

#[tokio::test]
async fn repeats_are_known_after_restarts_also_of_events_that_are_gone() {
    static IDS: AtomicU64 = AtomicU64::new(0);
    let directory = TempDir::new().expect("made");
    let mut queue = open(&directory);
    let cursor = queue.open("a", options()).await.expect("opens");
    let now = unix_nanos_now();
    let recent = |id: u64| Event {
        received_at: now,
        ..event(EventKind::SpanEnded, id, 100)
    };
    for _ in 0..300 {
        let id = IDS.fetch_add(1, Ordering::Relaxed);
        queue.append(vec![recent(id)]).await.expect("fits");
        let items = cursor.take(Signal::Traces, ALL).await.expect("current");
        settle_all(&cursor, &items, Fate::Delivered)
            .await
            .expect("taken");
    }
    for (restart, accepted) in [(1, 1), (2, 0), (3, 0)] {
        queue.shut_down().await;
        queue = open(&directory);
        let appended = queue.append((0..301).map(recent).collect()).await;
        let repeated = 301 - accepted;
        assert_eq!(
            appended,
            Ok(Appended { accepted, repeated }),
            "after {restart} restarts"
        );
    }
}

#[tokio::test]
async fn cursor_that_nobody_uses_is_forgotten_in_time() {
    let directory = TempDir::new().expect("made");
    let queue = open(&directory);
    queue.open("gone", dropping()).await.expect("opens");
    queue.append(spans(0..3)).await.expect("fits");
    queue.shut_down().await;
    let queue = open(&directory);
    assert_eq!(queue.cursors().len(), 1, "not yet");
    queue.shut_down().await;
    let hasty = DurableQueueSettings {
        retire_after: Duration::ZERO,
        ..settings()
    };
    let queue = DurableQueue::open(directory.path(), hasty).expect("opens");
    assert!(queue.cursors().is_empty());
    assert_eq!(queue.report().events, 0);
}

#[tokio::test]
async fn an_exporter_that_leaves_is_absent_from_then_on_also_after_a_start_and_goes_on_when_it_is_back()
 {
    let directory = TempDir::new().expect("made");
    let queue = open(&directory);
    let cursor = queue.open("a", options()).await.expect("opens");
    queue.append(spans(0..2)).await.expect("appends");
    let one = TakeLimits {
        max_items: 1,
        ..ALL
    };
    let taken = cursor.take(Signal::Traces, one).await.expect("reads");
    let settled = settle_all(&cursor, &taken, Fate::Delivered).await;
    settled.expect("is counted");
    assert_eq!(queue.cursors()[0].absent_since, None);
    queue.leave("a").await.expect("is written");
    queue.leave("nobody").await.expect("changes nothing");
    let since = queue.cursors()[0].absent_since;
    assert!(since.is_some());
    queue.append(spans(2..3)).await.expect("appends");
    queue.shut_down().await;

    let queue = open(&directory);
    assert_eq!(queue.cursors().len(), 1);
    assert_eq!(queue.cursors()[0].absent_since, since, "not from now on");
    let cursor = queue.open("a", options()).await.expect("opens");
    assert_eq!(queue.cursors()[0].absent_since, None);
    assert_eq!(take_ids(&cursor, Signal::Traces, ALL).await, [1, 2]);
}
