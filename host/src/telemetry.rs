//! The host's own logs and metrics: the log set-up, every metric name with its meaning, and the Prometheus text of a
//! snapshot. Holds no counters: each room counts for itself and whoever serves `/metrics` puts a [`Snapshot`] together.
//!
//! Names follow the OpenTelemetry Collector: `<component>_<what>_<unit>`, `_total` for counters; fates are the words of
//! the conservation law, so that for each exporter and signal
//! `received = delivered + filtered + dead_lettered + sum(dropped) + queued`.

pub mod metrics;
pub mod prometheus;

use tracing_subscriber::EnvFilter;

use crate::cli::LogFormat;
pub use prometheus::{PROMETHEUS_CONTENT_TYPE, Snapshot, prometheus_text};

/// Environment variable with a log filter, such as `mastra_host::deliver=debug,info`.
pub const LOG_VARIABLE: &str = "MASTRA_HOST_LOG";

/// The log filter cannot be used, or logs are already set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// Not a filter.
    #[error(
        "{LOG_VARIABLE} is not a log filter such as `debug` or `mastra_host::deliver=trace,info`"
    )]
    Filter(#[source] tracing_subscriber::filter::ParseError),
    /// Set up twice in one process.
    #[error("logs are already set up")]
    Twice(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// How to log.
#[derive(Clone, Copy, Debug)]
pub struct LogSettings<'a> {
    /// `-v`: 0 is info (warnings of crates we use), 1 debug of our own, 2 and more trace of our own.
    pub verbosity: u8,
    /// Text of [`LOG_VARIABLE`]; wins over the verbosity.
    pub filter: Option<&'a str>,
    /// Lines for people or JSON.
    pub format: LogFormat,
    /// Whether colours may be used.
    pub color: bool,
}

/// Sends logs to stderr from now on.
///
/// # Errors
/// See [`TelemetryError`].
pub fn start_logs(settings: LogSettings<'_>) -> Result<(), TelemetryError> {
    let filter = log_filter(settings.filter, settings.verbosity)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(settings.color);
    match settings.format {
        LogFormat::Text => builder.with_target(settings.verbosity > 0).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    }
    .map_err(TelemetryError::Twice)
}

fn log_filter(filter: Option<&str>, verbosity: u8) -> Result<EnvFilter, TelemetryError> {
    let default = match verbosity {
        0 => "warn,mastra_host=info",
        1 => "warn,mastra_host=debug",
        _ => "info,mastra_host=trace",
    };
    EnvFilter::try_new(
        filter
            .filter(|filter| !filter.is_empty())
            .unwrap_or(default),
    )
    .map_err(TelemetryError::Filter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_log_filter_is_an_error() {
        assert!(log_filter(Some("mastra_host=loud"), 0).is_err());
        assert!(log_filter(Some("debug"), 0).is_ok());
        assert!(log_filter(None, 2).is_ok());
    }
}
