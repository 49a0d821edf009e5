//! `make demo`: recorded events of a real agent go through `langfuse.wasm`, `json.wasm` and `default.wasm`; a Langfuse on
//! this machine, as strict as the real one, counts what arrived, and `mastra-host show` prints what the host itself keeps.
//! Needs the host and the components built, and no network.

use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use kit::backend::Backend;
use kit::backend::langfuse::Langfuse;
use kit::host::HostCommand;
use kit::{components, paths};
use serde_json::Value;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let backend = Backend::start(Langfuse::default()).await?;
    let dir = tempfile::tempdir().context("no temporary directory")?;
    let lines = dir.path().join("events.ndjson");
    let data = dir.path().join("data");
    let events = paths::corpus("events.ndjson");
    let config = config(&backend, &lines, &data)?;
    say(&format!(
        "A recording Langfuse listens on {}. Three exporters, configured so:\n\n{config}\n\
         $ mastra-host run --config config.yaml --input tests/corpus/events.ndjson\n\n",
        backend.url()
    ))?;
    let finished = HostCommand::new("run")?
        .config(&config)?
        .arg("--input")
        .arg(events)
        .finish()
        .await?;
    say(&finished.stdout)?;
    if finished.code()? != 0 {
        say(&finished.stderr)?;
    }
    let written = std::fs::read_to_string(&lines)
        .unwrap_or_default()
        .lines()
        .count();
    say(&format!(
        "\njson.wasm wrote {written} lines.\n\nWhat Langfuse received:\n{}\n",
        backend.summary()
    ))?;
    let listed = show(&data, &["traces"]).await?;
    let traces = show(&data, &["traces", "--output", "json"]).await?;
    let traces: Value = serde_json::from_str(&traces)?;
    let largest = traces
        .pointer("/traces")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .max_by_key(|trace| trace.get("spans").and_then(Value::as_u64))
        .and_then(|trace| trace.get("trace_id")?.as_str())
        .context("no trace was stored")?;
    say(&format!(
        "What the host itself keeps, by default.wasm:\n\n$ mastra-host show traces\n{listed}\n$ mastra-host show trace {largest}\n{}",
        show(&data, &["trace", largest]).await?
    ))?;
    finished.expect_code(0)
}

/// What a command of `show` prints.
async fn show(data: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let mut command = HostCommand::new("show")?;
    for argument in arguments {
        command = command.arg(*argument);
    }
    let finished = command.arg("--data-dir").arg(data).finish().await?;
    finished.expect_code(0)?;
    Ok(finished.stdout)
}

fn config(backend: &Backend, lines: &Path, data: &Path) -> anyhow::Result<String> {
    let fake = Langfuse::default();
    let (langfuse, json, default) = (
        components::exporter("langfuse")?,
        components::exporter("json")?,
        components::exporter("default")?,
    );
    Ok(format!(
        "storage: {{ directory: {} }}\nexporters:\n  langfuse:\n    component: {}\n    settings:\n      base_url: {}\n      public_key: {}\n      \
         secret_key: {}\n  json:\n    component: {}\n    settings:\n      output: file:{}\n  default:\n    component: {}\n",
        data.display(),
        langfuse.display(),
        backend.url(),
        fake.public_key,
        fake.secret_key,
        json.display(),
        lines.display(),
        default.display()
    ))
}

fn say(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .context("cannot print")
}
