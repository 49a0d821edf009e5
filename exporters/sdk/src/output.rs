//! The one target that the operator granted to exporters that write lines. Off wasm, [`testing`] takes the lines.
//!
//! ```
//! use mastra_exporter_sdk::output::{append, testing::with_target};
//! use mastra_exporter_sdk::records::Signal;
//!
//! let (result, lines) = with_target(None, || append(Signal::Logs, b"{}\n"));
//! assert_eq!(result, Ok(()));
//! assert_eq!(lines, [(Signal::Logs, "{}\n".to_owned())]);
//! ```

use crate::records::Signal;

/// Appends whole lines, each ending in a line feed. Success means written; for files, synced.
///
/// # Errors
/// Why they could not be written, for people.
#[cfg(target_arch = "wasm32")]
pub fn append(of_signal: Signal, lines: &[u8]) -> Result<(), String> {
    crate::bindings::base::mastra::observability::output::append(of_signal, lines)
}

/// Appends whole lines, each ending in a line feed. Success means written; for files, synced.
///
/// # Errors
/// Why they could not be written, for people.
#[cfg(not(target_arch = "wasm32"))]
pub fn append(of_signal: Signal, lines: &[u8]) -> Result<(), String> {
    testing::take(of_signal, lines)
}

/// Stands in for the host's output in native tests.
#[cfg(not(target_arch = "wasm32"))]
pub mod testing {
    use std::cell::RefCell;

    use crate::records::Signal;

    #[derive(Default)]
    struct Target {
        lines: Vec<(Signal, String)>,
        failure: Option<String>,
    }

    thread_local! {
        static TARGET: RefCell<Option<Target>> = const { RefCell::new(None) };
    }

    /// Runs `work` with a target that takes everything, or fails with `failure`; returns the work's result and what
    /// was appended.
    pub fn with_target<R>(
        failure: Option<&str>,
        work: impl FnOnce() -> R,
    ) -> (R, Vec<(Signal, String)>) {
        TARGET.set(Some(Target {
            lines: Vec::new(),
            failure: failure.map(str::to_owned),
        }));
        let result = work();
        (result, TARGET.take().unwrap_or_default().lines)
    }

    pub(super) fn take(of_signal: Signal, lines: &[u8]) -> Result<(), String> {
        TARGET.with_borrow_mut(|target| {
            let target = target
                .as_mut()
                .ok_or("there is no output outside a component")?;
            if let Some(failure) = &target.failure {
                return Err(failure.clone());
            }
            target
                .lines
                .push((of_signal, String::from_utf8_lossy(lines).into_owned()));
            Ok(())
        })
    }
}
