//! Spans in OpenInference: what gives a span its type, its input and output, its messages and tokens in Arize AX and
//! Phoenix. Pure: records in, bytes out. What came from an OTLP sender stays as it is: Phoenix reads the GenAI conventions
//! too.

pub mod annotations;
mod messages;

use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::raw::{Kind, inside_quotes, kind, member, members};
use mastra_exporter_sdk::records::{ModelCall, Span, SpanBatch, Usage};
use mastra_llm::cost;
use mastra_otlp::attributes::{Attributes, Key, texts};
use mastra_otlp::encode::{Encoder, Encoding};
use mastra_otlp::envelope::{Origin, Parts, SPANS, Sender};
use mastra_otlp::genai::{Conventions, provider_name};

use crate::config::Config;
use crate::wire;

/// The scope that spans name: the official exporter's, whose conventions they follow.
const FOLLOWED: (&str, &str) = ("@mastra/otel-exporter", "1.3.8");

/// The official exporter counts the tokens of the generation.
const CONVENTIONS: Conventions = Conventions::GENERATION;

/// Bytes that a span takes, about.
const BYTES_A_SPAN: usize = 4_096;

/// The body of `POST /v1/traces`, protobuf.
#[must_use]
pub fn traces(batch: &SpanBatch, config: &Config) -> Vec<u8> {
    let mut parts = Spans { batch, config };
    let capacity = batch.spans.len() * BYTES_A_SPAN;
    SPANS.encode(Encoding::Protobuf, capacity, &batch.spans, &mut parts)
}

struct Spans<'a> {
    batch: &'a SpanBatch,
    config: &'a Config,
}

impl Parts<Span> for Spans<'_> {
    fn origin(&self) -> Origin<'_> {
        Origin {
            resources: &self.batch.resources,
            scopes: &self.batch.scopes,
            sender: Sender {
                service_name: &self.config.service_name,
                attributes: &self.config.resource_attributes,
                names_environment: false,
                sdk: Some(FOLLOWED),
                scope: FOLLOWED,
            },
        }
    }

    fn item<E: Encoder>(&mut self, encoder: &mut E, span: &Span) {
        mastra_otlp::span::span(encoder, span, &CONVENTIONS.head(span), |sink| {
            attributes(span, sink);
        });
    }
}

fn attributes<S: Attributes>(span: &Span, sink: &mut S) {
    if span.otel.is_some() {
        for (key, value) in members(span.attributes.as_deref().unwrap_or("{}")) {
            sink.value(Key::under("", key), value);
        }
        return;
    }
    sink.text(wire::SPAN_KIND, span_kind(span));
    sink.text(Key::of("mastra.span.type"), &span.span_type);
    input_and_output(span, sink);
    if CONVENTIONS.is_call(span) {
        if let Some(input) = &span.input {
            messages::input(sink, input);
        }
        if let Some(output) = &span.output {
            messages::output(sink, output);
        }
    }
    if (CONVENTIONS.is_call(span) || span.span_type == "rag_embedding")
        && let Some(call) = &span.model
    {
        model(call, sink);
    }
    if CONVENTIONS.is_call(span) || span.span_type == "agent_run" {
        text_if(sink, wire::AGENT_NAME, span.entity.entity_name.as_ref());
    }
    if is_tool(&span.span_type) {
        tool(span, sink);
    } else if !CONVENTIONS.is_call(span)
        && let Some(own) = span.attributes.as_ref().filter(|own| *own != "{}")
    {
        sink.json_as_text(Key::of("mastra.attributes"), own);
    }
    metadata(span, sink);
    if let Some(tags) = span.tags.as_ref().filter(|tags| !tags.is_empty()) {
        texts(sink, wire::TAGS, tags);
    }
}

fn is_tool(span_type: &str) -> bool {
    matches!(
        span_type,
        "tool_call" | "mcp_tool_call" | "provider_tool_call" | "client_tool_call"
    )
}

/// `openinference.span.kind`
fn span_kind(span: &Span) -> &'static str {
    match span.span_type.as_str() {
        "model_generation" | "model_step" | "model_chunk" => "LLM",
        "agent_run" => "AGENT",
        "rag_embedding" => "EMBEDDING",
        "scorer_run" | "scorer_step" => "EVALUATOR",
        "rag_vector_operation" => {
            let operation = member(span.attributes.as_deref().unwrap_or("{}"), "operation");
            if operation.and_then(inside_quotes) == Some("query") {
                "RETRIEVER"
            } else {
                "CHAIN"
            }
        }
        other if is_tool(other) => "TOOL",
        _ => "CHAIN",
    }
}

fn text_if<S: Attributes>(sink: &mut S, key: Key<'_>, text: Option<&String>) {
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        sink.text(key, text);
    }
}

/// A string is text, everything else JSON.
fn media_type(json: &str) -> &'static str {
    if kind(json) == Kind::Text {
        wire::TEXT
    } else {
        wire::JSON
    }
}

fn input_and_output<S: Attributes>(span: &Span, sink: &mut S) {
    let is_call = CONVENTIONS.is_call(span);
    if let Some(input) = &span.input {
        if is_call {
            mastra_otlp::messages::input_as(sink, wire::INPUT, input);
        } else {
            sink.json_as_text(wire::INPUT, input);
        }
        sink.text(wire::INPUT_TYPE, media_type(input));
    }
    if let Some(output) = &span.output {
        if is_call {
            mastra_otlp::messages::output_as(sink, wire::OUTPUT, output);
        } else {
            sink.json_as_text(wire::OUTPUT, output);
        }
        sink.text(wire::OUTPUT_TYPE, media_type(output));
    }
}

fn model<S: Attributes>(call: &ModelCall, sink: &mut S) {
    let model = call.response_model.as_ref().or(call.model.as_ref());
    text_if(sink, wire::MODEL, model);
    if let Some(provider) = &call.provider {
        sink.text(wire::PROVIDER, &provider_name(provider));
    }
    sink.built(wire::PARAMETERS, |text| parameters(call, text));
    if let Some(usage) = &call.usage {
        tokens(usage, sink);
    }
    if let Some(total) = call.cost.as_ref().and_then(cost::reported) {
        sink.float(wire::COST, total);
    }
    if let Some(time) = call.completion_start_time {
        let time = mastra_exporter_sdk::time::iso(time);
        sink.text(Key::of("mastra.completion_start_time"), time.as_str());
    }
}

/// The parameters by the names that OpenInference's own instrumentation gives them.
fn parameters(call: &ModelCall, text: &mut JsonText) {
    let mut object = text.object();
    object.string_if("model", call.model.as_ref());
    let given = call.parameters.as_deref().unwrap_or("{}");
    for (ours, theirs) in [
        ("temperature", "temperature"),
        ("topP", "top_p"),
        ("topK", "top_k"),
        ("presencePenalty", "presence_penalty"),
        ("frequencyPenalty", "frequency_penalty"),
        ("seed", "seed"),
        ("maxOutputTokens", "max_completion_tokens"),
        ("stopSequences", "stop_sequences"),
    ] {
        if let Some(value) = member(given, ours).filter(|value| kind(value) != Kind::Null) {
            object.raw(theirs, value);
        }
    }
    object.end();
}

fn tokens<S: Attributes>(usage: &Usage, sink: &mut S) {
    let total = usage
        .input_tokens
        .zip(usage.output_tokens)
        .map(|(input, output)| input.saturating_add(output));
    for (key, count) in [
        ("prompt", usage.input_tokens),
        ("completion", usage.output_tokens),
        ("total", total),
        ("prompt_details.cache_read", usage.input_cache_read),
        ("prompt_details.cache_write", usage.input_cache_write),
        ("prompt_details.audio", usage.input_audio),
        ("completion_details.reasoning", usage.output_reasoning),
        ("completion_details.audio", usage.output_audio),
    ] {
        if let Some(count) = count {
            sink.integer(Key::under("llm.token_count.", key), count);
        }
    }
}

fn tool<S: Attributes>(span: &Span, sink: &mut S) {
    let entity = &span.entity;
    let name = entity.entity_name.as_ref().or(entity.entity_id.as_ref());
    text_if(sink, wire::TOOL_NAME, name);
    let attributes = span.attributes.as_deref().unwrap_or("{}");
    let says_something = |json: &&str| !matches!(*json, "null" | "\"\"");
    if let Some(text) = member(attributes, "toolDescription").filter(says_something) {
        sink.json_as_text(wire::TOOL_DESCRIPTION, text);
    }
    let in_metadata = || member(span.metadata.as_deref().unwrap_or("{}"), "toolCallId");
    let id = member(attributes, "toolCallId").filter(says_something);
    if let Some(id) = id.or_else(|| in_metadata().filter(says_something)) {
        sink.json_as_text(wire::TOOL_CALL_ID, id);
    }
}

/// Session and user by their own names, the rest as one JSON object.
fn metadata<S: Attributes>(span: &Span, sink: &mut S) {
    let all = span.metadata.as_deref().unwrap_or("{}");
    let says_something = |json: &&str| !matches!(*json, "null" | "\"\"");
    let of = |key| member(all, key).filter(says_something);
    let thread = of("threadId");
    if let Some(session) = thread.or_else(|| of("sessionId")) {
        sink.json_as_text(wire::SESSION, session);
    }
    if let Some(user) = of("userId") {
        sink.json_as_text(wire::USER, user);
    }
    let is_elsewhere = |key: &str| match key {
        "userId" | "threadId" => true,
        "sessionId" => thread.is_none(),
        _ => false,
    };
    let rest =
        || members(all).filter(|(key, value)| !is_elsewhere(key) && kind(value) != Kind::Null);
    if rest().next().is_some() {
        sink.built(wire::METADATA, |text| {
            let mut object = text.object();
            for (key, value) in rest() {
                object.raw(key, value);
            }
            object.end();
        });
    }
}

#[cfg(test)]
mod tests;
