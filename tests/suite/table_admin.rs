//! Tables that are deleted, truncated and altered.

mod adopted;
mod catalog;
mod faults;
mod golden_tables;
mod meanwhile;
mod names;
mod objects;
mod settings;

use crate::support::forward::forward;
use hregion::io::faulty::FaultyStorage;
use hregion::io::{DirEntry, Storage};
use hregion::{
    Append, CellRef, CheckAndMutate, Compaction, Delete, ErrorKind, Family, Increment, ManualClock, Put,
    Region, RegionInfo, RegionOptions, Result, Scan, Table, TableChanges,
};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::{fs, io};

const ROOT: &str = "/hbase";
const T: &str = "ns:t";

fn options(storage: &FaultyStorage) -> RegionOptions {
    Region::options().storage(Arc::new(storage.clone())).clock(Arc::new(ManualClock::new(1000)))
}

/// Creates a root with the tables `ns:t` and `other`, with two regions of two families each.
fn root() -> FaultyStorage {
    root_with(&Family::new("f"))
}

/// As [`root`], with these settings of the family f.
fn root_with(first: &Family) -> FaultyStorage {
    let storage = FaultyStorage::new();
    for name in [T, "other"] {
        let families = [first.clone(), Family::new("g").max_versions(3)];
        let table = Table::create_with(ROOT, name, &families, &["m"], options(&storage)).unwrap();
        fill(&table, "old");
        table.close().unwrap();
    }
    storage
}

/// Writes two rows, in two files of each family.
fn fill(table: &Table, value: &str) {
    for column in ["p", "q"] {
        for row in ["a", "n"] {
            let put = Put::new(row).cell_at("f", column, 5, value.to_owned());
            table.put(put.cell_at("g", column, 5, value.to_owned())).unwrap();
        }
        table.flush().unwrap();
    }
}

fn open(storage: &FaultyStorage, name: &str, writable: bool) -> Result<Table> {
    Table::open_with(ROOT, name, options(storage).writable(writable))
}

/// Returns the cells of a scan of a table; `None` if the table does not exist.
fn values(storage: &FaultyStorage, name: &str) -> Option<Vec<String>> {
    let table = match open(storage, name, false) {
        Err(error) if error.kind() == ErrorKind::TableNotFound => return None,
        opened => opened.unwrap(),
    };
    assert_eq!(table.inconsistencies(), &[]);
    Some(cells(&table))
}

fn cells(table: &Table) -> Vec<String> {
    let mut found = Vec::new();
    for row in table.scan(Scan::new().max_versions(u32::MAX)).unwrap() {
        found.extend(row.unwrap().cells().map(text));
    }
    found
}

fn text(cell: CellRef<'_>) -> String {
    let utf8 = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (row, family, column) = (utf8(cell.row()), utf8(cell.family()), utf8(cell.qualifier()));
    format!("{row}/{family}:{column}/{}={}", cell.timestamp(), utf8(cell.value()))
}

fn old_values() -> Vec<String> {
    let of = |row: &str| ["f:p", "f:q", "g:p", "g:q"].map(|column| format!("{row}/{column}/5=old"));
    [of("a"), of("n")].concat()
}

/// Returns the paths of the files of a table's families, from the region on: in its directory, in `.tmp`, or
/// in the archive.
fn store_files(storage: &FaultyStorage, below: &str) -> Vec<PathBuf> {
    let dir = Path::new(below).join("data/ns/t");
    let names = storage.names().into_iter();
    let files =
        names.filter_map(|path| path.strip_prefix("hbase").ok()?.strip_prefix(&dir).ok().map(Path::to_owned));
    let is_in_family = |path: &PathBuf| {
        let parts: Vec<_> = path.iter().collect();
        parts.len() == 3 && (parts[1] == "f" || parts[1] == "g")
    };
    let mut files: Vec<PathBuf> = files.filter(is_in_family).collect();
    files.sort();
    files
}

fn region_names(storage: &FaultyStorage) -> Vec<String> {
    open(storage, T, false).unwrap().regions().iter().map(RegionInfo::encoded_name).collect()
}

#[test]
fn all_regions_are_compacted() {
    let storage = root();
    let table = open(&storage, T, true).unwrap();
    table.compact(Compaction::Major).unwrap();
    for row in ["a", "n"] {
        let region = table.region(row).unwrap();
        for family in ["f", "g"] {
            assert_eq!(region.store_file_names(family).unwrap().len(), 1);
        }
    }
    table.close().unwrap();
    assert_eq!(values(&storage, T), Some(old_values()));
    let read_only = open(&storage, T, false).unwrap();
    assert!(read_only.compact(Compaction::Major).is_err());
}

/// A region that cannot be compacted does not prevent the compaction of the others.
#[test]
fn a_region_that_fails_leaves_the_others_compacted() {
    let storage = root();
    let table = open(&storage, T, true).unwrap();
    let first = table.regions()[0].encoded_name();
    let held = storage.lock(&Path::new(ROOT).join("data/ns/t").join(first).join(".hregion.lock")).unwrap();
    assert_eq!(table.compact(Compaction::Major).unwrap_err().kind(), ErrorKind::Locked);
    assert_eq!(table.region("n").unwrap().store_file_names("f").unwrap().len(), 1);
    drop(held);
    table.compact(Compaction::Major).unwrap();
    assert_eq!(table.region("a").unwrap().store_file_names("f").unwrap().len(), 1);
}

#[test]
fn a_deleted_table_is_gone_and_its_files_are_archived() {
    let storage = root();
    let files = store_files(&storage, "");
    assert_eq!(files.len(), 8);
    let reader = open(&storage, T, false).unwrap();
    assert_eq!(cells(&reader), old_values());
    Table::delete_table(ROOT, T, &options(&storage)).unwrap();
    assert_eq!(values(&storage, T), None);
    assert_eq!(values(&storage, "other"), Some(old_values()));
    assert_eq!(store_files(&storage, "archive"), files);
    assert!(storage.names().iter().all(|path| !path.starts_with("hbase/.tmp")));
    assert_eq!(cells(&reader), old_values(), "an open reader goes on");
    let error = Table::delete_table(ROOT, T, &options(&storage)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TableNotFound);
    for n in [0, 1] {
        let table = Table::create_with(ROOT, T, &[Family::new("f")], &[""; 0], options(&storage)).unwrap();
        assert_eq!(cells(&table), [""; 0], "{n}");
        table.put(Put::new("a").cell_at("f", "q", 6, "new")).unwrap();
        table.close().unwrap();
        assert_eq!(values(&storage, T), Some(vec!["a/f:q/6=new".to_owned()]));
        Table::delete_table(ROOT, T, &options(&storage)).unwrap();
    }
}

/// A process that died between writing a descriptor and removing the previous one has left both.
#[test]
fn an_alteration_removes_all_older_descriptors() {
    let storage = root();
    let descriptors = || -> Vec<PathBuf> {
        let names = storage.names().into_iter();
        names.filter(|path| path.starts_with("hbase/data/ns/t/.tabledesc")).collect()
    };
    let alter = |family: &'static str| {
        let changes = TableChanges::new().family(Family::new(family));
        Table::alter(ROOT, T, &changes, &options(&storage)).unwrap();
    };
    let first = descriptors().remove(0);
    let bytes = storage.bytes(&first).unwrap();
    alter("h");
    storage.create(&first).unwrap().write_all(&bytes).unwrap();
    assert_eq!(descriptors().len(), 2);
    alter("i");
    let left = descriptors();
    assert!(left.len() == 1 && left[0].ends_with(".tableinfo.0000000003"), "{left:?}");
    assert_eq!(open(&storage, T, false).unwrap().region("a").unwrap().families().len(), 4);
}

/// HBase before 2.5 does not alter a table whose descriptor's name contains a length.
#[test]
fn names_of_descriptors_are_those_of_all_versions() {
    let storage = root();
    let descriptors = |table: &str| -> Vec<String> {
        let dir = format!("hbase/data/{table}/.tabledesc");
        let names = storage.names().into_iter().filter(|path| path.starts_with(&dir));
        let names = names.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()));
        names.filter(|name| name.starts_with(".tableinfo")).collect()
    };
    let first = [".tableinfo.0000000001"];
    assert_eq!(descriptors("ns/t"), first);
    let table = open(&storage, T, true).unwrap();
    table.snapshot("s").unwrap();
    table.close().unwrap();
    Table::clone_snapshot(ROOT, "s", "clone", options(&storage)).unwrap().close().unwrap();
    assert_eq!(descriptors("default/clone"), first);
    Table::alter(ROOT, T, &TableChanges::new().family(Family::new("h")), &options(&storage)).unwrap();
    assert_eq!(descriptors("ns/t"), [".tableinfo.0000000002"]);
    Table::truncate(ROOT, T, false, &options(&storage)).unwrap();
    assert_eq!(descriptors("ns/t"), first);
}

#[test]
fn a_truncated_table_is_empty_and_keeps_its_settings() {
    for preserve in [true, false] {
        let storage = root();
        let (files, before) = (store_files(&storage, ""), region_names(&storage));
        Table::truncate(ROOT, T, preserve, &options(&storage)).unwrap();
        assert_eq!(values(&storage, T), Some(Vec::new()));
        assert_eq!(store_files(&storage, "archive"), files);
        assert_eq!(store_files(&storage, ""), [""; 0].map(PathBuf::from));
        let after = region_names(&storage);
        assert_eq!(after.len(), if preserve { 2 } else { 1 });
        assert!(after.iter().all(|name| !before.contains(name)), "{before:?} {after:?}");
        let table = open(&storage, T, true).unwrap();
        let versions: Vec<String> = table.region("a").unwrap().families().map(ToString::to_string).collect();
        assert!(versions[1].contains("VERSIONS => '3'"), "{versions:?}");
        fill(&table, "new");
        table.close().unwrap();
        let new: Vec<String> = old_values().iter().map(|cell| cell.replace("old", "new")).collect();
        assert_eq!(values(&storage, T), Some(new));
        assert_eq!(values(&storage, "other"), Some(old_values()));
        Table::truncate(ROOT, T, preserve, &options(&storage)).unwrap();
        assert_eq!(values(&storage, T), Some(Vec::new()));
    }
}

#[test]
fn tables_that_cannot_be_changed_are_left_alone() {
    let storage = root();
    let refuse = |kind: ErrorKind, name: &str| {
        let alter = TableChanges::new().family(Family::new("h"));
        let results = [
            Table::delete_table(ROOT, name, &options(&storage)),
            Table::truncate(ROOT, name, true, &options(&storage)),
            Table::alter(ROOT, name, &alter, &options(&storage)),
        ];
        for result in results {
            assert_eq!(result.unwrap_err().kind(), kind, "{name}");
        }
        assert_eq!(values(&storage, T), Some(old_values()));
    };
    refuse(ErrorKind::TableNotFound, "none");
    refuse(ErrorKind::InvalidArgument, "hbase:meta");
    refuse(ErrorKind::InvalidArgument, "hbase:namespace");
    let families = [Family::new("info")];
    // No master of HBase 2 would start with an empty `hbase:namespace`.
    for name in ["hbase:meta", "hbase:namespace"] {
        let made = Table::create_with(ROOT, name, &families, &[""; 0], options(&storage));
        assert_eq!(made.unwrap_err().kind(), ErrorKind::InvalidArgument, "{name}");
    }
    refuse(ErrorKind::TableNotFound, "hbase:acl");
    refuse(ErrorKind::InvalidArgument, "../t");
    let table = open(&storage, T, true).unwrap();
    table.put(Put::new("n").cell_at("f", "q", 5, "old")).unwrap(); // opens the second region
    refuse(ErrorKind::Locked, T);
    table.close().unwrap();
    let recovery = storage.lock(&Path::new(ROOT).join(".hregion.lock")).unwrap();
    refuse(ErrorKind::Locked, T);
    drop(recovery);
    let mob = Path::new(ROOT).join("mobdir/data/ns/t/region");
    storage.create_dir_all(&mob).unwrap();
    assert_eq!(Table::delete_table(ROOT, T, &options(&storage)).unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(values(&storage, T), Some(old_values()));
}

/// As in HBase, only the tables created by a master are special; snapshots are made only of users' tables.
#[test]
fn tables_of_hbase_are_changed_like_others() {
    let storage = root();
    for name in ["hbase:acl", "hbase:labels", "hbase:quota"] {
        let options = || options(&storage);
        let table = Table::create_with(ROOT, name, &[Family::new("l")], &[""; 0], options()).unwrap();
        table.put(Put::new("t").cell_at("l", "user", 5, "RW")).unwrap();
        let refused = table.snapshot("s").unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unsupported, "{refused}");
        table.close().unwrap();
        let before = values(&storage, name);
        assert_eq!(before.as_ref().map(Vec::len), Some(1), "{before:?}");
        let changes = TableChanges::new().family(Family::new("m"));
        Table::alter(ROOT, name, &changes, &options()).unwrap();
        assert_eq!(values(&storage, name), before);
        let table = open(&storage, name, true).unwrap();
        table.put(Put::new("t").cell_at("m", "q", 5, "v")).unwrap();
        table.close().unwrap();
        assert_eq!(values(&storage, name).unwrap().len(), 2);
        Table::truncate(ROOT, name, true, &options()).unwrap();
        assert_eq!(values(&storage, name), Some(Vec::new()));
        Table::delete_table(ROOT, name, &options()).unwrap();
        assert_eq!(values(&storage, name), None);
        assert_eq!(values(&storage, T), Some(old_values()));
    }
}

#[test]
fn a_read_only_table_refuses_writes() {
    let storage = root();
    let set = |value: &str| {
        let changes = TableChanges::new().set("READONLY", value);
        Table::alter(ROOT, T, &changes, &options(&storage)).unwrap();
    };
    set("TRUE");
    let table = open(&storage, T, true).unwrap();
    let put = || Put::new("a").cell("f", "p", "new");
    let check = CheckAndMutate::if_not_exists("a", "f", "none").then(put());
    let joint = table.batch(vec![put().into(), Put::new("n").cell("f", "p", "new").into()]);
    for refused in [
        table.put(put()),
        table.delete(Delete::new("a")),
        table.increment(Increment::new("a").column("f", "n", 1)).map(drop),
        table.append(Append::new("a").column("f", "p", "more")).map(drop),
        table.mutate_row("a", vec![put().into()]).map(drop),
        table.mutate_rows(vec![put().into()]),
        table.check_and_mutate(check).map(drop),
        table.region("a").unwrap().bulk_load(&[("f", "/none")]),
    ]
    .into_iter()
    .chain(joint)
    {
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        assert!(error.to_string().contains("READONLY"), "{error}");
    }
    table.flush().unwrap();
    table.compact(Compaction::Major).unwrap();
    table.close().unwrap();
    assert_eq!(values(&storage, T), Some(old_values()));
    set("false");
    let table = open(&storage, T, true).unwrap();
    table.put(put()).unwrap();
    table.close().unwrap();
}

/// Creates a region in the directory of the table `t`, and opens it for writing.
fn create_region(table: &Path, options: RegionOptions) -> Region {
    let name = hregion::TableName::parse("t").unwrap();
    let info = RegionInfo::new(name, "x", "y", 9_000_000_000_000).unwrap();
    let options = options.create_if_missing(true).table("t").family(Family::new("f")).key_range("x", "y");
    let options = options.clock(Arc::new(ManualClock::new(9_000_000_000_000)));
    options.open(table.join(info.encoded_name())).unwrap()
}

/// A storage in which a region is created and opened for writing right before a table is moved away.
#[derive(Debug)]
struct CreatesRegion {
    local: hregion::LocalStorage,
    root: PathBuf,
    opened: Mutex<Option<Region>>,
}

impl CreatesRegion {
    fn new(root: &Path) -> Arc<Self> {
        Arc::new(Self { local: hregion::LocalStorage, root: root.to_owned(), opened: Mutex::default() })
    }

    /// Writes to the created region, and checks that its table still exists. Returns the table.
    fn check_kept(&self) -> Table {
        let region = self.opened.lock().unwrap().take().unwrap();
        region.put(Put::new("x").cell_at("f", "q", 5, "v")).unwrap();
        region.close().unwrap();
        let table = Table::open(&self.root, "t").unwrap();
        assert_eq!(table.regions().len(), 2);
        assert!(!self.root.join(".tmp/data/default/t").exists());
        table
    }
}

impl Storage for CreatesRegion {
    forward!(local: open create create_new create_log hard_link remove remove_dir);
    forward!(local: sync_file sync_dir list_dir create_dir_all lock optional);

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        if from == self.root.join("data/default/t") && to.starts_with(self.root.join(".tmp")) {
            *self.opened.lock().unwrap() = Some(create_region(from, Region::options()));
        }
        self.local.rename(from, to)
    }
}

#[test]
fn a_region_that_is_created_meanwhile_keeps_its_table() {
    let dir = tempfile::tempdir().unwrap();
    let table = Table::create(dir.path(), "t", &[Family::new("f")], &[""; 0]).unwrap();
    table.put(Put::new("a").cell_at("f", "q", 5, "v")).unwrap();
    table.close().unwrap();
    let storage = CreatesRegion::new(dir.path());
    let options = Region::options().storage(Arc::clone(&storage) as _);
    let error = Table::delete_table(dir.path(), "t", &options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    storage.check_kept();
}

/// A storage in which another process creates a table right after a lookup of it.
#[derive(Debug)]
struct CreatesTable {
    local: hregion::LocalStorage,
    root: PathBuf,
    is_done: Mutex<bool>,
}

impl Storage for CreatesTable {
    forward!(local: open create create_new create_log hard_link rename remove remove_dir);
    forward!(local: sync_file sync_dir create_dir_all lock optional);

    fn list_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let found = self.local.list_dir(path);
        let mut is_done = self.is_done.lock().unwrap();
        if path == self.root.join("data/default/t") && !*is_done {
            *is_done = true;
            let table = Table::create(&self.root, "t", &[Family::new("f")], &["m"]).unwrap();
            table.put(Put::new("a").cell_at("f", "q", 5, "v")).unwrap();
            table.close().unwrap();
        }
        found
    }
}

#[test]
fn a_table_that_another_process_creates_is_not_filled_again() {
    let dir = tempfile::tempdir().unwrap();
    let storage =
        CreatesTable { local: hregion::LocalStorage, root: dir.path().to_owned(), is_done: Mutex::default() };
    let options = Region::options().storage(Arc::new(storage));
    let created = Table::create_with(dir.path(), "t", &[Family::new("g")], &[""; 0], options);
    let error = created.map(drop).unwrap_err();
    assert!(error.message().contains("exists"), "{error}");
    let table = Table::open(dir.path(), "t").unwrap();
    assert_eq!((table.regions().len(), cells(&table).len()), (2, 1));
    assert!(table.inconsistencies().is_empty());
}

#[cfg(unix)]
#[test]
fn symbolic_links_are_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
    fs::create_dir_all(&outside).unwrap();
    let create = || {
        let table = Table::create(&root, "t", &[Family::new("f")], &[""; 0]).unwrap();
        table.put(Put::new("a").cell_at("f", "q", 5, "v")).unwrap();
        table.close().unwrap();
        root.join("data/default/t").join(table.regions()[0].encoded_name())
    };
    let delete = || Table::delete_table(&root, "t", &Region::options());
    let region = create();
    for (link, at) in [(".tmp", root.join(".tmp")), ("archive", root.join("archive"))] {
        std::os::unix::fs::symlink(&outside, &at).unwrap();
        assert_eq!(delete().unwrap_err().kind(), ErrorKind::Io, "{link}");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "{link}");
        fs::remove_file(&at).unwrap();
        assert_eq!(cells(&Table::open(&root, "t").unwrap()).len(), 1, "{link}");
    }
    delete().unwrap();
    assert!(!region.exists());
    let region = create();
    fs::rename(region.join("f"), outside.join("f")).unwrap();
    std::os::unix::fs::symlink(outside.join("f"), region.join("f")).unwrap();
    assert_eq!(delete().unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(fs::read_dir(outside.join("f")).unwrap().count(), 1);
}

/// A committed change could never be completed.
#[cfg(unix)]
#[test]
fn a_table_whose_files_cannot_be_archived_stays_as_it_is() {
    use std::os::unix::fs::symlink;

    let dir = tempfile::tempdir().unwrap();
    let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
    fs::create_dir(&outside).unwrap();
    let table = Table::create(&root, "t", &[Family::new("f"), Family::new("g")], &[""; 0]).unwrap();
    let family = root.join("data/default/t").join(table.regions()[0].encoded_name()).join("f");
    let files =
        || -> Vec<PathBuf> { fs::read_dir(&family).unwrap().map(|entry| entry.unwrap().path()).collect() };
    table.put(Put::new("a").cell_at("f", "q", 5, "v")).unwrap();
    table.snapshot("s").unwrap();
    let of_snapshot = files();
    table.put(Put::new("b").cell_at("f", "q", 5, "v")).unwrap();
    table.close().unwrap();
    let options = Region::options();
    let deletion = TableChanges::new().delete_family("f");
    let refused = |shown: &str| {
        let changes: [&dyn Fn() -> Result<()>; 4] = [
            &|| Table::delete_table(&root, "t", &options),
            &|| Table::truncate(&root, "t", true, &options),
            &|| Table::alter(&root, "t", &deletion, &options),
            &|| Table::restore_snapshot(&root, "s", options.clone()).map(drop),
        ];
        for (i, change) in changes.iter().enumerate() {
            let error = change().unwrap_err();
            assert!(error.to_string().contains("symbolic link"), "{shown}, {i}: {error}");
            let table = Table::open(&root, "t").unwrap();
            assert_eq!(cells(&table).len(), 2, "{shown}, {i}");
            assert_eq!(table.region("a").unwrap().families().len(), 2, "{shown}, {i}");
            assert!(!root.join(".tmp/data/default/t").exists(), "{shown}, {i}");
        }
    };
    symlink(&outside, root.join("archive")).unwrap();
    refused("the archive");
    fs::remove_file(root.join("archive")).unwrap();
    let file = files().into_iter().find(|file| !of_snapshot.contains(file)).unwrap();
    fs::rename(&file, outside.join("file")).unwrap();
    symlink(outside.join("file"), &file).unwrap();
    refused("a store file");
    // A link to files of another family does not prevent it.
    Table::alter(&root, "t", &TableChanges::new().delete_family("g"), &options).unwrap();
    fs::remove_file(&file).unwrap();
    fs::rename(outside.join("file"), &file).unwrap();
    Table::delete_table(&root, "t", &options).unwrap();
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}
