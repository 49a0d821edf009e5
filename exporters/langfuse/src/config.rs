//! Settings of this destination: what the host is told of them, and the checked form that the rest uses. Names of
//! environment variables are those of the official exporter.

use std::collections::BTreeMap;

use mastra_exporter_sdk::settings::{Setting, SettingError, SettingsSchema};
use serde::Deserialize;

/// Items a batch: what the OpenTelemetry SDKs send at once.
pub const MAX_ITEMS: u32 = 512;

/// Bytes a batch, of the events' JSON text. A request may have 5 MB (docs: API limits, read 2026-11); what is sent takes
/// up to three times the event's text: a root's input and output go twice, under longer keys.
pub const MAX_BYTES: u32 = 1 << 20;

/// Where Langfuse Cloud (EU) is.
const DEFAULT_BASE_URL: &str = "https://cloud.langfuse.com";

/// What Mastra itself calls a service without a name.
const DEFAULT_SERVICE_NAME: &str = "mastra-service";

/// The settings as the host hands them over.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// `pk-lf-...`
    pub public_key: String,
    /// Placeholder of `sk-lf-...`
    pub secret_key: String,
    /// Without a path.
    #[serde(default = "default_base_url")]
    pub base_url: String,
    /// Langfuse environment of everything sent.
    pub environment: Option<String>,
    /// Langfuse release of everything sent.
    pub release: Option<String>,
    /// Of events that do not name their service.
    #[serde(default = "default_service_name")]
    pub service_name: String,
    /// Added to every request.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// How scores and feedback are sent.
    #[serde(default)]
    pub score_batching: ScoreBatching,
    /// What becomes of logs that belong to no trace.
    #[serde(default)]
    pub logs_without_trace: LogsWithoutTrace,
    /// Which generations carry usage of their own.
    #[serde(default)]
    pub generation_usage: GenerationUsage,
}

/// How scores and feedback are sent.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum ScoreBatching {
    /// One request a score: every version of Langfuse takes it.
    #[default]
    Single,
    /// One request a batch: Langfuse Cloud and self-hosted v4.
    Array,
}

/// What becomes of logs that belong to no trace.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum LogsWithoutTrace {
    /// They are not sent. Langfuse shows observations inside traces only.
    #[default]
    Skip,
    /// Each becomes a trace of its own.
    OwnTrace,
}

/// Which `model_generation` spans are sent as generations with model, usage and cost. The calls inside an agent's
/// generation (`model_inference`) always carry theirs; Langfuse adds up what it gets.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum GenerationUsage {
    /// Those that are the root of their trace: made by the application itself, without calls inside.
    #[default]
    Roots,
    /// All: for versions of Mastra that send no `model_inference` spans.
    All,
    /// None.
    None,
}

fn default_base_url() -> String {
    DEFAULT_BASE_URL.to_owned()
}

fn default_service_name() -> String {
    DEFAULT_SERVICE_NAME.to_owned()
}

/// What the host is told of the settings.
#[must_use]
pub fn schema() -> SettingsSchema {
    SettingsSchema::new()
        .with(Setting::text("public_key").about("Public key of the project.").env(&["LANGFUSE_PUBLIC_KEY"]).required())
        .with(
            Setting::text("secret_key")
                .about("Secret key of the project.")
                .env(&["LANGFUSE_SECRET_KEY"])
                .secret()
                .required(),
        )
        .with(
            Setting::uri("base_url")
                .about("Langfuse Cloud region or own installation, without a path.")
                .env(&["LANGFUSE_BASE_URL"])
                .default_text(DEFAULT_BASE_URL),
        )
        .with(
            Setting::text("environment")
                .about("Langfuse environment of everything sent: lower-case letters, digits, `-` and `_`.")
                .pattern("^[a-z0-9_-]{1,40}$")
                .env(&["LANGFUSE_TRACING_ENVIRONMENT"]),
        )
        .with(Setting::text("release").about("Langfuse release of everything sent.").env(&["LANGFUSE_RELEASE"]))
        .with(
            Setting::text("service_name")
                .about("Service name of events that do not name theirs.")
                .env(&["OTEL_SERVICE_NAME"])
                .default_text(DEFAULT_SERVICE_NAME),
        )
        .with(Setting::text_map("headers").about("Headers added to every request. Not for secrets."))
        .with(
            Setting::choice("score_batching", &["single", "array"])
                .about("One request a score, or (Langfuse Cloud, self-hosted v4) one a batch.")
                .default_text("single"),
        )
        .with(
            Setting::choice("logs_without_trace", &["skip", "own-trace"])
                .about("What becomes of logs that belong to no trace.")
                .default_text("skip"),
        )
        .with(
            Setting::choice("generation_usage", &["roots", "all", "none"])
                .about("Which model_generation spans carry usage of their own, beside the calls inside.")
                .default_text("roots"),
        )
}

/// The checked settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// `.../api/public/otel/v1/traces`
    pub traces_url: String,
    /// `.../api/public/scores`
    pub scores_url: String,
    /// As set.
    pub settings: Settings,
}

impl Settings {
    /// Checks what the schema cannot say, and derives the URLs.
    ///
    /// # Errors
    /// Every setting at fault.
    pub fn check(mut self) -> Result<Config, Vec<SettingError>> {
        let mut errors = Vec::new();
        let base = self.base_url.trim().trim_end_matches('/');
        let base = base.strip_suffix("/api/public/otel").unwrap_or(base);
        errors.extend(SettingError::of_url("base_url", base));
        self.environment = self
            .environment
            .filter(|environment| !environment.is_empty());
        self.release = self.release.filter(|release| !release.is_empty());
        if self
            .environment
            .as_deref()
            .is_some_and(|environment| !is_environment(environment))
        {
            errors.push(SettingError::new(
                "environment",
                "must be 1 to 40 lower-case letters, digits, - or _, and not start with langfuse",
            ));
        }
        if self.public_key.contains(':') {
            errors.push(SettingError::new(
                "public_key",
                "must not contain a colon: use the key that starts with pk-lf-",
            ));
        }
        if errors.is_empty() {
            Ok(Config {
                traces_url: format!("{base}/api/public/otel/v1/traces"),
                scores_url: format!("{base}/api/public/scores"),
                settings: self,
            })
        } else {
            Err(errors)
        }
    }
}

fn is_environment(text: &str) -> bool {
    let is_allowed = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_')
    };
    (1..=40).contains(&text.len()) && text.bytes().all(is_allowed) && !text.starts_with("langfuse")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(json: &str) -> Settings {
        serde_json::from_str(json).unwrap()
    }

    const KEYS: &str = r#""public_key":"pk-lf-1","secret_key":"{secret}""#;

    #[test]
    fn defaults_are_langfuse_cloud_and_the_safe_choices() {
        let config = settings(&format!("{{{KEYS}}}")).check().unwrap();
        assert_eq!(
            config.traces_url,
            "https://cloud.langfuse.com/api/public/otel/v1/traces"
        );
        assert_eq!(
            config.scores_url,
            "https://cloud.langfuse.com/api/public/scores"
        );
        assert_eq!(config.settings.score_batching, ScoreBatching::Single);
        assert_eq!(config.settings.service_name, "mastra-service");
    }

    #[test]
    fn slashes_and_the_otel_path_are_stripped_from_the_base_url() {
        for url in [
            "http://a:3000",
            "http://a:3000///",
            "http://a:3000/api/public/otel/",
        ] {
            let config = settings(&format!("{{{KEYS},\"base_url\":\"{url}\"}}"))
                .check()
                .unwrap();
            assert_eq!(config.scores_url, "http://a:3000/api/public/scores");
        }
    }

    #[test]
    fn every_bad_setting_is_named() {
        let bad = settings(
            r#"{"public_key":"pk:sk","secret_key":"s","base_url":"cloud.langfuse.com","environment":"langfuse-prod"}"#,
        );
        let errors = bad.check().unwrap_err();
        let names: Vec<_> = errors.iter().map(|error| error.setting.as_str()).collect();
        assert_eq!(names, ["base_url", "environment", "public_key"]);
    }

    #[test]
    fn environments_follow_langfuse_rules() {
        for (text, is_good) in [
            ("prod", true),
            ("a_b-1", true),
            ("Prod", false),
            ("langfuse", false),
            ("", false),
        ] {
            assert_eq!(is_environment(text), is_good, "{text}");
        }
        assert!(!is_environment(&"a".repeat(41)));
    }

    #[test]
    fn unknown_settings_are_refused() {
        assert!(serde_json::from_str::<Settings>(&format!("{{{KEYS},\"publickey\":1}}")).is_err());
    }
}
