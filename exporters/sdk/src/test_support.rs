//! Records from event JSON, natively, so that a mapping can be tested with recorded events and without a host. It reads
//! what Mastra applications emit (not the OTLP extras) and is lenient: it is no check of events, that is the host's.
//!
//! ```
//! use mastra_exporter_sdk::test_support::batches;
//!
//! let event = r#"{"type":"log","log":{"logId":"l","timestamp":"2023-11-14T22:13:20.000Z","level":"info","message":"hi"}}"#;
//! assert_eq!(batches(event).logs.logs[0].message, "hi");
//! ```

pub mod requests;

use crate::raw::{self, Kind, elements, kind, member, members};
use crate::records::{
    Correlation, Cost, Entity, ErrorInfo, EventResource, FeedbackBatch, FeedbackItem,
    FeedbackValue, Instrument, Log, LogBatch, Metric, MetricBatch, MetricValue, ModelCall,
    Observation, Score, ScoreBatch, Span, SpanBatch, SpanPhase, Usage,
};

/// One batch for each signal, in the order of the events; tokens count from 0 in each.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the five signals, by name")]
pub struct Batches {
    pub spans: SpanBatch,
    pub logs: LogBatch,
    pub metrics: MetricBatch,
    pub scores: ScoreBatch,
    pub feedback: FeedbackBatch,
}

impl Batches {
    /// Keeps the spans for which `wanted` holds.
    pub fn keep_spans(&mut self, wanted: impl FnMut(&Span) -> bool) {
        self.spans.spans.retain(wanted);
        self.spans.tokens.truncate(self.spans.spans.len());
    }
}

/// Reads event envelopes, one a line: `{"type":"span_ended","exportedSpan":{...}}`. Lines that are none are left out.
#[must_use]
pub fn batches(ndjson: &str) -> Batches {
    let mut resources = Vec::new();
    let (mut spans, mut logs, mut metrics, mut scores, mut feedback) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for line in ndjson.lines() {
        let Some(kind) = text(line, "type") else {
            continue;
        };
        let payload = |key| member(line, key).unwrap_or("{}");
        match kind.as_str() {
            "span_started" => spans.push(span(
                SpanPhase::Started,
                payload("exportedSpan"),
                &mut resources,
            )),
            "span_updated" => spans.push(span(
                SpanPhase::Updated,
                payload("exportedSpan"),
                &mut resources,
            )),
            "span_ended" => spans.push(span(
                SpanPhase::Ended,
                payload("exportedSpan"),
                &mut resources,
            )),
            "log" => logs.push(log(payload("log"), &mut resources)),
            "metric" => metrics.push(metric(payload("metric"), &mut resources)),
            "score" => scores.push(score(payload("score"), &mut resources)),
            "feedback" => feedback.push(feedback_item(payload("feedback"), &mut resources)),
            _ => {}
        }
    }
    let tokens = |length: usize| (0..length as u64).collect::<Vec<_>>();
    Batches {
        spans: SpanBatch {
            tokens: tokens(spans.len()),
            spans,
            resources: resources.clone(),
            scopes: Vec::new(),
            ancestors: Vec::new(),
        },
        logs: LogBatch {
            tokens: tokens(logs.len()),
            logs,
            resources: resources.clone(),
            scopes: Vec::new(),
        },
        metrics: MetricBatch {
            tokens: tokens(metrics.len()),
            metrics,
            resources: resources.clone(),
            scopes: Vec::new(),
        },
        scores: ScoreBatch {
            tokens: tokens(scores.len()),
            scores,
            resources: resources.clone(),
        },
        feedback: FeedbackBatch {
            tokens: tokens(feedback.len()),
            feedback,
            resources,
        },
    }
}

fn span(phase: SpanPhase, json: &str, resources: &mut Vec<EventResource>) -> Span {
    let attributes = raw_json(json, "attributes");
    let metadata = raw_json(json, "metadata");
    let parent_span_id = text(json, "parentSpanId");
    Span {
        phase,
        trace_id: text(json, "traceId").unwrap_or_default(),
        span_id: text(json, "id").unwrap_or_default(),
        external_parent_span_id: text(json, "externalParentSpanId"),
        name: text(json, "name").unwrap_or_default(),
        span_type: text(json, "type").unwrap_or_default(),
        entity: entity(
            json,
            ["entityType", "entityId", "entityName", "entityVersionId"],
        ),
        start_time: time(json, "startTime").unwrap_or_default(),
        end_time: time(json, "endTime"),
        is_event: member(json, "isEvent") == Some("true"),
        is_root: member(json, "isRootSpan")
            .map_or(parent_span_id.is_none(), |value| value == "true"),
        is_internal: member(json, "isInternal") == Some("true"),
        parent_span_id,
        resource_index: resource(resources, metadata.as_deref(), None),
        model: attributes.as_deref().and_then(model_call),
        attributes,
        metadata,
        tags: tags(json),
        input: raw_json(json, "input"),
        output: raw_json(json, "output"),
        request_context: raw_json(json, "requestContext"),
        error: member(json, "errorInfo")
            .filter(|value| kind(value) == Kind::Object)
            .map(error_info),
        otel: None,
        extra: extra(
            json,
            &[
                "traceId",
                "id",
                "parentSpanId",
                "externalParentSpanId",
                "name",
                "type",
                "entityType",
                "entityId",
                "entityName",
                "entityVersionId",
                "startTime",
                "endTime",
                "isEvent",
                "isRootSpan",
                "isInternal",
                "attributes",
                "metadata",
                "tags",
                "input",
                "output",
                "requestContext",
                "errorInfo",
            ],
        ),
    }
}

fn model_call(attributes: &str) -> Option<ModelCall> {
    let call = ModelCall {
        model: text(attributes, "model"),
        provider: text(attributes, "provider"),
        response_model: text(attributes, "responseModel"),
        response_id: text(attributes, "responseId"),
        finish_reason: text(attributes, "finishReason"),
        streaming: member(attributes, "streaming").and_then(|value| value.parse().ok()),
        completion_start_time: time(attributes, "completionStartTime"),
        parameters: raw_json(attributes, "parameters"),
        usage: member(attributes, "usage").map(usage),
        cost: cost(attributes),
        server_address: text(attributes, "serverAddress"),
        server_port: member(attributes, "serverPort").and_then(|value| value.parse().ok()),
    };
    let is_empty = call.model.is_none()
        && call.provider.is_none()
        && call.usage.is_none()
        && call.cost.is_none()
        && call.finish_reason.is_none()
        && call.parameters.is_none();
    (!is_empty).then_some(call)
}

fn usage(json: &str) -> Usage {
    let count = |object: &str, key| member(object, key).and_then(|value| value.parse().ok());
    let input = member(json, "inputDetails").unwrap_or("{}");
    let output = member(json, "outputDetails").unwrap_or("{}");
    Usage {
        input_tokens: count(json, "inputTokens"),
        output_tokens: count(json, "outputTokens"),
        input_text: count(input, "text"),
        input_cache_read: count(input, "cacheRead"),
        input_cache_write: count(input, "cacheWrite"),
        input_cache_write_short: count(input, "cacheWrite5m"),
        input_cache_write_long: count(input, "cacheWrite1h"),
        input_audio: count(input, "audio"),
        input_image: count(input, "image"),
        output_text: count(output, "text"),
        output_reasoning: count(output, "reasoning"),
        output_audio: count(output, "audio"),
        output_image: count(output, "image"),
    }
}

fn cost(json: &str) -> Option<Cost> {
    let json = member(json, "costContext").filter(|value| kind(value) == Kind::Object)?;
    Some(Cost {
        provider: text(json, "provider"),
        model: text(json, "model"),
        estimated_cost: number(json, "estimatedCost"),
        cost_unit: text(json, "costUnit"),
        metadata: raw_json(json, "costMetadata"),
    })
}

fn error_info(json: &str) -> ErrorInfo {
    ErrorInfo {
        message: text(json, "message").unwrap_or_default(),
        error_id: text(json, "id"),
        error_name: text(json, "name"),
        stack: text(json, "stack"),
        domain: text(json, "domain"),
        category: text(json, "category"),
        details: raw_json(json, "details"),
        extra: extra(
            json,
            &[
                "message", "id", "name", "stack", "domain", "category", "details",
            ],
        ),
    }
}

fn log(json: &str, resources: &mut Vec<EventResource>) -> Log {
    let metadata = raw_json(json, "metadata");
    let correlation = correlation(json);
    Log {
        log_id: text(json, "logId").unwrap_or_default(),
        time: time(json, "timestamp").unwrap_or_default(),
        trace_id: text(json, "traceId"),
        span_id: text(json, "spanId"),
        level: text(json, "level").unwrap_or_default(),
        message: text(json, "message").unwrap_or_default(),
        data: raw_json(json, "data"),
        tags: tags(json),
        resource_index: resource(resources, metadata.as_deref(), correlation.as_ref()),
        correlation,
        metadata,
        otel: None,
        extra: extra(
            json,
            &[
                "logId",
                "timestamp",
                "traceId",
                "spanId",
                "level",
                "message",
                "data",
                "tags",
                "correlationContext",
                "metadata",
            ],
        ),
    }
}

fn metric(json: &str, resources: &mut Vec<EventResource>) -> Metric {
    let metadata = raw_json(json, "metadata");
    let correlation = correlation(json);
    Metric {
        metric_id: text(json, "metricId").unwrap_or_default(),
        time: time(json, "timestamp").unwrap_or_default(),
        trace_id: text(json, "traceId"),
        span_id: text(json, "spanId"),
        name: text(json, "name").unwrap_or_default(),
        value: MetricValue::Single(Observation {
            value: number(json, "value").unwrap_or_default(),
            instrument: Instrument::Histogram,
        }),
        unit: None,
        labels: members(member(json, "labels").unwrap_or("{}"))
            .map(|(key, value)| {
                (
                    raw::unescape(key).into_owned(),
                    raw::text(value).unwrap_or_default().into_owned(),
                )
            })
            .collect(),
        resource_index: resource(resources, metadata.as_deref(), correlation.as_ref()),
        correlation,
        cost: cost(json),
        metadata,
        otel: None,
        extra: extra(
            json,
            &[
                "metricId",
                "timestamp",
                "traceId",
                "spanId",
                "name",
                "value",
                "labels",
                "correlationContext",
                "costContext",
                "metadata",
            ],
        ),
    }
}

fn score(json: &str, resources: &mut Vec<EventResource>) -> Score {
    let metadata = raw_json(json, "metadata");
    let correlation = correlation(json);
    Score {
        score_id: text(json, "scoreId").unwrap_or_default(),
        time: time(json, "timestamp").unwrap_or_default(),
        trace_id: text(json, "traceId"),
        span_id: text(json, "spanId"),
        scorer_id: text(json, "scorerId").unwrap_or_default(),
        scorer_name: text(json, "scorerName"),
        scorer_version: text(json, "scorerVersion"),
        score_source: text(json, "scoreSource"),
        value: number(json, "score").unwrap_or_default(),
        reason: text(json, "reason"),
        experiment_id: text(json, "experimentId"),
        score_trace_id: text(json, "scoreTraceId"),
        target_entity_type: text(json, "targetEntityType"),
        resource_index: resource(resources, metadata.as_deref(), correlation.as_ref()),
        correlation,
        metadata,
        extra: extra(
            json,
            &[
                "scoreId",
                "timestamp",
                "traceId",
                "spanId",
                "scorerId",
                "scorerName",
                "scorerVersion",
                "scoreSource",
                "score",
                "reason",
                "experimentId",
                "scoreTraceId",
                "targetEntityType",
                "correlationContext",
                "metadata",
            ],
        ),
    }
}

fn feedback_item(json: &str, resources: &mut Vec<EventResource>) -> FeedbackItem {
    let metadata = raw_json(json, "metadata");
    let correlation = correlation(json);
    FeedbackItem {
        feedback_id: text(json, "feedbackId").unwrap_or_default(),
        time: time(json, "timestamp").unwrap_or_default(),
        trace_id: text(json, "traceId"),
        span_id: text(json, "spanId"),
        feedback_source: text(json, "feedbackSource"),
        feedback_type: text(json, "feedbackType").unwrap_or_default(),
        value: match (text(json, "value"), number(json, "value")) {
            (Some(text), _) => FeedbackValue::Text(text),
            (None, number) => FeedbackValue::Number(number.unwrap_or_default()),
        },
        feedback_user_id: text(json, "feedbackUserId"),
        comment: text(json, "comment"),
        source_id: text(json, "sourceId"),
        experiment_id: text(json, "experimentId"),
        resource_index: resource(resources, metadata.as_deref(), correlation.as_ref()),
        correlation,
        metadata,
        extra: extra(
            json,
            &[
                "feedbackId",
                "timestamp",
                "traceId",
                "spanId",
                "feedbackSource",
                "feedbackType",
                "value",
                "feedbackUserId",
                "comment",
                "sourceId",
                "experimentId",
                "correlationContext",
                "metadata",
            ],
        ),
    }
}

fn correlation(json: &str) -> Option<Correlation> {
    let json = member(json, "correlationContext").filter(|value| kind(value) == Kind::Object)?;
    Some(Correlation {
        trace_id: text(json, "traceId"),
        span_id: text(json, "spanId"),
        tags: tags(json),
        entity: entity(
            json,
            ["entityType", "entityId", "entityName", "entityVersionId"],
        ),
        parent_entity: entity(
            json,
            [
                "parentEntityType",
                "parentEntityId",
                "parentEntityName",
                "parentEntityVersionId",
            ],
        ),
        root_entity: entity(
            json,
            [
                "rootEntityType",
                "rootEntityId",
                "rootEntityName",
                "rootEntityVersionId",
            ],
        ),
        user_id: text(json, "userId"),
        organization_id: text(json, "organizationId"),
        resource_id: text(json, "resourceId"),
        run_id: text(json, "runId"),
        session_id: text(json, "sessionId"),
        thread_id: text(json, "threadId"),
        request_id: text(json, "requestId"),
        environment: text(json, "environment"),
        source: text(json, "source"),
        service_name: text(json, "serviceName"),
        experiment_id: text(json, "experimentId"),
        extra: None,
    })
}

fn entity(
    json: &str,
    [entity_type, entity_id, entity_name, entity_version_id]: [&str; 4],
) -> Entity {
    Entity {
        entity_type: text(json, entity_type),
        entity_id: text(json, entity_id),
        entity_name: text(json, entity_name),
        entity_version_id: text(json, entity_version_id),
    }
}

/// As the host does it: Mastra's contexts tell the service name and the environment.
fn resource(
    resources: &mut Vec<EventResource>,
    metadata: Option<&str>,
    correlation: Option<&Correlation>,
) -> Option<u32> {
    let metadata = metadata.unwrap_or("{}");
    let service_name = correlation
        .and_then(|context| context.service_name.clone())
        .or_else(|| text(metadata, "serviceName"));
    let environment = correlation
        .and_then(|context| context.environment.clone())
        .or_else(|| text(metadata, "environment"));
    if service_name.is_none() && environment.is_none() {
        return None;
    }
    let resource = EventResource {
        service_name,
        service_version: None,
        environment,
        project_id: None,
        attributes: None,
        schema_url: None,
        dropped_attributes_count: 0,
        extra: None,
    };
    let index = resources
        .iter()
        .position(|known| *known == resource)
        .unwrap_or_else(|| {
            resources.push(resource);
            resources.len() - 1
        });
    u32::try_from(index).ok()
}

fn extra(json: &str, named: &[&str]) -> Option<String> {
    let mut text = crate::json::JsonText::default();
    let mut object = text.object();
    for (key, value) in members(json).filter(|(key, _)| !named.contains(key)) {
        object.raw(key, value);
    }
    object.end();
    Some(text.into_string()).filter(|extra| extra != "{}")
}

fn text(json: &str, key: &str) -> Option<String> {
    member(json, key)
        .and_then(raw::text)
        .map(std::borrow::Cow::into_owned)
}

fn raw_json(json: &str, key: &str) -> Option<String> {
    member(json, key).map(str::to_owned)
}

fn number(json: &str, key: &str) -> Option<f64> {
    member(json, key).and_then(|value| value.parse().ok())
}

fn tags(json: &str) -> Option<Vec<String>> {
    let tags = member(json, "tags").filter(|value| kind(value) == Kind::Array)?;
    Some(
        elements(tags)
            .filter_map(raw::text)
            .map(std::borrow::Cow::into_owned)
            .collect(),
    )
}

/// Unix nanoseconds of `2026-03-04T05:06:07.000Z`.
fn time(json: &str, key: &str) -> Option<u64> {
    let text = text(json, key)?;
    let part = |from: usize, to: usize| text.get(from..to)?.parse::<u64>().ok();
    let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (shifted_year / 400, shifted_year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    let seconds = days * 86_400 + part(11, 13)? * 3_600 + part(14, 16)? * 60 + part(17, 19)?;
    Some(seconds * 1_000_000_000 + part(20, 23).unwrap_or(0) * 1_000_000)
}
