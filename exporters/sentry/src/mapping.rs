//! Spans as Sentry's span items (version 2): the shared GenAI conventions, then Sentry's own attributes. Pure: records in,
//! envelopes out. An envelope of spans holds one trace.

pub mod errors;
pub mod feedback;
pub mod logs;
pub mod metrics;

use std::collections::BTreeMap;

use mastra_exporter_sdk::ids::push_padded;
use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::raw::{Kind, kind, member, members};
use mastra_exporter_sdk::records::{EventResource, Span, SpanBatch, StatusCode};
use mastra_otlp::attributes::{Attributes, Key};
use mastra_otlp::genai::{
    Conventions, InputOutput, MetadataFacts, has_named_attributes, is_thread_id, status,
};
use mastra_otlp::json::hex_id;
use mastra_otlp::messages;

use crate::config::Config;
use crate::wire::{Container, ORIGIN, Trace, TypedAttributes, container, seconds};

/// Sentry's own exporter counts the tokens of the generation; its calls carry none, so that nothing counts twice.
const CONVENTIONS: Conventions = Conventions::GENERATION;

/// The spans of a batch by trace, with their places in the batch, in the order of the traces' first spans.
#[must_use]
pub fn traces(batch: &SpanBatch) -> Vec<(Vec<usize>, Vec<&Span>)> {
    let mut places = BTreeMap::new();
    let mut traces: Vec<(Vec<usize>, Vec<&Span>)> = Vec::new();
    for (index, span) in batch.spans.iter().enumerate() {
        let place = *places.entry(&span.trace_id).or_insert(traces.len());
        if place == traces.len() {
            traces.push((Vec::new(), Vec::new()));
        }
        if let Some((indexes, spans)) = traces.get_mut(place) {
            indexes.push(index);
            spans.push(span);
        }
    }
    traces
}

/// The envelope of one trace's spans.
#[must_use]
pub fn spans(spans: &[&Span], batch: &SpanBatch, config: &Config) -> Vec<u8> {
    let mut items = JsonText::default();
    items.array(spans, |text, span| write_span(text, span, batch, config));
    let first = spans.first();
    let trace_id = first.map_or_else(String::new, |span| padded(&span.trace_id));
    let resource = first.and_then(|span| resource(&batch.resources, span.resource_index));
    let trace = Trace {
        id: &trace_id,
        public_key: &config.public_key,
        release: config.release.as_ref(),
        environment: config.environment(environment(resource)),
    };
    container(Container::Spans, &items, spans.len(), Some(trace))
}

fn resource(resources: &[EventResource], index: Option<u32>) -> Option<&EventResource> {
    resources.get(usize::try_from(index?).ok()?)
}

fn environment(resource: Option<&EventResource>) -> Option<&str> {
    resource?.environment.as_deref()
}

/// A trace id of 32 hex digits.
fn padded(trace_id: &str) -> String {
    let mut digits = Vec::with_capacity(32);
    push_padded(&mut digits, trace_id, 32);
    String::from_utf8(digits).unwrap_or_default()
}

/// What every item says of where it came from: there is no resource.
fn origin(sink: &mut TypedAttributes<'_>, from: Option<&EventResource>, config: &Config) {
    sink.text(
        Key::of("sentry.environment"),
        config.environment(environment(from)),
    );
    sink.text_if("sentry.release", config.release.as_ref());
    sink.text_if(
        "service.name",
        from.and_then(|from| from.service_name.as_ref()),
    );
}

/// The span's name by the conventions.
fn name(span: &Span) -> String {
    let name = CONVENTIONS.name(span);
    match name.operation {
        Some(operation) => format!("{operation} {}", name.text),
        None => name.text.into_owned(),
    }
}

/// Sentry's operation (develop docs: AI agents module; `sentry-conventions` for the rest).
fn operation(span: &Span) -> &'static str {
    match span.span_type.as_str() {
        "agent_run" => "gen_ai.invoke_agent",
        "model_generation" => "gen_ai.chat",
        "rag_embedding" => "gen_ai.embeddings",
        "tool_call" | "mcp_tool_call" | "provider_tool_call" | "client_tool_call" => {
            "gen_ai.execute_tool"
        }
        "mcp_server_request" => "mcp.server",
        "workflow_run" => "workflow.run",
        "workflow_step" => "workflow.step",
        "workflow_conditional" | "workflow_conditional_eval" => "workflow.conditional",
        "workflow_parallel" => "workflow.parallel",
        "workflow_loop" => "workflow.loop",
        "workflow_sleep" => "workflow.sleep",
        "workflow_wait_event" => "workflow.wait",
        "processor_run" => "ai.processor",
        _ if span.otel.is_some() => "default",
        _ => "ai.span",
    }
}

fn write_span(text: &mut JsonText, span: &Span, batch: &SpanBatch, config: &Config) {
    let mut object = text.object();
    hex_id(object.key("trace_id"), &span.trace_id, 32);
    hex_id(object.key("span_id"), &span.span_id, 16);
    if let Some(parent) = &span.parent_span_id {
        hex_id(object.key("parent_span_id"), parent, 16);
    }
    let is_error = status(span).0 == StatusCode::Error;
    object
        .string("name", &name(span))
        .string("status", if is_error { "error" } else { "ok" })
        .boolean("is_segment", span.parent_span_id.is_none());
    seconds(&mut object, "start_timestamp", span.start_time);
    let end = span.end_time.unwrap_or(span.start_time);
    seconds(&mut object, "end_timestamp", end.max(span.start_time));
    let links = span.otel.as_ref().map(|otel| &otel.links);
    if let Some(links) = links.filter(|links| !links.is_empty()) {
        object.key("links").array(links, |text, link| {
            let mut object = text.object();
            hex_id(object.key("span_id"), &link.span_id, 16);
            hex_id(object.key("trace_id"), &link.trace_id, 32);
            object.end();
        });
    }
    let mut sink = TypedAttributes::begin(object.key("attributes"));
    attributes(span, &mut sink);
    origin(
        &mut sink,
        resource(&batch.resources, span.resource_index),
        config,
    );
    sink.end();
    object.end();
}

fn attributes(span: &Span, sink: &mut TypedAttributes<'_>) {
    sink.text(Key::of("sentry.origin"), ORIGIN);
    sink.text(Key::of("sentry.op"), operation(span));
    let metadata = span.metadata.as_deref().unwrap_or("{}");
    let facts = MetadataFacts {
        thread_id: member(metadata, "threadId").filter(|id| is_thread_id(id)),
        tool_call_id: member(metadata, "toolCallId"),
    };
    CONVENTIONS.attributes(span, facts, sink);
    if span.otel.is_some() {
        return;
    }
    sink.text(Key::of("ai.span.type"), &span.span_type);
    for (key, value) in members(metadata).filter(|(_, value)| kind(value) != Kind::Null) {
        sink.scalar(Key::under("metadata.", key), value);
    }
    if let Some(tags) = span.tags.as_ref().filter(|tags| !tags.is_empty()) {
        sink.text(Key::of("tags"), &tags.join(","));
    }
    input_and_output(span, sink);
    official_names(span, sink);
    if !has_named_attributes(&span.span_type) || span.span_type == "model_inference" {
        let attributes = members(span.attributes.as_deref().unwrap_or("{}"));
        for (key, value) in attributes.filter(|(key, _)| *key != "usage") {
            sink.scalar(Key::under("mastra.attributes.", key), value);
        }
    }
    if CONVENTIONS.is_call(span) {
        call(span, sink);
    }
}

fn input_and_output(span: &Span, sink: &mut TypedAttributes<'_>) {
    let (input, output) = (span.input.as_deref(), span.output.as_deref());
    match CONVENTIONS.input_output(&span.span_type) {
        InputOutput::Messages => {
            if let Some(input) = input {
                messages::input(sink, input);
            }
            if let Some(output) = output {
                messages::output(sink, output);
            }
        }
        InputOutput::ToolCall => {
            for (key, json) in [
                ("gen_ai.tool.call.arguments", input),
                ("gen_ai.tool.call.result", output),
            ] {
                if let Some(json) = json {
                    sink.json_as_text(Key::of(key), json);
                }
            }
        }
        InputOutput::Own => {}
    }
    for (key, json) in [("input", input), ("output", output)] {
        if let Some(json) = json.filter(|json| kind(json) != Kind::Null) {
            sink.scalar(Key::of(key), json);
        }
    }
}

/// The names of workflows, steps and tools that dashboards made for the official exporter read.
fn official_names(span: &Span, sink: &mut TypedAttributes<'_>) {
    let attributes = span.attributes.as_deref().unwrap_or("{}");
    let entity = &span.entity;
    let name = entity.entity_name.as_ref().or(entity.entity_id.as_ref());
    let fields: &[(&'static str, &str)] = match span.span_type.as_str() {
        "workflow_run" => {
            sink.text_if("workflow.id", name);
            &[("workflow.status", "status")]
        }
        "workflow_step" => {
            sink.text_if("workflow.step.id", entity.entity_id.as_ref());
            &[("workflow.step.status", "status")]
        }
        "agent_run" => {
            sink.text_if("gen_ai.pipeline.name", name);
            &[("gen_ai.agent.prompt", "prompt")]
        }
        "tool_call" | "provider_tool_call" | "client_tool_call" => &[("tool.success", "success")],
        _ => &[],
    };
    for (attribute, key) in fields {
        if let Some(value) = member(attributes, key) {
            sink.scalar(Key::of(attribute), value);
        }
    }
}

/// What Sentry shows of a model's call beside the conventions.
fn call(span: &Span, sink: &mut TypedAttributes<'_>) {
    let Some(call) = &span.model else { return };
    if let Some(is_streamed) = call.streaming {
        sink.boolean(Key::of("gen_ai.request.stream"), is_streamed);
        sink.boolean(Key::of("gen_ai.response.streaming"), is_streamed);
    }
    if let Some(time) = call.completion_start_time {
        sink.time("gen_ai.completion_start_time", time);
    }
    let text = member(span.output.as_deref().unwrap_or("{}"), "text");
    if let Some(text) = text.filter(|text| kind(text) == Kind::Text) {
        sink.json_as_text(Key::of("gen_ai.response.text"), text);
    }
    let usage = call.usage.as_ref();
    if let Some((input, output)) =
        usage.and_then(|usage| Some((usage.input_tokens?, usage.output_tokens?)))
    {
        sink.integer(
            Key::of("gen_ai.usage.total_tokens"),
            input.saturating_add(output),
        );
    }
}

#[cfg(test)]
mod tests;
