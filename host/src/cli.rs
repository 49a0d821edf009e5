//! The command line: clap types only. What the commands do is in `commands/`; exit codes are in [`crate::commands::Exit`].

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::nearest::nearest;
use crate::config::units::{DURATION_FIX, parse_duration};
use crate::config::{Endpoint, Listen, defaults};
use crate::event::Signal;
use crate::event::subject::Subject;
use crate::scaffold::{Language, Name};

mod plugin;

pub use plugin::{PluginApproveArgs, PluginCommand, PluginLsArgs, PluginRevokeArgs};

pub use listeners::ListenerArgs;

mod listeners;

/// Receives the telemetry of AI agents once, keeps it safe, and delivers it to every backend.
#[derive(Debug, Parser)]
#[command(
    name = "mastra-host",
    version,
    about,
    disable_help_subcommand = true,
    after_help = "Exit codes: 0 fine, 1 failed, 2 bad usage or config, 3 finished but something was not delivered."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// Log more; twice logs everything. MASTRA_HOST_LOG=FILTER is finer.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the host; with --input, deliver a file of events, report, exit.
    Run(RunArgs),
    /// Write the project of a new exporter, in a folder of its name.
    New(NewArgs),
    /// Show what a component is, supports and asks for.
    Inspect(InspectArgs),
    /// Try a component without a backend: events, replies, life cycle; says what to fix.
    Test(TestArgs),
    /// Show which component supports which signal.
    Matrix(MatrixArgs),
    /// Check a config file: every problem at once, without the network.
    Validate(ValidateArgs),
    /// List and approve the components of the plugins directory.
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Look at events that were given up, and send them again. A host that runs is asked to do it.
    #[command(subcommand)]
    Dlq(DlqCommand),
    /// Look at what waits for which exporter. A host that runs is asked to do it.
    #[command(subcommand)]
    Queue(QueueCommand),
    /// Remove what is known of a trace, a user or a session. A host that runs is asked to do it.
    Purge(PurgeArgs),
    /// Show what the local store holds, which the component `default` fills.
    #[command(subcommand)]
    Show(ShowCommand),
}

/// `show ...`
#[derive(Debug, Subcommand)]
pub enum ShowCommand {
    /// List the newest traces.
    Traces(ShowArgs),
    /// Show one trace as a tree, with its logs, scores and feedback.
    Trace(ShowTraceArgs),
    /// List the newest log records.
    Logs(ShowArgs),
    /// List the newest measurements.
    Metrics(ShowArgs),
    /// List the newest evaluation scores.
    Scores(ShowArgs),
    /// List the newest user feedback.
    Feedback(ShowArgs),
}

/// `show traces`, `logs`, `metrics`, `scores`, `feedback`
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// At most so many, the newest
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub limit: u32,

    /// Of this trace only
    #[arg(long, value_name = "TRACE_ID")]
    pub trace: Option<String>,

    /// Which exporter stored them
    #[arg(long, value_name = "ID", default_value = "default")]
    pub exporter: String,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub data_dir: DataDirArg,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub output: OutputArg,
}

/// `show trace`
#[derive(Debug, Args)]
pub struct ShowTraceArgs {
    /// The trace's id, or how it begins
    #[arg(value_name = "TRACE_ID")]
    pub id: String,

    /// Which exporter stored it
    #[arg(long, value_name = "ID", default_value = "default")]
    pub exporter: String,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub data_dir: DataDirArg,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub output: OutputArg,
}

/// `dlq ...`
#[derive(Debug, Subcommand)]
pub enum DlqCommand {
    /// List dead letters.
    Ls(DlqArgs),
    /// Show one dead letter with its payload.
    Show(DlqShowArgs),
    /// Let dead letters wait again for their exporter.
    Replay(DlqArgs),
    /// Write dead letters as NDJSON to stdout.
    Export(DlqArgs),
    /// Remove dead letters.
    Purge(DlqArgs),
}

/// `queue ...`
#[derive(Debug, Subcommand)]
pub enum QueueCommand {
    /// List exporters with what waits for them.
    Ls(QueueLsArgs),
    /// Remove an exporter's place, and let go of what waits for it.
    Forget(QueueForgetArgs),
}

/// Where the host's own files are.
#[derive(Clone, Debug, Args)]
pub struct DataDirArg {
    /// Directory of the host's own files
    #[arg(long = "data-dir", value_name = "DIR", default_value = defaults::STORAGE_DIRECTORY)]
    pub data_dir: PathBuf,
}

/// Where components and approvals are.
#[derive(Clone, Debug, Args)]
pub struct PlacesArg {
    /// Directory of components
    #[arg(long, value_name = "DIR", default_value = defaults::PLUGINS_DIRECTORY)]
    pub plugins_dir: PathBuf,

    /// Directory of approvals [default: mastra-host in the user's state directory]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}

/// `dlq ls`, `replay`, `export`, `purge`: which letters.
#[derive(Debug, Args)]
#[command(
    after_help = "Everything that is named must hold. `replay` and `purge` want at least one, or --all."
)]
pub struct DlqArgs {
    /// These letters alone
    #[arg(value_name = "ID")]
    pub ids: Vec<u64>,

    /// Given up by this exporter
    #[arg(long, value_name = "ID")]
    pub exporter: Option<String>,

    /// Refused by this receiver
    #[arg(long, value_name = "NAME")]
    pub receiver: Option<String>,

    /// Of this signal
    #[arg(long, value_name = "SIGNAL", value_parser = signal)]
    pub signal: Option<Signal>,

    /// The reason contains this
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,

    /// All of them
    #[arg(long)]
    pub all: bool,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub data_dir: DataDirArg,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub output: OutputArg,
}

/// `dlq show`
#[derive(Debug, Args)]
pub struct DlqShowArgs {
    /// The letter
    #[arg(value_name = "ID")]
    pub id: u64,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub data_dir: DataDirArg,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub output: OutputArg,
}

/// `queue ls`
#[derive(Debug, Args)]
pub struct QueueLsArgs {
    #[allow(missing_docs)]
    #[command(flatten)]
    pub data_dir: DataDirArg,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub output: OutputArg,
}

/// `queue forget`
#[derive(Debug, Args)]
pub struct QueueForgetArgs {
    /// The exporter
    #[arg(value_name = "EXPORTER")]
    pub exporter: String,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub data_dir: DataDirArg,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub output: OutputArg,
}

/// `purge`
#[derive(Debug, Args)]
#[command(
    after_help = "Looks through the local store and the dead letters. With the events that name a user or a session go all
events of their traces. Backends keep what they were sent.

Example:
  mastra-host purge --user user-42"
)]
pub struct PurgeArgs {
    #[allow(missing_docs)]
    #[command(flatten)]
    pub what: PurgeWhat,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub data_dir: DataDirArg,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub output: OutputArg,
}

/// `purge`: of what.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct PurgeWhat {
    /// Events of this trace
    #[arg(long, value_name = "ID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub trace: Option<String>,

    /// Events of this user
    #[arg(long, value_name = "ID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub user: Option<String>,

    /// Events of this session
    #[arg(long, value_name = "ID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub session: Option<String>,
}

impl PurgeArgs {
    /// The one that is named.
    #[must_use]
    pub fn subject(&self) -> Subject {
        let what = &self.what;
        let user = || what.user.clone().map(Subject::User);
        let session = || what.session.clone().map(Subject::Session);
        let trace = what.trace.clone().map(Subject::Trace);
        // One of them is required.
        let named = trace.or_else(user).or_else(session);
        named.unwrap_or_else(|| Subject::Trace(String::new()))
    }
}

/// `run`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mastra-host run --plugin json                          settings come from the environment
  mastra-host run --plugin ./acme.wasm
  mastra-host run --config host.yaml
  mastra-host run --plugin json --input events.ndjson --output json")]
pub struct RunArgs {
    /// Config file (YAML)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Run only this component: a file, or a name that is approved or built in. Repeatable
    #[arg(long = "plugin", value_name = "COMPONENT")]
    pub plugins: Vec<PathBuf>,

    /// Directory of components [default: plugins]
    #[arg(long, value_name = "DIR")]
    pub plugins_dir: Option<PathBuf>,

    /// Address and port to listen on [default: 127.0.0.1:4318, with --input none]
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<Endpoint>,

    /// The same for OTLP/gRPC, or off [default: 127.0.0.1:4317, with --input none]
    #[arg(long, value_name = "ADDR:PORT|off")]
    pub listen_grpc: Option<Listen>,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub listeners: ListenerArgs,

    /// Directory of the host's own files [default: mastra-host-data]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// Directory of approvals [default: mastra-host in the user's state directory]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,

    /// Read events (NDJSON) from a file, or - for stdin; deliver all, report, exit
    #[arg(long, value_name = "FILE|-")]
    pub input: Option<PathBuf>,

    /// Give up on --input after this long
    #[arg(long, value_name = "TIME", value_parser = timeout, default_value = "5m", requires = "input")]
    pub timeout: Duration,

    /// How logs on stderr look
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub output: OutputArg,
}

/// `new`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mastra-host new acme-board --lang python
  mastra-host new acme-board --lang rust --signals traces,scores")]
pub struct NewArgs {
    /// Of the exporter: kebab case, such as acme-board
    #[arg(value_name = "NAME", value_parser = Name::parse)]
    pub name: Name,

    /// Language of the project
    #[arg(
        long = "lang",
        value_enum,
        value_name = "rust|js|python|go|c",
        hide_possible_values = true
    )]
    pub language: Language,

    /// What the backend can take: traces, logs, metrics, scores, feedback
    #[arg(long, value_name = "SIGNALS", value_delimiter = ',', value_parser = signal, default_value = "traces")]
    pub signals: Vec<Signal>,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub output: OutputArg,
}

/// `inspect`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mastra-host inspect plugins/acme.wasm
  mastra-host inspect plugins/acme.wasm --output json")]
pub struct InspectArgs {
    /// The component: a file, or a name that is approved or built in
    #[arg(value_name = "COMPONENT")]
    pub component: PathBuf,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub places: PlacesArg,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub output: OutputArg,
}

/// `test`
#[derive(Debug, Args)]
#[command(
    after_help = "Settings that the component requires are made up where --set does not give them. Nothing leaves this
process. Exit codes: 0 nothing failed, 1 something failed, 2 bad usage.

Examples:
  mastra-host test plugins/acme.wasm
  mastra-host test acme.wasm --signals traces --set region=eu --fixtures events/
  mastra-host test acme.wasm --golden golden/ --update"
)]
pub struct TestArgs {
    /// The component: a file, or a name that is approved or built in
    #[arg(value_name = "COMPONENT")]
    pub component: PathBuf,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub places: PlacesArg,

    /// Only these signals [default: all that it exports]
    #[arg(long, value_name = "SIGNAL,...", value_parser = signal, value_delimiter = ',')]
    pub signals: Vec<Signal>,

    /// A setting. Repeatable
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = assignment)]
    pub settings: Vec<(String, String)>,

    /// Your own events beside the canonical ones: .ndjson files as `run --input` reads them
    #[arg(long, value_name = "DIR")]
    pub fixtures: Option<PathBuf>,

    /// What your backend says when all is well, as JSON: {\"status\":207,\"headers\":{},\"body\":{}}
    #[arg(long, value_name = "FILE")]
    pub reply: Option<PathBuf>,

    /// Compare what is sent with the files kept here
    #[arg(long, value_name = "DIR")]
    pub golden: Option<PathBuf>,

    /// Write these files
    #[arg(long, requires = "golden")]
    pub update: bool,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub output: OutputArg,
}

/// `matrix`
#[derive(Debug, Args)]
#[command(after_help = "Example:
  mastra-host matrix --output markdown > docs/matrix.md")]
pub struct MatrixArgs {
    /// Directory of components
    #[arg(long, value_name = "DIR", default_value = defaults::PLUGINS_DIRECTORY)]
    pub plugins_dir: PathBuf,

    /// How results look
    #[arg(long, value_enum, default_value_t = MatrixOutput::Human)]
    pub output: MatrixOutput,
}

/// `validate`
#[derive(Debug, Args)]
#[command(after_help = "Example:
  mastra-host validate --config host.yaml")]
pub struct ValidateArgs {
    /// Config file (YAML)
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,

    /// Directory of components [default: the config's]
    #[arg(long, value_name = "DIR")]
    pub plugins_dir: Option<PathBuf>,

    /// Directory of approvals [default: mastra-host in the user's state directory]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub output: OutputArg,
}

/// `--output`, the same for all commands.
#[derive(Clone, Copy, Debug, Args)]
pub struct OutputArg {
    /// How results look
    #[arg(id = "output", long = "output", value_enum, default_value_t = Output::Human)]
    pub format: Output,
}

/// How results look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Human,
    /// For programs; one JSON value on stdout.
    Json,
}

/// How the matrix looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MatrixOutput {
    /// For people.
    Human,
    /// For programs.
    Json,
    /// For documents.
    Markdown,
}

/// How logs look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// A JSON object a line.
    Json,
}

fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

fn signal(text: &str) -> Result<Signal, String> {
    let mut signals = Signal::ALL.into_iter();
    signals.find(|signal| signal.name() == text).ok_or_else(|| {
        let known = Signal::ALL.map(Signal::name);
        let all =
            "one or more of traces, logs, metrics, scores, feedback, with commas between them";
        match nearest(text, known) {
            Some(meant) => format!("did you mean `{meant}`? {all}"),
            None => all.to_owned(),
        }
    })
}

/// A duration; a plain number counts as seconds.
fn timeout(text: &str) -> Result<Duration, String> {
    let seconds = || {
        text.parse::<u32>()
            .ok()
            .map(|seconds| Duration::from_secs(seconds.into()))
    };
    seconds()
        .or_else(|| parse_duration(text))
        .filter(|timeout| !timeout.is_zero())
        .ok_or_else(|| DURATION_FIX.to_owned())
}

#[cfg(test)]
mod tests;
