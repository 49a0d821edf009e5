//! Measurements whose sums are known, for the servers that store metrics.

use std::time::{SystemTime, UNIX_EPOCH};

use kit::fixtures::{EPOCH_MILLIS, metric, ndjson, time, with};
use serde_json::{Value, json};

/// Of each observation of the counter `app_answers_total`, label `channel="web"`.
pub const ANSWERS: [f64; 3] = [2.0, 3.0, 4.5];

/// Milliseconds of each observation of the histogram `mastra_agent_duration_ms`, label `status="ok"`.
pub const DURATIONS_MS: [f64; 2] = [20.0, 300.0];

/// The gauge `app_hit_ratio`.
pub const HIT_RATIO: f64 = 0.25;

/// All of them as events, one a line.
#[must_use]
pub fn events() -> String {
    let mut events = series();
    for (n, value) in (11..).zip(DURATIONS_MS) {
        events.push(named(n, "mastra_agent_duration_ms", value));
    }
    ndjson(&events)
}

/// The counter and the gauge, all in the present second: for stores that drop what is old.
#[must_use]
pub fn series_now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let millis = since.unwrap_or_default().as_secs() * 1_000;
    let now = time(millis.cast_signed() - EPOCH_MILLIS);
    let events = series().into_iter();
    let events: Vec<Value> = events
        .map(|event| with(event, "timestamp", now.clone().into()))
        .collect();
    ndjson(&events)
}

fn series() -> Vec<Value> {
    let answers = (1..).zip(ANSWERS).map(|(n, value)| {
        let event = named(n, "app_answers_total", value);
        with(event, "labels", json!({"channel": "web"}))
    });
    let gauge = named(21, "app_hit_ratio", HIT_RATIO);
    answers.chain([gauge]).collect()
}

fn named(n: u64, name: &str, value: f64) -> Value {
    with(
        with(metric(1, n), "name", name.into()),
        "value",
        value.into(),
    )
}
