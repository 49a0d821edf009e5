//! Writes a decoded record back as Mastra would.

use super::*;

fn put(map: &mut Map<String, Value>, key: &str, value: Option<Value>) {
    if let Some(value) = value {
        map.insert(key.to_owned(), value);
    }
}

fn text(value: Option<&Text<'_>>) -> Option<Value> {
    value.map(|text| Value::from(text.to_string()))
}

fn raw(value: Option<&Json<'_>>) -> Option<Value> {
    value.map(|json| serde_json::from_str(json).unwrap())
}

fn tags(value: Option<&Vec<Text<'_>>>) -> Option<Value> {
    value.map(|tags| tags.iter().map(ToString::to_string).collect())
}

fn instant(nanos: u64) -> Value {
    format!(
        "{:.3}",
        jiff::Timestamp::from_nanosecond(nanos.into()).unwrap()
    )
    .into()
}

fn number(value: f64) -> Value {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the corpus has small numbers"
    )]
    if value.fract() == 0.0 {
        Value::from(value as i64)
    } else {
        Value::from(value)
    }
}

fn spread(map: &mut Map<String, Value>, extra: Option<&Json<'_>>) {
    if let Some(Value::Object(members)) = raw(extra) {
        map.extend(members);
    }
}

fn entity(map: &mut Map<String, Value>, prefix: &str, entity: &Entity<'_>) {
    for (name, value) in [
        ("Type", &entity.entity_type),
        ("Id", &entity.entity_id),
        ("Name", &entity.entity_name),
        ("VersionId", &entity.entity_version_id),
    ] {
        put(map, &format!("{prefix}{name}"), text(value.as_ref()));
    }
}

fn correlation(found: &Correlation<'_>) -> Value {
    let mut map = Map::new();
    put(&mut map, "traceId", text(found.trace_id.as_ref()));
    put(&mut map, "spanId", text(found.span_id.as_ref()));
    put(&mut map, "tags", tags(found.tags.as_ref()));
    entity(&mut map, "entity", &found.entity);
    entity(&mut map, "parentEntity", &found.parent_entity);
    entity(&mut map, "rootEntity", &found.root_entity);
    for (key, value) in [
        ("userId", &found.user_id),
        ("organizationId", &found.organization_id),
        ("resourceId", &found.resource_id),
        ("runId", &found.run_id),
        ("sessionId", &found.session_id),
        ("threadId", &found.thread_id),
        ("requestId", &found.request_id),
        ("environment", &found.environment),
        ("source", &found.source),
        ("serviceName", &found.service_name),
        ("experimentId", &found.experiment_id),
    ] {
        put(&mut map, key, text(value.as_ref()));
    }
    spread(&mut map, found.extra.as_ref());
    Value::Object(map)
}

fn cost(found: &Cost<'_>) -> Value {
    let mut map = Map::new();
    put(&mut map, "provider", text(found.provider.as_ref()));
    put(&mut map, "model", text(found.model.as_ref()));
    put(&mut map, "estimatedCost", found.estimated_cost.map(number));
    put(&mut map, "costUnit", text(found.cost_unit.as_ref()));
    put(&mut map, "costMetadata", raw(found.metadata.as_ref()));
    Value::Object(map)
}

/// Writes a decoded record back as Mastra would.
pub(super) fn rebuild(record: &Record<'_>) -> Value {
    let mut map = Map::new();
    match record {
        Record::Span(span) => put_span(&mut map, span),
        Record::Log(log) => put_log(&mut map, log),
        Record::Metric(metric) => put_metric(&mut map, metric),
        Record::Score(score) => put_score(&mut map, score),
        Record::Feedback(item) => put_feedback(&mut map, item),
    }
    Value::Object(map)
}

fn put_span(map: &mut Map<String, Value>, span: &Span<'_>) {
    for (key, value) in [
        ("id", Some(&span.span_id)),
        ("traceId", Some(&span.trace_id)),
        ("parentSpanId", span.parent_span_id.as_ref()),
        (
            "externalParentSpanId",
            span.external_parent_span_id.as_ref(),
        ),
        ("name", Some(&span.name)),
        ("type", Some(&span.span_type)),
    ] {
        put(map, key, text(value));
    }
    entity(map, "entity", &span.entity);
    put(map, "startTime", Some(instant(span.start_time)));
    put(map, "endTime", span.end_time.map(instant));
    put(map, "isEvent", Some(span.is_event.into()));
    put(map, "isRootSpan", Some(span.is_root.into()));
    put(map, "isInternal", span.is_internal.then_some(true.into()));
    for (key, value) in [
        ("attributes", &span.attributes),
        ("metadata", &span.metadata),
        ("input", &span.input),
        ("output", &span.output),
        ("requestContext", &span.request_context),
    ] {
        put(map, key, raw(value.as_ref()));
    }
    put(map, "tags", tags(span.tags.as_ref()));
    if let Some(error) = &span.error {
        let mut info = Map::new();
        for (key, value) in [
            ("message", Some(&error.message)),
            ("id", error.error_id.as_ref()),
            ("name", error.error_name.as_ref()),
            ("stack", error.stack.as_ref()),
            ("domain", error.domain.as_ref()),
            ("category", error.category.as_ref()),
        ] {
            put(&mut info, key, text(value));
        }
        put(&mut info, "details", raw(error.details.as_ref()));
        spread(&mut info, error.extra.as_ref());
        map.insert("errorInfo".into(), info.into());
    }
    spread(map, span.extra.as_ref());
}

fn put_log(map: &mut Map<String, Value>, log: &Log<'_>) {
    for (key, value) in [
        ("logId", Some(&log.log_id)),
        ("traceId", log.trace_id.as_ref()),
        ("spanId", log.span_id.as_ref()),
        ("level", Some(&log.level)),
        ("message", Some(&log.message)),
    ] {
        put(map, key, text(value));
    }
    put(map, "timestamp", Some(instant(log.time)));
    put(map, "data", raw(log.data.as_ref()));
    put(map, "tags", tags(log.tags.as_ref()));
    put(
        map,
        "correlationContext",
        log.correlation.as_ref().map(correlation),
    );
    put(map, "metadata", raw(log.metadata.as_ref()));
    spread(map, log.extra.as_ref());
}

fn put_metric(map: &mut Map<String, Value>, metric: &Metric<'_>) {
    for (key, value) in [
        ("metricId", Some(&metric.metric_id)),
        ("traceId", metric.trace_id.as_ref()),
        ("spanId", metric.span_id.as_ref()),
        ("name", Some(&metric.name)),
    ] {
        put(map, key, text(value));
    }
    put(map, "timestamp", Some(instant(metric.time)));
    let MetricValue::Single { value, .. } = metric.value else {
        panic!("not a single observation")
    };
    put(map, "value", Some(number(value)));
    let labels = metric
        .labels
        .iter()
        .map(|(key, value)| (key.to_string(), Value::from(value.to_string())));
    put(map, "labels", Some(Value::Object(labels.collect())));
    put(
        map,
        "correlationContext",
        metric.correlation.as_ref().map(correlation),
    );
    put(map, "costContext", metric.cost.as_ref().map(cost));
    put(map, "metadata", raw(metric.metadata.as_ref()));
    spread(map, metric.extra.as_ref());
}

fn put_score(map: &mut Map<String, Value>, score: &Score<'_>) {
    for (key, value) in [
        ("scoreId", Some(&score.score_id)),
        ("traceId", score.trace_id.as_ref()),
        ("spanId", score.span_id.as_ref()),
        ("scorerId", Some(&score.scorer_id)),
        ("scorerName", score.scorer_name.as_ref()),
        ("scorerVersion", score.scorer_version.as_ref()),
        ("scoreSource", score.score_source.as_ref()),
        ("reason", score.reason.as_ref()),
        ("experimentId", score.experiment_id.as_ref()),
        ("scoreTraceId", score.score_trace_id.as_ref()),
        ("targetEntityType", score.target_entity_type.as_ref()),
    ] {
        put(map, key, text(value));
    }
    put(map, "timestamp", Some(instant(score.time)));
    put(map, "score", Some(number(score.value)));
    put(
        map,
        "correlationContext",
        score.correlation.as_ref().map(correlation),
    );
    put(map, "metadata", raw(score.metadata.as_ref()));
    spread(map, score.extra.as_ref());
}

fn put_feedback(map: &mut Map<String, Value>, item: &FeedbackItem<'_>) {
    for (key, value) in [
        ("feedbackId", Some(&item.feedback_id)),
        ("traceId", item.trace_id.as_ref()),
        ("spanId", item.span_id.as_ref()),
        ("feedbackSource", item.feedback_source.as_ref()),
        ("feedbackType", Some(&item.feedback_type)),
        ("feedbackUserId", item.feedback_user_id.as_ref()),
        ("comment", item.comment.as_ref()),
        ("sourceId", item.source_id.as_ref()),
        ("experimentId", item.experiment_id.as_ref()),
    ] {
        put(map, key, text(value));
    }
    put(map, "timestamp", Some(instant(item.time)));
    let value = match &item.value {
        FeedbackValue::Number(value) => number(*value),
        FeedbackValue::Text(value) => Value::from(value.to_string()),
    };
    put(map, "value", Some(value));
    put(
        map,
        "correlationContext",
        item.correlation.as_ref().map(correlation),
    );
    put(map, "metadata", raw(item.metadata.as_ref()));
    spread(map, item.extra.as_ref());
}
