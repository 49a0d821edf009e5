//! The import `log`: lines with a level, in the host's log. What one call may say is bounded with what it prints.

use tracing::Level;

use super::HostState;
use crate::plugin::bindings::imported::log as wit;
use crate::plugin::limits;

impl wit::Host for HostState {
    async fn emit(&mut self, level: wit::Level, message: String) -> wasmtime::Result<()> {
        self.grants("log.emit")?;
        // What nobody reads costs nothing.
        let is_read = match level {
            wit::Level::Debug => tracing::enabled!(Level::DEBUG),
            wit::Level::Info => tracing::enabled!(Level::INFO),
            wit::Level::Warn => tracing::enabled!(Level::WARN),
            wit::Level::Error => tracing::enabled!(Level::ERROR),
        };
        let said = limits::short(&message);
        if !is_read || !self.log.take(said.len()) {
            return Ok(());
        }
        let exporter = self.log.guest();
        match level {
            wit::Level::Debug => tracing::debug!(exporter, said, "The exporter says."),
            wit::Level::Info => tracing::info!(exporter, said, "The exporter says."),
            wit::Level::Warn => tracing::warn!(exporter, said, "The exporter says."),
            wit::Level::Error => tracing::error!(exporter, said, "The exporter says."),
        }
        Ok(())
    }
}
