//! Stateful components: what they hold is queued until a flush says what became of it, and waits again when they are gone.

use super::fake::*;
use super::*;
use crate::deliver::settings::HoldingSettings;
use crate::event::EventKind;
use crate::plugin::outcome::{Acknowledgement, ItemResult, SendOutcome};

const INTERVAL: Duration = Duration::from_secs(10);

fn held() -> Reply {
    answer(SendOutcome::AllItems(ItemResult::Held))
}

fn holding(max_items: usize) -> ExporterSettings {
    ExporterSettings {
        holding: Some(HoldingSettings::new(INTERVAL)),
        ..batches_of(max_items)
    }
}

#[tokio::test(start_paused = true)]
async fn held_events_are_queued_until_the_flush_at_the_interval_delivers_them() {
    let guest = Fake::stateful(|_, _| held(), |_, _| FlushReply::All(ItemResult::Delivered));
    let mut world = World::new();
    world.start("a", &guest, holding(10)).await;
    world.spans(0..30).await;
    world.until(INTERVAL - SECOND).await;
    assert_eq!(world.traces("a").queued, 30);
    let status = world.delivery.statuses()["a"].clone();
    assert_eq!((status.held_events, status.is_idle), (30, false));
    assert!(
        !status.is_stuck(SECOND, Instant::now()),
        "to hold is no trouble"
    );
    assert!(guest.flushed_at().is_empty());
    world.until(INTERVAL + SECOND).await;
    assert_eq!(world.traces("a").delivered, 30);
    assert_eq!(guest.flushed_at().len(), 1);
    world.until(10 * INTERVAL).await;
    assert_eq!(guest.flushed_at().len(), 1, "there is nothing to flush");
    assert_eq!(guest.calls().len(), 3, "one batch after the other");
    assert_eq!(guest.most_under_way(), 1);
}

#[tokio::test(start_paused = true)]
async fn drain_flushes_once_all_is_given_and_not_before() {
    let guest = Fake::stateful(|_, _| held(), |_, _| FlushReply::All(ItemResult::Delivered));
    let mut world = World::new();
    world.start("a", &guest, holding(10)).await;
    world.spans(0..25).await;
    world.append(EventKind::Log, 25..30).await;
    world.drain().await;
    assert_eq!(world.started.elapsed().as_secs(), 0);
    assert_eq!(guest.flushed_at().len(), 1);
    assert_eq!(guest.stored_ids(), (0..30).collect::<Vec<_>>());
    assert_eq!(world.account("a", Signal::Logs).delivered, 5);
}

#[tokio::test(start_paused = true)]
async fn stop_flushes_and_leaves_what_was_not_delivered() {
    let some = |_, held: &[HeldEvent]| {
        let first = held.iter().take(4);
        FlushReply::Some(
            first
                .map(|event| acknowledged(event, ItemResult::Delivered))
                .collect(),
        )
    };
    let guest = Fake::stateful(|_, _| held(), some);
    let mut world = World::new();
    world.start("a", &guest, holding(10)).await;
    world.spans(0..10).await;
    world.until(SECOND).await;
    let last = world.delivery.stop().await;
    assert_eq!(last["a"].held_events, 0);
    let account = world.traces("a");
    assert_eq!((account.delivered, account.queued), (4, 6));
    let next = Fake::new(|_, _| delivered());
    world.start("a", &next, batches_of(10)).await;
    world.drain().await;
    assert_eq!(next.stored_ids(), (4..10).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn after_a_trap_the_next_instance_gets_everything_again_from_the_first_event() {
    let guest = Fake::stateful(
        |number, _| if number == 2 { trap() } else { held() },
        |_, _| FlushReply::All(ItemResult::Delivered),
    );
    let mut world = World::new();
    world.start("a", &guest, holding(10)).await;
    world.spans(0..30).await;
    world.drain().await;
    let calls = guest.calls();
    let first: Vec<_> = calls.iter().map(|call| call.ids[0]).collect();
    assert_eq!(first[..3], [0, 10, 20]);
    assert!(
        first[3..].contains(&0) && first[3..].contains(&10),
        "{first:?}"
    );
    assert_eq!(world.traces("a").delivered, 30);
    assert!(guest.stored().values().all(|times| *times == 1));
}

#[tokio::test(start_paused = true)]
async fn flush_that_fails_costs_nothing_but_another_round() {
    for error in [
        CallError::Trap("unreachable".into()),
        CallError::WallTimeout(SECOND),
        CallError::NotRunning {
            state: "quarantined",
            retry_in: SECOND,
        },
    ] {
        let failure = error.clone();
        let guest = Fake::stateful(
            |_, _| held(),
            move |number, _| match number {
                0 => FlushReply::Fail(failure.clone()),
                _ => FlushReply::All(ItemResult::Delivered),
            },
        );
        let mut world = World::new();
        world.start("a", &guest, holding(10)).await;
        world.spans(0..20).await;
        world.until(INTERVAL + SECOND).await;
        assert_eq!(world.traces("a").queued, 20, "{error}");
        world.drain().await;
        assert_eq!(world.traces("a").delivered, 20, "{error}");
        assert_eq!(guest.calls().len(), 4, "{error}: all of it was given twice");
        assert!(guest.stored().values().all(|times| *times == 1));
    }
}

#[tokio::test(start_paused = true)]
async fn flush_that_fails_again_and_again_is_visible() {
    let guest = Fake::stateful(
        |_, _| held(),
        |_, _| FlushReply::Fail(CallError::Trap("unreachable".into())),
    );
    let mut world = World::new();
    world.start("a", &guest, holding(10)).await;
    world.spans(0..20).await;
    world.until(6 * INTERVAL).await;
    let status = world.delivery.statuses()["a"].clone();
    assert!(
        matches!(status.state, State::Retrying { .. }),
        "{:?}",
        status.state
    );
    assert!(status.is_stuck(5 * SECOND, Instant::now()), "{status:?}");
    assert!(status.counts.faults >= 4);
    assert_eq!(world.traces("a").queued, 20);
}

#[tokio::test(start_paused = true)]
async fn flush_settles_each_event_as_it_says_and_what_it_retries_comes_again() {
    let fates = |number: usize, held: &[HeldEvent]| {
        let fate = |event: &HeldEvent| match event.id % 5 {
            0 => ItemResult::Skipped("no place".into()),
            1 => ItemResult::Rejected("too old".into()),
            2 if number == 0 => ItemResult::Retry("503".into()),
            3 if number == 0 => ItemResult::Held,
            _ => ItemResult::Delivered,
        };
        FlushReply::Some(
            held.iter()
                .map(|event| acknowledged(event, fate(event)))
                .collect(),
        )
    };
    let guest = Fake::stateful(|_, _| held(), fates);
    let mut world = World::new();
    world.start("a", &guest, holding(10)).await;
    world.spans(0..10).await;
    world.until(INTERVAL + Duration::from_millis(1500)).await;
    let account = world.traces("a");
    let ended = (account.filtered, account.dead_lettered, account.delivered);
    assert_eq!((ended, account.queued), ((2, 2, 2), 4));
    world.drain().await;
    let calls = guest.calls();
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[1].ids, [2, 7], "what stays held is not given again");
    let account = world.traces("a");
    assert_eq!(
        (account.filtered, account.dead_lettered, account.delivered),
        (2, 2, 6)
    );
    assert_eq!(world.delivery.statuses()["a"].counts.faults, 0);
}

#[tokio::test(start_paused = true)]
async fn events_that_flushes_retry_for_too_long_become_dead_letters() {
    let guest = Fake::stateful(
        |_, _| held(),
        |_, _| FlushReply::All(ItemResult::Retry("503".into())),
    );
    let mut world = World::new();
    let policy = Policy {
        max_elapsed: Some(60 * SECOND),
        ..Policy::default()
    };
    let settings = ExporterSettings {
        policy,
        ..holding(10)
    };
    world.start("a", &guest, settings).await;
    world.spans(0..5).await;
    world.until(50 * SECOND).await;
    assert_eq!(world.traces("a").queued, 5);
    world.until(200 * SECOND).await;
    assert_eq!(world.traces("a").dead_lettered, 5);
    assert!(world.dead()[0].1.contains("not delivered within 60 s: 503"));
    let letters = world.queue.dead_letters().list();
    assert!(letters.iter().all(|letter| letter.attempts > 3));
}

#[tokio::test(start_paused = true)]
async fn tokens_that_are_not_held_are_counted_and_do_no_harm() {
    let lies = |_, held: &[HeldEvent]| {
        let truth = held
            .iter()
            .map(|event| acknowledged(event, ItemResult::Delivered));
        let stranger = Acknowledgement {
            signal: Signal::Traces,
            tokens: vec![u64::MAX, 4_711],
            fate: ItemResult::Delivered,
        };
        let elsewhere = held.iter().map(|event| Acknowledgement {
            signal: Signal::Feedback,
            ..acknowledged(event, ItemResult::Delivered)
        });
        let twice = truth.clone();
        FlushReply::Some(
            elsewhere
                .chain(truth)
                .chain(twice)
                .chain([stranger])
                .collect(),
        )
    };
    let guest = Fake::stateful(|_, _| held(), lies);
    let mut world = World::new();
    world.start("a", &guest, holding(10)).await;
    world.spans(0..10).await;
    world.drain().await;
    assert_eq!(world.traces("a").delivered, 10);
    let status = world.delivery.statuses()["a"].clone();
    assert_eq!(status.counts.faults, 1);
    let error = status.last_error.unwrap_or_default();
    assert!(error.contains("22 events that it does not hold"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn component_that_holds_as_much_as_it_may_is_flushed_at_once_and_given_no_more() {
    let hoards = |number, _: &[HeldEvent]| {
        FlushReply::All(if number < 8 {
            ItemResult::Held
        } else {
            ItemResult::Delivered
        })
    };
    let guest = Fake::stateful(|_, _| held(), hoards);
    let mut world = World::new();
    let settings = ExporterSettings {
        holding: Some(HoldingSettings {
            max_items: 20,
            ..HoldingSettings::new(INTERVAL)
        }),
        ..batches_of(10)
    };
    world.start("a", &guest, settings).await;
    world.spans(0..100).await;
    world.until(Duration::from_millis(10)).await;
    assert_eq!(guest.flushed_at().len(), 1, "at once");
    assert_eq!(world.state("a"), State::Overfull { events: 20 });
    world.until(6 * SECOND).await;
    assert_eq!(guest.calls().len(), 2, "nothing more is given");
    assert!(guest.flushed_at().len() > 5, "sooner than the interval");
    let status = world.delivery.statuses()["a"].clone();
    assert!(status.is_stuck(5 * SECOND, Instant::now()));
    world.drain().await;
    assert_eq!(world.state("a"), State::Running);
    assert_eq!(world.traces("a").delivered, 100);
}

#[tokio::test(start_paused = true)]
async fn held_bytes_have_a_bound_too() {
    let guest = Fake::stateful(|_, _| held(), |_, _| FlushReply::All(ItemResult::Delivered));
    let mut world = World::new();
    let settings = ExporterSettings {
        holding: Some(HoldingSettings {
            max_bytes: 1_500,
            ..HoldingSettings::new(INTERVAL)
        }),
        ..batches_of(10)
    };
    world.start("a", &guest, settings).await;
    world.spans(0..40).await;
    world.until(SECOND).await;
    assert_eq!(guest.flushed_at().len(), 2, "after each 2,000 bytes");
    assert_eq!(world.traces("a").delivered, 40);
}

#[tokio::test(start_paused = true)]
async fn what_a_replaced_instance_still_held_waits_again() {
    let last = |number, held: &[HeldEvent]| {
        if number > 0 {
            return FlushReply::All(ItemResult::Delivered);
        }
        let first = held.iter().take(3);
        FlushReply::Last(
            first
                .map(|event| acknowledged(event, ItemResult::Delivered))
                .collect(),
        )
    };
    let guest = Fake::stateful(|_, _| held(), last);
    let mut world = World::new();
    world.start("a", &guest, holding(10)).await;
    world.spans(0..10).await;
    world.until(INTERVAL + SECOND).await;
    let account = world.traces("a");
    assert_eq!((account.delivered, account.queued), (3, 7));
    assert_eq!(guest.calls()[1].ids, (3..10).collect::<Vec<_>>());
    world.drain().await;
    assert_eq!(world.traces("a").delivered, 10);
}

#[tokio::test(start_paused = true)]
async fn answer_of_another_instance_says_that_the_first_one_is_gone() {
    let guest = Fake::stateful(|_, _| held(), |_, _| FlushReply::All(ItemResult::Delivered));
    let mut world = World::new();
    world.start("a", &guest, holding(10)).await;
    world.spans(0..10).await;
    world.until(SECOND).await;
    // Its page faulted, say.
    guest.replace();
    world.spans(10..20).await;
    world.drain().await;
    assert_eq!(guest.stored_ids(), (0..20).collect::<Vec<_>>());
    assert!(guest.stored().values().all(|times| *times == 1));
}

#[tokio::test(start_paused = true)]
async fn new_settings_are_preceded_by_a_flush() {
    let guest = Fake::stateful(|_, _| held(), |_, _| FlushReply::All(ItemResult::Delivered));
    let mut world = World::new();
    world.start("a", &guest, holding(10)).await;
    world.spans(0..10).await;
    world.until(SECOND).await;
    assert!(guest.flushed_at().is_empty());
    assert!(world.delivery.resume("a"));
    world.until(SECOND + Duration::from_millis(5)).await;
    assert_eq!(guest.flushed_at().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn held_from_a_stateless_component_breaks_the_contract() {
    let guest = Fake::new(|number, _| if number == 0 { held() } else { delivered() });
    let mut world = World::new();
    world.start("a", &guest, batches_of(10)).await;
    world.spans(0..10).await;
    world.drain().await;
    assert_eq!(world.delivery.statuses()["a"].counts.faults, 1);
    assert_eq!(world.traces("a").delivered, 10);
}
