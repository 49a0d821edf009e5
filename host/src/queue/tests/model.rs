//! The queue against a model that keeps every event in one list and looks at all of it for every step.

use proptest::prelude::*;

use super::*;
use crate::queue::accounts::ExporterAccounts;
use crate::queue::log::EVENT_OVERHEAD_BYTES;
use crate::route::Decision;

const CAPACITY: u64 = 4_000;
const EXPORTERS: [&str; 3] = ["a", "b", "c"];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Waiting,
    Taken,
}

struct ModelCursor {
    options: CursorOptions,
    /// (position in the model's log, place); rising.
    queued: Vec<(usize, Place)>,
    accounts: ExporterAccounts,
}

#[derive(Default)]
struct Model {
    log: Vec<Event>,
    cursors: BTreeMap<&'static str, ModelCursor>,
}

impl ModelCursor {
    fn decide(&self, event: &Event) -> Decision {
        self.options.route.decide(event.kind)
    }

    fn lag(&self, log: &[Event]) -> u64 {
        self.queued
            .iter()
            .map(|(at, _)| log[*at].size_bytes() as u64)
            .sum()
    }

    fn account(&mut self, signal: Signal) -> &mut Account {
        self.accounts.entry(signal).or_default()
    }

    fn drop(&mut self, log: &[Event], at: usize, reason: DropReason) {
        self.queued.retain(|(queued, _)| *queued != at);
        let account = self.account(log[at].signal());
        account.queued -= 1;
        account.dropped.add(reason, 1);
    }

    fn receive(&mut self, event: &Event, at: usize) {
        let decision = self.decide(event);
        if decision == Decision::Ignore {
            return;
        }
        let account = self.account(event.signal());
        account.received += 1;
        if decision == Decision::Filter {
            account.filtered += 1;
        } else {
            account.queued += 1;
            self.queued.push((at, Place::Waiting));
        }
    }
}

impl Model {
    /// Positions that somebody is owed.
    fn kept(&self) -> Vec<usize> {
        (0..self.log.len())
            .filter(|at| self.places(*at).next().is_some())
            .collect()
    }

    fn places(&self, at: usize) -> impl Iterator<Item = (&ModelCursor, Place)> {
        self.cursors.values().flat_map(move |cursor| {
            cursor
                .queued
                .iter()
                .filter(move |(queued, _)| *queued == at)
                .map(move |(_, place)| (cursor, *place))
        })
    }

    fn used(&self) -> u64 {
        self.kept()
            .iter()
            .map(|at| self.log[*at].size_bytes() as u64 + EVENT_OVERHEAD_BYTES)
            .sum()
    }

    /// What is dropped for a group, or `None` if it is refused.
    fn admit(&self, group: &[Event]) -> Option<Vec<usize>> {
        let wanted = |event: &&Event| {
            self.cursors
                .values()
                .any(|cursor| cursor.decide(event) == Decision::Deliver)
        };
        let cost: u64 = group
            .iter()
            .filter(wanted)
            .map(|event| event.size_bytes() as u64 + EVENT_OVERHEAD_BYTES)
            .sum();
        if cost > CAPACITY {
            return None;
        }
        for cursor in self
            .cursors
            .values()
            .filter(|cursor| cursor.options.on_full == OnFull::Refuse)
        {
            let owed: u64 = group
                .iter()
                .filter(|event| cursor.decide(event) == Decision::Deliver)
                .map(|event| event.size_bytes() as u64)
                .sum();
            let lag = cursor.lag(&self.log);
            if cursor
                .options
                .max_lag_bytes
                .is_some_and(|max| owed > 0 && lag > 0 && lag + owed > max)
            {
                return None;
            }
        }
        let mut needed = (self.used() + cost).saturating_sub(CAPACITY);
        let mut dropped = Vec::new();
        for at in self.kept() {
            if needed == 0 {
                break;
            }
            let is_droppable = |(cursor, place): (&ModelCursor, Place)| {
                cursor.options.on_full == OnFull::DropOldest && place == Place::Waiting
            };
            if self.places(at).all(is_droppable) {
                dropped.push(at);
                needed =
                    needed.saturating_sub(self.log[at].size_bytes() as u64 + EVENT_OVERHEAD_BYTES);
            }
        }
        (needed == 0).then_some(dropped)
    }

    fn append(&mut self, group: &[Event]) -> bool {
        let Some(dropped) = self.admit(group) else {
            return false;
        };
        for at in dropped {
            for cursor in self.cursors.values_mut() {
                if cursor.queued.iter().any(|(queued, _)| *queued == at) {
                    cursor.drop(&self.log, at, DropReason::QueueFull);
                }
            }
        }
        let start = self.log.len();
        self.log.extend_from_slice(group);
        for cursor in self.cursors.values_mut() {
            for (at, event) in (start..).zip(group) {
                cursor.receive(event, at);
            }
            let Some(max) = cursor.options.max_lag_bytes else {
                continue;
            };
            let of_group = cursor.queued.iter().filter(|(at, _)| *at >= start);
            let owed: u64 = of_group
                .map(|(at, _)| self.log[*at].size_bytes() as u64)
                .sum();
            while owed > 0
                && cursor.options.on_full == OnFull::DropOldest
                && cursor.lag(&self.log) > max.max(owed)
            {
                let Some((at, _)) = cursor
                    .queued
                    .iter()
                    .find(|(_, place)| *place == Place::Waiting)
                else {
                    break;
                };
                let at = *at;
                cursor.drop(&self.log, at, DropReason::MaxLag);
            }
        }
        true
    }

    fn open(&mut self, id: &'static str, options: CursorOptions) {
        let kept = self.kept();
        let Some(cursor) = self.cursors.get_mut(id) else {
            let mut cursor = ModelCursor {
                options,
                queued: Vec::new(),
                accounts: ExporterAccounts::new(),
            };
            if options.start == StartAt::Oldest {
                kept.into_iter()
                    .for_each(|at| cursor.receive(&self.log[at], at));
            }
            self.cursors.insert(id, cursor);
            return;
        };
        let old = std::mem::replace(&mut cursor.options, options);
        for (at, place) in std::mem::take(&mut cursor.queued) {
            *cursor.account(self.log[at].signal()) = match (cursor.decide(&self.log[at]), place) {
                (Decision::Deliver, _) => {
                    cursor.queued.push((at, Place::Waiting));
                    continue;
                }
                (decision, _) => {
                    let mut account = *cursor.account(self.log[at].signal());
                    account.queued -= 1;
                    match decision {
                        Decision::Filter => account.filtered += 1,
                        _ => account.dropped.add(DropReason::SignalRemoved, 1),
                    }
                    account
                }
            };
        }
        let is_new = |event: &Event| !old.route.signals().contains(event.signal());
        if options.start == StartAt::Oldest {
            kept.into_iter()
                .filter(|at| is_new(&self.log[*at]))
                .for_each(|at| cursor.receive(&self.log[at], at));
        }
        cursor.queued.sort_by_key(|(at, _)| *at);
    }

    fn take(&mut self, id: &str, signal: Signal, limits: TakeLimits<'_>) -> Vec<u64> {
        let Some(cursor) = self.cursors.get_mut(id) else {
            return Vec::new();
        };
        let (mut ids, mut bytes) = (Vec::new(), 0);
        for (at, place) in &mut cursor.queued {
            let event = &self.log[*at];
            if *place == Place::Taken || event.signal() != signal {
                continue;
            }
            let is_over = !ids.is_empty() && bytes + event.size_bytes() > limits.max_bytes;
            if ids.len() == limits.max_items || is_over {
                break;
            }
            if limits
                .busy_lanes
                .is_some_and(|lanes| lanes.contains(&event.lane))
            {
                continue;
            }
            bytes += event.size_bytes();
            *place = Place::Taken;
            ids.push(event.received_at);
        }
        ids
    }

    fn settle(&mut self, id: &str, event_id: u64, fate: &Fate) {
        let cursor = self.cursors.get_mut(id).expect("open");
        let at = self
            .log
            .iter()
            .position(|event| event.received_at == event_id)
            .expect("appended");
        cursor.queued.retain(|(queued, _)| *queued != at);
        let account = cursor.account(self.log[at].signal());
        account.queued -= 1;
        match fate {
            Fate::Delivered => account.delivered += 1,
            Fate::Filtered => account.filtered += 1,
            Fate::DeadLettered { .. } => account.dead_lettered += 1,
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<(usize, usize)>),
    Open {
        exporter: usize,
        signals: u8,
        ended_only: bool,
        oldest: bool,
        dropping: bool,
        max_lag: Option<u64>,
    },
    Take {
        exporter: usize,
        signal: usize,
        max_items: usize,
        max_bytes: usize,
        busy_lane: Option<u64>,
    },
    /// Of what is taken, every n-th from an offset on; fate or release.
    Finish {
        exporter: usize,
        signal: usize,
        every: usize,
        offset: usize,
        how: usize,
    },
    Forget(usize),
    Reopen,
}

fn any_step() -> impl Strategy<Value = Step> {
    let exporter = || 0..EXPORTERS.len();
    prop_oneof![
        6 => prop::collection::vec((0..7_usize, 1..400_usize), 1..8).prop_map(Step::Append),
        2 => (exporter(), 1..32_u8, any::<bool>(), any::<bool>(), any::<bool>(), prop::option::of(200..2000_u64))
            .prop_map(|(exporter, signals, ended_only, oldest, dropping, max_lag)|
                Step::Open { exporter, signals, ended_only, oldest, dropping, max_lag }),
        6 => (exporter(), 0..5_usize, 1..6_usize, 0..900_usize, prop::option::of(0..3_u64))
            .prop_map(|(exporter, signal, max_items, max_bytes, busy_lane)|
                Step::Take { exporter, signal, max_items, max_bytes, busy_lane }),
        5 => (exporter(), 0..5_usize, 1..4_usize, 0..3_usize, 0..4_usize)
            .prop_map(|(exporter, signal, every, offset, how)| Step::Finish { exporter, signal, every, offset, how }),
        1 => exporter().prop_map(Step::Forget),
        1 => Just(Step::Reopen),
    ]
}

/// The real queue, and what each exporter has in hand.
struct Real<L: Lab> {
    lab: L,
    cursors: BTreeMap<&'static str, (<L::Queue as Queue>::Cursor, Vec<BatchItem>)>,
    next_id: u64,
}

impl<L: Lab> Real<L> {
    async fn step(&mut self, model: &mut Model, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Append(shapes) => self.append(model, &shapes).await,
            Step::Open { .. } => {
                self.open(model, step).await;
                Ok(())
            }
            Step::Take { .. } => self.take(model, step).await,
            Step::Finish {
                exporter,
                signal,
                every,
                offset,
                how,
            } => {
                let done = self.pick(exporter, Signal::ALL[signal], every, offset);
                self.end(model, EXPORTERS[exporter], &done, how).await;
                Ok(())
            }
            Step::Reopen => {
                self.reopen(model).await;
                Ok(())
            }
            Step::Forget(exporter) => {
                let id = EXPORTERS[exporter];
                let known = model.cursors.remove(id).is_some();
                self.cursors.remove(id);
                prop_assert_eq!(self.lab.queue().forget(id).await.is_ok(), known);
                Ok(())
            }
        }
    }

    /// The same exporters start again, with the same options.
    async fn reopen(&mut self, model: &mut Model) {
        if !self.lab.reopen().await {
            return;
        }
        self.cursors.clear();
        let known: Vec<_> = model
            .cursors
            .iter()
            .map(|(id, cursor)| (*id, cursor.options))
            .collect();
        for (id, options) in known {
            let cursor = self.lab.queue().open(id, options).await.expect("opens");
            self.cursors.insert(id, (cursor, Vec::new()));
            model.open(id, options);
        }
    }

    async fn append(
        &mut self,
        model: &mut Model,
        shapes: &[(usize, usize)],
    ) -> Result<(), TestCaseError> {
        let group: Vec<_> = shapes
            .iter()
            .zip(self.next_id..)
            .map(|((kind, size), id)| event(EventKind::ALL[*kind], id, *size))
            .collect();
        self.next_id += shapes.len() as u64;
        let appended = self.lab.queue().append(group.clone()).await;
        prop_assert_eq!(appended.is_ok(), model.append(&group), "{:?}", appended);
        if appended.is_ok() {
            let again = self.lab.queue().append(group).await;
            let repeated = shapes.len() as u64;
            prop_assert_eq!(
                again,
                Ok(Appended {
                    accepted: 0,
                    repeated
                })
            );
        }
        Ok(())
    }

    async fn open(&mut self, model: &mut Model, step: Step) {
        let Step::Open {
            exporter,
            signals,
            ended_only,
            oldest,
            dropping,
            max_lag,
        } = step
        else {
            return;
        };
        let id = EXPORTERS[exporter];
        let signals = Signal::ALL
            .into_iter()
            .filter(|signal| signals & (1 << signal.index()) != 0)
            .collect();
        let phases = if ended_only {
            ENDED_ONLY
        } else {
            SpanPhases::ALL
        };
        let options = CursorOptions {
            route: Route::new(signals, None, phases),
            start: if oldest {
                StartAt::Oldest
            } else {
                StartAt::Head
            },
            on_full: if dropping {
                OnFull::DropOldest
            } else {
                OnFull::Refuse
            },
            max_lag_bytes: max_lag,
        };
        let cursor = self
            .lab
            .queue()
            .open(id, options)
            .await
            .expect("memory opens");
        self.cursors.insert(id, (cursor, Vec::new()));
        model.open(id, options);
    }

    async fn take(&mut self, model: &mut Model, step: Step) -> Result<(), TestCaseError> {
        let Step::Take {
            exporter,
            signal,
            max_items,
            max_bytes,
            busy_lane,
        } = step
        else {
            return Ok(());
        };
        let (id, signal) = (EXPORTERS[exporter], Signal::ALL[signal]);
        let Some((cursor, in_hand)) = self.cursors.get_mut(id) else {
            return Ok(());
        };
        let busy: HashSet<u64> = busy_lane.into_iter().collect();
        let limits = TakeLimits {
            max_items,
            max_bytes,
            busy_lanes: busy_lane.map(|_| &busy),
        };
        let items = cursor.take(signal, limits).await.expect("current");
        let ids: Vec<_> = items.iter().map(|item| item.event.received_at).collect();
        prop_assert_eq!(ids, model.take(id, signal, limits));
        in_hand.extend(items);
        Ok(())
    }

    /// Every n-th of what an exporter has in hand of a signal, rising.
    fn pick(
        &mut self,
        exporter: usize,
        signal: Signal,
        every: usize,
        offset: usize,
    ) -> Vec<BatchItem> {
        let Some((_, in_hand)) = self.cursors.get_mut(EXPORTERS[exporter]) else {
            return Vec::new();
        };
        let mut position = 0;
        let (mut picked, rest): (Vec<_>, Vec<_>) = in_hand.drain(..).partition(|item| {
            position += usize::from(item.event.signal() == signal);
            item.event.signal() == signal && position % every == offset % every
        });
        *in_hand = rest;
        picked.sort_by_key(|item| item.token);
        picked
    }

    /// Settles or, beyond the fates, releases.
    async fn end(&mut self, model: &mut Model, id: &'static str, done: &[BatchItem], how: usize) {
        let (Some(first), Some((cursor, _))) = (done.first(), self.cursors.get(id)) else {
            return;
        };
        let signal = first.event.signal();
        let runs = Tokens::runs(done.iter().map(|item| item.token));
        let dead = Fate::DeadLettered {
            reason: "".into(),
            attempts: 1,
        };
        let Some(fate) = [Fate::Delivered, Fate::Filtered, dead].get(how).cloned() else {
            cursor.release(signal, runs).await.expect("taken");
            for (at, place) in &mut model.cursors.get_mut(id).expect("open").queued {
                let received_at = model.log[*at].received_at;
                if done
                    .iter()
                    .any(|item| item.event.received_at == received_at)
                {
                    *place = Place::Waiting;
                }
            }
            return;
        };
        let parts = runs.into_iter().map(|run| (run, fate.clone())).collect();
        cursor
            .settle(Settlement { signal, parts })
            .await
            .expect("taken");
        done.iter()
            .for_each(|item| model.settle(id, item.event.received_at, &fate));
    }

    fn compare(&self, model: &Model) -> Result<(), TestCaseError> {
        let report = self.lab.queue().report();
        prop_assert_eq!(report.used_bytes, model.used());
        prop_assert!(report.used_bytes <= CAPACITY);
        prop_assert_eq!(report.events, model.kept().len() as u64);
        prop_assert_eq!(report.cursors.len(), model.cursors.len());
        for (id, cursor) in &model.cursors {
            let real = &report.cursors[*id];
            prop_assert_eq!(real.lag_bytes, cursor.lag(&model.log));
            let oldest = cursor
                .queued
                .first()
                .map(|(at, _)| model.log[*at].received_at);
            prop_assert_eq!(real.oldest_received_at, oldest);
            for (signal, account) in &real.accounts {
                prop_assert!(account.is_conserved(), "{} {}: {:?}", id, signal, account);
                prop_assert_eq!(
                    *account,
                    cursor.accounts.get(signal).copied().unwrap_or_default()
                );
                let waits = |(at, place): &&(usize, Place)| {
                    *place == Place::Waiting && model.log[*at].signal() == *signal
                };
                let items = cursor.queued.iter().filter(waits).count() as u64;
                let waiting = self.cursors[id].0.waiting();
                prop_assert_eq!(waiting.get(*signal).items, items);
            }
        }
        Ok(())
    }
}

pub(crate) fn log_and_cursors_behave_as_the_naive_model<L: Lab>() {
    proptest!(|(steps in prop::collection::vec(any_step(), 1..80))| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("builds");
        runtime.block_on(async {
            let mut real = Real::<L> { lab: L::of(CAPACITY), cursors: BTreeMap::new(), next_id: 1 };
            let mut model = Model::default();
            for step in steps {
                real.step(&mut model, step).await?;
                real.compare(&model)?;
            }
            Ok::<(), TestCaseError>(())
        })?;
    });
}
