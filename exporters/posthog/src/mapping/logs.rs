//! Logs as OTLP log records for PostHog's own logs
//! (<https://posthog.com/docs/logs>, <https://opentelemetry.io/docs/specs/otel/logs/data-model/>; read 2026-11).

use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::raw::members;
use mastra_exporter_sdk::records::{Log, LogBatch};
use mastra_otlp::attributes::{Attributes, Key};
use mastra_otlp::encode::Encoder;
use mastra_otlp::envelope::{LOGS, Origin, Parts, Sender};

/// What Mastra itself calls a service without a name.
const DEFAULT_SERVICE_NAME: &str = "mastra-service";

/// The body of `POST /i/v1/logs`.
#[must_use]
pub fn request(batch: &LogBatch) -> JsonText {
    let mut parts = Records { batch };
    LOGS.json(batch.logs.len() * 1_024, &batch.logs, &mut parts)
}

struct Records<'a> {
    batch: &'a LogBatch,
}

impl Parts<Log> for Records<'_> {
    fn origin(&self) -> Origin<'_> {
        Origin {
            resources: &self.batch.resources,
            scopes: &self.batch.scopes,
            sender: Sender {
                service_name: DEFAULT_SERVICE_NAME,
                attributes: &[],
                names_environment: true,
                sdk: None,
                scope: ("mastra", ""),
            },
        }
    }

    fn item<E: Encoder>(&mut self, encoder: &mut E, log: &Log) {
        mastra_otlp::log::log(encoder, log, |sink| attributes(log, sink));
    }
}

/// Of the log's data, OTLP attributes, metadata and context; what comes first wins.
fn attributes(log: &Log, sink: &mut impl Attributes) {
    let mut known: Vec<&str> = vec!["mastra.log.id", "user.id", "session.id"];
    sink.text(Key::of("mastra.log.id"), &log.log_id);
    if let Some(context) = &log.correlation {
        for (key, value) in [
            ("user.id", &context.user_id),
            ("session.id", &context.session_id),
        ] {
            if let Some(value) = value {
                sink.text(Key::of(key), value);
            }
        }
    }
    let otel = log.otel.as_ref().and_then(|otel| otel.attributes.as_ref());
    for (prefix, object) in [
        ("", otel),
        ("", log.data.as_ref()),
        ("mastra.metadata.", log.metadata.as_ref()),
    ] {
        for (key, value) in members(object.map_or("", String::as_str)) {
            if prefix.is_empty() {
                if known.contains(&key) {
                    continue;
                }
                known.push(key);
            }
            sink.scalar(Key::under(prefix, key), value);
        }
    }
}
