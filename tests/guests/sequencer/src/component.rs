//! The component itself; only for wasm, since the exports have no meaning elsewhere.

use std::cell::RefCell;

use serde_json::{Value, json};

mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        world: "mastra:observability/traces-exporter",
    });
}

use bindings::exports::mastra::observability::{lifecycle, traces};
use bindings::mastra::observability::http;
use bindings::mastra::observability::types::{ItemResult, SendOutcome, SendResult, SpanBatch};

struct Sequencer;

#[expect(unsafe_code, reason = "generated: what the host calls are raw exports")]
mod exported {
    use super::{Sequencer, bindings};

    bindings::export!(Sequencer with_types_in bindings);
}

thread_local! {
    static ENDPOINT: RefCell<String> = const { RefCell::new(String::new()) };
}

impl lifecycle::Guest for Sequencer {
    fn describe() -> lifecycle::Description {
        let schema = json!({
            "type": "object",
            "required": ["endpoint"],
            "additionalProperties": false,
            "properties": {
                "endpoint": {"type": "string", "format": "uri", "description": "where names go", "x-env": ["SEQUENCER_ENDPOINT"]},
            },
        });
        lifecycle::Description {
            name: "sequencer".to_owned(),
            version: "0.1.0".to_owned(),
            settings_schema: schema.to_string(),
            limits: lifecycle::BatchLimits {
                max_items: 2,
                max_bytes: 1_000_000,
            },
            phases: lifecycle::SpanPhases::ENDED,
            grouping: lifecycle::Grouping::Ordered,
            idempotent: lifecycle::Signals::TRACES,
            flush_interval: None,
            hosts: vec![lifecycle::HostRequest::FromSetting("endpoint".to_owned())],
            reads: Vec::new(),
            prefers_otlp: lifecycle::Signals::empty(),
            extra: None,
        }
    }

    fn configure(settings: String) -> Result<(), Vec<lifecycle::SettingError>> {
        let settings: Value = serde_json::from_str(&settings).unwrap_or_default();
        let endpoint = settings.get("endpoint").and_then(Value::as_str);
        ENDPOINT.set(endpoint.unwrap_or_default().to_owned());
        Ok(())
    }

    fn flush() -> Vec<lifecycle::Acknowledgement> {
        Vec::new()
    }

    fn shutdown() {}
}

impl traces::Guest for Sequencer {
    fn send(batch: SpanBatch) -> SendResult {
        let names: String = batch
            .spans
            .into_iter()
            .map(|span| format!("in order: {}\n", span.name))
            .collect();
        SendResult {
            outcome: SendOutcome::AllItems(post(names)),
            not_before: None,
        }
    }
}

fn post(names: String) -> ItemResult {
    let request = http::Request {
        verb: "POST".to_owned(),
        url: ENDPOINT.with_borrow(Clone::clone),
        headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
        body: names.into_bytes(),
        compress: None,
        auth: None,
        timeout: None,
    };
    match http::send(&request) {
        Ok(response) if (200..300).contains(&response.status) => ItemResult::Delivered,
        Ok(response) => ItemResult::Retry(response.status.to_string()),
        Err(error) => ItemResult::Retry(format!("{error:?}")),
    }
}
