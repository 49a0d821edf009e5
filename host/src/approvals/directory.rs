//! The host's state directory: where it lies, and that nobody else can write it.
//!
//! Approvals decide which programs see prompts and keys, so a directory that another user can change is refused. A parent
//! that others can write is fine when it is sticky, as `/tmp` is: nobody can rename there what is not theirs. Below a data
//! directory the host trusts no parent: Kubernetes volumes are often open to a group or to everybody. It keeps to a folder of
//! its own there, which must be its user's, with mode 0700.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};

use crate::config::Environment;

const FOLDER: &str = "mastra-host";
const STICKY: u32 = 0o1000;
const GROUP_WRITE: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;

/// Why a directory is not used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// Somebody else can change what lies in it.
    #[error(
        "{} can be written by other users (mode {mode:04o}); {fix}", .directory.display()
    )]
    OpenToOthers {
        /// The directory or its parent.
        directory: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// What to do.
        fix: String,
    },
    /// Another user has made it.
    #[error("{} belongs to user {owner}, and this process runs as user {user}; name another directory with --state-dir", .directory.display())]
    NotOurs {
        /// The directory.
        directory: PathBuf,
        /// Its owner's id.
        owner: u32,
        /// This process's user id.
        user: u32,
    },
    /// It is a link or a file.
    #[error("{} is not a directory", .directory.display())]
    NotADirectory {
        /// The path.
        directory: PathBuf,
    },
    /// The system refused.
    #[error("cannot use {}", .directory.display())]
    Io {
        /// The directory.
        directory: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Where the state directory is, and which of its parents must be closed to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDirectory {
    path: PathBuf,
    /// Below a data directory only the host's own folder counts.
    is_in_data_directory: bool,
}

impl StateDirectory {
    /// The directory in this order: `named` (`--state-dir`), `$STATE_DIRECTORY`, `$XDG_STATE_HOME/mastra-host`,
    /// `$HOME/.local/state/mastra-host`, `<data_dir>/state`. Makes nothing.
    #[must_use]
    pub fn choose(named: Option<&Path>, environment: &Environment, data_dir: &Path) -> Self {
        let variable = |name: &str| {
            let value = environment.get(name).filter(|value| !value.is_empty());
            // systemd lists several directories with colons between them.
            let first = value.and_then(|value| value.split(':').next());
            first.map(PathBuf::from).filter(|path| path.is_absolute())
        };
        let of_user = || {
            let home = || Some(variable("HOME")?.join(".local/state"));
            Some(variable("XDG_STATE_HOME").or_else(home)?.join(FOLDER))
        };
        let outside = named
            .map(Path::to_owned)
            .or_else(|| variable("STATE_DIRECTORY"))
            .or_else(of_user);
        match outside {
            Some(path) => Self {
                path,
                is_in_data_directory: false,
            },
            None => Self {
                path: data_dir.join("state"),
                is_in_data_directory: true,
            },
        }
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the directory for its owner alone, or checks the one that is there.
    ///
    /// # Errors
    /// [`DirectoryError`]
    pub fn make(&self) -> Result<(), DirectoryError> {
        if self.is_in_data_directory {
            return own_directory(&self.path);
        }
        own_directory(&self.path)?;
        closed_to_others(&self.path)
    }

    /// Checks the directory if it is there. Returns whether it is.
    ///
    /// # Errors
    /// [`DirectoryError`]
    pub fn check(&self) -> Result<bool, DirectoryError> {
        match fs::symlink_metadata(&self.path) {
            Ok(_) => self.make().map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(DirectoryError::Io {
                directory: self.path.clone(),
                source,
            }),
        }
    }
}

/// Makes a directory of mode 0700, with the parents that are missing, or checks that the one that is there is this user's
/// and takes the rights of others away.
///
/// # Errors
/// [`DirectoryError`]
pub fn own_directory(path: &Path) -> Result<(), DirectoryError> {
    let failed = |source| DirectoryError::Io {
        directory: path.to_owned(),
        source,
    };
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    // A link to a directory, or a file, is told apart below.
    if let Err(error) = made
        && error.kind() != io::ErrorKind::AlreadyExists
    {
        return Err(failed(error));
    }
    let metadata = fs::symlink_metadata(path).map_err(failed)?;
    if !metadata.is_dir() {
        return Err(DirectoryError::NotADirectory {
            directory: path.to_owned(),
        });
    }
    let user = rustix::process::geteuid().as_raw();
    if metadata.uid() != user {
        return Err(DirectoryError::NotOurs {
            directory: path.to_owned(),
            owner: metadata.uid(),
            user,
        });
    }
    if metadata.mode() & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(failed)?;
    }
    Ok(())
}

/// Checks that no other user can change the directory, or put another one in its place.
///
/// # Errors
/// [`DirectoryError`]
pub fn closed_to_others(directory: &Path) -> Result<(), DirectoryError> {
    let real = directory
        .canonicalize()
        .map_err(|source| DirectoryError::Io {
            directory: directory.to_owned(),
            source,
        })?;
    for (depth, part) in real.ancestors().enumerate() {
        let metadata = fs::symlink_metadata(part).map_err(|source| DirectoryError::Io {
            directory: part.to_owned(),
            source,
        })?;
        let mode = metadata.mode() & 0o7777;
        let is_sticky_parent = depth > 0 && mode & STICKY != 0;
        if is_open(&metadata) && !is_sticky_parent {
            return Err(DirectoryError::OpenToOthers {
                directory: part.to_owned(),
                mode,
                fix: format!("run `chmod go-w {}`, or use another directory", shown(part)),
            });
        }
    }
    Ok(())
}

/// A group that has the user's own number is the user's alone, as Debian and Fedora set users up.
fn is_open(metadata: &fs::Metadata) -> bool {
    let mode = metadata.mode();
    let is_private_group = metadata.uid() == metadata.gid();
    mode & OTHERS_WRITE != 0 || (mode & GROUP_WRITE != 0 && !is_private_group)
}

fn shown(path: &Path) -> String {
    let is_plain = |part: &OsStr| {
        let text = part.to_string_lossy();
        text.chars()
            .all(|c| c.is_alphanumeric() || "-_.+@".contains(c))
    };
    let is_plain = path.components().all(|part| match part {
        Component::Normal(part) => is_plain(part),
        _ => true,
    });
    if is_plain {
        path.display().to_string()
    } else {
        format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn the_state_directory_is_the_first_that_is_named() {
        let all = [
            ("STATE_DIRECTORY", "/var/lib/mastra-host:/var/lib/other"),
            ("XDG_STATE_HOME", "/xdg"),
            ("HOME", "/home/a"),
        ];
        let choose = |named: Option<&str>, from: usize| {
            let environment = environment(&all[from..]);
            let chosen =
                StateDirectory::choose(named.map(Path::new), &environment, Path::new("/data"));
            chosen.path().display().to_string()
        };
        assert_eq!(choose(Some("here"), 0), "here");
        assert_eq!(choose(None, 0), "/var/lib/mastra-host");
        assert_eq!(choose(None, 1), "/xdg/mastra-host");
        assert_eq!(choose(None, 2), "/home/a/.local/state/mastra-host");
        assert_eq!(choose(None, 3), "/data/state");
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn below_a_data_directory_of_any_mode_the_host_has_a_folder_of_its_own() {
        for open in [0o777, 0o2775, 0o1777, 0o755] {
            let data = tempfile::tempdir().unwrap();
            fs::set_permissions(data.path(), fs::Permissions::from_mode(open)).unwrap();
            let state = StateDirectory::choose(None, &Environment::new(), data.path());
            assert!(!state.check().unwrap());
            state.make().unwrap();
            assert_eq!(mode(state.path()), 0o700);
            assert!(state.check().unwrap());
            fs::set_permissions(state.path(), fs::Permissions::from_mode(0o777)).unwrap();
            state.make().unwrap();
            assert_eq!(mode(state.path()), 0o700, "others lose what they had");
        }
    }

    #[test]
    fn a_directory_below_one_that_others_can_write_is_refused_unless_that_is_sticky() {
        for (open, is_fine) in [
            (0o777, false),
            (0o2777, false),
            (0o1777, true),
            (0o755, true),
        ] {
            let parent = tempfile::tempdir().unwrap();
            fs::set_permissions(parent.path(), fs::Permissions::from_mode(open)).unwrap();
            let named = parent.path().join("state");
            let state = StateDirectory::choose(Some(&named), &Environment::new(), Path::new("d"));
            let made = state.make();
            assert_eq!(made.is_ok(), is_fine, "{open:o}: {made:?}");
            if let Err(error) = made {
                let text = error.to_string();
                assert!(text.contains("can be written by other users"), "{text}");
                assert!(text.contains("chmod go-w"), "{text}");
            }
        }
    }

    #[test]
    fn a_link_is_not_taken_for_the_hosts_own_folder() {
        let data = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), data.path().join("state")).unwrap();
        let state = StateDirectory::choose(None, &Environment::new(), data.path());
        assert!(matches!(
            state.make(),
            Err(DirectoryError::NotADirectory { .. })
        ));
    }
}
