//! Clients that take their time do not keep others from the listener.

#![allow(
    clippy::indexing_slicing,
    reason = "`Value[key]` answers null for what is not there"
)]

use std::io::ErrorKind;
use std::net::SocketAddr;

use e2e::{Config, run};
use kit::client::Outgoing;
use kit::fixtures::{ndjson, span};
use kit::host::RunningHost;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// The directory is the exporter's.
async fn host(http: &str) -> anyhow::Result<(RunningHost, TempDir)> {
    let dir = tempfile::tempdir()?;
    let config = Config::new()
        .section(&format!("receivers:\n  http:\n{http}"))
        .json("json", &dir.path().join("o"))?;
    Ok((run(&config)?.start().await?, dir))
}

/// Asks for far more than the system holds for a connection, and reads nothing.
async fn slow_reader(to: SocketAddr) -> anyhow::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4 << 10)?;
    let mut stream = socket.connect(to).await?;
    let request = "GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(2000);
    let writing = tokio::time::timeout(
        std::time::Duration::from_secs(1),
        stream.write_all(request.as_bytes()),
    );
    // The host reads no more requests while an answer waits: what it has is enough.
    let _ = writing.await;
    Ok(stream)
}

/// Begins something and does not go on.
async fn slow_writer(to: SocketAddr, beginning: &str) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(to).await?;
    stream.write_all(beginning.as_bytes()).await?;
    Ok(stream)
}

async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    let read = tokio::time::timeout(kit::host::DEADLINE, stream.read_to_end(&mut rest));
    // Reset or ended, as long as it is not left open.
    read.await.is_ok()
}

#[tokio::test]
async fn eight_slow_clients_do_not_hold_a_listener_of_eight_connections() -> anyhow::Result<()> {
    let (host, _dir) = host("    max_connections: 8\n    max_connections_per_peer: 8\n").await?;
    let to = host.address();
    let head = "POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{";
    for kind in [
        "read nothing",
        "send half a head",
        "send half a body",
        "say nothing",
    ] {
        let mut slow = Vec::new();
        for _ in 0..8 {
            slow.push(match kind {
                "read nothing" => slow_reader(to).await?,
                "send half a head" => slow_writer(to, "GET /metrics HTTP/1.1\r\n").await?,
                "send half a body" => slow_writer(to, head).await?,
                _ => slow_writer(to, "").await?,
            });
        }
        let began = std::time::Instant::now();
        let reply = host
            .send_events(ndjson(&[span(1, 1, None, "agent_run")]))
            .await?;
        assert_eq!(reply.status, 200, "clients that {kind}");
        let waited = began.elapsed();
        assert!(
            waited.as_secs() < 10,
            "clients that {kind} held it for {waited:?}"
        );
    }
    host.terminate().await?.expect_code(0)?;
    Ok(())
}

#[tokio::test]
async fn an_answer_that_nobody_reads_ends_its_connection() -> anyhow::Result<()> {
    let (host, _dir) = host("    write_timeout: 1s\n").await?;
    let mut slow = slow_reader(host.address()).await?;
    assert!(is_closed(&mut slow).await);
    host.terminate().await?.expect_code(0)?;
    Ok(())
}

#[tokio::test]
async fn a_connection_that_is_used_for_long_ends_between_requests() -> anyhow::Result<()> {
    let (host, _dir) = host("    max_connection_age: 1s\n").await?;
    let mut stream = TcpStream::connect(host.address()).await?;
    let ended = tokio::time::timeout(kit::host::DEADLINE, async {
        let mut answers = Vec::new();
        loop {
            let asked = stream
                .write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
                .await;
            if asked.is_err() || stream.read_buf(&mut answers).await.unwrap_or(0) == 0 {
                return answers;
            }
        }
    });
    let answers = String::from_utf8(ended.await?)?;
    assert!(answers.starts_with("HTTP/1.1 200"), "{answers}");
    assert!(answers.ends_with("ok\n"), "the last answer is whole");
    host.terminate().await?.expect_code(0)?;
    Ok(())
}

#[tokio::test]
async fn one_address_leaves_places_for_others() -> anyhow::Result<()> {
    let (host, _dir) = host("    max_connections: 8\n").await?;
    let mut crowd = Vec::new();
    for _ in 0..8 {
        crowd.push(TcpStream::connect(host.address()).await?);
    }
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from(([127, 0, 0, 2], 0)))?;
    let stream = socket.connect(host.address()).await?;
    let reply = Outgoing::get("/healthz")
        .send_over(stream, "localhost")
        .await?;
    assert_eq!(reply.status, 200);
    // Nobody had to give way: the first four have their places.
    for stream in &crowd[..4] {
        let read = stream.try_read(&mut [0]);
        assert_eq!(
            read.err().map(|error| error.kind()),
            Some(ErrorKind::WouldBlock)
        );
    }
    host.terminate().await?;
    Ok(())
}
