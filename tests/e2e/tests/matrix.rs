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
async fn the_matrix_as_markdown_is_the_one_of_the_documents() -> anyhow::Result<()> {
    let shipped = shipped()?;
    let names: Vec<&str> = shipped.iter().map(String::as_str).collect();
    let table = matrix(&names, "markdown").await?.stdout;
    for file in ["README.md", "docs/exporters.md"] {
        let page = std::fs::read_to_string(kit::paths::repository().join(file))?;
        assert!(
            page.contains(table.trim()),
            "{file} does not have:\n{table}"
        );
    }
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

#[test]
fn every_exporter_has_its_limits_on_the_page() -> anyhow::Result<()> {
    let page = std::fs::read_to_string(kit::paths::repository().join("docs/exporters.md"))?;
    let (_, limits) = page
        .split_once("## Limits worth knowing")
        .context("no limits")?;
    for name in shipped()? {
        // Lines of JSON have no destination that could limit them.
        let is_there = name == "json" || limits.contains(&format!("| {name} |"));
        assert!(is_there, "docs/exporters.md says nothing of {name}");
    }
    Ok(())
}
