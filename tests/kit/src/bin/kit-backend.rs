//! `kit-backend`: a fake backend as a program, for `make demo` and as the sink of the benches. Prints where it listens,
//! a line a request unless `--quiet`, and a summary when it is told to stop (SIGTERM or Ctrl-C).

use std::io::Write as _;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use kit::backend::arize::{ArizeAx, Phoenix};
use kit::backend::braintrust::Braintrust;
use kit::backend::cloud::Cloud;
use kit::backend::collector::Collector;
use kit::backend::datadog::Datadog;
use kit::backend::laminar::Laminar;
use kit::backend::langfuse::{Ingestion, Langfuse};
use kit::backend::langsmith::LangSmith;
use kit::backend::posthog::PostHog;
use kit::backend::prometheus::Prometheus;
use kit::backend::sentry::Sentry;
use kit::backend::webhook::Webhook;
use kit::backend::{Backend, RecordEverything, Recorded, Sink, behaviour};
use tokio::signal::unix::{SignalKind, signal};

/// A fake backend on the loopback.
#[derive(Parser)]
#[command(name = "kit-backend", version)]
struct Args {
    /// What it behaves like.
    #[arg(long, value_enum, default_value = "record")]
    fake: Vendor,
    /// Port of 127.0.0.1; 0 is any free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Misbehaviour for some requests: `[path=P] [containing=T] [first=N|nth=N]` and one of `status=N [retry-after=S]`,
    /// `reset`, `reset-in-answer`, `never`, `drip=MS`, `too-large-above=BYTES`. May be given several times.
    #[arg(long = "behaviour", value_name = "WORDS")]
    behaviours: Vec<String>,
    /// No line a request.
    #[arg(long)]
    quiet: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Vendor {
    /// Arize AX; space space-1, key ax-key.
    ArizeAx,
    /// Phoenix; the key is phx-key.
    Phoenix,
    /// An OTLP collector; header x-api-key otel-key.
    Collector,
    /// Grafana Cloud's gateway; instance 123456, token glc_test.
    GrafanaCloud,
    /// Laminar; the key is lmnr-key.
    Laminar,
    /// The Mastra platform; project proj_1-A, token platform-token.
    Cloud,
    /// Datadog's intakes; the key is dd-api-key-test.
    Datadog,
    /// Braintrust; the key is sk-bt-test.
    Braintrust,
    /// Langfuse's cloud; the keys are pk-lf-test and sk-lf-test.
    Langfuse,
    /// An older Langfuse that still serves the ingestion batch.
    LangfuseLegacy,
    /// Sentry; project 42, key pubkey123.
    Sentry,
    /// A receiver of webhooks at /events; authorization `Bearer hook-token`.
    Webhook,
    /// LangSmith; the key is lsv2_pt_test.
    Langsmith,
    /// PostHog; the token is phc_test.
    Posthog,
    /// A receiver of remote write; the token is prom-token.
    Prometheus,
    /// Anything: answers 200 and keeps every request in memory.
    Record,
    /// Anything: answers 200, counts, and keeps nothing. The fastest.
    Sink,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    // Before the address is named, since the signal may follow at once.
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let backend = start(&args).await?;
    for words in &args.behaviours {
        let (which, what) = behaviour::parse(words)?;
        backend.on(which, what);
    }
    say(&format!("listening on {}\n", backend.url()))?;
    let mut told = 0;
    let mut changes = backend.changes();
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = tokio::signal::ctrl_c() => break,
            Ok(()) = changes.changed(), if !args.quiet => told = tell(&backend, told)?,
        }
    }
    say(&format!("\n{}", backend.summary()))
}

async fn start(args: &Args) -> anyhow::Result<Backend> {
    match args.fake {
        Vendor::ArizeAx => Backend::start_at(ArizeAx::default(), args.port).await,
        Vendor::Phoenix => Backend::start_at(Phoenix::default(), args.port).await,
        Vendor::Collector => Backend::start_at(Collector::default(), args.port).await,
        Vendor::GrafanaCloud => Backend::start_at(Collector::grafana_cloud(), args.port).await,
        Vendor::Laminar => Backend::start_at(Laminar::default(), args.port).await,
        Vendor::Cloud => Backend::start_at(Cloud::default(), args.port).await,
        Vendor::Sentry => Backend::start_at(Sentry::default(), args.port).await,
        Vendor::Webhook => Backend::start_at(Webhook::default(), args.port).await,
        Vendor::Datadog => Backend::start_at(Datadog::default(), args.port).await,
        Vendor::Braintrust => Backend::start_at(Braintrust::default(), args.port).await,
        Vendor::Langfuse => Backend::start_at(Langfuse::default(), args.port).await,
        Vendor::LangfuseLegacy => {
            Backend::start_at(
                Langfuse {
                    ingestion: Ingestion::Legacy,
                    ..Langfuse::default()
                },
                args.port,
            )
            .await
        }
        Vendor::Langsmith => Backend::start_at(LangSmith::default(), args.port).await,
        Vendor::Posthog => Backend::start_at(PostHog::default(), args.port).await,
        Vendor::Prometheus => Backend::start_at(Prometheus::default(), args.port).await,
        Vendor::Record => Backend::start_at(RecordEverything, args.port).await,
        Vendor::Sink => Backend::start_at(Sink, args.port).await,
    }
}

/// Prints the requests that were answered since `told`; returns how many are told now.
fn tell(backend: &Backend, told: usize) -> anyhow::Result<usize> {
    let new = backend.answered_after(told);
    for recorded in &new {
        say(&format!("{}\n", line(recorded)))?;
    }
    Ok(told + new.len())
}

fn line(recorded: &Recorded) -> String {
    let Recorded {
        request,
        status,
        stored,
        refused,
        ..
    } = recorded;
    let mut line = format!(
        "{} {} {} B: {}",
        request.method,
        request.path,
        request.wire_bytes,
        status.unwrap_or_default()
    );
    let mut kinds: Vec<&str> = stored.iter().map(|record| record.kind).collect();
    kinds.dedup();
    for kind in kinds {
        let count = stored.iter().filter(|record| record.kind == kind).count();
        line.push_str(&format!(", {count} {kind}s"));
    }
    if let Some(reason) = refused {
        line.push_str(&format!(", refused: {reason}"));
    }
    line
}

fn say(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .context("cannot print")
}
