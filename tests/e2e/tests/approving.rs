//! What a person sees who approves a component: a question on a terminal, warnings about variables of others, and what a
//! foreign component with a familiar name does not get.

use std::path::{Path, PathBuf};

use kit::backend::{Backend, RecordEverything};
use kit::components;
use kit::fixtures::{ndjson, span};
use kit::host::{HostCommand, binary};

/// Another program that calls itself `langfuse`.
fn impostor(dir: &Path) -> anyhow::Result<PathBuf> {
    let file = dir.join("langfuse.wasm");
    components::ballast(&components::exporter("langfuse")?, 0, &file)?;
    Ok(file)
}

#[tokio::test]
async fn a_file_of_the_plugins_directory_is_approved_by_an_answer_on_a_terminal()
-> anyhow::Result<()> {
    let backend = Backend::start(RecordEverything).await?;
    for (answer, requests) in [("n\n", 0), ("y\n", 1)] {
        let host = binary()?;
        let host = host.display();
        let line = format!("{host} run --plugin sequencer.wasm --input events.ndjson");
        let command = HostCommand::of(Path::new("/usr/bin/script"), "-qec")?;
        let plugins = command.dir().join("plugins");
        std::fs::create_dir(&plugins)?;
        let component = components::package("sequencer-guest", "sequencer")?;
        std::fs::copy(component, plugins.join("sequencer.wasm"))?;
        let event = ndjson(&[span(1, 1, None, "agent_run")]);
        std::fs::write(command.dir().join("events.ndjson"), event)?;
        let finished = command
            .arg(line)
            .arg("/dev/null")
            .env("TERM", "xterm")
            .env("SEQUENCER_ENDPOINT", &backend.url())
            .stdin(answer)
            .finish()
            .await?;
        let said = &finished.stdout;
        assert!(said.contains("is not approved"), "{said}");
        assert!(said.contains("the host in setting endpoint"), "{said}");
        assert!(said.contains("Approve it? [y/N]"), "{said}");
        assert_eq!(backend.requests().len(), requests, "{said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_foreign_component_of_a_familiar_name_reads_nothing_without_approval_by_name()
-> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let file = impostor(dir.path())?;
    let refused = HostCommand::new("run")?
        .env("LANGFUSE_PUBLIC_KEY", "pk")
        .env("LANGFUSE_SECRET_KEY", "sk")
        .args(["--input", "/dev/null", "--plugin"])
        .arg(&file)
        .finish()
        .await?;
    refused.expect_code(2)?;
    assert!(
        refused.stderr.contains("this component may not read it"),
        "{}",
        refused.stderr
    );
    let approved = HostCommand::new("plugin")?
        .args(["approve", "--env", "LANGFUSE_SECRET_KEY"])
        .arg(&file)
        .finish()
        .await?;
    approved.expect_code(0)?;
    let said = &approved.stdout;
    assert!(
        said.contains("warning: LANGFUSE_SECRET_KEY: it is named like a credential"),
        "{said}"
    );
    assert!(said.contains("not read LANGFUSE_"), "{said}");
    Ok(())
}
