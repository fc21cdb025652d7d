//! Bulk loads into tables: HBase's input, and files that span regions.

mod hooks;
mod objects;

use crate::support::files::copy_dir;
use crate::support::forward::forward;
use crate::support::{cells, golden};
use hregion::io::faulty::{Call, Crash, FaultyStorage};
use hregion::io::{LocalStorage, Storage};
use hregion::{
    BloomType, CellRef, CellType, CheckAndMutate, Codec, Compaction, DataBlockEncoding, Delete, ErrorKind,
    Family, Filter, Get, HFile, HFileWriter, Put, Region, RegionOptions, Result, Row, Scan, SeekKey,
    StoreFileOrigin, StoreFileWriter, Table, TableChanges,
};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::{fs, io};

const ROOT: &str = "/hbase";
const INPUT: &str = "/input";
const ROWS: [&str; 6] = ["a", "b", "m", "n", "x", "z"];

fn options(storage: &FaultyStorage) -> RegionOptions {
    Region::options().storage(Arc::new(storage.clone()))
}

/// The origin of a file whose cells keep their sequence ids, or not.
fn origin(keeps: bool) -> StoreFileOrigin {
    StoreFileOrigin::BulkLoad {
        timestamp: 7,
        source_task: b"task".to_vec(),
        exclude_from_minor_compaction: false,
        skip_reset_seq_id: keeps,
    }
}

/// Writes a file with a cell for each row, whose value is the path of the file.
fn write(storage: &dyn Storage, path: &str, rows: &[&str]) {
    let file = storage.create(Path::new(path)).unwrap();
    let mut writer = StoreFileWriter::create_in(HFileWriter::options().mvcc(true), file).unwrap();
    let family = Path::new(path).parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
    for row in rows {
        let key = SeekKey::of(row.as_bytes(), family.as_bytes(), b"q", 1, CellType::Put);
        writer.append(CellRef::new(&key, path.as_bytes())).unwrap();
    }
    writer.finish(&origin(false)).unwrap();
    Path::new(path).ancestors().skip(1).for_each(|dir| storage.sync_dir(dir).unwrap());
}

/// A table of three regions, and an input of three files, of which one spans all regions.
fn world() -> FaultyStorage {
    world_of(&[Family::new("f"), Family::new("g")])
}

/// As [`world`], with the files of the family f, or of both, on lists.
fn world_with_lists(both: bool) -> FaultyStorage {
    let listed =
        |name: &str| Family::new(name.to_owned()).configuration("hbase.store.file-tracker.impl", "FILE");
    world_of(&[listed("f"), if both { listed("g") } else { Family::new("g") }])
}

fn world_of(families: &[Family]) -> FaultyStorage {
    let storage = FaultyStorage::new();
    Table::create_with(ROOT, "t", families, &["m", "x"], options(&storage)).unwrap().close().unwrap();
    write(&storage, "/input/f/0a", &ROWS);
    write(&storage, "/input/f/part-0", &["m", "n"]);
    write(&storage, "/input/g/0b", &["b"]);
    write(&storage, "/input/g/0c", &[]);
    write(&storage, "/input/g/_ignored", &ROWS);
    write(&storage, "/input/_SUCCESS/x", &ROWS);
    storage
}

fn open(storage: &FaultyStorage) -> Table {
    Table::open_with(ROOT, "t", options(storage).writable(true)).unwrap()
}

/// Returns the rows with their families and values.
fn rows(table: &Table) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let rows: Vec<Row> = table.scan(Scan::new()).unwrap().collect::<Result<_>>().unwrap();
    let all = rows.iter().flat_map(Row::cells);
    all.map(|cell| format!("{}/{}={}", text(cell.row()), text(cell.family()), text(cell.value()))).collect()
}

fn expected() -> Vec<String> {
    let value = |row: &str| if row == "m" || row == "n" { "/input/f/part-0" } else { "/input/f/0a" };
    let mut expected: Vec<String> = ROWS.iter().map(|row| format!("{row}/f={}", value(row))).collect();
    expected.insert(2, "b/g=/input/g/0b".to_owned());
    expected
}

/// Returns the names of the input that are left.
fn left(storage: &FaultyStorage) -> Vec<PathBuf> {
    let names = storage.names().into_iter();
    names.filter_map(|path| path.strip_prefix("input").ok().map(Path::to_owned)).collect()
}

#[test]
fn files_that_span_regions_are_split() {
    let storage = world();
    let table = open(&storage);
    let done = table.bulk_load(INPUT).unwrap();
    assert_eq!((done.loaded, done.split, done.skipped.len()), (5, vec![PathBuf::from("/input/f/0a")], 3));
    assert_eq!(rows(&table), expected());
    assert_eq!(left(&storage), ["_SUCCESS/x", "g/0c", "g/_ignored"].map(PathBuf::from));
    assert!(!storage.list_dir(Path::new("/input/f")).unwrap().iter().any(|entry| entry.name == ".tmp"));
    table.close().unwrap();
    assert_eq!(rows(&open(&storage)), expected());
    let again = open(&storage).bulk_load(INPUT).unwrap();
    assert_eq!((again.loaded, again.split.len()), (0, 0));
}

/// Also those that only the family's configuration has.
#[test]
fn parts_of_split_files_have_the_settings_of_the_family() {
    let storage = world();
    let family = Family::new("f").configuration("hbase.hstore.bytes.per.checksum", "4096");
    Table::alter(ROOT, "t", &TableChanges::new().family(family), &options(&storage)).unwrap();
    let table = open(&storage);
    table.bulk_load(INPUT).unwrap();
    for (row, files) in [("a", 1), ("m", 2), ("x", 1)] {
        let paths = table.region(row).unwrap().hfile_paths("f").unwrap();
        assert_eq!(paths.len(), files);
        let of = |path: &PathBuf| {
            let file = HFile::options().storage(Arc::new(storage.clone())).open(path).unwrap();
            file.block(0).unwrap().0.bytes_per_checksum()
        };
        assert!(paths.iter().any(|path| of(path) == Some(4096)), "{row}");
    }
}

#[test]
fn a_read_only_table_leaves_the_input_as_it_is() {
    let storage = world();
    let changes = TableChanges::new().set("READONLY", "true");
    Table::alter(ROOT, "t", &changes, &options(&storage)).unwrap();
    let before = left(&storage);
    let error = open(&storage).bulk_load(INPUT).unwrap_err();
    assert!(error.to_string().contains("READONLY"), "{error}");
    assert_eq!(left(&storage), before);
}

/// Writes a file with the settings of the family f, and loads it.
fn write_and_load(region: &Region, path: &str) -> Result<()> {
    let mut writer = region.bulk_load_writer("f", path)?;
    for row in ROWS {
        let key = SeekKey::of(row.as_bytes(), b"f", b"q", 1, CellType::Put);
        writer.append(CellRef::new(&key, path.as_bytes()))?;
    }
    writer.finish(&origin(false))?;
    region.bulk_load(&[("f", path)])
}

/// Writes a file with a cell that has a sequence id, which it `keeps` or not, and loads it.
fn load_with_seq_id(region: &Region, path: &str, seq_id: i64, keeps: bool) -> Result<()> {
    let mut writer = region.bulk_load_writer("f", path)?;
    let key = SeekKey::of(b"a", b"f", b"q", 1, CellType::Put);
    writer.append(CellRef::new(&key, path.as_bytes()).with_seq_id(seq_id))?;
    writer.finish(&origin(keeps))?;
    region.bulk_load(&[("f", path)])
}

/// A file whose cells keep their sequence ids has one more than the flush before. No write has it, too: it
/// would be taken for one that is in a file.
#[test]
fn a_write_after_a_load_that_keeps_sequence_ids_is_replayed() {
    for seq_id in [0, 1, 3, 1_000] {
        let storage = table_with_settings();
        let table = open(&storage);
        let region = table.region("").unwrap();
        load_with_seq_id(&region, "/input/0a", seq_id, true).unwrap();
        for row in ["b", "c"] {
            region.put(Put::new(row).cell("f", "q", "later")).unwrap();
        }
        let expected = rows(&table);
        assert_eq!(expected, ["a/f=/input/0a", "b/f=later", "c/f=later"], "{seq_id}");
        let left = storage.after(Crash::OfTheProcess);
        std::mem::forget((region, table));
        assert_eq!(rows(&open(&left)), expected, "{seq_id}");
    }
}

/// Cells that keep their sequence ids are visible at once, and older than what is written later, also when
/// the region has been opened again.
#[test]
fn cells_that_keep_great_sequence_ids_hide_no_later_write() {
    let storage = table_with_settings();
    let table = open(&storage);
    let region = table.region("").unwrap();
    load_with_seq_id(&region, "/input/0a", 1_000_000, true).unwrap();
    assert_eq!(rows(&table), ["a/f=/input/0a"]);
    region.put(Put::new("a").cell_at("f", "q", 1, "later")).unwrap();
    assert_eq!(rows(&table), ["a/f=later"]);
    drop(region);
    table.close().unwrap();
    assert_eq!(rows(&open(&storage)), ["a/f=later"]);
}

/// Reads of named columns skip the latest timestamp, which only files written by others have. A value that is
/// written after such a cell was checked gets the time of writing, as in HBase.
#[test]
fn a_conditional_put_does_not_get_the_latest_timestamp() {
    let storage = table_with_settings();
    let table = open(&storage);
    let region = table.region("").unwrap();
    let mut writer = region.bulk_load_writer("f", "/input/0a").unwrap();
    let key = SeekKey::of(b"a", b"f", b"p", i64::MAX, CellType::Put);
    writer.append(CellRef::new(&key, b"loaded")).unwrap();
    writer.finish(&origin(false)).unwrap();
    region.bulk_load(&[("f", "/input/0a")]).unwrap();
    let put = Put::new("a").cell("f", "q", "written");
    let check = CheckAndMutate::if_filter("a", Filter::first_key_only()).then(put);
    assert!(region.check_and_mutate(check).unwrap().success);
    let row = region.get(&Get::new("a").column("f", "q")).unwrap();
    assert_eq!(row.value("f", "q"), Some(&b"written"[..]));
    assert_eq!(rows(&table), ["a/f=loaded", "a/f=written"]);
}

/// A region whose files have sequence ids with too few after them cannot be opened.
#[test]
fn a_load_leaves_a_region_that_can_be_opened() {
    let storage = table_with_settings();
    let table = open(&storage);
    let region = table.region("").unwrap();
    // These are not kept.
    load_with_seq_id(&region, "/input/0a", i64::MAX - 1, false).unwrap();
    for (name, seq_id) in [("0b", i64::MAX), ("0c", i64::MAX >> 1), ("0d", (i64::MAX >> 2) + 1)] {
        let refused = load_with_seq_id(&region, &format!("/input/{name}"), seq_id, true).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidArgument, "{refused}");
        assert!(left(&storage).contains(&PathBuf::from(name)));
    }
    assert_eq!(rows(&table), ["a/f=/input/0a"]);
    load_with_seq_id(&region, "/input/0e", i64::MAX >> 2, true).unwrap();
    region.put(Put::new("b").cell("f", "q", "later")).unwrap();
    let expected = rows(&table);
    assert_eq!(expected, ["a/f=/input/0e", "b/f=later"]);
    drop(region);
    table.close().unwrap();
    assert_eq!(rows(&open(&storage)), expected);
}

/// A table of one region, whose family has settings of its own.
fn table_with_settings() -> FaultyStorage {
    let storage = FaultyStorage::new();
    let family = Family::new("f")
        .data_block_encoding(DataBlockEncoding::FastDiff)
        .codec(Codec::Snappy)
        .bloom(BloomType::RowCol);
    let none: [&str; 0] = [];
    Table::create_with(ROOT, "t", &[family], &none, options(&storage)).unwrap().close().unwrap();
    storage.create_dir_all(Path::new(INPUT)).unwrap();
    storage
}

#[test]
fn files_are_written_with_the_settings_of_a_family() {
    let storage = table_with_settings();
    let table = open(&storage);
    let region = table.region("").unwrap();
    write_and_load(&region, "/input/0a").unwrap();
    let name = region.store_file_names("f").unwrap().remove(0);
    let file = storage.open(&region.path().join("f").join(name)).unwrap();
    let file = HFile::options().open_reader(file).unwrap();
    assert_eq!((file.data_block_encoding(), file.codec()), (DataBlockEncoding::FastDiff, Codec::Snappy));
    assert_eq!(file.general_bloom().map(|bloom| bloom.bloom_type()), Some(BloomType::RowCol));
    assert!(file.has_tags() && file.has_seq_ids());
    assert_eq!(rows(&table), ROWS.map(|row| format!("{row}/f=/input/0a")));
    let unknown = region.bulk_load_writer("g", "/input/0b").unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NoSuchFamily);
    write(&storage, "/input/0c", &ROWS);
    assert_eq!(region.bulk_load_writer("f", "/input/0c").unwrap_err().kind(), ErrorKind::Io);
}

/// HBase reads all files of a cluster that are compressed by ZSTD with one class: framed ones, or bare ones.
#[cfg(feature = "zstd")]
#[test]
fn zstd_files_have_the_form_of_those_that_are_there() {
    let dir = tempfile::tempdir().unwrap();
    let framed = |path: &Path| HFile::options().open(path).unwrap().zstd_framed().unwrap();
    let forms = |region: &Region| -> Vec<Option<bool>> {
        region.hfile_paths("cf").unwrap().iter().map(|path| framed(path)).collect()
    };
    let options = || {
        let family = Family::new("cf").codec(Codec::Zstd);
        Region::options().create_if_missing(true).compaction_enabled(false).family(family)
    };
    let flush = |region: &Region, row: &'static str| {
        region.put(Put::new(row).cell("cf", "q", "v")).unwrap();
        region.flush().unwrap();
    };
    let golden = golden::root("testdata/golden/codec-zstd-jni.hfile");
    assert_eq!(framed(&golden), Some(true));

    // What a server has written decides, whatever the options are.
    let region = options().zstd_framed(false).open(dir.path().join("framed")).unwrap();
    let load = dir.path().join("load");
    fs::copy(&golden, &load).unwrap();
    region.bulk_load(&[("cf", &load)]).unwrap();
    flush(&region, "a");
    assert_eq!(forms(&region), [Some(true); 2]);
    let path = dir.path().join("written");
    let mut writer = region.bulk_load_writer("cf", &path).unwrap();
    let key = SeekKey::of(b"a", b"cf", b"q", 1, CellType::Put);
    writer.append(CellRef::new(&key, b"v")).unwrap();
    writer.finish(&origin(false)).unwrap();
    assert_eq!(framed(&path), Some(true));
    region.compact(Compaction::Major).unwrap();
    assert_eq!(forms(&region), [Some(true)]);

    // The first file has the form of the options, and later ones that of the first.
    let dictionary = fs::read(golden::root("testdata/golden/zstd.dict")).unwrap();
    for (name, first, expected) in [
        ("default", options(), false),
        ("bare", options().zstd_framed(false), false),
        ("new", options().zstd_framed(true), true),
        ("dictionary", options().zstd_dictionary(dictionary), true),
    ] {
        let region = first.open(dir.path().join(name)).unwrap();
        flush(&region, "a");
        region.close().unwrap();
        let region = options().zstd_framed(!expected).open(dir.path().join(name)).unwrap();
        flush(&region, "b");
        assert_eq!(forms(&region), [Some(expected); 2], "{name}");
        region.compact(Compaction::Major).unwrap();
        assert_eq!(forms(&region), [Some(expected)], "{name}");
    }

    // The parts of a file that spans regions have its form, if the regions have no files.
    let root = dir.path().join("root");
    let family = [Family::new("cf").codec(Codec::Zstd)];
    let table = Table::create(&root, "t", &family, &["row-00400"]).unwrap();
    fs::create_dir_all(dir.path().join("input/cf")).unwrap();
    fs::copy(&golden, dir.path().join("input/cf/0a")).unwrap();
    table.bulk_load(dir.path().join("input")).unwrap();
    for start in ["", "row-00400"] {
        assert_eq!(forms(&table.region(start).unwrap()), [Some(true)], "{start}");
    }
}

/// HBase loads the dictionary that a family names with the path; here, it is given.
#[cfg(feature = "zstd")]
#[test]
fn zstd_files_are_written_with_the_dictionary_of_the_family() {
    let dir = tempfile::tempdir().unwrap();
    let dictionary = fs::read(golden::root("testdata/golden/zstd.dict")).unwrap();
    let plain = Family::new("cf").codec(Codec::Zstd);
    let named = plain.clone().configuration("hbase.io.compress.zstd.dictionary", "hdfs:/zstd.dict");
    let options = |family: &Family| {
        Region::options().create_if_missing(true).compaction_enabled(false).family(family.clone())
    };
    let given = |family: &Family| options(family).zstd_dictionary(dictionary.clone());
    let needs_dictionary = |path: &Path| {
        let read = HFile::options().open(path).and_then(|file| file.scanner().seek_to_first().map(drop));
        read.is_err_and(|error| {
            assert!(error.to_string().contains("ZSTD dictionary 786779003"), "{error}");
            true
        })
    };
    let files = |region: &Region| -> Vec<bool> {
        region.hfile_paths("cf").unwrap().iter().map(|path| needs_dictionary(path)).collect()
    };
    let flush = |region: &Region, row: &'static str| {
        region.put(Put::new(row).cell("cf", "q", "v")).unwrap();
        region.flush().unwrap();
    };

    let refused = options(&named).open(dir.path().join("missing")).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    assert!(refused.to_string().contains("hdfs:/zstd.dict"), "{refused}");
    // Zstandard's mark of a dictionary, without the rest.
    let broken = options(&named).zstd_dictionary(dictionary[..12].to_vec());
    let refused = broken.open(dir.path().join("broken")).unwrap_err();
    assert!(refused.to_string().contains("dictionary is invalid"), "{refused}");

    let region = given(&named).open(dir.path().join("named")).unwrap();
    flush(&region, "a");
    flush(&region, "b");
    assert_eq!(files(&region), [true; 2]);
    let path = dir.path().join("written");
    let mut writer = region.bulk_load_writer("cf", &path).unwrap();
    let key = SeekKey::of(b"a", b"cf", b"q", 1, CellType::Put);
    writer.append(CellRef::new(&key, b"v")).unwrap();
    writer.finish(&origin(false)).unwrap();
    assert!(needs_dictionary(&path));
    region.compact(Compaction::Major).unwrap();
    assert_eq!(files(&region), [true]);
    assert_eq!(region.get(&Get::new("b")).unwrap().len(), 1);

    // A family that names none has none.
    let region = given(&plain).open(dir.path().join("plain")).unwrap();
    flush(&region, "a");
    assert_eq!(files(&region), [false]);

    // Files of Hadoop's class have none either, whatever the family names.
    let path = dir.path().join("bare");
    let region = options(&named).zstd_framed(false).open(&path).unwrap();
    flush(&region, "a");
    region.close().unwrap();
    let region = given(&named).open(&path).unwrap();
    flush(&region, "b");
    region.close().unwrap();
    let region = options(&named).open(&path).unwrap();
    flush(&region, "c");
    assert_eq!(files(&region), [false; 3]);
}

/// Whichever call fails, the rows of the file are all there or none, and a repeated call loads them.
#[test]
fn a_file_that_could_not_be_written_is_written_again() {
    for n in 0.. {
        let storage = table_with_settings();
        let table = open(&storage);
        let region = table.region("").unwrap();
        storage.fail_among_all([n]);
        let loaded = write_and_load(&region, "/input/0a");
        if !storage.pending_faults().is_empty() {
            assert!(loaded.is_ok() && n > 10, "{n}");
            return;
        }
        storage.heal();
        let all = |path: &str| ROWS.map(|row| format!("{row}/f={path}"));
        let seen = rows(&table);
        assert!(seen.is_empty() && loaded.is_err() || seen == all("/input/0a"), "call {n}: {seen:?}");
        let closed = table.close();
        assert!(closed.is_ok() || loaded.is_err(), "call {n}");
        drop((region, table));
        let table = open(&storage);
        assert!(rows(&table).is_empty() || rows(&table) == all("/input/0a"), "call {n}");
        write_and_load(&table.region("").unwrap(), "/input/0b").unwrap();
        assert_eq!(rows(&table), all("/input/0b"), "call {n}");
    }
}

#[test]
fn a_failing_load_can_be_repeated() {
    repeat_failing_loads(world);
}

/// A later sync may succeed although the system has dropped what was written.
#[test]
fn a_file_that_cannot_be_synced_is_to_be_written_again() {
    let storage = world();
    let (table, before) = (open(&storage), left(&storage));
    let region = table.region("").unwrap();
    storage.break_calls(Call::SyncFile);
    let error = region.bulk_load(&[("g", "/input/g/0b")]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert_eq!(error.path(), Some(Path::new("/input/g/0b")));
    assert!(error.to_string().contains("write it again before it is loaded"), "{error}");
    assert_eq!(left(&storage), before);
    assert!(rows(&table).is_empty());
}

#[test]
fn a_failing_load_into_listed_families_can_be_repeated() {
    repeat_failing_loads(|| world_with_lists(true));
}

/// Closes a table after a load with a fault, or ends its process, and checks that it has only rows that were
/// loaded, and all of them if the load succeeded. Returns the storage and the rows.
fn check_left(
    storage: FaultyStorage,
    table: Table,
    is_loaded: bool,
    crash: Option<Crash>,
    shown: &str,
) -> (FaultyStorage, Vec<String>) {
    let crashed = crash.map(|crash| storage.after(crash));
    storage.heal();
    // A region whose files could not be changed back refuses to be closed, and is opened again.
    let closed = table.close();
    assert!(closed.is_ok() || !is_loaded, "{shown}");
    drop(table);
    let storage = crashed.unwrap_or(storage);
    let (all, seen) = (expected(), rows(&open(&storage)));
    assert!(seen.iter().all(|cell| all.contains(cell)), "{shown}: {seen:?}");
    assert!(!is_loaded || seen == all, "{shown}: {seen:?}");
    (storage, seen)
}

fn repeat_failing_loads(world: impl Fn() -> FaultyStorage) {
    for n in 0.. {
        for crash in [None, Some(Crash::OfTheProcess), Some(Crash::Hard), Some(Crash::Torn)] {
            let shown = format!("call {n}, {crash:?}");
            let storage = world();
            let table = open(&storage);
            for row in ["a", "m", "x"] {
                table.region(row).unwrap();
            }
            storage.fail_among_all([n]);
            let loaded = table.bulk_load(INPUT);
            if !storage.pending_faults().is_empty() {
                assert!(loaded.is_ok() && n > 60, "{n}");
                println!("{n} calls");
                return;
            }
            let (storage, seen) = check_left(storage, table, loaded.is_ok(), crash, &shown);
            let all = expected();
            // The files of a region are loaded together.
            for bounds in [&all[..3], &all[3..5], &all[5..]] {
                let count = bounds.iter().filter(|cell| seen.contains(cell)).count();
                assert!(count == 0 || count == bounds.len(), "{shown}: {seen:?}");
            }
            let table = open(&storage);
            table.bulk_load(INPUT).unwrap_or_else(|error| panic!("{shown}: {error}"));
            assert_eq!(rows(&table), all, "{shown}");
            assert!(
                left(&storage).iter().all(|path| !path.starts_with("f")),
                "{shown}: {:?}",
                left(&storage)
            );
        }
    }
}

/// All calls fail from one on, also those that undo the load: a file that is in the directory of a family
/// and on no list would be in no input any more.
#[test]
fn a_load_into_listed_families_that_is_cut_off_can_be_repeated() {
    for both in [false, true] {
        for calls in 0.. {
            let crashes = [Crash::OfTheProcess, Crash::Hard, Crash::Torn, Crash::Chance(calls)];
            let mut is_loaded = false;
            for crash in crashes.map(Some).into_iter().chain([None]) {
                let shown = format!("both {both}, {calls} calls, {crash:?}");
                let storage = world_with_lists(both);
                let table = open(&storage);
                for row in ["a", "m", "x"] {
                    table.region(row).unwrap();
                }
                storage.die_after(calls);
                is_loaded = table.bulk_load(INPUT).is_ok();
                let crashed = crash.map(|crash| storage.after(crash));
                if crashed.is_none() {
                    storage.heal();
                }
                drop(table);
                let storage = crashed.unwrap_or(storage);
                let (all, table) = (expected(), open(&storage));
                let seen = rows(&table);
                assert!(seen.iter().all(|cell| all.contains(cell)), "{shown}: {seen:?}");
                assert!(!is_loaded || seen == all, "{shown}: {seen:?}");
                table.bulk_load(INPUT).unwrap_or_else(|error| panic!("{shown}: {error}"));
                assert_eq!(rows(&table), all, "{shown}");
                let names = storage.names();
                assert!(names.iter().all(|path| !path.starts_with("input/f")), "{shown}: {names:?}");
                assert!(names.iter().all(|path| !path.ends_with(".load")), "{shown}: {names:?}");
                table.close().unwrap();
                assert_eq!(rows(&open(&storage)), all, "{shown}");
            }
            if is_loaded {
                assert!(calls > 40, "{calls}");
                break;
            }
        }
    }
}

/// What the first family has loaded is its own: it can be compacted away before the load is repeated.
#[test]
fn a_repeated_load_takes_nothing_that_was_taken_before() {
    for calls in 0.. {
        let storage = world_with_lists(true);
        let table = open(&storage);
        for row in ["a", "m", "x"] {
            table.region(row).unwrap();
        }
        storage.die_after(calls);
        table.bulk_load(INPUT).unwrap_err();
        let crashed = storage.after(Crash::OfTheProcess);
        drop((table, storage));
        let (storage, names) = (crashed.clone(), crashed.names());
        let has_record = names.iter().any(|path| path.ends_with(".load"));
        let table = open(&storage);
        if !has_record || rows(&table).is_empty() || rows(&table).contains(&"b/g=/input/g/0b".to_owned()) {
            continue;
        }
        // f has its file, and g has not
        let region = table.region("a").unwrap();
        let name = region.store_file_names("f").unwrap().remove(0);
        let path = region.path().join("f").join(&name);
        let bytes = storage.bytes(&path).unwrap();
        for row in ["a", "b"] {
            region.delete(Delete::new(row).family("f")).unwrap();
        }
        region.flush().unwrap();
        region.compact(Compaction::Major).unwrap();
        // as if it could not be archived
        if storage.bytes(&path).is_none() {
            storage.create(&path).unwrap().write_all(&bytes).unwrap();
        }
        let before = rows(&table);
        assert!(before.iter().all(|cell| !cell.starts_with('a') && !cell.starts_with('b')), "{before:?}");
        table.bulk_load(INPUT).unwrap();
        let seen = rows(&table);
        assert!(seen.iter().all(|cell| !cell.starts_with('a') && !cell.starts_with("b/f")), "{seen:?}");
        assert!(seen.contains(&"b/g=/input/g/0b".to_owned()), "{seen:?}");
        return;
    }
}

/// The input that is gone, or there again, is not replaced. A damaged record is an error.
#[test]
fn the_record_of_a_load_replaces_nothing() {
    let is_moved = |storage: &FaultyStorage| left(storage).iter().all(|path| !path.starts_with("f"));
    let cut_off = || {
        for calls in 0.. {
            let storage = world_with_lists(true);
            let table = open(&storage);
            table.region("a").unwrap();
            storage.die_after(calls);
            let loaded = table.bulk_load(INPUT);
            let crashed = storage.after(Crash::OfTheProcess);
            drop(table);
            assert!(loaded.is_err(), "{calls}");
            let has_record = crashed.names().iter().any(|path| path.ends_with(".load"));
            if has_record && !left(&crashed).contains(&PathBuf::from("g/0b")) {
                return crashed;
            }
        }
        unreachable!("a call moves the file")
    };
    // There again.
    let storage = cut_off();
    write(&storage, "/input/g/0b", &["b"]);
    let table = open(&storage);
    assert_eq!(rows(&table), [] as [&str; 0]);
    table.bulk_load(INPUT).unwrap();
    assert!(is_moved(&storage) && rows(&table) == expected());
    // Its directory is gone.
    let storage = cut_off();
    for path in left(&storage).iter().filter(|path| path.starts_with("g")) {
        storage.remove(&Path::new(INPUT).join(path)).unwrap();
    }
    storage.remove_dir(Path::new("/input/g")).unwrap();
    let table = open(&storage);
    table.bulk_load(INPUT).unwrap();
    assert!(rows(&table).iter().all(|cell| cell.contains("/f=")), "{:?}", rows(&table));
    assert!(!storage.names().iter().any(|path| path.ends_with(".load") || path.starts_with("input/g")));
    // Another input, by the path of the record or by what is loaded: nothing is moved there, and the record
    // stays for the first one.
    let storage = cut_off();
    write(&storage, "/other/f/0c", &["c"]);
    let before = storage.names();
    let table = open(&storage);
    for refused in [
        table.bulk_load("/other").map(drop),
        table.region("a").unwrap().bulk_load(&[("f", "/other/f/0c")]),
        table.split("c").map(drop),
    ] {
        let refused = refused.unwrap_err();
        assert!(refused.to_string().contains(".load"), "{refused}");
    }
    let is_input = |path: &&PathBuf| path.starts_with("input") || path.starts_with("other");
    assert!(before.iter().filter(is_input).eq(storage.names().iter().filter(is_input)));
    table.bulk_load(INPUT).unwrap();
    assert!(is_moved(&storage) && rows(&table) == expected());
    table.bulk_load("/other").unwrap();
    assert_eq!(rows(&table).len(), expected().len() + 1);
    // Damaged.
    let storage = cut_off();
    let names = storage.names();
    let record = names.iter().find(|path| path.ends_with(".load")).unwrap();
    let mut bytes = storage.bytes(record).unwrap();
    bytes[0] ^= 1;
    storage.create(record).unwrap().write_all(&bytes).unwrap();
    let refused = open(&storage).bulk_load(INPUT).unwrap_err();
    assert_eq!((refused.kind(), refused.path()), (ErrorKind::Corrupt, Some(&*Path::new("/").join(record))));
    bytes[0] ^= 1;
    storage.create(record).unwrap().write_all(&bytes).unwrap();
    let table = open(&storage);
    table.bulk_load(INPUT).unwrap();
    assert!(is_moved(&storage) && rows(&table) == expected());
}

/// Copies the input to the directory of imports, and loads the copies.
fn load_copies(table: &Table, storage: &FaultyStorage) -> Result<Vec<PathBuf>> {
    let dir = Path::new(ROOT).join("data/default/t");
    let (all, own) = (Table::import_dir(&dir), Table::import_dir(&dir).join("own"));
    Table::remove_import_dir(&dir, &all, storage)?;
    let skipped = table.copy_for_bulk_load(INPUT, &own)?;
    table.bulk_load(&own)?;
    Table::remove_import_dir(&dir, &own, storage)?;
    Ok(skipped)
}

#[test]
fn a_failing_load_of_copies_can_be_repeated() {
    let of_input = |storage: &FaultyStorage| -> Vec<_> {
        let bytes = |path: &PathBuf| storage.bytes(&Path::new(INPUT).join(path)).unwrap();
        left(storage).into_iter().map(|path| (bytes(&path), path)).collect()
    };
    for n in 0.. {
        for crash in [None, Some(Crash::OfTheProcess), Some(Crash::Hard), Some(Crash::Torn)] {
            let shown = format!("call {n}, {crash:?}");
            let storage = world();
            let (input, table) = (of_input(&storage), open(&storage));
            for row in ["a", "m", "x"] {
                table.region(row).unwrap();
            }
            storage.fail_among_all([n]);
            let loaded = load_copies(&table, &storage);
            if !storage.pending_faults().is_empty() {
                assert!(n > 100, "{n}");
                let skipped = ["/input/_SUCCESS", "/input/g/0c", "/input/g/_ignored"].map(PathBuf::from);
                assert_eq!(loaded.unwrap(), skipped);
                return;
            }
            let (storage, _) = check_left(storage, table, loaded.is_ok(), crash, &shown);
            load_copies(&open(&storage), &storage).unwrap_or_else(|error| panic!("{shown}: {error}"));
            assert_eq!(rows(&open(&storage)), expected(), "{shown}");
            assert_eq!(of_input(&storage), input, "{shown}");
            let is_left = |path: &PathBuf| path.to_str().unwrap().contains(".tmp/import");
            assert!(!storage.names().iter().any(is_left), "{shown}");
        }
    }
}

#[test]
fn inputs_that_do_not_fit_are_not_copied() {
    let (storage, to) = (world(), Path::new("/copies"));
    let table = open(&storage);
    let refused = |table: &Table, dir: &Path| table.copy_for_bulk_load(dir, to).unwrap_err().kind();
    let region = table.region("a").unwrap().path().to_owned();
    assert_eq!(refused(&table, &region), ErrorKind::InvalidArgument);
    let read_only = Table::open_with(ROOT, "t", options(&storage)).unwrap();
    assert_eq!(refused(&read_only, Path::new(INPUT)), ErrorKind::InvalidArgument);
    write(&storage, "/input/h/0d", &["a"]);
    assert_eq!(refused(&table, Path::new(INPUT)), ErrorKind::NoSuchFamily);
    assert!(storage.names().iter().all(|name| !name.starts_with("copies")));
    storage.remove(Path::new("/input/h/0d")).unwrap();
    storage.remove_dir(Path::new("/input/h")).unwrap();
    // What is there is not replaced.
    write(&storage, "/copies/f/0a", &["b"]);
    let there = storage.bytes(Path::new("/copies/f/0a"));
    assert!(table.copy_for_bulk_load(INPUT, to).unwrap_err().is_already_exists());
    assert_eq!(storage.bytes(Path::new("/copies/f/0a")), there);
    let mut damaged = storage.bytes(Path::new("/input/f/0a")).unwrap();
    damaged[40] ^= 1;
    storage.create(Path::new("/input/f/0a")).unwrap().write_all(&damaged).unwrap();
    table.copy_for_bulk_load(INPUT, "/damaged").unwrap_err();
    assert!(rows(&table).is_empty());
}

#[test]
fn only_what_is_imported_is_removed() {
    let storage = world();
    let dir = Path::new(ROOT).join("data/default/t");
    let import = Table::import_dir(&dir);
    let path = |name: &str| import.join(name).join("f/0a").to_str().unwrap().to_owned();
    ["one", "two"].iter().for_each(|name| write(&storage, &path(name), &ROWS));
    let names = storage.names();
    for other in
        [dir.clone(), dir.join(".tmp"), dir.join(".tmp/imports"), import.join("../x"), PathBuf::from(INPUT)]
    {
        let error = Table::remove_import_dir(&dir, &other, &storage).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{}", other.display());
    }
    assert_eq!(storage.names(), names);
    Table::remove_import_dir(&dir, import.join("one"), &storage).unwrap();
    assert!(storage.bytes(Path::new(&path("one"))).is_none());
    assert!(storage.bytes(Path::new(&path("two"))).is_some());
    Table::remove_import_dir(&dir, import.join("two"), &storage).unwrap();
    assert!(!storage.list_dir(&dir).unwrap().iter().any(|entry| entry.name == ".tmp"));
    Table::remove_import_dir(&dir, &import, &storage).unwrap();
}

#[test]
fn inputs_that_do_not_fit_load_nothing() {
    let storage = world();
    write(&storage, "/input/unknown/0a", &["a"]);
    let table = open(&storage);
    assert_eq!(table.bulk_load(INPUT).unwrap_err().kind(), ErrorKind::NoSuchFamily);
    assert_eq!(rows(&table), [""; 0]);
    storage.remove(Path::new("/input/unknown/0a")).unwrap();
    storage.create(Path::new("/input/g/0d")).unwrap().write_all(&[7; 5000]).unwrap();
    storage.remove_dir(Path::new("/input/unknown")).unwrap();
    assert!(table.bulk_load(INPUT).is_err());
    assert_eq!(rows(&table), [""; 0]);
    assert!(table.bulk_load("/nowhere").is_err());
    let read_only = Table::open_with(ROOT, "t", options(&storage)).unwrap();
    storage.remove(Path::new("/input/g/0d")).unwrap();
    assert!(read_only.bulk_load(INPUT).is_err());
    assert_eq!(left(&storage).len(), 6, "{:?}", left(&storage));
}

/// Files that a region, or a snapshot by the archive, needs are not moved away.
#[test]
fn files_of_regions_are_not_loaded() {
    let storage = world();
    let table = open(&storage);
    table.bulk_load(INPUT).unwrap();
    let before = rows(&table);
    let region = table.region("a").unwrap();
    let (dir, names) = (region.path().to_owned(), region.store_file_names("f").unwrap());
    let archived = Path::new("/hbase/archive/data/default/t").join(dir.file_name().unwrap());
    let archived_file = archived.join("f/0d");
    write(&storage, archived_file.to_str().unwrap(), &["a"]);
    let names_before = storage.names();
    for (dir, file) in [(&dir, dir.join("f").join(&names[0])), (&archived, archived_file)] {
        for loaded in [table.bulk_load(dir).map(drop), region.bulk_load(&[("f", file)])] {
            assert_eq!(loaded.unwrap_err().kind(), ErrorKind::InvalidArgument, "{}", dir.display());
        }
    }
    assert_eq!((rows(&table), storage.names()), (before, names_before));
}

/// The input that HBase loaded into the table of the stage `bulk-loaded`.
#[test]
fn the_input_of_hbase_is_loaded() {
    let Some(cluster) = golden::shared("cluster") else { return };
    let dir = tempfile::tempdir().unwrap();
    let (root, input) = (dir.path().join("root"), dir.path().join("input"));
    copy_dir(&cluster.join("bulkload/input"), &input);
    let files = |dir: &Path| fs::read_dir(dir).unwrap().count();
    let families = [Family::new("p"), Family::new("q")];
    let whole = Region::options().open_files(hfiles(&input.join("p"))).unwrap();
    let rows_of_p: Vec<Row> = whole.scan(Scan::new()).unwrap().collect::<Result<_>>().unwrap();
    let middle = rows_of_p[rows_of_p.len() / 3].key().to_vec();
    let table = Table::create(&root, "t", &families, &[middle]).unwrap();
    let done = table.bulk_load(&input).unwrap();
    assert!(done.loaded >= 4 && files(&input.join("p")) == 0, "{done:?}");
    let loaded = table.scan(Scan::new().family("p")).unwrap().collect::<Result<Vec<Row>>>().unwrap();
    // Sequence ids are those of the load.
    let shown = |rows: &[Row]| -> Vec<String> {
        rows.iter().flat_map(Row::cells).map(|cell| cells::cell_json(&cell, false)).collect()
    };
    assert!(shown(&loaded) == shown(&rows_of_p) && loaded.len() > 100);
}

fn hfiles(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// With NEW_VERSION_BEHAVIOR, a marker hides what is not newer. In the top half of a loaded file cells have
/// one sequence id more, which no later write has.
#[test]
fn a_loaded_marker_hides_no_later_put_after_a_split() {
    let storage = FaultyStorage::new();
    let none: [&str; 0] = [];
    let family = Family::new("f").new_version_behavior(true);
    Table::create_with(ROOT, "t", &[family], &none, options(&storage)).unwrap().close().unwrap();
    storage.create_dir_all(Path::new(INPUT)).unwrap();
    let table = open(&storage);
    let region = table.region("").unwrap();
    let mut writer = region.bulk_load_writer("f", "/input/0a").unwrap();
    let key = SeekKey::of(b"r", b"f", b"q", 100, CellType::DeleteColumn);
    writer.append(CellRef::new(&key, b"")).unwrap();
    writer.finish(&origin(false)).unwrap();
    region.bulk_load(&[("f", "/input/0a")]).unwrap();
    drop(region);
    table.put(Put::new("r").cell_at("f", "q", 50, "later")).unwrap();
    assert_eq!(rows(&table), ["r/f=later"]);
    table.split("b").unwrap();
    assert_eq!(rows(&table), ["r/f=later"]);
    table.compact(Compaction::Major).unwrap();
    assert_eq!(rows(&table), ["r/f=later"]);
}

/// No compaction could write the cells.
#[test]
fn a_file_of_another_family_is_refused() {
    let storage = world();
    let (table, before) = (open(&storage), left(&storage));
    let region = table.region("a").unwrap();
    write(&storage, "/other/f/0e", &["a"]);
    for (family, path) in [("f", "/input/g/0b"), ("g", "/other/f/0e")] {
        let error = region.bulk_load(&[(family, path)]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    }
    region.bulk_load(&[("g", "/input/g/0c")]).unwrap();
    region.bulk_load(&[("g", "/input/g/0b")]).unwrap();
    assert_eq!((rows(&table), left(&storage).len()), (vec!["b/g=/input/g/0b".to_owned()], before.len() - 2));
}

/// The parts of a file are in a directory whose remains are removed before, but not what a link leads to.
#[cfg(unix)]
#[test]
fn a_load_removes_nothing_that_a_link_leads_to() {
    let dir = tempfile::tempdir().unwrap();
    let (root, input, other) = (dir.path().join("root"), dir.path().join("input"), dir.path().join("other"));
    let options = Region::options().writable(true);
    let table = Table::create_with(root, "t", &[Family::new("f")], &["m"], options).unwrap();
    let family = input.join("f");
    fs::create_dir_all(&family).unwrap();
    fs::create_dir_all(other.join("below")).unwrap();
    fs::write(other.join("below/file"), "kept").unwrap();
    write(&LocalStorage, family.join("0a").to_str().unwrap(), &ROWS);
    std::os::unix::fs::symlink(&other, family.join(".tmp")).unwrap();
    let error = table.bulk_load(&input).unwrap_err();
    assert!(error.to_string().contains("symbolic link"), "{error}");
    assert_eq!(fs::read(other.join("below/file")).unwrap(), b"kept");
    fs::remove_file(family.join(".tmp")).unwrap();
    table.bulk_load(&input).unwrap();
    assert_eq!(rows(&table).len(), ROWS.len());
}

/// A storage that notes, before a directory of a family is synced, how many cells another process reads.
#[derive(Debug)]
struct ReadAtSyncs {
    files: FaultyStorage,
    seen: Mutex<Vec<usize>>,
}

impl Storage for ReadAtSyncs {
    forward!(files: open create create_new create_log rename hard_link remove remove_dir);
    forward!(files: sync_file list_dir create_dir_all lock optional);

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        if ["/region/f", "/region/g"].map(Path::new).contains(&path) {
            let region = options(&self.files).open("/region").unwrap();
            self.seen.lock().unwrap().push(region.get(&Get::new("a")).unwrap().len());
        }
        self.files.sync_dir(path)
    }
}

/// All families have their files before anything is synced, which takes time.
#[test]
fn another_process_does_not_read_the_files_of_some_families_for_long() {
    let files = FaultyStorage::new();
    let new = options(&files).create_if_missing(true).family(Family::new("f")).family(Family::new("g"));
    new.open("/region").unwrap().close().unwrap();
    write(&files, "/input/f/0a", &["a"]);
    write(&files, "/input/g/0b", &["a"]);
    let storage = Arc::new(ReadAtSyncs { files, seen: Mutex::default() });
    let region = Region::options().storage(Arc::clone(&storage) as _).writable(true).open("/region").unwrap();
    region.bulk_load(&[("f", "/input/f/0a"), ("g", "/input/g/0b")]).unwrap();
    let seen = storage.seen.lock().unwrap();
    assert!(seen.contains(&2) && !seen.contains(&1), "{seen:?}");
}
