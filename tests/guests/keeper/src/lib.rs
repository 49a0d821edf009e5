//! A stateful component that the host knows nothing of: it holds spans, and a flush posts their names to its endpoint, one
//! to a line, when it has one. Its page shows them before. A span or a page called `trap` takes it down.
//!
//! Written against the contract alone, without the SDK, as an author with other tools would. Used by the tests of the
//! host's plugin room and by `tests/e2e/tests/stateful.rs`.

#[cfg(target_family = "wasm")]
mod component;
