//! What a stateful component holds: which events, since when they fail, and what a flush says of them. Pure bookkeeping.
//!
//! Held events stay taken in the cursor. All of them are held by one instance: with its end they wait again, from the
//! first one, so that the next instance can rebuild its state. What a flush reports as `retry` waits again too; since
//! when it fails is remembered.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;

use super::classify::{Policy, end_of_budget, reason};
use super::settings::HoldingSettings;
use super::source::{Fate, Settlement, Tokens};
use crate::event::Signal;
use crate::event::per_signal::PerSignal;
use crate::plugin::guest::BatchItem;
use crate::plugin::outcome::{Acknowledgement, Flushed, ItemResult};

/// What an event has been through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tries {
    pub(crate) attempts: u32,
    /// In a row, for the backoff.
    pub(crate) failures: u32,
    pub(crate) failing_since: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct HeldItem {
    bytes: usize,
    tries: Tries,
}

/// Events of one signal that are to wait again.
pub(crate) type Loose = (Signal, Vec<Tokens>);

/// What follows from a flush.
#[derive(Debug, Default)]
pub(crate) struct FlushPlan {
    pub(crate) settled: Vec<Settlement>,
    /// To be tried again, or held by an instance that is gone.
    pub(crate) again: Vec<Loose>,
    /// Tokens that were not held: never given, settled before, or named twice.
    pub(crate) strangers: u64,
    /// Whether some are to be tried again, and none was settled.
    pub(crate) is_failing: bool,
    /// For people.
    pub(crate) error: Option<Arc<str>>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Held {
    settings: HoldingSettings,
    /// The instance that holds.
    holder: u64,
    items: PerSignal<BTreeMap<u64, HeldItem>>,
    /// Those that wait again after a `retry`.
    tried: PerSignal<BTreeMap<u64, Tries>>,
    count: usize,
    bytes: usize,
}

impl Held {
    pub(crate) fn new(settings: HoldingSettings) -> Self {
        Self {
            settings,
            holder: 0,
            items: PerSignal::default(),
            tried: PerSignal::default(),
            count: 0,
            bytes: 0,
        }
    }

    /// Held events.
    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// Whether no more may be given to the component.
    pub(crate) const fn is_full(&self) -> bool {
        self.count >= self.settings.max_items || self.bytes >= self.settings.max_bytes
    }

    /// An instance answered and has taken these. What another one held waits again.
    pub(crate) fn hold(
        &mut self,
        holder: u64,
        signal: Signal,
        items: &[BatchItem],
        tries: Tries,
    ) -> Vec<Loose> {
        let loose = if holder == self.holder {
            Vec::new()
        } else {
            self.lose()
        };
        self.holder = holder;
        let held = self.items.get_mut(signal);
        for item in items {
            let bytes = item.event.size_bytes();
            held.insert(item.token, HeldItem { bytes, tries });
            self.count += 1;
            self.bytes += bytes;
        }
        loose
    }

    /// The instance is gone. Returns what it held.
    pub(crate) fn lose(&mut self) -> Vec<Loose> {
        self.count = 0;
        self.bytes = 0;
        let mut loose = Vec::new();
        for signal in Signal::ALL {
            let held = std::mem::take(self.items.get_mut(signal));
            if held.is_empty() {
                continue;
            }
            loose.push((signal, Tokens::runs(held.keys().copied())));
            let tried = held.into_iter().filter_map(|(token, item)| {
                (item.tries.failures > 0).then_some((token, item.tries))
            });
            self.tried.get_mut(signal).extend(tried);
        }
        loose
    }

    /// Takes out of a batch fresh from the queue what was tried before, by what it has been through.
    pub(crate) fn take_tried(
        &mut self,
        signal: Signal,
        items: &mut Vec<BatchItem>,
    ) -> Vec<(Tries, Vec<BatchItem>)> {
        let tried = self.tried.get_mut(signal);
        let mut groups: BTreeMap<Option<Instant>, (Tries, Vec<BatchItem>)> = BTreeMap::new();
        items.retain(|item| {
            let Some(tries) = tried.remove(&item.token) else {
                return true;
            };
            let (all, group) = groups
                .entry(tries.failing_since)
                .or_insert((tries, Vec::new()));
            all.attempts = all.attempts.max(tries.attempts);
            all.failures = all.failures.max(tries.failures);
            group.push(item.clone());
            false
        });
        groups.into_values().collect()
    }

    /// Takes in what a flush says.
    pub(crate) fn acknowledge(
        &mut self,
        flushed: Flushed,
        policy: Policy,
        now: Instant,
    ) -> FlushPlan {
        let mut plan = FlushPlan::default();
        let mut settled: PerSignal<BTreeMap<u64, Fate>> = PerSignal::default();
        let mut again: PerSignal<Vec<u64>> = PerSignal::default();
        if flushed.holder != self.holder && !flushed.is_last {
            plan.again = self.lose();
            self.holder = flushed.holder;
        }
        for Acknowledgement {
            signal,
            tokens,
            fate,
        } in flushed.acknowledged
        {
            for token in tokens {
                let Some(item) = self.items.get(signal).get(&token).copied() else {
                    plan.strangers += 1;
                    continue;
                };
                match self.judge(&fate, item.tries, policy, now) {
                    Some(Ok(fate)) => drop(settled.get_mut(signal).insert(token, fate)),
                    Some(Err(tries)) => {
                        self.tried.get_mut(signal).insert(token, tries);
                        again.get_mut(signal).push(token);
                    }
                    None => continue,
                }
                self.items.get_mut(signal).remove(&token);
                self.count -= 1;
                self.bytes -= item.bytes;
            }
            if let ItemResult::Retry(why) | ItemResult::Rejected(why) = &fate {
                plan.error = Some(reason(why));
            }
        }
        if flushed.is_last {
            plan.again.extend(self.lose());
        }
        let is_retried = Signal::ALL
            .iter()
            .any(|signal| !again.get(*signal).is_empty());
        for signal in Signal::ALL {
            let mut tokens = std::mem::take(again.get_mut(signal));
            tokens.sort_unstable();
            if !tokens.is_empty() {
                plan.again.push((signal, Tokens::runs(tokens)));
            }
            let parts = parts(std::mem::take(settled.get_mut(signal)));
            if !parts.is_empty() {
                plan.settled.push(Settlement { signal, parts });
            }
        }
        plan.is_failing = is_retried && plan.settled.is_empty();
        plan
    }

    /// The fate of an event, or what it has been through when it is to be tried again; `None` when it stays held.
    fn judge(
        &self,
        said: &ItemResult,
        tries: Tries,
        policy: Policy,
        now: Instant,
    ) -> Option<Result<Fate, Tries>> {
        Some(match said {
            ItemResult::Held => return None,
            ItemResult::Delivered => Ok(Fate::Delivered),
            ItemResult::Skipped(_) => Ok(Fate::Filtered),
            ItemResult::Rejected(why) => Ok(Fate::DeadLettered {
                reason: reason(why),
                attempts: tries.attempts,
            }),
            ItemResult::Retry(why) => {
                let since = tries.failing_since.unwrap_or(now);
                end_of_budget(now.duration_since(since), tries.attempts, why, policy).ok_or(Tries {
                    failures: tries.failures.saturating_add(1),
                    failing_since: Some(since),
                    ..tries
                })
            }
        })
    }
}

/// Runs of tokens with one fate.
fn parts(settled: BTreeMap<u64, Fate>) -> Vec<(Tokens, Fate)> {
    let mut parts: Vec<(Tokens, Fate)> = Vec::new();
    for (token, fate) in settled {
        match parts.last_mut() {
            Some((run, last)) if run.last.checked_add(1) == Some(token) && *last == fate => {
                run.last = token;
            }
            _ => parts.push((
                Tokens {
                    first: token,
                    last: token,
                },
                fate,
            )),
        }
    }
    parts
}
