//! The instances of one exporter: at least one kept warm, up to a number made on demand, replaced when they are spent or
//! have failed. Called by `deliver` through [`Guest`]; instances are driven by `worker`.
//!
//! A fault costs its caller one call. The other instances go on; whether the failed one restarts at once, later or after
//! a quarantine is `health`'s answer. Batches are never kept here: a call that is not made at once is refused with the
//! time to try again, and the events stay queued at the caller.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::component::Component;
use super::guest::{Batch, Guest};
use super::health::{Function, Healths, PoolState, RestartPolicy};
use super::imports::Grants;
use super::imports::http::HttpCapability;
use super::imports::output::{Output, OutputFigures};
use super::imports::store::StoreCapability;
use super::instance::{Instance, RecyclePolicy, SettingError, StartFault, StartSettings};
use super::limits::CallLimits;
use super::outcome::{CallError, Flushed, SendResult};
use super::page::{PageRequest, PageResponse};
use super::worker;
use crate::event::instrument::Instruments;

/// How long somebody who asks for a page waits for it. What Prometheus waits for a scrape.
const PAGE_PATIENCE: Duration = Duration::from_secs(10);

/// What the instances of an exporter are given.
#[derive(Clone)]
pub struct GuestSettings {
    /// Settings as a JSON object, checked against the schema, secrets as placeholders.
    pub settings_json: String,
    /// Sends the exporter's requests.
    pub http: Arc<dyn HttpCapability>,
    /// The granted output, if any.
    pub output: Option<Arc<Output>>,
    /// The local store, if the component imports it.
    pub store: Option<Arc<dyn StoreCapability>>,
}

/// How an exporter runs.
#[derive(Clone)]
pub struct PoolSettings {
    /// `langfuse`, `langfuse/eu`: names the exporter in logs.
    pub exporter_id: String,
    /// What its instances are given.
    pub guest: GuestSettings,
    /// Most instances, and so calls, at a time; 0 counts as 1. A stateful component has one whatever this says.
    pub max_instances: usize,
    /// How raw metrics are aggregated.
    pub instruments: Arc<Instruments>,
    /// What a call may cost.
    pub limits: CallLimits,
    /// When instances are replaced.
    pub recycle: RecyclePolicy,
    /// What faults lead to.
    pub restart: RestartPolicy,
    /// Instances beyond the first end after so long without a call; the first is replaced if it has grown.
    pub idle_timeout: Duration,
}

impl PoolSettings {
    /// Everything but what is given by its default.
    #[must_use]
    pub fn new(exporter_id: impl Into<String>, guest: GuestSettings) -> Self {
        Self {
            exporter_id: exporter_id.into(),
            guest,
            // Two keep a backend busy while the host's other half works; a slow backend is given more by the config.
            max_instances: 2,
            instruments: Arc::default(),
            limits: CallLimits::default(),
            recycle: RecyclePolicy::default(),
            restart: RestartPolicy::default(),
            // A burst comes back within this or not at all.
            idle_timeout: Duration::from_secs(30),
        }
    }
}

/// The exporter does not start, and would not with the same settings later.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// `configure` refused the settings.
    #[error("component refused its settings:{}", listed(.0))]
    Settings(Vec<SettingError>),
    /// With [`Pool::reconfigure`] and trials only: the instance failed; the old settings stay.
    #[error("cannot try the new settings")]
    Call(#[source] CallError),
}

fn listed(refusals: &[SettingError]) -> String {
    refusals
        .iter()
        .map(|refusal| format!("\n  {}: {}", refusal.setting, refusal.reason))
        .collect()
}

/// The running instances of one exporter. Clones are handles on the same pool.
#[derive(Clone)]
pub struct Pool {
    shared: Arc<Shared>,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("exporter", &self.shared.exporter)
            .finish_non_exhaustive()
    }
}

/// What the pool's handles and workers have in common.
pub(super) struct Shared {
    pub(super) exporter: Arc<str>,
    pub(super) component: Arc<Component>,
    pub(super) instruments: Arc<Instruments>,
    pub(super) recycle: RecyclePolicy,
    pub(super) idle_timeout: Duration,
    limits: CallLimits,
    start: Mutex<StartSettings>,
    health: Mutex<Healths>,
    workers: Mutex<Workers>,
    /// The number of the last instance that started.
    instances: AtomicU64,
    /// One page at a time, so that readers of pages do not take all instances.
    pages: Semaphore,
    /// One a call; the number of instances follows.
    permits: Arc<Semaphore>,
    pub(super) closing: CancellationToken,
    tasks: TaskTracker,
}

#[derive(Default)]
struct Workers {
    /// The last one used is the first one used again, so that the others grow old and end.
    idle: Vec<Handle>,
    next_id: u64,
}

/// A worker that waits for a job.
pub(super) struct Handle {
    pub(super) id: u64,
    pub(super) jobs: mpsc::Sender<Job>,
}

/// A call on its way to an instance.
pub(super) struct Job {
    pub(super) work: Work,
    /// Given back when the worker is idle again.
    pub(super) permit: OwnedSemaphorePermit,
}

/// What is asked for, and where the answer goes.
pub(super) enum Work {
    Send(Batch, Reply<SendResult>),
    Flush(Reply<Flushed>),
    Render(PageRequest, Reply<PageResponse>),
}

pub(super) type Reply<T> = oneshot::Sender<Result<T, CallError>>;

impl Pool {
    /// Starts the first instance and gives it its settings.
    ///
    /// An instance that traps or hangs meanwhile is a fault like any other: the pool starts, its [`Pool::state`] shows
    /// the fault, and calls try again.
    ///
    /// # Errors
    /// [`StartError::Settings`]
    pub async fn start(
        component: &Arc<Component>,
        settings: PoolSettings,
    ) -> Result<Self, StartError> {
        let exporter: Arc<str> = settings.exporter_id.into();
        let instances = if component.is_stateful() {
            1
        } else {
            settings.max_instances.max(1)
        };
        let shared = Arc::new(Shared {
            component: Arc::clone(component),
            instruments: settings.instruments,
            recycle: settings.recycle,
            idle_timeout: settings.idle_timeout,
            limits: settings.limits,
            start: Mutex::new(start_settings(
                &exporter,
                settings.guest,
                0,
                settings.limits,
            )),
            exporter,
            health: Mutex::new(Healths::new(settings.restart)),
            workers: Mutex::default(),
            instances: AtomicU64::new(0),
            pages: Semaphore::new(1),
            permits: Arc::new(Semaphore::new(instances.min(Semaphore::MAX_PERMITS))),
            closing: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        let first = match Instance::start(component, &shared.start_settings()).await {
            Ok(instance) => Some(instance),
            Err(StartFault::Settings(refused)) => return Err(StartError::Settings(refused)),
            Err(StartFault::Call(error)) => {
                shared.faulted(Function::Send, &error);
                None
            }
        };
        let handle = shared.new_worker(first);
        shared.lock_workers().idle.push(handle);
        Ok(Self { shared })
    }

    /// Tries new settings on an instance of their own; if that takes them, all calls that begin from now on use them. A
    /// stateful component goes on with the old ones until its next flush.
    ///
    /// # Errors
    /// See [`StartError`]; the old settings stay.
    pub async fn reconfigure(&self, guest: GuestSettings) -> Result<(), StartError> {
        let shared = &self.shared;
        let generation = shared.lock_start().generation + 1;
        let settings = start_settings(&shared.exporter, guest, generation, shared.limits);
        match Instance::start(&shared.component, &settings).await {
            Ok(instance) => {
                *shared.lock_start() = settings;
                // Whatever was wrong before, these settings have got a good answer.
                shared.lock_health().forget();
                // It has shown what it was for. Workers replace theirs before the next call.
                worker::retire(&shared.exporter, instance).await;
                Ok(())
            }
            Err(StartFault::Settings(refused)) => Err(StartError::Settings(refused)),
            Err(StartFault::Call(error)) => Err(StartError::Call(error)),
        }
    }

    /// Whether instances run that deliver. What is wrong with the page alone is not in it.
    #[must_use]
    pub fn state(&self) -> PoolState {
        self.shared.lock_health().delivery(Instant::now())
    }

    /// How full the exporter's output is, if it has one.
    #[must_use]
    pub fn output(&self) -> Option<OutputFigures> {
        let start = self.shared.start.lock();
        let start = start.unwrap_or_else(PoisonError::into_inner);
        start.grants.output.as_ref().map(|output| output.figures())
    }

    /// How many workers wait for a job.
    #[cfg(test)]
    pub(super) fn idle_workers(&self) -> usize {
        self.shared.lock_workers().idle.len()
    }

    /// The component that the instances are of.
    #[must_use]
    pub fn component(&self) -> &Arc<Component> {
        &self.shared.component
    }

    /// Takes no more calls, lets those in progress end, and gives each instance its `shutdown`. Bounded by the limits
    /// of a call and of a shutdown. May be called twice.
    pub async fn shutdown(&self) {
        self.shared.closing.cancel();
        self.shared.permits.close();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }
}

impl Guest for Pool {
    /// Waits while all instances are busy. Dropping the future does not stop a call that has begun; its answer is lost.
    async fn send(&self, batch: Batch) -> Result<SendResult, CallError> {
        if !self.shared.component.signals().contains(batch.signal) {
            return Err(CallError::Contract(format!(
                "the component does not export `{}`",
                batch.signal
            )));
        }
        self.call(Function::Send, |reply| Work::Send(batch, reply))
            .await
    }

    async fn flush(&self) -> Result<Flushed, CallError> {
        self.call(Function::Flush, Work::Flush).await
    }
}

impl Pool {
    /// Has the component render its page, on the one instance if it is stateful.
    ///
    /// # Errors
    /// See [`CallError`]; [`CallError::Contract`] when it has no page or answers one that cannot be served, and
    /// [`CallError::WallTimeout`] when no instance was free and done with it in time.
    pub async fn render(&self, request: PageRequest) -> Result<PageResponse, CallError> {
        let rendering = async {
            // Never closed.
            let _turn = self.shared.pages.acquire().await;
            self.call(Function::Render, |reply| Work::Render(request, reply))
                .await
        };
        let rendered = tokio::time::timeout(PAGE_PATIENCE, rendering).await;
        rendered.unwrap_or(Err(CallError::WallTimeout(PAGE_PATIENCE)))
    }

    /// Waits for an instance that is free, has it do the work, and waits for the answer.
    async fn call<T>(
        &self,
        function: Function,
        work: impl FnOnce(Reply<T>) -> Work,
    ) -> Result<T, CallError> {
        let shared = &self.shared;
        let permit = Arc::clone(&shared.permits)
            .acquire_owned()
            .await
            .map_err(|_closed| CallError::Stopping)?;
        shared.admit_call(function)?;
        let idle = shared.lock_workers().idle.pop();
        let handle = idle.unwrap_or_else(|| shared.new_worker(None));
        let (reply, answer) = oneshot::channel();
        let work = work(reply);
        // Both fail only when the worker has ended, which it does when the pool closes.
        handle
            .jobs
            .send(Job { work, permit })
            .await
            .map_err(|_ended| CallError::Stopping)?;
        answer.await.unwrap_or(Err(CallError::Stopping))
    }
}

impl Shared {
    fn new_worker(self: &Arc<Self>, instance: Option<Instance>) -> Handle {
        let (jobs, receiver) = mpsc::channel(1);
        let id = {
            let mut workers = self.lock_workers();
            workers.next_id += 1;
            workers.next_id
        };
        let own = Handle {
            id,
            jobs: jobs.clone(),
        };
        self.tasks
            .spawn(worker::run(Arc::clone(self), own, receiver, instance));
        Handle { id, jobs }
    }

    /// A number for an instance that starts.
    pub(super) fn next_instance(&self) -> u64 {
        self.instances.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Back to the idle ones.
    pub(super) fn is_idle(&self, handle: &Handle) {
        self.lock_workers().idle.push(Handle {
            id: handle.id,
            jobs: handle.jobs.clone(),
        });
    }

    /// Whether the worker may end: it is idle, and not the last one.
    pub(super) fn may_end(&self, id: u64) -> bool {
        let mut workers = self.lock_workers();
        let Some(position) = workers.idle.iter().position(|handle| handle.id == id) else {
            return false;
        };
        if workers.idle.len() < 2 {
            return false;
        }
        workers.idle.remove(position);
        true
    }

    pub(super) fn start_settings(&self) -> StartSettings {
        self.lock_start().clone()
    }

    pub(super) fn generation(&self) -> u64 {
        self.lock_start().generation
    }

    fn admit_call(&self, function: Function) -> Result<(), CallError> {
        let admitted = self.lock_health().admit_call(function, Instant::now());
        admitted.map_err(|not_now| CallError::NotRunning {
            state: not_now.state,
            retry_in: not_now.retry_in,
        })
    }

    pub(super) fn admit_start(&self, function: Function) -> Result<(), CallError> {
        let admitted = self.lock_health().admit_start(function, Instant::now());
        admitted.map_err(|not_now| CallError::NotRunning {
            state: not_now.state,
            retry_in: not_now.retry_in,
        })
    }

    pub(super) fn succeeded(&self, function: Function) {
        self.lock_health().succeeded(function);
    }

    /// Counts a fault and logs it when the exporter's state changes by it.
    pub(super) fn faulted(&self, function: Function, error: &CallError) {
        if matches!(error, CallError::NotRunning { .. } | CallError::Stopping) {
            return;
        }
        let exporter = &*self.exporter;
        let mut health = self.lock_health();
        let was_ready = health.is_ready(function, Instant::now());
        let is_quarantined = health.faulted(function, Instant::now(), &error.to_string());
        drop(health);
        if is_quarantined && function == Function::Render {
            tracing::warn!(exporter, %error, "Component's page is quarantined after repeated faults; delivery goes on.");
        } else if is_quarantined {
            tracing::error!(exporter, %error, "Component is quarantined after repeated faults; its events stay queued.");
        } else if was_ready {
            tracing::warn!(exporter, %error, "Component failed; a new instance takes over.");
        } else {
            tracing::debug!(exporter, %error, "Component failed again.");
        }
    }

    fn lock_start(&self) -> MutexGuard<'_, StartSettings> {
        self.start.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_health(&self) -> MutexGuard<'_, Healths> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_workers(&self) -> MutexGuard<'_, Workers> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn start_settings(
    exporter: &Arc<str>,
    guest: GuestSettings,
    generation: u64,
    limits: CallLimits,
) -> StartSettings {
    let (grants, settings_json) = grants(exporter, guest);
    StartSettings {
        grants,
        settings_json,
        generation,
        limits,
    }
}

/// What instances may reach, and their settings.
pub(super) fn grants(exporter: &Arc<str>, guest: GuestSettings) -> (Grants, Arc<str>) {
    let grants = Grants {
        exporter: Arc::clone(exporter),
        http: guest.http,
        output: guest.output,
        store: guest.store,
    };
    (grants, guest.settings_json.into())
}
