//! Mastra's records as OTLP requests. The mapping itself is shared: [`mastra_otlp::requests`]. Pure: records in, bytes out.

use mastra_otlp::envelope::Sender;
use mastra_otlp::requests::Writer;

use crate::config::Config;

/// The scope and SDK that spans name: the official exporter, whose conventions they follow, so that saved views and
/// whatever else depends on it stay true.
const FOLLOWED: (&str, &str) = ("@mastra/otel-exporter", "1.4.0");

/// Writes spans.
#[must_use]
pub fn spans(config: &Config) -> Writer<'_> {
    writer(config, Some(FOLLOWED), FOLLOWED)
}

/// Writes everything else. The official exporter leaves the SDK and the scope's version out there.
#[must_use]
pub fn records(config: &Config) -> Writer<'_> {
    writer(config, None, (FOLLOWED.0, ""))
}

fn writer<'a>(
    config: &'a Config,
    sdk: Option<(&'a str, &'a str)>,
    scope: (&'a str, &'a str),
) -> Writer<'a> {
    Writer {
        sender: Sender {
            service_name: &config.service_name,
            attributes: &config.resource_attributes,
            names_environment: true,
            sdk,
            scope,
        },
        encoding: config.encoding,
    }
}
