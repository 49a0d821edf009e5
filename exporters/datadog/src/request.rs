//! URLs, headers and bodies, and what Datadog's replies mean. Sources: the OpenAPI of its API clients and the retry rules
//! of ddtrace 4.16.0 (read 2026-11).

use std::time::Duration;

use mastra_exporter_sdk::http::{Compression, HttpError, Request, Response};
use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::outcome::{ItemResult, SendOutcome, SendResult, Statuses, with_skipped};

use crate::config::Config;
use crate::mapping;
use crate::mapping::metrics::Second;
use crate::wire::{self, Evaluation, SeriesVersion};

/// A request is taken or refused whole, so that 400 and 422 are looked into; 202 is what success looks like.
const STATUSES: Statuses = Statuses::COMMON;

/// Of a request of metrics, before compression. Datadog takes 512,000 compressed.
const MAX_METRICS_BYTES: usize = 400_000;

/// Sends spans.
#[must_use]
pub fn spans(config: &Config, body: JsonText) -> SendResult {
    let url = format!("{}{}", config.api_url, wire::SPANS_PATH);
    answer(post(config, url).json(body))
}

/// Sends logs.
#[must_use]
pub fn logs(config: &Config, body: JsonText) -> SendResult {
    let url = format!("{}{}", config.logs_url, wire::LOGS_PATH);
    answer(post(config, url).json(body).gzip())
}

/// Sends evaluations, each a record or the reason why there is no place for it.
#[must_use]
pub fn evaluations(
    config: &Config,
    records: Vec<Result<Evaluation<'_>, &'static str>>,
) -> SendResult {
    let skipped = records
        .iter()
        .map(|record| record.as_ref().err().map(|reason| (*reason).to_owned()))
        .collect();
    with_skipped(skipped, |_| {
        let mut body = JsonText::default();
        body.raw(r#"{"data":{"type":"evaluation_metric","attributes":{"metrics":"#);
        body.array(records.iter().flatten(), |text, record| record.write(text))
            .raw("}}}");
        let url = format!("{}{}", config.api_url, wire::EVALUATIONS_PATH);
        answer(post(config, url).json(body))
    })
}

/// Asks whether the key is taken. Returns the refusal; other answers say nothing of it, since not everything that speaks
/// Datadog's intakes has this path.
#[must_use]
pub fn refusal(config: &Config) -> Option<SendResult> {
    let url = format!("{}{}", config.api_url, wire::VALIDATE_PATH);
    let key = &config.settings.api_key;
    let result = answer(Request::get(url).secret_header("DD-API-KEY", key));
    matches!(result.outcome, SendOutcome::Unauthorized(_)).then_some(result)
}

/// Sends whole seconds in requests of bounded size, and says of each request's seconds what became of them. Those that
/// are not named stay due: after an answer that asks for another try the rest is not tried. Returns whether the key was
/// refused.
pub fn metrics(
    config: &Config,
    due: &[Second],
    mut settle: impl FnMut(&[Second], ItemResult),
) -> bool {
    let mut is_refused = false;
    let mut parts = requests(due);
    parts.reverse();
    while let Some(part) = parts.pop() {
        let fate = match points(config, part).outcome {
            SendOutcome::TooLarge | SendOutcome::Isolate(_) if part.len() > 1 => {
                let (first, second) = part.split_at(part.len() / 2);
                parts.extend([second, first]);
                continue;
            }
            SendOutcome::TooLarge => ItemResult::Rejected(
                "one second of a metric is larger than Datadog takes".to_owned(),
            ),
            SendOutcome::Isolate(reason) => ItemResult::Rejected(reason),
            SendOutcome::Unauthorized(reason) => {
                is_refused = true;
                ItemResult::Retry(reason)
            }
            SendOutcome::AllItems(fate) => fate,
            SendOutcome::PerItem(_) | SendOutcome::Partial(_) => {
                ItemResult::Rejected("Datadog answers for whole requests".to_owned())
            }
        };
        let is_over = matches!(fate, ItemResult::Retry(_));
        settle(part, fate);
        if is_over {
            break;
        }
    }
    is_refused
}

/// Neighbours of one path, together of bounded size.
fn requests(due: &[Second]) -> Vec<&[Second]> {
    let mut bytes = 0;
    let requests = due.chunk_by(|before, next| {
        if bytes == 0 {
            bytes = before.size_bytes();
        }
        bytes += next.size_bytes();
        let is_together = before.name.kind.is_distribution() == next.name.kind.is_distribution()
            && bytes <= MAX_METRICS_BYTES;
        if !is_together {
            bytes = 0;
        }
        is_together
    });
    requests.collect()
}

/// One request of one path.
fn points(config: &Config, part: &[Second]) -> SendResult {
    let is_distribution = part
        .first()
        .is_some_and(|first| first.name.kind.is_distribution());
    if is_distribution {
        let url = format!("{}{}", config.api_url, wire::DISTRIBUTIONS_PATH);
        let body = mapping::metrics::distributions_request(part).into_bytes();
        // The only coding and media type that this path takes.
        let request = post(config, url).bytes("text/json", body);
        return answer(request.compress(Compression::Deflate));
    }
    let version = config.settings.series_version;
    let url = format!("{}{}", config.api_url, version.path());
    let request = post(config, url).json(mapping::metrics::series_request(part, version));
    answer(request.compress(match version {
        // The only coding of that version.
        SeriesVersion::V1 => Compression::Deflate,
        SeriesVersion::V2 => Compression::Gzip,
    }))
}

fn post(config: &Config, url: String) -> Request {
    Request::post(url).secret_header("DD-API-KEY", &config.settings.api_key)
}

fn answer(request: Request) -> SendResult {
    let reply = request.send();
    let result = STATUSES.batch(&reply);
    if result.not_before.is_some() {
        return result;
    }
    result.not_before(rate_limit(&reply))
}

/// Datadog says with `X-RateLimit-Reset`, in seconds, when there is room again.
fn rate_limit(reply: &Result<Response, HttpError>) -> Option<Duration> {
    let response = reply
        .as_ref()
        .ok()
        .filter(|response| response.status == 429)?;
    let seconds = response.header("x-ratelimit-reset")?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
