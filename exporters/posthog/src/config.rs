//! Settings of this destination: what the host is told of them, and the checked form that the rest uses. Names of
//! environment variables are those of the official exporter.

use std::collections::BTreeMap;

use mastra_exporter_sdk::settings::{Setting, SettingError, SettingsSchema};
use serde::Deserialize;

/// Items a batch: what the official SDK sends at once.
pub const MAX_ITEMS: u32 = 100;

/// Bytes a batch, of the events' JSON text. The official SDK sends 5 MiB at once, the server takes 20 MB.
pub const MAX_BYTES: u32 = 4 << 20;

/// PostHog Cloud in the US.
const DEFAULT_HOST: &str = "https://us.i.posthog.com";

/// The settings as the host hands them over.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Placeholder of `phc_...`
    pub api_key: String,
    /// Without a path.
    #[serde(default = "default_host")]
    pub host: String,
    /// Whose events those are that name no user.
    pub default_distinct_id: Option<String>,
    /// Added to every request.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

fn default_host() -> String {
    DEFAULT_HOST.to_owned()
}

/// What the host is told of the settings.
#[must_use]
pub fn schema() -> SettingsSchema {
    SettingsSchema::new()
        .with(
            Setting::text("api_key")
                .about("Project token that starts with phc_.")
                .env(&["POSTHOG_API_KEY"])
                .secret()
                .in_body()
                .required(),
        )
        .with(
            Setting::uri("host")
                .about("Ingestion host of the region or of an own installation, without a path.")
                .env(&["POSTHOG_HOST"])
                .default_text(DEFAULT_HOST),
        )
        .with(
            Setting::text("default_distinct_id")
                .about("Whose events those are that name no user; without it each such trace is a stranger of its own.")
                .env(&["POSTHOG_DEFAULT_DISTINCT_ID"]),
        )
        .with(Setting::text_map("headers").about("Headers added to every request. Not for secrets."))
}

/// The checked settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// Without a slash at the end.
    pub base: String,
    /// As set.
    pub settings: Settings,
}

impl Settings {
    /// Checks what the schema cannot say.
    ///
    /// # Errors
    /// Every setting at fault.
    pub fn check(mut self) -> Result<Config, Vec<SettingError>> {
        let mut errors = Vec::new();
        let base = self.host.trim().trim_end_matches('/').to_owned();
        errors.extend(SettingError::of_url("host", &base));
        if self.api_key.starts_with("phx_") {
            errors.push(SettingError::new(
                "api_key",
                "must be the project token that starts with phc_, not a personal key",
            ));
        }
        self.default_distinct_id = self.default_distinct_id.filter(|id| !id.is_empty());
        if errors.is_empty() {
            Ok(Config {
                base,
                settings: self,
            })
        } else {
            Err(errors)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(json: &str) -> Result<Config, Vec<SettingError>> {
        serde_json::from_str::<Settings>(json).unwrap().check()
    }

    #[test]
    fn the_default_is_posthog_cloud_in_the_us() {
        let config = checked(r#"{"api_key":"phc_1","default_distinct_id":""}"#).unwrap();
        assert_eq!(config.base, "https://us.i.posthog.com");
        assert_eq!(config.settings.default_distinct_id, None);
    }

    #[test]
    fn every_bad_setting_is_named() {
        let errors = checked(r#"{"api_key":"phx_1","host":"posthog"}"#).unwrap_err();
        let names: Vec<_> = errors.iter().map(|error| error.setting.as_str()).collect();
        assert_eq!(names, ["host", "api_key"]);
    }

    #[test]
    fn unknown_settings_are_refused() {
        assert!(serde_json::from_str::<Settings>(r#"{"api_key":"k","apiKey":"x"}"#).is_err());
    }
}
