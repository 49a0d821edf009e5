//! Drives the built `mastra-host`: starts it in a directory and an environment of its own, waits for what it says, stops
//! it with a signal, and collects exit code, output and log. Never waits by the clock, except to give up.
//!
//! Called by every end-to-end test.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::client::{Outgoing, Reply};
use crate::{components, paths};

/// Names a host that is built already. Without it, cargo builds one, as `make build` does.
pub const BINARY_VARIABLE: &str = "MASTRA_HOST_BIN";

/// How long a host may take to do what a test waits for. Reached only when a test fails.
pub const DEADLINE: Duration = Duration::from_secs(90);

/// The built host.
///
/// # Errors
/// When it does not build, or [`BINARY_VARIABLE`] names no file.
pub fn binary() -> anyhow::Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    BUILT
        .get_or_init(|| find_or_build().map_err(|error| format!("{error:#}")))
        .clone()
        .map_err(|error| anyhow!(error))
}

fn find_or_build() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os(BINARY_VARIABLE) {
        let path = paths::repository().join(path);
        ensure!(
            path.is_file(),
            "{BINARY_VARIABLE} names no file: {}",
            path.display()
        );
        return Ok(path);
    }
    std::fs::create_dir_all(paths::target()).context("cannot make the build directory")?;
    let archive = components::archive()?;
    let lock = components::locked(&paths::target().join(".host.lock"))?;
    // As the tests are built themselves, so that `make test` finds what `make build` left.
    let (profile, dir) = if cfg!(debug_assertions) {
        ("dev", "debug")
    } else {
        ("release", "release")
    };
    let output = components::cargo()
        .args([
            "build",
            "--quiet",
            "--profile",
            profile,
            "--package",
            "mastra-host",
        ])
        .env("MASTRA_HOST_COMPONENTS", archive)
        .output()
        .context("cannot start cargo")?;
    drop(lock);
    ensure!(
        output.status.success(),
        "the host does not build:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(paths::target().join(dir).join("mastra-host"))
}

/// A command of the host, not started yet. Its environment is empty but for `PATH` and what the test sets.
pub struct HostCommand {
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(String, String)>,
    stdin: Vec<u8>,
    dir: TempDir,
}

impl HostCommand {
    /// `mastra-host <subcommand>`.
    ///
    /// # Errors
    /// When the host does not build.
    pub fn new(subcommand: &str) -> anyhow::Result<Self> {
        Self::of(&binary()?, subcommand)
    }

    /// Any program, for the tests of this driver.
    ///
    /// # Errors
    /// When no temporary directory can be had.
    pub fn of(program: &Path, first_arg: &str) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir().context("no temporary directory")?;
        Ok(Self {
            program: program.to_path_buf(),
            args: vec![first_arg.into()],
            env: Vec::new(),
            stdin: Vec::new(),
            dir,
        })
    }

    /// The directory that the host runs in; gone with the command.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<const N: usize>(mut self, args: [&str; N]) -> Self {
        self.args.extend(args.map(OsString::from));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds `--plugin` with the component of this exporter, built if need be.
    ///
    /// # Errors
    /// When the component does not build.
    pub fn plugin(self, name: &str) -> anyhow::Result<Self> {
        let path = components::exporter(name)?;
        Ok(self.arg("--plugin").arg(path))
    }

    /// Writes a configuration and adds `--config`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn config(self, yaml: &str) -> anyhow::Result<Self> {
        let path = self.dir.path().join("config.yaml");
        std::fs::write(&path, yaml).context("cannot write the configuration")?;
        Ok(self.arg("--config").arg(path))
    }

    /// What the host reads on its standard input.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Listens on ports of 127.0.0.1 that the system chooses.
    #[must_use]
    pub fn on_free_ports(self) -> Self {
        let any = "127.0.0.1:0";
        self.args(["--listen", any, "--listen-grpc", any])
    }

    /// Runs to the end.
    ///
    /// # Errors
    /// When it cannot be started, or has not ended after [`DEADLINE`]; the message has its log.
    pub async fn finish(self) -> anyhow::Result<Finished> {
        self.spawn()?.ended().await
    }

    /// Starts on free ports and waits until it listens and is ready.
    ///
    /// # Errors
    /// When it ends instead, or says nothing for [`DEADLINE`]; the message has its log.
    pub async fn start(self) -> anyhow::Result<RunningHost> {
        let host = self.on_free_ports().start_bare().await?;
        host.ready(None).await?;
        Ok(host)
    }

    /// As [`HostCommand::start`], for a host that tells a sender with this token alone what is still prepared.
    ///
    /// # Errors
    /// As [`HostCommand::start`].
    pub async fn start_with_token(self, token: &str) -> anyhow::Result<RunningHost> {
        let host = self.on_free_ports().start_bare().await?;
        host.ready(Some(token)).await?;
        Ok(host)
    }

    /// Starts as it is and waits until it names its address.
    ///
    /// # Errors
    /// When it ends instead, or says nothing for [`DEADLINE`]; the message has its log.
    pub async fn start_bare(self) -> anyhow::Result<RunningHost> {
        self.spawn()?.listening().await
    }

    /// Starts and is killed after so long, wherever it is then.
    ///
    /// # Errors
    /// When it cannot be started, or does not end.
    pub async fn kill_after(self, time: Duration) -> anyhow::Result<()> {
        let mut process = self.spawn()?;
        if tokio::time::timeout(time, process.child.wait())
            .await
            .is_err()
        {
            process.signal(Signal::KILL)?;
        }
        process.ended().await.map(drop)
    }

    fn spawn(self) -> anyhow::Result<Process> {
        let mut child = Command::new(&self.program)
            .args(&self.args)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("HOME", self.dir.path())
            // Compiled components are the same for every test.
            .env("XDG_CACHE_HOME", paths::target().join("kit-cache"))
            .envs(self.env)
            .current_dir(self.dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let mut tasks = JoinSet::new();
        let input = self.stdin;
        tasks.spawn(async move {
            if let Some(mut stdin) = stdin {
                // A host that does not read its input closes it, which is its right.
                let _ = stdin.write_all(&input).await;
            }
        });
        let stdout = Lines::read(stdout.context("no standard output")?, &mut tasks);
        let stderr = Lines::read(stderr.context("no standard error")?, &mut tasks);
        Ok(Process {
            child,
            stdout,
            stderr,
            tasks,
            dir: self.dir,
        })
    }
}

/// The lines of a stream so far; readers are woken at each.
#[derive(Clone)]
struct Lines {
    text: watch::Receiver<String>,
}

impl Lines {
    fn read(stream: impl AsyncRead + Unpin + Send + 'static, tasks: &mut JoinSet<()>) -> Self {
        let (sender, text) = watch::channel(String::new());
        tasks.spawn(async move {
            let mut reader = BufReader::new(stream);
            let mut line = Vec::new();
            while reader
                .read_until(b'\n', &mut line)
                .await
                .is_ok_and(|bytes| bytes > 0)
            {
                sender.send_modify(|text| text.push_str(&String::from_utf8_lossy(&line)));
                line.clear();
            }
        });
        Self { text }
    }

    fn text(&self) -> String {
        self.text.borrow().clone()
    }

    /// The first line for which `pick` gives something; `None` when the stream ends without.
    async fn find<T>(&mut self, pick: impl Fn(&str) -> Option<T>) -> Option<T> {
        loop {
            let ended = self.text.has_changed().is_err();
            if let Some(found) = self.text.borrow_and_update().lines().find_map(&pick) {
                return Some(found);
            }
            if ended {
                return None;
            }
            // An error means that the stream ended: the loop looks a last time.
            let _ = self.text.changed().await;
        }
    }
}

/// A child process with its output.
struct Process {
    child: Child,
    stdout: Lines,
    stderr: Lines,
    tasks: JoinSet<()>,
    dir: TempDir,
}

impl Process {
    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let id = self.child.id().context("the host has ended")?;
        let pid = Pid::from_raw(id.try_into().context("not a process id")?)
            .context("not a process id")?;
        kill_process(pid, signal).context("cannot signal the host")
    }

    async fn ended(mut self) -> anyhow::Result<Finished> {
        let waited = tokio::time::timeout(DEADLINE, async {
            let status = self
                .child
                .wait()
                .await
                .context("cannot wait for the host")?;
            while self.tasks.join_next().await.is_some() {}
            anyhow::Ok(status)
        })
        .await;
        match waited {
            Ok(status) => Ok(Finished {
                status: status?,
                stdout: self.stdout.text(),
                stderr: self.stderr.text(),
                dir: self.dir,
            }),
            Err(_) => bail!(
                "not ended after {} s:\n{}{}",
                DEADLINE.as_secs(),
                self.stdout.text(),
                self.stderr.text()
            ),
        }
    }

    /// Waits for the line that names the address.
    async fn listening(mut self) -> anyhow::Result<RunningHost> {
        let (mut out, mut err) = (self.stdout.clone(), self.stderr.clone());
        let named = async {
            tokio::select! {
                Some(address) = out.find(address) => Some(address),
                Some(address) = err.find(address) => Some(address),
                else => None,
            }
        };
        let Ok(address) = tokio::time::timeout(DEADLINE, named).await else {
            bail!(
                "did not listen within {} s:\n{}",
                DEADLINE.as_secs(),
                self.stderr.text()
            );
        };
        let Some(address) = address else {
            let status = self
                .child
                .wait()
                .await
                .context("cannot wait for the host")?;
            bail!(
                "ended with {status} instead of listening:\n{}{}",
                self.stdout.text(),
                self.stderr.text()
            );
        };
        Ok(RunningHost {
            process: self,
            address,
        })
    }
}

/// What the host names after its first address: `... and 127.0.0.1:PORT (OTLP/gRPC)` or
/// `"listening_grpc":"127.0.0.1:PORT"`.
fn grpc_address(said: &str) -> Option<SocketAddr> {
    let address = match said.split_once(" (OTLP/gRPC") {
        Some((before, _)) => before.rsplit(' ').next()?,
        None => {
            let (_, rest) = said.split_once("\"listening_grpc\":\"")?;
            rest.split('"').next()?
        }
    };
    address.parse().ok()
}

/// The address in `listening on http://127.0.0.1:PORT`, or with `https`, or in `{"listening":"127.0.0.1:PORT"}`.
fn address(line: &str) -> Option<SocketAddr> {
    let named = ["listening on http://", "listening on https://"];
    let rest = match named.iter().find_map(|begin| line.split_once(begin)) {
        Some((_, rest)) => rest,
        None => line.split_once("\"listening\":\"")?.1,
    };
    let end = rest
        .find(|c: char| !(c.is_ascii_hexdigit() || ".:[]".contains(c)))
        .unwrap_or(rest.len());
    rest.get(..end)?.parse().ok()
}

/// A host that listens. Dropping it kills it.
pub struct RunningHost {
    process: Process,
    address: SocketAddr,
}

impl RunningHost {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens for OTLP/gRPC; `None` when it does not.
    #[must_use]
    pub fn grpc_address(&self) -> Option<SocketAddr> {
        grpc_address(&self.stdout()).or_else(|| grpc_address(&self.stderr()))
    }

    /// Its log so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.process.stderr.text()
    }

    /// Its output so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        self.process.stdout.text()
    }

    /// Sends it a request.
    ///
    /// # Errors
    /// When there is no complete answer.
    pub async fn send(&self, request: Outgoing) -> anyhow::Result<Reply> {
        request.send(self.address).await
    }

    /// Posts events, one a line, to `/v1/events`.
    ///
    /// # Errors
    /// When there is no complete answer.
    pub async fn send_events(&self, ndjson: impl Into<bytes::Bytes>) -> anyhow::Result<Reply> {
        self.send(Outgoing::post("/v1/events", "application/x-ndjson", ndjson))
            .await
    }

    /// Waits for a line of the log that has this text.
    ///
    /// # Errors
    /// When the host ends without it or [`DEADLINE`] passes; the message has the log.
    pub async fn wait_for_log(&self, text: &str) -> anyhow::Result<String> {
        let mut lines = self.process.stderr.clone();
        let found = lines.find(|line| line.contains(text).then(|| line.to_owned()));
        let found = tokio::time::timeout(DEADLINE, found).await.ok().flatten();
        found.with_context(|| format!("{text:?} was not logged:\n{}", self.stderr()))
    }

    /// Asks it to stop and waits for its end.
    ///
    /// # Errors
    /// When it does not end within [`DEADLINE`].
    pub async fn terminate(self) -> anyhow::Result<Finished> {
        self.signal(Signal::TERM)?;
        self.ended().await
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it does not end within [`DEADLINE`].
    pub async fn ended(self) -> anyhow::Result<Finished> {
        self.process.ended().await
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        self.process.signal(signal)
    }

    /// Its process id, for measurements.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.process.child.id()
    }

    async fn ready(&self, token: Option<&str>) -> anyhow::Result<()> {
        let asked = tokio::time::timeout(DEADLINE, async {
            loop {
                let mut request = Outgoing::get("/readyz?verbose");
                if let Some(token) = token {
                    request = request.header("authorization", &format!("Bearer {token}"));
                }
                let mut reply = self.send(request).await?;
                if reply.status == 401 {
                    // Details need a token where there are tokens.
                    reply = self.send(Outgoing::get("/readyz")).await?;
                }
                // The host takes events before its exporters are prepared.
                if reply.status == 200 && !reply.text().contains("\"preparing\"") {
                    return anyhow::Ok(());
                }
                ensure!(
                    matches!(reply.status, 200 | 503),
                    "/readyz answered {}: {}",
                    reply.status,
                    reply.text()
                );
                tokio::task::yield_now().await;
            }
        });
        asked.await.map_err(|_| {
            anyhow!(
                "not ready within {} s:\n{}",
                DEADLINE.as_secs(),
                self.stderr()
            )
        })?
    }
}

/// A host that has ended, with all it said.
pub struct Finished {
    status: ExitStatus,
    /// Standard output.
    pub stdout: String,
    /// Standard error: the log.
    pub stderr: String,
    dir: TempDir,
}

impl Finished {
    /// The exit code.
    ///
    /// # Errors
    /// When a signal ended it.
    pub fn code(&self) -> anyhow::Result<i32> {
        self.status
            .code()
            .with_context(|| format!("ended by {}:\n{}", self.status, self.stderr))
    }

    /// Fails with all that the host said unless it ended with this code.
    ///
    /// # Errors
    /// When it did not.
    pub fn expect_code(&self, code: i32) -> anyhow::Result<()> {
        let ended = self.code()?;
        ensure!(
            ended == code,
            "ended with {ended} instead of {code}:\n{}\n{}",
            self.stdout,
            self.stderr
        );
        Ok(())
    }

    /// The directory that it ran in.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
}

#[cfg(test)]
mod tests;
