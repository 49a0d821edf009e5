//! Serves the paths on a listener: bounded connections, TLS, deadlines for handshakes, headers, answers and connections, a
//! graceful end. Called by the commands that run the host.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response};
use axum::{Extension, Router};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::gate::Connection;
use super::limits::Limits;
use super::pulse::{Awaited, Paced, Pulse};
use super::seats::{Seat, Seats};
use super::tls::Tls;

/// Headers of one request, as bytes on the wire.
const MAX_HEADER_BYTES: usize = 64 << 10;

/// Requests at once on a connection of HTTP/2; RFC 9113 recommends at least so many.
const MAX_STREAMS: u32 = 100;

/// How often an HTTP/2 peer is asked whether it is still there, and how long it may take to answer.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Pause after a failed accept: out of file descriptors, mostly, which only time mends.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepted connections that wait for a place; more wait in the listener's backlog.
const WAITING_ROOM: usize = 128;

/// How long a connection that gives way to another may still take to say so to its client.
const FAREWELL: Duration = Duration::from_millis(250);

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

/// Where requests come in, and over what.
pub struct Listener {
    /// Bound.
    pub tcp: TcpListener,
    /// Without it connections are in clear.
    pub tls: Option<Tls>,
}

/// What the connections of a listener share.
struct Served {
    router: Router,
    transport: Transport,
    tls: Option<Tls>,
    limits: Limits,
    seats: Arc<Seats>,
    stopping: CancellationToken,
}

/// Serves until `shutdown` is ready, then takes no new connections, lets requests finish, and returns.
pub async fn serve(
    listener: Listener,
    router: Router,
    transport: Transport,
    limits: &Limits,
    shutdown: impl Future<Output = ()>,
) -> Closed {
    let Listener { tcp, tls } = listener;
    let served = Arc::new(Served {
        router,
        transport,
        tls,
        limits: limits.clone(),
        seats: Seats::new(limits),
        stopping: CancellationToken::new(),
    });
    let room = Arc::new(Semaphore::new(WAITING_ROOM));
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(ended) = connections.join_next() => report(ended),
            Some((stream, waiting)) = accept(&tcp, &room) => {
                connections.spawn(serve_connection(stream, waiting, Arc::clone(&served)));
            }
        }
    }
    drop(tcp);
    served.stopping.cancel();
    let drained = timeout(limits.drain_timeout, async {
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

/// A connection, and its place among those that wait to be served. `None` when accepting failed.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let waiting = Arc::clone(room).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, waiting)),
        Err(error) => {
            tracing::warn!(%error, "Connection could not be accepted.");
            sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn serve_connection(stream: TcpStream, waiting: OwnedSemaphorePermit, served: Arc<Served>) {
    // A connection that has no addresses any more is gone.
    let addresses = stream
        .local_addr()
        .and_then(|local| Ok((local, stream.peer_addr()?)));
    let Ok((local, peer)) = addresses else {
        return;
    };
    let seat = tokio::select! {
        seat = served.seats.take(peer.ip()) => seat,
        () = served.stopping.cancelled() => return,
    };
    drop(waiting);
    let Some(seat) = seat else {
        tracing::debug!(%peer, "Connection closed: too many of its address wait already.");
        return;
    };
    // Answers are one small write each; waiting to fill a packet only delays them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "Connection has no nodelay.");
    }
    let stream = Paced::new(stream, &seat.pulse, served.limits.write_timeout);
    match &served.tls {
        None => served.speak(stream, (local, peer), false, &seat).await,
        Some(tls) => {
            let handshake = timeout(served.limits.handshake_timeout, tls.accept(stream));
            let handshake = tokio::select! {
                handshake = handshake => handshake,
                () = served.stopping.cancelled() => return,
                () = seat.leave.cancelled() => return,
            };
            match handshake {
                Ok(Ok(stream)) => {
                    let is_verified = stream.get_ref().1.peer_certificates().is_some();
                    served
                        .speak(stream, (local, peer), is_verified, &seat)
                        .await;
                }
                Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake failed."),
                Err(_) => tracing::debug!(%peer, "TLS handshake took too long."),
            }
        }
    }
}

impl Served {
    async fn speak<S>(
        &self,
        stream: S,
        (local, peer): (SocketAddr, SocketAddr),
        is_client_verified: bool,
        seat: &Seat,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let connection = Connection {
            local,
            peer,
            is_client_verified,
        };
        let router = self.router.clone().layer(Extension(connection));
        let stream = TokioIo::new(stream);
        let ended = match self.transport {
            Transport::Http1 => self.serve_http1(stream, router, seat).await,
            Transport::Http2 => self.serve_http2(stream, router, seat).await,
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, "Connection ended early.");
        }
    }

    async fn serve_http1<S>(
        &self,
        stream: TokioIo<S>,
        router: Router,
        seat: &Seat,
    ) -> hyper::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_timeout)
            .max_header_size(MAX_HEADER_BYTES);
        let service = service(router, &seat.pulse, || {});
        let connection = builder.serve_connection(stream, service_fn(service));
        let leave = self.stopping.cancelled();
        self.finish(connection, leave, seat, |connection| {
            connection.graceful_shutdown()
        })
        .await
    }

    /// A connection that brings no request at all is let go like one of a host that stops; later the pings tell whether
    /// its client is there.
    async fn serve_http2<S>(
        &self,
        stream: TokioIo<S>,
        router: Router,
        seat: &Seat,
    ) -> hyper::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let used = CancellationToken::new();
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(MAX_HEADER_BYTES).unwrap_or(u32::MAX))
            .max_concurrent_streams(MAX_STREAMS)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT);
        let silent = async {
            if timeout(self.limits.header_timeout, used.cancelled())
                .await
                .is_ok()
            {
                std::future::pending::<()>().await;
            }
        };
        let leave = async {
            tokio::select! {
                () = self.stopping.cancelled() => {}
                () = silent => {}
            }
        };
        let service = service(router, &seat.pulse, || used.cancel());
        let connection = builder.serve_connection(stream, service_fn(service));
        self.finish(connection, leave, seat, |connection| {
            connection.graceful_shutdown()
        })
        .await
    }

    /// Drives a connection to its end, which `leave`, its age or another connection's need of its place bring near. From
    /// then on a request under way may take as long as a body may, and no longer than that.
    async fn finish<C: Future<Output = hyper::Result<()>>>(
        &self,
        connection: C,
        leave: impl Future<Output = ()>,
        seat: &Seat,
        begin_end: impl FnOnce(Pin<&mut C>),
    ) -> hyper::Result<()> {
        let mut connection = pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => return ended,
            () = leave => {}
            () = sleep(self.limits.max_connection_age) => {}
            () = seat.leave.cancelled() => {}
        }
        begin_end(connection.as_mut());
        let gives_way = async {
            seat.leave.cancelled().await;
            sleep(FAREWELL).await;
        };
        tokio::select! {
            ended = connection => ended,
            () = gives_way => Ok(()),
            () = sleep(self.limits.body_timeout) => Ok(()),
        }
    }
}

type Answer = Result<Response<Body>, std::convert::Infallible>;

/// The router, seen by the connection's pulse.
fn service(
    router: Router,
    pulse: &Arc<Pulse>,
    noticed: impl Fn(),
) -> impl Fn(Request<Incoming>) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
    let service = TowerToHyperService::new(router);
    let pulse = Arc::clone(pulse);
    move |request| {
        noticed();
        let working = pulse.work();
        let request = request.map(|body| Body::new(Awaited::new(body, &pulse)));
        let answer = service.call(request);
        Box::pin(async move {
            let answer = answer.await;
            drop(working);
            answer
        })
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "Connection task panicked.");
    }
}
