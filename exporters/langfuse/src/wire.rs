//! Langfuse's own records: the score object, field for field (<https://api.reference.langfuse.com/#tag/scores>, read
//! 2026-11), and the span attributes that Langfuse reads (<https://langfuse.com/integrations/native/opentelemetry>, "property
//! mapping", read 2026-11, and the server's `attributes.ts`). They only know how to write themselves.

use std::borrow::Cow;

use mastra_exporter_sdk::json::JsonText;
use mastra_otlp::attributes::Key;

/// A score's value with its data type.
#[derive(Clone, Debug, PartialEq)]
pub enum ScoreValue<'a> {
    /// `NUMERIC`
    Numeric(f64),
    /// `BOOLEAN`, written as 1 or 0.
    Boolean(bool),
    /// `CATEGORICAL`
    Categorical(Cow<'a, str>),
    /// `TEXT`, 1 to 500 UTF-16 units.
    Text(Cow<'a, str>),
}

/// What a score is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// A trace, or an observation of it.
    Trace {
        /// 1 to 32 hex digits; written with 32, as its spans are.
        trace_id: &'a str,
        /// 1 to 16 hex digits; written with 16.
        observation_id: Option<&'a str>,
    },
    /// A session.
    Session(&'a str),
}

/// The body of `POST /api/public/scores`.
#[derive(Clone, Debug, PartialEq)]
pub struct Score<'a> {
    /// Upsert key.
    pub id: &'a str,
    /// What it is about.
    pub subject: Subject<'a>,
    /// Not empty.
    pub name: &'a str,
    /// `value` and `dataType`.
    pub value: ScoreValue<'a>,
    /// Free text.
    pub comment: Option<Cow<'a, str>>,
    /// A JSON object.
    pub metadata: Option<Cow<'a, str>>,
    /// See the setting of the name.
    pub environment: Option<&'a str>,
    /// Unix nanoseconds. Langfuse v4 keeps it, older ones take the time of arrival.
    pub timestamp: u64,
}

impl Score<'_> {
    /// Writes the object.
    pub fn write(&self, text: &mut JsonText) {
        let mut object = text.object();
        object.string("id", self.id);
        match self.subject {
            Subject::Trace {
                trace_id,
                observation_id,
            } => {
                mastra_otlp::json::hex_id(object.key("traceId"), trace_id, 32);
                if let Some(id) = observation_id {
                    mastra_otlp::json::hex_id(object.key("observationId"), id, 16);
                }
            }
            Subject::Session(id) => {
                object.string("sessionId", id);
            }
        }
        object.string("name", self.name);
        match &self.value {
            ScoreValue::Numeric(number) => {
                object.float("value", *number).string("dataType", "NUMERIC")
            }
            ScoreValue::Boolean(value) => object
                .unsigned("value", u64::from(*value))
                .string("dataType", "BOOLEAN"),
            ScoreValue::Categorical(label) => object
                .string("value", label)
                .string("dataType", "CATEGORICAL"),
            ScoreValue::Text(content) => object.string("value", content).string("dataType", "TEXT"),
        };
        if let Some(comment) = &self.comment {
            object.string("comment", comment);
        }
        if let Some(metadata) = &self.metadata {
            object.raw("metadata", metadata);
        }
        if let Some(environment) = self.environment {
            object.string("environment", environment);
        }
        object.time("timestamp", self.timestamp);
        object.end();
    }
}

/// `user.id`
pub const USER_ID: Key<'static> = Key::of("user.id");
/// `session.id`
pub const SESSION_ID: Key<'static> = Key::of("session.id");
/// `langfuse.environment`
pub const ENVIRONMENT: Key<'static> = Key::of("langfuse.environment");
/// `langfuse.release`
pub const RELEASE: Key<'static> = Key::of("langfuse.release");
/// `langfuse.version`: the application's version.
pub const VERSION: Key<'static> = Key::of("langfuse.version");
/// What the official exporter writes for the version. The server does not read it; saved views may.
pub const TRACE_VERSION: Key<'static> = Key::of("langfuse.trace.version");
/// `langfuse.trace.name`
pub const TRACE_NAME: Key<'static> = Key::of("langfuse.trace.name");
/// `langfuse.trace.tags`: an array, or its JSON text.
pub const TRACE_TAGS: Key<'static> = Key::of("langfuse.trace.tags");
/// `langfuse.trace.input`
pub const TRACE_INPUT: Key<'static> = Key::of("langfuse.trace.input");
/// `langfuse.trace.output`
pub const TRACE_OUTPUT: Key<'static> = Key::of("langfuse.trace.output");
/// Prefix of trace metadata.
pub const TRACE_METADATA: &str = "langfuse.trace.metadata.";
/// Prefix of observation metadata.
pub const OBSERVATION_METADATA: &str = "langfuse.observation.metadata.";
/// span, generation, event, embedding, agent, tool, chain, retriever, guardrail, evaluator
pub const OBSERVATION_TYPE: Key<'static> = Key::of("langfuse.observation.type");
/// DEBUG, DEFAULT, WARNING, ERROR
pub const LEVEL: Key<'static> = Key::of("langfuse.observation.level");
/// Text beside the level.
pub const STATUS_MESSAGE: Key<'static> = Key::of("langfuse.observation.status_message");
/// `langfuse.observation.input`
pub const INPUT: Key<'static> = Key::of("langfuse.observation.input");
/// `langfuse.observation.output`
pub const OUTPUT: Key<'static> = Key::of("langfuse.observation.output");
/// ISO 8601.
pub const COMPLETION_START_TIME: Key<'static> =
    Key::of("langfuse.observation.completion_start_time");
/// `langfuse.observation.model.name`
pub const MODEL_NAME: Key<'static> = Key::of("langfuse.observation.model.name");
/// JSON text.
pub const MODEL_PARAMETERS: Key<'static> = Key::of("langfuse.observation.model.parameters");
/// JSON text: kind of token to count; the kinds do not overlap.
pub const USAGE_DETAILS: Key<'static> = Key::of("langfuse.observation.usage_details");
/// JSON text: kind of cost to USD.
pub const COST_DETAILS: Key<'static> = Key::of("langfuse.observation.cost_details");
/// `langfuse.observation.prompt.name`
pub const PROMPT_NAME: Key<'static> = Key::of("langfuse.observation.prompt.name");
/// `langfuse.observation.prompt.version`
pub const PROMPT_VERSION: Key<'static> = Key::of("langfuse.observation.prompt.version");
