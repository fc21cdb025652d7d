//! Moves memory that is read at random places to huge pages. If the memory is much larger than the
//! processor's caches, each read otherwise also waits for page tables (misses of the TLB).
//!
//! The memory is allocated like any other. After the range of a huge page has been filled, a helper thread
//! asks the kernel to move the range (`MADV_COLLAPSE`, since Linux 6.1), unless the system has forbidden it.
//! Addresses and contents stay as they are. Parts of the range that were not in use get memory, too: at most
//! a huge page for each range that has been filled.

use super::Owner;
use crate::sync::unpoisoned;
use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock};
use std::{fs, mem, ptr, thread};

/// The size of a huge page in bytes, on most processors. On others, the kernel refuses, or moves parts.
const SIZE: usize = 2 << 20;

/// A range is moved after this many bytes of it have been filled. The rest is for other memory in between.
const ENOUGH: usize = SIZE / 4 * 3;

/// The number of times that a page is tried. Right after it was filled, the end of it may not be part of the
/// allocator's memory yet.
const ATTEMPTS: u32 = 4;

/// After this many calls in a row with which no page was moved, no more are made: the kernel is too old, or
/// has no huge pages to spare.
const MOST_REFUSED: usize = 64;

/// The pages of the process.
static PAGES: Mutex<Pages> = Mutex::new(Pages::new());

/// Huge pages by their numbers: addresses divided by [`SIZE`].
#[derive(Debug)]
struct Pages {
    /// The bytes that have been filled so far.
    filled: BTreeMap<usize, usize>,
    /// Those to move, each with the number of attempts that have failed.
    due: Vec<(usize, u32)>,
    /// Those that could not be moved, to try again when another page is due.
    failed: Vec<(usize, u32)>,
    /// The process whose thread moves pages, if there is one.
    thread: Option<Owner>,
    /// The number of calls since the last one with which a page was moved.
    refused: usize,
}

impl Pages {
    const fn new() -> Self {
        Self { filled: BTreeMap::new(), due: Vec::new(), failed: Vec::new(), thread: None, refused: 0 }
    }

    /// Whether a thread moves pages. A forked process does not have that of the other process.
    fn has_thread(&self) -> bool {
        self.thread.is_some_and(Owner::is_this)
    }

    /// Keeps a page that could not be moved, to try it again.
    fn note_refused(&mut self, (page, failures): (usize, u32)) {
        self.refused += 1;
        if failures + 1 < ATTEMPTS {
            self.failed.push((page, failures + 1));
        }
    }

    /// Counts memory that has been filled. A page is due when it has been filled once, and again when it has
    /// been filled two, four, eight times: the system may have taken the memory back in between.
    fn add(&mut self, mut start: usize, len: usize) {
        let end = start.saturating_add(len);
        while start < end {
            let page = start / SIZE;
            let next = (page + 1).saturating_mul(SIZE).min(end);
            let filled = self.filled.entry(page).or_default();
            let before = *filled / ENOUGH;
            *filled = filled.saturating_add(next - start);
            let times = *filled / ENOUGH;
            if times > before && times.is_power_of_two() {
                self.due.append(&mut self.failed);
                self.due.push((page, 0));
            }
            start = next;
        }
    }
}

/// Records that memory has been filled that will be read at random places.
pub(crate) fn note_filled(memory: &[u8]) {
    if !is_allowed() {
        return;
    }
    // Does not wait for the lock: in a forked process, the thread that had it may be missing.
    let Ok(mut pages) = PAGES.try_lock() else { return };
    if pages.refused >= MOST_REFUSED {
        return;
    }
    pages.add(memory.as_ptr().addr(), memory.len());
    if !pages.due.is_empty() && !pages.has_thread() {
        match thread::Builder::new().name("hregion-pages".into()).spawn(move_due) {
            Ok(_) => pages.thread = Some(Owner::this()),
            Err(_) => mem::take(&mut pages.due).into_iter().for_each(|page| pages.note_refused(page)),
        }
    }
}

/// Whether the system lets programs ask for huge pages.
fn is_allowed() -> bool {
    static ALLOWED: OnceLock<bool> = OnceLock::new();
    *ALLOWED.get_or_init(|| {
        let setting = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_default();
        setting.contains("[always]") || setting.contains("[madvise]")
    })
}

/// Moves pages until none is due.
fn move_due() {
    loop {
        let due = {
            let mut pages = unpoisoned(PAGES.lock());
            if pages.due.is_empty() {
                pages.thread = None;
                return;
            }
            mem::take(&mut pages.due)
        };
        for page in due {
            let is_moved = collapse(page.0);
            let mut pages = unpoisoned(PAGES.lock());
            match is_moved {
                true => pages.refused = 0,
                false => pages.note_refused(page),
            }
        }
    }
}

/// Moves a range to a huge page. Returns whether the kernel could.
#[allow(unsafe_code, reason = "the only way to advise the kernel on memory of the allocator")]
fn collapse(page: usize) -> bool {
    /// `MADV_COLLAPSE`, which the crate libc has for some targets only.
    const COLLAPSE: libc::c_int = 25;
    // SAFETY: this changes neither the contents nor the addresses of any memory, not even if the range has
    // been freed or mapped anew; a range that is not mapped is an error.
    unsafe { libc::madvise(ptr::without_provenance_mut(page * SIZE), SIZE, COLLAPSE) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_due_when_it_has_been_filled_and_after_as_many_bytes_again() {
        let mut pages = Pages::new();
        let (block, mut due_after) = (SIZE / 32, Vec::new());
        for number in 1..=24 * 9 {
            pages.add(7 * SIZE + number % 32 * block, block);
            if !pages.due.is_empty() {
                assert_eq!(mem::take(&mut pages.due), [(7, 0)]);
                due_after.push(number);
            }
        }
        assert_eq!(due_after, [24, 2 * 24, 4 * 24, 8 * 24]);
        assert_eq!(pages.filled, BTreeMap::from([(7, 24 * 9 * block)]));
    }

    #[test]
    fn memory_counts_for_each_page_that_it_is_in() {
        let mut pages = Pages::new();
        pages.add(SIZE / 2, 3 * SIZE); // the halves at both ends are not enough
        assert_eq!(mem::take(&mut pages.due), [(1, 0), (2, 0)]);
        pages.failed.push((2, 1));
        pages.add(SIZE / 2, SIZE / 4 - 1);
        assert_eq!((&pages.due[..], &pages.failed[..]), (&[][..], &[(2, 1)][..]));
        pages.add(0, 1);
        assert_eq!((&pages.due[..], &pages.failed[..]), (&[(2, 1), (0, 0)][..], &[][..]));
        pages.add(usize::MAX - 10, usize::MAX);
        assert_eq!(pages.filled[&(usize::MAX / SIZE)], 10);
    }

    #[test]
    fn a_page_is_tried_four_times() {
        let mut pages = Pages::new();
        (0..3).for_each(|failures| pages.note_refused((failures as usize, failures)));
        assert_eq!((&pages.failed[..], pages.refused), (&[(0, 1), (1, 2), (2, 3)][..], 3));
        pages.note_refused((3, 3));
        assert_eq!((pages.failed.len(), pages.refused), (3, 4));
    }

    #[test]
    fn memory_that_is_moved_keeps_its_contents_while_it_is_read() {
        let pattern = |i: usize| (i / 13) as u8;
        let memory: Vec<u8> = (0..6 * SIZE).map(pattern).collect();
        thread::scope(|scope| {
            let reader = scope.spawn(|| (0..memory.len()).all(|i| memory[i] == pattern(i)));
            let first = memory.as_ptr().addr().div_ceil(SIZE);
            // Whether it can be moved depends on the system.
            let moved = (first..first + 5).filter(|&page| collapse(page)).count();
            assert!(reader.join().unwrap() && moved <= 5);
        });
        assert!(memory.iter().enumerate().all(|(i, byte)| *byte == pattern(i)));
    }

    /// Emulators of other processors ignore advice, and report success.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn a_range_that_is_not_mapped_cannot_be_moved() {
        assert!(!collapse(0));
    }

    /// Whether or not the system can move pages, the thread ends, and the next pages get another.
    #[test]
    fn a_thread_moves_what_is_due_and_ends() {
        for _ in 0..2 {
            let memory: Vec<u8> = (0..6 * SIZE).map(|i| i as u8).collect();
            // The memory of other tests may have been freed too soon.
            unpoisoned(PAGES.lock()).refused = 0;
            memory.chunks(64 << 10).for_each(note_filled);
            let page = memory.as_ptr().addr().div_ceil(SIZE);
            assert!(!is_allowed() || unpoisoned(PAGES.lock()).filled.contains_key(&page));
            while unpoisoned(PAGES.lock()).has_thread() {
                thread::yield_now();
            }
            assert!(memory.iter().enumerate().all(|(i, byte)| *byte == i as u8));
        }
    }
}
