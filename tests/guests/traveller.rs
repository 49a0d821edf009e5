//! What the travelling guests have in common: for each batch they visit every place in their settings, print what they
//! hear, and reject the batch when a place could not be reached. Each says in `component.rs` what it is called
//! ([`super::NAME`]), how it travels ([`super::ask`]) and whether its secret may stand in bodies.

use std::cell::RefCell;

use serde_json::{Value, json};

use super::bindings::exports::mastra::observability::{lifecycle, traces};
use super::bindings::mastra::observability::types::{
    ItemResult, SendOutcome, SendResult, SpanBatch,
};
use super::{IS_SECRET_IN_BODY, NAME, ask};

pub(super) struct Traveller;

thread_local! {
    static SETTINGS: RefCell<Value> = const { RefCell::new(Value::Null) };
}

pub(super) fn setting(name: &str) -> String {
    SETTINGS.with_borrow(|settings| {
        let value = settings.get(name).and_then(Value::as_str);
        value.unwrap_or_default().to_owned()
    })
}

impl lifecycle::Guest for Traveller {
    fn describe() -> lifecycle::Description {
        let variable = |name: &str| [format!("{}_{name}", NAME.to_uppercase())];
        let schema = json!({
            "type": "object",
            "required": ["endpoint", "places", "secret"],
            "additionalProperties": false,
            "properties": {
                "endpoint": {
                    "type": "string", "format": "uri", "description": "where it may go", "x-env": variable("ENDPOINT"),
                },
                "places": {"type": "string", "description": "where it goes, by spaces", "x-env": variable("PLACES")},
                "secret": {
                    "type": "string", "description": "its secret", "x-secret": true, "x-in-body": IS_SECRET_IN_BODY,
                    "x-env": variable("SECRET"),
                },
            },
        });
        lifecycle::Description {
            name: NAME.to_owned(),
            version: "0.1.0".to_owned(),
            settings_schema: schema.to_string(),
            limits: lifecycle::BatchLimits {
                max_items: 100,
                max_bytes: 1_000_000,
            },
            phases: lifecycle::SpanPhases::ENDED,
            grouping: lifecycle::Grouping::Ungrouped,
            idempotent: lifecycle::Signals::TRACES,
            flush_interval: None,
            hosts: vec![lifecycle::HostRequest::FromSetting("endpoint".to_owned())],
            reads: Vec::new(),
            prefers_otlp: lifecycle::Signals::empty(),
            extra: None,
        }
    }

    fn configure(settings: String) -> Result<(), Vec<lifecycle::SettingError>> {
        tell(&format!("{NAME} is configured with {settings}"));
        SETTINGS.set(serde_json::from_str(&settings).unwrap_or_default());
        Ok(())
    }

    fn flush() -> Vec<lifecycle::Acknowledgement> {
        Vec::new()
    }

    fn shutdown() {}
}

impl traces::Guest for Traveller {
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
    match ask(place) {
        Ok((status, said)) => {
            tell(&format!("{NAME} heard {status} {said}"));
            if (200..300).contains(&status) {
                Ok(())
            } else {
                Err(format!("{place}: {status}"))
            }
        }
        Err(error) => {
            tell(&format!("{NAME} heard nothing: {error}"));
            Err(format!("{place}: {error}"))
        }
    }
}

fn tell(text: &str) {
    use std::io::Write as _;
    // Nobody may listen, which is the host's right.
    let _ = writeln!(std::io::stdout(), "{text}");
}
