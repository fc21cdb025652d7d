//! The file that the regions of a table append to (HBase: `FSHLog`).

mod group_commit;

use super::RegionLog;
use super::region_log::{NamedLog, Part};
use crate::clock::Stopwatch;
use crate::error::{Error, Result};
use crate::io::{LogFile, LogSyncer, Owner};
use crate::layout::durable;
use crate::region::RegionCore;
use crate::sync::unpoisoned;
use crate::wal::{END_MARK, TRAILER, WalEncoder, WalHeader, WalKey};
use group_commit::{Asleep, Round};
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
    /// Signalled when a file has been ended, when a cut file is durable, and when a concurrent sync has
    /// ended.
    file_ended: Condvar,
    /// The reason that nothing can be logged any more: the contents of the file are unknown.
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
    /// The number of files above which regions with entries in the oldest one are flushed.
    pub(in crate::region) max_logs: u64,
    /// Whether several regions append to the log. If not, a flush of the region ends the file.
    pub(in crate::region) is_shared: bool,
}

impl LogSettings {
    /// Returns the settings of the log of one region.
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
    /// The number of its syncs that have begun and not yet succeeded.
    syncs_beside: usize,
    /// The number of the file, or of the last one. The first is 1.
    number: u64,
    /// The names of the file. It has no others.
    names: Vec<PathBuf>,
    /// Whether a thread is ending the file. Nothing may be appended then.
    is_ending: bool,
    /// Whether a cut file has entries that may not be durable. They must be, before an entry of the next file
    /// is written.
    has_unsynced_cut: bool,
    /// The key of the last entry of one of the regions.
    last_key: WalKey,
    /// The length in bytes at which the file is ended.
    roll_size: u64,
    /// The length of the file, if it is longer than its entries; otherwise at most theirs.
    reserved: u64,
    /// Entries that are not in the file yet.
    pub(super) pending: Vec<u8>,
    /// A buffer to reuse.
    spare: Vec<u8>,
    /// The numbers of the last entries that were appended, written to the system, and synced; and of the last
    /// one to sync.
    appended: u64,
    written: u64,
    synced: u64,
    wanted: u64,
    /// The current round, or the last one.
    round: Round,
    /// The duration of the last sync, and the time at which it ended.
    sync_time: Duration,
    sync_ended: Stopwatch,
    /// The number of writers that waited when the last round ended, and when the previous one ended.
    waited: [u64; 2],
    /// The entry whose writer waits for others before it begins a round.
    gathering: Option<u64>,
    /// The number of rounds to begin without waiting for others, after a wait that took longer than a sync.
    ungathered: u32,
    /// The number of entries whose writers have not yet seen their outcome.
    unseen: u64,
    /// Entries that are not in the file, with the error.
    refused: Vec<(RangeInclusive<u64>, Error)>,
    /// The writes of sleeping threads. The thread that makes their entries durable completes them.
    asleep: Vec<Asleep>,
}

/// A file that gets no more entries, and is not complete yet.
#[derive(Debug)]
pub(in crate::region) struct CutLog {
    file: Box<dyn LogFile>,
    encoder: WalEncoder,
    /// The key of the end mark, after the last entry.
    key: WalKey,
    is_reserved: bool,
}

/// An entry that was appended.
#[derive(Debug)]
#[must_use = "the entry is not durable yet"]
pub(in crate::region) struct Ticket {
    pub(super) number: u64,
    /// Whether it is in a log that regions share. The region may have left that log in the meantime.
    pub(super) is_shared: bool,
}

impl State {
    /// Whether an entry of the region is in the file or may be, but may not be on disk.
    pub(super) fn is_in_doubt(&self, part: &Part) -> bool {
        part.entry > self.synced
    }

    /// Whether the region has a name of the file that is being written.
    fn has_name(&self, part: &Part) -> bool {
        self.encoder.is_some() && part.logs.back().is_some_and(|log| log.number == self.number)
    }

    /// Records the entry that was encoded last as appended. Returns its number.
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

    /// Gives up a name of the file that is being written, which is about to be removed. A file without a name
    /// cannot get another one, so it is then ended.
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

    /// Returns the reason that writes are no longer accepted; `None` if they are accepted.
    pub(super) fn failure(&self) -> Option<Error> {
        self.failure.get().cloned()
    }

    /// Fails if an earlier append or sync has failed.
    pub(super) fn check(&self) -> Result<()> {
        self.failure.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    fn fail(&self, error: &Error) {
        // The first failure is kept: later ones are its consequences.
        self.failure.get_or_init(|| Error::poisoned_log(error));
    }

    /// Like [`fail`](Self::fail), outside of a round, and wakes all waiting threads, because no round may
    /// follow. With the state locked, every thread that has not seen the failure is already waiting.
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

    /// Ends the file, if any: later entries are appended to another.
    pub(in crate::region) fn roll(&self) {
        let mut state = self.state();
        while state.is_ending && self.failure.get().is_none() {
            state = unpoisoned(self.file_ended.wait(state));
        }
        drop(self.end_file(state));
    }

    /// Ends the file: all its entries are durable before later ones are appended to another. After a failure
    /// the file is left unchanged.
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

    /// Takes the current file: later entries are appended to another. No write may be in progress.
    pub(super) fn cut(&self, state: &mut State) -> Option<CutLog> {
        let mut encoder = state.encoder.take()?;
        state.syncer = None;
        state.names.clear();
        // Drops pending entries, left by a thread that panicked before it waited for them: their offsets
        // would be wrong in the next file.
        encoder.go_back(encoder.offset() - state.pending.len() as u64);
        state.pending.clear();
        let file = state.file.take()?;
        let is_reserved = state.reserved > encoder.offset();
        state.has_unsynced_cut |= state.appended > state.synced;
        Some(CutLog { file, encoder, key: state.last_key.clone(), is_reserved })
    }

    /// Syncs the entries written so far, while more are written. This leaves little for the sync of a cut
    /// file, for which the writers of the next file wait. If this fails, the log has failed.
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
            // A later sync may succeed nevertheless, so the log fails now.
            Err(error) => self.fail_all(&Error::io("sync", &path, error)),
        }
    }

    /// Syncs a cut file, and completes it.
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

    /// Waits until the entries of a cut file are durable.
    ///
    /// # Errors
    ///
    /// If this is impossible. The log has then failed.
    fn wait_for_cut(&self) -> io::Result<()> {
        let mut state = self.state();
        while state.has_unsynced_cut && self.failure.get().is_none() {
            state = unpoisoned(self.file_ended.wait(state));
        }
        self.failure.get().map_or(Ok(()), |error| Err(io::Error::other(error.clone())))
    }

    /// Completes a file whose entries are durable: appends a trailer or, if the file is longer than its
    /// entries, an entry without cells, because a reader may be reading the file, which must not be truncated
    /// then.
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
        // A log without this end, or with a part of it, has the same entries, so an error does not matter.
        let _ = file.append(&bytes, kept);
    }

    /// Gives the current file a name in the region's directory, which is durable when this returns. Creates
    /// the file, for entries of this region from `seq_id` on, if there is none. Returns false if the storage
    /// cannot make hard links, or no more of this file.
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
                // Removes the name, under which the region has no entry; the next write makes another.
                // Otherwise each failed write would leave a file.
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

    /// Creates a file whose header is on disk. An error comes with whether the file may have a name.
    #[allow(clippy::type_complexity, reason = "used once")]
    fn create(
        log: &RegionLog,
        path: &Path,
        seq_id: i64,
    ) -> Result<(Box<dyn LogFile>, WalEncoder), (bool, Error)> {
        let header = WalHeader::default().with_log_id(log_id(seq_id));
        let encoder = WalEncoder::of_recovered_edits(&header);
        let (encoder, bytes) = encoder.map_err(|corruption| (false, corruption.at(path, 0)))?;
        let created = log.storage.create_log(path);
        let mut file = created.map_err(|error| (may_be_made(&error), Error::io("create", path, error)))?;
        let written = file.append(&bytes, bytes.len()).and_then(|()| file.sync());
        written.map_err(|error| (true, Error::io("write", path, error)))?;
        Ok((file, encoder))
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

/// Whether the name may exist although making it failed: the response may have been lost. If it belongs to
/// another file, the error shows that.
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

/// The least number in the name of a log. HBase takes such a file for recovered edits, and skips it unless
/// the number is above all flushed sequence ids.
const FIRST_NAME: i64 = 4_000_000_000_000_000_000;

/// Returns the name of a log whose first entry of the region has this sequence id: names are in the order of
/// the entries.
pub(super) fn log_name(seq_id: i64) -> String {
    format!("{:019}", FIRST_NAME.saturating_add(seq_id))
}

/// Whether a file among recovered edits has the name of a log, which may have entries of other regions.
pub(in crate::region) fn is_log_name(name: &str) -> bool {
    name.parse().is_ok_and(|number: i64| number >= FIRST_NAME)
}

/// Returns a random id of a log.
pub(super) fn log_id(seq_id: i64) -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one((seq_id, crate::io::process_id()))
}
