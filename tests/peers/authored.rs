//! The projects that `mastra-host new` writes, built by the toolchains that `install.sh` installs: an example a language.
//!
//! Called by the tests of the authors' tools and by the benchmark of the languages. Blocking: building takes up to minutes.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use kit::{host, paths};

use crate::installed;

/// What every project here is called, and so its exporter.
pub const NAME: &str = "acme-board";
/// The variables that fill its settings: where records are posted, and a token.
pub const ENDPOINT: &str = "ACME_BOARD_ENDPOINT";
/// See [`ENDPOINT`].
pub const TOKEN: &str = "ACME_BOARD_TOKEN";
/// The languages of `mastra-host new`.
pub const LANGUAGES: [&str; 5] = ["c", "go", "js", "python", "rust"];

/// A written project.
#[derive(Clone, Debug)]
pub struct Project {
    folder: PathBuf,
    name: String,
}

impl Project {
    /// The one that was written last, if any.
    #[must_use]
    pub fn at(name: &str) -> Self {
        Self {
            folder: paths::target().join("authored").join(name).join(NAME),
            name: name.to_owned(),
        }
    }

    /// Writes it anew with these signals, below the build directory. What cargo compiled for the last one stays.
    ///
    /// # Errors
    /// When the host refuses, or a file cannot be moved.
    pub fn write(language: &str, signals: &str) -> anyhow::Result<Self> {
        Self::write_as(language, language, signals)
    }

    /// As [`Project::write`], in a folder of another name: tests of one language run side by side.
    ///
    /// # Errors
    /// As [`Project::write`].
    pub fn write_as(folder: &str, language: &str, signals: &str) -> anyhow::Result<Self> {
        let project = Self::at(folder);
        let folder = &project.folder;
        let fresh = folder.with_file_name("fresh");
        remove(&fresh)?;
        std::fs::create_dir_all(&fresh)?;
        let output = Command::new(host::binary()?)
            .args(["new", NAME, "--lang", language, "--signals", signals])
            .current_dir(&fresh)
            .output()?;
        ensure!(
            output.status.success(),
            "mastra-host new: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let written = fresh.join(NAME);
        if folder.join("target").exists() {
            std::fs::rename(folder.join("target"), written.join("target"))?;
        }
        remove(folder)?;
        std::fs::rename(&written, folder)?;
        Ok(project)
    }

    /// Runs `make` with this goal, or without one, and returns the component, or where it will be.
    ///
    /// # Errors
    /// When make fails; the message has what it printed.
    pub fn make(&self, goal: &str) -> anyhow::Result<PathBuf> {
        let output = Command::new("bash")
            .args(["-c", &with_toolchains(&format!("make {goal}"))?])
            .current_dir(&self.folder)
            .output()
            .context("cannot start bash")?;
        ensure!(
            output.status.success(),
            "make {goal} of the {} project:\n{}{}",
            self.name,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(self.folder.join(format!("{NAME}.wasm")))
    }
}

/// A script for bash in which these commands find the languages' tools. It stops at the first that fails.
///
/// # Errors
/// When the tools are not installed.
pub fn with_toolchains(commands: &str) -> anyhow::Result<String> {
    installed::npm("toolchains", ".bin/jco")?;
    installed::python("componentize-py", "componentize-py")?;
    installed::python("go", "go")?;
    installed::debian("clang-19")?;
    let environment = installed::folder().join("toolchains/environment.sh");
    Ok(format!(
        "set -euo pipefail\nsource '{}'\n{commands}",
        environment.display()
    ))
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(())
}
