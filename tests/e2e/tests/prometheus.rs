//! Recorded measurements reach Prometheus, on a page of the host and by remote write, and every one is counted once.

use e2e::{Config, accounts, recorded_events, run, run_with_input};
use kit::accounts::Account;
use kit::backend::prometheus::{Prometheus, SERIES, WRITE};
use kit::backend::{Answer, Backend, Behaviour, Which};
use kit::client::Outgoing;
use kit::components;
use kit::host::{DEADLINE, RunningHost};

fn served() -> anyhow::Result<Config> {
    let component = components::exporter("prometheus")?;
    Ok(Config::new().exporter("prometheus", &component, "max_series: 1000"))
}

/// Asks until the page has this text.
async fn page(host: &RunningHost, text: &str) -> anyhow::Result<String> {
    let asked = tokio::time::timeout(DEADLINE, async {
        loop {
            let page = host
                .send(Outgoing::get("/exporters/prometheus/metrics"))
                .await?;
            if page.status == 200 && page.text().contains(text) {
                return Ok(page.text());
            }
            tokio::task::yield_now().await;
        }
    });
    asked.await?
}

#[tokio::test]
async fn a_scraper_sees_what_was_measured() -> anyhow::Result<()> {
    let host = run(&served()?)?.start().await?;
    host.send_events(recorded_events()?).await?;
    let text = page(&host, "mastra_agent_duration_seconds").await?;
    assert!(
        text.contains("# TYPE mastra_agent_duration_seconds "),
        "{text}"
    );
    assert!(text.contains("job=\"support-bot\""), "{text}");
    let finished = host.terminate().await?;
    finished.expect_code(0)?;
    assert_eq!(
        accounts(&finished)?.signals("prometheus"),
        ["metrics"],
        "Prometheus takes numbers only"
    );
    Ok(())
}

#[tokio::test]
async fn a_receiver_gets_totals_and_those_that_failed_again() -> anyhow::Result<()> {
    let backend = Backend::start(Prometheus::default()).await?;
    backend.on(
        Which::path(WRITE).first(1),
        Behaviour::Answer(Answer::status(503)),
    );
    let settings = format!(
        "remote_write_url: \"{}{WRITE}\", remote_write_version: \"2.0\", token: prom-token",
        backend.url()
    );
    let component = components::exporter("prometheus")?;
    let config = Config::new().exporter("prometheus", &component, &settings);
    let finished = run_with_input(&config, recorded_events()?)?
        .finish()
        .await?;
    finished.expect_code(0)?;
    let account = accounts(&finished)?.of("prometheus", "metrics")?;
    assert_eq!(account, Account::delivered(25));
    let series = backend.stored(SERIES);
    let name = "__name__=mastra_agent_duration_seconds";
    assert!(series.iter().any(|one| one.id.contains(name)));
    Ok(())
}
