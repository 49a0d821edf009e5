//! What a host says of the components that it found: what it granted, what waits for approval.

use std::collections::BTreeSet;
use std::path::PathBuf;

use tracing::{info, warn};

use crate::commands::Context;
use crate::config::Discovery;
use crate::config::select::{Consent, FileFacts, Files, Idle, IdleState, Planned};
use crate::config::{Config, ExporterId};
use crate::print::plugins::{Granted, granted, interfaces};

/// What was said already: each thing is said once.
#[derive(Default)]
pub(super) struct Said {
    /// Exporter and digest.
    granted: BTreeSet<(ExporterId, String)>,
    /// File, digest and state.
    idle: BTreeSet<(PathBuf, Option<String>, String)>,
    notes: BTreeSet<String>,
}

impl Said {
    /// What running without any approval means.
    pub(super) fn discovery(config: &Config, ctx: &mut Context<'_>) {
        if config.plugins.discovery == Discovery::All {
            let directory = config.plugins.directory.display();
            ctx.note(&format!(
                "every component in {directory} runs without approval (plugins.discovery: all)"
            ));
        }
    }

    /// How a name was understood.
    pub(super) fn notes(&mut self, notes: &[String], ctx: &mut Context<'_>) {
        for note in notes {
            if self.notes.insert(note.clone()) {
                ctx.note(note);
            }
        }
    }

    /// What naming a component grants.
    pub(super) fn granted(&mut self, id: &ExporterId, planned: &Planned, ctx: &mut Context<'_>) {
        let is_silent = matches!(planned.consent, Consent::BuiltIn | Consent::Approved(_));
        let has_target = planned.settings.output.is_some();
        let key = (id.clone(), planned.component.digest.clone());
        if (is_silent && !has_target) || !self.granted.insert(key) {
            return;
        }
        let asked = planned.component.grants();
        let text = granted(
            &Granted {
                name: id.as_str(),
                version: &planned.component.version,
                digest: &planned.component.digest,
                asked: &asked,
                variables: &planned.variables,
                output: planned.settings.output.as_deref(),
            },
            ctx.err_look,
        );
        // Nobody is left to tell.
        let _ = ctx.err.write_all(text.as_bytes());
    }

    /// What does not run, and what would let it run. Files that were there from the start are not in use for a reason that
    /// the operator knows; those that come later are mentioned.
    pub(super) fn idle(&mut self, all: &[Idle], files: &Files, is_start: bool) {
        for idle in all {
            let facts = files.get(&idle.file).and_then(|facts| facts.as_ref().ok());
            let digest = facts.map(|facts| facts.digest.clone());
            let state = idle.state.to_string();
            let is_new = self.idle.insert((idle.file.clone(), digest, state));
            let is_known = is_start && idle.state == IdleState::NotInUse;
            if is_new && !is_known {
                say_idle(idle, facts);
            }
        }
    }
}

fn say_idle(idle: &Idle, facts: Option<&FileFacts>) {
    let component = idle.file.display();
    let state = &idle.state;
    let needs_approval = matches!(
        state,
        IdleState::NeedsApproval | IdleState::Changed | IdleState::AsksForMore(_)
    );
    if !needs_approval {
        info!(%component, %state, "Component does not run.");
        return;
    }
    let signals: Vec<&str> = facts
        .iter()
        .flat_map(|facts| &facts.signals)
        .map(|signal| signal.name())
        .collect();
    let imports: BTreeSet<String> = facts
        .iter()
        .flat_map(|facts| facts.imports.iter().cloned())
        .collect();
    let (signals, imports) = (signals.join(" "), interfaces(&imports).join(" "));
    let command = format!("mastra-host plugin approve {component}");
    warn!(
        %component, %state, signals, imports, command,
        "Component does not run until it is approved; the command shows what it asks for."
    );
}
