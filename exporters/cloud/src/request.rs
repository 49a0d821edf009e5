//! Publishing, and what the platform's answers mean: a quota that is used up pauses all signals until a probe is answered
//! well, refused credentials cool down for longer and longer. Nothing is lost meanwhile: the host keeps it.

use std::cell::Cell;
use std::time::Duration;

use mastra_exporter_sdk::http::{HttpError, Request, Response};
use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::outcome::{
    DelayScope, ItemResult, NotBefore, SendOutcome, SendResult, Statuses,
};
use mastra_exporter_sdk::records::Signal;

use crate::config::Config;
use crate::wire;

/// The platform deviates nowhere but in 402, which is about its quota.
const STATUSES: Statuses = Statuses::COMMON;

/// Between probes when the platform does not say.
const DEFAULT_PAUSE: Duration = Duration::from_secs(300);
/// Longest pause that the official client takes: 2^31 - 1 milliseconds, in seconds.
const LONGEST_PAUSE_SECONDS: u64 = 2_147_483;
/// After the first refusal of the credentials; doubled by each further one.
const FIRST_COOL_DOWN: Duration = Duration::from_secs(60);
/// The longest.
const LONGEST_COOL_DOWN: Duration = Duration::from_secs(15 * 60);

/// How this instance stands with the platform. Lost with the instance, which costs a request more.
#[derive(Debug, Default)]
pub struct Standing {
    /// The quota was used up when last asked.
    is_paused: Cell<bool>,
    /// Refusals of the credentials since the last success.
    refusals: Cell<u32>,
}

/// Publishes so many records of one signal.
#[must_use]
pub fn publish(
    config: &Config,
    standing: &Standing,
    signal: Signal,
    body: JsonText,
    records: usize,
) -> SendResult {
    if standing.is_paused.get() {
        let mut probe = JsonText::default();
        probe.raw(wire::PROBE);
        let reply = post(config, Signal::Traces, probe).send();
        let settled = settle(standing, &reply, 0);
        if !is_delivered(&settled) {
            return settled;
        }
    }
    settle(standing, &post(config, signal, body).send(), records)
}

fn post(config: &Config, signal: Signal, body: JsonText) -> Request {
    let (name, value) = wire::CAPABILITIES;
    Request::post(config.url(signal))
        .json(body)
        .header(name, value)
        .bearer(&config.access_token)
}

const fn is_delivered(result: &SendResult) -> bool {
    matches!(result.outcome, SendOutcome::AllItems(ItemResult::Delivered))
}

fn settle(standing: &Standing, reply: &Result<Response, HttpError>, records: usize) -> SendResult {
    if let Some(wait) = reply.as_ref().ok().and_then(quota_pause) {
        standing.is_paused.set(true);
        let reason = "the platform's quota is used up".to_owned();
        return whole_exporter(SendOutcome::AllItems(ItemResult::Retry(reason)), wait);
    }
    let result = mastra_envelope::reply::batch(STATUSES, reply, records);
    if matches!(result.outcome, SendOutcome::Unauthorized(_)) && reply.is_ok() {
        return whole_exporter(result.outcome, standing.cool_down());
    }
    if matches!(reply, Ok(response) if (200..300).contains(&response.status)) {
        standing.is_paused.set(false);
        standing.refusals.set(0);
    }
    result
}

impl Standing {
    fn cool_down(&self) -> Duration {
        let before = self.refusals.get();
        self.refusals.set(before.saturating_add(1));
        let wait = FIRST_COOL_DOWN.saturating_mul(2_u32.saturating_pow(before));
        wait.min(LONGEST_COOL_DOWN)
    }
}

fn whole_exporter(outcome: SendOutcome, wait: Duration) -> SendResult {
    SendResult {
        outcome,
        not_before: Some(NotBefore {
            scope: DelayScope::WholeExporter,
            wait: u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX),
        }),
    }
}

/// How long to pause: after 402, and after any answer that says `disabled`.
fn quota_pause(response: &Response) -> Option<Duration> {
    let is_disabled = response.header(wire::STATE_HEADER) == Some(wire::DISABLED);
    if !is_disabled && response.status != 402 {
        return None;
    }
    let said = response
        .header(wire::RETRY_HEADER)
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|text| text.parse::<u64>().ok())
        .filter(|seconds| *seconds > 0)
        .map(|seconds| Duration::from_secs(seconds.min(LONGEST_PAUSE_SECONDS)));
    Some(said.unwrap_or(DEFAULT_PAUSE))
}
