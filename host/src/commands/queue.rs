//! `mastra-host queue ls|forget`

use serde_json::json;

use super::data::with_queue;
use super::{Context, Exit};
use crate::cli::{Output, QueueCommand, QueueForgetArgs};
use crate::print::{self, count, line};
use crate::queue::accounts::DropReason;
use crate::queue::durable::{CursorInfo, DurableQueue};
use crate::queue::{Queue as _, QueueError};

/// Runs the command.
pub fn run(command: &QueueCommand, ctx: &mut Context<'_>) -> Exit {
    let (data_dir, output) = match command {
        QueueCommand::Ls(args) => (&args.data_dir.data_dir, args.output.format),
        QueueCommand::Forget(args) => (&args.data_dir.data_dir, args.output.format),
    };
    with_queue(data_dir, output, ctx, async |queue, ctx| {
        work(command, queue, ctx).await
    })
}

/// Does it on an open queue.
pub(super) async fn work(
    command: &QueueCommand,
    queue: &DurableQueue,
    ctx: &mut Context<'_>,
) -> Result<Exit, String> {
    match command {
        QueueCommand::Ls(args) => {
            let cursors = queue.cursors();
            let text = match args.output.format {
                Output::Human => print::cursors::human(&cursors, ctx.look),
                Output::Json => print::cursors::json(&cursors),
            };
            ctx.print(&text);
            Ok(Exit::Fine)
        }
        QueueCommand::Forget(args) => forget(args, queue, ctx).await,
    }
}

async fn forget(
    args: &QueueForgetArgs,
    queue: &DurableQueue,
    ctx: &mut Context<'_>,
) -> Result<Exit, String> {
    let (exporter, output) = (&args.exporter, args.output.format);
    let cursors = queue.cursors();
    let runs = |cursor: &CursorInfo| cursor.exporter == *exporter && cursor.absent_since.is_none();
    if cursors.iter().any(runs) {
        let message = format!("exporter {exporter} runs; take it out of the config first");
        return Ok(ctx.fail(output, Exit::BadUsage, &message));
    }
    let accounts = match queue.forget(exporter).await {
        Ok(accounts) => accounts,
        Err(QueueError::UnknownExporter { .. }) => {
            let message = format!("there is no exporter {exporter}; `queue ls` lists them");
            return Ok(ctx.fail(output, Exit::BadUsage, &message));
        }
        Err(error) => return Err(error.to_string()),
    };
    let dropped = accounts
        .values()
        .map(|account| account.dropped.by(DropReason::Forgotten))
        .sum();
    ctx.print(&match output {
        Output::Human => format!(
            "Forgot {exporter} and {}.\n",
            count(dropped, "waiting event")
        ),
        Output::Json => line(&json!({ "forgotten": exporter, "dropped": dropped })),
    });
    Ok(Exit::Fine)
}
