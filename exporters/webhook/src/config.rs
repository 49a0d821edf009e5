//! Settings of this destination: what the host is told of them, and the checked form that the rest uses.

use std::collections::BTreeMap;

use mastra_exporter_sdk::settings::{Setting, SettingError, SettingsSchema};
use serde::Deserialize;

use crate::mapping::{Piece, pieces};
use crate::wire::{SIGNATURE_HEADER, VARIABLES};

/// Events a batch.
pub const MAX_ITEMS: u32 = 512;

/// Bytes a batch, of the events' JSON text.
pub const MAX_BYTES: u32 = 1 << 20;

/// The settings as the host hands them over.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where events are posted. Path and query are placeholders, because they are the only secret.
    pub url: String,
    /// Array or lines.
    #[serde(default)]
    pub format: Format,
    /// Which span events are sent.
    #[serde(default)]
    pub span_events: SpanEvents,
    /// Whether the host compresses bodies.
    #[serde(default)]
    pub gzip: bool,
    /// Added to every request; values are templates.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Placeholder of the whole `authorization` header.
    pub authorization: Option<String>,
    /// Placeholder of the key that signs bodies.
    pub signing_secret: Option<String>,
    /// Header of the signature.
    #[serde(default = "default_signature_header")]
    pub signature_header: String,
}

/// The form of a body.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// An array of events.
    #[default]
    Json,
    /// An event a line.
    Ndjson,
}

/// Which span events are sent.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum SpanEvents {
    /// Started, updated and ended.
    #[default]
    All,
    /// Ended only.
    Ended,
}

fn default_signature_header() -> String {
    SIGNATURE_HEADER.to_owned()
}

/// What the host is told of the settings.
#[must_use]
pub fn schema() -> SettingsSchema {
    SettingsSchema::new()
        .with(
            Setting::uri("url")
                .about("Where events are posted.")
                .env(&["WEBHOOK_URL", "WEBHOOK_BASE_URL"])
                .secret()
                .required(),
        )
        .with(
            Setting::choice("format", &["json", "ndjson"])
                .about("An array of events, or an event a line.")
                .env(&["WEBHOOK_FORMAT"])
                .default_text("json"),
        )
        .with(
            Setting::choice("span_events", &["all", "ended"])
                .about("Started, updated and ended spans, or ended ones only.")
                .default_text("all"),
        )
        .with(
            Setting::flag("gzip")
                .about("Compress bodies.")
                .default_flag(false),
        )
        .with(
            Setting::text_map("headers")
                .about("Added to every request; {{signal}}, {{count}} and {{version}} are filled in. Not for secrets."),
        )
        .with(
            Setting::text("authorization")
                .about("The whole authorization header, such as `Bearer ...`.")
                .env(&["WEBHOOK_AUTHORIZATION"])
                .secret(),
        )
        .with(
            Setting::text("signing_secret")
                .about("Key of an HMAC-SHA256 signature of the body.")
                .env(&["WEBHOOK_SIGNING_SECRET"])
                .secret(),
        )
        .with(
            Setting::text("signature_header")
                .about("Header of the signature: sha256= and hex digits.")
                .default_text(SIGNATURE_HEADER),
        )
}

/// The checked settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// Names and cut templates.
    pub headers: Vec<(String, Vec<Piece>)>,
    /// As set; empty texts are absent.
    pub settings: Settings,
}

impl Settings {
    /// Checks what the schema cannot say.
    ///
    /// # Errors
    /// Every setting at fault.
    pub fn check(mut self) -> Result<Config, Vec<SettingError>> {
        let mut errors = Vec::new();
        self.authorization = self.authorization.filter(|text| !text.is_empty());
        self.signing_secret = self.signing_secret.filter(|text| !text.is_empty());
        errors.extend(SettingError::of_url("url", &self.url));
        if has_user(&self.url) {
            errors.push(SettingError::new(
                "url",
                "must not have a user or password: use authorization",
            ));
        }
        if !is_header_name(&self.signature_header) {
            errors.push(SettingError::new(
                "signature_header",
                "is not the name of a header",
            ));
        }
        let mut headers = Vec::with_capacity(self.headers.len());
        for (name, template) in &self.headers {
            let pieces = pieces(template);
            let unknown = pieces.iter().find_map(|piece| match piece {
                Piece::Variable(name) if !VARIABLES.contains(&name.as_str()) => Some(name),
                _ => None,
            });
            if let Some(variable) = unknown {
                let known = VARIABLES.join(", ");
                let reason = format!("{name}: {{{{{variable}}}}} is not known; there are {known}");
                errors.push(SettingError::new("headers", reason));
            }
            if !is_header_name(name) {
                let reason = format!("{name:?} is not the name of a header");
                errors.push(SettingError::new("headers", reason));
            }
            headers.push((name.clone(), pieces));
        }
        if errors.is_empty() {
            Ok(Config {
                headers,
                settings: self,
            })
        } else {
            Err(errors)
        }
    }
}

/// Whether something stands before the host: the host sends no such request.
fn has_user(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#'])
        .next()
        .is_some_and(|authority| authority.contains('@'))
}

/// A token of RFC 9110, section 5.6.2.
fn is_header_name(name: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bad_setting_is_named() {
        let bad = r#"{"url":"hook.example.com","signature_header":"a b","headers":{"x":"{{trace}}","y z":"1"}}"#;
        let settings: Settings = serde_json::from_str(bad).unwrap();
        let errors = settings.check().unwrap_err();
        let names: Vec<_> = errors.iter().map(|error| error.setting.as_str()).collect();
        assert_eq!(names, ["url", "signature_header", "headers", "headers"]);
        assert!(errors[2].reason.contains("{{trace}} is not known"));
    }

    #[test]
    fn a_user_in_the_url_is_refused() {
        assert!(has_user("https://user:password@h/x"));
        assert!(!has_user("https://h/x@y?z=@"));
    }

    #[test]
    fn defaults_are_an_array_of_all_events_unsigned() {
        let settings: Settings =
            serde_json::from_str(r#"{"url":"https://h","signing_secret":""}"#).unwrap();
        let config = settings.check().unwrap();
        assert_eq!(config.settings.format, Format::Json);
        assert_eq!(config.settings.span_events, SpanEvents::All);
        assert_eq!(config.settings.signing_secret, None);
    }
}
