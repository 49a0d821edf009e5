//! Ids derived from other ids, so that a record that is delivered again is the same record to the backend. The hash is
//! XXH3 (its 64 and 128 bit values are frozen by its specification); a namespace keeps derived ids of two purposes
//! apart. Not for secrets: whoever knows the input knows the id.
//!
//! ```
//! use mastra_exporter_sdk::ids;
//!
//! // The same score is the same record whenever it is sent.
//! assert_eq!(ids::uuid("board/score", "score-1"), ids::uuid("board/score", "score-1"));
//! assert_ne!(ids::uuid("board/score", "score-1"), ids::uuid("board/feedback", "score-1"));
//! assert_eq!(ids::span_id("board/root", "t").len(), 16);
//! ```

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// A span id of 16 lower-case hex digits, never zero.
#[must_use]
pub fn span_id(namespace: &str, id: &str) -> String {
    let hash = xxh3_64(&keyed(namespace, id));
    format!("{:016x}", if hash == 0 { 1 } else { hash })
}

/// A trace id of 32 lower-case hex digits, never zero.
#[must_use]
pub fn trace_id(namespace: &str, id: &str) -> String {
    let hash = xxh3_128(&keyed(namespace, id));
    format!("{:032x}", if hash == 0 { 1 } else { hash })
}

/// A UUID of version 8 (RFC 9562: custom).
#[must_use]
pub fn uuid(namespace: &str, id: &str) -> String {
    let hash = xxh3_128(&keyed(namespace, id));
    let versioned = (hash & !(0xf << 76) & !(0x3 << 62)) | (0x8 << 76) | (0x2 << 62);
    let hex = format!("{versioned:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!(
        "{}-{}-{}-{}-{}",
        part(0, 8),
        part(8, 12),
        part(12, 16),
        part(16, 20),
        part(20, 32)
    )
}

/// Left-pads a hex id with zeros to the width that OTLP wants. Ids of the contract are lower-case hex already; a longer
/// one is left as it is.
pub fn push_padded(out: &mut Vec<u8>, id: &str, width: usize) {
    for _ in id.len()..width {
        out.push(b'0');
    }
    out.extend_from_slice(id.as_bytes());
}

fn keyed(namespace: &str, id: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(namespace.len() + id.len() + 1);
    key.extend_from_slice(namespace.as_bytes());
    key.push(0);
    key.extend_from_slice(id.as_bytes());
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_ids_are_stable_and_differ_by_namespace() {
        assert_eq!(span_id("log", "a"), span_id("log", "a"));
        assert_ne!(span_id("log", "a"), span_id("score", "a"));
        assert_ne!(span_id("lo", "ga"), span_id("log", "a"));
        assert_eq!(
            span_id("log", "755e59a7-69ba-42c1-876d-077a0a20a740"),
            "4bc13a891869a735"
        );
        assert_eq!(trace_id("log", "a").len(), 32);
    }

    #[test]
    fn uuids_carry_version_and_variant() {
        let id = uuid("run", "4cdc4db2c6dcc0694acd43abc49c8214/2ef715a36f006237");
        assert_eq!(id.len(), 36);
        assert_eq!(id.as_bytes()[14], b'8');
        assert!(matches!(id.as_bytes()[19], b'8' | b'9' | b'a' | b'b'));
    }

    #[test]
    fn short_ids_are_padded() {
        let mut out = Vec::new();
        push_padded(&mut out, "ab1", 16);
        assert_eq!(out, b"0000000000000ab1");
    }
}
