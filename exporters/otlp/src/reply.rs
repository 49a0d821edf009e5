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
        && let Some(rejected) = rejected_items(response)
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

/// The count of a partial success, when it is not zero. An empty body is a success.
fn rejected_items(response: &Response) -> Option<u32> {
    let is_json = response.body.trim_ascii_start().starts_with(b"{");
    let count = if is_json {
        rejected_in_json(response.text())
    } else {
        rejected_in_protobuf(&response.body)
    };
    count.filter(|count| *count > 0)
}

/// Numbers may be strings.
fn rejected_in_json(body: &str) -> Option<u32> {
    let partial = member(body, "partialSuccess")?;
    ["rejectedSpans", "rejectedLogRecords", "rejectedDataPoints"]
        .iter()
        .find_map(|key| member(partial, key))
        .map(|count| inside_quotes(count).unwrap_or(count))
        .and_then(|count| count.parse().ok())
}

/// `Export*ServiceResponse { partial_success = 1 { rejected_* = 1, error_message = 2 } }`; all three signals have these
/// numbers.
fn rejected_in_protobuf(body: &[u8]) -> Option<u32> {
    let Value::Bytes(partial) = field_one(body)? else {
        return None;
    };
    match field_one(partial)? {
        Value::Number(count) => u32::try_from(count).ok(),
        Value::Bytes(_) => None,
    }
}

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The value of field 1 of a message; fields of other numbers are passed over.
fn field_one(mut message: &[u8]) -> Option<Value<'_>> {
    loop {
        let tag = varint(&mut message)?;
        let value = match tag & 7 {
            0 => Value::Number(varint(&mut message)?),
            1 => Value::Bytes(split(&mut message, 8)?),
            2 => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                Value::Bytes(split(&mut message, length)?)
            }
            5 => Value::Bytes(split(&mut message, 4)?),
            _ => return None,
        };
        if tag >> 3 == 1 {
            return Some(value);
        }
    }
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first()?;
        *message = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn split<'a>(message: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (bytes, rest) = message.split_at_checked(length)?;
    *message = rest;
    Some(bytes)
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
    fn protobuf_says_the_same() {
        let of = |body: &[u8]| {
            let mut response = answered(200, "").unwrap();
            response.body = body.to_vec();
            match batch(Statuses::COMMON, &Ok(response), 300).outcome {
                SendOutcome::Partial(partial) => Some(partial.rejected_count),
                SendOutcome::AllItems(ItemResult::Delivered) => None,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(of(b""), None);
        assert_eq!(of(&[10, 0]), None);
        assert_eq!(of(&[10, 3, 18, 1, b'w']), None, "a warning");
        assert_eq!(of(&[10, 5, 18, 1, b'w', 8, 2]), Some(2));
        assert_eq!(of(&[10, 3, 8, 0xab, 0x02]), Some(299));
        for broken in [&[10][..], &[10, 9, 8], &[8, 2], &[0xff; 12], &[11, 1]] {
            assert_eq!(of(broken), None);
        }
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
