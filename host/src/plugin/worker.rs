//! The task that owns one instance: takes jobs, one at a time, and sees to it that there is an instance to run them on.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::guest::Batch;
use super::instance::{Instance, StartFault};
use super::outcome::{CallError, SendResult};
use super::pool::{Handle, Job, Shared};

/// Runs until the pool closes, or until the worker has been idle for long and is not the last.
pub(super) async fn run(
    shared: Arc<Shared>,
    own: Handle,
    mut jobs: mpsc::Receiver<Job>,
    instance: Option<Instance>,
) {
    let mut worker = Worker { shared, instance };
    while let Some(job) = next_job(&worker.shared, &own, &mut jobs).await {
        let Job {
            batch,
            reply,
            permit,
        } = job;
        let answer = worker.send(&batch).await;
        // A caller that has gone away has dropped its interest, not the events.
        let _ = reply.send(answer);
        worker.renew().await;
        worker.shared.is_idle(&own);
        drop(permit);
    }
    if let Some(instance) = worker.instance {
        retire(&worker.shared.exporter, instance).await;
    }
}

/// Gives an instance that is not needed any more its last call.
pub(super) async fn retire(exporter: &str, instance: Instance) {
    if let Err(error) = instance.shutdown().await {
        tracing::debug!(exporter, %error, "Component failed in its shutdown.");
    }
}

struct Worker {
    shared: Arc<Shared>,
    instance: Option<Instance>,
}

impl Worker {
    async fn send(&mut self, batch: &Batch) -> Result<SendResult, CallError> {
        let instruments = Arc::clone(&self.shared.instruments);
        let instance = self.ready_instance().await?;
        let answer = instance.send(batch, &instruments).await;
        match &answer {
            Ok(_) => self.shared.succeeded(),
            Err(error) => {
                // Dropped here, with its memory and whatever it was doing.
                self.instance = None;
                self.shared.faulted(error);
            }
        }
        answer
    }

    /// The live instance, or a new one if there is none or the settings have changed.
    async fn ready_instance(&mut self) -> Result<&mut Instance, CallError> {
        if let Some(instance) = self
            .instance
            .take_if(|instance| instance.generation != self.shared.generation())
        {
            retire(&self.shared.exporter, instance).await;
        }
        if self.instance.is_none() {
            self.instance = Some(start(&self.shared).await?);
        }
        self.instance.as_mut().ok_or(CallError::Stopping)
    }

    /// Replaces a spent instance after the answer is out, so that no call waits for it.
    async fn renew(&mut self) {
        let recycle = self.shared.recycle;
        let Some(instance) = self
            .instance
            .take_if(|instance| instance.is_spent(&recycle))
        else {
            return;
        };
        retire(&self.shared.exporter, instance).await;
        if !self.shared.closing.is_cancelled() {
            // A failure has been counted; the next call tries again.
            self.instance = start(&self.shared).await.ok();
        }
    }
}

async fn next_job(shared: &Shared, own: &Handle, jobs: &mut mpsc::Receiver<Job>) -> Option<Job> {
    loop {
        tokio::select! {
            // A job that was handed over before the pool closed is still done.
            biased;
            job = jobs.recv() => return job,
            () = shared.closing.cancelled() => return jobs.try_recv().ok(),
            () = tokio::time::sleep(shared.idle_timeout) => {
                if shared.may_end(own.id) {
                    return None;
                }
            }
        }
    }
}

async fn start(shared: &Shared) -> Result<Instance, CallError> {
    shared.admit_start()?;
    let started = Instance::start(&shared.component, &shared.start_settings()).await;
    started.map_err(|fault| {
        let error = match fault {
            StartFault::Call(error) => error,
            StartFault::Settings(refused) => {
                let refused = refused
                    .iter()
                    .map(|refusal| format!("{}: {}", refusal.setting, refusal.reason));
                CallError::Settings(refused.collect::<Vec<_>>().join("; "))
            }
        };
        shared.faulted(&error);
        error
    })
}
