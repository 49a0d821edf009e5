//! The posthog component in the built host, against a strict fake: every signal, second deliveries, and trouble.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use e2e::{Config, accounts, recorded_events, run_with_input, vendors};
use kit::accounts::Account;
use kit::backend::posthog::{AI_BATCH, BATCH, EVENT, LOG, PostHog};
use kit::backend::{Backend, Behaviour, Which};
use kit::fixtures::{generation, ndjson, span, span_id, trace_id};
use kit::host::HostCommand;

fn config(backend: &Backend) -> anyhow::Result<Config> {
    vendors::config("posthog", backend)
}

#[tokio::test]
async fn recorded_events_of_every_signal_arrive_and_are_counted_exactly() -> anyhow::Result<()> {
    for has_ai_route in [true, false] {
        let fake = PostHog {
            has_ai_route,
            ..PostHog::default()
        };
        let backend = Backend::start(fake).await?;
        let finished = run_with_input(&config(&backend)?, recorded_events()?)?
            .finish()
            .await?;
        finished.expect_code(0)?;
        let accounts = accounts(&finished)?;
        assert_eq!(
            accounts.signals("posthog"),
            ["feedback", "logs", "scores", "traces"]
        );
        let spans = Account {
            received: 56,
            delivered: 28,
            filtered: 28,
            ..Account::default()
        };
        assert_eq!(accounts.of("posthog", "traces")?, spans, "ended spans only");
        for (signal, count) in [("logs", 6), ("scores", 4), ("feedback", 3)] {
            assert_eq!(
                accounts.of("posthog", signal)?,
                Account::delivered(count),
                "{signal}"
            );
        }
        let events = backend.stored(EVENT);
        let count = |name: &str| {
            events
                .iter()
                .filter(|event| event.value["event"] == name)
                .count()
        };
        assert_eq!(
            (
                count("$ai_trace"),
                count("$ai_generation"),
                count("$ai_span")
            ),
            (5, 2, 22)
        );
        assert_eq!((count("$ai_metric"), count("$ai_feedback")), (4, 3));
        assert_eq!(backend.stored(LOG).len(), 6);
        assert_eq!(backend.requests_to(BATCH).is_empty(), has_ai_route);
    }
    Ok(())
}

#[tokio::test]
async fn a_model_call_that_is_a_root_keeps_its_model_and_tokens() -> anyhow::Result<()> {
    let backend = Backend::start(PostHog::default()).await?;
    run_with_input(&config(&backend)?, ndjson(&[generation(1, 1, None)]))?
        .finish()
        .await?
        .expect_code(0)?;
    let events = backend.stored(EVENT);
    let properties = |name: &str| {
        &events
            .iter()
            .find(|event| event.value["event"] == name)
            .unwrap()
            .value["properties"]
    };
    assert_eq!(properties("$ai_trace")["$ai_trace_id"], trace_id(1));
    let call = properties("$ai_generation");
    assert_eq!(
        (&call["$ai_model"], &call["$ai_input_tokens"]),
        (&"gpt-4o".into(), &1200.into())
    );
    assert_eq!(
        (&call["$ai_generation_id"], &call["$ai_parent_id"]),
        (&span_id(1).into(), &trace_id(1).into())
    );
    Ok(())
}

#[tokio::test]
async fn a_second_delivery_is_the_same_event() -> anyhow::Result<()> {
    let backend = Backend::start(PostHog::default()).await?;
    backend.on(Which::path(AI_BATCH).first(1), Behaviour::ResetInAnswer);
    let finished = run_with_input(&config(&backend)?, ndjson(&[span(1, 1, None, "agent_run")]))?
        .finish()
        .await?;
    finished.expect_code(0)?;
    assert_eq!(
        accounts(&finished)?.of("posthog", "traces")?,
        Account::delivered(1)
    );
    let events = backend.stored(EVENT);
    assert_eq!(events.len(), 2);
    assert_eq!(events[0], events[1]);
    Ok(())
}

#[tokio::test]
async fn settings_come_from_the_environment_alone() -> anyhow::Result<()> {
    let backend = Backend::start(PostHog::default()).await?;
    let finished = HostCommand::new("run")?
        .plugin("posthog")?
        .args(["--output", "json", "--input", "-"])
        .env("POSTHOG_API_KEY", "phc_test")
        .env("POSTHOG_HOST", &backend.url())
        .stdin(ndjson(&[span(1, 1, None, "agent_run")]))
        .finish()
        .await?;
    finished.expect_code(0)?;
    assert_eq!(backend.stored(EVENT)[0].value["distinct_id"], "user-1");
    Ok(())
}

#[tokio::test]
async fn a_bad_day_of_the_backend_loses_nothing() -> anyhow::Result<()> {
    let backend = Backend::start(PostHog::default()).await?;
    backend.on(Which::path(AI_BATCH).first(2), Behaviour::status(503));
    backend.on(Which::path(AI_BATCH), Behaviour::TooLargeAbove(20_000));
    let finished = run_with_input(&config(&backend)?, recorded_events()?)?
        .finish()
        .await?;
    finished.expect_code(0)?;
    assert_eq!(accounts(&finished)?.of("posthog", "traces")?.delivered, 28);
    Ok(())
}

#[tokio::test]
async fn a_refused_token_or_a_used_up_plan_keeps_everything() -> anyhow::Result<()> {
    let refusing = PostHog {
        api_key: "phc_another".to_owned(),
        ..PostHog::default()
    };
    let used_up = PostHog {
        is_over_quota: true,
        ..PostHog::default()
    };
    for fake in [refusing, used_up] {
        let backend = Backend::start(fake).await?;
        let finished =
            run_with_input(&config(&backend)?, ndjson(&[span(1, 1, None, "agent_run")]))?
                .args(["--timeout", "1s"])
                .finish()
                .await?;
        finished.expect_code(3)?;
        assert_eq!(accounts(&finished)?.of("posthog", "traces")?.queued, 1);
        assert!(backend.stored(EVENT).is_empty());
    }
    Ok(())
}
