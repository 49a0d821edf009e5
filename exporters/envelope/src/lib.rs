//! An event as Mastra writes it: names and order of `JSON.stringify` on Mastra's event, typed fields rebuilt, free-form
//! JSON spliced, `extra` merged at the end. What only OTLP senders have goes under `otel` and `resource`, in the spelling
//! that the host reads. Pure. Shared by the exporters whose destination reads Mastra's events: files, the Mastra
//! platform, another host, a webhook.
//!
//! Each signal has two functions: the event with its envelope (`{"type":"log","log":{...}}`), and the record alone.

mod otel;
pub mod reply;

use mastra_exporter_sdk::json::{JsonText, Object};
use mastra_exporter_sdk::raw::members;
use mastra_exporter_sdk::records::{
    Correlation, Cost, Entity, ErrorInfo, EventResource, EventScope, FeedbackItem, FeedbackValue,
    Log, Metric, MetricValue, Score, Span, SpanPhase,
};

/// What the items of a batch share.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Indexed by `resource_index`.
    pub resources: &'a [EventResource],
    /// Indexed by `scope_index`.
    pub scopes: &'a [EventScope],
}

impl Batch<'_> {
    fn resource(&self, index: Option<u32>) -> Option<&EventResource> {
        self.resources.get(usize::try_from(index?).ok()?)
    }

    fn scope(&self, index: Option<u32>) -> Option<&EventScope> {
        self.scopes.get(usize::try_from(index?).ok()?)
    }
}

/// `span_started`, `span_updated` or `span_ended`.
pub fn span(text: &mut JsonText, span: &Span, batch: &Batch<'_>) {
    text.raw(match span.phase {
        SpanPhase::Started => r#"{"type":"span_started","exportedSpan":"#,
        SpanPhase::Updated => r#"{"type":"span_updated","exportedSpan":"#,
        SpanPhase::Ended => r#"{"type":"span_ended","exportedSpan":"#,
    });
    span_record(text, span, batch, |_| {});
    text.raw("}");
}

/// The record of a span; `more` adds members at its end.
pub fn span_record(
    text: &mut JsonText,
    span: &Span,
    batch: &Batch<'_>,
    more: impl FnOnce(&mut Object<'_>),
) {
    let mut object = text.object();
    object
        .string("id", &span.span_id)
        .string("traceId", &span.trace_id)
        .string("name", &span.name);
    object.string("type", &span.span_type);
    entity(&mut object, &span.entity, &OWN);
    object
        .raw_if("attributes", span.attributes.as_ref())
        .raw_if("metadata", span.metadata.as_ref());
    object.time("startTime", span.start_time);
    if let Some(time) = span.end_time {
        object.time("endTime", time);
    }
    object
        .raw_if("input", span.input.as_ref())
        .raw_if("output", span.output.as_ref());
    if let Some(error) = &span.error {
        error_info(object.key("errorInfo"), error);
    }
    object.raw_if("requestContext", span.request_context.as_ref());
    object
        .boolean("isEvent", span.is_event)
        .boolean("isRootSpan", span.is_root);
    object.string_if("parentSpanId", span.parent_span_id.as_ref());
    object.string_if(
        "externalParentSpanId",
        span.external_parent_span_id.as_ref(),
    );
    if span.is_internal {
        object.boolean("isInternal", true);
    }
    tags(&mut object, span.tags.as_deref());
    if let Some(from) = &span.otel {
        otel::span(object.key("otel"), from, batch.scope(from.scope_index));
    }
    otel::resource(&mut object, batch.resource(span.resource_index));
    extra(&mut object, span.extra.as_ref());
    more(&mut object);
    object.end();
}

/// `log`
pub fn log(text: &mut JsonText, log: &Log, batch: &Batch<'_>) {
    text.raw(r#"{"type":"log","log":"#);
    log_record(text, log, batch);
    text.raw("}");
}

/// The record of a log.
pub fn log_record(text: &mut JsonText, log: &Log, batch: &Batch<'_>) {
    let mut object = text.object();
    object
        .string("logId", &log.log_id)
        .time("timestamp", log.time);
    object
        .string("level", &log.level)
        .string("message", &log.message)
        .raw_if("data", log.data.as_ref());
    object
        .string_if("traceId", log.trace_id.as_ref())
        .string_if("spanId", log.span_id.as_ref());
    tags(&mut object, log.tags.as_deref());
    correlation(&mut object, log.correlation.as_ref());
    object.raw_if("metadata", log.metadata.as_ref());
    if let Some(from) = &log.otel {
        otel::log(object.key("otel"), from, batch.scope(from.scope_index));
    }
    otel::resource(&mut object, batch.resource(log.resource_index));
    extra(&mut object, log.extra.as_ref());
    object.end();
}

/// `metric`
pub fn metric(text: &mut JsonText, metric: &Metric, batch: &Batch<'_>) {
    text.raw(r#"{"type":"metric","metric":"#);
    metric_record(text, metric, batch);
    text.raw("}");
}

/// The record of a metric. The host decides instrument and unit of a single observation by its name, so they are not
/// written.
pub fn metric_record(text: &mut JsonText, metric: &Metric, batch: &Batch<'_>) {
    let mut object = text.object();
    object
        .string("metricId", &metric.metric_id)
        .time("timestamp", metric.time);
    object
        .string_if("traceId", metric.trace_id.as_ref())
        .string_if("spanId", metric.span_id.as_ref());
    object.string("name", &metric.name);
    otel::metric_value(object.key("value"), &metric.value);
    if metric.otel.is_some() || !matches!(metric.value, MetricValue::Single(_)) {
        object.string_if("unit", metric.unit.as_ref());
    }
    labels(object.key("labels"), &metric.labels);
    correlation(&mut object, metric.correlation.as_ref());
    if let Some(from) = &metric.cost {
        cost(object.key("costContext"), from, metric.extra.as_deref());
    }
    object.raw_if("metadata", metric.metadata.as_ref());
    if let Some(from) = &metric.otel {
        otel::metric(object.key("otel"), from, batch.scope(from.scope_index));
    }
    otel::resource(&mut object, batch.resource(metric.resource_index));
    for (key, value) in members(metric.extra.as_deref().unwrap_or("{}")) {
        // Members of a cost that is there have been written with it.
        if metric.cost.is_none() || key != "costContext" {
            object.raw(key, value);
        }
    }
    object.end();
}

/// `score`
pub fn score(text: &mut JsonText, score: &Score, batch: &Batch<'_>) {
    text.raw(r#"{"type":"score","score":"#);
    score_record(text, score, batch);
    text.raw("}");
}

/// The record of a score.
pub fn score_record(text: &mut JsonText, score: &Score, batch: &Batch<'_>) {
    let mut object = text.object();
    object
        .string("scoreId", &score.score_id)
        .time("timestamp", score.time);
    object
        .string_if("traceId", score.trace_id.as_ref())
        .string_if("spanId", score.span_id.as_ref());
    object
        .string("scorerId", &score.scorer_id)
        .string_if("scorerName", score.scorer_name.as_ref());
    object.string_if("scorerVersion", score.scorer_version.as_ref());
    object.string_if("scoreSource", score.score_source.as_ref());
    object
        .float("score", score.value)
        .string_if("reason", score.reason.as_ref());
    object.string_if("experimentId", score.experiment_id.as_ref());
    object.string_if("scoreTraceId", score.score_trace_id.as_ref());
    object.string_if("targetEntityType", score.target_entity_type.as_ref());
    correlation(&mut object, score.correlation.as_ref());
    object.raw_if("metadata", score.metadata.as_ref());
    otel::resource(&mut object, batch.resource(score.resource_index));
    extra(&mut object, score.extra.as_ref());
    object.end();
}

/// `feedback`
pub fn feedback(text: &mut JsonText, item: &FeedbackItem, batch: &Batch<'_>) {
    text.raw(r#"{"type":"feedback","feedback":"#);
    feedback_record(text, item, batch);
    text.raw("}");
}

/// The record of feedback.
pub fn feedback_record(text: &mut JsonText, item: &FeedbackItem, batch: &Batch<'_>) {
    let mut object = text.object();
    object
        .string("feedbackId", &item.feedback_id)
        .time("timestamp", item.time);
    object
        .string_if("traceId", item.trace_id.as_ref())
        .string_if("spanId", item.span_id.as_ref());
    object
        .string_if("feedbackSource", item.feedback_source.as_ref())
        .string("feedbackType", &item.feedback_type);
    match &item.value {
        FeedbackValue::Number(number) => object.float("value", *number),
        FeedbackValue::Text(text) => object.string("value", text),
    };
    object
        .string_if("feedbackUserId", item.feedback_user_id.as_ref())
        .string_if("comment", item.comment.as_ref());
    object
        .string_if("sourceId", item.source_id.as_ref())
        .string_if("experimentId", item.experiment_id.as_ref());
    correlation(&mut object, item.correlation.as_ref());
    object.raw_if("metadata", item.metadata.as_ref());
    otel::resource(&mut object, batch.resource(item.resource_index));
    extra(&mut object, item.extra.as_ref());
    object.end();
}

/// Names of an entity's fields: type, id, name, version id.
type EntityNames = [&'static str; 4];

const OWN: EntityNames = ["entityType", "entityId", "entityName", "entityVersionId"];
const PARENT: EntityNames = [
    "parentEntityType",
    "parentEntityId",
    "parentEntityName",
    "parentEntityVersionId",
];
const ROOT: EntityNames = [
    "rootEntityType",
    "rootEntityId",
    "rootEntityName",
    "rootEntityVersionId",
];

fn entity(
    object: &mut Object<'_>,
    entity: &Entity,
    [entity_type, id, name, version_id]: &EntityNames,
) {
    object
        .string_if(entity_type, entity.entity_type.as_ref())
        .string_if(id, entity.entity_id.as_ref());
    object
        .string_if(name, entity.entity_name.as_ref())
        .string_if(version_id, entity.entity_version_id.as_ref());
}

fn tags(object: &mut Object<'_>, tags: Option<&[String]>) {
    if let Some(tags) = tags {
        object.strings("tags", tags);
    }
}

fn extra(object: &mut Object<'_>, extra: Option<&String>) {
    if let Some(extra) = extra {
        object.members(extra);
    }
}

fn labels(text: &mut JsonText, labels: &[(String, String)]) {
    text.raw("{");
    for (at, (key, value)) in labels.iter().enumerate() {
        text.raw(if at == 0 { "" } else { "," })
            .string(key)
            .raw(":")
            .string(value);
    }
    text.raw("}");
}

/// `errorInfo` of a span.
pub fn error_info(text: &mut JsonText, error: &ErrorInfo) {
    let mut object = text.object();
    object
        .string_if("id", error.error_id.as_ref())
        .raw_if("details", error.details.as_ref());
    object
        .string_if("category", error.category.as_ref())
        .string_if("domain", error.domain.as_ref());
    object
        .string("message", &error.message)
        .string_if("name", error.error_name.as_ref());
    object.string_if("stack", error.stack.as_ref());
    extra(&mut object, error.extra.as_ref());
    object.end();
}

/// `leftover` is the record's `extra`: members of the cost that the contract does not name are in its `costContext`.
fn cost(text: &mut JsonText, cost: &Cost, leftover: Option<&str>) {
    let mut object = text.object();
    object
        .string_if("provider", cost.provider.as_ref())
        .string_if("model", cost.model.as_ref());
    if let Some(amount) = cost.estimated_cost {
        object.float("estimatedCost", amount);
    }
    object
        .string_if("costUnit", cost.cost_unit.as_ref())
        .raw_if("costMetadata", cost.metadata.as_ref());
    for (_, unknown) in members(leftover.unwrap_or("{}")).filter(|(key, _)| *key == "costContext") {
        object.members(unknown);
    }
    object.end();
}

fn correlation(record: &mut Object<'_>, correlation: Option<&Correlation>) {
    let Some(context) = correlation else { return };
    let mut object = record.key("correlationContext").object();
    object
        .string_if("traceId", context.trace_id.as_ref())
        .string_if("spanId", context.span_id.as_ref());
    tags(&mut object, context.tags.as_deref());
    entity(&mut object, &context.entity, &OWN);
    entity(&mut object, &context.parent_entity, &PARENT);
    entity(&mut object, &context.root_entity, &ROOT);
    object.string_if("userId", context.user_id.as_ref());
    object.string_if("organizationId", context.organization_id.as_ref());
    object
        .string_if("resourceId", context.resource_id.as_ref())
        .string_if("runId", context.run_id.as_ref());
    object
        .string_if("sessionId", context.session_id.as_ref())
        .string_if("threadId", context.thread_id.as_ref());
    object
        .string_if("requestId", context.request_id.as_ref())
        .string_if("environment", context.environment.as_ref());
    object
        .string_if("source", context.source.as_ref())
        .string_if("serviceName", context.service_name.as_ref());
    object.string_if("experimentId", context.experiment_id.as_ref());
    extra(&mut object, context.extra.as_ref());
    object.end();
}
