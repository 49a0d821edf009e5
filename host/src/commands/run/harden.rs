//! What `run` gives up before its first thread starts: see [`crate::hardening`]. The config is read for it once more,
//! because components, which need threads to load, come later.

use std::path::PathBuf;

use tracing::{debug, warn};

use super::asked::override_with;
use crate::approvals::StateDirectory;
use crate::cli::RunArgs;
use crate::commands::read_config;
use crate::config::{Config, Environment};
use crate::hardening::{close_memory, limit_writing, outputs, texts};
use crate::run::components::cache_directory;

/// Applies what can be applied, and logs what cannot. Call it before any thread starts.
pub fn harden(args: &RunArgs, environment: &Environment) {
    let mut notes = close_memory();
    match known_config(args, environment) {
        Known::Config(config) => {
            let folders = folders(args, &config, environment);
            let of_config = config
                .exporters
                .values()
                .flat_map(|exporter| exporter.settings.values.values().flat_map(texts));
            let outputs = outputs(of_config.chain(environment.values().map(String::as_str)));
            debug!(?folders, ?outputs, "Writing is limited to these.");
            notes.extend(limit_writing(&folders, &outputs));
        }
        Known::Elsewhere => notes.push(
            "writing is not limited to the host's own folders: the config is no regular file and is read once"
                .to_owned(),
        ),
        // Whoever reads it next says what is wrong, and nothing runs.
        Known::Broken => {}
    }
    for reason in notes {
        warn!(reason, "The process is less protected than it could be.");
    }
}

enum Known {
    Config(Box<Config>),
    Elsewhere,
    Broken,
}

fn known_config(args: &RunArgs, environment: &Environment) -> Known {
    let is_regular = |file: &PathBuf| file.metadata().map(|found| found.is_file());
    match args.config.as_ref().map(is_regular) {
        Some(Ok(false)) => return Known::Elsewhere,
        Some(Err(_)) => return Known::Broken,
        Some(Ok(true)) | None => {}
    }
    match read_config(args.config.as_deref(), environment) {
        Ok(read) if read.problems.is_empty() => {
            let mut config = read.config;
            override_with(args, &mut config);
            Known::Config(Box::new(config))
        }
        _ => Known::Broken,
    }
}

/// The host's own: data with the queue and the store, approvals, and compiled components.
fn folders(args: &RunArgs, config: &Config, environment: &Environment) -> Vec<PathBuf> {
    let cache = cache_directory(args.data_dir.as_deref(), environment);
    let data = config.storage.directory.clone();
    let state = StateDirectory::choose(args.state_dir.as_deref(), environment, &data);
    let state = state.path().to_owned();
    [data, state].into_iter().chain(cache).collect()
}
