//! A fault costs one call and one instance; the others go on; repeated faults back off, quarantine and heal.

use std::time::Duration;

use tokio::task::JoinSet;

use super::{
    DELIVERED, FakeBackend, LIMITS, ask, batch, event, guest_settings, misbehaving, pool,
    pool_settings, told,
};
use crate::event::{EventKind, Signal};
use crate::plugin::guest::Guest;
use crate::plugin::outcome::CallError;
use crate::plugin::{CallLimits, Pool, PoolSettings, PoolState, RestartPolicy, StartError};

/// A fault of the component, what it is reported as, and that the next call has a new instance.
async fn costs_one_call(name: &str, is_expected: impl Fn(&CallError) -> bool) {
    let settings = PoolSettings {
        max_instances: 1,
        ..pool_settings("{}")
    };
    let pool = Pool::start(&misbehaving(), settings).await.unwrap();
    assert_eq!(told(&pool, "calls").await, "1");
    assert_eq!(told(&pool, "calls").await, "2", "the same instance");
    let error = ask(&pool, name).await.unwrap_err();
    assert!(is_expected(&error), "{name}: {error:?}");
    assert!(
        matches!(pool.state(), PoolState::BackingOff { faults: 1, .. }),
        "{:?}",
        pool.state()
    );
    assert_eq!(told(&pool, "calls").await, "1", "{name}: a new instance");
    assert_eq!(pool.state(), PoolState::Ready);
}

#[tokio::test(start_paused = true)]
async fn a_trap_costs_one_call() {
    costs_one_call(
        "trap",
        |error| matches!(error, CallError::Trap(text) if text.contains("unreachable")),
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_endless_loop_costs_one_call() {
    costs_one_call("spin", |error| {
        *error == CallError::CpuTimeout(LIMITS.call_cpu)
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_request_without_end_costs_one_call() {
    costs_one_call("hang", |error| {
        *error == CallError::WallTimeout(LIMITS.call_wall)
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_leak_costs_one_call() {
    costs_one_call("leak", |error| {
        *error
            == CallError::Memory {
                limit_bytes: LIMITS.memory_bytes,
            }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_host_costs_one_call_and_repeated_ones_quarantine() {
    let settings = PoolSettings {
        max_instances: 1,
        ..PoolSettings::new(
            "misbehaving/test",
            guest_settings("{}", FakeBackend::Panics),
        )
    };
    let pool = Pool::start(&misbehaving(), settings).await.unwrap();
    let panicked = CallError::HostPanic("the client's own fault".to_owned());
    for fault in 1..=RestartPolicy::default().quarantine_after {
        assert_eq!(ask(&pool, "hang").await, Err(panicked.clone()), "{fault}");
        if fault == 1 {
            assert_eq!(told(&pool, "calls").await, "1", "a new instance");
            assert_eq!(ask(&pool, "hang").await, Err(panicked.clone()));
        }
        tokio::time::advance(RestartPolicy::default().max_delay).await;
    }
    let PoolState::Quarantined { reason, .. } = pool.state() else {
        panic!("{:?}", pool.state())
    };
    assert!(reason.contains("the client's own fault"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_lie_costs_one_call() {
    costs_one_call(
        "short",
        |error| matches!(error, CallError::Contract(text) if text.contains("2 results")),
    )
    .await;
    costs_one_call(
        "held",
        |error| matches!(error, CallError::Contract(text) if text.contains("held")),
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_request_larger_than_the_host_reads_costs_one_call() {
    let limits = CallLimits {
        memory_bytes: 256 << 20,
        ..LIMITS
    };
    let settings = PoolSettings {
        limits,
        ..pool_settings("{}")
    };
    let pool = Pool::start(&misbehaving(), settings).await.unwrap();
    let error = ask(&pool, "flood").await.unwrap_err();
    assert!(
        matches!(&error, CallError::Trap(text) if text.contains("fuel")),
        "{error:?}"
    );
    assert_eq!(ask(&pool, "ok").await, Ok(DELIVERED));
}

#[tokio::test(start_paused = true)]
async fn much_output_is_no_fault() {
    let pool = pool().await;
    assert_eq!(ask(&pool, "shout").await, Ok(DELIVERED));
    assert_eq!(told(&pool, "calls").await, "2");
}

#[tokio::test(start_paused = true)]
async fn a_hanging_call_leaves_the_other_instances_to_work() {
    let pool = pool().await;
    let mut hanging = JoinSet::new();
    let handle = pool.clone();
    hanging.spawn(async move { ask(&handle, "hang").await });
    tokio::task::yield_now().await;
    let log = event(
        EventKind::Log,
        r#"{"logId":"l","timestamp":"2026-03-04T05:06:07.000Z","level":"info","message":"m"}"#,
    );
    for _ in 0..10 {
        assert_eq!(
            pool.send(batch(Signal::Logs, [log.clone()])).await,
            Ok(DELIVERED)
        );
    }
    assert!(hanging.try_join_next().is_none(), "still hanging");
    let hung = hanging.join_next().await.unwrap().unwrap();
    assert_eq!(hung, Err(CallError::WallTimeout(LIMITS.call_wall)));
}

/// On one thread, so that the other exporter runs only if the first gives way.
#[tokio::test(flavor = "current_thread")]
async fn a_spinning_exporter_does_not_hold_up_another() {
    let (spinning, other) = (pool().await, pool().await);
    let mut spins = JoinSet::new();
    spins.spawn(async move { ask(&spinning, "spin").await });
    tokio::task::yield_now().await;
    for _ in 0..3 {
        assert_eq!(ask(&other, "ok").await, Ok(DELIVERED));
    }
    assert!(spins.try_join_next().is_none(), "still spinning");
    assert_eq!(
        spins.join_next().await.unwrap().unwrap(),
        Err(CallError::CpuTimeout(LIMITS.call_cpu))
    );
}

const RESTART: RestartPolicy = RestartPolicy {
    first_delay: Duration::from_secs(1),
    max_delay: Duration::from_secs(8),
    quarantine_after: 3,
    first_quarantine: Duration::from_secs(60),
    max_quarantine: Duration::from_secs(600),
};

async fn not_running(pool: &Pool) -> (&'static str, Duration) {
    match ask(pool, "ok").await.unwrap_err() {
        CallError::NotRunning { state, retry_in } => (state, retry_in),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn repeated_faults_back_off_then_quarantine_then_heal() {
    let settings = PoolSettings {
        restart: RESTART,
        max_instances: 1,
        ..pool_settings("{}")
    };
    let pool = Pool::start(&misbehaving(), settings).await.unwrap();
    for _ in 0..2 {
        assert!(matches!(ask(&pool, "trap").await, Err(CallError::Trap(_))));
    }
    let (state, retry_in) = not_running(&pool).await;
    assert_eq!(state, "backing off");
    tokio::time::advance(retry_in).await;
    assert!(matches!(ask(&pool, "trap").await, Err(CallError::Trap(_))));

    assert!(
        matches!(pool.state(), PoolState::Quarantined { reason, .. } if reason.contains("trapped"))
    );
    let (state, retry_in) = not_running(&pool).await;
    assert_eq!(state, "quarantined");
    assert!(retry_in > Duration::from_secs(59), "{retry_in:?}");

    tokio::time::advance(retry_in).await;
    assert!(
        matches!(ask(&pool, "trap").await, Err(CallError::Trap(_))),
        "a probe"
    );
    let (_, retry_in) = not_running(&pool).await;
    assert!(retry_in > Duration::from_secs(119), "doubled: {retry_in:?}");

    tokio::time::advance(retry_in).await;
    assert_eq!(ask(&pool, "ok").await, Ok(DELIVERED));
    assert_eq!(pool.state(), PoolState::Ready);
    assert_eq!(
        told(&pool, "calls").await,
        "2",
        "calls 1 and 2 of a new instance"
    );
}

#[tokio::test(start_paused = true)]
async fn a_configure_or_capacity_that_faults_starts_a_pool_that_backs_off() {
    let limits = CallLimits {
        start_cpu: Duration::from_millis(400),
        ..LIMITS
    };
    for settings in [
        r#"{"configure":"trap"}"#,
        r#"{"configure":"spin"}"#,
        r#"{"configure":"hang"}"#,
        r#"{"capacity":"trap"}"#,
        r#"{"capacity":"spin"}"#,
    ] {
        let pool_settings = PoolSettings {
            limits,
            ..pool_settings(settings)
        };
        let pool = Pool::start(&misbehaving(), pool_settings).await.unwrap();
        assert!(
            matches!(pool.state(), PoolState::BackingOff { faults: 1, .. }),
            "{settings}: {:?}",
            pool.state()
        );
        let new_settings = guest_settings("{}", FakeBackend::Silent);
        pool.reconfigure(new_settings).await.unwrap();
        assert_eq!(ask(&pool, "ok").await, Ok(DELIVERED), "{settings}");
    }
}

#[tokio::test(start_paused = true)]
async fn refused_settings_are_a_start_error_that_names_them() {
    let error = Pool::start(&misbehaving(), pool_settings(r#"{"configure":"refuse"}"#))
        .await
        .unwrap_err();
    assert!(matches!(error, StartError::Settings(_)));
    assert!(
        error
            .to_string()
            .contains("configure: is `refuse`: leave it out"),
        "{error}"
    );
}
