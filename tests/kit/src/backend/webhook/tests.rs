//! The fake takes recorded events, and refuses what is broken.

use super::*;
use crate::{mutate, paths};

fn lines(headers: &[(&str, &str)], body: &str) -> Request {
    let headers = headers.iter();
    Request {
        method: "POST".to_owned(),
        path: EVENTS.to_owned(),
        headers: headers
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .chain([("content-type".to_owned(), "application/x-ndjson".to_owned())])
            .collect(),
        body: body.to_owned().into(),
        ..Request::default()
    }
}

#[test]
fn every_recorded_event_is_taken() {
    let text = std::fs::read_to_string(paths::corpus("events.ndjson")).unwrap();
    let answer =
        Webhook::default().answer(&lines(&[("authorization", "Bearer hook-token")], &text));
    assert_eq!((answer.refused, answer.status), (None, 200));
    assert_eq!(answer.stored.len(), 94);
}

#[test]
fn every_mutated_request_is_refused_for_its_own_reason() {
    let table = mutate::read("webhook/mutations.json").unwrap();
    mutate::check(&Webhook::default(), &table).unwrap();
}

#[test]
fn a_signature_is_of_this_key_and_body() {
    let fake = Webhook {
        authorization: None,
        signing_secret: Some("Jefe".to_owned()),
    };
    // RFC 4231, test case 2.
    let body = "what do ya want for nothing?";
    let digest = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    let signed = lines(&[("x-signature-256", digest)], body);
    assert_eq!(fake.answer(&signed).status, 400, "signed, but no event");
    for (headers, body) in [
        (vec![], body),
        (vec![("x-signature-256", "sha256=00")], body),
        (vec![("x-signature-256", digest)], "another body"),
    ] {
        assert_eq!(fake.answer(&lines(&headers, body)).status, 401);
    }
}
