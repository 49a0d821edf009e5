//! Braintrust's own records: the row of project logs and experiments, and feedback on a row
//! (<https://github.com/braintrustdata/braintrust-openapi> `InsertProjectLogsEvent`, `FeedbackProjectLogsItem`, read 2026-11).
//! They only know how to write themselves.

use mastra_exporter_sdk::json::{JsonText, Object};
use mastra_llm::merged::Merged;
use mastra_llm::seconds;

/// `span_attributes.type` of a judgement.
pub const SCORE: &str = "score";

/// A number of `metrics`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Metric {
    /// A count.
    Count(u64),
    /// Nanoseconds, written as seconds.
    Seconds(u64),
    /// Any other number.
    Number(f64),
}

/// A row. It is always merged into what Braintrust has of its id, so that a later snapshot or a second delivery changes
/// what it says and nothing else.
#[derive(Clone, Debug, PartialEq)]
pub struct Row<'a> {
    /// Row id and span id.
    pub id: String,
    /// The trace.
    pub root_span_id: &'a str,
    /// Span id of the parent; none for the root.
    pub parent: Option<&'a str>,
    /// Unix nanoseconds.
    pub created: u64,
    /// `span_attributes.name`
    pub name: &'a str,
    /// `span_attributes.type`: llm, score, function, eval, task, tool, ...
    pub row_type: Option<&'static str>,
    /// Unix nanoseconds.
    pub start: u64,
    /// Unix nanoseconds; none while it runs.
    pub end: Option<u64>,
    /// Beside start and end.
    pub metrics: Vec<(&'static str, Metric)>,
    /// JSON text.
    pub input: Option<String>,
    /// JSON text.
    pub output: Option<String>,
    /// Why it failed.
    pub error: Option<&'a str>,
    /// An object.
    pub metadata: Merged<'a>,
    /// Braintrust shows those of root rows.
    pub tags: &'a [String],
}

impl Row<'_> {
    /// Writes the object.
    pub fn write(&self, text: &mut JsonText) {
        let mut object = text.object();
        object
            .string("id", &self.id)
            .string("span_id", &self.id)
            .string("root_span_id", self.root_span_id)
            .key("span_parents")
            .array(self.parent, |text, parent| {
                text.string(parent);
            });
        object.time("created", self.created);
        let mut attributes = object.key("span_attributes").object();
        attributes.string("name", self.name);
        if let Some(row_type) = self.row_type {
            attributes.string("type", row_type);
        }
        if self.row_type == Some(SCORE) {
            attributes.string("purpose", "scorer");
        }
        attributes.end();
        self.metrics(&mut object);
        object
            .raw_if("input", self.input.as_ref())
            .raw_if("output", self.output.as_ref());
        if let Some(error) = self.error {
            object.string("error", error);
        }
        if !self.metadata.is_empty() {
            self.metadata.write(object.key("metadata"));
        }
        if !self.tags.is_empty() {
            object.strings("tags", self.tags);
        }
        object.boolean("_is_merge", true);
        object.end();
    }

    fn metrics(&self, object: &mut Object<'_>) {
        let mut metrics = object.key("metrics").object();
        seconds::write(metrics.key("start"), self.start);
        if let Some(end) = self.end {
            seconds::write(metrics.key("end"), end);
        }
        for (name, metric) in &self.metrics {
            match metric {
                Metric::Count(count) => {
                    metrics.unsigned(name, *count);
                }
                Metric::Seconds(nanos) => seconds::write(metrics.key(name), *nanos),
                Metric::Number(number) => {
                    metrics.float(name, *number);
                }
            }
        }
        metrics.end();
    }
}

/// Feedback on a row. At least one of score and comment is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Feedback<'a> {
    /// Id of the row.
    pub row_id: String,
    /// Name and value, 0 to 1.
    pub score: Option<(&'a str, f64)>,
    /// Free text.
    pub comment: Option<String>,
    /// An object, kept with the feedback and not with the row.
    pub metadata: Merged<'a>,
}

impl Feedback<'_> {
    /// Writes the object.
    pub fn write(&self, text: &mut JsonText) {
        let mut object = text.object();
        object.string("id", &self.row_id);
        if let Some((name, value)) = self.score {
            object
                .key("scores")
                .raw("{")
                .string(name)
                .raw(":")
                .float(value)
                .raw("}");
        }
        object.string_if("comment", self.comment.as_ref());
        if !self.metadata.is_empty() {
            self.metadata.write(object.key("metadata"));
        }
        object.string("source", "external");
        object.end();
    }
}
