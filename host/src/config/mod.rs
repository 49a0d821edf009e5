//! The config: YAML and environment in, a checked [`Config`] out, or every problem at once.
//!
//! Reading goes in steps: `tree` (text to nodes with lines), `validate` (nodes to [`Config`], with `defaults`), and, once
//! the components are loaded, `settings` (what each exporter gets) and `select` (which components run). All of it is
//! pure: the caller reads the files and the environment. Nothing past `validate` sees an `Option` that means "default".
//!
//! Every room may import this one. Relative paths in a config are relative to the working directory.

pub mod claims;
pub mod component;
mod component_ref;
pub mod defaults;
mod delivery;
pub mod env;
pub mod id;
pub mod nearest;
pub mod problem;
mod read;
pub mod receivers;
pub mod secret;
pub mod select;
mod sending_queue;
pub mod settings;
pub mod shape;
pub mod tls;
pub mod tree;
pub mod units;
mod validate;
pub mod variables;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde_json::{Map, Value};
use url::Url;

pub use env::Environment;
pub use id::ExporterId;
pub use problem::{Position, Problem};
pub use receivers::{AcceptedToken, Access, GrpcReceiver, HttpReceiver, Receivers};
pub use secret::Secret;
pub use tls::Tls;

use crate::deliver::dead_letter::LetterBounds;
use crate::event::Signal;

/// The whole config, checked, defaults filled in.
#[derive(Clone, Debug)]
pub struct Config {
    /// What listens.
    pub receivers: Receivers,
    /// Where components are found.
    pub plugins: Plugins,
    /// Where the host keeps its own files.
    pub storage: Storage,
    /// The one log in front of all exporters.
    pub sending_queue: SendingQueue,
    /// Exporters that the file names, by id.
    pub exporters: BTreeMap<ExporterId, ExporterConfig>,
}

/// A place to listen: `127.0.0.1:4318`, `[::1]:4318`, `localhost:4318`. Port 0 lets the system choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Address or host name, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// Where to listen, if at all: an [`Endpoint`], or `off`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// Not at all.
    Off,
    /// There.
    At(Endpoint),
}

impl std::str::FromStr for Listen {
    type Err = NotAnEndpoint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "off" => Ok(Self::Off),
            endpoint => endpoint.parse().map(Self::At),
        }
    }
}

/// The text is not an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not an endpoint; write `address:port`, such as `127.0.0.1:4318`, or `0.0.0.0:4318` for all addresses"
)]
pub struct NotAnEndpoint(String);

/// `plugins`
#[derive(Clone, Debug)]
pub struct Plugins {
    /// `directory`: every `.wasm` file in it is a component.
    pub directory: PathBuf,
    /// `discovery`: which components of the directory run that the config does not name.
    pub discovery: Discovery,
    /// `upgrades`: what becomes of an approved file that has changed.
    pub upgrades: Upgrades,
}

/// `plugins.discovery`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discovery {
    /// `approved`: components of the directory run when they are approved, or built in, and have their settings.
    Approved,
    /// `all`: every component of the directory runs with what it asks for, except the powers that only an operator names.
    All,
    /// `off`: only what the config or the command line names runs.
    Off,
}

/// `plugins.upgrades`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Upgrades {
    /// `approve`: the changed file waits for approval, and the approved bytes run on.
    #[default]
    Approve,
    /// `within_grants`: the changed file runs if it asks for nothing more than the one that was approved.
    WithinGrants,
}

/// `storage`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// `directory`: made with mode 0700.
    pub directory: PathBuf,
    /// `local.max_age`: how long the local store keeps a record.
    pub local_max_age: Duration,
    /// `local.max_size`: bytes of the local store.
    pub local_max_bytes: u64,
}

/// `sending_queue.storage`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueueStorage {
    /// `disk`: accepted means synced.
    #[default]
    Disk,
    /// `memory`: faster; what waits is lost with the process.
    Memory,
}

/// `sending_queue`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendingQueue {
    /// `storage`: where events wait.
    pub storage: QueueStorage,
    /// `max_disk`: bytes of all files of a queue on disk.
    pub max_disk_bytes: u64,
    /// `retire_after`: how long the place of an exporter is kept that no longer runs.
    pub retire_after: Duration,
    /// `max_memory`: bytes of waiting events, of a queue in memory.
    pub max_memory_bytes: u64,
    /// `repeat_window`: how long repeats are recognised. Zero: never.
    pub repeat_window: Duration,
    /// `max_index_memory`: bytes of memory for the index of a queue on disk.
    pub max_index_bytes: u64,
    /// `dead_letters`
    pub dead_letters: DeadLetters,
}

/// `sending_queue.dead_letters`: what is kept of what could not be delivered or accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadLetters {
    /// `exporters`: events that exporters gave up.
    pub exporters: LetterBounds,
    /// `receivers`: items that receivers refused.
    pub receivers: LetterBounds,
}

/// `exporters.<id>`
#[derive(Clone, Debug)]
pub struct ExporterConfig {
    /// Where the entry stands.
    pub at: Position,
    /// `component`, or `component.file`
    pub component: ComponentRef,
    /// `component.digest` and `component.allow`
    pub grant: ConfigGrant,
    /// `settings`
    pub settings: RawSettings,
    /// `signals`
    pub signals: SignalChoice,
    /// `shape`
    pub shape: shape::Shape,
    /// How events are batched, sent and kept.
    pub delivery: Delivery,
    /// `limits`
    pub limits: Limits,
    /// `http` and `timeout`
    pub http: ExporterHttp,
}

/// Which component is meant: by `exporters.<id>.component`, by `--plugin`, and by the commands that take a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ComponentRef {
    /// A name: an approved component, or one that is built in.
    Name(String),
    /// A path: anything with a slash or ending in `.wasm`. In the current folder, else in the plugins directory.
    File(PathBuf),
}

/// `exporters.<id>.component.{digest, allow}`: an approval that the config declares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigGrant {
    /// `digest`: only these bytes run. `sha256:` and hex.
    pub digest: Option<String>,
    /// `allow`: what the component may have at most.
    pub allow: Option<Allow>,
}

/// `exporters.<id>.component.allow`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allow {
    /// `hosts`: origins, and `setting:NAME` for the origin that a setting holds.
    pub hosts: BTreeSet<String>,
    /// `env`: environment variables, beside the component's own.
    pub env: BTreeSet<String>,
    /// `output`: targets of the `output` import.
    pub output: BTreeSet<String>,
}

impl ComponentRef {
    /// Reads what a user wrote.
    #[must_use]
    pub fn parse(text: &std::path::Path) -> Self {
        let shown = text.to_string_lossy();
        if shown.contains(['/', '\\']) || shown.ends_with(".wasm") {
            Self::File(text.to_owned())
        } else {
            Self::Name(shown.into_owned())
        }
    }
}

/// `exporters.<id>.signals`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignalChoice {
    /// All that the component supports.
    AllSupported,
    /// These; each must be supported.
    Only(BTreeSet<Signal>),
}

/// `exporters.<id>.{sending_queue, batch, retry_on_failure, num_consumers}`
#[derive(Clone, Debug)]
pub struct Delivery {
    /// `sending_queue`
    pub queue: ExporterQueue,
    /// `batch`
    pub batch: Batch,
    /// `retry_on_failure`
    pub retry: Retry,
    /// `num_consumers`: instances of the component, and so calls, at once. Stateful components have one.
    pub num_consumers: u32,
}

/// `exporters.<id>.sending_queue`
#[derive(Clone, Debug)]
pub struct ExporterQueue {
    /// `on_full`
    pub on_full: OnFull,
    /// `max_lag_bytes`: how far the exporter may fall behind; none: as far as the log is long.
    pub max_lag_bytes: Option<u64>,
    /// `start_at`
    pub start_at: StartAt,
}

/// `start_at`: where an exporter begins that the queue does not know yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// `head`: with the next event.
    Head,
    /// `oldest`: with the oldest event that is kept for another exporter.
    Oldest,
}

/// `on_full`: what gives way when the exporter has fallen too far behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFull {
    /// `refuse`: receivers answer 503 until there is room.
    Refuse,
    /// `drop_oldest`: the exporter's oldest events are dropped and counted.
    DropOldest,
}

/// `exporters.<id>.batch`
#[derive(Clone, Debug)]
pub struct Batch {
    /// `max_items`; the component's own limit also holds.
    pub max_items: u32,
    /// `max_bytes` of event text; the component's own limit also holds.
    pub max_bytes: u64,
    /// `timeout`: how long the first event waits for others.
    pub timeout: Duration,
}

/// `exporters.<id>.retry_on_failure`
#[derive(Clone, Debug)]
pub struct Retry {
    /// `initial_interval`, before jitter.
    pub initial_interval: Duration,
    /// `max_interval`
    pub max_interval: Duration,
    /// `max_elapsed_time`: then the event is a dead letter. `None` (written `0`): never.
    pub max_elapsed_time: Option<Duration>,
    /// `on_unknown_outcome`
    pub on_unknown_outcome: OnUnknownOutcome,
}

/// `on_unknown_outcome`: what becomes of events that may have been stored by a backend that does not recognise repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnUnknownOutcome {
    /// `resend`
    Resend,
    /// `dead_letter`
    DeadLetter,
}

/// `exporters.<id>.limits`
#[derive(Clone, Debug)]
pub struct Limits {
    /// `memory` of one instance, bytes.
    pub memory_bytes: u64,
    /// `cpu_time` of one call.
    pub cpu_time: Duration,
    /// `call_timeout`: wall clock of one call.
    pub call_timeout: Duration,
    /// `output_size`: bytes of its output's files.
    pub output_bytes: u64,
    /// `store_size`: bytes of its rows in the local store; none: as much as the store may hold.
    pub store_bytes: Option<u64>,
}

/// `exporters.<id>.http`, and the exporter's `timeout`
#[derive(Clone)]
pub struct ExporterHttp {
    /// `timeout` of one request.
    pub timeout: Duration,
    /// `max_response_body_size`, decoded bytes.
    pub max_response_body_bytes: u64,
    /// `proxy`: `http`, `https` or `socks5`. None: direct; the environment's proxy is never used.
    pub proxy: Option<Url>,
    /// `ca_file`: PEM certificates trusted in addition to the system's.
    pub ca_file: Option<PathBuf>,
    /// `client_cert` and `client_key`, PEM files.
    pub client_certificate: Option<ClientCertificate>,
    /// `compression`
    pub compression: Compress,
    /// `allow_metadata`: whether a setting may name a cloud's metadata service.
    pub allows_metadata: bool,
}

impl fmt::Debug for ExporterHttp {
    /// Without the proxy's user and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExporterHttp")
            .field("timeout", &self.timeout)
            .field("max_response_body_bytes", &self.max_response_body_bytes)
            .field("proxy", &self.proxy.as_ref().and_then(Url::host_str))
            .field("ca_file", &self.ca_file)
            .field("client_certificate", &self.client_certificate)
            .field("compression", &self.compression)
            .field("allows_metadata", &self.allows_metadata)
            .finish()
    }
}

/// `compression`: whether request bodies are compressed when the component asks for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compress {
    /// `auto`: except for a backend on this machine, where it costs time and saves nothing.
    #[default]
    Auto,
    /// `always`
    Always,
    /// `never`
    Never,
}

/// A client certificate: both files are there or neither.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// PEM chain.
    pub cert_file: PathBuf,
    /// PEM private key.
    pub key_file: PathBuf,
}

/// Settings as the file has them; which are secret is known only once the component is loaded, so `Debug` shows keys.
#[derive(Clone, Default)]
pub struct RawSettings {
    /// Values with references filled in.
    pub values: Map<String, Value>,
    /// Where each setting stands.
    pub positions: BTreeMap<String, Position>,
}

impl fmt::Debug for RawSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

/// A config as far as it could be read, and what is wrong with it. Use it only when `problems` is empty; `validate`
/// goes on with the rest to list the problems of settings too.
#[derive(Debug)]
pub struct Loaded {
    /// Broken values are replaced by their defaults.
    pub config: Config,
    /// In the order of the file.
    pub problems: Vec<Problem>,
}

/// Reads a config text.
#[must_use]
pub fn load(text: &str, environment: &Environment) -> Loaded {
    let problems = problem::Problems::default();
    let tree = tree::parse(text, environment, &problems);
    let config = validate::config(&tree, &problems);
    Loaded {
        config,
        problems: problems.into_sorted(),
    }
}

impl Default for Config {
    /// What an empty file says.
    fn default() -> Self {
        load("", &Environment::new()).config
    }
}

impl Default for ExporterConfig {
    /// What an empty entry says; `component` is meaningless until it is set.
    fn default() -> Self {
        validate::default_exporter()
    }
}

impl FromStr for Endpoint {
    type Err = NotAnEndpoint;

    fn from_str(text: &str) -> Result<Self, NotAnEndpoint> {
        let bad = || NotAnEndpoint(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
        let port = port.parse().map_err(|_| bad())?;
        let host = match host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            Some(address) => address
                .parse::<std::net::Ipv6Addr>()
                .map(|ip| ip.to_string())
                .map_err(|_| bad())?,
            None => host.to_owned(),
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let is_host = !host.is_empty()
            && (host.parse::<std::net::IpAddr>().is_ok() || host.chars().all(is_name));
        // An IPv6 address without brackets would take its last group for the port.
        if !is_host || (host.contains(':') && !text.starts_with('[')) {
            return Err(bad());
        }
        Ok(Self { host, port })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}
