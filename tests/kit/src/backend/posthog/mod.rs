//! PostHog's capture as its cloud serves it, and stricter where the real one would drop events in silence after its 200.
//!
//! Serves events by the route for AI events and by the one for all, and OTLP logs. Refuses wrong tokens, other media types
//! and codings, bodies and events over the documented sizes, and events that PostHog would drop or misread. Sources:
//! PyPI posthog 7.91.1 (`request.py`, `consumer.py`), posthog.com `ai-observability/*`, `api/capture` (read 2026-11).
//!
//! Used by the posthog exporter's tests and the end-to-end tests.

mod events;
#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use super::otlp::check_logs;
use super::{Answer, Fake, Request, Stored};

/// AI events, up to 8 MiB each.
pub const AI_BATCH: &str = "/i/v0/ai/batch/";
/// All events, up to 900 KiB each.
pub const BATCH: &str = "/batch/";
/// OTLP logs.
pub const LOGS: &str = "/i/v1/logs";

/// Kind of a stored event.
pub const EVENT: &str = "event";
/// Kind of a stored log record.
pub const LOG: &str = "log";

/// The fake.
#[derive(Clone, Debug)]
pub struct PostHog {
    /// Project token.
    pub api_key: String,
    /// Whether it serves [`AI_BATCH`].
    pub has_ai_route: bool,
    /// Whether the plan's events are used up: 200, and nothing is stored.
    pub is_over_quota: bool,
    /// Largest decoded body.
    pub max_body_bytes: usize,
    /// Largest event of [`AI_BATCH`].
    pub max_ai_event_bytes: usize,
    /// Largest event of [`BATCH`].
    pub max_event_bytes: usize,
}

impl Default for PostHog {
    fn default() -> Self {
        Self {
            api_key: "phc_test".to_owned(),
            has_ai_route: true,
            is_over_quota: false,
            max_body_bytes: 20_000_000,
            max_ai_event_bytes: 8 << 20,
            max_event_bytes: 900 << 10,
        }
    }
}

impl PostHog {
    /// What every endpoint asks of a request before its body is looked at.
    fn admit(&self, request: &Request) -> Result<Value, Answer> {
        if request.method != "POST" {
            return Err(refuse(405, format!("{} is not served", request.method)));
        }
        let encoding = request.header("content-encoding").unwrap_or("gzip");
        if encoding != "gzip" {
            return Err(refuse(
                400,
                format!("content-encoding {encoding:?} is not gzip"),
            ));
        }
        if let Some(reason) = &request.undecodable {
            return Err(refuse(400, reason.clone()));
        }
        if request.body.len() > self.max_body_bytes {
            return Err(refuse(
                413,
                format!("body is larger than {} bytes", self.max_body_bytes),
            ));
        }
        if request.media_type().as_deref() != Some("application/json") {
            let given = request.header("content-type");
            return Err(refuse(
                400,
                format!("content-type {given:?} is not application/json"),
            ));
        }
        request
            .json()
            .map_err(|error| refuse(400, format!("{error:#}")))
    }

    fn batch(&self, request: &Request, max_event_bytes: usize) -> Result<Answer, Answer> {
        let body = self.admit(request)?;
        if body.get("api_key").and_then(Value::as_str) != Some(self.api_key.as_str()) {
            return Err(refuse(401, "api_key is not a project token".to_owned()));
        }
        if self.is_over_quota {
            let answer = Answer::json(200, &json!({"status": "Ok", "quota_limited": ["events"]}));
            return Ok(answer);
        }
        let stored = events::batch(&body, max_event_bytes).map_err(|reason| refuse(400, reason))?;
        Ok(Answer::json(200, &json!({"status": "Ok"})).with_stored(stored))
    }

    fn logs(&self, request: &Request) -> Result<Answer, Answer> {
        let bearer = format!("Bearer {}", self.api_key);
        if request.method == "POST" && request.header("authorization") != Some(bearer.as_str()) {
            return Err(refuse(401, "the token is not a project's".to_owned()));
        }
        let body = self.admit(request)?;
        let records = check_logs(&body).map_err(|reason| refuse(400, reason))?;
        let stored = records.into_iter().map(|record| Stored {
            kind: LOG,
            id: record["timeUnixNano"].to_string(),
            value: record.clone(),
        });
        let stored = stored.collect();
        Ok(Answer::json(200, &json!({})).with_stored(stored))
    }
}

impl Fake for PostHog {
    fn answer(&self, request: &Request) -> Answer {
        let answer = match request.path.as_str() {
            AI_BATCH if self.has_ai_route => self.batch(request, self.max_ai_event_bytes),
            BATCH => self.batch(request, self.max_event_bytes),
            LOGS => self.logs(request),
            path => Err(refuse(404, format!("{path} is not served"))),
        };
        answer.unwrap_or_else(|refusal| refusal)
    }
}

fn refuse(status: u16, reason: String) -> Answer {
    let body = json!({"type": "validation_error", "detail": reason});
    Answer::refusal(status, reason, &body)
}
