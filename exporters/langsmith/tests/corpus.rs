//! What we write for the recorded events, beside what the official exporter wrote for them.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use kit::exporter::recorded_ended;
use kit::paths;
use std::collections::HashMap;
use std::path::Path;

use kit::corpus::{Item, Recording};
use langsmith_exporter::LangSmith;
use mastra_exporter_sdk::http::Request;
use mastra_exporter_sdk::http::testing::{status, with_backend};
use mastra_exporter_sdk::records::SendResult;
use mastra_exporter_sdk::test_support::Batches;
use mastra_exporter_sdk::{Exporter, Scores, Traces};
use serde_json::{Value, json};

/// What the official SDK says of itself in each run, and empty fields of its own class.
const ARTEFACTS: [&str; 6] = [
    "langsmith.run.extra.runtime.library",
    "langsmith.run.extra.runtime.runtime",
    "langsmith.run.extra.runtime.sdk",
    "langsmith.run.extra.runtime.sdk_version",
    "langsmith.run.child_runs",
    "langsmith.run.serialized",
];

/// How many leaves of metadata the official SDK copies from parents to children. A known number, so that nothing else
/// hides among them.
const COPIES: usize = 249;

/// Requests to a server without forms, whose bodies are plain JSON.
fn requests(send: impl FnOnce() -> SendResult) -> Vec<Request> {
    let is_form = |request: &Request| request.url.ends_with("/runs/multipart");
    let (_, requests) = with_backend(
        move |request| Ok(status(if is_form(request) { 404 } else { 202 })),
        send,
    );
    requests
        .into_iter()
        .filter(|request| !is_form(request))
        .collect()
}

/// `name|start to the millisecond`: the official exporter writes a counter in the place of the microseconds.
fn key(name: &str, start: &str) -> String {
    format!("{name}|{}", &start[..23])
}

fn official_key(key_text: &str) -> String {
    let (name, start) = key_text.rsplit_once('|').unwrap();
    key(name, start)
}

fn our_items(exporter: &LangSmith, events: &Batches) -> Vec<Item> {
    let mut runs = Vec::new();
    for request in requests(|| exporter.send_spans(&events.spans)) {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        runs.extend(body["post"].as_array().unwrap().clone());
    }
    let key_of = |run: &Value| {
        key(
            run["name"].as_str().unwrap(),
            run["start_time"].as_str().unwrap(),
        )
    };
    let keys: HashMap<String, String> = runs
        .iter()
        .map(|run| (run["id"].as_str().unwrap().to_owned(), key_of(run)))
        .collect();
    let named = |id: &Value| id.as_str().map(|id| keys[id].clone());
    let mut items = Vec::new();
    for mut run in runs {
        run["_ops"] = json!(["post"]);
        run["_parent"] = json!(named(&run["parent_run_id"]));
        items.push(Item {
            kind: "langsmith.run".to_owned(),
            key: key_of(&run),
            value: run,
        });
    }
    for request in requests(|| exporter.send_scores(&events.scores)) {
        let mut body: Value = serde_json::from_slice(&request.body).unwrap();
        body["_run"] = json!(named(&body["run_id"]));
        items.push(Item {
            kind: "langsmith.feedback".to_owned(),
            key: body["id"].as_str().unwrap().to_owned(),
            value: body,
        });
    }
    items
}

/// The recording with our form of keys, without what its SDK copied from a parent's metadata into a child's that says
/// nothing of the kind itself. Returns how many leaves those were.
fn own_leaves(official: &mut Recording, ours: &[Item]) -> usize {
    for item in &mut official.items {
        for (kind, name) in [("langsmith.run", "_parent"), ("langsmith.feedback", "_run")] {
            if item.kind == kind && !item.value[name].is_null() {
                item.value[name] = official_key(item.value[name].as_str().unwrap()).into();
            }
        }
        if item.kind == "langsmith.run" {
            item.key = official_key(&item.key);
        }
    }
    let whole: HashMap<String, Value> = official
        .items
        .iter()
        .map(|item| (item.key.clone(), item.value.clone()))
        .collect();
    let mut copies = 0;
    for item in official
        .items
        .iter_mut()
        .filter(|item| item.kind == "langsmith.run")
    {
        let Some(parent) = item.value["_parent"].as_str().map(|key| &whole[key]) else {
            continue;
        };
        let own = ours.iter().find(|own| own.key == item.key).unwrap();
        let inherited = &parent["extra"]["metadata"];
        let metadata = item.value["extra"]["metadata"].as_object_mut().unwrap();
        metadata.retain(|name, value| {
            let is_own = own.value["extra"]["metadata"].get(name).is_some();
            // The SDK empties the usage that it copies.
            let is_copy = inherited.get(name) == Some(value) || *value == json!({});
            if is_copy && !is_own {
                copies += leaves(value);
            }
            is_own || !is_copy
        });
    }
    copies
}

fn leaves(value: &Value) -> usize {
    match value {
        Value::Object(members) if !members.is_empty() => members.values().map(leaves).sum(),
        Value::Array(elements) if !elements.is_empty() => elements.iter().map(leaves).sum(),
        _ => 1,
    }
}

#[test]
fn recorded_events_map_as_the_official_exporter_maps_them() {
    let mut official = Recording::load(&paths::corpus("langsmith.json"))
        .unwrap()
        .with_artefacts(&ARTEFACTS);
    let settings = json!({
        "api_key": official.config["apiKey"], "api_url": "https://langsmith.test",
        "project_name": official.config["projectName"],
    });
    let exporter = LangSmith::configure(serde_json::from_value(settings).unwrap()).unwrap();
    let ours = our_items(&exporter, &recorded_ended());
    let copies = own_leaves(&mut official, &ours);
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("differences.json");
    official.compare(&ours).check(&list, "langsmith").unwrap();
    assert_eq!(copies, COPIES);
}
