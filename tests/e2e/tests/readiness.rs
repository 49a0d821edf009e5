//! `/readyz` says what is true: not ready within seconds of a stage that has work and makes no progress, with the reason.

use std::time::{Duration, Instant};

use e2e::{Config, ready_page, run};
use kit::backend::langfuse::{Langfuse, SPAN};
use kit::backend::{Backend, Behaviour, Which};
use kit::fixtures::{bench_spans, ndjson};
use serde_json::Value;

#[tokio::test]
async fn exporter_without_progress_makes_the_host_not_ready_until_it_has_some() -> anyhow::Result<()>
{
    let backend = Backend::start(Langfuse::default()).await?;
    let config = Config::new().langfuse("langfuse", &backend.url())?;
    let host = run(&config)?.start().await?;
    backend.on(Which::all(), Behaviour::status(500));
    let sent = Instant::now();
    host.send_events(ndjson(&bench_spans(5, 1_300))).await?;
    let (_, page) = ready_page(&host, |status, _| status == 503).await?;
    assert!(sent.elapsed() > Duration::from_secs(4), "not at once");
    let reason = page
        .pointer("/reasons/langfuse")
        .and_then(Value::as_str)
        .unwrap_or_default();
    assert!(reason.starts_with("retrying: "), "{page}");
    assert!(reason.contains("500"), "{page}");
    backend.heal();
    backend.wait_for_stored(SPAN, 5).await?;
    let (_, page) = ready_page(&host, |status, _| status == 200).await?;
    assert_eq!(page.pointer("/exporters/langfuse"), Some(&"running".into()));
    Ok(())
}
