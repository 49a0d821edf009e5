//! The load generator: posts platform-protocol bodies over a few connections, never further ahead of the sink than the
//! backlog, and sends a body again when the receiver is full. Its CPU time is the benchmark's, not the host's.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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
use crate::spans::SpanMaker;

/// Pause before a refused body is sent again.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// Refusals of one body in a row before the load gives up: 30 seconds.
const MOST_REFUSALS: u64 = 600;

/// What to send.
pub(crate) struct Load {
    /// The host.
    pub(crate) target: SocketAddr,
    /// Makes the bodies.
    pub(crate) spans: SpanMaker,
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
        let stream = TcpStream::connect(self.load.target)
            .await
            .with_context(|| format!("connect to {}", self.load.target))?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
        let mut connections = JoinSet::new();
        connections.spawn(connection);
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
            let body = self
                .load
                .spans
                .body(self.first + index, self.load.spans_a_body)?;
            refused += self.post(&mut sender, Bytes::from(body)).await?;
        }
    }

    async fn post(&self, sender: &mut SendRequest<Full<Bytes>>, body: Bytes) -> Result<u64> {
        for refused in 0..MOST_REFUSALS {
            sender.ready().await?;
            let request = Request::post("/ai/spans/publish")
                .header(header::HOST, self.load.target.to_string())
                .header(header::CONTENT_TYPE, "application/json")
                .header(header::AUTHORIZATION, "Bearer bench")
                .body(Full::new(body.clone()))?;
            let response = sender.send_request(request).await?;
            let status = response.status();
            let answer = response.into_body().collect().await?.to_bytes();
            match status {
                StatusCode::OK => return all_accepted(&answer).map(|()| refused),
                StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
                other => bail!(
                    "the host answered {other}: {}",
                    String::from_utf8_lossy(&answer)
                ),
            }
        }
        bail!("the host refused the same body {MOST_REFUSALS} times")
    }
}

/// A host that keeps some records for itself would look fast.
fn all_accepted(answer: &[u8]) -> Result<()> {
    let answer: serde_json::Value = serde_json::from_slice(answer).unwrap_or_default();
    match answer
        .get("rejected")
        .and_then(|rejected| rejected.as_array())
    {
        Some(rejected) if !rejected.is_empty() => {
            bail!("the host refused records: {:?}", rejected.first())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
