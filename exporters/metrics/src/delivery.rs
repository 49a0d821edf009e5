//! Sends what is due in requests of bounded size, and settles it: `send` and `flush` of a stateful exporter.
//!
//! The contract's `flush` has no word for refused credentials, `send` has one. When a flush meets a refusal, everything
//! that is held goes back to the host, which gives it again; that `send` tries the credentials with what is still added
//! up here, and says `unauthorized` until they are taken. So the exporter pauses as any other does.

use mastra_exporter_sdk::Acknowledgement;
use mastra_exporter_sdk::records::{
    EventResource, EventScope, ItemResult, Metric, MetricBatch, SendOutcome, SendResult, Signal,
};

use crate::aggregator::{Aggregator, Due, Options};

/// Points a request.
const MAX_POINTS: usize = 500;

/// The series of one exporter, and whether its backend refuses the credentials.
#[derive(Debug)]
pub struct Delivery {
    /// What is added up.
    pub series: Aggregator,
    is_refused: bool,
}

impl Delivery {
    /// Nothing yet.
    #[must_use]
    pub const fn new(options: Options) -> Self {
        Self {
            series: Aggregator::new(options),
            is_refused: false,
        }
    }

    /// Takes a batch; one fate an item. After refused credentials nothing is taken before `send`, which sends one batch
    /// of aggregated points, gets through.
    pub fn take(
        &mut self,
        batch: &MetricBatch,
        now: u64,
        send: impl FnMut(&MetricBatch) -> SendResult,
    ) -> SendResult {
        if self.is_refused {
            // Everything went back to the host: whoever asks for it here is told when it comes again.
            let (_, failure) = self.write(now, send);
            if let Some(failed) = failure {
                return failed;
            }
            self.is_refused = false;
        }
        SendResult::each(self.series.take(batch, now))
    }

    /// Sends everything that is due; `send` sends one batch of aggregated points. Points that the backend took or refused
    /// for good are acknowledged; the others stay, with what comes until the next flush. After an answer that concerns
    /// the backend, the rest is not tried. After refused credentials everything goes back to the host.
    pub fn flush(
        &mut self,
        now: u64,
        send: impl FnMut(&MetricBatch) -> SendResult,
    ) -> Vec<Acknowledgement> {
        let (mut acknowledged, failure) = self.write(now, send);
        let Some(failed) = failure else {
            self.is_refused = false;
            return acknowledged;
        };
        if let SendOutcome::Unauthorized(reason) = failed.outcome {
            self.is_refused = true;
            let fate = ItemResult::Retry(reason);
            acknowledged.extend(acknowledgement(self.series.give_back(), fate));
        } else {
            // The points stay: the host sees them held for longer and longer, the reason is only here.
            let outcome = failed.outcome;
            mastra_exporter_sdk::log::debug(&format!("no points were taken: {outcome:?}"));
        }
        acknowledged
    }

    /// What was taken or refused for good, and the answer after which nothing more was tried.
    fn write(
        &mut self,
        now: u64,
        mut send: impl FnMut(&MetricBatch) -> SendResult,
    ) -> (Vec<Acknowledgement>, Option<SendResult>) {
        let due = self.series.due(now);
        let mut acknowledged = Vec::new();
        let mut parts: Vec<&[Due]> = due.chunks(MAX_POINTS).rev().collect();
        while let Some(part) = parts.pop() {
            let (resources, scopes) = self.series.origins();
            let result = send(&batch(part, resources, scopes));
            let fate = match result.outcome {
                SendOutcome::TooLarge if part.len() > 1 => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                    continue;
                }
                SendOutcome::TooLarge => {
                    ItemResult::Rejected("one point is larger than the backend takes".to_owned())
                }
                SendOutcome::AllItems(fate @ (ItemResult::Delivered | ItemResult::Rejected(_))) => {
                    fate
                }
                // Nobody knows which points were refused, and none may come again.
                SendOutcome::Partial(partial) => {
                    mastra_exporter_sdk::log::warn(&format!(
                        "the backend refused {} of {} points",
                        partial.rejected_count,
                        part.len()
                    ));
                    ItemResult::Delivered
                }
                _ => return (acknowledged, Some(result)),
            };
            let tokens = self.series.settle(part, &fate);
            acknowledged.extend(acknowledgement(tokens, fate));
        }
        (acknowledged, None)
    }
}

/// What the host is told of these events, if there are any.
fn acknowledgement(tokens: Vec<u64>, fate: ItemResult) -> Option<Acknowledgement> {
    let acknowledgement = Acknowledgement {
        of_signal: Signal::Metrics,
        tokens,
        fate,
    };
    (!acknowledgement.tokens.is_empty()).then_some(acknowledgement)
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
