//! What became of a batch: short ways to say it, and the one table from HTTP status to fate that all exporters share. An
//! exporter states only where its backend deviates. Reasons are constant texts and numbers: no payload, no secret.
//!
//! ```
//! use mastra_exporter_sdk::http::testing::status;
//! use mastra_exporter_sdk::outcome::{Fate, SendOutcome, Statuses};
//!
//! // This backend says 409 when it has the record already.
//! const STATUSES: Statuses = Statuses::with(&[(409, 409, Fate::Delivered)]);
//! assert_eq!(STATUSES.fate(409), Fate::Delivered);
//! assert_eq!(STATUSES.fate(503), Fate::Retry);
//! let result = STATUSES.batch(&Ok(status(413)));
//! assert_eq!(result.outcome, SendOutcome::TooLarge);
//! ```

use std::time::Duration;

use crate::exporter::nanos;
use crate::http::{HttpError, Response};
pub use crate::records::{
    DelayScope, ItemResult, NotBefore, PartialSuccess, SendOutcome, SendResult,
};

impl SendResult {
    /// All items had this fate.
    #[must_use]
    pub const fn all(fate: ItemResult) -> Self {
        Self::of(SendOutcome::AllItems(fate))
    }

    /// One fate an item, in the batch's order and of its length.
    #[must_use]
    pub const fn each(fates: Vec<ItemResult>) -> Self {
        Self::of(SendOutcome::PerItem(fates))
    }

    /// An outcome without a delay.
    #[must_use]
    pub const fn of(outcome: SendOutcome) -> Self {
        Self {
            outcome,
            not_before: None,
        }
    }

    /// Asks not to be called again for this signal before the wait is over.
    #[must_use]
    pub fn not_before(mut self, wait: Option<Duration>) -> Self {
        self.not_before = wait.map(|wait| NotBefore {
            scope: DelayScope::ThisSignal,
            wait: nanos(wait),
        });
        self
    }
}

/// What a status means for the request's items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The backend has them.
    Delivered,
    /// Not stored now, may be later.
    Retry,
    /// Will never be stored.
    Rejected,
    /// The request is too big.
    TooLarge,
    /// Nothing was stored, because of at least one item.
    Isolate,
    /// The credentials are refused.
    Unauthorized,
}

/// A row of the table: an inclusive range of statuses and their fate.
pub type Row = (u16, u16, Fate);

/// What most backends mean (`contracts` of OTLP, Langfuse, Braintrust, LangSmith, Datadog, ... agree on these). Anything
/// else is [`Fate::Rejected`].
const COMMON_ROWS: &[Row] = &[
    (200, 299, Fate::Delivered),
    (400, 400, Fate::Isolate),
    (401, 401, Fate::Unauthorized),
    (403, 403, Fate::Unauthorized),
    (408, 408, Fate::Retry),
    (413, 413, Fate::TooLarge),
    (422, 422, Fate::Isolate),
    (425, 425, Fate::Retry),
    (429, 429, Fate::Retry),
    (500, 599, Fate::Retry),
];

/// The table from status to fate: the deviations first, then what most backends mean.
#[derive(Clone, Copy, Debug)]
pub struct Statuses {
    deviations: &'static [Row],
}

impl Statuses {
    /// No deviations.
    pub const COMMON: Self = Self { deviations: &[] };

    /// With rows that come before the common ones.
    #[must_use]
    pub const fn with(deviations: &'static [Row]) -> Self {
        Self { deviations }
    }

    /// The fate of a status.
    #[must_use]
    pub fn fate(&self, status: u16) -> Fate {
        let rows = self.deviations.iter().chain(COMMON_ROWS);
        rows.copied()
            .find(|(first, last, _)| (*first..=*last).contains(&status))
            .map_or(Fate::Rejected, |(_, _, fate)| fate)
    }

    /// The answer for a batch that was one request.
    #[must_use]
    pub fn batch(&self, reply: &Result<Response, HttpError>) -> SendResult {
        match reply {
            Ok(response) => self.batch_status(response),
            Err(error) => SendResult::of(match error.item_result() {
                Some(fate) => SendOutcome::AllItems(fate),
                None => SendOutcome::Unauthorized(error.to_string()),
            }),
        }
    }

    fn batch_status(&self, response: &Response) -> SendResult {
        let status = response.status;
        let outcome = match self.fate(status) {
            Fate::Delivered => SendOutcome::AllItems(ItemResult::Delivered),
            Fate::Retry => SendOutcome::AllItems(ItemResult::Retry(reason(status))),
            Fate::Rejected => SendOutcome::AllItems(ItemResult::Rejected(reason(status))),
            Fate::TooLarge => SendOutcome::TooLarge,
            Fate::Isolate => SendOutcome::Isolate(reason(status)),
            Fate::Unauthorized => SendOutcome::Unauthorized(reason(status)),
        };
        SendResult::of(outcome).not_before(response.retry_after)
    }

    /// Delivers items that are a request each, in order, and puts their fates together. After a reply that concerns all
    /// requests (429, 503 and other gateways' statuses, no connection) the rest is not tried; nor after `budget`, so that
    /// the call ends before the host's limit. For backends that know an item again by its id: when credentials are
    /// refused half-way, the whole batch comes again.
    pub fn one_by_one<T>(
        &self,
        items: &[T],
        budget: Duration,
        mut send: impl FnMut(&T) -> Result<Response, HttpError>,
    ) -> SendResult {
        let started = std::time::Instant::now();
        let mut fates = Vec::with_capacity(items.len());
        let mut wait = None;
        for item in items {
            let reply = send(item);
            wait = reply
                .as_ref()
                .ok()
                .and_then(|response| response.retry_after);
            let (fate, goes_on) = match self.item(&reply) {
                Ok(settled) => settled,
                Err(refused) => return SendResult::of(SendOutcome::Unauthorized(refused)),
            };
            fates.push(fate);
            if !goes_on || started.elapsed() >= budget {
                break;
            }
        }
        fates.resize(
            items.len(),
            ItemResult::Retry("not tried in this call".to_owned()),
        );
        SendResult::each(fates).not_before(wait)
    }

    /// The fate of an item that was one request, and whether the next item is worth trying. `Err` when the credentials
    /// are refused.
    fn item(&self, reply: &Result<Response, HttpError>) -> Result<(ItemResult, bool), String> {
        let response = match reply {
            Ok(response) => response,
            Err(error) => {
                let goes_on = matches!(error, HttpError::ResponseTooLarge);
                return error
                    .item_result()
                    .map(|fate| (fate, goes_on))
                    .ok_or_else(|| error.to_string());
            }
        };
        let status = response.status;
        match self.fate(status) {
            Fate::Delivered => Ok((ItemResult::Delivered, true)),
            // 500 may be about this item alone; the others are about the backend.
            Fate::Retry => Ok((ItemResult::Retry(reason(status)), status == 500)),
            Fate::Rejected | Fate::TooLarge | Fate::Isolate => {
                Ok((ItemResult::Rejected(reason(status)), true))
            }
            Fate::Unauthorized => Err(reason(status)),
        }
    }
}

/// Leaves out items for which the backend has no place: each of `skipped` is the reason, or `None` for an item that is
/// sent. `send` gets the count of those that are sent and answers for them; it is not called for none. An answer that
/// concerns the whole batch (too large, isolate, ...) stays as it is: the host asks again with parts of it.
pub fn with_skipped(
    skipped: Vec<Option<String>>,
    send: impl FnOnce(usize) -> SendResult,
) -> SendResult {
    let sent = skipped.iter().filter(|reason| reason.is_none()).count();
    if sent == 0 {
        return SendResult::each(
            skipped
                .into_iter()
                .flatten()
                .map(ItemResult::Skipped)
                .collect(),
        );
    }
    let result = send(sent);
    if sent == skipped.len() {
        return result;
    }
    let fates = match result.outcome {
        SendOutcome::AllItems(fate) => vec![fate; sent],
        SendOutcome::PerItem(fates) => fates,
        _ => return result,
    };
    let mut fates = fates.into_iter();
    let woven = skipped
        .into_iter()
        .filter_map(|reason| reason.map(ItemResult::Skipped).or_else(|| fates.next()));
    SendResult {
        outcome: SendOutcome::PerItem(woven.collect()),
        not_before: result.not_before,
    }
}

fn reason(status: u16) -> String {
    format!("the backend answered with status {status}")
}

impl HttpError {
    /// The fate of a request's items when there was no response. `None` when the request was not allowed to leave:
    /// nothing is lost and an operator has to act, as with refused credentials.
    #[must_use]
    pub fn item_result(&self) -> Option<ItemResult> {
        match self {
            Self::Invalid(_) | Self::Denied(_) => None,
            Self::Unreachable(_) | Self::Interrupted(_) | Self::TimedOut => {
                Some(ItemResult::Retry(self.to_string()))
            }
            // It was processed, and it would be so again.
            Self::ResponseTooLarge => Some(ItemResult::Rejected(self.to_string())),
        }
    }
}

#[cfg(test)]
mod tests;
