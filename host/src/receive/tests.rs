//! Promises of the receivers, through their router and over loopback.

use std::io::Write as _;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, Request, Response, StatusCode};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::BodyExt as _;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;
use tower::ServiceExt as _;

use super::auth::Tokens;
use super::batch::MAX_PAYLOAD_BYTES;
use super::counts::{Counts, Snapshot};
use super::limits::Limits;
use super::*;
use crate::event::decode::record;
use crate::event::{EventKind, Signal};

const CORPUS: &str = include_str!("../../../tests/corpus/events.ndjson");
const PROTOCOL: &str = include_str!("../../../tests/corpus/protocol-platform.json");

/// A queue that remembers, or refuses.
struct FakeQueue {
    events: Mutex<Vec<Event>>,
    refusal: Mutex<Option<IntakeError>>,
    /// Accepting waits for a permit.
    gate: Semaphore,
}

impl Intake for FakeQueue {
    async fn accept(&self, events: Vec<Event>) -> Result<Accepted, IntakeError> {
        self.gate.acquire().await.unwrap().forget();
        self.gate.add_permits(1);
        if let Some(error) = self.refusal.lock().unwrap().clone() {
            return Err(error);
        }
        let mut known = self.events.lock().unwrap();
        let (repeats, new): (Vec<_>, Vec<_>) = events
            .into_iter()
            .partition(|event| known.iter().any(|old| old.repeat_key == event.repeat_key));
        let accepted = Accepted {
            accepted: new.len() as u64,
            repeated: repeats.len() as u64,
        };
        known.extend(new);
        Ok(accepted)
    }
}

struct FakeStatus;

impl Status for FakeStatus {
    fn health(&self) -> Page {
        Page {
            status: 200,
            content_type: "text/plain",
            body: "alive".into(),
        }
    }
    fn ready(&self) -> Page {
        Page {
            status: 503,
            content_type: "text/plain",
            body: "not yet".into(),
        }
    }
    fn metrics(&self) -> Page {
        Page {
            status: 200,
            content_type: "text/plain; version=0.0.4",
            body: "up 1\n".into(),
        }
    }
}

#[derive(Default)]
struct FakeLetters {
    kept: Mutex<Vec<DeadLetter>>,
    not_kept: AtomicU64,
}

impl FakeLetters {
    fn list(&self) -> Vec<DeadLetter> {
        self.kept.lock().unwrap().clone()
    }
}

impl KeepRefused for FakeLetters {
    fn keep(&self, letters: Vec<DeadLetter>, not_kept: u64) {
        self.kept.lock().unwrap().extend(letters);
        self.not_kept.fetch_add(not_kept, Ordering::Relaxed);
    }
}

struct House {
    queue: Arc<FakeQueue>,
    letters: Arc<FakeLetters>,
    counts: Arc<Counts>,
    router: Router,
}

fn house() -> House {
    house_with(Limits::default(), Tokens::default())
}

fn house_with(limits: Limits, tokens: Tokens) -> House {
    let queue = Arc::new(FakeQueue {
        events: Mutex::default(),
        refusal: Mutex::default(),
        gate: Semaphore::new(1),
    });
    let letters = Arc::new(FakeLetters::default());
    let counts = Arc::new(Counts::default());
    let settings = Settings {
        limits,
        tokens,
        refused: letters.clone(),
        status: Arc::new(FakeStatus),
        is_loop: Arc::new(|headers: &HeaderMap| headers.contains_key("x-test-hop")),
        clock: || 42,
    };
    let router =
        Receiver::new(Arc::clone(&queue), settings, Arc::clone(&counts)).router(Router::new());
    House {
        queue,
        letters,
        counts,
        router,
    }
}

impl House {
    async fn send(&self, request: Request<Body>) -> (StatusCode, HeaderMap, Value) {
        let response: Response<Body> = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        (
            parts.status,
            parts.headers,
            serde_json::from_str(&text).unwrap_or(Value::String(text)),
        )
    }

    async fn post(&self, path: &str, body: impl Into<Body>) -> (StatusCode, Value) {
        let (status, _, answer) = self
            .send(Request::post(path).body(body.into()).unwrap())
            .await;
        (status, answer)
    }

    async fn post_encoded(&self, path: &str, encoding: &str, body: Vec<u8>) -> (StatusCode, Value) {
        let request = Request::post(path)
            .header("content-encoding", encoding)
            .body(body.into())
            .unwrap();
        let (status, _, answer) = self.send(request).await;
        (status, answer)
    }

    fn events(&self) -> Vec<Event> {
        self.queue.events.lock().unwrap().clone()
    }
}

fn span(id: u64) -> Value {
    json!({"id": format!("{id:x}"), "traceId": "abc", "name": "n", "type": "generic", "isEvent": false,
        "isRootSpan": true, "startTime": "2026-03-04T05:06:07.000Z"})
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

// ---------------------------------------------------------------- the platform's protocol

#[tokio::test]
async fn every_recorded_request_of_the_platforms_client_is_accepted() {
    let protocol: Value = serde_json::from_str(PROTOCOL).unwrap();
    let (mut requests, mut probes) = (0, 0);
    for scenario in protocol["scenarios"].as_object().unwrap().values() {
        let house = house();
        for request in scenario["requests"].as_array().unwrap() {
            let body = &request["body"];
            let sent = body
                .as_object()
                .unwrap()
                .values()
                .next()
                .unwrap()
                .as_array()
                .unwrap()
                .len();
            let mut builder = Request::post(request["path"].as_str().unwrap());
            for (name, value) in request["headers"].as_object().unwrap() {
                builder = builder.header(name, value.as_str().unwrap());
            }
            let (status, _, answer) = house
                .send(builder.body(body.to_string().into()).unwrap())
                .await;
            assert_eq!(status, StatusCode::OK);
            assert_eq!(answer["accepted"], sent, "{answer}");
            assert_eq!(answer["rejected"], json!([]));
            requests += 1;
            probes += usize::from(sent == 0);
        }
    }
    assert_eq!((requests, probes > 0), (36, true));
}

#[test]
fn every_url_that_the_client_derives_leads_to_its_signal_and_project() {
    let protocol: Value = serde_json::from_str(PROTOCOL).unwrap();
    let cases = protocol["urlDerivation"].as_array().unwrap();
    assert_eq!(cases.len(), 50);
    let mut checked = 0;
    for case in cases {
        for (signal, segment) in [
            ("traces", "spans"),
            ("logs", "logs"),
            ("metrics", "metrics"),
            ("scores", "scores"),
            ("feedback", "feedback"),
        ] {
            let Some(address) = case["result"][signal].as_str() else {
                continue;
            };
            let address = url::Url::parse(address).unwrap();
            let target = platform::target(address.path()).unwrap();
            assert_eq!(target.segment, segment);
            assert_eq!(target.kind.signal().name(), signal);
            let configured = case["config"]["projectId"]
                .as_str()
                .or_else(|| case["env"]["MASTRA_PROJECT_ID"].as_str());
            let expected = if address.path().contains("/projects/") {
                configured
            } else {
                None
            };
            assert_eq!(target.project_id.as_deref(), expected, "{address}");
            checked += 1;
        }
    }
    assert!(checked >= 150, "{checked}");
}

#[tokio::test]
async fn records_carry_receiver_project_and_token() {
    let house = house_with(
        Limits::default(),
        Tokens::new([("staging".to_owned(), "t0ken")]),
    );
    let request = Request::post("/projects/p1/ai/spans/publish")
        .header("authorization", "Bearer t0ken")
        .body(json!({"spans": [span(1)]}).to_string().into())
        .unwrap();
    let (status, _, answer) = house.send(request).await;
    assert_eq!((status, &answer["accepted"]), (StatusCode::OK, &json!(1)));
    let events = house.events();
    assert_eq!(events[0].kind, EventKind::SpanEnded);
    assert_eq!(events[0].received_at, 42);
    assert_eq!(events[0].source.receiver, "platform");
    assert_eq!(events[0].source.project_id.as_deref(), Some("p1"));
    assert_eq!(events[0].source.token_label.as_deref(), Some("staging"));
}

#[tokio::test]
async fn a_batch_that_is_sent_again_is_accepted_again_as_repeats() {
    let house = house();
    let body = json!({"spans": [span(1), span(2)]}).to_string();
    assert_eq!(
        house.post("/ai/spans/publish", body.clone()).await.1["repeated"],
        0
    );
    let (status, answer) = house.post("/ai/spans/publish", body).await;
    assert_eq!(
        (status, &answer["accepted"], &answer["repeated"]),
        (StatusCode::OK, &json!(2), &json!(2))
    );
    assert_eq!(house.events().len(), 2);
}

#[tokio::test]
async fn payloads_are_the_records_as_they_were_sent() {
    let house = house();
    let record = r#"{ "id":"1", "traceId":"2","name":"é\n","type":"x" ,"startTime":"2026-03-04T05:06:07.000Z","input": 1.50 }"#;
    house
        .post(
            "/ai/spans/publish",
            format!(" {{ \"spans\" : [ {record} , {record}]}}"),
        )
        .await;
    assert_eq!(house.events()[0].payload, record);
}

#[tokio::test]
async fn a_few_events_do_not_keep_a_large_body_alive() {
    let body = Bytes::from(format!(
        "{{\"spans\":[{}{}]}}",
        span(1),
        format!(",{:>1000}", 5).repeat(100)
    ));
    let target = platform::target("/ai/spans/publish").unwrap();
    let batch = platform::read(&body, &target, 1, &Arc::default())
        .await
        .unwrap();
    assert_eq!((batch.events.len(), batch.refused_total), (1, 100));
    let range = body.as_ptr_range();
    assert!(!range.contains(&batch.events[0].payload.as_ptr()));
    let body = Bytes::from(json!({"spans": [span(1), span(2)]}).to_string());
    let batch = platform::read(&body, &target, 1, &Arc::default())
        .await
        .unwrap();
    assert!(
        body.as_ptr_range()
            .contains(&batch.events[0].payload.as_ptr())
    );
}

// ---------------------------------------------------------------- envelopes

#[tokio::test]
async fn the_recorded_events_are_accepted_as_lines_as_an_array_and_gzipped() {
    let array = format!("[{}]", CORPUS.trim().replace('\n', ","));
    let bodies = [
        CORPUS.as_bytes().to_vec(),
        array.into_bytes(),
        format!("\u{feff}{CORPUS}").into_bytes(),
    ];
    for body in bodies {
        for (encoding, body) in [("identity", body.clone()), ("gzip", gzip(&body))] {
            let house = house();
            let (status, answer) = house.post_encoded("/v1/events", encoding, body).await;
            assert_eq!(
                (status, &answer["accepted"]),
                (StatusCode::OK, &json!(94)),
                "{answer}"
            );
            let mut by_signal = [0; 5];
            for event in house.events() {
                assert!(record(&event).is_ok());
                assert_eq!(event.source.receiver, "events");
                by_signal[event.signal().index()] += 1;
            }
            assert_eq!(by_signal, [56, 6, 25, 4, 3]);
        }
    }
}

#[tokio::test]
async fn one_envelope_may_be_written_on_several_lines() {
    let envelope =
        serde_json::to_string_pretty(&json!({"exportedSpan": span(1), "type": "span_started"}))
            .unwrap();
    let house = house();
    assert_eq!(house.post("/v1/events", envelope).await.1["accepted"], 1);
    assert_eq!(house.events()[0].kind, EventKind::SpanStarted);
    let wrong =
        serde_json::to_string_pretty(&json!({"exportedSpan": {"id": 5}, "type": "span_started"}))
            .unwrap();
    let (status, answer) = house.post("/v1/events", wrong).await;
    assert_eq!(
        (status, &answer["rejected"][0]["field"]),
        (StatusCode::OK, &json!("exportedSpan.id"))
    );
}

#[tokio::test]
async fn drop_reports_are_accepted_and_counted() {
    let house = house();
    let report = |signal: &str, count: Value| {
        json!({"type": "drop", "signal": signal, "reason": "retry-exhausted", "count": count,
            "timestamp": "2026-03-04T05:06:07.000Z", "exporterName": "x"})
    };
    let lines = [
        report("log", json!(7)),
        report("tracing", json!(2)),
        report("spam", json!(1)),
        report("log", json!("1")),
    ];
    let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let (status, answer) = house.post("/v1/events", body).await;
    assert_eq!(
        (status, &answer["accepted"], &answer["drop_reports"]),
        (StatusCode::OK, &json!(2), &json!(2))
    );
    assert_eq!(answer["rejected"][0]["field"], "signal");
    assert_eq!(answer["rejected"][1]["field"], "count");
    let counts = house.counts.snapshot();
    assert_eq!(
        (counts.drop_reports, counts.dropped_upstream),
        (2, [2, 7, 0, 0, 0])
    );
    assert_eq!(counts.dropped_upstream[Signal::Logs.index()], 7);
    assert!(house.events().is_empty());
}

// ---------------------------------------------------------------- bad items

#[expect(clippy::too_many_lines, reason = "a table")]
#[tokio::test]
async fn bad_items_are_refused_one_by_one_and_the_others_accepted() {
    let with = |key: &str, value: Value| {
        let mut record = span(9);
        record[key] = value;
        record.to_string()
    };
    let deep = format!(
        "{{\"input\":{}{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let cases: Vec<(Vec<u8>, &str, &str)> = vec![
        (b"{}".to_vec(), "traceId", "is required"),
        (b"{\"a\":tru}".to_vec(), "", "JSON object"),
        (b"{\"a\":01}".to_vec(), "", "JSON object"),
        (b"{\"a\" 1}".to_vec(), "", "JSON object"),
        (b"5".to_vec(), "", "JSON object"),
        (b"null".to_vec(), "", "JSON object"),
        (b"[{}]".to_vec(), "", "JSON object"),
        (b"\"text, with ] and }\"".to_vec(), "", "JSON object"),
        (b"{\"name\":\"\xff\xfe\"}".to_vec(), "", "UTF-8"),
        (b"{\"name\":\"\x01\"}".to_vec(), "", "JSON object"),
        (deep.into_bytes(), "input", "128 levels"),
        (
            with("id", json!("0000000000000000")).into_bytes(),
            "id",
            "not all zero",
        ),
        (
            with("traceId", json!("0")).into_bytes(),
            "traceId",
            "not all zero",
        ),
        (
            with("startTime", json!("0001-01-01T00:00:00.000Z")).into_bytes(),
            "startTime",
            "1970",
        ),
        (
            with("startTime", json!("+275760-09-13T00:00:00.000Z")).into_bytes(),
            "startTime",
            "2554",
        ),
        (with("name", json!({"a": 1})).into_bytes(), "name", "string"),
        (
            with("isEvent", json!(1)).into_bytes(),
            "isEvent",
            "true or false",
        ),
    ];
    for (bad, field, reason) in cases {
        let house = house();
        let shown = String::from_utf8_lossy(&bad[..bad.len().min(60)]).into_owned();
        let body = [
            b"{\"spans\":[",
            span(1).to_string().as_bytes(),
            b",",
            &bad,
            b",",
            span(2).to_string().as_bytes(),
            b"]}",
        ]
        .concat();
        let (status, answer) = house.post("/ai/spans/publish", body).await;
        assert_eq!(
            (status, &answer["accepted"], &answer["rejected_total"]),
            (StatusCode::OK, &json!(2), &json!(1)),
            "{shown}: {answer}"
        );
        let rejected = &answer["rejected"][0];
        assert_eq!(
            (&rejected["index"], &rejected["field"]),
            (&json!(1), &json!(field)),
            "{shown}: {answer}"
        );
        assert!(
            rejected["reason"].as_str().unwrap().contains(reason),
            "{shown}: {answer}"
        );
        let ids: Vec<String> = house
            .events()
            .iter()
            .map(|event| match record(event).unwrap() {
                crate::event::records::Record::Span(span) => span.span_id.into_owned(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(ids, ["1", "2"], "{shown}");
        let letters = house.letters.list();
        assert_eq!(
            (letters.len(), letters[0].payload.len()),
            (1, bad.len().min(MAX_PAYLOAD_BYTES)),
            "{shown}"
        );
        let told = &letters[0].reason;
        assert!(told.starts_with("item 1"), "{shown}: {told}");
        assert_eq!(
            told.contains(&format!("of {} bytes are kept", bad.len())),
            bad.len() > MAX_PAYLOAD_BYTES,
            "{shown}: {told}"
        );
        assert_eq!(
            (letters[0].received_at, letters[0].kind),
            (42, Some(EventKind::SpanEnded))
        );
    }
}

#[tokio::test]
async fn odd_but_sound_records_are_accepted() {
    let mut unknown_type = span(1);
    unknown_type["type"] = json!("type_of_next_year");
    let mut unknown_keys = span(2);
    unknown_keys["\u{1F600}"] = json!([{"x": null}]);
    let mut huge = span(3);
    huge["input"] = json!("x".repeat(3_000_000));
    huge["name"] = json!("\u{1F600}".repeat(200_000));
    let mut surrogates = span(4).to_string();
    surrogates.insert_str(1, r#""input":"\ud83d","entityName":"\udc00","#);
    let house = house();
    let body = format!("{{\"spans\":[{unknown_type},{unknown_keys},{huge},{surrogates}]}}");
    let (status, answer) = house.post("/ai/spans/publish", body).await;
    assert_eq!(
        (status, &answer["accepted"]),
        (StatusCode::OK, &json!(4)),
        "{answer}"
    );
}

#[tokio::test]
async fn a_bad_line_costs_only_itself() {
    let good = json!({"type": "span_ended", "exportedSpan": span(1)}).to_string();
    let other = json!({"type": "log", "log": {"logId": "l", "timestamp": "2026-03-04T05:06:07Z", "level": "info", "message": ""}}).to_string();
    let cases: [(&[u8], &str); 9] = [
        (b"{\"type\":\"log\",\"log\":", ""),
        (b"{\"type\":\"span_ended\"}", "exportedSpan"),
        (
            b"{\"type\":\"span_ended\",\"exportedSpan\":5}",
            "exportedSpan",
        ),
        (
            b"{\"type\":\"span_ended\",\"exportedSpan\":{\"id\":\"1\"}}",
            "exportedSpan.traceId",
        ),
        (b"{\"type\":\"span_exploded\",\"exportedSpan\":{}}", "type"),
        (b"{\"exportedSpan\":{}}", "type"),
        (b"nonsense", ""),
        (b"[]", ""),
        (b"{\"type\":\"log\xff\"}", ""),
    ];
    for (bad, field) in cases {
        let shown = String::from_utf8_lossy(bad).into_owned();
        let house = house();
        let body = [good.as_bytes(), b"\r\n\n", bad, b"\n", other.as_bytes()].concat();
        let (status, answer) = house.post("/v1/events", body).await;
        assert_eq!(
            (status, &answer["accepted"]),
            (StatusCode::OK, &json!(2)),
            "{shown}: {answer}"
        );
        assert_eq!(
            (
                &answer["rejected"][0]["index"],
                &answer["rejected"][0]["field"]
            ),
            (&json!(1), &json!(field)),
            "{shown}: {answer}"
        );
    }
}

#[tokio::test]
async fn an_envelope_adds_a_level_to_what_its_record_may_have() {
    let envelope = |levels: usize| {
        let mut record = span(1).to_string();
        record.insert_str(
            1,
            &format!("\"input\":{}{},", "[".repeat(levels), "]".repeat(levels)),
        );
        format!("{{\"type\":\"span_ended\",\"exportedSpan\":{record}}}")
    };
    for (before, after) in [("", "\n"), ("[", "]")] {
        let (_, answer) = house()
            .post("/v1/events", format!("{before}{}{after}", envelope(127)))
            .await;
        assert_eq!(answer["accepted"], 1, "{answer}");
        let (status, answer) = house()
            .post("/v1/events", format!("{before}{}{after}", envelope(128)))
            .await;
        assert_eq!(
            (status, &answer["rejected_total"]),
            (StatusCode::OK, &json!(1)),
            "{answer}"
        );
        assert!(
            answer["rejected"][0]["reason"]
                .as_str()
                .unwrap()
                .contains("128 levels"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_accepted_up_to_there() {
    for (path, body) in [
        (
            "/ai/spans/publish",
            format!("{{\"spans\":[{},{},{{\"id\":\"3\",\"na", span(1), span(2)),
        ),
        (
            "/ai/spans/publish",
            format!("{{\"spans\":[{},{}", span(1), span(2)),
        ),
        (
            "/ai/spans/publish",
            format!("{{\"spans\":[{},{}]}}garbage", span(1), span(2)),
        ),
        (
            "/v1/events",
            format!(
                "[{},{},{{\"ty",
                json!({"type": "span_ended", "exportedSpan": span(1)}),
                json!({"type": "span_ended", "exportedSpan": span(2)})
            ),
        ),
    ] {
        let house = house();
        let (status, answer) = house.post(path, body.clone()).await;
        assert_eq!(
            (status, &answer["accepted"]),
            (StatusCode::OK, &json!(2)),
            "{body}: {answer}"
        );
        assert_eq!(
            (&answer["rejected_total"], &answer["rejected"][0]["index"]),
            (&json!(1), &json!(2)),
            "{body}"
        );
        assert_eq!(house.letters.list().len(), 1);
    }
}

#[tokio::test]
async fn what_cannot_be_read_at_all_is_a_bad_request() {
    for (path, body) in [
        ("/ai/spans/publish", ""),
        ("/ai/spans/publish", "nonsense"),
        ("/ai/spans/publish", "[]"),
        ("/ai/spans/publish", "{}"),
        ("/ai/spans/publish", "{\"spans\":{}}"),
        ("/ai/spans/publish", "{\"spans\":null}"),
        ("/ai/spans/publish", "{\"logs\":[]}"),
        ("/ai/spans/publish", "{\"spans\":[{\"id\":"),
        ("/v1/events", "nonsense"),
        ("/v1/events", "nonsense\nmore of it"),
        ("/v1/events", "[{\"type\":"),
        ("/v1/events", "5"),
    ] {
        let house = house();
        let (status, answer) = house.post(path, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path} {body}: {answer}");
        assert!(
            answer["error"]
                .as_str()
                .unwrap()
                .contains("could not be read"),
            "{answer}"
        );
        assert!(house.events().is_empty());
        assert_eq!(house.letters.list().len(), 1);
        assert_eq!(house.counts.snapshot().refused_requests, 1);
    }
    let (status, answer) = house().post("/v1/events", "\n\n").await;
    assert_eq!((status, &answer["accepted"]), (StatusCode::OK, &json!(0)));
}

#[tokio::test]
async fn the_list_of_rejected_items_is_bounded_and_its_total_is_not() {
    let house = house();
    let body = format!("{{\"spans\":[{}{}]}}", span(1), ",{}".repeat(2_500));
    let (status, answer) = house.post("/ai/spans/publish", body).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer["rejected"].as_array().unwrap().len(), 100);
    assert_eq!(answer["rejected_total"], 2_500);
    assert_eq!(
        (house.letters.list().len() as u64) + house.letters.not_kept.load(Ordering::Relaxed),
        2_500
    );
    let expected = Snapshot {
        requests: 1,
        accepted: 1,
        refused_items: 2_500,
        ..house.counts.snapshot()
    };
    assert_eq!(house.counts.snapshot(), expected);
}

// ---------------------------------------------------------------- size, encoding, time

#[tokio::test]
async fn a_body_over_the_limit_is_refused_with_the_setting_to_raise() {
    let house = house_with(
        Limits {
            max_body_bytes: 1000,
            ..Limits::default()
        },
        Tokens::default(),
    );
    let large = json!({"spans": [span(1)], "padding": " ".repeat(2000)}).to_string();
    let promised = Request::post("/ai/spans/publish")
        .header("content-length", large.len())
        .body(Body::from(large.clone()))
        .unwrap();
    let (status, _, answer) = house.send(promised).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let problem = answer["error"].as_str().unwrap();
    assert!(
        problem.contains("1000 bytes") && problem.contains("receivers.http.max_request_body_size"),
        "{problem}"
    );
    let (status, _) = house.post("/ai/spans/publish", large.clone()).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let (status, _) = house
        .post_encoded("/ai/spans/publish", "gzip", gzip(large.as_bytes()))
        .await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(house.events().is_empty());
}

#[tokio::test]
async fn a_small_gzip_of_very_much_is_refused_without_unpacking_it_all() {
    let bomb = gzip(&vec![b' '; 64 << 20]);
    let house = house_with(
        Limits {
            max_body_bytes: 1 << 20,
            ..Limits::default()
        },
        Tokens::default(),
    );
    assert!(bomb.len() < 1 << 20);
    let (status, _) = house.post_encoded("/ai/spans/publish", "gzip", bomb).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn other_encodings_and_broken_gzip_are_refused() {
    let house = house();
    let body = json!({"spans": [span(1)]}).to_string();
    for encoding in ["br", "deflate", "gzip, gzip"] {
        let (status, answer) = house
            .post_encoded("/ai/spans/publish", encoding, body.clone().into())
            .await;
        assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{answer}");
    }
    let mut broken = gzip(body.as_bytes());
    for damaged in [
        body.clone().into_bytes(),
        broken[..broken.len() - 9].to_vec(),
        {
            broken[12] ^= 0xff;
            broken.clone()
        },
    ] {
        let (status, answer) = house
            .post_encoded("/ai/spans/publish", "gzip", damaged)
            .await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
    }
    assert!(house.events().is_empty());
}

/// Gives some bytes and then nothing, for ever.
struct Stalled(Option<Bytes>);

impl HttpBody for Stalled {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
        match self.0.take() {
            Some(bytes) => Poll::Ready(Some(Ok(hyper::body::Frame::data(bytes)))),
            None => Poll::Pending,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stalls_is_given_up_and_its_bytes_are_free_again() {
    let limits = Limits {
        max_inflight_bytes: 1,
        max_body_bytes: 100_000,
        ..Limits::default()
    };
    let house = house_with(limits, Tokens::default());
    let before = tokio::time::Instant::now();
    let (status, _) = house
        .post(
            "/ai/spans/publish",
            Body::new(Stalled(Some(Bytes::from(vec![b' '; 90_000])))),
        )
        .await;
    assert_eq!(status, StatusCode::REQUEST_TIMEOUT);
    assert_eq!(before.elapsed().as_secs(), 30);
    assert_eq!(
        house
            .post("/ai/spans/publish", json!({"spans": [span(1)]}).to_string())
            .await
            .0,
        StatusCode::OK
    );
}

#[tokio::test(start_paused = true)]
async fn too_many_bytes_at_once_wait_and_are_then_refused() {
    // Room for 3 units of 64 KiB: a body of two, one of one, and no more.
    let limits = Limits {
        max_inflight_bytes: 3 << 16,
        max_body_bytes: 1 << 16,
        ..Limits::default()
    };
    let house = house_with(limits, Tokens::default());
    let stalled = || {
        house.post(
            "/ai/spans/publish",
            Body::new(Stalled(Some(Bytes::from(vec![b' '; 1 << 16])))),
        )
    };
    let ((first, _), (second, _), (third, _), (fourth, answer)) =
        tokio::join!(stalled(), stalled(), stalled(), stalled());
    assert_eq!([first, second, third], [StatusCode::REQUEST_TIMEOUT; 3]);
    assert_eq!(fourth, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
}

// ---------------------------------------------------------------- who, where, whether

#[tokio::test]
async fn without_a_valid_token_nothing_is_read() {
    let house = house_with(Limits::default(), Tokens::new([("a".to_owned(), "secret")]));
    let request = |token: &str| {
        Request::post("/v1/events")
            .header("authorization", token)
            .body(Body::from(CORPUS))
            .unwrap()
    };
    for token in ["Bearer wrong", "Basic secret", ""] {
        let (status, headers, answer) = house.send(request(token)).await;
        assert_eq!(
            (status, &headers["www-authenticate"]),
            (StatusCode::UNAUTHORIZED, &"Bearer".parse().unwrap())
        );
        assert!(!answer.to_string().contains("secret"));
    }
    assert_eq!(
        house.post("/v1/events", CORPUS).await.0,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(house.send(request("Bearer secret")).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_request_that_was_here_before_is_refused() {
    let house = house();
    let request = Request::post("/v1/events")
        .header("x-test-hop", "1")
        .body(Body::from(CORPUS))
        .unwrap();
    assert_eq!(house.send(request).await.0, StatusCode::LOOP_DETECTED);
    assert!(house.events().is_empty());
}

#[tokio::test]
async fn when_the_queue_refuses_nothing_is_kept_and_the_sender_is_told_when_to_come_back() {
    let house = house();
    let body = format!("{{\"spans\":[{},{{}}]}}", span(1));
    for (refusal, status, retry_after) in [
        (
            IntakeError::Full {
                retry_after: Duration::from_millis(2100),
            },
            503,
            Some("3"),
        ),
        (IntakeError::Stopping, 503, Some("1")),
        (IntakeError::TooLarge { limit_bytes: 7 }, 413, None),
        (IntakeError::Failed("disk".into()), 500, None),
    ] {
        *house.queue.refusal.lock().unwrap() = Some(refusal);
        let request = Request::post("/ai/spans/publish")
            .body(Body::from(body.clone()))
            .unwrap();
        let (found, headers, answer) = house.send(request).await;
        assert_eq!(found, StatusCode::from_u16(status).unwrap(), "{answer}");
        assert_eq!(
            headers
                .get("retry-after")
                .map(|value| value.to_str().unwrap()),
            retry_after
        );
    }
    assert!(house.letters.list().is_empty());
    *house.queue.refusal.lock().unwrap() = None;
    assert_eq!(house.post("/ai/spans/publish", body).await.1["accepted"], 1);
    assert_eq!(house.letters.list().len(), 1);
}

#[tokio::test]
async fn unknown_paths_say_what_exists_and_wrong_methods_say_what_is_allowed() {
    let house = house();
    let (status, _, answer) = house
        .send(Request::get("/nothing").body(Body::empty()).unwrap())
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(
        answer["paths"].to_string().contains("/v1/events"),
        "{answer}"
    );
    for path in ["/v1/events", "/ai/spans/publish"] {
        let (status, headers, _) = house
            .send(Request::get(path).body(Body::empty()).unwrap())
            .await;
        assert_eq!(
            (status, &headers["allow"]),
            (StatusCode::METHOD_NOT_ALLOWED, &"POST".parse().unwrap())
        );
    }
    let (status, headers, _) = house
        .send(Request::post("/healthz").body(Body::empty()).unwrap())
        .await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(headers["allow"].to_str().unwrap().contains("GET"));
}

#[tokio::test]
async fn pages_are_served_as_they_are() {
    let house = house();
    for (path, status, body) in [
        ("/healthz", 200, "alive"),
        ("/readyz", 503, "not yet"),
        ("/metrics", 200, "up 1\n"),
    ] {
        let (found, _, page) = house
            .send(Request::get(path).body(Body::empty()).unwrap())
            .await;
        assert_eq!((found.as_u16(), page), (status, json!(body)));
    }
}

// ---------------------------------------------------------------- over loopback

struct Serving {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Closed>,
}

async fn serving(house: &House, limits: Limits) -> Serving {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let router = house.router.clone();
    #[expect(clippy::disallowed_methods, reason = "the test joins it")]
    let task = tokio::spawn(async move {
        serve(listener, router, Transport::Http1, &limits, async {
            let _ = stopped.await;
        })
        .await
    });
    Serving {
        address,
        stop,
        task,
    }
}

fn raw_request(body: &str) -> String {
    format!(
        "POST /ai/spans/publish HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

async fn answer_of(stream: &mut TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn real_connections_are_served_and_a_refusal_reaches_a_sender_that_is_still_sending() {
    let limits = Limits {
        max_body_bytes: 8 << 20,
        ..Limits::default()
    };
    let house = house_with(limits.clone(), Tokens::default());
    let server = serving(&house, limits).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream
        .write_all(raw_request(&json!({"spans": [span(1)]}).to_string()).as_bytes())
        .await
        .unwrap();
    let answer = answer_of(&mut stream).await;
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"accepted\":1"),
        "{answer}"
    );

    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream
        .write_all(raw_request(&" ".repeat(15 << 20)).as_bytes())
        .await
        .unwrap();
    assert!(answer_of(&mut stream).await.starts_with("HTTP/1.1 413 "));

    server.stop.send(()).unwrap();
    assert_eq!(server.task.await.unwrap(), Closed { cut: 0 });
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_sends_no_whole_header_is_closed() {
    let house = house();
    let server = serving(&house, Limits::default()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream
        .write_all(b"POST /v1/events HTTP/1.1\r\nhost:")
        .await
        .unwrap();
    let answer = answer_of(&mut stream).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 408"),
        "{answer}"
    );
    server.stop.send(()).unwrap();
    server.task.await.unwrap();
}

#[tokio::test]
async fn connections_over_the_limit_wait_for_a_free_slot() {
    let house = house();
    let server = serving(
        &house,
        Limits {
            max_connections: 1,
            ..Limits::default()
        },
    )
    .await;
    let first = TcpStream::connect(server.address).await.unwrap();
    let mut second = TcpStream::connect(server.address).await.unwrap();
    second
        .write_all(raw_request("{\"spans\":[]}").as_bytes())
        .await
        .unwrap();
    let mut byte = [0];
    // The first connection holds the only slot, so no answer can be on its way however long one looks.
    for _ in 0..100 {
        tokio::task::yield_now().await;
        assert_eq!(
            second.try_read(&mut byte).unwrap_err().kind(),
            std::io::ErrorKind::WouldBlock
        );
    }
    drop(first);
    assert!(answer_of(&mut second).await.starts_with("HTTP/1.1 200 "));
    server.stop.send(()).unwrap();
    server.task.await.unwrap();
}

#[tokio::test]
async fn a_request_under_way_is_finished_before_the_server_stops() {
    let house = house();
    let gate = house.queue.gate.acquire().await.unwrap();
    let server = serving(&house, Limits::default()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream
        .write_all(raw_request(&json!({"spans": [span(1)]}).to_string()).as_bytes())
        .await
        .unwrap();
    while house.counts.snapshot().received_bytes == 0 {
        tokio::task::yield_now().await;
    }
    server.stop.send(()).unwrap();
    while TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(house.events().is_empty());
    drop(gate);
    assert!(answer_of(&mut stream).await.starts_with("HTTP/1.1 200 "));
    assert_eq!(server.task.await.unwrap(), Closed { cut: 0 });
    assert_eq!(house.events().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_done_at_the_drain_deadline_is_cut_and_said() {
    let house = house();
    let gate = house.queue.gate.acquire().await.unwrap();
    let limits = Limits {
        drain_timeout: Duration::from_secs(3),
        ..Limits::default()
    };
    let server = serving(&house, limits).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream
        .write_all(raw_request(&json!({"spans": [span(1)]}).to_string()).as_bytes())
        .await
        .unwrap();
    while house.counts.snapshot().received_bytes == 0 {
        tokio::task::yield_now().await;
    }
    server.stop.send(()).unwrap();
    assert_eq!(server.task.await.unwrap(), Closed { cut: 1 });
    drop(gate);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn arbitrary_bodies_are_answered(body in prop::collection::vec(any::<u8>(), 0..300), lines in any::<bool>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let path = if lines { "/v1/events" } else { "/ai/spans/publish" };
        let (status, _) = runtime.block_on(house().post(path, body));
        prop_assert!(status == StatusCode::OK || status == StatusCode::BAD_REQUEST);
    }

    #[test]
    fn good_envelopes_around_any_line_survive(bad in prop::collection::vec(any::<u8>(), 0..80)) {
        prop_assume!(!bad.contains(&b'\n'));
        let good = |id| json!({"type": "span_ended", "exportedSpan": span(id)}).to_string();
        let body = [good(1).as_bytes(), b"\n", &bad, b"\n", good(2).as_bytes()].concat();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (status, answer) = runtime.block_on(house().post("/v1/events", body));
        prop_assert_eq!(status, StatusCode::OK);
        prop_assert_eq!(&answer["accepted"], 2);
    }
}
