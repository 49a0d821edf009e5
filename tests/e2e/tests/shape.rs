//! The operator decides what each exporter gets of an event; credentials go nowhere unless the operator wants it.

use std::collections::BTreeSet;
use std::path::Path;

use e2e::{Config, accounts, lines, run, run_with_input};
use kit::client::Outgoing;
use kit::fixtures::{log, metric, ndjson, score, span, span_id, trace_id, with};
use serde_json::{Value, json};

const KEY: &str = "sk-proj-abcdefghijklmnop1234";

fn with_secrets() -> Value {
    let input = json!({"headers": {"Authorization": "Bearer 123"}, "text": format!("use {KEY}"), "task": "sk-eleton"});
    let usage = json!({"usage": {"inputTokens": 12, "outputTokens": 34}});
    with(
        with(span(1, 1, None, "model_generation"), "input", input),
        "attributes",
        usage,
    )
}

#[tokio::test]
async fn credentials_reach_no_backend_and_token_counts_do() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("events");
    let config = Config::new().json("json", &file)?;
    let host = run(&config)?.start().await?;
    host.send_events(ndjson(&[with_secrets()])).await?;
    let page = metrics_with(
        &host,
        "mastra_host_exporter_shaped_items_total{exporter=\"json\",action=\"redacted\"} 1",
    )
    .await?;
    assert!(
        page.contains("mastra_host_last_reload_successful 1"),
        "{page}"
    );
    host.terminate().await?.expect_code(0)?;
    let text = lines(&file)?.concat();
    assert!(
        !text.contains(KEY) && !text.contains("Bearer 123"),
        "{text}"
    );
    for kept in [
        "use [REDACTED]",
        "sk-eleton",
        "\"inputTokens\":12",
        "\"outputTokens\":34",
    ] {
        assert!(text.contains(kept), "{kept}: {text}");
    }
    Ok(())
}

#[tokio::test]
async fn redaction_can_be_turned_off_for_one_exporter_alone() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let (plain, redacted) = (dir.path().join("plain"), dir.path().join("redacted"));
    let config = Config::new()
        .json("json/plain", &plain)?
        .with("shape: {redaction: {credentials: false}, max_string_bytes: 64B}")
        .json("json/redacted", &redacted)?
        .with("shape: {redaction: {keys: [question], patterns: ['Lis\\w+']}}");
    let long = with(
        span(1, 2, None, "agent_run"),
        "output",
        "x".repeat(100).into(),
    );
    let asking = span(1, 3, None, "agent_run");
    let events = [with_secrets(), long, asking];
    let finished = run_with_input(&config, ndjson(&events))?.finish().await?;
    finished.expect_code(0)?;
    let plain = lines(&plain)?.concat();
    assert!(
        plain.contains(KEY) && plain.contains("in Lisbon?"),
        "{plain}"
    );
    assert!(plain.contains("xxxx[truncated 36 bytes]\""), "{plain}");
    let redacted = lines(&redacted)?.concat();
    assert!(
        !redacted.contains(KEY) && !redacted.contains("Lisbon"),
        "{redacted}"
    );
    assert!(
        redacted.contains("\"question\":\"[REDACTED]\""),
        "{redacted}"
    );
    assert!(redacted.contains(&"x".repeat(100)), "{redacted}");
    Ok(())
}

#[tokio::test]
async fn children_of_dropped_spans_hang_on_their_nearest_kept_ancestor() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("events");
    let config = Config::new().json("json", &file)?.with(
        "shape: {span_types: {drop: [model_step, model_chunk]}, log_levels: {keep: [error]}}",
    );
    // Children first and in several requests, as the platform's client sends them.
    let requests = [
        vec![span(1, 4, Some(3), "tool_call")],
        vec![
            span(1, 3, Some(2), "model_chunk"),
            log(1, 1, "debug"),
            log(1, 2, "error"),
        ],
        vec![span(1, 2, Some(1), "model_step")],
        vec![span(1, 1, None, "agent_run")],
    ];
    let host = run(&config)?.start().await?;
    for events in requests {
        assert_eq!(host.send_events(ndjson(&events)).await?.status, 200);
    }
    // Long after its trace: its dropped parent is still known.
    metrics_with(
        &host,
        "mastra_host_exporter_delivered_items_total{exporter=\"json\",signal=\"traces\"} 2",
    )
    .await?;
    host.send_events(ndjson(&[span(1, 5, Some(3), "tool_call")]))
        .await?;
    metrics_with(
        &host,
        "mastra_host_exporter_shape_filtered_items_total{exporter=\"json\",reason=\"log_level\"} 1",
    )
    .await?;
    let finished = host.terminate().await?;
    finished.expect_code(0)?;
    let account = accounts(&finished)?.of("json", "traces")?;
    assert_eq!(
        (account.received, account.delivered, account.filtered),
        (5, 3, 2)
    );
    let lines = lines(&file)?;
    let parent = format!("\"parentSpanId\":\"{}\"", span_id(1));
    for child in [4, 5] {
        let own = format!("\"id\":\"{}\"", span_id(child));
        let line = lines.iter().find(|line| line.contains(&own));
        assert!(line.is_some_and(|line| line.contains(&parent)), "{lines:?}");
    }
    Ok(())
}

/// Ids of the traces that a file's lines name.
fn traces(file: &Path, kind: &str) -> anyhow::Result<BTreeSet<u64>> {
    let lines = lines(file)?;
    let names = |n: &u64| {
        let id = trace_id(*n);
        lines
            .iter()
            .any(|line| line.contains(kind) && line.contains(&id))
    };
    Ok((1..=100).filter(names).collect())
}

#[tokio::test]
async fn every_exporter_and_signal_samples_the_same_traces() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let (one, other) = (dir.path().join("one"), dir.path().join("other"));
    let config = Config::new()
        .json("json/one", &one)?
        .with("shape: {sampling_percentage: 50}")
        .json("json/other", &other)?
        .with("shape: {sampling_percentage: 50}");
    let events: Vec<Value> = (1..=100)
        .flat_map(|n| {
            [
                span(n, n, None, "agent_run"),
                score(n, n, None),
                metric(n, n),
            ]
        })
        .collect();
    let finished = run_with_input(&config, ndjson(&events))?.finish().await?;
    finished.expect_code(0)?;
    let kept = traces(&one, "span_ended")?;
    assert!((30..70).contains(&kept.len()), "{}", kept.len());
    assert_eq!(traces(&other, "span_ended")?, kept);
    assert_eq!(
        traces(&one, "\"score\"")?,
        kept,
        "scores go with their traces"
    );
    let accounts = accounts(&finished)?;
    let spans = accounts.of("json/one", "traces")?;
    assert_eq!(spans.delivered, kept.len() as u64);
    assert_eq!(spans.delivered + spans.filtered, 100);
    assert_eq!(
        accounts.of("json/one", "metrics")?.delivered,
        100,
        "never sampled"
    );
    Ok(())
}

/// Asks for `/metrics` until it has this line.
async fn metrics_with(host: &kit::host::RunningHost, line: &str) -> anyhow::Result<String> {
    let asked = tokio::time::timeout(kit::host::DEADLINE, async {
        loop {
            let page = host.send(Outgoing::get("/metrics")).await?.text();
            if page.lines().any(|it| it == line) {
                return anyhow::Ok(page);
            }
            tokio::task::yield_now().await;
        }
    });
    asked.await?
}
