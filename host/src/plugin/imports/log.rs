//! The import `log`: lines with a level, in the host's log. What one call may say is bounded with what it prints.

use super::HostState;
use crate::plugin::bindings::imported::log as wit;
use crate::plugin::limits;

impl wit::Host for HostState {
    async fn emit(&mut self, level: wit::Level, message: String) -> wasmtime::Result<()> {
        self.grants("log.emit")?;
        if !self.log.take(message.len()) {
            return Ok(());
        }
        let (exporter, said) = (self.log.guest(), limits::short(&message));
        match level {
            wit::Level::Debug => tracing::debug!(exporter, said, "The exporter says."),
            wit::Level::Info => tracing::info!(exporter, said, "The exporter says."),
            wit::Level::Warn => tracing::warn!(exporter, said, "The exporter says."),
            wit::Level::Error => tracing::error!(exporter, said, "The exporter says."),
        }
        Ok(())
    }
}
