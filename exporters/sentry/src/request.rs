//! The envelope request, and what Sentry's replies mean. Sources: develop docs on authentication and rate limiting
//! (read 2026-11).

use std::time::Duration;

use mastra_exporter_sdk::http::{HttpError, Request, Response};
use mastra_exporter_sdk::outcome::{ItemResult, SendOutcome, SendResult, Statuses};

use crate::config::Config;
use crate::wire::CLIENT;

/// Sentry deviates nowhere.
const STATUSES: Statuses = Statuses::COMMON;

/// After 429 without any word on how long.
const DEFAULT_WAIT: Duration = Duration::from_secs(60);

/// What a rate limit may be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the categories, by name")]
pub enum Category {
    Error,
    Span,
    Log,
    Metric,
    Feedback,
}

impl Category {
    /// Names in the header that concern this category.
    const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Error => &["error", "default"],
            Self::Span => &["span", "transaction", "default"],
            Self::Log => &["log_item", "log_byte", "default"],
            Self::Metric => &["trace_metric", "trace_metric_byte", "default"],
            Self::Feedback => &["feedback", "default"],
        }
    }
}

/// Sends one envelope.
#[must_use]
pub fn envelope(config: &Config, body: Vec<u8>, category: Category) -> SendResult {
    let auth = format!(
        "Sentry sentry_version=7, sentry_key={}, sentry_client={}/{}",
        config.public_key, CLIENT.0, CLIENT.1
    );
    let reply = Request::post(&config.envelope_url)
        .bytes("application/x-sentry-envelope", body)
        .header("x-sentry-auth", auth)
        .gzip()
        .send();
    let result = STATUSES.batch(&reply);
    let wait = limited(&reply, category);
    if wait.is_some() {
        return result.not_before(wait);
    }
    result
}

/// Whether all of it is taken.
#[must_use]
pub const fn is_delivered(result: &SendResult) -> bool {
    matches!(result.outcome, SendOutcome::AllItems(ItemResult::Delivered))
}

/// How long the category has to wait: the header may come with any status, and 429 may come without it.
fn limited(reply: &Result<Response, HttpError>, category: Category) -> Option<Duration> {
    let response = reply.as_ref().ok()?;
    let Some(limits) = response.header("x-sentry-rate-limits") else {
        return (response.status == 429).then(|| response.retry_after.unwrap_or(DEFAULT_WAIT));
    };
    let waits = limits.split(',').filter_map(|limit| {
        let mut fields = limit.trim().split(':');
        let seconds: f64 = fields.next()?.trim().parse().ok()?;
        let categories = fields.next().unwrap_or_default();
        let concerns = categories.is_empty()
            || categories
                .split(';')
                .any(|name| category.names().contains(&name));
        let is_wait = concerns && seconds.is_finite() && seconds > 0.0;
        is_wait.then(|| Duration::try_from_secs_f64(seconds).unwrap_or(DEFAULT_WAIT))
    });
    waits.max()
}
