//! The requests, and what the answers mean: OTLP's own rules
//! (<https://opentelemetry.io/docs/specs/otlp/#otlphttp-response>).

use mastra_exporter_sdk::http::Request;
use mastra_exporter_sdk::outcome::{SendResult, Statuses};
use mastra_otlp::reply;

use crate::config::Config;

const STATUSES: Statuses = Statuses::with(reply::STRICT);

/// Sends one request of so many items.
#[must_use]
pub fn send(config: &Config, url: &str, body: Vec<u8>, items: usize) -> SendResult {
    let mut request = Request::post(url)
        .bytes(config.encoding.content_type(), body)
        .headers(&config.headers)
        .timeout(config.timeout);
    if config.is_compressed {
        request = request.gzip();
    }
    if let Some(auth) = &config.auth {
        request = request.auth(auth.clone());
    }
    reply::batch(STATUSES, &request.send(), items)
}
