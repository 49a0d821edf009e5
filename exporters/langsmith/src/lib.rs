//! Sends traces, scores and feedback to LangSmith: spans as runs, scores and feedback as feedback on runs.
//! Wiring only: `config` says what may be set, `mapping` makes their records of ours, `wire` writes them, `request` sends
//! them and reads the answers. Logs and metrics are not supported: LangSmith has no place for them.

pub mod config;
pub mod mapping;
pub mod request;
pub mod wire;

use std::time::Duration;

use mastra_exporter_sdk::outcome::with_skipped;
use mastra_exporter_sdk::records::{FeedbackBatch, ScoreBatch, SendResult, SpanBatch};
use mastra_exporter_sdk::settings::SettingError;
use mastra_exporter_sdk::{Description, Exporter, Feedback, Grouping, Scores, Signals, Traces};

use crate::mapping::feedback;
use crate::request::Client;

/// How long an unfinished trace waits for its root: as long as the official exporter keeps early spans.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// How many spans a waiting trace may have.
const MAX_SPANS: u32 = 1_000;

/// The configured exporter.
#[derive(Debug)]
pub struct LangSmith {
    client: Client,
}

impl Exporter for LangSmith {
    type Settings = config::Settings;

    fn describe() -> Description {
        Description::new("langsmith", env!("CARGO_PKG_VERSION"), config::schema())
            .limits(config::MAX_ITEMS, config::MAX_BYTES)
            .grouping(Grouping::WholeTrace {
                max_wait: MAX_WAIT,
                max_spans: MAX_SPANS,
            })
            // Runs and feedback have ids of ours; a second one is answered with 409.
            .idempotent(Signals {
                traces: true,
                scores: true,
                feedback: true,
                ..Signals::NONE
            })
            .host_of_setting("api_url")
    }

    fn configure(settings: config::Settings) -> Result<Self, Vec<SettingError>> {
        let client = Client::new(settings.check()?);
        Ok(Self { client })
    }
}

impl Traces for LangSmith {
    fn send_spans(&self, batch: &SpanBatch) -> SendResult {
        self.client
            .runs(&mapping::runs(batch, self.client.config()))
    }
}

impl Scores for LangSmith {
    fn send_scores(&self, batch: &ScoreBatch) -> SendResult {
        self.judge(batch.scores.iter().map(feedback::score).collect())
    }
}

impl Feedback for LangSmith {
    fn send_feedback(&self, batch: &FeedbackBatch) -> SendResult {
        self.judge(batch.feedback.iter().map(feedback::feedback).collect())
    }
}

impl LangSmith {
    fn judge(&self, items: Vec<Result<wire::Feedback<'_>, &'static str>>) -> SendResult {
        let reason = |item: &Result<_, &str>| item.as_ref().err().map(|&reason| reason.to_owned());
        let skipped = items.iter().map(reason).collect();
        let sendable: Vec<wire::Feedback<'_>> = items.into_iter().flatten().collect();
        with_skipped(skipped, |_| self.client.feedback(&sendable))
    }
}

mastra_exporter_sdk::export!(LangSmith: traces, scores, feedback);
