//! The task that owns one instance: takes jobs, one at a time, and sees to it that there is an instance to run them on.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::contained::{Panicked, contained};
use super::guest::Batch;
use super::health::Function;
use super::instance::{Instance, StartFault};
use super::limits::short;
use super::outcome::{CallError, Flushed, SendResult};
use super::page::{PageRequest, PageResponse};
use super::pool::{Handle, Job, Shared, Work};

/// Runs until the pool closes, or until the worker has been idle for long and is not the last.
pub(super) async fn run(
    shared: Arc<Shared>,
    own: Handle,
    mut jobs: mpsc::Receiver<Job>,
    instance: Option<Instance>,
) {
    let number = shared.next_instance();
    let mut worker = Worker {
        shared,
        instance,
        number,
    };
    loop {
        let Job { work, permit } = match next(&worker.shared, &own, &mut jobs).await {
            Next::Job(job) => job,
            Next::Rest => {
                worker.rest().await;
                continue;
            }
            Next::End => break,
        };
        // A caller that has gone away has dropped its interest, not the events.
        match work {
            Work::Send(batch, reply) => {
                let answer = contained(worker.send(&batch)).await;
                drop(reply.send(worker.outlived(Function::Send, answer)));
            }
            Work::Flush(reply) => {
                let answer = contained(worker.flush()).await;
                drop(reply.send(worker.outlived(Function::Flush, answer)));
            }
            Work::Render(request, reply) => {
                let answer = contained(worker.render(&request)).await;
                drop(reply.send(worker.outlived(Function::Render, answer)));
            }
        }
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
    /// Of the instance, or of the last one.
    number: u64,
}

impl Worker {
    async fn send(&mut self, batch: &Batch) -> Result<SendResult, CallError> {
        let instruments = Arc::clone(&self.shared.instruments);
        let instance = self.ready_instance(Function::Send).await?;
        let answer = instance.send(batch, &instruments).await;
        self.judge(Function::Send, &answer);
        let holder = if self.shared.component.is_stateful() {
            self.number
        } else {
            0
        };
        answer.map(|answer| SendResult { holder, ..answer })
    }

    /// Afterwards the instance of a stateful component may be replaced, for new settings too.
    async fn flush(&mut self) -> Result<Flushed, CallError> {
        let Some(instance) = self.instance.as_mut() else {
            return Ok(Flushed {
                is_last: true,
                ..Flushed::default()
            });
        };
        let answer = instance.flush().await;
        self.judge(Function::Flush, &answer);
        let acknowledged = answer?;
        let (recycle, generation) = (self.shared.recycle, self.shared.generation());
        let replaced = self
            .instance
            .take_if(|instance| instance.generation != generation || instance.is_spent(&recycle));
        let is_last = replaced.is_some();
        if let Some(instance) = replaced {
            retire(&self.shared.exporter, instance).await;
        }
        Ok(Flushed {
            holder: self.number,
            acknowledged,
            is_last,
        })
    }

    async fn render(&mut self, request: &PageRequest) -> Result<PageResponse, CallError> {
        let instance = self.ready_instance(Function::Render).await?;
        let answer = instance.render(request).await;
        self.judge(Function::Render, &answer);
        answer?
    }

    fn judge<T>(&mut self, function: Function, answer: &Result<T, CallError>) {
        match answer {
            Ok(_) => self.shared.succeeded(function),
            Err(error) => {
                // Dropped here, with its memory and whatever it was doing.
                self.instance = None;
                self.shared.faulted(function, error);
            }
        }
    }

    /// The answer, or the fault of a call around which the host panicked. The worker goes on.
    fn outlived<T>(
        &mut self,
        function: Function,
        answer: Result<Result<T, CallError>, Panicked>,
    ) -> Result<T, CallError> {
        answer.unwrap_or_else(|panicked| {
            let answer = Err(panicked.into());
            self.judge(function, &answer);
            answer
        })
    }

    /// The live instance, or a new one if there is none or the settings have changed.
    async fn ready_instance(&mut self, function: Function) -> Result<&mut Instance, CallError> {
        let generation = self.shared.generation();
        // What a stateful one holds is flushed first.
        let is_replaceable = !self.shared.component.is_stateful();
        if let Some(instance) = self
            .instance
            .take_if(|instance| is_replaceable && instance.generation != generation)
        {
            retire(&self.shared.exporter, instance).await;
        }
        if self.instance.is_none() {
            self.start(function).await?;
        }
        self.instance.as_mut().ok_or(CallError::Stopping)
    }

    async fn start(&mut self, function: Function) -> Result<(), CallError> {
        self.instance = Some(start(&self.shared, function).await?);
        self.number = self.shared.next_instance();
        Ok(())
    }

    /// Replaces a spent instance after the answer is out, so that no call waits for it.
    async fn renew(&mut self) {
        let recycle = self.shared.recycle;
        self.replace_if(|instance| instance.is_spent(&recycle))
            .await;
    }

    /// Replaces an instance that has grown with a burst which is over: its memory never shrinks.
    async fn rest(&mut self) {
        self.replace_if(Instance::has_grown).await;
    }

    async fn replace_if(&mut self, is_wanted: impl Fn(&Instance) -> bool) {
        if self.shared.component.is_stateful() {
            return;
        }
        let Some(instance) = self.instance.take_if(|instance| is_wanted(instance)) else {
            return;
        };
        retire(&self.shared.exporter, instance).await;
        if !self.shared.closing.is_cancelled() {
            // A failure has been counted; the next call tries again.
            let _ = self.start(Function::Send).await;
        }
    }
}

/// What a worker does next.
enum Next {
    Job(Job),
    /// It has been idle for long, and others may count on it.
    Rest,
    /// It has been idle for long, or the pool closes.
    End,
}

async fn next(shared: &Shared, own: &Handle, jobs: &mut mpsc::Receiver<Job>) -> Next {
    let job = |job: Option<Job>| job.map_or(Next::End, Next::Job);
    tokio::select! {
        // A job that was handed over before the pool closed is still done.
        biased;
        received = jobs.recv() => job(received),
        () = shared.closing.cancelled() => job(jobs.try_recv().ok()),
        () = tokio::time::sleep(shared.idle_timeout) => {
            if shared.may_end(own.id) { Next::End } else { Next::Rest }
        }
    }
}

async fn start(shared: &Shared, function: Function) -> Result<Instance, CallError> {
    shared.admit_start(function)?;
    let started = Instance::start(&shared.component, &shared.start_settings()).await;
    started.map_err(|fault| {
        let error = match fault {
            StartFault::Call(error) => error,
            StartFault::Settings(refused) => {
                let refused = refused
                    .iter()
                    .map(|refusal| format!("{}: {}", refusal.setting, refusal.reason));
                CallError::Settings(short(&refused.collect::<Vec<_>>().join("; ")))
            }
        };
        shared.faulted(function, &error);
        error
    })
}
