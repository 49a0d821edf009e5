//! Tests of what is held, sent and remembered. Times are in seconds.

use super::*;
use crate::mapping::metrics::Kind;

const AT: u64 = 1_772_600_767;

fn name(kind: Kind, metric: &str) -> Name {
    Name {
        kind,
        metric: metric.to_owned(),
        tags: vec!["env:test".to_owned()],
    }
}

fn point(kind: Kind, metric: &str, second: u64, value: f64) -> Point {
    Point {
        name: name(kind, metric),
        unit: None,
        second,
        amount: match kind {
            Kind::Count => Amount::Count(value),
            Kind::Gauge => Amount::Gauge {
                at: second * NANOS_A_SECOND,
                value,
            },
            Kind::Distribution => Amount::Distribution(vec![value]),
        },
    }
}

fn duration(second: u64, value: f64) -> Vec<Point> {
    vec![point(Kind::Distribution, "duration", second, value)]
}

/// In the middle of a second that is so many after the first.
fn at(second: u64) -> u64 {
    (AT + second) * NANOS_A_SECOND + NANOS_A_SECOND / 2
}

fn due(seconds: &mut Seconds, now: u64) -> Vec<(u64, Amount)> {
    let due = seconds.due(now);
    due.into_iter()
        .map(|one| (one.second - AT, one.amount))
        .collect()
}

fn values(values: &[f64]) -> Amount {
    Amount::Distribution(values.to_vec())
}

fn deliver(seconds: &mut Seconds, now: u64) -> Vec<u64> {
    let due = seconds.due(now);
    seconds.settle(&due, &ItemResult::Delivered)
}

fn failed() -> ItemResult {
    ItemResult::Retry("503".to_owned())
}

#[test]
fn a_second_is_held_until_it_is_closed_and_goes_out_whole() {
    let mut seconds = Seconds::default();
    seconds.take(duration(AT, 1.0), 7, at(0));
    seconds.take(duration(AT + 1, 5.0), 8, at(1));
    seconds.take(duration(AT, 2.0), 9, at(1));
    assert_eq!(due(&mut seconds, at(2)), []);
    assert_eq!(due(&mut seconds, at(3)), [(0, values(&[1.0, 2.0]))]);
    assert_eq!(deliver(&mut seconds, at(3)), [7, 9]);
    assert_eq!(due(&mut seconds, at(4)), [(1, values(&[5.0]))]);
}

#[test]
fn a_late_point_goes_out_with_what_was_sent_of_its_second() {
    let mut seconds = Seconds::default();
    seconds.take(duration(AT, 1.0), 1, at(0));
    assert_eq!(deliver(&mut seconds, at(10)), [1]);
    assert_eq!(due(&mut seconds, at(20)), [], "nothing is new");
    seconds.take(duration(AT, 2.0), 2, at(20));
    assert_eq!(due(&mut seconds, at(20)), [(0, values(&[1.0, 2.0]))]);
    assert_eq!(deliver(&mut seconds, at(20)), [2]);
}

#[test]
fn counts_add_up_and_gauges_keep_the_last_also_when_they_come_late() {
    let mut seconds = Seconds::default();
    for (token, (count, gauge)) in [(2.0, 9.0), (3.0, 4.0)].into_iter().enumerate() {
        let mut gauge = point(Kind::Gauge, "depth", AT, gauge);
        if let Amount::Gauge { at, .. } = &mut gauge.amount {
            // The second one was measured before the first.
            *at -= token as u64;
        }
        let count = point(Kind::Count, "calls", AT, count);
        seconds.take(vec![count], token as u64, at(0));
        seconds.take(vec![gauge], 10 + token as u64, at(0));
        let due = seconds.due(at(5));
        assert_eq!(due.len(), 2);
        seconds.settle(&due, &ItemResult::Delivered);
    }
    seconds.take(vec![point(Kind::Count, "calls", AT, 0.5)], 3, at(6));
    assert_eq!(due(&mut seconds, at(6)), [(0, Amount::Count(5.5))]);
    let gauge = point(Kind::Gauge, "depth", AT, 9.0);
    let sent = &seconds.series[&gauge.name].seconds[&AT].sent;
    assert_eq!(sent.as_ref().map(|sent| &sent.amount), Some(&gauge.amount));
}

#[test]
fn what_datadog_did_not_take_goes_back_and_is_not_counted_twice() {
    let mut seconds = Seconds::default();
    seconds.take(duration(AT, 1.0), 1, at(0));
    deliver(&mut seconds, at(5));
    seconds.take(duration(AT, 2.0), 2, at(5));
    let due_now = seconds.due(at(5));
    assert_eq!(seconds.settle(&due_now, &failed()), [2]);
    assert_eq!(due(&mut seconds, at(6)), []);
    // The host gives it again.
    seconds.take(duration(AT, 2.0), 2, at(6));
    assert_eq!(due(&mut seconds, at(6)), [(0, values(&[1.0, 2.0]))]);
}

#[test]
fn a_measurement_of_several_points_is_never_given_back_in_part() {
    let mut seconds = Seconds::default();
    let points = vec![
        point(Kind::Gauge, "h.max", AT, 9.0),
        point(Kind::Count, "h.sum", AT, 12.0),
    ];
    seconds.take(points, 1, at(0));
    let all = seconds.due(at(5));
    let (counts, gauges) = all.split_at(1);
    assert_eq!(seconds.settle(counts, &ItemResult::Delivered), [0_u64; 0]);
    assert_eq!(
        seconds.settle(gauges, &failed()),
        [0_u64; 0],
        "the sum is there already"
    );
    let again = seconds.due(at(6));
    assert_eq!(again, gauges);
    assert_eq!(seconds.settle(&again, &ItemResult::Delivered), [1]);
}

#[test]
fn a_clock_that_is_ahead_holds_nothing_for_long() {
    let mut seconds = Seconds::default();
    seconds.take(duration(AT + 3_600, 1.0), 1, at(0));
    assert_eq!(due(&mut seconds, at(2)), []);
    assert_eq!(due(&mut seconds, at(3)), [(3_600, values(&[1.0]))]);
}

#[test]
fn what_was_sent_is_forgotten_after_a_while_and_what_waits_is_not() {
    let mut seconds = Seconds::default();
    seconds.take(duration(AT, 1.0), 1, at(0));
    deliver(&mut seconds, at(5));
    seconds.take(duration(AT + 900, 3.0), 2, at(900));
    assert_eq!(due(&mut seconds, at(901)), []);
    assert_eq!(seconds.series.len(), 1);
    deliver(&mut seconds, at(1_000));
    for turn in [1_600, 2_300, 3_000] {
        assert_eq!(due(&mut seconds, at(turn)), []);
    }
    assert!(seconds.series.is_empty());
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut seconds = Seconds::default();
    for second in 0..40 {
        let many = Amount::Distribution(vec![1.0; MAX_TURN_NUMBERS / 8]);
        let mut point = point(Kind::Distribution, "duration", AT + second, 0.0);
        point.amount = many;
        seconds.take(vec![point], second, at(second));
        deliver(&mut seconds, at(second + 5));
    }
    let remembered = &seconds.series[&name(Kind::Distribution, "duration")].seconds;
    assert!((8..=20).contains(&remembered.len()), "{}", remembered.len());
}
