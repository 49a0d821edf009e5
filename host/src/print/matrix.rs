//! Which component supports which signal: a table, JSON, or Markdown for documents.

use std::collections::BTreeSet;

use comfy_table::CellAlignment;
use serde_json::json;

use super::{Lines, Look, MAX_TEXT_CHARS, Tone, bounded, cell, finish, line, table};
use crate::event::Signal;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatrixRow {
    /// The component's name.
    pub name: String,
    /// Signals that it exports.
    pub signals: BTreeSet<Signal>,
}

/// `{"exporters":[{"name","signals":[...]}]}`
#[must_use]
pub fn json(rows: &[MatrixRow]) -> String {
    let exporters: Vec<_> = rows
        .iter()
        .map(|row| json!({ "name": row.name, "signals": row.signals.iter().map(|signal| signal.name()).collect::<Vec<_>>() }))
        .collect();
    line(&json!({ "exporters": exporters }))
}

/// A Markdown table with ✅ and –.
#[must_use]
pub fn markdown(rows: &[MatrixRow]) -> String {
    let mut text = Lines::default();
    let signals = Signal::ALL.map(Signal::name).join(" | ");
    text.line(format_args!("| exporter | {signals} |"));
    text.line(format_args!("|---|{}", ":-:|".repeat(Signal::ALL.len())));
    for row in rows {
        let marks = Signal::ALL.map(|signal| {
            if row.signals.contains(&signal) {
                "✅"
            } else {
                "–"
            }
        });
        // A bar in a name would begin a column.
        let name = bounded(&row.name, MAX_TEXT_CHARS).replace('|', "\\|");
        text.line(format_args!("| {name} | {} |", marks.join(" | ")));
    }
    text.into_text()
}

/// A table.
#[must_use]
pub fn human(rows: &[MatrixRow], look: Look) -> String {
    let mut header = vec!["exporter"];
    header.extend(Signal::ALL.map(Signal::name));
    let mut table = table(look, &header);
    for row in rows {
        let mut cells = vec![cell(look, Tone::Strong, &row.name)];
        cells.extend(Signal::ALL.map(|signal| {
            let (tone, mark) = if row.signals.contains(&signal) {
                (Tone::Good, "✔")
            } else {
                (Tone::Dim, "–")
            };
            cell(look, tone, mark)
        }));
        table.add_row(cells);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Center);
    }
    finish(&table)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<MatrixRow> {
        let row = |name: &str, signals: &[Signal]| MatrixRow {
            name: name.to_owned(),
            signals: signals.iter().copied().collect(),
        };
        vec![
            row("json", &Signal::ALL),
            row(
                "langfuse",
                &[
                    Signal::Feedback,
                    Signal::Traces,
                    Signal::Logs,
                    Signal::Scores,
                ],
            ),
            row("nothing", &[]),
        ]
    }

    #[test]
    fn the_matrix_in_its_three_forms() {
        assert_eq!(
            markdown(&rows()),
            "\
| exporter | traces | logs | metrics | scores | feedback |
|---|:-:|:-:|:-:|:-:|:-:|
| json | ✅ | ✅ | ✅ | ✅ | ✅ |
| langfuse | ✅ | ✅ | – | ✅ | ✅ |
| nothing | – | – | – | – | – |
"
        );
        assert_eq!(
            json(&rows()),
            r#"{"exporters":[{"name":"json","signals":["traces","logs","metrics","scores","feedback"]},{"name":"langfuse","signals":["traces","logs","scores","feedback"]},{"name":"nothing","signals":[]}]}"#.to_owned() + "\n"
        );
        let wanted = "\
╭───────────────────────────────────────────────────╮
│ exporter  traces  logs  metrics  scores  feedback │
├───────────────────────────────────────────────────┤
│ json         ✔      ✔      ✔        ✔        ✔    │
│ langfuse     ✔      ✔      –        ✔        ✔    │
│ nothing      –      –      –        –        –    │
╰───────────────────────────────────────────────────╯
";
        let text = human(&rows(), Look::default());
        assert_eq!(text, wanted, "\n{text}");
    }
}
