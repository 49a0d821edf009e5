//! `mastra-host test` judges components without a backend: ours pass, and one that lies does not.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use std::path::Path;

use kit::host::{Finished, HostCommand};
use kit::{components, paths};
use serde_json::Value;

/// The names in the Makefile's `EXPORTERS`.
fn exporters() -> Vec<String> {
    let makefile = std::fs::read_to_string(paths::repository().join("Makefile")).unwrap();
    let line = makefile
        .lines()
        .find_map(|line| line.strip_prefix("EXPORTERS := "));
    line.unwrap()
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

async fn tested(component: &Path, arguments: &[&str]) -> anyhow::Result<(Finished, Value)> {
    let command = HostCommand::new("test")?
        .arg(component)
        .args(["--output", "json"]);
    let command = arguments
        .iter()
        .fold(command, |command, argument| command.arg(argument));
    let finished = command.finish().await?;
    let card = serde_json::from_str(&finished.stdout)?;
    Ok((finished, card))
}

/// What ended so, as `group signal name: found`.
fn ended(card: &Value, result: &str) -> Vec<String> {
    let checks = card["checks"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    checks
        .filter(|check| check["result"] == result)
        .map(|check| {
            let [group, signal, name, found] =
                ["group", "signal", "name", "found"].map(|key| text(&check[key]));
            format!("{group} {signal} {name}: {found}")
        })
        .collect()
}

/// Warnings of ours that are meant so: OTLP and remote write say that 408 and 500 are final, and the platform's clients
/// name the time of sending.
fn unexpected(card: &Value) -> Vec<String> {
    let mut warned = ended(card, "warned");
    warned.retain(|warning| {
        let is_final = warning.contains(" 408: ") || warning.contains(" 500: ");
        !(is_final || warning.contains(".createdAt"))
    });
    warned
}

#[tokio::test]
async fn every_exporter_of_ours_passes() -> anyhow::Result<()> {
    for name in exporters() {
        let (finished, card) = tested(&components::exporter(&name)?, &[]).await?;
        assert_eq!(ended(&card, "failed"), [""; 0], "{name}");
        assert_eq!(unexpected(&card), [""; 0], "{name}");
        finished.expect_code(0)?;
        assert_eq!(card["result"], "passed", "{name}");
        assert_eq!(card["component"]["name"], name.as_str());
        let events = card["checks"].as_array().unwrap().iter();
        let events = events.filter(|check| check["group"] == "events").count();
        assert!(events > 10, "{name}: {events}");
    }
    Ok(())
}

#[tokio::test]
async fn remote_write_passes_too() -> anyhow::Result<()> {
    let prometheus = components::exporter("prometheus")?;
    let url = "remote_write_url=https://remote.example/api/v1/write";
    let (finished, card) = tested(&prometheus, &["--set", url]).await?;
    assert_eq!(ended(&card, "failed"), [""; 0]);
    assert_eq!(unexpected(&card), [""; 0]);
    finished.expect_code(0)?;
    Ok(())
}

/// `keeper` gives back what a flush could not deliver, whatever the reason, and holds what comes again.
#[tokio::test]
async fn a_component_that_never_says_that_its_key_is_refused_is_warned() -> anyhow::Result<()> {
    let keeper = components::package("keeper-guest", "keeper")?;
    let endpoint = "endpoint=https://keeper.example/names";
    let (_, card) = tested(&keeper, &["--set", endpoint]).await?;
    let warned = ended(&card, "warned");
    for status in ["401", "403"] {
        let is_told = |warning: &String| {
            warning.contains(&format!(" {status}: ")) && warning.contains("nobody is told")
        };
        assert!(warned.iter().any(is_told), "{status}: {warned:?}");
    }
    Ok(())
}

#[tokio::test]
async fn only_the_signals_that_were_asked_for_are_tried() -> anyhow::Result<()> {
    let langfuse = components::exporter("langfuse")?;
    let (finished, card) = tested(&langfuse, &["--signals", "scores,feedback"]).await?;
    finished.expect_code(0)?;
    let checks = card["checks"].as_array().unwrap().iter();
    let mut signals: Vec<&str> = checks
        .filter_map(|check| check["signal"].as_str())
        .collect();
    signals.sort_unstable();
    signals.dedup();
    assert_eq!(signals, ["feedback", "scores"]);
    let (finished, said) = tested(&langfuse, &["--signals", "metrics"]).await?;
    finished.expect_code(2)?;
    assert!(
        said["error"]
            .as_str()
            .unwrap()
            .ends_with("does not export `metrics`; it exports traces, logs, scores, feedback"),
        "{said}"
    );
    Ok(())
}

/// `rover` rejects every batch that a place did not take, whatever the reason.
#[tokio::test]
async fn a_component_that_would_lose_events_fails_and_is_told_why() -> anyhow::Result<()> {
    let rover = components::package("rover-guest", "rover")?;
    let places = "places=https://endpoint.example/v1";
    let (finished, card) = tested(&rover, &["--set", places]).await?;
    finished.expect_code(1)?;
    let failed = ended(&card, "failed");
    for wanted in [
        "replies traces 401: answered `rejected`",
        "replies traces 413: answered `rejected`",
        "replies traces 503: answered `rejected`",
        "replies traces no answer in time: answered `rejected`",
    ] {
        assert!(
            failed.iter().any(|found| found.starts_with(wanted)),
            "{wanted}: {failed:#?}"
        );
    }
    let checks = card["checks"].as_array().unwrap().iter();
    for check in checks.filter(|check| check["result"] == "failed") {
        assert!(!check["fix"].as_str().unwrap().is_empty(), "{check}");
    }
    Ok(())
}

#[tokio::test]
async fn a_component_that_speaks_to_a_host_it_did_not_ask_for_fails() -> anyhow::Result<()> {
    let places = "places=https://endpoint.example/v1 https://elsewhere.example/v1";
    for (package, name) in [("rover-guest", "rover"), ("wanderer-guest", "wanderer")] {
        let component = components::package(package, name)?;
        let (finished, card) = tested(&component, &["--set", places]).await?;
        finished.expect_code(1)?;
        let failed = ended(&card, "failed");
        let wanted =
            "requests  hosts that it asked for: `https://elsewhere.example` is not granted";
        assert!(
            failed.iter().any(|found| found.starts_with(wanted)),
            "{failed:#?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_component_that_sends_nothing_does_not_pass() -> anyhow::Result<()> {
    let rover = components::package("rover-guest", "rover")?;
    let (finished, card) = tested(&rover, &["--set", "places="]).await?;
    finished.expect_code(1)?;
    let failed = ended(&card, "failed");
    for wanted in [
        "requests  something is sent",
        "events traces plain: answered `delivered`",
    ] {
        assert!(
            failed.iter().any(|found| found.starts_with(wanted)),
            "{wanted}: {failed:#?}"
        );
    }
    Ok(())
}

/// What `careless` does when it is told to, and what is said of it.
const FAULTS: [(&str, &str, &str); 15] = [
    ("configured once", "failed", "lifecycle  configured twice: "),
    (
        "first settings",
        "warned",
        "lifecycle  configured with another host: ",
    ),
    (
        "reports what it does not hold",
        "failed",
        "lifecycle  flushed when nothing is held: ",
    ),
    (
        "shut down once",
        "failed",
        "lifecycle  shut down twice: the second time: ",
    ),
    (
        "ASCII only",
        "failed",
        "events traces unicode: component trapped",
    ),
    (
        "too many results",
        "failed",
        "events traces unicode: component broke the contract",
    ),
    ("no JSON", "failed", "events traces plain: the body for "),
    (
        "always delivered",
        "failed",
        "replies scores 500: answered `delivered`",
    ),
    (
        "no wait",
        "failed",
        "replies traces 429 with retry-after in seconds: ",
    ),
    (
        "new ids",
        "failed",
        "repeats traces same events twice: ids differ at ",
    ),
    (
        "two writes",
        "warned",
        "repeats scores one write a call: 2 write requests",
    ),
    ("no such verb", "failed", "requests  well formed: "),
    (
        "encoded secret",
        "failed",
        "requests  placeholders: a placeholder was left ",
    ),
    (
        "secret in a reason",
        "warned",
        "requests  placeholders: a reason shows ",
    ),
    (
        "keeps its token",
        "warned",
        "requests  secrets are used: never sent: token",
    ),
];

#[tokio::test]
async fn each_fault_is_found_by_its_check_and_by_no_other() -> anyhow::Result<()> {
    let careless = components::package("careless-guest", "careless")?;
    let (finished, card) = tested(&careless, &[]).await?;
    finished.expect_code(0)?;
    assert_eq!(ended(&card, "failed"), [""; 0]);
    // What it always does, since nothing keeps it from that.
    let always = ended(&card, "warned");
    for (found, wanted) in always.iter().zip([
        "describe  settings are described: no `description`: endpoint, token, second_token, fault",
        "describe  secrets are marked: not marked: second_token",
        "describe  limits: 1 items",
        "lifecycle  configured with nothing: ",
        "lifecycle  configured with other types: ",
    ]) {
        assert!(found.starts_with(wanted), "{wanted}: {always:#?}");
    }
    assert_eq!(always.len(), 5, "{always:#?}");
    for (fault, result, wanted) in FAULTS {
        let (finished, card) = tested(&careless, &["--set", &format!("fault={fault}")]).await?;
        let found = ended(&card, result);
        assert!(
            found.iter().any(|found| found.starts_with(wanted)),
            "{fault}: {found:#?}"
        );
        let is_passed = result == "warned";
        finished.expect_code(if is_passed { 0 } else { 1 })?;
        let group = wanted.split(' ').next().unwrap();
        let failed = ended(&card, "failed");
        let elsewhere: Vec<_> = failed
            .iter()
            .filter(|one| !one.starts_with(group))
            .collect();
        assert_eq!(elsewhere, [""; 0], "{fault}");
    }
    Ok(())
}

#[tokio::test]
async fn golden_files_are_written_and_compared() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let golden = directory.path().join("golden").display().to_string();
    let webhook = components::exporter("webhook")?;
    let arguments = ["--signals", "scores", "--golden", &golden];
    let (finished, _) = tested(&webhook, &arguments).await?;
    finished.expect_code(1)?;
    let (finished, _) = tested(&webhook, &[&arguments[..], &["--update"]].concat()).await?;
    finished.expect_code(0)?;
    let (finished, card) = tested(&webhook, &arguments).await?;
    assert_eq!(ended(&card, "failed"), [""; 0]);
    finished.expect_code(0)?;
    let plain = directory.path().join("golden/scores/plain.json");
    let text = std::fs::read_to_string(&plain)?;
    std::fs::write(&plain, text.replace("relevance", "irrelevance"))?;
    let (finished, card) = tested(&webhook, &arguments).await?;
    finished.expect_code(1)?;
    let failed = ended(&card, "failed");
    assert_eq!(failed.len(), 1, "{failed:#?}");
    assert!(
        failed[0].starts_with("golden scores plain: differs at"),
        "{failed:#?}"
    );
    Ok(())
}

#[tokio::test]
async fn an_authors_own_events_are_tried() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let events = paths::corpus("events.ndjson");
    std::fs::copy(events, directory.path().join("recorded.ndjson"))?;
    let fixtures = directory.path().display().to_string();
    let (finished, card) =
        tested(&components::exporter("json")?, &["--fixtures", &fixtures]).await?;
    finished.expect_code(0)?;
    let checks = card["checks"].as_array().unwrap().iter();
    let recorded: Vec<&Value> = checks.filter(|check| check["name"] == "recorded").collect();
    assert_eq!(recorded.len(), 5, "one a signal: {recorded:?}");
    Ok(())
}

#[tokio::test]
async fn people_see_what_passed_and_what_was_sent() -> anyhow::Result<()> {
    let finished = HostCommand::new("test")?
        .arg(components::exporter("langfuse")?)
        .finish()
        .await?;
    finished.expect_code(0)?;
    for word in [
        "langfuse",
        "passed",
        "replies",
        "POST https://cloud.langfuse.com/",
        "Basic ***",
    ] {
        assert!(
            finished.stdout.contains(word),
            "{word}:\n{}",
            finished.stdout
        );
    }
    assert!(
        !finished.stdout.contains("conformance-secret"),
        "{}",
        finished.stdout
    );
    Ok(())
}
