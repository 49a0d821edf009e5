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

struct Rover;

#[expect(unsafe_code, reason = "generated: what the host calls are raw exports")]
mod exported {
    use super::{Rover, bindings};

    bindings::export!(Rover with_types_in bindings);
}

thread_local! {
    static SETTINGS: RefCell<Value> = const { RefCell::new(Value::Null) };
}

fn setting(name: &str) -> String {
    SETTINGS.with_borrow(|settings| {
        settings
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    })
}

impl lifecycle::Guest for Rover {
    fn describe() -> lifecycle::Description {
        let schema = json!({
            "type": "object",
            "required": ["endpoint", "places", "secret"],
            "additionalProperties": false,
            "properties": {
                "endpoint": {
                    "type": "string", "format": "uri", "description": "where it may go", "x-env": ["ROVER_ENDPOINT"],
                },
                "places": {"type": "string", "description": "where it goes, by spaces", "x-env": ["ROVER_PLACES"]},
                "secret": {"type": "string", "description": "its secret", "x-secret": true, "x-env": ["ROVER_SECRET"]},
            },
        });
        lifecycle::Description {
            name: "rover".to_owned(),
            version: "0.1.0".to_owned(),
            settings_schema: schema.to_string(),
            limits: lifecycle::BatchLimits {
                max_items: 100,
                max_bytes: 1_000_000,
            },
            phases: lifecycle::SpanPhases::ENDED,
            grouping: lifecycle::Grouping::Ungrouped,
            idempotent: lifecycle::IdempotentSignals::TRACES,
            flush_interval: None,
            hosts: vec![lifecycle::HostRequest::FromSetting("endpoint".to_owned())],
        }
    }

    fn configure(settings: String) -> Result<(), Vec<lifecycle::SettingError>> {
        tell(&format!("rover is configured with {settings}"));
        SETTINGS.set(serde_json::from_str(&settings).unwrap_or_default());
        Ok(())
    }

    fn flush() -> Vec<lifecycle::Acknowledgement> {
        Vec::new()
    }

    fn shutdown() {}
}

impl traces::Guest for Rover {
    fn send(_: SpanBatch) -> SendResult {
        let failures: Vec<String> = setting("places")
            .split_whitespace()
            .filter_map(|place| visit(place).err())
            .collect();
        let fate = if failures.is_empty() {
            ItemResult::Delivered
        } else {
            ItemResult::Rejected(failures.join("; "))
        };
        SendResult {
            outcome: SendOutcome::AllItems(fate),
            not_before: None,
        }
    }
}

fn visit(place: &str) -> Result<(), String> {
    let request = http::Request {
        verb: "POST".to_owned(),
        url: place.to_owned(),
        headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
        body: b"rover was here".to_vec(),
        compress: None,
        auth: Some(http::Auth::Bearer(setting("secret"))),
        timeout: None,
    };
    match http::send(&request) {
        Ok(response) => {
            let body = String::from_utf8_lossy(&response.body).into_owned();
            tell(&format!(
                "rover heard {} {:?} {body}",
                response.status, response.headers
            ));
            if (200..300).contains(&response.status) {
                Ok(())
            } else {
                Err(format!("{place}: {}", response.status))
            }
        }
        Err(error) => {
            tell(&format!("rover heard nothing: {error:?}"));
            Err(format!("{place}: {error:?}"))
        }
    }
}

fn tell(text: &str) {
    use std::io::Write as _;
    // Nobody may listen, which is the host's right.
    let _ = writeln!(std::io::stdout(), "{text}");
}
