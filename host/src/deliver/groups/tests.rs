use bytes::Bytes;

use super::*;
use crate::deliver::shaping::AsSent;
use crate::event::Event;

const WAIT: Duration = Duration::from_secs(30);
const AGE: Duration = Duration::from_secs(1);

fn item(token: u64, trace: &str, id: u64, parent: Option<u64>) -> BatchItem {
    let parent = parent.map_or_else(String::new, |parent| {
        format!(r#""parentSpanId":"{parent:016x}","#)
    });
    let payload = format!(
        r#"{{"id":"{id:016x}","traceId":"{trace}",{parent}"name":"n{id}","type":"generic","startTime":"2026-03-04T05:06:07.000Z"}}"#
    );
    of(token, payload)
}

fn of(token: u64, payload: String) -> BatchItem {
    let event = Arc::new(Event {
        kind: EventKind::SpanEnded,
        payload: Bytes::from(payload),
        received_at: token,
        source: Arc::default(),
        repeat_key: 0,
        lane: 0,
    });
    BatchItem { token, event }
}

fn add(groups: &mut Groups, items: &[BatchItem], now: Instant) {
    items.iter().for_each(|item| groups.add(item, false, now));
}

fn groups(max_items: usize, max_bytes: usize) -> Groups {
    let limits = BatchLimits {
        max_items,
        max_bytes,
        max_age: AGE,
    };
    Groups::new(WAIT, 1_000, limits)
}

#[tokio::test]
async fn trace_goes_soon_after_its_root_has_ended_with_parents_first() {
    let (mut groups, now) = (groups(100, 1 << 20), Instant::now());
    add(
        &mut groups,
        &[item(1, "aa", 4, Some(3)), item(2, "aa", 3, Some(2))],
        now,
    );
    assert_eq!(groups.due(false, now), Some(now + WAIT));
    let later = now + Duration::from_secs(5);
    add(&mut groups, &[item(3, "aa", 1, None)], later);
    assert_eq!(groups.due(false, later), Some(later + AGE));
    add(
        &mut groups,
        &[item(4, "aa", 2, Some(1)), item(5, "aa", 5, Some(1))],
        later,
    );
    let group = groups.take(false, &AsSent, later + AGE);
    assert_eq!(group.tokens, [3, 4, 5, 2, 1]);
    assert!(groups.is_empty() && groups.due(false, later).is_none());
    assert_eq!(
        (groups.spans, groups.bytes, groups.complete),
        (0, 0, (0, 0))
    );
}

#[tokio::test]
async fn unfinished_trace_goes_when_it_has_waited_long_enough() {
    let (mut groups, now) = (groups(100, 1 << 20), Instant::now());
    add(&mut groups, &[item(1, "aa", 2, Some(1))], now);
    add(&mut groups, &[item(2, "aa", 3, Some(1))], now + WAIT / 2);
    assert_eq!(groups.due(false, now + WAIT / 2), Some(now + WAIT));
    assert_eq!(groups.take(false, &AsSent, now + WAIT).tokens, [1, 2]);
}

#[tokio::test]
async fn complete_traces_share_a_batch_and_none_is_cut() {
    let (mut groups, now) = (groups(5, 1 << 20), Instant::now());
    add(&mut groups, &[item(1, "dd", 9, Some(8))], now - WAIT / 2);
    for (trace, first) in [("aa", 10), ("bb", 20), ("cc", 30)] {
        add(
            &mut groups,
            &[
                item(first, trace, 2, Some(1)),
                item(first + 1, trace, 1, None),
            ],
            now,
        );
    }
    assert_eq!(groups.due(false, now), Some(now), "there is a full batch");
    let group = groups.take(false, &AsSent, now);
    assert_eq!(group.tokens, [11, 10, 21, 20], "two whole ones fit");
    assert_eq!(groups.due(false, now), Some(now + AGE));
    assert_eq!(groups.take(false, &AsSent, now + AGE).tokens, [31, 30]);
    assert_eq!(groups.due(false, now), Some(now + WAIT / 2));
    assert_eq!(groups.due(true, now), Some(now), "nobody is to wait");
    assert_eq!(groups.take(true, &AsSent, now).tokens, [1]);
}

#[tokio::test]
async fn trace_with_as_many_spans_or_bytes_as_it_may_have_goes_at_once_and_unfinished() {
    let now = Instant::now();
    let size = item(1, "aa", 2, Some(1)).event.size_bytes();
    for (max_spans, max_bytes) in [(3, 1 << 20), (100, 3 * size)] {
        let mut groups = groups(3, 1 << 20);
        (groups.max_spans, groups.max_bytes) = (max_spans, max_bytes);
        let parts: Vec<_> = (2..=5).map(|id| item(id, "aa", id, Some(id - 1))).collect();
        add(&mut groups, &parts[..2], now);
        assert_eq!(groups.due(false, now), Some(now + WAIT));
        add(&mut groups, &parts[2..], now);
        assert_eq!(groups.due(false, now), Some(now));
        let group = groups.take(false, &AsSent, now);
        assert_eq!(group.tokens, [2, 3, 4], "as much of it as fits");
        let group = groups.take(false, &AsSent, now);
        assert_eq!(group.tokens, [5]);
        let ancestors = groups.ancestors(&parts[3..], &group.shape);
        let ids: Vec<_> = ancestors.iter().map(|span| &*span.name).collect();
        assert_eq!(ids, ["n2", "n3", "n4"]);
    }
}

#[tokio::test]
async fn trace_larger_than_a_batch_waits_for_its_root_and_goes_in_parts_from_the_root_down() {
    let now = Instant::now();
    let size = item(1, "aa", 2, Some(1)).event.size_bytes();
    for (max_items, max_bytes) in [(3, 1 << 20), (100, 3 * size + 1)] {
        let mut groups = groups(max_items, max_bytes);
        let children: Vec<_> = (2..=8).map(|id| item(id, "aa", id, Some(id - 1))).collect();
        add(&mut groups, &children, now);
        assert_eq!(groups.due(false, now), Some(now + WAIT));
        add(&mut groups, &[item(9, "aa", 1, None)], now);
        assert_eq!(groups.due(false, now), Some(now), "there is a full batch");
        for tokens in [vec![9, 2, 3], vec![4, 5, 6], vec![7, 8]] {
            assert_eq!(groups.take(false, &AsSent, now + AGE).tokens, tokens);
        }
        assert!(groups.is_empty());
    }
}

#[tokio::test]
async fn late_span_does_not_wait_for_a_root_that_was_given() {
    let (mut groups, now) = (groups(100, 1 << 20), Instant::now());
    add(&mut groups, &[item(1, "aa", 1, None)], now);
    let group = groups.take(false, &AsSent, now + AGE);
    assert!(
        groups
            .ancestors(&[item(1, "aa", 1, None)], &group.shape)
            .is_empty()
    );
    let late = [item(2, "aa", 2, Some(1))];
    add(&mut groups, &late, now + WAIT);
    assert_eq!(groups.due(false, now + WAIT), Some(now + WAIT + AGE));
    let group = groups.take(false, &AsSent, now + WAIT + AGE);
    assert_eq!(groups.ancestors(&late, &group.shape).len(), 1);
}

#[tokio::test]
async fn circles_and_unreadable_spans_go_like_others() {
    let (mut groups, now) = (groups(100, 1 << 20), Instant::now());
    let broken = of(3, "{}".to_owned());
    add(
        &mut groups,
        &[item(1, "aa", 1, Some(2)), item(2, "aa", 2, Some(1)), broken],
        now,
    );
    assert_eq!(groups.take(false, &AsSent, now + AGE).tokens, [3]);
    let mut tokens = groups.take(false, &AsSent, now + WAIT).tokens;
    tokens.sort_unstable();
    assert_eq!(tokens, [1, 2]);
}

#[tokio::test]
async fn what_is_let_go_of_is_everything() {
    let (mut groups, now) = (groups(100, 1 << 20), Instant::now());
    add(
        &mut groups,
        &[
            item(2, "aa", 1, Some(2)),
            item(3, "bb", 2, Some(1)),
            item(5, "aa", 4, None),
        ],
        now,
    );
    let runs = groups.drain();
    assert_eq!(runs, Tokens::runs([2, 3, 5]));
    assert!(groups.is_empty() && groups.due(true, now).is_none());
    add(&mut groups, &[item(6, "aa", 1, None)], now);
    assert_eq!(groups.take(true, &AsSent, now).tokens, [6]);
}

/// Spans with an odd id hang on the one before their own.
struct OddIsLeftOut;

impl Shaping for OddIsLeftOut {
    fn judge(&mut self, _: &[BatchItem]) -> Vec<crate::deliver::shaping::Verdict> {
        Vec::new()
    }

    fn shape(&mut self, event: &Arc<Event>) -> Arc<Event> {
        Arc::clone(event)
    }

    fn adopt(&self, span: &mut SpanAncestor) {
        let parent = span.parent_span_id.as_deref();
        let number = parent.and_then(|id| u64::from_str_radix(id, 16).ok());
        if let Some(odd) = number.filter(|number| number % 2 == 1) {
            span.parent_span_id = (odd > 1).then(|| format!("{:016x}", odd - 1).into());
        }
    }

    fn counts(&self) -> crate::deliver::shaping::ShapeCounts {
        crate::deliver::shaping::ShapeCounts::default()
    }
}

#[tokio::test]
async fn spans_that_are_left_out_end_their_trace_and_give_their_children_away() {
    let (mut groups, now) = (groups(100, 1 << 20), Instant::now());
    // Down from the root: 1, 2, 3, 4.
    groups.add(&item(1, "aa", 4, Some(3)), false, now);
    groups.add(&item(2, "aa", 3, Some(2)), true, now);
    groups.add(&item(3, "aa", 2, Some(1)), false, now);
    assert_eq!(groups.due(false, now), Some(now + WAIT));
    groups.add(&item(4, "aa", 1, None), true, now);
    assert_eq!(groups.due(false, now), Some(now + AGE));
    let mut group = groups.take(false, &OddIsLeftOut, now + AGE);
    group.left_out.sort_unstable();
    assert_eq!((group.tokens, group.left_out), (vec![3, 1], vec![2, 4]));
    let parent = |token| {
        group.shape[&token]
            .parent_span_id
            .as_deref()
            .map(str::to_owned)
    };
    assert_eq!((parent(3), parent(1)), (None, Some(format!("{:016x}", 2))));
    assert_eq!(
        (groups.spans, groups.bytes, groups.complete),
        (0, 0, (0, 0))
    );
    // Late children know the kept ancestors alone.
    groups.add(&item(5, "aa", 6, Some(4)), false, now);
    let group = groups.take(true, &OddIsLeftOut, now);
    let late = [item(5, "aa", 6, Some(4))];
    let names: Vec<_> = groups.ancestors(&late, &group.shape);
    let names: Vec<&str> = names.iter().map(|span| &*span.name).collect();
    assert_eq!(names, ["n2", "n4"]);
}
