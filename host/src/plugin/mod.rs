//! The engine for exporters: loads WebAssembly components, finds out what they are, and runs them within limits. The only
//! room that knows wasmtime; its callers see the types below.
//!
//! A [`file::ComponentFile`] is read once, and [`statics::examine`] says what it is without running it. `Engine` (one a
//! process) loads a `Component` from it, of which a `Pool` (one an exporter) runs instances. A pool is
//! a [`guest::Guest`], which is all that `deliver` sees of this room. Nothing here knows queues, routes or secrets: HTTP
//! requests go to an [`HttpCapability`], which is the other room's.

mod answers;
mod bindings;
mod cache;
pub mod compiler;
mod component;
mod contained;
mod contract;
mod description;
mod detect;
mod engine;
pub mod file;
pub mod guest;
mod health;
mod imports;
mod instance;
mod limits;
mod load_error;
pub mod outcome;
pub mod page;
mod pool;
mod records;
pub mod statics;
#[cfg(test)]
mod tests;
mod ticker;
mod trial;
mod typing;
mod worker;

pub use component::{Component, LoadProgress};
pub use description::{Description, Setting};
pub use engine::{BIG_COMPONENT_BYTES, Engine, EngineError, EngineSettings};
pub use health::{PoolState, RestartPolicy};
pub use imports::http::{HttpCapability, HttpFuture};
pub use imports::output::{Output, OutputBounds, OutputFigures, OutputTarget, UnknownTarget};
pub use imports::store::StoreCapability;
pub use instance::{RecyclePolicy, SettingError};
pub use limits::CallLimits;
pub use load_error::LoadError;
pub use pool::{GuestSettings, Pool, PoolSettings, StartError};
pub use trial::Trial;
pub use typing::TypeDifference;
