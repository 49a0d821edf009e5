//! The component itself; only for wasm, since the exports have no meaning elsewhere.

use std::cell::RefCell;

use serde_json::{Value, json};
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    Fields, IncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme,
};

mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        world: "mastra:observability/traces-exporter",
    });
}

use bindings::exports::mastra::observability::{lifecycle, traces};
use bindings::mastra::observability::types::{ItemResult, SendOutcome, SendResult, SpanBatch};

struct Wanderer;

#[expect(unsafe_code, reason = "generated: what the host calls are raw exports")]
mod exported {
    use super::{Wanderer, bindings};

    bindings::export!(Wanderer with_types_in bindings);
}

thread_local! {
    static SETTINGS: RefCell<Value> = const { RefCell::new(Value::Null) };
}

fn setting(name: &str) -> String {
    SETTINGS.with_borrow(|settings| {
        let value = settings.get(name).and_then(Value::as_str);
        value.unwrap_or_default().to_owned()
    })
}

impl lifecycle::Guest for Wanderer {
    fn describe() -> lifecycle::Description {
        let schema = json!({
            "type": "object",
            "required": ["endpoint", "places", "secret"],
            "additionalProperties": false,
            "properties": {
                "endpoint": {"type": "string", "format": "uri", "description": "where it may go"},
                "places": {"type": "string", "description": "where it goes, by spaces"},
                "secret": {"type": "string", "description": "its secret", "x-secret": true, "x-in-body": true},
            },
        });
        lifecycle::Description {
            name: "wanderer".to_owned(),
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
        SETTINGS.set(serde_json::from_str(&settings).unwrap_or_default());
        Ok(())
    }

    fn flush() -> Vec<lifecycle::Acknowledgement> {
        Vec::new()
    }

    fn shutdown() {}
}

impl traces::Guest for Wanderer {
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
    let heard = ask(place);
    let text = match &heard {
        Ok((status, body)) => format!("wanderer heard {status} {body}"),
        Err(error) => format!("wanderer heard nothing: {error}"),
    };
    tell(&text);
    match heard {
        Ok((status, _)) if (200..300).contains(&status) => Ok(()),
        Ok((status, _)) => Err(format!("{place}: {status}")),
        Err(error) => Err(format!("{place}: {error}")),
    }
}

/// Status and body of the answer to `POST place`.
fn ask(place: &str) -> Result<(u16, String), String> {
    let (scheme, rest) = place.split_once("://").ok_or("no scheme")?;
    let scheme = if scheme == "https" {
        Scheme::Https
    } else {
        Scheme::Http
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let body = json!({"here": "wanderer", "token": setting("secret")}).to_string();
    let length = body.len().to_string();
    let bearer = format!("Bearer {}", setting("secret"));
    let headers = [
        ("content-type", "application/json"),
        ("content-length", &length),
        ("authorization", &bearer),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
    let headers = Fields::from_list(&headers).map_err(|error| format!("{error:?}"))?;
    let request = OutgoingRequest::new(headers);
    let set = request
        .set_method(&Method::Post)
        .and_then(|()| request.set_scheme(Some(&scheme)))
        .and_then(|()| request.set_authority(Some(authority)))
        .and_then(|()| request.set_path_with_query(Some(path)));
    set.map_err(|()| "the host refuses a part of the URL")?;
    let outgoing = request.body().map_err(|()| "no body")?;
    let response = outgoing_handler::handle(request, None).map_err(|error| format!("{error:?}"))?;
    {
        let stream = outgoing.write().map_err(|()| "no stream")?;
        let written = stream.blocking_write_and_flush(body.as_bytes());
        written.map_err(|error| format!("{error:?}"))?;
    }
    OutgoingBody::finish(outgoing, None).map_err(|error| format!("{error:?}"))?;
    response.subscribe().block();
    let answer = response
        .get()
        .ok_or("no answer")?
        .map_err(|()| "asked twice")?;
    let answer = answer.map_err(|error| format!("{error:?}"))?;
    Ok((answer.status(), read(&answer)?))
}

fn read(answer: &IncomingResponse) -> Result<String, String> {
    let body = answer.consume().map_err(|()| "no body")?;
    let stream = body.stream().map_err(|()| "no stream")?;
    let mut bytes = Vec::new();
    // The end of the stream is an error to the one who reads it.
    while let Ok(chunk) = stream.blocking_read(64 * 1024) {
        bytes.extend(chunk);
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn tell(text: &str) {
    use std::io::Write as _;
    // Nobody may listen, which is the host's right.
    let _ = writeln!(std::io::stdout(), "{text}");
}
