//! Requests and what becomes of their items, with a stand-in for the backend.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use std::fs;
use std::path::Path;
use std::time::Duration;

use kit::backend::Fake;
use kit::golden;
use mastra_exporter_sdk::http::testing::{status, with_backend};
use mastra_exporter_sdk::http::{Auth, Compression, HttpError, Request, Response};
use mastra_exporter_sdk::records::{DelayScope, ItemResult, SendOutcome, SendResult, SpanPhase};
use mastra_exporter_sdk::test_support::{Batches, batches};
use mastra_exporter_sdk::{Exporter, Feedback, Logs, Scores, Traces};
use posthog_exporter::PostHog;
use serde_json::{Value, json};

fn exporter(extra: &Value) -> PostHog {
    let mut settings = json!({"api_key": "{secret:1}", "host": "https://posthog.test"});
    for (key, value) in extra.as_object().unwrap() {
        settings[key] = value.clone();
    }
    PostHog::configure(serde_json::from_value(settings).unwrap()).unwrap()
}

fn recorded() -> Batches {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus/events.ndjson");
    let mut events = batches(&fs::read_to_string(path).unwrap());
    events.keep_spans(|span| span.phase == SpanPhase::Ended);
    events
}

fn answered(
    reply: Result<Response, HttpError>,
    send: impl FnOnce() -> SendResult,
) -> (SendResult, Vec<Request>) {
    with_backend(move |_| reply.clone(), send)
}

fn body(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

fn golden(name: &str, requests: &[Request]) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    let written = requests.iter().map(|request| {
        json!({
            "verb": request.verb, "url": request.url, "headers": request.headers,
            "compression": request.compression.map(|compression| format!("{compression:?}")), "body": body(request),
        })
    });
    golden::check(&file, &written.collect()).unwrap();
}

#[test]
fn recorded_events_give_exactly_these_requests() {
    let (exporter, events) = (exporter(&json!({})), recorded());
    let ok = || Ok(status(200));
    golden(
        "traces.json",
        &answered(ok(), || exporter.send_spans(&events.spans)).1,
    );
    golden(
        "logs.json",
        &answered(ok(), || exporter.send_logs(&events.logs)).1,
    );
    golden(
        "scores.json",
        &answered(ok(), || exporter.send_scores(&events.scores)).1,
    );
    golden(
        "feedback.json",
        &answered(ok(), || exporter.send_feedback(&events.feedback)).1,
    );
}

/// What the strict fake says to our request, with the secret filled in.
fn judged_by(fake: &kit::backend::posthog::PostHog, request: &Request) -> Response {
    let mut headers = request.headers.clone();
    if let Some(Auth::Bearer(_)) = request.auth {
        headers.push((
            "authorization".to_owned(),
            format!("Bearer {}", fake.api_key),
        ));
    }
    let text = String::from_utf8(request.body.clone()).unwrap();
    let answer = fake.answer(&kit::backend::Request {
        method: request.verb.to_owned(),
        path: request
            .url
            .trim_start_matches("https://posthog.test")
            .to_owned(),
        headers,
        body: text.replace("{secret:1}", &fake.api_key).into(),
        ..kit::backend::Request::default()
    });
    assert!(
        answer.refused.is_none() || answer.status == 404,
        "{answer:?}"
    );
    Response {
        body: answer.body.to_vec(),
        ..status(answer.status)
    }
}

#[test]
fn the_strict_fake_takes_all_signals() {
    let events = recorded();
    for has_ai_route in [true, false] {
        let exporter = exporter(&json!({}));
        let fake = kit::backend::posthog::PostHog {
            has_ai_route,
            ..kit::backend::posthog::PostHog::default()
        };
        let (results, requests) = with_backend(
            move |request| Ok(judged_by(&fake, request)),
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
        recorded(),
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
    let (exporter, events) = (exporter(&json!({})), recorded());
    for (code, expected) in [
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
    ] {
        let sends: [&dyn Fn() -> SendResult; 4] = [
            &|| exporter.send_spans(&events.spans),
            &|| exporter.send_logs(&events.logs),
            &|| exporter.send_scores(&events.scores),
            &|| exporter.send_feedback(&events.feedback),
        ];
        for send in sends {
            let (result, requests) = answered(Ok(status(code)), send);
            assert_eq!((outcome(&result), requests.len()), (expected, 1), "{code}");
        }
    }
    let (result, requests) = answered(Ok(status(404)), || exporter.send_spans(&events.spans));
    assert_eq!(
        (outcome(&result), requests.len()),
        ("rejected", 2),
        "neither route is there"
    );
}

#[test]
fn a_used_up_plan_and_a_limit_wait() {
    let (exporter, events) = (exporter(&json!({})), recorded());
    let used_up = Response {
        body: r#"{"status":"Ok","quota_limited":["events"]}"#.into(),
        ..status(200)
    };
    let limited = Response {
        retry_after: Some(Duration::from_secs(30)),
        ..status(429)
    };
    for (reply, seconds) in [(used_up, 300), (limited, 30)] {
        let (result, _) = answered(Ok(reply), || exporter.send_scores(&events.scores));
        assert_eq!(outcome(&result), "retry");
        let delay = result.not_before.unwrap();
        assert_eq!(
            (delay.scope, delay.wait),
            (DelayScope::ThisSignal, seconds * 1_000_000_000)
        );
    }
}

#[test]
fn logs_may_be_refused_in_part() {
    let (exporter, events) = (exporter(&json!({})), recorded());
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
    let line = r#"{"type":"score","score":{"scoreId":"s","timestamp":"2026-03-04T05:06:10.146Z","scorerId":"x","score":1}}"#;
    let (result, requests) = answered(Ok(status(200)), || {
        exporter(&json!({})).send_scores(&batches(line).scores)
    });
    assert!(requests.is_empty());
    let SendOutcome::PerItem(fates) = result.outcome else {
        panic!("one fate an item")
    };
    assert!(matches!(fates[0], ItemResult::Skipped(_)));
}

#[test]
fn no_connection_keeps_everything_and_a_missing_grant_pauses() {
    let (exporter, events) = (exporter(&json!({})), recorded());
    let unreachable = Err(HttpError::Unreachable("connection refused".to_owned()));
    let (result, _) = answered(unreachable, || exporter.send_feedback(&events.feedback));
    assert_eq!(outcome(&result), "retry");
    let denied = Err(HttpError::Denied("no grant".to_owned()));
    let (result, _) = answered(denied, || exporter.send_spans(&events.spans));
    assert_eq!(outcome(&result), "unauthorized");
}
