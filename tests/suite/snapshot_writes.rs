//! Snapshots are taken, removed, cloned, restored and exported by hregion: compared with HBase's, beside
//! writes, and with every call failing or being the last one of the process.

mod beside;
mod faults;
mod hbase;

use crate::support::files::{contents, copy_dir, io_kind, relative_to};
use crate::support::trackers::with_list;
use hregion::io::faulty::{Crash, FaultyStorage};
use hregion::{
    CellRef, CellType, Compaction, Delete, Error, ErrorKind, Family, Get, ManualClock, Put, Region,
    RegionOptions, Row, Scan, SeekKey, Table,
};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn writable() -> RegionOptions {
    Region::options().writable(true).compaction_enabled(false)
}

fn rows(table: &Table) -> Vec<Row> {
    let (view, scan) = (table.view(), Scan::new().max_versions(u32::MAX));
    view.scan(&scan).unwrap().collect::<Result<_, _>>().unwrap()
}

/// Returns all files below a directory, by path, with their contents.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    relative_to(dir, contents(dir))
}

const ROOT: &str = "/hbase";
const OTHER: &str = "/other/hbase";

fn options(storage: &FaultyStorage) -> RegionOptions {
    let clock = Arc::new(ManualClock::new(1_000_000));
    writable().storage(Arc::new(storage.clone())).clock(clock)
}

fn open(storage: &FaultyStorage, name: &str) -> Table {
    Table::open_with(ROOT, name, options(storage)).unwrap()
}

fn read(storage: &FaultyStorage, name: &str) -> Result<Vec<Row>, Error> {
    Ok(rows(&Table::open_with(ROOT, name, options(storage).writable(false))?))
}

fn read_snapshot(storage: &FaultyStorage, root: &str, name: &str) -> Option<Vec<Row>> {
    match Table::open_snapshot_with(root, name, options(storage).writable(false)) {
        Ok(snapshot) => Some(rows(&snapshot)),
        Err(error) if io_kind(&error) == Some(io::ErrorKind::NotFound) => None,
        Err(error) => panic!("{error}"),
    }
}

/// A root with a table of two regions, its snapshots `old` and `new`, a clone `c` of `old`, and writes after
/// `new` that are only in the log; and the rows of each.
struct World {
    storage: FaultyStorage,
    old: Vec<Row>,
    new: Vec<Row>,
    now: Vec<Row>,
}

impl World {
    fn new() -> Self {
        Self::with(FaultyStorage::new(), Family::new("f"))
    }

    /// The same in an object store.
    fn in_objects() -> Self {
        let storage = FaultyStorage::new();
        storage.has_objects();
        Self::with(storage, with_list(Family::new("f")))
    }

    fn with(storage: FaultyStorage, family: Family) -> Self {
        let families = [family.max_versions(3), with_list(Family::new("g"))];
        let table = Table::create_with(ROOT, "ns:t", &families, &["m"], options(&storage)).unwrap();
        let put = |row: &str, value: &str| {
            let put = Put::new(row.to_owned()).cell("f", "q", value.to_owned());
            table.put(put.cell("g", "q", value.to_owned())).unwrap();
        };
        put("a", "1");
        put("n", "1");
        table.flush().unwrap();
        put("b", "2");
        table.snapshot("old").unwrap();
        let old = rows(&table);
        put("a", "3");
        table.delete(Delete::new("n")).unwrap();
        table.flush().unwrap();
        table.region("a").unwrap().compact(Compaction::Major).unwrap();
        put("o", "4");
        table.snapshot("new").unwrap();
        let new = rows(&table);
        put("p", "5");
        table.delete(Delete::new("b")).unwrap();
        let now = rows(&table);
        Table::clone_snapshot(ROOT, "old", "c", options(&storage)).unwrap().close().unwrap();
        let killed = storage.after(Crash::OfTheProcess);
        Self { storage: killed, old, new, now }
    }

    fn copy(&self) -> FaultyStorage {
        self.storage.after(Crash::OfTheProcess)
    }

    /// Checks the tables and snapshots that no change of a snapshot may affect.
    fn check_others(&self, storage: &FaultyStorage, context: &str) {
        assert_eq!(read_snapshot(storage, ROOT, "old").as_ref(), Some(&self.old), "{context}");
        assert_eq!(read_snapshot(storage, ROOT, "new").as_ref(), Some(&self.new), "{context}");
        assert_eq!(read(storage, "c").unwrap(), self.old, "{context}");
    }
}

#[test]
fn refused_snapshots_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    let table = Table::create(&root, "t", &[Family::new("f")], &["m"]).unwrap();
    table.put(Put::new("a").cell("f", "q", "1")).unwrap();
    let kind = |result: Result<_, Error>| result.map(drop).unwrap_err().kind();
    for name in ["", ".tmp", "../s", "a/b", "-s"] {
        assert_eq!(kind(table.snapshot(name).map(drop)), ErrorKind::InvalidArgument, "{name}");
    }
    table.snapshot("s").unwrap();
    let exists = table.snapshot("s").unwrap_err();
    assert_eq!(io_kind(&exists), Some(io::ErrorKind::AlreadyExists), "{exists}");
    let exists = Table::clone_snapshot(&root, "s", "t", writable()).unwrap_err();
    assert_eq!(io_kind(&exists), Some(io::ErrorKind::AlreadyExists), "{exists}");
    let exists = Table::export_snapshot(&root, "s", &root).unwrap_err();
    assert_eq!(io_kind(&exists), Some(io::ErrorKind::AlreadyExists), "{exists}");
    let locked = Table::restore_snapshot(&root, "s", writable()).unwrap_err();
    assert_eq!(locked.kind(), ErrorKind::Locked, "{locked}");
    assert_eq!(rows(&table).len(), 1);
    for missing in [
        Table::delete_snapshot(&root, "none").unwrap_err(),
        Table::clone_snapshot(&root, "none", "c", writable()).unwrap_err(),
        Table::restore_snapshot(&root, "none", writable()).unwrap_err(),
        Table::export_snapshot(&root, "none", dir.path().join("other")).unwrap_err(),
    ] {
        assert_eq!(io_kind(&missing), Some(io::ErrorKind::NotFound), "{missing}");
    }
    for name in ["", ".tmp", "..", "a/b"] {
        assert_eq!(kind(Table::delete_snapshot(&root, name)), ErrorKind::InvalidArgument, "{name}");
    }
    for name in ["hbase:meta", "hbase:namespace"] {
        let cloned = Table::clone_snapshot(&root, "s", name, writable()).map(drop);
        assert_eq!(kind(cloned), ErrorKind::Unsupported, "{name}");
        assert!(!root.join("data").join(name.replace(':', "/")).exists(), "{name}");
    }
    table.close().unwrap();
    assert_eq!(kind(table.snapshot("closed").map(drop)), ErrorKind::Closed);
    let read = Table::open(&root, "t").unwrap();
    assert_eq!(kind(read.snapshot("read").map(drop)), ErrorKind::InvalidArgument);
    let snapshot = Table::open_snapshot(&root, "s").unwrap();
    assert_eq!(kind(snapshot.snapshot("again").map(drop)), ErrorKind::InvalidArgument);
    let outside = dir.path().join("outside");
    copy_dir(&root.join("data/default/t"), &outside);
    let outside = Table::open_dir(outside, writable()).unwrap();
    assert_eq!(kind(outside.snapshot("outside").map(drop)), ErrorKind::Unsupported);
    // A log of a server could have edits of the table.
    fs::create_dir_all(root.join("WALs/server,1,2")).unwrap();
    fs::write(root.join("WALs/server,1,2/log.1"), "").unwrap();
    assert_eq!(kind(Table::restore_snapshot(&root, "s", writable()).map(drop)), ErrorKind::Unsupported);
    let names: Vec<_> =
        Table::list_snapshots(&root).unwrap().into_iter().map(|s| s.name().to_owned()).collect();
    assert_eq!(names, ["s"]);
}

/// A name that is a path is refused before any file is looked up.
#[test]
fn the_name_of_a_snapshot_is_checked_before_it_is_deleted() {
    let storage = World::new().storage;
    let before = storage.all_calls();
    for name in ["", ".tmp", "..", "a/b", "../old", ".tmp/../old", "/hbase"] {
        let error = Table::delete_snapshot_with(ROOT, name, options(&storage)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{name}: {error}");
    }
    assert_eq!(storage.all_calls(), before);
}

/// A snapshot does not follow symbolic links below the root.
#[cfg(unix)]
#[test]
fn a_snapshot_is_not_taken_through_symbolic_links() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = dir.path();
    let table = Table::create(root, "t", &[Family::new("f")], &["m"]).unwrap();
    for row in ["a", "z"] {
        table.put(Put::new(row).cell("f", "q", "v")).unwrap();
    }
    let region = table.regions()[0].encoded_name();
    table.close().unwrap();
    let path = root.join("data/default/t");
    for linked in [path.clone(), path.join(region)] {
        let moved = outside.path().join("moved");
        fs::rename(&linked, &moved).unwrap();
        std::os::unix::fs::symlink(&moved, &linked).unwrap();
        let table = Table::open_dir(&path, writable()).unwrap();
        let error = table.snapshot("s").unwrap_err();
        assert_eq!(io_kind(&error), Some(io::ErrorKind::PermissionDenied), "{error}");
        table.close().unwrap();
        assert!(Table::list_snapshots(root).unwrap().is_empty());
        fs::remove_file(&linked).unwrap();
        fs::rename(&moved, &linked).unwrap();
    }
    let table = Table::open_dir(&path, writable()).unwrap();
    table.snapshot("s").unwrap();
    assert_eq!(rows(&Table::open_snapshot(root, "s").unwrap()), rows(&table));
}

/// Entries that a dead process left only in its region's log are not replayed into the restored region.
#[test]
fn logs_of_a_replaced_table_are_gone_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let table = Table::create(dir.path(), "t", &[Family::new("f")], &["m"]).unwrap();
    table.put(Put::new("a").cell("f", "q", "old")).unwrap();
    table.snapshot("s").unwrap();
    table.put(Put::new("a").cell("f", "q", "new")).unwrap();
    table.put(Put::new("z").cell("f", "q", "new")).unwrap();
    for row in ["a", "z"] {
        table.region(row).unwrap().abort().unwrap();
    }
    drop(table);
    let value =
        |table: &Table, row: &str| table.get(&Get::new(row)).unwrap().value("f", "q").map(<[u8]>::to_vec);
    assert_eq!(value(&Table::open(dir.path(), "t").unwrap(), "z"), Some(b"new".to_vec()), "it is in the log");
    let restored = Table::restore_snapshot(dir.path(), "s", Region::options()).unwrap();
    assert_eq!((value(&restored, "a"), value(&restored, "z")), (Some(b"old".to_vec()), None));
    restored.close().unwrap();
    assert!(Table::recover(dir.path(), Region::options()).unwrap().regions.is_empty());
    let table = Table::open(dir.path(), "t").unwrap();
    assert_eq!((value(&table, "a"), value(&table, "z")), (Some(b"old".to_vec()), None));
    assert!(!dir.path().join(".tmp/data/default/t").exists());
}

/// A clone with the name of a deleted table has regions of the same names. Edits for them in logs of servers
/// are not replayed into it.
#[test]
fn a_clone_gets_no_edits_of_a_deleted_table() {
    use hregion::wal::{WalKey, WalWriterOptions};
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let table = Table::create(root, "t", &[Family::new("f")], &["m"]).unwrap();
    table.put(Put::new("a").cell_at("f", "q", 5, "then")).unwrap();
    table.snapshot("s").unwrap();
    let region = table.region("a").unwrap().info().encoded_name();
    table.close().unwrap();
    Table::delete_table(root, "t", &Region::options()).unwrap();
    let log = root.join("WALs/h,1,2/h%2C1%2C2.1000");
    fs::create_dir_all(log.parent().unwrap()).unwrap();
    let mut writer = WalWriterOptions::new().create(&log).unwrap();
    let key = SeekKey::of(b"a", b"f", b"q", 9, CellType::Put);
    writer.append(&WalKey::new(&*region, "t", 1000, 500), [CellRef::new(&key, b"later")]).unwrap();
    writer.close().unwrap();
    let clone = |name| Table::clone_snapshot(root, "s", name, Region::options());
    let error = clone("t").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(!root.join("data/default/t").exists());
    clone("other").unwrap().close().unwrap();
    let done = Table::recover(root, Region::options()).unwrap();
    assert_eq!(done.regions.len(), 1, "that of the deleted table, which is gone: {done:?}");
    let table = clone("t").unwrap();
    assert_eq!(table.get(&Get::new("a")).unwrap().value("f", "q"), Some(&b"then"[..]));
}

#[test]
fn a_damaged_file_is_not_exported() {
    let dir = tempfile::tempdir().unwrap();
    let (root, other) = (dir.path().join("root"), dir.path().join("other"));
    let table = Table::create(&root, "t", &[Family::new("f")], &["m"]).unwrap();
    table.put(Put::new("a").cell("f", "q", vec![7; 1000])).unwrap();
    table.snapshot("s").unwrap();
    let region = table.region("a").unwrap();
    let name = region.store_file_names("f").unwrap().remove(0);
    let path = region.path().join("f").join(name);
    let sound = fs::read(&path).unwrap();
    let mut damaged = sound.clone();
    damaged[500] ^= 1;
    fs::write(&path, damaged).unwrap();
    let error = Table::export_snapshot(&root, "s", &other).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.path().is_some_and(|at| at.starts_with(&root)), "{error}: the copy is not there any more");
    assert!(Table::list_snapshots(&other).unwrap().is_empty());
    fs::write(&path, sound).unwrap();
    let error = Table::export_snapshot(&root, "s", &other);
    assert!(error.is_ok(), "{error:?}: the damaged copy was removed");
    assert_eq!(rows(&Table::open_snapshot(&other, "s").unwrap()), rows(&table));
}

#[cfg(feature = "crypto")]
#[test]
fn encrypted_families_stay_encrypted() {
    let dir = tempfile::tempdir().unwrap();
    let (root, other) = (dir.path().join("root"), dir.path().join("other"));
    let keyed = || writable().master_key(&[7_u8; 16][..]);
    let families = [Family::new("f").encryption(hregion::Cipher::Aes)];
    let table = Table::create_with(&root, "t", &families, &["m"], keyed()).unwrap();
    table.put(Put::new("a").cell("f", "q", "secret")).unwrap();
    table.snapshot("s").unwrap();
    let expected = rows(&table);
    let clone = Table::clone_snapshot(&root, "s", "c", keyed()).unwrap();
    assert_eq!(rows(&clone), expected);
    clone.put(Put::new("b").cell("f", "q", "secret")).unwrap();
    clone.close().unwrap();
    let kind = |error: Error| error.kind();
    let without = Table::open_snapshot(&root, "s").unwrap();
    assert_eq!(without.get(&Get::new("a")).map_err(kind), Err(ErrorKind::Unsupported));
    assert_eq!(Table::export_snapshot(&root, "s", &other).map_err(kind), Err(ErrorKind::Unsupported));
    assert!(Table::list_snapshots(&other).unwrap().is_empty());
    Table::export_snapshot_with(&root, "s", &other, keyed()).unwrap();
    let exported = Table::open_snapshot_with(&other, "s", keyed().writable(false)).unwrap();
    assert_eq!(rows(&exported), expected);
    let is_shown = |bytes: &Vec<u8>| bytes.windows(6).any(|part| part == b"secret");
    let mut below = files(dir.path());
    below.retain(|path, _| !path.iter().any(|name| name == "recovered.edits"));
    assert!(below.len() > 10 && !below.values().any(is_shown));
}
