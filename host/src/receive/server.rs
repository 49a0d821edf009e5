//! Serves the paths on a listener: bounded connections, a deadline for headers, a graceful end. Called by the commands
//! that run the host.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::limits::Limits;

/// Headers of one request, as bytes on the wire.
const MAX_HEADER_BYTES: usize = 64 << 10;

/// Requests at once on a connection of HTTP/2; RFC 9113 recommends at least so many.
const MAX_STREAMS: u32 = 100;

/// How often an HTTP/2 peer is asked whether it is still there, and how long it may take to answer.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Pause after a failed accept: out of file descriptors, mostly, which only time mends.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a listener's connections speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// HTTP/1.1
    Http1,
    /// HTTP/2 from the first byte, as gRPC does.
    Http2,
}

/// How serving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Connections that were cut because they were not done at [`Limits::drain_timeout`].
    pub cut: usize,
}

/// Serves until `shutdown` is ready, then takes no new connections, lets requests finish, and returns.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    transport: Transport,
    limits: &Limits,
    shutdown: impl Future<Output = ()>,
) -> Closed {
    let slots = Arc::new(Semaphore::new(
        limits.max_connections.clamp(1, Semaphore::MAX_PERMITS),
    ));
    let stopping = CancellationToken::new();
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(ended) = connections.join_next() => report(ended),
            Some((stream, slot)) = accept(&listener, &slots) => {
                let (router, stopping) = (router.clone(), stopping.clone());
                connections.spawn(serve_connection(stream, slot, router, transport, limits.header_timeout, stopping));
            }
        }
    }
    drop(listener);
    stopping.cancel();
    let drained = tokio::time::timeout(limits.drain_timeout, async {
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    });
    if drained.await.is_ok() {
        return Closed { cut: 0 };
    }
    let cut = connections.len();
    connections.shutdown().await;
    Closed { cut }
}

/// A slot first, so that connections over the limit wait in the backlog. `None` when accepting failed.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, slot)),
        Err(error) => {
            tracing::warn!(%error, "Connection could not be accepted.");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn serve_connection(
    stream: TcpStream,
    slot: OwnedSemaphorePermit,
    router: Router,
    transport: Transport,
    header_timeout: Duration,
    stopping: CancellationToken,
) {
    // Answers are one small write each; waiting to fill a packet only delays them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "Connection has no nodelay.");
    }
    let stream = TokioIo::new(stream);
    let ended = match transport {
        Transport::Http1 => serve_http1(stream, router, header_timeout, &stopping).await,
        Transport::Http2 => serve_http2(stream, router, header_timeout, &stopping).await,
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "Connection ended early.");
    }
    drop(slot);
}

async fn serve_http1(
    stream: TokioIo<TcpStream>,
    router: Router,
    header_timeout: Duration,
    stopping: &CancellationToken,
) -> hyper::Result<()> {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_header_size(MAX_HEADER_BYTES);
    let connection = builder.serve_connection(stream, TowerToHyperService::new(router));
    let leave = stopping.cancelled();
    finish(connection, leave, |connection| {
        connection.graceful_shutdown()
    })
    .await
}

/// A connection that brings no request at all is let go like one of a host that stops; later the pings tell whether
/// somebody is there.
async fn serve_http2(
    stream: TokioIo<TcpStream>,
    router: Router,
    header_timeout: Duration,
    stopping: &CancellationToken,
) -> hyper::Result<()> {
    let used = CancellationToken::new();
    let service = TowerToHyperService::new(router);
    let noticed = service_fn(|request: Request<Incoming>| {
        used.cancel();
        service.call(request)
    });
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(MAX_HEADER_BYTES).unwrap_or(u32::MAX))
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    let silent = async {
        if tokio::time::timeout(header_timeout, used.cancelled())
            .await
            .is_ok()
        {
            std::future::pending::<()>().await;
        }
    };
    let leave = async {
        tokio::select! {
            () = stopping.cancelled() => {}
            () = silent => {}
        }
    };
    let connection = builder.serve_connection(stream, noticed);
    finish(connection, leave, |connection| {
        connection.graceful_shutdown()
    })
    .await
}

/// Drives a connection to its end, which `leave` brings near.
async fn finish<C: Future<Output = hyper::Result<()>>>(
    connection: C,
    leave: impl Future<Output = ()>,
    begin_end: impl FnOnce(Pin<&mut C>),
) -> hyper::Result<()> {
    let mut connection = pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => ended,
        () = leave => {
            begin_end(connection.as_mut());
            connection.await
        }
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "Connection task panicked.");
    }
}
