//! URLs, headers and bodies, and what Datadog's replies mean. Sources: the OpenAPI of its API clients and the retry rules
//! of ddtrace 4.16.0 (read 2026-11).

use std::time::Duration;

use mastra_exporter_sdk::http::{Compression, HttpError, Request, Response};
use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::outcome::{SendResult, Statuses, with_skipped};
use mastra_exporter_sdk::parts;

use crate::config::Config;
use crate::mapping::metrics::{Place, Points};
use crate::wire::{self, Evaluation};

/// A request is taken or refused whole, so that 400 and 422 are looked into; 202 is what success looks like.
const STATUSES: Statuses = Statuses::COMMON;

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

/// Sends metrics: a request for distributions, one for counts and gauges, each only when there are some.
#[must_use]
pub fn metrics(config: &Config, points: &Points) -> SendResult {
    let places = points.places();
    let distributions = || {
        let url = format!("{}{}", config.api_url, wire::DISTRIBUTIONS_PATH);
        let body = points.distributions_request().into_bytes();
        // The only coding and media type that this path takes.
        let request = post(config, url).bytes("text/json", body);
        answer(request.compress(Compression::Deflate))
    };
    let series = || {
        let url = format!("{}{}", config.api_url, wire::SERIES_PATH);
        answer(post(config, url).json(points.series_request()).gzip())
    };
    let skipped = places.iter().map(|place| match place {
        Place::Nowhere(reason) => Some((*reason).to_owned()),
        Place::Series | Place::Distributions => None,
    });
    let sent: Vec<_> = places
        .iter()
        .filter(|place| !matches!(place, Place::Nowhere(_)))
        .collect();
    let items = |wanted: Place| -> Vec<usize> {
        let places = sent.iter().enumerate();
        places
            .filter(|(_, place)| ***place == wanted)
            .map(|(index, _)| index)
            .collect()
    };
    let parts = [Place::Distributions, Place::Series].map(|place| (items(place), place));
    let parts = parts.into_iter().filter(|(items, _)| !items.is_empty());
    with_skipped(skipped.collect(), |count| {
        parts::send(count, parts, |place| match place {
            Place::Distributions => distributions(),
            _ => series(),
        })
    })
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
