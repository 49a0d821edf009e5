//! Text of others on terminals and in logs: it is visible, stays in its line, and forges nothing.

#![allow(
    clippy::indexing_slicing,
    reason = "`Value[key]` answers null for what is not there"
)]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use kit::host::{Finished, HostCommand};
use serde_json::{Value, json};

/// A title, a cleared screen, C1, DEL, a bidi override, a zero-width space, a line separator, and a forged line.
const HOSTILE: &str =
    "x\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{7f}\u{202e}\u{200b}\u{2028}\u{feff}\r\nFORGED line";

const TRACE: &str = "0123456789abcdef0123456789abcdef";

/// What no line may hold, whoever wrote it.
fn raw_characters(text: &str) -> Vec<char> {
    let is_raw = |c: &char| {
        (c.is_control() && !matches!(c, '\n' | '\t'))
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    text.chars().filter(is_raw).collect()
}

fn assert_tame(what: &str, text: &str) {
    assert_eq!(raw_characters(text), [], "{what}: {text}");
    let forged = text.lines().find(|line| line.starts_with("FORGED"));
    assert_eq!(forged, None, "{what}: {text}");
}

async fn command(arguments: &[&str], data: &Path) -> anyhow::Result<Finished> {
    let (first, rest) = arguments
        .split_first()
        .ok_or_else(|| anyhow::anyhow!("no command"))?;
    let mut command = HostCommand::new(first)?;
    for argument in rest {
        command = command.arg(*argument);
    }
    command.arg("--data-dir").arg(data).finish().await
}

fn hostile_events() -> String {
    let span = json!({"type": "span_ended", "exportedSpan": {
        "id": "1", "traceId": TRACE, "name": HOSTILE, "type": HOSTILE, "isRootSpan": true,
        "startTime": "2026-01-01T00:00:00Z", "endTime": "2026-01-01T00:00:01Z",
        "errorInfo": {"message": HOSTILE}, "attributes": {"model": HOSTILE},
    }});
    let log = json!({"type": "log", "log": {
        "logId": "1", "timestamp": "2026-01-01T00:00:00Z", "level": "info", "message": HOSTILE, "traceId": TRACE,
    }});
    let metric = json!({"type": "metric", "metric": {
        "metricId": "1", "timestamp": "2026-01-01T00:00:00Z", "name": "m", "value": 1, "unit": HOSTILE, "labels": {HOSTILE: HOSTILE},
    }});
    let score = json!({"type": "score", "score": {
        "scoreId": "1", "timestamp": "2026-01-01T00:00:00Z", "scorerId": HOSTILE, "score": 1, "reason": HOSTILE, "traceId": TRACE,
    }});
    let feedback = json!({"type": "feedback", "feedback": {
        "feedbackId": "1", "timestamp": "2026-01-01T00:00:00Z", "feedbackType": HOSTILE, "value": HOSTILE, "comment": HOSTILE,
        "traceId": TRACE, "feedbackSource": "user",
    }});
    [span, log, metric, score, feedback]
        .map(|event| format!("{event}\n"))
        .concat()
}

#[tokio::test]
async fn events_and_refused_bodies_obey_no_terminal() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let host = HostCommand::new("run")?
        .plugin("default")?
        .arg("--data-dir")
        .arg(data.path())
        .start()
        .await?;
    let posted = host.send_events(hostile_events()).await?;
    assert!(posted.status < 300, "{}", posted.text());
    host.send_events(format!("{{\"type\":\"span_ended\"}} {HOSTILE}"))
        .await?;
    // While the host runs, its answers go through the control socket.
    let running = command(&["dlq", "ls"], data.path()).await?;
    assert_tame("dlq ls of a running host", &running.stdout);
    let log = host.terminate().await?;
    log.expect_code(0)?;
    assert_tame("the log", &log.stderr);
    for arguments in [
        &["show", "traces"][..],
        &["show", "trace", TRACE],
        &["show", "logs"],
        &["show", "metrics"],
        &["show", "scores"],
        &["show", "feedback"],
        &["dlq", "ls"],
        &["dlq", "show", "0"],
    ] {
        let what = arguments.join(" ");
        let shown = command(arguments, data.path()).await?;
        shown.expect_code(0)?;
        assert_tame(&what, &shown.stdout);
        let mut arguments = arguments.to_vec();
        arguments.extend(["--output", "json"]);
        let shown = command(&arguments, data.path()).await?;
        assert_tame(&what, &shown.stdout);
        for line in shown.stdout.lines() {
            serde_json::from_str::<Value>(line)?;
        }
    }
    let shown = command(&["show", "logs", "--output", "json"], data.path()).await?;
    let line: Value = serde_json::from_str(&shown.stdout)?;
    assert_eq!(line["log"]["message"], HOSTILE, "nothing is lost");
    Ok(())
}

fn plugins_with_hostile_names() -> anyhow::Result<tempfile::TempDir> {
    let plugins = tempfile::tempdir()?;
    let name = format!("{}.wasm", HOSTILE.replace('/', "_"));
    fs::write(
        plugins.path().join(OsStr::from_bytes(name.as_bytes())),
        "none",
    )?;
    let invalid = OsStr::from_bytes(b"a\xff\x9b\nFORGED.wasm");
    fs::write(plugins.path().join(invalid), "none")?;
    Ok(plugins)
}

#[tokio::test]
async fn file_names_forge_no_line_of_a_log() -> anyhow::Result<()> {
    let plugins = plugins_with_hostile_names()?;
    for format in ["text", "json"] {
        let finished = HostCommand::new("run")?
            .arg("--plugins-dir")
            .arg(plugins.path())
            .args(["--log-format", format, "--input", "-"])
            .finish()
            .await?;
        assert_tame(format, &finished.stderr);
        assert!(
            finished.stderr.contains("FORGED"),
            "the names are told: {}",
            finished.stderr
        );
    }
    for arguments in [&["plugin", "ls"][..], &["matrix"]] {
        for output in ["human", "json"] {
            let mut command = HostCommand::new(arguments[0])?;
            for argument in &arguments[1..] {
                command = command.arg(*argument);
            }
            let finished = command
                .arg("--plugins-dir")
                .arg(plugins.path())
                .args(["--output", output])
                .finish()
                .await?;
            assert_tame(output, &finished.stdout);
            assert_tame(output, &finished.stderr);
        }
    }
    Ok(())
}

#[tokio::test]
async fn every_line_of_a_json_log_is_json() -> anyhow::Result<()> {
    let plugins = plugins_with_hostile_names()?;
    let run = || -> anyhow::Result<HostCommand> {
        Ok(HostCommand::new("run")?
            .args(["--log-format", "json"])
            .arg("--plugins-dir")
            .arg(plugins.path()))
    };
    let host = run()?.plugin("default")?.start().await?;
    for (what, finished) in [
        ("listeners", host.terminate().await?),
        ("bad usage", run()?.arg("--no\nsuch").finish().await?),
        (
            "a bad filter",
            run()?.env("MASTRA_HOST_LOG", "=\n=").finish().await?,
        ),
        (
            "a bad config",
            run()?
                .config("nothing: \"\\e]0;x\"\nqueue: 1\n")?
                .finish()
                .await?,
        ),
        (
            "no component",
            run()?
                .arg("--plugin")
                .arg(OsStr::from_bytes(b"a\n\x9bFORGED.wasm"))
                .finish()
                .await?,
        ),
        ("no exporter", run()?.args(["--input", "-"]).finish().await?),
    ] {
        assert_tame(what, &finished.stderr);
        assert!(!finished.stderr.is_empty(), "{what}");
        for line in finished.stderr.lines() {
            let entry: Value = serde_json::from_str(line)
                .map_err(|error| anyhow::anyhow!("{what}: {error}: {line}"))?;
            assert!(entry["level"].is_string(), "{what}: {line}");
        }
    }
    Ok(())
}
