//! `mastra-host test X.wasm`

use std::path::Path;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::places::Shelf;
use super::{Context, Exit, causes};
use crate::cli::{Output, TestArgs};
use crate::conformance::golden::Golden;
use crate::conformance::{Options, fixtures};
use crate::http::wire::{WireBody, WireResponse};
use crate::print;

/// Runs the command. A component that does not load, or of which a check fails, is a failure; what was asked wrongly is
/// bad usage.
pub fn run(args: &TestArgs, ctx: &mut Context<'_>) -> Exit {
    let output = args.output.format;
    let options = match options(args) {
        Ok(options) => options,
        Err(reason) => return ctx.fail(output, Exit::BadUsage, &reason),
    };
    let shelf = match Shelf::of(&args.places, ctx) {
        Ok(shelf) => shelf,
        Err(reason) => return ctx.fail(output, Exit::Failed, &reason),
    };
    let source = match shelf.source(&args.component, ctx) {
        Ok(source) => source,
        Err(reason) => return ctx.fail(output, Exit::Failed, &reason),
    };
    let shown = source.to_string();
    let component = match ctx.load_one(&source) {
        Ok(component) => component,
        Err(reason) => return ctx.fail(output, Exit::Failed, &format!("{shown}: {reason}")),
    };
    let card = match ctx.components.test(&component, options) {
        Ok(card) => card,
        Err(error) => {
            let reason = format!("{shown}: {}", causes(&error));
            return ctx.fail(output, Exit::BadUsage, &reason);
        }
    };
    let text = match output {
        Output::Human => print::scorecard::human(&component, &card, ctx.look),
        Output::Json => print::scorecard::json(&component, &card),
    };
    ctx.print(&text);
    if card.is_passed() {
        Exit::Fine
    } else {
        Exit::Failed
    }
}

fn options(args: &TestArgs) -> Result<Options, String> {
    let settings = args.settings.iter();
    let settings = settings.map(|(name, value)| (name.clone(), Value::String(value.clone())));
    let own = args.fixtures.as_deref().map(fixtures::read_directory);
    let golden = args.golden.clone();
    Ok(Options {
        signals: (!args.signals.is_empty()).then(|| args.signals.iter().copied().collect()),
        settings: settings.collect(),
        fixtures: own
            .transpose()
            .map_err(|error| causes(&error))?
            .unwrap_or_default(),
        reply: args.reply.as_deref().map(read_reply).transpose()?,
        golden: golden.map(|directory| Golden::new(directory, args.update)),
    })
}

/// `{"status": 207, "headers": {"name": "value"}, "body": ...}`; a body that is text stays as it is, any other is JSON.
fn read_reply(file: &Path) -> Result<WireResponse, String> {
    let shown = file.display();
    let text =
        std::fs::read_to_string(file).map_err(|error| format!("cannot read {shown}: {error}"))?;
    let reply: Map<String, Value> = serde_json::from_str(&text)
        .map_err(|error| format!("{shown} is not a JSON object: {error}"))?;
    let status = reply.get("status").and_then(Value::as_u64);
    let status = status
        .and_then(|status| u16::try_from(status).ok())
        .filter(|status| (200..600).contains(status))
        .ok_or_else(|| format!("{shown}: `status` must be a number from 200 to 599"))?;
    let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    for (name, value) in reply
        .get("headers")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let name = name.to_ascii_lowercase();
        let value = value
            .as_str()
            .ok_or_else(|| format!("{shown}: header `{name}` must be a text"))?;
        headers.retain(|(known, _)| *known != name);
        headers.push((name, value.to_owned()));
    }
    let body = match reply.get("body") {
        None => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    Ok(WireResponse {
        status,
        headers,
        body: WireBody::Whole(Bytes::from(body)),
    })
}
