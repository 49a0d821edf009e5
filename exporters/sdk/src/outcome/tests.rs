use super::*;

fn answered(status: u16, retry_after: Option<u64>) -> Result<Response, HttpError> {
    Ok(Response {
        status,
        headers: Vec::new(),
        body: Vec::new(),
        retry_after: retry_after.map(Duration::from_secs),
    })
}

#[test]
fn every_status_has_a_fate() {
    for status in 0..=999_u16 {
        let expected = match status {
            200..=299 => Fate::Delivered,
            400 | 422 => Fate::Isolate,
            401 | 403 => Fate::Unauthorized,
            408 | 425 | 429 | 500..=599 => Fate::Retry,
            413 => Fate::TooLarge,
            _ => Fate::Rejected,
        };
        assert_eq!(Statuses::COMMON.fate(status), expected, "{status}");
    }
}

#[test]
fn deviations_come_before_the_common_rows() {
    let otlp = Statuses::with(&[(500, 501, Fate::Rejected), (409, 409, Fate::Delivered)]);
    assert_eq!(otlp.fate(500), Fate::Rejected);
    assert_eq!(otlp.fate(502), Fate::Retry);
    assert_eq!(otlp.fate(409), Fate::Delivered);
}

#[test]
fn batch_outcomes_follow_the_table() {
    let outcome = |status| Statuses::COMMON.batch(&answered(status, None)).outcome;
    assert_eq!(outcome(204), SendOutcome::AllItems(ItemResult::Delivered));
    assert!(matches!(
        outcome(503),
        SendOutcome::AllItems(ItemResult::Retry(_))
    ));
    assert!(matches!(
        outcome(404),
        SendOutcome::AllItems(ItemResult::Rejected(_))
    ));
    assert_eq!(outcome(413), SendOutcome::TooLarge);
    assert!(matches!(outcome(400), SendOutcome::Isolate(_)));
    assert!(matches!(outcome(401), SendOutcome::Unauthorized(_)));
}

#[test]
fn retry_after_becomes_not_before_for_this_signal() {
    let result = Statuses::COMMON.batch(&answered(429, Some(7)));
    assert_eq!(
        result.not_before,
        Some(NotBefore {
            scope: DelayScope::ThisSignal,
            wait: 7_000_000_000
        })
    );
}

#[test]
fn requests_that_may_not_leave_pause_the_exporter() {
    for error in [
        HttpError::Denied("no grant".to_owned()),
        HttpError::Invalid("bad URL".to_owned()),
    ] {
        assert!(matches!(
            Statuses::COMMON.batch(&Err(error)).outcome,
            SendOutcome::Unauthorized(_)
        ));
    }
}

#[test]
fn requests_without_an_answer_are_sent_again() {
    for error in [
        HttpError::Unreachable("dns".to_owned()),
        HttpError::Interrupted("reset".to_owned()),
        HttpError::TimedOut,
    ] {
        assert!(matches!(
            Statuses::COMMON.batch(&Err(error)).outcome,
            SendOutcome::AllItems(ItemResult::Retry(_))
        ));
    }
    let outcome = Statuses::COMMON
        .batch(&Err(HttpError::ResponseTooLarge))
        .outcome;
    assert!(matches!(
        outcome,
        SendOutcome::AllItems(ItemResult::Rejected(_))
    ));
}

fn fates(replies: Vec<Result<Response, HttpError>>, items: usize) -> (SendResult, usize) {
    let mut replies = replies.into_iter();
    let mut tried = 0;
    let items: Vec<usize> = (0..items).collect();
    let result = Statuses::COMMON.one_by_one(&items, Duration::from_secs(60), |_| {
        tried += 1;
        replies.next().unwrap()
    });
    (result, tried)
}

#[test]
fn items_sent_one_by_one_get_their_own_fates() {
    let (result, tried) = fates(
        vec![
            answered(200, None),
            answered(400, None),
            answered(500, None),
            answered(200, None),
        ],
        4,
    );
    assert_eq!(tried, 4);
    let SendOutcome::PerItem(fates) = result.outcome else {
        panic!("{:?}", result.outcome)
    };
    assert_eq!(fates[0], ItemResult::Delivered);
    assert!(matches!(fates[1], ItemResult::Rejected(_)));
    assert!(matches!(fates[2], ItemResult::Retry(_)));
    assert_eq!(fates[3], ItemResult::Delivered);
}

#[test]
fn a_rate_limit_ends_the_round_and_keeps_the_rest() {
    let (result, tried) = fates(vec![answered(200, None), answered(429, Some(2))], 4);
    assert_eq!(tried, 2);
    let SendOutcome::PerItem(fates) = result.outcome else {
        panic!("{:?}", result.outcome)
    };
    assert_eq!(fates.len(), 4);
    assert!(
        fates[1..]
            .iter()
            .all(|fate| matches!(fate, ItemResult::Retry(_)))
    );
    assert_eq!(result.not_before.unwrap().wait, 2_000_000_000);
}

#[test]
fn a_spent_budget_keeps_the_rest() {
    let items = [1, 2, 3];
    let result = Statuses::COMMON.one_by_one(&items, Duration::ZERO, |_| answered(200, None));
    let SendOutcome::PerItem(fates) = result.outcome else {
        panic!("{:?}", result.outcome)
    };
    assert_eq!(fates[0], ItemResult::Delivered);
    assert!(matches!(fates[2], ItemResult::Retry(_)));
}

#[test]
fn refused_credentials_pause_even_half_way() {
    let (result, tried) = fates(vec![answered(200, None), answered(401, None)], 3);
    assert_eq!(tried, 2);
    assert!(matches!(result.outcome, SendOutcome::Unauthorized(_)));
}

#[test]
fn skipped_items_are_woven_into_the_fates_of_the_others() {
    let skipped = || {
        vec![
            Some("no place".to_owned()),
            None,
            None,
            Some("no place".to_owned()),
        ]
    };
    let skip = ItemResult::Skipped("no place".to_owned());
    let all = with_skipped(skipped(), |sent| {
        assert_eq!(sent, 2);
        SendResult::all(ItemResult::Delivered)
    });
    let expected = vec![
        skip.clone(),
        ItemResult::Delivered,
        ItemResult::Delivered,
        skip.clone(),
    ];
    assert_eq!(all.outcome, SendOutcome::PerItem(expected));
    let retry = ItemResult::Retry("later".to_owned());
    let each = with_skipped(skipped(), |_| {
        SendResult::each(vec![ItemResult::Delivered, retry.clone()])
    });
    assert_eq!(
        each.outcome,
        SendOutcome::PerItem(vec![
            skip.clone(),
            ItemResult::Delivered,
            retry,
            skip.clone()
        ])
    );
    let none = with_skipped(vec![Some("no place".to_owned())], |_| {
        panic!("nothing to send")
    });
    assert_eq!(none.outcome, SendOutcome::PerItem(vec![skip]));
    assert_eq!(
        with_skipped(skipped(), |_| SendResult::of(SendOutcome::TooLarge)).outcome,
        SendOutcome::TooLarge
    );
}
