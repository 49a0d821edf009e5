//! The functions that the host calls.

#![allow(
    unsafe_code,
    reason = "generated code, which the last line expands here"
)]

mod bindings {
    #![allow(
        missing_docs,
        unsafe_code,
        unreachable_pub,
        clippy::all,
        reason = "generated code"
    )]

    wit_bindgen::generate!({
        path: "../../../wit",
        inline: "
            package test:security;
            interface bomb {
                resource thing { constructor(); }
            }
            world security {
                include mastra:observability/traces-exporter@0.1.0;
                include mastra:observability/logs-exporter@0.1.0;
                include mastra:observability/output-exporter@0.1.0;
                include mastra:observability/store-exporter@0.1.0;
                include mastra:observability/page-exporter@0.1.0;
                export mastra:observability/batch-memory@0.1.0;
                export bomb;
            }
        ",
        world: "test:security/security",
        generate_all,
    });
}

use serde_json::Value;

pub(crate) use bindings::mastra::observability::{http, output, store, types};

use bindings::exports::mastra::observability::{batch_memory, lifecycle, logs, page, traces};
use bindings::exports::test::security::bomb;
use types::{
    DelayScope, ItemResult, LogBatch, NotBefore, SendOutcome, SendResult, Signal, SpanBatch,
};

use crate::acts::perform;
use crate::memory;
use crate::script::{act, keep_settings, number, script, text};

struct Guest;

/// A resource of the component's own, whose handles the host keeps.
pub(crate) struct Thing;

impl bomb::GuestThing for Thing {
    fn new() -> Self {
        Self
    }
}

impl bomb::Guest for Guest {
    type Thing = Thing;
}

/// Handles that are never dropped.
pub(crate) fn hoard(count: u64) {
    for _ in 0..count {
        std::mem::forget(std::hint::black_box(bomb::Thing::new(Thing)));
    }
}

/// Runs before everything else.
#[used]
#[unsafe(link_section = ".init_array")]
static START: extern "C" fn() = start;

extern "C" fn start() {
    if let Some(act) = act("start") {
        perform(&act);
    }
}

impl lifecycle::Guest for Guest {
    fn describe() -> lifecycle::Description {
        if let Some(act) = act("describe") {
            perform(&act);
        }
        let script = script();
        let or = |key: &str, default: &str| {
            let text = script.get(key).map(|value| text(value, "text"));
            let plain = script.get(key).and_then(Value::as_str).map(str::to_owned);
            plain.or(text).unwrap_or_else(|| default.to_owned())
        };
        let hosts = script.get("hosts").and_then(Value::as_array);
        let host = |host: &Value| match host.as_str()?.strip_prefix("setting:") {
            Some(name) => Some(lifecycle::HostRequest::FromSetting(name.to_owned())),
            None => Some(lifecycle::HostRequest::Origin(host.as_str()?.to_owned())),
        };
        let hosts: Vec<_> = hosts.into_iter().flatten().filter_map(host).collect();
        let copies = usize::try_from(number(&script, "host_copies", 1)).unwrap_or(1);
        let hosts: Vec<_> = (0..copies).flat_map(|_| hosts.clone()).collect();
        lifecycle::Description {
            name: or("name", "security"),
            version: or("version", "0.1.0"),
            settings_schema: schema(&script),
            limits: lifecycle::BatchLimits {
                max_items: u32::try_from(number(&script, "max_items", 100)).unwrap_or(u32::MAX),
                max_bytes: u32::try_from(number(&script, "max_bytes", 1_000_000))
                    .unwrap_or(u32::MAX),
            },
            phases: lifecycle::SpanPhases::ENDED,
            grouping: match script.get("max_wait").and_then(Value::as_u64) {
                Some(max_wait) => lifecycle::Grouping::WholeTrace(lifecycle::WholeTrace {
                    max_wait,
                    max_spans: u32::MAX,
                }),
                None => lifecycle::Grouping::Ungrouped,
            },
            idempotent: lifecycle::Signals::TRACES,
            flush_interval: script.get("flush_interval").and_then(Value::as_u64),
            hosts,
            reads: Vec::new(),
            prefers_otlp: lifecycle::Signals::empty(),
            extra: None,
        }
    }

    fn configure(settings: String) -> Result<(), Vec<lifecycle::SettingError>> {
        keep_settings(settings);
        let script = script();
        if let Some(act) = script.get("configure") {
            let said = perform(act);
            let refusals = usize::try_from(number(act, "refusals", 0)).unwrap_or(0);
            if refusals > 0 {
                let refusal = lifecycle::SettingError {
                    setting: text(act, "setting"),
                    reason: said,
                };
                return Err(vec![refusal; refusals]);
            }
        }
        memory::arm_alloc(
            script
                .get("realloc")
                .and_then(Value::as_str)
                .unwrap_or_default(),
        );
        Ok(())
    }

    fn flush() -> Vec<lifecycle::Acknowledgement> {
        let Some(act) = act("flush") else {
            return Vec::new();
        };
        perform(&act);
        match act.get("acknowledge").and_then(Value::as_u64) {
            Some(tokens) => vec![
                lifecycle::Acknowledgement {
                    of_signal: Signal::Traces,
                    tokens: (0..tokens).chain([u64::MAX, 0, 0]).collect(),
                    fate: ItemResult::Delivered,
                };
                2
            ],
            None => Vec::new(),
        }
    }

    fn shutdown() {
        if let Some(act) = act("shutdown") {
            perform(&act);
        }
    }
}

fn schema(script: &Value) -> String {
    let fill = usize::try_from(number(script, "schema_fill", 0)).unwrap_or(0);
    if fill > 0 {
        let part = script
            .get("schema_part")
            .and_then(Value::as_str)
            .unwrap_or("[],");
        return format!("{{\"type\":\"object\",\"x\":[{}0]}}", part.repeat(fill));
    }
    match script.get("schema") {
        Some(Value::String(text)) => text.clone(),
        Some(schema) => schema.to_string(),
        None => r#"{"type":"object","properties":{"script":{"type":"string"},"output":{"type":"string","x-output":true},"key":{"type":"string","x-secret":true}}}"#.to_owned(),
    }
}

fn all(fate: ItemResult) -> SendResult {
    SendResult {
        outcome: SendOutcome::AllItems(fate),
        not_before: None,
    }
}

impl traces::Guest for Guest {
    fn send(batch: SpanBatch) -> SendResult {
        let Some(act) = act("send") else {
            return all(ItemResult::Delivered);
        };
        let said = perform(&act);
        let items = batch.spans.len();
        let then = act.get("then").and_then(Value::as_str).unwrap_or_default();
        let outcome = match then {
            "retry" => SendOutcome::AllItems(ItemResult::Retry(said)),
            "rejected" => SendOutcome::AllItems(ItemResult::Rejected(said)),
            "skipped" => SendOutcome::AllItems(ItemResult::Skipped(said)),
            "held" => SendOutcome::AllItems(ItemResult::Held),
            "isolate" => SendOutcome::Isolate(said),
            "unauthorized" => SendOutcome::Unauthorized(said),
            "too-large" => SendOutcome::TooLarge,
            "each" => SendOutcome::PerItem(vec![ItemResult::Rejected(said); items]),
            "fewer" => SendOutcome::PerItem(vec![ItemResult::Delivered; items.saturating_sub(1)]),
            "more" => SendOutcome::PerItem(vec![ItemResult::Delivered; items + 1000]),
            "many" => SendOutcome::PerItem(vec![ItemResult::Delivered; 5_000_000]),
            _ => SendOutcome::AllItems(ItemResult::Delivered),
        };
        let wait = act.get("wait").and_then(Value::as_u64);
        memory::arm_free(
            act.get("post_return")
                .and_then(Value::as_str)
                .unwrap_or_default(),
        );
        SendResult {
            outcome,
            not_before: wait.map(|wait| NotBefore {
                scope: DelayScope::WholeExporter,
                wait,
            }),
        }
    }
}

impl logs::Guest for Guest {
    fn send(_: LogBatch) -> SendResult {
        if let Some(act) = act("logs") {
            perform(&act);
        }
        all(ItemResult::Delivered)
    }
}

impl batch_memory::Guest for Guest {
    fn capacity() -> u32 {
        let Some(act) = act("capacity") else {
            return 0;
        };
        perform(&act);
        u32::try_from(number(&act, "bytes", 0)).unwrap_or(u32::MAX)
    }
}

impl page::Guest for Guest {
    fn render(request: page::PageRequest) -> page::PageResponse {
        let act = act("page").unwrap_or_default();
        let said = perform(&act);
        let size = usize::try_from(number(&act, "size", 0)).unwrap_or(0);
        page::PageResponse {
            status: u16::try_from(number(&act, "status", 200)).unwrap_or(200),
            content_type: match text(&act, "type") {
                empty if empty.is_empty() => "text/plain".to_owned(),
                named => named,
            },
            body: if size > 0 {
                vec![b'x'; size]
            } else {
                format!("{said}{}", request.path).into_bytes()
            },
        }
    }
}

bindings::export!(Guest with_types_in bindings);
