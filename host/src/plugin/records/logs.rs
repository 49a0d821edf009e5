//! Log records. See the parent module.

use bumpalo::Bump;

use super::packed::{List, LogBatch};
use super::reads::Reads;
use super::{Distinct, correlation, resources, scopes, texts};
use crate::event::records::{Log, OtelLog};
use crate::plugin::bindings::types as wit;

/// The batch as the guest receives it; `tokens` has one number a record.
pub(in crate::plugin) fn log_batch<'a>(
    arena: &'a Bump,
    logs: &'a [Box<Log<'a>>],
    tokens: &'a [u64],
    reads: &Reads,
) -> LogBatch<'a> {
    let mut resource_numbers = Distinct::new();
    let mut scope_numbers = Distinct::new();
    let logs = &*arena.alloc_slice_fill_iter(logs.iter().map(|log| {
        let mut lowered = wit::Log {
            log_id: &log.log_id,
            time: log.time,
            trace_id: log.trace_id.as_deref(),
            span_id: log.span_id.as_deref(),
            level: &log.level,
            message: &log.message,
            data: log.data.as_deref(),
            tags: texts(arena, log.tags.as_ref()),
            correlation: log
                .correlation
                .as_ref()
                .map(|context| correlation(arena, context)),
            metadata: log.metadata.as_deref(),
            resource_index: log
                .resource
                .as_ref()
                .map(|resource| resource_numbers.index(resource)),
            otel: log.otel.as_deref().map(|otel| {
                let scope_index = otel.scope.as_ref().map(|scope| scope_numbers.index(scope));
                otel_log(otel, scope_index)
            }),
            extra: log.extra.as_deref(),
        };
        reads.leave_out_of_log(&mut lowered);
        lowered
    }));
    LogBatch {
        logs: List::new(logs),
        tokens,
        resources: resources(arena, &resource_numbers),
        scopes: scopes(arena, &scope_numbers),
    }
}

fn otel_log<'a>(otel: &'a OtelLog<'a>, scope_index: Option<u32>) -> wit::OtelLog<'a> {
    wit::OtelLog {
        severity_number: otel.severity_number,
        severity_text: otel.severity_text.as_deref(),
        body: otel.body.as_deref(),
        event_name: otel.event_name.as_deref(),
        observed_time: otel.observed_time,
        flags: otel.flags,
        attributes: otel.attributes.as_deref(),
        dropped_attributes_count: otel.dropped_attributes_count,
        scope_index,
    }
}
