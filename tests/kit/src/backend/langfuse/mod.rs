//! Langfuse's ingest API as its cloud serves it, and stricter where the real one would lose data in silence.
//!
//! Serves OTLP traces (protobuf or JSON, plain or gzip), scores (single and batch), the metrics stub that discards, and,
//! in legacy mode, the old `/ingestion` batch. Refuses a whole export for one bad span, wrong keys, wrong media types,
//! other codings, and bodies over the documented sizes. Sources: langfuse/langfuse @62751446
//! `web/src/pages/api/public/otel/v1/traces/index.ts`, `fern/apis/server/definition/{opentelemetry,scores,ingestion}.yml`;
//! langfuse-docs `content/faq/all/api-limits.mdx` (read 2026-11).
//!
//! Used by the langfuse exporter's tests, the end-to-end tests and `make demo`.

mod scores;
#[cfg(test)]
mod tests;
mod traces;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::otlp::wire::{self, Signal};
use super::{Answer, Fake, Request};

/// OTLP traces.
pub const TRACES: &str = "/api/public/otel/v1/traces";
/// OTLP metrics: answers 200 and discards.
pub const METRICS: &str = "/api/public/otel/v1/metrics";
/// Scores.
pub const SCORES: &str = "/api/public/scores";
/// The old batch.
pub const INGESTION: &str = "/api/public/ingestion";

/// Kind of a stored span.
pub const SPAN: &str = "span";
/// Kind of a stored score.
pub const SCORE: &str = "score";

/// What the old batch endpoint does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ingestion {
    /// 410: removed from the cloud on 2026-11-16.
    #[default]
    Gone,
    /// Serves scores; trace and observation events are refused one by one (self-hosted v4).
    Legacy,
}

/// The fake.
#[derive(Clone, Debug)]
pub struct Langfuse {
    /// User of the basic authorization.
    pub public_key: String,
    /// Its password.
    pub secret_key: String,
    /// What the old batch endpoint does.
    pub ingestion: Ingestion,
    /// Whether `/scores` takes arrays (cloud) or single objects only (older self-hosted).
    pub takes_score_batches: bool,
    /// Largest decoded OTLP or ingestion body; documented for the cloud.
    pub max_body_bytes: usize,
    /// Largest decoded score body.
    pub max_score_body_bytes: usize,
}

impl Default for Langfuse {
    fn default() -> Self {
        Self {
            public_key: "pk-lf-test".to_owned(),
            secret_key: "sk-lf-test".to_owned(),
            ingestion: Ingestion::Gone,
            takes_score_batches: true,
            max_body_bytes: 5_000_000,
            max_score_body_bytes: 1_000_000,
        }
    }
}

impl Langfuse {
    /// The value of the only `authorization` header that is let in.
    #[must_use]
    pub fn authorization(&self) -> String {
        format!(
            "Basic {}",
            STANDARD.encode(format!("{}:{}", self.public_key, self.secret_key))
        )
    }

    /// What every endpoint asks of a request before its body is looked at.
    fn admit(&self, request: &Request, max_bytes: usize) -> Result<(), Answer> {
        if request.method != "POST" {
            return Err(refuse(
                405,
                "MethodNotAllowedError",
                format!("{} is not served", request.method),
            ));
        }
        if request.header("authorization") != Some(self.authorization().as_str()) {
            let reason = "Invalid credentials. Confirm that you've configured the correct host.";
            return Err(refuse(401, "UnauthorizedError", reason.to_owned()));
        }
        let encoding = request.header("content-encoding").unwrap_or("gzip");
        if encoding != "gzip" {
            return Err(bad(format!("content-encoding {encoding:?} is not gzip")));
        }
        if let Some(reason) = &request.undecodable {
            return Err(bad(reason.clone()));
        }
        if request.body.len() > max_bytes {
            return Err(refuse(
                413,
                "PayloadTooLarge",
                format!("body is larger than {max_bytes} bytes"),
            ));
        }
        Ok(())
    }

    /// A body that must be JSON.
    fn json(&self, request: &Request, max_bytes: usize) -> Result<Value, Answer> {
        self.admit(request, max_bytes)?;
        if request.media_type().as_deref() != Some("application/json") {
            return Err(bad(format!(
                "content-type {:?} is not application/json",
                request.header("content-type")
            )));
        }
        request.json().map_err(|error| bad(format!("{error:#}")))
    }

    fn traces(&self, request: &Request) -> Result<Answer, Answer> {
        self.admit(request, self.max_body_bytes)?;
        let body = wire::read(Signal::Traces, request).map_err(bad)?;
        traces::check_version(request.header("x-langfuse-ingestion-version")).map_err(bad)?;
        let stored = traces::spans(&body).map_err(bad)?;
        Ok(Answer::json(200, &json!({})).with_stored(stored))
    }

    fn metrics(&self, request: &Request) -> Result<Answer, Answer> {
        self.admit(request, self.max_body_bytes)?;
        Ok(Answer::json(200, &json!({})))
    }

    fn scores(&self, request: &Request) -> Result<Answer, Answer> {
        match self.json(request, self.max_score_body_bytes)? {
            Value::Array(_) if !self.takes_score_batches => {
                Err(bad("expected an object, received an array".to_owned()))
            }
            Value::Array(items) if items.is_empty() => Err(bad("the batch is empty".to_owned())),
            Value::Array(items) => Ok(scores::batch(&items)),
            score => scores::single(&score).map_err(bad),
        }
    }

    fn ingestion(&self, request: &Request) -> Result<Answer, Answer> {
        if self.ingestion == Ingestion::Gone {
            let reason = "this endpoint was removed: send OTLP to /api/public/otel/v1/traces";
            return Err(refuse(410, "GoneError", reason.to_owned()));
        }
        let body = self.json(request, self.max_body_bytes)?;
        let batch = body.get("batch").and_then(Value::as_array);
        batch
            .map(|items| scores::legacy_batch(items))
            .ok_or_else(|| bad("batch is missing or not an array".to_owned()))
    }
}

impl Fake for Langfuse {
    fn answer(&self, request: &Request) -> Answer {
        let answer = match request.path.as_str() {
            TRACES => self.traces(request),
            SCORES => self.scores(request),
            INGESTION => self.ingestion(request),
            METRICS => self.metrics(request),
            path => Err(refuse(
                404,
                "NotFoundError",
                format!("{path} is not served"),
            )),
        };
        answer.unwrap_or_else(|refusal| refusal)
    }
}

fn refuse(status: u16, error: &str, reason: String) -> Answer {
    let body = json!({"message": reason, "error": error});
    Answer::refusal(status, reason, &body)
}

fn bad(reason: String) -> Answer {
    refuse(400, "InvalidRequestError", reason)
}

/// `^(?!langfuse)[a-z0-9_-]{1,40}$`
fn is_environment(text: &str) -> bool {
    !text.starts_with("langfuse")
        && (1..=40).contains(&text.len())
        && text
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
}

/// ISO 8601 with an offset.
fn is_time(text: &str) -> bool {
    text.parse::<jiff::Timestamp>().is_ok()
}
