//! The conformance kit: what `mastra-host test` does. It runs a component in the real engine, behind the real policy and
//! vault, against a scripted backend in this process, and judges what it answers and what a backend would have seen.
//!
//! The rules are the contract's (`wit/`), not a vendor's: what the contract leaves to a backend is at most a warning.
//! [`fixtures`] are the events, [`replies`] what the backend answers, [`subject`] the component under test; the checks are
//! in [`describing`], [`lifecycle`], [`events`], [`replies`], [`repeats`] and [`requests`], and end in a [`Scorecard`].
//! Called by `run`, which has the engine; reads no environment and no clock but the engine's.

mod backend;
mod describing;
mod events;
pub mod fixtures;
pub mod golden;
mod lifecycle;
mod repeats;
mod replies;
mod requests;
pub mod scorecard;
mod settings;
mod sight;
mod subject;

use std::sync::Arc;

use serde_json::{Map, Value};

use self::fixtures::{Fixture, FixtureError};
use self::golden::{Golden, GoldenError};
use self::scorecard::Scorecard;
use self::subject::Subject;
use crate::event::Signal;
use crate::event::signal_set::SignalSet;
use crate::http::wire::WireResponse;
use crate::plugin::Component;

/// What is to be tested, and how.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Only these signals; `None`: all that the component exports.
    pub signals: Option<SignalSet>,
    /// Settings that the kit must not make up.
    pub settings: Map<String, Value>,
    /// An author's own events, beside the canonical ones.
    pub fixtures: Vec<Fixture>,
    /// What the backend answers when all is well; `None`: 200 with `{"id": ...}`, to protobuf with an empty message.
    pub reply: Option<WireResponse>,
    /// Files to compare with.
    pub golden: Option<Golden>,
}

/// Why there is no scorecard.
#[derive(Debug, thiserror::Error)]
pub enum TestError {
    /// A signal was asked for that the component does not export.
    #[error("the component does not export `{missing}`; it exports {}", listed(*exported))]
    NotExported {
        /// Asked for.
        missing: Signal,
        /// What there is.
        exported: SignalSet,
    },
    /// The kit cannot make settings up that the component takes.
    #[error("no settings were found that the component takes; give them with --set NAME=VALUE:{0}")]
    Settings(String),
    /// The fixtures cannot be used.
    #[error(transparent)]
    Fixture(#[from] FixtureError),
    /// The golden files cannot be used.
    #[error(transparent)]
    Golden(#[from] GoldenError),
    /// The kit's own surroundings.
    #[error("cannot prepare the test: {0}")]
    Surroundings(String),
}

fn listed(signals: SignalSet) -> String {
    let names: Vec<&str> = signals.iter().map(Signal::name).collect();
    names.join(", ")
}

/// Tests a component.
///
/// Wants a runtime of its own whose clock is paused, so that time-outs take no time.
///
/// # Errors
/// See [`TestError`]. What the component does wrong is in the scorecard.
pub async fn run(component: &Arc<Component>, options: Options) -> Result<Scorecard, TestError> {
    let exported = component.signals();
    let chosen = options.signals.unwrap_or(exported);
    if let Some(missing) = chosen.iter().find(|signal| !exported.contains(*signal)) {
        return Err(TestError::NotExported { missing, exported });
    }
    let mut card = Scorecard::default();
    describing::check(component, &mut card).await;
    let subject = Subject::prepare(component, &options.settings, options.reply).await?;
    lifecycle::check(&subject, chosen, &mut card).await;
    let mut golden = options.golden;
    let mut watch = requests::Watch::default();
    for signal in chosen.iter() {
        let mut all = fixtures::canonical(signal)?;
        let own = options.fixtures.iter();
        all.extend(own.filter(|fixture| fixture.signal == signal).cloned());
        let plain = events::check(&subject, &all, golden.as_mut(), &mut watch, &mut card).await?;
        if let Some(plain) = plain {
            repeats::check(&subject, &plain, &mut watch, &mut card).await;
            replies::check(&subject, &plain, &mut watch, &mut card).await;
        }
    }
    watch.check(&subject, &mut card);
    if let Some(golden) = &golden {
        golden.check_left_over(&mut card)?;
    }
    Ok(card)
}
