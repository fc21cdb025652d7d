//! Splits and merges regions, while the table is read and written (HBase: `SplitTableRegionProcedure`,
//! `MergeTableRegionsProcedure`). [`RegionChange`] describes what is written, and in which order.

use super::catalog::{TableCatalog, root_of, set_regions_on_disk};
use super::regions::{RegionList, RegionSlot, RegionSource, UnfinishedChange};
use super::{Table, TableCore};
use crate::cell::SeekKey;
use crate::error::{Error, ErrorKind, Result};
use crate::io::{FileLock, Storage};
use crate::layout::durable::create_dir;
use crate::layout::{
    Half, NewChild, Reference, RegionChange, ReplacementKind, TableListing, create_child, find_region_info,
};
use crate::locator::dir_exists;
use crate::region::{Region, RetiredFile, RetiredRegion};
use crate::schema::{RegionInfo, serving};
use crate::store::StoreFileUse;
use crate::sync::unpoisoned;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

impl Table {
    /// Splits the region that has a row into two, the second of which begins with the row. Returns both.
    /// If the table has a split restriction (`hbase.regionserver.region.split_restriction.type`: `KeyPrefix`
    /// or `DelimitedKeyPrefix`), the second one begins with the prefix of the row, so that rows with the same
    /// prefix remain in one region.
    ///
    /// The new regions, the daughters, refer to the files of the old one, the parent, until they are
    /// compacted. [`compact`](Self::compact) then removes the parent's directory, as
    /// [`archive_parents`](Self::archive_parents) does. After a failure or a crash, either the parent or both
    /// daughters exist.
    ///
    /// Reads continue during the split, and writes to the region wait. Existing views and scanners continue
    /// to read the parent, in its state when they first read it, or when it was split.
    ///
    /// # Errors
    ///
    /// - If the table is open for reading only, or is not under a root directory.
    /// - If no region, or more than one, has the row.
    /// - [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if the region begins with the row or its
    ///   prefix, or after the prefix, or the table's descriptor sets `SPLIT_ENABLED` to false, or
    ///   `SPLIT_POLICY` to `DisabledRegionSplitPolicy`.
    /// - [`Unsupported`](crate::ErrorKind::Unsupported) if the region has references to files of its own
    ///   parents, which a major compaction replaces; if the table is `hbase:meta` or `hbase:namespace`.
    /// - If the region cannot be flushed, or an I/O operation fails.
    ///
    /// A split that failed can be retried.
    pub fn split(&self, row: impl AsRef<[u8]>) -> Result<(RegionInfo, RegionInfo)> {
        let asked = row.as_ref();
        self.check_splittable()?;
        let _changing = self.0.change("split a region of its table")?;
        let slot = self.0.slot_of(asked)?;
        let parent = &slot.info;
        let row = match self.0.open(&slot)? {
            Some(region) => region.split_row_for(asked)?,
            None => return Err(Error::closed()),
        };
        if row == parent.start_key() || !parent.contains(row) {
            let message = if row == asked {
                format!("region {parent} begins with the row at which it is to be split")
            } else {
                format!(
                    "a split of region {parent} at this row would separate rows with the same prefix, which \
                     the table's split restriction keeps together"
                )
            };
            return Err(Error::invalid_argument(message));
        }
        let [bottom, top] = self.0.children(&[Arc::clone(&slot)], |id| {
            let region = |start: &[u8], end: &[u8]| {
                RegionInfo::new(parent.table().clone(), start.to_vec(), end.to_vec(), id)
            };
            Ok([region(parent.start_key(), row)?, region(row, parent.end_key())?])
        })?;
        let split_key = SeekKey::first_on_row(row);
        let reference = |child: &RegionInfo, _: &RegionInfo, file: &RetiredFile| {
            let (first, last) = file.rows.as_ref()?;
            let half = if *child == top { Half::Top } else { Half::Bottom };
            let has_rows = if half == Half::Top { last.as_slice() >= row } else { first.as_slice() < row };
            has_rows.then(|| Reference { split_key: split_key.clone(), half })
        };
        let children = [bottom.clone(), top.clone()];
        self.0.replace(&[slot], &children, "SPLIT_ENABLED", &reference)?;
        Ok((bottom, top))
    }

    /// Merges two regions that follow each other into one, and returns it. Everything else is as for
    /// [`split`](Self::split).
    ///
    /// # Errors
    ///
    /// If one of the regions is not a current region of the table, or the second does not begin where the
    /// first ends, or the table's descriptor sets `MERGE_ENABLED` to false
    /// ([`InvalidArgument`](crate::ErrorKind::InvalidArgument)); otherwise as [`split`](Self::split).
    pub fn merge(&self, first: &RegionInfo, second: &RegionInfo) -> Result<RegionInfo> {
        let _changing = self.0.change("merge regions of its table")?;
        if first == second {
            let message = format!("region {} cannot be merged with itself", first.encoded_name());
            return Err(Error::invalid_argument(message));
        }
        if first.end_key().is_empty() || first.end_key() != second.start_key() {
            let message = format!("region {second} does not begin where region {first} ends");
            return Err(Error::invalid_argument(message));
        }
        let mut slots = Vec::new();
        for info in [first, second] {
            let slot = self.0.slot_of(info.start_key())?;
            if slot.info != *info {
                return Err(Error::invalid_argument(format!("{info} is not a region of the table")));
            }
            slots.push(slot);
        }
        let [merged] = self.0.children(&slots, |id| {
            let (start, end) = (first.start_key().to_vec(), second.end_key().to_vec());
            Ok([RegionInfo::new(first.table().clone(), start, end, id)?])
        })?;
        // A whole file is its top half from the first row of its region on.
        let reference = |_: &RegionInfo, parent: &RegionInfo, file: &RetiredFile| {
            let split_key = SeekKey::first_on_row(parent.start_key());
            file.rows.as_ref().map(|_| Reference { split_key, half: Half::Top })
        };
        self.0.replace(&slots, std::slice::from_ref(&merged), "MERGE_ENABLED", &reference)?;
        Ok(merged)
    }

    /// Returns a row at which the region with a row could be split: the middle one of its largest file, or a
    /// prefix of it if the table's split policy or split restriction keeps rows with the same prefix
    /// together. `None` if it has too few rows.
    ///
    /// # Errors
    ///
    /// Same as [`region`](Self::region); if the file cannot be read;
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if the table's `SPLIT_POLICY` disables splits,
    /// [`Unsupported`](crate::ErrorKind::Unsupported) if it is none of HBase's, or the table is `hbase:meta`
    /// or `hbase:namespace`.
    pub fn split_point(&self, row: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        self.check_splittable()?;
        self.region(row)?.split_row()
    }

    /// Fails if HBase never splits the table (HBase: `HRegion.checkSplit`).
    fn check_splittable(&self) -> Result<()> {
        if self.0.name.is_made_by_master() {
            let message = format!("a split of {} is not supported, as in HBase", self.0.name);
            return Err(Error::not_supported(message));
        }
        Ok(())
    }
}

/// Fails if regions cannot have the same children: their families differ, because one was opened before
/// another program changed the table's descriptor, or a directory's name differs from the one in references.
fn check_alike(regions: &[Region]) -> Result<()> {
    let families = |region: &Region| -> Vec<Vec<u8>> {
        region.families().map(|family| family.name().to_vec()).collect()
    };
    for region in regions {
        if regions.first().is_some_and(|first| families(first) != families(region)) {
            let message = "a merge of regions that were opened with different families: open the table again";
            return Err(Error::invalid_argument(message));
        }
        let name = region.info().encoded_name();
        if region.path().file_name().is_none_or(|dir| dir != name.as_str()) {
            let message = format!("a region can be split or merged only if its directory is named {name}");
            return Err(Error::not_supported(message));
        }
    }
    Ok(())
}

/// Fails if a parent is no longer locked.
fn check_locks(change: &RegionChange, parents: &[RetiredRegion]) -> Result<()> {
    parents.iter().try_for_each(|parent| parent.check_lock(&change.table().join(parent.info.encoded_name())))
}

/// Like [`check_locks`], after the change has begun: another process may have resolved it in the meantime.
/// Without renames that does not matter, because it is decided only once.
fn check_locks_again(change: &RegionChange, parents: &[RetiredRegion], storage: &dyn Storage) -> Result<()> {
    if storage.can_rename(change.table()) { check_locks(change, parents) } else { Ok(()) }
}

/// Returns the reference to a file of a parent in a child; `None` if the child has none of its rows.
type MakeReference<'r> = &'r dyn Fn(&RegionInfo, &RegionInfo, &RetiredFile) -> Option<Reference>;

impl TableCore {
    fn slot_of(&self, row: &[u8]) -> Result<Arc<RegionSlot>> {
        loop {
            let regions = self.regions.load();
            let slot = &regions.slots[regions.find(row)?];
            // An unfinished change is resolved first.
            if self.open(slot)?.is_some() {
                return Ok(Arc::clone(slot));
            }
        }
    }

    /// Returns the regions to replace others, made with their id: their creation time, but greater than the
    /// ids of the others.
    fn children<const N: usize>(
        &self,
        parents: &[Arc<RegionSlot>],
        make: impl Fn(i64) -> Result<[RegionInfo; N]>,
    ) -> Result<[RegionInfo; N]> {
        let storage = &**self.options.file_storage();
        let dir = parents.first().and_then(|slot| slot.dir()?.parent()).unwrap_or_else(|| Path::new(""));
        let infos = parents.iter().map(|slot| &slot.info);
        let mut children = make(RegionInfo::id_after(infos, self.options.now())?)?;
        if storage.can_rename(dir) {
            return Ok(children);
        }
        // Regions of an undone change have the same names if the clock has not advanced.
        let listing = TableListing::read(storage, dir)?;
        while listing.has_children(&children) {
            children = make(RegionInfo::id_after(&children, self.options.now())?)?;
        }
        Ok(children)
    }

    /// Replaces regions by others, if the table's setting `switch` allows it. `changing` must be held.
    fn replace(
        &self,
        parents: &[Arc<RegionSlot>],
        children: &[RegionInfo],
        switch: &str,
        reference: MakeReference<'_>,
    ) -> Result<()> {
        let mut regions = Vec::new();
        for slot in parents {
            let Some(region) = self.open(slot)? else { return Err(Error::closed()) };
            region.check_replaceable(switch)?;
            regions.push(region);
        }
        check_alike(&regions)?;
        let dirs: Vec<PathBuf> = regions.iter().map(|region| region.path().to_owned()).collect();
        let table = dirs.first().and_then(|dir| dir.parent()).unwrap_or_else(|| Path::new(""));
        let infos: Vec<RegionInfo> = parents.iter().map(|slot| slot.info.clone()).collect();
        let names = |infos: &[RegionInfo]| infos.iter().map(RegionInfo::encoded_name).collect::<Vec<_>>();
        let change = RegionChange::new(table, names(&infos), names(children));
        let catalog = self.catalog_of(&infos, &change)?;
        // Most of the memory is flushed while writes continue.
        regions.iter().try_for_each(Region::flush)?;
        let mut are_current = self.take(parents);
        let storage = &**self.options.file_storage();
        let mut unfinished = None;
        let replace = || -> Result<()> {
            let retired = regions.iter().map(Region::retire).collect::<Result<Vec<_>>>();
            if !storage.can_rename(table) {
                self.note_readers(retired.iter().flatten());
            }
            // HBase would replay entries of a parent in a child.
            self.options.roll_log();
            let retired = retired?;
            // A bulk load that copied files at the first check may have been interrupted since.
            regions.iter().try_for_each(Region::check_no_load)?;
            let made = self.make(&change, catalog, &retired, children, reference);
            // The locks of the parents are held until the change is resolved.
            let Err(error) = made else { return Ok(()) };
            match check_locks_again(&change, &retired, storage).and_then(|()| self.decide(&change)) {
                Ok(true) => Ok(()),
                Ok(false) => Err(error),
                Err(_) => {
                    unfinished = Some(UnfinishedChange::new(change.clone()));
                    Err(error)
                }
            }
        };
        // Even after a panic, for example of a hook or the clock, no region may stay that refuses writes.
        let result = catch_unwind(AssertUnwindSafe(replace));
        if result.is_err() {
            unfinished = Some(UnfinishedChange::new(change.clone()));
        }
        let slot_at = |info: &RegionInfo, path: PathBuf, unfinished| {
            Arc::new(RegionSlot::new(info.clone(), RegionSource::Dir(path), unfinished))
        };
        if matches!(result, Ok(Ok(()))) {
            let slots = children.iter().map(|info| slot_at(info, table.join(info.encoded_name()), None));
            self.swap(parents, &slots.collect::<Vec<_>>());
            are_current.iter_mut().for_each(|is_current| **is_current = false);
        } else {
            // Retired regions are opened again when they are next used.
            for ((slot, is_current), (region, dir)) in
                parents.iter().zip(&mut are_current).zip(regions.iter().zip(&dirs))
            {
                if region.is_retired() {
                    let again = slot_at(&slot.info, dir.clone(), unfinished.clone());
                    self.swap(std::slice::from_ref(slot), &[again]);
                    **is_current = false;
                }
            }
        }
        result.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Records which files of regions are being read: in a storage without renames, they are not archived
    /// while they are read, because archiving removes them.
    fn note_readers<'r>(&self, regions: impl Iterator<Item = &'r RetiredRegion>) {
        let mut replaced = unpoisoned(self.replaced.lock());
        replaced.retain(|(_, files)| files.iter().any(StoreFileUse::is_open));
        replaced.extend(regions.map(|region| (region.info.encoded_name(), region.in_use.clone())));
    }

    /// Opens the catalog, for a change of regions that has not begun; `None` if it does not have the table,
    /// which HBase then never used.
    fn catalog_of(&self, parents: &[RegionInfo], change: &RegionChange) -> Result<Option<TableCatalog>> {
        let Some(catalog) = self.catalog(change.table())? else { return Ok(None) };
        // The regions of a snapshot were restored without the catalog: it would decide by the rows of an
        // earlier change whether this one was made.
        let mut is_stale = catalog.has_made(&self.name, change)?;
        let mut has_all = true;
        for parent in parents {
            let is_known = catalog.has(parent)?;
            has_all &= is_known;
            is_stale |= is_known && !catalog.serves(parent)?;
        }
        is_stale |= !has_all && catalog.has_table(&self.name)?;
        match root_of(change.table()).filter(|_| is_stale) {
            Some(root) => {
                catalog.close()?;
                set_regions_on_disk(root, &self.name, &self.options)?;
                self.catalog(change.table())
            }
            None => Ok(has_all.then_some(catalog)),
        }
    }

    /// Writes the children of regions, and publishes them.
    fn make(
        &self,
        change: &RegionChange,
        catalog: Option<TableCatalog>,
        parents: &[RetiredRegion],
        children: &[RegionInfo],
        reference: MakeReference<'_>,
    ) -> Result<()> {
        let storage = self.options.file_storage();
        change.begin(storage)?;
        // A process that locks a parent later finds the file.
        check_locks(change, parents)?;
        let Some(first) = parents.first() else { return Err(Error::invalid_argument("no region")) };
        let max_seq_id = parents.iter().map(|parent| parent.max_seq_id).fold(0, i64::max);
        for child in children {
            let of_family = |family: usize| {
                let mut references = Vec::new();
                for parent in parents {
                    let suffix = parent.info.encoded_name();
                    for file in parent.files.get(family).into_iter().flatten() {
                        let found = reference(child, &parent.info, file);
                        references.extend(found.map(|found| (format!("{}.{suffix}", file.name), found)));
                    }
                }
                references
            };
            let references = (0..first.families.len()).map(of_family).collect();
            let new = NewChild { info: child, families: &first.families, max_seq_id, references };
            let _lock = self.lock_child(&change.table().join(child.encoded_name()))?;
            check_locks_again(change, parents, &**storage)?;
            create_child(storage, change.table(), &new, self.options.now())?;
        }
        check_locks_again(change, parents, &**storage)?;
        if let Some(catalog) = catalog {
            let infos: Vec<RegionInfo> = parents.iter().map(|parent| parent.info.clone()).collect();
            catalog.replace(&infos, children, self.options.now())?;
            check_locks_again(change, parents, &**storage)?;
        }
        change.publish(&**storage)
    }

    /// Creates the directory of a new region, and locks it while it is filled. If the locks of the parents
    /// are lost, the process that resolves the change removes the lock file with the directory: nothing can
    /// then be written there later. Without renames, files written later are not a region.
    fn lock_child(&self, dir: &Path) -> Result<Option<FileLock>> {
        let storage = &**self.options.file_storage();
        if !storage.can_rename(dir) {
            return Ok(None);
        }
        create_dir(storage, dir)?;
        self.options.lock(dir).map(Some)
    }

    /// Resolves a change that may have failed, or that a dead process has begun. Returns whether it was made;
    /// its children are then in the list.
    pub(super) fn resolve_change(&self, unfinished: &UnfinishedChange) -> Result<bool> {
        let change = &unfinished.change;
        let mut is_made = unpoisoned(unfinished.is_made.lock());
        if let Some(known) = *is_made {
            return Ok(known);
        }
        let storage = &**self.options.file_storage();
        let dir_of = |name: &String| change.table().join(name);
        let mut dirs = Vec::new();
        for dir in change.parents().iter().map(dir_of) {
            // HBase may have removed a parent of a merge.
            if dir_exists(storage, &dir)? {
                dirs.push(dir);
            }
        }
        let locks = dirs.iter().map(|dir| self.options.lock(dir));
        let _locks = match locks.collect::<Result<Vec<_>>>() {
            // Another process has resolved the change and opened a parent.
            Err(error) if error.kind() == ErrorKind::Locked && !change.is_announced(storage)? => {
                return Ok(false);
            }
            locks => locks?,
        };
        let made = self.decide(change)?;
        if made {
            let regions = self.regions.load_full();
            let is_parent = |slot: &&Arc<RegionSlot>| change.parents().contains(&slot.info.encoded_name());
            let parents: Vec<_> = regions.slots.iter().filter(is_parent).cloned().collect();
            // HBase may have replaced and removed children since.
            let mut children = Vec::new();
            for dir in change.children().iter().map(dir_of) {
                children.extend(find_region_info(storage, &dir)?.map(|info| (dir, info)));
            }
            let others = regions.slots.iter().filter(|slot| !is_parent(slot)).map(|slot| &slot.info);
            let all = others.chain(children.iter().map(|(_, info)| info)).cloned().collect();
            let serving = serving(all);
            children.retain(|(_, info)| serving.contains(info));
            let slot = |(dir, info)| Arc::new(RegionSlot::new(info, RegionSource::Dir(dir), None));
            self.swap(&parents, &children.into_iter().map(slot).collect::<Vec<_>>());
        }
        *is_made = Some(made);
        Ok(made)
    }

    /// Ends a change: completes it if the catalog has it, and otherwise resolves it. Returns whether it has
    /// replaced the parents. They must be locked, or not be in the list.
    pub(super) fn decide(&self, change: &RegionChange) -> Result<bool> {
        let storage = &**self.options.file_storage();
        if change.replacement().is_some() {
            let is_made = change.resolve(storage)?;
            if is_made {
                change.write_descriptor(self.options.file_storage())?;
            }
            return Ok(is_made && !change.is_a(ReplacementKind::Alteration));
        }
        if let Some(catalog) = self.catalog(change.table())?
            && catalog.has_made(&self.name, change)?
        {
            change.complete(storage)?;
            return Ok(true);
        }
        change.resolve(storage)
    }

    /// Replaces regions of the list, if not done already.
    fn swap(&self, old: &[Arc<RegionSlot>], new: &[Arc<RegionSlot>]) {
        self.regions.rcu(|regions| match regions.with(old, new) {
            Some(list) => Arc::new(list),
            None => Arc::<RegionList>::clone(regions),
        });
    }
}
