//! What the host knows of a loaded component, without the engine's types: from its interfaces, and from `describe`.
//! The engine fills it in; `select`, `lock` and the commands read it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::select::Source;
use super::settings::schema;
use crate::approvals::{Grants, SettingGrant};
use crate::event::Signal;
use crate::http::grant::HostRequest;

/// A component that loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct ComponentFacts {
    /// Where its bytes came from.
    pub source: Source,
    /// The path of its file without links, if it came from one.
    pub real_file: Option<PathBuf>,
    /// Kebab-case noun of the destination.
    pub name: String,
    /// Semver of the component.
    pub version: String,
    /// Contract that it was built for: `mastra:observability@0.1.0`.
    pub contract: String,
    /// `sha256:` and the file's digest in hex.
    pub digest: String,
    /// Of the file.
    pub size_bytes: u64,
    /// Exactly the signals whose interface it exports.
    pub signals: BTreeSet<Signal>,
    /// Interfaces that it imports, with package and version.
    pub imports: Vec<String>,
    /// Places that it asks to speak to.
    pub hosts: Vec<HostRequest>,
    /// JSON Schema of its settings.
    pub settings_schema: Value,
    /// How it wants to be called.
    pub behaviour: Behaviour,
}

/// `lifecycle.description`: how the component wants to be called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Behaviour {
    /// Events in one call.
    pub max_items: u32,
    /// Bytes of event text in one call.
    pub max_bytes: u32,
    /// Among `started`, `updated`, `ended`.
    pub span_phases: Vec<String>,
    /// How events are put together.
    pub grouping: Grouping,
    /// Signals whose repeats the backend recognises.
    pub idempotent: BTreeSet<Signal>,
    /// Set for stateful components.
    pub flush_interval: Option<Duration>,
    /// Whether it serves a page.
    pub serves_page: bool,
}

/// `lifecycle.grouping`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Grouping {
    /// Any event in any batch.
    #[default]
    Ungrouped,
    /// Events of a trace in order.
    Ordered,
    /// A trace at a time, parents first.
    WholeTrace {
        /// How long an unfinished trace waits.
        max_wait: Duration,
        /// How many spans wait at most.
        max_spans: u32,
    },
}

impl fmt::Display for Grouping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ungrouped => "ungrouped",
            Self::Ordered => "ordered",
            Self::WholeTrace { .. } => "whole-trace",
        })
    }
}

impl ComponentFacts {
    /// The schema of one setting.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<&Value> {
        self.settings_schema
            .get("properties")
            .and_then(|properties| properties.get(name))
    }

    /// All that the component asks for. The default of a setting that names a host counts as a host: an upgrade that
    /// changes it would send elsewhere.
    #[must_use]
    pub fn grants(&self) -> Grants {
        let mut hosts: BTreeSet<String> = self.hosts.iter().map(ToString::to_string).collect();
        for request in &self.hosts {
            if let HostRequest::FromSetting(setting) = request {
                let default = self
                    .setting(setting)
                    .and_then(|property| property.get("default"));
                hosts.extend(default.and_then(Value::as_str).map(str::to_owned));
            }
        }
        let settings: BTreeMap<String, SettingGrant> = schema::properties(&self.settings_schema)
            .map(|(name, property)| (name.clone(), schema::grant(property)))
            .filter(|(_, setting)| !setting.is_plain())
            .collect();
        let environment = settings
            .values()
            .flat_map(|setting| setting.environment.iter().cloned())
            .collect();
        Grants {
            hosts,
            imports: self.imports.iter().cloned().collect(),
            signals: self
                .signals
                .iter()
                .map(|signal| signal.name().to_owned())
                .collect(),
            page: self.behaviour.serves_page,
            environment,
            settings,
        }
    }
}

#[cfg(test)]
impl ComponentFacts {
    /// A component for tests.
    pub(crate) fn sample(name: &str, signals: &[Signal], settings_schema: Value) -> Self {
        Self {
            source: Source::File(PathBuf::from(format!("plugins/{name}.wasm"))),
            real_file: Some(PathBuf::from(format!("/plugins/{name}.wasm"))),
            name: name.to_owned(),
            version: "0.1.0".to_owned(),
            contract: "mastra:observability@0.1.0".to_owned(),
            digest: format!("sha256:{name:0<64}"),
            size_bytes: 420_000,
            signals: signals.iter().copied().collect(),
            imports: vec!["mastra:observability/http@0.1.0".to_owned()],
            hosts: vec![HostRequest::FromSetting("base_url".to_owned())],
            settings_schema,
            behaviour: Behaviour {
                max_items: 512,
                max_bytes: 1 << 20,
                span_phases: vec!["ended".to_owned()],
                idempotent: signals.iter().copied().collect(),
                ..Behaviour::default()
            },
        }
    }
}
