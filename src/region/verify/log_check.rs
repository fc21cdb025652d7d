//! Verifies logs: everything that opening a region or recovering a root would refuse is a fault (wal.md §10,
//! §12).

use crate::error::{Corruption, Error, Result};
use crate::io::Storage;
use crate::layout::{LogTree, RECOVERED_EDITS, find_region_info, with_names_above};
use crate::region::log::is_log_name;
use crate::schema::{RegionInfo, TableName};
use crate::wal::{MARKER_FAMILY, Marker, WalEntry, WalReaderOptions};
use std::collections::BTreeMap;
use std::path::Path;

/// A check of the logs of one location.
pub(super) struct LogCheck<'o> {
    storage: &'o dyn Storage,
    reading: &'o WalReaderOptions,
    location: LogLocation,
}

/// The location of logs, which determines the regions that their edits may belong to.
enum LogLocation {
    /// Among the recovered edits of the region with this encoded name. Edits of other regions may be there as
    /// well: a replay skips those of rows outside of the region.
    Region { info: RegionInfo, name: String },
    /// Among the logs of servers under a root. Looked-up regions are kept; `None` is one that no longer
    /// exists.
    Root { tree: LogTree, known: BTreeMap<(TableName, String), Option<RegionInfo>> },
    /// Anywhere else: the regions are unknown.
    Elsewhere,
}

/// The maximum number of regions that are kept.
const MAX_KNOWN: usize = 10_000;

impl<'o> LogCheck<'o> {
    /// Creates the check of recovered edits of a region.
    pub(super) fn of_region(
        storage: &'o dyn Storage,
        reading: &'o WalReaderOptions,
        info: RegionInfo,
    ) -> Self {
        let name = info.encoded_name();
        Self { storage, reading, location: LogLocation::Region { info, name } }
    }

    /// Creates the check of logs of unknown regions, whose rows are not checked.
    pub(super) fn elsewhere(storage: &'o dyn Storage, reading: &'o WalReaderOptions) -> Self {
        Self { storage, reading, location: LogLocation::Elsewhere }
    }

    /// Creates the check of a log, by its path.
    ///
    /// # Errors
    ///
    /// If it is among the recovered edits of a region whose `.regioninfo` cannot be read.
    pub(super) fn of_log(
        storage: &'o dyn Storage,
        reading: &'o WalReaderOptions,
        path: &Path,
    ) -> Result<Self> {
        let path = &*with_names_above(storage, path)?;
        let location = match path.parent().filter(|dir| dir.ends_with(RECOVERED_EDITS)).and_then(Path::parent)
        {
            Some(region) => {
                let dir = if region.as_os_str().is_empty() { Path::new(".") } else { region };
                match find_region_info(storage, dir)? {
                    Some(info) => return Ok(Self::of_region(storage, reading, info)),
                    None => LogLocation::Elsewhere,
                }
            }
            None => match LogTree::of_log(path) {
                Some(tree) => LogLocation::Root { tree, known: BTreeMap::new() },
                None => LogLocation::Elsewhere,
            },
        };
        Ok(Self { storage, reading, location })
    }

    /// Reads a log to its end. A torn end is not a fault unless the log was closed: what is missing was never
    /// acknowledged.
    ///
    /// # Errors
    ///
    /// The first fault; if the log, or the files of the regions in it, cannot be read.
    pub(super) fn check(&mut self, path: &Path) -> Result<()> {
        let file = self.storage.open(path).map_err(|error| Error::io("open", path, error))?;
        let log = self.reading.open_reader(file)?;
        let log = match &self.location {
            // Each region checks its own entries of a shared log.
            LogLocation::Region { name, .. } if is_shared(path) => log.only_cells_of(name.as_bytes()),
            _ => log,
        };
        let end = log.for_each_entry(|entry| self.check_entry(path, entry))?;
        end.check(path, false)
    }

    fn check_entry(&mut self, path: &Path, entry: &WalEntry) -> Result<()> {
        let at = |corruption: Corruption| corruption.at(path, entry.offset());
        let marker = entry.marker().map_err(at)?;
        // Of the markers, only those of compactions reach regions.
        let needs_names = matches!(marker, None | Some(Marker::Compaction(_)));
        let (table, region) = match entry.key().region() {
            Err(corruption) if needs_names => return Err(at(corruption)),
            Err(_) => return Ok(()),
            Ok(names) => names,
        };
        match self.region(table, region)? {
            Some(info) if has_row_outside(entry, info) => {
                Err(at(Corruption::Malformed("an edit of a row outside of the region")))
            }
            _ => Ok(()),
        }
    }

    /// Returns a region by its encoded name, if it is known.
    ///
    /// # Errors
    ///
    /// If its directory or its `.regioninfo` cannot be read.
    fn region(&mut self, table: TableName, encoded_name: &str) -> Result<Option<&RegionInfo>> {
        match &mut self.location {
            LogLocation::Region { info, name } => Ok((name == encoded_name).then_some(&*info)),
            LogLocation::Root { tree, known } => {
                let key = (table, encoded_name.to_owned());
                if !known.contains_key(&key) {
                    if known.len() >= MAX_KNOWN {
                        known.clear();
                    }
                    let dir = tree.region_dir(self.storage, &key.0, encoded_name)?;
                    let info = dir.map(|dir| find_region_info(self.storage, &dir)).transpose()?.flatten();
                    known.insert(key.clone(), info.filter(|info| info.is_encoded_as(encoded_name)));
                }
                Ok(known.get(&key).and_then(Option::as_ref))
            }
            LogLocation::Elsewhere => Ok(None),
        }
    }
}

/// Whether an entry of a region has a cell that no replay accepts, because of its row. The catalog's region
/// has all rows.
fn has_row_outside(entry: &WalEntry, info: &RegionInfo) -> bool {
    let mut edits = entry.cells().filter(|cell| cell.family() != MARKER_FAMILY);
    !info.table().is_meta() && edits.any(|cell| cell.row().is_empty() || !info.contains(cell.row()))
}

/// Whether a log among recovered edits may have entries of other regions that are open.
fn is_shared(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(is_log_name)
}
