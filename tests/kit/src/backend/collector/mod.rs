//! An OTLP/HTTP collector, as its specification has it and stricter where a real one would take what nobody can use: the
//! backends behind the exporters `otel` and `grafana-cloud`.
//!
//! Serves traces, logs and metrics in both encodings, plain or gzip. Refuses wrong credentials, other media types, empty
//! requests, and whatever [`super::otlp`] finds. Sources: OTLP specification 1.11.0, section OTLP/HTTP; Grafana Cloud's
//! documentation "Send data to the OTLP endpoint" (read 2026-11).
//!
//! Used by these exporters' tests and by the end-to-end tests.

#![expect(
    clippy::indexing_slicing,
    reason = "`Value[key]` answers null for what is not there"
)]

#[cfg(test)]
mod tests;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::otlp::wire::{self, Signal};
use super::otlp::{check_logs, check_metrics, check_traces};
use super::{Answer, Fake, Request, Stored};

/// Kind of a stored span.
pub const SPAN: &str = "span";
/// Kind of a stored log record.
pub const LOG: &str = "log";
/// Kind of a stored metric.
pub const METRIC: &str = "metric";

/// The fake.
#[derive(Clone, Debug)]
pub struct Collector {
    /// Before `/v1/traces`.
    pub base: String,
    /// A header, in lower case, and the value that lets a request in.
    pub credentials: (String, String),
    /// Whether it takes running totals only.
    pub is_cumulative: bool,
    /// Largest decoded body.
    pub max_body_bytes: usize,
}

impl Default for Collector {
    fn default() -> Self {
        Self {
            base: String::new(),
            credentials: ("x-api-key".to_owned(), "otel-key".to_owned()),
            is_cumulative: false,
            max_body_bytes: 4 << 20,
        }
    }
}

impl Collector {
    /// The gateway of a Grafana Cloud stack: instance 123456, token glc_test.
    #[must_use]
    pub fn grafana_cloud() -> Self {
        let basic = format!("Basic {}", STANDARD.encode("123456:glc_test"));
        Self {
            base: "/otlp".to_owned(),
            credentials: ("authorization".to_owned(), basic),
            is_cumulative: true,
            max_body_bytes: 4 << 20,
        }
    }

    fn admit(&self, signal: Signal, request: &Request) -> Result<Value, Answer> {
        if request.method != "POST" {
            return Err(refuse(405, format!("{} is not served", request.method)));
        }
        let (name, value) = &self.credentials;
        if request.header(name) != Some(value.as_str()) {
            return Err(refuse(401, format!("{name} is wrong")));
        }
        let encoding = request.header("content-encoding").unwrap_or("gzip");
        if encoding != "gzip" {
            let reason = format!("content-encoding {encoding:?} is not gzip");
            return Err(refuse(415, reason));
        }
        if let Some(reason) = &request.undecodable {
            return Err(refuse(400, reason.clone()));
        }
        if request.body.len() > self.max_body_bytes {
            let reason = format!("body is larger than {} bytes", self.max_body_bytes);
            return Err(refuse(413, reason));
        }
        let is_otlp = matches!(
            request.media_type().as_deref(),
            Some("application/json" | "application/x-protobuf")
        );
        wire::read(signal, request)
            .map_err(|reason| refuse(if is_otlp { 400 } else { 415 }, reason))
    }

    fn take(&self, signal: Signal, request: &Request) -> Result<Answer, Answer> {
        let body = self.admit(signal, request)?;
        let stored = match signal {
            Signal::Traces => spans(&body),
            Signal::Logs => check_logs(&body).map(|records| {
                let stored = records.into_iter().map(|record| Stored {
                    kind: LOG,
                    id: text(record, "eventName"),
                    value: record.clone(),
                });
                stored.collect()
            }),
            Signal::Metrics => self.metrics(&body),
        };
        let stored = stored.map_err(|reason| refuse(400, reason))?;
        Ok(success(request).with_stored(stored))
    }

    fn metrics(&self, body: &Value) -> Result<Vec<Stored>, String> {
        let metrics = check_metrics(body)?;
        let is_delta = |metric: &&&Value| {
            ["sum", "histogram", "exponentialHistogram"]
                .iter()
                .any(|kind| metric[*kind]["aggregationTemporality"] == 1)
        };
        if let Some(metric) = metrics.iter().find(is_delta).filter(|_| self.is_cumulative) {
            return Err(format!("metric {} is a delta", metric["name"]));
        }
        let stored = metrics.into_iter().map(|metric| Stored {
            kind: METRIC,
            id: text(metric, "name"),
            value: metric.clone(),
        });
        Ok(stored.collect())
    }
}

impl Fake for Collector {
    fn answer(&self, request: &Request) -> Answer {
        let path = request.path.strip_prefix(&self.base);
        let answer = match path {
            Some("/v1/traces") => self.take(Signal::Traces, request),
            Some("/v1/logs") => self.take(Signal::Logs, request),
            Some("/v1/metrics") => self.take(Signal::Metrics, request),
            _ => Err(refuse(404, format!("{} is not served", request.path))),
        };
        answer.unwrap_or_else(|refusal| refusal)
    }
}

/// The spans of a request, checked.
pub(super) fn spans(body: &Value) -> Result<Vec<Stored>, String> {
    let spans = check_traces(body)?;
    if spans.is_empty() {
        return Err("there are no spans".to_owned());
    }
    let stored = spans.into_iter().map(|place| Stored {
        kind: SPAN,
        id: place.text("spanId").to_owned(),
        value: json!({"resource": place.resource, "scope": place.scope, "span": place.span}),
    });
    Ok(stored.collect())
}

fn text(record: &Value, key: &str) -> String {
    let text = record.get(key).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}

/// An empty success in the request's encoding.
pub(super) fn success(request: &Request) -> Answer {
    if request.media_type().as_deref() == Some("application/json") {
        Answer::json(200, &json!({}))
    } else {
        Answer::status(200).with_header("content-type", "application/x-protobuf")
    }
}

/// A `google.rpc.Status`.
fn refuse(status: u16, reason: String) -> Answer {
    let body = json!({"code": 3, "message": reason});
    Answer::refusal(status, reason, &body)
}
