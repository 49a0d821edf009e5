//! What we write for the recorded events, beside what the official exporter wrote for them.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use kit::exporter::recorded_ended;
use kit::paths;
use std::collections::BTreeMap;
use std::path::Path;

use braintrust_exporter::Braintrust;
use kit::corpus::{Item, Recording};
use mastra_exporter_sdk::http::Request;
use mastra_exporter_sdk::http::testing::{status, with_backend};
use mastra_exporter_sdk::records::SendResult;
use mastra_exporter_sdk::test_support::Batches;
use mastra_exporter_sdk::{Exporter, Scores, Traces};
use serde_json::{Value, json};

/// What the official exporter's own process adds to each row: where in its code the row was made, and a counter.
const ARTEFACTS: [&str; 7] = [
    "braintrust.row.context.caller_functionname",
    "braintrust.row.context.caller_filename",
    "braintrust.row.context.caller_lineno",
    "braintrust.row.context.span_origin.name",
    "braintrust.row.context.span_origin.version",
    "braintrust.row.context.span_origin.instrumentation.name",
    "braintrust.row.span_attributes.exec_counter",
];

const PROJECT: &str = "11111111-1111-4111-8111-111111111111";

fn requests(send: impl FnOnce() -> SendResult) -> Vec<Request> {
    with_backend(|_| Ok(status(200)), send).1
}

/// A row as the official exporter's endpoint has it: the project is in our path, and that it is a log too.
fn of_project(mut row: Value) -> Value {
    row["project_id"] = PROJECT.into();
    row["log_id"] = "g".into();
    row
}

fn our_items(exporter: &Braintrust, events: &Batches) -> Vec<Item> {
    let mut rows: BTreeMap<String, Value> = BTreeMap::new();
    for request in requests(|| exporter.send_spans(&events.spans)) {
        assert!(
            request
                .url
                .ends_with(&format!("/v1/project_logs/{PROJECT}/insert"))
        );
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        for row in body["events"].as_array().unwrap() {
            let id = row["id"].as_str().unwrap().to_owned();
            rows.insert(id, of_project(row.clone()));
        }
    }
    for request in requests(|| exporter.send_scores(&events.scores)) {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let content = &body["project_logs"][PROJECT];
        // The official exporter names the trace where we name a row in it.
        let trace_of = |id: &str| {
            let rows = content["events"].as_array().unwrap();
            let row = rows.iter().find(|row| row["id"] == id);
            row.map_or(id.to_owned(), |row| {
                row["root_span_id"].as_str().unwrap().to_owned()
            })
        };
        for row in content["events"].as_array().unwrap() {
            rows.insert(
                trace_of(row["id"].as_str().unwrap()),
                of_project(row.clone()),
            );
        }
        for feedback in content["feedback"].as_array().unwrap() {
            let id = feedback["id"].as_str().unwrap();
            let target = trace_of(id);
            let audit = json!({"_audit_source": feedback["source"], "_audit_metadata": feedback["metadata"]});
            if !feedback["scores"].is_null() {
                let row = rows
                    .entry(target.clone())
                    .or_insert_with(|| of_project(json!({})));
                row["scores"] = feedback["scores"].clone();
                for (key, value) in audit.as_object().unwrap() {
                    row[key] = value.clone();
                }
            }
            if let Some(comment) = feedback["comment"].as_str() {
                let mut row = of_project(audit);
                row["origin"] = json!({"id": id});
                row["comment"] = json!({"text": comment});
                rows.insert(format!("comment|{target}|{comment}"), row);
            }
        }
    }
    let item = |(key, value)| Item {
        kind: "braintrust.row".to_owned(),
        key,
        value,
    };
    rows.into_iter().map(item).collect()
}

#[test]
fn recorded_events_map_as_the_official_exporter_maps_them() {
    let official = Recording::load(&paths::corpus("braintrust.json"))
        .unwrap()
        .with_artefacts(&ARTEFACTS);
    let settings = json!({
        "api_key": official.config["apiKey"], "endpoint": "https://braintrust.test", "project_id": PROJECT,
    });
    let exporter = Braintrust::configure(serde_json::from_value(settings).unwrap()).unwrap();
    let ours = our_items(&exporter, &recorded_ended());
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("differences.json");
    official.compare(&ours).check(&list, "braintrust").unwrap();
}
