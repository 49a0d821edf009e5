//! Laminar's ingest API as its server has it, and stricter where it would take what nobody can use.
//!
//! Serves OTLP traces in both encodings (200 with an empty body), metadata of traces and tags. `/v1/evaluators/score` is
//! gone. Source: `lmnr-ai/lmnr` @39a1e595 `app-server/src/{main.rs, api/v1/{traces,tag}.rs}` (read 2026-11).
//!
//! Used by the laminar exporter's tests and the end-to-end tests.

#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::collector;
pub use super::collector::SPAN;
use super::otlp::wire::{self, Signal};
use super::otlp::{check_traces, string};
use super::schema::Schema;
use super::{Answer, Fake, Request, Stored};

/// OTLP traces.
pub const TRACES: &str = "/v1/traces";
/// Metadata of a trace.
pub const METADATA: &str = "/v1/traces/metadata";
/// Tags of a trace or a span.
pub const TAG: &str = "/v1/tag";

/// Kind of stored metadata and tags.
pub const ANNOTATION: &str = "annotation";

/// `lmnr.span.type`
const TYPES: [&str; 9] = [
    "DEFAULT",
    "LLM",
    "TOOL",
    "PIPELINE",
    "EXECUTOR",
    "EVALUATOR",
    "HUMAN_EVALUATOR",
    "EVALUATION",
    "CACHED",
];

const REST: &str = include_str!("../../../../schemas/laminar-rest.schema.json");

type Compiled = LazyLock<anyhow::Result<Schema>>;

static METADATA_SCHEMA: Compiled = LazyLock::new(|| rest("TraceMetadata"));
static TAG_SCHEMA: Compiled = LazyLock::new(|| rest("Tag"));

fn rest(definition: &str) -> anyhow::Result<Schema> {
    Schema::definition("laminar-rest.schema.json", REST, definition)
}

/// The fake.
#[derive(Clone, Debug)]
pub struct Laminar {
    /// The project's key.
    pub api_key: String,
    /// Largest decoded body.
    pub max_body_bytes: usize,
}

impl Default for Laminar {
    fn default() -> Self {
        Self {
            api_key: "lmnr-key".to_owned(),
            max_body_bytes: 5_242_880,
        }
    }
}

impl Laminar {
    fn admit(&self, request: &Request) -> Result<(), Answer> {
        if request.method != "POST" {
            return Err(refuse(405, format!("{} is not served", request.method)));
        }
        let bearer = format!("Bearer {}", self.api_key);
        if request.header("authorization") != Some(bearer.as_str()) {
            return Err(refuse(401, "the token is wrong".to_owned()));
        }
        let encoding = request.header("content-encoding").unwrap_or("gzip");
        if encoding != "gzip" {
            return Err(refuse(
                400,
                format!("content-encoding {encoding:?} is not gzip"),
            ));
        }
        if request.body.len() > self.max_body_bytes {
            return Err(refuse(413, "the body is too large".to_owned()));
        }
        match &request.undecodable {
            Some(reason) => Err(refuse(400, reason.clone())),
            None => Ok(()),
        }
    }

    fn traces(&self, request: &Request) -> Result<Answer, Answer> {
        self.admit(request)?;
        let body = wire::read(Signal::Traces, request).map_err(|reason| refuse(400, reason))?;
        let stored = collector::spans(&body).map_err(|reason| refuse(400, reason))?;
        for place in check_traces(&body).map_err(|reason| refuse(400, reason))? {
            let attributes: Vec<_> = place.attributes().collect();
            check_span(&attributes).map_err(|reason| {
                refuse(400, format!("span {}: {reason}", place.text("spanId")))
            })?;
        }
        Ok(Answer::status(200).with_stored(stored))
    }

    fn annotation(&self, request: &Request, schema: &Compiled) -> Result<Answer, Answer> {
        self.admit(request)?;
        if request.media_type().as_deref() != Some("application/json") {
            return Err(refuse(
                415,
                "content-type is not application/json".to_owned(),
            ));
        }
        let body = request
            .json()
            .map_err(|error| refuse(400, format!("{error:#}")))?;
        schema
            .as_ref()
            .map_err(|error| error.to_string())
            .and_then(|schema| schema.check(&body))
            .map_err(|reason| refuse(400, reason))?;
        let is_flat = |value: &Value| !value.is_array() && !value.is_object();
        let metadata = body.get("metadata").and_then(Value::as_object);
        if !metadata.is_none_or(|metadata| metadata.values().all(is_flat)) {
            return Err(refuse(400, "metadata is nested".to_owned()));
        }
        let id = ["traceId", "spanId"]
            .iter()
            .find_map(|key| body.get(*key)?.as_str())
            .unwrap_or_default();
        let stored = Stored {
            kind: ANNOTATION,
            id: id.to_owned(),
            value: body.clone(),
        };
        Ok(Answer::json(200, &json!({})).with_stored(vec![stored]))
    }
}

fn check_span(attributes: &[(&str, &Value)]) -> Result<(), String> {
    let of = |name: &str| {
        let found = attributes.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| *value)
    };
    if let Some(span_type) = of("lmnr.span.type")
        && !string(span_type).is_some_and(|word| TYPES.contains(&word))
    {
        return Err(format!("{span_type} is no type"));
    }
    let length = |name| {
        let values = of(name)?.pointer("/arrayValue/values")?.as_array()?;
        Some(values.len())
    };
    if length("lmnr.span.path") != length("lmnr.span.ids_path") {
        return Err("path and ids_path are not of one length".to_owned());
    }
    for name in ["lmnr.span.input", "lmnr.span.output", "gen_ai.system"] {
        if of(name).is_some_and(|value| string(value).is_none()) {
            return Err(format!("{name} is no text"));
        }
    }
    Ok(())
}

impl Fake for Laminar {
    fn answer(&self, request: &Request) -> Answer {
        let answer = match request.path.as_str() {
            TRACES => self.traces(request),
            METADATA => self.annotation(request, &METADATA_SCHEMA),
            TAG => self.annotation(request, &TAG_SCHEMA),
            path => Err(refuse(404, format!("{path} is not served"))),
        };
        answer.unwrap_or_else(|refusal| refusal)
    }
}

fn refuse(status: u16, reason: String) -> Answer {
    let body = json!({"error": reason});
    Answer::refusal(status, reason, &body)
}
