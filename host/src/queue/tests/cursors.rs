//! Cursors that come, change and go.

use super::*;

pub(crate) async fn phases_that_are_not_wanted_are_counted_and_never_given<L: Lab>() {
    let lab = L::of(1 << 20);
    let queue = lab.queue();
    let route = Route::new(SignalSet::NONE.with(Signal::Traces), None, ENDED_ONLY);
    let cursor = queue
        .open("a", CursorOptions { route, ..options() })
        .await
        .expect("opens");
    let kinds = [
        EventKind::SpanStarted,
        EventKind::Log,
        EventKind::SpanEnded,
        EventKind::SpanUpdated,
    ];
    let group = kinds
        .into_iter()
        .zip(0..)
        .map(|(kind, id)| event(kind, id, 10))
        .collect();
    queue.append(group).await.expect("fits");
    assert_eq!(queue.report().events, 1, "what nobody is owed is not kept");
    assert_eq!(take_ids(&cursor, Signal::Traces, ALL).await, [2]);
    let account = account(queue, "a", Signal::Traces);
    assert_eq!(
        (account.received, account.filtered, account.queued),
        (3, 2, 1)
    );
    assert_eq!(
        queue.report().cursors["a"].accounts.len(),
        1,
        "signals that it lacks do not appear"
    );
}

pub(crate) async fn cursor_that_is_opened_again_goes_on_and_its_old_handle_is_refused<L: Lab>() {
    let lab = L::of(1 << 20);
    let queue = lab.queue();
    let old = queue.open("a", options()).await.expect("opens");
    queue.append(spans(0..4)).await.expect("fits");
    let items = old
        .take(
            Signal::Traces,
            TakeLimits {
                max_items: 3,
                ..ALL
            },
        )
        .await
        .expect("current");
    settle_all(&old, &items[..1], Fate::Delivered)
        .await
        .expect("taken");
    let new = queue.open("a", dropping()).await.expect("opens");
    assert!(matches!(
        settle_all(&old, &items[1..], Fate::Delivered).await,
        Err(CursorError::Superseded { .. })
    ));
    assert_eq!(take_ids(&new, Signal::Traces, ALL).await, [1, 2, 3]);
    assert_eq!(account(queue, "a", Signal::Traces).received, 4);
}

pub(crate) async fn new_cursor_starts_at_the_head_or_at_the_oldest_kept<L: Lab>() {
    let lab = L::of(1 << 20);
    let queue = lab.queue();
    let first = queue.open("first", options()).await.expect("opens");
    queue.append(spans(0..3)).await.expect("fits");
    let items = first
        .take(
            Signal::Traces,
            TakeLimits {
                max_items: 1,
                ..ALL
            },
        )
        .await
        .expect("current");
    settle_all(&first, &items, Fate::Delivered)
        .await
        .expect("taken");
    let head = queue.open("head", options()).await.expect("opens");
    let oldest = queue
        .open(
            "oldest",
            CursorOptions {
                start: StartAt::Oldest,
                ..options()
            },
        )
        .await
        .expect("opens");
    queue.append(spans(3..4)).await.expect("fits");
    assert_eq!(take_ids(&head, Signal::Traces, ALL).await, [3]);
    assert_eq!(take_ids(&oldest, Signal::Traces, ALL).await, [1, 2, 3]);
}

pub(crate) async fn signal_that_is_taken_away_is_dropped_by_name_and_counted<L: Lab>() {
    let lab = L::of(1 << 20);
    let queue = lab.queue();
    queue.open("a", options()).await.expect("opens");
    queue
        .append(vec![
            event(EventKind::Log, 1, 9),
            event(EventKind::SpanEnded, 2, 9),
        ])
        .await
        .expect("fits");
    let route = Route::new(
        SignalSet::ALL,
        Some(SignalSet::NONE.with(Signal::Traces)),
        SpanPhases::ALL,
    );
    let cursor = queue
        .open("a", CursorOptions { route, ..options() })
        .await
        .expect("opens");
    assert_eq!(
        account(queue, "a", Signal::Logs)
            .dropped
            .by(DropReason::SignalRemoved),
        1
    );
    assert_eq!(queue.report().events, 1);
    assert_eq!(take_ids(&cursor, Signal::Traces, ALL).await, [2]);
}

pub(crate) async fn forgotten_exporter_lets_go_of_the_log<L: Lab>() {
    let lab = L::of(1 << 20);
    let queue = lab.queue();
    let cursor = queue.open("a", options()).await.expect("opens");
    queue.append(spans(0..3)).await.expect("fits");
    cursor
        .take(
            Signal::Traces,
            TakeLimits {
                max_items: 1,
                ..ALL
            },
        )
        .await
        .expect("current");
    let accounts = queue.forget("a").await.expect("known");
    assert_eq!(
        accounts[&Signal::Traces].dropped.by(DropReason::Forgotten),
        3
    );
    assert!(accounts[&Signal::Traces].is_conserved());
    assert_eq!(queue.report().events, 0);
    assert!(matches!(
        cursor.take(Signal::Traces, ALL).await,
        Err(CursorError::Superseded { .. })
    ));
    assert!(matches!(
        queue.forget("a").await,
        Err(QueueError::UnknownExporter { .. })
    ));
}

pub(crate) async fn cursor_hears_of_new_events_that_it_is_owed<L: Lab>() {
    let lab = L::of(1 << 20);
    let queue = lab.queue();
    let route = Route::new(SignalSet::NONE.with(Signal::Logs), None, SpanPhases::ALL);
    let cursor = queue
        .open("a", CursorOptions { route, ..options() })
        .await
        .expect("opens");
    queue.append(spans(0..1)).await.expect("fits");
    assert_eq!(cursor.waiting(), PerSignal::default());
    queue
        .append(vec![event(EventKind::Log, 7, 5)])
        .await
        .expect("fits");
    cursor.grown().await;
    assert_eq!(
        cursor.waiting().get(Signal::Logs),
        &Waiting { items: 1, bytes: 5 }
    );
}

pub(crate) async fn closed_queue_refuses_and_its_cursors_go_on<L: Lab>() {
    let lab = L::of(1 << 20);
    let queue = lab.queue();
    let cursor = queue.open("a", options()).await.expect("opens");
    queue.append(spans(0..1)).await.expect("fits");
    queue.close();
    assert_eq!(queue.append(spans(1..2)).await, Err(QueueError::Closed));
    let items = cursor.take(Signal::Traces, ALL).await.expect("current");
    settle_all(&cursor, &items, Fate::Delivered)
        .await
        .expect("taken");
}
