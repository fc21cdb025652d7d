//! A region's part of a log: the names of the files with its entries (wal.md §17).

use super::shared::{CutLog, LogSettings, SharedLog, State, Ticket};
use crate::error::{Error, Result};
use crate::io::Storage;
use crate::layout::{RegionDir, durable, replace_max_seq_id};
use crate::limits::Limits;
use crate::region::RegionCore;
use crate::region::open::SKIPPED_IDS;
use crate::sync::unpoisoned;
use crate::wal::{WalKey, WalReader};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};

/// The log of a region: the files with its entries, by their names in its directory of recovered edits.
#[derive(Debug)]
pub(in crate::region) struct RegionLog {
    pub(super) storage: Arc<dyn Storage>,
    /// The directory of the logs.
    pub(super) dir: PathBuf,
    /// The region's directory.
    pub(super) region: PathBuf,
    /// The log that the region was opened with.
    common: Arc<SharedLog>,
    /// The region's own log, if the storage turned out to have no hard links.
    own: OnceLock<SharedLog>,
    /// Locked after the state of the log that the region appends to.
    part: Mutex<Part>,
    /// The maximum number of bytes of an entry: a longer one could not be read again. 0 if the region's key
    /// is too long for any entry.
    pub(super) max_entry: usize,
    /// For each store, the sequence id up to which its cells are in files.
    flushed: Mutex<Vec<i64>>,
    /// The names of files that could not be removed.
    unremoved: Mutex<Vec<String>>,
}

/// The entries of a region in a log.
#[derive(Debug)]
pub(super) struct Part {
    /// The key of the region's last entry.
    pub(super) key: WalKey,
    /// The number of the region's last entry.
    pub(super) entry: u64,
    /// If that entry may not be durable, the sequence id up to which all entries of the region are.
    pub(super) synced_to: i64,
    /// The names of files, oldest first.
    pub(super) logs: VecDeque<NamedLog>,
    pub(super) has_dir: bool,
    /// The sequence id up to which names are not reused when the region is opened again. Used only in a
    /// storage without renames.
    reserved_to: i64,
    /// The sequence id up to which the cells in memory were logged again after the log failed.
    pub(super) logged_again_to: i64,
}

/// A name of a file with entries of the region.
#[derive(Clone, Debug)]
pub(super) struct NamedLog {
    pub(super) path: PathBuf,
    /// The number of the file; 0 if the region appends nothing more under this name.
    pub(super) number: u64,
    /// The greatest sequence id of the region's entries.
    pub(super) last: i64,
}

/// The part of a log that a flush makes unnecessary.
#[derive(Debug)]
pub(in crate::region) enum Frozen {
    /// A file of this region alone, which gets no more entries.
    File(Option<Box<CutLog>>),
    /// Entries up to the region's entry with this number.
    Entries(u64),
}

impl RegionLog {
    pub(in crate::region) fn new(
        dir: &RegionDir,
        storage: &Arc<dyn Storage>,
        common: Arc<SharedLog>,
        stores: usize,
        limits: &Limits,
    ) -> Self {
        let key = WalKey::new(dir.info().encoded_name(), dir.info().table().to_string(), 0, 0);
        let is_readable = key.max_len() <= WalReader::max_key_len(limits.block_bytes);
        let part = Part {
            key,
            entry: 0,
            synced_to: i64::MAX,
            logs: VecDeque::new(),
            has_dir: false,
            reserved_to: i64::MIN,
            logged_again_to: i64::MIN,
        };
        Self {
            storage: Arc::clone(storage),
            dir: dir.recovered_edits_dir(),
            region: dir.path().to_owned(),
            common,
            own: OnceLock::new(),
            part: Mutex::new(part),
            max_entry: if is_readable { limits.block_bytes } else { 0 },
            flushed: Mutex::new(vec![0; stores]),
            unremoved: Mutex::default(),
        }
    }

    /// Returns the log that the region appends to.
    pub(super) fn shared(&self) -> &SharedLog {
        self.own.get().unwrap_or(&self.common)
    }

    /// Returns the log that an entry was appended to.
    pub(super) fn of(&self, ticket: &Ticket) -> &SharedLog {
        if ticket.is_shared { &self.common } else { self.shared() }
    }

    /// Whether the region appends to `log`. It may leave that log unless the log's state or the region's part
    /// is locked.
    pub(super) fn appends_to(&self, log: &SharedLog) -> bool {
        ptr::eq(self.shared(), log)
    }

    /// Gives the region a log of its own, if it has none. Its entries in the old log are durable by then, so
    /// a later failure of that log does not affect the region. If that log has failed, or the region has
    /// appended more entries in the meantime, it stays.
    pub(super) fn leave(&self, shared: &SharedLog, state: MutexGuard<'_, State>, part: MutexGuard<'_, Part>) {
        let last = part.entry;
        drop(part); // locked after the state, which is unlocked during the wait
        let state = shared.sync_to(state, last);
        let mut part = self.part();
        if self.appends_to(shared) && !state.is_in_doubt(&part) {
            let own = self.own.get_or_init(|| SharedLog::new(LogSettings::alone()));
            debug_assert!(self.appends_to(own), "only the first own log is used");
            (part.entry, part.synced_to) = (0, i64::MAX);
            // these numbers refer to files of the old log
            part.logs.iter_mut().for_each(|log| log.number = 0);
        }
    }

    /// Locks the state of the log that the region appends to, and the region's part.
    fn locked(&self) -> (&SharedLog, MutexGuard<'_, State>, MutexGuard<'_, Part>) {
        loop {
            let shared = self.shared();
            let (state, part) = (shared.state(), self.part());
            if self.appends_to(shared) {
                return (shared, state, part);
            }
        }
    }

    pub(super) fn part(&self) -> MutexGuard<'_, Part> {
        unpoisoned(self.part.lock())
    }

    /// Reserves the name made from a sequence id. In an object store, a request to remove a file may take
    /// effect late if it got no response, so no name may be reused. The region therefore first records a
    /// greater sequence id, and continues after it when it is opened again.
    ///
    /// # Errors
    ///
    /// If an I/O operation fails. The name must not be used then.
    pub(super) fn reserve_name(&self, part: &mut Part, seq_id: i64) -> Result<()> {
        if seq_id > part.reserved_to && !self.storage.can_rename(&self.dir) {
            let reserved_to = seq_id.saturating_add(SKIPPED_IDS);
            replace_max_seq_id(&self.storage, &self.dir, reserved_to)?;
            part.reserved_to = reserved_to;
        }
        Ok(())
    }

    /// Adds the region to those that are asked for a flush if they have entries in old files.
    pub(in crate::region) fn add(&self, region: Weak<RegionCore>) {
        self.common.add(region);
    }

    /// Returns the reason that writes are no longer accepted; `None` if they are accepted.
    pub(in crate::region) fn failure(&self) -> Option<Error> {
        self.shared().failure()
    }

    /// Fails if an earlier append or sync has failed.
    pub(in crate::region) fn check(&self) -> Result<()> {
        self.shared().check()
    }

    /// Limits the sequence id of a flush after a failure: unacknowledged entries may be in the log although
    /// their cells are not in memory. A file that claimed to have them would let a replay add them only to
    /// the families that were not flushed.
    pub(in crate::region) fn limit_flush(&self, seq_id: i64) -> i64 {
        if self.failure().is_none() {
            return seq_id;
        }
        let (_, state, part) = self.locked();
        if state.is_in_doubt(&part) { seq_id.min(part.synced_to) } else { seq_id }
    }

    /// Syncs the region's entries, as far as that is possible while entries are appended. Called before a
    /// flush, which blocks writers while it syncs the rest.
    pub(in crate::region) fn sync_ahead(&self) {
        let (shared, state, part) = self.locked();
        let is_in_doubt = state.is_in_doubt(&part);
        drop((state, part));
        if is_in_doubt {
            shared.sync_written();
        }
    }

    /// Begins a flush: if no other region appends to the file, later entries go to another. No write of the
    /// region may be in progress.
    pub(in crate::region) fn freeze(&self) -> Frozen {
        let (shared, mut state, mut part) = self.locked();
        if shared.is_shared() {
            return Frozen::Entries(if state.is_in_doubt(&part) { part.entry } else { 0 });
        }
        if shared.failure().is_none() {
            part.entry = 0;
        }
        Frozen::File(shared.cut(&mut state).map(Box::new))
    }

    /// Waits until the frozen entries are durable, and completes the file.
    ///
    /// # Errors
    ///
    /// If this is impossible.
    pub(in crate::region) fn finish(&self, frozen: Frozen, seq_id: i64) -> Result<()> {
        let log = match frozen {
            Frozen::File(None) => self.shared(),
            Frozen::File(Some(log)) => {
                self.shared().finish(*log);
                self.shared()
            }
            // The region may have left this log in the meantime.
            Frozen::Entries(0) => &self.common,
            Frozen::Entries(entry) => {
                self.common.sync(entry);
                let (_state, mut part) = (self.common.state(), self.part());
                if self.common.failure().is_none() {
                    part.synced_to = part.synced_to.max(seq_id);
                }
                &self.common
            }
        };
        log.check()
    }

    /// Records that the cells of a store up to a sequence id are in files.
    pub(in crate::region) fn flushed(&self, store: usize, seq_id: i64) {
        unpoisoned(self.flushed.lock())[store] = seq_id;
    }

    /// Removes the names of files whose entries of the region are all in store files, oldest first, and each
    /// durably before the next: a log that reappeared after a crash without a later one would lack that one's
    /// deletes. Names that cannot be removed are retried after the next flush.
    ///
    /// # Errors
    ///
    /// If a name cannot be removed.
    pub(in crate::region) fn remove_flushed(&self) -> Result<()> {
        let flushed = unpoisoned(self.flushed.lock()).iter().copied().min().unwrap_or(0);
        let next = || {
            let (_, mut state, mut part) = self.locked();
            let log = part.logs.front_mut().filter(|log| log.last <= flushed)?;
            state.forget_name(log);
            Some(log.path.clone())
        };
        while let Some(path) = next() {
            let storage = self.storage.as_ref();
            let removed = durable::unless_not_found(durable::remove(storage, &path))
                .and_then(|()| durable::sync_dir(storage, &self.dir));
            let mut part = self.part();
            if removed.is_err() {
                let left = part.logs.iter().filter(|log| log.last <= flushed);
                let name =
                    |log: &NamedLog| log.path.file_name().map(|name| name.to_string_lossy().into_owned());
                *unpoisoned(self.unremoved.lock()) = left.filter_map(name).collect();
            }
            removed?;
            part.logs.pop_front();
        }
        unpoisoned(self.unremoved.lock()).clear();
        Ok(())
    }

    /// Ends the region's part in the current file, whose name stays. No other name is linked from it, because
    /// another process may remove it.
    pub(in crate::region) fn leave_file(&self) {
        let (_, mut state, mut part) = self.locked();
        part.logs.iter_mut().for_each(|log| state.forget_name(log));
    }

    /// Returns the number of the oldest file of the common log that has entries of the region. A region that
    /// has left this log has none: its own files have other numbers.
    pub(super) fn oldest(&self) -> Option<u64> {
        let part = self.part();
        if self.own.get().is_some() {
            return None;
        }
        part.logs.iter().map(|log| log.number).find(|number| *number > 0)
    }

    /// Whether there are files of this log.
    pub(in crate::region) fn has_files(&self) -> bool {
        !self.part().logs.is_empty()
    }

    /// Returns the names of files that could not be removed. Does not wait for the storage.
    pub(in crate::region) fn unremoved(&self) -> Vec<String> {
        unpoisoned(self.unremoved.lock()).clone()
    }
}
