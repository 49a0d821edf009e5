//! What the end-to-end tests share: configurations with both exporters, the recorded events, and what json wrote.
//!
//! Knows the host only by its command line, its configuration and the wire. Called by the tests in `tests/`.

pub mod chaos;
pub mod sources;
pub mod vendors;

use std::path::Path;

use anyhow::Context as _;
use kit::accounts::Accounts;
use kit::backend::langfuse::Langfuse;
use kit::client::Outgoing;
use kit::fixtures::{ndjson, span};
use kit::host::{DEADLINE, Finished, HostCommand, RunningHost};
use kit::{components, paths};
use serde_json::Value;

/// Name of the setting of `json` that says where its lines go.
pub const JSON_TARGET: &str = "output";

/// The recorded events, one envelope a line.
///
/// # Errors
/// When the corpus is not there.
pub fn recorded_events() -> anyhow::Result<String> {
    std::fs::read_to_string(paths::corpus("events.ndjson"))
        .context("cannot read tests/corpus/events.ndjson")
}

/// A configuration under construction: YAML of the `exporters` section and what a test adds.
#[derive(Clone, Debug)]
pub struct Config {
    before: String,
    exporters: String,
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

impl Config {
    /// Without exporters.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            before: String::new(),
            exporters: String::new(),
        }
    }

    /// Adds YAML above the exporters.
    #[must_use]
    pub fn section(mut self, yaml: &str) -> Self {
        self.before.push_str(yaml);
        self.before.push('\n');
        self
    }

    /// Adds a use of langfuse that sends to `url` and retries soon.
    ///
    /// # Errors
    /// When the component does not build.
    pub fn langfuse(self, id: &str, url: &str) -> anyhow::Result<Self> {
        let fake = Langfuse::default();
        let settings = format!(
            "base_url: \"{url}\", public_key: \"{}\", secret_key: \"{}\"",
            fake.public_key, fake.secret_key
        );
        Ok(self.exporter(id, &components::exporter("langfuse")?, &settings))
    }

    /// Adds a use of json that appends to `file`.
    ///
    /// # Errors
    /// When the component does not build.
    pub fn json(self, id: &str, file: &Path) -> anyhow::Result<Self> {
        let settings = format!("{JSON_TARGET}: \"file:{}\"", file.display());
        Ok(self.exporter(id, &components::exporter("json")?, &settings))
    }

    /// Adds any component, with its settings as a YAML flow map without braces.
    #[must_use]
    pub fn exporter(mut self, id: &str, component: &Path, settings: &str) -> Self {
        let component = component.display();
        self.exporters.push_str(&format!(
            "  {id}:\n    component: \"{component}\"\n    settings: {{{settings}}}\n    batch: {{timeout: 10ms}}\n    \
             retry_on_failure: {{initial_interval: 10ms, max_interval: 100ms}}\n"
        ));
        self
    }

    /// Adds a line to the exporter that was added last, such as `signals: [traces]`.
    #[must_use]
    pub fn with(mut self, line: &str) -> Self {
        self.exporters.push_str("    ");
        self.exporters.push_str(line);
        self.exporters.push('\n');
        self
    }

    /// The exporter that was added last makes dead letters of events whose outcome is unknown.
    #[must_use]
    pub fn never_repeating(mut self) -> Self {
        let last = self.exporters.rfind("retry_on_failure: {").unwrap_or(0);
        let rest = self.exporters.split_off(last);
        let first = "{on_unknown_outcome: dead_letter, ";
        self.exporters.push_str(&rest.replacen('{', first, 1));
        self
    }

    /// The file.
    #[must_use]
    pub fn yaml(&self) -> String {
        format!("{}exporters:\n{}", self.before, self.exporters)
    }
}

/// `mastra-host run` with this configuration and `--output json`.
///
/// # Errors
/// When the host does not build.
pub fn run(config: &Config) -> anyhow::Result<HostCommand> {
    Ok(HostCommand::new("run")?
        .config(&config.yaml())?
        .args(["--output", "json"]))
}

/// The same, reading these events from standard input and ending when they are delivered.
///
/// # Errors
/// When the host does not build.
pub fn run_with_input(config: &Config, ndjson: impl Into<Vec<u8>>) -> anyhow::Result<HostCommand> {
    Ok(run(config)?.args(["--input", "-"]).stdin(ndjson))
}

/// Runs the guest `name`, which sends one request to each of `places` with its secret; it is granted `granted` alone.
///
/// # Errors
/// When the guest or the host does not build, or the run does not end.
pub async fn travel(
    name: &str,
    secret: &str,
    granted: &str,
    places: &[String],
) -> anyhow::Result<Finished> {
    let guest = components::package(&format!("{name}-guest"), name)?;
    let places = places.join(" ");
    let settings = format!("endpoint: \"{granted}\", places: \"{places}\", secret: \"{secret}\"");
    let config = Config::new().exporter(name, &guest, &settings);
    let events = ndjson(&[span(1, 1, None, "agent_run")]);
    let command = run_with_input(&config, events)?
        .env("MASTRA_HOST_LOG", "debug")
        .args(["--timeout", "20s"]);
    command.finish().await
}

/// The accounts that a run ended with, which must add up.
///
/// # Errors
/// When they do not, or the run printed none.
pub fn accounts(finished: &Finished) -> anyhow::Result<Accounts> {
    let accounts = Accounts::read(&finished.stdout).with_context(|| finished.stderr.clone())?;
    accounts.assert_conserved()?;
    Ok(accounts)
}

/// Asks for `/readyz?verbose` until status and page are as wanted.
///
/// # Errors
/// When it is not within [`DEADLINE`].
pub async fn ready_page(
    host: &RunningHost,
    wanted: impl Fn(u16, &Value) -> bool,
) -> anyhow::Result<(u16, Value)> {
    let asked = tokio::time::timeout(DEADLINE, async {
        loop {
            let reply = host.send(Outgoing::get("/readyz?verbose")).await?;
            let page = reply.json()?;
            if wanted(reply.status, &page) {
                return Ok((reply.status, page));
            }
            tokio::task::yield_now().await;
        }
    });
    asked.await?
}

/// The lines of a file that json wrote; none when there is no file.
///
/// # Errors
/// When it cannot be read.
pub fn lines(file: &Path) -> anyhow::Result<Vec<String>> {
    if !file.exists() {
        return Ok(Vec::new());
    }
    let text =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// Accepts agent runs `numbers`, one at a time.
///
/// # Errors
/// When the host cannot be reached or refuses one.
pub async fn send_runs(host: &RunningHost, numbers: std::ops::Range<u64>) -> anyhow::Result<()> {
    for n in numbers {
        let event = span(n, n, None, "agent_run");
        let reply = host.send_events(ndjson(&[event])).await?;
        anyhow::ensure!(reply.status == 200, "{}: {}", reply.status, reply.text());
    }
    Ok(())
}

/// Replaces a file as editors do: a reader sees the old one or the new one.
///
/// # Errors
/// When it cannot be written.
pub fn replace_file(file: &Path, content: impl AsRef<[u8]>) -> anyhow::Result<()> {
    let new = file.with_extension("new");
    std::fs::write(&new, content)?;
    Ok(std::fs::rename(&new, file)?)
}

/// A component that no host brings along. It posts names to `SEQUENCER_ENDPOINT`.
///
/// # Errors
/// When it does not build.
pub fn foreign_component() -> anyhow::Result<Vec<u8>> {
    let file = components::package("sequencer-guest", "sequencer")?;
    Ok(std::fs::read(file)?)
}
