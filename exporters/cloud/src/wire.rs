//! Names of the Mastra platform's ingest protocol, as `@mastra/observability` 1.17.9 speaks it (its
//! `MastraPlatformExporter`, read 2026-11): a path, a field of the body for each signal, and the headers of the quota.

use mastra_exporter_sdk::records::Signal;

/// Where the platform is.
pub const DEFAULT_ENDPOINT: &str = "https://observability.mastra.ai";

/// Says what the client understands.
pub const CAPABILITIES: (&str, &str) = ("x-mastra-observability-capabilities", "quota-pause-v1");

/// Of a response: `disabled` while the quota is used up.
pub const STATE_HEADER: &str = "x-mastra-observability";
/// Its value.
pub const DISABLED: &str = "disabled";
/// Of such a response: whole seconds until a probe is worth it.
pub const RETRY_HEADER: &str = "x-mastra-observability-retry-after";

/// What a probe sends to the traces URL.
pub const PROBE: &str = r#"{"spans":[]}"#;

/// The signal's part of the path.
#[must_use]
pub const fn segment(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "spans",
        Signal::Logs => "logs",
        Signal::Metrics => "metrics",
        Signal::Scores => "scores",
        Signal::Feedback => "feedback",
    }
}

/// The one member of the body: an array of records.
#[must_use]
pub const fn field(signal: Signal) -> &'static str {
    segment(signal)
}
