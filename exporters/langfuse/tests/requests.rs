//! Requests and what becomes of their items, with a stand-in for the backend.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use kit::exporter::{Golden, answered, body, configured, recorded_ended};
use std::time::Duration;

use langfuse_exporter::Langfuse;
use mastra_exporter_sdk::http::testing::{status, with_backend};
use mastra_exporter_sdk::http::{Auth, Compression, HttpError, Response};
use mastra_exporter_sdk::records::{DelayScope, ItemResult, SendOutcome, SendResult};
use mastra_exporter_sdk::test_support::batches;
use mastra_exporter_sdk::test_support::requests::header;
use mastra_exporter_sdk::{Feedback, Logs, Scores, Traces};
use serde_json::{Value, json};

fn exporter(more: &Value) -> Langfuse {
    configured(
        json!({
            "public_key": "pk-lf-test", "secret_key": "{secret:1}", "base_url": "https://langfuse.test", "service_name": "support-bot",
        }),
        more,
    )
}

#[test]
fn recorded_events_give_exactly_these_requests() {
    let (exporter, events) = (
        exporter(&json!({"environment": "staging"})),
        recorded_ended(),
    );
    let golden = Golden::of(env!("CARGO_MANIFEST_DIR"), 200);
    golden.check("traces.json", || exporter.send_spans(&events.spans));
    golden.check("logs.json", || exporter.send_logs(&events.logs));
    golden.check("scores.json", || exporter.send_scores(&events.scores));
    golden.check("feedback.json", || exporter.send_feedback(&events.feedback));
}

#[test]
fn spans_go_in_one_compressed_request_with_the_version_and_credentials() {
    let (exporter, events) = (
        exporter(&json!({"headers": {"x-extra": "yes"}})),
        recorded_ended(),
    );
    let (result, requests) = answered(Ok(status(200)), || exporter.send_spans(&events.spans));
    assert_eq!(result, SendResult::all(ItemResult::Delivered));
    let [request] = &requests[..] else {
        panic!("one request")
    };
    assert_eq!(
        (request.verb, request.url.as_str()),
        ("POST", "https://langfuse.test/api/public/otel/v1/traces")
    );
    assert_eq!(header(request, "x-langfuse-ingestion-version"), Some("4"));
    assert_eq!(
        header(request, "content-type"),
        Some("application/x-protobuf")
    );
    assert_eq!(header(request, "x-extra"), Some("yes"));
    assert_eq!(request.compression, Some(Compression::Gzip));
    assert_eq!(
        request.auth,
        Some(Auth::Basic(
            "pk-lf-test".to_owned(),
            "{secret:1}".to_owned()
        ))
    );
}

#[test]
fn every_reply_to_spans_has_its_outcome() {
    let (exporter, events) = (exporter(&json!({})), recorded_ended());
    for (code, expected) in [
        (200, "delivered"),
        (202, "delivered"),
        (207, "delivered"),
        (400, "isolate"),
        (401, "unauthorized"),
        (403, "unauthorized"),
        (404, "rejected"),
        (405, "rejected"),
        (413, "too-large"),
        (422, "isolate"),
        (429, "retry"),
        (500, "retry"),
        (502, "retry"),
        (503, "retry"),
        (504, "retry"),
        (599, "retry"),
        (301, "rejected"),
    ] {
        let (result, requests) = answered(Ok(status(code)), || exporter.send_spans(&events.spans));
        let outcome = match result.outcome {
            SendOutcome::AllItems(ItemResult::Delivered) => "delivered",
            SendOutcome::AllItems(ItemResult::Retry(_)) => "retry",
            SendOutcome::AllItems(ItemResult::Rejected(_)) => "rejected",
            SendOutcome::Isolate(_) => "isolate",
            SendOutcome::TooLarge => "too-large",
            SendOutcome::Unauthorized(_) => "unauthorized",
            other => panic!("{other:?}"),
        };
        assert_eq!(outcome, expected, "{code}");
        assert_eq!(requests.len(), 1, "spans are written once a call");
    }
}

#[test]
fn a_rate_limit_holds_this_signal_for_as_long_as_it_says() {
    let (exporter, events) = (exporter(&json!({})), recorded_ended());
    let reply = Response {
        retry_after: Some(Duration::from_secs(30)),
        ..status(429)
    };
    let (result, requests) = answered(Ok(reply), || exporter.send_scores(&events.scores));
    assert_eq!(
        requests.len(),
        1,
        "the rest is not tried against a full bucket"
    );
    let delay = result.not_before.unwrap();
    assert_eq!(
        (delay.scope, delay.wait),
        (DelayScope::ThisSignal, 30_000_000_000)
    );
    let SendOutcome::PerItem(fates) = result.outcome else {
        panic!()
    };
    assert!(
        fates.len() == events.scores.scores.len()
            && fates
                .iter()
                .all(|fate| matches!(fate, ItemResult::Retry(_)))
    );
}

#[test]
fn scores_go_one_by_one_and_a_bad_one_harms_no_other() {
    let (exporter, events) = (exporter(&json!({})), recorded_ended());
    let mut count = 0;
    let (result, requests) = with_backend(
        move |_| {
            count += 1;
            Ok(status(if count == 2 { 400 } else { 200 }))
        },
        || exporter.send_scores(&events.scores),
    );
    assert_eq!(requests.len(), 4);
    assert!(
        requests
            .iter()
            .all(|request| request.url == "https://langfuse.test/api/public/scores")
    );
    let SendOutcome::PerItem(fates) = result.outcome else {
        panic!()
    };
    assert!(matches!(fates[1], ItemResult::Rejected(_)));
    assert_eq!(
        fates
            .iter()
            .filter(|fate| **fate == ItemResult::Delivered)
            .count(),
        3
    );
}

#[test]
fn arrays_of_scores_are_one_request_and_207_is_never_sent_again() {
    let (exporter, events) = (
        exporter(&json!({"score_batching": "array"})),
        recorded_ended(),
    );
    let (result, requests) = answered(Ok(status(202)), || exporter.send_scores(&events.scores));
    assert_eq!(result, SendResult::all(ItemResult::Delivered));
    assert_eq!(body(&requests[0]).as_array().unwrap().len(), 4);
    for (rejected, expected) in [(0, "delivered"), (1, "partial"), (4, "rejected")] {
        let text = format!(r#"{{"accepted":1,"rejected":{rejected},"errors":[]}}"#);
        let reply = Response {
            body: text.into_bytes(),
            ..status(207)
        };
        let (result, _) = answered(Ok(reply), || exporter.send_scores(&events.scores));
        let outcome = match result.outcome {
            SendOutcome::AllItems(ItemResult::Delivered) => "delivered",
            SendOutcome::AllItems(ItemResult::Rejected(_)) => "rejected",
            SendOutcome::Partial(partial) if partial.rejected_count == 1 => "partial",
            other => panic!("{other:?}"),
        };
        assert_eq!(outcome, expected);
    }
}

#[test]
fn scores_that_belong_nowhere_are_skipped_without_a_request() {
    let exporter = exporter(&json!({}));
    let line = r#"{"type":"score","score":{"scoreId":"s","timestamp":"2026-03-04T05:06:10.146Z","scorerId":"x","score":1}}"#;
    let (result, requests) = answered(Ok(status(200)), || {
        exporter.send_scores(&batches(line).scores)
    });
    assert!(requests.is_empty());
    let SendOutcome::PerItem(fates) = result.outcome else {
        panic!()
    };
    assert!(matches!(fates[0], ItemResult::Skipped(_)));
}

#[test]
fn no_connection_keeps_everything_and_a_missing_grant_pauses() {
    let (exporter, events) = (exporter(&json!({})), recorded_ended());
    let unreachable = Err(HttpError::Unreachable("connection refused".to_owned()));
    let (result, _) = answered(unreachable, || exporter.send_feedback(&events.feedback));
    let SendOutcome::PerItem(fates) = result.outcome else {
        panic!()
    };
    assert!(
        fates
            .iter()
            .all(|fate| matches!(fate, ItemResult::Retry(_)))
    );
    let denied = Err(HttpError::Denied("no grant".to_owned()));
    let (result, _) = answered(denied, || exporter.send_spans(&events.spans));
    assert!(matches!(result.outcome, SendOutcome::Unauthorized(_)));
}
