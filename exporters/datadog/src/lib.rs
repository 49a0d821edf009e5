//! Sends traces, logs, metrics, scores and feedback to Datadog: spans and evaluations to LLM Observability, logs and
//! metrics to their intakes. Wiring only: `config` says what may be set, `mapping` makes their records of ours, `wire`
//! writes them, `request` sends them and reads the answers, `seconds` holds metrics until they may go.

pub mod config;
pub mod mapping;
pub mod request;
pub mod seconds;
pub mod wire;

use std::cell::{Cell, RefCell};

use mastra_exporter_sdk::clock::now;
use mastra_exporter_sdk::records::{
    FeedbackBatch, ItemResult, LogBatch, MetricBatch, ScoreBatch, SendResult, Signal, SpanBatch,
};
use mastra_exporter_sdk::settings::SettingError;
use mastra_exporter_sdk::{
    Acknowledgement, Description, Exporter, Feedback, Logs, Metrics, Scores, Signals, Traces,
};

use crate::config::Config;
use crate::seconds::Seconds;

/// The configured exporter.
#[derive(Debug)]
pub struct Datadog {
    config: Config,
    seconds: RefCell<Seconds>,
    /// Whether the last flush met a refused key, which a flush has no word for: `send` says it.
    is_refused: Cell<bool>,
}

impl Exporter for Datadog {
    type Settings = config::Settings;

    fn describe() -> Description {
        let description = Description::new("datadog", env!("CARGO_PKG_VERSION"), config::schema())
            .limits(config::MAX_ITEMS, config::MAX_BYTES)
            // The API promises it for none: logs and evaluations carry no id, points are of use only where the instance remembers their second.
            .idempotent(Signals::NONE)
            .stateful(config::FLUSH_INTERVAL)
            .host_of_setting("base_url");
        config::SITES.iter().fold(description, |description, site| {
            description
                .host(&config::api_url(site))
                .host(&config::logs_url(site))
        })
    }

    fn configure(settings: config::Settings) -> Result<Self, Vec<SettingError>> {
        settings.check().map(|config| Self {
            config,
            seconds: RefCell::default(),
            is_refused: Cell::default(),
        })
    }

    fn flush(&self) -> Vec<Acknowledgement> {
        let mut seconds = self.seconds.borrow_mut();
        let due = seconds.due(now());
        let mut acknowledged = Vec::new();
        let is_refused = request::metrics(&self.config, &due, |part, fate| {
            let tokens = seconds.settle(part, &fate);
            if !tokens.is_empty() {
                acknowledged.push(Acknowledgement {
                    of_signal: Signal::Metrics,
                    tokens,
                    fate,
                });
            }
        });
        if !due.is_empty() {
            self.is_refused.set(is_refused);
        }
        acknowledged
    }
}

impl Traces for Datadog {
    fn send_spans(&self, batch: &SpanBatch) -> SendResult {
        request::spans(&self.config, mapping::spans(batch, &self.config))
    }
}

impl Logs for Datadog {
    fn send_logs(&self, batch: &LogBatch) -> SendResult {
        request::logs(&self.config, mapping::logs::logs(batch, &self.config))
    }
}

impl Metrics for Datadog {
    fn send_metrics(&self, batch: &MetricBatch) -> SendResult {
        if self.is_refused.get() {
            if let Some(refused) = request::refusal(&self.config) {
                return refused;
            }
            self.is_refused.set(false);
        }
        let now = now();
        let mut seconds = self.seconds.borrow_mut();
        let items = batch.metrics.iter().zip(&batch.tokens);
        let fates = items.map(|(metric, token)| {
            match mapping::metrics::points(metric, &batch.resources, &self.config) {
                Ok(points) => {
                    seconds.take(points, *token, now);
                    ItemResult::Held
                }
                Err(reason) => ItemResult::Skipped(reason.to_owned()),
            }
        });
        SendResult::each(fates.collect())
    }
}

impl Scores for Datadog {
    fn send_scores(&self, batch: &ScoreBatch) -> SendResult {
        let records = batch.scores.iter();
        let records = records
            .map(|score| mapping::evaluations::score(score, &batch.resources, &self.config))
            .collect();
        request::evaluations(&self.config, records)
    }
}

impl Feedback for Datadog {
    fn send_feedback(&self, batch: &FeedbackBatch) -> SendResult {
        let records = batch.feedback.iter();
        let records = records
            .map(|item| mapping::evaluations::feedback(item, &batch.resources, &self.config))
            .collect();
        request::evaluations(&self.config, records)
    }
}

mastra_exporter_sdk::export!(Datadog: traces, logs, metrics, scores, feedback);
