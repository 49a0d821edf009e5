//! The engine: wasmtime's configuration, the epoch ticker, the code cache and what all components are linked with. One
//! for the process; cheap to clone.

use std::hash::{Hash as _, Hasher as _};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Semaphore;
use wasmtime::component::Linker;
use wasmtime::{Config, InstanceAllocationStrategy, PoolingAllocationConfig};
use xxhash_rust::xxh3::Xxh3;

use super::cache::Cache;
use super::compiler::CompileIn;
use super::imports::{self, HostState};
use super::limits::{CallLimits, MAX_CORE_INSTANCES, MAX_MEMORIES, MAX_TABLES};
use super::ticker::Ticker;

/// What the developer of the host, not its user, decides about the engine.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// Directory of the code cache, made if it is missing. `None` compiles at each start.
    pub cache_dir: Option<PathBuf>,
    /// Live instances of all exporters together. Each reserves address space, not memory.
    pub max_instances: u32,
    /// What `describe` may cost, and the default for pools.
    pub limits: CallLimits,
    /// Where components are compiled.
    pub compile_in: CompileIn,
}

impl EngineSettings {
    /// Without a cache.
    #[must_use]
    pub fn new(compile_in: CompileIn) -> Self {
        Self {
            compile_in,
            cache_dir: None,
            // Thirty exporters with four instances each. 4 GiB of address space each are 512 GiB of the 128 TiB there are.
            max_instances: 128,
            limits: CallLimits::default(),
        }
    }
}

/// The engine cannot be set up on this machine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Wasmtime refuses its configuration or the platform.
    #[error("cannot set up the WebAssembly engine")]
    Wasmtime(#[source] wasmtime::Error),
    /// No thread for the epoch ticker.
    #[error("cannot start the epoch thread")]
    Thread(#[source] std::io::Error),
}

/// Loads components. Clones share everything.
#[derive(Clone)]
pub struct Engine {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) wasmtime: wasmtime::Engine,
    pub(super) linker: Linker<HostState>,
    pub(super) ticker: Arc<Ticker>,
    pub(super) cache: Option<Cache>,
    pub(super) limits: CallLimits,
    pub(super) compile_in: CompileIn,
    pub(super) compilers: Compilers,
}

/// A bigger file takes long to compile: an interpreter has 8 MB and more, takes half a minute and a GB of memory; a Rust
/// exporter has 0.3 MB and takes a second.
pub const BIG_COMPONENT_BYTES: u64 = 2 << 20;

/// Turns for compiling. The big ones have a queue of their own, so that the small ones never wait behind them.
pub(super) struct Compilers {
    big: Semaphore,
    small: Semaphore,
}

impl Compilers {
    fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            big: Semaphore::new(1),
            small: Semaphore::new(cores),
        }
    }

    pub(super) fn queue(&self, size_bytes: u64) -> &Semaphore {
        if size_bytes > BIG_COMPONENT_BYTES {
            &self.big
        } else {
            &self.small
        }
    }
}

impl Engine {
    /// Sets the engine up. Blocks for about a millisecond.
    ///
    /// A cache directory that cannot be used is a warning in the log, not an error: components are compiled then.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn new(settings: EngineSettings) -> Result<Self, EngineError> {
        let wasmtime = wasmtime::Engine::new(&config(Some(settings.max_instances))).or_else(|error| {
            // Where address space is limited (`ulimit -v`) the reservation fails. Slower starts are better than none.
            tracing::warn!(%error, "Cannot reserve instance slots; instances are allocated one by one.");
            wasmtime::Engine::new(&config(None)).map_err(EngineError::Wasmtime)
        })?;
        let linker = imports::linker(&wasmtime).map_err(EngineError::Wasmtime)?;
        let ticker = Ticker::start(wasmtime.weak()).map_err(EngineError::Thread)?;
        let cache = settings.cache_dir.and_then(|directory| match Cache::open(&directory, &wasmtime) {
            Ok(cache) => Some(cache),
            Err(error) => {
                tracing::warn!(directory = %directory.display(), %error, "Code cache is not used.");
                None
            }
        });
        let inner = Inner {
            wasmtime,
            linker,
            ticker,
            cache,
            limits: settings.limits,
            compile_in: settings.compile_in,
            compilers: Compilers::new(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }
}

/// The engine of a process that only compiles. It reserves nothing.
pub(super) fn compiling() -> wasmtime::Result<wasmtime::Engine> {
    wasmtime::Engine::new(&config(None))
}

/// A hash of what decides about compiled code beside the component's bytes: wasmtime's version, the target, the settings.
/// In hex.
pub(super) fn configuration(engine: &wasmtime::Engine) -> String {
    let mut hasher = Xxh3::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// `slots` is `None` to allocate instances one by one.
fn config(slots: Option<u32>) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        // Exports are synchronous in this contract; saves per-store tables and a task per call.
        .concurrency_support(false)
        // Frames of a trap are for the guest's author; without the map from code to wasm offsets the code is a third smaller.
        .generate_address_map(false)
        .wasm_backtrace_max_frames(None)
        // Only a native debugger or profiler unwinds through guest frames; registering them costs time at load.
        .native_unwind_info(false)
        // Memories of up to 4 GiB behind guard pages: no bounds check is compiled into loads and stores.
        .memory_reservation(4 << 30)
        .memory_guard_size(32 << 20)
        // Initial memory is mapped from the cached file and shared by all instances until it is written to.
        .memory_init_cow(true)
        // Guests keep their data on their own stack in linear memory; this one is for calls and spills.
        .max_wasm_stack(512 << 10)
        // The rest of the fiber's stack is for host functions, which poll the HTTP client on it. Untouched pages cost nothing.
        .async_stack_size(2 << 20);
    if let Some(slots) = slots {
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pooling(slots)));
    }
    config
}

fn pooling(slots: u32) -> PoolingAllocationConfig {
    let mut pooling = PoolingAllocationConfig::new();
    pooling
        .total_component_instances(slots)
        // Only counted, not reserved.
        .total_core_instances(slots.saturating_mul(MAX_CORE_INSTANCES))
        .max_core_instances_per_component(MAX_CORE_INSTANCES)
        // Most components have one memory; the few that have more take from the others' share.
        .total_memories(slots)
        .max_memories_per_component(MAX_MEMORIES)
        .max_memory_size(4 << 30)
        // A table of 64 Ki entries reserves 512 KiB of address space.
        .total_tables(slots.saturating_mul(4))
        .max_tables_per_component(MAX_TABLES)
        .max_tables_per_module(4)
        .table_elements(CallLimits::default().table_elements)
        // One call at a time an instance.
        .total_stacks(slots)
        // A freed slot gives its pages back; keeping some would trade idle memory for faster starts, and starts are rare.
        .linear_memory_keep_resident(0)
        .table_keep_resident(0)
        .async_stack_keep_resident(0)
        // Reuse the slot last used by the same component, whose mapping is still there, before touching a new one.
        .max_unused_warm_slots(0);
    pooling
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_compiling_process_makes_fits_the_host() {
        let host = wasmtime::Engine::new(&config(Some(4))).unwrap();
        assert_eq!(configuration(&host), configuration(&compiling().unwrap()));
    }
}
