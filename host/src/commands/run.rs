//! `mastra-host run`: the host itself. With `--input` it reads a file of events, delivers them, reports, and ends.

use std::io::{BufRead as _, IsTerminal as _};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::control::{Control, Places};
use super::standing::Standing;
use super::{Context, Exit, approve, causes};
pub use harden::harden;

use crate::cli::{LogFormat, Output, RunArgs};
use crate::config::{self, Config, Endpoint, Listen, Problem};
use crate::print;
use crate::print::progress::Progress;
use crate::print::report::{InputCounts, RunReport};
use crate::queue::any::AnyQueue;
use crate::receive::KeepRefused as _;
use crate::receive::input::Input;
use crate::receive::tls::Tls;
use crate::receive::{Batch, Intake as _, IntakeError, Listener, Transport, system_clock};
use crate::run::components::Loader;
use crate::run::{Addresses, DRAIN_TIME, Host, Listeners, queue};

use asked::{Asked, Refusal};
use current::Current;

mod access;
mod asked;
mod current;
mod harden;
mod say;
mod watch;

/// Events handed to the queue at a time.
const INPUT_EVENTS: usize = 1000;
const INPUT_BYTES: usize = 4 << 20;

/// Between looks at the progress while the rest is delivered.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// How long a stop may take in all: an operating system's patience, with something to spare.
const STOP_LIMIT: Duration = Duration::from_millis(4900);

/// Runs the command.
pub fn run(
    args: &RunArgs,
    ctx: &mut Context<'_>,
    loader: &Loader,
    runtime: &tokio::runtime::Runtime,
) -> Exit {
    let output = args.output.format;
    let asked = match ask(args, ctx) {
        Ok(asked) => asked,
        Err(exit) => return exit,
    };
    let result = runtime.block_on(host(args, asked, loader, ctx));
    match result {
        Ok(report) => finish(args, &report, ctx),
        Err(Ended::Failed(exit, message)) => ctx.fail(output, exit, &message),
        Err(Ended::Problems(problems)) => {
            complain_of(args, &problems, ctx);
            Exit::BadUsage
        }
    }
}

/// Why a host ended without a report.
enum Ended {
    Failed(Exit, String),
    /// Of the config or the command line.
    Problems(Vec<Problem>),
}

impl From<(Exit, String)> for Ended {
    fn from((exit, message): (Exit, String)) -> Self {
        Self::Failed(exit, message)
    }
}

/// Reads what is asked for; a person at a terminal may approve what lies in the plugins directory.
fn ask(args: &RunArgs, ctx: &mut Context<'_>) -> Result<Asked, Exit> {
    let output = args.output.format;
    let mut asked = read(args, ctx)?;
    let unapproved = std::mem::take(&mut asked.choice.unapproved);
    if unapproved.is_empty() {
        return Ok(asked);
    }
    let can_ask = std::io::stdin().is_terminal() && ctx.err_look.color && output == Output::Human;
    for file in &unapproved {
        let shown = file.display().to_string();
        let approved = if can_ask {
            offer(file, &asked, ctx)
        } else {
            Ok(false)
        };
        let message = match approved {
            Ok(true) => continue,
            Ok(false) => format!(
                "{shown} is not approved. Look at what it asks for and approve it with `mastra-host plugin approve {shown}`, or name the file itself: `--plugin ./{shown}`"
            ),
            Err(reason) => reason,
        };
        return Err(ctx.fail(output, Exit::BadUsage, &message));
    }
    read(args, ctx)
}

fn read(args: &RunArgs, ctx: &mut Context<'_>) -> Result<Asked, Exit> {
    Asked::read(args, ctx).map_err(|refusal| match refusal {
        Refusal::Unusable(message) => ctx.fail(args.output.format, Exit::BadUsage, &message),
        Refusal::Problems(problems) => {
            complain_of(args, &problems, ctx);
            Exit::BadUsage
        }
    })
}

/// Shows what a component asks for, waits for an answer, and records the approval if it is yes.
fn offer(file: &Path, asked: &Asked, ctx: &mut Context<'_>) -> Result<bool, String> {
    let offer = approve::offer(file, &asked.shelf, ctx)?;
    ctx.note(&format!(
        "{} lies in the plugins directory and is not approved",
        file.display()
    ));
    let question = format!("{}Approve it? [y/N] ", offer.list(ctx.err_look));
    // Nobody is left to tell.
    let _ = ctx
        .err
        .write_all(question.as_bytes())
        .and_then(|()| ctx.err.flush());
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    let is_agreed = read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes");
    if is_agreed {
        offer.record(&asked.shelf, ctx)?;
    }
    Ok(is_agreed)
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

/// From the first listener to the last call.
async fn host(
    args: &RunArgs,
    asked: Asked,
    loader: &Loader,
    ctx: &mut Context<'_>,
) -> Result<RunReport, Ended> {
    // Before anybody is told where to find the process.
    let mut termination = Termination::listen()?;
    let listeners = listen(args, &asked.config).await?;
    let addresses = listeners
        .addresses()
        .map_err(|error| (Exit::Failed, error.to_string()))?;
    let standing = Standing::default();
    let (queue, control) = open_queue(args, &asked, &standing, loader)?;
    let host = Host::new(&asked.config, queue, addresses.all());
    let http = asked.config.receivers.http.clone();
    let config = asked.config.clone();
    let mut current = Current::new(args, asked, loader, host.clone(), standing, listeners.tls())?;
    let ready = tokio::select! {
        ready = current.start(ctx) => ready.map(|()| true),
        () = termination.requested() => Ok(false),
    };
    if !matches!(ready, Ok(true)) {
        drop(current);
        let report = host.stop(InputCounts::default()).await;
        return ready.map(|_| report);
    }
    let stop = CancellationToken::new();
    say_where(&addresses, &config, args.output.format, ctx);
    let serving = host.serve(listeners, &http, &stop);
    let has_terminal = ctx.err_look.color;
    let settled = current.settled();
    let following = async {
        let ended = tokio::select! {
            ended = current.follow(ctx) => Err(ended),
            () = stop.cancelled() => Ok(()),
        };
        stop.cancel();
        ended
    };
    let controlled = async {
        if let Some(control) = control {
            control.serve(stop.cancelled()).await;
        }
    };
    let working = async {
        let result = tokio::select! {
            result = work(&host, args, has_terminal, &settled) => result,
            () = termination.requested() => Ok(InputCounts::default()),
            () = stop.cancelled() => Ok(InputCounts::default()),
        };
        stop.cancel();
        result
    };
    let ((), followed, (), input) = tokio::join!(serving, following, controlled, working);
    // What is still being prepared is given up.
    drop(current);
    let is_fine = followed.is_ok() && input.is_ok();
    let stopping = async {
        if args.input.is_none() && is_fine {
            host.wind_down(Instant::now() + DRAIN_TIME).await;
        }
        host.stop(input.clone().unwrap_or_default()).await
    };
    let report = tokio::select! {
        report = tokio::time::timeout(STOP_LIMIT, stopping) => report.ok(),
        () = termination.requested() => None,
    };
    followed?;
    input.map_err(|message| (Exit::Failed, message))?;
    report.ok_or_else(|| {
        let message = "the host was stopped at once; events without a fate stay in a queue on disk";
        Ended::Failed(Exit::Undelivered, message.to_owned())
    })
}

/// Delivers the input once everything that was asked for runs; without one there is no end to it.
async fn work(
    host: &Host,
    args: &RunArgs,
    has_terminal: bool,
    settled: &CancellationToken,
) -> Result<InputCounts, String> {
    let Some(input) = &args.input else {
        return std::future::pending().await;
    };
    settled.cancelled().await;
    feed(host, input, args, has_terminal).await
}

/// The queue, and the socket through which other processes ask for it.
fn open_queue(
    args: &RunArgs,
    asked: &Asked,
    standing: &Standing,
    loader: &Loader,
) -> Result<(AnyQueue, Option<Control>), (Exit, String)> {
    // An input can be read again: it needs no directory of its own unless one is named.
    let data_dir = match &args.input {
        Some(_) => args.data_dir.as_deref(),
        None => Some(asked.config.storage.directory.as_path()),
    };
    let queue =
        queue::open(&asked.config, data_dir).map_err(|error| (Exit::BadUsage, causes(&error)))?;
    let control = match (&queue, data_dir) {
        (AnyQueue::Durable(queue), Some(data_dir)) => {
            let places = Places {
                plugins: asked.shelf.directory.clone(),
                state: asked.shelf.state.clone(),
                loader: loader.clone(),
            };
            Control::listen(data_dir, queue, standing, places)
        }
        _ => None,
    };
    Ok((queue, control))
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
