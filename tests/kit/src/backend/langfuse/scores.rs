//! Scores: the single form, the batch of the cloud, and the old ingestion batch; each against the handwritten schema and
//! the rules that it leaves open. Pure; called by the fake.
//!
//! Sources: `fern/apis/server/definition/{scores,ingestion}.yml`; PyPI langfuse 5.0.4 `api/scores/*`.

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::{SCORE, is_environment, is_time};
use crate::backend::schema::Schema;
use crate::backend::{Answer, Stored};

static SCHEMA: LazyLock<anyhow::Result<Schema>> = LazyLock::new(|| {
    let text = include_str!("../../../../schemas/langfuse-scores.schema.json");
    Schema::definition("langfuse-scores.schema.json", text, "Score")
});

/// One score: 200 with its id.
pub(super) fn single(score: &Value) -> Result<Answer, String> {
    let stored = check(score)?;
    Ok(Answer::json(200, &json!({"id": stored.id})).with_stored(vec![stored]))
}

/// A batch: 202 when all are taken, else 207 with what was not.
pub(super) fn batch(items: &[Value]) -> Answer {
    let mut stored = Vec::new();
    let mut errors = Vec::new();
    for (index, item) in items.iter().enumerate() {
        match check(item) {
            Ok(score) => stored.push(score),
            Err(reason) => errors.push(json!({"index": index, "message": reason})),
        }
    }
    if errors.is_empty() {
        return Answer::json(202, &json!({"message": "Accepted"})).with_stored(stored);
    }
    let body = json!({"accepted": stored.len(), "rejected": errors.len(), "errors": errors});
    Answer {
        stored,
        ..Answer::refusal(207, Value::Array(errors).to_string(), &body)
    }
}

/// The old batch: 207 whatever happens.
pub(super) fn legacy_batch(items: &[Value]) -> Answer {
    let mut stored = Vec::new();
    let mut successes = Vec::new();
    let mut errors = Vec::new();
    for item in items {
        let id = item.get("id").and_then(Value::as_str).unwrap_or_default();
        match check_envelope(item) {
            Ok(score) => {
                successes.push(json!({"id": id, "status": 201}));
                stored.extend(score);
            }
            Err(reason) => errors.push(
                json!({"id": id, "status": 400, "message": reason, "error": "InvalidRequestError"}),
            ),
        }
    }
    let refused = (!errors.is_empty()).then(|| Value::Array(errors.clone()).to_string());
    let answer = Answer::json(207, &json!({"successes": successes, "errors": errors}));
    Answer {
        refused,
        ..answer.with_stored(stored)
    }
}

fn check_envelope(item: &Value) -> Result<Option<Stored>, String> {
    let text = |key| {
        item.get(key)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    text("id").ok_or("id of the event is missing")?;
    let timestamp = text("timestamp").ok_or("timestamp of the event is missing")?;
    if !is_time(timestamp) {
        return Err(format!(
            "timestamp {timestamp:?} of the event is not ISO 8601"
        ));
    }
    let body = item.get("body").ok_or("body of the event is missing")?;
    match text("type") {
        Some("score-create") => check(body).map(Some),
        Some("sdk-log") => Ok(None),
        other => Err(format!(
            "event type {other:?} is not served: send spans by OTLP"
        )),
    }
}

fn check(score: &Value) -> Result<Stored, String> {
    let schema = SCHEMA
        .as_ref()
        .map_err(|error| format!("the schema is broken: {error:#}"))?;
    schema.check(score)?;
    let text = |key: &str| score.get(key).and_then(Value::as_str);
    let targets = ["traceId", "sessionId", "datasetRunId"]
        .iter()
        .filter(|key| text(key).is_some())
        .count();
    if targets != 1 {
        return Err(format!(
            "a score has exactly one of traceId, sessionId, datasetRunId, this one has {targets}"
        ));
    }
    for (key, digits) in [("traceId", 32), ("observationId", 16)] {
        if text(key).is_some_and(|id| !is_hex_id(id, digits)) {
            return Err(format!(
                "{key} {:?} is not {digits} lower-case hex digits, not all zero",
                text(key)
            ));
        }
    }
    if text("environment").is_some_and(|environment| !is_environment(environment)) {
        return Err(format!("environment {:?} is not one", text("environment")));
    }
    if text("timestamp").is_some_and(|time| !is_time(time)) {
        return Err(format!("timestamp {:?} is not a time", text("timestamp")));
    }
    if text("source") == Some("ANNOTATION") && text("configId").is_none() {
        return Err("source ANNOTATION needs a configId".to_owned());
    }
    let id = text("id").ok_or("id is missing: without it a repeat is a second score")?;
    Ok(Stored {
        kind: SCORE,
        id: id.to_owned(),
        value: score.clone(),
    })
}

fn is_hex_id(text: &str, digits: usize) -> bool {
    text.len() == digits
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        && text.bytes().any(|byte| byte != b'0')
}
