//! Recorded agent events reach Phoenix and Arize AX: spans as OTLP protobuf, scores and feedback as the annotations that
//! each can take, and every one is counted once.

#![allow(
    clippy::indexing_slicing,
    reason = "`Value[key]` answers null for what is not there"
)]

use std::collections::BTreeMap;

use e2e::{Config, accounts, recorded_events, run_with_input, vendors};
use kit::accounts::Account;
use kit::backend::arize::{ANNOTATION, ArizeAx, Phoenix, SPAN};
use kit::backend::{Answer, Backend, Behaviour, Which};
use kit::components;
use kit::host::HostCommand;

const SPANS: Account = Account {
    received: 56,
    delivered: 28,
    filtered: 28,
    dead_lettered: 0,
    dropped: 0,
    queued: 0,
};

fn phoenix(backend: &Backend) -> anyhow::Result<Config> {
    vendors::config("arize", backend)
}

#[tokio::test]
async fn phoenix_gets_spans_scores_and_feedback() -> anyhow::Result<()> {
    let backend = Backend::start(Phoenix::default()).await?;
    let finished = run_with_input(&phoenix(&backend)?, recorded_events()?)?
        .finish()
        .await?;
    finished.expect_code(0)?;
    let accounts = accounts(&finished)?;
    assert_eq!(
        accounts.signals("arize"),
        ["feedback", "scores", "traces"],
        "Phoenix has no logs and metrics"
    );
    assert_eq!(accounts.of("arize", "traces")?, SPANS);
    assert_eq!(accounts.of("arize", "scores")?, Account::delivered(4));
    assert_eq!(accounts.of("arize", "feedback")?, Account::delivered(3));
    assert_eq!(backend.stored(SPAN).len(), 28);
    assert_eq!(backend.stored(ANNOTATION).len(), 7);
    Ok(())
}

#[tokio::test]
async fn a_trace_keeps_its_tree() -> anyhow::Result<()> {
    let backend = Backend::start(Phoenix::default()).await?;
    let config = phoenix(&backend)?.with("signals: [traces]");
    run_with_input(&config, recorded_events()?)?
        .finish()
        .await?
        .expect_code(0)?;
    let spans: BTreeMap<_, _> = backend
        .stored(SPAN)
        .into_iter()
        .map(|stored| (stored.id, stored.value["span"].clone()))
        .collect();
    let mut roots = 0;
    for span in spans.values() {
        match span["parentSpanId"].as_str() {
            None => roots += 1,
            Some(parent) => assert_eq!(spans[parent]["traceId"], span["traceId"]),
        }
    }
    assert_eq!((spans.len(), roots), (28, 5));
    Ok(())
}

#[tokio::test]
async fn arize_ax_gets_what_its_annotations_are_listed_for() -> anyhow::Result<()> {
    let backend = Backend::start(ArizeAx::default()).await?;
    let url = backend.url();
    let settings = format!(
        "space_id: space-1, api_key: ax-key, endpoint: \"{url}\", api_endpoint: \"{url}\", project_id: UHJvamVjdDox, annotations: {{Completeness: relevance}}"
    );
    let config = Config::new().exporter("arize", &components::exporter("arize")?, &settings);
    let finished = run_with_input(&config, recorded_events()?)?
        .finish()
        .await?;
    finished.expect_code(0)?;
    let accounts = accounts(&finished)?;
    assert_eq!(accounts.of("arize", "traces")?, SPANS);
    let one_of_four = Account {
        received: 4,
        delivered: 1,
        filtered: 3,
        ..Account::default()
    };
    assert_eq!(accounts.of("arize", "scores")?, one_of_four);
    let annotations = backend.stored(ANNOTATION);
    assert_eq!(annotations.len(), 1);
    assert_eq!(annotations[0].id, "4add6244a8bc296e/relevance");
    Ok(())
}

#[tokio::test]
async fn settings_come_from_the_official_variables_and_a_busy_phoenix_is_asked_again()
-> anyhow::Result<()> {
    let backend = Backend::start(Phoenix::default()).await?;
    backend.on(
        Which::all().first(1),
        Behaviour::Answer(Answer::status(503)),
    );
    let finished = HostCommand::new("run")?
        .plugin("arize")?
        .args(["--output", "json", "--input", "-"])
        .env("PHOENIX_ENDPOINT", &backend.url())
        .env("PHOENIX_API_KEY", "phx-key")
        .env("PHOENIX_PROJECT_NAME", "bots")
        .stdin(recorded_events()?)
        .finish()
        .await?;
    finished.expect_code(0)?;
    let spans = backend.stored(SPAN);
    assert_eq!(spans.len(), 28);
    let attributes = spans[0].value["resource"]["attributes"].as_array();
    let project = attributes
        .into_iter()
        .flatten()
        .find(|pair| pair["key"] == "openinference.project.name");
    assert_eq!(
        project.map(|pair| &pair["value"]["stringValue"]),
        Some(&"bots".into())
    );
    Ok(())
}
