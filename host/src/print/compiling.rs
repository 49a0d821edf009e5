//! Says on a terminal which components compile, a line each; the lines go when they are done. It needs a terminal on
//! stderr and nobody else who writes there.

use std::path::Path;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{MAX_TEXT_CHARS, bounded};
use crate::config::units::show_size;

/// The lines of all that compile. Clones share the terminal.
#[derive(Clone, Debug)]
pub struct Compilations {
    lines: MultiProgress,
}

impl Compilations {
    /// `None` where there is no terminal to draw on.
    #[must_use]
    pub fn on_terminal() -> Option<Self> {
        let lines = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        (!lines.is_hidden()).then_some(Self { lines })
    }

    /// The line of one component, not shown yet.
    pub(crate) fn line(&self, file: &Path) -> Line {
        let bar = ProgressBar::hidden();
        if let Ok(style) = ProgressStyle::with_template("{spinner:.cyan} {msg}") {
            bar.set_style(style);
        }
        Line {
            lines: self.lines.clone(),
            bar,
            file: bounded(&file.display().to_string(), MAX_TEXT_CHARS).into_owned(),
        }
    }
}

/// What a person sees of one compilation. Dropping it takes it away.
pub(crate) struct Line {
    lines: MultiProgress,
    bar: ProgressBar,
    file: String,
}

impl Line {
    /// Call it each second.
    pub(crate) fn show(&self, size_bytes: u64, elapsed: Duration) {
        if self.bar.is_hidden() {
            self.lines.add(self.bar.clone());
        }
        self.bar.set_message(words(&self.file, size_bytes, elapsed));
        self.bar.tick();
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn words(file: &str, size_bytes: u64, elapsed: Duration) -> String {
    format!(
        "Compiling {file} ({}), {} s. The next start takes it from the cache.",
        show_size(size_bytes),
        elapsed.as_secs()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_learn_what_compiles_and_that_it_is_once() {
        let words = words("acme.wasm", 18 << 20, Duration::from_millis(12_004));
        assert_eq!(
            words,
            "Compiling acme.wasm (18 MiB), 12 s. The next start takes it from the cache."
        );
    }
}
