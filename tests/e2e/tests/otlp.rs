//! OpenTelemetry senders: what they post arrives, and they are answered as the specification wants.

#![allow(
    clippy::indexing_slicing,
    reason = "`Value[key]` answers null for what is not there"
)]

use anyhow::Context as _;
use e2e::{Config, accounts, lines, run};
use kit::client::Outgoing;
use serde_json::{Value, json};

fn span(id: u64, name: &str) -> Value {
    json!({
        "traceId": "0a".repeat(16), "spanId": format!("{id:016x}"), "name": name, "kind": 3,
        "startTimeUnixNano": "1780000000000000000", "endTimeUnixNano": "1780000001000000000",
        "attributes": [
            {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
            {"key": "gen_ai.request.model", "value": {"stringValue": "m"}},
            {"key": "own", "value": {"intValue": "7"}},
        ],
    })
}

fn traces(spans: &[Value]) -> String {
    let resource =
        json!({"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]});
    json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}).to_string()
}

fn post(path: &str, body: impl Into<Vec<u8>>) -> Outgoing {
    Outgoing::post(path, "application/json", body.into())
}

#[tokio::test]
async fn traces_logs_and_metrics_arrive_and_bad_items_are_told() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("events.ndjson");
    let host = run(&Config::new().json("json", &file)?)?.start().await?;

    let mut bad = span(2, "bad");
    bad["spanId"] = json!("00".repeat(8));
    let reply = host
        .send(post("/v1/traces", traces(&[span(1, "chat m"), bad])))
        .await?;
    let answer: Value = serde_json::from_slice(&reply.body)?;
    assert_eq!(reply.status, 200, "{answer}");
    assert_eq!(answer["partialSuccess"]["rejectedSpans"], "1");

    let log = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [
        {"timeUnixNano": "1780000000000000000", "severityNumber": 9, "body": {"stringValue": "hello"}},
    ]}]}]});
    let metric = json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [
        {"name": "tokens", "sum": {"aggregationTemporality": 1, "dataPoints": [{"timeUnixNano": "1780000000000000000", "asInt": "3"}]}},
    ]}]}]});
    for (path, body) in [("/v1/logs", log), ("/v1/metrics", metric)] {
        let reply = host.send(post(path, body.to_string())).await?;
        assert_eq!((reply.status, &reply.body[..]), (200, &b"{}"[..]), "{path}");
    }
    let finished = host.terminate().await?;
    finished.expect_code(0)?;
    let accounts = accounts(&finished)?;
    for signal in ["traces", "logs", "metrics"] {
        assert_eq!(accounts.of("json", signal)?.delivered, 1, "{signal}");
    }
    let events: Vec<Value> = lines(&file)?
        .iter()
        .map(|line| serde_json::from_str(line))
        .collect::<Result<_, _>>()?;
    let exported = events
        .iter()
        .find_map(|event| event.get("exportedSpan"))
        .context("no span")?;
    // Understood, and whole.
    assert_eq!(exported["type"], "model_generation");
    assert_eq!(exported["attributes"]["own"], 7);
    assert_eq!(exported["otel"]["kind"], "client");
    assert_eq!(exported["resource"]["attributes"]["service.name"], "shop");
    Ok(())
}

#[tokio::test]
async fn wrong_requests_get_the_status_of_the_specification() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let config = Config::new()
        .section("receivers: {http: {max_request_body_size: 100KB}}")
        .json("json", &dir.path().join("events.ndjson"))?;
    let host = run(&config)?.start().await?;
    let plain = Outgoing::post("/v1/traces", "text/plain", "x");
    assert_eq!(host.send(plain).await?.status, 415);
    assert_eq!(host.send(post("/v1/traces", "nonsense")).await?.status, 400);
    let protobuf = Outgoing::post("/v1/logs", "application/x-protobuf", &b"\xff\xff"[..]);
    let reply = host.send(protobuf).await?;
    assert_eq!(reply.status, 400);
    assert_eq!(reply.header("content-type"), Some("application/x-protobuf"));
    let large = vec![b' '; 200_000];
    assert_eq!(host.send(post("/v1/metrics", large)).await?.status, 413);
    assert_eq!(
        host.send(post("/v1/traces", traces(&[]))).await?.status,
        200
    );
    host.terminate().await?.expect_code(0)
}

#[tokio::test]
async fn wrong_ids_are_refused_one_by_one_and_far_times_are_kept() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("events.ndjson");
    let host = run(&Config::new().json("json", &file)?)?.start().await?;
    let with = |id: u64, key: &str, value: Value| {
        let mut span = span(id, "x");
        span[key] = value;
        span
    };
    let spans = [
        with(1, "traceId", json!("0a".repeat(15))),
        with(2, "traceId", json!("00".repeat(16))),
        with(3, "spanId", json!("0b".repeat(9))),
        with(4, "parentSpanId", json!("0c")),
        // The last moment that a time of 64 bits can say, and an end before the beginning.
        with(5, "startTimeUnixNano", json!(u64::MAX.to_string())),
        with(6, "endTimeUnixNano", json!("1")),
    ];
    let reply = host.send(post("/v1/traces", traces(&spans))).await?;
    let answer: Value = serde_json::from_slice(&reply.body)?;
    assert_eq!(
        (reply.status, &answer["partialSuccess"]["rejectedSpans"]),
        (200, &json!("4"))
    );
    let told = answer["partialSuccess"]["errorMessage"]
        .as_str()
        .context("no message")?;
    assert!(
        told.contains("traceId: must have 16 bytes, has 15; 3 more"),
        "{told}"
    );
    // What is no time at all leaves nothing to read.
    for time in [
        json!("-1"),
        json!(1e30),
        json!("99999999999999999999999"),
        json!("soon"),
    ] {
        let body = traces(&[with(7, "startTimeUnixNano", time.clone())]);
        let reply = host.send(post("/v1/traces", body)).await?;
        assert_eq!(reply.status, 400, "{time}");
    }
    host.terminate().await?.expect_code(0)?;
    assert_eq!(lines(&file)?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_body_over_64_mib_is_too_large_however_it_is_packed() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let config = Config::new().json("json", &dir.path().join("events.ndjson"))?;
    let host = run(&config)?.start().await?;
    let blanks = Outgoing::post(
        "/v1/traces",
        "application/x-protobuf",
        vec![0; (64 << 20) + 1],
    );
    let zstd = zstd::encode_all(&blanks.body[..], 1)?;
    let zstd = Outgoing::post("/v1/traces", "application/x-protobuf", zstd)
        .header("content-encoding", "zstd");
    for bomb in [blanks.clone().gzip()?, zstd] {
        assert_eq!(host.send(bomb).await?.status, 413);
    }
    // The host may close the connection before it has read all: either way the request is refused.
    if let Ok(reply) = host.send(blanks).await {
        assert_eq!(reply.status, 413);
    }
    assert_eq!(
        host.send(post("/v1/traces", traces(&[span(1, "x")])))
            .await?
            .status,
        200
    );
    host.terminate().await?.expect_code(0)
}
