//! From the host's typed records to the borrowed types that the engine lowers into a guest. No text is copied: only the
//! fixed-size parts are built anew, lists of them in an arena that is reset after the call.
//!
//! A batch numbers its distinct resources and scopes; the records name them by index. Called by `instance` for each
//! batch. Decoding is `event::decode`'s business, checking of answers is `answers`'.

mod feedback;
mod logs;
mod metrics;
mod packed;
mod reads;
mod scores;
mod spans;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::hash::Hash;

use bumpalo::Bump;

use super::bindings::types as wit;
use crate::event::records::{Correlation, Cost, Entity, Resource, Scope, Text};

pub(super) use feedback::feedback_batch;
pub(super) use logs::log_batch;
pub(super) use metrics::metric_batch;
pub(super) use packed::{LogBatch, MetricBatch, SpanBatch};
pub(super) use reads::Reads;
pub(super) use scores::score_batch;
pub(super) use spans::{ancestors, span_batch};

/// Numbers equal values in the order of their first appearance.
struct Distinct<'a, T> {
    values: Vec<&'a T>,
    index_of: HashMap<&'a T, u32>,
}

impl<'a, T: Eq + Hash> Distinct<'a, T> {
    fn new() -> Self {
        Self {
            values: Vec::new(),
            index_of: HashMap::new(),
        }
    }

    /// Most events of a batch share one resource, hence the look at the last value before any hashing.
    fn index(&mut self, value: &'a T) -> u32 {
        let last = u32::try_from(self.values.len())
            .unwrap_or(u32::MAX)
            .wrapping_sub(1);
        if self.values.last().is_some_and(|known| *known == value) {
            return last;
        }
        let values = &mut self.values;
        *self.index_of.entry(value).or_insert_with(|| {
            values.push(value);
            last.wrapping_add(1)
        })
    }
}

fn resources<'a>(
    arena: &'a Bump,
    distinct: &Distinct<'a, Resource<'a>>,
) -> &'a [wit::EventResource<'a>] {
    arena.alloc_slice_fill_iter(distinct.values.iter().map(|resource| wit::EventResource {
        service_name: resource.service_name.as_deref(),
        service_version: resource.service_version.as_deref(),
        environment: resource.environment.as_deref(),
        project_id: resource.project_id.as_deref(),
        attributes: resource.attributes.as_deref(),
        schema_url: resource.schema_url.as_deref(),
        dropped_attributes_count: resource.dropped_attributes_count,
        extra: resource.extra.as_deref(),
    }))
}

fn scopes<'a>(arena: &'a Bump, distinct: &Distinct<'a, Scope<'a>>) -> &'a [wit::EventScope<'a>] {
    arena.alloc_slice_fill_iter(distinct.values.iter().map(|scope| wit::EventScope {
        name: &scope.name,
        version: scope.version.as_deref(),
        attributes: scope.attributes.as_deref(),
        schema_url: scope.schema_url.as_deref(),
        dropped_attributes_count: scope.dropped_attributes_count,
        extra: scope.extra.as_deref(),
    }))
}

fn texts<'a>(arena: &'a Bump, texts: Option<&'a Vec<Text<'a>>>) -> Option<&'a [&'a str]> {
    Some(arena.alloc_slice_fill_iter(texts?.iter().map(|text| &**text)))
}

fn entity<'a>(entity: &'a Entity<'a>) -> wit::Entity<'a> {
    wit::Entity {
        entity_type: entity.entity_type.as_deref(),
        entity_id: entity.entity_id.as_deref(),
        entity_name: entity.entity_name.as_deref(),
        entity_version_id: entity.entity_version_id.as_deref(),
    }
}

fn correlation<'a>(arena: &'a Bump, correlation: &'a Correlation<'a>) -> wit::Correlation<'a> {
    wit::Correlation {
        trace_id: correlation.trace_id.as_deref(),
        span_id: correlation.span_id.as_deref(),
        tags: texts(arena, correlation.tags.as_ref()),
        entity: entity(&correlation.entity),
        parent_entity: entity(&correlation.parent_entity),
        root_entity: entity(&correlation.root_entity),
        user_id: correlation.user_id.as_deref(),
        organization_id: correlation.organization_id.as_deref(),
        resource_id: correlation.resource_id.as_deref(),
        run_id: correlation.run_id.as_deref(),
        session_id: correlation.session_id.as_deref(),
        thread_id: correlation.thread_id.as_deref(),
        request_id: correlation.request_id.as_deref(),
        environment: correlation.environment.as_deref(),
        source: correlation.source.as_deref(),
        service_name: correlation.service_name.as_deref(),
        experiment_id: correlation.experiment_id.as_deref(),
        extra: correlation.extra.as_deref(),
    }
}

fn cost<'a>(cost: &'a Cost<'a>) -> wit::Cost<'a> {
    wit::Cost {
        provider: cost.provider.as_deref(),
        model: cost.model.as_deref(),
        estimated_cost: cost.estimated_cost,
        cost_unit: cost.cost_unit.as_deref(),
        metadata: cost.metadata.as_deref(),
    }
}
