//! The fake takes what the official exporter was recorded to send, and refuses what is broken.

use serde_json::Value;

use super::*;
use crate::{mutate, paths};

/// The recorded requests to the documented API; the official exporter's spans go to an internal one.
fn recorded(file: &str) -> Vec<Request> {
    let text = std::fs::read_to_string(paths::corpus(file)).unwrap();
    let corpus: Value = serde_json::from_str(&text).unwrap();
    let requests = corpus["requests"].as_array().unwrap();
    requests
        .iter()
        .map(|recorded| Request {
            method: recorded["method"].as_str().unwrap().to_owned(),
            path: recorded["path"].as_str().unwrap().to_owned(),
            headers: recorded["headers"]
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, value)| (name.to_lowercase(), value.as_str().unwrap().to_owned()))
                .collect(),
            body: recorded["body"].to_string().into(),
            ..Request::default()
        })
        .filter(|request| request.path == EVALUATIONS)
        .collect()
}

#[test]
fn every_recorded_official_request_is_taken() {
    let requests = recorded("datadog.json");
    assert_eq!(requests.len(), 1);
    for request in requests {
        let answer = Datadog::default().answer(&request);
        assert_eq!((answer.refused, answer.status), (None, 202));
        assert_eq!(answer.stored.len(), 3);
    }
}

#[test]
fn every_mutated_request_is_refused_for_its_own_reason() {
    for table in [
        "datadog/mutations.json",
        "datadog/mutations-distributions.json",
    ] {
        mutate::check(&Datadog::default(), &mutate::read(table).unwrap()).unwrap();
    }
}

#[test]
fn sizes_count_on_the_wire_for_metrics_and_decoded_for_the_rest() {
    let fake = Datadog {
        max_body_bytes: 10,
        max_metrics_bytes: 10,
        ..Datadog::default()
    };
    let request = |path: &str, wire_bytes, body: &str| Request {
        method: "POST".to_owned(),
        path: path.to_owned(),
        headers: vec![
            ("dd-api-key".to_owned(), fake.api_key.clone()),
            ("content-type".to_owned(), "application/json".to_owned()),
        ],
        body: body.to_owned().into(),
        wire_bytes,
        ..Request::default()
    };
    assert_eq!(fake.answer(&request(LOGS, 1, "[1,2,3,4,5,6]")).status, 413);
    assert_eq!(
        fake.answer(&request(SERIES, 1, "[1,2,3,4,5,6]")).status,
        400
    );
    assert_eq!(fake.answer(&request(SERIES, 11, "[]")).status, 413);
}
