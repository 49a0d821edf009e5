//! The data directory of a host, for the commands that look into it. A host that runs has it for itself: it is asked to
//! run the command.

use std::path::Path;
use std::time::Duration;

use super::{Context, Exit, causes, control};
use crate::cli::Output;
use crate::deliver::dead_letter::LetterBounds;
use crate::queue::durable::{DurableQueue, DurableQueueSettings, OpenError};
use crate::run::queue::QUEUE_DIRECTORY;

/// Nothing grows old because somebody looks at it.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Opens the queue of a data directory, does something with it, and closes it.
pub(super) fn with_queue(
    data_dir: &Path,
    output: Output,
    ctx: &mut Context<'_>,
    work: impl AsyncFnOnce(&DurableQueue, &mut Context<'_>) -> Result<Exit, String>,
) -> Exit {
    let directory = data_dir.join(QUEUE_DIRECTORY);
    if !directory.is_dir() {
        let message = format!(
            "there is no queue in {}; name the host's directory with --data-dir",
            data_dir.display()
        );
        return ctx.fail(output, Exit::BadUsage, &message);
    }
    let letters = LetterBounds {
        max_bytes: u64::MAX,
        max_age: FOR_EVER,
    };
    let settings = DurableQueueSettings {
        retire_after: FOR_EVER,
        exporter_letters: letters,
        receiver_letters: letters,
        ..DurableQueueSettings::default()
    };
    let queue = match DurableQueue::open(&directory, settings) {
        Ok(queue) => queue,
        Err(error @ OpenError::InUse { .. }) => {
            let asked = control::ask(data_dir, ctx);
            return asked.unwrap_or_else(|reason| {
                let message = format!("{}; it could not be asked: {reason}", causes(&error));
                ctx.fail(output, Exit::Failed, &message)
            });
        }
        Err(error) => return ctx.fail(output, Exit::Failed, &causes(&error)),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().build() {
        Ok(runtime) => runtime,
        Err(error) => return ctx.fail(output, Exit::Failed, &error.to_string()),
    };
    let done = runtime.block_on(work(&queue, ctx));
    runtime.block_on(queue.shut_down());
    done.unwrap_or_else(|message| ctx.fail(output, Exit::Failed, &message))
}
