//! Changed files take effect while events flow: nothing is lost, nothing comes twice, nothing gets more than it was granted,
//! and what is broken leaves the last good version running.

#![allow(
    clippy::indexing_slicing,
    reason = "`Value[key]` answers null for what is not there"
)]

use std::path::{Path, PathBuf};

use e2e::{Config, accounts, lines, replace_file as replace, run, send_runs as send};
use kit::accounts::Account;
use kit::backend::{Backend, Behaviour, Gate, RecordEverything, Which};
use kit::client::Outgoing;
use kit::components;
use kit::host::{DEADLINE, HostCommand, RunningHost, Signal};
use serde_json::Value;

/// A host with a config that can be changed, and where it is.
fn host(config: &Config) -> anyhow::Result<(HostCommand, PathBuf)> {
    let command = run(config)?;
    let file = command.dir().join("config.yaml");
    Ok((command, file))
}

/// What `/readyz?verbose` says is not in effect, once it says something, or nothing.
async fn troubles(host: &RunningHost, wanted: bool) -> anyhow::Result<Value> {
    let asked = tokio::time::timeout(DEADLINE, async {
        loop {
            let page = host.send(Outgoing::get("/readyz?verbose")).await?;
            let troubles = page.json()?["reload"].clone();
            if troubles
                .as_array()
                .is_some_and(|all| all.is_empty() != wanted)
            {
                assert_eq!(page.status, 200, "what runs is fine: {troubles}");
                return anyhow::Ok(troubles);
            }
            tokio::task::yield_now().await;
        }
    });
    asked.await?
}

/// What a host says that it does with a component: its state, and what of the files is not in effect.
async fn listed(data: &Path, name: &str) -> anyhow::Result<(Value, Value)> {
    let finished = HostCommand::new("plugin")?
        .args(["ls", "--output", "json", "--data-dir"])
        .arg(data)
        .finish()
        .await?;
    finished.expect_code(0)?;
    let listed: Value = serde_json::from_str(&finished.stdout)?;
    assert_eq!(listed["running"], true, "{listed}");
    let plugins = listed["plugins"].as_array().cloned().unwrap_or_default();
    let stem = |plugin: &Value| {
        let file = Path::new(plugin["file"].as_str().unwrap_or_default());
        file.file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
    };
    // A file that nobody approved has not said its name. What runs comes before what waits.
    let meant = |plugin: &&Value| plugin["name"] == name || stem(plugin).as_deref() == Some(name);
    let plugin = plugins
        .iter()
        .filter(meant)
        .max_by_key(|plugin| plugin["active"].as_bool())
        .cloned();
    let state = plugin.unwrap_or_default()["state"].clone();
    Ok((state, listed["not_in_effect"].clone()))
}

#[tokio::test]
async fn an_exporter_is_added_changed_and_removed_while_events_flow() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    let only_a = Config::new().json("json/a", &a)?;
    let both = only_a.clone().json("json/b", &b)?;
    let changed = both.clone().with("shape: {log_levels: {drop: [debug]}}");
    let (command, file) = host(&only_a)?;
    let host = command.start().await?;
    let mut sent = 0;
    for (config, effect) in [
        (&both, "added=[\"json/b\"] replaced=[] removed=[]"),
        (&changed, "added=[] replaced=[\"json/b\"] removed=[]"),
        (&only_a, "added=[] replaced=[] removed=[\"json/b\"]"),
    ] {
        replace(&file, config.yaml())?;
        while !host.stderr().contains(effect) {
            send(&host, sent..sent + 1).await?;
            sent += 1;
            assert!(sent < 20_000, "{}", host.stderr());
        }
        send(&host, sent..sent + 20).await?;
        sent += 20;
    }
    let finished = host.terminate().await?;
    // The last events of `b` came after it was removed, and wait for it.
    finished.expect_code(3)?;
    let accounts = accounts(&finished)?;
    assert_eq!(accounts.of("json/a", "traces")?, Account::delivered(sent));
    assert_eq!(lines(&a)?.len() as u64, sent, "each once");
    let of_b = accounts.of("json/b", "traces")?;
    assert!(
        of_b.delivered >= 40 && of_b.received < sent,
        "from the head on: {of_b:?}"
    );
    assert!(of_b.queued >= 20, "{of_b:?}");
    let lines_of_b = lines(&b)?;
    assert_eq!(lines_of_b.len() as u64, of_b.delivered, "each once");
    Ok(())
}

#[tokio::test]
async fn a_new_exporter_begins_with_what_is_still_kept_where_the_operator_wants_that()
-> anyhow::Result<()> {
    let down = Backend::start(RecordEverything).await?;
    down.on(Which::all(), Behaviour::status(503));
    let kept = Config::new().langfuse("langfuse", &down.url())?;
    let (command, file) = host(&kept)?;
    // Other folders would need a restart.
    let data = command.dir().join("mastra-host-data");
    let host = command.start().await?;
    send(&host, 0..7).await?;
    let (oldest, head) = (data.join("oldest"), data.join("head"));
    let more = kept
        .json("json/oldest", &oldest)?
        .with("sending_queue: {start_at: oldest}")
        .json("json/head", &head)?;
    replace(&file, more.yaml())?;
    host.wait_for_log("added=[\"json/head\", \"json/oldest\"]")
        .await?;
    send(&host, 7..10).await?;
    let finished = host.terminate().await?;
    finished.expect_code(3)?;
    let accounts = accounts(&finished)?;
    assert_eq!(
        accounts.of("json/oldest", "traces")?,
        Account::delivered(10)
    );
    assert_eq!(accounts.of("json/head", "traces")?, Account::delivered(3));
    assert_eq!(lines(&oldest)?.len(), 10);
    Ok(())
}

#[tokio::test]
async fn a_broken_config_changes_nothing_and_says_why_until_it_is_mended() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    let config = Config::new().json("json/a", &a)?;
    let (command, file) = host(&config)?;
    let host = command.start().await?;
    replace(
        &file,
        format!("{}  json/b: {{compnent: json}}\n", config.yaml()),
    )?;
    let said = troubles(&host, true).await?;
    assert!(
        said[0]
            .as_str()
            .is_some_and(|said| said.contains("compnent")),
        "{said}"
    );
    host.wait_for_log("A change of files is not in effect")
        .await?;
    send(&host, 0..3).await?;

    let listener = "receivers: {http: {max_connections: 7}}";
    replace(
        &file,
        config.clone().section(listener).json("json/b", &b)?.yaml(),
    )?;
    host.wait_for_log("added=[\"json/b\"]").await?;
    let page = host.send(Outgoing::get("/metrics")).await?.text();
    assert!(
        page.contains("mastra_host_reloads_total{result=\"failed\"}"),
        "{page}"
    );
    replace(&file, config.yaml())?;
    host.wait_for_log("removed=[\"json/b\"]").await?;
    assert_eq!(troubles(&host, false).await?, serde_json::json!([]));
    let finished = host.terminate().await?;
    finished.expect_code(0)?;
    assert!(
        finished
            .stderr
            .contains("`receivers` has changed: that takes effect after a restart"),
        "{}",
        finished.stderr
    );
    assert_eq!(
        accounts(&finished)?.of("json/a", "traces")?,
        Account::delivered(3)
    );
    Ok(())
}

#[tokio::test]
async fn an_exporter_that_comes_back_while_it_is_being_removed_runs_on() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let backend = Backend::start(RecordEverything).await?;
    let gate = Gate::new();
    backend.on(Which::all().first(1), Behaviour::Slow(gate.clone()));
    let json = Config::new().json("json", &dir.path().join("a"))?;
    let both = json.clone().langfuse("langfuse", &backend.url())?;
    let (command, file) = host(&both)?;
    let host = command.start().await?;
    send(&host, 0..1).await?;
    backend.wait_for_requests(1).await?;
    // The call under way keeps the removal waiting while the config brings the exporter back.
    replace(&file, json.yaml())?;
    host.wait_for_log("now=\"stopping\"").await?;
    replace(&file, both.yaml())?;
    host.wait_for_log("added=[\"langfuse\"]").await?;
    gate.open();
    send(&host, 1..4).await?;
    let finished = host.terminate().await?;
    finished.expect_code(0)?;
    let account = accounts(&finished)?.of("langfuse", "traces")?;
    assert_eq!((account.received, account.queued), (4, 0), "{account:?}");
    Ok(())
}

#[tokio::test]
async fn hangup_looks_at_once_and_ends_nothing() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let (command, _) = host(&Config::new().json("json", &dir.path().join("a"))?)?;
    let host = command.start().await?;
    host.signal(Signal::HUP)?;
    host.wait_for_log("added=[] replaced=[] removed=[]").await?;
    send(&host, 0..1).await?;
    host.terminate().await?.expect_code(0)?;
    Ok(())
}

/// A use of the component file that posts names to the backend.
fn posting(component: &Path, backend: &Backend) -> Config {
    let settings = format!("endpoint: \"{}/names\"", backend.url());
    Config::new().exporter("names", component, &settings)
}

fn posted(requests: &[kit::backend::Recorded]) -> Vec<String> {
    let lines = requests
        .iter()
        .map(|recorded| recorded.request.text().to_owned());
    lines
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

#[tokio::test]
async fn a_new_version_of_a_component_takes_over_without_loss_or_repeat() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("names.wasm");
    let component = components::package("sequencer-guest", "sequencer")?;
    std::fs::copy(&component, &file)?;
    let backend = Backend::start(RecordEverything).await?;
    let upgrades = posting(&file, &backend).section("plugins: {upgrades: within_grants}");
    let (command, _) = host(&upgrades)?;
    let host = command.start().await?;
    send(&host, 0..50).await?;
    let other = dir.path().join("other.wasm");
    components::ballast(&component, 0, &other)?;
    std::fs::rename(&other, &file)?;
    send(&host, 50..100).await?;
    host.wait_for_log("replaced=[\"names\"]").await?;
    replace(&file, "not a component")?;
    let said = troubles(&host, true).await?;
    assert!(
        said[0].as_str().is_some_and(
            |said| said.contains("not a WebAssembly component") && said.contains("runs on")
        ),
        "{said}"
    );
    send(&host, 100..150).await?;
    let finished = host.terminate().await?;
    finished.expect_code(0)?;
    assert_eq!(
        accounts(&finished)?.of("names", "traces")?,
        Account::delivered(150)
    );
    assert_eq!(posted(&backend.requests()).len(), 150);
    Ok(())
}

#[tokio::test]
async fn a_changed_component_waits_for_approval_while_the_old_one_runs_on() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("names.wasm");
    std::fs::copy(components::package("keeper-guest", "keeper")?, &file)?;
    let backend = Backend::start(RecordEverything).await?;
    let (command, _) = host(&posting(&file, &backend))?;
    let data = dir.path().join("data");
    let host = command
        .arg("--plugins-dir")
        .arg(dir.path())
        .arg("--data-dir")
        .arg(&data)
        .start()
        .await?;
    replace(
        &file,
        std::fs::read(components::package("sequencer-guest", "sequencer")?)?,
    )?;
    let said = troubles(&host, true).await?;
    let wanted = "needs approval: it has changed, and the approved one runs on";
    assert!(
        said[0].as_str().is_some_and(|said| said.contains(wanted)),
        "{said}"
    );
    let (state, not_in_effect) = listed(&data, "keeper").await?;
    assert_eq!((state, &not_in_effect), ("active as names".into(), &said));
    send(&host, 0..3).await?;
    backend
        .wait_until(|requests| posted(requests).len() == 3)
        .await?;
    assert!(
        posted(&backend.requests())
            .iter()
            .all(|name| !name.starts_with("in order"))
    );

    let approved = HostCommand::new("plugin")?
        .arg("approve")
        .arg(&file)
        .arg("--data-dir")
        .arg(&data)
        .finish()
        .await?;
    approved.expect_code(0)?;
    host.wait_for_log("replaced=[\"names\"]").await?;
    send(&host, 3..6).await?;
    backend
        .wait_until(|requests| posted(requests).len() == 6)
        .await?;
    let in_order = posted(&backend.requests());
    assert_eq!(
        in_order
            .iter()
            .filter(|name| name.starts_with("in order"))
            .count(),
        3
    );
    host.terminate().await?.expect_code(0)?;
    Ok(())
}

#[tokio::test]
async fn a_component_comes_to_the_directory_goes_and_comes_back_to_where_it_was()
-> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let (plugins, data) = (dir.path().join("plugins"), dir.path().join("data"));
    std::fs::create_dir(&plugins)?;
    let json = Config::new().json("json", &dir.path().join("all"))?;
    let backend = Backend::start(RecordEverything).await?;
    let (command, _) = host(&json)?;
    let host = command
        .env("SEQUENCER_ENDPOINT", &format!("{}/names", backend.url()))
        .arg("--plugins-dir")
        .arg(&plugins)
        .arg("--data-dir")
        .arg(&data)
        .start()
        .await?;
    let file = plugins.join("sequencer.wasm");
    let component = std::fs::read(components::package("sequencer-guest", "sequencer")?)?;
    replace(&file, &component)?;
    host.wait_for_log("state=needs approval").await?;
    host.wait_for_log("Changed files are in effect").await?;
    let (state, _) = listed(&data, "sequencer").await?;
    assert_eq!(state, "needs approval");
    let approved = HostCommand::new("plugin")?
        .arg("approve")
        .arg(&file)
        .arg("--data-dir")
        .arg(&data)
        .finish()
        .await?;
    approved.expect_code(0)?;
    host.wait_for_log("added=[\"sequencer\"]").await?;
    // The variable that it needs is the host's alone.
    assert_eq!(listed(&data, "sequencer").await?.0, "active");
    send(&host, 0..3).await?;
    backend
        .wait_until(|requests| posted(requests).len() == 3)
        .await?;

    std::fs::remove_file(&file)?;
    host.wait_for_log("removed=[\"sequencer\"]").await?;
    send(&host, 3..6).await?;
    let listed = HostCommand::new("queue")?
        .args(["ls", "--output", "json", "--data-dir"])
        .arg(&data)
        .finish()
        .await?;
    let listed: Value = serde_json::from_str(&listed.stdout)?;
    let cursors = listed["cursors"].as_array().cloned().unwrap_or_default();
    let gone = cursors
        .iter()
        .find(|cursor| cursor["exporter"] == "sequencer");
    let gone = gone.cloned().unwrap_or_default();
    assert_eq!(gone["queued"], 3, "{listed}");
    assert!(gone["absent_since"].is_string(), "{listed}");
    assert_eq!(posted(&backend.requests()).len(), 3);

    replace(&file, &component)?;
    backend
        .wait_until(|requests| posted(requests).len() == 6)
        .await?;
    let finished = host.terminate().await?;
    finished.expect_code(0)?;
    assert_eq!(
        accounts(&finished)?.of("sequencer", "traces")?,
        Account::delivered(6)
    );
    assert_eq!(posted(&backend.requests()).len(), 6, "each once");
    Ok(())
}
