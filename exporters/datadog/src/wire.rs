//! Datadog's records: paths, fixed words, and what is written field by field. Sources (read 2026-11): LLM Observability
//! HTTP API, <https://docs.datadoghq.com/llm_observability/instrumentation/api/>; logs and series, the v2 OpenAPI of
//! DataDog/datadog-api-client-go @605cb35a; distribution points and series in version 1, its v1
//! @1f7e702c.

use std::borrow::Cow;

use mastra_exporter_sdk::json::{JsonText, Object};
use serde::Deserialize;

/// LLM Observability spans.
pub const SPANS_PATH: &str = "/api/intake/llm-obs/v1/trace/spans";
/// LLM Observability evaluations and feedback.
pub const EVALUATIONS_PATH: &str = "/api/intake/llm-obs/v2/eval-metric";
/// Logs, on the logs origin.
pub const LOGS_PATH: &str = "/api/v2/logs";
/// Counts and gauges.
pub const SERIES_PATH: &str = "/api/v2/series";
/// Distributions.
pub const DISTRIBUTIONS_PATH: &str = "/api/v1/distribution_points";
/// Whether the key is taken (<https://docs.datadoghq.com/api/latest/authentication/#validate-api-key>).
pub const VALIDATE_PATH: &str = "/api/v1/validate";

/// `parent_id` of a span without a parent.
pub const NO_PARENT: &str = "undefined";

/// Tag of root spans with the id of their trace, so that what is about a whole trace can be joined on it.
pub const TRACE_TAG: &str = "mastra_trace_id";

/// `kind` of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the kinds of the API, by name")]
pub enum Kind {
    Agent,
    Workflow,
    Llm,
    Tool,
    Task,
    Embedding,
    Retrieval,
}

impl Kind {
    /// As the API spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Workflow => "workflow",
            Self::Llm => "llm",
            Self::Tool => "tool",
            Self::Task => "task",
            Self::Embedding => "embedding",
            Self::Retrieval => "retrieval",
        }
    }
}

/// What an evaluation is about, or who gave which feedback. Span ids are decimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// An evaluation of a span, joined by its ids.
    Span {
        /// Hex.
        trace_id: String,
        /// Decimal.
        span_id: String,
    },
    /// An evaluation of a trace, joined on the root span by [`TRACE_TAG`].
    Trace {
        /// Hex.
        trace_id: String,
    },
    /// Feedback: exactly one id, and the submitter.
    Feedback {
        /// `span_id`, `trace_id` or `session_id`.
        id_name: &'static str,
        /// Its value.
        id: String,
        /// Required by the API.
        submitter_id: &'a str,
        /// `user`, say.
        submitter_type: Option<&'a str>,
    },
}

/// The value of an evaluation.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the metric types of the API, by name")]
pub enum EvaluationValue<'a> {
    Score(f64),
    Boolean(bool),
    Categorical(&'a str),
    Text(&'a str),
}

/// An element of `metrics` of the evaluation request.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation<'a> {
    /// What it is about.
    pub subject: Subject<'a>,
    /// Without dots.
    pub label: Cow<'a, str>,
    /// Application.
    pub ml_app: &'a str,
    /// Milliseconds since 1970.
    pub timestamp_ms: u64,
    /// With its `metric_type`.
    pub value: EvaluationValue<'a>,
    /// Why.
    pub reasoning: Option<&'a str>,
    /// A JSON object.
    pub metadata: Option<Cow<'a, str>>,
    /// `key:value`
    pub tags: Vec<String>,
}

impl Evaluation<'_> {
    /// Writes the record.
    pub fn write(&self, text: &mut JsonText) {
        let mut object = text.object();
        self.subject.write(&mut object);
        object
            .string("label", &self.label)
            .string("ml_app", self.ml_app)
            .unsigned("timestamp_ms", self.timestamp_ms);
        match &self.value {
            EvaluationValue::Score(number) => object
                .string("metric_type", "score")
                .float("score_value", *number),
            EvaluationValue::Boolean(flag) => object
                .string("metric_type", "boolean")
                .boolean("boolean_value", *flag),
            EvaluationValue::Categorical(word) => object
                .string("metric_type", "categorical")
                .string("categorical_value", word),
            EvaluationValue::Text(words) => object
                .string("metric_type", "text")
                .string("text_value", words),
        };
        if let Some(reasoning) = self.reasoning {
            object.string("reasoning", reasoning);
        }
        if let Some(metadata) = &self.metadata {
            object.raw("metadata", metadata);
        }
        object.strings("tags", &self.tags);
        object.end();
    }
}

impl Subject<'_> {
    fn write(&self, object: &mut Object<'_>) {
        match self {
            Self::Span { trace_id, span_id } => {
                object.string("event_kind", "evaluation");
                let mut join = object.key("join_on").object();
                let mut span = join.key("span").object();
                span.string("span_id", span_id).string("trace_id", trace_id);
                span.end();
                join.end();
                object.string("eval_scope", "span");
            }
            Self::Trace { trace_id } => {
                object.string("event_kind", "evaluation");
                let mut join = object.key("join_on").object();
                let mut tag = join.key("tag").object();
                tag.string("key", TRACE_TAG).string("value", trace_id);
                tag.end();
                join.end();
                object.string("eval_scope", "trace");
            }
            Self::Feedback {
                id_name,
                id,
                submitter_id,
                submitter_type,
            } => {
                object.string("event_kind", "feedback").string(id_name, id);
                let mut submitter = object.key("submitter").object();
                submitter.string("id", submitter_id);
                if let Some(submitter_type) = submitter_type {
                    submitter.string("type", submitter_type);
                }
                submitter.end();
            }
        }
    }
}

/// Version of the series API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SeriesVersion {
    /// Points as pairs, types as words: what other stores took over, VictoriaMetrics for one.
    V1,
    /// Points as objects, types as numbers.
    #[default]
    V2,
}

impl SeriesVersion {
    /// Where its requests go.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::V1 => "/api/v1/series",
            Self::V2 => SERIES_PATH,
        }
    }
}

/// `type` of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the types of the API, by name")]
pub enum SeriesType {
    Count = 1,
    Gauge = 3,
}

impl SeriesType {
    const fn word(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Gauge => "gauge",
        }
    }
}

/// Seconds that a count is about; points are added up by the second.
const INTERVAL_SECONDS: u64 = 1;

/// A series of counts or gauges.
#[derive(Clone, Debug, PartialEq)]
pub struct Series<'a> {
    /// Name.
    pub metric: &'a str,
    /// Count or gauge.
    pub series_type: SeriesType,
    /// Unix second and value.
    pub points: Vec<(u64, f64)>,
    /// `key:value`
    pub tags: &'a [String],
    /// Datadog's name of the unit.
    pub unit: Option<&'a str>,
}

impl Series<'_> {
    /// Writes the record.
    pub fn write(&self, text: &mut JsonText, version: SeriesVersion) {
        let mut object = text.object();
        object.string("metric", self.metric);
        match version {
            SeriesVersion::V1 => object.string("type", self.series_type.word()),
            SeriesVersion::V2 => object.unsigned("type", self.series_type as u64),
        };
        if self.series_type == SeriesType::Count {
            object.unsigned("interval", INTERVAL_SECONDS);
        }
        let points = object.key("points");
        points.array(&self.points, |text, (second, value)| match version {
            SeriesVersion::V1 => {
                text.raw("[").unsigned(*second).raw(",").float(*value);
                text.raw("]");
            }
            SeriesVersion::V2 => {
                let mut point = text.object();
                point.unsigned("timestamp", *second).float("value", *value);
                point.end();
            }
        });
        object.strings("tags", self.tags);
        // Version 1 has no place for it.
        if let Some(unit) = self.unit.filter(|_| version == SeriesVersion::V2) {
            object.string("unit", unit);
        }
        object.end();
    }
}

/// A series of raw values, by the second.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution<'a> {
    /// Name.
    pub metric: &'a str,
    /// Unix second and its values.
    pub points: Vec<(u64, &'a [f64])>,
    /// `key:value`
    pub tags: &'a [String],
}

impl Distribution<'_> {
    /// Writes the record.
    pub fn write(&self, text: &mut JsonText) {
        let mut object = text.object();
        object
            .string("metric", self.metric)
            .string("type", "distribution");
        object
            .key("points")
            .array(&self.points, |text, (second, values)| {
                text.raw("[").unsigned(*second).raw(",");
                text.array(*values, |text, value| {
                    text.float(*value);
                });
                text.raw("]");
            });
        object.strings("tags", self.tags);
        object.end();
    }
}
