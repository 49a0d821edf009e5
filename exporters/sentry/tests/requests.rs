//! Requests and what becomes of their items, with a stand-in for Sentry.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use kit::exporter::{Golden, answered, configured, judged_by, lines, recorded_ended};
use std::time::Duration;

use mastra_exporter_sdk::http::testing::{status, with_backend};
use mastra_exporter_sdk::http::{Compression, HttpError, Request, Response};
use mastra_exporter_sdk::test_support::requests::{fate_words, header, outcome_word};
use mastra_exporter_sdk::{Feedback, Logs, Metrics, Traces};
use sentry_exporter::Sentry;
use serde_json::json;

fn exporter() -> Sentry {
    configured(
        json!({"dsn": "https://abc@sentry.test/sub/42", "release": "app@1"}),
        &json!({}),
    )
}

#[test]
fn recorded_events_give_exactly_these_requests() {
    let (exporter, events) = (exporter(), recorded_ended());
    let golden = Golden::of(env!("CARGO_MANIFEST_DIR"), 200);
    golden.check("traces.json", || exporter.send_spans(&events.spans));
    golden.check("logs.json", || exporter.send_logs(&events.logs));
    golden.check("metrics.json", || exporter.send_metrics(&events.metrics));
    golden.check("feedback.json", || exporter.send_feedback(&events.feedback));
}

#[test]
fn a_strict_sentry_takes_every_request() {
    let (events, fake) = (recorded_ended(), kit::backend::sentry::Sentry::default());
    let exporter: Sentry = configured(
        json!({"dsn": fake.dsn("http://sentry.test"), "environment": "test"}),
        &json!({}),
    );
    let take = move |request: &Request| Ok(judged_by(&fake, request, "", &[]));
    let (results, _) = with_backend(take, || {
        [
            exporter.send_spans(&events.spans),
            exporter.send_logs(&events.logs),
            exporter.send_metrics(&events.metrics),
            exporter.send_feedback(&events.feedback),
        ]
    });
    for result in results {
        let words = fate_words(&result, 1);
        assert!(words.iter().all(|word| *word == "delivered"), "{result:?}");
    }
}

#[test]
fn an_envelope_holds_one_trace_and_errors_are_events_before_it() {
    let (exporter, events) = (exporter(), recorded_ended());
    let (result, requests) = answered(Ok(status(200)), || exporter.send_spans(&events.spans));
    assert_eq!(fate_words(&result, 28), ["delivered"; 28]);
    let types: Vec<_> = requests
        .iter()
        .map(|request| lines(request)[1]["type"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        types,
        ["span", "event", "event", "span", "span", "span", "span"]
    );
    for request in &requests {
        assert_eq!(request.url, "https://sentry.test/sub/api/42/envelope/");
        assert_eq!(request.compression, Some(Compression::Gzip));
        let auth = header(request, "x-sentry-auth").unwrap();
        assert!(auth.starts_with("Sentry sentry_version=7, sentry_key=abc, sentry_client="));
        let [head, item, payload] = &lines(request)[..] else {
            panic!("three lines")
        };
        let text = std::str::from_utf8(&request.body).unwrap();
        let bytes = text.lines().nth(2).unwrap().len();
        assert_eq!(item["length"], bytes);
        for span in payload["items"].as_array().into_iter().flatten() {
            assert_eq!(head["trace"]["trace_id"], span["trace_id"]);
        }
    }
}

#[test]
fn an_error_has_its_frames_innermost_last_and_the_same_id_again() {
    let (exporter, events) = (exporter(), recorded_ended());
    let event = || {
        let requests = answered(Ok(status(200)), || exporter.send_spans(&events.spans)).1;
        lines(&requests[2])[2].clone()
    };
    let (first, second) = (event(), event());
    assert_eq!(first["event_id"], second["event_id"]);
    assert_eq!(first["event_id"].as_str().unwrap().len(), 32);
    let exception = &first["exception"]["values"][0];
    assert_eq!(exception["type"], "TypeError");
    assert_eq!(
        exception["stacktrace"]["frames"],
        json!([{"function": "run", "filename": "/app/src/tools/weather.ts", "lineno": 42, "colno": 11, "in_app": true}])
    );
}

#[test]
fn every_reply_has_its_outcome() {
    let (exporter, events) = (exporter(), recorded_ended());
    for (code, expected) in [
        (200, "delivered"),
        (400, "isolate"),
        (401, "unauthorized"),
        (403, "unauthorized"),
        (404, "rejected"),
        (413, "too-large"),
        (429, "retry"),
        (500, "retry"),
        (503, "retry"),
    ] {
        let logs = answered(Ok(status(code)), || exporter.send_logs(&events.logs)).0;
        assert_eq!(outcome_word(&logs), expected, "{code}");
        let spans = answered(Ok(status(code)), || exporter.send_spans(&events.spans)).0;
        assert_eq!(fate_words(&spans, 28)[0], expected, "{code}");
    }
}

#[test]
fn a_trace_that_fails_does_not_repeat_the_others() {
    let (exporter, events) = (exporter(), recorded_ended());
    let mut count = 0;
    let (result, _) = with_backend(
        move |_| {
            count += 1;
            Ok(status(if count == 4 { 413 } else { 200 }))
        },
        || exporter.send_spans(&events.spans),
    );
    let words = fate_words(&result, 28);
    for (span, word) in events.spans.spans.iter().zip(words) {
        let is_second = span.trace_id == "40d7dcda89f7323de1d108a43bca0638";
        assert_eq!(word, if is_second { "retry" } else { "delivered" });
    }
}

#[test]
fn rate_limits_are_read_from_any_status_and_by_category() {
    let (exporter, events) = (exporter(), recorded_ended());
    let wait = |code, limits: Option<&str>, retry_after| {
        let reply = Response {
            headers: limits
                .map(|limits| ("x-sentry-rate-limits".to_owned(), limits.to_owned()))
                .into_iter()
                .collect(),
            retry_after,
            ..status(code)
        };
        let result = answered(Ok(reply), || exporter.send_logs(&events.logs)).0;
        (
            outcome_word(&result),
            result
                .not_before
                .map(|delay| Duration::from_nanos(delay.wait).as_secs()),
        )
    };
    let minute = Some(Duration::from_secs(60));
    for (code, limits, retry_after, expected) in [
        (
            200,
            Some("7:log_item:organization"),
            None,
            ("delivered", Some(7)),
        ),
        (
            200,
            Some("7:error;span:key, 9::organization"),
            None,
            ("delivered", Some(9)),
        ),
        (200, Some("7:error;span:key"), None, ("delivered", None)),
        (
            429,
            Some("30:log_byte:key:quota, 5:log_item"),
            None,
            ("retry", Some(30)),
        ),
        (429, None, minute, ("retry", Some(60))),
        (429, None, None, ("retry", Some(60))),
        (
            200,
            Some("x:log_item, -1:log_item, "),
            None,
            ("delivered", None),
        ),
    ] {
        assert_eq!(
            wait(code, limits, retry_after),
            expected,
            "{code} {limits:?}"
        );
    }
}

#[test]
fn a_limit_leaves_the_rest_of_a_batch_alone() {
    let (exporter, events) = (exporter(), recorded_ended());
    let (result, requests) = answered(Ok(status(429)), || exporter.send_feedback(&events.feedback));
    assert_eq!(requests.len(), 1);
    assert_eq!(fate_words(&result, 3), ["retry"; 3]);
}

#[test]
fn no_connection_keeps_everything_and_a_missing_grant_pauses() {
    let (exporter, events) = (exporter(), recorded_ended());
    let unreachable = Err(HttpError::Unreachable("connection refused".to_owned()));
    let result = answered(unreachable, || exporter.send_spans(&events.spans)).0;
    assert_eq!(fate_words(&result, 28), ["retry"; 28]);
    let denied = Err(HttpError::Denied("no grant".to_owned()));
    let result = answered(denied, || exporter.send_metrics(&events.metrics)).0;
    assert_eq!(outcome_word(&result), "unauthorized");
}
