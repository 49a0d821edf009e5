//! The fake takes what the official clients were recorded to publish, and refuses what is broken.

use serde_json::Value;

use super::*;
use crate::{mutate, paths};

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
        .collect()
}

#[test]
fn every_recorded_official_request_is_taken() {
    for (file, token) in [
        ("mastra-platform.json", "platform-token"),
        ("mastra-cloud.json", "cloud-token"),
    ] {
        let fake = Cloud {
            access_token: token.to_owned(),
            ..Cloud::default()
        };
        let mut stored = 0;
        for request in recorded(file) {
            let answer = fake.answer(&request);
            assert_eq!((answer.refused, answer.status), (None, 200), "{file}");
            stored += answer.stored.len();
        }
        assert_eq!(stored, 64, "{file}");
    }
}

#[test]
fn the_probe_is_taken_and_stores_nothing() {
    let mut request = recorded("mastra-platform.json").remove(0);
    request.body = r#"{"spans":[]}"#.into();
    let answer = Cloud::default().answer(&request);
    assert_eq!((answer.status, answer.stored.len()), (200, 0));
}

#[test]
fn every_mutated_request_is_refused_for_its_own_reason() {
    let table = mutate::read("cloud/mutations.json").unwrap();
    mutate::check(&Cloud::default(), &table).unwrap();
}
