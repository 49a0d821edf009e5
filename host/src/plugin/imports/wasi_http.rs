//! The import `wasi:http` (0.2, outgoing only): what the HTTP library of a guest's language speaks. Requests go to the
//! same [`HttpCapability`] as those of our own import `http`, so that policy, secrets, caps and scrubbing are one.
//!
//! Bodies are collected before they are sent and answered whole: placeholders are filled in in complete bodies, and
//! secrets taken out of complete ones. What an instance has
//! under way at a time is bounded by its [`Room`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::{BodyExt as _, Full};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpHooks};

use super::Room;
use super::http::HttpCapability;
use crate::http::message::{HttpError, Request, Response};

/// Nothing more to do once the response is there: it is there in full.
type Rest = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Answered = Result<(http::Response<WasiBody>, Rest), Error>;

/// What one instance has for `wasi:http`.
pub(super) struct WasiHttp {
    pub(super) context: WasiHttpCtx,
    pub(super) hooks: Hooks,
}

impl WasiHttp {
    /// `http` is `None` while `describe` runs, which must be pure.
    pub(super) fn new(http: Option<Arc<dyn HttpCapability>>, room: &Room) -> Self {
        let mut context = WasiHttpCtx::new();
        context.set_field_size_limit(room.header_bytes);
        Self {
            context,
            hooks: Hooks {
                http,
                bodies: Arc::new(Semaphore::new(room.body_bytes)),
                chunk_bytes: room.chunk_bytes,
                outcomes: Arc::default(),
            },
        }
    }
}

/// Sends the requests of one instance.
pub(super) struct Hooks {
    http: Option<Arc<dyn HttpCapability>>,
    /// One permit a byte of the bodies that are held for the guest.
    bodies: Arc<Semaphore>,
    /// Of an outgoing body that nothing reads yet.
    chunk_bytes: usize,
    pub(super) outcomes: Arc<Outcomes>,
}

/// What is known of the requests of one instance. Guests may leave requests under way at the end of a call, or drop them.
#[derive(Default)]
pub(super) struct Outcomes {
    has_unknown: AtomicBool,
    under_way: AtomicUsize,
}

impl Outcomes {
    /// Before each call.
    pub(super) fn reset(&self) {
        self.has_unknown.store(false, Ordering::Relaxed);
    }

    /// Whether a request ended without an answer when the backend may have had it, or has not ended yet.
    pub(super) fn has_unknown(&self) -> bool {
        self.has_unknown.load(Ordering::Relaxed) || self.under_way.load(Ordering::Relaxed) > 0
    }
}

/// A request under way; its outcome is unknown unless somebody says otherwise.
struct UnderWay {
    outcomes: Arc<Outcomes>,
    is_known: bool,
}

impl UnderWay {
    fn begin(outcomes: &Arc<Outcomes>) -> Self {
        outcomes.under_way.fetch_add(1, Ordering::Relaxed);
        Self {
            outcomes: Arc::clone(outcomes),
            is_known: false,
        }
    }

    fn end(mut self, result: &Result<Response, HttpError>) {
        self.is_known = !matches!(result, Err(error) if error.may_have_been_processed());
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if !self.is_known {
            self.outcomes.has_unknown.store(true, Ordering::Relaxed);
        }
        self.outcomes.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl WasiHttpHooks for Hooks {
    /// The client sets it.
    fn set_host_header(&mut self) -> bool {
        false
    }

    /// One chunk waits at a time.
    fn p2_outgoing_body_buffer_chunks(&mut self) -> usize {
        1
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        self.chunk_bytes
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Answered> + Send> {
        let Some(http) = self.http.clone() else {
            let reason = "`describe` must be pure, but it sent a request".to_owned();
            return Box::new(async { Err(Error::InternalError(Some(reason))) });
        };
        let (bodies, outcomes) = (Arc::clone(&self.bodies), Arc::clone(&self.outcomes));
        Box::new(async move {
            let (parts, body) = request.into_parts();
            let (body, held) = collected(body, &bodies).await?;
            let request = request_from(&parts, body, options)?;
            let under_way = UnderWay::begin(&outcomes);
            let result = http.send(request).await;
            under_way.end(&result);
            drop(held);
            let response = response_to(result.map_err(error_to)?, &bodies)?;
            Ok((response, Box::new(async { Ok(()) }) as Rest))
        })
    }
}

/// The whole body, with the permits for its bytes.
async fn collected(
    mut body: WasiBody,
    bodies: &Arc<Semaphore>,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Error> {
    let mut whole = BytesMut::new();
    let mut held: Option<OwnedSemaphorePermit> = None;
    while let Some(frame) = body.frame().await {
        let Ok(chunk) = frame?.into_data() else {
            let reason = "trailers of a request are not sent: leave them out".to_owned();
            return Err(Error::InternalError(Some(reason)));
        };
        let size = u64::try_from(whole.len() + chunk.len()).ok();
        let permit = hold(bodies, chunk.len()).ok_or(Error::HttpRequestBodySize(size))?;
        match &mut held {
            Some(held) => held.merge(permit),
            None => held = Some(permit),
        }
        whole.extend_from_slice(&chunk);
    }
    Ok((whole.freeze(), held))
}

/// Room for so many bytes, unless the instance holds too many already.
fn hold(bodies: &Arc<Semaphore>, bytes: usize) -> Option<OwnedSemaphorePermit> {
    let bytes = u32::try_from(bytes).ok()?;
    Arc::clone(bodies).try_acquire_many_owned(bytes).ok()
}

fn request_from(
    parts: &http::request::Parts,
    body: Bytes,
    options: Option<RequestOptions>,
) -> Result<Request, Error> {
    let mut headers = Vec::with_capacity(parts.headers.len());
    for (name, value) in &parts.headers {
        // Checked against the body by now; the client sets it again, after it has filled the body in.
        if name == http::header::CONTENT_LENGTH {
            continue;
        }
        let value = std::str::from_utf8(value.as_bytes()).map_err(|_| {
            let reason = format!("the value of header `{name}` is not UTF-8");
            Error::InternalError(Some(reason))
        })?;
        headers.push((name.as_str().to_owned(), value.to_owned()));
    }
    Ok(Request {
        verb: parts.method.as_str().to_owned(),
        url: parts.uri.to_string(),
        headers,
        body,
        compress: None,
        auth: None,
        // An answer comes whole, so that its first byte is its last.
        timeout: options.and_then(|options| options.first_byte_timeout),
    })
}

fn response_to(
    response: Response,
    bodies: &Arc<Semaphore>,
) -> Result<http::Response<WasiBody>, Error> {
    let size = u64::try_from(response.body.len()).ok();
    let held = hold(bodies, response.body.len()).ok_or(Error::HttpResponseBodySize(size))?;
    let mut headers = HeaderMap::new();
    for (name, value) in &response.headers {
        // They come from a parsed response; what scrubbing made unfit for a header is left out.
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_str(value),
        ) {
            // A map that is full: no backend answers so.
            headers
                .try_append(name, value)
                .map_err(|_| Error::HttpResponseHeaderSectionSize(None))?;
        }
    }
    // The permits live as long as the body.
    let body = Full::new(response.body).map_frame(move |frame| {
        let _ = &held;
        frame
    });
    let body = body.map_err(|never| match never {}).boxed_unsync();
    let mut whole = http::Response::new(body);
    *whole.status_mut() =
        http::StatusCode::from_u16(response.status).map_err(|_| Error::HttpProtocolError)?;
    *whole.headers_mut() = headers;
    Ok(whole)
}

/// `wasi:http` has no text for most refusals; the client's own log line has.
fn error_to(error: HttpError) -> Error {
    match error {
        HttpError::Invalid(reason) => {
            Error::InternalError(Some(format!("invalid request: {reason}")))
        }
        HttpError::Denied(_) => Error::HttpRequestDenied,
        HttpError::Unreachable(_) => Error::DestinationUnavailable,
        HttpError::Interrupted(_) => Error::ConnectionTerminated,
        HttpError::TimedOut => Error::HttpResponseTimeout,
        HttpError::ResponseTooLarge { limit_bytes } => {
            Error::HttpResponseBodySize(u64::try_from(limit_bytes).ok())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &'static str) -> WasiBody {
        let body = Full::new(Bytes::from_static(text.as_bytes()));
        body.map_err(|never| match never {}).boxed_unsync()
    }

    #[tokio::test]
    async fn the_bodies_of_an_instance_share_one_bound() {
        let bodies = Arc::new(Semaphore::new(10));
        let (bytes, held) = collected(body("12345678"), &bodies).await.unwrap();
        assert_eq!(bytes, "12345678");
        let second = collected(body("123"), &bodies).await;
        assert!(matches!(second, Err(Error::HttpRequestBodySize(Some(3)))));
        drop(held);
        assert!(collected(body("123"), &bodies).await.is_ok());
    }

    #[tokio::test]
    async fn an_answer_counts_until_the_guest_lets_go_of_it() {
        let bodies = Arc::new(Semaphore::new(10));
        let answer = || Response {
            status: 200,
            headers: vec![("x-a".to_owned(), "b".to_owned())],
            body: Bytes::from_static(b"1234567"),
            retry_after: None,
        };
        let kept = response_to(answer(), &bodies).unwrap();
        assert_eq!(kept.headers()["x-a"], "b");
        let second = response_to(answer(), &bodies);
        assert!(matches!(second, Err(Error::HttpResponseBodySize(Some(7)))));
        drop(kept);
        assert!(response_to(answer(), &bodies).is_ok());
    }

    #[tokio::test]
    async fn trailers_are_refused_instead_of_lost() {
        let trailers = std::future::ready(Some(Ok(HeaderMap::new())));
        let body = body("x").with_trailers(trailers).boxed_unsync();
        let bodies = Arc::new(Semaphore::new(10));
        let refused = collected(body, &bodies).await;
        assert!(matches!(refused, Err(Error::InternalError(Some(_)))));
    }

    #[test]
    fn a_dropped_request_has_an_unknown_outcome() {
        let outcomes = Arc::new(Outcomes::default());
        let request = UnderWay::begin(&outcomes);
        assert!(outcomes.has_unknown(), "while it is under way");
        request.end(&Err(HttpError::Denied(String::new())));
        assert!(!outcomes.has_unknown(), "it was not sent");
        drop(UnderWay::begin(&outcomes));
        assert!(outcomes.has_unknown());
        outcomes.reset();
        assert!(!outcomes.has_unknown());
    }
}
