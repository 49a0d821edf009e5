//! Aggregated metric points and exemplars, in the spelling of our own event JSON.

use super::otel::{Members, strict, whole_number};
use crate::event::fields::{self, FieldError, as_number, as_text, present};
use crate::event::records::{
    Exemplar, ExponentialBuckets, ExponentialHistogramPoint, HistogramPoint, MetricNumber,
    MetricValue, SummaryPoint, Temporality,
};

const TEMPORALITIES: [(&str, Temporality); 3] = [
    ("unspecified", Temporality::Unspecified),
    ("delta", Temporality::Delta),
    ("cumulative", Temporality::Cumulative),
];

/// The `value` of a metric when it is an object.
pub(super) fn point(field: &str, raw: &str) -> Result<Option<MetricValue>, FieldError> {
    strict(field, raw, |from| {
        let kind = from.required("type", fields::text)?;
        match &*kind {
            "sum" => Ok(MetricValue::Sum {
                value: from.required("value", metric_number)?,
                temporality: temporality(from)?,
                is_monotonic: from.get("isMonotonic", fields::boolean)?.unwrap_or(false),
            }),
            "gauge" => from
                .required("value", metric_number)
                .map(MetricValue::Gauge),
            "histogram" => histogram(from).map(MetricValue::Histogram),
            "exponentialHistogram" => exponential(from).map(MetricValue::ExponentialHistogram),
            "summary" => summary(from).map(MetricValue::Summary),
            other => Err(FieldError::new(
                "type",
                other,
                "must be one of sum, gauge, histogram, exponentialHistogram, summary",
            )),
        }
    })
}

fn temporality(from: &mut Members<'_>) -> Result<Temporality, FieldError> {
    from.word("temporality", &TEMPORALITIES, Temporality::Unspecified)
}

fn histogram(from: &mut Members<'_>) -> Result<HistogramPoint, FieldError> {
    let raw_counts = from.take("bucketCounts");
    let bucket_counts = counts("bucketCounts", raw_counts)?;
    let bounds = from.list("bounds", |raw| {
        as_number(raw).ok_or_else(|| FieldError::new("", raw, "must be a finite number"))
    })?;
    let is_empty = bucket_counts.is_empty() && bounds.is_empty();
    if !is_empty && bucket_counts.len() != bounds.len() + 1 {
        let reason = format!(
            "must have one number more than bounds, which has {}",
            bounds.len()
        );
        return Err(FieldError::new(
            "bucketCounts",
            raw_counts.unwrap_or("nothing"),
            reason,
        ));
    }
    if !bounds.is_sorted() {
        return Err(FieldError::new("bounds", "", "must rise"));
    }
    Ok(HistogramPoint {
        count: from.required("count", whole_number)?,
        sum: from.get("sum", double)?,
        min: from.get("min", double)?,
        max: from.get("max", double)?,
        bucket_counts,
        bounds,
        temporality: temporality(from)?,
    })
}

fn exponential(from: &mut Members<'_>) -> Result<ExponentialHistogramPoint, FieldError> {
    Ok(ExponentialHistogramPoint {
        count: from.required("count", whole_number)?,
        sum: from.get("sum", double)?,
        min: from.get("min", double)?,
        max: from.get("max", double)?,
        scale: from.required("scale", integer)?,
        zero_count: from.get("zeroCount", whole_number)?.unwrap_or(0),
        zero_threshold: from.get("zeroThreshold", double)?.unwrap_or(0.0),
        positive: from.get("positive", buckets)?.unwrap_or_default(),
        negative: from.get("negative", buckets)?.unwrap_or_default(),
        temporality: temporality(from)?,
    })
}

fn buckets(field: &str, raw: &str) -> Result<Option<ExponentialBuckets>, FieldError> {
    strict(field, raw, |from| {
        Ok(ExponentialBuckets {
            offset: from.get("offset", integer)?.unwrap_or(0),
            counts: counts("counts", from.take("counts"))?,
        })
    })
}

fn summary(from: &mut Members<'_>) -> Result<SummaryPoint, FieldError> {
    Ok(SummaryPoint {
        count: from.required("count", whole_number)?,
        sum: from.required("sum", double)?,
        quantiles: from.list("quantiles", |raw| {
            super::otel::strict_element(raw, |from| {
                Ok((
                    from.required("quantile", double)?,
                    from.required("value", double)?,
                ))
            })
        })?,
    })
}

/// An exemplar of a point.
pub(super) fn exemplar<'a>(from: &mut Members<'a>) -> Result<Exemplar<'a>, FieldError> {
    Ok(Exemplar {
        time: from.required("time", fields::time)?,
        value: from.required("value", metric_number)?,
        trace_id: from.get("traceId", fields::trace_id)?,
        span_id: from.get("spanId", fields::span_id)?,
        filtered_attributes: from.object("filteredAttributes")?,
    })
}

fn counts(field: &str, raw: Option<&str>) -> Result<Vec<u64>, FieldError> {
    let Some(raw) = raw.and_then(present) else {
        return Ok(Vec::new());
    };
    super::scan::elements(field, raw, |item| {
        fields::as_count(item).ok_or_else(|| FieldError::new("", item, "must be a whole number"))
    })
}

fn integer(field: &str, raw: &str) -> Result<Option<i32>, FieldError> {
    let Some(raw) = present(raw) else {
        return Ok(None);
    };
    raw.parse()
        .map(Some)
        .map_err(|_| FieldError::new(field, raw, "must be a whole number of at most 32 bits"))
}

fn double(field: &str, raw: &str) -> Result<Option<f64>, FieldError> {
    let Some(raw) = present(raw) else {
        return Ok(None);
    };
    as_number(raw)
        .or_else(|| not_finite(raw))
        .map(Some)
        .ok_or_else(|| {
            FieldError::new(
                field,
                raw,
                "must be a number, \"NaN\", \"Infinity\" or \"-Infinity\"",
            )
        })
}

fn metric_number(field: &str, raw: &str) -> Result<Option<MetricNumber>, FieldError> {
    if let Ok(value) = raw.parse::<i64>() {
        return Ok(Some(MetricNumber::Integer(value)));
    }
    Ok(double(field, raw)?.map(MetricNumber::Floating))
}

fn not_finite(raw: &str) -> Option<f64> {
    match &*as_text(raw)? {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}
