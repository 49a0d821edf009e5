//! Requests and what becomes of their items, with a stand-in for the backend.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use kit::exporter::{
    Golden, answered, check_score_of_nothing, check_statuses, check_unsent, configured, judged_by,
    recorded_ended, wait_after,
};
use std::time::Duration;

use langsmith_exporter::LangSmith;
use mastra_exporter_sdk::http::testing::{status, with_backend};
use mastra_exporter_sdk::http::{Auth, Request, Response};
use mastra_exporter_sdk::records::{ItemResult, SendOutcome, SendResult};
use mastra_exporter_sdk::test_support::requests::outcome_word;
use mastra_exporter_sdk::{Exporter, Feedback, Scores, Traces};
use serde_json::{Value, json};

fn exporter(more: &Value) -> LangSmith {
    configured(
        json!({"api_key": "{secret:1}", "api_url": "https://langsmith.test", "project_name": "support"}),
        more,
    )
}

/// Answers forms as a server that has none, and everything else with `code`.
fn without_forms(code: u16, send: impl FnOnce() -> SendResult) -> (SendResult, Vec<Request>) {
    let is_form = |request: &Request| request.url.ends_with("/runs/multipart");
    with_backend(
        move |request| Ok(status(if is_form(request) { 404 } else { code })),
        send,
    )
}

#[test]
fn recorded_events_give_exactly_these_requests() {
    let (exporter, events) = (exporter(&json!({})), recorded_ended());
    let golden = Golden::of(env!("CARGO_MANIFEST_DIR"), 202);
    golden.check("traces.json", || exporter.send_spans(&events.spans));
    golden.check("scores.json", || exporter.send_scores(&events.scores));
    golden.check("feedback.json", || exporter.send_feedback(&events.feedback));
    golden.check_requests(
        "traces-batch.json",
        &without_forms(202, || exporter.send_spans(&events.spans)).1,
    );
}

#[test]
fn the_strict_fake_takes_all_signals_and_a_second_delivery_of_each() {
    let events = recorded_ended();
    for takes_forms in [true, false] {
        let exporter = exporter(&json!({}));
        let mut fake = kit::backend::langsmith::LangSmith::default();
        fake.takes_forms = takes_forms;
        let (results, requests) = with_backend(
            move |request| Ok(judged_by(&fake, request, &fake.api_key, &[404, 409])),
            || {
                let send = || {
                    [
                        exporter.send_spans(&events.spans),
                        exporter.send_scores(&events.scores),
                        exporter.send_feedback(&events.feedback),
                    ]
                };
                (send(), send())
            },
        );
        for result in results.0.iter().chain(&results.1) {
            let is_delivered = match &result.outcome {
                SendOutcome::AllItems(fate) => *fate == ItemResult::Delivered,
                SendOutcome::PerItem(fates) => {
                    fates.iter().all(|fate| *fate == ItemResult::Delivered)
                }
                _ => false,
            };
            assert!(is_delivered, "{result:?}");
        }
        let forms = requests
            .iter()
            .filter(|request| request.url.ends_with("/runs/multipart"))
            .count();
        assert_eq!(
            forms,
            if takes_forms { 6 } else { 1 },
            "a server without forms is asked once"
        );
    }
}

#[test]
fn whole_traces_are_asked_for() {
    let description = format!("{:?}", LangSmith::describe());
    let wanted = "grouping: WholeTrace { max_wait: 30s, max_spans: 1000 }";
    assert!(description.contains(wanted), "{description}");
}

#[test]
fn requests_carry_the_key_the_workspace_and_own_headers() {
    let exporter = exporter(&json!({"workspace_id": "w-1", "headers": {"x-extra": "yes"}}));
    let (_, requests) = answered(Ok(status(202)), || {
        exporter.send_spans(&recorded_ended().spans)
    });
    let [request] = &requests[..] else {
        panic!("one request")
    };
    assert_eq!(request.url, "https://langsmith.test/runs/multipart");
    assert_eq!(
        request.auth,
        Some(Auth::Header(
            "x-api-key".to_owned(),
            "{secret:1}".to_owned()
        ))
    );
    for (name, value) in [("x-tenant-id", "w-1"), ("x-extra", "yes")] {
        assert!(
            request
                .headers
                .contains(&(name.to_owned(), value.to_owned()))
        );
    }
}

#[test]
fn every_reply_has_its_outcome() {
    let (with_forms, events) = (exporter(&json!({})), recorded_ended());
    let statuses = [
        (200, "delivered"),
        (202, "delivered"),
        (409, "delivered"),
        (400, "isolate"),
        (401, "unauthorized"),
        (403, "unauthorized"),
        (408, "retry"),
        (413, "too-large"),
        (422, "isolate"),
        (425, "retry"),
        (429, "retry"),
        (500, "retry"),
        (503, "retry"),
    ];
    let sends: [&dyn Fn() -> SendResult; 3] = [
        &|| with_forms.send_spans(&events.spans),
        &|| with_forms.send_scores(&events.scores),
        &|| with_forms.send_feedback(&events.feedback),
    ];
    check_statuses(&statuses, &sends);
    for (code, expected) in statuses {
        let exporter = exporter(&json!({}));
        let (result, requests) = without_forms(code, || exporter.send_spans(&events.spans));
        let found = (outcome_word(&result), requests.len());
        assert_eq!(found, (expected, 2), "{code} without forms");
    }
    let send = || with_forms.send_spans(&events.spans);
    let (result, requests) = answered(Ok(status(404)), send);
    assert_eq!(
        (outcome_word(&result), requests.len()),
        ("rejected", 2),
        "neither endpoint is there"
    );
}

#[test]
fn without_forms_a_bad_piece_of_feedback_harms_no_other() {
    let (exporter, events) = (exporter(&json!({})), recorded_ended());
    let mut count = 0;
    let (result, requests) = with_backend(
        move |request| {
            count += 1;
            let is_form = request.url.ends_with("/runs/multipart");
            Ok(status(if is_form {
                404
            } else if count == 3 {
                422
            } else {
                200
            }))
        },
        || exporter.send_scores(&events.scores),
    );
    assert_eq!(requests.len(), 5);
    let SendOutcome::PerItem(fates) = result.outcome else {
        panic!("one fate an item")
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
fn a_limit_holds_this_signal_for_as_long_as_it_says_or_a_minute() {
    let (exporter, events) = (exporter(&json!({})), recorded_ended());
    let minute = Duration::from_secs(60);
    for (retry_after, wait) in [(Some(30 * minute), 30 * minute), (None, minute)] {
        let reply = Response {
            retry_after,
            ..status(429)
        };
        let send = || exporter.send_spans(&events.spans);
        assert_eq!(wait_after(reply, send), Some(wait));
    }
    let (result, requests) = without_forms(429, || exporter.send_scores(&events.scores));
    assert_eq!(
        (requests.len(), result.not_before.unwrap().wait),
        (2, 60_000_000_000)
    );
}

#[test]
fn scores_that_belong_nowhere_are_skipped_without_a_request() {
    check_score_of_nothing(&exporter(&json!({})));
}

#[test]
fn no_connection_keeps_everything_and_a_missing_grant_pauses() {
    let (exporter, events) = (exporter(&json!({})), recorded_ended());
    check_unsent(&[&|| exporter.send_spans(&events.spans), &|| {
        exporter.send_feedback(&events.feedback)
    }]);
}
