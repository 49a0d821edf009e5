//! What does not fit.

use super::*;

pub(crate) async fn full_queue_refuses_the_whole_group_and_remembers_nothing_of_it<L: Lab>() {
    let lab = L::of(4 * (100 + log::EVENT_OVERHEAD_BYTES));
    let queue = lab.queue();
    let cursor = queue.open("a", options()).await.expect("opens");
    queue.append(spans(0..3)).await.expect("fits");
    assert!(matches!(
        queue.append(spans(3..5)).await,
        Err(QueueError::Full { .. })
    ));
    assert!(matches!(
        queue.append(spans(3..9)).await,
        Err(QueueError::GroupTooLarge { .. })
    ));
    assert_eq!(queue.report().refused_groups, 2);
    assert_eq!(
        queue.append(spans(0..3)).await,
        Ok(Appended {
            accepted: 0,
            repeated: 3
        }),
        "what is in is in"
    );
    let items = cursor.take(Signal::Traces, ALL).await.expect("current");
    settle_all(&cursor, &items, Fate::Delivered)
        .await
        .expect("taken");
    assert_eq!(
        queue.append(spans(3..5)).await,
        Ok(Appended {
            accepted: 2,
            repeated: 0
        })
    );
    assert_eq!(account(queue, "a", Signal::Traces).received, 5);
}

pub(crate) async fn exporter_that_may_drop_loses_its_oldest_and_nobody_is_refused<L: Lab>() {
    let lab = L::of(4 * (100 + log::EVENT_OVERHEAD_BYTES));
    let queue = lab.queue();
    let healthy = queue.open("healthy", options()).await.expect("opens");
    let dead = queue.open("dead", dropping()).await.expect("opens");
    for start in 0..10 {
        queue
            .append(spans(start * 3..start * 3 + 3))
            .await
            .expect("the dead one's backlog makes room");
        let items = healthy.take(Signal::Traces, ALL).await.expect("current");
        settle_all(&healthy, &items, Fate::Delivered)
            .await
            .expect("taken");
    }
    assert_eq!(account(queue, "healthy", Signal::Traces).delivered, 30);
    let account = account(queue, "dead", Signal::Traces);
    assert_eq!((account.received, account.queued), (30, 4));
    assert_eq!(account.dropped.by(DropReason::QueueFull), 26);
    assert_eq!(take_ids(&dead, Signal::Traces, ALL).await, [26, 27, 28, 29]);
}

pub(crate) async fn drops_that_would_free_nothing_are_not_made<L: Lab>() {
    let lab = L::of(4 * (100 + log::EVENT_OVERHEAD_BYTES));
    let queue = lab.queue();
    queue
        .open("slow but refusing", options())
        .await
        .expect("opens");
    queue.open("dropping", dropping()).await.expect("opens");
    queue.append(spans(0..4)).await.expect("fits");
    assert!(matches!(
        queue.append(spans(4..5)).await,
        Err(QueueError::Full { .. })
    ));
    assert_eq!(
        account(queue, "dropping", Signal::Traces).dropped.total(),
        0
    );
}

pub(crate) async fn lag_bound_drops_or_refuses_by_the_exporters_policy<L: Lab>() {
    let lab = L::of(1 << 20);
    let queue = lab.queue();
    let bounded = |on_full| CursorOptions {
        on_full,
        max_lag_bytes: Some(300),
        ..options()
    };
    queue
        .open("drops", bounded(OnFull::DropOldest))
        .await
        .expect("opens");
    for id in 0..5 {
        queue
            .append(spans(id..id + 1))
            .await
            .expect("only the lag is bounded");
    }
    let account = account(queue, "drops", Signal::Traces);
    assert_eq!(
        (account.queued, account.dropped.by(DropReason::MaxLag)),
        (3, 2)
    );
    queue
        .open("refuses", bounded(OnFull::Refuse))
        .await
        .expect("opens");
    queue.append(spans(10..13)).await.expect("up to the bound");
    assert!(matches!(
        queue.append(spans(13..14)).await,
        Err(QueueError::Full {
            capacity_bytes: 300,
            ..
        })
    ));
}
