//! What a guest does with `wasi:http` counts as what it does with our own import.

use super::{FakeBackend, PoolSettings, ask, guest_settings, wanderer};
use crate::plugin::Pool;
use crate::plugin::outcome::{ItemResult, SendOutcome, SendResult};

async fn wander(backend: FakeBackend) -> SendResult {
    let settings = r#"{"endpoint":"http://a.example","places":"http://a.example/x","secret":"s"}"#;
    let settings = PoolSettings::new("wanderer", guest_settings(settings, backend));
    let pool = Pool::start(&wanderer(), settings).await.unwrap();
    ask(&pool, "any").await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_read() {
    let result = wander(FakeBackend::Answers).await;
    assert_eq!(result.outcome, SendOutcome::AllItems(ItemResult::Delivered));
    assert!(!result.has_unknown_outcome);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_breaks_has_an_unknown_outcome() {
    let result = wander(FakeBackend::Breaks).await;
    let SendOutcome::AllItems(ItemResult::Rejected(reason)) = &result.outcome else {
        panic!("{result:?}")
    };
    assert!(reason.contains("ConnectionTerminated"), "{reason}");
    assert!(result.has_unknown_outcome);
}
