//! Requests and what becomes of their items, with a stand-in for the gateway.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use grafana_cloud_exporter::GrafanaCloud;
use kit::backend::collector::Collector;
use kit::exporter::{
    Golden, answered, body, check_refused_flush, configured, judged_by, recorded_ended,
};
use mastra_exporter_sdk::Exporter as _;
use mastra_exporter_sdk::http::testing::{status, with_backend};
use mastra_exporter_sdk::http::{Auth, Compression, HttpError};
use mastra_exporter_sdk::records::ItemResult;
use mastra_exporter_sdk::test_support::requests::{fate_words, outcome_word};
use mastra_exporter_sdk::{Feedback, Logs, Metrics, Scores, Traces};
use serde_json::json;

fn exporter() -> GrafanaCloud {
    configured(
        json!({"instance_id": "123456", "token": "key", "zone": "prod-eu-west-2"}),
        &json!({}),
    )
}

#[test]
fn recorded_events_give_exactly_these_requests() {
    let (exporter, events) = (exporter(), recorded_ended());
    let golden =
        Golden::of(env!("CARGO_MANIFEST_DIR"), 200).without(&["startTimeUnixNano", "timeUnixNano"]);
    exporter.send_metrics(&events.metrics);
    golden.check("metrics.json", || exporter.flush());
    let golden = Golden::of(env!("CARGO_MANIFEST_DIR"), 200);
    golden.check("traces.json", || exporter.send_spans(&events.spans));
    golden.check("logs.json", || exporter.send_logs(&events.logs));
    golden.check("scores.json", || exporter.send_scores(&events.scores));
    golden.check("feedback.json", || exporter.send_feedback(&events.feedback));
}

#[test]
fn a_strict_gateway_takes_every_request() {
    let (exporter, events) = (exporter(), recorded_ended());
    let held = exporter.send_metrics(&events.metrics);
    assert_eq!(fate_words(&held, 25), ["held"; 25]);
    let (told, requests) = with_backend(
        |request| {
            Ok(judged_by(
                &Collector::grafana_cloud(),
                request,
                "glc_test",
                &[],
            ))
        },
        || {
            exporter.send_spans(&events.spans);
            exporter.send_logs(&events.logs);
            exporter.send_scores(&events.scores);
            exporter.send_feedback(&events.feedback);
            exporter.flush()
        },
    );
    assert_eq!(told.len(), 1);
    assert_eq!(
        (told[0].tokens.len(), &told[0].fate),
        (25, &ItemResult::Delivered)
    );
    for request in &requests {
        assert!(
            request
                .url
                .starts_with("https://otlp-gateway-prod-eu-west-2.grafana.net/otlp/v1/")
        );
        let basic = Auth::Basic("123456".to_owned(), "key".to_owned());
        assert_eq!(request.auth, Some(basic));
        assert_eq!(request.compression, Some(Compression::Gzip));
    }
    assert_eq!(requests.len(), 5);
}

#[test]
fn every_reply_has_its_outcome() {
    let (exporter, events) = (exporter(), recorded_ended());
    for (code, expected) in [
        (200, "delivered"),
        (400, "rejected"),
        (401, "unauthorized"),
        (403, "unauthorized"),
        (404, "rejected"),
        (413, "too-large"),
        (429, "retry"),
        (500, "rejected"),
        (502, "retry"),
        (503, "retry"),
        (504, "retry"),
    ] {
        let result = answered(Ok(status(code)), || exporter.send_logs(&events.logs)).0;
        assert_eq!(outcome_word(&result), expected, "{code}");
    }
    let unreachable = Err(HttpError::Unreachable("refused".to_owned()));
    let result = answered(unreachable, || exporter.send_spans(&events.spans)).0;
    assert_eq!(outcome_word(&result), "retry");
}

#[test]
fn a_key_that_is_refused_at_a_flush_pauses() {
    check_refused_flush(&exporter(), &recorded_ended().metrics);
}

#[test]
fn totals_grow_while_the_gateway_is_away_and_keep_their_start() {
    let (exporter, events) = (exporter(), recorded_ended());
    let count = || {
        let requests = answered(Ok(status(200)), || exporter.flush()).1;
        let metrics = body(&requests[0])["resourceMetrics"].clone();
        let points = metrics
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|resource| resource["scopeMetrics"][0]["metrics"].as_array().unwrap())
            .filter_map(|metric| metric["histogram"]["dataPoints"].as_array());
        let mut points: Vec<_> = points.flatten().cloned().collect();
        points.sort_by_key(|point| point["attributes"].to_string());
        points
    };
    exporter.send_metrics(&events.metrics);
    assert!(answered(Ok(status(503)), || exporter.flush()).0.is_empty());
    let first = count();
    exporter.send_metrics(&events.metrics);
    let second = count();
    assert!(!first.is_empty() && first.len() == second.len());
    let number = |value: &serde_json::Value| value.as_str().unwrap().parse::<u64>().unwrap();
    for (first, second) in first.iter().zip(&second) {
        assert_eq!(first["startTimeUnixNano"], second["startTimeUnixNano"]);
        assert_eq!(2 * number(&first["count"]), number(&second["count"]));
    }
}
