//! OTLP metrics as a careful sender writes them (opentelemetry-proto 1.11.0 `metrics.proto`; data model
//! <https://opentelemetry.io/docs/specs/otel/metrics/data-model/>). Pure; called by the fakes.

use std::collections::HashSet;

use serde_json::Value;

use super::logs::{attributes, list, text};

/// The five kinds of data.
const KINDS: [&str; 5] = [
    "gauge",
    "sum",
    "histogram",
    "exponentialHistogram",
    "summary",
];

/// Checks an `ExportMetricsServiceRequest` and returns its metrics in order.
///
/// # Errors
/// What is wrong, and where.
pub fn check_metrics(body: &Value) -> Result<Vec<&Value>, String> {
    let mut metrics = Vec::new();
    for of_resource in list(body, "resourceMetrics")? {
        attributes(of_resource.get("resource").unwrap_or(&Value::Null))?;
        for of_scope in list(of_resource, "scopeMetrics")? {
            for metric in list(of_scope, "metrics")? {
                check(metric)
                    .map_err(|reason| format!("metric {:?}: {reason}", text(metric, "name")))?;
                metrics.push(metric);
            }
        }
    }
    if metrics.is_empty() {
        return Err("there are no metrics".to_owned());
    }
    Ok(metrics)
}

fn check(metric: &Value) -> Result<(), String> {
    if text(metric, "name").is_empty() {
        return Err("it has no name".to_owned());
    }
    let mut kinds = KINDS.iter().filter(|kind| metric.get(**kind).is_some());
    let (Some(kind), None) = (kinds.next(), kinds.next()) else {
        return Err("it has not exactly one kind of data".to_owned());
    };
    let data = metric.get(*kind).unwrap_or(&Value::Null);
    let temporality = data
        .get("aggregationTemporality")
        .map_or(Some(0), Value::as_u64);
    let has_temporality = !matches!(*kind, "gauge" | "summary");
    if has_temporality && !matches!(temporality, Some(1 | 2)) {
        return Err("aggregationTemporality is neither 1 nor 2".to_owned());
    }
    let mut seen = HashSet::new();
    for point in list(data, "dataPoints")? {
        attributes(point)?;
        let identity = (
            point.get("attributes").map(Value::to_string),
            nanos(point, "timeUnixNano")?,
        );
        if !seen.insert(identity) {
            return Err("a point is there twice".to_owned());
        }
        check_times(point, has_temporality)?;
        match *kind {
            "gauge" => {
                number(point)?;
            }
            "sum" => {
                let is_monotonic = data.get("isMonotonic") == Some(&Value::Bool(true));
                if number(point)? < 0.0 && is_monotonic {
                    return Err("a sum that only rises is negative".to_owned());
                }
            }
            "histogram" => histogram(point)?,
            _ => {
                nanos(point, "count")?;
            }
        }
    }
    if seen.is_empty() {
        return Err("it has no points".to_owned());
    }
    Ok(())
}

fn check_times(point: &Value, needs_start: bool) -> Result<(), String> {
    let time = nanos(point, "timeUnixNano")?;
    if time == 0 {
        return Err("timeUnixNano is zero".to_owned());
    }
    match point.get("startTimeUnixNano") {
        None if needs_start => Err("startTimeUnixNano is missing".to_owned()),
        None => Ok(()),
        Some(_) if nanos(point, "startTimeUnixNano")? >= time && needs_start => {
            Err("the point ends before it starts".to_owned())
        }
        Some(_) => Ok(()),
    }
}

/// A 64-bit number as text or number.
fn nanos(owner: &Value, key: &str) -> Result<u64, String> {
    let value = owner.get(key).ok_or_else(|| format!("{key} is missing"))?;
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    number.ok_or_else(|| format!("{key} {value} is no 64-bit number"))
}

fn number(point: &Value) -> Result<f64, String> {
    match (point.get("asInt"), point.get("asDouble")) {
        (Some(integer), None) => integer
            .as_i64()
            .or_else(|| integer.as_str()?.parse().ok())
            .map(|integer| integer as f64)
            .ok_or_else(|| "asInt is no 64-bit number".to_owned()),
        (None, Some(double)) => double
            .as_f64()
            .ok_or_else(|| "asDouble is no number".to_owned()),
        _ => Err("a point has not exactly one of asInt and asDouble".to_owned()),
    }
}

fn histogram(point: &Value) -> Result<(), String> {
    let count = nanos(point, "count")?;
    let none = Vec::new();
    let array = |key| point.get(key).and_then(Value::as_array).unwrap_or(&none);
    let (counts, bounds) = (array("bucketCounts"), array("explicitBounds"));
    if counts.is_empty() && bounds.is_empty() {
        return Ok(());
    }
    if counts.len() != bounds.len() + 1 {
        return Err("bucketCounts is not one longer than explicitBounds".to_owned());
    }
    let rises = bounds
        .windows(2)
        .all(|pair| matches!(pair, [low, high] if low.as_f64() < high.as_f64()));
    if !rises {
        return Err("explicitBounds does not rise".to_owned());
    }
    let total = counts.iter().try_fold(0_u64, |total, count| {
        let count = count.as_u64().or_else(|| count.as_str()?.parse().ok());
        total.checked_add(count?)
    });
    if total != Some(count) {
        return Err("the counts of the buckets do not add up to count".to_owned());
    }
    Ok(())
}
