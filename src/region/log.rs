//! The write-ahead log of a region (wal.md §13, §17; HBase: `FSHLog`).
//!
//! A region writes its log to its own directory of recovered edits. If the process dies, opening the region
//! replays it, and so does HBase. The logs are removed once their cells are in store files.

use super::RegionCore;
use super::write::{NewCell, USUAL_KEY_LEN};
use crate::cell::SeekKey;
use crate::clock::Stopwatch;
use crate::error::{Error, Result};
use crate::io::{LogFile, Storage};
use crate::layout::{RegionDir, durable};
use crate::limits::Limits;
use crate::mvcc::WriteEntry;
use crate::op::Durability;
use crate::sync::unpoisoned;
use crate::wal::{END_MARK, TRAILER, WalEncoder, WalHeader, WalKey};
use std::borrow::Borrow;
use std::collections::VecDeque;
use std::io;
use std::mem;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

/// Appends the writes of a region to files, and waits until they are as durable as asked.
///
/// One thread at a time writes what all have appended (group commit).
#[derive(Debug)]
pub(super) struct RegionLog {
    storage: Arc<dyn Storage>,
    /// The directory of the logs.
    dir: PathBuf,
    /// The region's directory.
    region: PathBuf,
    state: Mutex<State>,
    /// Signalled when a round ends: the even rounds, and the odd ones.
    ended: [Condvar; 2],
    /// The maximum number of bytes of an entry: a longer one could not be read again.
    max_entry: usize,
    /// Why nothing can be logged any more: it is not known what is in the file.
    failure: OnceLock<Error>,
    /// For each store, the sequence id up to which its cells are in files.
    flushed: Mutex<Vec<i64>>,
}

#[derive(Debug)]
struct State {
    key: WalKey,
    /// Encodes for the file that is being written; `None` if there is no file.
    encoder: Option<WalEncoder>,
    /// `None` if there is no file, and while a thread writes to it.
    file: Option<Box<dyn LogFile>>,
    /// The length of the file, if it is longer than its entries; otherwise not above theirs.
    reserved: u64,
    /// The greatest sequence id in the file.
    last: i64,
    /// The sequence id up to which all entries are on disk; the maximum if no entry is in doubt.
    synced_to: i64,
    /// Entries that are not in the file yet.
    pending: Vec<u8>,
    /// A buffer to reuse.
    spare: Vec<u8>,
    /// The numbers of the last entries that were appended, handed to the system, and synced; and of the last
    /// one that is to be synced.
    appended: u64,
    written: u64,
    synced: u64,
    wanted: u64,
    /// The current round, or the last one.
    round: Round,
    /// How long the last sync took.
    sync_time: Duration,
    /// The number of writers that waited when the last round ended, and when the one before it did.
    waited: [u64; 2],
    /// The entry whose writer waits for others before it begins a round.
    gathering: Option<u64>,
    /// The number of entries whose writers have not yet seen their outcome.
    unseen: u64,
    /// Entries that are not in the file, and why.
    refused: Vec<(RangeInclusive<u64>, Error)>,
    /// Files that are no longer written to, oldest first.
    finished: VecDeque<FinishedLog>,
    has_dir: bool,
    /// Why finished files could not be removed.
    unremoved: Option<Error>,
}

/// A write of pending entries to the file by one thread. The state is unlocked meanwhile.
#[derive(Clone, Copy, Debug, Default)]
struct Round {
    number: usize,
    /// The last entry that it writes.
    last: u64,
    syncs: bool,
}

/// A file that gets no more entries, and is not complete yet.
#[derive(Debug)]
pub(super) struct CutLog {
    file: Box<dyn LogFile>,
    encoder: WalEncoder,
    /// Of an entry after the last.
    key: WalKey,
    is_reserved: bool,
}

#[derive(Clone, Debug)]
struct FinishedLog {
    path: PathBuf,
    /// The greatest sequence id in the file.
    last: i64,
}

impl State {
    /// Whether as many writers as waited for the last two rounds may soon have appended: one sync is then for
    /// all of them.
    fn expects_more(&self) -> bool {
        let expected = self.waited[0].min(self.waited[1]);
        self.sync_time >= MIN_SHARED && self.appended - self.synced < expected
    }
}

/// An entry that was appended.
#[derive(Debug)]
#[must_use = "the entry is not durable yet"]
struct Ticket(u64);

impl RegionLog {
    pub(super) fn new(dir: &RegionDir, storage: &Arc<dyn Storage>, stores: usize, limits: &Limits) -> Self {
        let key = WalKey::new(dir.info().encoded_name(), dir.info().table().to_string(), 0, 0);
        let state = State {
            key,
            encoder: None,
            file: None,
            reserved: 0,
            last: 0,
            synced_to: i64::MAX,
            pending: Vec::new(),
            spare: Vec::new(),
            appended: 0,
            written: 0,
            synced: 0,
            wanted: 0,
            round: Round::default(),
            sync_time: Duration::ZERO,
            waited: [0; 2],
            gathering: None,
            unseen: 0,
            refused: Vec::new(),
            finished: VecDeque::new(),
            has_dir: false,
            unremoved: None,
        };
        Self {
            storage: Arc::clone(storage),
            dir: dir.recovered_edits_dir(),
            region: dir.path().to_owned(),
            state: Mutex::new(state),
            ended: Default::default(),
            max_entry: limits.block_bytes,
            failure: OnceLock::new(),
            flushed: Mutex::new(vec![0; stores]),
        }
    }

    /// Returns why no writes are accepted any more; `None` if they are.
    pub(super) fn failure(&self) -> Option<Error> {
        self.failure.get().cloned()
    }

    /// Fails if an earlier append or sync has failed.
    pub(super) fn check(&self) -> Result<()> {
        self.failure.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    fn fail(&self, error: &Error) {
        // The first failure is kept: later ones follow from it.
        self.failure.get_or_init(|| Error::poisoned_log(error));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        unpoisoned(self.state.lock())
    }

    /// Creates a file for entries from `seq_id` on, whose header and name are on disk.
    fn begin_file(&self, state: &mut State, seq_id: i64) -> Result<()> {
        if !state.has_dir {
            durable::create_dir_durably(self.storage.as_ref(), &self.region, &self.dir)?;
            state.has_dir = true;
        }
        let path = self.dir.join(log_name(seq_id));
        let created = self.storage.create_log(&path);
        let mut file = created.map_err(|error| Error::io("create", &path, error))?;
        let header = WalHeader::default().with_log_id(log_id(seq_id));
        let (encoder, bytes) =
            WalEncoder::new(&header, true).map_err(|corruption| corruption.at(&path, 0))?;
        let written = file.append(&bytes, bytes.len()).and_then(|()| file.sync());
        let written = written.map_err(|error| Error::io("write", &path, error));
        if let Err(error) = written.and_then(|()| durable::sync_dir(self.storage.as_ref(), &self.dir)) {
            // Nothing is in the file; the next write creates another.
            state.finished.push_back(FinishedLog { path, last: i64::MIN });
            return Err(error);
        }
        state.synced_to = seq_id - 1;
        (state.encoder, state.file, state.reserved) = (Some(encoder), Some(file), 0);
        Ok(())
    }

    /// Waits until an entry is as durable as asked. Writes pending entries if no other thread does.
    ///
    /// # Errors
    ///
    /// If the entry is not in the file, because the disk is full; if an append or sync has failed, so that it
    /// is not known what is in the file.
    fn wait(&self, Ticket(number): Ticket, durability: Durability) -> Result<()> {
        let syncs = durability == Durability::FsyncWal;
        let (mut state, mut spins, mut is_late) = (self.state(), SPINS, false);
        if syncs {
            state.wanted = state.wanted.max(number);
        }
        let outcome = loop {
            if let Some((_, error)) = state.refused.iter().find(|(numbers, _)| numbers.contains(&number)) {
                break Err(error.clone());
            }
            if number <= if syncs { state.synced } else { state.written } {
                break Ok(());
            }
            if let Err(error) = self.check() {
                break Err(error);
            }
            let waits = syncs && !is_late && state.expects_more();
            state = match state.file.take_if(|_| !waits) {
                Some(file) => self.write_pending(state, file),
                None if !syncs && spins > 0 => {
                    // To hand bytes to the system takes less time than to sleep.
                    spins -= 1;
                    drop(state);
                    (0..SPIN).for_each(|_| std::hint::spin_loop());
                    self.state()
                }
                None => {
                    // Only the writers whose entries a round writes are woken when it ends, and one for the
                    // next round.
                    let round = state.round;
                    let is_in_round = number <= round.last && (round.syncs || !syncs);
                    let ended = self.ended(round.number + usize::from(!is_in_round));
                    if waits && state.file.is_some() && *state.gathering.get_or_insert(number) == number {
                        let time = state.sync_time.min(MAX_GATHERING);
                        let (state, timeout) = unpoisoned(ended.wait_timeout(state, time));
                        is_late = timeout.timed_out();
                        state
                    } else {
                        unpoisoned(ended.wait(state))
                    }
                }
            };
        };
        state.unseen -= 1;
        if state.unseen == 0 {
            state.refused.clear();
        }
        outcome
    }

    /// Writes the pending entries to the file, and syncs it if a writer waits for that. The state is unlocked
    /// meanwhile.
    fn write_pending<'s>(
        &'s self,
        mut state: MutexGuard<'s, State>,
        mut file: Box<dyn LogFile>,
    ) -> MutexGuard<'s, State> {
        let syncs = state.wanted > state.synced;
        let spare = mem::take(&mut state.spare);
        let mut bytes = mem::replace(&mut state.pending, spare);
        let end = state.encoder.as_ref().map_or(0, WalEncoder::offset);
        let base = end - bytes.len() as u64;
        let (target, last) = (state.appended, state.last);
        state.round = Round { number: state.round.number + 1, last: target, syncs };
        state.gathering = None;
        let mut reserved = state.reserved;
        drop(state);
        let busy = Busy(self);
        let kept = bytes.len();
        let is_longer = mark_end(&mut bytes, base, &mut reserved, syncs);
        let mut written = if kept == 0 { Ok(()) } else { file.append(&bytes, kept) };
        let mut is_undone = is_full(&written) && file.truncate(base).is_ok();
        if is_undone {
            reserved = 0;
            if is_longer {
                written = file.append(&bytes[..kept], kept);
                is_undone = is_full(&written) && file.truncate(base).is_ok();
            }
        }
        let started = Stopwatch::start();
        let synced = if written.is_ok() && syncs { file.sync() } else { Ok(()) };
        let sync_time = started.elapsed();
        mem::forget(busy);
        let path = file.path().to_owned();
        let mut state = self.state();
        (state.file, state.reserved) = (Some(file), reserved);
        let is_done = written.is_ok() && synced.is_ok();
        match (written, synced) {
            (Ok(()), Ok(())) => {
                state.written = target;
                if syncs {
                    (state.synced, state.synced_to, state.sync_time) = (target, last, sync_time);
                    if let Some(encoder) = &mut state.encoder {
                        encoder.synced(end);
                    }
                }
            }
            (Ok(()), Err(error)) => self.fail(&Error::io("sync", &path, error)),
            (Err(error), _) if is_undone => {
                // Entries that were appended meanwhile have offsets after those that failed.
                let error = Error::io("write", &path, error);
                let numbers = state.written + 1..=state.appended;
                state.refused.push((numbers, error));
                state.written = state.appended;
                state.pending.clear();
                if let Some(encoder) = &mut state.encoder {
                    encoder.go_back(base);
                }
            }
            (Err(error), _) => self.fail(&Error::io("write", &path, error)),
        }
        if bytes.capacity() <= MAX_SPARE {
            bytes.clear();
            state.spare = bytes;
        }
        state.waited = [state.unseen, state.waited[0]];
        // A notification is a call of the system; the entry of this thread is unseen, too.
        if state.unseen > 1 {
            self.ended(state.round.number).notify_all();
            if is_done {
                self.ended(state.round.number + 1).notify_one();
            } else {
                self.ended(state.round.number + 1).notify_all();
            }
        }
        state
    }

    fn ended(&self, round: usize) -> &Condvar {
        &self.ended[round % 2]
    }

    /// Returns the sequence id of a flush that would have the given one. After a failure, entries that were
    /// not acknowledged may be in the file, and no memory has their cells. Files must not claim to have them:
    /// a replay would add them to the families that were not flushed, and not to the others.
    pub(super) fn limit_flush(&self, seq_id: i64) -> i64 {
        if self.failure.get().is_none() { seq_id } else { seq_id.min(self.state().synced_to) }
    }

    /// Ends the current file: later entries go to another. No write may be in progress.
    pub(super) fn cut(&self) -> Option<CutLog> {
        let mut state = self.state();
        let encoder = state.encoder.take()?;
        if self.failure.get().is_none() {
            state.synced_to = i64::MAX;
        }
        let file = state.file.take()?;
        let log = FinishedLog { path: file.path().to_owned(), last: state.last };
        state.finished.push_back(log);
        let is_reserved = state.reserved > encoder.offset();
        Some(CutLog { file, encoder, key: state.key.clone(), is_reserved })
    }

    /// Completes a file: all its entries are on disk, and then a trailer says so. In a file that is longer
    /// than its entries, an entry without cells does: a reader may be reading the file, which must not become
    /// shorter.
    pub(super) fn finish(&self, log: Option<CutLog>) {
        let Some(log) = log.filter(|_| self.failure.get().is_none()) else { return };
        let CutLog { mut file, mut encoder, key, is_reserved } = log;
        if let Err(error) = file.sync() {
            self.fail(&Error::io("sync", file.path(), error));
            return;
        }
        let mut bytes = Vec::new();
        if is_reserved {
            encoder.synced(encoder.offset());
            let Ok(entry) = encoder.begin(&key, 0, &mut bytes) else { return };
            encoder.finish(&entry, &mut bytes);
        } else {
            bytes.extend_from_slice(&TRAILER);
        }
        let kept = bytes.len();
        if is_reserved {
            bytes.extend_from_slice(&END_MARK);
        }
        // A log without this end, or with a part of it, has the same entries.
        let _ = file.append(&bytes, kept);
    }

    /// Records that the cells of a store up to a sequence id are in files.
    pub(super) fn flushed(&self, store: usize, seq_id: i64) {
        unpoisoned(self.flushed.lock())[store] = seq_id;
    }

    /// Removes the files whose cells are all in store files, oldest first, and each durably before the next:
    /// a log that came back after a crash without a later one would lack the deletes in that. Files that
    /// cannot be removed are retried after the next flush.
    ///
    /// # Errors
    ///
    /// If a file cannot be removed.
    pub(super) fn remove_flushed(&self) -> Result<()> {
        let flushed = unpoisoned(self.flushed.lock()).iter().copied().min().unwrap_or(0);
        let next = || self.state().finished.front().filter(|log| log.last <= flushed).cloned();
        while let Some(log) = next() {
            let storage = self.storage.as_ref();
            let removed = durable::unless_not_found(durable::remove(storage, &log.path))
                .and_then(|()| durable::sync_dir(storage, &self.dir));
            let mut state = self.state();
            state.unremoved = removed.clone().err();
            removed?;
            state.finished.pop_front();
        }
        Ok(())
    }

    /// Whether there are files of this log.
    pub(super) fn has_files(&self) -> bool {
        let state = self.state();
        state.encoder.is_some() || !state.finished.is_empty()
    }

    /// Returns the names of files that could not be removed.
    pub(super) fn unremoved(&self) -> Vec<String> {
        let state = self.state();
        let name = |log: &FinishedLog| log.path.file_name().map(|name| name.to_string_lossy().into_owned());
        let names = state.finished.iter().filter(|_| state.unremoved.is_some());
        names.filter_map(name).collect()
    }
}

/// Fails the log if a thread panics while it writes to the file.
struct Busy<'l>(&'l RegionLog);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fail(&Error::invalid_argument("a thread panicked while it wrote the log"));
        self.0.ended.iter().for_each(Condvar::notify_all);
    }
}

impl RegionCore {
    /// Begins a write, and logs its cells if it is to be durable at all. Returns when they are as durable as
    /// asked. The order of the entries in the log is that of their sequence ids.
    ///
    /// # Errors
    ///
    /// If the cells cannot be logged. No read will see the write.
    pub(super) fn begin_logged<'a, C: Borrow<NewCell<'a>>>(
        &self,
        cells: impl Iterator<Item = C> + Clone,
        durability: Durability,
    ) -> Result<WriteEntry<'_>> {
        let Some(log) = &self.log else { return Ok(self.mvcc.begin()) };
        log.check()?;
        if durability == Durability::SkipWal {
            return Ok(self.mvcc.begin());
        }
        let Some(count) = self.check_entry(cells.clone(), log.max_entry)? else {
            return Ok(self.mvcc.begin());
        };
        let mut state = log.state();
        let write = self.mvcc.begin();
        let seq_id = write.seq_id();
        if state.encoder.is_none() {
            log.begin_file(&mut state, seq_id)?;
        }
        let State { encoder: Some(encoder), pending, key, .. } = &mut *state else {
            return Err(Error::invalid_argument("a log without a file"));
        };
        (key.sequence_id, key.write_time) = (seq_id, self.clock.now());
        let (start, offset) = (pending.len(), encoder.offset());
        let mut cell_key = SeekKey::with_room(USUAL_KEY_LEN);
        let encoded = encoder.begin(key, count, pending).and_then(|entry| {
            cells.into_iter().try_for_each(|cell| {
                encoder.cell(&self.cell_ref(cell.borrow(), &mut cell_key, seq_id), pending)
            })?;
            encoder.finish(&entry, &mut pending[start..]);
            Ok(())
        });
        if let Err(corruption) = encoded {
            pending.truncate(start);
            encoder.go_back(offset);
            return Err(corruption.at(&log.dir, offset));
        }
        state.last = seq_id;
        state.appended += 1;
        state.unseen += 1;
        let ticket = Ticket(state.appended);
        drop(state);
        if let Err(error) = log.wait(ticket, durability) {
            if log.failure().is_some() {
                self.report_poisoned(&error);
            }
            return Err(error);
        }
        Ok(write)
    }

    /// Checks that an entry with the cells can be read again. Returns the number of cells; `None` for none.
    fn check_entry<'a, C: Borrow<NewCell<'a>>>(
        &self,
        cells: impl Iterator<Item = C>,
        limit: usize,
    ) -> Result<Option<u32>> {
        let (mut count, mut bytes) = (0u32, ENTRY_OVERHEAD);
        for cell in cells {
            let NewCell { store, row, qualifier, value, tags, .. } = cell.borrow();
            let family = self.stores[*store].family.name();
            let len = row.len() + family.len() + qualifier.len() + value.len() + tags.len();
            bytes = bytes.saturating_add(len + CELL_OVERHEAD);
            count = count.saturating_add(1);
        }
        if bytes > limit {
            return Err(Error::over_limit(format!(
                "a write of {bytes} bytes: an entry of the log has at most {limit}"
            )));
        }
        Ok((count > 0).then_some(count))
    }
}

/// More than an entry takes besides its cells, and a cell besides its row, family, qualifier, value and tags.
const ENTRY_OVERHEAD: usize = 4 << 10;
const CELL_OVERHEAD: usize = 32;

/// How often a writer looks whether the system has its entry, and how long it waits each time, before it
/// sleeps.
const SPINS: u32 = 50;
const SPIN: u32 = 30;

/// A sync that takes less time than a thread needs to sleep is not shared by waiting for other writers.
const MIN_SHARED: Duration = Duration::from_micros(20);
/// How long a writer waits for others at most.
const MAX_GATHERING: Duration = Duration::from_millis(1);

/// The largest buffer that is kept for reuse.
const MAX_SPARE: usize = 1 << 20;

/// The names of logs are numbers from here on. HBase takes such a file for one of recovered edits, and skips
/// it if the number is not above all flushed ones.
const FIRST_NAME: i64 = 4_000_000_000_000_000_000;

/// Returns the name of a log whose first entry has this sequence id: names are in the order of the entries.
fn log_name(seq_id: i64) -> String {
    format!("{:019}", FIRST_NAME.saturating_add(seq_id))
}

/// Returns a random id.
fn log_id(seq_id: i64) -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one((seq_id, crate::io::process_id()))
}

/// Appends the mark of the end to the last entries of a file, which begin at `base`, if the file is longer.
/// If they are to be synced and reach past its length, makes it longer by zeros: then the system need not
/// write another length with each sync. Returns whether the file becomes longer by more than the entries.
fn mark_end(bytes: &mut Vec<u8>, base: u64, reserved: &mut u64, syncs: bool) -> bool {
    let end = base + bytes.len() as u64;
    let marked = end + END_MARK.len() as u64;
    if bytes.is_empty() || !syncs && end >= *reserved {
        return false;
    }
    bytes.extend_from_slice(&END_MARK);
    if marked <= *reserved {
        return false;
    }
    let room = if syncs { (end / 4).clamp(MIN_RESERVE, MAX_RESERVE) } else { 0 };
    bytes.resize(bytes.len() + usize::try_from(room).unwrap_or_default(), 0);
    *reserved = marked + room;
    true
}

/// How much longer than its entries a file is made, in bytes.
const MIN_RESERVE: u64 = 32 << 10;
const MAX_RESERVE: u64 = 512 << 10;

fn is_full(written: &io::Result<()>) -> bool {
    let kinds = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
    written.as_ref().is_err_and(|error| kinds.contains(&error.kind()))
}
