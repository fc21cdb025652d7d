//! Deletes, truncates, alters and restores tables in a storage without renames.
//!
//! Nothing can be moved away atomically there. A change is announced by a file, and made by a conditional put
//! of that file, like a split: see [`RegionChange`] and [`Replacement`]. It is then completed: the catalog is
//! updated, and the files of removed regions or families are moved to the archive.

use super::TableCore;
use super::admin::{TableChange, follow_directories};
use super::catalog::{TableCatalog, check_catalog, regions_on_disk, root_of};
use crate::error::{Error, Result};
use crate::io::Storage;
use crate::layout::{
    RegionChange, RegionLocks, Replacement, ReplacementKind, Snapshot, TableClone, TableListing, TableTree,
    check_lock, check_tracked_by_list, end_copies, last_number, number_in_place, remove_descriptors,
};
use crate::locator::serving;
use crate::region::RegionOptions;
use crate::schema::{Family, RegionInfo, TableDescriptor, TableName};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::Path;

/// The maximum number of regions of formerly deleted tables that the file of a deletion names. The file
/// stays, and is read whenever the table's directory is listed.
const FORMER_REGIONS: usize = 20_000;

/// A table whose regions are all locked, without a change in progress.
pub(super) struct Begun {
    locks: RegionLocks,
    /// The changes left by other processes or earlier calls that were completed.
    completed: Vec<RegionChange>,
}

impl Begun {
    /// Frees the locks.
    pub(super) fn unlock(&mut self) {
        self.locks.clear();
    }

    /// Adds the locks and the completed changes of a later begin.
    pub(super) fn add(&mut self, later: Self) {
        self.locks = later.locks;
        self.completed.extend(later.completed);
    }

    /// Whether a deletion was completed.
    fn was_deleted(&self) -> bool {
        self.completed.iter().any(|change| change.is_a(ReplacementKind::Deletion))
    }

    /// Whether an alteration was completed that has removed a family.
    pub(super) fn has_removed(&self, family: &[u8]) -> bool {
        let replacements = self.completed.iter().filter_map(RegionChange::replacement);
        replacements.flat_map(|replacement| &replacement.families).any(|name| name.as_bytes() == family)
    }
}

impl TableChange<'_> {
    /// Locks all regions, and then ends all changes: those only begun, and those made but not completed.
    pub(super) fn begin_in_place(&self) -> Result<Begun> {
        let mut locks = self.lock_regions()?;
        let listing = self.tree.listing()?;
        // An interrupted creation is ended by the next creation.
        for change in listing.changes().iter().filter(|change| !change.is_creation()) {
            self.resolve_in_place(change)?;
        }
        let completed = self.complete_in_place(&mut locks)?;
        Ok(Begun { locks, completed })
    }

    /// Makes or undoes a change that was begun. For a split or merge, the catalog decides.
    fn resolve_in_place(&self, change: &RegionChange) -> Result<()> {
        let storage = self.options.file_storage();
        if change.replacement().is_none()
            && let Some(catalog) = TableCatalog::open(self.root, self.options)?
        {
            let is_made = catalog.has_made(&self.table, change)?;
            catalog.close()?;
            if is_made {
                return change.complete(&**storage);
            }
        }
        change.resolve(&**storage).map(drop)
    }

    /// Completes changes of the table that were made, and returns those that were incomplete.
    fn complete_in_place(&self, locks: &mut RegionLocks) -> Result<Vec<RegionChange>> {
        let (storage, dir) = (self.options.file_storage(), self.tree.dir());
        let listing = self.tree.listing()?;
        let mut completed = complete_removals(self.root, &self.table, self.options, &listing, locks)?;
        for change in listing.made() {
            let Some(replacement) = change.replacement() else { continue };
            let is_incomplete = match replacement.kind {
                ReplacementKind::Truncation | ReplacementKind::Restoration => false,
                // An earlier call may have removed only the regions. Another program that has since created a
                // table of the name does not use the number.
                ReplacementKind::Deletion => {
                    !listing.has_region(&**storage)?
                        && remove_descriptors(&**storage, &dir, replacement.number)?
                }
                ReplacementKind::Alteration => {
                    self.remove_families(&replacement.families, &listing)?;
                    forget(change, replacement, &**storage)?;
                    true
                }
            };
            if is_incomplete && !completed.contains(change) {
                completed.push(change.clone());
            }
        }
        // The last deletion has the greatest numbers, and includes the region names of earlier ones. Another
        // program may have created a table with smaller numbers in between.
        let rank = |change: &&RegionChange| {
            let deletion = change.replacement();
            deletion.map(|deletion| (deletion.number, deletion.last_id, change.removed().len()))
        };
        let last = listing.deletions().max_by_key(rank);
        for former in listing.deletions().filter(|change| Some(*change) != last) {
            former.forget(&**storage)?;
        }
        self.tree.listing()?.forget_over(storage)?;
        Ok(completed)
    }

    /// Removes the remains of families that the table no longer has.
    fn remove_families(&self, families: &[String], listing: &TableListing) -> Result<()> {
        if families.is_empty() {
            return Ok(());
        }
        let stored = self.tree.descriptor(listing)?;
        let has = |name: &str| {
            let families = stored.iter().flat_map(|stored| stored.descriptor().families());
            families.map(Family::name).any(|family| family == name.as_bytes())
        };
        for name in families.iter().filter(|name| !has(name)) {
            self.tree.end_lists(name)?;
            self.tree.remove_family(name)?;
        }
        Ok(())
    }

    /// Fails if a bulk load into a family selected by `is_removed` was interrupted. The change would remove a
    /// region's record of the load, or leave it to another family of the name, so that repeating the load
    /// could bring deleted cells back. Records of complete loads are removed. The regions must be locked.
    pub(super) fn refuse_interrupted_loads(&self, is_removed: impl Fn(&[u8]) -> bool) -> Result<()> {
        let (storage, dir) = (self.options.file_storage(), self.tree.dir());
        let regions = self.tree.regions()?;
        regions.iter().try_for_each(|region| end_copies(&**storage, &dir.join(region), &is_removed))
    }

    /// Fails if the root or a region is no longer locked.
    pub(super) fn check_locks(&self, locks: &RegionLocks) -> Result<()> {
        check_lock(&self.lock, self.root)?;
        locks.iter().try_for_each(|(name, lock)| check_lock(lock, &self.tree.dir().join(name)))
    }

    /// Fails if the table has a region that is not locked or not a parent of the change, because it was
    /// created after the regions were locked or listed.
    fn check_regions(&self, change: &RegionChange, locks: &RegionLocks) -> Result<()> {
        let parents: BTreeSet<&str> = change.parents().iter().map(String::as_str).collect();
        for (dir, region) in self.tree.listing()?.regions_after(&**self.options.file_storage(), &[])? {
            let is_locked =
                dir.file_name().and_then(OsStr::to_str).is_some_and(|name| locks.contains_key(name));
            if !is_locked || !parents.contains(&*region.encoded_name()) {
                return Err(Error::locked(&dir));
            }
        }
        Ok(())
    }

    /// Makes a change: announces it, lets `fill` write the new regions, and decides. If this fails, the
    /// change was made or undone, or the next process that opens the table for writing decides.
    fn make_in_place(
        &self,
        change: &RegionChange,
        locks: &RegionLocks,
        fill: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let storage = self.options.file_storage();
        self.check_regions(change, locks)?;
        let make = || {
            change.begin(storage)?;
            // A process that locks a region later finds the file.
            self.check_locks(locks)?;
            fill()?;
            self.check_regions(change, locks)?;
            change.publish(&**storage)
        };
        make().or_else(|error| match self.check_locks(locks).and_then(|()| change.resolve(&**storage)) {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(error),
        })
    }

    /// Returns all regions, including parents of splits and merges.
    fn all_regions(&self) -> Result<Vec<RegionInfo>> {
        regions_on_disk(self.root, &self.table, self.options)
    }

    /// Whether the table exists.
    pub(super) fn exists(&self) -> Result<bool> {
        if self.is_in_place() { Ok(!self.all_regions()?.is_empty()) } else { self.tree.exists() }
    }

    /// Returns an id for regions that replace all others. It is greater than the ids in undone changes of the
    /// table, whose regions may appear late and must not replace the new ones.
    fn id_after(&self, old: &[RegionInfo], listing: &TableListing) -> Result<i64> {
        let others = listing.undone().iter().chain(listing.made()).filter_map(RegionChange::replacement);
        let after = RegionInfo::id_after(old, self.options.now())?;
        Ok(others.map(|other| other.last_id).fold(after, i64::max))
    }

    /// Returns a change of all regions of the table.
    fn change_of(&self, old: &[RegionInfo], new: &[RegionInfo], replacement: Replacement) -> RegionChange {
        let names = |regions: &[RegionInfo]| -> Vec<String> {
            regions.iter().map(RegionInfo::encoded_name).collect()
        };
        RegionChange::new(&self.tree.dir(), names(old), names(new)).of_table(replacement)
    }

    /// Like [`delete_table`](super::Table::delete_table).
    pub(super) fn delete_in_place(&self) -> Result<()> {
        self.tree.refuse_mob()?;
        let mut begun = self.begin_in_place()?;
        let old = self.all_regions()?;
        if old.is_empty() {
            return if begun.was_deleted() { Ok(()) } else { Err(self.not_found(self.root)) };
        }
        self.tree.check_archivable(|_| true)?;
        check_catalog(self.root, self.options)?;
        let (listing, storage) = (self.tree.listing()?, self.options.file_storage());
        let (mut number, mut last_id) =
            (last_number(&**storage, &self.tree.dir())?, RegionInfo::id_after(&old, self.options.now())?);
        for former in listing.deletions().filter_map(RegionChange::replacement) {
            (number, last_id) = (number.max(former.number), last_id.max(former.last_id));
        }
        let deletion = Replacement::new(ReplacementKind::Deletion, number, last_id, Vec::new());
        // The files of undone changes are removed with the regions, and those of former deletions with this
        // one, because regions that they announced or hide may appear late.
        let undone = listing.undone().iter().filter(|change| !change.is_creation());
        let undone = undone.flat_map(RegionChange::children).cloned();
        let former = listing.deletions().flat_map(RegionChange::removed).take(FORMER_REGIONS).cloned();
        let removed = old.iter().map(RegionInfo::encoded_name).chain(undone).chain(former);
        let change = RegionChange::new(&self.tree.dir(), removed, []).of_table(deletion);
        self.make_in_place(&change, &begun.locks, || Ok(()))?;
        self.complete_in_place(&mut begun.locks).map(drop)
    }

    /// Like [`truncate`](super::Table::truncate).
    pub(super) fn truncate_in_place(&self, preserve_splits: bool) -> Result<()> {
        let mut begun = self.begin_in_place()?;
        let old = self.all_regions()?;
        if old.is_empty() {
            return Err(self.not_found(self.root));
        }
        self.tree.refuse_mob()?;
        self.refuse_interrupted_loads(|_| true)?;
        self.tree.check_archivable(|_| true)?;
        let (stored, storage) = (self.descriptor()?, self.options.file_storage());
        let families: Vec<Family> = stored.descriptor().families().cloned().collect();
        check_tracked_by_list(&families, Some(stored.descriptor()))?;
        let (listing, serving) = (self.tree.listing()?, serving(old.clone()));
        let mut new = self.empty_regions(&serving, preserve_splits, self.id_after(&old, &listing)?)?;
        // Regions of an undone change have the same names if the clock has not advanced.
        while listing.has_children(&new) {
            new = self.empty_regions(&serving, preserve_splits, RegionInfo::id_after(&new, 0)?)?;
        }
        check_catalog(self.root, self.options)?;
        let number = number_in_place(&**storage, &self.tree.dir())?;
        let last_id = RegionInfo::id_after(&new, 0)?;
        let descriptor = stored.read(&**storage)?;
        let empty = Replacement::new(ReplacementKind::Truncation, number, last_id, descriptor);
        let change = self.change_of(&old, &new, empty);
        self.make_in_place(&change, &begun.locks, || self.tree.create_regions(&new, &families))?;
        self.complete_in_place(&mut begun.locks).map(drop)
    }

    /// Replaces the regions and settings of the table by those of a snapshot. Returns false if there is no
    /// table, so that it must be created.
    pub(super) fn restore_in_place(&self, snapshot: &Snapshot) -> Result<bool> {
        let mut begun = self.begin_in_place()?;
        let old = self.all_regions()?;
        if old.is_empty() {
            return Ok(false);
        }
        let storage = self.options.file_storage();
        let mut clone = TableClone::in_place(snapshot, storage, &self.table, self.options.now())?;
        self.tree.refuse_mob()?;
        self.refuse_interrupted_loads(|_| true)?;
        self.tree.check_archivable(|_| true)?;
        let listing = self.tree.listing()?;
        let first = self.id_after(&old, &listing)?;
        let new = clone.number_regions(first, |regions| listing.has_children(regions))?;
        let number = number_in_place(&**storage, &self.tree.dir())?;
        let (last_id, descriptor) = (RegionInfo::id_after(&new, 0)?, clone.descriptor_file()?);
        let restored = Replacement::new(ReplacementKind::Restoration, number, last_id, descriptor);
        let change = self.change_of(&old, &new, restored);
        self.make_in_place(&change, &begun.locks, || clone.fill_regions(&self.tree.dir(), Some(number)))?;
        self.complete_in_place(&mut begun.locks).map(|_| true)
    }

    /// Replaces the descriptor, whose file is then not empty, and removes families.
    pub(super) fn replace_in_place(
        &self,
        mut begun: Begun,
        after: &TableDescriptor,
        descriptor: Vec<u8>,
        removed: Vec<String>,
    ) -> Result<()> {
        let storage = self.options.file_storage();
        let families: Vec<Family> = after.families().cloned().collect();
        check_tracked_by_list(&families, Some(after))?;
        let number = number_in_place(&**storage, &self.tree.dir())?;
        let mut altered = Replacement::new(ReplacementKind::Alteration, number, 0, descriptor);
        altered.families = removed;
        let change = self.change_of(&self.all_regions()?, &[], altered);
        self.make_in_place(&change, &begun.locks, || Ok(()))?;
        self.complete_in_place(&mut begun.locks).map(drop)
    }
}

impl TableCore {
    /// Archives the regions that a truncation, a restoration, or the deletion of a former table has left in
    /// the table's directory. `changing` must be held.
    pub(super) fn archive_removed(&self, table: &Path) -> Result<()> {
        let listing = TableListing::read(&**self.options.file_storage(), table)?;
        let Some(root) = root_of(table) else { return Ok(()) };
        complete_removals(root, &self.name, &self.options, &listing, &mut RegionLocks::new()).map(drop)
    }
}

/// Writes the descriptors of changes of a table that were made, archives the regions that deletions,
/// truncations and restorations have left, and ends the latter two. Returns the changes that were incomplete.
/// `locks` are the locks held.
fn complete_removals(
    root: &Path,
    table: &TableName,
    options: &RegionOptions,
    listing: &TableListing,
    locks: &mut RegionLocks,
) -> Result<Vec<RegionChange>> {
    let storage = options.file_storage();
    let tree = TableTree::new(storage, root, table);
    // Done before a change is forgotten, so that no other descriptor gets the number.
    listing.write_descriptors(storage)?;
    let mut completed = Vec::new();
    for change in listing.made() {
        let Some(replacement) = change.replacement() else { continue };
        let (is_left, ends) = (listing.is_left(change), replacement.kind.replaces_regions());
        if is_left {
            follow_directories(root, table, options)?;
            tree.archive_removed(change, locks, |region| options.lock(region))?;
        }
        if replacement.kind == ReplacementKind::Restoration {
            change.mark_made(storage)?;
        }
        if ends {
            forget(change, replacement, &**storage)?;
        }
        if is_left || ends {
            completed.push(change.clone());
        }
    }
    Ok(completed)
}

/// Ends a complete change: removes the descriptors before its own, and its file.
fn forget(change: &RegionChange, replacement: &Replacement, storage: &dyn Storage) -> Result<()> {
    remove_descriptors(storage, change.table(), replacement.number.saturating_sub(1))?;
    change.forget(storage)
}
