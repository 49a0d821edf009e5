//! Sends traces, scores and feedback to Arize AX or Phoenix. Wiring only: `config` finds out which of the two, `mapping`
//! writes OpenInference and annotations, `wire` has their names, `request` sends and reads the answers. Neither takes logs
//! or metrics.

pub mod config;
pub mod mapping;
pub mod request;
pub mod wire;

use mastra_exporter_sdk::outcome::with_skipped;
use mastra_exporter_sdk::records::{FeedbackBatch, ScoreBatch, SendResult, SpanBatch};
use mastra_exporter_sdk::settings::SettingError;
use mastra_exporter_sdk::{Description, Exporter, Feedback, Scores, Signals, Traces};

use crate::config::Config;
use crate::mapping::annotations::{self, Mapped};

/// The configured exporter.
#[derive(Debug)]
pub struct Arize {
    config: Config,
}

impl Exporter for Arize {
    type Settings = config::Settings;

    fn describe() -> Description {
        let mut description =
            Description::new("arize", env!("CARGO_PKG_VERSION"), config::schema())
                .limits(config::MAX_ITEMS, config::MAX_BYTES)
                // Both know an annotation again; Arize AX promises nothing of spans.
                .idempotent(Signals {
                    scores: true,
                    feedback: true,
                    ..Signals::NONE
                })
                .host_of_setting("endpoint")
                .host_of_setting("api_endpoint")
                .host("https://otlp.arize.com")
                .host("https://api.arize.com");
        for region in config::REGIONS {
            description = description
                .host(&format!("https://otlp.{region}.arize.com"))
                .host(&format!("https://api.{region}.arize.com"));
        }
        description
    }

    fn configure(settings: config::Settings) -> Result<Self, Vec<SettingError>> {
        settings.check().map(|config| Self { config })
    }
}

impl Arize {
    fn annotate(&self, mapped: Vec<Mapped>) -> SendResult {
        let skipped = mapped
            .iter()
            .map(|one| one.as_ref().err().map(|reason| (*reason).to_owned()))
            .collect();
        let annotations: Vec<_> = mapped.into_iter().flatten().collect();
        with_skipped(skipped, |_| {
            request::annotations(&self.config, &annotations)
        })
    }
}

impl Traces for Arize {
    fn send_spans(&self, batch: &SpanBatch) -> SendResult {
        let body = mapping::traces(batch, &self.config);
        request::traces(&self.config, body, batch.spans.len())
    }
}

impl Scores for Arize {
    fn send_scores(&self, batch: &ScoreBatch) -> SendResult {
        let scores = batch.scores.iter();
        self.annotate(
            scores
                .map(|score| annotations::score(score, &self.config))
                .collect(),
        )
    }
}

impl Feedback for Arize {
    fn send_feedback(&self, batch: &FeedbackBatch) -> SendResult {
        let items = batch.feedback.iter();
        self.annotate(
            items
                .map(|item| annotations::feedback(item, &self.config))
                .collect(),
        )
    }
}

mastra_exporter_sdk::export!(Arize: traces, scores, feedback);
