//! Bulk loads in an object store: files are copied, and loaded once whatever fails.

mod late;
mod records;

use super::{INPUT, ROOT, expected, left, open, open_copy, options, origin, rows, write};
use crate::support::crashes::one_in;
use crate::support::files::write_synced;
use crate::support::forward::forward;
use crate::support::trackers::with_list;
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

pub(super) const RECORD: &str = ".loaded";

/// As [`super::world`], in an object store.
pub(super) fn world() -> FaultyStorage {
    let storage = FaultyStorage::new();
    storage.has_objects();
    let families = [Family::new("f"), Family::new("g")].map(with_list);
    Table::create_with(ROOT, "t", &families, &["m", "x"], options(&storage)).unwrap().close().unwrap();
    write(&storage, "/input/f/0a", &super::ROWS);
    write(&storage, "/input/f/part-0", &["m", "n"]);
    write(&storage, "/input/g/0b", &["b"]);
    write(&storage, "/input/g/0c", &[]);
    write(&storage, "/input/g/_ignored", &super::ROWS);
    write(&storage, "/input/_SUCCESS/x", &super::ROWS);
    storage
}

/// The names of the input that remain after a complete load.
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

/// Deletes cells, and removes every trace of them.
pub(super) fn delete(table: &Table, cells: &[String]) {
    for cell in cells {
        let (row, rest) = cell.split_once('/').unwrap();
        let family = rest.split_once('=').unwrap().0;
        table.delete(Delete::new(row.to_owned()).family(family.to_owned())).unwrap();
    }
    table.flush().unwrap();
    table.compact(Compaction::Major).unwrap();
}

/// Loads until a load succeeds: a process that is taken for dead may make one attempt fail.
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

/// Checks a table whose load was cut off: each cell is loaded once, even if it was deleted before the load is
/// repeated. `late` is called after the table was opened.
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
    // Later writes are newer than the loaded cells, and earlier writes are older.
    table.put(Put::new("a").cell_at("f", "q", 1, "later")).unwrap();
    assert_eq!(rows(&table)[0], "a/f=later");
    table.close().unwrap();
    let table = open(&storage);
    assert_eq!(rows(&table)[1..], expected()[1..]);
    let again = table.bulk_load(INPUT).unwrap();
    assert_eq!((again.loaded, again.split.len()), (0, 0));
    // New files with the same names are different files.
    write(&storage, "/input/f/0a", &["a"]);
    assert_eq!(table.bulk_load(INPUT).unwrap().loaded, 1);
    assert_eq!(rows(&table)[0], "a/f=/input/f/0a");
    // A load into a single region, with files of two families.
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
    // A file of another family than its directory.
    let mut bytes = storage.bytes(Path::new("/input/g/0b")).unwrap();
    storage.create_dir_all(Path::new("/wrong/f")).unwrap();
    let put = |path: &str, bytes: &[u8]| write_synced(&storage, Path::new(path), bytes);
    put("/wrong/f/0a", &bytes);
    check("/wrong", ErrorKind::InvalidArgument);
    // Damage in a block that is read only by verification.
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

/// Each call that changes something fails, either alone or with all later ones, as if the process had been
/// killed.
fn each_call_fails(step: usize) {
    let (unchanged, mut deaths) = (world(), 0);
    for is_death in [false, true] {
        for n in one_in(step) {
            let shown = format!("call {n}, death: {is_death}");
            let (storage, table) = open_copy(&unchanged);
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

/// The same process repeats the call, if the region accepts writes.
#[test]
fn a_failing_load_is_repeated_by_its_process() {
    let (before, mut poisoned) = (world(), 0);
    for (n, loses_answer) in one_in(2).flat_map(|n| [(n, false), (n, true)]) {
        let shown = format!("call {n}, its answer is lost: {loses_answer}");
        let (storage, table) = open_copy(&before);
        storage.lose_answers(loses_answer);
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

/// A storage that calls a hook when the first file of a load is created.
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
        // The hook writes files too.
        let hook = self.hook.lock().unwrap().take_if(|_| is_load);
        if let Some(hook) = hook {
            hook();
        }
        self.files.create_new(path)
    }
}

/// Writes and flushes during the copying of files are newer than the files, and earlier writes are older,
/// whenever they are compacted.
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

/// A refused copy leaves nothing, and the error is the first one.
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

/// Copies keep the sequence ids of cells, also those of parts of files.
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

/// The input of a table whose descriptor refuses data is left in place.
#[test]
fn a_table_that_takes_no_data_leaves_the_input() {
    let files = FaultyStorage::new();
    let family = with_list(Family::new("f"));
    let none: [&str; 0] = [];
    Table::create_with(ROOT, "t", &[family], &none, options(&files)).unwrap().close().unwrap();
    let changes = TableChanges::new().set("READONLY", "true");
    Table::alter(ROOT, "t", &changes, &options(&files)).unwrap();
    let objects = FaultyStorage::new();
    objects.has_objects();
    for path in files.names() {
        let path = Path::new("/").join(path);
        write_synced(&objects, &path, &files.bytes(&path).unwrap());
    }
    write(&objects, "/input/f/0a", &["a"]);
    let table = open(&objects);
    let error = table.bulk_load(INPUT).unwrap_err();
    assert!(error.to_string().contains("READONLY"), "{error}");
    assert_eq!((rows(&table).len(), left(&objects)), (0, vec![PathBuf::from("f/0a")]));
}
