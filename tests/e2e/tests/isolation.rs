//! One backend's trouble stays its own.

use e2e::{Config, accounts, run, run_with_input};
use kit::accounts::Account;
use kit::backend::langfuse::{Langfuse, SPAN};
use kit::backend::{Backend, Behaviour, Which};
use kit::fixtures::{bench_spans, ndjson, span};

const COUNT: usize = 500;

#[tokio::test]
async fn a_backend_that_never_answers_does_not_slow_another() -> anyhow::Result<()> {
    let (sick, well) = (
        Backend::start(Langfuse::default()).await?,
        Backend::start(Langfuse::default()).await?,
    );
    sick.on(Which::all(), Behaviour::Never);
    let config = Config::new()
        .langfuse("langfuse/sick", &sick.url())?
        .langfuse("langfuse/well", &well.url())?;
    let host = run(&config)?.start().await?;
    for chunk in bench_spans(COUNT as u64, 1_300).chunks(50) {
        assert_eq!(host.send_events(ndjson(chunk)).await?.status, 200);
    }
    sick.wait_for_requests(1).await?;
    well.wait_for_stored(SPAN, COUNT).await?;
    assert!(sick.stored(SPAN).is_empty());
    assert_eq!(well.stored(SPAN).len(), COUNT);
    Ok(())
}

#[tokio::test]
async fn a_backend_that_fails_keeps_only_its_own_events_waiting() -> anyhow::Result<()> {
    let (sick, well) = (
        Backend::start(Langfuse::default()).await?,
        Backend::start(Langfuse::default()).await?,
    );
    sick.on(Which::all(), Behaviour::status(500));
    let config = Config::new()
        .langfuse("langfuse/sick", &sick.url())?
        .langfuse("langfuse/well", &well.url())?;
    let events = ndjson(&bench_spans(20, 1_300));
    let finished = run_with_input(&config, events)?
        .args(["--timeout", "2s"])
        .finish()
        .await?;
    finished.expect_code(3)?;
    let accounts = accounts(&finished)?;
    assert_eq!(
        accounts.of("langfuse/well", "traces")?,
        Account::delivered(20)
    );
    let sick = accounts.of("langfuse/sick", "traces")?;
    assert_eq!((sick.received, sick.delivered), (20, 0));
    Ok(())
}

#[tokio::test]
async fn a_backend_that_comes_back_gets_everything_that_waited() -> anyhow::Result<()> {
    let down = Backend::start(Langfuse::default()).await?;
    let well = Backend::start(Langfuse::default()).await?;
    let (url, port) = (down.url(), down.address().port());
    down.stop().await;
    let config = Config::new()
        .langfuse("langfuse/down", &url)?
        .langfuse("langfuse/well", &well.url())?;
    let host = run(&config)?.start().await?;
    host.send_events(ndjson(&bench_spans(50, 1_300))).await?;
    well.wait_for_stored(SPAN, 50).await?;
    let back = Backend::start_at(Langfuse::default(), port).await?;
    back.wait_for_stored(SPAN, 50).await?;
    back.wait_for_stored(SPAN, 50).await?;
    assert_eq!(back.stored(SPAN).len(), 50, "nothing twice");
    Ok(())
}

#[tokio::test]
async fn wrong_keys_of_one_exporter_do_not_stop_another() -> anyhow::Result<()> {
    let other_keys = Langfuse {
        secret_key: "sk-lf-other".to_owned(),
        ..Langfuse::default()
    };
    let (closed, open) = (
        Backend::start(other_keys).await?,
        Backend::start(Langfuse::default()).await?,
    );
    let config = Config::new()
        .langfuse("langfuse/closed", &closed.url())?
        .langfuse("langfuse/open", &open.url())?;
    let events = ndjson(&[span(1, 1, None, "agent_run")]);
    let finished = run_with_input(&config, events)?
        .args(["--timeout", "2s"])
        .finish()
        .await?;
    finished.expect_code(3)?;
    let accounts = accounts(&finished)?;
    assert_eq!(
        accounts.of("langfuse/open", "traces")?,
        Account::delivered(1)
    );
    let closed_account = accounts.of("langfuse/closed", "traces")?;
    assert_eq!(
        (closed_account.delivered, closed_account.queued),
        (0, 1),
        "kept for when the keys are right"
    );
    Ok(())
}
