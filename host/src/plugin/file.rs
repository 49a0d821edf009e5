//! The bytes of one component: read once, within bounds, and known by their digest from then on. Everything that follows
//! (approval, static reading, compilation) works on these bytes, so that a file that changes meanwhile changes nothing.
//!
//! A name is not trusted to be a file: a FIFO would block for ever, `/dev/zero` never ends, and a sparse file claims any
//! size. Each gets one clear error before a byte of it is hashed. Called by whoever loads components; blocks.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use bytes::Bytes;
use rustix::fs::{Mode, OFlags};
use sha2::{Digest, Sha256};

use crate::event::escape::push_hex;

/// A Python component, the largest kind that authors build, has 20 to 40 MB. The bytes are in memory while they are read
/// and compiled.
pub const MAX_COMPONENT_BYTES: u64 = 128 << 20;

/// What tells a component from other files.
const HEAD_BYTES: usize = 8;

/// Before the hex digits of a digest.
const DIGEST_PREFIX: &str = "sha256:";

/// The bytes of a component with their digest. Clones share the bytes.
#[derive(Clone)]
pub struct ComponentFile {
    bytes: Bytes,
    digest: String,
}

/// Why a file is not read as a component.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system refuses.
    #[error("cannot be read")]
    Read(#[source] io::Error),
    /// Nothing that holds bytes of its own.
    #[error("is {found}, not a regular file: name the `.wasm` file of an exporter")]
    NotRegular {
        /// What it is.
        found: &'static str,
    },
    /// Larger than any exporter.
    #[error(
        "is too large: it has {size_bytes} bytes, and a component may have {MAX_COMPONENT_BYTES}"
    )]
    TooLarge {
        /// What the file system says, or what was read of a file that grew.
        size_bytes: u64,
    },
    /// The file is something else.
    #[error("not a WebAssembly component but {found}: {fix}")]
    NotAComponent {
        /// What it looks like.
        found: &'static str,
        /// What to do.
        fix: &'static str,
    },
}

impl ComponentFile {
    /// Reads a regular file. Symbolic links are followed, and what they lead to must be a regular file, too. Blocks.
    ///
    /// # Errors
    /// See [`FileError`].
    pub fn read(path: &Path) -> Result<Self, FileError> {
        // Before it is opened, because opening a device may do something, and a socket cannot be opened at all.
        check_regular(&std::fs::metadata(path).map_err(FileError::Read)?)?;
        let mut file = open(path).map_err(FileError::Read)?;
        let metadata = file.metadata().map_err(FileError::Read)?;
        check_regular(&metadata)?;
        let mut head = Vec::with_capacity(HEAD_BYTES);
        read_up_to(&mut file, HEAD_BYTES as u64, &mut head)?;
        check_header(&head)?;
        if metadata.len() > MAX_COMPONENT_BYTES {
            let size_bytes = metadata.len();
            return Err(FileError::TooLarge { size_bytes });
        }
        let mut bytes = head;
        let expected = usize::try_from(metadata.len()).unwrap_or_default();
        bytes
            .try_reserve_exact(expected.saturating_sub(bytes.len()).saturating_add(1))
            .map_err(|error| FileError::Read(io::Error::new(io::ErrorKind::OutOfMemory, error)))?;
        // One byte more than is allowed shows that the file has grown over it.
        let rest = MAX_COMPONENT_BYTES + 1 - bytes.len() as u64;
        read_up_to(&mut file, rest, &mut bytes)?;
        Self::from_bytes(bytes.into())
    }

    /// Takes bytes that are in memory already.
    ///
    /// # Errors
    /// [`FileError::TooLarge`] and [`FileError::NotAComponent`].
    pub fn from_bytes(bytes: Bytes) -> Result<Self, FileError> {
        let size_bytes = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if size_bytes > MAX_COMPONENT_BYTES {
            return Err(FileError::TooLarge { size_bytes });
        }
        check_header(&bytes)?;
        let mut digest = DIGEST_PREFIX.to_owned();
        push_hex(&mut digest, &Sha256::digest(&bytes));
        Ok(Self { bytes, digest })
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The SHA-256 of exactly these bytes: `sha256:` and lower-case hex.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The hex digits of the digest.
    pub(super) fn digest_hex(&self) -> &str {
        self.digest.strip_prefix(DIGEST_PREFIX).unwrap_or_default()
    }

    /// The number of bytes.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        u64::try_from(self.bytes.len()).unwrap_or(u64::MAX)
    }
}

impl std::fmt::Debug for ComponentFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ComponentFile")
            .field("digest", &self.digest)
            .field("size_bytes", &self.size_bytes())
            .finish()
    }
}

/// Does not wait for a writer where the name has become a FIFO since it was looked at.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

fn read_up_to(file: &mut File, most: u64, bytes: &mut Vec<u8>) -> Result<(), FileError> {
    let read = file.take(most).read_to_end(bytes);
    read.map(drop).map_err(FileError::Read)
}

fn check_regular(metadata: &std::fs::Metadata) -> Result<(), FileError> {
    let kind = metadata.file_type();
    let found = match kind {
        _ if kind.is_file() => return Ok(()),
        _ if kind.is_dir() => "a directory",
        _ if kind.is_fifo() => "a FIFO",
        _ if kind.is_socket() => "a socket",
        _ if kind.is_char_device() || kind.is_block_device() => "a device",
        _ => "something else",
    };
    Err(FileError::NotRegular { found })
}

fn check_header(bytes: &[u8]) -> Result<(), FileError> {
    let wrong = |found, fix| Err(FileError::NotAComponent { found, fix });
    match bytes {
        [0, b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => Ok(()),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => wrong(
            "a core WebAssembly module",
            "build for the target wasm32-wasip2, or run `wasm-tools component new` on it",
        ),
        [0, b'a', b's', b'm', ..] => wrong(
            "of another version of WebAssembly",
            "rebuild it with current tools",
        ),
        [] => wrong("an empty file", "build it again"),
        _ => wrong("something else", "name the `.wasm` file of an exporter"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;

    use super::*;

    const HEAD: &[u8] = b"\0asm\x0d\0\x01\0";

    fn refusal(path: &Path) -> String {
        ComponentFile::read(path).unwrap_err().to_string()
    }

    fn fifo(directory: &Path) -> PathBuf {
        let path = directory.join("fifo.wasm");
        let mode = Mode::RUSR | Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        path
    }

    #[test]
    fn what_is_no_regular_file_is_named_and_not_opened() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let fifo = fifo(directory.path());
        let _socket = UnixListener::bind(at("socket.wasm")).unwrap();
        std::fs::create_dir(at("directory.wasm")).unwrap();
        for (name, target) in [
            ("link-to-fifo", fifo.clone()),
            ("link-to-zero", PathBuf::from("/dev/zero")),
            ("link-to-directory", at("directory.wasm")),
            ("link-to-socket", at("socket.wasm")),
        ] {
            symlink(target, at(name)).unwrap();
        }
        for (path, found) in [
            (fifo, "a FIFO"),
            (at("link-to-fifo"), "a FIFO"),
            ("/dev/zero".into(), "a device"),
            (at("link-to-zero"), "a device"),
            (at("directory.wasm"), "a directory"),
            (at("link-to-directory"), "a directory"),
            (at("socket.wasm"), "a socket"),
            (at("link-to-socket"), "a socket"),
        ] {
            let expected =
                format!("is {found}, not a regular file: name the `.wasm` file of an exporter");
            assert_eq!(refusal(&path), expected, "{}", path.display());
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("missing.wasm");
        assert!(matches!(
            ComponentFile::read(&missing),
            Err(FileError::Read(error)) if error.kind() == io::ErrorKind::NotFound
        ));
        let locked = directory.path().join("locked.wasm");
        std::fs::write(&locked, HEAD).unwrap();
        std::fs::set_permissions(&locked, PermissionsExt::from_mode(0o000)).unwrap();
        // A superuser may read it all the same.
        if File::open(&locked).is_err() {
            assert_eq!(refusal(&locked), "cannot be read");
        }
    }

    #[test]
    fn a_sparse_file_is_refused_by_its_header_or_its_size_before_it_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sparse.wasm");
        let file = File::create(&path).unwrap();
        file.set_len(20 << 30).unwrap();
        assert!(refusal(&path).contains("not a WebAssembly component"));
        std::os::unix::fs::FileExt::write_all_at(&file, HEAD, 0).unwrap();
        let message = refusal(&path);
        assert!(
            message.contains("21474836480 bytes") && message.contains("may have 134217728"),
            "{message}"
        );
    }

    #[test]
    fn the_digest_is_that_of_the_bytes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.wasm");
        std::fs::write(&path, HEAD).unwrap();
        let file = ComponentFile::read(&path).unwrap();
        // What comes into the file afterwards is not in the bytes.
        std::fs::write(&path, b"changed").unwrap();
        assert_eq!(file.bytes(), HEAD);
        assert_eq!(file.size_bytes(), 8);
        let hex = "24eaf3439a60c96764c4f2c92a0a81b52bd4fe5d5b91f090184a0f6486b1bf29";
        assert_eq!(file.digest(), format!("sha256:{hex}"));
        let same = ComponentFile::from_bytes(Bytes::from_static(HEAD)).unwrap();
        assert_eq!(same.digest(), file.digest());
        assert_eq!(same.digest_hex(), hex);
    }
}
