//! What a host is asked to run: config, command line, approvals, and the files as they are.

use std::path::PathBuf;

use super::access::override_access;
use crate::approvals::directory::closed_to_others;
use crate::cli::RunArgs;
use crate::commands::places::Shelf;
use crate::commands::{Components, Context, causes, list_components, read_config, validate};
use crate::config::select::{Choice, Files, Request};
use crate::config::{Config, Problem};

/// See the module.
pub(super) struct Asked {
    pub(super) config: Config,
    pub(super) listing: Vec<PathBuf>,
    pub(super) shelf: Shelf,
    pub(super) files: Files,
    pub(super) choice: Choice,
}

/// Nothing can be run as it was asked.
pub(super) enum Refusal {
    /// A directory or file cannot be used.
    Unusable(String),
    /// Of the config or the command line.
    Problems(Vec<Problem>),
}

/// The part that reads small files only.
pub(super) struct Question {
    config: Config,
    listing: Vec<PathBuf>,
    shelf: Shelf,
}

impl Question {
    /// Reads config and approvals; every problem at once.
    ///
    /// # Errors
    /// [`Refusal`]
    pub(super) fn read(args: &RunArgs, ctx: &Context<'_>) -> Result<Self, Refusal> {
        let read = read_config(args.config.as_deref(), ctx.environment);
        let read = read.map_err(Refusal::Unusable)?;
        let mut problems = read.problems;
        let mut config = read.config;
        problems.extend(validate::missing_files(&config));
        override_with(args, &mut config);
        override_access(args, ctx.environment, &mut config).map_err(Refusal::Unusable)?;
        if !problems.is_empty() {
            return Err(Refusal::Problems(problems));
        }
        let directory = &config.plugins.directory;
        let shown = directory.display();
        let listing = list_components(directory).map_err(|error| {
            Refusal::Unusable(format!("cannot read plugins directory {shown}: {error}"))
        })?;
        if args.plugins.is_empty() && !listing.is_empty() {
            closed_to_others(directory).map_err(|error| {
                let reason = causes(&error);
                Refusal::Unusable(format!("the plugins directory is not used: {reason}"))
            })?;
        }
        let state_dir = args.state_dir.as_deref();
        let shelf = Shelf::open(directory, state_dir, &config.storage.directory, ctx);
        let shelf = shelf.map_err(Refusal::Unusable)?;
        Ok(Self {
            config,
            listing,
            shelf,
        })
    }

    /// Looks at the files, which takes as long as they are large. Runs nothing of them.
    ///
    /// # Errors
    /// [`Refusal::Problems`]
    pub(super) fn answer(
        self,
        plugins: &[PathBuf],
        components: &dyn Components,
    ) -> Result<Asked, Refusal> {
        let Self {
            config,
            listing,
            shelf,
        } = self;
        let request = Request {
            config: &config,
            plugins,
            directory: &shelf.directory,
            listing: &listing,
            approvals: &shelf.approvals,
            built_in: &shelf.built_in,
        };
        let files = components.examine(&request.files());
        let mut choice = request.choose(&files);
        if !choice.problems.is_empty() {
            return Err(Refusal::Problems(std::mem::take(&mut choice.problems)));
        }
        Ok(Asked {
            config,
            listing,
            shelf,
            files,
            choice,
        })
    }
}

impl Asked {
    /// Both steps at once.
    ///
    /// # Errors
    /// [`Refusal`]
    pub(super) fn read(args: &RunArgs, ctx: &Context<'_>) -> Result<Self, Refusal> {
        Question::read(args, ctx)?.answer(&args.plugins, ctx.components)
    }

    /// Files whose changes matter.
    pub(super) fn files(&self, args: &RunArgs) -> impl Iterator<Item = PathBuf> {
        let request = Request {
            config: &self.config,
            plugins: &args.plugins,
            directory: &self.shelf.directory,
            listing: &self.listing,
            approvals: &self.shelf.approvals,
            built_in: &self.shelf.built_in,
        };
        let approvals = self
            .shelf
            .state
            .path()
            .join(crate::approvals::store::FILE_NAME);
        let files = request.files().into_iter().chain([approvals]);
        files.chain(args.config.clone())
    }
}

impl Refusal {
    /// In one line, for a log.
    pub(super) fn in_words(&self) -> String {
        match self {
            Self::Unusable(message) => message.clone(),
            Self::Problems(problems) => {
                let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
                all.join("; ")
            }
        }
    }
}

/// What the command line says goes before the file.
pub(super) fn override_with(args: &RunArgs, config: &mut Config) {
    if let Some(directory) = &args.plugins_dir {
        config.plugins.directory.clone_from(directory);
    }
    if let Some(directory) = &args.data_dir {
        config.storage.directory.clone_from(directory);
    }
    if let Some(listen) = &args.listen {
        config.receivers.http.endpoint = listen.clone();
    }
    if let Some(listen) = &args.listen_grpc {
        config.receivers.grpc.endpoint = listen.clone();
    }
}
