//! Compiled components on disk, so that a start maps code instead of compiling it.
//!
//! # Trust
//! Mapping compiled code runs it: wasmtime checks a file's header and version, not its instructions. The cache is
//! therefore no root of trust. What a component is stays decided by its own bytes (approval records *their* digest); an
//! entry is only a faster way to what compiling those bytes would give, and is named by their SHA-256 and a
//! hash of wasmtime's version and the engine's settings.
//!
//! An attacker who can write entries owns the host's user account already, or the cache is misplaced. The second is
//! refused here: the directory must belong to the process's user with no access for others (mode 0700), and a file must be
//! a plain file of that user with no write access for others. Damage (a torn write, a full disk, a bad sector) is found by
//! a checksum beside the file. Whatever does not pass is compiled again and replaced.
//!
//! Called by `component` from blocking threads. Refuses nothing to its caller: every failure is a miss, logged.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use wasmtime::component::Component;
use xxhash_rust::xxh3::Xxh3;

use super::engine;

/// Entries kept; the longest unused go first. Exporters of one machine times the versions that overlap in an upgrade.
const MAX_ENTRIES: usize = 64;

/// The cache of one engine configuration.
#[derive(Debug)]
pub(super) struct Cache {
    directory: PathBuf,
    /// The user that every entry must belong to.
    owner: u32,
    /// See [`engine::configuration`].
    configuration: String,
}

impl Cache {
    /// Makes the directory if it is missing and checks whose it is.
    ///
    /// # Errors
    /// The directory cannot be made or written to, belongs to another user, or lets others in.
    pub(super) fn open(directory: &Path, engine: &wasmtime::Engine) -> io::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
        // The user of a file made just now is this process's user, on every Unix and without asking libc.
        let probe = directory.join(format!(".owner-{}", std::process::id()));
        let owner = private_file(&probe)?.metadata()?.uid();
        fs::remove_file(&probe)?;
        let metadata = fs::symlink_metadata(directory)?;
        if !metadata.is_dir() || metadata.uid() != owner {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "not a directory of this process's user",
            ));
        }
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "others have access: run `chmod 700` on the directory",
            ));
        }
        Ok(Self {
            directory: directory.to_owned(),
            owner,
            configuration: engine::configuration(engine),
        })
    }

    /// The entry for a component of this digest, mapped; `None` if there is none that may be used.
    pub(super) fn load(&self, engine: &wasmtime::Engine, digest: &str) -> Option<Component> {
        let path = self.entry(digest);
        match self.check(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(entry = %path.display(), %error, "Cached code is not used; compiling again.");
                return None;
            }
        }
        #[expect(
            unsafe_code,
            reason = "the file was written by this user's host for these settings, and is undamaged"
        )]
        // SAFETY: see this module's section on trust. `check` has seen that the file is this user's alone and is byte
        // for byte what `store` wrote; its name says that `store` wrote it for this engine's settings.
        let loaded = unsafe { Component::deserialize_file(engine, &path) };
        loaded
            .inspect_err(|error| {
                tracing::warn!(entry = %path.display(), %error, "Cached code does not load; compiling again.");
            })
            .ok()
    }

    /// What [`Self::load`] does, for code that was compiled for this process a moment ago and could not be kept.
    pub(super) fn from_memory(
        engine: &wasmtime::Engine,
        code: &[u8],
    ) -> wasmtime::Result<Component> {
        #[expect(
            unsafe_code,
            reason = "the code has just come out of our own compiler, for this engine"
        )]
        // SAFETY: the only caller passes what `Engine::precompile_component` returned for this engine's settings, in this
        // process or in a child that runs this same program; see `compiler`.
        unsafe {
            Component::deserialize(engine, code)
        }
    }

    /// Keeps compiled code for the next start. A failure costs that start its speed and is logged.
    pub(super) fn store(&self, digest: &str, code: &[u8]) {
        let path = self.entry(digest);
        let mut checksum = Xxh3::new();
        checksum.update(code);
        let written = write_atomically(&path, code)
            .and_then(|()| {
                write_atomically(&checksum_path(&path), &checksum.digest128().to_le_bytes())
            })
            .and_then(|()| self.prune());
        if let Err(error) = written {
            tracing::warn!(entry = %path.display(), %error, "Cannot keep compiled code.");
        }
    }

    fn entry(&self, digest: &str) -> PathBuf {
        self.directory
            .join(format!("{digest}-{}.cwasm", self.configuration))
    }

    /// Whether the entry is this user's alone and undamaged.
    fn check(&self, path: &Path) -> io::Result<()> {
        let expected = read_small(&mut self.open_own(&checksum_path(path))?)?;
        let mut file = self.open_own(path)?;
        let mut checksum = Xxh3::new();
        let mut buffer = vec![0; 64 << 10];
        loop {
            let count = file.read(&mut buffer)?;
            let Some(part) = buffer.get(..count).filter(|part| !part.is_empty()) else {
                break;
            };
            checksum.update(part);
        }
        if checksum.digest128().to_le_bytes() != expected {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the file is damaged",
            ));
        }
        // Marks the entry as used, for `prune`. Worth nothing more than the attempt.
        let _ = file.set_modified(SystemTime::now());
        Ok(())
    }

    fn open_own(&self, path: &Path) -> io::Result<File> {
        if !fs::symlink_metadata(path)?.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "not a plain file",
            ));
        }
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.uid() != self.owner {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "the file belongs to another user",
            ));
        }
        if metadata.permissions().mode() & 0o022 != 0 {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "others can write the file",
            ));
        }
        Ok(file)
    }

    fn prune(&self) -> io::Result<()> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let path = entry.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "cwasm")
            {
                entries.push((entry.metadata()?.modified()?, path));
            }
        }
        entries.sort();
        let surplus = entries.len().saturating_sub(MAX_ENTRIES);
        for (_, path) in entries.into_iter().take(surplus) {
            fs::remove_file(checksum_path(&path)).or_else(missing_is_fine)?;
            fs::remove_file(&path).or_else(missing_is_fine)?;
        }
        Ok(())
    }
}

fn missing_is_fine(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound {
        Ok(())
    } else {
        Err(error)
    }
}

fn checksum_path(path: &Path) -> PathBuf {
    path.with_extension("xxh3")
}

fn read_small(file: &mut File) -> io::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
}

/// Two hosts that start together may write the same entry; each renames a file of its own into place.
fn write_atomically(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension(format!(
        "tmp-{}-{:08x}",
        std::process::id(),
        fastrand::u32(..)
    ));
    let written = private_file(&temporary).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_data()?;
        fs::rename(&temporary, path)
    });
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}
