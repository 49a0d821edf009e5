//! The healthy exporter's backend: knows when each event was sent, and how long it took to get here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kit::backend::{Answer, Fake, Request};
use serde_json::Value;

#[derive(Default)]
struct Times {
    sent: HashMap<String, Instant>,
    took: HashMap<String, Duration>,
    repeated: usize,
}

/// See the module. Clones share what they know.
#[derive(Clone, Default)]
pub(crate) struct Healthy {
    times: Arc<Mutex<Times>>,
}

impl Healthy {
    /// An event is being sent.
    pub(crate) fn sends(&self, id: &str) {
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.sent.insert(id.to_owned(), Instant::now());
    }

    /// Events that are not here.
    pub(crate) fn missing(&self) -> usize {
        let times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.sent.len() - times.took.len()
    }

    /// Events that came more than once.
    pub(crate) fn repeated(&self) -> usize {
        self.times
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .repeated
    }

    /// How long 99 of 100 events took at most.
    pub(crate) fn p99(&self) -> Duration {
        let times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let mut took: Vec<Duration> = times.took.values().copied().collect();
        took.sort_unstable();
        took.get(took.len() * 99 / 100).copied().unwrap_or_default()
    }
}

impl Fake for Healthy {
    fn answer(&self, request: &Request) -> Answer {
        let events: Vec<Value> = serde_json::from_slice(&request.body).unwrap_or_default();
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        for event in &events {
            let id = event.pointer("/exportedSpan/id").and_then(Value::as_str);
            let Some(id) = id else { continue };
            let Some(sent) = times.sent.get(id).copied() else {
                continue;
            };
            if times.took.insert(id.to_owned(), sent.elapsed()).is_some() {
                times.repeated += 1;
            }
        }
        Answer::json(200, &serde_json::json!({}))
    }
}
