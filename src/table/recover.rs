//! Recovers the tables of a root directory from the logs of its servers (wal.md §10, §12; HBase:
//! `WALSplitter`).

use super::Table;
use crate::error::{Error, Result};
use crate::io::Storage;
use crate::layout::{LogTree, NewEdits};
use crate::region::{RegionOptions, ReplayReport};
use crate::schema::TableName;
use crate::wal::{Marker, WalEntry, WalReader, WalWriter, WalWriterOptions};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The maximum number of regions whose edits are written at once. A log with more regions is read several
/// times.
const REGIONS_AT_ONCE: usize = 100;

/// What a recovery has done to a region, or would do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegionRecovery {
    /// The table.
    pub table: TableName,
    /// The encoded name of the region.
    pub region: String,
    /// What was replayed. Before a recovery, the entries and cells in the logs of servers.
    pub replayed: ReplayReport,
    /// Whether there is no such region any more: its table was dropped, or it was split or merged, and the
    /// catalog no longer needs it. Its edits are passed over, as by HBase.
    pub is_gone: bool,
}

/// The name of a region, as in a log.
type RegionKey = (TableName, String);

impl Table {
    /// Recovers all tables under a root directory whose servers have died: splits their logs (`WALs/`) over
    /// the regions, opens these, which replays and flushes the edits, and moves the logs to `oldWALs/`.
    ///
    /// No server may be running: a log that is still written must not be moved. After a failure or a crash
    /// the logs, or the edits split from them, are still there, and the recovery can be repeated.
    ///
    /// Returns the regions in the logs, by table and name.
    ///
    /// # Errors
    ///
    /// If a log is unreadable or damaged before its end, or a region does not open. Logs are moved only after
    /// everything else.
    pub fn recover(root: impl AsRef<Path>, options: RegionOptions) -> Result<Vec<RegionRecovery>> {
        let recovery = Recovery::new(root.as_ref(), &options);
        let logs = recovery.logs.logs(recovery.storage)?;
        let mut found = BTreeMap::new();
        for log in &logs {
            found.extend(recovery.split(log)?);
        }
        let mut done = Vec::new();
        for ((table, region), dir) in found {
            let replayed = match &dir {
                None => ReplayReport::default(),
                Some(dir) => {
                    let open = options.clone().writable(true).open(dir)?;
                    let replayed = open.replayed();
                    open.close()?;
                    replayed
                }
            };
            done.push(RegionRecovery { table, region, replayed, is_gone: dir.is_none() });
        }
        logs.iter().try_for_each(|log| recovery.logs.archive(recovery.storage, log))?;
        recovery.logs.remove_empty_servers(recovery.storage)?;
        Ok(done)
    }

    /// Returns what [`recover`](Self::recover) would replay, without changing anything. Cells that are in
    /// store files already are counted, too.
    ///
    /// # Errors
    ///
    /// As [`recover`](Self::recover).
    pub fn plan_recovery(root: impl AsRef<Path>, options: &RegionOptions) -> Result<Vec<RegionRecovery>> {
        let recovery = Recovery::new(root.as_ref(), options);
        let mut found: BTreeMap<RegionKey, RegionRecovery> = BTreeMap::new();
        for log in recovery.logs.logs(recovery.storage)? {
            recovery.each_entry(&log, |key, entry| {
                let (table, region) = key;
                let of_region = found.entry((table.clone(), region.clone())).or_insert_with(|| {
                    RegionRecovery { table, region, replayed: ReplayReport::default(), is_gone: false }
                });
                of_region.replayed.edits += u64::from(!entry.is_marker());
                of_region.replayed.cells += if entry.is_marker() { 0 } else { entry.cell_count().into() };
                Ok(())
            })?;
        }
        let mut all: Vec<RegionRecovery> = found.into_values().collect();
        for one in &mut all {
            one.is_gone = recovery.logs.region_dir(recovery.storage, &one.table, &one.region)?.is_none();
        }
        Ok(all)
    }
}

struct Recovery<'o> {
    logs: LogTree,
    storage: &'o dyn Storage,
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
        Self { logs: LogTree::new(root), storage: &**options.file_storage(), options }
    }

    /// Passes each entry that a region needs to `see`, with the region's name.
    fn each_entry(&self, log: &Path, mut see: impl FnMut(RegionKey, &WalEntry) -> Result<()>) -> Result<()> {
        let file = self.storage.open(log).map_err(|error| Error::io("open", log, error))?;
        let mut reader = WalReader::new(file, self.options.limits_of_files())?;
        while let Some(entry) = reader.next_entry()? {
            let at = |corruption: crate::error::Corruption| corruption.at(log, entry.offset());
            // Of the markers, only compactions matter to a replay.
            let marker = entry.marker().map_err(at)?;
            if !matches!(marker, None | Some(Marker::Compaction(_))) {
                continue;
            }
            let table = std::str::from_utf8(&entry.key().table_name).unwrap_or_default();
            let table = TableName::parse(table)?;
            let region = String::from_utf8_lossy(&entry.key().encoded_region_name).into_owned();
            see((table, region), &entry)?;
        }
        Ok(())
    }

    /// Splits a log: writes its edits to those of their regions. Returns the regions, with their directories.
    fn split(&self, log: &Path) -> Result<BTreeMap<RegionKey, Option<PathBuf>>> {
        let mut names = BTreeSet::new();
        self.each_entry(log, |key, _| {
            names.insert(key);
            Ok(())
        })?;
        let mut found = BTreeMap::new();
        for (table, region) in names {
            let dir = self.logs.region_dir(self.storage, &table, &region)?;
            found.insert((table, region), dir);
        }
        let dirs: Vec<(&RegionKey, &PathBuf)> =
            found.iter().filter_map(|(key, dir)| Some((key, dir.as_ref()?))).collect();
        for some in dirs.chunks(REGIONS_AT_ONCE) {
            self.split_for(log, &some.iter().copied().collect())?;
        }
        Ok(found)
    }

    /// Writes the edits of some regions.
    fn split_for(&self, log: &Path, dirs: &BTreeMap<&RegionKey, &PathBuf>) -> Result<()> {
        let mut open: BTreeMap<RegionKey, RegionEdits> = BTreeMap::new();
        self.each_entry(log, |key, entry| {
            let Some(dir) = dirs.get(&key) else { return Ok(()) };
            let seq_id = entry.key().sequence_id;
            if !open.contains_key(&key) {
                let file = self.logs.new_edits(self.storage, dir, seq_id, log)?;
                let writer =
                    WalWriterOptions::new().checksums(Some(0)).create_in(self.storage, &file.temp)?;
                open.insert(key.clone(), RegionEdits { file, writer, last: seq_id });
            }
            let Some(edits) = open.get_mut(&key) else { return Ok(()) };
            edits.writer.append(entry.key(), entry.cells())?;
            edits.last = edits.last.max(seq_id);
            Ok(())
        })?;
        for edits in open.into_values() {
            let RegionEdits { file, mut writer, last } = edits;
            writer.sync()?;
            writer.close()?;
            self.logs.commit_edits(self.storage, &file, last)?;
        }
        Ok(())
    }
}
