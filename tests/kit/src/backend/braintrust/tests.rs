//! The fake takes what the official exporter was recorded to send, and refuses what is broken.

use super::*;
use crate::{mutate, paths};

fn recorded() -> Vec<Request> {
    let text = std::fs::read_to_string(paths::corpus("braintrust.json")).unwrap();
    let corpus: Value = serde_json::from_str(&text).unwrap();
    let requests = corpus["requests"].as_array().unwrap().iter();
    let served = requests.filter(|recorded| recorded["path"] == LOGS3);
    let headers = |recorded: &Value| {
        let headers = recorded["headers"].as_object().unwrap().iter();
        headers
            .map(|(name, value)| (name.to_lowercase(), value.as_str().unwrap().to_owned()))
            .collect()
    };
    served
        .map(|recorded| Request {
            method: recorded["method"].as_str().unwrap().to_owned(),
            path: LOGS3.to_owned(),
            headers: headers(recorded),
            body: recorded["body"].to_string().into(),
            ..Request::default()
        })
        .collect()
}

#[test]
fn every_recorded_official_request_is_taken() {
    let fake = Braintrust::default();
    let mut ids = HashSet::new();
    for request in recorded() {
        let answer = fake.answer(&request);
        assert_eq!((answer.refused, answer.status), (None, 200));
        ids.extend(answer.stored.into_iter().map(|row| row.id));
    }
    assert_eq!(ids.len(), 30, "28 spans, a score of a trace and a comment");
}

#[test]
fn every_mutated_request_is_refused_for_its_own_reason() {
    let table = mutate::read("braintrust/mutations.json").unwrap();
    mutate::check(&Braintrust::default(), &table).unwrap();
}

#[test]
fn a_table_notices_a_fake_that_takes_everything() {
    let table = mutate::read("braintrust/mutations.json").unwrap();
    assert!(mutate::check(&crate::backend::RecordEverything, &table).is_err());
}

fn post(fake: &Braintrust, path: &str, body: &Value) -> Answer {
    let headers = [
        ("content-type", "application/json"),
        ("authorization", "Bearer sk-bt-test"),
    ];
    fake.answer(&Request {
        method: "POST".to_owned(),
        path: path.to_owned(),
        headers: headers
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        body: body.to_string().into(),
        ..Request::default()
    })
}

#[test]
fn a_row_is_merged_or_refused_but_never_replaced() {
    let fake = Braintrust::default();
    let row = json!({"id": "a", "span_id": "a", "root_span_id": "t"});
    let path = fake.rows_path();
    assert_eq!(post(&fake, &path, &json!({"events": [row]})).status, 200);
    assert_eq!(post(&fake, &path, &json!({"events": [row]})).status, 400);
    let mut merged = row;
    merged["_is_merge"] = true.into();
    assert_eq!(post(&fake, &path, &json!({"events": [merged]})).status, 200);
}

#[test]
fn a_project_is_found_by_its_name() {
    let fake = Braintrust::default();
    let answer = post(&fake, PROJECT, &json!({"name": "p", "org_name": "o"}));
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(
        (answer.status, body["id"].as_str()),
        (200, Some(fake.project_id.as_str()))
    );
}

#[test]
fn a_body_over_the_size_is_too_large() {
    let fake = Braintrust {
        max_body_bytes: 40,
        ..Braintrust::default()
    };
    let body = json!({"name": "n".repeat(40)});
    assert_eq!(post(&fake, PROJECT, &body).status, 413);
}
