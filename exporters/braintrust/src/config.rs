//! Settings of this destination: what the host is told of them, and the checked form that the rest uses. Names of
//! environment variables are those of the official exporter and its SDK.

use std::collections::BTreeMap;

use mastra_exporter_sdk::settings::{Setting, SettingError, SettingsSchema};
use serde::Deserialize;

/// Items a batch: what the official SDK sends at once.
pub const MAX_ITEMS: u32 = 100;

/// Bytes a batch, of the events' JSON text. The official SDK sends at most 3 MiB at once, half of what the server takes;
/// a row is about as long as its event.
pub const MAX_BYTES: u32 = 2 << 20;

/// The API of Braintrust's own installation in the US.
pub const DEFAULT_ENDPOINT: &str = "https://api.braintrust.dev";

/// What the official exporter calls a project without a name.
const DEFAULT_PROJECT: &str = "mastra-tracing";

/// Where Braintrust's web application is: the official exporter's endpoint, from which it asks the way to the API.
const APPLICATIONS: [&str; 2] = ["https://www.braintrust.dev", "https://braintrust.dev"];

/// The settings as the host hands them over.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Placeholder of `sk-...`
    pub api_key: String,
    /// The API, without a path.
    #[serde(default = "default_endpoint")]
    pub endpoint: String,
    /// Name of the project; made when there is none.
    #[serde(default = "default_project")]
    pub project_name: String,
    /// Id of the project, instead of its name.
    pub project_id: Option<String>,
    /// Id of the experiment that everything belongs to, instead of the project's logs.
    pub experiment_id: Option<String>,
    /// Organization in which the project's name is looked for.
    pub org_name: Option<String>,
    /// Added to every request.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

fn default_endpoint() -> String {
    DEFAULT_ENDPOINT.to_owned()
}

fn default_project() -> String {
    DEFAULT_PROJECT.to_owned()
}

/// What the host is told of the settings.
#[must_use]
pub fn schema() -> SettingsSchema {
    SettingsSchema::new()
        .with(Setting::text("api_key").about("API key.").env(&["BRAINTRUST_API_KEY"]).secret().required())
        .with(
            Setting::uri("endpoint")
                .about("API of the region or of an own data plane, without a path.")
                .env(&["BRAINTRUST_API_URL", "BRAINTRUST_ENDPOINT"])
                .default_text(DEFAULT_ENDPOINT),
        )
        .with(
            Setting::text("project_name")
                .about("Name of the project; it is made when there is none.")
                .env(&["BRAINTRUST_PROJECT_NAME"])
                .default_text(DEFAULT_PROJECT),
        )
        .with(
            Setting::text("project_id").about("Id of the project, instead of its name.").env(&["BRAINTRUST_PROJECT_ID"]),
        )
        .with(
            Setting::text("experiment_id")
                .about("Id of the experiment that everything belongs to, instead of the project's logs.")
                .env(&["BRAINTRUST_EXPERIMENT_ID"]),
        )
        .with(
            Setting::text("org_name")
                .about("Organization of the project, for keys that belong to several.")
                .env(&["BRAINTRUST_ORG_NAME"]),
        )
        .with(Setting::text_map("headers").about("Headers added to every request. Not for secrets."))
}

/// Where rows belong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Home {
    /// The logs of the project of this id.
    Project(String),
    /// The logs of the project of this name.
    NamedProject(String),
    /// The experiment of this id.
    Experiment(String),
}

/// The checked settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// Without a slash at the end.
    pub base: String,
    /// Where rows belong.
    pub home: Home,
    /// As set.
    pub settings: Settings,
}

impl Settings {
    /// Checks what the schema cannot say.
    ///
    /// # Errors
    /// Every setting at fault.
    pub fn check(self) -> Result<Config, Vec<SettingError>> {
        let mut errors = Vec::new();
        let endpoint = self.endpoint.trim().trim_end_matches('/');
        errors.extend(SettingError::of_url("endpoint", endpoint));
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let (project, experiment) = (given(&self.project_id), given(&self.experiment_id));
        for (name, id) in [("project_id", &project), ("experiment_id", &experiment)] {
            if id.as_deref().is_some_and(|id| !is_uuid(id)) {
                errors.push(SettingError::new(
                    name,
                    "must be a UUID, as the address of its settings page shows it",
                ));
            }
        }
        let home = match (experiment, project) {
            (Some(id), _) => Home::Experiment(id),
            (None, Some(id)) => Home::Project(id),
            (None, None) => Home::NamedProject(self.project_name.clone()),
        };
        if home == Home::NamedProject(String::new()) {
            errors.push(SettingError::new("project_name", "must not be empty"));
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let base = if APPLICATIONS.contains(&endpoint) {
            DEFAULT_ENDPOINT
        } else {
            endpoint
        };
        Ok(Config {
            base: base.to_owned(),
            home,
            settings: self,
        })
    }
}

fn is_uuid(text: &str) -> bool {
    let places = text.bytes().enumerate();
    text.len() == 36
        && places.fold(true, |is_good, (place, byte)| {
            let is_right = match place {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            };
            is_good && is_right
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(extra: &str) -> Result<Config, Vec<SettingError>> {
        let json = format!("{{\"api_key\":\"{{secret}}\"{extra}}}");
        serde_json::from_str::<Settings>(&json).unwrap().check()
    }

    const ID: &str = "11111111-1111-4111-8111-111111111111";

    #[test]
    fn defaults_are_the_us_and_the_official_exporters_project() {
        let config = checked("").unwrap();
        assert_eq!(config.base, "https://api.braintrust.dev");
        assert_eq!(config.home, Home::NamedProject("mastra-tracing".to_owned()));
    }

    #[test]
    fn the_applications_address_leads_to_the_api() {
        for (endpoint, base) in [
            ("https://www.braintrust.dev/", "https://api.braintrust.dev"),
            (
                "https://api-eu.braintrust.dev/",
                "https://api-eu.braintrust.dev",
            ),
            ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ] {
            let config = checked(&format!(",\"endpoint\":\"{endpoint}\"")).unwrap();
            assert_eq!(config.base, base);
        }
    }

    #[test]
    fn an_experiment_goes_before_a_project_and_an_id_before_a_name() {
        let id = checked(&format!(",\"project_id\":\"{ID}\",\"project_name\":\"x\"")).unwrap();
        assert_eq!(id.home, Home::Project(ID.to_owned()));
        let both = checked(&format!(
            ",\"project_id\":\"{ID}\",\"experiment_id\":\"{ID}\""
        ))
        .unwrap();
        assert_eq!(both.home, Home::Experiment(ID.to_owned()));
        let empty = checked(",\"project_id\":\"\",\"project_name\":\"x\"").unwrap();
        assert_eq!(empty.home, Home::NamedProject("x".to_owned()));
    }

    #[test]
    fn every_bad_setting_is_named() {
        let errors = checked(",\"endpoint\":\"api\",\"project_id\":\"p\",\"experiment_id\":\"e\"")
            .unwrap_err();
        let names: Vec<_> = errors.iter().map(|error| error.setting.as_str()).collect();
        assert_eq!(names, ["endpoint", "project_id", "experiment_id"]);
        let empty = checked(",\"project_name\":\"\"").unwrap_err();
        assert_eq!(empty[0].setting, "project_name");
    }

    #[test]
    fn unknown_settings_are_refused() {
        assert!(
            serde_json::from_str::<Settings>("{\"api_key\":\"k\",\"projectName\":\"x\"}").is_err()
        );
    }
}
