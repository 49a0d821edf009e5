//! The archive of components that `mastra-host` embeds: a tar of the components, compressed as one with zstd, because
//! components share most of their code. The packing tool writes it, the host reads it.
//!
//! The first file is `index.json`: the name, the digest and the environment variables of each component. The rest is one
//! `<name>.wasm` per component, in the order of the index. Names are sorted and times are zero, so that the same
//! components give the same bytes.

use std::io::{self, Read, Write as _};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The name of the first file.
const INDEX: &str = "index.json";
/// Below its compressed size and above what any component has, so that a damaged size cannot ask for all memory.
const MAX_COMPONENT_BYTES: u64 = 64 << 20;
/// The best of the fast levels: 0.6 MB of 6 MB, and as quick to unpack as the others.
const LEVEL: i32 = 19;

/// What the index says of one component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The name that the component gives itself.
    pub name: String,
    /// `sha256:` and the digest of the file in hex.
    pub digest: String,
    /// The size of the file.
    pub size_bytes: u64,
    /// The environment variables that its settings schema declares (`x-env`), sorted.
    pub variables: Vec<String>,
}

/// A component to pack.
#[derive(Clone, Debug)]
pub struct Component {
    /// The name that the component gives itself.
    pub name: String,
    /// The environment variables that its settings schema declares.
    pub variables: Vec<String>,
    /// The file.
    pub bytes: Vec<u8>,
}

/// An archive that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The archive is cut or was damaged.
    #[error("the archive of embedded components cannot be read")]
    Unreadable(#[from] io::Error),
    /// The index is not what this version writes.
    #[error("the index of the embedded components is not valid")]
    Index(#[from] serde_json::Error),
    /// A component has another digest than the index says.
    #[error("embedded component `{name}` has the digest {found}, but the index says {wanted}")]
    Digest {
        /// The component.
        name: String,
        /// The digest of what was unpacked.
        found: String,
        /// The digest in the index.
        wanted: String,
    },
}

/// Returns `sha256:` and the digest of the bytes in hex.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// Returns the archive of the components.
///
/// # Errors
/// Returns the error of the compression, or of a name that tar cannot hold.
pub fn write(components: &[Component]) -> io::Result<Vec<u8>> {
    let mut sorted: Vec<&Component> = components.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    let index: Vec<Entry> = sorted.iter().map(|component| entry(component)).collect();
    let compressor = zstd::Encoder::new(Vec::new(), LEVEL)?;
    let mut tar = tar::Builder::new(compressor);
    append(&mut tar, INDEX, &serde_json::to_vec(&index)?)?;
    for component in sorted {
        append(&mut tar, &file_name(&component.name), &component.bytes)?;
    }
    let mut compressor = tar.into_inner()?;
    compressor.flush()?;
    compressor.finish()
}

fn entry(component: &Component) -> Entry {
    let mut variables = component.variables.clone();
    variables.sort();
    variables.dedup();
    Entry {
        name: component.name.clone(),
        digest: digest(&component.bytes),
        size_bytes: component.bytes.len() as u64,
        variables,
    }
}

fn append(tar: &mut tar::Builder<impl io::Write>, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(0);
    tar.append_data(&mut header, name, bytes)
}

fn file_name(component: &str) -> String {
    format!("{component}.wasm")
}

/// Returns what the archive holds. Only the beginning of the archive is decompressed.
///
/// # Errors
/// See [`ArchiveError`].
pub fn index(archive: &[u8]) -> Result<Vec<Entry>, ArchiveError> {
    let bytes = file(archive, INDEX, MAX_COMPONENT_BYTES)?;
    Ok(serde_json::from_slice(&bytes)?)
}

/// Returns the file of one component, after a check of its digest.
///
/// # Errors
/// See [`ArchiveError`].
pub fn component(archive: &[u8], entry: &Entry) -> Result<Vec<u8>, ArchiveError> {
    let bytes = file(archive, &file_name(&entry.name), entry.size_bytes)?;
    let found = digest(&bytes);
    if found != entry.digest {
        return Err(ArchiveError::Digest {
            name: entry.name.clone(),
            found,
            wanted: entry.digest.clone(),
        });
    }
    Ok(bytes)
}

/// Returns the file of this name, read up to `max_bytes`.
fn file(archive: &[u8], name: &str, max_bytes: u64) -> Result<Vec<u8>, ArchiveError> {
    let mut tar = tar::Archive::new(zstd::Decoder::with_buffer(archive)?);
    for file in tar.entries()? {
        let file = file?;
        if file.path_bytes().as_ref() == name.as_bytes() {
            let mut bytes = Vec::new();
            file.take(max_bytes.min(MAX_COMPONENT_BYTES))
                .read_to_end(&mut bytes)?;
            return Ok(bytes);
        }
    }
    Err(io::Error::new(io::ErrorKind::NotFound, format!("there is no {name} in it")).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(name: &str, bytes: &[u8]) -> Component {
        Component {
            name: name.to_owned(),
            variables: vec!["B".to_owned(), "A".to_owned(), "B".to_owned()],
            bytes: bytes.to_vec(),
        }
    }

    #[test]
    fn what_is_packed_comes_back_by_name() {
        let archive = write(&[sample("two", &[2; 400_000]), sample("one", b"1")]).unwrap();
        let index = index(&archive).unwrap();
        let names: Vec<&str> = index.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["one", "two"]);
        assert_eq!(index[0].variables, ["A", "B"]);
        assert_eq!(component(&archive, &index[1]).unwrap(), [2; 400_000]);
        assert_eq!(component(&archive, &index[0]).unwrap(), b"1");
    }

    #[test]
    fn the_order_of_the_components_does_not_matter() {
        let (one, two) = (sample("one", b"1"), sample("two", b"2"));
        let archive = write(&[one.clone(), two.clone()]).unwrap();
        assert_eq!(archive, write(&[two, one]).unwrap());
    }

    #[test]
    fn bytes_that_are_not_those_of_the_index_are_refused() {
        let archive = write(&[sample("one", b"1")]).unwrap();
        let mut entry = index(&archive).unwrap().remove(0);
        entry.digest = digest(b"2");
        let error = component(&archive, &entry).unwrap_err();
        assert!(matches!(error, ArchiveError::Digest { .. }), "{error}");
    }

    #[test]
    fn a_cut_archive_is_an_error() {
        let archive = write(&[sample("one", &[7; 100_000])]).unwrap();
        let entry = index(&archive).unwrap().remove(0);
        assert!(component(&archive[..archive.len() / 2], &entry).is_err());
        assert!(index(&[]).is_err());
    }
}
