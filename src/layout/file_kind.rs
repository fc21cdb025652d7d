//! Determines the kind of a file from its name and location (hfile.md §15; wal.md §10).
#![warn(clippy::indexing_slicing)]

use super::copy_record::COPIES;
use super::descriptor::{TABLE_DESC_DIR, is_clone_file};
use super::family::FamilyDir;
use super::file_list::FILE_LIST_DIR;
use super::file_name::FileName;
use super::load_record::LOAD;
use super::logs::{LOGS, OLD_LOGS};
use super::region::{ARCHIVING, LOCK, RECOVERED_EDITS, REGION_INFO, RESTORED, find_region_info, is_number};
use super::root::{TableDir, full_path, path_of_family, with_names_above};
use super::store_file_info::StoreFileInfo;
use crate::error::{Error, Result};
use crate::io::{DirEntry, Storage};
use crate::schema::{RegionInfo, TableName, is_legal_name};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The kind of content that HBase keeps in a file, by its name and location. The file itself is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileKind {
    /// A store file of a region, or another entry of its directory.
    StoreFile,
    /// A reference to a half of another store file.
    Reference,
    /// A link to an HFile, by name.
    Link,
    /// `.regioninfo`.
    RegionInfo,
    /// `.tableinfo.<n>`, the descriptor of a table.
    Descriptor,
    /// A list of the files of a store, in `.filelist`.
    FileList,
    /// `<n>.seqid`, an empty file whose name is a sequence id.
    SequenceId,
    /// A write-ahead log: of a server, or recovered edits.
    Log,
    /// An empty file in `.links-<file>` whose name tells which region has a link to the file.
    BackReference,
    /// A file without content of HBase: a lock, the record of a bulk load, a marker of a cloned table, or of
    /// a restored or archived region, or a checksum file of Hadoop.
    Other,
    /// None of these: an HFile or a log at any other location.
    Unknown,
}

impl FileKind {
    /// Returns the kind of the file at a path.
    ///
    /// # Errors
    ///
    /// If a directory, or the `.regioninfo` of a region outside of a root directory, cannot be read; if the
    /// full path of a relative one cannot be determined.
    pub fn of(storage: &Arc<dyn Storage>, path: &Path) -> Result<Self> {
        let full = &*with_names_above(&**storage, path)?;
        let (Some(file), dir) = (name(Some(path)), name(full.parent()).unwrap_or_default()) else {
            return Ok(Self::Unknown);
        };
        Ok(match file {
            REGION_INFO => Self::RegionInfo,
            LOCK | LOAD | COPIES | ARCHIVING => Self::Other,
            _ if file.starts_with(RESTORED) => Self::Other,
            _ if file.starts_with('.') && file.ends_with(".crc") => Self::Other,
            _ if file.starts_with(".tableinfo") => Self::Descriptor,
            _ if dir == TABLE_DESC_DIR && is_clone_file(file) => Self::Other,
            _ if dir == FILE_LIST_DIR => Self::FileList,
            _ if dir.starts_with(".links-") => Self::BackReference,
            _ if dir == RECOVERED_EDITS && is_number(file) => Self::Log,
            _ if dir == OLD_LOGS || name(full.parent().and_then(Path::parent)) == Some(LOGS) => Self::Log,
            _ if dir == RECOVERED_EDITS && (file.ends_with(".seqid") || file.ends_with("_seqid")) => {
                Self::SequenceId
            }
            _ => match FamilyDir::of_path(storage, path.parent().unwrap_or_else(|| Path::new("")))? {
                Some(_) => Self::in_family(file),
                None => Self::Unknown,
            },
        })
    }

    /// Returns the kind of a file in the directory of a family, by its name alone: a reference, a link or a
    /// store file.
    #[must_use]
    pub fn in_family(name: &str) -> Self {
        match FileName::parse(name) {
            Some(FileName::Reference(..)) => Self::Reference,
            Some(parsed) if parsed.is_link() => Self::Link,
            _ => Self::StoreFile,
        }
    }
}

/// Returns the location of the HFile of a store file at a path, with links and references followed; `None`
/// for an entry that is not a store file. A file outside of any region is itself.
///
/// # Errors
///
/// If a reference cannot be read; if the target of a reference or link is missing.
pub(crate) fn locate_store_file(storage: &Arc<dyn Storage>, path: &Path) -> Result<Option<StoreFileInfo>> {
    let dir = path.parent().unwrap_or_else(|| Path::new(""));
    let name = path.file_name().and_then(|name| name.to_str());
    if !name.and_then(FileName::parse).is_some_and(|parsed| parsed.is_elsewhere()) {
        let is_empty = entry_of(&**storage, path)?.is_some_and(|entry| entry.len == 0);
        let is_ignored = is_empty && FamilyDir::of_path(storage, dir)?.is_some();
        return Ok((!is_ignored).then(|| StoreFileInfo::plain(path, 0)));
    }
    let (Some(family), Some(name)) = (FamilyDir::of_path(storage, dir)?, name) else {
        return Ok(Some(StoreFileInfo::plain(path, 0)));
    };
    match entry_of(&**storage, path)? {
        Some(entry) => family.resolve(&entry, name, None).map(Some),
        None => Ok(Some(StoreFileInfo::plain(path, 0))),
    }
}

/// Returns the entry of a file in its directory; `None` if there is none. A storage that lists no
/// directories, like many web servers, is asked for the file itself.
fn entry_of(storage: &dyn Storage, path: &Path) -> Result<Option<DirEntry>> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    match storage.list_dir(dir) {
        Ok(entries) => Ok(entries.into_iter().find(|entry| Some(entry.name.as_os_str()) == path.file_name())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::Unsupported => opened_entry(storage, path),
        Err(error) => Err(Error::io("list", dir, error)),
    }
}

/// Returns the entry that a listing would have, without the time of modification.
fn opened_entry(storage: &dyn Storage, path: &Path) -> Result<Option<DirEntry>> {
    let name = path.file_name().unwrap_or_default().to_owned();
    match storage.open(path) {
        Ok(file) => {
            let len = file.len();
            Ok(Some(DirEntry { name, len, is_dir: false, is_symlink: false, modified_millis: 0 }))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("open", path, error)),
    }
}

impl FamilyDir {
    /// Returns the family of a region whose directory this is, in data or in the archive; `None` for any
    /// other directory.
    pub(super) fn of_path(storage: &Arc<dyn Storage>, path: &Path) -> Result<Option<Self>> {
        if table_above(path).is_some() {
            return Self::by_names(storage, path);
        }
        // A relative path may lack the names of directories, and one through links may have others. Without
        // permission to follow links, the path is taken as it is.
        let full = path_of_family(&**storage, path).or_else(|_| full_path(&**storage, path))?;
        if table_above(&full).is_some() {
            return Self::by_names(storage, &full);
        }
        if name(path.parent()).is_some() {
            return Self::by_names(storage, path);
        }
        match Self::by_names(storage, &full) {
            // The current directory may be below one that is closed to the user.
            Err(error) if error.is_denied() => Ok(None),
            found => found,
        }
    }

    /// Like [`of_path`](Self::of_path), by the names in the path.
    fn by_names(storage: &Arc<dyn Storage>, path: &Path) -> Result<Option<Self>> {
        let (Some(family), Some(region)) = (name(Some(path)), name(path.parent())) else { return Ok(None) };
        let Some(dir) =
            path.parent().filter(|_| is_legal_name(family.as_bytes()) && family != RECOVERED_EDITS)
        else {
            return Ok(None);
        };
        let table = match table_above(path) {
            Some(table) => table,
            None => match find_region_info(&**storage, dir)? {
                Some(info) => info.table().clone(),
                None if region == RegionInfo::meta().encoded_name() => TableName::meta(),
                None => return Ok(None),
            },
        };
        let table = TableDir::of_table(storage, dir, &table)?;
        Ok(Some(Self { table, region: region.to_owned(), family: family.to_owned() }))
    }
}

/// Returns the table of a family's directory, `data/<namespace>/<table>/<region>/<family>`, by its path;
/// `None` for any other path.
fn table_above(family: &Path) -> Option<TableName> {
    let above = |levels: usize| family.ancestors().nth(levels);
    let is_below_data = above(4).is_some_and(|data| data.ends_with("data"));
    let is_region = name(above(1))?.bytes().all(|c| c.is_ascii_hexdigit());
    let (namespace, table) = name(above(3)).zip(name(above(2)))?;
    if is_below_data && is_region { TableName::new(namespace, table).ok() } else { None }
}

/// Returns the last part of a path, if it is UTF-8.
fn name(path: Option<&Path>) -> Option<&str> {
    path.and_then(Path::file_name).and_then(|name| name.to_str())
}
