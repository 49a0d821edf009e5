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

mod bounds;
mod cursors;
mod giving;
pub(crate) mod model;

pub(crate) use bounds::*;
pub(crate) use cursors::*;
pub(crate) use giving::*;

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
