//! Snapshots: lists of the store files that a table had (hfile.md §15.8; HBase: `SnapshotManifest`,
//! `SnapshotReferenceUtil`, `HFileLink`).
//!
//! ```text
//! <root>/.hbase-snapshot/
//!     .tmp/                                   snapshots that are being taken or removed: not read
//!     <snapshot>/
//!         .snapshotinfo                       SnapshotDescription
//!         data.manifest                       manifest: descriptor, regions, names of store files
//!         region-manifest.<region>            one region, until data.manifest exists
//! <root>/.hregion.deleted-snapshots/<snapshot>
//!                                             in a storage without renames: the name is not used again
//! ```
//!
//! A snapshot has no data of its own: its store files are in the table, in the archive when the table no
//! longer needs them, or in the tables that its links name.
#![warn(clippy::indexing_slicing)]

mod clone;
mod export;
mod manifest;
mod parents;
mod restore;
mod write;

use super::descriptor::{StoredDescriptor, read_descriptor};
use super::family::{REFERENCE_BYTES, StoreFiles, check_mob};
use super::file_name::FileName;
use super::mob::is_mob_region;
use super::reference::Reference;
use super::region::RegionDir;
use super::root_tree::{Listings, RootTree};
use super::store_file_info::StoreFileInfo;
use crate::error::{Corruption, Error, Result};
use crate::io::{DirEntry, Storage, read_file};
use crate::schema::region_name::is_encoded_name;
use crate::schema::{Family, SnapshotDescription, TableName};
pub(crate) use clone::TableClone;
pub(crate) use export::HFilePath;
pub(crate) use manifest::SnapshotRegion;
use manifest::{DataManifest, SnapshotFile, parse_region_manifest, sealed_description};
pub(crate) use parents::split_parents;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
pub(crate) use write::SnapshotTree;

/// The directory of the snapshots, within the root.
const SNAPSHOT_DIR: &str = ".hbase-snapshot";
const SNAPSHOT_INFO: &str = ".snapshotinfo";
const DATA_MANIFEST: &str = "data.manifest";
/// The prefix of the manifest of one region, before its encoded name.
const REGION_MANIFEST: &str = "region-manifest.";

/// The directory of the names of removed snapshots, within the root: in the snapshot directory, HBase's
/// cleaner would treat each as an unreadable snapshot. Only in a storage without renames.
const DELETED: &str = ".hregion.deleted-snapshots";

/// The size limit of a `.snapshotinfo`, which may contain the permissions of many users.
const SNAPSHOT_INFO_BYTES: u64 = 16 << 20;

/// The size limit of all manifests of a snapshot, as in HBase by default (`snapshot.manifest.size.limit`).
/// In memory, a manifest takes several times its size.
const MANIFEST_BYTES: u64 = 64 << 20;

/// The manifest version that is read.
const VERSION: i32 = 2;

/// A snapshot: the regions of a table, and the names of their store files.
#[derive(Debug)]
pub(crate) struct Snapshot {
    tree: RootTree,
    description: SnapshotDescription,
    /// The manifest, or the snapshot's directory if there is one manifest for each region.
    manifest: PathBuf,
    descriptor: Option<StoredDescriptor>,
    regions: Vec<SnapshotRegion>,
    warnings: Vec<Error>,
}

/// A store file of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnapshotStoreFile {
    /// The family.
    pub family: String,
    /// The path that it had in its table, from which it may have been moved to the archive.
    pub path: PathBuf,
    /// The current path of the HFile that it is, links to or refers to.
    pub hfile: PathBuf,
}

/// Returns the descriptions of all complete snapshots under a root directory, by name, with an error for each
/// whose description cannot be read, is malformed, or is not that of the manifest. Skips directories without
/// a description, as HBase does.
///
/// # Errors
///
/// If the directory of the snapshots cannot be listed.
pub(crate) fn each_snapshot(storage: &dyn Storage, root: &Path) -> Result<Vec<Result<SnapshotDescription>>> {
    let tree = RootTree::new(root);
    let entries = tree.list(storage, &tree.root().path.join(SNAPSHOT_DIR))?.unwrap_or_default();
    let names = entries.iter().filter(|entry| entry.is_dir).filter_map(DirEntry::utf8_name);
    let names = names.filter(|name| SnapshotDescription::is_name(name));
    Ok(names.filter_map(|name| complete_description(&tree, storage, name).transpose()).collect())
}

/// Returns the description of the complete snapshot of a name; `None` if there is none.
///
/// # Errors
///
/// If the name is invalid; if the description cannot be read, is malformed, or is not that of the manifest.
pub(crate) fn find_snapshot(
    storage: &dyn Storage,
    root: &Path,
    name: &str,
) -> Result<Option<SnapshotDescription>> {
    SnapshotDescription::check_name(name)?;
    complete_description(&RootTree::new(root), storage, name)
}

/// Returns the description of a snapshot; `None` if it is not complete.
fn complete_description(
    tree: &RootTree,
    storage: &dyn Storage,
    name: &str,
) -> Result<Option<SnapshotDescription>> {
    let Some(description) = read_description(tree, storage, name)? else { return Ok(None) };
    let manifest = tree.root().path.join(SNAPSHOT_DIR).join(name).join(DATA_MANIFEST);
    // This crate writes no larger ones, so it has no seal.
    let may_be_sealed = |entry: &DirEntry| entry.len <= MANIFEST_BYTES;
    let entry = tree.listings(storage).file(&manifest)?;
    if entry.is_none() && is_deleted(tree, storage, name)? {
        return Ok(None);
    }
    if entry.as_ref().is_some_and(may_be_sealed)
        && let Some(bytes) = tree.read(storage, &manifest, MANIFEST_BYTES)?
    {
        let taken = sealed_description(&bytes).map_err(|corruption| corruption.at(&manifest, 0))?;
        check_description(tree, &description, taken.as_ref())?;
    }
    Ok(Some(description))
}

/// Returns the path of the file which records that a snapshot of a name was removed.
fn deleted(tree: &RootTree, name: &str) -> PathBuf {
    tree.root().path.join(DELETED).join(name)
}

/// Whether a snapshot of a name was removed, in a storage without renames.
fn is_deleted(tree: &RootTree, storage: &dyn Storage, name: &str) -> Result<bool> {
    let deleted = deleted(tree, name);
    Ok(!storage.can_rename(&deleted) && tree.listings(storage).file(&deleted)?.is_some())
}

fn read_description(
    tree: &RootTree,
    storage: &dyn Storage,
    name: &str,
) -> Result<Option<SnapshotDescription>> {
    let path = tree.root().path.join(SNAPSHOT_DIR).join(name).join(SNAPSHOT_INFO);
    let Some(bytes) = tree.read(storage, &path, SNAPSHOT_INFO_BYTES)? else { return Ok(None) };
    SnapshotDescription::parse(name, &bytes).map(Some).map_err(|corruption| corruption.at(&path, 0))
}

/// Compares a description with the manifest's, if any.
fn check_description(
    tree: &RootTree,
    description: &SnapshotDescription,
    taken: Option<&SnapshotDescription>,
) -> Result<()> {
    let path = || tree.root().path.join(SNAPSHOT_DIR).join(description.name()).join(SNAPSHOT_INFO);
    let checked = taken.map_or(Ok(()), |taken| description.check_taken(taken));
    checked.map_err(|corruption| corruption.at(&path(), 0))
}

impl Snapshot {
    /// Reads the snapshot of this name under a root directory. Does not look for its store files.
    ///
    /// # Errors
    ///
    /// If the name is invalid; of kind [`io::ErrorKind::NotFound`] if there is no such snapshot; of kind
    /// [`Unsupported`](crate::ErrorKind::Unsupported) if its manifest has another version;
    /// if a file is malformed, or does not match the others; if it cannot be read.
    pub(crate) fn open(storage: &dyn Storage, root: &Path, name: &str) -> Result<Self> {
        SnapshotDescription::check_name(name)?;
        let tree = RootTree::new(root);
        let dir = tree.root().path.join(SNAPSHOT_DIR).join(name);
        let Some(entries) = tree.list(storage, &dir)? else {
            return Err(not_found("open", &dir, "there is no such snapshot".to_owned()));
        };
        let info = dir.join(SNAPSHOT_INFO);
        let Some(description) = read_description(&tree, storage, name)? else {
            return Err(not_found("open", &info, format!("snapshot {name} has no description")));
        };
        check_version(&description).map_err(|corruption| corruption.at(&info, 0))?;
        let manifest = dir.join(DATA_MANIFEST);
        let mut snapshot = match tree.read(storage, &manifest, MANIFEST_BYTES)? {
            Some(bytes) => {
                let DataManifest { description: taken, descriptor, regions } =
                    DataManifest::parse(&bytes).map_err(|corruption| corruption.at(&manifest, 0))?;
                check_description(&tree, &description, taken.as_ref())?;
                let descriptor = Some(StoredDescriptor::of_snapshot(descriptor, &manifest));
                Self { tree, description, manifest, descriptor, regions, warnings: Vec::new() }
            }
            None => Self::without_data_manifest(storage, tree, description, dir, &entries)?,
        };
        snapshot.check()?;
        snapshot.regions.sort_by(|a, b| a.info.start_key().cmp(b.info.start_key()));
        Ok(snapshot)
    }

    /// Reads a snapshot whose manifests were not joined into one. They have no table descriptor.
    fn without_data_manifest(
        storage: &dyn Storage,
        tree: RootTree,
        description: SnapshotDescription,
        dir: PathBuf,
        entries: &[DirEntry],
    ) -> Result<Self> {
        let named = || entries.iter().filter_map(|entry| Some((entry, entry.utf8_name()?)));
        if let Some((_, name)) = named().find(|(entry, name)| entry.is_dir && is_encoded_name(name)) {
            return Err(directory_manifest(name.to_owned()).at(&dir, 0));
        }
        let mut regions = Vec::new();
        let mut left = MANIFEST_BYTES;
        for (_, name) in named().filter(|(entry, name)| !entry.is_dir && name.starts_with(REGION_MANIFEST)) {
            let path = dir.join(name);
            let Some(bytes) = tree.read(storage, &path, left)? else {
                // The manifests are being joined.
                return Err(not_found("open", &path, "another process has removed it".to_owned()));
            };
            left = left.saturating_sub(bytes.len() as u64);
            let region = parse_region_manifest(&bytes).map_err(|corruption| corruption.at(&path, 0))?;
            if name.strip_prefix(REGION_MANIFEST) != Some(region.info.encoded_name().as_str()) {
                let corruption = Corruption::Malformed("region manifest with the name of another region");
                return Err(corruption.at(&path, 0));
            }
            regions.push(region);
        }
        if regions.is_empty() {
            let message = format!("snapshot {} has no manifest", description.name());
            return Err(not_found("open", &dir.join(DATA_MANIFEST), message));
        }
        let (descriptor, warnings) = (None, Vec::new());
        let mut snapshot = Self { tree, description, manifest: dir, descriptor, regions, warnings };
        snapshot.find_descriptor(storage)?;
        Ok(snapshot)
    }

    /// Finds a descriptor for regions whose manifests have none: in the snapshot's directory, or else the
    /// current one of the table.
    fn find_descriptor(&mut self, storage: &dyn Storage) -> Result<()> {
        let table = self.description.table();
        let table_dir = self.tree.root().table(table);
        for owner in [&self.manifest, &table_dir] {
            // Fails if a directory on the path is a symbolic link.
            if self.tree.list(storage, owner)?.is_none() {
                continue;
            }
            let Some(stored) = read_descriptor(storage, owner, table)? else { continue };
            self.tree.listings(storage).file(&stored.path)?;
            if *owner == table_dir {
                let corruption = Corruption::Malformed(
                    "snapshot without data.manifest: the families have the settings that the table has now",
                );
                self.warnings.push(corruption.at(&self.manifest, 0));
            }
            self.descriptor = Some(stored);
            break;
        }
        Ok(())
    }

    /// Checks that all regions are different ones of the table.
    fn check(&self) -> Result<()> {
        let table = self.description.table();
        let malformed = |message| Err(Corruption::Malformed(message).at(&self.manifest, 0));
        if self.descriptor.as_ref().is_some_and(|stored| stored.descriptor.table() != table) {
            return malformed("the table descriptor of the snapshot is that of another table");
        }
        let mut seen = BTreeSet::new();
        for SnapshotRegion { info, .. } in &self.regions {
            if info.table() != table {
                return malformed("a region of another table in the snapshot");
            }
            if !seen.insert((info.start_key(), info.region_id(), info.replica_id())) {
                return malformed("a region occurs twice in the snapshot");
            }
        }
        Ok(())
    }

    /// Returns the name, the table and the settings.
    pub(crate) fn description(&self) -> &SnapshotDescription {
        &self.description
    }

    /// Returns the regions that serve rows, or did, each with its index, by start key. Parents of splits are
    /// left out, as by HBase's `TableSnapshotInputFormat`, and so are replicas, which have no files of their
    /// own, and the region of the MOB files.
    pub(crate) fn regions(&self) -> impl Iterator<Item = (usize, &SnapshotRegion)> {
        let regions = self.regions.iter().enumerate();
        regions.filter(|(_, region)| region.serves())
    }

    /// Returns the region with the MOB files, if any.
    pub(crate) fn mob_regions(&self) -> impl Iterator<Item = &SnapshotRegion> {
        self.regions.iter().filter(|region| is_mob_region(&region.info))
    }

    /// Returns the region at an index.
    pub(crate) fn region(&self, index: usize) -> Option<&SnapshotRegion> {
        self.regions.get(index)
    }

    /// Returns the warnings about the whole snapshot.
    pub(crate) fn warnings(&self) -> &[Error] {
        &self.warnings
    }

    /// Returns the directory of a region, whether it still exists or not.
    pub(crate) fn region_dir(&self, storage: &Arc<dyn Storage>, region: &SnapshotRegion) -> RegionDir {
        let family = |name: &str| Family::new(name.to_owned()).max_versions(u32::MAX);
        let families: Vec<Family> = region.families.keys().map(|name| family(name)).collect();
        let descriptor = self.descriptor.clone();
        RegionDir::of_snapshot(storage, self.tree.root(), &region.info, descriptor, &families)
    }

    /// Returns the files of a family of a region, at their current locations. `dir` is the region's
    /// directory.
    ///
    /// # Errors
    ///
    /// If a file is missing, with its name and the places searched, or its length differs from the
    /// manifest's; if a directory on its path is a symbolic link; if a reference cannot be read, is
    /// malformed, or is to a half that does not belong to the region; if a file of a region with rows is a
    /// MOB file.
    pub(crate) fn store_files(
        &self,
        dir: &RegionDir,
        region: &SnapshotRegion,
        family: &[u8],
    ) -> Result<StoreFiles> {
        let (found, faults) = self.found_files(dir, region, family)?;
        faults.into_iter().next().map_or(Ok(found), Err)
    }

    /// Returns the store files of all families of a region, and the errors of those that cannot be found.
    pub(crate) fn all_files(
        &self,
        storage: &Arc<dyn Storage>,
        region: &SnapshotRegion,
    ) -> (Vec<SnapshotStoreFile>, Vec<Error>) {
        let dir = self.region_dir(storage, region);
        let (mut found, mut faults) = (Vec::new(), Vec::new());
        for family in dir.families() {
            let name = String::from_utf8_lossy(family.name());
            let (listed, missing) = match self.found_files(&dir, region, family.name()) {
                Ok(listed) => listed,
                Err(error) => {
                    faults.push(error);
                    continue;
                }
            };
            faults.extend(missing);
            for file in listed.files {
                let path = dir.path().join(&*name).join(file.name);
                found.push(SnapshotStoreFile { family: name.to_string(), path, hfile: file.path });
            }
        }
        (found, faults)
    }

    /// Like [`store_files`](Self::store_files), but returns the errors of single files separately.
    pub(crate) fn found_files(
        &self,
        dir: &RegionDir,
        region: &SnapshotRegion,
        family: &[u8],
    ) -> Result<(StoreFiles, Vec<Error>)> {
        let name = std::str::from_utf8(family).ok();
        let Some((family_name, listed)) = name.and_then(|name| region.families.get_key_value(name)) else {
            return Ok((StoreFiles::default(), Vec::new()));
        };
        let storage = &**dir.storage();
        let of_family = FamilyOfSnapshot { snapshot: self, region, family: family_name, storage };
        let mut listings = self.tree.listings(storage);
        let (mut found, mut faults) = (StoreFiles::default(), Vec::new());
        for file in listed {
            match of_family.resolve(file, &mut listings) {
                Ok(file) => found.files.push(file),
                Err(error) => faults.push(error),
            }
        }
        dir.check_references(family, &found)?;
        Ok((found, faults))
    }
}

/// A family of a region of a snapshot.
struct FamilyOfSnapshot<'s> {
    snapshot: &'s Snapshot,
    region: &'s SnapshotRegion,
    family: &'s str,
    storage: &'s dyn Storage,
}

impl FamilyOfSnapshot<'_> {
    /// Finds the HFile of a store file, and the half of it that belongs to the region.
    fn resolve(&self, file: &SnapshotFile, listings: &mut Listings<'_>) -> Result<StoreFileInfo> {
        let at_manifest = |corruption: Corruption| corruption.at(&self.snapshot.manifest, 0);
        let parsed = FileName::parse(&file.name).ok_or_else(|| {
            at_manifest(Corruption::unknown_name("store file with a name like", file.name.as_bytes()))
        })?;
        if !is_mob_region(&self.region.info) {
            check_mob(&parsed, &file.name).map_err(at_manifest)?;
        }
        let encoded = self.region.info.encoded_name();
        let reference = match parsed {
            FileName::Whole(_) => None,
            FileName::Reference(..) => Some(self.reference(file, &encoded, listings)?),
        };
        let (table, region, hfile) = parsed.hfile(self.snapshot.description.table(), &encoded);
        let candidates = self.candidates(table, region, hfile);
        let (path, entry) = self.find(file, &candidates, listings)?;
        if let Some(expected) = file.size.filter(|size| *size != entry.len) {
            let corruption =
                Corruption::Length { what: "a store file of the snapshot", expected, found: entry.len };
            return Err(corruption.at(&path, 0));
        }
        let modified_millis = entry.modified_millis;
        Ok(StoreFileInfo { name: file.name.to_string(), path, reference, modified_millis })
    }

    /// Returns the content of a reference: from the manifest, otherwise from its file.
    fn reference(&self, file: &SnapshotFile, region: &str, listings: &mut Listings<'_>) -> Result<Reference> {
        if let Some(reference) = &file.reference {
            return Ok((**reference).clone());
        }
        let candidates = self.candidates(self.snapshot.description.table(), region, &file.name);
        let (path, _) = self.find(file, &candidates, listings)?;
        let bytes = read_file(self.storage, &path, REFERENCE_BYTES)?;
        Reference::parse(&bytes).map_err(|corruption| corruption.at(&path, 0))
    }

    /// Returns the possible paths of a file of a region, in the order in which HBase searches them.
    fn candidates(&self, table: &TableName, region: &str, file: &str) -> Vec<PathBuf> {
        let root = self.snapshot.tree.root();
        let tables = match is_mob_region(&self.region.info) {
            true => vec![root.mob(table), root.archive(table)],
            false => vec![root.table(table), root.archive(table), root.tmp(table)],
        };
        tables.into_iter().map(|table| table.join(region).join(self.family).join(file)).collect()
    }

    /// Returns the first of the paths that has the file.
    fn find(
        &self,
        file: &SnapshotFile,
        candidates: &[PathBuf],
        listings: &mut Listings<'_>,
    ) -> Result<(PathBuf, DirEntry)> {
        // Listed again, because the file may be moved from a directory not yet listed to one already listed.
        let found = first_of(candidates, listings)?;
        let found = found.map_or_else(
            || first_of(candidates, &mut self.snapshot.tree.listings(self.storage)),
            |found| Ok(Some(found)),
        );
        if let Some(found) = found? {
            return Ok(found);
        }
        let candidates: Vec<String> = candidates.iter().map(|path| path.display().to_string()).collect();
        let message = format!(
            "file {} of family {}, region {}, snapshot {} is missing; looked for {}",
            file.name,
            self.family,
            self.region.info.encoded_name(),
            self.snapshot.description.name(),
            candidates.join(", ")
        );
        Err(not_found("read", &self.snapshot.manifest, message))
    }
}

/// Returns the first of some files that exists.
fn first_of(candidates: &[PathBuf], listings: &mut Listings<'_>) -> Result<Option<(PathBuf, DirEntry)>> {
    for path in candidates {
        if let Some(entry) = listings.file(path)? {
            return Ok(Some((path.clone(), entry)));
        }
    }
    Ok(None)
}

/// Fails if the manifest has another version than the one that is read.
fn check_version(description: &SnapshotDescription) -> Result<(), Corruption> {
    match description.version() {
        VERSION => Ok(()),
        1 => Err(directory_manifest("version 1".to_owned())),
        other => Err(Corruption::unsupported("snapshot with a manifest of version", other.to_string())),
    }
}

/// Returns the error of a snapshot of the first version, with a directory for each region.
#[cold]
fn directory_manifest(name: String) -> Corruption {
    Corruption::Unsupported {
        what: "snapshot with a directory for each region instead of a manifest,",
        name: name.into(),
        hint: Some("HBase 1.0 and later write a manifest: restore the snapshot there and take it again"),
    }
}

#[cold]
fn not_found(doing: &'static str, path: &Path, message: String) -> Error {
    Error::io(doing, path, io::Error::new(io::ErrorKind::NotFound, message))
}

#[cfg(test)]
mod tests;
