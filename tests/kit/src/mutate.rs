//! Proves that a fake is strict: takes a request that it accepts, breaks one thing at a time as a table says, and expects
//! each to be refused for the reason that the table names. Tables are JSON files beside the vendor's golden requests, so
//! that a further fake brings a table and no code.
//!
//! Called by the tests of every fake.

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::backend::otlp::wire::{self, Signal};
use crate::backend::prometheus;
use crate::backend::{Answer, Fake, Request};
use crate::paths;

/// How many different broken requests each endpoint must refuse, at least.
pub const MINIMUM: usize = 10;

/// A whole table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// What every request has besides its body, such as the authorization.
    pub headers: Vec<(String, String)>,
    /// One an endpoint (or a form of it).
    pub endpoints: Vec<Endpoint>,
}

/// The mutations of one good request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Path of the requests.
    pub path: String,
    /// File of `tests/golden` with the good body.
    pub base: String,
    /// Which part of the file is the body, as a JSON pointer; all of it when absent.
    #[serde(default)]
    pub part: String,
    /// The body is sent in protobuf; the file has its JSON.
    pub protobuf: Option<Protobuf>,
    /// Status of the good request.
    pub accepted: u16,
    /// What to break.
    pub mutations: Vec<Mutation>,
}

/// What a body in protobuf is.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the kinds of requests, by name")]
pub enum Protobuf {
    Traces,
    Logs,
    Metrics,
    RemoteWrite,
}

impl Protobuf {
    fn encode(self, body: &Value) -> anyhow::Result<Vec<u8>> {
        match self {
            Self::Traces => wire::to_protobuf(Signal::Traces, body),
            Self::Logs => wire::to_protobuf(Signal::Logs, body),
            Self::Metrics => wire::to_protobuf(Signal::Metrics, body),
            Self::RemoteWrite => prometheus::encode(body),
        }
    }
}

/// One broken thing, and the answer to it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutation {
    /// What is broken, in words.
    pub name: String,
    /// Places (JSON pointers, `-` appends) and the values they get.
    #[serde(default)]
    pub set: Vec<(String, Value)>,
    /// Places that go away.
    #[serde(default)]
    pub remove: Vec<String>,
    /// Headers that change; null removes.
    #[serde(default)]
    pub headers: Vec<(String, Option<String>)>,
    /// Another verb.
    pub method: Option<String>,
    /// Another path.
    pub path: Option<String>,
    /// Another body, as text.
    pub raw: Option<String>,
    /// The status that must come.
    pub status: u16,
    /// A part of the reason that must be given, so that nothing is refused for another one.
    pub says: String,
}

/// Reads a table of `tests/golden`.
///
/// # Errors
/// When the file is missing or is no table.
pub fn read(file: &str) -> anyhow::Result<Table> {
    let text = std::fs::read_to_string(paths::golden(file))
        .with_context(|| format!("cannot read {file}"))?;
    serde_json::from_str(&text).with_context(|| format!("{file} is not a table of mutations"))
}

/// Runs a whole table against a fake.
///
/// # Errors
/// All that the fake took or refused against the table, a line each; or an endpoint with fewer than [`MINIMUM`] mutations.
pub fn check(fake: &impl Fake, table: &Table) -> anyhow::Result<()> {
    let mut failures = Vec::new();
    for endpoint in &table.endpoints {
        let body = good_body(endpoint)?;
        let good = fake.answer(&request(table, endpoint, None, &body)?);
        if let Err(reason) = expect(&good, endpoint.accepted, None) {
            failures.push(format!(
                "{} {}: the good request: {reason}",
                endpoint.path, endpoint.base
            ));
        }
        for mutation in &endpoint.mutations {
            let answer = fake.answer(&request(table, endpoint, Some(mutation), &body)?);
            if let Err(reason) = expect(&answer, mutation.status, Some(&mutation.says)) {
                failures.push(format!(
                    "{} {}: {:?}: {reason}",
                    endpoint.path, endpoint.base, mutation.name
                ));
            }
        }
    }
    for path in table.endpoints.iter().map(|endpoint| &endpoint.path) {
        let same = table
            .endpoints
            .iter()
            .filter(|endpoint| endpoint.path == *path);
        let count: usize = same.map(|endpoint| endpoint.mutations.len()).sum();
        ensure!(
            count >= MINIMUM,
            "{path} has {count} mutations; {MINIMUM} are wanted"
        );
    }
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}

fn good_body(endpoint: &Endpoint) -> anyhow::Result<Value> {
    let file = &endpoint.base;
    let text = std::fs::read_to_string(paths::golden(file))
        .with_context(|| format!("cannot read {file}"))?;
    let whole: Value =
        serde_json::from_str(&text).with_context(|| format!("{file} is not JSON"))?;
    whole
        .pointer(&endpoint.part)
        .cloned()
        .with_context(|| format!("{file} has no {}", endpoint.part))
}

fn expect(answer: &Answer, status: u16, says: Option<&str>) -> Result<(), String> {
    let reason = answer.refused.as_deref();
    if answer.status != status {
        return Err(format!(
            "answered {} instead of {status} ({reason:?})",
            answer.status
        ));
    }
    match (says, reason) {
        (None, None) => Ok(()),
        (None, Some(reason)) => Err(format!("refused: {reason}")),
        (Some(_), None) => Err("taken".to_owned()),
        (Some(says), Some(reason)) if reason.contains(says) => Ok(()),
        (Some(says), Some(reason)) => Err(format!(
            "refused for another reason than {says:?}: {reason}"
        )),
    }
}

fn request(
    table: &Table,
    endpoint: &Endpoint,
    mutation: Option<&Mutation>,
    body: &Value,
) -> anyhow::Result<Request> {
    let mut headers = table.headers.clone();
    let mut body = body.clone();
    let mut method = "POST".to_owned();
    let mut path = endpoint.path.clone();
    let mut raw = None;
    if let Some(mutation) = mutation {
        let told = || format!("mutation {:?}", mutation.name);
        for pointer in &mutation.remove {
            remove(&mut body, pointer).with_context(told)?;
        }
        for (pointer, value) in &mutation.set {
            set(&mut body, pointer, value.clone()).with_context(told)?;
        }
        for (name, value) in &mutation.headers {
            headers.retain(|(header, _)| header != name);
            headers.extend(value.iter().map(|value| (name.clone(), value.clone())));
        }
        method = mutation.method.clone().unwrap_or(method);
        path = mutation.path.clone().unwrap_or(path);
        raw.clone_from(&mutation.raw);
    }
    let body = match (raw, endpoint.protobuf) {
        (Some(raw), _) => raw.into_bytes(),
        (None, Some(kind)) => kind.encode(&body)?,
        (None, None) => body.to_string().into_bytes(),
    };
    Ok(Request {
        method,
        path,
        headers,
        wire_bytes: body.len(),
        body: body.into(),
        ..Request::default()
    })
}

/// The container that a pointer's last step leads into, and that step.
fn container<'a, 'p>(
    body: &'a mut Value,
    pointer: &'p str,
) -> anyhow::Result<(&'a mut Value, &'p str)> {
    let (parent, last) = pointer
        .rsplit_once('/')
        .with_context(|| format!("{pointer:?} is not a pointer"))?;
    let container = body
        .pointer_mut(parent)
        .with_context(|| format!("there is no {parent:?}"))?;
    Ok((container, last))
}

fn set(body: &mut Value, pointer: &str, value: Value) -> anyhow::Result<()> {
    if pointer.is_empty() {
        *body = value;
        return Ok(());
    }
    match container(body, pointer)? {
        (Value::Object(map), key) => {
            map.insert(key.to_owned(), value);
        }
        (Value::Array(items), "-") => items.push(value),
        (Value::Array(items), index) => {
            let index: usize = index
                .parse()
                .with_context(|| format!("{pointer:?} has no number"))?;
            *items
                .get_mut(index)
                .with_context(|| format!("there is no {pointer:?}"))? = value;
        }
        _ => bail!("{pointer:?} leads into a scalar"),
    }
    Ok(())
}

fn remove(body: &mut Value, pointer: &str) -> anyhow::Result<()> {
    let gone = match container(body, pointer)? {
        (Value::Object(map), key) => map.remove(key).is_some(),
        (Value::Array(items), index) => {
            let index: usize = index
                .parse()
                .with_context(|| format!("{pointer:?} has no number"))?;
            (index < items.len()).then(|| items.remove(index)).is_some()
        }
        _ => false,
    };
    ensure!(gone, "there is no {pointer:?} to remove");
    Ok(())
}
