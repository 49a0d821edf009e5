//! Where others lose events, stop, or say that all is well: each failure once, and that it does not happen here.

use std::path::{Path, PathBuf};

use e2e::{Config, accounts, ready_page, run};
use kit::accounts::Account;
use kit::backend::langfuse::{Langfuse, SPAN};
use kit::backend::{Backend, Behaviour, Which};
use kit::fixtures::{bench_spans, ndjson, span, with};
use kit::host::{HostCommand, RunningHost};
use kit::paths;
use serde_json::{Map, Value};

async fn backend() -> anyhow::Result<Backend> {
    Backend::start(Langfuse::default()).await
}

fn with_data(config: &Config, data: &Path) -> anyhow::Result<HostCommand> {
    Ok(run(config)?.arg("--data-dir").arg(data))
}

/// Starts with the first text of the configuration replaced by the second.
async fn start_with(
    config: &Config,
    (from, to): (&str, &str),
    data: &Path,
) -> anyhow::Result<RunningHost> {
    let yaml = config.yaml().replacen(from, to, 1);
    let command = HostCommand::new("run")?.config(&yaml)?;
    let command = command.args(["--output", "json", "--data-dir"]).arg(data);
    command.start().await
}

async fn ends_with_all_delivered(host: RunningHost, count: u64) -> anyhow::Result<()> {
    let finished = host.terminate().await?;
    finished.expect_code(0)?;
    let account = accounts(&finished)?.of("langfuse", "traces")?;
    assert_eq!(account, Account::delivered(count));
    Ok(())
}

/// Sends all, fifty a request, and returns how many were accepted.
async fn send(host: &RunningHost, spans: &[Value]) -> anyhow::Result<u64> {
    let mut accepted = 0;
    for chunk in spans.chunks(50) {
        let reply = host.send_events(ndjson(chunk)).await?;
        assert!(matches!(reply.status, 200 | 503), "{}", reply.status);
        if reply.status == 200 {
            accepted += chunk.len() as u64;
        }
    }
    Ok(accepted)
}

#[tokio::test]
async fn a_shutdown_while_the_backend_is_down_loses_nothing() -> anyhow::Result<()> {
    let (data, backend) = (tempfile::tempdir()?, backend().await?);
    backend.on(Which::all(), Behaviour::status(503));
    let config = Config::new().langfuse("langfuse", &backend.url())?;
    let first = with_data(&config, data.path())?.start().await?;
    assert_eq!(send(&first, &bench_spans(50, 1_300)).await?, 50);
    let finished = first.terminate().await?;
    finished.expect_code(3)?;
    assert_eq!(accounts(&finished)?.of("langfuse", "traces")?.queued, 50);
    backend.heal();
    let second = with_data(&config, data.path())?.start().await?;
    backend.wait_for_stored(SPAN, 50).await?;
    ends_with_all_delivered(second, 50).await
}

#[tokio::test]
async fn an_outage_longer_than_the_retry_window_loses_nothing() -> anyhow::Result<()> {
    let (data, backend) = (tempfile::tempdir()?, backend().await?);
    backend.on(Which::all(), Behaviour::status(503));
    let config = Config::new().langfuse("langfuse", &backend.url())?;
    let host = start_with(
        &config,
        (
            "retry_on_failure: {",
            "retry_on_failure: {max_elapsed_time: 200ms, ",
        ),
        data.path(),
    )
    .await?;
    assert_eq!(send(&host, &bench_spans(10, 1_300)).await?, 10);
    host.wait_for_log("Events became dead letters").await?;
    backend.heal();
    let mut replayed = 0;
    while replayed < 10 {
        let replay = HostCommand::new("dlq")?
            .args(["replay", "--all", "--output", "json", "--data-dir"])
            .arg(data.path())
            .finish()
            .await?;
        replay.expect_code(0)?;
        let said: Value = serde_json::from_str(&replay.stdout)?;
        replayed += said
            .get("replayed")
            .and_then(Value::as_u64)
            .unwrap_or_default();
    }
    backend.wait_for_stored(SPAN, 10).await?;
    ends_with_all_delivered(host, 10).await
}

#[tokio::test]
async fn one_item_larger_than_the_batch_limit_goes_alone() -> anyhow::Result<()> {
    let (data, backend) = (tempfile::tempdir()?, backend().await?);
    let config = Config::new().langfuse("langfuse", &backend.url())?;
    let host = start_with(
        &config,
        ("batch: {", "batch: {max_bytes: 16KiB, "),
        data.path(),
    )
    .await?;
    let mut spans = bench_spans(20, 1_300);
    let large = span(99, 99, None, "agent_run");
    spans.insert(10, with(large, "input", "x".repeat(200_000).into()));
    assert_eq!(send(&host, &spans).await?, 21);
    backend.wait_for_stored(SPAN, 21).await?;
    ends_with_all_delivered(host, 21).await
}

#[tokio::test]
async fn a_dead_backend_takes_nothing_from_a_healthy_one_while_its_backlog_is_dropped_three_times()
-> anyhow::Result<()> {
    const LAG_BYTES: u64 = 100_000;
    const SPANS: u64 = 400;
    let (data, dead, healthy) = (tempfile::tempdir()?, backend().await?, backend().await?);
    dead.on(Which::all(), Behaviour::Never);
    let config = Config::new()
        .langfuse("langfuse/dead", &dead.url())?
        .with(&format!(
            "sending_queue: {{on_full: drop_oldest, max_lag_bytes: {LAG_BYTES}B}}"
        ))
        .langfuse("langfuse/healthy", &healthy.url())?;
    let host = with_data(&config, data.path())?.start().await?;
    let accepted = send(&host, &bench_spans(SPANS, 1_300)).await?;
    assert_eq!(accepted, SPANS, "nobody is refused for the dead one");
    healthy
        .wait_for_stored(SPAN, usize::try_from(SPANS)?)
        .await?;
    let finished = host.terminate().await?;
    finished.expect_code(3)?;
    let accounts = accounts(&finished)?;
    assert_eq!(
        accounts.of("langfuse/healthy", "traces")?,
        Account::delivered(SPANS)
    );
    let dead = accounts.of("langfuse/dead", "traces")?;
    assert_eq!((dead.received, dead.delivered), (SPANS, 0));
    assert!(dead.dropped * 1_300 >= 3 * LAG_BYTES, "{dead:?}");
    Ok(())
}

#[tokio::test]
async fn health_does_not_say_fine_while_every_pipeline_stands_still() -> anyhow::Result<()> {
    let (data, one, other) = (tempfile::tempdir()?, backend().await?, backend().await?);
    let config = Config::new()
        .langfuse("langfuse/one", &one.url())?
        .langfuse("langfuse/other", &other.url())?;
    let host = with_data(&config, data.path())?.start().await?;
    one.on(Which::all(), Behaviour::Never);
    other.on(Which::all(), Behaviour::Never);
    send(&host, &bench_spans(5, 1_300)).await?;
    let reasons = |page: &Value| page.get("reasons").and_then(Value::as_object).map(Map::len);
    let (status, said) = ready_page(&host, |_, page| reasons(page) == Some(2)).await?;
    assert_eq!(status, 503, "{said}");
    Ok(())
}

#[tokio::test]
async fn what_is_not_accepted_is_told_so_and_what_is_accepted_is_kept() -> anyhow::Result<()> {
    let (data, backend) = (tempfile::tempdir()?, backend().await?);
    backend.on(Which::all(), Behaviour::status(503));
    let small = "sending_queue: {storage: memory, max_memory: 512KiB}";
    let config = Config::new()
        .section(small)
        .section("receivers: {http: {max_request_body_size: 128KiB}}")
        .langfuse("langfuse", &backend.url())?;
    let host = start_with(
        &config,
        ("batch: {", "batch: {max_bytes: 64KiB, "),
        data.path(),
    )
    .await?;
    let accepted = send(&host, &bench_spans(1_000, 1_300)).await?;
    assert!(
        (1..1_000).contains(&accepted),
        "{accepted} of what does not fit"
    );
    backend.heal();
    backend
        .wait_for_stored(SPAN, usize::try_from(accepted)?)
        .await?;
    ends_with_all_delivered(host, accepted).await
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_written_is_told_at_the_start() -> anyhow::Result<()> {
    let (dir, backend) = (tempfile::tempdir()?, backend().await?);
    let config = Config::new().langfuse("langfuse", &backend.url())?;
    // Where nothing can be made, whoever asks.
    let file = dir.path().join("file");
    std::fs::write(&file, "")?;
    let data = file.join("data");
    let ended = with_data(&config, &data)?.finish().await?;
    ended.expect_code(2)?;
    let path = data.display().to_string();
    assert!(
        ended.stderr.contains(&path) && ended.stderr.contains("cannot be used"),
        "{}",
        ended.stderr
    );
    Ok(())
}

/// A queue as the version 0.1.0 left it: 7 spans and a log record wait for `langfuse`, 3 spans are its dead letters. Never
/// to be made anew: that it is read for ever is the promise. A new format gets a new sample beside it.
fn frozen() -> PathBuf {
    paths::corpus("data-directory-0.1.0")
}

#[tokio::test]
async fn a_data_directory_of_an_old_version_is_read() -> anyhow::Result<()> {
    let (data, backend) = (tempfile::tempdir()?, backend().await?);
    let queue = data.path().join("queue");
    std::fs::create_dir(&queue)?;
    for entry in std::fs::read_dir(frozen())? {
        let entry = entry?;
        std::fs::copy(entry.path(), queue.join(entry.file_name()))?;
    }
    // Before a host runs, which lets go of letters that are a week old.
    let listed = HostCommand::new("dlq")?
        .args(["ls", "--output", "json", "--data-dir"])
        .arg(data.path())
        .finish()
        .await?;
    let listed: Value = serde_json::from_str(&listed.stdout)?;
    let letters = listed.get("dead_letters").and_then(Value::as_array);
    assert_eq!(letters.map(Vec::len), Some(3), "{listed}");

    let config = Config::new().langfuse("langfuse", &backend.url())?;
    let host = with_data(&config, data.path())?.start().await?;
    backend.wait_for_stored(SPAN, 8).await?;
    let finished = host.terminate().await?;
    finished.expect_code(0)?;
    let accounts = accounts(&finished)?;
    let spans = accounts.of("langfuse", "traces")?;
    assert_eq!((spans.received, spans.delivered), (10, 7));
    assert_eq!(spans.dead_lettered + spans.dropped, 3);
    assert_eq!(accounts.of("langfuse", "logs")?, Account::delivered(1));
    Ok(())
}
