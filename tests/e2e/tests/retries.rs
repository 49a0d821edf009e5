//! What a backend answers decides what is sent again, when, and in which pieces.

use std::time::{Duration, SystemTime};

use e2e::{Config, accounts, run_with_input};
use kit::accounts::Account;
use kit::backend::langfuse::{Langfuse, SPAN, TRACES};
use kit::backend::{Backend, Behaviour, Which};
use kit::fixtures::{bench_spans, ndjson, span, with};
use kit::host::Finished;

/// Delivers these events to this backend, for at most ten seconds.
async fn deliver(backend: &Backend, events: &[serde_json::Value]) -> anyhow::Result<Finished> {
    let config = Config::new().langfuse("langfuse", &backend.url())?;
    run_with_input(&config, ndjson(events))?
        .args(["--timeout", "10s"])
        .finish()
        .await
}

/// A backend that meets the first requests for traces with this behaviour.
async fn backend(first: usize, behaviour: Behaviour) -> anyhow::Result<Backend> {
    let backend = Backend::start(Langfuse::default()).await?;
    backend.on(Which::path(TRACES).first(first), behaviour);
    Ok(backend)
}

fn delivered(finished: &Finished, count: u64) -> anyhow::Result<()> {
    finished.expect_code(0)?;
    assert_eq!(
        accounts(finished)?.of("langfuse", "traces")?,
        Account::delivered(count)
    );
    Ok(())
}

/// Time between the first two requests.
fn pause(backend: &Backend) -> Option<Duration> {
    let requests = backend.requests_to(TRACES);
    Some(requests.get(1)?.at.duration_since(requests.first()?.at))
}

#[tokio::test]
async fn an_unavailable_backend_is_tried_again_until_it_takes_the_batch() -> anyhow::Result<()> {
    let backend = backend(3, Behaviour::status(503)).await?;
    delivered(&deliver(&backend, &bench_spans(5, 1_300)).await?, 5)?;
    assert_eq!(backend.requests_to(TRACES).len(), 4);
    backend.wait_for_stored(SPAN, 5).await?;
    assert_eq!(backend.stored(SPAN).len(), 5, "nothing twice");
    Ok(())
}

#[tokio::test]
async fn a_rate_limit_in_seconds_is_kept() -> anyhow::Result<()> {
    let backend = backend(1, Behaviour::retry_after_seconds(429, 2)).await?;
    delivered(&deliver(&backend, &bench_spans(5, 1_300)).await?, 5)?;
    let pause = pause(&backend);
    assert!(pause >= Some(Duration::from_secs(2)), "{pause:?}");
    Ok(())
}

#[tokio::test]
async fn a_rate_limit_as_a_date_is_kept() -> anyhow::Result<()> {
    // The date on the wire has whole seconds only: it may be up to one earlier.
    let date = SystemTime::now() + Duration::from_secs(4);
    let backend = backend(1, Behaviour::retry_after_date(429, date)).await?;
    delivered(&deliver(&backend, &bench_spans(5, 1_300)).await?, 5)?;
    let told = date - Duration::from_secs(1);
    assert!(SystemTime::now() >= told, "sent before the date");
    assert_eq!(backend.requests_to(TRACES).len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_connection_that_is_reset_is_made_again() -> anyhow::Result<()> {
    let backend = backend(2, Behaviour::ResetBeforeAnswer).await?;
    delivered(&deliver(&backend, &bench_spans(5, 1_300)).await?, 5)?;
    backend.wait_for_stored(SPAN, 5).await?;
    assert_eq!(backend.stored(SPAN).len(), 5);
    Ok(())
}

#[tokio::test]
async fn an_unknown_outcome_is_sent_again_and_counted_once() -> anyhow::Result<()> {
    let backend = backend(1, Behaviour::ResetInAnswer).await?;
    delivered(&deliver(&backend, &bench_spans(5, 1_300)).await?, 5)?;
    assert_eq!(
        backend.stored(SPAN).len(),
        10,
        "the backend had taken the first one"
    );
    Ok(())
}

#[tokio::test]
async fn an_unknown_outcome_is_a_dead_letter_where_the_operator_wants_nothing_twice()
-> anyhow::Result<()> {
    for behaviour in [Behaviour::ResetInAnswer, Behaviour::ResetBeforeAnswer] {
        let backend = backend(1, behaviour.clone()).await?;
        let config = Config::new()
            .langfuse("langfuse", &backend.url())?
            .never_repeating();
        let finished = run_with_input(&config, ndjson(&bench_spans(5, 1_300)))?
            .args(["--timeout", "10s"])
            .finish()
            .await?;
        finished.expect_code(3)?;
        let account = accounts(&finished)?.of("langfuse", "traces")?;
        let expected = Account {
            received: 5,
            dead_lettered: 5,
            ..Account::default()
        };
        assert_eq!(account, expected, "{behaviour:?}");
        assert_eq!(backend.requests_to(TRACES).len(), 1, "{behaviour:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_batch_that_is_too_large_is_halved_until_it_fits() -> anyhow::Result<()> {
    let backend = backend(usize::MAX, Behaviour::TooLargeAbove(40_000)).await?;
    delivered(&deliver(&backend, &bench_spans(64, 1_300)).await?, 64)?;
    let requests = backend.requests_to(TRACES);
    assert!(
        requests.iter().any(|recorded| recorded.status == Some(413)),
        "the first one was too large"
    );
    backend.wait_for_stored(SPAN, 64).await?;
    assert_eq!(backend.stored(SPAN).len(), 64, "nothing twice");
    Ok(())
}

#[tokio::test]
async fn one_event_that_is_too_large_alone_is_a_dead_letter() -> anyhow::Result<()> {
    let backend = backend(usize::MAX, Behaviour::TooLargeAbove(40_000)).await?;
    let mut events = bench_spans(8, 1_300);
    events.push(with(
        span(100, 100, None, "generic"),
        "output",
        "x".repeat(50_000).into(),
    ));
    let finished = deliver(&backend, &events).await?;
    finished.expect_code(3)?;
    let account = accounts(&finished)?.of("langfuse", "traces")?;
    assert_eq!(
        account,
        Account {
            received: 9,
            delivered: 8,
            dead_lettered: 1,
            ..Account::default()
        }
    );
    Ok(())
}

#[tokio::test]
async fn a_poisoned_event_is_found_and_the_others_are_delivered() -> anyhow::Result<()> {
    let backend = Backend::start(Langfuse::default()).await?;
    backend.on(
        Which::path(TRACES).containing("poisoned name"),
        Behaviour::status(400),
    );
    let mut events = bench_spans(31, 1_300);
    events.insert(
        13,
        with(
            span(100, 100, None, "generic"),
            "input",
            "poisoned name".into(),
        ),
    );
    let finished = deliver(&backend, &events).await?;
    finished.expect_code(3)?;
    let account = accounts(&finished)?.of("langfuse", "traces")?;
    assert_eq!(
        account,
        Account {
            received: 32,
            delivered: 31,
            dead_lettered: 1,
            ..Account::default()
        }
    );
    backend.wait_for_stored(SPAN, 31).await?;
    assert_eq!(backend.stored(SPAN).len(), 31, "nothing twice");
    Ok(())
}

#[tokio::test]
async fn refused_keys_pause_the_exporter_instead_of_hammering() -> anyhow::Result<()> {
    let backend = backend(usize::MAX, Behaviour::status(401)).await?;
    let config = Config::new().langfuse("langfuse", &backend.url())?;
    let events = ndjson(&bench_spans(5, 1_300));
    let finished = run_with_input(&config, events)?
        .args(["--timeout", "2s"])
        .finish()
        .await?;
    finished.expect_code(3)?;
    assert_eq!(accounts(&finished)?.of("langfuse", "traces")?.queued, 5);
    let tries = backend.requests_to(TRACES).len();
    assert!(tries <= 3, "{tries} tries in two seconds");
    Ok(())
}

#[tokio::test]
async fn an_answer_that_drips_is_given_up_and_does_not_hold_the_exporter_for_ever()
-> anyhow::Result<()> {
    let backend = backend(1, Behaviour::Drip(Duration::from_millis(20))).await?;
    let config = Config::new()
        .langfuse("langfuse", &backend.url())?
        .with("timeout: 300ms");
    let finished = run_with_input(&config, ndjson(&bench_spans(5, 1_300)))?
        .finish()
        .await?;
    delivered(&finished, 5)
}
