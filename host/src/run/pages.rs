//! The pages beside the receivers: `/healthz`, `/readyz` with a reason for each exporter, `/metrics`.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{Pools, report};
use crate::deliver::Delivery;
use crate::deliver::status::{State, Status};
use crate::event::Signal;
use crate::plugin::{Pool, PoolState};
use crate::queue::any::AnyQueue;
use crate::queue::{CursorReport, Queue as _, QueueReport};
use crate::receive::counts::Counts;
use crate::receive::{Page, Status as PageSource};
use crate::telemetry::prometheus::{
    CallFigures, ExporterSnapshot, PROMETHEUS_CONTENT_TYPE, ReceiverSnapshot, Snapshot,
    prometheus_text,
};

/// How long an exporter may have work and make no progress before the host says that it is not ready.
const PATIENCE: Duration = Duration::from_secs(5);

/// Reads what the rooms show of themselves.
pub(super) struct Pages {
    queue: AnyQueue,
    delivery: Arc<Mutex<Delivery>>,
    pools: Arc<Pools>,
    counts: Arc<Counts>,
    start_time_seconds: f64,
}

impl Pages {
    pub(super) fn new(
        queue: AnyQueue,
        delivery: Arc<Mutex<Delivery>>,
        pools: Arc<Pools>,
        counts: Arc<Counts>,
    ) -> Self {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            queue,
            delivery,
            pools,
            counts,
            start_time_seconds: now.as_secs_f64(),
        }
    }

    /// Empty while the host stops, which holds the lock until the end.
    fn statuses(&self) -> BTreeMap<String, Status> {
        self.delivery
            .try_lock()
            .map(|delivery| delivery.statuses())
            .unwrap_or_default()
    }
}

impl PageSource for Pages {
    fn health(&self) -> Page {
        Page {
            status: 200,
            content_type: "text/plain; charset=utf-8",
            body: "ok\n".to_owned(),
        }
    }

    fn ready(&self) -> Page {
        let now = Instant::now();
        let statuses = self.statuses();
        let pools = self.pools.read().unwrap_or_else(PoisonError::into_inner);
        let reasons: BTreeMap<&String, String> = statuses
            .iter()
            .filter_map(|(id, status)| Some((id, not_ready(status, pools.get(id), now)?)))
            .collect();
        let states: BTreeMap<&String, &str> = statuses
            .iter()
            .map(|(id, status)| (id, status.state.name()))
            .collect();
        let broken = self.queue.broken();
        let is_ready = reasons.is_empty() && !statuses.is_empty() && broken.is_none();
        let body = json!({
            "ready": is_ready, "exporters": states, "reasons": reasons, "queue": broken,
        });
        let status = if is_ready { 200 } else { 503 };
        Page {
            status,
            content_type: "application/json",
            body: format!("{body}\n"),
        }
    }

    fn metrics(&self) -> Page {
        let queue = self.queue.report();
        let statuses = self.statuses();
        let snapshot = Snapshot {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            start_time_seconds: self.start_time_seconds,
            receivers: [("http".to_owned(), receiver(&self.counts))].into(),
            queue_bytes: queue.used_bytes,
            queue_capacity_bytes: queue.capacity_bytes,
            exporters: exporters(&queue, &statuses),
        };
        Page {
            status: 200,
            content_type: PROMETHEUS_CONTENT_TYPE,
            body: prometheus_text(&snapshot),
        }
    }
}

/// Why an exporter with work makes no progress; `None` when all is well.
fn not_ready(status: &Status, pool: Option<&Pool>, now: Instant) -> Option<String> {
    let last_error = status.last_error.as_deref().unwrap_or("no progress");
    if let Some(PoolState::Quarantined { reason, .. }) = pool.map(Pool::state) {
        return Some(format!("quarantined: {reason}"));
    }
    match &status.state {
        State::Paused { reason } | State::Failed { reason } => {
            Some(format!("{}: {reason}", status.state.name()))
        }
        state if status.is_stuck(PATIENCE, now) => Some(format!("{}: {last_error}", state.name())),
        _ => None,
    }
}

fn receiver(counts: &Counts) -> ReceiverSnapshot {
    let seen = counts.snapshot();
    ReceiverSnapshot {
        requests: seen.requests,
        refused_requests: seen.refused_requests,
        received_bytes: seen.received_bytes,
        accepted: seen.accepted,
        refused: seen.refused_items,
        repeated: seen.repeated,
        dropped_upstream: Signal::ALL.into_iter().zip(seen.dropped_upstream).collect(),
    }
}

fn exporters(
    queue: &QueueReport,
    statuses: &BTreeMap<String, Status>,
) -> BTreeMap<String, ExporterSnapshot> {
    let snapshot = |id: &String, cursor: &CursorReport| {
        let status = statuses.get(id);
        let calls = status.map(|status| status.counts).unwrap_or_default();
        ExporterSnapshot {
            counts: report::of_exporter(&cursor.accounts),
            lag_bytes: cursor.lag_bytes,
            calls: CallFigures {
                ended: calls.calls,
                fruitless: calls.fruitless,
                resent_items: calls.events_resent,
                unknown_outcomes: calls.unknown_outcomes,
                faults: calls.faults,
                splits: calls.splits,
            },
            call_duration: None,
            state: status
                .map_or("stopped", |status| status.state.name())
                .to_owned(),
        }
    };
    queue
        .cursors
        .iter()
        .map(|(id, cursor)| (id.clone(), snapshot(id, cursor)))
        .collect()
}
