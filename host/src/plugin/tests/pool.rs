//! The life of a pool without faults: settings, grants, replacement, growth, the end.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::{
    DELIVERED, FakeBackend, LIMITS, ask, batch, event, guest_settings, misbehaving, pool,
    pool_settings, span_event, told,
};
use crate::event::{EventKind, Signal};
use crate::plugin::guest::{Batch, Guest, SpanAncestor};
use crate::plugin::imports::HostState;
use crate::plugin::outcome::{CallError, ItemResult, SendOutcome};
use crate::plugin::{
    Output, OutputBounds, OutputTarget, Pool, PoolSettings, RecyclePolicy, StartError,
};

#[tokio::test(start_paused = true)]
async fn a_batch_arrives_as_it_was_received() {
    let echo = told(&pool().await, "echo").await;
    for part in [
        "4cdc4db2c6dcc0694acd43abc49c8214",
        "start-time: 1772600767000000000",
    ] {
        assert!(echo.contains(part), "{part} in {echo}");
    }
}

#[tokio::test(start_paused = true)]
async fn ancestors_arrive_beside_the_spans() {
    let ancestor = SpanAncestor {
        trace_id: "4cdc4db2c6dcc0694acd43abc49c8214".into(),
        span_id: "00000000000000aa".into(),
        parent_span_id: Some("00000000000000bb".into()),
        name: "the root's child".into(),
        start_time: 1_772_600_000_000_000_000,
    };
    let batch = Batch {
        ancestors: Arc::new([ancestor]),
        ..batch(Signal::Traces, [span_event("ancestors")])
    };
    let outcome = pool().await.send(batch).await.unwrap().outcome;
    let SendOutcome::AllItems(ItemResult::Skipped(echo)) = outcome else {
        panic!("{outcome:?}")
    };
    for part in ["SpanAncestor {", "the root's child", "1772600000000000000"] {
        assert!(echo.contains(part), "{part} in {echo}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_that_cannot_be_decoded_is_rejected_in_its_place() {
    let broken = event(EventKind::SpanEnded, r#"{"id":1}"#);
    let batch = batch(Signal::Traces, [span_event("ok"), broken, span_event("ok")]);
    let SendOutcome::PerItem(fates) = pool().await.send(batch).await.unwrap().outcome else {
        panic!("not per item")
    };
    assert_eq!(
        (&fates[0], &fates[2]),
        (&ItemResult::Delivered, &ItemResult::Delivered)
    );
    assert!(matches!(&fates[1], ItemResult::Rejected(_)), "{fates:?}");
}

#[tokio::test(start_paused = true)]
async fn a_signal_that_is_not_exported_is_refused() {
    let feedback = event(
        EventKind::Feedback,
        r#"{"feedbackId":"f","timestamp":"2026-03-04T05:06:07.000Z","feedbackType":"thumbs","value":1}"#,
    );
    let error = pool()
        .await
        .send(batch(Signal::Feedback, [feedback]))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, CallError::Contract(text) if text.contains("`feedback`")),
        "{error:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn requests_reach_the_capability_and_answers_come_back() {
    let settings = PoolSettings::new("x", guest_settings("{}", FakeBackend::Answers));
    let pool = Pool::start(&misbehaving(), settings).await.unwrap();
    assert_eq!(told(&pool, "hang").await, "200 1 bytes");
}

/// The real clock, since the guest's connection attempt must not wait for time that stands still.
#[tokio::test]
async fn nothing_of_the_machine_is_granted() {
    assert_eq!(
        told(&pool().await, "outside").await,
        "variables 0, arguments 0, file false, network false"
    );
}

#[test]
fn describe_has_no_grants() {
    let state = HostState::new(&Arc::from("x"), None, &LIMITS);
    let error = state
        .grants("http.send")
        .map(|_| ())
        .unwrap_err()
        .to_string();
    assert_eq!(error, "`describe` must be pure, but it called `http.send`");
}

#[tokio::test]
async fn output_is_written_where_it_is_granted_and_refused_elsewhere() {
    let ungranted = pool().await;
    let outcome = ask(&ungranted, "output").await.unwrap().outcome;
    assert!(
        matches!(outcome, SendOutcome::AllItems(ItemResult::Rejected(text)) if text.contains("no output is granted"))
    );

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out.ndjson");
    let mut settings = pool_settings("{}");
    let bounds = OutputBounds { max_bytes: 1 << 20 };
    let target = OutputTarget::File(path.clone());
    settings.guest.output = Some(Arc::new(Output::new(target, bounds)));
    let granted = Pool::start(&misbehaving(), settings).await.unwrap();
    assert_eq!(ask(&granted, "output").await, Ok(DELIVERED));
    assert_eq!(std::fs::read_to_string(path).unwrap(), "{\"line\":1}\n");
}

#[tokio::test(start_paused = true)]
async fn new_settings_are_tried_before_they_are_used() {
    let pool = pool().await;
    assert_eq!(told(&pool, "greeting").await, "false");
    let refused = pool
        .reconfigure(guest_settings(
            r#"{"configure":"refuse"}"#,
            FakeBackend::Silent,
        ))
        .await;
    assert!(matches!(refused, Err(StartError::Settings(_))));
    let failed = pool
        .reconfigure(guest_settings(
            r#"{"configure":"trap"}"#,
            FakeBackend::Silent,
        ))
        .await;
    assert!(matches!(failed, Err(StartError::Call(CallError::Trap(_)))));
    assert_eq!(told(&pool, "calls").await, "2", "the old instance goes on");
    pool.reconfigure(guest_settings(r#"{"greeting":true}"#, FakeBackend::Silent))
        .await
        .unwrap();
    assert_eq!(told(&pool, "greeting").await, "true");
}

#[tokio::test(start_paused = true)]
async fn an_instance_is_replaced_after_its_calls_its_age_or_its_memory() {
    let recycle = RecyclePolicy {
        max_calls: 2,
        max_age: Duration::from_secs(3600),
        memory_bytes: 1 << 30,
    };
    let settings = PoolSettings {
        recycle,
        max_instances: 1,
        ..pool_settings("{}")
    };
    let pool = Pool::start(&misbehaving(), settings).await.unwrap();
    for expected in ["1", "2", "1"] {
        assert_eq!(told(&pool, "calls").await, expected);
    }
    tokio::time::advance(Duration::from_secs(3601)).await;
    assert_eq!(told(&pool, "calls").await, "2", "too old after this one");
    assert_eq!(told(&pool, "calls").await, "1");
}

#[tokio::test(start_paused = true)]
async fn instances_beyond_the_first_end_when_idle() {
    let settings = PoolSettings {
        max_instances: 3,
        ..pool_settings("{}")
    };
    let pool = Pool::start(&misbehaving(), settings).await.unwrap();
    let mut hanging = JoinSet::new();
    for _ in 0..3 {
        let handle = pool.clone();
        hanging.spawn(async move { ask(&handle, "hang").await });
    }
    while hanging.join_next().await.is_some() {}
    assert_eq!(pool.idle_workers(), 3);
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(pool.idle_workers(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_a_burst_has_made_large_is_replaced_when_it_is_over() {
    let pool = pool().await;
    let rest = Duration::from_secs(61);
    assert_eq!(told(&pool, "calls").await, "1");
    tokio::time::sleep(rest).await;
    assert_eq!(told(&pool, "calls").await, "2", "it has not grown");
    let small = span_event("ok");
    let text = "x".repeat(8 << 20);
    let large =
        String::from_utf8_lossy(&small.payload).replace("\"b\":1", &format!("\"b\":\"{text}\""));
    let large = batch(Signal::Traces, [event(EventKind::SpanEnded, &large)]);
    assert_eq!(pool.send(large).await, Ok(DELIVERED));
    assert_eq!(told(&pool, "calls").await, "4", "more may come soon");
    tokio::time::sleep(rest).await;
    assert_eq!(told(&pool, "calls").await, "1");
}

#[tokio::test(start_paused = true)]
async fn shutdown_is_bounded_and_ends_everything() {
    // With this setting the component's `shutdown` never returns.
    let stubborn = Pool::start(&misbehaving(), pool_settings(r#"{"greeting":true}"#))
        .await
        .unwrap();
    assert_eq!(ask(&stubborn, "ok").await, Ok(DELIVERED));
    stubborn.shutdown().await;
    stubborn.shutdown().await;
    assert_eq!(ask(&stubborn, "ok").await, Err(CallError::Stopping));
}
