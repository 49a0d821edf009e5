//! Recorded agent events reach the gateway of Grafana Cloud: spans, running totals, and logs, scores and feedback as log
//! records; every one is counted once.

use e2e::{Config, accounts, recorded_events, run_with_input};
use kit::accounts::Account;
use kit::backend::Backend;
use kit::backend::collector::{Collector, LOG, METRIC, SPAN};
use kit::components;
use kit::host::HostCommand;

#[tokio::test]
async fn five_signals_arrive_and_are_counted_exactly() -> anyhow::Result<()> {
    let backend = Backend::start(Collector::grafana_cloud()).await?;
    let settings = format!(
        "instance_id: \"123456\", token: glc_test, endpoint: \"{}/otlp\"",
        backend.url()
    );
    let component = components::exporter("grafana-cloud")?;
    let config = Config::new().exporter("grafana-cloud", &component, &settings);
    let finished = run_with_input(&config, recorded_events()?)?
        .finish()
        .await?;
    finished.expect_code(0)?;
    let accounts = accounts(&finished)?;
    assert_eq!(accounts.of("grafana-cloud", "traces")?.delivered, 28);
    for (signal, count) in [("logs", 6), ("metrics", 25), ("scores", 4), ("feedback", 3)] {
        assert_eq!(
            accounts.of("grafana-cloud", signal)?,
            Account::delivered(count)
        );
    }
    assert_eq!(
        (backend.stored(SPAN).len(), backend.stored(LOG).len()),
        (28, 6 + 4 + 3)
    );
    assert!(!backend.stored(METRIC).is_empty());
    Ok(())
}

#[tokio::test]
async fn settings_come_from_variables() -> anyhow::Result<()> {
    let backend = Backend::start(Collector::grafana_cloud()).await?;
    let finished = HostCommand::new("run")?
        .plugin("grafana-cloud")?
        .args(["--output", "json", "--input", "-"])
        .env("GRAFANA_CLOUD_INSTANCE_ID", "123456")
        .env("GRAFANA_CLOUD_TOKEN", "glc_test")
        .env(
            "GRAFANA_CLOUD_OTLP_ENDPOINT",
            &format!("{}/otlp", backend.url()),
        )
        .stdin(recorded_events()?)
        .finish()
        .await?;
    finished.expect_code(0)?;
    assert_eq!(backend.stored(SPAN).len(), 28);
    Ok(())
}
