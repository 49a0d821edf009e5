//! The fakes take what the official exporter was recorded to send, and refuse what is broken.

use super::*;
use crate::backend::otlp::wire::to_protobuf;
use crate::{mutate, paths};

#[test]
fn every_recorded_official_request_of_traces_is_taken() {
    let fakes: [(&str, &dyn Fake); 2] = [
        ("arize-phoenix", &Phoenix::default()),
        ("arize-ax", &ArizeAx::default()),
    ];
    for (name, fake) in fakes {
        let text = std::fs::read_to_string(paths::corpus(&format!("{name}.json"))).unwrap();
        let corpus: Value = serde_json::from_str(&text).unwrap();
        let mut stored = 0;
        let requests = corpus["requests"].as_array().unwrap().iter();
        // Neither has a place for the logs that it also sends.
        for recorded in requests.filter(|recorded| recorded["path"] == TRACES) {
            let headers = recorded["headers"].as_object().unwrap().iter();
            let headers = headers
                .map(|(name, value)| (name.to_lowercase(), value.as_str().unwrap().to_owned()));
            let answer = fake.answer(&Request {
                method: "POST".to_owned(),
                path: TRACES.to_owned(),
                headers: headers.collect(),
                body: to_protobuf(Signal::Traces, &recorded["body"])
                    .unwrap()
                    .into(),
                ..Request::default()
            });
            assert_eq!((answer.refused, answer.status), (None, 200), "{name}");
            stored += answer.stored.len();
        }
        assert_eq!(stored, 28, "{name}");
    }
}

#[test]
fn every_mutated_request_is_refused_for_its_own_reason() {
    for table in [
        "arize/mutations-phoenix.json",
        "arize/mutations-phoenix-traces.json",
    ] {
        mutate::check(&Phoenix::default(), &mutate::read(table).unwrap()).unwrap();
    }
    for table in ["arize/mutations-ax.json", "arize/mutations-ax-traces.json"] {
        mutate::check(&ArizeAx::default(), &mutate::read(table).unwrap()).unwrap();
    }
}
