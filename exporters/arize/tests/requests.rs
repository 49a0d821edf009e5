//! Requests and what becomes of their items, with a stand-in for Arize AX and Phoenix.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use arize_exporter::Arize;
use kit::backend::arize::{ArizeAx, Phoenix};
use kit::exporter::{Golden, answered, configured, judged_by, recorded_ended};
use mastra_exporter_sdk::http::testing::{status, with_backend};
use mastra_exporter_sdk::http::{Auth, HttpError};
use mastra_exporter_sdk::test_support::requests::{fate_words, header, outcome_word};
use mastra_exporter_sdk::{Feedback, Scores, Traces};
use serde_json::{Value, json};

fn made(settings: Value) -> Arize {
    configured(settings, &json!({}))
}

fn phoenix() -> Arize {
    made(json!({"endpoint": "http://phoenix.test", "api_key": "key", "project_name": "p"}))
}

fn ax() -> Arize {
    made(json!({
        "space_id": "space", "api_key": "key", "project_id": "id",
        "annotations": {"Relevance": "relevance", "tool-accuracy": "accuracy", "Toxicity": "tox", "Completeness": "complete", "thumbs": "thumbs", "rating": "rating", "comment": "remark"},
    }))
}

#[test]
fn recorded_events_give_exactly_these_requests() {
    let (phoenix, ax, events) = (phoenix(), ax(), recorded_ended());
    let golden = Golden::of(env!("CARGO_MANIFEST_DIR"), 200);
    golden.check("traces.json", || phoenix.send_spans(&events.spans));
    golden.check("phoenix-scores.json", || {
        phoenix.send_scores(&events.scores)
    });
    golden.check("phoenix-feedback.json", || {
        phoenix.send_feedback(&events.feedback)
    });
    golden.check("ax-scores.json", || ax.send_scores(&events.scores));
    golden.check("ax-feedback.json", || ax.send_feedback(&events.feedback));
}

#[test]
fn strict_backends_take_every_request() {
    let events = recorded_ended();
    let of = |exporter: &Arize| {
        answered(Ok(status(200)), || {
            exporter.send_spans(&events.spans);
            exporter.send_scores(&events.scores);
            exporter.send_feedback(&events.feedback);
        })
        .1
    };
    for request in of(&phoenix()) {
        judged_by(&Phoenix::default(), &request, "phx-key", &[]);
    }
    let fake = ArizeAx {
        space_id: "space".to_owned(),
        project_id: "id".to_owned(),
        annotations: [
            "relevance",
            "accuracy",
            "tox",
            "complete",
            "thumbs",
            "rating",
            "remark",
        ]
        .map(str::to_owned)
        .to_vec(),
        ..ArizeAx::default()
    };
    for request in of(&ax()) {
        judged_by(&fake, &request, "ax-key", &[]);
    }
}

#[test]
fn each_backend_is_told_the_key_as_it_wants() {
    let events = recorded_ended();
    let of = |exporter: &Arize| {
        answered(Ok(status(200)), || {
            exporter.send_spans(&events.spans);
            exporter.send_feedback(&events.feedback);
        })
        .1
    };
    let phoenix = of(&phoenix());
    for request in &phoenix {
        assert_eq!(request.auth, Some(Auth::Bearer("key".to_owned())));
    }
    assert_eq!(
        header(&phoenix[0], "content-type"),
        Some("application/x-protobuf")
    );
    let ax = of(&ax());
    assert_eq!(ax[0].url, "https://otlp.arize.com/v1/traces");
    let bare = Auth::Header("authorization".to_owned(), "key".to_owned());
    assert_eq!(ax[0].auth, Some(bare));
    assert_eq!(header(&ax[0], "arize-space-id"), Some("space"));
    assert_eq!(ax[1].auth, Some(Auth::Bearer("key".to_owned())));
    assert_eq!(ax[1].url, "https://api.arize.com/v2/spans/annotate");
}

#[test]
fn every_reply_to_spans_has_its_outcome() {
    let (exporter, events) = (phoenix(), recorded_ended());
    for (code, expected) in [
        (200, "delivered"),
        (400, "rejected"),
        (401, "unauthorized"),
        (403, "unauthorized"),
        (413, "too-large"),
        (415, "rejected"),
        (422, "rejected"),
        (429, "retry"),
        (500, "rejected"),
        (503, "retry"),
        (507, "retry"),
    ] {
        let result = answered(Ok(status(code)), || exporter.send_spans(&events.spans)).0;
        assert_eq!(outcome_word(&result), expected, "{code}");
        assert_eq!(
            result.not_before.is_some(),
            code == 507,
            "a locked storage is left alone"
        );
    }
    let unreachable = Err(HttpError::Unreachable("refused".to_owned()));
    let result = answered(unreachable, || exporter.send_spans(&events.spans)).0;
    assert_eq!(outcome_word(&result), "retry");
}

#[test]
fn a_span_that_ax_does_not_know_yet_holds_nobody_else_back() {
    let (exporter, events) = (ax(), recorded_ended());
    let mut count = 0;
    let (result, requests) = with_backend(
        move |_| {
            count += 1;
            Ok(status(if count == 1 { 404 } else { 202 }))
        },
        || exporter.send_scores(&events.scores),
    );
    let fates = fate_words(&result, events.scores.scores.len());
    assert_eq!(requests.len(), 3);
    assert_eq!(fates, ["skipped", "retry", "delivered", "delivered"]);
}

#[test]
fn what_has_no_place_is_skipped_with_a_reason() {
    let events = recorded_ended();
    let unlisted = made(json!({"space_id": "s", "api_key": "k", "project_id": "id"}));
    let no_project = made(json!({"space_id": "s", "api_key": "k"}));
    for exporter in [unlisted, no_project] {
        let (result, requests) = answered(Ok(status(202)), || exporter.send_scores(&events.scores));
        assert_eq!(
            (fate_words(&result, 4), requests.len()),
            (vec!["skipped"; 4], 0)
        );
    }
    let phoenix = phoenix();
    let mut alone = recorded_ended().scores;
    alone.scores.truncate(1);
    alone.scores[0].trace_id = None;
    alone.scores[0].correlation = None;
    let (result, requests) = answered(Ok(status(200)), || phoenix.send_scores(&alone));
    assert_eq!(
        (fate_words(&result, 1), requests.len()),
        (vec!["skipped"], 0)
    );
}

#[test]
fn annotations_of_spans_and_traces_go_apart_and_fail_apart() {
    let (exporter, events) = (phoenix(), recorded_ended());
    let (result, requests) = with_backend(
        |request| {
            Ok(status(if request.url.contains("trace_annotations") {
                503
            } else {
                200
            }))
        },
        || exporter.send_scores(&events.scores),
    );
    let urls: Vec<_> = requests
        .iter()
        .map(|request| request.url.as_str())
        .collect();
    assert_eq!(
        urls,
        [
            "http://phoenix.test/v1/span_annotations?sync=false",
            "http://phoenix.test/v1/trace_annotations?sync=false"
        ]
    );
    let expected: Vec<_> = events
        .scores
        .scores
        .iter()
        .map(|score| {
            if score.span_id.is_some() {
                "delivered"
            } else {
                "retry"
            }
        })
        .collect();
    assert_eq!(fate_words(&result, 4), expected);
}
