//! The projects that `mastra-host new` writes, built by the toolchains that `install.sh` installs: an example a language.
//!
//! Called by the tests of the authors' tools and by the benchmark of the languages. Blocking: building takes up to minutes.

use std::env;
use std::ffi::OsString;
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
    language: String,
}

impl Project {
    /// The one that was written last, if any.
    #[must_use]
    pub fn at(language: &str) -> Self {
        Self {
            folder: paths::target().join("authored").join(language).join(NAME),
            language: language.to_owned(),
        }
    }

    /// Writes it anew with these signals, below the build directory. What cargo compiled for the last one stays.
    ///
    /// # Errors
    /// When the host refuses, or a file cannot be moved.
    pub fn write(language: &str, signals: &str) -> anyhow::Result<Self> {
        let project = Self::at(language);
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
        let mut command = Command::new("make");
        command
            .current_dir(&self.folder)
            .args(Some(goal).filter(|goal| !goal.is_empty()));
        for (name, value) in environment(&self.language)? {
            command.env(name, value);
        }
        let output = command.output().context("cannot start make")?;
        ensure!(
            output.status.success(),
            "make {goal} of the {} project:\n{}{}",
            self.language,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(self.folder.join(format!("{NAME}.wasm")))
    }
}

/// What a language's tools need to be found.
fn environment(language: &str) -> anyhow::Result<Vec<(&'static str, OsString)>> {
    let mut folders = Vec::new();
    let mut variables = Vec::new();
    let folder_of = |tool: PathBuf| tool.parent().map(Path::to_path_buf).unwrap_or_default();
    match language {
        "c" => {
            let root = installed::folder().join("installed/debian/usr");
            folders.push(folder_of(installed::debian("clang-19")?));
            folders.push(folder_of(installed::npm("toolchains", ".bin/jco")?));
            let libraries = root
                .join("lib")
                .join(format!("{}-linux-gnu", env::consts::ARCH));
            variables.push(("LD_LIBRARY_PATH", libraries.into()));
            variables.push(("WASI_SYSROOT", root.into()));
        }
        "go" => {
            folders.push(folder_of(installed::python("go", "go")?));
            folders.push(folder_of(installed::npm("toolchains", ".bin/jco")?));
            variables.push(("GOTOOLCHAIN", "local".into()));
        }
        "js" => folders.push(folder_of(installed::npm(
            "toolchains",
            ".bin/componentize-qjs",
        )?)),
        "python" => folders.push(folder_of(installed::python(
            "componentize-py",
            "componentize-py",
        )?)),
        _ => {}
    }
    let path = env::var_os("PATH").unwrap_or_default();
    folders.extend(env::split_paths(&path));
    variables.push(("PATH", env::join_paths(folders)?));
    Ok(variables)
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(())
}
