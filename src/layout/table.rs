//! Creates directories atomically: regions, and tables with all of their regions (HBase:
//! `CreateTableProcedure`, which builds a table under `.tmp` and renames it).

use super::descriptor::{create_clone_file, create_descriptor, create_latest_descriptor};
use super::durable::{
    create_dir, exists, list_if_exists, move_dir, parent, remove_tree, sync_dir, sync_name,
};
use super::file_name::new_file_name;
use super::region::{REGION_INFO, already_exists, check_tracked_by_list, fill};
use super::region_change::RegionChange;
use super::root::Root;
use super::root_tree::RootTree;
use super::table_regions::TableListing;
use crate::binary::is_hex;
use crate::error::{Error, Result};
use crate::io::Storage;
use crate::schema::{Family, RegionInfo, TableDescriptor};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Creates a table under a root directory, with a region for each key range. After a failure or a crash the
/// table is either complete or does not exist.
///
/// # Errors
///
/// Of kind [`std::io::ErrorKind::AlreadyExists`] if the table's directory exists.
pub(crate) fn create_table(
    storage: &Arc<dyn Storage>,
    root: &Path,
    descriptor: &TableDescriptor,
    regions: &[RegionInfo],
) -> Result<PathBuf> {
    descriptor.families().try_for_each(Family::check)?;
    let path = Root::new(root).table(descriptor.table());
    if !storage.can_rename(&path) {
        create_table_in_place(storage, root, &path, descriptor, regions)?;
        return Ok(path);
    }
    if list_if_exists(&**storage, &path)?.is_some() {
        return Err(already_exists(&path));
    }
    let families: Vec<Family> = descriptor.families().cloned().collect();
    // A table of this name that was deleted may still be read, if it had files.
    let is_again = list_if_exists(&**storage, &Root::new(root).archive(descriptor.table()))?.is_some();
    create_aside(storage, &path, |dir| {
        create_descriptor(storage, dir, descriptor)?;
        if is_again {
            create_clone_file(storage, dir)?;
        }
        let each = |region: &RegionInfo| fill(storage, &dir.join(region.encoded_name()), region, &families);
        regions.iter().try_for_each(each)
    })?;
    Ok(path)
}

/// Creates a table in a storage without renames: the regions first, and last the descriptor, without which
/// they have no families. The root must be locked.
fn create_table_in_place(
    storage: &Arc<dyn Storage>,
    root: &Path,
    path: &Path,
    descriptor: &TableDescriptor,
    regions: &[RegionInfo],
) -> Result<()> {
    let families: Vec<Family> = descriptor.families().cloned().collect();
    check_tracked_by_list(&families, Some(descriptor))?;
    let tree = RootTree::new(root);
    let lock = tree.lock(&**storage)?;
    let undone = clear_creations(storage, path)?;
    let regions = not_of(&undone, regions)?;
    let each = |region: &RegionInfo| fill(storage, &path.join(region.encoded_name()), region, &families);
    if !undone.is_empty() {
        // One of them may have a descriptor, or get one late.
        let names = regions.iter().map(RegionInfo::encoded_name).collect();
        let new = NewTable { path, descriptor, regions: names, undone: &undone };
        return new.create(storage, || regions.iter().try_for_each(each), || tree.check_lock(&lock));
    }
    regions.iter().try_for_each(each).inspect_err(|_| {
        // What remains is removed by the next creation.
        let _ = remove_tree(&**storage, path);
    })?;
    // If this fails, the descriptor may be there, and others may have written to the table.
    create_descriptor(storage, path, descriptor)
}

/// Undoes the interrupted creations of a table in a storage without renames, so that it can be created. The
/// root must be locked. Returns all undone creations, and the deletions of former tables of the name.
///
/// # Errors
///
/// Of kind [`std::io::ErrorKind::AlreadyExists`] if the table exists.
pub(super) fn clear_creations(shared: &Arc<dyn Storage>, path: &Path) -> Result<Vec<RegionChange>> {
    let storage = &**shared;
    let listing = TableListing::read(storage, path)?;
    let undone = listing.undone().iter().filter(|change| change.is_creation());
    let mut undone: Vec<RegionChange> = undone.chain(listing.deletions()).cloned().collect();
    for change in listing.changes() {
        if !change.is_creation() || change.resolve(storage)? {
            return Err(already_exists(path));
        }
        undone.push(change.clone());
    }
    if !undone.is_empty() {
        return match listing.regions_after(storage, &[])?.is_empty() {
            true => listing.forget_over(shared).map(|()| undone),
            false => Err(already_exists(path)),
        };
    }
    let Some(entries) = list_if_exists(storage, path)? else { return Ok(undone) };
    // A creation that was not announced leaves regions with nothing but their region info. It may make its
    // descriptor late.
    let mut regions = Vec::new();
    for entry in &entries {
        if !entry.is_dir || !has_only_key_range(storage, &path.join(&entry.name))? {
            return Err(already_exists(path));
        }
        regions.extend(entry.utf8_name().map(str::to_owned));
    }
    remove_tree(storage, path)?;
    if !regions.is_empty() {
        undone.push(RegionChange::new(path, [], regions));
    }
    Ok(undone)
}

/// Whether there is nothing in the directory of a region but its region info, and empty directories, if the
/// storage has them.
fn has_only_key_range(storage: &dyn Storage, region: &Path) -> Result<bool> {
    for entry in list_if_exists(storage, region)?.unwrap_or_default() {
        let is_left_over = match entry.is_dir {
            true => list_if_exists(storage, &region.join(&entry.name))?.unwrap_or_default().is_empty(),
            false => entry.name == REGION_INFO,
        };
        if !is_left_over {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns regions with ids, and thus names, that no region of a deleted table or of an undone creation has
/// had.
///
/// # Errors
///
/// If no such id is left.
fn not_of(undone: &[RegionChange], regions: &[RegionInfo]) -> Result<Vec<RegionInfo>> {
    let mut first_id = last_id(undone).saturating_add(1);
    loop {
        let with_id = |region: &RegionInfo| region.with_id(region.region_id().max(first_id));
        let new: Vec<RegionInfo> = regions.iter().map(with_id).collect();
        let names: Vec<String> = new.iter().map(RegionInfo::encoded_name).collect();
        if !undone.iter().any(|change| change.has_any(&names)) {
            return Ok(new);
        }
        // The clock has not advanced.
        first_id = RegionInfo::id_after(&new, first_id)?;
    }
}

/// Returns the greatest id that a region of a deleted table has had; the least one if there is none.
pub(super) fn last_id(undone: &[RegionChange]) -> i64 {
    let deleted = undone.iter().filter_map(RegionChange::replacement);
    deleted.map(|deleted| deleted.last_id).max().unwrap_or(i64::MIN)
}

/// A table that is created in a storage without renames. Its regions are announced, and do not count as
/// regions until one conditional put records that the creation is made: see [`RegionChange`].
pub(super) struct NewTable<'t> {
    pub(super) path: &'t Path,
    pub(super) descriptor: &'t TableDescriptor,
    /// The encoded names of the regions; no region that was undone has one of them.
    pub(super) regions: Vec<String>,
    /// The result of [`clear_creations`].
    pub(super) undone: &'t [RegionChange],
}

impl NewTable<'_> {
    /// Creates the table. `fill` writes the regions. After a failure or a crash the table is either complete
    /// or does not exist. The root must be locked, as `check_lock` checks.
    pub(super) fn create(
        self,
        storage: &Arc<dyn Storage>,
        fill: impl FnOnce() -> Result<()>,
        check_lock: impl Fn() -> Result<()>,
    ) -> Result<()> {
        let Self { path, descriptor, regions, undone } = self;
        let change = RegionChange::new(path, [], regions);
        let create = || {
            change.begin(storage)?;
            fill()?;
            // Each undone creation may still make its descriptor late, and a deleted table has had some.
            let deleted = undone.iter().filter_map(RegionChange::replacement);
            let last = deleted.map(|deleted| deleted.number).max().unwrap_or(0);
            create_latest_descriptor(storage, path, descriptor, last.saturating_add(undone.len() as u64))?;
            check_lock()?;
            change.publish(&**storage)
        };
        create().or_else(|error| match check_lock().and_then(|()| change.resolve(&**storage)) {
            Ok(true) => Ok(()),
            // If it is not resolved, the next creation does it.
            Ok(false) | Err(_) => Err(error),
        })
    }
}

/// Like [`create_aside`], for a region. A directory that is neither empty nor a region is filled in place:
/// `.regioninfo`, which makes it a region, must be written last.
pub(super) fn create_region_aside(
    storage: &Arc<dyn Storage>,
    path: &Path,
    fill: impl Fn(&Path) -> Result<()>,
) -> Result<()> {
    if storage.can_rename(path)
        && list_if_exists(&**storage, path)?.is_some_and(|entries| !entries.is_empty())
        && !exists(&**storage, &path.join(REGION_INFO))?
    {
        return fill(path);
    }
    create_aside(storage, path, fill)
}

/// Creates a directory next to `path`, fills it with `fill`, and renames it to `path`, so that it is created
/// completely or not at all. An empty directory at `path` is replaced.
///
/// In a storage without renames the directory at `path` is filled in place; `.regioninfo`, which makes it a
/// region, must be written last.
///
/// # Errors
///
/// Of kind [`std::io::ErrorKind::AlreadyExists`] if `path` is a region, or is not empty: another program may
/// have created it.
pub(super) fn create_aside(
    storage: &Arc<dyn Storage>,
    path: &Path,
    fill: impl Fn(&Path) -> Result<()>,
) -> Result<()> {
    let Some(name) = path.file_name() else {
        return Err(Error::invalid_argument(format!("{} is not the name of a directory", path.display())));
    };
    if !storage.can_rename(path) {
        return match exists(&**storage, &path.join(REGION_INFO))? {
            true => Err(already_exists(path)),
            false => fill(path),
        };
    }
    let dir = parent(path);
    create_parents(&**storage, dir)?;
    if list_if_exists(&**storage, path)?.is_some_and(|entries| !entries.is_empty()) {
        return Err(already_exists(path));
    }
    let aside = fill_aside(storage, dir, name, fill)?;
    move_dir(&**storage, &aside, path).map_err(|error| {
        let _ = remove_tree(&**storage, &aside); // as in `fill_aside`
        if error.is_occupied() { already_exists(path) } else { error }
    })
}

/// Creates a hidden directory in `dir`, which exists, and fills it with `fill`; removes it if that fails.
/// Returns its path, which begins with `name`.
pub(super) fn fill_aside(
    storage: &Arc<dyn Storage>,
    dir: &Path,
    name: &OsStr,
    fill: impl Fn(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let mut aside = OsString::from(".");
    aside.push(name);
    aside.push(format!(".{}.tmp", &new_file_name(0)[..16]));
    let aside = dir.join(aside);
    let filled = create_dir(&**storage, &aside).and_then(|()| fill(&aside));
    if let Err(error) = filled {
        // A hidden directory that remains is ignored whenever regions and tables are listed.
        let _ = remove_tree(&**storage, &aside);
        return Err(error);
    }
    Ok(aside)
}

/// Returns the name that a hidden directory of [`fill_aside`] is to get; `None` for other names. A process
/// that dies leaves the directory. Whether the process is alive is unknown unless it holds a lock, so nothing
/// here removes it.
pub(crate) fn name_of_aside(name: &str) -> Option<&str> {
    let (name, number) = name.strip_prefix('.')?.strip_suffix(".tmp")?.rsplit_once('.')?;
    (number.len() == 16 && is_hex(number)).then_some(name)
}

/// Makes the names in a table's directory durable, and those of the directories above it up to the root: a
/// dead process may have created or removed some without syncing them, and later writes to the table must not
/// be lost with them.
pub(crate) fn sync_table_dirs(storage: &dyn Storage, table: &Path) -> Result<()> {
    let is_under_root = table.ancestors().nth(2).is_some_and(|data| data.ends_with("data"));
    let mut dirs: Vec<&Path> = table.ancestors().take(if is_under_root { 4 } else { 1 }).collect();
    dirs.reverse();
    dirs.into_iter().try_for_each(|dir| match dir.as_os_str().is_empty() {
        true => sync_dir(storage, Path::new(".")),
        false => sync_dir(storage, dir),
    })
}

/// Creates a directory and its missing parents, so that they survive a crash. Each one is created after those
/// above it are durable, so if another process died in this function, only the last existing one may not be.
pub(super) fn create_parents(storage: &dyn Storage, dir: &Path) -> Result<()> {
    let mut missing = Vec::new();
    for ancestor in dir.ancestors() {
        if ancestor.as_os_str().is_empty() {
            break;
        }
        if list_if_exists(storage, ancestor)?.is_some() {
            sync_name(storage, ancestor)?;
            break;
        }
        missing.push(ancestor);
    }
    missing.into_iter().rev().try_for_each(|new| {
        create_dir(storage, new)?;
        sync_dir(storage, parent(new))
    })
}
