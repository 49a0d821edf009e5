//! The write request, and what a receiver's answer means. Sources: remote write 1.0 and 2.0 (read 2026-11).

use mastra_exporter_sdk::http::{HttpError, Request, Response};
use mastra_exporter_sdk::outcome::{Fate, ItemResult, SendOutcome, SendResult, Statuses};

use crate::config::RemoteWrite;
use crate::mapping::{Family, remote};
use crate::wire::Version;

/// Of 4xx only 429 is sent again: with 400 a part may be stored.
const STATUSES: Statuses = Statuses::with(&[
    (400, 400, Fate::Rejected),
    (408, 408, Fate::Rejected),
    (422, 422, Fate::Rejected),
    (425, 425, Fate::Rejected),
]);

/// Says how many samples a receiver of 2.0 wrote.
const WRITTEN: &str = "x-prometheus-remote-write-samples-written";

/// Who sends; the specification wants it.
const USER_AGENT: &str = concat!("mastra-host-prometheus/", env!("CARGO_PKG_VERSION"));

/// Sends one request, and again in 1.0 when the receiver does not know 2.0. Returns the version that it knows.
#[must_use]
pub fn write(
    remote: &RemoteWrite,
    families: &[Family<'_>],
    version: Version,
) -> (SendResult, Version) {
    let reply = post(remote, families, version);
    if version == Version::Two && is_unknown(&reply) && remote::sample_count(families) > 0 {
        let reply = post(remote, families, Version::One);
        return (STATUSES.batch(&reply), Version::One);
    }
    (STATUSES.batch(&reply), version)
}

/// 415, or a success that does not say what was written: a receiver of 1.0 has dropped it.
fn is_unknown(reply: &Result<Response, HttpError>) -> bool {
    reply.as_ref().is_ok_and(|response| match response.status {
        415 => true,
        200..=299 => response.header(WRITTEN).is_none(),
        _ => false,
    })
}

fn post(
    remote: &RemoteWrite,
    families: &[Family<'_>],
    version: Version,
) -> Result<Response, HttpError> {
    let body = remote::request(families, version);
    let body = snap::raw::Encoder::new()
        .compress_vec(&body)
        .map_err(|error| HttpError::Invalid(error.to_string()))?;
    let (content_type, header) = version.headers();
    let mut request = Request::post(&remote.url)
        .bytes(content_type, body)
        .header("content-encoding", "snappy")
        .header("x-prometheus-remote-write-version", header)
        .header("user-agent", USER_AGENT)
        .headers(&remote.headers);
    if let Some(auth) = &remote.auth {
        request = request.auth(auth.clone());
    }
    request.send()
}

/// Whether everything was taken.
#[must_use]
pub const fn is_delivered(result: &SendResult) -> bool {
    matches!(result.outcome, SendOutcome::AllItems(ItemResult::Delivered))
}
