//! Changes what runs while events flow: exporters are added, replaced and removed, the others go on untouched. The start is
//! the same change, from nothing.
//!
//! Each exporter is prepared on its own, beside the others: one that hangs in `configure` costs nobody else a moment, and
//! the one that it is to replace runs on. An exporter that is replaced lets its calls under way finish, gives the rest back
//! to the queue, and the new one goes on from there. The place of one that is removed is kept for `retire_after`; when it
//! comes back it goes on where it was. The place of one that is wanted and cannot run is kept for as long as it is wanted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tracing::warn;

use super::{Exporters, Host, POOL_GRACE, StartError, exporter};
use crate::commands::causes;
use crate::config::select::Planned;
use crate::config::{ExporterConfig, ExporterId, Position};
use crate::event::Signal;
use crate::plugin::{Component, Pool};
use crate::queue::{Queue as _, QueueError, StartAt};

/// How long calls under way of an exporter that is replaced or removed may take. Below what a stop of the host may take,
/// which may come meanwhile.
const GRACE: Duration = Duration::from_secs(3);

/// What an exporter runs with, to see whether it is the same as before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Running(String);

impl Running {
    pub(super) fn of(planned: &Planned) -> Self {
        let mut config = planned.config.clone();
        config.at = Position::default();
        config.settings.positions.clear();
        let settings = &planned.settings;
        // What these do not show of themselves, because it may be secret, stays in this process.
        let proxy = config.http.proxy.as_ref().map(url::Url::as_str);
        Self(format!(
            "{} {config:?} {:?} {proxy:?} {}",
            planned.component.digest,
            settings.output,
            serde_json::Value::Object(settings.values.clone())
        ))
    }
}

/// How far each exporter is that is wanted, by id.
#[derive(Debug, Default)]
pub struct Slots {
    slots: Mutex<BTreeMap<String, Slot>>,
    /// Components that are being prepared and have not said their names.
    unnamed: Mutex<Vec<String>>,
}

#[derive(Debug, Default)]
struct Slot {
    running: Option<Running>,
    /// What is being prepared; a later change takes its place.
    preparing: Option<(u64, Running)>,
    /// Why nothing runs.
    inactive: Option<String>,
    /// A change has said that it is to stop, and it has not begun to.
    leaving: bool,
    /// Changes of one exporter take turns.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// Counts the changes.
    changes: u64,
}

impl Slots {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The states of exporters that do not run: `preparing`, or `inactive (...)` with the reason.
    #[must_use]
    pub fn not_running(&self) -> BTreeMap<String, String> {
        let slots = self.lock();
        let state = |slot: &Slot| match (&slot.running, &slot.preparing, &slot.inactive) {
            (Some(_), _, _) => None,
            (None, Some(_), _) => Some("preparing".to_owned()),
            (None, None, Some(reason)) => Some(format!("inactive ({reason})")),
            (None, None, None) => Some("preparing".to_owned()),
        };
        slots
            .iter()
            .filter_map(|(id, slot)| Some((id.clone(), state(slot)?)))
            .chain(
                self.unnamed
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .iter()
                    .map(|component| (component.clone(), "preparing".to_owned())),
            )
            .collect()
    }
}

/// What is to run.
#[derive(Default)]
pub struct Desired {
    /// Exporters with their components.
    pub exporters: Exporters,
    /// Exporters that cannot run now, and whose places are kept.
    pub waiting: Vec<Waiting>,
    /// Where exporters begin that the queue does not know, when not where their config says.
    pub begin: Option<StartAt>,
}

/// An exporter that waits.
pub struct Waiting {
    /// Its id.
    pub id: ExporterId,
    /// Its config.
    pub config: ExporterConfig,
    /// Why, for people. `None`: it is being prepared.
    pub reason: Option<String>,
    /// Signals that are kept for it when the queue does not know it. Empty: not known.
    pub signals: BTreeSet<Signal>,
}

/// What a change did, by exporter id.
#[derive(Default)]
pub struct Changes {
    /// Were not there before.
    pub added: Vec<String>,
    /// Run with another component or other settings.
    pub replaced: Vec<String>,
    /// Run no more.
    pub removed: Vec<String>,
    /// Could not start; what ran before runs on.
    pub failed: Vec<Failed>,
}

/// An exporter that could not start.
pub struct Failed {
    /// Its id.
    pub id: ExporterId,
    /// What it was to be.
    pub planned: Box<Planned>,
    /// Why not.
    pub error: StartError,
    /// Whether the one before runs on.
    pub runs_on: bool,
}

/// One exporter's part of a change.
enum Part {
    Done(ExporterId, bool),
    Failed(Box<Failed>),
    Removed(String),
    /// A later change has taken over.
    Superseded,
}

impl Host {
    /// The states of exporters that do not run, with the reason.
    #[must_use]
    pub fn not_running(&self) -> BTreeMap<String, String> {
        self.slots.not_running()
    }

    /// These components are being prepared and have not said their names yet.
    pub fn show_unnamed(&self, components: Vec<String>) {
        let unnamed = self.slots.unnamed.lock();
        *unnamed.unwrap_or_else(PoisonError::into_inner) = components;
    }

    /// Makes exactly these exporters run. Those that run just so already are not touched. When this returns, every
    /// exporter has its place in the queue; the work itself is left, each exporter's beside the others'. Dropping it ends
    /// what is under way; events stay queued.
    ///
    /// # Errors
    /// The queue's store failed.
    pub async fn change(
        &self,
        desired: Desired,
    ) -> Result<impl Future<Output = Changes> + Send + use<>, QueueError> {
        let begin = desired.begin;
        let known: BTreeSet<String> = self.queue.report().cursors.into_keys().collect();
        let mut wanted: BTreeSet<String> = BTreeSet::new();
        let mut parts: JoinSet<Part> = JoinSet::new();
        let mut starts = Vec::new();
        let mut started: BTreeMap<tokio::task::Id, (String, u64)> = BTreeMap::new();
        for waiting in desired.waiting {
            wanted.insert(waiting.id.to_string());
            self.keep_place(&waiting, begin, &known).await?;
            let is_out = waiting.reason.is_some();
            let has_stopped = self.note_waiting(&waiting);
            if is_out && has_stopped {
                parts.spawn(self.clone().remove(waiting.id.to_string(), true));
            }
        }
        for (id, planned, component) in desired.exporters {
            wanted.insert(id.to_string());
            if let Some(number) = self.begin_part(id.as_str(), &planned) {
                let is_known = known.contains(id.as_str());
                self.take_place(&id, &planned, &component, begin, is_known)
                    .await?;
                starts.push((id, planned, component, number));
            }
        }
        for id in self.leave_all_but(&wanted) {
            parts.spawn(self.clone().remove(id, false));
        }
        for (id, planned, component, number) in starts {
            let name = id.to_string();
            let task = parts.spawn(self.clone().start(id, planned, component, number, begin));
            started.insert(task.id(), (name, number));
        }
        let host = self.clone();
        Ok(async move {
            let mut changes = Changes::default();
            while let Some(ended) = parts.join_next().await {
                match ended {
                    Ok(Part::Done(id, true)) => changes.replaced.push(id.to_string()),
                    Ok(Part::Done(id, false)) => changes.added.push(id.to_string()),
                    Ok(Part::Failed(failed)) => changes.failed.push(*failed),
                    Ok(Part::Removed(id)) => changes.removed.push(id),
                    Ok(Part::Superseded) => {}
                    Err(error) => {
                        warn!(%error, "A change of an exporter ended unexpectedly.");
                        if let Some((id, number)) = started.get(&error.id()) {
                            host.give_up(id, *number);
                        }
                    }
                }
            }
            changes.added.sort();
            changes.replaced.sort();
            changes.removed.sort();
            changes
        })
    }

    /// Marks the exporters that are no longer wanted. Returns them.
    fn leave_all_but(&self, wanted: &BTreeSet<String>) -> Vec<String> {
        let mut slots = self.slots.lock();
        let gone = slots.iter_mut().filter(|(id, _)| !wanted.contains(*id));
        gone.map(|(id, slot)| {
            slot.leaving = true;
            slot.preparing = None;
            id.clone()
        })
        .collect()
    }

    /// The host itself failed while it prepared the exporter.
    fn give_up(&self, id: &str, number: u64) {
        let mut slots = self.slots.lock();
        if let Some(slot) = slots.get_mut(id)
            && slot
                .preparing
                .as_ref()
                .is_some_and(|(current, _)| *current == number)
        {
            slot.preparing = None;
            slot.inactive = Some("the host failed while it prepared this exporter".to_owned());
        }
    }

    /// Returns the number of the change, or `None` when the exporter runs just so, or is about to.
    fn begin_part(&self, id: &str, planned: &Planned) -> Option<u64> {
        let running = Running::of(planned);
        let mut slots = self.slots.lock();
        let slot = slots.entry(id.to_owned()).or_default();
        // A removal that has not begun is no longer wanted.
        slot.leaving = false;
        let next = slot.preparing.as_ref().map(|(_, next)| next);
        if next.or(slot.running.as_ref()) == Some(&running) {
            return None;
        }
        slot.changes += 1;
        slot.preparing = Some((slot.changes, running));
        slot.inactive = None;
        Some(slot.changes)
    }

    /// Returns whether an exporter of this id ran.
    fn note_waiting(&self, waiting: &Waiting) -> bool {
        let mut slots = self.slots.lock();
        let slot = slots.entry(waiting.id.to_string()).or_default();
        if let Some(reason) = &waiting.reason {
            slot.inactive = Some(reason.clone());
            slot.preparing = None;
            slot.leaving = slot.running.is_some();
        }
        slot.running.is_some()
    }

    /// Keeps the place of an exporter that cannot run now.
    async fn keep_place(
        &self,
        waiting: &Waiting,
        begin: Option<StartAt>,
        known: &BTreeSet<String>,
    ) -> Result<(), QueueError> {
        let id = waiting.id.as_str();
        if known.contains(id) {
            return self.queue.stay(id).await;
        }
        if waiting.signals.is_empty() {
            return Ok(());
        }
        let options = exporter::options_of_signals(&waiting.signals, &waiting.config, begin);
        self.queue.open(id, options).await.map(drop)
    }

    /// A new exporter's place is there before it is prepared.
    async fn take_place(
        &self,
        id: &ExporterId,
        planned: &Planned,
        component: &Component,
        begin: Option<StartAt>,
        is_known: bool,
    ) -> Result<(), QueueError> {
        if is_known {
            return self.queue.stay(id.as_str()).await;
        }
        let options = exporter::options(planned, component, begin);
        self.queue.open(id.as_str(), options).await.map(drop)
    }

    async fn start(
        self,
        id: ExporterId,
        planned: Planned,
        component: Arc<Component>,
        number: u64,
        begin: Option<StartAt>,
    ) -> Part {
        let prepared = exporter::prepare(&id, &planned, &component, &self.exporters).await;
        let turn = self.turn(id.as_str());
        let _turn = turn.lock().await;
        if !self.is_current(id.as_str(), number) {
            return Part::Superseded;
        }
        let replaced = match prepared {
            Ok(ready) => self.replace(id.as_str(), ready, begin).await,
            Err(error) => Err(error),
        };
        let mut slots = self.slots.lock();
        let slot = slots.entry(id.to_string()).or_default();
        match replaced {
            Ok(()) => {
                let was_there = slot.running.is_some();
                slot.running = slot.preparing.take().map(|(_, running)| running);
                Part::Done(id, was_there)
            }
            Err(error) => {
                slot.preparing = None;
                let runs_on = slot.running.is_some();
                if !runs_on {
                    slot.inactive = Some(reason(&error));
                }
                Part::Failed(Box::new(Failed {
                    id,
                    planned: Box::new(planned),
                    error,
                    runs_on,
                }))
            }
        }
    }

    fn turn(&self, id: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut slots = self.slots.lock();
        Arc::clone(&slots.entry(id.to_owned()).or_default().turn)
    }

    fn is_current(&self, id: &str, number: u64) -> bool {
        let slots = self.slots.lock();
        let preparing = slots.get(id).and_then(|slot| slot.preparing.as_ref());
        preparing.is_some_and(|(current, _)| *current == number)
    }

    async fn replace(
        &self,
        id: &str,
        ready: exporter::Ready,
        begin: Option<StartAt>,
    ) -> Result<(), StartError> {
        let leaving = self.delivery.lock().await.make_way(id, GRACE);
        if let Some(leaving) = leaving {
            leaving.ended().await;
        }
        let pool = {
            let mut delivery = self.delivery.lock().await;
            ready.deliver(begin, &self.exporters, &mut delivery).await?
        };
        let before = self.pools_mut().insert(id.to_owned(), pool);
        end(before).await;
        Ok(())
    }

    /// `stays`: the exporter is still wanted, and its place is kept.
    async fn remove(self, id: String, stays: bool) -> Part {
        let turn = self.turn(&id);
        let _turn = turn.lock().await;
        let was_there = {
            let mut slots = self.slots.lock();
            match slots.get_mut(&id) {
                Some(slot) if slot.leaving => {
                    slot.leaving = false;
                    slot.running.take().is_some()
                }
                // It is wanted again.
                _ => return Part::Superseded,
            }
        };
        let leaving = self.delivery.lock().await.remove(&id, GRACE);
        if let Some(leaving) = leaving {
            leaving.ended().await;
        }
        let is_wanted_again = {
            let mut slots = self.slots.lock();
            let again = slots.get(&id).is_some_and(|slot| slot.preparing.is_some());
            if !stays && !again {
                slots.remove(&id);
            }
            again
        };
        if !stays
            && !is_wanted_again
            && let Err(error) = self.queue.leave(&id).await
        {
            warn!(exporter = id, %error, "The queue keeps the place of an exporter that was removed.");
        }
        let before = self.pools_mut().remove(&id);
        end(before).await;
        if was_there {
            Part::Removed(id)
        } else {
            Part::Superseded
        }
    }

    fn pools_mut(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<String, Pool>> {
        self.pools.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why an exporter is inactive, in few words where there are some.
#[must_use]
pub fn reason(error: &StartError) -> String {
    match error {
        StartError::OwnListener { .. } => "points at this host".to_owned(),
        error => causes(error),
    }
}

/// An instance that is still in a call is not waited for: its events are queued again.
async fn end(pool: Option<Pool>) {
    if let Some(pool) = pool
        && tokio::time::timeout(POOL_GRACE, pool.shutdown())
            .await
            .is_err()
    {
        warn!("A component that is no longer used is still at work.");
    }
}
