//! The end of `run --input`: a table of what became of every event, and the one JSON line that scripts read.

use std::collections::BTreeMap;
use std::time::Duration;

use comfy_table::{CellAlignment, ColumnConstraint};
use serde_json::{Map, Value, json};

use super::{Lines, Look, Tone, cell, count, finish, line, number_cell, table, thousands};
use crate::config::units::show_duration;
use crate::event::Signal;

/// What became of the events of one exporter and signal. `received` is the sum of the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Taken from the log for this exporter.
    pub received: u64,
    /// The backend has them.
    pub delivered: u64,
    /// Not wanted, or the backend has no place for them.
    pub filtered: u64,
    /// Given up, with a reason.
    pub dead_lettered: u64,
    /// Lost, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Still waiting, held or in flight.
    pub queued: u64,
}

/// What `run --input` did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunReport {
    /// By exporter id and signal; signals that an exporter lacks do not appear.
    pub exporters: BTreeMap<String, BTreeMap<Signal, Counts>>,
    /// What was read.
    pub input: InputCounts,
    /// Start to end.
    pub elapsed: Duration,
}

/// What was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InputCounts {
    /// Events that were taken.
    pub accepted: u64,
    /// Events that could not be read.
    pub refused: u64,
    /// Events that were there before.
    pub repeated: u64,
}

impl Counts {
    /// Dropped for any reason.
    #[must_use]
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().sum()
    }

    /// Neither delivered nor unwanted.
    #[must_use]
    pub fn undelivered(&self) -> u64 {
        self.dead_lettered + self.dropped_total() + self.queued
    }

    /// The conservation law.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        self.received == self.delivered + self.filtered + self.undelivered()
    }

    fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.delivered += other.delivered;
        self.filtered += other.filtered;
        self.dead_lettered += other.dead_lettered;
        self.queued += other.queued;
        for (reason, number) in &other.dropped {
            *self.dropped.entry(reason.clone()).or_default() += number;
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "received": self.received,
            "delivered": self.delivered,
            "filtered": self.filtered,
            "dead_lettered": self.dead_lettered,
            "dropped": self.dropped_total(),
            "queued": self.queued,
        })
    }
}

impl RunReport {
    /// Whether everything that was read was delivered or not wanted.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.input.refused == 0 && self.total().undelivered() == 0
    }

    /// Whether nothing waits for an exporter.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.total().queued == 0
    }

    fn total(&self) -> Counts {
        let mut total = Counts::default();
        for counts in self.exporters.values().flat_map(BTreeMap::values) {
            total.add(counts);
        }
        total
    }
}

/// One line: `{"exporters":{"<id>":{"<signal>":{...}}}}`.
#[must_use]
pub fn json(report: &RunReport) -> String {
    let exporters: Map<String, Value> = report
        .exporters
        .iter()
        .map(|(id, signals)| {
            let signals: Map<String, Value> = signals
                .iter()
                .map(|(signal, counts)| (signal.name().to_owned(), counts.to_json()))
                .collect();
            (id.clone(), Value::Object(signals))
        })
        .collect();
    line(&json!({ "exporters": exporters }))
}

/// The table and a sentence.
#[must_use]
pub fn human(report: &RunReport, look: Look) -> String {
    const HEADER: [&str; 8] = [
        "exporter",
        "signal",
        "received",
        "delivered",
        "filtered",
        "dead\nletters",
        "dropped",
        "queued",
    ];
    let mut table = table(look, &HEADER);
    for (id, signals) in &report.exporters {
        let mut shown_id = id.as_str();
        for (signal, counts) in signals {
            table.add_row(vec![
                cell(look, Tone::Strong, shown_id),
                cell(look, Tone::Plain, signal.name()),
                number_cell(look, Tone::Plain, counts.received),
                number_cell(look, Tone::Good, counts.delivered),
                number_cell(look, Tone::Plain, counts.filtered),
                number_cell(look, Tone::Bad, counts.dead_lettered),
                number_cell(look, Tone::Bad, counts.dropped_total()),
                number_cell(look, Tone::Warning, counts.queued),
            ]);
            shown_id = "";
        }
    }
    // Where the terminal is narrow the ids give way, never the numbers.
    for column in table.column_iter_mut().skip(1) {
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut text = if report.exporters.is_empty() {
        String::new()
    } else {
        finish(&table)
    };
    text.push_str(&summary(report, look));
    text
}

/// What was read, and whether all of it arrived.
fn summary(report: &RunReport, look: Look) -> String {
    let mut read = vec![format!("{} read", count(report.input.accepted, "event"))];
    if report.input.repeated > 0 {
        read.push(count(report.input.repeated, "repeat"));
    }
    if report.input.refused > 0 {
        read.push(format!("{} refused", thousands(report.input.refused)));
    }
    let mut text = Lines::default();
    let elapsed = show_elapsed(report.elapsed);
    text.line(format_args!("{} in {elapsed}.", read.join(", ")));
    let total = report.total();
    if report.is_complete() {
        let fine = look.paint(Tone::Good, "✔ Nothing was left behind.");
        text.line(format_args!("{fine}"));
        return text.into_text();
    }
    let mut losses = Vec::new();
    if report.input.refused > 0 {
        losses.push(format!("{} refused", thousands(report.input.refused)));
    }
    if total.dead_lettered > 0 {
        losses.push(count(total.dead_lettered, "dead letter"));
    }
    for (reason, number) in total.dropped.iter().filter(|(_, number)| **number > 0) {
        losses.push(format!("{} dropped ({reason})", thousands(*number)));
    }
    if total.queued > 0 {
        losses.push(format!("{} still queued", thousands(total.queued)));
    }
    let lost = format!("✘ Not delivered: {}.", losses.join(", "));
    text.line(format_args!("{}", look.paint(Tone::Bad, &lost)));
    text.into_text()
}

/// `820 ms`, `2.3 s`, `5m12s`.
fn show_elapsed(elapsed: Duration) -> String {
    match elapsed.as_secs() {
        0 => format!("{} ms", elapsed.as_millis()),
        1..=59 => format!("{:.1} s", elapsed.as_secs_f64()),
        seconds => show_duration(Duration::from_secs(seconds)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> RunReport {
        let fine = Counts {
            received: 1_200,
            delivered: 1_000,
            filtered: 200,
            ..Counts::default()
        };
        let bad = Counts {
            received: 20,
            delivered: 5,
            dead_lettered: 3,
            dropped: BTreeMap::from([("lag".to_owned(), 2)]),
            queued: 10,
            ..Counts::default()
        };
        RunReport {
            exporters: BTreeMap::from([
                (
                    "json".to_owned(),
                    BTreeMap::from([(Signal::Traces, fine.clone()), (Signal::Scores, fine)]),
                ),
                (
                    "langfuse/eu".to_owned(),
                    BTreeMap::from([(Signal::Traces, bad)]),
                ),
            ]),
            input: InputCounts {
                accepted: 1_220,
                refused: 1,
                repeated: 0,
            },
            elapsed: Duration::from_millis(2_345),
        }
    }

    #[test]
    fn people_see_a_table_and_what_is_missing() {
        let wanted = "\
╭──────────────────────────────────────────────────────────────────────────────╮
│ exporter     signal  received  delivered  filtered     dead  dropped  queued │
│                                                     letters                  │
├──────────────────────────────────────────────────────────────────────────────┤
│ json         traces     1,200      1,000       200        0        0       0 │
│              scores     1,200      1,000       200        0        0       0 │
│ langfuse/eu  traces        20          5         0        3        2      10 │
╰──────────────────────────────────────────────────────────────────────────────╯
1,220 events read, 1 refused in 2.3 s.
✘ Not delivered: 1 refused, 3 dead letters, 2 dropped (lag), 10 still queued.
";
        let text = human(&report(), Look::default());
        assert_eq!(text, wanted, "\n{text}");
    }

    #[test]
    fn elapsed_time_is_as_exact_as_it_is_useful() {
        for (millis, text) in [
            (0, "0 ms"),
            (820, "820 ms"),
            (2_345, "2.3 s"),
            (312_000, "5m12s"),
        ] {
            assert_eq!(show_elapsed(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn colours_are_used_only_when_allowed() {
        assert!(!human(&report(), Look::default()).contains(crate::telemetry::visible::PAINT));
        assert!(
            human(
                &report(),
                Look {
                    color: true,
                    width: Some(100)
                }
            )
            .contains(crate::telemetry::visible::PAINT)
        );
    }

    #[test]
    fn a_complete_run_says_so() {
        let mut report = report();
        report.exporters.remove("langfuse/eu");
        assert!(!report.is_complete(), "an event was refused");
        report.input.refused = 0;
        assert!(report.is_complete());
        assert!(human(&report, Look::default()).ends_with("✔ Nothing was left behind.\n"));
    }

    #[test]
    fn programs_get_one_line_with_six_numbers() {
        let text = json(&report());
        assert_eq!(text.lines().count(), 1);
        let value: Value = serde_json::from_str(&text).unwrap();
        let wanted = serde_json::json!({"exporters": {
            "json": {
                "traces": {"received": 1200, "delivered": 1000, "filtered": 200, "dead_lettered": 0, "dropped": 0, "queued": 0},
                "scores": {"received": 1200, "delivered": 1000, "filtered": 200, "dead_lettered": 0, "dropped": 0, "queued": 0},
            },
            "langfuse/eu": {
                "traces": {"received": 20, "delivered": 5, "filtered": 0, "dead_lettered": 3, "dropped": 2, "queued": 10},
            },
        }});
        assert_eq!(value, wanted);
    }

    #[test]
    fn counts_add_up_or_say_that_they_do_not() {
        for counts in report().exporters.values().flat_map(BTreeMap::values) {
            assert!(counts.adds_up());
        }
        assert!(
            !Counts {
                received: 1,
                ..Counts::default()
            }
            .adds_up()
        );
    }
}
