//! `mastra-host queue ls|forget`

use serde_json::json;

use super::data::with_queue;
use super::{Context, Exit};
use crate::cli::{Output, QueueCommand, QueueForgetArgs, QueueLsArgs};
use crate::print::{self, count, line};
use crate::queue::accounts::DropReason;
use crate::queue::{Queue as _, QueueError};

/// Runs the command.
pub fn run(command: &QueueCommand, ctx: &mut Context<'_>) -> Exit {
    match command {
        QueueCommand::Ls(args) => ls(args, ctx),
        QueueCommand::Forget(args) => forget(args, ctx),
    }
}

fn ls(args: &QueueLsArgs, ctx: &mut Context<'_>) -> Exit {
    let output = args.output.format;
    with_queue(&args.data_dir.data_dir, output, ctx, async |queue, ctx| {
        let cursors = queue.cursors();
        let text = match output {
            Output::Human => print::cursors::human(&cursors, ctx.look),
            Output::Json => print::cursors::json(&cursors),
        };
        ctx.print(&text);
        Ok(Exit::Fine)
    })
}

fn forget(args: &QueueForgetArgs, ctx: &mut Context<'_>) -> Exit {
    let output = args.output.format;
    with_queue(&args.data_dir.data_dir, output, ctx, async |queue, ctx| {
        let exporter = &args.exporter;
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
    })
}
