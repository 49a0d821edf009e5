//! Loading a component: read, compile or map, check its outside, ask it who it is. Components load independently of each
//! other: a big one that compiles for a minute delays no other.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use semver::Version;
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use wasmtime::component::InstancePre;

use super::cache::Cache;
use super::description::{self, Description};
use super::detect::{self, Detected, Indices};
use super::engine::Engine;
use super::imports::HostState;
use super::instance;
use super::load_error::LoadError;
use crate::event::escape::push_hex;
use crate::event::signal_set::SignalSet;

/// How long a compilation may be silent.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// How much of a file is in memory while its digest is made.
const PIECE_BYTES: usize = 64 << 10;

/// What tells a component from other files.
const HEAD_BYTES: usize = 8;

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
    outside: Outside,
    description: Description,
}

/// What a component is by its types alone; nothing of it has run.
#[derive(Clone, Debug)]
pub struct Outside {
    /// The signals whose interface it exports.
    pub signals: SignalSet,
    /// Full names of its imports.
    pub imports: Vec<String>,
    /// The contract version that it was built against.
    pub contract: Version,
    /// SHA-256 of the file, in lower-case hex.
    pub digest: String,
    /// Size of the file.
    pub size_bytes: u64,
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
            self.outside.signals,
        )
    }

    /// Whether it serves a page.
    #[must_use]
    pub fn serves_page(&self) -> bool {
        self.indices.has_page()
    }

    /// Whether it may hold events between calls, and so has one instance.
    #[must_use]
    pub fn is_stateful(&self) -> bool {
        self.description.flush_interval.is_some()
    }

    /// The signals whose interface it exports.
    #[must_use]
    pub fn signals(&self) -> SignalSet {
        self.outside.signals
    }

    /// Full names of its imports, in its own order.
    #[must_use]
    pub fn imports(&self) -> &[String] {
        &self.outside.imports
    }

    /// The contract version that it was built against.
    #[must_use]
    pub fn contract(&self) -> &Version {
        &self.outside.contract
    }

    /// SHA-256 of the file, in lower-case hex.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.outside.digest
    }

    /// Size of the file.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.outside.size_bytes
    }
}

impl Engine {
    /// Loads a component and calls its `describe`, under limits and with imports that trap.
    ///
    /// `on_progress` is called each second while the component compiles, never for a cached one. Dropping the future
    /// abandons the load; a compilation in progress runs to its end and fills the cache.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub async fn load(
        &self,
        path: &Path,
        on_progress: impl Fn(LoadProgress) + Send,
    ) -> Result<Arc<Component>, LoadError> {
        let (detected, outside) = self.open(path, on_progress).await?;
        let Detected { pre, indices, .. } = detected;
        let label = path
            .file_stem()
            .unwrap_or(path.as_os_str())
            .to_string_lossy();
        let described = instance::describe(self, &pre, &indices, &Arc::from(label))
            .await
            .map_err(LoadError::Describe)?;
        let description = description::check(described, outside.signals)?;
        Ok(Arc::new(Component {
            engine: self.clone(),
            pre,
            indices,
            outside,
            description,
        }))
    }

    /// Compiles and checks a component without running anything of it.
    ///
    /// # Errors
    /// Those of [`Engine::load`] that do not concern `describe`.
    pub async fn examine(
        &self,
        path: &Path,
        on_progress: impl Fn(LoadProgress) + Send,
    ) -> Result<Outside, LoadError> {
        self.open(path, on_progress)
            .await
            .map(|(_, outside)| outside)
    }

    async fn open(
        &self,
        path: &Path,
        on_progress: impl Fn(LoadProgress) + Send,
    ) -> Result<(Detected, Outside), LoadError> {
        let (engine, owned_path) = (self.clone(), path.to_owned());
        let read = blocking(move || engine.read(&owned_path)).await??;
        let compiled = match read.cached {
            Some(compiled) => compiled,
            None => {
                self.compile(read.bytes, read.digest.clone(), on_progress)
                    .await?
            }
        };
        let engine = self.clone();
        let detected = blocking(move || detect::detect(&engine.inner.linker, &compiled)).await??;
        let outside = Outside {
            signals: detected.indices.signals(),
            imports: detected.imports.clone(),
            contract: detected.contract.clone(),
            digest: read.digest,
            size_bytes: read.size_bytes,
        };
        Ok((detected, outside))
    }

    fn read(&self, path: &Path) -> Result<Read, LoadError> {
        let (head, digest, size_bytes) = digest_of_file(path).map_err(LoadError::Read)?;
        check_header(&head)?;
        let cached = |digest: &str| {
            let cache = self.inner.cache.as_ref()?;
            cache.load(&self.inner.wasmtime, digest)
        };
        // What is cached is not kept in memory, not for a moment.
        if let Some(cached) = cached(&digest) {
            return Ok(Read {
                bytes: Vec::new(),
                digest,
                size_bytes,
                cached: Some(cached),
            });
        }
        // The file may have changed since: the digest is that of the bytes which will be compiled.
        let bytes = std::fs::read(path).map_err(LoadError::Read)?;
        let digest = hex(&Sha256::digest(&bytes));
        check_header(&bytes)?;
        Ok(Read {
            size_bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            cached: cached(&digest),
            bytes,
            digest,
        })
    }

    async fn compile(
        &self,
        bytes: Vec<u8>,
        digest: String,
        on_progress: impl Fn(LoadProgress) + Send,
    ) -> Result<wasmtime::component::Component, LoadError> {
        let size_bytes = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let begin = Instant::now();
        let engine = self.clone();
        let work = async {
            // The semaphore is never closed; an error would only mean that nobody waits in line.
            let _turn = engine.inner.compilers.queue(bytes.len()).acquire().await;
            let engine = engine.clone();
            blocking(move || engine.compile_blocking(&bytes, &digest)).await
        };
        tokio::pin!(work);
        let mut silence = tokio::time::interval_at(begin + PROGRESS_INTERVAL, PROGRESS_INTERVAL);
        loop {
            tokio::select! {
                compiled = &mut work => return compiled?,
                _ = silence.tick() => {
                    on_progress(LoadProgress::Compiling { size_bytes, elapsed: begin.elapsed() });
                }
            }
        }
    }

    /// On threads of its own, which end with the compilation: the compiler's memory goes with them, and the threads that
    /// move data keep a core.
    fn compile_blocking(
        &self,
        bytes: &[u8],
        digest: &str,
    ) -> Result<wasmtime::component::Component, LoadError> {
        let engine = &self.inner.wasmtime;
        let failed = |reason: String| LoadError::Compile { reason };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads((cores - 1).max(1))
            .thread_name(|_| "compile".to_owned())
            .build();
        let code = match threads {
            Ok(threads) => threads.install(|| engine.precompile_component(bytes)),
            Err(_) => engine.precompile_component(bytes),
        };
        let code = match code {
            Ok(code) => code,
            Err(error) => return Err(failed(format!("{error:#}"))),
        };
        // Mapped from the file, the code is shared with the page cache instead of being this process's own memory.
        if let Some(cache) = &self.inner.cache {
            cache.store(digest, &code);
            if let Some(component) = cache.load(engine, digest) {
                return Ok(component);
            }
        }
        Cache::from_memory(engine, &code).map_err(|error| failed(format!("{error:#}")))
    }
}

struct Read {
    /// Empty if the component is cached.
    bytes: Vec<u8>,
    digest: String,
    size_bytes: u64,
    cached: Option<wasmtime::component::Component>,
}

/// The first bytes of a file, its SHA-256 in lower-case hex, and its size.
fn digest_of_file(path: &Path) -> io::Result<(Vec<u8>, String, u64)> {
    let mut file = File::open(path)?;
    let mut head = Vec::new();
    let mut digest = Sha256::new();
    let mut size_bytes = 0;
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        let count = file.read(&mut buffer)?;
        let Some(piece) = buffer.get(..count).filter(|piece| !piece.is_empty()) else {
            return Ok((head, hex(&digest.finalize()), size_bytes));
        };
        if head.is_empty() {
            head.extend(piece.iter().take(HEAD_BYTES));
        }
        digest.update(piece);
        size_bytes += u64::try_from(count).unwrap_or_default();
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    push_hex(&mut text, bytes);
    text
}

fn check_header(bytes: &[u8]) -> Result<(), LoadError> {
    let wrong = |found, fix| Err(LoadError::NotAComponent { found, fix });
    match bytes {
        [0, b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => Ok(()),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => wrong(
            "a core WebAssembly module",
            "build for the target wasm32-wasip2, or run `wasm-tools component new` on it",
        ),
        [0, b'a', b's', b'm', ..] => wrong(
            "of another version of WebAssembly",
            "rebuild it with current tools",
        ),
        [] => wrong("an empty file", "build it again"),
        _ => wrong("something else", "name the `.wasm` file of an exporter"),
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
