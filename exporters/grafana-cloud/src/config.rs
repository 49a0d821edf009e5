//! Settings of this destination: what the host is told of them, and the checked form that the rest uses.

use std::time::Duration;

use mastra_exporter_sdk::settings::{Setting, SettingError, SettingsSchema};
use mastra_metrics::Options;
use mastra_metrics::aggregator::{DEFAULT_BOUNDS, DEFAULT_MAX_SERIES};
use serde::Deserialize;

/// Items a batch.
pub const MAX_ITEMS: u32 = 512;

/// Bytes a batch, of the events' JSON text: limits are per stack, and 1 MB a request is in all.
pub const MAX_BYTES: u32 = 1 << 20;

/// How often metrics are sent: Mimir's usual resolution.
pub const FLUSH_INTERVAL: Duration = Duration::from_secs(15);

/// Where all gateways live.
pub const GATEWAYS: &str = "https://*.grafana.net";

/// What Mastra itself calls a service without a name.
const DEFAULT_SERVICE_NAME: &str = "mastra-service";

/// The settings as the host hands them over.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Numeric id of the stack.
    pub instance_id: String,
    /// Placeholder of the access policy's token.
    pub token: String,
    /// `prod-us-east-0`, say.
    pub zone: Option<String>,
    /// Takes the place of the zone's gateway.
    pub endpoint: Option<String>,
    /// `service.name` of events that name no service.
    pub service_name: Option<String>,
    /// Series of metrics that are held.
    pub max_series: Option<usize>,
}

/// What the host is told of the settings.
#[must_use]
pub fn schema() -> SettingsSchema {
    SettingsSchema::new()
        .with(
            Setting::text("instance_id")
                .about("Numeric instance id of the stack's OpenTelemetry tile; not that of Prometheus or Loki.")
                .env(&["GRAFANA_CLOUD_INSTANCE_ID"])
                .pattern("^[0-9]+$")
                .required(),
        )
        .with(
            Setting::text("token")
                .about("Token of an access policy with metrics:write, logs:write and traces:write.")
                .env(&["GRAFANA_CLOUD_TOKEN", "GRAFANA_CLOUD_API_KEY"])
                .secret()
                .required(),
        )
        .with(
            Setting::text("zone")
                .about("Zone of the stack, such as prod-us-east-0; in the tile's endpoint.")
                .env(&["GRAFANA_CLOUD_ZONE"])
                .pattern("^[a-z0-9-]*$"),
        )
        .with(
            Setting::uri("endpoint")
                .about("The tile's endpoint, which ends in /otlp; instead of zone.")
                .env(&["GRAFANA_CLOUD_OTLP_ENDPOINT"]),
        )
        .with(
            Setting::text("service_name")
                .about("Service of events that name none.")
                .env(&["OTEL_SERVICE_NAME"]),
        )
        .with(Setting::integer("max_series", 1, 1_000_000).about(
            "Series of metrics that are held; what comes beyond is counted in an overflow series.",
        ))
}

/// The checked settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// `https://otlp-gateway-{zone}.grafana.net/otlp`
    pub base: String,
    /// User of the basic authorization.
    pub instance_id: String,
    /// Its password, a placeholder.
    pub token: String,
    /// `service.name` of events that name no service.
    pub service_name: String,
    /// How metrics are aggregated.
    pub metrics: Options,
}

impl Settings {
    /// Finds the gateway.
    ///
    /// # Errors
    /// Every setting at fault.
    pub fn check(self) -> Result<Config, Vec<SettingError>> {
        let some = |text: Option<String>| text.filter(|text| !text.is_empty());
        let base = match (some(self.endpoint), some(self.zone)) {
            (Some(url), _) => {
                if let Some(error) = SettingError::of_url("endpoint", &url) {
                    return Err(vec![error]);
                }
                let base = url.trim().trim_end_matches('/');
                ["/v1/traces", "/v1/logs", "/v1/metrics"]
                    .iter()
                    .find_map(|path| base.strip_suffix(path))
                    .unwrap_or(base)
                    .to_owned()
            }
            (None, Some(zone)) => format!("https://otlp-gateway-{zone}.grafana.net/otlp"),
            (None, None) => {
                let reason = "is needed, or endpoint; both are in the stack's OpenTelemetry tile";
                return Err(vec![SettingError::new("zone", reason)]);
            }
        };
        Ok(Config {
            base,
            instance_id: self.instance_id,
            token: self.token,
            service_name: some(self.service_name)
                .unwrap_or_else(|| DEFAULT_SERVICE_NAME.to_owned()),
            metrics: Options {
                is_cumulative: true,
                bounds: DEFAULT_BOUNDS.into(),
                max_series: self.max_series.unwrap_or(DEFAULT_MAX_SERIES),
                keeps_points: false,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(more: &str) -> Result<String, String> {
        let settings = format!("{{\"instance_id\":\"1\",\"token\":\"t\"{more}}}");
        let settings: Settings = serde_json::from_str(&settings).unwrap();
        settings
            .check()
            .map(|config| config.base)
            .map_err(|errors| errors.into_iter().map(|error| error.setting).collect())
    }

    #[test]
    fn the_gateway_is_that_of_the_zone_or_the_tiles_endpoint() {
        let zone = base(r#","zone":"prod-eu-west-2""#).unwrap();
        assert_eq!(zone, "https://otlp-gateway-prod-eu-west-2.grafana.net/otlp");
        for endpoint in [
            "https://g.test/otlp",
            "https://g.test/otlp/",
            "https://g.test/otlp/v1/traces",
        ] {
            let found = base(&format!(",\"endpoint\":\"{endpoint}\"")).unwrap();
            assert_eq!(found, "https://g.test/otlp");
        }
        assert_eq!(base("").unwrap_err(), "zone");
        assert_eq!(base(r#","endpoint":"g.test""#).unwrap_err(), "endpoint");
    }
}
