//! Requests and what becomes of their records, with a stand-in for the platform.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use kit::exporter::{Golden, answered, body, configured, judged_by, recorded_ended};
use std::time::Duration;

use cloud_exporter::Cloud;
use mastra_exporter_sdk::http::testing::{status, with_backend};
use mastra_exporter_sdk::http::{Auth, HttpError, Request, Response};
use mastra_exporter_sdk::records::{DelayScope, SendResult};
use mastra_exporter_sdk::test_support::requests::{fate_words, outcome_word};
use mastra_exporter_sdk::{Feedback, Logs, Metrics, Scores, Traces};
use serde_json::json;

fn exporter() -> Cloud {
    configured(
        json!({"access_token": "{secret:1}", "project_id": "proj_1-A"}),
        &json!({}),
    )
}

#[test]
fn recorded_events_give_exactly_these_requests() {
    let (exporter, events) = (exporter(), recorded_ended());
    let golden = Golden::of(env!("CARGO_MANIFEST_DIR"), 200).without(&["createdAt"]);
    golden.check("traces.json", || exporter.send_spans(&events.spans));
    golden.check("logs.json", || exporter.send_logs(&events.logs));
    golden.check("metrics.json", || exporter.send_metrics(&events.metrics));
    golden.check("scores.json", || exporter.send_scores(&events.scores));
    golden.check("feedback.json", || exporter.send_feedback(&events.feedback));
}

#[test]
fn a_strict_platform_takes_every_request() {
    let (exporter, events) = (exporter(), recorded_ended());
    let fake = kit::backend::cloud::Cloud::default();
    let take = move |request: &Request| Ok(judged_by(&fake, request, &fake.access_token, &[]));
    let (results, requests) = with_backend(take, || {
        [
            exporter.send_spans(&events.spans),
            exporter.send_logs(&events.logs),
            exporter.send_metrics(&events.metrics),
            exporter.send_scores(&events.scores),
            exporter.send_feedback(&events.feedback),
        ]
    });
    assert_eq!(requests.len(), results.len());
    for result in results {
        assert!(fate_words(&result, 1).contains(&"delivered"), "{result:?}");
    }
}

#[test]
fn requests_carry_the_token_and_what_the_client_understands() {
    let (exporter, events) = (exporter(), recorded_ended());
    let (result, requests) = answered(Ok(status(200)), || exporter.send_logs(&events.logs));
    assert_eq!(outcome_word(&result), "delivered");
    let request = &requests[0];
    assert_eq!(
        request.url,
        "https://observability.mastra.ai/projects/proj_1-A/ai/logs/publish"
    );
    assert_eq!(request.auth, Some(Auth::Bearer("{secret:1}".to_owned())));
    let capability = (
        "x-mastra-observability-capabilities".to_owned(),
        "quota-pause-v1".to_owned(),
    );
    assert!(request.headers.contains(&capability));
}

#[test]
fn chunks_of_a_stream_are_skipped_as_the_official_client_does() {
    let (exporter, events) = (exporter(), recorded_ended());
    let (result, requests) = answered(Ok(status(200)), || exporter.send_spans(&events.spans));
    let words = fate_words(&result, 28);
    let count = |wanted| words.iter().filter(|word| **word == wanted).count();
    assert_eq!((count("delivered"), count("skipped")), (26, 2));
    assert_eq!(body(&requests[0])["spans"].as_array().unwrap().len(), 26);
}

#[test]
fn every_reply_has_its_outcome() {
    let events = recorded_ended();
    for (code, expected) in [
        (200, "delivered"),
        (204, "delivered"),
        (400, "isolate"),
        (401, "unauthorized"),
        (402, "retry"),
        (403, "unauthorized"),
        (404, "rejected"),
        (413, "too-large"),
        (429, "retry"),
        (500, "retry"),
        (503, "retry"),
    ] {
        let exporter = exporter();
        let result = answered(Ok(status(code)), || exporter.send_scores(&events.scores)).0;
        assert_eq!(outcome_word(&result), expected, "{code}");
    }
}

#[test]
fn records_that_the_receiver_names_are_rejected_alone() {
    let (exporter, events) = (exporter(), recorded_ended());
    let reply = Response {
        body: br#"{"accepted":3,"rejected":[{"index":2,"field":"score","reason":"x"}]}"#.to_vec(),
        ..status(200)
    };
    let result = answered(Ok(reply), || exporter.send_scores(&events.scores)).0;
    assert_eq!(
        fate_words(&result, 4),
        ["delivered", "delivered", "rejected", "delivered"]
    );
}

fn disabled(code: u16, retry_after: Option<&str>) -> Response {
    let mut headers = vec![("x-mastra-observability".to_owned(), "disabled".to_owned())];
    headers.extend(retry_after.map(|seconds| {
        (
            "x-mastra-observability-retry-after".to_owned(),
            seconds.to_owned(),
        )
    }));
    Response {
        headers,
        ..status(code)
    }
}

#[test]
fn a_quota_that_is_used_up_pauses_everything_and_loses_nothing() {
    let events = recorded_ended();
    for (reply, seconds) in [
        (disabled(402, Some("30")), 30),
        (disabled(200, Some("7")), 7),
        (disabled(503, Some("x7")), 300),
        (disabled(402, Some("0")), 300),
        (disabled(402, Some("99999999999")), 2_147_483),
        (status(402), 300),
    ] {
        let exporter = exporter();
        let result = answered(Ok(reply), || exporter.send_logs(&events.logs)).0;
        assert_eq!(outcome_word(&result), "retry");
        let delay = result.not_before.unwrap();
        assert_eq!(delay.scope, DelayScope::WholeExporter);
        assert_eq!(delay.wait, seconds * 1_000_000_000);
    }
}

#[test]
fn a_pause_ends_with_a_probe_that_is_answered_well() {
    let (exporter, events) = (exporter(), recorded_ended());
    answered(Ok(status(402)), || exporter.send_logs(&events.logs));
    let (still, probes) = answered(Ok(disabled(200, Some("5"))), || {
        exporter.send_logs(&events.logs)
    });
    assert_eq!((outcome_word(&still), probes.len()), ("retry", 1));
    assert_eq!(still.not_before.unwrap().wait, 5_000_000_000);
    assert_eq!(body(&probes[0]), json!({"spans": []}));
    assert!(probes[0].url.ends_with("/ai/spans/publish"));
    let (result, requests) = answered(Ok(status(200)), || exporter.send_logs(&events.logs));
    assert_eq!((outcome_word(&result), requests.len()), ("delivered", 2));
    let (_, requests) = answered(Ok(status(200)), || exporter.send_logs(&events.logs));
    assert_eq!(requests.len(), 1, "resumed");
}

#[test]
fn refused_credentials_cool_down_for_longer_and_longer() {
    let (exporter, events) = (exporter(), recorded_ended());
    let refused = || answered(Ok(status(401)), || exporter.send_logs(&events.logs)).0;
    let seconds = |result: SendResult| {
        let delay = result.not_before.unwrap();
        assert_eq!(delay.scope, DelayScope::WholeExporter);
        Duration::from_nanos(delay.wait).as_secs()
    };
    let waits: Vec<_> = (0..6).map(|_| seconds(refused())).collect();
    assert_eq!(waits, [60, 120, 240, 480, 900, 900]);
    answered(Ok(status(200)), || exporter.send_logs(&events.logs));
    assert_eq!(seconds(refused()), 60, "a success forgives");
}

#[test]
fn no_connection_keeps_everything_and_a_missing_grant_pauses() {
    let (exporter, events) = (exporter(), recorded_ended());
    let unreachable = Err(HttpError::Unreachable("connection refused".to_owned()));
    let result = answered(unreachable, || exporter.send_metrics(&events.metrics)).0;
    assert_eq!(outcome_word(&result), "retry");
    let denied = Err(HttpError::Denied("no grant".to_owned()));
    let result = answered(denied, || exporter.send_feedback(&events.feedback)).0;
    assert_eq!(outcome_word(&result), "unauthorized");
}
