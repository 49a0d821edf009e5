//! Requests for any OTLP backend: Mastra's records by the GenAI conventions, and under `mastra.` what these lack, named as
//! Mastra's own OTel exporter (1.4.0) names it. What came from an OTLP sender leaves as it came.

use mastra_exporter_sdk::raw::{Kind, kind, member, members};
use mastra_exporter_sdk::records::{
    FeedbackBatch, FeedbackItem, Log, LogBatch, MetricBatch, Score, ScoreBatch, Span, SpanBatch,
};
use mastra_exporter_sdk::time::iso;

use crate::attributes::{Attributes, Key};
use crate::encode::{Encoder, Encoding};
use crate::envelope::{LOGS, METRICS, Origin, Parts, SPANS, Sender};
use crate::genai::{Conventions, InputOutput, MetadataFacts, has_named_attributes, is_thread_id};
use crate::metric::{Group, groups, metric};
use crate::{evaluation, log, messages, span};

/// Bytes that an item takes, about; of a span beside its texts.
const BYTES_A_SPAN: usize = 768;
const BYTES_A_RECORD: usize = 1_024;
const BYTES_A_POINT: usize = 256;

const CONVENTIONS: Conventions = Conventions::INFERENCE;

/// Who sends, in which encoding.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    /// For what records leave open.
    pub sender: Sender<'a>,
    /// Of the body.
    pub encoding: Encoding,
}

impl Writer<'_> {
    /// `ExportTraceServiceRequest`
    #[must_use]
    pub fn traces(&self, batch: &SpanBatch) -> Vec<u8> {
        let mut parts = Spans {
            origin: self.origin(&batch.resources, &batch.scopes),
        };
        let texts: usize = batch.spans.iter().map(span::text_bytes).sum();
        let capacity = batch.spans.len() * BYTES_A_SPAN + texts;
        SPANS.encode(self.encoding, capacity, &batch.spans, &mut parts)
    }

    /// `ExportLogsServiceRequest`
    #[must_use]
    pub fn logs(&self, batch: &LogBatch) -> Vec<u8> {
        let mut parts = Records {
            origin: self.origin(&batch.resources, &batch.scopes),
        };
        let capacity = batch.logs.len() * BYTES_A_RECORD;
        LOGS.encode(self.encoding, capacity, &batch.logs, &mut parts)
    }

    /// `ExportMetricsServiceRequest` of aggregated points.
    #[must_use]
    pub fn metrics(&self, batch: &MetricBatch) -> Vec<u8> {
        let mut parts = Metrics {
            origin: self.origin(&batch.resources, &batch.scopes),
        };
        let capacity = batch.metrics.len() * BYTES_A_POINT;
        METRICS.encode(self.encoding, capacity, &groups(&batch.metrics), &mut parts)
    }

    /// `ExportLogsServiceRequest` of evaluation results.
    #[must_use]
    pub fn scores(&self, batch: &ScoreBatch) -> Vec<u8> {
        let mut parts = Records {
            origin: self.origin(&batch.resources, &[]),
        };
        let capacity = batch.scores.len() * BYTES_A_RECORD;
        LOGS.encode(self.encoding, capacity, &batch.scores, &mut parts)
    }

    /// `ExportLogsServiceRequest` of what people said.
    #[must_use]
    pub fn feedback(&self, batch: &FeedbackBatch) -> Vec<u8> {
        let mut parts = Records {
            origin: self.origin(&batch.resources, &[]),
        };
        let capacity = batch.feedback.len() * BYTES_A_RECORD;
        LOGS.encode(self.encoding, capacity, &batch.feedback, &mut parts)
    }

    fn origin<'a>(
        &'a self,
        resources: &'a [mastra_exporter_sdk::records::EventResource],
        scopes: &'a [mastra_exporter_sdk::records::EventScope],
    ) -> Origin<'a> {
        Origin {
            resources,
            scopes,
            sender: self.sender,
        }
    }
}

struct Spans<'a> {
    origin: Origin<'a>,
}

impl Parts<Span> for Spans<'_> {
    fn origin(&self) -> Origin<'_> {
        self.origin
    }

    fn item<E: Encoder>(&mut self, encoder: &mut E, span: &Span) {
        span::span(encoder, span, &CONVENTIONS.head(span), |sink| {
            span_attributes(span, sink);
        });
    }
}

fn span_attributes<S: Attributes>(span: &Span, sink: &mut S) {
    let metadata = span.metadata.as_deref().unwrap_or("{}");
    let facts = MetadataFacts {
        thread_id: member(metadata, "threadId").filter(|id| is_thread_id(id)),
        tool_call_id: member(metadata, "toolCallId"),
    };
    CONVENTIONS.attributes(span, facts, sink);
    if span.otel.is_some() {
        return;
    }
    input_and_output(span, sink);
    if CONVENTIONS.is_call(span)
        && let Some(time) = span
            .model
            .as_ref()
            .and_then(|call| call.completion_start_time)
    {
        sink.text(Key::of("mastra.completion_start_time"), iso(time).as_str());
    }
    if !has_named_attributes(&span.span_type) || span.span_type == "model_generation" {
        for (key, value) in members(span.attributes.as_deref().unwrap_or("{}")) {
            sink.scalar(Key::under("mastra.attributes.", key), value);
        }
    }
    for (key, value) in members(metadata).filter(|(_, value)| kind(value) != Kind::Null) {
        sink.scalar(Key::under("mastra.metadata.", key), value);
    }
    if let Some(context) = &span.request_context {
        sink.json_as_text(Key::of("mastra.request_context"), context);
    }
    if let Some(tags) = span.tags.as_ref().filter(|tags| !tags.is_empty()) {
        sink.built(Key::of("mastra.tags"), |text| {
            text.array(tags, |text, tag| {
                text.string(tag);
            });
        });
    }
}

fn input_and_output<S: Attributes>(span: &Span, sink: &mut S) {
    let (input, output) = (span.input.as_deref(), span.output.as_deref());
    let keys = match CONVENTIONS.input_output(&span.span_type) {
        InputOutput::Messages => {
            if let Some(input) = input {
                messages::input(sink, input);
            }
            if let Some(output) = output {
                messages::output(sink, output);
            }
            return;
        }
        InputOutput::ToolCall => ["gen_ai.tool.call.arguments", "gen_ai.tool.call.result"],
        InputOutput::Own => {
            for (name, json) in [("input", input), ("output", output)] {
                if let Some(json) = json {
                    let name = format!("{}.{name}", span.span_type);
                    sink.json_as_text(Key::under("mastra.", &name), json);
                }
            }
            return;
        }
    };
    for (key, json) in keys.into_iter().zip([input, output]) {
        if let Some(json) = json {
            sink.json_as_text(Key::of(key), json);
        }
    }
}

struct Records<'a> {
    origin: Origin<'a>,
}

impl Parts<Log> for Records<'_> {
    fn origin(&self) -> Origin<'_> {
        self.origin
    }

    fn item<E: Encoder>(&mut self, encoder: &mut E, item: &Log) {
        log::log(encoder, item, |sink| log_attributes(item, sink));
    }
}

fn log_attributes<S: Attributes>(log: &Log, sink: &mut S) {
    if let Some(otel) = &log.otel {
        for (key, value) in members(otel.attributes.as_deref().unwrap_or("{}")) {
            sink.value(Key::under("", key), value);
        }
        return;
    }
    for (prefix, object) in [
        ("mastra.log.", &log.data),
        ("mastra.metadata.", &log.metadata),
    ] {
        for (key, value) in members(object.as_deref().unwrap_or("{}")) {
            sink.scalar(Key::under(prefix, key), value);
        }
    }
    let tags = log
        .tags
        .as_ref()
        .or_else(|| log.correlation.as_ref()?.tags.as_ref());
    if let Some(tags) = tags.filter(|tags| !tags.is_empty()) {
        sink.built(Key::of("mastra.tags"), |text| {
            text.array(tags, |text, tag| {
                text.string(tag);
            });
        });
    }
    for (key, id) in [
        ("mastra.traceId", &log.trace_id),
        ("mastra.spanId", &log.span_id),
    ] {
        if let Some(id) = id {
            sink.text(Key::of(key), id);
        }
    }
}

impl Parts<Score> for Records<'_> {
    fn origin(&self) -> Origin<'_> {
        self.origin
    }

    fn item<E: Encoder>(&mut self, encoder: &mut E, score: &Score) {
        evaluation::score(encoder, score);
    }
}

impl Parts<FeedbackItem> for Records<'_> {
    fn origin(&self) -> Origin<'_> {
        self.origin
    }

    fn item<E: Encoder>(&mut self, encoder: &mut E, item: &FeedbackItem) {
        evaluation::feedback(encoder, item);
    }
}

struct Metrics<'a> {
    origin: Origin<'a>,
}

impl<'p> Parts<Group<'p>> for Metrics<'_> {
    fn origin(&self) -> Origin<'_> {
        self.origin
    }

    fn item<E: Encoder>(&mut self, encoder: &mut E, group: &Group<'p>) {
        metric(encoder, group);
    }
}
