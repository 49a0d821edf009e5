//! Keeps every event of the five signals in the host's local store, where `mastra-host show` finds it. It needs no
//! account and no network. Wiring only; `mapping` says what a row is.

pub mod config;
pub mod mapping;

use mastra_envelope::Batch;
use mastra_exporter_sdk::records::{
    FeedbackBatch, ItemResult, LogBatch, MetricBatch, ScoreBatch, SendResult, Signal, SpanBatch,
};
use mastra_exporter_sdk::settings::{SettingError, SettingsSchema};
use mastra_exporter_sdk::store::{self, Row};
use mastra_exporter_sdk::{
    Description, Exporter, Feedback, Logs, Metrics, Phases, Scores, Signals, Traces, log,
};

/// The exporter. It has no state: the host keeps the store.
#[derive(Debug)]
pub struct Default;

impl Exporter for Default {
    type Settings = config::Settings;

    fn describe() -> Description {
        Description::new("default", env!("CARGO_PKG_VERSION"), SettingsSchema::new())
            .limits(config::MAX_ITEMS, config::MAX_BYTES)
            .phases(Phases::ALL)
            .idempotent(Signals::ALL)
    }

    fn configure(_settings: config::Settings) -> Result<Self, Vec<SettingError>> {
        Ok(Self)
    }
}

fn upsert(table: Signal, rows: &[Row]) -> SendResult {
    match store::upsert(table, rows) {
        Ok(()) => SendResult::all(ItemResult::Delivered),
        Err(reason) => {
            log::debug("the store could not be written");
            SendResult::all(ItemResult::Retry(reason))
        }
    }
}

impl Traces for Default {
    fn send_spans(&self, batch: &SpanBatch) -> SendResult {
        let shared = Batch {
            resources: &batch.resources,
            scopes: &batch.scopes,
        };
        let rows = batch.spans.iter().map(|span| mapping::span(span, &shared));
        upsert(Signal::Traces, &rows.collect::<Vec<_>>())
    }
}

impl Logs for Default {
    fn send_logs(&self, batch: &LogBatch) -> SendResult {
        let shared = Batch {
            resources: &batch.resources,
            scopes: &batch.scopes,
        };
        let rows = batch.logs.iter().map(|log| mapping::log(log, &shared));
        upsert(Signal::Logs, &rows.collect::<Vec<_>>())
    }
}

impl Metrics for Default {
    fn send_metrics(&self, batch: &MetricBatch) -> SendResult {
        let shared = Batch {
            resources: &batch.resources,
            scopes: &batch.scopes,
        };
        let rows = batch
            .metrics
            .iter()
            .map(|metric| mapping::metric(metric, &shared));
        upsert(Signal::Metrics, &rows.collect::<Vec<_>>())
    }
}

impl Scores for Default {
    fn send_scores(&self, batch: &ScoreBatch) -> SendResult {
        let shared = Batch {
            resources: &batch.resources,
            scopes: &[],
        };
        let rows = batch
            .scores
            .iter()
            .map(|score| mapping::score(score, &shared));
        upsert(Signal::Scores, &rows.collect::<Vec<_>>())
    }
}

impl Feedback for Default {
    fn send_feedback(&self, batch: &FeedbackBatch) -> SendResult {
        let shared = Batch {
            resources: &batch.resources,
            scopes: &[],
        };
        let rows = batch
            .feedback
            .iter()
            .map(|item| mapping::feedback(item, &shared));
        upsert(Signal::Feedback, &rows.collect::<Vec<_>>())
    }
}

mastra_exporter_sdk::export!(Default: traces, logs, metrics, scores, feedback);
