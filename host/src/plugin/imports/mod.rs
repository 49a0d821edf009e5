//! What a component may call: one file per import. [`HostState`] is what a store holds for them.
//!
//! Host functions fail with a WIT `result` where the contract has one; only a broken contract traps, by an `Err`. None
//! of them panics, and none blocks a thread of the runtime.

pub(super) mod http;
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
use super::limits::{CallLimits, CallWrites, CpuClock, MemoryLimiter};
use crate::event::Signal;

/// Handles of `wasi:io` that a guest may have open: streams, pollables, errors. A guest that leaks them fails here.
const MAX_HANDLES: usize = 1024;

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
    pub(super) memory: MemoryLimiter,
    pub(super) cpu: CpuClock,
}

impl HostState {
    /// `label` names the guest in the host's log: the exporter's id, or the component's file before it has one.
    pub(super) fn new(label: &Arc<str>, grants: Option<Grants>, limits: &CallLimits) -> Self {
        let log = GuestLog::new(label);
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_HANDLES);
        Self {
            wasi: wasi::context(&log),
            table,
            wasi_http: WasiHttp::new(grants.as_ref().map(|grants| Arc::clone(&grants.http))),
            grants,
            has_unknown_outcome: false,
            log,
            writes: CallWrites::new(limits),
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
    imported::output::add_to_linker::<_, HostState>(&mut linker, |state| state)?;
    imported::store::add_to_linker::<_, HostState>(&mut linker, |state| state)?;
    Ok(linker)
}

fn signal_from(signal: types::Signal) -> Signal {
    match signal {
        types::Signal::Traces => Signal::Traces,
        types::Signal::Logs => Signal::Logs,
        types::Signal::Metrics => Signal::Metrics,
        types::Signal::Scores => Signal::Scores,
        types::Signal::Feedback => Signal::Feedback,
    }
}
