//! What OTLP senders are answered (specification, "OTLP/HTTP Response"): in the encoding of the request; success with what
//! was rejected, which must not be sent again; else a `google.rpc.Status`.

use axum::body::Body;
use axum::http::Response;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use prost::Message;
use serde_json::json;

use super::messages::{ExportResponse, PartialSuccess, RpcStatus};
use super::{Encoding, Request};
use crate::receive::answer::RequestError;
use crate::receive::batch::RefusedItem;

impl Request {
    const fn rejected_field(self) -> &'static str {
        match self {
            Self::Traces => "rejectedSpans",
            Self::Logs => "rejectedLogRecords",
            Self::Metrics => "rejectedDataPoints",
        }
    }
}

/// What was rejected, in words; `None` when nothing was.
fn told(refused: &[RefusedItem], refused_total: u64) -> Option<String> {
    refused.first().map(|item| {
        let field = match item.field.as_str() {
            "" => String::new(),
            field => format!(", field {field}"),
        };
        let more = match refused_total {
            0 | 1 => String::new(),
            total => format!("; {} more", total - 1),
        };
        format!("item {}{field}: {}{more}", item.index, item.reason)
    })
}

/// The answer to a request that was read, in protobuf.
pub(in crate::receive) fn response(refused: &[RefusedItem], refused_total: u64) -> impl Message {
    let partial_success = told(refused, refused_total).map(|error_message| PartialSuccess {
        rejected: i64::try_from(refused_total).unwrap_or(i64::MAX),
        error_message,
    });
    ExportResponse { partial_success }
}

/// The 200 of a request that was read.
pub(in crate::receive) fn taken(
    request: Request,
    encoding: Encoding,
    refused: &[RefusedItem],
    refused_total: u64,
) -> Response<Body> {
    let body = match encoding {
        Encoding::Protobuf => response(refused, refused_total).encode_to_vec(),
        Encoding::Json => {
            let answer = match told(refused, refused_total) {
                Some(message) => json!({"partialSuccess": {
                    request.rejected_field(): refused_total.to_string(), "errorMessage": message,
                }}),
                None => json!({}),
            };
            answer.to_string().into_bytes()
        }
    };
    with_body(Response::new(Body::empty()), encoding, body)
}

/// The answer to a request that was refused as a whole.
pub(in crate::receive) fn refused(encoding: Encoding, error: &RequestError) -> Response<Body> {
    let message = error.to_string();
    let body = match encoding {
        Encoding::Protobuf => RpcStatus {
            message,
            ..RpcStatus::default()
        }
        .encode_to_vec(),
        Encoding::Json => json!({ "message": message }).to_string().into_bytes(),
    };
    with_body(error.response(), encoding, body)
}

fn with_body(answer: Response<Body>, encoding: Encoding, body: Vec<u8>) -> Response<Body> {
    let (mut parts, _) = answer.into_parts();
    let content_type = match encoding {
        Encoding::Protobuf => "application/x-protobuf",
        Encoding::Json => "application/json",
    };
    parts
        .headers
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    Response::from_parts(parts, Body::from(body))
}
