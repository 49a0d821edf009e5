//! `make demo`: recorded events of a real agent go through `langfuse.wasm` and `json.wasm`; a Langfuse on this machine,
//! as strict as the real one, shows what arrived. Needs the host and the components built, and no network.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;

use anyhow::Context as _;
use kit::backend::langfuse::{Langfuse, SCORE, SPAN};
use kit::backend::{Backend, Stored};
use kit::host::HostCommand;
use kit::{components, paths};
use serde_json::Value;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let backend = Backend::start(Langfuse::default()).await?;
    let dir = tempfile::tempdir().context("no temporary directory")?;
    let lines = dir.path().join("events.ndjson");
    let events = paths::corpus("events.ndjson");
    let config = config(&backend, &lines)?;
    say(&format!(
        "A recording Langfuse listens on {}. Two exporters, configured so:\n\n{config}\n\
         $ mastra-host run --config config.yaml --input tests/corpus/events.ndjson\n\n",
        backend.url()
    ))?;
    let finished = HostCommand::new("run")?
        .config(&config)?
        .arg("--input")
        .arg(events)
        .finish()
        .await?;
    say(&finished.stdout)?;
    if finished.code()? != 0 {
        say(&finished.stderr)?;
    }
    let written = std::fs::read_to_string(&lines)
        .unwrap_or_default()
        .lines()
        .count();
    say(&format!(
        "\njson.wasm wrote {written} lines.\n\nWhat Langfuse received:\n{}\n",
        backend.summary()
    ))?;
    say(&traces(&backend.stored(SPAN)))?;
    say(&scores(&backend.stored(SCORE)))?;
    finished.expect_code(0)
}

fn config(backend: &Backend, lines: &std::path::Path) -> anyhow::Result<String> {
    let fake = Langfuse::default();
    let (langfuse, json) = (
        components::exporter("langfuse")?,
        components::exporter("json")?,
    );
    Ok(format!(
        "exporters:\n  langfuse:\n    component: {}\n    settings:\n      base_url: {}\n      public_key: {}\n      \
         secret_key: {}\n  json:\n    component: {}\n    settings:\n      output: file:{}\n",
        langfuse.display(),
        backend.url(),
        fake.public_key,
        fake.secret_key,
        json.display(),
        lines.display()
    ))
}

/// Every trace as a tree, children in order of start.
fn traces(spans: &[Stored]) -> String {
    let mut by_trace: BTreeMap<(u64, &str), Vec<&Value>> = BTreeMap::new();
    let first = |trace: &str| {
        spans
            .iter()
            .filter(|span| text(&span.value, "traceId") == trace)
            .map(|span| start(&span.value))
            .min()
    };
    for span in spans {
        let trace = text(&span.value, "traceId");
        by_trace
            .entry((first(trace).unwrap_or_default(), trace))
            .or_default()
            .push(&span.value);
    }
    let mut out = String::new();
    for ((_, trace), mut spans) in by_trace {
        spans.sort_by_key(|span| start(span));
        let _ = writeln!(out, "trace {trace}");
        let is_known = |id: &str| spans.iter().any(|span| text(span, "spanId") == id);
        for root in spans
            .iter()
            .filter(|span| !is_known(text(span, "parentSpanId")))
        {
            tree(root, &spans, 1, &mut out);
        }
        out.push('\n');
    }
    out
}

fn tree(span: &Value, spans: &[&Value], depth: usize, out: &mut String) {
    let micros = number(span, "endTimeUnixNano").saturating_sub(start(span)) / 1_000;
    let failed = if span.pointer("/status/code") == Some(&Value::from(2)) {
        "  failed"
    } else {
        ""
    };
    let _ = writeln!(
        out,
        "{}{}  {}.{:03} ms{failed}",
        "  ".repeat(depth),
        text(span, "name"),
        micros / 1_000,
        micros % 1_000
    );
    // A span that is its own ancestor is refused by nobody: the depth ends it.
    if depth < 32 {
        for child in spans
            .iter()
            .filter(|child| text(child, "parentSpanId") == text(span, "spanId"))
        {
            tree(child, spans, depth + 1, out);
        }
    }
}

fn scores(scores: &[Stored]) -> String {
    scores.iter().fold(String::new(), |mut out, score| {
        let value = score.value.get("value").unwrap_or(&Value::Null);
        let _ = writeln!(out, "score {} = {value}", text(&score.value, "name"));
        out
    })
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn number(value: &Value, key: &str) -> u64 {
    value
        .get(key)
        .and_then(|number| number.as_u64().or_else(|| number.as_str()?.parse().ok()))
        .unwrap_or_default()
}

fn start(span: &Value) -> u64 {
    number(span, "startTimeUnixNano")
}

fn say(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .context("cannot print")
}
