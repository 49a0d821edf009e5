//! The request, and what the answer means: the ordinary meaning of statuses, and a receiver that names single bad records.

use mastra_exporter_sdk::http::{Auth, Request};
use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::outcome::{SendResult, Statuses};
use mastra_exporter_sdk::records::Signal;

use crate::config::{Config, Format};
use crate::mapping::filled;
use crate::wire;

const STATUSES: Statuses = Statuses::COMMON;

/// Posts so many events of one signal.
#[must_use]
pub fn post(config: &Config, signal: Signal, body: JsonText, count: usize) -> SendResult {
    let settings = &config.settings;
    let media_type = match settings.format {
        Format::Json => wire::JSON,
        Format::Ndjson => wire::NDJSON,
    };
    let value_of = |name: &str| match name {
        "signal" => wire::signal_word(signal).to_owned(),
        "count" => count.to_string(),
        _ => env!("CARGO_PKG_VERSION").to_owned(),
    };
    let mut request = Request::post(&settings.url).bytes(media_type, body.into_bytes());
    for (name, template) in &config.headers {
        request = request.header(name, filled(template, value_of));
    }
    request = match (&settings.signing_secret, &settings.authorization) {
        (Some(key), authorization) => {
            // A request has one credential of the host's making; the other's placeholder is filled in as a header.
            if let Some(value) = authorization {
                request = request.header("authorization", value);
            }
            request.auth(Auth::HmacSha256 {
                key: key.clone(),
                header_name: settings.signature_header.clone(),
                prefix: wire::SIGNATURE_PREFIX.to_owned(),
            })
        }
        (None, Some(value)) => request.secret_header("authorization", value),
        (None, None) => request,
    };
    if settings.gzip {
        request = request.gzip();
    }
    mastra_envelope::reply::batch(STATUSES, &request.send(), count)
}
