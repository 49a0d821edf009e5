//! The fake takes what the official exporter was recorded to send, and refuses what is broken.

use serde_json::Value;

use super::*;
use crate::{mutate, paths};

fn legacy() -> Langfuse {
    Langfuse {
        ingestion: Ingestion::Legacy,
        ..Langfuse::default()
    }
}

/// The requests that the official exporter was recorded to send.
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
    for file in ["langfuse.json", "langfuse-realtime-env.json"] {
        let mut stored = Vec::new();
        for request in recorded(file) {
            let answer = legacy().answer(&request);
            assert_eq!(
                (answer.refused, answer.status / 100),
                (None, 2),
                "{file} {}",
                request.path
            );
            stored.extend(answer.stored);
        }
        let count = |kind| stored.iter().filter(|record| record.kind == kind).count();
        assert_eq!((count(SPAN), count(SCORE)), (28, 4), "{file}");
    }
}

#[test]
fn the_old_batch_is_gone_from_the_cloud() {
    let request = recorded("langfuse.json")
        .into_iter()
        .find(|request| request.path == INGESTION)
        .unwrap();
    let answer = Langfuse::default().answer(&request);
    assert_eq!((answer.status, answer.stored.len()), (410, 0));
}

#[test]
fn every_mutated_request_is_refused_for_its_own_reason() {
    for table in ["mutations.json", "mutations-protobuf.json"] {
        let table = mutate::read(&format!("langfuse/{table}")).unwrap();
        mutate::check(&Langfuse::default(), &table).unwrap();
    }
    mutate::check(
        &legacy(),
        &mutate::read("langfuse/mutations-legacy.json").unwrap(),
    )
    .unwrap();
}

#[test]
fn a_table_notices_a_fake_that_takes_everything() {
    let table = mutate::read("langfuse/mutations.json").unwrap();
    let error = mutate::check(&crate::backend::RecordEverything, &table)
        .unwrap_err()
        .to_string();
    let mutations: usize = table
        .endpoints
        .iter()
        .map(|endpoint| endpoint.mutations.len())
        .sum();
    assert!(error.lines().count() >= mutations, "{error}");
}

fn scores(fake: &Langfuse, body: String) -> Answer {
    let headers = vec![
        (
            "content-type".to_owned(),
            "application/json; charset=utf-8".to_owned(),
        ),
        ("authorization".to_owned(), fake.authorization()),
    ];
    let (method, path) = ("POST".to_owned(), SCORES.to_owned());
    fake.answer(&Request {
        method,
        path,
        headers,
        body: body.into(),
        ..Request::default()
    })
}

#[test]
fn a_batch_with_bad_scores_is_taken_in_part() {
    let text = std::fs::read_to_string(paths::golden("langfuse/scores.json")).unwrap();
    let mut batch: Value = serde_json::from_str(&text).unwrap();
    batch[1]["value"] = Value::from("thumbs up");
    let answer = scores(&Langfuse::default(), batch.to_string());
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(
        (answer.status, &body["accepted"], &body["rejected"]),
        (207, &Value::from(2), &Value::from(1))
    );
    assert_eq!(body["errors"][0]["index"], 1);
    let ids: Vec<_> = answer
        .stored
        .iter()
        .map(|score| score.id.as_str())
        .collect();
    assert_eq!(ids, ["sc-1", "sc-3"]);
}

#[test]
fn an_older_server_takes_single_scores_only() {
    let old = Langfuse {
        takes_score_batches: false,
        ..Langfuse::default()
    };
    let text = std::fs::read_to_string(paths::golden("langfuse/scores.json")).unwrap();
    let batch: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(scores(&old, batch.to_string()).status, 400);
    assert_eq!(scores(&old, batch[0].to_string()).status, 200);
}

#[test]
fn a_body_over_the_documented_size_is_too_large() {
    let fake = Langfuse {
        max_score_body_bytes: 40,
        ..Langfuse::default()
    };
    assert_eq!(scores(&fake, " ".repeat(41)).status, 413);
    assert_eq!(scores(&fake, " ".repeat(40)).status, 400);
}

#[test]
fn metrics_are_answered_well_and_discarded() {
    let mut request = recorded("langfuse.json").pop().unwrap();
    request.path = METRICS.to_owned();
    let answer = Langfuse::default().answer(&request);
    assert_eq!((answer.status, answer.stored.len()), (200, 0));
}
