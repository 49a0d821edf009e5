//! What we write for the recorded events, beside what the official exporter wrote for them.
//!
//! The official exporter speaks the internal wire of dd-trace, we the documented API. Both sides are brought to the
//! internal spelling of a span; what only the internal envelope has (`_dd`, `_dd.stage`, `_dd.tracer_version`, the tag
//! `ddtrace.version`, `event_type`: how dd-trace talks to its own intake) has no counterpart in the API and is not
//! compared. Tags are sets of `key:value` and are compared by key.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use kit::exporter::recorded_ended;
use kit::paths;
use std::collections::BTreeMap;
use std::path::Path;

use datadog_exporter::Datadog;
use kit::corpus::{Item, Recording};
use mastra_exporter_sdk::http::Request;
use mastra_exporter_sdk::http::testing::{status, with_backend};
use mastra_exporter_sdk::records::SendResult;
use mastra_exporter_sdk::test_support::Batches;
use mastra_exporter_sdk::{Exporter, Scores, Traces};
use serde_json::{Value, json};

/// The official options, as our settings.
fn exporter(config: &Value) -> Datadog {
    let keys = config["requestContextKeys"].as_array();
    let keys: Vec<&str> = keys
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let settings = json!({
        "api_key": "{secret:1}",
        "ml_app": config["mlApp"],
        "service": config["service"],
        "env": config["env"],
        "request_context_keys": keys.join(","),
    });
    Datadog::configure(serde_json::from_value(settings).unwrap()).unwrap()
}

fn bodies(send: impl FnOnce() -> SendResult) -> Vec<Value> {
    let (_, requests): (_, Vec<Request>) = with_backend(|_| Ok(status(202)), send);
    requests
        .iter()
        .map(|request| serde_json::from_slice(&request.body).unwrap())
        .collect()
}

fn tag_map(record: &mut Value) {
    let tags = record["tags"].as_array().unwrap().clone();
    let pairs = tags.iter().map(|tag| {
        let (key, value) = tag.as_str().unwrap().split_once(':').unwrap();
        (key.to_owned(), Value::from(value))
    });
    record["tags"] = Value::Object(pairs.collect());
}

/// The spelling of the internal wire.
fn internal(mut span: Value) -> Value {
    let meta = span["meta"].as_object_mut().unwrap();
    let kind = meta.remove("kind").unwrap();
    meta.insert("span.kind".to_owned(), kind);
    if let Some(error) = meta.remove("error") {
        for (key, value) in error.as_object().unwrap() {
            meta.insert(format!("error.{key}"), value.clone());
        }
    }
    tag_map(&mut span);
    span
}

/// How recordings name a span: its ids differ from run to run.
fn span_key(span: &Value) -> String {
    format!("{}|{}", span["name"].as_str().unwrap(), span["start_ns"])
}

fn our_items(exporter: &Datadog, events: &Batches) -> Vec<Item> {
    let mut spans = Vec::new();
    for body in bodies(|| exporter.send_spans(&events.spans)) {
        spans.extend(
            body["data"]["attributes"]["spans"]
                .as_array()
                .unwrap()
                .clone(),
        );
    }
    let keys: BTreeMap<String, String> = spans
        .iter()
        .map(|span| (span["span_id"].as_str().unwrap().to_owned(), span_key(span)))
        .collect();
    let mut items = Vec::new();
    for span in spans {
        let key = span_key(&span);
        let parent = span["parent_id"].as_str().unwrap();
        let parent = keys
            .get(parent)
            .cloned()
            .unwrap_or_else(|| parent.to_owned());
        let mut value = internal(span);
        value["_parent"] = parent.into();
        let kind = "datadog.span".to_owned();
        items.push(Item { kind, key, value });
    }
    for body in bodies(|| exporter.send_scores(&events.scores)) {
        for mut value in body["data"]["attributes"]["metrics"]
            .as_array()
            .unwrap()
            .clone()
        {
            let key = format!(
                "{}|{}",
                value["label"].as_str().unwrap(),
                value["timestamp_ms"]
            );
            tag_map(&mut value);
            if let Some(span_id) = value["join_on"]["span"]["span_id"].as_str() {
                value["_span"] = keys[span_id].clone().into();
            }
            let kind = "datadog.eval".to_owned();
            items.push(Item { kind, key, value });
        }
    }
    items
}

/// What the official exporter drops: event spans, and scores that are about a whole trace.
const MORE: [&str; 2] = ["checkpoint|1772600769005000000", "Relevance|1772600770146"];

fn has(official: &Recording, item: &Item) -> bool {
    let same = |other: &Item| (&other.kind, &other.key) == (&item.kind, &item.key);
    official.items.iter().any(same)
}

fn compare(recording: &str) {
    let mut official = Recording::load(&paths::corpus(&format!("{recording}.json"))).unwrap();
    for item in &mut official.items {
        let record = item.value.as_object_mut().unwrap();
        for key in ["_dd", "_dd.stage", "_dd.tracer_version", "event_type"] {
            record.remove(key);
        }
        tag_map(&mut item.value);
        item.value["tags"]
            .as_object_mut()
            .unwrap()
            .remove("ddtrace.version");
    }
    let mut ours = our_items(&exporter(&official.config), &recorded_ended());
    let more: Vec<_> = ours
        .extract_if(.., |item| !has(&official, item))
        .map(|item| item.key)
        .collect();
    assert_eq!(more, MORE);
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("differences.json");
    official.compare(&ours).check(&list, recording).unwrap();
}

#[test]
fn recorded_events_map_as_the_official_exporter_maps_them() {
    // One test, because both may rewrite the list.
    compare("datadog");
    compare("datadog-agent");
}
