//! What a reference to a component means. One rule for every command:
//!
//! - A name (`acme`) is the component that was approved under it, else the one that is built in.
//! - A path (`./acme.wasm`, `acme.wasm`) is that file; when there is none, the file of that name in the plugins directory;
//!   when there is none either, and the path is relative, the built-in component of that name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Files, Source, tidy};
use crate::approvals::Approvals;
use crate::config::ComponentRef;
use crate::config::nearest::nearest;

/// What a reference is looked up in.
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    /// The plugins directory.
    pub directory: &'a Path,
    /// Files that are there: those of the directory, and those that [`candidates`] named.
    pub files: &'a Files,
    /// What was approved.
    pub approvals: &'a Approvals,
    /// Digests of the components that are built in, by name.
    pub built_in: &'a BTreeMap<String, String>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A file that the path names.
    Here(PathBuf),
    /// A file that only the plugins directory has.
    InDirectory(PathBuf),
    /// What was approved under the name: its digest, and where the file was.
    Approved {
        /// `sha256:` and hex.
        digest: String,
        /// Where its file was.
        file: PathBuf,
    },
    /// Built in.
    BuiltIn(String),
    /// Nothing.
    Nothing(NotFound),
}

/// Nothing was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotFound {
    /// What went wrong, and where the host looked.
    pub message: String,
    /// What to write instead.
    pub fix: Option<String>,
}

/// The files that a reference may mean.
#[must_use]
pub fn candidates(reference: &ComponentRef, directory: &Path) -> Vec<PathBuf> {
    match reference {
        ComponentRef::Name(name) => vec![tidy(directory).join(format!("{name}.wasm"))],
        ComponentRef::File(file) => {
            let mut files = vec![tidy(file)];
            files.extend(in_directory(file, directory));
            files
        }
    }
}

/// A relative path names a file of the plugins directory by its last part.
fn in_directory(file: &Path, directory: &Path) -> Option<PathBuf> {
    let is_relative = file.is_relative() && !file.starts_with("..");
    let name = file.file_name().filter(|_| is_relative)?;
    Some(tidy(directory).join(name))
}

impl Places<'_> {
    /// Looks a reference up.
    #[must_use]
    pub fn find(&self, reference: &ComponentRef) -> Found {
        match reference {
            ComponentRef::Name(name) => self.find_name(name),
            ComponentRef::File(file) => self.find_file(file),
        }
    }

    fn find_name(&self, name: &str) -> Found {
        if let Some(approval) = self.approvals.of_name(name) {
            let digest = approval.digest.clone();
            let file = approval.file.clone().unwrap_or_else(|| name.into());
            return Found::Approved { digest, file };
        }
        if self.built_in.contains_key(name) {
            return Found::BuiltIn(name.to_owned());
        }
        let file = tidy(self.directory).join(format!("{name}.wasm"));
        let message = format!("no component named {name} is approved or built in");
        let fix = if self.files.contains_key(&file) {
            let file = file.display();
            Some(format!(
                "{file} is there: approve it with `mastra-host plugin approve {file}`, or name the file itself"
            ))
        } else {
            self.meant(name)
        };
        Found::Nothing(NotFound { message, fix })
    }

    fn find_file(&self, file: &Path) -> Found {
        let here = tidy(file);
        if self.files.contains_key(&here) {
            return Found::Here(here);
        }
        let there = in_directory(file, self.directory);
        if let Some(there) = there
            .as_ref()
            .filter(|there| self.files.contains_key(*there))
        {
            return Found::InDirectory(there.clone());
        }
        let stem = file.file_stem().map(|stem| stem.to_string_lossy());
        let stem = stem.as_deref().unwrap_or_default();
        if there.is_some() && self.built_in.contains_key(stem) {
            return Found::BuiltIn(stem.to_owned());
        }
        let message = match there.filter(|there| *there != here) {
            Some(there) => format!("no file {}, and no {}", here.display(), there.display()),
            None => format!("no file {}", here.display()),
        };
        let fix = self.meant(stem);
        Found::Nothing(NotFound { message, fix })
    }

    /// The known component that was probably meant, or what there is.
    fn meant(&self, name: &str) -> Option<String> {
        let stems: Vec<String> = self
            .files
            .keys()
            .filter(|file| file.starts_with(tidy(self.directory)))
            .filter_map(|file| Some(file.file_stem()?.to_string_lossy().into_owned()))
            .collect();
        let approved = self.approvals.iter().map(|approval| approval.name.as_str());
        let known = stems
            .iter()
            .map(String::as_str)
            .chain(self.built_in.keys().map(String::as_str))
            .chain(approved);
        if let Some(meant) = nearest(name, known).filter(|meant| *meant != name) {
            return Some(format!("did you mean `{meant}`?"));
        }
        let built_in: Vec<&str> = self.built_in.keys().map(String::as_str).collect();
        (!built_in.is_empty()).then(|| format!("built in are {}", built_in.join(", ")))
    }
}

impl Found {
    /// Where the bytes are; the error says where the host looked.
    ///
    /// # Errors
    /// [`NotFound`]
    pub fn source(self, approvals: &Approvals) -> Result<Source, NotFound> {
        match self {
            Self::Here(file) | Self::InDirectory(file) => Ok(Source::File(file)),
            Self::Approved { digest, file } => Ok(Source::kept(approvals, &digest, &file)),
            Self::BuiltIn(name) => Ok(Source::BuiltIn(name)),
            Self::Nothing(nothing) => Err(nothing),
        }
    }
}
