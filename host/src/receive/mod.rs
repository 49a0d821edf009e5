//! Bytes in: the receivers. They authenticate, cut the records out of a request or a file, check each once, hand the
//! good ones to the queue and keep the bad ones as dead letters. An answer is given only after the queue has taken the
//! events. Refuses what it cannot read, what is too large or too slow, and what has no token; never a whole request
//! for the sake of one bad record. Called by the commands that run the host.
//!
//! # Answers
//! | status | when |
//! |---|---|
//! | 200 | something was read: `{"accepted":n,"repeated":k,"rejected":[{"index","field","reason"}],"rejected_total":m}`; the list is cut at [`Limits::max_rejected_in_answer`], the total is not |
//! | 400 | nothing could be read: malformed from the start, another top-level shape, corrupt gzip |
//! | 401 | no valid bearer token, where tokens are configured |
//! | 403 | without a token: the request names another host, or a foreign web page sent it; with one: another project |
//! | 404, 405 | no such path (the answer lists those that exist), another method |
//! | 408 | the body came too slowly |
//! | 413 | the body, or what gzip makes of it, is over [`Limits::max_body_bytes`] |
//! | 415 | an unknown content encoding or, at OTLP's paths, type; a browser that names no type |
//! | 503 | the queue is full or stopping, or too many bytes are on their way; with `Retry-After` |
//! | 508 | an authenticated request that one of this host's own exporters sent |
//!
//! `accepted` counts what the host now answers for: new events, repeats of known ones, and drop reports. When a body
//! breaks off in the middle, what came before is accepted and the rest is one rejected item: the platform's client
//! sends the whole batch again on any status but 2xx, three times, and then drops it, so that a 4xx would lose the
//! good records together with the broken one.

mod answer;
pub mod auth;
mod batch;
mod body;
pub mod counts;
mod events;
pub mod gate;
mod grpc;
pub mod input;
pub mod limits;
mod otlp;
mod platform;
mod pulse;
mod routes;
mod seats;
mod server;
mod split;
#[cfg(test)]
mod tests;
pub mod tls;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use self::batch::{Batch, MAX_REFUSED_KEPT, RefusedItem};
pub use self::events::read_event;
pub use self::routes::Receiver;
pub use self::server::{Closed, Listener, Transport, serve};

use self::gate::Gate;
use self::limits::Limits;
use crate::deliver::dead_letter::DeadLetter;
use crate::event::Event;
use crate::http::hop::HopId;

/// Where receivers hand events to: the queue.
pub trait Intake: Send + Sync + 'static {
    /// Takes all events or none. When it returns `Ok` they are as safe as the queue makes them. The future is dropped
    /// when the sender goes away: then too, all are taken or none.
    ///
    /// # Errors
    /// See [`IntakeError`]; none of the events was taken.
    fn accept(
        &self,
        events: Vec<Event>,
    ) -> impl Future<Output = Result<Accepted, IntakeError>> + Send;
}

impl<I: Intake> Intake for Arc<I> {
    fn accept(
        &self,
        events: Vec<Event>,
    ) -> impl Future<Output = Result<Accepted, IntakeError>> + Send {
        I::accept(self, events)
    }
}

/// What became of a group of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// New ones.
    pub accepted: u64,
    /// Known ones, dropped as repeats.
    pub repeated: u64,
}

/// Why the queue did not take a group.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntakeError {
    /// No room now.
    #[error("the queue is full; send again later")]
    Full {
        /// When it is worth trying again.
        retry_after: Duration,
    },
    /// There will never be room for so much at once.
    #[error(
        "the records of this request are more than the whole queue holds, {limit_bytes} bytes; send smaller batches"
    )]
    TooLarge {
        /// What the queue holds.
        limit_bytes: usize,
    },
    /// The host is stopping.
    #[error("the host is stopping; send again later")]
    Stopping,
    /// The store failed.
    #[error("the events could not be stored: {0}")]
    Failed(String),
}

/// A small page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// HTTP status.
    pub status: u16,
    /// Its content type.
    pub content_type: &'static str,
    /// Its text.
    pub body: String,
}

/// Content of the pages beside the receivers. Must answer at once.
pub trait Status: Send + Sync + 'static {
    /// `GET /healthz`: whether the process lives.
    fn health(&self) -> Page;
    /// `GET /readyz`: whether events would be taken; with `?verbose`, what of the host is how.
    fn ready(&self, verbose: bool) -> Page;
    /// `GET /metrics`: the host's own counters.
    fn metrics(&self) -> Page;
}

/// Keeps what receivers refuse. Must not block: they call it before they answer.
pub trait KeepRefused: Send + Sync + 'static {
    /// Keeps the letters of one request. `not_kept` more were refused than the request's own bound lets through.
    fn keep(&self, letters: Vec<DeadLetter>, not_kept: u64);
}

/// What the receivers are set up with.
pub struct Settings {
    /// Bounds on size, time and number.
    pub limits: Limits,
    /// Who may use the listeners.
    pub gate: Arc<Gate>,
    /// Where refused items go.
    pub refused: Arc<dyn KeepRefused>,
    /// Content of the pages.
    pub status: Arc<dyn Status>,
    /// The mark of this host's own exporters.
    pub hop: HopId,
    /// Unix nanoseconds.
    pub clock: fn() -> u64,
}

/// The system's clock, as unix nanoseconds; 0 before 1970.
#[must_use]
pub fn system_clock() -> u64 {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX)
}
