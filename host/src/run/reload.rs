//! Changes what runs while events flow: exporters are added, replaced and removed, the others go on untouched.
//!
//! An exporter that is replaced lets its calls under way finish, gives the rest back to the queue, and the new one goes on
//! from there. The place of one that is removed is kept for `retire_after`; when it comes back it goes on where it was.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::warn;

use super::{Exporters, Host, POOL_GRACE, StartError, exporter};
use crate::config::select::Planned;
use crate::config::{ExporterId, Position};
use crate::plugin::Pool;
use crate::telemetry::prometheus::ReloadFigures;

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

/// What a reload did, by exporter id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Were not there before.
    pub added: Vec<String>,
    /// Run with another component or other settings.
    pub replaced: Vec<String>,
    /// Run no more.
    pub removed: Vec<String>,
}

/// How reloads went.
#[derive(Debug, Default)]
pub struct Reloads(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    applied: u64,
    failed: u64,
    troubles: Vec<String>,
}

impl Reloads {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one. `troubles`: what of the files is not in effect, and why.
    pub fn note(&self, troubles: Vec<String>) {
        let mut seen = self.seen();
        if troubles.is_empty() {
            seen.applied += 1;
        } else {
            seen.failed += 1;
        }
        seen.troubles = troubles;
    }

    /// What of the files is not in effect now, and why.
    #[must_use]
    pub fn troubles(&self) -> Vec<String> {
        self.seen().troubles.clone()
    }

    pub(super) fn figures(&self) -> ReloadFigures {
        let seen = self.seen();
        ReloadFigures {
            applied: seen.applied,
            failed: seen.failed,
            is_current: seen.troubles.is_empty(),
        }
    }
}

impl Host {
    /// How reloads went.
    #[must_use]
    pub fn reloads(&self) -> &Reloads {
        &self.reloads
    }

    pub(super) fn running(&self) -> MutexGuard<'_, std::collections::BTreeMap<String, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes exactly these exporters run. Those that run just so already are not touched.
    ///
    /// # Errors
    /// Those that cannot start. Nothing has changed then, unless the queue's store failed.
    pub async fn reload(
        &self,
        exporters: Exporters,
    ) -> Result<Changes, Vec<(ExporterId, StartError)>> {
        let mut changes = Changes::default();
        let wanted: BTreeSet<String> = exporters.iter().map(|(id, ..)| id.to_string()).collect();
        let (mut ready, mut failures) = (Vec::new(), Vec::new());
        for (id, planned, component) in exporters {
            let running = Running::of(&planned);
            let before = self.running().get(id.as_str()).cloned();
            if before.as_ref() == Some(&running) {
                continue;
            }
            match exporter::prepare(&id, &planned, &component, &self.exporters).await {
                Ok(prepared) => ready.push((id, running, prepared, before.is_some())),
                Err(error) => failures.push((id, error)),
            }
        }
        if !failures.is_empty() {
            return Err(failures);
        }
        let gone: Vec<String> = {
            let running = self.running();
            let gone = running.keys().filter(|id| !wanted.contains(*id));
            gone.cloned().collect()
        };
        for id in gone {
            self.remove(&id).await;
            changes.removed.push(id);
        }
        for (id, running, prepared, is_replaced) in ready {
            match self.replace(id.as_str(), running, prepared).await {
                Ok(()) if is_replaced => changes.replaced.push(id.to_string()),
                Ok(()) => changes.added.push(id.to_string()),
                Err(error) => failures.push((id, error)),
            }
        }
        if failures.is_empty() {
            Ok(changes)
        } else {
            Err(failures)
        }
    }

    async fn replace(
        &self,
        id: &str,
        running: Running,
        ready: exporter::Ready,
    ) -> Result<(), StartError> {
        let pool = {
            let mut delivery = self.delivery.lock().await;
            delivery.make_way(id, GRACE).await;
            ready.deliver(None, &self.exporters, &mut delivery).await?
        };
        self.running().insert(id.to_owned(), running);
        let before = self.pools_mut().insert(id.to_owned(), pool);
        end(before).await;
        Ok(())
    }

    async fn remove(&self, id: &str) {
        self.delivery.lock().await.remove(id, GRACE).await;
        self.running().remove(id);
        if let Err(error) = self.queue.leave(id).await {
            warn!(exporter = id, %error, "The queue keeps the place of an exporter that was removed.");
        }
        let before = self.pools_mut().remove(id);
        end(before).await;
    }

    fn pools_mut(
        &self,
    ) -> std::sync::RwLockWriteGuard<'_, std::collections::BTreeMap<String, Pool>> {
        self.pools.write().unwrap_or_else(PoisonError::into_inner)
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
