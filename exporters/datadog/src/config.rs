//! Settings of this destination: what the host is told of them, and the checked form that the rest uses. Names of
//! environment variables are those of the official exporter and of Datadog's own libraries.

use std::time::Duration;

use mastra_exporter_sdk::settings::{Setting, SettingError, SettingsSchema};
use serde::Deserialize;

use crate::wire::SeriesVersion;

/// Items a batch. Datadog takes 1,000 logs in one request.
pub const MAX_ITEMS: u32 = 512;

/// Bytes a batch, of the events' JSON text. LLM Observability and logs take 5 MB, metrics 500 KB: a point takes an
/// eighth of its event.
pub const MAX_BYTES: u32 = 1 << 20;

/// Between deliveries of metrics.
pub const FLUSH_INTERVAL: Duration = Duration::from_secs(5);

/// Longest name of an application in LLM Observability.
const MAX_ML_APP_CHARS: usize = 193;

/// Datadog's sites (docs: "Getting Started with Datadog Sites", read 2026-11). LLM Observability is not on the
/// government's.
pub const SITES: &[&str] = &[
    "datadoghq.com",
    "us3.datadoghq.com",
    "us5.datadoghq.com",
    "datadoghq.eu",
    "ap1.datadoghq.com",
    "ap2.datadoghq.com",
    "uk1.datadoghq.com",
    "ddog-gov.com",
    "us2.ddog-gov.com",
];

/// Where spans, evaluations and metrics of a site go.
#[must_use]
pub fn api_url(site: &str) -> String {
    format!("https://api.{site}")
}

/// Where logs of a site go.
#[must_use]
pub fn logs_url(site: &str) -> String {
    format!("https://http-intake.logs.{site}")
}

/// The settings as the host hands them over.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Placeholder of the API key.
    pub api_key: String,
    /// Name of the application in LLM Observability.
    pub ml_app: String,
    /// One of [`SITES`].
    #[serde(default = "default_site")]
    pub site: String,
    /// Takes the place of the site's origins: a proxy, an own intake.
    pub base_url: Option<String>,
    /// `service` of everything sent; else the event's own, else the application's name.
    pub service: Option<String>,
    /// `env` of everything sent; else the event's own.
    pub env: Option<String>,
    /// `version` of everything sent; else the event's own.
    pub version: Option<String>,
    /// `key:value,key:value`, on everything sent.
    pub tags: Option<String>,
    /// Version of the series API.
    #[serde(default)]
    pub series_version: SeriesVersion,
    /// Names of metadata members that become tags of spans, separated by commas.
    pub request_context_keys: Option<String>,
}

fn default_site() -> String {
    SITES.first().map_or_else(String::new, ToString::to_string)
}

/// What the host is told of the settings.
#[must_use]
pub fn schema() -> SettingsSchema {
    SettingsSchema::new()
        .with(
            Setting::text("api_key")
                .about("API key of the organisation, of the same site.")
                .env(&["DD_API_KEY"])
                .secret()
                .required(),
        )
        .with(
            Setting::text("ml_app")
                .about("Name of the application in LLM Observability.")
                .env(&["DD_LLMOBS_ML_APP"])
                .required(),
        )
        .with(
            Setting::choice("site", SITES)
                .about("Datadog site.")
                .env(&["DD_SITE"])
                .default_text(&default_site()),
        )
        .with(
            Setting::uri("base_url")
                .about("Takes the place of the site's origins: a proxy, an own intake.")
                .env(&["DATADOG_BASE_URL"]),
        )
        .with(
            Setting::text("service")
                .about("Service of everything sent; else the event's own.")
                .env(&["DD_SERVICE"]),
        )
        .with(
            Setting::text("env")
                .about("Environment of everything sent; else the event's own.")
                .env(&["DD_ENV"]),
        )
        .with(
            Setting::text("version")
                .about("Version of everything sent; else the event's own.")
                .env(&["DD_VERSION"]),
        )
        .with(
            Setting::text("tags")
                .about("Tags of everything sent: key:value,key:value.")
                .env(&["DD_TAGS"]),
        )
        .with(
            Setting::choice("series_version", &["v2", "v1"])
                .about("Version of the series API; v1 for stores that took that one over.")
                .default_text("v2"),
        )
        .with(
            Setting::text("request_context_keys")
                .about("Names of metadata members that become tags of spans, separated by commas."),
        )
}

/// The checked settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// `https://api.{site}`
    pub api_url: String,
    /// `https://http-intake.logs.{site}`
    pub logs_url: String,
    /// In lower case.
    pub ml_app: String,
    /// As set: `key:value`.
    pub tags: Vec<String>,
    /// As set.
    pub request_context_keys: Vec<String>,
    /// As set; empty texts are absent.
    pub settings: Settings,
}

impl Settings {
    /// Checks what the schema cannot say, and derives the URLs.
    ///
    /// # Errors
    /// Every setting at fault.
    pub fn check(mut self) -> Result<Config, Vec<SettingError>> {
        let mut errors = Vec::new();
        for text in [
            &mut self.base_url,
            &mut self.service,
            &mut self.env,
            &mut self.version,
        ] {
            *text = text.take().filter(|text| !text.is_empty());
        }
        let ml_app = self.ml_app.to_lowercase();
        if !is_ml_app(&ml_app) {
            errors.push(SettingError::new(
                "ml_app",
                "must start with a letter and have at most 193 letters, digits, _ - : . /",
            ));
        }
        if !SITES.contains(&self.site.as_str()) {
            errors.push(SettingError::new("site", "is not a site of Datadog"));
        }
        let base = self
            .base_url
            .as_deref()
            .map(|base| base.trim().trim_end_matches('/').to_owned());
        errors.extend(
            base.as_deref()
                .and_then(|base| SettingError::of_url("base_url", base)),
        );
        let tags = words(self.tags.as_deref());
        if tags.iter().any(|tag| !is_tag(tag)) {
            errors.push(SettingError::new("tags", "must be key:value,key:value"));
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Config {
            api_url: base.clone().unwrap_or_else(|| api_url(&self.site)),
            logs_url: base.unwrap_or_else(|| logs_url(&self.site)),
            ml_app,
            tags,
            request_context_keys: words(self.request_context_keys.as_deref()),
            settings: self,
        })
    }
}

fn words(list: Option<&str>) -> Vec<String> {
    let words = list.unwrap_or_default().split(',').map(str::trim);
    words
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

fn is_tag(tag: &str) -> bool {
    tag.split_once(':').is_some_and(|(key, _)| !key.is_empty())
}

fn is_ml_app(name: &str) -> bool {
    let is_allowed = |character: char| {
        character.is_alphanumeric() || matches!(character, '_' | '-' | ':' | '.' | '/')
    };
    name.starts_with(char::is_alphabetic)
        && name.chars().all(is_allowed)
        && name.chars().nth(MAX_ML_APP_CHARS).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(extra: &str) -> Result<Config, Vec<String>> {
        let text = format!(r#"{{"api_key":"{{secret:1}}","ml_app":"Support-Bot"{extra}}}"#);
        kit::exporter::checked(&text, Settings::check)
    }

    #[test]
    fn a_site_names_both_origins_and_a_base_url_takes_their_place() {
        let config = checked(r#","site":"datadoghq.eu""#).unwrap();
        assert_eq!(
            (config.api_url.as_str(), config.logs_url.as_str()),
            (
                "https://api.datadoghq.eu",
                "https://http-intake.logs.datadoghq.eu"
            )
        );
        let config = checked(r#","base_url":"http://proxy:8080/dd/""#).unwrap();
        assert_eq!(
            (config.api_url.as_str(), config.logs_url.as_str()),
            ("http://proxy:8080/dd", "http://proxy:8080/dd")
        );
        assert_eq!(checked("").unwrap().api_url, "https://api.datadoghq.com");
    }

    #[test]
    fn the_application_is_in_lower_case() {
        assert_eq!(checked("").unwrap().ml_app, "support-bot");
    }

    #[test]
    fn every_bad_setting_is_named() {
        let bad = r#"{"api_key":"k","ml_app":"1 app","site":"example.com","base_url":"proxy","tags":"a:b,c"}"#;
        let errors = serde_json::from_str::<Settings>(bad)
            .unwrap()
            .check()
            .unwrap_err();
        let names: Vec<_> = errors.iter().map(|error| error.setting.as_str()).collect();
        assert_eq!(names, ["ml_app", "site", "base_url", "tags"]);
    }

    #[test]
    fn lists_are_read_and_empty_texts_are_absent() {
        let config = checked(
            r#","tags":"team:ai, a:b:c ,","request_context_keys":"region,tenant","env":"""#,
        )
        .unwrap();
        assert_eq!(config.tags, ["team:ai", "a:b:c"]);
        assert_eq!(config.request_context_keys, ["region", "tenant"]);
        assert_eq!(config.settings.env, None);
    }
}
