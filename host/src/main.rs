//! The binary: parses arguments, starts logs and the engine, runs the command, maps its end to an exit code.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use mastra_host::cli::{Cli, Command, LogFormat};
use mastra_host::commands::{self, Context, Exit, causes};
use mastra_host::config::Environment;
use mastra_host::config::env::process_environment;
use mastra_host::plugin::compiler::run_if_asked;
use mastra_host::print::Look;
use mastra_host::print::compiling::Compilations;
use mastra_host::run::components::{Loader, cache_directory};
use mastra_host::telemetry::lines::{ERROR_MARK, error_stream};
use mastra_host::telemetry::visible::Screen;
use mastra_host::telemetry::{LOG_VARIABLE, LogSettings, report_panics, start_logs};

/// Gives back to the system what a backlog took; the system's own allocator keeps most of it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // A child of this program that compiles does nothing else.
    if let Some(end) = run_if_asked() {
        return end;
    }
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let environment = process_environment();
    let format = wanted_format(&arguments);
    report_panics(format);
    let mut err_look = Look::of_stderr(&environment);
    err_look.color &= format == LogFormat::Text;
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, format, err_look),
    };
    match start(&cli, &environment, &arguments, format, err_look) {
        Ok(exit) => exit.into(),
        Err((exit, error)) => {
            let mut err = error_stream(format, err_look.color);
            commands::complain(&mut err, err_look, &causes(error.as_ref()));
            exit.into()
        }
    }
}

/// What `--log-format` says, also on a command line that cannot be read.
fn wanted_format(arguments: &[OsString]) -> LogFormat {
    let mut before = "";
    let mut format = LogFormat::Text;
    for argument in arguments.iter().filter_map(|argument| argument.to_str()) {
        let value = match argument.strip_prefix("--log-format=") {
            Some(value) => Some(value),
            None => (before == "--log-format").then_some(argument),
        };
        if let Some(value) = value {
            format = match value {
                "json" => LogFormat::Json,
                _ => LogFormat::Text,
            };
        }
        before = argument;
    }
    format
}

/// Help and version as they are; what cannot be understood quotes the command line, whoever wrote that.
fn usage(error: &clap::Error, format: LogFormat, err_look: Look) -> ExitCode {
    if !error.use_stderr() {
        // Nobody is left to tell.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let text = error.render().to_string();
    let mut err = error_stream(format, err_look.color);
    match (format, text.strip_prefix(ERROR_MARK)) {
        (LogFormat::Json, Some(message)) => {
            let message: Vec<&str> = message.split_whitespace().collect();
            commands::complain(&mut err, err_look, &message.join(" "));
        }
        _ => {
            let _ = err.write_all(text.as_bytes());
        }
    }
    Exit::BadUsage.into()
}

fn start(
    cli: &Cli,
    environment: &Environment,
    arguments: &[OsString],
    format: LogFormat,
    err_look: Look,
) -> Result<Exit, (Exit, anyhow::Error)> {
    let data_dir = match &cli.command {
        Command::Run(args) => args.data_dir.as_deref(),
        _ => None,
    };
    let filter = environment.get(LOG_VARIABLE).map(String::as_str);
    let logs = LogSettings {
        verbosity: cli.verbose,
        filter,
        format,
        color: err_look.color,
    };
    start_logs(logs).map_err(|error| (Exit::BadUsage, error.into()))?;
    if let Command::Run(args) = &cli.command {
        commands::run::harden(args, environment);
    }
    let runtime = tokio::runtime::Runtime::new().map_err(|error| (Exit::Failed, error.into()))?;
    // The host that runs writes its log to stderr.
    let lines = match cli.command {
        Command::Run(_) => None,
        _ => Compilations::on_terminal(),
    };
    let cache = cache_directory(data_dir, environment);
    let loader = Loader::new(runtime.handle().clone(), cache, lines)
        .map_err(|error| (Exit::Failed, error.into()))?;
    let arguments: Vec<String> = arguments
        .iter()
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let look = Look::of_stdout(environment);
    let mut ctx = Context {
        arguments: &arguments,
        components: &loader,
        environment,
        look,
        err_look,
        out: &mut Screen::new(io::stdout(), look.color),
        err: &mut error_stream(format, err_look.color),
    };
    let run = |args: &_, ctx: &mut Context<'_>| commands::run::run(args, ctx, &loader, &runtime);
    let exit = commands::execute(&cli.command, &mut ctx, run);
    // A file that is still being read, or a schema that is still being checked, does not hold up the end.
    runtime.shutdown_background();
    Ok(exit)
}
