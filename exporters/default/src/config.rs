//! There is nothing to set: where the store is and how much it keeps is the host's business (`storage` in its config).

use serde::Deserialize;

/// Rows a batch: the store is synced once a batch.
pub const MAX_ITEMS: u32 = 1_024;

/// Bytes a batch, of the events' JSON text.
pub const MAX_BYTES: u32 = 4 << 20;

/// No settings.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {}
