//! Tables with the content of a snapshot: their store files are links to those of the snapshot (HBase:
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

use super::{Snapshot, SnapshotRegion, not_found};
use crate::error::{Corruption, Error, Result};
use crate::io::Storage;
use crate::layout::commit::listed;
use crate::layout::descriptor::{create_whole_descriptor, mark_clone, with_tracker};
use crate::layout::durable::{create_dir, create_dir_durably, list_if_exists, sync_dir, write_file};
use crate::layout::file_list::{FILE_LIST_DIR, FileList, NewFileList};
use crate::layout::file_name::{FileName, back_reference_name, link_name};
use crate::layout::region::{already_exists, fill};
use crate::layout::store_file_info::StoreFileInfo;
use crate::layout::table::create_aside;
use crate::layout::tracker::{StoreFileTracker, TrackedBy};
use crate::schema::{Family, RegionInfo, TableDescriptor, TableName};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The prefix of the directory of an HFile's back references, before the name of the HFile.
const BACK_REFERENCES: &str = ".links-";

/// A table that gets the content of a snapshot.
pub(super) struct TableClone<'s> {
    snapshot: &'s Snapshot,
    storage: &'s Arc<dyn Storage>,
    descriptor: TableDescriptor,
    families: Vec<Family>,
    /// The name of each region of the snapshot, and that of its clone.
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
        if list_if_exists(&**storage, &path)?.is_some() {
            return Err(already_exists(&path));
        }
        let clone = TableClone::new(self, storage, table, now)?;
        create_aside(storage, &path, |dir| clone.fill(dir))
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
        let name = |region: &SnapshotRegion| {
            (region.info.encoded_name(), region.info.in_table(table).encoded_name())
        };
        let names = snapshot.regions.iter().map(name).collect();
        Ok(Self { snapshot, storage, descriptor, families, names, now })
    }

    /// Writes the contents of the table to an existing directory.
    pub(super) fn fill(&self, dir: &Path) -> Result<()> {
        create_whole_descriptor(self.storage, dir, &self.descriptor)?;
        mark_clone(self.storage, dir)?;
        let mut regions = self.snapshot.regions.iter().filter(|region| region.info.replica_id() == 0);
        regions.try_for_each(|region| self.fill_region(dir, region))
    }

    fn fill_region(&self, table_dir: &Path, region: &SnapshotRegion) -> Result<()> {
        let info = region.info.in_table(self.descriptor.table());
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
            self.fill_family(&dir.join(&**family), family, &region.info, &info, &files)?;
        }
        fill(self.storage, &dir, &info, &self.families, false)
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
        // HBase's cleaner must find the links before the table is there.
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
            // Fails if a directory on the way is a symbolic link.
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

/// Creates an empty file, whose name is its content.
fn create_empty(storage: &dyn Storage, path: &Path) -> Result<()> {
    storage.create(path).map(drop).map_err(|error| Error::io("create", path, error))
}
