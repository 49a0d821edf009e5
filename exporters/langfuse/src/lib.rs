//! Sends traces, logs, scores and feedback to Langfuse: spans and logs by OTLP, scores and feedback by the scores API.
//! Wiring only: `config` says what may be set, `mapping` makes their records of ours, `wire` writes them, `request` sends
//! them and reads the answers. Metrics are not supported: Langfuse takes and discards them.

pub mod config;
pub mod mapping;
pub mod request;
pub mod wire;

use mastra_exporter_sdk::outcome::with_skipped;
use mastra_exporter_sdk::records::{FeedbackBatch, LogBatch, ScoreBatch, SendResult, SpanBatch};
use mastra_exporter_sdk::settings::SettingError;
use mastra_exporter_sdk::{Description, Exporter, Feedback, Logs, Scores, Signals, Traces};

use crate::config::Config;

/// The configured exporter.
#[derive(Debug)]
pub struct Langfuse {
    config: Config,
}

impl Exporter for Langfuse {
    type Settings = config::Settings;

    fn describe() -> Description {
        Description::new("langfuse", env!("CARGO_PKG_VERSION"), config::schema())
            .limits(config::MAX_ITEMS, config::MAX_BYTES)
            // Spans are never deduplicated, so neither are logs, which are sent as spans. Scores have ids.
            .idempotent(Signals {
                scores: true,
                feedback: true,
                ..Signals::NONE
            })
            .host_of_setting("base_url")
    }

    fn configure(settings: config::Settings) -> Result<Self, Vec<SettingError>> {
        settings.check().map(|config| Self { config })
    }
}

impl Traces for Langfuse {
    fn send_spans(&self, batch: &SpanBatch) -> SendResult {
        request::otlp(
            &self.config,
            mapping::trace_request(batch, &self.config),
            batch.spans.len(),
        )
    }
}

impl Logs for Langfuse {
    fn send_logs(&self, batch: &LogBatch) -> SendResult {
        let (body, skipped) = mapping::logs::request(batch, &self.config);
        let count = skipped.iter().filter(|reason| reason.is_none()).count();
        with_skipped(skipped, |_| request::otlp(&self.config, body, count))
    }
}

impl Scores for Langfuse {
    fn send_scores(&self, batch: &ScoreBatch) -> SendResult {
        let records: Vec<_> = batch
            .scores
            .iter()
            .map(|score| mapping::scores::score(score, &self.config))
            .collect();
        request::scores(&self.config, records)
    }
}

impl Feedback for Langfuse {
    fn send_feedback(&self, batch: &FeedbackBatch) -> SendResult {
        let records: Vec<_> = batch
            .feedback
            .iter()
            .map(|item| mapping::scores::feedback(item, &self.config))
            .collect();
        request::scores(&self.config, records)
    }
}

mastra_exporter_sdk::export!(Langfuse: traces, logs, scores, feedback);
