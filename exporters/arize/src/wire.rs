//! Names of OpenInference that spans are told in
//! (<https://github.com/Arize-ai/openinference/blob/main/spec/semantic_conventions.md>, read 2026-11), and annotations of
//! Phoenix (<https://arize.com/docs/phoenix/sdk-api-reference/rest-api>) and Arize AX
//! (<https://arize.com/docs/ax/rest-reference>, both read 2026-11).

use mastra_exporter_sdk::json::JsonText;
use mastra_otlp::attributes::Key;

pub(crate) const SPAN_KIND: Key<'static> = Key::of("openinference.span.kind");
pub(crate) const INPUT: Key<'static> = Key::of("input.value");
pub(crate) const INPUT_TYPE: Key<'static> = Key::of("input.mime_type");
pub(crate) const OUTPUT: Key<'static> = Key::of("output.value");
pub(crate) const OUTPUT_TYPE: Key<'static> = Key::of("output.mime_type");
pub(crate) const MODEL: Key<'static> = Key::of("llm.model_name");
pub(crate) const PROVIDER: Key<'static> = Key::of("llm.provider");
pub(crate) const PARAMETERS: Key<'static> = Key::of("llm.invocation_parameters");
pub(crate) const COST: Key<'static> = Key::of("llm.cost.total");
pub(crate) const AGENT_NAME: Key<'static> = Key::of("agent.name");
pub(crate) const TOOL_NAME: Key<'static> = Key::of("tool.name");
pub(crate) const TOOL_DESCRIPTION: Key<'static> = Key::of("tool.description");
pub(crate) const TOOL_CALL_ID: Key<'static> = Key::of("tool_call.id");
pub(crate) const SESSION: Key<'static> = Key::of("session.id");
pub(crate) const USER: Key<'static> = Key::of("user.id");
pub(crate) const TAGS: Key<'static> = Key::of("tag.tags");
pub(crate) const METADATA: Key<'static> = Key::of("metadata");

/// Media type of `input.value` and `output.value`.
pub(crate) const JSON: &str = "application/json";
pub(crate) const TEXT: &str = "text/plain";

/// A prefix of the flattened messages.
pub(crate) const INPUT_MESSAGES: &str = "llm.input_messages.";
pub(crate) const OUTPUT_MESSAGES: &str = "llm.output_messages.";

/// What an annotation is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A span, 16 hex digits.
    Span(String),
    /// A trace, 32 hex digits.
    Trace(String),
    /// A session.
    Session(String),
}

/// One annotation.
#[derive(Clone, Debug, PartialEq)]
pub struct Annotation {
    /// What it is about.
    pub target: Target,
    /// What it is called.
    pub name: String,
    /// `HUMAN`, `LLM` or `CODE`; Phoenix only.
    pub annotator: &'static str,
    /// A number.
    pub score: Option<f64>,
    /// A word.
    pub label: Option<String>,
    /// Why.
    pub explanation: Option<String>,
    /// A JSON object.
    pub metadata: Option<String>,
    /// Tells annotations of one name and target apart.
    pub identifier: String,
}

impl Annotation {
    /// An element of Phoenix's `data`.
    pub(crate) fn write_phoenix(&self, text: &mut JsonText) {
        let mut object = text.object();
        let (key, id) = match &self.target {
            Target::Span(id) => ("span_id", id),
            Target::Trace(id) => ("trace_id", id),
            Target::Session(id) => ("session_id", id),
        };
        object
            .string(key, id)
            .string("name", &self.name)
            .string("annotator_kind", self.annotator);
        let mut result = object.key("result").object();
        if let Some(score) = self.score {
            result.float("score", score);
        }
        result
            .string_if("label", self.label.as_ref())
            .string_if("explanation", self.explanation.as_ref());
        result.end();
        object
            .raw_if("metadata", self.metadata.as_ref())
            .string("identifier", &self.identifier);
        object.end();
    }

    /// The body of Arize AX's request. Traces are known there by their root span, which nobody here knows.
    pub(crate) fn ax_request(&self, project_id: &str) -> JsonText {
        let (granularity, id) = match &self.target {
            Target::Span(id) => ("SPAN", id),
            Target::Trace(id) => ("TRACE", id),
            Target::Session(id) => ("SESSION", id),
        };
        let mut text = JsonText::default();
        let mut object = text.object();
        object
            .string("project_id", project_id)
            .string("granularity", granularity);
        object.key("annotations").array([self], |text, annotation| {
            let mut record = text.object();
            record.string("record_id", id);
            record
                .key("values")
                .array([annotation], |text, annotation| {
                    let mut value = text.object();
                    value.string("name", &annotation.name);
                    if let Some(score) = annotation.score {
                        value.float("score", score);
                    }
                    value
                        .string_if("label", annotation.label.as_ref())
                        .string_if("text", annotation.explanation.as_ref());
                    value.end();
                });
            record.end();
        });
        object.end();
        text
    }
}
