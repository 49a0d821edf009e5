//! Events that are easily lost, bent or doubled on the way to a backend: each arrives whole at every backend that has a
//! place for it, is counted as filtered where it has none, and a second delivery is the same records again. `default` and
//! `json` keep everything; `store.rs` and the test of `json` show that.

#![allow(
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use std::collections::BTreeSet;

use e2e::accounts;
use e2e::vendors::{Setting, VENDORS};
use kit::accounts::Account;
use kit::backend::{Backend, Recorded};
use kit::fixtures::{feedback, log, metric, ndjson, phase, score, span, span_id, with, without};
use serde_json::{Value, json};

/// The same span with this text in its output, which every backend keeps.
fn marked(span: Value, mark: &str) -> Value {
    with(span, "output", json!({"said": mark}))
}

/// Twelve events of nine spans. Four are no ends of spans.
fn spans() -> Vec<Value> {
    let calls =
        json!({"model": "m", "usage": {"inputTokens": 1_234_567_890_123_u64, "outputTokens": 7}});
    let error =
        json!({"message": "audit failed", "name": "AuditError", "stack": "Error\n  at a.ts:1"});
    let root = with(span(900, 1, None, "agent_run"), "input", Value::Null);
    let never = with(
        span(903, 30, None, "agent_run"),
        "input",
        json!({"asked": "never ends"}),
    );
    let point = without(span(900, 4, Some(1), "generic"), "endTime");
    // Backends differ in which of the two has the tokens.
    let generation = span(900, 2, Some(1), "model_generation");
    let inference = span(900, 8, Some(2), "model_inference");
    vec![
        phase(root.clone(), "span_started"),
        phase(root.clone(), "span_updated"),
        marked(root, "für 你好 🎉"),
        with(generation, "attributes", calls.clone()),
        with(inference, "attributes", calls),
        with(span(900, 3, Some(1), "tool_call"), "errorInfo", error),
        marked(with(point, "isEvent", true.into()), "a point in time"),
        marked(span(901, 5, Some(999_999), "tool_call"), "an orphan"),
        marked(span(902, 7, Some(6), "tool_call"), "an early child"),
        marked(span(902, 6, None, "agent_run"), "a late parent"),
        phase(never.clone(), "span_started"),
        phase(never, "span_updated"),
    ]
}

/// The last of each kind belongs to no trace.
fn others() -> Vec<Value> {
    let nowhere = |event| without(without(event, "traceId"), "spanId");
    let scored = |event, value: f64, reason: &str| {
        with(with(event, "score", json!(value)), "reason", reason.into())
    };
    let big = with(metric(900, 14), "value", json!(9_876_543_210_123_u64));
    let rated = feedback(900, 23, &json!(3.0625));
    vec![
        with(log(900, 10, "info"), "message", "gruß 你好".into()),
        with(
            nowhere(log(900, 11, "warn")),
            "message",
            "outside any trace".into(),
        ),
        with(
            with(metric(900, 12), "labels", json!({})),
            "name",
            "without_labels".into(),
        ),
        with(
            metric(900, 13),
            "labels",
            json!({"empty": "", "a b": "grün"}),
        ),
        with(big, "name", "big_count".into()),
        scored(score(900, 20, None), 0.4375, "of the whole trace"),
        scored(score(900, 21, Some(2)), 0.8125, "of one span"),
        scored(nowhere(score(900, 22, None)), 0.5625, "of nothing"),
        with(
            with(rated, "comment", "rated".into()),
            "spanId",
            span_id(2).into(),
        ),
        with(
            feedback(900, 24, &json!("Should have retried")),
            "comment",
            "worded".into(),
        ),
        with(
            nowhere(feedback(900, 25, &json!(1))),
            "comment",
            "belongs nowhere".into(),
        ),
    ]
}

/// Of each signal: how many events there are, what must be found of them, and what of those that some have no place for.
const MARKS: [(&str, u64, &[&str], &[&str]); 5] = [
    (
        "traces",
        12,
        &[
            "für 你好 🎉",
            "1234567890123",
            "audit failed",
            "a point in time",
            "an orphan",
            "an early child",
            "a late parent",
        ],
        &["never ends"],
    ),
    ("logs", 2, &["gruß 你好"], &["outside any trace"]),
    (
        "metrics",
        3,
        &["without_labels", "grün", "9876543210123"],
        &[],
    ),
    (
        "scores",
        3,
        &["0.4375", "of the whole trace", "0.8125", "of one span"],
        &["0.5625", "of nothing"],
    ),
    (
        "feedback",
        3,
        &["3.0625", "rated", "Should have retried", "worded"],
        &["belongs nowhere"],
    ),
];

/// How many of a signal's events this backend has no place for.
fn filtered(vendor: &str, signal: &str) -> u64 {
    match (signal, vendor) {
        // They show running spans.
        ("traces", "braintrust" | "webhook") => 0,
        ("traces", _) => 4,
        // Their records live in traces.
        ("logs", "braintrust" | "langfuse") => 1,
        ("scores", "cloud" | "grafana-cloud" | "otel" | "webhook") => 0,
        ("feedback", "cloud" | "grafana-cloud" | "otel" | "sentry" | "webhook") => 0,
        ("scores" | "feedback", _) => 1,
        _ => 0,
    }
}

/// Members that tell when a record was sent.
fn clocks(vendor: &str) -> &'static [&'static str] {
    match vendor {
        "cloud" => &["createdAt"],
        // Running totals.
        "grafana-cloud" => &["startTimeUnixNano", "timeUnixNano"],
        "prometheus" => &["time"],
        _ => &[],
    }
}

fn without_clocks(value: &Value, clocks: &[&str]) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.iter();
            let kept = members.filter(|(key, _)| !clocks.contains(&key.as_str()));
            kept.map(|(key, value)| (key.clone(), without_clocks(value, clocks)))
                .collect()
        }
        Value::Array(values) => values.iter().map(|it| without_clocks(it, clocks)).collect(),
        _ => value.clone(),
    }
}

/// The distinct records that these requests stored, as text.
fn records(requests: &[Recorded], clocks: &[&str]) -> BTreeSet<String> {
    let stored = requests.iter().flat_map(|request| &request.stored);
    stored
        .map(|it| {
            format!(
                "{} {} {}",
                it.kind,
                it.id,
                without_clocks(&it.value, clocks)
            )
        })
        .collect()
}

fn assert_nothing_refused(name: &str, backend: &Backend) {
    for request in backend.requests() {
        // LangSmith has it already.
        assert!(
            request.refused.is_none() || request.status == Some(409),
            "{name}: {:?}",
            request.refused
        );
    }
}

#[tokio::test]
async fn what_is_easily_lost_arrives_or_is_counted_and_comes_again_as_the_same_records()
-> anyhow::Result<()> {
    let setting = Setting::of(&VENDORS).await?;
    let events = ndjson(&[spans(), others()].concat());
    let first = setting.deliver(events.clone(), "").await?;
    let told: Vec<_> = setting
        .vendors
        .iter()
        .map(|(_, backend)| backend.requests().len())
        .collect();
    let again = setting.deliver(events, "").await?;
    let reports = [accounts(&first)?, accounts(&again)?];
    for ((vendor, backend), told) in setting.vendors.iter().zip(told) {
        let name = vendor.name;
        assert_nothing_refused(name, backend);
        let requests = backend.requests();
        let (once, twice) = requests.split_at(told);
        let once = records(once, clocks(name));
        let text: String = once.iter().map(String::as_str).collect();
        for (signal, count, marks, odd_marks) in MARKS {
            if !vendor.signals.contains(&signal) {
                continue;
            }
            let filtered = filtered(name, signal);
            let expected = Account {
                received: count,
                filtered,
                delivered: count - filtered,
                ..Account::default()
            };
            for report in &reports {
                assert_eq!(report.of(name, signal)?, expected, "{name} {signal}");
            }
            for mark in marks {
                assert!(text.contains(mark), "{name} {signal}: no {mark} in {text}");
            }
            for mark in odd_marks {
                assert_eq!(
                    text.contains(mark),
                    filtered == 0,
                    "{name} {signal}: {mark}"
                );
            }
        }
        let new: Vec<_> = records(twice, clocks(name))
            .difference(&once)
            .cloned()
            .collect();
        assert_eq!(new, [""; 0], "{name} made new records of a repeat");
    }
    Ok(())
}
