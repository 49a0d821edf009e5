//! What a guest call costs: sends batches of spans to one component through a pool of one instance, with a backend that
//! answers at once, and prints spans per CPU-second of the whole process.
//!
//! `cargo bench -p mastra-host --bench guest_call -- plugins/json.wasm --settings '{"output":"file:/dev/null"}'`
//!
//! Without a component it does nothing, so that `cargo test --benches` passes on a clean clone.

#![expect(clippy::print_stdout, reason = "the report is what a benchmark is for")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use clap::Parser;
use mastra_host::event::{Event, EventKind, Signal, decode};
use mastra_host::http::message::{Request, Response};
use mastra_host::plugin::compiler::CompileIn;
use mastra_host::plugin::file::ComponentFile;
use mastra_host::plugin::guest::{Batch, BatchItem, Guest};
use mastra_host::plugin::{
    CallLimits, Engine, EngineSettings, GuestSettings, HttpCapability, HttpFuture, Output,
    OutputBounds, Pool, PoolSettings,
};

/// Measures guest calls.
#[derive(Parser)]
struct Arguments {
    /// The component.
    component: Option<PathBuf>,
    /// Spans as event envelopes, one a line; generated ones of about 1.3 kB if absent.
    #[arg(long)]
    events: Option<PathBuf>,
    /// Settings as a JSON object.
    #[arg(long, default_value = "{}")]
    settings: String,
    /// Target of the `output` import.
    #[arg(long, default_value = "file:/dev/null")]
    output: String,
    /// Status of the backend's answers.
    #[arg(long, default_value_t = 200)]
    status: u16,
    /// Body of the backend's answers.
    #[arg(long, default_value = r#"{"successes":[],"errors":[]}"#)]
    body: String,
    /// Spans of a batch.
    #[arg(long, default_value_t = 512)]
    batch: usize,
    /// Batches to send.
    #[arg(long, default_value_t = 2_000)]
    batches: usize,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// As in the binary.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

struct AnswersAtOnce {
    status: u16,
    body: Bytes,
}

impl HttpCapability for AnswersAtOnce {
    fn send(&self, _request: Request) -> HttpFuture<'_> {
        Box::pin(async {
            Ok(Response {
                status: self.status,
                headers: Vec::new(),
                body: self.body.clone(),
                retry_after: None,
            })
        })
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let Some(component) = arguments.component.clone() else {
        println!("guest_call: name a component to measure");
        return Ok(());
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(measure(&arguments, &component))
}

async fn measure(arguments: &Arguments, component: &Path) -> Result<()> {
    let batch = batch(arguments)?;
    let spans = batch.items.len() * arguments.batches;
    let bytes: usize = batch.items.iter().map(|item| item.event.size_bytes()).sum();
    let pool = pool(arguments, component).await?;
    // The first calls grow the guest's memory and fill caches.
    for _ in 0..20 {
        pool.send(batch.clone()).await?;
    }
    let begin = cpu_time()?;
    for _ in 0..arguments.batches {
        pool.send(batch.clone()).await?;
    }
    let with_decoding = cpu_time()? - begin;
    let answer = pool.send(batch.clone()).await?;

    let begin = cpu_time()?;
    for _ in 0..arguments.batches {
        for item in batch.items.iter() {
            std::hint::black_box(decode::record(&item.event)?);
        }
    }
    let decoding = cpu_time()? - begin;

    println!("component           {}", component.display());
    println!(
        "batch               {} spans of {} bytes",
        batch.items.len(),
        bytes / batch.items.len()
    );
    println!(
        "answer              {:.100}",
        format!("{:?}", answer.outcome)
    );
    println!(
        "decode alone        {:>12} spans per CPU-second",
        per_second(spans, decoding)
    );
    println!(
        "guest call alone    {:>12} spans per CPU-second",
        per_second(spans, with_decoding.saturating_sub(decoding))
    );
    println!(
        "decode and call     {:>12} spans per CPU-second",
        per_second(spans, with_decoding)
    );
    println!("peak memory         {:>12}", peak_memory()?);
    pool.shutdown().await;
    Ok(())
}

async fn pool(arguments: &Arguments, component: &Path) -> Result<Pool> {
    let limits = CallLimits::default();
    let engine = Engine::new(EngineSettings {
        cache_dir: Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled")),
        limits,
        ..EngineSettings::new(CompileIn::ThisProcess)
    })?;
    let component = engine
        .load(&ComponentFile::read(component)?, "bench", |_| {})
        .await?;
    let guest = GuestSettings {
        settings_json: arguments.settings.clone(),
        http: Arc::new(AnswersAtOnce {
            status: arguments.status,
            body: arguments.body.clone().into(),
        }),
        output: Some(Arc::new(Output::new(
            arguments.output.parse()?,
            OutputBounds {
                max_bytes: u64::MAX,
            },
        ))),
        store: None,
    };
    let settings = PoolSettings {
        max_instances: 1,
        ..PoolSettings::new("bench", guest)
    };
    Ok(Pool::start(&component, settings).await?)
}

fn batch(arguments: &Arguments) -> Result<Batch> {
    let payloads = match &arguments.events {
        Some(path) => spans_of(&std::fs::read_to_string(path)?)?,
        None => (1..=arguments.batch).map(generated_span).collect(),
    };
    ensure!(!payloads.is_empty(), "no ended spans in the given file");
    let items = payloads
        .into_iter()
        .cycle()
        .take(arguments.batch)
        .zip(1..)
        .map(|(payload, token)| {
            let event = Event {
                kind: EventKind::SpanEnded,
                payload: Bytes::from(payload),
                received_at: 0,
                source: Arc::default(),
                repeat_key: 0,
                lane: 0,
            };
            BatchItem {
                token,
                event: Arc::new(event),
            }
        });
    Ok(Batch {
        signal: Signal::Traces,
        items: items.collect(),
        ancestors: Arc::default(),
    })
}

fn spans_of(ndjson: &str) -> Result<Vec<String>> {
    let mut payloads = Vec::new();
    for line in ndjson.lines() {
        let envelope: serde_json::Value = serde_json::from_str(line)?;
        if envelope.get("type").and_then(|kind| kind.as_str())
            == Some(EventKind::SpanEnded.type_name())
        {
            payloads.extend(
                envelope
                    .get(EventKind::SpanEnded.payload_key())
                    .map(ToString::to_string),
            );
        }
    }
    Ok(payloads)
}

/// A model call with a short conversation, as agents make most of.
fn generated_span(index: usize) -> String {
    let question = "What is the weather in Lisbon tomorrow, and do I need an umbrella for a walk along the river?";
    let answer = "Tomorrow in Lisbon it will be sunny with a light breeze from the north west and a high of 24 degrees. \
                  You will not need an umbrella; sunglasses are the better choice.";
    format!(
        r#"{{"id":"{index:016x}","traceId":"4cdc4db2c6dcc0694acd43abc49c{:04x}","parentSpanId":"2ef715a36f006237","name":"llm: 'gpt-4o'","type":"model_generation","entityType":"agent","entityId":"weather-agent","entityName":"Weather Agent","startTime":"2026-03-04T05:06:07.123Z","endTime":"2026-03-04T05:06:09.456Z","isEvent":false,"isRootSpan":false,"attributes":{{"model":"gpt-4o","provider":"openai","resultType":"primitive","streaming":true,"finishReason":"stop","responseModel":"gpt-4o-2024-08-06","parameters":{{"temperature":0.2,"maxOutputTokens":512}},"usage":{{"inputTokens":412,"outputTokens":87,"inputDetails":{{"text":300,"cacheRead":112}}}},"completionStartTime":"2026-03-04T05:06:07.623Z"}},"metadata":{{"userId":"user-{index}","sessionId":"sess-777","runId":"run-0001","environment":"staging"}},"input":{{"messages":[{{"role":"system","content":"You are a helpful weather assistant."}},{{"role":"user","content":"{question}"}}]}},"output":{{"text":"{answer}","toolCalls":[]}}}}"#,
        index % 64,
    )
}

fn per_second(spans: usize, cpu: Duration) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a rate to three digits")]
    let rate = spans as f64 / cpu.as_secs_f64().max(f64::MIN_POSITIVE);
    format!("{rate:.0}")
}

/// Time on a processor of all threads, those that have ended, too.
fn cpu_time() -> Result<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Ok(Duration::try_from(time)?)
}

fn peak_memory() -> Result<String> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    Ok(line
        .context("no VmHWM in /proc/self/status")?
        .trim()
        .to_owned())
}
