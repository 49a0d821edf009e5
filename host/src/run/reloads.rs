//! How changes of the config, the components and the approvals went while the host ran.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::telemetry::prometheus::ReloadFigures;

/// How reloads went.
#[derive(Debug, Default)]
pub struct Reloads(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    applied: u64,
    failed: u64,
    troubles: Vec<String>,
}

impl Reloads {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one. `troubles`: what of the files is not in effect, and why.
    pub fn note(&self, troubles: Vec<String>) {
        let mut seen = self.seen();
        if troubles.is_empty() {
            seen.applied += 1;
        } else {
            seen.failed += 1;
        }
        seen.troubles = troubles;
    }

    /// What of the files is not in effect now, and why.
    #[must_use]
    pub fn troubles(&self) -> Vec<String> {
        self.seen().troubles.clone()
    }

    pub(super) fn figures(&self) -> ReloadFigures {
        let seen = self.seen();
        ReloadFigures {
            applied: seen.applied,
            failed: seen.failed,
            is_current: seen.troubles.is_empty(),
        }
    }
}
