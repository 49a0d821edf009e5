//! Short words for what exporters' tests ask of requests and results.

use crate::http::Request;
use crate::records::{ItemResult, SendOutcome, SendResult};

/// The outcome in a word: `delivered`, `skipped`, `retry`, `rejected`, `held`, `per-item`, `partial`, `too-large`,
/// `isolate` or `unauthorized`.
#[must_use]
pub const fn outcome_word(result: &SendResult) -> &'static str {
    match &result.outcome {
        SendOutcome::AllItems(fate) => fate_word(fate),
        SendOutcome::PerItem(_) => "per-item",
        SendOutcome::Partial(_) => "partial",
        SendOutcome::TooLarge => "too-large",
        SendOutcome::Isolate(_) => "isolate",
        SendOutcome::Unauthorized(_) => "unauthorized",
    }
}

/// The fate of each of so many items in a word; those of an outcome that is about the whole batch are its word.
#[must_use]
pub fn fate_words(result: &SendResult, items: usize) -> Vec<&'static str> {
    match &result.outcome {
        SendOutcome::PerItem(fates) => fates.iter().map(fate_word).collect(),
        _ => vec![outcome_word(result); items],
    }
}

/// A fate in a word.
#[must_use]
pub const fn fate_word(fate: &ItemResult) -> &'static str {
    match fate {
        ItemResult::Delivered => "delivered",
        ItemResult::Skipped(_) => "skipped",
        ItemResult::Retry(_) => "retry",
        ItemResult::Rejected(_) => "rejected",
        ItemResult::Held => "held",
    }
}

/// The first header of that name, spelled as the exporter spells it.
#[must_use]
pub fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request
        .headers
        .iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.as_str())
}
