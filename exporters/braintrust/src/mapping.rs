//! Spans as Braintrust's rows. Pure: records in, rows out. What the official exporter writes is written the same way;
//! where this one does more or differs, `differences.json` says why.

pub mod judgements;
pub mod logs;

use std::collections::HashMap;

use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::raw::{inside_quotes, members, text as json_text};
use mastra_exporter_sdk::records::{ModelCall, Span, SpanBatch, SpanPhase};
use mastra_llm::chat::{self, object_member};
use mastra_llm::merged::Merged;
use mastra_llm::{cost, error};

use crate::wire::{Metric, Row};

/// Bytes that a row takes in JSON, about.
pub const BYTES_A_ROW: usize = 2_048;

/// `{"events": [...]}`
pub fn write_events(text: &mut JsonText, rows: &[Row<'_>]) {
    text.raw("{\"events\":").array(rows, |text, row| {
        row.write(text);
    });
    text.raw("}");
}

/// One row a span: every event is a full snapshot, so that of several events of a span the last one stands for all.
#[must_use]
pub fn spans(batch: &SpanBatch) -> Vec<Row<'_>> {
    let mut last: HashMap<(&str, &str), usize> = HashMap::new();
    for (place, span) in batch.spans.iter().enumerate() {
        let known = last.entry((&span.trace_id, &span.span_id)).or_insert(place);
        let is_later = batch
            .spans
            .get(*known)
            .is_none_or(|known| order(known.phase) <= order(span.phase));
        if is_later {
            *known = place;
        }
    }
    let is_last = |(place, span): &(usize, &Span)| {
        last.get(&(span.trace_id.as_str(), span.span_id.as_str())) == Some(place)
    };
    let spans = batch.spans.iter().enumerate().filter(is_last);
    spans.map(|(_, span)| row(span)).collect()
}

const fn order(phase: SpanPhase) -> u8 {
    match phase {
        SpanPhase::Started => 0,
        SpanPhase::Updated => 1,
        SpanPhase::Ended => 2,
    }
}

fn row(span: &Span) -> Row<'_> {
    let end = match span.phase {
        SpanPhase::Ended => Some(span.end_time.unwrap_or(span.start_time)),
        SpanPhase::Started | SpanPhase::Updated => None,
    };
    Row {
        id: span.span_id.clone(),
        root_span_id: &span.trace_id,
        parent: parent(span),
        created: span.start_time,
        name: &span.name,
        row_type: Some(row_type(&span.span_type)),
        start: span.start_time,
        end,
        metrics: metrics(span),
        input: input(span),
        output: output(span),
        error: span.error.as_ref().map(|error| error.message.as_str()),
        metadata: metadata(span),
        tags: span.tags.as_deref().unwrap_or_default(),
    }
}

/// A root has no parent in Braintrust, except the root of a resumed run, which hangs below what it resumes.
fn parent(span: &Span) -> Option<&str> {
    let parent = span.parent_span_id.as_deref()?;
    let resumed = span
        .metadata
        .as_deref()
        .and_then(|metadata| object_member(metadata, "resumedFromSpanId"))
        .and_then(inside_quotes);
    (!span.is_root || resumed == Some(parent)).then_some(parent)
}

fn row_type(span_type: &str) -> &'static str {
    match span_type {
        "model_generation" => "llm",
        "workflow_conditional_eval" | "workflow_wait_event" => "function",
        _ if is_tool(span_type) => "tool",
        _ => "task",
    }
}

fn is_tool(span_type: &str) -> bool {
    matches!(
        span_type,
        "tool_call" | "mcp_tool_call" | "provider_tool_call" | "client_tool_call"
    )
}

fn input(span: &Span) -> Option<String> {
    let json = span.input.as_deref()?;
    let mut text = JsonText::with_capacity(json.len());
    match span.span_type.as_str() {
        "model_generation" => chat::input(&mut text, json),
        span_type if is_tool(span_type) => {
            chat::tool_input(&mut text, &call_id(span), tool_name(span), json);
        }
        _ => return Some(json.to_owned()),
    }
    Some(text.into_string())
}

fn output(span: &Span) -> Option<String> {
    let json = span.output.as_deref()?;
    let mut text = JsonText::with_capacity(json.len());
    match span.span_type.as_str() {
        "model_generation" => chat::output(&mut text, json),
        span_type if is_tool(span_type) => chat::tool_output(&mut text, &call_id(span), json),
        _ => return Some(json.to_owned()),
    }
    Some(text.into_string())
}

/// The id of the tool call that the model made: of the attributes, the metadata or the input; else the span's.
fn call_id(span: &Span) -> String {
    let places = [&span.attributes, &span.metadata, &span.input];
    let found = places.into_iter().flatten().find_map(|json| {
        object_member(json, "toolCallId")
            .and_then(json_text)
            .filter(|id| !id.is_empty())
    });
    found.map_or_else(|| span.span_id.clone(), std::borrow::Cow::into_owned)
}

/// The entity's name, else what is quoted in the span's name, else that name.
fn tool_name(span: &Span) -> &str {
    let entity = span.entity.entity_name.as_deref();
    let quoted = || span.name.split('\'').nth(1);
    entity.or_else(quoted).unwrap_or(&span.name)
}

fn metrics(span: &Span) -> Vec<(&'static str, Metric)> {
    let Some(call) = span.model.as_ref() else {
        return Vec::new();
    };
    if span.span_type != "model_generation" {
        return Vec::new();
    }
    let mut metrics = tokens(call);
    let first_token = call
        .completion_start_time
        .and_then(|time| time.checked_sub(span.start_time));
    if let Some(wait) = first_token {
        metrics.push(("time_to_first_token", Metric::Seconds(wait)));
    }
    if let Some(amount) = call.cost.as_ref().and_then(cost::reported) {
        metrics.push(("estimated_cost", Metric::Number(amount)));
    }
    metrics
}

fn tokens(call: &ModelCall) -> Vec<(&'static str, Metric)> {
    let Some(usage) = &call.usage else {
        return Vec::new();
    };
    let total = match (usage.input_tokens, usage.output_tokens) {
        (None, None) => None,
        (input, output) => Some(input.unwrap_or(0).saturating_add(output.unwrap_or(0))),
    };
    let counts = [
        ("prompt_tokens", usage.input_tokens),
        ("completion_tokens", usage.output_tokens),
        ("tokens", total),
        ("completion_reasoning_tokens", usage.output_reasoning),
        ("prompt_cached_tokens", usage.input_cache_read),
        ("prompt_cache_creation_tokens", usage.input_cache_write),
    ];
    let known = counts.into_iter();
    known
        .filter_map(|(name, count)| Some((name, Metric::Count(count?))))
        .collect()
}

/// The span's metadata, what it is, its attributes and the details of its error.
fn metadata(span: &Span) -> Merged<'_> {
    let mut metadata = Merged::default();
    metadata.layer(span.metadata.as_ref());
    metadata.text("spanType", &span.span_type);
    metadata.text("mastra-trace-id", &span.trace_id);
    for (key, value) in members(span.attributes.as_deref().unwrap_or("{}")) {
        match (span.span_type.as_str(), key) {
            ("model_generation", "usage" | "completionStartTime" | "responseModel") => {}
            ("model_generation", "parameters") => {
                metadata.raw("modelParameters", value);
            }
            _ => {
                metadata.raw(key, value);
            }
        }
    }
    let answered_by = span
        .model
        .as_ref()
        .and_then(|call| call.response_model.as_ref());
    if span.span_type == "model_generation" {
        metadata.text_if("model", answered_by);
    }
    if let Some(info) = &span.error {
        metadata.raw("errorDetails", error::details(info));
    }
    metadata.without_nulls();
    metadata
}

#[cfg(test)]
mod tests;
