//! What we write for the recorded events, beside what the official exporter wrote for them, in both encodings.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use std::path::Path;

use kit::corpus::{Item, Recording, otlp_log_items, otlp_span_items};
use kit::exporter::{answered, body, configured, recorded_ended};
use kit::paths;
use mastra_exporter_sdk::http::testing::status;
use mastra_exporter_sdk::{Logs, Traces};
use otel_exporter::Otel;
use serde_json::{Value, json};

/// The official options, as our settings.
fn exporter(config: &Value) -> Otel {
    let custom = &config["provider"]["custom"];
    let mut settings = json!({
        "endpoint": custom["endpoint"],
        "protocol": custom["protocol"],
        "headers": custom["headers"],
        "compression": "none",
        "service_name": "support-bot",
    });
    if !config["resourceAttributes"].is_null() {
        settings["resource_attributes"] = config["resourceAttributes"].clone();
    }
    configured(settings, &json!({}))
}

fn our_items(exporter: &Otel) -> Vec<Item> {
    let events = recorded_ended();
    let ok = || Ok(status(200));
    let traces = answered(ok(), || exporter.send_spans(&events.spans)).1;
    let logs = answered(ok(), || exporter.send_logs(&events.logs)).1;
    let mut items = otlp_span_items(&body(&traces[0]));
    items.extend(otlp_log_items(&body(&logs[0])));
    items
}

#[test]
fn recorded_events_map_as_the_official_exporter_maps_them() {
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("differences.json");
    for recording in ["otel-http-json", "otel-http-protobuf"] {
        let official = Recording::load(&paths::corpus(&format!("{recording}.json"))).unwrap();
        // Where nobody sets a version, the official exporter gives that of the @mastra/core beside it.
        let official = if official.config["resourceAttributes"].is_null() {
            official.with_artefacts(&["otlp.span.resource.service.version.stringValue"])
        } else {
            official
        };
        let ours = our_items(&exporter(&official.config));
        official.compare(&ours).check(&list, recording).unwrap();
    }
}
