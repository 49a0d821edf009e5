//! The components that are part of the binary. They are trusted with it, wherever a file with one of their digests lies.
//!
//! The build takes the archive that `MASTRA_HOST_COMPONENTS` names (`host/build.rs`); without it nothing is embedded. The
//! archive's index gives names, digests and environment variables at once; a component is unpacked when it is wanted.

use std::sync::LazyLock;

use component_archive::{ArchiveError, Entry};

include!(concat!(env!("OUT_DIR"), "/components.rs"));

/// The index, read once. An archive whose index cannot be read counts as none; `tests` hold that the built one can be.
static EMBEDDED: LazyLock<Vec<Embedded>> = LazyLock::new(|| {
    let entries = ARCHIVE.map(component_archive::index);
    let entries = entries.and_then(Result::ok).unwrap_or_default();
    entries
        .into_iter()
        .map(|entry| Embedded { entry })
        .collect()
});

/// An embedded component.
#[derive(Debug, PartialEq, Eq)]
pub struct Embedded {
    entry: Entry,
}

impl Embedded {
    /// Returns the name that the component gives itself.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.entry.name
    }

    /// Returns `sha256:` and the digest in hex.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.entry.digest
    }

    /// Returns the size of the component in bytes.
    #[must_use]
    pub const fn size_bytes(&self) -> u64 {
        self.entry.size_bytes
    }

    /// Returns the environment variables that its settings declare, sorted.
    #[must_use]
    pub fn variables(&self) -> &[String] {
        &self.entry.variables
    }

    /// Unpacks the component, which takes some milliseconds, and checks its digest.
    ///
    /// # Errors
    /// Returns an error when the binary's archive is damaged.
    pub fn bytes(&self) -> Result<Vec<u8>, ArchiveError> {
        component_archive::component(ARCHIVE.unwrap_or_default(), &self.entry)
    }
}

/// Returns the embedded components, sorted by name. The slice is empty in a binary that was built without an archive.
#[must_use]
pub fn all() -> &'static [Embedded] {
    &EMBEDDED
}

/// Returns the names of the embedded components, sorted.
#[must_use]
pub fn names() -> Vec<&'static str> {
    all().iter().map(Embedded::name).collect()
}

/// Returns the embedded component of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Embedded> {
    all().iter().find(|embedded| embedded.name() == name)
}

/// Returns the embedded component with this digest (`sha256:` and hex).
#[must_use]
pub fn by_digest(digest: &str) -> Option<&'static Embedded> {
    all().iter().find(|embedded| embedded.digest() == digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Holds for the binary's archive when the tests are built with one, and for none.
    #[test]
    fn every_embedded_component_unpacks_to_its_digest() {
        assert_eq!(ARCHIVE.is_some(), !all().is_empty());
        for embedded in all() {
            let bytes = embedded.bytes().unwrap();
            assert_eq!(bytes.len() as u64, embedded.size_bytes());
            assert_eq!(find(embedded.name()), Some(embedded));
            assert_eq!(by_digest(embedded.digest()), Some(embedded));
        }
        assert_eq!(find("no-such-component"), None);
        assert_eq!(by_digest(""), None);
    }
}
