//! Settings of this destination: what the host is told of them, and the checked form that the rest uses. Names of
//! environment variables are those of the official exporter and its SDK.

use std::collections::BTreeMap;

use mastra_exporter_sdk::settings::{Setting, SettingError, SettingsSchema};
use serde::Deserialize;

/// Items a batch: what the official SDK sends at once.
pub const MAX_ITEMS: u32 = 100;

/// Bytes a batch, of the events' JSON text. A request may have 20 MB; a run is about as long as its event.
pub const MAX_BYTES: u32 = 8 << 20;

/// LangSmith Cloud in the US.
const DEFAULT_API_URL: &str = "https://api.smith.langchain.com";

/// What LangSmith itself calls a project without a name.
const DEFAULT_PROJECT: &str = "default";

/// The settings as the host hands them over.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Placeholder of `lsv2_...`
    pub api_key: String,
    /// With the prefix `/api/v1` for an own installation.
    #[serde(default = "default_api_url")]
    pub api_url: String,
    /// Of runs that do not name theirs.
    #[serde(default = "default_project")]
    pub project_name: String,
    /// For keys of several workspaces.
    pub workspace_id: Option<String>,
    /// Added to every request.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

fn default_api_url() -> String {
    DEFAULT_API_URL.to_owned()
}

fn default_project() -> String {
    DEFAULT_PROJECT.to_owned()
}

/// What the host is told of the settings.
#[must_use]
pub fn schema() -> SettingsSchema {
    SettingsSchema::new()
        .with(
            Setting::text("api_key")
                .about("API key.")
                .env(&["LANGSMITH_API_KEY"])
                .secret()
                .required(),
        )
        .with(
            Setting::uri("api_url")
                .about("API of the region, or of an own installation with its /api/v1.")
                .env(&["LANGSMITH_ENDPOINT"])
                .default_text(DEFAULT_API_URL),
        )
        .with(
            Setting::text("project_name")
                .about("Project of runs that do not name theirs.")
                .env(&["LANGSMITH_PROJECT"])
                .default_text(DEFAULT_PROJECT),
        )
        .with(
            Setting::text("workspace_id")
                .about("Workspace, for keys of several workspaces.")
                .env(&["LANGSMITH_WORKSPACE_ID"]),
        )
        .with(
            Setting::text_map("headers").about("Headers added to every request. Not for secrets."),
        )
}

/// The checked settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// Without a slash at the end.
    pub base: String,
    /// As set.
    pub settings: Settings,
}

impl Settings {
    /// Checks what the schema cannot say.
    ///
    /// # Errors
    /// Every setting at fault.
    pub fn check(mut self) -> Result<Config, Vec<SettingError>> {
        let mut errors = Vec::new();
        let base = self.api_url.trim().trim_end_matches('/').to_owned();
        errors.extend(SettingError::of_url("api_url", &base));
        if self.project_name.is_empty() {
            errors.push(SettingError::new("project_name", "must not be empty"));
        }
        self.workspace_id = self.workspace_id.filter(|id| !id.is_empty());
        if errors.is_empty() {
            Ok(Config {
                base,
                settings: self,
            })
        } else {
            Err(errors)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(extra: &str) -> Result<Config, Vec<SettingError>> {
        let json = format!("{{\"api_key\":\"{{secret}}\"{extra}}}");
        serde_json::from_str::<Settings>(&json).unwrap().check()
    }

    #[test]
    fn defaults_are_langsmith_cloud_and_its_default_project() {
        let config = checked("").unwrap();
        assert_eq!(config.base, "https://api.smith.langchain.com");
        assert_eq!(config.settings.project_name, "default");
    }

    #[test]
    fn an_own_installation_keeps_its_path() {
        let config =
            checked(",\"api_url\":\"https://ls.corp/api/v1/\",\"workspace_id\":\"\"").unwrap();
        assert_eq!(config.base, "https://ls.corp/api/v1");
        assert_eq!(config.settings.workspace_id, None);
    }

    #[test]
    fn every_bad_setting_is_named() {
        let errors = checked(",\"api_url\":\"ls\",\"project_name\":\"\"").unwrap_err();
        let names: Vec<_> = errors.iter().map(|error| error.setting.as_str()).collect();
        assert_eq!(names, ["api_url", "project_name"]);
    }

    #[test]
    fn unknown_settings_are_refused() {
        assert!(
            serde_json::from_str::<Settings>("{\"api_key\":\"k\",\"projectName\":\"x\"}").is_err()
        );
    }
}
