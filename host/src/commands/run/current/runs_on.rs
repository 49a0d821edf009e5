//! What runs on although the files say otherwise, and why: a component that cannot take over leaves the one before in place.

use std::collections::BTreeMap;

use super::Current;
use crate::commands::survey::Survey;
use crate::config::ExporterId;
use crate::config::select::{Consent, Idle, IdleState, Planned, Source};

impl Current<'_> {
    /// What is to run: what the files say, and what runs already where they say nothing that can run.
    pub(super) fn keep_the_good(
        &self,
        survey: &Survey,
        troubles: &mut Vec<String>,
    ) -> BTreeMap<ExporterId, Planned> {
        let mut exporters = survey.exporters();
        if self.settled.is_cancelled() {
            troubles.extend(
                survey
                    .choice
                    .idle
                    .iter()
                    .filter_map(|idle| self.runs_on(idle)),
            );
        }
        for (id, good) in &self.good {
            let trouble = match exporters.get(id) {
                Some(new) => more_than_before(new, good),
                None => self.why_not(id, good, survey),
            };
            if let Some(trouble) = trouble {
                troubles.extend(trouble);
                exporters.insert(id.clone(), good.clone());
            }
        }
        exporters
    }

    /// What is said of a file whose approved bytes run on.
    fn runs_on(&self, idle: &Idle) -> Option<String> {
        let mut wanted = self.asked.choice.wanted.iter();
        wanted.find(
            |wanted| matches!(&wanted.source, Source::Kept { file, .. } if *file == idle.file),
        )?;
        let file = idle.file.display();
        match &idle.state {
            IdleState::Changed => Some(format!(
                "{file} needs approval: it has changed, and the approved one runs on; `mastra-host plugin approve {file}`"
            )),
            IdleState::Broken(reason) => Some(format!(
                "{file} is not used ({reason}); the approved one runs on"
            )),
            _ => None,
        }
    }

    /// Why an exporter that runs has no successor though it is still wanted: `Some(None)` while one is being loaded.
    #[allow(
        clippy::option_option,
        reason = "kept or not, and with a reason or without"
    )]
    fn why_not(&self, id: &ExporterId, good: &Planned, survey: &Survey) -> Option<Option<String>> {
        let mut wanted = self.asked.choice.wanted.iter();
        let is_meant = |wanted: &&crate::config::select::Wanted| {
            wanted.id.as_ref() == Some(id)
                || wanted.entries.iter().any(|(entry, _)| entry == id)
                || same_place(&wanted.source, &good.component.source)
        };
        let wanted = wanted.find(is_meant)?;
        let key = (wanted.source.clone(), wanted.digest.clone());
        if self.pending.contains(&key) {
            return Some(None);
        }
        let source = &wanted.source;
        let reason = match self.loaded.get(&key) {
            Some(Err(reason)) => {
                format!("{source} does not load ({reason}); the one before runs on")
            }
            _ => {
                let seen = survey
                    .seen
                    .iter()
                    .find(|seen| seen.wanted.source == *source)?;
                let idle = seen.outcome.idle.as_ref()?;
                let IdleState::AsksForMore(_) = &idle.state else {
                    return None;
                };
                format!(
                    "{source} {}; the one before runs on: `mastra-host plugin approve {source}`",
                    idle.state
                )
            }
        };
        Some(Some(reason))
    }
}

/// A later build under `--plugin` may run while it asks for nothing more than the one that was named.
#[allow(clippy::option_option, reason = "as `why_not`")]
fn more_than_before(new: &Planned, good: &Planned) -> Option<Option<String>> {
    if new.consent != Consent::CommandLine || new.component.digest == good.component.digest {
        return None;
    }
    let more = new.component.grants().beyond(&good.component.grants());
    let source = &new.component.source;
    (!more.is_empty()).then(|| {
        Some(format!(
            "{source} needs approval (now also asks for {}); the one before runs on: `mastra-host plugin approve {source}`",
            more.join(", ")
        ))
    })
}

fn same_place(left: &Source, right: &Source) -> bool {
    match (left, right) {
        (
            Source::File(left) | Source::Kept { file: left, .. },
            Source::File(right) | Source::Kept { file: right, .. },
        ) => left == right,
        _ => left == right,
    }
}
