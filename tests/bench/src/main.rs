//! `mastra-bench`: spans per CPU-second, memory and time to ready of the host, with the official exporter beside it in
//! the same run. Starts everything itself, on the loopback interface, and ends by itself. Run by `make bench`.

mod count;
mod figures;
mod languages;
mod load;
mod measure;
mod otlp;
mod outage;
mod process;
mod rival;
mod sink;
mod spans;
mod subject;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};

use crate::measure::{Plan, Sides};

/// Measures the host and prints what it reached.
#[derive(Debug, Parser)]
#[command(name = "mastra-bench")]
struct Args {
    /// The host's release build
    #[arg(long, default_value = "target/release/mastra-host")]
    host: PathBuf,
    /// The component under load
    #[arg(long, default_value = "plugins/langfuse.wasm")]
    plugin: PathBuf,
    /// The component of the OTLP measurement
    #[arg(long, default_value = "plugins/otel.wasm")]
    otel: PathBuf,
    /// Folder with the pinned Node packages
    #[arg(long, default_value = "tests/peers")]
    peers: PathBuf,
    /// What to measure; everything by default
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Runs of each measurement
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Spans in one run at 1.3 kB (an eighth of it at 10.5 kB, a quarter of either for the official exporter)
    #[arg(long, default_value_t = 200_000)]
    spans: u64,
    /// Connections of the load generator, one request in flight on each
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// MB of spans that may be sent and not yet delivered
    #[arg(long, default_value_t = 16)]
    backlog: u64,
    /// How to print the figures
    #[arg(long, value_enum, default_value_t = Output::Human)]
    output: Output,
}

/// A measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The host under load
    Host,
    /// The official exporter, and Rotel for OTLP, under the same load
    Rival,
    /// OTLP in and out: the host, and Rotel with `rival`
    Otlp,
    /// Receipt to acknowledgement, in memory and synced
    Acknowledgement,
    /// Memory with every backend dead, and after
    Outage,
    /// Resident memory without load
    Idle,
    /// Time from start to ready
    Ready,
    /// The same mapping in each language of `mastra-host new`
    Languages,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Human,
    Json,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "mastra-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<()> {
    let wants = |part: Part| args.only.is_empty() || args.only.contains(&part);
    let sides = Sides {
        host: wants(Part::Host),
        rival: wants(Part::Rival),
    };
    let needs_host = !args.only.iter().all(|part| *part == Part::Rival) || args.only.is_empty();
    let existing = |path: &PathBuf| {
        if needs_host {
            path.canonicalize()
                .with_context(|| format!("{} is missing: run `make build`", path.display()))
        } else {
            Ok(path.clone())
        }
    };
    let plan = Plan {
        host: existing(&args.host)?,
        plugin: existing(&args.plugin)?,
        otel: existing(&args.otel)?,
        // Absolute: the rival runs in that folder.
        peers: std::path::absolute(&args.peers)?,
        runs: args.runs.max(1),
        spans: args.spans,
        connections: args.connections.max(1),
        backlog_bytes: args.backlog * 1_000_000,
    };
    let mut figures = Vec::new();
    if wants(Part::Ready) {
        figures.extend(measure::ready_time(&plan).await?);
    }
    if wants(Part::Idle) {
        figures.extend(measure::idle_memory(&plan).await?);
    }
    if sides.host || sides.rival {
        figures.extend(measure::throughput(&plan, sides).await?);
    }
    if wants(Part::Languages) {
        figures.extend(languages::costs(&plan).await?);
    }
    if wants(Part::Otlp) {
        let sides = Sides {
            host: true,
            rival: wants(Part::Rival),
        };
        figures.extend(otlp::throughput(&plan, sides).await?);
    }
    if wants(Part::Acknowledgement) {
        figures.extend(outage::acknowledgement(&plan).await?);
    }
    if wants(Part::Outage) {
        figures.extend(outage::memory(&plan).await?);
    }
    let machine = figures::machine();
    let mut stdout = std::io::stdout().lock();
    match args.output {
        Output::Human => writeln!(stdout, "{}", figures::as_table(&machine, &figures))?,
        Output::Json => writeln!(stdout, "{}", figures::as_json(&machine, &figures))?,
    }
    Ok(())
}
