//! The exposition rules, checked by a parser of the format.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::metrics::MetricType;
use super::*;
use crate::queue::accounts::{DropReason, Dropped};

fn snapshot() -> Snapshot {
    let counts = Counts {
        received: 10,
        delivered: 4,
        filtered: 1,
        dead_lettered: 2,
        dropped: BTreeMap::from([("lag".to_owned(), 1)]),
        queued: 2,
    };
    let mut call_duration = DurationHistogram::default();
    for millis in [1, 20, 90_000] {
        call_duration.record(Duration::from_millis(millis));
    }
    let exporter = ExporterSnapshot {
        counts: BTreeMap::from([(Signal::Traces, counts.clone()), (Signal::Scores, counts)]),
        lag_bytes: 42,
        held_items: 5,
        call_limit: 4,
        calls: CallFigures {
            ended: 3,
            ..CallFigures::default()
        },
        shape_filtered: vec![("span_type", 1)],
        shaped: vec![("redacted", 1)],
        output: Some(OutputFigures {
            bytes: 7,
            max_bytes: 9,
            refused: 1,
        }),
        call_duration: Some(call_duration),
        state: "bad \"state\"\\\n".to_owned(),
    };
    let receiver = ReceiverSnapshot {
        requests: 6,
        accepted: 10,
        dropped_upstream: BTreeMap::from([(Signal::Traces, 3)]),
        ..ReceiverSnapshot::default()
    };
    let mut dropped = Dropped::default();
    dropped.add(DropReason::Expired, 3);
    Snapshot {
        version: "0.1.0".to_owned(),
        start_time_seconds: 1_700_000_000.5,
        reloads: ReloadFigures::default(),
        receivers: BTreeMap::from([("platform".to_owned(), receiver)]),
        queue_bytes: 1_000,
        queue_capacity_bytes: 2_000,
        queue_index_bytes: 10,
        queue_index_capacity_bytes: 20,
        dead_letters: LettersReport {
            exporters: LetterFigures {
                dropped,
                ..LetterFigures::default()
            },
            ..LettersReport::default()
        },
        exporters: BTreeMap::from([
            ("langfuse/eu".to_owned(), exporter.clone()),
            ("json".to_owned(), exporter),
        ]),
    }
}

/// Splits `name{a="b"} 1` by the rules of the format; panics where the line breaks them.
fn parse_sample(line: &str) -> (String, Vec<(String, String)>, f64) {
    let name_end = line
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .unwrap();
    let (name, mut rest) = line.split_at(name_end);
    assert!(
        name.starts_with(|c: char| c.is_ascii_alphabetic()),
        "{line}"
    );
    let mut labels = Vec::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (label, after) = rest.split_once("=\"").unwrap();
            assert!(
                !label.is_empty() && label.chars().all(|c| c.is_ascii_lowercase() || c == '_'),
                "{line}"
            );
            let mut value = String::new();
            let mut characters = after.char_indices();
            let end = loop {
                match characters.next().unwrap() {
                    (index, '"') => break index,
                    (_, '\\') => match characters.next().unwrap().1 {
                        'n' => value.push('\n'),
                        c @ ('\\' | '"') => value.push(c),
                        c => panic!("bad escape {c} in {line}"),
                    },
                    (_, c) => value.push(c),
                }
            };
            labels.push((label.to_owned(), value));
            rest = &after[end + 1..];
            if let Some(after) = rest.strip_prefix('}') {
                rest = after;
                break;
            }
            rest = rest.strip_prefix(',').unwrap();
        }
    }
    let value = rest.strip_prefix(' ').unwrap();
    (name.to_owned(), labels, value.parse().unwrap())
}

#[test]
fn the_text_keeps_the_rules_of_the_format() {
    let text = prometheus_text(&snapshot());
    assert!(text.ends_with('\n'));
    let mut families = Vec::new();
    let mut seen = BTreeSet::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, _) = help.split_once(' ').unwrap();
            let metric = metrics::ALL
                .into_iter()
                .find(|metric| metric.name == name)
                .unwrap();
            let type_line = lines.next().unwrap();
            assert_eq!(
                type_line.split(' ').collect::<Vec<_>>()[..3],
                ["#", "TYPE", name]
            );
            families.push(metric);
            continue;
        }
        let (name, labels, _) = parse_sample(line);
        let family = families.last().unwrap();
        let base = match family.kind {
            MetricType::Histogram => name
                .trim_end_matches("_bucket")
                .trim_end_matches("_sum")
                .trim_end_matches("_count"),
            MetricType::Counter | MetricType::Gauge => name.as_str(),
        };
        assert_eq!(base, family.name, "a sample stands under its own family");
        assert!(seen.insert((name, labels)), "no sample comes twice: {line}");
    }
    assert_eq!(families, metrics::ALL, "each family once, in order");
}

#[test]
fn names_follow_one_pattern() {
    for metric in metrics::ALL {
        assert!(metric.name.starts_with("mastra_host_"), "{}", metric.name);
        assert_eq!(
            metric.name.ends_with("_total"),
            metric.kind == MetricType::Counter,
            "{}",
            metric.name
        );
        assert!(
            !metric.help.contains(['\n', '\\']) && metric.help.ends_with('.'),
            "{}",
            metric.name
        );
    }
}

#[test]
fn labels_are_escaped_and_buckets_are_cumulative() {
    let text = prometheus_text(&snapshot());
    let state = text
        .lines()
        .find(|line| line.starts_with("mastra_host_exporter_state{"))
        .unwrap();
    assert_eq!(parse_sample(state).1[1].1, "bad \"state\"\\\n");
    let wanted =
        "mastra_host_exporter_call_duration_seconds_bucket{exporter=\"json\",le=\"0.025\"} 2\n";
    assert!(text.contains(wanted), "{text}");
    assert!(text.contains(
        "mastra_host_exporter_call_duration_seconds_bucket{exporter=\"json\",le=\"+Inf\"} 3\n"
    ));
    assert!(
        text.contains("mastra_host_exporter_call_duration_seconds_count{exporter=\"json\"} 3\n")
    );
}

#[test]
fn the_fates_of_an_exporter_add_up_on_the_page() {
    let text = prometheus_text(&snapshot());
    let sum = |name: &str| -> f64 {
        text.lines()
            .filter(|line| line.starts_with(&format!("{name}{{exporter=\"langfuse/eu\"")))
            .map(|line| parse_sample(line).2)
            .sum()
    };
    let fates = [
        metrics::EXPORTER_DELIVERED,
        metrics::EXPORTER_FILTERED,
        metrics::EXPORTER_DEAD_LETTERED,
        metrics::EXPORTER_DROPPED,
        metrics::EXPORTER_QUEUED,
    ];
    let total: f64 = fates.iter().map(|metric| sum(metric.name)).sum();
    assert!(total > 0.0);
    assert!((sum(metrics::EXPORTER_RECEIVED.name) - total).abs() < f64::EPSILON);
}
