//! Directories that other users can write: the host keeps to folders of its own, and takes no components from them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use e2e::{Config, foreign_component as foreign, run};
use kit::backend::{Backend, RecordEverything};
use kit::fixtures::{ndjson, span};
use kit::host::HostCommand;

#[tokio::test]
async fn a_data_directory_that_others_can_write_gets_folders_of_the_hosts_own() -> anyhow::Result<()>
{
    for mode in [0o777, 0o2775, 0o1777] {
        let dir = tempfile::tempdir()?;
        let data = dir.path().join("data");
        std::fs::create_dir(&data)?;
        std::fs::set_permissions(&data, std::fs::Permissions::from_mode(mode))?;
        let file = dir.path().join("sequencer.wasm");
        std::fs::write(&file, foreign()?)?;
        let backend = Backend::start(RecordEverything).await?;
        let settings = format!("endpoint: \"{}\"", backend.url());
        let host = run(&Config::new().exporter("names", &file, &settings))?
            .env("HOME", "")
            .arg("--data-dir")
            .arg(&data)
            .start()
            .await?;
        let event = ndjson(&[span(1, 1, None, "agent_run")]);
        assert_eq!(host.send_events(event).await?.status, 200);
        backend.wait_until(|requests| requests.len() == 1).await?;
        let folders: Vec<PathBuf> = ["state", "queue", "control"]
            .map(|name| data.join(name))
            .into();
        for folder in folders {
            let found = std::fs::metadata(&folder)?.permissions().mode() & 0o777;
            assert_eq!(found, 0o700, "{mode:o}: {}", folder.display());
        }
        assert!(data.join("state/approvals.json").is_file());
        host.terminate().await?.expect_code(0)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_plugins_directory_that_others_can_write_is_not_used() -> anyhow::Result<()> {
    let command = HostCommand::new("run")?;
    let plugins = command.dir().join("plugins");
    std::fs::create_dir(&plugins)?;
    std::fs::write(plugins.join("sequencer.wasm"), foreign()?)?;
    std::fs::set_permissions(&plugins, std::fs::Permissions::from_mode(0o777))?;
    let finished = command.finish().await?;
    finished.expect_code(2)?;
    assert!(
        finished
            .stderr
            .contains("the plugins directory is not used")
            && finished.stderr.contains("chmod go-w"),
        "{}",
        finished.stderr
    );
    Ok(())
}
