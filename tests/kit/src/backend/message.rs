//! Requests and answers as fakes see them, and what the server remembers of both. No I/O.
//!
//! Called by every fake and by the tests that look at what arrived.

use std::time::Instant;

use anyhow::Context as _;
use bytes::Bytes;
use serde_json::Value;

/// A request with its body read to the end and decoded.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// `POST`, say.
    pub method: String,
    /// Without the query.
    pub path: String,
    /// Raw, without `?`; empty when there is none.
    pub query: String,
    /// Names in lower case, in the order of the wire.
    pub headers: Vec<(String, String)>,
    /// After `content-encoding` was undone; as received when that failed.
    pub body: Bytes,
    /// Bytes of the body on the wire.
    pub wire_bytes: usize,
    /// Why the body could not be decoded: a broken gzip stream, an unknown coding.
    pub undecodable: Option<String>,
}

impl Request {
    /// The first header of that name (given in lower case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(header, _)| header == name)
            .map(|(_, value)| value.as_str())
    }

    /// The media type of the body, without parameters, in lower case.
    #[must_use]
    pub fn media_type(&self) -> Option<String> {
        let value = self.header("content-type")?;
        Some(
            value
                .split(';')
                .next()
                .unwrap_or(value)
                .trim()
                .to_ascii_lowercase(),
        )
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// When it is not JSON.
    pub fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("body of {} {} is not JSON", self.method, self.path))
    }

    /// The body as text; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One record that a fake took: a span, a score, a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// `span`, `score`, ...
    pub kind: &'static str,
    /// What the backend knows it by.
    pub id: String,
    /// As it was sent.
    pub value: Value,
}

/// What a fake answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, usually JSON.
    pub body: Bytes,
    /// What the backend took of the request.
    pub stored: Vec<Stored>,
    /// Why it took nothing, or not everything.
    pub refused: Option<String>,
}

impl Answer {
    /// An answer with an empty body.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    /// An answer with a JSON body.
    #[must_use]
    pub fn json(status: u16, body: &Value) -> Self {
        Self::status(status)
            .with_header("content-type", "application/json")
            .with_body(body.to_string())
    }

    /// A refusal: the reason is kept for the tests, the body is the vendor's.
    #[must_use]
    pub fn refusal(status: u16, reason: impl Into<String>, body: &Value) -> Self {
        Self {
            refused: Some(reason.into()),
            ..Self::json(status, body)
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets what was taken.
    #[must_use]
    pub fn with_stored(mut self, stored: Vec<Stored>) -> Self {
        self.stored = stored;
        self
    }
}

/// A request and what became of it.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// As received.
    pub request: Request,
    /// When its body had ended.
    pub at: Instant,
    /// `None` while it waits, and for ever when the connection was broken or never answered.
    pub status: Option<u16>,
    /// What was taken of it.
    pub stored: Vec<Stored>,
    /// Why not everything was.
    pub refused: Option<String>,
}
