//! Accepted means kept: whatever ends the process, what was answered with 200 is delivered after the next start.

use std::collections::BTreeSet;
use std::path::Path;

use e2e::{Config, accounts, run};
use kit::accounts::Account;
use kit::backend::langfuse::{Langfuse, SPAN};
use kit::backend::{Backend, Behaviour, Which};
use kit::fixtures::{bench_spans, ndjson};
use kit::host::{HostCommand, RunningHost, Signal};

const COUNT: usize = 300;

fn host(data: &Path, backend: &Backend) -> anyhow::Result<HostCommand> {
    let config = Config::new().langfuse("langfuse", &backend.url())?;
    Ok(run(&config)?
        .arg("--data-dir")
        .arg(data.as_os_str().to_owned()))
}

async fn send_all(host: &RunningHost) -> anyhow::Result<()> {
    for chunk in bench_spans(COUNT as u64, 1_300).chunks(50) {
        assert_eq!(host.send_events(ndjson(chunk)).await?.status, 200);
    }
    Ok(())
}

fn distinct_spans(backend: &Backend) -> usize {
    let stored = backend.stored(SPAN);
    let ids: BTreeSet<&str> = stored.iter().map(|span| span.id.as_str()).collect();
    ids.len()
}

#[tokio::test]
async fn a_killed_host_delivers_everything_after_the_next_start() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let down = Backend::start(Langfuse::default()).await?;
    down.on(Which::all(), Behaviour::status(500));
    let first = host(data.path(), &down)?.start().await?;
    send_all(&first).await?;
    first.signal(Signal::KILL)?;
    first.ended().await?;
    assert!(down.stored(SPAN).is_empty());

    let up = Backend::start(Langfuse::default()).await?;
    let second = host(data.path(), &up)?.start().await?;
    up.wait_for_stored(SPAN, COUNT).await?;
    let finished = second.terminate().await?;
    finished.expect_code(0)?;
    assert_eq!(distinct_spans(&up), COUNT);
    assert_eq!(
        accounts(&finished)?.of("langfuse", "traces")?,
        Account::delivered(COUNT as u64),
        "counted once, across both lives"
    );
    Ok(())
}

#[tokio::test]
async fn what_was_delivered_is_not_delivered_again_after_a_restart() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let backend = Backend::start(Langfuse::default()).await?;
    let first = host(data.path(), &backend)?.start().await?;
    send_all(&first).await?;
    backend.wait_for_stored(SPAN, COUNT).await?;
    first.terminate().await?.expect_code(0)?;

    let second = host(data.path(), &backend)?.start().await?;
    // The sender did not hear the answers and sends all of it again.
    send_all(&second).await?;
    let finished = second.terminate().await?;
    finished.expect_code(0)?;
    assert_eq!(backend.stored(SPAN).len(), COUNT, "repeats are dropped");
    assert_eq!(
        accounts(&finished)?.of("langfuse", "traces")?,
        Account::delivered(COUNT as u64)
    );
    Ok(())
}

#[tokio::test]
async fn a_second_host_on_the_same_directory_is_refused() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let backend = Backend::start(Langfuse::default()).await?;
    let first = host(data.path(), &backend)?.start().await?;
    let second = host(data.path(), &backend)?.finish().await?;
    second.expect_code(2)?;
    assert!(
        second.stderr.contains("in use by another process"),
        "{}",
        second.stderr
    );
    first.terminate().await?.expect_code(0)?;
    Ok(())
}

#[tokio::test]
async fn prompts_on_disk_are_for_the_owner_alone() -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let data = tempfile::tempdir()?;
    let backend = Backend::start(Langfuse::default()).await?;
    let host = host(data.path(), &backend)?.start().await?;
    send_all(&host).await?;
    let queue = data.path().join("queue");
    let mode = |path: &Path| -> anyhow::Result<u32> {
        Ok(std::fs::metadata(path)?.permissions().mode() & 0o777)
    };
    assert_eq!(mode(&queue)?, 0o700);
    let mut files = 0;
    for entry in std::fs::read_dir(&queue)? {
        let path = entry?.path();
        assert_eq!(mode(&path)?, 0o600, "{}", path.display());
        files += 1;
    }
    assert!(files > 0);
    host.terminate().await?.expect_code(0)?;
    Ok(())
}
