//! HTTP requests through the host, which checks them against the operator's grants and fills in secrets. Credentials go
//! into [`Request::basic`] and its like, not into headers by hand. Off wasm there is no network: [`testing`] answers.
//!
//! ```
//! use mastra_exporter_sdk::http::Request;
//! use mastra_exporter_sdk::http::testing::{status, with_backend};
//!
//! let (reply, requests) = with_backend(
//!     |_| Ok(status(202)),
//!     || Request::post("https://board.example/ingest").bearer("token").gzip().send(),
//! );
//! assert_eq!(reply.unwrap().status, 202);
//! assert_eq!(requests[0].url, "https://board.example/ingest");
//! ```

use std::fmt;
use std::time::Duration;

use crate::bindings::base::mastra::observability::http as wit;
use crate::exporter::nanos;
use crate::json::JsonText;

/// How the host compresses a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// `content-encoding: gzip`
    Gzip,
    /// `content-encoding: deflate`
    Deflate,
    /// `content-encoding: zstd`
    Zstd,
}

/// Credentials; the texts may be or contain placeholders of secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// User and password.
    Basic(String, String),
    /// Token.
    Bearer(String),
    /// Header name and value.
    Header(String, String),
    /// Query parameter name and value.
    Query(String, String),
    /// HMAC-SHA256 of the body in hex: key, header name, prefix of the digest.
    HmacSha256 {
        /// Placeholder of the secret key.
        key: String,
        /// Header that carries the signature.
        header_name: String,
        /// Before the digest, such as `sha256=`.
        prefix: String,
    },
}

/// A request under construction.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    /// `GET`, `POST`, ...
    pub verb: &'static str,
    /// Absolute.
    pub url: String,
    /// In the order added.
    pub headers: Vec<(String, String)>,
    /// Not compressed.
    pub body: Vec<u8>,
    /// What the host does with the body.
    pub compression: Option<Compression>,
    /// Credentials.
    pub auth: Option<Auth>,
    /// At most the exporter's own limit.
    pub timeout: Option<Duration>,
}

impl Request {
    /// A request without body and headers.
    pub fn new(verb: &'static str, url: impl Into<String>) -> Self {
        Self {
            verb,
            url: url.into(),
            headers: Vec::new(),
            body: Vec::new(),
            compression: None,
            auth: None,
            timeout: None,
        }
    }

    /// `GET`
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// `POST`
    pub fn post(url: impl Into<String>) -> Self {
        Self::new("POST", url)
    }

    /// Adds a header. Connection headers, `host` and `content-length` are the host's business and refused.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Adds headers from a setting.
    pub fn headers<'a>(
        mut self,
        headers: impl IntoIterator<Item = (&'a String, &'a String)>,
    ) -> Self {
        self.headers.extend(
            headers
                .into_iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
        self
    }

    /// A JSON body.
    pub fn json(self, body: JsonText) -> Self {
        self.bytes("application/json", body.into_bytes())
    }

    /// A body of this content type.
    pub fn bytes(mut self, content_type: &str, body: Vec<u8>) -> Self {
        self.body = body;
        self.header("content-type", content_type)
    }

    /// Has the host compress the body with gzip.
    pub const fn gzip(mut self) -> Self {
        self.compression = Some(Compression::Gzip);
        self
    }

    /// Has the host compress the body.
    pub const fn compress(mut self, compression: Compression) -> Self {
        self.compression = Some(compression);
        self
    }

    /// `Authorization: Basic`
    pub fn basic(self, user: &str, password: &str) -> Self {
        self.auth(Auth::Basic(user.to_owned(), password.to_owned()))
    }

    /// `Authorization: Bearer`
    pub fn bearer(self, token: &str) -> Self {
        self.auth(Auth::Bearer(token.to_owned()))
    }

    /// A header that carries a secret.
    pub fn secret_header(self, name: &str, value: &str) -> Self {
        self.auth(Auth::Header(name.to_owned(), value.to_owned()))
    }

    /// Credentials.
    pub fn auth(mut self, auth: Auth) -> Self {
        self.auth = Some(auth);
        self
    }

    /// Less than the exporter's own limit.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sends it and waits for the whole response.
    ///
    /// # Errors
    /// See [`HttpError`]; a status is not an error.
    #[cfg(target_arch = "wasm32")]
    pub fn send(self) -> Result<Response, HttpError> {
        wit::send(&self.into_wit())
            .map(Response::from)
            .map_err(HttpError::from)
    }

    /// Sends it and waits for the whole response.
    ///
    /// # Errors
    /// See [`HttpError`]; a status is not an error.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn send(self) -> Result<Response, HttpError> {
        testing::answer(self)
    }

    #[cfg_attr(
        not(target_arch = "wasm32"),
        expect(dead_code, reason = "there is no host to send to")
    )]
    fn into_wit(self) -> wit::Request {
        wit::Request {
            verb: self.verb.to_owned(),
            url: self.url,
            headers: self.headers,
            body: self.body,
            compress: self.compression.map(|compression| match compression {
                Compression::Gzip => wit::Compression::Gzip,
                Compression::Deflate => wit::Compression::Deflate,
                Compression::Zstd => wit::Compression::Zstd,
            }),
            auth: self.auth.map(|auth| match auth {
                Auth::Basic(user, password) => wit::Auth::Basic((user, password)),
                Auth::Bearer(token) => wit::Auth::Bearer(token),
                Auth::Header(name, value) => wit::Auth::Header((name, value)),
                Auth::Query(name, value) => wit::Auth::Query((name, value)),
                Auth::HmacSha256 {
                    key,
                    header_name,
                    prefix,
                } => wit::Auth::HmacSha256(wit::HmacAuth {
                    key,
                    header_name,
                    prefix,
                }),
            }),
            timeout: self.timeout.map(nanos),
        }
    }
}

/// A complete response of any status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// 100 to 999.
    pub status: u16,
    /// Names in lower case; secrets are scrubbed.
    pub headers: Vec<(String, String)>,
    /// Decoded.
    pub body: Vec<u8>,
    /// The wait that `retry-after` asks for.
    pub retry_after: Option<Duration>,
}

impl Response {
    /// The first header of this lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as text; empty when it is not UTF-8.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap_or_default()
    }
}

impl From<wit::Response> for Response {
    fn from(response: wit::Response) -> Self {
        Self {
            status: response.status,
            headers: response.headers,
            body: response.body,
            retry_after: response.retry_after.map(Duration::from_nanos),
        }
    }
}

/// Why there is no response. The text is the host's, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpError {
    /// Not a valid request. Not sent.
    Invalid(String),
    /// Not granted. Not sent.
    Denied(String),
    /// No connection. Not sent.
    Unreachable(String),
    /// The connection broke after the request left. It may have been processed.
    Interrupted(String),
    /// No complete response in time. The request may have been processed.
    TimedOut,
    /// The response is over a limit. The request was processed.
    ResponseTooLarge,
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(text) => write!(f, "the request is not valid: {text}"),
            Self::Denied(text) => write!(f, "the request is not granted: {text}"),
            Self::Unreachable(text) => write!(f, "no connection: {text}"),
            Self::Interrupted(text) => write!(f, "the connection broke: {text}"),
            Self::TimedOut => f.write_str("no complete response in time"),
            Self::ResponseTooLarge => f.write_str("the response is over the limit"),
        }
    }
}

impl std::error::Error for HttpError {}

impl From<wit::HttpError> for HttpError {
    fn from(error: wit::HttpError) -> Self {
        match error {
            wit::HttpError::Invalid(text) => Self::Invalid(text),
            wit::HttpError::Denied(text) => Self::Denied(text),
            wit::HttpError::Unreachable(text) => Self::Unreachable(text),
            wit::HttpError::Interrupted(text) => Self::Interrupted(text),
            wit::HttpError::TimedOut => Self::TimedOut,
            wit::HttpError::ResponseTooLarge => Self::ResponseTooLarge,
        }
    }
}

/// Stands in for the host in native tests.
#[cfg(not(target_arch = "wasm32"))]
pub mod testing {
    use std::cell::RefCell;

    use super::{HttpError, Request, Response};

    type Backend = Box<dyn FnMut(&Request) -> Result<Response, HttpError>>;

    thread_local! {
        static BACKEND: RefCell<Option<(Backend, Vec<Request>)>> = const { RefCell::new(None) };
    }

    /// Runs `work` while `backend` answers this thread's requests; returns the work's result and the requests sent.
    pub fn with_backend<R>(
        backend: impl FnMut(&Request) -> Result<Response, HttpError> + 'static,
        work: impl FnOnce() -> R,
    ) -> (R, Vec<Request>) {
        BACKEND.set(Some((Box::new(backend), Vec::new())));
        let result = work();
        (
            result,
            BACKEND
                .take()
                .map(|(_, requests)| requests)
                .unwrap_or_default(),
        )
    }

    /// A response with this status and an empty body.
    #[must_use]
    pub const fn status(status: u16) -> Response {
        Response {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            retry_after: None,
        }
    }

    pub(super) fn answer(request: Request) -> Result<Response, HttpError> {
        BACKEND.with_borrow_mut(|backend| {
            let (answer, requests) = backend.as_mut().ok_or_else(|| {
                HttpError::Denied("there is no network outside a component".to_owned())
            })?;
            let response = answer(&request);
            requests.push(request);
            response
        })
    }
}
