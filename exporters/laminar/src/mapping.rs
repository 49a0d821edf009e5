//! Spans with the attributes that Laminar reads. Pure: records in, bytes out. What came from an OTLP sender stays as it
//! is: Laminar reads the GenAI conventions too.

pub mod judgements;
mod path;

use std::borrow::Cow;

use mastra_exporter_sdk::raw::{Kind, elements, kind, member, members};
use mastra_exporter_sdk::records::{ModelCall, Span, SpanBatch, SpanKind, StatusCode};
use mastra_llm::cost;
use mastra_otlp::attributes::{Attributes, Key, texts};
use mastra_otlp::encode::{Encoder, Encoding};
use mastra_otlp::envelope::{Origin, Parts, SPANS, Sender};
use mastra_otlp::genai::{Conventions, SpanName};
use mastra_otlp::span::Head;

use self::path::Paths;
use crate::config::Config;
use crate::wire;

/// The scope and SDK that spans name: the official exporter, whose conventions they follow.
const FOLLOWED: (&str, &str) = ("@mastra/laminar", "unknown");

/// Bytes that a span takes, about.
const BYTES_A_SPAN: usize = 4_096;

/// The body of `POST /v1/traces`, protobuf.
#[must_use]
pub fn traces(batch: &SpanBatch, config: &Config) -> Vec<u8> {
    let mut parts = Spans {
        batch,
        config,
        paths: Paths::of(batch),
    };
    let capacity = batch.spans.len() * BYTES_A_SPAN;
    SPANS.encode(Encoding::Protobuf, capacity, &batch.spans, &mut parts)
}

struct Spans<'a> {
    batch: &'a SpanBatch,
    config: &'a Config,
    paths: Paths<'a>,
}

impl Parts<Span> for Spans<'_> {
    fn origin(&self) -> Origin<'_> {
        Origin {
            resources: &self.batch.resources,
            scopes: &self.batch.scopes,
            sender: Sender {
                service_name: &self.config.service_name,
                attributes: &[],
                names_environment: false,
                sdk: Some(FOLLOWED),
                scope: FOLLOWED,
            },
        }
    }

    fn item<E: Encoder>(&mut self, encoder: &mut E, span: &Span) {
        mastra_otlp::span::span(encoder, span, &head(span), |sink| {
            if span.otel.is_some() {
                for (key, value) in members(span.attributes.as_deref().unwrap_or("{}")) {
                    sink.value(Key::under("", key), value);
                }
            } else {
                attributes(span, sink);
            }
            if let Some((names, ids)) = self.paths.to(span) {
                texts(sink, wire::PATH, &names);
                texts(sink, wire::IDS_PATH, &ids);
            }
        });
    }
}

/// Laminar shows the application's own name of a span.
fn head(span: &Span) -> Head<'_> {
    if span.otel.is_some() {
        return Conventions::GENERATION.head(span);
    }
    Head {
        name: SpanName {
            operation: None,
            text: Cow::Borrowed(&span.name),
        },
        kind: match span.span_type.as_str() {
            "model_generation" | "mcp_tool_call" => SpanKind::Client,
            _ => SpanKind::Internal,
        },
        status: span.error.as_ref().map_or((StatusCode::Ok, ""), |error| {
            (StatusCode::Error, error.message.as_str())
        }),
    }
}

fn attributes<S: Attributes>(span: &Span, sink: &mut S) {
    sink.text(wire::SPAN_TYPE, span_type(span));
    // Events are recorded by Mastra's library, which is written in it.
    sink.text(wire::SOURCE, "javascript");
    let is_call = span.span_type == "model_generation";
    if let Some(input) = &span.input {
        let messages = member(input, "messages").filter(|_| is_call && kind(input) == Kind::Object);
        sink.json_as_text(wire::INPUT, messages.unwrap_or(input));
    }
    if let Some(output) = &span.output {
        sink.json_as_text(wire::OUTPUT, output);
    }
    match (&span.model, &span.attributes) {
        (Some(call), _) if is_call => model(call, sink),
        (_, Some(own)) if own != "{}" => sink.json_as_text(Key::of("mastra.attributes"), own),
        _ => {}
    }
    association(span, sink);
}

fn span_type(span: &Span) -> &'static str {
    match span.span_type.as_str() {
        "model_generation" | "model_step" | "model_chunk" => "LLM",
        "tool_call" | "mcp_tool_call" | "provider_tool_call" | "client_tool_call" => "TOOL",
        "scorer_run" => "EVALUATOR",
        _ => "DEFAULT",
    }
}

/// Laminar reckons costs from system, model and tokens, where no cost is given.
fn model<S: Attributes>(call: &ModelCall, sink: &mut S) {
    if let Some(provider) = &call.provider {
        let system = provider.split('.').next().unwrap_or(provider);
        sink.text(Key::of("gen_ai.system"), &system.to_lowercase());
    }
    for (key, text) in [
        ("gen_ai.request.model", &call.model),
        ("gen_ai.response.model", &call.response_model),
    ] {
        if let Some(text) = text {
            sink.text(Key::of(key), text);
        }
    }
    if let Some(usage) = &call.usage {
        for (key, count) in [
            ("gen_ai.usage.input_tokens", usage.input_tokens),
            ("gen_ai.usage.output_tokens", usage.output_tokens),
            (
                "gen_ai.usage.cache_creation_input_tokens",
                usage.input_cache_write,
            ),
            (
                "gen_ai.usage.cache_read_input_tokens",
                usage.input_cache_read,
            ),
        ] {
            if let Some(count) = count {
                sink.integer(Key::of(key), count);
            }
        }
    }
    if let Some(total) = call.cost.as_ref().and_then(cost::reported) {
        sink.float(Key::of("gen_ai.usage.cost"), total);
    }
}

/// Session, user, tags and metadata; Laminar gives them to the whole trace.
fn association<S: Attributes>(span: &Span, sink: &mut S) {
    let all = span.metadata.as_deref().unwrap_or("{}");
    for (key, value) in members(all) {
        match (key, kind(value)) {
            (_, Kind::Null) => {}
            ("sessionId", Kind::Text) => sink.json_as_text(wire::SESSION, value),
            ("userId", Kind::Text) => sink.json_as_text(wire::USER, value),
            (_, Kind::Array) if is_flat(value) => {
                sink.value(Key::under(wire::METADATA, key), value);
            }
            _ => sink.scalar(Key::under(wire::METADATA, key), value),
        }
    }
    let thread = member(all, "threadId").filter(|id| kind(id) == Kind::Text);
    if let (Some(thread), None) = (thread, member(all, "sessionId")) {
        sink.json_as_text(wire::SESSION, thread);
    }
    if let Some(tags) = span.tags.as_ref().filter(|tags| !tags.is_empty()) {
        texts(sink, wire::TAGS, tags);
    }
}

/// A list of texts, numbers or truths, all of one kind.
fn is_flat(array: &str) -> bool {
    let mut kinds = elements(array).map(kind);
    match kinds.next() {
        Some(first @ (Kind::Text | Kind::Number | Kind::Boolean)) => {
            kinds.all(|kind| kind == first)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
