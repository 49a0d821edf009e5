//! Components with their state and grants, and what an approval granted.

use std::path::PathBuf;

use serde_json::json;

use super::{Lines, Look, Tone, cell, finish, line, table};
use crate::config::lock::Grants;
use crate::event::Signal;

/// One component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginRow {
    /// The file.
    pub file: PathBuf,
    /// `None` when it does not load.
    pub facts: Option<PluginFacts>,
    /// What it does.
    pub state: PluginState,
}

/// Of a component that loads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginFacts {
    /// The component's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// `sha256:` and hex.
    pub digest: String,
    /// Signals in the contract's order.
    pub signals: Vec<Signal>,
    /// What it asks for.
    pub grants: Grants,
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
        let file = row.file.display().to_string();
        let facts = row.facts.as_ref();
        let name = facts.map_or(file.as_str(), |facts| facts.name.as_str());
        let version = facts.map_or("–", |facts| facts.version.as_str());
        let signals: Vec<&str> = facts
            .iter()
            .flat_map(|facts| &facts.signals)
            .map(|signal| signal.name())
            .collect();
        table.add_row(vec![
            cell(look, Tone::Strong, name),
            cell(look, Tone::Plain, version),
            cell(look, Tone::Plain, &signals.join(" ")),
            cell(look, tone, runs),
        ]);
        let state = look.paint(
            tone,
            &row.state.words(facts.map(|facts| facts.name.as_str())),
        );
        details.line(format_args!(""));
        details.line(format_args!("{} {state}", look.paint(Tone::Strong, name)));
        for grant in facts.iter().flat_map(|facts| grant_lines(&facts.grants)) {
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

/// `{"plugins":[{"file","name","version","digest","signals","state","active","exporters","grants"}]}`
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
            let facts = row.facts.as_ref();
            let exporters = match &row.state {
                PluginState::Active { exporters } => exporters.clone(),
                PluginState::Idle(_) | PluginState::Failed(_) => Vec::new(),
            };
            json!({
                "file": row.file.display().to_string(),
                "name": facts.map(|facts| &facts.name),
                "version": facts.map(|facts| &facts.version),
                "digest": facts.map(|facts| &facts.digest),
                "signals": facts.map(|facts| facts.signals.iter().map(|signal| signal.name()).collect::<Vec<_>>()),
                "state": row.state.words(facts.map(|facts| facts.name.as_str())),
                "active": matches!(row.state, PluginState::Active { .. }),
                "exporters": exporters,
                "grants": facts.map(|facts| &facts.grants),
            })
        })
        .collect();
    plugins.into()
}

/// What was granted to one component, printed once by `approve` and by `run`.
#[must_use]
pub fn granted(name: &str, version: &str, grants: &Grants, look: Look) -> String {
    let mut text = Lines::default();
    let name = look.paint(Tone::Strong, name);
    text.line(format_args!(
        "{name} {} may use",
        look.paint(Tone::Plain, version)
    ));
    for grant in grant_lines(grants) {
        text.line(format_args!("  {grant}"));
    }
    text.into_text()
}

/// Hosts, then interfaces by their short names, then variables.
fn grant_lines(grants: &Grants) -> Vec<String> {
    let mut lines: Vec<String> = grants
        .hosts
        .iter()
        .map(|host| match host.strip_prefix("setting:") {
            Some(setting) => format!("host in setting {setting}"),
            None => host.clone(),
        })
        .collect();
    let own = grants.imports.iter().filter_map(|import| {
        import
            .strip_prefix("mastra:observability/")?
            .split('@')
            .next()
    });
    let own: Vec<&str> = own.filter(|name| *name != "types").collect();
    if !own.is_empty() {
        lines.push(format!("import {}", own.join(", ")));
    }
    if grants
        .imports
        .iter()
        .any(|import| import.starts_with("wasi:http/"))
    {
        lines.push("import wasi:http".to_owned());
    }
    if !grants.environment.is_empty() {
        let names: Vec<&str> = grants.environment.iter().map(String::as_str).collect();
        lines.push(format!("env {}", names.join(" ")));
    }
    if lines.is_empty() {
        lines.push("nothing".to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_see_state_and_grants() {
        let set = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let grants = Grants {
            hosts: set(&["https://cloud.langfuse.com", "setting:base_url"]),
            imports: set(&[
                "mastra:observability/http@0.1.0",
                "mastra:observability/types@0.1.0",
                "wasi:clocks/wall-clock@0.2.6",
            ]),
            environment: set(&["LANGFUSE_PUBLIC_KEY"]),
        };
        let facts = PluginFacts {
            name: "langfuse".to_owned(),
            version: "0.1.0".to_owned(),
            digest: "sha256:0".to_owned(),
            signals: vec![Signal::Traces, Signal::Scores],
            grants,
        };
        let row = |state: PluginState| PluginRow {
            file: "plugins/langfuse.wasm".into(),
            facts: Some(facts.clone()),
            state,
        };
        let rows = [
            row(PluginState::Active {
                exporters: vec!["langfuse".to_owned(), "langfuse/eu".to_owned()],
            }),
            row(PluginState::Idle("needs approval".to_owned())),
            PluginRow {
                file: "plugins/x.wasm".into(),
                facts: None,
                state: PluginState::Failed("does not load".to_owned()),
            },
        ];
        let wanted = "\
╭──────────────────────────────────────────────╮
│ component       version  signals        runs │
├──────────────────────────────────────────────┤
│ langfuse        0.1.0    traces scores  ✔    │
│ langfuse        0.1.0    traces scores  –    │
│ plugins/x.wasm  –                       ✘    │
╰──────────────────────────────────────────────╯

langfuse active as langfuse, langfuse/eu
  https://cloud.langfuse.com
  host in setting base_url
  import http
  env LANGFUSE_PUBLIC_KEY

langfuse needs approval
  https://cloud.langfuse.com
  host in setting base_url
  import http
  env LANGFUSE_PUBLIC_KEY

plugins/x.wasm does not load
";
        let text = human(&rows, Look::default());
        assert_eq!(text, wanted, "\n{text}");
    }
}
