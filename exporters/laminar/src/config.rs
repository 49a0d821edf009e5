//! Settings of this destination: what the host is told of them, and the checked form that the rest uses. Names of
//! environment variables are those of the official exporter.

use std::collections::BTreeMap;

use mastra_exporter_sdk::settings::{Setting, SettingError, SettingsSchema};
use serde::Deserialize;

/// Items a batch.
pub const MAX_ITEMS: u32 = 512;

/// Bytes a batch, of the events' JSON text. Laminar takes bodies of 5 MiB.
pub const MAX_BYTES: u32 = 1 << 20;

/// Laminar's cloud.
pub const DEFAULT_BASE_URL: &str = "https://api.lmnr.ai";

/// What Mastra itself calls a service without a name.
const DEFAULT_SERVICE_NAME: &str = "mastra-service";

/// The settings as the host hands them over.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Placeholder of the project's key.
    pub api_key: String,
    /// Laminar's origin.
    pub base_url: Option<String>,
    /// Where traces go, verbatim.
    pub endpoint: Option<String>,
    /// On every request.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// `service.name` of events that name no service.
    pub service_name: Option<String>,
}

/// What the host is told of the settings.
#[must_use]
pub fn schema() -> SettingsSchema {
    SettingsSchema::new()
        .with(
            Setting::text("api_key")
                .about("API key of the project.")
                .env(&["LMNR_PROJECT_API_KEY"])
                .secret()
                .required(),
        )
        .with(
            Setting::uri("base_url")
                .about("Laminar's origin: its cloud, or your own.")
                .env(&["LMNR_BASE_URL"])
                .default_text(DEFAULT_BASE_URL),
        )
        .with(
            Setting::uri("endpoint")
                .about("Where traces go, verbatim; else /v1/traces of base_url.")
                .env(&["LAMINAR_ENDPOINT"]),
        )
        .with(Setting::text_map("headers").about("Headers of every request; not for secrets."))
        .with(
            Setting::text("service_name")
                .about("Service of events that name none.")
                .env(&["OTEL_SERVICE_NAME"]),
        )
}

/// The checked settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// `.../v1/traces`
    pub traces_url: String,
    /// `.../v1/traces/metadata`
    pub metadata_url: String,
    /// Placeholder.
    pub api_key: String,
    /// As set.
    pub headers: BTreeMap<String, String>,
    /// `service.name` of events that name no service.
    pub service_name: String,
}

impl Settings {
    /// Makes the URLs.
    ///
    /// # Errors
    /// Every setting at fault.
    pub fn check(self) -> Result<Config, Vec<SettingError>> {
        let some = |text: Option<String>| text.filter(|text| !text.is_empty());
        let base = some(self.base_url).unwrap_or_else(|| DEFAULT_BASE_URL.to_owned());
        let base = base.trim().trim_end_matches('/');
        let traces_url = some(self.endpoint).unwrap_or_else(|| format!("{base}/v1/traces"));
        let wrong: Vec<_> = [("base_url", base), ("endpoint", traces_url.as_str())]
            .into_iter()
            .filter_map(|(setting, url)| SettingError::of_url(setting, url))
            .collect();
        if !wrong.is_empty() {
            return Err(wrong);
        }
        Ok(Config {
            metadata_url: format!("{base}/v1/traces/metadata"),
            traces_url,
            api_key: self.api_key,
            headers: self.headers,
            service_name: some(self.service_name)
                .unwrap_or_else(|| DEFAULT_SERVICE_NAME.to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(json: &str) -> Result<Config, Vec<String>> {
        kit::exporter::checked(json, Settings::check)
    }

    #[test]
    fn an_endpoint_is_verbatim_and_concerns_traces_alone() {
        for (settings, traces, metadata) in [
            (
                r#"{"api_key":"k"}"#,
                "https://api.lmnr.ai/v1/traces",
                "https://api.lmnr.ai/v1/traces/metadata",
            ),
            (
                r#"{"api_key":"k","base_url":"http://own:8000/","endpoint":"http://relay/in"}"#,
                "http://relay/in",
                "http://own:8000/v1/traces/metadata",
            ),
        ] {
            let config = checked(settings).unwrap();
            assert_eq!(
                (config.traces_url.as_str(), config.metadata_url.as_str()),
                (traces, metadata)
            );
        }
    }

    #[test]
    fn what_is_no_url_is_named() {
        let settings = r#"{"api_key":"k","base_url":"own:8000","endpoint":"relay"}"#;
        assert_eq!(checked(settings).unwrap_err(), ["base_url", "endpoint"]);
    }
}
