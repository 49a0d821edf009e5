//! A component that the host knows nothing of: for each batch it sends a request to every place in its settings, with its
//! secret as bearer token, prints what it knows and hears, and rejects the batch when a place could not be reached.
//!
//! Written against the contract alone, without the SDK, as an author with other tools would. Used by
//! `tests/e2e/tests/egress.rs`.

#[cfg(target_family = "wasm")]
mod component;
