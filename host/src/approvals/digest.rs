//! The digest that names bytes: `sha256:` and lower-case hex.

use sha2::{Digest as _, Sha256};

use crate::event::escape::push_hex;

/// Returns the digest of these bytes.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    let mut text = "sha256:".to_owned();
    push_hex(&mut text, &Sha256::digest(bytes));
    text
}
