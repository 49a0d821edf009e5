//! Where a request goes that has passed every check: to the network, or to a [`Backend`] of this process, which the
//! conformance kit puts in its place. All that comes before and after it (policy, secrets, redirects, caps, scrubbing) is
//! the same.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::time::Interval;

use super::dial::Dialer;
use super::fault;
use super::limits::Limits;
use super::message::HttpError;
use super::origin::HostPort;
use super::scrub::Scrubber;

/// A backend in this process: no name is resolved and no connection made.
pub trait Backend: fmt::Debug + Send + Sync + 'static {
    /// Answers one request. Dropping the future gives the request up.
    fn answer(&self, request: WireRequest) -> BackendFuture<'_>;
}

/// An answer on its way.
pub type BackendFuture<'a> =
    Pin<Box<dyn Future<Output = Result<WireResponse, HttpError>> + Send + 'a>>;

/// A request as a backend sees it: secrets are filled in.
#[derive(Clone, PartialEq, Eq)]
pub struct WireRequest {
    /// `POST`, say.
    pub verb: String,
    /// Absolute.
    pub url: String,
    /// Names in lower case, in the order of the wire; without those of the connection.
    pub headers: Vec<(String, String)>,
    /// Compressed, if the transport compresses.
    pub body: Bytes,
}

/// Only what holds no secret.
impl fmt::Debug for WireRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WireRequest")
            .field("verb", &self.verb)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// What a backend answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireResponse {
    /// 100 to 999.
    pub status: u16,
    /// Valid names and values.
    pub headers: Vec<(String, String)>,
    /// What follows.
    pub body: WireBody,
}

/// The body of a [`WireResponse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WireBody {
    /// All at once.
    Whole(Bytes),
    /// One byte at a time, for ever.
    Dripping {
        /// Between two bytes.
        every: Duration,
    },
}

/// Where the requests of one client go.
#[derive(Debug)]
pub(super) enum Wire {
    Network(Dialer),
    Backend(Arc<dyn Backend>),
}

impl Wire {
    /// One request, up to the response's head.
    pub(super) async fn exchange(
        &self,
        target: &HostPort,
        request: reqwest::Request,
        limits: &Limits,
        scrubber: &Scrubber,
    ) -> Result<reqwest::Response, HttpError> {
        match self {
            Self::Network(dialer) => {
                let port = target.port;
                let client = dialer.for_port(port);
                let client = client
                    .ok_or_else(|| HttpError::Denied(format!("port {port} is not granted")))?;
                let sent = client.execute(request).await;
                sent.map_err(|error| fault::of_sending(error, limits, scrubber))
            }
            Self::Backend(backend) => response(backend.answer(seen(&request)).await?),
        }
    }
}

fn seen(request: &reqwest::Request) -> WireRequest {
    let headers = request.headers().iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        (name.as_str().to_owned(), value.into_owned())
    });
    let body = request.body().and_then(reqwest::Body::as_bytes);
    WireRequest {
        verb: request.method().as_str().to_owned(),
        url: request.url().to_string(),
        headers: headers.collect(),
        body: body.map_or_else(Bytes::new, Bytes::copy_from_slice),
    }
}

fn response(answer: WireResponse) -> Result<reqwest::Response, HttpError> {
    let body = match answer.body {
        WireBody::Whole(bytes) => reqwest::Body::from(bytes),
        WireBody::Dripping { every } => reqwest::Body::wrap(Drip(tokio::time::interval(every))),
    };
    let mut response = http::Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    response
        .body(body)
        .map(reqwest::Response::from)
        .map_err(|error| HttpError::Interrupted(error.to_string()))
}

/// A body that never ends.
struct Drip(Interval);

impl Body for Drip {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0
            .poll_tick(cx)
            .map(|_| Some(Ok(Frame::data(Bytes::from_static(b" ")))))
    }
}
