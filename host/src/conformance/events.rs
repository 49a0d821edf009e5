//! What becomes of each fixture while the backend takes everything.

use std::sync::Arc;
use std::time::Instant;

use super::TestError;
use super::backend::{Answer, header};
use super::fixtures::Fixture;
use super::golden::Golden;
use super::requests::Watch;
use super::scorecard::{Group, Judgement, Scorecard, Seen};
use super::sight::{self, Secrets};
use super::subject::{Answered, Delivery, Live, Subject};
use crate::event::{Event, Signal};
use crate::plugin::outcome::{CallError, ItemResult, SendOutcome};

/// The largest batch that is tried, whatever the component would take.
const MOST_ITEMS: usize = 1_000;
/// As many bytes are tried, whatever the component would take.
const MOST_BYTES: usize = 8 << 20;

/// Tries all fixtures of one signal. Returns the ordinary batch, if the component sends something for it.
pub(super) async fn check(
    subject: &Subject,
    fixtures: &[Fixture],
    mut golden: Option<&mut Golden>,
    watch: &mut Watch,
    card: &mut Scorecard,
) -> Result<Option<Plain>, TestError> {
    subject.script.play(Answer::Good);
    let secrets = Secrets::of(subject);
    let mut pair = Pair::default();
    let mut plain = None;
    for (index, fixture) in fixtures.iter().enumerate() {
        let signal = fixture.signal;
        let (mut worst, mut sights) = (None::<Judgement>, Vec::new());
        for batch in subject.batches(&fixture.events) {
            let [delivery, other] = match pair.deliver(subject, signal, &batch).await {
                Ok(both) => both,
                Err(judgement) => {
                    worst = Some(judgement);
                    break;
                }
            };
            watch.look(subject, signal, &delivery);
            let judgement = judge(subject, batch.len(), &delivery);
            let is_worse = |known: &Judgement| judgement.verdict > known.verdict;
            if worst.as_ref().is_none_or(is_worse) {
                worst = Some(judgement);
            }
            let sight = sight::of_delivery(&delivery, &secrets);
            let other = sight::of_delivery(&other, &secrets);
            sights.push((
                sight::without_differences(&sight, &other),
                outcome_word(&delivery),
            ));
            if index == 0 && plain.is_none() {
                card.seen.push(Seen {
                    signal,
                    content: sight,
                });
                plain = Plain::of(signal, batch, &delivery);
            }
        }
        let nothing = || Judgement::pass("not handed over: the component does not want this phase");
        card.add(
            Group::Events,
            Some(signal),
            &fixture.name,
            worst.unwrap_or_else(nothing),
        );
        if let Some(golden) = &mut golden {
            let judgement = golden.compare(signal, &fixture.name, &sights)?;
            card.add(Group::Golden, Some(signal), &fixture.name, judgement);
        }
    }
    for (name, events) in largest(subject, fixtures) {
        let signal = fixtures.first().map(|fixture| fixture.signal);
        if let Some(signal) = signal {
            let judgement = all_at_once(subject, signal, &events, watch).await;
            card.add(Group::Events, Some(signal), name, judgement);
        }
    }
    Ok(plain)
}

/// The ordinary batch of a signal, for which the component makes requests.
pub(super) struct Plain {
    pub(super) signal: Signal,
    pub(super) events: Vec<Arc<Event>>,
}

impl Plain {
    fn of(signal: Signal, events: Vec<Arc<Event>>, delivery: &Delivery) -> Option<Self> {
        let sends = !delivery.requests.is_empty();
        sends.then_some(Self { signal, events })
    }
}

/// Two instances that are given the same; a new one after a fault.
#[derive(Default)]
struct Pair<'s>([Option<Live<'s>>; 2]);

impl<'s> Pair<'s> {
    async fn deliver(
        &mut self,
        subject: &'s Subject,
        signal: Signal,
        batch: &[Arc<Event>],
    ) -> Result<[Delivery; 2], Judgement> {
        let [left, right] = &mut self.0;
        Ok([
            deliver(left, subject, signal, batch).await?,
            deliver(right, subject, signal, batch).await?,
        ])
    }
}

async fn deliver<'s>(
    slot: &mut Option<Live<'s>>,
    subject: &'s Subject,
    signal: Signal,
    batch: &[Arc<Event>],
) -> Result<Delivery, Judgement> {
    let mut live = match slot.take() {
        Some(live) => live,
        None => start(subject).await?,
    };
    let delivery = live.deliver(signal, batch).await;
    // What was held would mix into what comes next.
    let is_fresh = delivery
        .answer
        .as_ref()
        .is_ok_and(|answer| !answer.was_held);
    if is_fresh {
        *slot = Some(live);
    }
    Ok(delivery)
}

/// A new instance.
pub(super) async fn start(subject: &Subject) -> Result<Live<'_>, Judgement> {
    let started = subject.start().await;
    started.map_err(|error| Judgement::fail(error.to_string(), "make every instance start"))
}

fn judge(subject: &Subject, items: usize, delivery: &Delivery) -> Judgement {
    let answer = match &delivery.answer {
        Ok(answer) => answer,
        Err(error) => return fault(error),
    };
    if let Some(text) = not_json(delivery) {
        return Judgement::fail(text, "write JSON, or name the content type that it is");
    }
    if answer.has_foreign_tokens {
        return Judgement::fail(
            "`flush` reported tokens that were not held",
            "report the tokens of the batches, each once",
        );
    }
    let said = words(answer);
    match &answer.outcome {
        SendOutcome::TooLarge | SendOutcome::Isolate(_) | SendOutcome::Unauthorized(_) => {
            return Judgement::warn(
                format!("{said}, although the backend took everything"),
                REPLY_FIX,
            );
        }
        SendOutcome::Partial { .. } => {
            return Judgement::warn(
                format!("{said}, although the backend took everything"),
                REPLY_FIX,
            );
        }
        SendOutcome::AllItems(_) | SendOutcome::PerItem(_) => {}
    }
    let any = |wanted: fn(&ItemResult) -> bool| answer.fates.iter().any(wanted);
    if any(|fate| matches!(fate, ItemResult::Retry(_))) {
        return Judgement::warn(
            format!("{said}, although the backend took everything"),
            REPLY_FIX,
        );
    }
    if any(|fate| matches!(fate, ItemResult::Rejected(_))) {
        return Judgement::warn(
            format!("{said}: it would become a dead letter"),
            "send what can be sent of it, or answer `skipped` where the backend has no place for it",
        );
    }
    let delivered = answer
        .fates
        .iter()
        .filter(|fate| **fate == ItemResult::Delivered);
    if delivered.count() > 0 && !delivery.has_left() && !subject.keeps_state() {
        return Judgement::fail(
            format!("answered `delivered` for {items} items but sent nothing"),
            "answer `delivered` after the backend has it; `skipped` for what it has no place for",
        );
    }
    Judgement::pass(said)
}

const REPLY_FIX: &str = "answer `delivered` to success; if the backend's success looks otherwise, give it with --reply FILE";

/// What a call that gave no answer means for the author.
pub(super) fn fault(error: &CallError) -> Judgement {
    let fix = match error {
        CallError::Trap(_) => {
            "handle it, or answer `rejected` for that item: a trap costs the whole batch"
        }
        CallError::CpuTimeout(_) => "find the loop; an event may take milliseconds, not seconds",
        CallError::WallTimeout(_) => {
            "make fewer requests a call, and stop after the first without an answer"
        }
        CallError::Memory { .. } => {
            "do not build several copies of a batch; lower `limits` in `describe`"
        }
        CallError::Contract(_) => "answer one result an item, in the batch's order",
        CallError::HostPanic(_) => {
            "this is a fault of mastra-host, too: report it with the component"
        }
        CallError::Settings(_) | CallError::NotRunning { .. } | CallError::Stopping => {
            "make the instance answer"
        }
    };
    Judgement::fail(error.to_string(), fix)
}

/// A body that is said to be JSON and is not.
fn not_json(delivery: &Delivery) -> Option<String> {
    delivery.requests.iter().find_map(|request| {
        let kind = header(request, "content-type")?;
        let kind = kind.split(';').next().unwrap_or_default().trim();
        let is_json = kind.eq_ignore_ascii_case("application/json");
        if !is_json || request.body.is_empty() || header(request, "content-encoding").is_some() {
            return None;
        }
        let error = serde_json::from_slice::<serde::de::IgnoredAny>(&request.body).err()?;
        Some(format!("the body for {} is not JSON: {error}", request.url))
    })
}

/// What was answered, in a few words.
pub(super) fn words(answer: &Answered) -> String {
    match &answer.outcome {
        SendOutcome::TooLarge => return "`too-large`".to_owned(),
        SendOutcome::Isolate(reason) => return format!("`isolate` ({reason})"),
        SendOutcome::Unauthorized(reason) => return format!("`unauthorized` ({reason})"),
        SendOutcome::Partial {
            rejected_count,
            reason,
        } => return format!("`partial`, {rejected_count} refused ({reason})"),
        SendOutcome::AllItems(_) | SendOutcome::PerItem(_) => {}
    }
    let mut kinds: Vec<(String, usize)> = Vec::new();
    for fate in &answer.fates {
        let word = match fate {
            ItemResult::Delivered => "`delivered`".to_owned(),
            ItemResult::Held => "`held`".to_owned(),
            ItemResult::Skipped(reason) => format!("`skipped` ({reason})"),
            ItemResult::Retry(reason) => format!("`retry` ({reason})"),
            ItemResult::Rejected(reason) => format!("`rejected` ({reason})"),
        };
        match kinds.iter_mut().find(|(known, _)| *known == word) {
            Some((_, count)) => *count += 1,
            None => kinds.push((word, 1)),
        }
    }
    let is_one = kinds.len() == 1;
    let kinds = kinds.into_iter();
    let kinds: Vec<String> = kinds
        .map(|(word, count)| {
            if is_one {
                word
            } else {
                format!("{count} {word}")
            }
        })
        .collect();
    kinds.join(", ")
}

fn outcome_word(delivery: &Delivery) -> String {
    match &delivery.answer {
        Ok(answer) => words(answer),
        Err(error) => error.to_string(),
    }
}

/// Batches as large as the component says that it takes: of ordinary events, and of the bytes of the largest one.
fn largest(subject: &Subject, fixtures: &[Fixture]) -> Vec<(&'static str, Vec<Arc<Event>>)> {
    let description = subject.component.description();
    let max_items = usize::try_from(description.max_items).unwrap_or(usize::MAX);
    let max_items = max_items.min(MOST_ITEMS);
    let max_bytes = usize::try_from(description.max_bytes).unwrap_or(usize::MAX);
    let mut batches = Vec::new();
    if let Some(plain) = fixtures.first() {
        let events = plain.events.iter().cycle().take(max_items);
        batches.push(("most items", events.cloned().collect()));
    }
    let all = fixtures.iter().flat_map(|fixture| &fixture.events);
    if let Some(large) = all.max_by_key(|event| event.size_bytes()) {
        let count = max_bytes.min(MOST_BYTES) / large.size_bytes().max(1);
        let count = count.clamp(1, max_items);
        batches.push(("most bytes", vec![Arc::clone(large); count]));
    }
    batches
}

/// The first of the batches that these events are.
async fn all_at_once(
    subject: &Subject,
    signal: Signal,
    events: &[Arc<Event>],
    watch: &mut Watch,
) -> Judgement {
    let Some(batch) = subject.batches(events).into_iter().next() else {
        return Judgement::pass("not handed over: the component does not want this phase");
    };
    let mut live = match start(subject).await {
        Ok(live) => live,
        Err(judgement) => return judgement,
    };
    let begin = Instant::now();
    let delivery = live.deliver(signal, &batch).await;
    let took = begin.elapsed();
    watch.look(subject, signal, &delivery);
    let judgement = judge(subject, batch.len(), &delivery);
    let bytes: usize = batch.iter().map(|event| event.size_bytes()).sum();
    Judgement {
        found: format!(
            "{} items, {} KiB in {} ms: {}",
            batch.len(),
            bytes.div_ceil(1024),
            took.as_millis(),
            judgement.found
        ),
        ..judgement
    }
}
