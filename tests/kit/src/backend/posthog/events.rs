//! Events: against the handwritten schema, and the rules that it leaves open. Pure; called by the fake.

use std::collections::HashSet;
use std::sync::LazyLock;

use serde_json::Value;

use super::EVENT;
use crate::backend::Stored;
use crate::backend::schema::Schema;

static SCHEMA: LazyLock<anyhow::Result<Schema>> = LazyLock::new(|| {
    let text = include_str!("../../../../schemas/posthog-batch.schema.json");
    Schema::new("posthog-batch.schema.json", text)
});

/// The events of a body.
pub(super) fn batch(body: &Value, max_event_bytes: usize) -> Result<Vec<Stored>, String> {
    let events = body.get("batch").and_then(Value::as_array);
    for event in events.into_iter().flatten() {
        check(event, max_event_bytes)?;
    }
    let schema = SCHEMA
        .as_ref()
        .map_err(|error| format!("the schema is broken: {error:#}"))?;
    schema.check(body)?;
    let mut uuids = HashSet::new();
    let mut stored = Vec::new();
    for event in events.into_iter().flatten() {
        let uuid = text(event, "uuid");
        if !uuids.insert(uuid) {
            return Err(format!("uuid {uuid} comes twice"));
        }
        stored.push(Stored {
            kind: EVENT,
            id: uuid.to_owned(),
            value: event.clone(),
        });
    }
    Ok(stored)
}

fn text<'a>(record: &'a Value, key: &str) -> &'a str {
    record.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// What is checked before the schema, whose alternatives make poor messages, and what it does not say.
fn check(event: &Value, max_bytes: usize) -> Result<(), String> {
    if event.to_string().len() > max_bytes {
        return Err(format!("an event is larger than {max_bytes} bytes"));
    }
    for key in ["event", "distinct_id", "uuid", "timestamp"] {
        if text(event, key).is_empty() {
            return Err(format!("{key} of an event is missing, empty or no text"));
        }
    }
    let timestamp = text(event, "timestamp");
    if timestamp.parse::<jiff::Timestamp>().is_err() {
        return Err(format!("timestamp {timestamp:?} is not a time with a zone"));
    }
    if text(event, "distinct_id").chars().count() > 200 {
        return Err("distinct_id is longer than 200 characters".to_owned());
    }
    check_properties(
        text(event, "event"),
        event.get("properties").ok_or("properties are missing")?,
    )
}

fn check_properties(name: &str, properties: &Value) -> Result<(), String> {
    let own = |key: &str| properties.get(key);
    let must = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_owned()) };
    let is_text = |key: &str| own(key).is_none_or(Value::is_string);
    for key in [
        "$ai_trace_id",
        "$ai_span_id",
        "$ai_parent_id",
        "$ai_span_name",
        "$ai_model",
        "$ai_provider",
    ] {
        must(is_text(key), &format!("{key} is no text"))?;
    }
    let is_known = |key: &str| own(key).is_some_and(|value| !value.is_null());
    must(is_known("$ai_trace_id"), "$ai_trace_id is missing")?;
    must(
        own("$ai_latency").is_none_or(|latency| {
            latency
                .as_f64()
                .is_some_and(|seconds| (0.0..1e7).contains(&seconds))
        }),
        "$ai_latency is no number of seconds",
    )?;
    for key in ["$ai_input", "$ai_output_choices", "$ai_tools"] {
        must(
            own(key).is_none_or(Value::is_array),
            &format!("{key} is no list"),
        )?;
    }
    for key in [
        "$ai_input_tokens",
        "$ai_output_tokens",
        "$ai_cache_read_input_tokens",
        "$ai_reasoning_tokens",
    ] {
        must(
            own(key).is_none_or(Value::is_u64),
            &format!("{key} is no count"),
        )?;
    }
    match name {
        "$ai_generation" | "$ai_embedding" => must(is_known("$ai_model"), "$ai_model is missing")?,
        "$ai_metric" => {
            must(
                !text(properties, "$ai_metric_name").is_empty(),
                "$ai_metric_name is missing",
            )?;
            must(
                own("$ai_metric_value").is_some_and(Value::is_string),
                "$ai_metric_value is no text",
            )?;
        }
        "$ai_feedback" => must(
            !text(properties, "$ai_feedback_text").is_empty(),
            "$ai_feedback_text is missing",
        )?,
        "$ai_span" | "$ai_trace" => {}
        _ => return Err(format!("event {name:?} is none of AI observability")),
    }
    must(
        own("$ai_span_id").is_none()
            || own("$ai_span_id") != own("$ai_parent_id")
            || name == "$ai_metric",
        "an event is its own parent",
    )
}
