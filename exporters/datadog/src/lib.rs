//! Sends traces, logs, metrics, scores and feedback to Datadog: spans and evaluations to LLM Observability, logs and
//! metrics to their intakes. Wiring only: `config` says what may be set, `mapping` makes their records of ours, `wire`
//! writes them, `request` sends them and reads the answers.

pub mod config;
pub mod mapping;
pub mod request;
pub mod wire;

use mastra_exporter_sdk::records::{
    FeedbackBatch, LogBatch, MetricBatch, ScoreBatch, SendResult, SpanBatch,
};
use mastra_exporter_sdk::settings::SettingError;
use mastra_exporter_sdk::{
    Description, Exporter, Feedback, Logs, Metrics, Scores, Signals, Traces,
};

use crate::config::Config;

/// The configured exporter.
#[derive(Debug)]
pub struct Datadog {
    config: Config,
}

impl Exporter for Datadog {
    type Settings = config::Settings;

    fn describe() -> Description {
        let description = Description::new("datadog", env!("CARGO_PKG_VERSION"), config::schema())
            .limits(config::MAX_ITEMS, config::MAX_BYTES)
            // The API promises it for none: logs and evaluations carry no id, points of a second are overwritten.
            .idempotent(Signals::NONE)
            .host_of_setting("base_url");
        config::SITES.iter().fold(description, |description, site| {
            description
                .host(&config::api_url(site))
                .host(&config::logs_url(site))
        })
    }

    fn configure(settings: config::Settings) -> Result<Self, Vec<SettingError>> {
        settings.check().map(|config| Self { config })
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
        request::metrics(&self.config, &mapping::metrics::points(batch, &self.config))
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
