//! Envelopes and typed attributes. Sources (read 2026-11): getsentry/sentry-docs
//! `develop-docs/sdk/foundations/data-model/{envelopes,envelope-items}.mdx`, `telemetry/{metrics,spans/span-protocol}`;
//! attribute names by getsentry/sentry-conventions @b350b1ed.

use mastra_exporter_sdk::json::{JsonText, Object};
use mastra_exporter_sdk::raw::{Kind, kind};
use mastra_exporter_sdk::time::iso;
use mastra_otlp::attributes::{Attributes, Key};

/// Name of the sender, in envelopes and in the authorization.
pub const CLIENT: (&str, &str) = ("mastra-host.sentry", env!("CARGO_PKG_VERSION"));

/// `origin` of spans: what the official exporter writes.
pub const ORIGIN: &str = "auto.ai.mastra";

/// Longest message of feedback, in characters.
pub const MAX_MESSAGE_CHARS: usize = 4_096;

/// A container of many items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the kinds of items, by name")]
pub enum Container {
    Spans,
    Logs,
    Metrics,
}

impl Container {
    /// `type` and `content_type` of the item header.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Spans => ("span", "application/vnd.sentry.items.span.v2+json"),
            Self::Logs => ("log", "application/vnd.sentry.items.log+json"),
            Self::Metrics => (
                "trace_metric",
                "application/vnd.sentry.items.trace-metric+json",
            ),
        }
    }
}

/// The trace that all items of an envelope belong to.
#[derive(Clone, Copy, Debug)]
pub struct Trace<'a> {
    /// 32 hex digits.
    pub id: &'a str,
    /// Of the DSN.
    pub public_key: &'a str,
    /// If set.
    pub release: Option<&'a String>,
    /// Always set.
    pub environment: &'a str,
}

/// An envelope of one container. `sent_at` is left out: an item that waited is no clock that drifts.
#[must_use]
pub fn container(
    of: Container,
    items: &JsonText,
    count: usize,
    trace: Option<Trace<'_>>,
) -> Vec<u8> {
    let mut text = header(None, trace);
    let payload = r#"{"version":2,"items":"#.len() + items.len() + 1;
    let (name, content_type) = of.names();
    let mut item = text.object();
    item.string("type", name)
        .unsigned("item_count", count as u64)
        .string("content_type", content_type)
        .unsigned("length", payload as u64);
    item.end();
    text.raw("\n{\"version\":2,\"items\":")
        .raw(items.as_str())
        .raw("}\n");
    text.into_bytes()
}

/// An envelope of one event: an error or feedback.
#[must_use]
pub fn event(item_type: &str, event_id: &str, payload: &JsonText) -> Vec<u8> {
    let mut text = header(Some(event_id), None);
    let mut item = text.object();
    item.string("type", item_type)
        .string("content_type", "application/json")
        .unsigned("length", payload.len() as u64);
    item.end();
    text.raw("\n").raw(payload.as_str()).raw("\n");
    text.into_bytes()
}

fn header(event_id: Option<&str>, trace: Option<Trace<'_>>) -> JsonText {
    let mut text = JsonText::default();
    let mut object = text.object();
    if let Some(event_id) = event_id {
        object.string("event_id", event_id);
    }
    let mut sdk = object.key("sdk").object();
    sdk.string("name", CLIENT.0).string("version", CLIENT.1);
    sdk.end();
    if let Some(trace) = trace {
        let mut of = object.key("trace").object();
        of.string("trace_id", trace.id)
            .string("public_key", trace.public_key)
            .string("environment", trace.environment)
            .string_if("release", trace.release)
            .string("sampled", "true")
            .string("sample_rate", "1");
        of.end();
    }
    object.end();
    text.raw("\n");
    text
}

/// Seconds since 1970 with a fraction, in digits: a double would not hold all of it.
pub fn seconds(object: &mut Object<'_>, name: &str, unix_nanos: u64) {
    let micros = unix_nanos / 1_000;
    let text = object.key(name);
    text.unsigned(micros / 1_000_000);
    let fraction = format!("{:06}", micros % 1_000_000);
    let fraction = fraction.trim_end_matches('0');
    if !fraction.is_empty() {
        text.raw(".").raw(fraction);
    }
}

/// The attributes of one item: `{key: {"type", "value"}}`.
#[derive(Debug)]
pub struct TypedAttributes<'a> {
    text: &'a mut JsonText,
    is_empty: bool,
}

impl<'a> TypedAttributes<'a> {
    /// Opens the object.
    pub fn begin(text: &'a mut JsonText) -> Self {
        text.raw("{");
        Self {
            text,
            is_empty: true,
        }
    }

    /// Closes it.
    pub fn end(self) {
        self.text.raw("}");
    }

    /// Text, if there is some.
    pub fn text_if(&mut self, key: &'static str, text: Option<&String>) {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            self.text(Key::of(key), text);
        }
    }

    /// A time as text.
    pub fn time(&mut self, key: &'static str, unix_nanos: u64) {
        self.text(Key::of(key), iso(unix_nanos).as_str());
    }

    fn open(&mut self, key: Key<'_>, value_type: &str) -> &mut JsonText {
        self.text
            .raw(if self.is_empty { "\"" } else { ",\"" })
            .raw(key.prefix)
            .raw(key.name)
            .raw("\":{\"type\":\"")
            .raw(value_type)
            .raw("\",\"value\":");
        self.is_empty = false;
        self.text
    }
}

impl Attributes for TypedAttributes<'_> {
    fn text(&mut self, key: Key<'_>, text: &str) {
        self.open(key, "string").string(text).raw("}");
    }

    fn json_as_text(&mut self, key: Key<'_>, json: &str) {
        let text = self.open(key, "string");
        if kind(json) == Kind::Text {
            text.raw(json);
        } else {
            text.string(json);
        }
        text.raw("}");
    }

    fn scalar(&mut self, key: Key<'_>, json: &str) {
        match kind(json) {
            Kind::Null => {}
            Kind::Text | Kind::Array | Kind::Object => self.json_as_text(key, json),
            Kind::Boolean => {
                self.open(key, "boolean").raw(json).raw("}");
            }
            Kind::Number => {
                // An integer of Sentry has 64 bits.
                let is_integer = json.parse::<i64>().is_ok();
                self.open(key, if is_integer { "integer" } else { "double" })
                    .raw(json)
                    .raw("}");
            }
        }
    }

    fn value(&mut self, key: Key<'_>, json: &str) {
        self.scalar(key, json);
    }

    fn integer(&mut self, key: Key<'_>, number: u64) {
        let value_type = if i64::try_from(number).is_ok() {
            "integer"
        } else {
            "double"
        };
        self.open(key, value_type).unsigned(number).raw("}");
    }

    fn float(&mut self, key: Key<'_>, number: f64) {
        self.open(key, "double").float(number).raw("}");
    }

    fn boolean(&mut self, key: Key<'_>, value: bool) {
        self.open(key, "boolean")
            .raw(if value { "true}" } else { "false}" });
    }

    fn built(&mut self, key: Key<'_>, write: impl FnOnce(&mut JsonText)) {
        let mut built = JsonText::default();
        write(&mut built);
        self.text(key, built.as_str());
    }
}
