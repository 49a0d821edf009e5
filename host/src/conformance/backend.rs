//! The scripted backend: gives every request the same answer until another one is told, and keeps what it saw.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::http::Client;
use crate::http::message::{HttpError, Request};
use crate::http::wire::{Backend, BackendFuture, WireBody, WireRequest, WireResponse};
use crate::plugin::{HttpCapability, HttpFuture};

/// What every request is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// All is well.
    Good,
    /// All is well with the first write; the others get no answer.
    GoodOnce,
    /// This.
    Reply(WireResponse),
    /// Nothing comes back, for a reason that the client sees.
    Fails(HttpError),
    /// Nothing comes back, ever.
    Silent,
}

/// The backend of one test.
#[derive(Debug)]
pub(super) struct Script {
    good: Option<WireResponse>,
    scene: Mutex<Scene>,
}

#[derive(Debug)]
struct Scene {
    answer: Answer,
    seen: Vec<WireRequest>,
    /// Writes since the answer was told.
    writes: usize,
}

impl Script {
    pub(super) fn new(good: Option<WireResponse>) -> Self {
        Self {
            good,
            scene: Mutex::new(Scene {
                answer: Answer::Good,
                seen: Vec::new(),
                writes: 0,
            }),
        }
    }

    /// From now on.
    pub(super) fn play(&self, answer: Answer) {
        let mut scene = self.lock();
        scene.answer = answer;
        scene.writes = 0;
    }

    /// What came since the last time.
    pub(super) fn take_seen(&self) -> Vec<WireRequest> {
        std::mem::take(&mut self.lock().seen)
    }

    fn lock(&self) -> MutexGuard<'_, Scene> {
        self.scene.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn good(&self, request: &WireRequest) -> WireResponse {
        self.good.clone().unwrap_or_else(|| ordinary(request))
    }
}

impl Backend for Script {
    fn answer(&self, request: WireRequest) -> BackendFuture<'_> {
        Box::pin(async move {
            let good = self.good(&request);
            let (answer, writes) = {
                let mut scene = self.lock();
                scene.writes += usize::from(request.verb != "GET");
                scene.seen.push(request);
                (scene.answer.clone(), scene.writes)
            };
            match answer {
                Answer::GoodOnce if writes > 1 => {
                    Err(HttpError::Interrupted("connection reset".to_owned()))
                }
                Answer::Good | Answer::GoodOnce => Ok(good),
                Answer::Reply(reply) => Ok(reply),
                Answer::Fails(error) => Err(error),
                Answer::Silent => std::future::pending().await,
            }
        })
    }
}

/// What many backends say, in the kind of the request: an object with an id, an empty message of protobuf.
fn ordinary(request: &WireRequest) -> WireResponse {
    let kind = header(request, "content-type").unwrap_or("application/json");
    let (kind, body) = if kind.contains("protobuf") {
        (kind, "")
    } else {
        (
            "application/json",
            r#"{"id":"00000000-0000-4000-8000-000000000001"}"#,
        )
    };
    WireResponse {
        status: 200,
        headers: vec![("content-type".to_owned(), kind.to_owned())],
        body: WireBody::Whole(Bytes::copy_from_slice(body.as_bytes())),
    }
}

/// The first header of that name, in lower case.
pub(super) fn header<'a>(request: &'a WireRequest, name: &str) -> Option<&'a str> {
    let mut headers = request.headers.iter();
    let found = headers.find(|(header, _)| header == name);
    found.map(|(_, value)| value.as_str())
}

/// The host's client, with an eye on the requests that it does not let out.
pub(super) struct Watched {
    pub(super) client: Client,
    refused: Mutex<Vec<HttpError>>,
}

impl Watched {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            refused: Mutex::default(),
        }
    }

    /// Refusals since the last time.
    pub(super) fn take_refused(&self) -> Vec<HttpError> {
        std::mem::take(&mut *self.refused.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl HttpCapability for Watched {
    fn send(&self, request: Request) -> HttpFuture<'_> {
        Box::pin(async move {
            let result = self.client.send(request).await;
            if let Err(error @ (HttpError::Denied(_) | HttpError::Invalid(_))) = &result {
                let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
                refused.push(error.clone());
            }
            result
        })
    }
}
