//! Pages, write requests and what becomes of their items, with a stand-in for a receiver.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use std::collections::BTreeMap;
use std::path::Path;

use kit::backend::prometheus::Prometheus as Fake;
use kit::exporter::{Golden, answered, body, configured, judged_by, recorded};
use kit::golden;
use mastra_exporter_sdk::http::testing::{status, with_backend};
use mastra_exporter_sdk::http::{HttpError, Response};
use mastra_exporter_sdk::records::{
    EventResource, Instrument, ItemResult, Metric, MetricBatch, MetricValue, Observation,
};
use mastra_exporter_sdk::test_support::requests::{fate_words, header};
use mastra_exporter_sdk::{Exporter as _, Metrics, Page, PageRequest};
use prometheus_exporter::Prometheus;
use serde_json::{Value, json};

const URL: &str = "http://prometheus.test/api/v1/write";

fn served() -> Prometheus {
    configured(json!({}), &json!({}))
}

fn written(version: &str) -> Prometheus {
    configured(
        json!({"remote_write_url": URL, "remote_write_version": version, "token": "t"}),
        &json!({}),
    )
}

fn page(of: &Prometheus, accept: Option<&str>) -> String {
    let response = of.render(&PageRequest {
        path: "metrics".to_owned(),
        query: String::new(),
        accept: accept.map(str::to_owned),
    });
    assert_eq!(response.status, 200);
    String::from_utf8(response.body).unwrap()
}

fn observed(name: &str, instrument: Instrument, value: f64, labels: &[(&str, &str)]) -> Metric {
    let mut metric = recorded().metrics.metrics[0].clone();
    metric.name = name.to_owned();
    metric.value = MetricValue::Single(Observation { value, instrument });
    metric.labels = labels
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    metric.correlation = None;
    metric.resource_index = Some(0);
    metric
}

fn batch(metrics: Vec<Metric>) -> MetricBatch {
    MetricBatch {
        tokens: (0..metrics.len() as u64).collect(),
        metrics,
        resources: vec![EventResource {
            service_name: Some("bot".to_owned()),
            service_version: None,
            environment: None,
            project_id: None,
            attributes: Some(r#"{"service.instance.id":"i-1"}"#.to_owned()),
            schema_url: None,
            dropped_attributes_count: 0,
            extra: None,
        }],
        scopes: Vec::new(),
    }
}

#[test]
fn recorded_events_give_exactly_these_pages_and_requests() {
    let events = recorded();
    let exporter = served();
    exporter.send_metrics(&events.metrics);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let pages: Value = [None, Some("application/openmetrics-text;version=1.0.0")]
        .map(|accept| {
            page(&exporter, accept)
                .lines()
                .map(Value::from)
                .collect::<Value>()
        })
        .into_iter()
        .collect();
    golden::check(&folder.join("pages.json"), &pages).unwrap();
    let golden = Golden::of(env!("CARGO_MANIFEST_DIR"), 204).without(&["timestamp"]);
    let exporter = written("1.0");
    exporter.send_metrics(&events.metrics);
    golden.check("write.json", || exporter.flush());
}

#[test]
fn a_page_has_types_escaped_labels_and_buckets_that_add_up() {
    let exporter = served();
    exporter.send_metrics(&batch(vec![
        observed(
            "answers.total",
            Instrument::Counter,
            2.0,
            &[("a.b", "x\"y\\z\nw")],
        ),
        observed(
            "answers.total",
            Instrument::Counter,
            3.0,
            &[("a.b", "x\"y\\z\nw")],
        ),
        observed("depth", Instrument::Gauge, -1.5, &[("empty", "")]),
        observed("took", Instrument::Histogram, 7.0, &[]),
        observed("took", Instrument::Histogram, 1e9, &[]),
    ]));
    let text = page(&exporter, None);
    for line in [
        "# TYPE answers_total counter",
        r#"answers_total{a_b="x\"y\\z\nw",instance="i-1",job="bot"} 5"#,
        "# TYPE depth gauge",
        r#"depth{instance="i-1",job="bot"} -1.5"#,
        "# TYPE took histogram",
        r#"took_bucket{instance="i-1",job="bot",le="5"} 0"#,
        r#"took_bucket{instance="i-1",job="bot",le="10"} 1"#,
        r#"took_bucket{instance="i-1",job="bot",le="+Inf"} 2"#,
        r#"took_count{instance="i-1",job="bot"} 2"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    let open = page(&exporter, Some("application/openmetrics-text"));
    assert!(open.ends_with("# EOF\n"));
    assert!(
        open.contains("# TYPE answers counter\nanswers_total{"),
        "{open}"
    );
    assert!(open.contains(" # {trace_id=\""), "{open}");
    for text in [text, open] {
        let mut types = BTreeMap::new();
        for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
            let (name, _) = line.split_once(' ').unwrap();
            assert!(types.insert(name.to_owned(), ()).is_none(), "{name} twice");
        }
    }
}

#[test]
fn milliseconds_become_seconds_in_all_they_are_in() {
    let exporter = served();
    let mut by_unit = observed("wait", Instrument::Gauge, 1_500.0, &[]);
    by_unit.unit = Some("ms".to_owned());
    exporter.send_metrics(&batch(vec![
        observed("took_ms", Instrument::Histogram, 305.0, &[]),
        by_unit,
    ]));
    let text = page(&exporter, Some("application/openmetrics-text"));
    for line in [
        r#"took_seconds_bucket{instance="i-1",job="bot",le="0.25"} 0"#,
        r#"took_seconds_sum{instance="i-1",job="bot"} 0.305"#,
        r#"wait_seconds{instance="i-1",job="bot"} 1.5"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(
        text.contains("} 0.305 1772600767.007"),
        "an exemplar: {text}"
    );
}

#[test]
fn one_name_of_two_kinds_is_two_families() {
    let exporter = served();
    exporter.send_metrics(&batch(vec![
        observed("a.b", Instrument::Gauge, 1.0, &[]),
        observed("a_b", Instrument::Counter, 1.0, &[]),
    ]));
    let text = page(&exporter, None);
    assert!(
        text.contains("# TYPE a_b_gauge gauge")
            && text.contains("# TYPE a_b_counter_total counter"),
        "{text}"
    );
}

#[test]
fn what_was_on_a_page_is_acknowledged_once() {
    let (exporter, events) = (served(), recorded());
    let held = exporter.send_metrics(&events.metrics);
    assert_eq!(fate_words(&held, 25), ["held"; 25]);
    assert!(exporter.flush().is_empty(), "nobody has seen it");
    let first = page(&exporter, None);
    let told = exporter.flush();
    assert_eq!((told.len(), told[0].tokens.len()), (1, 25));
    assert_eq!(told[0].fate, ItemResult::Delivered);
    assert!(exporter.flush().is_empty());
    assert_eq!(page(&exporter, None), first, "totals stay");
    let missing = exporter.render(&PageRequest {
        path: "other".to_owned(),
        query: String::new(),
        accept: None,
    });
    assert_eq!(missing.status, 404);
}

#[test]
fn what_nobody_scrapes_is_not_held_for_ever() {
    let (exporter, events) = (served(), recorded());
    let mut held = 0;
    while held < 20_000 {
        exporter.send_metrics(&events.metrics);
        held += 25;
    }
    let told = exporter.flush();
    assert_eq!(told[0].tokens.len(), held);
    let text = page(&exporter, None);
    assert!(
        text.contains("app_queue_depth_count{job=\"support-bot\"} 800"),
        "{text}"
    );
}

#[test]
fn a_strict_receiver_takes_both_versions() {
    let events = recorded();
    for version in ["1.0", "2.0"] {
        let exporter = written(version);
        exporter.send_metrics(&events.metrics);
        let (told, requests) = with_backend(
            |request| {
                let mut reply = judged_by(&Fake::default(), request, "prom-token", &[]);
                let written = ("x-prometheus-remote-write-samples-written", "1");
                reply
                    .headers
                    .push((written.0.to_owned(), written.1.to_owned()));
                Ok(reply)
            },
            || exporter.flush(),
        );
        assert_eq!((told[0].tokens.len(), requests.len()), (25, 1), "{version}");
        assert_eq!(header(&requests[0], "content-encoding"), Some("snappy"));
        assert_eq!(requests[0].compression, None);
        assert_eq!(requests[0].url, URL);
    }
}

#[test]
fn an_older_receiver_gets_version_one_from_then_on() {
    let events = recorded();
    for old in [status(415), status(204)] {
        let exporter = written("2.0");
        exporter.send_metrics(&events.metrics);
        let versions = |of: &Prometheus| {
            let reply = old.clone();
            let (told, requests) = with_backend(
                move |request| {
                    let is_two =
                        header(request, "x-prometheus-remote-write-version") == Some("2.0.0");
                    Ok(if is_two { reply.clone() } else { status(204) })
                },
                || of.flush(),
            );
            let versions: Vec<_> = requests
                .iter()
                .map(|request| {
                    header(request, "x-prometheus-remote-write-version")
                        .unwrap()
                        .to_owned()
                })
                .collect();
            (told.len(), versions)
        };
        assert_eq!(
            versions(&exporter),
            (1, vec!["2.0.0".to_owned(), "0.1.0".to_owned()])
        );
        assert_eq!(versions(&exporter).1, ["0.1.0"]);
    }
}

#[test]
fn a_key_that_is_refused_at_a_flush_pauses() {
    kit::exporter::check_refused_flush(&written("1.0"), &recorded().metrics);
}

#[test]
fn every_reply_has_its_outcome() {
    let events = recorded();
    for (code, is_told) in [
        (200, Some(true)),
        (204, Some(true)),
        (400, Some(false)),
        (404, Some(false)),
        (422, Some(false)),
        (429, None),
        (500, None),
        (503, None),
    ] {
        let exporter = written("1.0");
        exporter.send_metrics(&events.metrics);
        let told = answered(Ok(status(code)), || exporter.flush()).0;
        let fate = told.first().map(|told| told.fate == ItemResult::Delivered);
        assert_eq!(fate, is_told, "{code}");
    }
    let exporter = written("1.0");
    exporter.send_metrics(&events.metrics);
    let gone: Result<Response, _> = Err(HttpError::Unreachable("refused".to_owned()));
    assert!(answered(gone, || exporter.flush()).0.is_empty());
    let (told, requests) = answered(Ok(status(204)), || exporter.flush());
    assert_eq!(told[0].tokens.len(), 25, "it is still held");
    assert!(
        !body(&requests[0])["timeseries"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}
