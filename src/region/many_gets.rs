//! Reads many rows in one call, in row order: on the calling thread, and on helper threads if it takes long.

use crate::cell::{CellOrder, Row, RowBuf, prefix};
use crate::clock::Stopwatch;
use crate::error::{Error, Result};
use crate::hfile::{BatchRead, Claim, HeldQueue, Job, JobQueue, Task};
use crate::op::{Get, Select};
use crate::sync::{Padded, cores, unpoisoned};
use std::mem;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// The calling thread reads alone for this long, to measure how long a get takes.
const ALONE: Duration = Duration::from_micros(15);

/// It reads all rows itself if the others would take less than this: waking a thread, and perhaps a
/// processor, takes time.
const WORTHWHILE: Duration = Duration::from_micros(120);

/// A get that takes longer is assumed to wait for a disk or a network.
const WAITING: Duration = Duration::from_micros(100);

/// The number of gets between two readings of the clock.
const STRIDE: usize = 8;

/// The calling thread spins this long for the end of a part: waking it would take as long.
const SPIN: Duration = Duration::from_micros(50);

/// The maximum number of helper threads of the process that wait for reads at the same time.
const MAX_HELPERS: usize = 64;

/// The helper threads of all calls.
static THREADS: JobQueue<Reading> = JobQueue::with_threads("hregion-get", MAX_HELPERS);

/// Holds the queue of gets that helper threads read.
pub(super) fn hold_queue(end: Instant) -> Box<dyn HeldQueue> {
    THREADS.hold(end)
}

/// Helpers for gets that wait for storage. Larger parts need fewer reads, and some take much longer than
/// others.
static WAITERS: Helpers = Helpers::new(3, 1);

/// Helpers for other gets: fewer than the processors, because the calling thread reads too. The last parts
/// are short, so that no thread waits long for another.
static WORKERS: Helpers = Helpers::new(8, 8);

/// The number of threads that read rows, and the time that a get takes.
#[derive(Debug)]
pub(crate) struct GetThreads {
    /// The maximum number of threads for one call.
    max: usize,
    /// The approximate duration of a get of the last call, in nanoseconds.
    last: Padded<AtomicU64>,
}

impl GetThreads {
    pub(crate) fn new(max: usize) -> Self {
        Self { max, last: Padded::default() }
    }

    fn last(&self) -> Duration {
        Duration::from_nanos(self.last.0.load(Ordering::Relaxed))
    }

    /// Records the time that `gets` gets took on `threads` threads.
    fn note(&self, elapsed: Duration, gets: usize, threads: usize) {
        if self.max > 1 && gets >= STRIDE {
            let all = elapsed.saturating_mul(u32::try_from(threads).unwrap_or(u32::MAX));
            let each = all / u32::try_from(gets).unwrap_or(u32::MAX);
            let (each, last) = (u64::try_from(each.as_nanos()).unwrap_or(u64::MAX), &self.last.0);
            let before = last.load(Ordering::Relaxed);
            // Written only after a large change, because concurrent writes to one cache line are slow.
            if before.abs_diff(each) > before / 4 {
                last.store(each, Ordering::Relaxed);
            }
        }
    }
}

/// Reads a row, in any thread.
pub(crate) type SharedRead = Box<dyn Fn(&Get, &mut RowBuf) -> Result<()> + Send + Sync>;

/// A source of rows.
pub(crate) trait RowSource {
    /// Reads a row.
    fn read(&self, get: &Get, row: &mut RowBuf) -> Result<()>;

    /// Returns a function that does the same, valid while the source exists.
    fn share(&self) -> SharedRead;
}

/// A get, and its index in the list that was given.
type NumberedGet<'g> = (usize, &'g Get);

/// Reads rows, in row order, and returns them in the order of `gets`.
///
/// # Errors
///
/// The error of the first row, in row order, that cannot be read. Later rows may have been read.
pub(crate) fn read_rows(
    gets: &[Get],
    order: CellOrder,
    threads: &GetThreads,
    source: &impl RowSource,
) -> Result<Vec<Row>> {
    let numbered = in_row_order(gets, order);
    let mut rows = vec![None; gets.len()];
    read_numbered(&numbered, threads, &mut rows, source)?;
    Ok(rows.into_iter().flatten().collect())
}

fn in_row_order(gets: &[Get], order: CellOrder) -> Vec<NumberedGet<'_>> {
    // Most rows differ in their first bytes: a copy of them is compared, without access to the gets.
    let first_bytes = |get: &Get| if order == CellOrder::User { prefix(get.row(), 0) } else { 0 };
    let mut keys: Vec<(u64, usize)> = gets.iter().enumerate().map(|(i, get)| (first_bytes(get), i)).collect();
    keys.sort_unstable_by(|&(a, i), &(b, j)| {
        a.cmp(&b).then_with(|| order.compare_rows(gets[i].row(), gets[j].row())).then(i.cmp(&j))
    });
    keys.into_iter().map(|(_, i)| (i, &gets[i])).collect()
}

/// Reads rows, and stores each at its index in `rows`.
fn read_numbered(
    gets: &[NumberedGet<'_>],
    threads: &GetThreads,
    rows: &mut [Option<Row>],
    source: &impl RowSource,
) -> Result<()> {
    let others = if cores() > 1 { threads.max.saturating_sub(1) } else { 0 };
    let (mut done, mut helpers) = (0, Taken::before(threads.last(), gets.len(), others));
    let (watch, mut buffer) = (Stopwatch::start(), RowBuf::new());
    if helpers.is_none() {
        let _batch = BatchRead::begin(gets.iter().map(|(_, get)| get.row()));
        for &(at, get) in gets {
            source.read(get, &mut buffer)?;
            rows[at] = Some(buffer.freeze());
            done += 1;
            if others > 0 && (done == 1 || done % STRIDE == 0) {
                helpers = Taken::after(watch.elapsed(), done, gets.len() - done, others);
                if helpers.is_some() {
                    break;
                }
            }
        }
    }
    if let Some(helpers) = &helpers {
        read_by_threads(&gets[done..], helpers, rows, &mut buffer, source)?;
    }
    threads.note(watch.elapsed(), gets.len(), helpers.map_or(1, |helpers| helpers.0 + 1));
    Ok(())
}

/// Reads rows on the calling thread, which has some gets of its own, and on others.
fn read_by_threads(
    gets: &[NumberedGet<'_>],
    helpers: &Taken<'_>,
    rows: &mut [Option<Row>],
    buffer: &mut RowBuf,
    source: &impl RowSource,
) -> Result<()> {
    let part = gets.len().div_ceil((helpers.0 + 1) * helpers.1.parts).max(1);
    let (own, others) = gets.split_at(gets.len().min(part * helpers.1.own));
    let shared = Arc::new(SharedGets {
        read: source.share(),
        gets: PackedGets::new(others),
        part,
        next: AtomicUsize::new(0),
        found: Mutex::default(),
    });
    let help = |_| {
        let job = Arc::new(Job::new());
        job.set(Reading(Arc::clone(&shared)));
        THREADS.push(&job);
        job
    };
    let jobs: Vec<_> = (0..helpers.0).map(help).collect();
    let mut all = || {
        let batch = BatchRead::begin(own.iter().map(|(_, get)| get.row()));
        for &(at, get) in own {
            source.read(get, buffer)?;
            rows[at] = Some(buffer.freeze());
        }
        drop(batch);
        shared.read_parts(buffer);
        Ok(())
    };
    let mut result = catch_unwind(AssertUnwindSafe(&mut all));
    if !matches!(result, Ok(Ok(()))) {
        shared.stop();
    }
    // The others must end even then: they use the source's registered read point.
    for job in jobs {
        let helped = match job.claim() {
            Claim::Waiting(_) => continue,
            Claim::Running => {
                job.spin(SPIN);
                job.wait()
            }
            Claim::Done(helped) => Some(helped),
            Claim::Empty => None,
        };
        let helped = helped.unwrap_or_else(|| Err(Box::new("a thread that reads rows has panicked")));
        result = result.and_then(|own| helped.map(|()| own));
    }
    result.unwrap_or_else(|panic| resume_unwind(panic))?;
    let found = mem::take(&mut *unpoisoned(shared.found.lock()));
    for (at, row) in found.rows {
        rows[at] = Some(row);
    }
    found.failure.map_or(Ok(()), |(_, error)| Err(error))
}

/// Copies of gets in few cache lines, because another processor reads them.
#[derive(Default)]
struct PackedGets {
    gets: Vec<PackedGet>,
    /// The rows, one after the other.
    rows: Vec<u8>,
    /// The selections of the gets; consecutive gets with the same one share it.
    selects: Vec<Select>,
}

struct PackedGet {
    /// The index in the list that was given.
    at: usize,
    /// The end of the row.
    end: usize,
    select: usize,
}

impl PackedGets {
    fn new(gets: &[NumberedGet<'_>]) -> Self {
        let mut packed = Self { gets: Vec::with_capacity(gets.len()), ..Self::default() };
        for &(at, get) in gets {
            // comparing filters would take longer
            let is_same = |last: &Select| last.filter.is_none() && get.select == *last;
            if !packed.selects.last().is_some_and(is_same) {
                packed.selects.push(get.select.clone());
            }
            packed.rows.extend_from_slice(get.row());
            packed.gets.push(PackedGet { at, end: packed.rows.len(), select: packed.selects.len() - 1 });
        }
        packed
    }

    fn row(&self, i: usize) -> &[u8] {
        let start = i.checked_sub(1).map_or(0, |before| self.gets[before].end);
        &self.rows[start..self.gets[i].end]
    }
}

/// Gets in row order, shared by threads that take parts of them, and the rows found.
struct SharedGets {
    read: SharedRead,
    gets: PackedGets,
    /// The number of gets that a thread takes at once.
    part: usize,
    /// The next part.
    next: AtomicUsize,
    found: Mutex<Found>,
}

impl SharedGets {
    /// Reads parts until none is left.
    fn read_parts(&self, buffer: &mut RowBuf) {
        let (mut rows, mut get) = (Vec::new(), None);
        loop {
            let part = self.next.fetch_add(1, Ordering::Relaxed);
            let start = part.saturating_mul(self.part).min(self.gets.gets.len());
            let gets = start..self.gets.gets.len().min(start + self.part);
            if gets.is_empty() {
                break;
            }
            if let Err(error) = self.read_part(gets, &mut get, buffer, &mut rows) {
                // Earlier parts have been begun and are completed, so the first error is found.
                self.stop();
                unpoisoned(self.found.lock()).failed(part, error);
            }
        }
        unpoisoned(self.found.lock()).rows.append(&mut rows);
    }

    /// Reads some of the gets. `last` is the get that was read last, for reuse, with the index of its
    /// selection.
    fn read_part(
        &self,
        gets: Range<usize>,
        last: &mut Option<(usize, Get)>,
        buffer: &mut RowBuf,
        rows: &mut Vec<(usize, Row)>,
    ) -> Result<()> {
        let _batch = BatchRead::begin(gets.clone().map(|i| self.gets.row(i)));
        for i in gets {
            let &PackedGet { at, select, .. } = &self.gets.gets[i];
            let row = self.gets.row(i);
            if last.as_ref().is_none_or(|(has, _)| *has != select) {
                *last = Some((select, Get { row: Vec::new(), select: self.gets.selects[select].clone() }));
            }
            if let Some((_, get)) = last {
                get.set_row(row);
                (self.read)(get, buffer)?;
                rows.push((at, buffer.freeze()));
            }
        }
        Ok(())
    }

    /// Lets no thread begin another part.
    fn stop(&self) {
        self.next.fetch_max(self.gets.gets.len(), Ordering::Relaxed);
    }
}

/// Helps with gets.
struct Reading(Arc<SharedGets>);

impl Task for Reading {
    type Output = thread::Result<()>;

    fn run(self, _: &mut Vec<u8>) -> thread::Result<()> {
        catch_unwind(AssertUnwindSafe(|| self.0.read_parts(&mut RowBuf::new())))
    }
}

/// The rows found by all threads.
#[derive(Default)]
struct Found {
    rows: Vec<(usize, Row)>,
    /// The first part that failed.
    failure: Option<(usize, Error)>,
}

impl Found {
    fn failed(&mut self, part: usize, error: Error) {
        if self.failure.as_ref().is_none_or(|&(first, _)| part < first) {
            self.failure = Some((part, error));
        }
    }
}

/// Threads that help.
struct Helpers {
    taken: AtomicUsize,
    /// The number of parts of the gets for each thread.
    parts: usize,
    /// The number of parts that the calling thread reads first and does not share.
    own: usize,
}

/// Threads that may help, until it is dropped.
struct Taken<'h>(usize, &'h Helpers);

impl Taken<'static> {
    /// Takes up to `max` threads if `left` gets are worth sharing, given that `done` gets took `elapsed`.
    fn after(elapsed: Duration, done: usize, left: usize, max: usize) -> Option<Self> {
        let each = elapsed / u32::try_from(done).unwrap_or(u32::MAX);
        if elapsed < ALONE { None } else { Self::for_gets(each, left, max) }
    }

    /// Like [`after`](Self::after), before the first get, given the time of a get in an earlier call. Rows
    /// that were slow then may be in memory now.
    fn before(each: Duration, gets: usize, max: usize) -> Option<Self> {
        if each >= WAITING { None } else { Self::for_gets(each, gets, max) }
    }

    fn for_gets(each: Duration, gets: usize, max: usize) -> Option<Self> {
        let all = each.saturating_mul(u32::try_from(gets).unwrap_or(u32::MAX));
        if max == 0 || all < WORTHWHILE {
            return None;
        }
        let (helpers, limit) = if each < WAITING { (&WORKERS, cores() - 1) } else { (&WAITERS, MAX_HELPERS) };
        let taken = helpers.take(max.min(gets.saturating_sub(1)), limit);
        (taken.0 > 0).then_some(taken)
    }
}

impl Helpers {
    const fn new(parts: usize, own: usize) -> Self {
        Self { taken: AtomicUsize::new(0), parts, own }
    }

    /// Takes up to `wanted` threads, so that at most `limit` are taken.
    fn take(&self, wanted: usize, limit: usize) -> Taken<'_> {
        let take = |taken: usize| taken + wanted.min(limit.saturating_sub(taken));
        let before = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| Some(take(taken)));
        let before = before.unwrap_or_else(|taken| taken);
        Taken(take(before) - before, self)
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.1.taken.fetch_sub(self.0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
