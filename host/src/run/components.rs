//! Loads components for the commands, and says what they are in the commands' own terms.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};
use tracing::info;

use crate::commands::{Components, causes};
use crate::config::Environment;
use crate::config::component::{Behaviour, ComponentFacts};
use crate::config::select::LoadedComponents;
use crate::conformance::scorecard::Scorecard;
use crate::conformance::{self, Options, TestError};
use crate::plugin::compiler::CompileIn;
use crate::plugin::file::ComponentFile;
use crate::plugin::{
    BIG_COMPONENT_BYTES, Component, Engine, EngineError, EngineSettings, LoadProgress,
};
use crate::print::compiling::{Compilations, Line};

/// How long a start waits for big components: enough for those in the cache, nothing for the others.
const BIG_PATIENCE: Duration = Duration::from_secs(1);

/// The engine, and what it has loaded.
pub struct Loader {
    engine: Engine,
    runtime: Handle,
    /// Where a person watches; else what compiles is logged.
    lines: Option<Compilations>,
    /// By digest: a file may change while what it held before runs.
    loaded: Mutex<BTreeMap<String, Arc<Component>>>,
}

impl Loader {
    /// Sets the engine up. Machine code is kept in `cache_dir`; `None` compiles every time. `lines` say what compiles; what
    /// logs to the terminal itself wants `None`.
    ///
    /// # Errors
    /// When the machine cannot run the engine.
    pub fn new(
        runtime: Handle,
        cache_dir: Option<PathBuf>,
        lines: Option<Compilations>,
    ) -> Result<Self, EngineError> {
        let engine = Engine::new(EngineSettings {
            cache_dir,
            ..EngineSettings::new(CompileIn::ChildProcess)
        })?;
        Ok(Self {
            engine,
            runtime,
            lines,
            loaded: Mutex::default(),
        })
    }

    /// A component that was loaded.
    #[must_use]
    pub fn component(&self, facts: &ComponentFacts) -> Option<Arc<Component>> {
        let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.get(&facts.digest).cloned()
    }

    /// Lets go of all components but these.
    pub fn keep_only(&self, digests: &BTreeSet<String>) {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.retain(|digest, _| digests.contains(digest));
    }

    /// Loads the files, side by side, as they are now.
    pub async fn load_now(&self, files: BTreeSet<PathBuf>) -> LoadedComponents {
        self.load_rest(self.begin(files)).await
    }

    /// As [`Components::load`], but does not wait for big components that must be compiled first: those are in the
    /// second part, and not among the results.
    pub fn load_quick(&self, files: BTreeSet<PathBuf>) -> (LoadedComponents, Option<Unfinished>) {
        self.runtime.block_on(async {
            let begin = Instant::now();
            let mut unfinished = self.begin(files);
            let mut loaded = LoadedComponents::new();
            loop {
                let next = unfinished.loads.join_next();
                let ended = if unfinished.waiting.iter().all(|file| is_big(file)) {
                    match timeout_at(begin + BIG_PATIENCE, next).await {
                        Ok(ended) => ended,
                        Err(_) => return (loaded, Some(unfinished)),
                    }
                } else {
                    next.await
                };
                let Some(ended) = ended else { break };
                if let Some((file, result)) = self.keep(ended) {
                    unfinished.waiting.remove(&file);
                    loaded.insert(file, result);
                }
            }
            (loaded, None)
        })
    }

    /// Waits for the rest.
    pub async fn load_rest(&self, mut unfinished: Unfinished) -> LoadedComponents {
        let mut loaded = LoadedComponents::new();
        while let Some(ended) = unfinished.loads.join_next().await {
            loaded.extend(self.keep(ended));
        }
        loaded
    }

    /// Starts to load, side by side.
    fn begin(&self, files: BTreeSet<PathBuf>) -> Unfinished {
        let mut loads = JoinSet::new();
        for file in files.iter().cloned() {
            let engine = self.engine.clone();
            let line = self.lines.as_ref().map(|lines| lines.line(&file));
            let load = async move {
                let result = load(&engine, &file, line).await;
                (file, result)
            };
            loads.spawn_on(load, &self.runtime);
        }
        Unfinished {
            loads,
            waiting: files,
        }
    }

    /// A load that panicked has no result; its file counts as not loaded.
    fn keep(
        &self,
        ended: Result<(PathBuf, Result<Arc<Component>, String>), JoinError>,
    ) -> Option<(PathBuf, Result<ComponentFacts, String>)> {
        let (file, result) = ended.ok()?;
        let facts = result.map(|component| {
            let facts = facts(&file, &component);
            let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
            loaded.insert(facts.digest.clone(), component);
            facts
        });
        Some((file, facts))
    }
}

/// Components that still compile.
pub struct Unfinished {
    loads: JoinSet<(PathBuf, Result<Arc<Component>, String>)>,
    waiting: BTreeSet<PathBuf>,
}

impl Unfinished {
    /// Their files.
    #[must_use]
    pub fn files(&self) -> &BTreeSet<PathBuf> {
        &self.waiting
    }
}

fn is_big(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|metadata| metadata.len() > BIG_COMPONENT_BYTES)
}

impl Components for Loader {
    /// Blocks until all are loaded; side by side.
    fn load(&self, files: &[PathBuf]) -> Vec<Result<ComponentFacts, String>> {
        let all = self.begin(files.iter().cloned().collect());
        let loaded = self.runtime.block_on(self.load_rest(all));
        let cut_short = || Err("loading was cut short".to_owned());
        let result = |file| loaded.get(file).cloned().unwrap_or_else(cut_short);
        files.iter().map(result).collect()
    }

    /// On a runtime of its own whose clock stands still while nothing waits, so that time-outs take no time.
    fn test(&self, facts: &ComponentFacts, options: Options) -> Result<Scorecard, TestError> {
        let failed = |error: &dyn std::fmt::Display| TestError::Surroundings(error.to_string());
        let component = self.component(facts);
        let component = component.ok_or_else(|| failed(&"the component is not loaded"))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .map_err(|error| failed(&error))?;
        runtime.block_on(conformance::run(&component, options))
    }
}

async fn load(engine: &Engine, file: &Path, line: Option<Line>) -> Result<Arc<Component>, String> {
    let shown = file.display().to_string();
    let say = move |progress| {
        let LoadProgress::Compiling {
            size_bytes,
            elapsed,
        } = progress;
        let seconds = elapsed.as_secs();
        match &line {
            Some(line) => line.show(size_bytes, elapsed),
            // After 1, 2, 4, 8 seconds: a log is no progress bar.
            None if seconds.is_power_of_two() => info!(
                component = shown,
                size_bytes, seconds, "Compiling; the next start takes it from the cache."
            ),
            None => {}
        }
    };
    let path = file.to_owned();
    let read = tokio::task::spawn_blocking(move || ComponentFile::read(&path)).await;
    let read = read.map_err(|error| causes(&error))?;
    let read = read.map_err(|error| causes(&error))?;
    let label = file.file_stem().unwrap_or(file.as_os_str());
    let loaded = engine.load(&read, &label.to_string_lossy(), say).await;
    loaded.map_err(|error| causes(&error))
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
        digest: component.digest().to_owned(),
        size_bytes: component.size_bytes(),
        signals: component.signals().iter().collect(),
        imports: component.imports().to_vec(),
        hosts: description.hosts.clone(),
        settings_schema: description.settings_schema.clone(),
        behaviour: Behaviour {
            max_items: description.max_items,
            max_bytes: description.max_bytes,
            span_phases: named
                .iter()
                .filter(|(_, is_wanted)| *is_wanted)
                .map(|(name, _)| (*name).to_owned())
                .collect(),
            grouping: description.grouping,
            idempotent: description.idempotent.iter().collect(),
            flush_interval: description.flush_interval,
            serves_page: component.serves_page(),
        },
    }
}
