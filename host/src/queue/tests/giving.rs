//! What cursors give, and give again.

use super::*;

pub(crate) async fn one_event_is_kept_once_and_given_to_every_cursor_until_all_have_settled_it<
    L: Lab,
>() {
    let lab = L::of(1 << 20);
    let queue = lab.queue();
    let a = queue.open("a", options()).await.expect("opens");
    let b = queue.open("b", options()).await.expect("opens");
    assert_eq!(
        queue.append(spans(0..3)).await,
        Ok(Appended {
            accepted: 3,
            repeated: 0
        })
    );
    assert_eq!(
        queue.report().used_bytes,
        3 * (100 + log::EVENT_OVERHEAD_BYTES)
    );
    let of_a = a.take(Signal::Traces, ALL).await.expect("current");
    let of_b = b.take(Signal::Traces, ALL).await.expect("current");
    assert!(
        of_a.iter()
            .zip(&of_b)
            .all(|(a, b)| Arc::ptr_eq(&a.event, &b.event)),
        "shared, not copied"
    );
    settle_all(&a, &of_a, Fate::Delivered).await.expect("taken");
    assert_eq!(queue.report().events, 3, "b has not settled");
    settle_all(&b, &of_b[1..], Fate::Filtered)
        .await
        .expect("taken");
    assert_eq!(
        queue.report().events,
        1,
        "a straggler does not pin what came after it"
    );
    settle_all(&b, &of_b[..1], Fate::Delivered)
        .await
        .expect("taken");
    assert_eq!((queue.report().events, queue.report().used_bytes), (0, 0));
    let b = account(queue, "b", Signal::Traces);
    assert_eq!(
        (b.received, b.delivered, b.filtered, b.queued),
        (3, 1, 2, 0)
    );
}

pub(crate) async fn take_respects_items_bytes_and_busy_lanes_in_order<L: Lab>() {
    let lab = L::of(1 << 20);
    let queue = lab.queue();
    let cursor = queue.open("a", options()).await.expect("opens");
    queue.append(spans(0..9)).await.expect("fits");
    let busy = HashSet::from([1]);
    let limits = TakeLimits {
        max_items: 3,
        max_bytes: usize::MAX,
        busy_lanes: Some(&busy),
    };
    assert_eq!(take_ids(&cursor, Signal::Traces, limits).await, [0, 2, 3]);
    let limits = TakeLimits {
        max_items: 9,
        max_bytes: 250,
        busy_lanes: None,
    };
    assert_eq!(take_ids(&cursor, Signal::Traces, limits).await, [1, 4]);
    let limits = TakeLimits {
        max_items: 9,
        max_bytes: 1,
        busy_lanes: None,
    };
    assert_eq!(
        take_ids(&cursor, Signal::Traces, limits).await,
        [5],
        "one event above the limit goes alone"
    );
    assert_eq!(take_ids(&cursor, Signal::Traces, ALL).await, [6, 7, 8]);
    assert_eq!(take_ids(&cursor, Signal::Logs, ALL).await, [0_u64; 0]);
}

pub(crate) async fn released_events_come_again_at_their_old_place<L: Lab>() {
    let lab = L::of(1 << 20);
    let queue = lab.queue();
    let cursor = queue.open("a", options()).await.expect("opens");
    queue.append(spans(0..4)).await.expect("fits");
    let items = cursor.take(Signal::Traces, ALL).await.expect("current");
    cursor.grown().await;
    cursor
        .release(
            Signal::Traces,
            Tokens::runs([items[1].token, items[2].token]),
        )
        .await
        .expect("taken");
    tokio::time::timeout(Duration::from_secs(1), cursor.grown())
        .await
        .expect("it is told");
    queue.append(spans(4..5)).await.expect("fits");
    assert_eq!(take_ids(&cursor, Signal::Traces, ALL).await, [1, 2, 4]);
}

pub(crate) async fn taken_events_are_given_once_more_and_no_others<L: Lab>() {
    let lab = L::of(1 << 20);
    let cursor = lab.queue().open("a", options()).await.expect("opens");
    lab.queue().append(spans(0..6)).await.expect("fits");
    let limits = TakeLimits {
        max_items: 4,
        max_bytes: usize::MAX,
        busy_lanes: None,
    };
    let taken = cursor.take(Signal::Traces, limits).await.expect("takes");
    let tokens: Vec<u64> = taken.iter().map(|item| item.token).collect();
    let settled = Settlement {
        signal: Signal::Traces,
        parts: vec![(Tokens::runs([tokens[1]])[0], Fate::Delivered)],
    };
    cursor.settle(settled).await.expect("settles");
    let next = tokens[3] + 1;
    let asked = [tokens[0], tokens[1], tokens[3], next, u64::MAX];
    let again = cursor.read(Signal::Traces, &asked).await.expect("reads");
    let read: Vec<u64> = again.iter().map(|item| item.token).collect();
    assert_eq!(read, [tokens[0], tokens[3]]);
    assert_eq!(again[1].event.payload, taken[3].event.payload);
    let waiting = cursor.waiting().get(Signal::Traces).items;
    assert_eq!(waiting, 2, "nothing has moved");
    let logs = cursor.read(Signal::Logs, &asked).await.expect("reads");
    assert!(logs.is_empty(), "of another signal");
}

pub(crate) async fn event_cannot_be_settled_twice_nor_before_it_is_taken<L: Lab>() {
    let lab = L::of(1 << 20);
    let queue = lab.queue();
    let cursor = queue.open("a", options()).await.expect("opens");
    queue.append(spans(0..4)).await.expect("fits");
    let limits = TakeLimits {
        max_items: 2,
        ..ALL
    };
    let items = cursor.take(Signal::Traces, limits).await.expect("current");
    let (first, second) = (items[0].token, items[1].token);
    let before = queue.report();
    let settle = |parts: Vec<(u64, u64)>, signal| {
        let parts = parts
            .into_iter()
            .map(|(first, last)| (Tokens { first, last }, Fate::Delivered))
            .collect();
        cursor.settle(Settlement { signal, parts })
    };
    for (parts, signal) in [
        (vec![(first, second + 1)], Signal::Traces),
        (vec![(first, second), (second, second)], Signal::Traces),
        (vec![(second, first)], Signal::Traces),
        (vec![(first, second)], Signal::Logs),
        (vec![(first, u64::MAX)], Signal::Traces),
    ] {
        assert!(matches!(
            settle(parts, signal).await,
            Err(CursorError::NotTaken { .. })
        ));
        assert_eq!(queue.report(), before, "nothing was changed");
    }
    settle(vec![(first, second)], Signal::Traces)
        .await
        .expect("taken");
    assert!(settle(vec![(first, first)], Signal::Traces).await.is_err());
    assert_eq!(account(queue, "a", Signal::Traces).delivered, 2);
}
