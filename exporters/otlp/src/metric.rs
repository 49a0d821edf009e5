//! `Metric` and its data points
//! (<https://github.com/open-telemetry/opentelemetry-proto/blob/v1.11.0/opentelemetry/proto/metrics/v1/metrics.proto>).

use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::raw::members;
use mastra_exporter_sdk::records::{
    Exemplar, ExponentialBuckets, ExponentialHistogramPoint, HistogramPoint, Instrument, Metric,
    MetricNumber, MetricValue, SummaryPoint, Temporality,
};

use crate::attributes::Key;
use crate::encode::{Encoder, Field, field};
use crate::envelope::{Place, Placed};
use crate::span::{SPAN_ID_DIGITS, TRACE_ID_DIGITS};

const NAME: Field = field!(1, "name");
const DESCRIPTION: Field = field!(2, "description");
const UNIT: Field = field!(3, "unit");
const GAUGE: Field = field!(5, "gauge").wide(2);
const SUM: Field = field!(7, "sum").wide(2);
const HISTOGRAM: Field = field!(9, "histogram").wide(2);
const EXPONENTIAL: Field = field!(10, "exponentialHistogram").wide(2);
const SUMMARY: Field = field!(11, "summary").wide(2);
const METADATA: Field = field!(12, "metadata");

/// Of `Gauge`, `Sum`, `Histogram`, ...
const POINTS: Field = field!(1, "dataPoints");
const TEMPORALITY: Field = field!(2, "aggregationTemporality");
const IS_MONOTONIC: Field = field!(3, "isMonotonic");

/// Of all points.
const START: Field = field!(2, "startTimeUnixNano");
const TIME: Field = field!(3, "timeUnixNano");
const COUNT: Field = field!(4, "count");
const TOTAL: Field = field!(5, "sum");

/// Of `NumberDataPoint`.
const AS_DOUBLE: Field = field!(4, "asDouble");
const NUMBER_EXEMPLARS: Field = field!(5, "exemplars");
const AS_INT: Field = field!(6, "asInt");
const NUMBER_ATTRIBUTES: Field = field!(7, "attributes");
const NUMBER_FLAGS: Field = field!(8, "flags");

/// Of `HistogramDataPoint`.
const BUCKET_COUNTS: Field = field!(6, "bucketCounts");
const BOUNDS: Field = field!(7, "explicitBounds");
const HISTOGRAM_EXEMPLARS: Field = field!(8, "exemplars");
const HISTOGRAM_ATTRIBUTES: Field = field!(9, "attributes");
const HISTOGRAM_FLAGS: Field = field!(10, "flags");
const HISTOGRAM_MIN: Field = field!(11, "min");
const HISTOGRAM_MAX: Field = field!(12, "max");

/// Of `ExponentialHistogramDataPoint`.
const EXPONENTIAL_ATTRIBUTES: Field = field!(1, "attributes");
const SCALE: Field = field!(6, "scale");
const ZERO_COUNT: Field = field!(7, "zeroCount");
const POSITIVE: Field = field!(8, "positive");
const NEGATIVE: Field = field!(9, "negative");
const EXPONENTIAL_FLAGS: Field = field!(10, "flags");
const EXPONENTIAL_EXEMPLARS: Field = field!(11, "exemplars");
const EXPONENTIAL_MIN: Field = field!(12, "min");
const EXPONENTIAL_MAX: Field = field!(13, "max");
const ZERO_THRESHOLD: Field = field!(14, "zeroThreshold");
/// Of its `Buckets`.
const OFFSET: Field = field!(1, "offset");
const OFFSET_COUNTS: Field = field!(2, "bucketCounts");

/// Of `SummaryDataPoint` and its `ValueAtQuantile`.
const QUANTILES: Field = field!(6, "quantileValues");
const SUMMARY_ATTRIBUTES: Field = field!(7, "attributes");
const SUMMARY_FLAGS: Field = field!(8, "flags");
const QUANTILE: Field = field!(1, "quantile");
const VALUE: Field = field!(2, "value");

/// Of `Exemplar`.
const EXEMPLAR_TIME: Field = field!(2, "timeUnixNano");
const EXEMPLAR_DOUBLE: Field = field!(3, "asDouble");
const EXEMPLAR_SPAN_ID: Field = field!(4, "spanId");
const EXEMPLAR_TRACE_ID: Field = field!(5, "traceId");
const EXEMPLAR_INT: Field = field!(6, "asInt");
const EXEMPLAR_ATTRIBUTES: Field = field!(7, "filteredAttributes");

/// Points of one metric: the same name, unit, description, kind and origin.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    points: Vec<&'a Metric>,
}

impl Placed for Group<'_> {
    fn place(&self) -> Place {
        self.points
            .first()
            .map_or_else(Place::default, |metric| place(metric))
    }
}

fn place(metric: &Metric) -> Place {
    Place {
        resource: metric.resource_index,
        scope: metric.otel.as_ref().and_then(|otel| otel.scope_index),
    }
}

/// Points by metric, in the order of the metrics' first points.
#[must_use]
pub fn groups(metrics: &[Metric]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for metric in metrics {
        let is_same = |group: &&mut Group<'_>| {
            group
                .points
                .first()
                .is_some_and(|first| belong_together(first, metric))
        };
        // Points of a metric mostly come one after the other.
        match groups.iter_mut().rev().find(is_same) {
            Some(group) => group.points.push(metric),
            None => groups.push(Group {
                points: vec![metric],
            }),
        }
    }
    groups
}

fn belong_together(left: &Metric, right: &Metric) -> bool {
    let described = |metric: &Metric| {
        metric
            .otel
            .as_ref()
            .map(|otel| (otel.description.clone(), otel.metadata.clone()))
            .unwrap_or_default()
    };
    left.name == right.name
        && left.unit == right.unit
        && place(left) == place(right)
        && kind(&left.value) == kind(&right.value)
        && described(left) == described(right)
}

/// Which of the five kinds, with temporality and whether it only rises.
fn kind(value: &MetricValue) -> (u8, Option<Temporality>, bool) {
    match value {
        MetricValue::Single(one) => match one.instrument {
            Instrument::Counter => (1, Some(Temporality::Delta), true),
            Instrument::Gauge => (0, None, false),
            Instrument::Histogram => (2, Some(Temporality::Delta), false),
        },
        MetricValue::Gauge(_) => (0, None, false),
        MetricValue::Sum(sum) => (1, Some(sum.temporality), sum.is_monotonic),
        MetricValue::Histogram(point) => (2, Some(point.temporality), false),
        MetricValue::ExponentialHistogram(point) => (3, Some(point.temporality), false),
        MetricValue::Summary(_) => (4, None, false),
    }
}

const fn temporality_number(temporality: Temporality) -> u32 {
    match temporality {
        Temporality::Unspecified => 0,
        Temporality::Delta => 1,
        Temporality::Cumulative => 2,
    }
}

/// Writes a metric's fields.
pub fn metric<E: Encoder>(encoder: &mut E, group: &Group<'_>) {
    let Some(first) = group.points.first() else {
        return;
    };
    let otel = first.otel.as_ref();
    encoder.text_of(NAME, &[&first.name]);
    encoder.text_if(DESCRIPTION, otel.and_then(|otel| otel.description.as_ref()));
    encoder.text_if(UNIT, first.unit.as_ref());
    let (number, temporality, is_monotonic) = kind(&first.value);
    let field = match number {
        0 => GAUGE,
        1 => SUM,
        2 => HISTOGRAM,
        3 => EXPONENTIAL,
        _ => SUMMARY,
    };
    encoder.message(field, |encoder| {
        encoder.messages(POINTS, &group.points, |encoder, metric| {
            point(encoder, metric);
        });
        if let Some(temporality) = temporality {
            encoder.unsigned(TEMPORALITY, temporality_number(temporality));
        }
        if number == 1 {
            encoder.flag(IS_MONOTONIC, is_monotonic);
        }
    });
    if let Some(metadata) = otel.and_then(|otel| otel.metadata.as_ref()) {
        encoder.attribute_object(METADATA, Some(metadata));
    }
}

fn point<E: Encoder>(encoder: &mut E, metric: &Metric) {
    let otel = metric.otel.as_ref();
    encoder.fixed64(
        START,
        otel.and_then(|otel| otel.start_time).unwrap_or_default(),
    );
    encoder.fixed64(TIME, metric.time);
    match &metric.value {
        MetricValue::Single(one) if one.instrument == Instrument::Histogram => {
            histogram(encoder, &single_value(one.value), metric);
        }
        MetricValue::Single(one) => {
            number_point(encoder, MetricNumber::Floating(one.value), metric);
        }
        MetricValue::Gauge(number) => number_point(encoder, *number, metric),
        MetricValue::Sum(sum) => number_point(encoder, sum.value, metric),
        MetricValue::Histogram(point) => histogram(encoder, point, metric),
        MetricValue::ExponentialHistogram(point) => exponential(encoder, point, metric),
        MetricValue::Summary(point) => summary(encoder, point, metric),
    }
}

const fn single_value(value: f64) -> HistogramPoint {
    HistogramPoint {
        count: 1,
        sum: Some(value),
        min: Some(value),
        max: Some(value),
        bucket_counts: Vec::new(),
        bounds: Vec::new(),
        temporality: Temporality::Delta,
    }
}

/// Labels, and the attributes that are no text.
fn attributes<E: Encoder>(encoder: &mut E, field: Field, metric: &Metric) {
    let others = metric
        .otel
        .as_ref()
        .and_then(|otel| otel.attributes.as_deref());
    encoder.attributes(field, |sink| {
        for (key, value) in &metric.labels {
            let mut name = JsonText::default();
            name.escaped(key);
            sink.text(Key::under("", name.as_str()), value);
        }
        for (key, value) in members(others.unwrap_or_default()) {
            sink.value(Key::under("", key), value);
        }
    });
}

fn flags<E: Encoder>(encoder: &mut E, field: Field, metric: &Metric) {
    encoder.unsigned(field, metric.otel.as_ref().map_or(0, |otel| otel.flags));
}

fn exemplars<E: Encoder>(encoder: &mut E, field: Field, metric: &Metric) {
    let all = metric
        .otel
        .as_ref()
        .map_or(&[][..], |otel| otel.exemplars.as_slice());
    encoder.messages(field, all, exemplar);
}

fn exemplar<E: Encoder>(encoder: &mut E, exemplar: &Exemplar) {
    encoder.fixed64(EXEMPLAR_TIME, exemplar.time);
    number(encoder, exemplar.value, EXEMPLAR_INT, EXEMPLAR_DOUBLE);
    if let Some(id) = &exemplar.span_id {
        encoder.id(EXEMPLAR_SPAN_ID, id, SPAN_ID_DIGITS);
    }
    if let Some(id) = &exemplar.trace_id {
        encoder.id(EXEMPLAR_TRACE_ID, id, TRACE_ID_DIGITS);
    }
    encoder.attribute_object(EXEMPLAR_ATTRIBUTES, exemplar.filtered_attributes.as_ref());
}

fn number<E: Encoder>(encoder: &mut E, number: MetricNumber, as_int: Field, as_double: Field) {
    match number {
        MetricNumber::Integer(number) => encoder.long(as_int, number),
        MetricNumber::Floating(number) => encoder.double(as_double, number),
    }
}

fn number_point<E: Encoder>(encoder: &mut E, value: MetricNumber, metric: &Metric) {
    number(encoder, value, AS_INT, AS_DOUBLE);
    exemplars(encoder, NUMBER_EXEMPLARS, metric);
    attributes(encoder, NUMBER_ATTRIBUTES, metric);
    flags(encoder, NUMBER_FLAGS, metric);
}

fn double_if<E: Encoder>(encoder: &mut E, field: Field, number: Option<f64>) {
    if let Some(number) = number {
        encoder.double(field, number);
    }
}

fn histogram<E: Encoder>(encoder: &mut E, point: &HistogramPoint, metric: &Metric) {
    encoder.fixed64(COUNT, point.count);
    double_if(encoder, TOTAL, point.sum);
    encoder.counts(BUCKET_COUNTS, &point.bucket_counts);
    encoder.doubles(BOUNDS, &point.bounds);
    exemplars(encoder, HISTOGRAM_EXEMPLARS, metric);
    attributes(encoder, HISTOGRAM_ATTRIBUTES, metric);
    flags(encoder, HISTOGRAM_FLAGS, metric);
    double_if(encoder, HISTOGRAM_MIN, point.min);
    double_if(encoder, HISTOGRAM_MAX, point.max);
}

fn exponential<E: Encoder>(encoder: &mut E, point: &ExponentialHistogramPoint, metric: &Metric) {
    encoder.fixed64(COUNT, point.count);
    double_if(encoder, TOTAL, point.sum);
    encoder.signed(SCALE, point.scale);
    encoder.fixed64(ZERO_COUNT, point.zero_count);
    for (field, buckets) in [(POSITIVE, &point.positive), (NEGATIVE, &point.negative)] {
        encoder.message(field, |encoder| exponential_buckets(encoder, buckets));
    }
    attributes(encoder, EXPONENTIAL_ATTRIBUTES, metric);
    flags(encoder, EXPONENTIAL_FLAGS, metric);
    exemplars(encoder, EXPONENTIAL_EXEMPLARS, metric);
    double_if(encoder, EXPONENTIAL_MIN, point.min);
    double_if(encoder, EXPONENTIAL_MAX, point.max);
    encoder.double(ZERO_THRESHOLD, point.zero_threshold);
}

fn exponential_buckets<E: Encoder>(encoder: &mut E, buckets: &ExponentialBuckets) {
    encoder.signed(OFFSET, buckets.offset);
    encoder.varying_counts(OFFSET_COUNTS, &buckets.counts);
}

fn summary<E: Encoder>(encoder: &mut E, point: &SummaryPoint, metric: &Metric) {
    encoder.fixed64(COUNT, point.count);
    encoder.double(TOTAL, point.sum);
    encoder.messages(QUANTILES, &point.quantiles, |encoder, value| {
        encoder.double(QUANTILE, value.quantile);
        encoder.double(VALUE, value.value);
    });
    attributes(encoder, SUMMARY_ATTRIBUTES, metric);
    flags(encoder, SUMMARY_FLAGS, metric);
}
