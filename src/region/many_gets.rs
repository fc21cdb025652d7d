//! Gets of many rows by one call, in row order: by the calling thread, and by further ones if it takes long.

use crate::cell::{CellOrder, Row, RowBuf};
use crate::clock::Stopwatch;
use crate::error::{Error, Result};
use crate::hfile::ReadTogether;
use crate::op::Get;
use crate::sync::{cores, unpoisoned};
use std::panic::resume_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// The calling thread reads alone for this long, to measure how long a get takes.
const ALONE: Duration = Duration::from_micros(100);

/// It reads all rows if the others take less than this: a thread has to be started, and another processor
/// woken.
const WORTHWHILE: Duration = Duration::from_millis(1);

/// A get that takes longer waits for a disk or a network, rather than for a processor.
const WAITING: Duration = Duration::from_micros(100);

/// The number of gets from one look at the clock to the next.
const STRIDE: usize = 8;

/// The number of parts of the gets for each thread, as some take longer than others.
const PARTS: usize = 3;

/// At most this many further threads of the process wait for reads at the same time.
const MAX_HELPERS: usize = 64;

/// The further threads of all calls.
static HELPERS: Helpers = Helpers(AtomicUsize::new(0));

/// A get, and its index in the list that was given.
type NumberedGet<'g> = (usize, &'g Get);

/// Reads rows, in row order, and returns them in the order of `gets`. `threads` is the maximum number of
/// threads.
///
/// # Errors
///
/// That of the first row, in row order, for which `read` fails. Later ones may have been read.
pub(crate) fn read_rows(
    gets: &[Get],
    order: CellOrder,
    threads: usize,
    read: impl Fn(&Get, &mut RowBuf) -> Result<()> + Sync,
) -> Result<Vec<Row>> {
    let mut numbered: Vec<NumberedGet<'_>> = gets.iter().enumerate().collect();
    numbered.sort_by(|(_, a), (_, b)| order.compare_rows(a.row(), b.row()));
    let mut rows = vec![None; gets.len()];
    read_numbered(&numbered, threads, &mut rows, read)?;
    Ok(rows.into_iter().flatten().collect())
}

/// Reads rows, and stores each at its index in `rows`.
fn read_numbered(
    gets: &[NumberedGet<'_>],
    threads: usize,
    rows: &mut [Option<Row>],
    read: impl Fn(&Get, &mut RowBuf) -> Result<()> + Sync,
) -> Result<()> {
    let (mut done, mut threads) = (0, if cores() > 1 { threads } else { 1 });
    let (watch, mut buffer) = (Stopwatch::start(), RowBuf::new());
    let together = ReadTogether::begin(gets.iter().map(|(_, get)| get.row()));
    for &(at, get) in gets {
        read(get, &mut buffer)?;
        rows[at] = Some(buffer.freeze());
        done += 1;
        if threads > 1 && (done == 1 || done % STRIDE == 0) {
            let wanted = useful_threads(watch.elapsed(), done, gets.len() - done).min(threads);
            if wanted > 1 {
                threads = wanted;
                break;
            }
        }
    }
    drop(together);
    let rest = &gets[done..];
    if rest.is_empty() { Ok(()) } else { read_by_threads(rest, threads, rows, read) }
}

/// Returns by how many threads `left` gets are read best, if `done` took that long.
fn useful_threads(elapsed: Duration, done: usize, left: usize) -> usize {
    let each = elapsed / u32::try_from(done).unwrap_or(u32::MAX);
    let rest = each.saturating_mul(u32::try_from(left).unwrap_or(u32::MAX));
    if elapsed < ALONE || rest < WORTHWHILE {
        return 1;
    }
    let most = if each < WAITING { cores() } else { MAX_HELPERS };
    most.min(left)
}

fn read_by_threads(
    gets: &[NumberedGet<'_>],
    threads: usize,
    rows: &mut [Option<Row>],
    read: impl Fn(&Get, &mut RowBuf) -> Result<()> + Sync,
) -> Result<()> {
    let helpers = HELPERS.take(threads.saturating_sub(1));
    let parts = gets.chunks(gets.len().div_ceil((helpers.0 + 1) * PARTS).max(1));
    let parts: Vec<&[NumberedGet<'_>]> = parts.collect();
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Found::default()));
    let read_part = |gets: &[NumberedGet<'_>], buffer: &mut RowBuf, rows: &mut Vec<(usize, Row)>| {
        let _together = ReadTogether::begin(gets.iter().map(|(_, get)| get.row()));
        gets.iter().try_for_each(|&(at, get)| {
            read(get, buffer)?;
            rows.push((at, buffer.freeze()));
            Ok(())
        })
    };
    let work = || {
        let (mut buffer, mut rows) = (RowBuf::new(), Vec::new());
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(gets) = parts.get(at) else { break };
            if let Err(error) = read_part(gets, &mut buffer, &mut rows) {
                // Earlier parts have been begun, and are read to their end: the first error is found.
                next.fetch_max(parts.len(), Ordering::Relaxed);
                unpoisoned(found.lock()).failed(at, error);
            }
        }
        unpoisoned(found.lock()).rows.append(&mut rows);
    };
    thread::scope(|scope| {
        let start = |_| thread::Builder::new().name("hregion-get".into()).spawn_scoped(scope, work);
        // If no thread can be started, the others do its work.
        let started: Vec<_> = (0..helpers.0).map_while(|i| start(i).ok()).collect();
        work();
        for thread in started {
            thread.join().unwrap_or_else(|panic| resume_unwind(panic));
        }
    });
    let found = unpoisoned(found.into_inner());
    for (at, row) in found.rows {
        rows[at] = Some(row);
    }
    found.failure.map_or(Ok(()), |(_, error)| Err(error))
}

/// What the threads have read.
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

/// A number of threads.
struct Helpers(AtomicUsize);

/// Threads that may be started, until it is dropped.
struct Taken<'h>(usize, &'h Helpers);

impl Helpers {
    /// Takes up to `wanted` threads.
    fn take(&self, wanted: usize) -> Taken<'_> {
        let take = |taken: usize| taken + wanted.min(MAX_HELPERS.saturating_sub(taken));
        let before = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| Some(take(taken)));
        let before = before.unwrap_or_else(|taken| taken);
        Taken(take(before) - before, self)
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.1.0.fetch_sub(self.0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
