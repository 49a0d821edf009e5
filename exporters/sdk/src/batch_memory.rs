//! Memory for what the host hands over. A span is some thirty texts and lists, which all end with the call: taken from
//! and given back to the system's allocator one by one they were a third of a component's time. Here they come from one
//! region, one after the other, and are given up together. A host that knows the interface `batch-memory` asks for all of
//! a batch's bytes at once; for another one the allocator gives the texts out one by one.
//!
//! After each call, until the exporter's code runs again, the region is open and every allocation is taken from it: the
//! host lowers the arguments of the next call and the generated code lifts them. While the exporter's own code runs it is
//! closed and everything is the system's. An exporter gets a batch as a reference, so nothing in the region outlives the
//! call. What does not fit is the system's; the region is then made larger for the next call. Called by `exporter`.

/// Runs an exporter's code on `batch`, which ends with it. `lowered` is something in the batch that the host itself has
/// put there.
#[cfg(not(all(target_family = "wasm", feature = "batch-memory")))]
pub(crate) fn lend<B, R>(batch: B, lowered: *const u64, run: impl FnOnce(&B) -> R) -> R {
    let _ = lowered;
    run(&batch)
}

/// Runs an exporter's code between batches.
#[cfg(not(all(target_family = "wasm", feature = "batch-memory")))]
pub(crate) fn between<R>(run: impl FnOnce() -> R) -> R {
    run()
}

#[cfg(all(target_family = "wasm", feature = "batch-memory"))]
pub(crate) use component::{between, lend, room};

#[cfg(all(target_family = "wasm", feature = "batch-memory"))]
mod component {
    use super::region::BatchMemory;

    /// For every allocation of a component that uses this crate.
    #[global_allocator]
    static MEMORY: BatchMemory = BatchMemory::new();

    pub(crate) fn lend<B, R>(batch: B, lowered: *const u64, run: impl FnOnce(&B) -> R) -> R {
        MEMORY.lend(batch, lowered, run)
    }

    pub(crate) fn between<R>(run: impl FnOnce() -> R) -> R {
        MEMORY.between(run)
    }

    /// The address at which so many bytes of the next batch may lie.
    pub(crate) fn room(bytes: u32) -> Option<u32> {
        let room = MEMORY.room(usize::try_from(bytes).ok()?)?;
        u32::try_from(room.expose_provenance()).ok()
    }
}

#[cfg(any(test, all(target_family = "wasm", feature = "batch-memory")))]
mod region {
    #![allow(unsafe_code, reason = "an allocator is unsafe to implement")]

    use std::alloc::{GlobalAlloc, Layout, System};
    use std::cell::Cell;
    use std::ptr;

    /// Largest alignment in the region.
    const ALIGNMENT: usize = 16;

    /// Most bytes of the region: what batches of usual limits take.
    pub(super) const MOST_BYTES: usize = 8 << 20;

    pub(super) struct BatchMemory {
        /// Of the region. Null before there is one.
        start: Cell<*mut u8>,
        bytes: Cell<usize>,
        /// Bytes at the start that are taken.
        used: Cell<usize>,
        /// Bytes that did not fit since the region was last given up.
        missed: Cell<usize>,
        is_open: Cell<bool>,
    }

    // SAFETY: a component has one thread.
    unsafe impl Sync for BatchMemory {}

    impl BatchMemory {
        pub(super) const fn new() -> Self {
            Self {
                start: Cell::new(ptr::null_mut()),
                bytes: Cell::new(0),
                used: Cell::new(0),
                missed: Cell::new(0),
                is_open: Cell::new(false),
            }
        }

        pub(super) fn between<R>(&self, run: impl FnOnce() -> R) -> R {
            self.is_open.set(false);
            let result = run();
            self.missed.set(0);
            self.is_open.set(true);
            result
        }

        /// Where in the region so many bytes of a batch may lie, if it may have that many. What is left there are results
        /// of the last call, which the host has read.
        pub(super) fn room(&self, bytes: usize) -> Option<*mut u8> {
            if bytes <= MOST_BYTES {
                self.enlarge(bytes);
            }
            if bytes > self.bytes.get() {
                return None;
            }
            self.used.set(bytes);
            self.missed.set(0);
            Some(self.start.get())
        }

        pub(super) fn lend<B, R>(
            &self,
            batch: B,
            lowered: *const u64,
            run: impl FnOnce(&B) -> R,
        ) -> R {
            self.is_open.set(false);
            let result = run(&batch);
            let (used, missed) = (self.used.replace(0), self.missed.replace(0));
            if missed == 0 && self.holds(lowered.cast()) {
                // All of it is in the region: what the host asked for comes from there, and nothing did not fit.
                std::mem::forget(batch);
            } else {
                drop(batch);
                self.enlarge(used.saturating_add(missed));
            }
            self.is_open.set(true);
            result
        }

        /// Makes the region long enough for so many bytes and some more, while nothing in it is in use.
        fn enlarge(&self, bytes: usize) {
            let enough = bytes.saturating_add(bytes / 4).min(MOST_BYTES);
            if bytes > self.bytes.get() && enough > self.bytes.get() {
                self.replace(enough);
            }
        }

        #[cold]
        fn replace(&self, bytes: usize) {
            let layout = |bytes| Layout::from_size_align(bytes, ALIGNMENT);
            if let Ok(old) = layout(self.bytes.get())
                && old.size() > 0
            {
                // SAFETY: the region was allocated below with this layout, and nothing in it is in use.
                unsafe { System.dealloc(self.start.get(), old) };
            }
            self.bytes.set(0);
            if let Ok(new) = layout(bytes) {
                // SAFETY: more than what the region had, so not zero.
                let start = unsafe { System.alloc(new) };
                if !start.is_null() {
                    self.start.set(start);
                    self.bytes.set(bytes);
                }
            }
        }

        /// The next free bytes of the region, or the system's.
        #[inline]
        fn take(&self, layout: Layout) -> *mut u8 {
            // Alignments are powers of two.
            let at = (self.used.get() + layout.align() - 1) & !(layout.align() - 1);
            let end = at + layout.size();
            if end <= self.bytes.get() && layout.align() <= ALIGNMENT {
                self.used.set(end);
                return self.start.get().wrapping_add(at);
            }
            let missed = self.missed.get().saturating_add(layout.size());
            self.missed.set(missed.saturating_add(layout.align()));
            // SAFETY: the caller's layout.
            unsafe { System.alloc(layout) }
        }

        #[inline]
        fn holds(&self, block: *const u8) -> bool {
            block.addr().wrapping_sub(self.start.get().addr()) < self.bytes.get()
        }
    }

    // SAFETY: blocks are the system's, or parts of the region that nothing else has until `lend` ends, and what is in the
    // region then is not used again: `lend` has only lent it. Texts of a batch in one piece are no blocks; whatever address
    // in the region is freed, nothing happens.
    unsafe impl GlobalAlloc for BatchMemory {
        #[inline]
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            if self.is_open.get() {
                return self.take(layout);
            }
            // SAFETY: the caller's layout.
            unsafe { System.alloc(layout) }
        }

        #[inline]
        unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
            if !self.is_open.get() {
                // SAFETY: the caller's layout.
                return unsafe { System.alloc_zeroed(layout) };
            }
            let block = self.take(layout);
            if !block.is_null() {
                // SAFETY: the block has that many bytes.
                unsafe { block.write_bytes(0, layout.size()) };
            }
            block
        }

        #[inline]
        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            if !self.holds(block) {
                // SAFETY: what is not in the region came from the system, with the same layout.
                unsafe { System.dealloc(block, layout) }
            }
        }

        #[inline]
        unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
            if !self.holds(block) {
                // SAFETY: as above; the caller's new size.
                return unsafe { System.realloc(block, layout, bytes) };
            }
            // SAFETY: the caller promises that the new size fits the alignment. The new block is another one.
            unsafe {
                let moved = self.alloc(Layout::from_size_align_unchecked(bytes, layout.align()));
                if !moved.is_null() {
                    ptr::copy_nonoverlapping(block, moved, layout.size().min(bytes));
                }
                moved
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(unsafe_code, reason = "the functions of an allocator are unsafe")]

    use std::alloc::{GlobalAlloc, Layout};
    use std::cell::Cell;

    use super::region::{BatchMemory, MOST_BYTES};

    fn layout(bytes: usize, align: usize) -> Layout {
        Layout::from_size_align(bytes, align).unwrap()
    }

    /// What the host lowers for one call: blocks filled with their own number, as `(address, layout)`.
    fn lower(memory: &BatchMemory, sizes: &[(usize, usize)]) -> Vec<(*mut u8, Layout)> {
        let blocks = sizes.iter().zip(0_u8..).map(|(&(bytes, align), number)| {
            let layout = layout(bytes, align);
            let block = unsafe { memory.alloc(layout) };
            assert!(!block.is_null() && block.addr().is_multiple_of(align));
            unsafe { block.write_bytes(number, bytes) };
            (block, layout)
        });
        blocks.collect()
    }

    /// Frees its blocks, and counts that it did.
    struct Blocks<'a> {
        memory: &'a BatchMemory,
        blocks: Vec<(*mut u8, Layout)>,
        drops: &'a Cell<usize>,
    }

    impl Blocks<'_> {
        /// Sees that no block has been written over.
        fn check(&self) {
            for ((block, layout), number) in self.blocks.iter().zip(0_u8..) {
                let bytes = unsafe { std::slice::from_raw_parts(*block, layout.size()) };
                assert!(bytes.iter().all(|byte| *byte == number));
            }
        }
    }

    impl Drop for Blocks<'_> {
        fn drop(&mut self) {
            self.drops.set(self.drops.get() + 1);
            for (block, layout) in self.blocks.drain(..) {
                unsafe { self.memory.dealloc(block, layout) };
            }
        }
    }

    const SIZES: [(usize, usize); 6] = [(8, 8), (1, 1), (24, 8), (7, 1), (300, 1), (64, 16)];

    /// One call: where its blocks were, and whether they were dropped.
    fn call(memory: &BatchMemory, sizes: &[(usize, usize)]) -> (Vec<usize>, bool) {
        let (drops, own_drops) = (Cell::new(0), Cell::new(0));
        let blocks = lower(memory, sizes);
        let places = blocks.iter().map(|(block, _)| block.addr()).collect();
        let first = blocks[0].0.cast_const().cast();
        let batch = Blocks {
            memory,
            blocks,
            drops: &drops,
        };
        memory.lend(batch, first, |batch| {
            let own = Blocks {
                memory,
                blocks: lower(memory, &SIZES),
                drops: &own_drops,
            };
            batch.check();
            own.check();
        });
        assert_eq!(own_drops.get(), 1);
        (places, drops.get() == 1)
    }

    fn opened() -> BatchMemory {
        let memory = BatchMemory::new();
        memory.between(|| {});
        memory
    }

    #[test]
    fn every_call_but_the_first_takes_the_same_region_and_gives_it_up_at_once() {
        let memory = opened();
        assert!(call(&memory, &SIZES).1, "there was no region yet");
        let (places, dropped) = call(&memory, &SIZES);
        assert!(
            places.is_sorted() && places[5] - places[0] < 600,
            "one after the other"
        );
        assert!(!dropped);
        assert_eq!(call(&memory, &SIZES), (places, false));
        // More than there is room for: some is the system's, all of it whole, and the next call has room.
        let many = SIZES.repeat(30);
        assert!(call(&memory, &many).1, "what is the system's must be freed");
        let larger = call(&memory, &many);
        assert!(larger.0.is_sorted() && !larger.1);
        assert_eq!(call(&memory, &many), larger);
    }

    #[test]
    fn what_was_handed_over_while_the_region_was_closed_is_dropped() {
        let memory = BatchMemory::new();
        assert!(call(&memory, &SIZES).1);
        call(&memory, &SIZES);
        assert!(!call(&memory, &SIZES).1);
        let elsewhere = lower(&BatchMemory::new(), &SIZES);
        let drops = Cell::new(0);
        let first = elsewhere[0].0.cast_const().cast();
        let batch = Blocks {
            memory: &memory,
            blocks: elsewhere,
            drops: &drops,
        };
        memory.lend(batch, first, Blocks::check);
        assert_eq!(
            drops.get(),
            1,
            "the host's allocations did not come from the region"
        );
    }

    #[test]
    fn what_the_exporter_keeps_is_not_in_the_region() {
        let memory = opened();
        call(&memory, &SIZES);
        // Unlike the blocks of a call in every place.
        let own = [(100, 8), (90, 1)];
        let mut kept = Vec::new();
        memory.lend((), std::ptr::null(), |()| kept.push(lower(&memory, &own)));
        memory.between(|| kept.push(lower(&memory, &own)));
        for _ in 0..2 {
            call(&memory, &SIZES.repeat(20));
        }
        let drops = Cell::new(0);
        for blocks in kept {
            let kept = Blocks {
                memory: &memory,
                blocks,
                drops: &drops,
            };
            kept.check();
        }
    }

    #[test]
    fn a_block_of_the_region_grows_out_of_it_with_what_it_holds() {
        let memory = opened();
        call(&memory, &SIZES);
        let small = layout(24, 8);
        let block = unsafe { memory.alloc_zeroed(small) };
        let zeros = unsafe { std::slice::from_raw_parts(block, 24) };
        assert_eq!(zeros, [0_u8; 24]);
        unsafe { block.write_bytes(7, 24) };
        let grown = memory.between(|| unsafe { memory.realloc(block, small, 5_000) });
        call(&memory, &SIZES);
        let held = unsafe { std::slice::from_raw_parts(grown, 24) };
        assert_eq!(held, [7_u8; 24]);
        unsafe { memory.dealloc(grown, layout(5_000, 8)) };
    }

    #[test]
    fn the_region_has_a_limit() {
        let memory = opened();
        let large = [(MOST_BYTES, 1), (MOST_BYTES, 1), (9, 1)];
        call(&memory, &large);
        let (places, dropped) = call(&memory, &large);
        assert!(dropped, "they do not all fit, however often they come");
        let (again, dropped) = call(&memory, &large);
        assert_eq!((places[0], true), (again[0], dropped), "one fits");
    }

    #[test]
    fn a_batch_in_one_piece_is_whole_until_its_call_ends_whatever_is_freed_of_it() {
        let memory = opened();
        for (bytes, is_dropped) in [(5, true), (1_000, true), (3, false), (1_000, false)] {
            let room = memory.room(bytes).unwrap();
            assert!(room.addr().is_multiple_of(8));
            unsafe { room.write_bytes(9, bytes) };
            let drops = Cell::new(0);
            // What the generated code makes of the batch.
            let batch = Blocks {
                memory: &memory,
                blocks: lower(&memory, &SIZES),
                drops: &drops,
            };
            let first = batch.blocks[0].0.cast_const().cast();
            memory.lend(batch, first, |batch| {
                let own = lower(&memory, &SIZES);
                // Texts of the batch are no blocks.
                for at in [0, bytes / 2] {
                    unsafe { memory.dealloc(room.add(at), layout(1, 1)) };
                }
                for (block, layout) in own {
                    unsafe { memory.dealloc(block, layout) };
                }
                batch.check();
                let held = unsafe { std::slice::from_raw_parts(room, bytes) };
                assert!(held.iter().all(|byte| *byte == 9), "{bytes}");
            });
            assert_eq!(drops.get() == 1, is_dropped, "{bytes}");
        }
        assert_eq!(memory.room(MOST_BYTES + 1), None);
    }
}
