//! OTLP over gRPC, spoken by tonic's client with the reference messages, and by hand where a client would not do such a
//! thing: what is sent arrives, and every refusal has the status of the specification.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test; `Value[key]` answers null for what is not there"
)]

use std::io::Write as _;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;

use anyhow::Context as _;
use bytes::{BufMut as _, Bytes};
use e2e::{Config, accounts, lines, run};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Frame;
use hyper::http::uri::PathAndQuery;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kit::backend::{Backend, Behaviour, Which, langfuse::Langfuse};
use kit::client::Outgoing;
use kit::host::RunningHost;
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use serde_json::{Value, json};
use tonic::metadata::MetadataValue;
use tonic::{Code, Request, Status};

const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
const METRICS: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

fn http2<B>() -> Client<HttpConnector, B>
where
    B: hyper::body::Body + Send,
    B::Data: Send,
{
    Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http()
}

/// As an OpenTelemetry SDK does it.
async fn export<M, R>(
    to: SocketAddr,
    method: &'static str,
    request: Request<M>,
) -> Result<R, Status>
where
    M: Message + 'static,
    R: Message + Default + 'static,
{
    let origin = format!("http://{to}").parse().unwrap();
    let mut grpc = tonic::client::Grpc::with_origin(http2(), origin);
    grpc.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<M, R>::default();
    let path = PathAndQuery::from_static(method);
    Ok(grpc.unary(request, path, codec).await?.into_inner())
}

/// What a request by hand was answered.
struct Answer {
    http_status: u16,
    code: Option<i32>,
    message: String,
    details: Option<String>,
}

/// A body as it is, with these headers beside the usual ones.
async fn post(
    to: SocketAddr,
    method: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> anyhow::Result<Answer> {
    let mut request = hyper::Request::post(format!("http://{to}{method}")).header("te", "trailers");
    if !headers.iter().any(|(name, _)| *name == "content-type") {
        request = request.header("content-type", "application/grpc");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let reply = http2()
        .request(request.body(Full::new(body.into()))?)
        .await?;
    let (head, body) = reply.into_parts();
    let body = body.collect().await?;
    let text = |name: &str| {
        let trailers = body.trailers();
        let found = head.headers.get(name);
        let found = found.or_else(|| trailers.and_then(|trailers| trailers.get(name)));
        found
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    Ok(Answer {
        http_status: head.status.as_u16(),
        code: text("grpc-status").and_then(|code| code.parse().ok()),
        message: text("grpc-message").unwrap_or_default(),
        details: text("grpc-status-details-bin"),
    })
}

fn framed(is_compressed: bool, message: &[u8]) -> Vec<u8> {
    let mut body = vec![u8::from(is_compressed)];
    body.put_u32(u32::try_from(message.len()).unwrap());
    body.extend_from_slice(message);
    body
}

fn gzip(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

/// Spans with these ids; 0 is none that OTLP allows.
fn traces(ids: impl IntoIterator<Item = u64>, payload: &str) -> ExportTraceServiceRequest {
    let span = |id: u64| Span {
        trace_id: vec![10; 16],
        span_id: id.to_be_bytes().to_vec(),
        name: format!("span {id} {payload}"),
        start_time_unix_nano: 1_780_000_000_000_000_000,
        end_time_unix_nano: 1_780_000_001_000_000_000,
        ..Span::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans: ids.into_iter().map(span).collect(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

fn grpc(host: &RunningHost) -> anyhow::Result<SocketAddr> {
    host.grpc_address()
        .context("no listener for gRPC was named")
}

#[tokio::test]
async fn traces_logs_and_metrics_arrive_and_bad_items_are_told() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("events.ndjson");
    let host = run(&Config::new().json("json", &file)?)?.start().await?;
    let to = grpc(&host)?;

    let request = Request::new(traces([1, 0, 2], ""));
    let answer: ExportTraceServiceResponse = export(to, TRACES, request).await?;
    let partial = answer.partial_success.context("the bad span is not told")?;
    assert_eq!(partial.rejected_spans, 1);
    assert!(
        partial
            .error_message
            .contains("spanId: must not be all zero"),
        "{}",
        partial.error_message
    );

    let logs: ExportLogsServiceRequest = serde_json::from_value(
        json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [
            {"timeUnixNano": "1780000000000000000", "severityNumber": 9, "body": {"stringValue": "hello"}},
        ]}]}]}),
    )?;
    let answer: ExportLogsServiceResponse = export(to, LOGS, Request::new(logs)).await?;
    assert_eq!(answer.partial_success, None);
    let metrics: ExportMetricsServiceRequest = serde_json::from_value(
        json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [
            {"name": "tokens", "sum": {"aggregationTemporality": 1, "dataPoints": [{"timeUnixNano": "1780000000000000000", "asInt": "3"}]}},
        ]}]}]}),
    )?;
    let answer: ExportMetricsServiceResponse = export(to, METRICS, Request::new(metrics)).await?;
    assert_eq!(answer.partial_success, None);

    let page = host.send(Outgoing::get("/metrics")).await?.text();
    assert!(
        page.contains(r#"receiver="grpc""#) || page.contains(r#"transport="grpc""#),
        "{page}"
    );
    let finished = host.terminate().await?;
    finished.expect_code(0)?;
    let accounts = accounts(&finished)?;
    for (signal, count) in [("traces", 2), ("logs", 1), ("metrics", 1)] {
        assert_eq!(accounts.of("json", signal)?.delivered, count, "{signal}");
    }
    let events: Vec<Value> = lines(&file)?
        .iter()
        .map(|line| serde_json::from_str(line))
        .collect::<Result<_, _>>()?;
    let names: Vec<&Value> = events
        .iter()
        .map(|event| &event["exportedSpan"]["name"])
        .collect();
    assert!(
        names.contains(&&json!("span 1 ")) && names.contains(&&json!("span 2 ")),
        "{names:?}"
    );
    Ok(())
}

#[tokio::test]
async fn compressed_messages_are_read() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("events.ndjson");
    let host = run(&Config::new().json("json", &file)?)?.start().await?;
    let to = grpc(&host)?;
    let message = |id| traces([id], "").encode_to_vec();
    for (encoding, body) in [
        ("gzip", framed(true, &gzip(&message(1))?)),
        ("zstd", framed(true, &zstd::encode_all(&message(2)[..], 3)?)),
        // A sender may leave single messages as they are.
        ("gzip", framed(false, &message(3))),
        ("identity", framed(false, &message(4))),
    ] {
        let answer = post(to, TRACES, &[("grpc-encoding", encoding)], body).await?;
        assert_eq!(
            (answer.http_status, answer.code),
            (200, Some(0)),
            "{encoding}: {}",
            answer.message
        );
    }
    host.terminate().await?.expect_code(0)?;
    assert_eq!(lines(&file)?.len(), 4);
    Ok(())
}

#[tokio::test]
async fn only_senders_with_a_token_and_known_methods_are_served() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let config = Config::new()
        .section("receivers: {http: {auth: {tokens: [{label: app, token: \"let-me-in\"}]}}}")
        .json("json", &dir.path().join("events.ndjson"))?;
    let host = run(&config)?.start().await?;
    let to = grpc(&host)?;
    let token = ("authorization", "Bearer let-me-in");
    let good = framed(false, &traces([1], "").encode_to_vec());

    let answer = post(to, TRACES, &[], good.clone()).await?;
    assert_eq!(
        answer.code,
        Some(Code::Unauthenticated as i32),
        "{}",
        answer.message
    );
    let mut request = Request::new(traces([1], ""));
    let guess = MetadataValue::from_static("Bearer guess");
    request.metadata_mut().insert("authorization", guess);
    let refused: Result<ExportTraceServiceResponse, Status> = export(to, TRACES, request).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);

    let unknown = "/opentelemetry.proto.collector.profiles.v1.ProfilesService/Export";
    let answer = post(to, unknown, &[token], good.clone()).await?;
    assert_eq!(
        answer.code,
        Some(Code::Unimplemented as i32),
        "{}",
        answer.message
    );
    let json = [token, ("content-type", "application/json")];
    assert_eq!(post(to, TRACES, &json, "{}").await?.http_status, 415);
    let answer = post(to, TRACES, &[token], good).await?;
    assert_eq!(answer.code, Some(0), "{}", answer.message);
    host.terminate().await?;
    Ok(())
}

/// A case's name, the `grpc-encoding`, the body, and what it is answered.
type Wrong = (&'static str, &'static str, Vec<u8>, Code);

fn wrong_bodies() -> anyhow::Result<Vec<Wrong>> {
    let good = framed(false, &traces([1], "").encode_to_vec());
    let zeros = vec![0; 2_000_000];
    let two = [&good[..], b"\0"].concat();
    let short = good[..good.len() - 1].to_vec();
    let bomb = framed(true, &gzip(&zeros)?);
    let invalid = Code::InvalidArgument;
    Ok(vec![
        ("nonsense", "identity", framed(false, b"\xff\xff"), invalid),
        ("no frame", "identity", vec![0, 0], invalid),
        ("more than one frame", "identity", two, invalid),
        ("cut short", "identity", short, invalid),
        ("a bad flag", "identity", vec![7, 0, 0, 0, 0], invalid),
        ("not gzip", "gzip", framed(true, b"xyz"), invalid),
        (
            "too large",
            "identity",
            framed(false, &zeros),
            Code::ResourceExhausted,
        ),
        ("a bomb", "gzip", bomb, Code::ResourceExhausted),
        ("another encoding", "br", good, Code::Unimplemented),
    ])
}

#[tokio::test]
async fn wrong_requests_get_the_status_of_the_specification() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let config = Config::new()
        .section("receivers: {http: {max_request_body_size: 100KB}}")
        .json("json", &dir.path().join("events.ndjson"))?;
    let host = run(&config)?.start().await?;
    let to = grpc(&host)?;
    for (case, encoding, body, code) in wrong_bodies()? {
        let answer = post(to, TRACES, &[("grpc-encoding", encoding)], body).await?;
        let got = (answer.http_status, answer.code);
        assert_eq!(got, (200, Some(code as i32)), "{case}: {}", answer.message);
        assert_eq!(answer.details, None, "{case}: sending again would not help");
    }
    let good = framed(false, &traces([1], "").encode_to_vec());
    let answer = post(to, TRACES, &[], good).await?;
    assert_eq!(
        answer.code,
        Some(0),
        "the host is unharmed: {}",
        answer.message
    );
    host.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn a_full_queue_says_when_to_send_again() -> anyhow::Result<()> {
    let backend = Backend::start(Langfuse::default()).await?;
    backend.on(Which::all(), Behaviour::status(503));
    let config = Config::new()
        .section("receivers: {http: {max_request_body_size: 1MiB}}")
        .section("sending_queue: {storage: memory, max_memory: 4MiB}")
        .langfuse("langfuse", &backend.url())?;
    let host = run(&config)?.start().await?;
    let to = grpc(&host)?;
    let payload = "x".repeat(500_000);
    let mut refusal = None;
    for id in 1..=16 {
        let body = framed(false, &traces([id], &payload).encode_to_vec());
        let answer = post(to, TRACES, &[], body).await?;
        if answer.code != Some(0) {
            refusal = Some(answer);
            break;
        }
    }
    let refusal = refusal.context("16 spans of 500 kB fit into 4 MiB")?;
    assert_eq!(
        refusal.code,
        Some(Code::Unavailable as i32),
        "{}",
        refusal.message
    );
    let details = refusal.details.context("no RetryInfo")?;
    let status = base64::Engine::decode(&base64::prelude::BASE64_STANDARD_NO_PAD, details)?;
    let marker = b"type.googleapis.com/google.rpc.RetryInfo";
    assert!(status.windows(marker.len()).any(|window| window == marker));
    Ok(())
}

/// A body that begins and never ends.
struct Unfinished(Option<Bytes>);

impl hyper::body::Body for Unfinished {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.0.take() {
            Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            None => Poll::Pending,
        }
    }
}

#[tokio::test]
async fn a_client_that_hangs_does_not_hold_up_the_end() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("events.ndjson");
    let host = run(&Config::new().json("json", &file)?)?.start().await?;
    let to = grpc(&host)?;
    // One client has sent something and keeps its connection; the other has begun a message and stops there.
    let client = http2();
    let uri = format!("http://{to}{TRACES}");
    let body = Full::new(Bytes::from(framed(false, &traces([1], "").encode_to_vec())));
    let request = hyper::Request::post(&uri)
        .header("content-type", "application/grpc")
        .body(body)?;
    client.request(request).await?.into_body().collect().await?;
    let hanging = http2();
    let body = Unfinished(Some(Bytes::from_static(b"\0\0\0")));
    let request = hyper::Request::post(&uri)
        .header("content-type", "application/grpc")
        .body(body)?;
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move { hanging.request(request).await.is_ok() });
    let two = r#"mastra_host_receiver_requests_total{receiver="grpc"} 2"#;
    while !host
        .send(Outgoing::get("/metrics"))
        .await?
        .text()
        .contains(two)
    {
        tokio::task::yield_now().await;
    }
    let finished = host.terminate().await?;
    finished.expect_code(0)?;
    assert_eq!(lines(&file)?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_taken_port_is_told_and_grpc_can_be_off() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let config = Config::new().json("json", &dir.path().join("events.ndjson"))?;
    let other = Backend::start(Langfuse::default()).await?;
    let taken = other.address().to_string();
    let at_taken = ["--listen", "127.0.0.1:0", "--listen-grpc", &taken];
    let finished = run(&config)?.args(at_taken).finish().await?;
    finished.expect_code(1)?;
    for text in [&*taken, "OTLP/gRPC", "--listen-grpc", "off"] {
        assert!(
            finished.stderr.contains(text),
            "{text}: {}",
            finished.stderr
        );
    }
    let config = config.section("receivers: {grpc: {endpoint: off}}");
    let host = run(&config)?
        .args(["--listen", "127.0.0.1:0"])
        .start_bare()
        .await?;
    assert_eq!(host.grpc_address(), None);
    host.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn a_message_over_64_mib_is_too_large_however_it_is_packed() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let config = Config::new().json("json", &dir.path().join("events.ndjson"))?;
    let host = run(&config)?.start().await?;
    let to = grpc(&host)?;
    let zeros = vec![0; (64 << 20) + 1];
    for (encoding, body) in [
        ("gzip", framed(true, &gzip(&zeros)?)),
        ("zstd", framed(true, &zstd::encode_all(&zeros[..], 1)?)),
        ("identity", framed(false, &zeros)),
    ] {
        let answer = post(to, TRACES, &[("grpc-encoding", encoding)], body).await?;
        let code = Some(Code::ResourceExhausted as i32);
        assert_eq!(answer.code, code, "{encoding}: {}", answer.message);
    }
    let good = framed(false, &traces([1], "").encode_to_vec());
    assert_eq!(post(to, TRACES, &[], good).await?.code, Some(0));
    host.terminate().await?.expect_code(0)
}
