//! A progress bar for a long `run --input`, on stderr and only on a terminal. Short runs never see it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::thousands;

/// Runs that end sooner need no bar.
const QUIET_FOR: Duration = Duration::from_millis(400);
/// Draws a second; more only costs CPU.
const DRAWS_PER_SECOND: u8 = 8;

/// Shows how far the input is read and delivered.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    is_wanted: bool,
    is_shown: AtomicBool,
}

impl Progress {
    /// `total_bytes` is the length of the input where it is known. Not `is_wanted` shows nothing, as for JSON output.
    #[must_use]
    pub fn new(total_bytes: Option<u64>, is_wanted: bool) -> Self {
        let bar = ProgressBar::with_draw_target(total_bytes, ProgressDrawTarget::hidden());
        let template = match total_bytes {
            Some(_) => {
                "{spinner:.cyan} {bar:28.cyan/dim} {percent:>3}%  {binary_bytes_per_sec}  {msg}"
            }
            None => "{spinner:.cyan} {binary_bytes} read  {binary_bytes_per_sec}  {msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━━─"));
        }
        Self {
            bar,
            is_wanted,
            is_shown: AtomicBool::new(false),
        }
    }

    /// Call it as often as convenient: bytes read so far, events that reached an end so far, events still on their way.
    pub fn update(&self, read_bytes: u64, done: u64, waiting: u64) {
        if !self.is_wanted {
            return;
        }
        if !self.is_shown.load(Ordering::Relaxed) && self.bar.elapsed() >= QUIET_FOR {
            // indicatif itself stays silent where stderr is no terminal.
            self.bar
                .set_draw_target(ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND));
            self.is_shown.store(true, Ordering::Relaxed);
        }
        self.bar.set_message(format!(
            "{} done, {} waiting",
            thousands(done),
            thousands(waiting)
        ));
        self.bar.set_position(read_bytes);
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
