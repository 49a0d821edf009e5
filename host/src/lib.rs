//! `mastra-host`: receives the telemetry of AI agents once, keeps it safe, and delivers it to every backend through
//! sandboxed WebAssembly components.
//!
//! Modules are listed in the order in which data flows through them. Imports point to the right (downwards here), or to
//! `event`, `config` and `telemetry`, which every room may use.

pub mod event;

pub mod receive;
pub mod queue;
pub mod route;
pub mod shape;
pub mod deliver;
pub mod plugin;
pub mod http;
