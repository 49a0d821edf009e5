//! What we write for the recorded events, beside what the official exporter wrote for them. It also sends logs, for which
//! neither Arize AX nor Phoenix has a place; they are not compared. Nor is `mastra.attributes`, which only we send and the
//! golden requests show.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use std::path::Path;

use arize_exporter::Arize;
use kit::corpus::{Recording, otlp_span_items};
use kit::exporter::{answered, body, configured, recorded_ended};
use kit::paths;
use mastra_exporter_sdk::Traces;
use mastra_exporter_sdk::http::testing::status;
use serde_json::{Value, json};

/// The official options, as our settings.
fn exporter(config: &Value) -> Arize {
    let mut settings = json!({"api_key": config["apiKey"], "project_name": config["projectName"], "service_name": "support-bot"});
    for (ours, theirs) in [("space_id", "spaceId"), ("endpoint", "endpoint")] {
        if !config[theirs].is_null() {
            settings[ours] = config[theirs].clone();
        }
    }
    configured(settings, &json!({}))
}

#[test]
fn recorded_events_map_as_the_official_exporter_maps_them() {
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("differences.json");
    let events = recorded_ended();
    for recording in ["arize-ax", "arize-phoenix"] {
        // The version of the @mastra/core beside the official exporter.
        let mut official = Recording::load(&paths::corpus(&format!("{recording}.json")))
            .unwrap()
            .with_artefacts(&["otlp.span.resource.service.version.stringValue"]);
        official.items.retain(|item| item.kind == "otlp.span");
        let exporter = exporter(&official.config);
        let requests = answered(Ok(status(200)), || exporter.send_spans(&events.spans)).1;
        let mut ours = otlp_span_items(&body(&requests[0]));
        for item in &mut ours {
            let attributes = item.value["attributes"].as_object_mut().unwrap();
            attributes.remove("mastra.attributes");
        }
        official.compare(&ours).check(&list, recording).unwrap();
    }
}
