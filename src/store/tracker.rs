//! Which files belong to a store: those in its directory, or those on a list (hfile.md §15.3, §15.6, §15.7;
//! HBase: `StoreFileTracker`, `StoreFileListFile`).
#![warn(clippy::indexing_slicing)]

use super::file::{FilePlace, StoreFile, compare_by_seq_id};
use super::reference::{FamilyPlace, FileName, Reference};
use crate::coding::Cursor;
use crate::error::{Corruption, Error, ErrorKind, Result};
use crate::hash::checksum::crc32;
use crate::hfile::HFileOptions;
use crate::io::{DirEntry, read_file};
use crate::proto::region::StoreFileList;
use prost::Message;
use std::collections::BTreeMap;
use std::collections::HashSet;
use std::io;
use std::path::Path;

/// How a store knows its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum StoreFileTracker {
    /// All that are in its directory.
    Directory,
    /// Those on the list in `.filelist`; others are left from work that was not finished.
    List,
    /// Nobody has said: the list if there is one. HBase since 2.5 writes into each table's descriptor what it is.
    Unset,
}

/// The setting that names the tracker, and where a migration comes from.
const IMPL: &str = "hbase.store.file-tracker.impl";
const MIGRATION_SOURCE: &str = "hbase.store.file-tracker.migration.src.impl";

impl StoreFileTracker {
    /// The tracker that a table's settings name. While files migrate, the one that they come from counts.
    pub(crate) fn from_settings<'s>(
        setting: impl Fn(&'static str) -> Option<&'s str>,
    ) -> Result<Self, Corruption> {
        let of = |name: &str| {
            let class = name.rsplit('.').next().unwrap_or(name);
            match class {
                "DEFAULT" | "DefaultStoreFileTracker" => Ok(Some(Self::Directory)),
                "FILE" | "FileBasedStoreFileTracker" => Ok(Some(Self::List)),
                "MIGRATION" | "MigrationStoreFileTracker" => Ok(None),
                _ => Err(Corruption::unsupported(
                    "store file tracker",
                    class.chars().take(64).collect::<String>(),
                )),
            }
        };
        let Some(name) = setting(IMPL) else { return Ok(Self::Unset) };
        if let Some(tracker) = of(name)? {
            return Ok(tracker);
        }
        let source = setting(MIGRATION_SOURCE).map(of).transpose()?.flatten();
        source.ok_or_else(|| Corruption::unsupported("store file tracker", "MIGRATION without a source"))
    }
}

/// The files of a store, and what else is in its directory.
#[derive(Clone, Debug, Default)]
pub(crate) struct StoreFiles {
    pub(crate) files: Vec<FilePlace>,
    /// The names of what is passed over: empty files, files that are not on the list, names that HBase leaves alone.
    pub(crate) ignored: Vec<String>,
}

impl FamilyPlace {
    /// The files of the store, links and references followed. A directory that is not there has none.
    pub(crate) fn files(&self, tracker: StoreFileTracker) -> Result<StoreFiles> {
        let Some(entries) = self.list(&self.dir())? else { return Ok(StoreFiles::default()) };
        let list = match tracker {
            StoreFileTracker::Directory => None,
            StoreFileTracker::List => Some(self.file_list()?.unwrap_or_default()),
            StoreFileTracker::Unset => self.file_list()?,
        };
        match list {
            None => self.files_of_directory(entries),
            Some(list) => self.files_of_list(&entries, list),
        }
    }

    fn files_of_directory(&self, entries: Vec<DirEntry>) -> Result<StoreFiles> {
        let mut found = StoreFiles::default();
        for entry in entries {
            if is_store_file(&entry) {
                found.files.push(self.resolve(&entry, None)?);
            } else {
                found.ignored.push(entry.name);
            }
        }
        Ok(found)
    }

    fn files_of_list(&self, entries: &[DirEntry], list: FileList) -> Result<StoreFiles> {
        let mut found = StoreFiles::default();
        let present: BTreeMap<&str, &DirEntry> = entries.iter().map(|e| (e.name.as_str(), e)).collect();
        let ignored = |name: &&&str| !list.files.iter().any(|file| file.name == **name);
        found.ignored = present.keys().filter(ignored).map(|&name| name.to_owned()).collect();
        for file in list.files {
            // of a file that is only on the list, the list's time must do
            let listed = DirEntry {
                len: file.size,
                is_dir: false,
                modified_millis: list.timestamp,
                name: file.name.clone(),
            };
            let entry = present.get(file.name.as_str()).copied().unwrap_or(&listed);
            found.files.push(self.resolve(entry, file.reference)?);
        }
        Ok(found)
    }

    fn list(&self, dir: &Path) -> Result<Option<Vec<DirEntry>>> {
        match self.table.storage.list_dir(dir) {
            Ok(entries) => Ok(Some(entries)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("list", dir, error)),
        }
    }

    /// The newest list that is whole: of the greatest number that has one; of two, the one with the greater timestamp.
    fn file_list(&self) -> Result<Option<FileList>> {
        let dir = self.dir().join(".filelist");
        let Some(entries) = self.list(&dir)? else { return Ok(None) };
        let mut by_number: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for entry in entries.into_iter().filter(|entry| !entry.is_dir) {
            if let Some(number) = list_number(&entry.name) {
                by_number.entry(number).or_default().push(entry.name);
            }
        }
        for names in by_number.values().rev() {
            let mut newest: Option<FileList> = None;
            for name in names {
                let path = dir.join(name);
                let bytes = read_file(&*self.table.storage, &path, LIST_BYTES)?;
                match FileList::parse(&bytes) {
                    Ok(list) if newest.as_ref().is_none_or(|n| n.timestamp < list.timestamp) => {
                        newest = Some(list);
                    }
                    Ok(_) => {}
                    // its writer did not come to the end: the list before counts
                    Err(corruption) if corruption.kind() == ErrorKind::Truncated => {}
                    Err(corruption) => return Err(corruption.at(&path, 0)),
                }
            }
            if newest.is_some() {
                return Ok(newest);
            }
        }
        Ok(None)
    }
}

/// Whether HBase would take an entry of the directory for a store file.
fn is_store_file(entry: &DirEntry) -> bool {
    let name = FileName::parse(&entry.name);
    !entry.is_dir
        && !entry.name.starts_with('.')
        && (entry.len > 0 || name.as_ref().is_some_and(FileName::is_link))
        && (name.is_some() || !entry.name.contains('-'))
}

/// The number of a list's name: `f1.<n>`, `f2.<n>`, or 0 for `f1` and `f2`.
fn list_number(name: &str) -> Option<u64> {
    let number = name.strip_prefix("f1").or_else(|| name.strip_prefix("f2"))?;
    if number.is_empty() {
        return Some(0);
    }
    let digits = number.strip_prefix('.').filter(|digits| digits.bytes().all(|c| c.is_ascii_digit()))?;
    digits.parse().ok()
}

/// HBase's bound on the message, and room for its length and checksum.
const LIST_BYTES: u64 = (16 << 20) + 8;

/// A list of files: a length, a message of that length, its CRC32.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FileList {
    timestamp: i64,
    files: Vec<ListedFile>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct ListedFile {
    name: String,
    size: u64,
    reference: Option<Reference>,
}

impl FileList {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Corruption> {
        let mut cursor = Cursor::new(bytes);
        let len = cursor.i32("length of the list of files")?;
        let max = 16 << 20;
        let Some(len) = usize::try_from(len).ok().filter(|len| (1..=max).contains(len)) else {
            return Err(Corruption::out_of_range("length of the list of files", len.into(), 1, 16 << 20));
        };
        let message = cursor.take(len, "list of files")?;
        let (stored, computed) = (cursor.u32("checksum of the list of files")?, crc32(message));
        if stored != computed {
            return Err(Corruption::Checksum { chunk: 0, stored, computed });
        }
        cursor.finish("bytes behind the list of files")?;
        let list = StoreFileList::decode(message)
            .map_err(|_| Corruption::Malformed("list of files that is no StoreFileList message"))?;
        let version = list.version.unwrap_or(1);
        if version > 2 {
            return Err(Corruption::unsupported("version of the list of files,", version.to_string()));
        }
        let files = list
            .store_file
            .into_iter()
            .map(|file| {
                let name =
                    file.name.ok_or(Corruption::Malformed("list of files with a file without a name"))?;
                let reference = file.reference.as_ref().map(Reference::from_proto).transpose()?;
                Ok(ListedFile { name, size: file.size.unwrap_or_default(), reference })
            })
            .collect::<Result<_, Corruption>>()?;
        Ok(Self { timestamp: list.timestamp.unwrap_or_default().cast_signed(), files })
    }
}

/// Opens the files of a store and puts them in the order in which they are read, the oldest first. Apart from them, those
/// that others were compacted from, which must not be read beside these (hfile.md §15.7; HBase:
/// `StoreEngine.openStoreFiles`).
pub(crate) fn open_files(
    options: &HFileOptions,
    places: &[FilePlace],
) -> Result<(Vec<StoreFile>, Vec<StoreFile>)> {
    let files =
        places.iter().map(|place| StoreFile::open(options, place)).collect::<Result<Vec<StoreFile>>>()?;
    let gone: HashSet<Vec<u8>> = files.iter().flat_map(StoreFile::compacted_inputs).cloned().collect();
    let (mut compacted, mut files): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|file| gone.contains(file.name().as_bytes()));
    files.sort_by(compare_by_seq_id);
    compacted.sort_by(compare_by_seq_id);
    Ok((files, compacted))
}

#[cfg(test)]
mod tests;
