//! The fake takes what the official exporter was recorded to send, and refuses what is broken.

use super::*;
use crate::backend::otlp::wire::to_protobuf;
use crate::{mutate, paths};

#[test]
fn every_recorded_official_request_to_a_living_endpoint_is_taken() {
    let text = std::fs::read_to_string(paths::corpus("laminar.json")).unwrap();
    let corpus: Value = serde_json::from_str(&text).unwrap();
    let mut statuses = Vec::new();
    for recorded in corpus["requests"].as_array().unwrap() {
        let path = recorded["path"].as_str().unwrap();
        let (media_type, body) = if path == TRACES {
            let body = to_protobuf(Signal::Traces, &recorded["body"]).unwrap();
            ("application/x-protobuf", body)
        } else {
            (
                "application/json",
                recorded["body"].to_string().into_bytes(),
            )
        };
        let answer = Laminar::default().answer(&Request {
            method: "POST".to_owned(),
            path: path.to_owned(),
            headers: [
                ("content-type", media_type),
                ("authorization", "Bearer lmnr-key"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
            body: body.into(),
            ..Request::default()
        });
        if path == TRACES {
            assert_eq!((answer.refused, answer.stored.len()), (None, 28));
        }
        statuses.push(answer.status);
    }
    statuses.sort_unstable();
    assert_eq!(
        statuses,
        [200, 404, 404, 404, 404],
        "scores have no endpoint any more"
    );
}

#[test]
fn every_mutated_request_is_refused_for_its_own_reason() {
    for table in ["laminar/mutations.json", "laminar/mutations-traces.json"] {
        mutate::check(&Laminar::default(), &mutate::read(table).unwrap()).unwrap();
    }
}
