//! `mastra-host purge --trace ID | --user ID | --session ID`: takes what is known of somebody or something out of the local
//! store and the dead letters, also while the host runs.
//!
//! What still waits in the queue is not taken out: its place in the log is owed to exporters, which have been promised
//! it. It is counted, and the user is told to come back when it has gone.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::json;

use super::data::with_queue;
use super::{Context, Exit, causes};
use crate::cli::{Output, PurgeArgs};
use crate::event::subject::{Subject, traces_of};
use crate::print::{Lines, count, line};
use crate::queue::durable::{DurableQueue, LetterFilter};
use crate::run::queue::QUEUE_DIRECTORY;
use crate::store::{Eraser, FILE_NAME};

/// Runs the command.
pub fn run(args: &PurgeArgs, ctx: &mut Context<'_>) -> Exit {
    let (data_dir, output) = (&args.data_dir.data_dir, args.output.format);
    if data_dir.join(QUEUE_DIRECTORY).is_dir() {
        return with_queue(data_dir, output, ctx, async |queue, ctx| {
            work(args, Some(queue), data_dir, ctx).await
        });
    }
    if !data_dir.join(FILE_NAME).is_file() {
        let message = format!(
            "there is neither a local store nor a queue in {}; name the host's directory with --data-dir",
            data_dir.display()
        );
        return ctx.fail(output, Exit::BadUsage, &message);
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().build() {
        Ok(runtime) => runtime,
        Err(error) => return ctx.fail(output, Exit::Failed, &error.to_string()),
    };
    runtime
        .block_on(work(args, None, data_dir, ctx))
        .unwrap_or_else(|message| ctx.fail(output, Exit::Failed, &message))
}

/// Does it on an open queue.
pub(super) async fn work(
    args: &PurgeArgs,
    queue: Option<&DurableQueue>,
    data_dir: &Path,
    ctx: &mut Context<'_>,
) -> Result<Exit, String> {
    let subject = args.subject();
    let store = Eraser::open(data_dir).map_err(|error| causes(&error))?;
    let mut kept = Kept { store, queue };
    // Few events of a trace name its user: with those that do goes the rest of their traces.
    let mut traces = BTreeSet::new();
    if !matches!(subject, Subject::Trace(_)) {
        kept.each(|_, content| {
            if subject.is_of(content) {
                traces.extend(traces_of(content));
            }
        })
        .await?;
    }
    let (mut rows, mut letters) = (Vec::new(), Vec::new());
    kept.each(|place, content| {
        let is_meant = subject.is_of(content)
            || (!traces.is_empty() && traces_of(content).iter().any(|id| traces.contains(id)));
        match place {
            Place::Row(id) if is_meant => rows.push(id),
            Place::Letter(id) if is_meant => letters.push(id),
            Place::Row(_) | Place::Letter(_) => {}
        }
    })
    .await?;
    let (rows, letters) = kept.remove(&rows, letters).await?;
    let cursors = queue.map(DurableQueue::cursors).unwrap_or_default();
    let waiting = cursors
        .iter()
        .flat_map(|cursor| cursor.report.accounts.values())
        .map(|account| account.queued)
        .sum();
    ctx.print(&match args.output.format {
        Output::Human => human(rows, letters, waiting),
        Output::Json => line(&json!({
            "store_rows": rows, "dead_letters": letters, "queued": waiting,
        })),
    });
    Ok(Exit::Fine)
}

fn human(rows: u64, letters: u64, waiting: u64) -> String {
    let mut text = Lines::default();
    let (rows, letters) = (count(rows, "row"), count(letters, "dead letter"));
    text.line(format_args!(
        "Removed {rows} of the local store and {letters}."
    ));
    if waiting > 0 {
        let waiting = count(waiting, "event");
        text.line(format_args!(
            "{waiting} wait in the queue and were not looked at: exporters will get them. Do this again when `mastra-host queue ls` shows none."
        ));
    }
    text.line(format_args!(
        "Backends, files of outputs and logs keep what they have: remove it there."
    ));
    text.into_text()
}

#[derive(Clone, Copy)]
enum Place {
    Row(i64),
    Letter(u64),
}

/// All that this host keeps beside what waits.
struct Kept<'q> {
    store: Option<Eraser>,
    queue: Option<&'q DurableQueue>,
}

impl Kept<'_> {
    async fn each(&self, mut see: impl FnMut(Place, &[u8])) -> Result<(), String> {
        if let Some(store) = &self.store {
            store
                .each(|row, content| see(Place::Row(row), content))
                .map_err(|error| causes(&error))?;
        }
        let Some(queue) = self.queue else {
            return Ok(());
        };
        for info in queue.dead_letters(&LetterFilter::default()) {
            let letter = queue.dead_letter(info.id).await;
            // One that went meanwhile needs no look.
            if let Some(letter) = letter.map_err(|error| error.to_string())? {
                see(Place::Letter(info.id), &letter.payload);
            }
        }
        Ok(())
    }

    async fn remove(&mut self, rows: &[i64], letters: Vec<u64>) -> Result<(u64, u64), String> {
        let rows = match &mut self.store {
            Some(store) if !rows.is_empty() => {
                store.remove(rows).map_err(|error| causes(&error))?
            }
            _ => 0,
        };
        let letters = match self.queue {
            Some(queue) if !letters.is_empty() => queue
                .purge_dead_letters(letters)
                .await
                .map_err(|error| error.to_string())?,
            _ => 0,
        };
        Ok((rows, letters))
    }
}
