//! One exporter's trouble is its own, and one batch's trouble is its own.

use super::fake::*;
use super::*;
use crate::plugin::outcome::{ItemResult, SendOutcome};
use crate::queue::accounts::DropReason;
use crate::queue::{OnFull, Queue};

fn delivered_after(wait: Duration) -> Reply {
    Reply::After(
        wait,
        Ok(SendResult {
            outcome: SendOutcome::AllItems(ItemResult::Delivered),
            not_before: None,
            has_unknown_outcome: false,
            holder: 0,
        }),
    )
}

#[tokio::test(start_paused = true)]
async fn exporter_that_hangs_for_ever_does_not_slow_the_other() {
    let hanging = Fake::new(|_, _| Reply::Never);
    let healthy = Fake::new(|_, _| delivered_after(SECOND));
    let mut world = World::new();
    world
        .start(
            "hanging",
            &hanging,
            ExporterSettings {
                concurrency: 3,
                ..batches_of(10)
            },
        )
        .await;
    world
        .start(
            "healthy",
            &healthy,
            ExporterSettings {
                concurrency: 2,
                ..batches_of(10)
            },
        )
        .await;
    world.spans(0..1000).await;
    // 100 batches, two at a time, a second each.
    world.until(Duration::from_millis(50_100)).await;
    assert_eq!(world.traces("healthy").delivered, 1000);
    assert_eq!(hanging.calls().len(), 3, "its own calls under way, no more");
    assert_eq!(world.traces("hanging").queued, 1000);
    assert!(world.delivery.statuses()["hanging"].is_stuck(5 * SECOND, Instant::now()));
    assert!(!world.delivery.statuses()["healthy"].is_stuck(5 * SECOND, Instant::now()));
}

#[tokio::test(start_paused = true)]
async fn calls_under_way_are_as_many_as_instances_and_never_more() {
    let guest = Fake::new(|_, _| delivered_after(SECOND));
    let mut world = World::new();
    world
        .start(
            "a",
            &guest,
            ExporterSettings {
                concurrency: 4,
                ..batches_of(10)
            },
        )
        .await;
    world.spans(0..400).await;
    world.drain().await;
    assert_eq!(guest.most_under_way(), 4);
    assert_eq!(world.started.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn dead_backend_is_probed_with_one_call_at_a_time_and_gets_its_backlog_soon_after_it_is_back()
{
    let back_at = Instant::now() + 3600 * SECOND;
    let guest = Fake::new(move |_, _| {
        if Instant::now() < back_at {
            retry()
        } else {
            delivered()
        }
    });
    let mut world = World::new();
    world
        .start(
            "a",
            &guest,
            ExporterSettings {
                concurrency: 4,
                ..batches_of(10)
            },
        )
        .await;
    world.spans(0..1000).await;
    world.until(3600 * SECOND).await;
    let calls = guest.calls();
    assert!(
        calls
            .iter()
            .skip(4)
            .zip(calls.iter().skip(5))
            .all(|(a, b)| b.at - a.at <= 5 * SECOND + SECOND / 100)
    );
    // Until four calls in a row have failed the exporter counts as well, and three more batches are taken.
    assert!(
        calls[..20].iter().all(|call| call.ids[0] < 70),
        "what is taken is tried before more is taken"
    );
    let in_last_minute = calls
        .iter()
        .filter(|call| call.at > back_at - 60 * SECOND)
        .count();
    assert!(in_last_minute < 60, "{in_last_minute} probes in a minute");
    assert_eq!(world.traces("a").queued, 1000);
    world.until(3610 * SECOND).await;
    assert_eq!(world.traces("a").delivered, 1000);
    assert!(guest.stored().values().all(|times| *times == 1));
}

#[tokio::test(start_paused = true)]
async fn batch_that_always_fails_does_not_block_what_comes_after_it() {
    for concurrency in [1, 3] {
        let guest = Fake::new(|_, batch| {
            if ids_of(batch).contains(&5) {
                retry()
            } else {
                delivered()
            }
        });
        let mut world = World::new();
        world
            .start(
                "a",
                &guest,
                ExporterSettings {
                    concurrency,
                    ..batches_of(10)
                },
            )
            .await;
        world.spans(0..2000).await;
        world.until(300 * SECOND).await;
        assert_eq!(
            world.traces("a").delivered,
            1990,
            "with {concurrency} calls at once"
        );
        assert_eq!(world.traces("a").queued, 10);
    }
}

#[tokio::test(start_paused = true)]
async fn dead_exporter_that_may_drop_costs_the_healthy_one_nothing() {
    let dead = Fake::new(|_, _| retry());
    let healthy = Fake::new(|_, _| delivered());
    let mut world = World::bounded(100 * 260);
    world
        .start_with("dead", &dead, batches_of(10), OnFull::DropOldest)
        .await;
    world.start("healthy", &healthy, batches_of(10)).await;
    // Four times what fits.
    for start in 0..40 {
        world.spans(start * 10..start * 10 + 10).await;
        world.until((start as u32 + 1) * SECOND).await;
    }
    assert_eq!(world.traces("healthy").delivered, 400);
    let account = world.traces("dead");
    assert_eq!(account.queued, 100);
    assert_eq!(account.dropped.by(DropReason::QueueFull), 300);
}

#[tokio::test(start_paused = true)]
async fn dead_exporter_that_may_not_drop_makes_the_host_refuse_and_nothing_is_lost() {
    let back_at = Instant::now() + 60 * SECOND;
    let guest = Fake::new(move |_, _| {
        if Instant::now() < back_at {
            retry()
        } else {
            delivered()
        }
    });
    let mut world = World::bounded(100 * 260);
    world.start("a", &guest, batches_of(10)).await;
    world.spans(0..100).await;
    world.until(SECOND).await;
    let refused = world.queue.append(vec![]).await;
    assert!(refused.is_ok(), "an empty group always fits");
    assert_eq!(world.queue.report().used_bytes, 26_000);
    world.until(90 * SECOND).await;
    world.spans(100..150).await;
    world.drain().await;
    assert_eq!(guest.stored_ids(), (0..150).collect::<Vec<_>>());
}
