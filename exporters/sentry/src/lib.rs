//! Sends traces, logs, metrics and feedback to Sentry, in envelopes. Wiring only: `config` reads the DSN, `mapping` makes
//! their items of ours, `wire` writes envelopes and attributes, `request` sends them and reads the answers. Scores are not
//! supported: Sentry has no object for them.

pub mod config;
pub mod mapping;
pub mod request;
pub mod wire;

use mastra_exporter_sdk::outcome::with_skipped;
use mastra_exporter_sdk::parts;
use mastra_exporter_sdk::records::{FeedbackBatch, LogBatch, MetricBatch, SendResult, SpanBatch};
use mastra_exporter_sdk::settings::SettingError;
use mastra_exporter_sdk::{Description, Exporter, Feedback, Logs, Metrics, Signals, Traces};

use crate::config::Config;
use crate::request::Category;

/// The configured exporter.
#[derive(Debug)]
pub struct Sentry {
    config: Config,
}

impl Exporter for Sentry {
    type Settings = config::Settings;

    fn describe() -> Description {
        Description::new("sentry", env!("CARGO_PKG_VERSION"), config::schema())
            .limits(config::MAX_ITEMS, config::MAX_BYTES)
            // Sentry knows an event id again, which feedback has; spans, logs and metrics have none.
            .idempotent(Signals {
                feedback: true,
                ..Signals::NONE
            })
            .host_of_setting("dsn")
            .host_of_setting("base_url")
    }

    fn configure(settings: config::Settings) -> Result<Self, Vec<SettingError>> {
        settings.check().map(|config| Self { config })
    }
}

impl Traces for Sentry {
    fn send_spans(&self, batch: &SpanBatch) -> SendResult {
        let traces = mapping::traces(batch);
        parts::send(batch.spans.len(), traces, |spans| {
            // Errors first: they are known again by their ids when the spans have to come again.
            for span in spans.iter().filter(|span| span.error.is_some()) {
                let event = mapping::errors::event(span, batch, &self.config);
                let result = request::envelope(&self.config, event, Category::Error);
                if !request::is_delivered(&result) {
                    return result;
                }
            }
            let body = mapping::spans(&spans, batch, &self.config);
            request::envelope(&self.config, body, Category::Span)
        })
    }
}

impl Logs for Sentry {
    fn send_logs(&self, batch: &LogBatch) -> SendResult {
        let body = mapping::logs::logs(batch, &self.config);
        request::envelope(&self.config, body, Category::Log)
    }
}

impl Metrics for Sentry {
    fn send_metrics(&self, batch: &MetricBatch) -> SendResult {
        let skipped = batch
            .metrics
            .iter()
            .map(mapping::metrics::skipped)
            .collect();
        with_skipped(skipped, |_| {
            let body = mapping::metrics::metrics(batch, &self.config);
            request::envelope(&self.config, body, Category::Metric)
        })
    }
}

impl Feedback for Sentry {
    fn send_feedback(&self, batch: &FeedbackBatch) -> SendResult {
        let items = batch.feedback.iter().enumerate();
        let items = items.map(|(index, item)| (vec![index], item));
        parts::send(batch.feedback.len(), items, |item| {
            let body = mapping::feedback::feedback(item, &batch.resources, &self.config);
            request::envelope(&self.config, body, Category::Feedback)
        })
    }
}

mastra_exporter_sdk::export!(Sentry: traces, logs, metrics, feedback);
