//! One live instance: a store, the exports found in it, and the calls. An instance that has failed once is never called
//! again; `pool` drops it.

use std::sync::Arc;
use std::time::Duration;

use bumpalo::Bump;
use tokio::time::Instant;
use wasmtime::Store;
use wasmtime::component::{Func, InstancePre, Lower};

use super::answers;
use super::bindings::exported::lifecycle;
use super::bindings::types as wit;
use super::component::Component;
use super::contained::contained;
use super::detect::{Exports, Indices};
use super::engine::Engine;
use super::guest::Batch;
use super::imports::{Grants, HostState};
use super::limits::{self, Budget, CallLimits, bounded};
use super::outcome::{Acknowledgement, CallError, ItemResult, SendOutcome, SendResult};
use super::page::{self, PageRequest, PageResponse};
use super::records::{self, Reads};
use super::ticker::Ticker;
use crate::event::instrument::Instruments;
use crate::event::records::Record;
use crate::event::{Signal, decode};

/// All that `describe` returns. A settings schema of dozens of settings has 10 KiB.
const MAX_DESCRIPTION_BYTES: usize = 512 << 10;

/// Refused settings that are told; the rest is counted.
const MAX_REFUSALS: usize = 20;

/// A configured instance and what it has been through.
pub(super) struct Instance {
    store: Store<HostState>,
    exports: Exports,
    ticker: Arc<Ticker>,
    limits: CallLimits,
    is_stateful: bool,
    /// Reset after each call; keeps the room that the last batch needed.
    arena: Bump,
    reads: Reads,
    /// Bytes of the largest block of records that it takes; 0 for a block for each text and list.
    capacity: u32,
    /// Which settings it was configured with.
    pub(super) generation: u64,
    calls: u64,
    started: Instant,
    /// After `configure`.
    start_bytes: usize,
}

/// When an instance is replaced although nothing is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecyclePolicy {
    /// After so many calls.
    pub max_calls: u64,
    /// After so long.
    pub max_age: Duration,
    /// When its memory has grown to so much. An instance that needs more from the start may double.
    pub memory_bytes: usize,
}

impl Default for RecyclePolicy {
    fn default() -> Self {
        Self {
            // A leak of 100 bytes a call shows as 10 MB then; a start every few minutes at full load is nothing.
            max_calls: 100_000,
            // State that grows with time rather than calls: caches, fragmented heaps.
            max_age: Duration::from_secs(6 * 3600),
            // Linear memory never shrinks. One outsized batch should not be paid for till the end of the process.
            memory_bytes: 64 << 20,
        }
    }
}

/// What of an instance's settings an exporter decides.
#[derive(Clone)]
pub(super) struct StartSettings {
    pub(super) grants: Grants,
    pub(super) settings_json: Arc<str>,
    pub(super) generation: u64,
    pub(super) limits: CallLimits,
}

/// Settings that the component refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingError {
    /// The setting at fault.
    pub setting: String,
    /// What is wrong and how to mend it.
    pub reason: String,
}

/// Why an instance did not start.
#[derive(Debug)]
pub(super) enum StartFault {
    Settings(Vec<SettingError>),
    Call(CallError),
}

impl Instance {
    /// Instantiates and configures, each under both clocks.
    pub(super) async fn start(
        component: &Component,
        settings: &StartSettings,
    ) -> Result<Self, StartFault> {
        let started = contained(Self::start_uncontained(component, settings)).await;
        started.unwrap_or_else(|panicked| Err(StartFault::Call(panicked.into())))
    }

    async fn start_uncontained(
        component: &Component,
        settings: &StartSettings,
    ) -> Result<Self, StartFault> {
        let StartSettings {
            grants,
            settings_json,
            generation,
            limits,
        } = settings;
        let state = HostState::new(&grants.exporter, Some(grants.clone()), limits);
        let budget = Budget {
            cpu: limits.start_cpu,
            wall: limits.start_wall,
        };
        let (mut store, exports) = instantiate(
            &component.engine,
            &component.pre,
            &component.indices,
            state,
            budget,
        )
        .await
        .map_err(StartFault::Call)?;
        let ticker = Arc::clone(&component.engine.inner.ticker);
        configure(&ticker, &mut store, &exports, settings_json, budget).await?;
        let capacity = capacity(&ticker, &mut store, &exports, budget).await?;
        let start_bytes = store.data().memory.used_bytes();
        Ok(Self {
            store,
            exports,
            ticker,
            limits: *limits,
            is_stateful: component.is_stateful(),
            arena: Bump::new(),
            reads: component.description().reads,
            capacity,
            generation: *generation,
            calls: 0,
            started: Instant::now(),
            start_bytes,
        })
    }

    /// Gives it other settings. After an error of the call the instance is not to be used again.
    pub(super) async fn configure(&mut self, settings_json: &str) -> Result<(), StartFault> {
        let budget = Budget {
            cpu: self.limits.start_cpu,
            wall: self.limits.start_wall,
        };
        configure(
            &self.ticker,
            &mut self.store,
            &self.exports,
            settings_json,
            budget,
        )
        .await
    }

    /// Hands a batch over. After an error the instance is not to be used again.
    pub(super) async fn send(
        &mut self,
        batch: &Batch,
        instruments: &Instruments,
    ) -> Result<SendResult, CallError> {
        self.calls += 1;
        let mut decoded = Decoded::default();
        for (position, item) in batch.items.iter().enumerate() {
            match decode::record_with(&item.event, instruments) {
                Ok(record) if item.event.signal() == batch.signal => {
                    decoded.push(record, item.token)
                }
                Ok(_) => decoded
                    .refused
                    .push((position, format!("not an event of {}", batch.signal))),
                // Receivers have decoded it before; this is a stored event of a host with other rules.
                Err(error) => decoded
                    .refused
                    .push((position, limits::short(&error.to_string()))),
            }
        }
        let items = decoded.tokens.len();
        let answer = if items == 0 {
            SendResult {
                outcome: SendOutcome::AllItems(ItemResult::Delivered),
                not_before: None,
                has_unknown_outcome: false,
                holder: 0,
            }
        } else {
            self.store.data_mut().forget_outcomes();
            let result = self.call(batch, &decoded).await;
            self.arena.reset();
            SendResult {
                has_unknown_outcome: self.store.data().has_unknown_outcome(),
                ..answers::send_result(result?, items, self.is_stateful)?
            }
        };
        Ok(answers::with_refused(
            answer,
            decoded.refused,
            batch.items.len(),
        ))
    }

    async fn call(
        &mut self,
        whole: &Batch,
        batch: &Decoded<'_>,
    ) -> Result<wit::SendResult, CallError> {
        let (signal, ancestors) = (whole.signal, &whole.ancestors);
        let budget = Budget {
            cpu: self.limits.call_cpu,
            wall: self.limits.call_wall,
        };
        let Self {
            store,
            exports,
            ticker,
            arena,
            reads,
            capacity,
            ..
        } = self;
        let absent = || CallError::Contract(format!("the component does not export `{signal}`"));
        let tokens = &batch.tokens;
        let result = match signal {
            Signal::Traces => {
                let guest = exports.traces.ok_or_else(absent)?;
                let mut batch = records::span_batch(arena, &batch.spans, tokens, reads);
                batch.ancestors = records::ancestors(arena, ancestors);
                batch.spans.capacity = *capacity;
                bounded(ticker, store, budget, |store| send(guest, store, batch)).await
            }
            Signal::Logs => {
                let guest = exports.logs.ok_or_else(absent)?;
                let mut batch = records::log_batch(arena, &batch.logs, tokens, reads);
                batch.logs.capacity = *capacity;
                bounded(ticker, store, budget, |store| send(guest, store, batch)).await
            }
            Signal::Metrics => {
                let guest = exports.metrics.ok_or_else(absent)?;
                let mut batch = records::metric_batch(arena, &batch.metrics, tokens, reads);
                batch.metrics.capacity = *capacity;
                bounded(ticker, store, budget, |store| send(guest, store, batch)).await
            }
            Signal::Scores => {
                let guest = exports.scores.as_ref().ok_or_else(absent)?;
                let batch = records::score_batch(arena, &batch.scores, tokens, reads);
                bounded(ticker, store, budget, |store| guest.call_send(store, batch)).await
            }
            Signal::Feedback => {
                let guest = exports.feedback.as_ref().ok_or_else(absent)?;
                let batch = records::feedback_batch(arena, &batch.feedback, tokens, reads);
                bounded(ticker, store, budget, |store| guest.call_send(store, batch)).await
            }
        };
        result.map_err(|fault| fault.explain(store, budget))
    }

    /// Asks for what is held to be delivered. After an error the instance is not to be used again.
    pub(super) async fn flush(&mut self) -> Result<Vec<Acknowledgement>, CallError> {
        self.calls += 1;
        let budget = Budget {
            cpu: self.limits.call_cpu,
            wall: self.limits.call_wall,
        };
        let lifecycle = &self.exports.lifecycle;
        let reported = bounded(&self.ticker, &mut self.store, budget, |store| {
            lifecycle.call_flush(store)
        });
        match reported.await {
            Ok(reported) => Ok(answers::acknowledgements(reported)),
            Err(fault) => Err(fault.explain(&self.store, budget)),
        }
    }

    /// Asks for the page. After an error the instance is not to be used again; a page that cannot be served is none.
    pub(super) async fn render(
        &mut self,
        request: &PageRequest,
    ) -> Result<Result<PageResponse, CallError>, CallError> {
        self.calls += 1;
        let budget = Budget {
            cpu: self.limits.call_cpu,
            wall: self.limits.call_wall,
        };
        let Some(page) = &self.exports.page else {
            let absent = "the component does not export `page`".to_owned();
            return Ok(Err(CallError::Contract(absent)));
        };
        let rendered = bounded(&self.ticker, &mut self.store, budget, |store| {
            page.call_render(store, request.lower())
        });
        match rendered.await {
            Ok(rendered) => Ok(page::checked(rendered)),
            Err(fault) => Err(fault.explain(&self.store, budget)),
        }
    }

    /// Whether the policy asks for another instance.
    pub(super) fn is_spent(&self, policy: &RecyclePolicy) -> bool {
        let used = self.store.data().memory.used_bytes();
        self.calls >= policy.max_calls
            || self.started.elapsed() >= policy.max_age
            || used > policy.memory_bytes.max(self.start_bytes.saturating_mul(2))
    }

    /// Whether its memory is more than twice what it was at its start.
    pub(super) fn has_grown(&self) -> bool {
        self.store.data().memory.used_bytes() > self.start_bytes.saturating_mul(2)
    }

    /// The last call. The instance is gone afterwards, whatever it answers.
    pub(super) async fn shutdown(mut self) -> Result<(), CallError> {
        self.end().await
    }

    /// As [`Instance::shutdown`], for who wants to see what comes after it.
    pub(super) async fn end(&mut self) -> Result<(), CallError> {
        let budget = Budget {
            cpu: self.limits.shutdown_wall,
            wall: self.limits.shutdown_wall,
        };
        let lifecycle = &self.exports.lifecycle;
        let result = bounded(&self.ticker, &mut self.store, budget, |store| {
            lifecycle.call_shutdown(store)
        })
        .await;
        result.map_err(|fault| fault.explain(&self.store, budget))
    }
}

/// Calls a `send` with a batch of the host's own lowering.
async fn send<B: Lower + Send + Sync>(
    send: Func,
    store: &mut Store<HostState>,
    batch: B,
) -> wasmtime::Result<wit::SendResult> {
    let send = send.typed::<(B,), (wit::SendResult,)>(&*store)?;
    let (result,) = send.call_async(store, (batch,)).await?;
    Ok(result)
}

/// Asks for the largest block of records that the instance takes.
async fn capacity(
    ticker: &Arc<Ticker>,
    store: &mut Store<HostState>,
    exports: &Exports,
    budget: Budget,
) -> Result<u32, StartFault> {
    let Some(memory) = &exports.batch_memory else {
        return Ok(0);
    };
    let capacity = bounded(ticker, store, budget, |store| memory.call_capacity(store)).await;
    capacity.map_err(|fault| StartFault::Call(fault.explain(store, budget)))
}

/// Calls `describe` on an instance of its own, whose imports trap.
pub(super) async fn describe(
    engine: &Engine,
    pre: &InstancePre<HostState>,
    indices: &Indices,
    label: &Arc<str>,
) -> Result<lifecycle::Description, CallError> {
    let limits = &engine.inner.limits;
    let budget = Budget {
        cpu: limits.describe_cpu,
        wall: limits.start_wall,
    };
    let state = HostState::new(label, None, limits);
    let (mut store, exports) = instantiate(engine, pre, indices, state, budget).await?;
    // What it returns is bounded before a byte of it is copied.
    store.set_hostcall_fuel(MAX_DESCRIPTION_BYTES);
    let described = bounded(&engine.inner.ticker, &mut store, budget, |store| {
        exports.lifecycle.call_describe(store)
    });
    match described.await {
        Ok(described) => Ok(described),
        Err(fault) => Err(fault.explain(&store, budget)),
    }
}

async fn configure(
    ticker: &Arc<Ticker>,
    store: &mut Store<HostState>,
    exports: &Exports,
    settings_json: &str,
    budget: Budget,
) -> Result<(), StartFault> {
    let configured = bounded(ticker, store, budget, |store| {
        exports.lifecycle.call_configure(store, settings_json)
    });
    match configured.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(refused)) => Err(StartFault::Settings(refusals(refused))),
        Err(fault) => Err(StartFault::Call(fault.explain(store, budget))),
    }
}

async fn instantiate(
    engine: &Engine,
    pre: &InstancePre<HostState>,
    indices: &Indices,
    state: HostState,
    budget: Budget,
) -> Result<(Store<HostState>, Exports), CallError> {
    let mut store = Store::new(&engine.inner.wasmtime, state);
    limits::arm(&mut store);
    let instantiated = bounded(&engine.inner.ticker, &mut store, budget, |store| {
        pre.instantiate_async(store)
    })
    .await;
    let instance = match instantiated {
        Ok(instance) => instance,
        Err(fault) => return Err(fault.explain(&store, budget)),
    };
    let exports = indices.load(&mut store, &instance);
    // The types were checked at load, so that this does not happen.
    let exports =
        exports.map_err(|error| CallError::Contract(limits::short(&error.to_string())))?;
    Ok((store, exports))
}

fn refusals(refused: Vec<lifecycle::SettingError>) -> Vec<SettingError> {
    let untold = refused.len().saturating_sub(MAX_REFUSALS);
    let told = refused.into_iter().take(MAX_REFUSALS);
    let told = told.map(|refusal| SettingError {
        setting: limits::short(&refusal.setting),
        reason: limits::short(&refusal.reason),
    });
    let rest = (untold > 0).then(|| SettingError {
        setting: "...".to_owned(),
        reason: format!("and {untold} more"),
    });
    told.chain(rest).collect()
}

/// A batch's records, by signal; one of the lists is filled.
#[derive(Default)]
#[expect(
    clippy::vec_box,
    reason = "a decoded record is boxed already; unboxing would copy it"
)]
struct Decoded<'a> {
    spans: Vec<Box<crate::event::records::Span<'a>>>,
    logs: Vec<Box<crate::event::records::Log<'a>>>,
    metrics: Vec<Box<crate::event::records::Metric<'a>>>,
    scores: Vec<Box<crate::event::records::Score<'a>>>,
    feedback: Vec<Box<crate::event::records::FeedbackItem<'a>>>,
    tokens: Vec<u64>,
    /// Positions in the batch that hold no record, with the reason.
    refused: Vec<(usize, String)>,
}

impl<'a> Decoded<'a> {
    fn push(&mut self, record: Record<'a>, token: u64) {
        self.tokens.push(token);
        match record {
            Record::Span(span) => self.spans.push(span),
            Record::Log(log) => self.logs.push(log),
            Record::Metric(metric) => self.metrics.push(metric),
            Record::Score(score) => self.scores.push(score),
            Record::Feedback(item) => self.feedback.push(item),
        }
    }
}
