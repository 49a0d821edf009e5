//! What a running host does with each component, for `plugin ls`: the files alone do not say which of them it holds back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Context, Exit};
use crate::cli::Output;
use crate::print;
use crate::print::plugins::{PluginRow, PluginState};

/// See the module. Clones are one.
#[derive(Clone, Default)]
pub(super) struct Standing(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    rows: Vec<PluginRow>,
    not_running: BTreeMap<String, String>,
    troubles: Vec<String>,
}

impl Seen {
    /// What the files say, with what has become of it.
    fn rows_now(&self) -> Vec<PluginRow> {
        let mut rows = self.rows.clone();
        for row in &mut rows {
            let PluginState::Active { exporters } = &row.state else {
                continue;
            };
            if let Some(state) = exporters.iter().find_map(|id| self.not_running.get(id)) {
                row.state = PluginState::Idle(state.clone());
            }
        }
        rows
    }
}

impl Standing {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This runs now, and this does not and why.
    pub(super) fn set(&self, rows: Vec<PluginRow>) {
        self.seen().rows = rows;
    }

    /// Exporters that do not run though they are to, with their states.
    pub(super) fn set_not_running(&self, not_running: BTreeMap<String, String>) {
        self.seen().not_running = not_running;
    }

    /// What of the files is not in effect.
    pub(super) fn set_troubles(&self, troubles: &[String]) {
        self.seen().troubles = troubles.to_vec();
    }

    /// Prints it as `plugin ls` does.
    pub(super) fn print(&self, output: Output, ctx: &mut Context<'_>) -> Exit {
        let text = {
            let seen = self.seen();
            let rows = seen.rows_now();
            match output {
                Output::Human => print::plugins::human_of_host(&rows, &seen.troubles, ctx.look),
                Output::Json => print::plugins::json_of_host(&rows, &seen.troubles),
            }
        };
        ctx.print(&text);
        Exit::Fine
    }
}
