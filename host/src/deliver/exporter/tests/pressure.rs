//! How many calls are under way: as many as the backend takes, and probes while it takes none.

use std::sync::OnceLock;

use super::fake::*;
use super::*;
use crate::plugin::outcome::{ItemResult, NotBefore, SendOutcome};

fn wide(concurrency: usize) -> ExporterSettings {
    ExporterSettings {
        concurrency,
        ..batches_of(10)
    }
}

fn after(wait: Duration, result: Result<SendOutcome, CallError>) -> Reply {
    let result = result.map(|outcome| SendResult {
        outcome,
        not_before: None,
        has_unknown_outcome: false,
        holder: 0,
    });
    Reply::After(wait, result)
}

fn fine() -> Result<SendOutcome, CallError> {
    Ok(SendOutcome::AllItems(ItemResult::Delivered))
}

/// Takes so many calls at a time and puts the others off.
fn of_capacity(capacity: usize) -> Arc<Fake> {
    let own: Arc<OnceLock<Arc<Fake>>> = Arc::default();
    let this = Arc::clone(&own);
    let guest = Fake::new(move |_, _| {
        let under_way = this.get().map_or(0, |guest| guest.under_way());
        if under_way > capacity {
            retry()
        } else {
            after(SECOND, fine())
        }
    });
    let _ = own.set(Arc::clone(&guest));
    guest
}

#[tokio::test(start_paused = true)]
async fn calls_under_way_follow_what_the_backend_takes() {
    let guest = of_capacity(4);
    let mut world = World::new();
    world.start("a", &guest, wide(16)).await;
    world.spans(0..6_000).await;
    world.until(60 * SECOND).await;
    let refused = |world: &World| {
        let counts = world.delivery.statuses()["a"].counts;
        (counts.fruitless, counts.calls)
    };
    let before = refused(&world);
    world.until(120 * SECOND).await;
    let after = refused(&world);
    let (fruitless, calls) = (after.0 - before.0, after.1 - before.1);
    assert!(calls > 100, "it keeps the backend at work: {calls}");
    assert!(fruitless * 3 < calls, "{fruitless} of {calls} were put off");
    let status = world.delivery.statuses()["a"].clone();
    assert!((1..=6).contains(&status.max_in_flight), "{status:?}");
    world.drain().await;
    assert_eq!(world.traces("a").delivered, 6_000);
}

#[tokio::test(start_paused = true)]
async fn rate_limits_and_time_outs_halve_and_good_answers_restore() {
    let limited = |not_before| {
        Reply::Now(Ok(SendResult {
            outcome: SendOutcome::AllItems(ItemResult::Retry("429".into())),
            not_before,
            has_unknown_outcome: false,
            holder: 0,
        }))
    };
    let second = Some(NotBefore {
        whole_exporter: true,
        wait: SECOND,
    });
    for trouble in 0..3 {
        let guest = Fake::new(move |number, _| match (number, trouble) {
            (0, 0) => limited(None),
            (0, 1) => limited(second),
            (0, _) => Reply::Now(Err(CallError::WallTimeout(SECOND))),
            _ => after(SECOND, fine()),
        });
        let mut world = World::new();
        world.start("a", &guest, wide(8)).await;
        world.spans(0..10).await;
        world.until(SECOND / 2).await;
        assert_eq!(world.delivery.statuses()["a"].max_in_flight, 4);
        world.spans(10..2_000).await;
        world.until(60 * SECOND).await;
        assert_eq!(world.delivery.statuses()["a"].max_in_flight, 8);
        assert_eq!(guest.most_under_way(), 8);
    }
}

#[tokio::test(start_paused = true)]
async fn fault_of_the_component_is_no_pressure() {
    let guest = Fake::new(|number, _| if number == 0 { trap() } else { delivered() });
    let mut world = World::new();
    world.start("a", &guest, wide(8)).await;
    world.spans(0..10).await;
    world.drain().await;
    assert_eq!(world.delivery.statuses()["a"].max_in_flight, 8);
}

#[tokio::test(start_paused = true)]
async fn probe_that_hangs_does_not_keep_the_next_one_from_seeing_that_the_backend_is_back() {
    let back_at = Instant::now() + 600 * SECOND;
    let guest = Fake::new(move |_, _| {
        if Instant::now() < back_at {
            after(30 * SECOND, Err(CallError::WallTimeout(30 * SECOND)))
        } else {
            delivered()
        }
    });
    let mut world = World::new();
    world.start("a", &guest, wide(6)).await;
    world.spans(0..1_000).await;
    world.until(600 * SECOND).await;
    let last_minute = guest
        .calls()
        .iter()
        .filter(|call| call.at > back_at - 60 * SECOND)
        .count();
    assert!((9..=13).contains(&last_minute), "{last_minute} probes");
    assert_eq!(world.traces("a").queued, 1_000);
    world.until(610 * SECOND).await;
    // What the hanging probes took along comes when they have ended.
    assert!(
        world.traces("a").delivered >= 940,
        "{:?}",
        world.traces("a")
    );
    world.drain().await;
    assert_eq!(world.traces("a").delivered, 1_000);
}
