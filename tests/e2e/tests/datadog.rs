//! Recorded agent events reach Datadog's intakes, each signal its own, and every one is counted once.

#![allow(
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use std::collections::BTreeMap;

use e2e::{Config, accounts, recorded_events, run, run_with_input, vendors};
use kit::accounts::Account;
use kit::backend::datadog::{
    DISTRIBUTION, DISTRIBUTIONS, Datadog, EVALUATION, FEEDBACK, LOG, POINT, SERIES, SPAN,
};
use kit::backend::{Backend, Behaviour, Which};
use kit::fixtures::{metric, ndjson, span, time, with};
use kit::host::HostCommand;

fn config(backend: &Backend) -> anyhow::Result<Config> {
    vendors::config("datadog", backend)
}

#[tokio::test]
async fn all_five_signals_arrive_and_are_counted_exactly() -> anyhow::Result<()> {
    let backend = Backend::start(Datadog::default()).await?;
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
    assert_eq!(accounts.of("datadog", "traces")?, spans);
    for (signal, count) in [("logs", 6), ("metrics", 25), ("scores", 4), ("feedback", 3)] {
        assert_eq!(
            accounts.of("datadog", signal)?,
            Account::delivered(count),
            "{signal}"
        );
    }
    for (kind, count) in [(SPAN, 28), (LOG, 6), (EVALUATION, 4), (FEEDBACK, 3)] {
        assert_eq!(backend.stored(kind).len(), count, "{kind}");
    }
    // Values, counted: series put together by the second are fewer.
    let values: usize = backend
        .stored(DISTRIBUTION)
        .iter()
        .flat_map(|series| {
            series.value["points"]
                .as_array()
                .cloned()
                .unwrap_or_default()
        })
        .map(|point| point[1].as_array().map_or(0, Vec::len))
        .sum();
    assert_eq!(values, 9, "eight durations, and a name that no rule knows");
    assert!(!backend.stored(POINT).is_empty());
    Ok(())
}

#[tokio::test]
async fn a_trace_keeps_its_tree() -> anyhow::Result<()> {
    let backend = Backend::start(Datadog::default()).await?;
    let config = config(&backend)?.with("signals: [traces]");
    run_with_input(&config, recorded_events()?)?
        .finish()
        .await?
        .expect_code(0)?;
    let spans: BTreeMap<_, _> = backend
        .stored(SPAN)
        .into_iter()
        .map(|span| (span.id, span.value))
        .collect();
    let mut roots = 0;
    for span in spans.values() {
        match span["parent_id"].as_str().unwrap_or_default() {
            "undefined" => roots += 1,
            parent => assert_eq!(spans[parent]["trace_id"], span["trace_id"]),
        }
    }
    assert_eq!((spans.len(), roots), (28, 5));
    assert!(backend.stored(LOG).is_empty(), "only traces were wanted");
    Ok(())
}

#[tokio::test]
async fn metrics_are_not_repeated_when_one_of_their_requests_fails() -> anyhow::Result<()> {
    let backend = Backend::start(Datadog::default()).await?;
    backend.on(Which::path(SERIES).first(1), Behaviour::status(503));
    let config = config(&backend)?.with("signals: [metrics]");
    let finished = run_with_input(&config, recorded_events()?)?
        .finish()
        .await?;
    finished.expect_code(0)?;
    assert_eq!(
        accounts(&finished)?.of("datadog", "metrics")?,
        Account::delivered(25)
    );
    let (series, distributions) = (
        backend.requests_to(SERIES).len(),
        backend.requests_to(DISTRIBUTIONS).len(),
    );
    assert_eq!(series, distributions + 1);
    Ok(())
}

/// Values of each second of the durations. The last point of a series and a second wins there.
fn durations(backend: &Backend) -> BTreeMap<u64, Vec<f64>> {
    let mut seconds = BTreeMap::new();
    for series in backend.stored(DISTRIBUTION) {
        for point in series.value["points"].as_array().into_iter().flatten() {
            let values = point[1].as_array().into_iter().flatten();
            let values = values.filter_map(serde_json::Value::as_f64).collect();
            seconds.insert(point[0].as_u64().unwrap_or_default(), values);
        }
    }
    seconds
}

#[tokio::test]
async fn a_second_that_comes_in_many_batches_keeps_all_its_values() -> anyhow::Result<()> {
    let backend = Backend::start(Datadog::default()).await?;
    let host = run(&config(&backend)?)?.start().await?;
    // All of the same second; the last after it was sent.
    let duration = |n: u64, value: f64| {
        let event = with(metric(1, n), "timestamp", time(100 * n as i64).into());
        ndjson(&[with(event, "value", value.into())])
    };
    host.send_events(duration(1, 1.5)).await?;
    host.send_events(ndjson(&[span(1, 1, None, "agent_run")]))
        .await?;
    host.send_events(duration(2, 2.5)).await?;
    backend.wait_for_stored(SPAN, 1).await?;
    assert!(
        durations(&backend).is_empty(),
        "spans do not wait for metrics"
    );
    backend.wait_for_stored(DISTRIBUTION, 1).await?;
    host.send_events(duration(3, 3.5)).await?;
    let finished = host.terminate().await?;
    finished.expect_code(0)?;
    let values: Vec<_> = durations(&backend).into_values().collect();
    assert_eq!(values, [[1.5, 2.5, 3.5]]);
    let account = accounts(&finished)?.of("datadog", "metrics")?;
    assert_eq!(account, Account::delivered(3));
    Ok(())
}

#[tokio::test]
async fn settings_come_from_datadogs_own_variables() -> anyhow::Result<()> {
    let backend = Backend::start(Datadog::default()).await?;
    let finished = HostCommand::new("run")?
        .plugin("datadog")?
        .args(["--output", "json", "--input", "-"])
        .env("DD_API_KEY", &Datadog::default().api_key)
        .env("DD_LLMOBS_ML_APP", "Support-Bot")
        .env("DD_ENV", "prod")
        .env("DATADOG_BASE_URL", &backend.url())
        .stdin(recorded_events()?)
        .finish()
        .await?;
    finished.expect_code(0)?;
    let log = backend.stored(LOG).swap_remove(0);
    assert!(log.value["ddtags"].to_string().contains("env:prod"));
    Ok(())
}

#[tokio::test]
async fn a_wrong_key_keeps_everything() -> anyhow::Result<()> {
    let backend = Backend::start(Datadog {
        api_key: "another".to_owned(),
        ..Datadog::default()
    })
    .await?;
    let finished = run_with_input(
        &config(&backend)?.with("signals: [logs]"),
        recorded_events()?,
    )?
    .args(["--timeout", "2s"])
    .finish()
    .await?;
    finished.expect_code(3)?;
    let account = accounts(&finished)?.of("datadog", "logs")?;
    assert_eq!((account.queued, account.dead_lettered), (6, 0));
    Ok(())
}
