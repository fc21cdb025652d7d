//! The regions with directories in the directory of a table.
#![warn(clippy::indexing_slicing)]

use super::{REGION_INFO, RegionChange, find_region_info};
use crate::error::{Corruption, Result};
use crate::io::{DirEntry, Storage};
use crate::schema::RegionInfo;
use crate::schema::region_name::is_encoded_name;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Returns the regions among the entries of a table's directory, including parents, in the order of the
/// entries. Children of unfinished splits and merges are none.
///
/// # Errors
///
/// If a region info cannot be read or is that of another directory.
pub(crate) fn regions_among(
    storage: &dyn Storage,
    table: &Path,
    entries: &[DirEntry],
    changes: &[RegionChange],
) -> Result<Vec<(PathBuf, RegionInfo)>> {
    let mut regions = Vec::new();
    let dirs: BTreeSet<&str> =
        entries.iter().filter(|entry| entry.is_dir).filter_map(DirEntry::utf8_name).collect();
    for entry in entries.iter().filter(|entry| entry.is_dir) {
        let Some(name) = entry.utf8_name().filter(|name| !name.starts_with('.')) else { continue };
        if changes.iter().flat_map(RegionChange::children).any(|child| child == name) {
            continue;
        }
        let dir = table.join(&entry.name);
        // Without a region info, it is being created, or is not a region.
        let Some(region) = find_region_info(storage, &dir)? else { continue };
        if is_encoded_name(name) && !region.is_encoded_as(name) {
            let corruption = Corruption::Malformed("the region info does not match the directory's name");
            return Err(corruption.at(&dir.join(REGION_INFO), 0));
        }
        if !is_encoded_name(name) && dirs.contains(&*region.encoded_name()) {
            continue;
        }
        regions.push((dir, region));
    }
    Ok(regions)
}
