//! VictoriaMetrics takes the remote writes of the prometheus exporter, and the series of the datadog exporter.

use e2e::{Config, accounts, run_with_input};
use kit::accounts::Account;
use kit::components;
use peers::installed;
use peers::measurements::{ANSWERS, DURATIONS_MS, HIT_RATIO, events, series_now};
use peers::query::wait_for;
use peers::server::{Server, ServerCommand, free_port};

/// Makes what came in visible at once.
const FLUSH: &str = "/internal/force_flush";

async fn victoria_metrics() -> anyhow::Result<Server> {
    let command = ServerCommand::new(&installed::debian("victoria-metrics")?)?;
    let storage = command.dir().join("data");
    let port = free_port()?;
    command
        .args(&[&format!("-storageDataPath={}", storage.display())])
        .args(&[&format!("-httpListenAddr=127.0.0.1:{port}")])
        .args(&[
            "-retentionPeriod=1d",
            "-search.latencyOffset=1ms",
            "-search.disableCache",
        ])
        .start(port, "/health")
        .await
}

#[tokio::test]
async fn remote_write_arrives() -> anyhow::Result<()> {
    for version in ["1.0", "2.0"] {
        let server = victoria_metrics().await?;
        let settings = format!(
            "remote_write_url: \"{}/api/v1/write\", remote_write_version: \"{version}\"",
            server.url()
        );
        let component = components::exporter("prometheus")?;
        let config = Config::new().exporter("prometheus", &component, &settings);
        let finished = run_with_input(&config, events())?.finish().await?;
        finished.expect_code(0)?;
        let account = accounts(&finished)?.of("prometheus", "metrics")?;
        assert_eq!(account, Account::delivered(6), "{version}");
        server.get(FLUSH).await?;
        let web = "app_answers_total{channel=%22web%22,job=%22support-bot%22}";
        wait_for(&server, web, ANSWERS.iter().sum()).await?;
        wait_for(&server, "app_hit_ratio", HIT_RATIO).await?;
        let seconds: f64 = DURATIONS_MS.iter().sum::<f64>() / 1_000.0;
        wait_for(&server, "mastra_agent_duration_seconds_sum", seconds).await?;
    }
    Ok(())
}

/// Version 1.79 knows version 1 of the series API, and no distributions.
#[tokio::test]
async fn datadogs_series_arrive() -> anyhow::Result<()> {
    let server = victoria_metrics().await?;
    let settings = format!(
        "base_url: \"{}/datadog\", api_key: key, ml_app: support-bot, env: test, series_version: v1",
        server.url()
    );
    let component = components::exporter("datadog")?;
    let config = Config::new().exporter("datadog", &component, &settings);
    let finished = run_with_input(&config, series_now())?.finish().await?;
    finished.expect_code(0)?;
    let account = accounts(&finished)?.of("datadog", "metrics")?;
    assert_eq!(account, Account::delivered(4));
    server.get(FLUSH).await?;
    // All of one second: a count is what came in it.
    let web = "app_answers_total{channel=%22web%22,service=%22support-bot%22,env=%22test%22}";
    wait_for(&server, web, ANSWERS.iter().sum()).await?;
    wait_for(&server, "app_hit_ratio", HIT_RATIO).await
}
