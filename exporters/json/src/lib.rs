//! Writes every event of the five signals as a line of JSON, in the form in which Mastra emits it, to the output that the
//! operator granted. What it writes can be sent to `POST /v1/events` or `run --input` again. It needs no network.
//! Wiring only; `mastra_envelope` says how an event is written.

pub mod config;

use mastra_envelope::Batch;
use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::records::{
    FeedbackBatch, ItemResult, LogBatch, MetricBatch, ScoreBatch, SendResult, Signal, SpanBatch,
};
use mastra_exporter_sdk::settings::SettingError;
use mastra_exporter_sdk::{
    Description, Exporter, Feedback, Logs, Metrics, Phases, Scores, Signals, Traces, log, output,
};

/// The exporter. It has no state: the host knows the target.
#[derive(Debug)]
pub struct Json;

impl Exporter for Json {
    type Settings = config::Settings;

    fn describe() -> Description {
        Description::new("json", env!("CARGO_PKG_VERSION"), config::schema())
            .limits(config::MAX_ITEMS, config::MAX_BYTES)
            .phases(Phases::ALL)
            .idempotent(Signals::NONE)
    }

    fn configure(_settings: config::Settings) -> Result<Self, Vec<SettingError>> {
        Ok(Self)
    }
}

/// Room for an event that is written: what most need.
const BYTES_AN_EVENT: usize = 1536;

fn append<T>(signal: Signal, items: &[T], mut write: impl FnMut(&mut JsonText, &T)) -> SendResult {
    let mut lines = JsonText::with_capacity(items.len() * BYTES_AN_EVENT);
    for item in items {
        write(&mut lines, item);
        lines.raw("\n");
    }
    match output::append(signal, lines.as_bytes()) {
        Ok(()) => SendResult::all(ItemResult::Delivered),
        Err(reason) => {
            log::debug("the output could not be written");
            SendResult::all(ItemResult::Retry(reason))
        }
    }
}

impl Traces for Json {
    fn send_spans(&self, batch: &SpanBatch) -> SendResult {
        let shared = Batch {
            resources: &batch.resources,
            scopes: &batch.scopes,
        };
        append(Signal::Traces, &batch.spans, |text, span| {
            mastra_envelope::span(text, span, &shared)
        })
    }
}

impl Logs for Json {
    fn send_logs(&self, batch: &LogBatch) -> SendResult {
        let shared = Batch {
            resources: &batch.resources,
            scopes: &batch.scopes,
        };
        append(Signal::Logs, &batch.logs, |text, log| {
            mastra_envelope::log(text, log, &shared)
        })
    }
}

impl Metrics for Json {
    fn send_metrics(&self, batch: &MetricBatch) -> SendResult {
        let shared = Batch {
            resources: &batch.resources,
            scopes: &batch.scopes,
        };
        append(Signal::Metrics, &batch.metrics, |text, metric| {
            mastra_envelope::metric(text, metric, &shared)
        })
    }
}

impl Scores for Json {
    fn send_scores(&self, batch: &ScoreBatch) -> SendResult {
        let shared = Batch {
            resources: &batch.resources,
            scopes: &[],
        };
        append(Signal::Scores, &batch.scores, |text, score| {
            mastra_envelope::score(text, score, &shared)
        })
    }
}

impl Feedback for Json {
    fn send_feedback(&self, batch: &FeedbackBatch) -> SendResult {
        let shared = Batch {
            resources: &batch.resources,
            scopes: &[],
        };
        append(Signal::Feedback, &batch.feedback, |text, item| {
            mastra_envelope::feedback(text, item, &shared)
        })
    }
}

mastra_exporter_sdk::export!(Json: traces, logs, metrics, scores, feedback);
