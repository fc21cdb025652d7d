//! Regions of a split or merge that HBase has begun, but not committed. Since 2.5, new regions are created in
//! their final place: their directories, files and `.regioninfo`, which a merge writes first and a split
//! last, then `<n>.seqid`, then their rows in `hbase:meta` (HBase: `MergeTableRegionsProcedure`,
//! `SplitTableRegionProcedure`).

use super::catalog::{TableCatalog, root_of};
use crate::error::{Error, ErrorKind, Result};
use crate::layout::was_opened;
use crate::region::RegionOptions;
use crate::schema::{RegionInfo, TableName};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Leaves out new regions of splits and merges that HBase has not committed: their rows are in regions that
/// the catalog has, and they may lack files.
///
/// # Errors
///
/// If there are such regions, and the table is opened for writing: HBase may complete the change from the
/// files that the old regions had when it began ([`Inconsistent`](ErrorKind::Inconsistent)). If the catalog
/// or a directory cannot be read.
pub(super) fn leave_out_uncommitted(
    dir: &Path,
    table: &TableName,
    regions: &mut Vec<(PathBuf, RegionInfo)>,
    options: &RegionOptions,
) -> Result<()> {
    let uncommitted = find_uncommitted(dir, regions, options)?;
    if let (Some(path), true) = (uncommitted.first(), options.is_writable()) {
        let message = format!(
            "{table} cannot be changed: {} is of a split or merge that HBase has begun, and hbase:meta does \
             not have it; HBase completes or undoes the change, or, if HBase is gone, the directory can be \
             removed",
            path.display()
        );
        return Err(Error::new(ErrorKind::Inconsistent, message));
    }
    regions.retain(|(path, _)| !uncommitted.contains(path));
    Ok(())
}

/// Returns the directories of new regions of splits and merges that HBase has not committed.
///
/// # Errors
///
/// If the catalog or a directory cannot be read.
pub(super) fn find_uncommitted(
    dir: &Path,
    regions: &[(PathBuf, RegionInfo)],
    options: &RegionOptions,
) -> Result<BTreeSet<PathBuf>> {
    let mut uncommitted = BTreeSet::new();
    let Some(root) = root_of(dir) else { return Ok(uncommitted) };
    let mut new = Vec::new();
    for (path, info, older) in new_with_older(regions) {
        if !was_opened(&**options.file_storage(), path)? {
            new.push((path, info, older));
        }
    }
    if new.is_empty() {
        return Ok(uncommitted);
    }
    let Some(catalog) = TableCatalog::open_to_read(root, options)? else { return Ok(uncommitted) };
    for (path, info, older) in new {
        // Some of the older ones may be left from earlier splits.
        let mut is_served_by_older = false;
        for info in older {
            is_served_by_older |= catalog.serves(info)?;
        }
        if is_served_by_older && !catalog.has(info)? {
            uncommitted.insert(path.to_owned());
        }
    }
    Ok(uncommitted)
}

/// Returns the regions that have rows of older regions, with these. Older ones marked as split do not count:
/// a restored snapshot has them with their daughters, and the catalog may not be updated yet. HBase does not
/// mark a parent before the split is committed.
fn new_with_older(regions: &[(PathBuf, RegionInfo)]) -> Vec<(&Path, &RegionInfo, Vec<&RegionInfo>)> {
    let mut sorted: Vec<(&Path, &RegionInfo)> = regions.iter().map(|(path, info)| (&**path, info)).collect();
    sorted.sort_by_key(|(_, info)| info.start_key());
    let mut found = Vec::new();
    // Previous regions that end after the start of the current one.
    let mut open: Vec<(&Path, &RegionInfo, Vec<&RegionInfo>)> = Vec::new();
    for (path, info) in sorted {
        let (ended, mut going): (Vec<_>, Vec<_>) =
            open.into_iter().partition(|(_, other, _)| !other.overlaps(info));
        found.extend(ended);
        let mut older = Vec::new();
        for (_, other, older_than_other) in &mut going {
            if other.region_id() < info.region_id() && !other.is_split() {
                older.push(*other);
            } else if info.region_id() < other.region_id() && !info.is_split() {
                older_than_other.push(info);
            }
        }
        going.push((path, info, older));
        open = going;
    }
    found.extend(open);
    found.retain(|(_, _, older)| !older.is_empty());
    found
}
