//! Points of metrics, and what is refused with which words.

use super::*;

fn metric_value(value: &str) -> Result<MetricValue, crate::event::fields::FieldError> {
    let text = format!(
        r#"{{"metricId":"m","timestamp":"2026-03-04T05:06:07Z","name":"n","labels":{{}},"value":{value}}}"#
    );
    decode::metric(&text, &Instruments::default()).map(|metric| metric.value)
}

#[test]
fn aggregated_metric_points_are_read() {
    assert_eq!(
        metric_value(r#"{"type":"sum","value":9007199254740993,"temporality":"cumulative","isMonotonic":true}"#).unwrap(),
        MetricValue::Sum {
            value: MetricNumber::Integer(9_007_199_254_740_993),
            temporality: Temporality::Cumulative,
            is_monotonic: true
        }
    );
    assert_eq!(
        metric_value(r#"{"type":"gauge","value":5.0}"#).unwrap(),
        MetricValue::Gauge(MetricNumber::Floating(5.0))
    );
    assert_eq!(
        metric_value(r#"{"type":"gauge","value":"-Infinity"}"#).unwrap(),
        MetricValue::Gauge(MetricNumber::Floating(f64::NEG_INFINITY))
    );
    let MetricValue::Histogram(point) = metric_value(
        r#"{"type":"histogram","count":3,"sum":6.5,"bucketCounts":[1,2],"bounds":[10],"temporality":"delta"}"#,
    )
    .unwrap() else {
        panic!("not a histogram")
    };
    assert_eq!(
        (point.count, point.sum, point.bucket_counts, point.bounds),
        (3, Some(6.5), vec![1, 2], vec![10.0])
    );
    let MetricValue::ExponentialHistogram(point) = metric_value(
        r#"{"type":"exponentialHistogram","count":3,"scale":-2,"zeroCount":1,"positive":{"offset":-3,"counts":[2]}}"#,
    )
    .unwrap() else {
        panic!("not an exponential histogram")
    };
    assert_eq!(
        (point.scale, point.positive.offset, point.positive.counts),
        (-2, -3, vec![2])
    );
    let MetricValue::Summary(point) = metric_value(
        r#"{"type":"summary","count":1,"sum":2,"quantiles":[{"quantile":0.5,"value":2}]}"#,
    )
    .unwrap() else {
        panic!("not a summary")
    };
    assert_eq!(point.quantiles, vec![(0.5, 2.0)]);
}

#[expect(clippy::too_many_lines, reason = "a table")]
#[test]
fn refused_fields_are_named_with_their_fix() {
    let span =
        r#""id":"1","traceId":"2","name":"n","type":"x","startTime":"2026-03-04T05:06:07.000Z""#;
    let metric =
        r#""metricId":"m","timestamp":"2026-03-04T05:06:07Z","name":"n","value":1,"labels":{}"#;
    let cases: &[(EventKind, String, &str, &str)] = &[
        (
            EventKind::SpanEnded,
            format!("{{{span},\"id\":\"0000\"}}"),
            "id",
            "not all zero",
        ),
        (
            EventKind::SpanEnded,
            format!("{{{span},\"traceId\":\"xyz\"}}"),
            "traceId",
            "hex",
        ),
        (
            EventKind::SpanEnded,
            format!("{{{span},\"traceId\":null}}"),
            "traceId",
            "is required",
        ),
        (
            EventKind::SpanEnded,
            format!("{{{span},\"name\":5}}"),
            "name",
            "must be a string",
        ),
        (
            EventKind::SpanEnded,
            format!("{{{span},\"startTime\":1772600767}}"),
            "startTime",
            "ISO-8601",
        ),
        (
            EventKind::SpanEnded,
            format!("{{{span},\"endTime\":\"1812-01-01T00:00:00Z\"}}"),
            "endTime",
            "from 1970 to 2554",
        ),
        (
            EventKind::SpanEnded,
            format!("{{{span},\"isEvent\":\"no\"}}"),
            "isEvent",
            "true or false",
        ),
        (
            EventKind::SpanEnded,
            format!("{{{span},\"attributes\":[]}}"),
            "attributes",
            "JSON object",
        ),
        (
            EventKind::SpanEnded,
            format!("{{{span},\"metadata\":\"x\"}}"),
            "metadata",
            "JSON object",
        ),
        (
            EventKind::SpanEnded,
            format!("{{{span},\"tags\":[\"a\",1]}}"),
            "tags[1]",
            "must be a string",
        ),
        (
            EventKind::SpanEnded,
            format!("{{{span},\"tags\":\"a\"}}"),
            "tags",
            "JSON array",
        ),
        (
            EventKind::SpanEnded,
            format!("{{{span},\"errorInfo\":{{}}}}"),
            "errorInfo.message",
            "is required",
        ),
        (
            EventKind::SpanEnded,
            format!("{{{span},\"errorInfo\":\"x\"}}"),
            "errorInfo",
            "JSON object",
        ),
        (
            EventKind::SpanEnded,
            format!("{{{span},\"otel\":{{\"kind\":\"x\"}}}}"),
            "otel.kind",
            "one of unspecified",
        ),
        (
            EventKind::SpanEnded,
            format!("{{{span},\"otel\":{{\"links\":[{{\"traceId\":\"1\"}}]}}}}"),
            "otel.links[0].spanId",
            "is required",
        ),
        (
            EventKind::SpanEnded,
            format!("{{{span},\"otel\":{{\"knid\":\"x\"}}}}"),
            "otel.knid",
            "no known field",
        ),
        (
            EventKind::Metric,
            format!("{{{metric},\"labels\":{{\"region\":5}}}}"),
            "labels.region",
            "must be a string",
        ),
        (
            EventKind::Metric,
            format!("{{{metric},\"labels\":null}}"),
            "labels",
            "is required",
        ),
        (
            EventKind::Metric,
            format!("{{{metric},\"value\":\"1\"}}"),
            "value",
            "finite number",
        ),
        (
            EventKind::Metric,
            format!("{{{metric},\"value\":1e999}}"),
            "value",
            "finite number",
        ),
        (
            EventKind::Metric,
            format!("{{{metric},\"metricId\":\"\"}}"),
            "metricId",
            "empty",
        ),
        (
            EventKind::Metric,
            format!("{{{metric},\"costContext\":{{\"estimatedCost\":-1}}}}"),
            "costContext.estimatedCost",
            "negative",
        ),
        (
            EventKind::Metric,
            format!("{{{metric},\"correlationContext\":{{\"userId\":1}}}}"),
            "correlationContext.userId",
            "must be a string",
        ),
        (
            EventKind::Metric,
            format!("{{{metric},\"value\":{{\"type\":\"sum\"}}}}"),
            "value.value",
            "is required",
        ),
        (
            EventKind::Log,
            r#"{"timestamp":"2026-03-04T05:06:07Z"}"#.into(),
            "logId",
            "is required",
        ),
        (
            EventKind::Feedback,
            r#"{"value":{}}"#.into(),
            "value",
            "finite number or a string",
        ),
        (
            EventKind::Score,
            r#"{"score":"high"}"#.into(),
            "score",
            "finite number",
        ),
        (EventKind::Score, "[1]".into(), "", "JSON object"),
        (EventKind::Score, "{\"a\":tru}".into(), "", "JSON object"),
        (EventKind::Score, String::new(), "", "must be a JSON object"),
        (EventKind::Score, "{} {}".into(), "", "nothing after it"),
    ];
    for (kind, text, field, reason) in cases {
        let error = event_from(*kind, text).unwrap_err();
        assert_eq!(error.field, *field, "{text}: {error}");
        assert!(error.reason.contains(reason), "{text}: {error}");
        assert!(error.value.chars().count() <= crate::event::fields::EXCERPT_CHARS);
    }
}

#[test]
fn deep_nesting_is_refused_at_the_limit_and_not_before() {
    let nested = |levels: usize| {
        let span = r#"{"id":"1","traceId":"2","name":"n","type":"x","startTime":"2026-03-04T05:06:07.000Z","input":"#;
        format!("{span}{}{}}}", "[".repeat(levels), "]".repeat(levels))
    };
    assert!(event_from(EventKind::SpanEnded, &nested(127)).is_ok());
    let error = event_from(EventKind::SpanEnded, &nested(128)).unwrap_err();
    assert_eq!(error.field, "input");
    assert!(error.reason.contains("128"));
    assert!(event_from(EventKind::SpanEnded, &nested(1_000_000)).is_err());
}
