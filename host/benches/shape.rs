//! What shaping costs an event that has nothing to redact, in nanoseconds a kilobyte of one thread.
//! `cargo bench -p mastra-host --bench shape`

#![allow(clippy::print_stdout, reason = "a benchmark prints")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use mastra_host::config::shape::Redaction;
use mastra_host::shape::Redactor;

const ENOUGH: Duration = Duration::from_secs(2);

/// A span of a model call with about so many bytes of messages.
fn span(bytes: usize) -> String {
    let message = r#"{\"role\":\"user\",\"content\":\"What is the weather in Berlin at 10:30, and is it a risk for my task?\"}"#;
    let messages = message.repeat(bytes / message.len());
    format!(
        r#"{{"id":"00f067aa0ba902b7","traceId":"4bf92f3577b34da6a3ce929d0e0e4736","parentSpanId":"00f067aa0ba902b8","name":"llm: gpt","type":"model_generation","isEvent":false,"isRootSpan":false,"startTime":"2026-03-04T05:06:07.000Z","endTime":"2026-03-04T05:06:08.000Z","attributes":{{"model":"gpt","provider":"openai","usage":{{"inputTokens":12,"outputTokens":34,"totalTokens":46}},"streaming":true}},"metadata":{{"environment":"production","serviceName":"weather","url":"https://api.example.com/v1/chat"}},"input":"{messages}","output":{{"text":"It is sunny."}}}}"#
    )
}

fn main() {
    let redactor = Redactor::new(&Redaction {
        credentials: true,
        keys: Vec::new(),
        patterns: Vec::new(),
    });
    for bytes in [700, 9_900] {
        let text = span(bytes);
        let began = Instant::now();
        let mut calls = 0_u32;
        while began.elapsed() < ENOUGH {
            for _ in 0..100 {
                let found = redactor.redact(black_box(&text));
                assert!(black_box(found).is_none(), "there is nothing to redact");
            }
            calls += 100;
        }
        let nanos = began.elapsed().as_nanos() as f64 / f64::from(calls);
        println!(
            "{} bytes: {nanos:.0} ns, {:.0} ns a kB",
            text.len(),
            nanos * 1000.0 / text.len() as f64
        );
    }
}
