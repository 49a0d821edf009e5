//! The guard of the peers' servers: a server that cannot start says why, and nothing outlives its guard.

use std::net::TcpStream;
use std::path::Path;

use peers::server::{ServerCommand, free_port, poll};

fn shell(script: &str) -> anyhow::Result<ServerCommand> {
    Ok(ServerCommand::new(Path::new("sh"))?.args(&["-c", script]))
}

#[tokio::test]
async fn a_server_is_ready_when_it_is_returned_and_gone_when_it_is_dropped() -> anyhow::Result<()> {
    let port = free_port()?;
    // A child of the server serves: a guard that ends the server alone would leave it behind.
    let script = format!("python3 -m http.server --bind 127.0.0.1 {port} & wait");
    let server = shell(&script)?.start(port, "/").await?;
    assert!(server.get("/").await?.text().contains("server.log"));
    let address = server.address();
    drop(server);
    // Killed is not yet gone: the kernel closes its socket a moment later.
    poll("nobody listens", async || {
        Ok(TcpStream::connect(address).is_err().then_some(()))
    })
    .await
}

#[tokio::test]
async fn a_server_that_ends_fails_with_what_it_wrote() -> anyhow::Result<()> {
    let started = shell("echo out of luck; exit 1")?
        .start(free_port()?, "/")
        .await;
    let message = format!("{:#}", started.err().unwrap());
    assert!(message.contains("out of luck"), "{message}");
    assert!(message.contains("ended with exit status: 1"), "{message}");
    Ok(())
}
