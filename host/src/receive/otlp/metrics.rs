//! `ExportMetricsServiceRequest`: each data point becomes a `metric` event. Attributes that are text are its labels, the
//! others stand in `otel.attributes`.

use super::messages::{
    AnyKind, Buckets, Exemplar, ExponentialHistogramDataPoint, ExportMetricsServiceRequest,
    HistogramDataPoint, KeyValue, Metric, NumberDataPoint, SummaryDataPoint,
};
use super::write::{self, Object};
use super::{Identity, Items, Shared, optional_span_id, optional_trace_id, shared};
use crate::event::EventKind;
use crate::event::fields::FieldError;

/// Hands every data point of the request to `items`.
pub(super) fn read(request: &ExportMetricsServiceRequest, items: &mut Items<'_>) {
    for group in &request.resource_metrics {
        let resource = write::resource(group.resource.as_ref(), &group.schema_url);
        for scoped in &group.scope_metrics {
            let scope = write::scope(scoped.scope.as_ref(), &scoped.schema_url);
            for metric in &scoped.metrics {
                let context = Context {
                    metric,
                    resource: &resource,
                    scope: &scope,
                };
                points(&context, items);
            }
        }
    }
}

/// What the points of a metric share.
struct Context<'m> {
    metric: &'m Metric,
    resource: &'m Shared,
    scope: &'m Shared,
}

/// What every kind of point has.
struct Head<'m> {
    attributes: &'m [KeyValue],
    start: u64,
    time: u64,
    exemplars: &'m [Exemplar],
    flags: u32,
}

macro_rules! head {
    ($point:expr, $exemplars:expr) => {
        Head {
            attributes: &$point.attributes,
            start: $point.start_time_unix_nano,
            time: $point.time_unix_nano,
            exemplars: $exemplars,
            flags: $point.flags,
        }
    };
}

fn points(context: &Context<'_>, items: &mut Items<'_>) {
    let metric = context.metric;
    if let Some(gauge) = &metric.gauge {
        for point in &gauge.data_points {
            context.add(items, point, &head!(point, &point.exemplars), |value| {
                value.text("type", "gauge");
                number(value, point)
            });
        }
    } else if let Some(sum) = &metric.sum {
        for point in &sum.data_points {
            context.add(items, point, &head!(point, &point.exemplars), |value| {
                value.text("type", "sum");
                number(value, point)?;
                value.text("temporality", temporality(sum.aggregation_temporality));
                value.boolean("isMonotonic", sum.is_monotonic);
                Ok(())
            });
        }
    } else if let Some(histogram) = &metric.histogram {
        for point in &histogram.data_points {
            context.add(items, point, &head!(point, &point.exemplars), |value| {
                self::histogram(value, point, histogram.aggregation_temporality)
            });
        }
    } else if let Some(histogram) = &metric.exponential_histogram {
        for point in &histogram.data_points {
            context.add(items, point, &head!(point, &point.exemplars), |value| {
                exponential_histogram(value, point, histogram.aggregation_temporality)
            });
        }
    } else if let Some(summary) = &metric.summary {
        for point in &summary.data_points {
            context.add(items, point, &head!(point, &[]), |value| {
                self::summary(value, point)
            });
        }
    }
}

impl Context<'_> {
    fn add(
        &self,
        items: &mut Items<'_>,
        point: &impl prost::Message,
        head: &Head<'_>,
        value: impl FnOnce(&mut Object<'_>) -> Result<(), FieldError>,
    ) {
        let identity = items.identity();
        items.add(EventKind::Metric, point, |object| {
            self.event(object, head, identity, value)
        });
    }

    fn event(
        &self,
        event: &mut Object<'_>,
        head: &Head<'_>,
        identity: Identity,
        value: impl FnOnce(&mut Object<'_>) -> Result<(), FieldError>,
    ) -> Result<(), FieldError> {
        let is_text = |attribute: &&KeyValue| {
            let value = attribute.value.as_ref();
            matches!(
                value.and_then(|value| value.value.as_ref()),
                Some(AnyKind::Text(_))
            )
        };
        let (labels, others): (Vec<&KeyValue>, Vec<&KeyValue>) =
            head.attributes.iter().partition(is_text);
        event.utf8("name", &self.metric.name)?;
        event.utf8_if("unit", &self.metric.unit)?;
        event.object("value", value)?;
        match labels.as_slice() {
            [] => event.raw("labels", "{}"),
            labels => event.attributes("labels", &owned(labels))?,
        }
        event.object("otel", |otel| {
            otel.utf8_if("description", &self.metric.description)?;
            if head.start != 0 {
                otel.time("startTime", head.start);
            }
            otel.list("exemplars", head.exemplars, |out, item| {
                write::put(out, |object| exemplar(object, item))
            })?;
            otel.attributes("metadata", &self.metric.metadata)?;
            otel.attributes("attributes", &owned(&others))?;
            otel.count("flags", head.flags);
            otel.raw_if("scope", shared(self.scope)?);
            Ok(())
        })?;
        event.raw_if("resource", shared(self.resource)?);
        identity.complete(event, "metricId", head.time);
        Ok(())
    }
}

/// Texts in it are shared, not copied.
fn owned(attributes: &[&KeyValue]) -> Vec<KeyValue> {
    attributes
        .iter()
        .map(|attribute| (*attribute).clone())
        .collect()
}

const fn temporality(temporality: i32) -> &'static str {
    match temporality {
        1 => "delta",
        2 => "cumulative",
        _ => "unspecified",
    }
}

/// Bit 0 of a point's flags: there is no value.
const NO_RECORDED_VALUE: u32 = 1;

fn number(value: &mut Object<'_>, point: &NumberDataPoint) -> Result<(), FieldError> {
    match (point.as_int, point.as_double) {
        (Some(number), _) => write::display(value.key("value"), number),
        (None, Some(number)) => value.double("value", number),
        (None, None) if point.flags & NO_RECORDED_VALUE != 0 => value.double("value", f64::NAN),
        (None, None) => {
            return Err(FieldError::new(
                "value",
                "nothing",
                "must be asDouble or asInt",
            ));
        }
    }
    Ok(())
}

fn optional(value: &mut Object<'_>, name: &str, number: Option<f64>) {
    if let Some(number) = number {
        value.double(name, number);
    }
}

fn counts(value: &mut Object<'_>, name: &str, counts: &[u64]) -> Result<(), FieldError> {
    match counts {
        [] => value.raw(name, "[]"),
        counts => value.list(name, counts, |out, count| {
            write::display(out, *count);
            Ok(())
        })?,
    }
    Ok(())
}

fn histogram(
    value: &mut Object<'_>,
    point: &HistogramDataPoint,
    kind: i32,
) -> Result<(), FieldError> {
    value.text("type", "histogram");
    value.number("count", point.count);
    optional(value, "sum", point.sum);
    optional(value, "min", point.min);
    optional(value, "max", point.max);
    counts(value, "bucketCounts", &point.bucket_counts)?;
    match point.explicit_bounds.as_slice() {
        [] => value.raw("bounds", "[]"),
        bounds => value.list("bounds", bounds, |out, bound| {
            write::double(out, *bound);
            Ok(())
        })?,
    }
    value.text("temporality", temporality(kind));
    Ok(())
}

fn exponential_histogram(
    value: &mut Object<'_>,
    point: &ExponentialHistogramDataPoint,
    kind: i32,
) -> Result<(), FieldError> {
    value.text("type", "exponentialHistogram");
    value.number("count", point.count);
    optional(value, "sum", point.sum);
    optional(value, "min", point.min);
    optional(value, "max", point.max);
    write::display(value.key("scale"), point.scale);
    value.number("zeroCount", point.zero_count);
    value.double("zeroThreshold", point.zero_threshold);
    for (name, buckets) in [("positive", &point.positive), ("negative", &point.negative)] {
        let none = Buckets::default();
        let buckets = buckets.as_ref().unwrap_or(&none);
        value.object(name, |object| {
            write::display(object.key("offset"), buckets.offset);
            counts(object, "counts", &buckets.bucket_counts)
        })?;
    }
    value.text("temporality", temporality(kind));
    Ok(())
}

fn summary(value: &mut Object<'_>, point: &SummaryDataPoint) -> Result<(), FieldError> {
    value.text("type", "summary");
    value.number("count", point.count);
    value.double("sum", point.sum);
    match point.quantile_values.as_slice() {
        [] => value.raw("quantiles", "[]"),
        quantiles => value.list("quantiles", quantiles, |out, at| {
            write::put(out, |object| {
                object.double("quantile", at.quantile);
                object.double("value", at.value);
                Ok(())
            })
        })?,
    }
    Ok(())
}

fn exemplar(object: &mut Object<'_>, exemplar: &Exemplar) -> Result<(), FieldError> {
    object.time("time", exemplar.time_unix_nano);
    match (exemplar.as_int, exemplar.as_double) {
        (Some(number), _) => write::display(object.key("value"), number),
        (None, number) => object.double("value", number.unwrap_or_default()),
    }
    if let Some(id) = optional_trace_id("traceId", &exemplar.trace_id)? {
        object.text("traceId", &id);
    }
    if let Some(id) = optional_span_id("spanId", &exemplar.span_id)? {
        object.text("spanId", &id);
    }
    object.attributes("filteredAttributes", &exemplar.filtered_attributes)
}
