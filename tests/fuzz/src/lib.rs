//! The rooms of the host that read what strangers send, without the rest of it: they know nothing of the engine, so that
//! they compile in a minute. A request goes through the router, as over the wire, and whatever is accepted is decoded
//! again, as it would be for a component.

#[path = "../../../host/src/event/mod.rs"]
#[allow(
    dead_code,
    reason = "what `shape` reads events with, which is not here"
)]
pub mod event;
#[path = "../../../host/src/receive/mod.rs"]
pub mod receive;

/// The files of a listener's TLS.
#[path = "../../../host/src/config"]
pub mod config {
    pub mod tls;
    pub use tls::Tls;
}

/// The mark of forwarded requests, and what reads the files of TLS.
#[path = "../../../host/src/http"]
pub mod http {
    pub mod hop;
    #[allow(dead_code, reason = "what clients read is not here")]
    pub mod pem;
}

/// The words in which dead letters are counted.
#[path = "../../../host/src/queue"]
pub mod queue {
    #[allow(dead_code, reason = "accounts are the queue's")]
    pub mod accounts;
}

/// The receivers keep what they refuse as dead letters.
#[path = "../../../host/src/deliver"]
pub mod deliver {
    pub mod dead_letter;
}

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use self::deliver::dead_letter::DeadLetter;
use self::event::{Event, decode};
use self::http::hop::HopId;
use self::receive::auth::Tokens;
use self::receive::counts::Counts;
use self::receive::gate::{Gate, GateSettings};
use self::receive::limits::Limits;
use self::receive::{
    Accepted, Intake, IntakeError, KeepRefused, Page, Receiver, Settings, Status, system_clock,
};

/// What a body may be at most, so that the fuzzer does not spend its time on decompression.
const MAX_BODY_BYTES: usize = 1 << 20;

/// Takes events that decode, and there must be no others.
struct Decoding;

impl Intake for Decoding {
    async fn accept(&self, events: Vec<Event>) -> Result<Accepted, IntakeError> {
        for event in &events {
            if let Err(error) = decode::record(event) {
                panic!(
                    "accepted, but does not decode: {error:?}: {:?}",
                    event.payload
                );
            }
        }
        Ok(Accepted {
            accepted: events.len() as u64,
            repeated: 0,
        })
    }
}

struct Nowhere;

impl KeepRefused for Nowhere {
    fn keep(&self, letters: Vec<DeadLetter>, _: u64) {
        for letter in letters {
            assert!(!letter.reason.is_empty(), "refused without a reason");
        }
    }
}

impl Status for Nowhere {
    fn health(&self) -> Page {
        self.metrics()
    }

    fn ready(&self, _verbose: bool) -> Page {
        self.metrics()
    }

    fn metrics(&self) -> Page {
        Page {
            status: 200,
            content_type: "text/plain",
            body: String::new(),
        }
    }
}

/// The receivers of both transports, and a runtime to drive them.
pub struct Receivers {
    runtime: tokio::runtime::Runtime,
    http: Router,
    grpc: Router,
}

impl Receivers {
    /// Ready for any number of requests.
    ///
    /// # Panics
    /// When there is no runtime to be had.
    #[must_use]
    pub fn new() -> Self {
        let settings = Settings {
            limits: Limits {
                max_body_bytes: MAX_BODY_BYTES,
                ..Limits::default()
            },
            gate: Arc::new(Gate::new(Tokens::default(), GateSettings::default())),
            refused: Arc::new(Nowhere),
            status: Arc::new(Nowhere),
            hop: HopId::random(),
            clock: system_clock,
        };
        let receiver = Receiver::new(Decoding, settings, Arc::new(Counts::default()));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        Self {
            runtime: runtime.unwrap(),
            grpc: receiver.beside(Arc::default()).grpc_router(),
            http: receiver.router(Router::new()),
        }
    }

    /// Posts a body over HTTP, which must be read or refused.
    ///
    /// # Panics
    /// When the answer is anything else: what the fuzzer looks for.
    pub fn post(&self, path: &str, content_type: &str, body: &[u8]) {
        let (status, headers) =
            self.exchange(&self.http, path, &[("content-type", content_type)], body);
        let expected = [
            StatusCode::OK,
            StatusCode::BAD_REQUEST,
            StatusCode::PAYLOAD_TOO_LARGE,
        ];
        assert!(expected.contains(&status), "{status}: {headers:?}");
    }

    /// Posts a body as gRPC, which must be read or refused.
    ///
    /// # Panics
    /// When the answer is anything else: what the fuzzer looks for.
    pub fn call(&self, method: &str, encoding: &str, body: &[u8]) {
        let headers = [
            ("content-type", "application/grpc"),
            ("grpc-encoding", encoding),
        ];
        let (status, headers) = self.exchange(&self.grpc, method, &headers, body);
        assert_eq!(status, StatusCode::OK);
        // OK, INVALID_ARGUMENT, RESOURCE_EXHAUSTED
        let code = headers.get("grpc-status").map(|code| code.as_bytes());
        assert!(matches!(code, Some(b"0" | b"3" | b"8")), "{headers:?}");
    }

    /// The answer's status, and its headers with its trailers.
    fn exchange(
        &self,
        router: &Router,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> (StatusCode, HeaderMap) {
        let mut request = Request::post(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_vec())).unwrap();
        self.runtime.block_on(async {
            let Ok(answer) = router.clone().oneshot(request).await;
            let (mut head, body) = answer.into_parts();
            let body = body.collect().await.unwrap();
            head.headers
                .extend(body.trailers().cloned().unwrap_or_default());
            (head.status, head.headers)
        })
    }
}

impl Default for Receivers {
    fn default() -> Self {
        Self::new()
    }
}
