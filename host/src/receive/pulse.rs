//! Sees how long a connection waits for its client, and ends one whose client leaves an answer unread. Called by
//! `server` and `seats`.
//!
//! It is the client's turn whenever no request of the connection is being worked on: before and between requests, while
//! a body is on its way, while an answer waits to be read. What the client sends or takes shortens its turn at the pace
//! of [`FAIR_BYTES_A_SECOND`], so that a slow client is told from one that only keeps the connection.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::HttpBody;
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// A client that is as fast as this never has the turn for long.
const FAIR_BYTES_A_SECOND: u64 = 64 << 10;

/// A client that reads an answer as slowly as this may go on.
const LEAST_BYTES_A_SECOND: u64 = 1 << 10;

/// How one connection stands.
#[derive(Debug)]
pub(super) struct Pulse {
    began: Instant,
    /// Requests that the host works on.
    busy: AtomicUsize,
    /// Since when it is the client's turn, in milliseconds after `began`.
    turn: AtomicU64,
}

impl Default for Pulse {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            busy: AtomicUsize::new(0),
            turn: AtomicU64::new(0),
        }
    }
}

impl Pulse {
    /// How long it has been the client's turn; nothing while the host works for it.
    pub(super) fn waits_for(&self, now: Instant) -> Duration {
        if self.busy.load(Relaxed) > 0 {
            return Duration::ZERO;
        }
        let turn = Duration::from_millis(self.turn.load(Relaxed));
        now.saturating_duration_since(self.began)
            .saturating_sub(turn)
    }

    /// A request has come, or its answer is ready to be read.
    fn begin_turn(&self) {
        self.turn.store(self.age_millis(), Relaxed);
    }

    fn age_millis(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The client has sent or taken so much.
    fn credit(&self, bytes: usize) {
        let millis = (bytes as u64).saturating_mul(1000) / FAIR_BYTES_A_SECOND;
        if millis > 0 {
            let now = self.age_millis();
            // Only this connection's own task and those of its streams write here; a lost step does no harm.
            let turn = self.turn.load(Relaxed).saturating_add(millis);
            self.turn.store(turn.min(now), Relaxed);
        }
    }

    /// A request that is worked on until the guard is dropped.
    pub(super) fn work(self: &Arc<Self>) -> Working {
        self.begin_turn();
        self.busy.fetch_add(1, Relaxed);
        Working(Arc::clone(self))
    }
}

/// See [`Pulse::work`].
#[derive(Debug)]
pub(super) struct Working(Arc<Pulse>);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.begin_turn();
        self.0.busy.fetch_sub(1, Relaxed);
    }
}

/// A request's body; while the host waits for more of it, the request is not worked on.
pub(super) struct Awaited {
    body: Incoming,
    pulse: Arc<Pulse>,
    is_waiting: bool,
}

impl Awaited {
    pub(super) fn new(body: Incoming, pulse: &Arc<Pulse>) -> Self {
        Self {
            body,
            pulse: Arc::clone(pulse),
            is_waiting: false,
        }
    }

    fn set_waiting(&mut self, is_waiting: bool) {
        match (self.is_waiting, is_waiting) {
            (false, true) => self.pulse.busy.fetch_sub(1, Relaxed),
            (true, false) => self.pulse.busy.fetch_add(1, Relaxed),
            _ => return,
        };
        self.is_waiting = is_waiting;
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        self.set_waiting(false);
    }
}

impl HttpBody for Awaited {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.set_waiting(polled.is_pending());
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection's bytes. A write that the client keeps waiting for longer than the timeout fails.
pub(super) struct Paced<S> {
    stream: S,
    pulse: Arc<Pulse>,
    timeout: Duration,
    /// Ends the write that waits for the client.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<S> Paced<S> {
    pub(super) fn new(stream: S, pulse: &Arc<Pulse>, timeout: Duration) -> Self {
        Self {
            stream,
            pulse: Arc::clone(pulse),
            timeout,
            deadline: None,
        }
    }

    /// What became of a write, within the time that the client has for it.
    fn within_time<T>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
        taken: impl FnOnce(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        match polled {
            Poll::Ready(Ok(value)) => {
                self.take(taken(&value));
                Poll::Ready(Ok(value))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                let due = Instant::now() + self.timeout;
                let deadline = self
                    .deadline
                    .get_or_insert_with(|| Box::pin(sleep_until(due)));
                match deadline.as_mut().poll(cx) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
                }
            }
        }
    }

    /// Bytes buy time: a client that reads a few now and then does not keep the connection.
    fn take(&mut self, bytes: usize) {
        self.pulse.credit(bytes);
        let Some(deadline) = &mut self.deadline else {
            return;
        };
        let bought = Duration::from_millis(bytes as u64 * 1000 / LEAST_BYTES_A_SECOND);
        let later = deadline.deadline() + bought;
        if later >= Instant::now() + self.timeout {
            self.deadline = None;
        } else {
            deadline.as_mut().reset(later);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.pulse.credit(buffer.filled().len() - before);
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.within_time(cx, polled, |written| *written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.within_time(cx, polled, |written| *written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.within_time(cx, polled, |()| 0)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.within_time(cx, polled, |()| 0)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn it_is_the_clients_turn_while_nothing_is_worked_on_and_bytes_shorten_it() {
        let pulse = Arc::new(Pulse::default());
        let waits = || pulse.waits_for(Instant::now());
        tokio::time::advance(3 * SECOND).await;
        assert_eq!(waits(), 3 * SECOND);
        let working = pulse.work();
        tokio::time::advance(3 * SECOND).await;
        assert_eq!(waits(), Duration::ZERO);
        drop(working);
        assert_eq!(waits(), Duration::ZERO);
        tokio::time::advance(4 * SECOND).await;
        for _ in 0..1000 {
            pulse.credit(1);
        }
        assert_eq!(waits(), 4 * SECOND, "drops are no pace");
        pulse.credit(128 << 10);
        assert_eq!(waits(), 2 * SECOND);
        pulse.credit(1 << 30);
        assert_eq!(waits(), Duration::ZERO);
        tokio::time::advance(SECOND).await;
        assert_eq!(waits(), SECOND, "nobody is paid in advance");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_not_read_or_read_in_drops_fails_in_time() {
        for drop_every in [None, Some(SECOND)] {
            let (mut client, server) = duplex(1000);
            let mut server = Paced::new(server, &Arc::default(), 10 * SECOND);
            let began = Instant::now();
            let reading = async {
                let mut byte = [0];
                loop {
                    tokio::time::sleep(drop_every.unwrap_or(3600 * SECOND)).await;
                    if client.read(&mut byte).await.unwrap() == 0 {
                        return;
                    }
                }
            };
            let written = tokio::select! {
                written = server.write_all(&[0; 100_000]) => written,
                () = reading => unreachable!(),
            };
            assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
            assert!(began.elapsed() < 12 * SECOND, "{:?}", began.elapsed());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_read_slowly_but_steadily_is_written() {
        let (mut client, server) = duplex(1000);
        let mut server = Paced::new(server, &Arc::default(), 10 * SECOND);
        let reading = async {
            let mut piece = [0; 1000];
            while client.read(&mut piece).await.unwrap() > 0 {
                tokio::time::sleep(SECOND / 2).await;
            }
        };
        let writing = async {
            let written = server.write_all(&[0; 100_000]).await;
            drop(server);
            written
        };
        let ((), written) = tokio::join!(reading, writing);
        written.unwrap();
    }
}
