//! The binary: parses arguments, starts logs and the engine, runs the command, maps its end to an exit code.

use std::io;
use std::process::ExitCode;

use clap::Parser as _;
use mastra_host::cli::{Cli, Command, LogFormat};
use mastra_host::commands::{self, Context, Exit, causes};
use mastra_host::config::Environment;
use mastra_host::config::env::process_environment;
use mastra_host::print::Look;
use mastra_host::print::compiling::Compilations;
use mastra_host::run::components::{Loader, cache_directory};
use mastra_host::telemetry::{LOG_VARIABLE, LogSettings, start_logs};

/// Gives back to the system what a backlog took; the system's own allocator keeps most of it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let environment = process_environment();
    match start(&cli, &environment) {
        Ok(exit) => exit.into(),
        Err((exit, error)) => {
            let err_look = Look::of_stderr(&environment);
            commands::complain(&mut io::stderr(), err_look, &causes(error.as_ref()));
            exit.into()
        }
    }
}

fn start(cli: &Cli, environment: &Environment) -> Result<Exit, (Exit, anyhow::Error)> {
    let err_look = Look::of_stderr(environment);
    let (format, data_dir) = match &cli.command {
        Command::Run(args) => (args.log_format, args.data_dir.as_deref()),
        _ => (LogFormat::Text, None),
    };
    let filter = environment.get(LOG_VARIABLE).map(String::as_str);
    let logs = LogSettings {
        verbosity: cli.verbose,
        filter,
        format,
        color: err_look.color,
    };
    start_logs(logs).map_err(|error| (Exit::BadUsage, error.into()))?;
    let runtime = tokio::runtime::Runtime::new().map_err(|error| (Exit::Failed, error.into()))?;
    // The host that runs writes its log to stderr.
    let lines = match cli.command {
        Command::Run(_) => None,
        _ => Compilations::on_terminal(),
    };
    let cache = cache_directory(data_dir, environment);
    let loader = Loader::new(runtime.handle().clone(), cache, lines)
        .map_err(|error| (Exit::Failed, error.into()))?;
    let arguments: Vec<String> = std::env::args().collect();
    let mut ctx = Context {
        arguments: &arguments,
        components: &loader,
        environment,
        look: Look::of_stdout(environment),
        err_look,
        out: &mut io::stdout(),
        err: &mut io::stderr(),
    };
    let run = |args: &_, ctx: &mut Context<'_>| commands::run::run(args, ctx, &loader, &runtime);
    Ok(commands::execute(&cli.command, &mut ctx, run))
}
