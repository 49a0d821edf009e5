//! Rows and feedback: against the handwritten schema, and the rules that it leaves open. Pure; called by the fake.

use std::collections::HashSet;
use std::sync::LazyLock;

use serde_json::Value;

use super::{FEEDBACK, ROW};
use crate::backend::Stored;
use crate::backend::schema::Schema;

const TEXT: &str = include_str!("../../../../schemas/braintrust-logs.schema.json");
const FILE: &str = "braintrust-logs.schema.json";

static INSERT: LazyLock<anyhow::Result<Schema>> =
    LazyLock::new(|| Schema::definition(FILE, TEXT, "InsertEvents"));
static LOGS3: LazyLock<anyhow::Result<Schema>> =
    LazyLock::new(|| Schema::definition(FILE, TEXT, "Logs3"));
static FEEDBACKS: LazyLock<anyhow::Result<Schema>> =
    LazyLock::new(|| Schema::definition(FILE, TEXT, "Feedback"));

/// Which body it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Definition {
    /// `{"events": [...]}`
    Insert,
    /// `{"rows": [...], "api_version": 2}`
    Logs3,
    /// `{"feedback": [...]}`
    Feedback,
}

/// The records of a body.
pub(super) fn check(definition: Definition, body: &Value) -> Result<Vec<Stored>, String> {
    let (schema, list, kind) = match definition {
        Definition::Insert => (&INSERT, "events", ROW),
        Definition::Logs3 => (&LOGS3, "rows", ROW),
        Definition::Feedback => (&FEEDBACKS, "feedback", FEEDBACK),
    };
    let schema = schema
        .as_ref()
        .map_err(|error| format!("the schema is broken: {error:#}"))?;
    schema.check(body)?;
    let records = body.get(list).and_then(Value::as_array);
    let records = records.ok_or_else(|| format!("{list} is missing"))?;
    let mut ids = HashSet::new();
    let mut stored = Vec::new();
    for record in records {
        let id = text(record, "id").filter(|id| !id.is_empty());
        let id = id.ok_or("id is empty")?;
        if kind == ROW {
            row(record).map_err(|reason| format!("row {id:?}: {reason}"))?;
            if definition == Definition::Insert && !ids.insert(id.to_owned()) {
                return Err(format!("row {id:?} comes twice in one request"));
            }
        } else {
            feedback(record).map_err(|reason| format!("feedback on {id:?}: {reason}"))?;
        }
        stored.push(Stored {
            kind,
            id: id.to_owned(),
            value: record.clone(),
        });
    }
    Ok(stored)
}

fn text<'a>(record: &'a Value, key: &str) -> Option<&'a str> {
    record.get(key).and_then(Value::as_str)
}

fn row(record: &Value) -> Result<(), String> {
    if ["span_id", "root_span_id"]
        .iter()
        .any(|key| text(record, key) == Some(""))
    {
        return Err("span_id or root_span_id is empty".to_owned());
    }
    if let Some(created) = text(record, "created")
        && created.parse::<jiff::Timestamp>().is_err()
    {
        return Err(format!("created {created:?} is not an ISO 8601 time"));
    }
    let parents = record.get("span_parents").and_then(Value::as_array);
    let own = record.get("span_id");
    if parents.is_some_and(|parents| parents.iter().any(|parent| Some(parent) == own)) {
        return Err("is its own parent".to_owned());
    }
    let metric = |name: &str| {
        record
            .pointer(&format!("/metrics/{name}"))
            .and_then(Value::as_f64)
    };
    if let (Some(start), Some(end)) = (metric("start"), metric("end"))
        && end < start
    {
        return Err("ends before it starts".to_owned());
    }
    let counts = ["prompt_tokens", "completion_tokens", "tokens"];
    if counts
        .iter()
        .any(|name| metric(name).is_some_and(|count| count < 0.0 || count.fract() != 0.0))
    {
        return Err("tokens are whole numbers".to_owned());
    }
    Ok(())
}

fn feedback(record: &Value) -> Result<(), String> {
    let is_told = |key: &str| match record.get(key) {
        None | Some(Value::Null) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::Object(members)) => !members.is_empty(),
        Some(_) => true,
    };
    if ["scores", "expected", "comment", "tags"]
        .iter()
        .any(|key| is_told(key))
    {
        Ok(())
    } else {
        Err("says nothing".to_owned())
    }
}
