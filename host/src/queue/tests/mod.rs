//! What both queues promise, one by one, and all together against a naive model. Each queue's own tests run them on a
//! [`Lab`].

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::accounts::{Account, DropReason};
use super::log;
use super::{Appended, CursorOptions, OnFull, Queue, QueueError, StartAt};
use crate::deliver::source::{Cursor, CursorError, Fate, Settlement, TakeLimits, Tokens, Waiting};
use crate::event::per_signal::PerSignal;
use crate::event::signal_set::SignalSet;
use crate::event::span_phases::SpanPhases;
use crate::event::{Event, EventKind, Signal};
use crate::plugin::guest::BatchItem;
use crate::route::Route;

pub(crate) mod model;

/// A queue under test.
pub(crate) trait Lab {
    type Queue: Queue;

    /// A new one that holds so many bytes.
    fn of(capacity_bytes: u64) -> Self;

    fn queue(&self) -> &Self::Queue;

    /// Closes the queue and opens it again; false if it does not outlive that.
    fn reopen(&mut self) -> impl Future<Output = bool>;
}

/// Runs every promise on a lab.
macro_rules! promises {
    ($lab:ty) => {
        #[tokio::test]
        async fn one_event_is_kept_once_and_given_to_every_cursor_until_all_have_settled_it() {
            $crate::queue::tests::one_event_is_kept_once_and_given_to_every_cursor_until_all_have_settled_it::<$lab>().await;
        }

        #[tokio::test]
        async fn take_respects_items_bytes_and_busy_lanes_in_order() {
            $crate::queue::tests::take_respects_items_bytes_and_busy_lanes_in_order::<$lab>().await;
        }

        #[tokio::test(start_paused = true)]
        async fn released_events_come_again_at_their_old_place() {
            $crate::queue::tests::released_events_come_again_at_their_old_place::<$lab>().await;
        }

        #[tokio::test]
        async fn taken_events_are_given_once_more_and_no_others() {
            $crate::queue::tests::taken_events_are_given_once_more_and_no_others::<$lab>().await;
        }

        #[tokio::test]
        async fn event_cannot_be_settled_twice_nor_before_it_is_taken() {
            $crate::queue::tests::event_cannot_be_settled_twice_nor_before_it_is_taken::<$lab>().await;
        }

        #[tokio::test]
        async fn full_queue_refuses_the_whole_group_and_remembers_nothing_of_it() {
            $crate::queue::tests::full_queue_refuses_the_whole_group_and_remembers_nothing_of_it::<$lab>().await;
        }

        #[tokio::test]
        async fn exporter_that_may_drop_loses_its_oldest_and_nobody_is_refused() {
            $crate::queue::tests::exporter_that_may_drop_loses_its_oldest_and_nobody_is_refused::<$lab>().await;
        }

        #[tokio::test]
        async fn drops_that_would_free_nothing_are_not_made() {
            $crate::queue::tests::drops_that_would_free_nothing_are_not_made::<$lab>().await;
        }

        #[tokio::test]
        async fn lag_bound_drops_or_refuses_by_the_exporters_policy() {
            $crate::queue::tests::lag_bound_drops_or_refuses_by_the_exporters_policy::<$lab>().await;
        }

        #[tokio::test]
        async fn phases_that_are_not_wanted_are_counted_and_never_given() {
            $crate::queue::tests::phases_that_are_not_wanted_are_counted_and_never_given::<$lab>().await;
        }

        #[tokio::test]
        async fn cursor_that_is_opened_again_goes_on_and_its_old_handle_is_refused() {
            $crate::queue::tests::cursor_that_is_opened_again_goes_on_and_its_old_handle_is_refused::<$lab>().await;
        }

        #[tokio::test]
        async fn new_cursor_starts_at_the_head_or_at_the_oldest_kept() {
            $crate::queue::tests::new_cursor_starts_at_the_head_or_at_the_oldest_kept::<$lab>().await;
        }

        #[tokio::test]
        async fn signal_that_is_taken_away_is_dropped_by_name_and_counted() {
            $crate::queue::tests::signal_that_is_taken_away_is_dropped_by_name_and_counted::<$lab>().await;
        }

        #[tokio::test]
        async fn forgotten_exporter_lets_go_of_the_log() {
            $crate::queue::tests::forgotten_exporter_lets_go_of_the_log::<$lab>().await;
        }

        #[tokio::test]
        async fn cursor_hears_of_new_events_that_it_is_owed() {
            $crate::queue::tests::cursor_hears_of_new_events_that_it_is_owed::<$lab>().await;
        }

        #[tokio::test]
        async fn closed_queue_refuses_and_its_cursors_go_on() {
            $crate::queue::tests::closed_queue_refuses_and_its_cursors_go_on::<$lab>().await;
        }

        #[test]
        fn log_and_cursors_behave_as_the_naive_model() {
            $crate::queue::tests::model::log_and_cursors_behave_as_the_naive_model::<$lab>();
        }
    };
}
pub(crate) use promises;

pub(crate) const ENDED_ONLY: SpanPhases = SpanPhases {
    started: false,
    updated: false,
    ended: true,
};
pub(crate) const ALL: TakeLimits<'static> = TakeLimits {
    max_items: usize::MAX,
    max_bytes: usize::MAX,
    busy_lanes: None,
};

pub(crate) fn event(kind: EventKind, id: u64, size: usize) -> Event {
    Event {
        kind,
        payload: Bytes::from(vec![b' '; size]),
        received_at: id,
        source: Arc::default(),
        repeat_key: u128::from(id),
        lane: id % 3,
    }
}

pub(crate) fn spans(ids: std::ops::Range<u64>) -> Vec<Event> {
    ids.map(|id| event(EventKind::SpanEnded, id, 100)).collect()
}

pub(crate) fn options() -> CursorOptions {
    CursorOptions {
        route: Route::new(SignalSet::ALL, None, SpanPhases::ALL),
        start: StartAt::Head,
        on_full: OnFull::Refuse,
        max_lag_bytes: None,
    }
}

pub(crate) fn dropping() -> CursorOptions {
    CursorOptions {
        on_full: OnFull::DropOldest,
        ..options()
    }
}

pub(crate) async fn take_ids(
    cursor: &impl Cursor,
    signal: Signal,
    limits: TakeLimits<'_>,
) -> Vec<u64> {
    let items = cursor
        .take(signal, limits)
        .await
        .expect("the cursor is current");
    items.iter().map(|item| item.event.received_at).collect()
}

pub(crate) async fn settle_all(
    cursor: &impl Cursor,
    items: &[BatchItem],
    fate: Fate,
) -> Result<(), CursorError> {
    let parts = Tokens::runs(items.iter().map(|item| item.token))
        .into_iter()
        .map(|run| (run, fate.clone()))
        .collect();
    cursor
        .settle(Settlement {
            signal: items[0].event.signal(),
            parts,
        })
        .await
}

pub(crate) fn account(queue: &impl Queue, exporter: &str, signal: Signal) -> Account {
    let report = queue.report();
    for (id, cursor) in &report.cursors {
        for (signal, account) in &cursor.accounts {
            assert!(account.is_conserved(), "{id} {signal}: {account:?}");
        }
    }
    report.cursors[exporter].accounts[&signal]
}

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
