//! Events as a Mastra application sends them, made from numbers: the same call gives the same bytes, for ever. No clock,
//! no randomness, no I/O.
//!
//! Builders give the event envelope as a JSON value, to be changed at will; `ndjson` makes the body that the host reads.
//! Called by the end-to-end tests, the exporters' tests and the benches.

mod awkward;

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

pub use self::awkward::{Awkward, awkward};

/// Start of the first span: 2026-03-04T05:06:07Z, in milliseconds since 1970.
pub const EPOCH_MILLIS: i64 = 1_772_600_767_000;

/// Trace id number `n`, 32 hex digits, never zero.
#[must_use]
pub fn trace_id(n: u64) -> String {
    format!("{:016x}{:016x}", mixed(n, 1) | 1, mixed(n, 2))
}

/// Span id number `n`, 16 hex digits, never zero.
#[must_use]
pub fn span_id(n: u64) -> String {
    format!("{:016x}", mixed(n, 3) | 1)
}

/// A UUID in shape, number `n` of a family.
#[must_use]
pub fn uuid(family: u64, n: u64) -> String {
    let (high, low) = (
        mixed(n, family.wrapping_mul(2) + 4),
        mixed(n, family.wrapping_mul(2) + 5),
    );
    let tail = low & 0xffff_ffff_ffff;
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{tail:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        low >> 52
    )
}

/// `EPOCH_MILLIS` and so many milliseconds as ISO 8601 with three digits.
#[must_use]
pub fn time(millis: i64) -> String {
    let at =
        jiff::Timestamp::from_millisecond(EPOCH_MILLIS.saturating_add(millis)).unwrap_or_default();
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// Stirs a number so that neighbours look unlike (the finalizer of SplitMix64).
const fn mixed(n: u64, salt: u64) -> u64 {
    let mut z = n
        .wrapping_add(salt.wrapping_mul(0x9e37_79b9_7f4a_7c15))
        .wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// One event a line, each ending in a line feed.
#[must_use]
pub fn ndjson(events: &[Value]) -> String {
    events.iter().fold(String::new(), |mut text, event| {
        let _ = writeln!(text, "{event}");
        text
    })
}

/// An ended span: number `n` of trace number `trace`, a root when it has no parent. The envelope's `type` is
/// `span_ended`; [`phase`] changes it.
#[must_use]
pub fn span(trace: u64, n: u64, parent: Option<u64>, span_type: &str) -> Value {
    let mut span = json!({
        "id": span_id(n),
        "traceId": trace_id(trace),
        "name": format!("{span_type} {n}"),
        "type": span_type,
        "entityType": "agent",
        "entityId": "weather-agent",
        "entityName": "Weather Agent",
        "startTime": time(offset(n)),
        "endTime": time(offset(n).saturating_add(20)),
        "attributes": {},
        "metadata": {"userId": "user-1", "sessionId": "session-1", "environment": "staging"},
        "input": {"question": "What is the weather in Lisbon?"},
        "output": {"answer": "Sunny"},
        "isEvent": false,
        "isRootSpan": parent.is_none(),
    });
    if let (Some(parent), Some(span)) = (parent, span.as_object_mut()) {
        span.insert("parentSpanId".to_owned(), span_id(parent).into());
    }
    json!({"type": "span_ended", "exportedSpan": span})
}

/// Milliseconds after the epoch at which span `n` starts; an hour at most.
fn offset(n: u64) -> i64 {
    i64::try_from(n % 3_600_000).unwrap_or_default()
}

/// The same span as `span_started` (without end and output) or `span_updated`.
#[must_use]
pub fn phase(event: Value, event_type: &str) -> Value {
    let mut event = without(without(event, "endTime"), "output");
    if let Some(envelope) = event.as_object_mut() {
        envelope.insert("type".to_owned(), event_type.into());
    }
    event
}

/// Sets one field of the event's payload.
#[must_use]
pub fn with(mut event: Value, key: &str, value: Value) -> Value {
    if let Some(payload) = payload(&mut event) {
        payload.insert(key.to_owned(), value);
    }
    event
}

/// Takes one field of the event's payload away.
#[must_use]
pub fn without(mut event: Value, key: &str) -> Value {
    if let Some(payload) = payload(&mut event) {
        payload.shift_remove(key);
    }
    event
}

/// The record of an envelope, whatever its type.
fn payload(event: &mut Value) -> Option<&mut Map<String, Value>> {
    let envelope = event.as_object_mut()?;
    envelope
        .iter_mut()
        .find(|(key, _)| *key != "type")
        .and_then(|(_, payload)| payload.as_object_mut())
}

/// A model call with token counts, cached tokens among them, and a cost.
#[must_use]
pub fn generation(trace: u64, n: u64, parent: Option<u64>) -> Value {
    let attributes = json!({
        "model": "gpt-4o",
        "provider": "openai",
        "responseModel": "gpt-4o-2024-08-06",
        "parameters": {"temperature": 0.2, "maxOutputTokens": 512},
        "usage": {
            "inputTokens": 1200, "outputTokens": 90,
            "inputDetails": {"text": 200, "cacheRead": 900, "cacheWrite": 100},
            "outputDetails": {"text": 60, "reasoning": 30},
        },
        "costContext": {
            "provider": "openai", "model": "gpt-4o", "estimatedCost": 0.0061, "costUnit": "USD",
            "costMetadata": {"source": "provider_reported"},
        },
        "streaming": true,
        "finishReason": "stop",
        "completionStartTime": time(offset(n).saturating_add(5)),
    });
    let input =
        json!({"messages": [{"role": "user", "content": "What is the weather in Lisbon?"}]});
    let event = with(
        span(trace, n, parent, "model_generation"),
        "attributes",
        attributes,
    );
    with(
        with(event, "input", input),
        "output",
        json!({"text": "Sunny, 24 degrees."}),
    )
}

/// A log record; part of span `n` of a trace.
#[must_use]
pub fn log(trace: u64, n: u64, level: &str) -> Value {
    json!({"type": "log", "log": {
        "logId": uuid(0, n), "timestamp": time(offset(n)), "level": level, "message": format!("message {n}"),
        "data": {"step": n}, "traceId": trace_id(trace), "spanId": span_id(n),
        "correlationContext": {"serviceName": "support-bot", "environment": "staging"},
    }})
}

/// One observation of a duration.
#[must_use]
pub fn metric(trace: u64, n: u64) -> Value {
    json!({"type": "metric", "metric": {
        "metricId": uuid(1, n), "timestamp": time(offset(n)), "name": "mastra_agent_duration_ms", "value": 42.5,
        "labels": {"status": "ok"}, "traceId": trace_id(trace), "spanId": span_id(n),
        "correlationContext": {"serviceName": "support-bot", "entityType": "agent", "entityName": "Weather Agent"},
    }})
}

/// A score of a trace, or of its span when one is given.
#[must_use]
pub fn score(trace: u64, n: u64, span: Option<u64>) -> Value {
    let score = json!({"type": "score", "score": {
        "scoreId": uuid(2, n), "timestamp": time(offset(n)), "traceId": trace_id(trace),
        "scorerId": "relevance", "scorerName": "Relevance", "scoreSource": "live", "score": 0.92, "reason": "on topic",
        "metadata": {"judge": "gpt-4o"},
    }});
    span.map_or(score.clone(), |span| {
        with(score, "spanId", span_id(span).into())
    })
}

/// Feedback on a trace; the value is a number or a text.
#[must_use]
pub fn feedback(trace: u64, n: u64, value: &Value) -> Value {
    json!({"type": "feedback", "feedback": {
        "feedbackId": uuid(3, n), "timestamp": time(offset(n)), "traceId": trace_id(trace),
        "feedbackSource": "user", "feedbackType": "thumbs", "value": value, "feedbackUserId": "user-1",
        "comment": "Nice answer!",
    }})
}

/// Text as answers have it: quotes, a line feed and a two-byte letter, which JSON writes a little longer.
const BENCH_TEXT: &str =
    "The forecast for Lisbon is sunny with light wind from the north-west; \"feels like\" 26 °C.\n";

/// `count` ended spans of about `bytes` bytes of JSON each (1,300 and 10,500 are the usual ones; at least 1,000), ten a
/// trace, a root first, model calls and tool calls below it. Envelopes, as `/v1/events` takes them.
#[must_use]
pub fn bench_spans(count: u64, bytes: usize) -> Vec<Value> {
    (0..count)
        .map(|n| json!({"type": "span_ended", "exportedSpan": bench_span(n, bytes)}))
        .collect()
}

/// The same spans as the platform protocol sends them: bodies `{"spans":[...]}` of at most `batch` spans.
#[must_use]
pub fn bench_bodies(count: u64, bytes: usize, batch: u64) -> Vec<String> {
    let batch = batch.max(1);
    let body = |start: u64| {
        let spans: Vec<Value> = (start..count.min(start + batch))
            .map(|n| bench_span(n, bytes))
            .collect();
        json!({"spans": spans}).to_string()
    };
    (0..count.div_ceil(batch))
        .map(|index| body(index * batch))
        .collect()
}

/// The record without its envelope.
fn bench_span(n: u64, bytes: usize) -> Value {
    let (trace, root) = (n / 10, n / 10 * 10);
    let mut event = match n % 10 {
        0 => with(
            span(trace, n, None, "agent_run"),
            "tags",
            json!(["prod", "tier:gold"]),
        ),
        place if place % 2 == 1 => generation(trace, n, Some(root)),
        _ => {
            let attributes = json!({"toolType": "function", "toolDescription": "Gets the weather", "success": true});
            with(
                span(trace, n, Some(root), "tool_call"),
                "attributes",
                attributes,
            )
        }
    };
    let mut span = event
        .get_mut("exportedSpan")
        .map(Value::take)
        .unwrap_or_default();
    let written = Value::from(BENCH_TEXT).to_string().len() - 2;
    let wanted = bytes.saturating_sub(span.to_string().len());
    let mut text = BENCH_TEXT.repeat(wanted / written);
    text.push_str(&"x".repeat(wanted % written));
    if let Some(output) = span.pointer_mut("/output").and_then(Value::as_object_mut) {
        output.insert("details".to_owned(), text.into());
    }
    span
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_same_call_gives_the_same_bytes() {
        assert_eq!(
            ndjson(&bench_spans(20, 1_300)),
            ndjson(&bench_spans(20, 1_300))
        );
        assert_eq!(time(7), "2026-03-04T05:06:07.007Z");
        assert_eq!(trace_id(1).len() + span_id(1).len(), 48);
        assert_eq!(uuid(0, 1).len(), 36);
    }

    #[test]
    fn bench_spans_have_the_size_that_was_asked_for() {
        for bytes in [1_300, 10_500] {
            for event in bench_spans(20, bytes) {
                let size = event["exportedSpan"].to_string().len();
                assert!(size.abs_diff(bytes) < 64, "{size} for {bytes}");
            }
        }
    }

    #[test]
    fn bench_bodies_hold_every_span_once() {
        let bodies = bench_bodies(25, 1_300, 10);
        let mut ids = HashSet::new();
        for body in &bodies {
            let body: Value = serde_json::from_str(body).unwrap();
            ids.extend(
                body["spans"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|span| span["id"].as_str().unwrap().to_owned()),
            );
        }
        assert_eq!((bodies.len(), ids.len()), (3, 25));
    }

    #[test]
    fn ids_do_not_repeat() {
        let ids: HashSet<_> = (0..10_000)
            .flat_map(|n| [trace_id(n), span_id(n), uuid(0, n), uuid(1, n)])
            .collect();
        assert_eq!(ids.len(), 40_000);
    }

    #[test]
    fn a_started_span_has_no_end_and_no_output() {
        let started = phase(span(1, 1, None, "agent_run"), "span_started");
        assert_eq!(started["type"], "span_started");
        assert!(
            started["exportedSpan"].get("endTime").is_none()
                && started["exportedSpan"].get("output").is_none()
        );
    }

    #[test]
    fn fields_can_be_set_and_taken_away() {
        let event = without(with(log(1, 1, "info"), "message", "other".into()), "data");
        assert_eq!(
            (&event["log"]["message"], event["log"].get("data")),
            (&"other".into(), None)
        );
    }
}
