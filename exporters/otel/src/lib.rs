//! Sends traces, logs, metrics, scores and feedback to any OTLP backend. Wiring only: `config` finds the vendor, `mapping`
//! makes requests of our records, `wire` knows the vendors, `request` sends and reads the answers. Scores and feedback are
//! log records. Metrics are aggregated here: they are held until the next flush.

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
pub struct Otel {
    config: Config,
    metrics: RefCell<Delivery>,
}

impl Exporter for Otel {
    type Settings = config::Settings;

    fn describe() -> Description {
        let schema = config::schema();
        let mut description = Description::new("otel", env!("CARGO_PKG_VERSION"), schema)
            .limits(config::MAX_ITEMS, config::MAX_BYTES)
            .stateful(config::FLUSH_INTERVAL)
            .host_of_setting("endpoint")
            .host_of_setting("traces_endpoint")
            .host_of_setting("logs_endpoint")
            .host_of_setting("metrics_endpoint");
        for vendor in &wire::VENDORS {
            description = description.host_of_setting(vendor.endpoint.0);
            for base in vendor.base.into_iter().filter(|base| !base.contains("{}")) {
                description = description.host(base);
            }
        }
        for region in wire::SIGNOZ_REGIONS {
            description = description.host(&format!("https://ingest.{region}.signoz.cloud"));
        }
        description
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

impl Otel {
    /// Sends aggregated points.
    fn write(&self, points: &MetricBatch) -> SendResult {
        let body = mapping::records(&self.config).metrics(points);
        let url = &self.config.metrics_url;
        request::send(&self.config, url, body, points.metrics.len())
    }
}

impl Traces for Otel {
    fn send_spans(&self, batch: &SpanBatch) -> SendResult {
        let body = mapping::spans(&self.config).traces(batch);
        request::send(
            &self.config,
            &self.config.traces_url,
            body,
            batch.spans.len(),
        )
    }
}

impl Logs for Otel {
    fn send_logs(&self, batch: &LogBatch) -> SendResult {
        let body = mapping::records(&self.config).logs(batch);
        request::send(&self.config, &self.config.logs_url, body, batch.logs.len())
    }
}

impl Metrics for Otel {
    fn send_metrics(&self, batch: &MetricBatch) -> SendResult {
        let mut metrics = self.metrics.borrow_mut();
        metrics.take(batch, now(), |points| self.write(points))
    }
}

impl Scores for Otel {
    fn send_scores(&self, batch: &ScoreBatch) -> SendResult {
        let body = mapping::records(&self.config).scores(batch);
        request::send(
            &self.config,
            &self.config.logs_url,
            body,
            batch.scores.len(),
        )
    }
}

impl Feedback for Otel {
    fn send_feedback(&self, batch: &FeedbackBatch) -> SendResult {
        let body = mapping::records(&self.config).feedback(batch);
        request::send(
            &self.config,
            &self.config.logs_url,
            body,
            batch.feedback.len(),
        )
    }
}

mastra_exporter_sdk::export!(Otel: traces, logs, metrics, scores, feedback);
