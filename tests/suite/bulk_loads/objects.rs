//! Bulk loads in an object store: files are copied, and loaded once whatever fails.

use super::{INPUT, ROOT, expected, left, open, options, origin, rows, write};
use crate::support::forward::forward;
use hregion::io::faulty::{Call, Crash, FaultyStorage};
use hregion::io::{FileWriter, Storage};
use hregion::{
    CellRef, CellType, Compaction, Delete, Error, ErrorKind, Family, Put, Region, RegionOptions, SeekKey,
    Table, TableChanges,
};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const TRACKER: &str = "hbase.store.file-tracker.impl";
pub(super) const RECORD: &str = ".loaded";

/// As [`super::world`], in an object store.
pub(super) fn world() -> FaultyStorage {
    let storage = FaultyStorage::new();
    storage.has_objects();
    let family = |name: &str| Family::new(name.to_owned()).configuration(TRACKER, "FILE");
    let families = [family("f"), family("g")];
    Table::create_with(ROOT, "t", &families, &["m", "x"], options(&storage)).unwrap().close().unwrap();
    write(&storage, "/input/f/0a", &super::ROWS);
    write(&storage, "/input/f/part-0", &["m", "n"]);
    write(&storage, "/input/g/0b", &["b"]);
    write(&storage, "/input/g/0c", &[]);
    write(&storage, "/input/g/_ignored", &super::ROWS);
    write(&storage, "/input/_SUCCESS/x", &super::ROWS);
    storage
}

/// The names of the input that are left when all was loaded.
const PASSED_OVER: [&str; 3] = ["_SUCCESS/x", "g/0c", "g/_ignored"];

fn is_removed(storage: &FaultyStorage) -> bool {
    left(storage).iter().eq(PASSED_OVER.map(Path::new).iter())
}

/// Returns the paths of the records of loaded files.
fn records(storage: &FaultyStorage) -> Vec<PathBuf> {
    storage.names().into_iter().filter(|path| path.ends_with(RECORD)).collect()
}

/// Returns the number of lines of files in all records.
pub(super) fn recorded(storage: &FaultyStorage) -> usize {
    let lines = |path: &PathBuf| {
        let text = String::from_utf8(storage.bytes(path).unwrap()).unwrap();
        text.lines().filter(|line| line.contains('\t')).count()
    };
    records(storage).iter().map(lines).sum()
}

/// Deletes cells, and removes all trace of them.
pub(super) fn delete(table: &Table, cells: &[String]) {
    for cell in cells {
        let (row, rest) = cell.split_once('/').unwrap();
        let family = rest.split_once('=').unwrap().0;
        table.delete(Delete::new(row.to_owned()).family(family.to_owned())).unwrap();
    }
    table.flush().unwrap();
    table.compact(Compaction::Major).unwrap();
}

/// Loads until that succeeds: a process that is taken for dead may make one attempt fail.
fn load_again(storage: &FaultyStorage, shown: &str) -> Table {
    for _ in 0..3 {
        let table = open(storage);
        match table.bulk_load(INPUT) {
            Ok(_) => return table,
            Err(error) => println!("{shown}: {error}"),
        }
        drop(table);
    }
    panic!("{shown}: no load succeeds")
}

/// Checks a table whose load was cut off: each cell is loaded once, also if it was deleted before the load is
/// repeated. `late` happens after the table was opened.
fn check_repeated(storage: &FaultyStorage, acknowledged: bool, late: impl FnOnce(), shown: &str) {
    let all = expected();
    let table = open(storage);
    let seen = rows(&table);
    assert!(seen.iter().all(|cell| all.contains(cell)), "{shown}: {seen:?}");
    assert!(!acknowledged || seen == all, "{shown}: {seen:?}");
    // The files of a family are loaded together.
    for bounds in [&all[..2], &all[2..3], &all[3..5], &all[5..]] {
        let of_f = bounds.iter().filter(|cell| cell.contains("/f="));
        let count = of_f.clone().filter(|cell| seen.contains(cell)).count();
        assert!(count == 0 || count == of_f.count(), "{shown}: {seen:?}");
    }
    delete(&table, &seen);
    late();
    assert_eq!(rows(&table), [""; 0], "{shown}");
    drop(table);
    let table = load_again(storage, shown);
    let expected: Vec<String> = all.iter().filter(|cell| !seen.contains(cell)).cloned().collect();
    assert_eq!(rows(&table), expected, "{shown}");
    assert!(is_removed(storage), "{shown}: {:?}", left(storage));
    assert_eq!(recorded(storage), 0, "{shown}");
    table.compact(Compaction::Major).unwrap();
    table.split("c").unwrap();
    table.close().unwrap();
    assert_eq!(rows(&open(storage)), expected, "{shown}");
    let report = Table::check_root(ROOT, options(storage)).unwrap();
    let is_bad = |finding: &&hregion::Finding| finding.severity == hregion::Severity::Error;
    let bad: Vec<_> = report.findings.iter().filter(is_bad).collect();
    assert!(bad.is_empty(), "{shown}: {bad:?}");
}

#[test]
fn files_are_copied_and_removed() {
    let storage = world();
    let table = open(&storage);
    let done = table.bulk_load(INPUT).unwrap();
    assert_eq!((done.loaded, done.split, done.skipped.len()), (5, vec![PathBuf::from("/input/f/0a")], 3));
    assert_eq!(rows(&table), expected());
    assert!(is_removed(&storage), "{:?}", left(&storage));
    assert_eq!((records(&storage).len(), recorded(&storage)), (3, 0));
    for (row, files) in [("a", 1), ("m", 2), ("x", 1)] {
        let names = table.region(row).unwrap().store_file_names("f").unwrap();
        assert_eq!(names.len(), files);
        assert!(names.iter().all(|name| name.contains("_SeqId_")), "{names:?}");
    }
    // What is written later is newer, and what was written before is not.
    table.put(Put::new("a").cell_at("f", "q", 1, "later")).unwrap();
    assert_eq!(rows(&table)[0], "a/f=later");
    table.close().unwrap();
    let table = open(&storage);
    assert_eq!(rows(&table)[1..], expected()[1..]);
    let again = table.bulk_load(INPUT).unwrap();
    assert_eq!((again.loaded, again.split.len()), (0, 0));
    // Files of the same names are others.
    write(&storage, "/input/f/0a", &["a"]);
    assert_eq!(table.bulk_load(INPUT).unwrap().loaded, 1);
    assert_eq!(rows(&table)[0], "a/f=/input/f/0a");
    // A region alone, with files of two families.
    write(&storage, "/other/f/0d", &["c"]);
    write(&storage, "/other/g/0e", &["c"]);
    let region = table.region("a").unwrap();
    region.bulk_load(&[("f", "/other/f/0d"), ("g", "/other/g/0e")]).unwrap();
    assert_eq!(rows(&table)[3..5], ["c/f=/other/f/0d", "c/g=/other/g/0e"]);
    assert!(!storage.names().iter().any(|path| path.starts_with("other")));
    let error = region.bulk_load(&[("f", "/other/f/0d")]).unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert_eq!(recorded(&storage), 0);
}

#[test]
fn what_does_not_fit_loads_nothing() {
    let storage = world();
    let table = open(&storage);
    let check = |input: &str, kind: ErrorKind| {
        let before = storage.names();
        let error = table.bulk_load(input).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!((rows(&table).len(), storage.names()), (0, before), "{error}");
    };
    write(&storage, "/unknown/h/0a", &["a"]);
    check("/unknown", ErrorKind::NoSuchFamily);
    // Of another family than its directory.
    let mut bytes = storage.bytes(Path::new("/input/g/0b")).unwrap();
    storage.create_dir_all(Path::new("/wrong/f")).unwrap();
    let put = |path: &str, bytes: &[u8]| {
        let mut file = storage.create(Path::new(path)).unwrap();
        file.write_all(bytes).unwrap();
        file.sync().unwrap();
    };
    put("/wrong/f/0a", &bytes);
    check("/wrong", ErrorKind::InvalidArgument);
    // Damaged in a block that is read only to be verified.
    let at = bytes.windows(4).position(|bytes| bytes == b"DATA").unwrap() + 40;
    bytes[at] ^= 1;
    put("/damaged/g/0a", &bytes);
    check("/damaged", ErrorKind::Corrupt);
    let region = table.region("a").unwrap();
    let before = storage.names();
    for refused in [
        region.bulk_load(&[("f", "/input/f/part-0")]),
        region.bulk_load(&[("f", "/input/f/none")]),
        region.bulk_load::<&str, &str>(&[]),
    ] {
        refused.unwrap_err();
    }
    let dir = region.path().to_owned();
    assert_eq!(table.bulk_load(&dir).unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert_eq!((rows(&table).len(), storage.names()), (0, before));
    let read_only = Table::open_with(ROOT, "t", options(&storage)).unwrap();
    assert_eq!(read_only.bulk_load(INPUT).unwrap_err().kind(), ErrorKind::InvalidArgument);
}

/// Calls that change something fail, one or all from one on, as if the process had been killed.
fn each_call_fails(step: usize) {
    let mut deaths = 0;
    for is_death in [false, true] {
        for n in (0..).step_by(step) {
            let shown = format!("call {n}, death: {is_death}");
            let storage = world();
            let table = open(&storage);
            for row in ["a", "m", "x"] {
                table.region(row).unwrap();
            }
            if is_death {
                storage.die_after(n);
            } else {
                storage.fail_after(n);
            }
            let before = storage.calls();
            let loaded = table.bulk_load(INPUT);
            let is_over = storage.calls() - before <= n;
            let storage = storage.after(Crash::OfTheProcess);
            drop(table);
            deaths += u64::from(loaded.is_err());
            check_repeated(&storage, loaded.is_ok(), || (), &shown);
            if is_over {
                loaded.unwrap_or_else(|error| panic!("{shown}: {error}"));
                println!("{n} calls");
                break;
            }
        }
    }
    assert!(deaths > 20, "{deaths}");
}

#[test]
fn a_failing_load_is_repeated() {
    each_call_fails(3);
}

#[test]
#[ignore = "takes long"]
fn every_failing_load_is_repeated() {
    each_call_fails(1);
}

/// The call is repeated by the same process, if the region takes writes.
#[test]
fn a_failing_load_is_repeated_by_its_process() {
    let mut poisoned = 0;
    for n in (0..).step_by(2) {
        let shown = format!("call {n}");
        let storage = world();
        let table = open(&storage);
        for row in ["a", "m", "x"] {
            table.region(row).unwrap();
        }
        storage.fail_among_all([n]);
        let loaded = table.bulk_load(INPUT);
        if !storage.pending_faults().is_empty() {
            assert!(loaded.is_ok() && poisoned > 0 && n > 100, "{n}, {poisoned}");
            return;
        }
        storage.heal();
        let is_poisoned = |row: &&str| table.region(*row).unwrap().health().poisoned.is_some();
        if ["a", "m", "x"].iter().any(is_poisoned) {
            poisoned += 1;
            drop(table);
            check_repeated(&storage, loaded.is_ok(), || (), &shown);
            continue;
        }
        let (all, seen) = (expected(), rows(&table));
        assert!(loaded.is_err() || seen == all, "{shown}");
        delete(&table, &seen);
        table.bulk_load(INPUT).unwrap_or_else(|error| panic!("{shown}: {error}"));
        let expected: Vec<String> = all.into_iter().filter(|cell| !seen.contains(cell)).collect();
        assert_eq!(rows(&table), expected, "{shown}");
        assert!(is_removed(&storage) && recorded(&storage) == 0, "{shown}");
        table.close().unwrap();
        assert_eq!(rows(&open(&storage)), expected, "{shown}");
    }
}

/// A storage whose nth file, or removal, is made late, or is made and not answered. All calls fail from then
/// on that change something.
#[derive(Debug)]
struct Late {
    files: FaultyStorage,
    state: Arc<Mutex<LateState>>,
}

#[derive(Debug, Default)]
struct LateState {
    /// The number of requests until the one that is late.
    left: u64,
    is_over: bool,
    late: Option<Request>,
}

#[derive(Debug)]
enum Request {
    Put(Box<dyn FileWriter>),
    Remove(PathBuf),
}

impl LateState {
    fn check(&self) -> io::Result<()> {
        if self.is_over { Err(io::Error::other("the storage makes no more changes")) } else { Ok(()) }
    }

    /// Whether a request is the one that is late.
    fn is_late(&mut self) -> io::Result<bool> {
        self.check()?;
        self.is_over = self.left == 0;
        self.left = self.left.saturating_sub(1);
        Ok(self.is_over)
    }
}

#[derive(Debug)]
struct LateWriter {
    file: Option<Box<dyn FileWriter>>,
    path: PathBuf,
    state: Arc<Mutex<LateState>>,
}

impl FileWriter for LateWriter {
    fn path(&self) -> &Path {
        &self.path
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.as_mut().ok_or(io::ErrorKind::Other)?.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        if !state.is_late()? {
            return self.file.as_mut().ok_or(io::ErrorKind::Other)?.sync();
        }
        state.late = self.file.take().map(Request::Put);
        Err(io::Error::other("no answer"))
    }
}

impl Late {
    fn writer(&self, path: &Path, file: io::Result<Box<dyn FileWriter>>) -> io::Result<Box<dyn FileWriter>> {
        let (file, state) = (Some(file?), Arc::clone(&self.state));
        Ok(Box::new(LateWriter { file, path: path.to_owned(), state }))
    }
}

impl Storage for Late {
    forward!(files: open create_log rename hard_link remove_dir sync_file sync_dir);
    forward!(files: list_dir create_dir_all lock optional);

    fn create(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        self.state.lock().unwrap().check()?;
        self.writer(path, self.files.create(path))
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        self.state.lock().unwrap().check()?;
        self.writer(path, self.files.create_new(path))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        if !state.is_late()? {
            return self.files.remove(path);
        }
        state.late = Some(Request::Remove(path.to_owned()));
        Err(io::Error::other("no answer"))
    }
}

/// When a late request is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// Only its answer is lost.
    AtOnce,
    /// After another process has opened the table.
    AfterOpening,
    /// After that has loaded the files.
    AfterAll,
}

fn each_request_is_late(step: usize) {
    for when in [When::AtOnce, When::AfterOpening, When::AfterAll] {
        for n in (0..).step_by(step) {
            let shown = format!("request {n}, {when:?}");
            let storage = world();
            let state = Arc::new(Mutex::new(LateState { left: u64::MAX, ..LateState::default() }));
            let late = Late { files: storage.clone(), state: Arc::clone(&state) };
            let late = Region::options().storage(Arc::new(late));
            let table = Table::open_with(ROOT, "t", late.writable(true)).unwrap();
            for row in ["a", "m", "x"] {
                table.region(row).unwrap();
            }
            state.lock().unwrap().left = n;
            let loaded = table.bulk_load(INPUT);
            drop(table);
            let request = state.lock().unwrap().late.take();
            let is_over = request.is_none();
            // Whether it is refused or not does not matter to anybody.
            let carry_out = || match request {
                Some(Request::Put(mut file)) => drop(file.sync()),
                Some(Request::Remove(path)) => drop(storage.remove(&path)),
                None => {}
            };
            match when {
                When::AtOnce => {
                    carry_out();
                    check_repeated(&storage, loaded.is_ok(), || (), &shown);
                }
                When::AfterOpening => check_repeated(&storage, loaded.is_ok(), carry_out, &shown),
                When::AfterAll => {
                    check_repeated(&storage, loaded.is_ok(), || (), &shown);
                    let before = rows(&open(&storage));
                    carry_out();
                    let table = open(&storage);
                    assert_eq!(rows(&table), before, "{shown}");
                    write(&storage, "/input/g/0f", &["c"]);
                    assert_eq!(table.bulk_load(INPUT).unwrap().loaded, 1, "{shown}");
                    assert_eq!(rows(&table).len(), before.len() + 1, "{shown}");
                    assert_eq!(recorded(&storage), 0, "{shown}");
                }
            }
            if is_over {
                loaded.unwrap_or_else(|error| panic!("{shown}: {error}"));
                assert!(n > 20, "{n}");
                break;
            }
        }
    }
}

#[test]
fn a_late_request_loads_nothing_twice() {
    each_request_is_late(2);
}

#[test]
#[ignore = "takes long"]
fn no_late_request_loads_anything_twice() {
    each_request_is_late(1);
}

/// Loads the input with a request that is late. Returns the storage, and the request.
fn late_at(n: u64) -> (FaultyStorage, Request) {
    let storage = world();
    let state = Arc::new(Mutex::new(LateState { left: u64::MAX, ..LateState::default() }));
    let late = Late { files: storage.clone(), state: Arc::clone(&state) };
    let table =
        Table::open_with(ROOT, "t", Region::options().storage(Arc::new(late)).writable(true)).unwrap();
    for row in ["a", "m", "x"] {
        table.region(row).unwrap();
    }
    state.lock().unwrap().left = n;
    table.bulk_load(INPUT).unwrap_err();
    drop(table);
    let late = state.lock().unwrap().late.take().expect("each request is one that is late");
    (storage, late)
}

/// A family is deleted, and added again, before the first list of a load is made that was cut off.
#[test]
fn a_late_list_is_none_of_a_family_that_was_added_again() {
    let found = (0..).find_map(|n| match late_at(n) {
        (storage, Request::Put(list)) if list.path().ends_with("f/.filelist/f1.1") => Some((storage, list)),
        _ => None,
    });
    let (storage, mut list) = found.unwrap();
    let alter = |changes: TableChanges| Table::alter(ROOT, "t", &changes, &options(&storage));
    let lists = || {
        let mut names = storage.names();
        names.retain(|path| path.parent().is_some_and(|dir| dir.ends_with("f/.filelist")));
        names
    };
    assert_eq!(alter(TableChanges::new().delete_family("f")).unwrap_err().kind(), ErrorKind::Unsupported);
    // The load is given up.
    for record in records(&storage) {
        storage.remove(&record).unwrap();
    }
    alter(TableChanges::new().delete_family("f")).unwrap();
    let made = lists();
    assert!(made.len() == 3 && made.iter().all(|path| path.ends_with("f1.1")), "{made:?}");
    for _ in 0..2 {
        let again = alter(TableChanges::new().delete_family("f")).unwrap_err();
        assert_eq!(again.kind(), ErrorKind::NoSuchFamily);
    }
    alter(TableChanges::new().family(Family::new("f").configuration(TRACKER, "FILE"))).unwrap();
    assert_eq!(lists(), made, "lists that nothing needs");
    assert_eq!(list.sync().unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    let table = open(&storage);
    assert!(rows(&table).iter().all(|cell| cell.contains("/g=")), "{:?}", rows(&table));
    table.bulk_load(INPUT).unwrap();
    assert_eq!(rows(&table), expected());
    table.close().unwrap();
    assert_eq!(rows(&open(&storage)), expected());
}

/// A family is deleted before a record says that files are about to be those of the family. The deletion is
/// cut off, and repeated.
#[test]
fn a_late_record_is_none_of_a_family_that_was_deleted() {
    let is_of_files = |(storage, late): &(FaultyStorage, Request)| {
        matches!(late, Request::Put(file) if file.path().ends_with(RECORD)) && !records(storage).is_empty()
    };
    let at = (0..).find(|n| is_of_files(&late_at(*n))).unwrap();
    for n in (0..).step_by(7) {
        let (storage, late) = late_at(at);
        let Request::Put(mut record) = late else { unreachable!("it is the same each time") };
        let alter = |changes: TableChanges| Table::alter(ROOT, "t", &changes, &options(&storage));
        let without_f = || alter(TableChanges::new().delete_family("f"));
        storage.die_after(n);
        let altered = without_f();
        let has_died = storage.has_died();
        storage.heal();
        let shown = format!("call {n}: {altered:?}");
        if has_died && let Err(error) = without_f() {
            assert_eq!(error.kind(), ErrorKind::NoSuchFamily, "{shown}");
        }
        assert_eq!(record.sync().unwrap_err().kind(), io::ErrorKind::AlreadyExists, "{shown}");
        let table = open(&storage);
        table.split("c").unwrap_or_else(|error| panic!("{shown}: {error}"));
        table.close().unwrap();
        alter(TableChanges::new().family(Family::new("f").configuration(TRACKER, "FILE"))).unwrap();
        let table = open(&storage);
        table.bulk_load(INPUT).unwrap_or_else(|error| panic!("{shown}: {error}"));
        assert_eq!((rows(&table), recorded(&storage)), (expected(), 0), "{shown}");
        if !has_died {
            altered.unwrap();
            break;
        }
    }
}

/// Returns a storage where the load of the input was cut off, at each call for which `is_wanted`.
fn cut_off(is_wanted: impl Fn(&FaultyStorage) -> bool) -> FaultyStorage {
    for n in 0.. {
        let storage = world();
        let table = open(&storage);
        for row in ["a", "m", "x"] {
            table.region(row).unwrap();
        }
        storage.die_after(n);
        let loaded = table.bulk_load(INPUT);
        let storage = storage.after(Crash::OfTheProcess);
        drop(table);
        if is_wanted(&storage) {
            return storage;
        }
        assert!(loaded.is_err(), "no such call");
    }
    unreachable!("an endless loop")
}

/// Returns the rows without opening the table for writing.
fn seen(storage: &FaultyStorage) -> Vec<String> {
    rows(&Table::open_with(ROOT, "t", options(storage)).unwrap())
}

/// All is loaded, and nothing is removed yet.
fn all_loaded(storage: &FaultyStorage) -> bool {
    seen(storage) == expected() && left(storage).len() == 6 && recorded(storage) == 5
}

#[test]
fn a_loaded_file_that_has_changed_is_another_one() {
    let storage = cut_off(all_loaded);
    write(&storage, "/input/g/0b", &["b", "c"]);
    write(&storage, "/input/f/new", &["y"]);
    let table = open(&storage);
    delete(&table, &rows(&table));
    assert_eq!(table.bulk_load(INPUT).unwrap().loaded, 2);
    assert_eq!(rows(&table), ["b/g=/input/g/0b", "c/g=/input/g/0b", "y/f=/input/f/new"]);
    assert!(is_removed(&storage) && recorded(&storage) == 0);
}

/// A file that was removed by others is forgotten, so that it can be loaded when it is there again.
#[test]
fn a_loaded_file_that_is_gone_is_forgotten() {
    let storage = cut_off(all_loaded);
    let bytes = storage.bytes(Path::new("/input/g/0b")).unwrap();
    storage.remove(Path::new("/input/g/0b")).unwrap();
    let table = open(&storage);
    delete(&table, &rows(&table));
    assert_eq!(table.bulk_load(INPUT).unwrap().loaded, 0);
    assert_eq!(rows(&table), [""; 0]);
    assert_eq!(recorded(&storage), 0);
    let mut file = storage.create(Path::new("/input/g/0b")).unwrap();
    file.write_all(&bytes).unwrap();
    file.sync().unwrap();
    assert_eq!(table.bulk_load(INPUT).unwrap().loaded, 1);
    assert_eq!(rows(&table), ["b/g=/input/g/0b"]);
}

/// A load that was cut off when only the records were left of it: there is no directory without files.
fn without_directory() -> FaultyStorage {
    let storage = cut_off(|storage| is_removed(storage) && recorded(storage) > 0);
    left(&storage).iter().for_each(|path| storage.remove(&Path::new(INPUT).join(path)).unwrap());
    for dir in ["f", "g", "_SUCCESS", ""] {
        storage.remove_dir(&Path::new(INPUT).join(dir)).unwrap();
    }
    storage
}

#[test]
fn a_load_whose_directory_is_gone_is_repeated() {
    let storage = without_directory();
    let table = open(&storage);
    delete(&table, &expected());
    let missing = [table.bulk_load("/never"), table.bulk_load("/inp"), table.bulk_load_copies(INPUT)];
    assert!(missing.iter().all(|load| load.as_ref().is_err_and(Error::is_not_found)), "{missing:?}");
    assert_eq!(table.bulk_load(INPUT).unwrap().loaded, 0);
    assert_eq!((rows(&table).len(), recorded(&storage)), (0, 0));
    assert!(table.bulk_load(INPUT).unwrap_err().is_not_found(), "it is complete");
}

/// Other loads do not forget what was loaded.
#[test]
fn a_load_whose_directory_is_gone_is_repeated_after_others() {
    let storage = without_directory();
    let recorded_before = recorded(&storage);
    let table = open(&storage);
    delete(&table, &expected());
    write(&storage, "/other/f/0d", &["c"]);
    write(&storage, "/another/g/0e", &["c"]);
    assert_eq!(table.bulk_load("/other").unwrap().loaded, 1);
    table.region("c").unwrap().bulk_load(&[("g", "/another/g/0e")]).unwrap();
    assert_eq!(recorded(&storage), recorded_before);
    assert_eq!(table.bulk_load(INPUT).unwrap().loaded, 0);
    assert_eq!(rows(&table), ["c/f=/other/f/0d", "c/g=/another/g/0e"]);
    assert_eq!(recorded(&storage), 0);
}

/// The files of a list are removed one after the other.
#[test]
fn a_load_into_a_region_is_repeated_after_files_were_removed() {
    let files = [("f", "/other/f/0d"), ("g", "/other/g/0e")];
    let all = files.map(|(family, path)| format!("c/{family}={path}"));
    let mut removed = 0;
    for n in 0.. {
        let storage = world();
        files.iter().for_each(|(_, path)| write(&storage, path, &["c"]));
        let table = open(&storage);
        let region = table.region("c").unwrap();
        storage.die_after(n);
        let loaded = region.bulk_load(&files);
        let storage = storage.after(Crash::OfTheProcess);
        drop((region, table));
        let shown = format!("call {n}: {loaded:?}");
        let is_left = files.iter().any(|(_, path)| storage.bytes(Path::new(path)).is_some());
        removed += usize::from(loaded.is_err() && storage.bytes(Path::new(files[0].1)).is_none());
        let table = open(&storage);
        let seen = rows(&table);
        assert!(loaded.is_err() || seen == all, "{shown}: {seen:?}");
        delete(&table, &seen);
        let again = table.region("c").unwrap().bulk_load(&files);
        assert_eq!(recorded(&storage), 0, "{shown}");
        if loaded.is_ok() {
            assert!(again.unwrap_err().is_not_found() && !is_left, "{shown}");
            break;
        }
        again.unwrap_or_else(|error| panic!("{shown}: {error}"));
        let expected: Vec<String> = all.iter().filter(|cell| !seen.contains(cell)).cloned().collect();
        assert_eq!(rows(&table), expected, "{shown}");
    }
    assert!(removed > 2, "{removed}");
}

/// Its daughters would not know that the files were loaded.
#[test]
fn a_region_is_not_split_before_the_load_is_repeated() {
    let storage = cut_off(all_loaded);
    let table = open(&storage);
    let error = table.split("c").unwrap_err();
    assert!(error.to_string().contains(RECORD), "{error}");
    let regions = table.regions();
    let error = table.merge(&regions[0], &regions[1]).unwrap_err();
    assert!(error.to_string().contains(RECORD), "{error}");
    // Another load does not matter.
    write(&storage, "/other/f/0a", &["c"]);
    assert_eq!(table.bulk_load("/other").unwrap().loaded, 1);
    table.split("c").unwrap_err();
    assert_eq!(table.bulk_load(INPUT).unwrap().loaded, 0);
    table.split("c").unwrap();
    assert_eq!(rows(&table).len(), expected().len() + 1);
}

/// The empty regions would not know that the files were loaded, and a repeated load would load them again.
#[test]
fn a_table_is_not_truncated_before_the_load_is_repeated() {
    let storage = cut_off(all_loaded);
    let refused = |done: hregion::Result<()>| {
        let error = done.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.to_string().contains(RECORD) && error.to_string().contains("load it again"), "{error}");
    };
    let truncate = |preserve| Table::truncate(ROOT, "t", preserve, &options(&storage));
    let alter = |changes: TableChanges| Table::alter(ROOT, "t", &changes, &options(&storage));
    let without = |name: &str| TableChanges::new().delete_family(name.to_owned());
    // Replays what there is to be replayed, and keeps the records.
    let table = open(&storage);
    assert_eq!(rows(&table), expected());
    table.close().unwrap();
    for preserve in [true, false] {
        refused(truncate(preserve));
    }
    for family in ["f", "g"] {
        refused(alter(without(family)));
    }
    assert_eq!((seen(&storage), recorded(&storage)), (expected(), 5));
    // Other alterations go on, and so does the deletion of a family that got no files.
    let added = Family::new("h").configuration(TRACKER, "FILE");
    alter(TableChanges::new().family(added).set("DURABILITY", "SYNC_WAL")).unwrap();
    alter(without("h")).unwrap();
    assert_eq!((seen(&storage), recorded(&storage)), (expected(), 5));
    // The load is repeated.
    let table = open(&storage);
    delete(&table, &expected()[..1]);
    assert_eq!(table.bulk_load(INPUT).unwrap().loaded, 0);
    assert_eq!(rows(&table)[..], expected()[1..]);
    table.close().unwrap();
    assert!(is_removed(&storage));
    alter(without("g")).unwrap();
    truncate(true).unwrap();
    assert_eq!(rows(&open(&storage)), [""; 0]);
}

/// A file that is there again, after a load of it was given up, does not matter to a family that is gone.
#[test]
fn what_was_loaded_is_forgotten_with_the_family() {
    let storage = cut_off(all_loaded);
    // Finds out which copies are listed.
    let table = open(&storage);
    assert_eq!(rows(&table), expected());
    table.close().unwrap();
    let files: Vec<PathBuf> = left(&storage).iter().map(|path| Path::new(INPUT).join(path)).collect();
    let bytes: Vec<Vec<u8>> = files.iter().map(|path| storage.bytes(path).unwrap()).collect();
    files.iter().for_each(|path| storage.remove(path).unwrap());
    for name in ["f", "g"] {
        let added = Family::new("h").configuration(TRACKER, "FILE");
        let changes = TableChanges::new().delete_family(name);
        let changes = if name == "g" { changes.family(added) } else { changes };
        Table::alter(ROOT, "t", &changes, &options(&storage)).unwrap();
    }
    assert_eq!(recorded(&storage), 0);
    for (path, bytes) in files.iter().zip(bytes) {
        let mut file = storage.create(path).unwrap();
        file.write_all(&bytes).unwrap();
        file.sync().unwrap();
    }
    let table = open(&storage);
    table.split("c").unwrap();
    assert_eq!(rows(&table), [""; 0]);
}

/// Also if it is not known yet which copies are listed, or the record cannot be read.
#[test]
fn a_table_with_any_record_of_a_load_is_not_truncated() {
    let is_pending = |storage: &FaultyStorage| {
        let is_number =
            |line: &str| line.split('\t').next().is_some_and(|first| first.parse::<u64>().is_ok());
        records(storage).iter().any(|path| {
            let text = String::from_utf8(storage.bytes(path).unwrap()).unwrap();
            text.lines().any(is_number)
        })
    };
    let storage = cut_off(is_pending);
    let truncate = || Table::truncate(ROOT, "t", true, &options(&storage));
    let error = truncate().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    for record in records(&storage) {
        let mut file = storage.create(&record).unwrap();
        file.write_all(b"damaged").unwrap();
        file.sync().unwrap();
    }
    let error = truncate().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.path().is_some_and(|path| path.ends_with(RECORD)), "{error}");
    // Given up: the files are loaded into the empty table then.
    for record in records(&storage) {
        storage.remove(&record).unwrap();
    }
    truncate().unwrap();
    let table = open(&storage);
    assert_eq!(rows(&table), [""; 0]);
    assert_eq!(table.bulk_load(INPUT).unwrap().loaded, 5);
    assert_eq!(rows(&table), expected());
}

/// What was copied cannot be loaded again then.
#[test]
fn a_table_is_truncated_when_the_files_of_a_load_are_gone() {
    let storage = cut_off(all_loaded);
    // Finds out which copies are listed.
    let table = open(&storage);
    assert_eq!(rows(&table), expected());
    table.close().unwrap();
    for path in left(&storage) {
        storage.remove(&Path::new(INPUT).join(path)).unwrap();
    }
    Table::truncate(ROOT, "t", false, &options(&storage)).unwrap();
    assert_eq!(rows(&open(&storage)), [""; 0]);
}

/// A new table of the name is another one.
#[test]
fn a_table_is_deleted_before_the_load_is_repeated() {
    let storage = cut_off(all_loaded);
    Table::delete_table(ROOT, "t", &options(&storage)).unwrap();
    assert_eq!(records(&storage).len(), 0);
    let family = |name: &str| Family::new(name.to_owned()).configuration(TRACKER, "FILE");
    let families = [family("f"), family("g")];
    let table = Table::create_with(ROOT, "t", &families, &["m", "x"], options(&storage)).unwrap();
    assert_eq!(table.bulk_load(INPUT).unwrap().loaded, 5);
    assert_eq!(rows(&table), expected());
}

/// A region can be opened, and its record is an error when files are loaded.
#[test]
fn a_damaged_record_is_an_error() {
    let storage = cut_off(all_loaded);
    let record = records(&storage).remove(0);
    let sound = storage.bytes(&record).unwrap();
    let put = |bytes: &[u8]| {
        let mut file = storage.create(&record).unwrap();
        file.write_all(bytes).unwrap();
        file.sync().unwrap();
    };
    let mut bytes = sound.clone();
    bytes[sound.len() / 2] ^= 1;
    put(&bytes);
    let table = open(&storage);
    table.put(Put::new("a").cell("f", "q", "1")).unwrap();
    let error = table.bulk_load(INPUT).unwrap_err();
    let path = Path::new("/").join(&record);
    assert_eq!((error.kind(), error.path()), (ErrorKind::Corrupt, Some(&*path)), "{error}");
    table.close().unwrap();
    assert_eq!(storage.bytes(&record), Some(bytes));
    put(&sound);
    assert_eq!(open(&storage).bulk_load(INPUT).unwrap().loaded, 0);
}

/// A program that does not know the record may have compacted the files of a load that was cut off.
#[test]
fn a_load_is_not_repeated_if_nobody_knows_what_was_loaded() {
    let storage = cut_off(|storage| {
        let is_pending = |path: &PathBuf| {
            let text = String::from_utf8(storage.bytes(path).unwrap()).unwrap();
            text.lines().any(|line| line.split('\t').next().is_some_and(|first| first.parse::<u64>().is_ok()))
        };
        records(storage).iter().any(is_pending) && seen(storage).contains(&"a/f=/input/f/0a".to_owned())
    });
    let record = records(&storage).remove(0);
    let bytes = storage.bytes(&record).unwrap();
    storage.remove(&record).unwrap();
    let table = open(&storage);
    table.put(Put::new("d").cell("f", "q", "1").cell("g", "q", "1")).unwrap();
    delete(&table, &["a/f=".to_owned(), "b/f=".to_owned()]);
    table.close().unwrap();
    let mut file = storage.create(&record).unwrap();
    file.write_all(&bytes).unwrap();
    file.sync().unwrap();
    let table = open(&storage);
    let error = table.bulk_load(INPUT).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.to_string().contains("it is not known whether") && error.to_string().contains(RECORD));
    table.split("c").unwrap_err();
    let before = rows(&table);
    assert!(!before.iter().any(|cell| cell.starts_with("a/f")), "{before:?}");
    storage.remove(&record).unwrap();
    table.bulk_load(INPUT).unwrap();
    assert_eq!(rows(&table).iter().filter(|cell| cell.contains("/input/")).count(), expected().len());
}

/// The files stay. A call that is repeated after a failure loads what is left, and one after a success all.
#[test]
fn files_that_are_kept_are_loaded_again() {
    let storage = world();
    let (table, input) = (open(&storage), left(&storage));
    for _ in 0..2 {
        assert_eq!(table.bulk_load_copies(INPUT).unwrap().loaded, 5);
        assert_eq!((rows(&table), left(&storage)), (expected(), input.clone()));
        delete(&table, &expected());
    }
    table.close().unwrap();
    for n in (0..).step_by(5) {
        let shown = format!("call {n}");
        let storage = world();
        let table = open(&storage);
        storage.die_after(n);
        let loaded = table.bulk_load_copies(INPUT);
        let storage = storage.after(Crash::OfTheProcess);
        drop(table);
        let table = open(&storage);
        let (all, seen) = (expected(), rows(&table));
        assert!(loaded.is_err() || seen == all, "{shown}");
        if loaded.is_ok() || recorded(&storage) == 0 && seen == all {
            break;
        }
        let is_ending = seen == all && recorded(&storage) < 5;
        delete(&table, &seen);
        table.bulk_load_copies(INPUT).unwrap_or_else(|error| panic!("{shown}: {error}"));
        let expected: Vec<String> = all.into_iter().filter(|cell| !seen.contains(cell)).collect();
        assert!(is_ending || rows(&table) == expected, "{shown}: {:?}", rows(&table));
        assert_eq!((left(&storage), recorded(&storage)), (input.clone(), 0), "{shown}");
    }
    let renames = super::world();
    let error = open(&renames).bulk_load_copies(INPUT).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}

/// A storage on which something happens when the first file of a load is created.
struct Hooked {
    files: FaultyStorage,
    hook: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl std::fmt::Debug for Hooked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hooked").finish_non_exhaustive()
    }
}

impl Storage for Hooked {
    forward!(files: open create create_log rename hard_link remove remove_dir sync_file sync_dir);
    forward!(files: list_dir create_dir_all lock optional);

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        let is_load = path.to_string_lossy().contains("_SeqId_");
        // It writes files, too.
        let hook = self.hook.lock().unwrap().take_if(|_| is_load);
        if let Some(hook) = hook {
            hook();
        }
        self.files.create_new(path)
    }
}

/// What is written and flushed while files are copied is newer than they are, and what was written before is
/// not, whenever it is compacted.
#[test]
fn files_are_not_compacted_while_others_are_copied() {
    let files = world();
    let storage = Arc::new(Hooked { files: files.clone(), hook: Mutex::new(None) });
    let new = |storage: &Arc<Hooked>| -> RegionOptions {
        Region::options().storage(Arc::clone(storage) as _).compaction_enabled(false)
    };
    let table = Table::open_with(ROOT, "t", new(&storage).writable(true)).unwrap();
    let put = |region: &Region, row: &str, value: &str| {
        region.put(Put::new(row.to_owned()).cell_at("f", "q", 1, value.to_owned())).unwrap();
        region.flush().unwrap();
    };
    let region = table.region("a").unwrap();
    put(&region, "a", "before");
    let (later, done): (Region, Receiver<Error>) = {
        let (send, done) = channel::<Error>();
        let of_hook = region.clone();
        *storage.hook.lock().unwrap() = Some(Box::new(move || {
            put(&of_hook, "b", "meanwhile");
            std::thread::spawn(move || {
                if let Err(error) = of_hook.compact(Compaction::Major) {
                    send.send(error).unwrap();
                }
            });
            std::thread::sleep(Duration::from_millis(200));
        }));
        (region.clone(), done)
    };
    table.bulk_load(INPUT).unwrap();
    // The sender is dropped when the compaction has ended.
    assert!(done.recv().is_err(), "the compaction waits, and succeeds");
    for _ in 0..2 {
        let seen = rows(&table);
        assert_eq!(seen[..3], ["a/f=/input/f/0a", "b/f=meanwhile", "b/g=/input/g/0b"], "{seen:?}");
        later.compact(Compaction::Major).unwrap();
    }
    assert_eq!(later.store_file_names("f").unwrap().len(), 1);
}

/// Nothing may be left of a copy that was refused, and the error is that of the first cause.
#[test]
fn a_copy_that_fails_leaves_nothing() {
    let storage = world();
    let table = open(&storage);
    let before = storage.names();
    storage.break_calls(Call::Write);
    table.bulk_load(INPUT).unwrap_err();
    storage.repair();
    assert_eq!(storage.names(), before);
    storage.stick("/input/f/part-0");
    let error = table.bulk_load(INPUT).unwrap_err();
    assert_eq!(error.path(), Some(Path::new("/input/f/part-0")), "{error}");
    assert_eq!(rows(&table), expected());
    delete(&table, &expected());
    storage.repair();
    assert_eq!(table.bulk_load(INPUT).unwrap().loaded, 0);
    assert_eq!(rows(&table), [""; 0]);
    assert!(is_removed(&storage));
}

/// The cells of files that keep their sequence ids, and of parts of them.
#[test]
fn copies_keep_sequence_ids() {
    let storage = world();
    let table = open(&storage);
    let region = table.region("a").unwrap();
    for (path, rows) in [("/kept/f/0a", &["a", "n"][..]), ("/kept/f/0b", &["b"])] {
        let mut writer = region.bulk_load_writer("f", path).unwrap();
        for row in rows {
            let key = SeekKey::of(row.as_bytes(), b"f", b"q", 1, CellType::Put);
            writer.append(CellRef::new(&key, path.as_bytes()).with_seq_id(1 << 40)).unwrap();
        }
        writer.finish(&origin(true)).unwrap();
    }
    assert_eq!(table.bulk_load("/kept").unwrap().loaded, 3);
    for row in ["a", "b", "n"] {
        table.put(Put::new(row).cell_at("f", "q", 1, "later")).unwrap();
    }
    let expected = ["a/f=later", "b/f=later", "n/f=later"];
    assert_eq!(rows(&table), expected);
    let storage = storage.after(Crash::OfTheProcess);
    std::mem::forget((region, table));
    assert_eq!(rows(&open(&storage)), expected);
}

/// The files of a table whose descriptor says that it takes no data stay.
#[test]
fn a_table_that_takes_no_data_leaves_the_input() {
    let files = FaultyStorage::new();
    let family = Family::new("f").configuration(TRACKER, "FILE");
    let none: [&str; 0] = [];
    Table::create_with(ROOT, "t", &[family], &none, options(&files)).unwrap().close().unwrap();
    let changes = TableChanges::new().set("READONLY", "true");
    Table::alter(ROOT, "t", &changes, &options(&files)).unwrap();
    let objects = FaultyStorage::new();
    objects.has_objects();
    for path in files.names() {
        let path = Path::new("/").join(path);
        let mut file = objects.create(&path).unwrap();
        file.write_all(&files.bytes(&path).unwrap()).unwrap();
        file.sync().unwrap();
    }
    write(&objects, "/input/f/0a", &["a"]);
    let table = open(&objects);
    let error = table.bulk_load(INPUT).unwrap_err();
    assert!(error.to_string().contains("READONLY"), "{error}");
    assert_eq!((rows(&table).len(), left(&objects)), (0, vec![PathBuf::from("f/0a")]));
}
