//! Where things lie in the repository and in the build directory. Reads the environment; creates nothing.
//!
//! Called by every other part of the kit.

use std::path::{Path, PathBuf};

/// The root of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    let kit = Path::new(env!("CARGO_MANIFEST_DIR"));
    kit.ancestors().nth(2).unwrap_or(kit).to_path_buf()
}

/// Cargo's build directory: `CARGO_TARGET_DIR`, else `target` in the repository.
#[must_use]
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => repository().join(dir),
        None => repository().join("target"),
    }
}

/// A file of `tests/corpus`, the recorded traffic.
#[must_use]
pub fn corpus(file: &str) -> PathBuf {
    repository().join("tests/corpus").join(file)
}

/// A file of `tests/golden`, by folder and name.
#[must_use]
pub fn golden(file: &str) -> PathBuf {
    repository().join("tests/golden").join(file)
}
