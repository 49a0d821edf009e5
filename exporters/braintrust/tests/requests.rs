//! Requests and what becomes of their items, with a stand-in for the backend.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use kit::exporter::{Golden, answered, body, configured, judged_by, recorded, recorded_ended};
use std::time::Duration;

use braintrust_exporter::Braintrust;
use mastra_exporter_sdk::http::testing::{status, with_backend};
use mastra_exporter_sdk::http::{Auth, Compression, HttpError, Request, Response};
use mastra_exporter_sdk::records::{DelayScope, ItemResult, SendOutcome, SendResult};
use mastra_exporter_sdk::test_support::batches;
use mastra_exporter_sdk::{Feedback, Logs, Scores, Traces};
use serde_json::{Value, json};

const PROJECT: &str = "11111111-1111-4111-8111-111111111111";
const EXPERIMENT: &str = "22222222-2222-4222-8222-222222222222";

fn exporter(more: &Value) -> Braintrust {
    configured(
        json!({"api_key": "{secret:1}", "endpoint": "https://braintrust.test"}),
        more,
    )
}

fn by_id() -> Braintrust {
    exporter(&json!({"project_id": PROJECT}))
}

#[test]
fn recorded_events_give_exactly_these_requests() {
    let (exporter, events) = (by_id(), recorded_ended());
    let golden = Golden::of(env!("CARGO_MANIFEST_DIR"), 200);
    golden.check("traces.json", || exporter.send_spans(&events.spans));
    golden.check("logs.json", || exporter.send_logs(&events.logs));
    golden.check("scores.json", || exporter.send_scores(&events.scores));
    golden.check("feedback.json", || exporter.send_feedback(&events.feedback));
}

#[test]
fn the_strict_fake_takes_all_signals_and_a_second_delivery_of_each() {
    let events = recorded();
    for settings in [
        json!({"project_name": "support", "org_name": "acme"}),
        json!({"project_id": PROJECT}),
        json!({"experiment_id": EXPERIMENT}),
    ] {
        let (exporter, fake) = (
            exporter(&settings),
            kit::backend::braintrust::Braintrust::default(),
        );
        let (results, requests) = with_backend(
            move |request| Ok(judged_by(&fake, request, &fake.api_key, &[])),
            || {
                let send = || {
                    [
                        exporter.send_spans(&events.spans),
                        exporter.send_scores(&events.scores),
                        exporter.send_feedback(&events.feedback),
                        exporter.send_logs(&events.logs),
                    ]
                };
                (send(), send())
            },
        );
        assert_eq!(results.0, results.1);
        let [spans, scores, feedback, logs] = results.0;
        for result in [spans, scores, feedback] {
            assert_eq!(result, SendResult::all(ItemResult::Delivered));
        }
        let SendOutcome::PerItem(fates) = logs.outcome else {
            panic!("one log has no trace")
        };
        assert_eq!(
            fates
                .iter()
                .filter(|fate| **fate == ItemResult::Delivered)
                .count(),
            5
        );
        assert!(matches!(fates[5], ItemResult::Skipped(_)));
        let lookups = requests
            .iter()
            .filter(|request| request.url.ends_with("/v1/project"))
            .count();
        assert_eq!(
            lookups,
            usize::from(settings.get("project_name").is_some()),
            "asked once"
        );
    }
}

#[test]
fn requests_are_compressed_and_carry_the_key_and_own_headers() {
    let exporter = exporter(&json!({"project_id": PROJECT, "headers": {"x-extra": "yes"}}));
    let (_, requests) = answered(Ok(status(200)), || {
        exporter.send_spans(&recorded_ended().spans)
    });
    let [request] = &requests[..] else {
        panic!("one request")
    };
    assert_eq!(
        request.url,
        format!("https://braintrust.test/v1/project_logs/{PROJECT}/insert")
    );
    assert_eq!(request.compression, Some(Compression::Gzip));
    assert_eq!(request.auth, Some(Auth::Bearer("{secret:1}".to_owned())));
    assert!(
        request
            .headers
            .contains(&("x-extra".to_owned(), "yes".to_owned()))
    );
}

fn outcome(result: &SendResult) -> &'static str {
    match &result.outcome {
        SendOutcome::AllItems(ItemResult::Delivered) => "delivered",
        SendOutcome::AllItems(ItemResult::Retry(_)) => "retry",
        SendOutcome::AllItems(ItemResult::Rejected(_)) => "rejected",
        SendOutcome::Isolate(_) => "isolate",
        SendOutcome::TooLarge => "too-large",
        SendOutcome::Unauthorized(_) => "unauthorized",
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_reply_has_its_outcome() {
    let (exporter, events) = (by_id(), recorded_ended());
    for (code, expected) in [
        (200, "delivered"),
        (400, "isolate"),
        (401, "unauthorized"),
        (403, "unauthorized"),
        (404, "unauthorized"),
        (405, "rejected"),
        (413, "too-large"),
        (422, "isolate"),
        (429, "retry"),
        (500, "retry"),
        (502, "retry"),
        (503, "retry"),
        (301, "rejected"),
    ] {
        let sends: [&dyn Fn() -> SendResult; 3] = [
            &|| exporter.send_spans(&events.spans),
            &|| exporter.send_scores(&events.scores),
            &|| exporter.send_feedback(&events.feedback),
        ];
        for send in sends {
            let (result, requests) = answered(Ok(status(code)), send);
            assert_eq!((outcome(&result), requests.len()), (expected, 1), "{code}");
        }
    }
}

#[test]
fn a_project_that_cannot_be_found_costs_no_item() {
    let events = recorded_ended();
    for (code, text, expected) in [
        (401, "", "unauthorized"),
        (400, "", "unauthorized"),
        (404, "", "unauthorized"),
        (429, "", "retry"),
        (503, "", "retry"),
        (200, "{}", "retry"),
        (200, "<html>", "retry"),
    ] {
        let exporter = exporter(&json!({}));
        let reply = Response {
            body: text.into(),
            ..status(code)
        };
        let (result, requests) = answered(Ok(reply), || exporter.send_spans(&events.spans));
        assert_eq!(
            (outcome(&result), requests.len()),
            (expected, 1),
            "{code} {text}"
        );
    }
}

#[test]
fn a_project_that_is_gone_is_looked_for_again() {
    let (exporter, events) = (exporter(&json!({})), recorded_ended());
    let reply = |request: &Request| {
        let is_lookup = request.url.ends_with("/v1/project");
        Ok(Response {
            body: format!("{{\"id\":\"{PROJECT}\"}}").into(),
            ..status(if is_lookup { 200 } else { 404 })
        })
    };
    let (_, requests) = with_backend(reply, || {
        (
            exporter.send_spans(&events.spans),
            exporter.send_spans(&events.spans),
        )
    });
    let lookups = requests
        .iter()
        .filter(|request| request.url.ends_with("/v1/project"));
    assert_eq!((lookups.count(), requests.len()), (2, 4));
    assert_eq!(body(&requests[0]), json!({"name": "mastra-tracing"}));
}

#[test]
fn a_rate_limit_holds_this_signal_for_as_long_as_it_says() {
    let (exporter, events) = (by_id(), recorded_ended());
    let reply = Response {
        retry_after: Some(Duration::from_secs(30)),
        ..status(429)
    };
    let (result, _) = answered(Ok(reply), || exporter.send_scores(&events.scores));
    let delay = result.not_before.unwrap();
    assert_eq!(
        (delay.scope, delay.wait),
        (DelayScope::ThisSignal, 30_000_000_000)
    );
}

#[test]
fn scores_that_belong_nowhere_are_skipped_without_a_request() {
    let line = r#"{"type":"score","score":{"scoreId":"s","timestamp":"2026-03-04T05:06:10.146Z","scorerId":"x","score":1}}"#;
    let (result, requests) = answered(Ok(status(200)), || {
        by_id().send_scores(&batches(line).scores)
    });
    assert!(requests.is_empty());
    let SendOutcome::PerItem(fates) = result.outcome else {
        panic!("one fate an item")
    };
    assert!(matches!(fates[0], ItemResult::Skipped(_)));
}

#[test]
fn no_connection_keeps_everything_and_a_missing_grant_pauses() {
    let (exporter, events) = (by_id(), recorded_ended());
    let unreachable = Err(HttpError::Unreachable("connection refused".to_owned()));
    let (result, _) = answered(unreachable, || exporter.send_feedback(&events.feedback));
    assert_eq!(outcome(&result), "retry");
    let denied = Err(HttpError::Denied("no grant".to_owned()));
    let (result, _) = answered(denied, || exporter.send_spans(&events.spans));
    assert_eq!(outcome(&result), "unauthorized");
}
