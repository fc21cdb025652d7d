//! The file that the regions of a table append to (HBase: `FSHLog`).

use super::RegionLog;
use super::region_log::{NamedLog, Part};
use super::reserve::{is_full, mark_end};
use crate::clock::Stopwatch;
use crate::error::{Error, Result};
use crate::io::{LogFile, LogSyncer, Owner};
use crate::layout::durable;
use crate::mvcc::{Mvcc, SharedWriteEntry, WriteEntry};
use crate::op::Durability;
use crate::region::RegionCore;
use crate::sync::unpoisoned;
use crate::wal::{END_MARK, TRAILER, WalEncoder, WalHeader, WalKey};
use std::io;
use std::mem;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, Weak};
use std::time::Duration;

/// A log that regions share: their entries are in one file, which has a name in the directory of each.
///
/// One thread at a time writes what all have appended (group commit).
#[derive(Debug)]
pub(in crate::region) struct SharedLog {
    settings: LogSettings,
    /// The process that writes it.
    owner: Owner,
    state: Mutex<State>,
    /// Signalled when a round ends: the even rounds, and the odd ones.
    ended: [Condvar; 2],
    /// Signalled when a file has been ended, when one that was cut is on disk, and when a sync beside the
    /// writers has ended.
    file_ended: Condvar,
    /// Why nothing can be logged any more: it is not known what is in the file.
    failure: OnceLock<Error>,
    /// The regions open for writing.
    members: Mutex<Vec<Weak<RegionCore>>>,
    /// Whether there may be regions with entries in files that are too old.
    may_lag: AtomicBool,
}

/// The settings of a log.
#[derive(Clone, Copy, Debug)]
pub(in crate::region) struct LogSettings {
    /// The length in bytes at which a file is ended.
    pub(in crate::region) roll_size: u64,
    /// The number of files above which regions that have entries in the oldest are flushed.
    pub(in crate::region) max_logs: u64,
    /// Whether several regions append to the log. If not, a flush of the region ends the file.
    pub(in crate::region) is_shared: bool,
}

impl LogSettings {
    /// Those of the log of one region.
    pub(in crate::region) fn alone() -> Self {
        Self { roll_size: u64::MAX, max_logs: u64::MAX, is_shared: false }
    }
}

#[derive(Debug)]
pub(super) struct State {
    /// Encodes for the file that is being written; `None` if there is no file.
    pub(super) encoder: Option<WalEncoder>,
    /// `None` if there is no file, and while a thread writes to it.
    file: Option<Box<dyn LogFile>>,
    /// Syncs the file, also while a thread writes to it.
    syncer: Option<LogSyncer>,
    /// The number of syncs by it that have begun, and have not succeeded.
    syncs_beside: usize,
    /// The number of the file, or of the last one. The first is 1.
    number: u64,
    /// The names of the file. It has no others.
    names: Vec<PathBuf>,
    /// Whether a thread is ending the file. Nothing is appended meanwhile.
    is_ending: bool,
    /// Whether a file that was cut has entries that may not be on disk. No entry of the next one is written
    /// before they are.
    has_unsynced_cut: bool,
    /// The key of the last entry of one of the regions.
    last_key: WalKey,
    /// The length in bytes at which the file is ended.
    roll_size: u64,
    /// The length of the file, if it is longer than its entries; otherwise not above theirs.
    reserved: u64,
    /// Entries that are not in the file yet.
    pub(super) pending: Vec<u8>,
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
    /// How long the last sync took, and when it ended.
    sync_time: Duration,
    sync_ended: Stopwatch,
    /// The number of writers that waited when the last round ended, and when the one before it did.
    waited: [u64; 2],
    /// The entry whose writer waits for others before it begins a round.
    gathering: Option<u64>,
    /// The number of rounds that begin without waiting for others: it took longer than a sync.
    ungathered: u32,
    /// The number of entries whose writers have not yet seen their outcome.
    unseen: u64,
    /// Entries that are not in the file, and why.
    refused: Vec<(RangeInclusive<u64>, Error)>,
    /// The writes of threads that sleep. The thread that makes their entries durable completes them.
    asleep: Vec<Asleep>,
}

/// A write in memory whose thread sleeps until its entry is durable.
#[derive(Debug)]
struct Asleep {
    number: u64,
    /// Whether the entry is to be synced.
    syncs: bool,
    write: SharedWriteEntry,
}

/// A thread that waits for an entry. A panic of the file in this thread ends the waiting, too: the cells can
/// then be taken back before the write is complete.
struct Waiter<'l, 'w, 'm> {
    log: &'l SharedLog,
    number: u64,
    mvcc: &'m Arc<Mvcc>,
    /// `None` while the thread sleeps, and if another thread has completed it.
    write: &'w mut Option<WriteEntry<'m>>,
    is_asleep: bool,
    is_over: bool,
}

impl Waiter<'_, '_, '_> {
    /// Records that the thread has seen the outcome, and takes back its write, unless that is complete.
    fn end(&mut self, state: &mut State) {
        self.is_over = true;
        state.see_outcome();
        if self.is_asleep
            && let Some(at) = state.asleep.iter().position(|other| other.number == self.number)
        {
            *self.write = state.asleep.swap_remove(at).write.unshare(self.mvcc);
        }
    }
}

impl Drop for Waiter<'_, '_, '_> {
    fn drop(&mut self) {
        if !self.is_over {
            let log = self.log;
            self.end(&mut log.state());
        }
    }
}

/// A write of pending entries to the file by one thread. The state is unlocked meanwhile.
#[derive(Clone, Copy, Debug, Default)]
struct Round {
    number: usize,
    /// The last entry that it writes.
    last: u64,
    syncs: bool,
}

/// The pending entries that a round writes.
struct Batch {
    bytes: Vec<u8>,
    /// Where the first entry begins in the file.
    base: u64,
    syncs: bool,
    /// As [`State::reserved`].
    reserved: u64,
    /// As [`State::has_unsynced_cut`].
    is_after_cut: bool,
}

/// The result of writing a [`Batch`].
struct Written {
    outcome: Result<()>,
    /// Whether nothing of the batch is in the file, although `outcome` is an error.
    is_undone: bool,
    /// `None` if the batch is not to be synced.
    sync_time: Option<Duration>,
}

/// A file that gets no more entries, and is not complete yet.
#[derive(Debug)]
pub(in crate::region) struct CutLog {
    file: Box<dyn LogFile>,
    encoder: WalEncoder,
    /// Of an entry after the last.
    key: WalKey,
    is_reserved: bool,
}

/// An entry that was appended.
#[derive(Debug)]
#[must_use = "the entry is not durable yet"]
pub(in crate::region) struct Ticket {
    pub(super) number: u64,
    /// Whether it is in a log that regions share. The region may have left that since.
    pub(super) is_shared: bool,
}

impl State {
    /// Whether as many writers as waited for the last two rounds may soon have appended: one sync is then for
    /// all of them.
    fn expects_more(&self) -> bool {
        let expected = self.waited[0].min(self.waited[1]);
        self.ungathered == 0 && self.sync_time >= MIN_SHARED && self.appended - self.synced < expected
    }

    /// Ends the waiting for others. If it took longer than a sync, the next rounds begin without it: a sync
    /// for each half of the writers, while the other half appends, then takes less time than one for all.
    fn end_gathering(&mut self) {
        self.ungathered = match self.gathering.take() {
            Some(_) if self.sync_ended.elapsed() > self.sync_time => UNGATHERED,
            _ => self.ungathered.saturating_sub(1),
        };
    }

    /// Appends an entry without cells to entries that end with the bytes of a trailer, which HBase would take
    /// for one: it would not read the last entry.
    fn end_without_trailer(&mut self, bytes: &mut Vec<u8>) {
        if let Some(encoder) = &mut self.encoder {
            // The key was encoded for the entry before, so this does not fail.
            let _ = encoder.empty_entry(&self.last_key, bytes);
        }
    }

    /// Records that a thread has seen the outcome that it waited for.
    fn see_outcome(&mut self) {
        self.unseen -= 1;
        if self.unseen == 0 {
            self.refused.clear();
        }
    }

    /// Whether an entry of the region is in the file or may be, but may not be on disk.
    pub(super) fn is_in_doubt(&self, part: &Part) -> bool {
        part.entry > self.synced
    }

    /// Whether the region has a name of the file that is being written.
    fn has_name(&self, part: &Part) -> bool {
        self.encoder.is_some() && part.logs.back().is_some_and(|log| log.number == self.number)
    }

    /// Takes the entry that was encoded last as appended. Returns its number.
    pub(super) fn append(&mut self, part: &mut Part, seq_id: i64) -> u64 {
        if !self.is_in_doubt(part) {
            part.synced_to = seq_id - 1;
        }
        self.appended += 1;
        self.unseen += 1;
        part.entry = self.appended;
        if let Some(log) = part.logs.back_mut() {
            log.last = seq_id;
        }
        if self.last_key.encoded_region_name == part.key.encoded_region_name {
            let key = &mut self.last_key;
            (key.sequence_id, key.write_time) = (part.key.sequence_id, part.key.write_time);
        }
        self.appended
    }

    /// Gives up a name of the file that is being written, which is about to be removed. Without a name there
    /// can be no others, so the file is then ended.
    pub(super) fn forget_name(&mut self, log: &mut NamedLog) {
        if self.encoder.is_none() || log.number != self.number {
            return;
        }
        log.number = 0;
        self.names.retain(|name| *name != log.path);
        // Otherwise the next append ends the file.
        if self.names.is_empty() && self.pending.is_empty() && self.file.is_some() && !self.is_ending {
            (self.encoder, self.file, self.syncer) = (None, None, None);
        }
    }
}

impl SharedLog {
    pub(in crate::region) fn new(settings: LogSettings) -> Self {
        let state = State {
            encoder: None,
            file: None,
            syncer: None,
            syncs_beside: 0,
            number: 0,
            names: Vec::new(),
            is_ending: false,
            has_unsynced_cut: false,
            last_key: WalKey::default(),
            roll_size: settings.roll_size,
            reserved: 0,
            pending: Vec::new(),
            spare: Vec::new(),
            appended: 0,
            written: 0,
            synced: 0,
            wanted: 0,
            round: Round::default(),
            sync_time: Duration::ZERO,
            sync_ended: Stopwatch::start(),
            waited: [0; 2],
            gathering: None,
            ungathered: 0,
            unseen: 0,
            refused: Vec::new(),
            asleep: Vec::new(),
        };
        Self {
            settings,
            owner: Owner::this(),
            state: Mutex::new(state),
            ended: Default::default(),
            file_ended: Condvar::new(),
            failure: OnceLock::new(),
            members: Mutex::default(),
            may_lag: AtomicBool::new(false),
        }
    }

    pub(super) fn is_shared(&self) -> bool {
        self.settings.is_shared
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

    /// As [`fail`](Self::fail), outside of a round, and wakes all that wait for one: none may follow. A
    /// thread that has seen no failure waits by the time that the state can be locked.
    fn fail_all(&self, error: &Error) {
        self.fail(error);
        drop(self.state());
        self.ended.iter().chain([&self.file_ended]).for_each(Condvar::notify_all);
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        unpoisoned(self.state.lock())
    }

    /// Locks the state for an append. Ends the file first if it is long.
    pub(super) fn for_append(&self) -> MutexGuard<'_, State> {
        let mut state = self.state();
        while self.failure.get().is_none() {
            if state.is_ending {
                state = unpoisoned(self.file_ended.wait(state));
            } else if state.encoder.as_ref().is_some_and(|file| file.offset() >= state.roll_size)
                || state.encoder.is_some() && state.names.is_empty()
            {
                state = self.end_file(state);
            } else {
                break;
            }
        }
        state
    }

    /// Ends the file, if there is one: entries that are appended later go to another.
    pub(in crate::region) fn roll(&self) {
        let mut state = self.state();
        while state.is_ending && self.failure.get().is_none() {
            state = unpoisoned(self.file_ended.wait(state));
        }
        drop(self.end_file(state));
    }

    /// Ends the file: all its entries are on disk before later ones are appended to another. After a failure
    /// the file stays as it is.
    fn end_file<'s>(&'s self, mut state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        if state.encoder.is_none() || self.failure.get().is_some() {
            return state;
        }
        if let Err(error) = self.owner.check() {
            let path = state.names.first().map_or_else(|| Path::new(""), PathBuf::as_path);
            self.fail(&Error::io("end", path, error));
            return state;
        }
        state.is_ending = true;
        let last = state.appended;
        state = self.sync_to(state, last);
        state.is_ending = false;
        if self.failure.get().is_none()
            && let Some(log) = self.cut(&mut state)
        {
            Self::complete(log);
        }
        self.file_ended.notify_all();
        state
    }

    /// Takes the current file: later entries go to another. No write may be in progress.
    pub(super) fn cut(&self, state: &mut State) -> Option<CutLog> {
        let mut encoder = state.encoder.take()?;
        state.syncer = None;
        state.names.clear();
        // Of writes that were given up, as a thread panicked before it waited for them. They would get into
        // the next file, where their offsets are wrong.
        encoder.go_back(encoder.offset() - state.pending.len() as u64);
        state.pending.clear();
        let file = state.file.take()?;
        let is_reserved = state.reserved > encoder.offset();
        state.has_unsynced_cut |= state.appended > state.synced;
        Some(CutLog { file, encoder, key: state.last_key.clone(), is_reserved })
    }

    /// Syncs what has been written to the file, while more is written. Then little is left for the sync of
    /// a file that is cut, for which the writers of the next one wait. If this fails, the log has failed.
    pub(super) fn sync_written(&self) {
        let mut state = self.state();
        let is_synced = state.written <= state.synced || self.failure.get().is_some();
        let Some(syncer) = state.syncer.clone().filter(|_| !is_synced && self.owner.check().is_ok()) else {
            return;
        };
        let path = state.names.first().cloned().unwrap_or_default();
        state.syncs_beside += 1;
        drop(state);
        // Writers may wait for this.
        let busy = Busy(self);
        let synced = syncer.sync();
        mem::forget(busy);
        match synced {
            Ok(()) => {
                self.state().syncs_beside -= 1;
                self.file_ended.notify_all();
            }
            // A later sync may succeed all the same.
            Err(error) => self.fail_all(&Error::io("sync", &path, error)),
        }
    }

    /// Syncs a file that was cut, and completes it.
    pub(super) fn finish(&self, mut log: CutLog) {
        if self.failure.get().is_some() {
            return;
        }
        // Writers of the next file may wait for this.
        let busy = Busy(self);
        let synced = log.file.sync();
        mem::forget(busy);
        match synced {
            Ok(()) => {
                self.state().has_unsynced_cut = false;
                self.file_ended.notify_all();
                Self::complete(log);
            }
            Err(error) => self.fail_all(&Error::io("sync", log.file.path(), error)),
        }
    }

    /// Waits until the entries of a file that was cut are on disk.
    ///
    /// # Errors
    ///
    /// If that cannot be. The log has failed then.
    fn wait_for_cut(&self) -> io::Result<()> {
        let mut state = self.state();
        while state.has_unsynced_cut && self.failure.get().is_none() {
            state = unpoisoned(self.file_ended.wait(state));
        }
        self.failure.get().map_or(Ok(()), |error| Err(io::Error::other(error.clone())))
    }

    /// Completes a file whose entries are on disk: a trailer says so. In a file that is longer than its
    /// entries, an entry without cells does: a reader may be reading the file, which must not become shorter.
    fn complete(log: CutLog) {
        let CutLog { mut file, mut encoder, key, is_reserved } = log;
        let mut bytes = Vec::new();
        if is_reserved {
            encoder.synced(encoder.offset());
            let Ok(()) = encoder.empty_entry(&key, &mut bytes) else { return };
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

    /// Makes the current file have a name in the region's directory, which is on disk when this returns.
    /// Creates the file, for entries of this region from `seq_id` on, if there is none. Returns false if the
    /// storage has no hard links, or no more of this file.
    ///
    /// # Errors
    ///
    /// If an I/O operation fails. Later writes try again.
    pub(super) fn name_file(
        &self,
        log: &RegionLog,
        state: &mut State,
        part: &mut Part,
        seq_id: i64,
    ) -> Result<bool> {
        if state.has_name(part) {
            return Ok(true);
        }
        self.owner.check().map_err(|error| Error::io("write to", &log.dir, error))?;
        let storage = log.storage.as_ref();
        if !part.has_dir {
            durable::create_dir_durably(storage, &log.region, &log.dir)?;
            part.has_dir = true;
        }
        log.reserve_name(part, seq_id)?;
        let path = log.dir.join(log_name(seq_id));
        let made = match state.names.first().filter(|_| state.encoder.is_some()) {
            None => Self::create(log, &path, seq_id).map(Some),
            Some(other) => match storage.hard_link(other, &path) {
                Ok(()) => Ok(None),
                Err(error) if has_no_links(&error) => return Ok(false),
                Err(error) => Err((may_be_made(&error), Error::io("link", &path, error))),
            },
        };
        let synced = made.and_then(|made| match durable::sync_dir(storage, &log.dir) {
            Ok(()) => Ok(made),
            Err(error) => Err((true, error)),
        });
        match synced {
            Ok(None) => {}
            Ok(Some((file, encoder))) => {
                state.number += 1;
                state.roll_size = self.settings.roll_size.min(file.max_len());
                state.syncer = file.syncer();
                (state.encoder, state.file, state.reserved) = (Some(encoder), Some(file), 0);
                state.names.clear();
                self.may_lag.store(state.number > self.settings.max_logs, Ordering::Relaxed);
            }
            Err((is_named, error)) => {
                // No entry of the region is under this name; the next write makes another. Otherwise each
                // write that fails would leave a file.
                if is_named
                    && let Err(error) = storage.remove(&path)
                    && error.kind() != io::ErrorKind::NotFound
                {
                    part.logs.push_back(NamedLog { path, number: 0, last: i64::MIN });
                }
                return Err(error);
            }
        }
        part.logs.push_back(NamedLog { path: path.clone(), number: state.number, last: i64::MIN });
        state.names.push(path);
        state.last_key = part.key.clone();
        Ok(true)
    }

    /// Creates a file whose header is on disk. With an error comes whether the file may have a name.
    #[allow(clippy::type_complexity, reason = "used once")]
    fn create(
        log: &RegionLog,
        path: &Path,
        seq_id: i64,
    ) -> Result<(Box<dyn LogFile>, WalEncoder), (bool, Error)> {
        let header = WalHeader::default().with_log_id(log_id(seq_id));
        let encoder = WalEncoder::new(&header, true, false);
        let (encoder, bytes) = encoder.map_err(|corruption| (false, corruption.at(path, 0)))?;
        let created = log.storage.create_log(path);
        let mut file = created.map_err(|error| (may_be_made(&error), Error::io("create", path, error)))?;
        let written = file.append(&bytes, bytes.len()).and_then(|()| file.sync());
        written.map_err(|error| (true, Error::io("write", path, error)))?;
        Ok((file, encoder))
    }

    /// Waits until all entries up to one are on disk, or known not to be in the file. After a failure of the
    /// log that is not so.
    pub(super) fn sync(&self, number: u64) {
        drop(self.sync_to(self.state(), number));
    }

    /// As [`sync`](Self::sync). The state is unlocked meanwhile.
    pub(super) fn sync_to<'s>(
        &'s self,
        mut state: MutexGuard<'s, State>,
        number: u64,
    ) -> MutexGuard<'s, State> {
        // Rounds that end wake this thread.
        state.unseen += 1;
        while self.failure.get().is_none() && state.encoder.is_some() && state.synced < number {
            state = match state.file.take() {
                Some(file) => {
                    state.wanted = state.wanted.max(number);
                    self.write_pending(state, file, &mut None)
                }
                None => {
                    let round = state.round.number;
                    unpoisoned(self.ended(round).wait(state))
                }
            };
        }
        state.see_outcome();
        state
    }

    /// Waits until an entry is as durable as asked. Writes pending entries if no other thread does.
    ///
    /// If `write` is the write of the entry, whose cells are in memory, another thread may complete it once
    /// the entry is durable: `write` is `None` then. So a thread does not sleep twice, for the log and for
    /// the writes before its own.
    ///
    /// # Errors
    ///
    /// If the entry is not in the file, because the disk is full; if an append or sync has failed, so that it
    /// is not known what is in the file. The write is not complete.
    pub(super) fn wait<'m>(
        &self,
        Ticket { number, .. }: Ticket,
        durability: Durability,
        mvcc: &'m Arc<Mvcc>,
        write: &mut Option<WriteEntry<'m>>,
    ) -> Result<()> {
        let syncs = durability == Durability::FsyncWal;
        let mut waiter = Waiter { log: self, number, mvcc, write, is_asleep: false, is_over: false };
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
                Some(file) => self.write_pending(state, file, waiter.write),
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
                    if let Some(write) = waiter.write.take() {
                        waiter.is_asleep = true;
                        state.asleep.push(Asleep { number, syncs, write: write.share(mvcc) });
                    }
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
        waiter.end(&mut state);
        outcome
    }

    /// Writes the pending entries to the file, and syncs it if a writer waits for that. The state is unlocked
    /// meanwhile. If other threads wait for the outcome, completes their writes whose entries are durable
    /// then, and `own`.
    fn write_pending<'s>(
        &'s self,
        mut state: MutexGuard<'s, State>,
        mut file: Box<dyn LogFile>,
        own: &mut Option<WriteEntry<'_>>,
    ) -> MutexGuard<'s, State> {
        let syncs = state.wanted > state.synced;
        let spare = mem::take(&mut state.spare);
        let mut bytes = mem::replace(&mut state.pending, spare);
        if !file.can_overwrite() && bytes.ends_with(&TRAILER) {
            state.end_without_trailer(&mut bytes);
        }
        let end = state.encoder.as_ref().map_or(0, WalEncoder::offset);
        let base = end - bytes.len() as u64;
        let target = state.appended;
        state.round = Round { number: state.round.number + 1, last: target, syncs };
        state.end_gathering();
        let mut batch =
            Batch { bytes, base, syncs, reserved: state.reserved, is_after_cut: state.has_unsynced_cut };
        drop(state);
        let busy = Busy(self);
        let Written { outcome, is_undone, sync_time } = self.write_batch(&mut *file, &mut batch);
        mem::forget(busy);
        let Batch { mut bytes, reserved, .. } = batch;
        let mut state = self.state();
        // The system may say only once that bytes could not be written: to a sync beside this one.
        while syncs && state.syncs_beside > 0 && self.failure.get().is_none() {
            state = unpoisoned(self.file_ended.wait(state));
        }
        let outcome = if state.syncs_beside > 0 { outcome.and_then(|()| self.check()) } else { outcome };
        (state.file, state.reserved) = (Some(file), reserved);
        let is_done = outcome.is_ok();
        match outcome {
            Ok(()) => {
                state.written = target;
                if let Some(time) = sync_time {
                    (state.synced, state.sync_time) = (target, time);
                    state.sync_ended = Stopwatch::start();
                    if let Some(encoder) = &mut state.encoder {
                        encoder.synced(end);
                    }
                }
            }
            Err(error) if is_undone => {
                // Entries that were appended meanwhile have offsets after those that failed.
                let numbers = state.written + 1..=state.appended;
                state.refused.push((numbers, error));
                state.written = state.appended;
                state.pending.clear();
                if let Some(encoder) = &mut state.encoder {
                    encoder.go_back(base);
                }
            }
            Err(error) => self.fail(&error),
        }
        if bytes.capacity() <= MAX_SPARE {
            bytes.clear();
            state.spare = bytes;
        }
        state.waited = [state.unseen, state.waited[0]];
        // A notification is a call of the system; the entry of this thread is unseen, too.
        if state.unseen > 1 {
            state = self.end_round(state, is_done, own);
        }
        state
    }

    /// Writes a batch to the file, and syncs that if it is to be synced. If the disk is full, removes what
    /// has been written of the batch; if the storage has refused it, nothing was.
    fn write_batch(&self, file: &mut dyn LogFile, batch: &mut Batch) -> Written {
        let Batch { bytes, base, syncs, reserved, is_after_cut } = batch;
        let (base, syncs, is_after_cut) = (*base, *syncs, *is_after_cut);
        let kept = bytes.len();
        let is_longer = file.can_overwrite() && mark_end(bytes, base, reserved, syncs);
        // A forked process has the same file.
        let mut written = self.owner.check();
        if written.is_ok() && is_after_cut {
            // What is written now must not survive a loss of power without the entries of the file before.
            written = self.wait_for_cut();
        }
        let mut is_refused = false;
        if written.is_ok() && kept > 0 {
            written = file.append(bytes, kept);
            is_refused = written.is_err() && file.is_unchanged();
        }
        let mut is_undone = is_refused || is_full(&written) && file.truncate(base).is_ok();
        if is_undone && !is_refused {
            *reserved = 0;
            if is_longer {
                written = file.append(&bytes[..kept], kept);
                is_undone = is_full(&written) && file.truncate(base).is_ok();
            }
        }
        // What is refused now must not return after a loss of power.
        is_undone = is_undone && file.sync().is_ok();
        let started = syncs.then(Stopwatch::start);
        let synced = if written.is_ok() && syncs { file.sync() } else { Ok(()) };
        let sync_time = started.map(Stopwatch::elapsed);
        let at = |action, error| Error::io(action, file.path(), error);
        let outcome = written
            .map_err(|error| at("write", error))
            .and_then(|()| synced.map_err(|error| at("sync", error)));
        Written { outcome, is_undone, sync_time }
    }

    /// Wakes the threads whose entries the current round has written, and one for the next round. If the
    /// round has succeeded, first completes the writes whose entries are durable, and `own`. The state is
    /// unlocked meanwhile.
    fn end_round<'s>(
        &'s self,
        mut state: MutexGuard<'s, State>,
        is_done: bool,
        own: &mut Option<WriteEntry<'_>>,
    ) -> MutexGuard<'s, State> {
        let Round { number: round, last, syncs } = state.round;
        let State { asleep, refused, .. } = &mut *state;
        // A writer whose entry was refused may still be about to take its write back.
        let is_durable = |other: &mut Asleep| {
            other.number <= last
                && (syncs || !other.syncs)
                && !refused.iter().any(|(numbers, _)| numbers.contains(&other.number))
        };
        let complete: Vec<_> = match is_done {
            true => asleep.extract_if(.., is_durable).collect(),
            false => Vec::new(),
        };
        // Unlocked, as those that are woken lock the state. The next round begins first.
        drop(state);
        if is_done {
            drop((own.take(), complete));
            self.ended(round + 1).notify_one();
        } else {
            self.ended(round + 1).notify_all();
        }
        self.ended(round).notify_all();
        self.state()
    }

    fn ended(&self, round: usize) -> &Condvar {
        &self.ended[round % 2]
    }

    /// Adds a region that is open for writing.
    pub(super) fn add(&self, region: Weak<RegionCore>) {
        let mut members = unpoisoned(self.members.lock());
        members.retain(|member| member.strong_count() > 0);
        members.push(region);
    }

    /// Whether there may be regions with entries in files that are too old.
    #[inline]
    pub(super) fn may_lag(&self) -> bool {
        self.may_lag.load(Ordering::Relaxed)
    }

    /// Returns the regions with entries in files that are too old. Each is returned once for each new file.
    pub(super) fn take_lagging(&self) -> Vec<Arc<RegionCore>> {
        if !self.may_lag.swap(false, Ordering::Relaxed) {
            return Vec::new();
        }
        let oldest = self.state().number.saturating_sub(self.settings.max_logs);
        let members: Vec<_> = unpoisoned(self.members.lock()).iter().filter_map(Weak::upgrade).collect();
        let lags = |region: &Arc<RegionCore>| {
            region.log.as_ref().and_then(|log| log.oldest()).is_some_and(|number| number <= oldest)
        };
        members.into_iter().filter(lags).collect()
    }
}

/// Whether a file cannot have another name in another directory.
fn has_no_links(error: &io::Error) -> bool {
    use io::ErrorKind::{CrossesDevices, PermissionDenied, TooManyLinks, Unsupported};
    matches!(error.kind(), CrossesDevices | PermissionDenied | TooManyLinks | Unsupported)
}

/// Whether there may be a name although making it has failed, as the answer was lost; it is not another's.
fn may_be_made(error: &io::Error) -> bool {
    error.kind() != io::ErrorKind::AlreadyExists
}

/// Fails the log if a thread panics while it writes to the file.
struct Busy<'l>(&'l SharedLog);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fail_all(&Error::invalid_argument("a thread panicked while it wrote the log"));
    }
}

/// How often a writer looks whether the system has its entry, and how long it waits each time, before it
/// sleeps.
const SPINS: u32 = 50;
const SPIN: u32 = 30;

/// A sync that takes less time than a thread needs to sleep is not shared by waiting for other writers.
const MIN_SHARED: Duration = Duration::from_micros(20);
/// How long a writer waits for others at most.
const MAX_GATHERING: Duration = Duration::from_millis(1);
/// The number of rounds after which it is measured again whether waiting for others takes less time than a
/// sync.
const UNGATHERED: u32 = 64;

/// The largest buffer that is kept for reuse.
const MAX_SPARE: usize = 1 << 20;

/// The names of logs are numbers from here on. HBase takes such a file for one of recovered edits, and skips
/// it if the number is not above all flushed ones.
const FIRST_NAME: i64 = 4_000_000_000_000_000_000;

/// Returns the name of a log whose first entry of the region has this sequence id: names are in the order of
/// the entries.
pub(super) fn log_name(seq_id: i64) -> String {
    format!("{:019}", FIRST_NAME.saturating_add(seq_id))
}

/// Whether a file of recovered edits is named as a log of a region, which may have entries of others.
pub(in crate::region) fn is_log_name(name: &str) -> bool {
    name.parse().is_ok_and(|number: i64| number >= FIRST_NAME)
}

/// Returns a random id of a log.
pub(super) fn log_id(seq_id: i64) -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one((seq_id, crate::io::process_id()))
}
