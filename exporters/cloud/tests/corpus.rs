//! What we publish for the recorded events, beside what the official clients published for them.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use kit::exporter::recorded_ended;
use kit::paths;
use std::path::Path;

use cloud_exporter::Cloud;
use kit::corpus::{Item, Recording};
use mastra_exporter_sdk::http::testing::{status, with_backend};
use mastra_exporter_sdk::records::SendResult;
use mastra_exporter_sdk::{Exporter, Feedback, Logs, Metrics, Scores, Traces};
use serde_json::{Value, json};

fn items(field: &str, key: &str, send: impl FnOnce() -> SendResult) -> Vec<Item> {
    let (_, requests) = with_backend(|_| Ok(status(200)), send);
    let mut items = Vec::new();
    for request in requests {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        for value in body[field].as_array().unwrap() {
            items.push(Item {
                kind: format!("platform.{field}"),
                key: value[key].as_str().unwrap().to_owned(),
                value: value.clone(),
            });
        }
    }
    items
}

fn compare(recording: &str) {
    let official = Recording::load(&paths::corpus(&format!("{recording}.json"))).unwrap();
    let settings =
        json!({"access_token": "{secret:1}", "project_id": official.config["projectId"]});
    let cloud = Cloud::configure(serde_json::from_value(settings).unwrap()).unwrap();
    let events = recorded_ended();
    let mut ours = items("spans", "id", || cloud.send_spans(&events.spans));
    ours.extend(items("logs", "logId", || cloud.send_logs(&events.logs)));
    ours.extend(items("metrics", "metricId", || {
        cloud.send_metrics(&events.metrics)
    }));
    ours.extend(items("scores", "scoreId", || {
        cloud.send_scores(&events.scores)
    }));
    ours.extend(items("feedback", "feedbackId", || {
        cloud.send_feedback(&events.feedback)
    }));
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("differences.json");
    official.compare(&ours).check(&list, recording).unwrap();
}

#[test]
fn recorded_events_are_published_as_the_official_clients_publish_them() {
    // One test, because both may rewrite the list.
    compare("mastra-platform");
    compare("mastra-cloud");
}
