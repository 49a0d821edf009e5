//! The clients of a chaos run: they send until the host is gone, remember what was acknowledged, and send again what
//! was not answered, as the platform's client does.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kit::client::Outgoing;
use kit::fixtures::{ndjson, span, span_id};
use serde_json::Value;
use tokio::sync::watch;

/// Events of one request.
const EVENTS_A_REQUEST: u64 = 20;

/// Before a client that was refused comes again.
const PAUSE: Duration = Duration::from_millis(20);

/// Of the input of a long event.
const LONG_BYTES: usize = 10_000;

/// Events that are sent at once, always the same ones.
#[derive(Clone, Copy)]
struct Request {
    first: u64,
    is_long: bool,
}

/// What the clients have sent so far.
#[derive(Default)]
pub(super) struct Clients {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: u64,
    /// What was refused, or whose connection broke: nobody knows whether that was taken in.
    unanswered: VecDeque<Request>,
    acknowledged: BTreeSet<u64>,
    refusals: u64,
}

impl Clients {
    /// Sends until the host is gone; `count` counts the requests answered with success.
    pub(super) async fn send(
        self: Arc<Self>,
        address: SocketAddr,
        is_long: bool,
        count: watch::Sender<u64>,
    ) {
        loop {
            let request = self.next(is_long);
            let body = ndjson(&request.events());
            let sent = Outgoing::post("/v1/events", "application/x-ndjson", body).send(address);
            match sent.await {
                Ok(reply) if reply.status == 200 => {
                    self.lock().acknowledged.extend(request.numbers());
                    count.send_modify(|count| *count += 1);
                }
                Ok(_) => {
                    {
                        let mut state = self.lock();
                        state.refusals += 1;
                        state.unanswered.push_back(request);
                    }
                    tokio::time::sleep(PAUSE).await;
                }
                Err(_) => {
                    self.lock().unanswered.push_back(request);
                    return;
                }
            }
        }
    }

    /// A request that was not answered, or a new one.
    fn next(&self, is_long: bool) -> Request {
        let mut state = self.lock();
        if let Some(request) = state.unanswered.pop_front() {
            return request;
        }
        let first = state.next;
        state.next += EVENTS_A_REQUEST;
        Request { first, is_long }
    }

    /// Ids of the spans that were acknowledged.
    pub(super) fn acknowledged(&self) -> BTreeSet<String> {
        let state = self.lock();
        state.acknowledged.iter().copied().map(id).collect()
    }

    /// Requests that were answered with anything but success.
    pub(super) fn refusals(&self) -> u64 {
        self.lock().refusals
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn id(number: u64) -> String {
    span_id(number + 1)
}

impl Request {
    const fn numbers(self) -> Range<u64> {
        self.first..self.first + EVENTS_A_REQUEST
    }

    fn events(self) -> Vec<Value> {
        let trace = self.first / EVENTS_A_REQUEST + 1;
        let event = |number| {
            let mut event = span(trace, number + 1, None, "tool_call");
            if let (true, Some(input)) = (self.is_long, event.pointer_mut("/exportedSpan/input")) {
                *input = "x".repeat(LONG_BYTES).into();
            }
            event
        };
        self.numbers().map(event).collect()
    }
}
