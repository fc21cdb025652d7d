//! The directory of a region, as HBase leaves it (hfile.md §15; HBase: `HRegionFileSystem`, `FSTableDescriptors`).
#![warn(clippy::indexing_slicing)]

mod descriptor;

use crate::cell::CellOrder;
use crate::error::{Corruption, Error, Result};
use crate::io::{DirEntry, NewFile, Storage, read_file};
use crate::schema::{Family, RegionInfo, TableDescriptor, is_legal_name};
use crate::store::reference::{FamilyPlace, Half, Reference, Root, TablePlace};
use crate::store::tracker::{StoreFileTracker, StoreFiles};
use descriptor::read_descriptor;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A region's directory: what the region is, its families, and where their files are.
///
/// | entry | |
/// |---|---|
/// | `.regioninfo` | the table, the rows; must be there, and under a root directory be that of the directory's name |
/// | `../.tabledesc/.tableinfo.<n>` | the families; without it they are the directories there are, with HBase's defaults |
/// | `.tabledesc/.tableinfo.<n>` | the same, of a region that is nobody's but its embedder's; it comes first |
/// | `<family>/` | its files; one that is not there has none |
/// | `recovered.edits/` | writes that are in no file yet, and the greatest sequence id, in the name of an empty file |
/// | `<family>/recovered.hfiles/` | files with such writes, from where HBase takes them when it opens the region |
/// | `.tmp/`, `.splits/`, `.merges/` | work that was not finished: not read |
#[derive(Debug)]
pub(crate) struct RegionDir {
    path: PathBuf,
    table: TablePlace,
    /// The name of the directory.
    name: String,
    info: RegionInfo,
    descriptor: Option<TableDescriptor>,
    families: Vec<Family>,
    recovered_edits: Vec<PathBuf>,
    max_seq_id: Option<i64>,
}

/// A `.regioninfo` has two rows at most.
const REGION_INFO_BYTES: u64 = 1 << 20;

const REGION_INFO: &str = ".regioninfo";
const RECOVERED_EDITS: &str = "recovered.edits";
const RECOVERED_HFILES: &str = "recovered.hfiles";

impl RegionDir {
    /// Opens a directory whose writes are all in its files.
    ///
    /// # Errors
    ///
    /// If something in it cannot be read or is not what it must be. If there are recovered edits: writes that were
    /// acknowledged would be missing from all reads, so that is no warning (see
    /// [`open_with_recovered_edits`](Self::open_with_recovered_edits)).
    pub(crate) fn open(storage: &Arc<dyn Storage>, path: &Path) -> Result<Self> {
        let dir = Self::open_with_recovered_edits(storage, path)?;
        match dir.recovered_edits.first() {
            None => Ok(dir),
            Some(first) => {
                let corruption = Corruption::Unsupported {
                    what: "region with recovered edits:",
                    name: format!("{} of them", dir.recovered_edits.len()).into(),
                    hint: Some(
                        "their writes are in no store file yet; HBase takes them when it opens the region",
                    ),
                };
                Err(corruption.at(first, 0))
            }
        }
    }

    /// Opens a directory; its recovered edits are the caller's to replay.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), but for recovered edits.
    pub(crate) fn open_with_recovered_edits(storage: &Arc<dyn Storage>, path: &Path) -> Result<Self> {
        let info_path = path.join(REGION_INFO);
        let info = match read_file(&**storage, &info_path, REGION_INFO_BYTES) {
            Ok(bytes) => RegionInfo::parse_file(&bytes).map_err(|corruption| corruption.at(&info_path, 0))?,
            // the catalog's region goes without, in older releases
            Err(error) if error.is_not_found() && is_meta(storage, path) => RegionInfo::meta(),
            Err(error) => return Err(error),
        };
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let table = table_place(storage, path, &info);
        if table.root.is_some() && !info.is_encoded_as(&name) {
            let corruption = Corruption::Malformed("the region info is not that of the directory's name");
            return Err(corruption.at(&info_path, 0));
        }
        let descriptor = match read_descriptor(storage, path, &info)? {
            None => read_descriptor(storage, &table.dir, &info)?,
            own => own,
        };
        let entries = storage.list_dir(path).map_err(|error| Error::io("list", path, error))?;
        let families = match &descriptor {
            Some(descriptor) => descriptor.families().cloned().collect(),
            None => families_by_name(&entries),
        };
        let mut dir = Self {
            path: path.to_owned(),
            table,
            name,
            info,
            descriptor,
            families,
            recovered_edits: Vec::new(),
            max_seq_id: None,
        };
        dir.find_recovered()?;
        Ok(dir)
    }

    /// Creates a directory for a new region, and opens it. It is there as a whole once this returns; before, it has no
    /// `.regioninfo`.
    ///
    /// # Errors
    ///
    /// If there is a region already, if its name is not `path`'s, or the system fails.
    pub(crate) fn create(
        storage: &Arc<dyn Storage>,
        path: &Path,
        info: &RegionInfo,
        families: &[Family],
    ) -> Result<Self> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if table_place(storage, path, info).root.is_some() && !info.is_encoded_as(name) {
            let expected = info.encoded_name();
            return Err(Error::invalid_argument(format!("the directory of region {info} is {expected}")));
        }
        let info_path = path.join(REGION_INFO);
        match storage.open(&info_path) {
            Ok(_) => return Err(Error::io("create", &info_path, io::ErrorKind::AlreadyExists.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io("open", &info_path, error)),
        }
        let create =
            |dir: &Path| storage.create_dir_all(dir).map_err(|error| Error::io("create", dir, error));
        create(path)?;
        for family in families {
            family.check()?;
            create(&path.join(String::from_utf8_lossy(family.name()).as_ref()))?;
        }
        // from the root, the namespace and the table down, any of which may be new
        for dir in path.ancestors().skip(1).take(4) {
            sync(&**storage, if dir.as_os_str().is_empty() { Path::new(".") } else { dir })?;
            if dir.as_os_str().is_empty() {
                break;
            }
        }
        // under a root the descriptor is the table's, which may have been there before
        let place = table_place(storage, path, info);
        let owner = if place.root.is_some() { place.dir.as_path() } else { path };
        if place.root.is_none() || read_descriptor(storage, owner, info)?.is_none() {
            let descriptor = TableDescriptor::new(info.table().clone(), families).to_file();
            let dir = owner.join(".tabledesc");
            create(&dir)?;
            let path = dir.join(format!(".tableinfo.0000000001.{}", descriptor.len()));
            let mut file = NewFile::create(storage, &path)?;
            file.write_all(&descriptor)?;
            file.keep()?;
            sync(&**storage, owner)?;
        }
        let mut file = NewFile::create(storage, &info_path)?;
        file.write_all(&info.to_file())?;
        file.keep()?;
        Self::open(storage, path)
    }

    /// The directory of files that are in no region: none of it is read.
    pub(crate) fn of_files(storage: &Arc<dyn Storage>, path: &Path, info: RegionInfo) -> Self {
        let (storage, table) = (Arc::clone(storage), info.table().clone());
        Self {
            path: path.to_owned(),
            table: TablePlace { storage, table, dir: path.to_owned(), root: None },
            name: String::new(),
            info,
            descriptor: None,
            families: Vec::new(),
            recovered_edits: Vec::new(),
            max_seq_id: None,
        }
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where files are written before they get their place.
    pub(crate) fn tmp(&self) -> PathBuf {
        self.path().join(".tmp")
    }

    /// What the region is.
    pub(crate) fn info(&self) -> &RegionInfo {
        &self.info
    }

    /// The order of its cells.
    pub(crate) fn order(&self) -> CellOrder {
        if self.info.table().is_meta() { CellOrder::Meta } else { CellOrder::User }
    }

    /// The families, sorted by name.
    pub(crate) fn families(&self) -> &[Family] {
        &self.families
    }

    /// What is set of a family by a key, or else of its table.
    pub(crate) fn setting(&self, family: &[u8], key: &str) -> Option<&str> {
        self.descriptor.as_ref().and_then(|descriptor| descriptor.setting(family, key))
    }

    /// The table's descriptor, if there is one.
    #[cfg(test)]
    pub(crate) fn descriptor(&self) -> Option<&TableDescriptor> {
        self.descriptor.as_ref()
    }

    /// The root directory of all tables, if the region is under one.
    #[cfg(test)]
    pub(crate) fn root(&self) -> Option<&Path> {
        self.table.root.as_ref().map(|root| root.path.as_path())
    }

    /// Files with writes that are in no store file yet, in the order in which they are to be replayed; HFiles of a family
    /// behind those of logs.
    #[cfg(test)]
    pub(crate) fn recovered_edits(&self) -> &[PathBuf] {
        &self.recovered_edits
    }

    /// The greatest sequence id that the region has used, by `<n>.seqid`.
    pub(crate) fn max_seq_id(&self) -> Option<i64> {
        self.max_seq_id
    }

    /// The directory of a family.
    pub(crate) fn family_dir(&self, family: &[u8]) -> PathBuf {
        self.family_place(family).dir()
    }

    /// The files of a family, links and references followed.
    ///
    /// # Errors
    ///
    /// If the directory, a list, a reference or a link cannot be read, is malformed, or leads nowhere; or if a reference
    /// is to a half that is not the region's.
    pub(crate) fn files(&self, family: &[u8]) -> Result<StoreFiles> {
        let tracker = StoreFileTracker::from_settings(|key| self.setting(family, key))
            .map_err(|corruption| corruption.at(&self.table.dir.join(".tabledesc"), 0))?;
        let place = self.family_place(family);
        let files = place.files(tracker)?;
        for file in &files.files {
            if let Some(reference) = &file.reference
                && !self.is_cut_at(reference)
            {
                let corruption = Corruption::Malformed("reference to a half that is not the region's");
                return Err(corruption.at(&place.dir().join(&file.name), 0));
            }
        }
        Ok(files)
    }

    /// Whether a half's cut is where the region begins or ends; or, after a merge, where a parent within it began.
    fn is_cut_at(&self, reference: &Reference) -> bool {
        let row = reference.split_key.row();
        match reference.half {
            Half::Bottom => row == self.info.end_key(),
            Half::Top => self.info.contains(row),
        }
    }

    /// Takes a file that is no longer needed out of a family: to the archive, where others may still refer to it; without
    /// a root directory it is removed.
    ///
    /// # Errors
    ///
    /// If the system fails.
    pub(crate) fn archive(&self, family: &[u8], file: &Path) -> Result<()> {
        let storage = &*self.table.storage;
        let place = self.family_place(family);
        let Some(root) = &self.table.root else {
            storage.remove(file).map_err(|error| Error::io("remove", file, error))?;
            return sync(storage, &place.dir());
        };
        let dir = root.archive(self.info.table()).join(&self.name).join(&place.family);
        storage.create_dir_all(&dir).map_err(|error| Error::io("create", &dir, error))?;
        let archived = dir.join(file.file_name().unwrap_or_default());
        storage.rename(file, &archived).map_err(|error| Error::io("rename to", &archived, error))?;
        sync(storage, &dir)?;
        sync(storage, &place.dir())
    }

    fn family_place(&self, family: &[u8]) -> FamilyPlace {
        FamilyPlace {
            table: self.table.clone(),
            region: self.name.clone(),
            family: String::from_utf8_lossy(family).into_owned(),
        }
    }

    /// Looks for writes that are in no store file yet.
    fn find_recovered(&mut self) -> Result<()> {
        let dir = self.path().join(RECOVERED_EDITS);
        for entry in self.list(&dir)? {
            let seq_id = entry.name.strip_suffix(".seqid").or_else(|| entry.name.strip_suffix("_seqid"));
            if let Some(digits) = seq_id {
                let seq_id = digits.parse().map_err(|_| {
                    Corruption::unknown_name("sequence id in a name like", entry.name.as_bytes())
                        .at(&dir.join(&entry.name), 0)
                })?;
                self.max_seq_id = self.max_seq_id.max(Some(seq_id));
            } else if !entry.is_dir && is_number(&entry.name) {
                self.recovered_edits.push(dir.join(&entry.name));
            }
        }
        for family in &self.families {
            let dir = self.family_dir(family.name()).join(RECOVERED_HFILES);
            let files = self.list(&dir)?.into_iter().filter(|e| !e.is_dir && !e.name.starts_with('.'));
            self.recovered_edits.extend(files.map(|entry| dir.join(entry.name)));
        }
        Ok(())
    }

    fn list(&self, dir: &Path) -> Result<Vec<DirEntry>> {
        list_if_there(&*self.table.storage, dir)
    }
}

/// Whether it is the directory of the catalog's region.
fn is_meta(storage: &Arc<dyn Storage>, path: &Path) -> bool {
    let meta = RegionInfo::meta();
    let is_named = path.file_name().is_some_and(|name| name == meta.encoded_name().as_str());
    is_named && table_place(storage, path, &meta).root.is_some() && storage.list_dir(path).is_ok()
}

/// The name of a file of edits; others are being written, or were moved aside.
fn is_number(name: &str) -> bool {
    let digits = name.strip_prefix('-').unwrap_or(name);
    !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit())
}

fn sync(storage: &dyn Storage, dir: &Path) -> Result<()> {
    storage.sync_dir(dir).map_err(|error| Error::io("sync", dir, error))
}

fn list_if_there(storage: &dyn Storage, dir: &Path) -> Result<Vec<DirEntry>> {
    match storage.list_dir(dir) {
        Ok(entries) => Ok(entries),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::io("list", dir, error)),
    }
}

/// Where the region's table is, by the path: `<root>/data/<namespace>/<table>/<region>`, or `<root>/<table>/<region>` before
/// 0.96. Anywhere else there is no root, and links lead nowhere.
fn table_place(storage: &Arc<dyn Storage>, path: &Path, info: &RegionInfo) -> TablePlace {
    let table = info.table();
    let dir = path.parent().unwrap_or_else(|| Path::new("")).to_owned();
    let is = |dir: Option<&Path>, name: &str| dir.and_then(Path::file_name).is_some_and(|n| n == name);
    let (namespace, data) = (dir.parent(), dir.parent().and_then(Path::parent));
    let root = if !is(Some(&dir), table.qualifier()) {
        None
    } else if is(namespace, table.namespace()) && is(data, "data") {
        let root = data.and_then(Path::parent);
        // in the archive a region is read, too; links then lead from the root above it
        let root = if is(root, "archive") { root.and_then(Path::parent) } else { root };
        root.map(|root| Root { path: root.to_owned(), has_namespaces: true })
    } else {
        namespace.map(|root| Root { path: root.to_owned(), has_namespaces: false })
    };
    TablePlace { storage: Arc::clone(storage), table: table.clone(), dir, root }
}

fn families_by_name(entries: &[DirEntry]) -> Vec<Family> {
    let is_family = |entry: &&DirEntry| entry.is_dir && is_legal_name(entry.name.as_bytes());
    entries.iter().filter(is_family).map(|entry| Family::new(entry.name.clone())).collect()
}

#[cfg(test)]
mod tests;
