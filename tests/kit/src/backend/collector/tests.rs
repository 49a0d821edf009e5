//! The fake takes what the official exporter was recorded to send, and refuses what is broken.

use super::*;
use crate::{mutate, paths};

#[test]
fn every_recorded_official_request_is_taken() {
    let mut stored = 0;
    for name in ["otel-http-json", "otel-http-protobuf"] {
        let text = std::fs::read_to_string(paths::corpus(&format!("{name}.json"))).unwrap();
        let corpus: Value = serde_json::from_str(&text).unwrap();
        for recorded in corpus["requests"].as_array().unwrap() {
            let path = recorded["path"].as_str().unwrap();
            let signal = if path.ends_with("traces") {
                Signal::Traces
            } else {
                Signal::Logs
            };
            let media_type = recorded["headers"]["Content-Type"].as_str().unwrap();
            let body = if media_type == "application/json" {
                recorded["body"].to_string().into_bytes()
            } else {
                wire::to_protobuf(signal, &recorded["body"]).unwrap()
            };
            let fake = Collector {
                base: path.split("/v1").next().unwrap().to_owned(),
                ..Collector::default()
            };
            let answer = fake.answer(&Request {
                method: "POST".to_owned(),
                path: path.to_owned(),
                headers: [("content-type", media_type), ("x-api-key", "otel-key")]
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .to_vec(),
                body: body.into(),
                ..Request::default()
            });
            assert_eq!((answer.refused, answer.status), (None, 200), "{name}");
            stored += answer.stored.len();
        }
    }
    assert_eq!(stored, 68);
}

#[test]
fn every_mutated_request_is_refused_for_its_own_reason() {
    for table in [
        "collector/mutations.json",
        "collector/mutations-protobuf.json",
    ] {
        mutate::check(&Collector::default(), &mutate::read(table).unwrap()).unwrap();
    }
}

#[test]
fn a_backend_of_running_totals_refuses_deltas() {
    let text = std::fs::read_to_string(paths::golden("collector/metrics.json")).unwrap();
    let request = Request {
        method: "POST".to_owned(),
        path: "/v1/metrics".to_owned(),
        headers: [
            ("content-type", "application/json"),
            ("x-api-key", "otel-key"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec(),
        body: text.into(),
        ..Request::default()
    };
    let fake = Collector {
        is_cumulative: true,
        ..Collector::default()
    };
    assert_eq!(Collector::default().answer(&request).status, 200);
    assert!(fake.answer(&request).refused.unwrap().contains("delta"));
}
