//! `mastra-host run`: the host itself. With `--input` it reads a file of events, delivers them, reports, and ends.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::control::Control;
use super::standing::Standing;
use super::{Context, Exit, causes, list_components, plugin, read_config};
pub use harden::harden;

use crate::cli::{LogFormat, Output, RunArgs};
use crate::config::lock::Lock;
use crate::config::select::{LoadedComponents, Plan, Planned, Reason, Request};
use crate::config::{self, Config, Endpoint, Environment, ExporterId, Listen, Problem};
use crate::print;
use crate::print::progress::Progress;
use crate::print::report::{InputCounts, RunReport};
use crate::queue::any::AnyQueue;
use crate::receive::KeepRefused as _;
use crate::receive::input::Input;
use crate::receive::tls::Tls;
use crate::receive::{Batch, Intake as _, IntakeError, Listener, Transport, system_clock};
use crate::run::components::{Loader, Unfinished};
use crate::run::{Addresses, DRAIN_TIME, Exporters, Host, Listeners, StartError, queue};

use reload::Files;

mod access;
mod harden;
mod reload;
mod watch;

/// Events handed to the queue at a time.
const INPUT_EVENTS: usize = 1000;
const INPUT_BYTES: usize = 4 << 20;

/// Between looks at the progress while the rest is delivered.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// Runs the command.
pub fn run(
    args: &RunArgs,
    ctx: &mut Context<'_>,
    loader: &Loader,
    runtime: &tokio::runtime::Runtime,
) -> Exit {
    let output = args.output.format;
    let prepared = match Prepared::new(args, ctx, loader) {
        Ok(prepared) => prepared,
        Err(exit) => return exit,
    };
    announce(&prepared.exporters, ctx);
    let result = runtime.block_on(host(args, prepared, loader, ctx));
    match result {
        Ok(report) => finish(args, &report, ctx),
        Err((exit, message)) => ctx.fail(output, exit, &message),
    }
}

/// What is known before anything runs.
struct Prepared {
    config: Config,
    listing: Vec<PathBuf>,
    lock: Lock,
    loaded: LoadedComponents,
    exporters: Exporters,
    standing: Standing,
    /// Components that are left to compile while the others run.
    unfinished: Option<Unfinished>,
}

impl Prepared {
    /// Config, components and settings; every problem at once.
    fn new(args: &RunArgs, ctx: &mut Context<'_>, loader: &Loader) -> Result<Self, Exit> {
        let output = args.output.format;
        let bad = |ctx: &mut Context<'_>, message: &str| ctx.fail(output, Exit::BadUsage, message);
        let config = read_config(args.config.as_deref(), ctx.environment)
            .map_err(|reason| bad(ctx, &reason))?;
        let mut problems = config.problems;
        let mut config = config.config;
        problems.extend(super::validate::missing_files(&config));
        override_with(args, &mut config);
        access::override_access(args, ctx.environment, &mut config)
            .map_err(|reason| bad(ctx, &reason))?;
        let directory = &config.plugins.directory;
        let listing = list_components(directory).map_err(|error| {
            let shown = directory.display();
            bad(
                ctx,
                &format!("cannot read plugins directory {shown}: {error}"),
            )
        })?;
        let lock = Lock::read(directory).map_err(|error| bad(ctx, &causes(&error)))?;
        let mut prepared = Self {
            config,
            listing,
            lock,
            loaded: LoadedComponents::new(),
            exporters: Exporters::new(),
            standing: Standing::default(),
            unfinished: None,
        };
        let files = prepared.request(args, &BTreeSet::new()).files();
        // An input is read once: everything must be there before it is.
        (prepared.loaded, prepared.unfinished) = match args.input {
            Some(_) => (ctx.load(&files), None),
            None => loader.load_quick(files),
        };
        let plan = prepared.plan(args, ctx.environment);
        prepared.standing.set(plugin::rows(&prepared.loaded, &plan));
        problems.extend(plan.problems);
        if !problems.is_empty() {
            complain_of(args, &problems, ctx);
            return Err(Exit::BadUsage);
        }
        for idle in &plan.idle {
            tracing::info!(component = %idle.file.display(), state = %idle.state, "Component does not run.");
        }
        prepared.exporters = started(plan.exporters, loader);
        if prepared.exporters.is_empty() && prepared.unfinished.is_none() {
            let idle: Vec<String> = plan
                .idle
                .iter()
                .map(|idle| format!("{}: {}", idle.file.display(), idle.state))
                .map(|idle| format!("\n  {}", print::visible(&idle)))
                .collect();
            let message = format!(
                "no exporter to run: name one with --plugin X.wasm or under `exporters:` in a config{}",
                idle.concat()
            );
            return Err(bad(ctx, &message));
        }
        Ok(prepared)
    }

    fn request<'a>(&'a self, args: &'a RunArgs, compiling: &'a BTreeSet<PathBuf>) -> Request<'a> {
        Request {
            config: &self.config,
            plugins: &args.plugins,
            directory: &self.config.plugins.directory,
            listing: &self.listing,
            compiling,
        }
    }

    fn plan(&self, args: &RunArgs, environment: &Environment) -> Plan {
        let none = BTreeSet::new();
        let compiling = self.unfinished.as_ref().map_or(&none, Unfinished::files);
        self.request(args, compiling)
            .plan(&self.loaded, &self.lock, environment)
    }
}

/// What the command line says goes before the file.
fn override_with(args: &RunArgs, config: &mut Config) {
    if let Some(directory) = &args.plugins_dir {
        config.plugins.directory.clone_from(directory);
    }
    if let Some(directory) = &args.data_dir {
        config.storage.directory.clone_from(directory);
    }
    if let Some(listen) = &args.listen {
        config.receivers.http.endpoint = listen.clone();
    }
    if let Some(listen) = &args.listen_grpc {
        config.receivers.grpc.endpoint = listen.clone();
    }
}

fn started(planned: BTreeMap<ExporterId, Planned>, loader: &Loader) -> Exporters {
    planned
        .into_iter()
        .filter_map(|(id, planned)| {
            let component = loader.component(&planned.component)?;
            Some((id, planned, component))
        })
        .collect()
}

fn complain_of(args: &RunArgs, problems: &[Problem], ctx: &mut Context<'_>) {
    let file = args
        .config
        .as_deref()
        .unwrap_or(Path::new("command line"))
        .display()
        .to_string();
    let text = print::problems::human(&file, problems, ctx.err_look);
    if args.log_format == LogFormat::Json {
        text.lines().for_each(|line| ctx.warn(line));
    } else {
        // Nobody is left to tell.
        let _ = ctx.err.write_all(text.as_bytes());
    }
    if args.output.format == Output::Json {
        ctx.print(&print::problems::json(&file, problems));
    }
}

/// What naming a component grants is said once.
fn announce(exporters: &Exporters, ctx: &mut Context<'_>) {
    for (id, planned, _) in exporters {
        if planned.reason == Reason::Lock {
            continue;
        }
        let grants = planned.component.grants();
        let text = print::plugins::granted(
            &id.to_string(),
            &planned.component.version,
            &grants,
            ctx.err_look,
        );
        let _ = ctx.err.write_all(text.as_bytes());
    }
}

/// From the first listener to the last call.
async fn host(
    args: &RunArgs,
    mut prepared: Prepared,
    loader: &Loader,
    ctx: &mut Context<'_>,
) -> Result<RunReport, (Exit, String)> {
    // Before anybody is told where to find the process.
    let mut termination = Termination::listen()?;
    let listeners = listen(args, &prepared.config).await?;
    let addresses = listeners
        .addresses()
        .map_err(|error| (Exit::Failed, error.to_string()))?;
    let exporters = std::mem::take(&mut prepared.exporters);
    let mut files = Files::new(args, &prepared, &exporters, listeners.tls())?;
    let (queue, control) = open_queue(args, &prepared)?;
    let host = Host::start(&prepared.config, queue, exporters, addresses.all())
        .await
        .map_err(|failures| {
            let lines: Vec<String> = failures.iter().map(cannot_start).collect();
            (Exit::BadUsage, lines.join("\nerror: "))
        })?;
    if prepared.unfinished.is_some() {
        let kept = host.keep_for_later().await;
        kept.map_err(|error| (Exit::Failed, causes(&error)))?;
    }
    let http = prepared.config.receivers.http.clone();
    let stop = CancellationToken::new();
    say_where(&addresses, &prepared.config, args.output.format, ctx);
    let serving = host.serve(listeners, &http, &stop);
    let has_terminal = ctx.err_look.color;
    let later = async {
        tokio::select! {
            () = keep_current(args, prepared, &mut files, loader, &host, ctx) => {}
            () = stop.cancelled() => {}
        }
    };
    let controlled = async {
        if let Some(control) = control {
            control.serve(stop.cancelled()).await;
        }
    };
    let working = async {
        let result = match &args.input {
            Some(input) => {
                tokio::select! {
                    result = feed(&host, input, args, has_terminal) => result,
                    () = termination.requested() => Ok(InputCounts::default()),
                }
            }
            None => {
                termination.requested().await;
                Ok(InputCounts::default())
            }
        };
        stop.cancel();
        result
    };
    let ((), (), (), input) = tokio::join!(serving, later, controlled, working);
    let input = input.map_err(|message| (Exit::Failed, message))?;
    if args.input.is_none() {
        host.wind_down(Instant::now() + DRAIN_TIME).await;
    }
    Ok(host.stop(input).await)
}

/// The queue, and the socket through which other processes ask for it.
fn open_queue(
    args: &RunArgs,
    prepared: &Prepared,
) -> Result<(AnyQueue, Option<Control>), (Exit, String)> {
    // An input can be read again: it needs no directory of its own unless one is named.
    let data_dir = match &args.input {
        Some(_) => args.data_dir.as_deref(),
        None => Some(prepared.config.storage.directory.as_path()),
    };
    let queue = queue::open(&prepared.config, data_dir)
        .map_err(|error| (Exit::BadUsage, causes(&error)))?;
    let control = match (&queue, data_dir) {
        (AnyQueue::Durable(queue), Some(data_dir)) => {
            Control::listen(data_dir, queue, &prepared.standing)
        }
        _ => None,
    };
    Ok((queue, control))
}

/// Starts what could not start yet, then follows the files.
async fn keep_current(
    args: &RunArgs,
    prepared: Prepared,
    files: &mut Files,
    loader: &Loader,
    host: &Host,
    ctx: &mut Context<'_>,
) {
    let late = start_later(args, prepared, loader, host, ctx).await;
    files.add(&late);
    if args.input.is_none() {
        files.follow(args, loader, host, ctx).await;
    }
}

fn cannot_start((id, error): &(ExporterId, StartError)) -> String {
    format!("exporter {id} cannot start: {}", causes(error))
}

/// Starts the exporters of the big components once they are compiled, and returns them. What is wrong with one of them
/// concerns it alone.
async fn start_later(
    args: &RunArgs,
    mut prepared: Prepared,
    loader: &Loader,
    host: &Host,
    ctx: &mut Context<'_>,
) -> Exporters {
    let Some(unfinished) = prepared.unfinished.take() else {
        return Exporters::new();
    };
    let files = unfinished.files().clone();
    prepared.loaded.extend(loader.load_rest(unfinished).await);
    let mut plan = prepared.plan(args, ctx.environment);
    prepared.standing.set(plugin::rows(&prepared.loaded, &plan));
    plan.exporters
        .retain(|_, planned| files.contains(&planned.component.file));
    for problem in &plan.problems {
        tracing::error!(%problem, "Exporter cannot start.");
    }
    for idle in plan.idle.iter().filter(|idle| files.contains(&idle.file)) {
        tracing::info!(component = %idle.file.display(), state = %idle.state, "Component does not run.");
    }
    let mut exporters = started(plan.exporters, loader);
    announce(&exporters, ctx);
    for failure in host.start_later(exporters.clone()).await {
        tracing::error!("{}", cannot_start(&failure));
        exporters.retain(|(id, ..)| *id != failure.0);
    }
    exporters
}

/// The listeners that the command line and the config ask for; beside an input only those of the command line.
async fn listen(args: &RunArgs, config: &Config) -> Result<Listeners, (Exit, String)> {
    let has_input = args.input.is_some();
    let http = (args.listen.is_some() || !has_input).then_some(&config.receivers.http.endpoint);
    let grpc = match &config.receivers.grpc.endpoint {
        Listen::At(endpoint) if args.listen_grpc.is_some() || !has_input => Some(endpoint),
        Listen::At(_) | Listen::Off => None,
    };
    access::check_exposure(args, &config.receivers, http, grpc).await?;
    Ok(Listeners {
        http: bind(
            http,
            config.receivers.http.tls.as_ref(),
            Transport::Http1,
            ("OTLP/HTTP and events", "--listen"),
        )
        .await?,
        grpc: bind(
            grpc,
            config.receivers.grpc.tls.as_ref(),
            Transport::Http2,
            ("OTLP/gRPC", "--listen-grpc (or `off`)"),
        )
        .await?,
    })
}

async fn bind(
    endpoint: Option<&Endpoint>,
    tls: Option<&config::Tls>,
    transport: Transport,
    (purpose, option): (&str, &str),
) -> Result<Option<Listener>, (Exit, String)> {
    let Some(endpoint) = endpoint else {
        return Ok(None);
    };
    let tls = tls.map(|files| Tls::load(files, transport)).transpose();
    let tls = tls.map_err(|error| {
        let message = format!("cannot listen on {endpoint} with TLS: {}", causes(&error));
        (Exit::BadUsage, message)
    })?;
    let bound = TcpListener::bind((endpoint.host.as_str(), endpoint.port)).await;
    let listener = bound.map(|tcp| Some(Listener { tcp, tls }));
    listener.map_err(|error| {
        let message = format!(
            "cannot listen on {endpoint} for {purpose}: {error}; choose another with {option}"
        );
        (Exit::Failed, message)
    })
}

fn say_where(addresses: &Addresses, config: &Config, output: Output, ctx: &mut Context<'_>) {
    if addresses.all().is_empty() {
        return;
    }
    match output {
        Output::Human => {
            let scheme = match &config.receivers.http.tls {
                Some(_) => "https",
                None => "http",
            };
            let suffix = match &config.receivers.grpc.tls {
                Some(_) => "OTLP/gRPC, TLS",
                None => "OTLP/gRPC",
            };
            let http = addresses
                .http
                .map(|address| format!("{scheme}://{address}"));
            let grpc = addresses
                .grpc
                .map(|address| format!("{address} ({suffix})"));
            let shown: Vec<String> = http.into_iter().chain(grpc).collect();
            let _ = writeln!(ctx.err, "listening on {}", shown.join(" and "));
        }
        Output::Json => {
            let text = |address: SocketAddr| address.to_string();
            let mut said = Map::new();
            said.extend(
                addresses
                    .http
                    .map(|http| ("listening".to_owned(), text(http).into())),
            );
            said.extend(
                addresses
                    .grpc
                    .map(|grpc| ("listening_grpc".to_owned(), text(grpc).into())),
            );
            ctx.print(&print::line(&Value::Object(said)));
        }
    }
}

/// SIGTERM and Ctrl-C, caught from here on: a second one while the host stops does no harm.
struct Termination {
    terminate: Signal,
    interrupt: Signal,
}

impl Termination {
    fn listen() -> Result<Self, (Exit, String)> {
        let caught = |kind| {
            signal(kind).map_err(|error| (Exit::Failed, format!("cannot catch signals: {error}")))
        };
        Ok(Self {
            terminate: caught(SignalKind::terminate())?,
            interrupt: caught(SignalKind::interrupt())?,
        })
    }

    /// Returns with the first of them.
    async fn requested(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Reads the input to its end and waits until all of it has a fate, or until the time is over.
async fn feed(
    host: &Host,
    file: &Path,
    args: &RunArgs,
    has_terminal: bool,
) -> Result<InputCounts, String> {
    let until = Instant::now() + args.timeout;
    let mut input = Input::open(file, system_clock)
        .await
        .map_err(|error| causes(&error))?;
    let is_wanted = args.output.format == Output::Human && has_terminal;
    let progress = Progress::new(input.bytes_total(), is_wanted);
    let mut counts = InputCounts::default();
    while let Some(batch) = input
        .next_batch(INPUT_EVENTS, INPUT_BYTES)
        .await
        .map_err(|error| causes(&error))?
    {
        if !hand_over(host, batch, &input, &mut counts, until).await? {
            break;
        }
        let (done, waiting) = host.progress();
        progress.update(input.bytes_read(), done, waiting);
    }
    let mut drained = std::pin::pin!(host.drain(until));
    let mut ticks = tokio::time::interval(PROGRESS_INTERVAL);
    loop {
        tokio::select! {
            _ = &mut drained => break,
            _ = ticks.tick() => {
                let (done, waiting) = host.progress();
                progress.update(input.bytes_read(), done, waiting);
            }
        }
    }
    progress.finish();
    Ok(counts)
}

/// Hands a batch to the queue, waiting while it is full; `false` when the time is over.
async fn hand_over(
    host: &Host,
    batch: Batch,
    input: &Input,
    counts: &mut InputCounts,
    until: Instant,
) -> Result<bool, String> {
    counts.refused += batch.refused_total;
    let not_kept = batch
        .refused_total
        .saturating_sub(batch.refused.len() as u64);
    for item in &batch.refused {
        tracing::warn!(
            line = item.index + 1,
            field = item.field,
            reason = item.reason,
            "Event refused."
        );
    }
    let letters = batch
        .refused
        .into_iter()
        .map(|item| item.into_letter(system_clock(), input.source()));
    host.refused().keep(letters.collect(), not_kept);
    if batch.events.is_empty() {
        return Ok(true);
    }
    loop {
        match host.intake().accept(batch.events.clone()).await {
            Ok(accepted) => {
                counts.accepted += accepted.accepted;
                counts.repeated += accepted.repeated;
                return Ok(true);
            }
            Err(IntakeError::Full { .. }) if Instant::now() < until => {
                tokio::time::sleep(PROGRESS_INTERVAL).await
            }
            Err(IntakeError::Full { .. }) => return Ok(false),
            Err(error) => return Err(error.to_string()),
        }
    }
}

fn finish(args: &RunArgs, report: &RunReport, ctx: &mut Context<'_>) -> Exit {
    let text = match args.output.format {
        Output::Json => print::report::json(report),
        Output::Human => print::report::human(report, ctx.look),
    };
    ctx.print(&text);
    // A queue on disk counts on from earlier runs: dead letters of last week are no news.
    let is_fine = match &args.input {
        Some(_) => report.is_complete(),
        None => report.is_drained(),
    };
    if is_fine {
        Exit::Fine
    } else {
        Exit::Undelivered
    }
}
