//! Bodies: undoing the coding of a request's, and the answer bodies that stop, drip or never end. Called by the server.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;

/// Length that a broken answer promises.
pub(super) const PROMISED_BYTES: u64 = 1 << 20;

/// Undoes `content-encoding`.
///
/// # Errors
/// A text that says what is wrong with the stream, or which coding is unknown.
pub(super) fn decode(encoding: Option<&str>, body: Bytes) -> Result<Bytes, String> {
    match encoding.map(str::trim) {
        None | Some("" | "identity") => Ok(body),
        Some("gzip") => whole("gzip", flate2::read::MultiGzDecoder::new(&*body)),
        Some("deflate") => whole("deflate", flate2::read::ZlibDecoder::new(&*body)),
        Some(other) => Err(format!("content-encoding {other:?} is not served")),
    }
}

fn whole(coding: &str, mut reader: impl std::io::Read) -> Result<Bytes, String> {
    let mut decoded = Vec::new();
    reader
        .read_to_end(&mut decoded)
        .map_err(|error| format!("broken {coding} body: {error}"))?;
    Ok(decoded.into())
}

/// The body of an answer.
pub(super) enum AnswerBody {
    /// All of it.
    Whole(Option<Bytes>),
    /// A first piece; then the connection is to be reset.
    Cut(Option<Bytes>, CancellationToken),
    /// A byte an interval.
    Drip(Duration, Pin<Box<Sleep>>),
}

impl AnswerBody {
    /// Starts to drip after one interval.
    pub(super) fn drip(interval: Duration) -> Self {
        Self::Drip(interval, Box::pin(tokio::time::sleep(interval)))
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.get_mut() {
            Self::Whole(body) => Poll::Ready(body.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Cut(body, reset) => match body.take() {
                Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                None => {
                    // The server flushes what it has when a body is pending; the connection's task resets after that.
                    reset.cancel();
                    Poll::Pending
                }
            },
            Self::Drip(interval, sleep) => {
                std::task::ready!(sleep.as_mut().poll(cx));
                sleep.as_mut().reset(Instant::now() + *interval);
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b" ")))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => {
                SizeHint::with_exact(body.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Cut(..) | Self::Drip(..) => SizeHint::with_exact(PROMISED_BYTES),
        }
    }
}
