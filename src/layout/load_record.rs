//! The record of a bulk load into families whose files are tracked by a list: the files moved and their
//! original paths. It is the file `.load` in the region's directory, which HBase ignores.
//!
//! Such a file is moved into the family's directory before a list has it. If the process dies in between, it
//! is not a file of the store, and the load would not find it again. So the record is written before the
//! first file is moved, and removed after the last list is published, each durably. A repeated load moves the
//! files of the record that are on no list back, and loads them. Nothing else moves them back: a record,
//! which any process may have written, must not decide where files are moved.
//!
//! If the process that moves them back dies before it has synced their names, the next one that opens the
//! region for writing [does that](RegionDir::sync_loaded_dirs) first: otherwise, after a loss of power, a
//! file could be in neither place, where the file system does not rename atomically.
//!
//! | line | |
//! |---|---|
//! | name, family, path | of each file: its name in the family's directory, and its full path before |
//! | `crc32c <sum>` | the [checksum](super::sealed_text) of the lines before |
//!
//! The parts of a line are separated by tabs, and are written as [`StringBinary`].
#![warn(clippy::indexing_slicing)]

use super::commit::StagedFile;
use super::durable::{
    exists, list_if_exists, parent, remove, rename, sync_dir, unless_not_found, write_synced,
};
use super::file_name::{FileName, Target};
use super::region::RegionDir;
use super::root::full_path;
use super::sealed_text::{Faults, seal, unseal};
use crate::binary::{StringBinary, from_string_binary};
use crate::error::{Corruption, Error, ErrorKind, Result};
use crate::io::{Storage, is_absent, read_file};
use crate::schema::{Family, is_legal_name};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// The name of the record, in the region's directory.
pub(super) const LOAD: &str = ".load";

/// The size limit of a record: the lines of some hundred thousand files.
const LOAD_BYTES: usize = 64 << 20;
const FAULTS: Faults = Faults {
    line: "a record of a bulk load with a line that is not a moved file",
    no_checksum: "a record of a bulk load without a checksum at its end",
    no_number: "a record of a bulk load with a checksum that is not a number",
};

/// The files that a bulk load moves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LoadRecord {
    files: Vec<MovedFile>,
}

/// A file that a bulk load moves.
#[derive(Clone, Debug, PartialEq, Eq)]
struct MovedFile {
    /// The name in the directory of the family.
    name: String,
    family: Vec<u8>,
    /// The full path before.
    from: PathBuf,
}

impl LoadRecord {
    /// Adds a file that will be moved into the directory of a family.
    ///
    /// # Errors
    ///
    /// If its full path cannot be determined or recorded.
    pub(super) fn add(&mut self, storage: &dyn Storage, family: &[u8], file: &StagedFile) -> Result<()> {
        let from = full_path(storage, file.path())?;
        if path_of(from.as_os_str().as_encoded_bytes().to_vec()).as_ref() != Some(&from) {
            let message = format!("{}: a path that is not Unicode cannot be recorded", from.display());
            return Err(Error::invalid_argument(message));
        }
        self.files.push(MovedFile { name: file.name().to_owned(), family: family.to_vec(), from });
        Ok(())
    }

    /// Whether the record has no files.
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    fn to_bytes(&self) -> Vec<u8> {
        let line = |file: &MovedFile| {
            let from = StringBinary(file.from.as_os_str().as_encoded_bytes());
            format!("{}\t{}\t{from}\n", file.name, StringBinary(&file.family))
        };
        seal(&self.files.iter().map(line).collect::<String>())
    }

    fn parse(bytes: &[u8]) -> Result<Self, Corruption> {
        let files = unseal(bytes, FAULTS)?.lines().map(MovedFile::parse).collect::<Option<Vec<_>>>();
        files.map(|files| Self { files }).ok_or(Corruption::Malformed(FAULTS.line))
    }

    /// Writes the record at `aside`, and renames it to its place in the directory of a region, durably.
    pub(super) fn publish(&self, storage: &dyn Storage, aside: &Path, region: &Path) -> Result<()> {
        let bytes = self.to_bytes();
        if bytes.len() > LOAD_BYTES {
            return Err(Error::invalid_argument("a bulk load of too many files at once"));
        }
        let file = storage.create(aside).map_err(|error| Error::io("create", aside, error))?;
        write_synced(file, aside, &bytes)?;
        rename(storage, aside, &region.join(LOAD))?;
        sync_dir(storage, region)
    }
}

/// Removes the record from the directory of a region, if any, durably.
pub(super) fn remove_record(storage: &dyn Storage, region: &Path) -> Result<()> {
    unless_not_found(remove(storage, &region.join(LOAD)))?;
    sync_dir(storage, region)
}

/// Returns the message that a bulk load into a region was interrupted after it had moved or copied the file
/// at a path, according to a record.
pub(super) fn interrupted_load(region: &Path, from: &Path, record: &str) -> String {
    let (from, record) = (from.display(), region.join(record));
    let record = record.display();
    format!(
        "a bulk load of {from} was interrupted: load it again first, or remove {record} if it is not needed"
    )
}

impl MovedFile {
    fn parse(line: &str) -> Option<Self> {
        let mut parts = line.split('\t');
        let (name, family, from) = (parts.next()?, parts.next()?, parts.next()?);
        let (family, from) = (from_string_binary(family), path_of(from_string_binary(from))?);
        let is_name = matches!(FileName::parse(name), Some(FileName::Whole(Target::HFile(_))));
        let is_sound = parts.next().is_none() && is_name && is_legal_name(&family);
        (is_sound && from.file_name().is_some()).then(|| Self { name: name.to_owned(), family, from })
    }
}

/// Returns the path with such encoded bytes; `None` if it cannot be made of them.
#[cfg(unix)]
#[allow(clippy::unnecessary_wraps, reason = "not every path of another system can be made of bytes")]
pub(super) fn path_of(bytes: Vec<u8>) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt;

    Some(std::ffi::OsString::from_vec(bytes).into())
}

/// Returns the path with such encoded bytes; `None` if it cannot be made of them.
#[cfg(not(unix))]
pub(super) fn path_of(bytes: Vec<u8>) -> Option<PathBuf> {
    String::from_utf8(bytes).ok().map(PathBuf::from)
}

impl RegionDir {
    /// Moves the files of an interrupted bulk load back to their original paths, if they are on no list, and
    /// removes its record. `is_input`: whether the file at a path is being loaded now. Can be retried after a
    /// failure. No file may be renamed during the call.
    ///
    /// Nothing is replaced, and no directory is created: a file whose original directory was removed, or
    /// whose path exists again, stays in place, and is not read.
    ///
    /// # Errors
    ///
    /// If a file would be moved that is not loaded now; if the record is malformed, or an I/O operation
    /// fails.
    pub(crate) fn undo_load(&self, families: &[Family], is_input: &dyn Fn(&Path) -> bool) -> Result<()> {
        let Some(record) = self.load_record()? else { return Ok(()) };
        let storage = &**self.storage();
        let unlisted = self.unlisted(&record, families)?;
        let mut lost = Vec::new();
        for file in &unlisted {
            let (to, from) = (self.family(&file.family).path().join(&file.name), file.from.as_path());
            let has_moved = exists(storage, &to)?;
            if has_moved && list_if_exists(storage, parent(from))?.is_some() && !exists(storage, from)? {
                lost.push((to, from));
            }
        }
        if let Some((_, from)) = lost.iter().find(|(_, from)| !is_input(from)) {
            return Err(Error::invalid_argument(interrupted_load(self.path(), from, LOAD)));
        }
        for (to, from) in &lost {
            // Only a forged record has two files of one path.
            if !exists(storage, from)? {
                rename(storage, to, from)?;
            }
        }
        // An interrupted call may have moved others, which become durable only now.
        for dir in unlisted.iter().map(|file| parent(&file.from)).collect::<BTreeSet<_>>() {
            unless_not_found(sync_dir(storage, dir))?;
        }
        for family in unlisted.iter().map(|file| &*file.family).collect::<BTreeSet<_>>() {
            unless_not_found(sync_dir(storage, &self.family(family).path()))?;
        }
        remove_record(storage, self.path())
    }

    /// Syncs the directories from which an interrupted bulk load has moved files. Those that another process
    /// has moved back must be durable there before the directories of the families, where they no longer are,
    /// are synced. Directories that no longer exist, or belong to another user, are left out.
    ///
    /// # Errors
    ///
    /// If an I/O operation fails.
    pub(super) fn sync_loaded_dirs(&self) -> Result<()> {
        let storage = &**self.storage();
        let files = self.valid_record()?.unwrap_or_default().files;
        for dir in files.iter().map(|file| parent(&file.from)).collect::<BTreeSet<_>>() {
            // Listed first, as the record may name anything: opening a pipe could block.
            match storage.list_dir(dir).and_then(|_| storage.sync_dir(dir)) {
                Err(error) if is_absent(error.kind()) || error.kind() == io::ErrorKind::PermissionDenied => {}
                synced => synced.map_err(|error| Error::io("sync", dir, error))?,
            }
        }
        Ok(())
    }

    /// Removes files that are on a list from the record of an interrupted bulk load, or the record if it has
    /// no others: a file removed from a list later must not be moved back. The lists must be durable, and
    /// must not change during the call. Does not access the paths in the record.
    ///
    /// # Errors
    ///
    /// If an I/O operation fails. A malformed record stays, for the next load.
    pub(super) fn forget_listed_loads(&self, families: &[Family]) -> Result<()> {
        let Some(record) = self.valid_record()? else { return Ok(()) };
        let left: Vec<MovedFile> = self.unlisted(&record, families)?.into_iter().cloned().collect();
        let storage = &**self.storage();
        if left.is_empty() {
            remove_record(storage, self.path())
        } else if left.len() < record.files.len() {
            LoadRecord { files: left }.publish(storage, &self.tmp().join("load"), self.path())
        } else {
            Ok(())
        }
    }

    /// Fails if a bulk load was interrupted after it had moved or copied files, and has not been repeated.
    ///
    /// # Errors
    ///
    /// If one was; if the record is malformed; or if an I/O operation fails.
    pub(crate) fn check_no_load(&self, families: &[Family]) -> Result<()> {
        if !self.storage().can_rename(self.path()) {
            return self.check_no_copies();
        }
        let Some(record) = self.load_record()? else { return Ok(()) };
        for file in self.unlisted(&record, families)? {
            if exists(&**self.storage(), &self.family(&file.family).path().join(&file.name))? {
                return Err(Error::not_supported(interrupted_load(self.path(), &file.from, LOAD)));
            }
        }
        Ok(())
    }

    /// Reads the record, if any.
    fn load_record(&self) -> Result<Option<LoadRecord>> {
        let (storage, path) = (&**self.storage(), self.path().join(LOAD));
        if !exists(storage, &path)? {
            return Ok(None);
        }
        let bytes = read_file(storage, &path, LOAD_BYTES as u64)?;
        LoadRecord::parse(&bytes).map(Some).map_err(|corruption| corruption.at(&path, 0))
    }

    /// Reads the record, if any, unless it is malformed.
    fn valid_record(&self) -> Result<Option<LoadRecord>> {
        match self.load_record() {
            Err(error) if error.kind() != ErrorKind::Io => Ok(None),
            record => record,
        }
    }

    /// Returns the files of a record that are on no list of their families.
    fn unlisted<'r>(&self, record: &'r LoadRecord, families: &[Family]) -> Result<Vec<&'r MovedFile>> {
        let mut unlisted = Vec::new();
        for family in families.iter().map(Family::name) {
            let mut files = record.files.iter().filter(|file| file.family == family).peekable();
            if files.peek().is_none() {
                continue;
            }
            let named = self.family(family).named_files(self.tracker(family)?)?.files;
            let named: BTreeSet<&str> = named.iter().map(|file| file.name.as_str()).collect();
            unlisted.extend(files.filter(|file| !named.contains(file.name.as_str())));
        }
        Ok(unlisted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::sealed_text::tests::{expect_flips_found, flipped_and_sealed, sealed};
    use proptest::prelude::*;

    fn record() -> LoadRecord {
        let file = |name: &str, family: &str, from: &str| MovedFile {
            name: name.to_owned(),
            family: family.as_bytes().to_vec(),
            from: PathBuf::from(from),
        };
        let odd = file("0b_SeqId_7_", "a b", "/in put/crc32c \t\n\\x41/é");
        LoadRecord { files: vec![file("0a_SeqId_7_", "f", "/input/f/0a"), odd] }
    }

    #[test]
    fn a_record_has_the_moved_files() {
        let bytes = record().to_bytes();
        assert_eq!(LoadRecord::parse(&bytes), Ok(record()));
        assert_eq!(LoadRecord::parse(&sealed("")), Ok(LoadRecord::default()));
        let names = ["../0a\tf\t/i", "0a.1b\tf\t/i", "0a\t.f\t/i", "0a\tf\t/"];
        for line in ["", "0a", "0a\tf", "0a\tf\t/i\t"].into_iter().chain(names) {
            for text in [line.to_owned(), format!("{line}\n")] {
                assert!(LoadRecord::parse(text.as_bytes()).is_err(), "{text:?}");
                assert!(text.is_empty() || LoadRecord::parse(&sealed(&text)).is_err(), "{text:?}");
            }
        }
        expect_flips_found(&bytes, |flipped| LoadRecord::parse(flipped).is_ok());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, flip: usize) {
            let _ = LoadRecord::parse(&bytes);
            let text = flipped_and_sealed(record().to_bytes(), flip);
            if let Ok(found) = LoadRecord::parse(&text) {
                let is_legal = |file: &MovedFile| !file.name.contains('/') && is_legal_name(&file.family);
                prop_assert!(found.files.iter().all(is_legal));
            }
        }
    }
}
