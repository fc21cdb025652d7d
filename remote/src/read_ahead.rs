//! Reads ahead of scans: several ranges are requested before they are needed, more for longer scans.

use crate::blocking::Pending;
use bytes::Bytes;
use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// A read that begins at most this far after the end of the last one continues its scan. Between the data
/// blocks of an HFile are index and Bloom blocks, each 128 KiB by default.
const MAX_GAP: u64 = 256 << 10;

/// The scans of one file that are followed at the same time.
const MAX_STREAMS: usize = 4;

/// The ranges that one scan has in flight.
const MAX_WINDOWS: usize = 4;

/// The bytes requested ahead are at most this part of the bytes that the scan has read, so that a scan that
/// ends early wastes little.
const SHARE: u64 = 5;

/// The reads of all scans of a storage after which a scan that was not continued may be abandoned. Its
/// requests are given up when others need the bytes, because its file may stay open for long.
const IDLE_READS: u64 = 1000;

/// The bytes that all scans of a storage may still request.
#[derive(Debug)]
pub(crate) struct Budget {
    left: AtomicU64,
    /// The number of reads of all scans.
    reads: AtomicU64,
    /// The scans of the files that are open.
    files: Mutex<Vec<Weak<Mutex<Streams>>>>,
}

impl Budget {
    pub(crate) fn new(bytes: u64) -> Arc<Self> {
        let (reads, files) = (AtomicU64::new(0), Mutex::default());
        Arc::new(Self { left: AtomicU64::new(bytes), reads, files })
    }

    /// Adds a file that is opened. Returns its scans.
    pub(crate) fn add_file(&self) -> Arc<Mutex<Streams>> {
        let streams: Arc<Mutex<Streams>> = Arc::default();
        let mut files = locked(&self.files);
        files.retain(|file| file.strong_count() > 0);
        files.push(Arc::downgrade(&streams));
        streams
    }

    /// Takes bytes from the budget, or from scans that may be abandoned if too few are left. The caller must
    /// not hold locks of scans.
    fn take(self: &Arc<Self>, bytes: u64) -> Option<Taken> {
        let less = |left: u64| left.checked_sub(bytes);
        while self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_err() {
            if !self.give_up() {
                return None;
            }
        }
        Some(Taken { bytes, budget: Arc::clone(self) })
    }

    /// Gives up the requests of the least recently continued scan, if that was long enough ago. Returns
    /// whether there was one.
    fn give_up(&self) -> bool {
        let Some(before) = self.reads.load(Ordering::Relaxed).checked_sub(IDLE_READS) else { return false };
        let files: Vec<_> = locked(&self.files).iter().filter_map(Weak::upgrade).collect();
        let idle = files.iter().filter_map(|file| Some((locked(file).oldest(before)?, file)));
        let oldest = idle.min_by_key(|(last_read, _)| *last_read);
        oldest.is_some_and(|(last_read, file)| locked(file).give_up(last_read))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No change is left incomplete while it is locked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes of a budget, given back when this is dropped.
#[derive(Debug)]
struct Taken {
    bytes: u64,
    budget: Arc<Budget>,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.budget.left.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

/// A range that was requested ahead.
#[derive(Debug)]
struct Window {
    range: Range<u64>,
    state: State,
    _taken: Taken,
}

#[derive(Debug)]
enum State {
    Pending(Pending<Bytes>),
    Ready(Bytes),
    /// The request failed; its range is requested again.
    Failed,
}

impl Window {
    /// Returns the bytes when they have arrived; `None` if the request failed.
    ///
    /// # Errors
    ///
    /// If the wait was ended by the check, which may report this only once.
    fn bytes(&mut self) -> io::Result<Option<&Bytes>> {
        if let State::Pending(_) = self.state
            && let State::Pending(pending) = std::mem::replace(&mut self.state, State::Failed)
            && let Ok(bytes) = pending.wait_or_end()?
        {
            self.state = State::Ready(bytes);
        }
        match &self.state {
            State::Ready(bytes) => Ok(Some(bytes)),
            _ => Ok(None),
        }
    }
}

/// One scan of a file.
#[derive(Debug)]
pub(crate) struct Stream {
    /// The end of the last read.
    next: u64,
    /// The bytes read so far.
    consumed: u64,
    /// The number of the last read, among those of all scans of the storage.
    last_read: u64,
    windows: VecDeque<Window>,
}

/// Reads a range now.
pub(crate) type ReadNow<'r> = dyn FnMut(Range<u64>, &mut [u8]) -> io::Result<()> + 'r;

impl Stream {
    pub(crate) fn new() -> Self {
        Self { next: 0, consumed: 0, last_read: 0, windows: VecDeque::new() }
    }

    /// Fills `buf` from `offset` on: from the ranges requested ahead, and the rest by `read_now`.
    pub(crate) fn read(&mut self, buf: &mut [u8], offset: u64, read_now: &mut ReadNow<'_>) -> io::Result<()> {
        let end = offset + buf.len() as u64;
        self.windows.retain(|window| window.range.end > offset);
        let mut at = offset;
        for window in &mut self.windows {
            if at == end || window.range.start > at {
                break;
            }
            let upto = window.range.end.min(end);
            let from = window.range.start;
            let Some(bytes) = window.bytes()? else { break };
            let part = bytes.get(index(at - from)..index(upto - from));
            let Some(part) = part else { break };
            buf[index(at - offset)..index(upto - offset)].copy_from_slice(part);
            at = upto;
        }
        if at < end {
            read_now(at..end, &mut buf[index(at - offset)..])?;
            // Failed requests are dropped.
            self.windows.retain(|window| !matches!(window.state, State::Failed));
        }
        self.consumed += buf.len() as u64;
        self.next = end;
        self.windows.retain(|window| window.range.end > end);
        Ok(())
    }

    /// Counts a read, and requests the following ranges, up to `limit` in the file and `max` bytes.
    pub(crate) fn request_ahead(
        &mut self,
        last_len: u64,
        (limit, max): (u64, u64),
        budget: &Arc<Budget>,
        start: &mut dyn FnMut(Range<u64>) -> Pending<Bytes>,
    ) {
        self.last_read = budget.reads.fetch_add(1, Ordering::Relaxed);
        let mut at = self.windows.back().map_or(self.next, |window| window.range.end.max(self.next));
        let wanted = (self.consumed / SHARE).min(max);
        while self.windows.len() < MAX_WINDOWS && at < limit {
            let left = wanted.saturating_sub(at - self.next).min(limit - at);
            // Several windows, each of a block at least.
            let len = (wanted / 2).max(last_len).min(left);
            if len < last_len && at + len < limit || len == 0 {
                return;
            }
            let Some(taken) = budget.take(len) else { return };
            let range = at..at + len;
            at = range.end;
            self.windows.push_back(Window {
                state: State::Pending(start(range.clone())),
                range,
                _taken: taken,
            });
        }
    }
}

/// The scans of a file.
#[derive(Debug, Default)]
pub(crate) struct Streams(Vec<Stream>);

impl Streams {
    /// Takes the scan that a read at `offset` continues, so that no other read uses it.
    pub(crate) fn take(&mut self, offset: u64) -> Option<Stream> {
        let continues = |stream: &Stream| offset >= stream.next && offset - stream.next <= MAX_GAP;
        let found = self.0.iter().enumerate().filter(|(_, stream)| continues(stream));
        let (found, _) = found.max_by_key(|(_, stream)| stream.next)?;
        Some(self.0.remove(found))
    }

    pub(crate) fn put_back(&mut self, stream: Stream) {
        if self.0.len() == MAX_STREAMS {
            self.0.remove(0);
        }
        self.0.push(stream);
    }

    /// Returns the number of the last read of the least recently continued scan with requests, if it is less
    /// than `before`.
    fn oldest(&self, before: u64) -> Option<u64> {
        let holding = self.0.iter().filter(|stream| !stream.windows.is_empty());
        holding.map(|stream| stream.last_read).min().filter(|last_read| *last_read < before)
    }

    /// Gives up the requests of the scan with this last read. Returns whether there were any.
    fn give_up(&mut self, last_read: u64) -> bool {
        let mut holding = self.0.iter_mut().filter(|stream| !stream.windows.is_empty());
        let found = holding.find(|stream| stream.last_read == last_read);
        found.is_some_and(|stream| {
            stream.windows.clear();
            true
        })
    }
}

/// A position within a buffer in memory.
fn index(position: u64) -> usize {
    usize::try_from(position).expect("within a buffer")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocking::{Blocking, Check};
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    fn byte(at: u64) -> u8 {
        u8::try_from(at % 251).unwrap()
    }

    /// Reads blocks one after the other. Returns the bytes requested, and the number of requests that the
    /// reads waited for.
    fn scan(len: u64, upto: u64, block: u64, fails: bool) -> (u64, u64) {
        let blocking = Blocking::new(Duration::from_secs(20)).unwrap();
        let budget = Budget::new(u64::MAX);
        let (mut streams, mut requested, mut waits) = (Streams::default(), 0, 0);
        let mut at = 0;
        while at < upto {
            let mut buf = vec![0; index(block.min(len - at))];
            let mut stream = streams.take(at).unwrap_or_else(Stream::new);
            let mut read_now = |range: Range<u64>, buf: &mut [u8]| {
                waits += 1;
                requested += range.end - range.start;
                buf.iter_mut().zip(range).for_each(|(to, at)| *to = byte(at));
                Ok(())
            };
            stream.read(&mut buf, at, &mut read_now).unwrap();
            assert!(buf.iter().zip(at..).all(|(&found, at)| found == byte(at)));
            at += buf.len() as u64;
            stream.request_ahead(block, (len, 8 << 20), &budget, &mut |range| {
                assert!(range.start >= at && range.end <= len);
                requested += range.end - range.start;
                blocking.start(async move {
                    if fails { Err(io::Error::other("fails")) } else { Ok(range.map(byte).collect()) }
                })
            });
            streams.put_back(stream);
        }
        drop(streams);
        assert_eq!(budget.left.load(Ordering::Relaxed), u64::MAX);
        (requested, waits)
    }

    #[test]
    fn whole_scans_read_nothing_twice() {
        let (requested, waits) = scan(10_000_000, 10_000_000, 65_000, false);
        assert_eq!(requested, 10_000_000);
        assert!(waits <= 6, "{waits}");
    }

    #[test]
    fn scans_that_end_early_read_little_in_vain() {
        for blocks in 1..100 {
            let upto = blocks * 65_000;
            let (requested, _) = scan(100_000_000, upto, 65_000, false);
            assert!(requested <= upto + upto / SHARE, "{blocks} blocks: {requested}");
        }
    }

    #[test]
    fn what_failed_is_read_again() {
        scan(1_000_000, 1_000_000, 10_000, true);
    }

    #[test]
    fn the_end_of_a_wait_for_what_was_requested_ahead_is_that_of_the_read() {
        let was_told = AtomicBool::new(false);
        let ended = move || match was_told.swap(true, Ordering::SeqCst) {
            true => Ok(()),
            false => Err(io::Error::other("ended by this test")),
        };
        let blocking = Blocking::new(Duration::from_secs(60)).unwrap();
        let blocking = blocking.while_reading(Some(Check(Arc::new(ended))));
        let mut stream = Stream::new();
        stream.consumed = 1000;
        stream.request_ahead(50, (1000, 100), &Budget::new(u64::MAX), &mut |_| {
            blocking.start_read(std::future::pending())
        });
        let mut buf = [0; 50];
        let error = stream.read(&mut buf, 0, &mut |_, _| panic!("the read was ended")).unwrap_err();
        assert_eq!(error.to_string(), "ended by this test");
        stream.read(&mut buf, 0, &mut |_, _| Ok(())).unwrap();
    }

    #[test]
    fn the_budget_ends_reading_ahead() {
        let budget = Budget::new(100);
        let taken = budget.take(60).unwrap();
        assert!(budget.take(60).is_none());
        drop(taken);
        assert!(budget.take(100).is_some());
    }

    #[test]
    fn an_abandoned_scan_gives_its_part_of_the_budget_to_others() {
        let blocking = Blocking::new(Duration::from_secs(20)).unwrap();
        let budget = Budget::new(100);
        let (abandoned, other) = (budget.add_file(), budget.add_file());
        // Returns the number of ranges that are requested ahead after the read.
        let read = |file: &Mutex<Streams>, at: u64| {
            let taken = locked(file).take(at);
            let mut stream = taken.unwrap_or_else(Stream::new);
            stream.read(&mut [0; 50], at, &mut |_, _| Ok(())).unwrap();
            stream.consumed = 1000;
            stream.request_ahead(50, (1_000_000, 100), &budget, &mut |range| {
                blocking.start(async move { Ok(range.map(byte).collect()) })
            });
            let windows = stream.windows.len();
            locked(file).put_back(stream);
            windows
        };
        assert_eq!(read(&abandoned, 0), 2);
        let mut at = 0;
        for _ in 1..IDLE_READS {
            assert_eq!(read(&other, at), 0);
            at += 50;
        }
        assert_eq!(read(&other, at), 2);
        // A scan in progress keeps its requests; the other one continues without.
        assert_eq!(read(&abandoned, 50), 0);
        assert!(locked(&other).oldest(u64::MAX).is_some());
        drop((abandoned, other));
        assert_eq!(budget.left.load(Ordering::Relaxed), 100);
    }
}
