//! Settings of this destination: what the host is told of them, and the checked form that the rest uses. With a space it
//! is Arize AX, else Phoenix. Names of environment variables are those of the official exporter.

use std::collections::BTreeMap;

use mastra_exporter_sdk::settings::{Setting, SettingError, SettingsSchema};
use serde::Deserialize;

/// Items a batch: Phoenix on SQLite takes some hundred spans at a time.
pub const MAX_ITEMS: u32 = 256;

/// Bytes a batch, of the events' JSON text. AX takes 4 MB.
pub const MAX_BYTES: u32 = 1 << 20;

/// Regions of Arize AX beside its default.
pub const REGIONS: &[&str] = &["us-central-1a", "us-east-1b", "eu-west-1a", "ca-central-1a"];

/// What Mastra itself calls a service without a name.
const DEFAULT_SERVICE_NAME: &str = "mastra-service";

/// The settings as the host hands them over.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Space of Arize AX.
    pub space_id: Option<String>,
    /// Placeholder of the key.
    pub api_key: Option<String>,
    /// Where traces go; Phoenix needs it.
    pub endpoint: Option<String>,
    /// One of [`REGIONS`].
    pub region: Option<String>,
    /// Project that traces belong to.
    pub project_name: Option<String>,
    /// Id of that project in Arize AX, for annotations.
    pub project_id: Option<String>,
    /// Scorer or type of feedback, and the annotation of Arize AX that it is.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// Takes the place of the origin of Arize AX's REST API.
    pub api_endpoint: Option<String>,
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
            Setting::text("space_id")
                .about("Space of Arize AX. Without it traces go to Phoenix.")
                .env(&["ARIZE_SPACE_ID"]),
        )
        .with(
            Setting::text("api_key")
                .about("API key; Phoenix may do without.")
                .env(&["ARIZE_API_KEY", "PHOENIX_API_KEY"])
                .secret(),
        )
        .with(
            Setting::uri("endpoint")
                .about("Base URL or trace URL; needed for Phoenix.")
                .env(&["PHOENIX_COLLECTOR_ENDPOINT", "PHOENIX_ENDPOINT"]),
        )
        .with(
            Setting::choice("region", REGIONS)
                .about("Region of Arize AX, where it is not the default.")
                .env(&["ARIZE_REGION"]),
        )
        .with(
            Setting::text("project_name")
                .about("Project that traces belong to.")
                .env(&["ARIZE_PROJECT_NAME", "PHOENIX_PROJECT_NAME"]),
        )
        .with(
            Setting::text("project_id")
                .about("Id of the project in Arize AX: scores and feedback need it there.")
                .env(&["ARIZE_PROJECT_ID"]),
        )
        .with(Setting::text_map("annotations").about(
            "Arize AX: the annotation config that a scorer, or a type of feedback, is written to.",
        ))
        .with(
            Setting::uri("api_endpoint")
                .about("Takes the place of the origin of Arize AX's REST API."),
        )
        .with(Setting::text_map("headers").about("Headers of every request; not for secrets."))
        .with(
            Setting::text("service_name")
                .about("Service of events that name none.")
                .env(&["OTEL_SERVICE_NAME"]),
        )
}

/// Which of the two, with what it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backend {
    /// Arize AX.
    Ax {
        /// As set.
        space_id: String,
        /// `.../v2/spans/annotate`
        annotate_url: String,
        /// Scores and feedback need it.
        project_id: Option<String>,
    },
    /// Phoenix.
    Phoenix {
        /// Without a slash at the end.
        base: String,
    },
}

/// The checked settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which of the two.
    pub backend: Backend,
    /// `.../v1/traces`
    pub traces_url: String,
    /// Placeholder.
    pub api_key: Option<String>,
    /// As set.
    pub headers: BTreeMap<String, String>,
    /// As set.
    pub annotations: BTreeMap<String, String>,
    /// `service.name` of events that name no service.
    pub service_name: String,
    /// Resource attributes that name the project.
    pub resource_attributes: Vec<(String, String)>,
}

impl Settings {
    /// Finds out which backend it is.
    ///
    /// # Errors
    /// Every setting at fault.
    pub fn check(self) -> Result<Config, Vec<SettingError>> {
        let some = |text: Option<String>| text.filter(|text| !text.is_empty());
        let mut errors = Vec::new();
        let mut url = |url: Option<String>, setting: &str| {
            let url = some(url)?;
            errors.extend(SettingError::of_url(setting, &url));
            let base = url.trim().trim_end_matches('/');
            Some(base.strip_suffix("/v1/traces").unwrap_or(base).to_owned())
        };
        let endpoint = url(self.endpoint, "endpoint");
        let api_endpoint = url(self.api_endpoint, "api_endpoint");
        let api_key = some(self.api_key);
        let region = some(self.region).map_or_else(String::new, |region| format!("{region}."));
        let (backend, base) = match some(self.space_id) {
            Some(space_id) => {
                if api_key.is_none() {
                    errors.push(SettingError::new("api_key", "Arize AX needs one"));
                }
                let api = api_endpoint.unwrap_or_else(|| format!("https://api.{region}arize.com"));
                let base = endpoint.unwrap_or_else(|| format!("https://otlp.{region}arize.com"));
                let backend = Backend::Ax {
                    space_id,
                    annotate_url: format!("{api}/v2/spans/annotate"),
                    project_id: some(self.project_id),
                };
                (backend, base)
            }
            None => match endpoint {
                Some(base) => (Backend::Phoenix { base: base.clone() }, base),
                None => {
                    let reason = "Phoenix needs its endpoint; for Arize AX set space_id";
                    errors.push(SettingError::new("endpoint", reason));
                    return Err(errors);
                }
            },
        };
        if !errors.is_empty() {
            return Err(errors);
        }
        let project = some(self.project_name).unwrap_or_else(|| "default".to_owned());
        Ok(Config {
            traces_url: format!("{base}/v1/traces"),
            backend,
            api_key,
            headers: self.headers,
            annotations: self.annotations,
            service_name: some(self.service_name)
                .unwrap_or_else(|| DEFAULT_SERVICE_NAME.to_owned()),
            resource_attributes: vec![("openinference.project.name".to_owned(), project)],
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
    fn a_space_makes_it_ax_and_a_region_names_its_hosts() {
        for (settings, traces_url, annotate) in [
            (
                r#"{"space_id":"s","api_key":"k"}"#,
                "https://otlp.arize.com/v1/traces",
                "https://api.arize.com/v2/spans/annotate",
            ),
            (
                r#"{"space_id":"s","api_key":"k","region":"eu-west-1a"}"#,
                "https://otlp.eu-west-1a.arize.com/v1/traces",
                "https://api.eu-west-1a.arize.com/v2/spans/annotate",
            ),
            (
                r#"{"space_id":"s","api_key":"k","endpoint":"http://a/v1/traces","api_endpoint":"http://b/"}"#,
                "http://a/v1/traces",
                "http://b/v2/spans/annotate",
            ),
        ] {
            let config = checked(settings).unwrap();
            assert_eq!(config.traces_url, traces_url);
            assert!(
                matches!(config.backend, Backend::Ax { annotate_url, .. } if annotate_url == annotate)
            );
        }
    }

    #[test]
    fn phoenix_is_a_base_or_a_trace_url_and_may_lack_a_key() {
        for endpoint in ["http://p:6006", "http://p:6006/", "http://p:6006/v1/traces"] {
            let config = checked(&format!("{{\"endpoint\":\"{endpoint}\"}}")).unwrap();
            assert_eq!(config.traces_url, "http://p:6006/v1/traces");
            let base = "http://p:6006".to_owned();
            assert_eq!(config.backend, Backend::Phoenix { base });
        }
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        assert_eq!(checked("{}").unwrap_err(), ["endpoint"]);
        assert_eq!(checked(r#"{"space_id":"s"}"#).unwrap_err(), ["api_key"]);
        assert_eq!(
            checked(r#"{"endpoint":"p:6006"}"#).unwrap_err(),
            ["endpoint"]
        );
    }
}
