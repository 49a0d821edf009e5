//! URLs, headers and bodies, and what Langfuse's replies mean. Sources: the server's OpenAPI, its OTLP route and the SDK 5
//! score consumer (read 2026-11).

use std::time::Duration;

use mastra_exporter_sdk::http::{HttpError, Request, Response};
use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::outcome::{
    ItemResult, PartialSuccess, SendOutcome, SendResult, Statuses, with_skipped,
};
use mastra_exporter_sdk::raw::member;
use mastra_otlp::encode::Encoding;

use crate::config::{Config, ScoreBatching};
use crate::wire::Score;

/// Langfuse deviates nowhere from what most backends mean: 429 and all 5xx are worth a retry; a bad span rejects the whole
/// export with 400, so it is looked for; 403 also means that ingestion is suspended.
const STATUSES: Statuses = Statuses::COMMON;

/// How long one call sends scores one by one; what is left comes with the next call.
const SINGLE_SCORES_BUDGET: Duration = Duration::from_secs(10);

/// Sends spans. Not repeated on an unknown outcome by this code: Langfuse would store them twice.
#[must_use]
pub fn otlp(config: &Config, body: Vec<u8>, items: usize) -> SendResult {
    // Without the version, what is sent may show up ten minutes late.
    let request = Request::post(&config.traces_url).bytes(Encoding::Protobuf.content_type(), body);
    let request = authorized(config, request)
        .header("x-langfuse-ingestion-version", "4")
        .gzip();
    mastra_otlp::reply::batch(STATUSES, &request.send(), items)
}

/// Sends scores, each a record or the reason why Langfuse has no place for it.
#[must_use]
pub fn scores(config: &Config, records: Vec<Result<Score<'_>, &'static str>>) -> SendResult {
    let skipped = records
        .iter()
        .map(|record| record.as_ref().err().map(|reason| (*reason).to_owned()))
        .collect();
    let sendable: Vec<Score<'_>> = records.into_iter().flatten().collect();
    with_skipped(skipped, |_| match config.settings.score_batching {
        ScoreBatching::Single => STATUSES.one_by_one(&sendable, SINGLE_SCORES_BUDGET, |score| {
            let mut body = JsonText::default();
            score.write(&mut body);
            authorized(config, Request::post(&config.scores_url).json(body)).send()
        }),
        ScoreBatching::Array => {
            let mut body = JsonText::default();
            body.array(&sendable, |text, score| score.write(text));
            let request = authorized(config, Request::post(&config.scores_url).json(body));
            score_batch(&request.gzip().send(), sendable.len())
        }
    })
}

/// 207 says how many were refused; it must not be sent again.
fn score_batch(reply: &Result<Response, HttpError>, items: usize) -> SendResult {
    let refused = match reply {
        Ok(response) if response.status == 207 => member(response.text(), "rejected")
            .and_then(|count| count.parse::<u32>().ok())
            .unwrap_or(0),
        _ => 0,
    };
    if refused == 0 {
        return STATUSES.batch(reply);
    }
    let reason = "the backend refused some scores".to_owned();
    SendResult::of(if refused as usize >= items {
        SendOutcome::AllItems(ItemResult::Rejected(reason))
    } else {
        SendOutcome::Partial(PartialSuccess {
            rejected_count: refused,
            reason,
        })
    })
}

/// With who sends, and the credentials.
fn authorized(config: &Config, request: Request) -> Request {
    let settings = &config.settings;
    request
        .header("x-langfuse-sdk-name", "mastra-host")
        .header("x-langfuse-sdk-version", env!("CARGO_PKG_VERSION"))
        .header("x-langfuse-public-key", settings.public_key.as_str())
        .headers(&settings.headers)
        .basic(&settings.public_key, &settings.secret_key)
}
