//! What the official Mastra client was recorded to publish is accepted and reaches the backends.

use anyhow::Context as _;
use e2e::{Config, accounts, lines, run};
use kit::accounts::Account;
use kit::backend::Backend;
use kit::backend::langfuse::{Langfuse, SPAN};
use kit::client::Outgoing;
use kit::fixtures::{bench_bodies, span};
use kit::paths;
use serde_json::{Value, json};

/// A recorded request, as it was sent but for the headers that belong to its connection.
fn outgoing(recorded: &Value) -> anyhow::Result<Outgoing> {
    let path = recorded["path"]
        .as_str()
        .context("a recorded request has no path")?;
    let mut request = Outgoing::post(path, "application/json", recorded["body"].to_string());
    for (name, value) in recorded["headers"]
        .as_object()
        .context("a recorded request has no headers")?
    {
        let is_of_connection = ["host", "connection", "content-length", "content-type"]
            .contains(&&*name.to_lowercase());
        if !is_of_connection {
            request = request.header(name, value.as_str().unwrap_or_default());
        }
    }
    Ok(request)
}

fn corpus(file: &str) -> anyhow::Result<Value> {
    let text = std::fs::read_to_string(paths::corpus(file))
        .with_context(|| format!("cannot read tests/corpus/{file}"))?;
    serde_json::from_str(&text).with_context(|| format!("{file} is not JSON"))
}

#[tokio::test]
async fn every_recorded_publish_is_accepted_and_delivered() -> anyhow::Result<()> {
    let backend = Backend::start(Langfuse::default()).await?;
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("events.ndjson");
    let config = Config::new()
        .langfuse("langfuse", &backend.url())?
        .json("json", &file)?;
    let host = run(&config)?.start().await?;
    for recorded in corpus("mastra-platform.json")?["requests"]
        .as_array()
        .context("no requests")?
    {
        let reply = host.send(outgoing(recorded)?).await?;
        assert_eq!(reply.status, 200, "{}: {}", recorded["path"], reply.text());
        assert_eq!(reply.json()?["rejected"], json!([]), "{}", recorded["path"]);
    }
    let finished = host.terminate().await?;
    finished.expect_code(0)?;
    let accounts = accounts(&finished)?;
    for (signal, count) in [
        ("traces", 26),
        ("logs", 6),
        ("metrics", 25),
        ("scores", 4),
        ("feedback", 3),
    ] {
        assert_eq!(
            accounts.of("json", signal)?,
            Account::delivered(count),
            "{signal}"
        );
    }
    assert_eq!(lines(&file)?.len(), 64);
    assert_eq!(accounts.of("langfuse", "traces")?, Account::delivered(26));
    Ok(())
}

#[tokio::test]
async fn every_request_of_the_recorded_scenarios_is_accepted() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let config = Config::new().json("json", &dir.path().join("events.ndjson"))?;
    let host = run(&config)?.start().await?;
    let corpus = corpus("protocol-platform.json")?;
    let scenarios = corpus["scenarios"].as_object().context("no scenarios")?;
    let mut count = 0;
    for (name, scenario) in scenarios {
        for recorded in scenario["requests"].as_array().context("no requests")? {
            let reply = host.send(outgoing(recorded)?).await?;
            assert_eq!(
                reply.status,
                200,
                "{name} {}: {}",
                recorded["path"],
                reply.text()
            );
            count += 1;
        }
    }
    assert!(count > 25, "{count} requests");
    host.terminate().await?.expect_code(0)
}

#[tokio::test]
async fn any_prefix_before_the_segment_is_taken() -> anyhow::Result<()> {
    let backend = Backend::start(Langfuse::default()).await?;
    let host = run(&Config::new().langfuse("langfuse", &backend.url())?)?
        .start()
        .await?;
    for (n, prefix) in ["", "/ai", "/projects/p-1/ai", "/a/b/c/d"]
        .iter()
        .enumerate()
    {
        let body = json!({"spans": [span(1, n as u64, None, "agent_run")["exportedSpan"]]});
        let reply = host
            .send(Outgoing::post_json(
                &format!("{prefix}/spans/publish"),
                &body,
            ))
            .await?;
        assert_eq!(reply.status, 200, "{prefix}: {}", reply.text());
    }
    backend.wait_for_stored(SPAN, 4).await
}

#[tokio::test]
async fn a_batch_that_is_sent_again_is_delivered_once() -> anyhow::Result<()> {
    let backend = Backend::start(Langfuse::default()).await?;
    let host = run(&Config::new().langfuse("langfuse", &backend.url())?)?
        .start()
        .await?;
    let bodies = bench_bodies(20, 1_300, 20);
    for _ in 0..3 {
        for body in &bodies {
            let reply = host
                .send(Outgoing::post(
                    "/ai/spans/publish",
                    "application/json",
                    body.clone(),
                ))
                .await?;
            assert_eq!(reply.status, 200, "{}", reply.text());
        }
    }
    let finished = host.terminate().await?;
    finished.expect_code(0)?;
    accounts(&finished)?;
    backend.wait_for_stored(SPAN, 20).await?;
    assert_eq!(backend.stored(SPAN).len(), 20);
    Ok(())
}

#[tokio::test]
async fn only_known_tokens_may_publish_when_there_are_any() -> anyhow::Result<()> {
    let backend = Backend::start(Langfuse::default()).await?;
    let tokens = "receivers: {http: {auth: {tokens: [{label: app, token: \"let-me-in\"}]}}}";
    let config = Config::new()
        .section(tokens)
        .langfuse("langfuse", &backend.url())?;
    let host = run(&config)?.start_with_token("let-me-in").await?;
    let body = json!({"spans": [span(1, 1, None, "agent_run")["exportedSpan"]]});
    for (authorization, status) in [
        (None, 401),
        (Some("Bearer wrong"), 401),
        (Some("Bearer let-me-in"), 200),
    ] {
        let mut request = Outgoing::post_json("/ai/spans/publish", &body);
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        assert_eq!(
            host.send(request).await?.status,
            status,
            "{authorization:?}"
        );
    }
    let finished = host.terminate().await?;
    assert!(
        !finished.stderr.contains("let-me-in"),
        "the token is in the log"
    );
    backend.wait_for_stored(SPAN, 1).await?;
    assert_eq!(backend.stored(SPAN).len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_compressed_body_is_taken() -> anyhow::Result<()> {
    let backend = Backend::start(Langfuse::default()).await?;
    let host = run(&Config::new().langfuse("langfuse", &backend.url())?)?
        .start()
        .await?;
    let body = bench_bodies(20, 1_300, 20).concat();
    let reply = host
        .send(Outgoing::post("/ai/spans/publish", "application/json", body).gzip()?)
        .await?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    backend.wait_for_stored(SPAN, 20).await
}
