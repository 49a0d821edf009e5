//! The langsmith component in the built host, against a strict fake: every signal, trees of runs, and trouble.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use e2e::{Config, accounts, recorded_events, run, run_with_input, vendors};
use kit::accounts::Account;
use kit::backend::langsmith::{FEEDBACK, FORMS, LangSmith, RUN, VERDICT};
use kit::backend::{Backend, Behaviour, Which};
use kit::fixtures::{feedback, generation, ndjson, score, span};
use kit::host::HostCommand;

fn config(backend: &Backend) -> anyhow::Result<Config> {
    vendors::config("langsmith", backend)
}

#[tokio::test]
async fn recorded_events_of_every_signal_arrive_and_are_counted_exactly() -> anyhow::Result<()> {
    for takes_forms in [true, false] {
        let mut fake = LangSmith::default();
        fake.takes_forms = takes_forms;
        let backend = Backend::start(fake).await?;
        let finished = run_with_input(&config(&backend)?, recorded_events()?)?
            .finish()
            .await?;
        finished.expect_code(0)?;
        let accounts = accounts(&finished)?;
        assert_eq!(
            accounts.signals("langsmith"),
            ["feedback", "scores", "traces"]
        );
        let spans = Account {
            received: 56,
            delivered: 28,
            filtered: 28,
            ..Account::default()
        };
        assert_eq!(
            accounts.of("langsmith", "traces")?,
            spans,
            "ended spans only"
        );
        assert_eq!(accounts.of("langsmith", "scores")?, Account::delivered(4));
        assert_eq!(accounts.of("langsmith", "feedback")?, Account::delivered(3));
        assert_eq!(
            (backend.stored(RUN).len(), backend.stored(VERDICT).len()),
            (28, 7)
        );
        assert_eq!(
            backend.requests_to(FEEDBACK).len(),
            if takes_forms { 0 } else { 7 }
        );
    }
    Ok(())
}

#[tokio::test]
async fn children_that_end_before_their_parents_hang_below_them() -> anyhow::Result<()> {
    let backend = Backend::start(LangSmith::default()).await?;
    let events = [
        generation(1, 3, Some(2)),
        span(1, 2, Some(1), "tool_call"),
        span(1, 1, None, "agent_run"),
        score(1, 4, Some(3)),
        score(1, 5, None),
        feedback(1, 6, &"up".into()),
    ];
    run_with_input(&config(&backend)?, ndjson(&events))?
        .finish()
        .await?
        .expect_code(0)?;
    let runs = backend.stored(RUN);
    let by_name = |name: &str| {
        &runs
            .iter()
            .find(|run| run.value["name"] == name)
            .unwrap()
            .value
    };
    let (root, tool, model) = (
        by_name("agent_run 1"),
        by_name("tool_call 2"),
        by_name("model_generation 3"),
    );
    assert_eq!(model["parent_run_id"], tool["id"]);
    assert_eq!(tool["parent_run_id"], root["id"]);
    assert_eq!(
        model["dotted_order"].as_str().unwrap().matches('.').count(),
        2
    );
    let verdicts = backend.stored(VERDICT);
    let targets: Vec<_> = verdicts
        .iter()
        .map(|verdict| &verdict.value["run_id"])
        .collect();
    assert_eq!(
        targets
            .iter()
            .filter(|target| **target == &model["id"])
            .count(),
        1
    );
    assert_eq!(
        targets
            .iter()
            .filter(|target| **target == &root["id"])
            .count(),
        2
    );
    Ok(())
}

#[tokio::test]
async fn a_trace_in_pieces_arrives_whole_and_a_late_span_in_its_place() -> anyhow::Result<()> {
    let backend = Backend::start(LangSmith::default()).await?;
    let host = run(&config(&backend)?)?.start().await?;
    let child = [generation(1, 3, Some(2))];
    let parents = [
        span(1, 2, Some(1), "tool_call"),
        span(1, 1, None, "agent_run"),
    ];
    host.send_events(ndjson(&child)).await?;
    host.send_events(ndjson(&parents)).await?;
    backend.wait_for_stored(RUN, 3).await?;
    assert_eq!(backend.requests_to(FORMS).len(), 1, "all in one request");
    let order_of = |name: &str| {
        let runs = backend.stored(RUN);
        let run = runs.iter().find(|run| run.value["name"] == name).unwrap();
        run.value["dotted_order"].as_str().unwrap().to_owned()
    };
    let tool = order_of("tool_call 2");
    assert!(tool.starts_with(&order_of("agent_run 1")), "{tool}");
    assert!(order_of("model_generation 3").starts_with(&tool));
    host.send_events(ndjson(&[span(1, 4, Some(2), "tool_call")]))
        .await?;
    backend.wait_for_stored(RUN, 4).await?;
    let late = order_of("tool_call 4");
    assert!(late.starts_with(&tool), "{late} is not below {tool}");
    let finished = host.terminate().await?;
    finished.expect_code(0)?;
    let account = accounts(&finished)?.of("langsmith", "traces")?;
    assert_eq!(account, Account::delivered(4));
    Ok(())
}

#[tokio::test]
async fn a_trace_is_put_together_across_a_restart() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let backend = Backend::start(LangSmith::default()).await?;
    let start = async || {
        let command = run(&config(&backend)?)?.arg("--data-dir");
        command.arg(data.path().as_os_str()).start().await
    };
    let first = start().await?;
    first
        .send_events(ndjson(&[generation(1, 3, Some(2))]))
        .await?;
    let finished = first.terminate().await?;
    finished.expect_code(3)?;
    assert_eq!(accounts(&finished)?.of("langsmith", "traces")?.queued, 1);
    assert!(backend.stored(RUN).is_empty(), "it waits for its parents");
    let second = start().await?;
    let parents = [
        span(1, 2, Some(1), "tool_call"),
        span(1, 1, None, "agent_run"),
    ];
    second.send_events(ndjson(&parents)).await?;
    backend.wait_for_stored(RUN, 3).await?;
    assert_eq!(backend.requests_to(FORMS).len(), 1, "all in one request");
    let finished = second.terminate().await?;
    finished.expect_code(0)?;
    let account = accounts(&finished)?.of("langsmith", "traces")?;
    assert_eq!(account, Account::delivered(3));
    Ok(())
}

#[tokio::test]
async fn a_span_that_comes_alone_is_taken_below_the_root_of_its_trace() -> anyhow::Result<()> {
    let backend = Backend::start(LangSmith::default()).await?;
    for event in [
        span(1, 2, Some(1), "tool_call"),
        span(1, 1, None, "agent_run"),
    ] {
        run_with_input(&config(&backend)?, ndjson(&[event]))?
            .finish()
            .await?
            .expect_code(0)?;
    }
    let runs = backend.stored(RUN);
    assert_eq!(runs.len(), 2);
    assert_eq!(runs[0].value["parent_run_id"], runs[1].value["id"]);
    Ok(())
}

#[tokio::test]
async fn a_second_delivery_is_no_second_run() -> anyhow::Result<()> {
    let backend = Backend::start(LangSmith::default()).await?;
    backend.on(Which::path(FORMS).first(1), Behaviour::ResetInAnswer);
    let finished = run_with_input(&config(&backend)?, ndjson(&[span(1, 1, None, "agent_run")]))?
        .finish()
        .await?;
    finished.expect_code(0)?;
    assert_eq!(
        accounts(&finished)?.of("langsmith", "traces")?,
        Account::delivered(1)
    );
    assert_eq!(backend.stored(RUN).len(), 1, "the second one is a conflict");
    assert_eq!(backend.requests_to(FORMS).len(), 2);
    Ok(())
}

#[tokio::test]
async fn settings_come_from_the_environment_alone() -> anyhow::Result<()> {
    let backend = Backend::start(LangSmith::default()).await?;
    let finished = HostCommand::new("run")?
        .plugin("langsmith")?
        .args(["--output", "json", "--input", "-"])
        .env("LANGSMITH_API_KEY", "lsv2_pt_test")
        .env("LANGSMITH_ENDPOINT", &backend.url())
        .env("LANGSMITH_PROJECT", "from-env")
        .stdin(ndjson(&[span(1, 1, None, "agent_run")]))
        .finish()
        .await?;
    finished.expect_code(0)?;
    assert_eq!(backend.stored(RUN)[0].value["session_name"], "from-env");
    Ok(())
}

#[tokio::test]
async fn a_bad_day_of_the_backend_loses_nothing() -> anyhow::Result<()> {
    let backend = Backend::start(LangSmith::default()).await?;
    backend.on(Which::path(FORMS).first(2), Behaviour::status(503));
    backend.on(Which::path(FORMS), Behaviour::TooLargeAbove(20_000));
    let finished = run_with_input(&config(&backend)?, recorded_events()?)?
        .finish()
        .await?;
    finished.expect_code(0)?;
    assert_eq!(
        accounts(&finished)?.of("langsmith", "traces")?.delivered,
        28
    );
    assert_eq!(backend.stored(RUN).len(), 28);
    Ok(())
}

#[tokio::test]
async fn a_refused_key_keeps_everything() -> anyhow::Result<()> {
    let mut fake = LangSmith::default();
    "lsv2_another".clone_into(&mut fake.api_key);
    let backend = Backend::start(fake).await?;
    let finished = run_with_input(&config(&backend)?, ndjson(&[span(1, 1, None, "agent_run")]))?
        .args(["--timeout", "1s"])
        .finish()
        .await?;
    finished.expect_code(3)?;
    assert_eq!(accounts(&finished)?.of("langsmith", "traces")?.queued, 1);
    Ok(())
}
