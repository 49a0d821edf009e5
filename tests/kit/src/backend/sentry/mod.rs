//! Sentry's envelope endpoint, and stricter: what Relay takes with 200 and drops later is refused here. Every line is
//! checked against the handwritten schema, then what no schema can say: `item_count` and `length`, one kind of telemetry an
//! envelope (a transaction may bring its spans along, as Sentry's own SDK does), one trace a span container.
//!
//! Rate limits are scripted with `Behaviour::Answer`. Sources: getsentry/sentry-docs `develop-docs/sdk/foundations/
//! {data-model/envelopes,data-model/envelope-items,transport/authentication}.mdx` (read 2026-11).
//!
//! Used by the sentry exporter's end-to-end tests.

#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::schema::Schema;
use super::{Answer, Fake, Request, Stored};

/// Kind of a stored span, by its id.
pub const SPAN: &str = "span";
/// Kind of a stored log, by its body.
pub const LOG: &str = "log";
/// Kind of a stored metric, by its name.
pub const METRIC: &str = "trace_metric";
/// Kind of a stored error event, by its id.
pub const EVENT: &str = "event";
/// Kind of stored feedback, by its event id.
pub const FEEDBACK: &str = "feedback";
/// Kind of a stored transaction, by its event id.
pub const TRANSACTION: &str = "transaction";

/// The fake.
#[derive(Clone, Debug)]
pub struct Sentry {
    /// Of the DSN.
    pub public_key: String,
    /// Last part of the DSN.
    pub project: String,
    /// Largest payload of one item.
    pub max_item_bytes: usize,
}

impl Default for Sentry {
    fn default() -> Self {
        Self {
            public_key: "pubkey123".to_owned(),
            project: "42".to_owned(),
            max_item_bytes: 1 << 20,
        }
    }
}

struct Schemas {
    header: Schema,
    item: Schema,
    spans: Schema,
    logs: Schema,
    metrics: Schema,
    transaction: Schema,
    feedback: Schema,
}

static SCHEMAS: LazyLock<anyhow::Result<Schemas>> = LazyLock::new(|| {
    let text = include_str!("../../../../schemas/sentry-envelope-items.schema.json");
    let of = |definition| Schema::definition("sentry-envelope-items.schema.json", text, definition);
    Ok(Schemas {
        header: of("EnvelopeHeader")?,
        item: of("ItemHeader")?,
        spans: of("SpanContainer")?,
        logs: of("LogContainer")?,
        metrics: of("MetricContainer")?,
        transaction: of("Transaction")?,
        feedback: of("Feedback")?,
    })
});

/// An item and the bytes of its payload.
struct Item {
    header: Value,
    payload: Value,
    bytes: usize,
}

impl Item {
    fn name(&self) -> &str {
        text(&self.header, "type")
    }
}

impl Sentry {
    /// The DSN of a project at this URL.
    #[must_use]
    pub fn dsn(&self, url: &str) -> String {
        let host = url.trim_start_matches("http://");
        format!("http://{}@{host}/{}", self.public_key, self.project)
    }

    fn take(&self, request: &Request) -> Result<Answer, Answer> {
        if request.path != format!("/api/{}/envelope/", self.project) {
            return Err(refuse(404, format!("{} is not served", request.path)));
        }
        if request.method != "POST" {
            return Err(refuse(405, format!("{} is not served", request.method)));
        }
        if !self.is_authorized(request) {
            return Err(refuse(
                403,
                "the DSN's key is missing or of another project".to_owned(),
            ));
        }
        if let Some(reason) = &request.undecodable {
            return Err(bad(reason.clone()));
        }
        let media_type = request.media_type();
        // Sentry's own SDK for Node sends none.
        if media_type.is_some_and(|given| given != "application/x-sentry-envelope") {
            return Err(bad("content-type is not that of an envelope".to_owned()));
        }
        let (header, items) = parse(&request.text()).map_err(bad)?;
        let schemas = SCHEMAS
            .as_ref()
            .map_err(|error| bad(format!("the schema is broken: {error:#}")))?;
        schemas.header.check(&header).map_err(bad)?;
        check_mix(&items).map_err(bad)?;
        let mut stored = Vec::new();
        for item in &items {
            if item.bytes > self.max_item_bytes {
                return Err(refuse(413, "an item is too large".to_owned()));
            }
            stored.extend(self.item(&header, item, schemas).map_err(bad)?);
        }
        let id = header.get("event_id").cloned().unwrap_or(Value::Null);
        Ok(Answer::json(200, &json!({"id": id})).with_stored(stored))
    }

    fn is_authorized(&self, request: &Request) -> bool {
        let key = format!("sentry_key={}", self.public_key);
        let of_query = request.query.split('&').any(|pair| pair == key);
        let of_header = request.header("x-sentry-auth").is_some_and(|auth| {
            auth.strip_prefix("Sentry ").is_some_and(|fields| {
                let has = |wanted: &str| fields.split(',').any(|field| field.trim() == wanted);
                has(&key) && has("sentry_version=7")
            })
        });
        of_query || of_header
    }

    fn item(&self, header: &Value, item: &Item, schemas: &Schemas) -> Result<Vec<Stored>, String> {
        if item.name() == "session" {
            return Ok(Vec::new());
        }
        schemas.item.check(&item.header)?;
        let payload = &item.payload;
        let (kind, schema, id_name) = match item.name() {
            SPAN => (SPAN, Some(&schemas.spans), "span_id"),
            LOG => (LOG, Some(&schemas.logs), "body"),
            METRIC => (METRIC, Some(&schemas.metrics), "name"),
            TRANSACTION => (TRANSACTION, Some(&schemas.transaction), "event_id"),
            FEEDBACK => (FEEDBACK, Some(&schemas.feedback), "event_id"),
            _ => (EVENT, None, "event_id"),
        };
        if let Some(schema) = schema {
            schema.check(payload)?;
        }
        let Some(items) = payload.get("items").and_then(Value::as_array) else {
            check_event(header, kind, payload)?;
            return Ok(vec![stored(kind, id_name, payload)]);
        };
        let count = item.header.get("item_count").and_then(Value::as_u64);
        if count != Some(items.len() as u64) {
            return Err(format!("item_count is not the {} items", items.len()));
        }
        self.check_trace(header, kind, items)?;
        Ok(items.iter().map(|one| stored(kind, id_name, one)).collect())
    }

    fn check_trace(&self, header: &Value, kind: &str, items: &[Value]) -> Result<(), String> {
        let Some(trace) = header.get("trace") else {
            return if kind == SPAN {
                Err("an envelope of spans has a trace".to_owned())
            } else {
                Ok(())
            };
        };
        if text(trace, "public_key") != self.public_key {
            return Err("trace.public_key is not that of the DSN".to_owned());
        }
        let is_of_trace = |item: &Value| text(item, "trace_id") == text(trace, "trace_id");
        if !items.iter().all(is_of_trace) {
            return Err("an item is of another trace than the envelope".to_owned());
        }
        let is_wrong = |item: &&Value| {
            let time = |key| item.get(key).and_then(Value::as_f64);
            time("end_timestamp") < time("start_timestamp")
                || text(item, "parent_span_id") == text(item, "span_id")
        };
        match items.iter().filter(|_| kind == SPAN).find(is_wrong) {
            Some(_) => Err("a span ends before its start or is its own parent".to_owned()),
            None => Ok(()),
        }
    }
}

impl Fake for Sentry {
    fn answer(&self, request: &Request) -> Answer {
        self.take(request).unwrap_or_else(|refusal| refusal)
    }
}

fn refuse(status: u16, reason: String) -> Answer {
    let body = json!({"detail": reason});
    Answer::refusal(status, reason, &body)
}

fn bad(reason: String) -> Answer {
    refuse(400, reason)
}

fn text<'a>(record: &'a Value, key: &str) -> &'a str {
    record.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn stored(kind: &'static str, id_name: &str, value: &Value) -> Stored {
    Stored {
        kind,
        id: text(value, id_name).to_owned(),
        value: value.clone(),
    }
}

/// Lines: the header, then a header and a payload an item.
fn parse(envelope: &str) -> Result<(Value, Vec<Item>), String> {
    let read = |line: &str| -> Result<Value, String> {
        serde_json::from_str(line).map_err(|error| format!("a line is not JSON: {error}"))
    };
    let mut lines = envelope.lines();
    let header = read(lines.next().unwrap_or_default())?;
    let mut items = Vec::new();
    while let Some(line) = lines.next().filter(|line| !line.is_empty()) {
        let item = read(line)?;
        let payload = lines.next().ok_or("an item without a payload")?;
        let length = item.get("length").and_then(Value::as_u64);
        if length.is_some_and(|length| length != payload.len() as u64) {
            return Err(format!("length is not the {} bytes", payload.len()));
        }
        items.push(Item {
            header: item,
            payload: read(payload)?,
            bytes: payload.len(),
        });
    }
    if items.is_empty() {
        return Err("the envelope is empty".to_owned());
    }
    Ok((header, items))
}

/// One kind of telemetry and one item; a transaction may bring a container of its spans.
fn check_mix(items: &[Item]) -> Result<(), String> {
    let names: Vec<_> = items.iter().map(Item::name).collect();
    match names[..] {
        [_] | [TRANSACTION, SPAN] => Ok(()),
        _ => Err(format!("{names:?} do not belong in one envelope")),
    }
}

fn check_event(header: &Value, kind: &str, event: &Value) -> Result<(), String> {
    let id = text(event, "event_id");
    let is_id = id.len() == 32
        && id
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !is_id {
        return Err(format!("event_id {id:?} is not 32 hex digits"));
    }
    if text(header, "event_id") != id {
        return Err("event_id of the envelope is another".to_owned());
    }
    let exception = event.pointer("/exception/values/0/value");
    if kind == EVENT && exception.and_then(Value::as_str).is_none() {
        return Err("an error event has an exception".to_owned());
    }
    Ok(())
}
