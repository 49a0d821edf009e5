//! An exporter with the faults that `mastra-host test` looks for: some it always has, because nothing tells it otherwise,
//! the others one at a time, as its setting `fault` says. Used by `tests/e2e/tests/conformance.rs`.

#[cfg(target_family = "wasm")]
mod component;
