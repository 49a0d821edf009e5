//! `mastra-host show traces|trace|logs|metrics|scores|feedback`: what the local store holds, also while the host runs.

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
        ShowCommand::Logs(args) => list(args, ctx, |reader, args, ctx| {
            records(Signal::Logs, reader, args, ctx)
        }),
        ShowCommand::Metrics(args) => list(args, ctx, |reader, args, ctx| {
            records(Signal::Metrics, reader, args, ctx)
        }),
        ShowCommand::Scores(args) => list(args, ctx, |reader, args, ctx| {
            records(Signal::Scores, reader, args, ctx)
        }),
        ShowCommand::Feedback(args) => list(args, ctx, |reader, args, ctx| {
            records(Signal::Feedback, reader, args, ctx)
        }),
    }
}

fn list(
    args: &ShowArgs,
    ctx: &mut Context<'_>,
    show: impl FnOnce(&Reader, &ShowArgs, &Context<'_>) -> Result<String, StoreError>,
) -> Exit {
    let output = args.output.format;
    let reader = match open(&args.data_dir.data_dir, &args.exporter, output, ctx) {
        Ok(reader) => reader,
        Err(exit) => return exit,
    };
    match show(&reader, args, ctx) {
        Ok(text) => {
            ctx.print(&text);
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

fn traces(reader: &Reader, args: &ShowArgs, ctx: &Context<'_>) -> Result<String, StoreError> {
    let ids = match &args.trace {
        Some(id) => vec![id.clone()],
        None => reader.newest_traces(&args.exporter, args.limit)?,
    };
    let mut spans = Vec::with_capacity(ids.len());
    for id in &ids {
        spans.push(events(reader, Signal::Traces, &args.exporter, id)?);
    }
    let decoded: Vec<Vec<Span<'_>>> = spans.iter().map(|events| of(events, span)).collect();
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
    let shown = reader
        .traces_like(&args.exporter, &args.id)
        .and_then(|ids| match ids.as_slice() {
            [id] => one_trace(&reader, args, id, ctx).map(Ok),
            [] => Ok(Err("there is no trace")),
            _ => Ok(Err("there is more than one trace")),
        });
    match shown {
        Ok(Ok(text)) => {
            ctx.print(&text);
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
    reader: &Reader,
    args: &ShowTraceArgs,
    id: &str,
    ctx: &Context<'_>,
) -> Result<String, StoreError> {
    let read = |signal| events(reader, signal, &args.exporter, id);
    let (spans, logs) = (read(Signal::Traces)?, read(Signal::Logs)?);
    let (scores, feedback) = (read(Signal::Scores)?, read(Signal::Feedback)?);
    if args.output.format == Output::Json {
        let all = [spans, logs, scores, feedback];
        return Ok(print::stored::lines(all.iter().flatten()));
    }
    let look = ctx.look;
    let mut text = print::traces::tree(id, &of(&spans, span), look);
    for (title, table) in [
        ("Logs", print::stored::logs(&of(&logs, log), look)),
        ("Scores", print::stored::scores(&of(&scores, score), look)),
        (
            "Feedback",
            print::stored::feedback(&of(&feedback, item), look),
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
    reader: &Reader,
    args: &ShowArgs,
    ctx: &Context<'_>,
) -> Result<String, StoreError> {
    let filter = Filter {
        exporter: &args.exporter,
        trace_id: args.trace.as_deref(),
        limit: args.limit,
    };
    let events = parsed(&reader.newest(signal, filter)?);
    if args.output.format == Output::Json {
        return Ok(print::stored::lines(&events));
    }
    let look = ctx.look;
    let table = match signal {
        Signal::Traces => None,
        Signal::Logs => print::stored::logs(&of(&events, log), look),
        Signal::Metrics => print::stored::metrics(&of(&events, metric), look),
        Signal::Scores => print::stored::scores(&of(&events, score), look),
        Signal::Feedback => print::stored::feedback(&of(&events, item), look),
    };
    Ok(table.unwrap_or_else(|| format!("No {signal} are stored.\n")))
}

fn events(
    reader: &Reader,
    signal: Signal,
    exporter: &str,
    trace_id: &str,
) -> Result<Vec<Event>, StoreError> {
    let filter = Filter {
        exporter,
        trace_id: Some(trace_id),
        limit: MOST_OF_A_TRACE,
    };
    Ok(parsed(&reader.newest(signal, filter)?))
}

/// What an exporter stored that is no event is not shown: the store takes any JSON.
fn parsed(contents: &[String]) -> Vec<Event> {
    let events = contents
        .iter()
        .map(|content| read_event(&Bytes::copy_from_slice(content.as_bytes())));
    events.filter_map(Result::ok).collect()
}

fn of<'a, T>(events: &'a [Event], wanted: impl Fn(Record<'a>) -> Option<T>) -> Vec<T> {
    let records = events.iter().filter_map(|event| decode::record(event).ok());
    records.filter_map(wanted).collect()
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
