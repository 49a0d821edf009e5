//! What follows from the end of a call: which events are settled with what fate, which are tried again, and what it says
//! about the exporter. Pure: no clock, no queue.
//!
//! - Only `too-large` and `isolate` split a batch, and repeated faults: a batch whose calls end [`FAULTS_BEFORE_SPLIT`]
//!   times in a trap, a CPU or memory overrun or a broken contract is bisected, and so is each part that ends so again,
//!   until one event stands alone. That event goes to the dead letters once the component has delivered others of the
//!   signal since the first fault: it is then the event and not the component. A component that fails on everything
//!   loses nothing that way; its data stays queued.
//! - A wall-clock time-out is not such a fault: it is mostly the backend that is slow, so the batch is tried again whole.
//! - `partial` settles everything: nothing is sent again, and as many events as were refused are counted as dead letters.
//! - `held` leaves an event with a stateful component, until a flush says what became of it (`held`); from any other
//!   component it breaks the contract.

use std::sync::Arc;
use std::time::Duration;

use super::source::{Fate, Tokens};
use crate::plugin::guest::BatchItem;
use crate::plugin::outcome::{CallError, ItemResult, NotBefore, SendOutcome, SendResult};

/// How many faults a batch may cause before it is bisected.
pub const FAULTS_BEFORE_SPLIT: u32 = 3;

/// Longer reasons are cut.
const MAX_REASON_BYTES: usize = 500;

/// What to do with a call whose outcome is unknown, for signals that the component does not declare idempotent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnUnknown {
    /// Send again: nothing is lost, something may arrive twice.
    #[default]
    Resend,
    /// Dead letter: nothing arrives twice, a person decides.
    DeadLetter,
}

/// The operator's choices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// How long an event is tried after its first failure before it becomes a dead letter. `None`: until it is delivered.
    pub max_elapsed: Option<Duration>,
    /// See [`OnUnknown`].
    pub on_unknown: OnUnknown,
}

/// A call that has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt<'a> {
    pub(crate) items: &'a [BatchItem],
    /// Calls that these events took part in, with this one.
    pub(crate) attempts: u32,
    /// Faults that these events may have caused, before this one.
    pub(crate) faults: u32,
    /// Since their first failure.
    pub(crate) retrying_for: Duration,
    pub(crate) is_idempotent: bool,
    /// Whether others of the signal were delivered since the first fault.
    pub(crate) others_delivered: bool,
    /// Whether the component is stateful.
    pub(crate) may_hold: bool,
}

/// When events that have no fate yet are tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// Now: a part of a split batch.
    AtOnce,
    /// After a backoff.
    Later,
    /// After a backoff, together with others of their kind.
    LaterMerged,
    /// As soon as the exporter may be called; this call did not count.
    Unchanged,
}

/// Events that have no fate yet.
#[derive(Clone, Debug)]
pub(crate) struct Rest {
    pub(crate) items: Arc<[BatchItem]>,
    pub(crate) when: When,
    pub(crate) faults: u32,
}

/// What a call says about its exporter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It works.
    Answered,
    /// Nothing got through.
    Failing,
    /// It asked for time; that is in the plan's not-before.
    Delayed,
    /// It cannot work until somebody acts.
    Refused(Arc<str>),
    /// The engine does not run it now.
    NotRunning {
        state: &'static str,
        retry_in: Duration,
    },
    /// The engine is stopping.
    Stopping,
}

/// What is to be done.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// In the order of the batch.
    pub(crate) settled: Vec<(Tokens, Fate)>,
    pub(crate) rest: Vec<Rest>,
    /// The component has them.
    pub(crate) held: Vec<BatchItem>,
    pub(crate) verdict: Verdict,
    pub(crate) not_before: Option<NotBefore>,
    /// Whether nobody can say what the backend stored.
    pub(crate) is_unknown: bool,
    pub(crate) is_fault: bool,
    /// For people.
    pub(crate) error: Option<Arc<str>>,
}

/// The plan after a call.
pub(crate) fn classify(
    attempt: &Attempt<'_>,
    result: Result<SendResult, CallError>,
    policy: Policy,
) -> Plan {
    let mut plan = Plan {
        settled: Vec::new(),
        rest: Vec::new(),
        held: Vec::new(),
        verdict: Verdict::Answered,
        not_before: None,
        is_unknown: false,
        is_fault: false,
        error: None,
    };
    match result {
        Ok(result) => {
            plan.not_before = result.not_before;
            plan.answered(attempt, result.outcome, result.has_unknown_outcome, policy);
        }
        Err(error) => plan.failed(attempt, &error, policy),
    }
    plan
}

impl Plan {
    fn answered(
        &mut self,
        attempt: &Attempt<'_>,
        outcome: SendOutcome,
        has_unknown_outcome: bool,
        policy: Policy,
    ) {
        match outcome {
            SendOutcome::AllItems(ItemResult::Retry(why)) => {
                self.is_unknown = has_unknown_outcome;
                self.retry_all(attempt, &why, policy);
            }
            SendOutcome::AllItems(ItemResult::Held) => {
                self.hold(attempt, attempt.items.to_vec(), policy);
            }
            SendOutcome::AllItems(ItemResult::Delivered) => {
                self.settle_all(attempt, &Fate::Delivered)
            }
            SendOutcome::AllItems(ItemResult::Skipped(_)) => {
                self.settle_all(attempt, &Fate::Filtered)
            }
            SendOutcome::AllItems(ItemResult::Rejected(why)) => {
                let fate = self.bury(attempt, &why);
                self.settle_all(attempt, &fate);
            }
            SendOutcome::PerItem(results) if results.len() != attempt.items.len() => {
                let what = format!(
                    "{} results for {} items",
                    results.len(),
                    attempt.items.len()
                );
                self.fault(attempt, attempt.items, &what, policy);
            }
            SendOutcome::PerItem(results) => {
                self.is_unknown = has_unknown_outcome
                    && results
                        .iter()
                        .any(|result| matches!(result, ItemResult::Retry(_)));
                self.per_item(attempt, results, policy);
            }
            SendOutcome::Partial {
                rejected_count,
                reason,
            } => self.partial(attempt, rejected_count, &reason),
            SendOutcome::TooLarge => {
                self.split(attempt, "the backend refuses the size of this single event");
            }
            SendOutcome::Isolate(why) => self.split(attempt, &why),
            SendOutcome::Unauthorized(why) => self.refused(attempt, format!("unauthorized: {why}")),
        }
    }

    fn failed(&mut self, attempt: &Attempt<'_>, error: &CallError, policy: Policy) {
        let what = error.to_string();
        match error {
            CallError::Settings(_) => self.refused(attempt, what),
            CallError::NotRunning { state, retry_in } => {
                self.error = Some(reason(&what));
                self.verdict = Verdict::NotRunning {
                    state,
                    retry_in: *retry_in,
                };
                self.keep(attempt.items, When::Unchanged, attempt.faults);
            }
            CallError::Stopping => {
                self.verdict = Verdict::Stopping;
                self.keep(attempt.items, When::Unchanged, attempt.faults);
            }
            CallError::WallTimeout(_) => {
                self.is_unknown = true;
                self.retry_all(attempt, &what, policy);
            }
            CallError::Trap(_)
            | CallError::CpuTimeout(_)
            | CallError::Memory { .. }
            | CallError::HostPanic(_)
            | CallError::Contract(_) => {
                self.fault(attempt, attempt.items, &what, policy);
            }
        }
    }

    fn per_item(&mut self, attempt: &Attempt<'_>, results: Vec<ItemResult>, policy: Policy) {
        if let Some(ItemResult::Retry(why)) = results.first()
            && results
                .iter()
                .all(|result| matches!(result, ItemResult::Retry(_)))
        {
            return self.retry_all(attempt, why, policy);
        }
        let (mut again, mut held) = (Vec::new(), Vec::new());
        for (item, result) in attempt.items.iter().zip(results) {
            match result {
                ItemResult::Retry(why) => {
                    self.error = Some(reason(&why));
                    match self.end_of_retries(attempt, &why, policy) {
                        Some(fate) => self.settle(item, &fate),
                        None => again.push(item.clone()),
                    }
                }
                ItemResult::Held => held.push(item.clone()),
                ItemResult::Delivered => self.settle(item, &Fate::Delivered),
                ItemResult::Skipped(_) => self.settle(item, &Fate::Filtered),
                ItemResult::Rejected(why) => {
                    let fate = self.bury(attempt, &why);
                    self.settle(item, &fate);
                }
            }
        }
        if !again.is_empty() {
            self.keep(&again, When::LaterMerged, attempt.faults);
        }
        if !held.is_empty() {
            self.hold(attempt, held, policy);
        }
    }

    fn hold(&mut self, attempt: &Attempt<'_>, items: Vec<BatchItem>, policy: Policy) {
        if attempt.may_hold {
            self.held = items;
        } else {
            self.fault(attempt, &items, HELD, policy);
        }
    }

    /// As many events as were refused become dead letters, the last ones of the batch: the counts are exact, and the
    /// reason says that the letters stand for others.
    fn partial(&mut self, attempt: &Attempt<'_>, rejected_count: usize, why: &str) {
        let count = attempt.items.len();
        let rejected_count = rejected_count.min(count);
        let why = format!("one of {rejected_count} refused among {count}, not known which: {why}");
        let fate = self.bury(attempt, &why);
        let (taken, refused) = attempt.items.split_at(count - rejected_count);
        taken
            .iter()
            .for_each(|item| self.settle(item, &Fate::Delivered));
        refused.iter().for_each(|item| self.settle(item, &fate));
    }

    fn bury(&mut self, attempt: &Attempt<'_>, why: &str) -> Fate {
        self.error = Some(reason(why));
        dead_letter(attempt, why)
    }

    fn retry_all(&mut self, attempt: &Attempt<'_>, why: &str, policy: Policy) {
        self.error = Some(reason(why));
        self.verdict = if self.not_before.is_some() {
            Verdict::Delayed
        } else {
            Verdict::Failing
        };
        match self.end_of_retries(attempt, why, policy) {
            Some(fate) => self.settle_all(attempt, &fate),
            None => self.keep(attempt.items, When::Later, attempt.faults),
        }
    }

    /// The fate of an event that is not to be tried again: its time is over, or it may be stored already.
    fn end_of_retries(&self, attempt: &Attempt<'_>, why: &str, policy: Policy) -> Option<Fate> {
        let is_buried = self.is_unknown && is_never_repeated(attempt, policy);
        is_buried
            .then(|| dead_letter(attempt, &format!("outcome unknown: {why}")))
            .or_else(|| budget_used_up(attempt, why, policy))
    }

    /// The component is at fault, perhaps because of one of `items`.
    fn fault(&mut self, attempt: &Attempt<'_>, items: &[BatchItem], what: &str, policy: Policy) {
        self.is_fault = true;
        self.is_unknown = true;
        self.verdict = Verdict::Failing;
        self.error = Some(reason(what));
        let faults = attempt.faults + 1;
        let is_suspect = faults >= FAULTS_BEFORE_SPLIT;
        let fate = match (budget_used_up(attempt, what, policy), items) {
            (Some(fate), _) => Some(fate),
            (None, [_]) if is_suspect && attempt.others_delivered => Some(self.bury(attempt, what)),
            _ => None,
        };
        if let Some(fate) = fate {
            return items.iter().for_each(|item| self.settle(item, &fate));
        }
        if items.len() == attempt.items.len() && self.bury_unknown(attempt, what, policy) {
            return;
        }
        if is_suspect && items.len() > 1 {
            self.halve(items, When::Later, faults);
        } else {
            self.keep(items, When::Later, faults);
        }
    }

    /// Whether a whole batch of unknown outcome was made dead letters.
    fn bury_unknown(&mut self, attempt: &Attempt<'_>, what: &str, policy: Policy) -> bool {
        if !is_never_repeated(attempt, policy) {
            return false;
        }
        let fate = self.bury(attempt, &format!("outcome unknown: {what}"));
        self.verdict = Verdict::Failing;
        self.settle_all(attempt, &fate);
        true
    }

    fn split(&mut self, attempt: &Attempt<'_>, why: &str) {
        if let [item] = attempt.items {
            let fate = self.bury(attempt, why);
            return self.settle(item, &fate);
        }
        self.halve(attempt.items, When::AtOnce, attempt.faults);
    }

    fn halve(&mut self, items: &[BatchItem], when: When, faults: u32) {
        let (left, right) = items.split_at(items.len() / 2);
        self.keep(left, when, faults);
        self.keep(right, when, faults);
    }

    fn refused(&mut self, attempt: &Attempt<'_>, what: String) {
        let what = reason(&what);
        self.error = Some(Arc::clone(&what));
        self.verdict = Verdict::Refused(what);
        self.keep(attempt.items, When::Unchanged, attempt.faults);
    }

    fn keep(&mut self, items: &[BatchItem], when: When, faults: u32) {
        self.rest.push(Rest {
            items: items.into(),
            when,
            faults,
        });
    }

    fn settle_all(&mut self, attempt: &Attempt<'_>, fate: &Fate) {
        attempt
            .items
            .iter()
            .for_each(|item| self.settle(item, fate));
    }

    fn settle(&mut self, item: &BatchItem, fate: &Fate) {
        match self.settled.last_mut() {
            Some((run, last)) if run.last.checked_add(1) == Some(item.token) && last == fate => {
                run.last = item.token
            }
            _ => self.settled.push((
                Tokens {
                    first: item.token,
                    last: item.token,
                },
                fate.clone(),
            )),
        }
    }
}

const HELD: &str = "component broke the contract: it held events but is not stateful";

fn budget_used_up(attempt: &Attempt<'_>, why: &str, policy: Policy) -> Option<Fate> {
    end_of_budget(attempt.retrying_for, attempt.attempts, why, policy)
}

/// The fate of an event that has been tried for so long, if that is too long.
pub(crate) fn end_of_budget(
    retrying_for: Duration,
    attempts: u32,
    why: &str,
    policy: Policy,
) -> Option<Fate> {
    let budget = policy
        .max_elapsed
        .filter(|budget| retrying_for >= *budget)?;
    let why = format!("not delivered within {} s: {why}", budget.as_secs_f64());
    Some(Fate::DeadLettered {
        reason: reason(&why),
        attempts,
    })
}

fn dead_letter(attempt: &Attempt<'_>, why: &str) -> Fate {
    Fate::DeadLettered {
        reason: reason(why),
        attempts: attempt.attempts,
    }
}

/// Whether the operator would rather have a dead letter than one event twice.
fn is_never_repeated(attempt: &Attempt<'_>, policy: Policy) -> bool {
    !attempt.is_idempotent && policy.on_unknown == OnUnknown::DeadLetter
}

/// A text of others, cut to what a log line or a dead letter can hold.
pub(crate) fn reason(text: &str) -> Arc<str> {
    let mut end = text.len().min(MAX_REASON_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().into()
}

#[cfg(test)]
mod tests;
