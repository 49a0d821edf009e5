//! `mastra-host new` as a stranger meets it, without any toolchain: what it refuses, what it writes, and what `make` says
//! when a tool is missing.

#![allow(
    clippy::unwrap_used,
    reason = "a failed helper of a test is a failed test"
)]

use std::path::Path;
use std::process::Command;

use kit::host::{self, HostCommand};
use serde_json::Value;

fn new_in(folder: &Path, arguments: &[&str]) -> anyhow::Result<std::process::Output> {
    Ok(Command::new(host::binary()?)
        .arg("new")
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .output()?)
}

#[tokio::test]
async fn a_project_is_written_and_reported() -> anyhow::Result<()> {
    let finished = HostCommand::new("new")?
        .args([
            "acme-board",
            "--lang",
            "python",
            "--signals",
            "scores,traces",
            "--output",
            "json",
        ])
        .finish()
        .await?;
    finished.expect_code(0)?;
    let said: Value = serde_json::from_str(&finished.stdout)?;
    assert_eq!(said["signals"], serde_json::json!(["traces", "scores"]));
    let folder = finished.dir().join("acme-board");
    for file in said["files"].as_array().unwrap() {
        assert!(folder.join(file.as_str().unwrap()).is_file(), "{file}");
    }
    let exporter = std::fs::read_to_string(folder.join("src/exporter.py"))?;
    assert!(
        exporter.contains("class Scores") && !exporter.contains("class Logs"),
        "{exporter}"
    );
    Ok(())
}

#[test]
fn what_cannot_be_is_refused_with_the_mend() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::create_dir(folder.path().join("taken"))?;
    std::fs::write(folder.path().join("taken/mine"), "")?;
    for (arguments, word) in [
        (["taken", "--lang", "c"].as_slice(), "exists already"),
        (&["Acme_Board", "--lang", "c"], "`acme-board`"),
        (&["board-2", "--lang", "c"], "`board2`"),
        (&["board"], "--lang <rust|js|python|go|c>"),
        (&["board", "--lang", "cobol"], "python"),
        (
            &["board", "--lang", "c", "--signals", "traces,log"],
            "did you mean `logs`?",
        ),
        (
            &["board", "--lang", "c", "--signals", "spans"],
            "traces, logs, metrics, scores, feedback",
        ),
    ] {
        let output = new_in(folder.path(), arguments)?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains(word), "{arguments:?}: {stderr}");
    }
    let left: Vec<_> = std::fs::read_dir(folder.path())?.collect();
    assert_eq!(left.len(), 1, "nothing else was written");
    Ok(())
}

#[test]
fn make_names_the_missing_tool_and_how_to_get_it() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    // A shell and its usual tools, but no compiler of any kind.
    let bin = folder.path().join("bin");
    std::fs::create_dir(&bin)?;
    for tool in ["bash", "find", "mkdir", "cat", "cp"] {
        let found = Command::new("sh")
            .args(["-c", &format!("command -v {tool}")])
            .output()?;
        let found = String::from_utf8(found.stdout)?;
        std::os::unix::fs::symlink(found.trim(), bin.join(tool))?;
    }
    let make = Command::new("sh")
        .args(["-c", "command -v make"])
        .output()?;
    let make = String::from_utf8(make.stdout)?;
    for (language, build, test) in [
        ("c", "apt-get install clang-19", "apt-get install gcc"),
        ("go", "https://go.dev/dl", "https://go.dev/dl"),
        ("js", "https://nodejs.org", "https://nodejs.org"),
        ("python", "https://www.python.org", "https://www.python.org"),
        ("rust", "https://rustup.rs", "https://rustup.rs"),
    ] {
        let name = format!("acme-{language}");
        let written = new_in(folder.path(), &[&name, "--lang", language])?;
        assert!(written.status.success());
        for (goal, mend) in [(None, build), (Some("test"), test)] {
            let output = Command::new(make.trim())
                .args(goal)
                .current_dir(folder.path().join(&name))
                .env_clear()
                .env("PATH", &bin)
                .output()?;
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success(), "{language} {goal:?}");
            assert!(
                stderr.contains(" is missing: ") && stderr.contains(mend),
                "{language} {goal:?}: {stderr}"
            );
        }
    }
    Ok(())
}
