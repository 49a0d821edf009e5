//! The first step: what may be loaded. See the [module](super).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::reference::{Found, Places, candidates};
use super::{
    Choice, Consent, FileFacts, Files, Idle, IdleState, Request, Source, Wanted, tidy, usage,
};
use crate::approvals::Approval;
use crate::config::{ComponentRef, Discovery, ExporterConfig, ExporterId, Problem, Upgrades};

impl Request<'_> {
    /// Files to look at, each once, whether they are there or not.
    #[must_use]
    pub fn files(&self) -> BTreeSet<PathBuf> {
        let mut files: BTreeSet<PathBuf> = self.listing.iter().map(|file| tidy(file)).collect();
        let named = self
            .plugins
            .iter()
            .map(|plugin| ComponentRef::parse(plugin));
        let configured = self.config.exporters.values();
        let configured = configured.map(|exporter| exporter.component.clone());
        for reference in named.chain(configured) {
            files.extend(candidates(&reference, self.directory));
        }
        files
    }

    /// What a reference is looked up in.
    #[must_use]
    pub fn places<'a>(&'a self, files: &'a Files) -> Places<'a> {
        Places {
            directory: self.directory,
            files,
            approvals: self.approvals,
            built_in: self.built_in,
        }
    }

    /// Works out what may be loaded.
    #[must_use]
    pub fn choose(&self, files: &Files) -> Choice {
        let mut choice = Choice::default();
        if self.plugins.is_empty() {
            for (id, exporter) in &self.config.exporters {
                self.choose_configured(&mut choice, id, exporter, files);
            }
            for file in self.listing {
                self.choose_listed(&mut choice, &tidy(file), files);
            }
        } else {
            for plugin in self.plugins {
                self.choose_named(&mut choice, plugin, files);
            }
            self.leave_others(&mut choice, files);
        }
        choice
    }

    fn is_built_in(&self, digest: &str) -> bool {
        self.built_in_name(digest).is_some()
    }

    fn built_in_name(&self, digest: &str) -> Option<&str> {
        let mut all = self.built_in.iter();
        all.find(|(_, known)| *known == digest)
            .map(|(name, _)| name.as_str())
    }

    /// `--plugin`
    fn choose_named(&self, choice: &mut Choice, plugin: &Path, files: &Files) {
        let reference = ComponentRef::parse(plugin);
        let found = self.places(files).find(&reference);
        let entries = self.entries_of(&reference, &found, files);
        let wanted = |source, consent| Wanted {
            digest: match &source {
                Source::Kept { digest, .. } => Some(digest.clone()),
                _ => None,
            },
            source,
            consent,
            is_named: true,
            file: None,
            entries,
            id: None,
            fallback: None,
        };
        let chosen = match found {
            Found::Here(file) => {
                let facts = files.get(&file).and_then(|facts| facts.as_ref().ok());
                let consent = facts.and_then(|facts| self.standing_consent(facts, None));
                Wanted {
                    file: Some(file.clone()),
                    digest: facts.map(|facts| facts.digest.clone()),
                    ..wanted(Source::File(file), consent.unwrap_or(Consent::CommandLine))
                }
            }
            Found::InDirectory(file) => {
                let Some(Ok(facts)) = files.get(&file) else {
                    let reason = reason(files, &file);
                    let message = format!("{}: {reason}", file.display());
                    return choice.problems.push(usage(message, None));
                };
                let Some(consent) = self.standing_consent(facts, None) else {
                    return choice.unapproved.push(file);
                };
                Wanted {
                    file: Some(file.clone()),
                    digest: Some(facts.digest.clone()),
                    ..wanted(Source::File(file), consent)
                }
            }
            Found::Approved { digest, file } => {
                let Some(approval) = self.approvals.of(&digest, None, &file).cloned() else {
                    return;
                };
                let consent = Consent::Approved(Box::new(approval));
                wanted(Source::kept(self.approvals, &digest, &file), consent)
            }
            Found::BuiltIn(name) => {
                if let ComponentRef::File(file) = &reference {
                    let file = file.display();
                    choice.notes.push(format!(
                        "there is no {file}; {name} is the component that is built in"
                    ));
                }
                wanted(Source::BuiltIn(name), Consent::BuiltIn)
            }
            Found::Nothing(nothing) => {
                return choice.problems.push(usage(nothing.message, nothing.fix));
            }
        };
        choice.wanted.push(chosen);
    }

    /// The config's entries for a component that `--plugin` names. Those that name it otherwise are found once it has said
    /// its name.
    fn entries_of(
        &self,
        reference: &ComponentRef,
        found: &Found,
        files: &Files,
    ) -> Vec<(ExporterId, ExporterConfig)> {
        let places = self.places(files);
        let exporters = self.config.exporters.iter();
        exporters
            .filter(|(_, exporter)| {
                exporter.component == *reference || places.find(&exporter.component) == *found
            })
            .map(|(id, exporter)| (id.clone(), exporter.clone()))
            .collect()
    }

    /// A built-in or approved file runs wherever it lies.
    fn standing_consent(&self, facts: &FileFacts, id: Option<&ExporterId>) -> Option<Consent> {
        if self.is_built_in(&facts.digest) {
            return Some(Consent::BuiltIn);
        }
        let id = id.map(ExporterId::as_str);
        let approval = self.approvals.of(&facts.digest, id, &facts.real);
        approval.map(|approval| Consent::Approved(Box::new(approval.clone())))
    }

    fn choose_configured(
        &self,
        choice: &mut Choice,
        id: &ExporterId,
        exporter: &ExporterConfig,
        files: &Files,
    ) {
        let wanted = |source: Source, digest: Option<String>, consent: Consent| Wanted {
            source,
            digest,
            consent,
            is_named: false,
            file: None,
            entries: vec![(id.clone(), exporter.clone())],
            id: Some(id.clone()),
            fallback: None,
        };
        let file = match self.places(files).find(&exporter.component) {
            Found::Approved { digest, file } => {
                if let Some(approval) = self
                    .approvals
                    .of(&digest, Some(id.as_str()), &file)
                    .cloned()
                {
                    let consent = Consent::Approved(Box::new(approval));
                    let source = Source::kept(self.approvals, &digest, &file);
                    choice.wanted.push(wanted(source, Some(digest), consent));
                }
                return;
            }
            Found::BuiltIn(name) => {
                return choice
                    .wanted
                    .push(wanted(Source::BuiltIn(name), None, Consent::BuiltIn));
            }
            Found::Nothing(nothing) => {
                let file = candidates(&exporter.component, self.directory);
                let is_there = file.iter().any(|file| files.contains_key(file));
                if is_there {
                    choice.waiting.insert(id.clone(), nothing.message);
                } else {
                    choice.problems.push(Problem {
                        at: exporter.at,
                        path: format!("exporters.{id}"),
                        message: nothing.message,
                        fix: nothing.fix,
                    });
                }
                return;
            }
            Found::Here(file) | Found::InDirectory(file) => file,
        };
        let facts = match files.get(&file) {
            Some(Ok(facts)) => facts,
            _ => {
                return self.keep_running(choice, id, exporter, &file, &reason(files, &file));
            }
        };
        let of_file = |consent| Wanted {
            file: Some(file.clone()),
            ..wanted(
                Source::File(file.clone()),
                Some(facts.digest.clone()),
                consent,
            )
        };
        if let Some(pinned) = &exporter.grant.digest {
            if *pinned == facts.digest {
                return choice.wanted.push(of_file(Consent::Config));
            }
            let reason = other_digest(&file, &facts.digest, pinned);
            return self.keep_running(choice, id, exporter, &file, &reason);
        }
        if let Some(consent) = self.standing_consent(facts, Some(id)) {
            return choice.wanted.push(of_file(consent));
        }
        match self.approvals.of_file(&facts.real, Some(id.as_str())) {
            // The operator who names a file in the config approves what it holds when it first runs.
            None => choice.wanted.push(of_file(Consent::Config)),
            Some(approval) => {
                let entries = vec![(id.clone(), exporter.clone())];
                self.run_on(choice, &file, facts, approval, entries);
            }
        }
    }

    /// The file of a configured exporter cannot run: the approved bytes do, if there are some.
    fn keep_running(
        &self,
        choice: &mut Choice,
        id: &ExporterId,
        exporter: &ExporterConfig,
        file: &Path,
        reason: &str,
    ) {
        let real = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        let approval = match &exporter.grant.digest {
            Some(pinned) => self.approvals.of(pinned, Some(id.as_str()), &real),
            None => self.approvals.of_file(&real, Some(id.as_str())),
        };
        choice.idle.push(Idle {
            file: file.to_owned(),
            name: None,
            state: IdleState::Broken(reason.to_owned()),
        });
        let Some(approval) = approval else {
            choice.waiting.insert(id.clone(), reason.to_owned());
            return;
        };
        let entries = vec![(id.clone(), exporter.clone())];
        choice.wanted.push(self.kept(approval, file, entries));
    }

    /// The file has changed since it was approved: what was approved runs on, unless the operator lets upgrades through.
    fn run_on(
        &self,
        choice: &mut Choice,
        file: &Path,
        facts: &FileFacts,
        approval: &Approval,
        entries: Vec<(ExporterId, ExporterConfig)>,
    ) {
        let before = self.kept(approval, file, entries);
        if self.config.plugins.upgrades == Upgrades::WithinGrants {
            choice.wanted.push(Wanted {
                source: Source::File(file.to_owned()),
                digest: Some(facts.digest.clone()),
                consent: Consent::Upgrade(Box::new(approval.clone())),
                file: Some(file.to_owned()),
                fallback: Some(Box::new(before.clone())),
                ..before
            });
            return;
        }
        choice.idle.push(Idle {
            file: file.to_owned(),
            name: Some(approval.name.clone()),
            state: IdleState::Changed,
        });
        choice.wanted.push(before);
    }

    fn choose_listed(&self, choice: &mut Choice, file: &Path, files: &Files) {
        let places = self.places(files);
        let is_configured = |exporter: &ExporterConfig| match places.find(&exporter.component) {
            Found::Here(found) | Found::InDirectory(found) => found == file,
            _ => false,
        };
        if self.config.exporters.values().any(is_configured) {
            return;
        }
        let idle = |name: Option<&str>, state: IdleState| Idle {
            file: file.to_owned(),
            name: name.map(str::to_owned),
            state,
        };
        let Some(Ok(facts)) = files.get(file) else {
            let state = IdleState::Broken(reason(files, file));
            return choice.idle.push(idle(None, state));
        };
        let built_in = self.built_in_name(&facts.digest);
        let approval = self.approvals.of(&facts.digest, None, &facts.real);
        let known = built_in.or(approval.map(|approval| approval.name.as_str()));
        if self.config.plugins.discovery == Discovery::Off {
            return choice.idle.push(idle(known, IdleState::NotNamed));
        }
        let consent = match (
            self.standing_consent(facts, None),
            self.config.plugins.discovery,
        ) {
            (Some(consent), _) => consent,
            (None, Discovery::All) => Consent::Discovery,
            (None, _) => {
                return match self.approvals.of_file(&facts.real, None) {
                    Some(before) => self.run_on(choice, file, facts, before, Vec::new()),
                    None => choice.idle.push(idle(None, IdleState::NeedsApproval)),
                };
            }
        };
        let id = known.and_then(|name| name.parse::<ExporterId>().ok());
        let is_there = |id: &ExporterId| {
            let wanted = choice.wanted.iter();
            self.config.exporters.contains_key(id)
                || wanted
                    .filter_map(|wanted| wanted.id.as_ref())
                    .any(|other| other == id)
        };
        if let Some(id) = id.as_ref().filter(|id| is_there(id)) {
            let state = IdleState::Broken(format!("exporter {id} is already there"));
            return choice.idle.push(idle(known, state));
        }
        choice.wanted.push(Wanted {
            source: Source::File(file.to_owned()),
            digest: Some(facts.digest.clone()),
            consent,
            is_named: false,
            file: Some(file.to_owned()),
            entries: Vec::new(),
            id,
            fallback: None,
        });
    }

    /// The bytes that were approved, as an exporter of the approval's id unless the config names others.
    fn kept(
        &self,
        approval: &Approval,
        file: &Path,
        entries: Vec<(ExporterId, ExporterConfig)>,
    ) -> Wanted {
        let own = || approval.exporter.parse::<ExporterId>().ok();
        let id = entries.first().map(|(id, _)| id.clone()).or_else(own);
        Wanted {
            source: Source::kept(self.approvals, &approval.digest, file),
            digest: Some(approval.digest.clone()),
            consent: Consent::Approved(Box::new(approval.clone())),
            is_named: false,
            file: None,
            entries,
            id,
            fallback: None,
        }
    }

    /// With `--plugin`, the directory's other files are mentioned and not used.
    fn leave_others(&self, choice: &mut Choice, files: &Files) {
        for file in self.listing {
            let file = tidy(file);
            let is_used = choice
                .wanted
                .iter()
                .any(|wanted| wanted.file.as_ref() == Some(&file));
            if is_used || choice.unapproved.contains(&file) {
                continue;
            }
            let name = files
                .get(&file)
                .and_then(|facts| facts.as_ref().ok())
                .and_then(|facts| self.built_in_name(&facts.digest));
            choice.idle.push(Idle {
                name: name.map(str::to_owned),
                file,
                state: IdleState::NotInUse,
            });
        }
    }
}

fn other_digest(file: &Path, found: &str, wanted: &str) -> String {
    let (found, wanted) = (super::short(found), super::short(wanted));
    let file = file.display();
    format!("{file} has digest {found}, and the config wants {wanted}")
}

fn reason(files: &Files, file: &Path) -> String {
    match files.get(file) {
        Some(Err(reason)) => reason.clone(),
        _ => "no such file".to_owned(),
    }
}
