//! The delivery task of one exporter. It takes batches from its cursor when they are due, keeps up to N calls under way,
//! does what [`classify`](super::classify) says of each, and makes its state visible.
//!
//! A batch is taken only when it can be called at once, so that what waits, waits in the queue, where the bounds and the
//! drop policy are. Taken and without a fate are at most N batches under way and [`SPARE_BATCHES`] batches' worth, by
//! count and by bytes, of events that are tried again; nothing of it is shared with another exporter but the events themselves.

use std::collections::HashMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, debug_span, info, warn};

use super::backoff::Backoff;
use super::batch::BatchLimits;
use super::gate::Gate;
use super::jobs::{Job, Jobs};
use super::settings::ExporterSettings;
use super::shaping::Shaping;
use super::source::{Cursor, CursorError, TakeLimits, Waiting};
use super::status::{State, Status};
use crate::event::Signal;
use crate::event::per_signal::PerSignal;
use crate::plugin::guest::{Batch, Guest};
use crate::plugin::outcome::{CallError, Flushed, SendResult};
use flush::Flushing;
use gather::Gathering;

mod ends;
mod flush;
mod gather;
mod lanes;
mod shaped;

/// Events that are tried again may be as many as in this many full batches, before no more are taken.
const SPARE_BATCHES: usize = 8;

/// The same in bytes while the backend is down, when more of them would be held and nothing gained.
const SPARE_BATCHES_WHILE_PROBING: usize = 2;

/// While only probes get through, fresh events are tried once all others have failed as often.
const FAILURES_BEFORE_FRESH_PROBE: u32 = 3;

/// For aborted calls to go away, and for the last fates to be recorded.
const ABORT_GRACE: Duration = Duration::from_millis(500);

/// What the task is told.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Control {
    /// Rises with each command.
    pub(crate) number: u64,
    /// Nobody is to wait for more events: batches go out as they are.
    pub(crate) flush: bool,
    /// With `flush`: traces whose root has not ended stay in the queue.
    pub(crate) keeps_unfinished: bool,
    /// Rises when the settings have changed.
    pub(crate) resumed: u64,
    /// How long calls under way may take once it is stopped, if not as the settings say.
    pub(crate) stop_grace: Option<Duration>,
}

/// What connects the task with the rest.
pub(crate) struct Wires {
    pub(crate) control: watch::Receiver<Control>,
    pub(crate) status: watch::Sender<Status>,
    pub(crate) stop: CancellationToken,
}

/// What ended.
enum Done {
    Called(Result<SendResult, CallError>),
    Flushed(Result<Flushed, CallError>),
    Settled(Result<(), CursorError>),
    Released(Result<(), CursorError>),
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Call a job, by its position.
    Retry(usize),
    /// Take a batch and call it.
    Take(Signal),
    /// Have the component deliver what it holds.
    Flush,
    /// Take spans and find out which traces they are of.
    Gather,
    /// Call the traces that may go.
    SendGroup,
    /// Nothing before.
    Sleep(Instant),
    /// Nothing before something ends or comes.
    Wait,
}

struct Call {
    job: Job,
    is_probe: bool,
    began: Instant,
    abort: AbortHandle,
}

/// See the module.
pub(crate) struct ExporterTask<G, C> {
    exporter: Arc<str>,
    guest: Arc<G>,
    cursor: Arc<C>,
    settings: ExporterSettings,
    shaping: Box<dyn Shaping>,
    wires: Wires,
    random: fastrand::Rng,
    gate: Gate,
    jobs: Jobs,
    tasks: JoinSet<Done>,
    calls: HashMap<Id, Call>,
    /// When events were first seen to wait.
    waiting_since: PerSignal<Option<Instant>>,
    waiting: PerSignal<Waiting>,
    not_before: PerSignal<Option<Instant>>,
    /// The queue gave nothing, whatever waits; not asked again before, or before a call has ended.
    empty_until: PerSignal<Option<Instant>>,
    /// Batches of which something was delivered.
    deliveries: PerSignal<u64>,
    /// For a stateful component.
    flushing: Option<Flushing>,
    /// For a component that wants whole traces.
    gathering: Option<Gathering>,
    /// Whether another handle has the cursor now.
    is_superseded: bool,
    /// The signal that is looked at first, so that none starves.
    turn: usize,
    seen: Control,
    status: Status,
}

impl<G: Guest, C: Cursor> ExporterTask<G, C> {
    pub(crate) fn new(
        guest: Arc<G>,
        cursor: C,
        settings: ExporterSettings,
        shaping: Box<dyn Shaping>,
        wires: Wires,
        random: fastrand::Rng,
    ) -> Self {
        let now = Instant::now();
        let probe_backoff = Backoff {
            initial: settings.retry.initial,
            max: settings.max_probe_wait,
        };
        Self {
            exporter: cursor.exporter_id().into(),
            guest,
            cursor: Arc::new(cursor),
            shaping,
            wires,
            random,
            gate: Gate::new(
                settings.concurrency,
                probe_backoff,
                settings.refused_probe_interval,
                now,
            ),
            flushing: settings.holding.map(|holding| Flushing::new(holding, now)),
            is_superseded: false,
            gathering: Gathering::new(&settings),
            settings,
            jobs: Jobs::default(),
            tasks: JoinSet::new(),
            calls: HashMap::new(),
            waiting_since: PerSignal::default(),
            waiting: PerSignal::default(),
            not_before: PerSignal::default(),
            empty_until: PerSignal::default(),
            deliveries: PerSignal::default(),
            turn: 0,
            seen: Control::default(),
            status: Status::new(now),
        }
    }

    /// Delivers until it is stopped, or its cursor is taken over.
    pub(crate) async fn run(mut self) {
        let end = self.deliver().await;
        self.stop(end).await;
    }

    async fn deliver(&mut self) -> State {
        loop {
            self.heed_control();
            // Before anything is awaited: a queue that hangs is to be seen.
            self.look(Instant::now());
            self.publish(None);
            let wake = match self.advance().await {
                Ok(wake) => wake,
                Err(end) => return end,
            };
            self.publish(None);
            let alarm = async {
                match wake {
                    Some(at) => sleep_until(at).await,
                    None => pending().await,
                }
            };
            let stop = self.wires.stop.clone();
            tokio::select! {
                biased;
                () = stop.cancelled() => return State::Stopped,
                Some(done) = self.tasks.join_next_with_id() => {
                    if let Err(end) = self.finish(done) {
                        return end;
                    }
                }
                told = self.wires.control.changed() => {
                    if told.is_err() {
                        return State::Stopped;
                    }
                }
                () = self.cursor.grown() => {}
                () = alarm => {}
            }
        }
    }

    fn heed_control(&mut self) {
        let control = *self.wires.control.borrow_and_update();
        if control.resumed != self.seen.resumed {
            let now = Instant::now();
            self.gate.reset();
            self.not_before = PerSignal::default();
            self.jobs.iter_mut().for_each(|job| job.due = now);
            if let Some(flushing) = &mut self.flushing {
                flushing.hurry();
            }
        }
        self.seen = control;
    }

    /// Starts every call that can be started now. Returns when to look again, if nothing happens before.
    async fn advance(&mut self) -> Result<Option<Instant>, State> {
        loop {
            let now = Instant::now();
            self.look(now);
            match self.next_step(now) {
                Step::Wait => return Ok(None),
                Step::Sleep(until) => return Ok(Some(until)),
                Step::Retry(position) => {
                    if let Some(job) = self.jobs.remove(position) {
                        self.status.counts.events_resent +=
                            job.items.len() as u64 * u64::from(job.attempts > 0);
                        self.call(job);
                    }
                }
                Step::Take(signal) => self.take(signal, now).await?,
                Step::Flush => self.flush(),
                Step::Gather => self.gather(now).await?,
                Step::SendGroup => self.send_group(now).await?,
            }
        }
    }

    /// Looks at what waits in the queue.
    fn look(&mut self, now: Instant) {
        self.waiting = self.cursor.waiting();
        for signal in Signal::ALL {
            let since = self.waiting_since.get_mut(signal);
            *since = if self.waiting.get(signal).items == 0 {
                None
            } else {
                since.or(Some(now))
            };
        }
    }

    fn next_step(&self, now: Instant) -> Step {
        let gather = self.gather_due(now);
        if gather.is_some_and(|at| at <= now) {
            return Step::Gather;
        }
        let next = self.next_call(now).into_iter();
        let next = next.chain(gather.map(|at| (at, Step::Gather)));
        match next.min_by_key(|(at, _)| *at) {
            None => Step::Wait,
            Some((at, step)) if at <= now => step,
            Some((at, _)) => Step::Sleep(at),
        }
    }

    /// The call that is due first, and when; `None` before something ends or comes.
    fn next_call(&self, now: Instant) -> Option<(Instant, Step)> {
        let room_at = self.room_at(now)?;
        let is_probing = self.gate.is_probing();
        let opens_at = self.gate.opens_at(now).max(room_at);
        let opens_for = |signal| {
            self.not_before
                .get(signal)
                .map_or(opens_at, |until| until.max(opens_at))
        };
        let blocked = self.blocked_jobs();
        let free = self.jobs.iter().enumerate();
        let free = free.filter(|(position, _)| !blocked.contains(position));
        let retries = free.map(|(position, job)| {
            // A probe does not wait for its own turn, and the one that failed least is the likeliest to get through.
            let (due, rank) = if is_probing {
                (now, job.failures as usize + Signal::ALL.len() + 1)
            } else {
                (job.due, 0)
            };
            (opens_for(job.signal).max(due), rank, Step::Retry(position))
        });
        let fresh = Signal::ALL
            .into_iter()
            .filter(|_| self.may_take(is_probing))
            .filter_map(|signal| {
                let turn = (signal.index() + Signal::ALL.len() - self.turn) % Signal::ALL.len();
                if signal == Signal::Traces && self.gathering.is_some() {
                    let due = self.group_due(now)?;
                    return Some((opens_for(signal).max(due), 1 + turn, Step::SendGroup));
                }
                let since = (*self.waiting_since.get(signal))?;
                let due = self.settings.batch.due(
                    *self.waiting.get(signal),
                    since,
                    self.seen.flush,
                    now,
                )?;
                let due = self
                    .empty_until
                    .get(signal)
                    .map_or(due, |until| until.max(due));
                Some((opens_for(signal).max(due), 1 + turn, Step::Take(signal)))
            });
        let flush = self
            .flush_due(now)
            .map(|due| (opens_at.max(due), 0, Step::Flush));
        let next = flush
            .into_iter()
            .chain(retries)
            .chain(fresh)
            .min_by_key(|(at, rank, _)| ((*at).max(now), *rank));
        next.map(|(at, _, step)| (at, step))
    }

    /// Calls that have not ended.
    fn under_way(&self) -> usize {
        let flush = self.flushing.as_ref().and_then(|it| it.call.as_ref());
        self.calls.len() + usize::from(flush.is_some())
    }

    /// When one more call may start; `None` before one has ended.
    fn room_at(&self, now: Instant) -> Option<Instant> {
        let flush = self.flushing.as_ref().and_then(|it| it.call.as_ref());
        let calls = self.calls.values().map(|call| (call.began, call.is_probe));
        let calls = calls.chain(flush.map(|call| (call.began, call.is_probe)));
        self.gate.room_at(calls, now)
    }

    /// Whether no event waits for a call of `send`, and none is in one.
    fn has_nothing_to_send(&self) -> bool {
        self.calls.is_empty()
            && self.jobs.items() == 0
            && self.waiting.iter().all(|(_, waiting)| waiting.items == 0)
    }

    fn may_take(&self, is_probing: bool) -> bool {
        if self.flushing.as_ref().is_some_and(|it| it.held.is_full()) {
            return false;
        }
        let BatchLimits {
            max_items,
            max_bytes,
            ..
        } = self.settings.batch;
        let full_batches = if is_probing {
            SPARE_BATCHES_WHILE_PROBING
        } else {
            SPARE_BATCHES
        };
        let has_room = self.jobs.items() < max_items.saturating_mul(SPARE_BATCHES)
            && self.jobs.bytes() < max_bytes.saturating_mul(full_batches);
        let is_time = || {
            self.jobs
                .iter()
                .all(|job| job.failures >= FAILURES_BEFORE_FRESH_PROBE)
        };
        has_room && (!is_probing || is_time())
    }

    async fn take(&mut self, signal: Signal, now: Instant) -> Result<(), State> {
        let BatchLimits {
            max_items,
            max_bytes,
            ..
        } = self.settings.batch;
        let busy_lanes = self.busy_lanes(signal);
        let limits = TakeLimits {
            max_items,
            max_bytes,
            busy_lanes: busy_lanes.as_ref(),
        };
        // What is left over has not waited long; it was behind a batch that has only just been due.
        *self.waiting_since.get_mut(signal) = None;
        self.turn = (signal.index() + 1) % Signal::ALL.len();
        match self.cursor.take(signal, limits).await {
            // All of it is of busy lanes.
            Ok(items) if items.is_empty() => {
                *self.empty_until.get_mut(signal) = Some(now + self.settings.batch.max_age)
            }
            Ok(items) => {
                let mut items = self.shape(signal, items);
                self.set_tried_aside(signal, &mut items, now);
                if !items.is_empty() {
                    self.call(Job::new(signal, items, now));
                }
            }
            Err(error) => self.queue_trouble(&error)?,
        }
        Ok(())
    }

    fn call(&mut self, job: Job) {
        if let Some(flushing) = &mut self.flushing {
            flushing.touch(Instant::now());
        }
        let guest = Arc::clone(&self.guest);
        let batch = Batch {
            signal: job.signal,
            items: Arc::clone(&job.items),
            ancestors: self.ancestors(&job),
        };
        let span = debug_span!("deliver", exporter = %self.exporter, signal = %job.signal, events = job.items.len());
        let call = async move { Done::Called(guest.send(batch).await) };
        let is_probe = self.gate.is_probing();
        let abort = self.tasks.spawn(call.instrument(span));
        self.calls.insert(
            abort.id(),
            Call {
                job,
                is_probe,
                began: Instant::now(),
                abort,
            },
        );
    }

    /// Lets calls under way finish, gives everything without a fate back to the queue, and says that it is over.
    async fn stop(mut self, end: State) {
        self.publish(Some(State::Stopping));
        let told = self.wires.control.borrow().stop_grace;
        let deadline = Instant::now() + told.unwrap_or(self.settings.stop_grace);
        self.finish_until(deadline).await;
        if !self.is_superseded && self.flush_at_the_end() {
            self.finish_until(deadline).await;
        }
        // Calls only: what has been delivered is still to be recorded.
        self.calls.values().for_each(|call| call.abort.abort());
        if let Some(call) = self.flushing.as_ref().and_then(|it| it.call.as_ref()) {
            call.abort.abort();
        }
        self.finish_until(Instant::now() + ABORT_GRACE).await;
        let calls = std::mem::take(&mut self.calls)
            .into_values()
            .map(|call| call.job);
        let held = self
            .flushing
            .as_mut()
            .map_or_else(Vec::new, |flushing| flushing.held.lose());
        let batches = self.jobs.drain().chain(calls);
        let gathered = self
            .gathering
            .as_mut()
            .map(|it| (Signal::Traces, it.groups.drain()));
        let batches = batches.map(|job| (job.signal, job.tokens()));
        for (signal, tokens) in batches.chain(held).chain(gathered) {
            if let Err(error) = self.cursor.release(signal, tokens).await {
                debug!(exporter = %self.exporter, %error, "Events wait again when the cursor is opened.");
            }
        }
        self.waiting = self.cursor.waiting();
        self.publish(Some(end));
    }

    async fn finish_until(&mut self, deadline: Instant) {
        while let Ok(Some(done)) = timeout_at(deadline, self.tasks.join_next_with_id()).await {
            // An end is under way already; what the queue says is recorded in the status.
            let _ = self.finish(done);
        }
    }

    /// The gate's state, unless it knows nothing of what is wrong.
    fn state(&self, now: Instant) -> State {
        match (self.gate.state(now), &self.flushing) {
            (State::Running, Some(flushing))
                if flushing.held.is_full() && !flushing.is_hurried() =>
            {
                State::Overfull {
                    events: flushing.held.count(),
                }
            }
            (State::Running, Some(flushing)) => flushing
                .failing_since
                .map_or(State::Running, |since| State::Retrying { since }),
            (state, _) => state,
        }
    }

    /// Makes the state visible; `state` where it is not the gate's.
    fn publish(&mut self, state: Option<State>) {
        let now = Instant::now();
        let state = state.unwrap_or_else(|| self.state(now));
        if state.name() != self.status.state.name() {
            let (before, now) = (self.status.state.name(), state.name());
            let error = self.status.last_error.as_deref().unwrap_or_default();
            match state {
                State::Running | State::Delayed { .. }
                    if matches!(before, "running" | "delayed") =>
                {
                    debug!(exporter = %self.exporter, before, now, "Delivery changed its state.");
                }
                State::Running | State::Delayed { .. } | State::Stopping | State::Stopped => {
                    info!(exporter = %self.exporter, before, now, "Delivery changed its state.");
                }
                _ => {
                    warn!(exporter = %self.exporter, before, now, error, "Delivery changed its state.")
                }
            }
        }
        self.status.state = state;
        self.status.in_flight = self.under_way();
        self.status.max_in_flight = self.gate.limit();
        self.status.retrying_events = self.jobs.items();
        self.status.shaped = self.shaping.counts();
        self.status.held_events = self.flushing.as_ref().map_or(0, |it| it.held.count());
        let is_quiet = self.tasks.is_empty() && self.has_nothing_to_send();
        self.status.is_idle =
            is_quiet && self.status.held_events == 0 && self.has_no_traces_to_send();
        let is_group_due = self.group_due(now).is_some_and(|at| at <= now);
        let is_flush_failing = |it: &Flushing| it.held.is_full() || it.failing_since.is_some();
        let had_work = self.status.has_work;
        self.status.has_work =
            !is_quiet || is_group_due || self.flushing.as_ref().is_some_and(is_flush_failing);
        // Work that has just come has not been kept waiting.
        if !self.status.has_work || !had_work {
            self.status.last_progress = now;
        }
        self.status.seen = self.seen.number;
        self.wires.status.send_if_modified(|published| {
            let is_changed = *published != self.status;
            if is_changed {
                published.clone_from(&self.status);
            }
            is_changed
        });
    }
}

#[cfg(test)]
mod tests;
