//! Components with their state and grants, and what an approval granted.

use std::collections::BTreeSet;

use serde_json::json;

use super::{Lines, Look, Tone, cell, finish, line, table};
use crate::approvals::Grants;
use crate::config::select::short;
use crate::event::Signal;

/// One component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginRow {
    /// The file, or what stands for it.
    pub file: String,
    /// The component's name, where that is known without running it.
    pub name: Option<String>,
    /// Its version, of a component that runs.
    pub version: Option<String>,
    /// `sha256:` and hex, of a file that can be read.
    pub digest: Option<String>,
    /// Signals in the contract's order.
    pub signals: Vec<Signal>,
    /// What it asks for, of a component that was loaded.
    pub grants: Option<Grants>,
    /// What it does.
    pub state: PluginState,
}

/// What one component may have, for people.
#[derive(Clone, Copy, Debug)]
pub struct Granted<'a> {
    /// The component's name, or the exporter's id.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
    /// `sha256:` and hex.
    pub digest: &'a str,
    /// What it asks for.
    pub asked: &'a Grants,
    /// Variables that it may read.
    pub variables: &'a BTreeSet<String>,
    /// Where its output goes, where that is known.
    pub output: Option<&'a str>,
}

/// What a component does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PluginState {
    /// `run` would run it, as these exporters.
    Active {
        /// Exporter ids.
        exporters: Vec<String>,
    },
    /// It would not run; the text says why: `inactive (missing LANGFUSE_PUBLIC_KEY)`, `needs approval`.
    Idle(String),
    /// Named, but broken or without its settings; the text says why.
    Failed(String),
}

impl PluginState {
    fn words(&self, name: Option<&str>) -> String {
        match self {
            Self::Active { exporters } if exporters.iter().map(String::as_str).eq(name) => {
                "active".to_owned()
            }
            Self::Active { exporters } => format!("active as {}", exporters.join(", ")),
            Self::Idle(text) | Self::Failed(text) => text.clone(),
        }
    }
}

/// A table of what there is, then for each component its state in full and what it asks for: long names would not
/// survive the wrapping of a table.
#[must_use]
pub fn human(rows: &[PluginRow], look: Look) -> String {
    if rows.is_empty() {
        return "No components.\n".to_owned();
    }
    let mut table = table(look, &["component", "version", "signals", "runs"]);
    let mut details = Lines::default();
    for row in rows {
        let (tone, runs) = match row.state {
            PluginState::Active { .. } => (Tone::Good, "✔"),
            PluginState::Idle(_) => (Tone::Warning, "–"),
            PluginState::Failed(_) => (Tone::Bad, "✘"),
        };
        let name = row.name.as_deref().unwrap_or(&row.file);
        let version = row.version.as_deref().unwrap_or("–");
        let signals: Vec<&str> = row.signals.iter().map(|signal| signal.name()).collect();
        table.add_row(vec![
            cell(look, Tone::Strong, name),
            cell(look, Tone::Plain, version),
            cell(look, Tone::Plain, &signals.join(" ")),
            cell(look, tone, runs),
        ]);
        let state = look.paint(tone, &row.state.words(row.name.as_deref()));
        details.line(format_args!(""));
        details.line(format_args!("{} {state}", look.paint(Tone::Strong, name)));
        details.line(format_args!("  {}", look.paint(Tone::Dim, &row.file)));
        let lines = row
            .grants
            .iter()
            .flat_map(|grants| grant_lines(grants, &grants.environment, None));
        for grant in lines {
            details.line(format_args!("  {}", look.paint(Tone::Dim, &grant)));
        }
    }
    finish(&table) + &details.into_text()
}

/// The same of a host that runs, with what of the files it has not put into effect.
#[must_use]
pub fn human_of_host(rows: &[PluginRow], troubles: &[String], look: Look) -> String {
    let mut text = Lines::default();
    text.line(format_args!(
        "A host runs with this data directory. What it does now:"
    ));
    text.append(&human(rows, look));
    for trouble in troubles {
        let trouble = look.paint(Tone::Warning, &format!("not in effect: {trouble}"));
        text.line(format_args!(""));
        text.line(format_args!("{trouble}"));
    }
    text.into_text()
}

/// `{"plugins":[{"file","name","version","digest","signals","state","active","exporters","grants"}]}`; what only a
/// component that has run can say is `null` for one that has not.
#[must_use]
pub fn json(rows: &[PluginRow]) -> String {
    line(&json!({ "plugins": plugins(rows) }))
}

/// The same of a host that runs, with `"running":true` and `"not_in_effect":["..."]`.
#[must_use]
pub fn json_of_host(rows: &[PluginRow], troubles: &[String]) -> String {
    line(&json!({ "plugins": plugins(rows), "running": true, "not_in_effect": troubles }))
}

fn plugins(rows: &[PluginRow]) -> serde_json::Value {
    let plugins: Vec<_> = rows
        .iter()
        .map(|row| {
            let exporters = match &row.state {
                PluginState::Active { exporters } => exporters.clone(),
                PluginState::Idle(_) | PluginState::Failed(_) => Vec::new(),
            };
            let signals: Vec<&str> = row.signals.iter().map(|signal| signal.name()).collect();
            json!({
                "file": row.file,
                "name": row.name,
                "version": row.version,
                "digest": row.digest,
                "signals": signals,
                "state": row.state.words(row.name.as_deref()),
                "active": matches!(row.state, PluginState::Active { .. }),
                "exporters": exporters,
                "grants": row.grants,
            })
        })
        .collect();
    plugins.into()
}

/// What one component may have, printed by `run` and by `plugin approve`.
#[must_use]
pub fn granted(granted: &Granted<'_>, look: Look) -> String {
    let name = look.paint(Tone::Strong, granted.name);
    let mut text = Lines::default();
    text.line(format_args!(
        "{name} {} ({}) may",
        look.paint(Tone::Plain, granted.version),
        short(granted.digest)
    ));
    for line in grant_lines(granted.asked, granted.variables, granted.output) {
        text.line(format_args!("  {line}"));
    }
    text.into_text()
}

/// A verb and its objects per line: signals, hosts, interfaces, variables, output, page.
fn grant_lines(asked: &Grants, variables: &BTreeSet<String>, output: Option<&str>) -> Vec<String> {
    let mut lines = Vec::new();
    let mut say = |verb: &str, objects: Vec<String>| {
        if !objects.is_empty() {
            lines.push(format!("{verb:<8}{}", objects.join(", ")));
        }
    };
    say("receive", asked.signals.iter().cloned().collect());
    let hosts = asked
        .hosts
        .iter()
        .map(|host| match host.strip_prefix("setting:") {
            Some(setting) => format!("the host in setting {setting}"),
            None => host.clone(),
        });
    say("reach", hosts.collect());
    say("use", interfaces(&asked.imports));
    let (approved, held_back): (Vec<String>, Vec<String>) = asked
        .environment
        .iter()
        .cloned()
        .partition(|name| variables.contains(name));
    let read = approved
        .into_iter()
        .map(|name| match in_clear(asked, &name) {
            true => name,
            false => format!("{name} (hidden from it)"),
        });
    say("read", read.collect());
    if let Some(setting) = asked.output_setting() {
        let target = output.unwrap_or("the target that you set, or stdout");
        say("write", vec![format!("{target} (setting {setting})")]);
    }
    if asked.page {
        say("serve", vec!["a page".to_owned()]);
    }
    let nothing = lines.is_empty();
    if nothing {
        lines.push("do nothing".to_owned());
    }
    if !held_back.is_empty() {
        lines.push(format!("not read {}", held_back.join(", ")));
    }
    lines
}

/// Whether a setting that is not secret reads the variable.
fn in_clear(asked: &Grants, variable: &str) -> bool {
    let mut settings = asked.settings.values();
    settings
        .any(|setting| !setting.secret && setting.environment.iter().any(|name| name == variable))
}

/// Interfaces by their short names; types and what every program imports are no power.
#[must_use]
pub fn interfaces(imports: &BTreeSet<String>) -> Vec<String> {
    let own = imports.iter().filter_map(|import| {
        import
            .strip_prefix("mastra:observability/")?
            .split('@')
            .next()
    });
    let mut names: Vec<String> = own
        .filter(|name| *name != "types")
        .map(str::to_owned)
        .collect();
    if imports
        .iter()
        .any(|import| import.starts_with("wasi:http/"))
    {
        names.push("wasi:http".to_owned());
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::approvals::SettingGrant;

    fn set(texts: &[&str]) -> BTreeSet<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn grants() -> Grants {
        let key = SettingGrant {
            secret: true,
            environment: vec!["LANGFUSE_SECRET_KEY".to_owned()],
            ..SettingGrant::default()
        };
        let url = SettingGrant {
            environment: vec!["LANGFUSE_BASE_URL".to_owned()],
            ..SettingGrant::default()
        };
        let target = SettingGrant {
            output: true,
            ..SettingGrant::default()
        };
        Grants {
            hosts: set(&["https://cloud.langfuse.com", "setting:base_url"]),
            imports: set(&[
                "mastra:observability/http@0.1.0",
                "mastra:observability/types@0.1.0",
                "wasi:clocks/wall-clock@0.2.6",
            ]),
            signals: set(&["traces", "scores"]),
            page: true,
            environment: set(&[
                "AWS_SECRET_ACCESS_KEY",
                "LANGFUSE_BASE_URL",
                "LANGFUSE_SECRET_KEY",
            ]),
            settings: [
                ("secret_key".to_owned(), key),
                ("base_url".to_owned(), url),
                ("target".to_owned(), target),
            ]
            .into(),
        }
    }

    #[test]
    fn people_see_everything_that_a_component_may_do() {
        let asked = grants();
        let variables = set(&["LANGFUSE_BASE_URL", "LANGFUSE_SECRET_KEY"]);
        let text = granted(
            &Granted {
                name: "langfuse",
                version: "0.1.0",
                digest: "sha256:0123456789abcdef",
                asked: &asked,
                variables: &variables,
                output: Some("file:/var/log/x.ndjson"),
            },
            Look::default(),
        );
        let wanted = "\
langfuse 0.1.0 (sha256:0123456789ab) may
  receive scores, traces
  reach   https://cloud.langfuse.com, the host in setting base_url
  use     http
  read    LANGFUSE_BASE_URL, LANGFUSE_SECRET_KEY (hidden from it)
  write   file:/var/log/x.ndjson (setting target)
  serve   a page
  not read AWS_SECRET_ACCESS_KEY
";
        assert_eq!(text, wanted, "\n{text}");
    }

    #[test]
    fn a_component_that_did_not_run_is_shown_by_its_file() {
        let active = PluginRow {
            file: "plugins/langfuse.wasm".to_owned(),
            name: Some("langfuse".to_owned()),
            version: Some("0.1.0".to_owned()),
            digest: Some("sha256:0".to_owned()),
            signals: vec![Signal::Traces, Signal::Scores],
            grants: Some(Grants::default()),
            state: PluginState::Active {
                exporters: vec!["langfuse".to_owned(), "langfuse/eu".to_owned()],
            },
        };
        let dropped = PluginRow {
            file: "plugins/x.wasm".to_owned(),
            name: None,
            version: None,
            grants: None,
            state: PluginState::Idle("needs approval".to_owned()),
            ..active.clone()
        };
        let text = human(&[active, dropped], Look::default());
        let wanted = "\
╭──────────────────────────────────────────────╮
│ component       version  signals        runs │
├──────────────────────────────────────────────┤
│ langfuse        0.1.0    traces scores  ✔    │
│ plugins/x.wasm  –        traces scores  –    │
╰──────────────────────────────────────────────╯

langfuse active as langfuse, langfuse/eu
  plugins/langfuse.wasm
  do nothing

plugins/x.wasm needs approval
  plugins/x.wasm
";
        assert_eq!(text, wanted, "\n{text}");
    }
}
