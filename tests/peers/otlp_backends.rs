//! Backends that take OTLP, as they come from their makers: what the exporters send them is read back from their own
//! interfaces. Fails, not skips, where one of them is missing.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test; `Value[key]` answers null for what is not there"
)]

use std::collections::{BTreeMap, BTreeSet};

use e2e::{Config, accounts, recorded_events, run_with_input};
use kit::accounts::Accounts;
use kit::client::Outgoing;
use kit::components;
use peers::installed;
use peers::server::{Server, ServerCommand, free_port, free_ports, poll};
use serde_json::{Value, json};

/// Delivers the recorded events with one exporter, all of them.
async fn deliver(exporter: &str, settings: &str) -> anyhow::Result<Accounts> {
    let config = Config::new().exporter(exporter, &components::exporter(exporter)?, settings);
    let finished = run_with_input(&config, recorded_events()?)?
        .finish()
        .await?;
    finished.expect_code(0)?;
    accounts(&finished)
}

/// The recorded spans that ended, by id.
fn ended_spans() -> anyhow::Result<BTreeMap<String, Value>> {
    let mut spans = BTreeMap::new();
    for line in recorded_events()?.lines() {
        let event: Value = serde_json::from_str(line)?;
        if event["type"] == "span_ended" {
            let span = event["exportedSpan"].clone();
            spans.insert(span["id"].as_str().unwrap().to_owned(), span);
        }
    }
    Ok(spans)
}

async fn phoenix() -> anyhow::Result<Server> {
    let command = ServerCommand::new(&installed::python("phoenix", "phoenix")?)?;
    let [port, grpc] = free_ports()?;
    let directory = command.dir().display().to_string();
    command
        .env("PHOENIX_HOST", "127.0.0.1")
        .env("PHOENIX_PORT", &port.to_string())
        .env("PHOENIX_GRPC_PORT", &grpc.to_string())
        .env("PHOENIX_WORKING_DIR", &directory)
        .env("PHOENIX_TELEMETRY_ENABLED", "false")
        .args(&["serve"])
        .start(port, "/healthz")
        .await
}

#[tokio::test]
async fn phoenix_shows_spans_token_counts_and_annotations() -> anyhow::Result<()> {
    let server = phoenix().await?;
    deliver("arize", &format!("endpoint: \"{}\"", server.url())).await?;
    let recorded = ended_spans()?;

    let spans = poll("all spans in Phoenix", async || {
        let page = server
            .get("/v1/projects/default/spans?limit=1000")
            .await?
            .json()?;
        let spans = page["data"].as_array().unwrap().clone();
        Ok((spans.len() >= recorded.len()).then_some(spans))
    })
    .await?;
    assert_eq!(spans.len(), recorded.len());
    for span in &spans {
        let sent = &recorded[span["context"]["span_id"].as_str().unwrap()];
        assert_eq!(span["context"]["trace_id"], sent["traceId"]);
        assert_eq!(span["parent_id"], sent["parentSpanId"]);
    }
    let generation = spans
        .iter()
        .find(|span| span["context"]["span_id"] == "6bb6be2e64ac5cd1")
        .unwrap();
    assert_eq!(generation["span_kind"], "LLM");

    // What Phoenix itself made of the attributes.
    let query = "query($id: String!) { getSpanByOtelId(spanId: $id) { tokenCountTotal tokenCountPrompt tokenCountCompletion } }";
    let query = json!({"query": query, "variables": {"id": "6bb6be2e64ac5cd1"}});
    let counted = server
        .send(Outgoing::post_json("/graphql", &query))
        .await?
        .json()?;
    assert_eq!(
        counted["data"]["getSpanByOtelId"],
        json!({"tokenCountTotal": 1200, "tokenCountPrompt": 1000, "tokenCountCompletion": 200})
    );

    let annotations = poll("all annotations in Phoenix", async || {
        let span_ids: Vec<String> = recorded.keys().map(|id| format!("span_ids={id}")).collect();
        let traces: BTreeSet<&str> = recorded
            .values()
            .map(|span| span["traceId"].as_str().unwrap())
            .collect();
        let trace_ids: Vec<String> = traces.iter().map(|id| format!("trace_ids={id}")).collect();
        let mut found = Vec::new();
        for (path, ids) in [
            ("span_annotations", span_ids),
            ("trace_annotations", trace_ids),
        ] {
            let target = format!("/v1/projects/default/{path}?limit=1000&{}", ids.join("&"));
            let page = server.get(&target).await?.json()?;
            found.extend(page["data"].as_array().unwrap().iter().map(|one| {
                let of = if path == "span_annotations" {
                    &one["span_id"]
                } else {
                    &one["trace_id"]
                };
                json!([
                    one["name"],
                    one["annotator_kind"],
                    one["result"]["score"],
                    one["result"]["label"],
                    of
                ])
            }));
        }
        Ok((found.len() >= 7).then_some(found))
    })
    .await?;
    assert_eq!(annotations.len(), 7, "{annotations:?}");
    let trace = "4cdc4db2c6dcc0694acd43abc49c8214";
    for expected in [
        json!(["Relevance", "CODE", 0.92, null, trace]),
        json!(["Completeness", "CODE", 42.5, null, "4add6244a8bc296e"]),
        json!(["thumbs", "HUMAN", 1.0, "up", trace]),
        json!(["rating", "HUMAN", 4.0, null, "1476810296f35c14"]),
    ] {
        assert!(
            annotations.contains(&expected),
            "{expected}: {annotations:?}"
        );
    }
    Ok(())
}

async fn mlflow() -> anyhow::Result<Server> {
    let command = ServerCommand::new(&installed::python("mlflow", "mlflow")?)?;
    let port = free_port()?;
    let store = format!("sqlite:///{}/mlflow.db", command.dir().display());
    command
        .env("MLFLOW_DISABLE_TELEMETRY", "true")
        .args(&["server", "--host", "127.0.0.1", "--port", &port.to_string()])
        .args(&["--workers", "1", "--backend-store-uri", &store])
        .start(port, "/health")
        .await
}

#[tokio::test]
async fn mlflow_shows_traces_with_their_token_usage() -> anyhow::Result<()> {
    let server = mlflow().await?;
    let settings = format!(
        "endpoint: \"{}\", headers: {{x-mlflow-experiment-id: \"0\"}}",
        server.url()
    );
    let config = Config::new()
        .exporter("otel", &components::exporter("otel")?, &settings)
        .with("signals: [traces]");
    let finished = run_with_input(&config, recorded_events()?)?
        .finish()
        .await?;
    finished.expect_code(0)?;
    let recorded = ended_spans()?;
    let traces: BTreeSet<&str> = recorded
        .values()
        .map(|span| span["traceId"].as_str().unwrap())
        .collect();
    for trace in traces {
        let spans = recorded
            .values()
            .filter(|span| span["traceId"] == trace)
            .count();
        let target = format!("/api/3.0/mlflow/traces/get?trace_id=tr-{trace}");
        let shown = poll("a trace in MLflow", async || {
            let shown = server.get(&target).await?.json()?;
            let found = shown["trace"]["spans"].as_array().map_or(0, Vec::len);
            Ok((found >= spans).then_some(shown))
        })
        .await?;
        assert_eq!(shown["trace"]["spans"].as_array().unwrap().len(), spans);
        if trace == "4cdc4db2c6dcc0694acd43abc49c8214" {
            let usage = &shown["trace"]["trace_info"]["trace_metadata"]["mlflow.trace.tokenUsage"];
            let usage: Value = serde_json::from_str(usage.as_str().unwrap())?;
            assert_eq!(
                (&usage["input_tokens"], &usage["output_tokens"]),
                (&json!(420), &json!(53))
            );
        }
    }
    Ok(())
}

/// Datadog's test agent, its page and its OTLP port.
async fn datadog_agent() -> anyhow::Result<(Server, u16)> {
    let command = ServerCommand::new(&installed::python("datadog", "ddapm-test-agent")?)?;
    let [port, otlp, otlp_grpc, page] = free_ports()?;
    let snapshots = command.dir().display().to_string();
    let server = command
        .args(&["--host", "127.0.0.1", "--port", &port.to_string()])
        .args(&["--otlp-http-port", &otlp.to_string()])
        .args(&["--otlp-grpc-port", &otlp_grpc.to_string()])
        .args(&["--web-ui-port", &page.to_string()])
        .args(&[
            "--snapshot-dir",
            &snapshots,
            "--disable-llmobs-data-forwarding",
        ])
        .start(port, "/info")
        .await?;
    Ok((server, otlp))
}

/// Objects with this key, wherever they lie.
fn with_key<'v>(value: &'v Value, key: &str, found: &mut Vec<&'v Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| with_key(item, key, found)),
        Value::Object(members) => {
            if members.contains_key(key) {
                found.push(value);
            }
            members
                .values()
                .for_each(|member| with_key(member, key, found));
        }
        _ => {}
    }
}

#[tokio::test]
async fn datadogs_agent_reads_traces_logs_and_metrics_on_its_otlp_port() -> anyhow::Result<()> {
    let (_server, otlp) = datadog_agent().await?;
    deliver("otel", &format!("endpoint: \"http://127.0.0.1:{otlp}\"")).await?;
    let recorded = ended_spans()?;
    let address = ([127, 0, 0, 1], otlp).into();
    let read = async |signal: &str, key: &str| -> anyhow::Result<Vec<Value>> {
        let target = format!("/test/session/{signal}");
        let shown = Outgoing::get(&target).send(address).await?.json()?;
        let mut found = Vec::new();
        with_key(&shown, key, &mut found);
        Ok(found.into_iter().cloned().collect())
    };
    let spans = poll("all spans in the agent", async || {
        let spans = read("traces", "start_time_unix_nano").await?;
        Ok((spans.len() >= recorded.len()).then_some(spans))
    })
    .await?;
    assert_eq!(spans.len(), recorded.len());
    let logs = read("logs", "severity_number").await?;
    // Six logs, four scores and three pieces of feedback.
    assert_eq!(logs.len(), 13);
    let metrics = read("metrics", "unit").await?;
    assert!(!metrics.is_empty());
    Ok(())
}
