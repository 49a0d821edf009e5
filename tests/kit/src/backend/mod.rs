//! A backend on a free port of the loopback: records every request, lets a [`Fake`] judge it, and misbehaves as scripted.
//!
//! It speaks HTTP/1.1 on its own connections rather than through a framework, since tests need to reset one in the
//! middle of an answer and to take a backend away with all its connections. It refuses nothing by itself: whether a
//! request is right is the fake's business.

pub mod arize;
pub mod behaviour;
mod body;
pub mod braintrust;
pub mod cloud;
pub mod collector;
pub mod datadog;
pub mod laminar;
pub mod langfuse;
pub mod langsmith;
mod message;
pub mod otlp;
pub mod posthog;
pub mod prometheus;
pub mod schema;
pub mod sentry;
mod server;
#[cfg(test)]
mod tests;
pub mod webhook;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::behaviour::Rule;
pub use self::behaviour::{Behaviour, Gate, Which};
pub use self::message::{Answer, Recorded, Request, Stored};

/// How long [`Backend::wait_until`] waits. Reached only when a test fails.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// The rules of one vendor's ingest API.
pub trait Fake: Send + Sync + 'static {
    /// Takes or refuses one request, as the vendor would.
    fn answer(&self, request: &Request) -> Answer;

    /// Whether requests are kept for [`Backend::requests`]; a sink for benches does not.
    fn keeps_requests(&self) -> bool {
        true
    }
}

impl Fake for Box<dyn Fake> {
    fn answer(&self, request: &Request) -> Answer {
        (**self).answer(request)
    }

    fn keeps_requests(&self) -> bool {
        (**self).keeps_requests()
    }
}

/// Takes everything with `200 {}`.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecordEverything;

impl Fake for RecordEverything {
    fn answer(&self, _: &Request) -> Answer {
        Answer::json(200, &serde_json::json!({}))
    }
}

/// As [`RecordEverything`], but bodies are counted and dropped unread. For benches.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sink;

impl Fake for Sink {
    fn answer(&self, _: &Request) -> Answer {
        Answer::json(200, &serde_json::json!({}))
    }

    fn keeps_requests(&self) -> bool {
        false
    }
}

/// What came in by one path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteCounts {
    /// Requests read to the end.
    pub requests: u64,
    /// Bytes of their bodies on the wire.
    pub wire_bytes: u64,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Records taken, by kind.
    pub stored: BTreeMap<&'static str, u64>,
}

struct State {
    fake: Arc<dyn Fake>,
    rules: Mutex<Vec<Rule>>,
    records: Mutex<Vec<Recorded>>,
    /// Places in `records`, in the order of their answers.
    answered: Mutex<Vec<usize>>,
    counts: Mutex<BTreeMap<String, RouteCounts>>,
    /// Requests whose body broke off.
    broken: std::sync::atomic::AtomicU64,
    changes: watch::Sender<u64>,
}

impl State {
    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}

/// A value behind a lock, whatever happened to an earlier holder.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running backend. Dropping it closes its port and all its connections.
pub struct Backend {
    address: SocketAddr,
    state: Arc<State>,
    server: JoinSet<()>,
}

impl Backend {
    /// Starts on a free port of the loopback.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(fake: impl Fake) -> anyhow::Result<Self> {
        Self::start_at(fake, 0).await
    }

    /// Starts on this port of the loopback; 0 is any free one.
    ///
    /// # Errors
    /// When the port is taken.
    pub async fn start_at(fake: impl Fake, port: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port))
            .await
            .with_context(|| format!("cannot listen on port {port}"))?;
        let address = listener.local_addr().context("listener has no address")?;
        let state = Arc::new(State {
            fake: Arc::new(fake),
            rules: Mutex::default(),
            records: Mutex::default(),
            answered: Mutex::default(),
            counts: Mutex::default(),
            broken: std::sync::atomic::AtomicU64::new(0),
            changes: watch::Sender::new(0),
        });
        let mut server = JoinSet::new();
        server.spawn(server::serve(listener, Arc::clone(&state)));
        Ok(Self {
            address,
            state,
            server,
        })
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on, requests that `which` covers meet this behaviour. Earlier rules go first.
    pub fn on(&self, which: Which, behaviour: Behaviour) {
        lock(&self.state.rules).push(which.rule(behaviour));
    }

    /// Forgets all scripted behaviour: the backend is well again.
    pub fn heal(&self) {
        lock(&self.state.rules).clear();
    }

    /// Every request so far, in the order in which their bodies ended.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        lock(&self.state.records).clone()
    }

    /// Lets go of the headers and bodies of the requests so far, and of what was taken of them. For long runs.
    pub fn forget_bodies(&self) {
        for recorded in lock(&self.state.records).iter_mut() {
            let request = &mut recorded.request;
            (request.headers, request.body) = (Vec::new(), bytes::Bytes::new());
            recorded.stored = Vec::new();
        }
    }

    /// The requests to one path.
    #[must_use]
    pub fn requests_to(&self, path: &str) -> Vec<Recorded> {
        self.requests()
            .into_iter()
            .filter(|recorded| recorded.request.path == path)
            .collect()
    }

    /// The requests that were answered, in the order of their answers, without the first `told` of them.
    #[must_use]
    pub fn answered_after(&self, told: usize) -> Vec<Recorded> {
        let places: Vec<usize> = lock(&self.state.answered)
            .iter()
            .skip(told)
            .copied()
            .collect();
        let records = lock(&self.state.records);
        places
            .into_iter()
            .filter_map(|place| records.get(place).cloned())
            .collect()
    }

    /// Wakes at each request and each answer.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.state.changes.subscribe()
    }

    /// Everything of one kind that the fake took, in order, repeats included.
    #[must_use]
    pub fn stored(&self, kind: &str) -> Vec<Stored> {
        stored(&lock(&self.state.records), kind)
    }

    /// Counters by path.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<String, RouteCounts> {
        lock(&self.state.counts).clone()
    }

    /// Requests whose body broke off.
    #[must_use]
    pub fn broken_requests(&self) -> u64 {
        self.state.broken.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Waits for what the requests so far must look like; looks again after each request and each answer.
    ///
    /// # Errors
    /// With a list of what did arrive, when [`DEADLINE`] has passed.
    pub async fn wait_until(&self, promise: impl Fn(&[Recorded]) -> bool) -> anyhow::Result<()> {
        let mut changes = self.state.changes.subscribe();
        let kept = async {
            while !promise(&lock(&self.state.records)) {
                // The sender lives in `self.state`: waiting cannot fail.
                let _ = changes.changed().await;
            }
        };
        let waited = tokio::time::timeout(DEADLINE, kept).await;
        waited.map_err(|_| {
            anyhow!(
                "the backend waited {} s in vain; it got:\n{}",
                DEADLINE.as_secs(),
                self.summary()
            )
        })
    }

    /// Waits for this many requests, answered or not.
    ///
    /// # Errors
    /// As [`Self::wait_until`].
    pub async fn wait_for_requests(&self, count: usize) -> anyhow::Result<()> {
        self.wait_until(|records| records.len() >= count).await
    }

    /// Waits until the fake has taken this many records of a kind.
    ///
    /// # Errors
    /// As [`Self::wait_until`].
    pub async fn wait_for_stored(&self, kind: &str, count: usize) -> anyhow::Result<()> {
        self.wait_until(|records| stored(records, kind).len() >= count)
            .await
    }

    /// Takes the backend away: its port is closed and its connections are gone when this returns.
    pub async fn stop(mut self) {
        self.server.shutdown().await;
    }

    /// A table for people: a line a path.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut text = String::new();
        for (path, counts) in self.counts() {
            let _ = write!(
                text,
                "{path}: {} requests, {} bytes",
                counts.requests, counts.wire_bytes
            );
            for (status, count) in &counts.statuses {
                let _ = write!(text, ", {count} x {status}");
            }
            for (kind, count) in &counts.stored {
                let _ = write!(text, ", {count} {kind}s");
            }
            text.push('\n');
        }
        for recorded in self
            .requests()
            .iter()
            .filter_map(|recorded| recorded.refused.as_ref())
            .take(5)
        {
            let _ = writeln!(text, "refused: {recorded}");
        }
        if text.is_empty() {
            text.push_str("no requests\n");
        }
        text
    }
}

fn stored(records: &[Recorded], kind: &str) -> Vec<Stored> {
    records
        .iter()
        .flat_map(|recorded| &recorded.stored)
        .filter(|stored| stored.kind == kind)
        .cloned()
        .collect()
}
