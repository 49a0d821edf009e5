//! Which components run, and as which exporters. Pure: the caller lists the directory and reads the files.
//!
//! It goes in two steps, because a program that nobody approved must not run, not even to say its name.
//!
//! 1. [`Request::choose`] looks at what the files are by their bytes alone, and says which of them may be loaded, on whose
//!    word ([`Consent`]), and which exporters they are to be.
//! 2. [`Wanted::plan`] takes what a loaded component says of itself, and settles its exporters' settings and signals.
//!
//! - With `--plugin` only those components run, each with the config's entries for it or else with one of its own.
//! - Else the config's `exporters:` run, and the directory's other components that are approved or built in.
//! - A plain name means an approved or built-in component, never a file that merely lies there.
//! - A file that has changed since it was approved waits; what was approved runs on from the bytes that were kept.

mod choose;
mod plan;
pub mod reference;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Component, Path, PathBuf};

use super::component::ComponentFacts;
use super::settings::Resolved;
use super::{Config, ExporterConfig, ExporterId, Position, Problem};
use crate::approvals::{Approval, Approvals};
use crate::event::Signal;

pub use plan::{Outcome, Surroundings};

/// What a component's file is by its bytes alone; nothing of it has run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFacts {
    /// The path without links, for approvals.
    pub real: PathBuf,
    /// `sha256:` and hex.
    pub digest: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// The contract that it was built for: `mastra:observability@0.1.0`.
    pub contract: String,
    /// The signals whose interface it exports.
    pub signals: BTreeSet<Signal>,
    /// Full names of its imports.
    pub imports: Vec<String>,
}

/// The files that were looked at: those that are there.
pub type Files = BTreeMap<PathBuf, Result<FileFacts, String>>;

/// Where the bytes of a component come from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A file as it is now.
    File(PathBuf),
    /// The component of this name that is built into the host.
    BuiltIn(String),
    /// The bytes that were kept when they were approved.
    Kept {
        /// `sha256:` and hex.
        digest: String,
        /// The file that held them then.
        file: PathBuf,
        /// Where they are kept.
        bytes: PathBuf,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => write!(f, "{}", file.display()),
            Self::BuiltIn(name) => write!(f, "{name} (built in)"),
            Self::Kept { digest, file, .. } => {
                write!(f, "{} as approved ({})", file.display(), short(digest))
            }
        }
    }
}

impl Source {
    /// The bytes of this digest as they were kept when `file` was approved.
    #[must_use]
    pub fn kept(approvals: &Approvals, digest: &str, file: &Path) -> Self {
        Self::Kept {
            digest: digest.to_owned(),
            file: file.to_owned(),
            bytes: approvals.bytes_path(digest),
        }
    }
}

/// A digest as people can compare it.
#[must_use]
pub fn short(digest: &str) -> &str {
    let end = "sha256:".len() + 12;
    digest.get(..end).unwrap_or(digest)
}

/// On whose word a component runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Consent {
    /// `--plugin` names the file: for this run.
    CommandLine,
    /// The config's `exporters:` names the file; recorded when it first runs.
    Config,
    /// `plugin approve` recorded it.
    Approved(Box<Approval>),
    /// The host brings it along.
    BuiltIn,
    /// `plugins.discovery: all`
    Discovery,
    /// `plugins.upgrades: within_grants`: the file has changed since this approval.
    Upgrade(Box<Approval>),
}

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The checked config.
    pub config: &'a Config,
    /// `--plugin`: files or names.
    pub plugins: &'a [PathBuf],
    /// `--plugins-dir`, or the config's.
    pub directory: &'a Path,
    /// `.wasm` files of the directory.
    pub listing: &'a [PathBuf],
    /// What was approved.
    pub approvals: &'a Approvals,
    /// Digests of the components that are built in, by name.
    pub built_in: &'a BTreeMap<String, String>,
}

/// A component that may be loaded.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Where its bytes are.
    pub source: Source,
    /// The digest that they must have. `None`: as the file is when it is read.
    pub digest: Option<String>,
    /// Why it may.
    pub consent: Consent,
    /// Whether `--plugin` names it, so that what is wrong with it is bad usage.
    pub is_named: bool,
    /// The file that stands for it in lists.
    pub file: Option<PathBuf>,
    /// Exporters that the config names for it. None: one of the component's own name.
    pub entries: Vec<(ExporterId, ExporterConfig)>,
    /// The exporter that it is to be when the config names none, where that is known before it is loaded.
    pub id: Option<ExporterId>,
    /// What runs if this may not: the bytes that were approved.
    pub fallback: Option<Box<Wanted>>,
}

/// What is to be loaded, and what is not.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// To be loaded, each exporter once.
    pub wanted: Vec<Wanted>,
    /// Files that are not loaded, and why.
    pub idle: Vec<Idle>,
    /// What is wrong with the config or the command line.
    pub problems: Vec<Problem>,
    /// Exporters of the config that nothing runs for, and why. Their places in the queue are kept.
    pub waiting: BTreeMap<ExporterId, String>,
    /// Files that `--plugin` found in the plugins directory alone, and that nobody approved.
    pub unapproved: Vec<PathBuf>,
    /// What the operator should know of how a name was understood.
    pub notes: Vec<String>,
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
    /// Who let it run.
    pub consent: Consent,
    /// Whether `--plugin` names it.
    pub is_named: bool,
    /// Environment variables that it may read.
    pub variables: BTreeSet<String>,
}

/// A file that does not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idle {
    /// The file, or what stands for it.
    pub file: PathBuf,
    /// The component's name, where that is known.
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
    /// Nobody approved it.
    NeedsApproval,
    /// It has changed since it was approved; the approved bytes run on.
    Changed,
    /// It asks for more than was approved: these.
    AsksForMore(Vec<String>),
    /// It is being prepared.
    Preparing,
    /// It does not load, or does not start.
    Broken(String),
    /// `plugins.discovery` is off.
    NotNamed,
    /// `--plugin` names others.
    NotInUse,
}

impl fmt::Display for IdleState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingSettings(names) => write!(f, "inactive (missing {})", names.join(", ")),
            Self::BadSettings(problems) => write!(f, "inactive ({})", problems.join("; ")),
            Self::NeedsApproval => f.write_str("needs approval"),
            Self::Changed => {
                f.write_str("needs approval (the file has changed; the approved bytes run on)")
            }
            Self::AsksForMore(more) => {
                write!(f, "needs approval (now also asks for {})", more.join(", "))
            }
            Self::Preparing => f.write_str("preparing"),
            Self::Broken(reason) => write!(f, "inactive ({reason})"),
            Self::NotNamed => f.write_str("inactive (not named)"),
            Self::NotInUse => f.write_str("inactive (--plugin names others)"),
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

/// A problem of the command line.
fn usage(message: String, fix: Option<String>) -> Problem {
    Problem {
        at: Position::default(),
        path: String::new(),
        message,
        fix,
    }
}
