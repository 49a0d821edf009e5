//! A component that does whatever its script says, at every function that the host calls. The script is a JSON object: for
//! each function an act, such as `{"send": {"do": "spin"}}`. It lies in the file's data behind a marker, where a test
//! patches it, or in the setting `script`, so that one compiled component serves many cases.
//!
//! Used by `tests/security`.

#[cfg(target_family = "wasm")]
mod acts;
#[cfg(target_family = "wasm")]
mod component;
#[cfg(target_family = "wasm")]
mod memory;
#[cfg(target_family = "wasm")]
mod script;
