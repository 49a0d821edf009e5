//! The load generator: posts bodies over a few connections, either never further ahead of the sink than the backlog, or
//! without looking at the sink until a number is accepted or the receiver is full. Its CPU time is the benchmark's, not
//! the host's.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::sink::Sink;

/// Pause before a refused body is sent again.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// Refusals of one body in a row before the load gives up: 30 seconds.
const MOST_REFUSALS: u64 = 600;

/// Makes request bodies of one protocol.
pub(crate) trait Bodies: Send + Sync {
    /// Path of the requests.
    fn path(&self) -> &'static str;

    /// Media type of the bodies.
    fn content_type(&self) -> &'static str;

    /// The `index`-th body, of `spans` records. No two have a record in common.
    ///
    /// # Errors
    /// A number of spans that this maker cannot make.
    fn body(&self, index: u64, spans: usize) -> Result<Vec<u8>>;

    /// Finds records that a receiver refused although it answered 200.
    ///
    /// # Errors
    /// It refused some: a host that keeps some records for itself would look fast.
    fn all_accepted(&self, answer: &[u8]) -> Result<()>;
}

/// What to send.
pub(crate) struct Load {
    /// The host.
    pub(crate) target: SocketAddr,
    /// Makes the bodies.
    pub(crate) bodies: Box<dyn Bodies>,
    /// Records in one body.
    pub(crate) spans_a_body: usize,
    /// Connections, each with one request in flight.
    pub(crate) connections: usize,
    /// Spans that may be sent and not yet delivered.
    pub(crate) backlog: u64,
}

/// What became of a load.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sent {
    /// Bodies that were answered 429 or 503 and sent again.
    pub(crate) refused: u64,
}

impl Load {
    /// Sends the bodies `first..first + bodies` and returns when the sink has all of their spans.
    ///
    /// # Errors
    /// An answer other than 200, 429 and 503, a broken connection, or a sink that nothing reaches.
    pub(crate) async fn run(
        self: &Arc<Self>,
        first: u64,
        bodies: u64,
        sink: &Arc<Sink>,
    ) -> Result<Sent> {
        let before = sink.spans();
        let next = Arc::new(AtomicU64::new(0));
        let mut workers = JoinSet::new();
        for _ in 0..self.connections {
            let worker = Worker {
                load: Arc::clone(self),
                sink: Arc::clone(sink),
                next: Arc::clone(&next),
                first,
                bodies,
                before,
            };
            workers.spawn(worker.run());
        }
        let mut sent = Sent::default();
        while let Some(refused) = workers.join_next().await {
            sent.refused += refused.context("a connection's task ended early")??;
        }
        sink.wait_for(before + bodies * self.spans_a_body as u64)
            .await?;
        Ok(sent)
    }

    /// Sends the bodies from `first` on, at most `most`, without regard to what is delivered, until the receiver
    /// refuses one; returns how many it accepted.
    ///
    /// # Errors
    /// An answer other than 200, 429 and 503, or a broken connection.
    pub(crate) async fn fill(self: &Arc<Self>, first: u64, most: u64) -> Result<u64> {
        let next = Arc::new(AtomicU64::new(0));
        let is_full = Arc::new(AtomicBool::new(false));
        let mut workers = JoinSet::new();
        for _ in 0..self.connections {
            let (load, next, is_full) = (Arc::clone(self), Arc::clone(&next), Arc::clone(&is_full));
            workers.spawn(async move {
                let (mut sender, _connection) = load.connect().await?;
                let mut accepted = 0;
                while !is_full.load(Ordering::Relaxed) {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= most {
                        break;
                    }
                    let body = load.bodies.body(first + index, load.spans_a_body)?;
                    if load.post(&mut sender, body.into()).await? {
                        accepted += 1;
                    } else {
                        is_full.store(true, Ordering::Relaxed);
                    }
                }
                anyhow::Ok(accepted)
            });
        }
        let mut accepted = 0;
        while let Some(of_one) = workers.join_next().await {
            accepted += of_one.context("a connection's task ended early")??;
        }
        Ok(accepted)
    }

    /// A connection, and the task that serves it.
    async fn connect(&self) -> Result<(SendRequest<Full<Bytes>>, JoinSet<hyper::Result<()>>)> {
        let stream = TcpStream::connect(self.target)
            .await
            .with_context(|| format!("connect to {}", self.target))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        let mut connections = JoinSet::new();
        connections.spawn(connection);
        Ok((sender, connections))
    }

    /// Whether the receiver accepted the body; `false` when it is full.
    async fn post(&self, sender: &mut SendRequest<Full<Bytes>>, body: Bytes) -> Result<bool> {
        sender.ready().await?;
        let request = Request::post(self.bodies.path())
            .header(header::HOST, self.target.to_string())
            .header(header::CONTENT_TYPE, self.bodies.content_type())
            .header(header::AUTHORIZATION, "Bearer bench")
            .body(Full::new(body))?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let answer = response.into_body().collect().await?.to_bytes();
        match status {
            StatusCode::OK => self.bodies.all_accepted(&answer).map(|()| true),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Ok(false),
            other => bail!(
                "the host answered {other}: {}",
                String::from_utf8_lossy(&answer)
            ),
        }
    }
}

struct Worker {
    load: Arc<Load>,
    sink: Arc<Sink>,
    next: Arc<AtomicU64>,
    first: u64,
    bodies: u64,
    /// Spans at the sink before this load.
    before: u64,
}

impl Worker {
    /// Takes bodies until there are no more; the number of refusals.
    async fn run(self) -> Result<u64> {
        let (mut sender, _connection) = self.load.connect().await?;
        let mut refused = 0;
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            if index >= self.bodies {
                return Ok(refused);
            }
            let sent_by_then = (index + 1) * self.load.spans_a_body as u64;
            self.sink
                .wait_for(self.before + sent_by_then.saturating_sub(self.load.backlog))
                .await?;
            let bodies = &self.load.bodies;
            let body = Bytes::from(bodies.body(self.first + index, self.load.spans_a_body)?);
            refused += self.post_until_accepted(&mut sender, body).await?;
        }
    }

    /// The number of refusals.
    async fn post_until_accepted(
        &self,
        sender: &mut SendRequest<Full<Bytes>>,
        body: Bytes,
    ) -> Result<u64> {
        for refused in 0..MOST_REFUSALS {
            if self.load.post(sender, body.clone()).await? {
                return Ok(refused);
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        bail!("the host refused the same body {MOST_REFUSALS} times")
    }
}

#[cfg(test)]
mod tests;
