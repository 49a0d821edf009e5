//! Recorded agent events reach Sentry in envelopes, each signal its own, and every one is counted once.

use std::collections::BTreeMap;

use e2e::{Config, accounts, recorded_events, run_with_input, vendors};
use kit::accounts::Account;
use kit::backend::sentry::{EVENT, FEEDBACK, LOG, METRIC, SPAN, Sentry};
use kit::backend::{Answer, Backend, Behaviour, Which};
use kit::host::HostCommand;

fn config(backend: &Backend) -> anyhow::Result<Config> {
    vendors::config("sentry", backend)
}

#[tokio::test]
async fn all_four_signals_arrive_and_are_counted_exactly() -> anyhow::Result<()> {
    let backend = Backend::start(Sentry::default()).await?;
    let finished = run_with_input(&config(&backend)?, recorded_events()?)?
        .finish()
        .await?;
    finished.expect_code(0)?;
    let accounts = accounts(&finished)?;
    assert_eq!(
        accounts.signals("sentry"),
        ["feedback", "logs", "metrics", "traces"],
        "Sentry has no scores"
    );
    let spans = Account {
        received: 56,
        delivered: 28,
        filtered: 28,
        ..Account::default()
    };
    assert_eq!(accounts.of("sentry", "traces")?, spans);
    for (signal, count) in [("logs", 6), ("metrics", 25), ("feedback", 3)] {
        assert_eq!(
            accounts.of("sentry", signal)?,
            Account::delivered(count),
            "{signal}"
        );
    }
    for (kind, count) in [
        (SPAN, 28),
        (EVENT, 2),
        (LOG, 6),
        (METRIC, 25),
        (FEEDBACK, 3),
    ] {
        assert_eq!(backend.stored(kind).len(), count, "{kind}");
    }
    Ok(())
}

#[tokio::test]
async fn a_trace_keeps_its_tree() -> anyhow::Result<()> {
    let backend = Backend::start(Sentry::default()).await?;
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
        match span["parent_span_id"].as_str() {
            None => roots += 1,
            Some(parent) => assert_eq!(spans[parent]["trace_id"], span["trace_id"]),
        }
    }
    assert_eq!((spans.len(), roots), (28, 5));
    Ok(())
}

#[tokio::test]
async fn a_rate_limit_waits_and_loses_nothing() -> anyhow::Result<()> {
    let backend = Backend::start(Sentry::default()).await?;
    let limited =
        Answer::status(429).with_header("x-sentry-rate-limits", "1:log_item:organization");
    backend.on(Which::all().first(1), Behaviour::Answer(limited));
    let config = config(&backend)?.with("signals: [logs]");
    let finished = run_with_input(&config, recorded_events()?)?
        .finish()
        .await?;
    finished.expect_code(0)?;
    assert_eq!(
        accounts(&finished)?.of("sentry", "logs")?,
        Account::delivered(6)
    );
    Ok(())
}

#[tokio::test]
async fn settings_come_from_the_official_variables() -> anyhow::Result<()> {
    let backend = Backend::start(Sentry::default()).await?;
    let finished = HostCommand::new("run")?
        .plugin("sentry")?
        .args(["--output", "json", "--input", "-"])
        .env("SENTRY_DSN", &Sentry::default().dsn(&backend.url()))
        .env("SENTRY_RELEASE", "app@2")
        .stdin(recorded_events()?)
        .finish()
        .await?;
    finished.expect_code(0)?;
    let span = backend.stored(SPAN).swap_remove(0);
    assert_eq!(span.value["attributes"]["sentry.release"]["value"], "app@2");
    Ok(())
}
