//! Loads components for the commands, and says what they are in the commands' own terms.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tracing::info;

use crate::commands::{Components, causes};
use crate::config::Environment;
use crate::config::claims::Declared;
use crate::config::component::{Behaviour, ComponentFacts};
use crate::config::select::{FileFacts, Files, Source, short};
use crate::conformance::scorecard::Scorecard;
use crate::conformance::{self, Options, TestError};
use crate::embedded;
use crate::plugin::compiler::CompileIn;
use crate::plugin::file::ComponentFile;
use crate::plugin::statics;
use crate::plugin::{Component, Engine, EngineError, EngineSettings, LoadProgress};
use crate::print::compiling::{Compilations, Line};

/// The engine, and what it has loaded. Clones are one.
#[derive(Clone)]
pub struct Loader {
    inner: Arc<Inner>,
}

struct Inner {
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
        let inner = Inner {
            engine,
            runtime,
            lines,
            loaded: Mutex::default(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// A component that was loaded.
    #[must_use]
    pub fn component(&self, digest: &str) -> Option<Arc<Component>> {
        let loaded = self.inner.loaded.lock();
        let loaded = loaded.unwrap_or_else(PoisonError::into_inner);
        loaded.get(digest).cloned()
    }

    /// Lets go of all components but these.
    pub fn keep_only(&self, digests: &BTreeSet<String>) {
        let loaded = self.inner.loaded.lock();
        let mut loaded = loaded.unwrap_or_else(PoisonError::into_inner);
        loaded.retain(|digest, _| digests.contains(digest));
    }

    /// Loads a component: reads it, compiles it if need be, and asks it who it is. With `digest` only these bytes are
    /// loaded: a file may have changed since it was looked at.
    ///
    /// # Errors
    /// Why it cannot be loaded, for people.
    pub async fn load_source(
        &self,
        source: &Source,
        digest: Option<&str>,
    ) -> Result<ComponentFacts, String> {
        if let Some(component) = digest.and_then(|digest| self.component(digest)) {
            return Ok(facts(source, &component));
        }
        let from = source.clone();
        let file = tokio::task::spawn_blocking(move || open(&from)).await;
        let file = file.map_err(|error| causes(&error))??;
        if let Some(digest) = digest.filter(|digest| *digest != file.digest()) {
            let (now, then) = (short(file.digest()), short(digest));
            return Err(format!(
                "the file has changed from {then} to {now}; it is looked at again"
            ));
        }
        let component = match self.component(file.digest()) {
            Some(component) => component,
            None => self.load_file(source, &file).await?,
        };
        Ok(facts(source, &component))
    }

    async fn load_file(
        &self,
        source: &Source,
        file: &ComponentFile,
    ) -> Result<Arc<Component>, String> {
        let shown = source.to_string();
        let line = self.inner.lines.as_ref();
        let line = line.map(|lines| lines.line(Path::new(&shown)));
        let say = progress(shown.clone(), line);
        let label = label(source);
        let loaded = self.inner.engine.load(file, &label, say).await;
        let component = loaded.map_err(|error| causes(&error))?;
        let all = self.inner.loaded.lock();
        let mut all = all.unwrap_or_else(PoisonError::into_inner);
        all.insert(component.digest().to_owned(), Arc::clone(&component));
        Ok(component)
    }
}

/// What is read of a source, with its digest checked where it has one. Blocks.
fn open(source: &Source) -> Result<ComponentFile, String> {
    let read = |file: &Path| ComponentFile::read(file).map_err(|error| causes(&error));
    match source {
        Source::File(file) => read(file),
        Source::BuiltIn(name) => {
            let embedded = embedded::find(name).ok_or_else(|| format!("no {name} is built in"))?;
            let bytes = embedded.bytes().map_err(|error| causes(&error))?;
            ComponentFile::from_bytes(Bytes::from(bytes)).map_err(|error| causes(&error))
        }
        Source::Kept {
            digest,
            file,
            bytes,
        } => {
            let is_right = |found: &ComponentFile| found.digest() == digest;
            let kept = read(bytes).ok().filter(is_right);
            let kept = kept.or_else(|| read(file).ok().filter(is_right));
            kept.ok_or_else(|| {
                let digest = short(digest);
                format!("its approved bytes ({digest}) are no longer there: approve it again")
            })
        }
    }
}

/// The word by which the log knows a component that has not said its name.
fn label(source: &Source) -> String {
    match source {
        Source::File(file) | Source::Kept { file, .. } => {
            let stem = file.file_stem().unwrap_or(file.as_os_str());
            stem.to_string_lossy().into_owned()
        }
        Source::BuiltIn(name) => name.clone(),
    }
}

impl Components for Loader {
    fn examine(&self, files: &BTreeSet<PathBuf>) -> Files {
        files
            .iter()
            .filter(|file| std::fs::symlink_metadata(file).is_ok())
            .map(|file| (file.clone(), examine(file)))
            .collect()
    }

    /// Blocks until all are loaded; side by side.
    fn load(&self, sources: &[Source]) -> Vec<Result<ComponentFacts, String>> {
        let mut loads = JoinSet::new();
        for (index, source) in sources.iter().cloned().enumerate() {
            let loader = self.clone();
            let load = async move { (index, loader.load_source(&source, None).await) };
            loads.spawn_on(load, &self.inner.runtime);
        }
        let mut loaded: BTreeMap<usize, Result<ComponentFacts, String>> = BTreeMap::new();
        self.inner.runtime.block_on(async {
            while let Some(ended) = loads.join_next().await {
                loaded.extend(ended.ok());
            }
        });
        let cut_short = || Err("loading was cut short".to_owned());
        let result = |index| loaded.remove(&index).unwrap_or_else(cut_short);
        (0..sources.len()).map(result).collect()
    }

    fn bytes(&self, source: &Source) -> Result<Bytes, String> {
        open(source).map(|file| file.bytes().clone())
    }

    fn built_in(&self) -> Vec<Declared> {
        let all = embedded::all().iter();
        all.map(|embedded| Declared {
            name: embedded.name().to_owned(),
            digest: embedded.digest().to_owned(),
            variables: embedded.variables().to_vec(),
        })
        .collect()
    }

    /// On a runtime of its own whose clock stands still while nothing waits, so that time-outs take no time.
    fn test(&self, facts: &ComponentFacts, options: Options) -> Result<Scorecard, TestError> {
        let failed = |error: &dyn std::fmt::Display| TestError::Surroundings(error.to_string());
        let component = self.component(&facts.digest);
        let component = component.ok_or_else(|| failed(&"the component is not loaded"))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .map_err(|error| failed(&error))?;
        runtime.block_on(conformance::run(&component, options))
    }
}

/// What a file is by its bytes alone.
fn examine(file: &Path) -> Result<FileFacts, String> {
    let read = ComponentFile::read(file).map_err(|error| causes(&error))?;
    let found = statics::examine(&read).map_err(|error| causes(&error))?;
    Ok(FileFacts {
        real: file.canonicalize().unwrap_or_else(|_| file.to_owned()),
        digest: found.digest,
        size_bytes: found.size_bytes,
        contract: format!("mastra:observability@{}", found.contract),
        signals: found.signals.iter().collect(),
        imports: found.imports,
    })
}

fn progress(shown: String, line: Option<Line>) -> impl Fn(LoadProgress) + Send {
    move |progress| {
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

fn facts(source: &Source, component: &Component) -> ComponentFacts {
    let real_file = match source {
        Source::File(file) => file.canonicalize().ok(),
        Source::BuiltIn(_) | Source::Kept { .. } => None,
    };
    let description = component.description();
    let phases = description.phases;
    let named = [
        ("started", phases.started),
        ("updated", phases.updated),
        ("ended", phases.ended),
    ];
    ComponentFacts {
        source: source.clone(),
        real_file,
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
