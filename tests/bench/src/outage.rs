//! What an outage costs: memory while every backend is dead and senders go on until the queue's disk is full, and after
//! all of it was delivered; and the CPU time of a span between receipt and acknowledgement, with nothing delivered.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::figures::Figure;
use crate::load::Load;
use crate::measure::{Plan, megabytes};
use crate::sink::Sink;
use crate::spans::SpanMaker;
use crate::subject::{Exporters, Subject, langfuse_config};

/// Exporters that fall behind together.
const EXPORTERS: usize = 2;

/// Room for the queue: what the senders fill.
const MAX_DISK: &str = "512MiB";

/// Room for the queue where it must not fill.
const AMPLE: &str = "4GiB";

/// Senders at full speed.
const SENDERS: usize = 64;

/// From the end of the backlog to the second look at the memory.
const REST: Duration = Duration::from_secs(60);

/// Spans of a request when 64 senders wait for their acknowledgements.
const SPANS_A_BODY: usize = 100;

/// Name, bytes a span, and how many of them for eight of the plan's: about a gigabyte either way by default, since a
/// process pays for its first touch of memory at the start and not for ever.
const SIZES: [(&str, usize, u64); 2] = [("1.3 kB", 1_300, 32), ("10.5 kB", 10_500, 4)];

/// Peak memory until the queue is full, and resident memory a minute after the backlog was delivered, as a multiple of
/// what it was before.
///
/// # Errors
/// The host fails, or does not deliver all that it accepted.
pub(crate) async fn memory(plan: &Plan) -> Result<Vec<Figure>> {
    let sink = Arc::new(Sink::start().await?);
    let mut figures = Vec::new();
    for (label, bytes, _) in SIZES {
        let (mut peaks, mut ratios) = (Vec::new(), Vec::new());
        for _ in 0..plan.runs {
            let (peak, ratio) = outage(plan, bytes, &sink).await?;
            peaks.push(peak);
            ratios.push(ratio);
        }
        figures.push(Figure {
            name: format!("every backend dead until {MAX_DISK} are queued, {label} spans"),
            unit: "MB peak",
            goal: "at most 256",
            values: peaks,
        });
        figures.push(Figure {
            name: format!("resident a minute after the backlog of {label} spans, of idle"),
            unit: "times",
            goal: "at most 1.3",
            values: ratios,
        });
    }
    Ok(figures)
}

/// One outage: the peak in MB, and what is left of idle.
async fn outage(plan: &Plan, bytes: usize, sink: &Sink) -> Result<(f64, f64)> {
    let home = tempfile::tempdir()?;
    let storage = format!("disk\n  max_disk: {MAX_DISK}");
    let config = langfuse_config(home.path(), &plan.plugin, &sink.url(), &storage, EXPORTERS)?;
    let subject = start(plan, &config, home.path(), sink).await?;
    let idle = subject.idle_kib().await?;
    let before = sink.spans();
    sink.set_available(false);
    let load = load(bytes, subject.address)?;
    let accepted = load.fill(0, u64::MAX).await? * SPANS_A_BODY as u64;
    ensure!(accepted > 0, "the queue was full from the start");
    let peak = subject.peak_kib()?;
    sink.set_available(true);
    sink.wait_for(before + accepted * EXPORTERS as u64).await?;
    tokio::time::sleep(REST).await;
    let after = subject.idle_kib().await?;
    subject.stop().await?;
    Ok((megabytes(peak), after as f64 / idle as f64))
}

/// Spans per CPU-second from receipt to acknowledgement, 64 senders, with the queue in memory and synced to disk.
///
/// # Errors
/// The host fails or refuses.
pub(crate) async fn acknowledgement(plan: &Plan) -> Result<Vec<Figure>> {
    let sink = Arc::new(Sink::start().await?);
    sink.set_available(false);
    let mut figures = Vec::new();
    for (label, bytes, of_eight) in SIZES {
        for (where_to, storage, goal) in [
            ("in memory", format!("memory\n  max_memory: {AMPLE}"), ""),
            (
                "synced",
                format!("disk\n  max_disk: {AMPLE}"),
                if bytes > 10_000 {
                    "at least 40 000"
                } else {
                    "at least 70 % of the line above"
                },
            ),
        ] {
            let mut values = Vec::new();
            for _ in 0..plan.runs {
                let home = tempfile::tempdir()?;
                let config =
                    langfuse_config(home.path(), &plan.plugin, &sink.url(), &storage, EXPORTERS)?;
                let subject = start(plan, &config, home.path(), &sink).await?;
                let load = load(bytes, subject.address)?;
                let bodies = (plan.spans * of_eight / 8 / SPANS_A_BODY as u64).max(1);
                let warm = bodies.div_ceil(10);
                load.fill(0, warm).await?;
                let before = subject.cpu_time()?;
                let accepted = load.fill(warm, bodies).await?;
                let cpu = subject.cpu_time()?.saturating_sub(before);
                ensure!(
                    accepted == bodies,
                    "the host refused before its queue was full"
                );
                subject.stop().await?;
                values.push((bodies * SPANS_A_BODY as u64) as f64 / cpu.as_secs_f64().max(0.01));
            }
            figures.push(Figure {
                name: format!("receipt to acknowledgement, {where_to}, {label} spans"),
                unit: "spans/CPU-s",
                goal,
                values,
            });
        }
    }
    Ok(figures)
}

/// The second start: its memory is the host's and not the compiler's.
async fn start(plan: &Plan, config: &Path, home: &Path, sink: &Sink) -> Result<Subject> {
    let first = Subject::start(&plan.host, Exporters::Config(config), home, &sink.url()).await?;
    first.stop().await?;
    Subject::start(&plan.host, Exporters::Config(config), home, &sink.url()).await
}

fn load(bytes: usize, target: std::net::SocketAddr) -> Result<Arc<Load>> {
    Ok(Arc::new(Load {
        target,
        bodies: Box::new(SpanMaker::new(bytes, fastrand::u64(..))?),
        spans_a_body: SPANS_A_BODY,
        connections: SENDERS,
        backlog: u64::MAX,
    }))
}
