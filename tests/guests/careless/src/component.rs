//! Two signals: `traces`, which the backend is said to recognise when they come twice, and `scores`, which it is not.

#![allow(clippy::panic, reason = "a trap is one of the faults")]

use std::cell::{Cell, OnceCell};

use mastra_exporter_sdk::http::{HttpError, Request, Response};
use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::outcome::{ItemResult, SendResult, Statuses};
use mastra_exporter_sdk::records::{ScoreBatch, Signal, SpanBatch};
use mastra_exporter_sdk::settings::{Setting, SettingError, SettingsSchema};
use mastra_exporter_sdk::{Acknowledgement, Description, Exporter, Scores, Signals, Traces};
use serde_json::Value;

thread_local! {
    static CALLS: Cell<u32> = const { Cell::new(0) };
    static HAS_ENDED: Cell<bool> = const { Cell::new(false) };
    static FIRST_ENDPOINT: OnceCell<String> = const { OnceCell::new() };
}

struct Careless {
    endpoint: String,
    token: String,
    fault: String,
}

impl Careless {
    fn has(&self, fault: &str) -> bool {
        self.fault == fault
    }

    fn send(&self, verb: &'static str, body: Vec<u8>) -> Result<Response, HttpError> {
        let mut request = Request::new(verb, &self.endpoint).bytes("application/json", body);
        if self.has("encoded secret") {
            request = request.header("x-key", base64(&self.token));
        }
        if self.has("keeps its token") {
            request.send()
        } else {
            request.bearer(&self.token).send()
        }
    }

    /// The body is an array of ids.
    fn deliver(&self, ids: &[&str]) -> SendResult {
        let call = CALLS.get();
        CALLS.set(call + 1);
        let mut body = JsonText::default();
        body.array(ids, |body, id| {
            let mut object = body.object();
            if self.has("new ids") {
                object.string("id", &format!("{id}-{call}"));
            } else {
                object.string("id", id);
            }
            object.end();
        });
        let mut body = body.into_string().into_bytes();
        if self.has("no JSON") {
            body.pop();
        }
        let reply = self.send("POST", body.clone());
        if self.has("two writes") {
            let _ = self.send("POST", body);
        }
        match self.fault.as_str() {
            "always delivered" => SendResult::all(ItemResult::Delivered),
            "no wait" => Statuses::COMMON.batch(&reply).not_before(None),
            _ => Statuses::COMMON.batch(&reply),
        }
    }
}

impl Exporter for Careless {
    type Settings = Value;

    fn describe() -> Description {
        // No word on what they mean, and a secret that is not marked.
        let schema = SettingsSchema::new()
            .with(Setting::uri("endpoint").required())
            .with(Setting::text("token").secret().required())
            .with(Setting::text("second_token"))
            .with(Setting::text("fault"));
        Description::new("careless", env!("CARGO_PKG_VERSION"), schema)
            .host_of_setting("endpoint")
            .limits(1, 1 << 20)
            .idempotent(Signals {
                traces: true,
                ..Signals::NONE
            })
    }

    fn configure(settings: Value) -> Result<Self, Vec<SettingError>> {
        let text = |name: &str| settings[name].as_str().map(str::to_owned);
        let Some(endpoint) = text("endpoint") else {
            panic!("no endpoint");
        };
        let fault = text("fault").unwrap_or_default();
        let is_first = FIRST_ENDPOINT.with(|first| first.set(endpoint.clone()).is_ok());
        if fault == "configured once" && !is_first {
            panic!("again");
        }
        let endpoint = if fault == "first settings" {
            FIRST_ENDPOINT
                .with(|first| first.get().cloned())
                .unwrap_or(endpoint)
        } else {
            endpoint
        };
        Ok(Self {
            endpoint,
            token: text("token").unwrap_or_default(),
            fault,
        })
    }

    fn flush(&self) -> Vec<Acknowledgement> {
        let mut reported = Vec::new();
        if self.has("reports what it does not hold") {
            reported.push(Acknowledgement {
                of_signal: Signal::Traces,
                tokens: vec![7],
                fate: ItemResult::Delivered,
            });
        }
        reported
    }

    fn shutdown(&self) {
        if HAS_ENDED.replace(true) && self.has("shut down once") {
            panic!("again");
        }
    }
}

impl Traces for Careless {
    fn send_spans(&self, batch: &SpanBatch) -> SendResult {
        let is_ascii = batch.spans.iter().all(|span| span.name.is_ascii());
        if self.has("ASCII only") && !is_ascii {
            panic!("not ASCII");
        }
        if self.has("too many results") && !is_ascii {
            return SendResult::each(vec![ItemResult::Delivered; batch.spans.len() + 1]);
        }
        if self.has("secret in a reason") && !is_ascii {
            return SendResult::all(ItemResult::Skipped(format!("not for {}", self.token)));
        }
        if self.has("no such verb") {
            return Statuses::COMMON.batch(&self.send("NO SUCH VERB", Vec::new()));
        }
        let ids: Vec<&str> = batch
            .spans
            .iter()
            .map(|span| span.span_id.as_str())
            .collect();
        self.deliver(&ids)
    }
}

impl Scores for Careless {
    fn send_scores(&self, batch: &ScoreBatch) -> SendResult {
        let ids: Vec<&str> = batch
            .scores
            .iter()
            .map(|score| score.score_id.as_str())
            .collect();
        self.deliver(&ids)
    }
}

/// Of which the host knows nothing, so that no secret is filled in.
fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |bytes: &[u8]| {
        let bits = bytes
            .iter()
            .fold(0, |bits, byte| bits << 8 | usize::from(*byte));
        [18, 12, 6, 0].map(|shift| char::from(DIGITS[bits >> shift & 63]))
    };
    text.as_bytes().chunks_exact(3).flat_map(group).collect()
}

mastra_exporter_sdk::export!(Careless: traces, scores);
