//! The load generator against a stand-in for the host that forwards to the sink.

use super::*;
use crate::spans::SpanMaker;
use axum::http::StatusCode as AxumStatus;
use std::collections::HashSet;
use std::sync::Mutex;

#[derive(Default)]
struct StandIn {
    ids: HashSet<String>,
    requests: u64,
    bytes: usize,
}

/// Answers 503 to every third request, forwards the others to the sink as OTLP JSON.
async fn start(
    sink_url: String,
    answer: &'static str,
) -> (SocketAddr, Arc<Mutex<StandIn>>, JoinSet<()>) {
    let seen = Arc::new(Mutex::new(StandIn::default()));
    let shared = Arc::clone(&seen);
    let sink: SocketAddr = sink_url.trim_start_matches("http://").parse().unwrap();
    let handler = move |body: Bytes| {
        let shared = Arc::clone(&shared);
        async move {
            let forward = {
                let mut seen = shared.lock().unwrap();
                seen.requests += 1;
                if seen.requests.is_multiple_of(3) {
                    return (AxumStatus::SERVICE_UNAVAILABLE, "");
                }
                seen.bytes += body.len();
                let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
                let spans = value["spans"].as_array().unwrap();
                for span in spans {
                    assert!(seen.ids.insert(span["spanId"].to_string()));
                }
                format!("[{}]", vec![r#"{"spanId":"1"}"#; spans.len()].join(","))
            };
            let stream = TcpStream::connect(sink).await.unwrap();
            let (mut sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
            let mut tasks = JoinSet::new();
            tasks.spawn(connection);
            let request = Request::post("/api/public/otel/v1/traces")
                .header(header::HOST, "sink")
                .header(header::CONTENT_TYPE, "application/json")
                .body(Full::new(Bytes::from(forward)))
                .unwrap();
            assert_eq!(
                sender.send_request(request).await.unwrap().status(),
                StatusCode::OK
            );
            (AxumStatus::OK, answer)
        }
    };
    let router = axum::Router::new()
        .route("/ai/spans/publish", axum::routing::post(handler))
        .layer(axum::extract::DefaultBodyLimit::disable());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = JoinSet::new();
    server.spawn(async move { axum::serve(listener, router).await.unwrap() });
    (address, seen, server)
}

fn load(target: SocketAddr) -> Arc<Load> {
    Arc::new(Load {
        target,
        bodies: Box::new(SpanMaker::new(1_300, 7).unwrap()),
        spans_a_body: 100,
        connections: 3,
        backlog: 400,
    })
}

#[tokio::test]
async fn every_body_arrives_once_although_some_are_refused() {
    let sink = Arc::new(Sink::start().await.unwrap());
    let (target, seen, _server) = start(sink.url(), r#"{"accepted":100,"rejected":[]}"#).await;
    let sent = load(target).run(0, 20, &sink).await.unwrap();
    assert_eq!(sink.spans(), 2_000);
    let seen = seen.lock().unwrap();
    assert_eq!(seen.ids.len(), 2_000);
    assert_eq!(sent.refused, seen.requests - 20);
    assert!(sent.refused > 0);
}

#[tokio::test]
async fn records_that_the_host_refuses_fail_the_load() {
    let sink = Arc::new(Sink::start().await.unwrap());
    let answer = r#"{"accepted":99,"rejected":[{"index":1,"field":"traceId","reason":"zero"}]}"#;
    let (target, _seen, _server) = start(sink.url(), answer).await;
    let error = load(target).run(0, 20, &sink).await.unwrap_err();
    assert!(
        format!("{error:#}").contains("refused records"),
        "{error:#}"
    );
}
