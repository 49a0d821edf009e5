//! Settings of this destination and the URLs that follow from them, by the rules of the official client. Names of
//! environment variables are the official client's.

use mastra_exporter_sdk::records::Signal;
use mastra_exporter_sdk::settings::{Setting, SettingError, SettingsSchema};
use serde::Deserialize;

use crate::wire::{DEFAULT_ENDPOINT, segment};

/// Records a batch: the official client's, for all signals together.
pub const MAX_ITEMS: u32 = 1_000;

/// Bytes a batch, of the events' JSON text.
pub const MAX_BYTES: u32 = 2 << 20;

/// Settings that hold URLs; the component asks for the origin of each.
pub const URL_SETTINGS: [&str; 6] = [
    "endpoint",
    "traces_endpoint",
    "logs_endpoint",
    "metrics_endpoint",
    "scores_endpoint",
    "feedback_endpoint",
];

/// The settings as the host hands them over.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Placeholder of the access token.
    pub access_token: String,
    /// Mastra project; part of the path.
    pub project_id: Option<String>,
    /// Origin of the platform, unless it is [`DEFAULT_ENDPOINT`].
    pub endpoint: Option<String>,
    /// Origin, or whole URL ending in `/spans/publish`. The other signals follow it.
    pub traces_endpoint: Option<String>,
    /// Origin, or whole URL ending in `/logs/publish`.
    pub logs_endpoint: Option<String>,
    /// Origin, or whole URL ending in `/metrics/publish`.
    pub metrics_endpoint: Option<String>,
    /// Origin, or whole URL ending in `/scores/publish`.
    pub scores_endpoint: Option<String>,
    /// Origin, or whole URL ending in `/feedback/publish`.
    pub feedback_endpoint: Option<String>,
}

/// What the host is told of the settings.
#[must_use]
pub fn schema() -> SettingsSchema {
    let schema = SettingsSchema::new()
        .with(
            Setting::text("access_token")
                .about("Access token of the Mastra platform.")
                .env(&["MASTRA_PLATFORM_ACCESS_TOKEN", "MASTRA_CLOUD_ACCESS_TOKEN"])
                .secret()
                .required(),
        )
        .with(
            Setting::text("project_id")
                .about("Mastra project: letters, digits, - and _.")
                .env(&["MASTRA_PROJECT_ID"]),
        )
        .with(
            Setting::uri("endpoint")
                .about("Origin of another host, in place of https://observability.mastra.ai.")
                .env(&["CLOUD_BASE_URL"]),
        )
        .with(
            Setting::uri("traces_endpoint")
                .about(
                    "Origin, or whole URL ending in /spans/publish; the other signals follow it.",
                )
                .env(&[
                    "MASTRA_CLOUD_TRACES_ENDPOINT",
                    "MASTRA_PLATFORM_OBSERVABILITY_ENDPOINT",
                ]),
        );
    [
        "logs_endpoint",
        "metrics_endpoint",
        "scores_endpoint",
        "feedback_endpoint",
    ]
    .into_iter()
    .fold(schema, |schema, name| {
        schema.with(Setting::uri(name).about("Origin, or whole publish URL, of this signal alone."))
    })
}

/// The checked settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// Placeholder.
    pub access_token: String,
    traces_url: String,
    logs_url: String,
    metrics_url: String,
    scores_url: String,
    feedback_url: String,
}

impl Config {
    /// Where a signal is published.
    #[must_use]
    pub fn url(&self, signal: Signal) -> &str {
        match signal {
            Signal::Traces => &self.traces_url,
            Signal::Logs => &self.logs_url,
            Signal::Metrics => &self.metrics_url,
            Signal::Scores => &self.scores_url,
            Signal::Feedback => &self.feedback_url,
        }
    }
}

impl Settings {
    /// Checks what the schema cannot say, and derives the URLs.
    ///
    /// # Errors
    /// Every setting at fault.
    pub fn check(self) -> Result<Config, Vec<SettingError>> {
        let mut errors = Vec::new();
        let some = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let project_id = some(&self.project_id);
        if project_id.as_deref().is_some_and(|id| !is_project_id(id)) {
            errors.push(SettingError::new(
                "project_id",
                "must only contain letters, digits, - and _",
            ));
        }
        let path = |signal| match &project_id {
            Some(id) => format!("/projects/{id}/ai/{}/publish", segment(signal)),
            None => format!("/ai/{}/publish", segment(signal)),
        };
        let mut resolve = |name: &str, text: &str, signal, is_whole_allowed| {
            let url = resolved(text, signal, &path(signal), is_whole_allowed);
            url.unwrap_or_else(|reason| {
                errors.push(SettingError::new(name, reason));
                String::new()
            })
        };
        let traces = some(&self.traces_endpoint);
        let traces_url = match &traces {
            Some(text) => resolve("traces_endpoint", text, Signal::Traces, true),
            None => {
                let endpoint = some(&self.endpoint);
                let endpoint = endpoint.as_deref().unwrap_or(DEFAULT_ENDPOINT);
                resolve("endpoint", endpoint, Signal::Traces, false)
            }
        };
        let stem = traces_url
            .strip_suffix("/spans/publish")
            .unwrap_or_default();
        let mut of = |name: &str, text: Option<String>, signal| match text {
            Some(text) => resolve(name, &text, signal, true),
            None => format!("{stem}/{}/publish", segment(signal)),
        };
        let logs_url = of("logs_endpoint", some(&self.logs_endpoint), Signal::Logs);
        let metrics_url = of(
            "metrics_endpoint",
            some(&self.metrics_endpoint),
            Signal::Metrics,
        );
        let scores_url = of(
            "scores_endpoint",
            some(&self.scores_endpoint),
            Signal::Scores,
        );
        let feedback_url = of(
            "feedback_endpoint",
            some(&self.feedback_endpoint),
            Signal::Feedback,
        );
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Config {
            access_token: self.access_token,
            traces_url,
            logs_url,
            metrics_url,
            scores_url,
            feedback_url,
        })
    }
}

fn is_project_id(id: &str) -> bool {
    id.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// An origin gets the signal's path; a whole publish URL stays as it is.
fn resolved(
    text: &str,
    signal: Signal,
    path: &str,
    is_whole_allowed: bool,
) -> Result<String, String> {
    let text = text.trim().trim_end_matches('/');
    let suffix = format!("/{}/publish", segment(signal));
    let reason = || {
        if is_whole_allowed {
            format!("must be an origin such as https://collector.example.com, or end in {suffix}")
        } else {
            "must be an origin such as https://collector.example.com, without a path".to_owned()
        }
    };
    let (scheme, rest) = text.split_once("://").ok_or_else(reason)?;
    let (authority, tail) = match rest.find(['/', '?', '#']) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    // Credentials in a URL are not sent: the token is.
    let host = authority.rsplit('@').next().unwrap_or_default();
    if !matches!(scheme, "http" | "https") || host.is_empty() {
        return Err(reason());
    }
    match tail {
        "" => Ok(format!("{scheme}://{host}{path}")),
        whole if is_whole_allowed && whole.ends_with(&suffix) && !whole.contains(['?', '#']) => {
            Ok(format!("{scheme}://{host}{whole}"))
        }
        _ => Err(reason()),
    }
}
