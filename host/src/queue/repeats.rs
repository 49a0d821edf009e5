//! The repeat window: which events were accepted lately, so that a client's resent batch is not delivered twice.
//!
//! Two generations of keys: the younger takes new ones; when it is as old as the window, or holds half of the entries,
//! it becomes the older and the older is forgotten. So a key is known for at least the window and at most twice as long,
//! and of more events than fit at least the younger half. Nothing is ever removed one by one, which made the window the
//! dearest part of an append. An entry costs about 36 bytes.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use tokio::time::Instant;

/// The keys that a window holds at most by default: the hour of the default window at 64 events per second, 12 s at
/// 20,000; a client that resends does so within seconds. Each generation then fills a table of 2^18 places as far as one is
/// filled, 4.5 MB; one key more would double it.
pub(crate) const REPEAT_ENTRIES: usize = 2 * (1 << 18) / 8 * 7;

/// Room for new keys that is kept between groups.
const PENDING_ROOM: usize = 4096;

type Keys = HashSet<u128, KeyHash>;

/// Keys of accepted events.
#[derive(Debug)]
pub(crate) struct RepeatWindow {
    keep_for: Duration,
    max_entries: usize,
    young: Keys,
    old: Keys,
    young_since: Instant,
    /// Inserted and not committed.
    pending: Vec<u128>,
}

impl RepeatWindow {
    /// An empty window. With no time or no entries nothing is ever a repeat.
    pub(crate) fn new(keep_for: Duration, max_entries: usize) -> Self {
        let hash = KeyHash::random();
        Self {
            keep_for,
            max_entries: if keep_for.is_zero() { 0 } else { max_entries },
            young: Keys::with_hasher(hash),
            old: Keys::with_hasher(hash),
            young_since: Instant::now(),
            pending: Vec::new(),
        }
    }

    /// Forgets what is older than the window, once in a while.
    pub(crate) fn expire(&mut self, now: Instant) {
        let age = now.duration_since(self.young_since);
        if age < self.keep_for {
            return;
        }
        if age < self.keep_for.saturating_mul(2) {
            // As of when it was due, not of when somebody came.
            self.turn(self.young_since + self.keep_for);
        } else {
            self.turn(now);
            self.turn(now);
        }
        self.young.shrink_to(self.old.len());
    }

    /// Whether the key is new; remembers it until [`Self::commit`] or [`Self::undo`].
    pub(crate) fn insert(&mut self, key: u128) -> bool {
        if self.max_entries == 0 {
            return true;
        }
        let is_new = !self.old.contains(&key) && self.young.insert(key);
        if is_new {
            self.pending.push(key);
        }
        is_new
    }

    /// Keeps what was inserted since the last commit.
    pub(crate) fn commit(&mut self, now: Instant) {
        self.pending.clear();
        self.pending.shrink_to(PENDING_ROOM);
        if self.max_entries > 0 && self.young.len() >= self.max_entries.div_ceil(2) {
            self.turn(now);
        }
    }

    /// How much was inserted since the last commit.
    pub(crate) fn mark(&self) -> usize {
        self.pending.len()
    }

    /// Forgets what was inserted since the last commit.
    pub(crate) fn undo(&mut self) {
        self.undo_to(0);
    }

    /// Forgets what was inserted since a mark.
    pub(crate) fn undo_to(&mut self, mark: usize) {
        for key in self.pending.drain(mark..) {
            self.young.remove(&key);
        }
    }

    fn turn(&mut self, since: Instant) {
        std::mem::swap(&mut self.young, &mut self.old);
        self.young.clear();
        self.young_since = since;
    }
}

/// Keys are hashes already, but of ids that senders choose: a secret keeps them from choosing where the keys go.
#[derive(Clone, Copy, Debug)]
struct KeyHash {
    secret: [u64; 2],
    state: u64,
}

impl KeyHash {
    fn random() -> Self {
        let random = RandomState::new();
        Self {
            secret: [random.hash_one(0), random.hash_one(1)],
            state: 0,
        }
    }
}

impl BuildHasher for KeyHash {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        *self
    }
}

impl Hasher for KeyHash {
    fn write_u128(&mut self, key: u128) {
        let [low, high] = self.secret;
        let product = u128::from(key as u64 ^ low) * u128::from((key >> 64) as u64 ^ high);
        self.state = product as u64 ^ (product >> 64) as u64;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u128(u128::from(self.state) << 8 | u128::from(*byte));
        }
    }

    fn finish(&self) -> u64 {
        self.state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn add(window: &mut RepeatWindow, keys: impl IntoIterator<Item = u128>, now: Instant) -> usize {
        window.expire(now);
        let added = keys.into_iter().filter(|key| window.insert(*key)).count();
        window.commit(now);
        added
    }

    #[tokio::test]
    async fn repeats_are_known_for_the_window_and_at_most_twice_as_long() {
        let mut window = RepeatWindow::new(HOUR, 100);
        let start = window.young_since;
        assert_eq!(add(&mut window, [1, 2, 2], start), 2);
        assert_eq!(add(&mut window, [1, 3], start + HOUR * 3 / 4), 1);
        assert_eq!(
            add(&mut window, [1, 2], start + HOUR - Duration::from_nanos(1)),
            0
        );
        assert_eq!(
            add(
                &mut window,
                [3],
                start + HOUR * 7 / 4 - Duration::from_nanos(1)
            ),
            0
        );
        assert_eq!(add(&mut window, [1, 2, 3], start + HOUR * 2), 3);
        assert_eq!(
            add(&mut window, [1], start + HOUR * 9),
            1,
            "both generations are too old"
        );
    }

    #[tokio::test]
    async fn oldest_keys_go_first_when_there_are_too_many() {
        let now = Instant::now();
        let mut window = RepeatWindow::new(HOUR, 100);
        for key in 0..1000 {
            assert_eq!(add(&mut window, [key], now), 1);
            assert!(window.young.len() + window.old.len() <= 100);
            let youngest_half = key.saturating_sub(49)..=key;
            assert_eq!(add(&mut window, youngest_half, now), 0);
        }
        assert_eq!(add(&mut window, [0], now), 1);
    }

    #[tokio::test]
    async fn keys_of_a_refused_group_are_not_remembered() {
        let now = Instant::now();
        let mut window = RepeatWindow::new(HOUR, 100);
        add(&mut window, [1], now);
        assert!(window.insert(2) && window.insert(3) && !window.insert(1) && !window.insert(2));
        window.undo();
        assert_eq!(add(&mut window, [1, 2, 3], now), 2);
    }

    #[tokio::test]
    async fn window_of_no_time_or_no_entries_knows_nothing() {
        let now = Instant::now();
        for mut window in [
            RepeatWindow::new(Duration::ZERO, 9),
            RepeatWindow::new(HOUR, 0),
        ] {
            assert_eq!(add(&mut window, [1, 1], now), 2);
            assert_eq!(add(&mut window, [1], now), 1);
            assert!(window.young.is_empty());
        }
    }

    #[test]
    fn keys_that_differ_in_one_bit_are_spread() {
        let hash = KeyHash::random();
        let hashes: HashSet<u64> = (0..128).map(|bit| hash.hash_one(1_u128 << bit)).collect();
        assert_eq!(hashes.len(), 128);
    }
}
