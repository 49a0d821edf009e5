//! Ended spans as LangSmith's runs. Pure: records in, runs out. What the official exporter writes is written the same way;
//! where this one does more or differs, `differences.json` says why.

pub mod ancestry;
pub mod feedback;
mod usage;

use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::raw::{Kind, kind, members, text as json_text};
use mastra_exporter_sdk::records::{Span, SpanBatch};
use mastra_llm::chat::object_member;
use mastra_llm::error;
use mastra_llm::merged::Merged;

use self::ancestry::Ancestry;
use crate::config::Config;
use crate::wire::Run;

/// The runs of a batch, each span once.
#[must_use]
pub fn runs<'a>(batch: &'a SpanBatch, config: &Config) -> Vec<Run<'a>> {
    let ancestry = Ancestry::of(batch);
    let last = |(place, span): &(usize, &'a Span)| ancestry.is_last(span, *place);
    let spans = batch.spans.iter().enumerate().filter(last);
    spans
        .map(|(_, span)| run(span, &ancestry, config))
        .collect()
}

fn run<'a>(span: &'a Span, ancestry: &Ancestry<'a>, config: &Config) -> Run<'a> {
    let place = ancestry.place(span);
    let end = span.end_time.unwrap_or(span.start_time).max(place.start);
    let is_generation = span.span_type == "model_generation";
    Run {
        dotted_order: place.dotted_order,
        name: if span.name.is_empty() {
            &span.span_type
        } else {
            &span.name
        },
        run_type: run_type(&span.span_type),
        start: place.start,
        end,
        inputs: span
            .input
            .as_deref()
            .map_or_else(|| "{}".to_owned(), |json| object(json, "input")),
        outputs: span.output.as_deref().map(|json| object(json, "output")),
        error: span.error.as_ref().map(|error| error.message.as_str()),
        metadata: metadata(span, place.parent_id.is_none()),
        first_token: span
            .model
            .as_ref()
            .filter(|_| is_generation)
            .and_then(|call| call.completion_start_time),
        tags: span.tags.as_deref().unwrap_or_default(),
        id: place.id,
        trace_id: place.trace_id,
        parent_run_id: place.parent_id,
        session_name: ancestry
            .project(span)
            .unwrap_or_else(|| config.settings.project_name.clone()),
    }
}

fn run_type(span_type: &str) -> &'static str {
    match span_type {
        "model_generation" => "llm",
        "tool_call" | "mcp_tool_call" | "provider_tool_call" | "client_tool_call" => "tool",
        _ => "chain",
    }
}

/// An object as it is, anything else as the only member of one.
fn object(json: &str, name: &str) -> String {
    if kind(json) == Kind::Object {
        json.to_owned()
    } else {
        format!("{{\"{name}\":{json}}}")
    }
}

/// The project that a span names for itself.
fn own_project(span: &Span) -> Option<String> {
    let own = object_member(span.metadata.as_deref()?, "langsmith")?;
    let name = object_member(own, "projectName").and_then(json_text)?;
    Some(name.into_owned()).filter(|name| !name.is_empty())
}

/// What the span is (and of which trace, on the root), its metadata, its attributes and the details of its error.
fn metadata(span: &Span, is_root: bool) -> Merged<'_> {
    let mut metadata = Merged::default();
    metadata.text("mastra_span_type", &span.span_type);
    if is_root {
        metadata.text("mastra_trace_id", &span.trace_id);
    }
    metadata.layer(span.metadata.as_ref());
    if let Some(own) = metadata.remove("langsmith") {
        for (theirs, ours) in [("sessionId", "session_id"), ("sessionName", "session_name")] {
            if let Some(value) = object_member(&own, theirs) {
                metadata.raw(ours, value.to_owned());
            }
        }
    }
    let is_generation = span.span_type == "model_generation";
    for (key, value) in members(span.attributes.as_deref().unwrap_or("{}")) {
        match key {
            "usage" | "completionStartTime" if is_generation => {}
            "model" if is_generation => {
                metadata.raw("ls_model_name", value);
            }
            "provider" if is_generation => {
                metadata.raw("ls_provider", value);
            }
            "parameters" if is_generation => {
                metadata.raw("modelParameters", value);
            }
            _ => {
                metadata.raw(key, value);
            }
        }
    }
    let call = span.model.as_ref().filter(|_| is_generation);
    if let Some(call) = call {
        let mut text = JsonText::default();
        usage::metadata(call, &mut text);
        if text.as_str() != "{}" {
            metadata.raw("usage_metadata", text.into_string());
        }
    }
    if let Some(info) = &span.error {
        metadata.raw("errorDetails", error::details(info));
    }
    metadata
}

#[cfg(test)]
mod tests;
