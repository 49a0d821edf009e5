//! Requests and what becomes of their items, with a stand-in for the backend.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use kit::exporter::{
    Golden, answered, body, check_score_of_nothing, check_statuses, check_unsent, configured,
    judged_by, recorded_ended, wait_after,
};
use std::time::Duration;

use mastra_exporter_sdk::http::testing::{status, with_backend};
use mastra_exporter_sdk::http::{Auth, Compression, Request, Response};
use mastra_exporter_sdk::records::{ItemResult, SendOutcome, SendResult};
use mastra_exporter_sdk::test_support::batches;
use mastra_exporter_sdk::test_support::requests::outcome_word;
use mastra_exporter_sdk::{Feedback, Logs, Scores, Traces};
use posthog_exporter::PostHog;
use serde_json::{Value, json};

fn exporter(more: &Value) -> PostHog {
    configured(
        json!({"api_key": "{secret:1}", "host": "https://posthog.test"}),
        more,
    )
}

#[test]
fn recorded_events_give_exactly_these_requests() {
    let (exporter, events) = (exporter(&json!({})), recorded_ended());
    let golden = Golden::of(env!("CARGO_MANIFEST_DIR"), 200);
    golden.check("traces.json", || exporter.send_spans(&events.spans));
    golden.check("logs.json", || exporter.send_logs(&events.logs));
    golden.check("scores.json", || exporter.send_scores(&events.scores));
    golden.check("feedback.json", || exporter.send_feedback(&events.feedback));
}

#[test]
fn the_strict_fake_takes_all_signals() {
    let events = recorded_ended();
    for has_ai_route in [true, false] {
        let exporter = exporter(&json!({}));
        let fake = kit::backend::posthog::PostHog {
            has_ai_route,
            ..kit::backend::posthog::PostHog::default()
        };
        let (results, requests) = with_backend(
            move |request| Ok(judged_by(&fake, request, &fake.api_key, &[404])),
            || {
                [
                    exporter.send_spans(&events.spans),
                    exporter.send_scores(&events.scores),
                    exporter.send_feedback(&events.feedback),
                    exporter.send_logs(&events.logs),
                ]
            },
        );
        for result in results {
            assert_eq!(result, SendResult::all(ItemResult::Delivered));
        }
        let asked = requests
            .iter()
            .filter(|request| request.url.ends_with("/i/v0/ai/batch/"))
            .count();
        assert_eq!(
            asked,
            if has_ai_route { 3 } else { 1 },
            "a server without the route is asked once"
        );
    }
}

#[test]
fn the_token_is_in_the_body_of_events_and_in_the_header_of_logs() {
    let (exporter, events) = (
        exporter(&json!({"headers": {"x-extra": "yes"}})),
        recorded_ended(),
    );
    let (_, requests) = answered(Ok(status(200)), || exporter.send_spans(&events.spans));
    let [request] = &requests[..] else {
        panic!("one request")
    };
    assert_eq!(request.url, "https://posthog.test/i/v0/ai/batch/");
    assert_eq!(
        (&body(request)["api_key"], &request.auth),
        (&json!("{secret:1}"), &None)
    );
    assert_eq!(request.compression, Some(Compression::Gzip));
    assert!(
        request
            .headers
            .contains(&("x-extra".to_owned(), "yes".to_owned()))
    );
    let (_, requests) = answered(Ok(status(200)), || exporter.send_logs(&events.logs));
    assert_eq!(requests[0].url, "https://posthog.test/i/v1/logs");
    assert_eq!(
        requests[0].auth,
        Some(Auth::Bearer("{secret:1}".to_owned()))
    );
}

#[test]
fn every_reply_has_its_outcome() {
    let (exporter, events) = (exporter(&json!({})), recorded_ended());
    let statuses = [
        (200, "delivered"),
        (400, "isolate"),
        (401, "unauthorized"),
        (402, "unauthorized"),
        (403, "unauthorized"),
        (408, "retry"),
        (413, "too-large"),
        (429, "retry"),
        (500, "retry"),
        (503, "retry"),
        (301, "rejected"),
    ];
    let sends: [&dyn Fn() -> SendResult; 4] = [
        &|| exporter.send_spans(&events.spans),
        &|| exporter.send_logs(&events.logs),
        &|| exporter.send_scores(&events.scores),
        &|| exporter.send_feedback(&events.feedback),
    ];
    check_statuses(&statuses, &sends);
    let (result, requests) = answered(Ok(status(404)), || exporter.send_spans(&events.spans));
    assert_eq!(
        (outcome_word(&result), requests.len()),
        ("rejected", 2),
        "neither route is there"
    );
}

#[test]
fn a_used_up_plan_and_a_limit_wait() {
    let (exporter, events) = (exporter(&json!({})), recorded_ended());
    let send = || exporter.send_scores(&events.scores);
    let used_up = Response {
        body: r#"{"status":"Ok","quota_limited":["events"]}"#.into(),
        ..status(200)
    };
    let result = answered(Ok(used_up.clone()), send).0;
    assert_eq!(outcome_word(&result), "retry", "nothing was stored");
    assert_eq!(wait_after(used_up, send), Some(Duration::from_secs(300)));
    let limited = Response {
        retry_after: Some(Duration::from_secs(30)),
        ..status(429)
    };
    assert_eq!(wait_after(limited, send), Some(Duration::from_secs(30)));
}

#[test]
fn logs_may_be_refused_in_part() {
    let (exporter, events) = (exporter(&json!({})), recorded_ended());
    let reply = Response {
        body: r#"{"partialSuccess":{"rejectedLogRecords":"2"}}"#.into(),
        ..status(200)
    };
    let (result, _) = answered(Ok(reply), || exporter.send_logs(&events.logs));
    let SendOutcome::Partial(partial) = result.outcome else {
        panic!("a partial success")
    };
    assert_eq!(partial.rejected_count, 2);
}

fn span_of(bytes: usize, id: &str) -> String {
    json!({"type": "span_ended", "exportedSpan": {"id": id, "traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "name": "n",
        "type": "generic", "startTime": "2026-03-04T05:06:07.000Z", "endTime": "2026-03-04T05:06:08.000Z",
        "isRootSpan": true, "output": "x".repeat(bytes)}})
    .to_string()
}

#[test]
fn events_that_posthog_would_drop_are_refused_here_and_the_others_are_sent() {
    let lines = [
        span_of(10, "a"),
        span_of(1 << 20, "b"),
        span_of(9 << 20, "c"),
    ]
    .join("\n");
    let batch = batches(&lines).spans;
    for (has_ai_route, sent) in [(true, 2), (false, 1)] {
        let exporter = exporter(&json!({}));
        let missing =
            move |request: &Request| !has_ai_route && request.url.ends_with("/i/v0/ai/batch/");
        let (result, requests) = with_backend(
            move |request| Ok(status(if missing(request) { 404 } else { 200 })),
            || exporter.send_spans(&batch),
        );
        let SendOutcome::PerItem(fates) = result.outcome else {
            panic!("one fate an item")
        };
        let delivered = fates
            .iter()
            .filter(|fate| **fate == ItemResult::Delivered)
            .count();
        let rejected = fates
            .iter()
            .filter(|fate| matches!(fate, ItemResult::Rejected(_)))
            .count();
        assert_eq!((delivered, rejected), (sent, 3 - sent));
        assert_eq!(
            body(requests.last().unwrap())["batch"]
                .as_array()
                .unwrap()
                .len(),
            sent
        );
    }
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
