//! Values that are too large for a store file: a cell there has the name of the MOB file with the value
//! (HBase: `HMobStore`, `MobUtils`).
#![warn(clippy::indexing_slicing)]

use super::version::StoreFile;
use crate::cache::CacheFill;
use crate::cell::{CellRef, SeekKey, Tag, Tags};
use crate::coding::Cursor;
use crate::error::{Corruption, Error, Result};
use crate::hfile::{FileInfo, HFile, HFileOptions, HFileScanner};
use crate::layout::{MobDirs, MobFileName, check_mob_name};
use crate::schema::TableName;
use crate::sync::unpoisoned;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// The type of the tag of cells whose value is elsewhere (HBase: `TagType.MOB_REFERENCE_TAG_TYPE`).
const REFERENCE_TAG: u8 = 5;

/// The type of the tag with the name of the table whose MOB files have the value.
const TABLE_TAG: u8 = 6;

/// The maximum number of MOB files that are kept open (HBase: `hbase.mob.file.cache.size`, 1000).
const OPEN_FILES: usize = 256;

/// The number of times that a file is opened for a value that can no longer be read.
const OPENS: u32 = 3;

/// The MOB files of a family.
#[derive(Debug)]
pub(crate) struct MobFiles {
    /// `None` if the region is not under a root directory.
    dirs: Option<MobDirs>,
    table: TableName,
    options: HFileOptions,
    open: Mutex<BTreeMap<PathBuf, HFile>>,
}

/// The location of a value.
#[derive(Debug, PartialEq, Eq)]
struct MobReference<'c> {
    /// The length of the value in bytes.
    len: u64,
    file: &'c str,
    /// The table that has the file, if it is not the cell's.
    table: Option<TableName>,
}

/// Whether the value of a cell is in a MOB file (HBase: `MobUtils.isMobReferenceCell`).
pub(crate) fn is_mob_reference(cell: CellRef<'_>) -> bool {
    !cell.tag_bytes().is_empty() && cell.tags().any(|tag| tag.tag_type == REFERENCE_TAG)
}

impl<'c> MobReference<'c> {
    fn parse(value: &'c [u8], mut tags: Tags<'_>) -> Result<Self, Corruption> {
        let mut cursor = Cursor::new(value);
        let len = cursor.u32("length of a value in a MOB file")?;
        let most = i32::MAX.unsigned_abs();
        if len > most {
            return Err(Corruption::out_of_range(
                "length of a value in a MOB file",
                len.into(),
                0,
                most.into(),
            ));
        }
        let file = std::str::from_utf8(cursor.rest());
        let file = file.map_err(|_| Corruption::unknown_name("MOB file with a name like", cursor.rest()))?;
        check_mob_name(file)?;
        let table = tags.find(|tag| tag.tag_type == TABLE_TAG).map(|tag| table_of(tag.value)).transpose()?;
        Ok(Self { len: len.into(), file, table })
    }

    /// Returns the cell with the value of `cell`, if it is the one `found` in the MOB file.
    fn value_of<'f>(&self, cell: CellRef<'_>, found: Option<CellRef<'f>>) -> Result<CellRef<'f>, Corruption> {
        let Some(found) = found.filter(|found| found.key().as_bytes() == cell.key().as_bytes()) else {
            let missing = "the MOB file does not have the cell that a store file has in it";
            return Err(Corruption::Malformed(missing));
        };
        let len = found.value().len() as u64;
        if len != self.len {
            let what = "value in a MOB file";
            return Err(Corruption::Length { what, expected: self.len, found: len });
        }
        Ok(found)
    }
}

/// Whether a store file lists MOB files to which its cells refer.
pub(crate) fn lists_mob_files(info: &FileInfo) -> bool {
    // A single zero byte is the empty list.
    info.mob_file_refs().is_some_and(|list| list.len() > 1)
}

/// Returns the MOB files to which a store file's cells refer, by its own list; `None` if it has no list but
/// may have such cells (HBase: `MobUtils.deserializeMobFileRefs`, `MobFileCleanupUtil`).
pub(crate) fn listed_mob_files(info: &FileInfo) -> Result<Option<Vec<MobFileName>>, Corruption> {
    if !lists_mob_files(info) {
        // Cells without tags refer to nothing, and a file written for a bulk load contains its values.
        let has_none = info.mob_file_refs().is_some()
            || info.max_tags_len()?.is_none_or(|len| len == 0)
            || info.bulkload_source_task().is_some();
        return Ok(has_none.then(Vec::new));
    }
    let list = info.mob_file_refs().unwrap_or_default();
    let malformed = || Corruption::unknown_name("list of MOB files like", list);
    let text = std::str::from_utf8(list).map_err(|_| malformed())?;
    let mut names = Vec::new();
    for of_table in text.split("//") {
        let (table, files) = of_table.split_once('/').ok_or_else(malformed)?;
        let table = table_of(table.as_bytes())?;
        for file in files.split(',') {
            check_mob_name(file)?;
            names.push(MobFileName { table: table.clone(), file: file.to_owned() });
        }
    }
    Ok(Some(names))
}

/// The result of looking up the values to which the cells of store files refer.
#[derive(Debug, Default)]
pub(crate) struct FoundValues {
    /// The paths of the MOB files, including unreadable ones.
    pub(crate) files: BTreeSet<PathBuf>,
    /// The faults of missing values: the first one for each MOB file, or store file with malformed
    /// references.
    faults: BTreeMap<PathBuf, Error>,
    /// The first error of each MOB file that could not be read for a value.
    unreadable: BTreeMap<PathBuf, Error>,
    /// The MOB files that are missing, to avoid looking them up again.
    missing: BTreeSet<(Option<TableName>, String)>,
}

impl FoundValues {
    /// Returns the fault of missing values for each file once and, if `with_unreadable`, the errors of
    /// unreadable MOB files.
    pub(crate) fn faults(&mut self, with_unreadable: bool) -> Vec<Error> {
        let mut faults = std::mem::take(&mut self.faults);
        if with_unreadable {
            for (path, error) in std::mem::take(&mut self.unreadable) {
                faults.entry(path).or_insert(error);
            }
        }
        faults.into_values().collect()
    }

    fn add(&mut self, path: &Path, fault: Error) {
        self.faults.entry(path.to_owned()).or_insert(fault);
    }
}

fn table_of(name: &[u8]) -> Result<TableName, Corruption> {
    let unknown = || Corruption::unknown_name("table of a MOB file with a name like", name);
    let text = std::str::from_utf8(name).map_err(|_| unknown())?;
    TableName::parse(text).map_err(|_| unknown())
}

impl MobFiles {
    pub(crate) fn new(dirs: Option<MobDirs>, table: &TableName, options: &HFileOptions) -> Self {
        Self { dirs, table: table.clone(), options: options.clone(), open: Mutex::default() }
    }

    /// Passes the cell to `take` that has the value to which `cell` [refers](is_mob_reference): with the tags
    /// of the MOB file, and the sequence id of `cell`.
    ///
    /// # Errors
    ///
    /// If `cell` does not name a MOB file, or its file is missing or damaged, or has no such cell, or one
    /// with a value of another length. HBase returns an empty value for some of these.
    pub(crate) fn read<R>(
        &self,
        cell: CellRef<'_>,
        cache_blocks: bool,
        take: impl FnOnce(CellRef<'_>) -> Result<R>,
    ) -> Result<R> {
        let reference = MobReference::parse(cell.value(), cell.tags()).map_err(|corruption| {
            let message = format!("the value of {cell:.64} in a MOB file: {corruption}");
            Error::new(corruption.kind(), message)
        })?;
        self.look_up(&reference, cell, cache_blocks, |path, found| {
            let found = found.map_err(|corruption| corruption.at(path, 0))?;
            take(found.with_seq_id(cell.seq_id()))
        })
    }

    /// Looks for each value to which a cell of a store file refers.
    ///
    /// # Errors
    ///
    /// If the store file cannot be read.
    pub(crate) fn find_values(&self, file: &StoreFile, found: &mut FoundValues) -> Result<()> {
        let tags =
            file.hfile().file_info().max_tags_len().map_err(|corruption| corruption.at(file.path(), 0))?;
        if tags.is_none_or(|len| len == 0) {
            return Ok(());
        }
        let mut cells = file.full_scanner();
        cells.set_cache_fill(CacheFill::Nothing);
        let mut has_next = cells.seek(&SeekKey::new())?;
        while has_next {
            if let Some(cell) = cells.peek().filter(|cell| is_mob_reference(*cell)) {
                self.find_value(file.path(), cell, found);
            }
            has_next = cells.advance()?;
        }
        Ok(())
    }

    fn find_value(&self, store_file: &Path, cell: CellRef<'_>, found: &mut FoundValues) {
        let reference = match MobReference::parse(cell.value(), cell.tags()) {
            Ok(reference) => reference,
            Err(corruption) => return found.add(store_file, corruption.at(store_file, 0)),
        };
        let name = || (reference.table.clone(), reference.file.to_owned());
        if !found.missing.is_empty() && found.missing.contains(&name()) {
            return;
        }
        let looked_up = self.look_up(&reference, cell, false, |path, value| {
            Ok((path.to_owned(), value.err().map(|corruption| corruption.at(path, 0))))
        });
        match looked_up {
            Ok((path, fault)) => {
                if let Some(fault) = fault {
                    found.add(&path, fault);
                }
                found.files.insert(path);
            }
            Err(error) if error.is_not_found() => {
                found.missing.insert(name());
                let path = error.path().unwrap_or(store_file).to_owned();
                found.add(&path, error);
            }
            Err(error) => match error.path().map(Path::to_owned) {
                Some(path) => {
                    found.files.insert(path.clone());
                    found.unreadable.entry(path).or_insert(error);
                }
                None => found.add(store_file, error),
            },
        }
    }

    /// Passes the path of the MOB file of a reference to `take`, and the cell there with the value of `cell`,
    /// or the error if there is none.
    fn look_up<R>(
        &self,
        reference: &MobReference<'_>,
        cell: CellRef<'_>,
        cache_blocks: bool,
        take: impl FnOnce(&Path, Result<CellRef<'_>, Corruption>) -> Result<R>,
    ) -> Result<R> {
        let mut opens = 1;
        loop {
            let file = self.file(reference, cell)?;
            let mut scanner = file.scanner().cache_blocks(cache_blocks);
            match seek_value(&mut scanner, cell, reference.len) {
                // It was moved after it was opened, in a storage where a moved file can no longer be read.
                Err(error) if error.is_stale() && opens < OPENS => {
                    drop(unpoisoned(self.open.lock()).remove(file.path()));
                    opens += 1;
                    continue;
                }
                Err(error) => return Err(error),
                Ok(()) => {}
            }
            return take(file.path(), reference.value_of(cell, scanner.peek()));
        }
    }

    /// Returns the file of a reference, opening it if needed. A file that is already open is valid even if it
    /// was moved.
    fn file(&self, reference: &MobReference<'_>, cell: CellRef<'_>) -> Result<HFile> {
        let Some(dirs) = &self.dirs else {
            let message = "the store files are not under a root directory, which has the MOB files";
            return Err(not_found(Path::new(reference.file), message.to_owned()));
        };
        let dirs = dirs.of(reference.table.as_ref().unwrap_or(&self.table))?;
        let paths = dirs.each_ref().map(|dir| dir.join(reference.file));
        if let Some(file) = self.find_open(&paths) {
            return Ok(file);
        }
        // Twice: the file may be moved from a path not yet tried to one already tried.
        for path in paths.iter().chain(&paths) {
            match self.options.open(path) {
                Ok(file) => return Ok(self.keep(path, file)),
                Err(error) if error.is_stale() => {}
                Err(error) => return Err(error),
            }
        }
        let [first, second] = &paths;
        let second = second.display();
        let message = format!("the value of {cell:.64} is in a MOB file that is missing, also at {second}");
        Err(not_found(first, message))
    }

    /// Returns the first open file at one of the paths.
    fn find_open(&self, paths: &[PathBuf]) -> Option<HFile> {
        let open = unpoisoned(self.open.lock());
        paths.iter().find_map(|path| open.get(path)).cloned()
    }

    /// Keeps a file open. Returns the one that another thread has just opened, if any, because blocks are
    /// cached for each.
    fn keep(&self, path: &Path, file: HFile) -> HFile {
        let mut open = unpoisoned(self.open.lock());
        if open.len() >= OPEN_FILES && !open.contains_key(path) {
            open.pop_first();
        }
        open.entry(path.to_owned()).or_insert(file).clone()
    }
}

/// Seeks to the cell of a MOB file that has the value of `cell`, of `len` bytes. A file may have several of
/// the same key, the newest first; those that are newer than `cell` are skipped.
fn seek_value(scanner: &mut HFileScanner<'_>, cell: CellRef<'_>, len: u64) -> Result<()> {
    let key = cell.key();
    scanner.seek(key)?;
    let is_equal = |found: &CellRef<'_>| found.key().as_bytes() == key.as_bytes();
    // 0: a compaction of the store has removed the sequence id. Usually there is only one such cell, but
    // others may have been kept for a read in progress.
    let is_newer = |found: CellRef<'_>| match cell.seq_id() {
        0 => found.value().len() as u64 != len || own_tags(cell).ne(own_tags(found)),
        seq_id => found.seq_id() > seq_id,
    };
    while scanner.peek().filter(is_equal).is_some_and(is_newer) {
        scanner.advance()?;
    }
    // The sequence ids may be those of a bulk load.
    if scanner.peek().filter(is_equal).is_none() {
        scanner.seek(key)?;
    }
    Ok(())
}

/// Returns the tags that a cell was written with.
fn own_tags(cell: CellRef<'_>) -> impl Iterator<Item = Tag<'_>> {
    cell.tags().filter(|tag| ![REFERENCE_TAG, TABLE_TAG].contains(&tag.tag_type))
}

#[cold]
fn not_found(path: &Path, message: String) -> Error {
    Error::io("open", path, io::Error::new(io::ErrorKind::NotFound, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::{CellType, SeekKey};
    use crate::hfile::HFileWriter;

    const NAME: &str = "57c60dfdecdf47496a71dac247ba5d2119700101c8002bb473bf41a284e1bad9e0e0c99b";

    fn parse<'c>(value: &'c [u8], tags: &[u8]) -> Result<MobReference<'c>, Corruption> {
        MobReference::parse(value, Tags::new(tags))
    }

    #[test]
    fn a_reference_has_a_length_and_a_name() {
        let value = [&7u32.to_be_bytes(), NAME.as_bytes()].concat();
        let table = TableName::parse("ns:t").unwrap();
        let tags = [&[0, 1, REFERENCE_TAG, 0, 5, TABLE_TAG][..], b"ns:t"].concat();
        let reference = MobReference { len: 7, file: NAME, table: Some(table) };
        assert_eq!(parse(&value, &tags), Ok(reference));
        assert_eq!(parse(&value, &[]).unwrap().table, None);
    }

    #[test]
    fn a_store_file_lists_the_mob_files_of_several_tables() {
        let listed = |entries: &[(&str, &[u8])]| {
            let entries = entries.iter().map(|(name, value)| (name.as_bytes(), *value));
            listed_mob_files(&FileInfo::of(entries).unwrap())
        };
        let name = |table: &str, file: &str| MobFileName {
            table: TableName::parse(table).unwrap(),
            file: file.to_owned(),
        };
        let other = format!("{NAME}_{}", "0a".repeat(16));
        let list = format!("t/{NAME},{other}//ns:u/{NAME}");
        let names = vec![name("t", NAME), name("t", &other), name("ns:u", NAME)];
        assert_eq!(listed(&[("MOB_FILE_REFS", list.as_bytes())]), Ok(Some(names)));
        assert_eq!(listed(&[("MOB_FILE_REFS", b"\0")]), Ok(Some(Vec::new())));
        // Without a list, cells with tags may refer to any file.
        let len = 9_i32.to_be_bytes();
        let tags = ("hfile.MAX_TAGS_LEN", &len[..]);
        assert_eq!(listed(&[tags]), Ok(None));
        assert_eq!(listed(&[tags, ("BULKLOAD_SOURCE_TASK", b"task")]), Ok(Some(Vec::new())));
        assert_eq!(listed(&[]), Ok(Some(Vec::new())));
        for bad in
            ["table", "t/", "t/../x", &format!("t/{NAME}//"), &format!("a:b:c/{NAME}"), &format!("/{NAME}")]
        {
            assert!(listed(&[("MOB_FILE_REFS", bad.as_bytes())]).is_err(), "{bad}");
        }
        assert!(listed(&[("MOB_FILE_REFS", b"t/\xff")]).is_err());
    }

    /// A flush during a read keeps them.
    #[test]
    fn of_equal_cells_in_a_mob_file_each_has_its_own_value() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        let key = |row: &[u8]| SeekKey::of(row, b"f", b"q", 1, CellType::Put);
        let (row, next) = (key(b"row"), key(b"row1"));
        // `next` has a block of its own
        let mut writer = HFileWriter::options().block_size(1).create(&path).unwrap();
        for (key, value, seq_id) in
            [(&row, "newest", 9), (&row, "older", 7), (&row, "old", 4), (&next, "", 5)]
        {
            writer.append(CellRef::new(key, value.as_bytes()).with_seq_id(seq_id)).unwrap();
        }
        writer.finish().unwrap();
        let file = HFile::open(&path).unwrap();
        let value_at = |seq_id| {
            let mut scanner = file.scanner();
            seek_value(&mut scanner, CellRef::new(&row, b"").with_seq_id(seq_id), 6).unwrap();
            let found = scanner.peek().unwrap();
            String::from_utf8(found.value().to_vec()).unwrap()
        };
        let expected = [(12, "newest"), (9, "newest"), (7, "older"), (5, "old"), (4, "old")];
        for (seq_id, value) in expected.into_iter().chain([(3, "newest"), (0, "newest")]) {
            assert_eq!(value_at(seq_id), value, "{seq_id}");
        }
    }

    /// A compaction during a read keeps them, and removes the sequence ids of those that all reads see.
    #[test]
    fn of_equal_cells_without_sequence_id_each_has_the_value_of_its_length_and_tags() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        let key = SeekKey::of(b"row", b"f", b"q", 1, CellType::Put);
        let ttl = [&[0, 9, 8][..], &7i64.to_be_bytes()].concat();
        let mut writer = HFileWriter::options().tags(true).create(&path).unwrap();
        let cells = [("newest", &ttl[..], 9), ("older1", &[][..], 7), ("old", &[][..], 4)];
        for (value, tags, seq_id) in cells {
            let cell = CellRef { tags, ..CellRef::new(&key, value.as_bytes()) };
            writer.append(cell.with_seq_id(seq_id)).unwrap();
        }
        writer.finish().unwrap();
        let file = HFile::open(&path).unwrap();
        let reference = [0, 1, REFERENCE_TAG, 0, 2, TABLE_TAG, b't'];
        for (value, tags, _) in cells {
            let mut scanner = file.scanner();
            let tags = [&reference[..], tags].concat();
            let cell = CellRef { tags: &tags, ..CellRef::new(&key, b"") };
            seek_value(&mut scanner, cell, value.len() as u64).unwrap();
            assert_eq!(scanner.peek().unwrap().value(), value.as_bytes());
        }
    }

    #[test]
    fn malformed_references_are_errors() {
        let value = [&7u32.to_be_bytes(), NAME.as_bytes()].concat();
        for bad in [&value[..3], &value[..4], &value[..value.len() - 1], b"\xff\0\0\0", b"\0\0\0\x07\xff"] {
            assert!(parse(bad, &[]).is_err(), "{bad:?}");
        }
        let negative = [&u32::MAX.to_be_bytes(), NAME.as_bytes()].concat();
        assert!(parse(&negative, &[]).is_err());
        for table in [&b".."[..], b"a:b:c", b"\xff", b""] {
            let tag = [&[0, u8::try_from(table.len() + 1).unwrap(), TABLE_TAG], table].concat();
            assert!(parse(&value, &tag).is_err(), "{table:?}");
        }
        let missing = MobFiles::new(None, &TableName::parse("t").unwrap(), &HFile::options());
        let key = SeekKey::of(b"row", b"f", b"q", 1, CellType::Put);
        let error = missing.read(CellRef::new(&key, &value), true, |_| Ok(())).unwrap_err();
        assert!(error.is_not_found() && error.to_string().contains(NAME), "{error}");
    }
}
