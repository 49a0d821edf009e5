//! Recorded agent events go through real components to the backends; every one is counted once; the exit code tells.

use e2e::{Config, accounts, lines, recorded_events, run, run_with_input};
use kit::accounts::Account;
use kit::backend::langfuse::{Langfuse, SCORE, SPAN};
use kit::backend::{Backend, Behaviour, Which};
use kit::fixtures::{ndjson, span};
use kit::host::HostCommand;
use kit::paths;

#[tokio::test]
async fn recorded_events_reach_both_backends_and_are_counted_exactly() -> anyhow::Result<()> {
    let backend = Backend::start(Langfuse::default()).await?;
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("events.ndjson");
    let config = Config::new()
        .langfuse("langfuse", &backend.url())?
        .json("json", &file)?;
    let corpus = paths::corpus("events.ndjson");
    let finished = run(&config)?.arg("--input").arg(corpus).finish().await?;
    finished.expect_code(0)?;
    let accounts = accounts(&finished)?;
    assert_eq!(accounts.exporters(), ["json", "langfuse"]);
    assert_eq!(
        accounts.signals("json"),
        ["feedback", "logs", "metrics", "scores", "traces"]
    );
    assert_eq!(
        accounts.signals("langfuse"),
        ["feedback", "logs", "scores", "traces"],
        "langfuse has no metrics"
    );
    let spans = accounts.of("langfuse", "traces")?;
    // 27 started, 1 updated, 28 ended; Langfuse does not recognise repeats, so that only ended ones are sent.
    assert_eq!(
        spans,
        Account {
            received: 56,
            delivered: 28,
            filtered: 28,
            ..Account::default()
        }
    );
    assert_eq!(accounts.of("langfuse", "scores")?, Account::delivered(4));
    assert_eq!(accounts.of("langfuse", "feedback")?, Account::delivered(3));
    let logs = accounts.of("langfuse", "logs")?;
    assert_eq!((logs.received, logs.delivered + logs.filtered), (6, 6));
    assert_eq!(
        backend.stored(SPAN).len() as u64,
        spans.delivered + logs.delivered,
        "a log is an event observation"
    );
    backend.wait_for_stored(SCORE, 7).await?;
    assert_eq!(backend.stored(SCORE).len(), 7, "scores and feedback");
    let json: u64 = accounts
        .signals("json")
        .iter()
        .map(|signal| accounts.of("json", signal).unwrap().delivered)
        .sum();
    assert_eq!(lines(&file)?.len() as u64, json);
    for (signal, count) in [("logs", 6), ("metrics", 25), ("scores", 4), ("feedback", 3)] {
        assert_eq!(
            accounts.of("json", signal)?,
            Account::delivered(count),
            "{signal}"
        );
    }
    assert_eq!(accounts.of("json", "traces")?.received, 56);
    Ok(())
}

#[tokio::test]
async fn every_ended_span_arrives_with_its_own_ids() -> anyhow::Result<()> {
    let backend = Backend::start(Langfuse::default()).await?;
    let config = Config::new()
        .langfuse("langfuse", &backend.url())?
        .with("signals: [traces]");
    run_with_input(&config, recorded_events()?)?
        .finish()
        .await?
        .expect_code(0)?;
    let mut arrived: Vec<String> = backend
        .stored(SPAN)
        .into_iter()
        .map(|span| span.id)
        .collect();
    let mut sent = Vec::new();
    for line in recorded_events()?.lines() {
        let event: serde_json::Value = serde_json::from_str(line)?;
        if event["type"] == "span_ended" {
            sent.push(
                event["exportedSpan"]["id"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
            );
        }
    }
    arrived.sort();
    sent.sort();
    assert_eq!(arrived, sent);
    assert!(backend.stored(SCORE).is_empty(), "only traces were wanted");
    Ok(())
}

#[tokio::test]
async fn settings_come_from_the_environment_alone() -> anyhow::Result<()> {
    let backend = Backend::start(Langfuse::default()).await?;
    let fake = Langfuse::default();
    let finished = HostCommand::new("run")?
        .plugin("langfuse")?
        .args(["--output", "json", "--input", "-"])
        .env("LANGFUSE_PUBLIC_KEY", &fake.public_key)
        .env("LANGFUSE_SECRET_KEY", &fake.secret_key)
        .env("LANGFUSE_BASE_URL", &backend.url())
        .stdin(ndjson(&[span(1, 1, None, "agent_run")]))
        .finish()
        .await?;
    finished.expect_code(0)?;
    assert_eq!(
        accounts(&finished)?.of("langfuse", "traces")?,
        Account::delivered(1)
    );
    backend.wait_for_stored(SPAN, 1).await?;
    assert_eq!(backend.stored(SPAN).len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_missing_required_setting_is_named_and_ends_with_2() -> anyhow::Result<()> {
    let command = HostCommand::new("run")?
        .plugin("langfuse")?
        .args(["--input", "-"]);
    let finished = command.finish().await?;
    finished.expect_code(2)?;
    for name in ["LANGFUSE_PUBLIC_KEY", "LANGFUSE_SECRET_KEY"] {
        assert!(finished.stderr.contains(name), "{}", finished.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn what_could_not_be_delivered_in_time_ends_with_3_and_is_queued() -> anyhow::Result<()> {
    let backend = Backend::start(Langfuse::default()).await?;
    backend.on(Which::all(), Behaviour::status(503));
    let config = Config::new().langfuse("langfuse", &backend.url())?;
    let events = [
        span(1, 1, None, "agent_run"),
        span(1, 2, Some(1), "tool_call"),
    ];
    let finished = run_with_input(&config, ndjson(&events))?
        .args(["--timeout", "1s"])
        .finish()
        .await?;
    finished.expect_code(3)?;
    assert_eq!(
        accounts(&finished)?.of("langfuse", "traces")?,
        Account {
            received: 2,
            queued: 2,
            ..Account::default()
        }
    );
    Ok(())
}

#[tokio::test]
async fn an_input_that_is_not_there_ends_with_1() -> anyhow::Result<()> {
    let backend = Backend::start(Langfuse::default()).await?;
    let config = Config::new().langfuse("langfuse", &backend.url())?;
    let finished = run(&config)?
        .args(["--input", "missing.ndjson"])
        .finish()
        .await?;
    finished.expect_code(1)?;
    assert!(
        finished.stderr.contains("missing.ndjson"),
        "{}",
        finished.stderr
    );
    Ok(())
}

#[tokio::test]
async fn an_event_that_comes_twice_is_delivered_once() -> anyhow::Result<()> {
    let backend = Backend::start(Langfuse::default()).await?;
    let config = Config::new().langfuse("langfuse", &backend.url())?;
    let event = span(1, 1, None, "agent_run");
    let finished = run_with_input(&config, ndjson(&[event.clone(), event]))?
        .finish()
        .await?;
    finished.expect_code(0)?;
    accounts(&finished)?;
    backend.wait_for_stored(SPAN, 1).await?;
    assert_eq!(backend.stored(SPAN).len(), 1);
    Ok(())
}
