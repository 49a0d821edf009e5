//! Spotlight, Sentry's local sidecar, parses the exporter's envelopes and streams them to its readers.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use std::collections::BTreeMap;

use anyhow::Context as _;
use e2e::{Config, recorded_events, run_with_input};
use kit::components;
use peers::installed;
use peers::server::{DEADLINE, Server, ServerCommand, free_port};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

async fn spotlight() -> anyhow::Result<Server> {
    installed::npm("spotlight", "@spotlightjs/spotlight")?;
    let port = free_port()?;
    let script = installed::folder().join("spotlight/serve.mjs");
    ServerCommand::new(&installed::node())?
        .args(&[&script.display().to_string(), &port.to_string()])
        .start(port, "/health")
        .await
}

/// Records of each kind of item.
type Counts = BTreeMap<String, usize>;

/// Reads the endless stream of parsed envelopes, each once, until as many records were seen.
async fn stream_until(server: &Server, wanted: usize) -> anyhow::Result<Counts> {
    let mut stream = TcpStream::connect(server.address()).await?;
    // In HTTP/1.0 there are no chunks between the lines.
    let request = format!("GET /stream HTTP/1.0\r\nhost: {}\r\n\r\n", server.address());
    stream.write_all(request.as_bytes()).await?;
    let mut lines = BufReader::new(stream).lines();
    let mut seen = Counts::new();
    while seen.values().sum::<usize>() < wanted {
        let line = lines.next_line().await?.context("the stream ended")?;
        if let Some(data) = line.strip_prefix("data: ") {
            note(&serde_json::from_str(data)?, &mut seen);
        }
    }
    Ok(seen)
}

/// An envelope is its header and its items, each a header and a payload.
fn note(envelope: &Value, seen: &mut Counts) {
    for item in envelope[1].as_array().unwrap() {
        let (header, payload) = (&item[0], &item[1]);
        let kind = header["type"].as_str().unwrap().to_owned();
        let count = payload["items"].as_array().map_or(1, Vec::len);
        *seen.entry(kind).or_default() += count;
    }
}

#[tokio::test]
async fn spotlight_reads_every_envelope() -> anyhow::Result<()> {
    let spotlight = spotlight().await?;
    let settings = format!("dsn: \"http://public@{}/7\"", spotlight.address());
    let component = components::exporter("sentry")?;
    let config = Config::new().exporter("sentry", &component, &settings);
    run_with_input(&config, recorded_events()?)?
        .finish()
        .await?
        .expect_code(0)?;
    let expected = [
        ("event", 2),
        ("feedback", 3),
        ("log", 6),
        ("span", 28),
        ("trace_metric", 25),
    ];
    let wanted = expected.iter().map(|(_, count)| count).sum();
    let seen = tokio::time::timeout(DEADLINE, stream_until(&spotlight, wanted)).await;
    let seen = seen.with_context(|| spotlight.log())??;
    let expected = expected.map(|(kind, count)| (kind.to_owned(), count));
    assert_eq!(seen, Counts::from(expected));
    Ok(())
}
