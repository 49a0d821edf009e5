//! A model call as the properties of `$ai_generation`.

use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::raw::{Kind, elements, kind, member};
use mastra_exporter_sdk::records::{ModelCall, Span, Usage};
use mastra_llm::chat::object_member;
use mastra_llm::merged::Merged;
use mastra_llm::{cost, seconds};

use super::messages;

/// Adds them.
pub(super) fn properties<'a>(properties: &mut Merged<'a>, span: &'a Span) {
    properties.text("$ai_generation_id", &span.span_id);
    properties.text("$ai_span_id", &span.span_id);
    properties.text("$ai_span_name", &span.name);
    let call = span.model.as_ref();
    let model = call.and_then(|call| call.model.as_ref().or(call.response_model.as_ref()));
    properties.text("$ai_model", model.map_or("unknown-model", String::as_str));
    let provider = call.and_then(|call| call.provider.as_deref());
    properties.text("$ai_provider", provider.unwrap_or("unknown-provider"));
    if let Some(json) = &span.input {
        let mut text = JsonText::default();
        messages::input(&mut text, json);
        properties.raw("$ai_input", text.into_string());
    }
    if let Some(json) = &span.output {
        let mut text = JsonText::default();
        messages::output(&mut text, json);
        properties.raw("$ai_output_choices", text.into_string());
    }
    if let Some(call) = call {
        if let Some(usage) = &call.usage {
            tokens(properties, usage);
        }
        called(properties, call, span.start_time);
    }
    let tools = span
        .attributes
        .as_deref()
        .and_then(|attributes| member(attributes, "tools"));
    if let Some(tools) = tools.filter(|tools| kind(tools) == Kind::Array) {
        let mut text = JsonText::default();
        text.array(elements(tools), tool);
        properties.raw("$ai_tools", text.into_string());
    }
}

fn tokens(properties: &mut Merged<'_>, usage: &Usage) {
    for (name, count) in [
        ("$ai_input_tokens", usage.input_tokens),
        ("$ai_output_tokens", usage.output_tokens),
        ("$ai_cache_read_input_tokens", usage.input_cache_read),
        ("$ai_cache_creation_input_tokens", usage.input_cache_write),
        (
            "$ai_cache_creation_5m_input_tokens",
            usage.input_cache_write_short,
        ),
        (
            "$ai_cache_creation_1h_input_tokens",
            usage.input_cache_write_long,
        ),
        ("$ai_reasoning_tokens", usage.output_reasoning),
    ] {
        if let Some(count) = count {
            properties.raw(name, count.to_string());
        }
    }
    // Mastra's total of input tokens includes the cached ones, whatever the provider counts.
    properties.raw("$ai_cache_reporting_exclusive", "false");
}

fn called<'a>(properties: &mut Merged<'a>, call: &'a ModelCall, start: u64) {
    for (name, key) in [
        ("$ai_temperature", "temperature"),
        ("$ai_max_tokens", "maxOutputTokens"),
    ] {
        let value = call
            .parameters
            .as_deref()
            .and_then(|parameters| member(parameters, key));
        if let Some(value) = value.filter(|value| kind(value) == Kind::Number) {
            properties.raw(name, value);
        }
    }
    if let Some(parameters) = &call.parameters {
        properties.raw("$ai_model_parameters", parameters.as_str());
    }
    if let Some(streaming) = call.streaming {
        properties.raw("$ai_stream", if streaming { "true" } else { "false" });
    }
    properties.text_if("$ai_stop_reason", call.finish_reason.as_ref());
    let wait = call
        .completion_start_time
        .and_then(|time| time.checked_sub(start));
    if let Some(wait) = wait {
        let mut text = JsonText::default();
        seconds::write(&mut text, wait);
        properties.raw("$ai_time_to_first_token", text.into_string());
    }
    if let Some(amount) = call.cost.as_ref().and_then(cost::reported) {
        let mut text = JsonText::default();
        text.float(amount);
        properties.raw("$ai_total_cost_usd", text.into_string());
    }
}

/// A tool's definition in the OpenAI form.
fn tool(text: &mut JsonText, json: &str) {
    let mut object = text.object();
    object.string("type", "function");
    let mut function = object.key("function").object();
    for key in ["name", "description", "parameters"] {
        if let Some(value) = object_member(json, key) {
            function.raw(key, value);
        }
    }
    function.end();
    object.end();
}
