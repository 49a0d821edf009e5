//! Order: one call at a time for a lane, and a retry holds up its own lane alone.

use std::collections::HashMap;

use super::fake::*;
use super::*;
use crate::config::component::Grouping;
use crate::event::EventKind;
use crate::plugin::outcome::{ItemResult, SendOutcome};

fn ordered(max_items: usize, concurrency: usize) -> ExporterSettings {
    ExporterSettings {
        grouping: Grouping::Ordered,
        concurrency,
        ..batches_of(max_items)
    }
}

/// The lane of an event in these tests.
fn lane(id: u64) -> u64 {
    id % 10
}

async fn send(world: &World, kind: EventKind, ids: std::ops::Range<u64>) {
    world.append_lanes(kind, ids.map(|id| (id, lane(id)))).await;
}

fn slow(result: ItemResult) -> Reply {
    Reply::After(
        SECOND,
        Ok(SendResult {
            outcome: SendOutcome::AllItems(result),
            not_before: None,
            has_unknown_outcome: false,
            holder: 0,
        }),
    )
}

/// Asserts that of each lane every event was seen for the first time only after all before it.
fn assert_in_order(calls: &[Seen]) {
    let mut last: HashMap<u64, u64> = HashMap::new();
    for id in calls.iter().flat_map(|call| &call.ids) {
        let before = last.entry(lane(*id)).or_insert(*id);
        assert!(*before <= *id, "{id} came after {before}");
        *before = *id;
    }
}

#[tokio::test(start_paused = true)]
async fn lane_is_in_one_call_at_a_time_and_other_lanes_go_on() {
    let guest = Fake::new(|_, _| slow(ItemResult::Delivered));
    let mut world = World::new();
    world.start("a", &guest, ordered(4, 3)).await;
    send(&world, EventKind::SpanEnded, 0..40).await;
    world.drain().await;
    let calls = guest.calls();
    assert_in_order(&calls);
    assert_eq!(guest.most_under_way(), 3);
    for (number, call) in calls.iter().enumerate() {
        for other in calls.iter().take(number) {
            let is_shared = call
                .ids
                .iter()
                .any(|id| other.ids.iter().any(|before| lane(*before) == lane(*id)));
            assert!(
                !is_shared || call.at - other.at >= SECOND,
                "{call:?} did not wait for {other:?}"
            );
        }
    }
    assert_eq!(world.traces("a").delivered, 40);
}

#[tokio::test(start_paused = true)]
async fn retry_holds_up_its_own_lane_alone() {
    // Nothing of lane 3 gets through at first.
    let guest = Fake::new(|number, batch| {
        let fate = |id: u64| {
            if number < 30 && lane(id) == 3 {
                ItemResult::Retry("503".into())
            } else {
                ItemResult::Delivered
            }
        };
        answer(SendOutcome::PerItem(
            ids_of(batch).into_iter().map(fate).collect(),
        ))
    });
    let mut world = World::new();
    world.start("a", &guest, ordered(10, 2)).await;
    for first in 0..20 {
        send(&world, EventKind::SpanEnded, first * 10..first * 10 + 10).await;
    }
    world.until(SECOND / 2).await;
    let stored = guest.stored_ids();
    assert_eq!(stored.len(), 180, "all but the lane: {stored:?}");
    world.drain().await;
    assert_in_order(&guest.calls());
    assert!(guest.stored().values().all(|times| *times == 1));
    assert_eq!(guest.stored_ids().len(), 200);
}

#[tokio::test(start_paused = true)]
async fn parts_of_a_split_batch_keep_the_order() {
    let guest = Fake::new(|_, batch| {
        if batch.items.len() > 2 {
            answer(SendOutcome::TooLarge)
        } else {
            slow(ItemResult::Delivered)
        }
    });
    let mut world = World::new();
    world.start("a", &guest, ordered(16, 4)).await;
    world
        .append_lanes(EventKind::SpanEnded, (0..16).map(|id| (id * 10, 0)))
        .await;
    world.drain().await;
    let calls = guest.calls();
    let small: Vec<_> = calls
        .iter()
        .filter(|call| call.ids.len() == 2)
        .cloned()
        .collect();
    let first: Vec<_> = small.iter().map(|call| call.ids[0]).collect();
    assert_eq!(first, (0..8).map(|part| part * 20).collect::<Vec<_>>());
    assert!(
        small
            .windows(2)
            .all(|pair| pair[1].at - pair[0].at >= SECOND)
    );
}

#[tokio::test(start_paused = true)]
async fn lanes_of_different_signals_do_not_wait_for_each_other() {
    let guest = Fake::new(|_, batch| match batch.signal {
        Signal::Traces => Reply::Never,
        _ => delivered(),
    });
    let mut world = World::new();
    world.start("a", &guest, ordered(10, 2)).await;
    send(&world, EventKind::SpanEnded, 0..10).await;
    send(&world, EventKind::Metric, 10..40).await;
    world.until(SECOND).await;
    assert_eq!(world.account("a", Signal::Metrics).delivered, 30);
}

#[tokio::test(start_paused = true)]
async fn stateful_component_that_wants_order_loses_nothing() {
    let guest = Fake::stateful(
        |_, _| answer(SendOutcome::AllItems(ItemResult::Held)),
        |number, held: &[HeldEvent]| {
            let fate = |event: &HeldEvent| {
                if number < 3 && lane(event.id) == 3 {
                    ItemResult::Retry("503".into())
                } else {
                    ItemResult::Delivered
                }
            };
            FlushReply::Some(
                held.iter()
                    .map(|event| acknowledged(event, fate(event)))
                    .collect(),
            )
        },
    );
    let mut world = World::new();
    let settings = ExporterSettings {
        holding: Some(crate::deliver::settings::HoldingSettings::new(SECOND)),
        ..ordered(10, 1)
    };
    world.start("a", &guest, settings).await;
    for first in 0..20 {
        send(&world, EventKind::SpanEnded, first * 10..first * 10 + 10).await;
        world
            .until(u32::try_from(first).expect("small") * SECOND / 2)
            .await;
    }
    world.drain().await;
    assert_eq!(world.traces("a").delivered, 200);
    assert!(guest.stored().values().all(|times| *times == 1));
}
