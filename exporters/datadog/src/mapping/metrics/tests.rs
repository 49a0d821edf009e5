//! Tests of the mapping of measurements.

use mastra_exporter_sdk::records::{
    ExponentialHistogramPoint, HistogramPoint, MetricBatch, Observation, QuantileValue,
    SummaryPoint,
};
use mastra_exporter_sdk::test_support::batches;
use serde_json::{Value, json};

use super::*;
use crate::mapping::tests::config;
use crate::seconds::Seconds;

fn metric_batch(values: &[(&str, MetricValue)]) -> MetricBatch {
    let lines: Vec<String> = values
        .iter()
        .enumerate()
        .map(|(at, (name, _))| {
            let time = format!("2026-03-04T05:06:0{}.{at}00Z", if at < 3 { 7 } else { 8 });
            json!({"type": "metric", "metric": {"metricId": at.to_string(), "timestamp": time, "name": name,
                "value": 0, "labels": {"status": "ok", "empty": ""}}})
            .to_string()
        })
        .collect();
    let mut batch = batches(&lines.join("\n")).metrics;
    for (metric, (_, value)) in batch.metrics.iter_mut().zip(values) {
        metric.value = value.clone();
    }
    batch
}

fn points_of(batch: &MetricBatch) -> Vec<Result<Vec<Point>, &'static str>> {
    let metrics = batch.metrics.iter();
    let config = config(&json!({}));
    metrics
        .map(|metric| points(metric, &batch.resources, &config))
        .collect()
}

fn seconds_of(values: &[(&str, MetricValue)]) -> Vec<Second> {
    let mut seconds = Seconds::default();
    for points in points_of(&metric_batch(values)) {
        seconds.take(points.unwrap(), 0, 0);
    }
    seconds.due(u64::MAX)
}

fn single(instrument: Instrument, value: f64) -> MetricValue {
    MetricValue::Single(Observation { value, instrument })
}

fn parsed(text: &JsonText) -> Value {
    serde_json::from_str::<Value>(text.as_str()).unwrap()["series"].clone()
}

#[test]
fn points_of_a_second_are_put_together() {
    let due = seconds_of(&[
        ("c", single(Instrument::Counter, 2.0)),
        ("c", single(Instrument::Counter, 3.0)),
        ("g", single(Instrument::Gauge, 1.0)),
        ("g", single(Instrument::Gauge, 9.0)),
        ("g", single(Instrument::Gauge, 4.0)),
        ("c", single(Instrument::Counter, 4.0)),
    ]);
    let series = parsed(&series_request(&due, SeriesVersion::V2));
    let tags = json!(["empty:", "service:app", "status:ok"]);
    let count =
        json!([{"timestamp": 1_772_600_767, "value": 5}, {"timestamp": 1_772_600_768, "value": 4}]);
    assert_eq!(
        series[0],
        json!({"metric": "c", "type": 1, "interval": 1, "tags": tags, "points": count})
    );
    let gauge =
        json!([{"timestamp": 1_772_600_767, "value": 1}, {"timestamp": 1_772_600_768, "value": 4}]);
    assert_eq!(
        series[1],
        json!({"metric": "g", "type": 3, "tags": tags, "points": gauge})
    );
}

#[test]
fn version_1_has_pairs_and_words() {
    let due = seconds_of(&[
        ("c", single(Instrument::Counter, 2.0)),
        ("g", single(Instrument::Gauge, 0.5)),
    ]);
    let series = parsed(&series_request(&due, SeriesVersion::V1));
    let tags = json!(["empty:", "service:app", "status:ok"]);
    let count = json!({"metric": "c", "type": "count", "interval": 1, "points": [[1_772_600_767, 2]], "tags": tags});
    let gauge =
        json!({"metric": "g", "type": "gauge", "points": [[1_772_600_767, 0.5]], "tags": tags});
    assert_eq!(series, json!([count, gauge]));
}

#[test]
fn histograms_keep_their_raw_values() {
    let due = seconds_of(&[
        ("h", single(Instrument::Histogram, 0.5)),
        ("h", single(Instrument::Histogram, 2.0)),
        ("h", single(Instrument::Histogram, 2.0)),
        ("h", single(Instrument::Histogram, 7.0)),
    ]);
    assert_eq!(
        parsed(&distributions_request(&due))[0]["points"],
        json!([[1_772_600_767, [0.5, 2, 2]], [1_772_600_768, [7]]])
    );
    assert!(due.iter().all(|one| one.name.kind.is_distribution()));
}

#[test]
fn what_was_aggregated_elsewhere_keeps_what_datadog_can_take() {
    let delta = HistogramPoint {
        count: 3,
        sum: Some(6.0),
        min: Some(1.0),
        max: None,
        bucket_counts: vec![3],
        bounds: vec![],
        temporality: Temporality::Delta,
    };
    let sum = |temporality, is_monotonic| {
        MetricValue::Sum(SumPoint {
            value: MetricNumber::Integer(5),
            temporality,
            is_monotonic,
        })
    };
    let due = seconds_of(&[
        ("h", MetricValue::Histogram(delta)),
        ("d", sum(Temporality::Delta, true)),
        ("u", sum(Temporality::Cumulative, false)),
    ]);
    let series = parsed(&series_request(&due, SeriesVersion::V2));
    let names: Vec<_> = series
        .as_array()
        .unwrap()
        .iter()
        .map(|series| {
            (
                series["metric"].as_str().unwrap(),
                series["type"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        names,
        [
            ("d", 1),
            ("h.count", 1),
            ("h.sum", 1),
            ("h.min", 3),
            ("u", 3)
        ]
    );
    let quantiles = vec![QuantileValue {
        quantile: 0.9,
        value: 1.5,
    }];
    let summary = SummaryPoint {
        count: 2,
        sum: 3.0,
        quantiles,
    };
    let due = seconds_of(&[("s", MetricValue::Summary(summary))]);
    let series = parsed(&series_request(&due, SeriesVersion::V2));
    assert!(series.to_string().contains("quantile:0.9"));
}

#[test]
fn running_totals_and_what_is_no_number_have_no_place() {
    let total = MetricValue::Sum(SumPoint {
        value: MetricNumber::Floating(5.0),
        temporality: Temporality::Cumulative,
        is_monotonic: true,
    });
    let buckets = || mastra_exporter_sdk::records::ExponentialBuckets {
        offset: 0,
        counts: vec![],
    };
    let exponential = MetricValue::ExponentialHistogram(ExponentialHistogramPoint {
        count: 1,
        sum: None,
        min: None,
        max: None,
        scale: 0,
        zero_count: 1,
        zero_threshold: 0.0,
        positive: buckets(),
        negative: buckets(),
        temporality: Temporality::Cumulative,
    });
    let places = points_of(&metric_batch(&[
        ("t", total),
        ("e", exponential),
        ("n", single(Instrument::Gauge, f64::NAN)),
    ]));
    assert_eq!(places.len(), 3);
    assert!(places.iter().all(Result::is_err));
}
