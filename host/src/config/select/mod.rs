//! Which components run, and as which exporters. Pure: the caller lists the directory and loads the files.
//!
//! - With `--plugin` only those components run, each with the config's entries for it or else with an entry of its own
//!   that the environment fills. A component that lacks a required setting is a problem.
//! - Else the config's `exporters:` run, and so do the directory's other components that are approved and have their
//!   required settings (unless `plugins.discovery: off`). The rest of the directory is idle, with the reason.
//! - The environment fills the settings of an exporter only when its id is the component's name.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Component, Path, PathBuf};

use super::component::ComponentFacts;
use super::lock::{Lock, Verdict};
use super::nearest::nearest;
use super::settings::{Resolved, SettingProblem, resolve};
use super::{
    ComponentRef, Config, Discovery, Environment, ExporterConfig, ExporterId, Position, Problem,
    SignalChoice,
};
use crate::event::Signal;

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The checked config.
    pub config: &'a Config,
    /// `--plugin`: files, or names of the plugins directory.
    pub plugins: &'a [PathBuf],
    /// `--plugins-dir`, or the config's.
    pub directory: &'a Path,
    /// `.wasm` files of the directory.
    pub listing: &'a [PathBuf],
    /// Files that still compile: they are planned again when they are done, and are idle until then.
    pub compiling: &'a BTreeSet<PathBuf>,
}

/// Components by file, or why one did not load.
pub type LoadedComponents = BTreeMap<PathBuf, Result<ComponentFacts, String>>;

/// What runs and what does not.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Exporters to start, by id.
    pub exporters: BTreeMap<ExporterId, Planned>,
    /// Components of the directory that no exporter uses.
    pub idle: Vec<Idle>,
    /// What keeps a named component from running: bad usage or config.
    pub problems: Vec<Problem>,
}

/// An exporter to start.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The component.
    pub component: ComponentFacts,
    /// The config's entry, or the defaults.
    pub config: ExporterConfig,
    /// Its settings.
    pub settings: Resolved,
    /// Signals that it gets.
    pub signals: BTreeSet<Signal>,
    /// Why it runs.
    pub reason: Reason,
}

/// Why an exporter runs: who granted what the component asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// `--plugin` names it.
    CommandLine,
    /// The config's `exporters:` names it.
    Config,
    /// It lies in the directory and the lock has it.
    Lock,
}

/// A component of the directory that does not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idle {
    /// The file.
    pub file: PathBuf,
    /// Facts, where it loaded.
    pub name: Option<String>,
    /// Why.
    pub state: IdleState,
}

/// Why a component is idle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdleState {
    /// These required settings are missing: environment variables where there are some.
    MissingSettings(Vec<String>),
    /// Its settings from the environment do not fit.
    BadSettings(Vec<String>),
    /// Dropped into the directory, or asks for more than was approved: these.
    NeedsApproval(Vec<String>),
    /// Loaded later.
    Compiling,
    /// Does not load.
    Broken(String),
    /// `plugins.discovery` is off, or `--plugin` names others.
    NotNamed,
}

impl fmt::Display for IdleState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingSettings(names) => write!(f, "inactive (missing {})", names.join(", ")),
            Self::BadSettings(problems) => write!(f, "inactive ({})", problems.join("; ")),
            Self::NeedsApproval(more) if more.is_empty() => f.write_str("needs approval"),
            Self::NeedsApproval(more) => {
                write!(f, "needs approval (now also asks for {})", more.join(", "))
            }
            Self::Compiling => f.write_str("compiling"),
            Self::Broken(reason) => write!(f, "does not load ({reason})"),
            Self::NotNamed => f.write_str("inactive (not named)"),
        }
    }
}

impl ComponentRef {
    /// The file that the reference stands for.
    #[must_use]
    pub fn file(&self, directory: &Path) -> PathBuf {
        match self {
            Self::Name(name) => directory.join(format!("{name}.wasm")),
            Self::File(file) => tidy(file),
        }
    }
}

/// A path without `.` parts, so that `./a.wasm` and `a.wasm` are the same file.
#[must_use]
pub fn tidy(path: &Path) -> PathBuf {
    path.components()
        .filter(|part| !matches!(part, Component::CurDir))
        .collect()
}

impl Request<'_> {
    /// Files to load, each once: what is named, and the directory where it matters.
    #[must_use]
    pub fn files(&self) -> BTreeSet<PathBuf> {
        let mut files: BTreeSet<PathBuf> = self
            .plugins
            .iter()
            .map(|plugin| self.plugin_file(plugin))
            .collect();
        if self.plugins.is_empty() {
            files.extend(
                self.config
                    .exporters
                    .values()
                    .map(|exporter| self.component_file(exporter)),
            );
            files.extend(self.listing.iter().map(|file| tidy(file)));
        }
        files
    }

    /// Works out what runs.
    #[must_use]
    pub fn plan(&self, loaded: &LoadedComponents, lock: &Lock, environment: &Environment) -> Plan {
        let mut plan = Plan::default();
        plan.idle.extend(self.compiling.iter().map(|file| Idle {
            file: file.clone(),
            name: None,
            state: IdleState::Compiling,
        }));
        if self.plugins.is_empty() {
            for (id, exporter) in &self.config.exporters {
                self.plan_configured(&mut plan, id, exporter, loaded, environment);
            }
            for file in self.listing {
                self.plan_listed(&mut plan, &tidy(file), loaded, lock, environment);
            }
        } else {
            for plugin in self.plugins {
                self.plan_named(&mut plan, &self.plugin_file(plugin), loaded, environment);
            }
        }
        plan
    }

    /// `--plugin langfuse` is the directory's; anything with a slash or `.wasm` is a path.
    fn plugin_file(&self, plugin: &Path) -> PathBuf {
        let is_name = plugin.components().count() == 1 && plugin.extension().is_none();
        if is_name {
            tidy(self.directory).join(plugin).with_extension("wasm")
        } else {
            tidy(plugin)
        }
    }

    fn component_file(&self, exporter: &ExporterConfig) -> PathBuf {
        exporter.component.file(&tidy(self.directory))
    }

    fn plan_configured(
        &self,
        plan: &mut Plan,
        id: &ExporterId,
        exporter: &ExporterConfig,
        loaded: &LoadedComponents,
        environment: &Environment,
    ) {
        let file = self.component_file(exporter);
        if self.compiling.contains(&file) {
            return;
        }
        let path = format!("exporters.{id}");
        match loaded.get(&file) {
            Some(Ok(component)) => {
                if let Some(planned) =
                    check(plan, id, exporter, component, Reason::Config, environment)
                {
                    plan.exporters.insert(id.clone(), planned);
                }
            }
            Some(Err(reason)) => {
                let problem = Problem {
                    at: exporter.at,
                    path,
                    message: format!("{}: {reason}", file.display()),
                    fix: self.other_component(exporter),
                };
                plan.problems.push(problem);
            }
            None => {
                let problem = Problem {
                    at: exporter.at,
                    path,
                    message: format!("{} was not loaded", file.display()),
                    fix: None,
                };
                plan.problems.push(problem);
            }
        }
    }

    /// The component of the directory that was meant, when the name is near one and not one.
    fn other_component(&self, exporter: &ExporterConfig) -> Option<String> {
        let ComponentRef::Name(name) = &exporter.component else {
            return None;
        };
        let stems: Vec<String> = self
            .listing
            .iter()
            .filter_map(|file| Some(file.file_stem()?.to_string_lossy().into_owned()))
            .collect();
        if stems.contains(name) {
            return None;
        }
        nearest(name, stems.iter().map(String::as_str))
            .map(|other| format!("did you mean `component: {other}`?"))
    }

    fn plan_named(
        &self,
        plan: &mut Plan,
        file: &Path,
        loaded: &LoadedComponents,
        environment: &Environment,
    ) {
        if self.compiling.contains(file) {
            return;
        }
        let shown = file.display();
        let component = match loaded.get(file) {
            Some(Ok(component)) => component,
            Some(Err(reason)) => return plan.problems.push(usage(format!("{shown}: {reason}"))),
            None => return plan.problems.push(usage(format!("{shown} was not loaded"))),
        };
        let mut entries: Vec<(ExporterId, ExporterConfig)> = self
            .config
            .exporters
            .iter()
            .filter(|(_, exporter)| {
                self.component_file(exporter) == file
                    || exporter.component == ComponentRef::Name(component.name.clone())
            })
            .map(|(id, exporter)| (id.clone(), exporter.clone()))
            .collect();
        if entries.is_empty() {
            match component.name.parse::<ExporterId>() {
                Ok(id) => entries.push((
                    id,
                    ExporterConfig {
                        component: ComponentRef::File(file.to_owned()),
                        ..ExporterConfig::default()
                    },
                )),
                Err(error) => return plan.problems.push(usage(format!("{shown}: {error}"))),
            }
        }
        for (id, exporter) in entries {
            if plan.exporters.contains_key(&id) {
                let message = format!("{shown}: exporter {id} is already there");
                plan.problems.push(Problem {
                    fix: Some("name each component once".to_owned()),
                    ..usage(message)
                });
            } else if let Some(planned) = check(
                plan,
                &id,
                &exporter,
                component,
                Reason::CommandLine,
                environment,
            ) {
                plan.exporters.insert(id, planned);
            }
        }
    }

    fn plan_listed(
        &self,
        plan: &mut Plan,
        file: &Path,
        loaded: &LoadedComponents,
        lock: &Lock,
        environment: &Environment,
    ) {
        let is_configured = |exporter| self.component_file(exporter) == file;
        if self.compiling.contains(file) || self.config.exporters.values().any(is_configured) {
            return;
        }
        let mut idle = |name: Option<&str>, state: IdleState| {
            plan.idle.push(Idle {
                file: file.to_owned(),
                name: name.map(str::to_owned),
                state,
            });
        };
        let component = match loaded.get(file) {
            Some(Ok(component)) => component,
            Some(Err(reason)) => return idle(None, IdleState::Broken(reason.clone())),
            None => return idle(None, IdleState::Broken("was not loaded".to_owned())),
        };
        let name = Some(component.name.as_str());
        let Ok(id) = component.name.parse::<ExporterId>() else {
            return idle(
                name,
                IdleState::Broken(format!("`{}` is not a name", component.name)),
            );
        };
        match lock.verdict(component) {
            _ if self.config.plugins.discovery == Discovery::Off => {
                return idle(name, IdleState::NotNamed);
            }
            Verdict::Unknown => return idle(name, IdleState::NeedsApproval(Vec::new())),
            Verdict::AsksForMore(more) => return idle(name, IdleState::NeedsApproval(more)),
            Verdict::Approved => {}
        }
        if self.config.exporters.contains_key(&id) || plan.exporters.contains_key(&id) {
            let state = IdleState::Broken(format!("exporter {id} is already there"));
            return plan.idle.push(Idle {
                file: file.to_owned(),
                name: name.map(str::to_owned),
                state,
            });
        }
        match resolve(
            &component.settings_schema,
            &super::RawSettings::default(),
            Some(environment),
        ) {
            Ok(settings) => {
                let config = ExporterConfig {
                    component: ComponentRef::File(file.to_owned()),
                    ..ExporterConfig::default()
                };
                let signals = component.signals.clone();
                let planned = Planned {
                    component: component.clone(),
                    config,
                    settings,
                    signals,
                    reason: Reason::Lock,
                };
                plan.exporters.insert(id, planned);
            }
            Err(problems) => idle(name, idle_state(&problems)),
        }
    }
}

fn idle_state(problems: &[SettingProblem]) -> IdleState {
    if problems.iter().all(SettingProblem::is_missing) {
        IdleState::MissingSettings(
            problems
                .iter()
                .map(|problem| problem.wanted_name().to_owned())
                .collect(),
        )
    } else {
        IdleState::BadSettings(problems.iter().map(ToString::to_string).collect())
    }
}

/// Settings and signals of one named exporter; problems go into the plan.
fn check(
    plan: &mut Plan,
    id: &ExporterId,
    exporter: &ExporterConfig,
    component: &ComponentFacts,
    reason: Reason,
    environment: &Environment,
) -> Option<Planned> {
    let reads_environment = id.as_str() == component.name;
    let is_in_file = exporter.at.line > 0;
    let path = format!("exporters.{id}");
    let mut is_fine = true;
    let signals = match &exporter.signals {
        SignalChoice::AllSupported => component.signals.clone(),
        SignalChoice::Only(chosen) => {
            for signal in chosen.difference(&component.signals) {
                is_fine = false;
                let supported: Vec<&str> = component
                    .signals
                    .iter()
                    .map(|signal| signal.name())
                    .collect();
                plan.problems.push(Problem {
                    at: exporter.at,
                    path: format!("{path}.signals"),
                    message: format!("{} does not export {signal}", component.name),
                    fix: Some(format!("it exports {}", supported.join(", "))),
                });
            }
            chosen.clone()
        }
    };
    let settings = match resolve(
        &component.settings_schema,
        &exporter.settings,
        reads_environment.then_some(environment),
    ) {
        Ok(settings) => settings,
        Err(problems) => {
            plan.problems.extend(problems.iter().map(|problem| {
                if is_in_file {
                    problem.in_config(&path, exporter.at)
                } else {
                    usage(format!("{}: {problem}", component.file.display()))
                }
            }));
            return None;
        }
    };
    is_fine.then(|| Planned {
        component: component.clone(),
        config: exporter.clone(),
        settings,
        signals,
        reason,
    })
}

/// A problem of the command line.
fn usage(message: String) -> Problem {
    Problem {
        at: Position::default(),
        path: String::new(),
        message,
        fix: None,
    }
}
