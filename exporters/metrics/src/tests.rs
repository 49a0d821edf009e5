#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed helper of a test is a failed test"
)]

use std::collections::BTreeMap;

use mastra_exporter_sdk::outcome::{PartialSuccess, SendOutcome, SendResult};
use mastra_exporter_sdk::records::{
    EventResource, Instrument, ItemResult, Metric, MetricBatch, MetricNumber, MetricValue,
    Observation, SumPoint, Temporality,
};
use proptest::prelude::*;

use crate::Delivery;
use crate::aggregator::{OVERFLOW, Options};

const NOW: u64 = 1_000_000;

fn observed(name: &str, instrument: Instrument, value: f64, time: u64) -> Metric {
    Metric {
        metric_id: String::new(),
        time,
        trace_id: Some("ab".to_owned()),
        span_id: None,
        name: name.to_owned(),
        value: MetricValue::Single(Observation { value, instrument }),
        unit: Some("ms".to_owned()),
        labels: Vec::new(),
        correlation: None,
        cost: None,
        metadata: None,
        resource_index: Some(0),
        otel: None,
        extra: None,
    }
}

fn labelled(mut metric: Metric, value: &str) -> Metric {
    metric.labels = vec![("label".to_owned(), value.to_owned())];
    metric
}

fn batch(metrics: Vec<Metric>, first_token: u64) -> MetricBatch {
    MetricBatch {
        tokens: (first_token..).take(metrics.len()).collect(),
        metrics,
        resources: vec![EventResource {
            service_name: Some("bot".to_owned()),
            service_version: None,
            environment: None,
            project_id: None,
            attributes: None,
            schema_url: None,
            dropped_attributes_count: 0,
            extra: None,
        }],
        scopes: Vec::new(),
    }
}

fn options(is_cumulative: bool, max_series: usize) -> Options {
    Options {
        is_cumulative,
        bounds: [10.0, 100.0].into(),
        max_series,
        keeps_points: false,
    }
}

fn aggregator(is_cumulative: bool, max_series: usize) -> Delivery {
    Delivery::new(options(is_cumulative, max_series))
}

/// Flushes against an answer; returns what was sent and the tokens told, sorted.
fn flush(of: &mut Delivery, now: u64, outcome: &SendOutcome) -> (Vec<Metric>, Vec<u64>) {
    let mut sent = Vec::new();
    let told = of.flush(now, |batch| {
        sent.extend(batch.metrics.clone());
        SendResult::of(outcome.clone())
    });
    let mut tokens: Vec<u64> = told.into_iter().flat_map(|told| told.tokens).collect();
    tokens.sort_unstable();
    (sent, tokens)
}

fn delivered() -> SendOutcome {
    SendOutcome::AllItems(ItemResult::Delivered)
}

fn retry() -> SendOutcome {
    SendOutcome::AllItems(ItemResult::Retry("503".to_owned()))
}

fn span_of(metric: &Metric) -> (u64, u64) {
    let start = metric.otel.as_ref().and_then(|otel| otel.start_time);
    (start.unwrap_or_default(), metric.time)
}

fn sum_of(metric: &Metric) -> f64 {
    match &metric.value {
        MetricValue::Sum(SumPoint {
            value: MetricNumber::Integer(number),
            ..
        }) => *number as f64,
        MetricValue::Sum(SumPoint {
            value: MetricNumber::Floating(number),
            ..
        }) => *number,
        MetricValue::Histogram(point) => point.sum.unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_delta_spans_from_the_end_of_the_one_before_to_its_newest_observation() {
    let mut of = aggregator(false, 10);
    let counter = |value, time| observed("calls", Instrument::Counter, value, time);
    let fates = of
        .series
        .take(&batch(vec![counter(2.0, 100), counter(3.0, 90)], 0), NOW);
    assert_eq!(fates, [ItemResult::Held, ItemResult::Held]);
    let (sent, tokens) = flush(&mut of, NOW, &delivered());
    assert_eq!((sum_of(&sent[0]), span_of(&sent[0])), (5.0, (99, 100)));
    assert_eq!(tokens, [0, 1]);
    assert_eq!(sent[0].otel.as_ref().unwrap().exemplars.len(), 1);
    assert!(
        flush(&mut of, NOW, &delivered()).0.is_empty(),
        "nothing new"
    );
    of.series.take(&batch(vec![counter(7.0, 200)], 2), NOW);
    let (sent, tokens) = flush(&mut of, NOW, &delivered());
    assert_eq!((sum_of(&sent[0]), span_of(&sent[0])), (7.0, (100, 200)));
    assert_eq!(tokens, [2]);
}

#[test]
fn what_could_not_be_sent_comes_with_the_next_flush() {
    let mut of = aggregator(false, 10);
    let counter = |value, time| observed("calls", Instrument::Counter, value, time);
    of.series.take(&batch(vec![counter(2.0, 100)], 0), NOW);
    assert_eq!(flush(&mut of, NOW, &retry()).1, [0_u64; 0]);
    of.series.take(&batch(vec![counter(3.0, 110)], 1), NOW);
    let (sent, tokens) = flush(&mut of, NOW, &delivered());
    assert_eq!((sum_of(&sent[0]), span_of(&sent[0])), (5.0, (99, 110)));
    assert_eq!(tokens, [0, 1]);
}

#[test]
fn a_running_total_keeps_its_start_and_is_sent_again_at_each_flush() {
    let mut of = aggregator(true, 10);
    let counter = |value| observed("calls", Instrument::Counter, value, 100);
    of.series.take(&batch(vec![counter(2.0)], 0), NOW);
    let (first, tokens) = flush(&mut of, NOW + 10, &delivered());
    assert_eq!(tokens, [0]);
    of.series.take(&batch(vec![counter(3.0)], 1), NOW + 15);
    let (second, _) = flush(&mut of, NOW + 20, &delivered());
    let (third, tokens) = flush(&mut of, NOW + 30, &delivered());
    assert_eq!(tokens, [0_u64; 0]);
    let totals = [&first, &second, &third].map(|sent| (sum_of(&sent[0]), span_of(&sent[0])));
    let start = NOW - 1;
    assert_eq!(
        totals,
        [
            (2.0, (start, NOW + 10)),
            (5.0, (start, NOW + 20)),
            (5.0, (start, NOW + 30))
        ]
    );
    let restarted = &mut aggregator(true, 10);
    restarted
        .series
        .take(&batch(vec![counter(3.0)], 1), NOW + 40);
    let (sent, _) = flush(restarted, NOW + 50, &delivered());
    assert_eq!(
        (sum_of(&sent[0]), span_of(&sent[0])),
        (3.0, (NOW + 39, NOW + 50)),
        "a restart is a reset with a new start"
    );
}

#[test]
fn a_gauge_is_its_newest_value_and_a_bound_belongs_to_the_bucket_below() {
    let mut of = aggregator(false, 10);
    let gauge = |value, time| observed("depth", Instrument::Gauge, value, time);
    let value = |value| observed("took", Instrument::Histogram, value, 50);
    of.series.take(
        &batch(
            vec![
                gauge(1.5, 20),
                gauge(9.0, 10),
                value(10.0),
                value(10.5),
                value(1e9),
                value(-1.0),
            ],
            0,
        ),
        NOW,
    );
    let (sent, _) = flush(&mut of, NOW, &delivered());
    assert_eq!(sent.len(), 2);
    assert_eq!(
        sent[0].value,
        MetricValue::Gauge(MetricNumber::Floating(1.5))
    );
    assert_eq!(sent[0].time, 20);
    let MetricValue::Histogram(point) = &sent[1].value else {
        panic!()
    };
    assert_eq!(
        (point.count, &point.bucket_counts[..], point.min, point.max),
        (4, &[2, 1, 1][..], Some(-1.0), Some(1e9))
    );
}

#[test]
fn series_beyond_the_bound_are_counted_where_one_sees_it() {
    let mut of = aggregator(false, 3);
    let metrics = (0..10).map(|number| {
        let counter = observed("calls", Instrument::Counter, 1.0, 100);
        labelled(counter, &number.to_string())
    });
    let fates = of.series.take(&batch(metrics.collect(), 0), NOW);
    assert!(fates.iter().all(|fate| *fate == ItemResult::Held));
    let (sent, tokens) = flush(&mut of, NOW, &delivered());
    let overflow = sent
        .iter()
        .find(|metric| metric.labels == [(OVERFLOW.to_owned(), "true".to_owned())])
        .unwrap();
    assert_eq!((sent.len(), sum_of(overflow)), (4, 7.0));
    assert_eq!(tokens.len(), 10);
    let others = (0..5).map(|number| observed(&number.to_string(), Instrument::Counter, 1.0, 100));
    let fates = of.series.take(&batch(others.collect(), 10), NOW);
    assert!(
        fates
            .iter()
            .any(|fate| matches!(fate, ItemResult::Rejected(_)))
    );
}

#[test]
fn what_cannot_be_added_up_is_rejected() {
    let bad = vec![
        observed("a", Instrument::Counter, -1.0, 1),
        observed("a", Instrument::Gauge, f64::NAN, 1),
        observed("a", Instrument::Histogram, f64::INFINITY, 1),
    ];
    let mut of = aggregator(false, 10);
    let fates = of.series.take(&batch(bad, 0), NOW);
    assert!(
        fates
            .iter()
            .all(|fate| matches!(fate, ItemResult::Rejected(_)))
    );
    assert!(of.series.due(NOW).is_empty());
}

#[test]
fn points_of_otlp_senders_pass_and_deltas_are_added_up_where_totals_are_wanted() {
    let sum = |temporality| {
        let mut metric = observed("theirs", Instrument::Counter, 0.0, 100);
        metric.value = MetricValue::Sum(SumPoint {
            value: MetricNumber::Integer(4),
            temporality,
            is_monotonic: true,
        });
        metric
    };
    let mut of = aggregator(false, 10);
    of.series
        .take(&batch(vec![sum(Temporality::Cumulative)], 7), NOW);
    let (sent, tokens) = flush(&mut of, NOW, &delivered());
    assert_eq!(
        (&sent[0].value, tokens),
        (&sum(Temporality::Cumulative).value, vec![7])
    );
    assert!(of.series.due(NOW).is_empty());
    let mut of = aggregator(true, 10);
    of.series.take(
        &batch(vec![sum(Temporality::Delta), sum(Temporality::Delta)], 0),
        NOW,
    );
    let (sent, _) = flush(&mut of, NOW, &delivered());
    assert_eq!((sent.len(), sum_of(&sent[0])), (1, 8.0));
    let mut delta = sum(Temporality::Delta);
    if let MetricValue::Sum(sum) = &mut delta.value {
        sum.is_monotonic = false;
    }
    let fates = of.series.take(&batch(vec![delta], 2), NOW);
    assert!(
        matches!(fates[..], [ItemResult::Skipped(_)]),
        "there is no place for it"
    );
}

#[test]
fn a_request_that_is_too_large_is_halved_and_a_partial_success_is_never_repeated() {
    let mut of = aggregator(false, 100);
    let metrics: Vec<Metric> = (0..9)
        .map(|number| {
            labelled(
                observed("calls", Instrument::Counter, 1.0, 100),
                &number.to_string(),
            )
        })
        .collect();
    of.series.take(&batch(metrics.clone(), 0), NOW);
    let mut sizes = Vec::new();
    let told = of.flush(NOW, |batch| {
        sizes.push(batch.metrics.len());
        SendResult::of(if batch.metrics.len() > 3 {
            SendOutcome::TooLarge
        } else {
            delivered()
        })
    });
    assert_eq!(sizes, [9, 4, 2, 2, 5, 2, 3]);
    assert_eq!(told.iter().map(|told| told.tokens.len()).sum::<usize>(), 9);
    of.series.take(&batch(metrics, 9), NOW);
    let partial = SendOutcome::Partial(PartialSuccess {
        rejected_count: 2,
        reason: "two".to_owned(),
    });
    assert_eq!(flush(&mut of, NOW, &partial).1.len(), 9);
    assert!(of.series.due(NOW).is_empty());
}

#[test]
fn resources_are_bounded_and_forgotten_with_their_series() {
    let of_service = |number: u64| {
        let mut batch = batch(vec![observed("a", Instrument::Counter, 1.0, 1)], number);
        batch.resources[0].service_name = Some(number.to_string());
        batch
    };
    let mut of = aggregator(true, 2);
    let fates: Vec<_> = (0..3)
        .flat_map(|number| of.series.take(&of_service(number), NOW))
        .collect();
    assert!(matches!(
        fates[..],
        [ItemResult::Held, ItemResult::Held, ItemResult::Rejected(_)]
    ));
    flush(&mut of, NOW, &delivered());
    assert!(of.series.due(NOW + 7_200_000_000_000).is_empty());
    assert_eq!(of.series.take(&of_service(3), NOW), [ItemResult::Held]);
}

#[test]
fn idle_totals_go_and_held_ones_stay() {
    const HOUR: u64 = 3_600_000_000_000;
    let mut of = aggregator(true, 10);
    of.series.take(
        &batch(vec![observed("a", Instrument::Counter, 1.0, 1)], 0),
        NOW,
    );
    assert_eq!(of.series.due(NOW + 2 * HOUR).len(), 1, "the host holds it");
    flush(&mut of, NOW + 2 * HOUR, &delivered());
    assert!(of.series.due(NOW + 2 * HOUR).is_empty());
}

#[test]
fn a_kept_point_stays_until_a_newer_one_comes() {
    let mut of = Delivery::new(Options {
        is_cumulative: true,
        bounds: [1.0].into(),
        max_series: 10,
        keeps_points: true,
    });
    let gauge = |value, time| {
        let mut metric = observed("theirs", Instrument::Gauge, 0.0, time);
        metric.value = MetricValue::Gauge(MetricNumber::Integer(value));
        metric
    };
    of.series.take(
        &batch(vec![gauge(1, 100), gauge(2, 200), gauge(3, 150)], 0),
        NOW,
    );
    let (sent, tokens) = flush(&mut of, NOW, &delivered());
    assert_eq!(
        (sent.len(), &sent[0].value),
        (1, &MetricValue::Gauge(MetricNumber::Integer(2)))
    );
    assert_eq!(tokens, [0, 1, 2]);
    assert!(of.series.due(NOW).is_empty());
    assert_eq!(of.series.present(NOW).len(), 1);
}

fn refused() -> SendOutcome {
    SendOutcome::Unauthorized("401".to_owned())
}

/// Gives a batch while the backend answers so; returns the outcome, and what was sent to find out.
fn give(of: &mut Delivery, batch: &MetricBatch, outcome: &SendOutcome) -> (SendOutcome, usize) {
    let mut sent = 0;
    let given = of.take(batch, NOW, |points| {
        sent += points.metrics.len();
        SendResult::of(outcome.clone())
    });
    (given.outcome, sent)
}

#[test]
fn refused_credentials_give_everything_back_and_refuse_what_comes_until_they_are_taken() {
    for is_cumulative in [false, true] {
        let mut of = aggregator(is_cumulative, 10);
        let calls = |value| observed("calls", Instrument::Counter, value, 100);
        let first = batch(vec![calls(2.0), calls(3.0)], 0);
        assert_eq!(give(&mut of, &first, &refused()).1, 0, "nothing is known");
        let told = of.flush(NOW, |_| SendResult::of(refused()));
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].tokens, [0, 1]);
        assert_eq!(told[0].fate, ItemResult::Retry("401".to_owned()));
        assert!(flush(&mut of, NOW, &refused()).1.is_empty(), "told once");
        assert_eq!(give(&mut of, &first, &refused()), (refused(), 1));
        assert_eq!(give(&mut of, &first, &retry()), (retry(), 1));
        // The key is right now: the totals go out, and what was in them is known when it comes again.
        let second = batch(vec![calls(2.0), calls(7.0)], 1);
        let (outcome, sent) = give(&mut of, &second, &delivered());
        let fates = vec![ItemResult::Delivered, ItemResult::Held];
        assert_eq!((outcome, sent), (SendOutcome::PerItem(fates), 1));
        let (sent, tokens) = flush(&mut of, NOW + 200, &delivered());
        let total = if is_cumulative { 12.0 } else { 7.0 };
        assert_eq!((sum_of(&sent[0]), tokens), (total, vec![2]));
        let (outcome, sent) = give(&mut of, &batch(vec![calls(2.0)], 0), &refused());
        let fates = vec![ItemResult::Delivered];
        assert_eq!((outcome, sent), (SendOutcome::PerItem(fates), 0));
    }
}

#[test]
fn points_that_pass_or_stay_are_given_back_too() {
    for keeps_points in [false, true] {
        let mut of = Delivery::new(Options {
            keeps_points,
            ..options(true, 10)
        });
        let mut point = observed("theirs", Instrument::Gauge, 0.0, 100);
        point.value = MetricValue::Gauge(MetricNumber::Integer(4));
        let points = batch(vec![point], 5);
        of.series.take(&points, NOW);
        assert_eq!(flush(&mut of, NOW, &refused()).1, [5]);
        let taken_for_good = SendOutcome::AllItems(ItemResult::Rejected("old".to_owned()));
        let (outcome, _) = give(&mut of, &points, &taken_for_good);
        let fates = vec![ItemResult::Rejected("old".to_owned())];
        assert_eq!(outcome, SendOutcome::PerItem(fates), "{keeps_points}");
        assert!(of.series.due(NOW).is_empty());
    }
}

/// What a host has with an exporter, whatever the backend answers.
#[derive(Default)]
struct Host {
    /// Tokens and values that wait to be given.
    waiting: Vec<(u64, Metric)>,
    given: BTreeMap<u64, Metric>,
    told: Vec<u64>,
    counted: f64,
}

impl Host {
    /// Gives what waits and flushes; the backend answers so.
    fn turn(&mut self, of: &mut Delivery, outcome: &SendOutcome) {
        let mut send = |points: &MetricBatch| {
            if *outcome == delivered() {
                self.counted += points.metrics.iter().map(sum_of).sum::<f64>();
            }
            SendResult::of(outcome.clone())
        };
        let (tokens, metrics) = self.waiting.iter().cloned().unzip();
        let given = MetricBatch {
            tokens,
            ..batch(metrics, 0)
        };
        if let SendOutcome::PerItem(fates) = of.take(&given, NOW, &mut send).outcome {
            for ((token, metric), fate) in self.waiting.drain(..).zip(fates) {
                match fate {
                    ItemResult::Delivered => self.told.push(token),
                    ItemResult::Held => drop(self.given.insert(token, metric)),
                    other => panic!("{other:?}"),
                }
            }
        }
        for told in of.flush(NOW, &mut send) {
            for token in told.tokens {
                let metric = self.given.remove(&token).unwrap();
                match &told.fate {
                    ItemResult::Delivered => self.told.push(token),
                    _ => self.waiting.push((token, metric)),
                }
            }
        }
    }
}

proptest! {
    /// Whatever fails in between: in the end every observation was counted once and told once.
    #[test]
    fn deltas_add_up_to_what_came(steps in prop::collection::vec((0..5_u8, 1..100_u32, 0..4_u8), 1..60)) {
        let (mut of, mut host) = (aggregator(false, 3), Host::default());
        let (mut came, mut tokens) = (0.0, 0);
        for (label, value, answer) in steps.into_iter().chain([(0, 1, 0); 2]) {
            let metric = observed("calls", Instrument::Counter, f64::from(value), 100 + tokens);
            host.waiting.push((tokens, labelled(metric, &label.to_string())));
            tokens += 1;
            came += f64::from(value);
            host.turn(&mut of, &match answer {
                0 | 1 => delivered(),
                2 => retry(),
                _ => refused(),
            });
        }
        host.told.sort_unstable();
        prop_assert_eq!(came, host.counted);
        prop_assert_eq!(host.told, (0..tokens).collect::<Vec<_>>());
    }
}
