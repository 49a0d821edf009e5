//! What we write for the recorded events, beside what the official exporter wrote for them. Its scores go to an endpoint
//! that Laminar has removed since; they are not compared. Nor is `mastra.attributes`, which only we send and the golden
//! requests show.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use std::path::Path;

use kit::corpus::{Recording, otlp_span_items};
use kit::exporter::{answered, body, configured, recorded_ended};
use kit::paths;
use laminar_exporter::Laminar;
use mastra_exporter_sdk::Traces;
use mastra_exporter_sdk::http::testing::status;
use serde_json::json;

/// What the official exporter says of its own process.
const ARTEFACTS: [&str; 3] = [
    "otlp.span.resource.service.version.stringValue",
    "otlp.span.attributes.lmnr.span.sdk_version.stringValue",
    "otlp.span.attributes.lmnr.span.language_version.stringValue",
];

#[test]
fn recorded_events_map_as_the_official_exporter_maps_them() {
    let mut official = Recording::load(&paths::corpus("laminar.json"))
        .unwrap()
        .with_artefacts(&ARTEFACTS);
    official.items.retain(|item| item.kind == "otlp.span");
    let settings = json!({"api_key": "k", "service_name": "support-bot"});
    let (exporter, events): (Laminar, _) = (configured(settings, &json!({})), recorded_ended());
    let requests = answered(Ok(status(200)), || exporter.send_spans(&events.spans)).1;
    let mut ours = otlp_span_items(&body(&requests[0]));
    for item in &mut ours {
        let attributes = item.value["attributes"].as_object_mut().unwrap();
        attributes.remove("mastra.attributes");
    }
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("differences.json");
    official.compare(&ours).check(&list, "laminar").unwrap();
}
