//! A running host writes below its own folders and those of its outputs, and nowhere else, whatever it is made to do.
//! Where the kernel cannot keep it to that, the start says so.

use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::Context as _;
use e2e::{Config, lines, ready_page, run};
use kit::fixtures::{ndjson, span};
use kit::host::{DEADLINE, HostCommand, RunningHost};

/// What the start says on a kernel without Landlock.
const UNSUPPORTED: &str = "the kernel does not support Landlock";

async fn send(host: &RunningHost, number: u64) -> anyhow::Result<()> {
    let event = span(number, number, None, "agent_run");
    assert_eq!(host.send_events(ndjson(&[event])).await?.status, 200);
    Ok(())
}

/// Waits until the file has so many lines.
async fn written(file: &Path, wanted: usize) -> anyhow::Result<()> {
    let looked = tokio::time::timeout(DEADLINE, async {
        while lines(file)?.len() < wanted {
            tokio::task::yield_now().await;
        }
        anyhow::Ok(())
    });
    looked
        .await
        .with_context(|| format!("{} lacks lines", file.display()))?
}

/// Makes the link point there, in one step.
fn point(link: &Path, to: &Path) -> anyhow::Result<()> {
    let new = link.with_extension("new");
    symlink(to, &new)?;
    Ok(std::fs::rename(new, link)?)
}

#[tokio::test]
async fn a_host_writes_only_where_it_was_told_at_the_start() -> anyhow::Result<()> {
    let folders = tempfile::tempdir()?;
    let [good, bad, link] = ["good", "bad", "link"].map(|name| folders.path().join(name));
    std::fs::create_dir(&good)?;
    std::fs::create_dir(&bad)?;
    point(&link, &good)?;
    let host = run(&Config::new().json("json", &link.join("lines"))?)?
        .start()
        .await?;
    send(&host, 1).await?;
    written(&good.join("lines"), 1).await?;
    if host.stderr().contains(UNSUPPORTED) {
        return Ok(());
    }
    // Somebody who may write beside the output turns it elsewhere.
    point(&link, &bad)?;
    send(&host, 2).await?;
    ready_page(&host, |_, page| {
        page.to_string().contains("Permission denied")
    })
    .await?;
    point(&link, &good)?;
    written(&good.join("lines"), 2).await?;
    assert_eq!(std::fs::read_dir(&bad)?.count(), 0, "nothing came through");
    host.terminate().await?.expect_code(0)
}

#[tokio::test]
async fn a_rotated_output_is_made_anew() -> anyhow::Result<()> {
    let folders = tempfile::tempdir()?;
    let (file, rotated) = (folders.path().join("lines"), folders.path().join("lines.1"));
    let host = HostCommand::new("run")?
        .plugin("json")?
        .env("JSON_OUTPUT", &format!("file:{}", file.display()))
        .start()
        .await?;
    send(&host, 1).await?;
    written(&file, 1).await?;
    std::fs::rename(&file, &rotated)?;
    send(&host, 2).await?;
    written(&file, 1).await?;
    assert_eq!(lines(&rotated)?.len(), 1);
    host.terminate().await?.expect_code(0)
}

#[tokio::test]
async fn an_output_directory_is_made_and_filled() -> anyhow::Result<()> {
    let folders = tempfile::tempdir()?;
    let directory = folders.path().join("new/deep");
    let host = HostCommand::new("run")?
        .plugin("json")?
        .env("JSON_OUTPUT", &format!("dir:{}", directory.display()))
        .start()
        .await?;
    send(&host, 1).await?;
    written(&directory.join("traces.ndjson"), 1).await?;
    host.terminate().await?.expect_code(0)
}

#[tokio::test]
async fn a_reload_that_needs_another_folder_needs_a_restart() -> anyhow::Result<()> {
    let (here, there) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let [first, second, third] = [
        here.path().join("first"),
        here.path().join("second"),
        there.path().join("third"),
    ];
    let command = run(&Config::new().json("json", &first)?)?;
    let config = command.dir().join("config.yaml");
    let replace = |yaml: String| -> anyhow::Result<()> {
        let new = config.with_extension("new");
        std::fs::write(&new, yaml)?;
        Ok(std::fs::rename(new, &config)?)
    };
    let host = command.start().await?;
    if host.stderr().contains(UNSUPPORTED) {
        return Ok(());
    }
    replace(Config::new().json("json", &third)?.yaml())?;
    let said = |page: &serde_json::Value| page["reload"].to_string();
    let (_, page) = ready_page(&host, |_, page| said(page).contains("restart")).await?;
    assert!(said(&page).contains("restart to apply"), "{page}");
    assert!(said(&page).contains(&third.display().to_string()), "{page}");
    send(&host, 1).await?;
    written(&first, 1).await?;
    // A folder that it may write to needs none.
    replace(Config::new().json("json", &second)?.yaml())?;
    ready_page(&host, |_, page| !said(page).contains("restart")).await?;
    send(&host, 2).await?;
    written(&second, 1).await?;
    assert!(!third.exists());
    host.terminate().await?.expect_code(0)
}

#[tokio::test]
async fn the_start_says_what_could_not_be_applied() -> anyhow::Result<()> {
    let folders = tempfile::tempdir()?;
    let config = Config::new().json("json", &folders.path().join("lines"))?;
    let host = HostCommand::new("run")?
        .args(["--config", "/dev/stdin"])
        .stdin(config.yaml())
        .start()
        .await?;
    host.wait_for_log("the config is no regular file").await?;
    send(&host, 1).await?;
    written(&folders.path().join("lines"), 1).await?;
    host.terminate().await?.expect_code(0)
}

#[tokio::test]
async fn the_process_leaves_no_core_dump() -> anyhow::Result<()> {
    let host = HostCommand::new("run")?.plugin("default")?.start().await?;
    let id = host.id().context("it has ended")?;
    let limits = format!("/proc/{id}/limits");
    if Path::new(&limits).exists() {
        let limits = std::fs::read_to_string(limits)?;
        let core = limits.lines().find(|line| line.starts_with("Max core"));
        let numbers: Vec<&str> = core.unwrap_or_default().split_whitespace().collect();
        assert_eq!(numbers.get(4..6), Some(&["0", "0"][..]), "{core:?}");
    }
    host.terminate().await?.expect_code(0)
}
