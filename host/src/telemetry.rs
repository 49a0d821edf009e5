//! The host's own logs and metrics: the log set-up, every metric name with its meaning, and the Prometheus text of a
//! snapshot. Holds no counters: each room counts for itself and whoever serves `/metrics` puts a [`Snapshot`] together.
//!
//! Names follow the OpenTelemetry Collector: `<component>_<what>_<unit>`, `_total` for counters; fates are the words of
//! the conservation law, so that for each exporter and signal
//! `received = delivered + filtered + dead_lettered + sum(dropped) + queued`.

pub mod budget;
pub mod lines;
pub mod metrics;
pub mod prometheus;
pub mod visible;

use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::panic::PanicHookInfo;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{DefaultFields, Writer};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use self::budget::LogBudgets;
use self::visible::{PAINT, Screen, bounded, visible};
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
    let has_color = settings.color && settings.format == LogFormat::Text;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(move || LogStream::new(io::stderr(), has_color))
        .with_ansi(has_color);
    match settings.format {
        LogFormat::Text => builder
            .fmt_fields(VisibleFields)
            .with_target(settings.verbosity > 0)
            .finish()
            .with(LogBudgets)
            .try_init(),
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .finish()
            .with(LogBudgets)
            .try_init(),
    }
    .map_err(|error| TelemetryError::Twice(error.into()))
}

/// Says where a panic happened in the log's format, whatever its message holds.
pub fn report_panics(format: LogFormat) {
    std::panic::set_hook(Box::new(move |panic| {
        let mut stream = lines::error_stream(format, false);
        // Nobody is left to tell.
        let _ = writeln!(stream, "{}{}", lines::ERROR_MARK, panic_words(panic));
    }));
}

fn panic_words(panic: &PanicHookInfo<'_>) -> String {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("without a name");
    let reason = panic.payload_as_str().unwrap_or("no reason given");
    let place = panic
        .location()
        .map(|place| format!(" at {place}"))
        .unwrap_or_default();
    let mut words = format!(
        "thread {} panicked{place}: {}; this is a fault of the host, please report it",
        visible(name),
        bounded(reason, MAX_FIELDS_CHARS)
    );
    let trace = std::backtrace::Backtrace::capture();
    if trace.status() == std::backtrace::BacktraceStatus::Captured {
        let _ = write!(words, "; {}", visible(&trace.to_string()));
    }
    words
}

/// Of the message and the fields of one line for people; longer ones are cut.
const MAX_FIELDS_CHARS: usize = 8 << 10;

/// Message and fields of a line, whoever logs it, made visible.
struct VisibleFields;

impl<'w> FormatFields<'w> for VisibleFields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut text = String::new();
        DefaultFields::new().format_fields(Writer::new(&mut text), fields)?;
        writer.write_str(&bounded(&text, MAX_FIELDS_CHARS))
    }
}

/// Behind the formats: takes one line a write, and keeps it one line. In JSON the escapes mean what they stand for.
struct LogStream<W> {
    screen: Screen<W>,
    has_color: bool,
}

impl<W: Write> LogStream<W> {
    const fn new(stream: W, has_color: bool) -> Self {
        Self {
            screen: Screen::new(stream, has_color),
            has_color,
        }
    }
}

impl<W: Write> Write for LogStream<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let mut line = if self.has_color {
            // Escapes of the formatter's own colours; those of fields have been made visible.
            let parts: Vec<_> = line.split('\u{1b}').map(visible).collect();
            parts.join(PAINT.encode_utf8(&mut [0; 4]))
        } else {
            visible(line).into_owned()
        };
        line.push('\n');
        self.screen.write_all(line.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.screen.flush()
    }
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

    fn written(text: &str, has_color: bool) -> String {
        let mut stream = Vec::new();
        LogStream::new(&mut stream, has_color)
            .write_all(text.as_bytes())
            .unwrap();
        String::from_utf8(stream).unwrap()
    }

    #[test]
    fn a_log_line_stays_one_line() {
        assert_eq!(
            written("a\nforged\u{9b}\r\u{1b}]0;x\n", false),
            "a\\nforged\\u009b\\r\\u001b]0;x\n"
        );
        assert_eq!(
            written("\u{1b}[32m INFO\u{1b}[0m a\nb\u{1b}[2J\n", true),
            "\u{1b}[32m INFO\u{1b}[0m a\\nb\\ufdd0[2J\n"
        );
    }

    #[test]
    fn every_field_is_made_visible_and_has_an_end() {
        use tracing_subscriber::prelude::*;
        let lines: std::sync::Arc<std::sync::Mutex<Vec<u8>>> = std::sync::Arc::default();
        let stream = std::sync::Arc::clone(&lines);
        let layer = tracing_subscriber::fmt::layer()
            .fmt_fields(VisibleFields)
            .with_ansi(true)
            .with_writer(move || {
                LogStream::new(tests_stream::Shared(std::sync::Arc::clone(&stream)), true)
            });
        let bad = "\u{1b}[32mx\n\u{202e}";
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let span = tracing::info_span!("s", of_span = %bad);
            let _guard = span.enter();
            tracing::info!(display = %bad, debug = ?bad, text = bad, "message {bad}");
            tracing::info!("{}", "y".repeat(MAX_FIELDS_CHARS * 2));
        });
        let text = String::from_utf8(lines.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(
            !text.contains("\u{1b}[32mx") && !text.contains('\u{202e}'),
            "{text}"
        );
        assert!(text.lines().last().unwrap().len() < MAX_FIELDS_CHARS + 200);
    }

    mod tests_stream {
        use std::io;
        use std::sync::{Arc, Mutex};

        pub(super) struct Shared(pub(super) Arc<Mutex<Vec<u8>>>);

        impl io::Write for Shared {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().extend_from_slice(bytes);
                Ok(bytes.len())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
    }

    #[test]
    fn a_bad_log_filter_is_an_error() {
        assert!(log_filter(Some("mastra_host=loud"), 0).is_err());
        assert!(log_filter(Some("debug"), 0).is_ok());
        assert!(log_filter(None, 2).is_ok());
    }
}
