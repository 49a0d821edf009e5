//! The component itself; only for wasm, since the exports have no meaning elsewhere.

use std::cell::RefCell;

use serde_json::{Value, json};

mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        inline: "
            package test:keeper;
            world keeper {
                include mastra:observability/traces-exporter@0.1.0;
                include mastra:observability/page-exporter@0.1.0;
            }
        ",
        world: "test:keeper/keeper",
        generate_all,
    });
}

use bindings::exports::mastra::observability::{lifecycle, page, traces};
use bindings::mastra::observability::http;
use bindings::mastra::observability::types::{
    ItemResult, SendOutcome, SendResult, Signal, SpanBatch,
};

struct Keeper;

#[expect(unsafe_code, reason = "generated: what the host calls are raw exports")]
mod exported {
    use super::{Keeper, bindings};

    bindings::export!(Keeper with_types_in bindings);
}

thread_local! {
    static ENDPOINT: RefCell<Option<String>> = const { RefCell::new(None) };
    /// Token and name.
    static HELD: RefCell<Vec<(u64, String)>> = const { RefCell::new(Vec::new()) };
}

impl lifecycle::Guest for Keeper {
    fn describe() -> lifecycle::Description {
        let schema = json!({
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "endpoint": {"type": "string", "format": "uri", "description": "where names go", "x-env": ["KEEPER_ENDPOINT"]},
            },
        });
        lifecycle::Description {
            name: "keeper".to_owned(),
            version: "0.1.0".to_owned(),
            settings_schema: schema.to_string(),
            limits: lifecycle::BatchLimits {
                max_items: 100,
                max_bytes: 1_000_000,
            },
            phases: lifecycle::SpanPhases::ENDED,
            grouping: lifecycle::Grouping::Ungrouped,
            idempotent: lifecycle::Signals::TRACES,
            flush_interval: Some(1_000_000_000),
            hosts: vec![lifecycle::HostRequest::FromSetting("endpoint".to_owned())],
            reads: Vec::new(),
            prefers_otlp: lifecycle::Signals::empty(),
            extra: None,
        }
    }

    fn configure(settings: String) -> Result<(), Vec<lifecycle::SettingError>> {
        let settings: Value = serde_json::from_str(&settings).unwrap_or_default();
        let endpoint = settings.get("endpoint").and_then(Value::as_str);
        ENDPOINT.set(endpoint.map(str::to_owned));
        Ok(())
    }

    fn flush() -> Vec<lifecycle::Acknowledgement> {
        let held = HELD.take();
        if held.is_empty() {
            return Vec::new();
        }
        let names: String = held.iter().map(|(_, name)| format!("{name}\n")).collect();
        let fate = match ENDPOINT.with_borrow(Clone::clone) {
            Some(endpoint) => post(endpoint, names),
            None => ItemResult::Delivered,
        };
        vec![lifecycle::Acknowledgement {
            of_signal: Signal::Traces,
            tokens: held.into_iter().map(|(token, _)| token).collect(),
            fate,
        }]
    }

    fn shutdown() {}
}

impl traces::Guest for Keeper {
    fn send(batch: SpanBatch) -> SendResult {
        let names = batch.spans.into_iter().map(|span| span.name);
        let named: Vec<(u64, String)> = batch.tokens.into_iter().zip(names).collect();
        if named.iter().any(|(_, name)| name == "trap") {
            trap();
        }
        HELD.with_borrow_mut(|held| held.extend(named));
        SendResult {
            outcome: SendOutcome::AllItems(ItemResult::Held),
            not_before: None,
        }
    }
}

impl page::Guest for Keeper {
    fn render(request: page::PageRequest) -> page::PageResponse {
        let page = |status, content_type: &str, body: Vec<u8>| page::PageResponse {
            status,
            content_type: content_type.to_owned(),
            body,
        };
        match request.path.as_str() {
            "names" => {
                let names = HELD.with_borrow(|held| {
                    held.iter()
                        .map(|(_, name)| format!("{name}\n"))
                        .collect::<String>()
                });
                page(200, "text/plain", names.into_bytes())
            }
            "echo" => page(200, "text/plain", format!("{request:?}").into_bytes()),
            "smuggle" => page(200, "text/plain\r\nset-cookie: a=b", Vec::new()),
            "trap" => trap(),
            _ => page(404, "text/plain", b"no such page\n".to_vec()),
        }
    }
}

fn post(endpoint: String, names: String) -> ItemResult {
    let request = http::Request {
        verb: "POST".to_owned(),
        url: endpoint,
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

#[expect(clippy::panic, reason = "a trap is what is tested")]
fn trap() -> ! {
    panic!("asked to");
}
