//! Every outcome and every failure of a call, and what follows from it.

use bytes::Bytes;

use super::*;
use crate::event::{Event, EventKind};

fn items(count: u64) -> Vec<BatchItem> {
    let event = Event {
        kind: EventKind::SpanEnded,
        payload: Bytes::from_static(b"{}"),
        received_at: 0,
        source: Arc::default(),
        repeat_key: 0,
        lane: 0,
    };
    let event = Arc::new(event);
    (10..10 + count)
        .map(|token| BatchItem {
            token,
            event: Arc::clone(&event),
        })
        .collect()
}

fn attempt(items: &[BatchItem]) -> Attempt<'_> {
    Attempt {
        items,
        attempts: 1,
        faults: 0,
        retrying_for: Duration::ZERO,
        is_idempotent: true,
        others_delivered: false,
        may_hold: false,
    }
}

fn outcome(outcome: SendOutcome) -> Result<SendResult, CallError> {
    Ok(SendResult {
        outcome,
        not_before: None,
        has_unknown_outcome: false,
        holder: 0,
    })
}

fn plan(count: u64, result: Result<SendResult, CallError>) -> Plan {
    classify(&attempt(&items(count)), result, Policy::default())
}

fn dead(reason: &str, attempts: u32) -> Fate {
    Fate::DeadLettered {
        reason: reason.into(),
        attempts,
    }
}

fn rest(plan: &Plan) -> Vec<(Vec<u64>, When, u32)> {
    let tokens = |rest: &Rest| rest.items.iter().map(|item| item.token).collect();
    plan.rest
        .iter()
        .map(|rest| (tokens(rest), rest.when, rest.faults))
        .collect()
}

const fn run(first: u64, last: u64) -> Tokens {
    Tokens { first, last }
}

#[test]
fn final_results_for_all_settle_all() {
    for (result, fate) in [
        (ItemResult::Delivered, Fate::Delivered),
        (ItemResult::Skipped("no place".into()), Fate::Filtered),
        (ItemResult::Rejected("too old".into()), dead("too old", 1)),
    ] {
        let plan = plan(3, outcome(SendOutcome::AllItems(result)));
        assert_eq!(plan.settled, [(run(10, 12), fate)]);
        assert!(plan.rest.is_empty());
        assert_eq!(plan.verdict, Verdict::Answered);
    }
}

#[test]
fn retry_for_all_keeps_the_batch_whole() {
    let whole = SendOutcome::AllItems(ItemResult::Retry("503".into()));
    let each = SendOutcome::PerItem(vec![ItemResult::Retry("503".into()); 3]);
    for answer in [whole, each] {
        let plan = plan(3, outcome(answer));
        assert_eq!(rest(&plan), [(vec![10, 11, 12], When::Later, 0)]);
        assert_eq!(plan.verdict, Verdict::Failing);
        assert!(plan.settled.is_empty() && !plan.is_unknown);
    }
}

#[test]
fn rate_limit_is_not_a_failure_of_the_exporter() {
    let not_before = Some(NotBefore {
        whole_exporter: true,
        wait: Duration::from_secs(9),
    });
    let result = SendResult {
        outcome: SendOutcome::AllItems(ItemResult::Retry("429".into())),
        not_before,
        has_unknown_outcome: false,
        holder: 0,
    };
    let plan = plan(1, Ok(result));
    assert_eq!(
        (plan.verdict, plan.not_before),
        (Verdict::Delayed, not_before)
    );
}

#[test]
fn results_by_item_settle_and_keep_each_on_its_own() {
    let results = vec![
        ItemResult::Delivered,
        ItemResult::Delivered,
        ItemResult::Retry("busy".into()),
        ItemResult::Skipped(String::new()),
        ItemResult::Rejected("bad".into()),
        ItemResult::Rejected("bad".into()),
        ItemResult::Rejected("worse".into()),
        ItemResult::Retry("busy".into()),
    ];
    let plan = plan(8, outcome(SendOutcome::PerItem(results)));
    let expected = [
        (run(10, 11), Fate::Delivered),
        (run(13, 13), Fate::Filtered),
        (run(14, 15), dead("bad", 1)),
        (run(16, 16), dead("worse", 1)),
    ];
    assert_eq!(plan.settled, expected);
    assert_eq!(rest(&plan), [(vec![12, 17], When::LaterMerged, 0)]);
    assert_eq!(plan.verdict, Verdict::Answered);
}

#[test]
fn too_large_and_isolate_split_down_to_a_single_event_which_is_dead() {
    for (answer, reason) in [
        (
            SendOutcome::TooLarge,
            "the backend refuses the size of this single event",
        ),
        (SendOutcome::Isolate("bad name".into()), "bad name"),
    ] {
        let split = plan(5, outcome(answer.clone()));
        assert_eq!(
            rest(&split),
            [
                (vec![10, 11], When::AtOnce, 0),
                (vec![12, 13, 14], When::AtOnce, 0)
            ]
        );
        assert!(split.settled.is_empty());
        let single = plan(1, outcome(answer));
        assert_eq!(single.settled, [(run(10, 10), dead(reason, 1))]);
    }
}

#[test]
fn refused_credentials_and_settings_pause_without_counting_the_call() {
    let unauthorized = outcome(SendOutcome::Unauthorized("401".into()));
    let settings = Err(CallError::Settings("no key".into()));
    for (result, why) in [
        (unauthorized, "unauthorized: 401"),
        (settings, "component refused its settings: no key"),
    ] {
        let plan = plan(2, result);
        assert_eq!(plan.verdict, Verdict::Refused(why.into()));
        assert_eq!(rest(&plan), [(vec![10, 11], When::Unchanged, 0)]);
    }
}

#[test]
fn engine_that_does_not_run_the_component_is_not_an_attempt() {
    let retry_in = Duration::from_secs(3);
    let result = plan(
        2,
        Err(CallError::NotRunning {
            state: "quarantined",
            retry_in,
        }),
    );
    assert_eq!(
        result.verdict,
        Verdict::NotRunning {
            state: "quarantined",
            retry_in
        }
    );
    assert_eq!(rest(&result), [(vec![10, 11], When::Unchanged, 0)]);
    let result = plan(1, Err(CallError::Stopping));
    assert_eq!(result.verdict, Verdict::Stopping);
    assert!(!result.is_unknown && !result.is_fault);
}

#[test]
fn faults_keep_the_batch_whole_at_first_and_bisect_it_then() {
    let faults = [
        Err(CallError::Trap("unreachable".into())),
        Err(CallError::CpuTimeout(Duration::from_secs(1))),
        Err(CallError::Memory { limit_bytes: 1 }),
        Err(CallError::Contract("wrong".into())),
        outcome(SendOutcome::AllItems(ItemResult::Held)),
        outcome(SendOutcome::PerItem(vec![ItemResult::Delivered])),
    ];
    let items = items(4);
    for result in faults {
        for before in 0..FAULTS_BEFORE_SPLIT - 1 {
            let plan = classify(
                &Attempt {
                    faults: before,
                    ..attempt(&items)
                },
                result.clone(),
                Policy::default(),
            );
            assert_eq!(
                rest(&plan),
                [(vec![10, 11, 12, 13], When::Later, before + 1)]
            );
            assert!(plan.is_fault && plan.verdict == Verdict::Failing);
        }
        let plan = classify(
            &Attempt {
                faults: 2,
                ..attempt(&items)
            },
            result,
            Policy::default(),
        );
        assert_eq!(
            rest(&plan),
            [
                (vec![10, 11], When::Later, 3),
                (vec![12, 13], When::Later, 3)
            ]
        );
    }
}

#[test]
fn lone_faulting_event_is_dead_only_when_others_get_through() {
    let items = items(1);
    let fault = || Err(CallError::Trap("unreachable".into()));
    let lone = Attempt {
        faults: 9,
        attempts: 10,
        ..attempt(&items)
    };
    let kept = classify(&lone, fault(), Policy::default());
    assert_eq!(rest(&kept), [(vec![10], When::Later, 10)]);
    let plan = classify(
        &Attempt {
            others_delivered: true,
            may_hold: false,
            ..lone
        },
        fault(),
        Policy::default(),
    );
    assert_eq!(
        plan.settled,
        [(run(10, 10), dead("component trapped: unreachable", 10))]
    );
    assert!(plan.rest.is_empty());
    let young = Attempt {
        faults: 1,
        others_delivered: true,
        may_hold: false,
        ..attempt(&items)
    };
    assert!(
        classify(&young, fault(), Policy::default())
            .settled
            .is_empty(),
        "it gets its three tries"
    );
}

#[test]
fn held_items_of_a_stateless_component_are_tried_again_and_the_others_settled() {
    let results = vec![ItemResult::Delivered, ItemResult::Held, ItemResult::Held];
    let plan = plan(3, outcome(SendOutcome::PerItem(results)));
    assert_eq!(plan.settled, [(run(10, 10), Fate::Delivered)]);
    assert_eq!(rest(&plan), [(vec![11, 12], When::Later, 1)]);
    assert!(plan.is_fault);
}

#[test]
fn wall_clock_timeout_is_tried_again_whole_however_often() {
    let items = items(2);
    let attempt = Attempt {
        attempts: 50,
        ..attempt(&items)
    };
    let plan = classify(
        &attempt,
        Err(CallError::WallTimeout(Duration::from_secs(30))),
        Policy::default(),
    );
    assert_eq!(rest(&plan), [(vec![10, 11], When::Later, 0)]);
    assert!(plan.is_unknown && !plan.is_fault);
}

#[test]
fn unknown_outcome_is_resent_or_buried_as_the_operator_chose_but_never_for_idempotent_signals() {
    let items = items(2);
    let unknown = [
        CallError::WallTimeout(Duration::ZERO),
        CallError::Trap(String::new()),
    ];
    for error in unknown {
        for (is_idempotent, on_unknown, is_buried) in [
            (true, OnUnknown::Resend, false),
            (true, OnUnknown::DeadLetter, false),
            (false, OnUnknown::Resend, false),
            (false, OnUnknown::DeadLetter, true),
        ] {
            let policy = Policy {
                on_unknown,
                max_elapsed: None,
            };
            let plan = classify(
                &Attempt {
                    is_idempotent,
                    ..attempt(&items)
                },
                Err(error.clone()),
                policy,
            );
            assert_eq!(!plan.settled.is_empty(), is_buried);
            assert_eq!(plan.rest.is_empty(), is_buried);
            assert!(plan.is_unknown, "counted either way");
        }
    }
}

#[test]
fn only_what_a_component_wants_sent_again_has_an_unknown_outcome() {
    let items = items(3);
    let answer = |outcome, has_unknown_outcome| {
        let attempt = Attempt {
            is_idempotent: false,
            ..attempt(&items)
        };
        let policy = Policy {
            max_elapsed: None,
            on_unknown: OnUnknown::DeadLetter,
        };
        let result = SendResult {
            outcome,
            not_before: None,
            has_unknown_outcome,
            holder: 0,
        };
        classify(&attempt, Ok(result), policy)
    };
    let retry = || ItemResult::Retry("reset".into());
    let buried = dead("outcome unknown: reset", 1);

    let plan = answer(SendOutcome::AllItems(retry()), true);
    assert_eq!(plan.settled, [(run(10, 12), buried.clone())]);
    assert!(plan.is_unknown && plan.rest.is_empty());
    let plan = answer(SendOutcome::AllItems(retry()), false);
    assert!(!plan.is_unknown && plan.settled.is_empty());

    let some = vec![ItemResult::Delivered, retry(), ItemResult::Delivered];
    let plan = answer(SendOutcome::PerItem(some), true);
    let fates = [
        (run(10, 10), Fate::Delivered),
        (run(11, 11), buried),
        (run(12, 12), Fate::Delivered),
    ];
    assert_eq!(plan.settled, fates);
    assert!(plan.is_unknown && plan.rest.is_empty());
    let plan = answer(SendOutcome::AllItems(ItemResult::Delivered), true);
    assert!(!plan.is_unknown, "the component tried again itself");
}

#[test]
fn budget_turns_retries_into_dead_letters_and_not_before() {
    let items = items(2);
    let policy = Policy {
        max_elapsed: Some(Duration::from_secs(60)),
        on_unknown: OnUnknown::Resend,
    };
    let retry = ItemResult::Retry("503".into());
    let results = [
        outcome(SendOutcome::AllItems(retry.clone())),
        outcome(SendOutcome::PerItem(vec![ItemResult::Delivered, retry])),
        Err(CallError::WallTimeout(Duration::from_secs(1))),
        Err(CallError::Trap(String::new())),
    ];
    for result in results {
        let late = Attempt {
            retrying_for: Duration::from_secs(60),
            ..attempt(&items)
        };
        let plan = classify(&late, result.clone(), policy);
        assert!(plan.rest.is_empty());
        assert!(
            matches!(&plan.settled.last(), Some((_, Fate::DeadLettered { reason, .. })) if reason.contains("60 s"))
        );
        let early = Attempt {
            retrying_for: Duration::from_secs(59),
            ..attempt(&items)
        };
        assert_eq!(classify(&early, result, policy).rest.len(), 1);
    }
}

#[test]
fn long_reasons_are_cut_between_characters() {
    let plan = plan(
        1,
        outcome(SendOutcome::AllItems(ItemResult::Rejected("é".repeat(400)))),
    );
    let Some((_, Fate::DeadLettered { reason, .. })) = plan.settled.first() else {
        panic!("not buried")
    };
    assert_eq!(reason.len(), 500);
    assert_eq!(reason.chars().count(), 250);
}

#[test]
fn partial_success_settles_all_and_counts_the_refused() {
    let partial = |rejected_count| {
        outcome(SendOutcome::Partial {
            rejected_count,
            reason: "no room".into(),
        })
    };
    let result = plan(5, partial(2));
    let refused = dead("one of 2 refused among 5, not known which: no room", 1);
    assert_eq!(
        result.settled,
        [(run(10, 12), Fate::Delivered), (run(13, 14), refused)]
    );
    assert!(result.rest.is_empty() && result.verdict == Verdict::Answered);
    let lie = plan(2, partial(9));
    assert_eq!(lie.settled.len(), 1);
    assert!(lie.rest.is_empty());
}
