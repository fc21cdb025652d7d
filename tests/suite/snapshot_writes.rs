//! Snapshots that are taken, removed, cloned, restored and exported here: against those of HBase, beside
//! writes, and with every call failing or the last one.

use crate::support::files::{contents, copy_dir, relative_to};
use crate::support::forward::forward;
use crate::support::golden;
use crate::support::protobuf::unsealed;
use hregion::io::FileWriter;
use hregion::io::faulty::{Call, Crash, FaultyStorage};
use hregion::region::{CompactionFilter, ObserverContext};
use hregion::{
    CellRef, CellType, Compaction, Delete, Error, ErrorKind, Family, Get, HFileWriter, ManualClock, Put,
    Region, RegionObserver, RegionOptions, Row, Scan, SeekKey, SnapshotType, Storage, StoreFileOrigin,
    StoreFileWriter, Table,
};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::{fs, io, thread};

/// Returns a copy of a root that HBase wrote.
fn root_of_hbase(stage: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    copy_dir(&golden::root("testdata/region").join(stage).join("root"), dir.path());
    dir
}

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

fn io_kind(error: &Error) -> Option<io::ErrorKind> {
    error.source().and_then(|source| source.downcast_ref::<io::Error>()).map(io::Error::kind)
}

/// Splits a protobuf message of delimited fields and varints into its fields.
fn fields(mut message: &[u8]) -> Vec<(u64, Vec<u8>)> {
    fn varint(message: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let (byte, rest) = message.split_first().unwrap();
            *message = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return value;
            }
        }
        unreachable!()
    }
    let mut found = Vec::new();
    while !message.is_empty() {
        let tag = varint(&mut message);
        let value = varint(&mut message);
        let bytes = match tag & 7 {
            0 => value.to_be_bytes().to_vec(),
            2 => {
                let (bytes, rest) = message.split_at(usize::try_from(value).unwrap());
                message = rest;
                bytes.to_vec()
            }
            other => panic!("wire type {other}"),
        };
        found.push((tag >> 3, bytes));
    }
    found
}

/// The files of each family of each region; and the table descriptor. All are messages.
type Manifest = (Vec<u8>, BTreeMap<Vec<u8>, BTreeMap<Vec<u8>, BTreeSet<Vec<u8>>>>);

fn manifest(root: &Path, name: &str) -> Manifest {
    let bytes = fs::read(root.join(".hbase-snapshot").join(name).join("data.manifest")).unwrap();
    let (mut schema, mut regions) = (Vec::new(), BTreeMap::new());
    for (number, field) in fields(&bytes) {
        match number {
            1 => {
                schema = field;
                continue;
            }
            2 => {}
            _ => continue, // of ours only
        }
        let (mut info, mut families) = (Vec::new(), BTreeMap::new());
        for (number, field) in fields(&field) {
            if number == 2 {
                info = field;
                continue;
            }
            let mut of_family = fields(&field).into_iter();
            let name = of_family.next().unwrap().1;
            families.insert(name, of_family.map(|(_, file)| file).collect());
        }
        regions.insert(info, families);
    }
    (schema, regions)
}

#[test]
fn a_snapshot_has_the_manifest_that_hbase_writes() {
    let dir = root_of_hbase("clone-references");
    let table = Table::open_with(dir.path(), "joined", writable()).unwrap();
    let taken = table.snapshot("ours").unwrap();
    assert_eq!((taken.name(), taken.table().to_string().as_str(), taken.version()), ("ours", "joined", 2));
    assert_eq!((taken.snapshot_type(), taken.ttl()), (SnapshotType::Flush, None));
    assert_eq!(manifest(dir.path(), "ours"), manifest(dir.path(), "joined-snap"));
    let read = |file: &str| fs::read(dir.path().join(".hbase-snapshot/ours").join(file)).unwrap();
    let ours = fields(unsealed(&read("data.manifest"))).pop();
    assert_eq!(ours, Some((1001, read(".snapshotinfo"))), "a copy of the description");
    let listed = Table::list_snapshots(dir.path()).unwrap();
    assert_eq!((listed.len(), &listed[1]), (2, &taken));
    // The descriptions differ in the name, the time and the owner.
    let info =
        |name: &str| fs::read(dir.path().join(".hbase-snapshot").join(name).join(".snapshotinfo")).unwrap();
    let without =
        |name| fields(&info(name)).into_iter().filter(|(n, _)| ![1, 3, 6].contains(n)).collect::<Vec<_>>();
    assert_eq!(without("ours"), without("joined-snap"));
    let (ours, theirs) =
        (Table::open_snapshot(dir.path(), "ours"), Table::open_snapshot(dir.path(), "joined-snap"));
    let (ours, theirs) = (rows(&ours.unwrap()), rows(&theirs.unwrap()));
    assert!(ours.len() > 50 && ours == theirs && ours == rows(&table));
}

#[test]
fn a_clone_has_the_files_that_hbase_gives_it() {
    let stage = golden::root("testdata/region").join("clone-references");
    compare_clone(&stage, "joined-snap", "cloned");
    // HBase has the parent of a split in the snapshot, and links to its files in the clone.
    match golden::shared("cluster/tables/clone") {
        Some(stage) => compare_clone(&stage, "halves-snap", "cloned2"),
        None => println!("SKIPPED: no shared/golden/cluster/tables/clone"),
    }
}

/// Compares a clone with that of HBase, without the files that HBase writes when it opens a region.
fn compare_clone(stage: &Path, snapshot: &str, name: &str) {
    let [dir, hbase] = [(); 2].map(|()| {
        let dir = tempfile::tempdir().unwrap();
        copy_dir(&stage.join("root"), dir.path());
        dir
    });
    let (cloned, archive) = (Path::new("data/default").join(name), Path::new("archive"));
    fs::remove_dir_all(dir.path().join(&cloned)).unwrap();
    fs::remove_dir_all(dir.path().join(archive)).unwrap();
    let clone = Table::clone_snapshot(dir.path(), snapshot, name, writable()).unwrap();
    let found = rows(&clone);
    assert_eq!(found, rows(&Table::open(hbase.path(), name).unwrap()));
    clone.close().unwrap();
    let is_clone_mark = |path: &Path| path.iter().any(|n| n.to_str().unwrap().starts_with(".clone."));
    let at_open =
        |path: &Path| path.ends_with(".hregion.lock") || path.iter().any(|n| n == "recovered.edits");
    let at_first = |mut files: BTreeMap<PathBuf, Vec<u8>>| {
        files.retain(|path, _| !at_open(path) && !is_clone_mark(path));
        files
    };
    let [ours, theirs] = [&dir, &hbase].map(|root| at_first(files(&root.path().join(&cloned))));
    let sealed = |path: &Path, bytes: &[u8]| {
        let is_reference = path.components().count() == 3 && !bytes.is_empty();
        is_reference || path.ends_with(".regioninfo") || path.starts_with(".tabledesc")
    };
    let mut seals = 0;
    // The name of a descriptor has its length.
    let ours: BTreeMap<PathBuf, Vec<u8>> = ours
        .into_iter()
        .map(|(path, mut bytes)| {
            let len = bytes.len();
            if sealed(&path, &bytes) {
                bytes.truncate(unsealed(&bytes).len());
                seals += 1;
            }
            let name = path.to_str().unwrap();
            let with_length = name.strip_suffix(&format!(".{len}")).map(|n| format!("{n}.{}", bytes.len()));
            (with_length.map_or(path, PathBuf::from), bytes)
        })
        .collect();
    let delimited = |(path, mut bytes): (PathBuf, Vec<u8>)| {
        if path.ends_with(".regioninfo") {
            bytes[4] += 14;
        }
        (path, bytes)
    };
    assert_eq!(ours, theirs.into_iter().map(delimited).collect());
    assert!(seals >= 4, "{seals}");
    let back_references = |root: &Path| {
        let mut found = files(&root.join(archive));
        found.retain(|path, _| path.to_str().unwrap().ends_with(&format!(".{name}")));
        found
    };
    assert_eq!(back_references(dir.path()), back_references(hbase.path()));
    // Once it is compacted, the clone has files of its own, and the snapshot is as it was.
    let clone = Table::open_with(dir.path(), name, writable()).unwrap();
    for info in clone.regions() {
        clone.region(info.start_key()).unwrap().compact(Compaction::Major).unwrap();
    }
    assert_eq!(rows(&clone).len(), found.len());
    assert_eq!(rows(&Table::open_snapshot(dir.path(), snapshot).unwrap()).len(), found.len());
}

/// Removes from the archive what HBase's cleaner removes: HFiles that no snapshot names and to which no link
/// exists. Returns how many are left.
fn clean_archive(root: &Path) -> usize {
    let mut named = BTreeSet::new();
    for snapshot in Table::list_snapshots(root).unwrap() {
        for families in manifest(root, snapshot.name()).1.into_values() {
            for file in families.into_values().flatten() {
                let name = String::from_utf8(fields(&file)[0].1.clone()).unwrap();
                // Not the HFile of a reference: old releases do not know it.
                let is_link = name.contains('=') && !name.contains('.');
                let hfile = name.rsplit_once('-').filter(|_| is_link).map(|(_, hfile)| hfile.to_owned());
                named.insert(hfile.unwrap_or(name));
            }
        }
    }
    let archive = root.join("archive/data");
    let archived = files(&archive);
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let mut left = 0;
    for path in archived.keys().map(|path| text(path)) {
        let [namespace, table, region, family, file] = path.split('/').collect::<Vec<_>>()[..] else {
            continue; // a back reference
        };
        let prefix = format!("{namespace}/{table}/{region}/{family}/.links-{file}/");
        let links = archived.keys().filter_map(|path| text(path).strip_prefix(&prefix).map(str::to_owned));
        let is_linked = links.into_iter().any(|name| {
            let (cloned, clone) = name.split_once('.').unwrap();
            let link = format!("data/default/{clone}/{cloned}/{family}/{table}={region}-{file}");
            root.join(link).exists()
        });
        if is_linked || named.contains(file) {
            left += 1;
        } else {
            fs::remove_file(archive.join(&path)).unwrap();
        }
    }
    left
}

fn compact(table: &Table) {
    for info in table.regions() {
        table.region(info.start_key()).unwrap().compact(Compaction::Major).unwrap();
    }
}

/// HBase's cleaner removes files of the archive that neither a snapshot nor a link needs. A reference is no
/// link: the parent of a split is in the snapshot and in its clone.
#[test]
fn files_of_parents_are_kept_from_the_cleaner() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let tracked = Family::new("g").configuration("hbase.store.file-tracker.impl", "FILE");
    let options = || Region::options().compaction_enabled(false);
    let table = Table::create_with(root, "t", &[Family::new("f"), tracked], &[""; 0], options()).unwrap();
    for row in ["a", "c", "n", "x"] {
        table.put(Put::new(row).cell("f", "q", "v").cell("g", "q", "v")).unwrap();
    }
    table.split("m").unwrap();
    let expected = rows(&table);
    table.snapshot("s").unwrap();
    let clone = Table::clone_snapshot(root, "s", "c", writable()).unwrap();
    clone.snapshot("of-clone").unwrap();
    let second = Table::clone_snapshot(root, "of-clone", "c2", writable()).unwrap();
    assert_eq!((clone.regions().len(), second.regions().len()), (2, 2));
    compact(&table);
    assert_eq!(table.archive_parents().unwrap().len(), 1);
    let snapshot = || Table::open_snapshot(root, "s").unwrap();
    assert!(clean_archive(root) > 0);
    assert_eq!((snapshot().regions().len(), rows(&snapshot())), (2, expected.clone()));
    // The table itself, after further changes.
    table.delete(Delete::new("a")).unwrap();
    table.close().unwrap();
    let table = Table::restore_snapshot(root, "s", writable()).unwrap();
    assert_eq!((table.regions().len(), rows(&table)), (2, expected.clone()));
    for name in ["s", "of-clone"] {
        Table::delete_snapshot(root, name).unwrap();
    }
    for (table, left) in [(&clone, 2), (&second, 1), (&table, 0)] {
        assert!(clean_archive(root) > 0);
        let again = Table::open(root, &table.name().to_string()).unwrap();
        assert_eq!(rows(&again), expected, "{left}");
        assert!(table.archive_parents().unwrap().is_empty(), "the daughters need it");
        compact(table);
        assert_eq!(table.archive_parents().unwrap().len(), 1);
        assert_eq!(rows(table), expected);
    }
    assert_eq!(clean_archive(root), 0, "nothing needs the files any more");
    for name in ["t", "c", "c2"] {
        assert_eq!(rows(&Table::open(root, name).unwrap()), expected, "{name}");
    }
}

/// A table after a split, whose daughters have references to files of the parent; with a FILE tracker, too.
#[test]
fn references_links_and_lists_are_carried_over() {
    for (stage, name) in [
        ("split-references", "halves"),
        ("clone-references", "cloned"),
        ("tracked-split", "tracked"),
        ("split-links", "halves"),
    ] {
        if !golden::root("testdata/region").join(stage).exists() {
            continue;
        }
        let (dir, elsewhere) = (root_of_hbase(stage), tempfile::tempdir().unwrap());
        let root = dir.path();
        let table = Table::open_with(root, name, writable()).unwrap();
        let expected = rows(&table);
        assert!(expected.len() > 5, "{stage}");
        table.snapshot("s1").unwrap();
        let clone = Table::clone_snapshot(root, "s1", "ns:c", writable()).unwrap();
        assert_eq!(rows(&clone), expected, "{stage}");
        clone.snapshot("s2").unwrap();
        let again = Table::clone_snapshot(root, "s2", "c2", writable()).unwrap();
        assert_eq!(rows(&again), expected, "{stage}");
        Table::export_snapshot(root, "s2", elsewhere.path()).unwrap();
        // What the clones do leaves the others as they were.
        for info in again.regions() {
            let region = again.region(info.start_key()).unwrap();
            region.compact(Compaction::Major).unwrap();
        }
        for row in expected.iter().step_by(2) {
            for table in [&table, &clone] {
                table.delete(Delete::new(row.key().to_vec())).unwrap();
            }
        }
        for table in [&table, &clone] {
            table.flush().unwrap();
            for info in table.regions() {
                table.region(info.start_key()).unwrap().compact(Compaction::Major).unwrap();
            }
            assert!(rows(table).len() <= expected.len() / 2, "{stage}");
        }
        assert_eq!(rows(&again), expected, "{stage}");
        for name in ["s1", "s2"] {
            assert_eq!(rows(&Table::open_snapshot(root, name).unwrap()), expected, "{stage} {name}");
        }
        table.close().unwrap();
        clone.close().unwrap();
        assert_eq!(rows(&Table::restore_snapshot(root, "s1", writable()).unwrap()), expected, "{stage}");
        assert_eq!(rows(&Table::restore_snapshot(root, "s2", writable()).unwrap()), expected, "{stage}");
        let exported = Table::clone_snapshot(elsewhere.path(), "s2", "x", writable()).unwrap();
        assert_eq!(rows(&exported), expected, "{stage}");
    }
}

/// A row per region has a counter in each family, which is written last of all rows: a snapshot that has one
/// of its values has all writes before it and none after.
#[test]
fn a_snapshot_beside_writes_has_one_moment_of_each_region() {
    let dir = tempfile::tempdir().unwrap();
    let families = [Family::new("f"), Family::new("g")];
    let options = Region::options().memstore_flush_size(16 << 10);
    let table = Table::create_with(dir.path(), "t", &families, &["m"], options).unwrap();
    let stop = AtomicBool::new(false);
    let names: Vec<String> = (0..8).map(|i| format!("s{i}")).collect();
    thread::scope(|scope| {
        let writers: Vec<_> = ["a", "z"]
            .into_iter()
            .map(|prefix| {
                let (table, stop) = (&table, &stop);
                scope.spawn(move || {
                    let mut n = 0_u32;
                    while !stop.load(Ordering::Relaxed) {
                        let row = format!("{prefix}{:03}", n % 40);
                        let value = n.to_string();
                        let put = Put::new(row).cell("f", "q", value.clone()).cell("g", "q", value);
                        table.put(put).unwrap();
                        n += 1;
                    }
                    n
                })
            })
            .collect();
        let upkeep = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for row in ["a", "z"] {
                    let region = table.region(row).unwrap();
                    region.flush().unwrap();
                    region.compact(Compaction::Major).unwrap();
                }
            }
        });
        for name in &names {
            table.snapshot(name).unwrap();
        }
        stop.store(true, Ordering::Relaxed);
        upkeep.join().unwrap();
        assert!(writers.into_iter().all(|writer| writer.join().unwrap() > 40));
    });
    let mut last = BTreeMap::new();
    for name in names {
        let snapshot = Table::open_snapshot(dir.path(), &name).unwrap();
        for prefix in ["a", "z"] {
            let number = |row: &str, family: &str| -> Option<u32> {
                let row = snapshot.get(&Get::new(row)).unwrap();
                Some(std::str::from_utf8(row.value(family, "q")?).unwrap().parse().unwrap())
            };
            let values =
                |family| (0..40).filter_map(|i| number(&format!("{prefix}{i:03}"), family)).collect();
            let (f, g): (BTreeSet<u32>, BTreeSet<u32>) = (values("f"), values("g"));
            assert_eq!(f, g, "{name}: rows are whole");
            // The newest values of forty rows are the last forty writes, without gaps.
            let Some(newest) = f.last().copied() else { continue };
            let oldest = (newest + 1).saturating_sub(40);
            assert!(f.iter().copied().eq(oldest..=newest), "{name}: {f:?}");
            let before = last.insert(prefix, newest);
            assert!(before.is_none_or(|before| before <= newest), "{name}: later snapshots have more");
        }
    }
}

/// Holds up a bulk load before its commit until memory is frozen for a snapshot, and then that flush until
/// the load is done.
#[derive(Debug)]
struct Meeting {
    loading: Sender<()>,
    frozen: (Sender<()>, Mutex<Receiver<()>>),
    loaded: Mutex<Receiver<()>>,
    table: OnceLock<Table>,
}

impl RegionObserver for Meeting {
    fn pre_commit_store_file(
        &self,
        _: &mut ObserverContext<'_>,
        _: &[u8],
        _: &Path,
        _: &Path,
    ) -> Result<(), Error> {
        self.loading.send(()).unwrap();
        self.frozen.1.lock().unwrap().recv().unwrap();
        Ok(())
    }

    fn pre_flush_store(
        &self,
        _: &mut ObserverContext<'_>,
        _: &[u8],
    ) -> Result<Option<Box<dyn CompactionFilter>>, Error> {
        if let Some(table) = self.table.get() {
            // A hook of a flush may not write to its table.
            let (table, put) = (table.clone(), Put::new("after").cell("f", "q", "v"));
            thread::spawn(move || table.put(put)).join().unwrap()?;
            self.frozen.0.send(()).unwrap();
            self.loaded.lock().unwrap().recv().unwrap();
        }
        Ok(None)
    }
}

#[test]
fn a_file_loaded_during_a_snapshot_is_not_in_it_before_earlier_writes() {
    let dir = tempfile::tempdir().unwrap();
    let load = dir.path().join("load");
    let mut writer = StoreFileWriter::create(HFileWriter::options(), &load).unwrap();
    writer.append(CellRef::new(&SeekKey::of(b"loaded", b"f", b"q", 1, CellType::Put), b"v")).unwrap();
    let origin = StoreFileOrigin::Store { max_seq_id: 0, major_compaction: false, compacted: Vec::new() };
    writer.finish(&origin).unwrap();
    let ((loading, is_loading), (loaded, is_loaded)) = (channel(), channel());
    let (frozen, is_frozen) = channel();
    let meeting = Arc::new(Meeting {
        loading,
        frozen: (frozen, Mutex::new(is_frozen)),
        loaded: Mutex::new(is_loaded),
        table: OnceLock::new(),
    });
    let options = Region::options().observer(0, Arc::clone(&meeting) as _);
    let root = dir.path().join("root");
    let table = Table::create_with(&root, "t", &[Family::new("f")], &[] as &[&str], options).unwrap();
    let region = table.region("").unwrap();
    let loader = thread::spawn(move || {
        region.bulk_load(&[("f", &load)]).unwrap();
        loaded.send(()).unwrap();
    });
    is_loading.recv().unwrap();
    table.put(Put::new("before").cell("f", "q", "v")).unwrap();
    meeting.table.set(table.clone()).unwrap();
    table.snapshot("s").unwrap();
    loader.join().unwrap();
    let keys = |table: &Table| -> Vec<String> {
        rows(table).iter().map(|row| String::from_utf8(row.key().to_vec()).unwrap()).collect()
    };
    assert_eq!(keys(&Table::open_snapshot(&root, "s").unwrap()), ["before"]);
    assert_eq!(keys(&table), ["after", "before", "loaded"]);
    table.region("").unwrap().abort().unwrap();
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

/// A snapshot is read through no symbolic link below the root.
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

/// What a region had only in its log when its process died is not replayed into the restored region.
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

/// A clone with the name of a table that was deleted has regions of the same names. Edits of these in logs of
/// servers are not replayed into it.
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

/// A root with a table of two regions, the snapshots `old` and `new` of it, a clone `c` of `old`, and writes
/// behind `new` that are only in the log. Returns the rows of all of them.
struct World {
    storage: FaultyStorage,
    old: Vec<Row>,
    new: Vec<Row>,
    now: Vec<Row>,
}

impl World {
    fn new() -> Self {
        let storage = FaultyStorage::new();
        let tracked = Family::new("g").configuration("hbase.store.file-tracker.impl", "FILE");
        let families = [Family::new("f").max_versions(3), tracked];
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

    /// Checks what no change of a snapshot may change.
    fn check_others(&self, storage: &FaultyStorage, context: &str) {
        assert_eq!(read_snapshot(storage, ROOT, "old").as_ref(), Some(&self.old), "{context}");
        assert_eq!(read_snapshot(storage, ROOT, "new").as_ref(), Some(&self.new), "{context}");
        assert_eq!(read(storage, "c").unwrap(), self.old, "{context}");
    }
}

/// Plays a change with each of its calls failing, and with the process or the machine dying at each, and
/// repeats it. `check` gets the storage after the first attempt and whether it succeeded; `done`, after the
/// change has succeeded.
fn each_call(
    world: &World,
    crashes: &[Crash],
    change: impl Fn(&FaultyStorage) -> Result<(), Error>,
    check: impl Fn(&FaultyStorage, bool, &str),
    done: impl Fn(&FaultyStorage, &str),
) -> u64 {
    let storage = world.copy();
    let before = storage.calls();
    change(&storage).unwrap();
    let calls = storage.calls() - before;
    done(&storage, "without faults");
    for n in 0..calls {
        let context = format!("call {n} fails");
        let storage = world.copy();
        storage.fail_after(n);
        let changed = change(&storage).is_ok();
        storage.heal();
        check(&storage, changed, &context);
        if !changed && let Err(error) = change(&storage) {
            // It failed when all was done: a table that was cloned could not be opened.
            let is_done = [Some(io::ErrorKind::AlreadyExists)];
            assert!(is_done.contains(&io_kind(&error)), "{context}: {error}");
        }
        done(&storage, &context);
        for crash in crashes {
            let context = format!("{crash:?} at call {n}");
            let storage = world.copy();
            storage.die_after(n);
            let changed = change(&storage).is_ok();
            let crash = if let Crash::Chance(seed) = crash { Crash::Chance(seed + n) } else { *crash };
            let storage = storage.after(crash);
            check(&storage, changed, &context);
            if let Err(error) = change(&storage) {
                let is_done = [io::ErrorKind::AlreadyExists, io::ErrorKind::NotFound].map(Some);
                assert!(is_done.contains(&io_kind(&error)), "{context}: {error}");
            }
            done(&storage, &context);
            done(&storage.after(Crash::Hard), &context);
        }
    }
    calls
}

/// Copies a root that HBase wrote into memory.
fn in_memory(stage: &str) -> FaultyStorage {
    let storage = FaultyStorage::new();
    for (path, bytes) in files(&golden::root("testdata/region").join(stage).join("root")) {
        let mut file = storage.create(&Path::new(ROOT).join(path)).unwrap();
        file.write_all(&bytes).unwrap();
        file.sync().unwrap();
    }
    storage
}

/// A manifest of HBase has no checksum: a flipped bit gives an error, or a table that can be opened.
#[test]
fn damaged_manifests_panic_nowhere() {
    let sound = in_memory("clone-references");
    let path = Path::new(ROOT).join(".hbase-snapshot/joined-snap/data.manifest");
    let manifest = sound.bytes(&path).unwrap();
    let (mut cloned, mut refused) = (0, 0);
    for bit in (0..manifest.len() * 8).step_by(11) {
        let storage = sound.after(Crash::OfTheProcess);
        let mut damaged = manifest.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        storage.create(&path).unwrap().write_all(&damaged).unwrap();
        let name = "joined-snap";
        match Table::clone_snapshot(ROOT, name, "d", options(&storage)) {
            Ok(table) => {
                cloned += 1;
                // Its regions may be cut elsewhere, or have settings that cannot be.
                let _ = table.view().scan(&Scan::new()).map(|rows| rows.collect::<Vec<_>>());
            }
            Err(_) => {
                refused += 1;
                assert_eq!(read(&storage, "d").unwrap_err().kind(), ErrorKind::TableNotFound, "bit {bit}");
            }
        }
        let exported = Table::export_snapshot_with(ROOT, name, OTHER, options(&storage));
        let found = Table::open_snapshot_with(OTHER, name, options(&storage).writable(false));
        assert_eq!(exported.is_ok(), found.is_ok(), "bit {bit}");
        let joined = read(&storage, "joined").unwrap();
        if Table::restore_snapshot(ROOT, name, options(&storage)).is_err() {
            assert_eq!(read(&storage, "joined").unwrap(), joined, "bit {bit}: it is as it was");
        }
    }
    assert!(cloned > 100 && refused > 100, "{cloned} {refused}");
}

const CRASHES: [Crash; 5] =
    [Crash::OfTheProcess, Crash::Hard, Crash::Torn, Crash::Chance(1), Crash::Chance(1_000)];

#[test]
fn a_snapshot_is_taken_whole_or_not() {
    let world = World::new();
    let take = |storage: &FaultyStorage| {
        let table = Table::open_with(ROOT, "ns:t", options(storage))?;
        let taken = table.snapshot("s").map(drop);
        // A region that could not be opened or flushed may refuse writes until it is opened again.
        table.regions().iter().for_each(|info| {
            if let Ok(region) = table.region(info.start_key()) {
                region.abort().unwrap();
            }
        });
        taken
    };
    let check = |storage: &FaultyStorage, taken: bool, context: &str| {
        world.check_others(storage, context);
        assert_eq!(read(storage, "ns:t").unwrap(), world.now, "{context}");
        let found = read_snapshot(storage, ROOT, "s");
        assert!(found.is_none() && !taken || found.as_ref() == Some(&world.now), "{context}: {found:?}");
    };
    let calls = each_call(&world, &CRASHES, take, check, |storage, context| check(storage, true, context));
    assert!(calls > 50, "{calls}");
}

#[test]
fn a_snapshot_is_removed_whole_or_not() {
    let mut world = World::new();
    open(&world.storage, "ns:t").snapshot("s").unwrap();
    world.storage = world.copy();
    let remove = |storage: &FaultyStorage| Table::delete_snapshot_with(ROOT, "s", options(storage));
    let check = |storage: &FaultyStorage, removed: bool, context: &str| {
        world.check_others(storage, context);
        let found = read_snapshot(storage, ROOT, "s");
        assert!(found.is_none() || !removed && found.as_ref() == Some(&world.now), "{context}: {found:?}");
    };
    let done = |storage: &FaultyStorage, context: &str| {
        check(storage, true, context);
        let storage = &storage.after(Crash::OfTheProcess);
        let table = open(storage, "ns:t");
        table.snapshot("s").unwrap();
        assert_eq!(
            read_snapshot(storage, ROOT, "s"),
            Some(rows(&table)),
            "{context}: the name can be used again"
        );
    };
    let calls = each_call(&world, &CRASHES, remove, check, done);
    assert!(calls > 5, "{calls}");
}

#[test]
fn a_table_is_cloned_whole_or_not() {
    let world = World::new();
    let clone = |storage: &FaultyStorage| {
        Table::clone_snapshot(ROOT, "old", "ns:d", options(storage)).and_then(|table| table.close())
    };
    let check = |storage: &FaultyStorage, cloned: bool, context: &str| {
        world.check_others(storage, context);
        match read(storage, "ns:d") {
            Ok(found) => assert_eq!(found, world.old, "{context}"),
            Err(error) => assert!(!cloned && error.kind() == ErrorKind::TableNotFound, "{context}: {error}"),
        }
    };
    let calls = each_call(&world, &CRASHES, clone, check, |storage, context| check(storage, true, context));
    assert!(calls > 50, "{calls}");
}

#[test]
fn a_table_is_restored_whole_or_not() {
    let world = World::new();
    let restore = |storage: &FaultyStorage| {
        Table::restore_snapshot(ROOT, "old", options(storage)).and_then(|table| table.close())
    };
    let check = |storage: &FaultyStorage, restored: bool, context: &str| {
        world.check_others(storage, context);
        match read(storage, "ns:t") {
            Ok(found) => {
                assert!(found == world.old || !restored && found == world.now, "{context}: {found:?}");
            }
            // It is between two renames.
            Err(error) => {
                assert!(!restored && error.kind() == ErrorKind::TableNotFound, "{context}: {error}");
            }
        }
    };
    // Not by chance: a rename that is lost on one side only would lose the whole table.
    let calls =
        each_call(&world, &CRASHES[..3], restore, check, |storage, context| check(storage, true, context));
    assert!(calls > 100, "{calls}");
}

/// A restoration that is repeated may fail again, for want of space: what it replaces remains until then.
#[test]
fn a_table_between_two_renames_remains_until_the_restored_one_is_complete() {
    let world = World::new();
    let restore = |storage: &FaultyStorage| {
        Table::restore_snapshot(ROOT, "old", options(storage)).and_then(|table| table.close())
    };
    let removed = Path::new(ROOT).join(".tmp/data/ns/t");
    let removed_files = |storage: &FaultyStorage| -> Vec<PathBuf> {
        storage.names().into_iter().filter(|name| Path::new("/").join(name).starts_with(&removed)).collect()
    };
    let has_info = |name: &PathBuf| name.ends_with(".regioninfo");
    let mut between = 0;
    for n in 0.. {
        let storage = world.copy();
        storage.die_after(n);
        if restore(&storage).is_ok() {
            break;
        }
        let storage = storage.after(Crash::OfTheProcess);
        let before = removed_files(&storage);
        let is_there = read(&storage, "ns:t").is_ok();
        if is_there || !before.iter().any(has_info) {
            continue;
        }
        between += 1;
        storage.break_calls(Call::Write);
        restore(&storage).unwrap_err();
        assert_eq!(removed_files(&storage), before, "call {n} was the last");
        storage.repair();
        restore(&storage).unwrap();
        assert!(read(&storage, "ns:t").unwrap() == world.old, "call {n} was the last");
        assert_eq!(removed_files(&storage), Vec::<PathBuf>::new());
    }
    assert!(between > 0);
}

#[test]
fn a_snapshot_is_exported_whole_or_not() {
    let world = World::new();
    let export = |storage: &FaultyStorage| Table::export_snapshot_with(ROOT, "old", OTHER, options(storage));
    let check = |storage: &FaultyStorage, exported: bool, context: &str| {
        world.check_others(storage, context);
        let found = read_snapshot(storage, OTHER, "old");
        assert!(found.is_none() && !exported || found.as_ref() == Some(&world.old), "{context}: {found:?}");
    };
    let calls = each_call(&world, &CRASHES, export, check, |storage, context| check(storage, true, context));
    assert!(calls > 30, "{calls}");
}

/// Storage on which the snapshot is taken again while its files are copied.
#[derive(Debug)]
struct Retaken {
    files: FaultyStorage,
    is_done: AtomicBool,
}

impl Storage for Retaken {
    forward!(files: open create create_log hard_link rename remove remove_dir sync_file sync_dir);
    forward!(files: list_dir create_dir_all lock optional);

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        if path.starts_with(OTHER) && !self.is_done.swap(true, Ordering::SeqCst) {
            Table::delete_snapshot_with(ROOT, "old", options(&self.files)).unwrap();
            open(&self.files, "ns:t").snapshot("old").unwrap();
        }
        self.files.create_new(path)
    }
}

#[test]
fn an_export_is_not_of_another_snapshot_of_the_same_name() {
    let world = World::new();
    let storage = world.copy();
    let retaken = Retaken { files: storage.clone(), is_done: AtomicBool::new(false) };
    let shared = options(&storage).storage(Arc::new(retaken));
    let error = Table::export_snapshot_with(ROOT, "old", OTHER, shared).unwrap_err();
    assert!(error.message().contains("another snapshot of the same name"), "{error}");
    assert_eq!(read_snapshot(&storage, OTHER, "old"), None);
    Table::export_snapshot_with(ROOT, "old", OTHER, options(&storage)).unwrap();
    assert_eq!(read_snapshot(&storage, OTHER, "old"), Some(world.now.clone()));
}

/// Storage on which a compaction moves the files of the table to the archive while they are copied.
#[derive(Debug)]
struct Compacted {
    files: FaultyStorage,
    /// The number of the file at which it does.
    at: usize,
    copied: AtomicUsize,
}

impl Storage for Compacted {
    forward!(files: open create create_log hard_link rename remove remove_dir sync_file sync_dir);
    forward!(files: list_dir create_dir_all lock optional);

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        if path.starts_with(OTHER) && self.copied.fetch_add(1, Ordering::SeqCst) == self.at {
            let table = open(&self.files, "ns:t");
            table.regions().iter().for_each(|info| {
                table.region(info.start_key()).unwrap().compact(Compaction::Major).unwrap();
            });
            table.close().unwrap();
        }
        self.files.create_new(path)
    }
}

#[test]
fn files_that_are_archived_meanwhile_are_exported() {
    let mut world = World::new();
    open(&world.storage, "ns:t").snapshot("s").unwrap();
    world.storage = world.copy();
    for at in 0.. {
        let storage = world.copy();
        let compacted = Arc::new(Compacted { files: storage.clone(), at, copied: AtomicUsize::default() });
        let shared = options(&storage).storage(compacted.clone());
        Table::export_snapshot_with(ROOT, "s", OTHER, shared).unwrap();
        assert_eq!(read_snapshot(&storage, OTHER, "s"), Some(world.now.clone()), "{at}");
        if compacted.copied.load(Ordering::SeqCst) <= at {
            assert!(at > 3, "{at}");
            break;
        }
    }
}

/// Storage on which a cleaner removes all files of an archive before the snapshot is published there that
/// names them.
#[derive(Debug)]
struct Cleaned {
    files: FaultyStorage,
    /// The roots whose archives are cleaned.
    roots: &'static [&'static str],
}

impl Storage for Cleaned {
    forward!(files: open create create_new create_log hard_link remove remove_dir sync_file sync_dir);
    forward!(files: list_dir create_dir_all lock optional);

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        if to == Path::new(OTHER).join(".hbase-snapshot/old") {
            for root in self.roots {
                let archive = Path::new(root).join("archive");
                let archive = archive.strip_prefix("/").unwrap();
                for path in self.files.names().iter().filter(|path| path.starts_with(archive)) {
                    self.files.remove(&Path::new("/").join(path))?;
                }
            }
        }
        self.files.rename(from, to)
    }
}

#[test]
fn an_export_has_the_files_that_a_cleaner_removes_meanwhile() {
    let world = World::new();
    for (roots, is_exported) in [(&[OTHER][..], true), (&[OTHER, ROOT], false)] {
        let storage = world.copy();
        let cleaned = Cleaned { files: storage.clone(), roots };
        let options = options(&storage).storage(Arc::new(cleaned));
        let exported = Table::export_snapshot_with(ROOT, "old", OTHER, options);
        assert_eq!(exported.is_ok(), is_exported, "{exported:?}");
        assert_eq!(read_snapshot(&storage, OTHER, "old"), is_exported.then(|| world.old.clone()));
    }
}
