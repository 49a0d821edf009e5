//! The fake takes what the official exporter was recorded to send, and refuses what is broken.

use super::*;
use crate::{mutate, paths};

#[test]
fn every_recorded_official_request_is_taken() {
    let text = std::fs::read_to_string(paths::corpus("posthog.json")).unwrap();
    let corpus: Value = serde_json::from_str(&text).unwrap();
    let mut stored = 0;
    for recorded in corpus["requests"].as_array().unwrap() {
        let headers = [("content-type", "application/json")];
        let answer = PostHog::default().answer(&Request {
            method: recorded["method"].as_str().unwrap().to_owned(),
            path: recorded["path"].as_str().unwrap().to_owned(),
            headers: headers
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec(),
            body: recorded["body"].to_string().into(),
            ..Request::default()
        });
        assert_eq!((answer.refused, answer.status), (None, 200));
        stored += answer.stored.len();
    }
    assert_eq!(stored, 31);
}

#[test]
fn every_mutated_request_is_refused_for_its_own_reason() {
    mutate::check(
        &PostHog::default(),
        &mutate::read("posthog/mutations.json").unwrap(),
    )
    .unwrap();
}

#[test]
fn a_table_notices_a_fake_that_takes_everything() {
    let table = mutate::read("posthog/mutations.json").unwrap();
    assert!(mutate::check(&crate::backend::RecordEverything, &table).is_err());
}

fn post(fake: &PostHog, path: &str) -> Answer {
    let text = std::fs::read_to_string(paths::golden("posthog/good.json")).unwrap();
    let good: Value = serde_json::from_str(&text).unwrap();
    fake.answer(&Request {
        method: "POST".to_owned(),
        path: path.to_owned(),
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: good["batch"].to_string().into(),
        ..Request::default()
    })
}

#[test]
fn an_own_installation_may_lack_the_route_for_ai_events() {
    let own = PostHog {
        has_ai_route: false,
        ..PostHog::default()
    };
    assert_eq!(post(&own, AI_BATCH).status, 404);
    assert_eq!(post(&own, BATCH).status, 200);
}

#[test]
fn sizes_and_the_plan_have_limits() {
    let small = PostHog {
        max_event_bytes: 40,
        ..PostHog::default()
    };
    assert!(post(&small, BATCH).refused.unwrap().contains("larger"));
    let smaller = PostHog {
        max_body_bytes: 40,
        ..PostHog::default()
    };
    assert_eq!(post(&smaller, BATCH).status, 413);
    let over = PostHog {
        is_over_quota: true,
        ..PostHog::default()
    };
    let answer = post(&over, BATCH);
    assert_eq!((answer.status, answer.stored.len()), (200, 0));
}
