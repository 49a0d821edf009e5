//! What we write for the recorded events, beside what the official exporter wrote for them.
//!
//! The official exporter sends transactions, and their model and tool spans apart; we send span items alone. Both sides are
//! brought to one record a span: name, times, status, attributes as a plain map. Release and environment stand on the
//! transaction there and on each span here. What the SDK says of its own process (device, modules, its own stack, sampling,
//! sessions, breadcrumbs) is not about the events and not compared; nor are the attributes that only we send, which the golden
//! requests show. Spans are paired by type and start.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use kit::exporter::recorded_ended;
use kit::paths;
use std::path::Path;

use kit::corpus::{Item, Recording};
use mastra_exporter_sdk::http::testing::{status, with_backend};
use mastra_exporter_sdk::test_support::Batches;
use mastra_exporter_sdk::{Exporter, Traces};
use sentry_exporter::Sentry;
use serde_json::{Map, Value, json};

fn span_item(span: [&Value; 4], attributes: Map<String, Value>) -> Item {
    let [name, start, end, status] = span;
    let status = if status == "ok" { "ok" } else { "error" };
    let key = format!(
        "{}|{start}",
        attributes["mastra.span.type"].as_str().unwrap()
    );
    // A whole second is written without a fraction here and there.
    let value = json!({"name": name, "start": start.as_f64(), "end": end.as_f64(), "status": status, "attributes": attributes});
    Item {
        kind: "sentry.one_span".to_owned(),
        key,
        value,
    }
}

/// Of an error event, what is about the error.
fn event_item(event: &Value) -> Item {
    let exception = &event["exception"]["values"][0];
    let trace = &event["contexts"]["trace"];
    Item {
        kind: "sentry.error".to_owned(),
        key: trace["span_id"].as_str().unwrap().to_owned(),
        value: json!({
            "level": event["level"], "platform": event["platform"],
            "environment": event["environment"], "release": event["release"],
            "type": exception["type"], "value": exception["value"],
            "trace_id": trace["trace_id"], "span_info": event["contexts"]["span_info"],
        }),
    }
}

fn untyped(attributes: &Value) -> Map<String, Value> {
    let attributes = attributes.as_object().unwrap().iter();
    attributes
        .map(|(key, typed)| (key.clone(), typed["value"].clone()))
        .collect()
}

fn official_items(recording: &Recording) -> Vec<Item> {
    let of_process = ["sentry.source", "sentry.sample_rate"];
    let with_origin = |mut attributes: Map<String, Value>| {
        attributes.retain(|key, _| !of_process.contains(&key.as_str()));
        for (key, option) in [
            ("sentry.environment", "environment"),
            ("sentry.release", "release"),
        ] {
            attributes.insert(key.to_owned(), recording.config[option].clone());
        }
        attributes
    };
    let map = |data: &Value| with_origin(data.as_object().unwrap().clone());
    let mut items = Vec::new();
    for item in &recording.items {
        let value = &item.value;
        match item.kind.as_str() {
            "sentry.transaction" => {
                let trace = &value["contexts"]["trace"];
                let own = [
                    &value["transaction"],
                    &value["start_timestamp"],
                    &value["timestamp"],
                    &trace["status"],
                ];
                items.push(span_item(own, map(&trace["data"])));
                for span in value["spans"].as_array().unwrap() {
                    let own = [
                        &span["description"],
                        &span["start_timestamp"],
                        &span["timestamp"],
                        &span["status"],
                    ];
                    items.push(span_item(own, map(&span["data"])));
                }
            }
            "sentry.span" => {
                for span in value["items"].as_array().unwrap() {
                    let own = [
                        &span["name"],
                        &span["start_timestamp"],
                        &span["end_timestamp"],
                        &span["status"],
                    ];
                    items.push(span_item(own, with_origin(untyped(&span["attributes"]))));
                }
            }
            "sentry.event" => items.push(event_item(value)),
            _ => {}
        }
    }
    items
}

fn our_items(config: &Value, events: &Batches) -> Vec<Item> {
    let settings = json!({"dsn": "http://pubkey123@127.0.0.1:9/42", "environment": config["environment"], "release": config["release"]});
    let sentry = Sentry::configure(serde_json::from_value(settings).unwrap()).unwrap();
    let (_, requests) = with_backend(|_| Ok(status(200)), || sentry.send_spans(&events.spans));
    let mut items = Vec::new();
    for request in requests {
        let lines: Vec<Value> = std::str::from_utf8(&request.body)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        if lines[1]["type"] == "event" {
            items.push(event_item(&lines[2]));
            continue;
        }
        for span in lines[2]["items"].as_array().unwrap() {
            let own = [
                &span["name"],
                &span["start_timestamp"],
                &span["end_timestamp"],
                &span["status"],
            ];
            items.push(span_item(own, untyped(&span["attributes"])));
        }
    }
    items
}

/// What the official exporter leaves out (steps, chunks) or makes a breadcrumb of another transaction (event spans).
const MORE: [&str; 5] = [
    "model_chunk",
    "model_step",
    "model_chunk",
    "model_step",
    "generic",
];

#[test]
fn recorded_events_map_as_the_official_exporter_maps_them() {
    let mut recording = Recording::load(&paths::corpus("sentry.json")).unwrap();
    recording.items = official_items(&recording);
    let mut ours = our_items(&recording.config, &recorded_ended());
    let has = |item: &Item| recording.items.iter().any(|other| other.key == item.key);
    let more: Vec<_> = ours
        .extract_if(.., |item| !has(item))
        .map(|item| item.key.split('|').next().unwrap().to_owned())
        .collect();
    assert_eq!(more, MORE);
    for item in &mut ours {
        let official = recording.items.iter().find(|other| other.key == item.key);
        let known = &official.unwrap().value["attributes"];
        if let Some(attributes) = item
            .value
            .get_mut("attributes")
            .and_then(Value::as_object_mut)
        {
            attributes.retain(|key, _| known.get(key).is_some());
        }
    }
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("differences.json");
    recording.compare(&ours).check(&list, "sentry").unwrap();
}
