//! Stateful components: one instance, which keeps its state until it is flushed, and is replaced at no other time.

use std::time::Duration;

use super::{FakeBackend, ask, batch, guest_settings, keeper, pool_settings, span_event};
use crate::event::Signal;
use crate::plugin::guest::Guest;
use crate::plugin::outcome::{
    Acknowledgement, CallError, Flushed, ItemResult, SendOutcome, SendResult,
};
use crate::plugin::page::PageRequest;
use crate::plugin::{Pool, PoolSettings, RecyclePolicy};

async fn pool(recycle: RecyclePolicy) -> Pool {
    let settings = PoolSettings {
        recycle,
        max_instances: 4,
        ..pool_settings("{}")
    };
    Pool::start(&keeper(), settings).await.unwrap()
}

/// Who holds it.
async fn held(pool: &Pool) -> u64 {
    let SendResult {
        outcome, holder, ..
    } = ask(pool, "ok").await.unwrap();
    assert_eq!(outcome, SendOutcome::AllItems(ItemResult::Held));
    holder
}

fn acknowledged(tokens: &[u64]) -> Vec<Acknowledgement> {
    vec![Acknowledgement {
        signal: Signal::Traces,
        tokens: tokens.to_vec(),
        fate: ItemResult::Delivered,
    }]
}

#[tokio::test(start_paused = true)]
async fn one_instance_holds_and_its_flush_tells_the_tokens() {
    let pool = pool(RecyclePolicy::default()).await;
    let spans = || batch(Signal::Traces, [span_event("a"), span_event("b")]);
    let (first, second) = tokio::join!(pool.send(spans()), pool.send(spans()));
    let holders = [first.unwrap().holder, second.unwrap().holder];
    assert_eq!(holders[0], holders[1]);
    let flushed = pool.flush().await.unwrap();
    assert_eq!(flushed.acknowledged, acknowledged(&[1, 2, 1, 2]));
    assert_eq!((flushed.holder, flushed.is_last), (holders[0], false));
    assert!(pool.flush().await.unwrap().acknowledged.is_empty());
}

#[tokio::test(start_paused = true)]
async fn spent_instance_is_replaced_by_a_flush_alone() {
    let pool = pool(RecyclePolicy {
        max_calls: 2,
        ..RecyclePolicy::default()
    })
    .await;
    let holder = held(&pool).await;
    for _ in 0..3 {
        assert_eq!(held(&pool).await, holder);
    }
    let flushed = pool.flush().await.unwrap();
    assert_eq!(flushed.acknowledged, acknowledged(&[1, 1, 1, 1]));
    assert!(flushed.is_last);
    let nobody = Flushed {
        is_last: true,
        ..Flushed::default()
    };
    assert_eq!(pool.flush().await, Ok(nobody), "none is started for it");
    assert!(held(&pool).await > holder);
}

#[tokio::test(start_paused = true)]
async fn new_settings_are_used_after_the_next_flush() {
    let pool = pool(RecyclePolicy::default()).await;
    let holder = held(&pool).await;
    pool.reconfigure(guest_settings("{}", FakeBackend::Silent))
        .await
        .unwrap();
    assert_eq!(held(&pool).await, holder);
    assert!(pool.flush().await.unwrap().is_last);
    assert!(held(&pool).await > holder);
}

#[tokio::test(start_paused = true)]
async fn trap_takes_the_state_along_and_the_next_instance_has_another_number() {
    let pool = pool(RecyclePolicy::default()).await;
    let holder = held(&pool).await;
    assert!(matches!(ask(&pool, "trap").await, Err(CallError::Trap(_))));
    assert!(pool.flush().await.unwrap().acknowledged.is_empty());
    assert!(held(&pool).await > holder);
}

#[tokio::test(start_paused = true)]
async fn flush_that_hangs_is_ended_by_the_clock_of_a_call() {
    let settings = guest_settings(
        r#"{"endpoint":"https://backend.test/"}"#,
        FakeBackend::Silent,
    );
    let settings = PoolSettings {
        limits: super::LIMITS,
        ..PoolSettings::new("keeper", settings)
    };
    let pool = Pool::start(&keeper(), settings).await.unwrap();
    held(&pool).await;
    let error = pool.flush().await.unwrap_err();
    assert_eq!(error, CallError::WallTimeout(Duration::from_secs(60)));
}

fn page(path: &str) -> PageRequest {
    PageRequest {
        path: path.to_owned(),
        query: "a=b&c".to_owned(),
        accept: Some("text/plain".to_owned()),
    }
}

async fn text(pool: &Pool, path: &str) -> String {
    let page = pool.render(page(path)).await.unwrap();
    assert_eq!((page.status, &*page.content_type), (200, "text/plain"));
    String::from_utf8(page.body).unwrap()
}

#[tokio::test(start_paused = true)]
async fn page_is_rendered_by_the_instance_that_holds() {
    let pool = pool(RecyclePolicy::default()).await;
    assert!(keeper().serves_page());
    held(&pool).await;
    assert_eq!(text(&pool, "names").await, "ok\n");
    pool.flush().await.unwrap();
    assert_eq!(text(&pool, "names").await, "");
    let echo = text(&pool, "echo").await;
    assert!(
        echo.contains("a=b&c") && echo.contains("text/plain"),
        "{echo}"
    );
}

#[tokio::test(start_paused = true)]
async fn page_that_cannot_be_served_costs_the_reader_and_not_the_state() {
    let pool = pool(RecyclePolicy::default()).await;
    let holder = held(&pool).await;
    let error = pool.render(page("smuggle")).await.unwrap_err();
    assert!(matches!(error, CallError::Contract(_)), "{error}");
    assert_eq!(held(&pool).await, holder);
    let error = pool.render(page("trap")).await.unwrap_err();
    assert!(matches!(error, CallError::Trap(_)), "{error}");
    assert!(held(&pool).await > holder);
}

#[tokio::test(start_paused = true)]
async fn component_without_a_page_renders_none() {
    let pool = super::pool().await;
    assert!(!pool.component().serves_page());
    let error = pool.render(page("names")).await.unwrap_err();
    assert!(matches!(error, CallError::Contract(_)), "{error}");
}
