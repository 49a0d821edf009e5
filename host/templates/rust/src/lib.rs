//! Who {{name}} is, and what it does with a batch. The records of the backend are in `mapping.rs`.

pub mod mapping;

use mastra_exporter_sdk::{http::Request, json::JsonText, outcome::Statuses, records::*, settings::*, *};

/// The settings, as the schema has them.
#[derive(serde::Deserialize)]
pub struct {{pascal}}Exporter {
    endpoint: String,
    token: String,
}

impl Exporter for {{pascal}}Exporter {
    type Settings = Self;

    fn describe() -> Description {
        let endpoint = Setting::uri("endpoint").about("Where records are posted.").env(&["{{upper}}_ENDPOINT"]);
        let token = Setting::text("token").about("Access token.").env(&["{{upper}}_TOKEN"]).secret();
        let settings = SettingsSchema::new().with(endpoint.required()).with(token.required());
        Description::new("{{name}}", env!("CARGO_PKG_VERSION"), settings).host_of_setting("endpoint")
    }

    fn configure(settings: Self) -> Result<Self, Vec<SettingError>> {
        Ok(settings)
    }
}

impl {{pascal}}Exporter {
    fn deliver<R>(&self, records: &[R], map: fn(&mut JsonText, &R)) -> SendResult {
        let mut body = JsonText::default();
        body.array(records, map);
        let request = Request::post(&self.endpoint).json(body).bearer(&self.token).gzip();
        Statuses::COMMON.batch(&request.send())
    }
}
{{#traces}}

impl Traces for {{pascal}}Exporter {
    fn send_spans(&self, batch: &SpanBatch) -> SendResult {
        self.deliver(&batch.spans, mapping::span)
    }
}
{{/traces}}
{{#logs}}

impl Logs for {{pascal}}Exporter {
    fn send_logs(&self, batch: &LogBatch) -> SendResult {
        self.deliver(&batch.logs, mapping::log)
    }
}
{{/logs}}
{{#metrics}}

impl Metrics for {{pascal}}Exporter {
    fn send_metrics(&self, batch: &MetricBatch) -> SendResult {
        self.deliver(&batch.metrics, mapping::metric)
    }
}
{{/metrics}}
{{#scores}}

impl Scores for {{pascal}}Exporter {
    fn send_scores(&self, batch: &ScoreBatch) -> SendResult {
        self.deliver(&batch.scores, mapping::score)
    }
}
{{/scores}}
{{#feedback}}

impl Feedback for {{pascal}}Exporter {
    fn send_feedback(&self, batch: &FeedbackBatch) -> SendResult {
        self.deliver(&batch.feedback, mapping::feedback)
    }
}
{{/feedback}}

mastra_exporter_sdk::export!({{pascal}}Exporter: {{signals}});
