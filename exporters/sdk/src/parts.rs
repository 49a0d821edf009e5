//! Batches that are several requests: one outcome of them all. Used by exporters whose backend wants a request a trace, or
//! takes what is one batch here at two places.
//!
//! ```
//! use mastra_exporter_sdk::http::testing::status;
//! use mastra_exporter_sdk::outcome::{ItemResult, SendOutcome, Statuses};
//! use mastra_exporter_sdk::parts;
//!
//! // Three items in two requests; the backend refuses the second.
//! let requests = [(vec![0, 2], 200), (vec![1], 404)];
//! let result = parts::send(3, requests, |code| Statuses::COMMON.batch(&Ok(status(code))));
//! let SendOutcome::PerItem(fates) = result.outcome else { panic!("one fate an item") };
//! assert_eq!(fates[0], ItemResult::Delivered);
//! assert!(matches!(fates[1], ItemResult::Rejected(_)));
//! ```

use std::time::{Duration, Instant};

use crate::outcome::{ItemResult, SendOutcome, SendResult};

/// No further part is tried after this long, so that the call ends before the host's limit (a minute) although a part
/// may wait for its answer as long as the host lets it (half a minute).
const BUDGET: Duration = Duration::from_secs(20);

/// Sends the parts of a batch of `count` items one after the other; each part names its items by index. While nothing is
/// stored, an answer about a whole request (too large, isolate, unauthorized, partial) is one about the whole batch, and
/// the rest is not tried; once a part is stored, the items of such a part come again alone. After an answer that asks for
/// time the rest is not tried, nor after 20 seconds. Items that no part names are retried: name each once.
pub fn send<P>(
    count: usize,
    parts: impl IntoIterator<Item = (Vec<usize>, P)>,
    deliver: impl FnMut(P) -> SendResult,
) -> SendResult {
    send_within(BUDGET, count, parts, deliver)
}

fn send_within<P>(
    budget: Duration,
    count: usize,
    parts: impl IntoIterator<Item = (Vec<usize>, P)>,
    mut deliver: impl FnMut(P) -> SendResult,
) -> SendResult {
    let started = Instant::now();
    let mut fates = vec![ItemResult::Retry("not tried in this call".to_owned()); count];
    let mut is_stored = false;
    let mut not_before = None;
    for (items, part) in parts {
        let result = deliver(part);
        not_before = result.not_before.or(not_before);
        let of_items = match result.outcome {
            SendOutcome::AllItems(fate) => vec![fate; items.len()],
            SendOutcome::PerItem(fates) if fates.len() == items.len() => fates,
            _ if is_stored => {
                let fate = ItemResult::Retry("other parts of the batch are stored".to_owned());
                vec![fate; items.len()]
            }
            outcome => {
                return SendResult {
                    outcome,
                    not_before,
                };
            }
        };
        is_stored |= of_items.contains(&ItemResult::Delivered);
        for (index, fate) in items.into_iter().zip(of_items) {
            if let Some(place) = fates.get_mut(index) {
                *place = fate;
            }
        }
        if not_before.is_some() || started.elapsed() >= budget {
            break;
        }
    }
    SendResult {
        not_before,
        ..SendResult::each(fates)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(results: Vec<SendResult>) -> (SendResult, usize) {
        let mut tried = 0;
        let parts = [(vec![2, 0], 0), (vec![1], 1), (vec![3], 2)];
        let mut results = results.into_iter();
        let result = send(4, parts, |_| {
            tried += 1;
            results.next().unwrap()
        });
        (result, tried)
    }

    fn all(fate: ItemResult) -> SendResult {
        SendResult::all(fate)
    }

    #[test]
    fn fates_find_their_items() {
        let rejected = ItemResult::Rejected("no".to_owned());
        let results = vec![
            SendResult::each(vec![rejected.clone(), ItemResult::Delivered]),
            SendResult::of(SendOutcome::TooLarge),
            all(ItemResult::Delivered),
        ];
        let (result, tried) = sent(results);
        let again = ItemResult::Retry("other parts of the batch are stored".to_owned());
        let fates = vec![
            ItemResult::Delivered,
            again,
            rejected,
            ItemResult::Delivered,
        ];
        assert_eq!((result, tried), (SendResult::each(fates), 3));
    }

    #[test]
    fn while_nothing_is_stored_an_answer_is_about_the_whole_batch() {
        let retry = all(ItemResult::Retry("503".to_owned()));
        let (result, tried) = sent(vec![retry, SendResult::of(SendOutcome::TooLarge)]);
        assert_eq!((result, tried), (SendResult::of(SendOutcome::TooLarge), 2));
    }

    #[test]
    fn a_backend_that_asks_for_time_is_left_alone() {
        let wait = Some(Duration::from_secs(1));
        let (result, tried) = sent(vec![all(ItemResult::Delivered).not_before(wait)]);
        assert_eq!(tried, 1);
        assert!(result.not_before.is_some());
    }

    #[test]
    fn a_call_that_has_taken_long_ends() {
        let parts = [(vec![0], "first"), (vec![1], "second")];
        let result = send_within(Duration::ZERO, 2, parts, |_| all(ItemResult::Delivered));
        let later = ItemResult::Retry("not tried in this call".to_owned());
        let fates = vec![ItemResult::Delivered, later];
        assert_eq!(result, SendResult::each(fates));
    }
}
