//! The requests, and what Laminar's replies mean: 200 with an empty body is success; a span sent twice is stored twice, so
//! that only what was surely not taken is sent again. Source: `lmnr-ai/lmnr` @39a1e595 `app-server/src/api/v1` (read
//! 2026-11).

use mastra_exporter_sdk::http::Request;
use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::outcome::{Fate, Row, SendResult, Statuses};
use mastra_exporter_sdk::parts;
use mastra_otlp::encode::Encoding;
use mastra_otlp::reply;

use crate::config::Config;

/// OTLP's rules: 500 is also Laminar's answer to bad data.
const TRACES: Statuses = Statuses::with(reply::STRICT);

/// A trace that is not there yet is worth another try. Each request is about one item.
const METADATA: &[Row] = &[
    (400, 400, Fate::Rejected),
    (404, 404, Fate::Retry),
    (422, 422, Fate::Rejected),
];

/// Sends spans.
#[must_use]
pub fn traces(config: &Config, body: Vec<u8>, items: usize) -> SendResult {
    let request = Request::post(&config.traces_url)
        .bytes(Encoding::Protobuf.content_type(), body)
        .headers(&config.headers)
        .bearer(&config.api_key)
        .gzip();
    reply::batch(TRACES, &request.send(), items)
}

/// Sends metadata of traces, a request each.
#[must_use]
pub fn metadata(config: &Config, bodies: Vec<JsonText>) -> SendResult {
    let count = bodies.len();
    let each = bodies.into_iter().enumerate();
    let each = each.map(|(index, body)| (vec![index], body));
    parts::send(count, each, |body| {
        let request = Request::post(&config.metadata_url)
            .json(body)
            .headers(&config.headers)
            .bearer(&config.api_key);
        Statuses::with(METADATA).batch(&request.send())
    })
}
