//! Builds the guests of the tests with cargo on first use.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const TARGET: &str = "wasm32-wasip2";

/// The path of `tests/guests/misbehaving` as a component.
///
/// # Panics
/// When it cannot be built, with the command that mends it.
pub(super) fn misbehaving() -> PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| build("misbehaving-guest")).clone()
}

/// The path of `tests/guests/keeper` as a component.
///
/// # Panics
/// As [`misbehaving`].
pub(super) fn keeper() -> PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| build("keeper-guest")).clone()
}

/// The path of `tests/guests/wanderer` as a component.
///
/// # Panics
/// As [`misbehaving`].
pub(super) fn wanderer() -> PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| build("wanderer-guest")).clone()
}

fn build(package: &str) -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let target_dir = target_dir();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(workspace)
        .args([
            "build",
            "--quiet",
            "--target",
            TARGET,
            "--profile",
            "component",
            "--package",
            package,
        ])
        .arg("--target-dir")
        .arg(&target_dir)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "cannot build {package} for {TARGET}; if the target is missing, run `rustup target add {TARGET}`:\n{stderr}"
    );
    target_dir
        .join(TARGET)
        .join("component")
        .join(package.replace('-', "_"))
        .with_extension("wasm")
}

/// `target/`, in which this test runs as `target/<profile>/deps/<name>`.
fn target_dir() -> PathBuf {
    let executable = std::env::current_exe().unwrap();
    executable.ancestors().nth(3).unwrap().to_owned()
}
