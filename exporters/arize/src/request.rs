//! The requests, and what the answers mean. Phoenix takes protobuf and nothing else, and says 200 before it stores;
//! Arize AX wants the bare key for traces and a bearer token for annotations, and refuses all of a request for one span
//! that it does not know yet. Sources: Phoenix `routers/v1/traces.py`, `annotations.py`; Arize AX REST reference (read
//! 2026-11).

use std::time::Duration;

use mastra_exporter_sdk::http::Request;
use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::outcome::{Fate, Row, SendResult, Statuses};
use mastra_exporter_sdk::parts;
use mastra_otlp::encode::Encoding;
use mastra_otlp::reply;

use crate::config::{Backend, Config};
use crate::wire::{Annotation, Target};

/// OTLP's rules, and Phoenix's 507: its storage is locked.
const TRACES: Statuses = Statuses::with(&[
    (507, 507, Fate::Retry),
    (400, 400, Fate::Rejected),
    (408, 408, Fate::Rejected),
    (422, 422, Fate::Rejected),
    (425, 425, Fate::Rejected),
    (500, 501, Fate::Rejected),
    (505, 599, Fate::Rejected),
]);

/// A span that is not there yet is worth another try; each request has one annotation.
const AX_ROWS: &[Row] = &[
    (400, 400, Fate::Rejected),
    (404, 404, Fate::Retry),
    (422, 422, Fate::Rejected),
];

/// How long to leave a Phoenix alone whose storage is locked.
const LOCKED_WAIT: Duration = Duration::from_secs(30);

/// Sends spans.
#[must_use]
pub fn traces(config: &Config, body: Vec<u8>, items: usize) -> SendResult {
    let request = Request::post(&config.traces_url)
        .bytes(Encoding::Protobuf.content_type(), body)
        .headers(&config.headers)
        .gzip();
    let request = match (&config.backend, &config.api_key) {
        (Backend::Ax { space_id, .. }, Some(key)) => request
            .header("arize-space-id", space_id)
            .secret_header("authorization", key),
        (Backend::Phoenix { .. }, Some(key)) => request.bearer(key),
        (_, None) => request,
    };
    let reply = request.send();
    let result = reply::batch(TRACES, &reply, items);
    match &reply {
        Ok(response) if response.status == 507 && response.retry_after.is_none() => {
            result.not_before(Some(LOCKED_WAIT))
        }
        _ => result,
    }
}

/// Sends annotations; one fate each, in order.
#[must_use]
pub fn annotations(config: &Config, annotations: &[Annotation]) -> SendResult {
    match &config.backend {
        Backend::Ax {
            annotate_url,
            project_id,
            ..
        } => {
            let project_id = project_id.as_deref().unwrap_or_default();
            let each = annotations.iter().enumerate();
            let each = each.map(|(index, annotation)| (vec![index], annotation));
            parts::send(annotations.len(), each, |annotation| {
                let body = annotation.ax_request(project_id);
                Statuses::with(AX_ROWS).batch(&post(config, annotate_url, body).send())
            })
        }
        Backend::Phoenix { base } => {
            let of_kind = |is_kind: fn(&Target) -> bool, path: &'static str| {
                let indexes: Vec<usize> = annotations
                    .iter()
                    .enumerate()
                    .filter(|(_, annotation)| is_kind(&annotation.target))
                    .map(|(index, _)| index)
                    .collect();
                (indexes, (is_kind, path))
            };
            let kinds = [
                of_kind(
                    |target| matches!(target, Target::Span(_)),
                    "span_annotations",
                ),
                of_kind(
                    |target| matches!(target, Target::Trace(_)),
                    "trace_annotations",
                ),
                of_kind(
                    |target| matches!(target, Target::Session(_)),
                    "session_annotations",
                ),
            ];
            let kinds = kinds.into_iter().filter(|(indexes, _)| !indexes.is_empty());
            parts::send(annotations.len(), kinds, |(is_kind, path)| {
                let of_kind = annotations
                    .iter()
                    .filter(|annotation| is_kind(&annotation.target));
                let mut body = JsonText::default();
                let mut object = body.object();
                object.key("data").array(of_kind, |text, annotation| {
                    annotation.write_phoenix(text);
                });
                object.end();
                let url = format!("{base}/v1/{path}?sync=false");
                Statuses::COMMON.batch(&post(config, &url, body).send())
            })
        }
    }
}

fn post(config: &Config, url: &str, body: JsonText) -> Request {
    let request = Request::post(url).json(body).headers(&config.headers);
    match &config.api_key {
        Some(key) => request.bearer(key),
        None => request,
    }
}
