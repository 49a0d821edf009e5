//! Where commands look for components: the plugins directory, the approvals of the state directory, and what is built in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{Context, causes, list_components};
use crate::approvals::{Approvals, StateDirectory};
use crate::cli::PlacesArg;
use crate::config::claims::Claims;
use crate::config::select::reference::{Places, candidates};
use crate::config::select::{Files, Source, tidy};
use crate::config::{ComponentRef, defaults};

/// See the module.
pub(super) struct Shelf {
    pub(super) directory: PathBuf,
    pub(super) state: StateDirectory,
    pub(super) approvals: Approvals,
    pub(super) built_in: BTreeMap<String, String>,
    pub(super) claims: Claims,
}

impl Shelf {
    /// Reads the approvals. `data_dir` is where the state directory is when nothing names another.
    ///
    /// # Errors
    /// The state directory cannot be trusted or read.
    pub(super) fn open(
        directory: &Path,
        state_dir: Option<&Path>,
        data_dir: &Path,
        ctx: &Context<'_>,
    ) -> Result<Self, String> {
        let state = StateDirectory::choose(state_dir, ctx.environment, data_dir);
        Self::at(directory, &state, ctx)
    }

    /// The same with a state directory that is known.
    ///
    /// # Errors
    /// The state directory cannot be trusted or read.
    pub(super) fn at(
        directory: &Path,
        state: &StateDirectory,
        ctx: &Context<'_>,
    ) -> Result<Self, String> {
        let approvals = Approvals::read(state).map_err(|error| causes(&error))?;
        let built_in = ctx.components.built_in();
        Ok(Self {
            directory: directory.to_owned(),
            state: state.clone(),
            built_in: built_in
                .iter()
                .map(|ours| (ours.name.clone(), ours.digest.clone()))
                .collect(),
            claims: Claims::new(built_in, &approvals),
            approvals,
        })
    }

    /// The same for a command that reads no config.
    ///
    /// # Errors
    /// The state directory cannot be trusted or read.
    pub(super) fn of(args: &PlacesArg, ctx: &Context<'_>) -> Result<Self, String> {
        let data_dir = Path::new(defaults::STORAGE_DIRECTORY);
        Self::open(&args.plugins_dir, args.state_dir.as_deref(), data_dir, ctx)
    }

    /// The component that a user means, whether it is approved or not.
    ///
    /// # Errors
    /// Nothing was found: where the host looked, and what may have been meant.
    pub(super) fn source(&self, named: &Path, ctx: &Context<'_>) -> Result<Source, String> {
        let reference = ComponentRef::parse(named);
        let files = self.files(&reference, ctx);
        let found = self.places(&files).find(&reference);
        let not_found = |nothing: crate::config::select::reference::NotFound| match nothing.fix {
            Some(fix) => format!("{}; {fix}", nothing.message),
            None => nothing.message,
        };
        found.source(&self.approvals).map_err(not_found)
    }

    /// The files that a reference may mean, and those of the directory for the sake of suggestions.
    fn files(&self, reference: &ComponentRef, ctx: &Context<'_>) -> Files {
        let named: BTreeSet<PathBuf> = candidates(reference, &self.directory).into_iter().collect();
        let mut files = ctx.components.examine(&named);
        let listed = list_components(&self.directory).unwrap_or_default();
        let not_read = || Err("was not looked at".to_owned());
        for file in listed {
            files.entry(tidy(&file)).or_insert_with(not_read);
        }
        files
    }

    fn places<'a>(&'a self, files: &'a Files) -> Places<'a> {
        Places {
            directory: &self.directory,
            files,
            approvals: &self.approvals,
            built_in: &self.built_in,
        }
    }
}
