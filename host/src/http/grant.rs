//! What a component asks for, what the operator granted, and whether the one covers the other.
//!
//! Pure types and checks; reading and writing the lock file is the caller's (`plugin approve`). A declaration is a
//! request, never a grant: nothing here is reachable until the caller hands the resolved origins to a client.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use super::origin::{HostPort, Origin, OriginError};

/// One entry of a component's `hosts`. As text an origin (`https://cloud.langfuse.com`) or `setting:NAME`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
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

impl TryFrom<String> for HostRequest {
    type Error = OriginError;

    fn try_from(text: String) -> Result<Self, OriginError> {
        text.parse()
    }
}

impl From<HostRequest> for String {
    fn from(request: HostRequest) -> Self {
        request.to_string()
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

/// What the operator granted, in the component's own terms, so that changing a URL in the settings needs no new approval.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Grants(Vec<HostRequest>);

impl Grants {
    /// Grants exactly what is requested.
    #[must_use]
    pub fn all_of(requested: &[HostRequest]) -> Self {
        let mut grants = requested.to_vec();
        grants.sort();
        grants.dedup();
        Self(grants)
    }

    /// Whether everything requested is granted.
    #[must_use]
    pub fn covers(&self, requested: &[HostRequest]) -> bool {
        self.missing(requested).is_empty()
    }

    /// What is requested but not granted, in the order of the request.
    #[must_use]
    pub fn missing(&self, requested: &[HostRequest]) -> Vec<HostRequest> {
        requested
            .iter()
            .filter(|request| !self.0.iter().any(|granted| grants(granted, request)))
            .cloned()
            .collect()
    }

    /// Each grant, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &HostRequest> {
        self.0.iter()
    }
}

fn grants(granted: &HostRequest, request: &HostRequest) -> bool {
    match (granted, request) {
        (HostRequest::Origin(granted), HostRequest::Origin(request)) => granted.covers(request),
        (granted, request) => granted == request,
    }
}

/// One entry of the lock file: this component, by the digest of its bytes, was granted this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Of the component's bytes, as the caller computes it.
    pub digest: String,
    /// What it may reach.
    pub grants: Grants,
}

/// Why a component needs approval.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NeedsApproval {
    /// The bytes are not those that were approved.
    #[error("the component has changed since it was approved")]
    Changed,
    /// It asks for more than was approved.
    #[error("the component asks for more than was approved: {}", list(.0))]
    AsksForMore(Vec<HostRequest>),
}

fn list(requests: &[HostRequest]) -> String {
    requests
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

impl Approval {
    /// Whether this approval is for these bytes and covers these requests.
    ///
    /// # Errors
    /// [`NeedsApproval`] says why not.
    pub fn check(&self, digest: &str, requested: &[HostRequest]) -> Result<(), NeedsApproval> {
        if self.digest != digest {
            return Err(NeedsApproval::Changed);
        }
        let missing = self.grants.missing(requested);
        if missing.is_empty() {
            Ok(())
        } else {
            Err(NeedsApproval::AsksForMore(missing))
        }
    }
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

    #[test]
    fn grants_cover_what_they_name_and_nothing_more() {
        let granted = Grants::all_of(&requests(&["https://*.a.example", "setting:base_url"]));
        assert!(granted.covers(&requests(&["https://eu.a.example", "setting:base_url"])));
        assert!(granted.covers(&[]));
        assert_eq!(
            granted.missing(&requests(&["https://a.example", "setting:other"])),
            requests(&["https://a.example", "setting:other"])
        );
        assert!(!Grants::default().covers(&requests(&["https://a.example"])));
    }

    #[test]
    fn an_approval_is_for_one_digest_and_its_grants() {
        let approval = Approval {
            digest: "sha256:1".into(),
            grants: Grants::all_of(&requests(&["https://a.example"])),
        };
        assert_eq!(
            approval.check("sha256:1", &requests(&["https://a.example"])),
            Ok(())
        );
        assert_eq!(
            approval.check("sha256:2", &requests(&["https://a.example"])),
            Err(NeedsApproval::Changed)
        );
        let more = requests(&["https://a.example", "https://b.example"]);
        assert_eq!(
            approval.check("sha256:1", &more),
            Err(NeedsApproval::AsksForMore(requests(&["https://b.example"])))
        );
    }

    #[test]
    fn an_approval_survives_the_lock_file() {
        let approval = Approval {
            digest: "sha256:1".into(),
            grants: Grants::all_of(&requests(&["setting:x", "https://*.a.example"])),
        };
        let text = serde_json::to_string(&approval).unwrap();
        assert_eq!(
            text,
            r#"{"digest":"sha256:1","grants":["https://*.a.example","setting:x"]}"#
        );
        assert_eq!(serde_json::from_str::<Approval>(&text).unwrap(), approval);
        assert!(
            serde_json::from_str::<Approval>(r#"{"digest":"1","grants":["nonsense"]}"#).is_err()
        );
    }
}
