//! What senders are answered. Called by `routes`.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{
    ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use axum::http::{Response, StatusCode};
use serde::Serialize;

use super::batch::RefusedItem;
use super::{Accepted, IntakeError, Page};
use crate::event::fields::FieldError;

/// Why a whole request is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    #[error(
        "this request has been through this host before: one of its exporters sends to the host itself"
    )]
    Loop,
    #[error(
        "a token is needed: send `authorization: Bearer <token>` with one of the host's tokens"
    )]
    Unauthorized,
    #[error(
        "`{0}` is not a name of this host: use an address that it listens on, send a token, or add the name to receivers.http.allowed_hosts"
    )]
    ForeignHost(String),
    #[error(
        "web pages of `{0}` may not use this host: to let them send events, add the origin to receivers.http.cors.allowed_origins"
    )]
    ForeignOrigin(String),
    #[error("a web page of another site may not use this host: open the address itself")]
    ForeignSite,
    #[error("a browser must name the content-type of what it sends, such as application/json")]
    NoContentType,
    #[error(
        "the token `{0}` is for sending to its projects; this page is about all: use another token"
    )]
    ForSendersOnly(String),
    #[error(
        "the token `{label}` may send to {projects} only, at /projects/{{id}}/..., and this request {named}"
    )]
    OtherProject {
        label: String,
        projects: String,
        named: String,
    },
    #[error(
        "the body is larger than {limit_bytes} bytes: send smaller batches or raise receivers.http.max_request_body_size"
    )]
    TooLarge { limit_bytes: usize },
    #[error("content-encoding `{0}` is not known: send gzip, zstd or none")]
    Encoding(String),
    #[error("content-type `{0}` is not OTLP: send application/x-protobuf or application/json")]
    ContentType(String),
    #[error("the body came too slowly: no data for {} s, or more than {} s in all", .idle.as_secs(), .total.as_secs())]
    Slow { idle: Duration, total: Duration },
    #[error("the body could not be read: {0}")]
    Body(String),
    #[error("the body could not be read: {0}")]
    Shape(FieldError),
    #[error("too many bytes of requests are on their way: send again later")]
    Busy,
    #[error(transparent)]
    Intake(#[from] IntakeError),
}

impl RequestError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Loop => StatusCode::LOOP_DETECTED,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::ForeignHost(_)
            | Self::ForeignOrigin(_)
            | Self::ForeignSite
            | Self::ForSendersOnly(_)
            | Self::OtherProject { .. } => StatusCode::FORBIDDEN,
            Self::TooLarge { .. } | Self::Intake(IntakeError::TooLarge { .. }) => {
                StatusCode::PAYLOAD_TOO_LARGE
            }
            Self::Encoding(_) | Self::ContentType(_) | Self::NoContentType => {
                StatusCode::UNSUPPORTED_MEDIA_TYPE
            }
            Self::Slow { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::Body(_) | Self::Shape(_) => StatusCode::BAD_REQUEST,
            // A store that failed may work again after a restart; OTLP senders take 500 for final.
            Self::Busy
            | Self::Intake(
                IntakeError::Full { .. } | IntakeError::Stopping | IntakeError::Failed(_),
            ) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        if let Self::Unauthorized = self {
            return Some((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
        }
        let seconds = HeaderValue::from(self.retry_after()?.as_secs());
        Some((RETRY_AFTER, seconds))
    }

    /// When it is worth trying again, if it is: 1 to 3600 whole seconds.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        let seconds = match self {
            // Rounded up: a sender that comes early is refused again.
            Self::Intake(IntakeError::Full { retry_after }) => {
                retry_after.as_millis().div_ceil(1000).clamp(1, 3600)
            }
            Self::Busy | Self::Intake(IntakeError::Stopping) => 1,
            _ => return None,
        };
        Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(3600)))
    }

    /// Whether the sender may still be sending, and in good faith.
    pub(super) const fn is_early(&self) -> bool {
        matches!(
            self,
            Self::Loop
                | Self::Unauthorized
                | Self::OtherProject { .. }
                | Self::TooLarge { .. }
                | Self::Encoding(_)
                | Self::Busy
        )
    }

    pub(super) fn response(&self) -> Response<Body> {
        let mut response = json(
            self.status(),
            &Problem {
                error: &self.to_string(),
            },
        );
        if let Some((name, value)) = self.header() {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

#[derive(Serialize)]
struct Problem<'a> {
    error: &'a str,
}

#[derive(Serialize)]
struct Taken<'a> {
    accepted: u64,
    repeated: u64,
    #[serde(skip_serializing_if = "is_zero")]
    drop_reports: u64,
    rejected: Vec<Rejected<'a>>,
    rejected_total: u64,
}

#[derive(Serialize)]
struct Rejected<'a> {
    index: u64,
    field: &'a str,
    reason: &'a str,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// The 200 of a request of which something was read.
pub(super) fn taken(
    accepted: Accepted,
    drop_reports: u64,
    refused: &[RefusedItem],
    refused_total: u64,
    max_rejected: usize,
) -> Response<Body> {
    let rejected = refused
        .iter()
        .take(max_rejected)
        .map(|item| Rejected {
            index: item.index,
            field: &item.field,
            reason: &item.reason,
        })
        .collect();
    let taken = Taken {
        accepted: accepted.accepted + accepted.repeated + drop_reports,
        repeated: accepted.repeated,
        drop_reports,
        rejected,
        rejected_total: refused_total,
    };
    json(StatusCode::OK, &taken)
}

#[derive(Serialize)]
struct NoSuchPath {
    error: &'static str,
    paths: [&'static str; 5],
}

/// 404, with what exists.
pub(super) fn no_such_path() -> Response<Body> {
    let known = NoSuchPath {
        error: "no such path",
        paths: [
            "POST {any prefix}/{spans,logs,metrics,scores,feedback}/publish",
            "POST /v1/events",
            "GET /healthz",
            "GET /readyz",
            "GET /metrics",
        ],
    };
    json(StatusCode::NOT_FOUND, &known)
}

/// 405 at a receiver.
pub(super) fn post_only() -> Response<Body> {
    let mut response = wrong_method();
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static("POST"));
    response
}

/// 405 where the router says what is allowed.
pub(super) fn wrong_method() -> Response<Body> {
    json(
        StatusCode::METHOD_NOT_ALLOWED,
        &Problem {
            error: "this path has another method; see the allow header",
        },
    )
}

/// A page as it is.
pub(super) fn page(page: Page) -> Response<Body> {
    let mut response = Response::new(Body::from(page.body));
    *response.status_mut() =
        StatusCode::from_u16(page.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(page.content_type));
    response
}

fn json(status: StatusCode, content: &impl Serialize) -> Response<Body> {
    // Texts and numbers always serialize.
    let mut response = Response::new(Body::from(
        serde_json::to_string(content).unwrap_or_default(),
    ));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
