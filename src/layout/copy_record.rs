//! The record of bulk loads in a storage without renames: the files that were copied into a region and must
//! not be copied again. It is the file `.loaded` in the region's directory, which HBase ignores.
//!
//! A loaded file is removed after the lists of the region have its copy. If the process dies in between, a
//! repeated call finds the file again, and would load its cells a second time, which would bring back cells
//! deleted since. So the record gets a line for each copy before the first list is made, and marks the copies
//! as listed after the last one, before any list can be replaced. The file of such a line is not loaded
//! again. If the process dies between the lists, the next one [determines](RegionDir::resolve_copies) which
//! were made, before it changes any.
//!
//! A request may be executed late. So the record is never removed, only replaced, each time by different
//! bytes: the storage replaces a file only if it is the one that was read. The record is created before the
//! first line is added, and each writer that opens the region replaces it, after which no request of an
//! earlier writer can.
//!
//! | line | |
//! |---|---|
//! | `id <random>` | differs each time |
//! | state, name, family, length, time, hash, path | of each copy |
//! | `crc32c <sum>` | the [checksum](super::sealed_text) of the lines before |
//!
//! The parts of a line are separated by tabs; families and paths are written as [`StringBinary`]. The state
//! is `listed`, or the number of the list planned to have the copy; the name is the copy's in the family's
//! directory; the others are the length, the time of the last modification, the XXH3 and the full path of the
//! file that was copied.
#![warn(clippy::indexing_slicing)]

use super::durable::{exists, write_synced};
use super::file_list::{list_of_number_after, read_file_list};
use super::file_name::{FileName, Target, new_file_name};
use super::load_record::{interrupted_load, path_of};
use super::region::RegionDir;
use super::sealed_text::{Faults, seal, unseal};
use crate::binary::{StringBinary, from_string_binary};
use crate::error::{Corruption, Error, Result};
use crate::io::{FileWriter, Storage, read_file};
use crate::schema::{Family, is_legal_name};
use std::path::{Path, PathBuf};

/// The name of the record, in the region's directory.
pub(super) const COPIES: &str = ".loaded";

/// The size limit of a record: the lines of some hundred thousand files.
const RECORD_BYTES: usize = 64 << 20;
const LISTED: &str = "listed";
const ID: &str = "id ";
const FAULTS: Faults = Faults {
    line: "a record of loaded files with a line that is not a loaded file",
    no_checksum: "a record of loaded files without a checksum at its end",
    no_number: "a record of loaded files with a checksum that is not a number",
};

/// A file from outside of the store, in its state when it was copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CopySource {
    /// The full path.
    pub(crate) path: PathBuf,
    /// The length in bytes.
    pub(crate) len: u64,
    /// When it was last modified, in milliseconds since 1970.
    pub(crate) modified_millis: i64,
    /// The hash of all bytes.
    pub(crate) hash: u128,
}

/// Whether a copy is a file of its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CopyState {
    /// A list of this number was planned to have it.
    ToBeListed(u64),
    /// A list has or had it.
    Listed,
}

/// A file that was copied into a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LoadedCopy {
    pub(crate) state: CopyState,
    /// The name in the directory of the family.
    pub(crate) name: String,
    pub(crate) family: Vec<u8>,
    pub(crate) source: CopySource,
}

/// The files of a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CopyRecord {
    pub(crate) copies: Vec<LoadedCopy>,
}

impl CopySource {
    /// Fails if the path cannot be recorded.
    pub(crate) fn check(&self) -> Result<()> {
        if path_of(self.path.as_os_str().as_encoded_bytes().to_vec()).as_ref() == Some(&self.path) {
            return Ok(());
        }
        let message = format!("{}: a path that is not Unicode cannot be recorded", self.path.display());
        Err(Error::invalid_argument(message))
    }
}

impl LoadedCopy {
    fn to_line(&self) -> String {
        let Self { state, name, family, source } = self;
        let state = match state {
            CopyState::Listed => LISTED.to_owned(),
            CopyState::ToBeListed(number) => number.to_string(),
        };
        let (family, path) = (StringBinary(family), StringBinary(source.path.as_os_str().as_encoded_bytes()));
        let CopySource { len, modified_millis, hash, .. } = source;
        format!("{state}\t{name}\t{family}\t{len}\t{modified_millis}\t{hash:032x}\t{path}\n")
    }

    fn parse(line: &str) -> Option<Self> {
        let parts: Vec<&str> = line.split('\t').collect();
        let [state, name, family, len, modified, hash, path] = parts.try_into().ok()?;
        let state = match state {
            LISTED => CopyState::Listed,
            number => CopyState::ToBeListed(number.parse().ok()?),
        };
        let family = from_string_binary(family);
        let is_name = matches!(FileName::parse(name), Some(FileName::Whole(Target::HFile(_))));
        if !is_name || !is_legal_name(&family) {
            return None;
        }
        let source = CopySource {
            path: path_of(from_string_binary(path))?,
            len: len.parse().ok()?,
            modified_millis: modified.parse().ok()?,
            hash: u128::from_str_radix(hash, 16).ok()?,
        };
        Some(Self { state, name: name.to_owned(), family, source })
    }
}

impl CopyRecord {
    fn to_bytes(&self) -> Vec<u8> {
        let lines: String = self.copies.iter().map(LoadedCopy::to_line).collect();
        seal(&format!("{ID}{}\n{lines}", new_file_name(0)))
    }

    fn parse(bytes: &[u8]) -> Result<Self, Corruption> {
        let (id, lines) = unseal(bytes, FAULTS)?.split_once('\n').unwrap_or_default();
        let copies = lines.lines().map(LoadedCopy::parse).collect::<Option<Vec<_>>>();
        let copies = copies.filter(|_| id.starts_with(ID));
        copies.map(|copies| Self { copies }).ok_or(Corruption::Malformed(FAULTS.line))
    }

    /// Returns the copies of the file at a path in the store of a family.
    pub(crate) fn of<'r>(&'r self, family: &'r [u8], path: &'r Path) -> impl Iterator<Item = &'r LoadedCopy> {
        self.copies.iter().filter(move |copy| copy.family == family && copy.source.path == path)
    }

    /// Fails if a load into a family selected by `is_wanted` was interrupted, and one of its files still
    /// exists, which could be loaded again without the record. `region` is the directory with the record.
    fn check(&self, storage: &dyn Storage, region: &Path, is_wanted: impl Fn(&[u8]) -> bool) -> Result<()> {
        for copy in self.copies.iter().filter(|copy| is_wanted(&copy.family)) {
            if copy.state != CopyState::Listed || exists(storage, &copy.source.path)? {
                return Err(Error::not_supported(interrupted_load(region, &copy.source.path, COPIES)));
            }
        }
        Ok(())
    }

    /// Whether lists have a copy of a file in a directory.
    pub(crate) fn has_listed_below(&self, dir: &Path) -> bool {
        self.copies.iter().any(|copy| copy.state == CopyState::Listed && copy.source.path.starts_with(dir))
    }
}

impl RegionDir {
    /// Returns the path of the record, which need not exist.
    pub(crate) fn copies_path(&self) -> PathBuf {
        self.path().join(COPIES)
    }

    /// Reads the record; empty if there is none.
    ///
    /// # Errors
    ///
    /// If it is malformed, or cannot be read.
    pub(crate) fn copies(&self) -> Result<CopyRecord> {
        read_record(&**self.storage(), self.path()).map(Option::unwrap_or_default)
    }

    fn begin_copies(&self) -> Result<(NewRecord, Option<CopyRecord>)> {
        NewRecord::begin(&**self.storage(), self.path())
    }

    /// Adds copies to the record, before the lists with them are made.
    pub(super) fn note_copies(&self, copies: &[LoadedCopy]) -> Result<()> {
        let (mut new, mut found) = self.begin_copies()?;
        if found.is_none() {
            new.put(&CopyRecord::default())?;
            (new, found) = self.begin_copies()?;
        }
        let mut record = found.unwrap_or_default();
        record.copies.extend_from_slice(copies);
        new.put(&record)
    }

    /// Records that the lists have these copies.
    pub(super) fn confirm_copies(&self, copies: &[LoadedCopy]) -> Result<()> {
        let (new, found) = self.begin_copies()?;
        let mut record = found.unwrap_or_default();
        for copy in record.copies.iter_mut().filter(|copy| copies.iter().any(|of| of.name == copy.name)) {
            copy.state = CopyState::Listed;
        }
        new.put(&record)
    }

    /// Removes copies that no list has from the record.
    pub(super) fn disclaim_copies(&self, copies: &[LoadedCopy]) -> Result<()> {
        self.retain_copies(|copy| copies.iter().all(|of| of.name != copy.name))
    }

    /// Removes the copies of the files at these full paths from the record, so that such files can be loaded
    /// again, and those of files in the directory `dir` that no longer exist. The other copies may be from an
    /// interrupted load that is repeated later. No store file may be renamed during the call.
    ///
    /// # Errors
    ///
    /// If the record is malformed, or cannot be read or replaced.
    pub(crate) fn forget_copies(&self, sources: &[PathBuf], dir: Option<&Path>) -> Result<()> {
        // A file that cannot be examined may exist.
        let is_gone = |path: &Path| matches!(exists(&**self.storage(), path), Ok(false));
        self.retain_copies(|copy| {
            let path = &copy.source.path;
            let is_gone = || dir.is_some_and(|dir| path.starts_with(dir) && is_gone(path));
            copy.state != CopyState::Listed || !sources.contains(path) && !is_gone()
        })
    }

    fn retain_copies(&self, is_kept: impl Fn(&LoadedCopy) -> bool) -> Result<()> {
        if self.copies()?.copies.iter().all(&is_kept) {
            return Ok(());
        }
        let (new, found) = self.begin_copies()?;
        let mut record = found.unwrap_or_default();
        record.copies.retain(is_kept);
        new.put(&record)
    }

    /// Determines whether the lists have the copies that a process was loading when it ended, and records the
    /// result. Nothing else may change the lists during the call, or have changed them since the region was
    /// locked.
    ///
    /// A missing list may still be made by a request that is executed late. So a list with the same files as
    /// the previous one gets its number; the copy is then not a file of the store, and is removed. If another
    /// program has changed the lists since, it is unknown whether they had the copy, and it stays in the
    /// record. `renews`: whether the record is always replaced, as when the region is opened.
    ///
    /// # Errors
    ///
    /// If the record or a list is malformed, or an I/O operation fails.
    pub(crate) fn resolve_copies(&self, families: &[Family], renews: bool) -> Result<()> {
        if !renews && self.copies()?.copies.iter().all(|copy| copy.state == CopyState::Listed) {
            return Ok(());
        }
        let (new, found) = self.begin_copies()?;
        let before = found.unwrap_or_default();
        let (mut record, mut unlisted) = (before.clone(), Vec::new());
        let (storage, copies) = (&**self.storage(), &mut record.copies);
        for family in families.iter().map(Family::name) {
            let dir = self.family(family).path();
            let greatest = |copies: &[LoadedCopy]| {
                let of_family = copies.iter().filter(|copy| copy.family == family);
                let numbers = of_family.filter_map(|copy| match copy.state {
                    CopyState::ToBeListed(number) => Some(number),
                    CopyState::Listed => None,
                });
                numbers.max()
            };
            while let Some(number) = greatest(copies) {
                let list = read_file_list(storage, &dir)?.unwrap_or_default();
                let current = list.number().unwrap_or(0);
                if current.checked_add(1) == Some(number) {
                    match list_of_number_after(storage, &dir, list) {
                        // The list was made in the meantime.
                        Err(error) if error.is_already_exists() => {}
                        made => made?,
                    }
                    continue;
                }
                let is_listed = |copy: &LoadedCopy| list.files.iter().any(|file| file.name == copy.name);
                copies.retain_mut(|copy| match copy.state {
                    CopyState::ToBeListed(_) if copy.family == family && is_listed(copy) => {
                        copy.state = CopyState::Listed;
                        true
                    }
                    CopyState::ToBeListed(number) if copy.family == family && number == current => {
                        unlisted.push(dir.join(&copy.name));
                        false
                    }
                    _ => true,
                });
                break;
            }
        }
        if renews || record != before {
            new.put(&record)?;
        }
        for copy in unlisted {
            // Failures are ignored: a file that is on no list is never read.
            let _ = storage.remove(&copy);
        }
        Ok(())
    }

    /// Fails if a load was interrupted after it had copied a file that still exists: it could be loaded again
    /// into the regions that replace this one.
    pub(super) fn check_no_copies(&self) -> Result<()> {
        self.copies()?.check(&**self.storage(), self.path(), |_| true)
    }
}

/// Reads the record in the directory of a region, if any.
fn read_record(storage: &dyn Storage, region: &Path) -> Result<Option<CopyRecord>> {
    let path = region.join(COPIES);
    match read_file(storage, &path, RECORD_BYTES as u64) {
        Err(error) if error.is_not_found() => Ok(None),
        bytes => CopyRecord::parse(&bytes?).map(Some).map_err(|corruption| corruption.at(&path, 0)),
    }
}

/// The file that replaces the record in the directory of a region. It exists only when it is put.
struct NewRecord {
    file: Box<dyn FileWriter>,
    path: PathBuf,
}

impl NewRecord {
    /// Also reads the record, if any.
    fn begin(storage: &dyn Storage, region: &Path) -> Result<(Self, Option<CopyRecord>)> {
        let path = region.join(COPIES);
        // It replaces only the file that existed before the record is read here.
        let file = storage.create(&path).map_err(|error| Error::io("create", &path, error))?;
        Ok((Self { file, path }, read_record(storage, region)?))
    }

    /// Replaces the record. Fails if another one has replaced it since it was read.
    fn put(self, record: &CopyRecord) -> Result<()> {
        let bytes = record.to_bytes();
        if bytes.len() > RECORD_BYTES {
            return Err(Error::invalid_argument("bulk loads of too many files"));
        }
        write_synced(self.file, &self.path, &bytes)
    }
}

/// Removes the lines of families that are about to be deleted or added, as `is_ended` selects them, from the
/// record in the directory of a region. The record is always replaced, so that no request of a process that
/// had locked the region before can replace it. The region must be locked.
///
/// # Errors
///
/// If a load into such a family was interrupted: see [`CopyRecord::check`]. If the record is malformed, or
/// cannot be read or replaced.
pub(crate) fn end_copies(
    storage: &dyn Storage,
    region: &Path,
    is_ended: impl Fn(&[u8]) -> bool,
) -> Result<()> {
    if read_record(storage, region)?.is_none() {
        return Ok(());
    }
    let (new, found) = NewRecord::begin(storage, region)?;
    let mut record = found.unwrap_or_default();
    record.check(storage, region, &is_ended)?;
    record.copies.retain(|copy| !is_ended(&copy.family));
    new.put(&record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::faulty::FaultyStorage;
    use crate::layout::sealed_text::tests::{expect_flips_found, flipped_and_sealed, sealed};
    use proptest::prelude::*;

    fn record() -> CopyRecord {
        let copy = |state, name: &str, family: &str, path: &str| LoadedCopy {
            state,
            name: name.to_owned(),
            family: family.as_bytes().to_vec(),
            source: CopySource {
                path: PathBuf::from(path),
                len: 7,
                modified_millis: -1,
                hash: u128::MAX - 1,
            },
        };
        let odd = copy(CopyState::ToBeListed(12), "0b_SeqId_7_", "a b", "/in put/crc32c \t\n\\x41/é");
        CopyRecord { copies: vec![copy(CopyState::Listed, "0a_SeqId_7_", "f", "s3://b/input/f/0a"), odd] }
    }

    #[test]
    fn a_record_has_the_copies() {
        let bytes = record().to_bytes();
        assert_eq!(CopyRecord::parse(&bytes), Ok(record()));
        assert_ne!(bytes, record().to_bytes(), "each has another id");
        assert_eq!(CopyRecord::parse(&CopyRecord::default().to_bytes()), Ok(CopyRecord::default()));
        let of_record = record();
        assert_eq!(of_record.of(b"f", Path::new("s3://b/input/f/0a")).count(), 1);
        assert_eq!(of_record.of(b"g", Path::new("s3://b/input/f/0a")).count(), 0);
        let sound = "listed\t0a\tf\t7\t-1\t0f\t/i";
        assert!(CopyRecord::parse(&sealed(format!("id 1\n{sound}\n"))).is_ok());
        let (names, values) = (["../0a", "0a.1b", "t=1b-0a", ""], ["", "x", "1\t2"]);
        let wrong = names.map(|name| sound.replace("\t0a", &format!("\t{name}"))).into_iter();
        let wrong = wrong.chain(values.map(|value| sound.replace("listed", value)));
        let wrong = wrong.chain(values.map(|value| sound.replace("0f", value)));
        let wrong = wrong.chain(values.map(|value| sound.replace("-1", value)));
        let wrong = wrong.chain([sound.replace("\tf", "\t.f"), sound.replace('7', "-7"), String::new()]);
        for line in wrong {
            let text = format!("id 1\n{line}\n");
            assert!(CopyRecord::parse(&sealed(&text)).is_err(), "{text:?}");
        }
        for text in ["", "id 1", sound, "\n"] {
            assert!(CopyRecord::parse(text.as_bytes()).is_err(), "{text:?}");
            assert!(CopyRecord::parse(&sealed(text)).is_err(), "{text:?}");
        }
        expect_flips_found(&bytes, |flipped| CopyRecord::parse(flipped).is_ok());
    }

    /// A process that has just lost its lock may still replace it.
    #[test]
    fn a_record_that_another_process_has_replaced_is_not_lost() {
        let (storage, region) = (FaultyStorage::new(), Path::new("region"));
        storage.has_objects();
        let begin = || NewRecord::begin(&storage, region).unwrap();
        let (new, found) = begin();
        assert_eq!(found, None);
        new.put(&CopyRecord::default()).unwrap();
        let (late, found) = begin();
        assert_eq!(found, Some(CopyRecord::default()));
        begin().0.put(&record()).unwrap();
        assert!(late.put(&CopyRecord::default()).unwrap_err().is_already_exists());
        assert_eq!(begin().1, Some(record()));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, flip: usize) {
            let parsed = CopyRecord::parse(&bytes);
            prop_assert!(parsed.is_err());
            let text = flipped_and_sealed(record().to_bytes(), flip);
            if let Ok(found) = CopyRecord::parse(&text) {
                let is_legal = |copy: &LoadedCopy| !copy.name.contains('/') && is_legal_name(&copy.family);
                prop_assert!(found.copies.iter().all(is_legal));
            }
        }
    }
}
