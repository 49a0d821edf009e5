//! A process that is killed, or a machine that loses its power, at every single step that the queue asks of its disk:
//! what was answered before is true afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::super::files::LogFile;
use super::*;

/// A disk in memory that does so many steps and then none.
#[derive(Clone, Default)]
struct Disk {
    state: Arc<Mutex<State>>,
}

#[derive(Clone, Default)]
struct State {
    steps: u64,
    /// The step that is done by half, if it is a write; nothing is done after it.
    last_step: Option<u64>,
    /// By path, what is written and what of it is synced. Who has a file open keeps it when it is removed.
    files: BTreeMap<PathBuf, Arc<Mutex<Content>>>,
    /// Files whose entry is synced.
    listed: BTreeSet<PathBuf>,
}

#[derive(Clone, Default)]
struct Content {
    written: Vec<u8>,
    synced: Vec<u8>,
}

/// What ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// The system still has all that was written.
    Process,
    /// Only what was synced is there.
    Power,
}

#[derive(PartialEq)]
enum Step {
    Whole,
    Torn,
}

impl State {
    fn step(&mut self) -> io::Result<Step> {
        self.steps += 1;
        match self.last_step {
            Some(last) if self.steps > last => Err(io::ErrorKind::BrokenPipe.into()),
            Some(last) if self.steps == last => Ok(Step::Torn),
            _ => Ok(Step::Whole),
        }
    }
}

impl Disk {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// What a new process finds.
    fn after(&self, end: End) -> Self {
        let mut state = self.lock().clone();
        state.last_step = None;
        if end == End::Power {
            let listed = state.listed.clone();
            state.files.retain(|path, _| listed.contains(path));
        }
        for content in state.files.values_mut() {
            let mut content_then = lock(content).clone();
            if end == End::Power {
                content_then.written.clone_from(&content_then.synced);
            }
            *content = Arc::new(Mutex::new(content_then));
        }
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }
}

struct OpenFile {
    disk: Disk,
    content: Arc<Mutex<Content>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LogFile for OpenFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let from = usize::try_from(offset).expect("small");
        let content = lock(&self.content);
        let bytes = content.written.get(from..from + buffer.len());
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let step = self.disk.lock().step()?;
        let bytes = match step {
            Step::Whole => bytes,
            Step::Torn => &bytes[..bytes.len() / 2],
        };
        let at = usize::try_from(offset).expect("small");
        let written = &mut lock(&self.content).written;
        written.resize(written.len().max(at + bytes.len()), 0);
        written[at..at + bytes.len()].copy_from_slice(bytes);
        match step {
            Step::Whole => Ok(()),
            Step::Torn => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.disk.lock().step()?;
        let length = usize::try_from(length).expect("small");
        lock(&self.content).written.truncate(length);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.lock().step()?;
        let mut content = lock(&self.content);
        content.synced = content.written.clone();
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(lock(&self.content).written.len() as u64)
    }

    fn uncache(&self) {}
}

impl Files for Disk {
    fn make_directory(&self, directory: &Path) -> io::Result<()> {
        super::super::files::Disk.make_directory(directory)
    }

    fn list(&self, _directory: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(self.lock().files.keys().cloned().collect())
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        let mut state = self.lock();
        state.step()?;
        state.files.insert(path.to_owned(), Arc::default());
        drop(state);
        self.open(path)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        let state = self.lock();
        let content = state.files.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(OpenFile {
            disk: self.clone(),
            content: Arc::clone(content),
        }))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.step()?;
        state.files.remove(path);
        state.listed.remove(path);
        Ok(())
    }

    fn sync_directory(&self, _directory: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.step()?;
        state.listed = state.files.keys().cloned().collect();
        Ok(())
    }
}

/// What a process was told before it ended.
#[derive(Clone, Default)]
struct Told {
    sent: BTreeSet<u64>,
    appended: BTreeSet<u64>,
    /// By cursor; asked for or done.
    asked: BTreeMap<&'static str, BTreeSet<u64>>,
    settled: BTreeMap<&'static str, BTreeSet<u64>>,
    dead: BTreeSet<u64>,
}

/// Segments of 4 KiB, so that each few steps begin, remove or move one aside.
fn small() -> DurableQueueSettings {
    DurableQueueSettings {
        max_disk_bytes: 128 << 10,
        ..DurableQueueSettings::default()
    }
}

pub(super) fn recent(now: u64, ids: std::ops::Range<u64>) -> Vec<Event> {
    let events = ids.map(|id| Event {
        received_at: now + id,
        ..event(EventKind::SpanEnded, id, 100)
    });
    events.collect()
}

/// Appends, delivers and gives up until the disk stops. One cursor lags far behind the other and leaves stragglers.
async fn work(disk: &Disk, directory: &Path, now: u64) -> Told {
    let mut told = Told::default();
    let Ok(queue) = DurableQueue::open_on(Arc::new(disk.clone()), directory, small()) else {
        return told;
    };
    let done = async {
        let quick = queue.open("quick", options()).await.ok()?;
        let slow = queue.open("slow", options()).await.ok()?;
        for round in 0..40 {
            let ids = round * 5..round * 5 + 5;
            told.sent.extend(ids.clone());
            queue.append(recent(now, ids.clone())).await.ok()?;
            told.appended.extend(ids);
            settle(&quick, "quick", now, &mut told, |id| {
                (id % 45 != 0, id % 35 == 3)
            })
            .await?;
            if round % 8 == 7 {
                settle(&slow, "slow", now, &mut told, |id| (id % 60 != 0, false)).await?;
            }
        }
        Some(())
    };
    let _ended_early = done.await;
    queue.shut_down().await;
    told
}

/// Settles what `judge` says: whether at all, and whether as a dead letter.
async fn settle(
    cursor: &DurableCursor,
    name: &'static str,
    now: u64,
    told: &mut Told,
    judge: impl Fn(u64) -> (bool, bool),
) -> Option<()> {
    let items = cursor.take(Signal::Traces, ALL).await.ok()?;
    for item in items {
        let id = item.event.received_at - now;
        let (is_done, is_dead) = judge(id);
        if !is_done {
            continue;
        }
        let fate = if is_dead {
            Fate::DeadLettered {
                reason: "bad".into(),
                attempts: 1,
            }
        } else {
            Fate::Delivered
        };
        told.asked.entry(name).or_default().insert(id);
        settle_all(cursor, &[item], fate).await.ok()?;
        told.settled.entry(name).or_default().insert(id);
        if is_dead {
            told.dead.insert(id);
        } else {
            told.dead.remove(&id);
        }
    }
    Some(())
}

/// Opens what is left and compares it with what was told.
async fn check(told: &Told, disk: &Disk, directory: &Path, now: u64, end: End, step: u64) {
    let place = format!("end of {end:?} at step {step}");
    let queue = DurableQueue::open_on(Arc::new(disk.clone()), directory, small());
    let queue = queue.unwrap_or_else(|error| panic!("{place}: {error}"));
    let letters = queue.dead_letters(&LetterFilter::default());
    let dead: BTreeSet<u64> = letters
        .iter()
        .map(|letter| letter.received_at - now)
        .collect();
    let none = BTreeSet::new();
    for name in ["quick", "slow"] {
        let cursor = queue.open(name, options()).await.expect("opens");
        let items = cursor.take(Signal::Traces, ALL).await.expect("reads");
        let waiting: BTreeSet<u64> = items
            .iter()
            .map(|item| item.event.received_at - now)
            .collect();
        let asked = told.asked.get(name).unwrap_or(&none);
        let settled = told.settled.get(name).unwrap_or(&none);
        let owed: BTreeSet<u64> = told.appended.difference(asked).copied().collect();
        assert!(
            owed.is_subset(&waiting),
            "{place}: {name} lost {:?}",
            owed.difference(&waiting)
        );
        assert!(
            waiting.is_subset(&told.sent),
            "{place}: {name} got what nobody sent"
        );
        if end == End::Process {
            assert!(
                waiting.is_disjoint(settled),
                "{place}: {name} gets settled events again"
            );
        }
        let account = account(&queue, name, Signal::Traces);
        assert_eq!(account.dropped.total(), 0, "{place}: {name} {account:?}");
        assert_eq!(account.queued, waiting.len() as u64, "{place}: {name}");
        assert!(
            account.received >= told.appended.len() as u64,
            "{place}: {name} {account:?}"
        );
        if name == "quick" {
            assert_eq!(account.dead_lettered, dead.len() as u64, "{place}");
            let kept: BTreeSet<u64> = dead.union(&waiting).copied().collect();
            assert!(told.dead.is_subset(&kept), "{place}: a dead letter is lost");
            assert!(dead.is_disjoint(&waiting), "{place}: dead and waiting");
        }
    }
    // The sender sends all of it again: what is in comes in no second time, and what is not, is no repeat.
    let before = account(&queue, "slow", Signal::Traces).received;
    let again = recent(now, 0..told.sent.len() as u64);
    let appended = queue.append(again).await.expect("fits");
    if end == End::Process {
        assert_eq!(
            before + appended.accepted,
            told.sent.len() as u64,
            "{place}"
        );
    }
    let cursor = queue.open("slow", options()).await.expect("opens");
    let items = cursor.take(Signal::Traces, ALL).await.expect("reads");
    let mut there: BTreeSet<u64> = items
        .iter()
        .map(|item| item.event.received_at - now)
        .collect();
    there.extend(told.asked.get("slow").into_iter().flatten());
    assert!(
        told.sent.is_subset(&there),
        "{place}: taken for repeats {:?}",
        told.sent.difference(&there)
    );
    let fresh = queue
        .append(recent(now, 1000..1001))
        .await
        .expect("goes on");
    assert_eq!(fresh.accepted, 1, "{place}");
    queue.shut_down().await;
}

#[tokio::test]
async fn whatever_ends_at_any_step_of_the_disk_what_was_answered_is_true() {
    let now = unix_nanos_now();
    let all = Disk::default();
    let directory = TempDir::new().expect("made");
    work(&all, directory.path(), now).await;
    let steps = all.lock().steps;
    assert!(steps > 300, "{steps} steps");
    // Every step of the first rotations, then one in some: the rest is more of the same.
    for step in (1..steps).filter(|step| *step < 150 || step % 7 == 0) {
        let disk = Disk::default();
        disk.lock().last_step = Some(step);
        let directory = TempDir::new().expect("made");
        let told = work(&disk, directory.path(), now).await;
        for end in [End::Process, End::Power] {
            let left = disk.after(end);
            check(&told, &left.after(end), directory.path(), now, end, step).await;
            // Again while what is left is opened; then all is delivered, and its segments go.
            let again = left.lock().steps + step % 16;
            left.lock().last_step = Some(again);
            if let Ok(queue) =
                DurableQueue::open_on(Arc::new(left.clone()), directory.path(), small())
            {
                queue.shut_down().await;
            }
            let left = left.after(end);
            let told = deliver_all(told.clone(), &left, directory.path(), now).await;
            check(&told, &left.after(end), directory.path(), now, end, step).await;
        }
    }
}

async fn deliver_all(mut told: Told, disk: &Disk, directory: &Path, now: u64) -> Told {
    let queue = DurableQueue::open_on(Arc::new(disk.clone()), directory, small()).expect("opens");
    for name in ["quick", "slow"] {
        let cursor = queue.open(name, options()).await.expect("opens");
        let settled = settle(&cursor, name, now, &mut told, |_| (true, false)).await;
        settled.expect("works");
    }
    queue.shut_down().await;
    told
}

#[tokio::test]
async fn full_index_refuses_until_something_is_settled_or_drops_the_oldest_of_who_may() {
    let few = DurableQueueSettings {
        // Some 2,000 events.
        max_index_bytes: 16 << 10,
        max_disk_bytes: 8 << 20,
        ..DurableQueueSettings::default()
    };
    let directory = TempDir::new().expect("made");
    let queue = DurableQueue::open(directory.path(), few).expect("opens");
    let cursor = queue.open("a", options()).await.expect("opens");
    let mut accepted = 0;
    let refused = loop {
        match queue.append(spans(accepted..accepted + 50)).await {
            Ok(_) => accepted += 50,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, QueueError::IndexFull { .. }), "{refused}");
    assert!((500..4000).contains(&accepted), "{accepted}");
    let report = queue.report();
    assert!(report.index_bytes <= few.max_index_bytes, "{report:?}");
    let items = cursor.take(Signal::Traces, ALL).await.expect("current");
    settle_all(&cursor, &items, Fate::Delivered)
        .await
        .expect("taken");
    queue
        .append(spans(accepted..accepted + 50))
        .await
        .expect("there is room again");

    queue.forget("a").await.expect("is known");
    queue.open("b", dropping()).await.expect("opens");
    for start in (10_000..20_000).step_by(50) {
        queue
            .append(spans(start..start + 50))
            .await
            .expect("the oldest make room");
    }
    let report = queue.report();
    assert!(report.index_bytes <= 2 * few.max_index_bytes, "{report:?}");
    let account = account(&queue, "b", Signal::Traces);
    assert!(
        account.is_conserved() && account.dropped.by(DropReason::QueueFull) > 8_000,
        "{account:?}"
    );
}
