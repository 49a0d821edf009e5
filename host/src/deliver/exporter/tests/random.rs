//! Whatever a component answers, in whatever order: the sums hold, nothing is lost, and nothing is delivered twice
//! unless its outcome was unknown.

use std::collections::HashSet;
use std::sync::Mutex;

use proptest::prelude::*;

use super::fake::*;
use super::*;
use crate::config::component::Grouping;
use crate::deliver::classify::OnUnknown;
use crate::deliver::settings::HoldingSettings;
use crate::event::EventKind;
use crate::plugin::outcome::{ItemResult, SendOutcome};

#[derive(Clone, Copy, Debug)]
enum Act {
    Deliver,
    DeliverSlowly(u8),
    Skip,
    Reject,
    Retry,
    RateLimit { whole: bool, seconds: u8 },
    PerItem(u64),
    TooLarge,
    Isolate,
    Unauthorized,
    Trap,
    StoredThenTrap,
    WallTimeout,
    StoredThenTimeout,
    NotRunning(u8),
    Settings,
    Held,
    WrongLength,
    Panic,
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => Just(Act::Deliver),
        2 => (0..20_u8).prop_map(Act::DeliverSlowly),
        1 => Just(Act::Skip),
        1 => Just(Act::Reject),
        3 => Just(Act::Retry),
        2 => (any::<bool>(), 0..90_u8).prop_map(|(whole, seconds)| Act::RateLimit { whole, seconds }),
        4 => any::<u64>().prop_map(Act::PerItem),
        1 => Just(Act::TooLarge),
        1 => Just(Act::Isolate),
        1 => Just(Act::Unauthorized),
        3 => Just(Act::Trap),
        1 => Just(Act::StoredThenTrap),
        1 => Just(Act::WallTimeout),
        1 => Just(Act::StoredThenTimeout),
        1 => (0..90_u8).prop_map(Act::NotRunning),
        1 => Just(Act::Settings),
        1 => Just(Act::Held),
        1 => Just(Act::WrongLength),
        1 => Just(Act::Panic),
    ]
}

fn reply(act: Act, batch: &Batch) -> Reply {
    let all = |result| answer(SendOutcome::AllItems(result));
    let fail = |error| Reply::Now(Err(error));
    match act {
        Act::Deliver => delivered(),
        Act::DeliverSlowly(seconds) => {
            let outcome = SendOutcome::AllItems(ItemResult::Delivered);
            Reply::After(
                u32::from(seconds) * SECOND,
                Ok(SendResult {
                    outcome,
                    not_before: None,
                    has_unknown_outcome: false,
                    holder: 0,
                }),
            )
        }
        Act::Skip => all(ItemResult::Skipped("skip".into())),
        Act::Reject => all(ItemResult::Rejected("reject".into())),
        Act::Retry => retry(),
        Act::RateLimit { whole, seconds } => {
            let not_before = Some(NotBefore {
                whole_exporter: whole,
                wait: u32::from(seconds) * SECOND,
            });
            let outcome = SendOutcome::AllItems(ItemResult::Retry("429".into()));
            Reply::Now(Ok(SendResult {
                outcome,
                not_before,
                has_unknown_outcome: false,
                holder: 0,
            }))
        }
        Act::PerItem(seed) => {
            let mut random = fastrand::Rng::with_seed(seed);
            let result = |_| match random.u8(0..5) {
                0 => ItemResult::Retry("busy".into()),
                1 => ItemResult::Skipped("skip".into()),
                2 => ItemResult::Rejected("reject".into()),
                _ => ItemResult::Delivered,
            };
            answer(SendOutcome::PerItem(
                batch.items.iter().map(result).collect(),
            ))
        }
        Act::TooLarge => answer(SendOutcome::TooLarge),
        Act::Isolate => answer(SendOutcome::Isolate("isolate".into())),
        Act::Unauthorized => answer(SendOutcome::Unauthorized("401".into())),
        Act::Trap => trap(),
        Act::StoredThenTrap => Reply::StoredThen(CallError::Trap("late".into())),
        Act::WallTimeout => fail(CallError::WallTimeout(SECOND)),
        Act::StoredThenTimeout => Reply::StoredThen(CallError::WallTimeout(SECOND)),
        Act::NotRunning(seconds) => fail(CallError::NotRunning {
            state: "backing off",
            retry_in: u32::from(seconds) * SECOND,
        }),
        Act::Settings => fail(CallError::Settings("no".into())),
        Act::Held => all(ItemResult::Held),
        Act::WrongLength => answer(SendOutcome::PerItem(vec![
            ItemResult::Delivered;
            batch.items.len() + 1
        ])),
        Act::Panic => Reply::Panic,
    }
}

fn leaves_unknown(act: Act) -> bool {
    matches!(
        act,
        Act::StoredThenTrap | Act::StoredThenTimeout | Act::WrongLength
    )
}

#[derive(Clone, Copy, Debug)]
enum FlushAct {
    Deliver,
    Some(u64),
    Last(u64),
    Retry,
    Trap,
    Timeout,
}

fn any_flush_act() -> impl Strategy<Value = FlushAct> {
    prop_oneof![
        2 => Just(FlushAct::Deliver),
        4 => any::<u64>().prop_map(FlushAct::Some),
        1 => any::<u64>().prop_map(FlushAct::Last),
        1 => Just(FlushAct::Retry),
        1 => Just(FlushAct::Trap),
        1 => Just(FlushAct::Timeout),
    ]
}

fn flush_reply(act: FlushAct, held: &[HeldEvent]) -> FlushReply {
    let some = |seed| {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut fate = |event: &HeldEvent| {
            let fate = match random.u8(0..6) {
                0 => ItemResult::Retry("busy".into()),
                1 => ItemResult::Skipped("skip".into()),
                2 => ItemResult::Rejected("reject".into()),
                3 => ItemResult::Held,
                _ => ItemResult::Delivered,
            };
            acknowledged(event, fate)
        };
        held.iter().map(&mut fate).collect()
    };
    match act {
        FlushAct::Deliver => FlushReply::All(ItemResult::Delivered),
        FlushAct::Some(seed) => FlushReply::Some(some(seed)),
        FlushAct::Last(seed) => FlushReply::Last(some(seed)),
        FlushAct::Retry => FlushReply::All(ItemResult::Retry("503".into())),
        FlushAct::Trap => FlushReply::Fail(CallError::Trap("late".into())),
        FlushAct::Timeout => FlushReply::Fail(CallError::WallTimeout(SECOND)),
    }
}

/// Plays the acts in order, then delivers everything; a stateful component holds it first. Remembers whose outcome was
/// unknown.
fn script(
    acts: Vec<Act>,
    flush_acts: Option<Vec<FlushAct>>,
    unknown: Arc<Mutex<HashSet<u64>>>,
) -> Arc<Fake> {
    let at_last = if flush_acts.is_some() {
        Act::Held
    } else {
        Act::Deliver
    };
    let send = move |number: usize, batch: &Batch| {
        let act = acts.get(number).copied().unwrap_or(at_last);
        if leaves_unknown(act) {
            unknown
                .lock()
                .expect("no panics in here")
                .extend(ids_of(batch));
        }
        reply(act, batch)
    };
    let Some(flush_acts) = flush_acts else {
        return Fake::new(send);
    };
    Fake::stateful(send, move |number, held| {
        let act = flush_acts.get(number).copied();
        flush_reply(act.unwrap_or(FlushAct::Deliver), held)
    })
}

/// The spans of the plot have no texts and count as one trace.
const WHOLE: Grouping = Grouping::WholeTrace {
    max_wait: Duration::from_secs(30),
    max_spans: 1_000,
};

#[derive(Clone, Debug)]
struct Plot {
    acts: Vec<Act>,
    flush_acts: Option<Vec<FlushAct>>,
    grouping: Grouping,
    max_items: usize,
    concurrency: usize,
    budget: Option<u8>,
    bury_unknown: bool,
    stop_after: Option<u8>,
}

fn any_plot() -> impl Strategy<Value = Plot> {
    let acts = prop::collection::vec(any_act(), 0..40);
    let flush_acts = prop::collection::vec(any_flush_act(), 0..10);
    (
        acts,
        prop::option::of(flush_acts),
        prop_oneof![
            Just(Grouping::Ungrouped),
            Just(Grouping::Ordered),
            Just(WHOLE)
        ],
        1..20_usize,
        1..4_usize,
        prop::option::of(1..60_u8),
        any::<bool>(),
        prop::option::of(0..30_u8),
    )
        .prop_map(
            |(
                acts,
                flush_acts,
                grouping,
                max_items,
                concurrency,
                budget,
                bury_unknown,
                stop_after,
            )| Plot {
                acts,
                flush_acts,
                grouping,
                max_items,
                concurrency,
                budget,
                bury_unknown,
                stop_after,
            },
        )
}

async fn play(plot: Plot) {
    let unknown = Arc::new(Mutex::new(HashSet::new()));
    let is_stateful = plot.flush_acts.is_some();
    let guest = script(plot.acts, plot.flush_acts, Arc::clone(&unknown));
    let on_unknown = if plot.bury_unknown {
        OnUnknown::DeadLetter
    } else {
        OnUnknown::Resend
    };
    let policy = Policy {
        max_elapsed: plot.budget.map(|seconds| u32::from(seconds) * SECOND),
        on_unknown,
    };
    let settings = ExporterSettings {
        concurrency: if is_stateful { 1 } else { plot.concurrency },
        holding: is_stateful.then(|| HoldingSettings {
            max_items: 3 * plot.max_items,
            ..HoldingSettings::new(7 * SECOND)
        }),
        policy,
        grouping: plot.grouping,
        ..batches_of(plot.max_items)
    };
    let mut world = World::new();
    world.start("a", &guest, settings).await;
    world.spans(0..60).await;
    world.append(EventKind::Log, 60..80).await;
    if let Some(seconds) = plot.stop_after {
        world.until(u32::from(seconds) * SECOND).await;
        let stored_before = guest.stored();
        world.delivery.stop().await;
        world.assert_conserved();
        let last = world.delivery.statuses()["a"].clone();
        assert_eq!((last.in_flight, last.retrying_events), (0, 0));
        assert!(guest.stored().len() >= stored_before.len());
        // Its pool ends with the exporter.
        guest.replace();
        world.start("a", &guest, settings).await;
    }
    world.drain().await;
    let stored = guest.stored();
    let dead: HashSet<u64> = world.dead().into_iter().map(|(id, _)| id).collect();
    let (traces, logs) = (world.traces("a"), world.account("a", Signal::Logs));
    assert_eq!(
        (traces.received, logs.received, traces.queued + logs.queued),
        (60, 20, 0)
    );
    assert_eq!(
        (traces.dead_lettered + logs.dead_lettered) as usize,
        dead.len()
    );
    let unknown = unknown.lock().expect("no panics in here");
    for (id, times) in &stored {
        assert!(
            *times == 1 || unknown.contains(id),
            "{id} was delivered {times} times"
        );
        assert!(
            !dead.contains(id) || unknown.contains(id),
            "{id} was delivered and buried"
        );
    }
    let kept = stored.keys().filter(|id| !unknown.contains(id)).count() as u64;
    let fates = traces.delivered + logs.delivered;
    assert!(
        fates >= kept && fates <= stored.len() as u64,
        "{fates} counted, {} stored",
        stored.len()
    );
    let ended = traces.filtered + logs.filtered + dead.len() as u64 + fates;
    assert_eq!(ended, 80, "nothing is lost");
}

proptest! {
    #[test]
    fn random_answers_always_end_in_conservation(plot in any_plot()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("builds");
        runtime.block_on(play(plot));
    }
}
