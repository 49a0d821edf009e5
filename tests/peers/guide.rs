//! The commands of `docs/authors.md`, run one after the other as a reader would.

#![allow(
    clippy::unwrap_used,
    reason = "a failed helper of a test is a failed test"
)]

use std::process::Stdio;

use anyhow::{Context as _, ensure};
use kit::backend::{Backend, RecordEverything};
use kit::{host, paths};
use peers::authored;

/// Where the page's backend listens.
const BACKEND: &str = "http://127.0.0.1:8080";

/// The text of all blocks of shell commands, in order.
fn commands(page: &str) -> String {
    let blocks = page.split("```sh\n").skip(1);
    let texts = blocks.map(|block| block.split("```").next().unwrap());
    texts.collect()
}

#[tokio::test]
async fn every_command_of_the_authors_guide_works() -> anyhow::Result<()> {
    let page = std::fs::read_to_string(paths::repository().join("docs/authors.md"))?;
    let script = commands(&page);
    ensure!(script.contains(BACKEND), "the page sends nothing anywhere");
    let backend = Backend::start(RecordEverything).await?;
    let script = script.replace(BACKEND, &backend.url());
    let folder = tempfile::tempdir()?;
    let host = host::binary()?;
    let programs = host.parent().context("the host has no folder")?;
    let script = format!("PATH='{}':$PATH\n{script}", programs.display());
    let mut command = tokio::process::Command::new("bash");
    command
        .args(["-c", &authored::with_toolchains(&script)?])
        .current_dir(folder.path())
        .stdin(Stdio::null());
    let output = command.output().await?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said.contains("mastra:observability@0.1.0"), "{said}");
    let requests = backend.requests();
    assert_eq!(requests.len(), 1, "{said}");
    assert!(
        requests
            .iter()
            .all(|one| one.request.text().contains("it works"))
    );
    Ok(())
}
