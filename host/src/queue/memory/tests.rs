//! What the queue in memory promises beside the [shared promises](crate::queue::tests).

use super::*;
use crate::deliver::dead_letter::LetterBounds;
use crate::deliver::source::Fate;
use crate::event::EventKind;
use crate::event::signal_set::SignalSet;
use crate::queue::accounts::DropReason;
use crate::queue::log;
use crate::queue::tests::{
    ALL, ENDED_ONLY, Lab, account, dropping, event, options, promises, settle_all, spans,
};
use crate::route::Route;

/// Bounds of dead letters that do not grow old.
fn letters(max_bytes: u64) -> LetterBounds {
    LetterBounds {
        max_bytes,
        max_age: Duration::MAX,
    }
}

struct MemoryLab(MemoryQueue);

impl Lab for MemoryLab {
    type Queue = MemoryQueue;

    fn of(capacity_bytes: u64) -> Self {
        Self(queue_of(capacity_bytes))
    }

    fn queue(&self) -> &MemoryQueue {
        &self.0
    }

    async fn reopen(&mut self) -> bool {
        false
    }
}

promises!(MemoryLab);

fn queue_of(capacity_bytes: u64) -> MemoryQueue {
    let settings = MemoryQueueSettings {
        capacity_bytes,
        ..MemoryQueueSettings::default()
    };
    MemoryQueue::new(settings, Arc::new(MemoryDeadLetters::new(letters(1 << 20))))
}

#[tokio::test]
async fn dead_letters_keep_event_and_reason_and_those_pushed_out_are_counted_as_dropped() {
    let settings = MemoryQueueSettings::default();
    let queue = MemoryQueue::new(
        settings,
        Arc::new(MemoryDeadLetters::new(letters(2 * (256 + 100 + 3)))),
    );
    let cursor = queue.open("a", options()).await.expect("opens");
    queue.append(spans(0..3)).await.expect("fits");
    let items = cursor.take(Signal::Traces, ALL).await.expect("current");
    settle_all(
        &cursor,
        &items,
        Fate::DeadLettered {
            reason: "bad".into(),
            attempts: 2,
        },
    )
    .await
    .expect("taken");
    let letters = queue.dead_letters().list();
    assert_eq!(
        letters
            .iter()
            .map(|letter| letter.received_at)
            .collect::<Vec<_>>(),
        [1, 2]
    );
    assert_eq!((&*letters[0].reason, letters[0].attempts), ("bad", 2));
    let account = account(&queue, "a", Signal::Traces);
    assert_eq!(
        (
            account.dead_lettered,
            account.dropped.by(DropReason::DeadLettersFull)
        ),
        (2, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn repeats_are_dropped_for_an_hour_also_within_a_group() {
    let queue = queue_of(1 << 20);
    queue.open("a", options()).await.expect("opens");
    let mut group = spans(0..2);
    group.extend(spans(0..1));
    assert_eq!(
        queue.append(group).await,
        Ok(Appended {
            accepted: 2,
            repeated: 1
        })
    );
    tokio::time::advance(Duration::from_secs(3599)).await;
    assert_eq!(
        queue.append(spans(0..3)).await,
        Ok(Appended {
            accepted: 1,
            repeated: 2
        })
    );
    assert_eq!(queue.report().repeated.get(Signal::Traces), &3);
    tokio::time::advance(Duration::from_secs(7200)).await;
    assert_eq!(
        queue.append(spans(0..3)).await,
        Ok(Appended {
            accepted: 3,
            repeated: 0
        })
    );
}

#[tokio::test]
async fn outages_with_drops_leave_no_ranges_behind() {
    let queue = queue_of(6 * (100 + log::EVENT_OVERHEAD_BYTES));
    let route = Route::new(SignalSet::ALL, None, ENDED_ONLY);
    queue
        .open(
            "dead",
            CursorOptions {
                route,
                ..dropping()
            },
        )
        .await
        .expect("opens");
    let other = queue.open("other", options()).await.expect("opens");
    for id in 0..5_000 {
        let kind = if id % 2 == 0 {
            EventKind::SpanStarted
        } else {
            EventKind::SpanEnded
        };
        queue
            .append(vec![event(kind, id, 100)])
            .await
            .expect("the dead one drops");
        let items = other.take(Signal::Traces, ALL).await.expect("current");
        settle_all(&other, &items, Fate::Delivered)
            .await
            .expect("taken");
    }
    let state = queue.shared.lock();
    let ranges = state.core.cursors["dead"].state.range_count();
    assert!(ranges < 10, "{ranges} ranges");
}

#[tokio::test(start_paused = true)]
async fn cursor_that_nobody_uses_is_forgotten_in_time_and_goes_on_if_it_is_back_before() {
    let settings = MemoryQueueSettings {
        retire_after: Duration::from_secs(60),
        ..MemoryQueueSettings::default()
    };
    let queue = MemoryQueue::new(settings, Arc::new(MemoryDeadLetters::new(letters(1 << 20))));
    for exporter in ["gone", "back", "stays"] {
        queue.open(exporter, options()).await.expect("opens");
    }
    queue.append(spans(0..3)).await.expect("fits");
    queue.leave("gone");
    queue.leave("back");
    queue.leave("nobody");
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(queue.report().cursors.len(), 3, "not yet");
    queue.open("back", options()).await.expect("opens");
    tokio::time::advance(Duration::from_secs(1)).await;
    queue.append(spans(3..4)).await.expect("fits");
    let report = queue.report();
    let left: Vec<_> = report.cursors.keys().collect();
    assert_eq!(left, ["back", "stays"]);
    assert_eq!(account(&queue, "back", Signal::Traces).queued, 4);
    assert_eq!(report.events, 4);
    // Whoever comes after that begins anew.
    queue.open("gone", options()).await.expect("opens");
    assert_eq!(account(&queue, "gone", Signal::Traces).received, 0);
}
