//! What we write for the recorded events, beside what the official exporter wrote for them.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use kit::exporter::{body, recorded_ended};
use kit::paths;
use std::path::Path;

use kit::corpus::{Item, Recording, otlp_span_items};
use langfuse_exporter::Langfuse;
use mastra_exporter_sdk::http::Request;
use mastra_exporter_sdk::http::testing::{status, with_backend};
use mastra_exporter_sdk::records::SendResult;
use mastra_exporter_sdk::test_support::Batches;
use mastra_exporter_sdk::{Exporter, Scores, Traces};
use serde_json::{Value, json};

/// The official options, as our settings.
fn exporter(config: &Value) -> Langfuse {
    let mut settings = json!({
        "public_key": config["publicKey"],
        "secret_key": config["secretKey"],
        "base_url": "https://langfuse.test",
        "service_name": "support-bot",
    });
    for (ours, theirs) in [
        ("environment", "environment"),
        ("release", "release"),
        ("headers", "additionalHeaders"),
    ] {
        if !config[theirs].is_null() {
            settings[ours] = config[theirs].clone();
        }
    }
    Langfuse::configure(serde_json::from_value(settings).unwrap()).unwrap()
}

fn requests(send: impl FnOnce() -> SendResult) -> Vec<Request> {
    with_backend(|_| Ok(status(200)), send).1
}

fn our_items(exporter: &Langfuse, events: &Batches) -> Vec<Item> {
    let mut items = Vec::new();
    for request in requests(|| exporter.send_spans(&events.spans)) {
        items.extend(otlp_span_items(&body(&request)));
    }
    for request in requests(|| exporter.send_scores(&events.scores)) {
        let body = body(&request);
        let key = body["id"].as_str().unwrap().to_owned();
        items.push(Item {
            kind: "langfuse.ingestion".to_owned(),
            key,
            value: json!({"body": body}),
        });
    }
    items
}

/// Writes integers as texts, which the JSON form of protobuf has; the official exporter's JSON has numbers.
fn spell_integers(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                if key == "intValue" && member.is_number() {
                    *member = member.to_string().into();
                }
                spell_integers(member);
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(spell_integers),
        _ => {}
    }
}

fn compare(recording: &str) {
    let mut official = Recording::load(&paths::corpus(&format!("{recording}.json"))).unwrap();
    for item in &mut official.items {
        spell_integers(&mut item.value);
    }
    let ours = our_items(&exporter(&official.config), &recorded_ended());
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("differences.json");
    official.compare(&ours).check(&list, recording).unwrap();
}

#[test]
fn recorded_events_map_as_the_official_exporter_maps_them() {
    // One test, because both may rewrite the list.
    compare("langfuse");
    compare("langfuse-realtime-env");
}
