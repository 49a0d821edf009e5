//! Runs a program as a server for one test: in a directory and an environment of its own, on a free port of the loopback
//! interface, until the guard is dropped. What it writes goes to a file, whose text every failure shows.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use kit::client::{Outgoing, Reply};
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;
use tokio::time::{Instant, MissedTickBehavior};

/// How long a server may take to be ready, or to show what was sent. Reached only when a test fails: the slowest needs
/// two minutes for its first start.
pub const DEADLINE: Duration = Duration::from_secs(240);

/// How often a server is asked.
const PERIOD: Duration = Duration::from_millis(50);

/// A port of the loopback interface that is free now.
///
/// # Errors
/// When there is none.
pub fn free_port() -> anyhow::Result<u16> {
    let [port] = free_ports()?;
    Ok(port)
}

/// Several such ports, each another one: all are held until the last is found.
///
/// # Errors
/// As [`free_port`].
pub fn free_ports<const COUNT: usize>() -> anyhow::Result<[u16; COUNT]> {
    let mut held = Vec::with_capacity(COUNT);
    let mut ports = [0; COUNT];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}

/// Asks again and again until there is an answer.
///
/// # Errors
/// When an attempt fails, or none has an answer within [`DEADLINE`].
pub async fn poll<T>(
    what: &str,
    mut ask: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let started = Instant::now();
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while started.elapsed() < DEADLINE {
        ticks.tick().await;
        if let Some(found) = ask().await? {
            return Ok(found);
        }
    }
    bail!("{what}: not within {} s", DEADLINE.as_secs())
}

/// A server that is not started yet. Its environment is empty but for `PATH`, a `HOME` of its own and what the test sets.
pub struct ServerCommand {
    command: Command,
    dir: TempDir,
}

impl ServerCommand {
    /// Runs this program.
    ///
    /// # Errors
    /// When no temporary directory can be had.
    pub fn new(program: &Path) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir().context("no temporary directory")?;
        let mut command = Command::new(program);
        command
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("HOME", dir.path())
            .current_dir(dir.path())
            .stdin(Stdio::null())
            // A group of its own, so that its workers end with it.
            .process_group(0);
        Ok(Self { command, dir })
    }

    /// The directory that it runs in; gone with the server.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: &[&str]) -> Self {
        self.command.args(args);
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Starts it and waits until `GET ready` on this port is answered with a 2xx.
    ///
    /// # Errors
    /// When it cannot be started, ends, or is not ready within [`DEADLINE`]; the message has what it wrote.
    pub async fn start(self, port: u16, ready: &str) -> anyhow::Result<Server> {
        let is_ready = |status| (200..300).contains(&status);
        self.start_until(port, ready, is_ready).await
    }

    /// The same for a server that has no page: starts it and waits until it answers anything.
    ///
    /// # Errors
    /// As [`ServerCommand::start`].
    pub async fn start_without_page(self, port: u16) -> anyhow::Result<Server> {
        self.start_until(port, "/", |_| true).await
    }

    async fn start_until(
        mut self,
        port: u16,
        ready: &str,
        is_ready: impl Fn(u16) -> bool,
    ) -> anyhow::Result<Server> {
        let log = self.dir.path().join("server.log");
        let file = File::create(&log).context("cannot make the server's log")?;
        let program = self.command.get_program().to_string_lossy().into_owned();
        let child = self
            .command
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        let mut server = Server {
            child,
            address: (Ipv4Addr::LOCALHOST, port).into(),
            log,
            _dir: self.dir,
        };
        let waited = server.ready(ready, is_ready).await;
        waited.with_context(|| format!("{program} wrote:\n{}", server.log()))?;
        Ok(server)
    }
}

/// A server that is ready. Dropping it kills it and all that it started.
pub struct Server {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
    _dir: TempDir,
}

impl Server {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its origin, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it has written so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Sends it a request.
    ///
    /// # Errors
    /// When there is no complete answer, or its status is no 2xx; the message has the answer.
    pub async fn send(&self, request: Outgoing) -> anyhow::Result<Reply> {
        let what = format!("{} {}", request.method, request.target);
        let reply = request.send(self.address).await?;
        ensure!(
            (200..300).contains(&reply.status),
            "{what} answered {}: {}",
            reply.status,
            reply.text()
        );
        Ok(reply)
    }

    /// Gets this path.
    ///
    /// # Errors
    /// As [`Server::send`].
    pub async fn get(&self, target: &str) -> anyhow::Result<Reply> {
        self.send(Outgoing::get(target)).await
    }

    async fn ready(&mut self, target: &str, is_ready: impl Fn(u16) -> bool) -> anyhow::Result<()> {
        let address = self.address;
        let child = &mut self.child;
        poll("ready", async || {
            if let Some(status) = child.try_wait()? {
                bail!("ended with {status} instead of listening");
            }
            // Until it listens there is no connection.
            let reply = Outgoing::get(target).send(address).await.ok();
            Ok(reply.and_then(|reply| is_ready(reply.status).then_some(())))
        })
        .await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let group = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(group) = group {
            // It may have ended already.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}
