//! `mastra-host`: receives the telemetry of AI agents once, keeps it safe, and delivers it to every backend through
//! sandboxed WebAssembly components.
//!
//! The first group every room may use; the second lists the rooms in the order in which data flows through them: imports
//! point downwards. The third is what a person sees: the command line, and the running host put together in [`run`].

pub mod approvals;
pub mod config;
pub mod embedded;
pub mod event;
pub mod telemetry;

pub mod receive;

pub mod queue;

pub mod route;

pub mod shape;

pub mod deliver;

pub mod plugin;

pub mod http;

pub mod store;

pub mod cli;
pub mod commands;
pub mod conformance;
pub mod hardening;
pub mod print;
pub mod run;
pub mod scaffold;
