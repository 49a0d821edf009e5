//! All that gives a component power, so that two versions of it can be compared.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::digest;

/// The longest default value that is kept word for word; longer ones are kept as their digest.
const MAX_DEFAULT_BYTES: usize = 1024;

/// What a component asks for, or may have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grants {
    /// Origins, and `setting:NAME` for the origin that a setting holds.
    pub hosts: BTreeSet<String>,
    /// Full names of the imported interfaces.
    pub imports: BTreeSet<String>,
    /// Names of the signals that it receives.
    pub signals: BTreeSet<String>,
    /// Whether it serves a page.
    pub page: bool,
    /// Environment variables that its settings name.
    pub environment: BTreeSet<String>,
    /// Settings that have a mark, a variable or a default.
    pub settings: BTreeMap<String, SettingGrant>,
}

/// What a setting is, as far as that gives power over its value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SettingGrant {
    /// `x-secret`: the component sees a placeholder instead of the value.
    pub secret: bool,
    /// `x-in-body`: the host fills the placeholder in request bodies too.
    pub in_body: bool,
    /// `x-output`: the setting names the target of the `output` import.
    pub output: bool,
    /// `x-env`: the variables that fill the setting.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<String>,
    /// The default value as JSON text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
}

impl SettingGrant {
    /// Whether the setting has nothing that an approval has to name.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// A default value in the form in which approvals keep it.
    #[must_use]
    pub fn default_text(value: &Value) -> String {
        let text = value.to_string();
        if text.len() <= MAX_DEFAULT_BYTES {
            return text;
        }
        digest(text.as_bytes())
    }

    /// What this setting has and `given` has not, in words.
    fn beyond(&self, name: &str, given: &Self) -> Vec<String> {
        let mut more = Vec::new();
        if given.secret && !self.secret {
            more.push(format!("setting {name} in clear (it was secret)"));
        }
        if self.in_body && !given.in_body {
            more.push(format!("setting {name} in request bodies"));
        }
        if self.output && !given.output {
            more.push(format!("setting {name} as an output target"));
        }
        let variables = self
            .environment
            .iter()
            .filter(|variable| !given.environment.contains(variable));
        let read = if self.secret { "" } else { " in clear" };
        more.extend(variables.map(|variable| format!("{variable} for setting {name}{read}")));
        match (&self.default, &given.default) {
            (Some(now), Some(before)) if now != before => {
                more.push(format!(
                    "default {now} for setting {name} (it was {before})"
                ));
            }
            (Some(now), None) => more.push(format!("default {now} for setting {name}")),
            _ => {}
        }
        more
    }
}

impl Grants {
    /// What is asked here and not given there, in words. Empty when the approval of `given` covers everything.
    #[must_use]
    pub fn beyond(&self, given: &Self) -> Vec<String> {
        let missing = |what: &str, asked: &BTreeSet<String>, given: &BTreeSet<String>| {
            let names = asked.difference(given);
            names
                .map(|name| format!("{what} {name}"))
                .collect::<Vec<String>>()
        };
        let mut more = missing("host", &self.hosts, &given.hosts);
        more.extend(missing("import", &self.imports, &given.imports));
        more.extend(missing("signal", &self.signals, &given.signals));
        if self.page && !given.page {
            more.push("a page".to_owned());
        }
        more.extend(missing(
            "environment variable",
            &self.environment,
            &given.environment,
        ));
        let plain = SettingGrant::default();
        for (name, setting) in &self.settings {
            let before = given.settings.get(name).unwrap_or(&plain);
            more.extend(setting.beyond(name, before));
        }
        // A secret that became a plain setting without mark, variable or default is in no list of its own.
        let unmarked = given
            .settings
            .iter()
            .filter(|(name, before)| before.secret && !self.settings.contains_key(*name));
        more.extend(unmarked.map(|(name, _)| format!("setting {name} in clear (it was secret)")));
        more
    }

    /// The setting that names the output target, if there is one.
    #[must_use]
    pub fn output_setting(&self) -> Option<&str> {
        let mut settings = self.settings.iter();
        settings
            .find(|(_, setting)| setting.output)
            .map(|(name, _)| name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(texts: &[&str]) -> BTreeSet<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn approved() -> Grants {
        let key = SettingGrant {
            secret: true,
            environment: vec!["ACME_KEY".to_owned()],
            ..SettingGrant::default()
        };
        let url = SettingGrant {
            default: Some("\"https://acme.example\"".to_owned()),
            ..SettingGrant::default()
        };
        Grants {
            hosts: set(&["https://acme.example", "setting:url"]),
            imports: set(&["mastra:observability/http@0.1.0"]),
            signals: set(&["traces"]),
            page: false,
            environment: set(&["ACME_KEY"]),
            settings: [("key".to_owned(), key), ("url".to_owned(), url)].into(),
        }
    }

    #[test]
    fn the_same_or_less_is_covered() {
        let given = approved();
        assert_eq!(given.beyond(&given), Vec::<String>::new());
        let mut less = approved();
        less.hosts.clear();
        less.signals.clear();
        less.settings.remove("url");
        assert_eq!(less.beyond(&given), Vec::<String>::new());
    }

    #[test]
    fn every_new_power_is_named() {
        let given = approved();
        type Change = fn(&mut Grants);
        fn add(names: &mut BTreeSet<String>, name: &str) {
            names.insert(name.to_owned());
        }
        let changes: [(Change, &str); 12] = [
            (
                |g| add(&mut g.hosts, "https://evil.example"),
                "host https://evil.example",
            ),
            (
                |g| add(&mut g.imports, "wasi:http/outgoing-handler@0.2.0"),
                "import wasi:http/outgoing-handler@0.2.0",
            ),
            (|g| add(&mut g.signals, "logs"), "signal logs"),
            (|g| g.page = true, "a page"),
            (
                |g| add(&mut g.environment, "AWS_KEY"),
                "environment variable AWS_KEY",
            ),
            (
                |g| g.settings.get_mut("key").unwrap().secret = false,
                "setting key in clear (it was secret)",
            ),
            (
                |g| drop(g.settings.remove("key")),
                "setting key in clear (it was secret)",
            ),
            (
                |g| g.settings.get_mut("key").unwrap().in_body = true,
                "setting key in request bodies",
            ),
            (
                |g| g.settings.get_mut("url").unwrap().output = true,
                "setting url as an output target",
            ),
            (
                |g| g.settings.get_mut("url").unwrap().default = Some("1".to_owned()),
                "default 1 for setting url (it was \"https://acme.example\")",
            ),
            (
                |g| g.settings.get_mut("url").unwrap().environment = vec!["ACME_KEY".to_owned()],
                "ACME_KEY for setting url in clear",
            ),
            (
                |g| {
                    let more = SettingGrant {
                        default: Some("2".to_owned()),
                        ..SettingGrant::default()
                    };
                    g.settings.insert("more".to_owned(), more);
                },
                "default 2 for setting more",
            ),
        ];
        for (change, wanted) in changes {
            let mut asked = approved();
            change(&mut asked);
            assert_eq!(asked.beyond(&given), [wanted]);
        }
    }

    #[test]
    fn a_long_default_is_kept_as_its_digest() {
        let long = Value::String("x".repeat(5000));
        let kept = SettingGrant::default_text(&long);
        assert!(kept.starts_with("sha256:") && kept.len() < 80, "{kept}");
        assert_eq!(SettingGrant::default_text(&Value::from(7)), "7");
    }
}
