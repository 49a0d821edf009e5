//! Request, response and error of the HTTP capability, as `wit/host.wit` defines them (its doc comments give the
//! meaning), without the engine's types.

use std::time::Duration;

use bytes::Bytes;

/// `http.compression`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// `content-encoding: gzip`
    Gzip,
    /// `content-encoding: deflate` (zlib, RFC 9110 8.4.1.2)
    Deflate,
    /// `content-encoding: zstd`
    Zstd,
}

/// `http.auth`; texts may be or contain placeholders.
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
    /// HMAC-SHA256 of the uncompressed body, in hex.
    HmacSha256 {
        /// Placeholder of the key.
        key: String,
        /// Header that carries the signature.
        header_name: String,
        /// Before the digest.
        prefix: String,
    },
}

/// `http.request`
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub verb: String,
    /// Absolute.
    pub url: String,
    /// Names and values as the component gave them.
    pub headers: Vec<(String, String)>,
    /// Not compressed.
    pub body: Bytes,
    /// What the host does to the body.
    pub compress: Option<Compression>,
    /// Credentials.
    pub auth: Option<Auth>,
    /// At most the exporter's own.
    pub timeout: Option<Duration>,
}

/// `http.response`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Names in lower case; secrets scrubbed.
    pub headers: Vec<(String, String)>,
    /// Decoded, secrets scrubbed.
    pub body: Bytes,
    /// From `retry-after`.
    pub retry_after: Option<Duration>,
}

/// `http.http-error`
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// Not a valid request. Not sent.
    #[error("invalid request: {0}")]
    Invalid(String),
    /// Not granted. Not sent.
    #[error("denied: {0}")]
    Denied(String),
    /// No connection. Not sent.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// Broke after the request left.
    #[error("interrupted: {0}")]
    Interrupted(String),
    /// No complete response in time.
    #[error("timed out")]
    TimedOut,
    /// The response is over a limit.
    #[error("response is larger than {limit_bytes} bytes")]
    ResponseTooLarge {
        /// The limit.
        limit_bytes: usize,
    },
}

impl HttpError {
    /// Whether the backend may have processed the request.
    #[must_use]
    pub const fn may_have_been_processed(&self) -> bool {
        match self {
            Self::Invalid(_) | Self::Denied(_) | Self::Unreachable(_) => false,
            Self::Interrupted(_) | Self::TimedOut | Self::ResponseTooLarge { .. } => true,
        }
    }
}
