//! The requests, and what the answers mean: OTLP's own rules. A batch with one log line that is too old comes back with
//! 400 although the others were taken, so it is not sent again.

use mastra_exporter_sdk::http::Request;
use mastra_exporter_sdk::outcome::{SendResult, Statuses};
use mastra_otlp::encode::Encoding;
use mastra_otlp::reply;

use crate::config::Config;

const STATUSES: Statuses = Statuses::with(reply::STRICT);

/// Sends one request of so many items to one of the paths of [`crate::wire`].
#[must_use]
pub fn send(config: &Config, path: &str, body: Vec<u8>, items: usize) -> SendResult {
    let request = Request::post(format!("{}{path}", config.base))
        .bytes(Encoding::Protobuf.content_type(), body)
        .basic(&config.instance_id, &config.token)
        .gzip();
    reply::batch(STATUSES, &request.send(), items)
}
