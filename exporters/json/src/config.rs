//! The one setting: where the lines go. The host opens the target; the component can only append to it.

use mastra_exporter_sdk::settings::{Setting, SettingsSchema};
use serde::Deserialize;

/// Lines a batch: a file is synced once a batch.
pub const MAX_ITEMS: u32 = 2_048;

/// Bytes a batch, of the events' JSON text.
pub const MAX_BYTES: u32 = 4 << 20;

/// The settings. The host acts on `output`; the component has no use for it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// `stdout`, `file:PATH` or `dir:PATH` (a file for each signal).
    #[serde(default = "stdout")]
    pub output: String,
}

fn stdout() -> String {
    "stdout".to_owned()
}

/// What the host is told of the settings.
#[must_use]
pub fn schema() -> SettingsSchema {
    SettingsSchema::new().with(
        Setting::text("output")
            .about("Where lines go: `stdout`, `file:PATH`, or `dir:PATH` for a file a signal.")
            .pattern("^(stdout|file:.+|dir:.+)$")
            .env(&["JSON_OUTPUT", "JSON_BASE_URL"])
            .default_text("stdout")
            .output(),
    )
}
