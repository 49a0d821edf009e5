//! Whole traces: they wait for their roots in the queue, go parents first, and late spans come with their ancestors.

use std::sync::Mutex;

use super::fake::*;
use super::*;
use crate::config::component::Grouping;
use crate::event::EventKind;
use crate::plugin::outcome::{ItemResult, SendOutcome};

const WAIT: Duration = Duration::from_secs(30);

fn whole(max_items: usize) -> ExporterSettings {
    ExporterSettings {
        grouping: Grouping::WholeTrace {
            max_wait: WAIT,
            max_spans: 1_000,
        },
        ..batches_of(max_items)
    }
}

/// A span of a trace; its id is the event's.
fn span(trace: u64, id: u64, parent: Option<u64>) -> (u64, String) {
    let parent = parent.map_or_else(String::new, |parent| {
        format!(r#""parentSpanId":"{parent:016x}","#)
    });
    let text = format!(
        r#"{{"id":"{id:016x}","traceId":"{trace:032x}",{parent}"name":"n{id}","type":"generic","startTime":"2026-03-04T05:06:07.000Z"}}"#
    );
    (id, text)
}

async fn send(world: &World, spans: &[(u64, String)]) {
    let texts = spans.iter().map(|(id, text)| (*id, text.as_str()));
    world.append_texts(EventKind::SpanEnded, texts).await;
}

#[tokio::test(start_paused = true)]
async fn spans_wait_for_their_root_and_go_with_it_parents_first() {
    let guest = Fake::new(|_, _| delivered());
    let mut world = World::new();
    world.start("a", &guest, whole(100)).await;
    send(&world, &[span(7, 3, Some(2)), span(7, 4, Some(2))]).await;
    world.until(10 * SECOND).await;
    assert!(guest.calls().is_empty());
    assert_eq!(world.traces("a").queued, 2);
    let status = world.delivery.statuses()["a"].clone();
    assert!(!status.is_idle && !status.is_stuck(5 * SECOND, Instant::now()));
    send(&world, &[span(7, 2, Some(1)), span(7, 1, None)]).await;
    world.until(11 * SECOND).await;
    assert_eq!(guest.calls().len(), 1);
    assert_eq!(guest.calls()[0].ids, [1, 2, 3, 4]);
    assert_eq!(world.traces("a").delivered, 4);
}

#[tokio::test(start_paused = true)]
async fn late_span_goes_soon_with_the_chain_of_its_ancestors() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&seen);
    let guest = Fake::new(move |_, batch| {
        let names = batch.ancestors.iter().map(|span| span.name.to_string());
        told.lock()
            .expect("no panics in here")
            .push(names.collect::<Vec<_>>());
        delivered()
    });
    let mut world = World::new();
    world.start("a", &guest, whole(100)).await;
    send(&world, &[span(7, 2, Some(1)), span(7, 1, None)]).await;
    world.until(10 * SECOND).await;
    send(&world, &[span(7, 3, Some(2))]).await;
    world.until(11 * SECOND).await;
    assert_eq!(guest.calls().len(), 2);
    let seen = seen.lock().expect("no panics in here").clone();
    assert_eq!(seen, [vec![], vec!["n1".to_owned(), "n2".to_owned()]]);
}

#[tokio::test(start_paused = true)]
async fn trace_without_a_root_goes_after_the_wait() {
    let guest = Fake::new(|_, _| delivered());
    let mut world = World::new();
    world.start("a", &guest, whole(100)).await;
    send(&world, &[span(7, 3, Some(2))]).await;
    world.until(WAIT - SECOND).await;
    assert!(guest.calls().is_empty());
    world.until(WAIT + SECOND).await;
    assert_eq!(world.traces("a").delivered, 1);
}

#[tokio::test(start_paused = true)]
async fn other_signals_do_not_wait_for_traces() {
    let guest = Fake::new(|_, _| delivered());
    let mut world = World::new();
    world.start("a", &guest, whole(100)).await;
    send(&world, &[span(7, 3, Some(2))]).await;
    world.append(EventKind::Log, 10..15).await;
    world.until(SECOND).await;
    assert_eq!(world.account("a", Signal::Logs).delivered, 5);
    assert_eq!(world.traces("a").queued, 1);
}

#[tokio::test(start_paused = true)]
async fn drain_sends_unfinished_traces_and_stop_leaves_them() {
    let guest = Fake::new(|_, _| delivered());
    let mut world = World::new();
    world.start("a", &guest, whole(100)).await;
    send(&world, &[span(7, 3, Some(2)), span(8, 4, Some(2))]).await;
    world.until(SECOND).await;
    world.delivery.stop().await;
    assert_eq!(world.traces("a").queued, 2);
    assert!(guest.calls().is_empty());
    world.start("a", &guest, whole(100)).await;
    let before = Instant::now();
    world.drain().await;
    assert_eq!(before.elapsed().as_secs(), 0);
    assert_eq!(guest.stored_ids(), [3, 4]);
}

#[tokio::test(start_paused = true)]
async fn trace_that_failed_is_tried_again_with_its_parents_first() {
    let guest = Fake::new(|number, batch| match number {
        0 => retry(),
        1 => answer(SendOutcome::PerItem(
            (0..batch.items.len())
                .map(|position| match position {
                    1 | 2 => ItemResult::Retry("503".into()),
                    _ => ItemResult::Delivered,
                })
                .collect(),
        )),
        2 => answer(SendOutcome::TooLarge),
        _ => delivered(),
    });
    let mut world = World::new();
    world.start("a", &guest, whole(100)).await;
    let spans = [
        span(7, 4, Some(3)),
        span(7, 3, Some(2)),
        span(7, 2, Some(1)),
        span(7, 1, None),
    ];
    send(&world, &spans).await;
    world.drain().await;
    let ids: Vec<_> = guest.calls().into_iter().map(|call| call.ids).collect();
    let expected = [
        vec![1, 2, 3, 4],
        vec![1, 2, 3, 4],
        vec![2, 3],
        vec![2],
        vec![3],
    ];
    assert_eq!(ids, expected);
    assert!(guest.stored().values().all(|times| *times == 1));
}

#[tokio::test(start_paused = true)]
async fn backend_that_is_down_leaves_traces_in_the_queue_and_gets_all_of_them_later() {
    let guest = Fake::new(|number, _| if number < 20 { retry() } else { delivered() });
    let mut world = World::new();
    world.start("a", &guest, whole(10)).await;
    for trace in 1..200 {
        let (root, child) = (trace * 1_000, trace * 1_000 + 1);
        send(
            &world,
            &[span(trace, child, Some(root)), span(trace, root, None)],
        )
        .await;
    }
    world.until(20 * SECOND).await;
    let status = world.delivery.statuses()["a"].clone();
    assert!(status.is_stuck(5 * SECOND, Instant::now()), "{status:?}");
    world.drain().await;
    assert_eq!(world.traces("a").delivered, 398);
    assert!(guest.stored().values().all(|times| *times == 1));
    let sizes = guest.calls().into_iter().map(|call| call.ids.len());
    assert!(sizes.into_iter().all(|size| size <= 10 && size % 2 == 0));
}

#[tokio::test(start_paused = true)]
async fn wind_down_sends_whole_traces_and_leaves_the_others_queued() {
    let guest = Fake::new(|_, _| delivered());
    let mut world = World::new();
    let mut settings = whole(100);
    settings.batch.max_age = 3600 * SECOND;
    world.start("a", &guest, settings).await;
    let spans = [span(7, 2, Some(1)), span(7, 1, None), span(8, 4, Some(3))];
    send(&world, &spans).await;
    let unfinished = world.delivery.wind_down(Instant::now() + SECOND).await;
    assert!(unfinished.is_empty(), "{unfinished:?}");
    assert_eq!(world.started.elapsed().as_secs(), 0);
    assert_eq!(guest.stored_ids(), [1, 2]);
    world.delivery.stop().await;
    assert_eq!(world.traces("a").queued, 1);
    world.start("a", &guest, whole(100)).await;
    send(&world, &[span(8, 3, None)]).await;
    world.until(SECOND).await;
    assert_eq!(guest.calls()[1].ids, [3, 4]);
}
