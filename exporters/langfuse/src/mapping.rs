//! Spans as Langfuse wants them: the shared OpenTelemetry conversion, then Langfuse's own attributes. Pure: records in,
//! bytes out. What the official exporter writes is written the same way; where this one does more or differs,
//! `differences.json` says why.

pub mod logs;
pub mod scores;
mod usage;

use mastra_exporter_sdk::raw::{Kind, inside_quotes, kind, member, members};
use mastra_exporter_sdk::records::{EventResource, EventScope, Span, SpanBatch};
use mastra_exporter_sdk::time::iso;
use mastra_llm::cost;
use mastra_otlp::attributes::{Attributes, Key};
use mastra_otlp::encode::{Encoder, Encoding};
use mastra_otlp::envelope::{Origin, Parts, SPANS, Sender};
use mastra_otlp::genai::{
    Conventions, InputOutput, MetadataFacts, has_named_attributes, is_thread_id,
};
use mastra_otlp::messages;

use crate::config::{Config, GenerationUsage};
use crate::wire;

/// The scope and SDK that spans name: the official exporter, whose conventions they follow, so that saved views and
/// whatever else depends on it stay true. Who really sends is said by the request's `x-langfuse-sdk-name`.
const FOLLOWED: (&str, &str) = ("@mastra/langfuse", "1.5.8");

const CONVENTIONS: Conventions = Conventions::INFERENCE;

/// Bytes that a span takes beside its texts, about.
const BYTES_A_SPAN: usize = 1_024;

/// The body of `POST /api/public/otel/v1/traces`, protobuf.
#[must_use]
pub fn trace_request(batch: &SpanBatch, config: &Config) -> Vec<u8> {
    let mut parts = Spans {
        common: Common {
            config,
            resources: &batch.resources,
            scopes: &batch.scopes,
        },
    };
    let texts: usize = batch.spans.iter().map(mastra_otlp::span::text_bytes).sum();
    let capacity = batch.spans.len() * BYTES_A_SPAN + texts;
    SPANS.encode(Encoding::Protobuf, capacity, &batch.spans, &mut parts)
}

/// What spans and logs share.
struct Common<'a> {
    config: &'a Config,
    resources: &'a [EventResource],
    scopes: &'a [EventScope],
}

impl Common<'_> {
    fn origin(&self) -> Origin<'_> {
        Origin {
            resources: self.resources,
            scopes: self.scopes,
            sender: Sender {
                service_name: &self.config.settings.service_name,
                attributes: &[],
                names_environment: false,
                sdk: Some(FOLLOWED),
                scope: FOLLOWED,
            },
        }
    }

    /// On every span: Langfuse filters observations by it.
    fn everywhere(&self, sink: &mut impl Attributes) {
        if let Some(environment) = &self.config.settings.environment {
            sink.text(wire::ENVIRONMENT, environment);
        }
        if let Some(release) = &self.config.settings.release {
            sink.text(wire::RELEASE, release);
        }
    }
}

struct Spans<'a> {
    common: Common<'a>,
}

impl Parts<Span> for Spans<'_> {
    fn origin(&self) -> Origin<'_> {
        self.common.origin()
    }

    fn item<E: Encoder>(&mut self, encoder: &mut E, span: &Span) {
        mastra_otlp::span::span(encoder, span, &CONVENTIONS.head(span), |sink| {
            let metadata = Metadata::read(span.metadata.as_deref().unwrap_or("{}"), sink);
            CONVENTIONS.attributes(span, metadata.facts(), sink);
            self.common.everywhere(sink);
            if span.otel.is_none() {
                input_and_output(span, sink);
                observation(span, sink);
                model(span, self.common.config.settings.generation_usage, sink);
                error(span, sink);
            }
            metadata.write(sink);
            if span.is_root {
                root(span, &metadata, sink);
            }
            if let Some(tags) = span.tags.as_ref().filter(|tags| !tags.is_empty()) {
                trace_tags(tags, sink);
            }
        });
    }
}

fn trace_tags(tags: &[String], sink: &mut impl Attributes) {
    sink.built(wire::TRACE_TAGS, |text| {
        text.array(tags, |text, tag| {
            text.string(tag);
        });
    });
}

/// A span's metadata, with what has a place of its own found in one pass.
#[derive(Clone, Copy, Debug, Default)]
struct Metadata<'a> {
    all: &'a str,
    user_id: Option<&'a str>,
    session_id: Option<&'a str>,
    caller_thread_id: Option<&'a str>,
    thread_id: Option<&'a str>,
    trace_name: Option<&'a str>,
    version: Option<&'a str>,
    tool_call_id: Option<&'a str>,
    langfuse: Option<&'a str>,
}

impl<'a> Metadata<'a> {
    /// Finds what has a place of its own, and writes the rest on the way.
    fn read(all: &'a str, sink: &mut impl Attributes) -> Self {
        let mut found = Self {
            all,
            ..Self::default()
        };
        for (key, value) in members(all) {
            if key == "toolCallId" {
                found.tool_call_id = Some(value);
            }
            match found.slot(key) {
                Some(slot) => *slot = Some(value),
                None => scalar(sink, Key::under("mastra.metadata.", key), value),
            }
        }
        found
    }

    /// Where a key goes that does not stay in the metadata.
    fn slot(&mut self, key: &str) -> Option<&mut Option<&'a str>> {
        Some(match key {
            "userId" => &mut self.user_id,
            "sessionId" => &mut self.session_id,
            "threadId" => &mut self.thread_id,
            "traceName" => &mut self.trace_name,
            "version" => &mut self.version,
            "langfuse" => &mut self.langfuse,
            "__mastraObservationalMemoryCallerThreadId" => &mut self.caller_thread_id,
            _ => return None,
        })
    }

    /// The members that stay.
    fn rest(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        members(self.all)
            .filter(|(key, value)| Self::default().slot(key).is_none() && kind(value) != Kind::Null)
    }

    fn facts(&self) -> MetadataFacts<'a> {
        MetadataFacts {
            thread_id: self.thread_id.filter(|id| is_thread_id(id)),
            tool_call_id: self.tool_call_id,
        }
    }

    /// Writes what has a place of its own.
    fn write(&self, sink: &mut impl Attributes) {
        let texts = [
            (wire::USER_ID, self.user_id),
            (wire::SESSION_ID, self.session()),
            (wire::TRACE_NAME, self.trace_name),
            (wire::TRACE_VERSION, self.version),
            (wire::VERSION, self.version),
        ];
        for (key, value) in texts {
            if let Some(value) = value.filter(|value| kind(value) != Kind::Null) {
                sink.json_as_text(key, value);
            }
        }
        for (key, value) in members(self.langfuse.unwrap_or("{}")) {
            if key == "prompt" {
                prompt(value, sink);
            } else if kind(value) != Kind::Null {
                sink.json_as_text(Key::under(wire::TRACE_METADATA, key), value);
            }
        }
    }

    /// The session is the conversation's thread, unless the application names one.
    fn session(&self) -> Option<&'a str> {
        [self.session_id, self.caller_thread_id, self.thread_id]
            .into_iter()
            .flatten()
            .find(|value| kind(value) != Kind::Null)
    }
}

/// A JSON value as [`Attributes::scalar`] has it. Langfuse before 3.214 misreads protobuf's integers below 0 and above 31
/// bits; a double is the same number to it.
fn scalar(sink: &mut impl Attributes, key: Key<'_>, json: &str) {
    match json.parse::<i64>() {
        Ok(number @ 0..=0x7fff_ffff) => sink.integer(key, number.unsigned_abs()),
        Ok(number) => sink.float(key, number as f64),
        Err(_) => sink.scalar(key, json),
    }
}

fn prompt(json: &str, sink: &mut impl Attributes) {
    for (key, value) in members(json) {
        match key {
            "name" => sink.scalar(wire::PROMPT_NAME, value),
            "version" => sink.scalar(wire::PROMPT_VERSION, value),
            _ => {}
        }
    }
}

fn input_and_output(span: &Span, sink: &mut impl Attributes) {
    match CONVENTIONS.input_output(&span.span_type) {
        InputOutput::Messages => {
            if let Some(input) = &span.input {
                messages::input(sink, input);
            }
            if let Some(output) = &span.output {
                messages::output(sink, output);
            }
        }
        InputOutput::ToolCall => json_pair(
            span,
            [
                Key::of("gen_ai.tool.call.arguments"),
                Key::of("gen_ai.tool.call.result"),
            ],
            sink,
        ),
        InputOutput::Own => json_pair(span, [wire::INPUT, wire::OUTPUT], sink),
    }
}

fn json_pair(span: &Span, [input, output]: [Key<'static>; 2], sink: &mut impl Attributes) {
    if let Some(json) = &span.input {
        sink.json_as_text(input, json);
    }
    if let Some(json) = &span.output {
        sink.json_as_text(output, json);
    }
}

/// What the observation is, filterable.
fn observation(span: &Span, sink: &mut impl Attributes) {
    let span_type = span.span_type.as_str();
    sink.text(
        Key::under(wire::OBSERVATION_METADATA, "spanType"),
        span_type,
    );
    sink.text(
        Key::under(wire::OBSERVATION_METADATA, "operationName"),
        CONVENTIONS.operation(span_type),
    );
    if CONVENTIONS.is_call(span) || span_type == "agent_run" {
        for (key, value) in [
            ("agentId", &span.entity.entity_id),
            ("agentName", &span.entity.entity_name),
        ] {
            if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
                sink.text(Key::under(wire::OBSERVATION_METADATA, key), value);
            }
        }
    }
    if !has_named_attributes(span_type) {
        for (key, value) in members(span.attributes.as_deref().unwrap_or("{}")) {
            scalar(sink, Key::under(wire::OBSERVATION_METADATA, key), value);
        }
    }
    if let Some(observation_type) = explicit_type(span) {
        sink.text(wire::OBSERVATION_TYPE, observation_type);
    }
}

/// The type where Langfuse would not infer it from the operation.
fn explicit_type(span: &Span) -> Option<&'static str> {
    if span.is_event {
        return Some("event");
    }
    match span.span_type.as_str() {
        "workflow_run" => Some("chain"),
        "scorer_run" => Some("evaluator"),
        "rag_vector_operation" => {
            let operation = member(span.attributes.as_deref().unwrap_or("{}"), "operation");
            (operation.and_then(inside_quotes) == Some("query")).then_some("retriever")
        }
        _ => None,
    }
}

fn model(span: &Span, generation_usage: GenerationUsage, sink: &mut impl Attributes) {
    let Some(call) = &span.model else { return };
    let is_call = CONVENTIONS.is_call(span);
    let is_own_generation = span.span_type == "model_generation"
        && match generation_usage {
            GenerationUsage::Roots => span.is_root && span.parent_span_id.is_none(),
            GenerationUsage::All => true,
            GenerationUsage::None => false,
        };
    if is_own_generation {
        sink.text(wire::OBSERVATION_TYPE, "generation");
        if let Some(model) = call.response_model.as_ref().or(call.model.as_ref()) {
            sink.text(wire::MODEL_NAME, model);
        }
        if let Some(parameters) = &call.parameters {
            sink.json_as_text(wire::MODEL_PARAMETERS, parameters);
        }
    }
    if (is_call || is_own_generation)
        && let Some(time) = call.completion_start_time
    {
        sink.text(wire::COMPLETION_START_TIME, iso(time).as_str());
    }
    if (is_call || is_own_generation || span.span_type == "rag_embedding")
        && let Some(tokens) = &call.usage
    {
        sink.built(wire::USAGE_DETAILS, |text| usage::details(tokens, text));
    }
    if let Some(total) = call.cost.as_ref().and_then(cost::reported) {
        sink.built(wire::COST_DETAILS, |text| {
            let mut object = text.object();
            object.float("total", total);
            object.end();
        });
    }
}

fn error(span: &Span, sink: &mut impl Attributes) {
    if let Some(error) = &span.error {
        sink.text(wire::LEVEL, "ERROR");
        sink.text(wire::STATUS_MESSAGE, &error.message);
    }
}

/// What the root says of the whole trace.
fn root(span: &Span, metadata: &Metadata<'_>, sink: &mut impl Attributes) {
    json_pair(span, [wire::TRACE_INPUT, wire::TRACE_OUTPUT], sink);
    for (key, value) in metadata.rest() {
        sink.json_as_text(Key::under(wire::TRACE_METADATA, key), value);
    }
    let names = match span.span_type.as_str() {
        "agent_run" => ["agentId", "agentName"],
        "workflow_run" => ["workflowId", "workflowName"],
        _ => return,
    };
    let values = [
        span.entity.entity_id.as_ref(),
        span.entity.entity_name.as_ref(),
    ];
    for (name, value) in names.into_iter().zip(values) {
        if let Some(value) = value {
            sink.text(Key::under(wire::TRACE_METADATA, name), value);
        }
    }
    if metadata.trace_name.is_none()
        && let Some(name) = span
            .entity
            .entity_name
            .as_ref()
            .or(span.entity.entity_id.as_ref())
    {
        sink.text(wire::TRACE_NAME, name);
    }
}

#[cfg(test)]
mod tests;
