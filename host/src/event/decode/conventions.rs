//! What the attributes of a span from an OpenTelemetry sender mean, in Mastra's words: the typed view of four sets of
//! names. The attributes themselves stay as they came; what is recognised only fills fields that are still empty.
//!
//! - OpenTelemetry GenAI v1.41.1 and the deprecated names that are still sent (`gen_ai.system`, `prompt_tokens`)
//! - OpenInference (<https://github.com/Arize-ai/openinference/blob/main/spec/semantic_conventions.md>)
//! - Langfuse (<https://langfuse.com/integrations/native/opentelemetry>)
//! - OpenLLMetry, which writes `traceloop.` and `llm.` (<https://github.com/traceloop/openllmetry>)
//!
//! and of what Mastra's own exporter and ours write (`mastra.`). Never in error: what does not fit is left out.

use std::borrow::Cow;

use super::flattened::Flattened;
use super::scan::members;
use crate::event::fields::{as_count, as_number, as_text};
use crate::event::json::{MAX_VALUE_DEPTH, array, is_value};
use crate::event::records::{
    Cost, ErrorInfo, Json, ModelCall, OtelSpan, Span, StatusCode, Text, Usage,
};

/// The span type of a sender that has none of its own.
const UNTYPED: &str = "generic";

/// What the attributes tell.
#[derive(Default)]
pub(super) struct Found<'a> {
    /// By rank: a name that says more wins over one that says less.
    span_type: Option<(u8, &'a str)>,
    input: Option<(u8, Json<'a>)>,
    output: Option<(u8, Json<'a>)>,
    input_messages: Flattened<'a>,
    output_messages: Flattened<'a>,
    entity_name: Option<Text<'a>>,
    entity_id: Option<Text<'a>>,
    user: Option<&'a str>,
    session: Option<&'a str>,
    thread: Option<&'a str>,
    tags: Option<Vec<Text<'a>>>,
    call: ModelCall<'a>,
    usage: Usage,
    cost: Cost<'a>,
    parameters: String,
}

impl<'a> Found<'a> {
    /// Takes an attribute that is not null.
    pub(super) fn take(&mut self, key: &str, raw: &'a str) {
        if let Some(name) = key.strip_prefix("gen_ai.") {
            self.gen_ai(name, raw);
        } else if let Some(name) = key.strip_prefix("llm.") {
            self.llm(name, raw);
        } else {
            self.others(key, raw);
        }
    }

    /// OpenTelemetry's conventions.
    fn gen_ai(&mut self, name: &str, raw: &'a str) {
        match name {
            "operation.name" => self.span_type(2, operation(text(raw))),
            "provider.name" => self.call.provider = as_text(raw),
            "system" => fill(&mut self.call.provider, as_text(raw)),
            "request.model" => self.call.model = as_text(raw),
            "response.model" => self.call.response_model = as_text(raw),
            "response.id" => self.call.response_id = as_text(raw),
            "response.finish_reasons" => self.call.finish_reason = first(raw),
            "request.stream" => self.call.streaming = Some(raw == "true"),
            "usage.input_tokens" => self.usage.input_tokens = as_count(raw),
            "usage.output_tokens" => self.usage.output_tokens = as_count(raw),
            "usage.prompt_tokens" => fill(&mut self.usage.input_tokens, as_count(raw)),
            "usage.completion_tokens" => fill(&mut self.usage.output_tokens, as_count(raw)),
            "usage.cache_read.input_tokens" | "usage.cache_read_input_tokens" => {
                self.usage.input_cache_read = as_count(raw);
            }
            "usage.cache_creation.input_tokens" | "usage.cache_creation_input_tokens" => {
                self.usage.input_cache_write = as_count(raw);
            }
            "usage.reasoning.output_tokens" => self.usage.output_reasoning = as_count(raw),
            "usage.cost" => self.cost.estimated_cost = as_number(raw),
            "input.messages" => self.input(3, raw),
            "output.messages" => self.output(3, raw),
            "prompt" => self.input(1, raw),
            "completion" => self.output(1, raw),
            "tool.call.arguments" => self.input(2, raw),
            "tool.call.result" => self.output(2, raw),
            "tool.name" | "agent.name" | "workflow.name" => self.entity_name = as_text(raw),
            "agent.id" => self.entity_id = as_text(raw),
            "conversation.id" => self.thread = Some(raw),
            _ => {
                if let Some(parameter) = name.strip_prefix("request.") {
                    self.parameter(parameter, raw);
                } else if let Some(path) = name.strip_prefix("prompt.") {
                    self.input_messages.take(path, raw);
                } else if let Some(path) = name.strip_prefix("completion.") {
                    self.output_messages.take(path, raw);
                }
            }
        }
    }

    /// OpenInference and OpenLLMetry.
    fn llm(&mut self, name: &str, raw: &'a str) {
        match name {
            "model_name" => fill(&mut self.call.model, as_text(raw)),
            "provider" => fill(&mut self.call.provider, as_text(raw)),
            "system" => fill(&mut self.call.provider, as_text(raw)),
            "request.type" => self.span_type(1, operation(text(raw))),
            "invocation_parameters" => fill(&mut self.call.parameters, embedded_object(raw)),
            "token_count.prompt" => fill(&mut self.usage.input_tokens, as_count(raw)),
            "token_count.completion" => fill(&mut self.usage.output_tokens, as_count(raw)),
            "token_count.prompt_details.cache_read" => {
                fill(&mut self.usage.input_cache_read, as_count(raw));
            }
            "token_count.prompt_details.cache_write" => {
                fill(&mut self.usage.input_cache_write, as_count(raw));
            }
            "token_count.completion_details.reasoning" => {
                fill(&mut self.usage.output_reasoning, as_count(raw));
            }
            "cost.total" => fill(&mut self.cost.estimated_cost, as_number(raw)),
            _ => {
                if let Some(path) = name.strip_prefix("input_messages.") {
                    self.input_messages.take(path, raw);
                } else if let Some(path) = name.strip_prefix("output_messages.") {
                    self.output_messages.take(path, raw);
                }
            }
        }
    }

    fn others(&mut self, key: &str, raw: &'a str) {
        match key {
            "mastra.span.type" => self.span_type(9, Some(text(raw))),
            "openinference.span.kind" => self.span_type(3, open_inference(text(raw))),
            "langfuse.observation.type" => self.span_type(3, langfuse(text(raw))),
            "traceloop.span.kind" => self.span_type(2, traceloop(text(raw))),
            "input.value" => self.input(2, raw),
            "output.value" => self.output(2, raw),
            "langfuse.observation.input" => self.input(2, raw),
            "langfuse.observation.output" => self.output(2, raw),
            "traceloop.entity.input" => self.input(2, raw),
            "traceloop.entity.output" => self.output(2, raw),
            "langfuse.observation.model.name" => fill(&mut self.call.model, as_text(raw)),
            "langfuse.observation.model.parameters" => {
                fill(&mut self.call.parameters, embedded_object(raw));
            }
            "traceloop.entity.name" | "agent.name" | "tool.name" => {
                fill(&mut self.entity_name, as_text(raw));
            }
            "user.id" | "langfuse.user.id" | "enduser.id" => self.user = Some(raw),
            "session.id" | "langfuse.session.id" => self.session = Some(raw),
            "tag.tags" | "langfuse.trace.tags" | "mastra.tags" => self.tags = texts(raw),
            "server.address" => self.call.server_address = as_text(raw),
            "server.port" => {
                self.call.server_port = as_count(raw).and_then(|port| u16::try_from(port).ok());
            }
            _ => {}
        }
    }

    fn span_type(&mut self, rank: u8, span_type: Option<&'a str>) {
        if let Some(span_type) = span_type.filter(|span_type| !span_type.is_empty())
            && self.span_type.is_none_or(|(known, _)| known < rank)
        {
            self.span_type = Some((rank, span_type));
        }
    }

    fn input(&mut self, rank: u8, raw: &'a str) {
        keep(&mut self.input, rank, raw);
    }

    fn output(&mut self, rank: u8, raw: &'a str) {
        keep(&mut self.output, rank, raw);
    }

    /// `gen_ai.request.max_tokens` as a member of `parameters`, by the name that it has in Mastra.
    fn parameter(&mut self, name: &str, raw: &str) {
        let name = match name {
            "max_tokens" => "maxOutputTokens",
            "temperature" => "temperature",
            "top_p" => "topP",
            "top_k" => "topK",
            "frequency_penalty" => "frequencyPenalty",
            "presence_penalty" => "presencePenalty",
            "stop_sequences" => "stopSequences",
            "seed" => "seed",
            _ => return,
        };
        self.parameters
            .push(if self.parameters.is_empty() { '{' } else { ',' });
        self.parameters.push_str(&format!("\"{name}\":{raw}"));
    }

    /// Fills what is still empty.
    pub(super) fn fill(mut self, span: &mut Span<'a>) {
        if span.error.is_none() {
            span.error = span.otel.as_deref().and_then(error);
        }
        if !self.parameters.is_empty() {
            self.parameters.push('}');
            fill(&mut self.call.parameters, Some(Cow::Owned(self.parameters)));
        }
        if self.usage != Usage::default() {
            self.call.usage = Some(self.usage);
        }
        if self.cost.estimated_cost.is_some() {
            // Both conventions that have a cost have it in dollars.
            self.cost.cost_unit = Some(Cow::Borrowed("USD"));
            self.call.cost = Some(self.cost);
        }
        if span.model.is_none() && self.call != ModelCall::default() {
            span.model = Some(self.call);
        }
        if span.span_type == UNTYPED
            && let Some((_, span_type)) = self.span_type
        {
            span.span_type = Cow::Borrowed(span_type);
        }
        fill(&mut span.input, self.input.map(|(_, json)| json));
        fill(&mut span.output, self.output.map(|(_, json)| json));
        if span.input.is_none() {
            span.input = self.input_messages.into_json();
        }
        if span.output.is_none() {
            span.output = self.output_messages.into_json();
        }
        fill(&mut span.entity.entity_name, self.entity_name);
        fill(&mut span.entity.entity_id, self.entity_id);
        fill(&mut span.tags, self.tags);
        if span.metadata.is_none() {
            span.metadata = metadata(&[
                ("userId", self.user),
                ("sessionId", self.session),
                ("threadId", self.thread),
            ]);
        }
    }
}

fn fill<T>(slot: &mut Option<T>, value: Option<T>) {
    if slot.is_none() {
        *slot = value;
    }
}

fn keep<'a>(slot: &mut Option<(u8, Json<'a>)>, rank: u8, raw: &'a str) {
    if slot.as_ref().is_none_or(|(known, _)| *known < rank) {
        *slot = Some((rank, embedded(raw)));
    }
}

/// The inside of a text without escapes, as the names of conventions are; else nothing.
fn text(raw: &str) -> &str {
    raw.strip_prefix('"')
        .and_then(|raw| raw.strip_suffix('"'))
        .filter(|text| !text.contains('\\'))
        .unwrap_or_default()
}

/// Attributes hold JSON as text: an object or an array in it is the value, anything else is the text itself.
fn embedded(raw: &str) -> Json<'_> {
    let Some(text) = as_text(raw) else {
        return Cow::Borrowed(raw);
    };
    let is_json = text.trim_start().starts_with(['{', '[']) && is_value(&text);
    if is_json { text } else { Cow::Borrowed(raw) }
}

fn embedded_object(raw: &str) -> Option<Json<'_>> {
    Some(embedded(raw)).filter(|json| json.trim_start().starts_with('{'))
}

fn texts(raw: &str) -> Option<Vec<Text<'_>>> {
    let mut found = Vec::new();
    array(raw, MAX_VALUE_DEPTH, |element| {
        found.extend(as_text(element));
    })
    .ok()?;
    (!found.is_empty()).then_some(found)
}

fn first(raw: &str) -> Option<Text<'_>> {
    texts(raw)?.into_iter().next()
}

fn metadata<'a>(members: &[(&str, Option<&str>)]) -> Option<Json<'a>> {
    let written: Vec<String> = members
        .iter()
        .filter_map(|(name, raw)| Some(format!("\"{name}\":{}", (*raw)?)))
        .collect();
    (!written.is_empty()).then(|| Cow::Owned(format!("{{{}}}", written.join(","))))
}

/// `gen_ai.operation.name`, `llm.request.type`
fn operation(name: &str) -> Option<&str> {
    Some(match name {
        "chat" | "generate_content" | "text_completion" | "completion" => "model_generation",
        "embeddings" | "embedding" => "rag_embedding",
        "invoke_agent" | "create_agent" => "agent_run",
        "execute_tool" => "tool_call",
        "invoke_workflow" => "workflow_run",
        "retrieval" => "rag_vector_operation",
        "agent_step" => "model_step",
        _ => return None,
    })
}

/// `openinference.span.kind`
fn open_inference(kind: &str) -> Option<&str> {
    Some(match kind {
        "LLM" => "model_generation",
        "EMBEDDING" => "rag_embedding",
        "RETRIEVER" => "rag_vector_operation",
        "RERANKER" => "rag_action",
        "TOOL" => "tool_call",
        "AGENT" => "agent_run",
        "CHAIN" => "workflow_step",
        "EVALUATOR" => "scorer_run",
        "GUARDRAIL" => "processor_run",
        _ => return None,
    })
}

/// `langfuse.observation.type`
fn langfuse(kind: &str) -> Option<&str> {
    Some(match kind {
        "generation" => "model_generation",
        "embedding" => "rag_embedding",
        "retriever" => "rag_vector_operation",
        "tool" => "tool_call",
        "agent" => "agent_run",
        "chain" => "workflow_step",
        "evaluator" => "scorer_run",
        "guardrail" => "processor_run",
        _ => return None,
    })
}

/// `traceloop.span.kind`
fn traceloop(kind: &str) -> Option<&str> {
    Some(match kind {
        "workflow" => "workflow_run",
        "task" => "workflow_step",
        "agent" => "agent_run",
        "tool" => "tool_call",
        _ => return None,
    })
}

/// The exception event of a span that failed, else its status.
fn error<'a>(otel: &OtelSpan<'a>) -> Option<ErrorInfo<'a>> {
    if otel.status_code != StatusCode::Error {
        return None;
    }
    let mut info = ErrorInfo {
        message: otel.status_message.clone(),
        ..ErrorInfo::default()
    };
    let exception = otel.events.iter().rfind(|event| event.name == "exception");
    if let Some(Cow::Borrowed(raw)) = exception.and_then(|event| event.attributes.as_ref()) {
        let raw: &'a str = raw;
        let _ = members("attributes", raw, |key, value| {
            match &*key {
                "exception.message" => info.message = as_text(value).unwrap_or_default(),
                "exception.type" => info.error_name = as_text(value),
                "exception.stacktrace" => info.stack = as_text(value),
                _ => {}
            }
            Ok(())
        });
    }
    Some(info)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventKind;
    use crate::event::decode;

    fn span(attributes: &str, otel: &str) -> Span<'static> {
        let text = format!(
            r#"{{"id":"1","traceId":"2","name":"n","type":"generic","startTime":"2026-01-01T00:00:00Z","endTime":"2026-01-01T00:00:01Z","attributes":{attributes},"otel":{otel}}}"#
        );
        decode::span(EventKind::SpanEnded, Box::leak(text.into_boxed_str())).unwrap()
    }

    #[test]
    fn the_four_sets_of_names_say_the_same() {
        let genai = r#"{"gen_ai.operation.name":"chat","gen_ai.provider.name":"openai","gen_ai.request.model":"m",
            "gen_ai.usage.input_tokens":7,"gen_ai.usage.output_tokens":5,"gen_ai.usage.cache_read.input_tokens":2,
            "gen_ai.input.messages":"[{\"role\":\"user\"}]","gen_ai.output.messages":"[1]"}"#;
        let old_genai = r#"{"gen_ai.operation.name":"chat","gen_ai.system":"openai","gen_ai.request.model":"m",
            "gen_ai.usage.prompt_tokens":7,"gen_ai.usage.completion_tokens":5,"gen_ai.usage.cache_read_input_tokens":2,
            "gen_ai.prompt":"[{\"role\":\"user\"}]","gen_ai.completion":"[1]"}"#;
        let open_inference = r#"{"openinference.span.kind":"LLM","llm.provider":"openai","llm.model_name":"m",
            "llm.token_count.prompt":7,"llm.token_count.completion":5,"llm.token_count.prompt_details.cache_read":2,
            "input.value":"[{\"role\":\"user\"}]","output.value":"[1]"}"#;
        let langfuse = r#"{"langfuse.observation.type":"generation","gen_ai.system":"openai",
            "langfuse.observation.model.name":"m","gen_ai.usage.input_tokens":7,"gen_ai.usage.output_tokens":5,
            "gen_ai.usage.cache_read_input_tokens":2,
            "langfuse.observation.input":"[{\"role\":\"user\"}]","langfuse.observation.output":"[1]"}"#;
        for attributes in [genai, old_genai, open_inference, langfuse] {
            let span = span(attributes, "{}");
            assert_eq!(span.span_type, "model_generation", "{attributes}");
            let model = span.model.unwrap();
            assert_eq!(
                (model.model.as_deref(), model.provider.as_deref()),
                (Some("m"), Some("openai")),
                "{attributes}"
            );
            let usage = model.usage.unwrap();
            assert_eq!(
                (
                    usage.input_tokens,
                    usage.output_tokens,
                    usage.input_cache_read
                ),
                (Some(7), Some(5), Some(2))
            );
            assert_eq!(span.input.as_deref(), Some(r#"[{"role":"user"}]"#));
            assert_eq!(span.output.as_deref(), Some("[1]"));
            // What was recognised stays where it was.
            assert_eq!(span.attributes.as_deref(), Some(attributes));
        }
    }

    #[test]
    fn messages_that_are_spread_over_attributes_fill_in_where_nothing_else_does() {
        let open_inference = r#"{"llm.input_messages.0.message.role":"user","llm.input_messages.0.message.content":"hi",
            "llm.output_messages.0.message.content":"hello"}"#;
        let open_llmetry = r#"{"gen_ai.prompt.0.role":"user","gen_ai.prompt.0.content":"hi","gen_ai.completion.0.content":"hello"}"#;
        for attributes in [open_inference, open_llmetry] {
            let span = span(attributes, "{}");
            let input = span.input.as_deref();
            assert_eq!(input, Some(r#"[{"content":"hi","role":"user"}]"#));
            assert_eq!(span.output.as_deref(), Some(r#"[{"content":"hello"}]"#));
            assert_eq!(span.attributes.as_deref(), Some(attributes));
        }
        let both = r#"{"gen_ai.prompt.0.content":"hi","input.value":"whole"}"#;
        assert_eq!(span(both, "{}").input.as_deref(), Some("\"whole\""));
    }

    #[test]
    fn a_tool_an_agent_and_its_user_are_recognised() {
        let tool = span(
            r#"{"gen_ai.operation.name":"execute_tool","gen_ai.tool.name":"search","gen_ai.tool.call.arguments":"not json","gen_ai.request.temperature":0.5,"gen_ai.request.max_tokens":9}"#,
            "{}",
        );
        assert_eq!(tool.span_type, "tool_call");
        assert_eq!(tool.entity.entity_name.as_deref(), Some("search"));
        assert_eq!(tool.input.as_deref(), Some("\"not json\""));
        assert_eq!(
            tool.model.unwrap().parameters.as_deref(),
            Some(r#"{"temperature":0.5,"maxOutputTokens":9}"#)
        );
        let agent = span(
            r#"{"traceloop.span.kind":"agent","traceloop.entity.name":"planner","user.id":"u1","session.id":"s1","tag.tags":["a","b"]}"#,
            "{}",
        );
        assert_eq!(agent.span_type, "agent_run");
        assert_eq!(
            agent.metadata.as_deref(),
            Some(r#"{"userId":"u1","sessionId":"s1"}"#)
        );
        assert_eq!(agent.tags.unwrap(), ["a", "b"]);
    }

    #[test]
    fn a_failed_span_has_its_exception() {
        let otel = r#"{"status":{"code":"error","message":"short"},"events":[{"time":"2026-01-01T00:00:00Z","name":"exception","attributes":{"exception.type":"E","exception.message":"long"}}]}"#;
        let error = span("{}", otel).error.unwrap();
        assert_eq!(
            (&*error.message, error.error_name.as_deref()),
            ("long", Some("E"))
        );
        let error = span("{}", r#"{"status":{"code":"error","message":"short"}}"#).error;
        assert_eq!(error.unwrap().message, "short");
        assert!(span("{}", r#"{"status":{"code":"ok"}}"#).error.is_none());
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_unknown_names_change_nothing() {
        let odd = span(
            r#"{"gen_ai.operation.name":7,"gen_ai.usage.input_tokens":"many","gen_ai.response.finish_reasons":"stop","http.method":"GET","tag.tags":5}"#,
            "{}",
        );
        assert_eq!(odd.span_type, "generic");
        assert!(odd.model.is_none() && odd.tags.is_none() && odd.metadata.is_none());
    }
}
