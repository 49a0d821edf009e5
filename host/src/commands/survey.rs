//! What a host would do with each component, worked out at once and without starting anything: for `plugin ls` and
//! `validate`. The running host does the same step by step.

use std::collections::BTreeMap;

use super::Context;
use crate::config::claims::Claims;
use crate::config::component::ComponentFacts;
use crate::config::select::{
    Choice, Files, Idle, Outcome, Planned, Request, Source, Surroundings, Wanted,
};
use crate::config::{ExporterId, Problem};
use crate::print::plugins::{PluginRow, PluginState};

/// One component that was to be loaded, and what came of it.
pub(super) struct Seen {
    pub(super) wanted: Wanted,
    pub(super) facts: Option<ComponentFacts>,
    pub(super) outcome: Outcome,
}

/// See the module.
#[derive(Default)]
pub(super) struct Survey {
    pub(super) files: Files,
    pub(super) choice: Choice,
    pub(super) seen: Vec<Seen>,
}

/// The sources of a choice, each once, with the digest that each must have.
pub(super) fn sources(choice: &Choice) -> BTreeMap<Source, Option<String>> {
    let mut all = BTreeMap::new();
    for wanted in &choice.wanted {
        all.insert(wanted.source.clone(), wanted.digest.clone());
        if let Some(fallback) = &wanted.fallback {
            all.insert(fallback.source.clone(), fallback.digest.clone());
        }
    }
    all
}

/// What came of loading a source: `None` while it is under way.
pub(super) type Loads<'a> = &'a dyn Fn(&Source) -> Option<Result<ComponentFacts, String>>;

/// Works out what becomes of each component that was to be loaded. Those that are still being loaded are left out.
pub(super) fn see(choice: &Choice, loads: Loads<'_>, around: &Surroundings<'_>) -> Vec<Seen> {
    let mut all = Vec::new();
    for wanted in &choice.wanted {
        let Some(seen) = see_one(wanted, loads, around) else {
            continue;
        };
        let refused = seen.outcome.exporters.is_empty();
        let fallback = wanted.fallback.as_deref().filter(|_| refused);
        let fallback = fallback.and_then(|fallback| see_one(fallback, loads, around));
        all.push(seen);
        all.extend(fallback);
    }
    all
}

fn see_one(wanted: &Wanted, loads: Loads<'_>, around: &Surroundings<'_>) -> Option<Seen> {
    let (facts, outcome) = match loads(&wanted.source)? {
        Ok(facts) => {
            let outcome = wanted.plan(&facts, around);
            (Some(facts), outcome)
        }
        Err(reason) => (None, wanted.failed(&reason)),
    };
    Some(Seen {
        wanted: wanted.clone(),
        facts,
        outcome,
    })
}

impl Survey {
    /// Loads what may be loaded, and waits for it.
    pub(super) fn make(request: &Request<'_>, claims: &Claims, ctx: &Context<'_>) -> Self {
        let files = ctx.components.examine(&request.files());
        let choice = request.choose(&files);
        let sources: Vec<Source> = sources(&choice).into_keys().collect();
        let loaded = ctx.components.load(&sources);
        let loaded: BTreeMap<Source, _> = sources.into_iter().zip(loaded).collect();
        let around = Surroundings {
            config: request.config,
            environment: ctx.environment,
            claims,
            now: "",
        };
        let seen = see(&choice, &|source| loaded.get(source).cloned(), &around);
        Self {
            files,
            choice,
            seen,
        }
    }

    /// Exporters that start, by id. Where two want one id, the first has it.
    pub(super) fn exporters(&self) -> BTreeMap<ExporterId, Planned> {
        let mut exporters = BTreeMap::new();
        for seen in &self.seen {
            for (id, planned) in &seen.outcome.exporters {
                exporters
                    .entry(id.clone())
                    .or_insert_with(|| planned.clone());
            }
        }
        exporters
    }

    /// What is wrong with the config or the command line.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let seen = self.seen.iter();
        let of_seen = seen.flat_map(|seen| seen.outcome.problems.iter().cloned());
        let all = self.choice.problems.iter().cloned().chain(of_seen);
        all.chain(self.collisions()).collect()
    }

    /// With `--plugin`, two components of one id are bad usage.
    fn collisions(&self) -> Vec<Problem> {
        let mut owners: BTreeMap<&ExporterId, &Wanted> = BTreeMap::new();
        let mut problems = Vec::new();
        for seen in &self.seen {
            for id in seen.outcome.exporters.keys() {
                if owners.insert(id, &seen.wanted).is_some() && seen.wanted.is_named {
                    problems.push(Problem {
                        at: crate::config::Position::default(),
                        path: String::new(),
                        message: format!("{}: exporter {id} is already there", seen.wanted.source),
                        fix: Some("name each component once".to_owned()),
                    });
                }
            }
        }
        problems
    }

    /// Everything that does not run, and why.
    pub(super) fn idle(&self) -> Vec<Idle> {
        let of_seen = self
            .seen
            .iter()
            .filter_map(|seen| seen.outcome.idle.clone());
        self.choice.idle.iter().cloned().chain(of_seen).collect()
    }

    /// One row per file, and one per component that runs without its file.
    pub(super) fn rows(&self) -> Vec<PluginRow> {
        let mut rows: Vec<PluginRow> = Vec::new();
        for seen in &self.seen {
            rows.push(row_of(seen));
        }
        for idle in &self.choice.idle {
            let is_shown = rows
                .iter()
                .any(|row| row.file == idle.file.display().to_string());
            if !is_shown {
                rows.push(self.row_of_idle(idle));
            }
        }
        rows.sort_by(|left, right| left.file.cmp(&right.file));
        rows
    }

    /// Nothing of it ran: its bytes say what it is.
    fn row_of_idle(&self, idle: &Idle) -> PluginRow {
        let facts = self.files.get(&idle.file);
        let facts = facts.and_then(|facts| facts.as_ref().ok());
        PluginRow {
            file: idle.file.display().to_string(),
            name: idle.name.clone(),
            version: None,
            digest: facts.map(|facts| facts.digest.clone()),
            signals: facts
                .map(|facts| facts.signals.iter().copied().collect())
                .unwrap_or_default(),
            grants: None,
            state: PluginState::Idle(idle.state.to_string()),
        }
    }
}

fn row_of(seen: &Seen) -> PluginRow {
    let file = match &seen.wanted.file {
        Some(file) => file.display().to_string(),
        None => seen.wanted.source.to_string(),
    };
    let exporters: Vec<String> = seen
        .outcome
        .exporters
        .keys()
        .map(ToString::to_string)
        .collect();
    let state = match &seen.outcome.idle {
        Some(idle) => PluginState::Idle(idle.state.to_string()),
        None if !exporters.is_empty() => PluginState::Active { exporters },
        None => {
            let problems = seen.outcome.problems.iter();
            let problems: Vec<String> = problems.map(ToString::to_string).collect();
            PluginState::Failed(problems.join("; "))
        }
    };
    let facts = seen.facts.as_ref();
    PluginRow {
        name: facts.map(|facts| facts.name.clone()),
        version: facts.map(|facts| facts.version.clone()),
        digest: facts
            .map(|facts| facts.digest.clone())
            .or_else(|| seen.wanted.digest.clone()),
        signals: facts
            .map(|facts| facts.signals.iter().copied().collect())
            .unwrap_or_default(),
        grants: facts.map(ComponentFacts::grants),
        file,
        state,
    }
}
