//! As the guest `rover`, but over `wasi:http`, as the HTTP library of an author's language does it: for each batch one
//! request to every place in its settings, with its secret as bearer token. It prints what it hears, and rejects the batch
//! when a place could not be reached.
//!
//! Used by `tests/e2e/tests/wasi_http.rs`.

#[cfg(target_family = "wasm")]
mod component;
