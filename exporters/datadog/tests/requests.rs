//! Requests and what becomes of their items, with a stand-in for the backend.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use std::time::Duration;

use datadog_exporter::{Datadog, wire};
use kit::exporter::{Golden, answered, body, configured, judged_by, recorded_ended};
use mastra_exporter_sdk::http::testing::{status, with_backend};
use mastra_exporter_sdk::http::{Auth, Compression, HttpError, Request, Response};
use mastra_exporter_sdk::records::{
    Instrument, Metric, MetricBatch, MetricValue, Observation, SendResult, Signal,
};
use mastra_exporter_sdk::test_support::requests::{fate_word, fate_words, header, outcome_word};
use mastra_exporter_sdk::test_support::{Batches, batches};
use mastra_exporter_sdk::{Exporter, Feedback, Logs, Metrics, Scores, Traces};
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
    golden.check("metrics.json", || {
        exporter.send_metrics(&events.metrics);
        exporter.flush()
    });
    golden.check("scores.json", || exporter.send_scores(&events.scores));
    golden.check("feedback.json", || exporter.send_feedback(&events.feedback));
}

#[test]
fn a_strict_datadog_takes_every_request() {
    let (exporter, events) = (exporter(), recorded());
    let fake = kit::backend::datadog::Datadog::default();
    let take = move |request: &Request| Ok(judged_by(&fake, request, &fake.api_key, &[]));
    let (acknowledged, requests) = with_backend(take, || {
        for result in [
            exporter.send_spans(&events.spans),
            exporter.send_logs(&events.logs),
            exporter.send_scores(&events.scores),
            exporter.send_feedback(&events.feedback),
        ] {
            assert_eq!(outcome_word(&result), "delivered");
        }
        exporter.send_metrics(&events.metrics);
        exporter.flush()
    });
    assert_eq!(requests.len(), 6);
    assert!(
        acknowledged
            .iter()
            .all(|told| fate_word(&told.fate) == "delivered")
    );
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
        &|| {
            let held = exporter.send_metrics(&events.metrics);
            exporter.flush();
            held
        },
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
        line("/api/v2/series", json, Some(Compression::Gzip)),
        line(
            "/api/v1/distribution_points",
            "text/json",
            Some(Compression::Deflate),
        ),
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

/// Takes the metrics and answers each request of the flush in turn. The requests' paths, and each metric's fate; `held`
/// is what the flush says nothing of.
fn flushed<const N: usize>(
    exporter: &Datadog,
    metrics: &MetricBatch,
    replies: [u16; N],
) -> (Vec<&'static str>, Vec<&'static str>) {
    let taken = exporter.send_metrics(metrics);
    assert!(fate_words(&taken, 0).iter().all(|fate| *fate == "held"));
    let mut replies = replies.into_iter();
    let (acknowledged, requests) = with_backend(
        move |_| Ok(status(replies.next().unwrap())),
        || exporter.flush(),
    );
    let mut fates = vec!["held"; metrics.metrics.len()];
    for one in acknowledged {
        assert_eq!(one.of_signal, Signal::Metrics);
        for token in one.tokens {
            fates[usize::try_from(token).unwrap()] = fate_word(&one.fate);
        }
    }
    let path = |request: &Request| {
        let paths = [wire::SERIES_PATH, wire::DISTRIBUTIONS_PATH];
        paths
            .into_iter()
            .find(|path| request.url.ends_with(path))
            .unwrap()
    };
    (requests.iter().map(path).collect(), fates)
}

#[test]
fn metrics_of_one_request_do_not_suffer_from_the_other() {
    let events = recorded();
    for (first, second, series, distributions) in [
        (202, 202, "delivered", "delivered"),
        (202, 503, "delivered", "retry"),
        (202, 403, "delivered", "retry"),
        (202, 404, "delivered", "rejected"),
        (404, 202, "rejected", "delivered"),
        (503, 202, "retry", "held"),
        (401, 202, "retry", "held"),
    ] {
        let (paths, fates) = flushed(&exporter(), &events.metrics, [first, second]);
        let both = [wire::SERIES_PATH, wire::DISTRIBUTIONS_PATH];
        assert_eq!(paths, both[..if distributions == "held" { 1 } else { 2 }]);
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
fn a_key_that_a_flush_finds_refused_is_said_to_the_next_batch_until_it_is_taken() {
    let (exporter, mut metrics) = (exporter(), recorded().metrics);
    metrics
        .metrics
        .retain(|metric| !metric.name.ends_with("_duration_ms"));
    metrics.tokens.truncate(metrics.metrics.len());
    for code in [401, 403] {
        let (_, fates) = flushed(&exporter, &metrics, [code]);
        assert_eq!(fates, vec!["retry"; metrics.metrics.len()]);
        let (_, requests) = answered(Ok(status(202)), || exporter.flush());
        assert!(requests.is_empty(), "says nothing of the key");
        let send = || exporter.send_metrics(&metrics);
        let (result, requests) = answered(Ok(status(code)), send);
        assert_eq!((outcome_word(&result), requests.len()), ("unauthorized", 1));
        let question = &requests[0];
        assert_eq!(
            (question.verb, question.url.as_str()),
            ("GET", "https://dd.test/api/v1/validate")
        );
        assert!(matches!(&question.auth, Some(Auth::Header(name, _)) if name == "DD-API-KEY"));
        // Not everything that takes metrics has that path.
        let (result, requests) = answered(Ok(status(404)), send);
        assert_eq!((outcome_word(&result), requests.len()), ("per-item", 1));
        let (result, requests) = answered(Ok(status(500)), send);
        assert_eq!((outcome_word(&result), requests.len()), ("per-item", 0));
    }
}

#[test]
fn a_request_that_is_refused_is_taken_apart_down_to_the_point_at_fault() {
    let mut events = recorded();
    events.metrics.metrics.truncate(3);
    for (at, metric) in events.metrics.metrics.iter_mut().enumerate() {
        metric.name = format!("metric_{at}");
        metric.value = MetricValue::Single(Observation {
            value: 1.0,
            instrument: Instrument::Counter,
        });
    }
    events.metrics.tokens.truncate(3);
    for refusal in [400, 413] {
        let replies = [refusal, 202, refusal, refusal, 202];
        let (paths, fates) = flushed(&exporter(), &events.metrics, replies);
        assert_eq!(paths.len(), 5);
        assert_eq!(fates, ["delivered", "rejected", "delivered"], "{refusal}");
    }
}

#[test]
fn a_second_that_is_spread_over_two_batches_is_one_point_with_all_its_values() {
    let exporter = exporter();
    let mut events = recorded();
    events.metrics.metrics.truncate(1);
    events.metrics.tokens.truncate(1);
    let mut send = |value, token| {
        events.metrics.metrics[0].value = MetricValue::Single(Observation {
            value,
            instrument: Instrument::Histogram,
        });
        events.metrics.tokens[0] = token;
        exporter.send_metrics(&events.metrics)
    };
    send(1.0, 0);
    send(2.5, 1);
    let (acknowledged, requests) = answered(Ok(status(202)), || exporter.flush());
    assert_eq!(acknowledged[0].tokens, [0, 1]);
    let series = |request: &Request| body(request)["series"].clone();
    assert_eq!(series(&requests[0])[0]["points"][0][1], json!([1, 2.5]));
    assert_eq!(requests.len(), 1);
    // The last point of a second wins there: what comes late comes with the others.
    send(4.0, 2);
    let (_, requests) = answered(Ok(status(202)), || exporter.flush());
    assert_eq!(series(&requests[0])[0]["points"][0][1], json!([1, 2.5, 4]));
    let (_, requests) = answered(Ok(status(202)), || exporter.flush());
    assert!(requests.is_empty(), "nothing new, nothing sent");
}

#[test]
fn requests_of_metrics_are_of_bounded_size() {
    let exporter = exporter();
    let mut events = recorded();
    let metric = events.metrics.metrics[0].clone();
    events.metrics.metrics = (0..6_000)
        .map(|at| Metric {
            name: format!("metric_{at}"),
            ..metric.clone()
        })
        .collect();
    events.metrics.tokens = (0..6_000).collect();
    exporter.send_metrics(&events.metrics);
    let (acknowledged, requests) = answered(Ok(status(202)), || exporter.flush());
    let tokens: usize = acknowledged.iter().map(|one| one.tokens.len()).sum();
    assert_eq!(tokens, 6_000);
    let sizes: Vec<_> = requests.iter().map(|request| request.body.len()).collect();
    assert!(sizes.len() > 2, "{sizes:?}");
    assert!(sizes.iter().all(|size| *size < 512_000), "{sizes:?}");
    let full = &sizes[..sizes.len() - 1];
    assert!(full.iter().all(|size| *size > 200_000), "{sizes:?}");
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
    let (result, _) = answered(unreachable, || exporter.send_logs(&events.logs));
    assert_eq!(outcome_word(&result), "retry");
    let denied = || Err(HttpError::Denied("no grant".to_owned()));
    let (result, requests) = answered(denied(), || exporter.send_logs(&events.logs));
    assert_eq!((outcome_word(&result), requests.len()), ("unauthorized", 1));
    exporter.send_metrics(&events.metrics);
    let (acknowledged, _) = answered(denied(), || exporter.flush());
    assert_eq!(fate_word(&acknowledged[0].fate), "retry");
}
