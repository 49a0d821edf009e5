//! Phoenix and Arize AX as their servers take traces and annotations, and stricter where they would drop things in silence
//! after their 200.
//!
//! Phoenix: protobuf and nothing else for traces, annotations of spans, traces and sessions. Arize AX: the bare key for
//! traces, a bearer token for annotations, names that exist, spans that are known. Both: spans that have a kind of
//! OpenInference. Sources: Arize-ai/phoenix @9478f954 `routers/v1/{traces,annotations}.py`; PyPI arize 8.61.0 and
//! arize-otel 0.14.1; OpenInference `spec/semantic_conventions.md` (read 2026-11).
//!
//! Used by the arize exporter's tests and the end-to-end tests.

#![expect(
    clippy::indexing_slicing,
    reason = "`Value[key]` answers null for what is not there"
)]

#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::collector;
pub use super::collector::SPAN;
use super::otlp::check_traces;
use super::otlp::string;
use super::otlp::wire::{Signal, from_protobuf};
use super::schema::Schema;
use super::{Answer, Fake, Request, Stored};

/// OTLP traces, of both.
pub const TRACES: &str = "/v1/traces";
/// Annotations of Phoenix.
pub const SPAN_ANNOTATIONS: &str = "/v1/span_annotations";
/// Annotations of Phoenix.
pub const TRACE_ANNOTATIONS: &str = "/v1/trace_annotations";
/// Annotations of Phoenix.
pub const SESSION_ANNOTATIONS: &str = "/v1/session_annotations";
/// Annotations of Arize AX.
pub const ANNOTATE: &str = "/v2/spans/annotate";

/// Kind of a stored annotation.
pub const ANNOTATION: &str = "annotation";

/// `openinference.span.kind`
const KINDS: [&str; 10] = [
    "LLM",
    "EMBEDDING",
    "CHAIN",
    "RETRIEVER",
    "RERANKER",
    "TOOL",
    "AGENT",
    "GUARDRAIL",
    "EVALUATOR",
    "PROMPT",
];

const PHOENIX: &str = include_str!("../../../../schemas/phoenix-annotations.schema.json");

type Compiled = LazyLock<anyhow::Result<Schema>>;

static SPANS: Compiled = LazyLock::new(|| phoenix("SpanAnnotations"));
static TRACES_SCHEMA: Compiled = LazyLock::new(|| phoenix("TraceAnnotations"));
static SESSIONS: Compiled = LazyLock::new(|| phoenix("SessionAnnotations"));
static AX: Compiled = LazyLock::new(|| {
    Schema::new(
        "arize-ax-annotate.schema.json",
        include_str!("../../../../schemas/arize-ax-annotate.schema.json"),
    )
});

fn phoenix(definition: &str) -> anyhow::Result<Schema> {
    Schema::definition("phoenix-annotations.schema.json", PHOENIX, definition)
}

/// A Phoenix.
#[derive(Clone, Debug)]
pub struct Phoenix {
    /// The bearer token.
    pub api_key: String,
}

impl Default for Phoenix {
    fn default() -> Self {
        Self {
            api_key: "phx-key".to_owned(),
        }
    }
}

/// A space of Arize AX.
#[derive(Clone, Debug)]
pub struct ArizeAx {
    /// The key, bare for traces.
    pub api_key: String,
    /// Its id.
    pub space_id: String,
    /// Id of its project.
    pub project_id: String,
    /// Names of its annotation configs.
    pub annotations: Vec<String>,
}

impl Default for ArizeAx {
    fn default() -> Self {
        Self {
            api_key: "ax-key".to_owned(),
            space_id: "space-1".to_owned(),
            project_id: "UHJvamVjdDox".to_owned(),
            annotations: ["relevance", "thumbs"].map(str::to_owned).to_vec(),
        }
    }
}

/// Spans of a request in protobuf, each with a kind of OpenInference, or what an OTLP sender sent.
fn traces(request: &Request) -> Result<Answer, Answer> {
    if request.header("content-type") != Some("application/x-protobuf") {
        let given = request.header("content-type");
        let reason = format!("content-type {given:?} is not application/x-protobuf");
        return Err(refuse(415, reason));
    }
    admit(request)?;
    let body = from_protobuf(Signal::Traces, &request.body)
        .map_err(|error| refuse(422, format!("{error:#}")))?;
    let stored = collector::spans(&body).map_err(|reason| refuse(422, reason))?;
    for place in check_traces(&body).map_err(|reason| refuse(422, reason))? {
        let kind = place
            .attributes()
            .find(|(key, _)| *key == "openinference.span.kind")
            .and_then(|(_, value)| string(value));
        if !kind.is_some_and(|kind| KINDS.contains(&kind)) {
            let reason = format!("span {} has the kind {kind:?}", place.text("spanId"));
            return Err(refuse(422, reason));
        }
    }
    Ok(collector::success(request).with_stored(stored))
}

fn admit(request: &Request) -> Result<(), Answer> {
    if request.method != "POST" {
        return Err(refuse(405, format!("{} is not served", request.method)));
    }
    let encoding = request.header("content-encoding").unwrap_or("gzip");
    if !matches!(encoding, "gzip" | "deflate") {
        let reason = format!("content-encoding {encoding:?} is not served");
        return Err(refuse(415, reason));
    }
    match &request.undecodable {
        Some(reason) => Err(refuse(422, reason.clone())),
        None => Ok(()),
    }
}

/// The JSON body of a request of annotations.
fn annotations(request: &Request, schema: &Compiled) -> Result<Value, Answer> {
    admit(request)?;
    if request.media_type().as_deref() != Some("application/json") {
        return Err(refuse(
            415,
            "content-type is not application/json".to_owned(),
        ));
    }
    let body = request
        .json()
        .map_err(|error| refuse(422, format!("{error:#}")))?;
    schema
        .as_ref()
        .map_err(|error| error.to_string())
        .and_then(|schema| schema.check(&body))
        .map_err(|reason| refuse(422, reason))?;
    Ok(body)
}

impl Phoenix {
    fn annotations(&self, request: &Request) -> Result<Answer, Answer> {
        let (schema, key): (&Compiled, _) = match request.path.as_str() {
            SPAN_ANNOTATIONS => (&SPANS, "span_id"),
            TRACE_ANNOTATIONS => (&TRACES_SCHEMA, "trace_id"),
            _ => (&SESSIONS, "session_id"),
        };
        let body = annotations(request, schema)?;
        let all = body["data"].as_array().cloned().unwrap_or_default();
        let stored = all.into_iter().map(|annotation| Stored {
            kind: ANNOTATION,
            id: format!("{}/{}", text(&annotation, key), text(&annotation, "name")),
            value: annotation,
        });
        Ok(Answer::json(200, &json!({"data": []})).with_stored(stored.collect()))
    }
}

impl Fake for Phoenix {
    fn answer(&self, request: &Request) -> Answer {
        let bearer = format!("Bearer {}", self.api_key);
        let is_let_in = request.header("authorization") == Some(bearer.as_str());
        let answer = match request.path.as_str() {
            TRACES | SPAN_ANNOTATIONS | TRACE_ANNOTATIONS | SESSION_ANNOTATIONS if !is_let_in => {
                Err(refuse(401, "the token is wrong".to_owned()))
            }
            TRACES => traces(request),
            SPAN_ANNOTATIONS | TRACE_ANNOTATIONS | SESSION_ANNOTATIONS => self.annotations(request),
            path => Err(refuse(404, format!("{path} is not served"))),
        };
        answer.unwrap_or_else(|refusal| refusal)
    }
}

impl ArizeAx {
    fn traces(&self, request: &Request) -> Result<Answer, Answer> {
        let first = |names: [&str; 2]| names.iter().find_map(|name| request.header(name));
        // The official exporter sends the older names.
        if first(["authorization", "api_key"]) != Some(self.api_key.as_str()) {
            return Err(refuse(401, "the key is wrong".to_owned()));
        }
        if first(["arize-space-id", "space_id"]) != Some(self.space_id.as_str()) {
            return Err(refuse(403, "the space is wrong".to_owned()));
        }
        traces(request)
    }

    fn annotate(&self, request: &Request) -> Result<Answer, Answer> {
        let bearer = format!("Bearer {}", self.api_key);
        if request.header("authorization") != Some(bearer.as_str()) {
            return Err(refuse(401, "the token is wrong".to_owned()));
        }
        let body = annotations(request, &AX)?;
        if text(&body, "project_id") != self.project_id {
            return Err(refuse(404, "the project is not known".to_owned()));
        }
        let mut stored = Vec::new();
        for record in body["annotations"].as_array().into_iter().flatten() {
            for value in record["values"].as_array().into_iter().flatten() {
                let name = text(value, "name");
                if !self.annotations.contains(&name) {
                    return Err(refuse(400, format!("there is no annotation {name:?}")));
                }
                stored.push(Stored {
                    kind: ANNOTATION,
                    id: format!("{}/{name}", text(record, "record_id")),
                    value: value.clone(),
                });
            }
        }
        Ok(Answer::status(202).with_stored(stored))
    }
}

impl Fake for ArizeAx {
    fn answer(&self, request: &Request) -> Answer {
        let answer = match request.path.as_str() {
            TRACES => self.traces(request),
            ANNOTATE => self.annotate(request),
            path => Err(refuse(404, format!("{path} is not served"))),
        };
        answer.unwrap_or_else(|refusal| refusal)
    }
}

fn text(record: &Value, key: &str) -> String {
    let text = record.get(key).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}

fn refuse(status: u16, reason: String) -> Answer {
    let body = json!({"detail": reason});
    Answer::refusal(status, reason, &body)
}
