//! The allocator, which the host calls to hand over a batch (`realloc`) and to give an answer's memory back
//! (post-return): armed, it does to the host what the script says.

#![allow(unsafe_code, reason = "an allocator is unsafe to implement")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU8, Ordering};

/// Nothing, or what the next call is to do.
static ON_ALLOC: AtomicU8 = AtomicU8::new(0);
static ON_FREE: AtomicU8 = AtomicU8::new(0);

const TRAP: u8 = 1;
const SPIN: u8 = 2;
const FAR: u8 = 3;
const ODD: u8 = 4;
const NULL: u8 = 5;

struct Armed;

#[global_allocator]
static ALLOCATOR: Armed = Armed;

/// Sets what the next allocation does.
pub(crate) fn arm_alloc(what: &str) {
    ON_ALLOC.store(number(what), Ordering::Relaxed);
}

/// Sets what the next deallocation does.
pub(crate) fn arm_free(what: &str) {
    ON_FREE.store(number(what), Ordering::Relaxed);
}

fn number(what: &str) -> u8 {
    match what {
        "trap" => TRAP,
        "spin" => SPIN,
        "far" => FAR,
        "odd" => ODD,
        "null" => NULL,
        _ => 0,
    }
}

fn fire(armed: &AtomicU8) -> Option<*mut u8> {
    match armed.swap(0, Ordering::Relaxed) {
        TRAP => core::arch::wasm32::unreachable(),
        SPIN => loop {
            std::hint::spin_loop();
        },
        FAR => Some(0xffff_fff0 as *mut u8),
        ODD => Some(0x1_0001 as *mut u8),
        NULL => Some(std::ptr::null_mut()),
        _ => None,
    }
}

// SAFETY: unarmed it is the system's allocator; armed it breaks every promise, which is what is tested.
unsafe impl GlobalAlloc for Armed {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match fire(&ON_ALLOC) {
            Some(bogus) => bogus,
            // SAFETY: the caller's layout.
            None => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        fire(&ON_FREE);
        // SAFETY: the caller's memory.
        unsafe { System.dealloc(memory, layout) }
    }
}
