//! `inspect` shows what a component is before it runs with anything.

use kit::host::HostCommand;
use kit::{components, paths};
use serde_json::Value;

async fn inspect(name: &str) -> anyhow::Result<Value> {
    let component = components::exporter(name)?;
    let finished = HostCommand::new("inspect")?
        .arg(component)
        .args(["--output", "json"])
        .finish()
        .await?;
    finished.expect_code(0)?;
    Ok(serde_json::from_str(&finished.stdout)?)
}

fn texts(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

#[tokio::test]
async fn langfuse_is_shown_with_its_signals_settings_and_hosts() -> anyhow::Result<()> {
    let shown = inspect("langfuse").await?;
    assert_eq!(shown["name"], "langfuse");
    assert_eq!(
        texts(&shown["signals"]),
        ["traces", "logs", "scores", "feedback"]
    );
    assert!(
        shown["version"]
            .as_str()
            .is_some_and(|version| version.split('.').count() == 3),
        "{shown}"
    );
    assert!(
        shown["contract"]
            .as_str()
            .is_some_and(|contract| contract.contains("0.1.0")),
        "{shown}"
    );
    assert!(
        texts(&shown["imports"])
            .iter()
            .any(|import| import.contains("mastra:observability/http")),
        "{shown}"
    );
    assert!(!texts(&shown["hosts"]).is_empty(), "{shown}");
    let settings = shown["settings"].to_string();
    for variable in [
        "LANGFUSE_PUBLIC_KEY",
        "LANGFUSE_SECRET_KEY",
        "LANGFUSE_BASE_URL",
    ] {
        assert!(settings.contains(variable), "{variable}: {settings}");
    }
    Ok(())
}

#[tokio::test]
async fn json_takes_all_five_signals_and_speaks_to_nobody() -> anyhow::Result<()> {
    let shown = inspect("json").await?;
    assert_eq!(
        texts(&shown["signals"]),
        ["traces", "logs", "metrics", "scores", "feedback"]
    );
    assert!(texts(&shown["hosts"]).is_empty(), "{shown}");
    assert!(
        texts(&shown["imports"])
            .iter()
            .any(|import| import.contains("mastra:observability/output")),
        "{shown}"
    );
    Ok(())
}

#[tokio::test]
async fn people_see_the_same_in_words() -> anyhow::Result<()> {
    let finished = HostCommand::new("inspect")?
        .arg(components::exporter("langfuse")?)
        .finish()
        .await?;
    finished.expect_code(0)?;
    for word in ["langfuse", "traces", "LANGFUSE_SECRET_KEY", "0.1.0"] {
        assert!(
            finished.stdout.contains(word),
            "{word} is missing:\n{}",
            finished.stdout
        );
    }
    assert!(
        !finished.stdout.contains('\u{1b}'),
        "no colour where there is no terminal"
    );
    Ok(())
}

#[tokio::test]
async fn a_file_that_is_no_component_is_refused_by_name() -> anyhow::Result<()> {
    let finished = HostCommand::new("inspect")?
        .arg(paths::repository().join("Cargo.toml"))
        .finish()
        .await?;
    finished.expect_code(1)?;
    assert!(
        finished.stderr.contains("Cargo.toml"),
        "{}",
        finished.stderr
    );
    Ok(())
}

/// What `inspect` says of these bytes as a component.
async fn refusal(bytes: &[u8]) -> anyhow::Result<String> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("mine.wasm");
    std::fs::write(&path, bytes)?;
    let finished = HostCommand::new("inspect")?
        .arg(&path)
        .args(["--output", "json"])
        .finish()
        .await?;
    finished.expect_code(1)?;
    let said: Value = serde_json::from_str(&finished.stdout)?;
    let error = said.get("error").and_then(Value::as_str);
    let error = error.unwrap_or_default().to_owned();
    anyhow::ensure!(error.contains("mine.wasm"), "{error}");
    Ok(error)
}

#[tokio::test]
async fn a_file_that_cannot_load_says_what_it_is_and_what_to_do() -> anyhow::Result<()> {
    let core_module = b"\0asm\x01\0\0\0";
    let empty_component = b"\0asm\x0d\0\x01\0";
    for (bytes, parts) in [
        (
            &core_module[..],
            ["a core WebAssembly module", "wasm32-wasip2"],
        ),
        (
            empty_component,
            [
                "`mastra:observability/lifecycle@0.1.0`",
                "it exports nothing",
            ],
        ),
        (
            b"#!/bin/sh\n",
            ["not a WebAssembly component", "`.wasm` file"],
        ),
    ] {
        let error = refusal(bytes).await?;
        for part in parts {
            assert!(error.contains(part), "{part}: {error}");
        }
    }
    Ok(())
}
