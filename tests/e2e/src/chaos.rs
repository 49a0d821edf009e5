//! Kills the host again and again while clients send and backends misbehave, and adds up what became of every event.
//!
//! Two backends stand behind one host: a steady one and a troubled one, which answers 429, 500 or 503, resets connections
//! before and in its answer, or does not answer. Each life of the host ends by SIGKILL at a named [`point`] or at any
//! time. Now and then the host is stopped in peace, and its sums must hold. In the end both backends are well and
//! everything that was acknowledged must have arrived at both; what the host says that it received, delivered and has
//! left must add up to what the backends saw.
//!
//! Called by `tests/chaos.rs` with a few kills and by `make chaos` with a thousand.

mod clients;
mod ledger;
mod point;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use kit::backend::langfuse::Langfuse;
use kit::backend::{Backend, Behaviour, DEADLINE, Which};
use kit::host::{HostCommand, RunningHost, Signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::{Config, accounts};
use clients::Clients;
use ledger::{Counting, Ledger};
use point::{Point, segments_change};

/// Clients that send at once.
const CLIENTS: u64 = 4;

/// Events of one batch to a backend, and batches on their way at once: what a kill may cause to be sent twice.
const EVENTS_A_BATCH: u64 = 50;
const BATCHES_AT_ONCE: u64 = 4;

/// The least there is, so that segments are small and the bound is met.
const QUEUE: &str = "sending_queue: {max_disk: 128MiB}";

/// After so many kills the host is stopped in peace, once.
const KILLS_A_STOP: u64 = 40;

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
    /// Lives by what the troubled backend did.
    pub troubles: BTreeMap<&'static str, u64>,
    /// Requests that the troubled backend answered, by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Events that were answered with success.
    pub acknowledged: u64,
    /// Events that the host had taken in, answered or not.
    pub received: u64,
    /// Requests that were refused because the queue was full.
    pub refusals: u64,
    /// Spans that the steady backend got so often.
    pub steady: BTreeMap<u64, u64>,
    /// Spans that the troubled backend got so often.
    pub troubled: BTreeMap<u64, u64>,
}

/// A backend and what it has.
struct Station {
    backend: Backend,
    ledger: Ledger,
}

impl Station {
    async fn start() -> anyhow::Result<Self> {
        let ledger = Ledger::default();
        let fake = Counting {
            langfuse: Langfuse::default(),
            ledger: ledger.clone(),
        };
        let backend = Backend::start(fake).await?;
        Ok(Self { backend, ledger })
    }
}

/// What all lives have in common.
struct Run {
    plan: Plan,
    config: String,
    data: tempfile::TempDir,
    steady: Station,
    troubled: Station,
    clients: Arc<Clients>,
    tally: Tally,
}

/// Runs the plan; `on_kill` is told how many kills there have been.
///
/// # Errors
/// What was lost, doubled or miscounted.
pub async fn conserve(plan: Plan, mut on_kill: impl FnMut(u64)) -> anyhow::Result<Tally> {
    let mut random = fastrand::Rng::with_seed(plan.seed);
    let (steady, troubled) = (Station::start().await?, Station::start().await?);
    let mut run = Run {
        plan,
        config: config(&steady.backend, &troubled.backend)?,
        data: tempfile::tempdir()?,
        steady,
        troubled,
        clients: Arc::default(),
        tally: Tally::default(),
    };
    for kill in 1..=plan.kills {
        run.heal();
        let (name, trouble) = trouble(&mut random);
        let which = Which::all().first(random.usize(0..6));
        run.troubled.backend.on(which, trouble);
        let point = Point::draw(&mut random);
        let is_long = point.needs_segments() || random.u8(0..4) == 0;
        let ended = tokio::time::timeout(DEADLINE, run.live(point, is_long)).await;
        let place = || format!("kill {kill}, {}, seed {}", point.name(), plan.seed);
        ended.with_context(place)?.with_context(place)?;
        *run.tally.kills.entry(point.name()).or_default() += 1;
        *run.tally.troubles.entry(name).or_default() += 1;
        for station in [&run.steady, &run.troubled] {
            station.backend.forget_bodies();
        }
        if kill.is_multiple_of(KILLS_A_STOP) {
            run.stop_in_peace().await.with_context(place)?;
        }
        on_kill(kill);
    }
    run.settle().await
}

fn trouble(random: &mut fastrand::Rng) -> (&'static str, Behaviour) {
    match random.u8(0..6) {
        0 => ("429", Behaviour::status(429)),
        1 => ("500", Behaviour::status(500)),
        2 => (
            "503 with retry-after",
            Behaviour::retry_after_seconds(503, 1),
        ),
        3 => ("reset before the answer", Behaviour::ResetBeforeAnswer),
        4 => ("reset in the answer", Behaviour::ResetInAnswer),
        _ => ("no answer", Behaviour::Never),
    }
}

fn config(steady: &Backend, troubled: &Backend) -> anyhow::Result<String> {
    let limits = format!("num_consumers: {BATCHES_AT_ONCE}");
    let config = Config::new()
        .section(QUEUE)
        .langfuse("langfuse/steady", &steady.url())?
        .with(&limits)
        .langfuse("langfuse/troubled", &troubled.url())?
        .with(&limits)
        .with("timeout: 500ms");
    let small = format!("batch: {{max_items: {EVENTS_A_BATCH}, ");
    Ok(config.yaml().replace("batch: {", &small))
}

impl Run {
    fn heal(&self) {
        self.steady.backend.heal();
        self.troubled.backend.heal();
    }

    fn host(&self) -> anyhow::Result<HostCommand> {
        Ok(HostCommand::new("run")?
            .config(&self.config)?
            .args(["--output", "json"])
            .arg("--data-dir")
            .arg(self.data.path())
            .on_free_ports())
    }

    /// One life of the host, up to its kill.
    async fn live(&self, point: Point, is_long: bool) -> anyhow::Result<()> {
        let command = self.host()?;
        if let Point::InStart(time) = point {
            return command.kill_after(time).await;
        }
        let host = command.start_bare().await?;
        let (count, acknowledged) = watch::channel(0);
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let client = Arc::clone(&self.clients);
            clients.spawn(client.send(host.address(), is_long, count.clone()));
        }
        let reached = self.reach(point, &host, acknowledged).await;
        reached.with_context(|| host.stderr())?;
        kill(host).await?;
        // They end with the host.
        while clients.join_next().await.is_some() {}
        Ok(())
    }

    async fn reach(
        &self,
        point: Point,
        host: &RunningHost,
        mut acknowledged: watch::Receiver<u64>,
    ) -> anyhow::Result<()> {
        let steady = &self.steady.backend;
        let (requests, answers) = (count_requests(steady), count_answers(steady));
        match point {
            Point::InStart(_) => {}
            Point::AnyTime(time) => tokio::time::sleep(time).await,
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
            Point::SegmentBegun | Point::SegmentRemoved => {
                segments_change(point, self.data.path()).await?;
            }
            Point::InStop(time) => {
                acknowledged.wait_for(|count| *count >= 1).await?;
                host.signal(Signal::TERM)?;
                tokio::time::sleep(time).await;
            }
        }
        Ok(())
    }

    /// A life without clients that ends by SIGTERM; what it reports must add up.
    async fn stop_in_peace(&self) -> anyhow::Result<()> {
        self.heal();
        let host = self.host()?.start_bare().await?;
        let finished = host.terminate().await?;
        let accounts = accounts(&finished)?;
        for exporter in ["langfuse/steady", "langfuse/troubled"] {
            let account = accounts.of(exporter, "traces")?;
            ensure!(
                account.dead_lettered + account.dropped == 0,
                "{exporter} has given up events: {account:?}\n{}",
                finished.stderr
            );
        }
        Ok(())
    }

    /// Lets the host deliver what is left, and adds up.
    async fn settle(mut self) -> anyhow::Result<Tally> {
        self.heal();
        let last = self.host()?.start_bare().await?;
        let acknowledged = self.clients.acknowledged();
        let mut arrived = Ok(());
        for station in [&self.steady, &self.troubled] {
            arrived = arrived.and(station.wait_for(acknowledged.clone()).await);
        }
        let finished = last.terminate().await?;
        let seed = self.plan.seed;
        arrived.with_context(|| format!("{}{}seed {seed}", finished.stdout, finished.stderr))?;
        finished.expect_code(0)?;
        let accounts = accounts(&finished)?;
        for (exporter, station) in [
            ("langfuse/steady", &self.steady),
            ("langfuse/troubled", &self.troubled),
        ] {
            let account = accounts.of(exporter, "traces")?;
            ensure!(
                (account.delivered, account.queued) == (account.received, 0),
                "{exporter}: {account:?}, seed {seed}"
            );
            let distinct = station.ledger.distinct();
            ensure!(
                distinct == account.received,
                "{exporter}: the backend has {distinct} events, the host counted {account:?}, seed {seed}"
            );
            self.tally.received = account.received;
        }
        self.tally.acknowledged = acknowledged.len() as u64;
        self.tally.refusals = self.clients.refusals();
        self.tally.statuses = statuses(&self.troubled.backend);
        self.tally.steady = self.steady.ledger.repeats();
        self.tally.troubled = self.troubled.ledger.repeats();
        let on_their_way = self.plan.kills * BATCHES_AT_ONCE * EVENTS_A_BATCH;
        // A backend that takes a batch and resets the connection gets it again.
        let torn = 5
            * EVENTS_A_BATCH
            * self
                .tally
                .troubles
                .get("reset in the answer")
                .copied()
                .unwrap_or_default();
        for (station, most) in [
            (&self.steady, on_their_way),
            (&self.troubled, on_their_way + torn),
        ] {
            let repeated = station.ledger.repeated();
            ensure!(
                repeated <= most,
                "{repeated} events came twice, at most {most} were on their way, seed {seed}"
            );
        }
        Ok(self.tally)
    }
}

impl Station {
    /// Waits for spans, for as long as they go on coming.
    async fn wait_for(&self, mut missing: BTreeSet<String>) -> anyhow::Result<()> {
        loop {
            self.ledger.strike(&mut missing);
            if missing.is_empty() {
                return Ok(());
            }
            let distinct = self.ledger.distinct();
            let more = until(&self.backend, || self.ledger.distinct() > distinct).await;
            more.with_context(|| {
                let some: Vec<_> = missing.iter().take(3).collect();
                format!("{} events do not come, such as {some:?}", missing.len())
            })?;
        }
    }
}

async fn kill(host: RunningHost) -> anyhow::Result<()> {
    // It may have ended by itself where it was asked to stop.
    let _ended = host.signal(Signal::KILL);
    host.ended().await.map(drop)
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
    let looked = tokio::time::timeout(DEADLINE / 2, looking).await;
    looked.with_context(|| format!("not in time:\n{}", backend.summary()))?
}

fn count_requests(backend: &Backend) -> u64 {
    let counts = backend.counts();
    counts.values().map(|route| route.requests).sum()
}

fn count_answers(backend: &Backend) -> u64 {
    statuses(backend).values().sum()
}

fn statuses(backend: &Backend) -> BTreeMap<u16, u64> {
    let mut all = BTreeMap::new();
    for route in backend.counts().values() {
        for (status, count) in &route.statuses {
            *all.entry(*status).or_default() += count;
        }
    }
    all
}
