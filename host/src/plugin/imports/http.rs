//! The import `http`: between the guest's types and the host's HTTP client. Policy, secrets and limits are the client's;
//! nothing is decided here. Bodies are moved, not copied.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;

use super::HostState;
use crate::http::message::{Auth, Compression, HttpError, Request, Response};
use crate::plugin::bindings::imported::http as wit;

/// A request on its way.
pub type HttpFuture<'a> = Pin<Box<dyn Future<Output = Result<Response, HttpError>> + Send + 'a>>;

/// What sends the requests of one exporter. The host's HTTP client is one; tests have their own.
pub trait HttpCapability: Send + Sync + 'static {
    /// Sends one request under the exporter's policy. Dropping the future abandons the request.
    fn send(&self, request: Request) -> HttpFuture<'_>;
}

impl wit::Host for HostState {
    async fn send(
        &mut self,
        request: wit::Request,
    ) -> wasmtime::Result<Result<wit::Response, wit::HttpError>> {
        let http = &self.grants("http.send")?.http;
        match http.send(request_from(request)).await {
            Ok(response) => Ok(Ok(response_to(response))),
            Err(error) => {
                self.has_unknown_outcome |= error.may_have_been_processed();
                Ok(Err(error_to(error)))
            }
        }
    }
}

fn request_from(request: wit::Request) -> Request {
    Request {
        verb: request.verb,
        url: request.url,
        headers: request.headers,
        body: Bytes::from(request.body),
        compress: request.compress.map(|compression| match compression {
            wit::Compression::Gzip => Compression::Gzip,
            wit::Compression::Deflate => Compression::Deflate,
            wit::Compression::Zstd => Compression::Zstd,
        }),
        auth: request.auth.map(|auth| match auth {
            wit::Auth::Basic((user, password)) => Auth::Basic(user, password),
            wit::Auth::Bearer(token) => Auth::Bearer(token),
            wit::Auth::Header((name, value)) => Auth::Header(name, value),
            wit::Auth::Query((name, value)) => Auth::Query(name, value),
            wit::Auth::HmacSha256(wit::HmacAuth {
                key,
                header_name,
                prefix,
            }) => Auth::HmacSha256 {
                key,
                header_name,
                prefix,
            },
        }),
        timeout: request.timeout.map(Duration::from_nanos),
    }
}

fn response_to(response: Response) -> wit::Response {
    wit::Response {
        status: response.status,
        headers: response.headers,
        body: Vec::from(response.body),
        retry_after: response.retry_after.map(nanos),
    }
}

fn error_to(error: HttpError) -> wit::HttpError {
    match error {
        HttpError::Invalid(reason) => wit::HttpError::Invalid(reason),
        HttpError::Denied(reason) => wit::HttpError::Denied(reason),
        HttpError::Unreachable(reason) => wit::HttpError::Unreachable(reason),
        HttpError::Interrupted(reason) => wit::HttpError::Interrupted(reason),
        HttpError::TimedOut => wit::HttpError::TimedOut,
        HttpError::ResponseTooLarge { .. } => wit::HttpError::ResponseTooLarge,
    }
}

/// 584 years are enough of a wait.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
