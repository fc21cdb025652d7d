//! Tables that are deleted, truncated and altered in a storage without renames, and every call fails once.

use super::*;
use hregion::io::faulty::Crash;
use hregion::{FindingKind, Get, Severity};
use std::fmt;

/// The store file tracker that a storage without renames needs.
const TRACKER: &str = "hbase.store.file-tracker.impl";

fn listed(name: &'static str) -> Family {
    Family::new(name).configuration(TRACKER, "FILE")
}

fn families() -> [Family; 2] {
    [listed("f"), listed("g").max_versions(3)]
}

/// As [`root`](super::root), in an object store, and with a region that was split, and is still there.
fn bucket() -> FaultyStorage {
    bucket_with(false)
}

/// As [`bucket`], and maybe with a catalog.
fn bucket_with(has_catalog: bool) -> FaultyStorage {
    let storage = FaultyStorage::new();
    storage.has_objects();
    if has_catalog {
        catalog::add_catalog_of(&storage, |family| family.configuration(TRACKER, "FILE"));
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

/// Checks that nothing is wrong in the root, and that the catalog, if there is one, has the table.
fn check_root(storage: &FaultyStorage, shown: &str) {
    if storage.list_dir(&Path::new(ROOT).join("data/hbase/meta")).is_ok() {
        catalog::check(storage, T, shown);
        catalog::check(storage, "other", shown);
    }
    let mut report = Table::check_root(ROOT, options(storage)).unwrap();
    // The parents of splits, and what a call that was cut off has left under its name.
    report
        .findings
        .retain(|finding| finding.severity > Severity::Info && finding.kind != FindingKind::UntrackedFile);
    assert!(report.findings.is_empty(), "{shown}: {:?}", report.findings);
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

/// A deletion that has failed after the regions were gone.
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
        // An older descriptor of a table that is there is none of the deletion's.
        let mut file = storage.create(&descriptor).unwrap();
        file.write_all(b"another program's").unwrap();
        file.sync().unwrap();
        assert!(!is_absent() && !is_unfinished());
        assert_eq!(values(&storage, T), Some(Vec::new()));
    }
}

/// A path, and the bytes of the file there.
type Content = (PathBuf, Vec<u8>);

/// Returns the region infos of some regions.
fn infos(storage: &FaultyStorage, names: &[String]) -> Vec<Content> {
    let path = |name: &String| Path::new(ROOT).join("data/ns/t").join(name).join(".regioninfo");
    names.iter().map(|name| (path(name), storage.bytes(&path(name)).unwrap())).collect()
}

/// Makes files, as late requests do.
fn put_files(storage: &FaultyStorage, files: &[Content]) {
    for (path, bytes) in files {
        storage.create_dir_all(path.parent().unwrap()).unwrap();
        let mut file = storage.create_new(path).unwrap();
        file.write_all(bytes).unwrap();
        file.sync().unwrap();
    }
}

/// It is not one of a table that was created since, either.
#[test]
fn a_late_region_of_any_former_table_is_none() {
    let (storage, dir) = (bucket(), Path::new(ROOT).join("data/ns/t"));
    let mut late: Vec<Content> = Vec::new();
    for n in 0..4 {
        late.extend(infos(&storage, &region_names(&storage)));
        delete(&storage).unwrap();
        put_files(&storage, &late);
        assert_eq!(values(&storage, T), None, "{n}");
        assert!(Table::is_absent(&dir, &storage).unwrap(), "{n}");
        assert!(Table::has_unfinished_deletion(&dir, &storage).unwrap(), "{n}");
        // What was late is removed.
        delete(&storage).unwrap();
        assert_eq!(objects(&storage).len(), 1, "{n}");
        let table = create(&storage).unwrap();
        assert_eq!(cells(&table), [""; 0], "{n}");
        fill(&table, "old");
        table.close().unwrap();
        assert!(infos(&storage, &region_names(&storage)).iter().all(|info| !late.contains(info)), "{n}");
        // Beside the new table, too.
        put_files(&storage, &late);
        assert_eq!(values(&storage, T), Some(old_values()), "{n}");
        use_table(&storage, &n.to_string());
    }
}

/// Another program has made a table whose descriptor has the number that the one before had.
#[test]
fn of_two_deletions_the_last_one_stays() {
    // The names of the files of deletions are random.
    for n in 0..8 {
        let (storage, other) = (bucket(), FaultyStorage::new());
        delete(&storage).unwrap();
        other.has_objects();
        let later = options(&other).clock(Arc::new(ManualClock::new(9000)));
        Table::create_with(ROOT, T, &families(), &["m"], later).unwrap().close().unwrap();
        let paths = objects(&other).into_iter().map(|path| Path::new(ROOT).join("data/ns/t").join(path));
        let files: Vec<Content> = paths.map(|path| (path.clone(), other.bytes(&path).unwrap())).collect();
        put_files(&storage, &files);
        assert_eq!(values(&storage, T), Some(Vec::new()), "{n}");
        let late = infos(&storage, &region_names(&storage));
        delete(&storage).unwrap();
        assert_eq!(objects(&storage).len(), 1, "{n}");
        put_files(&storage, &late);
        assert_eq!(values(&storage, T), None, "{n}");
        let table = create(&storage).unwrap();
        table.close().unwrap();
        assert!(infos(&storage, &region_names(&storage)).iter().all(|info| !late.contains(info)), "{n}");
    }
}

/// A truncation, or a split, was cut off, and its requests to make the new regions are carried out once the
/// table is deleted.
#[test]
fn a_late_region_does_not_bring_a_deleted_table_back() {
    let truncate = |storage: &FaultyStorage| Table::truncate(ROOT, T, true, &options(storage));
    let split = |storage: &FaultyStorage| {
        let options = options(storage).compaction_enabled(false).writable(true);
        Table::open_with(ROOT, T, options)?.split("c")
    };
    // A region with references is not split.
    let bucket = || {
        let storage = bucket();
        let table = Table::open_with(ROOT, T, options(&storage).writable(true)).unwrap();
        table.compact(Compaction::Major).unwrap();
        table.close().unwrap();
        storage
    };
    type Change<'c> = &'c dyn Fn(&FaultyStorage) -> Result<()>;
    let changes: [Change<'_>; 2] = [&truncate, &|storage| split(storage).map(drop)];
    for change in changes {
        let done = bucket();
        let before = region_names(&done);
        change(&done).unwrap();
        let mut late = region_names(&done);
        late.retain(|name| !before.contains(name));
        assert_eq!(late.len(), 2);
        let late_infos = infos(&done, &late);
        let mut cut_off = 0;
        for n in 0.. {
            let storage = bucket();
            storage.die_after(n);
            let changed = change(&storage);
            if !storage.has_died() {
                changed.unwrap();
                break;
            }
            let storage = storage.after(Crash::OfTheProcess);
            let is_change = |path: &&PathBuf| path.to_str().unwrap().starts_with(".change.");
            let changes = |storage: &FaultyStorage| objects(storage).iter().filter(is_change).count();
            if changes(&storage) == changes(&bucket()) || region_names(&storage) != before {
                continue;
            }
            cut_off += 1;
            delete(&storage).unwrap_or_else(|error| panic!("call {n}: {error}"));
            assert_eq!(values(&storage, T), None, "call {n}");
            put_files(&storage, &late_infos);
            assert_eq!(values(&storage, T), None, "call {n}");
            let table = create(&storage).unwrap_or_else(|error| panic!("call {n}: {error}"));
            assert_eq!(cells(&table), [""; 0], "call {n}");
            table.close().unwrap();
            assert!(region_names(&storage).iter().all(|name| !late.contains(name)), "call {n}");
            use_table(&storage, &format!("call {n}"));
            delete(&storage).unwrap();
            assert_eq!(values(&storage, T), None, "call {n}");
        }
        assert!(cut_off > 1, "{cut_off}");
    }
}

/// The process dies before the catalog has the table. Lists track the files of all families, as the families
/// say or the table; and a table of this name may have been deleted before.
#[test]
fn a_creation_that_was_cut_off_is_repeated() {
    let by_table = |storage: &FaultyStorage| {
        let changes = TableChanges::new().set(TRACKER, "FILE").family(Family::new("f"));
        Table::create_configured(ROOT, T, &changes, &["m"], options(storage))
    };
    type Create<'c> = &'c dyn Fn(&FaultyStorage) -> Result<Table>;
    let creations: [(Create<'_>, bool); 4] =
        [(&create, false), (&create, true), (&by_table, false), (&by_table, true)];
    for (i, (create, is_again)) in creations.into_iter().enumerate() {
        let mut repeated = 0;
        for n in 0.. {
            let died = FaultyStorage::new();
            died.has_objects();
            catalog::add_catalog_of(&died, |family| family.configuration(TRACKER, "FILE"));
            if is_again {
                create(&died).unwrap().close().unwrap();
                delete(&died).unwrap();
            }
            died.die_after(n);
            let is_over = create(&died).is_ok();
            let died = died.after(Crash::OfTheProcess);
            if is_over {
                break;
            }
            let shown = format!("creation {i}, call {n} was the last");
            let has_descriptor = objects(&died).iter().any(|path| path.starts_with(".tabledesc"));
            let is_known = catalog::has_rows(&died);
            repeated += usize::from(has_descriptor && !is_known);
            let storage = died.after(Crash::OfTheProcess);
            match create(&storage) {
                Ok(table) => table.close().unwrap(),
                Err(error) => assert!(is_known && error.is_already_exists(), "{shown}: {error}"),
            }
            assert_eq!(catalog::check(&storage, T, &shown), 2, "{shown}");
            assert_eq!(values(&storage, T), Some(Vec::new()), "{shown}");
            let error = create(&storage).map(drop).unwrap_err();
            assert!(error.is_already_exists(), "{shown}: {error}");
            // Not the same table.
            if has_descriptor && !is_known && !is_again {
                let other = Table::create_with(ROOT, T, &[listed("other")], &["m"], options(&died));
                let error = other.map(drop).unwrap_err();
                assert!(error.is_already_exists() && catalog::has_rows(&died), "{shown}: {error}");
            }
        }
        assert!(repeated > 1, "creation {i}: {repeated}");
    }
}

/// The request that makes the descriptor of a creation that was cut off is carried out when there is another
/// table of the name.
#[test]
fn a_late_descriptor_of_a_creation_is_none_of_the_table() {
    let new = || {
        let storage = FaultyStorage::new();
        storage.has_objects();
        storage
    };
    let first = |storage: &FaultyStorage| {
        Table::create_with(ROOT, T, &[listed("x")], &["m"], options(storage)).map(drop)
    };
    let descriptors = |storage: &FaultyStorage| -> Vec<PathBuf> {
        objects(storage).into_iter().filter(|path| path.starts_with(".tabledesc")).collect()
    };
    let done = new();
    first(&done).unwrap();
    let late = Path::new(ROOT).join("data/ns/t").join(&descriptors(&done)[0]);
    let bytes = done.bytes(&late).unwrap();
    let mut cut_off = 0;
    for n in 0.. {
        let storage = new();
        storage.die_after(n);
        if first(&storage).is_ok() {
            break;
        }
        let storage = storage.after(Crash::OfTheProcess);
        if objects(&storage).is_empty() || !descriptors(&storage).is_empty() {
            continue;
        }
        cut_off += 1;
        create(&storage).unwrap().close().unwrap();
        put_files(&storage, &[(late.clone(), bytes.clone())]);
        let table = open(&storage, T, true).unwrap();
        fill(&table, "old");
        table.close().unwrap();
        assert_eq!(values(&storage, T), Some(old_values()), "call {n}");
    }
    assert!(cut_off > 1, "{cut_off}");
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
            // With the names of before.
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

/// A process that has had the table open since before archives the old regions of a truncation whose process
/// has died before it has written the descriptor.
#[test]
fn whoever_archives_the_regions_of_a_truncation_writes_its_descriptor() {
    let mut cut_off = 0;
    for n in 0.. {
        let storage = bucket();
        let first = last_number(&storage);
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
        // Its files would not be tracked by lists.
        let untracked = alter(TableChanges::new().family(Family::new("f"))).unwrap_err();
        assert_eq!(untracked.kind(), ErrorKind::Unsupported, "{untracked}");
        if n == 1 {
            // As with a region that is opened with other families.
            let region = Path::new(ROOT).join("data/ns/t").join(&region_names(&storage)[0]);
            let options = options(&storage).writable(true).create_if_missing(false).alter(true);
            options.family(listed("f")).open(region).unwrap().close().unwrap();
        } else {
            alter(TableChanges::new().family(listed("f"))).unwrap();
        }
        assert_eq!(values(&storage, T), Some(of_g.clone()), "{n}");
        let table = open(&storage, T, true).unwrap();
        fill(&table, "old");
        // As a family that is there has files.
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

/// Runs `change` on a new bucket, of which the call `n` fails, or in which the process dies there. The bucket
/// has a catalog if `n` is odd. Returns whether it succeeded, and the bucket; `None` if there are not as many
/// calls.
fn failed(
    n: u64,
    dies: bool,
    change: &dyn Fn(&FaultyStorage) -> Result<()>,
) -> Option<(bool, FaultyStorage)> {
    let storage = bucket_with(n % 2 == 1);
    if dies {
        storage.die_after(n);
    } else {
        storage.fail_among_all([n]);
    }
    let is_ok = change(&storage).is_ok();
    if dies {
        if !storage.has_died() {
            assert!(is_ok && n > 40, "{n}");
            return None;
        }
        return Some((is_ok, storage.after(Crash::OfTheProcess)));
    }
    if !storage.pending_faults().is_empty() {
        assert!(is_ok && n > 90, "{n}");
        return None;
    }
    Some((is_ok, storage))
}

fn each_failure(
    every: usize,
    change: &dyn Fn(&FaultyStorage) -> Result<()>,
    check: &dyn Fn(bool, FaultyStorage, u64, &str),
) {
    for dies in [false, true] {
        // With a catalog, there are more calls.
        let mut is_over = [false; 2];
        for n in (0..).step_by(every) {
            let shown = format!("call {n}, dies: {dies}");
            match failed(n, dies, change) {
                Some((is_ok, storage)) => check(is_ok, storage, n, &shown),
                None => is_over[usize::from(n % 2 == 1)] = true,
            }
            if is_over == [true; 2] {
                break;
            }
        }
    }
}

fn is_one_of(seen: Option<&Vec<String>>, is_ok: bool, after: Option<&Vec<String>>, shown: &str) {
    assert!(seen == after || !is_ok && seen == Some(&old_values()), "{shown}: {seen:?}");
}

/// Opens the table for writing, writes, and compacts.
fn use_table(storage: &FaultyStorage, shown: &str) {
    let seen = values(storage, T).unwrap();
    let table = open(storage, T, true).unwrap_or_else(|error| panic!("{shown}: {error}"));
    let before = cells(&table);
    // An alteration that was made, and whose descriptor was not written, is seen from now on.
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

fn a_deletion_is_done_or_not(every: usize) {
    each_failure(every, &delete, &|is_ok, storage, n, shown| {
        is_one_of(values(&storage, T).as_ref(), is_ok, None, shown);
        if n % 3 == 1 && values(&storage, T).is_some() {
            use_table(&storage, shown);
            assert!(values(&storage, T).unwrap().len() > 8, "{shown}");
        }
        if n % 2 == 0 {
            storage.fail_among_all([(n * 31 + 7) % 90]);
            let seen = delete(&storage).is_ok();
            storage.heal();
            assert!(!seen || values(&storage, T).is_none(), "{shown}");
        }
        // It is repeated, or the table is created when it is gone.
        if values(&storage, T).is_some() || n % 5 > 1 {
            if let Err(error) = delete(&storage) {
                assert_eq!(error.kind(), ErrorKind::TableNotFound, "{shown}");
            }
            // Also if there was no region any more.
            let (dir, left) = (Path::new(ROOT).join("data/ns/t"), objects(&storage));
            assert!(
                left.len() == 1 && left[0].to_string_lossy().starts_with(".change."),
                "{shown}: {left:?}"
            );
            assert!(Table::is_absent(&dir, &storage).unwrap(), "{shown}");
            assert!(!Table::has_unfinished_deletion(&dir, &storage).unwrap(), "{shown}");
            check_root(&storage, shown);
        }
        assert_eq!(values(&storage, T), None, "{shown}");
        storage.fail_among_all([(n * 17 + 3) % 60]);
        let created = create(&storage).map(drop);
        storage.heal();
        match values(&storage, T) {
            Some(found) => {
                assert_eq!(found, [""; 0], "{shown}");
                // Adds it to the catalog, if that has failed.
                match create(&storage) {
                    Ok(table) => {
                        assert!(created.is_err() && n % 2 == 1, "{shown}");
                        table.close().unwrap();
                    }
                    Err(error) => assert!(error.is_already_exists(), "{shown}: {error}"),
                }
            }
            None => {
                created.unwrap_err();
                create(&storage).unwrap_or_else(|error| panic!("{shown}: {error}")).close().unwrap();
            }
        }
        use_table(&storage, shown);
        check_root(&storage, shown);
        delete(&storage).unwrap_or_else(|error| panic!("{shown}: {error}"));
        assert_eq!(values(&storage, T), None, "{shown}");
        check_root(&storage, shown);
    });
}

fn a_truncation_is_done_or_not(every: usize) {
    for preserve in [true, false] {
        let truncate = |storage: &FaultyStorage| Table::truncate(ROOT, T, preserve, &options(storage));
        let empty = Some(Vec::new());
        each_failure(every, &truncate, &|is_ok, storage, n, shown| {
            let shown = &format!("{shown}, {preserve}");
            is_one_of(values(&storage, T).as_ref(), is_ok, empty.as_ref(), shown);
            if n % 3 == 1 {
                use_table(&storage, shown);
            }
            if n % 2 == 0 {
                storage.fail_among_all([(n * 31 + 7) % 120]);
                let again = truncate(&storage).is_ok();
                storage.heal();
                assert!(!again || values(&storage, T) == empty, "{shown}");
            }
            if values(&storage, T) != empty || n % 5 > 1 {
                truncate(&storage).unwrap_or_else(|error| panic!("{shown}: {error}"));
            }
            assert_eq!(values(&storage, T), empty, "{shown}");
            assert_eq!(region_names(&storage).len(), if preserve { 2 } else { 1 }, "{shown}");
            use_table(&storage, shown);
            check_root(&storage, shown);
            // The file of a truncation that was undone stays while its parents are there.
            let left = objects(&storage);
            let is_open = |path: &PathBuf| {
                let bytes = storage.bytes(&Path::new(ROOT).join("data/ns/t").join(path)).unwrap();
                path.to_str().unwrap().starts_with(".change.")
                    && !String::from_utf8(bytes).unwrap().lines().any(|line| line == "undone")
            };
            assert!(!left.iter().any(is_open), "{shown}: {left:?}");
        });
    }
}

fn an_alteration_is_done_or_not(every: usize) {
    let changes = TableChanges::new().delete_family("f").family(listed("h")).set("DURABILITY", "SYNC_WAL");
    let alter = |storage: &FaultyStorage| Table::alter(ROOT, T, &changes, &options(storage));
    let left: Vec<String> = old_values().into_iter().filter(|cell| !cell.contains("/f:")).collect();
    each_failure(every, &alter, &|is_ok, storage, n, shown| {
        let has_h = |storage: &FaultyStorage| {
            let region = open(storage, T, false).unwrap().region("a").unwrap();
            region.families().any(|family| family.name() == b"h")
        };
        let check = |is_ok: bool| {
            let after = if has_h(&storage) { &left } else { &old_values() };
            let seen = values(&storage, T).unwrap();
            assert!(seen == *after && (has_h(&storage) || !is_ok), "{shown}: {seen:?}");
        };
        check(is_ok);
        let is_written = n % 3 == 1;
        if is_written {
            use_table(&storage, shown);
        } else {
            storage.fail_among_all([(n * 31 + 7) % 120]);
            let again = alter(&storage).is_ok();
            storage.heal();
            check(again);
        }
        // The family is added again, whether the call was repeated or not.
        let repeats = !has_h(&storage) || n % 2 == 0;
        if repeats && let Err(error) = alter(&storage) {
            assert_eq!(error.kind(), ErrorKind::NoSuchFamily, "{shown}");
        }
        let expected = left.len() + if is_written { 2 } else { 0 };
        assert_eq!(values(&storage, T).unwrap().len(), expected, "{shown}");
        let add = TableChanges::new().family(listed("f"));
        storage.fail_among_all([(n * 13 + 5) % 70]);
        let added = Table::alter(ROOT, T, &add, &options(&storage)).is_ok();
        storage.heal();
        let has_f = || {
            let region = open(&storage, T, false).unwrap().region("a").unwrap();
            region.families().any(|family| family.name() == b"f")
        };
        assert!(!added || has_f(), "{shown}");
        Table::alter(ROOT, T, &add, &options(&storage)).unwrap_or_else(|error| panic!("{shown}: {error}"));
        assert!(has_f(), "{shown}");
        assert_eq!(values(&storage, T).unwrap().len(), expected, "{shown}: old cells of a new family");
        let table = open(&storage, T, true).unwrap();
        table.put(Put::new("c").cell_at("f", "q", 5, "new").cell_at("h", "q", 5, "new")).unwrap();
        table.compact(Compaction::Major).unwrap();
        table.close().unwrap();
        assert_eq!(values(&storage, T).unwrap().len(), expected + 2, "{shown}");
        check_root(&storage, shown);
    });
}

#[test]
fn some_calls_fail() {
    a_deletion_is_done_or_not(13);
    a_truncation_is_done_or_not(17);
    an_alteration_is_done_or_not(17);
}

#[test]
#[ignore = "long"]
fn each_call_fails() {
    a_deletion_is_done_or_not(1);
    a_truncation_is_done_or_not(1);
    an_alteration_is_done_or_not(1);
}

type Act = Box<dyn FnOnce() + Send>;

/// A storage that does something before a call that makes or removes an object, or lists some.
struct Between {
    inner: FaultyStorage,
    /// Whether it does it before one that lists.
    before_lists: bool,
    left: Mutex<(u64, Option<Act>)>,
}

impl fmt::Debug for Between {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl Between {
    fn new(storage: &FaultyStorage, before_lists: bool) -> Arc<Self> {
        Arc::new(Self { inner: storage.clone(), before_lists, left: Mutex::new((0, None)) })
    }

    /// Does something before the call after `n` more.
    fn act(&self, n: u64, act: Act) {
        *self.left.lock().unwrap() = (n, Some(act));
    }

    fn has_acted(&self) -> bool {
        self.left.lock().unwrap().1.is_none()
    }

    fn count(&self, lists: bool) {
        if lists != self.before_lists {
            return;
        }
        let mut left = self.left.lock().unwrap();
        let act = if left.0 == 0 { left.1.take() } else { None };
        left.0 = left.0.saturating_sub(1);
        drop(left);
        if let Some(act) = act {
            act();
        }
    }
}

impl Storage for Between {
    forward!(inner: open create_log hard_link rename remove_dir sync_file sync_dir);
    forward!(inner: create_dir_all lock optional);

    fn list_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.count(true);
        self.inner.list_dir(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn hregion::io::FileWriter>> {
        self.count(false);
        self.inner.create(path)
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn hregion::io::FileWriter>> {
        self.count(false);
        self.inner.create_new(path)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.count(false);
        self.inner.remove(path)
    }
}

/// A table that was opened before, and is first read between two calls, is never read in part.
#[test]
fn a_reader_never_has_rows_of_both_tables() {
    let changes = TableChanges::new().delete_family("f");
    let of_g: Vec<String> = old_values().into_iter().filter(|cell| cell.contains("/g:")).collect();
    type Change<'c> = &'c dyn Fn(&RegionOptions) -> Result<()>;
    let all: [(&str, Change<'_>, Vec<String>); 3] = [
        ("truncate", &|options| Table::truncate(ROOT, T, true, options), Vec::new()),
        ("delete", &|options| Table::delete_table(ROOT, T, options), Vec::new()),
        ("alter", &|options| Table::alter(ROOT, T, &changes, options), of_g),
    ];
    for (name, change, new) in all {
        let (mut old_reads, mut errors) = (0, 0);
        for n in 0.. {
            let storage = bucket();
            let reader = Arc::new(open(&storage, T, false).unwrap());
            let seen = Arc::new(Mutex::new(None));
            let act: Act = {
                let (reader, seen) = (Arc::clone(&reader), Arc::clone(&seen));
                Box::new(move || {
                    let read = reader.get(&Get::new("a").max_versions(u32::MAX));
                    *seen.lock().unwrap() = Some(read.map(|row| row.cells().map(text).collect::<Vec<_>>()));
                })
            };
            let between = Between::new(&storage, false);
            between.act(n, act);
            let changed = options(&storage).storage(Arc::clone(&between) as Arc<dyn Storage>);
            change(&changed).unwrap();
            let Some(first) = seen.lock().unwrap().take() else {
                assert!(n > 10 && old_reads > 0, "{name}: {n}");
                println!("{name}: {n} calls, {old_reads} of the old table, {errors} errors");
                break;
            };
            let of_row = |row: &str, cells: &[String]| -> Vec<String> {
                cells.iter().filter(|cell| cell.starts_with(row)).cloned().collect()
            };
            let rest = reader.get(&Get::new("n").max_versions(u32::MAX));
            let rest = rest.map(|row| row.cells().map(text).collect::<Vec<_>>());
            match (first, rest) {
                (Ok(first), Ok(rest)) => {
                    let is = |all: &[String]| first == of_row("a", all) && rest == of_row("n", all);
                    old_reads += u64::from(is(&old_values()));
                    // As locally, each region has the families with which it was opened.
                    let is_altered =
                        name == "alter" && first == of_row("a", &old_values()) && rest == of_row("n", &new);
                    let shown = format!("{name}, call {n}: {first:?}, {rest:?}");
                    assert!(is(&old_values()) || is(&new) || is_altered, "{shown}");
                    old_reads += u64::from(is_altered);
                }
                (first, _) => {
                    old_reads += u64::from(first.is_ok());
                    errors += 1;
                }
            }
        }
    }
}

/// As well, if the truncation is completed, and forgotten, while the reader opens a region.
#[test]
fn a_reader_never_takes_an_old_region_for_one_of_the_new_table() {
    let truncate = |storage: &FaultyStorage| Table::truncate(ROOT, T, true, &options(storage));
    let cut_off = |n: u64, storage: &FaultyStorage| {
        storage.die_after(n);
        let truncated = truncate(storage);
        assert!(storage.has_died(), "{n}: {truncated:?}");
        storage.heal();
    };
    // The descriptor is there, and no region is archived.
    let at = (0..).find(|n| {
        let storage = bucket();
        let (before, first) = (region_names(&storage), last_number(&storage));
        cut_off(*n, &storage);
        let has_info = |name: &String| objects(&storage).contains(&Path::new(name).join(".regioninfo"));
        last_number(&storage) == first + 2 && before.iter().all(has_info)
    });
    let at = at.unwrap();
    for n in 0.. {
        let storage = bucket();
        let between = Between::new(&storage, true);
        let options = options(&storage).storage(Arc::clone(&between) as Arc<dyn Storage>);
        let reader = Table::open_with(ROOT, T, options).unwrap();
        let opened = open(&storage, T, true).unwrap();
        cut_off(at, &storage);
        // As another process does.
        let archive = move || opened.archive_parents().map(drop);
        between.act(n, Box::new(|| std::thread::spawn(archive).join().unwrap().unwrap()));
        let read = |row: &str| {
            let row = reader.get(&Get::new(row).max_versions(u32::MAX));
            row.map(|row| row.cells().map(text).collect::<Vec<_>>())
        };
        if let (Ok(first), Ok(rest)) = (read("a"), read("n")) {
            assert_eq!(first.is_empty(), rest.is_empty(), "listing {n}: {first:?}, {rest:?}");
        }
        if !between.has_acted() {
            assert!(n > 1, "{n}");
            break;
        }
    }
}

/// The encoded name of a region of the table with all rows, created at 9000.
const CREATED: &str = "deebf0fa8248108c32de93527e018a53";

/// It would not be one of the regions that are removed, or be written to meanwhile.
#[test]
fn a_region_that_is_created_meanwhile_is_seen() {
    let altered = TableChanges::new().delete_family("f");
    type Change<'c> = &'c dyn Fn(&RegionOptions) -> Result<()>;
    let changes: [(&str, Change<'_>); 3] = [
        ("truncate", &|options| Table::truncate(ROOT, T, true, options)),
        ("delete", &|options| Table::delete_table(ROOT, T, options)),
        ("alter", &|options| Table::alter(ROOT, T, &altered, options)),
    ];
    for (name, change) in changes {
        let storage = bucket();
        let files = store_files(&storage, "");
        let created = Arc::new(Mutex::new(None));
        let between = Between::new(&storage, false);
        let act: Act = {
            let (created, storage) = (Arc::clone(&created), storage.clone());
            Box::new(move || {
                // Later than the others, which would replace it.
                let options = options(&storage).clock(Arc::new(ManualClock::new(9000))).table(T);
                let options = options.writable(true).create_if_missing(true);
                let options = families().into_iter().fold(options, RegionOptions::family);
                let region = options.open(Path::new(ROOT).join("data/ns/t").join(CREATED)).unwrap();
                *created.lock().unwrap() = Some(region);
            })
        };
        // Before the file of the change is made.
        between.act(0, act);
        let changed = options(&storage).storage(Arc::clone(&between) as Arc<dyn Storage>);
        assert_eq!(change(&changed).unwrap_err().kind(), ErrorKind::Locked, "{name}");
        let region = created.lock().unwrap().take().unwrap();
        region.put(Put::new("a").cell_at("g", "q", 5, "new")).unwrap();
        region.close().unwrap();
        let mut left = store_files(&storage, "");
        left.retain(|path| !path.starts_with(CREATED));
        assert_eq!(left, files, "{name}");
    }
}
