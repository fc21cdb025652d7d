//! Finds the parents of splits for a snapshot: regions to whose files other regions refer.
//!
//! HBase's cleaner keeps a file of the archive while a snapshot names it, or a link to it exists. A reference
//! has neither, so the snapshot includes the parent, as in HBase, and the parent in a clone has links to its
//! files, until no region refers to it.
//!
//! Regions that were merged are not in the snapshots of HBase, and not in those of hregion.

use super::SnapshotRegion;
use crate::error::{Error, Result};
use crate::io::Storage;
use crate::layout::file_name::FileName;
use crate::layout::region::{RegionDir, find_region_info};
use crate::schema::RegionInfo;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// The files of a parent to which the references of a region lead, by family.
struct Referrer<'r> {
    region: &'r RegionInfo,
    files: BTreeSet<(&'r str, &'r str)>,
}

/// Returns the parents of splits to whose files regions of a snapshot refer, with all of their files, as the
/// catalog has them: offline and split. `table` is the directory of the table.
///
/// # Errors
///
/// If a directory or a file of a parent cannot be read; of kind
/// [`Unsupported`](crate::ErrorKind::Unsupported) if a parent was archived although a region refers to it,
/// for example by another process after a compaction.
pub(crate) fn split_parents(
    storage: &Arc<dyn Storage>,
    table: &Path,
    regions: &[SnapshotRegion],
) -> Result<Vec<SnapshotRegion>> {
    let mut referred: BTreeMap<&str, Vec<Referrer<'_>>> = BTreeMap::new();
    for region in regions {
        let mut parents: BTreeMap<&str, BTreeSet<(&str, &str)>> = BTreeMap::new();
        for (family, files) in &region.families {
            for file in files {
                if let Some(FileName::Reference(_, parent)) = FileName::parse(&file.name)
                    && let Some((name, _)) = file.name.rsplit_once('.')
                {
                    parents.entry(parent).or_default().insert((family, name));
                }
            }
        }
        for (parent, files) in parents {
            referred.entry(parent).or_default().push(Referrer { region: &region.info, files });
        }
    }
    let mut found = Vec::new();
    for (name, referrers) in referred {
        let path = table.join(name);
        let Some(info) = find_region_info(&**storage, &path)? else {
            // A clone that was made without the parents has links in its references.
            let is_own =
                |(_, file): &(&str, &str)| matches!(FileName::parse(file), Some(whole) if !whole.is_link());
            if referrers.iter().flat_map(|referrer| &referrer.files).any(is_own) {
                return Err(archived(name));
            }
            continue;
        };
        if !referrers.iter().all(|referrer| referrer.region.is_within(&info)) {
            continue; // it was merged
        }
        let parent = region_on_disk(storage, &path)?;
        let has = |(family, file): &(&str, &str)| {
            parent.families.get(*family).is_some_and(|files| files.iter().any(|f| *f.name == **file))
        };
        if !referrers.iter().flat_map(|referrer| &referrer.files).all(has) {
            return Err(archived(name));
        }
        found.push(parent);
    }
    Ok(found)
}

/// Returns a parent with the files in its directory.
fn region_on_disk(storage: &Arc<dyn Storage>, path: &Path) -> Result<SnapshotRegion> {
    let dir = RegionDir::open(storage, path)?;
    let mut region = SnapshotRegion::new(dir.info().marked(true, true));
    for family in dir.families() {
        let name = region.add_family(family.name())?;
        for file in dir.store_files(family.name())?.files {
            let open = storage.open(&file.path).map_err(|error| Error::io("open", &file.path, error))?;
            region.add(name, &file.name, open.len(), file.reference.as_ref());
        }
    }
    Ok(region)
}

#[cold]
fn archived(region: &str) -> Error {
    Error::not_supported(format!(
        "the snapshot would have references to files of region {region}, which has been archived meanwhile: \
         take it again, or compact the table first, by a major compaction"
    ))
}
