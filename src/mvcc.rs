//! Controls which writes a read sees (read-path.md §2; HBase: `MultiVersionConcurrencyControl`,
//! `ReadPointCalculationLock`).

use crate::error::{Error, Result};
use crate::sync::atomic::{AtomicI64, AtomicUsize, Ordering, fence};
use crate::sync::{Condvar, Mutex, Padded, unpoisoned};
use std::collections::{BTreeSet, VecDeque};
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::{array, hint, thread};

/// The numbers of a region's writes. The *write point* is the last number assigned. The *read point* is the
/// last number visible to all readers; no write up to it is pending.
///
/// A write gets a number, assigns it to its cells as their sequence id, publishes the cells, and completes.
/// Its cells become visible all at once, and not before those of earlier writes.
///
/// Writers take no lock: the thread that completes the first pending write advances the read point over all
/// complete ones.
#[derive(Debug)]
pub(crate) struct Mvcc {
    write_point: Padded<AtomicI64>,
    read_point: Padded<AtomicI64>,
    /// The complete writes that are not visible yet, a ring: the slot of a number is the number modulo the
    /// length. An older number there has long been visible.
    complete: Box<[AtomicI64]>,
    /// The complete writes whose numbers are too far ahead for the ring, and their number.
    ahead: Mutex<BTreeSet<i64>>,
    ahead_len: AtomicUsize,
    /// The threads that sleep until their writes are visible, by the numbers of these modulo the length.
    sleepers: [Sleepers; SLEEPERS],
    readers: Mutex<Readers>,
}

/// Numbers above this are rejected when they are set. The numbers left suffice for any number of writes.
const MAX_START: i64 = i64::MAX >> 1;

/// Numbers above this are not taken from files written elsewhere: later writes have numbers above it, and
/// must not reach [`MAX_START`].
const MAX_TAKEN: i64 = MAX_START >> 1;

/// The number of writes after the first pending one that may complete without a lock: a power of two, small
/// in tests.
const RING: usize = if cfg!(test) { 8 } else { 256 };

/// The number of times that a thread checks in a busy loop whether its write is visible before it sleeps:
/// earlier writes usually complete in less time than sleeping and waking takes.
const SPINS: u32 = if cfg!(loom) { 0 } else { 100 };

/// The number of times that a thread then yields and checks again: earlier writes of the same log sync are
/// completed by other threads, which only need a processor.
const YIELDS: u32 = if cfg!(loom) { 0 } else { 4 };

/// The number of slots for sleeping threads. Each is woken when its own write becomes visible, and rarely
/// otherwise.
const SLEEPERS: usize = if cfg!(loom) { 1 } else { 32 };

/// The registered read points, ascending, with their reference counts. The first count is above 0; of all, at
/// most half are 0.
///
/// Read points never decrease, so new ones are added at the end.
#[derive(Debug, Default)]
struct Readers {
    points: VecDeque<(i64, usize)>,
    /// The number of points whose count is 0.
    unused: usize,
}

/// Threads that sleep until the read point advances.
#[derive(Debug)]
struct Sleepers {
    number: AtomicUsize,
    lock: Mutex<()>,
    read_point_moved: Condvar,
}

/// A write that has begun. It must end, or no later write becomes visible: dropping it completes it as
/// [`Mvcc::complete`] does.
#[derive(Debug)]
#[must_use = "a write that is dropped is complete"]
pub(crate) struct WriteEntry<'m> {
    mvcc: &'m Mvcc,
    seq_id: i64,
}

/// A write that has begun, and that any thread can complete: dropping it completes it.
#[derive(Debug)]
#[must_use = "a write that is dropped is complete"]
pub(crate) struct SharedWriteEntry {
    mvcc: Arc<Mvcc>,
    /// `None` after [`unshare`](Self::unshare): dropping this completes nothing then.
    seq_id: Option<i64>,
}

/// A registered read point: while it exists, cells visible at it must not be dropped.
#[derive(Debug)]
#[must_use = "a read point that is dropped holds nothing"]
pub(crate) struct ReadPoint {
    mvcc: Arc<Mvcc>,
    number: i64,
}

impl Mvcc {
    /// Starts after the write `start`. Numbers from outside, such as from files, must be set with
    /// [`advance_to`](Self::advance_to), which checks them.
    pub(crate) fn new(start: i64) -> Self {
        debug_assert!(start <= MAX_START);
        Self::with_ring(start, RING)
    }

    /// For data without writers: all cells are visible, whatever their sequence id.
    pub(crate) fn without_writes() -> Self {
        Self::with_ring(i64::MAX, 1)
    }

    fn with_ring(start: i64, ring: usize) -> Self {
        Self {
            write_point: Padded(AtomicI64::new(start)),
            read_point: Padded(AtomicI64::new(start)),
            complete: (0..ring).map(|_| AtomicI64::new(i64::MIN)).collect(),
            ahead: Mutex::new(BTreeSet::new()),
            ahead_len: AtomicUsize::new(0),
            sleepers: array::from_fn(|_| Sleepers::new()),
            readers: Mutex::new(Readers::default()),
        }
    }

    /// Begins a write, with the next number.
    pub(crate) fn begin(&self) -> WriteEntry<'_> {
        let before = self.write_point.0.fetch_add(1, Ordering::Relaxed);
        WriteEntry { mvcc: self, seq_id: before.checked_add(1).expect("fewer than 2^62 writes") }
    }

    /// Completes a write. It becomes visible when all earlier writes have also completed.
    pub(crate) fn complete(&self, entry: WriteEntry<'_>) {
        debug_assert!(std::ptr::eq(self, entry.mvcc));
        drop(entry);
    }

    /// Completes a write, and waits until it is visible.
    pub(crate) fn complete_and_wait(&self, entry: WriteEntry<'_>) {
        let seq_id = entry.seq_id;
        self.complete(entry);
        self.wait_for(seq_id);
    }

    /// Waits until a write that is complete is visible.
    pub(crate) fn wait_for(&self, seq_id: i64) {
        for _ in 0..SPINS {
            if self.read_point() >= seq_id {
                return;
            }
            hint::spin_loop();
        }
        for _ in 0..YIELDS {
            thread::yield_now();
            if self.read_point() >= seq_id {
                return;
            }
        }
        self.sleepers_of(seq_id).sleep_until(|| self.read_point() >= seq_id);
    }

    fn sleepers_of(&self, seq_id: i64) -> &Sleepers {
        &self.sleepers[usize::try_from(seq_id).unwrap_or(0) % SLEEPERS]
    }

    /// Records that a write is complete, and advances the read point as far as possible.
    fn end(&self, number: i64) {
        let ahead = usize::try_from(number - self.read_point());
        if let Some(slot) = self.slot(number).filter(|_| ahead.is_ok_and(|n| n <= self.complete.len())) {
            // the number that was here before is not above the read point, so it is no longer needed
            slot.store(number, Ordering::Release);
        } else {
            let mut ahead = unpoisoned(self.ahead.lock());
            ahead.insert(number);
            self.ahead_len.store(ahead.len(), Ordering::Release);
        }
        self.advance();
    }

    /// Advances the read point over all complete writes.
    fn advance(&self) {
        let mut from = None;
        loop {
            // either this thread sees that the next write is complete, or the thread that completes it sees
            // the read point
            fence(Ordering::SeqCst);
            let point = self.read_point();
            let next = point.saturating_add(1);
            let Some(last) = (next..).take_while(|&number| self.is_complete(number)).last() else { break };
            let moved = &self.read_point.0;
            if moved.compare_exchange(point, last, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                from = from.or(Some(next));
                self.forget_up_to(last);
            }
        }
        // The fence of the last pass is between the moves and the checks for sleepers in `wake`: a thread
        // that is about to sleep sees the new read point, or is seen. Other threads that have moved the read
        // point wake the sleepers of their own moves.
        let Some(from) = from else { return };
        let moved = from..=self.read_point();
        moved.take(SLEEPERS).for_each(|number| self.sleepers_of(number).wake());
    }

    fn slot(&self, number: i64) -> Option<&AtomicI64> {
        let last = self.complete.len().checked_sub(1)?;
        self.complete.get(usize::try_from(number).ok()? & last)
    }

    fn is_complete(&self, number: i64) -> bool {
        self.slot(number).is_some_and(|slot| slot.load(Ordering::Acquire) == number)
            || self.ahead_len.load(Ordering::Acquire) > 0 && unpoisoned(self.ahead.lock()).contains(&number)
    }

    /// Removes visible writes from those that were too far ahead.
    fn forget_up_to(&self, number: i64) {
        if self.ahead_len.load(Ordering::Relaxed) > 0 {
            let mut ahead = unpoisoned(self.ahead.lock());
            ahead.retain(|&complete| complete > number);
            self.ahead_len.store(ahead.len(), Ordering::Release);
        }
    }

    /// Returns the last write visible to all readers. A reader that reads cells after this call finds all
    /// cells up to it.
    #[inline]
    pub(crate) fn read_point(&self) -> i64 {
        self.read_point.0.load(Ordering::Acquire)
    }

    /// Fails if cells with sequence ids up to `number` cannot be taken over from a file written elsewhere.
    pub(crate) fn check_taken(number: i64) -> Result<()> {
        if number <= MAX_TAKEN {
            return Ok(());
        }
        let message = format!("sequence id {number} of a cell is beyond the maximum of {MAX_TAKEN}");
        Err(Error::invalid_argument(message))
    }

    /// Sets both points to `number`, unless the write point is already there. Called when a region opens, or
    /// loads files written elsewhere.
    ///
    /// # Errors
    ///
    /// If writes are pending, or the number leaves too few for future writes.
    pub(crate) fn advance_to(&self, number: i64) -> Result<()> {
        loop {
            let write_point = self.write_point.0.load(Ordering::Acquire);
            if number <= write_point {
                return Ok(());
            }
            if number > MAX_START {
                return Err(Error::invalid_argument(format!(
                    "sequence id {number} is beyond the maximum of {MAX_START}"
                )));
            }
            let pending = write_point.saturating_sub(self.read_point());
            if pending > 0 {
                return Err(Error::invalid_argument(format!(
                    "cannot advance to sequence id {number} while {pending} writes are pending"
                )));
            }
            let assigned = &self.write_point.0;
            if assigned.compare_exchange(write_point, number, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                // The number after the read point belongs to no write, so no other thread moves the read
                // point. Writes with numbers above the new one may have completed already: `advance`.
                self.read_point.0.store(number, Ordering::Release);
                self.advance();
                return Ok(());
            }
        }
    }

    /// Registers the read point and calls `f` with it, in one critical section with
    /// [`smallest_read_point`](Self::smallest_read_point). `f` acquires references to the data to be read; it
    /// must not call either method.
    pub(crate) fn register<T>(self: &Arc<Self>, f: impl FnOnce(i64) -> T) -> (ReadPoint, T) {
        let mut readers = unpoisoned(self.readers.lock());
        let number = self.read_point();
        readers.add(number);
        let point = ReadPoint { mvcc: Arc::clone(self), number };
        // dropping `point` takes the lock, so the lock must be released first if `f` panics
        let held = readers;
        let result = f(number);
        drop(held);
        (point, result)
    }

    /// Returns all registered read points, ascending.
    pub(crate) fn registered_points(&self) -> Vec<i64> {
        let readers = unpoisoned(self.readers.lock());
        readers.points.iter().filter(|(_, count)| *count > 0).map(|&(number, _)| number).collect()
    }

    /// Returns the minimum of the read point and all registered ones: cells visible at or above it must not
    /// be dropped.
    pub(crate) fn smallest_read_point(&self) -> i64 {
        let readers = unpoisoned(self.readers.lock());
        let now = self.read_point();
        readers.first().map_or(now, |first| first.min(now))
    }
}

impl Sleepers {
    fn new() -> Self {
        Self { number: AtomicUsize::new(0), lock: Mutex::new(()), read_point_moved: Condvar::new() }
    }

    /// Sleeps until a condition holds, which others make true before they [wake](Self::wake) this thread.
    fn sleep_until(&self, is_done: impl Fn() -> bool) {
        let mut lock = unpoisoned(self.lock.lock());
        self.number.fetch_add(1, Ordering::Relaxed);
        // either this thread sees that the read point has moved, or the thread that moves it sees a sleeper
        fence(Ordering::SeqCst);
        while !is_done() {
            lock = unpoisoned(self.read_point_moved.wait(lock));
        }
        self.number.fetch_sub(1, Ordering::Relaxed);
    }

    /// Wakes the threads. A fence precedes this.
    #[inline]
    fn wake(&self) {
        if self.number.load(Ordering::Relaxed) > 0 {
            drop(unpoisoned(self.lock.lock()));
            self.read_point_moved.notify_all();
        }
    }
}

impl Readers {
    fn first(&self) -> Option<i64> {
        self.points.front().map(|&(number, _)| number)
    }

    fn add(&mut self, number: i64) {
        match self.points.back_mut() {
            Some((last, count)) if *last == number => {
                self.unused -= usize::from(*count == 0);
                *count += 1;
            }
            _ => self.points.push_back((number, 1)),
        }
    }

    fn remove(&mut self, number: i64) {
        if let Ok(i) = self.points.binary_search_by_key(&number, |&(number, _)| number)
            && let Some((_, count)) = self.points.get_mut(i)
        {
            *count -= 1;
            self.unused += usize::from(*count == 0);
        }
        while matches!(self.points.front(), Some((_, 0))) {
            self.points.pop_front();
            self.unused -= 1;
        }
        // While the first one is in use, any number of later ones may come and go.
        if self.unused > self.points.len() / 2 {
            self.points.retain(|&(_, count)| count > 0);
            self.unused = 0;
        }
    }
}

impl WriteEntry<'_> {
    /// Returns the number of the write: the sequence id of its cells.
    #[inline]
    pub(crate) fn seq_id(&self) -> i64 {
        self.seq_id
    }

    /// Converts the write into one that does not borrow the `Mvcc`, so that any thread can complete it.
    pub(crate) fn share(self, mvcc: &Arc<Mvcc>) -> SharedWriteEntry {
        debug_assert!(std::ptr::eq(self.mvcc, &raw const **mvcc));
        let seq_id = ManuallyDrop::new(self).seq_id;
        SharedWriteEntry { mvcc: Arc::clone(mvcc), seq_id: Some(seq_id) }
    }
}

impl Drop for WriteEntry<'_> {
    fn drop(&mut self) {
        self.mvcc.end(self.seq_id);
    }
}

impl SharedWriteEntry {
    /// Converts the write back. Returns `None` if that was done before.
    pub(crate) fn unshare(mut self, mvcc: &Mvcc) -> Option<WriteEntry<'_>> {
        debug_assert!(std::ptr::eq(&raw const *self.mvcc, mvcc));
        Some(WriteEntry { mvcc, seq_id: self.seq_id.take()? })
    }
}

impl Drop for SharedWriteEntry {
    fn drop(&mut self) {
        if let Some(seq_id) = self.seq_id {
            self.mvcc.end(seq_id);
        }
    }
}

impl ReadPoint {
    /// Returns the number: cells with sequence ids up to it are visible.
    #[inline]
    pub(crate) fn get(&self) -> i64 {
        self.number
    }
}

impl Drop for ReadPoint {
    fn drop(&mut self) {
        unpoisoned(self.mvcc.readers.lock()).remove(self.number);
    }
}

#[cfg(all(test, not(loom)))]
mod tests;

/// Tests all interleavings: `RUSTFLAGS="--cfg loom" cargo test --release --lib mvcc`.
#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use crate::sync::atomic::AtomicBool;
    use loom::thread;

    /// With a ring of one slot, the second write is ahead of it while the first one is pending.
    /// `preemptions` bounds how often a thread is interrupted.
    fn check_writes(ring: usize, preemptions: Option<usize>) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = preemptions;
        model.check(move || {
            let mvcc = Arc::new(Mvcc::with_ring(0, ring));
            // the effects of the writes
            let written = Arc::new([AtomicBool::new(false), AtomicBool::new(false)]);
            let write = |wait: bool| {
                let (mvcc, written) = (Arc::clone(&mvcc), Arc::clone(&written));
                thread::spawn(move || {
                    let write = mvcc.begin();
                    written[write.seq_id() as usize - 1].store(true, Ordering::Relaxed);
                    let number = write.seq_id();
                    if wait {
                        mvcc.complete_and_wait(write);
                        assert!(mvcc.read_point() >= number);
                    } else {
                        mvcc.complete(write);
                    }
                })
            };
            let writers = [write(true), write(false)];
            for number in 0..mvcc.read_point() {
                assert!(written[number as usize].load(Ordering::Relaxed));
            }
            writers.into_iter().for_each(|writer| writer.join().unwrap());
            assert_eq!(mvcc.read_point(), 2);
        });
    }

    #[test]
    fn no_number_is_seen_before_its_predecessors_are_complete() {
        check_writes(2, None);
    }

    #[test]
    fn a_number_ahead_of_the_ring_is_seen_when_its_predecessors_are_complete() {
        // all interleavings take hours
        check_writes(1, Some(3));
    }

    #[test]
    fn a_read_point_in_use_holds_the_smallest_down() {
        loom::model(|| {
            let mvcc = Arc::new(Mvcc::new(0));
            let writer = {
                let mvcc = Arc::clone(&mvcc);
                thread::spawn(move || {
                    mvcc.complete(mvcc.begin());
                    mvcc.complete(mvcc.begin());
                })
            };
            let flush = {
                let mvcc = Arc::clone(&mvcc);
                thread::spawn(move || mvcc.smallest_read_point())
            };
            let (reader, before) = mvcc.register(|_| mvcc.read_point());
            assert!(reader.get() <= before);
            assert!(mvcc.smallest_read_point() <= reader.get());
            // the flush may only drop cells invisible to all readers, at any time of its query
            let border = flush.join().unwrap();
            writer.join().unwrap();
            assert_eq!(mvcc.smallest_read_point(), reader.get());
            assert!(border <= 2);
            drop(reader);
            assert_eq!(mvcc.smallest_read_point(), 2);
        });
    }
}
