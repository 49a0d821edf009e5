//! A small HTTP client for tests: one request, one connection, the whole answer. No redirects, no retries, no pool.
//!
//! Called by tests that speak to the host or to a fake as an application would.

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// How long a request may take, all in all.
const DEADLINE: Duration = Duration::from_secs(60);

/// A request to be sent.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// `POST`, say.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Besides `content-length`, which is added, and `host`, which is added where it is missing.
    pub headers: Vec<(String, String)>,
    /// As it goes on the wire.
    pub body: Bytes,
}

impl Outgoing {
    /// A `GET` without headers.
    #[must_use]
    pub fn get(target: &str) -> Self {
        Self {
            method: "GET".to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// A `POST` of these bytes.
    #[must_use]
    pub fn post(target: &str, content_type: &str, body: impl Into<Bytes>) -> Self {
        let headers = vec![("content-type".to_owned(), content_type.to_owned())];
        Self {
            method: "POST".to_owned(),
            target: target.to_owned(),
            headers,
            body: body.into(),
        }
    }

    /// A `POST` of JSON.
    #[must_use]
    pub fn post_json(target: &str, body: &Value) -> Self {
        Self::post(target, "application/json", body.to_string())
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Compresses the body and says so.
    ///
    /// # Errors
    /// When compression fails, which memory alone can cause.
    pub fn gzip(mut self) -> anyhow::Result<Self> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder
            .write_all(&self.body)
            .context("cannot compress the body")?;
        self.body = encoder.finish().context("cannot compress the body")?.into();
        Ok(self.header("content-encoding", "gzip"))
    }

    /// Sends it and reads the answer to its end.
    ///
    /// # Errors
    /// When there is no connection, it breaks, or the answer is not complete within a minute.
    pub async fn send(self, to: SocketAddr) -> anyhow::Result<Reply> {
        let what = format!("{} {} at {to}", self.method, self.target);
        match tokio::time::timeout(DEADLINE, self.exchange(to)).await {
            Ok(reply) => reply.with_context(|| what),
            Err(_) => bail!("{what}: no complete answer within {} s", DEADLINE.as_secs()),
        }
    }

    async fn exchange(self, to: SocketAddr) -> anyhow::Result<Reply> {
        let stream = TcpStream::connect(to).await.context("cannot connect")?;
        self.exchange_over(stream, &to.to_string()).await
    }

    /// Sends it over a connection of the test's own and reads the answer to its end.
    ///
    /// # Errors
    /// When the connection breaks, or the answer is not complete within a minute.
    pub async fn send_over<S>(self, stream: S, host: &str) -> anyhow::Result<Reply>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let what = format!("{} {}", self.method, self.target);
        match tokio::time::timeout(DEADLINE, self.exchange_over(stream, host)).await {
            Ok(reply) => reply.with_context(|| what),
            Err(_) => bail!("{what}: no complete answer within {} s", DEADLINE.as_secs()),
        }
    }

    async fn exchange_over<S>(self, stream: S, host: &str) -> anyhow::Result<Reply>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let mut builder = hyper::Request::builder()
            .method(&*self.method)
            .uri(&self.target);
        if !self.headers.iter().any(|(name, _)| name == "host") {
            builder = builder.header("host", host);
        }
        for (name, value) in &self.headers {
            builder = builder.header(name, value);
        }
        let request = builder
            .body(Full::new(self.body))
            .context("not a valid request")?;
        let mut connections = tokio::task::JoinSet::new();
        connections.spawn(connection);
        let response = sender.send_request(request).await.context("no answer")?;
        let (parts, body) = response.into_parts();
        let body = body
            .collect()
            .await
            .context("the answer broke off")?
            .to_bytes();
        let headers = parts
            .headers
            .iter()
            .map(|(name, value)| {
                (
                    name.as_str().to_owned(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect();
        Ok(Reply {
            status: parts.status.as_u16(),
            headers,
            body,
        })
    }
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// As received.
    pub body: Bytes,
}

impl Reply {
    /// The first header of that name (given in lower case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(header, _)| header == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as text; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// When it is not JSON; the text is in the message.
    pub fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("not JSON: {}", self.text()))
    }
}
