//! OTLP requests between their two encodings, by the reference messages. Called by the fakes and by the exporters' tests.

use anyhow::Context as _;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::backend::Request;

/// What a request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the three signals of OTLP, by name")]
pub enum Signal {
    Traces,
    Logs,
    Metrics,
}

/// Reads a protobuf body as OTLP/JSON. What is unset is absent: empty texts and messages that are not there.
///
/// # Errors
/// When it cannot be decoded.
pub fn from_protobuf(signal: Signal, body: &[u8]) -> anyhow::Result<Value> {
    let mut value = match signal {
        Signal::Traces => decoded::<ExportTraceServiceRequest>(body),
        Signal::Logs => decoded::<ExportLogsServiceRequest>(body),
        Signal::Metrics => decoded::<ExportMetricsServiceRequest>(body),
    }?;
    prune(&mut value);
    Ok(value)
}

/// Writes an OTLP/JSON request as protobuf.
///
/// # Errors
/// When it is no such request.
pub fn to_protobuf(signal: Signal, body: &Value) -> anyhow::Result<Vec<u8>> {
    match signal {
        Signal::Traces => encoded::<ExportTraceServiceRequest>(body),
        Signal::Logs => encoded::<ExportLogsServiceRequest>(body),
        Signal::Metrics => encoded::<ExportMetricsServiceRequest>(body),
    }
}

/// The body of a request in either encoding, as OTLP/JSON.
///
/// # Errors
/// When the media type is another, or the body cannot be decoded.
pub fn read(signal: Signal, request: &Request) -> Result<Value, String> {
    match request.media_type().as_deref() {
        Some("application/json") => request.json().map_err(|error| format!("{error:#}")),
        Some("application/x-protobuf") => {
            from_protobuf(signal, &request.body).map_err(|error| format!("{error:#}"))
        }
        other => Err(format!("content-type {other:?} is not OTLP's")),
    }
}

fn decoded<M: Message + Default + Serialize>(body: &[u8]) -> anyhow::Result<Value> {
    let message = M::decode(body).context("the body is not protobuf of this signal")?;
    serde_json::to_value(message).context("the message has no JSON form")
}

fn encoded<M: Message + DeserializeOwned>(body: &Value) -> anyhow::Result<Vec<u8>> {
    let message: M =
        serde_json::from_value(body.clone()).context("the body is not JSON of this signal")?;
    Ok(message.encode_to_vec())
}

/// Takes away what protobuf does not tell from absent, but for the texts of values.
fn prune(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if let Some(scope) = members.get_mut("scope").and_then(Value::as_object_mut) {
                scope.retain(|_, member| member != &Value::Array(Vec::new()) && *member != 0);
            }
            // An empty name of a span is an unknown one (trace.proto), and as good as any.
            let is_span = ["spanId", "startTimeUnixNano"];
            let is_span = is_span.iter().all(|key| members.contains_key(*key));
            members.retain(|key, member| {
                let is_text = key == "stringValue" || (is_span && key == "name");
                let is_unset = member.is_null()
                    || (!is_text && member == "")
                    || (key == "entityRefs")
                    || (key == "startTimeUnixNano" && member == "0");
                !is_unset
            });
            members.values_mut().for_each(prune);
        }
        Value::Array(elements) => elements.iter_mut().for_each(prune),
        _ => {}
    }
}
