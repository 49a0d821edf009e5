//! The braintrust component in the built host, against a strict fake: every signal, running spans, and trouble.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use e2e::{Config, accounts, recorded_events, run_with_input, vendors};
use kit::accounts::Account;
use kit::backend::braintrust::{Braintrust, FEEDBACK, PROJECT, ROW};
use kit::backend::{Backend, Behaviour, Which};
use kit::fixtures::{feedback, generation, log, ndjson, phase, score, span, span_id, trace_id};
use kit::host::HostCommand;

fn config(backend: &Backend) -> anyhow::Result<Config> {
    vendors::config("braintrust", backend)
}

#[tokio::test]
async fn recorded_events_of_every_signal_arrive_and_are_counted_exactly() -> anyhow::Result<()> {
    let backend = Backend::start(Braintrust::default()).await?;
    let finished = run_with_input(&config(&backend)?, recorded_events()?)?
        .finish()
        .await?;
    finished.expect_code(0)?;
    let accounts = accounts(&finished)?;
    assert_eq!(
        accounts.signals("braintrust"),
        ["feedback", "logs", "scores", "traces"]
    );
    assert_eq!(accounts.of("braintrust", "traces")?, Account::delivered(56));
    assert_eq!(accounts.of("braintrust", "scores")?, Account::delivered(4));
    assert_eq!(
        accounts.of("braintrust", "feedback")?,
        Account::delivered(3)
    );
    let logs = Account {
        received: 6,
        delivered: 5,
        filtered: 1,
        ..Account::default()
    };
    assert_eq!(accounts.of("braintrust", "logs")?, logs);
    let mut ids: Vec<String> = backend.stored(ROW).into_iter().map(|row| row.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(
        ids.len(),
        28 + 5 + 3,
        "spans, logs, and what is said of whole traces"
    );
    assert_eq!(backend.stored(FEEDBACK).len(), 7);
    assert_eq!(
        backend
            .counts()
            .values()
            .map(|route| route.statuses.keys().max())
            .max(),
        Some(Some(&200))
    );
    Ok(())
}

#[tokio::test]
async fn a_running_span_is_shown_and_completed_under_the_same_id() -> anyhow::Result<()> {
    let backend = Backend::start(Braintrust::default()).await?;
    let started = phase(span(1, 1, None, "agent_run"), "span_started");
    run_with_input(&config(&backend)?, ndjson(&[started]))?
        .finish()
        .await?
        .expect_code(0)?;
    let ended = span(1, 1, None, "agent_run");
    run_with_input(&config(&backend)?, ndjson(&[ended]))?
        .finish()
        .await?
        .expect_code(0)?;
    let rows = backend.stored(ROW);
    assert_eq!(rows.len(), 2);
    assert!(
        rows.iter()
            .all(|row| row.id == span_id(1) && row.value["root_span_id"] == trace_id(1))
    );
    assert!(rows[0].value["metrics"].get("end").is_none());
    assert!(rows[1].value["metrics"].get("end").is_some());
    Ok(())
}

#[tokio::test]
async fn judgements_find_their_span() -> anyhow::Result<()> {
    let backend = Backend::start(Braintrust::default()).await?;
    let events = [
        span(1, 1, None, "agent_run"),
        generation(1, 2, Some(1)),
        log(1, 2, "error"),
        score(1, 3, Some(2)),
        score(1, 4, None),
        feedback(1, 5, &"up".into()),
        feedback(1, 6, &1.into()),
    ];
    run_with_input(&config(&backend)?, ndjson(&events))?
        .finish()
        .await?
        .expect_code(0)?;
    let feedback = backend.stored(FEEDBACK);
    let rows = backend.stored(ROW);
    assert_eq!(feedback.len(), 4);
    for item in &feedback {
        let row = rows.iter().find(|row| row.id == item.id);
        assert_eq!(
            row.unwrap().value["root_span_id"],
            trace_id(1),
            "feedback needs a row"
        );
    }
    assert!(
        feedback
            .iter()
            .any(|item| item.id == span_id(2) && item.value["scores"]["Relevance"] == 0.92)
    );
    Ok(())
}

#[tokio::test]
async fn settings_come_from_the_environment_alone() -> anyhow::Result<()> {
    for variable in ["BRAINTRUST_ENDPOINT", "BRAINTRUST_API_URL"] {
        let backend = Backend::start(Braintrust::default()).await?;
        let finished = HostCommand::new("run")?
            .plugin("braintrust")?
            .args(["--output", "json", "--input", "-"])
            .env("BRAINTRUST_API_KEY", "sk-bt-test")
            .env(variable, &backend.url())
            .stdin(ndjson(&[span(1, 1, None, "agent_run")]))
            .finish()
            .await?;
        finished.expect_code(0)?;
        assert_eq!(backend.stored(ROW).len(), 1);
        let asked = backend.requests_to(PROJECT);
        assert_eq!(asked[0].request.json()?["name"], "mastra-tracing");
    }
    Ok(())
}

#[tokio::test]
async fn a_bad_day_of_the_backend_loses_nothing() -> anyhow::Result<()> {
    let backend = Backend::start(Braintrust::default()).await?;
    backend.on(Which::path(PROJECT).first(1), Behaviour::status(503));
    let rows = Braintrust::default().rows_path();
    backend.on(Which::path(&rows).first(1), Behaviour::status(500));
    backend.on(Which::path(&rows), Behaviour::TooLargeAbove(20_000));
    let finished = run_with_input(&config(&backend)?, recorded_events()?)?
        .finish()
        .await?;
    finished.expect_code(0)?;
    assert_eq!(
        accounts(&finished)?.of("braintrust", "traces")?,
        Account::delivered(56)
    );
    Ok(())
}

#[tokio::test]
async fn a_refused_key_keeps_everything() -> anyhow::Result<()> {
    let mut fake = Braintrust::default();
    "sk-another".clone_into(&mut fake.api_key);
    let backend = Backend::start(fake).await?;
    let finished = run_with_input(&config(&backend)?, ndjson(&[span(1, 1, None, "agent_run")]))?
        .args(["--timeout", "1s"])
        .finish()
        .await?;
    finished.expect_code(3)?;
    assert_eq!(accounts(&finished)?.of("braintrust", "traces")?.queued, 1);
    assert!(backend.stored(ROW).is_empty());
    Ok(())
}
