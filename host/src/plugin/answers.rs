//! From a guest's answer to the host's own words. A guest's answer is input like any other: lengths and counts are
//! checked, texts are cut, and what breaks the contract is a [`CallError::Contract`].

use std::time::Duration;

use super::bindings::{exported::lifecycle, types as wit};
use super::limits::short;
use super::outcome::{Acknowledgement, CallError, ItemResult, NotBefore, SendOutcome, SendResult};
use crate::event::Signal;

/// Checks and converts the answer to a batch of `items` items. Only who `may_hold` may answer `held`.
///
/// # Errors
/// [`CallError::Contract`] if the answer does not fit the batch.
pub(super) fn send_result(
    answer: wit::SendResult,
    items: usize,
    may_hold: bool,
) -> Result<SendResult, CallError> {
    let item_result = |fate| match item_result(fate) {
        ItemResult::Held if !may_hold => Err(CallError::Contract(
            "`held` from a component without `flush-interval`".to_owned(),
        )),
        fate => Ok(fate),
    };
    let outcome = match answer.outcome {
        wit::SendOutcome::AllItems(fate) => SendOutcome::AllItems(item_result(fate)?),
        wit::SendOutcome::PerItem(fates) if fates.len() != items => {
            let count = fates.len();
            return Err(CallError::Contract(format!(
                "`per-item` has {count} results for a batch of {items}"
            )));
        }
        wit::SendOutcome::PerItem(fates) => SendOutcome::PerItem(
            fates
                .into_iter()
                .map(item_result)
                .collect::<Result<_, _>>()?,
        ),
        wit::SendOutcome::Partial(partial) => partial_success(&partial, items)?,
        wit::SendOutcome::TooLarge => SendOutcome::TooLarge,
        wit::SendOutcome::Isolate(reason) => SendOutcome::Isolate(short(&reason)),
        wit::SendOutcome::Unauthorized(reason) => SendOutcome::Unauthorized(short(&reason)),
    };
    let not_before = answer.not_before.map(|delay| NotBefore {
        whole_exporter: matches!(delay.scope, wit::DelayScope::WholeExporter),
        wait: Duration::from_nanos(delay.wait),
    });
    Ok(SendResult {
        outcome,
        not_before,
        has_unknown_outcome: false,
        holder: 0,
    })
}

fn partial_success(partial: &wit::PartialSuccess, items: usize) -> Result<SendOutcome, CallError> {
    let rejected_count = usize::try_from(partial.rejected_count).unwrap_or(usize::MAX);
    if rejected_count == 0 || rejected_count > items {
        return Err(CallError::Contract(format!(
            "`partial` claims {rejected_count} rejected items of a batch of {items}"
        )));
    }
    Ok(SendOutcome::Partial {
        rejected_count,
        reason: short(&partial.reason),
    })
}

fn item_result(fate: wit::ItemResult) -> ItemResult {
    match fate {
        wit::ItemResult::Delivered => ItemResult::Delivered,
        wit::ItemResult::Skipped(reason) => ItemResult::Skipped(short(&reason)),
        wit::ItemResult::Retry(reason) => ItemResult::Retry(short(&reason)),
        wit::ItemResult::Rejected(reason) => ItemResult::Rejected(short(&reason)),
        wit::ItemResult::Held => ItemResult::Held,
    }
}

/// Converts what `flush` reports. Whether the tokens are held is the caller's to check.
pub(super) fn acknowledgements(reported: Vec<lifecycle::Acknowledgement>) -> Vec<Acknowledgement> {
    let convert = |reported: lifecycle::Acknowledgement| Acknowledgement {
        signal: match reported.of_signal {
            wit::Signal::Traces => Signal::Traces,
            wit::Signal::Logs => Signal::Logs,
            wit::Signal::Metrics => Signal::Metrics,
            wit::Signal::Scores => Signal::Scores,
            wit::Signal::Feedback => Signal::Feedback,
        },
        tokens: reported.tokens,
        fate: item_result(reported.fate),
    };
    reported.into_iter().map(convert).collect()
}

/// Puts the items that could not be decoded (positions `refused`, rising, each with its reason) back into the answer
/// for the others.
pub(super) fn with_refused(
    answer: SendResult,
    refused: Vec<(usize, String)>,
    items: usize,
) -> SendResult {
    if refused.is_empty() {
        return answer;
    }
    let SendResult {
        not_before,
        has_unknown_outcome,
        holder,
        ..
    } = answer;
    let fates = match answer.outcome {
        SendOutcome::AllItems(fate) => vec![fate; items - refused.len()],
        SendOutcome::PerItem(fates) => fates,
        SendOutcome::Partial {
            rejected_count,
            reason,
        } => {
            let rejected_count = rejected_count + refused.len();
            return SendResult {
                outcome: SendOutcome::Partial {
                    rejected_count,
                    reason,
                },
                not_before,
                has_unknown_outcome,
                holder,
            };
        }
        // Nothing was decided for single items. The batch comes back in parts, until a part is refused items alone.
        outcome => {
            return SendResult {
                outcome,
                not_before,
                has_unknown_outcome,
                holder,
            };
        }
    };
    let mut rest = fates.into_iter();
    let mut refused = refused.into_iter().peekable();
    let merged =
        (0..items).filter_map(
            |position| match refused.next_if(|(at, _)| *at == position) {
                Some((_, reason)) => Some(ItemResult::Rejected(reason)),
                None => rest.next(),
            },
        );
    SendResult {
        outcome: SendOutcome::PerItem(merged.collect()),
        not_before,
        has_unknown_outcome,
        holder,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(outcome: wit::SendOutcome) -> wit::SendResult {
        wit::SendResult {
            outcome,
            not_before: None,
        }
    }

    #[test]
    fn a_result_list_of_the_wrong_length_breaks_the_contract() {
        let fates = vec![wit::ItemResult::Delivered; 3];
        let error = send_result(answer(wit::SendOutcome::PerItem(fates)), 2, false).unwrap_err();
        assert_eq!(
            error,
            CallError::Contract("`per-item` has 3 results for a batch of 2".to_owned())
        );
    }

    #[test]
    fn a_partial_success_counts_at_least_one_and_at_most_all() {
        for (count, fits) in [(0, false), (1, true), (2, true), (3, false)] {
            let partial = wit::PartialSuccess {
                rejected_count: count,
                reason: "why".to_owned(),
            };
            let result = send_result(answer(wit::SendOutcome::Partial(partial)), 2, false);
            assert_eq!(result.is_ok(), fits, "{count}");
        }
    }

    #[test]
    fn held_is_refused_from_stateless_components() {
        let held = || answer(wit::SendOutcome::AllItems(wit::ItemResult::Held));
        let result = send_result(held(), 1, false);
        assert!(matches!(result, Err(CallError::Contract(_))));
        let result = send_result(held(), 1, true).map(|result| result.outcome);
        assert_eq!(result, Ok(SendOutcome::AllItems(ItemResult::Held)));
    }

    #[test]
    fn reasons_are_cut_at_a_character() {
        let long = "ä".repeat(5_000);
        let result = send_result(answer(wit::SendOutcome::Isolate(long)), 1, false).unwrap();
        let SendOutcome::Isolate(reason) = result.outcome else {
            panic!("another outcome")
        };
        assert!(
            reason.len() < 600 && reason.ends_with("..."),
            "{}",
            reason.len()
        );
    }

    #[test]
    fn undecodable_items_are_rejected_in_their_places() {
        let delivered = SendResult {
            outcome: SendOutcome::AllItems(ItemResult::Delivered),
            not_before: None,
            has_unknown_outcome: false,
            holder: 0,
        };
        let merged = with_refused(delivered, vec![(0, "first".into()), (2, "third".into())], 4);
        let rejected = |reason: &str| ItemResult::Rejected(reason.into());
        assert_eq!(
            merged.outcome,
            SendOutcome::PerItem(vec![
                rejected("first"),
                ItemResult::Delivered,
                rejected("third"),
                ItemResult::Delivered
            ])
        );
    }
}
