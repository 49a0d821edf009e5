//! A component that the host knows nothing of and that asks for order: it posts the names of each batch's spans to its
//! endpoint, one to a line, and asks for another try when they are not taken.
//!
//! Written against the contract alone, without the SDK. Used by `tests/e2e/tests/ordered.rs` and `reload.rs`.

#[cfg(target_family = "wasm")]
mod component;
