//! Names that Laminar reads from spans, and its ids: UUIDs with the bytes of the W3C ids
//! (<https://github.com/lmnr-ai/lmnr/tree/39a1e595/app-server/src/traces>, read 2026-11).

use mastra_exporter_sdk::ids::push_padded;
use mastra_otlp::attributes::Key;

pub(crate) const SPAN_TYPE: Key<'static> = Key::of("lmnr.span.type");
pub(crate) const INPUT: Key<'static> = Key::of("lmnr.span.input");
pub(crate) const OUTPUT: Key<'static> = Key::of("lmnr.span.output");
pub(crate) const PATH: Key<'static> = Key::of("lmnr.span.path");
pub(crate) const IDS_PATH: Key<'static> = Key::of("lmnr.span.ids_path");
pub(crate) const SOURCE: Key<'static> = Key::of("lmnr.span.instrumentation_source");
pub(crate) const SESSION: Key<'static> = Key::of("lmnr.association.properties.session_id");
pub(crate) const USER: Key<'static> = Key::of("lmnr.association.properties.user_id");
pub(crate) const TAGS: Key<'static> = Key::of("lmnr.association.properties.tags");
/// A prefix.
pub(crate) const METADATA: &str = "lmnr.association.properties.metadata.";

/// A trace id as a UUID.
#[must_use]
pub fn trace_uuid(trace_id: &str) -> String {
    uuid(trace_id)
}

/// A span id as a UUID: its eight bytes are the last ones.
#[must_use]
pub fn span_uuid(span_id: &str) -> String {
    uuid(span_id)
}

fn uuid(hex: &str) -> String {
    let mut digits = Vec::with_capacity(32);
    push_padded(&mut digits, hex, 32);
    let digits = String::from_utf8(digits).unwrap_or_default();
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    format!(
        "{}-{}-{}-{}-{}",
        part(0, 8),
        part(8, 12),
        part(12, 16),
        part(16, 20),
        part(20, 32)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_uuids_of_the_same_bytes() {
        assert_eq!(
            span_uuid("4add6244a8bc296e"),
            "00000000-0000-0000-4add-6244a8bc296e"
        );
        assert_eq!(
            trace_uuid("4cdc4db2c6dcc0694acd43abc49c8214"),
            "4cdc4db2-c6dc-c069-4acd-43abc49c8214"
        );
        assert_eq!(span_uuid("ab"), "00000000-0000-0000-0000-0000000000ab");
    }
}
