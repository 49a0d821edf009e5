//! Mastra's records as OTLP requests. The mapping itself is shared: [`mastra_otlp::requests`]. Pure: records in, bytes out.

use mastra_otlp::encode::Encoding;
use mastra_otlp::envelope::Sender;
use mastra_otlp::requests::Writer;

use crate::config::Config;

/// Writes requests. Without a service name Grafana shows `unknown_service`; the environment is
/// `deployment.environment.name`, which Loki indexes.
#[must_use]
pub fn writer(config: &Config) -> Writer<'_> {
    Writer {
        sender: Sender {
            service_name: &config.service_name,
            attributes: &[],
            names_environment: true,
            sdk: None,
            scope: ("mastra", ""),
        },
        encoding: Encoding::Protobuf,
    }
}
