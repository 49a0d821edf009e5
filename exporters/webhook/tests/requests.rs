//! Requests and what becomes of their events, with a stand-in for the receiver.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use kit::backend::webhook::{EVENTS, Webhook as Fake};
use kit::exporter::{Golden, answered, configured, judged_by, recorded, recorded_text};
use std::time::Duration;

use mastra_exporter_sdk::http::testing::status;
use mastra_exporter_sdk::http::{Auth, Compression, Request, Response};
use mastra_exporter_sdk::records::{DelayScope, SendResult};
use mastra_exporter_sdk::test_support::Batches;
use mastra_exporter_sdk::test_support::requests::{fate_words, header, outcome_word};
use mastra_exporter_sdk::{Feedback, Logs, Metrics, Scores, Traces};
use serde_json::{Value, json};
use webhook_exporter::Webhook;

fn exporter(more: &Value) -> Webhook {
    configured(json!({"url": "https://hook.test/in?x=1"}), more)
}

fn all(exporter: &Webhook, events: &Batches) -> Vec<Request> {
    let mut requests = Vec::new();
    for send in [
        &(|| exporter.send_spans(&events.spans)) as &dyn Fn() -> SendResult,
        &|| exporter.send_logs(&events.logs),
        &|| exporter.send_metrics(&events.metrics),
        &|| exporter.send_scores(&events.scores),
        &|| exporter.send_feedback(&events.feedback),
    ] {
        let (result, sent) = answered(Ok(status(200)), send);
        assert_eq!(outcome_word(&result), "delivered");
        requests.extend(sent);
    }
    requests
}

#[test]
fn recorded_events_are_posted_byte_for_byte() {
    let requests = all(&exporter(&json!({"format": "ndjson"})), &recorded());
    let mut posted: Vec<String> = requests
        .iter()
        .flat_map(|request| std::str::from_utf8(&request.body).unwrap().lines())
        .map(str::to_owned)
        .collect();
    let mut expected: Vec<String> = recorded_text().lines().map(str::to_owned).collect();
    posted.sort();
    expected.sort();
    assert_eq!(posted, expected);
    assert!(requests.iter().all(|request| {
        header(request, "content-type") == Some("application/x-ndjson")
            && request.body.ends_with(b"\n")
    }));
}

#[test]
fn recorded_events_give_exactly_these_requests() {
    let settings = json!({"headers": {"x-signal": "{{signal}}", "x-count": "n={{ count }}"}, "span_events": "ended"});
    let exporter = exporter(&settings);
    let events = recorded();
    let mut requests = Vec::new();
    for send in [
        &(|| exporter.send_logs(&events.logs)) as &dyn Fn() -> SendResult,
        &|| exporter.send_scores(&events.scores),
        &|| exporter.send_feedback(&events.feedback),
    ] {
        requests.extend(answered(Ok(status(200)), send).1);
    }
    Golden::of(env!("CARGO_MANIFEST_DIR"), 200).check_requests("requests.json", &requests);
}

#[test]
fn a_strict_receiver_takes_every_request() {
    let events = recorded();
    let url = format!("https://hook.test{EVENTS}");
    for format in ["json", "ndjson"] {
        let settings = json!({"url": url, "authorization": "{secret:1}", "format": format});
        let exporter = exporter(&settings);
        for request in all(&exporter, &events) {
            judged_by(&Fake::default(), &request, "Bearer hook-token", &[]);
        }
    }
}

#[test]
fn only_ended_spans_are_sent_when_that_is_wanted() {
    let exporter = exporter(&json!({"span_events": "ended"}));
    let events = recorded();
    let (result, requests) = answered(Ok(status(200)), || exporter.send_spans(&events.spans));
    let words = fate_words(&result, 56);
    let count = |wanted| words.iter().filter(|word| **word == wanted).count();
    assert_eq!((count("delivered"), count("skipped")), (28, 28));
    let body: Value = serde_json::from_slice(&requests[0].body).unwrap();
    assert_eq!(body.as_array().unwrap().len(), 28);
}

#[test]
fn bodies_are_signed_and_authorized_as_wanted() {
    let events = recorded();
    let request = |settings: &Value| {
        let exporter = exporter(settings);
        answered(Ok(status(200)), || exporter.send_logs(&events.logs))
            .1
            .remove(0)
    };
    let plain = request(&json!({}));
    assert_eq!((plain.auth, plain.compression), (None, None));
    let authorized = request(&json!({"authorization": "{secret:1}", "gzip": true}));
    assert_eq!(
        authorized.auth,
        Some(Auth::Header(
            "authorization".to_owned(),
            "{secret:1}".to_owned()
        ))
    );
    assert_eq!(authorized.compression, Some(Compression::Gzip));
    let both = request(
        &json!({"authorization": "{secret:1}", "signing_secret": "{secret:2}", "signature_header": "x-sig"}),
    );
    assert_eq!(header(&both, "authorization"), Some("{secret:1}"));
    assert_eq!(
        both.auth,
        Some(Auth::HmacSha256 {
            key: "{secret:2}".to_owned(),
            header_name: "x-sig".to_owned(),
            prefix: "sha256=".to_owned(),
        })
    );
}

#[test]
fn every_reply_has_its_outcome() {
    let (exporter, events) = (exporter(&json!({})), recorded());
    for (code, expected) in [
        (200, "delivered"),
        (202, "delivered"),
        (204, "delivered"),
        (400, "isolate"),
        (401, "unauthorized"),
        (404, "rejected"),
        (410, "rejected"),
        (413, "too-large"),
        (422, "isolate"),
        (429, "retry"),
        (500, "retry"),
        (503, "retry"),
    ] {
        let result = answered(Ok(status(code)), || exporter.send_logs(&events.logs)).0;
        assert_eq!(outcome_word(&result), expected, "{code}");
    }
}

#[test]
fn a_receiver_may_name_single_bad_events_and_ask_for_time() {
    let (exporter, events) = (exporter(&json!({})), recorded());
    let partly = Response {
        body: br#"{"accepted":2,"rejected":[{"index":0}]}"#.to_vec(),
        ..status(200)
    };
    let result = answered(Ok(partly), || exporter.send_feedback(&events.feedback)).0;
    assert_eq!(
        fate_words(&result, 3),
        ["rejected", "delivered", "delivered"]
    );
    let busy = Response {
        retry_after: Some(Duration::from_secs(9)),
        ..status(503)
    };
    let result = answered(Ok(busy), || exporter.send_feedback(&events.feedback)).0;
    let delay = result.not_before.unwrap();
    assert_eq!(
        (delay.scope, delay.wait),
        (DelayScope::ThisSignal, 9_000_000_000)
    );
}
