//! OTLP trace exports of generated model calls, as an OpenTelemetry SDK sends them: protobuf, one resource, one scope.

use anyhow::{Result, ensure};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, InstrumentationScope, KeyValue, any_value::Value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;

use crate::load::Bodies;

/// 2026-03-04T05:06:07Z
const FIRST_START_NANOS: u64 = 1_772_600_767_000_000_000;

/// Generates bodies of `POST /v1/traces`.
pub(crate) struct OtlpSpans {
    /// Fills a span up to its size.
    prompt: String,
    seed: u64,
}

impl OtlpSpans {
    /// Spans of `span_bytes`; at least what their other attributes need. Makers of different seeds share no id.
    pub(crate) fn new(span_bytes: usize, seed: u64) -> Self {
        let bare = Self {
            prompt: String::new(),
            seed: seed | 1,
        };
        let room = span_bytes.saturating_sub(bare.span(0).encoded_len());
        let sentence = "What is the weather in Lisbon tomorrow, and do I need a coat? ";
        let prompt = sentence.chars().cycle().take(room).collect();
        Self { prompt, ..bare }
    }

    fn span(&self, index: u64) -> Span {
        let trace_id = [self.seed.to_be_bytes(), (index / 4 + 1).to_be_bytes()].concat();
        let start = FIRST_START_NANOS + index * 1_000;
        Span {
            trace_id,
            span_id: (index + 1).to_be_bytes().to_vec(),
            name: "chat gpt-4o-mini".to_owned(),
            kind: 3,
            start_time_unix_nano: start,
            end_time_unix_nano: start + 1_250_000_000,
            attributes: vec![
                text("gen_ai.operation.name", "chat"),
                text("gen_ai.provider.name", "openai"),
                text("gen_ai.request.model", "gpt-4o-mini"),
                count("gen_ai.usage.input_tokens", 420),
                count("gen_ai.usage.output_tokens", 53),
                text("gen_ai.prompt", &self.prompt),
            ],
            ..Span::default()
        }
    }
}

impl Bodies for OtlpSpans {
    fn path(&self) -> &'static str {
        "/v1/traces"
    }

    fn content_type(&self) -> &'static str {
        "application/x-protobuf"
    }

    fn body(&self, index: u64, spans: usize) -> Result<Vec<u8>> {
        let first = index * spans as u64;
        let request = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(Resource {
                    attributes: vec![text("service.name", "bench")],
                    ..Resource::default()
                }),
                scope_spans: vec![ScopeSpans {
                    scope: Some(InstrumentationScope {
                        name: "bench".to_owned(),
                        ..InstrumentationScope::default()
                    }),
                    spans: (first..first + spans as u64)
                        .map(|index| self.span(index))
                        .collect(),
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            }],
        };
        Ok(request.encode_to_vec())
    }

    /// A full success has no `partial_success`, so its message has no bytes; some receivers write an empty one.
    fn all_accepted(&self, answer: &[u8]) -> Result<()> {
        ensure!(
            answer.is_empty() || answer == [0x0a, 0x00],
            "the receiver refused spans: {answer:?}"
        );
        Ok(())
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn count(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::count::spans_in;

    #[test]
    fn spans_have_the_size_and_bodies_the_number() {
        for bytes in [480, 10_500] {
            let maker = OtlpSpans::new(bytes, 7);
            let body = maker.body(3, 100).unwrap();
            assert_eq!(spans_in(&body, maker.content_type(), None).unwrap(), 100);
            assert!(
                body.len().abs_diff(bytes * 100) < bytes * 5,
                "{}",
                body.len()
            );
        }
    }

    #[test]
    fn bodies_share_no_span() {
        let maker = OtlpSpans::new(480, 7);
        let ids = |index: u64| -> Vec<_> {
            let body = maker.body(index, 8).unwrap();
            let request = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
            request.resource_spans[0].scope_spans[0]
                .spans
                .iter()
                .map(|span| (span.trace_id.clone(), span.span_id.clone()))
                .collect()
        };
        let mut all = [ids(0), ids(1)].concat();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 16);
    }
}
