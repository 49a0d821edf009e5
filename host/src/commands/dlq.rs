//! `mastra-host dlq ls|show|replay|export|purge`

use serde_json::json;

use super::data::with_queue;
use super::{Context, Exit};
use crate::cli::{DlqArgs, DlqCommand, DlqShowArgs, Output};
use crate::print::{self, count, line};
use crate::queue::durable::{DurableQueue, LetterFilter};

/// Runs the command.
pub fn run(command: &DlqCommand, ctx: &mut Context<'_>) -> Exit {
    let (data_dir, output) = match command {
        DlqCommand::Show(args) => (&args.data_dir.data_dir, args.output.format),
        DlqCommand::Ls(args)
        | DlqCommand::Export(args)
        | DlqCommand::Replay(args)
        | DlqCommand::Purge(args) => (&args.data_dir.data_dir, args.output.format),
    };
    if let DlqCommand::Replay(args) | DlqCommand::Purge(args) = command
        && !args.all
        && filter(args) == LetterFilter::default()
    {
        let message = "name the letters: IDs, --exporter, --receiver, --signal, --reason, or --all";
        return ctx.fail(output, Exit::BadUsage, message);
    }
    with_queue(data_dir, output, ctx, async |queue, ctx| {
        work(command, queue, ctx).await
    })
}

/// Does it on an open queue.
pub(super) async fn work(
    command: &DlqCommand,
    queue: &DurableQueue,
    ctx: &mut Context<'_>,
) -> Result<Exit, String> {
    match command {
        DlqCommand::Show(args) => return show(args, queue, ctx).await,
        DlqCommand::Export(args) => return export(queue, &filter(args), ctx).await,
        DlqCommand::Replay(args) => {
            let replayed = queue.replay_dead_letters(ids(queue, &filter(args))).await;
            let replayed = replayed.map_err(|error| error.to_string())?;
            let text = format!("{} will be delivered again", count(replayed, "event"));
            said(args.output.format, "replayed", replayed, &text, ctx);
        }
        DlqCommand::Purge(args) => {
            let purged = queue.purge_dead_letters(ids(queue, &filter(args))).await;
            let purged = purged.map_err(|error| error.to_string())?;
            let text = format!("{} removed", count(purged, "dead letter"));
            said(args.output.format, "purged", purged, &text, ctx);
        }
        DlqCommand::Ls(args) => {
            let letters = queue.dead_letters(&filter(args));
            let text = match args.output.format {
                Output::Human => print::letters::human(&letters, ctx.look),
                Output::Json => print::letters::json(&letters),
            };
            ctx.print(&text);
        }
    }
    Ok(Exit::Fine)
}

fn filter(args: &DlqArgs) -> LetterFilter {
    LetterFilter {
        ids: (!args.ids.is_empty()).then(|| args.ids.clone()),
        exporter: args.exporter.clone(),
        receiver: args.receiver.clone(),
        signal: args.signal,
        reason_contains: args.reason.clone(),
        since: None,
        before: None,
    }
}

fn ids(queue: &DurableQueue, filter: &LetterFilter) -> Vec<u64> {
    let letters = queue.dead_letters(filter);
    letters.into_iter().map(|letter| letter.id).collect()
}

fn said(output: Output, key: &str, number: u64, text: &str, ctx: &mut Context<'_>) {
    ctx.print(&match output {
        Output::Human => format!("{text}.\n"),
        Output::Json => line(&json!({ key: number })),
    });
}

async fn show(
    args: &DlqShowArgs,
    queue: &DurableQueue,
    ctx: &mut Context<'_>,
) -> Result<Exit, String> {
    let (id, output) = (args.id, args.output.format);
    let letter = queue.dead_letter(id).await;
    let Some(letter) = letter.map_err(|error| error.to_string())? else {
        let message = format!("there is no dead letter {id}; `dlq ls` lists them");
        return Ok(ctx.fail(output, Exit::BadUsage, &message));
    };
    ctx.print(&match output {
        Output::Human => print::letters::one(id, &letter, ctx.look),
        Output::Json => line(&print::letters::value(id, &letter)),
    });
    Ok(Exit::Fine)
}

/// A line a letter.
async fn export(
    queue: &DurableQueue,
    filter: &LetterFilter,
    ctx: &mut Context<'_>,
) -> Result<Exit, String> {
    for id in ids(queue, filter) {
        let letter = queue.dead_letter(id).await;
        if let Some(letter) = letter.map_err(|error| error.to_string())? {
            ctx.print(&line(&print::letters::value(id, &letter)));
        }
    }
    Ok(Exit::Fine)
}
