//! A scripted component, its backend, and a small world of queue and delivery around it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::*;
use crate::deliver::Delivery;
use crate::deliver::dead_letter::{LetterBounds, MemoryDeadLetters};
use crate::deliver::shaping::AsSent;
use crate::event::span_phases::SpanPhases;
use crate::event::{Event, EventKind};
use crate::plugin::outcome::{Acknowledgement, Flushed, ItemResult, SendOutcome};
use crate::queue::accounts::Account;
use crate::queue::memory::{MemoryQueue, MemoryQueueSettings};
use crate::queue::{CursorOptions, OnFull, Queue, StartAt};
use crate::route::Route;

/// How the component answers a call.
pub(super) enum Reply {
    Now(Result<SendResult, CallError>),
    After(Duration, Result<SendResult, CallError>),
    /// The backend stores all of it, and then the call fails.
    StoredThen(CallError),
    Never,
    Panic,
}

pub(super) fn answer(outcome: SendOutcome) -> Reply {
    Reply::Now(Ok(SendResult {
        outcome,
        not_before: None,
        has_unknown_outcome: false,
        holder: 0,
    }))
}

pub(super) fn delivered() -> Reply {
    answer(SendOutcome::AllItems(ItemResult::Delivered))
}

pub(super) fn retry() -> Reply {
    answer(SendOutcome::AllItems(ItemResult::Retry("503".into())))
}

pub(super) fn trap() -> Reply {
    Reply::Now(Err(CallError::Trap("unreachable".into())))
}

/// One call as the component saw it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) at: Instant,
    pub(super) signal: Signal,
    pub(super) ids: Vec<u64>,
}

/// How the component answers a flush.
pub(super) enum FlushReply {
    /// Everything it holds had this fate.
    All(ItemResult),
    /// As given; what is delivered so is stored.
    Some(Vec<Acknowledgement>),
    /// As given, and the instance is replaced.
    Last(Vec<Acknowledgement>),
    Fail(CallError),
}

/// An event in the state of a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HeldEvent {
    pub(super) signal: Signal,
    pub(super) token: u64,
    pub(super) id: u64,
}

/// The instance of a stateful component: its number, and what it holds.
#[derive(Clone, Debug, Default)]
struct Instance {
    holder: u64,
    held: Vec<HeldEvent>,
    flushed_at: Vec<Instant>,
}

type Script = dyn Fn(usize, &Batch) -> Reply + Send + Sync;
type FlushScript = dyn Fn(usize, &[HeldEvent]) -> FlushReply + Send + Sync;

pub(super) struct Fake {
    script: Box<Script>,
    flush_script: Option<Box<FlushScript>>,
    instance: Mutex<Instance>,
    calls: Mutex<Vec<Seen>>,
    /// How often the backend stored each event.
    stored: Mutex<BTreeMap<u64, u32>>,
    under_way: Mutex<(usize, usize)>,
}

impl Fake {
    /// The script gets the number of the call, from 0, and the batch.
    pub(super) fn new(
        script: impl Fn(usize, &Batch) -> Reply + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self::scripted(script, None))
    }

    /// A stateful component: `flush_script` gets the number of the flush, from 0, and what is held.
    pub(super) fn stateful(
        script: impl Fn(usize, &Batch) -> Reply + Send + Sync + 'static,
        flush_script: impl Fn(usize, &[HeldEvent]) -> FlushReply + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self::scripted(script, Some(Box::new(flush_script))))
    }

    fn scripted(
        script: impl Fn(usize, &Batch) -> Reply + Send + Sync + 'static,
        flush_script: Option<Box<FlushScript>>,
    ) -> Self {
        Self {
            script: Box::new(script),
            flush_script,
            instance: Mutex::default(),
            calls: Mutex::default(),
            stored: Mutex::default(),
            under_way: Mutex::default(),
        }
    }

    fn instance(&self) -> std::sync::MutexGuard<'_, Instance> {
        self.instance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When it was flushed.
    pub(super) fn flushed_at(&self) -> Vec<Instant> {
        self.instance().flushed_at.clone()
    }

    /// The instance goes, and nobody is told.
    pub(super) fn replace(&self) {
        let mut instance = self.instance();
        instance.holder += 1;
        instance.held.clear();
    }

    /// Keeps what the answer says is held, and says who holds it.
    fn hold(&self, batch: &Batch, result: &mut Result<SendResult, CallError>) {
        if self.flush_script.is_none() {
            return;
        }
        let Ok(answer) = result else {
            return self.replace();
        };
        let mut instance = self.instance();
        let held = |position: usize| match &answer.outcome {
            SendOutcome::AllItems(result) => *result == ItemResult::Held,
            SendOutcome::PerItem(results) => results.get(position) == Some(&ItemResult::Held),
            _ => false,
        };
        let events = batch.items.iter().enumerate();
        let taken = events.filter(|(position, _)| held(*position));
        let taken = taken.map(|(_, item)| HeldEvent {
            signal: batch.signal,
            token: item.token,
            id: item.event.received_at,
        });
        instance.held.extend(taken);
        answer.holder = instance.holder + 1;
    }

    pub(super) fn calls(&self) -> Vec<Seen> {
        self.calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Ids that the backend has, each with how often it came.
    pub(super) fn stored(&self) -> BTreeMap<u64, u32> {
        self.stored
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn stored_ids(&self) -> Vec<u64> {
        self.stored().into_keys().collect()
    }

    /// Calls under way.
    pub(super) fn under_way(&self) -> usize {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }

    /// The most calls that were under way at once.
    pub(super) fn most_under_way(&self) -> usize {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .1
    }

    fn store(&self, ids: impl IntoIterator<Item = u64>) {
        let mut stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        ids.into_iter()
            .for_each(|id| *stored.entry(id).or_default() += 1);
    }

    fn end(&self, ids: &[u64], result: &Result<SendResult, CallError>) {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .0 -= 1;
        match result.as_ref().map(|result| &result.outcome) {
            Ok(SendOutcome::AllItems(ItemResult::Delivered)) => self.store(ids.iter().copied()),
            Ok(SendOutcome::PerItem(results)) => {
                let kept = ids
                    .iter()
                    .zip(results)
                    .filter(|(_, result)| **result == ItemResult::Delivered);
                self.store(kept.map(|(id, _)| *id));
            }
            _ => {}
        }
    }
}

pub(super) fn ids_of(batch: &Batch) -> Vec<u64> {
    batch
        .items
        .iter()
        .map(|item| item.event.received_at)
        .collect()
}

impl Guest for Fake {
    async fn send(&self, batch: Batch) -> Result<SendResult, CallError> {
        let ids = ids_of(&batch);
        let number = {
            let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
            calls.push(Seen {
                at: Instant::now(),
                signal: batch.signal,
                ids: ids.clone(),
            });
            calls.len() - 1
        };
        {
            let mut under_way = self
                .under_way
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            under_way.0 += 1;
            under_way.1 = under_way.1.max(under_way.0);
        }
        let mut result = match (self.script)(number, &batch) {
            Reply::Now(result) => result,
            Reply::After(wait, result) => {
                sleep(wait).await;
                result
            }
            Reply::StoredThen(error) => {
                self.store(ids.iter().copied());
                Err(error)
            }
            Reply::Never => pending().await,
            Reply::Panic => {
                self.under_way
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .0 -= 1;
                self.replace();
                panic!("the host's side of a call");
            }
        };
        self.end(&ids, &result);
        self.hold(&batch, &mut result);
        result
    }

    async fn flush(&self) -> Result<Flushed, CallError> {
        let Some(script) = &self.flush_script else {
            return Ok(Flushed::default());
        };
        let (number, held) = {
            let mut instance = self.instance();
            instance.flushed_at.push(Instant::now());
            (instance.flushed_at.len() - 1, instance.held.clone())
        };
        let all = |fate: ItemResult| {
            held.iter()
                .map(move |event| acknowledged(event, fate.clone()))
        };
        let (acknowledged, is_last) = match script(number, &held) {
            FlushReply::All(fate) => (all(fate).collect(), false),
            FlushReply::Some(acknowledged) => (acknowledged, false),
            FlushReply::Last(acknowledged) => (acknowledged, true),
            FlushReply::Fail(error) => {
                self.replace();
                return Err(error);
            }
        };
        let mut instance = self.instance();
        let holder = instance.holder + 1;
        for Acknowledgement { tokens, fate, .. } in &acknowledged {
            if *fate == ItemResult::Held {
                continue;
            }
            let told = |event: &HeldEvent| tokens.contains(&event.token);
            let gone = instance.held.extract_if(.., |event| told(event));
            let gone: Vec<_> = gone.map(|event| event.id).collect();
            if *fate == ItemResult::Delivered {
                self.store(gone);
            }
        }
        drop(instance);
        if is_last {
            self.replace();
        }
        Ok(Flushed {
            holder,
            acknowledged,
            is_last,
        })
    }
}

pub(super) fn acknowledged(event: &HeldEvent, fate: ItemResult) -> Acknowledgement {
    Acknowledgement {
        signal: event.signal,
        tokens: vec![event.token],
        fate,
    }
}

/// A queue with delivery tasks on it.
pub(super) struct World {
    pub(super) queue: MemoryQueue,
    pub(super) delivery: Delivery,
    pub(super) started: Instant,
}

pub(super) const SECOND: Duration = Duration::from_secs(1);

impl World {
    pub(super) fn new() -> Self {
        Self::bounded(1 << 30)
    }

    pub(super) fn bounded(capacity_bytes: u64) -> Self {
        let settings = MemoryQueueSettings {
            capacity_bytes,
            ..MemoryQueueSettings::default()
        };
        Self {
            queue: MemoryQueue::new(
                settings,
                Arc::new(MemoryDeadLetters::new(LetterBounds {
                    max_bytes: 1 << 30,
                    max_age: Duration::MAX,
                })),
            ),
            delivery: Delivery::new(fastrand::Rng::with_seed(42)),
            started: Instant::now(),
        }
    }

    pub(super) async fn start(&mut self, id: &str, guest: &Arc<Fake>, settings: ExporterSettings) {
        self.start_with(id, guest, settings, OnFull::Refuse).await;
    }

    pub(super) async fn start_with(
        &mut self,
        id: &str,
        guest: &Arc<Fake>,
        settings: ExporterSettings,
        on_full: OnFull,
    ) {
        let route = Route::new(SignalSet::ALL, None, SpanPhases::ALL);
        let options = CursorOptions {
            route,
            start: StartAt::Head,
            on_full,
            max_lag_bytes: None,
        };
        let cursor = self.queue.open(id, options).await.expect("memory opens");
        self.delivery
            .start(Arc::clone(guest), cursor, settings, Box::new(AsSent));
    }

    /// Each event in a lane of its own.
    pub(super) async fn append(&self, kind: EventKind, ids: std::ops::Range<u64>) {
        self.append_lanes(kind, ids.map(|id| (id, id))).await;
    }

    /// Events by id and lane.
    pub(super) async fn append_lanes(
        &self,
        kind: EventKind,
        events: impl Iterator<Item = (u64, u64)>,
    ) {
        let event = |(id, lane)| Event {
            kind,
            payload: Bytes::from_static(&[b' '; 100]),
            received_at: id,
            source: Arc::default(),
            repeat_key: u128::from(id),
            lane,
        };
        self.queue
            .append(events.map(event).collect())
            .await
            .expect("there is room");
    }

    /// Events with their texts; the ids are times of receipt too.
    pub(super) async fn append_texts<'a>(
        &self,
        kind: EventKind,
        texts: impl Iterator<Item = (u64, &'a str)>,
    ) {
        let event = |(id, text): (u64, &str)| Event {
            kind,
            payload: Bytes::copy_from_slice(text.as_bytes()),
            received_at: id,
            source: Arc::default(),
            repeat_key: u128::from(id),
            lane: id,
        };
        self.queue
            .append(texts.map(event).collect())
            .await
            .expect("there is room");
    }

    pub(super) async fn spans(&self, ids: std::ops::Range<u64>) {
        self.append(EventKind::SpanEnded, ids).await;
    }

    /// Lets the tasks run until `after` the world began.
    pub(super) async fn until(&self, after: Duration) {
        sleep_until(self.started + after).await;
    }

    /// Delivers all there is; panics if that takes more than a day.
    pub(super) async fn drain(&self) {
        let unfinished = self
            .delivery
            .drain(Instant::now() + 24 * 3600 * SECOND)
            .await;
        assert!(
            unfinished.is_empty(),
            "not done: {unfinished:?} {:?}",
            self.delivery.statuses()
        );
        self.assert_conserved();
    }

    /// The promise of the accounts, for every exporter and signal; and what is queued is in the log.
    pub(super) fn assert_conserved(&self) {
        let report = self.queue.report();
        let mut queued = 0;
        for (id, cursor) in &report.cursors {
            for (signal, account) in &cursor.accounts {
                assert!(account.is_conserved(), "{id} {signal}: {account:?}");
                queued = queued.max(account.queued);
            }
        }
        assert!(
            report.events >= queued,
            "{queued} queued, {} in the log",
            report.events
        );
    }

    pub(super) fn account(&self, id: &str, signal: Signal) -> Account {
        self.assert_conserved();
        self.queue.report().cursors[id].accounts[&signal]
    }

    pub(super) fn traces(&self, id: &str) -> Account {
        self.account(id, Signal::Traces)
    }

    pub(super) fn state(&self, id: &str) -> State {
        self.delivery.statuses()[id].state.clone()
    }

    /// Ids and reasons of the dead letters.
    pub(super) fn dead(&self) -> Vec<(u64, String)> {
        let letters = self.queue.dead_letters().list();
        letters
            .into_iter()
            .map(|letter| (letter.received_at, letter.reason.to_string()))
            .collect()
    }
}

pub(super) fn batches_of(max_items: usize) -> ExporterSettings {
    let batch = BatchLimits {
        max_items,
        ..BatchLimits::default()
    };
    ExporterSettings {
        batch,
        ..ExporterSettings::default()
    }
}
