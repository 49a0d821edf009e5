//! What we write for the recorded events, beside what the official exporter wrote for them. It also sends logs, for which
//! neither Arize AX nor Phoenix has a place; they are not compared.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use std::fs;
use std::path::Path;

use arize_exporter::Arize;
use kit::backend::otlp::wire::{Signal, from_protobuf};
use kit::corpus::{Recording, otlp_span_items};
use kit::paths;
use mastra_exporter_sdk::http::testing::status;
use mastra_exporter_sdk::test_support::ended_batches;
use mastra_exporter_sdk::test_support::requests::answered;
use mastra_exporter_sdk::{Exporter, Traces};
use serde_json::{Value, json};

/// The official options, as our settings.
fn exporter(config: &Value) -> Arize {
    let mut settings = json!({"api_key": config["apiKey"], "project_name": config["projectName"], "service_name": "support-bot"});
    for (ours, theirs) in [("space_id", "spaceId"), ("endpoint", "endpoint")] {
        if !config[theirs].is_null() {
            settings[ours] = config[theirs].clone();
        }
    }
    Arize::configure(serde_json::from_value(settings).unwrap()).unwrap()
}

#[test]
fn recorded_events_map_as_the_official_exporter_maps_them() {
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("differences.json");
    let events = ended_batches(&fs::read_to_string(paths::corpus("events.ndjson")).unwrap());
    for recording in ["arize-ax", "arize-phoenix"] {
        // The version of the @mastra/core beside the official exporter.
        let mut official = Recording::load(&paths::corpus(&format!("{recording}.json")))
            .unwrap()
            .with_artefacts(&["otlp.span.resource.service.version.stringValue"]);
        official.items.retain(|item| item.kind == "otlp.span");
        let exporter = exporter(&official.config);
        let requests = answered(Ok(status(200)), || exporter.send_spans(&events.spans)).1;
        let request = from_protobuf(Signal::Traces, &requests[0].body).unwrap();
        let ours = otlp_span_items(&request);
        official.compare(&ours).check(&list, recording).unwrap();
    }
}
