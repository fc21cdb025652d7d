//! Creates directories of regions (hfile.md §15).

use super::{REGION_INFO, RESTORED, RegionDir};
use crate::binary::StringBinary;
use crate::error::{Error, Result};
use crate::io::Storage;
use crate::layout::descriptor::{
    create_descriptor, create_latest_descriptor, create_whole_descriptor, read_descriptor, with_tracker,
};
use crate::layout::durable::{create_dir, exists, list_if_exists, parent, sync_dir, write_file};
use crate::layout::file_list::FILE_LIST_DIR;
use crate::layout::root::TableDir;
use crate::layout::root_tree::RootTree;
use crate::layout::table::{create_aside, create_region_aside};
use crate::layout::tracker::{IMPL, StoreFileTracker, TrackedBy};
use crate::schema::{Family, RegionInfo, TableDescriptor};
use std::io;
use std::path::Path;
use std::sync::Arc;

impl RegionDir {
    /// Creates a directory for a new region, and opens it. After a failure or a crash the region is either
    /// complete or does not exist.
    ///
    /// # Errors
    ///
    /// Of kind [`io::ErrorKind::AlreadyExists`] if the region already exists; otherwise if the region's
    /// encoded name is not the name of `path`, or an I/O operation fails.
    pub(crate) fn create(
        storage: &Arc<dyn Storage>,
        path: &Path,
        info: &RegionInfo,
        families: &[Family],
    ) -> Result<Self> {
        families.iter().try_for_each(Family::check)?;
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let table = TableDir::of_region(storage, path, info)?;
        if table.root.is_some() && !info.is_encoded_as(name) {
            let expected = info.encoded_name();
            return Err(Error::invalid_argument(format!("the directory of region {info} is {expected}")));
        }
        if exists(&**storage, &path.join(REGION_INFO))? {
            return Err(already_exists(path));
        }
        if !storage.can_rename(path) {
            let descriptor = match table.root {
                Some(_) => read_descriptor(&**storage, &table.path, info.table())?,
                None => None,
            };
            check_tracked_by_list(families, descriptor.as_ref().map(|stored| &stored.descriptor))?;
        }
        if table.root.is_none() {
            create_region_aside(storage, path, |dir| fill_alone(storage, dir, info, families))?;
        } else {
            let fill_table = |dir: &Path| {
                create_descriptor(storage, dir, &TableDescriptor::new(info.table().clone(), families))?;
                fill(storage, &dir.join(name), info, families)
            };
            // The first region of a table creates the table's directory.
            if list_if_exists(&**storage, &table.path)?.is_some()
                || !created(create_aside(storage, &table.path, fill_table))?
            {
                if let Some(root) = &table.root
                    && read_descriptor(&**storage, &table.path, info.table())?.is_none()
                {
                    // Another process may create another region of the table.
                    let _lock = RootTree::new(&root.path).lock(&**storage)?;
                    if read_descriptor(&**storage, &table.path, info.table())?.is_none() {
                        // Other regions of the table may have lists of files.
                        let new = TableDescriptor::new(info.table().clone(), families);
                        create_whole_descriptor(storage, &table.path, &new)?;
                    }
                }
                create_region_aside(storage, path, |dir| fill(storage, dir, info, families))?;
            }
        }
        Self::open(storage, path)
    }
}

/// Writes the contents of a new region of a table to an existing directory. `.regioninfo`, which makes it a
/// region, is written last.
pub(in crate::layout) fn fill(
    storage: &Arc<dyn Storage>,
    dir: &Path,
    info: &RegionInfo,
    families: &[Family],
) -> Result<()> {
    create_family_dirs(&**storage, dir, families)?;
    write_region_info(storage, dir, info)
}

/// Like [`fill`], with a descriptor, for a region that is in no table's directory.
fn fill_alone(storage: &Arc<dyn Storage>, dir: &Path, info: &RegionInfo, families: &[Family]) -> Result<()> {
    create_family_dirs(&**storage, dir, families)?;
    let new = TableDescriptor::new(info.table().clone(), families);
    let is_whole = !storage.can_rename(dir) || has_lists(&**storage, dir, families)?;
    let new = if is_whole { new } else { with_tracker(&new) };
    create_latest_descriptor(storage, dir, &new, 0)?;
    write_region_info(storage, dir, info)
}

fn create_family_dirs(storage: &dyn Storage, dir: &Path, families: &[Family]) -> Result<()> {
    create_dir(storage, dir)?;
    families
        .iter()
        .map(|family| String::from_utf8_lossy(family.name()))
        .try_for_each(|name| create_dir(storage, &dir.join(name.as_ref())))
}

fn write_region_info(storage: &Arc<dyn Storage>, dir: &Path, info: &RegionInfo) -> Result<()> {
    write_file(storage, &dir.join(REGION_INFO), &info.to_file())?;
    sync_dir(&**storage, parent(dir))
}

/// Records in the directory of a region, which is filled in place, the number of the table's new descriptor.
pub(in crate::layout) fn write_restored(storage: &Arc<dyn Storage>, dir: &Path, number: u64) -> Result<()> {
    write_file(storage, &dir.join(format!("{RESTORED}{number}")), &[])
}

/// Whether a directory, which may be filled in place, has a list of the files of a family.
fn has_lists(storage: &dyn Storage, dir: &Path, families: &[Family]) -> Result<bool> {
    for family in families {
        let lists = dir.join(String::from_utf8_lossy(family.name()).as_ref()).join(FILE_LIST_DIR);
        if list_if_exists(storage, &lists)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a directory was created: false if another program created it first.
fn created(result: Result<()>) -> Result<bool> {
    match result {
        Err(error) if error.is_already_exists() => Ok(false),
        other => other.map(|()| true),
    }
}

#[cold]
pub(in crate::layout) fn already_exists(path: &Path) -> Error {
    Error::io("create", path, io::ErrorKind::AlreadyExists.into())
}

/// Fails if the files of a family are not tracked by a list, by its own configuration or the descriptor.
pub(crate) fn check_tracked_by_list(families: &[Family], descriptor: Option<&TableDescriptor>) -> Result<()> {
    for family in families {
        let setting = |key: &'static str| {
            let own = family.configuration.get(key).map(String::as_str);
            own.or_else(|| descriptor?.setting(family.name(), key))
        };
        let tracker = StoreFileTracker::from_settings(setting);
        let tracker = tracker.map_err(|corruption| Error::invalid_argument(corruption.to_string()))?;
        if tracker.source != TrackedBy::List {
            let family = StringBinary(family.name());
            return Err(Error::not_supported(format!(
                "family {family} needs the store file tracker FILE, as it is in a storage without renames, \
                 such as an object store: set {IMPL} to FILE when the family is created; HBase migrates \
                 others"
            )));
        }
    }
    Ok(())
}
