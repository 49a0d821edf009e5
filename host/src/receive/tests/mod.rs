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

use super::auth::{Sender, Tokens};
use super::batch::MAX_PAYLOAD_BYTES;
use super::counts::{Counts, Snapshot};
use super::gate::GateSettings;
use super::limits::Limits;
use super::*;
use crate::event::decode::record;
use crate::event::{EventKind, Signal};

const CORPUS: &str = include_str!("../../../../tests/corpus/events.ndjson");
const PROTOCOL: &str = include_str!("../../../../tests/corpus/protocol-platform.json");

mod access;
mod bad_items;
mod bodies;
mod connections;
mod envelopes;
mod protocol;

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
    fn ready(&self, verbose: bool) -> Page {
        Page {
            status: 503,
            content_type: "text/plain",
            body: if verbose { "not yet: why" } else { "not yet" }.into(),
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
    hop: HopId,
}

fn house() -> House {
    house_with(Limits::default(), Tokens::default())
}

/// Tokens with their labels, for all projects.
fn tokens<const N: usize>(tokens: [(&str, &'static str); N]) -> Tokens {
    Tokens::new(tokens.map(|(label, token)| {
        let sender = Sender {
            label: label.to_owned(),
            projects: Vec::new(),
        };
        (sender, token)
    }))
}

fn house_with(limits: Limits, tokens: Tokens) -> House {
    house_behind(limits, Gate::new(tokens, GateSettings::default()))
}

fn house_behind(limits: Limits, gate: Gate) -> House {
    let queue = Arc::new(FakeQueue {
        events: Mutex::default(),
        refusal: Mutex::default(),
        gate: Semaphore::new(1),
    });
    let letters = Arc::new(FakeLetters::default());
    let counts = Arc::new(Counts::default());
    let hop = HopId::random();
    let settings = Settings {
        limits,
        gate: Arc::new(gate),
        refused: letters.clone(),
        status: Arc::new(FakeStatus),
        hop: hop.clone(),
        clock: || 42,
    };
    let router =
        Receiver::new(Arc::clone(&queue), settings, Arc::clone(&counts)).router(Router::new());
    House {
        queue,
        letters,
        counts,
        router,
        hop,
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
