//! OTLP/HTTP (opentelemetry-proto 1.11, `docs/specification.md`): `POST /v1/traces`, `/v1/logs`, `/v1/metrics` in
//! protobuf or JSON. A request is decoded into messages whose texts are slices of its body, and each item is written once,
//! as the JSON text of an event. Nothing is lost on the way: what OTLP has and Mastra lacks stands under `otel` and
//! `resource`, in the spelling that `event::decode` describes. Called by `routes`.

mod answer;
mod json;
mod logs;
mod messages;
mod metrics;
mod spans;
#[cfg(test)]
mod tests;
mod write;

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use bytes::Bytes;
use prost::Message;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::Xxh3;

use self::write::Object;
use super::batch::Batch;
use crate::event::escape::push_hex;
use crate::event::fields::{FieldError, excerpt};
use crate::event::keys::{self, Keys};
use crate::event::{Event, EventKind, Source};

pub(super) use answer::{refused, response, taken};
pub(super) use messages::{ProtoAny, ProtoDuration, RetryInfo, RpcStatus};

/// Paths of OTLP/HTTP.
pub(super) const TRACES: &str = "/v1/traces";
pub(super) const LOGS: &str = "/v1/logs";
pub(super) const METRICS: &str = "/v1/metrics";

/// Whether a path is one of OTLP/HTTP.
pub(super) fn is_path(path: &str) -> bool {
    [TRACES, LOGS, METRICS].contains(&path)
}

/// What a path takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Traces,
    Logs,
    Metrics,
}

/// How a request, and so its answer, is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Protobuf,
    Json,
}

impl Encoding {
    /// From the request's `content-type`.
    ///
    /// # Errors
    /// The type, shortened, when it is neither of the two.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, String> {
        let value = headers.get(CONTENT_TYPE).map(|value| value.as_bytes());
        let value = String::from_utf8_lossy(value.unwrap_or_default());
        let media_type = value.split(';').next().unwrap_or_default().trim();
        match media_type.to_ascii_lowercase().as_str() {
            "application/x-protobuf" | "application/protobuf" => Ok(Self::Protobuf),
            "application/json" => Ok(Self::Json),
            _ => Err(excerpt(media_type)),
        }
    }
}

/// What is known of a request beside its body.
#[derive(Clone, Copy)]
pub(super) struct Origin<'r> {
    pub(super) received_at: u64,
    pub(super) source: &'r Arc<Source>,
    /// A host has sent it, which makes its requests anew of what it got.
    pub(super) is_forwarded: bool,
}

/// Reads the items of a body.
///
/// # Errors
/// The body is not such a request; nothing was read.
pub(super) async fn read(
    body: &Bytes,
    request: Request,
    encoding: Encoding,
    origin: Origin<'_>,
) -> Result<Batch, FieldError> {
    // Decoding takes milliseconds a megabyte; others get their turn before and after it.
    tokio::task::yield_now().await;
    let batch = read_at_once(body, request, encoding, origin)?;
    tokio::task::yield_now().await;
    Ok(batch)
}

fn read_at_once(
    body: &Bytes,
    request: Request,
    encoding: Encoding,
    origin: Origin<'_>,
) -> Result<Batch, FieldError> {
    let equal_before = EqualBefore::default();
    let mut items = Items {
        // Names and quotes come to the texts, mostly less than that.
        text: String::with_capacity(body.len() + body.len() / 2),
        accepted: Vec::new(),
        batch: Batch::default(),
        index: 0,
        received_at: origin.received_at,
        source: origin.source,
        equal_before: origin.is_forwarded.then_some(&equal_before),
    };
    match request {
        Request::Traces => spans::read(&decode(body, encoding)?, &mut items),
        Request::Logs => logs::read(&decode(body, encoding)?, &mut items),
        Request::Metrics => metrics::read(&decode(body, encoding)?, &mut items),
    }
    Ok(items.finish())
}

fn decode<M: Message + Default + DeserializeOwned>(
    body: &Bytes,
    encoding: Encoding,
) -> Result<M, FieldError> {
    match encoding {
        Encoding::Protobuf => M::decode(body.clone()).map_err(|error| {
            FieldError::new("", "the body", format!("must be an OTLP request: {error}"))
        }),
        Encoding::Json => {
            let refused = |reason: &dyn std::fmt::Display| {
                let head = String::from_utf8_lossy(body.get(..400).unwrap_or(body));
                FieldError::new("", &head, format!("must be an OTLP request: {reason}"))
            };
            serde_json::from_slice(body).map_err(|error| refused(&error))
        }
    }
}

/// The items of a request on their way into a batch.
struct Items<'r> {
    /// The events' texts, one after the other.
    text: String,
    accepted: Vec<Accepted>,
    batch: Batch,
    index: u64,
    received_at: u64,
    source: &'r Arc<Source>,
    /// Of a forwarded request.
    equal_before: Option<&'r EqualBefore>,
}

/// How many equal items came before, by the hash of what they say.
type EqualBefore = RefCell<HashMap<u128, u64>>;

/// An event whose text is written.
struct Accepted {
    kind: EventKind,
    /// Where its text ends, and the next one begins.
    end: usize,
    keys: Keys,
}

impl<'r> Items<'r> {
    /// What names the next item, if it has no name of its own.
    const fn identity(&self) -> Identity<'r> {
        Identity {
            index: self.index,
            received_at: self.received_at,
            equal_before: self.equal_before,
        }
    }

    /// Makes an event of the object that `write` fills, if it can be decoded, or a refused item of the error.
    fn add(
        &mut self,
        kind: EventKind,
        item: &impl Message,
        write: impl FnOnce(&mut Object<'_>) -> Result<(), FieldError>,
    ) {
        let (begin, source) = (self.text.len(), self.source);
        self.keep(kind, item, |text| {
            write::put(text, write)?;
            keys::check(kind, text.get(begin..).unwrap_or_default(), source)
        });
    }

    /// The same for a span, whose object can always be decoded.
    fn add_span(
        &mut self,
        span: &impl Message,
        write: impl FnOnce(&mut Object<'_>) -> Result<Keys, FieldError>,
    ) {
        self.keep(EventKind::SpanEnded, span, |text| write::put(text, write));
    }

    fn keep(
        &mut self,
        kind: EventKind,
        item: &impl Message,
        write: impl FnOnce(&mut String) -> Result<Keys, FieldError>,
    ) {
        let begin = self.text.len();
        match write(&mut self.text) {
            Ok(keys) => self.accepted.push(Accepted {
                kind,
                end: self.text.len(),
                keys,
            }),
            Err(error) => {
                self.text.truncate(begin);
                self.batch
                    .refuse(self.index, Some(kind), error, &item.encode_to_vec());
            }
        }
        self.index += 1;
    }

    /// The events are slices of one text.
    fn finish(mut self) -> Batch {
        self.text.shrink_to_fit();
        let text = Bytes::from(self.text);
        let mut begin = 0;
        for Accepted { kind, end, keys } in self.accepted {
            let payload = text.slice(begin..end);
            let source = Arc::clone(self.source);
            let event = Event::from_checked(kind, payload, keys, self.received_at, source);
            self.batch.events.push(event);
            begin = end;
        }
        self.batch
    }
}

/// An item's place in its request.
#[derive(Clone, Copy)]
struct Identity<'r> {
    index: u64,
    received_at: u64,
    equal_before: Option<&'r EqualBefore>,
}

impl Identity<'_> {
    /// Adds the time, or when the item came if it has none (0), and an id. The same item of the same resource at the same
    /// place of a request has the same id, so that a request that is sent again is recognised, and nothing else is. In a
    /// forwarded request the place is that among equal items: hosts put requests together anew, and what goes in a circle
    /// among them must be recognised.
    fn complete(self, event: &mut Object<'_>, id_key: &str, time: u64) {
        let mut place = self.index;
        if let Some(equal_before) = self.equal_before {
            let mut hash = Xxh3::new();
            hash.update(&time.to_le_bytes());
            hash.update(event.written());
            let mut equal_before = equal_before.borrow_mut();
            let count = equal_before.entry(hash.digest128()).or_default();
            place = *count;
            *count += 1;
        }
        let mut hash = Xxh3::new();
        hash.update(&place.to_le_bytes());
        hash.update(&time.to_le_bytes());
        hash.update(event.written());
        event.text(id_key, &format!("{:032x}", hash.digest128()));
        self.set_time(event, time);
    }

    /// Adds the time alone.
    fn set_time(self, event: &mut Object<'_>, time: u64) {
        event.time("timestamp", if time == 0 { self.received_at } else { time });
    }
}

/// What the items of a group share, written once: a resource or a scope, or why it cannot be.
type Shared = Result<Option<String>, FieldError>;

fn shared(of_group: &Shared) -> Result<Option<&str>, FieldError> {
    of_group
        .as_ref()
        .map(Option::as_deref)
        .map_err(Clone::clone)
}

/// 16 bytes, not all zero.
fn trace_id(field: &str, id: &[u8]) -> Result<String, FieldError> {
    hex_id(field, id, 16)
}

/// 8 bytes, not all zero.
fn span_id(field: &str, id: &[u8]) -> Result<String, FieldError> {
    hex_id(field, id, 8)
}

/// None when it is empty or all zero, which the specification calls absent.
fn optional_trace_id(field: &str, id: &[u8]) -> Result<Option<String>, FieldError> {
    is_present(id).then(|| trace_id(field, id)).transpose()
}

/// None when it is empty or all zero, which the specification calls absent.
fn optional_span_id(field: &str, id: &[u8]) -> Result<Option<String>, FieldError> {
    is_present(id).then(|| span_id(field, id)).transpose()
}

fn is_present(id: &[u8]) -> bool {
    id.iter().any(|byte| *byte != 0)
}

fn hex_id(field: &str, id: &[u8], length: usize) -> Result<String, FieldError> {
    let mut hex = String::with_capacity(2 * length);
    push_hex(&mut hex, id.get(..64).unwrap_or(id));
    if id.len() != length {
        let reason = format!("must have {length} bytes, has {}", id.len());
        return Err(FieldError::new(field, &hex, reason));
    }
    if !is_present(id) {
        return Err(FieldError::new(field, &hex, "must not be all zero"));
    }
    Ok(hex)
}
