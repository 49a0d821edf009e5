//! The version promise as users see it: a component that was built against a release runs in every later host, and one
//! for a later contract says what to upgrade. How the files of `tests/components/` were made is in `tests/README.md`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed helper of a test is a failed test"
)]

use std::path::{Path, PathBuf};

use e2e::{Config, accounts, run_with_input};
use kit::accounts::Account;
use kit::backend::{Backend, RecordEverything};
use kit::components;
use kit::fixtures::{ndjson, span};
use kit::host::HostCommand;
use kit::paths;
use serde_json::Value;

/// The kept components.
fn kept() -> Vec<PathBuf> {
    let directory = paths::repository().join("tests/components");
    let files = std::fs::read_dir(directory).unwrap();
    files.map(|file| file.unwrap().path()).collect()
}

/// The component as if it had been built against another contract.
fn for_contract(version: &str, component: &Path, directory: &Path) -> PathBuf {
    let mut bytes = std::fs::read(component).unwrap();
    let (from, to) = (b"mastra:observability/", format!("@{version}"));
    let names: Vec<usize> = (0..bytes.len())
        .filter(|at| bytes[*at..].starts_with(from))
        .collect();
    for name in names {
        let at = name + bytes[name..].iter().position(|byte| *byte == b'@').unwrap();
        if bytes[at..].starts_with(b"@0.1.") {
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        }
    }
    let path = directory.join("edited.wasm");
    std::fs::write(&path, bytes).unwrap();
    path
}

#[tokio::test]
async fn a_component_that_was_built_against_the_contract_still_delivers() -> anyhow::Result<()> {
    let kept = kept();
    assert!(!kept.is_empty());
    for component in kept {
        let home = Backend::start(RecordEverything).await?;
        let directory = tempfile::tempdir()?;
        let lines = directory.path().join("lines.ndjson");
        let name = component.file_stem().unwrap().to_str().unwrap();
        let settings = match name {
            "rover" => format!(
                "endpoint: \"{0}\", places: \"{0}/v1/rover\", secret: \"sk-1\"",
                home.url()
            ),
            "json" => format!("output: \"file:{}\"", lines.display()),
            other => panic!("no settings for {other}"),
        };
        let config = Config::new().exporter(name, &component, &settings);
        let events = ndjson(&[span(1, 1, None, "agent_run")]);
        let finished = run_with_input(&config, events)?.finish().await?;
        finished.expect_code(0)?;
        let account = accounts(&finished)?.of(name, "traces")?;
        assert_eq!(account, Account::delivered(1), "{}", component.display());
        if name == "rover" {
            assert_eq!(home.requests_to("/v1/rover").len(), 1);
        } else {
            let written: Value = serde_json::from_str(&std::fs::read_to_string(&lines)?)?;
            assert_eq!(written, span(1, 1, None, "agent_run"));
        }
    }
    Ok(())
}

#[test]
fn our_components_take_records_in_one_block() -> anyhow::Result<()> {
    let component = std::fs::read(components::exporter("json")?)?;
    let export = b"mastra:observability/batch-memory@0.1.0";
    let mut stretches = component.windows(export.len());
    assert!(stretches.any(|stretch| stretch == export));
    Ok(())
}

#[tokio::test]
async fn a_component_for_another_contract_is_refused_with_what_to_do() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    for (version, wanted) in [
        (
            "0.2.0",
            "upgrade mastra-host, or build the component against contract 0.1.0",
        ),
        ("0.0.9", "build the component against contract 0.1.0"),
    ] {
        let component = for_contract(version, &kept()[0], directory.path());
        let finished = HostCommand::new("inspect")?
            .arg(&component)
            .finish()
            .await?;
        finished.expect_code(1)?;
        for part in [version, "`mastra:observability/", wanted] {
            assert!(
                finished.stderr.contains(part),
                "{part}: {}",
                finished.stderr
            );
        }
    }
    Ok(())
}
