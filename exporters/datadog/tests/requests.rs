//! Requests and what becomes of their items, with a stand-in for the backend.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use kit::exporter::{Golden, answered, configured, recorded_ended};
use std::time::Duration;

use datadog_exporter::Datadog;
use mastra_exporter_sdk::http::testing::{status, with_backend};
use mastra_exporter_sdk::http::{Auth, Compression, HttpError, Request, Response};
use mastra_exporter_sdk::records::{
    Instrument, ItemResult, MetricValue, Observation, SendOutcome, SendResult,
};
use mastra_exporter_sdk::test_support::requests::{fate_words, header, outcome_word};
use mastra_exporter_sdk::test_support::{Batches, batches};
use mastra_exporter_sdk::{Feedback, Logs, Metrics, Scores, Traces};
use serde_json::json;

fn exporter() -> Datadog {
    configured(
        json!({
            "api_key": "{secret:1}", "ml_app": "support-bot", "env": "staging", "base_url": "https://dd.test",
        }),
        &json!({}),
    )
}

fn recorded() -> Batches {
    let mut events = recorded_ended();
    for metric in &mut events.metrics.metrics {
        // As the host decides by name.
        let instrument = match &metric.name {
            name if name.ends_with("_duration_ms") => Instrument::Histogram,
            name if name.ends_with("_depth") => Instrument::Gauge,
            _ => Instrument::Counter,
        };
        if let MetricValue::Single(Observation { instrument: of, .. }) = &mut metric.value {
            *of = instrument;
        }
    }
    events
}

#[test]
fn recorded_events_give_exactly_these_requests() {
    let (exporter, events) = (exporter(), recorded());
    let golden = Golden::of(env!("CARGO_MANIFEST_DIR"), 202);
    golden.check("traces.json", || exporter.send_spans(&events.spans));
    golden.check("logs.json", || exporter.send_logs(&events.logs));
    golden.check("metrics.json", || exporter.send_metrics(&events.metrics));
    golden.check("scores.json", || exporter.send_scores(&events.scores));
    golden.check("feedback.json", || exporter.send_feedback(&events.feedback));
}

#[test]
fn every_request_carries_the_key_to_its_own_path() {
    let (exporter, events) = (exporter(), recorded());
    let key = Some(Auth::Header(
        "DD-API-KEY".to_owned(),
        "{secret:1}".to_owned(),
    ));
    let mut paths = Vec::new();
    for send in [
        &(|| exporter.send_spans(&events.spans)) as &dyn Fn() -> SendResult,
        &|| exporter.send_logs(&events.logs),
        &|| exporter.send_metrics(&events.metrics),
        &|| exporter.send_scores(&events.scores),
        &|| exporter.send_feedback(&events.feedback),
    ] {
        for request in answered(Ok(status(202)), send).1 {
            assert_eq!((request.verb, &request.auth), ("POST", &key));
            let path = request.url.strip_prefix("https://dd.test").unwrap();
            paths.push((
                path.to_owned(),
                header(&request, "content-type").unwrap().to_owned(),
                request.compression,
            ));
        }
    }
    let line = |path: &str, media_type: &str, compression| {
        (path.to_owned(), media_type.to_owned(), compression)
    };
    let json = "application/json";
    let expected = [
        line("/api/intake/llm-obs/v1/trace/spans", json, None),
        line("/api/v2/logs", json, Some(Compression::Gzip)),
        line(
            "/api/v1/distribution_points",
            "text/json",
            Some(Compression::Deflate),
        ),
        line("/api/v2/series", json, Some(Compression::Gzip)),
        line("/api/intake/llm-obs/v2/eval-metric", json, None),
        line("/api/intake/llm-obs/v2/eval-metric", json, None),
    ];
    assert_eq!(paths, expected);
}

#[test]
fn every_reply_has_its_outcome() {
    let (exporter, events) = (exporter(), recorded());
    for (code, expected) in [
        (200, "delivered"),
        (202, "delivered"),
        (400, "isolate"),
        (401, "unauthorized"),
        (403, "unauthorized"),
        (404, "rejected"),
        (408, "retry"),
        (413, "too-large"),
        (422, "isolate"),
        (429, "retry"),
        (500, "retry"),
        (502, "retry"),
        (503, "retry"),
        (504, "retry"),
        (301, "rejected"),
    ] {
        let reply = || Ok(status(code));
        let spans = answered(reply(), || exporter.send_spans(&events.spans)).0;
        let logs = answered(reply(), || exporter.send_logs(&events.logs)).0;
        let scores = answered(reply(), || exporter.send_feedback(&events.feedback)).0;
        for result in [&spans, &logs, &scores] {
            assert_eq!(outcome_word(result), expected, "{code}");
        }
    }
}

#[test]
fn a_rate_limit_is_read_from_datadogs_own_header() {
    let (exporter, events) = (exporter(), recorded());
    let reply = Response {
        headers: vec![("x-ratelimit-reset".to_owned(), "7".to_owned())],
        ..status(429)
    };
    let result = answered(Ok(reply.clone()), || exporter.send_logs(&events.logs)).0;
    assert_eq!(result.not_before.unwrap().wait, 7_000_000_000);
    let standard = Response {
        retry_after: Some(Duration::from_secs(3)),
        ..reply
    };
    let result = answered(Ok(standard), || exporter.send_logs(&events.logs)).0;
    assert_eq!(result.not_before.unwrap().wait, 3_000_000_000);
}

/// Answers the two requests of metrics, distributions first.
fn metrics_answered(first: u16, second: u16) -> (SendResult, Vec<Request>, Batches) {
    let (exporter, events) = (exporter(), recorded());
    let mut codes = [first, second].into_iter();
    let (result, requests) = with_backend(
        move |_| Ok(status(codes.next().unwrap())),
        || exporter.send_metrics(&events.metrics),
    );
    (result, requests, events)
}

#[test]
fn metrics_of_one_request_do_not_suffer_from_the_other() {
    for (first, second, distributions, series) in [
        (202, 202, "delivered", "delivered"),
        (202, 503, "delivered", "retry"),
        (202, 400, "delivered", "retry"),
        (202, 413, "delivered", "retry"),
        (202, 403, "delivered", "retry"),
        (503, 202, "retry", "delivered"),
        (404, 202, "rejected", "delivered"),
    ] {
        let (result, requests, events) = metrics_answered(first, second);
        assert_eq!(requests.len(), 2);
        let fates = fate_words(&result, events.metrics.metrics.len());
        assert_eq!(fates.len(), events.metrics.metrics.len());
        for (metric, fate) in events.metrics.metrics.iter().zip(fates) {
            let is_distribution = metric.name.ends_with("_duration_ms");
            let expected = if is_distribution {
                distributions
            } else {
                series
            };
            assert_eq!(fate, expected, "{first} {second} {}", metric.name);
        }
    }
}

#[test]
fn while_nothing_is_stored_an_answer_is_about_the_whole_batch() {
    for (first, second, expected, count) in [
        (400, 202, "isolate", 1),
        (413, 202, "too-large", 1),
        (403, 202, "unauthorized", 1),
        (503, 400, "isolate", 2),
    ] {
        let (result, requests, _) = metrics_answered(first, second);
        assert_eq!(
            (outcome_word(&result), requests.len()),
            (expected, count),
            "{first} {second}"
        );
    }
}

#[test]
fn scores_and_feedback_that_belong_nowhere_are_skipped_without_a_request() {
    let exporter = exporter();
    let events = batches(concat!(
        r#"{"type":"score","score":{"scoreId":"s","timestamp":"2026-03-04T05:06:10.146Z","scorerId":"x","score":1}}"#,
        "\n",
        r#"{"type":"feedback","feedback":{"feedbackId":"f","timestamp":"2026-03-04T05:06:10.146Z","feedbackType":"rating","value":1}}"#
    ));
    let (scores, requests) = answered(Ok(status(202)), || exporter.send_scores(&events.scores));
    assert!(requests.is_empty());
    assert_eq!(fate_words(&scores, 1), ["skipped"]);
    let (feedback, requests) =
        answered(Ok(status(202)), || exporter.send_feedback(&events.feedback));
    assert!(requests.is_empty());
    assert_eq!(fate_words(&feedback, 1), ["skipped"]);
}

#[test]
fn no_connection_keeps_everything_and_a_missing_grant_pauses() {
    let (exporter, events) = (exporter(), recorded());
    let unreachable = Err(HttpError::Unreachable("connection refused".to_owned()));
    let (result, _) = answered(unreachable, || exporter.send_metrics(&events.metrics));
    let SendOutcome::PerItem(fates) = result.outcome else {
        panic!("two requests")
    };
    assert!(
        fates
            .iter()
            .all(|fate| matches!(fate, ItemResult::Retry(_)))
    );
    let denied = Err(HttpError::Denied("no grant".to_owned()));
    let (result, requests) = answered(denied, || exporter.send_metrics(&events.metrics));
    assert_eq!((outcome_word(&result), requests.len()), ("unauthorized", 1));
}
