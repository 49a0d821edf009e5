//! Makes span records as the platform client publishes them: traces of four spans (an agent run, its model generation,
//! one inference, one tool call), children first, each id used once. Reads no clock and is cheap beside what it loads.
//! Called by the load generator and by the rival's feeder, so that both get the same mix.

use anyhow::{Context, Result, bail, ensure};

use crate::load::Bodies;

/// In the order in which the client sends them; the names are also the placeholders of the spans' ids.
const TEMPLATES: [(&str, &str); SPANS_A_TRACE] = [
    ("tool_call", include_str!("../records/tool_call.json")),
    (
        "model_inference",
        include_str!("../records/model_inference.json"),
    ),
    (
        "model_generation",
        include_str!("../records/model_generation.json"),
    ),
    ("agent_run", include_str!("../records/agent_run.json")),
];

/// Spans in one generated trace.
pub(crate) const SPANS_A_TRACE: usize = 4;

/// 2026-03-04T05:06:07Z in milliseconds: the first trace starts here, each next one a millisecond later.
const FIRST_START_MS: i64 = 1_772_600_767_000;

/// Escaped prose to cut texts from, in bytes; larger than a compressor's window.
const PROSE_BYTES: usize = 1 << 20;

/// One span record, cut at its placeholders.
struct Template {
    pieces: Vec<Piece>,
}

enum Piece {
    Literal(String),
    Trace,
    /// Id of the span with this index in the trace.
    Span(usize),
    Start,
    End,
    Text,
}

/// Generates bodies of the platform protocol.
pub(crate) struct SpanMaker {
    templates: Vec<Template>,
    prose: String,
    /// Bytes of prose for each text placeholder.
    text_bytes: usize,
    seed: u64,
}

impl SpanMaker {
    /// Records of `span_bytes` on average. Makers of different seeds never give the same id.
    ///
    /// # Errors
    /// A size below what the records need without any text.
    pub(crate) fn new(span_bytes: usize, seed: u64) -> Result<Self> {
        let mut templates = Vec::with_capacity(SPANS_A_TRACE);
        for (index, (name, text)) in TEMPLATES.iter().enumerate() {
            templates
                .push(Template::parse(index, text).with_context(|| format!("template {name}"))?);
        }
        let mut maker = Self {
            templates,
            prose: prose(),
            text_bytes: 0,
            seed,
        };
        let mut bare = Vec::new();
        maker.trace(0, &mut bare);
        // One separator follows each record.
        let room = (SPANS_A_TRACE * span_bytes)
            .checked_sub(bare.len() + SPANS_A_TRACE)
            .with_context(|| {
                format!(
                    "spans of {span_bytes} bytes: the smallest have {} on average",
                    bare.len() / SPANS_A_TRACE + 1
                )
            })?;
        let texts = maker
            .templates
            .iter()
            .flat_map(|template| &template.pieces)
            .filter(|piece| matches!(piece, Piece::Text))
            .count();
        maker.text_bytes = room / texts.max(1);
        Ok(maker)
    }

    /// Appends the records of one trace, separated by commas.
    fn trace(&self, trace: u64, out: &mut Vec<u8>) {
        let mut random =
            fastrand::Rng::with_seed(self.seed ^ trace.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let trace_id = format!("{:016x}{trace:016x}", self.seed | 1);
        let span_ids: [String; SPANS_A_TRACE] = std::array::from_fn(|index| {
            // The seed's upper half keeps makers apart, the rest counts spans.
            let counter = trace * SPANS_A_TRACE as u64 + index as u64 + 1;
            format!("{:016x}", (self.seed & 0xffff_ff00_0000_0000) ^ counter)
        });
        let start = timestamp(trace, 0);
        let end = timestamp(trace, 1_250);
        for (index, template) in self.templates.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            for piece in &template.pieces {
                out.extend_from_slice(match piece {
                    Piece::Literal(text) => text.as_bytes(),
                    Piece::Trace => trace_id.as_bytes(),
                    Piece::Span(index) => span_ids.get(*index).map_or(b"", String::as_bytes),
                    Piece::Start => start.as_bytes(),
                    Piece::End => end.as_bytes(),
                    Piece::Text => self.text(&mut random).as_bytes(),
                });
            }
        }
    }

    /// A slice of the prose that begins and ends at a blank, so that no escape is cut.
    fn text(&self, random: &mut fastrand::Rng) -> &str {
        let prose = self.prose.as_str();
        let blank_after = |at: usize| {
            let bytes = prose.as_bytes().get(at..).unwrap_or_default();
            at + bytes.iter().position(|byte| *byte == b' ').unwrap_or(0)
        };
        if self.text_bytes == 0 {
            return "";
        }
        let from =
            blank_after(random.usize(..prose.len().saturating_sub(self.text_bytes + 64).max(1)));
        let to = blank_after(from + self.text_bytes);
        prose.get(from..to).unwrap_or_default()
    }
}

impl Bodies for SpanMaker {
    fn path(&self) -> &'static str {
        "/ai/spans/publish"
    }

    fn content_type(&self) -> &'static str {
        "application/json"
    }

    /// `{"spans":[...]}`, of whole traces.
    fn body(&self, index: u64, spans: usize) -> Result<Vec<u8>> {
        ensure!(
            spans.is_multiple_of(SPANS_A_TRACE) && spans > 0,
            "{spans} spans a body: must be a multiple of {SPANS_A_TRACE}"
        );
        let traces = (spans / SPANS_A_TRACE) as u64;
        let mut body = Vec::with_capacity(spans * (self.text_bytes * 2 + 1100));
        body.extend_from_slice(br#"{"spans":["#);
        for trace in 0..traces {
            if trace > 0 {
                body.push(b',');
            }
            self.trace(index * traces + trace, &mut body);
        }
        body.extend_from_slice(b"]}");
        Ok(body)
    }

    fn all_accepted(&self, answer: &[u8]) -> Result<()> {
        let answer: serde_json::Value = serde_json::from_slice(answer).unwrap_or_default();
        match answer
            .get("rejected")
            .and_then(|rejected| rejected.as_array())
        {
            Some(rejected) if !rejected.is_empty() => {
                bail!("the host refused records: {:?}", rejected.first())
            }
            _ => Ok(()),
        }
    }
}

impl Template {
    fn parse(own_index: usize, json: &str) -> Result<Self> {
        let compact = serde_json::from_str::<serde_json::Value>(json)?.to_string();
        let mut pieces = Vec::new();
        let mut rest = compact.as_str();
        while let Some((literal, marked)) = rest.split_once("{{") {
            let (name, after) = marked
                .split_once("}}")
                .context("a placeholder has no end")?;
            pieces.push(Piece::Literal(literal.to_owned()));
            pieces.push(match name {
                "trace" => Piece::Trace,
                "span" => Piece::Span(own_index),
                "start" => Piece::Start,
                "end" => Piece::End,
                "text" => Piece::Text,
                other => match TEMPLATES
                    .iter()
                    .position(|(span_type, _)| *span_type == other)
                {
                    Some(index) => Piece::Span(index),
                    None => bail!("unknown placeholder {other}"),
                },
            });
            rest = after;
        }
        pieces.push(Piece::Literal(rest.to_owned()));
        Ok(Self { pieces })
    }
}

/// ISO 8601 with three digits, as JavaScript writes dates.
fn timestamp(trace: u64, offset_ms: i64) -> String {
    let ms = FIRST_START_MS + offset_ms + i64::try_from(trace).unwrap_or(0);
    jiff::Timestamp::from_millisecond(ms)
        .map(|time| format!("{time:.3}"))
        .unwrap_or_default()
}

/// JSON-escaped sentences of random words: quotes, line feeds and a few characters beyond ASCII among them.
fn prose() -> String {
    const WORDS: &[&str] = &[
        "the",
        "forecast",
        "for",
        "Lisbon",
        "says",
        "clear",
        "with",
        "light",
        "wind",
        "from",
        "north",
        "west",
        "and",
        "21.5",
        "°C",
        "tomorrow",
        "user",
        "asked",
        "about",
        "\\\"umbrella\\\"",
        "please",
        "check",
        "again",
        "because",
        "model",
        "answer",
        "depends",
        "on",
        "humidity",
        "pressure",
        "temperature",
        "between",
        "coast",
        "mountain",
        "agent",
        "will",
        "call",
        "a",
        "tool",
        "before",
        "it",
        "answers",
        "naïve",
        "estimate",
        "7",
        "hours",
        "of",
        "sun",
        "rain",
        "expected",
        "in",
        "afternoon",
        "evening",
        "no",
        "alert",
        "is",
        "active",
        "http:\\/\\/example.com\\/weather?q=1",
        "{json}",
        "value,",
        "then",
        "stop.\\n",
        "summary:",
        "—",
    ];
    let mut random = fastrand::Rng::with_seed(1);
    let mut prose = String::with_capacity(PROSE_BYTES + 64);
    while prose.len() < PROSE_BYTES {
        prose.push_str(random.choice(WORDS).copied().unwrap_or_default());
        prose.push(' ');
    }
    prose
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn spans(maker: &SpanMaker, index: u64) -> Vec<serde_json::Value> {
        let body = maker.body(index, 400).unwrap();
        let mut value: serde_json::Value = serde_json::from_slice(&body).unwrap();
        match value["spans"].take() {
            serde_json::Value::Array(spans) => spans,
            other => panic!("not an array: {other}"),
        }
    }

    #[test]
    fn records_have_the_asked_size_on_average() {
        for asked in [1_300, 10_500] {
            let body = SpanMaker::new(asked, 7).unwrap().body(3, 1_000).unwrap();
            let mean = body.len() / 1_000;
            assert!(
                mean.abs_diff(asked) < asked / 50,
                "{mean} instead of {asked}"
            );
        }
    }

    #[test]
    fn ids_are_unique_within_and_between_makers() {
        let mut ids = HashSet::new();
        for seed in [0x1234_5600_0000_0000, 0x1234_5700_0000_0000] {
            let maker = SpanMaker::new(1_300, seed).unwrap();
            for index in 0..3 {
                for span in spans(&maker, index) {
                    assert!(ids.insert(span["spanId"].to_string()), "repeated {span}");
                }
            }
        }
        assert_eq!(ids.len(), 2 * 3 * 400);
    }

    #[test]
    fn every_parent_is_in_the_same_trace() {
        let spans = spans(&SpanMaker::new(1_300, 7).unwrap(), 1);
        for trace in spans.chunks(SPANS_A_TRACE) {
            let ids: HashSet<_> = trace
                .iter()
                .map(|span| span["spanId"].to_string())
                .collect();
            let roots = trace
                .iter()
                .filter(|span| span["parentSpanId"].is_null())
                .count();
            assert_eq!(roots, 1);
            for span in trace {
                assert_eq!(span["traceId"], trace[0]["traceId"]);
                assert!(
                    span["parentSpanId"].is_null()
                        || ids.contains(&span["parentSpanId"].to_string())
                );
            }
        }
    }

    #[test]
    fn a_body_of_broken_traces_is_refused() {
        assert!(SpanMaker::new(1_300, 7).unwrap().body(0, 1_001).is_err());
        assert!(SpanMaker::new(100, 7).is_err());
    }
}
