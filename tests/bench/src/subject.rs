//! Starts the host under test as an operator would, learns its address from its first line, and waits until it is ready.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinSet;

use crate::process;

/// A cold start compiles the component.
const START_LIMIT: Duration = Duration::from_secs(120);

/// Between two looks at `/readyz`.
const READY_POLL: Duration = Duration::from_millis(1);

/// Idle memory counts once it has not changed for this many looks.
const QUIET_LOOKS: u32 = 10;
const QUIET_PAUSE: Duration = Duration::from_millis(100);

/// What the host is started with.
#[derive(Clone, Debug)]
pub(crate) enum Exporters<'a> {
    /// `--plugin FILE`
    Plugin(&'a Path),
    /// `--config FILE`
    Config(&'a Path),
}

/// A running host; dropping it kills it.
pub(crate) struct Subject {
    child: Child,
    /// Of its listener.
    pub(crate) address: SocketAddr,
    /// From the start of the process to the first 200 of `/readyz`.
    pub(crate) ready_after: Duration,
    _stdout: JoinSet<()>,
}

impl Subject {
    /// Starts the host with its cache and data below `home` and its exporters aimed at `sink_url`.
    ///
    /// # Errors
    /// The host does not start, or is not ready in two minutes; the text holds the end of what it logged.
    pub(crate) async fn start(
        binary: &Path,
        exporters: Exporters<'_>,
        home: &Path,
        sink_url: &str,
    ) -> Result<Self> {
        let log_path = home.join("host.log");
        let log = std::fs::File::create(&log_path)?;
        let mut command = Command::new(binary);
        command.args([
            "run",
            "--output",
            "json",
            "--listen",
            "127.0.0.1:0",
            "--listen-grpc",
            "off",
            "--data-dir",
        ]);
        command.arg(home.join("data"));
        match exporters {
            Exporters::Plugin(path) => command.arg("--plugin").arg(path),
            Exporters::Config(path) => command.arg("--config").arg(path),
        };
        command
            .current_dir(home)
            .env("HOME", home)
            .env("XDG_CACHE_HOME", home.join("cache"))
            .envs(langfuse_env(sink_url))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true);
        let started = Instant::now();
        let mut child = command
            .spawn()
            .with_context(|| format!("start {}: build it with `make build`", binary.display()))?;
        let ready = async {
            let mut lines = BufReader::new(child.stdout.take().context("no stdout")?);
            let address = listening(&mut lines).await?;
            while !is_ready(address).await.unwrap_or(false) {
                tokio::time::sleep(READY_POLL).await;
            }
            Ok::<_, anyhow::Error>((lines, address))
        };
        let outcome = match tokio::time::timeout(START_LIMIT, ready).await {
            Ok(outcome) => outcome,
            Err(_) => Err(anyhow::anyhow!(
                "not ready within {} s",
                START_LIMIT.as_secs()
            )),
        };
        let ready_after = started.elapsed();
        let (mut lines, address) = outcome.with_context(|| {
            let log = std::fs::read_to_string(&log_path).unwrap_or_default();
            let tail: Vec<_> = log.lines().rev().take(10).collect();
            format!(
                "{} did not start; its log ends:\n{}",
                binary.display(),
                tail.into_iter().rev().collect::<Vec<_>>().join("\n")
            )
        })?;
        let mut stdout = JoinSet::new();
        stdout.spawn(async move {
            // A full pipe would block the host.
            let _ = tokio::io::copy(&mut lines, &mut tokio::io::sink()).await;
        });
        Ok(Self {
            child,
            address,
            ready_after,
            _stdout: stdout,
        })
    }

    /// CPU time of the process so far.
    ///
    /// # Errors
    /// The process has ended.
    pub(crate) fn cpu_time(&self) -> Result<Duration> {
        process::cpu_time(self.pid()?)
    }

    /// The most resident memory so far, in KiB.
    ///
    /// # Errors
    /// The process has ended.
    pub(crate) fn peak_kib(&self) -> Result<u64> {
        process::peak_kib(self.pid()?)
    }

    /// Resident memory in KiB once it has stopped changing, at the latest after ten seconds.
    ///
    /// # Errors
    /// The process has ended.
    pub(crate) async fn idle_kib(&self) -> Result<u64> {
        let pid = self.pid()?;
        let mut last = process::resident_kib(pid)?;
        let mut quiet = 0;
        for _ in 0..QUIET_LOOKS * 10 {
            tokio::time::sleep(QUIET_PAUSE).await;
            let now = process::resident_kib(pid)?;
            quiet = if now == last { quiet + 1 } else { 0 };
            last = now;
            if quiet == QUIET_LOOKS {
                break;
            }
        }
        Ok(last)
    }

    /// Ends the process. Nothing of it is needed any more, so without ceremony.
    ///
    /// # Errors
    /// The process had ended before: it crashed.
    pub(crate) async fn stop(mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the host ended by itself with {status}");
        }
        self.child.kill().await.context("kill the host")
    }

    /// The process.
    ///
    /// # Errors
    /// It has ended.
    pub(crate) fn pid(&self) -> Result<u32> {
        self.child.id().context("the host has ended")
    }
}

/// What the Langfuse exporters, ours and the official one, read.
pub(crate) fn langfuse_env(sink_url: &str) -> [(&'static str, String); 3] {
    [
        ("LANGFUSE_PUBLIC_KEY", "pk-lf-bench".to_owned()),
        ("LANGFUSE_SECRET_KEY", "sk-lf-bench".to_owned()),
        ("LANGFUSE_BASE_URL", sink_url.to_owned()),
    ]
}

/// Reads lines up to `{"listening":"127.0.0.1:PORT"}`.
async fn listening(lines: &mut BufReader<ChildStdout>) -> Result<SocketAddr> {
    let mut line = String::new();
    loop {
        line.clear();
        if lines.read_line(&mut line).await? == 0 {
            bail!("the host ended before it listened");
        }
        let value: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
        if let Some(address) = value.get("listening").and_then(|address| address.as_str()) {
            return address
                .parse()
                .with_context(|| format!("listening on {address}"));
        }
    }
}

/// Whether `/readyz` answers 200.
async fn is_ready(address: SocketAddr) -> Result<bool> {
    let mut stream = TcpStream::connect(address).await?;
    stream
        .write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer.starts_with(b"HTTP/1.1 200"))
}

/// A config file of so many `langfuse` exporters, for the sink and with this kind of queue.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn langfuse_config(
    home: &Path,
    plugin: &Path,
    sink_url: &str,
    storage: &str,
    exporters: usize,
) -> Result<PathBuf> {
    let mut text = format!("sending_queue:\n  storage: {storage}\nexporters:\n");
    for index in 1..=exporters {
        text.push_str(&format!(
            "  langfuse/{index}:\n    component: {}\n    settings:\n      public_key: pk-lf-bench\n      \
             secret_key: sk-lf-bench\n      base_url: {sink_url}\n",
            plugin.display()
        ));
    }
    let path = home.join("langfuse.yaml");
    std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}
