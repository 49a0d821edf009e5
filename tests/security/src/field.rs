//! Runs hostile components beside a healthy exporter and says what was not contained: the host starts, answers and stops
//! in time, the healthy exporter is complete and not slowed, memory is bounded, every event is accounted for, and nothing
//! raw reaches a terminal.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use kit::backend::Backend;
use kit::client::Outgoing;
use kit::components;
use kit::fixtures::{ndjson, span};
use kit::host::{HostCommand, RunningHost};
use serde_json::Value;
use tempfile::TempDir;

use crate::cases::{Case, Way};
use crate::healthy::Healthy;

/// How long events are sent, 50 at a time, ten times a second.
const BEATS: u64 = 60;
const BEAT: Duration = Duration::from_millis(100);
const EVENTS_A_BEAT: u64 = 50;

/// What the host may take for what it is asked while a component is hostile.
const ANSWER_TIME: Duration = Duration::from_secs(2);
const START_TIME: Duration = Duration::from_secs(5);
const STOP_TIME: Duration = Duration::from_secs(5);
const COMMAND_TIME: Duration = Duration::from_secs(10);
/// From receipt to delivery, for 99 of 100 events.
const DELIVERY_TIME: Duration = Duration::from_secs(2);

/// Peak memory of a host with a group of these components, whose own memory is 32 MiB each.
const MEMORY_MIB: u64 = 700;
/// What the log and a list may have.
const LOG_BYTES: usize = 4 << 20;
const LIST_BYTES: usize = 4 << 20;
/// A line of either, in characters: dead letters are a line each, and all refusals of settings are one.
const LINE_CHARS: usize = 12_000;

/// Of a log, for whoever reads why a case failed.
const LAST_LINES: usize = 12;

/// Components that run beside each other at most.
pub const GROUP: usize = 6;

/// Runs a group of cases; what was not contained.
///
/// # Errors
/// The tests' own trouble: something does not build, or a port cannot be had.
pub async fn run(cases: &[Case]) -> anyhow::Result<Vec<String>> {
    let field = Field::prepare(cases).await?;
    let mut complaints = Vec::new();
    let started = Instant::now();
    let command = field.command("run")?.on_free_ports();
    let config = field.dir.path().join("config.yaml");
    let host = match command.arg("--config").arg(config).start_bare().await {
        Ok(host) => host,
        Err(error) => return Ok(vec![format!("the host did not start: {error:#}")]),
    };
    within("the start", started, START_TIME, &mut complaints);
    field.load(&host, cases, &mut complaints).await;
    field.judge(&host, cases, &mut complaints).await?;
    let peak = peak_memory(&host)?;
    if peak > MEMORY_MIB {
        complaints.push(format!("the host's memory came to {peak} MiB"));
    }
    let stopping = Instant::now();
    let finished = host.terminate().await?;
    within("the stop", stopping, STOP_TIME, &mut complaints);
    ensure_clean("the log", &finished.stderr, LOG_BYTES, &mut complaints);
    ensure_clean("the output", &finished.stdout, LIST_BYTES, &mut complaints);
    if finished.stderr.contains("panicked at") {
        let line = finished
            .stderr
            .lines()
            .find(|line| line.contains("panicked at"));
        complaints.push(format!("the host panicked: {line:?}"));
    }
    if !complaints.is_empty() {
        let lines: Vec<&str> = finished.stderr.lines().collect();
        let last = lines.get(lines.len().saturating_sub(LAST_LINES)..);
        complaints.push(format!("its log ends so: {:#?}", last.unwrap_or_default()));
    }
    Ok(complaints)
}

/// Runs cases in groups, and the cases of a group that was not contained one by one; what was not contained, by case.
/// `on_group` is told of each group.
///
/// # Errors
/// As [`run`].
pub async fn run_all(
    cases: &[Case],
    on_group: impl Fn(&[Case], &[String]),
) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
    let mut found = BTreeMap::new();
    let groups = cases.len().div_ceil(GROUP);
    for group in 0..groups {
        // Neighbours in the list are alike: they go to different groups.
        let group: Vec<Case> = cases.iter().skip(group).step_by(groups).cloned().collect();
        let complaints = run(&group).await?;
        on_group(&group, &complaints);
        if complaints.is_empty() {
            continue;
        }
        let mut is_named = false;
        for case in &group {
            let complaints = run(std::slice::from_ref(case)).await?;
            if !complaints.is_empty() {
                is_named = true;
                found.insert(case.name.to_owned(), complaints);
            }
        }
        if !is_named {
            let names: Vec<&str> = group.iter().map(|case| case.name).collect();
            found.insert(format!("together: {}", names.join("; ")), complaints);
        }
    }
    Ok(found)
}

/// One host's surroundings.
struct Field {
    dir: TempDir,
    healthy: Healthy,
    /// Held: dropping it closes its port.
    _backend: Backend,
}

impl Field {
    async fn prepare(cases: &[Case]) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let healthy = Healthy::default();
        let backend = Backend::start(healthy.clone()).await?;
        let plain = std::fs::read(components::package("security-guest", "security-guest")?)?;
        let mut yaml = format!(
            "storage: {{ local: {{ max_size: 8MiB }} }}\nplugins: {{ directory: \"{0}\" }}\nexporters:\n  healthy:\n    component: \"{1}\"\n    \
             settings: {{ url: \"{2}/\" }}\n    batch: {{ timeout: 200ms }}\n",
            dir.path().join("plugins").display(),
            components::exporter("webhook")?.display(),
            backend.url()
        );
        for (number, case) in cases.iter().enumerate() {
            let path = component_path(dir.path(), number);
            let script = match case.way {
                Way::File => case.script.clone(),
                Way::Settings | Way::Reload => Value::Null,
            };
            std::fs::write(&path, patched(&plain, &script)?)?;
            let mut settings = case.settings.to_owned();
            if case.way == Way::Settings {
                let script = serde_json::to_string(&case.script.to_string())?;
                settings = format!(
                    "{settings}{}script: {script}",
                    if settings.is_empty() { "" } else { ", " }
                );
            }
            if settings.is_empty() && case.script.get("schema").is_none() {
                settings = format!("output: \"file:{}\"", dir.path().join("out").display());
            }
            yaml.push_str(&format!(
                "  {}:\n    component: \"{}\"\n    settings: {{ {settings} }}\n    batch: {{ timeout: 50ms }}\n    num_consumers: 1\n    \
                 limits: {{ memory: 32MiB, cpu_time: 500ms, call_timeout: 3s, output_size: 64MiB }}\n    timeout: 2s\n    \
                 retry_on_failure: {{ initial_interval: 100ms, max_interval: 1s }}\n    sending_queue: {{ on_full: drop_oldest }}\n",
                id(number),
                path.display()
            ));
        }
        std::fs::create_dir(dir.path().join("plugins"))?;
        std::fs::write(dir.path().join("config.yaml"), yaml)?;
        Ok(Self {
            dir,
            healthy,
            _backend: backend,
        })
    }

    fn command(&self, name: &str) -> anyhow::Result<HostCommand> {
        let data = self.dir.path().join("data");
        Ok(HostCommand::new(name)?.arg("--data-dir").arg(data))
    }

    /// Sends events at an even pace, asks for pages, replaces files.
    async fn load(&self, host: &RunningHost, cases: &[Case], complaints: &mut Vec<String>) {
        let mut beat = tokio::time::interval(BEAT);
        for number in 0..BEATS {
            beat.tick().await;
            let ids = number * EVENTS_A_BEAT..(number + 1) * EVENTS_A_BEAT;
            let events: Vec<Value> = ids
                .map(|id| span(id / 10 + 1, id + 1, None, "agent_run"))
                .collect();
            for event in &events {
                let id = event.pointer("/exportedSpan/id").and_then(Value::as_str);
                self.healthy.sends(id.unwrap_or_default());
            }
            let asked = Instant::now();
            match host.send_events(ndjson(&events)).await {
                Ok(reply) if reply.status == 200 => {}
                Ok(reply) => complaints.push(format!("events were answered with {}", reply.status)),
                Err(error) => complaints.push(format!("events were not answered: {error:#}")),
            }
            within("an answer to events", asked, ANSWER_TIME, complaints);
            if number % 10 == 5 {
                let asked = Instant::now();
                if let Err(error) = host.send(Outgoing::get("/readyz?verbose")).await {
                    complaints.push(format!("/readyz was not answered: {error:#}"));
                }
                within("/readyz", asked, ANSWER_TIME, complaints);
                self.disturb(host, cases, number / 10);
            }
        }
    }

    /// Has pages rendered, without waiting for them, and puts bad files in the place of good ones.
    fn disturb(&self, host: &RunningHost, cases: &[Case], round: u64) {
        for (number, case) in cases.iter().enumerate() {
            if case.script.get("page").is_some() {
                let target = format!("/exporters/{}/page", id(number));
                let request = Outgoing::get(&target).send(host.address());
                #[allow(
                    clippy::disallowed_methods,
                    reason = "whatever comes of it, the host must answer others meanwhile"
                )]
                tokio::spawn(async move { drop(request.await) });
            }
            if case.way == Way::Reload && round == 1 {
                let path = component_path(self.dir.path(), number);
                let replaced = std::fs::read(&path).map_err(anyhow::Error::from);
                let replaced = replaced.and_then(|plain| patched(&plain, &case.script));
                if let Ok(bytes) = replaced {
                    let _seen_by_the_host_or_not = std::fs::write(&path, bytes);
                }
            }
        }
    }

    /// What can be seen while the host still runs.
    async fn judge(
        &self,
        host: &RunningHost,
        cases: &[Case],
        complaints: &mut Vec<String>,
    ) -> anyhow::Result<()> {
        let patience = Instant::now() + Duration::from_secs(10);
        let mut look = tokio::time::interval(BEAT);
        while self.healthy.missing() > 0 && Instant::now() < patience {
            look.tick().await;
        }
        let (missing, repeated, p99) = (
            self.healthy.missing(),
            self.healthy.repeated(),
            self.healthy.p99(),
        );
        if missing > 0 || repeated > 0 {
            complaints.push(format!(
                "the healthy exporter lacks {missing} events and repeated {repeated}"
            ));
        }
        if p99 > DELIVERY_TIME {
            complaints.push(format!("the healthy exporter's p99 was {p99:?}"));
        }
        let metrics = host.send(Outgoing::get("/metrics")).await?.text();
        check_figures(&metrics, cases.len(), complaints);
        for command in [["plugin", "ls"], ["dlq", "ls"], ["queue", "ls"]] {
            let asked = Instant::now();
            let [name, what] = command;
            let listed = HostCommand::new(name)?
                .arg(what)
                .arg("--data-dir")
                .arg(self.dir.path().join("data"));
            let listed = listed.finish().await?;
            within(&command.join(" "), asked, COMMAND_TIME, complaints);
            for text in [&listed.stdout, &listed.stderr] {
                ensure_clean(&command.join(" "), text, LIST_BYTES, complaints);
            }
            if let Err(error) = listed.code() {
                complaints.push(format!("{}: {error:#}", command.join(" ")));
            }
        }
        Ok(())
    }
}

fn id(number: usize) -> String {
    format!("hostile/c{number}")
}

fn component_path(dir: &Path, number: usize) -> PathBuf {
    dir.join(format!("c{number}.wasm"))
}

/// The guest with this script in its data.
///
/// # Errors
/// The guest has no place for it.
pub fn patched(guest: &[u8], script: &Value) -> anyhow::Result<Vec<u8>> {
    const MARKER: &[u8] = b"<<SECURITY-SCRIPT>>";
    const SCRIPT_BYTES: usize = 64 << 10;
    let mut bytes = guest.to_vec();
    let marker = bytes.windows(MARKER.len()).position(|part| part == MARKER);
    let start = marker.context("the guest has no place for a script")? + MARKER.len();
    let place = bytes.get_mut(start..start + SCRIPT_BYTES - MARKER.len());
    let place = place.context("the guest's place for a script is cut")?;
    let text = if script.is_null() {
        String::new()
    } else {
        script.to_string()
    };
    ensure!(
        text.len() <= place.len(),
        "the script has {} bytes",
        text.len()
    );
    place.fill(b' ');
    for (byte, new) in place.iter_mut().zip(text.bytes()) {
        *byte = new;
    }
    Ok(bytes)
}

fn within(what: &str, since: Instant, time: Duration, complaints: &mut Vec<String>) {
    let took = since.elapsed();
    if took > time {
        complaints.push(format!("{what} took {took:?}"));
    }
}

/// No escape sequence, no line of somebody else's making, no flood.
pub(crate) fn ensure_clean(what: &str, text: &str, max_bytes: usize, complaints: &mut Vec<String>) {
    if text.len() > max_bytes {
        complaints.push(format!("{what} has {} bytes", text.len()));
    }
    if text.lines().any(|line| line.chars().count() > LINE_CHARS) {
        complaints.push(format!(
            "{what} has a line of more than {LINE_CHARS} characters"
        ));
    }
    let is_raw = |c: char| {
        (c.is_control() && !matches!(c, '\n' | '\t')) || ('\u{202a}'..='\u{202e}').contains(&c)
    };
    if let Some(line) = text.lines().find(|line| line.chars().any(is_raw)) {
        let start: String = line.chars().take(200).collect();
        complaints.push(format!("{what} has raw characters: {start:?}"));
    }
    if text
        .lines()
        .any(|line| line.trim_start().starts_with("FORGED"))
    {
        complaints.push(format!("{what} has a forged line"));
    }
}

fn peak_memory(host: &RunningHost) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!(
        "/proc/{}/status",
        host.id().context("the host has ended")?
    ))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    Ok(kib.context("no VmHWM")?.parse::<u64>()? / 1024)
}

/// The accounts of all exporters add up, and no call of the healthy one failed.
fn check_figures(metrics: &str, hostile: usize, complaints: &mut Vec<String>) {
    let mut received: BTreeMap<(String, String), (i64, i64)> = BTreeMap::new();
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let Some((sample, value)) = line.rsplit_once(' ') else {
            continue;
        };
        let value = value.parse::<f64>().unwrap_or(0.0) as i64;
        let (name, labels) = sample.split_once('{').unwrap_or((sample, ""));
        let label = |name: &str| {
            let (_, rest) = labels.split_once(&format!("{name}=\""))?;
            Some(rest.split_once('"')?.0.to_owned())
        };
        let Some(exporter) = label("exporter") else {
            continue;
        };
        if exporter == "healthy"
            && [
                "fruitless_calls_total",
                "faults_total",
                "resent_items_total",
            ]
            .iter()
            .any(|end| name.ends_with(end))
            && value > 0
        {
            complaints.push(format!("the healthy exporter has {name} {value}"));
        }
        let Some(signal) = label("signal") else {
            continue;
        };
        let sums = received.entry((exporter, signal)).or_default();
        match name.strip_prefix("mastra_host_exporter_") {
            Some("received_items_total") => sums.0 += value,
            Some(
                "delivered_items_total"
                | "filtered_items_total"
                | "dead_lettered_items_total"
                | "dropped_items_total"
                | "queued_items",
            ) => sums.1 += value,
            _ => {}
        }
    }
    for ((exporter, signal), (received, ended)) in &received {
        if received != ended {
            complaints.push(format!(
                "of {received} {signal} of {exporter}, {ended} are accounted for"
            ));
        }
    }
    if hostile > 0 && received.is_empty() {
        complaints.push("there are no figures".to_owned());
    }
}
