//! Metrics. See the parent module.

use bumpalo::Bump;

use super::packed::{List, MetricBatch};
use super::reads::Reads;
use super::{Distinct, correlation, cost, resources, scopes};
use crate::event::records::{
    ExponentialBuckets, ExponentialHistogramPoint, Instrument, Metric, MetricNumber, MetricValue,
    OtelMetric, Temporality,
};
use crate::plugin::bindings::types as wit;

/// The batch as the guest receives it; `tokens` has one number a metric.
pub(in crate::plugin) fn metric_batch<'a>(
    arena: &'a Bump,
    metrics: &'a [Box<Metric<'a>>],
    tokens: &'a [u64],
    reads: &Reads,
) -> MetricBatch<'a> {
    let mut resource_numbers = Distinct::new();
    let mut scope_numbers = Distinct::new();
    let metrics = &*arena.alloc_slice_fill_iter(metrics.iter().map(|metric| {
        let mut lowered = wit::Metric {
            metric_id: &metric.metric_id,
            time: metric.time,
            trace_id: metric.trace_id.as_deref(),
            span_id: metric.span_id.as_deref(),
            name: &metric.name,
            value: value(arena, &metric.value),
            unit: metric.unit.as_deref(),
            labels: arena
                .alloc_slice_fill_iter(metric.labels.iter().map(|(key, value)| (&**key, &**value))),
            correlation: metric
                .correlation
                .as_ref()
                .map(|context| correlation(arena, context)),
            cost: metric.cost.as_ref().map(cost),
            metadata: metric.metadata.as_deref(),
            resource_index: metric
                .resource
                .as_ref()
                .map(|resource| resource_numbers.index(resource)),
            otel: metric.otel.as_deref().map(|otel| {
                let scope_index = otel.scope.as_ref().map(|scope| scope_numbers.index(scope));
                otel_metric(arena, otel, scope_index)
            }),
            extra: metric.extra.as_deref(),
        };
        reads.leave_out_of_metric(&mut lowered);
        lowered
    }));
    MetricBatch {
        metrics: List::new(metrics),
        tokens,
        resources: resources(arena, &resource_numbers),
        scopes: scopes(arena, &scope_numbers),
    }
}

fn value<'a>(arena: &'a Bump, value: &'a MetricValue) -> wit::MetricValue<'a> {
    match value {
        MetricValue::Single { value, instrument } => wit::MetricValue::Single(wit::Observation {
            value: *value,
            instrument: match instrument {
                Instrument::Counter => wit::Instrument::Counter,
                Instrument::Histogram => wit::Instrument::Histogram,
                Instrument::Gauge => wit::Instrument::Gauge,
            },
        }),
        MetricValue::Sum {
            value,
            temporality: kind,
            is_monotonic,
        } => wit::MetricValue::Sum(wit::SumPoint {
            value: number(*value),
            temporality: temporality(*kind),
            is_monotonic: *is_monotonic,
        }),
        MetricValue::Gauge(value) => wit::MetricValue::Gauge(number(*value)),
        MetricValue::Histogram(point) => wit::MetricValue::Histogram(wit::HistogramPoint {
            count: point.count,
            sum: point.sum,
            min: point.min,
            max: point.max,
            bucket_counts: &point.bucket_counts,
            bounds: &point.bounds,
            temporality: temporality(point.temporality),
        }),
        MetricValue::ExponentialHistogram(point) => {
            wit::MetricValue::ExponentialHistogram(exponential(point))
        }
        MetricValue::Summary(point) => wit::MetricValue::Summary(wit::SummaryPoint {
            count: point.count,
            sum: point.sum,
            quantiles: arena.alloc_slice_fill_iter(
                point
                    .quantiles
                    .iter()
                    .map(|&(quantile, value)| wit::QuantileValue { quantile, value }),
            ),
        }),
    }
}

fn exponential(point: &ExponentialHistogramPoint) -> wit::ExponentialHistogramPoint<'_> {
    wit::ExponentialHistogramPoint {
        count: point.count,
        sum: point.sum,
        min: point.min,
        max: point.max,
        scale: point.scale,
        zero_count: point.zero_count,
        zero_threshold: point.zero_threshold,
        positive: buckets(&point.positive),
        negative: buckets(&point.negative),
        temporality: temporality(point.temporality),
    }
}

fn buckets(buckets: &ExponentialBuckets) -> wit::ExponentialBuckets<'_> {
    wit::ExponentialBuckets {
        offset: buckets.offset,
        counts: &buckets.counts,
    }
}

fn number(number: MetricNumber) -> wit::MetricNumber {
    match number {
        MetricNumber::Integer(integer) => wit::MetricNumber::Integer(integer),
        MetricNumber::Floating(floating) => wit::MetricNumber::Floating(floating),
    }
}

fn temporality(temporality: Temporality) -> wit::Temporality {
    match temporality {
        Temporality::Unspecified => wit::Temporality::Unspecified,
        Temporality::Delta => wit::Temporality::Delta,
        Temporality::Cumulative => wit::Temporality::Cumulative,
    }
}

fn otel_metric<'a>(
    arena: &'a Bump,
    otel: &'a OtelMetric<'a>,
    scope_index: Option<u32>,
) -> wit::OtelMetric<'a> {
    wit::OtelMetric {
        description: otel.description.as_deref(),
        start_time: otel.start_time,
        exemplars: arena.alloc_slice_fill_iter(otel.exemplars.iter().map(|exemplar| {
            wit::Exemplar {
                time: exemplar.time,
                value: number(exemplar.value),
                trace_id: exemplar.trace_id.as_deref(),
                span_id: exemplar.span_id.as_deref(),
                filtered_attributes: exemplar.filtered_attributes.as_deref(),
            }
        })),
        metadata: otel.metadata.as_deref(),
        attributes: otel.attributes.as_deref(),
        flags: otel.flags,
        scope_index,
    }
}
