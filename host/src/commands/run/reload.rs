//! Follows the config file, the components and the approval lock while the host runs, and puts into effect what they say.
//!
//! All of a change or nothing: a config with a problem changes nothing. A component that no longer loads, or that asks for
//! more than the one that runs, is left aside; the last good one runs on. Logged, on `/readyz` and `/metrics`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use tracing::{info, warn};

use super::access::override_access;
use super::watch::{Watch, Watched};
use super::{Prepared, announce, cannot_start, override_with, started};
use crate::cli::RunArgs;
use crate::commands::standing::Standing;
use crate::commands::{Context, Exit, causes, list_components, plugin, read_config, validate};
use crate::config::Config;
use crate::config::component::ComponentFacts;
use crate::config::lock::{Lock, Verdict};
use crate::config::select::{LoadedComponents, Plan, Request};
use crate::receive::tls::Tls;
use crate::run::components::Loader;
use crate::run::{Exporters, Host};

/// What runs, and from which files.
pub(super) struct Files {
    watch: Watch,
    watched: Watched,
    /// Of the start: what of it has changed since needs a restart.
    config: Config,
    /// Components that run, by file.
    good: BTreeMap<PathBuf, ComponentFacts>,
    standing: Standing,
    /// Certificates of listeners.
    certificates: Vec<Tls>,
}

impl Files {
    pub(super) fn new(
        args: &RunArgs,
        prepared: &Prepared,
        exporters: &Exporters,
        certificates: Vec<Tls>,
    ) -> Result<Self, (Exit, String)> {
        let config = prepared.config.clone();
        let files = prepared.request(args, &BTreeSet::new()).files();
        let watched = watched(args, &config, files);
        let watch = Watch::new(&watched)
            .map_err(|error| (Exit::Failed, format!("cannot catch signals: {error}")))?;
        Ok(Self {
            watch,
            watched,
            config,
            good: components_of(exporters),
            standing: prepared.standing.clone(),
            certificates,
        })
    }

    /// These run, too.
    pub(super) fn add(&mut self, exporters: &Exporters) {
        self.good.extend(components_of(exporters));
    }

    /// Puts changes into effect for as long as it is polled.
    pub(super) async fn follow(
        &mut self,
        args: &RunArgs,
        loader: &Loader,
        host: &Host,
        ctx: &mut Context<'_>,
    ) {
        loop {
            self.watch.changed(&self.watched).await;
            let mut troubles = self.renew_certificates();
            match self.reload(args, loader, host, ctx).await {
                Ok(more) => troubles.extend(more),
                Err(reason) => troubles.push(reason),
            }
            for trouble in &troubles {
                warn!(reason = trouble, "A change of files is not in effect.");
            }
            self.standing.set_troubles(&troubles);
            host.reloads().note(troubles);
        }
    }

    /// A certificate that cannot be used changes nothing, and keeps nothing else from taking effect.
    fn renew_certificates(&self) -> Vec<String> {
        let mut troubles = BTreeSet::new();
        for tls in &self.certificates {
            match tls.renew() {
                Ok(true) => info!(?tls, "New connections get the new certificate."),
                Ok(false) => {}
                Err(error) => {
                    let reason = causes(&error);
                    troubles.insert(format!("{reason}; the certificate before stays in use"));
                }
            }
        }
        troubles.into_iter().collect()
    }

    /// Returns what could not be put into effect beside the rest; an error when nothing was.
    async fn reload(
        &mut self,
        args: &RunArgs,
        loader: &Loader,
        host: &Host,
        ctx: &mut Context<'_>,
    ) -> Result<Vec<String>, String> {
        let read = read_config(args.config.as_deref(), ctx.environment)?;
        let mut config = read.config;
        let mut problems = read.problems;
        problems.extend(validate::missing_files(&config));
        override_with(args, &mut config);
        override_access(args, ctx.environment, &mut config)?;
        let directory = &config.plugins.directory;
        let listing = list_components(directory)
            .map_err(|error| format!("cannot read {}: {error}", directory.display()))?;
        let lock = Lock::read(directory).map_err(|error| causes(&error))?;
        let none = BTreeSet::new();
        let request = Request {
            config: &config,
            plugins: &args.plugins,
            directory,
            listing: &listing,
            compiling: &none,
        };
        // Also when the rest has problems: their files are mended next.
        self.watched = watched(args, &config, request.files());
        let mut loaded = loader.load_now(request.files()).await;
        let mut troubles = self.keep_the_good(&mut loaded, &lock);
        let plan = request.plan(&loaded, &lock, ctx.environment);
        let rows = plugin::rows(&loaded, &plan);
        let Plan {
            exporters,
            idle,
            problems: more,
        } = plan;
        problems.extend(more);
        if !problems.is_empty() {
            let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
            return Err(all.join("; "));
        }
        for idle in &idle {
            info!(component = %idle.file.display(), state = %idle.state, "Component does not run.");
        }
        let exporters = started(exporters, loader);
        let good = components_of(&exporters);
        let mut new = exporters.clone();
        new.retain(|(_, planned, _)| {
            self.good.get(&planned.component.file) != Some(&planned.component)
        });
        let changes = host.reload(exporters).await.map_err(|failures| {
            let all: Vec<String> = failures.iter().map(cannot_start).collect();
            all.join("; ")
        })?;
        self.standing.set(rows);
        announce(&new, ctx);
        let (added, replaced, removed) = (changes.added, changes.replaced, changes.removed);
        info!(?added, ?replaced, ?removed, "Changed files are in effect.");
        loader.keep_only(&good.values().map(|facts| facts.digest.clone()).collect());
        self.good = good;
        troubles.extend(needs_restart(&self.config, &config));
        Ok(troubles)
    }

    /// Where a file holds no good component any more, or one that wants more than was granted, the one that runs stays.
    fn keep_the_good(&self, loaded: &mut LoadedComponents, lock: &Lock) -> Vec<String> {
        let mut troubles = Vec::new();
        for (file, good) in &self.good {
            let Some(new) = loaded.get_mut(file) else {
                continue;
            };
            let shown = file.display();
            let trouble = match new {
                Err(_) if !file.exists() => continue,
                Err(reason) => format!("{shown} does not load ({reason}); the one before runs on"),
                Ok(new) if new.digest == good.digest => continue,
                Ok(new) => {
                    let more = new.grants().beyond(&good.grants());
                    if more.is_empty() || lock.verdict(new) == Verdict::Approved {
                        continue;
                    }
                    format!(
                        "{shown} needs approval (now also asks for {}); the one before runs on: `mastra-host plugin approve {shown}`",
                        more.join(", ")
                    )
                }
            };
            troubles.push(trouble);
            *new = Ok(good.clone());
        }
        troubles
    }
}

fn watched(args: &RunArgs, config: &Config, files: BTreeSet<PathBuf>) -> Watched {
    Watched {
        directory: config.plugins.directory.clone(),
        files: files
            .into_iter()
            .chain(args.config.clone())
            .chain(args.listeners.token_file.clone())
            .chain(config.receivers.tls_files().cloned())
            .collect(),
    }
}

fn components_of(exporters: &Exporters) -> BTreeMap<PathBuf, ComponentFacts> {
    let all = exporters.iter();
    all.map(|(_, planned, _)| (planned.component.file.clone(), planned.component.clone()))
        .collect()
}

/// Sections that are read once.
fn needs_restart(before: &Config, now: &Config) -> Vec<String> {
    let sections = [
        ("receivers", before.receivers != now.receivers),
        ("storage", before.storage != now.storage),
        ("sending_queue", before.sending_queue != now.sending_queue),
    ];
    let changed = sections.into_iter().filter(|(_, is_changed)| *is_changed);
    changed
        .map(|(section, _)| format!("`{section}` has changed: that takes effect after a restart"))
        .collect()
}
