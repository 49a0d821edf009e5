//! Spans. See the parent module.

use bumpalo::Bump;

use super::packed::{List, SpanBatch};
use super::reads::Reads;
use super::{Distinct, cost, entity, resources, scopes, texts};
use crate::event::records::{
    ErrorInfo, ModelCall, OtelSpan, Scope, Span, SpanKind, SpanPhase, StatusCode, Usage,
};
use crate::plugin::bindings::types as wit;
use crate::plugin::guest::SpanAncestor;

/// The batch as the guest receives it; `tokens` has one number a span.
pub(in crate::plugin) fn span_batch<'a>(
    arena: &'a Bump,
    spans: &'a [Box<Span<'a>>],
    tokens: &'a [u64],
    reads: &Reads,
) -> SpanBatch<'a> {
    let mut resource_numbers = Distinct::new();
    let mut scope_numbers = Distinct::new();
    let spans = &*arena.alloc_slice_fill_iter(spans.iter().map(|span| {
        let resource_index = span
            .resource
            .as_ref()
            .map(|resource| resource_numbers.index(resource));
        let otel = span
            .otel
            .as_deref()
            .map(|otel| otel_span(arena, otel, &mut scope_numbers));
        let mut lowered = lower_span(arena, span, resource_index, otel);
        reads.leave_out_of_span(&mut lowered);
        lowered
    }));
    SpanBatch {
        spans: List::new(spans),
        tokens,
        resources: resources(arena, &resource_numbers),
        scopes: scopes(arena, &scope_numbers),
        ancestors: &[],
    }
}

/// What goes with the batch of spans that are late.
pub(in crate::plugin) fn ancestors<'a>(
    arena: &'a Bump,
    ancestors: &'a [SpanAncestor],
) -> &'a [wit::SpanAncestor<'a>] {
    arena.alloc_slice_fill_iter(ancestors.iter().map(lower_ancestor))
}

fn lower_ancestor(ancestor: &SpanAncestor) -> wit::SpanAncestor<'_> {
    wit::SpanAncestor {
        trace_id: &ancestor.trace_id,
        span_id: &ancestor.span_id,
        parent_span_id: ancestor.parent_span_id.as_deref(),
        name: &ancestor.name,
        start_time: ancestor.start_time,
    }
}

fn lower_span<'a>(
    arena: &'a Bump,
    span: &'a Span<'a>,
    resource_index: Option<u32>,
    otel: Option<wit::OtelSpan<'a>>,
) -> wit::Span<'a> {
    wit::Span {
        phase: match span.phase {
            SpanPhase::Started => wit::SpanPhase::Started,
            SpanPhase::Updated => wit::SpanPhase::Updated,
            SpanPhase::Ended => wit::SpanPhase::Ended,
        },
        trace_id: &span.trace_id,
        span_id: &span.span_id,
        parent_span_id: span.parent_span_id.as_deref(),
        external_parent_span_id: span.external_parent_span_id.as_deref(),
        name: &span.name,
        span_type: &span.span_type,
        entity: entity(&span.entity),
        start_time: span.start_time,
        end_time: span.end_time,
        is_event: span.is_event,
        is_root: span.is_root,
        is_internal: span.is_internal,
        resource_index,
        attributes: span.attributes.as_deref(),
        metadata: span.metadata.as_deref(),
        tags: texts(arena, span.tags.as_ref()),
        input: span.input.as_deref(),
        output: span.output.as_deref(),
        request_context: span.request_context.as_deref(),
        error: span.error.as_ref().map(error_info),
        model: span.model.as_ref().map(model_call),
        otel,
        extra: span.extra.as_deref(),
    }
}

fn error_info<'a>(error: &'a ErrorInfo<'a>) -> wit::ErrorInfo<'a> {
    wit::ErrorInfo {
        message: &error.message,
        error_id: error.error_id.as_deref(),
        error_name: error.error_name.as_deref(),
        stack: error.stack.as_deref(),
        domain: error.domain.as_deref(),
        category: error.category.as_deref(),
        details: error.details.as_deref(),
        extra: error.extra.as_deref(),
    }
}

fn model_call<'a>(model: &'a ModelCall<'a>) -> wit::ModelCall<'a> {
    wit::ModelCall {
        model: model.model.as_deref(),
        provider: model.provider.as_deref(),
        response_model: model.response_model.as_deref(),
        response_id: model.response_id.as_deref(),
        finish_reason: model.finish_reason.as_deref(),
        streaming: model.streaming,
        completion_start_time: model.completion_start_time,
        parameters: model.parameters.as_deref(),
        usage: model.usage.as_ref().map(usage),
        cost: model.cost.as_ref().map(cost),
        server_address: model.server_address.as_deref(),
        server_port: model.server_port,
    }
}

fn usage(usage: &Usage) -> wit::Usage {
    wit::Usage {
        input_tokens: usage.input_tokens,
        output_tokens: usage.output_tokens,
        input_text: usage.input_text,
        input_cache_read: usage.input_cache_read,
        input_cache_write: usage.input_cache_write,
        input_cache_write_short: usage.input_cache_write_short,
        input_cache_write_long: usage.input_cache_write_long,
        input_audio: usage.input_audio,
        input_image: usage.input_image,
        output_text: usage.output_text,
        output_reasoning: usage.output_reasoning,
        output_audio: usage.output_audio,
        output_image: usage.output_image,
    }
}

fn otel_span<'a>(
    arena: &'a Bump,
    otel: &'a OtelSpan<'a>,
    scope_numbers: &mut Distinct<'a, Scope<'a>>,
) -> wit::OtelSpan<'a> {
    wit::OtelSpan {
        kind: match otel.kind {
            SpanKind::Unspecified => wit::SpanKind::Unspecified,
            SpanKind::Internal => wit::SpanKind::Internal,
            SpanKind::Server => wit::SpanKind::Server,
            SpanKind::Client => wit::SpanKind::Client,
            SpanKind::Producer => wit::SpanKind::Producer,
            SpanKind::Consumer => wit::SpanKind::Consumer,
        },
        status: wit::SpanStatus {
            code: match otel.status_code {
                StatusCode::Unset => wit::StatusCode::Unset,
                StatusCode::Ok => wit::StatusCode::Ok,
                StatusCode::Error => wit::StatusCode::Error,
            },
            message: &otel.status_message,
        },
        trace_state: otel.trace_state.as_deref(),
        flags: otel.flags,
        links: arena.alloc_slice_fill_iter(otel.links.iter().map(|link| wit::SpanLink {
            trace_id: &link.trace_id,
            span_id: &link.span_id,
            trace_state: link.trace_state.as_deref(),
            attributes: link.attributes.as_deref(),
            dropped_attributes_count: link.dropped_attributes_count,
            flags: link.flags,
        })),
        events: arena.alloc_slice_fill_iter(otel.events.iter().map(|event| wit::SpanEvent {
            time: event.time,
            name: &event.name,
            attributes: event.attributes.as_deref(),
            dropped_attributes_count: event.dropped_attributes_count,
        })),
        dropped_attributes_count: otel.dropped_attributes_count,
        dropped_events_count: otel.dropped_events_count,
        dropped_links_count: otel.dropped_links_count,
        scope_index: otel.scope.as_ref().map(|scope| scope_numbers.index(scope)),
    }
}
