//! The accept loop, one task a connection, and what a behaviour does to one request. Called by `Backend::start`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Buf, Bytes};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::body::{AnswerBody, decode};
use super::message::{Answer, Recorded, Request};
use super::{Behaviour, State, lock};

/// Why a connection's service gave up; hyper wants an error to break a connection.
#[derive(Debug)]
struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("connection broken on purpose")
    }
}

impl std::error::Error for Broken {}

pub(super) async fn serve(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                connections.spawn(connection(stream, Arc::clone(&state)));
            }
            // Ended connections are only tidied away: a client that breaks one is no fault of the backend.
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Serves one connection until the client leaves or a behaviour resets it.
async fn connection(stream: TcpStream, state: Arc<State>) {
    // A second handle on the socket, so that it can be told to reset while hyper owns the first.
    let Ok((stream, handle)) = two_handles(stream) else {
        return;
    };
    let reset = CancellationToken::new();
    let service = service_fn(|request| answer(request, Arc::clone(&state), reset.clone()));
    {
        let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        tokio::select! {
            biased;
            _ = serving => {}
            () = reset.cancelled() => {}
        }
    }
    if reset.is_cancelled() {
        // Unsent bytes are dropped and the client sees "connection reset by peer".
        let _ = handle.set_zero_linger();
    }
}

fn two_handles(stream: TcpStream) -> std::io::Result<(TcpStream, TcpStream)> {
    stream.set_nodelay(true)?;
    let stream = stream.into_std()?;
    let handle = TcpStream::from_std(stream.try_clone()?)?;
    Ok((TcpStream::from_std(stream)?, handle))
}

async fn answer(
    request: hyper::Request<Incoming>,
    state: Arc<State>,
    reset: CancellationToken,
) -> Result<hyper::Response<AnswerBody>, Broken> {
    let (parts, mut body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    if !state.fake.keeps_requests() {
        let bytes = drain(&mut body, &state).await?;
        let answer = state.fake.answer(&Request::default());
        count(&state, &path, bytes, &answer);
        return response(answer);
    }
    let Ok(body) = body.collect().await else {
        state.broken.fetch_add(1, Ordering::Relaxed);
        state.changed();
        return Err(Broken);
    };
    let request = read(&parts, path, body.to_bytes());
    let behaviour = lock(&state.rules)
        .iter_mut()
        .find_map(|rule| rule.apply(&request));
    let index = record(&state, &request);
    act(behaviour, &request, index, &state, reset).await
}

/// Reads a body to the end without keeping it.
async fn drain(body: &mut Incoming, state: &State) -> Result<usize, Broken> {
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            state.broken.fetch_add(1, Ordering::Relaxed);
            return Err(Broken);
        };
        bytes += frame.data_ref().map_or(0, Buf::remaining);
    }
    Ok(bytes)
}

fn read(parts: &hyper::http::request::Parts, path: String, wire: Bytes) -> Request {
    let headers: Vec<_> = parts
        .headers
        .iter()
        .map(|(name, value)| {
            (
                name.as_str().to_owned(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect();
    let mut request = Request {
        method: parts.method.to_string(),
        path,
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers,
        wire_bytes: wire.len(),
        body: wire.clone(),
        undecodable: None,
    };
    match decode(request.header("content-encoding"), wire) {
        Ok(decoded) => request.body = decoded,
        Err(reason) => request.undecodable = Some(reason),
    }
    request
}

/// Keeps the request as unanswered; returns its place.
fn record(state: &State, request: &Request) -> usize {
    let mut records = lock(&state.records);
    records.push(Recorded {
        request: request.clone(),
        at: std::time::Instant::now(),
        status: None,
        stored: Vec::new(),
        refused: None,
    });
    let index = records.len() - 1;
    drop(records);
    count_request(state, &request.path, request.wire_bytes);
    state.changed();
    index
}

async fn act(
    behaviour: Option<Behaviour>,
    request: &Request,
    index: usize,
    state: &State,
    reset: CancellationToken,
) -> Result<hyper::Response<AnswerBody>, Broken> {
    let fake = || state.fake.answer(request);
    match behaviour {
        None => response(settle(state, index, fake())),
        Some(Behaviour::Answer(answer)) => response(settle(state, index, answer)),
        Some(Behaviour::Slow(gate)) => {
            gate.passed().await;
            response(settle(state, index, fake()))
        }
        Some(Behaviour::ResetBeforeAnswer) => {
            reset.cancel();
            // The connection's task sees the token as soon as this one waits.
            std::future::pending().await
        }
        Some(Behaviour::ResetInAnswer) => {
            let answer = settle(state, index, fake());
            let body = AnswerBody::Cut(Some(Bytes::from_static(b"{\"cut\":")), reset);
            response_with(&answer, body)
        }
        Some(Behaviour::Never) => std::future::pending().await,
        Some(Behaviour::Drip(interval)) => {
            let answer = settle(state, index, fake());
            response_with(&answer, AnswerBody::drip(interval))
        }
        Some(Behaviour::TooLargeAbove(bytes)) if request.body.len() > bytes => {
            response(settle(state, index, Answer::status(413)))
        }
        Some(Behaviour::TooLargeAbove(_)) => response(settle(state, index, fake())),
    }
}

/// Notes what became of the request.
fn settle(state: &State, index: usize, answer: Answer) -> Answer {
    let mut path = String::new();
    if let Some(recorded) = lock(&state.records).get_mut(index) {
        recorded.status = Some(answer.status);
        recorded.stored.clone_from(&answer.stored);
        recorded.refused.clone_from(&answer.refused);
        path.clone_from(&recorded.request.path);
    }
    lock(&state.answered).push(index);
    count_answer(state, &path, &answer);
    state.changed();
    answer
}

fn count(state: &State, path: &str, wire_bytes: usize, answer: &Answer) {
    count_request(state, path, wire_bytes);
    count_answer(state, path, answer);
    state.changed();
}

fn count_request(state: &State, path: &str, wire_bytes: usize) {
    let mut counts = lock(&state.counts);
    let route = counts.entry(path.to_owned()).or_default();
    route.requests += 1;
    route.wire_bytes += wire_bytes as u64;
}

fn count_answer(state: &State, path: &str, answer: &Answer) {
    let mut counts = lock(&state.counts);
    let route = counts.entry(path.to_owned()).or_default();
    *route.statuses.entry(answer.status).or_default() += 1;
    for stored in &answer.stored {
        *route.stored.entry(stored.kind).or_default() += 1;
    }
}

fn response(answer: Answer) -> Result<hyper::Response<AnswerBody>, Broken> {
    let body = AnswerBody::Whole((!answer.body.is_empty()).then(|| answer.body.clone()));
    response_with(&answer, body)
}

fn response_with(answer: &Answer, body: AnswerBody) -> Result<hyper::Response<AnswerBody>, Broken> {
    let mut builder = hyper::Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        builder = builder.header(name, value);
    }
    builder.body(body).map_err(|_| Broken)
}
