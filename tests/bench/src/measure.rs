//! The measurements. Each returns figures with one value a run; nothing here prints.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};

use crate::figures::Figure;
use crate::load::Load;
use crate::rival;
use crate::sink::Sink;
use crate::spans::SpanMaker;
use crate::subject::{Exporters, Subject, langfuse_config};

/// Exporters in the many-exporters measurements.
const MANY: usize = 5;

/// Starts behind the time to ready.
const READY_STARTS: usize = 10;

/// What is measured, and how hard.
pub(crate) struct Plan {
    /// The release build.
    pub(crate) host: PathBuf,
    /// `langfuse.wasm`
    pub(crate) plugin: PathBuf,
    /// `otel.wasm`
    pub(crate) otel: PathBuf,
    /// The folder with the pinned Node packages.
    pub(crate) peers: PathBuf,
    /// Runs of each measurement.
    pub(crate) runs: usize,
    /// Spans a run at 1.3 kB.
    pub(crate) spans: u64,
    /// Connections of the load generator.
    pub(crate) connections: usize,
    /// Bytes of spans sent and not yet delivered: the same for small spans and big ones, since memory is what they take.
    pub(crate) backlog_bytes: u64,
}

impl Plan {
    /// Spans of this size that may be sent and not yet delivered; at least two bodies of them.
    pub(crate) fn backlog(&self, span_bytes: usize, spans_a_body: usize) -> u64 {
        let spans = self.backlog_bytes / span_bytes as u64;
        spans.max(2 * spans_a_body as u64)
    }
}

/// A kind of record.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) label: &'static str,
    pub(crate) bytes: usize,
    pub(crate) spans_a_body: usize,
    /// Share of the plan's spans: bigger spans are fewer.
    pub(crate) divisor: u64,
    pub(crate) goal: &'static str,
}

const SIZES: [Size; 2] = [
    Size {
        label: "1.3 kB",
        bytes: 1_300,
        spans_a_body: 1_000,
        divisor: 1,
        goal: "at least 100 000",
    },
    Size {
        label: "10.5 kB",
        bytes: 10_500,
        spans_a_body: 1_000,
        divisor: 8,
        goal: "",
    },
];

/// Which sides of the throughput comparison run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sides {
    /// The host.
    pub(crate) host: bool,
    /// The official exporter.
    pub(crate) rival: bool,
}

/// Spans per CPU-second and peak memory of both sides, in turns.
///
/// # Errors
/// Whatever keeps one span from arriving.
pub(crate) async fn throughput(plan: &Plan, sides: Sides) -> Result<Vec<Figure>> {
    let sink = Arc::new(Sink::start().await?);
    let mut figures = Vec::new();
    for size in SIZES {
        let mut durable = [Vec::new(), Vec::new()];
        let mut in_memory = [Vec::new(), Vec::new()];
        let mut rival = [Vec::new(), Vec::new()];
        for _ in 0..plan.runs {
            if sides.host {
                let plugin = Exporters::Plugin(&plan.plugin);
                let (rate, peak) = exporter_run(plan, plugin, size, &sink).await?;
                durable[0].push(rate);
                durable[1].push(peak);
                let home = tempfile::tempdir()?;
                // As the rival's queue is.
                let config = langfuse_config(home.path(), &plan.plugin, &sink.url(), "memory", 1)?;
                let config = Exporters::Config(&config);
                let (rate, peak) = exporter_run(plan, config, size, &sink).await?;
                in_memory[0].push(rate);
                in_memory[1].push(peak);
            }
            if sides.rival {
                let (rate, peak) = rival_run(plan, size, &sink).await?;
                rival[0].push(rate);
                rival[1].push(peak);
            }
        }
        for (who, goal, [rates, peaks]) in [
            ("mastra-host run, langfuse.wasm, on disk", "", durable),
            (
                "mastra-host run, langfuse.wasm, in memory",
                size.goal,
                in_memory,
            ),
            ("official exporter @mastra/langfuse", "", rival),
        ] {
            let label = format!("{who}, {} spans", size.label);
            figures.push(Figure {
                name: label.clone(),
                unit: "spans/CPU-s",
                goal,
                values: rates,
            });
            figures.push(Figure {
                name: label,
                unit: "MB peak",
                goal: "",
                values: peaks,
            });
        }
    }
    Ok(figures)
}

/// Bodies to warm up with and bodies to bill.
fn bodies(plan: &Plan, size: Size) -> (u64, u64) {
    let billed = plan.spans / size.divisor / size.spans_a_body as u64;
    (billed.div_ceil(10), billed.max(1))
}

/// Spans per CPU-second and megabytes at most of the host with these exporters.
///
/// # Errors
/// Whatever keeps one span from arriving.
pub(crate) async fn exporter_run(
    plan: &Plan,
    exporters: Exporters<'_>,
    size: Size,
    sink: &Arc<Sink>,
) -> Result<(f64, f64)> {
    let home = tempfile::tempdir()?;
    let (warm, billed) = bodies(plan, size);
    // The first start compiles the component and delivers with it, so that the peak of the second is the host's and not
    // the compiler's; a big component compiles beside the start.
    let subject = Subject::start(&plan.host, exporters.clone(), home.path(), &sink.url()).await?;
    load(plan, size, &subject)?.run(0, 1, sink).await?;
    subject.stop().await?;
    let subject = Subject::start(&plan.host, exporters, home.path(), &sink.url()).await?;
    let load = load(plan, size, &subject)?;
    load.run(0, warm, sink).await?;
    let before = subject.cpu_time()?;
    load.run(warm, billed, sink).await?;
    let cpu = subject.cpu_time()?.saturating_sub(before);
    let peak = subject.peak_kib()?;
    subject.stop().await?;
    let rate = (billed * size.spans_a_body as u64) as f64 / cpu.as_secs_f64().max(0.01);
    Ok((rate, megabytes(peak)))
}

fn load(plan: &Plan, size: Size, subject: &Subject) -> Result<Arc<Load>> {
    Ok(Arc::new(Load {
        target: subject.address,
        bodies: Box::new(SpanMaker::new(size.bytes, fastrand::u64(..))?),
        spans_a_body: size.spans_a_body,
        connections: plan.connections,
        backlog: plan.backlog(size.bytes, size.spans_a_body),
    }))
}

async fn rival_run(plan: &Plan, size: Size, sink: &Arc<Sink>) -> Result<(f64, f64)> {
    let spans = SpanMaker::new(size.bytes, fastrand::u64(..))?;
    let (warm, billed) = bodies(plan, size);
    // It is ten times slower: fewer spans take as long.
    let billed = billed.div_ceil(4);
    let figures = rival::run(&plan.peers, sink, &spans, size.spans_a_body, warm, billed).await?;
    Ok((
        figures.spans as f64 / figures.cpu_seconds.max(0.001),
        megabytes(figures.peak_kib),
    ))
}

/// Resident memory without load, with one exporter and for each further one.
///
/// # Errors
/// The host does not start.
pub(crate) async fn idle_memory(plan: &Plan) -> Result<Vec<Figure>> {
    let sink = Sink::start().await?;
    let home = tempfile::tempdir()?;
    let one_config = config(home.path(), &plan.plugin, 1)?;
    let many_config = config(home.path(), &plan.plugin, MANY)?;
    cached_start(plan, &many_config, home.path(), &sink).await?;
    let mut one = Vec::new();
    let mut further = Vec::new();
    for _ in 0..plan.runs {
        let mut resident = Vec::new();
        for config in [&one_config, &many_config] {
            let subject = Subject::start(
                &plan.host,
                Exporters::Config(config),
                home.path(),
                &sink.url(),
            )
            .await?;
            resident.push(megabytes(subject.idle_kib().await?));
            subject.stop().await?;
        }
        if let [with_one, with_many] = resident.as_slice() {
            one.push(*with_one);
            further.push((with_many - with_one) / (MANY - 1) as f64);
        }
    }
    Ok(vec![
        Figure {
            name: "idle, one exporter".to_owned(),
            unit: "MB resident",
            goal: "at most 30",
            values: one,
        },
        Figure {
            name: "idle, each further exporter".to_owned(),
            unit: "MB resident",
            goal: "at most 6",
            values: further,
        },
    ])
}

/// Time from the start of the process to ready, with five compiled exporters.
///
/// # Errors
/// The host does not start.
pub(crate) async fn ready_time(plan: &Plan) -> Result<Vec<Figure>> {
    let sink = Sink::start().await?;
    let home = tempfile::tempdir()?;
    let config = config(home.path(), &plan.plugin, MANY)?;
    cached_start(plan, &config, home.path(), &sink).await?;
    let mut values = Vec::new();
    for _ in 0..READY_STARTS {
        let subject = Subject::start(
            &plan.host,
            Exporters::Config(&config),
            home.path(),
            &sink.url(),
        )
        .await?;
        values.push(subject.ready_after.as_secs_f64() * 1_000.0);
        subject.stop().await?;
    }
    Ok(vec![Figure {
        name: "ready with five cached exporters".to_owned(),
        unit: "ms",
        goal: "at most 60",
        values,
    }])
}

/// Fills the cache of compiled components.
async fn cached_start(plan: &Plan, config: &Path, home: &Path, sink: &Sink) -> Result<()> {
    let subject = Subject::start(&plan.host, Exporters::Config(config), home, &sink.url()).await?;
    subject.stop().await
}

/// A config file with the same component under several exporter ids, each from a file of its own: the host may share
/// what it compiled, as it may for an operator who does this. The environment fills settings by itself only for an id that
/// is the component's name.
fn config(home: &Path, plugin: &Path, exporters: usize) -> Result<PathBuf> {
    let mut text = String::from("exporters:\n");
    for index in 1..=exporters {
        let copy = home.join(format!("langfuse-{index}.wasm"));
        std::fs::copy(plugin, &copy)
            .with_context(|| format!("copy {}: build it with `make build`", plugin.display()))?;
        text.push_str(&format!(
            "  langfuse/{index}:\n    component: {}\n    settings:\n      public_key: ${{env:LANGFUSE_PUBLIC_KEY}}\n      \
             secret_key: ${{env:LANGFUSE_SECRET_KEY}}\n      base_url: ${{env:LANGFUSE_BASE_URL}}\n",
            copy.display()
        ));
    }
    let path = home.join(format!("{exporters}.yaml"));
    std::fs::write(&path, text)?;
    Ok(path)
}

/// Megabytes of 10^6 bytes.
pub(crate) fn megabytes(kib: u64) -> f64 {
    kib as f64 * 1_024.0 / 1_000_000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spans::SPANS_A_TRACE;

    #[test]
    fn every_size_fills_whole_traces() {
        for size in SIZES {
            assert!(size.spans_a_body.is_multiple_of(SPANS_A_TRACE));
        }
    }
}
