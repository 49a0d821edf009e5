//! The exporters that a queue keeps a place for.

use serde_json::json;

use super::letters::time;
use super::{Look, Tone, cell, finish, line, number_cell, table};
use crate::queue::durable::CursorInfo;

/// A table.
#[must_use]
pub fn human(cursors: &[CursorInfo], look: Look) -> String {
    if cursors.is_empty() {
        return "No exporters.\n".to_owned();
    }
    let mut table = table(
        look,
        &["exporter", "waiting", "bytes", "oldest", "not run since"],
    );
    for cursor in cursors {
        let oldest = cursor.report.oldest_received_at;
        table.add_row(vec![
            cell(look, Tone::Strong, &cursor.exporter),
            number_cell(look, Tone::Plain, waiting(cursor)),
            number_cell(look, Tone::Plain, cursor.report.lag_bytes),
            cell(
                look,
                Tone::Plain,
                &oldest.map_or_else(|| "–".to_owned(), time),
            ),
            cell(
                look,
                Tone::Plain,
                &cursor.absent_since.map_or_else(|| "–".to_owned(), time),
            ),
        ]);
    }
    finish(&table)
}

/// `{"cursors":[{"exporter","queued","bytes","oldest_received_at","absent_since"}]}`
#[must_use]
pub fn json(cursors: &[CursorInfo]) -> String {
    let cursors: Vec<_> = cursors
        .iter()
        .map(|cursor| {
            json!({
                "exporter": cursor.exporter,
                "queued": waiting(cursor),
                "bytes": cursor.report.lag_bytes,
                "oldest_received_at": cursor.report.oldest_received_at.map(time),
                "absent_since": cursor.absent_since.map(time),
            })
        })
        .collect();
    line(&json!({ "cursors": cursors }))
}

fn waiting(cursor: &CursorInfo) -> u64 {
    let accounts = cursor.report.accounts.values();
    accounts.map(|account| account.queued).sum()
}
