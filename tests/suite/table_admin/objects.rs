//! Tables are deleted, truncated, altered and restored in a storage without renames, and every call fails
//! once.

mod failures;
mod late;
mod readers;

use super::*;
use crate::support::files::write_synced;
use crate::support::trackers::with_list;
use hregion::{FindingKind, Severity};

fn listed(name: &'static str) -> Family {
    with_list(Family::new(name))
}

fn families() -> [Family; 2] {
    [listed("f"), listed("g").max_versions(3)]
}

/// As [`root`](super::root), in an object store, with a split region that still exists.
fn bucket() -> FaultyStorage {
    bucket_with(false)
}

/// As [`bucket`], optionally with a catalog.
fn bucket_with(has_catalog: bool) -> FaultyStorage {
    let storage = FaultyStorage::new();
    storage.has_objects();
    if has_catalog {
        catalog::add_catalog_of(&storage, with_list);
    }
    for name in [T, "other"] {
        let options = options(&storage).compaction_enabled(false);
        let table = Table::create_with(ROOT, name, &families(), &[""; 0], options).unwrap();
        fill(&table, "old");
        table.split("m").unwrap();
        table.close().unwrap();
    }
    storage
}

/// As [`bucket_with`], with a snapshot of the table, which has since lost a row and a family, and got another
/// row.
fn bucket_since(has_catalog: bool) -> FaultyStorage {
    let storage = bucket_with(has_catalog);
    let options = options(&storage).compaction_enabled(false);
    let table = Table::open_with(ROOT, T, options.clone().writable(true)).unwrap();
    table.snapshot("s").unwrap();
    table.delete(Delete::new("a")).unwrap();
    table.put(Put::new("x").cell_at("g", "p", 5, "later")).unwrap();
    table.close().unwrap();
    Table::alter(ROOT, T, &TableChanges::new().delete_family("f"), &options).unwrap();
    storage
}

/// The cells of that table.
fn later_values() -> Vec<String> {
    ["n/g:p/5=old", "n/g:q/5=old", "x/g:p/5=later"].map(str::to_owned).into()
}

fn restore(storage: &FaultyStorage) -> Result<()> {
    Table::restore_snapshot(ROOT, "s", options(storage))?.close()
}

/// Returns the paths of objects of the table, below its directory.
fn objects(storage: &FaultyStorage) -> Vec<PathBuf> {
    let names = storage.names().into_iter();
    let mut found: Vec<PathBuf> =
        names.filter_map(|path| path.strip_prefix("hbase/data/ns/t").ok().map(Path::to_owned)).collect();
    found.retain(|path| storage.bytes(&Path::new("/hbase/data/ns/t").join(path)).is_some());
    found
}

/// Returns the greatest number of the table's descriptors.
fn last_number(storage: &FaultyStorage) -> u64 {
    let names = objects(storage).into_iter().filter_map(|path| {
        Some(path.strip_prefix(".tabledesc").ok()?.to_str()?.strip_prefix(".tableinfo.")?.to_owned())
    });
    names.map(|name| name[..10].parse().unwrap()).max().unwrap()
}

fn create(storage: &FaultyStorage) -> Result<Table> {
    Table::create_with(ROOT, T, &families(), &["m"], options(storage))
}

fn delete(storage: &FaultyStorage) -> Result<()> {
    Table::delete_table(ROOT, T, &options(storage))
}

/// Checks that a check of the root has no findings, and that the catalog, if it exists, has the table.
fn check_root(storage: &FaultyStorage, shown: &str) {
    if storage.list_dir(&Path::new(ROOT).join("data/hbase/meta")).is_ok() {
        catalog::check(storage, T, shown);
        catalog::check(storage, "other", shown);
    }
    let mut report = Table::check_root(ROOT, options(storage)).unwrap();
    // Allowed are the parents of splits, and the remains of an interrupted call.
    report
        .findings
        .retain(|finding| finding.severity > Severity::Info && finding.kind != FindingKind::UntrackedFile);
    assert!(report.findings.is_empty(), "{shown}: {:?}", report.findings);
}

/// Opens the table for writing, writes, and compacts.
fn use_table(storage: &FaultyStorage, shown: &str) {
    let seen = values(storage, T).unwrap();
    let table = open(storage, T, true).unwrap_or_else(|error| panic!("{shown}: {error}"));
    let before = cells(&table);
    // An alteration that was made without writing its descriptor is visible from now on.
    let without_f: Vec<String> = seen.iter().filter(|cell| !cell.contains("/f:")).cloned().collect();
    assert!(before == seen || before == without_f, "{shown}: {before:?}");
    for row in ["b", "o"] {
        table
            .put(Put::new(row).cell_at("g", "q", 5, "new"))
            .unwrap_or_else(|error| panic!("{shown}: {error}"));
    }
    table.compact(Compaction::Major).unwrap_or_else(|error| panic!("{shown}: {error}"));
    table.close().unwrap_or_else(|error| panic!("{shown}: {error}"));
    let after = values(storage, T).unwrap();
    assert_eq!(after.len(), before.len() + 2, "{shown}: {after:?}");
    assert!(before.iter().all(|cell| after.contains(cell)), "{shown}");
    assert_eq!(values(storage, "other"), Some(old_values()), "{shown}");
}

#[test]
fn a_deleted_table_is_gone_and_can_be_created_again() {
    let storage = bucket();
    let reader = open(&storage, T, false).unwrap();
    assert_eq!(cells(&reader), old_values());
    let mut before = region_names(&storage);
    delete(&storage).unwrap();
    assert_eq!(values(&storage, T), None);
    let left = objects(&storage);
    assert!(left.len() == 1 && left[0].to_str().unwrap().starts_with(".change."), "{left:?}");
    assert!(!store_files(&storage, "archive").is_empty());
    assert_eq!(cells(&reader), old_values(), "an open reader goes on");
    check_root(&storage, "deleted");
    assert_eq!(delete(&storage).unwrap_err().kind(), ErrorKind::TableNotFound);
    assert_eq!(open(&storage, T, true).map(drop).unwrap_err().kind(), ErrorKind::TableNotFound);
    let alter = Table::alter(ROOT, T, &TableChanges::new().family(listed("h")), &options(&storage));
    assert_eq!(alter.unwrap_err().kind(), ErrorKind::TableNotFound);
    let truncate = Table::truncate(ROOT, T, true, &options(&storage));
    assert_eq!(truncate.unwrap_err().kind(), ErrorKind::TableNotFound);
    // The clock stands still.
    for n in 0..3 {
        let table = create(&storage).unwrap();
        assert_eq!(cells(&table), [""; 0], "{n}");
        fill(&table, "old");
        table.split("g").unwrap();
        table.compact(Compaction::Major).unwrap();
        table.close().unwrap();
        let names = region_names(&storage);
        assert!(names.len() == 3 && names.iter().all(|name| !before.contains(name)), "{before:?} {names:?}");
        before.extend(names);
        assert_eq!(values(&storage, T), Some(old_values()));
        check_root(&storage, "created");
        delete(&storage).unwrap();
        assert_eq!((values(&storage, T), objects(&storage).len()), (None, 1), "{n}");
    }
    assert_eq!(values(&storage, "other"), Some(old_values()));
    // A snapshot is cloned under the name.
    let other = open(&storage, "other", true).unwrap();
    other.snapshot("s").unwrap();
    let clone = Table::clone_snapshot(ROOT, "s", T, options(&storage)).unwrap();
    assert_eq!(cells(&clone), old_values());
    clone.close().unwrap();
    assert!(region_names(&storage).iter().all(|name| !before.contains(name)));
    delete(&storage).unwrap();
    assert_eq!(values(&storage, T), None);
}

/// A deletion that has failed after removing the regions.
#[test]
fn a_deletion_that_has_left_descriptors_is_completed() {
    let dir = Path::new(ROOT).join("data/ns/t");
    for has_catalog in [false, true] {
        let storage = bucket_with(has_catalog);
        let is_absent = || Table::is_absent(&dir, &storage).unwrap();
        let is_unfinished = || Table::has_unfinished_deletion(&dir, &storage).unwrap();
        let is_descriptor = |path: &Path| path.starts_with(".tabledesc");
        let descriptor = dir.join(objects(&storage).into_iter().find(|path| is_descriptor(path)).unwrap());
        assert!(!is_absent() && !is_unfinished());
        storage.stick(&descriptor);
        let error = delete(&storage).unwrap_err();
        assert_eq!(error.path(), Some(&*descriptor), "{error}");
        storage.repair();
        let left = objects(&storage);
        let (descriptors, changes): (Vec<&PathBuf>, _) = left.iter().partition(|path| is_descriptor(path));
        let are_changes = changes.iter().all(|path| path.to_string_lossy().starts_with(".change."));
        assert!(descriptors.len() == 1 && are_changes, "{left:?}");
        assert_eq!(values(&storage, T), None);
        assert!(is_absent() && is_unfinished());
        let findings = Table::check_root(ROOT, options(&storage)).unwrap().findings;
        let of_deletion = findings.iter().filter(|finding| {
            finding.kind == FindingKind::LeftoverTmp && finding.severity == Severity::Warning
        });
        assert_eq!(of_deletion.count(), 1, "{findings:?}");
        delete(&storage).unwrap();
        assert_eq!(objects(&storage).len(), 1);
        assert!(is_absent() && !is_unfinished());
        check_root(&storage, "completed");
        assert_eq!(delete(&storage).unwrap_err().kind(), ErrorKind::TableNotFound);
        create(&storage).unwrap().close().unwrap();
        assert!(!is_absent() && !is_unfinished());
        // An older descriptor of an existing table does not belong to the deletion.
        write_synced(&storage, &descriptor, b"another program's");
        assert!(!is_absent() && !is_unfinished());
        assert_eq!(values(&storage, T), Some(Vec::new()));
    }
}

#[test]
fn a_truncated_table_is_empty_and_keeps_its_settings() {
    for preserve in [true, false] {
        let storage = bucket();
        let before = region_names(&storage);
        for _ in 0..2 {
            Table::truncate(ROOT, T, preserve, &options(&storage)).unwrap();
            assert_eq!(values(&storage, T), Some(Vec::new()));
            let after = region_names(&storage);
            assert_eq!(after.len(), if preserve { 2 } else { 1 });
            assert!(after.iter().all(|name| !before.contains(name)), "{before:?} {after:?}");
            assert!(objects(&storage).iter().all(|path| !path.starts_with(&before[0])));
            let table = open(&storage, T, true).unwrap();
            let versions: Vec<String> =
                table.region("a").unwrap().families().map(ToString::to_string).collect();
            assert!(versions[1].contains("VERSIONS => '3'"), "{versions:?}");
            fill(&table, "old");
            table.split("c").unwrap();
            table.compact(Compaction::Major).unwrap();
            table.close().unwrap();
            assert_eq!(values(&storage, T), Some(old_values()));
            check_root(&storage, "truncated");
            // With the same names as before.
            let table = open(&storage, T, true).unwrap();
            let regions = table.regions();
            table.merge(&regions[0], &regions[1]).unwrap();
            table.compact(Compaction::Major).unwrap();
            table.close().unwrap();
        }
        assert!(objects(&storage).iter().all(|path| !path.to_str().unwrap().starts_with(".change.")));
        assert_eq!(values(&storage, "other"), Some(old_values()));
    }
}

/// The table is replaced, with its settings, or created.
#[test]
fn a_table_is_restored_from_a_snapshot() {
    for has_catalog in [false, true] {
        let storage = bucket_since(has_catalog);
        let locked = open(&storage, T, true).unwrap();
        assert_eq!(cells(&locked), later_values());
        locked.put(Put::new("y").cell_at("g", "p", 5, "logged")).unwrap();
        assert_eq!(restore(&storage).unwrap_err().kind(), ErrorKind::Locked);
        for region in locked.regions() {
            locked.region(region.start_key()).unwrap().abort().unwrap();
        }
        drop(locked);
        let mut before = region_names(&storage);
        for n in 0..3 {
            restore(&storage).unwrap();
            assert_eq!(values(&storage, T), Some(old_values()), "{n}");
            let names = region_names(&storage);
            assert!(names.iter().all(|name| !before.contains(name)), "{before:?} {names:?}");
            assert_eq!(names.len(), 2);
            before.extend(names);
            check_root(&storage, "restored");
            // Nothing remains of this change or earlier ones, except of a deletion.
            let is_change = |path: &&PathBuf| path.to_str().unwrap().starts_with(".change.");
            assert_eq!(objects(&storage).iter().filter(is_change).count(), usize::from(n == 2));
            let families: Vec<String> = open(&storage, T, false)
                .unwrap()
                .region("a")
                .unwrap()
                .families()
                .map(ToString::to_string)
                .collect();
            assert!(families.len() == 2 && families[1].contains("VERSIONS => '3'"), "{families:?}");
            use_table(&storage, "restored");
            if n == 1 {
                delete(&storage).unwrap();
            }
        }
        // The files are in the archive, with or without a snapshot.
        let restored = values(&storage, T);
        Table::delete_snapshot_with(ROOT, "s", options(&storage)).unwrap();
        assert_eq!(values(&storage, T), restored);
        assert_eq!(restore(&storage).unwrap_err().kind(), ErrorKind::Io);
        assert_eq!(values(&storage, T), restored);
    }
}

/// The process dies after a restoration is committed, and before it has written the descriptor.
#[test]
fn a_restored_table_without_its_descriptor_has_the_families_of_the_snapshot() {
    let cut_off = (0..).step_by(4).find_map(|n| {
        let storage = bucket_since(false);
        let first = last_number(&storage);
        storage.die_after(n);
        restore(&storage).unwrap_err();
        storage.heal();
        let is_made = values(&storage, T) != Some(later_values());
        (is_made && last_number(&storage) == first).then_some((storage, first))
    });
    let (storage, first) = cut_off.unwrap();
    assert_eq!(values(&storage, T), Some(old_values()));
    let dir = Path::new(ROOT).join("data/ns/t").join(&region_names(&storage)[0]);
    assert_eq!(options(&storage).open(dir).unwrap().families().count(), 2);
    use_table(&storage, "made");
    assert_eq!(last_number(&storage), first + 2);
    check_root(&storage, "made");
}

/// A truncation's process has died before writing the descriptor. Another process, which has had the table
/// open since before, archives the old regions.
#[test]
fn the_archival_of_the_regions_of_a_truncation_writes_its_descriptor() {
    let (before, mut cut_off) = (bucket(), 0);
    let first = last_number(&before);
    for n in 0.. {
        let storage = before.copy();
        let opened = open(&storage, T, true).unwrap();
        storage.die_after(n);
        let truncated = Table::truncate(ROOT, T, true, &options(&storage));
        let has_died = storage.has_died();
        storage.heal();
        if !has_died {
            truncated.unwrap();
            break;
        }
        if values(&storage, T) == Some(old_values()) {
            continue;
        }
        cut_off += u64::from(last_number(&storage) == first);
        opened.archive_parents().unwrap_or_else(|error| panic!("call {n}: {error}"));
        assert_eq!(last_number(&storage), first + 2, "call {n}");
        assert_eq!(values(&storage, T), Some(Vec::new()), "call {n}");
        use_table(&storage, &format!("call {n}"));
    }
    assert!(cut_off > 0);
}

#[test]
fn a_family_that_was_deleted_does_not_come_back() {
    let storage = bucket();
    let alter = |changes: TableChanges| Table::alter(ROOT, T, &changes, &options(&storage));
    let of_g: Vec<String> = old_values().into_iter().filter(|cell| cell.contains("/g:")).collect();
    for n in 0..3 {
        alter(TableChanges::new().delete_family("f").set("DURABILITY", "SYNC_WAL")).unwrap();
        assert_eq!(values(&storage, T), Some(of_g.clone()), "{n}");
        let again = alter(TableChanges::new().delete_family("f")).unwrap_err();
        assert_eq!(again.kind(), ErrorKind::NoSuchFamily);
        check_root(&storage, "altered");
        let descriptors = objects(&storage).into_iter().filter(|path| path.starts_with(".tabledesc"));
        assert_eq!(descriptors.count(), 1);
        // Lists would not track its files.
        let untracked = alter(TableChanges::new().family(Family::new("f"))).unwrap_err();
        assert_eq!(untracked.kind(), ErrorKind::Unsupported, "{untracked}");
        if n == 1 {
            // As for a region that is opened with other families.
            let region = Path::new(ROOT).join("data/ns/t").join(&region_names(&storage)[0]);
            let options = options(&storage).writable(true).create_if_missing(false).alter(true);
            options.family(listed("f")).open(region).unwrap().close().unwrap();
        } else {
            alter(TableChanges::new().family(listed("f"))).unwrap();
        }
        assert_eq!(values(&storage, T), Some(of_g.clone()), "{n}");
        let table = open(&storage, T, true).unwrap();
        fill(&table, "old");
        // As when the files belong to an existing family.
        table.close().unwrap();
        assert_eq!(values(&storage, T), Some(old_values()), "{n}");
    }
    let open = open(&storage, T, true).unwrap();
    open.put(Put::new("b").cell_at("f", "q", 5, "old")).unwrap();
    assert_eq!(
        alter(TableChanges::new().set("DURABILITY", "SYNC_WAL")).unwrap_err().kind(),
        ErrorKind::Locked
    );
}
