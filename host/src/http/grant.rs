//! What a component asks to reach, and the origins that this stands for.
//!
//! Pure. A declaration is a request, never a grant: whether it is granted is decided by `config` (the lock file, or that
//! the operator named the component), and nothing is reachable until the resolved origins are handed to a client.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};
use url::Url;

use super::origin::{HostPort, Origin, OriginError};

/// One entry of a component's `hosts`. As text an origin (`https://cloud.langfuse.com`) or `setting:NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostRequest {
    /// A fixed origin.
    Origin(Origin),
    /// The origin of the URL that this setting holds, whatever the operator sets it to.
    FromSetting(String),
}

impl FromStr for HostRequest {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        match text.strip_prefix("setting:") {
            Some(setting) => Ok(Self::FromSetting(setting.to_owned())),
            None => text.parse().map(Self::Origin),
        }
    }
}

impl fmt::Display for HostRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Origin(origin) => origin.fmt(f),
            Self::FromSetting(setting) => write!(f, "setting:{setting}"),
        }
    }
}

/// Why a request cannot become an origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// The setting is no text.
    #[error(
        "setting `{setting}` must be a URL, since the component asks to reach its host; it is {found}"
    )]
    NotText {
        /// Name.
        setting: String,
        /// JSON type found.
        found: &'static str,
    },
    /// The setting is text but no absolute `https` or `http` URL. The value is not shown: it may be secret.
    #[error("setting `{setting}` must be an absolute URL such as `https://host:port/path`")]
    NotUrl {
        /// Name.
        setting: String,
    },
}

/// The origins that the requests stand for with these settings, sorted, each once. A setting that is absent, null or
/// empty stands for none.
///
/// # Errors
/// [`GrantError`] names the setting.
pub fn requested_origins(
    hosts: &[HostRequest],
    settings: &Map<String, Value>,
) -> Result<Vec<Origin>, GrantError> {
    let mut origins = Vec::with_capacity(hosts.len());
    for request in hosts {
        match request {
            HostRequest::Origin(origin) => origins.push(origin.clone()),
            HostRequest::FromSetting(setting) => {
                if let Some(url) = setting_url(setting, settings)? {
                    let origin = Origin::of(&url).ok_or_else(|| GrantError::NotUrl {
                        setting: setting.clone(),
                    })?;
                    origins.push(origin);
                }
            }
        }
    }
    origins.sort();
    origins.dedup();
    Ok(origins)
}

/// The hosts that the operator's own settings name: only these may resolve to private addresses. Hand in what the
/// operator set, without the schema's defaults and before secrets are hidden; what the component fixed is not named by the operator.
///
/// # Errors
/// [`GrantError`] names the setting.
pub fn operator_hosts(
    hosts: &[HostRequest],
    operator_settings: &Map<String, Value>,
) -> Result<Vec<HostPort>, GrantError> {
    let from_settings: Vec<_> = hosts
        .iter()
        .filter(|request| matches!(request, HostRequest::FromSetting(_)))
        .cloned()
        .collect();
    let origins = requested_origins(&from_settings, operator_settings)?;
    Ok(origins.iter().filter_map(Origin::exact_host).collect())
}

fn setting_url(setting: &str, settings: &Map<String, Value>) -> Result<Option<Url>, GrantError> {
    let found = match settings.get(setting) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) if text.is_empty() => return Ok(None),
        Some(Value::String(text)) => {
            return Url::parse(text).map(Some).map_err(|_| GrantError::NotUrl {
                setting: setting.to_owned(),
            });
        }
        Some(Value::Bool(_)) => "a boolean",
        Some(Value::Number(_)) => "a number",
        Some(Value::Array(_)) => "an array",
        Some(Value::Object(_)) => "an object",
    };
    Err(GrantError::NotText {
        setting: setting.to_owned(),
        found,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn requests(texts: &[&str]) -> Vec<HostRequest> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn settings(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn texts(origins: &[Origin]) -> Vec<String> {
        origins.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn requests_become_origins_of_fixed_texts_and_of_settings() {
        let hosts = requests(&[
            "https://b.example",
            "setting:base_url",
            "setting:absent",
            "setting:empty",
            "https://b.example",
        ]);
        let settings =
            settings(json!({"base_url": "http://key:word@localhost:3000/api/x?q", "empty": ""}));
        let origins = requested_origins(&hosts, &settings).unwrap();
        assert_eq!(
            texts(&origins),
            ["http://localhost:3000", "https://b.example"]
        );
    }

    #[test]
    fn a_setting_that_is_no_url_is_named_and_its_value_kept_back() {
        for value in [
            json!("hunter2"),
            json!("ftp://hunter2"),
            json!("https://*.hunter2.example"),
            json!(7),
        ] {
            let error = requested_origins(
                &requests(&["setting:dsn"]),
                &settings(json!({"dsn": value})),
            )
            .unwrap_err();
            assert!(error.to_string().contains("`dsn`"));
            assert!(!error.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn only_settings_name_hosts_for_the_operator() {
        let hosts = requests(&["http://127.0.0.1:9", "setting:base_url"]);
        let named =
            operator_hosts(&hosts, &settings(json!({"base_url": "https://10.0.0.1"}))).unwrap();
        assert_eq!(
            named,
            [HostPort {
                host: "10.0.0.1".into(),
                port: 443
            }]
        );
    }
}
