//! The pages beside the receivers: `/healthz`, `/readyz` with a reason for each exporter, `/metrics`.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use tokio::time::Instant;

use super::change::Slots;
use super::intake::Appends;
use super::reloads::Reloads;
use super::{Pools, TransportCounts, report};
use crate::deliver::Statuses;
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

/// How long a stage may have work and make no progress before the host says that it is not ready.
const PATIENCE: Duration = Duration::from_secs(5);

/// Reads what the rooms show of themselves.
pub(super) struct Pages {
    queue: AnyQueue,
    statuses: Statuses,
    pools: Arc<Pools>,
    counts: TransportCounts,
    appends: Arc<Appends>,
    reloads: Arc<Reloads>,
    slots: Arc<Slots>,
    start_time_seconds: f64,
}

impl Pages {
    pub(super) fn new(
        queue: AnyQueue,
        statuses: Statuses,
        pools: Arc<Pools>,
        counts: TransportCounts,
        appends: Arc<Appends>,
        reloads: Arc<Reloads>,
        slots: Arc<Slots>,
    ) -> Self {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            queue,
            statuses,
            pools,
            counts,
            appends,
            reloads,
            slots,
            start_time_seconds: now.as_secs_f64(),
        }
    }

    /// Why the queue does not take or write events; `None` when all is well.
    fn queue_trouble(&self, now: Instant) -> Option<String> {
        let stalled = || {
            let stalled = self.appends.stalled_for(now)?;
            let seconds = stalled.as_secs();
            (stalled >= PATIENCE).then(|| {
                format!("no group of events that receivers handed over was written for {seconds} s")
            })
        };
        self.queue.broken().or_else(stalled)
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

    fn ready(&self, verbose: bool) -> Page {
        let now = Instant::now();
        let statuses = self.statuses.now();
        let pools = self.pools.read().unwrap_or_else(PoisonError::into_inner);
        let reasons: BTreeMap<&String, String> = statuses
            .iter()
            .filter_map(|(id, status)| Some((id, not_ready(status, pools.get(id), now)?)))
            .collect();
        let mut states = self.slots.not_running();
        states.extend(
            statuses
                .iter()
                .map(|(id, status)| (id.clone(), status.state.name().to_owned())),
        );
        let queue = self.queue_trouble(now);
        let is_ready = reasons.is_empty() && queue.is_none();
        // Names and reasons are for those who may know them; the gate has asked.
        let body = if verbose {
            json!({
                "ready": is_ready, "exporters": states, "reasons": reasons, "queue": queue,
                "reload": self.reloads.troubles(),
            })
        } else {
            json!({ "ready": is_ready })
        };
        let status = if is_ready { 200 } else { 503 };
        Page {
            status,
            content_type: "application/json",
            body: format!("{body}\n"),
        }
    }

    fn metrics(&self) -> Page {
        let queue = self.queue.report();
        let statuses = self.statuses.now();
        let pools = self.pools.read().unwrap_or_else(PoisonError::into_inner);
        let snapshot = Snapshot {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            start_time_seconds: self.start_time_seconds,
            reloads: self.reloads.figures(),
            receivers: [("http", &self.counts.http), ("grpc", &self.counts.grpc)]
                .map(|(transport, counts)| (transport.to_owned(), receiver(counts)))
                .into(),
            queue_bytes: queue.used_bytes,
            queue_capacity_bytes: queue.capacity_bytes,
            queue_index_bytes: queue.index_bytes,
            queue_index_capacity_bytes: queue.max_index_bytes,
            dead_letters: queue.dead_letters,
            exporters: exporters(&queue, &statuses, &pools),
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
        State::Stopping | State::Replaced | State::Stopped => Some(status.state.name().to_owned()),
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
    pools: &BTreeMap<String, Pool>,
) -> BTreeMap<String, ExporterSnapshot> {
    let snapshot = |id: &String, cursor: &CursorReport| {
        let status = statuses.get(id);
        let calls = status.map(|status| status.counts).unwrap_or_default();
        let shaped = status.map(|status| status.shaped).unwrap_or_default();
        ExporterSnapshot {
            counts: report::of_exporter(&cursor.accounts),
            lag_bytes: cursor.lag_bytes,
            held_items: status.map_or(0, |status| status.held_events as u64),
            call_limit: status.map_or(0, |status| status.max_in_flight as u64),
            calls: CallFigures {
                ended: calls.calls,
                fruitless: calls.fruitless,
                resent_items: calls.events_resent,
                unknown_outcomes: calls.unknown_outcomes,
                faults: calls.faults,
                splits: calls.splits,
            },
            shape_filtered: shaped.filtered(),
            shaped: shaped.changed(),
            output: pools.get(id).and_then(Pool::output),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn status(state: State, has_work: bool, age: Duration) -> Status {
        let mut status = Status::new(Instant::now() - age);
        status.state = state;
        status.has_work = has_work;
        status.last_error = Some("503".into());
        status
    }

    #[tokio::test(start_paused = true)]
    async fn exporter_is_not_ready_when_it_has_work_and_no_progress_or_does_not_run() {
        tokio::time::advance(60 * PATIENCE).await;
        let now = Instant::now();
        let reason = |state, has_work, age| not_ready(&status(state, has_work, age), None, now);
        let retrying = || State::Retrying { since: now };
        assert_eq!(reason(State::Running, false, 10 * PATIENCE), None);
        assert_eq!(reason(retrying(), true, PATIENCE / 2), None);
        assert_eq!(
            reason(retrying(), true, PATIENCE),
            Some("retrying: 503".to_owned())
        );
        let overfull = State::Overfull { events: 1 };
        assert_eq!(
            reason(overfull, true, PATIENCE),
            Some("holding too much: 503".to_owned())
        );
        let why = || "no".into();
        for (state, text) in [
            (State::Paused { reason: why() }, "paused: no"),
            (State::Failed { reason: why() }, "failed: no"),
            (State::Stopping, "stopping"),
            (State::Replaced, "being replaced"),
            (State::Stopped, "stopped"),
        ] {
            assert_eq!(reason(state, false, Duration::ZERO), Some(text.to_owned()));
        }
    }
}
