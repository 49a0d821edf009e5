//! A Mastra span as OpenTelemetry sees it, by the GenAI semantic conventions (v1.41.1,
//! <https://github.com/open-telemetry/semantic-conventions/tree/v1.41.1/docs/gen-ai>) and the names that Mastra's own OTel
//! exporter gives to what the conventions lack. What came from an OTLP sender keeps its own name, kind, status and
//! attributes.
//!
//! Input, output and metadata are the caller's: backends want them under different keys. See [`input_output`].

use std::borrow::Cow;

use mastra_exporter_sdk::raw::{Kind, kind, members};
use mastra_exporter_sdk::records::{ModelCall, Span, SpanKind, StatusCode, Usage};

use crate::attributes::{Attributes, Key};

/// Which spans stand for the call of a model. Mastra emits a generation for the whole loop of an agent and an inference
/// for each call inside; counting the tokens of both would count them twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conventions {
    /// The span type of the call.
    call_type: &'static str,
}

impl Conventions {
    /// `model_inference` is the call: current Mastra.
    pub const INFERENCE: Self = Self {
        call_type: "model_inference",
    };
    /// `model_generation` is the call: Mastra before it had inference spans.
    pub const GENERATION: Self = Self {
        call_type: "model_generation",
    };
}

/// A span's name in two parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanName<'a> {
    /// Before the text and a space.
    pub operation: Option<&'a str>,
    /// The rest.
    pub text: Cow<'a, str>,
}

/// How a span's input and output are to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputOutput {
    /// Messages to and from a model: `gen_ai.input.messages`, `gen_ai.output.messages`.
    Messages,
    /// A tool's arguments and result: `gen_ai.tool.call.arguments`, `gen_ai.tool.call.result`.
    ToolCall,
    /// Anything else, under a key of the backend.
    Own,
}

/// What the conventions need of a span's metadata.
#[derive(Clone, Copy, Debug, Default)]
pub struct MetadataFacts<'a> {
    /// `threadId`, JSON text of a string that is not empty.
    pub thread_id: Option<&'a str>,
    /// `toolCallId`, JSON text.
    pub tool_call_id: Option<&'a str>,
}

impl Conventions {
    /// `gen_ai.operation.name`
    #[must_use]
    pub fn operation(self, span_type: &str) -> &str {
        match span_type {
            _ if span_type == self.call_type => "chat",
            "rag_embedding" => "embeddings",
            "agent_run" => "invoke_agent",
            "workflow_run" => "invoke_workflow",
            "model_step" => "agent_step",
            _ if is_tool(span_type) => "execute_tool",
            _ => span_type,
        }
    }

    /// `operation identifier` when there is an identifier, else the span's own name without what metric and label
    /// systems choke on.
    #[must_use]
    pub fn name(self, span: &Span) -> SpanName<'_> {
        if span.otel.is_some() {
            return SpanName {
                operation: None,
                text: Cow::Borrowed(&span.name),
            };
        }
        let entity = &span.entity;
        let identifier = match span.span_type.as_str() {
            "model_generation" | "model_inference" | "rag_embedding" => {
                span.model.as_ref().and_then(|call| call.model.as_ref())
            }
            "workflow_step" => entity.entity_id.as_ref(),
            "workflow_run" => entity.entity_name.as_ref().or(entity.entity_id.as_ref()),
            other if other.starts_with("workflow_") => None,
            _ => entity.entity_name.as_ref().or(entity.entity_id.as_ref()),
        };
        let operation = self.operation(&span.span_type);
        match identifier {
            Some(identifier) if !identifier.is_empty() => SpanName {
                operation: Some(operation),
                text: Cow::Borrowed(identifier),
            },
            _ => {
                let text = plain_name(&span.name);
                let text = if text.is_empty() {
                    Cow::Borrowed(operation)
                } else {
                    text
                };
                SpanName {
                    operation: None,
                    text,
                }
            }
        }
    }

    /// Calls of models and remote tools leave the process.
    #[must_use]
    pub fn span_kind(self, span: &Span) -> SpanKind {
        if let Some(otel) = &span.otel {
            return otel.kind;
        }
        match span.span_type.as_str() {
            "rag_embedding" | "mcp_tool_call" => SpanKind::Client,
            "mcp_server_request" => SpanKind::Server,
            span_type if span_type == self.call_type => SpanKind::Client,
            _ => SpanKind::Internal,
        }
    }

    /// How input and output are shown.
    #[must_use]
    pub fn input_output(self, span_type: &str) -> InputOutput {
        if span_type == self.call_type {
            InputOutput::Messages
        } else if is_tool(span_type) {
            InputOutput::ToolCall
        } else {
            InputOutput::Own
        }
    }

    /// Whether the span is a model's call in the sense of these conventions.
    #[must_use]
    pub fn is_call(self, span: &Span) -> bool {
        span.span_type == self.call_type
    }

    /// All attributes but those of input, output and metadata, and those that [`has_named_attributes`] speaks of.
    pub fn attributes<S: Attributes>(self, span: &Span, facts: MetadataFacts<'_>, sink: &mut S) {
        if span.otel.is_some() {
            for (key, value) in members(span.attributes.as_deref().unwrap_or("{}")) {
                sink.value(Key::under("", key), value);
            }
            return;
        }
        let span_type = span.span_type.as_str();
        sink.text(Key::of("gen_ai.operation.name"), self.operation(span_type));
        sink.text(Key::of("mastra.span.type"), span_type);
        if let Some(thread_id) = facts.thread_id {
            sink.json_as_text(Key::of("gen_ai.conversation.id"), thread_id);
        }
        if self.is_call(span) {
            entity_attributes(span, sink);
            if let Some(call) = &span.model {
                call_attributes(call, sink);
            }
        } else if span_type == "rag_embedding"
            && let Some(call) = &span.model
        {
            request_attributes(call, sink);
        } else if span_type == "agent_run" {
            entity_attributes(span, sink);
        } else if is_tool(span_type) {
            tool_attributes(span, facts, sink);
        } else if span_type == "workflow_step"
            && let Some(step) = &span.entity.entity_id
        {
            sink.text(Key::of("mastra.workflow_step.step_id"), step);
        }
        own_attributes(span, facts, sink);
        error_attributes(span, sink);
    }
}

/// The status: what an OTLP sender said, an error, ended well, or unset for a point in time.
#[must_use]
pub fn status(span: &Span) -> (StatusCode, &str) {
    if let Some(otel) = &span.otel {
        return (otel.status.code, &otel.status.message);
    }
    match (&span.error, span.end_time) {
        (Some(error), _) => (StatusCode::Error, &error.message),
        (None, Some(_)) => (StatusCode::Ok, ""),
        (None, None) => (StatusCode::Unset, ""),
    }
}

fn is_tool(span_type: &str) -> bool {
    matches!(
        span_type,
        "tool_call" | "mcp_tool_call" | "provider_tool_call" | "client_tool_call"
    )
}

/// Letters, digits, dot, underscore, space and dash.
fn plain_name(name: &str) -> Cow<'_, str> {
    let is_plain =
        |character: char| character.is_alphanumeric() || matches!(character, '.' | '_' | ' ' | '-');
    if name.chars().all(is_plain) {
        Cow::Borrowed(name)
    } else {
        Cow::Owned(
            name.chars()
                .filter(|character| is_plain(*character))
                .collect(),
        )
    }
}

fn entity_attributes<S: Attributes>(span: &Span, sink: &mut S) {
    text_if(sink, "gen_ai.agent.id", span.entity.entity_id.as_ref());
    text_if(sink, "gen_ai.agent.name", span.entity.entity_name.as_ref());
}

/// Optional text; an empty one says nothing.
fn text_if<S: Attributes>(sink: &mut S, key: &'static str, text: Option<&String>) {
    if let Some(text) = text
        && !text.is_empty()
    {
        sink.text(Key::of(key), text);
    }
}

fn request_attributes<S: Attributes>(call: &ModelCall, sink: &mut S) {
    text_if(sink, "gen_ai.request.model", call.model.as_ref());
    if let Some(provider) = &call.provider {
        sink.text(Key::of("gen_ai.provider.name"), &provider_name(provider));
    }
    if let Some(usage) = &call.usage {
        usage_attributes(usage, sink);
    }
}

fn call_attributes<S: Attributes>(call: &ModelCall, sink: &mut S) {
    request_attributes(call, sink);
    for (key, value) in members(call.parameters.as_deref().unwrap_or("{}")) {
        let name = match key {
            "temperature" => "gen_ai.request.temperature",
            "maxOutputTokens" => "gen_ai.request.max_tokens",
            "topP" => "gen_ai.request.top_p",
            "topK" => "gen_ai.request.top_k",
            "presencePenalty" => "gen_ai.request.presence_penalty",
            "frequencyPenalty" => "gen_ai.request.frequency_penalty",
            "stopSequences" => "gen_ai.request.stop_sequences",
            "seed" => "gen_ai.request.seed",
            _ => continue,
        };
        sink.scalar(Key::of(name), value);
    }
    if let Some(reason) = &call.finish_reason {
        sink.built(Key::of("gen_ai.response.finish_reasons"), |text| {
            text.array([reason], |text, reason| {
                text.string(reason);
            });
        });
    }
    text_if(sink, "gen_ai.response.model", call.response_model.as_ref());
    text_if(sink, "gen_ai.response.id", call.response_id.as_ref());
    text_if(sink, "server.address", call.server_address.as_ref());
    if let Some(port) = call.server_port {
        sink.integer(Key::of("server.port"), u64::from(port));
    }
}

fn usage_attributes<S: Attributes>(usage: &Usage, sink: &mut S) {
    for (key, count) in [
        ("gen_ai.usage.input_tokens", usage.input_tokens),
        ("gen_ai.usage.output_tokens", usage.output_tokens),
        ("gen_ai.usage.reasoning_tokens", usage.output_reasoning),
        (
            "gen_ai.usage.cache_read.input_tokens",
            usage.input_cache_read,
        ),
        (
            "gen_ai.usage.cache_creation.input_tokens",
            usage.input_cache_write,
        ),
        (
            "gen_ai.usage.cache_creation.5m_input_tokens",
            usage.input_cache_write_short,
        ),
        (
            "gen_ai.usage.cache_creation.1h_input_tokens",
            usage.input_cache_write_long,
        ),
        ("gen_ai.usage.audio_input_tokens", usage.input_audio),
        ("gen_ai.usage.audio_output_tokens", usage.output_audio),
    ] {
        if let Some(count) = count {
            sink.integer(Key::of(key), count);
        }
    }
}

fn tool_attributes<S: Attributes>(span: &Span, facts: MetadataFacts<'_>, sink: &mut S) {
    text_if(
        sink,
        "gen_ai.tool.name",
        span.entity
            .entity_name
            .as_ref()
            .or(span.entity.entity_id.as_ref()),
    );
    let own_id =
        mastra_exporter_sdk::raw::member(span.attributes.as_deref().unwrap_or("{}"), "toolCallId");
    if let Some(id) = own_id
        .filter(|id| says_something(id))
        .or(facts.tool_call_id.filter(|id| says_something(id)))
    {
        sink.json_as_text(Key::of("gen_ai.tool.call.id"), id);
    }
}

/// Not null and not the empty string.
fn says_something(json: &str) -> bool {
    !matches!(json, "null" | "\"\"")
}

fn error_attributes<S: Attributes>(span: &Span, sink: &mut S) {
    let Some(error) = &span.error else { return };
    let class = error
        .error_id
        .as_ref()
        .or(error.error_name.as_ref())
        .filter(|class| !class.is_empty());
    sink.text(
        Key::of("error.type"),
        class.map_or("unknown", String::as_str),
    );
    sink.text(Key::of("error.message"), &error.message);
    text_if(sink, "error.domain", error.domain.as_ref());
    text_if(sink, "error.category", error.category.as_ref());
}

/// The attributes of the span's own type that the conventions or Mastra's OTel exporter name.
fn own_attributes<S: Attributes>(span: &Span, facts: MetadataFacts<'_>, sink: &mut S) {
    let Some(fields) = fields_of(&span.span_type) else {
        return;
    };
    for (key, value) in members(span.attributes.as_deref().unwrap_or("{}")) {
        if key == "conversationId" && facts.thread_id.is_some() || !says_something(value) {
            continue;
        }
        for (_, name) in fields.iter().filter(|(from, _)| *from == key) {
            sink.scalar(Key::of(name), value);
        }
    }
}

/// Whether the conventions or Mastra's OTel exporter name the attributes of this span type. Those of the others (processors,
/// scorers, memory, retrieval, ..., types to come) are the caller's: without it they are lost.
#[must_use]
pub fn has_named_attributes(span_type: &str) -> bool {
    fields_of(span_type).is_some() || matches!(span_type, "model_inference" | "model_generation")
}

/// Attribute of the event, attribute of the span.
type Field = (&'static str, &'static str);

/// The attributes of a span type that have a name of their own.
fn fields_of(span_type: &str) -> Option<&'static [Field]> {
    Some(match span_type {
        "agent_run" => AGENT_RUN,
        "tool_call" | "provider_tool_call" | "client_tool_call" => TOOL_CALL,
        "mcp_tool_call" => MCP_TOOL_CALL,
        "mcp_server_request" => MCP_SERVER_REQUEST,
        "model_step" => MODEL_STEP,
        "rag_embedding" => RAG_EMBEDDING,
        "workflow_run" => WORKFLOW_RUN,
        "workflow_step" => WORKFLOW_STEP,
        "workflow_conditional" => WORKFLOW_CONDITIONAL,
        "workflow_conditional_eval" => WORKFLOW_CONDITIONAL_EVAL,
        "workflow_parallel" => WORKFLOW_PARALLEL,
        "workflow_loop" => WORKFLOW_LOOP,
        "workflow_sleep" => WORKFLOW_SLEEP,
        "workflow_wait_event" => WORKFLOW_WAIT_EVENT,
        _ => return None,
    })
}

const AGENT_RUN: &[Field] = &[
    ("conversationId", "gen_ai.conversation.id"),
    ("instructions", "gen_ai.system_instructions"),
    ("availableTools", "gen_ai.tool.definitions"),
    ("maxSteps", "mastra.agent_run.max_steps"),
];

const TOOL_CALL: &[Field] = &[
    ("toolDescription", "gen_ai.tool.description"),
    ("toolType", "gen_ai.tool.type"),
];

const MCP_TOOL_CALL: &[Field] = &[
    ("toolDescription", "gen_ai.tool.description"),
    ("toolType", "gen_ai.tool.type"),
    ("mcpServer", "server.address"),
    ("mcpServer", "mastra.mcp_tool_call.server_name"),
    ("serverVersion", "mastra.mcp_tool_call.server_version"),
];

const MCP_SERVER_REQUEST: &[Field] = &[
    ("mcpMethod", "mcp.method.name"),
    ("mcpProtocolVersion", "mcp.protocol.version"),
    ("mcpServer", "mastra.mcp_server_request.server_name"),
    ("serverVersion", "mastra.mcp_server_request.server_version"),
    ("targetName", "mastra.mcp_server_request.target_name"),
    ("clientName", "mastra.mcp_server_request.client_name"),
    ("clientVersion", "mastra.mcp_server_request.client_version"),
];

const MODEL_STEP: &[Field] = &[
    ("stepIndex", "mastra.model_step.step_index"),
    ("isContinued", "mastra.model_step.is_continued"),
];

const RAG_EMBEDDING: &[Field] = &[
    ("dimensions", "gen_ai.embeddings.dimension.count"),
    ("dimensions", "mastra.rag_embedding.dimensions"),
    ("mode", "mastra.rag_embedding.mode"),
    ("inputCount", "mastra.rag_embedding.input_count"),
];

const WORKFLOW_RUN: &[Field] = &[("status", "mastra.workflow_run.status")];

const WORKFLOW_STEP: &[Field] = &[
    ("status", "mastra.workflow_step.status"),
    ("entryDescription", "mastra.workflow_step.entry_description"),
    ("entryMetadata", "mastra.workflow_step.entry_metadata"),
];

const WORKFLOW_CONDITIONAL: &[Field] = &[
    (
        "conditionCount",
        "mastra.workflow_conditional.condition_count",
    ),
    (
        "truthyIndexes",
        "mastra.workflow_conditional.truthy_indexes",
    ),
    (
        "selectedSteps",
        "mastra.workflow_conditional.selected_steps",
    ),
    ("entryId", "mastra.workflow_conditional.entry_id"),
    (
        "entryDescription",
        "mastra.workflow_conditional.entry_description",
    ),
    (
        "entryMetadata",
        "mastra.workflow_conditional.entry_metadata",
    ),
];

const WORKFLOW_CONDITIONAL_EVAL: &[Field] = &[
    (
        "conditionIndex",
        "mastra.workflow_conditional_eval.condition_index",
    ),
    ("result", "mastra.workflow_conditional_eval.result"),
];

const WORKFLOW_PARALLEL: &[Field] = &[
    ("branchCount", "mastra.workflow_parallel.branch_count"),
    ("parallelSteps", "mastra.workflow_parallel.parallel_steps"),
    ("entryId", "mastra.workflow_parallel.entry_id"),
    (
        "entryDescription",
        "mastra.workflow_parallel.entry_description",
    ),
    ("entryMetadata", "mastra.workflow_parallel.entry_metadata"),
];

const WORKFLOW_LOOP: &[Field] = &[
    ("loopType", "mastra.workflow_loop.loop_type"),
    ("iteration", "mastra.workflow_loop.iteration"),
    ("totalIterations", "mastra.workflow_loop.total_iterations"),
    ("concurrency", "mastra.workflow_loop.concurrency"),
    ("entryId", "mastra.workflow_loop.entry_id"),
    ("entryDescription", "mastra.workflow_loop.entry_description"),
    ("entryMetadata", "mastra.workflow_loop.entry_metadata"),
];

const WORKFLOW_SLEEP: &[Field] = &[
    ("durationMs", "mastra.workflow_sleep.duration_ms"),
    ("untilDate", "mastra.workflow_sleep.until_date"),
    ("sleepType", "mastra.workflow_sleep.sleep_type"),
    ("entryId", "mastra.workflow_sleep.entry_id"),
    (
        "entryDescription",
        "mastra.workflow_sleep.entry_description",
    ),
    ("entryMetadata", "mastra.workflow_sleep.entry_metadata"),
];

const WORKFLOW_WAIT_EVENT: &[Field] = &[
    ("eventName", "mastra.workflow_wait_event.event_name"),
    ("timeoutMs", "mastra.workflow_wait_event.timeout_ms"),
    ("eventReceived", "mastra.workflow_wait_event.event_received"),
    (
        "waitDurationMs",
        "mastra.workflow_wait_event.wait_duration_ms",
    ),
];

/// The conventions' name of a provider, else the given one in lower case.
#[must_use]
pub fn provider_name(provider: &str) -> Cow<'static, str> {
    let lower = provider.to_lowercase();
    let word: String = lower
        .chars()
        .filter(|character| character.is_ascii_lowercase() || character.is_ascii_digit())
        .collect();
    let known = match word.as_str() {
        "anthropic" | "claude" => "anthropic",
        "awsbedrock" | "bedrock" | "amazonbedrock" => "aws.bedrock",
        "azureaiinference" | "azureinference" => "azure.ai.inference",
        "azureaiopenai" | "azureopenai" | "msopenai" | "microsoftopenai" => "azure.ai.openai",
        "cohere" => "cohere",
        "deepseek" => "deepseek",
        "gcpgemini" | "gemini" => "gcp.gemini",
        "gcpgenai" | "googlegenai" | "googleai" => "gcp.gen_ai",
        "gcpvertexai" | "vertexai" => "gcp.vertex_ai",
        "groq" => "groq",
        "ibmwatsonxai" | "watsonx" | "watsonxai" => "ibm.watsonx.ai",
        "mistral" | "mistralai" => "mistral_ai",
        "openai" | "oai" => "openai",
        "perplexity" | "pplx" => "perplexity",
        "xai" => "x_ai",
        _ => return Cow::Owned(lower),
    };
    Cow::Borrowed(known)
}

/// Whether a metadata value can be a thread id: a string that is not empty.
#[must_use]
pub fn is_thread_id(json: &str) -> bool {
    kind(json) == Kind::Text && json != "\"\""
}
