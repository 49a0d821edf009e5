//! Files of keys: by what repeats of the events of a segment are known, also when the segment is gone. Each holds times of
//! receipt and keys, and a checksum at its end.

use std::io;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use super::files::Files;
use super::recover::numbered;

pub(super) const KEYS: &str = "keys";
const KEY_BYTES: usize = 24;

/// Time of receipt and repeat key, in two halves so that it takes 24 bytes of memory as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) received_at: u64,
    high: u64,
    low: u64,
}

impl Key {
    pub(super) const fn new(received_at: u64, repeat_key: u128) -> Self {
        Self {
            received_at,
            high: (repeat_key >> 64) as u64,
            low: repeat_key as u64,
        }
    }

    pub(super) const fn repeat_key(self) -> u128 {
        (self.high as u128) << 64 | self.low as u128
    }
}

/// What is kept in mind of a file of keys: its number, how many, the latest time of receipt.
pub(super) fn key_file(number: u32, keys: &[Key]) -> (u32, usize, u64) {
    let latest = keys.iter().map(|key| key.received_at).max();
    (number, keys.len(), latest.unwrap_or(0))
}

/// Keys outlive their segment, as long as the repeat window lasts.
pub(super) fn write_keys(
    directory: &Path,
    files: &dyn Files,
    segment: u32,
    keys: &[Key],
) -> io::Result<()> {
    let file = files.create(&numbered(directory, segment, KEYS))?;
    file.write_at(&keys_to_bytes(keys), 0)
}

/// A key file: times of receipt and keys, and a checksum at the end.
fn keys_to_bytes(keys: &[Key]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(keys.len() * KEY_BYTES + 8);
    for key in keys {
        bytes.extend_from_slice(&key.received_at.to_le_bytes());
        bytes.extend_from_slice(&key.repeat_key().to_le_bytes());
    }
    let checksum = xxh3_64(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

pub(super) fn keys_of_bytes(bytes: &[u8]) -> Option<Vec<Key>> {
    let (keys, checksum) = bytes.split_last_chunk::<8>()?;
    if u64::from_le_bytes(*checksum) != xxh3_64(keys) {
        return None;
    }
    keys.chunks_exact(KEY_BYTES)
        .map(|key| {
            let (received_at, key) = key.split_first_chunk::<8>()?;
            let key = u128::from_le_bytes(key.try_into().ok()?);
            Some(Key::new(u64::from_le_bytes(*received_at), key))
        })
        .collect()
}
