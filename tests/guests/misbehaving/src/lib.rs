//! A component that does on request what the engine must survive. The first span's name, or the words `configure` and
//! `capacity` in the settings, say what. With a capacity that has `block` in it, every batch is written to the output as
//! the bindings have it. Log records are always delivered. Used by the tests of the host's plugin room.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

mod bindings {
    #![allow(
        missing_docs,
        unsafe_code,
        unreachable_pub,
        clippy::all,
        reason = "generated code"
    )]

    wit_bindgen::generate!({
        path: "../../../wit",
        inline: "
            package test:misbehaving;
            world misbehaving {
                include mastra:observability/traces-exporter@0.1.0;
                include mastra:observability/logs-exporter@0.1.0;
                include mastra:observability/metrics-exporter@0.1.0;
                include mastra:observability/output-exporter@0.1.0;
                export mastra:observability/batch-memory@0.1.0;
            }
        ",
        world: "test:misbehaving/misbehaving",
        generate_all,
    });
}

use bindings::exports::mastra::observability::lifecycle::{
    Acknowledgement, BatchLimits, Description, Grouping, HostRequest, SettingError, SignalReads,
    Signals, SpanPhases,
};
use bindings::exports::mastra::observability::{batch_memory, lifecycle, logs, metrics, traces};
use bindings::mastra::observability::types::{
    ItemResult, LogBatch, MetricBatch, SendOutcome, SendResult, Signal, SpanBatch,
};
use bindings::mastra::observability::{http, log, output};

struct Guest;

/// What is read of metrics: all but `metadata`.
const METRIC_FIELDS: [&str; 8] = [
    "trace-id",
    "span-id",
    "unit",
    "correlation",
    "cost",
    "resource-index",
    "otel",
    "extra",
];

thread_local! {
    static CALLS: Cell<u32> = const { Cell::new(0) };
    static GREETING: Cell<bool> = const { Cell::new(false) };
    static CAPACITY: Cell<&str> = const { Cell::new("") };
}

impl lifecycle::Guest for Guest {
    fn describe() -> Description {
        Description {
            name: "misbehaving".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            settings_schema: r#"{"type":"object","properties":{"configure":{"type":"string"},"capacity":{"type":"string"},"greeting":{"type":"boolean"}}}"#
                .to_owned(),
            limits: BatchLimits { max_items: 100, max_bytes: 1_000_000 },
            phases: SpanPhases::ENDED,
            grouping: Grouping::Ungrouped,
            idempotent: Signals::empty(),
            flush_interval: None,
            hosts: vec![HostRequest::Origin("https://backend.test".to_owned())],
            reads: vec![SignalReads {
                of_signal: Signal::Metrics,
                fields: METRIC_FIELDS.iter().map(|field| (*field).to_owned()).collect(),
            }],
            prefers_otlp: Signals::empty(),
            extra: None,
        }
    }

    fn configure(settings: String) -> Result<(), Vec<SettingError>> {
        GREETING.set(settings.contains("\"greeting\":true"));
        CAPACITY.set("");
        for act in ["trap", "spin", "one block", "blocks"] {
            if settings.contains(&format!("\"capacity\":\"{act}\"")) {
                CAPACITY.set(act);
            }
        }
        if settings.contains("\"configure\":\"trap\"") {
            trap();
        } else if settings.contains("\"configure\":\"spin\"") {
            spin();
        } else if settings.contains("\"configure\":\"hang\"") {
            let _ = request(Vec::new());
        } else if settings.contains("\"configure\":\"refuse\"") {
            let reason = "is `refuse`: leave it out".to_owned();
            return Err(vec![SettingError {
                setting: "configure".to_owned(),
                reason,
            }]);
        }
        Ok(())
    }

    fn flush() -> Vec<Acknowledgement> {
        Vec::new()
    }

    fn shutdown() {
        // The host's bound on the last call is tested by a guest that does not want to go.
        if GREETING.get() {
            spin();
        }
    }
}

impl traces::Guest for Guest {
    fn send(batch: SpanBatch) -> SendResult {
        CALLS.set(CALLS.get() + 1);
        if CAPACITY.get().contains("block") {
            return echo(Signal::Traces, batch);
        }
        let name = batch
            .spans
            .first()
            .map(|span| span.name.as_str())
            .unwrap_or_default();
        all(match name {
            "trap" => trap(),
            "spin" => spin(),
            "leak" => leak(),
            "hang" => of_http(Vec::new()),
            "flood" => of_http(vec![b'x'; 100 << 20]),
            "short" => {
                return answer(SendOutcome::PerItem(vec![
                    ItemResult::Delivered;
                    batch.spans.len() + 1
                ]));
            }
            "held" => ItemResult::Held,
            "shout" => {
                for _ in 0..1_000 {
                    println_wasi(&"x".repeat(1_000));
                }
                ItemResult::Delivered
            }
            "say" => {
                for level in [
                    log::Level::Debug,
                    log::Level::Info,
                    log::Level::Warn,
                    log::Level::Error,
                ] {
                    log::emit(
                        level,
                        &format!("{level:?} \u{1b}[31m{}", "x".repeat(20_000)),
                    );
                }
                ItemResult::Delivered
            }
            "say too much" => {
                for _ in 0..100 {
                    log::emit(log::Level::Warn, &"y".repeat(400));
                }
                ItemResult::Delivered
            }
            "calls" => ItemResult::Skipped(CALLS.get().to_string()),
            "greeting" => ItemResult::Skipped(GREETING.get().to_string()),
            "outside" => ItemResult::Skipped(outside()),
            "output" => match output::append(Signal::Traces, b"{\"line\":1}\n") {
                Ok(()) => ItemResult::Delivered,
                Err(reason) => ItemResult::Rejected(reason),
            },
            "ancestors" => ItemResult::Skipped(format!("{:?}", batch.ancestors)),
            "echo" => ItemResult::Skipped(format!("{batch:?}")),
            _ => ItemResult::Delivered,
        })
    }
}

impl batch_memory::Guest for Guest {
    fn capacity() -> u32 {
        match CAPACITY.get() {
            "trap" => trap(),
            "spin" => spin(),
            "one block" => {
                KEEPS.store(true, Ordering::Relaxed);
                8 << 20
            }
            _ => 0,
        }
    }
}

impl logs::Guest for Guest {
    fn send(batch: LogBatch) -> SendResult {
        echo(Signal::Logs, batch)
    }
}

impl metrics::Guest for Guest {
    fn send(batch: MetricBatch) -> SendResult {
        echo(Signal::Metrics, batch)
    }
}

/// The allocator that a promise of `batch-memory` needs: while records may lie in one block, nothing is given back.
struct Memory;

#[expect(unsafe_code, reason = "an allocator is unsafe to implement")]
// SAFETY: the system's own, which may be given less back than it gave.
unsafe impl GlobalAlloc for Memory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BLOCKS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's layout.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if !KEEPS.load(Ordering::Relaxed) {
            // SAFETY: the block came from `alloc`, with the same layout.
            unsafe { System.dealloc(block, layout) }
        }
    }
}

#[global_allocator]
static MEMORY: Memory = Memory;

static KEEPS: AtomicBool = AtomicBool::new(false);

/// Blocks that were allocated since the last batch.
static BLOCKS: AtomicU32 = AtomicU32::new(0);

/// Writes down what came, if the settings say how it is to come. It may lie in one block, so that nothing of it is freed.
fn echo(signal: Signal, batch: impl std::fmt::Debug) -> SendResult {
    let batch = std::mem::ManuallyDrop::new(batch);
    let blocks = BLOCKS.swap(0, Ordering::Relaxed);
    if CAPACITY.get().contains("block") {
        let line = format!("{batch:?}\n");
        if let Err(reason) = output::append(signal, line.as_bytes()) {
            return all(ItemResult::Rejected(reason));
        }
        BLOCKS.store(0, Ordering::Relaxed);
        return all(ItemResult::Skipped(blocks.to_string()));
    }
    all(ItemResult::Delivered)
}

fn all(fate: ItemResult) -> SendResult {
    answer(SendOutcome::AllItems(fate))
}

fn answer(outcome: SendOutcome) -> SendResult {
    SendResult {
        outcome,
        not_before: None,
    }
}

fn request(body: Vec<u8>) -> Result<http::Response, http::HttpError> {
    http::send(&http::Request {
        verb: "POST".to_owned(),
        url: "https://backend.test/v1".to_owned(),
        headers: Vec::new(),
        body,
        compress: None,
        auth: Some(http::Auth::Bearer("{{key}}".to_owned())),
        timeout: Some(1_000_000),
    })
}

fn of_http(body: Vec<u8>) -> ItemResult {
    match request(body) {
        Ok(response) => {
            ItemResult::Skipped(format!("{} {} bytes", response.status, response.body.len()))
        }
        Err(error) => ItemResult::Retry(format!("{error:?}")),
    }
}

/// What a guest can see of the machine.
fn outside() -> String {
    let variables = std::env::vars().count();
    let arguments = std::env::args().count();
    let file = std::fs::read("/etc/hostname").is_ok();
    let network = std::net::TcpStream::connect("127.0.0.1:80").is_ok();
    format!("variables {variables}, arguments {arguments}, file {file}, network {network}")
}

#[expect(clippy::print_stdout, reason = "standard output is what is tested")]
fn println_wasi(line: &str) {
    println!("{line}");
}

#[expect(clippy::panic, reason = "a trap is what is tested")]
fn trap() -> ! {
    panic!("asked to");
}

fn spin() -> ! {
    loop {
        black_box(());
    }
}

fn leak() -> ! {
    loop {
        black_box(vec![1_u8; 1 << 20].leak());
    }
}

mod exported {
    #![allow(unsafe_code, reason = "generated code")]

    use super::{Guest, bindings};

    bindings::export!(Guest with_types_in bindings);
}
