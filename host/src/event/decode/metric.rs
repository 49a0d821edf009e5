//! Metrics.

use std::borrow::Cow;

use super::Draft;
use super::context::{correlation, cost, resource};
use super::otel::otel_metric;
use super::point::point;
use super::scan::{Fields, members};
use crate::event::EventKind;
use crate::event::fields::{
    Extra, FieldError, as_text, name_id, number, object, present, span_id, text, time, trace_id,
};
use crate::event::instrument::{Instruments, by_name};
use crate::event::records::{
    Correlation, Cost, Json, Metric, MetricValue, OtelMetric, Resource, Text,
};

#[derive(Default)]
pub(super) struct MetricFields<'a> {
    metric_id: Option<Text<'a>>,
    time: Option<u64>,
    trace_id: Option<Text<'a>>,
    span_id: Option<Text<'a>>,
    name: Option<Text<'a>>,
    value: Option<Value>,
    unit: Option<Text<'a>>,
    labels: Option<Vec<(Text<'a>, Text<'a>)>>,
    correlation: Option<Correlation<'a>>,
    cost: Option<Cost<'a>>,
    metadata: Option<Json<'a>>,
    resource: Option<Resource<'a>>,
    otel: Option<Box<OtelMetric<'a>>>,
    extra: Extra,
}

enum Value {
    Observation(f64),
    Point(MetricValue),
}

impl<'a> Fields<'a> for MetricFields<'a> {
    fn field(&mut self, key: Text<'a>, raw: &'a str) -> Result<(), FieldError> {
        match &*key {
            "metricId" => self.metric_id = name_id(&key, raw)?,
            "timestamp" => self.time = time(&key, raw)?,
            "traceId" => self.trace_id = trace_id(&key, raw)?,
            "spanId" => self.span_id = span_id(&key, raw)?,
            "name" => self.name = name_id(&key, raw)?,
            "value" if raw.starts_with('{') => self.value = point(&key, raw)?.map(Value::Point),
            "value" => self.value = number(&key, raw)?.map(Value::Observation),
            "unit" => self.unit = text(&key, raw)?,
            "labels" => self.labels = labels(&key, raw)?,
            "correlationContext" => self.correlation = correlation(&key, raw)?,
            "costContext" => self.cost = cost(&key, raw, &mut self.extra)?,
            "metadata" => self.metadata = Some(object(&key, raw)?),
            "resource" => self.resource = resource(&key, raw)?,
            "otel" => self.otel = otel_metric(&key, raw)?,
            _ => self.extra.push(&key, raw),
        }
        Ok(())
    }
}

/// An object of strings; keys are distinct afterwards.
fn labels<'a>(field: &str, raw: &'a str) -> Result<Option<Vec<(Text<'a>, Text<'a>)>>, FieldError> {
    let Some(raw) = present(raw) else {
        return Ok(None);
    };
    let mut list: Vec<(Text<'a>, Text<'a>)> = Vec::new();
    members(field, raw, |key, value| {
        let value =
            as_text(value).ok_or_else(|| FieldError::new(&key, value, "must be a string"))?;
        list.push((key, value));
        Ok(())
    })?;
    keep_last_of_each(&mut list);
    Ok(Some(list))
}

/// Of equal keys the last one stays, in the place of the first. A sender may write very many, so no quadratic search.
fn keep_last_of_each<'a>(list: &mut Vec<(Text<'a>, Text<'a>)>) {
    let mut places = std::collections::HashMap::with_capacity(list.len());
    let mut distinct: Vec<(Text<'a>, Text<'a>)> = Vec::with_capacity(list.len());
    for (key, value) in list.drain(..) {
        let place = *places.entry(key.clone()).or_insert(distinct.len());
        match distinct.get_mut(place) {
            Some((_, earlier)) => *earlier = value,
            None => distinct.push((key, value)),
        }
    }
    *list = distinct;
}

impl<'a> Draft<'a> for MetricFields<'a> {
    type Record = Metric<'a>;

    fn finish(self, _kind: EventKind) -> Result<Metric<'a>, FieldError> {
        let missing = FieldError::missing;
        let name = self.name.ok_or_else(|| missing("name"))?;
        let (instrument, _) = by_name(&name);
        Ok(Metric {
            metric_id: self.metric_id.ok_or_else(|| missing("metricId"))?,
            time: self.time.ok_or_else(|| missing("timestamp"))?,
            trace_id: self.trace_id,
            span_id: self.span_id,
            name,
            value: match self.value.ok_or_else(|| missing("value"))? {
                Value::Observation(value) => MetricValue::Single { value, instrument },
                Value::Point(point) => point,
            },
            unit: self.unit,
            labels: self.labels.ok_or_else(|| missing("labels"))?,
            correlation: self.correlation,
            cost: self.cost,
            metadata: self.metadata,
            resource: self.resource,
            otel: self.otel,
            extra: self.extra.finish(),
        })
    }
}

/// Says what a single observation is; its unit too, unless the sender did.
pub(super) fn decide_instrument(metric: &mut Metric<'_>, instruments: &Instruments) {
    if let MetricValue::Single { instrument, .. } = &mut metric.value {
        let (decided, unit) = instruments.decide(&metric.name);
        *instrument = decided;
        if metric.unit.is_none() {
            metric.unit = unit.map(|unit| Cow::Owned(unit.to_owned()));
        }
    }
}
