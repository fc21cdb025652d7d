//! Recovers the tables of a root directory from the logs of its servers (wal.md §10, §12; HBase:
//! `WALSplitter`, `ServerCrashProcedure`).

use super::Table;
use super::uncommitted::find_uncommitted;
use crate::cell::CellRef;
use crate::error::{Corruption, Error, ErrorKind, Result};
use crate::io::Storage;
use crate::layout::{LogTree, NewEdits, ServerLog, UnreadLogs};
use crate::locator::{DirectoryCatalog, serving};
use crate::region::{Region, RegionOptions, ReplayReport};
use crate::schema::{RegionInfo, TableName};
use crate::wal::{MARKER_FAMILY, WalEnd, WalEntry, WalReader, WalWriter, WalWriterOptions};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The maximum number of regions whose edits are written at once. A log with more regions is read several
/// times.
const REGIONS_AT_ONCE: usize = 100;

/// The reason to refuse a log that is torn and was not closed.
const TORN_BEFORE_NEWER: &str = "its server went on with a newer log, so edits may be missing; the option \
     accept_torn_logs (--accept-torn-logs) recovers what is there";

/// The result, or the plan, of the recovery of a root directory. See [`Table::recover`] (HBase:
/// `ServerCrashProcedure`, `WALSplitter`).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RootRecovery {
    /// The regions with edits in the logs or with recovered edits, by table and name.
    pub regions: Vec<RegionRecovery>,
    /// The logs that are moved, by server and age, with the paths that they had under `WALs/`.
    pub logs: Vec<PathBuf>,
    /// The logs that stay, because they have edits of tables that could not be recovered.
    pub kept_logs: Vec<PathBuf>,
    /// The errors of tables that could not be recovered, or not all of their regions, by table.
    pub failed: Vec<(TableName, Error)>,
    /// The logs whose last entry is incomplete, as errors of kind [`Truncated`](crate::ErrorKind::Truncated)
    /// with the offset of the entry and the number of bytes after it. Such an entry was never acknowledged if
    /// the log is the newest of its server and has no trailer. Other torn logs are listed only if they [are
    /// accepted](RegionOptions::accept_torn_logs).
    pub torn: Vec<Error>,
}

/// The result, or the plan, of a recovery for a region.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RegionRecovery {
    /// The table.
    pub table: TableName,
    /// The encoded name of the region.
    pub region: String,
    /// The outcome for the edits.
    pub outcome: RegionOutcome,
    /// The counts of the replay. If edits are not replayed, all their cells count as skipped.
    pub replayed: ReplayReport,
    /// The [warnings](Region::warnings) of the opened region.
    pub warnings: Vec<Error>,
}

/// The outcome of a recovery for a region's edits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RegionOutcome {
    /// They are replayed and flushed.
    Replayed,
    /// They stay in recovered edits, because the region was split or merged and other regions have its rows.
    /// It was flushed before that.
    Parent,
    /// They are skipped, because the region no longer has a directory, or one with nothing but recovered
    /// edits: it was archived, or its table dropped.
    Gone,
    /// They are not replayed, because of an error of the table: [`RootRecovery::failed`].
    Failed,
}

/// The name of a region, as in a log.
type RegionKey = (TableName, String);

impl Table {
    /// Recovers the tables under a root directory whose servers have died: splits their logs (`WALs/`) over
    /// the regions, opens the regions, which replays and flushes the edits, and moves the logs to `oldWALs/`.
    /// Regions with recovered edits are opened even if there are no logs.
    ///
    /// No server may be running: a log that is still being written must not be moved. In HDFS, the writing of
    /// all logs is [ended](Storage::end_writing) first, as HBase's master does. After a failure or a crash
    /// the logs still exist, and the recovery can be repeated: replaying an edit twice has no further effect.
    /// The master's own store (`MasterData/`) is left alone.
    ///
    /// In a storage without renames, such as an object store, files get their names by being copied, logs
    /// last: after a failed call, a copied log may also be in its old place; the next call moves it.
    ///
    /// Logs in a separate directory (`hbase.wal.dir`) are not found. Each region with edits in them must be
    /// opened with all of [these logs](RegionOptions::replay_logs) before it is written to (`hregion recover
    /// REGION --wal …`).
    ///
    /// Logs of HBase have no checksums of entries: see [`WalReader`] for the damage that is not detected. The
    /// edits of encrypted logs are written to recovered edits in the clear, and are there until the region
    /// has flushed them; those of a region that was split or merged are there as long as its directory.
    ///
    /// # Errors
    ///
    /// If a log is unreadable, damaged before its end, or encrypted and there is no [master
    /// key](RegionOptions::master_key) that fits; if one that was closed, or is not the newest of its server,
    /// is torn, unless that [is accepted](RegionOptions::accept_torn_logs); if the root is
    /// [locked](crate::ErrorKind::Locked), or a region with edits, even if an earlier call has replayed them.
    /// Nothing has changed in these cases.
    ///
    /// The error of a table does not prevent the recovery of the others: the first one is returned after it
    /// ([`recover_tables`](Self::recover_tables) returns all). Logs with edits of such a table stay. Nothing
    /// of it has changed if a region with edits has recovered HFiles, or recovered edits outside of its
    /// directory, as [`RegionOptions::open`] says; if the table has no descriptor, a damaged one, or one with
    /// invalid settings, values in MOB files, or, in a storage without renames, families whose files are not
    /// tracked by lists ([`Unsupported`](crate::ErrorKind::Unsupported)). If a region cannot be opened for
    /// another reason, its edits are also in recovered edits, and the other regions of the table have
    /// replayed theirs. If the edits of a region cannot be written there, no region of the table is opened.
    pub fn recover(root: impl AsRef<Path>, options: RegionOptions) -> Result<RootRecovery> {
        Self::recover_tables(root, options)?.of_all_tables()
    }

    /// Like [`recover`](Self::recover), but returns what was done even if some tables could not be recovered:
    /// these are in [`failed`](RootRecovery::failed). After the reasons are removed, the call is repeated.
    ///
    /// # Errors
    ///
    /// Same as [`recover`](Self::recover), except the errors of tables.
    pub fn recover_tables(root: impl AsRef<Path>, options: RegionOptions) -> Result<RootRecovery> {
        Error::if_no_clock("a recovery")?;
        let options = options.create_if_missing(false).alter(false).writable(true).with_split_logs();
        let recovery = Recovery::new(root.as_ref(), &options);
        let lock = recovery.tree.lock(recovery.storage())?;
        recovery.end_logs()?;
        let mut survey = recovery.survey(recovery.tree.logs(recovery.storage())?)?;
        for ((table, _), dir) in survey.replayed() {
            match options.check_unlocked(&dir) {
                Err(locked) if locked.kind() == ErrorKind::Locked => return Err(locked),
                Err(error) => survey.fail(&table, error),
                Ok(()) => {}
            }
        }
        let dirs = survey.regions.iter().filter_map(|(key, found)| Some((key, found.dir.as_deref()?)));
        let dirs: BTreeMap<&RegionKey, &Path> = dirs.collect();
        let mut failed: BTreeMap<TableName, Error> = BTreeMap::new();
        for (log, names) in &survey.logs {
            let dirs = names.iter().filter_map(|name| dirs.get_key_value(name));
            let dirs: Vec<_> = dirs.filter(|((table, _), _)| !failed.contains_key(table)).collect();
            for some in dirs.chunks(REGIONS_AT_ONCE) {
                let some = some.iter().map(|(key, dir)| (**key, **dir)).collect();
                recovery.split(&log.path, &some, &mut failed)?;
            }
        }
        // Not opened: a replay of some edits would hide earlier ones that are in no recovered edits yet.
        failed.into_iter().for_each(|(table, error)| survey.fail(&table, error));
        recovery.tree.check_lock(&lock)?;
        for (key, dir) in survey.replayed() {
            let done = options.clone().open(&dir).and_then(|region| {
                let done = (region.replayed(), region.warnings().to_vec());
                region.close().map(|()| done)
            });
            survey.add(&key, done);
        }
        let done = survey.report();
        recovery.tree.check_lock(&lock)?;
        recovery.tree.archive(options.file_storage(), &done.logs)?;
        Ok(done)
    }

    /// Returns what [`recover`](Self::recover) would do, without changing anything: no files are written, and
    /// no locks taken.
    ///
    /// # Errors
    ///
    /// Same as [`recover`](Self::recover). In HDFS, also if a log has not been closed by its server: its
    /// content cannot be read before its writing is ended.
    pub fn plan_recovery(root: impl AsRef<Path>, options: RegionOptions) -> Result<RootRecovery> {
        Self::plan_recovery_of_tables(root, options)?.of_all_tables()
    }

    /// Returns what [`recover_tables`](Self::recover_tables) would do, as
    /// [`plan_recovery`](Self::plan_recovery) does.
    ///
    /// # Errors
    ///
    /// Same as [`plan_recovery`](Self::plan_recovery), except the errors of tables.
    pub fn plan_recovery_of_tables(root: impl AsRef<Path>, options: RegionOptions) -> Result<RootRecovery> {
        let options = options.create_if_missing(false).alter(false).writable(false);
        let recovery = Recovery::new(root.as_ref(), &options);
        let logs = recovery.tree.logs(recovery.storage())?;
        recovery.refuse_unclosed(&logs)?;
        let mut survey = recovery.survey(logs)?;
        let mut unreplayed = BTreeMap::new();
        for (key, dir) in survey.replayed() {
            // of recovered edits; edits in the logs are added
            let opened = options.clone().open(&dir).and_then(|region| {
                region.check_write_settings()?;
                unreplayed.insert(key.clone(), Unreplayed::of(&region));
                Ok((region.replayed(), region.warnings().to_vec()))
            });
            survey.add(&key, opened);
        }
        for (log, _) in &survey.logs {
            recovery.each_entry(&log.path, |key, entry| {
                if let Some((of_region, found)) = unreplayed.get(&key).zip(survey.regions.get_mut(&key)) {
                    of_region.count(entry, &mut found.replayed);
                }
                Ok(())
            })?;
        }
        Ok(survey.report())
    }

    /// Returns the logs of servers under the table's root directory (`WALs/`), whose edits reads do not
    /// return before a [recovery](Self::recover). Accesses no files:
    /// [`may_have_edits`](UnreadLogs::may_have_edits) returns whether there may be any.
    ///
    /// `None` for a table that is open for writing, of which no region [is opened](RegionOptions::open) while
    /// such logs have edits of it that are in no file; for a snapshot, before which the regions were flushed;
    /// for a table under no root directory; and on web servers, most of which list no directories. This
    /// crate's own logs are in the directories of regions, and are read.
    #[must_use]
    pub fn unread_logs(&self) -> Option<UnreadLogs> {
        if self.0.options.is_writable() {
            return None;
        }
        let regions = self.0.regions.load();
        let dir = regions.slots.first()?.dir()?.parent()?;
        UnreadLogs::of_table(self.0.options.file_storage(), dir, &self.0.name)
    }
}

/// Fails if a server log has edits of regions that are about to be created: a recovery would replay writes to
/// former regions of these names.
///
/// # Errors
///
/// Of kind [`Unsupported`](crate::ErrorKind::Unsupported) if there are such edits; of kind
/// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if a log [may have
/// more](WalReader::refuse_unclosed) than can be read; if a log cannot be read.
pub(super) fn refuse_edits_of(
    root: &Path,
    table: &TableName,
    regions: &BTreeSet<String>,
    options: &RegionOptions,
) -> Result<()> {
    let recovery = Recovery::new(root, options);
    let logs = recovery.tree.logs(recovery.storage())?;
    recovery.refuse_unclosed(&logs)?;
    for log in logs {
        let end = recovery.each_entry(&log.path, |(of, region), _| {
            if of != *table || !regions.contains(&region) {
                return Ok(());
            }
            let path = log.path.display();
            let message = format!(
                "{path} has edits of region {region}, which the clone gets, too: recover the root first"
            );
            Err(Error::not_supported(message))
        })?;
        end.check(&log.path, options.accepts_torn_logs())?;
    }
    Ok(())
}

impl RootRecovery {
    /// Fails with the error of the first table that could not be recovered, if there is one.
    fn of_all_tables(self) -> Result<Self> {
        self.failed.first().map_or(Ok(()), |(_, error)| Err(error.clone()))?;
        Ok(self)
    }
}

/// The logs of a root directory, and the regions with edits.
#[derive(Debug, Default)]
struct Survey {
    regions: BTreeMap<RegionKey, Found>,
    /// Each log, and the regions in it.
    logs: Vec<(ServerLog, BTreeSet<RegionKey>)>,
    torn: Vec<Error>,
    /// The errors of tables that cannot be recovered, or not all of their regions.
    failed: Vec<(TableName, Error)>,
}

/// A region with edits.
#[derive(Debug)]
struct Found {
    /// `None` if the region no longer has one, or is not changed.
    dir: Option<PathBuf>,
    outcome: RegionOutcome,
    replayed: ReplayReport,
    warnings: Vec<Error>,
}

impl Survey {
    /// Returns the regions whose edits are replayed, with their directories.
    fn replayed(&self) -> Vec<(RegionKey, PathBuf)> {
        let replayed = self.regions.iter().filter(|(_, found)| found.outcome == RegionOutcome::Replayed);
        replayed.filter_map(|(key, found)| Some((key.clone(), found.dir.clone()?))).collect()
    }

    fn has_failed(&self, table: &TableName) -> bool {
        self.failed.iter().any(|(of, _)| of == table)
    }

    /// Leaves a table alone, because of an error. Only the first one is reported.
    fn fail(&mut self, table: &TableName, error: Error) {
        if !self.has_failed(table) {
            self.failed.push((table.clone(), error));
        }
        for (_, found) in self.regions.iter_mut().filter(|((of, _), _)| of == table) {
            found.fail();
        }
    }

    /// Adds the result of the replay of a region: its counts and warnings.
    fn add(&mut self, key: &RegionKey, done: Result<(ReplayReport, Vec<Error>)>) {
        let Some(found) = self.regions.get_mut(key) else { return };
        match done {
            Ok((replayed, warnings)) => (found.replayed, found.warnings) = (replayed, warnings),
            Err(error) => {
                found.fail();
                let is_same =
                    |(of, known): &(TableName, Error)| *of == key.0 && known.to_string() == error.to_string();
                if !self.failed.iter().any(is_same) {
                    self.failed.push((key.0.clone(), error));
                }
            }
        }
    }

    /// Returns the report. Logs with edits of tables that could not be recovered are not moved.
    fn report(self) -> RootRecovery {
        let Self { regions, logs, torn, mut failed } = self;
        failed.sort_by(|(a, _), (b, _)| a.cmp(b));
        let one = |((table, region), found): (RegionKey, Found)| {
            let Found { outcome, replayed, warnings, .. } = found;
            RegionRecovery { table, region, outcome, replayed, warnings }
        };
        let is_needed = |(_, names): &(ServerLog, BTreeSet<RegionKey>)| {
            names.iter().any(|(table, _)| failed.iter().any(|(of, _)| of == table))
        };
        let (kept, moved): (Vec<_>, Vec<_>) = logs.into_iter().partition(is_needed);
        let [kept_logs, logs] = [kept, moved].map(|logs| logs.into_iter().map(|(log, _)| log.path).collect());
        RootRecovery { regions: regions.into_iter().map(one).collect(), logs, kept_logs, failed, torn }
    }
}

/// The edits of a region that need not be replayed.
struct Unreplayed {
    info: RegionInfo,
    /// The greatest sequence id in the files of each family.
    flushed: BTreeMap<Vec<u8>, i64>,
}

impl Unreplayed {
    fn of(region: &Region) -> Self {
        Self { info: region.info().clone(), flushed: region.flushed_seq_ids() }
    }

    /// Adds an entry to the report of a replay.
    fn count(&self, entry: &WalEntry, report: &mut ReplayReport) {
        let is_edit = |cell: &CellRef<'_>| cell.family() != MARKER_FAMILY;
        let cells_before = report.cells;
        for cell in entry.cells().filter(is_edit).filter(|cell| self.info.contains(cell.row())) {
            let flushed = self.flushed.get(cell.family());
            report.cells += 1;
            report.skipped += u64::from(flushed.is_none_or(|flushed| entry.key().sequence_id <= *flushed));
        }
        report.edits += u64::from(report.cells > cells_before);
    }
}

struct Recovery<'o> {
    tree: LogTree,
    options: &'o RegionOptions,
}

/// The edits of a region in a log.
struct RegionEdits {
    file: NewEdits,
    writer: WalWriter,
    last: i64,
}

impl<'o> Recovery<'o> {
    fn new(root: &Path, options: &'o RegionOptions) -> Self {
        Self { tree: LogTree::new(root), options }
    }

    fn storage(&self) -> &'o dyn Storage {
        &**self.options.file_storage()
    }

    /// Ends the writing of all logs.
    fn end_logs(&self) -> Result<()> {
        let storage = self.storage();
        self.tree.logs(storage)?.iter().try_for_each(|log| {
            storage.end_writing(&log.path).map_err(|error| Error::io("end the writing of", &log.path, error))
        })
    }

    /// Fails if a log [may have more](WalReader::refuse_unclosed) than can be read.
    fn refuse_unclosed(&self, logs: &[ServerLog]) -> Result<()> {
        let paths = logs.iter().map(|log| &*log.path);
        WalReader::refuse_unclosed(self.storage(), paths, &self.options.wal_options())
    }

    /// Reads all logs, which are given, and finds the regions in them and those with recovered edits.
    ///
    /// # Errors
    ///
    /// If a log is unreadable or damaged; if one that has a trailer, or is not the newest of its server, is
    /// torn, unless that is accepted: its server closed it, so acknowledged writes may be missing.
    fn survey(&self, logs: Vec<ServerLog>) -> Result<Survey> {
        let mut survey = Survey::default();
        for log in logs {
            let mut names = BTreeSet::new();
            let end = self.each_entry(&log.path, |key, entry| {
                let replayed = &mut survey.regions.entry(key.clone()).or_insert_with(Found::gone).replayed;
                if !entry.is_marker() {
                    replayed.edits += 1;
                    replayed.cells += u64::from(entry.cell_count());
                    replayed.skipped = replayed.cells;
                }
                names.insert(key);
                Ok(())
            })?;
            let refused = match &end {
                WalEnd::Torn { closed: false, .. } if log.is_rolled => {
                    end.torn(&log.path, Some(TORN_BEFORE_NEWER))
                }
                end => end.refused(&log.path),
            };
            match refused {
                Some(refused) if !self.options.accepts_torn_logs() => return Err(refused),
                refused => survey.torn.extend(refused.or_else(|| end.to_error(&log.path))),
            }
            survey.logs.push((log, names));
        }
        for table in self.tree.tables(self.storage())? {
            match self.tree.regions_with_edits(self.storage(), &table) {
                Ok(with_edits) => {
                    for region in with_edits {
                        survey.regions.entry((table.clone(), region)).or_insert_with(Found::gone);
                    }
                }
                Err(error) => survey.fail(&table, error),
            }
        }
        let mut parents = BTreeMap::new();
        for key in survey.regions.keys().cloned().collect::<Vec<_>>() {
            if survey.has_failed(&key.0) {
                continue;
            }
            match self.place(&key, &mut parents) {
                Ok(place) => {
                    if let Some((found, (dir, outcome))) = survey.regions.get_mut(&key).zip(place) {
                        (found.dir, found.outcome) = (Some(dir), outcome);
                    }
                }
                Err(error) => survey.fail(&key.0, error),
            }
        }
        // A parent's recovered edits are not replayed: no server opens it.
        let in_logs: BTreeSet<&RegionKey> = survey.logs.iter().flat_map(|(_, names)| names).collect();
        survey.regions.retain(|key, found| found.outcome != RegionOutcome::Parent || in_logs.contains(key));
        Ok(survey)
    }

    /// Returns the directory of a region, if it exists, and what becomes of its edits. `parents` has the
    /// [parents](Self::parents) of tables that are known.
    ///
    /// # Errors
    ///
    /// If the region could not be opened for writing, as far as that is known without its files.
    fn place(
        &self,
        (table, region): &RegionKey,
        parents: &mut BTreeMap<TableName, BTreeSet<PathBuf>>,
    ) -> Result<Option<(PathBuf, RegionOutcome)>> {
        let Some(dir) = self.tree.region_dir(self.storage(), table, region)? else { return Ok(None) };
        if !parents.contains_key(table) {
            parents.insert(table.clone(), self.parents(table, &dir)?);
        }
        if parents.get(table).is_some_and(|parents| parents.contains(&dir)) {
            return Ok(Some((dir, RegionOutcome::Parent)));
        }
        let region = self.options.dir_to_write(&dir)?;
        region.recovered_edits()?;
        region.check_trackers(region.families())?;
        Ok(Some((dir, RegionOutcome::Replayed)))
    }

    /// Returns the directories of the regions of a table that were split or merged. `region` is the directory
    /// of any of its regions.
    fn parents(&self, table: &TableName, region: &Path) -> Result<BTreeSet<PathBuf>> {
        let Some(dir) = region.parent() else { return Ok(BTreeSet::new()) };
        let catalog = DirectoryCatalog::of_table(Arc::clone(self.options.file_storage()), table.clone(), dir);
        let mut regions = catalog.regions_in(dir, table)?;
        let uncommitted = find_uncommitted(dir, &regions, self.options)?;
        regions.retain(|(path, _)| !uncommitted.contains(path));
        let serving = serving(regions.iter().map(|(_, info)| info.clone()).collect());
        let parents = regions.into_iter().filter(|(_, info)| !serving.contains(info));
        Ok(parents.map(|(dir, _)| dir).collect())
    }

    /// Passes each entry that a region needs to `see`, with the region's name. Returns how the log ends.
    fn each_entry(
        &self,
        log: &Path,
        mut see: impl FnMut(RegionKey, &WalEntry) -> Result<()>,
    ) -> Result<WalEnd> {
        let file = self.storage().open(log).map_err(|error| Error::io("open", log, error))?;
        self.options.wal_options().open_reader(file)?.for_each_entry(|entry| {
            let at = |corruption: Corruption| corruption.at(log, entry.offset());
            // Of the markers, only compactions matter to a replay.
            if !entry.is_marker() || entry.compaction().map_err(at)?.is_some() {
                let (table, region) = entry.key().region().map_err(at)?;
                see((table, region.to_owned()), entry)?;
            }
            Ok(())
        })
    }

    /// Writes the edits of some regions in a log to their recovered edits. If that fails for a region, leaves
    /// out the rest of its table, and adds the error to `failed`.
    ///
    /// # Errors
    ///
    /// If the log cannot be read.
    fn split(
        &self,
        log: &Path,
        dirs: &BTreeMap<&RegionKey, &Path>,
        failed: &mut BTreeMap<TableName, Error>,
    ) -> Result<()> {
        let mut open: BTreeMap<RegionKey, RegionEdits> = BTreeMap::new();
        self.each_entry(log, |key, entry| {
            let Some(((table, _), dir)) = dirs.get_key_value(&key) else { return Ok(()) };
            if failed.contains_key(table) {
                return Ok(());
            }
            if let Err(error) = self.append(log, dir, entry, open.entry(key)) {
                failed.insert(table.clone(), error);
            }
            Ok(())
        })?;
        for ((table, _), RegionEdits { file, writer, last }) in open {
            if failed.contains_key(&table) {
                continue;
            }
            let synced = writer.finish();
            let done = synced.and_then(|()| self.tree.commit_edits(self.options.file_storage(), &file, last));
            if let Err(error) = done {
                failed.insert(table, error);
            }
        }
        Ok(())
    }

    /// Appends an entry of a log to the recovered edits of its region, which the first one begins.
    fn append(
        &self,
        log: &Path,
        dir: &Path,
        entry: &WalEntry,
        edits: Entry<'_, RegionKey, RegionEdits>,
    ) -> Result<()> {
        let seq_id = entry.key().sequence_id;
        let edits = match edits {
            Entry::Occupied(edits) => edits.into_mut(),
            Entry::Vacant(place) => {
                let file = self.tree.new_edits(self.storage(), dir, seq_id, log)?;
                // One id for all, so that a repeated split writes the same bytes.
                let options = WalWriterOptions::new().checksums(Some(0));
                let writer = options.create_in(self.storage(), &file.temp)?;
                place.insert(RegionEdits { file, writer, last: seq_id })
            }
        };
        edits.writer.append(entry.key(), entry.cells())?;
        edits.last = edits.last.max(seq_id);
        Ok(())
    }
}

impl Found {
    /// Creates the outcome of a region that has not been found under the root.
    fn gone() -> Self {
        let (replayed, warnings) = (ReplayReport::default(), Vec::new());
        Self { dir: None, outcome: RegionOutcome::Gone, replayed, warnings }
    }

    /// Leaves the region alone.
    fn fail(&mut self) {
        (self.dir, self.outcome) = (None, RegionOutcome::Failed);
    }
}
