//! The approvals as they lie in the state directory: `approvals.json`, and the approved bytes in `components/<hex>.wasm`.
//!
//! An approval is keyed by the component's digest and by the exporter that may run it. Where the file lay is kept for
//! people, and to tell that a file which was approved has changed; a path never approves anything. Bytes are kept by
//! digest, so that the host runs on what was approved while a changed file waits. What is read back is trusted only when
//! its digest is the approved one.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::directory::{DirectoryError, StateDirectory, own_directory};
use super::grants::Grants;

/// Name of the file in the state directory.
pub const FILE_NAME: &str = "approvals.json";
const COMPONENTS: &str = "components";
/// Format that this host writes.
const FORMAT: u32 = 1;
/// Far above what an operator approves; a larger file is not ours.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// One program that may run as one exporter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// The exporter's id.
    pub exporter: String,
    /// `sha256:` and hex.
    pub digest: String,
    /// The component's name.
    pub name: String,
    /// Its version when it was approved.
    pub version: String,
    /// Where the file was, absolute.
    pub file: Option<PathBuf>,
    /// All that it asked for then.
    pub grants: Grants,
    /// Variables that it may have beyond its own.
    pub variables: BTreeSet<String>,
    /// Whose word it was.
    pub by: ApprovedBy,
    /// When, RFC 3339.
    pub approved_at: String,
}

/// On whose word an approval was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovedBy {
    /// `plugin approve`, or the answer to a question.
    Command,
    /// A config that names the file.
    Config,
    /// The host: it was one of its own components.
    Host,
}

/// All approvals of a state directory, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Approvals {
    all: Vec<Approval>,
    /// Where the approved bytes are kept.
    bytes: PathBuf,
}

/// The approvals cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ApprovalsError {
    /// The state directory is not to be trusted.
    #[error("the state directory cannot be used")]
    Directory(#[from] DirectoryError),
    /// Reading or writing failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not JSON of the right shape.
    #[error("{} does not hold approvals: remove it and approve the components again", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// Written by a newer host.
    #[error("{} has format {found}, this host reads {FORMAT}: use the newer host, or remove the file and approve again", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    format: u32,
    approvals: Vec<Approval>,
}

impl Approvals {
    /// Reads the approvals of a state directory. No directory and no file are no approvals.
    ///
    /// # Errors
    /// [`ApprovalsError`]
    pub fn read(state: &StateDirectory) -> Result<Self, ApprovalsError> {
        let path = state.path().join(FILE_NAME);
        let failed = |source| ApprovalsError::Io {
            action: "read",
            path: path.clone(),
            source,
        };
        let mut approvals = Self {
            all: Vec::new(),
            bytes: state.path().join(COMPONENTS),
        };
        if !state.check()? {
            return Ok(approvals);
        }
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(approvals),
            Err(error) => return Err(failed(error)),
        };
        let mut text = String::new();
        file.take(MAX_FILE_BYTES)
            .read_to_string(&mut text)
            .map_err(failed)?;
        approvals.all = Self::parse(&text, &path)?;
        Ok(approvals)
    }

    fn parse(text: &str, path: &Path) -> Result<Vec<Approval>, ApprovalsError> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let malformed = |source| ApprovalsError::Malformed {
            path: path.to_owned(),
            source,
        };
        let head: Head = serde_json::from_str(text).map_err(malformed)?;
        if head.format > FORMAT {
            return Err(ApprovalsError::Newer {
                path: path.to_owned(),
                found: head.format,
            });
        }
        let saved: Saved = serde_json::from_str(text).map_err(malformed)?;
        Ok(saved.approvals)
    }

    /// Changes the approvals of a state directory. Several processes take turns; a reader sees the old file or the new.
    ///
    /// # Errors
    /// [`ApprovalsError`]; nothing has changed then.
    pub fn change<T>(
        state: &StateDirectory,
        change: impl FnOnce(&mut Self) -> T,
    ) -> Result<(Self, T), ApprovalsError> {
        state.make()?;
        let path = state.path().join(FILE_NAME);
        let failed = |source| ApprovalsError::Io {
            action: "write",
            path: path.clone(),
            source,
        };
        let turn = private_file(&state.path().join("approvals.lock")).map_err(failed)?;
        rustix::fs::flock(&turn, rustix::fs::FlockOperation::LockExclusive)
            .map_err(|error| failed(error.into()))?;
        let mut approvals = Self::read(state)?;
        let before = approvals.clone();
        let result = change(&mut approvals);
        if approvals != before {
            replace(&path, approvals.to_text().as_bytes()).map_err(failed)?;
            approvals.remove_old_bytes();
        }
        Ok((approvals, result))
    }

    fn to_text(&self) -> String {
        let saved = Saved {
            format: FORMAT,
            approvals: self.all.clone(),
        };
        let mut text = serde_json::to_string_pretty(&saved).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Records an approval; it takes the place of one of the same digest and exporter.
    pub fn add(&mut self, approval: Approval) {
        self.all.retain(|other| {
            (&other.digest, &other.exporter) != (&approval.digest, &approval.exporter)
        });
        self.all.push(approval);
    }

    /// Takes approvals back. Returns them.
    pub fn remove(&mut self, is_meant: impl Fn(&Approval) -> bool) -> Vec<Approval> {
        let (removed, kept) = std::mem::take(&mut self.all)
            .into_iter()
            .partition(is_meant);
        self.all = kept;
        removed
    }

    /// All of them, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Approval> {
        self.all.iter()
    }

    /// The approval of these bytes for this exporter, or else for another one. What `plugin approve` recorded counts wherever
    /// the file lies; what a config or the host let run counts at its own path alone.
    #[must_use]
    pub fn of(&self, digest: &str, exporter: Option<&str>, file: &Path) -> Option<&Approval> {
        let fits = |approval: &&Approval| {
            approval.digest == digest
                && (approval.by == ApprovedBy::Command || approval.file.as_deref() == Some(file))
        };
        let all = || self.all.iter().rev().filter(fits);
        all()
            .find(|approval| Some(approval.exporter.as_str()) == exporter)
            .or_else(|| all().next())
    }

    /// The newest approval of a component or exporter of this name. Only what the operator approved has a name by which it
    /// can be called: what a config or the host itself let run stays at its path.
    #[must_use]
    pub fn of_name(&self, name: &str) -> Option<&Approval> {
        let mut all = self.all.iter().rev();
        all.find(|approval| {
            approval.by == ApprovedBy::Command
                && (approval.exporter == name || approval.name == name)
        })
    }

    /// What was approved last at this path, for `exporter` if one is named.
    #[must_use]
    pub fn of_file(&self, file: &Path, exporter: Option<&str>) -> Option<&Approval> {
        let mut all = self.all.iter().rev();
        all.find(|approval| {
            approval.file.as_deref() == Some(file)
                && exporter.is_none_or(|exporter| approval.exporter == exporter)
        })
    }

    /// Keeps the bytes of a component, so that it can run when its file has changed.
    ///
    /// # Errors
    /// [`ApprovalsError`]
    pub fn keep_bytes(
        state: &StateDirectory,
        digest: &str,
        bytes: &[u8],
    ) -> Result<(), ApprovalsError> {
        state.make()?;
        let directory = state.path().join(COMPONENTS);
        own_directory(&directory)?;
        let path = directory.join(bytes_name(digest));
        let is_there = fs::metadata(&path)
            .is_ok_and(|metadata| metadata.len() == u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if is_there {
            return Ok(());
        }
        replace(&path, bytes).map_err(|source| ApprovalsError::Io {
            action: "write",
            path,
            source,
        })
    }

    /// Where the bytes of this digest lie if they are kept. Whoever reads them checks the digest.
    #[must_use]
    pub fn bytes_path(&self, digest: &str) -> PathBuf {
        self.bytes.join(bytes_name(digest))
    }

    /// Only the newest bytes of each exporter are kept. Best effort: a file too many does no harm.
    fn remove_old_bytes(&self) {
        let mut exporters = BTreeSet::new();
        let wanted: BTreeSet<PathBuf> = self
            .all
            .iter()
            .rev()
            .filter(|approval| exporters.insert((&approval.exporter, &approval.file)))
            .map(|approval| self.bytes_path(&approval.digest))
            .collect();
        for entry in fs::read_dir(&self.bytes).into_iter().flatten().flatten() {
            if !wanted.contains(&entry.path()) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

fn bytes_name(digest: &str) -> String {
    let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
    let hex: String = hex.chars().filter(char::is_ascii_hexdigit).collect();
    format!("{hex}.wasm")
}

fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

/// A reader sees the old bytes or the new, also after a crash.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension(format!("new-{}", std::process::id()));
    let write = || -> io::Result<()> {
        let mut file = private_file(&temporary)?;
        file.set_len(0)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().inspect_err(|_| {
        // Best effort: the error that matters is the first one.
        let _ = fs::remove_file(&temporary);
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;

    fn state() -> (tempfile::TempDir, StateDirectory) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        let state = StateDirectory::choose(Some(&path), &Environment::new(), Path::new("d"));
        (directory, state)
    }

    fn approval(exporter: &str, bytes: &[u8]) -> Approval {
        Approval {
            exporter: exporter.to_owned(),
            digest: crate::approvals::digest(bytes),
            name: exporter.to_owned(),
            version: "1.0.0".to_owned(),
            file: Some(PathBuf::from(format!("/plugins/{exporter}.wasm"))),
            grants: Grants::default(),
            variables: BTreeSet::new(),
            by: ApprovedBy::Command,
            approved_at: "2026-01-01T00:00:00Z".to_owned(),
        }
    }

    #[test]
    fn approvals_are_kept_by_digest_and_exporter() {
        let (_directory, state) = state();
        assert_eq!(Approvals::read(&state).unwrap().iter().count(), 0);
        for (exporter, bytes) in [("a", b"1"), ("a/eu", b"1"), ("a", b"2"), ("a", b"1")] {
            Approvals::change(&state, |all| all.add(approval(exporter, bytes))).unwrap();
        }
        let read = Approvals::read(&state).unwrap();
        let seen: Vec<_> = read
            .iter()
            .map(|a| (a.exporter.as_str(), &a.digest))
            .collect();
        let (one, two) = (approval("a", b"1").digest, approval("a", b"2").digest);
        assert_eq!(seen, [("a/eu", &one), ("a", &two), ("a", &one)]);
        let of = |digest: &str| read.of(digest, Some("a/eu"), Path::new("/elsewhere.wasm"));
        assert_eq!(of(&one).unwrap().exporter, "a/eu");
        assert_eq!(of(&two).unwrap().exporter, "a");
        assert!(of("sha256:00").is_none());
        assert_eq!(read.of_name("a").unwrap().digest, one);
        let (left, removed) =
            Approvals::change(&state, |all| all.remove(|approval| approval.digest == one)).unwrap();
        assert_eq!((left.iter().count(), removed.len()), (1, 2));
    }

    #[test]
    fn what_a_config_let_run_is_approved_at_its_path_alone() {
        let of_config = Approval {
            by: ApprovedBy::Config,
            ..approval("a", b"1")
        };
        let mut approvals = Approvals::default();
        approvals.add(of_config.clone());
        let at = |file: &str| approvals.of(&of_config.digest, Some("a"), Path::new(file));
        assert!(at("/plugins/a.wasm").is_some());
        assert!(at("/elsewhere/a.wasm").is_none());
        assert!(approvals.of_name("a").is_none());
    }

    #[test]
    fn the_newest_bytes_of_each_exporter_are_kept_for_the_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_directory, state) = state();
        for bytes in [b"1", b"2"] {
            let approval = approval("a", bytes);
            Approvals::keep_bytes(&state, &approval.digest, bytes).unwrap();
            Approvals::change(&state, |all| all.add(approval)).unwrap();
        }
        let kept = Approvals::read(&state).unwrap();
        let path = |bytes| kept.bytes_path(&approval("a", bytes).digest);
        assert!(!path(b"1").exists());
        assert_eq!(fs::read(path(b"2")).unwrap(), b"2");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path(b"2")), 0o600);
        assert_eq!(mode(&state.path().join(FILE_NAME)), 0o600);
        assert_eq!(mode(state.path()), 0o700);
    }

    #[test]
    fn a_broken_or_newer_file_is_an_error_and_not_an_empty_list() {
        let path = Path::new("approvals.json");
        assert!(matches!(
            Approvals::parse("{", path),
            Err(ApprovalsError::Malformed { .. })
        ));
        assert!(matches!(
            Approvals::parse(r#"{"format":1,"approvals":[],"more":1}"#, path),
            Err(ApprovalsError::Malformed { .. })
        ));
        assert!(matches!(
            Approvals::parse(r#"{"format":2,"unknown":{}}"#, path),
            Err(ApprovalsError::Newer { found: 2, .. })
        ));
    }
}
