//! The fake takes what the official exporter was recorded to send, and refuses what is broken.

use serde_json::Value;

use super::*;
use crate::{mutate, paths};

/// Lets a table of mutations speak of an envelope as an array of its lines.
struct OfLines(Sentry);

impl Fake for OfLines {
    fn answer(&self, request: &Request) -> Answer {
        let mut request = request.clone();
        if let Ok(Value::Array(lines)) = request.json() {
            let lines: Vec<_> = lines.iter().map(Value::to_string).collect();
            request.body = lines.join("\n").into();
        }
        self.0.answer(&request)
    }
}

#[test]
fn every_recorded_official_request_is_taken() {
    let text = std::fs::read_to_string(paths::corpus("sentry.json")).unwrap();
    let corpus: Value = serde_json::from_str(&text).unwrap();
    let mut stored = Vec::new();
    for recorded in corpus["requests"].as_array().unwrap() {
        let body = &recorded["body"];
        let mut lines = vec![body["header"].to_string()];
        for item in body["items"].as_array().unwrap() {
            lines.extend([item["header"].to_string(), item["payload"].to_string()]);
        }
        let query = recorded["query"].as_object().unwrap().iter();
        let query: Vec<_> = query
            .map(|(key, value)| format!("{key}={}", value.as_str().unwrap()))
            .collect();
        let answer = Sentry::default().answer(&Request {
            method: "POST".to_owned(),
            path: recorded["path"].as_str().unwrap().to_owned(),
            query: query.join("&"),
            body: lines.join("\n").into(),
            ..Request::default()
        });
        assert_eq!((answer.refused, answer.status), (None, 200));
        stored.extend(answer.stored);
    }
    let count = |kind| stored.iter().filter(|record| record.kind == kind).count();
    assert_eq!((count(TRANSACTION), count(SPAN), count(EVENT)), (5, 4, 2));
}

#[test]
fn every_mutated_request_is_refused_for_its_own_reason() {
    let table = mutate::read("sentry/mutations.json").unwrap();
    mutate::check(&OfLines(Sentry::default()), &table).unwrap();
}

#[test]
fn an_item_over_the_documented_size_is_too_large() {
    let text = std::fs::read_to_string(paths::golden("sentry/logs.json")).unwrap();
    let fake = OfLines(Sentry {
        max_item_bytes: 10,
        ..Sentry::default()
    });
    let answer = fake.answer(&Request {
        method: "POST".to_owned(),
        path: "/api/42/envelope/".to_owned(),
        query: "sentry_key=pubkey123".to_owned(),
        body: text.into(),
        ..Request::default()
    });
    assert_eq!(answer.status, 413);
}
