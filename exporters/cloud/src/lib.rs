//! Publishes all five signals to the Mastra platform, as its official client does, or to another host. Wiring only:
//! `config` says what may be set and derives the URLs, `mapping` writes the bodies, `wire` names paths and headers,
//! `request` sends and reads the answers.

pub mod config;
pub mod mapping;
pub mod request;
pub mod wire;

use mastra_envelope::Batch;
use mastra_exporter_sdk::clock::now;
use mastra_exporter_sdk::outcome::with_skipped;
use mastra_exporter_sdk::records::{
    FeedbackBatch, LogBatch, MetricBatch, ScoreBatch, SendResult, Signal, SpanBatch,
};
use mastra_exporter_sdk::settings::SettingError;
use mastra_exporter_sdk::{
    Description, Exporter, Feedback, Logs, Metrics, Scores, Signals, Traces,
};

use crate::config::Config;
use crate::request::Standing;

/// The configured exporter.
#[derive(Debug)]
pub struct Cloud {
    config: Config,
    standing: Standing,
}

impl Exporter for Cloud {
    type Settings = config::Settings;

    fn describe() -> Description {
        let description = Description::new("cloud", env!("CARGO_PKG_VERSION"), config::schema())
            .limits(config::MAX_ITEMS, config::MAX_BYTES)
            // The official client sends whole batches again; the platform knows records by their ids.
            .idempotent(Signals::ALL)
            .host(wire::DEFAULT_ENDPOINT);
        config::URL_SETTINGS
            .iter()
            .fold(description, |description, setting| {
                description.host_of_setting(setting)
            })
    }

    fn configure(settings: config::Settings) -> Result<Self, Vec<SettingError>> {
        let standing = Standing::default();
        settings.check().map(|config| Self { config, standing })
    }
}

impl Traces for Cloud {
    fn send_spans(&self, batch: &SpanBatch) -> SendResult {
        let skipped = batch.spans.iter().map(mapping::skipped).collect();
        let shared = Batch {
            resources: &batch.resources,
            scopes: &batch.scopes,
        };
        with_skipped(skipped, |count| {
            let body = mapping::spans(&batch.spans, &shared, now());
            request::publish(&self.config, &self.standing, Signal::Traces, body, count)
        })
    }
}

impl Logs for Cloud {
    fn send_logs(&self, batch: &LogBatch) -> SendResult {
        let shared = Batch {
            resources: &batch.resources,
            scopes: &batch.scopes,
        };
        let write = |text: &mut _, log: &_| mastra_envelope::log_record(text, log, &shared);
        self.publish(Signal::Logs, &batch.logs, write)
    }
}

impl Metrics for Cloud {
    fn send_metrics(&self, batch: &MetricBatch) -> SendResult {
        let shared = Batch {
            resources: &batch.resources,
            scopes: &batch.scopes,
        };
        let write =
            |text: &mut _, metric: &_| mastra_envelope::metric_record(text, metric, &shared);
        self.publish(Signal::Metrics, &batch.metrics, write)
    }
}

impl Scores for Cloud {
    fn send_scores(&self, batch: &ScoreBatch) -> SendResult {
        let shared = Batch {
            resources: &batch.resources,
            scopes: &[],
        };
        let write = |text: &mut _, score: &_| mastra_envelope::score_record(text, score, &shared);
        self.publish(Signal::Scores, &batch.scores, write)
    }
}

impl Feedback for Cloud {
    fn send_feedback(&self, batch: &FeedbackBatch) -> SendResult {
        let shared = Batch {
            resources: &batch.resources,
            scopes: &[],
        };
        let write = |text: &mut _, item: &_| mastra_envelope::feedback_record(text, item, &shared);
        self.publish(Signal::Feedback, &batch.feedback, write)
    }
}

impl Cloud {
    fn publish<T>(
        &self,
        signal: Signal,
        items: &[T],
        write: impl FnMut(&mut mastra_exporter_sdk::json::JsonText, &T),
    ) -> SendResult {
        let body = mapping::records(wire::field(signal), items, write);
        request::publish(&self.config, &self.standing, signal, body, items.len())
    }
}

mastra_exporter_sdk::export!(Cloud: traces, logs, metrics, scores, feedback);
