//! Recorded agent events reach Laminar: spans as OTLP protobuf, scores and feedback as metadata of their traces, and every
//! one is counted once.

#![allow(
    clippy::indexing_slicing,
    reason = "`Value[key]` answers null for what is not there"
)]

use e2e::{Config, accounts, recorded_events, run_with_input, vendors};
use kit::accounts::Account;
use kit::backend::laminar::{ANNOTATION, Laminar, METADATA, SPAN};
use kit::backend::{Answer, Backend, Behaviour, Which};
use kit::host::HostCommand;

fn config(backend: &Backend) -> anyhow::Result<Config> {
    vendors::config("laminar", backend)
}

#[tokio::test]
async fn all_three_signals_arrive_and_are_counted_exactly() -> anyhow::Result<()> {
    let backend = Backend::start(Laminar::default()).await?;
    let finished = run_with_input(&config(&backend)?, recorded_events()?)?
        .finish()
        .await?;
    finished.expect_code(0)?;
    let accounts = accounts(&finished)?;
    assert_eq!(
        accounts.signals("laminar"),
        ["feedback", "scores", "traces"],
        "Laminar shows no logs and metrics"
    );
    let spans = Account {
        received: 56,
        delivered: 28,
        filtered: 28,
        ..Account::default()
    };
    assert_eq!(accounts.of("laminar", "traces")?, spans);
    assert_eq!(accounts.of("laminar", "scores")?, Account::delivered(4));
    assert_eq!(accounts.of("laminar", "feedback")?, Account::delivered(3));
    assert_eq!(backend.stored(SPAN).len(), 28);
    assert_eq!(backend.stored(ANNOTATION).len(), 7);
    Ok(())
}

#[tokio::test]
async fn a_score_that_comes_before_its_trace_is_sent_again() -> anyhow::Result<()> {
    let backend = Backend::start(Laminar::default()).await?;
    let unknown = Behaviour::Answer(Answer::status(404));
    backend.on(Which::path(METADATA).first(2), unknown);
    let config = config(&backend)?.with("signals: [scores]");
    let finished = run_with_input(&config, recorded_events()?)?
        .finish()
        .await?;
    finished.expect_code(0)?;
    let accounts = accounts(&finished)?;
    assert_eq!(accounts.of("laminar", "scores")?, Account::delivered(4));
    assert_eq!(backend.requests_to(METADATA).len(), 6);
    Ok(())
}

#[tokio::test]
async fn bad_data_is_a_dead_letter_and_not_sent_again() -> anyhow::Result<()> {
    let backend = Backend::start(Laminar::default()).await?;
    backend.on(Which::all(), Behaviour::Answer(Answer::status(500)));
    let config = config(&backend)?.with("signals: [traces]");
    let finished = run_with_input(&config, recorded_events()?)?
        .finish()
        .await?;
    finished.expect_code(3)?;
    let spans = accounts(&finished)?.of("laminar", "traces")?;
    assert_eq!((spans.delivered, spans.dead_lettered), (0, 28));
    Ok(())
}

#[tokio::test]
async fn settings_come_from_the_official_variables() -> anyhow::Result<()> {
    let backend = Backend::start(Laminar::default()).await?;
    let finished = HostCommand::new("run")?
        .plugin("laminar")?
        .args(["--output", "json", "--input", "-"])
        .env("LMNR_PROJECT_API_KEY", "lmnr-key")
        .env("LMNR_BASE_URL", &backend.url())
        .stdin(recorded_events()?)
        .finish()
        .await?;
    finished.expect_code(0)?;
    assert_eq!(backend.stored(SPAN).len(), 28);
    Ok(())
}
