//! Replays recovered edits into memory when a region is opened (wal.md §12; HBase:
//! `HRegion.replayRecoveredEditsIfAny`).

use super::log::is_log_name;
use super::{Region, RegionCore};
use crate::cell::CellRef;
use crate::error::{Corruption, Error, ErrorKind, Result};
use crate::io::{FileReader, Storage};
use crate::layout::{LogTree, RegionDir, durable};
use crate::memstore::Segment;
use crate::schema::RegionInfo;
use crate::store::{Store, StoreFile};
use crate::sync::unpoisoned;
use crate::wal::{MARKER_FAMILY, WalEnd, WalEntry, WalReader, WalReaderOptions};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::mem;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

/// The recovered edits of a region that is being opened.
#[derive(Debug)]
pub(super) struct RecoveredEdits {
    info: RegionInfo,
    storage: Arc<dyn Storage>,
    reading: WalReaderOptions,
    /// The logs, in order.
    logs: Vec<Log>,
    /// Whether closed logs with a torn end are accepted.
    accept_torn: bool,
    /// The name of the region's directory.
    encoded_name: String,
    /// The names of the files of each family.
    files: BTreeMap<Vec<u8>, BTreeSet<String>>,
}

/// A log to be replayed.
#[derive(Debug)]
struct Log {
    path: PathBuf,
    /// Opened at once: another process may remove the log when its cells are in files.
    file: Arc<dyn FileReader>,
    /// Whether it was given by the caller: it is then not changed.
    is_given: bool,
    /// Whether it may have edits of other regions besides this one's parents.
    is_shared: bool,
}

impl Log {
    fn name(&self) -> &str {
        self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// Whether no entry needs to be replayed, because all files have those up to `floor`. The name is the
    /// greatest sequence id in the log. As in HBase, its sign does not count.
    fn is_flushed(&self, floor: i64) -> bool {
        let greatest = self.name().parse::<i64>().ok().and_then(i64::checked_abs);
        !self.is_given && greatest.is_some_and(|greatest| greatest <= floor)
    }
}

/// The result of the replay when a region was opened: see [`Region::replayed`](super::Region::replayed)
/// (HBase: `HRegion#replayRecoveredEditsIfAny`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplayReport {
    /// The number of entries with cells of the region.
    pub edits: u64,
    /// The number of their cells.
    pub cells: u64,
    /// The number of cells that were not replayed: they are already in store files, or of a family that the
    /// table does not have.
    pub skipped: u64,
    /// The names of the store files that were written.
    pub flushed: Vec<String>,
}

/// The family and name of files.
type ReplacedFiles = BTreeSet<(Vec<u8>, String)>;

/// The outcome of a replay.
#[derive(Debug, Default)]
pub(super) struct Replayed {
    pub(super) report: ReplayReport,
    /// The greatest sequence id of all entries.
    pub(super) max_seq_id: i64,
    /// The recovered edits that were read to their end.
    pub(super) whole: Vec<PathBuf>,
    /// The recovered edits whose last entry is incomplete. It was never acknowledged, unless the log was
    /// closed. Also those that are damaged, but need no replay.
    pub(super) torn: Vec<PathBuf>,
    /// The files that compactions have replaced.
    pub(super) compacted: ReplacedFiles,
    pub(super) warnings: Vec<Error>,
}

/// Sequence ids of entries that are replayed together.
pub(super) type Window = RangeInclusive<i64>;

/// All sequence ids.
const ALL: Window = i64::MIN..=i64::MAX;

/// The reason that edits were not replayed.
pub(super) enum ReplayError {
    /// Their cells take more memory than allowed. Some of them have been added.
    TooLarge(Error),
    Failed(Error),
}

impl ReplayError {
    pub(super) fn into_error(self) -> Error {
        let (Self::TooLarge(error) | Self::Failed(error)) = self;
        error
    }
}

/// Entries that are replayed after earlier ones are in files, because all together take too much memory.
#[derive(Debug)]
pub(super) struct LaterEdits {
    pub(super) edits: RecoveredEdits,
    pub(super) windows: Vec<Window>,
    /// The greatest sequence id in the files of each store when the region was opened.
    pub(super) flushed: Vec<i64>,
}

/// The limits on flushes while a region replays edits.
#[derive(Debug)]
pub(super) struct Replaying {
    is_under_way: AtomicBool,
    seq_id: AtomicI64,
    read_point: i64,
    /// Recovered edits that are in files, kept as the only record of replaced files not archived yet: the
    /// logs read to their end, and those with a torn end.
    kept: Mutex<(Vec<PathBuf>, Vec<PathBuf>)>,
}

impl Replaying {
    /// `files_seq_id` is the greatest sequence id in the files of the region.
    pub(super) fn new(replayed: &Replayed, later: Option<&LaterEdits>, files_seq_id: i64) -> Self {
        let first = later.and_then(|later| later.windows.first());
        Self {
            is_under_way: AtomicBool::new(!replayed.is_empty()),
            seq_id: AtomicI64::new(LaterEdits::replayed_before(first)),
            read_point: files_seq_id,
            kept: Mutex::default(),
        }
    }

    /// Whether some of the edits are not in files yet. Nothing is compacted then, because they may add or
    /// delete cells.
    pub(super) fn is_under_way(&self) -> bool {
        self.is_under_way.load(Ordering::Acquire)
    }

    /// Returns the greatest sequence id that a flush may have: entries after it have not been replayed.
    pub(super) fn seq_id(&self) -> i64 {
        self.seq_id.load(Ordering::Acquire)
    }

    fn set_seq_id(&self, seq_id: i64) {
        self.seq_id.store(seq_id, Ordering::Release);
    }

    /// Returns the greatest read point up to which a flush may drop invisible cells. Later ones are kept
    /// whether visible or not, as in HBase, whose read point has not reached them. A family that was flushed
    /// less far than others may have replayed cells up to it; HBase drops the invisible ones among them.
    pub(super) fn read_point(&self) -> i64 {
        if self.is_under_way() { self.read_point } else { i64::MAX }
    }

    /// Called when all edits are in files.
    pub(super) fn end(&self) {
        self.is_under_way.store(false, Ordering::Release);
    }
}

impl LaterEdits {
    /// Returns the greatest sequence id up to which all entries have been replayed before the window `next`.
    fn replayed_before(next: Option<&Window>) -> i64 {
        next.map_or(i64::MAX, |next| next.start().saturating_sub(1))
    }
}

impl Replayed {
    /// Adds the counts of what was replayed later.
    fn add(&mut self, later: &ReplayReport) {
        let report = &mut self.report;
        report.edits += later.edits;
        report.cells += later.cells;
        report.skipped += later.skipped;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.torn.is_empty() && self.report.cells == 0
    }
}

impl RecoveredEdits {
    /// Opens the recovered edits of a region, before its files are listed. `given` are more logs with edits
    /// of the region. If `may_vanish`, a log that another process has removed is skipped: the files have its
    /// cells. Otherwise the region is locked, and no other process may write to its logs or the given ones.
    /// Unless `accept_torn`, logs that were closed are not replayed if they are torn.
    ///
    /// # Errors
    ///
    /// If a log cannot be opened or synced; if `may_vanish`, and a given log
    /// [may have more](WalReader::refuse_unclosed) than can be read.
    pub(super) fn new(
        dir: &RegionDir,
        given: &[PathBuf],
        storage: &Arc<dyn Storage>,
        reading: WalReaderOptions,
        may_vanish: bool,
        accept_torn: bool,
    ) -> Result<Self> {
        let mut logs = Vec::new();
        let own = dir.recovered_edits()?.iter().map(|path| (path, false));
        for (path, is_given) in own.chain(given.iter().map(|path| (path, true))) {
            if may_vanish && is_given {
                WalReader::refuse_unclosed(&**storage, [path.as_path()], &reading)?;
            }
            let opened = match may_vanish {
                true => storage.open(path),
                false => storage.end_writing(path).and_then(|()| storage.open(path)),
            };
            match opened {
                Ok(file) => {
                    // Entries logged by a dead process may not be durable, and families are flushed one after
                    // the other: a loss of power could leave rows in the file of one family and in no log.
                    if !may_vanish {
                        durable::sync_file(&**storage, path)?;
                    }
                    // Its caller may just have copied it there.
                    if !may_vanish && is_given {
                        durable::sync_dir(&**storage, durable::parent(path))?;
                    }
                    let name = path.file_name().and_then(|name| name.to_str());
                    let is_shared = is_given || name.is_some_and(is_log_name);
                    logs.push(Log { path: path.clone(), file, is_given, is_shared });
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound && may_vanish && !is_given => {}
                Err(error) => return Err(Error::io("open", path, error)),
            }
        }
        let (info, encoded_name) = (dir.info().clone(), dir.info().encoded_name());
        let (storage, files) = (Arc::clone(storage), BTreeMap::new());
        Ok(Self { info, storage, reading, logs, accept_torn, encoded_name, files })
    }

    /// Adds files of a family. Only these matter among the files that logs record as replaced: others no
    /// longer exist.
    pub(super) fn add_files<'n>(&mut self, family: &[u8], names: impl Iterator<Item = &'n str>) {
        self.files.entry(family.to_vec()).or_default().extend(names.map(str::to_owned));
    }

    /// Whether the logs in the region's directory are those that were opened, without more entries of the
    /// region.
    pub(super) fn are_unchanged(&self, dir: &RegionDir) -> Result<bool> {
        if !dir.has_same_edits()? {
            return Ok(false);
        }
        for Log { path, file, is_shared, .. } in self.logs.iter().filter(|log| !log.is_given) {
            match self.storage.open(path) {
                Ok(now) if now.len() == file.len() => {}
                // Other regions make the file longer, too.
                Ok(now) if *is_shared && now.len() > file.len() => {
                    let mut has_later = false;
                    self.read(&now, true)?.for_each_entry(|entry| {
                        let is_later = entry.end() > file.len();
                        has_later |= is_later && self.is_of_this_region(&entry.key().encoded_region_name);
                        Ok(())
                    })?;
                    if has_later {
                        return Ok(false);
                    }
                }
                Ok(_) => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(Error::io("open", path, error)),
            }
        }
        Ok(true)
    }

    /// Finds the files that compactions have replaced in a log. The output of a compaction may not exist: all
    /// cells may have been dropped, or it may have been compacted again.
    fn add_replaced(&self, log: &Log, names: &mut ReplacedFiles) -> Result<WalEnd> {
        let entries = self.read(&log.file, log.is_shared)?;
        entries.for_each_entry(|entry| self.see_marker(&log.path, entry, names))
    }

    /// Adds the files of the region that a compaction has replaced, if the entry is the marker of a
    /// compaction.
    fn see_marker(&self, log: &Path, entry: &WalEntry, names: &mut ReplacedFiles) -> Result<()> {
        let marker = entry.compaction().map_err(|corruption| corruption.at(log, entry.offset()))?;
        if let Some(compaction) = marker
            && self.is_of_this_region(&compaction.encoded_region_name)
        {
            let (family, inputs) = (compaction.family, compaction.inputs);
            let Some(files) = self.files.get(&family) else { return Ok(()) };
            let replaced = inputs.into_iter().filter(|name| files.contains(name));
            names.extend(replaced.map(|name| (family.clone(), name)));
        }
        Ok(())
    }

    /// Adds the cells that are in no store file to the stores' segments, and finds the files that compactions
    /// have replaced. Reads each log once.
    ///
    /// `flushed` are the greatest sequence ids in the files of each store, including those that compactions
    /// have replaced. An edit that is replayed twice has the same cells with the same sequence ids, so it
    /// does no harm.
    ///
    /// # Errors
    ///
    /// If a log is unreadable, or damaged before its end, or torn although it was closed, or has a row that
    /// is not in the region; if the cells take more memory than
    /// [`Limits::load_on_open_bytes`](crate::Limits::load_on_open_bytes): [`ReplayError::TooLarge`].
    pub(super) fn replay(
        &self,
        stores: &[Store],
        segments: &[Arc<Segment>],
        flushed: &[i64],
    ) -> Result<Replayed, ReplayError> {
        let (mut bytes, limit) = (0usize, self.reading.limit_values().load_on_open_bytes);
        let mut too_large = None;
        let replayed = self.read_cells(stores, flushed, &ALL, |log, _, store, cell| {
            bytes = bytes.saturating_add(memory_of(cell));
            if bytes > limit {
                let (value, limit) = (bytes as u64, limit as u64);
                let what = "memory of recovered edits";
                let error = Corruption::Limit { what, value, limit }.at(log, 0);
                too_large = Some(error.clone());
                return Err(error);
            }
            segments[store].insert(cell);
            Ok(())
        });
        replayed.map_err(|error| too_large.map_or(ReplayError::Failed(error), ReplayError::TooLarge))
    }

    /// Like [`replay`](Self::replay), for the entries with sequence ids in a window, without a limit on
    /// memory.
    pub(super) fn replay_window(
        &self,
        stores: &[Store],
        segments: &[Arc<Segment>],
        flushed: &[i64],
        window: &Window,
    ) -> Result<Replayed> {
        self.read_cells(stores, flushed, window, |_, _, store, cell| {
            segments[store].insert(cell);
            Ok(())
        })
    }

    /// Divides the sequence ids into windows, in order, whose cells take no more memory than
    /// [`Limits::load_on_open_bytes`](crate::Limits::load_on_open_bytes), or have a single id. The ids of
    /// logs may interleave.
    pub(super) fn windows(&self, stores: &[Store], flushed: &[i64]) -> Result<Vec<Window>> {
        let mut sizes: Vec<(i64, usize)> = Vec::new();
        self.read_cells(stores, flushed, &ALL, |_, seq_id, _, cell| {
            match sizes.last_mut().filter(|(last, _)| *last == seq_id) {
                Some((_, bytes)) => *bytes = bytes.saturating_add(memory_of(cell)),
                None => sizes.push((seq_id, memory_of(cell))),
            }
            Ok(())
        })?;
        sizes.sort_unstable();
        let limit = self.reading.limit_values().load_on_open_bytes;
        let (mut windows, mut first, mut bytes) = (Vec::new(), i64::MIN, 0usize);
        for of_id in sizes.chunk_by(|(a, _), (b, _)| a == b) {
            let [(seq_id, _), ..] = *of_id else { continue };
            let size = of_id.iter().fold(0usize, |sum, (_, size)| sum.saturating_add(*size));
            bytes = bytes.saturating_add(size);
            if bytes > limit && bytes > size {
                windows.push(first..=seq_id.saturating_sub(1));
                (first, bytes) = (seq_id, size);
            }
        }
        windows.push(first..=i64::MAX);
        Ok(windows)
    }

    /// Calls `insert` with the log, sequence id, store and cell of each cell that is in no store file and
    /// whose sequence id is in the window.
    fn read_cells(
        &self,
        stores: &[Store],
        flushed: &[i64],
        window: &Window,
        mut insert: impl FnMut(&Path, i64, usize, CellRef<'_>) -> Result<()>,
    ) -> Result<Replayed> {
        let floor = flushed.iter().copied().min().unwrap_or(0);
        let (mut replayed, mut unknown) = (Replayed::default(), BTreeSet::new());
        for whole_log in &self.logs {
            let Log { path: log, file, is_given, is_shared } = whole_log;
            if whole_log.is_flushed(floor) {
                match self.add_replaced(whole_log, &mut replayed.compacted) {
                    Ok(end) => {
                        replayed.warnings.extend(end.to_error(log));
                        replayed.whole.push(log.clone());
                    }
                    // HBase does not read it. Usually, the output of a compaction names the same files.
                    Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Truncated) => {
                        replayed.warnings.push(error);
                        replayed.torn.push(log.clone());
                    }
                    Err(error) => return Err(error),
                }
                continue;
            }
            let end = self.read(file, *is_shared)?.for_each_entry(|entry| {
                self.see_marker(log, entry, &mut replayed.compacted)?;
                if *is_shared && !self.is_of_this_region(&entry.key().encoded_region_name) {
                    return Ok(());
                }
                let seq_id = entry.key().sequence_id;
                replayed.max_seq_id = replayed.max_seq_id.max(seq_id);
                let is_in_window = window.contains(&seq_id);
                let report = &mut replayed.report;
                let cells_before = report.cells;
                for cell in entry.cells().filter(|cell| cell.family() != MARKER_FAMILY) {
                    if !self.has_row(entry, cell) {
                        if self.is_of_this_region(&entry.key().encoded_region_name) {
                            let corruption = Corruption::Malformed("an edit of a row outside of the region");
                            return Err(corruption.at(log, entry.offset()));
                        }
                        continue;
                    }
                    report.cells += u64::from(is_in_window);
                    let store = stores.iter().position(|store| store.family.name() == cell.family());
                    let Some(store) = store else {
                        report.skipped += u64::from(is_in_window);
                        if unknown.insert(cell.family().to_vec()) {
                            let existing = stores.iter().map(|store| store.family.name());
                            replayed.warnings.push(Error::no_such_family(cell.family(), existing));
                        }
                        continue;
                    };
                    if seq_id <= flushed[store] {
                        report.skipped += u64::from(is_in_window);
                        continue;
                    }
                    replayed.max_seq_id = replayed.max_seq_id.max(cell.seq_id());
                    if is_in_window {
                        insert(log, seq_id, store, cell)?;
                    }
                }
                report.edits += u64::from(report.cells > cells_before);
                Ok(())
            })?;
            end.check(log, self.accept_torn)?;
            match end {
                _ if *is_given => {}
                // In a log of this crate, checksums show which bytes were never synced.
                WalEnd::Torn { unread: 1.., .. } if !is_log_name(whole_log.name()) => {
                    replayed.torn.push(log.clone());
                }
                _ => replayed.whole.push(log.clone()),
            }
            replayed.warnings.extend(end.to_error(log));
        }
        Ok(replayed)
    }

    /// Fails if a log of a server under `root` has an edit of the region that is neither in a store file nor
    /// in the logs to be replayed. New writes could get its sequence id, and a recovery of the root would
    /// then assume that it is in a file.
    ///
    /// # Errors
    ///
    /// Of kind [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if there is such an edit, or a log [may
    /// have more](WalReader::refuse_unclosed) than can be read; if a log cannot be read to its end.
    pub(super) fn refuse_unsplit(&self, root: &Path, stores: &[Store], flushed: &[i64]) -> Result<()> {
        let of_servers = LogTree::new(root).logs(&*self.storage)?;
        if of_servers.is_empty() {
            return Ok(());
        }
        let paths = of_servers.iter().map(|log| &*log.path);
        WalReader::refuse_unclosed(&*self.storage, paths, &self.reading)?;
        let floor = flushed.iter().copied().min().unwrap_or(0);
        let mut known = BTreeSet::new();
        for Log { file, is_shared, .. } in self.logs.iter().filter(|log| !log.is_flushed(floor)) {
            self.read(file, *is_shared)?.for_each_entry(|entry| {
                let (key, seq_id) = (entry.key(), entry.key().sequence_id);
                if seq_id > floor && (!is_shared || self.is_of_this_region(&key.encoded_region_name)) {
                    known.insert(seq_id);
                }
                Ok(())
            })?;
        }
        for log in of_servers {
            let file = match self.storage.open(&log.path) {
                // A recovery has removed the log, so its edits are in files.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened.map_err(|error| Error::io("open", &log.path, error))?,
            };
            let end = self.read(&file, true)?.for_each_entry(|entry| {
                let seq_id = entry.key().sequence_id;
                if !self.is_of_this_region(&entry.key().encoded_region_name) || known.contains(&seq_id) {
                    return Ok(());
                }
                let is_in_no_file = |cell: CellRef<'_>| {
                    let mut stores = stores.iter().zip(flushed);
                    stores.any(|(store, last)| store.family.name() == cell.family() && seq_id > *last)
                };
                if entry.cells().any(is_in_no_file) {
                    let (region, log) = (&self.encoded_name, log.path.display());
                    return Err(Error::invalid_argument(format!(
                        "a log has edits of region {region} that are in none of its files: recover the root \
                         first ({log})"
                    )));
                }
                Ok(())
            })?;
            end.check(&log.path, self.accept_torn)?;
        }
        Ok(())
    }

    /// Whether an edit's row is in the region. Edits of a split region may be in the directories of both
    /// daughters.
    fn has_row(&self, entry: &WalEntry, cell: CellRef<'_>) -> bool {
        let info = &self.info;
        if info.table().is_meta() {
            return self.is_of_this_region(&entry.key().encoded_region_name);
        }
        !cell.row().is_empty() && info.contains(cell.row())
    }

    fn read(&self, file: &Arc<dyn FileReader>, is_shared: bool) -> Result<WalReader> {
        let log = self.reading.open_reader(Arc::clone(file))?;
        Ok(if is_shared { log.only_cells_of(self.encoded_name.as_bytes()) } else { log })
    }

    fn is_of_this_region(&self, encoded_name: &[u8]) -> bool {
        self.encoded_name.as_bytes() == encoded_name
    }
}

impl RegionCore {
    /// Keeps the recovered edits that were replayed until [`retire_kept_edits`](Self::retire_kept_edits).
    pub(super) fn keep_edits(&self, replayed: &mut Replayed) {
        let edits = (mem::take(&mut replayed.whole), mem::take(&mut replayed.torn));
        *unpoisoned(self.replaying.kept.lock()) = edits;
    }

    /// Removes the recovered edits that were kept. All replaced files must be archived.
    pub(super) fn retire_kept_edits(&self) -> Result<()> {
        let (whole, torn) = mem::take(&mut *unpoisoned(self.replaying.kept.lock()));
        self.dir.retire_recovered_edits(&whole, &torn, self.clock.now())
    }

    /// Replays the remaining entries, each window after the previous one is in files.
    ///
    /// Until it ends, no flush gets a sequence id above the replayed ones: if it fails, or the process dies,
    /// the rest is replayed when the region is opened again.
    pub(super) fn replay_later(
        &self,
        LaterEdits { edits, windows, flushed }: &LaterEdits,
        replayed: &mut Replayed,
    ) -> Result<()> {
        for (window, next) in windows.iter().zip(1..) {
            self.flush_replay(&mut replayed.report)?;
            // Another region that needs memory may cause a flush of this one during the replay.
            let _updates = self.updates.shared();
            let active: Vec<_> =
                self.states.load().stores.iter().map(|store| Arc::clone(&store.active)).collect();
            replayed.add(&edits.replay_window(&self.stores, &active, flushed, window)?.report);
            self.replaying.set_seq_id(LaterEdits::replayed_before(windows.get(next)));
        }
        Ok(())
    }

    /// Flushes the replayed edits, and reports the files.
    pub(super) fn flush_replay(&self, report: &mut ReplayReport) -> Result<()> {
        let before: BTreeSet<String> = self.file_names(|_| true).into_iter().collect();
        self.flush_all()?;
        let written = self.file_names(|file| !file.is_bulk_loaded() && !before.contains(file.name()));
        report.flushed.extend(written);
        Ok(())
    }

    fn file_names(&self, is_wanted: impl Fn(&StoreFile) -> bool) -> Vec<String> {
        let state = self.states.load();
        let files = state.stores.iter().flat_map(|store| store.files.iter());
        files.filter(|file| is_wanted(file)).map(|file| file.name().to_owned()).collect()
    }
}

impl Region {
    /// Returns the greatest sequence id in the files of each family, by its name. Edits up to it need no
    /// replay.
    pub(crate) fn flushed_seq_ids(&self) -> BTreeMap<Vec<u8>, i64> {
        let state = self.0.states.load();
        let stores = self.0.stores.iter().zip(&state.stores);
        let greatest = |files: &[StoreFile]| files.iter().map(StoreFile::max_seq_id).fold(0, i64::max);
        stores.map(|(store, state)| (store.family.name().to_vec(), greatest(&state.files))).collect()
    }
}

/// Returns the approximate memory of a cell in a segment.
fn memory_of(cell: CellRef<'_>) -> usize {
    const NODE: usize = 100;
    cell.key().as_bytes().len() + cell.value().len() + cell.tag_bytes().len() + NODE
}

#[cfg(test)]
mod tests;
