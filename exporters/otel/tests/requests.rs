//! Requests and what becomes of their items, with a stand-in for a collector.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use std::time::Duration;

use kit::backend::collector::Collector;
use kit::backend::otlp::wire::{from_protobuf, to_protobuf};
use kit::exporter::{
    Golden, answered, body, check_refused_flush, configured, judged_by, otlp_signal, recorded_ended,
};
use mastra_exporter_sdk::http::testing::status;
use mastra_exporter_sdk::http::{Auth, Compression, HttpError, Response};
use mastra_exporter_sdk::records::ItemResult;
use mastra_exporter_sdk::test_support::requests::{fate_words, header, outcome_word};
use mastra_exporter_sdk::{Exporter, Feedback, Logs, Metrics, Scores, Traces};
use otel_exporter::Otel;
use serde_json::{Value, json};

fn exporter(more: Value) -> Otel {
    configured(
        json!({"endpoint": "https://collector.test/otlp/", "api_key": "key"}),
        &more,
    )
}

#[test]
fn recorded_events_give_exactly_these_requests() {
    let (exporter, events) = (exporter(json!({})), recorded_ended());
    let golden = Golden::of(env!("CARGO_MANIFEST_DIR"), 200);
    golden.check("traces.json", || exporter.send_spans(&events.spans));
    golden.check("logs.json", || exporter.send_logs(&events.logs));
    golden.check("scores.json", || exporter.send_scores(&events.scores));
    golden.check("feedback.json", || exporter.send_feedback(&events.feedback));
    let held = exporter.send_metrics(&events.metrics);
    assert_eq!(fate_words(&held, 25), ["held"; 25]);
    golden.check("metrics.json", || exporter.flush());
}

#[test]
fn a_strict_collector_takes_every_request() {
    let events = recorded_ended();
    for protocol in ["http/protobuf", "http/json"] {
        let exporter = exporter(json!({"protocol": protocol, "api_key_header": "x-api-key"}));
        exporter.send_metrics(&events.metrics);
        let requests = answered(Ok(status(200)), || {
            exporter.send_spans(&events.spans);
            exporter.send_logs(&events.logs);
            exporter.send_scores(&events.scores);
            exporter.send_feedback(&events.feedback);
            exporter.flush()
        })
        .1;
        let fake = Collector {
            base: "/otlp".to_owned(),
            ..Collector::default()
        };
        for request in &requests {
            judged_by(&fake, request, "otel-key", &[]);
        }
        assert_eq!(requests.len(), 5);
    }
}

#[test]
fn both_encodings_say_the_same() {
    let events = recorded_ended();
    let [protobuf, json] = ["http/protobuf", "http/json"].map(|protocol| {
        let exporter = exporter(json!({"protocol": protocol}));
        exporter.send_metrics(&events.metrics);
        let requests = answered(Ok(status(200)), || {
            exporter.send_spans(&events.spans);
            exporter.send_logs(&events.logs);
            exporter.send_scores(&events.scores);
            exporter.send_feedback(&events.feedback);
            exporter.flush()
        })
        .1;
        requests
            .iter()
            .map(|request| {
                // Through the reference messages, so that numbers and texts of integers are the same.
                let signal = otlp_signal(request);
                let bytes = match header(request, "content-type") {
                    Some("application/json") => to_protobuf(signal, &body(request)).unwrap(),
                    _ => request.body.clone(),
                };
                from_protobuf(signal, &bytes).unwrap()
            })
            .collect::<Vec<_>>()
    });
    assert_eq!(protobuf.len(), 5);
    assert_eq!(protobuf, json);
}

#[test]
fn every_signal_goes_to_its_place_with_the_key() {
    let (exporter, events) = (
        exporter(json!({"headers": {"x-tenant": "t"}})),
        recorded_ended(),
    );
    exporter.send_metrics(&events.metrics);
    let requests = answered(Ok(status(200)), || {
        exporter.send_spans(&events.spans);
        exporter.send_logs(&events.logs);
        exporter.send_scores(&events.scores);
        exporter.send_feedback(&events.feedback);
        exporter.flush()
    })
    .1;
    let urls: Vec<_> = requests
        .iter()
        .map(|request| request.url.as_str())
        .collect();
    let url = |signal: &str| format!("https://collector.test/otlp/v1/{signal}");
    assert_eq!(urls, ["traces", "logs", "logs", "logs", "metrics"].map(url));
    for request in &requests {
        assert_eq!(request.auth, Some(Auth::Bearer("key".to_owned())));
        assert_eq!(request.compression, Some(Compression::Gzip));
        assert_eq!(
            header(request, "content-type"),
            Some("application/x-protobuf")
        );
        assert_eq!(header(request, "x-tenant"), Some("t"));
        assert_eq!(request.timeout, Some(Duration::from_secs(10)));
    }
}

#[test]
fn every_reply_has_its_outcome() {
    let (exporter, events) = (exporter(json!({})), recorded_ended());
    for (code, expected) in [
        (200, "delivered"),
        (202, "delivered"),
        (400, "rejected"),
        (401, "unauthorized"),
        (403, "unauthorized"),
        (404, "rejected"),
        (408, "rejected"),
        (413, "too-large"),
        (429, "retry"),
        (500, "rejected"),
        (501, "rejected"),
        (502, "retry"),
        (503, "retry"),
        (504, "retry"),
    ] {
        let result = answered(Ok(status(code)), || exporter.send_logs(&events.logs)).0;
        assert_eq!(outcome_word(&result), expected, "{code}");
    }
    let denied = Err(HttpError::Denied("no grant".to_owned()));
    let result = answered(denied, || exporter.send_spans(&events.spans)).0;
    assert_eq!(outcome_word(&result), "unauthorized");
}

#[test]
fn partial_success_is_counted_and_never_sent_again() {
    let (exporter, events) = (exporter(json!({})), recorded_ended());
    for (protocol, body) in [
        ("http/protobuf", &[10, 2, 8, 3][..]),
        (
            "http/json",
            br#"{"partialSuccess":{"rejectedLogRecords":"3"}}"#,
        ),
    ] {
        let reply = Response {
            body: body.to_vec(),
            ..status(200)
        };
        let result = answered(Ok(reply), || exporter.send_logs(&events.logs)).0;
        assert_eq!(outcome_word(&result), "partial", "{protocol}");
    }
}

#[test]
fn what_a_backend_did_not_take_is_held_until_it_does() {
    let (exporter, events) = (exporter(json!({})), recorded_ended());
    exporter.send_metrics(&events.metrics);
    let (told, requests) = answered(Ok(status(503)), || exporter.flush());
    assert_eq!((told.len(), requests.len()), (0, 1));
    let (told, again) = answered(Ok(status(200)), || exporter.flush());
    assert_eq!(body(&again[0]), body(&requests[0]));
    let mut tokens = told[0].tokens.clone();
    tokens.sort_unstable();
    assert_eq!(tokens, events.metrics.tokens);
    assert_eq!(told[0].fate, ItemResult::Delivered);
    let (told, requests) = answered(Ok(status(200)), || exporter.flush());
    assert_eq!(
        (told.len(), requests.len()),
        (0, 0),
        "nothing is sent twice"
    );
}

#[test]
fn a_key_that_is_refused_at_a_flush_pauses() {
    check_refused_flush(&exporter(json!({})), &recorded_ended().metrics);
}

#[test]
fn running_totals_name_the_same_start_at_every_flush() {
    let (exporter, events) = (
        exporter(json!({"temporality": "cumulative"})),
        recorded_ended(),
    );
    exporter.send_metrics(&events.metrics);
    let point = || {
        let requests = answered(Ok(status(200)), || exporter.flush()).1;
        let metrics = body(&requests[0]);
        let metrics = metrics["resourceMetrics"][0]["scopeMetrics"][0]["metrics"].clone();
        let metrics = metrics.as_array().unwrap();
        let took = metrics
            .iter()
            .find(|metric| metric["name"] == "mastra_agent_duration_ms");
        let histogram = &took.unwrap()["histogram"];
        assert_eq!(histogram["aggregationTemporality"], 2);
        histogram["dataPoints"][0].clone()
    };
    let (first, second) = (point(), point());
    assert_eq!(first["startTimeUnixNano"], second["startTimeUnixNano"]);
    assert_eq!(
        (&first["count"], &second["count"]),
        (&json!("1"), &json!("1"))
    );
}
