//! Settings of this destination: what the host is told of them, and the checked form that the rest uses.

use std::collections::BTreeMap;
use std::time::Duration;

use mastra_exporter_sdk::http::Auth;
use mastra_exporter_sdk::settings::{Setting, SettingError, SettingsSchema};
use mastra_metrics::Options;
use mastra_metrics::aggregator::{DEFAULT_BOUNDS, DEFAULT_MAX_SERIES};
use serde::Deserialize;

use crate::wire::Version;

/// How often metrics are written, where they are.
pub const FLUSH_INTERVAL: Duration = Duration::from_secs(15);

/// How long the host holds what nobody scrapes.
pub const MAX_UNSEEN: Duration = Duration::from_secs(300);

/// How many measurements the host holds that nobody has scraped.
pub const MAX_UNSEEN_ITEMS: usize = 20_000;

/// What Mastra itself calls a service without a name.
pub const DEFAULT_SERVICE_NAME: &str = "mastra-service";

/// The settings as the host hands them over.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// A receiver of remote write.
    pub remote_write_url: Option<String>,
    /// `1.0` or `2.0`.
    pub remote_write_version: Option<String>,
    /// Of basic authorization.
    pub username: Option<String>,
    /// Of basic authorization, a placeholder.
    pub password: Option<String>,
    /// Bearer token, a placeholder.
    pub token: Option<String>,
    /// On every write request.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Series that are held.
    pub max_series: Option<usize>,
}

/// What the host is told of the settings.
#[must_use]
pub fn schema() -> SettingsSchema {
    SettingsSchema::new()
        .with(
            Setting::uri("remote_write_url")
                .about("A receiver of remote write, such as http://prometheus:9090/api/v1/write. Without it metrics are only served.")
                .env(&["PROMETHEUS_REMOTE_WRITE_URL"]),
        )
        .with(
            Setting::choice("remote_write_version", &["1.0", "2.0"])
                .about("2.0 falls back to 1.0 where the receiver does not know it.")
                .default_text("1.0"),
        )
        .with(
            Setting::text("username")
                .about("User of basic authorization.")
                .env(&["PROMETHEUS_REMOTE_WRITE_USERNAME"]),
        )
        .with(
            Setting::text("password")
                .about("Its password.")
                .env(&["PROMETHEUS_REMOTE_WRITE_PASSWORD"])
                .secret(),
        )
        .with(
            Setting::text("token")
                .about("Bearer token, instead of user and password.")
                .env(&["PROMETHEUS_REMOTE_WRITE_TOKEN"])
                .secret(),
        )
        .with(
            Setting::text_map("headers")
                .about("Headers of every write request, such as X-Scope-OrgID; not for secrets."),
        )
        .with(Setting::integer("max_series", 1, 1_000_000).about(
            "Series that are held; what comes beyond is counted in an overflow series.",
        ))
}

/// Where and how metrics are written.
#[derive(Clone, Debug)]
pub struct RemoteWrite {
    /// As set.
    pub url: String,
    /// As set.
    pub version: Version,
    /// Credentials, as placeholders.
    pub auth: Option<Auth>,
    /// As set.
    pub headers: BTreeMap<String, String>,
}

/// The checked settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// `None` when metrics are only served.
    pub remote_write: Option<RemoteWrite>,
    /// How metrics are aggregated.
    pub metrics: Options,
}

impl Settings {
    /// Puts the credentials together.
    ///
    /// # Errors
    /// Every setting at fault.
    pub fn check(self) -> Result<Config, Vec<SettingError>> {
        let some = |text: Option<String>| text.filter(|text| !text.is_empty());
        let auth = match (some(self.token), some(self.username), some(self.password)) {
            (Some(token), _, _) => Some(Auth::Bearer(token)),
            (None, Some(user), Some(password)) => Some(Auth::Basic(user, password)),
            (None, None, None) => None,
            (None, user, _) => {
                let missing = if user.is_some() {
                    "password"
                } else {
                    "username"
                };
                return Err(vec![SettingError::new(missing, "is needed")]);
            }
        };
        let url = some(self.remote_write_url).map(|url| url.trim().to_owned());
        if let Some(error) = url
            .as_deref()
            .and_then(|url| SettingError::of_url("remote_write_url", url))
        {
            return Err(vec![error]);
        }
        Ok(Config {
            remote_write: url.map(|url| RemoteWrite {
                url,
                version: match self.remote_write_version.as_deref() {
                    Some("2.0") => Version::Two,
                    _ => Version::One,
                },
                auth,
                headers: self.headers,
            }),
            metrics: Options {
                is_cumulative: true,
                bounds: DEFAULT_BOUNDS.into(),
                max_series: self.max_series.unwrap_or(DEFAULT_MAX_SERIES),
                keeps_points: true,
            },
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
    fn without_a_receiver_metrics_are_only_served() {
        assert!(checked("{}").unwrap().remote_write.is_none());
        let config = checked(
            r#"{"remote_write_url":"http://p/api/v1/write","username":"u","password":"p"}"#,
        );
        let remote = config.unwrap().remote_write.unwrap();
        assert_eq!(
            remote.auth,
            Some(Auth::Basic("u".to_owned(), "p".to_owned()))
        );
        assert_eq!(remote.version, Version::One);
    }

    #[test]
    fn half_of_the_credentials_is_not_enough() {
        assert_eq!(checked(r#"{"username":"u"}"#).unwrap_err(), ["password"]);
        assert_eq!(checked(r#"{"password":"p"}"#).unwrap_err(), ["username"]);
        assert_eq!(
            checked(r#"{"remote_write_url":"p:9090"}"#).unwrap_err(),
            ["remote_write_url"]
        );
    }
}
