//! Creates and opens tables.

use super::alter::{TableChanges, check_stores, refuse_new_mob};
use super::catalog::{TableCatalog, create_in_catalog, root_of};
use super::regions::{RegionList, RegionSlot, RegionSource, UnfinishedChange};
use super::uncommitted::leave_out_uncommitted;
use super::{Table, TableCore};
use crate::error::{Error, ErrorKind, Result};
use crate::layout::table::{create_table, sync_table_dirs};
use crate::layout::{
    LISTINGS, RegionChange, TableListing, find_region_info, path_of_root, path_of_table, read_descriptor,
};
use crate::locator::{DirectoryCatalog, serving};
use crate::region::{GetThreads, Region, RegionOptions};
use crate::schema::region_name::is_encoded_name;
use crate::schema::{Family, RegionInfo, TableDescriptor, TableName};
use crate::sync::unpoisoned;
use arc_swap::ArcSwap;
use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, RwLock};

impl Table {
    /// Creates a table under a root directory, with a region for each range between split keys, and opens it
    /// for writing.
    ///
    /// The table becomes visible only when it is complete, even if a step fails or the process dies (HBase:
    /// `CreateTableProcedure`). If the root directory has `hbase:meta`, the table is then added to it, and
    /// removed again if that fails, unless another process has used it. If the process dies in between, or
    /// the storage has no renames, a repeated call adds it. A repeated call succeeds if the table is the one
    /// to create: it has the same settings and split keys and no rows, and no process has it open.
    ///
    /// # Errors
    ///
    /// - If the table already exists, with kind [`Io`](ErrorKind::Io) and
    ///   [`std::io::ErrorKind::AlreadyExists`].
    /// - If there is no family, a family is invalid, or this build cannot write its files.
    /// - If a split key is empty or given twice.
    /// - If the table is `hbase:meta` or `hbase:namespace`, which only a cluster creates.
    /// - [`Locked`](ErrorKind::Locked) if another process has `hbase:meta` open.
    /// - If an I/O operation fails.
    pub fn create(
        root: impl AsRef<Path>,
        name: &str,
        families: &[Family],
        splits: &[impl AsRef<[u8]>],
    ) -> Result<Self> {
        Self::create_with(root, name, families, splits, Region::options())
    }

    /// Like [`create`](Self::create), with options for the regions. They are opened for writing.
    ///
    /// # Errors
    ///
    /// Same as [`create`](Self::create).
    pub fn create_with(
        root: impl AsRef<Path>,
        name: &str,
        families: &[Family],
        splits: &[impl AsRef<[u8]>],
        options: RegionOptions,
    ) -> Result<Self> {
        Self::create_described(root.as_ref(), name, splits, options, |table| match families.is_empty() {
            true => Err(Error::invalid_argument("a new table needs at least one family")),
            false => Ok(TableDescriptor::new(table.clone(), families)),
        })
    }

    /// Like [`create_with`](Self::create_with), with the families and table settings of `changes`.
    ///
    /// # Errors
    ///
    /// Same as [`create`](Self::create); if a setting is invalid, `changes` deletes a family, or values would
    /// be in MOB files.
    pub fn create_configured(
        root: impl AsRef<Path>,
        name: &str,
        changes: &TableChanges,
        splits: &[impl AsRef<[u8]>],
        options: RegionOptions,
    ) -> Result<Self> {
        Self::create_described(root.as_ref(), name, splits, options, |table| changes.describe_new(table))
    }

    fn create_described(
        root: &Path,
        name: &str,
        splits: &[impl AsRef<[u8]>],
        options: RegionOptions,
        describe: impl FnOnce(&TableName) -> Result<TableDescriptor>,
    ) -> Result<Self> {
        Error::if_no_clock("a table")?;
        let (root, table) = (&path_of_root(&**options.file_storage(), root)?, TableName::parse(name)?);
        if table.is_made_by_master() {
            return Err(Error::invalid_argument(format!("{table} cannot be created: a cluster creates it")));
        }
        let descriptor = describe(&table)?;
        refuse_new_mob(&descriptor)?;
        let mut keys: Vec<&[u8]> = splits.iter().map(AsRef::as_ref).collect();
        keys.sort_unstable();
        if keys.first().is_some_and(|key| key.is_empty()) || !keys.is_sorted_by(|a, b| a < b) {
            return Err(Error::invalid_argument("split keys must not be empty or repeated"));
        }
        let now = options.now();
        let bounds: Vec<&[u8]> = [&[][..]].into_iter().chain(keys).chain([&[][..]]).collect();
        let region = |bounds: &[&[u8]]| match *bounds {
            [start, end] => RegionInfo::new(table.clone(), start.to_vec(), end.to_vec(), now),
            _ => Err(Error::invalid_argument("a region has two bounds")),
        };
        let regions = bounds.windows(2).map(region).collect::<Result<Vec<_>>>()?;
        check_stores(&descriptor)?;
        Self::finish_deletion(root, name, &options)?;
        let is_created = || Self::is_created(root, &descriptor, &regions, &options);
        create_in_catalog(root, &table, &options, is_created, || {
            create_table(options.file_storage(), root, &descriptor, &regions).map(drop)
        })?;
        Self::open_with(root, name, options.writable(true))
    }

    /// Opens a table under a root directory, with options for its regions. Options for creating regions have
    /// no effect. As with [`open`](Self::open), edits that are only in the logs of servers are not read:
    /// [`plan_recovery`](Self::plan_recovery) lists them.
    ///
    /// A [split](Self::split) or merge that was interrupted is completed or undone, if the table is opened
    /// for writing.
    ///
    /// # Errors
    ///
    /// If the table does not exist ([`TableNotFound`](crate::ErrorKind::TableNotFound)), or its directories
    /// cannot be read; if it is opened for writing, and has values in MOB files
    /// ([`Unsupported`](ErrorKind::Unsupported)).
    pub fn open_with(root: impl AsRef<Path>, name: &str, options: RegionOptions) -> Result<Self> {
        Error::if_no_clock("a table")?;
        let (root, name) = (path_of_root(&**options.file_storage(), root.as_ref())?, TableName::parse(name)?);
        let dirs = DirectoryCatalog::of_root(Arc::clone(options.file_storage()), &root);
        let Some(dir) = dirs.table_dir(&name)? else {
            let message = format!("there is no table {name} in {}", root.display());
            return Err(Error::new(ErrorKind::TableNotFound, message));
        };
        Self::of_dir(&dirs, &dir, name, options)
    }

    /// Opens the table in a directory, wherever the directory is. The table's name is read from its regions.
    /// If it is below a root, edits that are only in the logs of servers are not read, as with
    /// [`open`](Self::open): [`plan_recovery`](Self::plan_recovery) lists them.
    ///
    /// # Errors
    ///
    /// If the directory has no region ([`TableNotFound`](crate::ErrorKind::TableNotFound)), or cannot be
    /// read; if it is opened for writing, and has values in MOB files
    /// ([`Unsupported`](ErrorKind::Unsupported)).
    pub fn open_dir(dir: impl AsRef<Path>, options: RegionOptions) -> Result<Self> {
        Error::if_no_clock("a table")?;
        let dir = &path_of_table(&**options.file_storage(), dir.as_ref())?;
        let Some(name) = DirectoryCatalog::table_in(&**options.file_storage(), dir)? else {
            let message = format!("there is no region in {}", dir.display());
            return Err(Error::new(ErrorKind::TableNotFound, message));
        };
        let dirs = DirectoryCatalog::of_table(Arc::clone(options.file_storage()), name.clone(), dir);
        Self::of_dir(&dirs, dir, name, options)
    }

    fn of_dir(dirs: &DirectoryCatalog, dir: &Path, name: TableName, options: RegionOptions) -> Result<Self> {
        let storage = &**options.file_storage();
        // Before interrupted changes are completed or removed.
        if options.is_writable()
            && let Some(stored) = read_descriptor(storage, dir, &name)?
        {
            stored.refuse_mob()?;
        }
        // Read first: a change that ends in the meantime was resolved by others.
        let changes = match options.is_writable() {
            true => {
                let listing = TableListing::read(storage, dir)?;
                listing.write_descriptors(options.file_storage())?;
                listing.forget_over(options.file_storage())?;
                let mut changes = listing.into_changes();
                // Interrupted creations are ended by creations.
                changes.retain(|change| !change.is_creation());
                changes
            }
            false => Vec::new(),
        };
        let (mut regions, under_way) = dirs.regions_and_changes(dir, &name)?;
        if regions.is_empty() {
            let listing = TableListing::read(storage, dir)?;
            // Without renames, there is no directory without files.
            let is_empty = !storage.can_rename(dir) && listing.names().is_empty();
            if is_empty || listing.has_creation() {
                let message = format!("there is no complete table {name} in {}", dir.display());
                return Err(Error::new(ErrorKind::TableNotFound, message));
            }
        }
        if options.is_writable() {
            // Makes the listed state durable before anything is written.
            sync_table_dirs(storage, dir)?;
        } else {
            regions = after_made(dir, &name, regions, &under_way, &options)?;
        }
        leave_out_uncommitted(dir, &name, &mut regions, &options)?;
        let regions = regions.into_iter().map(|(path, region)| (RegionSource::Dir(path), region));
        let table = Self::of(name, regions, &changes, options);
        table.0.forget_replaced(&changes)?;
        for unfinished in table.0.regions.load_full().slots.iter().filter_map(|slot| slot.unfinished.as_ref())
        {
            match table.0.resolve_change(unfinished) {
                // A process is making the change, or has a parent open: resolved when the parent is opened
                // here.
                Err(error) if error.kind() == ErrorKind::Locked => {}
                resolved => {
                    resolved?;
                }
            }
        }
        Ok(table)
    }

    /// Creates a table from its regions, including parents. `changes` are unfinished ones.
    pub(super) fn of(
        name: TableName,
        regions: impl Iterator<Item = (RegionSource, RegionInfo)>,
        changes: &[RegionChange],
        options: RegionOptions,
    ) -> Self {
        let slots = serving_slots(regions, changes);
        // A removed region must not be created again.
        let options = options.create_if_missing(false);
        let options = if options.is_writable() { options.with_shared_log() } else { options }.of_new_table();
        Self(Arc::new(TableCore {
            name,
            regions: ArcSwap::from_pointee(RegionList::new(slots)),
            get_threads: GetThreads::new(options.max_get_threads()),
            options,
            open: AtomicUsize::new(0),
            is_closed: AtomicBool::new(false),
            writing: RwLock::new(()),
            changing: Mutex::new(()),
            seen: Mutex::default(),
            identity: OnceLock::new(),
            replaced: Mutex::default(),
            listings: Mutex::default(),
        }))
    }
}

/// Returns the regions of a table that is opened for reading: those given, or, if the catalog has any of the
/// changes `under_way`, the regions after these.
fn after_made(
    dir: &Path,
    table: &TableName,
    regions: Vec<(PathBuf, RegionInfo)>,
    under_way: &[RegionChange],
    options: &RegionOptions,
) -> Result<Vec<(PathBuf, RegionInfo)>> {
    if !under_way.is_empty()
        && let Some(root) = root_of(dir)
        && let Some(catalog) = TableCatalog::open_to_read(root, options)?
    {
        let storage = &**options.file_storage();
        let listing = TableListing::read(storage, dir)?;
        let made = catalog.made_among(table, &listing)?;
        if !made.is_empty() {
            return listing.regions_after(storage, &made);
        }
    }
    Ok(regions)
}

/// Returns those of all regions that serve rows. `changes` are unfinished ones.
fn serving_slots(
    regions: impl Iterator<Item = (RegionSource, RegionInfo)>,
    changes: &[RegionChange],
) -> Vec<Arc<RegionSlot>> {
    // Outside of a root, two directories may have the same region: both are in the list, as an overlap.
    let mut sources: HashMap<RegionInfo, Vec<RegionSource>> = HashMap::new();
    let mut infos = Vec::new();
    for (source, region) in regions {
        infos.push(region.clone());
        sources.entry(region).or_default().push(source);
    }
    let changes: Vec<_> = changes.iter().cloned().map(UnfinishedChange::new).collect();
    let change_of = |info: &RegionInfo| {
        let is_of = |one: &&Arc<UnfinishedChange>| one.change.parents().contains(&info.encoded_name());
        changes.iter().find(is_of).cloned()
    };
    let slots = serving(infos).into_iter().filter_map(|info| {
        let source = sources.get_mut(&info)?.pop()?;
        let unfinished = change_of(&info);
        Some(Arc::new(RegionSlot::new(info, source, unfinished)))
    });
    slots.collect()
}

impl TableCore {
    /// Removes the files of changes whose parents are regions, but not in the list: younger regions have all
    /// their rows, so the changes were made, and their new regions replaced in turn. In a storage without
    /// renames the file records whether a change was made; one that does not is from a process that had lost
    /// its locks.
    fn forget_replaced(&self, changes: &[RegionChange]) -> Result<()> {
        let storage = &**self.options.file_storage();
        let regions = self.regions.load();
        let names: HashSet<String> = regions.slots.iter().map(|slot| slot.info.encoded_name()).collect();
        for change in changes {
            let mut is_replaced = true;
            for parent in change.parents() {
                is_replaced &= !names.contains(parent)
                    && find_region_info(storage, &change.table().join(parent))?.is_some();
            }
            let is_of_regions = change.replacement().is_none();
            if is_replaced && is_of_regions && storage.can_rename(change.table()) {
                change.complete(storage)?;
            } else if is_replaced {
                self.decide(change)?;
            }
        }
        Ok(())
    }

    /// Lists the regions again after one turned out not to exist: another process has split or merged it, and
    /// archived it. Does nothing if a later list no longer has it. The table is open for reading.
    ///
    /// # Errors
    ///
    /// `gone` if the table has no regions any more, or they keep disappearing; if an I/O operation fails.
    pub(super) fn list_again(&self, slot: &RegionSlot, gone: Error) -> Result<()> {
        let mut listings = unpoisoned(self.listings.lock());
        let current = self.regions.load_full();
        if current.slots.iter().any(|listed| ptr::eq(&**listed, slot)) {
            let Some(dir) = slot.dir().and_then(Path::parent).filter(|_| *listings < LISTINGS) else {
                *listings = 0;
                return Err(gone);
            };
            *listings += 1;
            let regions = match self.regions_to_read(dir) {
                Err(error) if error.is_stale() => return Err(gone),
                regions => regions?,
            };
            if regions.is_empty() {
                return Err(gone);
            }
            self.check_same_descriptor(dir, gone)?;
            let is_left = |listed: &&Arc<RegionSlot>| !ptr::eq(&***listed, slot) && !listed.is_gone();
            let known: HashMap<&RegionInfo, &Arc<RegionSlot>> =
                current.slots.iter().filter(is_left).map(|listed| (&listed.info, listed)).collect();
            let regions = regions.into_iter().map(|(path, region)| (RegionSource::Dir(path), region));
            // Remaining regions stay open.
            let slots = serving_slots(regions, &[]).into_iter().map(|new| match known.get(&new.info) {
                Some(&listed) if listed.dir() == new.dir() => Arc::clone(listed),
                _ => new,
            });
            let slots: Vec<_> = slots.collect();
            let count_open =
                |slots: &[Arc<RegionSlot>]| slots.iter().filter(|slot| slot.region.get().is_some()).count();
            let dropped = count_open(&current.slots).saturating_sub(count_open(&slots));
            self.regions.store(Arc::new(RegionList::new(slots)));
            self.open.fetch_sub(dropped, Ordering::Relaxed);
        }
        slot.set_gone();
        Ok(())
    }

    /// Fails if the descriptor is not the one with which the first region was opened: the regions may then
    /// belong to another table of the name. Splits and merges keep it. `gone` is the error if this cannot be
    /// determined.
    fn check_same_descriptor(&self, dir: &Path, gone: Error) -> Result<()> {
        let Some(first) = self.identity.get() else {
            return if self.open.load(Ordering::Relaxed) == 0 { Ok(()) } else { Err(gone) };
        };
        let stored = read_descriptor(&**self.options.file_storage(), dir, &self.name)?;
        if stored.as_ref().and_then(|stored| stored.identity_of(dir)) == Some(first) {
            return Ok(());
        }
        let message = format!(
            "another process has replaced or altered table {}, whose regions have changed: open the table \
             again",
            self.name
        );
        Err(Error::new(ErrorKind::RegionNotFound, message))
    }

    /// Lists the regions in the table's directory, including parents, for a table that is open for reading.
    fn regions_to_read(&self, dir: &Path) -> Result<Vec<(PathBuf, RegionInfo)>> {
        let dirs =
            DirectoryCatalog::of_table(Arc::clone(self.options.file_storage()), self.name.clone(), dir);
        let (regions, under_way) = dirs.regions_and_changes(dir, &self.name)?;
        let mut regions = after_made(dir, &self.name, regions, &under_way, &self.options)?;
        leave_out_uncommitted(dir, &self.name, &mut regions, &self.options)?;
        Ok(regions)
    }

    /// Whether other regions have replaced one that is to be read, since the table's regions were listed.
    pub(super) fn is_replaced(&self, slot: &RegionSlot) -> Result<bool> {
        let Some(dir) = slot.dir().and_then(Path::parent) else { return Ok(false) };
        let mut seen = unpoisoned(self.seen.lock());
        let listing = TableListing::read(&**self.options.file_storage(), dir)?;
        let (names, listed) = (listing.names(), self.regions.load_full());
        let known = || listed.slots.iter().map(|known| &known.info);
        if *seen == names && !listing.has_change_files() && known().any(|region| *region == slot.info) {
            return Ok(false);
        }
        let regions = match self.regions_to_read(dir) {
            Err(error) if error.is_stale() => return Ok(true),
            regions => regions?,
        };
        // In other directories with names of regions, HBase may be making regions, which it commits later.
        let read: HashSet<OsString> =
            regions.iter().filter_map(|(path, _)| path.file_name().map(OsStr::to_os_string)).collect();
        let are_all = listing.dirs().all(|name| !is_encoded_name(name) || read.contains(OsStr::new(name)));
        let current = serving(regions.into_iter().map(|(_, region)| region).collect());
        let current: HashSet<RegionInfo> = current.into_iter().collect();
        if are_all && known().all(|region| current.contains(region)) {
            *seen = names;
        }
        Ok(!current.contains(&slot.info))
    }

    /// Checks that a region that has been opened for writing, so that it is locked, still serves: another
    /// process may have split or merged it since the table was opened.
    pub(super) fn check_serving(&self, slot: &RegionSlot) -> Result<()> {
        let Some(path) = slot.dir() else { return Ok(()) };
        let storage = &**self.options.file_storage();
        let mut seen = unpoisoned(self.seen.lock());
        let listing = TableListing::read(storage, path.parent().unwrap_or_else(|| Path::new("")))?;
        let (names, regions) = (listing.names(), self.regions.load());
        let known = || regions.slots.iter().map(|known| &known.info);
        // The file of a change may by now record that the change was made.
        if *seen == names && !listing.has_change_files() && known().any(|region| *region == slot.info) {
            return Ok(());
        }
        let still = listing.serving_with(storage, known().chain([&slot.info]))?;
        if !still.contains(&slot.info) {
            let message = match listing.is_removed(&slot.info) {
                true => format!("another process has truncated, restored or deleted table {}", self.name),
                false => format!("{} was split or merged by another process", slot.info),
            };
            return Err(Error::new(ErrorKind::RegionNotFound, message));
        }
        // Another region of the list may also have been replaced: it is checked when it is opened.
        if known().all(|region| still.contains(region)) {
            *seen = names;
        }
        Ok(())
    }
}
