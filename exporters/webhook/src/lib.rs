//! Posts all five signals to any URL: events as Mastra writes them, as a JSON array or as lines, signed if wanted. Wiring
//! only: `config` says what may be set, `mapping` writes the bodies, `wire` names headers and media types, `request` sends
//! and reads the answers.

pub mod config;
pub mod mapping;
pub mod request;
pub mod wire;

use mastra_envelope::Batch;
use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::outcome::with_skipped;
use mastra_exporter_sdk::records::{
    FeedbackBatch, LogBatch, MetricBatch, ScoreBatch, SendResult, Signal, SpanBatch,
};
use mastra_exporter_sdk::settings::SettingError;
use mastra_exporter_sdk::{
    Description, Exporter, Feedback, Logs, Metrics, Phases, Scores, Signals, Traces,
};

use crate::config::Config;

/// The configured exporter.
#[derive(Debug)]
pub struct Webhook {
    config: Config,
}

impl Exporter for Webhook {
    type Settings = config::Settings;

    fn describe() -> Description {
        Description::new("webhook", env!("CARGO_PKG_VERSION"), config::schema())
            .limits(config::MAX_ITEMS, config::MAX_BYTES)
            .phases(Phases::ALL)
            // Nobody knows what is behind the URL.
            .idempotent(Signals::NONE)
            .host_of_setting("url")
    }

    fn configure(settings: config::Settings) -> Result<Self, Vec<SettingError>> {
        settings.check().map(|config| Self { config })
    }
}

impl Webhook {
    fn post<'a, T: 'a>(
        &self,
        signal: Signal,
        items: impl ExactSizeIterator<Item = &'a T>,
        write: impl FnMut(&mut JsonText, &'a T),
    ) -> SendResult {
        let count = items.len();
        let body = mapping::body(self.config.settings.format, items, write);
        request::post(&self.config, signal, body, count)
    }
}

impl Traces for Webhook {
    fn send_spans(&self, batch: &SpanBatch) -> SendResult {
        let shared = Batch {
            resources: &batch.resources,
            scopes: &batch.scopes,
        };
        let wanted = self.config.settings.span_events;
        let skipped = batch
            .spans
            .iter()
            .map(|span| mapping::skipped(span, wanted))
            .collect();
        with_skipped(skipped, |_| {
            let sent: Vec<_> = batch
                .spans
                .iter()
                .filter(|span| mapping::skipped(span, wanted).is_none())
                .collect();
            self.post(Signal::Traces, sent.into_iter(), |text, span| {
                mastra_envelope::span(text, span, &shared);
            })
        })
    }
}

impl Logs for Webhook {
    fn send_logs(&self, batch: &LogBatch) -> SendResult {
        let shared = Batch {
            resources: &batch.resources,
            scopes: &batch.scopes,
        };
        self.post(Signal::Logs, batch.logs.iter(), |text, log| {
            mastra_envelope::log(text, log, &shared);
        })
    }
}

impl Metrics for Webhook {
    fn send_metrics(&self, batch: &MetricBatch) -> SendResult {
        let shared = Batch {
            resources: &batch.resources,
            scopes: &batch.scopes,
        };
        self.post(Signal::Metrics, batch.metrics.iter(), |text, metric| {
            mastra_envelope::metric(text, metric, &shared);
        })
    }
}

impl Scores for Webhook {
    fn send_scores(&self, batch: &ScoreBatch) -> SendResult {
        let shared = Batch {
            resources: &batch.resources,
            scopes: &[],
        };
        self.post(Signal::Scores, batch.scores.iter(), |text, score| {
            mastra_envelope::score(text, score, &shared);
        })
    }
}

impl Feedback for Webhook {
    fn send_feedback(&self, batch: &FeedbackBatch) -> SendResult {
        let shared = Batch {
            resources: &batch.resources,
            scopes: &[],
        };
        self.post(Signal::Feedback, batch.feedback.iter(), |text, item| {
            mastra_envelope::feedback(text, item, &shared);
        })
    }
}

mastra_exporter_sdk::export!(Webhook: traces, logs, metrics, scores, feedback);
