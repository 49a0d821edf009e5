//! Scores. See the parent module.

use bumpalo::Bump;

use super::reads::Reads;
use super::{Distinct, correlation, resources};
use crate::event::records::Score;
use crate::plugin::bindings::types as wit;

/// The batch as the guest receives it; `tokens` has one number a score.
pub(in crate::plugin) fn score_batch<'a>(
    arena: &'a Bump,
    scores: &'a [Box<Score<'a>>],
    tokens: &'a [u64],
    reads: &Reads,
) -> wit::ScoreBatch<'a> {
    let mut resource_numbers = Distinct::new();
    let scores = arena.alloc_slice_fill_iter(scores.iter().map(|score| {
        let mut lowered = wit::Score {
            score_id: &score.score_id,
            time: score.time,
            trace_id: score.trace_id.as_deref(),
            span_id: score.span_id.as_deref(),
            scorer_id: &score.scorer_id,
            scorer_name: score.scorer_name.as_deref(),
            scorer_version: score.scorer_version.as_deref(),
            score_source: score.score_source.as_deref(),
            value: score.value,
            reason: score.reason.as_deref(),
            experiment_id: score.experiment_id.as_deref(),
            score_trace_id: score.score_trace_id.as_deref(),
            target_entity_type: score.target_entity_type.as_deref(),
            correlation: score
                .correlation
                .as_ref()
                .map(|context| correlation(arena, context)),
            metadata: score.metadata.as_deref(),
            resource_index: score
                .resource
                .as_ref()
                .map(|resource| resource_numbers.index(resource)),
            extra: score.extra.as_deref(),
        };
        reads.leave_out_of_score(&mut lowered);
        lowered
    }));
    wit::ScoreBatch {
        scores,
        tokens,
        resources: resources(arena, &resource_numbers),
    }
}
