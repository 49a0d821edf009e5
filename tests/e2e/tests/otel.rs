//! Recorded agent events reach an OTLP collector, each signal its own; what OpenTelemetry senders post leaves as it came.

#![allow(
    clippy::indexing_slicing,
    reason = "`Value[key]` answers null for what is not there"
)]

use std::collections::BTreeSet;

use e2e::{Config, accounts, recorded_events, run, run_with_input, vendors};
use kit::accounts::Account;
use kit::backend::collector::{Collector, LOG, METRIC, SPAN};
use kit::backend::{Answer, Backend, Behaviour, Which};
use kit::client::Outgoing;
use kit::host::HostCommand;
use serde_json::json;

fn config(backend: &Backend) -> anyhow::Result<Config> {
    vendors::config("otel", backend)
}

#[tokio::test]
async fn all_five_signals_arrive_and_are_counted_exactly() -> anyhow::Result<()> {
    let backend = Backend::start(Collector::default()).await?;
    let finished = run_with_input(&config(&backend)?, recorded_events()?)?
        .finish()
        .await?;
    finished.expect_code(0)?;
    let accounts = accounts(&finished)?;
    let spans = Account {
        received: 56,
        delivered: 28,
        filtered: 28,
        ..Account::default()
    };
    assert_eq!(accounts.of("otel", "traces")?, spans);
    for (signal, count) in [("logs", 6), ("metrics", 25), ("scores", 4), ("feedback", 3)] {
        let account = accounts.of("otel", signal)?;
        assert_eq!(account, Account::delivered(count), "{signal}");
    }
    assert_eq!(backend.stored(SPAN).len(), 28);
    let evaluations = backend.stored(LOG);
    let is_evaluation = |id: &str| id == "gen_ai.evaluation.result";
    let count = evaluations.iter().filter(|log| is_evaluation(&log.id));
    assert_eq!((evaluations.len(), count.count()), (13, 7));
    assert!(!backend.stored(METRIC).is_empty());
    Ok(())
}

#[tokio::test]
async fn a_500_is_not_repeated_and_metrics_wait_for_a_backend_that_is_away() -> anyhow::Result<()> {
    let backend = Backend::start(Collector::default()).await?;
    let failed = Behaviour::Answer(Answer::status(500));
    backend.on(Which::path("/v1/logs"), failed);
    let away = Behaviour::Answer(Answer::status(503));
    backend.on(Which::path("/v1/metrics").first(1), away);
    let config = config(&backend)?.with("signals: [logs, metrics]");
    let finished = run_with_input(&config, recorded_events()?)?
        .finish()
        .await?;
    finished.expect_code(3)?;
    let accounts = accounts(&finished)?;
    let logs = accounts.of("otel", "logs")?;
    assert_eq!((logs.delivered, logs.dead_lettered), (0, 6));
    // One request, or two where the machine was slow to read the input: none of them twice.
    let requests = backend.requests_to("/v1/logs");
    let bodies: BTreeSet<_> = requests.iter().map(|one| &one.request.body).collect();
    assert_eq!(bodies.len(), requests.len());
    assert_eq!(accounts.of("otel", "metrics")?, Account::delivered(25));
    Ok(())
}

#[tokio::test]
async fn what_an_opentelemetry_sender_posts_leaves_as_it_came() -> anyhow::Result<()> {
    let backend = Backend::start(Collector::default()).await?;
    let host = run(&config(&backend)?)?.start().await?;
    let span = json!({
        "traceId": "0a".repeat(16), "spanId": "0b".repeat(8), "traceState": "a=b", "name": "GET /x?y", "kind": 2, "flags": 769,
        "startTimeUnixNano": "1780000000000000001", "endTimeUnixNano": "1780000001000000002",
        "attributes": [
            {"key": "list", "value": {"arrayValue": {"values": [{"intValue": "1"}, {"doubleValue": 2.0}]}}},
            {"key": "bytes", "value": {"bytesValue": "AAEC"}},
        ],
        "droppedAttributesCount": 3,
        "events": [{"timeUnixNano": "1780000000500000000", "name": "e", "attributes": [], "droppedAttributesCount": 0}],
        "droppedEventsCount": 0,
        "links": [{"traceId": "0c".repeat(16), "spanId": "0d".repeat(8), "attributes": [], "droppedAttributesCount": 0, "flags": 1}],
        "droppedLinksCount": 0,
        "status": {"message": "no", "code": 2},
    });
    let resource = json!({"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}], "droppedAttributesCount": 0});
    let scope = json!({"name": "lib", "version": "1"});
    let body = json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": scope, "spans": [span]}]}]});
    let post = Outgoing::post("/v1/traces", "application/json", body.to_string());
    assert_eq!(host.send(post).await?.status, 200);
    backend.wait_for_stored(SPAN, 1).await?;
    host.terminate().await?.expect_code(0)?;
    let stored = backend.stored(SPAN).swap_remove(0).value;
    assert_eq!(
        stored,
        json!({"resource": resource, "scope": scope, "span": span})
    );
    Ok(())
}

#[tokio::test]
async fn settings_come_from_the_standard_variables() -> anyhow::Result<()> {
    let backend = Backend::start(Collector::default()).await?;
    let finished = HostCommand::new("run")?
        .plugin("otel")?
        .args(["--output", "json", "--input", "-"])
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &backend.url())
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
        .env("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=otel%2Dkey")
        .stdin(recorded_events()?)
        .finish()
        .await?;
    finished.expect_code(0)?;
    let requests = backend.requests_to("/v1/traces");
    let json = Some("application/json".to_owned());
    assert!(
        requests
            .iter()
            .all(|recorded| recorded.request.media_type() == json)
    );
    assert_eq!(backend.stored(SPAN).len(), 28);
    Ok(())
}
