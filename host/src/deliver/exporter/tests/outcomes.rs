//! What happens to events for each way in which a call can end.

use super::fake::*;
use super::*;
use crate::deliver::classify::OnUnknown;
use crate::event::EventKind;
use crate::plugin::outcome::{ItemResult, SendOutcome};

#[tokio::test(start_paused = true)]
async fn everything_is_delivered_once_in_full_batches_and_in_order() {
    let guest = Fake::new(|_, _| delivered());
    let mut world = World::new();
    world.start("a", &guest, batches_of(100)).await;
    world.spans(0..250).await;
    world.drain().await;
    let sizes: Vec<_> = guest.calls().iter().map(|call| call.ids.len()).collect();
    assert_eq!(sizes, [100, 100, 50]);
    assert_eq!(guest.calls().concat_ids(), (0..250).collect::<Vec<_>>());
    assert_eq!(world.traces("a").delivered, 250);
    assert!(guest.stored().values().all(|times| *times == 1));
}

trait ConcatIds {
    fn concat_ids(&self) -> Vec<u64>;
}

impl ConcatIds for Vec<Seen> {
    fn concat_ids(&self) -> Vec<u64> {
        self.iter().flat_map(|call| call.ids.clone()).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn small_batch_waits_for_its_age_and_a_full_one_does_not() {
    let guest = Fake::new(|_, _| delivered());
    let mut world = World::new();
    world.start("a", &guest, batches_of(10)).await;
    world.spans(0..10).await;
    world.until(Duration::from_millis(1)).await;
    assert_eq!(guest.calls().len(), 1);
    world.spans(10..12).await;
    world.until(Duration::from_millis(150)).await;
    world.spans(12..13).await;
    world.until(Duration::from_millis(200)).await;
    assert_eq!(guest.calls().len(), 1, "not yet old enough");
    world.until(Duration::from_millis(210)).await;
    assert_eq!(guest.calls()[1].ids, [10, 11, 12]);
    world.assert_conserved();
}

#[tokio::test(start_paused = true)]
async fn signals_are_never_mixed_and_none_starves() {
    let guest = Fake::new(|_, batch| {
        assert!(
            batch
                .items
                .iter()
                .all(|item| item.event.signal() == batch.signal)
        );
        Reply::After(
            SECOND,
            Ok(SendResult {
                outcome: SendOutcome::AllItems(ItemResult::Delivered),
                not_before: None,
                has_unknown_outcome: false,
                holder: 0,
            }),
        )
    });
    let mut world = World::new();
    world.start("a", &guest, batches_of(10)).await;
    world.spans(0..100).await;
    world.append(EventKind::Log, 100..110).await;
    world.append(EventKind::Feedback, 110..120).await;
    world.drain().await;
    let first: Vec<_> = guest
        .calls()
        .iter()
        .take(3)
        .map(|call| call.signal)
        .collect();
    assert_eq!(first, [Signal::Traces, Signal::Logs, Signal::Feedback]);
    assert_eq!(world.account("a", Signal::Logs).delivered, 10);
}

#[tokio::test(start_paused = true)]
async fn skipped_is_filtered_and_rejected_is_dead() {
    let guest = Fake::new(|_, batch| {
        let result = match batch.signal {
            Signal::Logs => ItemResult::Skipped("no logs here".into()),
            _ => ItemResult::Rejected("too old".into()),
        };
        answer(SendOutcome::AllItems(result))
    });
    let mut world = World::new();
    world.start("a", &guest, batches_of(10)).await;
    world.spans(0..2).await;
    world.append(EventKind::Log, 2..5).await;
    world.drain().await;
    assert_eq!(world.account("a", Signal::Logs).filtered, 3);
    assert_eq!(world.traces("a").dead_lettered, 2);
    assert_eq!(world.dead(), [(0, "too old".into()), (1, "too old".into())]);
}

#[tokio::test(start_paused = true)]
async fn failed_batch_is_tried_again_within_the_bounds_of_the_backoff_until_it_is_delivered() {
    let guest = Fake::new(|number, _| if number < 12 { retry() } else { delivered() });
    let mut world = World::new();
    let settings = ExporterSettings {
        max_probe_wait: 30 * SECOND,
        ..batches_of(10)
    };
    world.start("a", &guest, settings).await;
    world.spans(0..10).await;
    world.drain().await;
    let calls = guest.calls();
    assert_eq!(calls.len(), 13);
    let waits: Vec<_> = calls
        .windows(2)
        .map(|pair| pair[1].at - pair[0].at)
        .collect();
    for (wait, failures) in waits.iter().zip(1..) {
        // Timers have a resolution of a millisecond.
        assert!(
            *wait <= settings.retry.ceiling(failures) + Duration::from_millis(2),
            "{failures}: {wait:?}"
        );
    }
    assert!(
        waits.iter().any(|wait| *wait > 5 * SECOND),
        "it backs off: {waits:?}"
    );
    assert!(
        calls.iter().all(|call| call.ids == calls[0].ids),
        "the batch stays whole"
    );
    assert_eq!(world.delivery.statuses()["a"].counts.events_resent, 120);
    assert_eq!(world.state("a"), State::Running);
}

#[tokio::test(start_paused = true)]
async fn budget_ends_in_dead_letters_and_not_before_it_is_used_up() {
    let guest = Fake::new(|_, _| retry());
    let mut world = World::new();
    let policy = Policy {
        max_elapsed: Some(60 * SECOND),
        on_unknown: OnUnknown::Resend,
    };
    world
        .start(
            "a",
            &guest,
            ExporterSettings {
                policy,
                ..batches_of(10)
            },
        )
        .await;
    world.spans(0..10).await;
    world.until(60 * SECOND).await;
    assert_eq!(world.traces("a").queued, 10);
    world.drain().await;
    assert_eq!(world.traces("a").dead_lettered, 10);
    assert!(world.dead()[0].1.contains("not delivered within 60 s: 503"));
}

fn rate_limited(whole_exporter: bool) -> Reply {
    let not_before = Some(NotBefore {
        whole_exporter,
        wait: 20 * SECOND,
    });
    let outcome = SendOutcome::AllItems(ItemResult::Retry("429".into()));
    Reply::Now(Ok(SendResult {
        outcome,
        not_before,
        has_unknown_outcome: false,
        holder: 0,
    }))
}

#[tokio::test(start_paused = true)]
async fn rate_limit_of_a_signal_leaves_the_others_alone() {
    let guest = Fake::new(|number, _| {
        if number == 0 {
            rate_limited(false)
        } else {
            delivered()
        }
    });
    let mut world = World::new();
    world.start("a", &guest, batches_of(10)).await;
    world.spans(0..20).await;
    world.until(SECOND).await;
    world.append(EventKind::Log, 20..30).await;
    world.until(19 * SECOND).await;
    assert_eq!(guest.calls().len(), 2);
    assert_eq!(world.account("a", Signal::Logs).delivered, 10);
    world.drain().await;
    assert!(guest.calls()[2].at >= world.started + 20 * SECOND);
    assert_eq!(world.traces("a").delivered, 20);
}

#[tokio::test(start_paused = true)]
async fn rate_limit_of_the_exporter_holds_all_signals_back_and_shows() {
    let guest = Fake::new(|number, _| {
        if number == 0 {
            rate_limited(true)
        } else {
            delivered()
        }
    });
    let mut world = World::new();
    world.start("a", &guest, batches_of(10)).await;
    world.spans(0..10).await;
    world.append(EventKind::Log, 20..30).await;
    world.until(19 * SECOND).await;
    assert_eq!(guest.calls().len(), 1);
    assert!(matches!(world.state("a"), State::Delayed { .. }));
    world.drain().await;
    assert!(guest.calls()[1].at >= world.started + 20 * SECOND);
    assert_eq!(world.state("a"), State::Running);
}

#[tokio::test(start_paused = true)]
async fn too_large_batch_is_halved_down_to_the_one_event_that_never_fits() {
    let guest = Fake::new(|_, batch| {
        let fits = batch.items.len() <= 4 && !ids_of(batch).contains(&21);
        if fits {
            delivered()
        } else {
            answer(SendOutcome::TooLarge)
        }
    });
    let mut world = World::new();
    world.start("a", &guest, batches_of(64)).await;
    world.spans(0..64).await;
    world.drain().await;
    assert_eq!(world.traces("a").delivered, 63);
    assert_eq!(
        world.dead(),
        [(
            21,
            "the backend refuses the size of this single event".into()
        )]
    );
    assert!(guest.stored().values().all(|times| *times == 1));
}

#[tokio::test(start_paused = true)]
async fn poison_among_512_is_isolated_in_two_calls_a_halving_and_all_others_are_delivered() {
    let guest = Fake::new(|_, batch| {
        if ids_of(batch).contains(&333) {
            answer(SendOutcome::Isolate("bad name".into()))
        } else {
            delivered()
        }
    });
    let mut world = World::new();
    world.start("a", &guest, batches_of(512)).await;
    world.spans(0..512).await;
    world.drain().await;
    assert_eq!(guest.calls().len(), 1 + 2 * 9);
    assert_eq!(world.traces("a").delivered, 511);
    assert_eq!(world.dead(), [(333, "bad name".into())]);
    assert!(guest.stored().values().all(|times| *times == 1));
    assert_eq!(world.queue.dead_letters().list()[0].attempts, 10);
}

#[tokio::test(start_paused = true)]
async fn only_the_items_that_ask_for_it_are_sent_again() {
    let guest = Fake::new(|number, batch| {
        let result = |id: &u64| match id % 4 {
            0 => ItemResult::Delivered,
            1 => ItemResult::Skipped("".into()),
            2 => ItemResult::Rejected("bad".into()),
            _ if number < 2 => ItemResult::Retry("busy".into()),
            _ => ItemResult::Delivered,
        };
        answer(SendOutcome::PerItem(
            ids_of(batch).iter().map(result).collect(),
        ))
    });
    let mut world = World::new();
    world.start("a", &guest, batches_of(8)).await;
    world.spans(0..16).await;
    world.drain().await;
    let calls = guest.calls();
    assert_eq!(
        calls[2].ids,
        [3, 7, 11, 15],
        "the stragglers of two batches go together"
    );
    assert_eq!(calls.len(), 3);
    let account = world.traces("a");
    assert_eq!(
        (account.delivered, account.filtered, account.dead_lettered),
        (8, 4, 4)
    );
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_pause_this_exporter_until_a_slow_probe_succeeds() {
    let guest = Fake::new(|number, _| {
        if number < 3 {
            answer(SendOutcome::Unauthorized("401".into()))
        } else {
            delivered()
        }
    });
    let healthy = Fake::new(|_, _| delivered());
    let mut world = World::new();
    world.start("refused", &guest, batches_of(10)).await;
    world.start("healthy", &healthy, batches_of(10)).await;
    world.spans(0..30).await;
    world.until(59 * SECOND).await;
    assert_eq!(
        world.state("refused"),
        State::Paused {
            reason: "unauthorized: 401".into()
        }
    );
    assert_eq!(guest.calls().len(), 1);
    assert_eq!(world.traces("healthy").delivered, 30);
    assert_eq!(world.traces("refused").queued, 30);
    world.drain().await;
    let at: Vec<_> = guest
        .calls()
        .iter()
        .map(|call| (call.at - world.started).as_secs())
        .collect();
    assert_eq!(at, [0, 60, 120, 180, 180, 180], "one batch a probe");
    assert_eq!(world.state("refused"), State::Running);
    assert_eq!(world.traces("refused").delivered, 30);
}

#[tokio::test(start_paused = true)]
async fn changed_settings_end_a_pause_at_once_and_the_budget_does_not_run_while_paused() {
    let guest = Fake::new(|number, _| match number {
        0 | 2 => retry(),
        1 => Reply::Now(Err(CallError::Settings("no key".into()))),
        _ => delivered(),
    });
    let mut world = World::new();
    let policy = Policy {
        max_elapsed: Some(10 * SECOND),
        on_unknown: OnUnknown::Resend,
    };
    let settings = ExporterSettings {
        policy,
        refused_probe_interval: 3600 * SECOND,
        ..batches_of(10)
    };
    world.start("a", &guest, settings).await;
    world.spans(0..10).await;
    world.until(100 * SECOND).await;
    assert!(matches!(world.state("a"), State::Paused { .. }));
    assert!(world.delivery.resume("a"));
    assert!(!world.delivery.resume("nobody"));
    world.until(101 * SECOND).await;
    assert!(guest.calls().len() > 2, "goes on at once");
    world.drain().await;
    assert_eq!(world.traces("a").delivered, 10);
}

#[tokio::test(start_paused = true)]
async fn poison_that_traps_is_bisected_out_and_does_not_block_the_others() {
    let guest = Fake::new(|_, batch| {
        if ids_of(batch).contains(&100) {
            trap()
        } else {
            delivered()
        }
    });
    let mut world = World::new();
    world.start("a", &guest, batches_of(512)).await;
    world.spans(0..512).await;
    world.drain().await;
    assert_eq!(world.traces("a").delivered, 511);
    assert_eq!(
        world.dead(),
        [(100, "component trapped: unreachable".into())]
    );
    assert!(
        guest.calls().len() <= 3 + 2 * 9,
        "{} calls",
        guest.calls().len()
    );
    assert!(guest.stored().values().all(|times| *times == 1));
}

#[tokio::test(start_paused = true)]
async fn lone_poison_becomes_dead_once_others_get_through() {
    let guest = Fake::new(|_, batch| {
        if ids_of(batch).contains(&0) {
            trap()
        } else {
            delivered()
        }
    });
    let mut world = World::new();
    world.start("a", &guest, batches_of(8)).await;
    world.spans(0..1).await;
    world.until(300 * SECOND).await;
    assert!(guest.calls().len() > 3);
    assert_eq!(
        world.traces("a").queued,
        1,
        "it could be the component's fault"
    );
    world.spans(1..9).await;
    world.drain().await;
    assert_eq!(world.dead().len(), 1);
    assert_eq!(world.traces("a").delivered, 8);
}

#[tokio::test(start_paused = true)]
async fn component_that_traps_on_everything_loses_nothing() {
    let guest = Fake::new(|_, _| trap());
    let mut world = World::new();
    world.start("a", &guest, batches_of(16)).await;
    world.spans(0..1000).await;
    world.until(3600 * SECOND).await;
    let account = world.traces("a");
    assert_eq!((account.queued, account.dead_lettered), (1000, 0));
    assert!(matches!(world.state("a"), State::Retrying { .. }));
    let status = world.delivery.statuses()["a"].clone();
    assert!(
        status.retrying_events <= 16 * (SPARE_BATCHES + 1),
        "{}",
        status.retrying_events
    );
    assert!(status.is_stuck(5 * SECOND, Instant::now()));
}

#[tokio::test(start_paused = true)]
async fn events_that_are_tried_again_are_bounded_by_their_bytes_too() {
    let guest = Fake::new(|_, _| retry());
    let mut world = World::new();
    let mut settings = batches_of(1000);
    // Ten events.
    settings.batch.max_bytes = 1000;
    world.start("a", &guest, settings).await;
    world.spans(0..1000).await;
    world.until(3600 * SECOND).await;
    assert_eq!(world.traces("a").queued, 1000);
    let retrying = world.delivery.statuses()["a"].retrying_events;
    assert!(retrying <= 10 * (SPARE_BATCHES + 1), "{retrying}");
}

#[tokio::test(start_paused = true)]
async fn call_without_an_answer_is_sent_again_and_counted_as_unknown() {
    let timeout = || CallError::WallTimeout(30 * SECOND);
    let guest = Fake::new(move |number, _| {
        if number == 0 {
            Reply::StoredThen(timeout())
        } else {
            delivered()
        }
    });
    let mut world = World::new();
    world.start("a", &guest, batches_of(10)).await;
    world.spans(0..10).await;
    world.drain().await;
    assert_eq!(
        world.traces("a").delivered,
        10,
        "counted once, though the backend has it twice"
    );
    assert!(guest.stored().values().all(|times| *times == 2));
    assert_eq!(world.delivery.statuses()["a"].counts.unknown_outcomes, 1);
}

#[tokio::test(start_paused = true)]
async fn unknown_outcome_of_a_backend_that_does_not_deduplicate_is_dead_if_so_chosen() {
    let guest = Fake::new(|_, _| Reply::StoredThen(CallError::WallTimeout(SECOND)));
    let mut world = World::new();
    let policy = Policy {
        max_elapsed: None,
        on_unknown: OnUnknown::DeadLetter,
    };
    world
        .start(
            "a",
            &guest,
            ExporterSettings {
                policy,
                ..batches_of(10)
            },
        )
        .await;
    world.spans(0..10).await;
    world.drain().await;
    assert_eq!(world.traces("a").dead_lettered, 10);
    assert!(guest.stored().values().all(|times| *times == 1));
}

#[tokio::test(start_paused = true)]
async fn quarantine_by_the_engine_is_visible_and_nothing_is_called_before_its_time() {
    let not_running = || CallError::NotRunning {
        state: "quarantined",
        retry_in: 300 * SECOND,
    };
    let guest = Fake::new(move |number, _| {
        if number == 0 {
            Reply::Now(Err(not_running()))
        } else {
            delivered()
        }
    });
    let mut world = World::new();
    world.start("a", &guest, batches_of(10)).await;
    world.spans(0..10).await;
    world.until(299 * SECOND).await;
    assert!(matches!(
        world.state("a"),
        State::NotRunning {
            state: "quarantined",
            ..
        }
    ));
    assert_eq!(guest.calls().len(), 1);
    world.drain().await;
    assert_eq!(world.traces("a").delivered, 10);
}

#[tokio::test(start_paused = true)]
async fn engine_that_is_stopping_is_not_called_in_a_loop() {
    let guest = Fake::new(|_, _| Reply::Now(Err(CallError::Stopping)));
    let mut world = World::new();
    world.start("a", &guest, batches_of(10)).await;
    world.spans(0..10).await;
    world.until(10 * SECOND).await;
    assert!(guest.calls().len() <= 11, "{} calls", guest.calls().len());
    assert_eq!(world.traces("a").queued, 10);
}

#[tokio::test(start_paused = true)]
async fn panic_on_the_hosts_side_of_a_call_costs_one_try_and_no_event() {
    let guest = Fake::new(|number, _| {
        if number == 0 {
            Reply::Panic
        } else {
            delivered()
        }
    });
    let mut world = World::new();
    world.start("a", &guest, batches_of(10)).await;
    world.spans(0..10).await;
    world.drain().await;
    assert_eq!(world.traces("a").delivered, 10);
    assert_eq!(world.delivery.statuses()["a"].counts.faults, 1);
}

#[tokio::test(start_paused = true)]
async fn failing_exporter_that_asks_for_no_time_is_not_called_in_a_loop() {
    let no_wait = || {
        Some(NotBefore {
            whole_exporter: false,
            wait: Duration::ZERO,
        })
    };
    let guest = Fake::new(move |number, _| {
        let outcome = SendOutcome::AllItems(ItemResult::Retry("429".into()));
        if number == 0 {
            retry()
        } else {
            Reply::Now(Ok(SendResult {
                outcome,
                not_before: no_wait(),
                has_unknown_outcome: false,
                holder: 0,
            }))
        }
    });
    let mut world = World::new();
    world.start("a", &guest, batches_of(10)).await;
    world.spans(0..10).await;
    world.until(60 * SECOND).await;
    assert!(guest.calls().len() < 600, "{} calls", guest.calls().len());
    world.assert_conserved();
}
