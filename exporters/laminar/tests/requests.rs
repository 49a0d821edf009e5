//! Requests and what becomes of their items, with a stand-in for Laminar.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use kit::backend::laminar::Laminar as Fake;
use kit::exporter::{Golden, answered, body, configured, judged_by, recorded_ended};
use laminar_exporter::Laminar;
use mastra_exporter_sdk::http::testing::{status, with_backend};
use mastra_exporter_sdk::http::{Auth, HttpError};
use mastra_exporter_sdk::records::{SpanAncestor, SpanBatch};
use mastra_exporter_sdk::test_support::requests::{fate_words, header, outcome_word};
use mastra_exporter_sdk::{Feedback, Scores, Traces};
use serde_json::{Value, json};

fn exporter() -> Laminar {
    configured(
        json!({"api_key": "key", "base_url": "https://laminar.test"}),
        &json!({}),
    )
}

#[test]
fn recorded_events_give_exactly_these_requests() {
    let (exporter, events) = (exporter(), recorded_ended());
    let golden = Golden::of(env!("CARGO_MANIFEST_DIR"), 200);
    golden.check("traces.json", || exporter.send_spans(&events.spans));
    golden.check("scores.json", || exporter.send_scores(&events.scores));
    golden.check("feedback.json", || exporter.send_feedback(&events.feedback));
}

#[test]
fn a_strict_laminar_takes_every_request() {
    let (exporter, events) = (exporter(), recorded_ended());
    let requests = answered(Ok(status(200)), || {
        exporter.send_spans(&events.spans);
        exporter.send_scores(&events.scores);
        exporter.send_feedback(&events.feedback);
    })
    .1;
    for request in &requests {
        assert_eq!(request.auth, Some(Auth::Bearer("key".to_owned())));
        judged_by(&Fake::default(), request, "lmnr-key", &[]);
    }
    assert_eq!(
        header(&requests[0], "content-type"),
        Some("application/x-protobuf")
    );
}

#[test]
fn every_reply_has_its_outcome() {
    let (exporter, events) = (exporter(), recorded_ended());
    for (code, spans, scores) in [
        (200, "delivered", "delivered"),
        (400, "rejected", "rejected"),
        (401, "unauthorized", "unauthorized"),
        (403, "unauthorized", "unauthorized"),
        (404, "rejected", "retry"),
        (413, "too-large", "too-large"),
        (429, "retry", "retry"),
        (500, "rejected", "retry"),
        (503, "retry", "retry"),
    ] {
        let result = answered(Ok(status(code)), || exporter.send_spans(&events.spans)).0;
        assert_eq!(outcome_word(&result), spans, "{code}");
        let result = answered(Ok(status(code)), || exporter.send_scores(&events.scores)).0;
        assert_eq!(fate_words(&result, 4)[0], scores, "{code}");
    }
    let interrupted = Err(HttpError::Interrupted("reset".to_owned()));
    let result = answered(interrupted, || exporter.send_spans(&events.spans)).0;
    assert_eq!(outcome_word(&result), "retry");
}

#[test]
fn a_trace_that_is_not_there_yet_holds_nobody_else_back() {
    let (exporter, events) = (exporter(), recorded_ended());
    let mut count = 0;
    let (result, _) = with_backend(
        move |_| {
            count += 1;
            Ok(status(if count == 1 { 404 } else { 200 }))
        },
        || exporter.send_scores(&events.scores),
    );
    assert_eq!(
        fate_words(&result, 4),
        ["retry", "delivered", "delivered", "delivered"]
    );
}

fn path(span: &Value) -> Vec<&str> {
    let attributes = span["attributes"].as_array().unwrap();
    let path = attributes
        .iter()
        .find(|pair| pair["key"] == "lmnr.span.path");
    let values = path.and_then(|path| path["value"]["arrayValue"]["values"].as_array());
    values
        .map(|values| {
            values
                .iter()
                .map(|value| value["stringValue"].as_str().unwrap())
                .collect()
        })
        .unwrap_or_default()
}

#[test]
fn a_path_needs_all_ancestors_of_the_batch_or_of_the_host() {
    let (exporter, mut batch) = (exporter(), recorded_ended().spans);
    let child = batch
        .spans
        .iter()
        .find(|span| span.parent_span_id.is_some())
        .unwrap()
        .clone();
    let parent = child.parent_span_id.clone().unwrap();
    batch.spans = vec![child.clone()];
    let sent = |batch: &SpanBatch| {
        let requests = answered(Ok(status(200)), || exporter.send_spans(batch)).1;
        body(&requests[0])["resourceSpans"][0]["scopeSpans"][0]["spans"][0].clone()
    };
    assert_eq!(path(&sent(&batch)), [""; 0]);
    batch.ancestors = vec![SpanAncestor {
        trace_id: child.trace_id.clone(),
        span_id: parent,
        parent_span_id: None,
        name: "root".to_owned(),
        start_time: 1,
    }];
    assert_eq!(path(&sent(&batch)), ["root", child.name.as_str()]);
}
