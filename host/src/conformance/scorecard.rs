//! What came out: one entry a check, and what a backend would have seen. Plain data; `print` shows it.

use serde_json::Value;

use crate::event::Signal;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As the contract has it.
    Passed,
    /// Legal, but likely not what the author wants, or wrong for most backends.
    Warned,
    /// Against the contract, or events would be lost or doubled.
    Failed,
}

impl Verdict {
    /// The word in JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Warned => "warned",
            Self::Failed => "failed",
        }
    }
}

/// What a check is about. The order is the scorecard's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// `describe`
    Describe,
    /// `configure`, `flush`, `shutdown`, the page.
    Lifecycle,
    /// What becomes of each event.
    Events,
    /// What is answered to each reply of the backend.
    Replies,
    /// The same events twice.
    Repeats,
    /// What is sent, and where to.
    Requests,
    /// Comparison with kept files.
    Golden,
}

impl Group {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Describe,
        Self::Lifecycle,
        Self::Events,
        Self::Replies,
        Self::Repeats,
        Self::Requests,
        Self::Golden,
    ];

    /// The word in JSON and in ids.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Describe => "describe",
            Self::Lifecycle => "lifecycle",
            Self::Events => "events",
            Self::Replies => "replies",
            Self::Repeats => "repeats",
            Self::Requests => "requests",
            Self::Golden => "golden",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What it is about.
    pub group: Group,
    /// Of which signal, where it is about one.
    pub signal: Option<Signal>,
    /// What was looked at: `500`, `unicode`, `configured twice`. With group and signal unique.
    pub name: String,
    /// How it ended.
    pub verdict: Verdict,
    /// What the component did.
    pub found: String,
    /// What to do, unless it passed.
    pub fix: Option<String>,
}

/// A judgement on its way into a [`Check`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    pub(super) verdict: Verdict,
    pub(super) found: String,
    pub(super) fix: Option<String>,
}

impl Judgement {
    pub(super) fn pass(found: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Passed,
            found: found.into(),
            fix: None,
        }
    }

    pub(super) fn warn(found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Warned,
            found: found.into(),
            fix: Some(fix.into()),
        }
    }

    pub(super) fn fail(found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Failed,
            found: found.into(),
            fix: Some(fix.into()),
        }
    }
}

/// What a backend, the output or the store would have got for the ordinary events of one signal.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Of the events.
    pub signal: Signal,
    /// Requests, lines and rows; secrets are masked.
    pub content: Value,
}

/// The result of a test.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scorecard {
    /// In the order in which they were made.
    pub checks: Vec<Check>,
    /// One a signal.
    pub seen: Vec<Seen>,
}

impl Scorecard {
    pub(super) fn add(
        &mut self,
        group: Group,
        signal: Option<Signal>,
        name: impl Into<String>,
        judgement: Judgement,
    ) {
        self.checks.push(Check {
            group,
            signal,
            name: name.into(),
            verdict: judgement.verdict,
            found: judgement.found,
            fix: judgement.fix,
        });
    }

    /// How many checks ended so.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> usize {
        let checks = self.checks.iter();
        checks.filter(|check| check.verdict == verdict).count()
    }

    /// Whether nothing failed.
    #[must_use]
    pub fn is_passed(&self) -> bool {
        self.count(Verdict::Failed) == 0
    }
}
