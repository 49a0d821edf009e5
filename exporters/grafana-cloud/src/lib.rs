//! Sends traces, logs, metrics, scores and feedback to the OTLP gateway of Grafana Cloud. Wiring only: `config` finds the
//! gateway, `mapping` makes requests of our records, `wire` has the paths, `request` sends and reads the answers. Scores
//! and feedback are log records. Metrics are running totals, as Mimir wants them: they are aggregated here and held until
//! the next flush.

pub mod config;
pub mod mapping;
pub mod request;
pub mod wire;

use std::cell::RefCell;

use mastra_exporter_sdk::clock::now;
use mastra_exporter_sdk::records::{
    FeedbackBatch, LogBatch, MetricBatch, ScoreBatch, SendResult, SpanBatch,
};
use mastra_exporter_sdk::settings::SettingError;
use mastra_exporter_sdk::{
    Acknowledgement, Description, Exporter, Feedback, Logs, Metrics, Scores, Traces,
};
use mastra_metrics::Delivery;

use crate::config::Config;

/// The configured exporter.
#[derive(Debug)]
pub struct GrafanaCloud {
    config: Config,
    metrics: RefCell<Delivery>,
}

impl Exporter for GrafanaCloud {
    type Settings = config::Settings;

    fn describe() -> Description {
        Description::new("grafana-cloud", env!("CARGO_PKG_VERSION"), config::schema())
            .limits(config::MAX_ITEMS, config::MAX_BYTES)
            .stateful(config::FLUSH_INTERVAL)
            .host(config::GATEWAYS)
            .host_of_setting("endpoint")
    }

    fn configure(settings: config::Settings) -> Result<Self, Vec<SettingError>> {
        settings.check().map(|config| Self {
            metrics: RefCell::new(Delivery::new(config.metrics.clone())),
            config,
        })
    }

    fn flush(&self) -> Vec<Acknowledgement> {
        let mut metrics = self.metrics.borrow_mut();
        metrics.flush(now(), |points| self.write(points))
    }
}

impl GrafanaCloud {
    /// Sends aggregated points.
    fn write(&self, points: &MetricBatch) -> SendResult {
        let body = mapping::writer(&self.config).metrics(points);
        request::send(&self.config, wire::METRICS, body, points.metrics.len())
    }
}

impl Traces for GrafanaCloud {
    fn send_spans(&self, batch: &SpanBatch) -> SendResult {
        let body = mapping::writer(&self.config).traces(batch);
        request::send(&self.config, wire::TRACES, body, batch.spans.len())
    }
}

impl Logs for GrafanaCloud {
    fn send_logs(&self, batch: &LogBatch) -> SendResult {
        let body = mapping::writer(&self.config).logs(batch);
        request::send(&self.config, wire::LOGS, body, batch.logs.len())
    }
}

impl Metrics for GrafanaCloud {
    fn send_metrics(&self, batch: &MetricBatch) -> SendResult {
        let mut metrics = self.metrics.borrow_mut();
        metrics.take(batch, now(), |points| self.write(points))
    }
}

impl Scores for GrafanaCloud {
    fn send_scores(&self, batch: &ScoreBatch) -> SendResult {
        let body = mapping::writer(&self.config).scores(batch);
        request::send(&self.config, wire::LOGS, body, batch.scores.len())
    }
}

impl Feedback for GrafanaCloud {
    fn send_feedback(&self, batch: &FeedbackBatch) -> SendResult {
        let body = mapping::writer(&self.config).feedback(batch);
        request::send(&self.config, wire::LOGS, body, batch.feedback.len())
    }
}

mastra_exporter_sdk::export!(GrafanaCloud: traces, logs, metrics, scores, feedback);
