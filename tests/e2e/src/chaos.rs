//! Kills the host again and again while clients send and backends misbehave, and adds up what became of every event.
//!
//! Two backends stand behind one host: a steady one and a troubled one, which answers 429, 500 or 503, resets connections
//! before and in its answer, or does not answer. Each life of the host ends by SIGKILL at a named point. In the end both
//! backends are well and everything that was acknowledged must have arrived at both; what the host says that it
//! received, delivered and has left must add up to what the backends saw.
//!
//! Called by `tests/chaos.rs` with a few kills and by `make chaos` with a thousand.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use kit::backend::langfuse::{Langfuse, SPAN};
use kit::backend::{Backend, Behaviour, DEADLINE, Which};
use kit::client::Outgoing;
use kit::fixtures::{ndjson, span, span_id};
use kit::host::{HostCommand, RunningHost, Signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::{Config, accounts};

/// Clients that send at once.
const CLIENTS: u64 = 4;

/// Events of one request.
const EVENTS_A_REQUEST: u64 = 20;

/// Events of one batch to a backend, and batches on their way at once: what a kill may cause to be sent twice.
const EVENTS_A_BATCH: u64 = 50;
const BATCHES_AT_ONCE: u64 = 4;

/// How much is killed, and in which order.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Lives of the host that end by SIGKILL.
    pub kills: u64,
    /// The same seed chooses the same points and the same trouble.
    pub seed: u64,
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Kills by point.
    pub kills: BTreeMap<&'static str, u64>,
    /// Events that were answered with success.
    pub acknowledged: u64,
    /// Events that the host had taken in, answered or not.
    pub received: u64,
    /// Events that the steady backend got more than once.
    pub repeated_steady: u64,
    /// Events that the troubled backend got more than once.
    pub repeated_troubled: u64,
}

/// Where a life ends.
#[derive(Clone, Copy, Debug)]
enum Point {
    /// So long after its start: while it opens its files, mostly.
    InStart(Duration),
    /// As soon as so many requests have been acknowledged.
    AfterAcknowledgement(u64),
    /// While the steady backend has a request and the host no answer.
    BetweenRequestAndAnswer(usize),
    /// As soon as the steady backend has answered so many requests.
    AfterAnswer(u64),
    /// Right after it was asked to stop.
    InStop,
}

impl Point {
    fn draw(random: &mut fastrand::Rng) -> Self {
        match random.u8(0..10) {
            0 => Self::InStart(Duration::from_micros(random.u64(0..60_000))),
            1..=3 => Self::AfterAcknowledgement(random.u64(1..20)),
            4..=5 => Self::BetweenRequestAndAnswer(random.usize(1..5)),
            6..=8 => Self::AfterAnswer(random.u64(1..5)),
            _ => Self::InStop,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::InStart(_) => "in start",
            Self::AfterAcknowledgement(_) => "after an acknowledgement",
            Self::BetweenRequestAndAnswer(_) => "between request and answer",
            Self::AfterAnswer(_) => "after an answer",
            Self::InStop => "in stop",
        }
    }
}

/// Runs the plan; `on_kill` is told how many kills there have been.
///
/// # Errors
/// What was lost, doubled or miscounted.
pub async fn conserve(plan: Plan, mut on_kill: impl FnMut(u64)) -> anyhow::Result<Tally> {
    let mut random = fastrand::Rng::with_seed(plan.seed);
    let data = tempfile::tempdir()?;
    let steady = Backend::start(Langfuse::default()).await?;
    let troubled = Backend::start(Langfuse::default()).await?;
    let senders = Arc::new(Senders::default());
    let mut tally = Tally::default();
    for kill in 1..=plan.kills {
        steady.heal();
        troubled.heal();
        troubled.on(Which::all().first(random.usize(0..6)), trouble(&mut random));
        let point = Point::draw(&mut random);
        let life = life(point, &senders, data.path(), &steady, &troubled);
        let ended = life.await;
        ended.with_context(|| format!("kill {kill}, {}, seed {}", point.name(), plan.seed))?;
        *tally.kills.entry(point.name()).or_default() += 1;
        on_kill(kill);
    }
    steady.heal();
    troubled.heal();
    settle(&plan, &senders, data.path(), &steady, &troubled, tally).await
}

fn trouble(random: &mut fastrand::Rng) -> Behaviour {
    match random.u8(0..6) {
        0 => Behaviour::status(429),
        1 => Behaviour::status(500),
        2 => Behaviour::retry_after_seconds(503, 1),
        3 => Behaviour::ResetBeforeAnswer,
        4 => Behaviour::ResetInAnswer,
        _ => Behaviour::Never,
    }
}

fn host(data: &Path, steady: &Backend, troubled: &Backend) -> anyhow::Result<HostCommand> {
    let limits = format!("num_consumers: {BATCHES_AT_ONCE}");
    let config = Config::new()
        .langfuse("langfuse/steady", &steady.url())?
        .with(&limits)
        .langfuse("langfuse/troubled", &troubled.url())?
        .with(&limits);
    let small = format!("batch: {{max_items: {EVENTS_A_BATCH}, ");
    let yaml = config.yaml().replace("batch: {", &small);
    Ok(HostCommand::new("run")?
        .config(&yaml)?
        .args(["--output", "json"])
        .arg("--data-dir")
        .arg(data))
}

/// What the clients have sent so far.
#[derive(Default)]
struct Senders {
    next: AtomicU64,
    acknowledged: std::sync::Mutex<BTreeSet<u64>>,
}

impl Senders {
    /// Sends until the host is gone. `acknowledgements` counts the requests answered with success.
    async fn send(
        self: Arc<Self>,
        address: std::net::SocketAddr,
        acknowledgements: watch::Sender<u64>,
    ) {
        loop {
            let first = self.next.fetch_add(EVENTS_A_REQUEST, Ordering::Relaxed);
            let numbers = first..first + EVENTS_A_REQUEST;
            let spans: Vec<_> = numbers
                .clone()
                .map(|number| span(first / EVENTS_A_REQUEST + 1, number + 1, None, "tool_call"))
                .collect();
            let request = Outgoing::post("/v1/events", "application/x-ndjson", ndjson(&spans));
            match request.send(address).await {
                Ok(reply) if reply.status == 200 => {
                    self.lock().extend(numbers);
                    acknowledgements.send_modify(|count| *count += 1);
                }
                Ok(_) => tokio::task::yield_now().await,
                Err(_) => return,
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<u64>> {
        let lock = self.acknowledged.lock();
        lock.unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// One life of the host, up to its kill.
async fn life(
    point: Point,
    senders: &Arc<Senders>,
    data: &Path,
    steady: &Backend,
    troubled: &Backend,
) -> anyhow::Result<()> {
    let command = host(data, steady, troubled)?.on_free_ports();
    if let Point::InStart(time) = point {
        return command.kill_after(time).await;
    }
    let host = command.start_bare().await?;
    let (count, mut acknowledged) = watch::channel(0);
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(Arc::clone(senders).send(host.address(), count.clone()));
    }
    let (requests, answers) = (count_requests(steady), count_answers(steady));
    match point {
        Point::InStart(_) => {}
        Point::AfterAcknowledgement(wanted) => {
            acknowledged.wait_for(|count| *count >= wanted).await?;
        }
        Point::BetweenRequestAndAnswer(wanted) => {
            steady.on(Which::all().nth(wanted), Behaviour::Never);
            until(steady, || {
                count_requests(steady) >= requests + wanted as u64
            })
            .await?;
        }
        Point::AfterAnswer(wanted) => {
            until(steady, || count_answers(steady) >= answers + wanted).await?;
        }
        Point::InStop => {
            acknowledged.wait_for(|count| *count >= 1).await?;
            host.signal(Signal::TERM)?;
        }
    }
    kill(host).await?;
    // They end with the host.
    while clients.join_next().await.is_some() {}
    Ok(())
}

async fn kill(host: RunningHost) -> anyhow::Result<()> {
    host.signal(Signal::KILL)?;
    host.ended().await.map(drop)
}

/// Lets the host deliver what is left, and adds up.
async fn settle(
    plan: &Plan,
    senders: &Senders,
    data: &Path,
    steady: &Backend,
    troubled: &Backend,
    mut tally: Tally,
) -> anyhow::Result<Tally> {
    let acknowledged: BTreeSet<String> = senders
        .lock()
        .iter()
        .map(|number| span_id(number + 1))
        .collect();
    let last = host(data, steady, troubled)?
        .on_free_ports()
        .start_bare()
        .await?;
    for backend in [steady, troubled] {
        until(backend, || acknowledged.is_subset(&ids(backend))).await?;
    }
    let finished = last.terminate().await?;
    finished.expect_code(0)?;
    let accounts = accounts(&finished)?;
    tally.acknowledged = acknowledged.len() as u64;
    for (exporter, backend, repeated) in [
        ("langfuse/steady", steady, &mut tally.repeated_steady),
        ("langfuse/troubled", troubled, &mut tally.repeated_troubled),
    ] {
        let account = accounts.of(exporter, "traces")?;
        let (stored, distinct) = (backend.stored(SPAN).len() as u64, ids(backend).len() as u64);
        ensure!(
            (account.delivered, account.queued) == (account.received, 0),
            "{exporter}: {account:?}, seed {}",
            plan.seed
        );
        ensure!(
            distinct == account.received,
            "{exporter}: the backend has {distinct} events, the host counted {account:?}, seed {}",
            plan.seed
        );
        *repeated = stored - distinct;
        tally.received = account.received;
    }
    let most = plan.kills * BATCHES_AT_ONCE * EVENTS_A_BATCH;
    ensure!(
        tally.repeated_steady <= most,
        "{} events came twice, at most {most} were on their way, seed {}",
        tally.repeated_steady,
        plan.seed
    );
    Ok(tally)
}

/// Looks again after each request and each answer.
async fn until(backend: &Backend, promise: impl Fn() -> bool) -> anyhow::Result<()> {
    let mut changes = backend.changes();
    let looking = async {
        while !promise() {
            changes.changed().await?;
        }
        anyhow::Ok(())
    };
    let looked = tokio::time::timeout(DEADLINE, looking).await;
    looked.with_context(|| format!("not in time:\n{}", backend.summary()))?
}

fn count_requests(backend: &Backend) -> u64 {
    let counts = backend.counts();
    counts.values().map(|route| route.requests).sum()
}

fn count_answers(backend: &Backend) -> u64 {
    let counts = backend.counts();
    counts
        .values()
        .flat_map(|route| route.statuses.values())
        .sum()
}

fn ids(backend: &Backend) -> BTreeSet<String> {
    let stored = backend.stored(SPAN).into_iter();
    stored.map(|span| span.id).collect()
}
