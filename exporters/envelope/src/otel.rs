//! What OTLP senders know and Mastra lacks, spelled as the host reads it from event JSON (`host/src/event/decode`).

use mastra_exporter_sdk::json::{JsonText, Object};
use mastra_exporter_sdk::records::{
    EventResource, EventScope, Exemplar, ExponentialBuckets, ExponentialHistogramPoint,
    HistogramPoint, MetricNumber, MetricValue, OtelLog, OtelMetric, OtelSpan, SpanEvent, SpanKind,
    SpanLink, StatusCode, SummaryPoint, Temporality,
};

/// `resource`, when it says more than what the host reads from Mastra's own contexts.
pub(super) fn resource(record: &mut Object<'_>, resource: Option<&EventResource>) {
    let Some(from) = resource else { return };
    let is_plain = from.service_version.is_none()
        && from.project_id.is_none()
        && from.attributes.is_none()
        && from.schema_url.is_none()
        && from.dropped_attributes_count == 0
        && from.extra.is_none();
    if is_plain {
        return;
    }
    let mut object = record.key("resource").object();
    object.string_if("serviceName", from.service_name.as_ref());
    object.string_if("serviceVersion", from.service_version.as_ref());
    object
        .string_if("environment", from.environment.as_ref())
        .string_if("projectId", from.project_id.as_ref());
    object
        .raw_if("attributes", from.attributes.as_ref())
        .string_if("schemaUrl", from.schema_url.as_ref());
    count(
        &mut object,
        "droppedAttributesCount",
        from.dropped_attributes_count,
    );
    if let Some(extra) = &from.extra {
        object.members(extra);
    }
    object.end();
}

fn scope(record: &mut Object<'_>, scope: Option<&EventScope>) {
    let Some(from) = scope else { return };
    let mut object = record.key("scope").object();
    object
        .string("name", &from.name)
        .string_if("version", from.version.as_ref());
    object
        .raw_if("attributes", from.attributes.as_ref())
        .string_if("schemaUrl", from.schema_url.as_ref());
    count(
        &mut object,
        "droppedAttributesCount",
        from.dropped_attributes_count,
    );
    if let Some(extra) = &from.extra {
        object.members(extra);
    }
    object.end();
}

/// Counts and flags of zero are left out.
fn count(object: &mut Object<'_>, name: &str, value: u32) {
    if value != 0 {
        object.unsigned(name, u64::from(value));
    }
}

pub(super) fn span(text: &mut JsonText, from: &OtelSpan, of_scope: Option<&EventScope>) {
    let mut object = text.object();
    object.string(
        "kind",
        match from.kind {
            SpanKind::Unspecified => "unspecified",
            SpanKind::Internal => "internal",
            SpanKind::Server => "server",
            SpanKind::Client => "client",
            SpanKind::Producer => "producer",
            SpanKind::Consumer => "consumer",
        },
    );
    let mut status = object.key("status").object();
    status.string(
        "code",
        match from.status.code {
            StatusCode::Unset => "unset",
            StatusCode::Ok => "ok",
            StatusCode::Error => "error",
        },
    );
    status.string("message", &from.status.message);
    status.end();
    object.string_if("traceState", from.trace_state.as_ref());
    count(&mut object, "flags", from.flags);
    object.key("links").array(&from.links, link);
    object.key("events").array(&from.events, event);
    count(
        &mut object,
        "droppedAttributesCount",
        from.dropped_attributes_count,
    );
    count(&mut object, "droppedEventsCount", from.dropped_events_count);
    count(&mut object, "droppedLinksCount", from.dropped_links_count);
    scope(&mut object, of_scope);
    object.end();
}

fn link(text: &mut JsonText, from: &SpanLink) {
    let mut object = text.object();
    object
        .string("traceId", &from.trace_id)
        .string("spanId", &from.span_id);
    object
        .string_if("traceState", from.trace_state.as_ref())
        .raw_if("attributes", from.attributes.as_ref());
    count(
        &mut object,
        "droppedAttributesCount",
        from.dropped_attributes_count,
    );
    count(&mut object, "flags", from.flags);
    object.end();
}

fn event(text: &mut JsonText, from: &SpanEvent) {
    let mut object = text.object();
    object
        .time("time", from.time)
        .string("name", &from.name)
        .raw_if("attributes", from.attributes.as_ref());
    count(
        &mut object,
        "droppedAttributesCount",
        from.dropped_attributes_count,
    );
    object.end();
}

pub(super) fn log(text: &mut JsonText, from: &OtelLog, of_scope: Option<&EventScope>) {
    let mut object = text.object();
    object.unsigned("severityNumber", u64::from(from.severity_number));
    object
        .string_if("severityText", from.severity_text.as_ref())
        .raw_if("body", from.body.as_ref());
    object.string_if("eventName", from.event_name.as_ref());
    if let Some(time) = from.observed_time {
        object.time("observedTime", time);
    }
    count(&mut object, "flags", from.flags);
    object.raw_if("attributes", from.attributes.as_ref());
    count(
        &mut object,
        "droppedAttributesCount",
        from.dropped_attributes_count,
    );
    scope(&mut object, of_scope);
    object.end();
}

pub(super) fn metric(text: &mut JsonText, from: &OtelMetric, of_scope: Option<&EventScope>) {
    let mut object = text.object();
    object.string_if("description", from.description.as_ref());
    if let Some(time) = from.start_time {
        object.time("startTime", time);
    }
    object.key("exemplars").array(&from.exemplars, exemplar);
    object
        .raw_if("metadata", from.metadata.as_ref())
        .raw_if("attributes", from.attributes.as_ref());
    count(&mut object, "flags", from.flags);
    scope(&mut object, of_scope);
    object.end();
}

fn exemplar(text: &mut JsonText, from: &Exemplar) {
    let mut object = text.object();
    object.time("time", from.time);
    number(object.key("value"), &from.value);
    object
        .string_if("traceId", from.trace_id.as_ref())
        .string_if("spanId", from.span_id.as_ref());
    object.raw_if("filteredAttributes", from.filtered_attributes.as_ref());
    object.end();
}

/// A number for a single observation, else an object with the point's type.
pub(super) fn metric_value(text: &mut JsonText, value: &MetricValue) {
    let mut object = match value {
        MetricValue::Single(observation) => {
            single(text, observation.value);
            return;
        }
        _ => text.object(),
    };
    match value {
        MetricValue::Single(_) => {}
        MetricValue::Sum(point) => {
            object.string("type", "sum");
            number(object.key("value"), &point.value);
            object
                .string("temporality", temporality(point.temporality))
                .boolean("isMonotonic", point.is_monotonic);
        }
        MetricValue::Gauge(value) => {
            object.string("type", "gauge");
            number(object.key("value"), value);
        }
        MetricValue::Histogram(point) => histogram(&mut object, point),
        MetricValue::ExponentialHistogram(point) => exponential(&mut object, point),
        MetricValue::Summary(point) => summary(&mut object, point),
    }
    object.end();
}

fn histogram(object: &mut Object<'_>, point: &HistogramPoint) {
    object
        .string("type", "histogram")
        .unsigned("count", point.count);
    spread(
        object,
        [("sum", point.sum), ("min", point.min), ("max", point.max)],
    );
    object
        .key("bucketCounts")
        .array(&point.bucket_counts, |text, count| {
            text.unsigned(*count);
        });
    object
        .key("bounds")
        .array(&point.bounds, |text, bound| floating(text, *bound));
    object.string("temporality", temporality(point.temporality));
}

fn exponential(object: &mut Object<'_>, point: &ExponentialHistogramPoint) {
    object
        .string("type", "exponentialHistogram")
        .unsigned("count", point.count);
    spread(
        object,
        [("sum", point.sum), ("min", point.min), ("max", point.max)],
    );
    object
        .signed("scale", i64::from(point.scale))
        .unsigned("zeroCount", point.zero_count);
    floating(object.key("zeroThreshold"), point.zero_threshold);
    buckets(object.key("positive"), &point.positive);
    buckets(object.key("negative"), &point.negative);
    object.string("temporality", temporality(point.temporality));
}

fn summary(object: &mut Object<'_>, point: &SummaryPoint) {
    object
        .string("type", "summary")
        .unsigned("count", point.count);
    floating(object.key("sum"), point.sum);
    object
        .key("quantiles")
        .array(&point.quantiles, |text, quantile| {
            let mut object = text.object();
            floating(object.key("quantile"), quantile.quantile);
            floating(object.key("value"), quantile.value);
            object.end();
        });
}

fn spread(object: &mut Object<'_>, values: [(&str, Option<f64>); 3]) {
    for (name, value) in values {
        if let Some(value) = value {
            floating(object.key(name), value);
        }
    }
}

fn buckets(text: &mut JsonText, from: &ExponentialBuckets) {
    let mut object = text.object();
    object.signed("offset", i64::from(from.offset));
    object.key("counts").array(&from.counts, |text, count| {
        text.unsigned(*count);
    });
    object.end();
}

const fn temporality(temporality: Temporality) -> &'static str {
    match temporality {
        Temporality::Unspecified => "unspecified",
        Temporality::Delta => "delta",
        Temporality::Cumulative => "cumulative",
    }
}

fn number(text: &mut JsonText, number: &MetricNumber) {
    match number {
        MetricNumber::Integer(integer) => {
            text.signed(*integer);
        }
        MetricNumber::Floating(float) => floating(text, *float),
    }
}

/// Mastra's own numbers, as JavaScript writes them.
fn single(text: &mut JsonText, value: f64) {
    if value.is_finite() {
        text.float(value);
    } else {
        floating(text, value);
    }
}

/// A number that reads back as floating: with a fraction or exponent, or a word for what JSON numbers cannot say.
fn floating(text: &mut JsonText, value: f64) {
    if value.is_nan() {
        text.raw("\"NaN\"");
    } else if value.is_infinite() {
        text.raw(if value > 0.0 {
            "\"Infinity\""
        } else {
            "\"-Infinity\""
        });
    } else if value.fract() == 0.0 && value.abs() < 1e15 {
        text.float(value).raw(".0");
    } else {
        text.raw(&format!("{value:e}"));
    }
}
