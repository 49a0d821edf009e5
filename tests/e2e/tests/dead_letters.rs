//! What was given up is kept, can be looked at, and can be sent again.

#![allow(
    clippy::indexing_slicing,
    reason = "`Value[key]` answers null for what is not there"
)]

use std::path::Path;

use e2e::{Config, accounts, run};
use kit::backend::langfuse::{Langfuse, SPAN};
use kit::backend::{Backend, Behaviour, Which};
use kit::fixtures::{bench_spans, ndjson};
use kit::host::{Finished, HostCommand};
use serde_json::Value;

fn host(data: &Path, backend: &Backend) -> anyhow::Result<HostCommand> {
    let config = Config::new()
        .langfuse("langfuse", &backend.url())?
        .never_repeating();
    Ok(run(&config)?
        .arg("--data-dir")
        .arg(data.as_os_str().to_owned()))
}

async fn dlq(data: &Path, command: &str, arguments: &[&str]) -> anyhow::Result<Finished> {
    let mut asked = HostCommand::new("dlq")?.arg(command);
    for argument in arguments {
        asked = asked.arg(*argument);
    }
    asked
        .arg("--data-dir")
        .arg(data.as_os_str().to_owned())
        .args(["--output", "json"])
        .finish()
        .await
}

async fn letters(data: &Path, arguments: &[&str]) -> anyhow::Result<Vec<Value>> {
    let listed: Value = serde_json::from_str(&dlq(data, "ls", arguments).await?.stdout)?;
    let letters = listed["dead_letters"].as_array();
    Ok(letters.cloned().unwrap_or_default())
}

#[tokio::test]
async fn what_was_given_up_is_listed_shown_and_delivered_after_a_replay() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let backend = Backend::start(Langfuse::default()).await?;
    // The outcome is unknown, and the operator wants nothing twice.
    backend.on(Which::all().first(1), Behaviour::ResetBeforeAnswer);
    let first = host(data.path(), &backend)?.start().await?;
    first.send_events(ndjson(&bench_spans(3, 1_300))).await?;
    first.send_events("{\"type\":\"log\",\"log\":7}\n").await?;
    backend.wait_for_requests(1).await?;
    first.terminate().await?.expect_code(0)?;

    let given_up = letters(data.path(), &["--exporter", "langfuse"]).await?;
    assert_eq!(given_up.len(), 3, "{given_up:?}");
    let id = given_up[0]["id"].to_string();
    let shown: Value = serde_json::from_str(&dlq(data.path(), "show", &[&id]).await?.stdout)?;
    assert_eq!(shown["event"]["type"], "span_ended", "{shown}");
    let refused = letters(data.path(), &["--receiver", "events"]).await?;
    assert_eq!(refused.len(), 1, "{refused:?}");
    let unfiltered = dlq(data.path(), "replay", &[]).await?;
    unfiltered.expect_code(2)?;

    dlq(data.path(), "replay", &["--exporter", "langfuse"])
        .await?
        .expect_code(0)?;
    let second = host(data.path(), &backend)?.start().await?;
    backend.wait_for_stored(SPAN, 3).await?;
    let finished = second.terminate().await?;
    finished.expect_code(0)?;
    let account = accounts(&finished)?.of("langfuse", "traces")?;
    assert_eq!((account.delivered, account.dead_lettered), (3, 0));
    assert!(
        letters(data.path(), &["--exporter", "langfuse"])
            .await?
            .is_empty()
    );
    dlq(data.path(), "purge", &["--all"])
        .await?
        .expect_code(0)?;
    assert!(letters(data.path(), &[]).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn letters_and_places_are_seen_and_changed_while_the_host_runs() -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let data = tempfile::tempdir()?;
    let backend = Backend::start(Langfuse::default()).await?;
    backend.on(Which::all().first(1), Behaviour::ResetBeforeAnswer);
    let host = host(data.path(), &backend)?.start().await?;
    let socket = std::fs::metadata(data.path().join("control/host.sock"))?;
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
    host.send_events(ndjson(&bench_spans(3, 1_300))).await?;
    let mut given_up = Vec::new();
    while given_up.len() < 3 {
        given_up = letters(data.path(), &["--exporter", "langfuse"]).await?;
    }
    let id = given_up[0]["id"].to_string();
    let shown: Value = serde_json::from_str(&dlq(data.path(), "show", &[&id]).await?.stdout)?;
    assert_eq!(shown["event"]["type"], "span_ended", "{shown}");
    assert_eq!(
        dlq(data.path(), "export", &[])
            .await?
            .stdout
            .lines()
            .count(),
        3
    );
    dlq(data.path(), "show", &["4711"]).await?.expect_code(2)?;

    dlq(data.path(), "purge", &[&id]).await?.expect_code(0)?;
    dlq(data.path(), "replay", &["--all"])
        .await?
        .expect_code(0)?;
    backend.wait_for_stored(SPAN, 2).await?;
    assert!(letters(data.path(), &[]).await?.is_empty());

    let forget = HostCommand::new("queue")?.args(["forget", "langfuse", "--data-dir"]);
    let refused = forget
        .arg(data.path().as_os_str().to_owned())
        .finish()
        .await?;
    refused.expect_code(2)?;
    assert!(
        refused.stderr.contains("exporter langfuse runs"),
        "{}",
        refused.stderr
    );
    let finished = host.terminate().await?;
    finished.expect_code(0)?;
    let account = accounts(&finished)?.of("langfuse", "traces")?;
    assert_eq!((account.delivered, account.dropped), (2, 1), "{account:?}");
    assert!(!data.path().join("control/host.sock").exists());
    Ok(())
}
