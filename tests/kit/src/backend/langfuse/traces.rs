//! What Langfuse makes of a span's attributes, checked: the real server maps in silence after its 200, so that a wrong
//! shape or a misspelt key would be lost without a word. Pure; called by the fake.
//!
//! Source: langfuse/langfuse @62751446 `packages/shared/src/server/otel/*`.

use serde_json::Value;

use super::{SPAN, is_environment, is_time};
use crate::backend::Stored;
use crate::backend::otlp::{check_traces, string};

/// Observation types.
const TYPES: [&str; 10] = [
    "span",
    "generation",
    "event",
    "embedding",
    "agent",
    "tool",
    "chain",
    "retriever",
    "guardrail",
    "evaluator",
];
const LEVELS: [&str; 4] = ["DEBUG", "DEFAULT", "WARNING", "ERROR"];

/// Newest value of `x-langfuse-ingestion-version` that the server knows.
const NEWEST_VERSION: u32 = 4;

/// Checks the header `x-langfuse-ingestion-version`; it may be absent.
pub(super) fn check_version(header: Option<&str>) -> Result<(), String> {
    let Some(text) = header else { return Ok(()) };
    match text.parse::<u32>() {
        Ok(version) if version <= NEWEST_VERSION => Ok(()),
        _ => Err(format!(
            "x-langfuse-ingestion-version {text:?} is not a number up to {NEWEST_VERSION}"
        )),
    }
}

/// Checks an export; one bad span refuses all.
pub(super) fn spans(body: &Value) -> Result<Vec<Stored>, String> {
    let spans = check_traces(body)?;
    if spans.is_empty() {
        return Err("there are no spans".to_owned());
    }
    for place in &spans {
        for (key, value) in place.attributes() {
            let told = |reason| {
                format!(
                    "span {:?}: attribute {key:?} {reason}",
                    place.text("spanId")
                )
            };
            check_attribute(key, value).map_err(told)?;
        }
    }
    let stored = |span: &Value, id: &str| Stored {
        kind: SPAN,
        id: id.to_owned(),
        value: span.clone(),
    };
    Ok(spans
        .iter()
        .map(|place| stored(place.span, place.text("spanId")))
        .collect())
}

fn check_attribute(key: &str, value: &Value) -> Result<(), String> {
    let Some(name) = key.strip_prefix("langfuse.") else {
        return Ok(());
    };
    let text = || string(value).ok_or_else(|| "is not a string".to_owned());
    let must = |holds: bool, what: &str| {
        if holds {
            Ok(())
        } else {
            Err(format!("is not {what}"))
        }
    };
    match name {
        "observation.type" => must(TYPES.contains(&text()?), "an observation type"),
        "observation.level" => must(LEVELS.contains(&text()?), "a level"),
        "observation.usage_details" => must(
            is_number_map(text()?, Value::is_u64),
            "JSON text of whole numbers",
        ),
        "observation.cost_details" => {
            let is_cost = |cost: &Value| cost.as_f64().is_some_and(|cost| cost >= 0.0);
            must(is_number_map(text()?, is_cost), "JSON text of costs")
        }
        "observation.model.parameters" => must(is_json_object(text()?), "JSON text of an object"),
        "observation.completion_start_time" => must(is_time(text()?), "an ISO 8601 time"),
        "observation.prompt.version" => must(value.get("intValue").is_some(), "an integer"),
        "environment" => must(
            is_environment(text()?),
            "an environment: 1-40 of a-z 0-9 _ -, not langfuse...",
        ),
        "trace.tags" => must(is_tags(value), "a list of strings, or JSON text of one"),
        "trace.public" => must(value.get("boolValue").is_some(), "a boolean"),
        "observation.status_message"
        | "observation.input"
        | "observation.output"
        | "observation.model.name"
        | "observation.prompt.name"
        | "trace.name"
        | "trace.version"
        | "trace.input"
        | "trace.output"
        | "user.id"
        | "session.id"
        | "release"
        | "version" => text().map(|_| ()),
        _ => must(is_metadata(name), "an attribute that Langfuse reads"),
    }
}

fn is_metadata(name: &str) -> bool {
    ["observation.metadata", "trace.metadata"]
        .iter()
        .any(|prefix| {
            let rest = name.strip_prefix(prefix);
            rest.is_some_and(|rest| rest.is_empty() || (rest.starts_with('.') && rest.len() > 1))
        })
}

fn is_number_map(text: &str, is_right: impl Fn(&Value) -> bool) -> bool {
    serde_json::from_str::<Value>(text).is_ok_and(|map| {
        map.as_object()
            .is_some_and(|map| map.values().all(is_right))
    })
}

fn is_json_object(text: &str) -> bool {
    serde_json::from_str::<Value>(text).is_ok_and(|value| value.is_object())
}

fn is_tags(value: &Value) -> bool {
    if let Some(text) = string(value) {
        return serde_json::from_str::<Vec<String>>(text).is_ok();
    }
    let values = value
        .pointer("/arrayValue/values")
        .and_then(Value::as_array);
    values.is_some_and(|values| values.iter().all(|value| string(value).is_some()))
}
