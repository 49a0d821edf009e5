//! Recorded events come out as they went in.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use std::fs;
use std::path::Path;

use json_exporter::Json;
use mastra_exporter_sdk::output::testing::with_target;
use mastra_exporter_sdk::records::{ItemResult, SendOutcome, Signal};
use mastra_exporter_sdk::test_support::{Batches, batches};
use mastra_exporter_sdk::{Feedback, Logs, Metrics, Scores, Traces};

fn recorded() -> String {
    fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus/events.ndjson"),
    )
    .unwrap()
}

fn written(events: &Batches) -> Vec<String> {
    let ((), appended) = with_target(None, || {
        for result in [
            Json.send_spans(&events.spans),
            Json.send_logs(&events.logs),
            Json.send_metrics(&events.metrics),
            Json.send_scores(&events.scores),
            Json.send_feedback(&events.feedback),
        ] {
            assert_eq!(result.outcome, SendOutcome::AllItems(ItemResult::Delivered));
        }
    });
    let lines = appended.iter().flat_map(|(signal, lines)| {
        lines.lines().inspect(move |line| {
            // A directory has a file for each signal.
            let start = format!("{{\"type\":\"{}", type_of(*signal));
            assert!(line.starts_with(&start), "{signal:?}: {line}");
        })
    });
    lines.map(str::to_owned).collect()
}

/// How the types of its envelopes begin.
const fn type_of(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "span_",
        Signal::Logs => "log\"",
        Signal::Metrics => "metric\"",
        Signal::Scores => "score\"",
        Signal::Feedback => "feedback\"",
    }
}

/// By signal, as the batches are; stable within a signal.
fn by_signal(ndjson: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = ndjson.lines().collect();
    const SIGNALS: [Signal; 5] = [
        Signal::Traces,
        Signal::Logs,
        Signal::Metrics,
        Signal::Scores,
        Signal::Feedback,
    ];
    lines.sort_by_key(|line| {
        SIGNALS.iter().position(|signal| {
            let start = format!("{{\"type\":\"{}", type_of(*signal));
            line.starts_with(&start)
        })
    });
    lines
}

#[test]
fn recorded_events_are_written_byte_for_byte() {
    let recorded = recorded();
    let written = written(&batches(&recorded));
    let expected = by_signal(&recorded);
    assert_eq!(written.len(), expected.len());
    for (written, expected) in written.iter().zip(expected) {
        assert_eq!(written, expected);
    }
}

#[test]
fn free_form_json_keeps_number_text_key_order_null_and_escapes() {
    let line = concat!(
        r#"{"type":"span_ended","exportedSpan":{"id":"1","traceId":"2","name":"q\"\u0001 ü","type":"new_kind","#,
        r#""attributes":{"z":1.0,"a":1e21,"lone":"\ud800","sep":"#,
        "\"\u{2028}\"",
        r#"},"startTime":"2026-03-04T05:06:07.000Z","input":null,"output":[],"isEvent":true,"isRootSpan":true,"#,
        r#""future":{"kept":[1]}}}"#
    );
    assert_eq!(written(&batches(line)), [line]);
}

#[test]
fn a_target_that_fails_keeps_the_events() {
    let events = batches(&recorded());
    let (result, appended) = with_target(Some("disk full"), || Json.send_logs(&events.logs));
    assert_eq!(
        result.outcome,
        SendOutcome::AllItems(ItemResult::Retry("disk full".to_owned()))
    );
    assert!(appended.is_empty());
}
