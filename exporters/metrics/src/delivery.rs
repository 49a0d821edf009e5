//! Sends what is due in requests of bounded size, and settles it. One `flush` of a stateful exporter.

use mastra_exporter_sdk::Acknowledgement;
use mastra_exporter_sdk::records::{
    EventResource, EventScope, ItemResult, Metric, MetricBatch, SendOutcome, SendResult, Signal,
};

use crate::aggregator::{Aggregator, Due};

/// Points a request.
const MAX_POINTS: usize = 500;

/// Sends everything that is due; `send` sends one batch of aggregated points. Points that the backend took or refused for
/// good are acknowledged; the others stay, with what comes until the next flush. After an answer that concerns the
/// backend, the rest is not tried.
pub fn flush(
    aggregator: &mut Aggregator,
    now: u64,
    mut send: impl FnMut(&MetricBatch) -> SendResult,
) -> Vec<Acknowledgement> {
    let due = aggregator.due(now);
    let mut acknowledged = Vec::new();
    let mut parts: Vec<&[Due]> = due.chunks(MAX_POINTS).rev().collect();
    while let Some(part) = parts.pop() {
        let (resources, scopes) = aggregator.origins();
        let fate = match send(&batch(part, resources, scopes)).outcome {
            SendOutcome::TooLarge if part.len() > 1 => {
                let (first, second) = part.split_at(part.len() / 2);
                parts.extend([second, first]);
                continue;
            }
            SendOutcome::TooLarge => {
                ItemResult::Rejected("one point is larger than the backend takes".to_owned())
            }
            SendOutcome::AllItems(fate @ (ItemResult::Delivered | ItemResult::Rejected(_))) => fate,
            // Nobody knows which points were refused, and none may come again.
            SendOutcome::Partial(partial) => {
                mastra_exporter_sdk::log::line(&format!(
                    "the backend refused {} of {} points",
                    partial.rejected_count,
                    part.len()
                ));
                ItemResult::Delivered
            }
            failed => {
                // The points stay: the host sees them held for longer and longer, the reason is only here.
                mastra_exporter_sdk::log::line(&format!("no points were taken: {failed:?}"));
                break;
            }
        };
        let tokens = aggregator.settle(part);
        if !tokens.is_empty() {
            acknowledged.push(Acknowledgement {
                of_signal: Signal::Metrics,
                tokens,
                fate,
            });
        }
    }
    acknowledged
}

fn batch(due: &[Due], resources: &[EventResource], scopes: &[EventScope]) -> MetricBatch {
    let metrics: Vec<Metric> = due.iter().map(|due| due.metric.clone()).collect();
    MetricBatch {
        tokens: Vec::new(),
        metrics,
        resources: resources.to_vec(),
        scopes: scopes.to_vec(),
    }
}
