//! Settings of this destination: what the host is told of them, and the parts of the DSN. Names of environment variables
//! are those of the official exporter.

use mastra_exporter_sdk::settings::{Setting, SettingError, SettingsSchema};
use serde::Deserialize;

/// Items a batch: half of what one container of spans may hold.
pub const MAX_ITEMS: u32 = 512;

/// Bytes a batch, of the events' JSON text. An item may have 1 MiB.
pub const MAX_BYTES: u32 = 1 << 20;

/// The environment of what does not name its own; Sentry's own default.
const DEFAULT_ENVIRONMENT: &str = "production";

/// The settings as the host hands them over.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// `https://{public key}@{host}/{project}`. Public by design: browsers carry it.
    pub dsn: String,
    /// Takes the place of the DSN's origin and path prefix.
    pub base_url: Option<String>,
    /// Of everything sent; else the event's own.
    pub environment: Option<String>,
    /// Of everything sent.
    pub release: Option<String>,
}

/// What the host is told of the settings.
#[must_use]
pub fn schema() -> SettingsSchema {
    SettingsSchema::new()
        .with(
            Setting::uri("dsn")
                .about("DSN of the project (Settings, Client Keys).")
                .env(&["SENTRY_DSN"])
                .required(),
        )
        .with(
            Setting::uri("base_url")
                .about("Takes the place of the DSN's origin: a relay, a proxy.")
                .env(&["SENTRY_BASE_URL"]),
        )
        .with(
            Setting::text("environment")
                .about("Environment of everything sent; else the event's own, else production.")
                .env(&["SENTRY_ENVIRONMENT"]),
        )
        .with(
            Setting::text("release")
                .about("Release of everything sent.")
                .env(&["SENTRY_RELEASE"]),
        )
}

/// The checked settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// `.../api/{project}/envelope/`
    pub envelope_url: String,
    /// Of the DSN.
    pub public_key: String,
    /// As set.
    pub release: Option<String>,
    environment: Option<String>,
}

impl Config {
    /// The environment: the operator's, else the event's, else the default.
    #[must_use]
    pub fn environment<'a>(&'a self, of_event: Option<&'a str>) -> &'a str {
        let set = self.environment.as_deref();
        set.or(of_event).unwrap_or(DEFAULT_ENVIRONMENT)
    }
}

impl Settings {
    /// Takes the DSN apart.
    ///
    /// # Errors
    /// Every setting at fault.
    pub fn check(self) -> Result<Config, Vec<SettingError>> {
        let some = |text: Option<String>| text.filter(|text| !text.is_empty());
        let mut errors = Vec::new();
        let base_url = some(self.base_url);
        errors.extend(
            base_url
                .as_deref()
                .and_then(|url| SettingError::of_url("base_url", url)),
        );
        let Some(dsn) = Dsn::read(self.dsn.trim()) else {
            errors.push(SettingError::new(
                "dsn",
                "must be https://{public key}@{host}/{project id}",
            ));
            return Err(errors);
        };
        if !errors.is_empty() {
            return Err(errors);
        }
        let base = base_url.map_or_else(
            || dsn.base(),
            |url| url.trim().trim_end_matches('/').to_owned(),
        );
        Ok(Config {
            envelope_url: format!("{base}/api/{}/envelope/", dsn.project),
            public_key: dsn.public_key.to_owned(),
            release: some(self.release),
            environment: some(self.environment),
        })
    }
}

/// `{scheme}://{public key}[:{secret}]@{host}{prefix}/{project}`
struct Dsn<'a> {
    scheme: &'a str,
    public_key: &'a str,
    host: &'a str,
    /// Kept: a self-hosted Sentry may live below a path.
    prefix: &'a str,
    project: &'a str,
}

impl<'a> Dsn<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let (user, rest) = rest.split_once('@')?;
        // The part after the colon is obsolete and never sent.
        let public_key = user.split(':').next().unwrap_or(user);
        let (place, project) = rest.trim_end_matches('/').rsplit_once('/')?;
        let (host, prefix) = place.find('/').map_or((place, ""), |at| place.split_at(at));
        let is_word =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let is_good = matches!(scheme, "http" | "https")
            && is_word(public_key)
            && is_word(project)
            && !host.is_empty();
        is_good.then_some(Self {
            scheme,
            public_key,
            host,
            prefix,
            project,
        })
    }

    fn base(&self) -> String {
        format!("{}://{}{}", self.scheme, self.host, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(json: &str) -> Result<Config, Vec<String>> {
        kit::exporter::checked(json, Settings::check)
    }

    #[test]
    fn a_dsn_is_taken_apart_and_its_prefix_kept() {
        for (dsn, url) in [
            (
                "https://abc@o1.ingest.us.sentry.io/42",
                "https://o1.ingest.us.sentry.io/api/42/envelope/",
            ),
            (
                "http://abc:obsolete@sentry.local:9000/a/b/7/",
                "http://sentry.local:9000/a/b/api/7/envelope/",
            ),
        ] {
            let config = checked(&format!("{{\"dsn\":\"{dsn}\"}}")).unwrap();
            assert_eq!(
                (config.envelope_url.as_str(), config.public_key.as_str()),
                (url, "abc")
            );
        }
        let relayed = checked(r#"{"dsn":"https://abc@h/1","base_url":"http://relay:3000/"}"#);
        assert_eq!(
            relayed.unwrap().envelope_url,
            "http://relay:3000/api/1/envelope/"
        );
    }

    #[test]
    fn what_is_no_dsn_is_refused() {
        for dsn in [
            "",
            "abc",
            "https://h/1",
            "https://@h/1",
            "https://abc@h",
            "https://abc@/1",
            "ftp://a@h/1",
        ] {
            assert_eq!(
                checked(&format!("{{\"dsn\":\"{dsn}\"}}")).unwrap_err(),
                ["dsn"],
                "{dsn}"
            );
        }
    }

    #[test]
    fn the_operators_environment_wins() {
        let config = checked(r#"{"dsn":"https://abc@h/1"}"#).unwrap();
        assert_eq!(config.environment(None), "production");
        assert_eq!(config.environment(Some("staging")), "staging");
        let config = checked(r#"{"dsn":"https://abc@h/1","environment":"test"}"#).unwrap();
        assert_eq!(config.environment(Some("staging")), "test");
    }
}
