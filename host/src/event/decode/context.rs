//! Parts that records of several signals share: tags, errors, costs, the correlation context and the resource.

use std::borrow::Cow;

use super::otel::Members;
use super::scan::{elements, members};
use crate::event::fields::{
    Extra, FieldError, as_text, number, object, present, span_id, text, trace_id,
};
use crate::event::records::{Correlation, Cost, Entity, ErrorInfo, Json, Resource, Text};

/// An array of strings.
pub(super) fn tags<'a>(field: &str, raw: &'a str) -> Result<Option<Vec<Text<'a>>>, FieldError> {
    let Some(raw) = present(raw) else {
        return Ok(None);
    };
    elements(field, raw, |tag| {
        as_text(tag).ok_or_else(|| FieldError::new("", tag, "must be a string"))
    })
    .map(Some)
}

/// Mastra's `SpanErrorInfo`.
pub(super) fn error_info<'a>(
    field: &str,
    raw: &'a str,
) -> Result<Option<ErrorInfo<'a>>, FieldError> {
    let Some(raw) = present(raw) else {
        return Ok(None);
    };
    let mut info = ErrorInfo::default();
    let mut message = None;
    let mut extra = Extra::default();
    members(field, raw, |key, value| {
        match &*key {
            "message" => message = text(&key, value)?,
            "id" => info.error_id = text(&key, value)?,
            "name" => info.error_name = text(&key, value)?,
            "stack" => info.stack = text(&key, value)?,
            "domain" => info.domain = text(&key, value)?,
            "category" => info.category = text(&key, value)?,
            "details" => info.details = Some(object(&key, value)?),
            _ => extra.push(&key, value),
        }
        Ok(())
    })?;
    info.message = message.ok_or_else(|| FieldError::missing("message").within(field))?;
    info.extra = extra.finish();
    Ok(Some(info))
}

/// Takes one member of a `CostContext`; `false` when it has no such field.
pub(super) fn cost_field<'a>(
    cost: &mut Cost<'a>,
    key: &str,
    raw: &'a str,
) -> Result<bool, FieldError> {
    match key {
        "provider" => cost.provider = text(key, raw)?,
        "model" => cost.model = text(key, raw)?,
        "costUnit" => cost.cost_unit = text(key, raw)?,
        "costMetadata" => cost.metadata = Some(object(key, raw)?),
        "estimatedCost" => {
            let estimated = number(key, raw)?;
            if estimated.is_some_and(|amount| amount < 0.0) {
                return Err(FieldError::new(key, raw, "must not be negative"));
            }
            cost.estimated_cost = estimated;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// A `CostContext`; what it does not name goes to the record's `extra`.
pub(super) fn cost<'a>(
    field: &str,
    raw: &'a str,
    extra: &mut Extra,
) -> Result<Option<Cost<'a>>, FieldError> {
    let Some(raw) = present(raw) else {
        return Ok(None);
    };
    let mut cost = Cost::default();
    let mut unknown = Extra::default();
    members(field, raw, |key, value| {
        if !cost_field(&mut cost, &key, value)? {
            unknown.push(&key, value);
        }
        Ok(())
    })?;
    if let Some(unknown) = unknown.finish() {
        extra.push(field, &unknown);
    }
    Ok(Some(cost))
}

/// Mastra's `CorrelationContext`.
pub(super) fn correlation<'a>(
    field: &str,
    raw: &'a str,
) -> Result<Option<Correlation<'a>>, FieldError> {
    let Some(raw) = present(raw) else {
        return Ok(None);
    };
    let mut found = Correlation::default();
    let mut extra = Extra::default();
    members(field, raw, |key, value| {
        match &*key {
            "traceId" => found.trace_id = trace_id(&key, value)?,
            "spanId" => found.span_id = span_id(&key, value)?,
            "tags" => found.tags = tags(&key, value)?,
            "userId" => found.user_id = text(&key, value)?,
            "organizationId" => found.organization_id = text(&key, value)?,
            "resourceId" => found.resource_id = text(&key, value)?,
            "runId" => found.run_id = text(&key, value)?,
            "sessionId" => found.session_id = text(&key, value)?,
            "threadId" => found.thread_id = text(&key, value)?,
            "requestId" => found.request_id = text(&key, value)?,
            "environment" => found.environment = text(&key, value)?,
            "source" => found.source = text(&key, value)?,
            "serviceName" => found.service_name = text(&key, value)?,
            "experimentId" => found.experiment_id = text(&key, value)?,
            name => match entity_slot(&mut found, name) {
                Some(slot) => *slot = text(name, value)?,
                None => extra.push(name, value),
            },
        }
        Ok(())
    })?;
    found.extra = extra.finish();
    Ok(Some(found))
}

/// The field of `entityType`, `parentEntityId`, `rootEntityVersionId`, ...
fn entity_slot<'c, 'a>(
    found: &'c mut Correlation<'a>,
    name: &str,
) -> Option<&'c mut Option<Text<'a>>> {
    let (entity, what): (&mut Entity<'a>, &str) = if let Some(what) = name.strip_prefix("entity") {
        (&mut found.entity, what)
    } else if let Some(what) = name.strip_prefix("parentEntity") {
        (&mut found.parent_entity, what)
    } else {
        (&mut found.root_entity, name.strip_prefix("rootEntity")?)
    };
    match what {
        "Type" => Some(&mut entity.entity_type),
        "Id" => Some(&mut entity.entity_id),
        "Name" => Some(&mut entity.entity_name),
        "VersionId" => Some(&mut entity.entity_version_id),
        _ => None,
    }
}

/// The `resource` of a record, as an OTLP sender has it.
pub(super) fn resource<'a>(field: &str, raw: &'a str) -> Result<Option<Resource<'a>>, FieldError> {
    let Some(raw) = present(raw) else {
        return Ok(None);
    };
    let mut from = Members::read(field, raw)?;
    let read = |from: &mut Members<'a>| {
        Ok(Resource {
            service_name: from.text("serviceName")?,
            service_version: from.text("serviceVersion")?,
            environment: from.text("environment")?,
            project_id: from.text("projectId")?,
            attributes: from.object("attributes")?,
            schema_url: from.text("schemaUrl")?,
            dropped_attributes_count: from.count("droppedAttributesCount")?,
            extra: None,
        })
    };
    let mut found: Resource<'a> =
        read(&mut from).map_err(|error: FieldError| error.within(field))?;
    found.extra = from.into_extra();
    Ok(Some(found))
}

/// Fills in what Mastra's own contexts tell of the resource. Leaves `None` when they tell nothing.
pub(super) fn complete_resource<'a>(
    resource: &mut Option<Resource<'a>>,
    metadata: Option<&Json<'a>>,
    correlation: Option<&Correlation<'a>>,
) {
    let mut service_name = correlation.and_then(|context| context.service_name.clone());
    let mut environment = correlation.and_then(|context| context.environment.clone());
    if service_name.is_none() || environment.is_none() {
        let (named, deployed) = metadata.map_or((None, None), metadata_names);
        service_name = service_name.or(named);
        environment = environment.or(deployed);
    }
    if service_name.is_none() && environment.is_none() {
        return;
    }
    let resource = resource.get_or_insert_with(Resource::default);
    resource.service_name = resource.service_name.take().or(service_name);
    resource.environment = resource.environment.take().or(environment);
}

/// `serviceName` and `environment` of the metadata, when they are text. Searched as text first: most metadata has
/// neither, and a search is cheaper than a parse. (So a key spelled with escapes is not seen.)
fn metadata_names<'a>(metadata: &Json<'a>) -> (Option<Text<'a>>, Option<Text<'a>>) {
    let Cow::Borrowed(raw) = *metadata else {
        return (None, None);
    };
    let (mut service_name, mut environment) = (None, None);
    if raw.contains("\"serviceName\"") || raw.contains("\"environment\"") {
        // The syntax has been checked and the closure returns no error; metadata that is null has no members.
        let _ = members("metadata", raw, |key, value| {
            match &*key {
                "serviceName" => service_name = as_text(value),
                "environment" => environment = as_text(value),
                _ => {}
            }
            Ok(())
        });
    }
    (service_name, environment)
}
