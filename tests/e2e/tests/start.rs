//! What a start waits for, and what it does not.

use e2e::{Config, accounts, lines, run};
use kit::backend::Backend;
use kit::backend::langfuse::{Langfuse, SPAN};
use kit::client::Outgoing;
use kit::components;
use kit::fixtures::{bench_spans, ndjson};

const COUNT: usize = 20;

#[tokio::test]
async fn a_big_component_compiles_beside_the_others_and_misses_nothing() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let backend = Backend::start(Langfuse::default()).await?;
    let big = dir.path().join("big.wasm");
    components::ballast(&components::exporter("langfuse")?, 12, &big)?;
    let fake = Langfuse::default();
    let settings = format!(
        "base_url: \"{}\", public_key: \"{}\", secret_key: \"{}\"",
        backend.url(),
        fake.public_key,
        fake.secret_key
    );
    let output = dir.path().join("events.ndjson");
    let config = Config::new()
        .json("json", &output)?
        .exporter("langfuse/big", &big, &settings);
    let host = run(&config)?.on_free_ports().start_bare().await?;
    assert_eq!(
        host.send_events(ndjson(&bench_spans(COUNT as u64, 1_300)))
            .await?
            .status,
        200
    );
    let ready = host.send(Outgoing::get("/readyz?verbose")).await?;
    let exporters = ready.json()?["exporters"].clone();
    assert_eq!(ready.status, 200, "{}", ready.text());
    assert!(exporters["json"].is_string(), "{exporters}");
    assert_eq!(
        exporters["langfuse/big"], "preparing",
        "it was compiled before the host took events: {exporters}"
    );
    backend.wait_for_stored(SPAN, COUNT).await?;
    let finished = host.terminate().await?;
    finished.expect_code(0)?;
    assert_eq!(lines(&output)?.len(), COUNT);
    assert_eq!(backend.stored(SPAN).len(), COUNT);
    let report = e2e::accounts(&finished)?;
    assert_eq!(report.of("langfuse/big", "traces")?.delivered, COUNT as u64);
    Ok(())
}

#[tokio::test]
async fn a_host_that_cannot_be_resolved_does_not_stop_the_start() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let config = Config::new().langfuse("langfuse", "https://no-such-host.invalid")?;
    let host = run(&config)?
        .arg("--data-dir")
        .arg(data.path())
        .on_free_ports()
        .start_bare()
        .await?;
    let reply = host.send_events(ndjson(&bench_spans(3, 1_300))).await?;
    assert_eq!(reply.status, 200);
    host.wait_for_log("A host cannot be resolved yet").await?;
    let finished = host.terminate().await?;
    finished.expect_code(3)?;
    assert_eq!(accounts(&finished)?.of("langfuse", "traces")?.queued, 3);
    Ok(())
}
