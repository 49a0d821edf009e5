//! What a function can be made to do before it answers.

use std::hint::black_box;
use std::time::Duration;

use serde_json::Value;

use crate::component::{hoard, http, output, store, types};
use crate::script::{number, settings, text};

/// Does what the act says; what it then has to say.
pub(crate) fn perform(act: &Value) -> String {
    let count = number(act, "count", 1);
    let size = usize::try_from(number(act, "size", 1)).unwrap_or(1);
    match act.get("do").and_then(Value::as_str).unwrap_or_default() {
        "trap" => core::arch::wasm32::unreachable(),
        "panic" => fail(act),
        "exit" => std::process::exit(7),
        "exit-well" => std::process::exit(0),
        "spin" => loop {
            black_box(());
        },
        "sleep" => std::thread::sleep(Duration::from_millis(number(act, "ms", 600_000))),
        "stack" => return deeper(0).to_string(),
        "leak" => loop {
            std::mem::forget(black_box(vec![1_u8; 1 << 20]));
        },
        "print" => (0..count).for_each(|_| print(&text(act, "text"), false)),
        "print-error" => (0..count).for_each(|_| print(&text(act, "text"), true)),
        "random" => (0..count).for_each(|_| {
            black_box(wasip2::random::random::get_random_bytes(size as u64));
        }),
        "clock" => (0..count).for_each(|_| {
            black_box(wasip2::clocks::monotonic_clock::now());
            black_box(wasip2::clocks::wall_clock::now());
        }),
        "pollables" => (0..count).for_each(|_| {
            let far = wasip2::clocks::monotonic_clock::subscribe_duration(u64::MAX);
            std::mem::forget(far);
        }),
        "hoard" => hoard(count),
        "environment" => {
            let variables: Vec<_> = std::env::vars().collect();
            let read = std::fs::read("/etc/passwd").is_ok();
            let socket = std::net::TcpStream::connect("127.0.0.1:80").is_ok();
            return format!("{variables:?} {read} {socket}");
        }
        "http" => return requests(act, count, size),
        "wasi-no-path" => return wasi_no_path(count),
        "wasi-hold" => return wasi_hold(count),
        "wasi-body" => return wasi_body(count, size),
        "output" => return outputs(act, count, size),
        "store" => return rows(act, count, size),
        "settings" => return settings(),
        _ => {}
    }
    text(act, "text")
}

#[expect(clippy::panic, reason = "a panic is what is tested")]
fn fail(act: &Value) {
    panic!("{}", text(act, "text"));
}

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "output is what is tested"
)]
fn print(line: &str, is_error: bool) {
    if is_error {
        eprintln!("{line}");
    } else {
        println!("{line}");
    }
}

#[allow(
    unconditional_recursion,
    reason = "the end of the stack is what is tested"
)]
fn deeper(depth: u64) -> u64 {
    let room = black_box([depth; 64]);
    deeper(depth + 1) + room.iter().sum::<u64>()
}

fn requests(act: &Value, count: u64, size: usize) -> String {
    let mut said = String::new();
    let pair = |(name, value): (&String, &Value)| {
        (name.clone(), value.as_str().unwrap_or_default().to_owned())
    };
    let named = act.get("headers").and_then(Value::as_object);
    let mut headers: Vec<(String, String)> = named.into_iter().flatten().map(pair).collect();
    let letters = number(act, "letters", 0);
    headers.extend((0..letters).map(|_| ("a".to_owned(), String::new())));
    let verb = act.get("verb").and_then(Value::as_str).unwrap_or("POST");
    for _ in 0..count {
        let answer = http::send(&http::Request {
            verb: verb.to_owned(),
            url: text(act, "url"),
            headers: headers.clone(),
            body: vec![b'x'; size],
            compress: None,
            auth: None,
            timeout: act.get("timeout").and_then(Value::as_u64),
        });
        said = match answer {
            Ok(answer) => format!("{} {} bytes", answer.status, answer.body.len()),
            Err(error) => format!("{error:?}"),
        };
    }
    said
}

fn wasi_request() -> Option<wasip2::http::types::OutgoingRequest> {
    use wasip2::http::types::{Fields, Method, OutgoingRequest, Scheme};
    let request = OutgoingRequest::new(Fields::new());
    request.set_method(&Method::Post).ok()?;
    request.set_scheme(Some(&Scheme::Http)).ok()?;
    request.set_authority(Some("127.0.0.1:1")).ok()?;
    Some(request)
}

fn wasi_no_path(count: u64) -> String {
    let mut said = String::new();
    for _ in 0..count {
        if let Some(request) = wasi_request() {
            said = format!(
                "{:?}",
                wasip2::http::outgoing_handler::handle(request, None).is_ok()
            );
        }
    }
    said
}

fn wasi_hold(count: u64) -> String {
    for _ in 0..count {
        if let Some(request) = wasi_request() {
            let _named = request.set_path_with_query(Some("/"));
            std::mem::forget(wasip2::http::outgoing_handler::handle(request, None));
        }
    }
    String::new()
}

fn wasi_body(count: u64, size: usize) -> String {
    let part = vec![b'x'; 4096];
    let mut said = String::new();
    for _ in 0..count {
        let Some(request) = wasi_request() else {
            continue;
        };
        let _named = request.set_path_with_query(Some("/"));
        let Ok(body) = request.body() else { continue };
        let _sent = wasip2::http::outgoing_handler::handle(request, None);
        let Ok(stream) = body.write() else { continue };
        for _ in 0..size / part.len() {
            if let Err(error) = stream.blocking_write_and_flush(&part) {
                said = format!("{error:?}");
                break;
            }
        }
        std::mem::forget((stream, body));
    }
    said
}

fn outputs(act: &Value, count: u64, size: usize) -> String {
    let mut line = text(act, "text").into_bytes();
    if line.is_empty() {
        line = vec![b'x'; size];
        line.push(b'\n');
    }
    let mut said = String::new();
    for _ in 0..count {
        said = format!("{:?}", output::append(types::Signal::Traces, &line));
    }
    said
}

fn rows(act: &Value, count: u64, size: usize) -> String {
    let mut said = String::new();
    for number in 0..count {
        let row = store::Row {
            id: format!("{}{number}", text(act, "text")),
            time: u64::MAX - number,
            trace_id: Some(text(act, "trace")),
            rank: u32::MAX,
            content: format!("{{\"a\":\"{}\"}}", "x".repeat(size)),
        };
        said = format!("{:?}", store::upsert(types::Signal::Traces, &[row]));
    }
    said
}
