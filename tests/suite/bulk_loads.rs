//! Bulk loads into tables: HBase's input, and files that span regions.

mod failures;
mod hooks;
mod objects;
mod sequence_ids;
mod settings;

use crate::support::files::copy_dir;
use crate::support::forward::forward;
use crate::support::trackers::with_list;
use crate::support::{cells, golden};
use hregion::io::faulty::FaultyStorage;
use hregion::io::{LocalStorage, Storage};
use hregion::{
    BloomType, CellRef, CellType, Codec, DataBlockEncoding, ErrorKind, Family, Get, HFileWriter, Region,
    RegionOptions, Result, Row, Scan, SeekKey, StoreFileOrigin, StoreFileWriter, Table, TableChanges,
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

/// The origin of a file whose cells keep their sequence ids if `keeps`.
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

/// A table of three regions, and an input of three files, one of which spans all regions.
fn world() -> FaultyStorage {
    world_of(&[Family::new("f"), Family::new("g")])
}

/// As [`world`], but file trackers list the files of the family f, or of both families.
fn world_with_lists(both: bool) -> FaultyStorage {
    let (f, g) = (Family::new("f"), Family::new("g"));
    world_of(&[with_list(f), if both { with_list(g) } else { g }])
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

/// Opens the regions of the table, so that later failing calls are calls of the load.
fn open_regions(table: &Table) {
    for row in ["a", "m", "x"] {
        table.region(row).unwrap();
    }
}

/// Returns a copy of a storage, and its table with open regions.
fn open_copy(before: &FaultyStorage) -> (FaultyStorage, Table) {
    let storage = before.copy();
    let table = open(&storage);
    open_regions(&table);
    (storage, table)
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

/// Returns the remaining names of the input.
fn left(storage: &FaultyStorage) -> Vec<PathBuf> {
    let names = storage.names().into_iter();
    names.filter_map(|path| path.strip_prefix("input").ok().map(Path::to_owned)).collect()
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

/// A table of one region, whose family has its own settings.
fn table_with_settings() -> FaultyStorage {
    let family = Family::new("f").data_block_encoding(DataBlockEncoding::FastDiff);
    table_of_one_region(family.codec(Codec::Snappy).bloom(BloomType::RowCol))
}

/// A table of one region, and an empty input.
fn table_of_one_region(family: Family) -> FaultyStorage {
    let storage = FaultyStorage::new();
    Table::create_with(ROOT, "t", &[family], &[""; 0], options(&storage)).unwrap().close().unwrap();
    storage.create_dir_all(Path::new(INPUT)).unwrap();
    storage
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
    // An existing file is not replaced.
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

/// Files that a region needs, or a snapshot through the archive, are not moved away.
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

/// Loads the input that HBase loaded into the table of the stage `bulk-loaded`.
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
    // The cells have the sequence ids of the load.
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

/// The cells of such a file could not be written by a compaction.
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

/// The directory for the parts of a file is cleaned before a load, but the target of a link is not removed.
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

/// The link would be moved into the region, and the cells lost with the file that it leads to.
#[cfg(unix)]
#[test]
fn a_link_to_a_file_is_not_loaded_into_a_region() {
    use std::os::unix::fs::symlink;

    let dir = tempfile::tempdir().unwrap();
    let options = Region::options().create_if_missing(true).family(Family::new("f"));
    let region = options.open(dir.path().join("region")).unwrap();
    let (family, links) = (dir.path().join("input/f"), dir.path().join("links"));
    fs::create_dir_all(&family).unwrap();
    fs::create_dir(&links).unwrap();
    let file = family.join("0a");
    write(&LocalStorage, file.to_str().unwrap(), &ROWS);
    symlink(&file, links.join("absolute")).unwrap();
    symlink("../input/f/0a", links.join("relative")).unwrap();
    symlink("0a", family.join("0b")).unwrap();
    for link in [links.join("absolute"), links.join("relative"), family.join("0b")] {
        let error = region.bulk_load(&[("f", &link)]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        assert!(error.to_string().contains("symbolic link"), "{error}");
        assert!(link.is_symlink() && file.exists());
    }
    assert_eq!(region.store_file_count("f"), Some(0));
    // A directory on the path may be a link.
    symlink(&family, links.join("f")).unwrap();
    region.bulk_load(&[("f", links.join("f/0a"))]).unwrap();
    assert!(!file.exists());
    assert_eq!(region.get(&Get::new("a")).unwrap().len(), 1);
}

/// The other region would lack the file.
#[cfg(unix)]
#[test]
fn a_store_file_is_not_loaded_through_a_link_to_its_directory() {
    let dir = tempfile::tempdir().unwrap();
    let open = |name: &str| {
        let options = Region::options().create_if_missing(true).family(Family::new("f"));
        options.open(dir.path().join(name)).unwrap()
    };
    let (region, other) = (open("region"), open("other"));
    other.put(hregion::Put::new("a").cell("f", "q", "v")).unwrap();
    other.flush().unwrap();
    let (file, link) = (other.hfile_paths("f").unwrap().remove(0), dir.path().join("link"));
    std::os::unix::fs::symlink(file.parent().unwrap(), &link).unwrap();
    let error = region.bulk_load(&[("f", link.join(file.file_name().unwrap()))]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    assert!(file.exists() && region.store_file_count("f") == Some(0));
}

/// A storage that records, before a directory of a family is synced, the number of cells that another process
/// reads.
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

/// The files of all families are moved before anything is synced, because a sync takes time.
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
