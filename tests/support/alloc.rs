//! An allocator that counts, so that a test can say how much memory something took.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static LIVE: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, counting what each thread asks for. Memory that another thread frees stays counted.
pub(crate) struct CountingAlloc;

/// What a thread allocated while something ran.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// The most bytes alive at one time, beyond those alive at the start.
    pub(crate) peak: usize,
    /// The number of allocations.
    pub(crate) count: usize,
}

/// Runs `f` and says what it allocated in this thread. Counts only where [`CountingAlloc`] is the global allocator.
pub(crate) fn measure<T>(f: impl FnOnce() -> T) -> (T, Usage) {
    let before = LIVE.get();
    let count = COUNT.get();
    PEAK.set(before);
    let result = f();
    (result, Usage { peak: PEAK.get().saturating_sub(before), count: COUNT.get() - count })
}

fn grow(bytes: usize) {
    // a thread that is ending has no counters any more
    let _ = LIVE.try_with(|live| {
        live.set(live.get().saturating_add(bytes));
        PEAK.set(PEAK.get().max(live.get()));
        COUNT.set(COUNT.get() + 1);
    });
}

fn shrink(bytes: usize) {
    let _ = LIVE.try_with(|live| live.set(live.get().saturating_sub(bytes)));
}

// SAFETY: every call goes to `System` with the arguments it came with; the counters are plain cells of the thread,
// need no destructor and allocate nothing.
#[allow(unsafe_code, reason = "a global allocator is an unsafe trait by nature")]
unsafe impl GlobalAlloc for CountingAlloc {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller's promises are those that `System` asks for.
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
