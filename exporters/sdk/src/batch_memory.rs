//! Memory for what the host hands over. A span is some thirty texts and lists, which all end with the call: taken from
//! and given back to the system's allocator one by one they were a third of a component's time. Here they come from one
//! region, one after the other, and are given up together. A host that knows the interface `batch-memory` asks for one
//! block for all the records of a batch; for another one the allocator gives the texts out one by one.
//!
//! After each call, until the exporter's code runs again, the region is open and every allocation is taken from it: the
//! host lowers the arguments of the next call and the generated code lifts them. While the exporter's own code runs it is
//! closed and everything is the system's. An exporter gets a batch as a reference, so nothing in the region outlives the
//! call. What does not fit makes the region longer. Called by `exporter`.

/// Runs an exporter's code on `batch`, which ends with it. `lowered` is something in the batch that the host itself has
/// put there.
#[cfg(not(all(target_family = "wasm", feature = "batch-memory")))]
pub(crate) fn lend<B, R>(batch: B, lowered: *const u64, run: impl FnOnce(&B) -> R) -> R {
    let _ = lowered;
    run(&batch)
}

/// Runs an exporter's code between batches, with what the host handed over for it, which ends with it.
#[cfg(not(all(target_family = "wasm", feature = "batch-memory")))]
pub(crate) fn between<A, R>(handed: A, run: impl FnOnce(&A) -> R) -> R {
    run(&handed)
}

#[cfg(all(target_family = "wasm", feature = "batch-memory"))]
pub(crate) use component::{CAPACITY, between, lend};

#[cfg(all(
    target_family = "wasm",
    target_feature = "atomics",
    feature = "batch-memory"
))]
compile_error!(
    "the feature `batch-memory` is for components with one thread: leave it out with the target feature `atomics`"
);

#[cfg(all(target_family = "wasm", feature = "batch-memory"))]
mod component {
    use super::region::{BatchMemory, MOST_BYTES};

    /// For every allocation of a component that uses this crate.
    #[global_allocator]
    static MEMORY: BatchMemory = BatchMemory::new();

    pub(crate) fn lend<B, R>(batch: B, lowered: *const u64, run: impl FnOnce(&B) -> R) -> R {
        MEMORY.lend(batch, lowered, run)
    }

    pub(crate) fn between<A, R>(handed: A, run: impl FnOnce(&A) -> R) -> R {
        MEMORY.between(handed, run)
    }

    /// Bytes of the largest block that the host may lay records out in.
    pub(crate) const CAPACITY: u32 = MOST_BYTES as u32;
}

#[cfg(any(test, all(target_family = "wasm", feature = "batch-memory")))]
mod region {
    #![allow(unsafe_code, reason = "an allocator is unsafe to implement")]

    use std::alloc::{GlobalAlloc, Layout, System};
    use std::cell::Cell;
    use std::ptr;

    /// Largest alignment in the region.
    const ALIGNMENT: usize = 16;

    /// Most bytes of the region between calls: what batches of usual limits take. Fewer under Miri, which is slow.
    pub(super) const MOST_BYTES: usize = if cfg!(miri) { 80_000 } else { 8 << 20 };

    /// The first piece of a region.
    const LEAST_BYTES: usize = if cfg!(miri) { 20_000 } else { 64 << 10 };

    /// Pieces of a region, each at least twice as long as the one before: more than an address space holds.
    const MOST_PIECES: usize = 20;

    /// A stretch of the system's memory.
    #[derive(Clone, Copy)]
    struct Piece {
        /// Null while there is none.
        start: *mut u8,
        bytes: usize,
    }

    impl Piece {
        const NONE: Self = Self {
            start: ptr::null_mut(),
            bytes: 0,
        };

        const fn layout(bytes: usize) -> Option<Layout> {
            match Layout::from_size_align(bytes, ALIGNMENT) {
                Ok(layout) => Some(layout),
                Err(_) => None,
            }
        }

        fn of_system(bytes: usize) -> Option<Self> {
            let layout = Self::layout(bytes).filter(|layout| layout.size() > 0)?;
            // SAFETY: the size is not zero.
            let start = unsafe { System.alloc(layout) };
            (!start.is_null()).then_some(Self { start, bytes })
        }

        fn give_back(self) {
            if let Some(layout) = Self::layout(self.bytes)
                && !self.start.is_null()
            {
                // SAFETY: it was allocated above with this layout; nothing in it is in use, as callers promise.
                unsafe { System.dealloc(self.start, layout) };
            }
        }

        #[inline]
        fn holds(&self, block: *const u8) -> bool {
            block.addr().wrapping_sub(self.start.addr()) < self.bytes
        }
    }

    /// The region: the last of its pieces is being filled.
    pub(super) struct BatchMemory {
        pieces: [Cell<Piece>; MOST_PIECES],
        count: Cell<usize>,
        /// Bytes at the start of the last piece that are taken.
        used: Cell<usize>,
        is_open: Cell<bool>,
    }

    // SAFETY: a component has one thread.
    unsafe impl Sync for BatchMemory {}

    impl BatchMemory {
        pub(super) const fn new() -> Self {
            Self {
                pieces: [const { Cell::new(Piece::NONE) }; MOST_PIECES],
                count: Cell::new(0),
                used: Cell::new(0),
                is_open: Cell::new(false),
            }
        }

        pub(super) fn between<A, R>(&self, handed: A, run: impl FnOnce(&A) -> R) -> R {
            self.is_open.set(false);
            let result = run(&handed);
            drop(handed);
            self.give_up();
            self.is_open.set(true);
            result
        }

        pub(super) fn lend<B, R>(
            &self,
            batch: B,
            lowered: *const u64,
            run: impl FnOnce(&B) -> R,
        ) -> R {
            self.is_open.set(false);
            let result = run(&batch);
            if self.holds(lowered.cast()) {
                // All of it is in the region, since that was open when the host lowered this.
                std::mem::forget(batch);
            } else {
                drop(batch);
            }
            self.give_up();
            self.is_open.set(true);
            result
        }

        /// Ends everything in the region. A region of several pieces becomes one that has their length.
        fn give_up(&self) {
            self.used.set(0);
            let count = self.count.get();
            if count < 2 {
                return;
            }
            let mut bytes = 0_usize;
            for piece in self.pieces.iter().take(count) {
                bytes = bytes.saturating_add(piece.get().bytes);
                piece.replace(Piece::NONE).give_back();
            }
            self.count.set(0);
            if let Some(piece) = Piece::of_system(bytes.min(MOST_BYTES)) {
                self.add(piece);
            }
        }

        fn add(&self, piece: Piece) -> bool {
            let count = self.count.get();
            let Some(place) = self.pieces.get(count) else {
                piece.give_back();
                return false;
            };
            place.set(piece);
            self.count.set(count + 1);
            self.used.set(0);
            true
        }

        /// What the region has between calls.
        #[cfg(test)]
        pub(super) fn kept_bytes(&self) -> usize {
            self.pieces.iter().map(|piece| piece.get().bytes).sum()
        }

        fn last(&self) -> Piece {
            let last = self.count.get().wrapping_sub(1);
            self.pieces.get(last).map_or(Piece::NONE, Cell::get)
        }

        /// The next free bytes of the region.
        #[inline]
        fn take(&self, layout: Layout) -> *mut u8 {
            // Alignments are powers of two.
            let at = (self.used.get() + layout.align() - 1) & !(layout.align() - 1);
            let last = self.last();
            match at.checked_add(layout.size()) {
                Some(end) if end <= last.bytes && layout.align() <= ALIGNMENT => {
                    self.used.set(end);
                    last.start.wrapping_add(at)
                }
                _ => self.take_of_next(layout),
            }
        }

        /// As [`BatchMemory::take`], of one more piece. Null, as allocators have it, when there is no memory.
        #[cold]
        fn take_of_next(&self, layout: Layout) -> *mut u8 {
            let least = self.last().bytes.saturating_mul(2).max(LEAST_BYTES);
            let bytes = layout.size().max(least);
            if layout.align() > ALIGNMENT
                || !Piece::of_system(bytes).is_some_and(|piece| self.add(piece))
            {
                return ptr::null_mut();
            }
            self.used.set(layout.size());
            self.last().start
        }

        #[inline]
        fn holds(&self, block: *const u8) -> bool {
            let pieces = self.pieces.iter().take(self.count.get());
            pieces.into_iter().any(|piece| piece.get().holds(block))
        }
    }

    // SAFETY: blocks are the system's, or parts of the region that nothing else has until it is given up; what is in it
    // then is not used again: `lend` and `between` have only lent it. Texts of records that lie together in one block are
    // no blocks; whatever address in the region is freed, nothing happens.
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
        memory.between((), |()| {});
        memory
    }

    #[test]
    fn every_call_takes_the_same_region_and_gives_it_up_at_once() {
        let memory = opened();
        let (places, dropped) = call(&memory, &SIZES);
        assert!(
            places.is_sorted() && places[5] - places[0] < 600,
            "one after the other"
        );
        assert!(!dropped);
        assert_eq!(call(&memory, &SIZES), (places, false));
        // More than the first piece has: all of it whole, and the next call has it in one.
        let many =
            [(4_000, 8), (5_000, 1), (9, 8), (10_000, 8)].repeat(if cfg!(miri) { 2 } else { 4 });
        assert!(!call(&memory, &many).1);
        let larger = call(&memory, &many);
        assert!(larger.0.is_sorted() && !larger.1);
        assert_eq!(call(&memory, &many), larger);
    }

    #[test]
    fn what_was_handed_over_while_the_region_was_closed_is_dropped() {
        let memory = BatchMemory::new();
        assert!(call(&memory, &SIZES).1);
        assert!(!call(&memory, &SIZES).1);
        let other = BatchMemory::new();
        let elsewhere = lower(&other, &SIZES);
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
        memory.between((), |()| kept.push(lower(&memory, &own)));
        for _ in 0..2 {
            call(
                &memory,
                &[(300, 1), (5_000, 8)].repeat(if cfg!(miri) { 6 } else { 30 }),
            );
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

    /// Arguments of `configure` and results of a call lie in the region as well, and end before it does.
    #[test]
    fn calls_without_a_batch_do_not_fill_the_region() {
        let memory = opened();
        let mut first = None;
        for _ in 0..300 {
            let drops = Cell::new(0);
            let handed = Blocks {
                memory: &memory,
                blocks: lower(&memory, &[(1_000, 8)]),
                drops: &drops,
            };
            let place = handed.blocks[0].0.addr();
            memory.between(handed, Blocks::check);
            assert_eq!(drops.get(), 1);
            // What the generated code returns, and frees when the host has read it.
            for (block, layout) in lower(&memory, &[(16, 8)]) {
                unsafe { memory.dealloc(block, layout) };
            }
            assert!(place - *first.get_or_insert(place) < 64);
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
        let grown = memory.between((), |()| unsafe { memory.realloc(block, small, 5_000) });
        call(&memory, &SIZES);
        let held = unsafe { std::slice::from_raw_parts(grown, 24) };
        assert_eq!(held, [7_u8; 24]);
        unsafe { memory.dealloc(grown, layout(5_000, 8)) };
    }

    #[test]
    fn more_than_the_region_may_have_is_given_back() {
        let memory = opened();
        for _ in 0..2 {
            assert!(!call(&memory, &[(MOST_BYTES, 1), (MOST_BYTES, 1), (9, 1)]).1);
            assert_eq!(memory.kept_bytes(), MOST_BYTES);
        }
    }

    /// The host lays records out in one block: the first of a call, behind what is left of the last call's results.
    #[test]
    fn records_in_one_block_are_whole_until_their_call_ends_whatever_is_freed_of_them() {
        let memory = opened();
        // Miri looks at each byte.
        let long = if cfg!(miri) { 70_000 } else { 200_000 };
        let longest = if cfg!(miri) { long } else { MOST_BYTES };
        for bytes in [5, 1_000, 3, long, 1_000, longest, longest] {
            let result = lower(&memory, &[(40, 8)]);
            let block = unsafe { memory.alloc(layout(bytes, 8)) };
            assert!(block.addr().is_multiple_of(8));
            unsafe { block.write_bytes(9, bytes) };
            for (block, layout) in result {
                unsafe { memory.dealloc(block, layout) };
            }
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
                    unsafe { memory.dealloc(block.add(at), layout(1, 1)) };
                }
                for (block, layout) in own {
                    unsafe { memory.dealloc(block, layout) };
                }
                batch.check();
                let held = unsafe { std::slice::from_raw_parts(block, bytes) };
                assert!(held.iter().all(|byte| *byte == 9), "{bytes}");
            });
            assert_eq!(drops.get(), 0, "{bytes}");
        }
    }
}
