//! Memory for what the host hands over. A span is some thirty texts and lists, which all end with the call: taken from
//! and given back to the system's allocator one by one they were a third of a component's time. Here they come from one
//! region, one after the other, and are given up together.
//!
//! Between calls, while the host lowers the arguments of the next one and the generated code lifts them, the region is
//! open and every allocation is taken from it. While the exporter's own code runs it is closed and everything is the
//! system's. Exporters get what they are handed as a reference, so nothing in the region outlives the call. What does not
//! fit is the system's; the region is then made larger for the next call. Called by `exporter`.

/// Runs an exporter's code on `arguments`, which end with it.
#[cfg(not(all(target_family = "wasm", feature = "batch-memory")))]
pub(crate) fn lend<A, R>(arguments: A, run: impl FnOnce(&A) -> R) -> R {
    run(&arguments)
}

/// Runs an exporter's code between batches.
#[cfg(not(all(target_family = "wasm", feature = "batch-memory")))]
pub(crate) fn between<R>(run: impl FnOnce() -> R) -> R {
    run()
}

#[cfg(all(target_family = "wasm", feature = "batch-memory"))]
pub(crate) use component::{between, lend};

#[cfg(all(target_family = "wasm", feature = "batch-memory"))]
mod component {
    use super::region::BatchMemory;

    /// For every allocation of a component that uses this crate.
    #[global_allocator]
    static MEMORY: BatchMemory = BatchMemory::new();

    pub(crate) fn lend<A, R>(arguments: A, run: impl FnOnce(&A) -> R) -> R {
        MEMORY.lend(arguments, run)
    }

    pub(crate) fn between<R>(run: impl FnOnce() -> R) -> R {
        MEMORY.between(run)
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
            self.is_open.set(true);
            result
        }

        pub(super) fn lend<A, R>(&self, arguments: A, run: impl FnOnce(&A) -> R) -> R {
            self.is_open.set(false);
            let result = run(&arguments);
            if self.missed.get() == 0 {
                // All of it is in the region.
                std::mem::forget(arguments);
            } else {
                drop(arguments);
                self.enlarge();
            }
            self.used.set(0);
            self.is_open.set(true);
            result
        }

        /// Makes room for all that was asked for, and some more, while nothing is taken.
        #[cold]
        fn enlarge(&self) {
            let wanted = (self.used.get() + self.missed.get()) / 4 * 5;
            self.missed.set(0);
            let wanted = wanted.min(MOST_BYTES);
            if wanted <= self.bytes.get() {
                return;
            }
            let layout = |bytes| Layout::from_size_align(bytes, ALIGNMENT);
            if let Ok(old) = layout(self.bytes.get())
                && old.size() > 0
            {
                // SAFETY: the region was allocated below with this layout, and nothing in it is in use.
                unsafe { System.dealloc(self.start.get(), old) };
            }
            self.bytes.set(0);
            if let Ok(new) = layout(wanted) {
                // SAFETY: `wanted` is more than what the region had, so not zero.
                let start = unsafe { System.alloc(new) };
                if !start.is_null() {
                    self.start.set(start);
                    self.bytes.set(wanted);
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
            let missed = self.missed.get() + layout.size() + layout.align();
            self.missed.set(missed);
            // SAFETY: the caller's layout.
            unsafe { System.alloc(layout) }
        }

        #[inline]
        fn holds(&self, block: *mut u8) -> bool {
            block.addr().wrapping_sub(self.start.get().addr()) < self.bytes.get()
        }
    }

    // SAFETY: blocks are the system's, or parts of the region that nothing else has until `lend` ends, and what is in the
    // region then is not used again: `lend` has only lent it.
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

    /// Sees that no block has been written over, then frees it.
    struct Arguments<'a>(&'a BatchMemory, Vec<(*mut u8, Layout)>);

    impl Arguments<'_> {
        fn check(&self) {
            for ((block, layout), number) in self.1.iter().zip(0_u8..) {
                let bytes = unsafe { std::slice::from_raw_parts(*block, layout.size()) };
                assert!(bytes.iter().all(|byte| *byte == number));
            }
        }
    }

    impl Drop for Arguments<'_> {
        fn drop(&mut self) {
            for (block, layout) in self.1.drain(..) {
                unsafe { self.0.dealloc(block, layout) };
            }
        }
    }

    const SIZES: [(usize, usize); 6] = [(1, 1), (24, 8), (7, 1), (8, 8), (300, 1), (64, 16)];

    fn call(memory: &BatchMemory, sizes: &[(usize, usize)]) -> Vec<usize> {
        let arguments = Arguments(memory, lower(memory, sizes));
        let places = arguments.1.iter().map(|(block, _)| block.addr()).collect();
        memory.lend(arguments, |arguments| {
            let own = lower(memory, &SIZES);
            arguments.check();
            Arguments(memory, own).check();
        });
        places
    }

    #[test]
    fn every_call_but_the_first_takes_the_same_region() {
        let memory = BatchMemory::new();
        memory.between(|| {});
        call(&memory, &SIZES);
        let second = call(&memory, &SIZES);
        let span = second.iter().max().unwrap() - second.iter().min().unwrap();
        assert!(span < 600, "one after the other");
        assert_eq!(call(&memory, &SIZES), second);
        // More than there is room for: some is the system's, all of it whole, and the next call has room.
        let many = SIZES.repeat(30);
        call(&memory, &many);
        let larger = call(&memory, &many);
        assert_eq!(call(&memory, &many), larger);
        assert!(larger.is_sorted(), "one after the other");
    }

    #[test]
    fn what_the_exporter_keeps_is_not_in_the_region() {
        let memory = BatchMemory::new();
        memory.between(|| {});
        call(&memory, &SIZES);
        let mut kept = Vec::new();
        memory.lend((), |()| kept = lower(&memory, &SIZES));
        memory.between(|| kept.extend(lower(&memory, &SIZES)));
        let kept = Arguments(&memory, kept);
        call(&memory, &SIZES.repeat(20));
        call(&memory, &SIZES.repeat(20));
        let (first, second) = kept.1.split_at(SIZES.len());
        for part in [first, second] {
            std::mem::ManuallyDrop::new(Arguments(&memory, part.to_vec())).check();
        }
    }

    #[test]
    fn a_block_of_the_region_grows_out_of_it_with_what_it_holds() {
        let memory = BatchMemory::new();
        memory.between(|| {});
        call(&memory, &SIZES);
        let small = layout(24, 8);
        let block = unsafe { memory.alloc(small) };
        unsafe { block.write_bytes(7, 24) };
        let grown = memory.between(|| unsafe { memory.realloc(block, small, 5_000) });
        call(&memory, &SIZES);
        assert_eq!(unsafe { std::slice::from_raw_parts(grown, 24) }, [7_u8; 24]);
        unsafe { memory.dealloc(grown, layout(5_000, 8)) };
    }

    #[test]
    fn the_region_has_a_limit() {
        let memory = BatchMemory::new();
        memory.between(|| {});
        let large = [(MOST_BYTES, 1), (MOST_BYTES / 2, 1), (9, 1)];
        call(&memory, &large);
        let places = call(&memory, &large);
        assert_eq!(call(&memory, &large)[0], places[0], "one of them fits");
    }
}
