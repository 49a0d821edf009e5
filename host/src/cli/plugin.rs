//! `plugin ls`, `approve` and `revoke` as they are typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{DataDirArg, OutputArg, PlacesArg};
use crate::config::ExporterId;

/// `plugin ...`
#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// List components with their state and grants.
    Ls(PluginLsArgs),
    /// Let components run with what they ask for. A host that runs is asked to do it.
    Approve(PluginApproveArgs),
    /// Take approvals back. A host that runs is asked to do it.
    Revoke(PluginRevokeArgs),
}

/// `plugin ls`
#[derive(Debug, Args)]
pub struct PluginLsArgs {
    /// Directory of components [default: plugins, or the config's]
    #[arg(long, value_name = "DIR")]
    pub plugins_dir: Option<PathBuf>,

    /// Directory of approvals [default: mastra-host in the user's state directory]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,

    /// Config file: what it names is active
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Data directory: a host that has its queue there says what it does [default: the config's]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub output: OutputArg,
}

/// `plugin approve`
#[derive(Debug, Args)]
#[command(
    after_help = "An approval is bound to the digest of the file: a changed file has to be approved again, and what was
approved runs on until then.

Examples:
  mastra-host plugin approve plugins/acme.wasm
  mastra-host plugin approve acme --env TEAM_TOKEN
  mastra-host plugin approve acme --print-config >> host.yaml"
)]
pub struct PluginApproveArgs {
    /// The components: files, names in the plugins directory, or digests (sha256:...)
    #[arg(value_name = "COMPONENT", required = true)]
    pub components: Vec<PathBuf>,

    /// An environment variable that the component may read, beside its own. Repeatable
    #[arg(long = "env", value_name = "NAME")]
    pub variables: Vec<String>,

    /// The exporter that it may run as [default: the component's name]
    #[arg(long, value_name = "ID")]
    pub exporter: Option<ExporterId>,

    /// Record nothing; print the approval as a block of a config file
    #[arg(long)]
    pub print_config: bool,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub places: PlacesArg,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub data_dir: DataDirArg,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub output: OutputArg,
}

/// `plugin revoke`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mastra-host plugin revoke acme
  mastra-host plugin revoke plugins/acme.wasm")]
pub struct PluginRevokeArgs {
    /// What to take back: exporters or components by name, files, or digests (sha256:...)
    #[arg(value_name = "COMPONENT", required = true)]
    pub components: Vec<PathBuf>,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub places: PlacesArg,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub data_dir: DataDirArg,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub output: OutputArg,
}
