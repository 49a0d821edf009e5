//! `matrix` reads the signal support from the components of a directory.

use anyhow::Context as _;
use kit::components;
use kit::host::{Finished, HostCommand};
use serde_json::{Value, json};

/// The exporters that `make build` builds.
fn shipped() -> anyhow::Result<Vec<String>> {
    let makefile = std::fs::read_to_string(kit::paths::repository().join("Makefile"))?;
    let mut lines = makefile.lines();
    let names = lines
        .find_map(|line| line.strip_prefix("EXPORTERS := "))
        .context("the Makefile names no exporters")?;
    Ok(names.split_whitespace().map(str::to_owned).collect())
}

async fn matrix(names: &[&str], output: &str) -> anyhow::Result<Finished> {
    let plugins = tempfile::tempdir()?;
    components::directory(names, plugins.path())?;
    let command = HostCommand::new("matrix")?
        .arg("--plugins-dir")
        .arg(plugins.path())
        .args(["--output", output]);
    let finished = command.finish().await?;
    finished.expect_code(0)?;
    Ok(finished)
}

#[tokio::test]
async fn the_matrix_as_json_is_exactly_what_the_components_export() -> anyhow::Result<()> {
    let shown: Value = serde_json::from_str(&matrix(&["json", "langfuse"], "json").await?.stdout)?;
    let wanted = json!({"exporters": [
        {"name": "json", "signals": ["traces", "logs", "metrics", "scores", "feedback"]},
        {"name": "langfuse", "signals": ["traces", "logs", "scores", "feedback"]},
    ]});
    assert_eq!(shown, wanted);
    Ok(())
}

#[tokio::test]
async fn the_matrix_as_markdown_is_the_one_of_the_readme() -> anyhow::Result<()> {
    let shipped = shipped()?;
    let names: Vec<&str> = shipped.iter().map(String::as_str).collect();
    let table = matrix(&names, "markdown").await?.stdout;
    let readme = std::fs::read_to_string(kit::paths::repository().join("README.md"))?;
    assert!(
        readme.contains(table.trim()),
        "README.md does not have:\n{table}"
    );
    Ok(())
}

#[tokio::test]
async fn an_empty_directory_is_named_as_a_mistake() -> anyhow::Result<()> {
    let plugins = tempfile::tempdir()?;
    let command = HostCommand::new("matrix")?
        .arg("--plugins-dir")
        .arg(plugins.path())
        .args(["--output", "json"]);
    let finished = command.finish().await?;
    finished.expect_code(2)?;
    assert!(
        finished.stderr.contains("no components in"),
        "{}",
        finished.stderr
    );
    Ok(())
}
