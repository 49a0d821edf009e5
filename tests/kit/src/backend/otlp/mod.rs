//! OTLP requests as a careful sender writes them, in either encoding: our schema, then what no schema can say. Shared by
//! the fakes of every vendor that takes OTLP. Pure.
//!
//! Sources: OTLP specification 1.11.0, section OTLP/HTTP; trace.proto, logs.proto, metrics.proto and common.proto.

pub mod logs;
pub mod metrics;
pub mod wire;

use std::collections::HashSet;
use std::sync::LazyLock;

use serde_json::Value;

pub use self::logs::check_logs;
pub use self::metrics::check_metrics;
use super::schema::Schema;

static TRACES: LazyLock<anyhow::Result<Schema>> = LazyLock::new(|| {
    Schema::new(
        "otlp-traces.schema.json",
        include_str!("../../../../schemas/otlp-traces.schema.json"),
    )
});

/// A span in its place.
#[derive(Clone, Copy, Debug)]
pub struct SpanInPlace<'a> {
    /// The `resource` object; null when there is none.
    pub resource: &'a Value,
    /// The `scope` object; null when there is none.
    pub scope: &'a Value,
    /// The span.
    pub span: &'a Value,
}

impl<'a> SpanInPlace<'a> {
    /// A text of the span; empty when absent.
    #[must_use]
    pub fn text(&self, key: &str) -> &'a str {
        self.span
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// The span's attributes: key and `AnyValue`.
    pub fn attributes(&self) -> impl Iterator<Item = (&'a str, &'a Value)> {
        attributes(self.span)
    }
}

/// The attributes of a resource, scope, span, event or link: key and `AnyValue`.
pub fn attributes(owner: &Value) -> impl Iterator<Item = (&str, &Value)> {
    list(owner, "attributes")
        .iter()
        .filter_map(|pair| Some((pair.get("key")?.as_str()?, pair.get("value")?)))
}

/// An `AnyValue`'s string.
#[must_use]
pub fn string(value: &Value) -> Option<&str> {
    value.get("stringValue").and_then(Value::as_str)
}

fn list<'a>(owner: &'a Value, key: &str) -> &'a [Value] {
    owner
        .get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// Checks an `ExportTraceServiceRequest` and returns its spans in order.
///
/// # Errors
/// What is wrong, and where.
pub fn check_traces(body: &Value) -> Result<Vec<SpanInPlace<'_>>, String> {
    let schema = TRACES
        .as_ref()
        .map_err(|error| format!("the schema is broken: {error:#}"))?;
    schema.check(body)?;
    let mut spans = Vec::new();
    for resource_spans in list(body, "resourceSpans") {
        let resource = resource_spans.get("resource").unwrap_or(&Value::Null);
        check_attributes(resource, "resource")?;
        for scope_spans in list(resource_spans, "scopeSpans") {
            let scope = scope_spans.get("scope").unwrap_or(&Value::Null);
            check_attributes(scope, "scope")?;
            for span in list(scope_spans, "spans") {
                let place = SpanInPlace {
                    resource,
                    scope,
                    span,
                };
                check_span(place)
                    .map_err(|reason| format!("span {:?}: {reason}", place.text("spanId")))?;
                spans.push(place);
            }
        }
    }
    Ok(spans)
}

fn check_span(place: SpanInPlace<'_>) -> Result<(), String> {
    let start = nanos(place.span, "startTimeUnixNano")?;
    let end = nanos(place.span, "endTimeUnixNano")?;
    if end < start {
        return Err(format!(
            "endTimeUnixNano {end} is before startTimeUnixNano {start}"
        ));
    }
    if place.text("parentSpanId") == place.text("spanId") {
        return Err("the span is its own parent".to_owned());
    }
    check_attributes(place.span, "span")?;
    for event in list(place.span, "events") {
        nanos(event, "timeUnixNano")?;
        check_attributes(event, "event")?;
    }
    list(place.span, "links")
        .iter()
        .try_for_each(|link| check_attributes(link, "link"))
}

/// A time, as text or number, that fits in 64 bits. The schema has checked its shape.
fn nanos(owner: &Value, key: &str) -> Result<u64, String> {
    let value = owner.get(key).ok_or_else(|| format!("{key} is missing"))?;
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    number.ok_or_else(|| format!("{key} {value} does not fit in 64 bits"))
}

fn check_attributes(owner: &Value, what: &str) -> Result<(), String> {
    let mut seen = HashSet::new();
    for (key, value) in attributes(owner) {
        if !seen.insert(key) {
            return Err(format!("{what} has attribute {key:?} twice"));
        }
        check_value(value).map_err(|reason| format!("{what} attribute {key:?}: {reason}"))?;
    }
    Ok(())
}

/// What the schema leaves open of an `AnyValue`: 64-bit range, key lists without repeats.
fn check_value(value: &Value) -> Result<(), String> {
    if let Some(integer) = value.get("intValue") {
        let fits = integer.is_i64()
            || integer
                .as_str()
                .is_some_and(|text| text.parse::<i64>().is_ok());
        if !fits {
            return Err(format!("intValue {integer} does not fit in 64 bits"));
        }
    }
    if let Some(array) = value.get("arrayValue") {
        list(array, "values").iter().try_for_each(check_value)?;
    }
    if let Some(pairs) = value.get("kvlistValue") {
        let mut seen = HashSet::new();
        for pair in list(pairs, "values") {
            let key = pair.get("key").and_then(Value::as_str).unwrap_or_default();
            if !seen.insert(key) {
                return Err(format!("kvlistValue has {key:?} twice"));
            }
            pair.get("value").map_or(Ok(()), check_value)?;
        }
    }
    Ok(())
}
