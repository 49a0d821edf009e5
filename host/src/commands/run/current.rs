//! Keeps what runs in step with the config, the components and the approvals: at the start, when a component has been
//! loaded, when a file changes, and at SIGHUP.
//!
//! Nothing here waits for a component: loads and starts go on beside each other, and each takes effect when it is done. A
//! config with a problem changes nothing. Where a component cannot run, the one that runs for the exporter stays.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::asked::{Asked, Question};
use super::say::Said;
use super::watch::{Watch, Watched};
use super::{Ended, Exit};
use crate::approvals::Approval;
use crate::cli::RunArgs;
use crate::commands::approve;
use crate::commands::standing::Standing;
use crate::commands::survey::{Survey, see, sources};
use crate::commands::{Context, causes};
use crate::config::component::ComponentFacts;
use crate::config::select::{Planned, Source, Surroundings};
use crate::config::{Config, Environment, ExporterConfig, ExporterId, Problem};
use crate::event::Signal;
use crate::queue::StartAt;
use crate::receive::tls::Tls;
use crate::run::change::{Changes, Desired, Failed, Waiting, reason};
use crate::run::components::Loader;
use crate::run::{Host, StartError};

mod runs_on;

/// How long a start waits for components to say who they are, so that most exporters have their place in the queue before
/// the first event comes: enough for those in the cache, nothing for the others.
const PATIENCE: Duration = Duration::from_secs(1);

/// A source with the digest that it must have.
type Key = (Source, Option<String>);

/// See the module.
pub(super) struct Current<'a> {
    args: &'a RunArgs,
    loader: &'a Loader,
    host: Host,
    standing: Standing,
    watch: Watch,
    watched: Watched,
    asked: Asked,
    /// Of the start: what of it has changed since needs a restart.
    config: Config,
    loaded: BTreeMap<Key, Result<ComponentFacts, String>>,
    loads: JoinSet<(Key, Result<ComponentFacts, String>)>,
    /// Asked for and not there yet.
    pending: BTreeSet<Key>,
    /// What runs, by exporter.
    good: BTreeMap<ExporterId, Planned>,
    /// What the last change wanted to run.
    proposed: BTreeMap<ExporterId, Planned>,
    /// Changes under way, and whether each belongs to the start.
    changes: JoinSet<(bool, Changes)>,
    said: Said,
    /// Approvals that this host has recorded itself.
    recorded: Vec<Approval>,
    /// What the files say that is not in effect.
    troubles: Vec<String>,
    /// Events are kept for exporters that are not known yet.
    keeps_for_later: bool,
    settled: CancellationToken,
    /// Certificates of listeners.
    certificates: Vec<Tls>,
    /// Certificates that could not be renewed, and why.
    not_renewed: Vec<String>,
}

impl<'a> Current<'a> {
    pub(super) fn new(
        args: &'a RunArgs,
        asked: Asked,
        loader: &'a Loader,
        host: Host,
        standing: Standing,
        certificates: Vec<Tls>,
    ) -> Result<Self, (Exit, String)> {
        let watched = watched(args, &asked);
        let watch = Watch::new(&watched)
            .map_err(|error| (Exit::Failed, format!("cannot catch signals: {error}")))?;
        Ok(Self {
            args,
            loader,
            host,
            standing,
            watch,
            watched,
            config: asked.config.clone(),
            asked,
            loaded: BTreeMap::new(),
            loads: JoinSet::new(),
            pending: BTreeSet::new(),
            good: BTreeMap::new(),
            proposed: BTreeMap::new(),
            changes: JoinSet::new(),
            said: Said::default(),
            recorded: Vec::new(),
            troubles: Vec::new(),
            keeps_for_later: false,
            settled: CancellationToken::new(),
            certificates,
            not_renewed: Vec::new(),
        })
    }

    /// Cancelled when everything that was asked for at the start runs, or does not.
    pub(super) fn settled(&self) -> CancellationToken {
        self.settled.clone()
    }

    /// Gives every exporter that is known by then its place in the queue, and begins to prepare it.
    pub(super) async fn start(&mut self, ctx: &mut Context<'_>) -> Result<(), Ended> {
        Said::discovery(&self.asked.config, ctx);
        self.begin_loads();
        let until = Instant::now() + PATIENCE;
        while !self.loads.is_empty() {
            match timeout_at(until, self.loads.join_next()).await {
                Ok(Some(ended)) => self.keep(ended.ok()),
                Ok(None) | Err(_) => break,
            }
        }
        if self.has_unknown() {
            let kept = self.host.keep_for_later().await;
            kept.map_err(|error| (Exit::Failed, causes(&error)))?;
            self.keeps_for_later = true;
        }
        self.take_effect(true, ctx).await?;
        if self.is_settled() {
            self.settle(ctx)?;
        }
        Ok(())
    }

    /// Follows loads, starts and files. Returns when something is wrong that ends the host.
    pub(super) async fn follow(&mut self, ctx: &mut Context<'_>) -> Ended {
        loop {
            let done = tokio::select! {
                Some(ended) = self.loads.join_next() => {
                    self.keep(ended.ok());
                    self.take_effect(!self.settled.is_cancelled(), ctx).await
                }
                Some(ended) = self.changes.join_next() => match ended {
                    Ok((is_start, changes)) => self.note(is_start, changes),
                    Err(_) => Ok(()),
                },
                () = self.watch.changed(&self.watched), if self.args.input.is_none() => {
                    self.reload(ctx).await
                }
                // An input is delivered, and nothing else changes.
                else => std::future::pending().await,
            };
            let done = done.and_then(|()| match self.is_settled() {
                true => self.settle(ctx),
                false => Ok(()),
            });
            if let Err(ended) = done {
                return ended;
            }
        }
    }

    fn is_settled(&self) -> bool {
        !self.settled.is_cancelled() && self.pending.is_empty() && self.changes.is_empty()
    }

    /// The end of the start: a host that has nothing to run has been started for nothing.
    fn settle(&mut self, ctx: &Context<'_>) -> Result<(), Ended> {
        let survey = self.survey(ctx.environment);
        if self.good.is_empty() && self.waiting(&survey).is_empty() {
            return Err(nothing_to_run(&survey));
        }
        self.settled.cancel();
        Ok(())
    }

    fn begin_loads(&mut self) {
        let wanted: BTreeSet<Key> = sources(&self.asked.choice).into_iter().collect();
        self.loaded.retain(|key, _| wanted.contains(key));
        self.pending.retain(|key| wanted.contains(key));
        for key in wanted {
            // What failed is tried again: the reason may have gone.
            let is_there = matches!(self.loaded.get(&key), Some(Ok(_)));
            if is_there || !self.pending.insert(key.clone()) {
                continue;
            }
            self.loaded.remove(&key);
            let loader = self.loader.clone();
            self.loads.spawn(async move {
                let (source, digest) = &key;
                let loaded = loader.load_source(source, digest.as_deref()).await;
                (key, loaded)
            });
        }
    }

    fn keep(&mut self, ended: Option<(Key, Result<ComponentFacts, String>)>) {
        match ended {
            Some((key, loaded)) if self.pending.remove(&key) => {
                self.loaded.insert(key, loaded);
            }
            Some(_) => {}
            // A load that panicked says no more which one it was.
            None if self.loads.is_empty() => {
                for key in std::mem::take(&mut self.pending) {
                    self.loaded.insert(key, Err("loading it failed".to_owned()));
                }
            }
            None => {}
        }
    }

    /// Whether a component has not said its name yet of which the files do not tell it.
    fn has_unknown(&self) -> bool {
        !self.unnamed().is_empty()
    }

    fn unnamed(&self) -> Vec<String> {
        let wanted = self.asked.choice.wanted.iter();
        wanted
            .filter(|wanted| wanted.id.is_none() && wanted.entries.is_empty())
            .filter(|wanted| {
                self.pending
                    .contains(&(wanted.source.clone(), wanted.digest.clone()))
            })
            .map(|wanted| wanted.source.to_string())
            .collect()
    }

    fn survey(&self, environment: &Environment) -> Survey {
        let now = approve::now();
        let around = Surroundings {
            config: &self.asked.config,
            environment,
            claims: &self.asked.shelf.claims,
            now: &now,
        };
        let digests = sources(&self.asked.choice);
        let loaded = |source: &Source| {
            let digest = digests.get(source)?.clone();
            self.loaded.get(&(source.clone(), digest)).cloned()
        };
        Survey {
            files: self.asked.files.clone(),
            choice: self.asked.choice.clone(),
            seen: see(&self.asked.choice, &loaded, &around),
        }
    }

    /// Makes run what can run by now.
    async fn take_effect(&mut self, is_start: bool, ctx: &mut Context<'_>) -> Result<(), Ended> {
        let survey = self.survey(ctx.environment);
        let problems = survey.problems();
        if !problems.is_empty() {
            return self.refuse(is_start, problems);
        }
        self.said.notes(&survey.choice.notes, ctx);
        self.said.idle(&survey.idle(), &survey.files, is_start);
        self.record(&survey).await;
        let mut troubles = Vec::new();
        let exporters = self.keep_the_good(&survey, &mut troubles);
        for (id, planned) in &exporters {
            self.said.granted(id, planned, ctx);
        }
        let waiting = self.waiting(&survey);
        if is_start && self.pending.is_empty() && exporters.is_empty() && waiting.is_empty() {
            return Err(nothing_to_run(&survey));
        }
        let waiting = waiting
            .into_iter()
            .filter(|waiting| !exporters.contains_key(&waiting.id));
        let desired = Desired {
            waiting: waiting.collect(),
            exporters: exporters
                .iter()
                .filter_map(|(id, planned)| {
                    let component = self.loader.component(&planned.component.digest);
                    if component.is_none() {
                        error!(exporter = %id, "The component was let go of too early; the next reload loads it again.");
                    }
                    Some((id.clone(), planned.clone(), component?))
                })
                .collect(),
            begin: self.keeps_for_later.then_some(StartAt::Oldest),
        };
        self.host.show_unnamed(self.unnamed());
        let change = self.host.change(desired).await;
        let change = change.map_err(|error| (Exit::Failed, causes(&error)))?;
        self.changes.spawn(async move { (is_start, change.await) });
        self.proposed = exporters;
        if self.keeps_for_later && !self.has_unknown() {
            self.host.keep_no_longer().await;
            self.keeps_for_later = false;
        }
        troubles.extend(self.not_renewed.iter().cloned());
        troubles.extend(needs_restart(&self.config, &self.asked.config));
        self.troubles = troubles;
        self.standing.set(survey.rows());
        self.standing.set_not_running(self.host.not_running());
        self.standing.set_troubles(&self.troubles);
        Ok(())
    }

    /// Problems end a start; a host that runs goes on as it was.
    fn refuse(&mut self, is_start: bool, problems: Vec<Problem>) -> Result<(), Ended> {
        if is_start {
            return Err(Ended::Problems(problems));
        }
        let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
        self.not_in_effect(vec![all.join("; ")]);
        Ok(())
    }

    fn not_in_effect(&mut self, mut troubles: Vec<String>) {
        let more = self.not_renewed.iter();
        let more: Vec<String> = more
            .filter(|more| !troubles.contains(more))
            .cloned()
            .collect();
        troubles.extend(more);
        for trouble in &troubles {
            warn!(reason = trouble, "A change of files is not in effect.");
        }
        self.standing.set_troubles(&troubles);
        self.host.reloads().note(troubles.clone());
        self.troubles = troubles;
    }

    /// Approvals that the operator gave by naming files in the config.
    async fn record(&mut self, survey: &Survey) {
        let mut is_changed = false;
        for seen in &survey.seen {
            for approval in &seen.outcome.record {
                let is_same = |other: &Approval| {
                    (&other.exporter, &other.digest, &other.file)
                        == (&approval.exporter, &approval.digest, &approval.file)
                };
                let known = self.asked.shelf.approvals.iter();
                if known.chain(&self.recorded).any(is_same) {
                    continue;
                }
                self.recorded.push(approval.clone());
                let (loader, source) = (self.loader.clone(), seen.wanted.source.clone());
                let (state, approval) = (self.asked.shelf.state.clone(), approval.clone());
                let recorded = tokio::task::spawn_blocking(move || {
                    use crate::commands::Components as _;
                    approve::record_bytes(&state, &loader.bytes(&source)?, approval)
                });
                let recorded = recorded.await.unwrap_or_else(|error| Err(causes(&error)));
                if let Err(reason) = recorded {
                    let component = &seen.wanted.source;
                    warn!(%component, reason, "The component is not remembered: another one at its place would run without approval.");
                }
                is_changed = true;
            }
        }
        if is_changed {
            self.watch.acknowledge(&self.watched);
        }
    }

    /// Exporters of the config that do not run now: those that wait, and those that are being loaded.
    fn waiting(&self, survey: &Survey) -> Vec<Waiting> {
        let reasons = survey.choice.waiting.iter();
        let of_seen = survey.seen.iter().flat_map(|seen| &seen.outcome.waiting);
        let mut all: BTreeMap<ExporterId, Waiting> = BTreeMap::new();
        for (id, reason) in reasons.chain(of_seen) {
            let signals = self.signals_of(id, survey);
            let waiting = self.wait(id, Some(reason.clone()), signals);
            all.insert(id.clone(), waiting);
        }
        for wanted in &self.asked.choice.wanted {
            if !self
                .pending
                .contains(&(wanted.source.clone(), wanted.digest.clone()))
            {
                continue;
            }
            let ids = wanted.entries.iter().map(|(id, _)| id).chain(&wanted.id);
            for id in ids {
                let signals = self.signals_of(id, survey);
                let waiting = self.wait(id, None, signals);
                all.entry(id.clone()).or_insert(waiting);
            }
        }
        all.into_values().collect()
    }

    fn wait(&self, id: &ExporterId, reason: Option<String>, signals: BTreeSet<Signal>) -> Waiting {
        let config = self.asked.config.exporters.get(id).cloned();
        Waiting {
            id: id.clone(),
            config: config.unwrap_or_else(ExporterConfig::default),
            reason,
            signals,
        }
    }

    /// The signals of an exporter that does not run, by the bytes of its file.
    fn signals_of(&self, id: &ExporterId, survey: &Survey) -> BTreeSet<Signal> {
        let wanted = self.asked.choice.wanted.iter();
        let file = wanted
            .filter(|wanted| {
                wanted.id.as_ref() == Some(id)
                    || wanted.entries.iter().any(|(entry, _)| entry == id)
            })
            .find_map(|wanted| wanted.file.as_ref());
        let exporter = self.asked.config.exporters.get(id);
        let directory = &self.asked.shelf.directory;
        let candidates = exporter.map(|exporter| {
            crate::config::select::reference::candidates(&exporter.component, directory)
        });
        file.into_iter()
            .chain(candidates.iter().flatten())
            .find_map(|file| survey.files.get(file)?.as_ref().ok())
            .map(|facts| facts.signals.clone())
            .unwrap_or_default()
    }

    /// A change has been made, as far as it could be.
    fn note(&mut self, is_start: bool, changes: Changes) -> Result<(), Ended> {
        for id in changes.added.iter().chain(&changes.replaced) {
            let planned = self.proposed.iter().find(|(known, _)| known.as_str() == id);
            if let Some((id, planned)) = planned {
                self.good.insert(id.clone(), planned.clone());
            }
        }
        self.good
            .retain(|id, _| !changes.removed.iter().any(|gone| gone == id.as_str()));
        let (fatal, failed): (Vec<Failed>, Vec<Failed>) = changes
            .failed
            .into_iter()
            .partition(|failed| is_start && is_fatal(failed));
        if !fatal.is_empty() {
            let all: Vec<String> = fatal
                .iter()
                .map(|failed| {
                    format!(
                        "exporter {} cannot start: {}",
                        failed.id,
                        causes(&failed.error)
                    )
                })
                .collect();
            return Err(Ended::Failed(Exit::BadUsage, all.join("\nerror: ")));
        }
        let mut troubles = self.troubles.clone();
        for failed in &failed {
            let (exporter, reason) = (&failed.id, reason(&failed.error));
            if failed.runs_on {
                troubles.push(format!(
                    "exporter {exporter} cannot start anew ({reason}); the one before runs on"
                ));
            } else {
                error!(%exporter, reason, "Exporter is inactive.");
            }
        }
        self.standing.set_not_running(self.host.not_running());
        if is_start {
            return Ok(());
        }
        let (added, replaced, removed) = (changes.added, changes.replaced, changes.removed);
        info!(?added, ?replaced, ?removed, "Changed files are in effect.");
        self.loader.keep_only(&self.digests());
        if troubles.is_empty() {
            self.standing.set_troubles(&[]);
            self.host.reloads().note(Vec::new());
            self.troubles.clear();
        } else {
            self.not_in_effect(troubles);
        }
        Ok(())
    }

    fn digests(&self) -> BTreeSet<String> {
        let running = self.good.values().chain(self.proposed.values());
        let running = running.map(|planned| planned.component.digest.clone());
        let loaded = self
            .loaded
            .values()
            .filter_map(|loaded| loaded.as_ref().ok());
        let pending = self.pending.iter();
        running
            .chain(loaded.map(|facts| facts.digest.clone()))
            .chain(pending.filter_map(|(_, digest)| digest.clone()))
            .collect()
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

    /// Files have changed, or somebody asked to look.
    async fn reload(&mut self, ctx: &mut Context<'_>) -> Result<(), Ended> {
        self.not_renewed = self.renew_certificates();
        let question = match Question::read(self.args, ctx) {
            Ok(question) => question,
            Err(refusal) => {
                self.not_in_effect(vec![refusal.in_words()]);
                return Ok(());
            }
        };
        let (loader, plugins) = (self.loader.clone(), self.args.plugins.clone());
        let answered =
            tokio::task::spawn_blocking(move || question.answer(&plugins, &loader)).await;
        match answered {
            Ok(Ok(asked)) => {
                // Also when the rest has problems: their files are mended next.
                self.watched = watched(self.args, &asked);
                self.asked = asked;
            }
            Ok(Err(refusal)) => {
                self.not_in_effect(vec![refusal.in_words()]);
                return Ok(());
            }
            Err(error) => {
                self.not_in_effect(vec![causes(&error)]);
                return Ok(());
            }
        }
        self.begin_loads();
        self.take_effect(false, ctx).await
    }
}

/// Whether a component of the command line, or a value of the config, keeps the host from doing what it was asked to.
fn is_fatal(failed: &Failed) -> bool {
    let is_of_config = |setting: &String| {
        let settings = &failed.planned.config.settings.values;
        settings.contains_key(setting)
    };
    match &failed.error {
        _ if failed.planned.is_named => true,
        StartError::OwnListener { setting, .. } => is_of_config(setting),
        _ => false,
    }
}

fn watched(args: &RunArgs, asked: &Asked) -> Watched {
    Watched {
        directory: asked.config.plugins.directory.clone(),
        files: asked
            .files(args)
            .chain(args.listeners.token_file.clone())
            .chain(asked.config.receivers.tls_files().cloned())
            .collect(),
    }
}

fn nothing_to_run(survey: &Survey) -> Ended {
    let idle: Vec<String> = survey
        .idle()
        .iter()
        .map(|idle| format!("{}: {}", idle.file.display(), idle.state))
        .map(|idle| format!("\n  {}", crate::print::visible(&idle)))
        .collect();
    let message = format!(
        "no exporter to run: name one with --plugin or under `exporters:` in a config{}",
        idle.concat()
    );
    Ended::Failed(Exit::BadUsage, message)
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
