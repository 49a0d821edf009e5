//! What a span costs in the queue: append, route, take and settle, in memory and on disk, from 64 senders, in spans per
//! CPU-second of the whole process; and how long an append takes beside the disk's own sync.
//! `cargo bench -p mastra-host --bench queue [-- directory]`

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends at the first surprise"
)]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    reason = "figures for people"
)]

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mastra_host::deliver::dead_letter::{LetterBounds, MemoryDeadLetters};
use mastra_host::deliver::source::{Cursor, Fate, Settlement, TakeLimits, Tokens};
use mastra_host::event::signal_set::SignalSet;
use mastra_host::event::span_phases::SpanPhases;
use mastra_host::event::{Event, EventKind, Signal, Source};
use mastra_host::queue::durable::{DurableQueue, DurableQueueSettings};
use mastra_host::queue::memory::{MemoryQueue, MemoryQueueSettings};
use mastra_host::queue::{CursorOptions, OnFull, Queue, QueueError, StartAt};
use mastra_host::route::Route;

const SENDERS: u64 = 64;
const GROUP: u64 = 20;
const GIB: u64 = 1 << 30;

fn options() -> CursorOptions {
    CursorOptions {
        route: Route::new(SignalSet::ALL, None, SpanPhases::ALL),
        start: StartAt::Head,
        on_full: OnFull::Refuse,
        max_lag_bytes: None,
    }
}

fn group(first: u64, payload: &Bytes, source: &Arc<Source>) -> Vec<Event> {
    let event = |id: u64| Event {
        kind: EventKind::SpanEnded,
        // A body of its own, as requests have it.
        payload: payload.clone(),
        received_at: id,
        source: Arc::clone(source),
        repeat_key: u128::from(id) << 64 | u128::from(id.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        lane: id / 8,
    };
    (first..first + GROUP).map(event).collect()
}

/// CPU time of the process.
fn cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten();
    let of_thread = |task: std::io::Result<fs::DirEntry>| -> Option<u64> {
        let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse().ok()
    };
    let sum: u64 = threads.filter_map(of_thread).sum();
    Duration::from_nanos(
        sum.max(
            stat.split(' ')
                .next()
                .and_then(|n| n.parse().ok())
                .unwrap_or(0),
        ),
    )
}

fn peak_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok())
        .unwrap_or(0)
        / 1024
}

/// Senders append for a while, one exporter takes and settles what comes.
async fn run<Q: Queue + Clone>(name: &str, queue: &Q, size: usize, events_per_second: Option<u64>) {
    let cursor = Arc::new(queue.open("exporter", options()).await.unwrap());
    let source = Arc::new(Source::default());
    let (appended, next) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(1)));
    let enough = Duration::from_secs(4);
    let (started, before) = (Instant::now(), cpu());
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..SENDERS {
        let (queue, source) = (queue.clone(), Arc::clone(&source));
        let (appended, next) = (Arc::clone(&appended), Arc::clone(&next));
        senders.spawn(async move {
            let payload = Bytes::from(vec![b'x'; size]);
            let mut times = Vec::new();
            while started.elapsed() < enough {
                if let Some(rate) = events_per_second {
                    let sent = next.load(Ordering::Relaxed) as f64;
                    let due = Duration::from_secs_f64(sent / rate as f64);
                    tokio::time::sleep_until((started + due).into()).await;
                }
                let events = group(next.fetch_add(GROUP, Ordering::Relaxed), &payload, &source);
                let asked = Instant::now();
                match queue.append(events).await {
                    Ok(done) => drop(appended.fetch_add(done.accepted, Ordering::Relaxed)),
                    Err(QueueError::Full { .. }) => {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                        continue;
                    }
                    Err(error) => panic!("{error}"),
                }
                times.push(asked.elapsed());
                tokio::task::yield_now().await;
            }
            times
        });
    }
    let exporter = Arc::clone(&cursor);
    let mut delivery = tokio::task::JoinSet::new();
    delivery.spawn(async move { drain(&*exporter).await });
    let mut times: Vec<Duration> = senders.join_all().await.into_iter().flatten().collect();
    delivery.shutdown().await;
    let spent = cpu() - before;
    times.sort_unstable();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
    let spans = appended.load(Ordering::Relaxed) as f64;
    println!(
        "{name:<10} {size:>6} B {:>9.0} spans per CPU-second {:>7.2} us a span {:>9.0} spans/s  append p50 {:.1?} p99 {:.1?}  peak {} MiB",
        spans / spent.as_secs_f64(),
        spent.as_secs_f64() * 1e6 / spans,
        spans / started.elapsed().as_secs_f64(),
        at(0.5),
        at(0.99),
        peak_mib(),
    );
}

async fn drain(cursor: &impl Cursor) {
    let limits = TakeLimits {
        max_items: 1000,
        max_bytes: 4 << 20,
        busy_lanes: None,
    };
    loop {
        let items = cursor.take(Signal::Traces, limits).await.unwrap();
        if items.is_empty() {
            cursor.grown().await;
            continue;
        }
        let runs = Tokens::runs(items.iter().map(|item| item.token));
        drop(items);
        let parts = runs.into_iter().map(|run| (run, Fate::Delivered)).collect();
        let signal = Signal::Traces;
        cursor.settle(Settlement { signal, parts }).await.unwrap();
    }
}

/// What the disk takes to sync so many bytes that were just written.
fn measure_sync(directory: &Path, bytes: usize) {
    let mut file = File::create(directory.join("sync")).unwrap();
    let content = vec![1; bytes];
    let mut times: Vec<Duration> = (0..100)
        .map(|_| {
            file.write_all(&content).unwrap();
            let asked = Instant::now();
            file.sync_data().unwrap();
            asked.elapsed()
        })
        .collect();
    times.sort_unstable();
    println!(
        "sync of {:>6} KiB: p50 {:.1?} p99 {:.1?}",
        bytes / 1024,
        times[50],
        times[98]
    );
    fs::remove_file(directory.join("sync")).unwrap();
}

/// A gibibyte that nobody has taken, and how long a restart takes until it can be.
async fn measure_open(directory: &Path, size: usize) {
    let settings = settings(4 * GIB);
    let queue = DurableQueue::open(directory, settings).unwrap();
    queue.open("dead", options()).await.unwrap();
    let (source, payload) = (Arc::new(Source::default()), Bytes::from(vec![b'x'; size]));
    let groups = GIB / (size as u64 * GROUP);
    for batch in 0..groups / SENDERS {
        let appends = (0..SENDERS).map(|sender| {
            let queue = queue.clone();
            let events = group((batch * SENDERS + sender) * GROUP, &payload, &source);
            async move { queue.append(events).await.unwrap() }
        });
        let appends: tokio::task::JoinSet<_> = appends.collect();
        appends.join_all().await;
    }
    queue.shut_down().await;
    drop(queue);
    let asked = Instant::now();
    let queue = DurableQueue::open(directory, settings).unwrap();
    let opened = asked.elapsed();
    println!(
        "open with 1 GiB of {size} B spans queued: {opened:.0?} ({} events), peak {} MiB",
        queue.report().events,
        peak_mib(),
    );
    queue.shut_down().await;
}

fn settings(max_disk_bytes: u64) -> DurableQueueSettings {
    DurableQueueSettings {
        max_disk_bytes,
        ..DurableQueueSettings::default()
    }
}

fn fresh(base: &Path, name: &str) -> PathBuf {
    let directory = base.join(name);
    let _none = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    directory
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let base = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let temporary = tempfile::TempDir::new().unwrap();
    let base = base.map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    measure_sync(&fresh(&base, "sync"), 4096);
    for size in [1_300, 10_500] {
        // What all senders together have to be synced at once.
        measure_sync(&fresh(&base, "sync"), size * (SENDERS * GROUP) as usize);
        let letters = Arc::new(MemoryDeadLetters::new(LetterBounds {
            max_bytes: 1 << 20,
            max_age: Duration::MAX,
        }));
        let memory = MemoryQueue::new(MemoryQueueSettings::default(), letters);
        run("memory", &memory, size, None).await;
        let directory = fresh(&base, "durable");
        let durable = DurableQueue::open(&directory, settings(2 * GIB)).unwrap();
        run("durable", &durable, size, None).await;
        durable.shut_down().await;
        let directory = fresh(&base, "durable");
        let durable = DurableQueue::open(&directory, settings(2 * GIB)).unwrap();
        run("20,000/s", &durable, size, Some(20_000)).await;
        durable.shut_down().await;
    }
    for size in [1_300, 10_500] {
        measure_open(&fresh(&base, "open"), size).await;
    }
}
