//! Sends traces, logs, scores and feedback to Braintrust: spans and logs as rows, scores and feedback as feedback on rows.
//! Wiring only: `config` says what may be set, `mapping` makes their records of ours, `wire` writes them, `request` sends
//! them and reads the answers. Metrics are not supported: Braintrust has numbers of rows only.

pub mod config;
pub mod mapping;
pub mod request;
pub mod wire;

use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::outcome::with_skipped;
use mastra_exporter_sdk::records::{FeedbackBatch, LogBatch, ScoreBatch, SendResult, SpanBatch};
use mastra_exporter_sdk::settings::SettingError;
use mastra_exporter_sdk::{Description, Exporter, Feedback, Logs, Phases, Scores, Signals, Traces};

use crate::mapping::judgements::{self, Judgement};
use crate::mapping::{BYTES_A_ROW, write_events};
use crate::request::Client;

/// The configured exporter.
#[derive(Debug)]
pub struct Braintrust {
    client: Client,
}

impl Exporter for Braintrust {
    type Settings = config::Settings;

    fn describe() -> Description {
        Description::new("braintrust", env!("CARGO_PKG_VERSION"), config::schema())
            .limits(config::MAX_ITEMS, config::MAX_BYTES)
            // A row is merged into what is there, so that a running span can be shown and completed.
            .phases(Phases::ALL)
            // Rows have ids. Comments have none: a second delivery is a second comment.
            .idempotent(Signals {
                traces: true,
                logs: true,
                ..Signals::NONE
            })
            .host_of_setting("endpoint")
            .host(config::DEFAULT_ENDPOINT)
    }

    fn configure(settings: config::Settings) -> Result<Self, Vec<SettingError>> {
        let client = Client::new(settings.check()?);
        Ok(Self { client })
    }
}

impl Traces for Braintrust {
    fn send_spans(&self, batch: &SpanBatch) -> SendResult {
        let rows = mapping::spans(batch);
        let mut body = JsonText::with_capacity(rows.len() * BYTES_A_ROW);
        write_events(&mut body, &rows);
        self.client.rows(body)
    }
}

impl Logs for Braintrust {
    fn send_logs(&self, batch: &LogBatch) -> SendResult {
        let (rows, skipped) = mapping::logs::rows(batch);
        with_skipped(skipped, |_| {
            let mut body = JsonText::with_capacity(rows.len() * BYTES_A_ROW);
            write_events(&mut body, &rows);
            self.client.rows(body)
        })
    }
}

impl Scores for Braintrust {
    fn send_scores(&self, batch: &ScoreBatch) -> SendResult {
        self.judge(batch.scores.iter().map(judgements::score).collect())
    }
}

impl Feedback for Braintrust {
    fn send_feedback(&self, batch: &FeedbackBatch) -> SendResult {
        self.judge(batch.feedback.iter().map(judgements::feedback).collect())
    }
}

impl Braintrust {
    fn judge(&self, judgements: Vec<Result<Judgement<'_>, &'static str>>) -> SendResult {
        let reason =
            |judged: &Result<_, &str>| judged.as_ref().err().map(|&reason| reason.to_owned());
        let skipped = judgements.iter().map(reason).collect();
        let sendable: Vec<Judgement<'_>> = judgements.into_iter().flatten().collect();
        with_skipped(skipped, |_| {
            let mut content = JsonText::default();
            judgements::write(&mut content, &sendable);
            self.client.judgements(&content)
        })
    }
}

mastra_exporter_sdk::export!(Braintrust: traces, logs, scores, feedback);
