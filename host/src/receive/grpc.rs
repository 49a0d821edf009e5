//! OTLP/gRPC (opentelemetry-proto 1.11, `docs/specification.md`, "OTLP/gRPC"; gRPC's `PROTOCOL-HTTP2.md`): where a
//! message lies in a body, and what senders are answered. The messages, the bounds and the way to the queue are those of
//! OTLP/HTTP. Called by `routes` and `body`.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use axum::http::{HeaderMap, Response, StatusCode};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use bytes::{BufMut as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use prost::Message as _;

use super::IntakeError;
use super::answer::RequestError;
use super::batch::RefusedItem;
use super::otlp::{self, ProtoAny, ProtoDuration, RetryInfo, RpcStatus};

/// Methods, as the paths of requests.
pub(super) const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
pub(super) const LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
pub(super) const METRICS: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

/// How compressed messages are compressed.
pub(super) const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// In front of a message: whether it is compressed, and its length in four bytes, big-endian.
pub(super) const PREFIX_BYTES: usize = 5;

const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");

/// gRPC's status codes, as far as they are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    Ok = 0,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Unimplemented = 12,
    Unavailable = 14,
    Unauthenticated = 16,
}

impl Code {
    /// OTLP's senders send again after `UNAVAILABLE` and `DEADLINE_EXCEEDED`, and after `RESOURCE_EXHAUSTED` only with a
    /// `RetryInfo`, which a message that is too large never gets.
    const fn of(error: &RequestError) -> Self {
        match error {
            RequestError::Loop => Self::FailedPrecondition,
            RequestError::Unauthorized => Self::Unauthenticated,
            RequestError::ForeignHost(_)
            | RequestError::ForeignOrigin(_)
            | RequestError::ForeignSite
            | RequestError::ForSendersOnly(_)
            | RequestError::OtherProject { .. } => Self::PermissionDenied,
            RequestError::TooLarge { .. } | RequestError::Intake(IntakeError::TooLarge { .. }) => {
                Self::ResourceExhausted
            }
            RequestError::Encoding(_) => Self::Unimplemented,
            RequestError::Slow { .. } => Self::DeadlineExceeded,
            RequestError::ContentType(_)
            | RequestError::NoContentType
            | RequestError::Body(_)
            | RequestError::Shape(_) => Self::InvalidArgument,
            RequestError::Busy
            | RequestError::Intake(
                IntakeError::Full { .. } | IntakeError::Stopping | IntakeError::Failed(_),
            ) => Self::Unavailable,
        }
    }
}

/// Whether a request is gRPC with messages in protobuf, by its `content-type`.
pub(super) fn is_spoken(content_type: Option<&HeaderValue>) -> bool {
    let value = content_type.map(|value| value.as_bytes().to_ascii_lowercase());
    let value = value.unwrap_or_default();
    let media_type = value.split(|byte| *byte == b';').next();
    let media_type = media_type.unwrap_or_default().trim_ascii();
    media_type == b"application/grpc" || media_type == b"application/grpc+proto"
}

/// The one message of a body, and whether it is compressed.
pub(super) fn message(body: &Bytes) -> Result<(Bytes, bool), RequestError> {
    let wrong = |reason: String| Err(RequestError::Body(reason));
    let Some((&[flag, a, b, c, d], rest)) = body.split_first_chunk::<PREFIX_BYTES>() else {
        return wrong(format!(
            "a gRPC message begins with {PREFIX_BYTES} bytes, the body has {}",
            body.len()
        ));
    };
    let length = u32::from_be_bytes([a, b, c, d]);
    if usize::try_from(length) != Ok(rest.len()) {
        return wrong(format!(
            "its one gRPC message is said to have {length} bytes, {} came",
            rest.len()
        ));
    }
    match flag {
        0 => Ok((body.slice_ref(rest), false)),
        1 => Ok((body.slice_ref(rest), true)),
        _ => wrong(format!("the flag of a gRPC message is 0 or 1, not {flag}")),
    }
}

/// The answer to a request that was read.
pub(super) fn taken(refused: &[RefusedItem], refused_total: u64) -> Response<Body> {
    let message = otlp::response(refused, refused_total);
    let length = message.encoded_len();
    let mut framed = BytesMut::with_capacity(PREFIX_BYTES + length);
    framed.put_u8(0);
    framed.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    framed.extend_from_slice(&message.encode_to_vec());
    let mut trailers = HeaderMap::new();
    trailers.insert(STATUS, HeaderValue::from(Code::Ok as u16));
    let body = Full::new(framed.freeze()).with_trailers(async { Some(Ok(trailers)) });
    response(Body::new(body))
}

/// The answer to a request that was refused as a whole.
pub(super) fn refused(error: &RequestError) -> Response<Body> {
    let mut answer = status(Code::of(error), &error.to_string());
    if let Some(details) = details(error) {
        answer.headers_mut().insert(DETAILS, details);
    }
    answer
}

/// When to send again, as gRPC carries it: a whole `google.rpc.Status` in base64.
fn details(error: &RequestError) -> Option<HeaderValue> {
    let retry_after = error.retry_after()?;
    let retry_info = RetryInfo {
        retry_delay: Some(ProtoDuration {
            seconds: i64::try_from(retry_after.as_secs()).ok()?,
        }),
    };
    let status = RpcStatus {
        code: Code::of(error) as i32,
        message: error.to_string(),
        details: vec![ProtoAny {
            type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(),
            value: retry_info.encode_to_vec(),
        }],
    };
    HeaderValue::try_from(BASE64_STANDARD_NO_PAD.encode(status.encode_to_vec())).ok()
}

/// Another path than those of the methods.
pub(super) fn no_such_method() -> Response<Body> {
    let methods =
        "OTLP has TraceService, LogsService and MetricsService, each with the method Export";
    status(Code::Unimplemented, &format!("no such method: {methods}"))
}

/// 415, as gRPC wants it for what is not gRPC.
pub(super) fn not_spoken() -> Response<Body> {
    let text = "this port speaks OTLP/gRPC (content-type application/grpc); send OTLP/HTTP to the other one\n";
    let mut answer = Response::new(Body::from(text));
    *answer.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    answer
}

/// An answer without a message: the status stands in the headers.
fn status(code: Code, message: &str) -> Response<Body> {
    let mut answer = response(Body::empty());
    let headers = answer.headers_mut();
    headers.insert(STATUS, HeaderValue::from(code as u16));
    if let Ok(message) = HeaderValue::try_from(percent_encoded(message)) {
        headers.insert(MESSAGE, message);
    }
    answer
}

fn response(body: Body) -> Response<Body> {
    let mut answer = Response::new(body);
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(
        ACCEPT_ENCODING,
        HeaderValue::from_static("identity,gzip,zstd"),
    );
    answer
}

/// As `grpc-message` carries text: visible ASCII and spaces as they are, but for `%`.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests;
