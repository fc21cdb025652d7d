//! Comparisons with the snapshots, clones and archives of HBase.

use super::{files, rows, writable};
use crate::support::files::copy_dir;
use crate::support::golden;
use crate::support::protobuf::unsealed;
use crate::support::trackers::with_list;
use hregion::{Compaction, Delete, Family, Put, Region, SnapshotType, Table};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Returns a copy of a root written by HBase.
fn root_of_hbase(stage: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    copy_dir(&golden::root("testdata/region").join(stage).join("root"), dir.path());
    dir
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

/// The table descriptor, and the files of each family of each region, as messages.
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
            _ => continue, // only hregion has it
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
    // HBase includes the parent of a split in the snapshot, and links to its files in the clone.
    if let Some(stage) = golden::shared("cluster/tables/clone") {
        compare_clone(&stage, "halves-snap", "cloned2");
    }
}

/// Compares a clone with HBase's, except for the files that HBase writes when it opens a region.
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
    let ours: BTreeMap<PathBuf, Vec<u8>> = ours
        .into_iter()
        .map(|(path, mut bytes)| {
            if sealed(&path, &bytes) {
                bytes.truncate(unsealed(&bytes).len());
                seals += 1;
            }
            (path, bytes)
        })
        .collect();
    let delimited = |(path, mut bytes): (PathBuf, Vec<u8>)| {
        if path.ends_with(".regioninfo") {
            bytes[4] += 14;
        }
        // HBase 2.5 and later has the length of a descriptor in its name.
        let name = path.to_str().unwrap();
        let without_length =
            name.strip_suffix(&format!(".{}", bytes.len())).filter(|_| path.starts_with(".tabledesc"));
        (without_length.map(PathBuf::from).unwrap_or(path), bytes)
    };
    assert_eq!(ours, theirs.into_iter().map(delimited).collect());
    assert!(seals >= 4, "{seals}");
    let back_references = |root: &Path| {
        let mut found = files(&root.join(archive));
        found.retain(|path, _| path.to_str().unwrap().ends_with(&format!(".{name}")));
        found
    };
    assert_eq!(back_references(dir.path()), back_references(hbase.path()));
    // After a compaction, the clone has its own files, and the snapshot is unchanged.
    let clone = Table::open_with(dir.path(), name, writable()).unwrap();
    for info in clone.regions() {
        clone.region(info.start_key()).unwrap().compact(Compaction::Major).unwrap();
    }
    assert_eq!(rows(&clone).len(), found.len());
    assert_eq!(rows(&Table::open_snapshot(dir.path(), snapshot).unwrap()).len(), found.len());
}

/// Removes from the archive the files that HBase's cleaner removes: HFiles that no snapshot names and that
/// have no links. Returns how many remain.
fn clean_archive(root: &Path) -> usize {
    let mut named = BTreeSet::new();
    for snapshot in Table::list_snapshots(root).unwrap() {
        for families in manifest(root, snapshot.name()).1.into_values() {
            for file in families.into_values().flatten() {
                let name = String::from_utf8(fields(&file)[0].1.clone()).unwrap();
                // The HFile of a reference is not recognized by old releases.
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

pub(super) fn compact(table: &Table) {
    for info in table.regions() {
        table.region(info.start_key()).unwrap().compact(Compaction::Major).unwrap();
    }
}

/// HBase's cleaner removes archived files that neither a snapshot nor a link needs. References do not count
/// as links: the parent of a split is in the snapshot and in its clone.
#[test]
fn files_of_parents_are_kept_from_the_cleaner() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let tracked = with_list(Family::new("g"));
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

/// A table after a split, whose daughters have references to files of the parent; also with a FILE tracker.
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
        // Changes of the clones leave the other tables unchanged.
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
