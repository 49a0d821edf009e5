//! The fake takes what the official exporter was recorded to send, and refuses what is broken.

use super::*;
use crate::{mutate, paths};

/// Forms as recordings and tables have them: a list of parts `{"name", "value"}`, with `"type"` in the place of the
/// content type that would be right.
struct Unfolded(LangSmith);

impl Fake for Unfolded {
    fn answer(&self, request: &Request) -> Answer {
        let parts = request.json().ok().filter(|_| request.path == FORMS);
        let Some(parts) = parts.as_ref().and_then(Value::as_array) else {
            return self.0.answer(request);
        };
        let mut body = String::new();
        for part in parts {
            let (name, value) = (part["name"].as_str().unwrap(), part["value"].to_string());
            let right = format!("application/json; length={}", value.len());
            let content_type = part["type"].as_str().unwrap_or(&right);
            body.push_str(&format!(
                "--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\nContent-Type: {content_type}\r\n\r\n{value}\r\n"
            ));
        }
        body.push_str("--b--\r\n");
        self.0.answer(&Request {
            body: body.into(),
            ..request.clone()
        })
    }
}

#[test]
fn every_recorded_official_request_is_taken() {
    let fake = Unfolded(LangSmith::default());
    let text = std::fs::read_to_string(paths::corpus("langsmith.json")).unwrap();
    let corpus: Value = serde_json::from_str(&text).unwrap();
    let served = [FORMS, FEEDBACK];
    let mut stored = Vec::new();
    let requests = corpus["requests"].as_array().unwrap().iter();
    for recorded in requests.filter(|recorded| served.iter().any(|path| recorded["path"] == *path))
    {
        let path = recorded["path"].as_str().unwrap().to_owned();
        let media_type = if path == FORMS {
            "multipart/form-data; boundary=b"
        } else {
            "application/json"
        };
        let headers = [
            ("content-type", media_type),
            (
                "x-api-key",
                recorded["headers"]["x-api-key"].as_str().unwrap(),
            ),
        ];
        let answer = fake.answer(&Request {
            method: "POST".to_owned(),
            path,
            headers: headers
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec(),
            body: recorded["body"].to_string().into(),
            ..Request::default()
        });
        assert_eq!((answer.refused, answer.status / 100), (None, 2));
        stored.extend(answer.stored);
    }
    let count = |kind| stored.iter().filter(|record| record.kind == kind).count();
    assert_eq!((count(RUN), count(VERDICT)), (28, 3));
}

#[test]
fn every_mutated_request_is_refused_for_its_own_reason() {
    let fake = Unfolded(LangSmith::default());
    mutate::check(&fake, &mutate::read("langsmith/mutations.json").unwrap()).unwrap();
    mutate::check(
        &fake,
        &mutate::read("langsmith/mutations-forms.json").unwrap(),
    )
    .unwrap();
}

#[test]
fn a_table_notices_a_fake_that_takes_everything() {
    let table = mutate::read("langsmith/mutations.json").unwrap();
    assert!(mutate::check(&crate::backend::RecordEverything, &table).is_err());
}

fn post(fake: &LangSmith, path: &str) -> Answer {
    let text = std::fs::read_to_string(paths::golden("langsmith/good.json")).unwrap();
    let good: Value = serde_json::from_str(&text).unwrap();
    let headers = [
        ("content-type", "application/json"),
        ("x-api-key", "lsv2_pt_test"),
    ];
    fake.answer(&Request {
        method: "POST".to_owned(),
        path: path.to_owned(),
        headers: headers
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        body: good["batch"].to_string().into(),
        ..Request::default()
    })
}

#[test]
fn a_run_that_is_there_already_is_a_conflict() {
    let fake = LangSmith::default();
    assert_eq!(post(&fake, BATCH).status, 202);
    let again = post(&fake, BATCH);
    assert_eq!((again.status, again.stored.len()), (409, 0));
}

#[test]
fn an_older_server_has_no_forms_and_a_small_one_has_limits() {
    let old = LangSmith {
        takes_forms: false,
        max_body_bytes: 40,
        ..LangSmith::default()
    };
    assert_eq!(post(&old, FORMS).status, 404);
    assert_eq!(post(&old, BATCH).status, 413);
}
