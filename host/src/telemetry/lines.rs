//! Where lines for people go that are no log lines: errors, the addresses of the listeners, a panic. With
//! `--log-format json` they become JSON as well, so that every line on stderr is.

use std::io::{self, Write};

use serde_json::json;

use super::visible::{Screen, visible};
use crate::cli::LogFormat;

/// What [`crate::commands::complain`] begins with.
pub const ERROR_MARK: &str = "error: ";

/// Stderr for lines that are not logged.
#[must_use]
pub fn error_stream(format: LogFormat, has_color: bool) -> Box<dyn Write + Send> {
    match format {
        LogFormat::Text => Box::new(Screen::new(io::stderr(), has_color)),
        LogFormat::Json => Box::new(JsonLines::new(io::stderr())),
    }
}

/// Makes a JSON object of each line, in the form of the log's lines.
#[derive(Debug)]
pub struct JsonLines<W: Write> {
    stream: W,
    line: Vec<u8>,
}

impl<W: Write> JsonLines<W> {
    /// Writes to `stream` a line at a time.
    #[must_use]
    pub const fn new(stream: W) -> Self {
        let line = Vec::new();
        Self { stream, line }
    }

    fn end_line(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        let (level, message) = match line.strip_prefix(ERROR_MARK) {
            Some(message) => ("ERROR", message),
            None => ("INFO", line.trim_end()),
        };
        if message.is_empty() {
            return Ok(());
        }
        let object = json!({
            "timestamp": jiff::Timestamp::now().to_string(),
            "level": level,
            "message": message,
            "target": "mastra_host",
        });
        let object = object.to_string();
        self.stream
            .write_all(format!("{}\n", visible(&object)).as_bytes())
    }
}

impl<W: Write> Write for JsonLines<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            match piece.strip_suffix(b"\n") {
                Some(end) => {
                    self.line.extend_from_slice(end);
                    self.end_line()?;
                }
                None => self.line.extend_from_slice(piece),
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl<W: Write> Drop for JsonLines<W> {
    fn drop(&mut self) {
        if !self.line.is_empty() {
            // Nobody is left to tell.
            let _ = self.end_line();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn each_line_is_an_object_with_its_level() {
        let mut stream = Vec::new();
        let mut lines = JsonLines::new(&mut stream);
        write!(lines, "listening on x\n\nerror: no \u{1b}\u{9b}").unwrap();
        drop(lines);
        let text = String::from_utf8(stream).unwrap();
        assert!(!text.contains(['\u{1b}', '\u{9b}']), "{text}");
        let values: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(values.len(), 2, "{text}");
        assert_eq!(values[0]["level"], "INFO");
        assert_eq!(values[0]["message"], "listening on x");
        assert_eq!(values[1]["level"], "ERROR");
        assert_eq!(values[1]["message"], "no \u{1b}\u{9b}");
    }
}
