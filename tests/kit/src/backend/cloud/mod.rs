//! The Mastra platform's ingest protocol, and stricter: `POST {prefix}/{spans|logs|metrics|scores|feedback}/publish` with a
//! bearer token, one array of records a body, each checked; names that say the same must agree. The empty probe is taken.
//!
//! Written from what the official clients were recorded to send (`@mastra/observability` 1.17.9). A quota that is used up
//! is scripted with `Behaviour::Answer`. Used by the cloud exporter's end-to-end tests.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::{Value, json};

use super::schema::Schema;
use super::{Answer, Fake, Request, Stored};

/// Parts of the path, fields of the body, and kinds of what is stored.
pub const SEGMENTS: [&str; 5] = ["spans", "logs", "metrics", "scores", "feedback"];

/// The fake.
#[derive(Clone, Debug)]
pub struct Cloud {
    /// The only token that is let in.
    pub access_token: String,
    /// Before `/{segment}/publish`.
    pub prefix: String,
}

impl Default for Cloud {
    fn default() -> Self {
        Self {
            access_token: "platform-token".to_owned(),
            prefix: "/projects/proj_1-A/ai".to_owned(),
        }
    }
}

/// One a segment, in their order.
static SCHEMAS: LazyLock<anyhow::Result<Vec<Schema>>> = LazyLock::new(|| {
    let text = include_str!("../../../../schemas/mastra-events.schema.json");
    [
        "PublishSpans",
        "PublishLogs",
        "PublishMetrics",
        "PublishScores",
        "PublishFeedback",
    ]
    .into_iter()
    .map(|definition| Schema::definition("mastra-events.schema.json", text, definition))
    .collect()
});

impl Cloud {
    fn take(&self, request: &Request) -> Result<Answer, Answer> {
        let place = SEGMENTS
            .iter()
            .position(|segment| request.path == format!("{}/{segment}/publish", self.prefix))
            .ok_or_else(|| refuse(404, format!("{} is not served", request.path)))?;
        if request.method != "POST" {
            return Err(refuse(405, format!("{} is not served", request.method)));
        }
        let token = format!("Bearer {}", self.access_token);
        if request.header("authorization") != Some(token.as_str()) {
            return Err(refuse(401, "the token is of nobody here".to_owned()));
        }
        if let Some(reason) = &request.undecodable {
            return Err(bad(reason.clone()));
        }
        if request.media_type().as_deref() != Some("application/json") {
            let given = request.header("content-type");
            return Err(bad(format!("content-type {given:?} is not JSON")));
        }
        let body = request.json().map_err(|error| bad(format!("{error:#}")))?;
        let schemas = SCHEMAS
            .as_ref()
            .map_err(|error| bad(format!("the schema is broken: {error:#}")))?;
        let (Some(schema), Some(segment)) = (schemas.get(place), SEGMENTS.get(place)) else {
            return Err(bad("no such segment".to_owned()));
        };
        schema
            .check(&body)
            .map_err(|reason| bad(format!("{segment}: {reason}")))?;
        let stored = records(segment, &body).map_err(bad)?;
        Ok(Answer::json(200, &json!({"success": true})).with_stored(stored))
    }
}

impl Fake for Cloud {
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

fn records(segment: &'static str, body: &Value) -> Result<Vec<Stored>, String> {
    let id_name = match segment {
        "spans" => "id",
        "logs" => "logId",
        "metrics" => "metricId",
        "scores" => "scoreId",
        _ => "feedbackId",
    };
    let mut seen = BTreeSet::new();
    let records = body.get(segment).and_then(Value::as_array);
    let check = |record: &Value| {
        let id = record
            .get(id_name)
            .and_then(Value::as_str)
            .unwrap_or_default();
        if !seen.insert(id.to_owned()) {
            return Err(format!("{id_name} {id} is there twice"));
        }
        if segment == "spans" {
            check_aliases(record)?;
        }
        Ok(Stored {
            kind: segment,
            id: id.to_owned(),
            value: record.clone(),
        })
    };
    records.into_iter().flatten().map(check).collect()
}

fn check_aliases(span: &Value) -> Result<(), String> {
    for (name, alias) in [
        ("id", "spanId"),
        ("type", "spanType"),
        ("startTime", "startedAt"),
        ("endTime", "endedAt"),
        ("errorInfo", "error"),
    ] {
        let (value, other) = (span.get(name), span.get(alias));
        if value.unwrap_or(&Value::Null) != other.unwrap_or(&Value::Null) {
            return Err(format!("{name} and {alias} differ"));
        }
    }
    Ok(())
}
