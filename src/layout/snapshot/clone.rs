//! Creates tables with the content of a snapshot: their store files are links to the snapshot's files (HBase:
//! `RestoreSnapshotHelper`, `HFileLink.create`).
//!
//! | file of the snapshot | file of the clone |
//! |---|---|
//! | `<hfile>` | link `<table>=<region>-<hfile>`, an empty file |
//! | `<table>=<region>-<hfile>` | the same |
//! | `<hfile>.<parent>` | reference `<table>=<parent>-<hfile>.<cloned parent>`, with the same content |
//! | `<table>=<region>-<hfile>.<parent>` | reference `<table>=<region>-<hfile>.<cloned parent>` |
//!
//! For each link there is a back reference in the archive, which tells HBase's cleaner that the HFile is in
//! use: `<region>/<family>/.links-<hfile>/<cloned region>.<cloned table>`. There is none for a reference: the
//! links of the cloned parent keep its HFile, until no region refers to the parent and its directory is
//! removed.
//!
//! In a storage without renames, the table is written in place, and one conditional put makes it one
//! ([`NewTable`]), or replaces the table's regions by its own ([`Replacement`](crate::layout::Replacement)).
//! Its regions get new ids there, and therefore new names: names of an interrupted clone, or of a deleted
//! table, are not reused. Lists track its files, whatever the snapshot's settings are.

use super::{Snapshot, SnapshotRegion, not_found};
use crate::error::{Corruption, Error, Result};
use crate::io::Storage;
use crate::layout::commit::listed;
use crate::layout::descriptor::{
    create_clone_file, create_whole_descriptor, readable_bytes, with_lists, with_tracker,
};
use crate::layout::durable::{
    create_dir, create_dir_durably, create_empty, list_if_exists, sync_dir, write_file,
};
use crate::layout::file_list::{FILE_LIST_DIR, FileList, NewFileList};
use crate::layout::file_name::{FileName, back_reference_name, link_name};
use crate::layout::region::{already_exists, check_tracked_by_list, fill, write_restored};
use crate::layout::store_file_info::StoreFileInfo;
use crate::layout::table::{NewTable, clear_creations, create_aside, last_id};
use crate::layout::tracker::{StoreFileTracker, TrackedBy};
use crate::schema::{Family, RegionInfo, TableDescriptor, TableName};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The prefix of the directory of an HFile's back references, before the name of the HFile.
const BACK_REFERENCES: &str = ".links-";

/// A table that gets the content of a snapshot.
pub(crate) struct TableClone<'s> {
    snapshot: &'s Snapshot,
    storage: &'s Arc<dyn Storage>,
    descriptor: TableDescriptor,
    families: Vec<Family>,
    /// The id of each region of the snapshot, and its clone's id, if they differ.
    ids: BTreeMap<i64, i64>,
    /// The name of each region of the snapshot, and its clone's name.
    names: BTreeMap<String, String>,
    now: i64,
}

impl Snapshot {
    /// Creates a table with the content of the snapshot. After a failure or a crash the table is complete or
    /// does not exist.
    ///
    /// # Errors
    ///
    /// Of kind [`std::io::ErrorKind::AlreadyExists`] if the table's directory exists; if a store file of the
    /// snapshot is missing, or has another length; if the snapshot has no descriptor; if values of the table
    /// are in MOB files; if an I/O operation fails.
    pub(crate) fn clone_table(&self, storage: &Arc<dyn Storage>, table: &TableName, now: i64) -> Result<()> {
        let path = self.tree.root().table(table);
        if !storage.can_rename(&path) {
            return self.clone_in_place(storage, table, &path, now);
        }
        if list_if_exists(&**storage, &path)?.is_some() {
            return Err(already_exists(&path));
        }
        let clone = TableClone::new(self, storage, table, now)?;
        create_aside(storage, &path, |dir| clone.fill(dir))
    }

    /// Like [`clone_table`](Self::clone_table), in a storage without renames. Locks the root.
    fn clone_in_place(
        &self,
        storage: &Arc<dyn Storage>,
        table: &TableName,
        path: &Path,
        now: i64,
    ) -> Result<()> {
        let lock = self.tree.lock(&**storage)?;
        let undone = clear_creations(storage, path)?;
        let mut clone = TableClone::in_place(self, storage, table, now)?;
        let names = |regions: &[RegionInfo]| -> Vec<String> {
            regions.iter().map(RegionInfo::encoded_name).collect()
        };
        let first_id = now.max(last_id(&undone).saturating_add(1));
        let regions = clone.number_regions(first_id, |regions| {
            let names = names(regions);
            undone.iter().any(|change| change.has_any(&names))
        })?;
        let new = NewTable { path, descriptor: &clone.descriptor, regions: names(&regions), undone: &undone };
        new.create(storage, || clone.fill_regions(path, None), || self.tree.check_lock(&lock))
    }
}

impl<'s> TableClone<'s> {
    pub(super) fn new(
        snapshot: &'s Snapshot,
        storage: &'s Arc<dyn Storage>,
        table: &TableName,
        now: i64,
    ) -> Result<Self> {
        let Some(stored) = &snapshot.descriptor else {
            let message = format!("snapshot {} has no table descriptor", snapshot.description.name());
            return Err(not_found("clone", &snapshot.manifest, message));
        };
        stored.refuse_mob()?;
        let descriptor = with_tracker(&stored.descriptor.in_table(table));
        let families = descriptor.families().cloned().collect();
        let (ids, names) = (BTreeMap::new(), BTreeMap::new());
        let mut clone = Self { snapshot, storage, descriptor, families, ids, names, now };
        clone.name_regions();
        Ok(clone)
    }

    /// Creates the content of a table in a storage without renames: lists track the files of all families.
    /// The regions must be [numbered](Self::number_regions).
    pub(crate) fn in_place(
        snapshot: &'s Snapshot,
        storage: &'s Arc<dyn Storage>,
        table: &TableName,
        now: i64,
    ) -> Result<Self> {
        let mut clone = Self::new(snapshot, storage, table, now)?;
        clone.descriptor = with_lists(&clone.descriptor);
        clone.families = clone.descriptor.families().cloned().collect();
        check_tracked_by_list(&clone.families, Some(&clone.descriptor))?;
        Ok(clone)
    }

    /// Gives the regions new ids, from one on, in the order of the old ones, and returns them. The first id
    /// is increased while `is_taken` returns true for the regions.
    ///
    /// # Errors
    ///
    /// If there are no regions; if too few ids are left for them.
    pub(crate) fn number_regions(
        &mut self,
        mut first: i64,
        is_taken: impl Fn(&[RegionInfo]) -> bool,
    ) -> Result<Vec<RegionInfo>> {
        let old: BTreeSet<i64> = self.snapshot.regions.iter().map(|region| region.info.region_id()).collect();
        loop {
            self.ids = old.iter().copied().zip(first..=i64::MAX).collect();
            if self.ids.len() < old.len() {
                let message = format!("too few ids are left for new regions: the first one would be {first}");
                return Err(Error::not_supported(message));
            }
            self.name_regions();
            let regions: Vec<RegionInfo> = self.regions().map(|(_, info)| info).collect();
            if regions.is_empty() {
                let name = self.snapshot.description.name();
                return Err(Error::not_supported(format!("snapshot {name} has no regions to be cloned")));
            }
            if !is_taken(&regions) {
                return Ok(regions);
            }
            // The clock has not advanced.
            first = RegionInfo::id_after(&regions, first)?;
        }
    }

    /// Returns the content of the descriptor's file.
    pub(crate) fn descriptor_file(&self) -> Result<Vec<u8>> {
        readable_bytes(&self.descriptor)
    }

    fn name_regions(&mut self) {
        let regions = self.snapshot.regions.iter();
        self.names =
            regions.map(|region| (region.info.encoded_name(), self.info_of(region).encoded_name())).collect();
    }

    /// Returns the clone of a region of the snapshot.
    fn info_of(&self, region: &SnapshotRegion) -> RegionInfo {
        let info = region.info.in_table(self.descriptor.table());
        self.ids.get(&info.region_id()).map_or_else(|| info.clone(), |id| info.with_id(*id))
    }

    /// Returns the regions of the snapshot that are cloned, each with its clone.
    fn regions(&self) -> impl Iterator<Item = (&SnapshotRegion, RegionInfo)> {
        let regions = self.snapshot.regions.iter().filter(|region| region.info.replica_id() == 0);
        regions.map(|region| (region, self.info_of(region)))
    }

    /// Writes the contents of the table to an existing directory.
    pub(super) fn fill(&self, dir: &Path) -> Result<()> {
        create_whole_descriptor(self.storage, dir, &self.descriptor)?;
        create_clone_file(self.storage, dir)?;
        self.fill_regions(dir, None)
    }

    /// Writes the regions to the table's directory. `number` is that of the descriptor that the table gets,
    /// if it has another one.
    pub(crate) fn fill_regions(&self, dir: &Path, number: Option<u64>) -> Result<()> {
        self.regions().try_for_each(|(region, info)| self.fill_region(dir, region, &info, number))
    }

    fn fill_region(
        &self,
        table_dir: &Path,
        region: &SnapshotRegion,
        info: &RegionInfo,
        number: Option<u64>,
    ) -> Result<()> {
        let dir = table_dir.join(info.encoded_name());
        let source = self.snapshot.region_dir(self.storage, region);
        for family in region.families.keys() {
            if !self.families.iter().any(|known| known.name() == family.as_bytes()) {
                if region.is_parent() {
                    continue; // HBase leaves families there that were deleted after the split
                }
                let message = format!("the table descriptor of the snapshot has no family {family}");
                return Err(Error::invalid_argument(message));
            }
            let files = self.snapshot.store_files(&source, region, family.as_bytes())?.files;
            self.fill_family(&dir.join(&**family), family, &region.info, info, &files)?;
        }
        if let Some(number) = number {
            write_restored(self.storage, &dir, number)?;
        }
        fill(self.storage, &dir, info, &self.families)
    }

    fn fill_family(
        &self,
        dir: &Path,
        family: &str,
        of: &RegionInfo,
        info: &RegionInfo,
        files: &[StoreFileInfo],
    ) -> Result<()> {
        let storage = &**self.storage;
        create_dir(storage, dir)?;
        let (mut names, mut back_references) = (BTreeSet::new(), BackReferences::default());
        let encoded = of.encoded_name();
        for file in files {
            let Some(parsed) = FileName::parse(&file.name) else {
                return Err(Error::invalid_argument(format!("no store file has a name like {}", file.name)));
            };
            let (table, region, hfile) = parsed.hfile(of.table(), &encoded);
            let link = link_name(table, region, hfile);
            let name = match (&parsed, &file.reference) {
                (FileName::Reference(_, parent), Some(reference)) => {
                    let parent = self.names.get(*parent).map_or(*parent, String::as_str);
                    let name = format!("{link}.{parent}");
                    write_file(self.storage, &dir.join(&name), &reference.to_bytes())?;
                    name
                }
                _ => {
                    let store = self.snapshot.tree.root().archive(table).join(region).join(family);
                    back_references.add(store, hfile);
                    create_empty(storage, &dir.join(&link))?;
                    link
                }
            };
            if !names.insert(name) {
                let corruption = Corruption::Malformed("two files of a family of the snapshot are the same");
                return Err(corruption.at(&self.snapshot.manifest, 0));
            }
        }
        // HBase's cleaner must find the links before the table exists.
        back_references.write(self, &back_reference_name(info.table(), &info.encoded_name()))?;
        self.list(dir, family, &names)?;
        sync_dir(storage, dir)
    }

    /// Writes the list of the files of a family, if its tracker keeps one.
    fn list(&self, dir: &Path, family: &str, names: &BTreeSet<String>) -> Result<()> {
        let setting = |key: &str| self.descriptor.setting(family.as_bytes(), key);
        let tracker = StoreFileTracker::from_settings(setting)
            .map_err(|corruption| corruption.at(&self.snapshot.manifest, 0))?;
        if tracker.source != TrackedBy::List && !tracker.writes_list {
            return Ok(());
        }
        let storage = &**self.storage;
        let files = FileList::new(names.iter().map(|name| listed(name, 0)).collect());
        let list = NewFileList::after(storage, dir, files, self.now)?;
        let aside = dir.join(FILE_LIST_DIR).join(".new");
        list.write(storage, &aside)?;
        list.publish(storage, &aside)
    }
}

/// The HFiles of a family that get back references, by the archive directory of their store.
#[derive(Default)]
struct BackReferences(BTreeMap<PathBuf, BTreeSet<String>>);

impl BackReferences {
    fn add(&mut self, store: PathBuf, hfile: &str) {
        self.0.entry(store).or_default().insert(hfile.to_owned());
    }

    fn write(&self, clone: &TableClone<'_>, name: &str) -> Result<()> {
        let storage = &**clone.storage;
        let tree = &clone.snapshot.tree;
        for (store, hfiles) in &self.0 {
            // Fails if a directory on the path is a symbolic link.
            tree.list(storage, store)?;
            create_dir_durably(storage, &tree.root().path, store)?;
            for hfile in hfiles {
                let dir = store.join(format!("{BACK_REFERENCES}{hfile}"));
                tree.list(storage, &dir)?;
                create_dir(storage, &dir)?;
                create_empty(storage, &dir.join(name))?;
                sync_dir(storage, &dir)?;
            }
            sync_dir(storage, store)?;
        }
        Ok(())
    }
}
