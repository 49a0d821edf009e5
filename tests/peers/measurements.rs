//! Measurements whose sums are known, for the servers that store metrics.

use kit::fixtures::{metric, ndjson, with};

/// Of each observation of the counter `app_answers_total`, label `channel="web"`.
pub const ANSWERS: [f64; 3] = [2.0, 3.0, 4.5];

/// Milliseconds of each observation of the histogram `mastra_agent_duration_ms`, label `status="ok"`.
pub const DURATIONS_MS: [f64; 2] = [20.0, 300.0];

/// The gauge `app_hit_ratio`.
pub const HIT_RATIO: f64 = 0.25;

/// All of them as events, one a line.
#[must_use]
pub fn events() -> String {
    let named = |n: u64, name: &str, value: f64| {
        let event = with(metric(1, n), "name", name.into());
        with(event, "value", value.into())
    };
    let mut events = Vec::new();
    for (n, value) in (1..).zip(ANSWERS) {
        let event = named(n, "app_answers_total", value);
        events.push(with(event, "labels", serde_json::json!({"channel": "web"})));
    }
    for (n, value) in (11..).zip(DURATIONS_MS) {
        events.push(named(n, "mastra_agent_duration_ms", value));
    }
    events.push(named(21, "app_hit_ratio", HIT_RATIO));
    ndjson(&events)
}
