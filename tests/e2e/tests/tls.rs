//! Listeners with TLS: HTTP and gRPC, certificates that are renewed while the host runs, and clients that must have one.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test; `Value[key]` answers null for what is not there"
)]

use std::net::SocketAddr;

use bytes::Bytes;
use e2e::{Config, lines, run};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kit::certificates::{Authority, Pair};
use kit::client::{Outgoing, Reply};
use kit::fixtures::{ndjson, span};
use kit::host::{DEADLINE, HostCommand, RunningHost};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use tokio::task::JoinSet;

const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// The section `receivers`, with `http` and `auth` lines of a test.
fn receivers(pair: &Pair, more: &str) -> String {
    let (certificate, key) = (pair.certificate.display(), pair.key.display());
    format!(
        "receivers:\n  http:\n    tls: {{cert_file: \"{certificate}\", key_file: \"{key}\"{more}}}\n"
    )
}

async fn https(
    authority: &Authority,
    to: SocketAddr,
    client: Option<&Pair>,
    request: Outgoing,
) -> anyhow::Result<Reply> {
    let stream = authority.connect(to, &["http/1.1"], client).await?;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    request.send_over(stream, "localhost").await
}

/// Exports one span by gRPC; returns the status.
async fn grpc(authority: &Authority, to: SocketAddr, token: &str) -> anyhow::Result<String> {
    let stream = authority.connect(to, &["h2"], None).await?;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    let mut connections = JoinSet::new();
    connections.spawn(connection);
    let span = Span {
        trace_id: vec![7; 16],
        span_id: vec![7; 8],
        name: "by grpc".to_owned(),
        start_time_unix_nano: 1,
        end_time_unix_nano: 2,
        ..Span::default()
    };
    let scoped = ScopeSpans {
        spans: vec![span],
        ..ScopeSpans::default()
    };
    let group = ResourceSpans {
        scope_spans: vec![scoped],
        ..ResourceSpans::default()
    };
    let message = ExportTraceServiceRequest {
        resource_spans: vec![group],
    }
    .encode_to_vec();
    let mut body = vec![0];
    body.extend_from_slice(&u32::try_from(message.len())?.to_be_bytes());
    body.extend_from_slice(&message);
    let request = hyper::Request::post(format!("https://localhost{TRACES}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", format!("Bearer {token}"))
        .body(Full::new(Bytes::from(body)))?;
    let answer = sender.send_request(request).await?;
    let (parts, body) = answer.into_parts();
    let trailers = body
        .collect()
        .await?
        .trailers()
        .cloned()
        .unwrap_or_default();
    let status = trailers
        .get("grpc-status")
        .or(parts.headers.get("grpc-status"));
    Ok(status
        .map(|status| status.to_str().unwrap().to_owned())
        .unwrap_or_default())
}

fn event() -> Outgoing {
    let body = ndjson(&[span(1, 1, None, "agent_run")]);
    Outgoing::post("/v1/events", "application/x-ndjson", body)
}

#[tokio::test]
async fn http_and_grpc_are_served_over_tls_with_a_token_and_not_in_clear() -> anyhow::Result<()> {
    let authority = Authority::new()?;
    let pair = authority.sign("server", &["localhost"])?;
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("events.ndjson");
    let auth = "    auth: {tokens: [{label: a, token: s3cret-0123}]}\n";
    let config = Config::new()
        .section(&(receivers(&pair, "") + auth))
        .json("json", &file)?;
    let host = run(&config)?.on_free_ports().start_bare().await?;
    let bearer = |request: Outgoing| request.header("authorization", "Bearer s3cret-0123");
    let reply = https(&authority, host.address(), None, bearer(event())).await?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(
        https(&authority, host.address(), None, event())
            .await?
            .status,
        401
    );
    let to = host.grpc_address().unwrap();
    assert_eq!(grpc(&authority, to, "s3cret-0123").await?, "0");
    assert_eq!(grpc(&authority, to, "wrong").await?, "16");
    assert!(
        Outgoing::get("/healthz")
            .send(host.address())
            .await
            .is_err(),
        "in clear"
    );
    assert!(
        authority
            .connect(host.address(), &["h2"], None)
            .await
            .is_err(),
        "another protocol"
    );
    let stranger = Authority::new()?;
    assert!(
        stranger
            .connect(host.address(), &["http/1.1"], None)
            .await
            .is_err()
    );
    host.terminate().await?.expect_code(0)?;
    assert_eq!(lines(&file)?.len(), 2);
    Ok(())
}

async fn served_certificate(authority: &Authority, to: SocketAddr) -> anyhow::Result<Vec<u8>> {
    let stream = authority.connect(to, &["http/1.1"], None).await?;
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    Ok(chain[0].to_vec())
}

#[tokio::test]
async fn a_renewed_certificate_is_used_and_a_broken_one_is_not() -> anyhow::Result<()> {
    let authority = Authority::new()?;
    let pair = authority.sign("server", &["localhost"])?;
    let dir = tempfile::tempdir()?;
    let config = Config::new()
        .section(&receivers(&pair, ""))
        .json("json", &dir.path().join("o"))?;
    let host = run(&config)?.on_free_ports().start_bare().await?;
    let to = host.address();
    let first = served_certificate(&authority, to).await?;
    authority.sign("server", &["localhost", "renewed"])?;
    let renewed = tokio::time::timeout(DEADLINE, async {
        loop {
            let served = served_certificate(&authority, to).await?;
            if served != first {
                return anyhow::Ok(served);
            }
        }
    })
    .await??;
    // The key of another certificate, then no certificate at all.
    let other = authority.sign("other", &["localhost"])?;
    std::fs::copy(&other.key, &pair.key)?;
    host.wait_for_log("the certificate before stays in use")
        .await?;
    std::fs::write(&pair.certificate, "nonsense")?;
    host.wait_for_log("no certificate in PEM form").await?;
    assert_eq!(served_certificate(&authority, to).await?, renewed);
    let page = https(&authority, to, None, Outgoing::get("/readyz?verbose")).await?;
    assert!(
        page.json()?["reload"].to_string().contains("stays in use"),
        "{}",
        page.text()
    );
    // Mended.
    authority.sign("server", &["localhost"])?;
    tokio::time::timeout(DEADLINE, async {
        while served_certificate(&authority, to).await? == renewed {}
        anyhow::Ok(())
    })
    .await??;
    host.terminate().await?.expect_code(0)?;
    Ok(())
}

#[tokio::test]
async fn with_client_authorities_only_their_clients_get_in() -> anyhow::Result<()> {
    let (authority, stranger) = (Authority::new()?, Authority::new()?);
    let pair = authority.sign("server", &["localhost"])?;
    let client = authority.sign("client", &["client"])?;
    let foreign = stranger.sign("client", &["client"])?;
    let dir = tempfile::tempdir()?;
    let ca = format!(", client_ca_file: \"{}\"", authority.ca_file().display());
    let config = Config::new()
        .section(&receivers(&pair, &ca))
        .json("json", &dir.path().join("o"))?;
    // Who has shown a certificate needs no token, so that this may listen for others.
    let command = run(&config)?.args(["--listen", "0.0.0.0:0", "--listen-grpc", "127.0.0.1:0"]);
    let host = command.start_bare().await?;
    let to = SocketAddr::from(([127, 0, 0, 1], host.address().port()));
    let reply = https(&authority, to, Some(&client), event()).await?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    for refused in [None, Some(&foreign)] {
        assert!(
            https(&authority, to, refused, event()).await.is_err(),
            "{refused:?}"
        );
    }
    host.terminate().await?.expect_code(0)?;
    Ok(())
}

async fn refused(command: HostCommand) -> anyhow::Result<String> {
    let finished = command.finish().await?;
    finished.expect_code(2)?;
    Ok(finished.stderr)
}

#[tokio::test]
async fn files_that_cannot_be_used_are_refused_at_the_start() -> anyhow::Result<()> {
    let authority = Authority::new()?;
    let (pair, other) = (authority.sign("a", &["a"])?, authority.sign("b", &["b"])?);
    let mixed = Pair {
        key: other.key,
        ..pair.clone()
    };
    let missing = Pair {
        key: "missing.key".into(),
        ..pair.clone()
    };
    let swapped = Pair {
        certificate: pair.key.clone(),
        key: pair.certificate.clone(),
    };
    for (pair, problem) in [
        (mixed, "cannot be used"),
        (missing, "missing.key"),
        (swapped, "no certificate in PEM form"),
    ] {
        let dir = tempfile::tempdir()?;
        let config = Config::new()
            .section(&receivers(&pair, ""))
            .json("json", &dir.path().join("o"))?;
        let told = refused(run(&config)?.on_free_ports()).await?;
        assert!(told.contains(problem), "{told}");
    }
    let told = refused(
        HostCommand::new("run")?
            .plugin("json")?
            .arg("--tls-cert")
            .arg(&pair.certificate),
    )
    .await?;
    assert!(told.contains("--tls-key"), "{told}");
    Ok(())
}

#[tokio::test]
async fn the_command_line_names_a_certificate_for_both_listeners() -> anyhow::Result<()> {
    let authority = Authority::new()?;
    let pair = authority.sign("server", &["localhost"])?;
    let command = HostCommand::new("run")?.plugin("json")?;
    let command = command.arg("--tls-cert").arg(&pair.certificate);
    let host: RunningHost = command
        .arg("--tls-key")
        .arg(&pair.key)
        .on_free_ports()
        .start_bare()
        .await?;
    // A host that is told to end does not wait for components that are still prepared.
    let prepared = async {
        loop {
            let request = Outgoing::get("/readyz?verbose");
            let reply = https(&authority, host.address(), None, request).await?;
            assert_eq!(reply.status, 200);
            if !reply.text().contains("preparing") {
                return anyhow::Ok(());
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), prepared).await??;
    assert_eq!(
        grpc(&authority, host.grpc_address().unwrap(), "any").await?,
        "0"
    );
    host.terminate().await?.expect_code(0)?;
    Ok(())
}
