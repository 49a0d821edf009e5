//! Requests and what becomes of their items, with a stand-in for the backend.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use kit::exporter::{
    Golden, answered, body, check_score_of_nothing, check_statuses, check_unsent, configured,
    judged_by, recorded, recorded_ended, wait_after,
};
use std::time::Duration;

use braintrust_exporter::Braintrust;
use mastra_exporter_sdk::http::testing::{status, with_backend};
use mastra_exporter_sdk::http::{Auth, Compression, Request, Response};
use mastra_exporter_sdk::records::{ItemResult, SendOutcome, SendResult};
use mastra_exporter_sdk::test_support::requests::outcome_word;
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

#[test]
fn every_reply_has_its_outcome() {
    let (exporter, events) = (by_id(), recorded_ended());
    let statuses = [
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
    ];
    let sends: [&dyn Fn() -> SendResult; 3] = [
        &|| exporter.send_spans(&events.spans),
        &|| exporter.send_scores(&events.scores),
        &|| exporter.send_feedback(&events.feedback),
    ];
    check_statuses(&statuses, &sends);
}

#[test]
fn a_project_that_cannot_be_found_costs_no_item() {
    let events = recorded_ended();
    for (code, text, expected) in [
        (401, "", "unauthorized"),
        (400, "", "unauthorized"),
        (422, "", "unauthorized"),
        (404, "", "unauthorized"),
        (301, "", "unauthorized"),
        (413, "", "retry"),
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
            (outcome_word(&result), requests.len()),
            (expected, 1),
            "{code} {text}"
        );
        if let SendOutcome::Unauthorized(reason) = &result.outcome {
            assert!(reason.contains(&code.to_string()), "{reason}");
            let is_of_the_key = code == 401;
            assert_eq!(reason.contains("project_name"), !is_of_the_key, "{reason}");
        }
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
    let wait = Some(Duration::from_secs(30));
    let reply = Response {
        retry_after: wait,
        ..status(429)
    };
    let send = || exporter.send_scores(&events.scores);
    assert_eq!(wait_after(reply, send), wait);
}

#[test]
fn scores_that_belong_nowhere_are_skipped_without_a_request() {
    check_score_of_nothing(&by_id());
}

#[test]
fn no_connection_keeps_everything_and_a_missing_grant_pauses() {
    let (exporter, events) = (by_id(), recorded_ended());
    check_unsent(&[&|| exporter.send_spans(&events.spans), &|| {
        exporter.send_feedback(&events.feedback)
    }]);
}
