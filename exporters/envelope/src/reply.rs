//! What a receiver of events answers: this host, and whoever answers as it does, takes the good records of a request and
//! names the bad ones: `{"accepted":2,"rejected":[{"index":1,"field":"...","reason":"..."}]}`.

use mastra_exporter_sdk::http::{HttpError, Response};
use mastra_exporter_sdk::outcome::{ItemResult, SendResult, Statuses};
use mastra_exporter_sdk::raw::{elements, member};

/// The answer for a request of so many records. A success whose body names no bad record, or is not JSON, is a success of
/// all. Reasons of the receiver are not passed on: they may hold payload.
#[must_use]
pub fn batch(
    statuses: Statuses,
    reply: &Result<Response, HttpError>,
    records: usize,
) -> SendResult {
    let result = statuses.batch(reply);
    let body = match reply {
        Ok(response) if (200..300).contains(&response.status) => response.text(),
        _ => return result,
    };
    let refused: Vec<usize> = elements(member(body, "rejected").unwrap_or("[]"))
        .filter_map(|refusal| member(refusal, "index")?.parse().ok())
        .filter(|index| *index < records)
        .collect();
    if refused.is_empty() {
        return result;
    }
    let fates = (0..records).map(|index| {
        if refused.contains(&index) {
            ItemResult::Rejected("the receiver refused the record".to_owned())
        } else {
            ItemResult::Delivered
        }
    });
    SendResult {
        not_before: result.not_before,
        ..SendResult::each(fates.collect())
    }
}

#[cfg(test)]
mod tests {
    use mastra_exporter_sdk::http::testing::status;
    use mastra_exporter_sdk::test_support::requests::fate_words;

    use super::*;

    fn fates(code: u16, body: &str) -> Vec<&'static str> {
        let response = Response {
            body: body.as_bytes().to_vec(),
            ..status(code)
        };
        fate_words(&batch(Statuses::COMMON, &Ok(response), 3), 3)
    }

    #[test]
    fn bad_records_are_named_by_index() {
        let body = r#"{"accepted":2,"rejected":[{"index":1,"field":"traceId","reason":"missing"},{"index":9}]}"#;
        assert_eq!(fates(200, body), ["delivered", "rejected", "delivered"]);
        assert_eq!(fates(503, body), ["retry"; 3]);
    }

    #[test]
    fn other_answers_of_success_are_a_success_of_all() {
        for body in [
            "",
            "ok",
            "{}",
            r#"{"rejected":0}"#,
            r#"{"rejected":[]}"#,
            "[1]",
        ] {
            assert_eq!(fates(202, body), ["delivered"; 3], "{body}");
        }
    }
}
