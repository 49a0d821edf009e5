//! OTLP in, the `otel` component, OTLP out, beside Rotel under the same load in the same run.

mod bodies;
mod rotel;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};

use self::bodies::OtlpSpans;
use self::rotel::Rotel;
use crate::figures::Figure;
use crate::load::Load;
use crate::measure::{Plan, Sides, megabytes};
use crate::process;
use crate::sink::Sink;
use crate::subject::{Exporters, Subject};

/// As senders batch by default in the figures that others publish.
const SPANS_A_BODY: usize = 100;

/// A kind of span.
#[derive(Clone, Copy)]
struct Size {
    label: &'static str,
    bytes: usize,
    /// Share of the plan's spans: bigger spans are fewer.
    divisor: u64,
    goal: &'static str,
}

const SIZES: [Size; 2] = [
    Size {
        label: "0.48 kB",
        bytes: 480,
        divisor: 1,
        goal: "at least 100 000",
    },
    Size {
        label: "10.5 kB",
        bytes: 10_500,
        divisor: 8,
        goal: "at least 40 000",
    },
];

/// Spans per CPU-second and peak memory of both, in turns.
///
/// # Errors
/// Whatever keeps one span from arriving.
pub(crate) async fn throughput(plan: &Plan, sides: Sides) -> Result<Vec<Figure>> {
    let sink = Arc::new(Sink::start().await?);
    let mut figures = Vec::new();
    for size in SIZES {
        let mut host = (Vec::new(), Vec::new());
        let mut rotel = (Vec::new(), Vec::new());
        for _ in 0..plan.runs {
            if sides.host {
                let (rate, peak) = host_run(plan, size, &sink).await?;
                host.0.push(rate);
                host.1.push(peak);
            }
            if sides.rival {
                let (rate, peak) = rotel_run(plan, size, &sink).await?;
                rotel.0.push(rate);
                rotel.1.push(peak);
            }
        }
        for (who, goal, memory_goal, (rates, peaks)) in [
            ("mastra-host run, otel.wasm", size.goal, "at most 256", host),
            ("Rotel", "", "", rotel),
        ] {
            figures.push(Figure {
                name: format!("OTLP, {who}, {} spans", size.label),
                unit: "spans/CPU-s",
                goal,
                values: rates,
            });
            figures.push(Figure {
                name: format!("OTLP, {who}, {} spans", size.label),
                unit: "MB peak",
                goal: memory_goal,
                values: peaks,
            });
        }
    }
    Ok(figures)
}

async fn host_run(plan: &Plan, size: Size, sink: &Arc<Sink>) -> Result<(f64, f64)> {
    let home = tempfile::tempdir()?;
    let config = config(home.path(), &plan.otel, &sink.url())?;
    // The first start compiles the component, so that the peak of the second is the host's and not the compiler's.
    let first = Subject::start(
        &plan.host,
        Exporters::Config(&config),
        home.path(),
        &sink.url(),
    )
    .await?;
    first.stop().await?;
    let subject = Subject::start(
        &plan.host,
        Exporters::Config(&config),
        home.path(),
        &sink.url(),
    )
    .await?;
    let load = load(plan, size, subject.address);
    let figures = billed(plan, size, &load, sink, subject.pid()?).await?;
    subject.stop().await?;
    Ok(figures)
}

async fn rotel_run(plan: &Plan, size: Size, sink: &Arc<Sink>) -> Result<(f64, f64)> {
    let rotel = Rotel::start(&plan.peers, &sink.url()).await?;
    let load = load(plan, size, rotel.address);
    let figures = billed(plan, size, &load, sink, rotel.pid()?).await?;
    rotel.stop().await?;
    Ok(figures)
}

fn load(plan: &Plan, size: Size, target: std::net::SocketAddr) -> Arc<Load> {
    Arc::new(Load {
        target,
        bodies: Box::new(OtlpSpans::new(size.bytes, fastrand::u64(..))),
        spans_a_body: SPANS_A_BODY,
        connections: plan.connections * 2,
        backlog: plan.backlog(size.bytes, SPANS_A_BODY),
    })
}

/// Warms up, then spans per CPU-second and peak memory of the process.
async fn billed(
    plan: &Plan,
    size: Size,
    load: &Arc<Load>,
    sink: &Arc<Sink>,
    pid: u32,
) -> Result<(f64, f64)> {
    let bodies = (plan.spans / size.divisor / SPANS_A_BODY as u64).max(1);
    let warm = bodies.div_ceil(10);
    load.run(0, warm, sink).await?;
    let before = process::cpu_time(pid)?;
    load.run(warm, bodies, sink).await?;
    let cpu = process::cpu_time(pid)?.saturating_sub(before);
    let rate = (bodies * SPANS_A_BODY as u64) as f64 / cpu.as_secs_f64().max(0.01);
    Ok((rate, megabytes(process::peak_kib(pid)?)))
}

/// With the queue in memory, as the rival's is.
fn config(home: &Path, otel: &Path, sink_url: &str) -> Result<std::path::PathBuf> {
    let path = home.join("otlp.yaml");
    let text = format!(
        "sending_queue:\n  storage: memory\nexporters:\n  otel:\n    component: {}\n    settings:\n      \
         endpoint: {sink_url}\n",
        otel.display()
    );
    std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}
