//! A counting allocator, to measure the memory that an operation takes.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static LIVE: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, with counters for each thread. Memory that another thread frees stays counted.
pub(crate) struct CountingAlloc;

/// The allocations of a thread during a measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// The peak number of live bytes, beyond those live at the start.
    pub(crate) peak: usize,
    /// The number of allocations.
    pub(crate) count: usize,
}

/// Runs `f` and returns its result and its allocations in this thread. Requires [`CountingAlloc`] as the
/// global allocator.
pub(crate) fn measure<T>(f: impl FnOnce() -> T) -> (T, Usage) {
    let before = LIVE.get();
    let count = COUNT.get();
    PEAK.set(before);
    let result = f();
    (result, Usage { peak: PEAK.get().saturating_sub(before), count: COUNT.get() - count })
}

fn grow(bytes: usize) {
    // the counters of a terminating thread are gone
    let _ = LIVE.try_with(|live| {
        live.set(live.get().saturating_add(bytes));
        PEAK.set(PEAK.get().max(live.get()));
        COUNT.set(COUNT.get() + 1);
    });
}

fn shrink(bytes: usize) {
    let _ = LIVE.try_with(|live| live.set(live.get().saturating_sub(bytes)));
}

// SAFETY: every call is forwarded to `System` with the same arguments. The counters are plain thread-local
// cells, need no destructor and do not allocate.
#[allow(unsafe_code, reason = "`GlobalAlloc` is an unsafe trait")]
unsafe impl GlobalAlloc for CountingAlloc {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller upholds the contract that `System` requires.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        shrink(layout.size());
        // SAFETY: as above; the pointer came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        shrink(layout.size());
        grow(size);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
