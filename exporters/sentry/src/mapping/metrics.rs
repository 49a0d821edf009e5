//! Measurements as Sentry's metric items: each one value, a counter, a gauge or part of a distribution.

use mastra_exporter_sdk::ids;
use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::records::{
    Instrument, Metric, MetricBatch, MetricNumber, MetricValue, Temporality,
};
use mastra_otlp::attributes::{Attributes, Key};
use mastra_otlp::json::hex_id;

use super::{origin, resource};
use crate::config::Config;
use crate::wire::{Container, TypedAttributes, container, seconds};

/// Keeps ids made of a metric's id apart from others.
const NAMESPACE: &str = "sentry-metric";

/// Why there is no place for a measurement.
#[must_use]
pub fn skipped(metric: &Metric) -> Option<String> {
    value(metric).err().map(str::to_owned)
}

/// The envelope of a batch. Metrics of several traces share it, so that it names none.
#[must_use]
pub fn metrics(batch: &MetricBatch, config: &Config) -> Vec<u8> {
    let sent: Vec<_> = batch
        .metrics
        .iter()
        .filter_map(|metric| Some((metric, value(metric).ok()?)))
        .collect();
    let mut items = JsonText::default();
    items.array(&sent, |text, (metric, (metric_type, number))| {
        let mut object = text.object();
        seconds(&mut object, "timestamp", metric.time);
        match &metric.trace_id {
            Some(id) => hex_id(object.key("trace_id"), id, 32),
            None => {
                object.string("trace_id", &ids::trace_id(NAMESPACE, &metric.metric_id));
            }
        }
        if let Some(span_id) = &metric.span_id {
            hex_id(object.key("span_id"), span_id, 16);
        }
        object
            .string("name", &metric.name)
            .string("type", metric_type)
            .float("value", *number);
        if let Some(unit) = metric.unit.as_deref().and_then(unit) {
            object.string("unit", unit);
        }
        let mut sink = TypedAttributes::begin(object.key("attributes"));
        attributes(metric, &mut sink);
        origin(
            &mut sink,
            resource(&batch.resources, metric.resource_index),
            config,
        );
        sink.end();
        object.end();
    });
    container(Container::Metrics, &items, sent.len(), None)
}

/// Labels, names of entities, provider and model. An item has 2 KiB, so that metadata stays out.
fn attributes(metric: &Metric, sink: &mut TypedAttributes<'_>) {
    for (key, value) in &metric.labels {
        let mut name = JsonText::default();
        name.escaped(key);
        sink.text(Key::under("", name.as_str()), value);
    }
    if let Some(context) = &metric.correlation {
        sink.text_if("mastra.entity_type", context.entity.entity_type.as_ref());
        sink.text_if("mastra.entity_name", context.entity.entity_name.as_ref());
        sink.text_if(
            "mastra.root_entity_name",
            context.root_entity.entity_name.as_ref(),
        );
    }
    if let Some(cost) = &metric.cost {
        sink.text_if("gen_ai.provider.name", cost.provider.as_ref());
        sink.text_if("gen_ai.request.model", cost.model.as_ref());
    }
}

fn value(metric: &Metric) -> Result<(&'static str, f64), &'static str> {
    let float = |number: MetricNumber| match number {
        MetricNumber::Integer(number) => number as f64,
        MetricNumber::Floating(number) => number,
    };
    let (metric_type, number) = match &metric.value {
        MetricValue::Single(observation) => {
            let metric_type = match observation.instrument {
                Instrument::Counter => "counter",
                Instrument::Gauge => "gauge",
                Instrument::Histogram => "distribution",
            };
            (metric_type, observation.value)
        }
        MetricValue::Gauge(number) => ("gauge", float(*number)),
        MetricValue::Sum(sum) if sum.temporality == Temporality::Delta => {
            ("counter", float(sum.value))
        }
        MetricValue::Sum(sum) if !sum.is_monotonic => ("gauge", float(sum.value)),
        MetricValue::Sum(_) => return Err("a running total: Sentry takes single values"),
        MetricValue::Histogram(_)
        | MetricValue::ExponentialHistogram(_)
        | MetricValue::Summary(_) => {
            return Err("values aggregated elsewhere: Sentry takes single ones");
        }
    };
    if number.is_finite() {
        Ok((metric_type, number))
    } else {
        Err("a value that is no finite number")
    }
}

/// Sentry's name of a UCUM unit.
fn unit(ucum: &str) -> Option<&str> {
    Some(match ucum {
        "ns" => "nanosecond",
        "us" => "microsecond",
        "ms" => "millisecond",
        "s" => "second",
        "min" => "minute",
        "h" => "hour",
        "By" => "byte",
        "%" => "percent",
        other => return other.strip_prefix('{')?.strip_suffix('}'),
    })
}
