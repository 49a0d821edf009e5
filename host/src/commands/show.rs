//! `mastra-host show traces|trace|logs|metrics|scores|feedback`: what the local store holds, also while the host runs.

use std::cell::{Cell, RefCell};
use std::path::Path;

use bytes::Bytes;

use super::{Context, Exit, causes};
use crate::cli::{Output, ShowArgs, ShowCommand, ShowTraceArgs};
use crate::event::records::{FeedbackItem, Log, Metric, Record, Score, Span};
use crate::event::{Event, Signal, decode};
use crate::print;
use crate::receive::read_event;
use crate::store::{Filter, Reader, StoreError};

/// What is shown of one trace beside its spans.
const MOST_OF_A_TRACE: u32 = 100_000;

/// Runs the command.
pub fn run(command: &ShowCommand, ctx: &mut Context<'_>) -> Exit {
    match command {
        ShowCommand::Traces(args) => list(args, ctx, traces),
        ShowCommand::Trace(args) => trace(args, ctx),
        ShowCommand::Logs(args) => list(args, ctx, |rows, args, ctx| {
            records(Signal::Logs, rows, args, ctx)
        }),
        ShowCommand::Metrics(args) => list(args, ctx, |rows, args, ctx| {
            records(Signal::Metrics, rows, args, ctx)
        }),
        ShowCommand::Scores(args) => list(args, ctx, |rows, args, ctx| {
            records(Signal::Scores, rows, args, ctx)
        }),
        ShowCommand::Feedback(args) => list(args, ctx, |rows, args, ctx| {
            records(Signal::Feedback, rows, args, ctx)
        }),
    }
}

fn list(
    args: &ShowArgs,
    ctx: &mut Context<'_>,
    show: impl FnOnce(&Rows, &ShowArgs, &Context<'_>) -> Result<String, StoreError>,
) -> Exit {
    let output = args.output.format;
    let reader = match open(&args.data_dir.data_dir, &args.exporter, output, ctx) {
        Ok(reader) => reader,
        Err(exit) => return exit,
    };
    let rows = Rows::of(reader);
    match show(&rows, args, ctx) {
        Ok(text) => {
            ctx.print(&text);
            rows.tell_unreadable(ctx);
            Exit::Fine
        }
        Err(error) => ctx.fail(output, Exit::Failed, &causes(&error)),
    }
}

fn open(
    data_dir: &Path,
    exporter: &str,
    output: Output,
    ctx: &mut Context<'_>,
) -> Result<Reader, Exit> {
    let reader = match Reader::open(data_dir) {
        Ok(Some(reader)) => reader,
        Ok(None) => {
            let message = format!(
                "nothing is stored in {}: run the host with the component `default`, or name its directory with \
                 --data-dir",
                data_dir.display()
            );
            return Err(ctx.fail(output, Exit::BadUsage, &message));
        }
        Err(error) => return Err(ctx.fail(output, Exit::Failed, &causes(&error))),
    };
    let exporters = match reader.exporters() {
        Ok(exporters) => exporters,
        Err(error) => return Err(ctx.fail(output, Exit::Failed, &causes(&error))),
    };
    if !exporters.is_empty() && !exporters.iter().any(|known| known == exporter) {
        let message = format!(
            "exporter {exporter} has stored nothing; these have: {}; choose one with --exporter",
            exporters.join(", ")
        );
        return Err(ctx.fail(output, Exit::BadUsage, &message));
    }
    Ok(reader)
}

/// What is stored, and how much of it is not what this host writes.
struct Rows {
    reader: Reader,
    unreadable: Cell<u64>,
    reason: RefCell<Option<String>>,
}

impl Rows {
    const fn of(reader: Reader) -> Self {
        Self {
            reader,
            unreadable: Cell::new(0),
            reason: RefCell::new(None),
        }
    }

    fn skip(&self, reason: impl FnOnce() -> String) {
        self.unreadable.set(self.unreadable.get().saturating_add(1));
        self.reason.borrow_mut().get_or_insert_with(reason);
    }

    /// The store takes any JSON: an exporter of somebody else may have put something else there.
    fn parsed(&self, contents: &[String]) -> Vec<Event> {
        let events = contents.iter().filter_map(|content| {
            match read_event(&Bytes::copy_from_slice(content.as_bytes())) {
                Ok(event) => Some(event),
                Err(error) => {
                    self.skip(|| error.to_string());
                    None
                }
            }
        });
        events.collect()
    }

    fn records<'a, T>(
        &self,
        events: &'a [Event],
        wanted: impl Fn(Record<'a>) -> Option<T>,
    ) -> Vec<T> {
        let records = events.iter().filter_map(|event| {
            decode::record(event)
                .inspect_err(|error| self.skip(|| error.to_string()))
                .ok()
        });
        records.filter_map(wanted).collect()
    }

    fn tell_unreadable(&self, ctx: &mut Context<'_>) {
        let reason = self.reason.take().unwrap_or_default();
        match self.unreadable.get() {
            0 => {}
            rows => ctx.warn(&format!(
                "{} of the store cannot be read as an event of this host, and is not shown (the first: {reason})",
                print::count(rows, "row")
            )),
        }
    }
}

fn traces(rows: &Rows, args: &ShowArgs, ctx: &Context<'_>) -> Result<String, StoreError> {
    let ids = match &args.trace {
        Some(id) => vec![id.clone()],
        None => rows.reader.newest_traces(&args.exporter, args.limit)?,
    };
    let mut spans = Vec::with_capacity(ids.len());
    for id in &ids {
        spans.push(events(rows, Signal::Traces, &args.exporter, id)?);
    }
    let decoded: Vec<Vec<Span<'_>>> = spans
        .iter()
        .map(|events| rows.records(events, span))
        .collect();
    Ok(match args.output.format {
        Output::Human => print::traces::list(&decoded, ctx.look),
        Output::Json => print::traces::list_json(&decoded),
    })
}

fn trace(args: &ShowTraceArgs, ctx: &mut Context<'_>) -> Exit {
    let output = args.output.format;
    let reader = match open(&args.data_dir.data_dir, &args.exporter, output, ctx) {
        Ok(reader) => reader,
        Err(exit) => return exit,
    };
    let rows = Rows::of(reader);
    let shown = rows
        .reader
        .traces_like(&args.exporter, &args.id)
        .and_then(|ids| match ids.as_slice() {
            [id] => one_trace(&rows, args, id, ctx).map(Ok),
            [] => Ok(Err("there is no trace")),
            _ => Ok(Err("there is more than one trace")),
        });
    match shown {
        Ok(Ok(text)) => {
            ctx.print(&text);
            rows.tell_unreadable(ctx);
            Exit::Fine
        }
        Ok(Err(found)) => {
            let message = format!(
                "{found} whose id begins with {}; `show traces` lists them",
                args.id
            );
            ctx.fail(output, Exit::BadUsage, &message)
        }
        Err(error) => ctx.fail(output, Exit::Failed, &causes(&error)),
    }
}

fn one_trace(
    rows: &Rows,
    args: &ShowTraceArgs,
    id: &str,
    ctx: &Context<'_>,
) -> Result<String, StoreError> {
    let read = |signal| events(rows, signal, &args.exporter, id);
    let (spans, logs) = (read(Signal::Traces)?, read(Signal::Logs)?);
    let (scores, feedback) = (read(Signal::Scores)?, read(Signal::Feedback)?);
    if args.output.format == Output::Json {
        let all = [spans, logs, scores, feedback];
        return Ok(print::stored::lines(all.iter().flatten()));
    }
    let look = ctx.look;
    let mut text = print::traces::tree(id, &rows.records(&spans, span), look);
    for (title, table) in [
        ("Logs", print::stored::logs(&rows.records(&logs, log), look)),
        (
            "Scores",
            print::stored::scores(&rows.records(&scores, score), look),
        ),
        (
            "Feedback",
            print::stored::feedback(&rows.records(&feedback, item), look),
        ),
    ] {
        if let Some(table) = table {
            text.push_str(&format!("\n{title}\n{table}"));
        }
    }
    Ok(text)
}

fn records(
    signal: Signal,
    rows: &Rows,
    args: &ShowArgs,
    ctx: &Context<'_>,
) -> Result<String, StoreError> {
    let filter = Filter {
        exporter: &args.exporter,
        trace_id: args.trace.as_deref(),
        limit: args.limit,
    };
    let events = rows.parsed(&rows.reader.newest(signal, filter)?);
    if args.output.format == Output::Json {
        return Ok(print::stored::lines(&events));
    }
    let look = ctx.look;
    let table = match signal {
        Signal::Traces => None,
        Signal::Logs => print::stored::logs(&rows.records(&events, log), look),
        Signal::Metrics => print::stored::metrics(&rows.records(&events, metric), look),
        Signal::Scores => print::stored::scores(&rows.records(&events, score), look),
        Signal::Feedback => print::stored::feedback(&rows.records(&events, item), look),
    };
    Ok(table.unwrap_or_else(|| format!("No {signal} are stored.\n")))
}

fn events(
    rows: &Rows,
    signal: Signal,
    exporter: &str,
    trace_id: &str,
) -> Result<Vec<Event>, StoreError> {
    let filter = Filter {
        exporter,
        trace_id: Some(trace_id),
        limit: MOST_OF_A_TRACE,
    };
    Ok(rows.parsed(&rows.reader.newest(signal, filter)?))
}

fn span(record: Record<'_>) -> Option<Span<'_>> {
    match record {
        Record::Span(span) => Some(*span),
        _ => None,
    }
}

fn log(record: Record<'_>) -> Option<Log<'_>> {
    match record {
        Record::Log(log) => Some(*log),
        _ => None,
    }
}

fn metric(record: Record<'_>) -> Option<Metric<'_>> {
    match record {
        Record::Metric(metric) => Some(*metric),
        _ => None,
    }
}

fn score(record: Record<'_>) -> Option<Score<'_>> {
    match record {
        Record::Score(score) => Some(*score),
        _ => None,
    }
}

fn item(record: Record<'_>) -> Option<FeedbackItem<'_>> {
    match record {
        Record::Feedback(item) => Some(*item),
        _ => None,
    }
}
