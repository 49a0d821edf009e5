//! What an OTLP/HTTP server's answer means (<https://opentelemetry.io/docs/specs/otlp/#otlphttp-response>, read 2026-11).
//! Servers deviate, so each exporter names its table; partial success is the same for all.

use mastra_exporter_sdk::http::{HttpError, Response};
use mastra_exporter_sdk::outcome::{Fate, PartialSuccess, Row, SendOutcome, SendResult, Statuses};
use mastra_exporter_sdk::raw::{inside_quotes, member};
use mastra_exporter_sdk::records::ItemResult;

/// The specification's own table: 429, 502, 503 and 504 are worth a retry, nothing else is. 413 is not named by it, but
/// every server means the size.
pub const STRICT: &[Row] = &[
    (400, 400, Fate::Rejected),
    (408, 408, Fate::Rejected),
    (422, 422, Fate::Rejected),
    (425, 425, Fate::Rejected),
    (500, 501, Fate::Rejected),
    (505, 599, Fate::Rejected),
];

/// The answer for a batch of `items` that was one request. A 2xx may say that some items were refused, not which.
#[must_use]
pub fn batch(statuses: Statuses, reply: &Result<Response, HttpError>, items: usize) -> SendResult {
    if let Ok(response) = reply
        && statuses.fate(response.status) == Fate::Delivered
        && let Some(rejected) = rejected_items(response.text())
    {
        let rejected_count = rejected.min(u32::try_from(items).unwrap_or(u32::MAX));
        let reason =
            format!("the backend took the batch and refused {rejected_count} of its items");
        return SendResult::of(if rejected_count as usize == items {
            SendOutcome::AllItems(ItemResult::Rejected(reason))
        } else {
            SendOutcome::Partial(PartialSuccess {
                rejected_count,
                reason,
            })
        });
    }
    statuses.batch(reply)
}

/// The count of a `partialSuccess`, when it is not zero. Numbers may be strings; an empty body is a success.
fn rejected_items(body: &str) -> Option<u32> {
    let partial = member(body, "partialSuccess")?;
    ["rejectedSpans", "rejectedLogRecords", "rejectedDataPoints"]
        .iter()
        .find_map(|key| member(partial, key))
        .map(|count| inside_quotes(count).unwrap_or(count))
        .and_then(|count| count.parse().ok())
        .filter(|count| *count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, body: &str) -> Result<Response, HttpError> {
        Ok(Response {
            status,
            headers: Vec::new(),
            body: body.as_bytes().to_vec(),
            retry_after: None,
        })
    }

    #[test]
    fn empty_and_unset_partial_success_is_success() {
        for body in [
            "",
            "{}",
            r#"{"partialSuccess":{}}"#,
            r#"{"partialSuccess":{"rejectedSpans":"0","errorMessage":"w"}}"#,
        ] {
            let outcome = batch(Statuses::COMMON, &answered(200, body), 3).outcome;
            assert_eq!(
                outcome,
                SendOutcome::AllItems(ItemResult::Delivered),
                "{body}"
            );
        }
    }

    #[test]
    fn refused_items_are_counted_and_never_sent_again() {
        for body in [
            r#"{"partialSuccess":{"rejectedSpans":"2"}}"#,
            r#"{"partialSuccess":{"rejectedLogRecords":2}}"#,
        ] {
            let SendOutcome::Partial(partial) =
                batch(Statuses::COMMON, &answered(200, body), 3).outcome
            else {
                panic!()
            };
            assert_eq!(partial.rejected_count, 2);
        }
        let all = batch(
            Statuses::COMMON,
            &answered(200, r#"{"partialSuccess":{"rejectedSpans":9}}"#),
            3,
        )
        .outcome;
        assert!(matches!(
            all,
            SendOutcome::AllItems(ItemResult::Rejected(_))
        ));
    }

    #[test]
    fn the_specification_retries_four_statuses() {
        let statuses = Statuses::with(STRICT);
        for status in 400..=599 {
            let is_retried = matches!(status, 429 | 502 | 503 | 504);
            assert_eq!(statuses.fate(status) == Fate::Retry, is_retried, "{status}");
        }
    }
}
