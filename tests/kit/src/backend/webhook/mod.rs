//! A receiver of webhooks as a careful team would write it: one path, an authorization, a signature over the body, and
//! every event checked, in an array or in lines.
//!
//! Used by the webhook exporter's end-to-end tests.

#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::sync::LazyLock;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use super::schema::Schema;
use super::{Answer, Fake, Request, Stored};

/// The only path.
pub const EVENTS: &str = "/events";

/// The fake.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Value of `authorization`; any when absent.
    pub authorization: Option<String>,
    /// Key of the signature in `x-signature-256`; none is asked for when absent. It covers the decoded body.
    pub signing_secret: Option<String>,
}

impl Default for Webhook {
    fn default() -> Self {
        Self {
            authorization: Some("Bearer hook-token".to_owned()),
            signing_secret: None,
        }
    }
}

static SCHEMA: LazyLock<anyhow::Result<Schema>> = LazyLock::new(|| {
    let text = include_str!("../../../../schemas/mastra-events.schema.json");
    Schema::definition("mastra-events.schema.json", text, "Event")
});

impl Webhook {
    fn take(&self, request: &Request) -> Result<Answer, Answer> {
        if request.path != EVENTS {
            return Err(refuse(404, format!("{} is not served", request.path)));
        }
        if request.method != "POST" {
            return Err(refuse(405, format!("{} is not served", request.method)));
        }
        if let Some(wanted) = &self.authorization
            && request.header("authorization") != Some(wanted.as_str())
        {
            return Err(refuse(401, "the authorization is wrong".to_owned()));
        }
        if let Some(reason) = &request.undecodable {
            return Err(bad(reason.clone()));
        }
        self.check_signature(request)
            .map_err(|reason| refuse(401, reason))?;
        let events = events(request).map_err(bad)?;
        let schema = SCHEMA
            .as_ref()
            .map_err(|error| bad(format!("the schema is broken: {error:#}")))?;
        let mut stored = Vec::with_capacity(events.len());
        for event in events {
            schema.check(&event).map_err(bad)?;
            stored.push(record(event));
        }
        Ok(Answer::json(200, &json!({"ok": true})).with_stored(stored))
    }

    fn check_signature(&self, request: &Request) -> Result<(), String> {
        let Some(secret) = &self.signing_secret else {
            return Ok(());
        };
        let given = request
            .header("x-signature-256")
            .ok_or("the signature is missing")?;
        let mut mac =
            Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map_err(|error| error.to_string())?;
        mac.update(&request.body);
        let mut wanted = "sha256=".to_owned();
        for byte in mac.finalize().into_bytes() {
            let _ = write!(wanted, "{byte:02x}");
        }
        if given == wanted {
            Ok(())
        } else {
            Err("the signature is of another body or key".to_owned())
        }
    }
}

impl Fake for Webhook {
    fn answer(&self, request: &Request) -> Answer {
        self.take(request).unwrap_or_else(|refusal| refusal)
    }
}

fn refuse(status: u16, reason: String) -> Answer {
    let body = json!({"error": reason});
    Answer::refusal(status, reason, &body)
}

fn bad(reason: String) -> Answer {
    refuse(400, reason)
}

fn events(request: &Request) -> Result<Vec<Value>, String> {
    let events = match request.media_type().as_deref() {
        Some("application/json") => match request.json().map_err(|error| format!("{error:#}"))? {
            Value::Array(events) => events,
            _ => return Err("the body is no array".to_owned()),
        },
        Some("application/x-ndjson") => {
            let text = request.text();
            if !text.ends_with('\n') {
                return Err("the last line does not end".to_owned());
            }
            let line = |line: &str| {
                serde_json::from_str(line).map_err(|error| format!("a line is no JSON: {error}"))
            };
            text.lines().map(line).collect::<Result<_, _>>()?
        }
        _ => {
            let given = request.header("content-type");
            return Err(format!("content-type {given:?} is neither JSON nor NDJSON"));
        }
    };
    if events.is_empty() {
        return Err("the body is empty".to_owned());
    }
    Ok(events)
}

/// Stored under the signal's word, by the record's own id.
fn record(event: Value) -> Stored {
    let (kind, pointer) = match event.get("type").and_then(Value::as_str) {
        Some("log") => ("log", "/log/logId"),
        Some("metric") => ("metric", "/metric/metricId"),
        Some("score") => ("score", "/score/scoreId"),
        Some("feedback") => ("feedback", "/feedback/feedbackId"),
        _ => ("span", "/exportedSpan/id"),
    };
    let id = event.pointer(pointer).and_then(Value::as_str);
    Stored {
        kind,
        id: id.unwrap_or_default().to_owned(),
        value: event,
    }
}
