//! A snapshot of all figures, and its text in the Prometheus format. Holds no counters: each room counts for itself, and
//! whoever serves `/metrics` puts a [`Snapshot`] together.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use super::metrics::{self, Metric, MetricType};
use crate::deliver::dead_letter::{LetterFigures, LettersReport};
use crate::event::Signal;
use crate::plugin::OutputFigures;
use crate::print::report::Counts;

/// Content type of the Prometheus text format that [`prometheus_text`] writes.
pub const PROMETHEUS_CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Upper bounds of the call duration's buckets, seconds: from a mapping without requests to the longest call.
pub const CALL_DURATION_BOUNDS: [f64; 10] =
    [0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0];

/// All figures at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Of the host.
    pub version: String,
    /// Unix seconds.
    pub start_time_seconds: f64,
    /// Of changed files.
    pub reloads: ReloadFigures,
    /// By receiver.
    pub receivers: BTreeMap<String, ReceiverSnapshot>,
    /// Bytes in the queue, and bytes that it can hold.
    pub queue_bytes: u64,
    /// See `queue_bytes`.
    pub queue_capacity_bytes: u64,
    /// Memory of the queue's index.
    pub queue_index_bytes: u64,
    /// What of it there may be.
    pub queue_index_capacity_bytes: u64,
    /// What is kept of dead letters.
    pub dead_letters: LettersReport,
    /// By exporter id.
    pub exporters: BTreeMap<String, ExporterSnapshot>,
}

/// What became of changed files.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReloadFigures {
    /// That took effect.
    pub applied: u64,
    /// Of which something did not.
    pub failed: u64,
    /// Whether all that the files say now is in effect.
    pub is_current: bool,
}

/// Figures of one receiver.
#[derive(Clone, Debug, Default)]
pub struct ReceiverSnapshot {
    /// All requests.
    pub requests: u64,
    /// Of these, answered with another status than 200.
    pub refused_requests: u64,
    /// Of bodies, decompressed.
    pub received_bytes: u64,
    /// New events.
    pub accepted: u64,
    /// Events that could not be read.
    pub refused: u64,
    /// Events that were here before.
    pub repeated: u64,
    /// What senders say they dropped, by signal.
    pub dropped_upstream: BTreeMap<Signal, u64>,
}

/// Figures of one exporter.
#[derive(Clone, Debug, Default)]
pub struct ExporterSnapshot {
    /// By signal; the ones that the report of `run --input` shows.
    pub counts: BTreeMap<Signal, Counts>,
    /// Bytes not finished with.
    pub lag_bytes: u64,
    /// Events that a stateful component holds.
    pub held_items: u64,
    /// Calls that may be under way at once.
    pub call_limit: u64,
    /// Calls of the component.
    pub calls: CallFigures,
    /// Filtered by the exporter's shape, by reason.
    pub shape_filtered: Vec<(&'static str, u64)>,
    /// Changed by the exporter's shape, by what was done.
    pub shaped: Vec<(&'static str, u64)>,
    /// Files that the exporter appends to.
    pub output: Option<OutputFigures>,
    /// Wall clock of calls, where it is measured.
    pub call_duration: Option<DurationHistogram>,
    /// `active`, `backing off`, `quarantined`, `unauthorized`, ...
    pub state: String,
}

/// Calls of one exporter's component.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallFigures {
    /// That ended.
    pub ended: u64,
    /// After which no event was settled.
    pub fruitless: u64,
    /// Events sent again.
    pub resent_items: u64,
    /// Calls of which nobody can say what was stored.
    pub unknown_outcomes: u64,
    /// Traps, overruns, broken contracts.
    pub faults: u64,
    /// Batches split.
    pub splits: u64,
}

/// A histogram over [`CALL_DURATION_BOUNDS`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DurationHistogram {
    /// One for each bound, then one for everything above; not cumulative.
    pub buckets: [u64; CALL_DURATION_BOUNDS.len() + 1],
    /// Seconds.
    pub sum_seconds: f64,
}

impl DurationHistogram {
    /// Counts one duration.
    pub fn record(&mut self, duration: std::time::Duration) {
        let seconds = duration.as_secs_f64();
        let index = CALL_DURATION_BOUNDS
            .iter()
            .position(|bound| seconds <= *bound)
            .unwrap_or(CALL_DURATION_BOUNDS.len());
        if let Some(bucket) = self.buckets.get_mut(index) {
            *bucket += 1;
        }
        self.sum_seconds += seconds;
    }
}

/// The snapshot in the Prometheus text format 0.0.4
/// (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
#[must_use]
pub fn prometheus_text(snapshot: &Snapshot) -> String {
    let mut text = Exposition::default();
    text.family(metrics::BUILD_INFO)
        .sample(&[("version", &snapshot.version)], 1_u64);
    text.family(metrics::START_TIME)
        .sample(&[], snapshot.start_time_seconds);
    write_reloads(&mut text, &snapshot.reloads);
    write_receivers(&mut text, snapshot);
    write_queue(&mut text, snapshot);
    write_fates(&mut text, snapshot);
    write_calls(&mut text, snapshot);
    text.text
}

fn write_reloads(text: &mut Exposition, reloads: &ReloadFigures) {
    text.family(metrics::RELOADS);
    text.sample(&[("result", "applied")], reloads.applied);
    text.sample(&[("result", "failed")], reloads.failed);
    text.family(metrics::LAST_RELOAD_SUCCESSFUL)
        .sample(&[], u64::from(reloads.is_current));
}

fn write_receivers(text: &mut Exposition, snapshot: &Snapshot) {
    type Figure = (Metric, fn(&ReceiverSnapshot) -> u64);
    const FIGURES: [Figure; 6] = [
        (metrics::RECEIVER_REQUESTS, |figures| figures.requests),
        (metrics::RECEIVER_REFUSED_REQUESTS, |figures| {
            figures.refused_requests
        }),
        (metrics::RECEIVER_BYTES, |figures| figures.received_bytes),
        (metrics::RECEIVER_ACCEPTED, |figures| figures.accepted),
        (metrics::RECEIVER_REFUSED, |figures| figures.refused),
        (metrics::RECEIVER_REPEATED, |figures| figures.repeated),
    ];
    for (metric, figure) in FIGURES {
        text.family(metric);
        for (receiver, figures) in &snapshot.receivers {
            text.sample(&[("receiver", receiver)], figure(figures));
        }
    }
    text.family(metrics::RECEIVER_DROPPED_UPSTREAM);
    for (receiver, figures) in &snapshot.receivers {
        for (signal, number) in &figures.dropped_upstream {
            text.sample(
                &[("receiver", receiver), ("signal", signal.name())],
                *number,
            );
        }
    }
}

fn write_queue(text: &mut Exposition, snapshot: &Snapshot) {
    for (metric, value) in [
        (metrics::QUEUE_BYTES, snapshot.queue_bytes),
        (metrics::QUEUE_CAPACITY, snapshot.queue_capacity_bytes),
        (metrics::QUEUE_INDEX_BYTES, snapshot.queue_index_bytes),
        (
            metrics::QUEUE_INDEX_CAPACITY,
            snapshot.queue_index_capacity_bytes,
        ),
    ] {
        text.family(metric).sample(&[], value);
    }
    type Figure = (Metric, fn(&LetterFigures) -> u64);
    const FIGURES: [Figure; 3] = [
        (metrics::DEAD_LETTERS, |figures| figures.letters),
        (metrics::DEAD_LETTER_BYTES, |figures| figures.bytes),
        (metrics::DEAD_LETTER_CAPACITY, |figures| figures.max_bytes),
    ];
    let letters = &snapshot.dead_letters;
    let origins = [
        ("exporters", &letters.exporters),
        ("receivers", &letters.receivers),
    ];
    for (metric, figure) in FIGURES {
        text.family(metric);
        for (origin, figures) in origins {
            text.sample(&[("origin", origin)], figure(figures));
        }
    }
    text.family(metrics::DEAD_LETTERS_DROPPED);
    for (origin, figures) in origins {
        for (reason, number) in figures.dropped.iter() {
            text.sample(&[("origin", origin), ("reason", reason.name())], number);
        }
    }
}

fn write_outputs(text: &mut Exposition, snapshot: &Snapshot) {
    type Figure = (Metric, fn(&OutputFigures) -> u64);
    const FIGURES: [Figure; 3] = [
        (metrics::OUTPUT_BYTES, |figures| figures.bytes),
        (metrics::OUTPUT_CAPACITY, |figures| figures.max_bytes),
        (metrics::OUTPUT_REFUSED, |figures| figures.refused),
    ];
    for (metric, figure) in FIGURES {
        text.family(metric);
        for (id, exporter) in &snapshot.exporters {
            if let Some(figures) = &exporter.output {
                text.sample(&[("exporter", id)], figure(figures));
            }
        }
    }
}

/// The terms of the conservation law.
fn write_fates(text: &mut Exposition, snapshot: &Snapshot) {
    type Term = (Metric, fn(&Counts) -> u64);
    const BEFORE_DROPPED: [Term; 4] = [
        (metrics::EXPORTER_RECEIVED, |counts| counts.received),
        (metrics::EXPORTER_DELIVERED, |counts| counts.delivered),
        (metrics::EXPORTER_FILTERED, |counts| counts.filtered),
        (metrics::EXPORTER_DEAD_LETTERED, |counts| {
            counts.dead_lettered
        }),
    ];
    let all = || {
        snapshot.exporters.iter().flat_map(|(id, exporter)| {
            exporter
                .counts
                .iter()
                .map(move |(signal, counts)| (id, signal, counts))
        })
    };
    for (metric, figure) in BEFORE_DROPPED {
        text.family(metric);
        for (id, signal, counts) in all() {
            text.sample(
                &[("exporter", id), ("signal", signal.name())],
                figure(counts),
            );
        }
    }
    text.family(metrics::EXPORTER_DROPPED);
    for (id, signal, counts) in all() {
        for (reason, number) in &counts.dropped {
            text.sample(
                &[
                    ("exporter", id),
                    ("signal", signal.name()),
                    ("reason", reason),
                ],
                *number,
            );
        }
    }
    text.family(metrics::EXPORTER_QUEUED);
    for (id, signal, counts) in all() {
        text.sample(
            &[("exporter", id), ("signal", signal.name())],
            counts.queued,
        );
    }
}

fn write_calls(text: &mut Exposition, snapshot: &Snapshot) {
    type Figure = (Metric, fn(&ExporterSnapshot) -> u64);
    const FIGURES: [Figure; 9] = [
        (metrics::EXPORTER_LAG_BYTES, |exporter| exporter.lag_bytes),
        (metrics::EXPORTER_HELD, |exporter| exporter.held_items),
        (metrics::EXPORTER_CALL_LIMIT, |exporter| exporter.call_limit),
        (metrics::EXPORTER_CALLS, |exporter| exporter.calls.ended),
        (metrics::EXPORTER_FRUITLESS_CALLS, |exporter| {
            exporter.calls.fruitless
        }),
        (metrics::EXPORTER_RESENT, |exporter| {
            exporter.calls.resent_items
        }),
        (metrics::EXPORTER_UNKNOWN_OUTCOMES, |exporter| {
            exporter.calls.unknown_outcomes
        }),
        (metrics::EXPORTER_FAULTS, |exporter| exporter.calls.faults),
        (metrics::EXPORTER_SPLITS, |exporter| exporter.calls.splits),
    ];
    for (metric, figure) in FIGURES {
        text.family(metric);
        for (id, exporter) in &snapshot.exporters {
            text.sample(&[("exporter", id)], figure(exporter));
        }
    }
    text.family(metrics::EXPORTER_SHAPE_FILTERED);
    for (id, exporter) in &snapshot.exporters {
        for (reason, number) in &exporter.shape_filtered {
            text.sample(&[("exporter", id), ("reason", reason)], *number);
        }
    }
    text.family(metrics::EXPORTER_SHAPED);
    for (id, exporter) in &snapshot.exporters {
        for (action, number) in &exporter.shaped {
            text.sample(&[("exporter", id), ("action", action)], *number);
        }
    }
    write_outputs(text, snapshot);
    text.family(metrics::EXPORTER_CALL_DURATION);
    for (id, exporter) in &snapshot.exporters {
        if let Some(histogram) = &exporter.call_duration {
            text.histogram(id, histogram);
        }
    }
    text.family(metrics::EXPORTER_STATE);
    for (id, exporter) in snapshot
        .exporters
        .iter()
        .filter(|(_, exporter)| !exporter.state.is_empty())
    {
        text.sample(&[("exporter", id), ("state", &exporter.state)], 1_u64);
    }
}

/// Writes the text format; `family` first, then its samples. A family without samples is not written.
#[derive(Default)]
struct Exposition {
    text: String,
    name: &'static str,
    head: String,
}

impl Exposition {
    fn family(&mut self, metric: Metric) -> &mut Self {
        let kind = match metric.kind {
            MetricType::Counter => "counter",
            MetricType::Gauge => "gauge",
            MetricType::Histogram => "histogram",
        };
        self.head = format!(
            "# HELP {} {}\n# TYPE {} {kind}\n",
            metric.name, metric.help, metric.name
        );
        self.name = metric.name;
        self
    }

    fn sample(&mut self, labels: &[(&str, &str)], value: impl fmt::Display) {
        self.line("", labels, value);
    }

    fn histogram(&mut self, exporter: &str, histogram: &DurationHistogram) {
        let mut below = 0;
        let bounds = CALL_DURATION_BOUNDS
            .iter()
            .map(ToString::to_string)
            .chain(["+Inf".to_owned()]);
        for (bound, number) in bounds.zip(histogram.buckets) {
            below += number;
            self.line("_bucket", &[("exporter", exporter), ("le", &bound)], below);
        }
        self.line("_sum", &[("exporter", exporter)], histogram.sum_seconds);
        self.line("_count", &[("exporter", exporter)], below);
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl fmt::Display) {
        self.text.push_str(&std::mem::take(&mut self.head));
        let _ = write!(self.text, "{}{suffix}", self.name);
        let mut separator = '{';
        for (name, value) in labels {
            let _ = write!(self.text, "{separator}{name}=\"");
            for c in value.chars() {
                match c {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    other => self.text.push(other),
                }
            }
            self.text.push('"');
            separator = ',';
        }
        if separator == ',' {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}
