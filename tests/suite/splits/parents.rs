//! Parents are archived when no region refers to their files.

use super::{
    META, ROOT, TABLE, add_catalog, check_catalog, compact, create, names, open, options, put, region_dirs,
    values,
};
use crate::support::files;
use crate::support::forward::forward;
use hregion::io::FileLock;
use hregion::io::faulty::{Crash, FaultyStorage};
use hregion::{Compaction, ErrorKind, Get, Put, RegionInfo, Storage, Table};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Creates a table of one region, which is split at `m`, with a row on each side.
fn create_with_rows(storage: &FaultyStorage) -> Table {
    let table = create(storage, &[]);
    table.put(put("a", "1")).unwrap();
    table.put(put("x", "1")).unwrap();
    table
}

/// HBase makes the directories of daughters before it commits a split, and archives the parent without a
/// mark. So the directories of a table are the same while its regions are not.
#[test]
fn rows_of_a_parent_that_hbase_is_archiving_are_read_from_daughters_that_were_not_committed_before() {
    let before = FaultyStorage::new();
    let table = create(&before, &["m"]);
    add_catalog(&before, &table);
    table.put(Put::new("a").cell("f", "q", "1")).unwrap();
    for row in ["n", "x"] {
        table.put(put(row, "1")).unwrap();
    }
    let expected = values(&table);
    let regions: Vec<String> = table.regions().iter().map(RegionInfo::encoded_name).collect();
    table.close().unwrap();
    let after = before.after(Crash::OfTheProcess);
    let other = open(&after, true);
    let (bottom, top) = other.split("t").unwrap();
    for row in ["n", "x"] {
        other.region(row).unwrap().compact(Compaction::Major).unwrap();
    }
    other.close().unwrap();
    let daughters = [&bottom, &top].map(|info| Path::new(TABLE).join(info.encoded_name()));
    let [first, parent] = [0, 1].map(|i| Path::new(ROOT).join("archive/data/default/t").join(&regions[i]));
    for has_info in [false, true] {
        let storage = before.after(Crash::OfTheProcess);
        let copy = |path: &Path| {
            storage.create_dir_all(path.parent().unwrap()).unwrap();
            files::write_synced(&storage, path, &after.bytes(path).unwrap());
        };
        for daughter in &daughters {
            storage.create_dir_all(daughter).unwrap();
            if has_info {
                copy(&daughter.join(".regioninfo"));
            }
        }
        storage.create_dir_all(&first.join("g")).unwrap();
        let reader = open(&storage, false);
        assert_eq!(reader.regions().len(), 2, "the daughters are not committed");
        assert!(!reader.get(&Get::new("a")).unwrap().is_empty());

        let is_file = |path: &&PathBuf| after.bytes(path).is_some();
        for daughter in &daughters {
            names(&after, daughter.to_str().unwrap()).iter().filter(is_file).for_each(|path| copy(path));
        }
        for family in ["f", "g"] {
            let from = Path::new(TABLE).join(&regions[1]).join(family);
            storage.create_dir_all(&parent).unwrap();
            storage.rename(&from, &parent.join(family)).unwrap();
            storage.create_dir_all(&from).unwrap();
        }
        assert_eq!((values(&reader), reader.regions().len()), (expected.clone(), 3), "{has_info}");
    }
}

/// The regions that are opened after the first one need not be found again, unless HBase may be making one.
#[test]
fn directories_that_are_no_regions_do_not_cause_more_listings() {
    let before = FaultyStorage::new();
    let table = create(&before, &["m"]);
    for row in ["a", "n"] {
        table.put(Put::new(row).cell("f", "q", "1")).unwrap();
    }
    let regions: Vec<String> = table.regions().iter().map(RegionInfo::encoded_name).collect();
    table.close().unwrap();
    let calls = |others: &[&str]| {
        let storage = before.after(Crash::OfTheProcess);
        for region in &regions {
            let archive = Path::new(ROOT).join("archive/data/default/t").join(region);
            storage.create_dir_all(&archive.join("g")).unwrap();
        }
        others.iter().for_each(|other| storage.create_dir_all(&Path::new(TABLE).join(other)).unwrap());
        let reader = open(&storage, false);
        assert!(!reader.get(&Get::new("a")).unwrap().is_empty());
        let opened = storage.all_calls();
        assert!(!reader.get(&Get::new("n")).unwrap().is_empty());
        storage.all_calls() - opened
    };
    let without = calls(&[]);
    assert_eq!(calls(&["lost+found"]), without);
    assert!(calls(&["0123456789abcdef0123456789abcdef"]) > without);
}

/// A compaction of the table archives the parents that are no longer needed, and makes only a listing if
/// there are none.
#[test]
fn a_compaction_archives_parents() {
    let storage = FaultyStorage::new();
    let table = create(&storage, &["p"]);
    add_catalog(&storage, &table);
    for row in ["a", "n", "x"] {
        table.put(put(row, "1")).unwrap();
    }
    let before = values(&table);
    let held = options(&storage).writable(true).open(META).unwrap();
    table.compact(Compaction::Major).unwrap();
    let calls = storage.all_calls();
    table.compact(Compaction::Minor).unwrap();
    assert_eq!(storage.all_calls() - calls, 1, "no files to compact, and no parents");
    held.close().unwrap();

    let (bottom, top) = table.split("m").unwrap();
    let held = options(&storage).writable(true).open(META).unwrap();
    table.region("a").unwrap().compact(Compaction::Major).unwrap();
    assert_eq!(table.archive_parents().unwrap(), [], "the second daughter needs the parent");
    // The regions are still compacted.
    assert_eq!(table.compact(Compaction::Major).unwrap_err().kind(), ErrorKind::Locked);
    assert_eq!(region_dirs(&storage), 4);
    let references = || {
        let of = names(&storage, &format!("{}/f/", top.encoded_name()));
        of.iter().filter(|name| name.file_name().unwrap().to_string_lossy().contains('.')).count()
    };
    assert_eq!(references(), 0);
    held.close().unwrap();
    table.compact(Compaction::Minor).unwrap();
    assert_eq!((region_dirs(&storage), values(&table)), (3, before.clone()));
    assert_eq!(check_catalog(&storage, &table).len(), 3);
    table.flush().unwrap();
    let report = Table::check_root(ROOT, options(&storage)).unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);

    // A region cannot be compacted; the parents of others are archived.
    table.split("x").unwrap();
    table.close().unwrap();
    let held = options(&storage).writable(true).open(Path::new(TABLE).join(bottom.encoded_name())).unwrap();
    let table = open(&storage, true);
    assert_eq!(table.compact(Compaction::Major).unwrap_err().kind(), ErrorKind::Locked);
    assert_eq!((region_dirs(&storage), table.regions().len()), (4, 4));
    held.close().unwrap();
    assert_eq!(values(&table), before);
}

/// HBase has died after writing the daughters, and before `hbase:meta` had them.
#[test]
fn a_region_that_the_catalog_has_is_not_archived() {
    let storage = FaultyStorage::new();
    let table = create_with_rows(&storage);
    let before = open(&storage, false);
    table.split("m").unwrap();
    add_catalog(&storage, &before);
    table.compact(Compaction::Major).unwrap();
    assert_eq!((table.archive_parents().unwrap(), region_dirs(&storage)), (vec![], 3));
    let parent = Path::new(TABLE).join(before.regions()[0].encoded_name());
    assert!(options(&storage).open(&parent).is_ok(), "the region of hbase:meta");
    assert_eq!(values(&table), values(&open(&storage, false)));
}

/// A storage in which another process restores a snapshot of a table before a region of it is locked.
#[derive(Debug)]
struct Restores {
    files: FaultyStorage,
    region: Mutex<Option<PathBuf>>,
}

impl Storage for Restores {
    forward!(files: open create create_new create_log hard_link rename remove remove_dir);
    forward!(files: sync_file sync_dir list_dir create_dir_all optional);

    fn lock(&self, path: &Path) -> io::Result<FileLock> {
        let is_of = |region: &mut PathBuf| path.starts_with(region);
        if self.region.lock().unwrap().take_if(is_of).is_some() {
            let restored = Table::restore_snapshot(ROOT, "before", options(&self.files)).unwrap();
            restored.close().unwrap();
        }
        self.files.lock(path)
    }
}

#[test]
fn a_parent_that_serves_again_is_not_archived() {
    let storage = FaultyStorage::new();
    let table = create_with_rows(&storage);
    table.snapshot("before").unwrap();
    let (before, regions) = (values(&table), table.regions());
    table.split("m").unwrap();
    compact(&table);
    table.close().unwrap();
    let region = Mutex::new(Some(Path::new(TABLE).join(regions[0].encoded_name())));
    let restores = Arc::new(Restores { files: storage.clone(), region });
    let with = options(&storage).storage(Arc::clone(&restores) as _).writable(true);
    let table = Table::open_with(ROOT, "t", with).unwrap();
    assert_eq!(table.archive_parents().unwrap(), []);
    assert!(restores.region.lock().unwrap().is_none());
    let table = open(&storage, true);
    assert_eq!((values(&table), table.regions()), (before, regions));
}

/// A table outside of a root directory has no archive.
#[test]
fn a_table_that_was_copied_alone_keeps_its_parents() {
    let storage = FaultyStorage::new();
    let table = create_with_rows(&storage);
    table.split("m").unwrap();
    let before = values(&table);
    table.close().unwrap();
    let copied = FaultyStorage::new();
    for name in storage.names() {
        let Ok(below) = name.strip_prefix("hbase/data/default/t") else { continue };
        let path = Path::new("/copy").join(below);
        copied.create_dir_all(path.parent().unwrap()).unwrap();
        copied.create(&path).unwrap().write_all(&storage.bytes(&name).unwrap()).unwrap();
    }
    let table = Table::open_dir("/copy", options(&copied).writable(true)).unwrap();
    table.compact(Compaction::Major).unwrap();
    assert_eq!((table.archive_parents().unwrap(), values(&table)), (vec![], before));
    assert_eq!(files::region_dirs(&copied, Path::new("/copy")), 3);
}
