//! Feedback. See the parent module.

use bumpalo::Bump;

use super::reads::Reads;
use super::{Distinct, correlation, resources};
use crate::event::records::{FeedbackItem, FeedbackValue};
use crate::plugin::bindings::types as wit;

/// The batch as the guest receives it; `tokens` has one number an item.
pub(in crate::plugin) fn feedback_batch<'a>(
    arena: &'a Bump,
    items: &'a [Box<FeedbackItem<'a>>],
    tokens: &'a [u64],
    reads: &Reads,
) -> wit::FeedbackBatch<'a> {
    let mut resource_numbers = Distinct::new();
    let feedback = arena.alloc_slice_fill_iter(items.iter().map(|item| {
        let mut lowered = wit::FeedbackItem {
            feedback_id: &item.feedback_id,
            time: item.time,
            trace_id: item.trace_id.as_deref(),
            span_id: item.span_id.as_deref(),
            feedback_source: item.feedback_source.as_deref(),
            feedback_type: &item.feedback_type,
            value: match &item.value {
                FeedbackValue::Number(number) => wit::FeedbackValue::Number(*number),
                FeedbackValue::Text(text) => wit::FeedbackValue::Text(text),
            },
            feedback_user_id: item.feedback_user_id.as_deref(),
            comment: item.comment.as_deref(),
            source_id: item.source_id.as_deref(),
            experiment_id: item.experiment_id.as_deref(),
            correlation: item
                .correlation
                .as_ref()
                .map(|context| correlation(arena, context)),
            metadata: item.metadata.as_deref(),
            resource_index: item
                .resource
                .as_ref()
                .map(|resource| resource_numbers.index(resource)),
            extra: item.extra.as_deref(),
        };
        reads.leave_out_of_feedback(&mut lowered);
        lowered
    }));
    wit::FeedbackBatch {
        feedback,
        tokens,
        resources: resources(arena, &resource_numbers),
    }
}
