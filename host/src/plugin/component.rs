//! Loading a component: compile or map, check its types, ask it who it is. Components load independently of each other: a
//! big one that compiles for a minute delays no other.

use std::sync::Arc;
use std::time::Duration;

use semver::Version;
use tokio::time::Instant;
use wasmtime::component::InstancePre;

use super::cache::Cache;
use super::compiler::{self, CompileIn};
use super::description::{self, Description};
use super::detect::{self, Detected, Indices};
use super::engine::Engine;
use super::file::ComponentFile;
use super::imports::HostState;
use super::instance;
use super::load_error::LoadError;
use super::statics::{self, StaticFacts};
use crate::event::signal_set::SignalSet;

/// How long a compilation may be silent.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// Something to tell a person who waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadProgress {
    /// Machine code is being made; the next start takes it from the cache.
    Compiling {
        /// Size of the component's file.
        size_bytes: u64,
        /// Since the compilation began.
        elapsed: Duration,
    },
}

/// A loaded component: compiled, linked, checked, described. Holds no instance.
pub struct Component {
    pub(super) engine: Engine,
    pub(super) pre: InstancePre<HostState>,
    pub(super) indices: Indices,
    facts: StaticFacts,
    description: Description,
}

impl Component {
    /// What it says of itself.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Asks it again who it is, on an instance of its own.
    ///
    /// # Errors
    /// As [`Engine::load`] where `describe` is concerned.
    pub async fn describe_again(&self) -> Result<Description, LoadError> {
        let label = Arc::from(self.description.name.as_str());
        let described = instance::describe(&self.engine, &self.pre, &self.indices, &label);
        description::check(
            described.await.map_err(LoadError::Describe)?,
            self.facts.signals,
        )
    }

    /// Whether it serves a page.
    #[must_use]
    pub fn serves_page(&self) -> bool {
        self.facts.serves_page
    }

    /// Whether it may hold events between calls, and so has one instance.
    #[must_use]
    pub fn is_stateful(&self) -> bool {
        self.description.flush_interval.is_some()
    }

    /// The signals whose interface it exports.
    #[must_use]
    pub fn signals(&self) -> SignalSet {
        self.facts.signals
    }

    /// Full names of its imports, in its own order.
    #[must_use]
    pub fn imports(&self) -> &[String] {
        &self.facts.imports
    }

    /// The contract version that it was built against.
    #[must_use]
    pub fn contract(&self) -> &Version {
        &self.facts.contract
    }

    /// The SHA-256 of its bytes: `sha256:` and lower-case hex.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.facts.digest
    }

    /// The number of its bytes.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.facts.size_bytes
    }
}

impl Engine {
    /// Loads a component and calls its `describe`, under limits and with imports that trap.
    ///
    /// `label` names the component in the log while it has no exporter's id. `on_progress` is called each second while
    /// the component compiles, never for a cached one. Dropping the future abandons the load and ends the process that
    /// compiles.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub async fn load(
        &self,
        file: &ComponentFile,
        label: &str,
        on_progress: impl Fn(LoadProgress) + Send,
    ) -> Result<Arc<Component>, LoadError> {
        let facts = statics::examine(file)?;
        let Detected { pre, indices, .. } = self.detect(file, &facts, on_progress).await?;
        let described = instance::describe(self, &pre, &indices, &Arc::from(label))
            .await
            .map_err(LoadError::Describe)?;
        let description = description::check(described, facts.signals)?;
        Ok(Arc::new(Component {
            engine: self.clone(),
            pre,
            indices,
            facts,
            description,
        }))
    }

    /// Compiles a component, or takes it from the cache, and checks its types. Nothing of it runs.
    pub(super) async fn detect(
        &self,
        file: &ComponentFile,
        facts: &StaticFacts,
        on_progress: impl Fn(LoadProgress) + Send,
    ) -> Result<Detected, LoadError> {
        let (engine, hex) = (self.clone(), file.digest_hex().to_owned());
        let cached = blocking(move || {
            let cache = engine.inner.cache.as_ref()?;
            cache.load(&engine.inner.wasmtime, &hex)
        });
        let compiled = match cached.await? {
            Some(compiled) => compiled,
            None => self.compile(file, on_progress).await?,
        };
        let engine = self.clone();
        let detected = blocking(move || detect::detect(&engine.inner.linker, &compiled)).await??;
        // What people have approved was read from the bytes; what runs must be the same.
        let is_same = detected.imports == facts.imports
            && detected.indices.signals() == facts.signals
            && detected.indices.has_page() == facts.serves_page;
        if is_same {
            Ok(detected)
        } else {
            let reason = "the engine finds other imports or exports than its sections name";
            Err(LoadError::Damaged {
                reason: reason.to_owned(),
            })
        }
    }

    async fn compile(
        &self,
        file: &ComponentFile,
        on_progress: impl Fn(LoadProgress) + Send,
    ) -> Result<wasmtime::component::Component, LoadError> {
        let size_bytes = file.size_bytes();
        let begin = Instant::now();
        let work = async {
            // The semaphore is never closed; an error would only mean that nobody waits in line.
            let _turn = self.inner.compilers.queue(size_bytes).acquire().await;
            let code = match self.inner.compile_in {
                CompileIn::ChildProcess => {
                    compiler::compile_in_child(&self.inner.wasmtime, file).await?
                }
                CompileIn::ThisProcess => {
                    let (engine, file) = (self.clone(), file.clone());
                    let compile = move || compiler::compile(&engine.inner.wasmtime, file.bytes());
                    let compiled = blocking(compile).await?;
                    compiled.map_err(|reason| LoadError::Compile { reason })?
                }
            };
            let (engine, hex) = (self.clone(), file.digest_hex().to_owned());
            blocking(move || engine.map(&hex, &code)).await?
        };
        tokio::pin!(work);
        let mut silence = tokio::time::interval_at(begin + PROGRESS_INTERVAL, PROGRESS_INTERVAL);
        loop {
            tokio::select! {
                compiled = &mut work => return compiled,
                _ = silence.tick() => {
                    on_progress(LoadProgress::Compiling { size_bytes, elapsed: begin.elapsed() });
                }
            }
        }
    }

    /// Mapped from the cache's file, the code is shared with the page cache instead of being this process's own memory.
    fn map(&self, hex: &str, code: &[u8]) -> Result<wasmtime::component::Component, LoadError> {
        let engine = &self.inner.wasmtime;
        if let Some(cache) = &self.inner.cache {
            cache.store(hex, code);
            if let Some(component) = cache.load(engine, hex) {
                return Ok(component);
            }
        }
        Cache::from_memory(engine, code).map_err(|error| LoadError::Compile {
            reason: format!("{error:#}"),
        })
    }
}

/// Runs blocking work. A panic in it, which would be the compiler's fault, concerns this component only.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, LoadError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| LoadError::Compile {
            reason: error.to_string(),
        })
}
