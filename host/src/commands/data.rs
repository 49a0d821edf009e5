//! The data directory of a host that does not run, for the commands that look into it.

use std::path::Path;
use std::time::Duration;

use super::{Context, Exit, causes};
use crate::cli::Output;
use crate::queue::durable::{DurableQueue, DurableQueueSettings};
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
    let settings = DurableQueueSettings {
        retire_after: FOR_EVER,
        dead_letter_age: FOR_EVER,
        dead_letter_bytes: u64::MAX,
        ..DurableQueueSettings::default()
    };
    let queue = match DurableQueue::open(&directory, settings) {
        Ok(queue) => queue,
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
