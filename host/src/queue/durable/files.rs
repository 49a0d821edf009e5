//! The file layer of the durable queue: the few things that it asks of a disk, so that tests can put a failing one in.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, FileExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Only the owner may look: prompts lie in the files.
const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;

/// How much one write call hands to the kernel. Larger ones cost several times the CPU a byte, since the page cache
/// then fills fresh pages and not the ones that it has just given up.
const WRITE_BYTES: usize = 256 * 1024;

/// An open file.
pub trait LogFile: Send + Sync {
    /// Fills `buffer` from `offset` on.
    ///
    /// # Errors
    /// What the system said; `UnexpectedEof` when the file ends before.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`. After an error any part of it may be written.
    ///
    /// # Errors
    /// What the system said.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Cuts the file to `length` bytes.
    ///
    /// # Errors
    /// What the system said.
    fn cut(&self, length: u64) -> io::Result<()>;

    /// Returns when everything written is on the disk. After an error nothing is known of what was written before.
    ///
    /// # Errors
    /// What the system said.
    fn sync(&self) -> io::Result<()>;

    /// Bytes in the file.
    ///
    /// # Errors
    /// What the system said.
    fn length(&self) -> io::Result<u64>;

    /// The system need not keep in its memory what was written and synced so far.
    fn uncache(&self);
}

/// A disk.
pub trait Files: Send + Sync + 'static {
    /// Makes the directory, for its owner only.
    ///
    /// # Errors
    /// What the system said.
    fn make_directory(&self, directory: &Path) -> io::Result<()>;

    /// Files in a directory.
    ///
    /// # Errors
    /// What the system said.
    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>>;

    /// Makes a file or empties it.
    ///
    /// # Errors
    /// What the system said.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn LogFile>>;

    /// Opens a file that is there.
    ///
    /// # Errors
    /// What the system said.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogFile>>;

    /// Removes a file.
    ///
    /// # Errors
    /// What the system said.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Returns when the directory's entries are on the disk.
    ///
    /// # Errors
    /// What the system said.
    fn sync_directory(&self, directory: &Path) -> io::Result<()>;
}

/// The real one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl LogFile for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut at = offset;
        for part in bytes.chunks(WRITE_BYTES) {
            self.write_all_at(part, at)?;
            at += part.len() as u64;
        }
        Ok(())
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn length(&self) -> io::Result<u64> {
        self.metadata().map(|metadata| metadata.len())
    }

    #[cfg(any(target_os = "linux", target_os = "freebsd"))]
    fn uncache(&self) {
        let _only_advice = rustix::fs::fadvise(self, 0, None, rustix::fs::Advice::DontNeed);
    }

    #[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
    fn uncache(&self) {}
}

impl Files for Disk {
    fn make_directory(&self, directory: &Path) -> io::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(DIRECTORY_MODE)
            .create(directory)?;
        if fs::metadata(directory)?.permissions().mode() & 0o777 == DIRECTORY_MODE {
            return Ok(());
        }
        fs::set_permissions(directory, Permissions::from_mode(DIRECTORY_MODE))
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        fs::read_dir(directory)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect()
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(FILE_MODE)
            .open(path)?;
        Ok(Arc::new(file))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        Ok(Arc::new(
            OpenOptions::new().read(true).write(true).open(path)?,
        ))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        File::open(directory)?.sync_all()
    }
}
