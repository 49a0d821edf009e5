//! Runs and feedback: against the handwritten schema, and the rules that it leaves open. Pure; called by the fake.

use std::sync::LazyLock;

use serde_json::Value;

use super::{RUN, VERDICT};
use crate::backend::Stored;
use crate::backend::schema::Schema;

const TEXT: &str = include_str!("../../../../schemas/langsmith-ingest.schema.json");
const FILE: &str = "langsmith-ingest.schema.json";

type Lazy = LazyLock<anyhow::Result<Schema>>;

static RUN_POST: Lazy = LazyLock::new(|| Schema::definition(FILE, TEXT, "RunPost"));
static RUN_MAIN: Lazy = LazyLock::new(|| Schema::definition(FILE, TEXT, "RunMain"));
static RUNS_BATCH: Lazy = LazyLock::new(|| Schema::definition(FILE, TEXT, "RunsBatch"));
static FEEDBACK: Lazy = LazyLock::new(|| Schema::definition(FILE, TEXT, "Feedback"));

fn check(schema: &Lazy, value: &Value) -> Result<(), String> {
    let schema = schema
        .as_ref()
        .map_err(|error| format!("the schema is broken: {error:#}"))?;
    schema.check(value)
}

/// The runs of `{"post": [...]}`. This server takes no patches: nothing of ours sends them.
pub(super) fn batch(body: &Value) -> Result<Vec<Stored>, String> {
    check(&RUNS_BATCH, body)?;
    let posts = body.get("post").and_then(Value::as_array);
    let posts = posts
        .filter(|posts| !posts.is_empty())
        .ok_or("post is missing or empty")?;
    posts.iter().map(run).collect()
}

/// The first part of a run in a form.
pub(super) fn head(id: &str, value: &Value) -> Result<(), String> {
    check(&RUN_MAIN, &as_documented(value))?;
    if text(value, "id") == id {
        Ok(())
    } else {
        Err(format!("part of run {id} holds another one"))
    }
}

/// A whole run.
pub(super) fn run(value: &Value) -> Result<Stored, String> {
    let run = as_documented(value);
    check(&RUN_POST, &run)?;
    let id = text(&run, "id");
    order(&run).map_err(|reason| format!("run {id}: {reason}"))?;
    Ok(Stored {
        kind: RUN,
        id: id.to_owned(),
        value: run.clone(),
    })
}

/// The official SDK sends an empty `child_runs` and, for an end that it takes from the clock, milliseconds; the server
/// takes both.
fn as_documented(value: &Value) -> Value {
    let mut run = value.clone();
    if let Some(members) = run.as_object_mut() {
        if members
            .get("child_runs")
            .and_then(Value::as_array)
            .is_some_and(Vec::is_empty)
        {
            members.shift_remove("child_runs");
        }
        let millis = members.get("end_time").and_then(Value::as_i64);
        if let Some(time) = millis.and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok())
        {
            members.insert("end_time".to_owned(), time.to_string().into());
        }
    }
    run
}

fn text<'a>(record: &'a Value, key: &str) -> &'a str {
    record.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// What `dotted_order` says must be what the other fields say.
fn order(run: &Value) -> Result<(), String> {
    let dotted = text(run, "dotted_order");
    let steps: Vec<(&str, &str)> = dotted
        .split('.')
        .filter_map(|step| step.split_once('Z'))
        .collect();
    let (stamp, id) = steps.last().copied().ok_or("dotted_order is empty")?;
    if id != text(run, "id") {
        return Err("dotted_order does not end with id".to_owned());
    }
    if steps.first().map(|(_, id)| *id) != Some(text(run, "trace_id")) {
        return Err("dotted_order does not begin with trace_id".to_owned());
    }
    let parent = steps
        .len()
        .checked_sub(2)
        .and_then(|place| steps.get(place))
        .map(|(_, id)| *id);
    if parent != run.get("parent_run_id").and_then(Value::as_str) {
        return Err("dotted_order and parent_run_id name other parents".to_owned());
    }
    if !steps.is_sorted_by_key(|(stamp, _)| *stamp) {
        return Err("dotted_order has a child before its parent".to_owned());
    }
    let mut ids: Vec<&str> = steps.iter().map(|(_, id)| *id).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.len() != steps.len() {
        return Err("dotted_order names a run twice".to_owned());
    }
    let start = time(run, "start_time")?.ok_or("start_time is missing")?;
    if start.strftime("%Y%m%dT%H%M%S%6f").to_string() != stamp {
        return Err("dotted_order and start_time tell other times".to_owned());
    }
    if time(run, "end_time")?.is_some_and(|end| end < start) {
        return Err("ends before it starts".to_owned());
    }
    if text(run, "name").is_empty() {
        return Err("name is empty".to_owned());
    }
    Ok(())
}

fn time(run: &Value, key: &str) -> Result<Option<jiff::Timestamp>, String> {
    let Some(text) = run.get(key).and_then(Value::as_str) else {
        return Ok(None);
    };
    let time = text
        .parse()
        .map_err(|_| format!("{key} {text:?} is not an ISO 8601 time"))?;
    Ok(Some(time))
}

/// Feedback on a run.
pub(super) fn feedback(value: &Value) -> Result<Stored, String> {
    check(&FEEDBACK, value)?;
    let id = text(value, "id");
    if id.is_empty() {
        return Err("id is missing: without it a repeat is a second one".to_owned());
    }
    if text(value, "run_id").is_empty() {
        return Err("run_id is missing".to_owned());
    }
    let says = ["score", "value", "comment", "correction"];
    if says
        .iter()
        .all(|key| value.get(key).is_none_or(Value::is_null))
    {
        return Err("says nothing".to_owned());
    }
    time(value, "created_at")?;
    Ok(Stored {
        kind: VERDICT,
        id: id.to_owned(),
        value: value.clone(),
    })
}
