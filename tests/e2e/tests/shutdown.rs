//! Told to stop, the host delivers what it can, ends in time, and says what was left.

use std::time::{Duration, Instant};

use e2e::{Config, accounts, run};
use kit::accounts::Account;
use kit::backend::langfuse::{Langfuse, SPAN};
use kit::backend::{Backend, Behaviour, Gate, Which};
use kit::fixtures::{bench_spans, ndjson};

/// Five seconds of grace, and time for a busy machine.
const IN_TIME: Duration = Duration::from_secs(20);

#[tokio::test]
async fn what_was_accepted_is_delivered_before_the_end() -> anyhow::Result<()> {
    let backend = Backend::start(Langfuse::default()).await?;
    // Nothing is sent by age: only the stop empties the batch.
    let config = Config::new().langfuse("langfuse", &backend.url())?;
    let yaml = config.yaml().replace("timeout: 10ms", "timeout: 10m");
    let host = kit::host::HostCommand::new("run")?
        .config(&yaml)?
        .args(["--output", "json"])
        .start()
        .await?;
    assert_eq!(
        host.send_events(ndjson(&bench_spans(30, 1_300)))
            .await?
            .status,
        200
    );
    assert!(backend.stored(SPAN).is_empty());
    let finished = host.terminate().await?;
    finished.expect_code(0)?;
    assert_eq!(
        accounts(&finished)?.of("langfuse", "traces")?,
        Account::delivered(30)
    );
    backend.wait_for_stored(SPAN, 30).await?;
    assert_eq!(backend.stored(SPAN).len(), 30);
    Ok(())
}

#[tokio::test]
async fn a_backend_that_never_answers_does_not_keep_the_host_alive() -> anyhow::Result<()> {
    let backend = Backend::start(Langfuse::default()).await?;
    backend.on(Which::all(), Behaviour::Never);
    let host = run(&Config::new().langfuse("langfuse", &backend.url())?)?
        .start()
        .await?;
    host.send_events(ndjson(&bench_spans(30, 1_300))).await?;
    backend.wait_for_requests(1).await?;
    let told = Instant::now();
    let finished = host.terminate().await?;
    assert!(told.elapsed() < IN_TIME, "{:?}", told.elapsed());
    finished.expect_code(3)?;
    let account = accounts(&finished)?.of("langfuse", "traces")?;
    assert_eq!(
        (account.received, account.delivered),
        (30, 0),
        "{account:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_second_signal_ends_the_host_at_once() -> anyhow::Result<()> {
    let backend = Backend::start(Langfuse::default()).await?;
    backend.on(Which::all(), Behaviour::Never);
    let host = run(&Config::new().langfuse("langfuse", &backend.url())?)?
        .start()
        .await?;
    host.send_events(ndjson(&bench_spans(30, 1_300))).await?;
    backend.wait_for_requests(1).await?;
    host.signal(kit::host::Signal::TERM)?;
    // A host that is told to stop takes no more: then the first signal has been heard.
    while host.send_events(ndjson(&bench_spans(1, 100))).await.is_ok() {}
    host.signal(kit::host::Signal::TERM)?;
    let finished = host.ended().await?;
    finished.expect_code(3)?;
    assert!(
        finished.stderr.contains("the host was stopped at once"),
        "{}",
        finished.stderr
    );
    Ok(())
}

#[tokio::test]
async fn a_request_in_flight_is_finished_and_counted() -> anyhow::Result<()> {
    let backend = Backend::start(Langfuse::default()).await?;
    let gate = Gate::new();
    backend.on(Which::all(), Behaviour::Slow(gate.clone()));
    let host = run(&Config::new().langfuse("langfuse", &backend.url())?)?
        .start()
        .await?;
    host.send_events(ndjson(&bench_spans(5, 1_300))).await?;
    backend.wait_for_requests(1).await?;
    host.signal(kit::host::Signal::TERM)?;
    gate.open();
    let finished = host.ended().await?;
    finished.expect_code(0)?;
    assert_eq!(
        accounts(&finished)?.of("langfuse", "traces")?,
        Account::delivered(5)
    );
    Ok(())
}

#[tokio::test]
async fn an_idle_host_ends_at_once() -> anyhow::Result<()> {
    let backend = Backend::start(Langfuse::default()).await?;
    let host = run(&Config::new().langfuse("langfuse", &backend.url())?)?
        .start()
        .await?;
    let finished = host.terminate().await?;
    finished.expect_code(0)?;
    assert!(backend.requests().is_empty());
    Ok(())
}
