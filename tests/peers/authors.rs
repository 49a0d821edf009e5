//! What a stranger gets: the project that `mastra-host new` writes builds with its language's own tools, its own test
//! passes, and the component delivers recorded events through the host, exactly once each, whatever the backend answers.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use kit::accounts::{Account, Accounts};
use kit::backend::{Answer, Backend, Behaviour, Fake, Request, Stored, Which};
use kit::host::HostCommand;
use kit::paths;
use peers::authored::{ENDPOINT, NAME, Project, TOKEN};
use serde_json::{Map, Value, json};

const SIGNALS: &str = "traces,logs,metrics,scores,feedback";

/// The backend that the written mappings are for: takes arrays of objects with an `id`.
struct Board;

impl Fake for Board {
    fn answer(&self, request: &Request) -> Answer {
        let Ok(Value::Array(records)) = request.json() else {
            return Answer::refusal(400, "not an array".to_owned(), &json!({}));
        };
        if request.header("authorization") != Some("Bearer board-token") {
            return Answer::refusal(401, "the token is wrong".to_owned(), &json!({}));
        }
        let stored = records.into_iter().map(|value| Stored {
            kind: "record",
            id: value["id"].as_str().unwrap_or_default().to_owned(),
            value,
        });
        Answer::json(200, &json!({})).with_stored(stored.collect())
    }
}

fn events() -> String {
    std::fs::read_to_string(paths::corpus("events.ndjson")).unwrap()
}

/// The records that the mapping makes of recorded events, by id; without what is absent or null.
fn wanted() -> BTreeMap<String, Value> {
    let events = events();
    let events = events
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let records = events.filter_map(|event| record(&event)).map(without_nulls);
    records
        .map(|record| (record["id"].as_str().unwrap().to_owned(), record))
        .collect()
}

fn record(event: &Value) -> Option<Value> {
    let ms = |time: &Value| -> Value {
        let time: Option<jiff::Timestamp> = time.as_str().and_then(|text| text.parse().ok());
        time.map(jiff::Timestamp::as_millisecond).into()
    };
    match event["type"].as_str()? {
        "span_ended" => {
            let span = &event["exportedSpan"];
            Some(json!({
                "id": span["id"], "trace_id": span["traceId"], "parent_id": span["parentSpanId"],
                "name": span["name"], "type": span["type"], "start_ms": ms(&span["startTime"]),
                "end_ms": ms(&span["endTime"]), "input": span["input"], "output": span["output"],
            }))
        }
        "log" => {
            let log = &event["log"];
            Some(json!({
                "id": log["logId"], "trace_id": log["traceId"], "time_ms": ms(&log["timestamp"]),
                "level": log["level"], "message": log["message"], "data": log["data"],
            }))
        }
        "metric" => {
            let metric = &event["metric"];
            Some(json!({
                "id": metric["metricId"], "time_ms": ms(&metric["timestamp"]), "name": metric["name"],
                "value": metric["value"], "labels": metric["labels"],
            }))
        }
        "score" => {
            let score = &event["score"];
            Some(json!({
                "id": score["scoreId"], "trace_id": score["traceId"], "span_id": score["spanId"],
                "scorer": score["scorerId"], "value": score["score"], "reason": score["reason"],
            }))
        }
        "feedback" => {
            let item = &event["feedback"];
            Some(json!({
                "id": item["feedbackId"], "trace_id": item["traceId"], "span_id": item["spanId"],
                "type": item["feedbackType"], "value": item["value"], "comment": item["comment"],
            }))
        }
        _ => None,
    }
}

/// Without members that are null, and with whole numbers as floats: languages write them differently.
fn without_nulls(record: Value) -> Value {
    let Value::Object(members) = record else {
        return record;
    };
    let kept = members.into_iter().filter(|(_, value)| !value.is_null());
    Value::Object(
        kept.map(|(name, value)| (name, number(value)))
            .collect::<Map<_, _>>(),
    )
}

fn number(value: Value) -> Value {
    value.as_f64().map_or(value, |number| json!(number))
}

/// Without a cache of its own the host would compile again and again.
fn cache() -> PathBuf {
    paths::target().join("authored/cache")
}

fn run_with(component: &Path, backend: &Backend, cache: &Path) -> anyhow::Result<HostCommand> {
    Ok(HostCommand::new("run")?
        .arg("--plugin")
        .arg(component)
        .env(ENDPOINT, &format!("{}/ingest", backend.url()))
        .env(TOKEN, "board-token")
        .env("XDG_CACHE_HOME", &cache.display().to_string())
        .args(["--output", "json"]))
}

fn run(component: &Path, backend: &Backend) -> anyhow::Result<HostCommand> {
    Ok(run_with(component, backend, &cache())?
        .args(["--input", "-", "--timeout", "80s"])
        .stdin(events()))
}

async fn everything_arrives(component: &Path) -> anyhow::Result<()> {
    let backend = Backend::start(Board).await?;
    // A busy backend first: the batch comes again.
    backend.on(
        Which::all().first(2),
        Behaviour::retry_after_seconds(503, 1),
    );
    let finished = run(component, &backend)?.finish().await?;
    finished.expect_code(0)?;
    Accounts::read(&finished.stdout)?.assert_conserved()?;
    let stored = backend.stored("record");
    let wanted = wanted();
    assert_eq!(stored.len(), wanted.len(), "each once");
    for record in stored {
        let wanted = wanted.get(&record.id).with_context(|| record.id.clone())?;
        assert_eq!(&without_nulls(record.value), wanted);
    }
    Ok(())
}

async fn one_refused_record_harms_no_other(component: &Path) -> anyhow::Result<()> {
    let backend = Backend::start(Board).await?;
    backend.on(
        Which::all().containing("agent started"),
        Behaviour::status(400),
    );
    let finished = run(component, &backend)?.finish().await?;
    finished.expect_code(3)?;
    let accounts = Accounts::read(&finished.stdout)?;
    let logs = accounts.of(NAME, "logs")?;
    assert_eq!((logs.delivered, logs.dead_lettered), (5, 1));
    assert_eq!(accounts.of(NAME, "scores")?, Account::delivered(4));
    Ok(())
}

async fn conforms(component: &Path) -> anyhow::Result<()> {
    let finished = HostCommand::new("test")?
        .arg(component)
        .env("XDG_CACHE_HOME", &cache().display().to_string())
        .finish()
        .await?;
    finished.expect_code(0)
}

async fn example(language: &str) -> anyhow::Result<()> {
    let project = Project::write(language, SIGNALS)?;
    project.make("test")?;
    let component = project.make("")?;
    conforms(&component).await?;
    everything_arrives(&component).await?;
    one_refused_record_harms_no_other(&component).await
}

#[tokio::test]
async fn a_project_in_c() -> anyhow::Result<()> {
    example("c").await
}

#[tokio::test]
async fn a_project_in_go() -> anyhow::Result<()> {
    example("go").await
}

#[tokio::test]
async fn a_project_in_javascript() -> anyhow::Result<()> {
    example("js").await
}

/// SpiderMonkey, whose `fetch` is `wasi:http`: under the same grants, with the same placeholders.
#[tokio::test]
async fn a_project_in_javascript_that_uses_fetch() -> anyhow::Result<()> {
    let component = Project::write_as("js-fetch", "js", SIGNALS)?.make("ENGINE=spidermonkey")?;
    conforms(&component).await?;
    everything_arrives(&component).await
}

#[tokio::test]
async fn a_project_in_rust() -> anyhow::Result<()> {
    example("rust").await
}

/// Python's interpreter is 18 MB: it is compiled beside the start, with a line that says so, and only once.
#[tokio::test]
async fn a_project_in_python_which_is_compiled_once() -> anyhow::Result<()> {
    example("python").await?;
    let component = Project::at("python").make("")?;
    let cache = tempfile::tempdir()?;
    let backend = Backend::start(Board).await?;
    let start = async || -> anyhow::Result<String> {
        let host = run_with(&component, &backend, cache.path())?
            .start()
            .await?;
        let reply = host.send_events(events()).await?;
        assert_eq!(reply.status, 200);
        let finished = host.terminate().await?;
        finished.expect_code(0)?;
        Ok(finished.stderr)
    };
    let first = start().await?;
    assert!(first.contains("Compiling"), "{first}");
    let compiled = compiled(cache.path())?;
    assert_eq!(compiled.len(), 1, "one component");
    let second = start().await?;
    assert!(!second.contains("Compiling"), "{second}");
    // A file that is written again is another.
    assert_eq!(self::compiled(cache.path())?, compiled);
    assert_eq!(backend.stored("record").len(), 2 * wanted().len());
    Ok(())
}

/// The files of machine code in a cache, by their number in the file system.
fn compiled(cache: &Path) -> anyhow::Result<BTreeSet<u64>> {
    let entries = std::fs::read_dir(cache.join("mastra-host/components"))?;
    let mut numbers = BTreeSet::new();
    for entry in entries {
        let entry = entry?;
        if entry.path().extension().is_some_and(|e| e == "cwasm") {
            numbers.insert(entry.metadata()?.ino());
        }
    }
    Ok(numbers)
}
