//! Delivery: for each exporter a task of its own that carries events from its cursor to its component, tries again what
//! did not get through, and counts the fate of each event exactly once.
//!
//! One exporter that hangs, fails or is refused never slows another: tasks share nothing but the events. This room knows
//! neither the engine (it calls a [`Guest`]) nor the store (it reads a [`Cursor`]); it decides on results alone, never on
//! texts. Nothing is lost between the two: whatever has no fate is still the queue's.

mod ancestors;
pub mod backoff;
pub mod batch;
pub mod classify;
pub mod dead_letter;
mod exporter;
mod gate;
mod groups;
mod held;
mod jobs;
pub mod settings;
pub mod shaping;
pub mod source;
pub mod status;
mod window;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::plugin::guest::Guest;
use exporter::{Control, ExporterTask, Wires};
use settings::ExporterSettings;
use shaping::Shaping;
use source::Cursor;
use status::{State, Status};

struct Handle {
    control: watch::Sender<Control>,
    status: watch::Receiver<Status>,
    stop: CancellationToken,
}

impl Handle {
    fn tell(&self, change: impl FnOnce(&mut Control)) -> u64 {
        let mut number = 0;
        self.control.send_modify(|control| {
            change(control);
            control.number += 1;
            number = control.number;
        });
        number
    }
}

/// How exporters stand, for whoever looks while others hold [`Delivery`]. Clones show the same.
#[derive(Clone, Default)]
pub struct Statuses(Arc<RwLock<BTreeMap<String, Shown>>>);

struct Shown {
    status: watch::Receiver<Status>,
    is_replaced: bool,
}

impl Shown {
    /// The last word of the task; says so when the task has died.
    fn now(&self) -> Status {
        let mut status = self.status.borrow().clone();
        let is_gone = self.status.has_changed().is_err();
        if self.is_replaced {
            status.state = State::Replaced;
        } else if is_gone && !matches!(status.state, State::Stopped | State::Failed { .. }) {
            status.state = State::Failed {
                reason: "the delivery task ended unexpectedly".into(),
            };
            status.in_flight = 0;
        }
        status
    }
}

impl Statuses {
    /// By exporter id.
    #[must_use]
    pub fn now(&self) -> BTreeMap<String, Status> {
        let shown = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let exporters = shown.iter();
        exporters
            .map(|(id, shown)| (id.clone(), shown.now()))
            .collect()
    }

    fn show(&self, id: &str, status: watch::Receiver<Status>) {
        let mut shown = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let is_replaced = false;
        shown.insert(
            id.to_owned(),
            Shown {
                status,
                is_replaced,
            },
        );
    }

    fn show_replaced(&self, id: &str) {
        let mut shown = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(shown) = shown.get_mut(id) {
            shown.is_replaced = true;
        }
    }

    fn forget(&self, id: &str) {
        let mut shown = self.0.write().unwrap_or_else(PoisonError::into_inner);
        shown.remove(id);
    }
}

/// The delivery tasks of all exporters. Dropping it ends them at once; [`Delivery::stop`] is the graceful way.
pub struct Delivery {
    tasks: JoinSet<()>,
    exporters: BTreeMap<String, Handle>,
    shown: Statuses,
    random: fastrand::Rng,
}

impl Delivery {
    /// No exporters yet. `random` is for the jitter of retries.
    #[must_use]
    pub fn new(random: fastrand::Rng) -> Self {
        Self {
            tasks: JoinSet::new(),
            exporters: BTreeMap::new(),
            shown: Statuses::default(),
            random,
        }
    }

    /// Starts to deliver from a cursor to a component, shaped on the way. An exporter of the same id that still runs is
    /// told to stop; it has lost its cursor already.
    pub fn start<G: Guest, C: Cursor>(
        &mut self,
        guest: Arc<G>,
        cursor: C,
        settings: ExporterSettings,
        shaping: Box<dyn Shaping>,
    ) {
        let id = cursor.exporter_id().to_owned();
        let (control, control_seen) = watch::channel(Control::default());
        let (status_shown, status) = watch::channel(Status::new(Instant::now()));
        let stop = CancellationToken::new();
        let wires = Wires {
            control: control_seen,
            status: status_shown,
            stop: stop.clone(),
        };
        self.shown.show(&id, status.clone());
        let task = ExporterTask::new(guest, cursor, settings, shaping, wires, self.random.fork());
        self.tasks.spawn(task.run());
        if let Some(before) = self.exporters.insert(
            id,
            Handle {
                control,
                status,
                stop,
            },
        ) {
            before.stop.cancel();
        }
    }

    /// How each exporter stands.
    #[must_use]
    pub fn statuses(&self) -> BTreeMap<String, Status> {
        self.shown.now()
    }

    /// The same, to look at later.
    #[must_use]
    pub fn watch(&self) -> Statuses {
        self.shown.clone()
    }

    /// Tells an exporter that its settings have changed: a paused one goes on at once. False if there is none.
    pub fn resume(&self, exporter_id: &str) -> bool {
        self.exporters
            .get(exporter_id)
            .map(|handle| handle.tell(|control| control.resumed += 1))
            .is_some()
    }

    /// No more events are to come: sends out what waits without waiting for more, until all is settled or the time has
    /// come. Returns the exporters that are not done; their accounts say what is left. Cancel safe.
    pub async fn drain(&self, until: Instant) -> Vec<String> {
        let flush = |control: &mut Control| control.flush = true;
        self.tell_and_wait(flush, until).await
    }

    /// The same before an end that the queue outlives: traces whose root has not ended stay queued, to be put together
    /// with what comes after the next start. Cancel safe.
    pub async fn wind_down(&self, until: Instant) -> Vec<String> {
        let flush = |control: &mut Control| {
            control.flush = true;
            control.keeps_unfinished = true;
        };
        self.tell_and_wait(flush, until).await
    }

    async fn tell_and_wait(&self, flush: impl Fn(&mut Control), until: Instant) -> Vec<String> {
        let told: Vec<_> = self
            .exporters
            .iter()
            .map(|(id, handle)| (id, handle.status.clone(), handle.tell(&flush)))
            .collect();
        let mut unfinished = Vec::new();
        for (id, mut status, number) in told {
            let is_done = |status: &Status| status.seen >= number && status.is_idle;
            // One wait after the other: all have the same deadline, and go on meanwhile.
            if !matches!(timeout_at(until, status.wait_for(is_done)).await, Ok(Ok(_))) {
                unfinished.push(id.clone());
            }
        }
        unfinished
    }

    /// Stops one exporter and forgets it: calls under way may finish within `grace`, the rest stays queued. `None` if
    /// there is none.
    pub fn remove(&mut self, exporter_id: &str, grace: Duration) -> Option<Leaving> {
        self.shown.forget(exporter_id);
        self.end(exporter_id, grace)
    }

    /// The same for one that is to be [started](Self::start) anew: until then it is shown as replaced.
    pub fn make_way(&mut self, exporter_id: &str, grace: Duration) -> Option<Leaving> {
        self.shown.show_replaced(exporter_id);
        self.end(exporter_id, grace)
    }

    fn end(&mut self, exporter_id: &str, grace: Duration) -> Option<Leaving> {
        self.reap();
        let handle = self.exporters.remove(exporter_id)?;
        handle.tell(|control| control.stop_grace = Some(grace));
        handle.stop.cancel();
        Some(Leaving(handle.status))
    }

    /// Stops all exporters at once; each lets its calls under way finish within its grace, and everything without a fate
    /// stays queued. Calling it again is safe. Returns the last statuses.
    pub async fn stop(&mut self) -> BTreeMap<String, Status> {
        self.exporters
            .values()
            .for_each(|handle| handle.stop.cancel());
        while let Some(ended) = self.tasks.join_next().await {
            look_at(&ended);
        }
        self.statuses()
    }

    fn reap(&mut self) {
        while let Some(ended) = self.tasks.try_join_next() {
            look_at(&ended);
        }
    }
}

/// An exporter that was told to stop.
pub struct Leaving(watch::Receiver<Status>);

impl Leaving {
    /// Returns when it has stopped.
    pub async fn ended(mut self) {
        while self.0.changed().await.is_ok() {}
    }
}

fn look_at(ended: &Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        error!(%error, "A delivery task ended unexpectedly; its events stay queued.");
    }
}
