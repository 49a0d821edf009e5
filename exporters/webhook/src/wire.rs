//! Names of the webhook's requests: media types, headers, and the variables of templates. The form is our own; an array is
//! what `POST /v1/events` of this host takes, lines are NDJSON (<https://github.com/ndjson/ndjson-spec>).

use mastra_exporter_sdk::records::Signal;

/// Media type of an array.
pub const JSON: &str = "application/json";
/// Media type of lines.
pub const NDJSON: &str = "application/x-ndjson";

/// Header of the signature, unless the operator names another.
pub const SIGNATURE_HEADER: &str = "x-signature-256";
/// Before the digest: what it is made with.
pub const SIGNATURE_PREFIX: &str = "sha256=";

/// Variables of header templates.
pub const VARIABLES: [&str; 3] = ["signal", "count", "version"];

/// The word for a signal.
#[must_use]
pub const fn signal_word(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "traces",
        Signal::Logs => "logs",
        Signal::Metrics => "metrics",
        Signal::Scores => "scores",
        Signal::Feedback => "feedback",
    }
}
