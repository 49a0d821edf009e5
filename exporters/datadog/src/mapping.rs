//! Spans as LLM Observability wants them. Pure: records in, JSON text out. What the official exporter sends to its
//! internal intake is sent to the documented one; where this one does more or differs, `differences.json` says why.

pub mod evaluations;
pub mod logs;
mod messages;
pub mod metrics;

use mastra_exporter_sdk::ids::push_padded;
use mastra_exporter_sdk::json::{JsonText, Object};
use mastra_exporter_sdk::raw::{self, Kind as JsonKind, inside_quotes, kind, member, members};
use mastra_exporter_sdk::records::{
    ErrorInfo, EventResource, ModelCall, Span, SpanBatch, StatusCode,
};

use crate::config::Config;
use crate::wire::{Kind, NO_PARENT, TRACE_TAG};

/// Larger spans lose input and output (LLM Observability takes 5 MB an event; ddtrace 4.16.0 `_writer.py`).
const MAX_SPAN_BYTES: usize = 5_000_000;

/// What then stands in their place.
const DROPPED: &str = "[dropped: the span is larger than 5 MB]";

/// The class of an error without a name.
const ERROR: &str = "Error";

/// The body of the spans request.
#[must_use]
pub fn spans(batch: &SpanBatch, config: &Config) -> JsonText {
    let origins = Origins {
        config,
        resources: &batch.resources,
    };
    let mut text = JsonText::with_capacity(batch.spans.len() * 2_048);
    let mut scratch = JsonText::default();
    text.raw(r#"{"data":{"type":"span","attributes":{"ml_app":"#)
        .string(&config.ml_app)
        .raw(r#","spans":"#);
    text.array(&batch.spans, |text, span| {
        scratch.clear();
        write_span(&mut scratch, span, &origins, Content::Whole);
        if scratch.len() > MAX_SPAN_BYTES {
            scratch.clear();
            write_span(&mut scratch, span, &origins, Content::Dropped);
        }
        text.raw(scratch.as_str());
    });
    text.raw("}}}");
    text
}

/// Where events came from: what the operator said, else what the event says.
#[derive(Clone, Copy, Debug)]
struct Origins<'a> {
    config: &'a Config,
    resources: &'a [EventResource],
}

impl<'a> Origins<'a> {
    fn resource(&self, index: Option<u32>) -> Option<&'a EventResource> {
        self.resources.get(usize::try_from(index?).ok()?)
    }

    fn service(&self, index: Option<u32>) -> &'a str {
        let of_event = || self.resource(index)?.service_name.as_deref();
        let set = self.config.settings.service.as_deref();
        set.or_else(of_event).unwrap_or(&self.config.ml_app)
    }

    /// `env`, `service`, `version` and the operator's tags.
    fn tags(&self, index: Option<u32>) -> Vec<String> {
        let settings = &self.config.settings;
        let resource = self.resource(index);
        let env = settings
            .env
            .as_deref()
            .or_else(|| resource?.environment.as_deref());
        let version = settings
            .version
            .as_deref()
            .or_else(|| resource?.service_version.as_deref());
        let mut tags = Vec::with_capacity(12);
        for (key, value) in [
            ("version", version),
            ("env", env),
            ("service", Some(self.service(index))),
        ] {
            tags.extend(value.map(|value| format!("{key}:{value}")));
        }
        tags.extend(self.config.tags.iter().cloned());
        tags
    }
}

/// A hex span id as Datadog's own libraries write it: decimal, 64 bits.
fn decimal(span_id: &str) -> String {
    u64::from_str_radix(span_id, 16).map_or_else(|_| span_id.to_owned(), |id| id.to_string())
}

/// A trace id of 32 hex digits.
fn padded(trace_id: &str) -> String {
    let mut digits = Vec::with_capacity(32);
    push_padded(&mut digits, trace_id, 32);
    String::from_utf8(digits).unwrap_or_default()
}

/// Text that says something.
fn some_text(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

/// A tag as an application writes it: `key:value`, or a word.
fn tag(text: &str) -> Option<String> {
    match text.split_once(':') {
        Some((key, _)) if !key.is_empty() => Some(text.to_owned()),
        Some(_) => None,
        None => (!text.is_empty()).then(|| format!("{text}:true")),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Whole,
    Dropped,
}

fn write_span(text: &mut JsonText, span: &Span, origins: &Origins<'_>, content: Content) {
    let kind = span_kind(span);
    let mut object = text.object();
    object
        .string(
            "name",
            if span.name.is_empty() {
                kind.as_str()
            } else {
                &span.name
            },
        )
        .string("span_id", &decimal(&span.span_id))
        .string("trace_id", &padded(&span.trace_id));
    match &span.parent_span_id {
        Some(parent) => object.string("parent_id", &decimal(parent)),
        None => object.string("parent_id", NO_PARENT),
    };
    let session_id = member(metadata_of(span), "sessionId")
        .and_then(raw::text)
        .filter(|id| !id.is_empty());
    object.strings("tags", &tags(span, origins, session_id.as_deref()));
    let end = span.end_time.unwrap_or(span.start_time);
    object
        .unsigned("start_ns", span.start_time)
        .unsigned("duration", end.saturating_sub(span.start_time))
        .string("status", if is_error(span) { "error" } else { "ok" });
    meta(
        object.key("meta"),
        span,
        kind,
        content,
        &origins.config.request_context_keys,
    );
    metrics_of(object.key("metrics"), span, kind);
    if let Some(session_id) = session_id {
        object.string("session_id", &session_id);
    }
    object.end();
}

fn metadata_of(span: &Span) -> &str {
    span.metadata.as_deref().unwrap_or("{}")
}

fn attributes_of(span: &Span) -> &str {
    span.attributes.as_deref().unwrap_or("{}")
}

fn is_error(span: &Span) -> bool {
    let otel = span.otel.as_ref();
    span.error.is_some() || otel.is_some_and(|otel| otel.status.code == StatusCode::Error)
}

fn span_kind(span: &Span) -> Kind {
    let operation = || inside_quotes(member(attributes_of(span), "gen_ai.operation.name")?);
    match span.span_type.as_str() {
        "agent_run" => Kind::Agent,
        "model_inference" => Kind::Llm,
        // Without calls inside: made by the application itself, so that it carries model and tokens.
        "model_generation" if span.parent_span_id.is_none() => Kind::Llm,
        "model_generation" | "model_step" | "workflow_run" => Kind::Workflow,
        "tool_call" | "mcp_tool_call" | "provider_tool_call" | "client_tool_call" => Kind::Tool,
        "rag_embedding" => Kind::Embedding,
        "rag_vector_operation" if member(attributes_of(span), "operation") == Some("\"query\"") => {
            Kind::Retrieval
        }
        _ if span.otel.is_some() => match operation() {
            Some("chat" | "text_completion" | "generate_content") => Kind::Llm,
            Some("invoke_agent" | "create_agent") => Kind::Agent,
            Some("execute_tool") => Kind::Tool,
            Some("embeddings") => Kind::Embedding,
            _ => Kind::Task,
        },
        _ => Kind::Task,
    }
}

fn tags(span: &Span, origins: &Origins<'_>, session_id: Option<&str>) -> Vec<String> {
    let mut tags = origins.tags(span.resource_index);
    if !tags.iter().any(|tag| tag.starts_with("version:")) {
        // Datadog's libraries always send the three tags of unified service tagging.
        tags.push("version:".to_owned());
    }
    tags.push("source:integration".to_owned());
    tags.push(format!("ml_app:{}", origins.config.ml_app));
    tags.push(
        if is_error(span) {
            "error:true"
        } else {
            "error:0"
        }
        .to_owned(),
    );
    if span.otel.is_none() {
        // Mastra's events come from JavaScript.
        tags.push("language:javascript".to_owned());
    }
    tags.extend(session_id.map(|id| format!("session_id:{id}")));
    for key in &origins.config.request_context_keys {
        let value = member(metadata_of(span), key).filter(|json| kind(json) != JsonKind::Null);
        tags.extend(value.map(|json| match raw::text(json) {
            Some(text) => format!("{key}:{text}"),
            None => format!("{key}:{json}"),
        }));
    }
    if let Some(error) = &span.error {
        tags.push(format!("error_type:{}", error_type(error)));
        for (key, value) in [
            ("error.id", &error.error_id),
            ("error.domain", &error.domain),
            ("error.category", &error.category),
        ] {
            tags.extend(some_text(value.as_ref()).map(|value| format!("{key}:{value}")));
        }
    }
    if span.parent_span_id.is_none() {
        tags.push(format!("{TRACE_TAG}:{}", padded(&span.trace_id)));
    }
    tags.extend(span.tags.iter().flatten().filter_map(|text| tag(text)));
    tags
}

fn error_type(error: &ErrorInfo) -> &str {
    some_text(error.error_name.as_ref())
        .or_else(|| some_text(error.category.as_ref()))
        .unwrap_or(ERROR)
}

fn meta(
    text: &mut JsonText,
    span: &Span,
    kind: Kind,
    content: Content,
    request_context_keys: &[String],
) {
    let mut object = text.object();
    object.string("kind", kind.as_str());
    for (name, side, json) in [
        ("input", messages::Side::Input, &span.input),
        ("output", messages::Side::Output, &span.output),
    ] {
        let text = object.key(name);
        match (json, content) {
            (None, _) => text.raw("{}"),
            (Some(_), Content::Dropped) => text.raw("{\"value\":").string(DROPPED).raw("}"),
            (Some(json), Content::Whole) => {
                messages::write(text, kind, &span.span_type, side, json)
            }
        };
    }
    let call = span
        .model
        .as_ref()
        .filter(|_| matches!(kind, Kind::Llm | Kind::Embedding));
    if let Some(call) = call {
        object.string_if("model_name", call.model.as_ref());
        let provider = call.provider.as_ref().map(|name| name.to_lowercase());
        object.string_if("model_provider", provider.as_ref());
    }
    metadata(object.key("metadata"), span, call, request_context_keys);
    if let Some(error) = &span.error {
        let mut failure = object.key("error").object();
        failure
            .string("message", &error.message)
            .string("type", error_type(error))
            .string_if("stack", error.stack.as_ref());
        failure.end();
    } else if let Some(otel) = span.otel.as_ref().filter(|_| is_error(span)) {
        let mut failure = object.key("error").object();
        failure
            .string("message", &otel.status.message)
            .string("type", ERROR);
        failure.end();
    }
    object.end();
}

/// Metadata and attributes in one object; an attribute wins over metadata of its name.
fn metadata(
    text: &mut JsonText,
    span: &Span,
    call: Option<&ModelCall>,
    request_context_keys: &[String],
) {
    let elsewhere: &[&str] = match call {
        Some(_) => &["usage", "model", "provider"],
        None => &["usage"],
    };
    let attributes: Vec<_> = members(attributes_of(span))
        .filter(|(key, _)| !elsewhere.contains(key))
        .collect();
    let is_attribute = |key: &str| attributes.iter().any(|(name, _)| *name == key);
    let mut object = text.object();
    for (key, value) in members(metadata_of(span)) {
        if !is_attribute(key) && !request_context_keys.iter().any(|name| name == key) {
            object.raw(key, value);
        }
    }
    for (key, value) in &attributes {
        object.raw(key, value);
    }
    if let Some(call) = call {
        parameters(&mut object, call);
    }
    object.end();
}

/// The names under which the documentation wants a call's model and parameters.
fn parameters(object: &mut Object<'_>, call: &ModelCall) {
    object.string_if("model_name", call.model.as_ref());
    object.string_if("model_provider", call.provider.as_ref());
    for (key, value) in members(call.parameters.as_deref().unwrap_or("{}")) {
        match key {
            "temperature" => object.raw("temperature", value),
            "maxOutputTokens" | "maxTokens" => object.raw("max_tokens", value),
            _ => continue,
        };
    }
}

/// Tokens, money and the time to the first token. Those of a generation with calls inside are on its calls.
fn metrics_of(text: &mut JsonText, span: &Span, kind: Kind) {
    let mut object = text.object();
    let call = span
        .model
        .as_ref()
        .filter(|_| matches!(kind, Kind::Llm | Kind::Embedding));
    if let Some(call) = call {
        if let Some(usage) = &call.usage {
            let total = match (usage.input_tokens, usage.output_tokens) {
                (None, None) => None,
                (input, output) => Some(input.unwrap_or(0).saturating_add(output.unwrap_or(0))),
            };
            for (name, count) in [
                ("input_tokens", usage.input_tokens),
                ("output_tokens", usage.output_tokens),
                ("total_tokens", total),
                ("reasoning_output_tokens", usage.output_reasoning),
                ("cache_read_input_tokens", usage.input_cache_read),
                ("cache_write_input_tokens", usage.input_cache_write),
            ] {
                if let Some(count) = count {
                    object.unsigned(name, count);
                }
            }
        }
        let first_token = call
            .completion_start_time
            .and_then(|time| time.checked_sub(span.start_time));
        if let Some(nanos) = first_token {
            object.float("time_to_first_token", nanos as f64 / 1e9);
        }
        let cost = call.cost.as_ref();
        let dollars = cost
            .filter(|cost| cost.cost_unit.as_deref() == Some("USD"))
            .and_then(|cost| cost.estimated_cost);
        if let Some(amount) = dollars {
            object.float("total_cost", amount);
        }
    }
    object.end();
}

#[cfg(test)]
mod tests;
