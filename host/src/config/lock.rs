//! The approval lock: `mastra-host.lock` in the plugins directory, one entry for each approved file with its digest and
//! what it may have. Written by `mastra-host plugin approve` (which `make build` runs for our own components), read by
//! `select`. Sorted JSON, so that a change reads well in a diff.
//!
//! A file counts as approved when its digest is in the lock, or when the file of that name and component was approved
//! before and the new one asks for nothing more. Who can write the plugins directory can write the lock: it guards
//! against files that merely appear and against upgrades that quietly want more, not against the operator's own account.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::component::ComponentFacts;

/// Name of the file in the plugins directory.
pub const FILE_NAME: &str = "mastra-host.lock";
/// Format that this host writes.
const FORMAT: u32 = 1;

/// What a component may have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grants {
    /// Origins, and `setting:NAME` for the origin that a setting holds.
    pub hosts: BTreeSet<String>,
    /// Interfaces.
    pub imports: BTreeSet<String>,
    /// Environment variables that fill its settings.
    pub environment: BTreeSet<String>,
}

/// One approved file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// The component's name.
    pub name: String,
    /// Its version when it was approved.
    pub version: String,
    /// `sha256:` and hex.
    pub digest: String,
    /// What it may have.
    pub grants: Grants,
}

/// The lock file's content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    format: u32,
    components: BTreeMap<String, Approval>,
}

/// Whether a component may run without being named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    Approved,
    /// No entry fits.
    Unknown,
    /// It was approved, but now asks for these too.
    AsksForMore(Vec<String>),
}

/// The lock file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Reading or writing failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// `read` or `write`.
        action: &'static str,
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not JSON of the right shape.
    #[error("{} is not a lock file: remove it and approve the components again", path.display())]
    Malformed {
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// Written by a newer host.
    #[error("{} has format {found}, this host reads {FORMAT}: use the newer host, or remove the file and approve again", path.display())]
    Newer {
        /// The lock file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
}

impl Grants {
    /// What is asked here and not given there, in words.
    #[must_use]
    pub fn beyond(&self, given: &Self) -> Vec<String> {
        let hosts = self
            .hosts
            .difference(&given.hosts)
            .map(|host| format!("host {host}"));
        let imports = self
            .imports
            .difference(&given.imports)
            .map(|import| format!("import {import}"));
        let environment = self
            .environment
            .difference(&given.environment)
            .map(|name| format!("environment variable {name}"));
        hosts.chain(imports).chain(environment).collect()
    }
}

impl Default for Lock {
    fn default() -> Self {
        Self {
            format: FORMAT,
            components: BTreeMap::new(),
        }
    }
}

impl Lock {
    /// Reads the lock of a plugins directory. No file is an empty lock.
    ///
    /// # Errors
    /// See [`LockError`].
    pub fn read(plugins_directory: &Path) -> Result<Self, LockError> {
        let path = plugins_directory.join(FILE_NAME);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => {
                return Err(LockError::Io {
                    action: "read",
                    path,
                    source,
                });
            }
        };
        Self::parse(&text, &path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, LockError> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let malformed = |source| LockError::Malformed {
            path: path.to_owned(),
            source,
        };
        let head: Head = serde_json::from_str(text).map_err(malformed)?;
        if head.format > FORMAT {
            return Err(LockError::Newer {
                path: path.to_owned(),
                found: head.format,
            });
        }
        serde_json::from_str(text).map_err(malformed)
    }

    /// Replaces the lock of a plugins directory: a reader sees the old file or the new one.
    ///
    /// # Errors
    /// [`LockError::Io`]
    pub fn write(&self, plugins_directory: &Path) -> Result<(), LockError> {
        let path = plugins_directory.join(FILE_NAME);
        let temporary = plugins_directory.join(format!(".{FILE_NAME}.{}", std::process::id()));
        let replace = || -> io::Result<()> {
            let mut file = std::fs::File::create(&temporary)?;
            file.write_all(self.to_text().as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&temporary, &path)
        };
        replace().map_err(|source| {
            // Best effort: the error that matters is the first one.
            let _ = std::fs::remove_file(&temporary);
            LockError::Io {
                action: "write",
                path: path.clone(),
                source,
            }
        })
    }

    /// The file's text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Records a component with all that it asks for. Returns what it may have from now on.
    pub fn approve(&mut self, component: &ComponentFacts) -> Grants {
        let grants = component.grants();
        let approval = Approval {
            name: component.name.clone(),
            version: component.version.clone(),
            digest: component.digest.clone(),
            grants: grants.clone(),
        };
        self.components.insert(file_name(&component.file), approval);
        grants
    }

    /// Whether the component may run without being named.
    #[must_use]
    pub fn verdict(&self, component: &ComponentFacts) -> Verdict {
        let by_digest = self
            .components
            .values()
            .find(|approval| approval.digest == component.digest);
        let by_file = || {
            self.components
                .get(&file_name(&component.file))
                .filter(|approval| approval.name == component.name)
        };
        let Some(approval) = by_digest.or_else(by_file) else {
            return Verdict::Unknown;
        };
        let more = component.grants().beyond(&approval.grants);
        if more.is_empty() {
            Verdict::Approved
        } else {
            Verdict::AsksForMore(more)
        }
    }
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::event::Signal;
    use crate::http::grant::HostRequest;

    fn langfuse() -> ComponentFacts {
        let schema = json!({"properties": {
            "base_url": {"type": "string", "default": "https://cloud.langfuse.com"},
            "public_key": {"type": "string", "x-env": ["LANGFUSE_PUBLIC_KEY"]},
        }});
        ComponentFacts::sample("langfuse", &[Signal::Traces], schema)
    }

    #[test]
    fn what_is_approved_stays_approved_through_the_file() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Lock::read(directory.path()).unwrap(), Lock::default());
        let mut lock = Lock::default();
        lock.approve(&langfuse());
        lock.write(directory.path()).unwrap();
        let read = Lock::read(directory.path()).unwrap();
        assert_eq!(read, lock);
        assert_eq!(read.verdict(&langfuse()), Verdict::Approved);
        assert_eq!(
            std::fs::read_dir(directory.path()).unwrap().count(),
            1,
            "no temporary file stays"
        );
    }

    #[test]
    fn the_lock_file_reads_well() {
        let mut lock = Lock::default();
        lock.approve(&langfuse());
        let wanted = r#"{
  "format": 1,
  "components": {
    "langfuse.wasm": {
      "name": "langfuse",
      "version": "0.1.0",
      "digest": "sha256:langfuse00000000000000000000000000000000000000000000000000000000",
      "grants": {
        "hosts": [
          "https://cloud.langfuse.com",
          "setting:base_url"
        ],
        "imports": [
          "mastra:observability/http@0.1.0"
        ],
        "environment": [
          "LANGFUSE_PUBLIC_KEY"
        ]
      }
    }
  }
}
"#;
        assert_eq!(lock.to_text(), wanted);
    }

    #[test]
    fn an_upgrade_is_approved_only_while_it_asks_for_nothing_more() {
        let mut lock = Lock::default();
        lock.approve(&langfuse());
        let mut upgrade = langfuse();
        upgrade.digest = "sha256:other".to_owned();
        assert_eq!(lock.verdict(&upgrade), Verdict::Approved);

        upgrade
            .hosts
            .push("https://evil.example".parse::<HostRequest>().unwrap());
        assert_eq!(
            lock.verdict(&upgrade),
            Verdict::AsksForMore(vec!["host https://evil.example".to_owned()])
        );

        let mut moved = langfuse();
        moved.digest = "sha256:other".to_owned();
        moved.settings_schema["properties"]["base_url"]["default"] = json!("https://evil.example");
        moved.settings_schema["properties"]["x"] = json!({"x-env": ["AWS_SECRET_ACCESS_KEY"]});
        let more = [
            "host https://evil.example",
            "environment variable AWS_SECRET_ACCESS_KEY",
        ]
        .map(str::to_owned);
        assert_eq!(lock.verdict(&moved), Verdict::AsksForMore(more.to_vec()));
    }

    #[test]
    fn a_new_file_does_not_inherit_another_files_approval() {
        let mut lock = Lock::default();
        lock.approve(&langfuse());
        let mut impostor = langfuse();
        impostor.file = PathBuf::from("plugins/other.wasm");
        impostor.digest = "sha256:other".to_owned();
        assert_eq!(lock.verdict(&impostor), Verdict::Unknown);
        let mut renamed = langfuse();
        renamed.file = PathBuf::from("plugins/other.wasm");
        assert_eq!(
            lock.verdict(&renamed),
            Verdict::Approved,
            "the digest is the same"
        );
        let mut replaced = langfuse();
        replaced.name = "something-else".to_owned();
        replaced.digest = "sha256:other".to_owned();
        assert_eq!(lock.verdict(&replaced), Verdict::Unknown);
    }

    #[test]
    fn a_broken_or_newer_lock_is_an_error_not_an_empty_lock() {
        let path = Path::new("plugins/mastra-host.lock");
        assert!(matches!(
            Lock::parse("{", path),
            Err(LockError::Malformed { .. })
        ));
        assert!(matches!(
            Lock::parse(r#"{"format":1,"components":{},"more":1}"#, path),
            Err(LockError::Malformed { .. })
        ));
        assert!(matches!(
            Lock::parse(r#"{"format":2,"unknown":{}}"#, path),
            Err(LockError::Newer { found: 2, .. })
        ));
    }
}
