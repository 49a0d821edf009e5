//! Datadog's intakes: LLM Observability spans and evaluations, logs, series and distribution points, on one port. Stricter
//! than the real ones, which answer 202 before they look: what would vanish later is refused here.
//!
//! Not checked are the age windows (24 h for spans, 18 h for logs, 1 h for metrics): recorded events are old. Sources:
//! DataDog/datadog-api-client-go `.generator/schemas/v2/openapi.yaml` @605cb35a and `v1` @1f7e702c; DataDog/documentation
//! `content/en/llm_observability/instrumentation/api.md`; PyPI ddtrace 4.16.0 `llmobs/_writer.py` (read 2026-11).
//!
//! Used by the datadog exporter's end-to-end tests.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::{Value, json};

use super::schema::Schema;
use super::{Answer, Fake, Request, Stored};

/// LLM Observability spans.
pub const SPANS: &str = "/api/intake/llm-obs/v1/trace/spans";
/// LLM Observability evaluations.
pub const EVALUATIONS: &str = "/api/intake/llm-obs/v2/eval-metric";
/// Logs.
pub const LOGS: &str = "/api/v2/logs";
/// Counts and gauges.
pub const SERIES: &str = "/api/v2/series";
/// Distributions.
pub const DISTRIBUTIONS: &str = "/api/v1/distribution_points";

/// Kind of a stored span; its id is the span id in decimal.
pub const SPAN: &str = "span";
/// Kind of a stored evaluation; its id is the label.
pub const EVALUATION: &str = "evaluation";
/// Kind of stored feedback; its id is the label.
pub const FEEDBACK: &str = "feedback";
/// Kind of a stored log; its id is the attribute `log_id`.
pub const LOG: &str = "log";
/// Kind of a stored count or gauge; its id is the metric.
pub const POINT: &str = "point";
/// Kind of a stored distribution; its id is the metric.
pub const DISTRIBUTION: &str = "distribution";

/// Milliseconds since 1970 have at least this size today; seconds do not.
const LEAST_MILLIS: u64 = 100_000_000_000;

/// The fake.
#[derive(Clone, Debug)]
pub struct Datadog {
    /// Value of `DD-API-KEY`.
    pub api_key: String,
    /// Largest decoded body of spans, evaluations and logs.
    pub max_body_bytes: usize,
    /// Largest body of metrics on the wire.
    pub max_metrics_bytes: usize,
}

impl Default for Datadog {
    fn default() -> Self {
        Self {
            api_key: "dd-api-key-test".to_owned(),
            max_body_bytes: 5_000_000,
            max_metrics_bytes: 512_000,
        }
    }
}

/// The schemas, in the order of [`Datadog::answer`]'s paths.
struct Schemas {
    spans: Schema,
    evaluations: Schema,
    logs: Schema,
    series: Schema,
    distributions: Schema,
}

static SCHEMAS: LazyLock<anyhow::Result<Schemas>> = LazyLock::new(|| {
    let observability = include_str!("../../../../schemas/datadog-llmobs.schema.json");
    let intake = include_str!("../../../../schemas/datadog-intake.schema.json");
    let of = |name, text, definition| Schema::definition(name, text, definition);
    Ok(Schemas {
        spans: of("datadog-llmobs.schema.json", observability, "SpansRequest")?,
        evaluations: of(
            "datadog-llmobs.schema.json",
            observability,
            "EvalMetricRequest",
        )?,
        logs: of("datadog-intake.schema.json", intake, "Logs")?,
        series: of("datadog-intake.schema.json", intake, "Series")?,
        distributions: of("datadog-intake.schema.json", intake, "Distributions")?,
    })
});

/// Codings and media type of an endpoint, and its size.
struct Terms {
    media_type: &'static str,
    codings: &'static [&'static str],
    max_body_bytes: usize,
    max_wire_bytes: usize,
}

/// What no schema can say, and what is stored of a good body.
type Check = fn(&Value) -> Result<Vec<Stored>, String>;

impl Datadog {
    fn admit(&self, request: &Request, terms: &Terms) -> Result<Value, Answer> {
        if request.method != "POST" {
            return Err(refuse(405, format!("{} is not served", request.method)));
        }
        match request.header("dd-api-key") {
            None => return Err(refuse(401, "the API key is missing".to_owned())),
            Some(key) if key != self.api_key => {
                return Err(refuse(403, "the API key is of nobody here".to_owned()));
            }
            Some(_) => {}
        }
        let coding = request.header("content-encoding").unwrap_or("identity");
        if !terms.codings.contains(&coding) {
            return Err(bad(format!("content-encoding {coding:?} is not taken")));
        }
        if let Some(reason) = &request.undecodable {
            return Err(bad(reason.clone()));
        }
        if request.body.len() > terms.max_body_bytes || request.wire_bytes > terms.max_wire_bytes {
            return Err(refuse(413, "payload too large".to_owned()));
        }
        if request.media_type().as_deref() != Some(terms.media_type) {
            return Err(bad(format!(
                "content-type {:?} is not {}",
                request.header("content-type"),
                terms.media_type
            )));
        }
        request.json().map_err(|error| bad(format!("{error:#}")))
    }

    fn terms(&self, path: &str) -> Option<Terms> {
        let (media_type, codings, max_body_bytes, max_wire_bytes): (_, &[_], _, _) = match path {
            SPANS | EVALUATIONS | LOGS => (
                "application/json",
                &["identity", "gzip", "deflate"],
                self.max_body_bytes,
                usize::MAX,
            ),
            SERIES => (
                "application/json",
                &["identity", "gzip", "deflate"],
                5_242_880,
                self.max_metrics_bytes,
            ),
            DISTRIBUTIONS => (
                "text/json",
                &["identity", "deflate"],
                5_242_880,
                self.max_metrics_bytes,
            ),
            _ => return None,
        };
        Some(Terms {
            media_type,
            codings,
            max_body_bytes,
            max_wire_bytes,
        })
    }

    fn take(&self, request: &Request) -> Result<Answer, Answer> {
        let path = request.path.as_str();
        let terms = self
            .terms(path)
            .ok_or_else(|| refuse(404, format!("{path} is not served")))?;
        let body = self.admit(request, &terms)?;
        let schemas = SCHEMAS
            .as_ref()
            .map_err(|error| bad(format!("a schema is broken: {error:#}")))?;
        let (schema, check): (&Schema, Check) = match path {
            SPANS => (&schemas.spans, spans),
            EVALUATIONS => (&schemas.evaluations, evaluations),
            LOGS => (&schemas.logs, logs),
            SERIES => (&schemas.series, series),
            _ => (&schemas.distributions, distributions),
        };
        schema.check(&body).map_err(bad)?;
        let stored = check(&body).map_err(bad)?;
        let said = match path {
            SPANS | LOGS => json!({}),
            SERIES => json!({"errors": []}),
            DISTRIBUTIONS => json!({"status": "ok"}),
            _ => json!({"data": {"type": "evaluation_metric", "attributes": {"metrics": []}}}),
        };
        Ok(Answer::json(202, &said).with_stored(stored))
    }
}

impl Fake for Datadog {
    fn answer(&self, request: &Request) -> Answer {
        self.take(request).unwrap_or_else(|refusal| refusal)
    }
}

fn refuse(status: u16, reason: String) -> Answer {
    let body = json!({"errors": [reason]});
    Answer::refusal(status, reason, &body)
}

fn bad(reason: String) -> Answer {
    refuse(400, reason)
}

fn list<'a>(body: &'a Value, pointer: &str) -> &'a [Value] {
    body.pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn text<'a>(record: &'a Value, key: &str) -> &'a str {
    record.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn stored(kind: &'static str, id: &str, value: &Value) -> Stored {
    let (id, value) = (id.to_owned(), value.clone());
    Stored { kind, id, value }
}

fn spans(body: &Value) -> Result<Vec<Stored>, String> {
    let check = |span: &Value| {
        let id = text(span, "span_id");
        if text(span, "parent_id") == id {
            return Err(format!("span {id} is its own parent"));
        }
        Ok(stored(SPAN, id, span))
    };
    list(body, "/data/attributes/spans")
        .iter()
        .map(check)
        .collect()
}

fn evaluations(body: &Value) -> Result<Vec<Stored>, String> {
    let check = |record: &Value| {
        let time = record.get("timestamp_ms").and_then(Value::as_u64);
        if time.is_none_or(|time| time < LEAST_MILLIS) {
            return Err("timestamp_ms is not in milliseconds".to_owned());
        }
        let is_feedback = text(record, "event_kind") == FEEDBACK;
        let kind = if is_feedback { FEEDBACK } else { EVALUATION };
        Ok(stored(kind, text(record, "label"), record))
    };
    list(body, "/data/attributes/metrics")
        .iter()
        .map(check)
        .collect()
}

fn logs(body: &Value) -> Result<Vec<Stored>, String> {
    let check = |log: &Value| {
        let time = text(log, "timestamp");
        if time.parse::<jiff::Timestamp>().is_err() {
            return Err(format!("timestamp {time:?} is not ISO 8601"));
        }
        Ok(stored(LOG, text(log, "log_id"), log))
    };
    list(body, "").iter().map(check).collect()
}

fn series(body: &Value) -> Result<Vec<Stored>, String> {
    check_seconds(body, |point| point.get("timestamp"))?;
    let all = list(body, "/series").iter();
    Ok(all
        .map(|series| stored(POINT, text(series, "metric"), series))
        .collect())
}

fn distributions(body: &Value) -> Result<Vec<Stored>, String> {
    check_seconds(body, |point| point.get(0))?;
    let all = list(body, "/series").iter();
    Ok(all
        .map(|series| stored(DISTRIBUTION, text(series, "metric"), series))
        .collect())
}

/// The last point of a metric, its tags and a second wins: two of them in a request are one too few later.
fn check_seconds(body: &Value, second: fn(&Value) -> Option<&Value>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for series in list(body, "/series") {
        let mut tags: Vec<_> = list(series, "/tags").iter().map(Value::to_string).collect();
        tags.sort();
        for point in list(series, "/points") {
            let metric = text(series, "metric").to_owned();
            let second = second(point).and_then(Value::as_u64);
            if !seen.insert((metric.clone(), tags.clone(), second)) {
                return Err(format!("{metric} has the same second twice"));
            }
        }
    }
    Ok(())
}
