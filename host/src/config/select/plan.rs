//! The second step: what a loaded component becomes. See the [module](super).

use std::collections::{BTreeMap, BTreeSet};

use super::{Consent, Idle, IdleState, Planned, Wanted, usage};
use crate::approvals::{Approval, ApprovedBy, Grants};
use crate::config::claims::Claims;
use crate::config::component::ComponentFacts;
use crate::config::settings::{SettingProblem, Variables, resolve};
use crate::config::{
    ComponentRef, Config, Environment, ExporterConfig, ExporterId, Problem, SignalChoice,
};
use crate::event::Signal;

/// What a plan is made in.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// The checked config.
    pub config: &'a Config,
    /// The process environment.
    pub environment: &'a Environment,
    /// Who declares which variables.
    pub claims: &'a Claims,
    /// Now, RFC 3339, for approvals that are recorded on the way.
    pub now: &'a str,
}

/// What became of one [`Wanted`].
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Exporters to start, by id.
    pub exporters: BTreeMap<ExporterId, Planned>,
    /// Why nothing starts.
    pub idle: Option<Idle>,
    /// Exporters of the config that nothing starts for, and why.
    pub waiting: BTreeMap<ExporterId, String>,
    /// What is wrong with the config or the command line.
    pub problems: Vec<Problem>,
    /// Approvals that the operator has given by naming the component, to be recorded.
    pub record: Vec<Approval>,
}

impl Wanted {
    /// Works out what a component becomes that has loaded.
    #[must_use]
    pub fn plan(&self, component: &ComponentFacts, around: &Surroundings<'_>) -> Outcome {
        let mut outcome = Outcome::default();
        let asked = component.grants();
        if let Some(more) = self.more_than_granted(component, &asked) {
            self.leave(&mut outcome, component, IdleState::AsksForMore(more));
            return outcome;
        }
        let entries = match self.entries(component, around) {
            Ok(entries) => entries,
            Err(problem) => {
                outcome.problems.push(problem);
                return outcome;
            }
        };
        for (id, exporter) in entries {
            if let Some(more) = beyond_allowed(&exporter, &asked) {
                let state = IdleState::AsksForMore(more);
                outcome.waiting.insert(id, state.to_string());
                outcome.idle = Some(self.idle(component, state));
                continue;
            }
            self.plan_exporter(&mut outcome, &id, &exporter, component, around);
        }
        outcome
    }

    /// What became of one that did not load, or did not start.
    #[must_use]
    pub fn failed(&self, reason: &str) -> Outcome {
        let mut outcome = Outcome::default();
        if self.is_named {
            let message = format!("{}: {reason}", self.source);
            outcome.problems.push(usage(message, None));
            return outcome;
        }
        for (id, _) in &self.entries {
            outcome.waiting.insert(id.clone(), reason.to_owned());
        }
        outcome.idle = self.file.as_ref().map(|file| Idle {
            file: file.clone(),
            name: self.id.as_ref().map(ToString::to_string),
            state: IdleState::Broken(reason.to_owned()),
        });
        outcome
    }

    /// What the component asks for beyond its approval; `None` when all is covered.
    fn more_than_granted(&self, component: &ComponentFacts, asked: &Grants) -> Option<Vec<String>> {
        let (Consent::Approved(approval) | Consent::Upgrade(approval)) = &self.consent else {
            return None;
        };
        let mut more = asked.beyond(&approval.grants);
        if component.name != approval.name {
            more.push(format!("the name {}", component.name));
        }
        (!more.is_empty()).then_some(more)
    }

    fn entries(
        &self,
        component: &ComponentFacts,
        around: &Surroundings<'_>,
    ) -> Result<Vec<(ExporterId, ExporterConfig)>, Problem> {
        if !self.entries.is_empty() {
            return Ok(self.entries.clone());
        }
        if self.is_named {
            let by_name = ComponentRef::Name(component.name.clone());
            let exporters = around.config.exporters.iter();
            let named: Vec<_> = exporters
                .filter(|(_, exporter)| exporter.component == by_name)
                .map(|(id, exporter)| (id.clone(), exporter.clone()))
                .collect();
            if !named.is_empty() {
                return Ok(named);
            }
        }
        let id = match &self.id {
            Some(id) => id.clone(),
            None => component
                .name
                .parse()
                .map_err(|error| usage(format!("{}: {error}", self.source), None))?,
        };
        let component = ComponentRef::Name(component.name.clone());
        let config = ExporterConfig {
            component,
            ..ExporterConfig::default()
        };
        Ok(vec![(id, config)])
    }

    fn plan_exporter(
        &self,
        outcome: &mut Outcome,
        id: &ExporterId,
        exporter: &ExporterConfig,
        component: &ComponentFacts,
        around: &Surroundings<'_>,
    ) {
        let path = format!("exporters.{id}");
        let signals = match signals(&path, exporter, component) {
            Ok(signals) => signals,
            Err(problems) => return outcome.problems.extend(problems),
        };
        let approved = self.approved_variables(exporter, component, around);
        let variables = Variables {
            environment: around.environment,
            approved: &approved,
        };
        // The environment fills the settings of an exporter only when its id is the component's name.
        let reads_environment = id.as_str() == component.name;
        let resolved = resolve(
            &component.settings_schema,
            &exporter.settings,
            reads_environment.then_some(&variables),
        );
        let settings = match resolved {
            Ok(settings) => settings,
            Err(problems) => {
                return self.not_set_up(outcome, id, exporter, component, &problems);
            }
        };
        if let Some(allow) = &exporter.grant.allow
            && let Some(target) = &settings.output
            && !allow.output.is_empty()
            && !allow.output.contains(target)
        {
            let state = IdleState::AsksForMore(vec![format!(
                "output {target}, which `allow` does not list"
            )]);
            outcome.waiting.insert(id.clone(), state.to_string());
            outcome.idle = Some(self.idle(component, state));
            return;
        }
        if let Some(approval) = self.to_record(id, component, approved.clone(), around) {
            outcome.record.push(approval);
        }
        let planned = Planned {
            component: component.clone(),
            config: exporter.clone(),
            settings,
            signals,
            consent: self.consent.clone(),
            is_named: self.is_named,
            variables: approved,
        };
        outcome.exporters.insert(id.clone(), planned);
    }

    /// Variables that may fill the settings: the component's own, those of its approval, and those of the config.
    fn approved_variables(
        &self,
        exporter: &ExporterConfig,
        component: &ComponentFacts,
        around: &Surroundings<'_>,
    ) -> BTreeSet<String> {
        let declared: Vec<String> = component.grants().environment.into_iter().collect();
        let mut approved = around
            .claims
            .own(&component.name, &component.digest, &declared);
        if let Consent::Approved(approval) | Consent::Upgrade(approval) = &self.consent {
            approved.extend(approval.variables.iter().cloned());
        }
        if let Some(allow) = &exporter.grant.allow {
            approved.extend(allow.env.iter().cloned());
        }
        approved
    }

    /// Naming a file in the config approves what it holds now, so that another program at its place waits.
    fn to_record(
        &self,
        id: &ExporterId,
        component: &ComponentFacts,
        variables: BTreeSet<String>,
        around: &Surroundings<'_>,
    ) -> Option<Approval> {
        let (file, variables, by) = match &self.consent {
            Consent::Config => (self.real_file(component), variables, ApprovedBy::Config),
            // The host's own component in a file of the operator's: when the file changes, this is what runs on.
            Consent::BuiltIn if !self.is_named && self.file.is_some() => {
                (self.real_file(component), variables, ApprovedBy::Host)
            }
            Consent::Upgrade(before) => (before.file.clone(), before.variables.clone(), before.by),
            _ => return None,
        };
        Some(Approval {
            exporter: id.to_string(),
            digest: component.digest.clone(),
            name: component.name.clone(),
            version: component.version.clone(),
            file,
            grants: component.grants(),
            variables,
            by,
            approved_at: around.now.to_owned(),
        })
    }

    fn real_file(&self, component: &ComponentFacts) -> Option<std::path::PathBuf> {
        component.real_file.clone().or_else(|| self.file.clone())
    }

    /// Settings of the config that are wrong are a broken config; what is missing or wrong elsewhere concerns the
    /// component alone.
    fn not_set_up(
        &self,
        outcome: &mut Outcome,
        id: &ExporterId,
        exporter: &ExporterConfig,
        component: &ComponentFacts,
        problems: &[SettingProblem],
    ) {
        let is_in_file = exporter.at.line > 0;
        let path = format!("exporters.{id}");
        if is_in_file && problems.iter().all(SettingProblem::is_of_component) {
            let state = idle_state(problems);
            outcome.waiting.insert(id.clone(), state.to_string());
            outcome.idle = Some(self.idle(component, state));
        } else if is_in_file {
            let in_config = problems
                .iter()
                .map(|problem| problem.in_config(&path, exporter.at));
            outcome.problems.extend(in_config);
        } else if self.is_named {
            let named = problems
                .iter()
                .map(|problem| usage(format!("{}: {problem}", self.source), None));
            outcome.problems.extend(named);
        } else {
            outcome.idle = Some(self.idle(component, idle_state(problems)));
        }
    }

    fn leave(&self, outcome: &mut Outcome, component: &ComponentFacts, state: IdleState) {
        for (id, _) in &self.entries {
            outcome.waiting.insert(id.clone(), state.to_string());
        }
        outcome.idle = Some(self.idle(component, state));
    }

    fn idle(&self, component: &ComponentFacts, state: IdleState) -> Idle {
        Idle {
            file: self
                .file
                .clone()
                .unwrap_or_else(|| self.source.to_string().into()),
            name: Some(component.name.clone()),
            state,
        }
    }
}

/// What the component asks for beyond `component.allow`; `None` when there is no such key or all is covered.
fn beyond_allowed(exporter: &ExporterConfig, asked: &Grants) -> Option<Vec<String>> {
    let allow = exporter.grant.allow.as_ref()?;
    let more: Vec<String> = asked
        .hosts
        .difference(&allow.hosts)
        .map(|host| format!("host {host}, which `allow` does not list"))
        .collect();
    (!more.is_empty()).then_some(more)
}

fn signals(
    path: &str,
    exporter: &ExporterConfig,
    component: &ComponentFacts,
) -> Result<BTreeSet<Signal>, Vec<Problem>> {
    let SignalChoice::Only(chosen) = &exporter.signals else {
        return Ok(component.signals.clone());
    };
    let problems: Vec<Problem> = chosen
        .difference(&component.signals)
        .map(|signal| {
            let supported: Vec<&str> = component
                .signals
                .iter()
                .map(|signal| signal.name())
                .collect();
            Problem {
                at: exporter.at,
                path: format!("{path}.signals"),
                message: format!("{} does not export {signal}", component.name),
                fix: Some(format!("it exports {}", supported.join(", "))),
            }
        })
        .collect();
    if problems.is_empty() {
        Ok(chosen.clone())
    } else {
        Err(problems)
    }
}

fn idle_state(problems: &[SettingProblem]) -> IdleState {
    if problems.iter().all(SettingProblem::is_missing) {
        let names = problems.iter().map(SettingProblem::wanted_name);
        IdleState::MissingSettings(names.map(str::to_owned).collect())
    } else {
        IdleState::BadSettings(problems.iter().map(ToString::to_string).collect())
    }
}
