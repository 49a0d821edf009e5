//! Runs Rotel, an OTLP collector that keeps its queue in memory, between the load and the sink.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

const START_LIMIT: Duration = Duration::from_secs(30);
const START_POLL: Duration = Duration::from_millis(20);

/// A running Rotel; dropping it kills it.
pub(crate) struct Rotel {
    child: Child,
    /// Of its OTLP/HTTP receiver.
    pub(crate) address: SocketAddr,
}

impl Rotel {
    /// Starts it on free ports, delivering to the sink over OTLP/HTTP protobuf.
    ///
    /// # Errors
    /// It is not installed, or does not listen within 30 seconds.
    pub(crate) async fn start(peers: &Path, sink_url: &str) -> Result<Self> {
        let [address, grpc] = [free_address()?, free_address()?];
        let mut child = Command::new(program(peers)?)
            .arg("start")
            .args(["--otlp-http-endpoint", &address.to_string()])
            .args(["--otlp-grpc-endpoint", &grpc.to_string()])
            .args(["--exporter", "otlp", "--otlp-exporter-protocol", "http"])
            .args(["--otlp-exporter-endpoint", sink_url])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("start Rotel")?;
        let listens = async {
            while TcpStream::connect(address).await.is_err() {
                if let Some(status) = child.try_wait()? {
                    bail!("Rotel ended with {status}");
                }
                tokio::time::sleep(START_POLL).await;
            }
            Ok(())
        };
        tokio::time::timeout(START_LIMIT, listens)
            .await
            .context("Rotel did not listen within 30 s")??;
        Ok(Self { child, address })
    }

    /// The process.
    ///
    /// # Errors
    /// It has ended.
    pub(crate) fn pid(&self) -> Result<u32> {
        self.child.id().context("Rotel has ended")
    }

    /// Ends the process.
    ///
    /// # Errors
    /// It had ended before.
    pub(crate) async fn stop(mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("Rotel ended by itself with {status}");
        }
        self.child.kill().await.context("kill Rotel")
    }
}

/// The binary inside the Python package, whatever Python has it.
fn program(peers: &Path) -> Result<PathBuf> {
    let libraries = peers.join("installed/python/otlp/lib");
    let missing = || format!("Rotel is not installed: run {}/install.sh", peers.display());
    for python in std::fs::read_dir(&libraries).with_context(missing)? {
        let program = python?.path().join("site-packages/rotel/rotel-agent");
        if program.is_file() {
            return Ok(program);
        }
    }
    bail!(missing())
}

/// Free when asked; Rotel cannot choose a port by itself.
fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no free port")?;
    Ok(listener.local_addr()?)
}
