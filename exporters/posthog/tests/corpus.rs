//! What we write for the recorded events, beside what the official exporter wrote for them.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use kit::exporter::recorded_ended;
use kit::paths;
use std::path::Path;

use kit::corpus::{Item, Recording};
use mastra_exporter_sdk::http::Request;
use mastra_exporter_sdk::http::testing::{status, with_backend};
use mastra_exporter_sdk::records::SendResult;
use mastra_exporter_sdk::test_support::Batches;
use mastra_exporter_sdk::{Exporter, Feedback, Traces};
use posthog_exporter::PostHog;
use serde_json::{Value, json};

/// What the official SDK says of itself in each event.
const ARTEFACTS: [&str; 2] = [
    "posthog.event.properties.$lib",
    "posthog.event.properties.$lib_version",
];

fn requests(send: impl FnOnce() -> SendResult) -> Vec<Request> {
    with_backend(|_| Ok(status(200)), send).1
}

fn our_items(exporter: &PostHog, events: &Batches) -> Vec<Item> {
    let mut all = requests(|| exporter.send_spans(&events.spans));
    all.extend(requests(|| exporter.send_feedback(&events.feedback)));
    let mut items = Vec::new();
    for request in all {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        for event in body["batch"].as_array().unwrap() {
            let (name, properties) = (event["event"].as_str().unwrap(), &event["properties"]);
            let id = match name {
                "$ai_trace" => &properties["$ai_trace_id"],
                "$ai_generation" => &properties["$ai_generation_id"],
                "$ai_feedback" => &properties["feedback_id"],
                _ => &properties["$ai_span_id"],
            };
            items.push(Item {
                kind: "posthog.event".to_owned(),
                key: format!("{name}|{}", id.as_str().unwrap()),
                value: event.clone(),
            });
        }
    }
    items
}

#[test]
fn recorded_events_map_as_the_official_exporter_maps_them() {
    let official = Recording::load(&paths::corpus("posthog.json"))
        .unwrap()
        .with_artefacts(&ARTEFACTS);
    let settings = json!({"api_key": official.config["apiKey"], "host": "https://posthog.test"});
    let exporter = PostHog::configure(serde_json::from_value(settings).unwrap()).unwrap();
    let ours = our_items(&exporter, &recorded_ended());
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("differences.json");
    official.compare(&ours).check(&list, "posthog").unwrap();
}
