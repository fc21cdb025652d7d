//! Loads that were cut off: the records of loaded files.

use super::super::{INPUT, ROOT, expected, left, open, open_regions, options, rows, write};
use super::{RECORD, delete, is_removed, recorded, records, world};
use crate::support::crashes::one_in;
use crate::support::files::write_synced;
use crate::support::trackers::with_list;
use hregion::io::Storage;
use hregion::io::faulty::{Crash, FaultyStorage};
use hregion::{Error, ErrorKind, Family, Put, Table, TableChanges};
use std::path::{Path, PathBuf};

/// Returns a storage where the load of the input was cut off, for each call that satisfies `is_wanted`.
fn cut_off(is_wanted: impl Fn(&FaultyStorage) -> bool) -> FaultyStorage {
    for n in 0.. {
        let storage = world();
        let table = open(&storage);
        open_regions(&table);
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

/// Whether all is loaded, and nothing is removed yet.
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

/// A file that was removed by another process is forgotten, so that it can be loaded when it exists again.
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
    write_synced(&storage, Path::new("/input/g/0b"), &bytes);
    assert_eq!(table.bulk_load(INPUT).unwrap().loaded, 1);
    assert_eq!(rows(&table), ["b/g=/input/g/0b"]);
}

/// A load that was cut off when only its records remained, without the directory of its files.
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

/// Other loads keep the records of loaded files.
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

/// The daughters would have no record of the loaded files.
#[test]
fn a_region_is_not_split_before_the_load_is_repeated() {
    let storage = cut_off(all_loaded);
    let table = open(&storage);
    let error = table.split("c").unwrap_err();
    assert!(error.to_string().contains(RECORD), "{error}");
    let regions = table.regions();
    let error = table.merge(&regions[0], &regions[1]).unwrap_err();
    assert!(error.to_string().contains(RECORD), "{error}");
    // A load of other files does not prevent the split.
    write(&storage, "/other/f/0a", &["c"]);
    assert_eq!(table.bulk_load("/other").unwrap().loaded, 1);
    table.split("c").unwrap_err();
    assert_eq!(table.bulk_load(INPUT).unwrap().loaded, 0);
    table.split("c").unwrap();
    assert_eq!(rows(&table).len(), expected().len() + 1);
}

/// The empty regions would have no record of the loaded files, and a repeated load would load them again.
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
    // Replays the logs, and keeps the records.
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
    // Other alterations succeed, and so does the deletion of a family without loaded files.
    let added = with_list(Family::new("h"));
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

/// A file that exists again after its load was abandoned does not affect a deleted family.
#[test]
fn what_was_loaded_is_forgotten_with_the_family() {
    let storage = cut_off(all_loaded);
    // Determines which copies are listed.
    let table = open(&storage);
    assert_eq!(rows(&table), expected());
    table.close().unwrap();
    let files: Vec<PathBuf> = left(&storage).iter().map(|path| Path::new(INPUT).join(path)).collect();
    let bytes: Vec<Vec<u8>> = files.iter().map(|path| storage.bytes(path).unwrap()).collect();
    files.iter().for_each(|path| storage.remove(path).unwrap());
    for name in ["f", "g"] {
        let added = with_list(Family::new("h"));
        let changes = TableChanges::new().delete_family(name);
        let changes = if name == "g" { changes.family(added) } else { changes };
        Table::alter(ROOT, "t", &changes, &options(&storage)).unwrap();
    }
    assert_eq!(recorded(&storage), 0);
    for (path, bytes) in files.iter().zip(bytes) {
        write_synced(&storage, path, &bytes);
    }
    let table = open(&storage);
    table.split("c").unwrap();
    assert_eq!(rows(&table), [""; 0]);
}

/// Even if the listed copies are not known yet, or the record cannot be read.
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
        write_synced(&storage, &record, b"damaged");
    }
    let error = truncate().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.path().is_some_and(|path| path.ends_with(RECORD)), "{error}");
    // The load is abandoned: the files are loaded into the empty table.
    for record in records(&storage) {
        storage.remove(&record).unwrap();
    }
    truncate().unwrap();
    let table = open(&storage);
    assert_eq!(rows(&table), [""; 0]);
    assert_eq!(table.bulk_load(INPUT).unwrap().loaded, 5);
    assert_eq!(rows(&table), expected());
}

/// The copied files cannot be loaded again then.
#[test]
fn a_table_is_truncated_when_the_files_of_a_load_are_gone() {
    let storage = cut_off(all_loaded);
    // Determines which copies are listed.
    let table = open(&storage);
    assert_eq!(rows(&table), expected());
    table.close().unwrap();
    for path in left(&storage) {
        storage.remove(&Path::new(INPUT).join(path)).unwrap();
    }
    Table::truncate(ROOT, "t", false, &options(&storage)).unwrap();
    assert_eq!(rows(&open(&storage)), [""; 0]);
}

/// A new table of the same name is a different table.
#[test]
fn a_table_is_deleted_before_the_load_is_repeated() {
    let storage = cut_off(all_loaded);
    Table::delete_table(ROOT, "t", &options(&storage)).unwrap();
    assert_eq!(records(&storage).len(), 0);
    let families = [Family::new("f"), Family::new("g")].map(with_list);
    let table = Table::create_with(ROOT, "t", &families, &["m", "x"], options(&storage)).unwrap();
    assert_eq!(table.bulk_load(INPUT).unwrap().loaded, 5);
    assert_eq!(rows(&table), expected());
}

/// The region can be opened, but loading files fails with an error for the record.
#[test]
fn a_damaged_record_is_an_error() {
    let storage = cut_off(all_loaded);
    let record = records(&storage).remove(0);
    let sound = storage.bytes(&record).unwrap();
    let put = |bytes: &[u8]| write_synced(&storage, &record, bytes);
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

/// A program that does not read the record may have compacted the files of a load that was cut off.
#[test]
fn a_load_is_not_repeated_if_no_record_says_what_was_loaded() {
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
    write_synced(&storage, &record, &bytes);
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

/// The input files stay. A call that is repeated after a failure loads the remaining files, and one after a
/// success loads all.
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
    for n in one_in(5) {
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
    let renames = super::super::world();
    let error = open(&renames).bulk_load_copies(INPUT).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}
