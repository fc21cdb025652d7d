//! `.filelist`: the list of a store's files (hfile.md §15.6; HBase: `StoreFileListFile`).
//!
//! | field    | bytes | counts                                      |
//! |----------|------:|---------------------------------------------|
//! | length   |     4 | bytes of the message, 1 to 16 MiB           |
//! | message  |       | `StoreFileList`, protobuf                   |
//! | checksum |     4 | CRC32 of the message                        |
//!
//! The directory has up to two files of each number, `f1.<n>` and `f2.<n>`; before 2.5.3 their names were
//! `f1` and `f2`, which are treated as number 0. The current list is the one with the greatest number that
//! has a complete file; of its two files, the one with the later timestamp.
#![warn(clippy::indexing_slicing)]

use super::durable::{
    create_dir_durably, exists, list_if_exists, remove, rename, sync_dir, unless_not_found, write_synced,
};
use crate::coding::Cursor;
use crate::error::{Corruption, Error, ErrorKind, Result};
use crate::hash::checksum::crc32;
use crate::io::{Storage, read_file};
use crate::proto::region::{Reference as ReferenceProto, StoreFileEntry, StoreFileList};
use prost::Message;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// The directory of the lists, within that of the family.
pub(crate) const FILE_LIST_DIR: &str = ".filelist";

/// The maximum length of a message in bytes.
const MAX_MESSAGE: usize = 16 << 20;
/// The maximum length of a list in bytes: a message, its length and checksum.
const LIST_BYTES: u64 = MAX_MESSAGE as u64 + 8;
/// The greatest time that is taken from a clock: greater numbers and timestamps are left for later lists.
const MAX_TIME: i64 = i64::MAX / 2;

/// A list of files.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct FileList {
    /// The name of the file the list was read from; empty if it was not read from a file.
    pub(super) name: String,
    pub(super) timestamp: i64,
    /// The format version: 1, or 2 for lists whose references need not exist as files.
    version: u64,
    pub(super) files: Vec<ListedFile>,
}

/// A file on a list.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ListedFile {
    pub(crate) name: String,
    /// The length of the HFile in bytes; 0 for references and links.
    pub(crate) size: u64,
    pub(crate) reference: Option<ReferenceProto>,
}

impl FileList {
    /// Creates a list of files, in the format of HBase 2.6.
    pub(crate) fn new(files: Vec<ListedFile>) -> Self {
        Self { name: String::new(), timestamp: 0, version: 1, files }
    }

    /// Returns the number of the file that the list was read from; `None` if it was not read from a file.
    pub(super) fn number(&self) -> Option<u64> {
        list_number(&self.name)
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Corruption> {
        let mut cursor = Cursor::new(bytes);
        let len = cursor.i32("length of the list of files")?;
        let Some(len) = usize::try_from(len).ok().filter(|len| (1..=MAX_MESSAGE).contains(len)) else {
            return Err(Corruption::out_of_range("length of the list of files", len.into(), 1, 16 << 20));
        };
        if len > cursor.rest().len().saturating_sub(4) && ends_with_checksum(cursor.rest()) {
            // Without this, a damaged length would make the list look incomplete.
            let (expected, found) = (cursor.rest().len() as u64 - 4, len as u64);
            return Err(Corruption::Length { what: "list of files", expected, found });
        }
        let message = cursor.take(len, "list of files")?;
        let (stored, computed) = (cursor.u32("checksum of the list of files")?, crc32(message));
        if stored != computed {
            return Err(Corruption::Checksum { chunk: 0, stored, computed });
        }
        cursor.finish("bytes after the list of files")?;
        let list = StoreFileList::decode(message)
            .map_err(|_| Corruption::Malformed("list of files that is not a StoreFileList message"))?;
        let version = list.version.unwrap_or(1);
        if version > 2 {
            return Err(Corruption::unsupported("version of the list of files,", version.to_string()));
        }
        let listed = |file: StoreFileEntry| {
            let name = file.name.ok_or(Corruption::Malformed("list of files with a file without a name"))?;
            Ok(ListedFile { name, size: file.size.unwrap_or_default(), reference: file.reference })
        };
        let files = list.store_file.into_iter().map(listed).collect::<Result<Vec<_>, Corruption>>()?;
        let names: BTreeSet<&str> = files.iter().map(|file| file.name.as_str()).collect();
        if names.len() < files.len() {
            return Err(Corruption::Malformed("list of files with a file twice"));
        }
        let timestamp = list.timestamp.unwrap_or_default().cast_signed();
        Ok(Self { name: String::new(), timestamp, version, files })
    }

    /// Returns the content of the list's file; `None` if the message is longer than HBase accepts.
    pub(crate) fn to_bytes(&self) -> Option<Vec<u8>> {
        let entry = |file: &ListedFile| StoreFileEntry {
            name: Some(file.name.clone()),
            size: Some(file.size),
            reference: file.reference.clone(),
        };
        let message = StoreFileList {
            timestamp: Some(self.timestamp.cast_unsigned()),
            store_file: self.files.iter().map(entry).collect(),
            version: Some(self.version),
        };
        let message = message.encode_to_vec();
        let len = u32::try_from(message.len()).ok().filter(|_| message.len() <= MAX_MESSAGE)?;
        Some([&len.to_be_bytes(), &*message, &crc32(&message).to_be_bytes()].concat())
    }
}

/// Whether bytes end with the checksum of those before it.
fn ends_with_checksum(bytes: &[u8]) -> bool {
    let sum = bytes.split_last_chunk::<4>();
    sum.is_some_and(|(message, sum)| !message.is_empty() && crc32(message) == u32::from_be_bytes(*sum))
}

/// Parses the number in the name of a list: `f1.<n>`, `f2.<n>`, or 0 for `f1` and `f2`.
fn list_number(name: &str) -> Option<u64> {
    let number = name.strip_prefix("f1").or_else(|| name.strip_prefix("f2"))?;
    if number.is_empty() {
        return Some(0);
    }
    let digits = number.strip_prefix('.').filter(|digits| digits.bytes().all(|c| c.is_ascii_digit()))?;
    digits.parse().ok().filter(|number| *number <= i64::MAX.cast_unsigned())
}

/// Returns a number for a list.
fn next_number(dir: &Path, number: u64) -> Result<u64> {
    if number > i64::MAX.cast_unsigned() {
        return Err(Corruption::Malformed("no number is left for another list of files").at(dir, 0));
    }
    Ok(number)
}

/// Returns the number of the list after the `greatest`, in a storage without renames. HBase before 2.5.3
/// alternates between two names and reads no others, so no name is created only once.
fn number_made_once(dir: &Path, greatest: Option<u64>) -> Result<u64> {
    if greatest == Some(0) {
        return Err(Error::not_supported(format!(
            "a list of files named f1 or f2, as HBase before 2.5.3 names them, cannot be changed in a \
             storage without renames: {}",
            dir.display()
        )));
    }
    next_number(dir, greatest.map_or(1, |greatest| greatest + 1))
}

/// Checks that a list of files can follow those of a family in a storage without renames.
pub(super) fn check_next_list(storage: &dyn Storage, family: &Path) -> Result<()> {
    let by_number = list_names(storage, family)?.unwrap_or_default();
    let greatest = by_number.last_key_value().map(|(number, _)| *number);
    number_made_once(&family.join(FILE_LIST_DIR), greatest).map(drop)
}

/// Returns the names of all lists in a family's directory, by number; `None` if there is no directory of
/// lists.
fn list_names(storage: &dyn Storage, family: &Path) -> Result<Option<BTreeMap<u64, Vec<String>>>> {
    let Some(entries) = list_if_exists(storage, &family.join(FILE_LIST_DIR))? else { return Ok(None) };
    let mut by_number: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for entry in entries.into_iter().filter(|entry| !entry.is_dir) {
        if let Some(name) = entry.utf8_name()
            && let Some(number) = list_number(name)
        {
            by_number.entry(number).or_default().push(name.to_owned());
        }
    }
    Ok(Some(by_number))
}

/// Reads the current list; `None` if there is no complete list.
pub(crate) fn read_file_list(storage: &dyn Storage, family: &Path) -> Result<Option<FileList>> {
    Ok(find_file_list(storage, family)?.0)
}

/// Like [`read_file_list`], with the path of the newest list that is not complete, if one was read.
pub(super) fn find_file_list(
    storage: &dyn Storage,
    family: &Path,
) -> Result<(Option<FileList>, Option<PathBuf>)> {
    let Some(by_number) = list_names(storage, family)? else { return Ok((None, None)) };
    newest(storage, family, &by_number)
}

/// Checks the list in one file.
///
/// # Errors
///
/// If it cannot be read or is malformed. A list that was not written completely is not an error: it is
/// skipped.
pub(crate) fn check_file_list(storage: &dyn Storage, path: &Path) -> Result<()> {
    match FileList::parse(&read_file(storage, path, LIST_BYTES)?) {
        Err(corruption) if corruption.kind() != ErrorKind::Truncated => Err(corruption.at(path, 0)),
        _ => Ok(()),
    }
}

fn newest(
    storage: &dyn Storage,
    family: &Path,
    by_number: &BTreeMap<u64, Vec<String>>,
) -> Result<(Option<FileList>, Option<PathBuf>)> {
    let mut incomplete = None;
    for names in by_number.values().rev() {
        let mut newest: Option<FileList> = None;
        for name in names {
            let path = family.join(FILE_LIST_DIR).join(name);
            let bytes = read_file(storage, &path, LIST_BYTES)?;
            match FileList::parse(&bytes) {
                Ok(list) if newest.as_ref().is_none_or(|n| n.timestamp < list.timestamp) => {
                    newest = Some(FileList { name: name.clone(), ..list });
                }
                Ok(_) => {}
                // The list was not written completely, so the previous one is used.
                Err(corruption) if corruption.kind() == ErrorKind::Truncated => {
                    incomplete.get_or_insert(path);
                }
                Err(corruption) => return Err(corruption.at(&path, 0)),
            }
        }
        if newest.is_some() {
            return Ok((newest, incomplete));
        }
    }
    Ok((None, incomplete))
}

/// Makes a list of the next number with the files of the current one, in a storage without renames: a later
/// request to make another list of this number fails.
///
/// # Errors
///
/// Of kind [`AlreadyExists`](std::io::ErrorKind::AlreadyExists) if there is one; if `list` is not the current
/// one; if an I/O operation fails.
pub(super) fn list_of_number_after(storage: &dyn Storage, family: &Path, list: FileList) -> Result<()> {
    let next = NewFileList::after(storage, family, list, 0)?;
    next.publish(storage, Path::new(""))?;
    // Failures are ignored: lists with smaller numbers have no effect.
    let _ = next.remove_old(storage);
    Ok(())
}

/// Returns the error of a list that the caller has not written.
#[cold]
pub(super) fn changed_elsewhere(family: &Path) -> Error {
    let error = io::Error::other("another program has changed the list of the store's files");
    Error::io("change", family, error)
}

/// A new list that has not been renamed to its final name yet.
#[derive(Debug)]
pub(super) struct NewFileList {
    family: PathBuf,
    list: FileList,
    /// The final path of the list.
    path: PathBuf,
    /// Lists that are obsolete when this one is published.
    old: Vec<PathBuf>,
}

impl NewFileList {
    /// Prepares the list that follows the existing ones, with a greater number and timestamp, in a format
    /// that every HBase version that wrote the existing lists can read.
    pub(super) fn after(storage: &dyn Storage, family: &Path, mut list: FileList, now: i64) -> Result<Self> {
        let by_number = list_names(storage, family)?.unwrap_or_default();
        let (before, _) = newest(storage, family, &by_number)?;
        if !storage.can_rename(family) && before.as_ref().map_or("", |before| &before.name) != list.name {
            return Err(changed_elsewhere(family));
        }
        let now = now.min(MAX_TIME);
        let timestamp = before.as_ref().map_or(0, |before| before.timestamp.saturating_add(1));
        list.timestamp = now.max(timestamp);
        list.version = list.version.max(before.as_ref().map_or(1, |before| before.version));
        let dir = family.join(FILE_LIST_DIR);
        let path = match by_number.last_key_value() {
            // Processes that change the same list use the same number: only one of them can create it.
            greatest if !storage.can_rename(&dir) => {
                dir.join(format!("f1.{}", number_made_once(&dir, greatest.map(|(number, _)| *number))?))
            }
            // HBase before 2.5.3 reads no other names.
            Some((0, _)) => {
                let is_first = before.is_some_and(|before| before.name == "f1");
                dir.join(if is_first { "f2" } else { "f1" })
            }
            greatest => {
                let after = next_number(&dir, greatest.map_or(0, |(number, _)| number + 1))?;
                dir.join(format!("f1.{}", after.max(now.max(0).cast_unsigned())))
            }
        };
        let names = by_number.into_values().flatten();
        let old = names.map(|name| dir.join(name)).filter(|old| *old != path).collect();
        Ok(Self { family: family.to_owned(), list, path, old })
    }

    /// Returns the number of the list.
    pub(super) fn number(&self) -> Option<u64> {
        list_number(self.path.file_name()?.to_str()?)
    }

    /// Writes the list at `aside` and syncs it. Does nothing in a storage without renames.
    pub(super) fn write(&self, storage: &dyn Storage, aside: &Path) -> Result<()> {
        let bytes = self.to_bytes()?;
        create_dir_durably(storage, &self.family, &self.family.join(FILE_LIST_DIR))?;
        if !storage.can_rename(&self.path) {
            return Ok(());
        }
        let file = storage.create(aside).map_err(|error| Error::io("create", aside, error))?;
        write_synced(file, aside, &bytes)
    }

    fn to_bytes(&self) -> Result<Vec<u8>> {
        self.list.to_bytes().ok_or_else(|| {
            let limit = MAX_MESSAGE as u64;
            let value = limit.saturating_add(1);
            Corruption::Limit { what: "list of files", value, limit }.at(&self.path, 0)
        })
    }

    /// Renames the list to its final path, or creates it there. It is then the current list.
    ///
    /// # Errors
    ///
    /// Of kind [`AlreadyExists`](std::io::ErrorKind::AlreadyExists) if another process has created a list of
    /// its number, in a storage without renames. In other storages, and with other errors, the list may
    /// exist.
    pub(super) fn publish(&self, storage: &dyn Storage, aside: &Path) -> Result<()> {
        if !storage.can_rename(&self.path) {
            let file = storage.create_new(&self.path);
            let file = file.map_err(|error| Error::io("create", &self.path, error))?;
            write_synced(file, &self.path, &self.to_bytes()?)?;
            return sync_dir(storage, &self.family.join(FILE_LIST_DIR));
        }
        rename(storage, aside, &self.path)?;
        sync_dir(storage, &self.family.join(FILE_LIST_DIR))
    }

    /// Removes the list again, so that the previous one is current. Fails if it exists in a storage without
    /// renames, because its number is not reused.
    pub(super) fn withdraw(&self, storage: &dyn Storage) -> Result<()> {
        // The rename may have failed before it took effect.
        if exists(storage, &self.path)? {
            if !storage.can_rename(&self.path) {
                let error = io::Error::other("it was created, although that failed, and stays");
                return Err(Error::io("withdraw", &self.path, error));
            }
            remove(storage, &self.path)?;
        }
        sync_dir(storage, &self.family.join(FILE_LIST_DIR))
    }

    /// Removes obsolete lists. A list that remains is harmless, because the greatest number is used.
    pub(super) fn remove_old(&self, storage: &dyn Storage) -> Result<()> {
        self.old.iter().try_for_each(|old| unless_not_found(remove(storage, old)))
    }
}
