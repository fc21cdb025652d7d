//! Controls which writes a read sees (read-path.md §2; HBase: `MultiVersionConcurrencyControl`,
//! `ReadPointCalculationLock`).

use crate::error::{Error, Result};
use crate::sync::atomic::{AtomicI64, Ordering};
use crate::sync::unpoisoned;
use crate::sync::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::Arc;

/// The numbers of a region's writes. The *write point* is the last number assigned. The *read point* is the
/// last number visible to all readers; no write up to it is pending.
///
/// A write takes a number, assigns it to its cells as their sequence id, publishes the cells, and completes.
/// Its cells become visible all at once, and not before those of earlier writes.
#[derive(Debug)]
pub(crate) struct Mvcc {
    /// Changes only under the lock of `writes`.
    read_point: AtomicI64,
    writes: Mutex<Writes>,
    read_point_moved: Condvar,
    readers: Mutex<Readers>,
}

/// Numbers above this are rejected when they are set. The numbers left suffice for any number of writes.
const MAX_START: i64 = i64::MAX >> 1;

#[derive(Debug)]
struct Writes {
    write_point: i64,
    /// Whether each write is complete, from the first pending one to the newest.
    pending: VecDeque<bool>,
    /// The number of threads that wait for the read point to advance.
    waiting: usize,
}

/// The registered read points, ascending, with their reference counts. The first count is above 0; later ones
/// may be 0.
///
/// Read points never decrease, so new ones are added at the end.
#[derive(Debug, Default)]
struct Readers(VecDeque<(i64, usize)>);

/// A write that has begun. It must end, or no later write becomes visible: dropping it completes it as
/// [`Mvcc::complete`] does.
#[derive(Debug)]
#[must_use = "a write that is dropped is complete"]
pub(crate) struct WriteEntry<'m> {
    mvcc: &'m Mvcc,
    seq_id: i64,
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
        Self::starting_at(start)
    }

    /// For data without writers: all cells are visible, whatever their sequence id.
    pub(crate) fn without_writes() -> Self {
        Self::starting_at(i64::MAX)
    }

    fn starting_at(start: i64) -> Self {
        let writes = Writes { write_point: start, pending: VecDeque::new(), waiting: 0 };
        Self {
            read_point: AtomicI64::new(start),
            writes: Mutex::new(writes),
            read_point_moved: Condvar::new(),
            readers: Mutex::new(Readers::default()),
        }
    }

    /// Begins a write, with the next number.
    pub(crate) fn begin(&self) -> WriteEntry<'_> {
        let mut writes = unpoisoned(self.writes.lock());
        writes.write_point = writes.write_point.checked_add(1).expect("fewer than 2^62 writes");
        writes.pending.push_back(false);
        WriteEntry { mvcc: self, seq_id: writes.write_point }
    }

    /// Completes a write. It becomes visible when all earlier writes have completed, too.
    pub(crate) fn complete(&self, entry: WriteEntry<'_>) {
        debug_assert!(std::ptr::eq(self, entry.mvcc));
        drop(entry);
    }

    /// Completes a write, and waits until it is visible.
    pub(crate) fn complete_and_wait(&self, entry: WriteEntry<'_>) {
        let seq_id = entry.seq_id;
        self.complete(entry);
        if self.read_point() >= seq_id {
            return;
        }
        let mut writes = unpoisoned(self.writes.lock());
        writes.waiting += 1;
        while self.read_point() < seq_id {
            writes = unpoisoned(self.read_point_moved.wait(writes));
        }
        writes.waiting -= 1;
    }

    /// The last write visible to all readers. A reader that reads cells after this call finds all cells up to
    /// it.
    #[inline]
    pub(crate) fn read_point(&self) -> i64 {
        self.read_point.load(Ordering::Acquire)
    }

    /// Sets both points to `number`, unless the write point is already there. Called when a region opens, or
    /// takes in files written elsewhere.
    ///
    /// # Errors
    ///
    /// If writes are pending, or the number leaves too few for future writes.
    pub(crate) fn advance_to(&self, number: i64) -> Result<()> {
        let mut writes = unpoisoned(self.writes.lock());
        if number <= writes.write_point {
            return Ok(());
        }
        if number > MAX_START {
            return Err(Error::invalid_argument(format!(
                "sequence id {number} is beyond the maximum of {MAX_START}"
            )));
        }
        if !writes.pending.is_empty() {
            return Err(Error::invalid_argument(format!(
                "cannot advance to sequence id {number} while {} writes are pending",
                writes.pending.len()
            )));
        }
        writes.write_point = number;
        self.read_point.store(number, Ordering::Release);
        Ok(())
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

    /// The minimum of the read point and all registered ones: cells visible at or above it must not be
    /// dropped.
    pub(crate) fn smallest_read_point(&self) -> i64 {
        let readers = unpoisoned(self.readers.lock());
        let now = self.read_point();
        readers.first().map_or(now, |first| first.min(now))
    }
}

impl Readers {
    fn first(&self) -> Option<i64> {
        self.0.front().map(|&(number, _)| number)
    }

    fn add(&mut self, number: i64) {
        match self.0.back_mut() {
            Some((last, count)) if *last == number => *count += 1,
            _ => self.0.push_back((number, 1)),
        }
    }

    fn remove(&mut self, number: i64) {
        if let Ok(i) = self.0.binary_search_by_key(&number, |&(number, _)| number)
            && let Some((_, count)) = self.0.get_mut(i)
        {
            *count -= 1;
        }
        while matches!(self.0.front(), Some((_, 0))) {
            self.0.pop_front();
        }
    }
}

impl WriteEntry<'_> {
    /// The number of the write: the sequence id of its cells.
    #[inline]
    pub(crate) fn seq_id(&self) -> i64 {
        self.seq_id
    }
}

impl Drop for WriteEntry<'_> {
    fn drop(&mut self) {
        let mut writes = unpoisoned(self.mvcc.writes.lock());
        let behind = usize::try_from(writes.write_point - self.seq_id);
        let place = behind.ok().and_then(|behind| writes.pending.len().checked_sub(behind + 1));
        if let Some(complete) = place.and_then(|place| writes.pending.get_mut(place)) {
            *complete = true;
        }
        let before = writes.pending.len();
        while writes.pending.front() == Some(&true) {
            writes.pending.pop_front();
        }
        if writes.pending.len() < before {
            let still = i64::try_from(writes.pending.len()).expect("fewer writes than bytes of memory");
            self.mvcc.read_point.store(writes.write_point - still, Ordering::Release);
            if writes.waiting > 0 {
                self.mvcc.read_point_moved.notify_all();
            }
        }
    }
}

impl ReadPoint {
    /// The number: cells with sequence ids up to it are visible.
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
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::AtomicBool;
    use std::thread;
    use std::time::Duration;

    #[test]
    fn a_write_waits_for_those_before_it() {
        let mvcc = Mvcc::new(5);
        let (first, second, third) = (mvcc.begin(), mvcc.begin(), mvcc.begin());
        assert_eq!([first.seq_id(), second.seq_id(), third.seq_id()], [6, 7, 8]);
        mvcc.complete(second);
        assert_eq!(mvcc.read_point(), 5);
        drop(first);
        assert_eq!(mvcc.read_point(), 7);
        mvcc.complete_and_wait(third);
        assert_eq!(mvcc.read_point(), 8);
    }

    #[test]
    fn waiting_ends_when_the_write_before_ends() {
        let mvcc = Mvcc::new(0);
        let (first, second) = (mvcc.begin(), mvcc.begin());
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                mvcc.complete_and_wait(second);
                done.store(true, Ordering::Relaxed);
            });
            thread::sleep(Duration::from_millis(5));
            assert!(!done.load(Ordering::Relaxed));
            mvcc.complete(first);
        });
        assert!(done.into_inner());
        assert_eq!(mvcc.read_point(), 2);
    }

    #[test]
    fn the_points_move_on_while_nothing_is_pending() {
        let mvcc = Mvcc::new(5);
        mvcc.advance_to(9).unwrap();
        assert_eq!((mvcc.read_point(), mvcc.begin().seq_id()), (9, 10));
        let write = mvcc.begin();
        mvcc.advance_to(11).unwrap();
        let pending = mvcc.advance_to(12).unwrap_err();
        assert!(pending.to_string().contains("1 writes are pending"), "{pending}");
        mvcc.complete(write);
        assert!(mvcc.advance_to(i64::MAX).unwrap_err().to_string().contains("beyond"));
        mvcc.advance_to(-1).unwrap();
        assert_eq!(mvcc.read_point(), 11);
        mvcc.advance_to(MAX_START).unwrap();
        assert_eq!(mvcc.begin().seq_id(), MAX_START + 1);
    }

    #[test]
    fn read_points_in_use_hold_the_smallest_down() {
        let mvcc = Arc::new(Mvcc::new(1));
        assert_eq!(mvcc.smallest_read_point(), 1);
        let (one, seen) = mvcc.register(|number| number * 10);
        assert_eq!((one.get(), seen), (1, 10));
        drop(mvcc.begin());
        let (two, ()) = mvcc.register(|_| ());
        let (two_again, ()) = mvcc.register(|_| ());
        drop(mvcc.begin());
        assert_eq!((two.get(), mvcc.read_point(), mvcc.smallest_read_point()), (2, 3, 1));
        drop(two);
        drop(one);
        assert_eq!(mvcc.smallest_read_point(), 2);
        drop(two_again);
        assert_eq!(mvcc.smallest_read_point(), 3);
    }

    #[test]
    fn a_panic_while_registering_releases_the_read_point() {
        let mvcc = Arc::new(Mvcc::new(1));
        let panic = catch_unwind(AssertUnwindSafe(|| mvcc.register(|_| panic!("as tests do"))));
        assert!(panic.is_err());
        drop(mvcc.begin());
        assert_eq!(mvcc.smallest_read_point(), 2);
    }

    #[test]
    fn threads_see_whole_prefixes() {
        const WRITES: i64 = 4_000;
        let mvcc = Arc::new(Mvcc::new(0));
        let complete: Vec<_> = (0..=WRITES).map(|_| AtomicBool::new(false)).collect();
        let at = |i: i64| &complete[i as usize];
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for i in 0..WRITES / 4 {
                        let write = mvcc.begin();
                        at(write.seq_id()).store(true, Ordering::Relaxed);
                        if i % 3 == 0 { mvcc.complete_and_wait(write) } else { mvcc.complete(write) }
                    }
                });
            }
            let mut checked = 0;
            while checked < WRITES {
                let (point, ()) = mvcc.register(|_| ());
                assert!((checked + 1..=point.get()).all(|i| at(i).load(Ordering::Relaxed)));
                assert!(mvcc.smallest_read_point() <= point.get());
                checked = point.get();
            }
        });
        assert_eq!((mvcc.read_point(), mvcc.smallest_read_point()), (WRITES, WRITES));
    }

    proptest! {
        /// Compares with sets of numbers.
        #[test]
        fn it_does_as_sets_would(steps in proptest::collection::vec((0u8..5, 0usize..8), 0..80)) {
            let mvcc = Arc::new(Mvcc::new(0));
            let (mut writes, mut readers) = (Vec::new(), Vec::new());
            let (mut newest, mut pending) = (0, BTreeSet::new());
            for (step, i) in steps {
                match step {
                    0 | 1 => {
                        let write = mvcc.begin();
                        newest += 1;
                        prop_assert_eq!(write.seq_id(), newest);
                        pending.insert(newest);
                        writes.push(write);
                    }
                    2 if i < writes.len() => {
                        let write = writes.swap_remove(i);
                        pending.remove(&write.seq_id());
                        mvcc.complete(write);
                    }
                    3 => readers.push(mvcc.register(|number| number).0),
                    4 if i < readers.len() => drop(readers.swap_remove(i)),
                    _ => {}
                }
                let read_point = pending.first().map_or(newest, |first| first - 1);
                prop_assert_eq!(mvcc.read_point(), read_point);
                let smallest = readers.iter().map(ReadPoint::get).chain([read_point]).min();
                prop_assert_eq!(Some(mvcc.smallest_read_point()), smallest);
            }
        }
    }
}

/// Tests all interleavings: `RUSTFLAGS="--cfg loom" cargo test --release --lib mvcc`.
#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use crate::sync::atomic::AtomicBool;
    use loom::thread;

    #[test]
    fn no_number_is_seen_before_its_predecessors_are_complete() {
        loom::model(|| {
            let mvcc = Arc::new(Mvcc::new(0));
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
            // the flush may only drop cells that no reader sees, whenever it asked
            let border = flush.join().unwrap();
            writer.join().unwrap();
            assert_eq!(mvcc.smallest_read_point(), reader.get());
            assert!(border <= 2);
            drop(reader);
            assert_eq!(mvcc.smallest_read_point(), 2);
        });
    }
}
