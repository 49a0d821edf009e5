//! What the tests of the exporters share: the recorded events as batches, settings, a stand-in that answers, and requests
//! as golden files have them.
//!
//! Each function panics where a file of the repository is missing or is not what it should be.

#![allow(
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a failed helper of a test is a failed test"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mastra_exporter_sdk::http::testing::{status, with_backend};
use mastra_exporter_sdk::http::{Auth, HttpError, Request, Response};
use mastra_exporter_sdk::records::{DelayScope, MetricBatch, SendResult, SpanPhase};
use mastra_exporter_sdk::settings::SettingError;
use mastra_exporter_sdk::test_support::requests::{fate_word, fate_words, header, outcome_word};
use mastra_exporter_sdk::test_support::{Batches, batches};
use mastra_exporter_sdk::{Acknowledgement, Exporter, Metrics, Scores};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::backend::otlp::wire::{Signal, from_protobuf};
use crate::backend::{self, Fake, prometheus};
use crate::{golden, paths};

/// The recorded events as text, one a line.
#[must_use]
pub fn recorded_text() -> String {
    fs::read_to_string(paths::corpus("events.ndjson")).unwrap()
}

/// The recorded events, spans of all phases.
#[must_use]
pub fn recorded() -> Batches {
    batches(&recorded_text())
}

/// The recorded events, ended spans only: what most exporters ask for.
#[must_use]
pub fn recorded_ended() -> Batches {
    let mut events = recorded();
    events.keep_spans(|span| span.phase == SpanPhase::Ended);
    events
}

/// An exporter with these settings; `more` adds to them or replaces some.
#[must_use]
pub fn configured<E: Exporter>(mut settings: Value, more: &Value) -> E {
    for (key, value) in more.as_object().into_iter().flatten() {
        settings[key] = value.clone();
    }
    E::configure(serde_json::from_value(settings).unwrap())
        .unwrap_or_else(|refused| panic!("{refused:?}"))
}

/// Runs `send` while each request gets this reply. Returns the result and the requests.
pub fn answered<R>(
    reply: Result<Response, HttpError>,
    send: impl FnOnce() -> R,
) -> (R, Vec<Request>) {
    with_backend(move |_| reply.clone(), send)
}

/// A key that is refused at a flush: everything comes back to the host, is refused as long as the key is, and is then
/// delivered once.
pub fn check_refused_flush<E: Metrics>(exporter: &E, metrics: &MetricBatch) {
    let tokens = |acknowledged: Vec<Acknowledgement>, fate: &str| {
        let told = acknowledged.into_iter();
        let mut tokens: Vec<_> = told
            .inspect(|told| assert_eq!(fate_word(&told.fate), fate))
            .flat_map(|told| told.tokens)
            .collect();
        tokens.sort_unstable();
        tokens
    };
    let mut given = metrics.tokens.clone();
    given.sort_unstable();
    exporter.send_metrics(metrics);
    let told = answered(Ok(status(401)), || exporter.flush()).0;
    assert_eq!(tokens(told, "retry"), given);
    for code in [403, 401] {
        let refused = answered(Ok(status(code)), || exporter.send_metrics(metrics)).0;
        assert_eq!(outcome_word(&refused), "unauthorized");
    }
    let (taken, requests) = answered(Ok(status(200)), || exporter.send_metrics(metrics));
    assert!(!requests.is_empty(), "the key was tried");
    let held: Vec<_> = fate_words(&taken, given.len());
    let told = answered(Ok(status(200)), || exporter.flush()).0;
    let delivered = held.iter().filter(|fate| **fate == "delivered").count();
    assert_eq!(delivered + tokens(told, "delivered").len(), given.len());
}

/// Each of these sends keeps everything where nobody can be reached, and pauses where the grant is missing.
pub fn check_unsent(sends: &[&dyn Fn() -> SendResult]) {
    for send in sends {
        let unreachable = Err(HttpError::Unreachable("connection refused".to_owned()));
        assert_eq!(outcome_word(&answered(unreachable, send).0), "retry");
        let denied = Err(HttpError::Denied("no grant".to_owned()));
        assert_eq!(outcome_word(&answered(denied, send).0), "unauthorized");
    }
}

/// Each of these sends has this outcome when the answer is this status, after one request.
pub fn check_statuses(statuses: &[(u16, &str)], sends: &[&dyn Fn() -> SendResult]) {
    for (code, expected) in statuses {
        for send in sends {
            let (result, requests) = answered(Ok(status(*code)), send);
            let found = (outcome_word(&result), requests.len());
            assert_eq!(found, (*expected, 1), "{code}");
        }
    }
}

/// A score that is about nothing is skipped without a request.
pub fn check_score_of_nothing(exporter: &impl Scores) {
    let line = r#"{"type":"score","score":{"scoreId":"s","timestamp":"2026-03-04T05:06:10.146Z","scorerId":"x","score":1}}"#;
    let scores = batches(line).scores;
    let (result, requests) = answered(Ok(status(200)), || exporter.send_scores(&scores));
    assert_eq!(
        (fate_words(&result, 1), requests.len()),
        (vec!["skipped"], 0)
    );
}

/// For how long this signal is left alone after this answer.
#[must_use]
pub fn wait_after(reply: Response, send: impl FnOnce() -> SendResult) -> Option<Duration> {
    let delay = answered(Ok(reply), send).0.not_before?;
    assert_eq!(delay.scope, DelayScope::ThisSignal);
    Some(Duration::from_nanos(delay.wait))
}

/// Reads settings and checks them. Returns the names of those at fault.
///
/// # Errors
/// When there are such.
pub fn checked<S: DeserializeOwned, C>(
    json: &str,
    check: impl FnOnce(S) -> Result<C, Vec<SettingError>>,
) -> Result<C, Vec<String>> {
    check(serde_json::from_str(json).unwrap())
        .map_err(|errors| errors.into_iter().map(|error| error.setting).collect())
}

/// The body of a request, as JSON; OTLP in protobuf and remote write by their JSON form.
#[must_use]
pub fn body(request: &Request) -> Value {
    protobuf(request).unwrap_or_else(|| serde_json::from_slice(&request.body).unwrap())
}

/// What an OTLP request carries, by its URL.
#[must_use]
pub fn otlp_signal(request: &Request) -> Signal {
    match request.url.rsplit('/').next() {
        Some("traces") => Signal::Traces,
        Some("logs") => Signal::Logs,
        _ => Signal::Metrics,
    }
}

fn protobuf(request: &Request) -> Option<Value> {
    let content_type = header(request, "content-type");
    if header(request, "content-encoding") == Some("snappy") {
        return Some(prometheus::decode(content_type, &request.body).unwrap());
    }
    let is_protobuf = content_type == Some("application/x-protobuf");
    is_protobuf.then(|| from_protobuf(otlp_signal(request), &request.body).unwrap())
}

/// The body of a request that is a line of JSON each.
#[must_use]
pub fn lines(request: &Request) -> Vec<Value> {
    let text = std::str::from_utf8(&request.body).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The golden files of an exporter, `tests/golden/` in its folder.
#[derive(Clone, Debug)]
pub struct Golden {
    folder: PathBuf,
    /// What each request is answered with.
    status: u16,
    /// Members that come from the wall clock.
    clock_members: &'static [&'static str],
}

impl Golden {
    /// `manifest_dir` is the exporter's folder.
    #[must_use]
    pub fn of(manifest_dir: &str, status: u16) -> Self {
        Self {
            folder: Path::new(manifest_dir).join("tests/golden"),
            status,
            clock_members: &[],
        }
    }

    /// Does not compare the values of these members, wherever they are.
    #[must_use]
    pub const fn without(mut self, clock_members: &'static [&'static str]) -> Self {
        self.clock_members = clock_members;
        self
    }

    /// Compares the requests that `send` makes with the file. Returns its result.
    pub fn check<R>(&self, file: &str, send: impl FnOnce() -> R) -> R {
        let (result, requests) = answered(Ok(status(self.status)), send);
        self.check_requests(file, &requests);
        result
    }

    /// Compares requests with the file.
    pub fn check_requests(&self, file: &str, requests: &[Request]) {
        let mut written: Value = requests.iter().map(written).collect();
        mask(&mut written, self.clock_members);
        golden::check(&self.folder.join(file), &written).unwrap();
    }
}

fn mask(value: &mut Value, members: &[&str]) {
    match value {
        Value::Object(object) => object.iter_mut().for_each(|(key, value)| {
            if members.contains(&key.as_str()) {
                *value = "now".into();
            }
            mask(value, members);
        }),
        Value::Array(elements) => elements.iter_mut().for_each(|value| mask(value, members)),
        _ => {}
    }
}

/// A request as golden files have it. A body of several lines is an array of its lines: JSON where all are, else text.
fn written(request: &Request) -> Value {
    let body = protobuf(request).unwrap_or_else(|| {
        let text = std::str::from_utf8(&request.body).unwrap();
        let as_lines =
            || -> Result<Value, _> { text.lines().map(serde_json::from_str::<Value>).collect() };
        serde_json::from_str(text)
            .or_else(|_| as_lines())
            .unwrap_or_else(|_: serde_json::Error| text.lines().collect())
    });
    json!({
        "verb": request.verb,
        "url": request.url,
        "headers": request.headers,
        "compression": request.compression.map(|compression| format!("{compression:?}")),
        "body": body,
    })
}

/// What a strict fake says to a request, with the secret filled in as the host does. Panics when the fake refuses it with
/// a status that is not among `expected`.
pub fn judged_by(fake: &impl Fake, request: &Request, secret: &str, expected: &[u16]) -> Response {
    // Names are in lower case on the wire, however they were written.
    let lower = |(name, value): &(String, String)| (name.to_ascii_lowercase(), value.clone());
    let mut headers: Vec<_> = request.headers.iter().map(lower).collect();
    match &request.auth {
        Some(Auth::Bearer(_)) => {
            headers.push(("authorization".to_owned(), format!("Bearer {secret}")));
        }
        Some(Auth::Header(name, _)) => {
            headers.push((name.to_ascii_lowercase(), secret.to_owned()));
        }
        Some(Auth::Basic(user, _)) => {
            let pair = STANDARD.encode(format!("{user}:{secret}"));
            headers.push(("authorization".to_owned(), format!("Basic {pair}")));
        }
        _ => {}
    }
    let body = match std::str::from_utf8(&request.body) {
        Ok(text) => text.replace("{secret:1}", secret).into_bytes(),
        Err(_) => request.body.clone(),
    };
    let (_, after_scheme) = request.url.split_once("://").unwrap();
    let path = after_scheme.find('/').map_or("/", |at| &after_scheme[at..]);
    let path = path.split('?').next().unwrap_or(path);
    let answer = fake.answer(&backend::Request {
        method: request.verb.to_owned(),
        path: path.to_owned(),
        headers,
        body: body.into(),
        ..backend::Request::default()
    });
    assert!(
        answer.refused.is_none() || expected.contains(&answer.status),
        "{answer:?}"
    );
    Response {
        body: answer.body.to_vec(),
        ..status(answer.status)
    }
}
