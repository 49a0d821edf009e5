//! What is stored of the recorded events.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use std::collections::BTreeMap;

use default_exporter::Default;
use kit::exporter::{recorded, recorded_text};
use mastra_exporter_sdk::records::{SendResult, Signal};
use mastra_exporter_sdk::store::Row;
use mastra_exporter_sdk::store::testing::with_store;
use mastra_exporter_sdk::test_support::requests::outcome_word;
use mastra_exporter_sdk::{Feedback, Logs, Metrics, Scores, Traces};
use serde_json::Value;

fn stored(failure: Option<&str>) -> (Vec<&'static str>, Vec<(Signal, Row)>) {
    let events = recorded();
    let (results, rows) = with_store(failure, || -> [SendResult; 5] {
        [
            Default.send_spans(&events.spans),
            Default.send_logs(&events.logs),
            Default.send_metrics(&events.metrics),
            Default.send_scores(&events.scores),
            Default.send_feedback(&events.feedback),
        ]
    });
    (results.iter().map(outcome_word).collect(), rows)
}

#[test]
fn every_event_is_a_row_that_holds_it_byte_for_byte() {
    let (results, rows) = stored(None);
    assert_eq!(results, ["delivered"; 5]);
    let mut contents: Vec<&str> = rows.iter().map(|(_, row)| row.content.as_str()).collect();
    let recorded = recorded_text();
    let mut expected: Vec<&str> = recorded.lines().collect();
    contents.sort_unstable();
    expected.sort_unstable();
    assert_eq!(contents, expected);
}

#[test]
fn a_span_keeps_its_id_and_rises_in_rank() {
    let mut ranks: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for (table, row) in stored(None).1 {
        if table == Signal::Traces {
            let content: Value = serde_json::from_str(&row.content).unwrap();
            let span = &content["exportedSpan"];
            let (trace, id) = (span["traceId"].as_str(), span["id"].as_str());
            assert_eq!(row.id, format!("{}/{}", trace.unwrap(), id.unwrap()));
            assert_eq!(row.trace_id.as_deref(), trace);
            ranks.entry(row.id).or_default().push(row.rank);
        }
    }
    assert!(ranks.values().any(|ranks| ranks.len() > 1));
    for (id, ranks) in ranks {
        assert!(
            ranks.is_sorted() && ranks.last() == Some(&2),
            "{id}: {ranks:?}"
        );
    }
}

#[test]
fn every_row_has_the_id_and_the_trace_of_its_event_in_the_table_of_its_signal() {
    for (table, row) in stored(None).1 {
        let content: Value = serde_json::from_str(&row.content).unwrap();
        let (record, id) = match table {
            Signal::Traces => ("exportedSpan", "id"),
            Signal::Logs => ("log", "logId"),
            Signal::Metrics => ("metric", "metricId"),
            Signal::Scores => ("score", "scoreId"),
            Signal::Feedback => ("feedback", "feedbackId"),
        };
        let (record, own) = (&content[record], &content[record][id]);
        assert_eq!(row.trace_id.as_deref(), record["traceId"].as_str());
        assert!(row.id.ends_with(own.as_str().unwrap()), "{}", row.id);
        assert_eq!(row.id.contains('/'), table == Signal::Traces, "{}", row.id);
    }
}

#[test]
fn a_store_that_fails_keeps_the_events() {
    let (results, rows) = stored(Some("disk full"));
    assert_eq!(results, ["retry"; 5]);
    assert!(rows.is_empty());
}
