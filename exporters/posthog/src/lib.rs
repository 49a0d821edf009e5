//! Sends traces, logs, scores and feedback to PostHog: spans, scores and feedback as events of AI observability, logs by
//! OTLP. Wiring only: `config` says what may be set, `mapping` makes their records of ours, `wire` writes them, `request`
//! sends them and reads the answers. Metrics are not supported: PostHog's endpoint for them is an alpha.

pub mod config;
pub mod mapping;
pub mod request;
pub mod wire;

use mastra_exporter_sdk::records::{FeedbackBatch, LogBatch, ScoreBatch, SendResult, SpanBatch};
use mastra_exporter_sdk::settings::SettingError;
use mastra_exporter_sdk::{Description, Exporter, Feedback, Logs, Scores, Signals, Traces};

use crate::mapping::judgements;
use crate::request::{Client, Item};

/// The configured exporter.
#[derive(Debug)]
pub struct PostHog {
    client: Client,
}

impl Exporter for PostHog {
    type Settings = config::Settings;

    fn describe() -> Description {
        Description::new("posthog", env!("CARGO_PKG_VERSION"), config::schema())
            .limits(config::MAX_ITEMS, config::MAX_BYTES)
            // Events are known again by uuid, name, person and time. Log records have no id.
            .idempotent(Signals {
                traces: true,
                scores: true,
                feedback: true,
                ..Signals::NONE
            })
            .host_of_setting("host")
    }

    fn configure(settings: config::Settings) -> Result<Self, Vec<SettingError>> {
        let client = Client::new(settings.check()?);
        Ok(Self { client })
    }
}

impl Traces for PostHog {
    fn send_spans(&self, batch: &SpanBatch) -> SendResult {
        let config = self.client.config();
        let items: Vec<Item<'_>> = batch
            .spans
            .iter()
            .map(|span| Ok(mapping::events(span, config)))
            .collect();
        self.client.events(&items)
    }
}

impl Logs for PostHog {
    fn send_logs(&self, batch: &LogBatch) -> SendResult {
        self.client
            .logs(mapping::logs::request(batch), batch.logs.len())
    }
}

impl Scores for PostHog {
    fn send_scores(&self, batch: &ScoreBatch) -> SendResult {
        let config = self.client.config();
        let event = |score| judgements::score(score, config).map(|event| vec![event]);
        self.client
            .events(&batch.scores.iter().map(event).collect::<Vec<_>>())
    }
}

impl Feedback for PostHog {
    fn send_feedback(&self, batch: &FeedbackBatch) -> SendResult {
        let config = self.client.config();
        let event = |item| judgements::feedback(item, config).map(|event| vec![event]);
        self.client
            .events(&batch.feedback.iter().map(event).collect::<Vec<_>>())
    }
}

mastra_exporter_sdk::export!(PostHog: traces, logs, scores, feedback);
