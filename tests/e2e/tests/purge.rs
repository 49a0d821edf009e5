//! `mastra-host purge` takes a user, a session or a trace out of what the host keeps, and says what it cannot reach.

#![allow(
    clippy::indexing_slicing,
    reason = "`Value[key]` answers null for what is not there"
)]

use std::path::Path;

use e2e::{Config, run};
use kit::backend::{Backend, Behaviour, RecordEverything, Which};
use kit::components;
use kit::host::{DEADLINE, HostCommand, RunningHost};
use serde_json::{Value, json};

/// In every event that is to go.
const PROMPT: &str = "my-secret-prompt";

fn span(trace: &str, id: &str, more: Value) -> String {
    let mut span = json!({
        "id": id, "traceId": trace, "name": "s", "type": "generic", "isRootSpan": id == "1",
        "startTime": "2026-01-01T00:00:00Z", "endTime": "2026-01-01T00:00:01Z",
    });
    if let (Some(span), Value::Object(more)) = (span.as_object_mut(), more) {
        span.extend(more);
    }
    format!("{}\n", json!({"type": "span_ended", "exportedSpan": span}))
}

fn events() -> String {
    let log = json!({"type": "log", "log": {
        "logId": "1", "timestamp": "2026-01-01T00:00:00Z", "level": "info", "message": PROMPT, "traceId": "aa",
    }});
    [
        span(
            "aa",
            "1",
            json!({"metadata": {"userId": "u-1", "sessionId": "s-1"}}),
        ),
        // The user stands at the root alone.
        span("aa", "2", json!({"input": PROMPT})),
        format!("{log}\n"),
        span(
            "bb",
            "1",
            json!({"metadata": {"userId": "u-2", "sessionId": "s-2"}}),
        ),
        span(
            "cc",
            "1",
            json!({"metadata": {"userId": "u-12", "sessionId": "s-2"}}),
        ),
        // Refused, and kept as a receiver's dead letter.
        format!(
            "{}\n",
            json!({"type": "log", "log": {"logId": 7, "message": PROMPT, "userId": "u-1"}})
        ),
    ]
    .concat()
}

async fn command(arguments: &[&str], data: &Path) -> anyhow::Result<Value> {
    let mut command = HostCommand::new(arguments[0])?;
    for argument in &arguments[1..] {
        command = command.arg(*argument);
    }
    let finished = command
        .args(["--output", "json"])
        .arg("--data-dir")
        .arg(data)
        .finish()
        .await?;
    finished.expect_code(0)?;
    Ok(serde_json::from_str(&finished.stdout)?)
}

async fn traces(data: &Path) -> anyhow::Result<Vec<String>> {
    let listed = command(&["show", "traces"], data).await?;
    let traces = listed["traces"].as_array().cloned().unwrap_or_default();
    let ids = traces.iter().filter_map(|trace| trace["trace_id"].as_str());
    let mut ids: Vec<String> = ids.map(str::to_owned).collect();
    ids.sort();
    Ok(ids)
}

/// Waits until the queue of the running host is empty.
async fn delivered(data: &Path) -> anyhow::Result<()> {
    let asked = tokio::time::timeout(DEADLINE, async {
        loop {
            let listed = command(&["queue", "ls"], data).await?;
            let cursors = listed["cursors"].as_array().cloned().unwrap_or_default();
            if cursors.iter().all(|cursor| cursor["queued"] == 0) {
                return anyhow::Ok(());
            }
        }
    });
    asked.await?
}

async fn host(data: &Path) -> anyhow::Result<RunningHost> {
    HostCommand::new("run")?
        .plugin("default")?
        .arg("--data-dir")
        .arg(data)
        .start()
        .await
}

#[tokio::test]
async fn a_user_goes_with_all_events_of_their_traces_while_the_host_runs() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let data = data.path();
    let host = host(data).await?;
    host.send_events(events()).await?;
    delivered(data).await?;
    assert_eq!(traces(data).await?, ["aa", "bb", "cc"]);
    let purged = command(&["purge", "--user", "u-1"], data).await?;
    let expected = json!({"store_rows": 3, "dead_letters": 1, "queued": 0});
    assert_eq!(purged, expected);
    assert_eq!(traces(data).await?, ["bb", "cc"]);
    let letters = command(&["dlq", "ls"], data).await?;
    assert_eq!(letters["dead_letters"], json!([]));
    // What the file held is written over.
    for name in ["store.sqlite3", "store.sqlite3-wal"] {
        let file = std::fs::read(data.join(name)).unwrap_or_default();
        let holds = file
            .windows(PROMPT.len())
            .any(|part| part == PROMPT.as_bytes());
        assert!(!holds, "{name}");
    }
    host.send_events(events()).await?;
    host.terminate().await?.expect_code(0)
}

#[tokio::test]
async fn a_session_and_a_trace_go_when_no_host_runs() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let data = data.path();
    let running = host(data).await?;
    running.send_events(events()).await?;
    delivered(data).await?;
    running.terminate().await?.expect_code(0)?;
    let purged = command(&["purge", "--session", "s-2"], data).await?;
    assert_eq!(purged["store_rows"], 2);
    assert_eq!(traces(data).await?, ["aa"]);
    let purged = command(&["purge", "--trace", "AA"], data).await?;
    assert_eq!(purged["store_rows"], 3);
    assert_eq!(purged["dead_letters"], 0, "the refused log names no trace");
    assert_eq!(traces(data).await?, Vec::<String>::new());
    let again = command(&["purge", "--trace", "AA"], data).await?;
    assert_eq!(again["store_rows"], 0);
    Ok(())
}

#[tokio::test]
async fn what_still_waits_is_counted_and_said() -> anyhow::Result<()> {
    let down = Backend::start(RecordEverything).await?;
    down.on(Which::all(), Behaviour::status(503));
    let config = Config::new().langfuse("langfuse", &down.url())?.exporter(
        "default",
        &components::exporter("default")?,
        "",
    );
    let command = run(&config)?;
    let data = command.dir().join("mastra-host-data");
    let host = command.start().await?;
    host.send_events(span("aa", "1", json!({"metadata": {"userId": "u-1"}})))
        .await?;
    let finished = HostCommand::new("purge")?
        .args(["--user", "u-1"])
        .arg("--data-dir")
        .arg(&data)
        .finish()
        .await?;
    finished.expect_code(0)?;
    assert!(
        finished.stdout.contains("wait in the queue") && finished.stdout.contains("Backends"),
        "{}",
        finished.stdout
    );
    drop(host);
    Ok(())
}

#[tokio::test]
async fn a_directory_without_anything_is_named() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let finished = HostCommand::new("purge")?
        .args(["--user", "u-1"])
        .arg("--data-dir")
        .arg(data.path())
        .finish()
        .await?;
    finished.expect_code(2)?;
    assert!(
        finished.stderr.contains("--data-dir"),
        "{}",
        finished.stderr
    );
    Ok(())
}
