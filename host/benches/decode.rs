//! What a span of 1.3 kB costs on its way in and when a batch is made, in spans per CPU-second of one thread.
//! `cargo bench -p mastra-host --bench decode`

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends at the first surprise"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use bytes::Bytes;
use mastra_host::deliver::dead_letter::DeadLetter;
use mastra_host::event::{Event, EventKind, Source, decode};
use mastra_host::http::hop::HopId;
use mastra_host::receive::auth::Tokens;
use mastra_host::receive::counts::Counts;
use mastra_host::receive::gate::{Gate, GateSettings};
use mastra_host::receive::limits::Limits;
use mastra_host::receive::{
    Accepted, Intake, IntakeError, KeepRefused, Page, Receiver, Settings, Status, system_clock,
};
use tower::ServiceExt as _;

const SPANS: usize = 1000;
const ENOUGH: Duration = Duration::from_secs(2);

struct Nowhere;

impl KeepRefused for Nowhere {
    fn keep(&self, letters: Vec<DeadLetter>, _: u64) {
        black_box(letters);
    }
}

impl Intake for Nowhere {
    async fn accept(&self, events: Vec<Event>) -> Result<Accepted, IntakeError> {
        Ok(Accepted {
            accepted: black_box(events).len() as u64,
            repeated: 0,
        })
    }
}

struct Silent;

impl Status for Silent {
    fn health(&self) -> Page {
        Page {
            status: 200,
            content_type: "text/plain",
            body: String::new(),
        }
    }
    fn ready(&self, _verbose: bool) -> Page {
        self.health()
    }
    fn metrics(&self) -> Page {
        self.health()
    }
}

/// A model call as the platform's client sends it, copies of fields included.
fn span(number: usize) -> String {
    let padding =
        "The weather in Lisbon is sunny, with a light breeze from the north-west. ".repeat(2);
    format!(
        r#"{{"id":"{number:016x}","traceId":"4cdc4db2c6dcc0694acd43ab{:08x}","name":"llm: 'gpt-4o'","type":"model_generation","entityType":"agent","entityId":"weather-agent","entityName":"Weather Agent","attributes":{{"model":"gpt-4o","provider":"openai","parameters":{{"temperature":0.7,"maxOutputTokens":512}},"streaming":true,"finishReason":"stop","responseModel":"gpt-4o-2024-08-06","usage":{{"inputTokens":120,"outputTokens":45,"inputDetails":{{"text":100,"cacheRead":20}}}}}},"metadata":{{"userId":"user-123","sessionId":"sess-777","threadId":"thread-42","runId":"run-0001"}},"startTime":"2026-03-04T05:06:07.123Z","endTime":"2026-03-04T05:06:08.456Z","input":{{"messages":[{{"role":"user","content":"{padding}"}}]}},"output":{{"text":"{padding}"}},"isEvent":false,"isRootSpan":false,"parentSpanId":"2ef715a36f006237","spanId":"{number:016x}","spanType":"model_generation","startedAt":"2026-03-04T05:06:07.123Z","endedAt":"2026-03-04T05:06:08.456Z","error":null,"createdAt":"2026-03-04T05:06:09.000Z","updatedAt":null}}"#,
        number / 8 + 1,
    )
}

/// CPU time of this thread; wall time where the kernel does not tell.
fn cpu_time(started: Instant) -> Duration {
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| text.split(' ').next()?.parse().ok())
        .map_or_else(|| started.elapsed(), Duration::from_nanos)
}

fn measure(name: &str, mut work: impl FnMut()) {
    work();
    let wall = Instant::now();
    let before = cpu_time(wall);
    let mut rounds = 0;
    while wall.elapsed() < ENOUGH {
        work();
        rounds += 1;
    }
    let spent = cpu_time(wall) - before;
    #[allow(clippy::cast_precision_loss, reason = "a figure for people")]
    let spans = (rounds * SPANS) as f64;
    println!(
        "{name:<28} {:>10.0} spans per CPU-second  {:>6.2} us a span",
        spans / spent.as_secs_f64(),
        spent.as_secs_f64() * 1e6 / spans
    );
}

fn main() {
    let spans: Vec<String> = (1..=SPANS).map(span).collect();
    let body = Bytes::from(format!("{{\"spans\":[{}]}}", spans.join(",")));
    println!("{SPANS} spans of {} bytes", body.len() / SPANS);

    let settings = Settings {
        limits: Limits::default(),
        gate: Arc::new(Gate::new(Tokens::default(), GateSettings::default())),
        refused: Arc::new(Nowhere),
        status: Arc::new(Silent),
        hop: HopId::random(),
        clock: system_clock,
    };
    let router =
        Receiver::new(Nowhere, settings, Arc::new(Counts::default())).router(Router::new());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    measure("receive (body to events)", || {
        let request = Request::post("/ai/spans/publish")
            .body(Body::from(body.clone()))
            .unwrap();
        let response = runtime.block_on(router.clone().oneshot(request)).unwrap();
        assert_eq!(response.status(), 200);
    });

    let source = Arc::new(Source::default());
    let payloads: Vec<Bytes> = spans.into_iter().map(Bytes::from).collect();
    measure("check (one record)", || {
        for payload in &payloads {
            let event = Event::from_json(
                EventKind::SpanEnded,
                payload.clone(),
                1,
                Arc::clone(&source),
            );
            black_box(event.unwrap());
        }
    });
    let events: Vec<Event> = payloads
        .iter()
        .map(|payload| {
            Event::from_json(
                EventKind::SpanEnded,
                payload.clone(),
                1,
                Arc::clone(&source),
            )
            .unwrap()
        })
        .collect();
    measure("decode (event to record)", || {
        for event in &events {
            black_box(decode::record(event).unwrap());
        }
    });
}
