//! An approval means exactly what it says: it is bound to the bytes that were approved, it lives where nobody else can write,
//! and it is needed for everything that the operator did not name. The promised commands work wherever they are typed.

#![allow(
    clippy::indexing_slicing,
    reason = "`Value[key]` answers null for what is not there"
)]

use std::path::Path;

use e2e::{
    Config, accounts, foreign_component as foreign, replace_file as replace, run, send_runs as send,
};
use kit::accounts::Account;
use kit::backend::langfuse::{Langfuse, SPAN};
use kit::backend::{Backend, Behaviour, RecordEverything, Which};
use kit::client::Outgoing;
use kit::components;
use kit::fixtures::{ndjson, span};
use kit::host::HostCommand;
use serde_json::Value;

fn one_event() -> String {
    ndjson(&[span(1, 1, None, "agent_run")])
}

/// The same program with other bytes.
fn foreign_changed(dir: &Path) -> anyhow::Result<Vec<u8>> {
    let changed = dir.join("changed");
    components::ballast(
        &components::package("sequencer-guest", "sequencer")?,
        0,
        &changed,
    )?;
    Ok(std::fs::read(changed)?)
}

/// The state directory that several commands of a test share.
fn with_home(command: HostCommand, home: &Path) -> HostCommand {
    command.env("HOME", &home.display().to_string())
}

fn plugin(words: &[&str], home: &Path) -> anyhow::Result<HostCommand> {
    let command = with_home(HostCommand::new("plugin")?, home);
    Ok(words
        .iter()
        .fold(command, |command, word| command.arg(*word)))
}

async fn rows(plugins: &Path, home: &Path) -> anyhow::Result<Vec<Value>> {
    let listed = plugin(&["ls", "--output", "json", "--plugins-dir"], home)?
        .arg(plugins)
        .finish()
        .await?;
    listed.expect_code(0)?;
    let listed: Value = serde_json::from_str(&listed.stdout)?;
    Ok(listed["plugins"].as_array().cloned().unwrap_or_default())
}

#[tokio::test]
async fn the_promised_command_delivers_by_each_of_its_names_with_and_without_the_file()
-> anyhow::Result<()> {
    let component = components::exporter("langfuse")?;
    let backend = Backend::start(Langfuse::default()).await?;
    let fake = Langfuse::default();
    let mut wanted = 0;
    for place in ["", "here", "plugins"] {
        for named in [
            "langfuse.wasm",
            "langfuse",
            "plugins/langfuse.wasm",
            "./langfuse.wasm",
        ] {
            let command = HostCommand::new("run")?;
            let target = match place {
                "here" => Some(command.dir().join("langfuse.wasm")),
                "plugins" => {
                    std::fs::create_dir(command.dir().join("plugins"))?;
                    Some(command.dir().join("plugins/langfuse.wasm"))
                }
                _ => None,
            };
            if let Some(target) = target {
                std::fs::copy(&component, target)?;
            }
            let mut event = span(wanted + 1, wanted + 1, None, "agent_run");
            event["exportedSpan"]["name"] = named.into();
            let finished = command
                .args(["--plugin", named, "--input", "-"])
                .env("LANGFUSE_PUBLIC_KEY", &fake.public_key)
                .env("LANGFUSE_SECRET_KEY", &fake.secret_key)
                .env("LANGFUSE_BASE_URL", &backend.url())
                .stdin(ndjson(&[event]))
                .finish()
                .await?;
            let said = format!("{named} with the file in `{place}`:\n{}", finished.stderr);
            assert_eq!(finished.code()?, 0, "{said}");
            wanted += 1;
            assert_eq!(backend.stored(SPAN).len() as u64, wanted, "{said}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_name_that_is_nothing_says_where_the_host_looked_and_what_was_meant() -> anyhow::Result<()>
{
    for (named, wanted) in [
        ("langfus", "did you mean `langfuse`?"),
        (
            "langfus.wasm",
            "no file langfus.wasm, and no plugins/langfus.wasm; did you mean `langfuse`?",
        ),
        ("/nowhere/x.wasm", "no file /nowhere/x.wasm"),
    ] {
        for command in ["run", "inspect", "test"] {
            let option = if command == "run" {
                "--plugin"
            } else {
                "--plugins-dir=plugins"
            };
            let finished = HostCommand::new(command)?
                .args([option, named])
                .finish()
                .await?;
            assert!(finished.code()? > 0);
            assert!(
                finished.stderr.contains(wanted),
                "{command}: {}",
                finished.stderr
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_file_that_only_the_directory_has_runs_once_it_is_approved() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let plugins = home.path().join("plugins");
    std::fs::create_dir(&plugins)?;
    std::fs::write(plugins.join("sequencer.wasm"), foreign()?)?;
    let backend = Backend::start(RecordEverything).await?;
    let run = |named: &str| -> anyhow::Result<HostCommand> {
        Ok(with_home(HostCommand::new("run")?, home.path())
            .args(["--input", "-", "--plugin", named, "--plugins-dir"])
            .arg(&plugins)
            .env("SEQUENCER_ENDPOINT", &backend.url())
            .stdin(one_event()))
    };
    let refused = run("sequencer.wasm")?.finish().await?;
    refused.expect_code(2)?;
    let command = format!(
        "mastra-host plugin approve {}",
        plugins.join("sequencer.wasm").display()
    );
    assert!(refused.stderr.contains(&command), "{}", refused.stderr);
    let refused = run("sequencer")?.finish().await?;
    refused.expect_code(2)?;
    assert!(
        refused
            .stderr
            .contains("no component named sequencer is approved"),
        "{}",
        refused.stderr
    );
    assert_eq!(backend.requests().len(), 0);

    let approved = plugin(&["approve", "sequencer", "--plugins-dir"], home.path())?
        .arg(&plugins)
        .finish()
        .await?;
    approved.expect_code(0)?;
    assert!(
        approved.stdout.contains("read    SEQUENCER_ENDPOINT"),
        "{}",
        approved.stdout
    );
    for (count, named) in ["sequencer.wasm", "sequencer"].into_iter().enumerate() {
        run(named)?.finish().await?.expect_code(0)?;
        assert_eq!(backend.requests().len(), count + 1);
    }
    Ok(())
}

#[tokio::test]
async fn a_changed_file_waits_while_the_approved_bytes_run_on_also_after_a_restart_and_lose_nothing()
-> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let (home, data) = (dir.path().join("home"), dir.path().join("data"));
    let plugins = dir.path().join("plugins");
    std::fs::create_dir(&plugins)?;
    let file = plugins.join("sequencer.wasm");
    std::fs::write(&file, foreign()?)?;
    let backend = Backend::start(RecordEverything).await?;
    backend.on(Which::all(), Behaviour::status(503));
    let start = async || {
        with_home(HostCommand::new("run")?, &home)
            .env("SEQUENCER_ENDPOINT", &backend.url())
            .args(["--output", "json", "--plugins-dir"])
            .arg(&plugins)
            .arg("--data-dir")
            .arg(&data)
            .start()
            .await
    };
    let approve = async || {
        let approved = plugin(&["approve", "--data-dir"], &home)?
            .arg(&data)
            .arg(&file);
        approved.finish().await?.expect_code(0)
    };
    approve().await?;
    let host = start().await?;
    send(&host, 0..5).await?;
    host.terminate().await?.expect_code(3)?;

    replace(&file, foreign_changed(dir.path())?)?;
    let listed = rows(&plugins, &home).await?;
    assert_eq!(listed[0]["active"], false, "{listed:?}");
    assert!(
        listed[0]["state"]
            .as_str()
            .is_some_and(|state| state.starts_with("needs approval"))
    );
    let host = start().await?;
    send(&host, 5..10).await?;
    backend.heal();
    let all_there = |count: usize| {
        move |requests: &[kit::backend::Recorded]| {
            let taken = requests
                .iter()
                .filter(|recorded| recorded.status == Some(200));
            let texts = taken.map(|recorded| recorded.request.text().lines().count());
            texts.sum::<usize>() >= count
        }
    };
    backend.wait_until(all_there(10)).await?;

    approve().await?;
    host.wait_for_log("replaced=[\"sequencer\"]").await?;
    send(&host, 10..15).await?;
    backend.wait_until(all_there(15)).await?;
    let finished = host.terminate().await?;
    finished.expect_code(0)?;
    assert_eq!(
        accounts(&finished)?.of("sequencer", "traces")?,
        Account::delivered(15)
    );
    Ok(())
}

#[tokio::test]
async fn a_file_that_the_config_names_is_approved_as_it_first_runs() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let file = home.path().join("names.wasm");
    std::fs::write(&file, foreign()?)?;
    let backend = Backend::start(RecordEverything).await?;
    let settings = format!("endpoint: \"{}\"", backend.url());
    let config = Config::new().exporter("names", &file, &settings);
    let deliver = async || {
        let command = with_home(run(&config)?, home.path()).args(["--input", "-"]);
        let finished = command.stdin(one_event()).finish().await?;
        finished.expect_code(0)?;
        anyhow::Ok(finished.stderr)
    };
    assert!(deliver().await?.contains("names 0.1.0 (sha256:"));
    replace(&file, foreign_changed(home.path())?)?;
    let said = deliver().await?;
    assert!(said.contains("the approved bytes run on"), "{said}");
    assert_eq!(backend.requests().len(), 2);
    replace(&file, "not a component")?;
    let said = deliver().await?;
    assert!(said.contains("Component does not run"), "{said}");
    assert_eq!(backend.requests().len(), 3);
    Ok(())
}

#[tokio::test]
async fn an_approval_can_be_declared_in_the_config() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let file = home.path().join("sequencer.wasm");
    std::fs::write(&file, foreign()?)?;
    let printed = plugin(&["approve", "--print-config"], home.path())?
        .arg(&file)
        .finish()
        .await?;
    printed.expect_code(0)?;
    let backend = Backend::start(RecordEverything).await?;
    let run = |config: &str| -> anyhow::Result<HostCommand> {
        let command = HostCommand::new("run")?.config(config)?;
        let command = command.env("SEQUENCER_ENDPOINT", &backend.url());
        Ok(command.args(["--input", "-"]).stdin(one_event()))
    };
    run(&printed.stdout)?.finish().await?.expect_code(0)?;
    assert_eq!(backend.requests().len(), 1);

    replace(&file, foreign_changed(home.path())?)?;
    let waits = run(&printed.stdout)?.finish().await?;
    waits.expect_code(3)?;
    assert!(
        waits.stderr.contains("and the config wants sha256:"),
        "{}",
        waits.stderr
    );
    assert_eq!(backend.requests().len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_configured_exporter_that_waits_keeps_its_place_and_gets_what_came_meanwhile()
-> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("sequencer.wasm");
    std::fs::write(&file, foreign()?)?;
    let printed = plugin(&["approve", "--print-config"], dir.path())?.arg(&file);
    let printed = printed.finish().await?;
    printed.expect_code(0)?;
    // The file that the config's digest means is not there yet.
    replace(&file, foreign_changed(dir.path())?)?;
    let backend = Backend::start(RecordEverything).await?;
    let host = HostCommand::new("run")?
        .config(&printed.stdout)?
        .env("SEQUENCER_ENDPOINT", &backend.url())
        .args(["--output", "json"])
        .on_free_ports()
        .start_bare()
        .await?;
    send(&host, 0..5).await?;
    let page = host.send(Outgoing::get("/readyz?verbose")).await?;
    let state = page.json()?["exporters"]["sequencer"].clone();
    let is_waiting = state
        .as_str()
        .is_some_and(|state| state.contains("the config wants sha256:"));
    assert!(is_waiting, "{state}");
    replace(&file, foreign()?)?;
    host.wait_for_log("added=[\"sequencer\"]").await?;
    send(&host, 5..6).await?;
    let finished = host.terminate().await?;
    finished.expect_code(0)?;
    assert_eq!(
        accounts(&finished)?.of("sequencer", "traces")?,
        Account::delivered(6)
    );
    Ok(())
}

#[tokio::test]
async fn no_file_beside_the_components_and_no_folder_grants_anything() -> anyhow::Result<()> {
    let command = HostCommand::new("run")?;
    let plugins = command.dir().join("plugins");
    std::fs::create_dir(&plugins)?;
    std::fs::write(plugins.join("sequencer.wasm"), foreign()?)?;
    // What the folder's author approved for himself comes along.
    let author = tempfile::tempdir()?;
    let approved = plugin(&["approve"], author.path())?.arg(plugins.join("sequencer.wasm"));
    approved.finish().await?.expect_code(0)?;
    let approvals = author
        .path()
        .join(".local/state/mastra-host/approvals.json");
    for name in ["approvals.json", "mastra-host.lock"] {
        std::fs::copy(&approvals, plugins.join(name))?;
    }
    std::fs::create_dir_all(command.dir().join("state"))?;
    std::fs::copy(&approvals, command.dir().join("state/approvals.json"))?;
    let finished = command.finish().await?;
    finished.expect_code(2)?;
    assert!(
        finished.stderr.contains("sequencer.wasm: needs approval"),
        "{}",
        finished.stderr
    );
    Ok(())
}

#[tokio::test]
async fn a_dropped_file_is_said_once_with_the_command_that_lets_it_run() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let plugins = dir.path().join("plugins");
    std::fs::create_dir(&plugins)?;
    let host = run(&Config::new().json("json", &dir.path().join("out"))?)?
        .arg("--plugins-dir")
        .arg(&plugins)
        .start()
        .await?;
    let file = plugins.join("sequencer.wasm");
    replace(&file, foreign()?)?;
    let line = host.wait_for_log("needs approval").await?;
    assert!(line.contains("WARN"), "{line}");
    assert!(
        line.contains("signals=\"traces\"") && line.contains("imports=\"http\""),
        "{line}"
    );
    let command = format!("command=\"mastra-host plugin approve {}\"", file.display());
    assert!(line.contains(&command), "{line}");
    replace(&plugins.join("other.wasm"), "not a component")?;
    host.wait_for_log("other.wasm").await?;
    let finished = host.terminate().await?;
    finished.expect_code(0)?;
    let said = finished
        .stderr
        .matches("mastra-host plugin approve")
        .count();
    assert_eq!(said, 1, "{}", finished.stderr);
    Ok(())
}

#[tokio::test]
async fn discovery_of_all_runs_what_is_dropped_in_with_its_own_variables_and_says_so()
-> anyhow::Result<()> {
    let backend = Backend::start(RecordEverything).await?;
    let command = HostCommand::new("run")?.config("plugins: {discovery: all}")?;
    let plugins = command.dir().join("plugins");
    std::fs::create_dir(&plugins)?;
    std::fs::write(plugins.join("sequencer.wasm"), foreign()?)?;
    let host = command
        .env("SEQUENCER_ENDPOINT", &backend.url())
        .start()
        .await?;
    send(&host, 0..1).await?;
    backend.wait_until(|requests| requests.len() == 1).await?;
    let finished = host.terminate().await?;
    finished.expect_code(0)?;
    assert!(
        finished
            .stderr
            .contains("runs without approval (plugins.discovery: all)"),
        "{}",
        finished.stderr
    );
    Ok(())
}

#[tokio::test]
async fn approve_and_revoke_reach_a_running_host_by_name_file_and_digest() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let (plugins, data) = (dir.path().join("plugins"), dir.path().join("data"));
    std::fs::create_dir(&plugins)?;
    std::fs::write(plugins.join("sequencer.wasm"), foreign()?)?;
    let backend = Backend::start(RecordEverything).await?;
    let host = run(&Config::new().json("json", &dir.path().join("out"))?)?
        .env("SEQUENCER_ENDPOINT", &backend.url())
        .arg("--plugins-dir")
        .arg(&plugins)
        .arg("--data-dir")
        .arg(&data)
        .start()
        .await?;
    let digest = {
        let inspected = HostCommand::new("inspect")?.args(["--output", "json"]);
        let inspected = inspected
            .arg(plugins.join("sequencer.wasm"))
            .finish()
            .await?;
        let facts: Value = serde_json::from_str(&inspected.stdout)?;
        facts["digest"].as_str().unwrap_or_default().to_owned()
    };
    // The home of these commands is not the host's: the host records the approval in its own.
    let elsewhere = tempfile::tempdir()?;
    let file = plugins.join("sequencer.wasm").display().to_string();
    for (round, meant) in ["sequencer", &file, &digest].into_iter().enumerate() {
        let approved = plugin(&["approve", meant, "--data-dir"], elsewhere.path())?
            .arg(&data)
            .finish()
            .await?;
        approved.expect_code(0)?;
        assert!(
            approved.stdout.contains("The running host starts it now."),
            "{}",
            approved.stdout
        );
        let log = "added=[\"sequencer\"]";
        while host.stderr().matches(log).count() <= round {
            tokio::task::yield_now().await;
        }
        let revoked = plugin(&["revoke", meant, "--data-dir"], elsewhere.path())?
            .arg(&data)
            .finish()
            .await?;
        revoked.expect_code(0)?;
        let log = "removed=[\"sequencer\"]";
        while host.stderr().matches(log).count() <= round {
            tokio::task::yield_now().await;
        }
    }
    assert!(!elsewhere.path().join(".local").exists());
    host.terminate().await?.expect_code(0)?;
    Ok(())
}

#[tokio::test]
async fn variables_that_an_app_needs_in_the_same_shell_do_not_stop_the_host() -> anyhow::Result<()>
{
    let listen = {
        let free = std::net::TcpListener::bind("127.0.0.1:0")?;
        free.local_addr()?
    };
    let command = HostCommand::new("run")?;
    let plugins = command.dir().join("plugins");
    std::fs::create_dir(&plugins)?;
    components::directory(&["cloud", "otel", "json"], &plugins)?;
    let this_host = format!("http://{listen}");
    let host = command
        .env("MASTRA_PLATFORM_OBSERVABILITY_ENDPOINT", &this_host)
        .env("MASTRA_PLATFORM_ACCESS_TOKEN", "anything")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &this_host)
        .args(["--listen", &listen.to_string(), "--listen-grpc", "off"])
        .start_bare()
        .await?;
    host.wait_for_log("Exporter is inactive").await?;
    let states = loop {
        let page = host.send(Outgoing::get("/readyz?verbose")).await?;
        let states = page.json()?["exporters"].clone();
        if !states.to_string().contains("\"preparing\"") {
            break states;
        }
    };
    assert_eq!(
        states["cloud"], "inactive (points at this host)",
        "{states}"
    );
    assert_eq!(states["otel"], "inactive (points at this host)", "{states}");
    assert_eq!(states["json"], "running", "{states}");
    host.terminate().await?.expect_code(0)?;

    let named = HostCommand::new("run")?
        .env("MASTRA_PLATFORM_OBSERVABILITY_ENDPOINT", &this_host)
        .env("MASTRA_PLATFORM_ACCESS_TOKEN", "anything")
        .args([
            "--plugin",
            "cloud",
            "--listen",
            &listen.to_string(),
            "--listen-grpc",
            "off",
        ])
        .finish()
        .await?;
    named.expect_code(2)?;
    assert!(
        named.stderr.contains("exporter cloud cannot start"),
        "{}",
        named.stderr
    );
    Ok(())
}

#[tokio::test]
async fn a_later_build_under_plugin_runs_unless_it_asks_for_more() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("sequencer.wasm");
    std::fs::write(&file, foreign()?)?;
    let backend = Backend::start(RecordEverything).await?;
    let host = HostCommand::new("run")?
        .arg("--plugin")
        .arg(&file)
        .env("SEQUENCER_ENDPOINT", &backend.url())
        .start()
        .await?;
    send(&host, 0..1).await?;
    replace(&file, foreign_changed(dir.path())?)?;
    host.wait_for_log("replaced=[\"sequencer\"]").await?;
    send(&host, 1..2).await?;
    backend.wait_until(|requests| requests.len() == 2).await?;
    replace(&file, std::fs::read(components::exporter("webhook")?)?)?;
    send(&host, 2..3).await?;
    backend.wait_until(|requests| requests.len() == 3).await?;
    host.terminate().await?.expect_code(0)?;
    Ok(())
}
