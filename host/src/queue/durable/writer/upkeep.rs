//! What the writer does beside writing: the next segment, what has grown too old, what nobody needs any more.

use super::super::keys;
use super::*;

/// How many segments later what is left of one counts as stragglers.
const STRAGGLER_SEGMENTS: u32 = 3;

impl Writer {
    /// Seals the segment and begins the next with a snapshot, which is synced with what comes after it.
    pub(in crate::queue::durable) fn rotate(&mut self) -> Result<(), String> {
        if self.inner.lock().broken.is_some() {
            return Ok(());
        }
        // What is not synced with a group: settlements, and the dead letters that they keep.
        if self.unsynced {
            self.sync()?;
        }
        let number = self.active.number + 1;
        let (active, segment) = {
            let state = self.inner.lock();
            new_segment(&*self.files, &self.directory, number, &state)
                .map_err(|error| error.to_string())?
        };
        let old = {
            let mut state = self.inner.lock();
            state.segments.insert(number, segment);
            let old = number.checked_sub(self.inner.settings.cached_segments());
            old.and_then(|old| state.segments.get(&old).cloned())
        };
        if let Some(old) = old {
            old.file.uncache();
        }
        // Not before: a segment that grows on has more keys to come, and they are written once.
        self.seal_keys();
        self.active = active;
        // With its first group, or soon: until then the segment before says the same.
        (self.unsynced, self.is_unlisted) = (true, true);
        // The snapshot has them.
        self.carry.clear();
        Ok(())
    }

    fn seal_keys(&mut self) {
        let keys = std::mem::take(&mut self.keys);
        if keys.is_empty() {
            return;
        }
        let number = self.active.number;
        if let Err(cause) = keys::write_keys(&self.directory, &*self.files, number, &keys) {
            error!(%cause, "Repeats of some events will not be known after a restart.");
        }
        self.key_files.push_back(keys::key_file(number, &keys));
        self.expire_keys(unix_nanos_now());
    }

    /// Removes key files that are too old or too many.
    pub(super) fn expire_keys(&mut self, now: u64) {
        let settings = &self.inner.settings;
        let window = u64::try_from(settings.repeat_window.as_nanos()).unwrap_or(u64::MAX);
        let mut keys: usize = self.key_files.iter().map(|(_, keys, _)| keys).sum();
        while let Some(&(number, count, latest)) = self.key_files.front()
            && (latest < now.saturating_sub(window) || keys - count >= settings.repeat_entries)
        {
            self.key_files.pop_front();
            keys -= count;
            let _kept_longer = self.files.remove(&numbered(&self.directory, number, KEYS));
        }
    }

    /// Forgets cursors and dead letters that are too old, and makes the reserve anew.
    pub(in crate::queue::durable) fn expire(&mut self, now: u64) {
        self.expire_keys(now);
        self.retire(now);
        self.trim_letters(now);
        if !self.has_reserve && self.inner.lock().broken.is_none() {
            self.has_reserve = make_reserve(&*self.files, &self.directory);
        }
    }

    pub(super) fn retire(&mut self, now: u64) {
        let keep = u64::try_from(self.inner.settings.retire_after.as_nanos()).unwrap_or(u64::MAX);
        let retired: Vec<Arc<str>> = {
            let state = self.inner.lock();
            let is_old = |since: &u64| now.saturating_sub(*since) > keep;
            let old = state.absent.iter().filter(|(_, since)| is_old(since));
            old.map(|(exporter, _)| Arc::clone(exporter)).collect()
        };
        for exporter in retired {
            match self.forget(&exporter) {
                Ok(_) => info!(
                    exporter = &*exporter,
                    "Forgot an exporter that was removed."
                ),
                Err(error) => {
                    error!(%error, exporter = &*exporter, "Could not forget an exporter that was removed.")
                }
            }
        }
    }

    /// Forgets a cursor.
    pub(in crate::queue::durable) fn forget(
        &mut self,
        exporter: &str,
    ) -> Result<crate::queue::accounts::ExporterAccounts, QueueError> {
        let accounts = {
            let mut state = self.inner.lock();
            let (accounts, freed) = state.core.forget(exporter)?;
            state.absent.remove(exporter);
            state.uncached(&freed);
            accounts
        };
        let change = Change::Forget {
            exporter: exporter.to_owned(),
        };
        self.write_change(&change)
            .map_err(|cause| QueueError::Store { cause })?;
        Ok(accounts)
    }

    /// Lets go of dead letters beyond the bounds.
    pub(super) fn trim_letters(&mut self, now: u64) {
        let bounds = self.inner.settings.letter_bounds();
        let surplus = self.inner.lock().letters.surplus(&bounds, now);
        for reason in [DropReason::DeadLettersFull, DropReason::Expired] {
            let of_reason = surplus.iter().filter(|(_, why)| *why == reason);
            let ids: Vec<u64> = of_reason.map(|(id, _)| *id).collect();
            if !ids.is_empty() {
                let change = self.letters_gone(&ids, Some(reason)).1;
                self.carry.push(change);
            }
        }
    }

    /// Takes letters out and counts them. Without a reason their exporter's account is the caller's to mend.
    pub(in crate::queue::durable) fn letters_gone(
        &mut self,
        ids: &[u64],
        reason: Option<DropReason>,
    ) -> (Vec<Letter>, Change) {
        let mut state = self.inner.lock();
        let mut gone = Vec::new();
        let mut counts = Vec::new();
        for id in ids {
            let Some(letter) = state.letters.remove(*id) else {
                continue;
            };
            if let Some(reason) = reason {
                state.letters.count_dropped(&letter.info.origin, reason);
            }
            if let (crate::deliver::dead_letter::Origin::Exporter(exporter), Some(kind)) =
                (&letter.info.origin, letter.info.kind)
                && let Some(entry) = state.core.cursors.get_mut(exporter)
            {
                if let Some(reason) = reason {
                    entry.state.count_evicted(kind.signal(), 1, reason);
                }
                counts.push((
                    exporter.to_string(),
                    kind.signal().name().to_owned(),
                    reason.map(|reason| reason.name().to_owned()),
                    1,
                ));
            }
            gone.push(letter);
        }
        let ids = gone
            .iter()
            .map(|letter| (letter.info.id, letter.info.id + 1));
        let change = Change::LettersGone {
            ids: ids.collect(),
            counts,
        };
        (gone, change)
    }

    /// After every write: letters within bounds, segments that nobody needs removed, stragglers moved aside.
    pub(in crate::queue::durable) fn reclaim(&mut self) {
        self.trim_letters(unix_nanos_now());
        self.remove_free_segments();
        let straggling = {
            let state = self.inner.lock();
            // What is young is mostly settled in a moment, and then costs nothing.
            let is_straggling = |(number, segment): &(&u32, &Segment)| {
                **number + STRAGGLER_SEGMENTS <= self.active.number
                    && state.needed(**number).bytes < segment.length / 8
            };
            state
                .segments
                .iter()
                .find(is_straggling)
                .map(|(number, _)| *number)
        };
        if let Some(number) = straggling
            && let Err(cause) = self.move_aside(number)
        {
            error!(cause, "The queue could not move its stragglers aside.");
        }
    }
}

/// Sets room aside; false if there is none.
pub(in crate::queue::durable) fn make_reserve(
    files: &dyn Files,
    directory: &std::path::Path,
) -> bool {
    let path = directory.join(RESERVE);
    let made = files
        .create(&path)
        .and_then(|file| file.write_at(&vec![0; RESERVE_BYTES], 0));
    if made.is_err() {
        let _none = files.remove(&path);
    }
    made.is_ok()
}
