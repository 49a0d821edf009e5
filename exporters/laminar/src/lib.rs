//! Sends traces, scores and feedback to Laminar. Wiring only: `config` reads settings, `mapping` writes spans and metadata,
//! `wire` has Laminar's names, `request` sends and reads the answers. Logs and metrics are not supported: Laminar takes
//! them and shows them nowhere.

pub mod config;
pub mod mapping;
pub mod request;
pub mod wire;

use std::time::Duration;

use mastra_exporter_sdk::outcome::with_skipped;
use mastra_exporter_sdk::records::{FeedbackBatch, ScoreBatch, SendResult, SpanBatch};
use mastra_exporter_sdk::settings::SettingError;
use mastra_exporter_sdk::{Description, Exporter, Feedback, Grouping, Scores, Signals, Traces};

use crate::config::Config;
use crate::mapping::judgements::{self, Mapped};

/// How long an unfinished trace waits for its root.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// How many spans a waiting trace may have.
const MAX_SPANS: u32 = 1_000;

/// The configured exporter.
#[derive(Debug)]
pub struct Laminar {
    config: Config,
}

impl Exporter for Laminar {
    type Settings = config::Settings;

    fn describe() -> Description {
        Description::new("laminar", env!("CARGO_PKG_VERSION"), config::schema())
            .limits(config::MAX_ITEMS, config::MAX_BYTES)
            // A span's path has all its ancestors.
            .grouping(Grouping::WholeTrace {
                max_wait: MAX_WAIT,
                max_spans: MAX_SPANS,
            })
            // Metadata of the same key is replaced; a span that comes twice is there twice.
            .idempotent(Signals {
                scores: true,
                feedback: true,
                ..Signals::NONE
            })
            .host_of_setting("base_url")
            .host_of_setting("endpoint")
    }

    fn configure(settings: config::Settings) -> Result<Self, Vec<SettingError>> {
        settings.check().map(|config| Self { config })
    }
}

impl Laminar {
    fn metadata(&self, mapped: Vec<Mapped>) -> SendResult {
        let skipped = mapped
            .iter()
            .map(|one| one.as_ref().err().map(|reason| (*reason).to_owned()))
            .collect();
        let bodies = mapped.into_iter().flatten().collect();
        with_skipped(skipped, |_| request::metadata(&self.config, bodies))
    }
}

impl Traces for Laminar {
    fn send_spans(&self, batch: &SpanBatch) -> SendResult {
        let body = mapping::traces(batch, &self.config);
        request::traces(&self.config, body, batch.spans.len())
    }
}

impl Scores for Laminar {
    fn send_scores(&self, batch: &ScoreBatch) -> SendResult {
        self.metadata(batch.scores.iter().map(judgements::score).collect())
    }
}

impl Feedback for Laminar {
    fn send_feedback(&self, batch: &FeedbackBatch) -> SendResult {
        self.metadata(batch.feedback.iter().map(judgements::feedback).collect())
    }
}

mastra_exporter_sdk::export!(Laminar: traces, scores, feedback);
