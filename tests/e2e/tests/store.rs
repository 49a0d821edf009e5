//! What the local store keeps, and `mastra-host show` prints of it.

#![allow(
    clippy::indexing_slicing,
    reason = "`Value[key]` answers null for what is not there"
)]

use std::path::Path;

use anyhow::Context as _;
use e2e::accounts;
use kit::fixtures::{bench_spans, ndjson};
use kit::host::{DEADLINE, Finished, HostCommand};
use kit::{components, paths};
use serde_json::Value;

fn host(data: &Path) -> anyhow::Result<HostCommand> {
    Ok(HostCommand::new("run")?
        .arg("--plugin")
        .arg(components::exporter("default")?)
        .arg("--data-dir")
        .arg(data))
}

async fn show(data: &Path, arguments: &[&str]) -> anyhow::Result<Finished> {
    let mut command = HostCommand::new("show")?;
    for argument in arguments {
        command = command.arg(*argument);
    }
    command.arg("--data-dir").arg(data).finish().await
}

async fn shown(data: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let finished = show(data, arguments).await?;
    finished.expect_code(0)?;
    Ok(finished.stdout)
}

async fn deliver_recorded(data: &Path) -> anyhow::Result<()> {
    let finished = host(data)?
        .args(["--output", "json"])
        .arg("--input")
        .arg(paths::corpus("events.ndjson"))
        .finish()
        .await?;
    finished.expect_code(0)?;
    accounts(&finished)?.of("default", "traces").map(drop)
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[tokio::test]
async fn recorded_events_are_kept_and_come_out_as_they_went_in() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let data = data.path();
    deliver_recorded(data).await?;
    // Events that come twice change nothing.
    deliver_recorded(data).await?;
    let recorded = std::fs::read_to_string(paths::corpus("events.ndjson"))?;
    for (command, kind) in [
        ("logs", "log"),
        ("metrics", "metric"),
        ("scores", "score"),
        ("feedback", "feedback"),
    ] {
        let out = shown(data, &[command, "--limit", "1000", "--output", "json"]).await?;
        let of_kind = format!("{{\"type\":\"{kind}\",");
        let expected: Vec<&str> = recorded
            .lines()
            .filter(|line| line.starts_with(&of_kind))
            .collect();
        assert_eq!(sorted(&out), sorted(&expected.join("\n")), "{command}");
        let table = shown(data, &[command]).await?;
        assert!(table.contains("time"), "{table}");
    }
    let traces: Value = serde_json::from_str(&shown(data, &["traces", "--output", "json"]).await?)?;
    let traces = traces["traces"].as_array().context("no list")?;
    let spans: u64 = traces
        .iter()
        .filter_map(|trace| trace["spans"].as_u64())
        .sum();
    assert_eq!((traces.len(), spans), (5, 28), "{traces:?}");
    assert!(traces.iter().all(|trace| trace["state"] != "running"));
    Ok(())
}

#[tokio::test]
async fn a_trace_is_found_by_how_its_id_begins_and_shown_as_a_tree() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let data = data.path();
    deliver_recorded(data).await?;
    let traces: Value = serde_json::from_str(&shown(data, &["traces", "--output", "json"]).await?)?;
    let trace = traces["traces"]
        .as_array()
        .and_then(|traces| traces.iter().max_by_key(|trace| trace["spans"].as_u64()))
        .context("no trace")?;
    let id = trace["trace_id"].as_str().context("no id")?;
    let tree = shown(data, &["trace", &id[..12]]).await?;
    assert!(tree.starts_with(&format!("trace {id}")), "{tree}");
    assert!(tree.contains("├─ ") && tree.contains("└─ "), "{tree}");
    let unknown = show(data, &["trace", "ffffffffffff"]).await?;
    unknown.expect_code(2)?;
    assert!(unknown.stderr.contains("show traces"), "{}", unknown.stderr);
    let ambiguous = show(data, &["trace", ""]).await?;
    ambiguous.expect_code(2)
}

async fn spans_shown(data: &Path) -> anyhow::Result<u64> {
    let listed = show(data, &["traces", "--output", "json"]).await?;
    let listed: Value = serde_json::from_str(&listed.stdout)?;
    let traces = listed["traces"].as_array().into_iter().flatten();
    Ok(traces.filter_map(|trace| trace["spans"].as_u64()).sum())
}

#[tokio::test]
async fn a_running_host_can_be_looked_into() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let empty = show(data.path(), &["traces"]).await?;
    empty.expect_code(2)?;
    assert!(
        empty.stderr.contains("nothing is stored"),
        "{}",
        empty.stderr
    );
    let host = host(data.path())?.start().await?;
    host.send_events(ndjson(&bench_spans(7, 1_300))).await?;
    // Each look is a process of its own: it paces the loop.
    tokio::time::timeout(DEADLINE, async {
        while spans_shown(data.path()).await? < 7 {}
        anyhow::Ok(())
    })
    .await
    .context("the spans did not appear")??;
    assert_eq!(spans_shown(data.path()).await?, 7);
    host.terminate().await?.expect_code(0)
}
