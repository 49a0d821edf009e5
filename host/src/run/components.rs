//! Loads components for the commands, and says what they are in the commands' own terms.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tracing::info;

use crate::commands::{Components, causes};
use crate::config::Environment;
use crate::config::component::{Behaviour, ComponentFacts, Grouping, HostRequest};
use crate::plugin::{self, Component, Engine, EngineError, EngineSettings, LoadProgress};

/// The engine, and what it has loaded.
pub struct Loader {
    engine: Engine,
    runtime: Handle,
    loaded: Mutex<BTreeMap<PathBuf, Arc<Component>>>,
}

impl Loader {
    /// Sets the engine up. Machine code is kept in `cache_dir`; `None` compiles every time.
    ///
    /// # Errors
    /// When the machine cannot run the engine.
    pub fn new(runtime: Handle, cache_dir: Option<PathBuf>) -> Result<Self, EngineError> {
        let engine = Engine::new(EngineSettings {
            cache_dir,
            ..EngineSettings::default()
        })?;
        Ok(Self {
            engine,
            runtime,
            loaded: Mutex::default(),
        })
    }

    /// A component that [`Components::load`] has loaded.
    #[must_use]
    pub fn component(&self, file: &Path) -> Option<Arc<Component>> {
        self.loaded
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(file)
            .cloned()
    }

    async fn load_all(&self, files: &[PathBuf]) -> Vec<Result<ComponentFacts, String>> {
        let mut loads = JoinSet::new();
        for (position, file) in files.iter().cloned().enumerate() {
            let engine = self.engine.clone();
            loads.spawn(async move { (position, load(&engine, file).await) });
        }
        let mut results: Vec<Result<ComponentFacts, String>> = files
            .iter()
            .map(|_| Err("loading was cut short".to_owned()))
            .collect();
        while let Some(Ok((position, result))) = loads.join_next().await {
            let Some(slot) = results.get_mut(position) else {
                continue;
            };
            *slot = result.map(|(file, component)| {
                let facts = facts(&file, &component);
                self.loaded
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(file, component);
                facts
            });
        }
        results
    }
}

impl Components for Loader {
    /// Blocks until all are loaded; side by side.
    fn load(&self, files: &[PathBuf]) -> Vec<Result<ComponentFacts, String>> {
        self.runtime.block_on(self.load_all(files))
    }
}

async fn load(engine: &Engine, file: PathBuf) -> Result<(PathBuf, Arc<Component>), String> {
    let shown = file.display().to_string();
    let say = move |progress| match progress {
        LoadProgress::Compiling {
            size_bytes,
            elapsed,
        } => {
            let seconds = elapsed.as_secs();
            info!(
                component = shown,
                size_bytes, seconds, "Compiling; the next start takes it from the cache."
            );
        }
    };
    match engine.load(&file, say).await {
        Ok(component) => Ok((file, component)),
        Err(error) => Err(causes(&error)),
    }
}

/// Where machine code is kept: in the data directory if one is named, else in the user's cache directory.
#[must_use]
pub fn cache_directory(data_dir: Option<&Path>, environment: &Environment) -> Option<PathBuf> {
    let named = |name: &str| {
        environment
            .get(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let of_user = || named("XDG_CACHE_HOME").or_else(|| Some(named("HOME")?.join(".cache")));
    let directory = match data_dir {
        Some(directory) => directory.to_owned(),
        None => of_user()?.join("mastra-host"),
    };
    Some(directory.join("components"))
}

fn facts(file: &Path, component: &Component) -> ComponentFacts {
    let description = component.description();
    let phases = description.phases;
    let named = [
        ("started", phases.started),
        ("updated", phases.updated),
        ("ended", phases.ended),
    ];
    ComponentFacts {
        file: file.to_owned(),
        name: description.name.clone(),
        version: description.version.to_string(),
        contract: format!("mastra:observability@{}", component.contract()),
        digest: format!("sha256:{}", component.digest()),
        size_bytes: component.size_bytes(),
        signals: component.signals().iter().collect(),
        imports: component.imports().to_vec(),
        hosts: description.hosts.iter().map(host_request).collect(),
        settings_schema: description.settings_schema.clone(),
        behaviour: Behaviour {
            max_items: description.max_items,
            max_bytes: description.max_bytes,
            span_phases: named
                .iter()
                .filter(|(_, is_wanted)| *is_wanted)
                .map(|(name, _)| (*name).to_owned())
                .collect(),
            grouping: grouping(&description.grouping),
            idempotent: description.idempotent.iter().collect(),
            flush_interval: description.flush_interval,
            serves_page: false,
        },
    }
}

fn host_request(request: &plugin::HostRequest) -> HostRequest {
    match request {
        plugin::HostRequest::Origin(origin) => HostRequest::Origin(origin.clone()),
        plugin::HostRequest::FromSetting(setting) => HostRequest::FromSetting(setting.clone()),
    }
}

fn grouping(grouping: &plugin::Grouping) -> Grouping {
    match grouping {
        plugin::Grouping::Ungrouped => Grouping::Ungrouped,
        plugin::Grouping::Ordered => Grouping::Ordered,
        plugin::Grouping::WholeTrace {
            max_wait,
            max_spans,
        } => Grouping::WholeTrace {
            max_wait: *max_wait,
            max_spans: *max_spans,
        },
    }
}
