//! A real Prometheus scrapes the exporter's page and takes its remote writes; `promtool` has nothing to say of the page.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use std::process::Stdio;

use anyhow::Context as _;
use e2e::{Config, accounts, run, run_with_input};
use kit::accounts::Account;
use kit::client::Outgoing;
use kit::components;
use kit::host::RunningHost;
use peers::installed;
use peers::measurements::{ANSWERS, DURATIONS_MS, HIT_RATIO, events};
use peers::query::{values, wait_for};
use peers::server::{Server, ServerCommand, free_port, poll};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

const PAGE: &str = "/exporters/prometheus/metrics";

/// A Prometheus with this scrape configuration, which takes remote writes too.
async fn prometheus(scrape_configs: &str) -> anyhow::Result<Server> {
    let command = ServerCommand::new(&installed::debian("prometheus")?)?;
    let config = command.dir().join("prometheus.yml");
    let storage = command.dir().join("data");
    std::fs::write(&config, format!("scrape_configs: {scrape_configs}\n"))?;
    let port = free_port()?;
    command
        .args(&[&format!("--config.file={}", config.display())])
        .args(&[&format!("--storage.tsdb.path={}", storage.display())])
        .args(&[&format!("--web.listen-address=127.0.0.1:{port}")])
        .args(&["--web.enable-remote-write-receiver"])
        .args(&["--enable-feature=exemplar-storage"])
        .start(port, "/-/ready")
        .await
}

/// A Prometheus that scrapes this host every second.
async fn scraping(host: &RunningHost) -> anyhow::Result<Server> {
    prometheus(&format!(
        "[{{job_name: agents, honor_labels: true, scrape_interval: 1s, metrics_path: {PAGE}, static_configs: \
         [{{targets: [\"{}\"]}}]}}]",
        host.address()
    ))
    .await
}

fn config(settings: &str) -> anyhow::Result<Config> {
    let component = components::exporter("prometheus")?;
    Ok(Config::new().exporter("prometheus", &component, settings))
}

/// What was measured, as any of its readers has it.
async fn wait_for_measurements(server: &Server) -> anyhow::Result<()> {
    let web = "app_answers_total{channel=%22web%22,job=%22support-bot%22}";
    wait_for(server, web, ANSWERS.iter().sum()).await?;
    wait_for(server, "app_hit_ratio", HIT_RATIO).await?;
    let seconds: f64 = DURATIONS_MS.iter().sum::<f64>() / 1_000.0;
    wait_for(server, "mastra_agent_duration_seconds_sum", seconds).await?;
    wait_for(server, "mastra_agent_duration_seconds_count", 2.0).await?;
    let bucket = |bound: &str| format!("mastra_agent_duration_seconds_bucket{{le=%22{bound}%22}}");
    wait_for(server, &bucket("0.01"), 0.0).await?;
    wait_for(server, &bucket("0.025"), 1.0).await?;
    wait_for(server, &bucket("%2BInf"), 2.0).await
}

#[tokio::test]
async fn a_scraper_finds_what_was_measured_and_no_fault() -> anyhow::Result<()> {
    let host = run(&config("max_series: 1000")?)?.start().await?;
    host.send_events(events()).await?;
    let prometheus = scraping(&host).await?;
    wait_for_measurements(&prometheus).await?;
    let targets = prometheus.get("/api/v1/targets").await?.json()?;
    let target = &targets["data"]["activeTargets"][0];
    assert_eq!(
        (&target["health"], &target["lastError"]),
        (&"up".into(), &"".into())
    );
    // It asks for OpenMetrics, which has exemplars.
    let exemplars =
        "/api/v1/query_exemplars?query=mastra_agent_duration_seconds_bucket&start=0&end=9999999999";
    let found = prometheus.get(exemplars).await?.json()?;
    assert_ne!(
        found["data"][0]["exemplars"][0]["labels"]["trace_id"],
        serde_json::Value::Null,
        "{found}"
    );
    let finished = host.terminate().await?;
    finished.expect_code(0)?;
    let account = accounts(&finished)?.of("prometheus", "metrics")?;
    assert_eq!(account, Account::delivered(6));
    Ok(())
}

#[tokio::test]
async fn a_restart_is_a_reset_for_rates_and_not_a_loss() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let start = async |listen: &str| {
        let command = run(&config("max_series: 1000")?)?;
        let command = command.arg("--data-dir").arg(data.path().as_os_str());
        command.args(["--listen", listen]).start_bare().await
    };
    let first = start("127.0.0.1:0").await?;
    let address = first.address().to_string();
    first.send_events(events()).await?;
    let prometheus = scraping(&first).await?;
    wait_for(&prometheus, "app_answers_total", ANSWERS.iter().sum()).await?;
    first.terminate().await?.expect_code(0)?;
    let second = start(&address).await?;
    let another = kit::fixtures::with(
        kit::fixtures::metric(2, 99),
        "name",
        "app_answers_total".into(),
    );
    let another = kit::fixtures::with(another, "labels", serde_json::json!({"channel": "web"}));
    let another = kit::fixtures::with(another, "value", 1.into());
    second
        .send_events(kit::fixtures::ndjson(&[another]))
        .await?;
    wait_for(&prometheus, "app_answers_total", 1.0).await?;
    wait_for(&prometheus, "resets(app_answers_total[5m])", 1.0).await?;
    second.terminate().await?.expect_code(0)
}

#[tokio::test]
async fn promtool_has_nothing_to_say_of_the_page() -> anyhow::Result<()> {
    let host = run(&config("max_series: 1000")?)?.start().await?;
    host.send_events(events()).await?;
    host.send_events(e2e::recorded_events()?).await?;
    let page = poll("the page", async || {
        let page = host.send(Outgoing::get(PAGE)).await?.text();
        let is_whole = page.contains("app_answers_total") && page.contains("app_queue_depth");
        Ok(is_whole.then_some(page))
    })
    .await?;
    let mut promtool = Command::new(installed::debian("promtool")?)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut stdin = promtool.stdin.take().context("no standard input")?;
    stdin.write_all(page.as_bytes()).await?;
    drop(stdin);
    let output = promtool.wait_with_output().await?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.is_empty(), "{said}\n{page}");
    Ok(())
}

/// Version 2.42 knows 1.0 alone and takes a 2.0 body for an empty one: the exporter must see that.
#[tokio::test]
async fn remote_write_arrives_in_the_version_that_the_receiver_knows() -> anyhow::Result<()> {
    for version in ["1.0", "2.0"] {
        let prometheus = prometheus("[]").await?;
        let settings = format!(
            "remote_write_url: \"{}/api/v1/write\", remote_write_version: \"{version}\"",
            prometheus.url()
        );
        let finished = run_with_input(&config(&settings)?, events())?
            .finish()
            .await?;
        finished.expect_code(0)?;
        let account = accounts(&finished)?.of("prometheus", "metrics")?;
        assert_eq!(account, Account::delivered(6), "{version}");
        wait_for_measurements(&prometheus).await?;
        assert!(values(&prometheus, "no_such_metric").await?.is_empty());
    }
    Ok(())
}
