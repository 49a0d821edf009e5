//! Stop, drain, take-over, death.

use super::fake::*;
use super::*;
use crate::deliver::shaping::AsSent;
use crate::event::span_phases::SpanPhases;
use crate::plugin::outcome::{ItemResult, SendOutcome};
use crate::queue::{CursorOptions, OnFull, Queue, StartAt};
use crate::route::Route;

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
async fn stop_lets_calls_under_way_finish_and_leaves_the_rest_queued() {
    let guest = Fake::new(|_, _| delivered_after(3 * SECOND));
    let mut world = World::new();
    world.start("a", &guest, batches_of(10)).await;
    world.spans(0..30).await;
    world.until(SECOND).await;
    let last = world.delivery.stop().await;
    assert_eq!(world.started.elapsed().as_secs(), 3);
    assert_eq!(last["a"].state, State::Stopped);
    let account = world.traces("a");
    assert_eq!((account.delivered, account.queued), (10, 20));
    assert_eq!(guest.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn stop_cuts_hanging_calls_off_after_the_grace_and_is_safe_to_repeat() {
    let guest = Fake::new(|number, _| if number == 0 { retry() } else { Reply::Never });
    let mut world = World::new();
    world
        .start(
            "a",
            &guest,
            ExporterSettings {
                concurrency: 2,
                ..batches_of(10)
            },
        )
        .await;
    world.spans(0..100).await;
    world.until(10 * SECOND).await;
    let before = Instant::now();
    world.delivery.stop().await;
    world.delivery.stop().await;
    assert_eq!(before.elapsed().as_secs(), 4);
    assert_eq!(world.traces("a").queued, 100);
    let status = world.delivery.statuses()["a"].clone();
    assert_eq!(
        (status.state, status.in_flight, status.retrying_events),
        (State::Stopped, 0, 0)
    );
    assert!(status.counts.unknown_outcomes > 0);
}

#[tokio::test(start_paused = true)]
async fn what_a_stopped_exporter_left_is_delivered_by_the_next() {
    let first = Fake::new(|_, _| Reply::Never);
    let second = Fake::new(|_, _| delivered());
    let mut world = World::new();
    world.start("a", &first, batches_of(10)).await;
    world.spans(0..30).await;
    world.until(SECOND).await;
    let leaving = world.delivery.remove("a", SECOND);
    leaving.expect("it ran").ended().await;
    assert!(world.delivery.remove("a", SECOND).is_none());
    world.start("a", &second, batches_of(10)).await;
    world.drain().await;
    assert_eq!(second.stored_ids(), (0..30).collect::<Vec<_>>());
    assert_eq!(world.traces("a").delivered, 30);
}

#[tokio::test(start_paused = true)]
async fn exporter_that_is_replaced_while_it_runs_counts_nothing_twice() {
    let first = Fake::new(|_, _| delivered_after(2 * SECOND));
    let second = Fake::new(|_, _| delivered());
    let mut world = World::new();
    world.start("a", &first, batches_of(10)).await;
    world.spans(0..30).await;
    world.until(SECOND).await;
    world.start("a", &second, batches_of(10)).await;
    world.drain().await;
    world.until(10 * SECOND).await;
    assert_eq!(world.traces("a").delivered, 30);
    assert_eq!(second.stored_ids(), (0..30).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn exporter_that_makes_way_is_shown_until_the_next_one_runs() {
    let first = Fake::new(|_, _| Reply::Never);
    let second = Fake::new(|_, _| delivered());
    let mut world = World::new();
    world.start("a", &first, batches_of(10)).await;
    world.spans(0..30).await;
    world.until(SECOND).await;
    let statuses = world.delivery.watch();
    {
        let leaving = world.delivery.make_way("a", 3 * SECOND);
        let mut leaving = std::pin::pin!(leaving.expect("it runs").ended());
        let early = tokio::time::timeout(SECOND, &mut leaving).await;
        assert!(early.is_err(), "its calls may finish");
        assert_eq!(statuses.now()["a"].state, State::Replaced);
        leaving.await;
    }
    assert_eq!(statuses.now()["a"].state, State::Replaced);
    world.start("a", &second, batches_of(10)).await;
    assert_eq!(statuses.now()["a"].state, State::Running);
    let leaving = world.delivery.remove("a", SECOND);
    leaving.expect("it ran").ended().await;
    assert!(!statuses.now().contains_key("a"));
}

#[tokio::test(start_paused = true)]
async fn drain_does_not_wait_for_a_batch_to_fill_or_to_age() {
    let guest = Fake::new(|_, _| delivered());
    let mut world = World::new();
    let mut settings = batches_of(1000);
    settings.batch.max_age = 3600 * SECOND;
    world.start("a", &guest, settings).await;
    world.spans(0..3).await;
    world.drain().await;
    assert_eq!(world.started.elapsed().as_secs(), 0);
    assert_eq!(world.traces("a").delivered, 3);
}

#[tokio::test(start_paused = true)]
async fn drain_names_the_exporters_that_are_not_done_in_time() {
    let healthy = Fake::new(|_, _| delivered());
    let dead = Fake::new(|_, _| retry());
    let mut world = World::new();
    world.start("healthy", &healthy, batches_of(10)).await;
    world.start("dead", &dead, batches_of(10)).await;
    world.spans(0..30).await;
    let unfinished = world.delivery.drain(Instant::now() + 300 * SECOND).await;
    assert_eq!(unfinished, ["dead"]);
    assert_eq!(world.started.elapsed().as_secs(), 300);
    assert_eq!(
        (
            world.traces("healthy").delivered,
            world.traces("dead").queued
        ),
        (30, 30)
    );
}

#[tokio::test(start_paused = true)]
async fn dead_task_is_not_reported_as_running() {
    /// Takes no notice of the invariant that waiting events can be taken.
    struct Broken;
    impl Cursor for Broken {
        fn exporter_id(&self) -> &str {
            "a"
        }
        fn waiting(&self) -> PerSignal<Waiting> {
            panic!("a bug in the store");
        }
        async fn grown(&self) {}
        async fn take(
            &self,
            _: Signal,
            _: TakeLimits<'_>,
        ) -> Result<Vec<crate::plugin::guest::BatchItem>, CursorError> {
            Ok(Vec::new())
        }
        async fn read(
            &self,
            _: Signal,
            _: &[u64],
        ) -> Result<Vec<crate::plugin::guest::BatchItem>, CursorError> {
            Ok(Vec::new())
        }
        async fn settle(&self, _: Settlement) -> Result<(), CursorError> {
            Ok(())
        }
        async fn release(
            &self,
            _: Signal,
            _: Vec<crate::deliver::source::Tokens>,
        ) -> Result<(), CursorError> {
            Ok(())
        }
    }
    let mut world = World::new();
    world.delivery.start(
        Fake::new(|_, _| delivered()),
        Broken,
        batches_of(1),
        Box::new(AsSent),
    );
    world.until(SECOND).await;
    assert!(matches!(world.state("a"), State::Failed { .. }));
    world.delivery.stop().await;
    assert!(matches!(world.state("a"), State::Failed { .. }));
}

#[tokio::test(start_paused = true)]
async fn forgotten_cursor_ends_its_task() {
    let guest = Fake::new(|_, _| delivered_after(SECOND));
    let mut world = World::new();
    world.start("a", &guest, batches_of(10)).await;
    world.spans(0..30).await;
    world.until(SECOND / 2).await;
    world.queue.forget("a").await.expect("known");
    world.until(10 * SECOND).await;
    assert_eq!(world.state("a"), State::Stopped);
    assert_eq!(guest.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn phases_that_the_component_does_not_want_never_reach_it() {
    let guest = Fake::new(|_, _| delivered());
    let mut world = World::new();
    let phases = SpanPhases {
        started: false,
        updated: false,
        ended: true,
    };
    let route = Route::new(SignalSet::ALL, None, phases);
    let options = CursorOptions {
        route,
        start: StartAt::Head,
        on_full: OnFull::Refuse,
        max_lag_bytes: None,
    };
    let cursor = world.queue.open("a", options).await.expect("opens");
    world
        .delivery
        .start(Arc::clone(&guest), cursor, batches_of(10), Box::new(AsSent));
    world
        .append(crate::event::EventKind::SpanStarted, 0..10)
        .await;
    world
        .append(crate::event::EventKind::SpanEnded, 10..20)
        .await;
    world.drain().await;
    assert_eq!(guest.stored_ids(), (10..20).collect::<Vec<_>>());
    let account = world.traces("a");
    assert_eq!(
        (account.received, account.filtered, account.delivered),
        (20, 10, 10)
    );
}

#[tokio::test(start_paused = true)]
async fn work_that_comes_after_an_hour_of_rest_has_not_been_kept_waiting() {
    let guest = Fake::new(|_, _| delivered_after(4 * SECOND));
    let mut world = World::new();
    world.start("a", &guest, batches_of(10)).await;
    world.until(3600 * SECOND).await;
    world.spans(0..10).await;
    world.until(3603 * SECOND).await;
    let status = world.delivery.statuses()["a"].clone();
    assert!(status.has_work && !status.is_stuck(5 * SECOND, Instant::now()));
    world.drain().await;
}

#[tokio::test(start_paused = true)]
async fn queue_that_hangs_is_seen_as_no_progress() {
    /// Never gives what it says to have.
    struct Hanging;
    impl Cursor for Hanging {
        fn exporter_id(&self) -> &str {
            "a"
        }
        fn waiting(&self) -> PerSignal<Waiting> {
            let mut waiting = PerSignal::default();
            *waiting.get_mut(Signal::Traces) = Waiting {
                items: 1_000,
                bytes: 1_000,
            };
            waiting
        }
        async fn grown(&self) {
            pending().await
        }
        async fn take(
            &self,
            _: Signal,
            _: TakeLimits<'_>,
        ) -> Result<Vec<crate::plugin::guest::BatchItem>, CursorError> {
            pending().await
        }
        async fn read(
            &self,
            _: Signal,
            _: &[u64],
        ) -> Result<Vec<crate::plugin::guest::BatchItem>, CursorError> {
            pending().await
        }
        async fn settle(&self, _: Settlement) -> Result<(), CursorError> {
            pending().await
        }
        async fn release(
            &self,
            _: Signal,
            _: Vec<crate::deliver::source::Tokens>,
        ) -> Result<(), CursorError> {
            pending().await
        }
    }
    let guest = Fake::new(|_, _| delivered());
    let mut world = World::new();
    world.delivery.start(
        Arc::clone(&guest),
        Hanging,
        batches_of(10),
        Box::new(AsSent),
    );
    let seen = world.delivery.watch();
    world.until(4 * SECOND).await;
    assert!(!seen.now()["a"].is_stuck(5 * SECOND, Instant::now()));
    world.until(6 * SECOND).await;
    assert!(seen.now()["a"].is_stuck(5 * SECOND, Instant::now()));
}
