//! What a component may call: one file per import. [`HostState`] is what a store holds for them.
//!
//! Host functions fail with a WIT `result` where the contract has one; only a broken contract traps, by an `Err`. None
//! of them panics, and none blocks a thread of the runtime.

pub(super) mod http;
mod log;
pub(super) mod output;
pub(super) mod store;
mod wasi;
mod wasi_http;

use std::sync::Arc;

use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtxView, WasiHttpView};

use self::http::HttpCapability;
use self::output::Output;
use self::store::StoreCapability;
use self::wasi::GuestLog;
use self::wasi_http::WasiHttp;
use super::bindings::{imported, types};
use super::limits::{CallLimits, CallWrites, CpuClock, MAX_LIFTED_BYTES, MemoryLimiter};
use crate::event::Signal;
use crate::telemetry::budget::LogBudget;

/// What an instance may make the host keep for it beside its linear memories, by its own limit of memory: a host that
/// grants 32 MiB does not spend hundreds. Handles and their parts take at most a half of the limit, bodies the other.
pub(super) struct Room {
    /// Handles of WASI that may be open: streams, pollables, requests, bodies. A guest that leaks them fails here.
    handles: usize,
    /// Names and values of one request's or response's headers.
    header_bytes: usize,
    /// What of one outgoing body is kept until it is read.
    chunk_bytes: usize,
    /// All bodies that are held whole.
    body_bytes: usize,
}

impl Room {
    fn within(memory_bytes: usize) -> Self {
        /// Servers refuse more than 8 to 32 KiB.
        const HEADER_BYTES: usize = 32 << 10;
        /// Two of them are kept for a body.
        const CHUNK_BYTES: usize = 16 << 10;
        let handles = memory_bytes / 2 / (HEADER_BYTES + 2 * CHUNK_BYTES);
        Self {
            // A call has a few dozen open at a time, of which some are requests.
            handles: handles.clamp(64, 1024),
            header_bytes: HEADER_BYTES,
            chunk_bytes: CHUNK_BYTES,
            body_bytes: MAX_LIFTED_BYTES.min(memory_bytes / 2),
        }
    }
}

/// What of the host the instances of one exporter may reach.
#[derive(Clone)]
pub(super) struct Grants {
    pub(super) exporter: Arc<str>,
    pub(super) http: Arc<dyn HttpCapability>,
    pub(super) output: Option<Arc<Output>>,
    pub(super) store: Option<Arc<dyn StoreCapability>>,
}

/// The data of one store.
pub(super) struct HostState {
    wasi: WasiCtx,
    table: ResourceTable,
    /// `None` while `describe` runs, which must be pure.
    grants: Option<Grants>,
    /// Set by a request of `http` whose outcome is unknown.
    has_unknown_outcome: bool,
    wasi_http: WasiHttp,
    pub(super) log: GuestLog,
    pub(super) writes: CallWrites,
    pub(super) log_budget: Arc<LogBudget>,
    pub(super) memory: MemoryLimiter,
    pub(super) cpu: CpuClock,
}

impl HostState {
    /// `label` names the guest in the host's log: the exporter's id, or the component's file before it has one.
    pub(super) fn new(label: &Arc<str>, grants: Option<Grants>, limits: &CallLimits) -> Self {
        let log = GuestLog::new(label);
        let mut table = ResourceTable::new();
        let room = Room::within(limits.memory_bytes);
        table.set_max_capacity(room.handles);
        Self {
            wasi: wasi::context(&log),
            table,
            wasi_http: WasiHttp::new(
                grants.as_ref().map(|grants| Arc::clone(&grants.http)),
                &room,
            ),
            grants,
            has_unknown_outcome: false,
            log,
            writes: CallWrites::new(limits),
            log_budget: LogBudget::of(label),
            memory: MemoryLimiter::new(limits),
            cpu: CpuClock::default(),
        }
    }

    /// Before each call: what came of earlier requests does not count.
    pub(super) fn forget_outcomes(&mut self) {
        self.has_unknown_outcome = false;
        self.wasi_http.hooks.outcomes.reset();
    }

    /// Whether a request ended without an answer when the backend may have had it.
    pub(super) fn has_unknown_outcome(&self) -> bool {
        self.has_unknown_outcome || self.wasi_http.hooks.outcomes.has_unknown()
    }

    /// The grants, or the trap for a call out of `describe`.
    pub(super) fn grants(&self, import: &str) -> wasmtime::Result<&Grants> {
        self.grants.as_ref().ok_or_else(|| {
            wasmtime::format_err!("`describe` must be pure, but it called `{import}`")
        })
    }
}

impl WasiView for HostState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for HostState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.wasi_http.hooks,
            table: &mut self.table,
            ctx: &mut self.wasi_http.context,
        }
    }
}

impl HasData for HostState {
    type Data<'a> = &'a mut Self;
}

impl imported::types::Host for HostState {}

/// Everything that a component may import.
///
/// # Errors
/// Two definitions of one name, which would be a mistake here.
pub(super) fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<HostState>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    imported::types::add_to_linker::<_, HostState>(&mut linker, |state| state)?;
    imported::http::add_to_linker::<_, HostState>(&mut linker, |state| state)?;
    imported::log::add_to_linker::<_, HostState>(&mut linker, |state| state)?;
    imported::output::add_to_linker::<_, HostState>(&mut linker, |state| state)?;
    imported::store::add_to_linker::<_, HostState>(&mut linker, |state| state)?;
    Ok(linker)
}

pub(super) fn signal_from(signal: types::Signal) -> Signal {
    match signal {
        types::Signal::Traces => Signal::Traces,
        types::Signal::Logs => Signal::Logs,
        types::Signal::Metrics => Signal::Metrics,
        types::Signal::Scores => Signal::Scores,
        types::Signal::Feedback => Signal::Feedback,
    }
}
